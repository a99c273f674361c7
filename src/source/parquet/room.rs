//! What the crate takes to decode a window of a column, counted and leased before it does.
//!
//! What the footer says of a row is an average. Where rows are lists, one of them may have any number of values: ten bytes
//! of levels can stand for 2³¹. Where values have a dictionary, a few bits stand for a value of any length, and a value of
//! fixed length may be a gigabyte. So the levels of a window's rows are counted in the pages that they lie in, and the
//! bytes of text that a page stands for. What a window's piece has leased already is not leased twice.
//!
//! The cost is another look at repetition levels and at the indices of text, a small part of what it takes to decode them.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::{ConvertedType, Encoding, LogicalType, Type as Physical};
use parquet::schema::types::ColumnDescriptor;

use super::flat::{Hybrid, Run};
use super::header::Kind;
use crate::error::{Error, Result};
use crate::memory::Lease;

/// Levels that are looked at together where a row may end among them. Whatever comes next has so many more for it, as some
/// of its own may have been looked at already.
const STEP: usize = 64;
/// Levels after which what was counted is leased, so that more than there is room for is not counted to its end.
const OFTEN: u64 = 1 << 20;

/// What one leaf of a column takes in the current window.
pub struct Room {
    lease: Lease,
    /// Bytes that are too many for a window, and for the current one: nothing is too much for one row.
    wide: usize,
    bound: usize,
    /// Bytes that a level takes, with its value.
    level: usize,
    /// Bytes of a value that the crate makes room for by the window's rows, whatever its pages have; 0 where rows are lists.
    value: usize,
    /// The largest repetition and definition level.
    most: [i16; 2],
    text: bool,
    /// Whether values stay indices of a dictionary, unless a page of other values follows in the same window; and the bytes
    /// of text that they would stand for then.
    indices: bool,
    behind_indices: usize,
    /// The length of each value of the dictionary, of text.
    lengths: Vec<u32>,
    longest: usize,
    /// Rows of the row group that have begun in the levels that were looked at.
    begun: u64,
    /// The rows of the window that are not looked at yet.
    wanted: VecDeque<Range<u64>>,
    /// Bytes that the window takes so far, and what of them its piece has leased.
    counted: usize,
    share: usize,
    page: Option<Levels>,
    /// Which row a page begins with is not known any more.
    lost: bool,
}

/// The levels of a page that are not looked at yet.
struct Levels {
    left: u64,
    repetition: Repetition,
    /// Bytes of text that all of its values stand for, and those of one at most.
    text: usize,
    longest: usize,
    /// Whether they stay indices.
    indices: bool,
}

enum Repetition {
    /// Every level is a row.
    Flat,
    Runs(Hybrid),
    /// Written as no writer does any more; the page is counted as a whole.
    Packed,
}

impl Room {
    /// For leaf `column` of a column that is announced as `to`; what it takes is leased by `lease`, which is empty. A window
    /// that takes more than `wide` bytes is told; as what is counted is a bound, it is so only from twice as many on.
    pub fn new(column: &ColumnDescriptor, to: &DataType, lease: Lease, wide: usize) -> Self {
        let offset = if matches!(to, DataType::LargeList(_)) { 8 } else { 4 };
        let most = [column.max_rep_level(), column.max_def_level()];
        let value = value_bytes(column);
        let lists = usize::try_from(most[0]).unwrap_or(0);
        // levels have two bytes each, in buffers that double; where there are no lists, values are counted by the window
        let level = if lists > 0 { value.saturating_add(8 + lists * offset) } else { 2 };
        Self {
            lease,
            wide: wide.saturating_mul(2),
            bound: usize::MAX,
            level,
            value: if lists > 0 { 0 } else { value },
            most,
            text: column.physical_type() == Physical::BYTE_ARRAY,
            indices: matches!(to, DataType::Dictionary(..)),
            behind_indices: 0,
            lengths: Vec::new(),
            longest: 0,
            begun: 0,
            wanted: VecDeque::new(),
            counted: 0,
            share: 0,
            page: None,
            lost: false,
        }
    }

