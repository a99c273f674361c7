//! Numbers written as differences (Parquet format, `Encodings.md`, "Delta Encoding (DELTA_BINARY_PACKED = 5)").
//!
//! The first number stands in the head; every other one is the one before, plus the least difference of its block, plus
//! what its miniblock holds bit-packed for it, in 64 bits that wrap. A miniblock has a multiple of 32 numbers, so 32 of
//! them, a *step*, begin and end at a byte's border. A step is unpacked and added up at once, by code made for its width:
//! about two cycles a number at any width, which two passes are not, even if the first is done by SIMD. However many
//! numbers a block announces, nothing is allocated for it.

use std::ops::Range;

use bytes::Bytes;

use super::super::compact::Fields;
use super::super::delta::Head;
use super::column::short;
use crate::error::{Error, Result};

/// Numbers that are decoded at a time.
const STEP: usize = 32;
/// Bytes of a step of the widest numbers, and of one behind it: whole words are read.
const WIDEST: usize = STEP * 8 + 8;

/// The numbers of a page, read once from front to back. Holds the page and a step.
pub struct Deltas {
    bytes: Bytes,
    at: usize,
    /// Miniblocks of a block, and numbers of a miniblock.
    parts: usize,
    part: usize,
    /// Numbers that are not decoded yet.
    left: usize,
    /// Whether the first one was.
    begun: bool,
    /// The number that was decoded last, or the first one.
    last: u64,
    /// The least difference of the current block.
    least: u64,
    /// Where the widths of its miniblocks that are still to come stand.
    widths: Range<usize>,
    /// The width of the current miniblock, and how many numbers are left of it.
    width: u8,
    within: usize,
    step: Box<[u64; STEP]>,
    /// What of `step` was not handed out yet.
    ready: Range<usize>,
}

/// Some numbers in a row. Those of fewer than 64 bits are the lowest bits.
pub enum Numbers<'a> {
    /// Each as far from the one before as the next: counters.
    Even {
        /// The first one.
        first: u64,
        /// How far they are apart.
        step: u64,
        /// How many there are.
        count: usize,
    },
    /// Any.
    Listed(&'a [u64]),
}

impl Numbers<'_> {
    /// How many they are.
    pub fn len(&self) -> usize {
        match self {
            Numbers::Even { count, .. } => *count,
            Numbers::Listed(numbers) => numbers.len(),
        }
    }
}

impl Deltas {
    /// The numbers in `bytes`, which belong to a page of `most` rows.
    ///
    /// # Errors
    /// A head that cannot be.
    pub fn new(bytes: Bytes, most: usize) -> Result<Self> {
        let mut fields = Fields::of(&bytes);
        // a page of nothing but nulls may have no head
        let head = if bytes.is_empty() { Head::NONE } else { Head::read(&mut fields, most).map_err(Error::Format)? };
        let at = bytes.len() - fields.left();
        Ok(Self {
            bytes,
            at,
            parts: head.parts,
            part: head.part(),
            left: head.count,
            begun: false,
            last: head.first.cast_unsigned(),
            least: 0,
            widths: 0..0,
            width: 0,
            within: 0,
            step: Box::new([0; STEP]),
            ready: 0..0,
        })
    }

