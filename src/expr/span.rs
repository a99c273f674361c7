//! Arithmetic of dates, timestamps, times and durations.
//!
//! | | |
//! |---|---|
//! | date − date | duration[us] |
//! | timestamp − timestamp or date | duration, in the coarser unit |
//! | time − time | duration, in the finer unit |
//! | timestamp ± duration | timestamp, in its own unit |
//! | date ± duration | date: the day that its midnight is moved into |
//! | duration ± duration | duration, in the finer unit |
//! | duration × or ÷ number | duration |
//! | duration ÷ duration | float64 |
//! | duration // or % duration | int64, duration |
//!
//! Everything is checked: a result beyond 64 bits is an error with both values.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::many_single_char_names,
    reason = "a duration times a float is checked for its range before it is an integer again"
)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};

use super::arithmetic::{int_pairs, overflow, sides};
use super::convert::{integers, labelled};
use super::typing::{Run, Typed, Value, mismatch, shortened};
use super::{Expr, Operator};
use crate::dtype::{coarser, finer, per_second};
use crate::error::{Error, Result};

/// `left op right` where a side is temporal.
pub(super) fn combine(op: Operator, left: Typed, right: Typed, whole: &Expr) -> Result<Typed> {
    use DataType::{Date32, Date64, Duration, Null, Time32, Time64, Timestamp};
    use Operator::{Add, Divide, FloorDivide, Multiply, Remainder, Subtract};
    let day_unit = TimeUnit::Second;
    let (l, r) = (left.dtype().clone(), right.dtype().clone());
    let unit = |dtype: &DataType| match dtype {
        Timestamp(u, _) | Duration(u) | Time32(u) | Time64(u) => Some(*u),
        Date32 => Some(day_unit),
        Date64 => Some(TimeUnit::Millisecond),
        _ => None,
    };
    match (op, &l, &r) {
        (_, Null, _) => {
            let dtype = r.clone();
            Ok(combine(op, left.to(&dtype, ""), right, whole)?)
        }
        (Add | Subtract, _, Null) if !matches!(l, Date32 | Date64 | Timestamp(..)) => {
            let dtype = l.clone();
            Ok(combine(op, left, right.to(&dtype, ""), whole)?)
        }
        (Add | Subtract, _, Null) => {
            let span = Duration(unit(&l).unwrap_or(TimeUnit::Microsecond));
            combine(op, left, right.to(&span, ""), whole)
        }
        (Subtract, Date32, Date32) => Ok(difference(left, right, TimeUnit::Microsecond, whole)),
        (Subtract, Timestamp(a, x), Timestamp(b, y)) if x.is_some() == y.is_some() => {
            Ok(difference(left, right, coarser(*a, *b), whole))
        }
        (Subtract, Timestamp(u, None), Date32 | Date64) | (Subtract, Date32 | Date64, Timestamp(u, None)) => {
            Ok(difference(left, right, *u, whole))
        }
        (Subtract, Date64, Date64 | Date32) | (Subtract, Date32, Date64) => {
            Ok(difference(left, right, TimeUnit::Millisecond, whole))
        }
        (Subtract, Time32(a) | Time64(a), Time32(b) | Time64(b)) => Ok(difference(left, right, finer(*a, *b), whole)),
        (Add | Subtract, Timestamp(..) | Date32 | Date64, Duration(u)) => Ok(moved(op, left, right, *u, false, whole)),
        (Add, Duration(u), Timestamp(..) | Date32 | Date64) => {
            let span = *u;
            Ok(moved(op, right, left, span, true, whole))
        }
        (Add | Subtract, Duration(a), Duration(b)) => {
            let unit = finer(*a, *b);
            Ok(whole_spans(op, left, right, unit, Duration(unit), whole))
        }
        (FloorDivide, Duration(a), Duration(b)) => {
            Ok(whole_spans(op, left, right, finer(*a, *b), DataType::Int64, whole))
        }
        (Remainder, Duration(a), Duration(b)) => {
            let unit = finer(*a, *b);
            Ok(whole_spans(op, left, right, unit, Duration(unit), whole))
        }
        (Divide, Duration(a), Duration(b)) => {
            let ratio = per_second(*b) as f64 / per_second(*a) as f64;
            let nullable = left.nullable() || right.nullable();
            let run: Run = Arc::new(move |values, rows| {
                sides(values, |l, r| {
                    let float = |v: &Value| -> Result<Value> {
                        let array = cast(&integers(v.array())?, &DataType::Float64)?;
                        Ok(if v.is_one() { Value::One(array) } else { Value::Rows(array) })
                    };
                    super::arithmetic::pairs::<Float64Type, Float64Type>(&float(l)?, &float(r)?, rows, |a, b| {
                        Ok(a / b * ratio)
                    })
                })
            });
            Ok(Typed::call(vec![left, right], DataType::Float64, nullable, run))
        }
        (Multiply | Divide | FloorDivide, Duration(_), n) if n.is_numeric() => Ok(scaled(op, left, right, whole)),
        (Multiply, n, Duration(_)) if n.is_numeric() => Ok(scaled(op, right, left, whole)),
        _ => Err(mismatch(
            whole,
            &left,
            &right,
            "dates and timestamps take `-` with one another, and `+` or `-` with durations",
        )),
    }
}

