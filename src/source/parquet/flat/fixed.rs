//! Numbers of four and eight bytes, whatever they stand for: an Arrow buffer of them has the same bytes.

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};
use bytes::Bytes;

use super::column::{Kind, beyond, short};
use super::deltas::Numbers;
use super::gather::gather;
use super::levels::Places;
use super::selection::Selection;
use super::spread::spread;
use crate::error::Result;

/// A number as it is stored, little-endian.
pub trait Word: ArrowNativeType + Default {
    /// The bytes of one.
    type Stored: Copy;
    /// How many bytes these are.
    const BYTES: usize;

    /// The number that is stored so.
    fn read(stored: &Self::Stored) -> Self;

    /// The whole numbers in `bytes`.
    fn stored(bytes: &[u8]) -> &[Self::Stored];

    /// The lowest bits of a number.
    fn lowest(number: u64) -> Self;
}

macro_rules! word {
    ($word:ty) => {
        impl Word for $word {
            type Stored = [u8; size_of::<$word>()];
            const BYTES: usize = size_of::<$word>();

            #[inline(always)]
            fn read(stored: &Self::Stored) -> Self {
                <$word>::from_le_bytes(*stored)
            }

            fn stored(bytes: &[u8]) -> &[Self::Stored] {
                bytes.as_chunks().0
            }

            fn lowest(number: u64) -> Self {
                <$word>::from_le_bytes(number.to_le_bytes().as_chunks().0[0])
            }
        }
    };
}
word!(u32);
word!(u64);

/// Values of one column.
pub struct Fixed<W> {
    to: DataType,
    dictionary: Dictionary,
    out: Vec<W>,
}

/// The values that indices speak of.
struct Dictionary {
    /// How many there are.
    count: usize,
    /// Their page.
    bytes: Bytes,
}

impl<W: Word> Fixed<W> {
    /// Values that are announced as `to`, whose native type is as wide as `W`.
    pub fn new(to: &DataType) -> Self {
        let dictionary = Dictionary { count: 0, bytes: Bytes::new() };
        Self { to: to.clone(), dictionary, out: Vec::new() }
    }
}

impl<W: Word> Kind for Fixed<W> {
    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()> {
        let length = count.checked_mul(W::BYTES).filter(|length| *length <= bytes.len()).ok_or_else(short)?;
        self.dictionary = Dictionary { count, bytes: bytes.slice(..length) };
        Ok(())
    }

    fn reserve(&mut self, rows: usize) {
        self.out.reserve_exact(rows);
    }

    fn plain(&mut self, bytes: &Bytes, at: &mut usize, count: usize, keep: bool) -> Result<()> {
        let end = count.checked_mul(W::BYTES).and_then(|len| len.checked_add(*at)).ok_or_else(short)?;
        let found = bytes.get(*at..end).ok_or_else(short)?;
        if keep {
            self.out.extend(W::stored(found).iter().map(W::read));
        }
        *at = end;
        Ok(())
    }

    fn plain_some(&mut self, bytes: &Bytes, at: &mut usize, keep: &Selection) -> Result<()> {
        let start = *at;
        self.plain(bytes, at, keep.rows(), false)?;
        keep.append(0, W::stored(&bytes[start..*at]), |word| W::read(&word), &mut self.out);
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
        let Dictionary { count, bytes } = &self.dictionary;
        let values = &W::stored(bytes)[..*count];
        gather(values, indices, &mut self.out).map_err(|index| beyond(index, *count))
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
