//! A file that is the old one or the whole new one, whatever happens in between.
//!
//! Bytes go to a hidden file beside the target, which takes the target's place by `rename(2)` once they are on the
//! disk. Until then nobody sees them; dropped before [`AtomicFile::commit`], the hidden file goes and the target
//! stays. A target that is a symbolic link stays a link: what it points to is replaced.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::Mode;
use crate::error::{Error, Result};

/// Bytes gathered before a `write(2)`.
const BUFFER: usize = 128 << 10;
/// As many links are followed on the way to a target as the system does.
const MOST_LINKS: usize = 40;

/// A new file on its way to its target. Holds a buffer of 128 KiB and a descriptor.
#[derive(Debug)]
pub struct AtomicFile {
    /// The target as the user named it.
    name: String,
    /// The target, links resolved.
    target: PathBuf,
    mode: Mode,
    writer: BufWriter<NamedTempFile>,
}

impl AtomicFile {
    /// A new file for `target`, which is not touched before the commit. The new file has the permissions of the old,
    /// or those that any new file would get.
    ///
    /// # Errors
    /// The system's: `ENOENT` naming the missing folder, `EISDIR` where the target is a folder, `EACCES` where it may
    /// not be written, `EEXIST` where it exists and [`Mode::Error`] was asked for.
    pub fn create(target: &Path, mode: Mode) -> Result<Self> {
        let name = target.display().to_string();
        let failed = |e: io::Error| Error::io(&name, e);
        let os = |errno: i32| failed(io::Error::from_raw_os_error(errno));
        let target = behind_links(target).map_err(failed)?;
        let Some(file_name) = target.file_name() else {
            return Err(os(if target.as_os_str().is_empty() { libc::ENOENT } else { libc::EISDIR }));
        };
        if name.ends_with('/') {
            return Err(os(libc::EISDIR));
        }
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // absolute, so that a change of the working folder cannot lead the rename astray
        let folder = fs::canonicalize(folder).map_err(|e| Error::io(folder.display().to_string(), e))?;
        let target = folder.join(file_name);
        let old = match fs::metadata(&target) {
            Ok(meta) if meta.is_dir() => return Err(os(libc::EISDIR)),
            Ok(_) if mode == Mode::Error => return Err(os(libc::EEXIST)),
            Ok(meta) => {
                // a rename asks nobody whether the old file may be written
                OpenOptions::new().write(true).open(&target).map_err(failed)?;
                Some(Permissions::from_mode(meta.permissions().mode() & 0o7777))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed(e)),
        };
        let hidden = Builder::new()
            .prefix(&prefix(file_name))
            .suffix(".tmp")
            .permissions(Permissions::from_mode(if old.is_some() { 0o600 } else { 0o666 }))
            .tempfile_in(&folder)
            .map_err(|e| Error::io(folder.display().to_string(), e))?;
        if let Some(permissions) = old {
            hidden.as_file().set_permissions(permissions).map_err(failed)?;
        }
        Ok(Self { name, target, mode, writer: BufWriter::with_capacity(BUFFER, hidden) })
    }