/// Integers of a temporal value in units of `unit`, rounded down where that is coarser.
fn counted(value: &Value, unit: TimeUnit, what: &str) -> Result<Value> {
    let array = value.array();
    let from = match array.data_type() {
        DataType::Date32 => {
            let days = integers(array)?;
            let by = 86_400 * per_second(unit);
            return Ok(wrapped(value, scale_up(&days, by, what)?));
        }
        DataType::Timestamp(u, _) | DataType::Duration(u) | DataType::Time32(u) | DataType::Time64(u) => *u,
        _ => TimeUnit::Millisecond,
    };
    let values = integers(array)?;
    let (have, want) = (per_second(from), per_second(unit));
    let values = if want >= have {
        scale_up(&values, want / have, what)?
    } else {
        values.unary(|v: i64| v.div_euclid(have / want))
    };
    Ok(wrapped(value, values))
}

fn wrapped(value: &Value, values: Int64Array) -> Value {
    let array: ArrayRef = Arc::new(values);
    if value.is_one() { Value::One(array) } else { Value::Rows(array) }
}

fn scale_up(values: &Int64Array, by: i64, what: &str) -> Result<Int64Array> {
    if by == 1 {
        return Ok(values.clone());
    }
    Ok(values.try_unary::<_, Int64Type, _>(|v| {
        v.checked_mul(by).ok_or_else(|| overflow(what, format!("{v} in a finer unit"), &DataType::Int64))
    })?)
}

fn difference(left: Typed, right: Typed, unit: TimeUnit, whole: &Expr) -> Typed {
    let nullable = left.nullable() || right.nullable();
    let what: Arc<str> = shortened(whole).into();
    let dtype = DataType::Duration(unit);
    let target = dtype.clone();
    let run: Run = Arc::new(move |values, rows| {
        sides(values, |l, r| {
            let (l, r) = (counted(l, unit, &what)?, counted(r, unit, &what)?);
            let failed = |a: i64, b: i64| overflow(&what, format!("{a} - {b}"), &target);
            labelled(int_pairs(&l, &r, rows, i64::checked_sub, failed)?, &target)
        })
    });
    Typed::call(vec![left, right], dtype, nullable, run).failing()
}

