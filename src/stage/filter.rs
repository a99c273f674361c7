//! `filter`: keeps the rows for which every predicate is true. A step; holds nothing.

use arrow::array::{Array, BooleanArray};
use arrow::compute::{and_kleene, filter_record_batch};

use crate::batch::bytes_held;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::expr::typing::Typed;
use crate::piece::{Held, Step};

/// The predicates of one `filter`, each of boolean type.
pub struct Filter {
    predicates: Vec<Typed>,
}

impl Filter {
    /// Keeps rows for which all of `predicates` are true; a null drops the row.
    pub fn new(predicates: Vec<Typed>) -> Self {
        Self { predicates }
    }
}

impl Step for Filter {
    fn apply(&self, held: Held, _: &Context) -> Result<Option<Held>> {
        let Held { batch, first, mut lease } = held;
        let mut mask: Option<BooleanArray> = None;
        for predicate in &self.predicates {
            let found = predicate.eval(&batch)?;
            let found = as_mask(&found)?;
            mask = Some(match mask {
                Some(so_far) => and_kleene(&so_far, found)?,
                None => found.clone(),
            });
        }
        let kept = mask.as_ref().map_or(batch.num_rows(), BooleanArray::true_count);
        let Some(mask) = mask.filter(|_| kept < batch.num_rows()) else {
            return Ok(Some(Held { batch, first, lease }));
        };
        if kept == 0 {
            return Ok(None);
        }
        lease.resize(lease.bytes().max(bytes_held(&batch)) * 2)?;
        let batch = filter_record_batch(&batch, &mask)?;
        lease.resize(bytes_held(&batch))?;
        Ok(Some(Held { batch, first, lease }))
    }
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