    /// The next numbers, at least one and at most `most`, which is not 0. A miniblock without bits is not decoded.
    ///
    /// # Errors
    /// A page that ends before, or a miniblock wider than its numbers.
    #[inline]
    pub fn next(&mut self, most: usize) -> Result<Numbers<'_>> {
        if self.ready.is_empty() && self.begun && self.left > 0 {
            if self.within == 0 {
                self.begin()?;
            }
            if self.width == 0 {
                let count = self.within.min(self.left).min(most);
                let (first, step) = (self.last.wrapping_add(self.least), self.least);
                self.last = self.last.wrapping_add(step.wrapping_mul(count as u64));
                self.within -= count;
                self.left -= count;
                return Ok(Numbers::Even { first, step, count });
            }
        }
        self.listed(most).map(Numbers::Listed)
    }

    /// The next numbers, one by one.
    ///
    /// # Errors
    /// As `next`.
    #[inline]
    pub fn listed(&mut self, most: usize) -> Result<&[u64]> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        let start = self.ready.start;
        let end = self.ready.end.min(start + most);
        self.ready.start = end;
        Ok(&self.step[start..end])
    }

    /// Leaves out `count` numbers. They are added up all the same: those behind them are made of them.
    ///
    /// # Errors
    /// As `next`.
    pub fn skip(&mut self, mut count: usize) -> Result<()> {
        while count > 0 {
            count -= self.next(count)?.len();
        }
        Ok(())
    }

    /// Decodes the next step. Changes nothing that would keep an error from being met again.
    fn fill(&mut self) -> Result<()> {
        if self.left == 0 {
            return Err(short());
        }
        if !self.begun {
            self.begun = true;
            self.left -= 1;
            self.step[0] = self.last;
            self.ready = 0..1;
            return Ok(());
        }
        if self.within == 0 {
            self.begin()?;
        }
        // less than a step is left only where there are no bits
        let step = self.within.min(STEP);
        let count = self.left.min(step);
        let width = usize::from(self.width);
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        // some writers leave out the bytes behind the last number
        if rest.len() < (count * width).div_ceil(8) {
            return Err(short());
        }
        let mut padded;
        let bytes = if let Some(bytes) = rest.first_chunk() {
            bytes
        } else {
            padded = [0; WIDEST];
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        };
        add_up(self.width, bytes, self.least, &mut self.last, &mut self.step);
        self.last = self.step[count - 1];
        self.at += (step * width / 8).min(rest.len());
        self.within -= step;
        self.left -= count;
        self.ready = 0..count;
        Ok(())
    }

    /// Begins the next miniblock.
    fn begin(&mut self) -> Result<()> {
        if self.widths.is_empty() {
            let mut fields = Fields::of(self.bytes.get(self.at..).unwrap_or_default());
            let least = fields.signed().ok_or_else(short)?;
            fields.bytes(self.parts).ok_or_else(short)?;
            self.least = least.cast_unsigned();
            self.at = self.bytes.len() - fields.left();
            self.widths = self.at - self.parts..self.at;
        }
        let width = self.bytes.get(self.widths.start).copied().ok_or_else(short)?;
        if width > 64 {
            return Err(Error::Format(format!("differences of {width} bits announced, expected at most 64")));
        }
        self.widths.start += 1;
        (self.width, self.within) = (width, self.part);
        Ok(())
    }
}

/// The numbers of a step of `width` bits in `bytes`; `last` is the one in front of them, and then the last of them.
fn add_up(width: u8, bytes: &[u8; WIDEST], least: u64, last: &mut u64, to: &mut [u64; STEP]) {
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                $($w => add_up_as::<$w>(bytes, least, last, to),)*
                _ => to.iter_mut().for_each(|number| {
                    *last = last.wrapping_add(least);
                    *number = *last;
                }),
            }
        };
    }
    by_width!(
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
    );
}

fn add_up_as<const W: usize>(bytes: &[u8; WIDEST], least: u64, last: &mut u64, to: &mut [u64; STEP]) {
    let mut sum = *last;
    macro_rules! number {
        ($($i:literal)*) => {
            $({
                let (byte, shift) = ($i * W / 8, $i * W % 8);
                let mut beyond = word(bytes, byte) >> shift;
                if shift + W > 64 {
                    beyond |= u64::from(bytes[byte + 8]) << (64 - shift);
                }
                sum = sum.wrapping_add((beyond & (u64::MAX >> (64 - W))).wrapping_add(least));
                to[$i] = sum;
            })*
        };
    }
    number!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    *last = sum;
}

