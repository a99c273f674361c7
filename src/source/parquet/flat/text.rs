//! Text and binary values, put together as Arrow's offsets and bytes.
//!
//! What a window of rows takes is known only once its values are looked at: a dictionary of a few long values can
//! stand for gigabytes. So each append counts the bytes first, leases them, and only then copies.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use bytes::Bytes;

use super::column::{Kind, beyond, fitted, short};
use super::gather::check;
use super::hybrid::BLOCK;
use super::levels::Places;
use super::spread::spread;
use crate::error::{Error, Result};
use crate::memory::Lease;

/// A dictionary of values no longer than this is copied a fixed number of bytes at a time, whatever a value's length.
const SHORT: usize = 64;
/// A dictionary takes at most so many bytes padded: about what a second-level cache has.
const PADDED: usize = 1 << 20;

/// Values of one column.
pub struct Text {
    utf8: bool,
    lease: Lease,
    /// Bytes of a window that are too many, unless it is one row.
    wide: usize,
    dictionary: Arc<Dictionary>,
    /// Rows of a window that was read before, and the bytes of their text; of all decoders with this dictionary.
    before: Arc<Mutex<(usize, usize)>>,
    /// Rows of this window.
    rows: usize,
    /// Where each value ends.
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Dictionary {
    bytes: Bytes,
    /// Where each value starts and ends.
    places: Vec<(u32, u32)>,
    /// The values themselves, padded to `stride` bytes, and how long each is, where all of them are short.
    padded: Vec<u8>,
    lengths: Vec<u8>,
    /// 16, 32 or 64; 0 where a value is longer.
    stride: usize,
    /// For all that but the page.
    _lease: Option<Lease>,
}

impl Text {
    /// Text, or bytes, by `to`; what it takes is leased by `lease`, which is empty. A window of it that is `wide` is told.
    pub fn new(to: &DataType, lease: Lease, wide: usize) -> Self {
        let (ends, bytes) = (vec![0], Vec::new());
        Self {
            utf8: *to == DataType::Utf8,
            lease,
            wide,
            dictionary: Arc::default(),
            before: Arc::default(),
            rows: 0,
            ends,
            bytes,
        }
    }

