//! Functions of the caller's, as the core sees them. Whoever binds the core to a language implements [`Call`].

use arrow::array::{ArrayRef, RecordBatch};

use crate::error::Result;
use crate::memory::Exported;

/// What a function of the caller's gave back.
pub enum Returned {
    /// A batch instead of the one that it got.
    Batch(RecordBatch),
    /// Which rows to keep.
    Mask(ArrayRef),
    /// For `map`: drop the batch. For `inspect`: go on with it.
    Nothing,
}

/// A function of the caller's. Called on the consumer's thread only.
pub trait Call: Send + Sync {
    /// Calls it with `batch`; `exported` counts the batch as the caller's for as long as the caller keeps it.
    ///
    /// # Errors
    /// [`Error::Foreign`] with the caller's own exception.
    fn call(&self, batch: RecordBatch, exported: Exported) -> Result<Returned>;

    /// What `explain()` calls it.
    fn name(&self) -> String;
}

/// What is done with what the function gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A batch replaces the batch.
    Map,
    /// A mask filters it.
    Mask,
    /// Nothing: the batch goes on.
    Look,
}
