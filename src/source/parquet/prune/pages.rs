//! The page index: where the pages of a column begin, and what is known of their values.
//!
//! It lies apart from the footer and is read for one row group and one column at a time. It is data that can be wrong, and
//! where it contradicts itself, its column or the row group it is not used. What it costs to decode is leased first; a
//! run with little memory does without an index that is large for it.

use std::any::Any;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array};
use arrow::compute::kernels::cmp::gt;
use bytes::Bytes;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::metadata::page_index::PageIndexProvider;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::index_reader::{decode_column_index, decode_offset_index};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use super::super::compact::{Fields, LIST, STOP};
use super::super::guard::guarded;
use super::super::layout::Layout;
use super::statistics::{announced, converter};
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};
use crate::source::read_at::ReadAt;

/// An index of more bytes than this is not read: it belongs to 100,000 pages.
const LARGEST: u64 = 8 << 20;
/// What a page takes decoded: its place, bounds and counts.
const DECODED: usize = 128;

/// Where indexes are read, and who holds them.
pub struct Indexes<'a> {
    /// The file.
    pub at: &'a dyn ReadAt,
    /// Who holds what is decoded.
    pub holder: &'a Holder,
    /// The most bytes that one index may take.
    pub most: usize,
}

/// The pages of one column of a row group, as its offset index has them.
#[derive(Debug)]
pub struct Pages {
    /// The first row of each page, and the number of rows of the row group.
    borders: Vec<u64>,
    /// The bytes of each in the file.
    stored: Vec<u64>,
    _lease: Lease,
}

/// What is known of the values of pages.
#[derive(Debug)]
pub struct Bounds {
    /// A lower bound of each page, in the announced type.
    pub min: ArrayRef,
    /// An upper one.
    pub max: ArrayRef,
    /// How many nulls each has, where the index says so.
    pub nulls: Vec<Option<u64>>,
    _lease: Lease,
}

impl Pages {
    /// The pages of `column`, in a row group of `rows` rows; `None` without an index that agrees with both.
    ///
    /// # Errors
    /// A file that cannot be read, memory that is not there.
    pub fn read(column: &ColumnChunkMetaData, rows: u64, from: &Indexes<'_>) -> Result<Option<Self>> {
        let Some(bytes) = from.bytes(column.offset_index_range())? else { return Ok(None) };
        let Some(pages) = elements(&bytes, 1).filter(|pages| *pages > 0 && *pages <= bytes.len() / 2) else {
            return Ok(None);
        };
        let Some(lease) = from.lease(&bytes, pages)? else { return Ok(None) };
        let Ok(index) = guarded("page index", || Ok(decode_offset_index(&bytes)?)) else { return Ok(None) };
        Ok(places(&index, column, rows).map(|(borders, stored)| Self { borders, stored, _lease: lease }))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.stored.len()
    }

    /// The rows at which pages begin, and that behind the last.
    pub fn borders(&self) -> &[u64] {
        &self.borders
    }

    /// The rows of each page, and its bytes.
    pub fn each(&self) -> impl Iterator<Item = (Range<u64>, u64)> + '_ {
        self.borders.windows(2).map(|pair| pair[0]..pair[1]).zip(self.stored.iter().copied())
    }

    /// The page that `row` is in.
    pub fn at(&self, row: u64) -> usize {
        self.borders.partition_point(|border| *border <= row).saturating_sub(1).min(self.len().saturating_sub(1))
    }

    /// The rows of page `page`.
    pub fn rows(&self, page: usize) -> u64 {
        match self.borders.get(page..page + 2) {
            Some([start, end]) => end - start,
            _ => 0,
        }
    }
}

/// Borders and stored sizes, once they are ones that `column` can have.
pub(super) fn places(
    index: &OffsetIndexMetaData,
    column: &ColumnChunkMetaData,
    rows: u64,
) -> Option<(Vec<u64>, Vec<u64>)> {
    let (start, length) = column.byte_range();
    let (mut at, end) = (start, start.checked_add(length)?);
    let mut borders: Vec<u64> = Vec::with_capacity(index.page_locations().len() + 1);
    let mut stored = Vec::with_capacity(index.page_locations().len());
    for page in index.page_locations() {
        let (offset, size) = (u64::try_from(page.offset).ok()?, u64::try_from(page.compressed_page_size).ok()?);
        let row = u64::try_from(page.first_row_index).ok()?;
        // no page is empty, they come one after the other, and the first begins with the first row
        let follows = borders.last().map_or(row == 0, |last| *last < row);
        if !follows || offset < at || size == 0 || offset.checked_add(size).is_none_or(|stop| stop > end) {
            return None;
        }
        at = offset + size;
        borders.push(row);
        stored.push(size);
    }
    if borders.last().is_none_or(|last| *last >= rows) {
        return None;
    }
    borders.push(rows);
    Some((borders, stored))
}

