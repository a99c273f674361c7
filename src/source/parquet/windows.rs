//! A piece as windows, which are narrower where rows turn out wide.
//!
//! How many rows a window has is decided by what the footer says of a row, which is an average, and for text with a
//! dictionary often a guess: some thousand bits can stand for gigabytes. A window that takes far more than it was given
//! is stopped where it does ([`Error::Wide`]), and its piece goes on with fewer rows at a time, with decoders of its own,
//! down to single rows, for which there is no such limit. After some windows that were all right it tries more again. So
//! what is held is bounded whatever the rows are, other pieces read on as before, and batches are the same for any
//! number of workers. No decoder ever goes back: those of the row group leave the window out, and those of the piece serve
//! the next one of its kind. So each page is decompressed a few times at most, however many windows turn out wide.

use std::ops::Range;
use std::sync::Arc;
use std::vec::IntoIter;

use super::lanes::{RowGroup, Window};
use super::pieces::ParquetPieces;
use super::rows::Rows;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::memory::Lease;
use crate::piece::Held;

/// By how much windows become narrower, or wider again.
const FACTOR: u64 = 4;
/// Windows that are all right before more rows are tried again.
const PATIENCE: u32 = 8;

/// What is left of a piece.
pub struct Windows {
    pieces: Arc<ParquetPieces>,
    part: u32,
    rows: Arc<Rows>,
    /// The positions of its rows among those.
    left: Range<u64>,
    /// Rows of a window, as the row group has them and as they are now.
    most: u64,
    window: u64,
    /// Windows of that size that were all right.
    fine: u32,
    /// The decoders that all windows of the row group share; none for a piece that is the whole of it.
    shared: Option<Arc<RowGroup>>,
    /// Decoders of its own.
    own: Option<RowGroup>,
    lease: Lease,
    context: Arc<Context>,
    ready: IntoIter<Held>,
}

impl Windows {
    /// The rows at positions `left` of the `rows` that are read of row group `part`, `window` at a time; by `shared`
    /// decoders, if there are any.
    #[expect(clippy::too_many_arguments, reason = "what a piece is made of")]
    pub fn new(
        pieces: Arc<ParquetPieces>,
        part: u32,
        rows: Arc<Rows>,
        left: Range<u64>,
        window: u64,
        shared: Option<Arc<RowGroup>>,
        lease: Lease,
        context: Arc<Context>,
    ) -> Self {
        let ready = Vec::new().into_iter();
        Self { pieces, part, rows, left, most: window, window, fine: 0, shared, own: None, lease, context, ready }
    }

    /// The batches of the next window; none at the end.
    fn advance(&mut self) -> Result<Vec<Held>> {
        while !self.left.is_empty() {
            let rows = self.window.min(self.left.end - self.left.start);
            match self.read(rows) {
                Err(Error::Wide) if rows > 1 => self.take(rows.div_ceil(FACTOR)),
                window => {
                    let window = window?;
                    self.left.start += rows;
                    self.fine += 1;
                    if self.fine >= PATIENCE && self.window < self.most {
                        self.take(self.window.saturating_mul(FACTOR).min(self.most));
                    }
                    let batches = self.pieces.batches(window, &mut self.lease, &self.context)?;
                    if !batches.is_empty() {
                        return Ok(batches);
                    }
                }
            }
        }
        Ok(Vec::new())
    }

    /// From now on so many rows at a time.
    fn take(&mut self, window: u64) {
        (self.window, self.fine) = (window, 0);
    }

    fn read(&mut self, rows: u64) -> Result<Window> {
        let count = usize::try_from(rows).map_err(|_| Error::Format("too many rows".into()))?;
        if let Some(shared) = self.shared.take() {
            let window = shared.read(self.left.start, count, &self.context);
            self.pieces.leave(self.part);
            return window;
        }
        let start = self.left.start;
        let own = self.own.take().or_else(|| self.pieces.narrow(self.part, start));
        let own = own.unwrap_or_else(|| {
            let opening = self.pieces.opening(self.part, count, self.rows.clone(), start, &self.context);
            RowGroup::new(opening, 1, true)
        });
        let window = own.read(start, count, &self.context);
        let end = start + rows;
        if window.is_ok() && end == self.left.end {
            // another piece may go on from there
            self.pieces.keep(self.part, end, own, &self.context);
        } else if window.is_ok() {
            self.own = Some(own);
        }
        window
    }
}

impl Iterator for Windows {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Result<Held>> {
        if let Some(held) = self.ready.next() {
            return Some(Ok(held));
        }
        match self.advance() {
            Ok(batches) => self.ready = batches.into_iter(),
            Err(e) => {
                self.left = 0..0;
                return Some(Err(self.pieces.damaged(e, self.part)));
            }
        }
        self.ready.next().map(Ok)
    }
}
