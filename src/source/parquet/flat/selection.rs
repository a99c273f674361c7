//! The rows of a window that a predicate left.

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;

use super::levels::{Bits, Places, Validity};

/// Which of some rows are wanted.
#[derive(Debug, Clone)]
pub struct Selection {
    keep: BooleanBuffer,
    count: usize,
}

impl Selection {
    /// The rows where `mask`, which has no nulls, is true.
    pub fn new(mask: &BooleanArray) -> Self {
        Self::of(mask.values().clone())
    }

    /// The rows where `keep` is set.
    pub fn of(keep: BooleanBuffer) -> Self {
        let count = keep.count_set_bits();
        Self { keep, count }
    }

    /// How many rows are wanted.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.keep.len()
    }

    /// `rows` rows from `start` on.
    pub fn slice(&self, start: usize, rows: usize) -> Self {
        Self::of(self.keep.slice(start, rows))
    }

    /// Of the values that `places` says there are, those of wanted rows; `validity` gets a bit for each wanted row.
    ///
    /// Goes 64 rows at a time, with a few steps for each null among them.
    pub fn of_values(&self, places: Places<'_>, validity: &mut Validity) -> Self {
        let mut out = Bits::default();
        let mut left = self.keep.len();
        for (word, wanted) in self.keep.bit_chunks().iter_padded().enumerate() {
            let rows = left.min(64);
            if rows == 0 {
                break;
            }
            left -= rows;
            let all = u64::MAX >> (64 - rows);
            let (wanted, nulls) = (wanted & all, !places.word(word) & all);
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
        Self::of(out.finish())
    }

    /// The rows that are wanted.
    pub fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.keep.set_indices()
    }

    /// The rows that are wanted, as runs: from, up to.
    pub fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.keep.set_slices()
    }

    /// The mask itself.
    pub fn mask(&self) -> BooleanArray {
        BooleanArray::new(self.keep.clone(), None)
    }
}
