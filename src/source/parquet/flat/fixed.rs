//! Numbers of four and eight bytes, whatever they stand for: an Arrow buffer of them has the same bytes.

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};
use bytes::Bytes;

use super::column::{Kind, beyond, short, spread};
use super::levels::Places;
use super::selection::Selection;
use crate::error::Result;

/// A number as it is stored, little-endian.
pub trait Word: ArrowNativeType + Default {
    /// Bytes of one.
    const BYTES: usize;

    /// Appends the numbers in `bytes`, which has whole ones.
    fn append(bytes: &[u8], to: &mut Vec<Self>);

    /// Appends those of the numbers in `bytes` that are wanted.
    fn append_some(bytes: &[u8], keep: &Selection, to: &mut Vec<Self>);
}

macro_rules! word {
    ($word:ty) => {
        impl Word for $word {
            const BYTES: usize = size_of::<$word>();

            fn append(bytes: &[u8], to: &mut Vec<Self>) {
                let words = bytes.as_chunks::<{ size_of::<$word>() }>().0;
                to.extend(words.iter().map(|w| <$word>::from_le_bytes(*w)));
            }

            fn append_some(bytes: &[u8], keep: &Selection, to: &mut Vec<Self>) {
                let words = bytes.as_chunks::<{ size_of::<$word>() }>().0;
                to.extend(keep.indices().map(|i| <$word>::from_le_bytes(words[i])));
            }
        }
    };
}
word!(u32);
word!(u64);

/// A dictionary of at most so many values is padded to one of these sizes, so that a masked index needs no check.
const SMALL: usize = 1 << 8;
const MIDDLE: usize = 1 << 12;
const LARGE: usize = 1 << 16;

/// Values of one column.
pub struct Fixed<W> {
    to: DataType,
    /// The dictionary's values, padded with zeros to a size that `gather` knows, where there is one.
    dictionary: Vec<W>,
    /// How many values it really has.
    count: usize,
    out: Vec<W>,
}

impl<W: Word> Fixed<W> {
    /// Values that are announced as `to`, whose native type is as wide as `W`.
    pub fn new(to: &DataType) -> Self {
        Self { to: to.clone(), dictionary: Vec::new(), count: 0, out: Vec::new() }
    }
}

/// Appends the values at `indices` of a dictionary of just `N`, a power of two.
fn masked<W: Word, const N: usize>(dictionary: &[W], indices: &[u32], out: &mut Vec<W>) {
    if let Some(dictionary) = dictionary.first_chunk::<N>() {
        out.extend(indices.iter().map(|i| dictionary[*i as usize & (N - 1)]));
    }
}

impl<W: Word> Kind for Fixed<W> {
    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()> {
        let bytes = count.checked_mul(W::BYTES).and_then(|len| bytes.get(..len)).ok_or_else(short)?;
        let padded = [SMALL, MIDDLE, LARGE].into_iter().find(|n| count <= *n).unwrap_or(count);
        self.dictionary = Vec::with_capacity(padded);
        W::append(bytes, &mut self.dictionary);
        self.dictionary.resize(padded, W::default());
        self.count = count;
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
        let known = self.dictionary.get(..self.count).unwrap_or_default();
        let value = *known.get(index as usize).ok_or_else(|| beyond(index, self.count))?;
        self.out.resize(self.out.len() + count, value);
        Ok(())
    }

    fn gather(&mut self, indices: &[u32]) -> Result<()> {
        let highest = indices.iter().copied().max().unwrap_or(0);
        if highest as usize >= self.count {
            return Err(beyond(highest, self.count));
        }
        let dictionary = self.dictionary.as_slice();
        match self.dictionary.len() {
            SMALL => masked::<W, SMALL>(dictionary, indices, &mut self.out),
            MIDDLE => masked::<W, MIDDLE>(dictionary, indices, &mut self.out),
            LARGE => masked::<W, LARGE>(dictionary, indices, &mut self.out),
            _ => self.out.extend(indices.iter().map(|i| dictionary[*i as usize])),
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
