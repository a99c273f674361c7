//! The smallest and the greatest value, the first and the last.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, UInt64Array, downcast_primitive_array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};

use super::fold::{Accumulator, Fold, one};
use crate::error::Result;
use crate::expr::Operator;
use crate::expr::compare::kernel;
use crate::expr::typing::Value;

/// The smallest or greatest value of a column; none for types without order.
pub(super) fn extreme(dtype: &DataType, greatest: bool) -> Option<Box<dyn Accumulator>> {
    let ordered = dtype.is_primitive()
        || matches!(
            dtype,
            DataType::Boolean | DataType::Utf8 | DataType::Binary | DataType::FixedSizeBinary(_) | DataType::Null
        );
    (ordered && !matches!(dtype, DataType::Interval(_))).then(|| one(Extreme { dtype: dtype.clone(), greatest }))
}

/// The first or last row's value.
pub(super) fn end(dtype: &DataType, last: bool) -> Box<dyn Accumulator> {
    one(End { dtype: dtype.clone(), last })
}

struct Extreme {
    dtype: DataType,
    greatest: bool,
}

/// The row of the extreme value, NaN only where there is nothing else.
fn best<T: Copy>(
    values: impl Iterator<Item = (usize, T)>,
    better: impl Fn(T, T) -> bool,
    nan: impl Fn(T) -> bool,
) -> Option<usize> {
    let mut found: Option<(usize, T)> = None;
    for (row, value) in values {
        let wins = match found {
            None => true,
            Some((_, held)) => (nan(held) && !nan(value)) || (!nan(value) && better(value, held)),
        };
        if wins {
            found = Some((row, value));
        }
    }
    found.map(|(row, _)| row)
}

impl Extreme {
    fn row(&self, values: &ArrayRef) -> Option<usize> {
        fn primitive<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, greatest: bool) -> Option<usize>
        where
            T::Native: PartialOrd,
        {
            let better = |a: T::Native, b: T::Native| if greatest { a > b } else { a < b };
            match array.nulls().filter(|n| n.null_count() > 0) {
                None => best(array.values().iter().copied().enumerate(), better, |_| false),
                Some(nulls) => {
                    let valid = nulls.valid_indices().filter_map(|i| Some((i, *array.values().get(i)?)));
                    best(valid, better, |_| false)
                }
            }
        }
        fn float<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, greatest: bool) -> Option<usize>
        where
            T::Native: PartialOrd,
        {
            let better = |a: T::Native, b: T::Native| if greatest { a > b } else { a < b };
            // NaN is the one value that does not equal itself
            #[allow(clippy::eq_op)]
            best(array.iter().enumerate().filter_map(|(i, v)| Some((i, v?))), better, |v| v != v)
        }
        fn bytes<'a, T: PartialOrd + Copy + 'a>(
            values: impl Iterator<Item = Option<T>>,
            greatest: bool,
        ) -> Option<usize> {
            let better = |a: T, b: T| if greatest { a > b } else { a < b };
            best(values.enumerate().filter_map(|(i, v)| Some((i, v?))), better, |_| false)
        }
        let greatest = self.greatest;
        match values.data_type() {
            DataType::Float64 => float(values.as_primitive::<Float64Type>(), greatest),
            DataType::Float32 => float(values.as_primitive::<Float32Type>(), greatest),
            DataType::Float16 => float(values.as_primitive::<Float16Type>(), greatest),
            DataType::Boolean => bytes(values.as_boolean().iter(), greatest),
            DataType::Utf8 => bytes(values.as_string::<i32>().iter(), greatest),
            DataType::Binary => bytes(values.as_binary::<i32>().iter(), greatest),
            DataType::FixedSizeBinary(_) => bytes(values.as_fixed_size_binary().iter(), greatest),
            _ => downcast_primitive_array!(
                values => primitive(values, greatest),
                _other => None,
            ),
        }
    }
}

impl Fold for Extreme {
    type Cell = Option<ArrayRef>;

    fn dtype(&self) -> DataType {
        self.dtype.clone()
    }

    fn enter(&self, cell: &mut Self::Cell, values: &ArrayRef, _rows: usize) -> Result<()> {
        let row = self.row(values);
        self.join(cell, row.map(|row| copied(values, row)).transpose()?)
    }

    fn join(&self, cell: &mut Self::Cell, later: Self::Cell) -> Result<()> {
        let Some(later) = later else { return Ok(()) };
        let Some(held) = cell.take() else {
            *cell = Some(later);
            return Ok(());
        };
        let op = if self.greatest { Operator::Gt } else { Operator::Lt };
        let wins = |a: &ArrayRef, b: &ArrayRef| -> Result<bool> {
            let both = kernel(op, &Value::Rows(a.clone()), &Value::Rows(b.clone()))?;
            Ok(both.len() == 1 && both.is_valid(0) && both.value(0))
        };
        let nan = |a: &ArrayRef| match a.data_type() {
            DataType::Float64 => a.as_primitive::<Float64Type>().iter().flatten().any(f64::is_nan),
            DataType::Float32 => a.as_primitive::<Float32Type>().iter().flatten().any(f32::is_nan),
            DataType::Float16 => a.as_primitive::<Float16Type>().iter().flatten().any(|v| f32::from(v).is_nan()),
            _ => false,
        };
        let takes = nan(&held) || (!nan(&later) && wins(&later, &held)?);
        *cell = Some(if takes { later } else { held });
        Ok(())
    }

    fn answer(&self, cell: Self::Cell) -> Result<ArrayRef> {
        Ok(cell.unwrap_or_else(|| new_null_array(&self.dtype, 1)))
    }

    fn bytes(&self, cell: &Self::Cell) -> usize {
        cell.as_ref().map_or(0, Array::get_array_memory_size)
    }
}

/// One row by itself, that pins nothing of its batch.
fn copied(values: &ArrayRef, row: usize) -> Result<ArrayRef> {
    Ok(take(values, &UInt64Array::from(vec![row as u64]), None)?)
}

struct End {
    dtype: DataType,
    last: bool,
}

impl Fold for End {
    type Cell = Option<ArrayRef>;

    fn dtype(&self) -> DataType {
        self.dtype.clone()
    }

    fn enter(&self, cell: &mut Self::Cell, values: &ArrayRef, _rows: usize) -> Result<()> {
        if values.is_empty() || (!self.last && cell.is_some()) {
            return Ok(());
        }
        *cell = Some(copied(values, if self.last { values.len() - 1 } else { 0 })?);
        Ok(())
    }

    fn join(&self, cell: &mut Self::Cell, later: Self::Cell) -> Result<()> {
        if cell.is_none() || (self.last && later.is_some()) {
            *cell = later;
        }
        Ok(())
    }

    fn answer(&self, cell: Self::Cell) -> Result<ArrayRef> {
        Ok(cell.unwrap_or_else(|| new_null_array(&self.dtype, 1)))
    }

    fn bytes(&self, cell: &Self::Cell) -> usize {
        cell.as_ref().map_or(0, Array::get_array_memory_size)
    }
}
