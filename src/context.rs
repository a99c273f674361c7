//! What every part of one run shares: options, memory, cancel flag, counters. One a run, no globals.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::alloc::Running;
use crate::error::{Error, Result};
use crate::memory::MemoryPool;

/// Rows of a batch where nobody says otherwise.
pub const BATCH_SIZE: usize = 65_536;
/// Bytes of a batch where nobody says otherwise.
pub const BATCH_BYTES: usize = 16 << 20;
/// No budget smaller than this is taken: below it not even one small batch and its decoder fit.
const SMALLEST_LIMIT: usize = 1 << 20;

/// The run options, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Worker threads.
    pub threads: usize,
    /// The most rows of a batch.
    pub batch_size: usize,
    /// The most bytes of a batch.
    pub batch_bytes: usize,
    /// Batches made ahead of the consumer; `None`: `threads`; 0: all work is done inside `next`, with no thread.
    pub prefetch: Option<usize>,
    /// The budget in bytes; `None`: no limit.
    pub memory_limit: Option<usize>,
    /// Where to spill; `None`: the system's temporary folder.
    pub temp_dir: Option<PathBuf>,
    /// The most bytes to spill; `None`: no limit.
    pub max_temp_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            batch_size: BATCH_SIZE,
            batch_bytes: BATCH_BYTES,
            prefetch: None,
            memory_limit: Some(default_limit()),
            temp_dir: None,
            max_temp_bytes: None,
        }
    }
}

impl Options {
    /// The options, if they make sense.
    ///
    /// # Errors
    /// [`Error::Value`] naming the option.
    pub fn check(self) -> Result<Self> {
        for (name, value) in
            [("threads", self.threads), ("batch_size", self.batch_size), ("batch_bytes", self.batch_bytes)]
        {
            if value == 0 {
                return Err(Error::Value(format!("`{name}` must be at least 1, found 0")));
            }
        }
        if let Some(limit) = self.memory_limit.filter(|l| *l < SMALLEST_LIMIT) {
            return Err(Error::Value(format!("`memory_limit` must be at least 1 MiB, found {limit} bytes")));
        }
        Ok(self)
    }

    /// Bytes of a batch in force: what was asked for, at most a 32nd of the limit.
    pub fn bytes_in_force(&self) -> usize {
        self.memory_limit.map_or(self.batch_bytes, |limit| self.batch_bytes.min(limit / 32)).max(1)
    }

    /// Batches made ahead that are in force.
    pub fn ahead(&self) -> usize {
        self.prefetch.unwrap_or(self.threads)
    }

    /// Bytes that batches made ahead may take: a quarter of the limit or 32 MiB, whichever is less.
    pub fn window(&self) -> usize {
        self.memory_limit.map_or(32 << 20, |limit| (limit / 4).min(32 << 20))
    }

    /// Whether all work is done on the consumer's thread, inside `next`.
    pub fn inline(&self) -> bool {
        self.ahead() == 0
    }
}

/// A quarter of the memory that the process may use, cgroup included, at most 1 GiB.
fn default_limit() -> usize {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib << 10)
    });
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| read(path)?.trim().parse::<usize>().ok());
    let most = machine.unwrap_or(4 << 30).min(group.unwrap_or(usize::MAX));
    (most / 4).clamp(SMALLEST_LIMIT, 1 << 30)
}

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
    started: Instant,
    stages: Mutex<Vec<Arc<Counters>>>,
}

impl Stats {
    fn new() -> Self {
        Self {
            rows_out: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            started: Instant::now(),
            stages: Mutex::new(Vec::new()),
        }
    }

    /// A new row.
    pub fn stage(&self, name: impl Into<String>) -> Arc<Counters> {
        let counters = Arc::new(Counters { name: name.into(), ..Counters::default() });
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).push(counters.clone());
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
    interrupt: fn() -> Result<()>,
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
        Arc::new(Self { memory, options, cancel, stats, interrupt, running: Arc::new(Running::new()) })
    }

    /// The same run with a cancel flag of its own, for a part that may end before the whole.
    #[must_use]
    pub fn segment(&self) -> Arc<Self> {
        Arc::new(Self {
            options: self.options.clone(),
            memory: self.memory.clone(),
            cancel: self.cancel.below(),
            stats: self.stats.clone(),
            interrupt: self.interrupt,
            running: self.running.clone(),
        })
    }

    /// # Errors
    /// What the caller's interrupt raises. Only for the consumer's thread.
    pub fn interrupted(&self) -> Result<()> {
        (self.interrupt)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_refused_by_name() {
        let e = Options { batch_size: 0, ..Options::default() }.check().expect_err("zero rows");
        assert_eq!(e.to_string(), "`batch_size` must be at least 1, found 0");
        assert!(Options { memory_limit: Some(10), ..Options::default() }.check().is_err());
    }

    #[test]
    fn batch_bytes_obey_the_limit() {
        let options = Options { memory_limit: Some(64 << 20), ..Options::default() };
        assert_eq!(options.bytes_in_force(), 2 << 20);
        assert_eq!(options.window(), 16 << 20);
        assert_eq!(Options { memory_limit: None, ..options }.bytes_in_force(), BATCH_BYTES);
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
