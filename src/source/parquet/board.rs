//! What is to be done for the windows of a row group, and who does it: the bookkeeping of its lanes.
//!
//! Nothing here waits or decodes; whoever changes the board holds its lock, and wakes the others.

use std::collections::VecDeque;
use std::ops::Range;
use std::thread::ThreadId;

use arrow::array::ArrayRef;

use super::flat::Selection;
use super::lanes::Window;
use crate::error::{Error, Result};

/// What is to be done, and who does it.
pub struct Board {
    /// The windows that somebody waits for, the oldest first.
    pub windows: VecDeque<Open>,
    pub lanes: Vec<Turn>,
    /// There is no room for the pages of all lanes.
    pub tight: bool,
    /// Windows that start here or later are never completed: one of them failed, or the run is over.
    pub over: u64,
}

/// How far a lane is.
pub struct Turn {
    /// Where its next window starts.
    pub row: u64,
    pub busy: bool,
    /// Who decoded its last window.
    pub last: Option<ThreadId>,
}

/// A window that is being read.
pub struct Open {
    pub start: u64,
    pub rows: usize,
    pub columns: Vec<Option<ArrayRef>>,
    /// How far each lane is with it.
    pub lanes: Vec<Stage>,
    /// The rows that the predicates left; `None`: all, or not known yet.
    pub keep: Option<Selection>,
    pub judged: bool,
    /// The first lane that failed, and how. Those in front of it are still read, so that which error is raised does
    /// not depend on who was faster.
    pub fault: Option<(usize, Error)>,
}

/// How far a lane is with a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Waits,
    Taken,
    Done,
}

/// A lane of a window, taken from the board.
pub struct Job {
    pub lane: usize,
    pub start: u64,
    pub rows: usize,
    pub keep: Option<Selection>,
    /// There is no room for more than one column.
    pub alone: bool,
    /// The lane has gone on to its next window.
    pub left: bool,
}

impl Open {
    /// Nothing is done.
    pub fn new(start: u64, rows: usize, columns: usize, lanes: usize, judged: bool) -> Self {
        let (columns, lanes) = (vec![None; columns], vec![Stage::Waits; lanes]);
        Self { start, rows, columns, lanes, keep: None, judged, fault: None }
    }

    /// Whether lane `lane` may be read by what is known of the window.
    fn wants(&self, lane: usize, judged: usize) -> bool {
        self.lanes[lane] == Stage::Waits
            && (self.judged || lane < judged)
            && self.fault.as_ref().is_none_or(|(failed, _)| lane < *failed)
    }

    /// Whether the first `lanes` lanes are done.
    fn has(&self, lanes: usize) -> bool {
        self.lanes[..lanes].iter().all(|lane| *lane == Stage::Done)
    }

    /// Whether the lanes that the predicates look at, the first `judged`, are done, and are not judged yet.
    pub fn may_be_judged(&self, judged: usize) -> bool {
        !self.judged && self.fault.is_none() && self.has(judged)
    }

    fn fail(&mut self, lane: usize, error: Error) {
        if self.fault.as_ref().is_none_or(|(failed, _)| lane < *failed) {
            self.fault = Some((lane, error));
        }
    }
}

impl Board {
    /// The window at `start`.
    pub fn window(&mut self, start: u64) -> Option<&mut Open> {
        self.windows.iter_mut().find(|w| w.start == start)
    }

    /// Whether all is done for the window at `start`: every lane, or every lane in front of one that failed.
    pub fn finishes(&self, start: u64) -> bool {
        let Some(window) = self.windows.iter().find(|w| w.start == start) else { return true };
        start >= self.over
            || match &window.fault {
                None => window.judged && window.has(self.lanes.len()),
                // later windows go on: each lane is behind this one, or waits in front of it
                Some((failed, Error::Wide)) => {
                    window.has(*failed)
                        && self.lanes.iter().all(|turn| turn.row > start || (turn.row == start && !turn.busy))
                }
                Some((failed, _)) => window.has(*failed),
            }
    }