    /// A window of at most `window` rows begins: those in `rows`, of which `share` bytes are leased elsewhere. What the
    /// window before took is given back.
    ///
    /// # Errors
    /// No room for what the pages that are open have of it.
    pub fn begin(&mut self, rows: impl Iterator<Item = Range<u64>>, window: usize, share: usize) -> Result<()> {
        self.wanted = rows.filter(|rows| !rows.is_empty()).collect();
        self.share = share;
        let single = self.wanted.iter().map(|rows| rows.end - rows.start).sum::<u64>() <= 1;
        self.bound = if single { usize::MAX } else { self.wide };
        self.behind_indices = 0;
        let first = if self.most[0] > 0 { self.level.saturating_mul(STEP) } else { window.saturating_mul(self.value) };
        self.counted = if self.wanted.is_empty() { 0 } else { first };
        self.settle(0)?;
        self.count()
    }

    /// The dictionary has come: `count` PLAIN values.
    ///
    /// # Errors
    /// No room for what is kept of it, or fewer values than announced.
    pub fn dictionary(&mut self, mut bytes: &[u8], count: usize) -> Result<()> {
        // so many were there, by the page's header (`Chunk::judge`)
        let count = if self.text { count.min(bytes.len() / 4) } else { 0 };
        self.lease.resize(self.lease.bytes() + count * size_of::<u32>())?;
        self.lengths = Vec::with_capacity(count);
        for _ in 0..count {
            let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(ends)?;
            let length = u32::from_le_bytes(*length);
            self.lengths.push(length);
            bytes = rest.get(length as usize..).ok_or_else(ends)?;
        }
        self.longest = self.lengths.iter().copied().max().unwrap_or(0) as usize;
        Ok(())
    }

    /// A page of rows has come. `whole` are the bytes of text that it stands for beside those that it has, at most.
    ///
    /// # Errors
    /// No room for what the window wants of it, or damaged levels.
    pub fn page(&mut self, kind: &Kind, body: &Bytes, whole: usize) -> Result<()> {
        let (values, encoding) = match *kind {
            Kind::Data { values, encoding, .. } | Kind::DataV2 { values, encoding, .. } => (values, encoding),
            Kind::Dictionary { values, .. } => return self.dictionary(body, values),
            Kind::Index => return Ok(()),
        };
        self.leave()?;
        let parts = parts(kind, body, self.most);
        let repetition = match parts.repetition {
            _ if self.most[0] == 0 => Repetition::Flat,
            None => Repetition::Packed,
            _ if self.lost => Repetition::Packed,
            Some(levels) => Repetition::Runs(Hybrid::new(levels, width(self.most[0]))?),
        };
        let (text, longest) = match encoding {
            _ if !self.text => (0, 0),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                (self.stands_for(&parts.values, values)?, self.longest)
            }
            _ => (whole.saturating_add(parts.values.len()), usize::MAX),
        };
        let indices = self.indices && longest < usize::MAX;
        if !indices {
            self.counted = self.counted.saturating_add(std::mem::take(&mut self.behind_indices));
        }
        self.page = Some(Levels { left: values as u64, repetition, text, longest, indices });
        self.count()
    }

    /// A page of `rows` rows was left out.
    ///
    /// # Errors
    /// Damaged levels in front of it.
    pub fn passed(&mut self, rows: usize) -> Result<()> {
        self.leave()?;
        self.begun += rows as u64;
        Ok(())
    }

    /// Whether the page at hand has a row behind those of the window.
    pub fn has_more(&self) -> bool {
        match self.page.as_ref().map(|page| (&page.repetition, page.left)) {
            Some((Repetition::Flat, left)) => left > 0,
            // the last row goes on until another one has begun
            Some((Repetition::Runs(_), _)) => self.wanted.is_empty(),
            Some((Repetition::Packed, _)) | None => false,
        }
    }

    /// Looks at what is left of the page at hand, of which no window wants anything.
    fn leave(&mut self) -> Result<()> {
        let Some(mut page) = self.page.take() else { return Ok(()) };
        match &mut page.repetition {
            Repetition::Flat => self.begun += page.left,
            Repetition::Packed => self.lost = true,
            Repetition::Runs(runs) => {
                while page.left > 0 {
                    let most = usize::try_from(page.left).unwrap_or(usize::MAX);
                    page.left -= wanted(runs.next(most)?, &(0..0), &mut self.begun).0;
                }
            }
        }
        Ok(())
    }

    /// Bytes of text that the indices in `values` stand for, at most `most` of them.
    fn stands_for(&self, values: &Bytes, most: usize) -> Result<usize> {
        let Some(width) = values.first() else { return Ok(0) };
        let length = |index: u32| self.lengths.get(index as usize).copied().unwrap_or(0) as usize;
        let mut indices = Hybrid::new(values.slice(1..), *width)?;
        let (mut left, mut sum) = (most, 0_usize);
        // how many of the levels have a value is not known: the indices end before them
        while left > 0
            && let Ok(run) = indices.next(left)
        {
            let (count, bytes) = match run {
                Run::Repeat { value, count } => (count, length(value).saturating_mul(count)),
                Run::Packed(some) => (some.len(), some.iter().map(|index| length(*index)).sum()),
            };
            left -= count;
            sum = sum.saturating_add(bytes);
        }
        Ok(sum)
    }

    /// Leases what was counted, and `more` than that.
    fn settle(&mut self, more: usize) -> Result<()> {
        let lengths = self.lengths.len() * size_of::<u32>();
        let all = self.counted.saturating_add(more);
        if all > self.bound {
            return Err(Error::Wide);
        }
        let beyond = all.saturating_sub(self.share);
        self.lease.resize(lengths.saturating_add(beyond))
    }

    /// Counts what the window wants of the page at hand.
    fn count(&mut self) -> Result<()> {
        let Some(mut page) = self.page.take() else { return Ok(()) };
        let (mut levels, mut mark) = (0, OFTEN);
        while page.left > 0
            && let Some(rows) = self.wanted.front()
        {
            let found = match &mut page.repetition {
                Repetition::Flat => {
                    let passed = rows.start.saturating_sub(self.begun).min(page.left);
                    let wanted = rows.end.saturating_sub(self.begun + passed).min(page.left - passed);
                    self.begun += passed + wanted;
                    page.left -= passed + wanted;
                    wanted
                }
                Repetition::Runs(runs) => {
                    let most = if self.begun < rows.start { rows.start } else { rows.end }.saturating_sub(self.begun);
                    let most = most.max(STEP as u64).min(page.left);
                    let (read, found) =
                        wanted(runs.next(usize::try_from(most).unwrap_or(usize::MAX))?, rows, &mut self.begun);
                    page.left -= read;
                    found
                }
                Repetition::Packed => {
                    levels = page.left;
                    break;
                }
            };
            levels += found;
            if self.most[0] == 0 && self.begun >= rows.end {
                self.wanted.pop_front();
            } else if self.begun > rows.end {
                self.wanted.pop_front();
                levels += STEP as u64;
            }
            if levels > mark {
                mark = levels + OFTEN;
                self.settle(page.takes(levels, self.level))?;
            }
        }
        self.counted = self.counted.saturating_add(page.takes(levels, self.level));
        if page.indices {
            self.behind_indices = self.behind_indices.saturating_add(page.text_of(levels));
        }
        self.page = Some(page);
        self.settle(0)
    }
}

