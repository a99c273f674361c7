//! The loop over the pages of a flat column, for every kind of value.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use bytes::Bytes;
use parquet::basic::Encoding;

use super::Decode;
use super::compress::SLACK;
use super::deltas::{Deltas, Numbers};
use super::hybrid::{BLOCK, Hybrid, Run};
use super::levels::{Levels, Places, Validity};
use super::pages::{Later, Part as Found, Parts, Rows};
use super::selection::Selection;
use super::split::Split;
use crate::error::{Error, Result};

/// Values of one kind: how they are read, and the buffer that they are put together in.
pub trait Kind: Send {
    /// Another one with the same dictionary and no values.
    fn fork(&self) -> Self
    where
        Self: Sized;

    /// Takes the dictionary, `count` PLAIN values.
    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()>;

    /// Room for about `rows` more values.
    fn reserve(&mut self, rows: usize);

    /// Appends `count` PLAIN values of the page's `bytes`, which begin at `at`; moves `at` behind them, also where it is
    /// [`Error::Wide`]. With `keep` false they are only passed.
    fn plain(&mut self, bytes: &[u8], at: &mut usize, count: usize, keep: bool) -> Result<()>;

    /// As `plain`, for as many values as `keep` has rows, of which only those that are wanted are appended.
    fn plain_some(&mut self, bytes: &[u8], at: &mut usize, keep: &Selection) -> Result<()> {
        let mut passed = 0;
        for (from, to) in keep.runs() {
            self.plain(bytes, at, from - passed, false)?;
            let appended = self.plain(bytes, at, to - from, true);
            passed = to;
            if let Err(e) = appended {
                return Err(unless_wide(e, || self.plain(bytes, at, keep.rows() - passed, false)));
            }
        }
        self.plain(bytes, at, keep.rows() - passed, false)
    }

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

    /// Whether the values are whole numbers, which may be written as differences.
    fn has_numbers(&self) -> bool {
        false
    }

    /// Whether values in `encoding` are read here, not by the crate.
    fn knows(&self, encoding: Encoding) -> bool {
        match encoding {
            Encoding::PLAIN | Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => true,
            Encoding::RLE => self.rle_is_values(),
            Encoding::DELTA_BINARY_PACKED => self.has_numbers(),
            Encoding::BYTE_STREAM_SPLIT => self.split_width().is_some(),
            _ => false,
        }
    }

    /// Appends `numbers`.
    fn numbers(&mut self, _numbers: Numbers<'_>) -> Result<()> {
        Err(Error::Format("whole numbers, of which the column has none".into()))
    }

    /// The bytes of a PLAIN value, where those of several may be written as streams.
    fn split_width(&self) -> Option<usize> {
        None
    }

    /// Hands over what was appended, and begins anew.
    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef>;
}

/// A flat column of one kind.
pub struct Flat<K> {
    /// Where pages come from; none for rows that were set apart.
    parts: Option<Parts>,
    page: Option<Open>,
    /// What was read ahead.
    ahead: VecDeque<Found>,
    /// Rows of the row group that are still to come.
    left: usize,
    /// Rows to leave out before the next one is read.
    behind: usize,
    validity: Validity,
    kind: K,
    /// Who leases the page at hand, where it was taken off.
    held: Option<Arc<Later>>,
}

/// The page at hand.
struct Open {
    left: usize,
    levels: Option<Levels>,
    values: Values,
    body: Bytes,
}

/// The values of a page, read once from front to back.
pub enum Values {
    /// As they are.
    Plain {
        /// The page's values.
        bytes: Bytes,
        /// Where the next one is, as its kind counts.
        at: usize,
    },
    /// Indices of a dictionary, or booleans.
    Indices(Hybrid),
    /// Whole numbers as differences.
    Deltas(Deltas),
    /// Bytes of values as streams.
    Split(Split),
}