    /// Room for `more` bytes.
    fn grow(&mut self, more: usize) -> Result<()> {
        let all = self.bytes.len() + more;
        if all > self.wide && self.rows > 1 {
            return Err(Error::Wide);
        }
        if i32::try_from(all).is_err() {
            return Err(Error::MemoryLimit(format!(
                "{all} bytes of text in one batch, its offsets reach {}; lower batch_size",
                i32::MAX
            )));
        }
        if all > self.bytes.capacity() {
            let twice = self.bytes.capacity() * 2;
            let capacity = all.max(if self.rows > 1 { twice.min(self.wide) } else { twice });
            self.lease.resize(capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        Ok(())
    }

    fn end(&mut self) {
        self.ends.push(ended(self.bytes.len()));
    }

    /// The values at `indices`, which are there, at most `N` bytes each: copied with their padding, over which the next
    /// one goes.
    fn padded<const N: usize>(&mut self, indices: impl ExactSizeIterator<Item = usize>) -> Result<()> {
        let room = indices.len() * N;
        self.expect(room);
        self.grow(room)?;
        let Self { dictionary, ends, bytes, .. } = self;
        let (padded, lengths) = (dictionary.padded.as_chunks::<N>().0, dictionary.lengths.as_slice());
        let (first, mut at) = (bytes.len(), 0);
        let (start, count) = (ends.len(), indices.len());
        ends.reserve(count);
        let spare = &mut bytes.spare_capacity_mut()[..room];
        let mut done = 0;
        for (end, index) in ends.spare_capacity_mut()[..count].iter_mut().zip(indices) {
            debug_assert!(index < padded.len() && index < lengths.len() && at + N <= spare.len());
            // SAFETY: the index was compared with the dictionary, which has a length for each of its padded values; no
            // length is beyond `N`, so `at` is at most as many times `N` as values were written, and `room` is left for
            // this one. What is shared is not what is written.
            unsafe {
                std::ptr::copy_nonoverlapping(padded.as_ptr().add(index).cast(), spare.as_mut_ptr().add(at), N);
                at += usize::from(*lengths.get_unchecked(index));
            }
            end.write(ended(first + at));
            done += 1;
        }
        // SAFETY: the values were written one after the other, from the first spare byte on to `at`, which is in `room`,
        // and an end for each.
        unsafe {
            bytes.set_len(first + at);
            ends.set_len(start + done);
        }
        Ok(())
    }

    /// Makes room for all of a window when its first values come, by the dictionary's average, so that nothing is copied
    /// while it grows; `room` is for the first values. No room is no error yet.
    fn expect(&mut self, room: usize) {
        if self.bytes.capacity() > 0 {
            return;
        }
        let lengths = &self.dictionary.lengths;
        let total: usize = lengths.iter().map(|n| usize::from(*n)).sum();
        let average = (total / lengths.len().max(1) + 1).min(self.dictionary.stride);
        let rows = self.rows + self.rows / 16;
        let _ = self.grow(average.saturating_mul(rows).saturating_add(room).min(self.wide));
    }

    /// The values at `indices`, which are there.
    fn values(&mut self, indices: impl ExactSizeIterator<Item = usize> + Clone) -> Result<()> {
        match self.dictionary.stride {
            16 => return self.padded::<16>(indices),
            32 => return self.padded::<32>(indices),
            SHORT => return self.padded::<SHORT>(indices),
            _ => {}
        }
        let length = |index: usize| {
            let (start, end) = self.dictionary.places[index];
            (end - start) as usize
        };
        let total = indices.clone().try_fold(0_usize, |sum, index| sum.checked_add(length(index)));
        self.grow(total.ok_or_else(short)?)?;
        for index in indices {
            let (start, end) = self.dictionary.places[index];
            self.bytes.extend_from_slice(&self.dictionary.bytes[start as usize..end as usize]);
            self.end();
        }
        Ok(())
    }

    /// Whether the values from `first` on, which were not looked at before, are text, each of them.
    fn check_text(&self, first: usize) -> Result<()> {
        let ends = &self.ends[first - 1..];
        if !self.utf8 || ends.len() == 1 {
            return Ok(());
        }
        let bytes = &self.bytes[place(ends[0])..];
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| not_text(bytes))?;
        let whole = ends.iter().all(|end| text.is_char_boundary(place(*end) - place(ends[0])));
        if whole { Ok(()) } else { Err(Error::Format("expected text in UTF-8, found parts of characters".into())) }
    }

    /// Whether the dictionary has a value for each of `indices`.
    fn check(&self, indices: &[u32]) -> Result<()> {
        let known = self.dictionary.places.len();
        check(indices, known).map_err(|index| beyond(index, known))
    }
}

impl Kind for Text {
    fn fork(&self) -> Self {
        let Self { utf8, wide, .. } = *self;
        let (lease, dictionary) = (self.lease.holder().empty(), self.dictionary.clone());
        let before = self.before.clone();
        Self { utf8, lease, wide, dictionary, before, rows: 0, ends: vec![0], bytes: Vec::new() }
    }

    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()> {
        if count > bytes.len() / 4 {
            return Err(short());
        }
        let mut lease = self.lease.holder().lease(count * size_of::<(u32, u32)>())?;
        let mut places = Vec::with_capacity(count);
        let mut at = 0;
        for _ in 0..count {
            let (start, end) = value(&bytes, at)?;
            if self.utf8 && simdutf8::basic::from_utf8(&bytes[start..end]).is_err() {
                return Err(not_text(&bytes[start..end]));
            }
            places.push((position(start)?, position(end)?));
            at = end;
        }
        let longest = places.iter().map(|(start, end)| end - start).max().unwrap_or(0);
        let stride = [16, SHORT / 2, SHORT].into_iter().find(|n| longest as usize <= *n).unwrap_or(0);
        let stride = if stride * count > PADDED { 0 } else { stride };
        lease.resize(count * (size_of::<(u32, u32)>() + stride + usize::from(stride > 0)))?;
        let mut padded = vec![0; stride * places.len()];
        let mut lengths = Vec::new();
        if stride > 0 {
            lengths.extend(places.iter().map(|(start, end)| u8::try_from(end - start).unwrap_or(u8::MAX)));
            for (to, (start, end)) in padded.chunks_exact_mut(stride).zip(&places) {
                let found = &bytes[*start as usize..*end as usize];
                to[..found.len()].copy_from_slice(found);
            }
        }
        self.dictionary = Arc::new(Dictionary { bytes, places, padded, lengths, stride, _lease: Some(lease) });
        Ok(())
    }

