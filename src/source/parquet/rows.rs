//! The rows of a row group that are read: all of them, or the ranges that its page index left.
//!
//! A run counts *positions*, the rows that it reads, from 0 in each row group, and windows are cut by them: a window has
//! as many rows to decode whatever lies between them. Only the decoders, and places that are written down, speak of rows
//! of the row group.

use std::ops::Range;

use crate::memory::Lease;

/// Rows of a row group, in order. Holds 24 bytes a range.
#[derive(Debug)]
pub struct Rows {
    /// Each range of rows, and the position of its first one. None is empty, and none touches the next.
    ranges: Vec<(Range<u64>, u64)>,
    count: u64,
    _lease: Option<Lease>,
}

impl Rows {
    /// All of `rows` rows.
    pub fn all(rows: u64) -> Self {
        Self::of(std::iter::once(0..rows), None)
    }

    /// Those of `ranges`, which are in order; `lease` holds their bytes.
    pub fn of(ranges: impl IntoIterator<Item = Range<u64>>, lease: Option<Lease>) -> Self {
        let mut out: Vec<(Range<u64>, u64)> = Vec::new();
        let mut count = 0;
        for range in ranges.into_iter().filter(|r| !r.is_empty()) {
            let len = range.end - range.start;
            match out.last_mut() {
                Some((last, _)) if last.end == range.start => last.end = range.end,
                _ => out.push((range, count)),
            }
            count += len;
        }
        Self { ranges: out, count, _lease: lease }
    }

    /// How many rows are read.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether they are all of the `rows` rows that there are.
    pub fn is_all(&self, rows: u64) -> bool {
        self.count == rows
    }

    /// The row at `position`; behind the last one, where that ends.
    pub fn row(&self, position: u64) -> u64 {
        let i = self.ranges.partition_point(|(_, first)| *first <= position);
        match i.checked_sub(1).and_then(|i| self.ranges.get(i)) {
            Some((range, first)) => (range.start + (position - first)).min(range.end),
            None => 0,
        }
    }

    /// The position of `row`, or of the next row that is read.
    pub fn position(&self, row: u64) -> u64 {
        let i = self.ranges.partition_point(|(range, _)| range.end <= row);
        match self.ranges.get(i) {
            Some((range, first)) => first + row.saturating_sub(range.start),
            None => self.count,
        }
    }

    /// The rows at `len` positions from `start` on, as ranges.
    pub fn stretch(&self, start: u64, len: u64) -> impl Iterator<Item = Range<u64>> + Clone + '_ {
        let end = start.saturating_add(len);
        let i = self.ranges.partition_point(|(range, first)| first + (range.end - range.start) <= start);
        self.ranges.iter().skip(i).take_while(move |(_, first)| *first < end).map(move |(range, first)| {
            let from = start.saturating_sub(*first);
            let to = (end - first).min(range.end - range.start);
            range.start + from..range.start + to
        })
    }

    /// Whether any row of `range` is read.
    pub fn meets(&self, range: &Range<u64>) -> bool {
        let i = self.ranges.partition_point(|(own, _)| own.end <= range.start);
        self.ranges.get(i).is_some_and(|(own, _)| own.start < range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_rows_lead_to_each_other() {
        let rows = Rows::of([0..0, 10..20, 20..25, 30..31, 40..100], None);
        assert_eq!((rows.count(), rows.is_all(76), rows.is_all(100)), (76, true, false));
        let all: Vec<u64> = (10..25).chain(30..31).chain(40..100).collect();
        for (position, row) in all.iter().enumerate() {
            assert_eq!((rows.row(position as u64), rows.position(*row)), (*row, position as u64));
        }
        assert_eq!((rows.position(0), rows.position(27), rows.position(31), rows.position(100)), (0, 15, 16, 76));
        assert_eq!((rows.row(76), rows.row(1000)), (100, 100));
        for start in 0..76 {
            for len in [0, 1, 7, 16, 76] {
                let found: Vec<u64> = rows.stretch(start, len).flatten().collect();
                let start = usize::try_from(start).expect("small");
                let end = (start + usize::try_from(len).expect("small")).min(76);
                assert_eq!(found, all[start..end]);
            }
        }
    }

    #[test]
    fn all_rows_are_their_own_positions() {
        let rows = Rows::all(9);
        assert_eq!((rows.row(4), rows.position(4), rows.count(), rows.row(9)), (4, 4, 9, 9));
        assert_eq!(rows.stretch(2, 100).next(), Some(2..9));
        assert_eq!((Rows::all(0).count(), Rows::all(0).row(0), Rows::all(0).position(3)), (0, 0, 0));
        assert!(Rows::all(0).stretch(0, 3).next().is_none());
    }

    #[test]
    fn a_page_is_met_where_one_of_its_rows_is_read() {
        let rows = Rows::of([10..20, 30..40], None);
        for (range, met) in
            [(0..10, false), (0..11, true), (19..30, true), (20..30, false), (39..90, true), (40..90, false)]
        {
            assert_eq!(rows.meets(&range), met, "{range:?}");
        }
    }
}
