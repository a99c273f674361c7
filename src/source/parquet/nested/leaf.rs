//! One leaf of a nested column: its pages, its levels, and the values between them.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::file::metadata::ColumnChunkMetaData;

use super::super::flat::{BLOCK, Kind, Later, Part, Parts, Rows, Use, Values};
use super::super::pages::Pages;
use super::depths::{Depths, Groups, Lists};
use super::levels::Levels;
use super::shape;
use crate::error::{Error, Result};
use crate::memory::Lease;

/// Bytes that the levels and indices of an open page take, unpacked.
const BUFFERS: usize = 20 << 10;
/// Slots after which the values among them are decoded, where the page does not end before.
const OFTEN: usize = 32 * BLOCK;

/// A leaf, decoded from front to back in rows of its root column.
pub trait ReadLeaf: Send {
    /// The next `rows` rows; `None` where a page is written in a way that only the crate reads, and then no more.
    ///
    /// # Errors
    /// A damaged page, or one that the run has no room for; [`Error::Wide`], and then these rows are left out.
    fn read(&mut self, rows: usize) -> Result<Option<Found>>;

    /// Reads the page that the next `rows` rows will probably ask for, if it is not there yet; false where there is nothing
    /// to do.
    ///
    /// # Errors
    /// A page that the run has no room for, which may be asked for again.
    fn prepare(&mut self, rows: usize) -> Result<bool>;

    /// The pages that the next `rows` rows will probably ask for, taken off by their headers ([`super::super::flat::Decode::soon`]).
    fn soon(&mut self, rows: usize) -> Vec<Arc<Later>>;

    /// Leaves out the next `rows` rows, once more is read.
    fn skip(&mut self, rows: usize);
}

/// What a window has of a leaf.
pub struct Found {
    /// Its values, one for each slot; taken when they are put into what they are in.
    pub values: Option<ArrayRef>,
    /// The lists that it tells of.
    pub lists: Vec<Lists>,
    /// The groups that it tells of.
    pub groups: Vec<Groups>,
}

/// What it takes to make a leaf once its kind is known.
pub struct Making<'a> {
    /// What the footer says of it.
    pub column: &'a ColumnChunkMetaData,
    /// What its levels tell.
    pub shape: &'a shape::Leaf,
    /// Its pages.
    pub pages: Pages,
    /// For what a window takes; empty.
    pub lease: Lease,
    /// Bytes of a row that are leased elsewhere.
    pub share: usize,
    /// Rows of the row group.
    pub rows: usize,
    /// Bytes that are too many for some rows.
    pub wide: usize,
}

impl Use for Making<'_> {
    type Out = Box<dyn ReadLeaf>;

    fn with<K: Kind + 'static>(self, kind: K) -> Self::Out {
        let Self { column, shape, pages, lease, share, rows, wide } = self;
        let depths = Depths::new(shape.least.clone(), &shape.lists, &shape.groups, shape.highest);
        let most = [shape.least.len() - 1, shape.highest];
        let values = usize::try_from(column.num_values()).unwrap_or(usize::MAX);
        // offsets where there is no width
        let width = match shape.to {
            DataType::FixedSizeBinary(width) => usize::try_from(width).unwrap_or(4),
            _ => shape.to.primitive_width().unwrap_or(4),
        };
        Box::new(Leaf {
            parts: Parts::nested(pages, most[0] > 0, most[1] > 0),
            page: None,
            held: None,
            ahead: VecDeque::new(),
            fault: None,
            begun: false,
            all: rows,
            left: rows,
            behind: 0,
            tail: false,
            width,
            level_bytes: width + depths.level_bytes(),
            reserved: 0,
            levels_a_row: values.div_ceil(rows.max(1)),
            share,
            // offsets are not in what the footer says of a row
            wide: wide.saturating_mul(2),
            bound: usize::MAX,
            lease,
            most,
            depths,
            kind,
        })
    }
}

struct Leaf<K> {
    parts: Parts,
    page: Option<Open>,
    /// Who leases the page at hand, where it was taken off.
    held: Option<Arc<Later>>,
    /// What was read or taken off ahead, and what went wrong then: it is told to the window that asks for the page.
    ahead: VecDeque<Part>,
    fault: Option<Error>,
    /// Whether a page of levels was opened.
    begun: bool,
    /// Rows of the row group, and those that are still to come.
    all: usize,
    left: usize,
    /// Rows to leave out before the next one is read, and whether what comes next may belong to one that was left out.
    behind: usize,
    tail: bool,
    /// Bytes that a value takes, and a level with its slot at most.
    width: usize,
    level_bytes: usize,
    /// Bytes that a window was made room for at once; what takes more doubles as it grows.
    reserved: usize,
    /// Levels of a row on the average, by the footer.
    levels_a_row: usize,
    share: usize,
    /// Bytes that are too many for a window, and for the current one: nothing is too much for one row.
    wide: usize,
    bound: usize,
    lease: Lease,
    /// The highest repetition and definition level.
    most: [usize; 2],
    depths: Depths,
    kind: K,
}

