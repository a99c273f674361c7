//! One row group read by several workers at once, in order, each page decoded once.
//!
//! A row group is cut into *windows* of rows, and its columns into *lanes*: each lane is one decoder behind a lock. The
//! worker of window n + 1 follows one lane behind the worker of window n, so that both decode at the same time, no
//! decoder ever goes back, and whole batches form in one worker, in order. Held are one page and one dictionary a
//! column, whatever the size of the row group.
//!
//! Who waits for a turn reads and decompresses the pages that come next: a page often serves many windows, and the
//! first of them would pay for all. Columns that a predicate looks at come first; the lanes behind them decode only the
//! rows that are left.
//!
//! A lane's window must be worth the hand-over (about 0.2 ms), so cheap columns share one.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use arrow::array::ArrayRef;

use super::decoder::{ColumnReader, Opening};
use super::flat::Selection;
use crate::context::{Context, TICK};
use crate::error::{Error, Result};

/// Bytes of a lane's window below which the next column joins the lane.
const WORTH: usize = 384 << 10;

/// The columns of a row group that are read, as decoders that any worker can drive.
pub struct RowGroup {
    opening: Opening,
    lanes: Vec<Lane>,
    dead: AtomicBool,
}

/// Some columns that are decoded together.
struct Lane {
    /// Their positions in the projection.
    columns: Range<usize>,
    state: Mutex<LaneState>,
    moved: Condvar,
}

struct LaneState {
    /// Opened by whoever comes first.
    columns: Vec<ColumnReader>,
    row: u64,
}

/// The columns of a window, with the rows that the predicates left.
pub struct Window {
    /// The columns, in the order in which they were asked for.
    pub columns: Vec<ArrayRef>,
    /// How many rows are left.
    pub rows: usize,
}

impl RowGroup {
    /// Columns in lanes; `together` in as few as can be, for a row group that one worker reads alone. Opens nothing yet.
    pub fn new(opening: Opening, together: bool) -> Self {
        let mut lanes = Vec::new();
        let mut first = 0;
        let mut bytes = 0;
        for (i, column) in opening.columns.iter().enumerate() {
            bytes += column.row_bytes(opening.part) * opening.window;
            let last = i + 1 == opening.columns.len();
            // what the predicates look at comes before the rest
            let last = last || opening.filter.as_ref().is_some_and(|f| f.width() == i + 1);
            if last || (!together && bytes >= WORTH) {
                let state = Mutex::new(LaneState { columns: Vec::new(), row: opening.start });
                lanes.push(Lane { columns: first..i + 1, state, moved: Condvar::new() });
                first = i + 1;
                bytes = 0;
            }
        }
        Self { opening, lanes, dead: AtomicBool::new(false) }
    }

    /// The columns of the window that begins at `start`, once all earlier windows have passed.
    ///
    /// # Errors
    /// Damaged pages, by column; [`Error::Cancelled`] when an earlier window failed or the run ended.
    pub fn read(&self, start: u64, rows: usize, context: &Context) -> Result<Window> {
        let out = self.pass(start, rows, context);
        if out.is_err() {
            self.dead.store(true, Ordering::Relaxed);
            for lane in &self.lanes {
                lane.moved.notify_all();
            }
        }
        out
    }

    fn pass(&self, start: u64, rows: usize, context: &Context) -> Result<Window> {
        let opening = &self.opening;
        let mut columns = Vec::with_capacity(opening.columns.len());
        let mut keep: Option<Selection> = None;
        for (i, lane) in self.lanes.iter().enumerate() {
            let mut state = self.turn(i, start, rows, context)?;
            lane.open(&mut state, opening)?;
            for column in &mut state.columns {
                columns.push(column.read(opening, start, rows, keep.as_ref())?);
            }
            state.row += rows as u64;
            drop(state);
            lane.moved.notify_all();
            if let Some(filter) = opening.filter.as_ref().filter(|f| f.width() == columns.len()) {
                let left = filter.select(&columns, rows)?;
                if left.count() < rows {
                    for column in &mut columns {
                        *column = arrow::compute::filter(column, &left.mask())?;
                    }
                    keep = Some(left);
                }
            }
        }
        Ok(Window { columns, rows: keep.map_or(rows, |keep| keep.count()) })
    }
}

impl RowGroup {
    /// Lane `lane`, once all windows before the one at `start` have passed it. Until then, pages that will be needed
    /// further on are read and decompressed: with one page for many windows, most of the work falls to the first.
    fn turn(&self, lane: usize, start: u64, rows: usize, context: &Context) -> Result<MutexGuard<'_, LaneState>> {
        let Lane { state, moved, .. } = &self.lanes[lane];
        loop {
            if self.dead.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            context.cancel.check()?;
            if let Ok(state) = state.try_lock()
                && state.row == start
            {
                return Ok(state);
            }
            if self.lanes[lane + 1..].iter().any(|lane| lane.prepare(&self.opening, start, rows)) {
                continue;
            }
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.row == start {
                return Ok(state);
            }
            drop(moved.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Lane {
    fn open(&self, state: &mut LaneState, opening: &Opening) -> Result<()> {
        for column in self.columns.clone().skip(state.columns.len()) {
            state.columns.push(ColumnReader::open(opening, column)?);
        }
        Ok(())
    }

    /// Reads a page ahead of a window that has not come as far as the one at `start`; false where there is none.
    fn prepare(&self, opening: &Opening, start: u64, rows: usize) -> bool {
        // only where there is plenty of room, so that whether a run fits does not depend on who was faster
        let pool = opening.pages.pool();
        if pool.limit().is_some_and(|limit| pool.held() > limit / 4) {
            return false;
        }
        let Ok(mut state) = self.state.try_lock() else { return false };
        // an error in opening meets the window that comes here in its turn
        state.row < start
            && self.open(&mut state, opening).is_ok()
            && state.columns.iter_mut().any(|column| column.prepare(opening, rows))
    }
}
