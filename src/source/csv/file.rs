//! One CSV input as it was found: names, types, dialect; and how its bytes are reached.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::datatypes::{DataType, SchemaRef};

use crate::error::{Error, Result};
use crate::format::{Bearing, Compression, CsvDialect, OnError};
use crate::memory::Holder;
use crate::piece::Place;
use crate::source::inflate::{Room, inflate};
use crate::source::read_at::{Input, ReadAt};

use super::column::{Nulls, Writing};
use super::cut::{Cut, Cutter, own};
use super::encoding::{self, Encoding};
use super::header::{Header, first_record};

/// What all runs over an input share.
#[derive(Debug)]
pub(super) struct File {
    /// The name, as the user gave it.
    pub(super) name: String,
    /// The bytes.
    pub(super) input: Input,
    /// How records and fields are told apart.
    pub(super) dialect: CsvDialect,
    /// Whether the first record is a header.
    pub(super) has_header: bool,
    /// The schema that the caller gave, for the header to be held against.
    pub(super) given: Option<SchemaRef>,
    /// Lines in front of the header.
    pub(super) skip_rows: u64,
    /// The final names of all columns.
    pub(super) names: Vec<String>,
    /// Their types.
    pub(super) types: Vec<DataType>,
    /// Their nulls.
    pub(super) nulls: Vec<Nulls>,
    /// How values are written.
    pub(super) writing: Arc<Writing>,
    /// What becomes of what cannot be read.
    pub(super) on_error: OnError,
    /// Where the rejects go, and how many are too many.
    pub(super) bearing: Arc<Bearing>,
    /// How the types came about, for `explain()`.
    pub(super) origin: String,
    /// What was read of a live input to infer its schema, for the one run that there can be.
    pub(super) kept: Mutex<Option<Kept>>,
    /// The size of pieces, where a test sets it.
    pub(super) piece_bytes: Option<usize>,
    /// How the input is compressed, once somebody asked.
    pub(super) compression: OnceLock<Option<Compression>>,
    /// The encoding that the caller named.
    pub(super) encoding: Encoding,
    /// The encoding that its first bytes tell, once they were read.
    pub(super) written: OnceLock<Encoding>,
    /// What was found out for the caller, for `explain()`.
    pub(super) guesses: Vec<String>,
}

/// A live input of which some was read.
#[derive(Debug)]
pub(super) struct Kept {
    /// The rest.
    pub(super) cutter: Cutter,
    /// What was read.
    pub(super) cuts: VecDeque<Cut>,
    /// What the decoder holds.
    pub(super) room: Room,
}

impl File {
    /// Whether pieces of the input can be read by their place: it is seekable, not compressed, and UTF-8.
    pub(super) fn is_as_it_stands(&self) -> Result<bool> {
        let Input::Seekable(at) = &self.input else { return Ok(true) };
        if self.compression.get().is_none() {
            let known = compression_of(at.as_ref())?;
            self.compression.get_or_init(|| known);
        }
        if self.compression.get().is_some_and(Option::is_some) {
            return Ok(false);
        }
        Ok(self.encoding.of(&first_bytes::<2>(at.as_ref())?) == Encoding::Utf8)
    }

    /// The encoding, as far as it is known.
    pub(super) fn encoding(&self) -> Encoding {
        self.written.get().copied().unwrap_or(self.encoding)
    }

    /// Brings a fresh cutter behind the header, which must fit what is known.
    pub(super) fn behind_header(&self, cutter: &mut Cutter, memory: Option<&Holder>) -> Result<()> {
        cutter.prologue(self.skip_rows, memory)?;
        if !self.has_header {
            return Ok(());
        }
        let Some(cut) = cutter.first(memory)? else { return Ok(()) };
        let Header { values: found, line, .. } = first_record(&self.name, self.encoding(), &cut, &self.dialect)?;
        if !found.is_empty() && found.len() != self.names.len() {
            return Err(Error::Schema(format!(
                "{}:{}: expected a header of {} columns, found {} (`{}`); {}",
                self.name,
                line,
                self.names.len(),
                found.len(),
                found.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("`, `"),
                if self.given.is_some() { "pass a schema that names them all" } else { "did the file change?" },
            )));
        }
        if let Some(given) = &self.given {
            let expected: Vec<&str> = given.fields().iter().map(|f| f.name().as_str()).collect();
            let mut pairs = expected.iter().zip(&found);
            if pairs.any(|(expected, name)| expected != name && found.iter().any(|other| other == expected)) {
                return Err(Error::Schema(format!(
                    "{}:{}: the header names columns of the schema in another order: `{}`; \
                     expected the order of the file, name them so in schema, or pass dtypes instead",
                    self.name,
                    line,
                    found.join("`, `"),
                )));
            }
        }
        Ok(())
    }
}

