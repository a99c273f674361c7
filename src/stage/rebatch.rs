//! `rebatch` and `batches(batch_size)`: batches of exactly `n` rows. Holds up to one of them, and the batch at hand.

use std::collections::VecDeque;

use arrow::compute::concat_batches;

use crate::batch::bytes_of_rows;
use crate::error::Result;
use crate::piece::{Held, Pull};

/// Regroups rows.
pub struct Rebatch {
    input: Pull,
    rows: usize,
    drop_last: bool,
    waiting: VecDeque<Held>,
    have: usize,
    ended: bool,
}

impl Rebatch {
    /// `input` in batches of `rows`; the last may have fewer, unless `drop_last`.
    pub fn new(input: Pull, rows: usize, drop_last: bool) -> Self {
        Self { input, rows, drop_last, waiting: VecDeque::new(), have: 0, ended: false }
    }

    fn advance(&mut self) -> Result<Option<Held>> {
        while self.have < self.rows && !self.ended {
            match self.input.next() {
                Some(held) => {
                    let held = held?;
                    self.have += held.batch.num_rows();
                    if held.batch.num_rows() > 0 {
                        self.waiting.push_back(held);
                    }
                }
                None => self.ended = true,
            }
        }
        let take = self.rows.min(self.have);
        if take == 0 || (take < self.rows && self.drop_last) {
            return Ok(None);
        }
        self.have -= take;
        self.cut(take).map(Some)
    }

    /// The first `take` rows of what waits.
    fn cut(&mut self, take: usize) -> Result<Held> {
        let mut parts = Vec::new();
        let mut leases = Vec::new();
        let mut left = take;
        let first = self.waiting.front().map(|h| h.first).unwrap_or_default();
        let holder = self.waiting.front().map(|h| h.lease.holder().clone());
        while left > 0 {
            let Some(mut held) = self.waiting.pop_front() else { break };
            let rows = held.batch.num_rows();
            if rows <= left {
                left -= rows;
                parts.push(held.batch);
                leases.push(held.lease);
            } else {
                parts.push(held.batch.slice(0, left));
                held.batch = held.batch.slice(left, rows - left);
                #[expect(clippy::cast_possible_truncation, reason = "a batch has fewer than 2^32 rows")]
                let passed = left as u32;
                held.first.row += passed;
                self.waiting.push_front(held);
                left = 0;
            }
        }
        let bytes: usize = parts.iter().map(bytes_of_rows).sum();
        if parts.len() == 1 {
            let lease = match leases.pop() {
                Some(lease) => lease,
                None => holder.map_or_else(|| Err(crate::error::Error::Cancelled), |h| h.lease(bytes))?,
            };
            return Ok(Held { batch: parts.swap_remove(0), first, lease });
        }
        let lease = holder.map_or_else(|| Err(crate::error::Error::Cancelled), |h| h.lease(bytes))?;
        let batch = concat_batches(&parts[0].schema(), &parts)?;
        Ok(Held { batch, first, lease })
    }
}

impl Iterator for Rebatch {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Result<Held>> {
        self.advance().transpose()
    }
}
