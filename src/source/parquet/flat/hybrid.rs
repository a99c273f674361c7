//! The hybrid of run lengths and bit packing that levels, dictionary indices and booleans are written in.
//!
//! A run is either one value repeated, or groups of eight values of `width` bits each, the lowest bits first (Parquet
//! format, `Encodings.md`, "Run Length Encoding / Bit-Packing Hybrid"). A packed run is unpacked
//! into a block that stays in the first-level cache.

use bytes::Bytes;

use super::unpack::{GROUP, unpack};
use crate::error::{Error, Result};

/// Values that are unpacked at a time.
pub const BLOCK: usize = 1024;
/// A run of one value that is at least so long is handed out as such; shorter ones are written out among the others, as
/// what follows costs more for each run than for each value.
const LONG: usize = 128;

/// Values of one width, read once from front to back. Holds the page and a block of unpacked values.
pub struct Hybrid {
    bytes: Bytes,
    at: usize,
    width: u8,
    run: Left,
    /// A block, and room for the values that are unpacked behind its last one.
    block: Box<[u32; BLOCK + GROUP]>,
    /// What of `block` was not handed out yet.
    ready: std::ops::Range<usize>,
}

/// What is left of the current run.
enum Left {
    Repeat { value: u32, count: usize },
    Packed { count: usize },
}

/// Some values in a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Run<'a> {
    /// One value, several times.
    Repeat {
        /// The value.
        value: u32,
        /// How many times.
        count: usize,
    },
    /// Different ones.
    Packed(&'a [u32]),
}

impl Hybrid {
    /// Values of `width` bits in `bytes`.
    ///
    /// # Errors
    /// A width beyond 32.
    pub fn new(bytes: Bytes, width: u8) -> Result<Self> {
        if width > 32 {
            return Err(Error::Format(format!("values of {width} bits announced, expected at most 32")));
        }
        let run = Left::Packed { count: 0 };
        Ok(Self { bytes, at: 0, width, run, block: Box::new([0; BLOCK + GROUP]), ready: 0..0 })
    }

    /// The next values, at least one and at most `most`.
    ///
    /// # Errors
    /// A page that ends before.
    #[inline]
    pub fn next(&mut self, most: usize) -> Result<Run<'_>> {
        if self.ready.is_empty() {
            self.refresh()?;
            match &mut self.run {
                Left::Repeat { value, count } if *count >= LONG || self.width == 0 => {
                    let taken = (*count).min(most);
                    *count -= taken;
                    return Ok(Run::Repeat { value: *value, count: taken });
                }
                _ => self.fill(),
            }
        }
        let start = self.ready.start;
        let end = self.ready.end.min(start + most);
        self.ready.start = end;
        Ok(Run::Packed(&self.block[start..end]))
    }

    /// Makes sure that the current run has a value left.
    fn refresh(&mut self) -> Result<()> {
        if let Left::Repeat { count: 0, .. } | Left::Packed { count: 0 } = self.run {
            let before = self.at;
            self.begin().inspect_err(|_| self.at = before)?;
        }
        Ok(())
    }

    /// Fills the block with what comes next, up to a long run. The page may end: that is told once what there is was
    /// handed out.
    fn fill(&mut self) {
        let mut filled = 0;
        while filled < BLOCK && self.refresh().is_ok() {
            let room = BLOCK - filled;
            match &mut self.run {
                Left::Repeat { count, .. } if *count >= LONG && filled > 0 => break,
                Left::Repeat { value, count } => {
                    let n = (*count).min(room);
                    self.block[filled..filled + n].fill(*value);
                    *count -= n;
                    filled += n;
                }
                Left::Packed { count } => {
                    // whole groups, so that the next ones begin at a byte's border
                    let n = (*count).min(room / GROUP * GROUP);
                    if n == 0 {
                        break;
                    }
                    *count -= n;
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    unpack(self.width, rest, &mut self.block[filled..filled + n.next_multiple_of(GROUP)]);
                    self.at += (n * usize::from(self.width)).div_ceil(8).min(rest.len());
                    filled += n;
                }
            }
        }
        self.ready = 0..filled;
    }

    /// Leaves out `count` values.
    ///
    /// # Errors
    /// A page that ends before.
    pub fn skip(&mut self, mut count: usize) -> Result<()> {
        let ready = count.min(self.ready.len());
        self.ready.start += ready;
        count -= ready;
        while count > 0 {
            self.refresh()?;
            match &mut self.run {
                Left::Repeat { count: left, .. } => {
                    let passed = count.min(*left);
                    *left -= passed;
                    count -= passed;
                }
                Left::Packed { count: left } => {
                    // whole groups end at a byte's border, and need not be unpacked
                    let passed = if count < *left { count / GROUP * GROUP } else { *left };
                    if passed == 0 {
                        self.fill();
                        self.ready.start += count;
                        return if self.ready.start <= self.ready.end { Ok(()) } else { Err(ends()) };
                    }
                    *left -= passed;
                    self.at += (passed * usize::from(self.width)).div_ceil(8);
                    count -= passed;
                }
            }
        }
        Ok(())
    }

    /// Begins the next run.
    #[inline]
    fn begin(&mut self) -> Result<()> {
        loop {
            let head = run_head(&self.bytes, &mut self.at).ok_or_else(ends)?;
            let count = usize::try_from(head >> 1).map_err(|_| ends())?;
            if count == 0 {
                continue;
            }
            if head & 1 == 0 {
                let mut value = [0; 4];
                let len = usize::from(self.width).div_ceil(8);
                let found = self.bytes.get(self.at..self.at + len).ok_or_else(ends)?;
                value[..len].copy_from_slice(found);
                self.at += len;
                self.run = Left::Repeat { value: u32::from_le_bytes(value), count };
                return Ok(());
            }
            // some writers leave out the bytes behind the last value
            let mut count = count.saturating_mul(8);
            if self.width > 0 {
                count = count.min((self.bytes.len() - self.at) * 8 / usize::from(self.width));
            }
            if count == 0 {
                return Err(ends());
            }
            self.run = Left::Packed { count };
            return Ok(());
        }
    }
}