/// The page at hand.
struct Open {
    levels: Levels,
    values: Values,
    body: Bytes,
}

/// What the next page is.
enum Next {
    Rows,
    Foreign,
    End,
}

impl<K: Kind> Leaf<K> {
    /// Opens the next page of rows in place of the page at hand, of which nothing is left.
    fn open(&mut self) -> Result<Next> {
        if let Some(Open { levels, values, body }) = self.page.take() {
            drop((levels, values));
            self.parts.give_back(body);
        }
        self.held = None;
        loop {
            let part = match (self.ahead.pop_front(), self.fault.take()) {
                (Some(part), fault) => {
                    self.fault = fault;
                    Some(part)
                }
                (None, Some(fault)) => return Err(fault),
                (None, None) => self.parts.next()?,
            };
            match part {
                None => return Ok(Next::End),
                Some(Part::Foreign) => return Ok(Next::Foreign),
                Some(Part::Later(page)) => {
                    // while somebody else is at it, there are others to be read
                    let mut others = self.ahead.iter().filter_map(Part::later);
                    let _ = page.is_taken() && others.any(|other| other.prepare());
                    self.ahead.push_front(Part::Rows(page.read()?));
                    self.held = Some(page);
                }
                Some(Part::Dictionary { bytes, count }) => self.kind.dictionary(bytes, count)?,
                Some(Part::Rows(Rows { count, repetition, definition, values, encoding, body })) => {
                    let Some(values) = Values::open(&self.kind, values, encoding, count)? else {
                        return Ok(Next::Foreign);
                    };
                    let mut levels = Levels::new(repetition, definition, self.most, count)?;
                    if count > 0 && !std::mem::replace(&mut self.begun, true) && !levels.begins_row()? {
                        return Err(Error::Format("begins within a row".into()));
                    }
                    self.page = Some(Open { levels, values, body });
                    return Ok(Next::Rows);
                }
            }
        }
    }

    /// Leaves out the rows that `skip` was asked to; pages of nothing else are not even decompressed where they say how many
    /// rows they have. False where only the crate reads on.
    fn catch_up(&mut self) -> Result<bool> {
        while self.behind > 0 || self.tail {
            let Some(page) = self.page.as_mut().filter(|page| page.levels.left() > 0) else {
                if self.behind > 0
                    && self.ahead.is_empty()
                    && self.fault.is_none()
                    && let Some(rows) = self.parts.pass_page(self.behind)?
                {
                    self.behind -= rows;
                    (self.begun, self.tail) = (true, self.most[0] > 0);
                    continue;
                }
                match self.open()? {
                    Next::Rows => continue,
                    Next::Foreign => return Ok(false),
                    Next::End if self.behind > 0 => {
                        return Err(Error::Format("ends before its row group does".into()));
                    }
                    Next::End => {
                        self.tail = false;
                        continue;
                    }
                }
            };
            let taken = page.levels.take(&mut self.behind, usize::MAX, None)?;
            page.values.skip(&mut self.kind, taken.values)?;
            self.tail = self.most[0] > 0 && !taken.ended;
        }
        Ok(true)
    }

    /// Decodes what the page at hand has of the next `rows` rows, which become fewer; whether another row follows in it.
    /// `share` bytes of them are leased elsewhere.
    fn page_of(&mut self, rows: &mut usize, share: usize) -> Result<bool> {
        let Some(page) = &mut self.page else { return Ok(false) };
        let mut ended = false;
        while page.levels.left() > 0 && !ended {
            let (first, mut values) = (self.depths.slots(), 0);
            while page.levels.left() > 0 && !ended && self.depths.slots() - first < OFTEN {
                let slots = self.depths.slots() + BLOCK;
                let all = self.depths.bytes() + BLOCK * self.level_bytes + slots * self.width + slots / 4;
                if all > self.bound {
                    page.values.skip(&mut self.kind, values)?;
                    return Err(Error::Wide);
                }
                let growing = if all > self.reserved { all } else { 0 };
                let need = all.saturating_add(growing).saturating_sub(share).saturating_add(BUFFERS);
                if need > self.lease.bytes() {
                    self.lease.resize(need)?;
                }
                self.depths.check(BLOCK)?;
                let taken = page.levels.take(rows, BLOCK, Some(&mut self.depths))?;
                values += taken.values;
                ended = taken.ended;
            }
            page.values.append(&mut self.kind, values)?;
            let slots = self.depths.slots() - first;
            if values < slots
                && let Some(places) = self.depths.validity().last(slots)
            {
                self.kind.spread(values, places);
            }
        }
        Ok(ended)
    }
}

