//! Numbers of one to thirty-two bytes, whatever they stand for.
//!
//! What an Arrow buffer has other bytes for than the file is converted where it comes in: values a stretch at a time, a
//! dictionary once, whereafter it is looked up like any other.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, i256};
use bytes::Bytes;

use super::column::{Kind, beyond, fitted, short};
use super::deltas::Numbers;
use super::form::{Form, Read};
use super::gather::gather;
use super::levels::Places;
use super::selection::Selection;
use super::spread::spread;
use crate::error::Result;
use crate::memory::{Holder, Lease};

/// Numbers that are converted from differences at a time.
const SOME: usize = 64;

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

    /// The bytes that numbers are stored as.
    fn bytes(numbers: Vec<Self>) -> Bytes;
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

            #[inline(always)]
            fn lowest(number: u64) -> Self {
                let mut bytes = [0; size_of::<$word>()];
                let shared = bytes.len().min(8);
                bytes[..shared].copy_from_slice(&number.to_le_bytes()[..shared]);
                <$word>::from_le_bytes(bytes)
            }

            fn bytes(numbers: Vec<Self>) -> Bytes {
                if cfg!(target_endian = "little") {
                    return Bytes::from_owner(Buffer::from_vec(numbers));
                }
                numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>().into()
            }
        }
    };
}
word!(u8);
word!(u16);
word!(u32);
word!(u64);
word!(u128);
word!(i256);

/// Values of one column.
pub struct Fixed<W> {
    to: DataType,
    form: Form<W>,
    holder: Holder,
    dictionary: Arc<Dictionary>,
    out: Vec<W>,
}

/// The values that indices speak of.
#[derive(Default)]
struct Dictionary {
    /// How many there are.
    count: usize,
    /// Their page, or what they were converted to, as numbers are stored.
    bytes: Bytes,
    /// For what was converted.
    _lease: Option<Lease>,
}

impl<W: Word> Fixed<W> {
    /// Values that are announced as `to`, whose native type is as wide as `W`, and stored as `form` says. A dictionary that
    /// is converted is leased of `holder`.
    pub fn new(to: &DataType, form: Form<W>, holder: Holder) -> Self {
        Self { to: to.clone(), form, holder, dictionary: Arc::default(), out: Vec::new() }
    }

    /// Appends `numbers`, which have another form: by what they would be stored as.
    fn convert(&mut self, numbers: &[u64], read: Read<W>) {
        let width = self.form.width.min(8);
        let mut stored = [0; 8 * SOME];
        for some in numbers.chunks(SOME) {
            for (number, to) in some.iter().zip(stored.chunks_exact_mut(width)) {
                to.copy_from_slice(&number.to_le_bytes()[..width]);
            }
            read(&stored[..some.len() * width], width, &mut self.out);
        }
    }
}

impl<W: Word> Kind for Fixed<W> {
    fn fork(&self) -> Self {
        let Self { to, form, holder, dictionary, .. } = self;
        let (to, holder, dictionary) = (to.clone(), holder.clone(), dictionary.clone());
        Self { to, form: *form, holder, dictionary, out: Vec::new() }
    }

    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()> {
        let width = self.form.width;
        let length = count.checked_mul(width).filter(|length| *length <= bytes.len()).ok_or_else(short)?;
        self.dictionary = Arc::default();
        let mut lease = None;
        let mut bytes = bytes.slice(..length);
        if let Some(read) = self.form.read {
            // it may take many times what its page does
            lease = Some(self.holder.lease(count.saturating_mul(W::BYTES))?);
            let mut converted = Vec::with_capacity(count);
            read(&bytes, width, &mut converted);
            bytes = W::bytes(converted);
        }
        self.dictionary = Arc::new(Dictionary { count, bytes, _lease: lease });
        Ok(())
    }

    fn reserve(&mut self, rows: usize) {
        self.out.reserve_exact(rows);
    }

    fn plain(&mut self, bytes: &[u8], at: &mut usize, count: usize, keep: bool) -> Result<()> {
        let width = self.form.width;
        let end = count.checked_mul(width).and_then(|len| len.checked_add(*at)).ok_or_else(short)?;
        let found = bytes.get(*at..end).ok_or_else(short)?;
        match self.form.read {
            _ if !keep => {}
            None => self.out.extend(W::stored(found).iter().map(W::read)),
            Some(read) => read(found, width, &mut self.out),
        }
        *at = end;
        Ok(())
    }

    fn plain_some(&mut self, bytes: &[u8], at: &mut usize, keep: &Selection) -> Result<()> {
        let start = *at;
        self.plain(bytes, at, keep.rows(), false)?;
        let (found, width) = (&bytes[start..*at], self.form.width);
        match self.form.read {
            None => keep.append(0, W::stored(found), |word| W::read(&word), &mut self.out),
            Some(read) => {
                keep.runs().for_each(|(from, to)| read(&found[from * width..to * width], width, &mut self.out));
            }
        }
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
        let Dictionary { count, bytes, .. } = self.dictionary.as_ref();
        let values = &W::stored(bytes)[..*count];
        gather(values, indices, &mut self.out).map_err(|index| beyond(index, *count))
    }

    fn has_numbers(&self) -> bool {
        self.form.whole
    }

    fn split_width(&self) -> Option<usize> {
        self.form.split.then_some(self.form.width)
    }

    fn numbers(&mut self, numbers: Numbers<'_>) -> Result<()> {
        match (numbers, self.form.read) {
            (Numbers::Even { first, step, count }, None) => {
                let mut next = first.wrapping_sub(step);
                self.out.extend((0..count).map(|_| {
                    next = next.wrapping_add(step);
                    W::lowest(next)
                }));
            }
            (Numbers::Listed(numbers), None) => self.out.extend(numbers.iter().map(|n| W::lowest(*n))),
            (Numbers::Even { mut first, step, mut count }, Some(read)) => {
                let mut some = [0; SOME];
                while count > 0 {
                    let n = count.min(SOME);
                    for number in &mut some[..n] {
                        *number = first;
                        first = first.wrapping_add(step);
                    }
                    self.convert(&some[..n], read);
                    count -= n;
                }
            }
            (Numbers::Listed(numbers), Some(read)) => self.convert(numbers, read),
        }
        Ok(())
    }

    fn spread(&mut self, valid: usize, places: Places<'_>) {
        spread(&mut self.out, valid, places);
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let values = fitted(std::mem::take(&mut self.out));
        let data = ArrayData::builder(self.to.clone())
            .len(values.len())
            .add_buffer(Buffer::from_vec(values))
            .nulls(nulls)
            .build()?;
        Ok(make_array(data))
    }
}