    /// Takes the window at `start` off the board, if it is complete or never will be.
    pub fn finished(&mut self, start: u64) -> Option<Result<Window>> {
        if !self.finishes(start) {
            return None;
        }
        let place = self.windows.iter().position(|w| w.start == start)?;
        let window = self.windows.remove(place)?;
        if start >= self.over {
            return Some(Err(Error::Cancelled));
        }
        if let Some((_, error)) = window.fault {
            if !matches!(error, Error::Wide) {
                self.over = start;
            }
            return Some(Err(error));
        }
        let rows = window.keep.map_or(window.rows, |keep| keep.count());
        Some(Ok(Window { columns: window.columns.into_iter().flatten().collect(), rows }))
    }

    /// Whether `take` would find something.
    pub fn offers(&self, judged: usize) -> bool {
        self.windows.iter().any(|window| (0..self.lanes.len()).any(|lane| self.free(window, lane, judged)))
    }

    /// Whether lane `lane` of `window` can be read now.
    fn free(&self, window: &Open, lane: usize, judged: usize) -> bool {
        let turn = &self.lanes[lane];
        if self.tight && self.lanes.iter().any(|turn| turn.busy) {
            return false;
        }
        window.start < self.over && !turn.busy && turn.row == window.start && window.wants(lane, judged)
    }

    /// The next job for `me`: of the lanes that it had before, else of any; of the oldest window first.
    pub fn take(&mut self, me: ThreadId, judged: usize) -> Option<Job> {
        let open = self.windows.iter().flat_map(|window| (0..self.lanes.len()).map(move |lane| (window, lane)));
        let mut free = open.filter(|(window, lane)| self.free(window, *lane, judged)).peekable();
        let any = free.peek().copied();
        let (window, lane) = free.find(|(_, lane)| self.lanes[*lane].last == Some(me)).or(any)?;
        let job = Job {
            lane,
            start: window.start,
            rows: window.rows,
            keep: window.keep.clone(),
            alone: self.tight,
            left: false,
        };
        let turn = &mut self.lanes[lane];
        (turn.busy, turn.last) = (true, Some(me));
        self.stage(&job, Stage::Taken);
        Some(job)
    }

    fn stage(&mut self, job: &Job, stage: Stage) {
        if let Some(window) = self.window(job.start) {
            window.lanes[job.lane] = stage;
        }
    }

    /// A job that was not done.
    pub fn put_back(&mut self, job: &Job) {
        self.lanes[job.lane].busy = false;
        self.stage(job, Stage::Waits);
    }

    /// The lane of a job goes on to its next window.
    pub fn leave(&mut self, job: &mut Job) {
        if !std::mem::replace(&mut job.left, true) {
            let turn = &mut self.lanes[job.lane];
            turn.busy = false;
            turn.row += job.rows as u64;
        }
    }

    /// What came of a job.
    pub fn put(&mut self, job: &mut Job, columns: Range<usize>, decoded: Result<Vec<ArrayRef>>) {
        self.leave(job);
        let turn = &mut self.lanes[job.lane];
        let Some(window) = self.windows.iter_mut().find(|w| w.start == job.start) else { return };
        match decoded {
            Ok(found) => {
                window.lanes[job.lane] = Stage::Done;
                for (place, column) in window.columns[columns].iter_mut().zip(found) {
                    *place = Some(column);
                }
            }
            Err(error) => {
                if !matches!(error, Error::Wide) {
                    // later windows of this lane are never right
                    turn.row = u64::MAX;
                }
                window.fail(job.lane, error);
            }
        }
    }

    /// Leaves out the window at `start` in the lanes that have not read it. Whoever has it, has come to it by now
    /// (`finishes`).
    pub fn pass(&mut self, start: u64, rows: usize) {
        self.lanes.iter_mut().filter(|turn| turn.row == start).for_each(|turn| turn.row += rows as u64);
    }

    /// What the predicates left of the window at `start`, whose last judged lane is `lane`.
    pub fn set(&mut self, start: u64, lane: usize, judged: Result<(Option<Selection>, Vec<ArrayRef>)>) {
        let Some(window) = self.window(start) else { return };
        match judged {
            Ok((keep, columns)) => {
                for (place, column) in window.columns.iter_mut().zip(columns) {
                    *place = Some(column);
                }
                (window.keep, window.judged) = (keep, true);
            }
            Err(error) => window.fail(lane, error),
        }
    }
}
