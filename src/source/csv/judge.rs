//! Predicates that are judged before the other columns are parsed.
//!
//! The columns that they look at are parsed for all records of a block, the others, and these once more, for the records
//! that are left. A column costs about as much as another one, so that this pays for any predicate that leaves fewer rows
//! than there are.

use std::sync::Arc;

use arrow::array::BooleanArray;

use crate::error::Result;
use crate::source::filter::RowFilter;

use super::column::{Fill, Rows, column};
use super::file::File;

/// Says which records of a block are left.
pub(super) struct Judge {
    filter: Arc<RowFilter>,
    /// What the predicates look at, by place in a record.
    columns: Vec<(usize, Box<dyn Fill>)>,
}

impl Judge {
    /// A judge of the records of `file`.
    ///
    /// # Errors
    /// None in practice: the columns were read as these types before.
    pub(super) fn new(filter: &Arc<RowFilter>, file: &File) -> Result<Self> {
        let seen = filter.schema().fields().iter().filter_map(|f| file.names.iter().position(|name| name == f.name()));
        let fill = |i| Ok((i, column(i, &file.types[i], &file.nulls[i], &file.writing)?));
        Ok(Self { filter: filter.clone(), columns: seen.map(fill).collect::<Result<_>>()? })
    }

    /// Which of `count` records are left, or the first row with a value that does not fit, and its column.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn mask(&mut self, rows: Rows<'_>, count: usize) -> Result<Result<BooleanArray, (usize, usize)>> {
        let mut first: Option<(usize, usize)> = None;
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, fill) in &mut self.columns {
            fill.fill(rows, &mut |row| {
                first = first.into_iter().chain([(row, *column)]).min();
                false
            });
            arrays.push(fill.finish()?);
        }
        match first {
            Some(bad) => Ok(Err(bad)),
            None => self.filter.mask(&arrays, count).map(Ok),
        }
    }
}
