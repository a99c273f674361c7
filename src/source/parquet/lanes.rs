//! One row group read by several workers at once, in order, each page decoded once.
//!
//! A row group is cut into *windows* of rows, and its columns into *lanes*: each lane is decoded from front to back, one
//! window after the other. What is to be done, a lane of a window, stands on a board; every worker that came for a
//! window takes from the board until its own is complete, whoever decoded it. So nobody waits while there is work, no
//! decoder ever goes back, and held are one page and one dictionary a column, whatever the size of the row group.
//!
//! A worker prefers the lanes that it had last, in whatever window: their dictionaries and pages are in its core's
//! cache. It takes another's only where it has nothing else to do, which also evens out lanes that take longer.
//! Columns that a predicate looks at come first; the lanes behind them decode only the rows that are left.
//!
//! Where the pages of all columns together are more than the run has room for, one job is done at a time, and a column is
//! open for a window only: each time a dictionary and a page are decompressed anew. That is slower, and bounded by the
//! pages of one column; how often it was done is counted, as it may be most of the time that a run takes.
//!
//! Where there are no more lanes than workers, one lane is read by several of them: the rows of a window are set apart
//! ([`ColumnReader::apart`]), and the lane goes on behind them at once; where that cannot be, as a page of lists does not say
//! which rows it has, the others read and decompress the pages that the window will ask for ([`ColumnReader::soon`]).
//! Elsewhere, who finds nothing on the board reads and decompresses the page that comes next. A lane's window must be
//! worth the hand-over (some 20 µs), so cheap columns share one.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use arrow::array::ArrayRef;

use super::board::{Board, Job, Open, Turn};
use super::decoder::{ColumnReader, Opening, Part};
use super::flat::{Later, Selection};
use crate::context::{Context, TICK};
use crate::error::{Error, Result};
use crate::threads::Bell;

/// Bytes of a lane's window below which the next column joins the lane: at the end of a row group one worker waits for what
/// the other has begun.
const WORTH: usize = 128 << 10;
/// Where predicates leave fewer rows than one in so many, no page is read ahead that they do not look at.
const SPARSE: usize = 4096;
/// What a run counts where there is no room for the pages of all columns: each time that one was opened for a window.
pub const ANEW: &str = "columns opened anew";

/// The columns of a row group that are read, as decoders that any worker can drive.
pub struct RowGroup {
    opening: Opening,
    lanes: Vec<Lane>,
    /// The lanes that the predicates look at.
    judged: usize,
    /// Whether there are so few lanes that several workers decode one of them, each other rows.
    few: bool,
    /// The rows that predicates looked at, and those that they left.
    seen: AtomicUsize,
    left: AtomicUsize,
    board: Mutex<Board>,
    moved: Bell,
}

/// Some columns that are decoded together.
struct Lane {
    /// Their positions in the projection.
    columns: Range<usize>,
    /// Opened by whoever comes first.
    readers: Mutex<Vec<ColumnReader>>,
    /// The pages that its readers will come to, for whoever has nothing else to do.
    soon: Mutex<VecDeque<Weak<Later>>>,
}

/// The columns of a window, with the rows that the predicates left.
pub struct Window {
    /// The columns, in the order in which they were asked for.
    pub columns: Vec<ArrayRef>,
    /// How many rows are left.
    pub rows: usize,
}

impl RowGroup {
    /// Columns in lanes, for `workers` workers; `together` in as few as can be, for a row group that one of them reads alone.
    /// Opens nothing yet.
    pub fn new(opening: Opening, workers: usize, together: bool) -> Self {
        let (mut lanes, mut turns) = (Vec::new(), Vec::new());
        let (mut first, mut bytes, mut judged) = (0, 0, 0);
        let width = opening.filter.as_ref().map_or(0, |f| f.width());
        for (i, column) in opening.columns.iter().enumerate() {
            bytes += column.row_bytes(opening.part) * opening.window;
            // what the predicates look at comes before the rest
            let last = i + 1 == opening.columns.len() || i + 1 == width;
            if last || (!together && bytes >= WORTH) {
                lanes.push(Lane { columns: first..i + 1, readers: Mutex::default(), soon: Mutex::default() });
                turns.push(Turn { row: opening.start, busy: false, last: None });
                (first, bytes) = (i + 1, 0);
                judged = if i < width { lanes.len() } else { judged };
            }
        }
        let board = Board { windows: VecDeque::new(), lanes: turns, tight: false, over: u64::MAX };
        let few = !together && workers > 1 && lanes.len() <= workers;
        let (seen, left) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { opening, lanes, judged, few, seen, left, board: Mutex::new(board), moved: Bell::new() }
    }

