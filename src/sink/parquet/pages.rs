//! Finished pages on their way from an encoder to the file.
//!
//! The crate's encoders put each page, its header and then its body, into a store of ours. There a page is compressed
//! (zstd only, see `compress`), gets its checksum, and is kept in memory, or in a temporary file once the share for
//! finished pages is used up. Since headers grow by that and bodies shrink, the sizes and offsets that the encoder
//! noted are put right when the column is closed.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter};
use parquet::basic::Compression;
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::compress::Compressors;
use super::footer::without_nan;
use super::header::PageHead;
use super::temp::Temp;
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};

/// What is done to every page of a file.
pub(super) struct Press {
    /// The codec that the file names.
    pub(super) codec: Compression,
    /// Where pages come here uncompressed.
    pub(super) zstd: Option<Compressors>,
    /// Whether headers carry the CRC-32 of what follows them.
    pub(super) checksums: bool,
    /// The share for finished pages.
    pub(super) holder: Holder,
}

/// A page, header and body.
enum Page {
    Memory { bytes: Bytes, _lease: Lease },
    Temp { at: u64, len: usize },
}

impl Page {
    fn len(&self) -> usize {
        match self {
            Page::Memory { bytes, .. } => bytes.len(),
            Page::Temp { len, .. } => *len,
        }
    }
}

/// The pages of one column of a row group.
struct Pages {
    press: Arc<Press>,
    temp: Arc<Temp>,
    /// A header whose body comes next.
    header: Option<Bytes>,
    dictionary: Option<Page>,
    data: Vec<Page>,
    /// Bytes of all pages before compression, with their headers.
    plain: usize,
}

impl Pages {
    fn add(&mut self, header: &[u8], body: &[u8]) -> Result<()> {
        let head = PageHead::read(header).ok_or_else(|| Error::Stream("the Parquet encoder's page header".into()))?;
        let press = self.press.clone();
        let mut keep = |body: &[u8]| {
            let crc = press.checksums.then(|| crc32fast::hash(body));
            let mut page = Vec::with_capacity(header.len() + 8 + body.len());
            head.write(body.len(), crc, &mut page);
            self.plain += page.len() + head.plain;
            page.extend_from_slice(body);
            let page = match press.holder.try_lease(page.len()) {
                Some(lease) => Page::Memory { bytes: page.into(), _lease: lease },
                None => Page::Temp { at: self.temp.put(&page)?, len: page.len() },
            };
            if head.is_dictionary() {
                self.dictionary = Some(page);
            } else {
                self.data.push(page);
            }
            Ok(())
        };
        match &press.zstd {
            Some(zstd) => zstd.compress(body, keep),
            None => keep(body),
        }
    }
}

/// What the crate takes for a page store: it hands pages in and never gets them back from here.
struct Store(Arc<Mutex<Pages>>);

impl PageStore for Store {
    fn put(&mut self, value: Bytes) -> Result<PageKey, ParquetError> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pages.header.take() {
            None => pages.header = Some(value),
            Some(header) => pages.add(&header, &value).map_err(|e| ParquetError::External(Box::new(e)))?,
        }
        Ok(PageKey::new(pages.data.len() as u64))
    }

    fn take(&mut self, _: PageKey) -> Result<Bytes, ParquetError> {
        Err(ParquetError::General("pages are written from their own store".into()))
    }
}

/// Makes the stores of one column of a row group, a leaf each.
pub(super) struct Stores {
    press: Arc<Press>,
    temp: Arc<Temp>,
    made: Mutex<Vec<Arc<Mutex<Pages>>>>,
}

impl Stores {
    pub(super) fn new(press: &Arc<Press>, temp: &Arc<Temp>) -> Self {
        Self { press: press.clone(), temp: temp.clone(), made: Mutex::default() }
    }

