//! Columns of text or bytes.

use std::sync::Arc;

use arrow::array::types::ByteArrayType;
use arrow::array::{ArrayRef, GenericByteArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;

use crate::error::Result;

use super::column::{By, Fill, Rows, Valid, snug};
use super::index::Field;
use super::unescape::unescape;

/// Fields that are no longer on average are copied so many bytes at a time, whatever their length.
const SHORT: usize = 32;

/// Text or bytes.
pub(super) struct Text<T: ByteArrayType> {
    by: By,
    offsets: Vec<T::Offset>,
    values: Vec<u8>,
    valid: Valid,
    /// Whether all of the values are parts of text that is UTF-8, cut off at bytes that are ASCII.
    proven: bool,
}

impl<T: ByteArrayType> Text<T> {
    /// None yet.
    pub(super) fn new(by: By) -> Self {
        Self { by, offsets: vec![T::Offset::default()], values: Vec::new(), valid: Valid::default(), proven: true }
    }

    fn is_null(&self, field: Field, text: &[u8]) -> bool {
        !field.is_quoted() && self.by.nulls.has(text)
    }

    fn end(&mut self, at: usize) {
        // A piece is at most 1 GiB and a batch within it, so that 32 bits do.
        self.offsets.push(T::Offset::from_usize(at).unwrap_or_default());
    }

    /// Copies [`SHORT`] bytes for a field, and the next field over those that are not its own.
    fn short(&mut self, rows: Rows<'_>, bytes: usize) {
        let mut at = self.values.len();
        self.values.resize(at + bytes + SHORT, 0);
        for field in self.by.fields(rows) {
            let (start, len) = (field.start(), field.len());
            let text = &rows.bytes[start..start + len];
            if self.is_null(field, text) {
                self.valid.null();
                self.end(at);
                continue;
            }
            self.valid.run += 1;
            if field.is_raw() {
                let mut value = Vec::new();
                unescape(rows.dialect, text, &mut value);
                self.values[at..at + value.len()].copy_from_slice(&value);
                at += value.len();
            } else if len <= SHORT
                && let Some(block) = rows.bytes.get(start..start + SHORT)
            {
                self.values[at..at + SHORT].copy_from_slice(block);
                at += len;
            } else {
                self.values[at..at + len].copy_from_slice(text);
                at += len;
            }
            self.end(at);
        }
        self.values.truncate(at);
    }

    fn long(&mut self, rows: Rows<'_>, bytes: usize) {
        self.values.reserve(bytes + SHORT);
        for field in self.by.fields(rows) {
            let text = &rows.bytes[field.start()..field.end()];
            if self.is_null(field, text) {
                self.valid.null();
            } else {
                if field.is_raw() {
                    unescape(rows.dialect, text, &mut self.values);
                } else {
                    self.values.extend_from_slice(text);
                }
                self.valid.run += 1;
            }
            self.end(self.values.len());
        }
    }
}

impl<T: ByteArrayType> Fill for Text<T> {
    fn reserve(&mut self, rows: usize) {
        self.offsets.reserve_exact(rows);
    }

    fn fill(&mut self, rows: Rows<'_>, _: &mut dyn FnMut(usize) -> bool) {
        self.proven &= rows.is_text && rows.dialect.is_ascii();
        let fields = self.by.fields(rows);
        let count = fields.len();
        let bytes: usize = fields.map(Field::len).sum();
        if bytes <= count * SHORT / 2 {
            self.short(rows, bytes);
        } else {
            self.long(rows, bytes);
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let values = Buffer::from_vec(snug(std::mem::take(&mut self.values)));
        let offsets = snug(std::mem::replace(&mut self.offsets, vec![T::Offset::default()]));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let nulls = self.valid.finish();
        if std::mem::replace(&mut self.proven, true) && offsets.last().as_usize() == values.len() {
            // SAFETY: the offsets are in order, as `OffsetBuffer::new` looked, and end with the bytes. Every value is a
            // field of text that was looked at as a whole, from one ASCII byte to another, less some ASCII bytes.
            return Ok(Arc::new(unsafe { GenericByteArray::<T>::new_unchecked(offsets, values, nulls) }));
        }
        Ok(Arc::new(GenericByteArray::<T>::try_new(offsets, values, nulls)?))
    }
}
