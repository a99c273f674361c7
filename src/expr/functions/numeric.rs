//! Functions of numbers. Integers and decimals keep their type where the answer is of it; the others are float64, or
//! float32 of float32.

#![allow(clippy::cast_possible_truncation, reason = "float32 columns answer in float32")]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, PrimitiveArray, downcast_integer_array};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float32Type, Float64Type, TimeUnit,
};
use arrow::error::ArrowError;

use super::{Call, Function, method, unary};
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::expr::Literal;
use crate::expr::arithmetic::overflow;
use crate::expr::typing::{Typed, Value};

/// The rows of the registry.
pub(super) const FUNCTIONS: &[Function] = &[
    method("round", 1, 2, round),
    method("floor", 1, 1, |call| whole(&call, f64::floor, f32::floor, i128::div_euclid)),
    method("ceil", 1, 1, |call| whole(&call, f64::ceil, f32::ceil, |v, unit| -(-v).div_euclid(unit))),
    method("abs", 1, 1, abs),
    method("sign", 1, 1, sign),
    method("sqrt", 1, 1, |call| real(&call, f64::sqrt, f32::sqrt)),
    method("exp", 1, 1, |call| real(&call, f64::exp, f32::exp)),
    method("log", 1, 2, log),
    method("clip", 1, 3, clip),
];

/// A function of real numbers.
fn real(call: &Call<'_>, f: fn(f64) -> f64, g: fn(f32) -> f32) -> Result<Typed> {
    Ok(over_floats(call.number_input()?, f, g))
}

fn over_floats(
    input: Typed,
    f: impl Fn(f64) -> f64 + Send + Sync + 'static,
    g: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> Typed {
    if *input.dtype() == DataType::Float32 {
        return unary(input, DataType::Float32, move |array| {
            Ok(Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(&g)))
        });
    }
    unary(input.to(&DataType::Float64, ""), DataType::Float64, move |array| {
        Ok(Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(&f)))
    })
}

fn log(call: Call<'_>) -> Result<Typed> {
    let input = call.number_input()?;
    match call.float(1)? {
        None => Ok(over_floats(input, f64::ln, f32::ln)),
        Some(base) if base <= 0.0 || base.is_nan() => {
            Err(Error::Value(format!("`{}`: expected a base above 0, found `{base}`", call.what())))
        }
        Some(2.0) => Ok(over_floats(input, f64::log2, f32::log2)),
        Some(10.0) => Ok(over_floats(input, f64::log10, f32::log10)),
        Some(base) => Ok(over_floats(input, move |v| v.ln() / base.ln(), move |v| v.ln() / (base as f32).ln())),
    }
}

/// Decimals of 128 bits, wherever they began.
fn wide_decimal(input: Typed) -> Typed {
    match *input.dtype() {
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => input.to(&DataType::Decimal128(p, s), ""),
        _ => input,
    }
}

/// Applies `f(value, unit)` to decimals, where `unit` is the integer that stands for one at `decimals` digits.
fn over_decimals(
    input: Typed,
    decimals: i64,
    what: String,
    f: impl Fn(i128, i128) -> i128 + Send + Sync + 'static,
) -> Result<Typed> {
    let dtype = input.dtype().clone();
    let DataType::Decimal128(precision, scale) = dtype else {
        return Err(Error::Schema(format!(
            "`{what}`: {} is not supported; cast to decimal128 or float64",
            dtype_name(&dtype)
        )));
    };
    let drop = i64::from(scale) - decimals;
    let unit = u32::try_from(drop.max(0)).ok().and_then(|d| 10i128.checked_pow(d)).unwrap_or(i128::MAX);
    let target = dtype.clone();
    Ok(unary(input, dtype, move |array| {
        let rounded = array.as_primitive::<Decimal128Type>().try_unary::<_, Decimal128Type, ArrowError>(|v| {
            let most = 10i128.pow(u32::from(precision).min(38));
            let rounded = f(v, unit).checked_mul(unit).filter(|r| r.unsigned_abs() < most.unsigned_abs());
            rounded.ok_or_else(|| overflow(&what, "the result", &target))
        })?;
        Ok(Arc::new(rounded.with_precision_and_scale(precision, scale)?))
    })
    .failing())
}

