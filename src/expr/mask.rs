//! The rows of a batch that satisfy predicates.

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{and_kleene, prep_null_mask_filter};

use super::Typed;
use crate::error::{Error, Result};

/// A mask without nulls of the rows for which all of `predicates` are true: where one is null, the row is not kept.
///
/// # Errors
/// What evaluating a predicate meets.
pub fn mask(predicates: &[Typed], batch: &RecordBatch) -> Result<BooleanArray> {
    let mut mask: Option<BooleanArray> = None;
    for predicate in predicates {
        let found = predicate.eval(batch)?;
        let found = as_mask(&found)?;
        mask = Some(match mask {
            Some(so_far) => and_kleene(&so_far, found)?,
            None => found.clone(),
        });
    }
    let mask = mask.unwrap_or_else(|| BooleanArray::from(vec![true; batch.num_rows()]));
    Ok(if mask.null_count() > 0 { prep_null_mask_filter(&mask) } else { mask })
}

/// A column of booleans.
///
/// # Errors
/// [`Error::Schema`] for any other type.
pub fn as_mask(column: &dyn Array) -> Result<&BooleanArray> {
    column
        .as_any()
        .downcast_ref()
        .ok_or_else(|| Error::Schema(format!("filter: expected a mask of booleans, found {}", column.data_type())))
}
