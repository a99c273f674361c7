//! `head` and `skip`: a range of the rows, counted on the consumer's thread. `head` lets go of its input as soon as it
//! has its rows, so that nothing goes on behind it.

use crate::error::Result;
use crate::piece::{Held, Pull};

/// The first `n` rows.
pub struct Head {
    input: Option<Pull>,
    left: u64,
}

impl Head {
    /// The first `n` rows of `input`.
    pub fn new(input: Pull, n: u64) -> Self {
        Self { input: (n > 0).then_some(input), left: n }
    }
}

impl Iterator for Head {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Result<Held>> {
        let mut next = self.input.as_mut()?.next();
        match &mut next {
            Some(Ok(held)) => {
                let rows = held.batch.num_rows() as u64;
                if rows >= self.left {
                    #[expect(clippy::cast_possible_truncation, reason = "at most the batch's own rows")]
                    let left = self.left as usize;
                    held.batch = held.batch.slice(0, left);
                    self.input = None;
                }
                self.left = self.left.saturating_sub(rows);
            }
            _ => self.input = None,
        }
        next
    }
}

/// All rows but the first `n`.
pub struct Skip {
    input: Pull,
    left: u64,
}

impl Skip {
    /// `input` without its first `n` rows.
    pub fn new(input: Pull, n: u64) -> Self {
        Self { input, left: n }
    }
}

impl Iterator for Skip {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Result<Held>> {
        loop {
            let mut held = match self.input.next()? {
                Ok(held) => held,
                Err(e) => return Some(Err(e)),
            };
            let rows = held.batch.num_rows();
            match usize::try_from(self.left) {
                Ok(0) => return Some(Ok(held)),
                Ok(n) if n < rows => {
                    self.left = 0;
                    held.batch = held.batch.slice(n, rows - n);
                    #[expect(clippy::cast_possible_truncation, reason = "a batch has fewer than 2^32 rows")]
                    let n = n as u32;
                    held.first.row += n;
                    return Some(Ok(held));
                }
                _ => self.left -= rows as u64,
            }
        }
    }
}
