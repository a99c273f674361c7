//! Values as keys that compare by equality alone: 64 bits, 128 bits, or bytes.
//!
//! One table for `is_in` and `n_unique`: `-0.0` is `0.0`, and all NaNs are one.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, downcast_primitive_array};
use arrow::datatypes::{ArrowNativeType, DataType};
use arrow::row::{RowConverter, Rows, SortField};

use crate::error::{Error, Result};

/// The values of an array as keys; what stands at a null means nothing.
pub enum Keys<'a> {
    /// Numbers, booleans, dates, times of at most 64 bits.
    Bits(Vec<u64>),
    /// Decimals of 128 bits, and intervals.
    Wide(Vec<i128>),
    /// Text.
    Text(&'a arrow::array::StringArray),
    /// Bytes.
    Bytes(&'a arrow::array::BinaryArray),
    /// Everything else, encoded row by row.
    Rows(Rows),
}

/// A float's bits, one pattern a value.
fn float_bits(v: f64) -> u64 {
    if v.is_nan() {
        f64::NAN.to_bits()
    } else if v == 0.0 {
        0
    } else {
        v.to_bits()
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &arrow::array::PrimitiveArray<T>) -> Option<Keys<'static>> {
    match T::DATA_TYPE.primitive_width() {
        Some(1..=8) => Some(Keys::Bits(array.values().iter().map(|v| low_bits(*v)).collect())),
        _ => None,
    }
}

/// The integer's own bits, sign-extended. `to_i64` is exact for every type of at most 64 bits but uint64, where it is
/// refused above the sign bit.
fn low_bits<N: ArrowNativeType>(value: N) -> u64 {
    match value.to_i64() {
        Some(v) => v.cast_unsigned(),
        None => u64::try_from(value.as_usize()).unwrap_or(u64::MAX),
    }
}

/// The keys of `array`. Memory: 8 or 16 bytes a row, or the rows encoded; none for text.
///
/// # Errors
/// [`Error::Schema`] for types that have no equality here.
pub fn keys(array: &ArrayRef) -> Result<Keys<'_>> {
    let dtype = array.data_type().clone();
    match &dtype {
        DataType::Boolean => {
            return Ok(Keys::Bits(array.as_boolean().values().iter().map(u64::from).collect()));
        }
        DataType::Float64 => {
            let values = array.as_primitive::<arrow::datatypes::Float64Type>().values();
            return Ok(Keys::Bits(values.iter().map(|v| float_bits(*v)).collect()));
        }
        DataType::Float32 => {
            let values = array.as_primitive::<arrow::datatypes::Float32Type>().values();
            return Ok(Keys::Bits(values.iter().map(|v| float_bits(f64::from(*v))).collect()));
        }
        DataType::Float16 => {
            let values = array.as_primitive::<arrow::datatypes::Float16Type>().values();
            return Ok(Keys::Bits(values.iter().map(|v| float_bits(f64::from(*v))).collect()));
        }
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<arrow::datatypes::Decimal128Type>().values();
            return Ok(Keys::Wide(values.to_vec()));
        }
        DataType::Utf8 => return Ok(Keys::Text(array.as_string())),
        DataType::Binary => return Ok(Keys::Bytes(array.as_binary())),
        _ => {}
    }
    if !matches!(dtype, DataType::Interval(_) | DataType::Decimal256(..)) {
        let found = downcast_primitive_array!(
            array => primitive(array),
            _other => None,
        );
        if let Some(found) = found {
            return Ok(found);
        }
    }
    let converter = RowConverter::new(vec![SortField::new(dtype)])
        .map_err(|e| Error::Schema(format!("{} has no equality: {e}", crate::dtype::dtype_name(array.data_type()))))?;
    Ok(Keys::Rows(converter.convert_columns(std::slice::from_ref(array))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int32Array, UInt64Array};
    use std::sync::Arc;

    fn bits(array: ArrayRef) -> Vec<u64> {
        match keys(&array).expect("keys") {
            Keys::Bits(v) => v,
            _ => panic!("64 bits"),
        }
    }

    #[test]
    fn equal_values_have_equal_keys() {
        let floats = bits(Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN, 1.0])));
        assert_eq!(floats[0], floats[1]);
        assert_eq!(floats[2], floats[3]);
        assert_ne!(floats[0], floats[4]);
        let big = bits(Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX - 1, 0])));
        assert_eq!(big, [u64::MAX, u64::MAX - 1, 0]);
        assert_eq!(bits(Arc::new(Int32Array::from(vec![-1, 1]))), [u64::MAX, 1]);
    }
}
