//! Where rows go.
//!
//! | file | |
//! |---|---|
//! | `atomic` | a file that is the old one or the whole new one |
//! | `parquet` | rows → a Parquet file |
//! | `csv` | rows → delimited text |
//! | `rejects` | what a reader could not read → one of these |
//!
//! Every sink writes to an [`Output`], which is an atomic file wherever the target is one, and otherwise stdout, a
//! pipe, a device or an object of the caller's.

pub mod atomic;
pub mod csv;
pub mod parquet;
pub mod rejects;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use self::atomic::AtomicFile;
use crate::error::{Error, Result};

/// What happens where the target exists (`mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is replaced.
    #[default]
    Overwrite,
    /// An error, and it stays.
    Error,
}

impl Mode {
    /// The option's value, as users write it.
    ///
    /// # Errors
    /// [`Error::Value`] listing what there is, [`Error::NotImplemented`] for what is not built yet.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "overwrite" => Ok(Mode::Overwrite),
            "error" => Ok(Mode::Error),
            "append" => Err(Error::NotImplemented("mode=\"append\" is not built yet".into())),
            _ => Err(Error::Value(format!("`mode`: expected \"overwrite\" or \"error\", found `{text}`"))),
        }
    }
}

/// What a sink wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Rows that went in.
    pub rows: u64,
    /// Bytes that came out.
    pub bytes: u64,
    /// The target, as the user named it.
    pub name: String,
    /// Whether the target was replaced in one step.
    pub atomic: bool,
}

/// Where a sink's bytes go.
#[derive(Debug)]
pub struct Output {
    name: String,
    to: To,
    bytes: u64,
}

enum To {
    Atomic(AtomicFile),
    Stream(Box<dyn Write + Send>),
}

impl fmt::Debug for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            To::Atomic(file) => file.fmt(f),
            To::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Output {
    /// The output for a path that the user gave: `-` is stdout; a pipe or device is written as it is; anything else
    /// is an atomic file.
    ///
    /// # Errors
    /// The system's, naming the path: the folder is missing, the target is a folder, may not be written, or exists
    /// and must not.
    pub fn open(path: &Path, mode: Mode) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |e: io::Error| Error::io(&name, e);
        if path.as_os_str() == "-" {
            let fd = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
            return Ok(Self::stream(name.clone(), Box::new(File::from(fd))));
        }
        if fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
            if mode == Mode::Error {
                return Err(failed(io::Error::from_raw_os_error(libc::EEXIST)));
            }
            let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
            return Ok(Self::stream(name.clone(), Box::new(file)));
        }
        let file = AtomicFile::create(path, mode)?;
        Ok(Self { name, to: To::Atomic(file), bytes: 0 })
    }

    /// An output that cannot be taken back: an object of the caller's, called `name` in errors.
    pub fn stream(name: impl Into<String>, writer: Box<dyn Write + Send>) -> Self {
        Self { name: name.into(), to: To::Stream(writer), bytes: 0 }
    }

    /// The target, as the user named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the target stays as it was until [`Output::commit`].
    pub fn is_atomic(&self) -> bool {
        matches!(self.to, To::Atomic(_))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The system's, naming the target.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|e| Error::io(&self.name, e))
    }

    /// Ends: what was written is safe on the disk, and the target is the new file. Without it, an atomic target
    /// stays as it was.
    ///
    /// # Errors
    /// The system's, naming the target.
    pub fn commit(self, rows: u64) -> Result<Written> {
        let Self { name, to, bytes } = self;
        let atomic = matches!(to, To::Atomic(_));
        match to {
            To::Atomic(file) => file.commit()?,
            To::Stream(mut writer) => writer.flush().map_err(|e| Error::io(&name, e))?,
        }
        Ok(Written { rows, bytes, name, atomic })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = match &mut self.to {
            To::Atomic(file) => file.write(bytes),
            To::Stream(writer) => writer.write(bytes),
        }?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Atomic(file) => file.flush(),
            To::Stream(writer) => writer.flush(),
        }
    }
}

/// Refuses to write to a file that the stream reads, whatever name it goes by: links of both kinds are seen.
///
/// Costs a `stat` a source.
///
/// # Errors
/// [`Error::Value`] naming both.
pub fn refuse_source(target: &Path, sources: &[PathBuf]) -> Result<()> {
    let Ok(meta) = fs::metadata(target) else { return Ok(()) };
    if !meta.is_file() {
        return Ok(());
    }
    let same = |path: &PathBuf| fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (meta.dev(), meta.ino()));
    match sources.iter().find(|path| same(path)) {
        Some(source) => Err(Error::Value(format!(
            "`{}` is a file that the stream reads (`{}`); write to another path and rename it afterwards",
            target.display(),
            source.display(),
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_source_is_seen_through_links() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a"), "x").expect("a file");
        fs::write(at("b"), "x").expect("a file");
        fs::hard_link(at("a"), at("hard")).expect("a link");
        symlink(at("a"), at("soft")).expect("a link");
        for target in ["a", "hard", "soft"] {
            let e = refuse_source(&at(target), &[at("b"), at("a")]).expect_err("the same file");
            assert!(matches!(&e, Error::Value(m) if m.contains(target)), "{e}");
        }
        refuse_source(&at("b"), &[at("a")]).expect("another file");
        refuse_source(&at("new"), &[at("a"), at("gone")]).expect("no file yet");
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_is_written_at_once_and_counted() {
        let kept = Kept::default();
        let mut output = Output::stream("object", Box::new(kept.clone()));
        output.put(b"abc").expect("memory");
        assert_eq!(*kept.0.lock().expect("one thread"), b"abc");
        let written = output.commit(1).expect("flushed");
        assert_eq!(written, Written { rows: 1, bytes: 3, name: "object".into(), atomic: false });
    }

    #[test]
    fn devices_are_written_as_they_are() {
        let mut output = Output::open(Path::new("/dev/null"), Mode::Overwrite).expect("a device");
        assert!(!output.is_atomic());
        output.put(b"abc").expect("takes all");
        assert_eq!(output.commit(0).expect("flushed").bytes, 3);
        let e = Output::open(Path::new("/dev/full"), Mode::Overwrite).and_then(|mut o| o.put(b"x")).expect_err("full");
        assert!(
            matches!(&e, Error::Io { path: Some(p), source } if p == "/dev/full" && source.raw_os_error() == Some(libc::ENOSPC))
        );
    }

    #[test]
    fn modes_are_named() {
        assert_eq!(Mode::parse("error").expect("known"), Mode::Error);
        assert!(matches!(Mode::parse("append"), Err(Error::NotImplemented(_))));
        assert!(matches!(Mode::parse("w"), Err(Error::Value(_))));
    }
}