    /// Puts the new file in the target's place: flush, `fsync`, rename, `fsync` of the folder.
    ///
    /// # Errors
    /// The system's, naming the target; it is then as it was. `EEXIST` if it came to be meanwhile and
    /// [`Mode::Error`] was asked for.
    pub fn commit(self) -> Result<()> {
        let Self { name, target, mode, writer } = self;
        let failed = |e: io::Error| Error::io(&name, e);
        let hidden = writer.into_inner().map_err(|e| failed(e.into_error()))?;
        hidden.as_file().sync_all().map_err(failed)?;
        match mode {
            Mode::Overwrite => hidden.persist(&target),
            Mode::Error => hidden.persist_noclobber(&target),
        }
        .map_err(|e| failed(e.error))?;
        let folder = target.parent().unwrap_or(Path::new("/"));
        match File::open(folder).and_then(|f| f.sync_all()) {
            // some file systems cannot sync a folder; the rename is done all the same
            Err(e) if !matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EACCES | libc::ENOTSUP)) => Err(failed(e)),
            _ => Ok(()),
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// What `path` stands for when it is a link, also one to a file that is not there yet.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.file_type().is_symlink() => {
                let to = fs::read_link(&path)?;
                path = path.parent().map_or_else(|| to.clone(), |parent| parent.join(&to));
            }
            _ => return Ok(path),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// `.name.`, short enough that the whole name is one.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = vec![b'.'];
    prefix.extend(name.as_bytes().iter().take(200));
    prefix.push(b'.');
    OsString::from_vec(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn listing(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .expect("a folder")
            .map(|e| e.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    fn errno(result: Result<impl Sized>) -> (String, i32) {
        match result {
            Err(Error::Io { path, source }) => (path.unwrap_or_default(), source.raw_os_error().unwrap_or_default()),
            Err(e) => panic!("{e}"),
            Ok(_) => panic!("no error"),
        }
    }

    fn write(target: &Path, mode: Mode, text: &str) -> Result<()> {
        let mut file = AtomicFile::create(target, mode)?;
        file.write_all(text.as_bytes())?;
        file.commit()
    }

    #[test]
    fn the_target_is_the_old_file_until_the_commit() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("out.csv");
        fs::write(&target, "old").expect("a file");
        let mut file = AtomicFile::create(&target, Mode::Overwrite).expect("writable");
        file.write_all(b"new").expect("room");
        assert_eq!(fs::read_to_string(&target).expect("is there"), "old");
        assert!(listing(dir.path())[0].starts_with(".out.csv."), "hidden, so that no folder reads it");
        file.commit().expect("renamed");
        assert_eq!(fs::read_to_string(&target).expect("is there"), "new");
        assert_eq!(listing(dir.path()), ["out.csv"]);
    }

    #[test]
    fn without_commit_nothing_happened() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("out.csv");
        for old in [None, Some("old")] {
            if let Some(text) = old {
                fs::write(&target, text).expect("a file");
            }
            let mut file = AtomicFile::create(&target, Mode::Overwrite).expect("writable");
            file.write_all(&vec![7; 1 << 20]).expect("room");
            drop(file);
            assert_eq!(fs::read_to_string(&target).ok().as_deref(), old);
            assert_eq!(listing(dir.path()).len(), usize::from(old.is_some()));
        }
    }

    #[test]
    fn permissions_are_the_old_ones_or_a_new_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o7777;
        let (plain, new, old) = (dir.path().join("plain"), dir.path().join("new"), dir.path().join("old"));
        fs::write(&plain, "").expect("a file");
        write(&new, Mode::Overwrite, "x").expect("written");
        assert_eq!(mode(&new), mode(&plain));
        fs::write(&old, "").expect("a file");
        fs::set_permissions(&old, Permissions::from_mode(0o640)).expect("mine");
        write(&old, Mode::Overwrite, "x").expect("written");
        assert_eq!(mode(&old), 0o640);
    }

    #[test]
    fn a_link_stays_and_its_file_is_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("real")).expect("a folder");
        symlink("real/file", at("link")).expect("a link");
        for text in ["first", "second"] {
            write(&at("link"), Mode::Overwrite, text).expect("written");
            assert!(fs::symlink_metadata(at("link")).expect("is there").file_type().is_symlink());
            assert_eq!(fs::read_to_string(at("real/file")).expect("is there"), text);
        }
        symlink(at("loop"), at("loop")).expect("a link");
        assert_eq!(errno(AtomicFile::create(&at("loop"), Mode::Overwrite)).1, libc::ELOOP);
    }

    #[test]
    fn mode_error_keeps_what_is_there_also_at_the_commit() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("out");
        let file = AtomicFile::create(&target, Mode::Error).expect("not there yet");
        fs::write(&target, "came first").expect("a file");
        assert_eq!(errno(file.commit()).1, libc::EEXIST);
        assert_eq!(errno(AtomicFile::create(&target, Mode::Error)).1, libc::EEXIST);
        assert_eq!(fs::read_to_string(&target).expect("is there"), "came first");
        assert_eq!(listing(dir.path()), ["out"]);
        fs::remove_file(&target).expect("mine");
        write(&target, Mode::Error, "new").expect("free");
    }

    #[test]
    fn what_cannot_be_a_target_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let missing = dir.path().join("no/such");
        let (path, code) = errno(AtomicFile::create(&missing.join("out"), Mode::Overwrite));
        assert_eq!((path, code), (missing.display().to_string(), libc::ENOENT));
        assert_eq!(errno(AtomicFile::create(dir.path(), Mode::Overwrite)).1, libc::EISDIR);
        assert_eq!(errno(AtomicFile::create(Path::new("/"), Mode::Overwrite)).1, libc::EISDIR);
        assert_eq!(errno(AtomicFile::create(&dir.path().join("new/"), Mode::Overwrite)).1, libc::EISDIR);
        fs::write(dir.path().join("file"), "").expect("a file");
        assert_eq!(errno(AtomicFile::create(&dir.path().join("file/out"), Mode::Overwrite)).1, libc::ENOTDIR);
    }

    #[test]
    fn long_names_are_cut_in_the_hidden_file_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("x".repeat(255));
        write(&target, Mode::Overwrite, "x").expect("written");
        assert_eq!(listing(dir.path()), ["x".repeat(255)]);
    }
}