/// `floor` and `ceil`.
fn whole(call: &Call<'_>, f: fn(f64) -> f64, g: fn(f32) -> f32, d: fn(i128, i128) -> i128) -> Result<Typed> {
    let input = wide_decimal(call.number_input()?);
    match input.dtype() {
        dtype if dtype.is_integer() => Ok(input),
        dtype if dtype.is_decimal() => over_decimals(input, 0, call.what(), d),
        _ => Ok(over_floats(input, f, g)),
    }
}

/// Half to even, as polars and Python round.
fn round(call: Call<'_>) -> Result<Typed> {
    let decimals = call.integer(1)?.unwrap_or(0);
    if !(0..=300).contains(&decimals) {
        return Err(Error::Value(format!("`{}`: expected 0 to 300 decimals, found `{decimals}`", call.what())));
    }
    let input = wide_decimal(call.number_input()?);
    match input.dtype() {
        dtype if dtype.is_integer() => Ok(input),
        dtype if dtype.is_decimal() => over_decimals(input, decimals, call.what(), |v, unit| {
            let (q, r) = (v.div_euclid(unit), v.rem_euclid(unit));
            match r.cmp(&(unit - r)) {
                std::cmp::Ordering::Less => q,
                std::cmp::Ordering::Greater => q + 1,
                std::cmp::Ordering::Equal => q + q.rem_euclid(2),
            }
        }),
        _ if decimals == 0 => Ok(over_floats(input, f64::round_ties_even, f32::round_ties_even)),
        _ => {
            let by = 10f64.powi(i32::try_from(decimals).unwrap_or(300));
            let at = move |v: f64| {
                let scaled = v * by;
                // beyond 2^52 there are no decimals to drop
                if scaled.is_finite() && scaled.abs() < 4_503_599_627_370_496.0 {
                    scaled.round_ties_even() / by
                } else {
                    v
                }
            };
            Ok(over_floats(input, at, move |v| at(f64::from(v)) as f32))
        }
    }
}

fn abs(call: Call<'_>) -> Result<Typed> {
    let input = call.input()?.plain();
    let what = call.what();
    match input.dtype().clone() {
        dtype if dtype.is_unsigned_integer() => Ok(input),
        dtype @ DataType::Duration(unit) => Ok(unary(input, dtype, move |array| match unit {
            TimeUnit::Second => absolute::<DurationSecondType>(array, &what),
            TimeUnit::Millisecond => absolute::<DurationMillisecondType>(array, &what),
            TimeUnit::Microsecond => absolute::<DurationMicrosecondType>(array, &what),
            TimeUnit::Nanosecond => absolute::<DurationNanosecondType>(array, &what),
        })
        .failing()),
        dtype if dtype.is_integer() => Ok(unary(input, dtype, move |array| {
            fn typed<T: ArrowPrimitiveType>(_: &PrimitiveArray<T>, array: &ArrayRef, what: &str) -> Result<ArrayRef> {
                absolute::<T>(array, what)
            }
            downcast_integer_array!(
                array => typed(array, &(Arc::new(array.clone()) as ArrayRef), &what),
                other => Err(Error::Schema(format!("expected integers, found {}", dtype_name(other)))),
            )
        })
        .failing()),
        dtype if dtype.is_decimal() => {
            let input = wide_decimal(input);
            let DataType::Decimal128(p, s) = *input.dtype() else {
                return over_decimals(input, 0, what, |v, _| v);
            };
            Ok(unary(input, DataType::Decimal128(p, s), move |array| {
                let values = array.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(i128::wrapping_abs);
                Ok(Arc::new(values.with_precision_and_scale(p, s)?))
            }))
        }
        _ => Ok(over_floats(call.number_input()?, f64::abs, f32::abs)),
    }
}

fn absolute<T: ArrowPrimitiveType>(array: &ArrayRef, what: &str) -> Result<ArrayRef> {
    let values = array.as_primitive::<T>();
    Ok(Arc::new(values.try_unary::<_, T, ArrowError>(|v| {
        if v.is_lt(T::Native::ZERO) {
            v.neg_checked().map_err(|_| overflow(what, format!("abs({v:?})"), array.data_type()))
        } else {
            Ok(v)
        }
    })?))
}