impl<K: Kind> Flat<K> {
    /// A column of `kind` with `rows` rows.
    pub fn new(parts: Parts, kind: K, rows: usize) -> Self {
        Self {
            parts: Some(parts),
            page: None,
            ahead: VecDeque::new(),
            left: rows,
            behind: 0,
            validity: Validity::default(),
            kind,
            held: None,
        }
    }

    /// The page with the next rows; `None` where only the crate reads it.
    fn page(&mut self) -> Result<Option<&mut Open>> {
        while self.page.as_ref().is_none_or(|page| page.left == 0) {
            self.close();
            match self.next_page()? {
                None => return Err(Error::Format("ends before its row group does".into())),
                // `next_page` has read what was to be read later
                Some(Found::Foreign | Found::Later(_)) => return Ok(None),
                Some(Found::Dictionary { bytes, count }) => self.kind.dictionary(bytes, count)?,
                Some(Found::Rows(Rows { count: rows, definition, values, encoding, body, .. })) => {
                    let Some(values) = Values::open(&self.kind, values, encoding, rows)? else { return Ok(None) };
                    let levels = definition.map(Levels::new);
                    self.page = Some(Open { left: rows, levels, values, body });
                }
            }
        }
        Ok(self.page.as_mut())
    }

    fn next_page(&mut self) -> Result<Option<Found>> {
        match (self.ahead.pop_front(), &mut self.parts) {
            (Some(Found::Later(page)), _) => {
                let rows = page.read()?;
                self.held = Some(page);
                Ok(Some(Found::Rows(rows)))
            }
            (Some(page), _) => Ok(Some(page)),
            (None, Some(parts)) => parts.next(),
            (None, None) => Ok(None),
        }
    }

    /// Lets go of the page at hand; its buffer serves the next one.
    fn close(&mut self) {
        if let Some(Open { levels, values, body, .. }) = self.page.take() {
            drop((levels, values));
            if let Some(parts) = &mut self.parts {
                parts.give_back(body);
            }
        }
        self.held = None;
    }

    /// Decodes those of the next `rows` rows that are wanted; false where only the crate can. Pages of nothing else are left
    /// behind.
    fn pass(&mut self, rows: usize, wanted: &Wanted<'_>) -> Result<bool> {
        let mut done = 0;
        while done < rows {
            if let Wanted::Some(keep) = wanted {
                let next = keep.next_wanted(done).unwrap_or(rows);
                self.behind += next - done;
                done = next;
                if done == rows {
                    break;
                }
                if !self.catch_up()? {
                    return Ok(false);
                }
            }
            let Some(page) = self.page()? else { return Ok(false) };
            let n = (rows - done).min(page.left);
            page.left -= n;
            match wanted.part(done, n) {
                Part::All => self.all(n),
                Part::None => self.none(n),
                Part::Some(keep) => self.some(&keep),
            }
            .inspect_err(|e| {
                if matches!(e, Error::Wide) {
                    self.behind += rows - done - n;
                }
            })?;
            done += n;
        }
        Ok(true)
    }

    fn all(&mut self, rows: usize) -> Result<()> {
        let Self { page: Some(page), validity, kind, .. } = self else { return Ok(()) };
        let valid = page.levels(rows, validity)?;
        page.values.append(kind, valid)?;
        match validity.last(rows) {
            Some(places) if valid < rows => kind.spread(valid, places),
            _ => {}
        }
        Ok(())
    }

    fn none(&mut self, rows: usize) -> Result<()> {
        let Self { page: Some(page), kind, .. } = self else { return Ok(()) };
        let valid = page.levels(rows, &mut Validity::default())?;
        page.values.skip(kind, valid)
    }

    fn some(&mut self, keep: &Selection) -> Result<()> {
        let Self { page: Some(page), validity, kind, .. } = self else { return Ok(()) };
        let mut found = Validity::default();
        let valid = page.levels(keep.rows(), &mut found)?;
        let Some(places) = found.last(keep.rows()).filter(|_| valid < keep.rows()) else {
            validity.append(keep.count(), true);
            return page.values.append_some(kind, keep);
        };
        let of_values = keep.of_values(places, validity);
        page.values.append_some(kind, &of_values)?;
        match validity.last(keep.count()) {
            Some(places) if of_values.count() < keep.count() => kind.spread(of_values.count(), places),
            _ => {}
        }
        Ok(())
    }

