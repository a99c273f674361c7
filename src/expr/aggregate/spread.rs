//! Variance and standard deviation, by the method that joins exactly (T. Chan, G. Golub, R. LeVeque 1979); quantiles, which
//! hold every value: 8 bytes a row.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "statistics are in floats; places in a list are clamped to it"
)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};

use super::Interpolation;
use super::fold::{Accumulator, Fold, one};
use super::sum::Compensated;
use crate::error::{Error, Result};
use crate::expr::convert::{integers, labelled};

/// Numbers of which a spread is taken in floats.
fn real(dtype: &DataType) -> bool {
    dtype.is_numeric() || matches!(dtype, DataType::Boolean | DataType::Null)
}

fn narrow(dtype: &DataType) -> bool {
    matches!(dtype, DataType::Float32 | DataType::Float16)
}

fn answer(value: Option<f64>, narrow: bool) -> ArrayRef {
    if narrow {
        Arc::new(Float32Array::from(vec![value.map(|v| v as f32)]))
    } else {
        Arc::new(Float64Array::from(vec![value]))
    }
}

/// The variance of a column, or its root.
pub(super) fn deviation(dtype: &DataType, ddof: u8, root: bool) -> Option<Box<dyn Accumulator>> {
    real(dtype).then(|| one(Deviation { ddof, root, narrow: narrow(dtype) }))
}

struct Deviation {
    ddof: u8,
    root: bool,
    narrow: bool,
}

#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Fold for Deviation {
    type Cell = Moments;

    fn dtype(&self) -> DataType {
        if self.narrow { DataType::Float32 } else { DataType::Float64 }
    }

    fn enter(&self, cell: &mut Moments, values: &ArrayRef, _rows: usize) -> Result<()> {
        let floats = cast(values, &DataType::Float64)?;
        let floats = floats.as_primitive::<Float64Type>();
        let mut sum = Compensated::default();
        sum.take(floats, |v| v);
        if sum.count == 0 {
            return Ok(());
        }
        let mean = sum.total() / sum.count as f64;
        let mut squares = Compensated::default();
        squares.take(floats, |v| (v - mean) * (v - mean));
        self.join(cell, Moments { count: sum.count as f64, mean, squares: squares.total() })
    }

    fn join(&self, cell: &mut Moments, later: Moments) -> Result<()> {
        if cell.count == 0.0 {
            *cell = later;
        } else if later.count > 0.0 {
            let count = cell.count + later.count;
            let apart = later.mean - cell.mean;
            cell.squares += later.squares + apart * apart * cell.count * later.count / count;
            cell.mean += apart * later.count / count;
            cell.count = count;
        }
        Ok(())
    }

    fn answer(&self, cell: Moments) -> Result<ArrayRef> {
        let freedom = cell.count - f64::from(self.ddof);
        let variance = (freedom > 0.0).then(|| cell.squares / freedom);
        Ok(answer(variance.map(|v| if self.root { v.sqrt() } else { v }), self.narrow))
    }
}

/// A quantile of a column.
pub(super) fn quantile(dtype: &DataType, q: f64, between: Interpolation) -> Option<Box<dyn Accumulator>> {
    if real(dtype) {
        return Some(one(Quantile { q, between, narrow: narrow(dtype) }));
    }
    match dtype {
        DataType::Timestamp(..) | DataType::Duration(_) | DataType::Time32(_) | DataType::Time64(_) => {
            Some(one(TimeQuantile { q, between, dtype: dtype.clone(), by: 1 }))
        }
        DataType::Date32 => {
            let dtype = DataType::Timestamp(TimeUnit::Microsecond, None);
            Some(one(TimeQuantile { q, between, dtype, by: 86_400_000_000 }))
        }
        _ => None,
    }
}

