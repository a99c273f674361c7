//! Comparisons, and membership in a list of constants.
//!
//! Both sides become one type that holds the values of each exactly, so that `u8 == 300` is false and `int64` meets
//! `uint64` without wrapping. Floats compare with an order of their own: NaN equals NaN and is the greatest, `-0.0`
//! equals `0.0`. Timestamps in different units are compared as instants, not converted.

#![allow(clippy::many_single_char_names, reason = "two sides, their arrays, their values")]

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cmp;
use arrow::compute::take;
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};

use super::bits::{Keys, keys};
use super::literal::Literal;
use super::typing::{Typed, Value, meet, mismatch, shortened};
use super::{Expr, Operator};
use crate::dtype::{dtype_name, per_second, supertype, value_type};
use crate::error::{Error, Result};

/// How two types are compared.
enum How {
    /// Both as this type.
    As(DataType),
    /// Both as instants, in whole units of their own.
    Instants,
    /// One is null throughout: so is the answer.
    Null,
}

fn how(left: &DataType, right: &DataType) -> Option<How> {
    use DataType::{Date32, Date64, Duration, FixedSizeBinary, Interval, Null, Time32, Time64, Timestamp, UInt64};
    Some(match (left, right) {
        (Null, _) | (_, Null) => How::Null,
        (Timestamp(a, x), Timestamp(b, y)) if x.is_some() == y.is_some() && a != b => How::Instants,
        (Date32 | Date64, Timestamp(_, None)) | (Timestamp(_, None), Date32 | Date64) => How::Instants,
        (Date32, Date64) | (Date64, Date32) => How::Instants,
        (Duration(a), Duration(b)) if a != b => How::Instants,
        (Time32(a) | Time64(a), Time32(b) | Time64(b)) if a != b => How::Instants,
        // 20 digits hold both exactly
        (s, UInt64) | (UInt64, s) if s.is_signed_integer() => How::As(DataType::Decimal128(20, 0)),
        (l, r) if l == r => {
            let comparable = !l.is_nested() || matches!(l, FixedSizeBinary(_) | Interval(_));
            return comparable.then(|| How::As(if *l == DataType::Float16 { DataType::Float32 } else { l.clone() }));
        }
        (l, r) if l.is_nested() || r.is_nested() => return None,
        (DataType::Float16, r) if r.is_numeric() => return how(&DataType::Float32, r),
        (l, DataType::Float16) if l.is_numeric() => return how(l, &DataType::Float32),
        (l, r) => How::As(supertype(l, r)?),
    })
}

/// `left op right`.
pub(super) fn compare(op: Operator, left: Typed, right: Typed, whole: &Expr) -> Result<Typed> {
    if let (DataType::Dictionary(..), Some(_)) = (left.dtype(), right.literal()) {
        // once a distinct value instead of once a row
        let values = Typed::of(
            left.field().clone().with_data_type(value_type(left.dtype()).clone()),
            false,
            super::typing::Step::Column(0),
        );
        let (_, constant) = meet(values.clone(), right, whole)?;
        let Some(how) = how(values.dtype(), constant.dtype()) else {
            return Err(mismatch(whole, &values, &constant, remedy(&values, &constant)));
        };
        if let (How::As(dtype), Some(literal)) = (how, constant.literal()) {
            let constant = Value::One(Typed::constant_of(literal, &dtype)?.constant_array()?);
            let same = values.dtype() == &dtype;
            return Ok(by_value(
                left,
                DataType::Boolean,
                Arc::new(move |values| {
                    let values = if same { values.clone() } else { super::convert::convert(values, &dtype, true, "")? };
                    Ok(Arc::new(kernel(op, &Value::Rows(values), &constant)?))
                }),
            ));
        }
        return compare(op, left.plain(), constant, whole);
    }
    let (left, right) = meet(left, right, whole)?;
    let nullable = left.nullable() || right.nullable();
    let Some(how) = how(left.dtype(), right.dtype()) else {
        return Err(mismatch(whole, &left, &right, remedy(&left, &right)));
    };
    Ok(match how {
        How::Null => Typed::call(
            vec![left, right],
            DataType::Boolean,
            true,
            Arc::new(|_, rows| Ok(new_null_array(&DataType::Boolean, rows))),
        ),
        How::As(dtype) => {
            let inputs = vec![left.to(&dtype, ""), right.to(&dtype, "")];
            Typed::call(
                inputs,
                DataType::Boolean,
                nullable,
                Arc::new(move |values, _| match values {
                    [left, right] => Ok(Arc::new(kernel(op, left, right)?)),
                    _ => Err(Error::Schema("a comparison has two sides".into())),
                }),
            )
        }
        How::Instants => Typed::call(
            vec![left, right],
            DataType::Boolean,
            nullable,
            Arc::new(move |values, rows| match values {
                [left, right] => Ok(Arc::new(instants(op, left, right, rows)?)),
                _ => Err(Error::Schema("a comparison has two sides".into())),
            }),
        ),
    })
}