    /// Leaves out the rows that `skip` was asked to; pages of nothing else are not even decompressed.
    fn catch_up(&mut self) -> Result<bool> {
        while self.behind > 0 {
            if self.page.as_ref().is_none_or(|page| page.left == 0) {
                let passed = match (self.ahead.front(), &mut self.parts) {
                    (Some(Found::Later(page)), _) if page.count <= self.behind => {
                        let rows = page.count;
                        self.ahead.pop_front();
                        Some(rows)
                    }
                    (None, Some(parts)) => parts.pass_page(self.behind)?,
                    _ => None,
                };
                if let Some(rows) = passed {
                    self.behind -= rows;
                    continue;
                }
            }
            let Some(page) = self.page()? else { return Ok(false) };
            let left = page.left;
            let n = self.behind.min(left);
            if !self.pass(n, &Wanted::None)? {
                return Ok(false);
            }
            self.behind -= n;
        }
        Ok(true)
    }

    /// How many pages hold the next `rows` rows, which are taken off without being read; `None` where one of them is not for
    /// this decoder, or the first one is being read already.
    fn pages_of(&mut self, rows: usize) -> Result<Option<usize>> {
        let Some(parts) = self.parts.as_mut().filter(|_| self.page.as_ref().is_none_or(|page| page.left == 0)) else {
            return Ok(None);
        };
        let (mut found, mut pages) = (0, 0);
        while found < rows {
            if pages == self.ahead.len() {
                match parts.later()? {
                    Some(Found::Dictionary { bytes, count }) => self.kind.dictionary(bytes, count)?,
                    Some(page) => self.ahead.push_back(page),
                    None => return Err(Error::Format("ends before its row group does".into())),
                }
                continue;
            }
            match &self.ahead[pages] {
                Found::Rows(Rows { encoding, count, .. }) if self.kind.knows(*encoding) => found += count,
                Found::Later(page) if self.kind.knows(page.encoding) => found += page.count,
                _ => return Ok(None),
            }
            pages += 1;
        }
        Ok(Some(pages))
    }

    /// Nothing may follow the row group's last row.
    fn end(&mut self) -> Result<()> {
        let mut more = self.page.take().is_some_and(|page| page.left > 0);
        while !more {
            match self.next_page()? {
                None => return Ok(()),
                Some(Found::Rows(page)) => more = page.count > 0,
                Some(Found::Dictionary { .. } | Found::Foreign | Found::Later(_)) => more = true,
            }
        }
        Err(Error::Format("has more rows than its row group".into()))
    }
}

/// What went wrong: where values are too wide, those that follow are passed.
fn unless_wide(error: Error, pass: impl FnOnce() -> Result<()>) -> Error {
    match error {
        Error::Wide => pass().err().unwrap_or(Error::Wide),
        error => error,
    }
}

fn append<K: Kind>(kind: &mut K, indices: &mut Hybrid, count: usize) -> Result<()> {
    let mut left = count;
    while left > 0 {
        let (count, appended) = match indices.next(left)? {
            Run::Repeat { value, count } => (count, kind.repeat(value, count)),
            Run::Packed(block) => (block.len(), kind.gather(block)),
        };
        left -= count;
        if let Err(e) = appended {
            return Err(unless_wide(e, || indices.skip(left)));
        }
    }
    Ok(())
}