    fn reserve(&mut self, rows: usize) {
        self.ends.reserve_exact(rows);
        self.rows = rows;
        // about what the window before took, so that nothing is copied while it grows; no room is no error yet
        let (before, bytes) = *self.before.lock().unwrap_or_else(PoisonError::into_inner);
        if before > 0 && self.bytes.capacity() == 0 {
            let about = (bytes / before + 1).saturating_mul(rows + rows / 64);
            // and what the last block is given beyond what it takes
            let _ = self.grow(about.saturating_add(BLOCK * self.dictionary.stride).min(self.wide));
        }
    }

    fn plain(&mut self, bytes: &[u8], at: &mut usize, count: usize, keep: bool) -> Result<()> {
        let mut end = *at;
        let mut total = 0;
        for _ in 0..count {
            let (start, stop) = value(bytes, end)?;
            total += stop - start;
            end = stop;
        }
        let mut from = std::mem::replace(at, end);
        if keep {
            self.grow(total)?;
            let first = self.ends.len();
            for _ in 0..count {
                let (start, stop) = value(bytes, from)?;
                self.bytes.extend_from_slice(&bytes[start..stop]);
                self.end();
                from = stop;
            }
            self.check_text(first)?;
        }
        Ok(())
    }

    fn repeat(&mut self, index: u32, count: usize) -> Result<()> {
        self.check(&[index])?;
        // a block at a time, as the room for one is made for the longest value
        let mut left = count;
        while left > 0 {
            let n = left.min(BLOCK);
            self.values(std::iter::repeat_n(index as usize, n))?;
            left -= n;
        }
        Ok(())
    }

    fn gather(&mut self, indices: &[u32]) -> Result<()> {
        self.check(indices)?;
        self.values(indices.iter().map(|i| *i as usize))
    }

    fn spread(&mut self, valid: usize, places: Places<'_>) {
        // a null takes the end of the value in front of it: it is empty
        spread(&mut self.ends, valid, places);
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let ends = fitted(std::mem::replace(&mut self.ends, vec![0]));
        let bytes = fitted(std::mem::take(&mut self.bytes));
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = (ends.len() - 1, bytes.len());
        self.lease.resize(0)?;
        // SAFETY: `ends` begins with 0, and each end that was pushed is that of `bytes` then, which only grow in between;
        // `spread` repeats ends and keeps their order. Nothing is larger than `i32::MAX` (`Text::grow`).
        let ends = unsafe { OffsetBuffer::new_unchecked(ends.into()) };
        let bytes = Buffer::from_vec(bytes);
        if self.utf8 {
            // SAFETY: every value is text: those of a dictionary were looked at when it came, others by `check_text`.
            return Ok(Arc::new(unsafe { StringArray::new_unchecked(ends, bytes, nulls) }));
        }
        Ok(Arc::new(BinaryArray::try_new(ends, bytes, nulls)?))
    }
}

/// An end as an offset.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "`Text::grow` keeps it in range")]
#[inline]
fn ended(at: usize) -> i32 {
    at as i32
}

/// An offset as a place.
#[expect(clippy::cast_sign_loss, reason = "none is negative")]
#[inline]
fn place(end: i32) -> usize {
    end as usize
}

/// The place of the PLAIN value that begins at `at`: four bytes of length, then so many bytes.
#[inline]
fn value(bytes: &[u8], at: usize) -> Result<(usize, usize)> {
    let length = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or_else(short)?;
    let start = at + 4;
    let end = start + u32::from_le_bytes(*length) as usize;
    if end > bytes.len() { Err(short()) } else { Ok((start, end)) }
}

fn position(at: usize) -> Result<u32> {
    u32::try_from(at).map_err(|_| Error::Format("a dictionary beyond 4 GiB".into()))
}

fn not_text(found: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(&found[..found.len().min(40)]).into_owned();
    Error::Format(format!("expected text in UTF-8, found `{shown}`"))
}
