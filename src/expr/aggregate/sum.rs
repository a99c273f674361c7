//! Sums and means.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::many_single_char_names,
    reason = "a mean is a float, float32 where its column is; eight lanes have eight letters"
)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Float32Type,
    Float64Type, Int64Type, TimeUnit, UInt64Type, i256,
};

use super::fold::{Accumulator, Fold, one};
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::expr::convert::{integers, labelled};

/// The sum of a column; none for types that have none.
pub(super) fn sum(dtype: &DataType, what: &str) -> Option<Box<dyn Accumulator>> {
    let what = what.to_owned();
    Some(match dtype {
        DataType::Float64 => one(FloatSum { narrow: false, mean: false }),
        DataType::Float32 | DataType::Float16 => one(FloatSum { narrow: true, mean: false }),
        DataType::Decimal32(_, s) | DataType::Decimal64(_, s) | DataType::Decimal128(_, s) => {
            one(DecimalSum { dtype: DataType::Decimal128(DECIMAL128_MAX_PRECISION, *s), what })
        }
        DataType::Decimal256(_, s) => one(WideSum { dtype: DataType::Decimal256(DECIMAL256_MAX_PRECISION, *s), what }),
        d if d.is_unsigned_integer() => one(WholeSum { answer: Whole::Sum(DataType::UInt64, what) }),
        d if d.is_integer() || matches!(d, DataType::Boolean | DataType::Null) => {
            one(WholeSum { answer: Whole::Sum(DataType::Int64, what) })
        }
        DataType::Duration(_) => one(WholeSum { answer: Whole::Sum(dtype.clone(), what) }),
        _ => return None,
    })
}

/// The mean of a column; none for types that have none.
pub(super) fn mean(dtype: &DataType) -> Option<Box<dyn Accumulator>> {
    Some(match dtype {
        DataType::Float64 => one(FloatSum { narrow: false, mean: true }),
        DataType::Float32 | DataType::Float16 => one(FloatSum { narrow: true, mean: true }),
        d if d.is_decimal() => one(FloatSum { narrow: false, mean: true }),
        d if d.is_integer() || matches!(d, DataType::Boolean | DataType::Null) => one(WholeSum { answer: Whole::Mean }),
        DataType::Duration(_) | DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => {
            one(WholeSum { answer: Whole::TimeMean(dtype.clone(), 1) })
        }
        // the middle of two dates may be at noon
        DataType::Date32 => {
            one(WholeSum { answer: Whole::TimeMean(DataType::Timestamp(TimeUnit::Microsecond, None), 86_400_000_000) })
        }
        _ => return None,
    })
}

/// A float sum with what rounding lost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Compensated {
    sum: f64,
    lost: f64,
    pub count: u64,
}

impl Compensated {
    pub fn add(&mut self, value: f64) {
        let next = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - next) + value } else { (value - next) + self.sum };
        self.sum = next;
    }

    pub fn total(&self) -> f64 {
        // beyond the finite numbers, what was lost is not a number
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }

    pub fn join(&mut self, later: Compensated) {
        self.add(later.sum);
        self.lost += later.lost;
        self.count += later.count;
    }

    /// Adds the values that are not null.
    pub fn take<T: ArrowPrimitiveType>(&mut self, array: &PrimitiveArray<T>, f: impl Fn(T::Native) -> f64 + Copy) {
        let values = array.values();
        match array.nulls().filter(|n| n.null_count() > 0) {
            None => self.run(values, f),
            Some(nulls) => {
                for (start, end) in nulls.valid_slices() {
                    self.run(values.get(start..end).unwrap_or(&[]), f);
                }
            }
        }
    }

    fn run<N: Copy>(&mut self, values: &[N], f: impl Fn(N) -> f64 + Copy) {
        self.count += values.len() as u64;
        for block in values.chunks(1024) {
            self.add(lanes(block, f));
        }
    }
}

