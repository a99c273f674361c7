//! What every part of one run shares: options, memory, cancel flag, counters, logs of rejects. One a run, no globals.

pub mod rejects;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::alloc::Running;
use crate::error::{Error, Result};
use crate::memory::MemoryPool;
use crate::options::Options;

use rejects::{Logs, Tray};

/// The flag that ends a run. Cheap to clone and to ask.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    own: Arc<AtomicBool>,
    above: Option<Arc<AtomicBool>>,
}

impl Cancel {
    /// Ends the run: every part of it stops at its next [`Cancel::check`].
    pub fn cancel(&self) {
        self.own.store(true, Relaxed);
    }

    /// Whether the run was ended.
    pub fn is_cancelled(&self) -> bool {
        self.own.load(Relaxed) || self.above.as_ref().is_some_and(|above| above.load(Relaxed))
    }

    /// A flag that this one ends too, and that can end before it.
    fn below(&self) -> Self {
        Self { own: Arc::default(), above: Some(self.above.clone().unwrap_or_else(|| self.own.clone())) }
    }

    /// # Errors
    /// [`Error::Cancelled`] once the run was ended.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// One row of counters: a stage's.
#[derive(Debug, Default)]
pub struct Counters {
    /// The stage, as `explain()` calls it.
    pub name: String,
    /// Rows that came in (records, for a reader).
    pub rows_in: AtomicU64,
    /// Rows that went out.
    pub rows_out: AtomicU64,
    /// Bytes that came in (of the file, for a reader).
    pub bytes_in: AtomicU64,
    /// Bytes that went out.
    pub bytes_out: AtomicU64,
    /// Records rejected.
    pub rejects: AtomicU64,
    /// Files opened.
    pub files: AtomicU64,
    /// Nanoseconds of work.
    pub nanos: AtomicU64,
    /// Further figures by name: row groups pruned, pages skipped.
    pub extra: Mutex<Vec<(String, u64)>>,
}

impl Counters {
    /// Adds `n` to the further figure `name`.
    pub fn add(&self, name: &str, n: u64) {
        let mut extra = self.extra.lock().unwrap_or_else(PoisonError::into_inner);
        match extra.iter_mut().find(|(known, _)| known == name) {
            Some((_, total)) => *total += n,
            None => extra.push((name.to_owned(), n)),
        }
    }
}

/// The counters of a run, a row a stage, in the order of the plan.
#[derive(Debug)]
pub struct Stats {
    /// Rows that left the run: handed to the caller, or written.
    pub rows_out: AtomicU64,
    /// Bytes of them.
    pub bytes_out: AtomicU64,
    /// Bytes written to temporary files.
    pub spilled_bytes: AtomicU64,
    started: Instant,
    stages: Mutex<Vec<Arc<Counters>>>,
}

impl Stats {
    fn new() -> Self {
        Self {
            rows_out: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            spilled_bytes: AtomicU64::new(0),
            started: Instant::now(),
            stages: Mutex::new(Vec::new()),
        }
    }

    /// The row called `name`: parts of a run that do the same work, file after file, share one.
    pub fn stage(&self, name: impl Into<String>) -> Arc<Counters> {
        let name = name.into();
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = stages.iter().find(|s| s.name == name) {
            return known.clone();
        }
        let counters = Arc::new(Counters { name, ..Counters::default() });
        stages.push(counters.clone());
        counters
    }

    /// All rows.
    pub fn stages(&self) -> Vec<Arc<Counters>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seconds since the run was made.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// What a run shares with all its parts.
#[derive(Debug)]
pub struct Context {
    /// The run options.
    pub options: Options,
    /// The budget.
    pub memory: Arc<MemoryPool>,
    /// Ends the run.
    pub cancel: Cancel,
    /// The counters.
    pub stats: Arc<Stats>,
    /// What readers could not read, in order.
    pub logs: Arc<Logs>,
    /// What a reader could not read of the piece that this context is for.
    pub tray: Tray,
    interrupt: fn() -> Result<()>,
    /// When the interrupt was last asked.
    asked: Arc<Mutex<Instant>>,
    running: Arc<Running>,
}

/// How often a waiting thread looks whether it should still wait.
pub const TICK: Duration = Duration::from_millis(50);

impl Context {
    /// The context of a new run. `interrupt` is asked on the consumer's thread, every [`TICK`] of waiting or work,
    /// whether the caller was interrupted (Ctrl-C).
    pub fn new(options: Options, interrupt: fn() -> Result<()>) -> Arc<Self> {
        let memory = MemoryPool::new(options.memory_limit);
        let (cancel, stats) = (Cancel::default(), Arc::new(Stats::new()));
        let (asked, running) = (Arc::new(Mutex::new(Instant::now())), Arc::new(Running::new()));
        let (logs, tray) = (Arc::default(), Tray::default());
        Arc::new(Self { options, memory, cancel, stats, logs, tray, interrupt, asked, running })
    }

    /// The same run with a cancel flag of its own, for a part that may end before the whole.
    #[must_use]
    pub fn segment(&self) -> Arc<Self> {
        self.with(self.cancel.below())
    }

    /// The same part of the run with a tray of its own, for one piece.
    #[must_use]
    pub fn piece(&self) -> Arc<Self> {
        self.with(self.cancel.clone())
    }

    /// The same run for what must be done at its end, cancelled or not.
    #[must_use]
    pub fn uncancelled(&self) -> Arc<Self> {
        self.with(Cancel::default())
    }

    fn with(&self, cancel: Cancel) -> Arc<Self> {
        Arc::new(Self {
            options: self.options.clone(),
            memory: self.memory.clone(),
            cancel,
            stats: self.stats.clone(),
            logs: self.logs.clone(),
            tray: Tray::default(),
            interrupt: self.interrupt,
            asked: self.asked.clone(),
            running: self.running.clone(),
        })
    }

    /// Asks whether the caller was interrupted, if the last time is a [`TICK`] ago: the run has one clock, however
    /// short its segments are. Only for the consumer's thread; cheap enough for every batch.
    ///
    /// Returns whether it asked.
    ///
    /// # Errors
    /// What the caller's interrupt raises.
    pub fn interrupted(&self) -> Result<bool> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.elapsed() < TICK {
            return Ok(false);
        }
        *asked = Instant::now();
        drop(asked);
        (self.interrupt)()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_shorter_than_a_tick_still_ask_for_the_interrupt() {
        let context = Context::new(Options::default(), || Err(Error::Stream("Ctrl-C".into())));
        let started = Instant::now();
        let asked = std::iter::repeat_with(|| context.segment().interrupted()).find(Result::is_err);
        assert!(asked.is_some() && started.elapsed() >= TICK);
        assert!(matches!(context.interrupted(), Ok(false)), "once a tick");
    }

    #[test]
    fn cancel_is_seen_by_clones() {
        let cancel = Cancel::default();
        let other = cancel.clone();
        assert!(other.check().is_ok());
        cancel.cancel();
        assert!(matches!(other.check(), Err(Error::Cancelled)));
    }
}
