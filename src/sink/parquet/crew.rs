//! The encoders: threads that take columns of open row groups, whichever have rows waiting.
//!
//! The unit of work is a column of a row group with the batches that wait for it. A column is with one encoder at a
//! time and gets its batches in order, so what is written does not depend on who encodes. The thread that brings the
//! rows never encodes while there are encoders: it maps, hands over and writes. Three things bound what waits: the
//! bytes of batches that are not encoded everywhere, the row groups open at once, and the share for finished pages.
//!
//! Where the run has one thread, or little memory, there are no encoders, and rows are encoded as they come.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arrow::array::{ArrayRef, RecordBatch};

use super::lane::{Lane, Plan};
use super::pages::Chunk;
use super::temp::{Temp, TempSpace};
use crate::context::{Cancel, Context, TICK};
use crate::error::{Error, Result};
use crate::memory::Lease;
use crate::threads::{Bell, worker};

/// Bytes of batches that wait for encoders, at most.
const BACKLOG: usize = 32 << 20;
/// With less memory than this, one row group is open at a time.
const ROOM_FOR_TWO: usize = 128 << 20;
/// With less memory than this, one column is encoded at a time.
const ROOM_FOR_ENCODERS: usize = 32 << 20;

/// What a batch keeps alive until all of its columns are encoded.
pub(super) struct Load {
    bytes: usize,
    _lease: Lease,
    backlog: Arc<AtomicUsize>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.backlog.fetch_sub(self.bytes, Relaxed);
    }
}

/// Rows of one column that wait for an encoder.
struct Part {
    rows: ArrayRef,
    _load: Arc<Load>,
}

/// A column of an open row group.
#[derive(Default)]
struct Slot {
    waiting: Vec<Part>,
    seat: Seat,
}

#[derive(Default)]
enum Seat {
    /// Nothing was encoded yet.
    #[default]
    New,
    Idle(Box<Lane>),
    /// An encoder has it.
    Taken,
    Done(Result<Vec<Chunk>>),
}

struct Group {
    slots: Vec<Slot>,
    /// No more rows come.
    full: bool,
    temp: Arc<Temp>,
}

/// What an encoder does next.
struct Task {
    group: u64,
    column: usize,
    lane: Option<Box<Lane>>,
    parts: Vec<Part>,
    /// These are the column's last rows.
    last: bool,
    temp: Arc<Temp>,
}

struct State {
    groups: VecDeque<Group>,
    /// The number of the first of them.
    first: u64,
    stopped: bool,
}

struct Shared {
    plan: Plan,
    cancel: Cancel,
    state: Mutex<State>,
    /// There is work.
    work: Bell,
    /// Work was done.
    done: Bell,
}

/// The encoders of one file. Threads start with the first rows and are joined on drop.
pub(super) struct Crew {
    shared: Arc<Shared>,
    space: Arc<TempSpace>,
    backlog: Arc<AtomicUsize>,
    most_waiting: usize,
    most_open: usize,
    /// Encoders not yet started.
    wanted: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    pub(super) fn new(plan: Plan, context: &Context) -> Self {
        let limit = context.options.memory_limit.unwrap_or(usize::MAX);
        let alone = context.options.inline() || context.options.threads < 2 || limit < ROOM_FOR_ENCODERS;
        let state = State { groups: VecDeque::new(), first: 0, stopped: false };
        Self {
            shared: Arc::new(Shared {
                plan,
                cancel: context.cancel.clone(),
                state: Mutex::new(state),
                work: Bell::new(),
                done: Bell::new(),
            }),
            space: TempSpace::new(context),
            backlog: Arc::default(),
            most_waiting: BACKLOG.min(limit / 16),
            most_open: if limit < ROOM_FOR_TWO { 1 } else { 2 },
            wanted: if alone { 0 } else { context.options.threads },
            threads: Vec::new(),
        }
    }

    /// What `bytes` of rows, held by `lease`, count for until they are encoded.
    pub(super) fn load(&self, bytes: usize, lease: Lease) -> Arc<Load> {
        self.backlog.fetch_add(bytes, Relaxed);
        Arc::new(Load { bytes, _lease: lease, backlog: self.backlog.clone() })
    }

    /// Whether rows of `load` can be pushed without waiting: those that came before are well under way. A load larger
    /// than what may wait goes alone.
    pub(super) fn has_room(&self, load: &Load) -> bool {
        let state = self.shared.state();
        let open = state.groups.len();
        let opens = state.groups.back().is_none_or(|group| group.full);
        self.backlog.load(Relaxed) <= self.most_waiting.max(load.bytes) && (!opens || open < self.most_open)
    }

    /// Gives the rows of `batch` to the encoders.
    pub(super) fn push(&mut self, batch: &RecordBatch, load: &Arc<Load>) {
        self.start();
        let mut state = self.shared.state();
        if state.groups.back().is_none_or(|group| group.full) {
            let slots = self.shared.plan.columns.iter().map(|_| Slot::default()).collect();
            state.groups.push_back(Group { slots, full: false, temp: Temp::new(&self.space) });
        }
        if let Some(group) = state.groups.back_mut() {
            for (slot, rows) in group.slots.iter_mut().zip(batch.columns()) {
                if !matches!(slot.seat, Seat::Done(_)) {
                    slot.waiting.push(Part { rows: rows.clone(), _load: load.clone() });
                }
            }
        }
        drop(state);
        self.go_on();
    }

