//! The loop over the pages of a flat column, for every kind of value.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use bytes::Bytes;
use parquet::basic::Encoding;

use super::Decode;
use super::hybrid::{Hybrid, Run};
use super::levels::{Levels, Places, Validity};
use super::pages::{Page, Pages};
use crate::error::{Error, Result};

/// Values of one kind: how they are read, and the buffer that they are put together in.
pub trait Kind: Send {
    /// Takes the dictionary, `count` PLAIN values.
    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()>;

    /// Room for about `rows` more values.
    fn reserve(&mut self, rows: usize);

    /// Appends `count` PLAIN values of the page's `bytes`, which begin at `at`; moves `at` behind them. With
    /// `keep` false they are only passed.
    fn plain(&mut self, bytes: &Bytes, at: &mut usize, count: usize, keep: bool) -> Result<()>;

    /// Appends the dictionary's value `index`, `count` times.
    fn repeat(&mut self, index: u32, count: usize) -> Result<()>;

    /// Appends the dictionary's values at `indices`.
    fn gather(&mut self, indices: &[u32]) -> Result<()>;

    /// Makes room for nulls: the last `valid` values move to their places.
    fn spread(&mut self, valid: usize, places: Places<'_>);

    /// Whether RLE stands for values rather than for the indices of a dictionary.
    fn rle_is_values(&self) -> bool {
        false
    }

    /// Hands over what was appended, and begins anew.
    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef>;
}

/// A flat column of one kind.
pub struct Flat<K> {
    pages: Pages,
    page: Option<Open>,
    /// Rows of the row group that are still to come.
    left: usize,
    validity: Validity,
    kind: K,
}

/// The page at hand.
struct Open {
    left: usize,
    levels: Option<Levels>,
    values: Values,
}

enum Values {
    Plain { bytes: Bytes, at: usize },
    Indices(Hybrid),
}

impl<K: Kind> Flat<K> {
    /// A column of `kind` with `rows` rows.
    pub fn new(pages: Pages, kind: K, rows: usize) -> Self {
        Self { pages, page: None, left: rows, validity: Validity::default(), kind }
    }

    /// The page with the next rows; `None` where only the crate reads it.
    fn page(&mut self) -> Result<Option<&mut Open>> {
        while self.page.as_ref().is_none_or(|page| page.left == 0) {
            match self.pages.next()? {
                None => return Err(Error::Format("ends before its row group does".into())),
                Some(Page::Foreign) => return Ok(None),
                Some(Page::Dictionary { bytes, count }) => self.kind.dictionary(bytes, count)?,
                Some(Page::Data { rows, levels, values, encoding }) => {
                    let Some(values) = self.values(values, encoding, rows)? else { return Ok(None) };
                    self.page = Some(Open { left: rows, levels, values });
                }
            }
        }
        Ok(self.page.as_mut())
    }

    fn values(&self, mut bytes: Bytes, encoding: Encoding, rows: usize) -> Result<Option<Values>> {
        Ok(Some(match encoding {
            Encoding::PLAIN => Values::Plain { bytes, at: 0 },
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                // a page of nothing but nulls may have no width
                let width = bytes.first().copied().unwrap_or(0);
                let _ = bytes.split_to(bytes.len().min(1));
                Values::Indices(Hybrid::new(bytes, width)?)
            }
            Encoding::RLE if self.kind.rle_is_values() => {
                // four bytes of length come first
                if bytes.len() < 4 && rows > 0 {
                    return Err(Error::Format("a page is shorter than its values".into()));
                }
                let _ = bytes.split_to(bytes.len().min(4));
                Values::Indices(Hybrid::new(bytes, 1)?)
            }
            _ => return Ok(None),
        }))
    }

    /// Decodes the next `rows` rows, or only passes them.
    fn pass(&mut self, rows: usize, keep: bool) -> Result<bool> {
        let mut left = rows;
        while left > 0 {
            let Some(page) = self.page()? else { return Ok(false) };
            let n = left.min(page.left);
            page.left -= n;
            left -= n;
            let Self { page: Some(page), validity, kind, .. } = self else { return Ok(false) };
            let mut passed = Validity::default();
            let validity = if keep { validity } else { &mut passed };
            let valid = if let Some(levels) = &mut page.levels {
                levels.take(n, validity)?
            } else {
                validity.append(n, true);
                n
            };
            match &mut page.values {
                Values::Plain { bytes, at } => kind.plain(bytes, at, valid, keep)?,
                Values::Indices(indices) if keep => append(kind, indices, valid)?,
                Values::Indices(indices) => indices.skip(valid)?,
            }
            if keep
                && valid < n
                && let Some(places) = validity.last(n)
            {
                kind.spread(valid, places);
            }
        }
        self.left = self.left.saturating_sub(rows);
        if self.left == 0 {
            self.end()?;
        }
        Ok(true)
    }

    /// Nothing may follow the row group's last row.
    fn end(&mut self) -> Result<()> {
        let mut more = self.page.take().is_some_and(|page| page.left > 0);
        while !more {
            match self.pages.next()? {
                None => return Ok(()),
                Some(Page::Data { rows, .. }) => more = rows > 0,
                Some(Page::Dictionary { .. } | Page::Foreign) => more = true,
            }
        }
        Err(Error::Format("has more rows than its row group".into()))
    }
}

fn append<K: Kind>(kind: &mut K, indices: &mut Hybrid, count: usize) -> Result<()> {
    let mut left = count;
    while left > 0 {
        left -= match indices.next(left)? {
            Run::Repeat { value, count } => {
                kind.repeat(value, count)?;
                count
            }
            Run::Packed(block) => {
                kind.gather(block)?;
                block.len()
            }
        };
    }
    Ok(())
}

impl<K: Kind> Decode for Flat<K> {
    fn read(&mut self, rows: usize) -> Result<Option<ArrayRef>> {
        self.kind.reserve(rows);
        if !self.pass(rows, true)? {
            return Ok(None);
        }
        let nulls = self.validity.finish();
        self.kind.finish(nulls).map(Some)
    }

    fn skip(&mut self, rows: usize) -> Result<bool> {
        self.pass(rows, false)
    }
}

/// Moves the last `valid` of `out`'s values to their places, from back to front. Under a null stands the value in
/// front of it, so that the loop has no branch on the bits.
pub fn spread<T: Copy + Default>(out: &mut Vec<T>, valid: usize, places: Places<'_>) {
    let first = out.len() - valid;
    let in_front = first.checked_sub(1).map(|i| out[i]).unwrap_or_default();
    out.resize(first + places.rows, T::default());
    let tail = &mut out[first..];
    // values of the rows up to and with `row`
    let mut left = valid;
    let mut row = places.rows;
    while left > 0 && left < row {
        row -= 1;
        tail[row] = tail[left - 1];
        left -= places.bit(row);
    }
    if left == 0 {
        tail[..row].fill(in_front);
    }
}

/// An index that the dictionary does not have.
pub fn beyond(index: u32, dictionary: usize) -> Error {
    Error::Format(format!("index {index} in a dictionary of {dictionary} values"))
}

/// A page with fewer bytes than its values take.
pub fn short() -> Error {
    Error::Format("a page ends before its last value".into())
}