/// The two neighbours of the quantile among `count` sorted values, and how far it is from the first to the second.
fn neighbours(count: usize, q: f64, between: Interpolation) -> Option<(usize, usize, f64)> {
    let last = count.checked_sub(1)?;
    let at = last as f64 * q;
    // a cast of a float clamps
    let (low, high) = ((at.floor() as usize).min(last), (at.ceil() as usize).min(last));
    Some(match between {
        Interpolation::Nearest => {
            let near = (at.round() as usize).min(last);
            (near, near, 0.0)
        }
        Interpolation::Lower => (low, low, 0.0),
        Interpolation::Higher => (high, high, 0.0),
        Interpolation::Midpoint if low != high => (low, high, 0.5),
        Interpolation::Linear | Interpolation::Midpoint => (low, high, at - at.floor()),
    })
}

/// The values at two places of the sorted order, without sorting all.
fn select<T: Copy>(
    values: &mut [T],
    low: usize,
    high: usize,
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> Option<(T, T)> {
    if low >= values.len() {
        return None;
    }
    let (_, first, above) = values.select_nth_unstable_by(low, &order);
    let first = *first;
    let second = if high == low { first } else { *above.iter().min_by(|a, b| order(a, b))? };
    Some((first, second))
}

struct Quantile {
    q: f64,
    between: Interpolation,
    narrow: bool,
}

impl Fold for Quantile {
    type Cell = Vec<f64>;

    fn dtype(&self) -> DataType {
        if self.narrow { DataType::Float32 } else { DataType::Float64 }
    }

    fn enter(&self, cell: &mut Vec<f64>, values: &ArrayRef, _rows: usize) -> Result<()> {
        let floats = cast(values, &DataType::Float64)?;
        let floats = floats.as_primitive::<Float64Type>();
        if floats.null_count() == 0 {
            cell.extend_from_slice(floats.values());
        } else {
            cell.extend(floats.iter().flatten());
        }
        Ok(())
    }

    fn join(&self, cell: &mut Vec<f64>, later: Vec<f64>) -> Result<()> {
        cell.extend(later);
        Ok(())
    }

    fn answer(&self, mut cell: Vec<f64>) -> Result<ArrayRef> {
        let found = neighbours(cell.len(), self.q, self.between).and_then(|(low, high, part)| {
            // NaN is the greatest, of either sign
            let (a, b) = select(&mut cell, low, high, |a, b| a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b)))?;
            Some(if part == 0.0 || a == b { a } else { a + (b - a) * part })
        });
        Ok(answer(found, self.narrow))
    }

    fn bytes(&self, cell: &Vec<f64>) -> usize {
        cell.capacity() * size_of::<f64>()
    }
}

struct TimeQuantile {
    q: f64,
    between: Interpolation,
    dtype: DataType,
    by: i64,
}

impl Fold for TimeQuantile {
    type Cell = Vec<i64>;

    fn dtype(&self) -> DataType {
        self.dtype.clone()
    }

    fn enter(&self, cell: &mut Vec<i64>, values: &ArrayRef, _rows: usize) -> Result<()> {
        cell.extend(integers(values)?.iter().flatten());
        Ok(())
    }

    fn join(&self, cell: &mut Vec<i64>, later: Vec<i64>) -> Result<()> {
        cell.extend(later);
        Ok(())
    }

    fn answer(&self, mut cell: Vec<i64>) -> Result<ArrayRef> {
        let found = neighbours(cell.len(), self.q, self.between)
            .and_then(|(low, high, part)| Some((select(&mut cell, low, high, i64::cmp)?, part)));
        let Some(((a, b), part)) = found else { return Ok(new_null_array(&self.dtype, 1)) };
        let (a, b) = (i128::from(a) * i128::from(self.by), i128::from(b) * i128::from(self.by));
        let apart = b - a;
        let value = if part == 0.5 { a + apart / 2 } else { a + (apart as f64 * part) as i128 };
        let value = i64::try_from(value).map_err(|_| {
            Error::Stream(format!("the quantile {value} overflows {}", crate::dtype::dtype_name(&self.dtype)))
        })?;
        labelled(vec![value].into(), &self.dtype)
    }

    fn bytes(&self, cell: &Vec<i64>) -> usize {
        cell.capacity() * size_of::<i64>()
    }
}
