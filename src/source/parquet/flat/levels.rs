//! Definition levels of a flat column, which are validity: one bit a row, 1 where there is a value.

use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use bytes::Bytes;

use super::hybrid::run_head;
use crate::error::{Error, Result};

/// The levels of a page, read once from front to back.
#[derive(Clone)]
pub struct Levels {
    bytes: Bytes,
    at: usize,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    Repeat {
        valid: bool,
        count: usize,
    },
    /// Bits from bit `start` of the page on; the format packs them as Arrow does.
    Packed {
        start: usize,
        count: usize,
    },
}

impl Levels {
    /// Levels written as the hybrid of run lengths and bit packing, one bit wide.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, run: Run::Repeat { valid: true, count: 0 } }
    }

    /// Appends the next `rows` levels to `validity`; how many of them are valid.
    ///
    /// # Errors
    /// A page that ends before, or levels other than 0 and 1; `validity` is then not to be used.
    pub fn take(&mut self, rows: usize, validity: &mut Validity) -> Result<usize> {
        if rows > 0 && self.run.is_over() {
            self.begin()?;
        }
        match &mut self.run {
            // most pages have no null
            Run::Repeat { valid: true, count } if *count >= rows => {
                *count -= rows;
                validity.append(rows, true);
                Ok(rows)
            }
            _ => self.take_bits(rows, validity),
        }
    }

    fn take_bits(&mut self, rows: usize, validity: &mut Validity) -> Result<usize> {
        validity.start_bits();
        let mut bits = validity.bits.open();
        let (mut left, mut valid) = (rows, 0);
        while left > 0 {
            let mut n = left.min(64);
            let some = match &mut self.run {
                Run::Repeat { count: 0, .. } | Run::Packed { count: 0, .. } => {
                    self.begin()?;
                    continue;
                }
                Run::Repeat { valid, count } => {
                    n = n.min(*count);
                    *count -= n;
                    if *valid { u64::MAX >> (64 - n) } else { 0 }
                }
                Run::Packed { start, count } => {
                    // eight bytes hold at least 57 bits from any bit of the first one on
                    n = n.min(*count).min(56);
                    let some = eight(&self.bytes, *start / 8) >> (*start % 8) & u64::MAX >> (64 - n);
                    *start += n;
                    *count -= n;
                    some
                }
            };
            bits.push(some, n);
            valid += some.count_ones() as usize;
            left -= n;
        }
        validity.bits.close(bits);
        validity.rows += rows;
        Ok(valid)
    }

    /// Begins the next run. The run is set here, not returned: a result as large as that goes through memory, which takes
    /// longer than all else that is done for a short run.
    #[inline]
    fn begin(&mut self) -> Result<()> {
        let head = run_head(&self.bytes, &mut self.at).ok_or_else(ends)?;
        let count = usize::try_from(head >> 1).map_err(|_| ends())?;
        if head & 1 == 1 {
            let (start, left) = (self.at * 8, self.bytes.len() - self.at);
            if count > 0 && left == 0 {
                return Err(ends());
            }
            // some writers leave out the bytes behind the last level
            let bytes = count.min(left);
            self.at += bytes;
            self.run = Run::Packed { start, count: bytes * 8 };
            return Ok(());
        }
        let level = *self.bytes.get(self.at).ok_or_else(ends)?;
        self.at += 1;
        if level > 1 && count > 0 {
            return Err(Error::Format(format!("definition level {level} found, expected 0 or 1")));
        }
        self.run = Run::Repeat { valid: level == 1, count };
        Ok(())
    }
}

impl Run {
    fn is_over(&self) -> bool {
        matches!(self, Run::Repeat { count: 0, .. } | Run::Packed { count: 0, .. })
    }
}

