//! `when(…).then(…).otherwise(…)`: each value is evaluated only on the rows that take it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field};

use super::Expr;
use super::logic::pick;
use super::typing::{Rows, Step, Typed, Value, shortened};
use crate::dtype::{dtype_name, supertype, value_type};
use crate::error::{Error, Result};

/// Conditions in order, their values, and the value where none is true.
pub(super) struct Branch {
    conditions: Vec<Typed>,
    /// One more than conditions: the last is `otherwise`.
    values: Vec<Typed>,
}

/// The one type of several values, constants adapting to the columns among them; and the values in it.
pub(super) fn unify(values: Vec<Typed>, whole: &Expr) -> Result<(DataType, Vec<Typed>)> {
    let refused = |a: &DataType, b: &DataType| {
        Error::Schema(format!(
            "`{}`: expected values of one type, found {} and {}; cast one of them",
            shortened(whole),
            dtype_name(a),
            dtype_name(b)
        ))
    };
    let mut dtype: Option<DataType> = None;
    for value in values.iter().filter(|v| v.literal().is_none()) {
        let next = value_type(value.dtype());
        dtype = Some(match dtype {
            None => next.clone(),
            Some(dtype) => supertype(&dtype, next).ok_or_else(|| refused(&dtype, next))?,
        });
    }
    for literal in values.iter().filter_map(Typed::literal) {
        let met = match &dtype {
            Some(dtype) => literal.meet(dtype).map_err(|e| e.context(format!("`{}`", shortened(whole))))?.1,
            None => literal.dtype(),
        };
        dtype = Some(match dtype {
            None => met,
            Some(dtype) => supertype(&dtype, &met).ok_or_else(|| refused(&dtype, &met))?,
        });
    }
    let dtype = dtype.unwrap_or(DataType::Null);
    let mut out = Vec::with_capacity(values.len());
    for value in values {
        out.push(match value.literal() {
            Some(literal) => {
                let (literal, _) = literal.meet(&dtype)?;
                Typed::constant_of(&literal, &dtype).map_err(|_| refused(&dtype, &literal.dtype()))?
            }
            None => value.plain().to(&dtype, ""),
        });
    }
    Ok((dtype, out))
}

/// The typed form of a `when`.
pub(super) fn when(conditions: Vec<Typed>, values: Vec<Typed>, whole: &Expr) -> Result<Typed> {
    let (dtype, values) = unify(values, whole)?;
    let nullable = values.iter().any(Typed::nullable);
    let fallible = conditions.iter().chain(&values).any(Typed::fallible);
    let field = Field::new("literal", dtype, nullable);
    Ok(Typed::of(field, fallible, Step::Branch(Arc::new(Branch { conditions, values }))))
}

impl Branch {
    /// One value a row.
    pub fn value(&self, rows: Rows<'_>) -> Result<ArrayRef> {
        let count = rows.count();
        // which value each row takes, and the rows of each value
        let mut takes: Vec<Vec<u64>> = vec![Vec::new(); self.values.len()];
        let mut left: Vec<u64> = (0..count as u64).collect();
        for (condition, taken) in self.conditions.iter().zip(&mut takes) {
            if left.is_empty() {
                break;
            }
            let mask = evaluate(condition, rows, &left, count)?.rows(left.len())?;
            let mask = match mask.as_any().downcast_ref::<arrow::array::BooleanArray>() {
                Some(mask) => super::logic::truths(mask),
                None => return Err(Error::Schema("when: expected a condition (bool)".into())),
            };
            let mut open = Vec::new();
            for (row, yes) in left.iter().zip(mask.values()) {
                if yes { taken.push(*row) } else { open.push(*row) }
            }
            left = open;
        }
        if let Some(last) = takes.last_mut() {
            *last = left;
        }
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut place: Vec<(usize, usize)> = vec![(0, 0); count];
        for (value, taken) in self.values.iter().zip(&takes) {
            if taken.is_empty() {
                continue;
            }
            let value = evaluate(value, rows, taken, count)?;
            if taken.len() == count {
                return value.rows(count);
            }
            for (at, row) in taken.iter().enumerate() {
                if let Some(place) = usize::try_from(*row).ok().and_then(|row| place.get_mut(row)) {
                    *place = (arrays.len(), value.at(at));
                }
            }
            arrays.push(value.array().clone());
        }
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        match self.values.first() {
            Some(value) if arrays.is_empty() => Ok(arrow::array::new_empty_array(value.dtype())),
            _ => Ok(interleave(&arrays, &place)?),
        }
    }
}

/// `typed` on the rows at `positions` among `rows`.
fn evaluate(typed: &Typed, rows: Rows<'_>, positions: &[u64], count: usize) -> Result<Value> {
    if positions.len() == count {
        return typed.value(rows);
    }
    let picked = pick(rows, UInt64Array::from(positions.to_vec()))?;
    typed.value(Rows { batch: rows.batch, picked: Some(&picked) })
}
