//! Pieces with steps on them: what a worker does with each batch while it is in cache.
//!
//! Batches that a filter left small are put together again within their piece, so that whoever comes next does not
//! pay a batch's price for a few rows. Borders still depend on the input and the options alone.

use std::sync::Arc;

use arrow::compute::concat_batches;

use crate::batch::bytes_held;
use crate::context::Context;
use crate::error::Result;
use crate::memory::Lease;
use crate::piece::{Held, Piece, Pieces, Pull, Step};

/// Pieces whose batches went through steps.
pub struct Stepped {
    pieces: Arc<dyn Pieces>,
    steps: Arc<[Arc<dyn Step>]>,
}

impl Stepped {
    /// `pieces` with `steps` on them.
    pub fn over(pieces: Arc<dyn Pieces>, steps: Vec<Arc<dyn Step>>) -> Arc<dyn Pieces> {
        if steps.is_empty() { pieces } else { Arc::new(Self { pieces, steps: steps.into() }) }
    }
}

/// `held` after all of `steps`.
///
/// # Errors
/// The first step's that fails.
pub fn through(steps: &[Arc<dyn Step>], held: Held, context: &Context) -> Result<Option<Held>> {
    let mut held = held;
    for step in steps {
        match step.apply(held, context)? {
            Some(next) => held = next,
            None => return Ok(None),
        }
    }
    Ok(Some(held))
}

impl Pieces for Stepped {
    fn next(&self, context: &Arc<Context>) -> Result<Option<Piece>> {
        self.pieces.next(context)
    }

    fn open(self: Arc<Self>, piece: Piece, lease: Lease, context: &Arc<Context>) -> Result<Pull> {
        let input = self.pieces.clone().open(piece, lease, context)?;
        Ok(Box::new(Gathered {
            input,
            steps: self.steps.clone(),
            context: context.clone(),
            small: Vec::new(),
            out: None,
        }))
    }
}

struct Gathered {
    input: Pull,
    steps: Arc<[Arc<dyn Step>]>,
    context: Arc<Context>,
    small: Vec<Held>,
    out: Option<Held>,
}

impl Gathered {
    fn advance(&mut self) -> Result<Option<Held>> {
        if let Some(held) = self.out.take() {
            return Ok(Some(held));
        }
        loop {
            self.context.cancel.check()?;
            let Some(held) = self.input.next() else { return self.gather() };
            let held = held?;
            if held.batch.num_rows() == 0 && self.context.tray.is_laid() {
                return Ok(Some(held));
            }
            let Some(held) = through(&self.steps, held, &self.context)? else { continue };
            let options = &self.context.options;
            let is_small =
                held.batch.num_rows() < options.batch_size / 8 && held.lease.bytes() < options.bytes_in_force() / 8;
            if !is_small {
                if self.small.is_empty() {
                    return Ok(Some(held));
                }
                self.out = Some(held);
                return self.gather();
            }
            self.small.push(held);
            let rows: usize = self.small.iter().map(|h| h.batch.num_rows()).sum();
            let bytes: usize = self.small.iter().map(|h| h.lease.bytes()).sum();
            if rows >= options.batch_size / 8 || bytes >= options.bytes_in_force() / 8 {
                return self.gather();
            }
        }
    }

    fn gather(&mut self) -> Result<Option<Held>> {
        let mut small = std::mem::take(&mut self.small);
        if small.len() < 2 {
            return Ok(small.pop());
        }
        let bytes: usize = small.iter().map(|h| bytes_held(&h.batch)).sum();
        let mut lease = small[0].lease.holder().lease(bytes)?;
        let batch = concat_batches(&small[0].batch.schema(), small.iter().map(|h| &h.batch))?;
        lease.resize(bytes_held(&batch))?;
        Ok(Some(Held { batch, first: small[0].first, lease }))
    }
}

impl Iterator for Gathered {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Result<Held>> {
        self.advance().transpose()
    }
}
