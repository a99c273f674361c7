//! Where the fields of a block of records stand in the text.

use std::ops::{Deref, DerefMut};

use crate::format::CsvDialect;

use super::unescape::unescape;

const QUOTED: u32 = 1 << 31;
const RAW: u32 = 1 << 30;

/// Where a field stands in its piece. Eight bytes, as there is one for every field of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    start: u32,
    len: u32,
}

#[expect(clippy::cast_possible_truncation, reason = "a piece is at most LARGEST bytes")]
impl Field {
    const NONE: Self = Self { start: 0, len: 0 };

    /// One without quotes.
    #[inline(always)]
    pub(super) fn plain(start: usize, end: usize) -> Self {
        Self { start: start as u32, len: (end as u32).wrapping_sub(start as u32) }
    }

    /// One in quotes, which are left out.
    #[inline(always)]
    pub(super) fn quoted(start: usize, end: usize, raw: bool) -> Self {
        Self { start: start as u32, len: (end - start) as u32 | QUOTED | if raw { RAW } else { 0 } }
    }

    /// One whose quotes are the first and the last byte; or, where a carriage return follows, the last but one: then it
    /// is one byte too long.
    #[inline(always)]
    pub(super) fn enclosed(start: usize, end: usize, raw: bool) -> Self {
        Self::quoted(start + 1, end - 1, raw)
    }

    /// The first byte, behind the opening quote if there is one.
    #[inline(always)]
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// The end of the bytes.
    #[inline(always)]
    pub(super) fn end(self) -> usize {
        self.start as usize + self.len()
    }

    /// The number of bytes, which is the value's unless the field is raw.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        (self.len & !(QUOTED | RAW)) as usize
    }

    /// Whether it began with a quote.
    #[inline(always)]
    pub(super) fn is_quoted(self) -> bool {
        self.len & QUOTED != 0
    }

    /// Whether its bytes still hold quotes or escapes that are not part of the value; see [`unescape`].
    #[inline(always)]
    pub(super) fn is_raw(self) -> bool {
        self.len & RAW != 0
    }

    /// The value in `bytes`, without quotes and escapes.
    pub(super) fn value(self, dialect: &CsvDialect, bytes: &[u8]) -> Vec<u8> {
        let text = &bytes[self.start()..self.end()];
        if !self.is_raw() {
            return text.to_vec();
        }
        let mut value = Vec::with_capacity(text.len());
        unescape(dialect, text, &mut value);
        value
    }

    /// Makes it an empty one, unquoted.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes its last byte off.
    #[inline(always)]
    pub(super) fn shorten(&mut self) {
        self.len -= 1;
    }
}

/// The fields of a block, record after record. Keeps its room, initialised, so that it can be filled eight at a time.
#[derive(Debug, Default)]
pub(super) struct Index {
    room: Vec<Field>,
    used: usize,
}

impl Index {
    /// Adds a field.
    #[inline]
    pub(super) fn push(&mut self, field: Field) {
        self.ensure(1);
        self.room[self.used] = field;
        self.used += 1;
    }

    /// Keeps the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.used = self.used.min(len);
    }

    /// Keeps the records of `width` fields that `wanted` says yes to.
    pub(super) fn retain(&mut self, width: usize, wanted: impl Iterator<Item = bool>) {
        let mut to = 0;
        for (record, _) in wanted.enumerate().filter(|(_, wanted)| *wanted) {
            self.room.copy_within(record * width..(record + 1) * width, to);
            to += width;
        }
        self.used = to;
    }

    /// What follows the fields, at least `more` of them, to be written and then [taken](Index::take).
    #[inline(always)]
    pub(super) fn ensure(&mut self, more: usize) -> &mut [Field] {
        if self.room.len() < self.used + more {
            self.grow(more);
        }
        &mut self.room[self.used..]
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        // A quarter more, which is in the lease.
        let room = (self.used + more).max(self.room.len() / 4 * 5);
        self.room.reserve_exact(room - self.room.len());
        self.room.resize(room, Field::NONE);
    }

    /// The next `more` fields were written.
    #[inline(always)]
    pub(super) fn take(&mut self, more: usize) {
        debug_assert!(self.used + more <= self.room.len());
        self.used += more;
    }
}

impl Deref for Index {
    type Target = [Field];

    #[inline(always)]
    fn deref(&self) -> &[Field] {
        &self.room[..self.used]
    }
}

impl DerefMut for Index {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Field] {
        &mut self.room[..self.used]
    }
}