    /// The columns of the window that begins at `start`.
    ///
    /// # Errors
    /// Damaged pages, by column; [`Error::Wide`] where the window is to be taken otherwise, which changes nothing for later
    /// ones; [`Error::Cancelled`] when an earlier window failed or the run ended.
    pub fn read(&self, start: u64, rows: usize, context: &Context) -> Result<Window> {
        let me = thread::current().id();
        let mut board = self.board();
        let place = board.windows.iter().position(|w| w.start > start).unwrap_or(board.windows.len());
        let window = Open::new(start, rows, self.opening.columns.len(), self.lanes.len(), self.judged == 0);
        board.windows.insert(place, window);
        loop {
            if let Some(window) = board.finished(start) {
                if let Err(Error::Wide) = window {
                    board.pass(start, rows);
                }
                self.moved.ring();
                return window;
            }
            if let Err(e) = context.cancel.check() {
                board.over = 0;
                self.moved.ring();
                return Err(e);
            }
            if let Some(job) = board.take(me, self.judged) {
                drop(board);
                board = self.work(job);
                continue;
            }
            drop(board);
            if self.help() || self.prepare(start, rows) {
                board = self.board();
                continue;
            }
            board = self.board();
            // between the two looks somebody may have put something on the board
            if board.finishes(start) || board.offers(self.judged) {
                continue;
            }
            board = self.moved.wait_for(board, TICK);
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a job, and puts what comes of it on the board.
    fn work(&self, mut job: Job) -> MutexGuard<'_, Board> {
        let alarm = Alarm(self);
        let apart = self.few && !job.alone && job.rows > 1;
        let mut decoded = if apart { self.decode_apart(&mut job) } else { self.decode(&job) };
        let mut board = self.board();
        if let Err(Error::MemoryLimit(_)) = &decoded
            && self.makes_room(&mut board, &job)
        {
            if !job.left {
                // the job goes back to the board
                board.put_back(&job);
                self.moved.ring();
                std::mem::forget(alarm);
                return board;
            }
            // its lane has gone on
            decoded = Err(Error::Wide);
        }
        // pages leave half of the limit to the windows, which are as sure to be needed
        if self.holds_half() {
            self.makes_room(&mut board, &job);
        }
        if board.tight && !job.left {
            self.lanes[job.lane].readers().clear();
        }
        let columns = self.lanes[job.lane].columns.clone();
        board.put(&mut job, columns, decoded);
        let judge = board.window(job.start).filter(|w| w.may_be_judged(self.judged));
        if let Some(window) = judge {
            let columns: Vec<ArrayRef> = window.columns.iter().flatten().cloned().collect();
            drop(board);
            let judged = self.judge(&columns, job.rows);
            board = self.board();
            board.set(job.start, self.judged - 1, judged);
        }
        self.moved.ring();
        std::mem::forget(alarm);
        board
    }

    fn decode(&self, job: &Job) -> Result<Vec<ArrayRef>> {
        let lane = &self.lanes[job.lane];
        let mut readers = lane.readers();
        let read = |reader: &mut ColumnReader| reader.read(&self.opening, job.start, job.rows, job.keep.as_ref());
        if job.alone {
            // one column at a time is open, and none afterwards
            let columns = lane.columns.clone();
            self.opening.counters.add(ANEW, columns.len() as u64);
            return columns.map(|c| read(&mut ColumnReader::open(&self.opening, c, job.start)?)).collect();
        }
        let decoded =
            lane.open(&mut readers, &self.opening, job.start).and_then(|()| readers.iter_mut().map(read).collect());
        if decoded.as_ref().is_err_and(in_ruins) {
            readers.clear();
        }
        decoded
    }

    /// As `decode`, but the lane goes on to its next window as soon as the rows of this one are set apart.
    fn decode_apart(&self, job: &mut Job) -> Result<Vec<ArrayRef>> {
        let lane = &self.lanes[job.lane];
        let mut readers = lane.readers();
        let (start, rows) = (job.start, job.rows);
        let parts = lane.open(&mut readers, &self.opening, start).and_then(|()| {
            if self.has_room() {
                // those of the window behind it, too: there is something to do until this one is decoded
                let soon: VecDeque<_> = readers.iter_mut().flat_map(|r| r.soon(2 * rows)).collect();
                *lane.soon() = soon.iter().map(Arc::downgrade).collect();
                self.moved.ring();
            }
            readers.iter_mut().map(|r| r.apart(&self.opening, start, rows, job.keep.as_ref())).collect()
        });
        let parts: Vec<Part> = parts.inspect_err(|e| {
            if in_ruins(e) {
                readers.clear();
            }
        })?;
        drop(readers);
        self.board().leave(job);
        self.moved.ring();
        let read = |part| match part {
            Part::Read(column) => Ok(column),
            Part::Apart(mut reader) => reader.read(&self.opening, start, rows, job.keep.as_ref()),
        };
        parts.into_iter().map(read).collect()
    }

    /// Goes on at `start`, behind what was read.
    pub fn go_to(&self, start: u64) {
        self.board().lanes.iter_mut().for_each(|turn| turn.row = start);
    }

    /// Whether the pages of the run take more than half of its limit.
    fn holds_half(&self) -> bool {
        let holder = &self.opening.holder;
        holder.pool().limit().is_some_and(|limit| holder.held() > limit / 2)
    }

    /// After a job for which there was no room: whether it is worth trying again. Closes the lanes that nobody is in; the
    /// others close when their job is done.
    fn makes_room(&self, board: &mut Board, job: &Job) -> bool {
        board.tight = true;
        for (lane, _) in self.lanes.iter().zip(&board.lanes).filter(|(_, turn)| !turn.busy) {
            lane.readers().clear();
        }
        !job.alone
    }

    /// The rows that the predicates leave of `columns`, and the columns with these rows.
    fn judge(&self, columns: &[ArrayRef], rows: usize) -> Result<(Option<Selection>, Vec<ArrayRef>)> {
        let Some(filter) = &self.opening.filter else { return Ok((None, columns.to_vec())) };
        let left = Selection::new(&filter.mask(columns, rows)?);
        self.seen.fetch_add(rows, Relaxed);
        self.left.fetch_add(left.count(), Relaxed);
        if left.count() == rows {
            return Ok((None, columns.to_vec()));
        }
        let mask = left.mask();
        let columns = columns.iter().map(|column| Ok(arrow::compute::filter(column, &mask)?)).collect::<Result<_>>()?;
        Ok((Some(left), columns))
    }

    /// Whether there is plenty of room, so that whether a run fits does not depend on who was faster.
    fn has_room(&self) -> bool {
        let pool = self.opening.holder.pool();
        pool.limit().is_none_or(|limit| pool.held() <= limit / 4)
    }

    /// Reads a page that somebody will come to in a lane that he has; false where there is none.
    fn help(&self) -> bool {
        if !self.few || !self.has_room() {
            return false;
        }
        self.lanes.iter().any(|lane| {
            let next = || lane.soon().pop_front();
            std::iter::from_fn(next).any(|page| page.upgrade().is_some_and(|page| page.prepare()))
        })
    }

    /// Reads a page ahead, for a lane that has not come as far as the window at `start`; false where there is none.
    fn prepare(&self, start: u64, rows: usize) -> bool {
        if self.board().tight || !self.has_room() {
            return false;
        }
        // where predicates leave one row in thousands, a page may be one that nobody will ask for
        let sought = self.judged == 0 || self.left.load(Relaxed).saturating_mul(SPARSE) > self.seen.load(Relaxed);
        let lanes = if sought { self.lanes.len() } else { self.judged };
        self.lanes.iter().zip(0..lanes).any(|(lane, i)| {
            let mut board = self.board();
            let turn = &mut board.lanes[i];
            if turn.busy || turn.row > start {
                return false;
            }
            turn.busy = true;
            let row = turn.row;
            drop(board);
            let alarm = Alarm(self);
            let mut readers = lane.readers();
            // an error in opening meets the window that comes here in its turn
            let done = lane.open(&mut readers, &self.opening, row).is_ok()
                && readers.iter_mut().any(|reader| reader.prepare(&self.opening, rows));
            drop(readers);
            std::mem::forget(alarm);
            self.board().lanes[i].busy = false;
            self.moved.ring();
            done
        })
    }
}

/// Whether what met `error` is in no state to go on from.
fn in_ruins(error: &Error) -> bool {
    !matches!(error, Error::Wide)
}

/// Unless it is forgotten, nobody waits for a lane whose worker is gone.
struct Alarm<'a>(&'a RowGroup);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.board().over = 0;
        self.0.moved.ring();
    }
}

impl Lane {
    fn readers(&self) -> MutexGuard<'_, Vec<ColumnReader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn soon(&self) -> MutexGuard<'_, VecDeque<Weak<Later>>> {
        self.soon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens what is not open, for the window at `start`, where the lane is.
    fn open(&self, readers: &mut Vec<ColumnReader>, opening: &Opening, start: u64) -> Result<()> {
        for column in self.columns.clone().skip(readers.len()) {
            readers.push(ColumnReader::open(opening, column, start)?);
        }
        Ok(())
    }
}