/// The eight bytes from `at` on; those that are missing are zero.
#[inline]
fn eight(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

fn ends() -> Error {
    Error::Format("definition levels end before their page does".into())
}

/// The validity of rows that are put together; bits are kept only once there is a null.
///
/// Nulls here and there make runs of some ten levels, so appending a few bits must cost next to nothing.
#[derive(Default)]
pub struct Validity {
    rows: usize,
    /// A bit for each of the rows; empty as long as all are valid.
    bits: Bits,
}

/// Bits, 64 a word, the first the lowest.
#[derive(Default)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

/// Bits while many are appended: the last word in a register.
struct Pending {
    words: Vec<u64>,
    last: u64,
    used: usize,
}

impl Pending {
    /// Appends the lowest `n` bits of `bits`, 64 at most; the others are not set.
    #[inline]
    fn push(&mut self, bits: u64, n: usize) {
        self.last |= bits << self.used;
        if self.used + n >= 64 {
            self.words.push(self.last);
            self.last = if self.used == 0 { 0 } else { bits >> (64 - self.used) };
            self.used += n;
            self.used -= 64;
        } else {
            self.used += n;
        }
    }
}

impl Bits {
    fn open(&mut self) -> Pending {
        let used = self.len % 64;
        let mut words = std::mem::take(&mut self.words);
        let last = if used > 0 { words.pop().unwrap_or(0) } else { 0 };
        Pending { words, last, used }
    }

    fn close(&mut self, Pending { mut words, last, used }: Pending) {
        self.len = words.len() * 64 + used;
        if used > 0 {
            words.push(last);
        }
        self.words = words;
    }

    /// Appends the lowest `n` bits of `bits`, 64 at most.
    #[inline]
    pub fn push(&mut self, bits: u64, n: usize) {
        if n == 0 {
            return;
        }
        let (word, used) = (self.len / 64, self.len % 64);
        let bits = bits & (u64::MAX >> (64 - n));
        if used == 0 {
            self.words.push(bits);
        } else {
            self.words[word] |= bits << used;
            if used + n > 64 {
                self.words.push(bits >> (64 - used));
            }
        }
        self.len += n;
    }

    /// Hands over the words, and how many bits of them count; begins anew.
    pub fn take(&mut self) -> (Vec<u64>, usize) {
        (std::mem::take(&mut self.words), std::mem::take(&mut self.len))
    }

    /// Hands over what was appended, and begins anew.
    pub fn finish(&mut self) -> BooleanBuffer {
        let (words, len) = self.take();
        BooleanBuffer::new(Buffer::from_vec(words), 0, len)
    }
}

impl Validity {
    /// Appends `count` rows that are all valid or all null.
    pub fn append(&mut self, count: usize, valid: bool) {
        if count == 0 || (valid && self.bits.len == 0) {
            self.rows += count;
            return;
        }
        self.start_bits();
        let bits = if valid { u64::MAX } else { 0 };
        let mut left = count;
        while left > 0 {
            let n = left.min(64);
            self.bits.push(bits, n);
            left -= n;
        }
        self.rows += count;
    }

    /// Appends the lowest `n` bits of `bits`, 64 at most.
    #[inline]
    pub fn push(&mut self, bits: u64, n: usize) {
        if self.bits.len == 0 && n > 0 {
            if bits | (u64::MAX << (n - 1) << 1) == u64::MAX {
                self.rows += n;
                return;
            }
            self.start_bits();
        }
        self.bits.push(bits, n);
        self.rows += n;
    }

    fn start_bits(&mut self) {
        if self.bits.len == 0 {
            self.bits.words.reserve(self.rows.max(8192).div_ceil(64) + 1);
            let mut left = self.rows;
            while left > 0 {
                let n = left.min(64);
                self.bits.push(u64::MAX, n);
                left -= n;
            }
        }
    }

    /// Where the values of the last `count` rows are, if there is a null so far.
    pub fn last(&self, count: usize) -> Option<Places<'_>> {
        (self.bits.len > 0).then(|| Places { words: &self.bits.words, first: self.rows - count, rows: count })
    }

    /// The rows so far.
    #[cfg(test)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Hands over what was appended, and begins anew.
    pub fn finish(&mut self) -> Option<NullBuffer> {
        self.rows = 0;
        if self.bits.len == 0 {
            return None;
        }
        let nulls = NullBuffer::new(self.bits.finish());
        (nulls.null_count() > 0).then_some(nulls)
    }
}

/// Which of some rows have a value.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    words: &'a [u64],
    first: usize,
    /// How many rows.
    pub rows: usize,
}

impl Places<'_> {
    /// 1 where row `row` has a value, else 0.
    #[inline]
    pub fn bit(&self, row: usize) -> usize {
        let at = self.first + row;
        (self.words[at / 64] >> (at % 64) & 1) as usize
    }

    /// The bits of 64 rows, from row `64 * word` on; what lies behind the last row is undefined.
    #[inline]
    pub fn word(&self, word: usize) -> u64 {
        let at = self.first + word * 64;
        let (word, shift) = (at / 64, at % 64);
        if shift == 0 {
            return self.words[word];
        }
        self.words[word] >> shift | self.words.get(word + 1).copied().unwrap_or(0) << (64 - shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bytes: &[u8], steps: &[usize]) -> Result<Vec<bool>> {
        let mut levels = Levels::new(Bytes::copy_from_slice(bytes));
        let mut validity = Validity::default();
        let mut valid = 0;
        for step in steps {
            valid += levels.take(*step, &mut validity)?;
        }
        let rows = validity.rows();
        let out: Vec<bool> = validity.finish().map_or(vec![true; rows], |nulls| nulls.iter().collect());
        assert_eq!(out.iter().filter(|v| **v).count(), valid);
        Ok(out)
    }

    #[test]
    fn runs_and_bits_become_validity() {
        // five valid, eight bits, three null
        let bytes = [10, 1, 3, 0b1010_0110, 6, 0];
        let expected: Vec<bool> = "1111101100101000".bytes().map(|b| b == b'1').collect();
        for steps in [&[16][..], &[5, 8, 3], &[1; 16], &[3, 6, 7]] {
            assert_eq!(taken(&bytes, steps).expect("sixteen levels"), expected, "{steps:?}");
        }
        assert_eq!(taken(&[32, 1], &[16]).expect("one run"), [true; 16]);
        assert_eq!(taken(&[5, 255, 255], &[16]).expect("packed"), [true; 16]);
    }

    #[test]
    fn damage_is_told() {
        for bytes in [&[][..], &[0xff; 9], &[32], &[32, 2], &[3], &[30, 1]] {
            assert!(matches!(taken(bytes, &[16]), Err(Error::Format(_))), "{bytes:?}");
        }
    }
}
