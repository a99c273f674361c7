//! The pages of a column chunk, read one at a time: the one way from the file to whoever decodes.
//!
//! A page header could say anything, 2 GiB for example, so it is judged by what the footer says of its column, and what
//! the page takes is leased, before anything is allocated. The page's checksum is verified where it has one. Bytes come
//! by `pread`, a page and the header behind it in one call: never a whole column.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::file::metadata::ColumnChunkMetaData;

use super::codec::{Codec, Desk, Tools};
use super::header::{Kind, PageHead, Unread, page_head};
use crate::error::{Error, Result};
use crate::memory::Lease;
use crate::source::read_at::ReadAt;

/// Bytes that are read for the first header of a column; most take 20 – 60.
const HEADER: usize = 256;
/// Bytes that are read behind a page for the header of the next one.
const AHEAD: usize = 96;
/// A page header larger than this (statistics of very long values) is not believed.
const LARGEST_HEADER: usize = 16 << 20;

/// What the footer says of a column chunk.
#[derive(Debug, Clone, Copy)]
pub struct Chunk {
    /// Where its first page starts.
    pub start: u64,
    /// Where its last page ends.
    pub end: u64,
    /// Bytes that all of its pages take uncompressed.
    pub uncompressed: u64,
    /// Values in all of its pages, nulls included.
    pub values: u64,
    /// Bytes that a dictionary's value takes at least; `None` where values have no dictionary.
    pub width: Option<usize>,
    /// How its pages are stored.
    pub codec: Codec,
}

/// A page, decompressed.
pub struct Page {
    /// What its header says.
    pub head: PageHead,
    /// Its bytes.
    pub body: Bytes,
}

/// Reads the pages of one column chunk from front to back.
///
/// Holds the newest page, the dictionary and, while it reads, the page as it is stored.
pub struct Pages {
    at: Arc<dyn ReadAt>,
    chunk: Chunk,
    desk: Arc<Desk>,
    lease: Lease,
    /// Bytes of the dictionary and of the newest page.
    dictionary: usize,
    newest: usize,
    /// Where the next header starts, and bytes that were read from there on.
    offset: u64,
    ahead: Vec<u8>,
    head: Option<PageHead>,
    /// A page that its reader gave back.
    spare: Vec<u8>,
}

impl Chunk {
    /// What the footer says of `column`.
    ///
    /// # Errors
    /// A codec that is not supported.
    pub fn of(column: &ColumnChunkMetaData) -> Result<Self> {
        let (start, len) = column.byte_range();
        let width = match column.column_type() {
            Physical::BOOLEAN => None,
            // a length before each value
            Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => Some(4),
            Physical::INT64 | Physical::DOUBLE => Some(8),
            Physical::INT96 => Some(12),
            Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.column_descr().type_length()).ok(),
        };
        let uncompressed = u64::try_from(column.uncompressed_size()).unwrap_or(0);
        let codec = Codec::of(column.compression())?;
        let values = u64::try_from(column.num_values()).unwrap_or(0);
        Ok(Self { start, end: start.saturating_add(len), uncompressed, values, width, codec })
    }

    /// Whether a page whose header ends at `offset` can be in this column.
    fn judge(&self, offset: u64, head: &PageHead) -> Result<(), String> {
        let left = self.end.saturating_sub(offset);
        if head.stored as u64 > left {
            return Err(format!("{} bytes announced, its column has {left} left", head.stored));
        }
        // some writers' totals are off, so a page is only taken for forged where it is far beyond its whole column
        if head.whole as u64 > self.uncompressed.saturating_mul(4).max(1 << 20) {
            return Err(format!("{} bytes announced, its whole column has {}", head.whole, self.uncompressed));
        }
        match head.kind {
            Kind::Data { values, .. } | Kind::DataV2 { values, .. } if values as u64 > self.values => {
                return Err(format!("{values} values announced, its column has {}", self.values));
            }
            _ => {}
        }
        match head.kind {
            Kind::Dictionary { values, encoding } => self.judge_dictionary(head.whole, values, encoding),
            Kind::DataV2 { definition, repetition, .. } => {
                let levels = definition.saturating_add(repetition);
                if levels > head.whole || levels > head.stored {
                    return Err(format!("{levels} bytes of levels announced in a page of {}", head.whole));
                }
                Ok(())
            }
            Kind::Data { .. } | Kind::Index => Ok(()),
        }
    }

    fn judge_dictionary(&self, whole: usize, values: usize, encoding: Encoding) -> Result<(), String> {
        let width = self.width.ok_or("a dictionary, which booleans do not have")?;
        // PLAIN, and the name that it had in dictionaries once
        if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
            return Err(format!("encoding {encoding}, in which no dictionary is written"));
        }
        if values.checked_mul(width).is_none_or(|least| least > whole) {
            return Err(format!("{values} values announced in a dictionary of {whole} bytes"));
        }
        Ok(())
    }
}