/// Adds a block in eight lanes, which the compiler makes one instruction.
fn lanes<N: Copy>(block: &[N], f: impl Fn(N) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let eights = block.chunks_exact(8);
    let rest: f64 = eights.remainder().iter().map(|v| f(*v)).sum();
    for eight in eights {
        for (sum, value) in sums.iter_mut().zip(eight) {
            *sum += f(*value);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + rest
}

/// Sums and means of floats; the mean of decimals.
struct FloatSum {
    narrow: bool,
    mean: bool,
}

impl Fold for FloatSum {
    type Cell = Compensated;

    fn dtype(&self) -> DataType {
        if self.narrow { DataType::Float32 } else { DataType::Float64 }
    }

    fn enter(&self, cell: &mut Compensated, values: &ArrayRef, _rows: usize) -> Result<()> {
        match values.data_type() {
            DataType::Float64 => cell.take(values.as_primitive::<Float64Type>(), |v| v),
            DataType::Float32 => cell.take(values.as_primitive::<Float32Type>(), f64::from),
            _ => cell.take(cast(values, &DataType::Float64)?.as_primitive::<Float64Type>(), |v| v),
        }
        Ok(())
    }

    fn join(&self, cell: &mut Compensated, later: Compensated) -> Result<()> {
        cell.join(later);
        Ok(())
    }

    fn answer(&self, cell: Compensated) -> Result<ArrayRef> {
        let value = match (self.mean, cell.count) {
            (false, _) => Some(cell.total()),
            (true, 0) => None,
            (true, count) => Some(cell.total() / count as f64),
        };
        Ok(if self.narrow {
            Arc::new(PrimitiveArray::<Float32Type>::from(vec![value.map(|v| v as f32)]))
        } else {
            Arc::new(PrimitiveArray::<Float64Type>::from(vec![value]))
        })
    }
}

/// What a sum of whole numbers answers.
enum Whole {
    /// The sum in this type; the second part names it in an error.
    Sum(DataType, String),
    /// The mean as float64.
    Mean,
    /// The mean in this type, each number counting so many of its units.
    TimeMean(DataType, i64),
}

/// Sums and means of integers, booleans, dates and times.
struct WholeSum {
    answer: Whole,
}

#[derive(Default)]
struct Counted {
    sum: i128,
    count: u64,
}

/// Adds the integers that are not null.
fn add_all<T: ArrowPrimitiveType>(cell: &mut Counted, array: &PrimitiveArray<T>)
where
    T::Native: Into<i128>,
{
    let wide = |v: &T::Native| -> i128 { (*v).into() };
    match array.nulls().filter(|n| n.null_count() > 0) {
        None => cell.sum += array.values().iter().map(wide).sum::<i128>(),
        Some(nulls) => {
            for (start, end) in nulls.valid_slices() {
                cell.sum += array.values().get(start..end).unwrap_or(&[]).iter().map(wide).sum::<i128>();
            }
        }
    }
    cell.count += (array.len() - array.null_count()) as u64;
}

impl Fold for WholeSum {
    type Cell = Counted;

    fn dtype(&self) -> DataType {
        match &self.answer {
            Whole::Sum(dtype, _) | Whole::TimeMean(dtype, _) => dtype.clone(),
            Whole::Mean => DataType::Float64,
        }
    }

    fn enter(&self, cell: &mut Counted, values: &ArrayRef, _rows: usize) -> Result<()> {
        match values.data_type() {
            DataType::Null => {}
            DataType::Boolean => {
                let bools = values.as_boolean();
                cell.sum += bools.true_count() as i128;
                cell.count += (bools.len() - bools.null_count()) as u64;
            }
            DataType::UInt64 => add_all(cell, values.as_primitive::<UInt64Type>()),
            DataType::Int64 => add_all(cell, values.as_primitive::<Int64Type>()),
            dtype if dtype.is_integer() => add_all(cell, cast(values, &DataType::Int64)?.as_primitive::<Int64Type>()),
            _ => add_all(cell, &integers(values)?),
        }
        Ok(())
    }

    fn join(&self, cell: &mut Counted, later: Counted) -> Result<()> {
        cell.sum += later.sum;
        cell.count += later.count;
        Ok(())
    }

    fn answer(&self, cell: Counted) -> Result<ArrayRef> {
        match &self.answer {
            Whole::Sum(dtype, what) => {
                let failed = || too_large(what, &cell.sum, dtype);
                if *dtype == DataType::UInt64 {
                    let sum = u64::try_from(cell.sum).map_err(|_| failed())?;
                    return Ok(Arc::new(PrimitiveArray::<UInt64Type>::from(vec![sum])));
                }
                let sum = i64::try_from(cell.sum).map_err(|_| failed())?;
                labelled(vec![sum].into(), dtype)
            }
            Whole::Mean => {
                let mean = (cell.count > 0).then(|| cell.sum as f64 / cell.count as f64);
                Ok(Arc::new(PrimitiveArray::<Float64Type>::from(vec![mean])))
            }
            Whole::TimeMean(dtype, _) if cell.count == 0 => Ok(new_null_array(dtype, 1)),
            Whole::TimeMean(dtype, by) => {
                let mean = (cell.sum * i128::from(*by)).div_euclid(i128::from(cell.count));
                let mean = i64::try_from(mean).map_err(|_| too_large("mean", &mean, dtype))?;
                labelled(vec![mean].into(), dtype)
            }
        }
    }
}

fn too_large(what: &str, value: &dyn std::fmt::Display, dtype: &DataType) -> Error {
    Error::Stream(format!("`{what}`: {value} overflows {}; cast to float64 or a decimal first", dtype_name(dtype)))
}

/// Sums of decimals of up to 128 bits.
struct DecimalSum {
    dtype: DataType,
    what: String,
}

impl Fold for DecimalSum {
    type Cell = i128;

    fn dtype(&self) -> DataType {
        self.dtype.clone()
    }

    fn enter(&self, cell: &mut i128, values: &ArrayRef, _rows: usize) -> Result<()> {
        let values = cast(values, &self.dtype)?;
        for value in values.as_primitive::<Decimal128Type>().iter().flatten() {
            self.join(cell, value)?;
        }
        Ok(())
    }

    fn join(&self, cell: &mut i128, later: i128) -> Result<()> {
        *cell = cell.checked_add(later).ok_or_else(|| too_large(&self.what, &"the sum", &self.dtype))?;
        Ok(())
    }

    fn answer(&self, cell: i128) -> Result<ArrayRef> {
        let DataType::Decimal128(p, s) = self.dtype else { return Ok(new_null_array(&self.dtype, 1)) };
        let array = PrimitiveArray::<Decimal128Type>::from(vec![cell]).with_precision_and_scale(p, s)?;
        array.validate_decimal_precision(p).map_err(|_| too_large(&self.what, &"the sum", &self.dtype))?;
        Ok(Arc::new(array))
    }
}

/// Sums of decimals of 256 bits.
struct WideSum {
    dtype: DataType,
    what: String,
}

impl Fold for WideSum {
    type Cell = i256;

    fn dtype(&self) -> DataType {
        self.dtype.clone()
    }

    fn enter(&self, cell: &mut i256, values: &ArrayRef, _rows: usize) -> Result<()> {
        let values = cast(values, &self.dtype)?;
        for value in values.as_primitive::<Decimal256Type>().iter().flatten() {
            self.join(cell, value)?;
        }
        Ok(())
    }

    fn join(&self, cell: &mut i256, later: i256) -> Result<()> {
        *cell = cell.checked_add(later).ok_or_else(|| too_large(&self.what, &"the sum", &self.dtype))?;
        Ok(())
    }

    fn answer(&self, cell: i256) -> Result<ArrayRef> {
        let DataType::Decimal256(p, s) = self.dtype else { return Ok(new_null_array(&self.dtype, 1)) };
        let array = PrimitiveArray::<Decimal256Type>::from(vec![cell]).with_precision_and_scale(p, s)?;
        array.validate_decimal_precision(p).map_err(|_| too_large(&self.what, &"the sum", &self.dtype))?;
        Ok(Arc::new(array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compensation_keeps_small_numbers() {
        let mut sum = Compensated::default();
        for v in [1.0, 1e100, 1.0, -1e100] {
            sum.add(v);
        }
        assert_eq!(sum.total().to_bits(), 2f64.to_bits());
        sum.add(f64::INFINITY);
        assert_eq!(sum.total().to_bits(), f64::INFINITY.to_bits());
        sum.add(f64::NEG_INFINITY);
        assert!(sum.total().is_nan());
    }
}
