//! Cells, side by side as lines, in blocks of bytes.

use super::cells::{Cells, Rules, impossible};
use super::slots::{ASIDE, Room, SLOT, Slot, aside_at};
use super::text::{Shape, quoted};
use crate::error::Result;
use crate::memory::Lease;

/// Bytes of a block: few enough to be in the second cache until they are written, enough for a `write(2)`.
const BLOCK: usize = 256 << 10;
/// Cells that wait at once, where there are not more columns than that.
const CELLS: usize = 2_400;
/// Rows whose cells wait at once.
const ROWS: (usize, usize) = (8, 256);
/// Slots between two columns, so that the same rows of all columns are not in the same lines of the first cache.
const GAP: usize = 3;
/// Bytes that a cell can take from its place: all of its slot, and what follows it.
const STRIDE: usize = SLOT + 1;

/// The text of a batch.
pub struct Lines {
    /// One behind the other; cut anywhere.
    pub(super) blocks: Vec<Vec<u8>>,
    pub(super) rows: u64,
    /// Held until the bytes are written.
    pub(super) lease: Lease,
}

/// The lines of the first `rows` rows of `columns`. `scratch` has what the columns themselves hold, and goes.
///
/// # Errors
/// [`Error::Value`](crate::error::Error::Value) naming the column, where nothing may be quoted and a value would have
/// to be; [`Error::MemoryLimit`](crate::error::Error::MemoryLimit).
pub(super) fn of(mut columns: Vec<Cells<'_>>, rows: usize, rules: &Rules, mut scratch: Lease) -> Result<Lines> {
    let (fewest, most) = ROWS;
    let at_once = (CELLS / columns.len().max(1)).clamp(fewest, most).min(rows.max(1));
    let stride = at_once + GAP;
    let wait = columns.len().saturating_mul(stride);
    let aside_most = columns.iter().fold(0usize, |sum, c| sum.saturating_add(c.aside())).saturating_mul(at_once);
    let more = wait.saturating_mul(STRIDE).saturating_add(aside_most);
    scratch.resize(scratch.bytes().saturating_add(more))?;
    let mut text = Text::new(rows, columns.len(), scratch.holder().empty());
    let (mut slots, mut lens) = (vec![Slot::default(); wait], vec![0u8; wait]);
    let mut aside = Vec::with_capacity(aside_most);
    for first in (0..rows).step_by(at_once) {
        let count = at_once.min(rows - first);
        aside.clear();
        let each = slots.chunks_exact_mut(stride).zip(lens.chunks_exact_mut(stride));
        for (cells, (slots, lens)) in columns.iter_mut().zip(each) {
            let mut room = Room { slots: &mut slots[..count], lens: &mut lens[..count], aside: &mut aside };
            cells.fill(first, &mut room, rules)?;
        }
        for row in 0..count {
            let mut done = 0;
            while done < columns.len() {
                let (slots, lens) = (&slots[done * stride..], &lens[done * stride..]);
                let (bytes, taken) = join(text.room()?, slots, lens, stride, row, rules.delimiter);
                text.at += bytes;
                done += taken;
                if let Some(column) = columns.get(done) {
                    let i = taken * stride + row;
                    let cell = (lens[i] == ASIDE).then(|| aside_at(&slots[i], &aside));
                    text.long(column, first + row, cell, rules)?;
                    done += 1;
                }
            }
            // in place of the last delimiter
            text.now[text.at - 1] = b'\n';
        }
    }
    Ok(text.finish(rows))
}

/// Puts the cells of a row into `to`, a delimiter behind each, up to one that is not in its slot. How many bytes that
/// makes, and of how many cells.
#[inline(always)]
fn join(to: &mut [u8], slots: &[Slot], lens: &[u8], stride: usize, row: usize, delimiter: u8) -> (usize, usize) {
    let mut at = 0;
    let mut taken = 0;
    for (slots, lens) in slots.chunks_exact(stride).zip(lens.chunks_exact(stride)) {
        let len = usize::from(lens[row]);
        if len > SLOT {
            break;
        }
        let to = &mut to[at..at + STRIDE];
        to[..SLOT].copy_from_slice(&slots[row]);
        to[len] = delimiter;
        at += len + 1;
        taken += 1;
    }
    (at, taken)
}

/// Text that grows block by block.
struct Text {
    done: Vec<Vec<u8>>,
    now: Vec<u8>,
    /// Where the text ends in `now`.
    at: usize,
    /// What a line takes that has all its cells in slots.
    line: usize,
    /// The size of a block.
    block: usize,
    lease: Lease,
}

impl Text {
    fn new(rows: usize, columns: usize, lease: Lease) -> Self {
        let line = columns.saturating_mul(STRIDE);
        // a batch of few rows has a block of its own size
        let block = rows.saturating_mul(line).min(BLOCK);
        Self { done: Vec::new(), now: Vec::new(), at: 0, line, block, lease }
    }

    /// Sees to it that there is room for `bytes` in the block.
    #[inline(always)]
    fn reserve(&mut self, bytes: usize) -> Result<()> {
        if self.now.len() - self.at < bytes { self.next(bytes) } else { Ok(()) }
    }

    #[cold]
    fn next(&mut self, bytes: usize) -> Result<()> {
        let size = self.block.max(bytes);
        self.lease.resize(self.lease.bytes().saturating_add(size))?;
        let full = std::mem::replace(&mut self.now, vec![0; size]);
        self.end(full);
        Ok(())
    }

    fn end(&mut self, mut block: Vec<u8>) {
        block.truncate(std::mem::take(&mut self.at));
        if !block.is_empty() {
            self.done.push(block);
        }
    }

    /// Room for the rest of a line.
    #[inline(always)]
    fn room(&mut self) -> Result<&mut [u8]> {
        self.reserve(self.line)?;
        Ok(&mut self.now[self.at..])
    }

    /// Appends a cell that is in no slot, and a delimiter: `cell`, or the column's text of `row`.
    fn long(&mut self, column: &Cells<'_>, row: usize, cell: Option<&[u8]>, rules: &Rules) -> Result<()> {
        let (cell, shape) = match cell {
            Some(cell) => (cell, Shape::Plain),
            None => (column.text(row), rules.shape(column.text(row))),
        };
        let bytes = match shape {
            Shape::Plain => cell.len(),
            Shape::Quoted { doubled, .. } => cell.len() + doubled + 2,
            Shape::Impossible => return Err(impossible(cell, column.name())),
        };
        self.reserve(bytes.saturating_add(1))?;
        let (to, behind) = self.now[self.at..].split_at_mut(bytes);
        match shape {
            Shape::Quoted { quote, .. } => quoted(cell, quote, to),
            _ => to.copy_from_slice(cell),
        }
        behind[0] = rules.delimiter;
        self.at += bytes + 1;
        Ok(())
    }

    fn finish(mut self, rows: usize) -> Lines {
        let last = std::mem::take(&mut self.now);
        self.end(last);
        Lines { blocks: self.done, rows: rows as u64, lease: self.lease }
    }
}
