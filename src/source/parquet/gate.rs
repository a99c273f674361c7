//! The gate between the file and the crate's page reader: no page passes that the run has no room for.
//!
//! The page reader asks a `ChunkReader` for a header, then allocates what the header says. A forged header could ask
//! for 2 GiB, so the gate reads the three sizes at the head of each page header itself, checks them against the
//! column's own metadata and leases page and dictionary before the crate sees them. It reads with `pread`, a few
//! hundred bytes for a header and then just the page: never a whole row group.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Result};
use crate::memory::Lease;
use crate::source::read_at::ReadAt;

/// Bytes read for a page header at first; most take 20 – 60.
const HEADER: usize = 256;
/// A page header larger than this (statistics of very long values) is not believed.
const LARGEST_HEADER: u64 = 16 << 20;

/// Hands out the bytes of one lane's column chunks.
pub struct Gate {
    at: Arc<dyn ReadAt>,
    /// The bytes of the file that this gate may hand out.
    end: u64,
    /// What page and dictionary of the column at hand take, and the sum over the columns of a lane.
    held: Arc<Mutex<PageLease>>,
}

/// The lease of a lane's pages.
pub struct PageLease {
    lease: Lease,
    /// One entry a column chunk: where it starts, its dictionary, its newest page.
    columns: Vec<ColumnPages>,
    /// Bytes of text that is being put together from the pages.
    text: usize,
    /// Why the gate was shut. The crate's errors keep only the text of it.
    refused: Option<Error>,
}

struct ColumnPages {
    start: u64,
    end: u64,
    uncompressed: u64,
    dictionary: u64,
    page: u64,
}

impl PageLease {
    /// For column chunks at `ranges`: start, end, and what all of their pages take uncompressed by the footer.
    pub fn new(lease: Lease, ranges: impl IntoIterator<Item = (u64, u64, u64)>) -> Self {
        let columns = ranges
            .into_iter()
            .map(|(start, end, uncompressed)| ColumnPages { start, end, uncompressed, dictionary: 0, page: 0 })
            .collect();
        Self { lease, columns, text: 0, refused: None }
    }

    /// Why the gate was shut, if it was: what the crate reports then is an echo of it.
    pub fn refused(&mut self) -> Option<Error> {
        self.refused.take()
    }

    /// Text that took `before` bytes will take `after`.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`] where the run has no room for it.
    pub fn text(&mut self, before: usize, after: usize) -> Result<()> {
        let pages = self.lease.bytes().saturating_sub(self.text);
        self.lease.resize(pages + self.text - before + after)?;
        self.text = self.text - before + after;
        Ok(())
    }

    /// A page whose header starts at `offset` is about to be read.
    fn admit(&mut self, offset: u64, page: PageSizes) -> Result<()> {
        let Some(column) = self.columns.iter_mut().find(|c| (c.start..c.end).contains(&offset)) else {
            return Err(Error::Format(format!("page header at byte {offset}, outside its column")));
        };
        let (stored, whole) = (size(page.compressed, offset)?, size(page.uncompressed, offset)?);
        if stored > column.end - offset {
            return Err(Error::Format(format!(
                "page at byte {offset}: {stored} bytes announced, its column has {} left",
                column.end - offset
            )));
        }
        // some writers' totals are off, so a page is only taken for forged where it is far beyond its whole column
        if whole > column.uncompressed.saturating_mul(4).max(1 << 20) {
            return Err(Error::Format(format!(
                "page at byte {offset}: {whole} bytes announced, its whole column has {}",
                column.uncompressed
            )));
        }
        let before = column.page;
        if page.dictionary {
            column.dictionary = whole;
        } else {
            column.page = whole;
        }
        let all: u64 = self.columns.iter().map(|c| c.dictionary + c.page).sum();
        // the page before lives until this one is decoded
        let need = all + before + stored + self.text as u64;
        self.lease.resize(usize::try_from(need).unwrap_or(usize::MAX))
    }
}

fn size(announced: i32, offset: u64) -> Result<u64> {
    u64::try_from(announced).map_err(|_| Error::Format(format!("page at byte {offset}: size {announced} is negative")))
}

impl Gate {
    /// A gate to the first `end` bytes of `at`.
    pub fn new(at: Arc<dyn ReadAt>, end: u64, held: Arc<Mutex<PageLease>>) -> Self {
        Self { at, end, held }
    }
}

impl Length for Gate {
    fn len(&self) -> u64 {
        self.end
    }
}

impl ChunkReader for Gate {
    type T = HeaderReader;

