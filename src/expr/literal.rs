//! Constants, and which types hold them.
//!
//! A number has no width of its own: it takes that of the column that it meets, or the narrowest wider one that holds it.
//! Text that meets a date, timestamp, time, decimal or duration is read as one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    StringArray, Time64MicrosecondArray, UInt64Array, new_null_array,
};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, UInt64Type};

use super::convert::{self, text};
use crate::dtype::{dtype_name, per_second};
use crate::error::{Error, Result};

/// A constant of an expression.
#[derive(Debug, Clone)]
pub enum Literal {
    /// Nothing, of any type.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer of 64 bits, signed or not.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// A point in time; without zone, a reading of a wall clock.
    Timestamp {
        /// Units since 1970-01-01 00:00 (UTC where there is a zone).
        value: i64,
        /// The unit.
        unit: TimeUnit,
        /// The time zone.
        tz: Option<Arc<str>>,
    },
    /// A span of time.
    Duration {
        /// How many units.
        value: i64,
        /// The unit.
        unit: TimeUnit,
    },
    /// An exact decimal number, `value / 10^scale`.
    Decimal {
        /// All digits as an integer.
        value: i128,
        /// Digits after the point.
        scale: i8,
    },
}

impl PartialEq for Literal {
    /// Floats are equal where their bits are, so that an expression with NaN equals itself.
    fn eq(&self, other: &Self) -> bool {
        use Literal::{Binary, Bool, Date, Decimal, Duration, Float, Int, Null, Text, Time, Timestamp};
        match (self, other) {
            (Null, Null) => true,
            (Bool(a), Bool(b)) => a == b,
            (Int(a), Int(b)) => a == b,
            (Float(a), Float(b)) => a.to_bits() == b.to_bits(),
            (Text(a), Text(b)) => a == b,
            (Binary(a), Binary(b)) => a == b,
            (Date(a), Date(b)) => a == b,
            (Time(a), Time(b)) => a == b,
            (Timestamp { value, unit, tz }, Timestamp { value: v, unit: u, tz: t }) => (value, unit, tz) == (v, u, t),
            (Duration { value, unit }, Duration { value: v, unit: u }) => (value, unit) == (v, u),
            (Decimal { value, scale }, Decimal { value: v, scale: s }) => (value, scale) == (v, s),
            _ => false,
        }
    }
}

macro_rules! from {
    ($($source:ty => |$v:ident| $made:expr;)*) => { $(
        impl From<$source> for Literal {
            fn from($v: $source) -> Literal { $made }
        }
    )* };
}

from! {
    bool => |v| Literal::Bool(v);
    i32 => |v| Literal::Int(v.into());
    i64 => |v| Literal::Int(v.into());
    u64 => |v| Literal::Int(v.into());
    f64 => |v| Literal::Float(v);
    &str => |v| Literal::Text(v.to_owned());
    String => |v| Literal::Text(v);
}

/// Decimal digits of an integer.
fn digits_of(value: i128) -> u8 {
    let mut digits = 1;
    let mut rest = value.unsigned_abs() / 10;
    while rest > 0 {
        digits += 1;
        rest /= 10;
    }
    digits
}

/// Whether an integer type holds `value`.
pub(super) fn holds(dtype: &DataType, value: i128) -> bool {
    match dtype {
        DataType::Int8 => i8::try_from(value).is_ok(),
        DataType::Int16 => i16::try_from(value).is_ok(),
        DataType::Int32 => i32::try_from(value).is_ok(),
        DataType::Int64 => i64::try_from(value).is_ok(),
        DataType::UInt8 => u8::try_from(value).is_ok(),
        DataType::UInt16 => u16::try_from(value).is_ok(),
        DataType::UInt32 => u32::try_from(value).is_ok(),
        DataType::UInt64 => u64::try_from(value).is_ok(),
        _ => false,
    }
}

