//! `+ - * / // % **` and unary minus.
//!
//! Integers are checked: what overflows, and `//` or `%` by zero, is an error with both values. Floats follow IEEE 754.
//! `//` rounds down and `%` takes the sign of the divisor, as in Python, so that `a == (a // b) * b + a % b`.
//! Decimals keep every digit: `+ - *` grow precision and scale as SQL does, up to 38 digits.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, Decimal128Array, PrimitiveArray, StringArray,
    downcast_integer_array, new_null_array,
};
use arrow::compute::kernels::{arity, numeric};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float32Type, Float64Type, Int64Type};
use arrow::error::ArrowError;

use super::literal::Literal;
use super::typing::{Run, Typed, Value, meet, mismatch, shortened};
use super::{Expr, Operator, span};
use crate::dtype::{digits, dtype_name, supertype};
use crate::error::{Error, Result};

/// `left op right` for the operators of arithmetic.
pub(super) fn combine(op: Operator, left: Typed, right: Typed, whole: &Expr) -> Result<Typed> {
    if op == Operator::Power {
        return power(left, right, whole);
    }
    let (left, right) = meet(left, right, whole)?;
    if left.dtype().is_temporal() || right.dtype().is_temporal() {
        return span::combine(op, left, right, whole);
    }
    let nullable = left.nullable() || right.nullable();
    let what: Arc<str> = shortened(whole).into();
    match (left.dtype(), right.dtype()) {
        (DataType::Null, DataType::Null) => {
            let run: Run = Arc::new(|_, rows| Ok(new_null_array(&DataType::Null, rows)));
            return Ok(Typed::call(vec![left, right], DataType::Null, true, run));
        }
        (DataType::Utf8 | DataType::Null, DataType::Utf8 | DataType::Null) if op == Operator::Add => {
            let inputs = vec![left.to(&DataType::Utf8, ""), right.to(&DataType::Utf8, "")];
            return Ok(Typed::call(inputs, DataType::Utf8, nullable, run_of(joined)));
        }
        (l, r) if number_like(l) && number_like(r) => {}
        (DataType::Utf8, _) | (_, DataType::Utf8) => {
            return Err(mismatch(whole, &left, &right, "cast the text, or the other side to string to join them"));
        }
        _ => return Err(mismatch(whole, &left, &right, "")),
    }
    let Some(dtype) = supertype(&as_number(left.dtype()), &as_number(right.dtype())) else {
        return Err(mismatch(whole, &left, &right, ""));
    };
    if dtype.is_decimal() && op != Operator::Divide {
        return decimals(op, left, right, whole);
    }
    let dtype = match (op, dtype) {
        (Operator::Divide, t) if !matches!(t, DataType::Float32 | DataType::Float16) => DataType::Float64,
        (_, t) => t,
    };
    let inputs = vec![left.to(&dtype, &what), right.to(&dtype, &what)];
    let integer = dtype.is_integer();
    let typed = if integer {
        Typed::call(
            inputs,
            dtype,
            nullable,
            Arc::new(move |values, rows| sides(values, |l, r| integers(op, l, r, rows, &what))),
        )
    } else {
        Typed::call(inputs, dtype, nullable, Arc::new(move |values, rows| sides(values, |l, r| floats(op, l, r, rows))))
    };
    Ok(if integer { typed.failing() } else { typed })
}

fn number_like(dtype: &DataType) -> bool {
    dtype.is_numeric() || matches!(dtype, DataType::Boolean | DataType::Null)
}

/// Booleans count as integers in arithmetic.
fn as_number(dtype: &DataType) -> DataType {
    if *dtype == DataType::Boolean { DataType::Int64 } else { dtype.clone() }
}

/// The two sides of an operator.
pub(super) fn sides<T>(values: &[Value], f: impl FnOnce(&Value, &Value) -> Result<T>) -> Result<T> {
    match values {
        [left, right] => f(left, right),
        _ => Err(Error::Schema("an operator has two sides".into())),
    }
}

fn run_of(f: fn(&Value, &Value, usize) -> Result<ArrayRef>) -> Run {
    Arc::new(move |values, rows| sides(values, |l, r| f(l, r, rows)))
}

