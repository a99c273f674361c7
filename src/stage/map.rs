//! `map`, `filter(fn)`, `inspect`: functions of the caller's on batches, one at a time, on the consumer's thread.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::batch::bytes_held;
use crate::call::{Call, Kind, Returned};
use crate::context::Context;
use crate::dtype::{dtype_name, supertype};
use crate::error::{Error, Result};
use crate::expr::mask::as_mask;
use crate::fit::{Extra, Fit, Missing, widens};
use crate::memory::Holder;
use crate::piece::{Held, Pull};

/// A stage of the caller's.
pub struct Map {
    input: Pull,
    call: Arc<dyn Call>,
    kind: Kind,
    /// The schema of every result; the first result decides where none was given.
    schema: Option<SchemaRef>,
    given: bool,
    first: Option<Held>,
    holder: Holder,
}

impl Map {
    /// `input` through `call`.
    pub fn new(input: Pull, call: Arc<dyn Call>, kind: Kind, schema: Option<SchemaRef>, context: &Context) -> Self {
        let holder = context.memory.holder(call.name(), None);
        let given = schema.is_some();
        Self { input, call, kind, schema, given, first: None, holder }
    }

    /// The schema, for which the first result is made if nobody gave one; `otherwise` if there is no result at all.
    ///
    /// # Errors
    /// Whatever making the first result meets.
    pub fn decide(&mut self, otherwise: &SchemaRef) -> Result<SchemaRef> {
        if self.schema.is_none() {
            self.first = self.advance()?;
        }
        Ok(self.schema.get_or_insert_with(|| otherwise.clone()).clone())
    }

    fn advance(&mut self) -> Result<Option<Held>> {
        loop {
            let Some(held) = self.input.next() else { return Ok(None) };
            if let Some(out) = self.called(held?)? {
                return Ok(Some(out));
            }
        }
    }

    fn called(&mut self, held: Held) -> Result<Option<Held>> {
        let Held { batch, first, lease } = held;
        let exported = lease.holder().pool().export(lease.bytes());
        match (self.kind, self.call.call(batch.clone(), exported)?) {
            (Kind::Map, Returned::Batch(out)) => {
                drop((batch, lease));
                let out = self.fitted(out)?;
                let lease = self.holder.lease(bytes_held(&out))?;
                Ok(Some(Held { batch: out, first, lease }))
            }
            (Kind::Map, _) => Ok(None),
            (Kind::Mask, Returned::Mask(mask)) => {
                let mask = as_mask(&mask)?;
                if mask.len() != batch.num_rows() {
                    return Err(Error::Schema(format!(
                        "{}: expected a mask of {} rows, found {}",
                        self.call.name(),
                        batch.num_rows(),
                        mask.len()
                    )));
                }
                let batch = filter_record_batch(&batch, mask)?;
                Ok((batch.num_rows() > 0).then_some(Held { batch, first, lease }))
            }
            (Kind::Mask, _) => Err(Error::Type(format!("{}: expected a mask of booleans", self.call.name()))),
            (Kind::Look, _) => Ok(Some(Held { batch, first, lease })),
        }
    }

    fn fitted(&mut self, out: RecordBatch) -> Result<RecordBatch> {
        match &self.schema {
            None => {
                self.schema = Some(out.schema());
                Ok(out)
            }
            Some(schema) if *schema == out.schema() => Ok(out),
            Some(schema) => {
                let found = out.schema();
                Fit::new(&found, schema, &[], Missing::Raise, Extra::Raise, &self.call.name())
                    .and_then(|fit| fit.apply(out))
                    .map_err(|e| self.drift(schema, &found, &e))
            }
        }
    }

    /// A result that does not fit what was announced, with the schema to paste: one that holds both where types differ.
    fn drift(&self, schema: &Schema, found: &Schema, error: &Error) -> Error {
        let announced = if self.given { "the schema that was given" } else { "its first result" };
        let mut remedy = format!("return the columns of {announced} each time, or pass another than");
        let mut pasted = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let announced = field.data_type();
            let found = found.field_with_name(field.name()).map_or(announced, Field::data_type);
            let both = supertype(announced, found).filter(|both| widens(announced, both) && widens(found, both));
            let both = both.unwrap_or_else(|| announced.clone());
            if &both != announced {
                "pass".clone_into(&mut remedy);
            }
            pasted.push(format!("{:?}: {:?}", field.name(), dtype_name(&both)));
        }
        // files have other remedies
        let error = error.to_string();
        let error = error.split("; pass ").next().unwrap_or_default();
        Error::Schema(format!("{error}; {remedy} schema={{{}}}", pasted.join(", ")))
    }
}

impl Iterator for Map {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Result<Held>> {
        if let Some(held) = self.first.take() {
            return Some(Ok(held));
        }
        self.advance().transpose()
    }
}