/// The number at the head of a run, at `at` of `bytes`: its length, doubled, and one more if it is packed; `None` where the
/// bytes end before, or for a number beyond five of them.
#[inline]
pub fn run_head(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut out = 0;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        out |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(out);
        }
    }
    None
}

fn ends() -> Error {
    Error::Format("a page ends before its last value".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes runs as the format says, bit by bit.
    fn packed(values: &[u32], width: u8) -> Vec<u8> {
        let groups = values.len().div_ceil(8);
        let mut out = vec![0; groups * usize::from(width)];
        for (i, value) in values.iter().enumerate() {
            for bit in 0..usize::from(width) {
                let at = i * usize::from(width) + bit;
                out[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
            }
        }
        [varint((groups as u64) << 1 | 1), out].concat()
    }

    fn repeated(value: u32, count: u64, width: u8) -> Vec<u8> {
        [varint(count << 1), value.to_le_bytes()[..usize::from(width).div_ceil(8)].to_vec()].concat()
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    fn all(hybrid: &mut Hybrid, count: usize, step: usize) -> Vec<u32> {
        let mut out = Vec::new();
        while out.len() < count {
            match hybrid.next(step.min(count - out.len())).expect("more values") {
                Run::Repeat { value, count } => out.extend(std::iter::repeat_n(value, count)),
                Run::Packed(values) => out.extend_from_slice(values),
            }
        }
        out
    }

    #[test]
    fn every_width_and_step_gives_what_was_written() {
        for width in 0..=32_u8 {
            let mask = if width == 0 { 0 } else { u32::MAX >> (32 - width) };
            let values: Vec<u32> = (0..3000_u32).map(|i| i.wrapping_mul(2_654_435_761) & mask).collect();
            // short runs of both kinds behind the long ones
            let short: Vec<(u32, usize)> = (1..90).map(|i| (values[i] & mask, i * 7 % 140 + 1)).collect();
            let mut bytes =
                [packed(&values, width), repeated(5 & mask, 2000, width), packed(&values[..80], width)].concat();
            let mut expected = [&values[..], &[5 & mask; 2000], &values[..80]].concat();
            for (value, count) in short {
                bytes.extend(repeated(value, count as u64, width));
                bytes.extend(packed(&values[count..count + count % 3 * 8], width));
                expected.extend(std::iter::repeat_n(value, count));
                expected.extend(&values[count..count + count % 3 * 8]);
            }
            for step in [1, 7, 32, 1000, 5000] {
                let mut hybrid = Hybrid::new(bytes.clone().into(), width).expect("a width");
                assert_eq!(all(&mut hybrid, expected.len(), step), expected, "width {width}, {step} at a time");
                assert!(width == 0 || hybrid.next(1).is_err(), "nothing is left");
            }
            for skipped in [1, 31, 1023, 1024, 2048, 2999, 3000, 3500, 5050] {
                let mut hybrid = Hybrid::new(bytes.clone().into(), width).expect("a width");
                hybrid.skip(3).expect("three at least");
                hybrid.skip(skipped - 1).expect("as many");
                assert_eq!(all(&mut hybrid, 20, 20), expected[skipped + 2..skipped + 22], "width {width}, {skipped}");
            }
        }
    }

    #[test]
    fn bytes_missing_behind_the_last_value_do_no_harm() {
        let bytes = packed(&[1, 2, 3, 4, 5, 6, 7, 0, 1, 2], 3);
        let mut hybrid = Hybrid::new(bytes[..bytes.len() - 2].to_vec().into(), 3).expect("a width");
        assert_eq!(all(&mut hybrid, 10, 10), [1, 2, 3, 4, 5, 6, 7, 0, 1, 2]);
        assert!(hybrid.next(1).is_err());
    }

    #[test]
    fn damage_is_told() {
        assert!(Hybrid::new(Bytes::new(), 33).is_err());
        for bytes in [&[][..], &[0xff], &[0xff; 12], &[0x08], &[0x03]] {
            let mut hybrid = Hybrid::new(Bytes::copy_from_slice(bytes), 9).expect("a width");
            assert!(matches!(hybrid.next(10), Err(Error::Format(_))), "{bytes:?}");
        }
    }
}