/// The way to a file's text.
#[derive(Debug)]
pub(super) enum Feed {
    /// Nothing was read yet.
    Closed(Unread),
    /// Being cut.
    Open(Cutter),
    /// Opening failed.
    Gone,
}

/// An input of which nothing was read.
pub(super) enum Unread {
    /// Can be read anywhere.
    Seekable(Arc<dyn ReadAt>),
    /// Can be read once.
    Live(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Unread::Seekable(_) => "Seekable",
            Unread::Live(_) => "Live",
        })
    }
}

impl Unread {
    /// The bytes of `input`; those of a live one are taken.
    ///
    /// # Errors
    /// [`Error::Stream`] if they were taken before.
    pub(super) fn of(input: &Input) -> Result<Self> {
        match input {
            Input::Seekable(at) => Ok(Unread::Seekable(at.reopened()?.unwrap_or_else(|| at.clone()))),
            Input::Live(live) => match live.take() {
                Some(reader) => Ok(Unread::Live(reader)),
                None => Err(once(live.name())),
            },
        }
    }

    /// A cutter over the text, decompressed (by `crew` threads, where one can) and decoded, that begins at `from` if the input can be read from there;
    /// and the encoding that its first bytes tell.
    ///
    /// # Errors
    /// The input's.
    pub(super) fn open(
        self,
        name: &str,
        encoding: Encoding,
        dialect: &CsvDialect,
        from: u64,
        (room, crew): (&Room, usize),
    ) -> Result<(Cutter, Encoding)> {
        let (mut text, live, encoding, plain): (Box<dyn Read + Send>, _, _, _) = match self {
            Unread::Seekable(at) => {
                let compression = compression_of(at.as_ref())?;
                if compression.is_none() {
                    check_whole(name, at.as_ref())?;
                    let encoding = encoding.of(&first_bytes::<2>(at.as_ref())?);
                    let offset = if encoding == Encoding::Utf8 { from } else { 0 };
                    (Box::new(FromOffset { at, offset }), false, encoding, true)
                } else {
                    let text = inflated(name, compression, Box::new(FromOffset { at, offset: 0 }), (room, crew))?;
                    let (text, encoding) = encoding_of(name, encoding, text)?;
                    (text, false, encoding, false)
                }
            }
            Unread::Live(mut reader) => {
                let head = head_of(&mut *reader).map_err(|e| own(name, e))?;
                let compression = Compression::of_magic(&head);
                let text = inflated(name, compression, Box::new(Cursor::new(head).chain(reader)), (room, 1))?;
                let (text, encoding) = encoding_of(name, encoding, text)?;
                (text, true, encoding, compression.is_none())
            }
        };
        if encoding != Encoding::Utf8 {
            room.beside(encoding::HELD)?;
            text = encoding.reader(text);
        }
        let as_it_stands = plain && encoding == Encoding::Utf8;
        Ok((Cutter::new(name, text, live, as_it_stands, dialect.clone()), encoding))
    }
}

fn inflated(
    name: &str,
    compression: Option<Compression>,
    reader: Box<dyn Read + Send>,
    (room, crew): (&Room, usize),
) -> Result<Box<dyn Read + Send>> {
    match compression {
        Some(compression) => inflate(name, compression, reader, room, crew),
        None => Ok(reader),
    }
}

/// The encoding that the first bytes of `text` tell, and all of the text.
fn encoding_of(
    name: &str,
    encoding: Encoding,
    mut text: Box<dyn Read + Send>,
) -> Result<(Box<dyn Read + Send>, Encoding)> {
    let mut head = Vec::new();
    // A second byte is waited for only behind the first of a mark.
    while head.len() < 2 && matches!(head.first(), None | Some(0xfe | 0xff)) {
        let mut byte = [0];
        match text.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => head.extend(byte),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(own(name, e)),
        }
    }
    let encoding = encoding.of(&head);
    Ok((Box::new(Cursor::new(head).chain(text)), encoding))
}