impl Levels {
    /// Bytes that `levels` levels of the page take, each `level` and its text.
    fn takes(&self, levels: u64, level: usize) -> usize {
        let text = if self.indices { 0 } else { self.text_of(levels) };
        usize::try_from(levels).unwrap_or(usize::MAX).saturating_mul(level).saturating_add(text)
    }

    /// Bytes of text that `levels` levels of the page take: it is put together in buffers that double.
    fn text_of(&self, levels: u64) -> usize {
        let levels = usize::try_from(levels).unwrap_or(usize::MAX);
        self.text.min(levels.saturating_mul(self.longest)).saturating_mul(2)
    }
}

/// How many levels a run has, and how many of these are of `rows`; `begun` rows had begun before it.
fn wanted(run: Run<'_>, rows: &Range<u64>, begun: &mut u64) -> (u64, u64) {
    let before = *begun;
    match run {
        Run::Repeat { value: 0, count } => {
            let count = count as u64;
            *begun += count;
            (count, rows.end.min(*begun).saturating_sub(rows.start.max(before)))
        }
        Run::Repeat { count, .. } => {
            let within = before > rows.start && before <= rows.end;
            (count as u64, if within { count as u64 } else { 0 })
        }
        Run::Packed(levels) => {
            let mut found = 0;
            for level in levels {
                *begun += u64::from(*level == 0);
                found += u64::from(*begun > rows.start && *begun <= rows.end);
            }
            (levels.len() as u64, found)
        }
    }
}

