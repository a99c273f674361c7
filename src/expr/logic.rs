//! `& | ^ ~`: three-valued on booleans, bitwise on integers.
//!
//! Where the right side of `&` or `|` can fail (integer division, a strict cast), it is evaluated only on rows that the
//! left side leaves open: `(col("n") != 0) & (10 // col("n") > 2)` is safe.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array, downcast_integer_array};
use arrow::compute::kernels::{bitwise, boolean, cmp};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};

use super::typing::{Rows, Step, Typed, Value, meet, mismatch, shortened};
use super::{Expr, Operator};
use crate::dtype::{dtype_name, supertype};
use crate::error::{Error, Result};

/// `~input`.
pub(super) fn not(input: Typed, whole: &Expr) -> Result<Typed> {
    let input = input.plain();
    let nullable = input.nullable();
    let input = if *input.dtype() == DataType::Null { input.to(&DataType::Boolean, "") } else { input };
    let dtype = input.dtype().clone();
    if dtype != DataType::Boolean && !dtype.is_integer() {
        return Err(Error::Schema(format!(
            "`{}`: `~` takes booleans (or the bits of integers), found {}",
            shortened(whole),
            dtype_name(&dtype)
        )));
    }
    Ok(Typed::call(
        vec![input],
        dtype,
        nullable,
        Arc::new(|values, _| match values {
            [value] => flipped(value.array()),
            _ => Err(Error::Schema("`~` has one input".into())),
        }),
    ))
}

fn flipped(array: &ArrayRef) -> Result<ArrayRef> {
    if let Some(bools) = array.as_boolean_opt() {
        return Ok(Arc::new(boolean::not(bools)?));
    }
    downcast_integer_array!(
        array => Ok(Arc::new(bitwise::bitwise_not(array)?)),
        other => Err(Error::Schema(format!("`~` takes booleans or integers, found {}", dtype_name(other)))),
    )
}

/// `left & right`, `left | right`, `left ^ right`.
pub(super) fn combine(op: Operator, left: Typed, right: Typed, whole: &Expr) -> Result<Typed> {
    let (left, right) = meet(left, right, whole)?;
    let nullable = left.nullable() || right.nullable();
    match (left.dtype(), right.dtype()) {
        (DataType::Boolean | DataType::Null, DataType::Boolean | DataType::Null) => {
            let (left, right) = (left.to(&DataType::Boolean, ""), right.to(&DataType::Boolean, ""));
            if right.fallible() && op != Operator::Xor {
                let field = Field::new(left.field().name(), DataType::Boolean, nullable);
                let and = op == Operator::And;
                return Ok(Typed::of(field, true, Step::Guarded { and, inputs: Arc::new([left, right]) }));
            }
            Ok(Typed::call(
                vec![left, right],
                DataType::Boolean,
                nullable,
                Arc::new(move |values, rows| match values {
                    [left, right] => Ok(Arc::new(kleene(op, left, right, rows)?)),
                    _ => Err(Error::Schema("logic has two sides".into())),
                }),
            ))
        }
        (l, r) if l.is_integer() && r.is_integer() => {
            let Some(dtype) = supertype(l, r) else { return Err(mismatch(whole, &left, &right, "")) };
            let inputs = vec![left.to(&dtype, ""), right.to(&dtype, "")];
            Ok(Typed::call(
                inputs,
                dtype,
                nullable,
                Arc::new(move |values, rows| match values {
                    [left, right] => bits(op, &left.rows(rows)?, &right.rows(rows)?),
                    _ => Err(Error::Schema("logic has two sides".into())),
                }),
            ))
        }
        _ => Err(mismatch(
            whole,
            &left,
            &right,
            "`&`, `|` and `^` take booleans; put each comparison in parentheses: (a < 1) & (b > 2)",
        )),
    }
}

fn booleans(value: &Value, rows: usize) -> Result<BooleanArray> {
    let array = value.rows(rows)?;
    array
        .as_boolean_opt()
        .cloned()
        .ok_or_else(|| Error::Schema(format!("expected bool, found {}", dtype_name(array.data_type()))))
}

fn kleene(op: Operator, left: &Value, right: &Value, rows: usize) -> Result<BooleanArray> {
    let (left, right) = (booleans(left, rows)?, booleans(right, rows)?);
    Ok(match op {
        Operator::And => boolean::and_kleene(&left, &right)?,
        Operator::Or => boolean::or_kleene(&left, &right)?,
        _ => cmp::neq(&left, &right)?,
    })
}

fn bits(op: Operator, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    downcast_integer_array!(
        left => {
            let right = right.as_primitive();
            Ok(Arc::new(match op {
                Operator::And => bitwise::bitwise_and(left, right)?,
                Operator::Or => bitwise::bitwise_or(left, right)?,
                _ => bitwise::bitwise_xor(left, right)?,
            }))
        },
        other => Err(Error::Schema(format!("expected integers, found {}", dtype_name(other)))),
    )
}

/// The mask with null as false.
pub(super) fn truths(mask: &BooleanArray) -> BooleanArray {
    if mask.null_count() == 0 { mask.clone() } else { arrow::compute::prep_null_mask_filter(mask) }
}

/// Some of the rows of `rows`, by their position among them.
pub(super) fn pick(rows: Rows<'_>, positions: UInt64Array) -> Result<UInt64Array> {
    match rows.picked {
        None => Ok(positions),
        Some(picked) => Ok(take(picked, &positions, None)?.as_primitive().clone()),
    }
}

/// `&` or `|` whose right side can fail.
pub(super) fn guarded(and: bool, inputs: &[Typed; 2], rows: Rows<'_>) -> Result<ArrayRef> {
    let [left, right] = inputs;
    let count = rows.count();
    let left = booleans(&left.value(rows)?, count)?;
    // `false &` and `true |` are decided
    let open: Vec<u64> = (0..count).filter(|i| left.is_null(*i) || left.value(*i) == and).map(|i| i as u64).collect();
    if open.is_empty() {
        return Ok(Arc::new(left));
    }
    let op = if and { Operator::And } else { Operator::Or };
    if open.len() == count {
        return Ok(Arc::new(kleene(op, &Value::Rows(Arc::new(left)), &right.value(rows)?, count)?));
    }
    let picked = pick(rows, UInt64Array::from(open.clone()))?;
    let some = booleans(&right.value(Rows { batch: rows.batch, picked: Some(&picked) })?, open.len())?;
    let mut places: Vec<Option<u64>> = vec![None; count];
    for (from, to) in open.iter().enumerate() {
        if let Some(place) = usize::try_from(*to).ok().and_then(|to| places.get_mut(to)) {
            *place = Some(from as u64);
        }
    }
    let spread = take(&some, &UInt64Array::from(places), None)?;
    Ok(Arc::new(kleene(op, &Value::Rows(Arc::new(left)), &Value::Rows(spread), count)?))
}
