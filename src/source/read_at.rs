//! Bytes by position: what every reader of files stands on.
//!
//! Files are read with `pread`, never mapped: a mapping of a file that somebody truncates is a SIGBUS, and its
//! pages count as the process's memory. One descriptor serves any number of threads, as no offset is shared.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::context::Cancel;
use crate::error::{Error, Result};

/// A thing of known size whose bytes can be read at any position, from any thread.
pub trait ReadAt: Send + Sync + Debug {
    /// The name, as the user gave it; errors show it.
    fn name(&self) -> &str;

    /// The size in bytes.
    fn size(&self) -> u64;

    /// Reads at most `into.len()` bytes at `offset`; 0 only at the end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize>;

    /// The file in the file system, if it is one.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// Whether it must be read on the consumer's thread, because reading calls back into the caller's language.
    fn on_consumer(&self) -> bool {
        false
    }

    /// The same thing with nothing open, to be kept in a description between runs; `None` where nothing is open.
    fn closed(&self) -> Option<Arc<dyn ReadAt>> {
        None
    }

    /// A handle for one run; `None` where this one serves.
    ///
    /// # Errors
    /// The system's, and [`Error::Stream`] if the file is not the one that was described.
    fn reopened(&self) -> Result<Option<Arc<dyn ReadAt>>> {
        Ok(None)
    }

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// [`Error::Format`] if the input ends before.
    fn read_exact_at(&self, mut into: &mut [u8], mut offset: u64) -> Result<()> {
        while !into.is_empty() {
            match self.read_at(into, offset)? {
                0 => return Err(Error::Format(format!("{}: ends at byte {offset}, expected more", self.name()))),
                n => {
                    offset += n as u64;
                    into = &mut into[n..];
                }
            }
        }
        Ok(())
    }
}

/// A file of the file system.
#[derive(Debug)]
pub struct Disk {
    name: String,
    path: PathBuf,
    file: Option<File>,
    size: u64,
    identity: (u64, u64, i64, i64),
}

impl Disk {
    /// Opens `path`.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|e| Error::io(&name, e))?;
        let meta = file.metadata().map_err(|e| Error::io(&name, e))?;
        if meta.is_dir() {
            return Err(Error::io(&name, io::Error::from_raw_os_error(libc::EISDIR)));
        }
        let identity = (meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec());
        Ok(Self { name, path: path.to_owned(), file: Some(file), size: meta.len(), identity })
    }
}

impl ReadAt for Disk {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        let Some(file) = &self.file else {
            return Err(Error::Stream(format!("{}: not open", self.name)));
        };
        loop {
            match file.read_at(into, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(|e| Error::io(&self.name, e)),
            }
        }
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn closed(&self) -> Option<Arc<dyn ReadAt>> {
        let Self { name, path, size, identity, .. } = self;
        Some(Arc::new(Self { name: name.clone(), path: path.clone(), file: None, size: *size, identity: *identity }))
    }

    fn reopened(&self) -> Result<Option<Arc<dyn ReadAt>>> {
        let fresh = Self::open(&self.path)?;
        if (fresh.identity, fresh.size) != (self.identity, self.size) {
            return Err(Error::Stream(format!(
                "{}: changed since the stream was made; make the stream again",
                self.name
            )));
        }
        Ok(Some(Arc::new(fresh)))
    }
}

/// Bytes in memory.
#[derive(Debug, Clone)]
pub struct InMemory {
    name: String,
    bytes: Bytes,
}

impl InMemory {
    /// `bytes`, called `name` in errors.
    pub fn new(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl ReadAt for InMemory {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let n = into.len().min(self.bytes.len() - start);
        into[..n].copy_from_slice(&self.bytes[start..start + n]);
        Ok(n)
    }
}

/// Where a reader that waits learns which run it works for; shared by the input and its reader.
#[derive(Debug, Clone, Default)]
pub struct CancelSlot(Arc<Mutex<Option<Cancel>>>);

impl CancelSlot {
    /// From now on, `cancel` ends the waiting.
    pub fn set(&self, cancel: &Cancel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cancel.clone());
    }

    /// Whether the run, if there is one yet, was ended.
    pub fn is_cancelled(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Cancel::is_cancelled)
    }
}

/// Bytes that come once, in order: a pipe, a socket, stdin, a file object that cannot seek.
///
/// `read` gives what there is when it would otherwise block, and 0 at the end only.
pub struct Live {
    name: String,
    on_consumer: bool,
    cancel: CancelSlot,
    reader: Mutex<Option<Box<dyn Read + Send>>>,
}

impl Live {
    /// A live input called `name` in errors.
    pub fn new(name: impl Into<String>, on_consumer: bool, reader: Box<dyn Read + Send>) -> Self {
        Self { name: name.into(), on_consumer, cancel: CancelSlot::default(), reader: Mutex::new(Some(reader)) }
    }

    /// The same input, whose reader waits on `slot`.
    #[must_use]
    pub fn with_slot(mut self, slot: CancelSlot) -> Self {
        self.cancel = slot;
        self
    }

    /// Tells the reader which run it works for: once `cancel` is set, a read that waits fails with
    /// [`Error::Cancelled`]. To be called by whoever starts the run, before it reads.
    pub fn cancel_with(&self, cancel: &Cancel) {
        self.cancel.set(cancel);
    }

    /// The name, as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it must be read on the consumer's thread.
    pub fn on_consumer(&self) -> bool {
        self.on_consumer
    }

    /// The reader, for the one run that there can be.
    pub fn take(&self) -> Option<Box<dyn Read + Send>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One input of a reader.
#[derive(Debug, Clone)]
pub enum Input {
    /// Can be read anywhere, any number of times.
    Seekable(Arc<dyn ReadAt>),
    /// Can be read once.
    Live(Arc<Live>),
}

impl Input {
    /// The name, as the user gave it.
    pub fn name(&self) -> &str {
        match self {
            Input::Seekable(at) => at.name(),
            Input::Live(live) => live.name(),
        }
    }

    /// Whether it must be read on the consumer's thread.
    pub fn on_consumer(&self) -> bool {
        match self {
            Input::Seekable(at) => at.on_consumer(),
            Input::Live(live) => live.on_consumer(),
        }
    }
}