    /// Ends `writers`, which were made with these stores, in the same order.
    pub(super) fn close(&self, writers: Vec<ArrowColumnWriter>) -> Result<Vec<Chunk>> {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        writers.into_iter().zip(made).map(|(writer, pages)| Chunk::new(writer.close()?, &pages)).collect()
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stores")
    }
}

impl PageStoreFactory for Stores {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>, ParquetError> {
        let pages = Arc::new(Mutex::new(Pages {
            press: self.press.clone(),
            temp: self.temp.clone(),
            header: None,
            dictionary: None,
            data: Vec::new(),
            plain: 0,
        }));
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(pages.clone());
        Ok(Box::new(Store(pages)))
    }
}

/// A finished column of a row group: its pages in the order of the file, and what the footer says of them.
pub(super) struct Chunk {
    pages: Arc<Vec<Page>>,
    temp: Arc<Temp>,
    bytes: usize,
    close: Option<ColumnCloseResult>,
}

impl Chunk {
    /// What the footer says of it; to be had once.
    pub(super) fn take_close(&mut self) -> Result<ColumnCloseResult> {
        self.close.take().ok_or_else(|| Error::Stream("a column was written already".into()))
    }

    fn new(mut encoded: ArrowColumnChunk, pages: &Mutex<Pages>) -> Result<Self> {
        let bloom_filter = encoded.close_mut().bloom_filter.take();
        let mut close = encoded.close().clone();
        close.bloom_filter = bloom_filter;
        drop(encoded);
        let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
        let dictionary = pages.dictionary.take();
        let data = std::mem::take(&mut pages.data);
        let first = dictionary.as_ref().map_or(0, Page::len);
        let offset = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
        let mut end = first;
        if let Some(index) = &mut close.offset_index {
            if index.page_locations.len() != data.len() {
                return Err(Error::Stream("the Parquet encoder's pages are not those of its index".into()));
            }
            for (location, page) in index.page_locations.iter_mut().zip(&data) {
                location.offset = offset(end);
                location.compressed_page_size = i32::try_from(page.len())
                    .map_err(|_| Error::Stream("a page is larger than Parquet can note".into()))?;
                end += page.len();
            }
        }
        let bytes = first + data.iter().map(Page::len).sum::<usize>();
        close.bytes_written = bytes as u64;
        close.metadata = close
            .metadata
            .into_builder()
            .set_compression_codec(pages.press.codec.into())
            .set_total_compressed_size(offset(bytes))
            .set_total_uncompressed_size(offset(pages.plain))
            .set_dictionary_page_offset(dictionary.is_some().then_some(0))
            .set_data_page_offset(offset(first))
            .build()?;
        let pages_in_order = dictionary.into_iter().chain(data).collect();
        Ok(Self { pages: Arc::new(pages_in_order), temp: pages.temp.clone(), bytes, close: Some(without_nan(close)?) })
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.bytes as u64
    }
}

impl ChunkReader for Chunk {
    type T = Pieces;

    fn get_read(&self, start: u64) -> Result<Pieces, ParquetError> {
        if start != 0 {
            return Err(ParquetError::General("pages are written from the first on".into()));
        }
        Ok(Pieces { pages: self.pages.clone(), temp: self.temp.clone(), next: 0, open: Bytes::new() })
    }

    fn get_bytes(&self, _: u64, _: usize) -> Result<Bytes, ParquetError> {
        Err(ParquetError::General("pages are written from the first on".into()))
    }
}

/// The bytes of a chunk, one page in memory at a time.
pub(super) struct Pieces {
    pages: Arc<Vec<Page>>,
    temp: Arc<Temp>,
    next: usize,
    open: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.open.is_empty() {
            match self.pages.get(self.next) {
                Some(Page::Memory { bytes, .. }) => self.open = bytes.clone(),
                Some(Page::Temp { at, len }) => self.open = self.temp.get(*at, *len)?,
                None => return Ok(0),
            }
            self.next += 1;
        }
        let n = to.len().min(self.open.len());
        to[..n].copy_from_slice(&self.open.split_to(n));
        Ok(n)
    }
}