impl Literal {
    /// The type that it has where nothing else decides.
    pub fn dtype(&self) -> DataType {
        match self {
            Literal::Null => DataType::Null,
            Literal::Bool(_) => DataType::Boolean,
            Literal::Int(v) if i64::try_from(*v).is_ok() => DataType::Int64,
            Literal::Int(_) => DataType::UInt64,
            Literal::Float(_) => DataType::Float64,
            Literal::Text(_) => DataType::Utf8,
            Literal::Binary(_) => DataType::Binary,
            Literal::Date(_) => DataType::Date32,
            Literal::Time(_) => DataType::Time64(TimeUnit::Microsecond),
            Literal::Timestamp { unit, tz, .. } => DataType::Timestamp(*unit, tz.clone()),
            Literal::Duration { unit, .. } => DataType::Duration(*unit),
            Literal::Decimal { value, scale } => {
                let precision = digits_of(*value).max(u8::try_from(*scale).unwrap_or(0)).min(38);
                DataType::Decimal128(precision, *scale)
            }
        }
    }

    /// The value of a row; none for types that have no constant (nested ones, say).
    pub fn of_row(array: &ArrayRef, row: usize) -> Option<Literal> {
        if row >= array.len() {
            return None;
        }
        if array.is_null(row) || *array.data_type() == DataType::Null {
            return Some(Literal::Null);
        }
        Some(match array.data_type() {
            DataType::Boolean => Literal::Bool(array.as_boolean().value(row)),
            DataType::UInt64 => Literal::Int(array.as_primitive::<UInt64Type>().value(row).into()),
            dtype if dtype.is_integer() => {
                let wide = arrow::compute::cast(array, &DataType::Int64).ok()?;
                Literal::Int(wide.as_primitive::<Int64Type>().value(row).into())
            }
            dtype if dtype.is_floating() => {
                let wide = arrow::compute::cast(array, &DataType::Float64).ok()?;
                Literal::Float(wide.as_primitive::<Float64Type>().value(row))
            }
            DataType::Utf8 => Literal::Text(array.as_string::<i32>().value(row).to_owned()),
            DataType::Binary => Literal::Binary(array.as_binary::<i32>().value(row).to_vec()),
            DataType::Date32 => Literal::Date(array.as_primitive::<Date32Type>().value(row)),
            DataType::Time64(TimeUnit::Microsecond) => Literal::Time(convert::integers(array).ok()?.value(row)),
            DataType::Timestamp(unit, tz) => {
                Literal::Timestamp { value: convert::integers(array).ok()?.value(row), unit: *unit, tz: tz.clone() }
            }
            DataType::Duration(unit) => {
                Literal::Duration { value: convert::integers(array).ok()?.value(row), unit: *unit }
            }
            DataType::Decimal128(_, scale) => {
                Literal::Decimal { value: array.as_primitive::<Decimal128Type>().value(row), scale: *scale }
            }
            _ => return None,
        })
    }

    /// One row of its own type.
    ///
    /// # Errors
    /// [`Error::Value`] for an integer beyond 64 bits or a decimal beyond 38 digits.
    pub fn array(&self) -> Result<ArrayRef> {
        Ok(match self {
            Literal::Null => new_null_array(&DataType::Null, 1),
            Literal::Bool(v) => Arc::new(BooleanArray::from(vec![*v])),
            Literal::Int(v) => match (i64::try_from(*v), u64::try_from(*v)) {
                (Ok(v), _) => Arc::new(Int64Array::from(vec![v])),
                (_, Ok(v)) => Arc::new(UInt64Array::from(vec![v])),
                _ => {
                    return Err(Error::Value(format!(
                        "the integer `{v}` has more than 64 bits; use a float or a Decimal"
                    )));
                }
            },
            Literal::Float(v) => Arc::new(Float64Array::from(vec![*v])),
            Literal::Text(v) => Arc::new(StringArray::from(vec![v.as_str()])),
            Literal::Binary(v) => Arc::new(BinaryArray::from(vec![v.as_slice()])),
            Literal::Date(v) => Arc::new(Date32Array::from(vec![*v])),
            Literal::Time(v) => Arc::new(Time64MicrosecondArray::from(vec![*v])),
            Literal::Timestamp { value, .. } | Literal::Duration { value, .. } => {
                arrow::compute::cast(&Int64Array::from(vec![*value]), &self.dtype())?
            }
            Literal::Decimal { value, scale } => match self.dtype() {
                DataType::Decimal128(precision, scale) => {
                    Arc::new(Decimal128Array::from(vec![*value]).with_precision_and_scale(precision, scale)?)
                }
                _ => return Err(Error::Value(format!("a decimal of scale {scale} is not supported"))),
            },
        })
    }

