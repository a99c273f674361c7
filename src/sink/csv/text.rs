//! Text, and what must be quoted in it.

use arrow::array::{GenericStringArray, OffsetSizeTrait, StringViewArray};
use memchr::{memchr, memchr_iter};

use super::cells::Rules;
use super::slots::{Fill, Room, SLOT, Slot, WHOLE};

/// Bytes of a view that holds its text.
const INLINE: usize = 12;

/// Whether one of the first `len` bytes is the delimiter, the quote, or a control up to CR.
///
/// Never false where a byte is special, and without a branch: one pass of vector instructions.
#[inline(always)]
fn suspicious<const N: usize>(cell: &[u8; N], len: u8, rules: &Rules) -> bool {
    let (delimiter, quote) = (rules.delimiter, rules.quote.unwrap_or(rules.delimiter));
    let mut found = 0u8;
    for (i, b) in (0u8..).zip(cell) {
        let special = u8::from(*b <= b'\r') | u8::from(*b == delimiter) | u8::from(*b == quote);
        found |= special & u8::from(i < len);
    }
    found != 0
}

/// What a text has to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Plain,
    /// Between quotes, this many of its own doubled.
    Quoted {
        quote: u8,
        doubled: usize,
    },
    /// It would have to be quoted, and nothing may be.
    Impossible,
}

impl Rules {
    /// Whether a byte of `text` may not stand unquoted.
    fn holds_special(&self, text: &[u8]) -> bool {
        let (steps, rest) = text.as_chunks::<SLOT>();
        let special = |bytes: &[u8]| bytes.iter().any(|b| self.special[usize::from(*b)]);
        steps.iter().any(|step| suspicious(step, 32, self) && special(step)) || special(rest)
    }

    /// How `text` is written.
    pub(super) fn shape(&self, text: &[u8]) -> Shape {
        let special = self.holds_special(text);
        if !special && !text.is_empty() && text != self.null {
            return Shape::Plain;
        }
        match self.quote {
            Some(quote) => Shape::Quoted { quote, doubled: memchr_iter(quote, text).count() },
            // an empty text without quotes is only wrong where it means null
            None if special || text == self.null => Shape::Impossible,
            None => Shape::Plain,
        }
    }
}

/// Writes `text` between quotes, its own doubled; `to` is as long as that.
pub(super) fn quoted(text: &[u8], quote: u8, to: &mut [u8]) {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        to[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&[quote]);
    let mut rest = text;
    while let Some(end) = memchr(quote, rest) {
        put(&rest[..=end]);
        put(&[quote]);
        rest = &rest[end + 1..];
    }
    put(rest);
    put(&[quote]);
}

/// An array of text.
pub(super) trait Strings {
    fn text(&self, row: usize) -> &[u8];

    /// The text of a row, and whether it may have to be quoted, if a slot holds it.
    fn short(&self, row: usize, slot: &mut Slot, rules: &Rules) -> Option<(u8, bool)>;
}

/// Copies up to 32 bytes from `at`; as whole words where there are as many.
#[inline(always)]
fn copy(bytes: &[u8], at: usize, len: usize, slot: &mut Slot) -> Option<()> {
    let from = bytes.get(at..)?;
    if let Some(whole) = from.first_chunk::<SLOT>() {
        *slot = *whole;
    } else {
        slot[..len].copy_from_slice(from.get(..len)?);
    }
    Some(())
}

impl Strings for StringViewArray {
    fn text(&self, row: usize) -> &[u8] {
        self.value(row).as_bytes()
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the parts of a view")]
    fn short(&self, row: usize, slot: &mut Slot, rules: &Rules) -> Option<(u8, bool)> {
        let view = self.views()[row];
        let len = view as u32;
        let narrow = len as u8;
        if len as usize <= INLINE {
            let cell = (view >> 32).to_le_bytes();
            slot[..16].copy_from_slice(&cell);
            return Some((narrow, suspicious(&cell, narrow, rules)));
        }
        if len as usize > SLOT {
            return None;
        }
        let buffer = self.data_buffers().get((view >> 64) as u32 as usize)?;
        copy(buffer, (view >> 96) as usize, len as usize, slot)?;
        Some((narrow, suspicious(slot, narrow, rules)))
    }
}

impl<O: OffsetSizeTrait> Strings for GenericStringArray<O> {
    fn text(&self, row: usize) -> &[u8] {
        self.value(row).as_bytes()
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "up to 32")]
    fn short(&self, row: usize, slot: &mut Slot, rules: &Rules) -> Option<(u8, bool)> {
        let offsets = self.value_offsets();
        let (from, to) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        let len = to - from;
        if len > SLOT {
            return None;
        }
        copy(self.value_data(), from, len, slot)?;
        Some((len as u8, suspicious(slot, len as u8, rules)))
    }
}

/// A column of text.
pub(super) struct Texts<'a, A> {
    pub(super) array: &'a A,
    pub(super) rules: &'a Rules,
}

impl<A: Strings> Texts<'_, A> {
    /// The length of the text in `slot`, or of the slot between quotes; [`WHOLE`] where that is not so easy.
    fn shaped(&self, slot: &mut Slot, len: u8) -> u8 {
        let text = *slot;
        let end = usize::from(len);
        let cell = &text[..end];
        if !cell.is_empty() && cell != self.rules.null && !cell.iter().any(|b| self.rules.special[usize::from(*b)]) {
            return len;
        }
        match self.rules.quote {
            Some(quote) if end + 2 <= SLOT && !cell.contains(&quote) => {
                slot[1..].copy_from_slice(&text[..SLOT - 1]);
                slot[0] = quote;
                slot[1 + end] = quote;
                len + 2
            }
            _ => WHOLE,
        }
    }
}

impl<A: Strings> Fill for Texts<'_, A> {
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        let null = self.rules.null.len();
        for (i, (slot, len)) in room.slots.iter_mut().zip(room.lens.iter_mut()).enumerate() {
            *len = match self.array.short(first + i, slot, self.rules) {
                // the empty text and what means null are known by their lengths
                Some((len, false)) if len > 0 && usize::from(len) != null => len,
                Some((len, _)) => self.shaped(slot, len),
                None => WHOLE,
            };
        }
    }

    fn text(&self, row: usize) -> &[u8] {
        self.array.text(row)
    }
}
