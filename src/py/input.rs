//! Python's file objects as inputs and outputs of the core.
//!
//! A plain file of `io` is read by its descriptor, at positions of our own, from any thread. Bytes in memory are read
//! where they are. Everything else (zip members, fsspec, wrappers) is read through its methods, on the consumer's
//! thread only.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::error::foreign;
use crate::error::{Error, Result};
use crate::source::read_at::{InMemory, Input, Live, ReadAt};

/// A file object as an input, from where it stands.
///
/// # Errors
/// `TypeError` for what has no `read`, or reads text.
pub fn input(object: &Bound<'_, PyAny>) -> PyResult<Input> {
    let name = name_of(object);
    if !object.hasattr("read")? {
        let found = object.get_type().name()?.to_string();
        let expected = "a path, a glob, a folder, a list of these or a binary file object";
        return Err(Error::Type(format!("expected {expected}, found {found}")).into());
    }
    let seekable = match object.getattr_opt("seekable")? {
        Some(method) => method.call0()?.is_truthy()?,
        None => object.hasattr("seek")? && object.hasattr("tell")?,
    };
    let probe = object.call_method1("read", (0,))?;
    if probe.is_instance_of::<pyo3::types::PyString>() {
        return Err(Error::Type(format!("{name}: a text file object gives str; open it with mode \"rb\"")).into());
    }
    if !seekable {
        let reader = PyFile { object: object.clone().unbind(), name: name.clone() };
        return Ok(Input::Live(Arc::new(Live::new(name, true, Box::new(reader)))));
    }
    let start: u64 = object.call_method0("tell")?.extract()?;
    if let Some(bytes) = in_memory(object)? {
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
        return Ok(Input::Seekable(Arc::new(InMemory::new(name, bytes.slice(start..)))));
    }
    if let Some(file) = plain(object)? {
        let size = file.metadata()?.len().saturating_sub(start);
        return Ok(Input::Seekable(Arc::new(Window { name, file, start, size })));
    }
    let end: u64 = object.call_method1("seek", (0, 2))?.extract()?;
    object.call_method1("seek", (start,))?;
    let size = end.saturating_sub(start);
    Ok(Input::Seekable(Arc::new(Seekable { object: object.clone().unbind(), name, start, size })))
}

fn name_of(object: &Bound<'_, PyAny>) -> String {
    let name = object.getattr("name").ok().and_then(|name| name.extract::<String>().ok());
    name.unwrap_or_else(|| object.get_type().name().map_or_else(|_| "file object".into(), |n| format!("<{n}>")))
}

/// The bytes of an `io.BytesIO`, shared with it.
fn in_memory(object: &Bound<'_, PyAny>) -> PyResult<Option<Bytes>> {
    let class = object.py().import("io")?.getattr("BytesIO")?;
    if !object.get_type().is(&class) {
        return Ok(None);
    }
    let bytes: PyBackedBytes = object.call_method0("getvalue")?.extract()?;
    Ok(Some(Bytes::from_owner(bytes)))
}

/// A plain file of `io`, opened a second time; none for objects that only borrow one (gzip, sockets).
fn plain(object: &Bound<'_, PyAny>) -> PyResult<Option<File>> {
    let io = object.py().import("io")?;
    let raw = io.getattr("FileIO")?;
    let class = object.get_type();
    let own = class.is(&raw)
        || ((class.is(&io.getattr("BufferedReader")?) || class.is(&io.getattr("BufferedRandom")?))
            && object.getattr("raw")?.get_type().is(&raw));
    if !own {
        return Ok(None);
    }
    let fd: i32 = object.call_method0("fileno")?.extract()?;
    // what is still in a writer's buffer is part of the file
    if object.hasattr("flush")? {
        object.call_method0("flush")?;
    }
    // a file that only the object can reach (deleted and on a strange system) is read through the object
    Ok(again(fd).ok().filter(|file| file.metadata().is_ok_and(|m| m.is_file())))
}

/// The file behind a descriptor of the caller's, open a second time.
fn again(fd: i32) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{fd}")).or_else(|_| File::open(format!("/dev/fd/{fd}")))
}

/// A file from a position on.
#[derive(Debug)]
struct Window {
    name: String,
    file: File,
    start: u64,
    size: u64,
}

impl ReadAt for Window {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        let room = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(into.len());
        self.file.read_at(&mut into[..room], self.start + offset).map_err(|e| Error::io(&self.name, e))
    }
}

/// An object that seeks and reads.
struct Seekable {
    object: Py<PyAny>,
    name: String,
    start: u64,
    size: u64,
}

impl fmt::Debug for Seekable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seekable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ReadAt for Seekable {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        Python::attach(|py| {
            let object = self.object.bind(py);
            object.call_method1("seek", (self.start + offset,)).map_err(foreign)?;
            read_into(object, into, &self.name)
        })
    }

    fn on_consumer(&self) -> bool {
        true
    }
}

fn read_into(object: &Bound<'_, PyAny>, into: &mut [u8], name: &str) -> Result<usize> {
    let method = if object.hasattr("read1").map_err(foreign)? { "read1" } else { "read" };
    let found = object.call_method1(method, (into.len(),)).map_err(foreign)?;
    if found.is_none() {
        return Err(Error::Io { path: Some(name.into()), source: io::ErrorKind::WouldBlock.into() });
    }
    let bytes = found
        .cast::<PyBytes>()
        .map_err(|_| {
            Error::Type(format!("{name}: expected bytes from read(), found {}; open it with \"rb\"", found.get_type()))
        })?
        .as_bytes();
    let room = into
        .get_mut(..bytes.len())
        .ok_or_else(|| Error::Stream(format!("{name}: read() gave more bytes than asked for")))?;
    room.copy_from_slice(bytes);
    Ok(bytes.len())
}

/// An object that reads or writes, in order.
pub struct PyFile {
    object: Py<PyAny>,
    name: String,
}

impl PyFile {
    /// `object` as an output.
    ///
    /// # Errors
    /// `TypeError` for what has no `write`, or takes text.
    pub fn output(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = name_of(object);
        if !object.hasattr("write")? {
            let found = object.get_type().name()?.to_string();
            return Err(Error::Type(format!("expected a path or a binary file object, found {found}")).into());
        }
        if object.hasattr("encoding")? {
            return Err(Error::Type(format!("{name}: a text file object takes str; open it with mode \"wb\"")).into());
        }
        Ok(Self { object: object.clone().unbind(), name })
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The caller's own exception, through `std::io`.
fn carried(error: Error) -> io::Error {
    io::Error::other(error)
}

impl Read for PyFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Python::attach(|py| read_into(self.object.bind(py), into, &self.name)).map_err(carried)
    }
}

impl Write for PyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let written = self.object.bind(py).call_method1("write", (PyBytes::new(py, bytes),)).map_err(foreign)?;
            // raw files may take less; others return None or a number that means all
            Ok::<_, Error>(written.extract::<usize>().unwrap_or(bytes.len()).min(bytes.len()))
        })
        .map_err(carried)
    }

    fn flush(&mut self) -> io::Result<()> {
        Python::attach(|py| {
            let object = self.object.bind(py);
            if object.hasattr("flush").map_err(foreign)? {
                object.call_method0("flush").map_err(foreign)?;
            }
            Ok::<_, Error>(())
        })
        .map_err(carried)
    }
}