fn sign(call: Call<'_>) -> Result<Typed> {
    fn integer<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> ArrayRef {
        let (zero, one) = (T::Native::ZERO, T::Native::ONE);
        Arc::new(array.unary::<_, T>(|v| {
            if v.is_lt(zero) {
                zero.sub_wrapping(one)
            } else if v.is_gt(zero) {
                one
            } else {
                zero
            }
        }))
    }
    let input = wide_decimal(call.number_input()?);
    match input.dtype().clone() {
        dtype if dtype.is_integer() => Ok(unary(input, dtype, |array| {
            downcast_integer_array!(
                array => Ok(integer(array)),
                other => Err(Error::Schema(format!("expected integers, found {}", dtype_name(other)))),
            )
        })),
        dtype if dtype.is_decimal() => {
            let unit = match dtype {
                DataType::Decimal128(_, s) => {
                    u32::try_from(s.max(0)).ok().and_then(|s| 10i128.checked_pow(s)).unwrap_or(1)
                }
                _ => 1,
            };
            over_decimals(input, i64::from(i8::MAX), call.what(), move |v, _| v.signum() * unit)
        }
        _ => Ok(over_floats(
            input,
            |v| if v.is_nan() || v == 0.0 { v } else { v.signum() },
            |v| if v.is_nan() || v == 0.0 { v } else { v.signum() },
        )),
    }
}

/// `clip(lower, upper)`: the column's type stays; a bound that is null or left out does not limit.
fn clip(call: Call<'_>) -> Result<Typed> {
    let input = call.input()?.plain();
    let dtype = input.dtype().clone();
    let what = call.what();
    if !dtype.is_numeric() && !dtype.is_temporal() || matches!(dtype, DataType::Interval(_)) {
        return Err(Error::Schema(format!("`{what}`: expected numbers, dates or times, found {}", dtype_name(&dtype))));
    }
    let mut inputs = vec![input];
    for (side, bound) in call.inputs.iter().skip(1).enumerate() {
        inputs.push(bound_of(bound, &dtype, side == 0, &what)?);
    }
    let nullable = inputs.first().is_some_and(Typed::nullable);
    let target = dtype.clone();
    Ok(Typed::call(
        inputs,
        dtype,
        nullable,
        Arc::new(move |values, rows| {
            let Some((input, bounds)) = values.split_first() else {
                return Err(Error::Schema("clip takes an input".into()));
            };
            let mut done = input.rows(rows)?;
            for (bound, op) in bounds.iter().zip([crate::expr::Operator::Lt, crate::expr::Operator::Gt]) {
                let value = Value::Rows(done.clone());
                let mut beyond = crate::expr::compare::kernel(op, &value, bound)?;
                if target.is_floating() {
                    // NaN is greater than every bound, but it stays what it is
                    let nan = crate::expr::compare::kernel(crate::expr::Operator::NotEq, &value, &nan_of(&target)?)?;
                    beyond = arrow::compute::kernels::boolean::and(&beyond, &nan)?;
                }
                let beyond = crate::expr::logic::truths(&beyond);
                done = arrow::compute::kernels::zip::zip(&beyond, bound, &value)?;
            }
            Ok(done)
        }),
    ))
}

fn nan_of(dtype: &DataType) -> Result<Value> {
    Ok(Value::One(Literal::Float(f64::NAN).array_of(dtype)?))
}

fn bound_of(bound: &Typed, dtype: &DataType, lower: bool, what: &str) -> Result<Typed> {
    let refused = |found: &str| {
        Error::Schema(format!(
            "`{what}`: expected bounds that are {}, found {found}; cast the column first",
            dtype_name(dtype)
        ))
    };
    match bound.literal() {
        // a bound beyond the type's range limits nothing
        Some(Literal::Int(v)) if dtype.is_integer() && !crate::expr::literal::holds(dtype, *v) => {
            if (*v < 0) == lower {
                Typed::constant_of(&Literal::Null, dtype)
            } else {
                Err(refused(&v.to_string()))
            }
        }
        Some(literal) => {
            let (met, _) = literal.meet(dtype).map_err(|e| e.context(format!("`{what}`")))?;
            if *literal != Literal::Null && !met.fits(dtype) && !dtype.is_temporal() {
                return Err(refused(&literal.to_string()));
            }
            Typed::constant_of(&met, dtype)
        }
        None => {
            let plain = bound.clone().plain();
            if crate::dtype::supertype(plain.dtype(), dtype).as_ref() == Some(dtype) {
                Ok(plain.to(dtype, what))
            } else {
                Err(refused(&dtype_name(plain.dtype())))
            }
        }
    }
}