fn remedy(left: &Typed, right: &Typed) -> &'static str {
    match (left.dtype(), right.dtype()) {
        (DataType::Timestamp(_, a), DataType::Timestamp(_, b)) if a.is_some() != b.is_some() => {
            "one has a time zone, the other has none; give both one, or cast"
        }
        (DataType::Utf8, t) | (t, DataType::Utf8) if t.is_temporal() => {
            "read the text with .str.to_date() or .str.to_datetime()"
        }
        (DataType::Utf8, t) | (t, DataType::Utf8) if t.is_numeric() => "cast one side",
        (l, r) if l.is_nested() || r.is_nested() => "nested values are not compared",
        _ => "cast one side",
    }
}

/// What turns values into as many answers.
pub(super) type OnValues = Arc<dyn Fn(&ArrayRef) -> Result<ArrayRef> + Send + Sync>;

/// Applies `f` to values of `input`: for a dictionary, once a distinct value where there are fewer of them than rows.
/// `f` must not fail on values that no row has.
pub(super) fn by_value(input: Typed, dtype: DataType, f: OnValues) -> Typed {
    let nullable = input.nullable();
    Typed::call(
        vec![input],
        dtype,
        nullable,
        Arc::new(move |values, _| {
            let Some(value) = values.first() else { return Err(Error::Schema("one input is missing".into())) };
            let array = value.array();
            match array.as_any_dictionary_opt() {
                Some(dictionary) if dictionary.values().len() <= array.len() => {
                    Ok(take(&f(dictionary.values())?, dictionary.keys(), None)?)
                }
                Some(_) => f(&super::convert::convert(array, value_type(array.data_type()), true, "")?),
                None => f(array),
            }
        }),
    )
}

/// Compares two values of one type.
pub(super) fn kernel(op: Operator, left: &Value, right: &Value) -> Result<BooleanArray> {
    match left.array().data_type() {
        DataType::Float64 => Ok(floats::<Float64Type>(op, left, right)),
        DataType::Float32 => Ok(floats::<Float32Type>(op, left, right)),
        _ => Ok(match op {
            Operator::Eq => cmp::eq(left, right)?,
            Operator::NotEq => cmp::neq(left, right)?,
            Operator::Lt => cmp::lt(left, right)?,
            Operator::LtEq => cmp::lt_eq(left, right)?,
            Operator::Gt => cmp::gt(left, right)?,
            Operator::GtEq => cmp::gt_eq(left, right)?,
            other => return Err(Error::Schema(format!("`{}` does not compare", other.symbol()))),
        }),
    }
}

/// Floats, of which NaN is the greatest and equal to itself.
fn floats<T: ArrowPrimitiveType>(op: Operator, left: &Value, right: &Value) -> BooleanArray
where
    T::Native: PartialOrd,
{
    // `a != a` finds NaN in both widths
    #[allow(clippy::eq_op)]
    let nan = |v: T::Native| v != v;
    let constant = |v: &Value| v.is_one() && v.array().as_primitive::<T>().iter().flatten().all(|v| !nan(v));
    if constant(right) {
        // beside a number, one comparison does
        #[allow(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is greater than any number")]
        return match op {
            Operator::Lt => pairs::<T>(left, right, |a, b| a < b),
            Operator::Gt => pairs::<T>(left, right, |a, b| !(a <= b)),
            Operator::LtEq => pairs::<T>(left, right, |a, b| a <= b),
            Operator::GtEq => pairs::<T>(left, right, |a, b| !(a < b)),
            Operator::NotEq => pairs::<T>(left, right, |a, b| a != b),
            _ => pairs::<T>(left, right, |a, b| a == b),
        };
    }
    let lt = move |a: T::Native, b: T::Native| (a < b) | (!nan(a) & nan(b));
    let eq = move |a: T::Native, b: T::Native| (a == b) | (nan(a) & nan(b));
    match op {
        Operator::Lt => pairs::<T>(left, right, lt),
        Operator::Gt => pairs::<T>(left, right, move |a, b| lt(b, a)),
        Operator::LtEq => pairs::<T>(left, right, move |a, b| !lt(b, a)),
        Operator::GtEq => pairs::<T>(left, right, move |a, b| !lt(a, b)),
        Operator::NotEq => pairs::<T>(left, right, move |a, b| !eq(a, b)),
        _ => pairs::<T>(left, right, eq),
    }
}