/// A page of rows, taken apart.
pub struct Parts {
    /// Its repetition levels, as runs; `None` where there are none, or where they are bit-packed, as they once were.
    pub repetition: Option<Bytes>,
    /// What follows its levels.
    pub values: Bytes,
}

/// The parts of a page of rows whose largest repetition and definition level are `most`. What the page does not have is
/// empty: the crate tells it.
pub fn parts(kind: &Kind, body: &Bytes, most: [i16; 2]) -> Parts {
    let mut rest = body.clone();
    let mut front = |length: usize| rest.split_to(length.min(rest.len()));
    let mut repetition = None;
    match *kind {
        Kind::Data { values, definition, repetition: written, .. } => {
            for (level, (most, written)) in
                most.into_iter().zip([written, definition]).enumerate().filter(|(_, (n, _))| *n > 0)
            {
                if written == Encoding::RLE {
                    let length =
                        front(4).first_chunk().map_or(usize::MAX, |length| u32::from_le_bytes(*length) as usize);
                    let levels = front(length);
                    repetition = if level == 0 { Some(levels) } else { repetition };
                } else {
                    front(values.saturating_mul(usize::from(width(most))).div_ceil(8));
                }
            }
        }
        Kind::DataV2 { repetition: length, definition, .. } => {
            repetition = Some(front(length));
            front(definition);
        }
        Kind::Dictionary { .. } | Kind::Index => {}
    }
    Parts { repetition, values: rest }
}

/// Bits that levels up to `most` take.
fn width(most: i16) -> u8 {
    u8::try_from(i16::BITS - most.leading_zeros()).unwrap_or(16)
}

/// Bytes that a value of `column` takes as it is stored, and as what it becomes.
fn value_bytes(column: &ColumnDescriptor) -> usize {
    let logical = column.logical_type_ref();
    let decimal = matches!(logical, Some(LogicalType::Decimal(_))) || column.converted_type() == ConvertedType::DECIMAL;
    let made = if !decimal {
        0
    } else if column.type_precision() > 38 {
        32
    } else {
        16
    };
    made + match column.physical_type() {
        Physical::BOOLEAN => 2,
        // integers of 8 and 16 bits are made of those of 32
        Physical::INT32 => 4 + if matches!(logical, Some(LogicalType::Integer(_))) { 2 } else { 0 },
        Physical::FLOAT => 4,
        Physical::INT64 | Physical::DOUBLE => 8,
        Physical::INT96 => 12 + 8,
        // a view
        Physical::BYTE_ARRAY => 16,
        Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.type_length()).unwrap_or(0),
    }
}

