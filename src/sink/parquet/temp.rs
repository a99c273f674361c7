//! Finished pages that memory has no room for, in a file that nobody else sees.
//!
//! The file has no name from the moment it is made, so it is gone with the process, whatever ends it. A row group has
//! its own, which goes when the row group is written: what is on the disk is one or two row groups, not the output.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::context::{Context, Stats};
use crate::error::{Error, Result};

/// Where temporary files go, and how much may be in all of them together.
#[derive(Debug)]
pub(super) struct TempSpace {
    folder: PathBuf,
    most: Option<u64>,
    used: AtomicU64,
    stats: Arc<Stats>,
}

impl TempSpace {
    /// What the run's options say: `temp_dir` and `max_temp_bytes`.
    pub(super) fn new(context: &Context) -> Arc<Self> {
        Arc::new(Self {
            folder: context.options.temp_dir.clone().unwrap_or_else(std::env::temp_dir),
            most: context.options.max_temp_bytes,
            used: AtomicU64::new(0),
            stats: context.stats.clone(),
        })
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        let most = self.most.unwrap_or(u64::MAX);
        let fits = |used: u64| used.checked_add(bytes).filter(|total| *total <= most);
        match self.used.fetch_update(Relaxed, Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(used) => Err(Error::Spill(format!(
                "parquet sink needs {bytes} bytes more of temporary files, max_temp_bytes is {most} ({used} in use); \
                 raise it, raise memory_limit, or write smaller row groups"
            ))),
        }
    }

    fn failed(&self, e: &io::Error) -> Error {
        Error::Spill(format!(
            "writing pages to a temporary file in `{}` failed: {e}; free some space there or pass another temp_dir",
            self.folder.display()
        ))
    }
}

/// The temporary file of one row group; made with its first page.
#[derive(Debug)]
pub(super) struct Temp {
    space: Arc<TempSpace>,
    file: Mutex<Option<Arc<File>>>,
    /// Where the next page goes.
    end: AtomicU64,
}

impl Temp {
    /// No file yet.
    pub(super) fn new(space: &Arc<TempSpace>) -> Arc<Self> {
        Arc::new(Self { space: space.clone(), file: Mutex::new(None), end: AtomicU64::new(0) })
    }

    fn file(&self) -> io::Result<Arc<File>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*file {
            return Ok(file.clone());
        }
        let made = Arc::new(tempfile::tempfile_in(&self.space.folder)?);
        *file = Some(made.clone());
        Ok(made)
    }

    /// Writes a page and returns where it is.
    ///
    /// # Errors
    /// [`Error::Spill`]: the quota is used up, the disk is full, there is no such folder.
    pub(super) fn put(&self, page: &[u8]) -> Result<u64> {
        let len = page.len() as u64;
        self.space.reserve(len)?;
        let at = self.end.fetch_add(len, Relaxed);
        self.file().and_then(|file| file.write_all_at(page, at)).map_err(|e| self.space.failed(&e))?;
        self.space.stats.spilled_bytes.fetch_add(len, Relaxed);
        Ok(at)
    }

    /// The page of `len` bytes that was put `at`.
    pub(super) fn get(&self, at: u64, len: usize) -> io::Result<Bytes> {
        let mut page = vec![0; len];
        self.file()?.read_exact_at(&mut page, at)?;
        Ok(page.into())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        self.space.used.fetch_sub(self.end.load(Relaxed), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn space(options: Options) -> Arc<TempSpace> {
        TempSpace::new(&Context::new(options, || Ok(())))
    }

    #[test]
    fn pages_come_back_and_the_quota_with_the_file() {
        let space = space(Options { max_temp_bytes: Some(10), ..Options::default() });
        let temp = Temp::new(&space);
        let (a, b) = (temp.put(b"abc").expect("room"), temp.put(b"defgh").expect("room"));
        assert_eq!(&temp.get(b, 5).expect("is there")[..], b"defgh");
        assert_eq!(&temp.get(a, 3).expect("is there")[..], b"abc");
        let e = Temp::new(&space).put(b"ijk").expect_err("the quota is the run's");
        assert!(matches!(&e, Error::Spill(m) if m.contains("max_temp_bytes is 10 (8 in use)")), "{e}");
        drop(temp);
        Temp::new(&space).put(b"ijk").expect("room again");
        assert_eq!(space.stats.spilled_bytes.load(Relaxed), 11);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let space = space(Options { temp_dir: Some("/nowhere/at/all".into()), ..Options::default() });
        let e = Temp::new(&space).put(b"abc").expect_err("no folder");
        assert!(matches!(&e, Error::Spill(m) if m.contains("`/nowhere/at/all`")), "{e}");
    }
}