    /// Ends the row group that rows were pushed to.
    pub(super) fn seal(&mut self) {
        if let Some(group) = self.shared.state().groups.back_mut() {
            group.full = true;
        }
        self.go_on();
    }

    /// The columns of the oldest row group, once all of them are finished.
    ///
    /// # Errors
    /// What an encoder of that row group met; of several the first column's.
    pub(super) fn finished(&self) -> Result<Option<Vec<Chunk>>> {
        let mut state = self.shared.state();
        let Some(group) = state.groups.front_mut() else { return Ok(None) };
        let mut all = true;
        for slot in &mut group.slots {
            match &mut slot.seat {
                Seat::Done(Ok(_)) => {}
                Seat::Done(failed) => {
                    return std::mem::replace(failed, Err(Error::Cancelled)).map(|_| None);
                }
                _ => all = false,
            }
        }
        if !all {
            return Ok(None);
        }
        let group = state.groups.pop_front();
        state.first += 1;
        drop(state);
        let mut chunks = Vec::new();
        for slot in group.map(|group| group.slots).unwrap_or_default() {
            if let Seat::Done(done) = slot.seat {
                chunks.extend(done?);
            }
        }
        Ok(Some(chunks))
    }

    /// Whether all rows are out.
    pub(super) fn is_empty(&self) -> bool {
        self.shared.state().groups.is_empty()
    }

    /// Waits until something was encoded, or a moment.
    pub(super) fn wait(&self, context: &Context) -> Result<()> {
        context.interrupted()?;
        context.cancel.check()?;
        let state = self.shared.state();
        drop(self.shared.done.wait_for(state, TICK));
        Ok(())
    }

    fn start(&mut self) {
        for i in 0..std::mem::take(&mut self.wanted) {
            let shared = self.shared.clone();
            let thread = worker(format!("batchstream-e{i}"), move || shared.serve());
            // fewer encoders do the same work; without any, rows are encoded as they come
            let Ok(thread) = thread else { break };
            self.threads.push(thread);
        }
    }

    /// Wakes the encoders, or encodes what there is where there are none.
    fn go_on(&self) {
        if self.threads.is_empty() {
            loop {
                let task = self.shared.state().next();
                let Some(task) = task else { return };
                self.shared.run(task);
            }
        } else {
            self.shared.work.ring();
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.work.ring();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl State {
    /// The column that most batches wait for, of the oldest row group where any do.
    fn next(&mut self) -> Option<Task> {
        for (number, group) in (self.first..).zip(&mut self.groups) {
            let full = group.full;
            let ready =
                |slot: &Slot| matches!(slot.seat, Seat::New | Seat::Idle(_)) && (full || !slot.waiting.is_empty());
            let mut best: Option<(usize, &mut Slot)> = None;
            for (column, slot) in group.slots.iter_mut().enumerate().filter(|(_, slot)| ready(slot)) {
                if best.as_ref().is_none_or(|(_, b)| slot.waiting.len() > b.waiting.len()) {
                    best = Some((column, slot));
                }
            }
            if let Some((column, slot)) = best {
                let lane = match std::mem::replace(&mut slot.seat, Seat::Taken) {
                    Seat::Idle(lane) => Some(lane),
                    _ => None,
                };
                let parts = std::mem::take(&mut slot.waiting);
                return Some(Task { group: number, column, lane, parts, last: full, temp: group.temp.clone() });
            }
        }
        None
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an encoder does until the file is finished or given up.
    fn serve(&self) {
        let mut state = self.state();
        while !state.stopped {
            match state.next() {
                Some(task) => {
                    drop(state);
                    self.run(task);
                    state = self.state();
                }
                None => state = self.work.wait(state),
            }
        }
    }

    fn run(&self, task: Task) {
        let (number, column) = (task.group, task.column);
        let seat = catch_unwind(AssertUnwindSafe(|| self.encode(task)));
        let seat =
            seat.unwrap_or_else(|_| Err(Error::Stream("internal error, please report it: encoding Parquet".into())));
        let seat = seat.unwrap_or_else(|e| Seat::Done(Err(e)));
        let mut state = self.state();
        let first = state.first;
        let at = usize::try_from(number - first).unwrap_or(usize::MAX);
        let mut dropped = Vec::new();
        if let Some(slot) = state.groups.get_mut(at).and_then(|group| group.slots.get_mut(column)) {
            if matches!(seat, Seat::Done(Err(_))) {
                dropped = std::mem::take(&mut slot.waiting);
            }
            slot.seat = seat;
        }
        drop(state);
        drop(dropped);
        self.done.ring();
    }

    fn encode(&self, task: Task) -> Result<Seat> {
        let Task { column, lane, parts, last, temp, .. } = task;
        let mut lane = match (lane, parts.first()) {
            (Some(lane), _) => lane,
            (None, Some(first)) => Box::new(Lane::open(&self.plan, column, &first.rows, &temp)?),
            (None, None) => return Ok(Seat::New),
        };
        for part in parts {
            self.cancel.check()?;
            if self.state().stopped {
                return Err(Error::Cancelled);
            }
            lane.write(&part.rows)?;
        }
        Ok(if last { Seat::Done(Ok(lane.close()?)) } else { Seat::Idle(lane) })
    }
}
