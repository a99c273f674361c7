//! Text and binary values, put together as Arrow's offsets and bytes.
//!
//! What a window of rows takes is known only once its values are looked at: a dictionary of a few long values can
//! stand for gigabytes. So each append counts the bytes first, leases them, and only then copies.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use bytes::Bytes;

use super::super::gate::PageLease;
use super::column::{Kind, beyond, short, spread};
use super::levels::Places;
use crate::error::{Error, Result};

/// A dictionary of values no longer than this is copied a fixed number of bytes at a time, whatever a value's length.
const SHORT: usize = 64;
/// A dictionary takes at most so many bytes padded: what fits into the second-level cache.
const PADDED: usize = 256 << 10;

/// Values of one column.
pub struct Text {
    utf8: bool,
    held: Arc<Mutex<PageLease>>,
    /// Bytes leased for `bytes`, and for what the dictionary takes beside its page.
    leased: (usize, usize),
    dictionary: Dictionary,
    /// Where each value ends.
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Dictionary {
    bytes: Bytes,
    /// Where each value starts and ends.
    places: Vec<(u32, u32)>,
    /// The values themselves, padded to `stride` bytes, where all of them are short.
    padded: Vec<u8>,
    /// 16, 32 or 64; 0 where a value is longer.
    stride: usize,
}

impl Text {
    /// Text, or bytes, by `to`; what it takes is leased from `held`.
    pub fn new(to: &DataType, held: Arc<Mutex<PageLease>>) -> Self {
        let (ends, bytes) = (vec![0], Vec::new());
        Self { utf8: *to == DataType::Utf8, held, leased: (0, 0), dictionary: Dictionary::default(), ends, bytes }
    }

    fn lease(&mut self, bytes: usize, dictionary: usize) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.text(self.leased.0 + self.leased.1, bytes + dictionary)?;
        self.leased = (bytes, dictionary);
        Ok(())
    }

    /// Room for `more` bytes.
    fn grow(&mut self, more: usize) -> Result<()> {
        let all = self.bytes.len() + more;
        if i32::try_from(all).is_err() {
            return Err(Error::MemoryLimit(format!(
                "{all} bytes of text in one batch, its offsets reach {}; lower batch_size",
                i32::MAX
            )));
        }
        if all > self.bytes.capacity() {
            let capacity = all.max(self.bytes.capacity() * 2);
            self.lease(capacity, self.leased.1)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "`grow` keeps it in range")]
    fn end(&mut self) {
        self.ends.push(self.bytes.len() as i32);
    }

    /// Values of at most `N` bytes: each is copied with its padding, over which the next one goes.
    fn gather_padded<const N: usize>(&mut self, indices: &[u32]) -> Result<()> {
        let places = self.dictionary.places.as_slice();
        let mut total = 0;
        for index in indices {
            let (start, end) = *places.get(*index as usize).ok_or_else(|| beyond(*index, places.len()))?;
            total += (end - start) as usize;
        }
        self.grow(total + N)?;
        let Dictionary { places, padded, .. } = &self.dictionary;
        let padded = padded.as_chunks::<N>().0;
        let first = self.bytes.len();
        self.bytes.resize(first + total + N, 0);
        let mut at = first;
        for index in indices {
            let index = *index as usize;
            let (start, end) = places[index];
            self.bytes[at..at + N].copy_from_slice(&padded[index]);
            at += (end - start) as usize;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "`grow` keeps it in range"
            )]
            self.ends.push(at as i32);
        }
        self.bytes.truncate(at);
        Ok(())
    }
}

impl Kind for Text {
    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()> {
        if count > bytes.len() / 4 {
            return Err(short());
        }
        self.lease(self.leased.0, count * size_of::<(u32, u32)>() + PADDED)?;
        let mut places = Vec::with_capacity(count);
        let mut at = 0;
        for _ in 0..count {
            let (start, end) = value(&bytes, at)?;
            if self.utf8 && std::str::from_utf8(&bytes[start..end]).is_err() {
                return Err(not_text(&bytes[start..end]));
            }
            places.push((position(start)?, position(end)?));
            at = end;
        }
        let longest = places.iter().map(|(start, end)| end - start).max().unwrap_or(0);
        let stride = [16, SHORT / 2, SHORT].into_iter().find(|n| longest as usize <= *n).unwrap_or(0);
        let stride = if stride * count > PADDED { 0 } else { stride };
        let mut padded = vec![0; stride * places.len()];
        if stride > 0 {
            for (to, (start, end)) in padded.chunks_exact_mut(stride).zip(&places) {
                let found = &bytes[*start as usize..*end as usize];
                to[..found.len()].copy_from_slice(found);
            }
        }
        self.dictionary = Dictionary { bytes, places, padded, stride };
        Ok(())
    }

    fn reserve(&mut self, rows: usize) {
        self.ends.reserve_exact(rows);
    }

    fn plain(&mut self, bytes: &Bytes, at: &mut usize, count: usize, keep: bool) -> Result<()> {
        let mut end = *at;
        let mut total = 0;
        for _ in 0..count {
            let (start, stop) = value(bytes, end)?;
            total += stop - start;
            end = stop;
        }
        if keep {
            self.grow(total)?;
            let mut from = *at;
            for _ in 0..count {
                let (start, stop) = value(bytes, from)?;
                self.bytes.extend_from_slice(&bytes[start..stop]);
                self.end();
                from = stop;
            }
        }
        *at = end;
        Ok(())
    }

    fn repeat(&mut self, index: u32, count: usize) -> Result<()> {
        let (start, end) = self.dictionary.place(index)?;
        self.grow((end - start).checked_mul(count).ok_or_else(short)?)?;
        for _ in 0..count {
            self.bytes.extend_from_slice(&self.dictionary.bytes[start..end]);
            self.end();
        }
        Ok(())
    }

    fn gather(&mut self, indices: &[u32]) -> Result<()> {
        match self.dictionary.stride {
            16 => return self.gather_padded::<16>(indices),
            32 => return self.gather_padded::<32>(indices),
            SHORT => return self.gather_padded::<SHORT>(indices),
            _ => {}
        }
        let mut total = 0;
        for index in indices {
            let (start, end) = self.dictionary.place(*index)?;
            total += end - start;
        }
        self.grow(total)?;
        for index in indices {
            let (start, end) = self.dictionary.place(*index)?;
            self.bytes.extend_from_slice(&self.dictionary.bytes[start..end]);
            self.end();
        }
        Ok(())
    }

    fn spread(&mut self, valid: usize, places: Places<'_>) {
        // a null takes the end of the value in front of it: it is empty
        spread(&mut self.ends, valid, places);
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() > bytes.len() * 2 {
            bytes.shrink_to_fit();
        }
        self.lease(0, self.leased.1)?;
        let (ends, bytes) = (OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes));
        if self.utf8 {
            let array = StringArray::try_new(ends, bytes, nulls)
                .map_err(|_| Error::Format("expected text in UTF-8, found other bytes".into()))?;
            return Ok(Arc::new(array));
        }
        Ok(Arc::new(BinaryArray::try_new(ends, bytes, nulls)?))
    }
}

impl Dictionary {
    fn place(&self, index: u32) -> Result<(usize, usize)> {
        let (start, end) = *self.places.get(index as usize).ok_or_else(|| beyond(index, self.places.len()))?;
        Ok((start as usize, end as usize))
    }
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
