//! What an aggregate is: a cell, how rows enter it, how two cells join, and the value that one stands for.
//!
//! The loops are by type and know nothing of how many cells there are: one for `agg`, one a group where rows are grouped.

use std::any::Any;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::error::{Error, Result};

/// One aggregate over one type.
pub trait Fold: Send + 'static {
    /// What is kept; the default has seen nothing.
    type Cell: Default + Send + 'static;

    /// The type of the answer.
    fn dtype(&self) -> DataType;

    /// Lets `rows` values enter a cell.
    ///
    /// # Errors
    /// What cannot be kept.
    fn enter(&self, cell: &mut Self::Cell, values: &ArrayRef, rows: usize) -> Result<()>;

    /// Joins a cell with one that saw later rows.
    ///
    /// # Errors
    /// What cannot be kept.
    fn join(&self, cell: &mut Self::Cell, later: Self::Cell) -> Result<()>;

    /// The answer, an array of one row.
    ///
    /// # Errors
    /// A value that its type does not hold.
    fn answer(&self, cell: Self::Cell) -> Result<ArrayRef>;

    /// Bytes that a cell has allocated beyond itself.
    fn bytes(&self, _cell: &Self::Cell) -> usize {
        0
    }
}

/// A [`Fold`] with its one cell, whatever its type.
pub trait Accumulator: Send {
    /// The type of the answer.
    fn dtype(&self) -> DataType;

    /// Lets the values of a batch enter.
    ///
    /// # Errors
    /// As [`Fold::enter`].
    fn update(&mut self, values: &ArrayRef, rows: usize) -> Result<()>;

    /// Joins with one of the same kind that saw later rows.
    ///
    /// # Errors
    /// As [`Fold::join`]; another kind.
    fn merge(&mut self, later: Box<dyn Accumulator>) -> Result<()>;

    /// The answer, an array of one row.
    ///
    /// # Errors
    /// As [`Fold::answer`].
    fn finish(self: Box<Self>) -> Result<ArrayRef>;

    /// Bytes held.
    fn bytes(&self) -> usize;

    /// For [`Accumulator::merge`].
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

struct One<F: Fold> {
    fold: F,
    cell: F::Cell,
}

/// A fold over all rows.
pub fn one<F: Fold>(fold: F) -> Box<dyn Accumulator> {
    Box::new(One { fold, cell: F::Cell::default() })
}

impl<F: Fold> Accumulator for One<F> {
    fn dtype(&self) -> DataType {
        self.fold.dtype()
    }

    fn update(&mut self, values: &ArrayRef, rows: usize) -> Result<()> {
        self.fold.enter(&mut self.cell, values, rows)
    }

    fn merge(&mut self, later: Box<dyn Accumulator>) -> Result<()> {
        match later.into_any().downcast::<One<F>>() {
            Ok(later) => self.fold.join(&mut self.cell, later.cell),
            Err(_) => Err(Error::Stream("states of different aggregates do not merge".into())),
        }
    }

    fn finish(self: Box<Self>) -> Result<ArrayRef> {
        self.fold.answer(self.cell)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.fold.bytes(&self.cell)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
