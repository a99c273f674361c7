//! Bytes of a fixed length that no number has: they stay as they are, one value behind the other.

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::DataType;
use bytes::Bytes;

use super::column::{Kind, beyond, fitted, short};
use super::form::Form;
use super::gather::check;
use super::levels::Places;
use crate::error::Result;

/// Values of one column.
pub struct Wide {
    to: DataType,
    form: Form<u8>,
    /// The values that indices speak of, and how many they are.
    dictionary: Bytes,
    count: usize,
    out: Vec<u8>,
}

impl Wide {
    /// Values that are announced as `to`, of as many bytes as `form` says.
    pub fn new(to: &DataType, form: Form<u8>) -> Self {
        Self { to: to.clone(), form, dictionary: Bytes::new(), count: 0, out: Vec::new() }
    }
}

impl Kind for Wide {
    fn fork(&self) -> Self {
        let Self { to, form, dictionary, count, .. } = self;
        Self { to: to.clone(), form: *form, dictionary: dictionary.clone(), count: *count, out: Vec::new() }
    }

    fn dictionary(&mut self, bytes: Bytes, count: usize) -> Result<()> {
        if count > bytes.len() / self.form.width {
            return Err(short());
        }
        (self.dictionary, self.count) = (bytes, count);
        Ok(())
    }

    fn reserve(&mut self, rows: usize) {
        self.out.reserve_exact(rows.saturating_mul(self.form.width));
    }

    fn plain(&mut self, bytes: &[u8], at: &mut usize, count: usize, keep: bool) -> Result<()> {
        let end = count.checked_mul(self.form.width).and_then(|len| len.checked_add(*at)).ok_or_else(short)?;
        let found = bytes.get(*at..end).ok_or_else(short)?;
        if keep {
            self.out.extend_from_slice(found);
        }
        *at = end;
        Ok(())
    }

    fn repeat(&mut self, index: u32, count: usize) -> Result<()> {
        for _ in 0..count {
            self.gather(&[index])?;
        }
        Ok(())
    }

    fn gather(&mut self, indices: &[u32]) -> Result<()> {
        check(indices, self.count).map_err(|index| beyond(index, self.count))?;
        let width = self.form.width;
        for index in indices {
            self.out.extend_from_slice(&self.dictionary[*index as usize * width..][..width]);
        }
        Ok(())
    }

    fn split_width(&self) -> Option<usize> {
        self.form.split.then_some(self.form.width)
    }

    fn spread(&mut self, valid: usize, places: Places<'_>) {
        let width = self.form.width;
        let first = self.out.len() - valid * width;
        self.out.resize(first + places.rows * width, 0);
        // from back to front; where as many values are left as rows, they are in their places
        let (mut left, mut row) = (valid, places.rows);
        while left < row {
            row -= 1;
            if places.bit(row) == 1 {
                left -= 1;
                let from = first + left * width;
                self.out.copy_within(from..from + width, first + row * width);
            }
        }
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let values = fitted(std::mem::take(&mut self.out));
        let data = ArrayData::builder(self.to.clone())
            .len(values.len() / self.form.width)
            .add_buffer(Buffer::from_vec(values))
            .nulls(nulls)
            .build()?;
        Ok(make_array(data))
    }
}
