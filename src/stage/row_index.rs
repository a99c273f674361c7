//! `with_row_index`: a first column that counts the rows from 0. Holds a counter.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::SchemaRef;

use crate::batch::with_columns;
use crate::error::Result;
use crate::piece::{Held, Pull};

/// Counts rows.
pub struct RowIndex {
    input: Pull,
    schema: SchemaRef,
    next: u64,
}

impl RowIndex {
    /// `input` with an index in front; `schema` has the index, a `uint64`, as its first column.
    pub fn new(input: Pull, schema: SchemaRef) -> Self {
        Self { input, schema, next: 0 }
    }

    fn index(&mut self, held: Held) -> Result<Held> {
        let Held { batch, first, mut lease } = held;
        let rows = batch.num_rows();
        lease.resize(lease.bytes() + rows * 8)?;
        let index: ArrayRef = Arc::new(UInt64Array::from_iter_values(self.next..self.next + rows as u64));
        self.next += rows as u64;
        let columns = std::iter::once(index).chain(batch.columns().iter().cloned()).collect();
        Ok(Held { batch: with_columns(self.schema.clone(), columns, rows)?, first, lease })
    }
}

impl Iterator for RowIndex {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Result<Held>> {
        let held = self.input.next()?;
        Some(held.and_then(|h| self.index(h)))
    }
}
