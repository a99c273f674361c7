//! Booleans: PLAIN is one bit each, as in Arrow; RLE is the hybrid, one bit wide.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::NullBuffer;
use bytes::Bytes;

use super::column::{Kind, short};
use super::levels::Places;
use crate::error::{Error, Result};

/// Values of one column.
pub struct Booleans {
    out: BooleanBufferBuilder,
}

impl Default for Booleans {
    fn default() -> Self {
        Self { out: BooleanBufferBuilder::new(0) }
    }
}

impl Kind for Booleans {
    fn fork(&self) -> Self {
        Self::default()
    }

    fn dictionary(&mut self, _: Bytes, _: usize) -> Result<()> {
        Err(Error::Format("a dictionary of booleans, which the format does not have".into()))
    }

    fn reserve(&mut self, rows: usize) {
        self.out.reserve(rows);
    }

    /// `at` counts bits.
    fn plain(&mut self, bytes: &[u8], at: &mut usize, count: usize, keep: bool) -> Result<()> {
        let end = at.checked_add(count).filter(|end| end.div_ceil(8) <= bytes.len()).ok_or_else(short)?;
        if keep && count > 0 {
            self.out.append_packed_range(*at..end, bytes);
        }
        *at = end;
        Ok(())
    }

    fn repeat(&mut self, index: u32, count: usize) -> Result<()> {
        if index > 1 {
            return Err(Error::Format(format!("expected a boolean, 0 or 1, found {index}")));
        }
        self.out.append_n(count, index == 1);
        Ok(())
    }

    fn gather(&mut self, indices: &[u32]) -> Result<()> {
        for index in indices {
            self.out.append(*index == 1);
        }
        Ok(())
    }

    fn spread(&mut self, valid: usize, places: Places<'_>) {
        let values = self.out.finish();
        let first = values.len() - valid;
        self.out = BooleanBufferBuilder::new(first + places.rows);
        self.out.append_buffer(&values.slice(0, first));
        let mut from = first;
        for row in 0..places.rows {
            let is_valid = places.bit(row) == 1;
            self.out.append(is_valid && values.value(from));
            from += usize::from(is_valid);
        }
    }

    fn rle_is_values(&self) -> bool {
        true
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::new(self.out.finish(), nulls)))
    }
}
