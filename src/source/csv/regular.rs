//! The records of regular text, 64 bytes at a time.
//!
//! Regular is text whose quotes stand around whole fields, whose lines end in `\n` or `\r\n`, that has no escape
//! characters, and whose records all have as many fields as they should: nearly all text there is. For each field there
//! is one bit to find and eight bytes to write, without a branch on what it holds.

use super::index::{Field, Index};
use super::masks::{Carry, Eye, Rules, Work, below, through, word};
use super::split::Most;

/// Room for the fields of a word, some at once.
pub(super) const AHEAD: usize = 72;

/// Reads regular records until one is not, or no byte is left behind the last line end.
pub(super) struct Regular<'a> {
    pub(super) text: &'a [u8],
    /// Where a record begins.
    pub(super) from: usize,
    pub(super) rules: Rules,
    /// Fields of a record.
    pub(super) width: usize,
    pub(super) comment: Option<&'a [u8]>,
    /// Where the block begins of which these are records.
    pub(super) block: usize,
    /// Most rows and bytes of the block.
    pub(super) most: Most,
    /// The fields and the starts of the block's records.
    pub(super) fields: &'a mut Index,
    pub(super) starts: &'a mut Vec<u32>,
}

impl Work for Regular<'_> {
    /// Behind the last record, and whether the block is full.
    type Done = (usize, bool);

    #[inline(always)]
    fn with<E: Eye>(self, eye: E) -> (usize, bool) {
        let Self { text, from, rules, width, comment, block, most, fields, starts } = self;
        let is_comment = |at: usize| comment.is_some_and(|prefix| text[at..].starts_with(prefix));
        // The record and the field that are being read, and the quotes of the field so far.
        let (mut begin, mut start, mut quotes) = (from, from, 0);
        let mut whole = fields.len();
        let mut at = from;
        let mut carry = Carry::RECORD;
        let mut stop = is_comment(from);
        let mut full = false;
        while at < text.len() && !stop {
            let (word, bytes) = word(eye, rules, text, at, &mut carry);
            let valid = below(word.irregular);
            let separators = word.separators & valid;
            let before = fields.len();
            let room = fields.ensure(AHEAD);
            if word.quotes == 0 && quotes == 0 {
                start = plain(room, separators, at, start);
            } else {
                (start, quotes) = quoted(room, separators, word.quotes, at, start, quotes);
            }
            fields.take(separators.count_ones() as usize);
            let mut ends = word.ends & valid;
            while ends != 0 {
                let bit = ends.trailing_zeros() as usize;
                ends &= ends - 1;
                let upto = before + (separators & through(bit)).count_ones() as usize;
                let next = at + bit + 1;
                let used = (next - block).saturating_add(most.fixed.saturating_mul(starts.len() + 1));
                let is_whole = upto - whole == width;
                full = is_whole && used > most.bytes && !starts.is_empty();
                stop = !is_whole || full;
                if stop {
                    break;
                }
                if word.after_return >> bit & 1 == 1 {
                    fields[upto - 1].shorten();
                }
                #[expect(clippy::cast_possible_truncation, reason = "a piece is at most LARGEST bytes")]
                starts.push(begin as u32);
                (whole, begin) = (upto, next);
                full = starts.len() >= most.rows;
                stop = full || is_comment(next);
                if stop {
                    break;
                }
            }
            // A record of more fields than it should have is none, however long it is.
            stop |= word.irregular != 0 || fields.len() - whole > width;
            at += bytes;
        }
        fields.truncate(whole);
        (begin, full)
    }
}

/// Fields that are written at once, as one branch for them is cheaper than one for each. Most words have fewer.
const AT_ONCE: usize = 12;

/// Writes the fields that end at `separators` of the word at `at`, the first of which begins at `start`; where the next
/// one does.
#[inline(always)]
fn plain(room: &mut [Field], separators: u64, at: usize, start: usize) -> usize {
    let (mut bits, mut from) = (separators, start);
    for some in room.as_chunks_mut::<AT_ONCE>().0 {
        for field in some {
            let end = at + bits.trailing_zeros() as usize;
            *field = Field::plain(from, end);
            from = end + 1;
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            break;
        }
    }
    if separators == 0 { start } else { at + 64 - separators.leading_zeros() as usize }
}

/// As [`plain`], where there are quotes, `before` of them in the field that begins at `start`; where the next field
/// begins, and its quotes so far.
#[inline(always)]
fn quoted(room: &mut [Field], separators: u64, quotes: u64, at: usize, start: usize, before: usize) -> (usize, usize) {
    let (mut bits, mut start, mut before, mut counted) = (separators, start, before, 0);
    for field in room {
        if bits == 0 {
            break;
        }
        let bit = bits.trailing_zeros() as usize;
        bits &= bits - 1;
        let end = at + bit;
        let seen = (quotes & through(bit)).count_ones() as usize;
        let of_field = before + seen - counted;
        // Two are those around the field.
        *field = if of_field == 0 { Field::plain(start, end) } else { Field::enclosed(start, end, of_field > 2) };
        (start, before, counted) = (end + 1, 0, seen);
    }
    (start, before + quotes.count_ones() as usize - counted)
}