    /// One row of type `dtype`, exactly.
    ///
    /// # Errors
    /// [`Error::Schema`] where the type does not hold the value.
    pub fn array_of(&self, dtype: &DataType) -> Result<ArrayRef> {
        let own = self.array()?;
        convert::convert(&own, dtype, true, "literal")
            .map_err(|_| Error::Schema(format!("the value `{}` cannot be {}", self.plain(), dtype_name(dtype))))
    }

    /// Whether a column of type `dtype` can take the value without loss or change of kind: `fill_null(0)` fills
    /// numbers, `fill_null("")` text.
    pub fn fits(&self, dtype: &DataType) -> bool {
        let dtype = crate::dtype::value_type(dtype);
        match self {
            Literal::Null => true,
            Literal::Bool(_) => matches!(dtype, DataType::Boolean),
            Literal::Int(v) => {
                holds(dtype, *v) || dtype.is_floating() || (dtype.is_decimal() && self.array_of(dtype).is_ok())
            }
            Literal::Float(v) => {
                dtype.is_floating()
                    || (v.fract() == 0.0 && v.abs() < 9e15 && holds(dtype, whole(*v)))
                    || (dtype.is_decimal() && self.array_of(dtype).is_ok())
            }
            Literal::Text(_) => dtype.is_string(),
            Literal::Binary(_) => dtype.is_binary(),
            Literal::Date(_) => matches!(dtype, DataType::Date32 | DataType::Timestamp(_, None)),
            Literal::Time(_) => matches!(dtype, DataType::Time32(_) | DataType::Time64(_)),
            Literal::Timestamp { tz, .. } => {
                matches!(dtype, DataType::Timestamp(_, zone) if zone.is_some() == tz.is_some())
            }
            Literal::Duration { .. } => matches!(dtype, DataType::Duration(_)),
            Literal::Decimal { .. } => dtype.is_floating() || (dtype.is_decimal() && self.array_of(dtype).is_ok()),
        }
    }

    /// The type in which it meets a column of type `column`, and the value in it where text had to be read.
    ///
    /// # Errors
    /// [`Error::Schema`] for text that cannot be read as the column's type.
    pub(super) fn meet(&self, column: &DataType) -> Result<(Literal, DataType)> {
        let column = crate::dtype::value_type(column);
        if let Literal::Text(text) = self
            && let Some(read) = text::read_literal(text, column)
        {
            return match read {
                Ok(literal) => literal.meet(column),
                Err(reason) => Err(Error::Schema(format!(
                    "expected text that reads as {}, found `{text}`{reason}",
                    dtype_name(column)
                ))),
            };
        }
        let dtype = match (self, column) {
            (Literal::Null, other) => other.clone(),
            (Literal::Int(v), c) if c.is_integer() => narrowest(*v, c),
            (Literal::Int(_) | Literal::Float(_) | Literal::Decimal { .. }, DataType::Float16 | DataType::Float32) => {
                column.clone()
            }
            (Literal::Int(v), c) if c.is_decimal() => DataType::Decimal128(digits_of(*v), 0),
            (Literal::Timestamp { value, unit, tz }, DataType::Timestamp(to, zone))
                if tz.is_some() == zone.is_some() =>
            {
                return Ok(Literal::stamp_in(*value, *unit, *to, zone.clone()));
            }
            (Literal::Date(days), DataType::Timestamp(to, None)) => {
                return Ok(Literal::stamp_in(i64::from(*days) * 86_400, TimeUnit::Second, *to, None));
            }
            (Literal::Timestamp { value, unit, tz: None }, DataType::Date32) => {
                let day = 86_400 * per_second(*unit);
                match i32::try_from(value.div_euclid(day)) {
                    Ok(days) if value.rem_euclid(day) == 0 => return Ok((Literal::Date(days), DataType::Date32)),
                    _ => self.dtype(),
                }
            }
            (Literal::Duration { value, unit }, DataType::Duration(to)) => match in_unit(*value, *unit, *to) {
                Some(value) => {
                    return Ok((Literal::Duration { value, unit: *to }, DataType::Duration(*to)));
                }
                None => self.dtype(),
            },
            (Literal::Time(_), DataType::Time32(_) | DataType::Time64(_)) => match self.array_of(column) {
                Ok(array) if convert::convert(&array, &self.dtype(), false, "")?.as_ref() == self.array()?.as_ref() => {
                    column.clone()
                }
                _ => self.dtype(),
            },
            _ => self.dtype(),
        };
        Ok((self.clone(), dtype))
    }

