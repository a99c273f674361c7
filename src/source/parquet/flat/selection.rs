//! The rows of a window that a predicate left.

use arrow::array::BooleanArray;
use arrow::buffer::{BooleanBuffer, Buffer};

use super::compress::compress;
use super::levels::{Bits, Places, Validity};

/// Which of some rows are wanted.
#[derive(Debug, Clone)]
pub struct Selection {
    /// A bit for each, 64 a word, the first the lowest; those behind the last row are not set.
    words: Vec<u64>,
    rows: usize,
    count: usize,
}

impl Selection {
    /// The rows where `mask`, which has no nulls, is true.
    pub fn new(mask: &BooleanArray) -> Self {
        let mask = mask.values();
        let mut words: Vec<u64> = mask.bit_chunks().iter_padded().collect();
        words.truncate(mask.len().div_ceil(64));
        Self::of(words, mask.len())
    }

    /// The rows whose bits are set in `words`; none is behind the last of `rows`.
    fn of(words: Vec<u64>, rows: usize) -> Self {
        let count = words.iter().map(|word| word.count_ones() as usize).sum();
        Self { words, rows, count }
    }

    /// How many rows are wanted.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The bits of `n` rows from `at` on, 64 at most.
    #[inline]
    fn bits(&self, at: usize, n: usize) -> u64 {
        let (word, shift) = (at / 64, at % 64);
        let low = self.words.get(word).copied().unwrap_or(0) >> shift;
        let high = if shift == 0 { 0 } else { self.words.get(word + 1).copied().unwrap_or(0) << (64 - shift) };
        (low | high) & if n < 64 { !(u64::MAX << n) } else { u64::MAX }
    }

    /// The bits of `rows` rows from `start` on, a word at a time.
    fn words(&self, start: usize, rows: usize) -> impl Iterator<Item = u64> + '_ {
        (0..rows.div_ceil(64)).map(move |i| self.bits(start + i * 64, rows - i * 64))
    }

    /// `rows` rows from `start` on.
    pub fn slice(&self, start: usize, rows: usize) -> Self {
        Self::of(self.words(start, rows).collect(), rows)
    }

    /// How many of `rows` rows from `start` on are wanted.
    #[inline]
    pub fn count_in(&self, start: usize, rows: usize) -> usize {
        self.words(start, rows).map(|word| word.count_ones() as usize).sum()
    }

    /// Puts those of `values`, which are the rows from `start` on, that are wanted to the front of `picked`, which is longer
    /// by [`SLACK`](super::compress::SLACK) at least; how many they are.
    pub fn pick(&self, start: usize, values: &[u32], picked: &mut [u32]) -> usize {
        let mut at = 0;
        for (some, word) in values.chunks(64).zip(self.words(start, values.len())) {
            at += compress(some, word, &mut picked[at..]);
        }
        at
    }

    /// Appends those of `values`, which are the rows from `start` on, that are wanted, each as `of` makes it.
    pub fn append<T: Copy, V>(&self, start: usize, values: &[T], of: impl Fn(T) -> V, to: &mut Vec<V>) {
        for (some, mut word) in values.chunks(64).zip(self.words(start, values.len())) {
            while word != 0 {
                to.push(of(some[word.trailing_zeros() as usize]));
                word &= word - 1;
            }
        }
    }

    /// Of the values that `places` says there are, those of wanted rows; `validity` gets a bit for each wanted row.
    ///
    /// Goes 64 rows at a time, with a few steps for each null among them.
    pub fn of_values(&self, places: Places<'_>, validity: &mut Validity) -> Self {
        let mut out = Bits::default();
        let mut left = self.rows;
        for (word, wanted) in self.words.iter().copied().enumerate() {
            let rows = left.min(64);
            left -= rows;
            let nulls = !places.word(word) & u64::MAX >> (64 - rows);
            // a null has no value: the rows behind it move down by one, the last null first
            let (mut of_values, mut rest) = (wanted, nulls);
            while rest != 0 {
                let low = u64::MAX >> (rest.leading_zeros()) >> 1;
                of_values = (of_values & low) | (of_values >> 1 & !low);
                rest &= low;
            }
            out.push(of_values, rows - nulls.count_ones() as usize);
            let (mut of_rows, mut rest) = (u64::MAX, nulls & wanted);
            while rest != 0 {
                let null = rest & rest.wrapping_neg();
                of_rows &= !(1 << (wanted & (null - 1)).count_ones());
                rest &= rest - 1;
            }
            validity.push(of_rows, wanted.count_ones() as usize);
        }
        let (words, rows) = out.take();
        Self::of(words, rows)
    }

    /// The rows that are wanted, as runs: from, up to.
    pub fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let from = self.next(at, true)?;
            at = self.next(from, false).unwrap_or(self.rows);
            Some((from, at))
        })
    }

    /// The first row from `at` on that is wanted.
    pub fn next_wanted(&self, at: usize) -> Option<usize> {
        self.next(at, true)
    }

    /// The first row from `at` on that is wanted, or that is not.
    fn next(&self, mut at: usize, wanted: bool) -> Option<usize> {
        while at < self.rows {
            let n = (self.rows - at).min(64);
            let bits = if wanted { self.bits(at, n) } else { !self.bits(at, n) };
            match bits.trailing_zeros() as usize {
                zeros if zeros < n => return Some(at + zeros),
                _ => at += n,
            }
        }
        None
    }

    /// The mask itself.
    pub fn mask(&self) -> BooleanArray {
        BooleanArray::new(BooleanBuffer::new(Buffer::from_vec(self.words.clone()), 0, self.rows), None)
    }
}