impl<K: Kind> ReadLeaf for Leaf<K> {
    fn read(&mut self, rows: usize) -> Result<Option<Found>> {
        if !self.catch_up()? {
            return Ok(None);
        }
        let share = self.share.saturating_mul(rows);
        self.lease.resize(BUFFERS)?;
        // what is made room for at once is leased elsewhere
        let about = self.levels_a_row.saturating_mul(rows).min(share / self.level_bytes.max(1));
        self.depths.reserve(rows, about);
        self.reserved = about * self.level_bytes;
        self.bound = if rows > 1 { self.wide } else { usize::MAX };
        // a kind takes one value for one row, for which nothing is too much
        self.kind.reserve(if rows > 1 { about.max(2) } else { about.min(1) });
        let last = rows >= self.left;
        let mut left = rows;
        loop {
            if self.page.as_ref().is_none_or(|page| page.levels.left() == 0) {
                // with lists, the last row may go on in the next page
                if left == 0 && self.most[0] == 0 && !last {
                    break;
                }
                match self.open()? {
                    Next::Rows => continue,
                    Next::Foreign => return Ok(None),
                    Next::End if left == 0 => break,
                    Next::End => {
                        return Err(Error::Format(format!("expected {rows} more rows, found {}", rows - left)));
                    }
                }
            }
            match self.page_of(&mut left, share) {
                Ok(false) => {}
                Ok(true) if last => {
                    return Err(Error::Format(format!("has more rows than the {} of its row group", self.all)));
                }
                Ok(true) => break,
                Err(e) => {
                    if let Error::Wide = e {
                        // what there is of the rows is of no use
                        self.depths.finish();
                        self.kind.finish(None)?;
                        (self.behind, self.tail) = (left, self.most[0] > 0);
                        self.left = self.left.saturating_sub(rows);
                    }
                    return Err(e);
                }
            }
        }
        self.left = self.left.saturating_sub(rows);
        let (lists, groups, nulls) = self.depths.finish();
        Ok(Some(Found { values: Some(self.kind.finish(nulls)?), lists, groups }))
    }

    fn prepare(&mut self, rows: usize) -> Result<bool> {
        let there = self.page.as_ref().map_or(0, |page| page.levels.left());
        let wanted = rows.min(self.left).saturating_mul(self.levels_a_row);
        let enough = there >= wanted || self.ahead.back().is_some_and(|part| part.rows().is_some());
        if self.behind > 0 || self.tail || enough || self.fault.is_some() {
            return Ok(false);
        }
        match self.parts.next() {
            Ok(next) => {
                let found = next.is_some();
                self.ahead.extend(next);
                Ok(found)
            }
            Err(e @ Error::MemoryLimit(_)) => Err(e),
            // how many levels the rows have is not known: it may be that they do not ask for this page
            Err(e) => {
                self.fault = Some(e);
                Ok(false)
            }
        }
    }

    fn soon(&mut self, rows: usize) -> Vec<Arc<Later>> {
        // rows that are left out may be whole pages, which nobody reads
        if self.behind > 0 || self.tail {
            return Vec::new();
        }
        let wanted = rows.min(self.left).saturating_mul(self.levels_a_row);
        let mut there = self.page.as_ref().map_or(0, |page| page.levels.left());
        there += self.ahead.iter().filter_map(Part::rows).sum::<usize>();
        while there < wanted && self.fault.is_none() {
            match self.parts.later() {
                Ok(None) => break,
                Ok(Some(part)) => {
                    there += part.rows().unwrap_or(0);
                    self.ahead.push_back(part);
                }
                Err(e) => self.fault = Some(e),
            }
        }
        self.ahead.iter().filter_map(Part::later).cloned().collect()
    }

    fn skip(&mut self, rows: usize) {
        self.behind += rows;
        self.left = self.left.saturating_sub(rows);
    }
}