impl Feed {
    /// Whether something was read.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Feed::Open(_))
    }

    /// The cutter, and whether it was made just now; `crew` threads may inflate for it.
    ///
    /// # Errors
    /// The input's.
    pub(super) fn open(
        &mut self,
        file: &File,
        from: Option<&Place>,
        holder: &Holder,
        crew: usize,
    ) -> Result<(&mut Cutter, bool)> {
        let mut fresh = false;
        if matches!(self, Feed::Closed(_))
            && let Feed::Closed(unread) = std::mem::replace(self, Feed::Gone)
        {
            let room = Room::default();
            room.bind(holder)?;
            let offset = from.map_or(0, |p| p.start);
            let (cutter, encoding) = unread.open(&file.name, file.encoding, &file.dialect, offset, (&room, crew))?;
            let _ = file.written.set(encoding);
            *self = Feed::Open(cutter);
            fresh = true;
        }
        match self {
            Feed::Open(cutter) => Ok((cutter, fresh)),
            _ => Err(Error::Stream(format!("{}: could not be opened before", file.name))),
        }
    }
}

/// A one-shot input that was read before.
pub(super) fn once(name: &str) -> Error {
    Error::Stream(format!(
        "`{name}` can be read once only, and a run did so; open it again, or read a file that can seek"
    ))
}

/// What a live input was read of, for its run.
pub(super) fn take_kept(file: &File) -> Option<Kept> {
    file.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Enough of a live input to tell how it is compressed; no more than its first read if that looks like text.
fn head_of(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = vec![0; 64 << 10];
    let mut len = 0;
    while len < Compression::MAGIC {
        match reader.read(&mut head[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        let known = Compression::of_magic(&head[..len]).is_some();
        let long = matches!(&head[..len], [0x1f | 0x28 | 0xfd | 0x04] | [0x1f, 0x8b] | [b'B', b'Z', b'h', ..]);
        let longer = len < 6 && matches!(&head[..len], [0x28, 0xb5, ..] | [0xfd, b'7', ..] | [0x04, 0x22, ..])
            || len < 4 && matches!(&head[..len], [0x50..=0x5f, 0x2a, ..]);
        if known || !(long || longer) {
            break;
        }
    }
    head.truncate(len);
    Ok(head)
}

fn compression_of(at: &dyn ReadAt) -> Result<Option<Compression>> {
    Ok(Compression::of_magic(&first_bytes::<{ Compression::MAGIC }>(at)?))
}

/// The first `N` bytes, or all if they are fewer.
fn first_bytes<const N: usize>(at: &dyn ReadAt) -> Result<Vec<u8>> {
    let mut head = vec![0; N];
    let mut len = 0;
    while len < N {
        match at.read_at(&mut head[len..], len as u64)? {
            0 => break,
            n => len += n,
        }
    }
    head.truncate(len);
    Ok(head)
}

/// Refuses a file that is named as a compressed one and holds no more than the first bytes of its mark.
fn check_whole(name: &str, at: &dyn ReadAt) -> Result<()> {
    // The mark, and the bytes without which there is none: those of bzip2 go on behind its block size.
    let (mark, whole): (&[u8], usize) = match name.rsplit_once('.') {
        Some((_, "gz")) => (&[0x1f, 0x8b], 2),
        Some((_, "zst")) => (&[0x28, 0xb5, 0x2f, 0xfd], 4),
        Some((_, "bz2")) => (b"BZh", Compression::MAGIC),
        Some((_, "xz")) => (b"\xfd7zXZ", 5),
        Some((_, "lz4")) => (&[0x04, 0x22, 0x4d, 0x18], 4),
        _ => return Ok(()),
    };
    let head = first_bytes::<{ Compression::MAGIC }>(at)?;
    let len = head.len();
    if (1..whole).contains(&len) && mark.starts_with(&head[..len.min(mark.len())]) {
        return Err(Error::Format(format!(
            "{name}: expected a compressed file, found its first {len} bytes only; is it truncated?"
        )));
    }
    Ok(())
}

/// Bytes of a seekable input, one after the other.
struct FromOffset {
    at: Arc<dyn ReadAt>,
    offset: u64,
}

impl Read for FromOffset {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.at.read_at(into, self.offset).map_err(io::Error::other)?;
        self.offset += n as u64;
        Ok(n)
    }
}