fn joined(left: &Value, right: &Value, rows: usize) -> Result<ArrayRef> {
    let (l, r) = (left.array().as_string::<i32>(), right.array().as_string::<i32>());
    if !left.is_one() && !right.is_one() {
        return Ok(Arc::new(arrow::compute::kernels::concat_elements::concat_elements_utf8(l, r)?));
    }
    let at = |array: &StringArray, row: usize| array.is_valid(row).then_some(row);
    let mut out = arrow::array::StringBuilder::with_capacity(rows, l.values().len().max(r.values().len()));
    let mut text = String::new();
    for row in 0..rows {
        match (at(l, left.at(row)), at(r, right.at(row))) {
            (Some(a), Some(b)) => {
                text.clear();
                text.push_str(l.value(a));
                text.push_str(r.value(b));
                out.append_value(&text);
            }
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Applies `f` to the pairs of two values that are not null; stops at the first that it refuses.
pub(super) fn pairs<T: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    left: &Value,
    right: &Value,
    rows: usize,
    f: impl Fn(T::Native, T::Native) -> Result<O::Native, ArrowError>,
) -> Result<ArrayRef> {
    let (l, r) = (left.array().as_primitive::<T>(), right.array().as_primitive::<T>());
    let null = |v: &Value, a: &PrimitiveArray<T>| v.is_one() && a.is_null(0);
    if null(left, l) || null(right, r) {
        return Ok(new_null_array(&O::DATA_TYPE, rows));
    }
    let done: PrimitiveArray<O> = match (left.is_one(), right.is_one()) {
        (false, true) => {
            let b = r.value(0);
            arity::try_unary(l, |a| f(a, b))?
        }
        (true, false) => {
            let a = l.value(0);
            arity::try_unary(r, |b| f(a, b))?
        }
        _ => arity::try_binary(l, r, f)?,
    };
    Ok(Arc::new(done))
}

/// The failure of one pair, as arrow's kernels carry it.
fn refused(error: Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

pub(super) fn overflow(what: &str, shown: impl std::fmt::Display, dtype: &DataType) -> ArrowError {
    refused(Error::Stream(format!(
        "`{what}`: {shown} overflows {}; cast a side to a wider type first",
        dtype_name(dtype)
    )))
}

fn by_zero(what: &str, shown: impl std::fmt::Display) -> ArrowError {
    refused(Error::Stream(format!(
        "`{what}`: {shown} divides an integer by zero; use `/`, cast to float64, or exclude the zeros with when() or filter()"
    )))
}

fn integers(op: Operator, left: &Value, right: &Value, rows: usize, what: &str) -> Result<ArrayRef> {
    fn typed<T: ArrowPrimitiveType>(
        _: &PrimitiveArray<T>,
        op: Operator,
        left: &Value,
        right: &Value,
        rows: usize,
        what: &str,
    ) -> Result<ArrayRef> {
        let failed = |a: T::Native, b: T::Native| overflow(what, format!("{a:?} {} {b:?}", op.symbol()), &T::DATA_TYPE);
        let zero = |a: T::Native, b: T::Native| by_zero(what, format!("{a:?} {} {b:?}", op.symbol()));
        let floor = |a: T::Native, b: T::Native| -> Result<(T::Native, T::Native), ArrowError> {
            if b.is_zero() {
                return Err(zero(a, b));
            }
            let quotient = a.div_checked(b).map_err(|_| failed(a, b))?;
            let rest = a.mod_wrapping(b);
            let (nothing, one) = (T::Native::ZERO, T::Native::ONE);
            // truncated towards zero: one too high where the signs differ
            if !rest.is_zero() && rest.is_lt(nothing) != b.is_lt(nothing) {
                Ok((quotient.sub_wrapping(one), rest.add_wrapping(b)))
            } else {
                Ok((quotient, rest))
            }
        };
        match op {
            Operator::Add => pairs::<T, T>(left, right, rows, |a, b| a.add_checked(b).map_err(|_| failed(a, b))),
            Operator::Subtract => pairs::<T, T>(left, right, rows, |a, b| a.sub_checked(b).map_err(|_| failed(a, b))),
            Operator::Multiply => pairs::<T, T>(left, right, rows, |a, b| a.mul_checked(b).map_err(|_| failed(a, b))),
            Operator::FloorDivide => pairs::<T, T>(left, right, rows, |a, b| floor(a, b).map(|(q, _)| q)),
            // MIN % -1 is 0, though MIN // -1 overflows
            _ => pairs::<T, T>(left, right, rows, |a, b| match floor(a, b) {
                Ok((_, rest)) => Ok(rest),
                Err(_) if !b.is_zero() => Ok(T::Native::ZERO),
                Err(e) => Err(e),
            }),
        }
    }
    let array = left.array();
    downcast_integer_array!(
        array => typed(array, op, left, right, rows, what),
        other => Err(Error::Schema(format!("`{what}`: expected integers, found {}", dtype_name(other)))),
    )
}

fn floats(op: Operator, left: &Value, right: &Value, rows: usize) -> Result<ArrayRef> {
    Ok(match op {
        Operator::Add => numeric::add(left, right)?,
        Operator::Subtract => numeric::sub(left, right)?,
        Operator::Multiply => numeric::mul(left, right)?,
        Operator::Divide => numeric::div(left, right)?,
        _ => {
            let floor = op == Operator::FloorDivide;
            match left.array().data_type() {
                DataType::Float32 => pairs::<Float32Type, Float32Type>(left, right, rows, |a, b| {
                    let rest = f32::rem_euclid_sign(a, b);
                    Ok(if floor { if b == 0.0 { (a / b).floor() } else { ((a - rest) / b).round() } } else { rest })
                })?,
                DataType::Float64 => pairs::<Float64Type, Float64Type>(left, right, rows, |a, b| {
                    let rest = f64::rem_euclid_sign(a, b);
                    Ok(if floor { if b == 0.0 { (a / b).floor() } else { ((a - rest) / b).round() } } else { rest })
                })?,
                _ => {
                    let wide = |v: &Value| -> Result<Value> {
                        let array = arrow::compute::cast(v.array(), &DataType::Float32)?;
                        Ok(if v.is_one() { Value::One(array) } else { Value::Rows(array) })
                    };
                    let done = floats(op, &wide(left)?, &wide(right)?, rows)?;
                    arrow::compute::cast(&done, left.array().data_type())?
                }
            }
        }
    })
}

/// The remainder that takes the divisor's sign.
trait SignedRemainder {
    fn rem_euclid_sign(a: Self, b: Self) -> Self;
}

macro_rules! signed_remainder {
    ($t:ty) => {
        impl SignedRemainder for $t {
            fn rem_euclid_sign(a: $t, b: $t) -> $t {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }
        }
    };
}
signed_remainder!(f32);
signed_remainder!(f64);

/// The decimal type that holds a number type exactly.
fn decimal_of(typed: &Typed) -> Option<(u8, i8)> {
    match typed.dtype() {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => Some((*p, *s)),
        DataType::Boolean | DataType::Null => Some((1, 0)),
        other => digits(other).map(|d| (d, 0)),
    }
}

fn decimals(op: Operator, left: Typed, right: Typed, whole: &Expr) -> Result<Typed> {
    let (Some((p1, s1)), Some((p2, s2))) = (decimal_of(&left), decimal_of(&right)) else {
        return Err(mismatch(whole, &left, &right, ""));
    };
    let wide = matches!(left.dtype(), DataType::Decimal256(..)) || matches!(right.dtype(), DataType::Decimal256(..));
    let what: Arc<str> = shortened(whole).into();
    if wide {
        if matches!(op, Operator::FloorDivide | Operator::Remainder) {
            return Err(mismatch(whole, &left, &right, "cast to decimal128 or float64"));
        }
        let inputs =
            vec![left.to(&DataType::Decimal256(p1, s1), &what), right.to(&DataType::Decimal256(p2, s2), &what)];
        let dtype = grown(op, (p1, s1), (p2, s2), 76, DataType::Decimal256);
        let nullable = inputs.iter().any(Typed::nullable);
        let target = dtype.clone();
        let run: Run = Arc::new(move |values, _| sides(values, |l, r| checked_decimal(op, l, r, &target, &what)));
        return Ok(Typed::call(inputs, dtype, nullable, run).failing());
    }
    let nullable = left.nullable() || right.nullable();
    if matches!(op, Operator::FloorDivide | Operator::Remainder) {
        // at one scale both are whole numbers of the same unit
        let scale = s1.max(s2);
        let aligned = DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale);
        let inputs = vec![left.to(&aligned, &what), right.to(&aligned, &what)];
        let unit = 10i128.checked_pow(u32::try_from(scale.max(0)).unwrap_or(0)).unwrap_or(1);
        let target = aligned.clone();
        let run: Run = Arc::new(move |values, rows| {
            sides(values, |l, r| {
                let done = pairs::<Decimal128Type, Decimal128Type>(l, r, rows, |a, b| {
                    if b == 0 {
                        return Err(refused(Error::Stream(format!(
                            "`{what}`: a decimal is divided by zero; cast to float64, or exclude the zeros with when() or filter()"
                        ))));
                    }
                    let (q, m) = (a.div_euclid(b), a.rem_euclid(b));
                    // Euclid's remainder is never negative: move it to the divisor's side
                    let (q, m) = if b < 0 && m != 0 { (q - 1, m + b) } else { (q, m) };
                    if op == Operator::Remainder {
                        Ok(m)
                    } else {
                        q.checked_mul(unit).ok_or_else(|| overflow(&what, "the quotient", &target))
                    }
                })?;
                Ok(relabelled(&done, &target)?)
            })
        });
        return Ok(Typed::call(inputs, aligned, nullable, run).failing());
    }
    let inputs = vec![left.to(&DataType::Decimal128(p1, s1), &what), right.to(&DataType::Decimal128(p2, s2), &what)];
    let dtype = grown(op, (p1, s1), (p2, s2), DECIMAL128_MAX_PRECISION, DataType::Decimal128);
    if op == Operator::Multiply && s1.saturating_add(s2) > 38 {
        return Err(Error::Schema(format!(
            "`{what}`: the product of {} and {} has more than 38 digits after the point; cast one side to fewer",
            dtype_name(left_dtype(&inputs, 0)),
            dtype_name(left_dtype(&inputs, 1)),
        )));
    }
    let target = dtype.clone();
    let run: Run = Arc::new(move |values, _| sides(values, |l, r| checked_decimal(op, l, r, &target, &what)));
    Ok(Typed::call(inputs, dtype, nullable, run).failing())
}

fn left_dtype(inputs: &[Typed], index: usize) -> &DataType {
    inputs.get(index).map_or(&DataType::Null, Typed::dtype)
}

/// The type that arrow's kernels give: one digit more than the larger, or all digits of both.
fn grown(op: Operator, (p1, s1): (u8, i8), (p2, s2): (u8, i8), most: u8, of: fn(u8, i8) -> DataType) -> DataType {
    if op == Operator::Multiply {
        return of(p1.saturating_add(p2).saturating_add(1).min(most), s1.saturating_add(s2));
    }
    let scale = s1.max(s2);
    let whole = (i16::from(p1) - i16::from(s1)).max(i16::from(p2) - i16::from(s2));
    let precision = u8::try_from(whole + i16::from(scale) + 1).unwrap_or(most);
    of(precision.min(most), scale)
}

fn checked_decimal(op: Operator, left: &Value, right: &Value, target: &DataType, what: &str) -> Result<ArrayRef> {
    let done = match op {
        Operator::Add => numeric::add(left, right),
        Operator::Subtract => numeric::sub(left, right),
        _ => numeric::mul(left, right),
    };
    let done = done.map_err(|e| match e {
        ArrowError::ArithmeticOverflow(_) => overflow(what, "the result", target),
        other => other,
    })?;
    // up to the limit of precision the type itself has room; at the limit the digits have to be counted
    if let (DataType::Decimal128(p, _), Some(values)) = (target, done.as_primitive_opt::<Decimal128Type>())
        && *p == DECIMAL128_MAX_PRECISION
    {
        values.validate_decimal_precision(*p).map_err(|_| overflow(what, "the result", target))?;
    }
    if done.data_type() == target { Ok(done) } else { Ok(arrow::compute::cast(&done, target)?) }
}

fn relabelled(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    match (target, array.as_primitive_opt::<Decimal128Type>()) {
        (DataType::Decimal128(p, s), Some(values)) => {
            let values: Decimal128Array = values.clone().with_precision_and_scale(*p, *s)?;
            Ok(Arc::new(values))
        }
        _ => Ok(array.clone()),
    }
}

/// `left ** right`: an integer to the power of an integer keeps its type; else in floats.
fn power(left: Typed, right: Typed, whole: &Expr) -> Result<Typed> {
    let (left, right) = (left.plain(), right.plain());
    let left = match left.literal() {
        Some(literal @ (Literal::Int(_) | Literal::Float(_))) => {
            let (literal, dtype) = literal.meet(right.dtype())?;
            Typed::constant_of(&literal, &dtype)?
        }
        _ => left,
    };
    let right = match right.literal() {
        Some(literal @ Literal::Float(_)) if left.dtype().is_floating() => Typed::constant_of(literal, left.dtype())?,
        Some(literal @ Literal::Int(_)) if left.dtype().is_floating() => Typed::constant_of(literal, left.dtype())?,
        _ => right,
    };
    let what: Arc<str> = shortened(whole).into();
    let nullable = left.nullable() || right.nullable();
    let (l, r) = (as_number(left.dtype()), as_number(right.dtype()));
    if !number_like(&l) || !number_like(&r) {
        return Err(mismatch(whole, &left, &right, "** takes numbers"));
    }
    if l.is_integer() && (r.is_integer() || r == DataType::Null) {
        let inputs = vec![left.to(&l, &what), right.to(&DataType::Int64, &what)];
        let run: Run = Arc::new(move |values, rows| sides(values, |l, r| integer_power(l, r, rows, &what)));
        return Ok(Typed::call(inputs, l, nullable, run).failing());
    }
    let dtype = match supertype(&l, &r) {
        Some(DataType::Float32) => DataType::Float32,
        _ => DataType::Float64,
    };
    let inputs = vec![left.to(&dtype, &what), right.to(&dtype, &what)];
    let run: Run = if dtype == DataType::Float32 {
        Arc::new(|values, rows| {
            sides(values, |l, r| pairs::<Float32Type, Float32Type>(l, r, rows, |a, b| Ok(a.powf(b))))
        })
    } else {
        Arc::new(|values, rows| {
            sides(values, |l, r| pairs::<Float64Type, Float64Type>(l, r, rows, |a, b| Ok(a.powf(b))))
        })
    };
    Ok(Typed::call(inputs, dtype, nullable, run))
}

fn integer_power(base: &Value, exponent: &Value, rows: usize, what: &str) -> Result<ArrayRef> {
    let dtype = base.array().data_type().clone();
    let wide = |v: &Value| -> Result<Value> {
        let array = arrow::compute::cast(v.array(), &DataType::Decimal128(38, 0))?;
        Ok(if v.is_one() { Value::One(array) } else { Value::Rows(array) })
    };
    let done = pairs::<Decimal128Type, Decimal128Type>(&wide(base)?, &wide(exponent)?, rows, |a, b| {
        let Ok(exponent) = u32::try_from(b) else {
            return Err(refused(Error::Stream(format!(
                "`{what}`: {a} ** {b}: expected an exponent of 0 or more for integers; cast to float64 first"
            ))));
        };
        let power = match a {
            0 | 1 => Some(if exponent == 0 { 1 } else { a }),
            -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
            _ => a.checked_pow(exponent),
        };
        power.filter(|p| super::literal::holds(&dtype, *p)).ok_or_else(|| overflow(what, format!("{a} ** {b}"), &dtype))
    })?;
    let done = relabelled(&done, &DataType::Decimal128(38, 0))?;
    Ok(arrow::compute::cast(&done, &dtype)?)
}

/// `-input`.
pub(super) fn negate(input: Typed, whole: &Expr) -> Result<Typed> {
    let input = input.plain();
    if let Some(Literal::Int(v)) = input.literal() {
        return Typed::constant(&Literal::Int(-*v));
    }
    let dtype = input.dtype().clone();
    let nullable = input.nullable();
    let what: Arc<str> = shortened(whole).into();
    if dtype.is_unsigned_integer() {
        return Err(Error::Schema(format!(
            "`{what}`: {} has no negative numbers; cast to a signed type first",
            dtype_name(&dtype)
        )));
    }
    if !(dtype.is_numeric() || matches!(dtype, DataType::Duration(_) | DataType::Null)) {
        return Err(Error::Schema(format!("`{what}`: expected a number or duration, found {}", dtype_name(&dtype))));
    }
    let target = dtype.clone();
    let typed = Typed::call(
        vec![input],
        dtype.clone(),
        nullable,
        Arc::new(move |values, _| match values {
            [value] if target == DataType::Null => Ok(value.array().clone()),
            [value] => numeric::neg(value.array()).map_err(|e| match e {
                ArrowError::ArithmeticOverflow(m) => {
                    let value = m.rsplit(' ').next().unwrap_or_default().to_owned();
                    overflow(&what, format!("-({value})"), &target).into()
                }
                other => other.into(),
            }),
            _ => Err(Error::Schema("unary minus has one input".into())),
        }),
    );
    Ok(if dtype.is_floating() { typed } else { typed.failing() })
}

/// Integers that count a unit, for spans of time.
pub(super) fn int_pairs(
    left: &Value,
    right: &Value,
    rows: usize,
    f: impl Fn(i64, i64) -> Option<i64>,
    failed: impl Fn(i64, i64) -> ArrowError,
) -> Result<PrimitiveArray<Int64Type>> {
    let done = pairs::<Int64Type, Int64Type>(left, right, rows, |a, b| f(a, b).ok_or_else(|| failed(a, b)))?;
    Ok(done.as_primitive::<Int64Type>().clone())
}