impl Bounds {
    /// What the column index of `column`, whose name is `name`, says of `pages`; `None` without one that agrees with
    /// them.
    ///
    /// # Errors
    /// A file that cannot be read, memory that is not there.
    pub fn read(
        layout: &Layout,
        (name, column): (&str, &ColumnChunkMetaData),
        pages: &Pages,
        from: &Indexes<'_>,
    ) -> Result<Option<Self>> {
        let Some(bytes) = from.bytes(column.column_index_range())? else { return Ok(None) };
        // null pages and both bounds have an element a page; null counts may be missing
        let agrees = |list| elements(&bytes, list).is_some_and(|found| found == pages.len());
        if !(1..=3).all(agrees) {
            return Ok(None);
        }
        let Some(lease) = from.lease(&bytes, pages.len())? else { return Ok(None) };
        let found = guarded("page index", || {
            let index = decode_column_index(&bytes, column.column_type())?;
            Ok(bounds(layout, name, index, pages))
        });
        Ok(found.ok().flatten().map(|(min, max, nulls)| Self { min, max, nulls, _lease: lease }))
    }
}

type Found = (ArrayRef, ArrayRef, Vec<Option<u64>>);

fn bounds(layout: &Layout, name: &str, index: ColumnIndexMetaData, pages: &Pages) -> Option<Found> {
    let converter = converter(layout, name)?;
    let nulls: Vec<Option<u64>> = (0..pages.len())
        .map(|page| match (index.is_null_page(page), index.null_count(page)) {
            (true, None) => Some(Some(pages.rows(page))),
            (false, None) => Some(None),
            (all, Some(count)) => {
                let count = u64::try_from(count).ok()?;
                let rows = pages.rows(page);
                (count <= rows && (!all || count == rows)).then_some(Some(count))
            }
        })
        .collect::<Option<_>>()?;
    let one = OneColumn(index);
    // the group and column that are asked for do not matter to a provider of one index
    let min = converter.data_page_mins(&one, [&0]).ok()?;
    let max = converter.data_page_maxes(&one, [&0]).ok()?;
    let counts: Option<UInt64Array> = converter.data_page_null_counts(&one, [&0]).ok();
    if min.len() != pages.len() || max.len() != pages.len() || counts.is_some_and(|c| c.len() != pages.len()) {
        return None;
    }
    let (min, max) = (announced(layout, name, &min)?, announced(layout, name, &max)?);
    let crossed: BooleanArray = gt(&min, &max).ok()?;
    (crossed.true_count() == 0).then_some((min, max, nulls))
}

/// One column index, for whoever asks.
#[derive(Debug)]
struct OneColumn(ColumnIndexMetaData);

impl PageIndexProvider for OneColumn {
    fn has_offset_indexes(&self) -> bool {
        false
    }

    fn has_column_indexes(&self) -> bool {
        true
    }

    fn column_index(&self, _: usize, _: usize) -> Option<&ColumnIndexMetaData> {
        Some(&self.0)
    }

    fn offset_index(&self, _: usize, _: usize) -> Option<&OffsetIndexMetaData> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Indexes<'_> {
    /// The bytes of an index, if it lies in the file and is not too large.
    fn bytes(&self, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        let fits = |r: &Range<u64>| r.start < r.end && r.end - r.start <= LARGEST && r.end <= self.at.size();
        let Some(range) = range.filter(fits) else { return Ok(None) };
        let Ok(length) = usize::try_from(range.end - range.start) else { return Ok(None) };
        if length > self.most {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        match self.at.read_exact_at(&mut bytes, range.start) {
            Ok(()) => Ok(Some(bytes.into())),
            Err(Error::Format(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A lease of what an index of `pages` pages takes decoded, if that is not too much.
    fn lease(&self, bytes: &Bytes, pages: usize) -> Result<Option<Lease>> {
        // histograms of levels are decoded too: eight bytes for a byte
        let need = pages.saturating_mul(DECODED).saturating_add(bytes.len().saturating_mul(10));
        if need > self.most { Ok(None) } else { self.holder.lease(need).map(Some) }
    }
}

/// How many elements the list with field id `list` has; `None` where the whole does not hold together. Booleans are in the
/// first list alone ([`Fields::without_booleans`]).
fn elements(bytes: &[u8], list: i64) -> Option<usize> {
    let mut fields = Fields::of(bytes).without_booleans();
    let mut found = None;
    loop {
        let (kind, id) = fields.next()?;
        let mut value = if id == 1 { Fields::of(fields.rest()) } else { fields.clone() };
        match kind {
            STOP => return found,
            LIST if id == list => found = usize::try_from(value.clone().list()?.0).ok(),
            _ => {}
        }
        value.skip(kind)?;
        fields.behind(&value);
    }
}
