//! Bytes that come once, in order, read so that a run can be ended while it waits for them.
//!
//! A read from a pipe, FIFO, socket or terminal may block for ever. So nothing blocks in `read` itself: `poll(2)`
//! waits for bytes in ticks of 50 ms, and between ticks the run's cancel flag is asked. A FIFO is opened without
//! waiting for its writer, and only when it is first read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Error, Result};
use crate::source::read_at::{CancelSlot, Disk, Input, Live};

/// How long one wait lasts.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Stdin, called `-`. Redirected from a file and not yet read from, it is that file, read by position and any
/// number of times; otherwise it is live. The descriptor is a copy: stdin itself stays open and as it was.
///
/// # Errors
/// The system's, if stdin is closed.
pub fn stdin() -> Result<Input> {
    let failed = |e: io::Error| Error::io("-", e);
    let fd = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut file = File::from(fd);
    let meta = file.metadata().map_err(failed)?;
    if meta.is_file()
        && file.stream_position().map_err(failed)? == 0
        && let Ok(disk) = Disk::open(Path::new("/dev/stdin"))
    {
        return Ok(Input::Seekable(Arc::new(disk)));
    }
    Ok(polled("-", Polled::over(file.into())))
}

/// A pipe or device of the file system; opened when it is first read.
///
/// # Errors
/// The system's, where there is nothing to open or a folder stands there.
pub fn open(path: &Path) -> Result<Input> {
    let name = path.display().to_string();
    let kind = fs::metadata(path).map_err(|e| Error::io(&name, e))?.file_type();
    if kind.is_dir() || kind.is_socket() {
        let errno = if kind.is_dir() { libc::EISDIR } else { libc::ENXIO };
        return Err(Error::io(name, io::Error::from_raw_os_error(errno)));
    }
    Ok(polled(name, Polled::at(path.to_owned())))
}

fn polled(name: impl Into<String>, reader: Polled) -> Input {
    let slot = reader.cancel.clone();
    Input::Live(Arc::new(Live::new(name, false, Box::new(reader)).with_slot(slot)))
}

/// A reader that waits in ticks.
#[derive(Debug)]
pub struct Polled {
    from: From,
    cancel: CancelSlot,
}

#[derive(Debug)]
enum From {
    Path(PathBuf),
    Open(File),
}

impl Polled {
    /// Reads from an open descriptor, whose flags stay as they are.
    pub fn over(fd: OwnedFd) -> Self {
        Self { from: From::Open(fd.into()), cancel: CancelSlot::default() }
    }

    /// Opens `path` at the first read.
    pub fn at(path: PathBuf) -> Self {
        Self { from: From::Path(path), cancel: CancelSlot::default() }
    }

    fn file(&mut self) -> io::Result<&File> {
        if let From::Path(path) = &self.from {
            // Without O_NONBLOCK, open(2) of a FIFO waits for a writer and cannot be cancelled.
            let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
            self.from = From::Open(file);
        }
        match &self.from {
            From::Open(file) => Ok(file),
            From::Path(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Read for Polled {
    /// Gives what there is, at least a byte; 0 at the end only.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let cancel = self.cancel.clone();
        let mut file = self.file()?;
        loop {
            if cancel.is_cancelled() {
                return Err(io::Error::other(Error::Cancelled));
            }
            if !ready(file)? {
                continue;
            }
            match file.read(into) {
                Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                other => return other,
            }
        }
    }
}

/// Waits one tick at most; whether a read would now return at once, with bytes, the end or an error.
fn ready(file: &File) -> io::Result<bool> {
    let mut polled = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut polled, Some(&TICK)) {
        Ok(n) => Ok(n > 0),
        Err(e) if e == rustix::io::Errno::INTR => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Cancel;
    use std::io::Write;
    use std::time::{Duration, Instant};

    fn live(input: Input) -> Arc<Live> {
        match input {
            Input::Live(live) => live,
            Input::Seekable(at) => panic!("{at:?} is not live"),
        }
    }

    #[test]
    fn a_pipe_gives_what_it_has_and_then_its_end() {
        let (read, mut write) = io::pipe().expect("a pipe");
        let mut polled = Polled::over(read.into());
        write.write_all(b"abc").expect("room");
        let mut bytes = [0; 100];
        assert_eq!(polled.read(&mut bytes).expect("bytes"), 3);
        drop(write);
        assert_eq!(polled.read(&mut bytes).expect("the end"), 0);
    }

    #[test]
    fn cancel_ends_a_wait() {
        let (read, _write) = io::pipe().expect("a pipe");
        let live = live(polled("p", Polled::over(read.into())));
        let cancel = Cancel::default();
        live.cancel_with(&cancel);
        let mut reader = live.take().expect("first run");
        assert!(live.take().is_none(), "it can be read once");
        let waiting = std::thread::spawn(move || reader.read(&mut [0; 10]).map_err(Error::from));
        std::thread::sleep(Duration::from_millis(20));
        let asked = Instant::now();
        cancel.cancel();
        assert!(matches!(waiting.join().expect("no panic"), Err(Error::Cancelled)));
        assert!(asked.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_fifo_waits_for_its_writer_at_the_first_read_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("fifo");
        let status = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
        assert!(status.success());
        let live = live(open(&path).expect("not opened yet"));
        let writing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(120));
            fs::write(path, b"late")
        });
        let mut text = String::new();
        live.take().expect("first run").read_to_string(&mut text).expect("read");
        assert_eq!(text, "late");
        writing.join().expect("no panic").expect("written");
    }

    #[test]
    fn a_device_is_live_and_a_folder_an_error() {
        let mut reader = live(open(Path::new("/dev/null")).expect("a device")).take().expect("first run");
        assert_eq!(reader.read(&mut [0; 10]).expect("the end"), 0);
        assert!(
            matches!(open(Path::new("/")), Err(Error::Io { source, .. }) if source.raw_os_error() == Some(libc::EISDIR))
        );
    }
}
