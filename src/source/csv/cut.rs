//! Cutting text into pieces of whole records.
//!
//! A cut must know which line ends are inside quotes, so the text is scanned once, in order, for quotes and line
//! ends only: a few GB/s. On the way records and lines are counted, so that a piece knows the exact line and offset
//! where it begins, and an upper bound of its rows.
//!
//! The rules are those of `split`; a piece that is cut here is split there into the same records as the whole would
//! be. Where a piece ends depends on its offset and the bytes alone, except for an input that is still being made.

use std::io::{self, Read};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::format::CsvDialect;
use crate::memory::{Holder, Lease};

use super::marks::Marks;
use super::masks::Machine;
use super::scan::{Scan, Scanner};
use super::sniff::Head;
use super::split::{Block, LARGEST, Most, Splitter, after_line};

/// The smallest and the largest piece that is aimed at, in bytes.
pub(super) const SMALL: usize = 64 << 10;
pub(super) const LARGE: usize = 1 << 20;

/// Bytes that are read at a time: they are scanned while they are in the cache.
const STEP: usize = 128 << 10;

/// Most bytes of one record where no budget says otherwise (while a schema is inferred).
const LONGEST: usize = 64 << 20;

/// A run of whole records.
#[derive(Debug)]
pub(super) struct Cut {
    /// The text.
    pub(super) bytes: Bytes,
    /// What `bytes` holds; nothing while a schema is inferred.
    pub(super) lease: Option<Lease>,
    /// Where it begins in the (decompressed) input.
    pub(super) offset: u64,
    /// The line of its first byte, from 1.
    pub(super) line: u64,
    /// Its records, exactly if none of them is bad.
    pub(super) records: u64,
}

impl Cut {
    /// Counts the records anew, now that `width`, the fields of each, is known: it decides what an empty line is.
    pub(super) fn recount(&mut self, dialect: &CsvDialect, width: usize) {
        let mut splitter = Splitter::new(dialect.clone(), Some(width));
        let (mut at, mut records) = (0, 0);
        while at < self.bytes.len() {
            let Block { end, fault } = splitter.block(&self.bytes, at, Most::rows(1024));
            records += splitter.rows() as u64 + u64::from(fault.is_some());
            at = end;
        }
        self.records = records;
    }
}

/// Cuts one input.
#[expect(clippy::struct_excessive_bools, reason = "each a fact of its own, and every mix occurs")]
pub(super) struct Cutter {
    name: String,
    feed: Box<dyn Read + Send>,
    /// Cuts at the last whole record as soon as a read gives less than was asked for.
    live: bool,
    /// Whether offsets are those of the file: nothing inflates or transcodes what it reads.
    as_it_stands: bool,
    dialect: CsvDialect,
    /// An empty line is a record.
    blank_counts: bool,
    machine: Machine,
    buffer: Vec<u8>,
    lease: Option<Lease>,
    /// The place of the buffer's first byte, which begins a record.
    offset: u64,
    line: u64,
    ended: bool,
    /// Whether the last read gave less than was asked for, though the input goes on.
    short: bool,
}