impl<K: Kind + 'static> Decode for Flat<K> {
    fn read(&mut self, rows: usize, keep: Option<&Selection>) -> Result<Option<ArrayRef>> {
        if !self.catch_up()? {
            return Ok(None);
        }
        self.kind.reserve(keep.map_or(rows, Selection::count));
        let passed = self.pass(rows, &keep.map_or(Wanted::All, Wanted::Some));
        if let Err(Error::Wide) = passed {
            // what there is of the rows is of no use
            self.left = self.left.saturating_sub(rows);
            self.validity.finish();
            self.kind.finish(None)?;
        }
        if !passed? {
            return Ok(None);
        }
        self.left = self.left.saturating_sub(rows);
        if self.left == 0 {
            if !self.catch_up()? {
                return Ok(None);
            }
            self.end()?;
        }
        let nulls = self.validity.finish();
        self.kind.finish(nulls).map(Some)
    }

    fn prepare(&mut self, rows: usize) -> Result<bool> {
        let there = self.page.as_ref().map_or(0, |page| page.left);
        if (self.behind > 0 && self.behind >= there)
            || there - self.behind >= rows.min(self.left)
            || self.ahead.back().is_some_and(|page| page.rows().is_some())
        {
            return Ok(false);
        }
        let next = self.parts.as_mut().map_or(Ok(None), Parts::next)?;
        let found = next.is_some();
        self.ahead.extend(next);
        Ok(found)
    }

    fn apart(&mut self, rows: usize) -> Result<Option<Box<dyn Decode>>> {
        let Some(pages) = self.pages_of(self.behind + rows)? else { return Ok(None) };
        let apart = Self {
            parts: None,
            page: None,
            ahead: self.ahead.iter().take(pages).cloned().collect(),
            // whether others follow is not for it to see
            left: usize::MAX,
            behind: self.behind,
            validity: Validity::default(),
            kind: self.kind.fork(),
            held: None,
        };
        self.skip(rows);
        // the last page may have rows that follow
        while let Some(count) = self.ahead.front().and_then(Found::rows).filter(|count| *count <= self.behind) {
            self.behind -= count;
            self.ahead.pop_front();
        }
        Ok(Some(Box::new(apart)))
    }

    fn skip(&mut self, rows: usize) {
        self.behind += rows;
        self.left = self.left.saturating_sub(rows);
    }
}

/// Which rows of a window are wanted.
enum Wanted<'a> {
    All,
    None,
    Some(&'a Selection),
}

/// Which rows of a part of it.
enum Part {
    All,
    None,
    Some(Selection),
}

impl Wanted<'_> {
    fn part(&self, start: usize, rows: usize) -> Part {
        match self {
            Wanted::All => Part::All,
            Wanted::None => Part::None,
            Wanted::Some(keep) => match keep.slice(start, rows) {
                part if part.count() == 0 => Part::None,
                part if part.count() == rows => Part::All,
                part => Part::Some(part),
            },
        }
    }
}

impl Open {
    /// Appends the next `rows` levels to `validity`; how many of the rows have a value.
    fn levels(&mut self, rows: usize, validity: &mut Validity) -> Result<usize> {
        if let Some(levels) = &mut self.levels {
            return levels.take(rows, validity);
        }
        validity.append(rows, true);
        Ok(rows)
    }
}