fn pairs<T: ArrowPrimitiveType>(left: &Value, right: &Value, f: impl Fn(T::Native, T::Native) -> bool) -> BooleanArray {
    let (l, r) = (left.array().as_primitive::<T>(), right.array().as_primitive::<T>());
    let one = |v: &Value, a: &arrow::array::PrimitiveArray<T>| {
        (v.is_one() && !a.is_empty()).then(|| if a.is_null(0) { None } else { Some(a.value(0)) })
    };
    match (one(left, l), one(right, r)) {
        (_, Some(None)) if !left.is_one() => BooleanArray::new_null(l.len()),
        (Some(None), _) => BooleanArray::new_null(r.len()),
        (None, Some(Some(b))) => BooleanArray::new(flags(l.values(), |a| f(*a, b)), l.nulls().cloned()),
        (Some(Some(a)), None) => BooleanArray::new(flags(r.values(), |b| f(a, *b)), r.nulls().cloned()),
        _ => {
            let (a, b) = (l.values(), r.values());
            let bits = BooleanBuffer::collect_bool(a.len().min(b.len()), |i| f(a[i], b[i]));
            BooleanArray::new(bits, NullBuffer::union(l.nulls(), r.nulls()))
        }
    }
}

/// `f` of each value, as bits. First a byte each, in a loop without branches, then eight bytes are packed by one
/// multiplication: the bit of byte i lands at 56 + i.
fn flags<V>(values: &[V], f: impl Fn(&V) -> bool) -> BooleanBuffer {
    let mut words: Vec<u64> = Vec::with_capacity(values.len().div_ceil(64));
    for some in values.chunks(64) {
        let mut bytes = [0_u8; 64];
        for (byte, value) in bytes.iter_mut().zip(some) {
            *byte = u8::from(f(value));
        }
        let eights = bytes.as_chunks::<8>().0.iter().enumerate();
        words.push(eights.fold(0, |word, (i, eight)| {
            word | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56 << (8 * i)
        }));
    }
    BooleanBuffer::new(words.into(), 0, values.len())
}

/// Nanoseconds that one unit of a temporal type is worth.
fn worth(dtype: &DataType) -> i128 {
    match dtype {
        DataType::Date32 => 86_400_000_000_000,
        DataType::Date64 => 1_000_000,
        DataType::Timestamp(u, _) | DataType::Duration(u) | DataType::Time32(u) | DataType::Time64(u) => {
            i128::from(per_second(TimeUnit::Nanosecond) / per_second(*u))
        }
        _ => 1,
    }
}

fn instants(op: Operator, left: &Value, right: &Value, rows: usize) -> Result<BooleanArray> {
    let (by_left, by_right) = (worth(left.array().data_type()), worth(right.array().data_type()));
    let (l, r) = (super::convert::integers(left.array())?, super::convert::integers(right.array())?);
    let at = |array: &arrow::array::Int64Array, value: &Value, row: usize, by: i128| {
        let row = value.at(row);
        array.is_valid(row).then(|| i128::from(array.value(row)) * by)
    };
    Ok((0..rows)
        .map(|row| {
            let order = at(&l, left, row, by_left)?.cmp(&at(&r, right, row, by_right)?);
            Some(match op {
                Operator::Eq => order.is_eq(),
                Operator::NotEq => order.is_ne(),
                Operator::Lt => order.is_lt(),
                Operator::LtEq => order.is_le(),
                Operator::Gt => order.is_gt(),
                _ => order.is_ge(),
            })
        })
        .collect())
}

/// A list of constants, ready for look-ups.
enum Set {
    Few(Vec<u64>),
    Bits(HashSet<u64>),
    Wide(HashSet<i128>),
    Bytes(HashSet<Vec<u8>>),
}