    fn get_read(&self, start: u64) -> ParquetResult<HeaderReader> {
        Ok(HeaderReader {
            at: self.at.clone(),
            end: self.end,
            held: self.held.clone(),
            start,
            offset: start,
            buffer: Vec::new(),
            used: 0,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        read_bytes(&*self.at, start, length, self.end).map_err(|e| match Error::from(e) {
            e @ Error::Format(_) => ParquetError::General(e.to_string()),
            e => ParquetError::External(Box::new(shut(&self.held, e))),
        })
    }
}

/// Notes why the gate is shut, and gives the crate something to report.
fn shut(held: &Mutex<PageLease>, why: Error) -> io::Error {
    let said = why.to_string();
    held.lock().unwrap_or_else(PoisonError::into_inner).refused = Some(why);
    io::Error::other(said)
}

/// `length` bytes at `start`, refused before anything is allocated where the file has fewer.
pub fn read_bytes(at: &dyn ReadAt, start: u64, length: usize, end: u64) -> ParquetResult<Bytes> {
    if start.checked_add(length as u64).is_none_or(|stop| stop > end) {
        return Err(ParquetError::EOF(format!("{length} bytes at byte {start} announced, the file ends at {end}")));
    }
    let mut buffer = vec![0; length];
    at.read_exact_at(&mut buffer, start).map_err(|e| ParquetError::External(Box::new(e)))?;
    Ok(buffer.into())
}

/// Reads a page header, which it judges when its first bytes are asked for.
pub struct HeaderReader {
    at: Arc<dyn ReadAt>,
    end: u64,
    held: Arc<Mutex<PageLease>>,
    start: u64,
    offset: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl HeaderReader {
    fn fill(&mut self) -> Result<()> {
        if self.offset - self.start > LARGEST_HEADER {
            return Err(Error::Format(format!("page at byte {}: its header does not end", self.start)));
        }
        let first = self.offset == self.start;
        let room = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        self.buffer.resize(HEADER.min(room), 0);
        self.used = 0;
        self.at.read_exact_at(&mut self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        if first {
            let sizes = page_sizes(&self.buffer).ok_or_else(|| {
                Error::Format(format!("byte {}: expected a page header, found something else", self.start))
            })?;
            self.held.lock().unwrap_or_else(PoisonError::into_inner).admit(self.start, sizes)?;
        }
        Ok(())
    }
}

impl Read for HeaderReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.used == self.buffer.len() {
            self.fill().map_err(|why| shut(&self.held, why))?;
        }
        let n = into.len().min(self.buffer.len() - self.used);
        into[..n].copy_from_slice(&self.buffer[self.used..self.used + n]);
        self.used += n;
        Ok(n)
    }
}

/// The head of a page header.
#[derive(Debug, PartialEq, Eq)]
struct PageSizes {
    dictionary: bool,
    uncompressed: i32,
    compressed: i32,
}

/// Reads `type`, `uncompressed_page_size` and `compressed_page_size`, the first three fields of a `PageHeader` and all
/// required, in Thrift's compact protocol (Apache Thrift, `doc/specs/thrift-compact-protocol.md`).
fn page_sizes(bytes: &[u8]) -> Option<PageSizes> {
    let mut bytes = bytes.iter().copied();
    let mut field = |id: u8| -> Option<i32> {
        // short form only: field ids 1, 2, 3 follow one another; 5 is an i32
        let head = bytes.next()?;
        (head == 0x15 && id <= 3).then_some(())?;
        let mut value: u32 = 0;
        for shift in (0..35).step_by(7) {
            let byte = bytes.next()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(((value >> 1).cast_signed()) ^ -((value & 1).cast_signed()));
            }
        }
        None
    };
    let kind = field(1)?;
    let uncompressed = field(2)?;
    let compressed = field(3)?;
    Some(PageSizes { dictionary: kind == 2, uncompressed, compressed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryPool;
    use crate::source::read_at::InMemory;

    /// A header with the three sizes, as the compact protocol writes it.
    fn header(kind: i32, uncompressed: i32, compressed: i32) -> Vec<u8> {
        let mut out = Vec::new();
        for value in [kind, uncompressed, compressed] {
            out.push(0x15);
            let mut zigzag = ((value << 1) ^ (value >> 31)).cast_unsigned();
            while zigzag >= 0x80 {
                out.push((zigzag & 0x7f) as u8 | 0x80);
                zigzag >>= 7;
            }
            out.push(zigzag as u8);
        }
        out
    }

    fn read_first(bytes: Vec<u8>, limit: usize, column: (u64, u64, u64)) -> io::Result<usize> {
        let end = bytes.len() as u64;
        let pool = MemoryPool::new(Some(limit));
        let held = PageLease::new(pool.holder("parquet reader", None).empty(), [column]);
        let gate = Gate::new(Arc::new(InMemory::new("x", bytes)), end, Arc::new(Mutex::new(held)));
        let mut one = [0];
        gate.get_read(0).expect("opens").read(&mut one)
    }

    #[test]
    fn sizes_are_read_as_written() {
        for (kind, whole, stored) in [(0, 1 << 20, 77), (2, 0, 0), (3, i32::MAX, i32::MAX), (0, -1, i32::MIN)] {
            let found = page_sizes(&header(kind, whole, stored)).expect("a header");
            assert_eq!(found, PageSizes { dictionary: kind == 2, uncompressed: whole, compressed: stored });
        }
        assert_eq!(page_sizes(b"PAR1"), None);
        assert_eq!(page_sizes(&[0x15, 0x80]), None);
    }

    #[test]
    fn forged_sizes_are_refused_before_anything_is_allocated() {
        let padded = |h: Vec<u8>| [h, vec![0; 300]].concat();
        let column = (0, 300, 1 << 20);
        assert!(read_first(padded(header(0, 5000, 100)), 1 << 20, column).is_ok());
        for (whole, stored, why) in [
            (i32::MAX, 100, "its whole column has"),
            (100, i32::MAX, "its column has"),
            (-1, 100, "negative"),
            (100, -1, "negative"),
        ] {
            let e = read_first(padded(header(0, whole, stored)), 1 << 20, column).expect_err("forged").to_string();
            assert!(e.contains(why), "{e}");
        }
    }

    #[test]
    fn a_page_beyond_the_limit_names_the_holder() {
        let bytes = [header(0, 3 << 20, 100), vec![0; 300]].concat();
        let e = read_first(bytes, 1 << 20, (0, 300, 4 << 20)).expect_err("too large").to_string();
        assert!(e.starts_with("parquet reader needs 3 MiB more, limit is 1 MiB"), "{e}");
    }

    #[test]
    fn garbage_is_no_page_header() {
        let e = read_first(vec![0xff; 400], 1 << 20, (0, 300, 1000)).expect_err("garbage").to_string();
        assert_eq!(e, "byte 0: expected a page header, found something else");
    }
}