#[inline(always)]
fn word(bytes: &[u8; WIDEST], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    fn zigzag(value: i64) -> Vec<u8> {
        varint((value << 1 ^ value >> 63).cast_unsigned())
    }

    /// Writes numbers as the format says, bit by bit, in blocks of `parts` miniblocks of `part` numbers; what no number
    /// needs is `idle`.
    fn written(numbers: &[i64], parts: usize, part: usize, idle: u8) -> Vec<u8> {
        let first = numbers.first().copied().unwrap_or(0);
        let sizes = [parts * part, parts, numbers.len()].map(|n| varint(n as u64)).concat();
        let mut out = [sizes, zigzag(first)].concat();
        let differences: Vec<i64> = numbers.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
        for block in differences.chunks(parts * part) {
            let least = block.iter().copied().min().unwrap_or(0);
            out.extend(zigzag(least));
            let beyond = |d: &i64| d.wrapping_sub(least).cast_unsigned();
            let mut widths = vec![idle; parts];
            let mut packed = Vec::new();
            for (width, some) in widths.iter_mut().zip(block.chunks(part)) {
                *width = some.iter().map(|d| 64 - beyond(d).leading_zeros()).max().unwrap_or(0) as u8;
                let w = usize::from(*width);
                let mut bytes = vec![0; part * w / 8];
                for (i, d) in some.iter().enumerate() {
                    (0..w).for_each(|b| bytes[(i * w + b) / 8] |= ((beyond(d) >> b & 1) as u8) << ((i * w + b) % 8));
                }
                packed.extend(bytes);
            }
            out.extend(widths);
            out.extend(packed);
        }
        out
    }

    /// `count` numbers, at most `step` at a time.
    fn all(deltas: &mut Deltas, count: usize, step: usize) -> Result<Vec<i64>> {
        let mut out = Vec::new();
        while out.len() < count {
            let most = step.min(count - out.len());
            // in either way, as a window and a selection do
            match if out.len() % 3 == 0 { Numbers::Listed(deltas.listed(most)?) } else { deltas.next(most)? } {
                Numbers::Even { first, step, count } => {
                    out.extend((0..count as u64).map(|i| first.wrapping_add(step.wrapping_mul(i)).cast_signed()));
                }
                Numbers::Listed(numbers) => out.extend(numbers.iter().map(|n| n.cast_signed())),
            }
        }
        Ok(out)
    }

    fn numbers(count: usize) -> Vec<i64> {
        let scattered = |i: usize| (i as i64).wrapping_mul(0x1e37_79b9_7f4a_7c15) >> (i / 50 % 64);
        (0..count).map(|i| if i % 700 < 300 { i as i64 * 3 } else { scattered(i) }).collect()
    }

    #[test]
    fn every_shape_of_block_gives_what_was_written() {
        for (parts, part) in [(4, 32), (1, 128), (2, 64), (8, 256), (1, 4096), (3, 1408), (128, 32)] {
            for count in [0, 1, 2, 32, 33, 34, 128, 129, 130, 1025, 5000] {
                let numbers = numbers(count);
                let bytes = Bytes::from(written(&numbers, parts, part, 255));
                for step in [1, 7, 1000, 9000] {
                    let mut deltas = Deltas::new(bytes.clone(), count).expect("a head");
                    let found = all(&mut deltas, count, step).expect("as many");
                    assert_eq!(found, numbers, "{parts} {part} {count} {step}");
                    assert!(deltas.next(1).is_err(), "nothing is left");
                }
                for skipped in [1, 31, 1024, 4999].into_iter().filter(|n| *n < count) {
                    let mut deltas = Deltas::new(bytes.clone(), count).expect("a head");
                    deltas.skip(skipped).expect("as many");
                    assert_eq!(all(&mut deltas, count - skipped, 99).expect("the rest"), numbers[skipped..]);
                }
            }
        }
        assert!(Deltas::new(Bytes::new(), 9).expect("nothing but nulls").next(1).is_err());
    }

    #[test]
    fn every_width_gives_what_was_written() {
        for width in 0..=64 {
            let beyond = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).checked_shr(64 - width).unwrap_or(0);
            let mut sum = 5_i64;
            let numbers: Vec<i64> = (0..300)
                .map(|i| {
                    sum = sum.wrapping_add(beyond(i).cast_signed().wrapping_sub(77));
                    sum
                })
                .collect();
            let bytes = written(&numbers, 4, 32, 0);
            let mut deltas = Deltas::new(bytes.into(), 300).expect("a head");
            assert_eq!(all(&mut deltas, 300, 50).expect("as many"), numbers, "{width}");
        }
    }

    #[test]
    fn bytes_missing_behind_the_last_number_do_no_harm_and_others_are_told_in_their_place() {
        let numbers: Vec<i64> = (0..140).map(|i| i * i % 7).collect();
        let bytes = written(&numbers, 4, 32, 0);
        // 11 of the last miniblock's 32 numbers take 5 of its 12 bytes; the first block ends at byte 59
        let needed = bytes.len() - 12 + 5;
        for end in 0..needed {
            let Ok(mut deltas) = Deltas::new(Bytes::copy_from_slice(&bytes[..end]), 140) else { continue };
            let mut found = Vec::new();
            let e = loop {
                match deltas.listed(9) {
                    Ok(some) => found.extend(some.iter().map(|n| n.cast_signed())),
                    Err(e) => break e,
                }
            };
            assert!(matches!(e, Error::Format(_)), "{e:?}");
            assert_eq!(found, numbers[..found.len()]);
            assert!(end < 59 || found.len() == 129, "{end}: {}", found.len());
        }
        for end in needed..bytes.len() {
            let mut deltas = Deltas::new(Bytes::copy_from_slice(&bytes[..end]), 140).expect("a head");
            assert_eq!(all(&mut deltas, 140, 1000).expect("as many"), numbers, "{end}");
        }
    }

    #[test]
    fn forged_heads_and_widths_are_told() {
        let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
        for (head, why) in [
            (&[0, 4, 1, 0][..], "blocks of 0 values in 4 parts"),
            (&[0x80, 1, 0, 1, 0], "blocks of 128 values in 0 parts"),
            (&[0x80, 1, 3, 1, 0], "blocks of 128 values in 3 parts"),
            (&[0x80, 1, 8, 1, 0], "blocks of 128 values in 8 parts"),
            (&[0xc0, 1, 1, 1, 0], "blocks of 192 values"),
            (&[0x80, 1, 4, 101, 0], "101 values announced in a page of 100"),
            (&[0x80, 1, 4], "ends before"),
        ] {
            let e = Deltas::new(Bytes::copy_from_slice(head), 100).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(e.contains(why), "{head:?}: {e}");
        }
        // a block that never ends, and one with more miniblocks than the page has bytes
        let mut deltas = Deltas::new([&huge[..], &[1, 100, 0, 2, 0]].concat().into(), 100).expect("a head");
        assert_eq!(all(&mut deltas, 100, 100).expect("one difference"), (0..100).collect::<Vec<_>>());
        let mut deltas = Deltas::new([&huge[..], &huge[..8], &[1, 100, 0, 2, 0]].concat().into(), 100).expect("a head");
        assert_eq!(all(&mut deltas, 1, 100).expect("the head has one"), [0]);
        assert!(deltas.next(1).is_err());
        let mut deltas = Deltas::new([0x80, 1, 4, 2, 0, 0, 65, 0, 0, 0].to_vec().into(), 100).expect("a head");
        deltas.skip(1).expect("the head has one");
        for _ in 0..2 {
            let e = deltas.next(1).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(e.starts_with("differences of 65 bits announced"), "{e}");
        }
    }
}
