//! Numbers of four and eight bytes, whatever they stand for: an Arrow buffer of them has the same bytes.

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};
use bytes::Bytes;

use super::column::{Kind, beyond, short, spread};
use super::deltas::Numbers;
use super::levels::Places;
use super::selection::Selection;
use crate::error::Result;

/// A number as it is stored, little-endian.
pub trait Word: ArrowNativeType + Default {
    /// Bytes of one.
    const BYTES: usize;

    /// Appends the numbers in `bytes`, which has whole ones.
    fn append(bytes: &[u8], to: &mut Vec<Self>);

    /// Appends the numbers at `indices`, which `bytes` have.
    fn gather(bytes: &[u8], indices: &[u32], to: &mut Vec<Self>);

    /// Appends those of the numbers in `bytes` that are wanted.
    fn append_some(bytes: &[u8], keep: &Selection, to: &mut Vec<Self>);

    /// The lowest bits of a number.
    fn lowest(number: u64) -> Self;
}

macro_rules! word {
    ($word:ty) => {
        impl Word for $word {
            const BYTES: usize = size_of::<$word>();

            fn append(bytes: &[u8], to: &mut Vec<Self>) {
                let words = bytes.as_chunks::<{ size_of::<$word>() }>().0;
                to.extend(words.iter().map(|w| <$word>::from_le_bytes(*w)));
            }

            fn gather(bytes: &[u8], indices: &[u32], to: &mut Vec<Self>) {
                let words = bytes.as_chunks::<{ size_of::<$word>() }>().0;
                to.extend(indices.iter().map(|i| <$word>::from_le_bytes(words[*i as usize])));
            }

            fn append_some(bytes: &[u8], keep: &Selection, to: &mut Vec<Self>) {
                let words = bytes.as_chunks::<{ size_of::<$word>() }>().0;
                keep.append(0, words, <$word>::from_le_bytes, to);
            }

            fn lowest(number: u64) -> Self {
                <$word>::from_le_bytes(number.to_le_bytes().as_chunks().0[0])
            }
        }
    };
}
word!(u32);
word!(u64);

/// A dictionary of no more values than this is copied and padded to it, so that a masked index needs no check; the values
/// of a larger one stay in their page.
const SMALL: usize = 256;

/// Values of one column.
pub struct Fixed<W> {
    to: DataType,
    dictionary: Dictionary<W>,
    out: Vec<W>,
}

/// The values that indices speak of.
struct Dictionary<W> {
    /// How many there are.
    count: usize,
    /// They themselves and zeros behind them, where they are few.
    small: Box<[W]>,
    /// Their page.
    bytes: Bytes,
}

impl<W: Word> Fixed<W> {
    /// Values that are announced as `to`, whose native type is as wide as `W`.
    pub fn new(to: &DataType) -> Self {
        let dictionary = Dictionary { count: 0, small: Box::default(), bytes: Bytes::new() };
        Self { to: to.clone(), dictionary, out: Vec::new() }
    }
}

impl<W: Word> Kind for Fixed<W> {
    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()> {
        let known = count.checked_mul(W::BYTES).and_then(|len| bytes.get(..len)).ok_or_else(short)?;
        let mut small = Vec::new();
        if count <= SMALL {
            small.reserve_exact(SMALL);
            W::append(known, &mut small);
            small.resize(SMALL, W::default());
        }
        let bytes = if count <= SMALL { Bytes::new() } else { bytes };
        self.dictionary = Dictionary { count, small: small.into(), bytes };
        Ok(())
    }

    fn reserve(&mut self, rows: usize) {
        self.out.reserve_exact(rows);
    }

    fn plain(&mut self, bytes: &Bytes, at: &mut usize, count: usize, keep: bool) -> Result<()> {
        let end = count.checked_mul(W::BYTES).and_then(|len| len.checked_add(*at)).ok_or_else(short)?;
        let found = bytes.get(*at..end).ok_or_else(short)?;
        if keep {
            W::append(found, &mut self.out);
        }
        *at = end;
        Ok(())
    }

    fn plain_some(&mut self, bytes: &Bytes, at: &mut usize, keep: &Selection) -> Result<()> {
        let start = *at;
        self.plain(bytes, at, keep.rows(), false)?;
        W::append_some(&bytes[start..*at], keep, &mut self.out);
        Ok(())
    }

    fn repeat(&mut self, index: u32, count: usize) -> Result<()> {
        self.gather(&[index])?;
        if let Some(value) = self.out.pop() {
            self.out.resize(self.out.len() + count, value);
        }
        Ok(())
    }

    fn gather(&mut self, indices: &[u32]) -> Result<()> {
        let Dictionary { count, small, bytes } = &self.dictionary;
        let highest = indices.iter().copied().max().unwrap_or(0);
        if highest as usize >= *count {
            return Err(beyond(highest, *count));
        }
        if let Some(small) = small.first_chunk::<SMALL>() {
            self.out.extend(indices.iter().map(|i| small[*i as usize & (SMALL - 1)]));
        } else {
            W::gather(bytes, indices, &mut self.out);
        }
        Ok(())
    }

    fn has_numbers(&self) -> bool {
        !self.to.is_floating()
    }

    fn numbers(&mut self, numbers: Numbers<'_>) -> Result<()> {
        match numbers {
            Numbers::Even { first, step, count } => {
                let mut next = first.wrapping_sub(step);
                self.out.extend((0..count).map(|_| {
                    next = next.wrapping_add(step);
                    W::lowest(next)
                }));
            }
            Numbers::Listed(numbers) => self.out.extend(numbers.iter().map(|n| W::lowest(*n))),
        }
        Ok(())
    }

    fn spread(&mut self, valid: usize, places: Places<'_>) {
        spread(&mut self.out, valid, places);
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let values = std::mem::take(&mut self.out);
        let data = ArrayData::builder(self.to.clone())
            .len(values.len())
            .add_buffer(Buffer::from_vec(values))
            .nulls(nulls)
            .build()?;
        Ok(make_array(data))
    }
}