impl Values {
    /// The values in `bytes`, which are of `kind` and belong to a page of `rows` levels; `None` where only the crate reads
    /// their encoding.
    ///
    /// # Errors
    /// A head that cannot be.
    pub fn open<K: Kind>(kind: &K, mut bytes: Bytes, encoding: Encoding, rows: usize) -> Result<Option<Self>> {
        Ok(Some(match encoding {
            Encoding::PLAIN => Values::Plain { bytes, at: 0 },
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                // a page of nothing but nulls may have no width
                let width = bytes.first().copied().unwrap_or(0);
                let _ = bytes.split_to(bytes.len().min(1));
                Values::Indices(Hybrid::new(bytes, width)?)
            }
            Encoding::RLE if kind.rle_is_values() => {
                // four bytes of length come first
                if bytes.len() < 4 && rows > 0 {
                    return Err(Error::Format("a page is shorter than its values".into()));
                }
                let _ = bytes.split_to(bytes.len().min(4));
                Values::Indices(Hybrid::new(bytes, 1)?)
            }
            Encoding::DELTA_BINARY_PACKED if kind.has_numbers() => Values::Deltas(Deltas::new(bytes, rows)?),
            Encoding::BYTE_STREAM_SPLIT => match kind.split_width() {
                Some(width) => Values::Split(Split::new(bytes, width)?),
                None => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    /// Appends the next `count` values.
    ///
    /// # Errors
    /// A page that ends before, or that says what cannot be; [`Error::Wide`], and then these values are passed.
    pub fn append<K: Kind>(&mut self, kind: &mut K, count: usize) -> Result<()> {
        match self {
            Values::Plain { bytes, at } => kind.plain(bytes, at, count, true),
            Values::Indices(indices) => append(kind, indices, count),
            Values::Deltas(deltas) => {
                let mut left = count;
                while left > 0 {
                    let numbers = deltas.next(left)?;
                    left -= numbers.len();
                    kind.numbers(numbers)?;
                }
                Ok(())
            }
            Values::Split(split) => {
                let mut left = count;
                while left > 0 {
                    let (count, values) = split.next(left)?;
                    kind.plain(values, &mut 0, count, true)?;
                    left -= count;
                }
                Ok(())
            }
        }
    }

    /// Passes the next `count` values.
    ///
    /// # Errors
    /// A page that ends before.
    pub fn skip<K: Kind>(&mut self, kind: &mut K, count: usize) -> Result<()> {
        match self {
            Values::Plain { bytes, at } => kind.plain(bytes, at, count, false),
            Values::Indices(indices) => indices.skip(count),
            Values::Deltas(deltas) => deltas.skip(count),
            Values::Split(split) => split.skip(count),
        }
    }

    /// Appends those of the next values that are wanted, and passes the others; all of them where it is [`Error::Wide`].
    fn append_some<K: Kind>(&mut self, kind: &mut K, keep: &Selection) -> Result<()> {
        let indices = match self {
            Values::Plain { bytes, at } => return kind.plain_some(bytes, at, keep),
            Values::Indices(indices) => indices,
            Values::Deltas(deltas) => {
                let (mut at, mut wanted) = (0, Vec::new());
                while at < keep.rows() {
                    let numbers = deltas.listed(keep.rows() - at)?;
                    keep.append(at, numbers, |n| n, &mut wanted);
                    kind.numbers(Numbers::Listed(&wanted))?;
                    at += numbers.len();
                    wanted.clear();
                }
                return Ok(());
            }
            Values::Split(split) => {
                let mut at = 0;
                while at < keep.rows() {
                    let (count, values) = split.next(keep.rows() - at)?;
                    kind.plain_some(values, &mut 0, &keep.slice(at, count))?;
                    at += count;
                }
                return Ok(());
            }
        };
        let mut picked = [0; BLOCK + SLACK];
        let mut at = 0;
        while at < keep.rows() {
            let appended = match indices.next((keep.rows() - at).min(BLOCK))? {
                Run::Repeat { value, count } => {
                    let wanted = keep.count_in(at, count);
                    at += count;
                    if wanted > 0 { kind.repeat(value, wanted) } else { Ok(()) }
                }
                Run::Packed(block) => {
                    let wanted = keep.pick(at, block, &mut picked);
                    at += block.len();
                    kind.gather(&picked[..wanted])
                }
            };
            if let Err(e) = appended {
                return Err(unless_wide(e, || indices.skip(keep.rows() - at)));
            }
        }
        Ok(())
    }
}

/// What was made: of room that was hardly used, the rest goes back.
pub fn fitted<T>(mut made: Vec<T>) -> Vec<T> {
    if made.capacity() > made.len() * 2 {
        made.shrink_to_fit();
    }
    made
}

/// An index that the dictionary does not have.
pub fn beyond(index: u32, dictionary: usize) -> Error {
    Error::Format(format!("index {index} in a dictionary of {dictionary} values"))
}

/// A page with fewer bytes than its values take.
pub fn short() -> Error {
    Error::Format("a page ends before its last value".into())
}