/// A date or timestamp, later or earlier by a duration in `unit`.
fn moved(op: Operator, point: Typed, span: Typed, unit: TimeUnit, exchanged: bool, whole: &Expr) -> Typed {
    let nullable = point.nullable() || span.nullable();
    let what: Arc<str> = shortened(whole).into();
    let dtype = point.dtype().clone();
    let target = dtype.clone();
    // the name is that of the left side
    let inputs = if exchanged { vec![span, point] } else { vec![point, span] };
    let run: Run = Arc::new(move |values, rows| {
        sides(values, |l, r| {
            let (point, span) = if exchanged { (r, l) } else { (l, r) };
            let symbol = op.symbol();
            let failed = |a: i64, b: i64| overflow(&what, format!("{a} {symbol} {b}"), &target);
            let shift = |a: i64, b: i64| if op == Operator::Add { a.checked_add(b) } else { a.checked_sub(b) };
            let base = wrapped(point, integers(point.array())?);
            let done = match &target {
                DataType::Date32 => {
                    // the day that midnight is moved into, as polars
                    let day = 86_400 * per_second(unit);
                    let whole_days = integers(span.array())?.unary(|v: i64| match op {
                        Operator::Add => v.div_euclid(day),
                        _ => -(v.saturating_neg().div_euclid(day)),
                    });
                    let days = int_pairs(&base, &wrapped(span, whole_days), rows, shift, failed)?;
                    days.try_unary::<_, Int64Type, _>(|v| {
                        i32::try_from(v).map(i64::from).map_err(|_| overflow(&what, format!("day {v}"), &target))
                    })?
                }
                DataType::Timestamp(own, _) => int_pairs(&base, &counted(span, *own, &what)?, rows, shift, failed)?,
                _ => int_pairs(&base, &counted(span, TimeUnit::Millisecond, &what)?, rows, shift, failed)?,
            };
            labelled(done, &target)
        })
    });
    Typed::call(inputs, dtype, nullable, run).failing()
}

/// Two durations in one unit.
fn whole_spans(op: Operator, left: Typed, right: Typed, unit: TimeUnit, dtype: DataType, whole: &Expr) -> Typed {
    let nullable = left.nullable() || right.nullable();
    let what: Arc<str> = shortened(whole).into();
    let target = dtype.clone();
    let run: Run = Arc::new(move |values, rows| {
        sides(values, |l, r| {
            let (l, r) = (counted(l, unit, &what)?, counted(r, unit, &what)?);
            let symbol = op.symbol();
            let failed = |a: i64, b: i64| overflow(&what, format!("{a} {symbol} {b}"), &target);
            let f = |a: i64, b: i64| match op {
                Operator::Add => a.checked_add(b),
                Operator::Subtract => a.checked_sub(b),
                Operator::FloorDivide => floor_div(a, b),
                _ => a.checked_rem(b).map(|m| if m != 0 && (m < 0) != (b < 0) { m + b } else { m }),
            };
            labelled(int_pairs(&l, &r, rows, f, failed)?, &target)
        })
    });
    Typed::call(vec![left, right], dtype, nullable, run).failing()
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let q = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
}

/// A duration times or divided by a number; a fraction of the unit is cut off.
fn scaled(op: Operator, span: Typed, number: Typed, whole: &Expr) -> Typed {
    let nullable = span.nullable() || number.nullable();
    let what: Arc<str> = shortened(whole).into();
    let dtype = span.dtype().clone();
    let target = dtype.clone();
    let exact = number.dtype().is_integer() && op != Operator::Divide;
    let number = number.to(if exact { &DataType::Int64 } else { &DataType::Float64 }, &what);
    let run: Run = Arc::new(move |values, rows| {
        sides(values, |l, r| {
            let symbol = op.symbol();
            let span = wrapped(l, integers(l.array())?);
            if exact {
                let failed = |a: i64, b: i64| overflow(&what, format!("{a} {symbol} {b}"), &target);
                let f = |a: i64, b: i64| if op == Operator::Multiply { a.checked_mul(b) } else { floor_div(a, b) };
                return labelled(int_pairs(&span, r, rows, f, failed)?, &target);
            }
            let (spans, factors) = (span.rows(rows)?, r.rows(rows)?);
            let (Some(spans), Some(factors)) =
                (spans.as_primitive_opt::<Int64Type>(), factors.as_primitive_opt::<Float64Type>())
            else {
                return Err(Error::Schema(format!("`{what}`: expected a duration and a number")));
            };
            let done: PrimitiveArray<Int64Type> = arrow::compute::try_binary(spans, factors, |a, b| {
                let v = match op {
                    Operator::Multiply => a as f64 * b,
                    Operator::Divide => a as f64 / b,
                    _ => (a as f64 / b).floor(),
                };
                // 2^63 itself does not fit
                if v.is_finite() && v.abs() < 9_223_372_036_854_775_808.0 {
                    Ok(v as i64)
                } else {
                    Err(overflow(&what, format!("{a} {symbol} {b}"), &target))
                }
            })?;
            debug_assert_eq!(done.len(), rows);
            labelled(done, &target)
        })
    });
    Typed::call(vec![span, number], dtype, nullable, run).failing()
}
