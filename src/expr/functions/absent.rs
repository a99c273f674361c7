//! What is not there: null, NaN, and what takes its place.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::compute::kernels::boolean;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type};

use super::{Call, Function, method, of_module, one};
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::expr::branch::unify;
use crate::expr::typing::{Typed, Value};

/// The rows of the registry.
pub(super) const FUNCTIONS: &[Function] = &[
    method("is_null", 1, 1, |call| nullness(&call, true)),
    method("is_not_null", 1, 1, |call| nullness(&call, false)),
    method("is_nan", 1, 1, is_nan),
    method("fill_null", 2, 2, first_present),
    of_module("coalesce", 1, usize::MAX, first_present),
];

fn nullness(call: &Call<'_>, null: bool) -> Result<Typed> {
    Ok(Typed::call(
        vec![call.input()?],
        DataType::Boolean,
        false,
        Arc::new(move |values, _| {
            let array = one(values)?;
            Ok(Arc::new(if null { boolean::is_null(array)? } else { boolean::is_not_null(array)? }))
        }),
    ))
}

fn is_nan(call: Call<'_>) -> Result<Typed> {
    let input = call.number_input()?;
    Ok(super::unary(input, DataType::Boolean, |array| {
        Ok(Arc::new(match array.data_type() {
            DataType::Float64 => nans(array.as_primitive::<Float64Type>(), f64::is_nan),
            DataType::Float32 => nans(array.as_primitive::<Float32Type>(), f32::is_nan),
            DataType::Float16 => nans(array.as_primitive::<Float16Type>(), |v| f32::from(v).is_nan()),
            _ => BooleanArray::new(arrow::buffer::BooleanBuffer::new_unset(array.len()), array.nulls().cloned()),
        }))
    }))
}

fn nans<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, f: impl Fn(T::Native) -> bool) -> BooleanArray {
    BooleanArray::from_unary(array, f)
}

/// `coalesce(…)`, and `fill_null` with one alternative.
fn first_present(call: Call<'_>) -> Result<Typed> {
    let whole = call.whole;
    let (dtype, inputs) = unify(call.inputs, whole)?;
    if dtype.is_nested() && inputs.len() > 1 && inputs.iter().any(|i| i.literal().is_some()) {
        return Err(Error::Schema(format!("`{whole}`: {} cannot be filled with a constant", dtype_name(&dtype))));
    }
    let nullable = inputs.iter().all(Typed::nullable);
    Ok(Typed::call(
        inputs,
        dtype,
        nullable,
        Arc::new(|values, rows| {
            let mut values = values.iter();
            let Some(first) = values.next() else { return Err(Error::Schema("coalesce takes inputs".into())) };
            let mut found: ArrayRef = first.rows(rows)?;
            for next in values {
                if found.logical_null_count() == 0 {
                    break;
                }
                let present = boolean::is_not_null(&found)?;
                found = zip(&present, &Value::Rows(found.clone()), next)?;
            }
            Ok(found)
        }),
    ))
}