impl Pages {
    /// The pages of `chunk`, a part of `at`; what they take is leased by `lease`, which is empty. Reads nothing yet.
    pub fn new(at: Arc<dyn ReadAt>, chunk: Chunk, desk: Arc<Desk>, lease: Lease) -> Self {
        Self {
            at,
            chunk,
            desk,
            lease,
            dictionary: 0,
            newest: 0,
            offset: chunk.start,
            ahead: Vec::new(),
            head: None,
            spare: Vec::new(),
        }
    }

    /// The header of the next page; `None` at the end.
    ///
    /// # Errors
    /// A damaged header.
    pub fn peek(&mut self) -> Result<Option<&PageHead>> {
        while self.head.is_none() {
            if self.offset >= self.chunk.end {
                return Ok(None);
            }
            let head = self.header()?;
            let behind = self.offset + head.len as u64;
            self.chunk.judge(behind, &head).map_err(|why| self.bad(&why))?;
            if matches!(head.kind, Kind::Dictionary { .. }) && self.offset != self.chunk.start {
                return Err(self.bad("a dictionary, which only a column's first page can be"));
            }
            match head.kind {
                Kind::Index => self.pass(&head),
                _ => self.head = Some(head),
            }
        }
        Ok(self.head.as_ref())
    }

    /// The next page; `None` at the end.
    ///
    /// # Errors
    /// A damaged page, or one that the run has no room for, which may be asked for again.
    pub fn next(&mut self) -> Result<Option<Page>> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let Some(head) = self.head.clone() else { return Ok(None) };
        let is_dictionary = matches!(head.kind, Kind::Dictionary { .. });
        // the page before lives until this one is decoded
        let kept = self.dictionary + self.newest + head.whole;
        self.lease.resize(kept.saturating_add(if self.chunk.codec == Codec::Plain { 0 } else { head.stored }))?;
        let desk = self.desk.clone();
        let body = desk.with(self.chunk.codec, |tools| self.read(&head, tools))?;
        if is_dictionary {
            self.dictionary = head.whole;
        } else {
            self.newest = head.whole;
        }
        self.lease.resize(kept)?;
        self.head = None;
        Ok(Some(Page { head, body }))
    }

    /// Leaves out the next page.
    ///
    /// # Errors
    /// A damaged header.
    pub fn skip(&mut self) -> Result<()> {
        self.peek()?;
        if let Some(head) = self.head.take() {
            self.pass(&head);
        }
        Ok(())
    }

    /// Takes the next page off, unread, into a reader of its own, which may be driven by somebody else.
    ///
    /// # Errors
    /// A damaged header.
    pub fn take_off(&mut self) -> Result<Option<Self>> {
        self.peek()?;
        let Some(head) = self.head.clone() else { return Ok(None) };
        let end = self.offset + (head.len + head.stored) as u64;
        let page = Self {
            at: self.at.clone(),
            chunk: Chunk { end, ..self.chunk },
            desk: self.desk.clone(),
            lease: self.lease.holder().empty(),
            dictionary: 0,
            newest: 0,
            offset: self.offset,
            ahead: self.ahead.clone(),
            head: Some(head),
            spare: Vec::new(),
        };
        self.skip()?;
        Ok(Some(page))
    }

    /// Leases `bytes` beside those of the newest page, for as long as that is the newest.
    ///
    /// # Errors
    /// No room for them.
    pub fn beside(&mut self, bytes: usize) -> Result<()> {
        self.newest = self.newest.saturating_add(bytes);
        self.lease.resize(self.dictionary.saturating_add(self.newest))
    }

    /// Takes back a page that is not looked at any more, for the buffer's sake.
    pub fn give_back(&mut self, body: Bytes) {
        if let Ok(buffer) = body.try_into_mut() {
            self.spare = buffer.into();
        }
    }

    fn bad(&self, why: &str) -> Error {
        Error::Format(format!("page at byte {}: {why}", self.offset))
    }

    fn pass(&mut self, head: &PageHead) {
        let len = head.len + head.stored;
        self.offset += len as u64;
        self.ahead.drain(..len.min(self.ahead.len()));
    }

    /// Reads the header at `offset`.
    fn header(&mut self) -> Result<PageHead> {
        let left = usize::try_from(self.chunk.end - self.offset).unwrap_or(usize::MAX);
        let mut most = HEADER.min(left);
        loop {
            match page_head(&self.ahead) {
                Ok(head) => return Ok(head),
                Err(Unread::Wrong(why)) => return Err(self.bad(&why)),
                // too few bytes even for the three sizes look like garbage
                Err(Unread::Garbage) if self.ahead.len() >= HEADER.min(left) => {
                    return Err(Error::Format(format!(
                        "byte {}: expected a page header, found something else",
                        self.offset
                    )));
                }
                Err(_) if self.ahead.len() == left || self.ahead.len() >= LARGEST_HEADER => {
                    return Err(self.bad("its header does not end"));
                }
                Err(_) => {
                    let had = self.ahead.len();
                    most = most.max((had * 4).min(left)).min(LARGEST_HEADER);
                    if most > HEADER {
                        self.lease.resize(self.dictionary + self.newest + most)?;
                    }
                    self.ahead.resize(most, 0);
                    let read = self.at.read_exact_at(&mut self.ahead[had..], self.offset + had as u64);
                    if read.is_err() {
                        self.ahead.truncate(had);
                    }
                    read?;
                }
            }
        }
    }

    /// Reads the page behind `head`, and as much as a header takes behind it.
    fn read(&mut self, head: &PageHead, tools: &mut Tools) -> Result<Bytes> {
        let start = self.offset + head.len as u64;
        let behind = self.chunk.end - start - head.stored as u64;
        let all = head.stored + usize::try_from(behind).unwrap_or(AHEAD).min(AHEAD);
        let plain = match head.kind {
            Kind::DataV2 { compressed: false, .. } => true,
            _ => self.chunk.codec == Codec::Plain,
        };
        let mut buffer = if plain { std::mem::take(&mut self.spare) } else { std::mem::take(&mut tools.stored) };
        let there = self.ahead.get(head.len..).unwrap_or_default();
        let there = &there[..there.len().min(all)];
        buffer.resize(all, 0);
        buffer[..there.len()].copy_from_slice(there);
        let read = self.at.read_exact_at(&mut buffer[there.len()..], start + there.len() as u64);
        if !plain {
            tools.stored = buffer;
            read?;
            let body = self.decompress(head, tools)?;
            self.move_on(start, head.stored, &tools.stored);
            return Ok(body);
        }
        read?;
        if head.stored != head.whole {
            return Err(self.bad(&format!("{} bytes announced, found {}", head.whole, head.stored)));
        }
        self.check(head, &buffer)?;
        self.move_on(start, head.stored, &buffer);
        buffer.truncate(head.stored);
        Ok(buffer.into())
    }

    /// The next header begins behind the `stored` bytes from `start` on, which `read` begins with.
    fn move_on(&mut self, start: u64, stored: usize, read: &[u8]) {
        self.offset = start + stored as u64;
        self.ahead.clear();
        self.ahead.extend_from_slice(&read[stored..]);
    }

    fn check(&self, head: &PageHead, stored: &[u8]) -> Result<()> {
        match head.crc {
            Some(crc) if crc32fast::hash(&stored[..head.stored]) != crc => {
                Err(self.bad("its checksum does not match its bytes; the file is damaged"))
            }
            _ => Ok(()),
        }
    }

    fn decompress(&mut self, head: &PageHead, tools: &mut Tools) -> Result<Bytes> {
        self.check(head, &tools.stored)?;
        let mut body = std::mem::take(&mut self.spare);
        // the levels of a v2 page are not compressed
        let levels = match head.kind {
            Kind::DataV2 { definition, repetition, .. } => definition + repetition,
            _ => 0,
        };
        if levels > 0 {
            body.resize(levels, 0);
            body.copy_from_slice(&tools.stored[..levels]);
        }
        if head.whole > levels {
            tools
                .decompress(self.chunk.codec, levels, head.stored, &mut body, head.whole)
                .map_err(|e| e.context(format!("page at byte {}", self.offset)))?;
        }
        // a page of nothing but nulls may have no values at all
        body.truncate(head.whole);
        Ok(body.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::written;
    use super::*;
    use crate::memory::MemoryPool;
    use crate::source::read_at::InMemory;

    fn pages(bytes: Vec<u8>, limit: usize, chunk: Chunk) -> Pages {
        let holder = MemoryPool::new(Some(limit)).holder("parquet reader", None);
        let desk = Arc::new(Desk::new(holder.clone()));
        Pages::new(Arc::new(InMemory::new("x", bytes)), chunk, desk, holder.empty())
    }

    fn refused(bytes: Vec<u8>, limit: usize, chunk: Chunk) -> String {
        pages(bytes, limit, chunk).next().err().map(|e| e.to_string()).unwrap_or_default()
    }

    fn chunk(uncompressed: u64) -> Chunk {
        Chunk { start: 0, end: 300, uncompressed, values: 100, width: Some(8), codec: Codec::Plain }
    }

    fn padded(header: Vec<u8>) -> Vec<u8> {
        [header, vec![0; 400]].concat()
    }

    const DATA: [i32; 4] = [10, 0, 3, 3];

    #[test]
    fn forged_sizes_are_refused_before_anything_is_allocated() {
        let chunk = Chunk { codec: Codec::Snappy, ..chunk(1 << 20) };
        for (whole, stored, why) in [
            (i32::MAX, 100, "its whole column has"),
            (100, i32::MAX, "its column has"),
            (-1, 100, "negative"),
            (100, -1, "negative"),
        ] {
            let e = refused(padded(written(0, whole, stored, &DATA)), 1 << 20, chunk);
            assert!(e.contains(why), "{e}");
        }
        for (kind, page) in [(0, &[101, 0, 3, 3][..]), (3, &[i32::MAX, 0, 1, 0, 0, 0])] {
            let e = refused(padded(written(kind, 100, 100, page)), 1 << 20, chunk);
            assert!(e.contains("values announced, its column has 100"), "{e}");
        }
        let levels = [1, 0, 1, 0, i32::MAX, i32::MAX];
        let e = refused(padded(written(3, 100, 100, &levels)), 1 << 20, chunk);
        assert!(e.contains("bytes of levels announced"), "{e}");
    }

    #[test]
    fn a_page_beyond_the_limit_names_the_holder_and_may_be_asked_for_again() {
        let chunk = Chunk { codec: Codec::Snappy, ..chunk(4 << 20) };
        let mut pages = pages(padded(written(0, 3 << 20, 100, &DATA)), 1 << 20, chunk);
        for _ in 0..2 {
            let e = pages.next().err().expect("too large").to_string();
            assert!(e.starts_with("parquet reader needs 3 MiB more, limit is 1 MiB"), "{e}");
        }
    }

    #[test]
    fn a_dictionary_comes_first_and_has_no_more_values_than_fit() {
        let first = |values, encoding| padded(written(2, 80, 80, &[values, encoding]));
        assert_eq!(refused(first(10, 0), 1 << 20, chunk(1000)), "");
        for (bytes, chunk, why) in [
            (first(11, 0), chunk(1000), "11 values announced in a dictionary of 80 bytes"),
            (first(i32::MAX, 2), chunk(1000), "values announced"),
            (first(-1, 0), chunk(1000), "-1 values"),
            (first(10, 5), chunk(1000), "in which no dictionary is written"),
            (first(10, 0), Chunk { width: None, ..chunk(1000) }, "booleans"),
        ] {
            let e = refused(bytes, 1 << 20, chunk);
            assert!(e.contains(why), "{e}");
        }
        let data = [written(0, 10, 10, &DATA), vec![1; 10]].concat();
        let mut pages = pages([data, first(10, 0)].concat(), 1 << 20, chunk(1000));
        pages.next().expect("a page");
        assert!(pages.next().err().expect("not the first").to_string().contains("first page"));
    }

    #[test]
    fn pages_follow_each_other_and_a_flipped_bit_is_noticed() {
        let body: Vec<u8> = (0..10).collect();
        let mut page = written(0, 10, 10, &DATA);
        // field 4, the checksum, between the sizes and the struct
        let crc = crc32fast::hash(&body).cast_signed();
        let mut with = written(crc, 0, 0, &[])[1..].to_vec();
        with.truncate(with.len() - 5);
        let at = written(0, 10, 10, &[]).len() - 1;
        page[at] -= 0x10;
        page.splice(at..at, [0x15].into_iter().chain(with));
        let stored = [page.clone(), body.clone(), page.clone(), body.clone()].concat();
        let whole = Chunk { end: stored.len() as u64, ..chunk(1000) };
        let mut found = pages(stored.clone(), 1 << 20, whole);
        for _ in 0..2 {
            assert_eq!(found.peek().expect("a header").expect("a page").whole, 10);
            let page = found.next().expect("sound").expect("a page");
            assert_eq!(page.body, body);
            found.give_back(page.body);
        }
        assert!(found.next().expect("the end").is_none());
        let mut skipped = pages(stored.clone(), 1 << 20, whole);
        skipped.skip().expect("a page");
        assert_eq!(skipped.next().expect("sound").expect("a page").body, body);
        let last = stored.len() - 1;
        let flipped: Vec<u8> = stored.iter().enumerate().map(|(i, b)| b ^ u8::from(i == last)).collect();
        let mut found = pages(flipped, 1 << 20, whole);
        found.next().expect("the first is sound");
        assert!(found.next().err().expect("flipped").to_string().contains("checksum"));
    }

    #[test]
    fn garbage_is_no_page_header_and_a_header_without_end_is_told() {
        assert_eq!(
            refused(vec![0xff; 400], 1 << 20, chunk(1000)),
            "byte 0: expected a page header, found something else"
        );
        assert_eq!(
            refused(vec![0x15; 400], 1 << 20, Chunk { end: 3, ..chunk(1000) }),
            "byte 0: expected a page header, found something else"
        );
        // a string of 2 MiB that the column has no room for
        let endless = [&[0x15, 0, 0x15, 2, 0x15, 2, 0x58, 0x80, 0x80, 0x80, 1][..], &[b'x'; 4000]].concat();
        let e = refused(endless, 1 << 20, Chunk { end: 4000, ..chunk(1000) });
        assert_eq!(e, "page at byte 0: its header does not end");
    }
}
