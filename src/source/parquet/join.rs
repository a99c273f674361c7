//! Small row groups that make one batch.
//!
//! Some writers end a row group after a thousand rows. A batch for each would cost more to hand over than to read, so the
//! rows of several are put together, up to what one window takes. They are copied once more for that, from cache.

use std::iter::Flatten;
use std::sync::Arc;
use std::vec::IntoIter;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::windows::Windows;
use crate::batch::bytes_of_rows;
use crate::context::Context;
use crate::error::Result;
use crate::memory::Lease;
use crate::piece::{Held, Ordinal};

/// Batches of several row groups, put together as far as a batch may be.
pub struct Joined {
    windows: Flatten<IntoIter<Windows>>,
    lease: Lease,
    rows: usize,
    bytes: usize,
    /// What did not go with those before.
    next: Option<Result<Held>>,
}

impl Joined {
    /// What `windows` have, one after the other; the copies are leased by `lease`.
    pub fn new(windows: Vec<Windows>, lease: Lease, context: &Arc<Context>) -> Self {
        let (rows, bytes) = (context.options.batch_size, context.options.bytes_in_force());
        Self { windows: windows.into_iter().flatten(), lease, rows, bytes, next: None }
    }

    fn together(&mut self, held: Vec<Held>) -> Result<Held> {
        let batches: Vec<&RecordBatch> = held.iter().map(|held| &held.batch).collect();
        let batch = concat_batches(batches[0].schema_ref(), batches)?;
        let lease = self.lease.split(bytes_of_rows(&batch))?;
        Ok(Held { batch, first: Ordinal::default(), lease })
    }
}

impl Iterator for Joined {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Result<Held>> {
        let mut held: Vec<Held> = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while let Some(found) = self.next.take().or_else(|| self.windows.next()) {
            let goes = match &found {
                Ok(found) => {
                    rows += found.batch.num_rows();
                    bytes += bytes_of_rows(&found.batch);
                    rows <= self.rows && bytes <= self.bytes
                }
                Err(_) => false,
            };
            match found {
                Ok(found) if goes || held.is_empty() => held.push(found),
                found if held.is_empty() => return Some(found),
                found => {
                    self.next = Some(found);
                    break;
                }
            }
        }
        if held.len() > 1 {
            return Some(self.together(held));
        }
        held.pop().map(Ok)
    }
}