fn ends() -> Error {
    Error::Format("a dictionary ends before its last value".into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use super::*;
    use crate::memory::MemoryPool;

    const LISTS: &str = "message m { optional group a (LIST) { repeated group list { optional int32 element; } } }";

    fn room(text: &str, to: &DataType, limit: usize) -> Room {
        let schema = SchemaDescriptor::new(Arc::new(parse_message_type(text).expect("a schema")));
        let holder = MemoryPool::new(Some(limit)).holder("parquet pages", None);
        Room::new(&schema.column(0), to, holder.empty(), usize::MAX)
    }

    /// Runs of one value each, with their length in front.
    fn runs(runs: &[(u64, u8)]) -> Vec<u8> {
        let mut out = vec![0; 4];
        for (count, value) in runs {
            let mut head = count << 1;
            while head >= 0x80 {
                out.push(head as u8 | 0x80);
                head >>= 7;
            }
            out.extend([head as u8, *value]);
        }
        let length = (out.len() as u32 - 4).to_le_bytes();
        out[..4].copy_from_slice(&length);
        out
    }

    fn data(values: usize, encoding: Encoding) -> Kind {
        Kind::Data { values, encoding, definition: Encoding::RLE, repetition: Encoding::RLE }
    }

    #[test]
    fn the_levels_of_the_rows_that_a_window_has_are_counted() {
        let int32 = DataType::Int32;
        // row i has i % 30 levels, at least one, and one row has many
        let lengths: Vec<usize> = (0..900).map(|i| if i == 500 { 70_000 } else { (i % 30).max(1) }).collect();
        let levels: Vec<u8> = lengths.iter().flat_map(|n| (0..*n).map(|k| u8::from(k > 0))).collect();
        let shapes: [(usize, Vec<Vec<Range<u64>>>); 5] = [
            (1_000, vec![vec![0..900]]),
            (77, (0..90).map(|i| std::iter::once(i * 10..i * 10 + 10).collect()).collect()),
            (100_000, (0..300).map(|i| std::iter::once(i * 3..i * 3 + 2).collect()).collect()),
            (997, vec![vec![3..9, 20..21, 490..500], vec![501..502, 800..900]]),
            (997, vec![vec![499..501, 650..651]]),
        ];
        for (page, windows) in shapes {
            let mut room = room(LISTS, &int32, usize::MAX - 1);
            let mut pages = levels.chunks(page);
            let mut fed = 0;
            for ranges in windows {
                room.begin(ranges.iter().cloned(), 100, 0).expect("room");
                let end = lengths[..ranges.last().map_or(0, |r| r.end as usize)].iter().sum::<usize>();
                while fed < end {
                    let some = pages.next().expect("more levels");
                    let body = [runs(&some.iter().map(|level| (1, *level)).collect::<Vec<_>>()), vec![0; 4]].concat();
                    room.page(&data(some.len(), Encoding::PLAIN), &body.into(), 0).expect("sound");
                    fed += some.len();
                }
                let rows = ranges.iter().flat_map(|r| lengths[r.start as usize..r.end as usize].iter());
                let exact = rows.sum::<usize>() * room.level;
                let beyond = (ranges.len() + 1) * STEP * room.level;
                let counted = room.lease.bytes();
                assert!((exact..=exact + beyond).contains(&counted), "{page} {ranges:?}: {exact} {counted}");
            }
        }
    }

    #[test]
    fn a_row_without_end_is_not_counted_to_its_end() {
        let mut room = room(LISTS, &DataType::Int32, 64 << 20);
        let kind = data(i32::MAX as usize, Encoding::PLAIN);
        let body: Bytes = [runs(&[(1, 0), (i32::MAX as u64 - 1, 1)]), vec![0; 4]].concat().into();
        room.page(&kind, &body, 0).expect("nothing is wanted of it yet");
        let e = room.begin(std::iter::once(0..1), 1, 1 << 20).expect_err("32 GiB").to_string();
        assert!(e.starts_with("parquet pages needs"), "{e}");
        assert!(room.lease.bytes() < 64 << 20);
    }

    #[test]
    fn text_is_counted_by_what_indices_stand_for() {
        let text = "message m { required binary a (UTF8); }";
        let dictionary = [&2_u32.to_le_bytes()[..], b"ab", &1_000_u32.to_le_bytes(), &[b'x'; 1_000]].concat();
        // one bit each: 90 times the short one, 10 times the long one
        let indices = vec![1, 180, 1, 0, 20, 1];
        let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let as_text = 2 * (90 * 2 + 10 * 1_000);
        for (to, at_once) in [(DataType::Utf8, as_text), (words, 0)] {
            let mut room = room(text, &to, 1 << 20);
            room.dictionary(&dictionary, 2).expect("two values");
            room.begin(std::iter::once(0..110), 110, 0).expect("room");
            let before = room.lease.bytes();
            room.page(&data(100, Encoding::RLE_DICTIONARY), &indices.clone().into(), 0).expect("sound");
            assert_eq!(room.lease.bytes() - before, 100 * room.level + at_once, "{to}");
            // indices in front of plain values become text as well
            room.page(&data(10, Encoding::PLAIN), &vec![0; 40].into(), 0).expect("sound");
            assert_eq!(room.lease.bytes() - before, 110 * room.level + as_text + 80, "{to}");
        }
        assert!(room(text, &DataType::Utf8, 1 << 20).dictionary(&dictionary, 3).is_err());
    }

    #[test]
    fn what_is_leased_elsewhere_is_not_leased_twice_and_values_of_a_fixed_length_are_counted_by_the_window() {
        let text = "message m { optional fixed_len_byte_array(1000) a; }";
        let mut room = room(text, &DataType::FixedSizeBinary(1000), 1 << 20);
        room.begin(std::iter::once(0..100), 100, 60_000).expect("room");
        assert_eq!(room.lease.bytes(), 40_000);
        room.begin(std::iter::once(100..200), 100, 200_000).expect("room");
        assert_eq!(room.lease.bytes(), 0);
        assert!(room.begin(std::iter::once(0..2_000), 2_000, 0).is_err());
    }
}