    fn stamp_in(value: i64, from: TimeUnit, to: TimeUnit, tz: Option<Arc<str>>) -> (Literal, DataType) {
        match in_unit(value, from, to) {
            Some(value) => (Literal::Timestamp { value, unit: to, tz: tz.clone() }, DataType::Timestamp(to, tz)),
            None => (Literal::Timestamp { value, unit: from, tz: tz.clone() }, DataType::Timestamp(from, tz)),
        }
    }

    /// The value as a user reads it in a message.
    pub fn plain(&self) -> String {
        match self {
            Literal::Text(v) => v.clone(),
            Literal::Null => "null".into(),
            other => match other.array() {
                Ok(array) => convert::shown(&array, 0),
                Err(_) => "a number beyond 64 bits".into(),
            },
        }
    }
}

/// A whole float below 2^53 as an integer.
fn whole(value: f64) -> i128 {
    #[allow(clippy::cast_possible_truncation, reason = "the caller checked that it is whole and small")]
    let value = value as i128;
    value
}

/// `value` in another unit, where that is exact.
pub(super) fn in_unit(value: i64, from: TimeUnit, to: TimeUnit) -> Option<i64> {
    let (from, to) = (per_second(from), per_second(to));
    if to >= from {
        value.checked_mul(to / from)
    } else {
        let by = from / to;
        (value % by == 0).then_some(value / by)
    }
}

/// The column's own integer type where it holds `value`; else the narrowest wider one of its kind, signed if need be.
fn narrowest(value: i128, column: &DataType) -> DataType {
    if holds(column, value) {
        return column.clone();
    }
    let signed = [DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64];
    let unsigned = [DataType::UInt8, DataType::UInt16, DataType::UInt32, DataType::UInt64];
    let kinds = if value < 0 || column.is_signed_integer() { [signed, unsigned] } else { [unsigned, signed] };
    kinds.into_iter().flatten().find(|t| holds(t, value)).unwrap_or(DataType::Float64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_width_they_meet() {
        let meets = |v: i128, c: &DataType| Literal::Int(v).meet(c).expect("numbers meet").1;
        assert_eq!(meets(200, &DataType::UInt8), DataType::UInt8);
        assert_eq!(meets(300, &DataType::UInt8), DataType::UInt16);
        assert_eq!(meets(-1, &DataType::UInt8), DataType::Int8);
        assert_eq!(meets(200, &DataType::Int8), DataType::Int16);
        assert_eq!(meets(1, &DataType::Float32), DataType::Float32);
        assert_eq!(meets(i128::from(u64::MAX), &DataType::Int64), DataType::UInt64);
    }

    #[test]
    fn what_fits_is_of_the_same_kind() {
        assert!(Literal::Int(0).fits(&DataType::UInt8));
        assert!(!Literal::Int(-1).fits(&DataType::UInt8));
        assert!(!Literal::Int(0).fits(&DataType::Utf8));
        assert!(Literal::Float(0.0).fits(&DataType::Int32));
        assert!(!Literal::Float(0.5).fits(&DataType::Int32));
        assert!(
            Literal::Text(String::new())
                .fits(&DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)))
        );
        assert!(!Literal::Bool(true).fits(&DataType::Int64));
        assert!(Literal::Decimal { value: 125, scale: 2 }.fits(&DataType::Decimal128(10, 2)));
        assert!(!Literal::Decimal { value: 125, scale: 2 }.fits(&DataType::Decimal128(2, 2)));
    }

    #[test]
    fn too_many_bits_are_refused() {
        assert!(Literal::Int(i128::MAX).array().expect_err("128 bits").to_string().contains("64 bits"));
    }
}
