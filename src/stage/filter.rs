//! `filter`: keeps the rows for which every predicate is true. A step; holds nothing.

use arrow::compute::filter_record_batch;

use crate::batch::bytes_held;
use crate::context::Context;
use crate::error::Result;
use crate::expr::Typed;
use crate::expr::mask::mask;
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
        let mask = mask(&self.predicates, &batch)?;
        let kept = mask.true_count();
        if kept == batch.num_rows() {
            return Ok(Some(Held { batch, first, lease }));
        }
        if kept == 0 {
            return Ok(None);
        }
        lease.resize(lease.bytes().max(bytes_held(&batch)) * 2)?;
        let batch = filter_record_batch(&batch, &mask)?;
        lease.resize(bytes_held(&batch))?;
        Ok(Some(Held { batch, first, lease }))
    }
}
