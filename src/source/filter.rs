//! Predicates that a reader applies itself: their columns are read first, the others only where a row is left.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};

use crate::batch::with_columns;
use crate::error::Result;
use crate::expr::mask::mask;
use crate::expr::{Expr, Typed, resolve_predicate};

/// The predicates of a run, over the first few of the columns that are read.
#[derive(Debug, Clone)]
pub struct RowFilter {
    predicates: Vec<Typed>,
    /// The predicates as the user would type them.
    shown: String,
    /// The columns that the predicates look at, which are the first to be read.
    schema: SchemaRef,
}

impl RowFilter {
    /// A filter of those of `predicates` that never fail: whether a failing one meets its value must not depend on
    /// what the reader does. Says which they are. `None` where there is none.
    ///
    /// # Errors
    /// A predicate that does not fit `schema`.
    pub fn of(predicates: &[Expr], schema: &Schema) -> Result<(Option<Self>, Vec<bool>)> {
        let mut taken = Vec::with_capacity(predicates.len());
        for predicate in predicates {
            taken.push(!predicate.columns().is_empty() && !resolve_predicate(predicate, schema)?.fallible());
        }
        let ours: Vec<&Expr> = predicates.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(p, _)| p).collect();
        if ours.is_empty() {
            return Ok((None, taken));
        }
        let wanted: Vec<String> = ours.iter().flat_map(|p| p.columns()).collect();
        let fields: Vec<_> = schema.fields().iter().filter(|f| wanted.contains(f.name())).cloned().collect();
        let schema = SchemaRef::new(Schema::new(fields));
        let shown = ours.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let predicates = ours.into_iter().map(|p| resolve_predicate(p, &schema)).collect::<Result<_>>()?;
        Ok((Some(Self { predicates, shown, schema }), taken))
    }

    /// How many columns the predicates look at.
    pub fn width(&self) -> usize {
        self.schema.fields().len()
    }

    /// Whether a predicate looks at the column `name`.
    pub fn needs(&self, name: &str) -> bool {
        self.schema.field_with_name(name).is_ok()
    }

    /// The columns that the predicates look at.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which of `rows` rows are left, by their values in the predicates' columns. Has no nulls.
    ///
    /// # Errors
    /// A value that does not convert into the announced type.
    pub fn mask(&self, columns: &[ArrayRef], rows: usize) -> Result<BooleanArray> {
        let announced = |(column, field): (&ArrayRef, &arrow::datatypes::FieldRef)| -> Result<ArrayRef> {
            let same = column.data_type() == field.data_type();
            Ok(if same { column.clone() } else { cast(column, field.data_type())? })
        };
        let columns = columns.iter().zip(self.schema.fields()).map(announced).collect::<Result<_>>()?;
        let batch: RecordBatch = with_columns(self.schema.clone(), columns, rows)?;
        mask(&self.predicates, &batch)
    }
}

impl std::fmt::Display for RowFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}
