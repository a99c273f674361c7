//! One row group read by several workers at once, in order, each page decoded once.
//!
//! A row group is cut into *windows* of rows, and its columns into *lanes*: each lane is one decoder behind a lock. The
//! worker of window n + 1 follows one lane behind the worker of window n, so that both decode at the same time, no
//! decoder ever goes back, and whole batches form in one worker, in order. Held are one page and one dictionary a
//! column, whatever the size of the row group.
//!
//! A lane's window must be worth the hand-over (about 0.2 ms), so cheap columns share one.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::gate::{Gate, PageLease};
use super::layout::Column;
use crate::context::{Context, TICK};
use crate::error::{Error, Result};
use crate::memory::Holder;
use crate::source::read_at::ReadAt;

/// Bytes of a lane's window below which the next column joins the lane.
const WORTH: usize = 384 << 10;

/// The columns of a row group that are read, as decoders that any worker can drive.
pub struct RowGroup {
    lanes: Vec<Lane>,
    dead: AtomicBool,
}

/// Some columns that are decoded together.
struct Lane {
    /// Their positions in the projection.
    columns: Range<usize>,
    what: String,
    pages: Arc<Mutex<PageLease>>,
    state: Mutex<LaneState>,
    moved: Condvar,
}

struct LaneState {
    reader: Option<ParquetRecordBatchReader>,
    row: u64,
}

/// What it takes to open the decoders of a row group.
pub struct Opening<'a> {
    /// The file.
    pub at: &'a Arc<dyn ReadAt>,
    /// Its footer, with the layout that is decoded to.
    pub metadata: &'a ArrowReaderMetadata,
    /// The columns that are read, in file order.
    pub columns: &'a [Column],
    /// The row group.
    pub part: usize,
    /// Rows of a window.
    pub window: usize,
    /// The row to begin at.
    pub start: u64,
    /// Who holds the pages.
    pub pages: &'a Holder,
}

impl RowGroup {
    /// Opens the decoders; `together` in one lane, for a row group that one worker reads alone.
    ///
    /// # Errors
    /// Pages that are not there, or that the run has no room for.
    pub fn open(opening: &Opening<'_>, together: bool) -> Result<Self> {
        let mut lanes = Vec::new();
        let mut first = 0;
        let mut bytes = 0;
        for (i, column) in opening.columns.iter().enumerate() {
            bytes += column.row_bytes(opening.part) * opening.window;
            let last = i + 1 == opening.columns.len();
            if last || (!together && bytes >= WORTH) {
                lanes.push(Lane::open(opening, first..i + 1)?);
                first = i + 1;
                bytes = 0;
            }
        }
        Ok(Self { lanes, dead: AtomicBool::new(false) })
    }

    /// The columns of the window that begins at `start`, once all earlier windows have passed.
    ///
    /// # Errors
    /// Damaged pages, by column; [`Error::Cancelled`] when an earlier window failed or the run ended.
    pub fn read(&self, start: u64, rows: usize, context: &Context) -> Result<Vec<ArrayRef>> {
        let out = self.pass(start, rows, context);
        if out.is_err() {
            self.dead.store(true, Ordering::Relaxed);
            for lane in &self.lanes {
                lane.moved.notify_all();
            }
        }
        out
    }

    fn pass(&self, start: u64, rows: usize, context: &Context) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::new();
        for lane in &self.lanes {
            let mut state = lane.state.lock().unwrap_or_else(PoisonError::into_inner);
            while state.row != start {
                if self.dead.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                context.cancel.check()?;
                state = lane.moved.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
            }
            let batch = lane.next(&mut state, rows)?;
            state.row += rows as u64;
            drop(state);
            lane.moved.notify_all();
            columns.extend(batch.columns().iter().cloned());
        }
        Ok(columns)
    }
}

/// Why the gate was shut, if it was.
fn refused(pages: &Mutex<PageLease>) -> Option<Error> {
    pages.lock().unwrap_or_else(PoisonError::into_inner).refused()
}

impl Lane {
    fn open(opening: &Opening<'_>, columns: Range<usize>) -> Result<Self> {
        let chosen = &opening.columns[columns.clone()];
        let what = match chosen {
            [one] => format!("column `{}`", one.name),
            [first, .., last] => format!("columns `{}` to `{}`", first.name, last.name),
            [] => String::new(),
        };
        let footer = opening.metadata.metadata();
        let group = footer.row_groups().get(opening.part).ok_or_else(|| Error::Format("no such row group".into()))?;
        let size = opening.at.size();
        let mut ranges = Vec::new();
        for leaf in chosen.iter().flat_map(|c| c.leaves.clone()) {
            let column = group.column(leaf);
            let (start, len) = column.byte_range();
            let end = start.checked_add(len).filter(|end| *end <= size).ok_or_else(|| {
                Error::Format(format!("{what}: ends at byte {}, the file at {size}", start.saturating_add(len)))
            })?;
            ranges.push((start, end, u64::try_from(column.uncompressed_size()).unwrap_or(0)));
        }
        let held = Arc::new(Mutex::new(PageLease::new(opening.pages.empty(), ranges)));
        let gate = Gate::new(opening.at.clone(), size, held.clone());
        let mask = ProjectionMask::roots(footer.file_metadata().schema_descr(), chosen.iter().map(|c| c.root));
        let start = usize::try_from(opening.start).map_err(|_| Error::Format("too many rows".into()))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(gate, opening.metadata.clone())
            .with_row_groups(vec![opening.part])
            .with_projection(mask)
            .with_batch_size(opening.window)
            .with_offset(start)
            .build()
            .map_err(|e| refused(&held).unwrap_or_else(|| e.into()).context(&what))?;
        let state = Mutex::new(LaneState { reader: Some(reader), row: opening.start });
        Ok(Self { columns, what, pages: held, state, moved: Condvar::new() })
    }

    fn next(&self, state: &mut LaneState, rows: usize) -> Result<RecordBatch> {
        let batch = match state.reader.as_mut().and_then(Iterator::next) {
            Some(Ok(batch)) => batch,
            Some(Err(e)) => return Err(refused(&self.pages).unwrap_or_else(|| e.into()).context(&self.what)),
            None => return Err(Error::Format(format!("{}: ends before its row group does", self.what))),
        };
        if batch.num_rows() != rows || batch.num_columns() != self.columns.len() {
            let found = batch.num_rows();
            return Err(Error::Format(format!("{}: expected {rows} more rows, found {found}", self.what)));
        }
        Ok(batch)
    }
}