/// `input.is_in(values)`. As in SQL: null is in no list, and where the list has a null, what is not found is unknown.
pub(super) fn is_in(input: Typed, values: &[Literal], whole: &Expr) -> Result<Typed> {
    let dtype = value_type(input.dtype()).clone();
    let unknown = values.contains(&Literal::Null);
    let mut found: Vec<ArrayRef> = Vec::with_capacity(values.len());
    for value in values.iter().filter(|v| **v != Literal::Null) {
        let (literal, met) = value.meet(&dtype).map_err(|e| e.context(format!("`{}`", shortened(whole))))?;
        if how(&dtype, &met).is_none() {
            let constant = Typed::constant(value)?;
            return Err(mismatch(whole, &input, &constant, remedy(&input, &constant)));
        }
        // a value that the column's type cannot hold exactly is never found
        if met == dtype {
            found.push(literal.array_of(&dtype)?);
        } else if let Ok(own) = literal.array_of(&dtype)
            && let Ok(back) = super::convert::convert(&own, &met, true, "")
            && literal.array_of(&met).is_ok_and(|met| met.as_ref() == back.as_ref())
        {
            found.push(own);
        }
    }
    if dtype == DataType::Null {
        return Ok(Typed::call(
            vec![input],
            DataType::Boolean,
            true,
            Arc::new(|_, rows| Ok(new_null_array(&DataType::Boolean, rows))),
        ));
    }
    let arrays: Vec<&dyn Array> = found.iter().map(AsRef::as_ref).collect();
    let all = if arrays.is_empty() { arrow::array::new_empty_array(&dtype) } else { arrow::compute::concat(&arrays)? };
    let set = match keys(&all)? {
        Keys::Bits(bits) if bits.len() <= 8 => Set::Few(bits),
        Keys::Bits(bits) => Set::Bits(bits.into_iter().collect()),
        Keys::Wide(wide) => Set::Wide(wide.into_iter().collect()),
        Keys::Text(text) => Set::Bytes(text.iter().flatten().map(|t| t.as_bytes().to_vec()).collect()),
        Keys::Bytes(bytes) => Set::Bytes(bytes.iter().flatten().map(<[u8]>::to_vec).collect()),
        Keys::Rows(_) if dtype.is_nested() => {
            return Err(Error::Schema(format!("`{}`: {} has no is_in", shortened(whole), dtype_name(&dtype))));
        }
        Keys::Rows(rows) => Set::Bytes(rows.iter().map(|r| r.as_ref().to_vec()).collect()),
    };
    let nullable = input.nullable() || unknown;
    let typed = by_value(
        input,
        DataType::Boolean,
        Arc::new(move |array| {
            let bits = match (keys(array)?, &set) {
                (Keys::Bits(rows), Set::Few(few)) => {
                    bools(rows.len(), |i| rows.get(i).is_some_and(|v| few.contains(v)))
                }
                (Keys::Bits(rows), Set::Bits(set)) => {
                    bools(rows.len(), |i| rows.get(i).is_some_and(|v| set.contains(v)))
                }
                (Keys::Wide(rows), Set::Wide(set)) => {
                    bools(rows.len(), |i| rows.get(i).is_some_and(|v| set.contains(v)))
                }
                (Keys::Text(rows), Set::Bytes(set)) => bools(rows.len(), |i| set.contains(rows.value(i).as_bytes())),
                (Keys::Bytes(rows), Set::Bytes(set)) => bools(rows.len(), |i| set.contains(rows.value(i))),
                (Keys::Rows(rows), Set::Bytes(set)) => bools(rows.num_rows(), |i| set.contains(rows.row(i).as_ref())),
                _ => {
                    return Err(Error::Schema(format!(
                        "is_in met {} instead of its own type",
                        dtype_name(array.data_type())
                    )));
                }
            };
            let nulls = array.logical_nulls();
            let nulls =
                if unknown { NullBuffer::union(nulls.as_ref(), Some(&NullBuffer::new(bits.clone()))) } else { nulls };
            Ok(Arc::new(BooleanArray::new(bits, nulls)))
        }),
    );
    let field = typed.field().clone().with_nullable(nullable);
    Ok(typed.with_field(field))
}

fn bools(len: usize, f: impl FnMut(usize) -> bool) -> BooleanBuffer {
    BooleanBuffer::collect_bool(len, f)
}
