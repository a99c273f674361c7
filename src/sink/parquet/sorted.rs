//! A check that rows come in the order that the file will claim.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use arrow::row::{OwnedRow, RowConverter, SortField};

use crate::error::{Error, Result};

/// The columns of `sorted_by`: ascending, nulls first, as `sort()` puts them.
pub(super) struct Sorted {
    columns: Vec<usize>,
    names: String,
    converter: RowConverter,
}

/// The first and last row of a batch by those columns.
pub(super) struct Order {
    first: OwnedRow,
    last: OwnedRow,
    /// The first row that comes before its predecessor.
    broken: Option<usize>,
}

impl Sorted {
    pub(super) fn new(schema: &Schema, names: &[String]) -> Result<Self> {
        let columns = names.iter().map(|n| schema.index_of(n)).collect::<Result<Vec<_>, _>>()?;
        let options = SortOptions { descending: false, nulls_first: true };
        let fields = columns.iter().map(|c| SortField::new_with_options(schema.field(*c).data_type().clone(), options));
        let converter = RowConverter::new(fields.collect())?;
        let names: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
        Ok(Self { columns, names: names.join(", "), converter })
    }

    /// The order within `batch`; `None` where it has no rows.
    pub(super) fn of(&self, batch: &RecordBatch) -> Result<Option<Order>> {
        let columns: Vec<ArrayRef> = batch.project(&self.columns)?.columns().to_vec();
        let rows = self.converter.convert_columns(&columns)?;
        let n = rows.num_rows();
        if n == 0 {
            return Ok(None);
        }
        let broken = (1..n).find(|i| rows.row(*i) < rows.row(i - 1));
        Ok(Some(Order { first: rows.row(0).owned(), last: rows.row(n - 1).owned(), broken }))
    }

    /// The last row so far, when a batch of `order` follows `last` and `total` rows in all.
    ///
    /// # Errors
    /// [`Error::Value`] naming the row that comes too late.
    pub(super) fn follow(&self, last: Option<&OwnedRow>, order: Order, total: u64) -> Result<OwnedRow> {
        let broken = match last {
            Some(last) if order.first < *last => Some(0),
            _ => order.broken,
        };
        match broken {
            Some(row) => Err(Error::Value(format!(
                "sorted_by=[{}]: row {} comes before the one in front of it; sort the rows first, or leave sorted_by out",
                self.names,
                total + row as u64 + 1,
            ))),
            None => Ok(order.last),
        }
    }
}
