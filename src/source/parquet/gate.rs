//! The gate between the file and the crate's page reader: no page passes that the run has no room for.
//!
//! The page reader asks a `ChunkReader` for a header, then allocates what the header says. A forged header could ask
//! for 2 GiB, so the gate reads the head of each page header itself, checks its sizes and counts against the column's
//! own metadata and leases page and dictionary before the crate sees them. It reads with `pread`, a few
//! hundred bytes for a header and then just the page: never a whole row group.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::header::{PageHead, page_head};
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

/// What the footer says of the pages of a column chunk.
#[derive(Debug, Clone, Copy)]
pub struct Chunk {
    /// Where its first page starts.
    pub start: u64,
    /// Where its last page ends.
    pub end: u64,
    /// Bytes that all of its pages take uncompressed.
    pub uncompressed: u64,
    /// Bytes that a dictionary's value takes at least; `None` where values have no dictionary.
    pub width: Option<u64>,
}

struct ColumnPages {
    chunk: Chunk,
    dictionary: u64,
    page: u64,
}

impl PageLease {
    /// For column chunks as the footer has them.
    pub fn new(lease: Lease, chunks: impl IntoIterator<Item = Chunk>) -> Self {
        let columns = chunks.into_iter().map(|chunk| ColumnPages { chunk, dictionary: 0, page: 0 }).collect();
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
    fn admit(&mut self, offset: u64, page: PageHead) -> Result<()> {
        let Some(column) = self.columns.iter_mut().find(|c| (c.chunk.start..c.chunk.end).contains(&offset)) else {
            return Err(Error::Format(format!("page header at byte {offset}, outside its column")));
        };
        let whole =
            column.chunk.judge(offset, &page).map_err(|why| Error::Format(format!("page at byte {offset}: {why}")))?;
        let stored = u64::try_from(page.compressed).unwrap_or(0);
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

impl Chunk {
    /// The size of a page decompressed, once it is one that this column can have.
    fn judge(&self, offset: u64, page: &PageHead) -> Result<u64, String> {
        let size = |n: i32| u64::try_from(n).map_err(|_| format!("size {n} is negative"));
        let (stored, whole) = (size(page.compressed)?, size(page.uncompressed)?);
        let left = self.end - offset;
        if stored > left {
            return Err(format!("{stored} bytes announced, its column has {left} left"));
        }
        // some writers' totals are off, so a page is only taken for forged where it is far beyond its whole column
        if whole > self.uncompressed.saturating_mul(4).max(1 << 20) {
            return Err(format!("{whole} bytes announced, its whole column has {}", self.uncompressed));
        }
        if page.dictionary {
            self.judge_dictionary(offset, page, whole)?;
        }
        Ok(whole)
    }

    fn judge_dictionary(&self, offset: u64, page: &PageHead, whole: u64) -> Result<(), String> {
        if offset != self.start {
            return Err("a dictionary, which only a column's first page can be".into());
        }
        let width = self.width.ok_or("a dictionary, which booleans do not have")?;
        let Some((values, encoding)) = page.values else { return Ok(()) };
        // PLAIN, and the name that it had in dictionaries once
        if !matches!(encoding, 0 | 2) {
            return Err(format!("encoding {encoding}, in which no dictionary is written"));
        }
        if u64::try_from(values).ok().and_then(|n| n.checked_mul(width)).is_none_or(|least| least > whole) {
            return Err(format!("{values} values announced in a dictionary of {whole} bytes"));
        }
        Ok(())
    }
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
            let head = page_head(&self.buffer).ok_or_else(|| {
                Error::Format(format!("byte {}: expected a page header, found something else", self.start))
            })?;
            self.held.lock().unwrap_or_else(PoisonError::into_inner).admit(self.start, head)?;
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

#[cfg(test)]
mod tests {
    use super::super::header::written;
    use super::*;
    use crate::memory::MemoryPool;
    use crate::source::read_at::InMemory;

    fn read_first(bytes: Vec<u8>, limit: usize, column: Chunk) -> io::Result<usize> {
        let end = bytes.len() as u64;
        let pool = MemoryPool::new(Some(limit));
        let held = PageLease::new(pool.holder("parquet reader", None).empty(), [column]);
        let gate = Gate::new(Arc::new(InMemory::new("x", bytes)), end, Arc::new(Mutex::new(held)));
        let mut one = [0];
        gate.get_read(0).expect("opens").read(&mut one)
    }

    fn column(uncompressed: u64) -> Chunk {
        Chunk { start: 0, end: 300, uncompressed, width: Some(8) }
    }

    fn padded(header: Vec<u8>) -> Vec<u8> {
        [header, vec![0; 300]].concat()
    }

    #[test]
    fn forged_sizes_are_refused_before_anything_is_allocated() {
        let column = column(1 << 20);
        assert!(read_first(padded(written(0, 5000, 100, &[])), 1 << 20, column).is_ok());
        for (whole, stored, why) in [
            (i32::MAX, 100, "its whole column has"),
            (100, i32::MAX, "its column has"),
            (-1, 100, "negative"),
            (100, -1, "negative"),
        ] {
            let e =
                read_first(padded(written(0, whole, stored, &[])), 1 << 20, column).expect_err("forged").to_string();
            assert!(e.contains(why), "{e}");
        }
    }

    #[test]
    fn a_page_beyond_the_limit_names_the_holder() {
        let bytes = padded(written(0, 3 << 20, 100, &[]));
        let e = read_first(bytes, 1 << 20, column(4 << 20)).expect_err("too large").to_string();
        assert!(e.starts_with("parquet reader needs 3 MiB more, limit is 1 MiB"), "{e}");
    }

    #[test]
    fn a_dictionary_comes_first_and_has_no_more_values_than_fit() {
        let first = |values, encoding| padded(written(2, 80, 80, &[values, encoding]));
        assert!(read_first(first(10, 0), 1 << 20, column(1000)).is_ok());
        for (bytes, chunk, why) in [
            (first(11, 0), column(1000), "11 values announced in a dictionary of 80 bytes"),
            (first(i32::MAX, 2), column(1000), "values announced"),
            (first(-1, 0), column(1000), "-1 values announced"),
            (first(10, 5), column(1000), "encoding 5"),
            (first(10, 0), Chunk { width: None, ..column(1000) }, "booleans"),
        ] {
            let e = read_first(bytes, 1 << 20, chunk).expect_err("forged").to_string();
            assert!(e.contains(why), "{e}");
        }
        let page = PageHead { dictionary: true, uncompressed: 80, compressed: 80, values: Some((10, 0)) };
        assert!(column(1000).judge(100, &page).expect_err("not the first").contains("first page"));
    }

    #[test]
    fn garbage_is_no_page_header() {
        let e = read_first(vec![0xff; 400], 1 << 20, column(1000)).expect_err("garbage").to_string();
        assert_eq!(e, "byte 0: expected a page header, found something else");
    }
}
