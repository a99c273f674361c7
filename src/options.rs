//! The run options, and what they come to.

use std::path::PathBuf;

use crate::error::{Error, Result};

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
    /// Whether sources are told what a plan wants of them. Off, every verb is done by its own stage: slower, and what
    /// tests compare with.
    pub pushdown: bool,
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
            pushdown: true,
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
}
