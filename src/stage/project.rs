//! `select`, `with_columns`, `rename`, `drop`, `cast`, `fill_null`: one list of expressions each. A step; holds nothing.

use arrow::datatypes::{Schema, SchemaRef};
use std::sync::Arc;

use crate::batch::{bytes_held, with_columns};
use crate::context::Context;
use crate::error::Result;
use crate::expr::typing::Typed;
use crate::piece::{Held, Step};

/// The columns of the result, as expressions over the input. Columns that pass through are not copied.
pub struct Project {
    columns: Vec<Typed>,
    schema: SchemaRef,
}

impl Project {
    /// A projection to `columns`, in this order.
    pub fn new(columns: Vec<Typed>) -> Self {
        let fields: Vec<_> = columns.iter().map(|c| c.field().clone()).collect();
        Self { columns, schema: Arc::new(Schema::new(fields)) }
    }

    /// The schema of the result.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Step for Project {
    fn apply(&self, held: Held, _: &Context) -> Result<Option<Held>> {
        let Held { batch, first, mut lease } = held;
        let computed: usize = self.columns.iter().filter_map(|c| c.field().data_type().primitive_width()).sum();
        lease.resize(lease.bytes() + computed * batch.num_rows())?;
        let columns = self.columns.iter().map(|c| c.eval(&batch)).collect::<Result<Vec<_>>>()?;
        let rows = batch.num_rows();
        drop(batch);
        let batch = with_columns(self.schema.clone(), columns, rows)?;
        lease.resize(bytes_held(&batch))?;
        Ok(Some(Held { batch, first, lease }))
    }
}