impl std::fmt::Debug for Cutter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cutter").field("name", &self.name).field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Cutter {
    /// Cuts what `feed` gives, from its first byte on.
    pub(super) fn new(
        name: &str,
        feed: Box<dyn Read + Send>,
        live: bool,
        as_it_stands: bool,
        dialect: CsvDialect,
    ) -> Self {
        Self {
            name: name.to_owned(),
            feed,
            live,
            as_it_stands,
            dialect,
            machine: Machine::here(),
            blank_counts: false,
            buffer: Vec::new(),
            lease: None,
            offset: 0,
            line: 1,
            ended: false,
            short: false,
        }
    }

    /// Says how many fields a record has: an empty line is a record if there is one.
    pub(super) fn set_width(&mut self, width: usize) {
        self.blank_counts = width == 1 || !self.dialect.skip_blank_lines;
    }

    /// Goes to a place that an earlier run came by. Bytes in front of it are read and left out, unless `feed`
    /// begins there already.
    ///
    /// # Errors
    /// The input's; [`Error::Stream`] if it ends before.
    pub(super) fn go_to(&mut self, offset: u64, line: u64, already: bool) -> Result<()> {
        if !already {
            let mut left = offset;
            let mut waste = vec![0; SMALL];
            while left > 0 {
                let most = usize::try_from(left).unwrap_or(SMALL).min(SMALL);
                match self.read(&mut waste[..most])? {
                    0 => return Err(Error::Stream(format!("{}: is shorter than when the state was taken", self.name))),
                    n => left -= n as u64,
                }
            }
        }
        (self.offset, self.line) = (offset, line);
        Ok(())
    }

    /// Leaves out byte order marks, of which a file has two where a writer that makes one was given text that began with
    /// one, and `skip` lines.
    ///
    /// # Errors
    /// The input's.
    pub(super) fn prologue(&mut self, skip: u64, memory: Option<&Holder>) -> Result<()> {
        loop {
            // A live input need not send a third byte before its first record.
            while self.buffer.len() < 3 && !self.ended && matches!(self.buffer.first(), None | Some(0xef)) {
                self.fill(SMALL, memory, None)?;
            }
            if !self.buffer.starts_with(&[0xef, 0xbb, 0xbf]) {
                break;
            }
            self.leave(3, 0);
        }
        for _ in 0..skip {
            loop {
                let end = after_line(&self.buffer, 0);
                let whole = match self.buffer.get(end.wrapping_sub(1)) {
                    Some(b'\n') => true,
                    Some(b'\r') => end < self.buffer.len(),
                    _ => false,
                };
                if whole || self.ended {
                    self.leave(end, u64::from(end > 0));
                    break;
                }
                self.leave(self.buffer.len().saturating_sub(1), 0);
                self.fill(SMALL, memory, None)?;
            }
        }
        Ok(())
    }

    fn leave(&mut self, bytes: usize, lines: u64) {
        self.buffer.drain(..bytes);
        self.offset += bytes as u64;
        self.line += lines;
    }

    /// What a piece that begins at `offset` should measure: a sixteenth of a large one at first, then as much as
    /// lies before it.
    pub(super) fn target(offset: u64) -> usize {
        let before = usize::try_from(offset).unwrap_or(LARGE).clamp(SMALL, LARGE);
        1 << before.ilog2()
    }

    /// Whether reading on may wait for whoever makes the input.
    pub(super) fn may_wait(&self) -> bool {
        self.short && !self.ended
    }

    /// Whether offsets are those of the file.
    pub(super) fn is_as_it_stands(&self) -> bool {
        self.as_it_stands
    }

    /// Says how records and fields are told apart, before anything was cut.
    pub(super) fn set_dialect(&mut self, dialect: CsvDialect) {
        self.dialect = dialect;
    }

    /// What comes next, up to `want` bytes, without taking it; less if the input ends or has no more for now.
    ///
    /// # Errors
    /// The input's.
    pub(super) fn peek(&mut self, want: usize) -> Result<Head<'_>> {
        while self.buffer.len() < want && !self.ended {
            if self.fill(want, None, None)? {
                break;
            }
        }
        Ok(Head { text: &self.buffer, all: self.ended })
    }

    /// The offset of the next piece.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whole records of about `target` bytes, fewer if the input ends or has no more for now; `None` at the end.
    ///
    /// # Errors
    /// The input's; [`Error::MemoryLimit`] if one record is larger than `memory` allows.
    pub(super) fn cut(&mut self, target: usize, memory: Option<&Holder>) -> Result<Option<Cut>> {
        self.cut_when(target, memory, false)
    }

    /// The next record alone. Blank lines and comments in front of it may be left out.
    ///
    /// # Errors
    /// As [`Cutter::cut`].
    pub(super) fn first(&mut self, memory: Option<&Holder>) -> Result<Option<Cut>> {
        self.cut_when(SMALL, memory, true)
    }

    fn cut_when(&mut self, target: usize, memory: Option<&Holder>, one: bool) -> Result<Option<Cut>> {
        let mut scan = Scan::default();
        let mut want = target.max(1);
        if self.live {
            // What came with an earlier read goes out before another one may wait.
            self.scan(&mut scan, usize::MAX, one);
            if scan.end > 0 && (!one || scan.records > 0) {
                return Ok(Some(self.take(scan.end, &scan, memory)?));
            }
        }
        loop {
            // A piece ends where it would if no more than `want` bytes had been read.
            let limit = if one { usize::MAX } else { want };
            let ahead = if one { None } else { Some(&mut scan) };
            let short = self.buffer.len() < want && self.fill(want, memory, ahead)?;
            self.scan(&mut scan, limit, one);
            if one && scan.end > 0 && scan.records == 0 {
                // Blank lines and comments in front of a record may be any number.
                self.leave(scan.end, scan.lines);
                scan = Scan::default();
                continue;
            }
            let last = self.ended && self.buffer.len() <= limit;
            let enough = if one { scan.records > 0 } else { !last && (short || self.buffer.len() >= want) };
            let end = if scan.end > 0 && enough {
                scan.end
            } else if last {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                scan.records += u64::from(scan.end < self.buffer.len());
                self.buffer.len()
            } else {
                want = if self.buffer.len() >= want { self.longer(want, &scan)? } else { want };
                continue;
            };
            return Ok(Some(self.take(end, &scan, memory)?));
        }
    }

    fn take(&mut self, end: usize, scan: &Scan, memory: Option<&Holder>) -> Result<Cut> {
        let rest = self.buffer.len() - end;
        // Most of a buffer goes out; where little of it does, that is copied instead.
        let (bytes, lease) = if rest > end {
            let lease = memory.map(|m| m.lease(end)).transpose()?;
            let part = self.buffer[..end].to_vec();
            self.buffer.drain(..end);
            (part, lease)
        } else {
            let lease = memory.map(|m| m.lease(rest)).transpose()?;
            let carry = self.buffer[end..].to_vec();
            let mut whole = std::mem::replace(&mut self.buffer, carry);
            whole.truncate(end);
            (whole, std::mem::replace(&mut self.lease, lease))
        };
        let cut = Cut { bytes: Bytes::from(bytes), lease, offset: self.offset, line: self.line, records: scan.records };
        self.offset += end as u64;
        self.line += scan.lines;
        Ok(cut)
    }

    /// The next size to try for a record that does not fit in `want` bytes.
    fn longer(&self, want: usize, scan: &Scan) -> Result<usize> {
        let limit = if self.lease.is_some() { LARGEST } else { LONGEST };
        if want >= limit {
            return Err(Error::MemoryLimit(format!(
                "{}:{}: the record that begins here is longer than {} MiB; expected a shorter one, is a quote not closed?",
                self.name,
                self.line + scan.lines,
                limit >> 20,
            )));
        }
        Ok(want.saturating_mul(2).min(limit))
    }

    /// Reads until the buffer holds `want` bytes, and goes on with a scan of them while they are in the cache. Whether
    /// there was less for now.
    fn fill(&mut self, want: usize, memory: Option<&Holder>, mut ahead: Option<&mut Scan>) -> Result<bool> {
        if let Some(memory) = memory {
            let lease = match &mut self.lease {
                Some(lease) => lease,
                None => self.lease.insert(memory.empty()),
            };
            // While it grows, the old buffer is still there.
            let needed = if want > self.buffer.capacity() { want + self.buffer.len() } else { self.buffer.capacity() };
            lease.resize(needed.max(lease.bytes())).map_err(|e| {
                e.context(format_args!("{}:{}: reading the records that begin here", self.name, self.line))
            })?;
        }
        self.buffer.reserve_exact(want.saturating_sub(self.buffer.len()));
        let mut short = false;
        let mut failed = None;
        while self.buffer.len() < want && !self.ended && !short {
            let have = self.buffer.len();
            // What more there is of a live input is known from a read that gives less than it could.
            let most = if self.live { want - have } else { (want - have).min(STEP) };
            self.buffer.resize(have + most, 0);
            match read_some(&mut *self.feed, &mut self.buffer[have..]) {
                Ok(n) => {
                    self.ended = n == 0;
                    self.buffer.truncate(have + n);
                    short = self.live && n < most && !self.ended;
                }
                Err(e) => {
                    self.buffer.truncate(have);
                    failed = Some(e);
                    break;
                }
            }
            if let Some(scan) = &mut ahead {
                self.scan(scan, want, false);
            }
        }
        if let Some(lease) = &mut self.lease {
            lease.resize(self.buffer.capacity())?;
        }
        if let Some(e) = failed {
            return Err(own(&self.name, e));
        }
        self.short = short;
        Ok(short)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        read_some(&mut *self.feed, into).map_err(|e| own(&self.name, e))
    }

    /// Goes on scanning the first `limit` bytes of the buffer, for `one` record or all of them.
    fn scan(&self, scan: &mut Scan, limit: usize, one: bool) {
        let text = &self.buffer[..self.buffer.len().min(limit)];
        let ended = self.ended && self.buffer.len() <= limit;
        let scanner = Scanner { dialect: &self.dialect, machine: Some(self.machine), blank_counts: self.blank_counts };
        scanner.go_on(scan, text, ended, one);
    }
}

/// Lines that end in `bytes`.
pub(super) fn lines_in(bytes: &[u8]) -> u64 {
    let mut marks = Marks::new(bytes, *b"\n\r\n\r", 0);
    let mut lines = 0;
    while let Some(p) = marks.next() {
        lines += u64::from(bytes[p] == b'\n' || bytes.get(p + 1) != Some(&b'\n'));
    }
    lines
}

fn read_some(feed: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match feed.read(into) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// An error of a reader: one of ours that it carried, or the system's about `name`.
pub(super) fn own(name: &str, e: io::Error) -> Error {
    match e.downcast::<Error>() {
        Ok(own) => own,
        Err(e) => Error::io(name, e),
    }
}
