//! Aggregates: states that take batches and merge.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use super::Expr;
use crate::error::{Error, Result};

/// How a quantile between two values is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearer of the two values.
    Nearest,
    /// The lower.
    Lower,
    /// The higher.
    Higher,
    /// Half way between.
    Midpoint,
    /// On the line between.
    Linear,
}

/// A summary of all rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    /// The sum; 0 of nothing.
    Sum,
    /// The mean; null of nothing.
    Mean,
    /// The smallest value.
    Min,
    /// The greatest value.
    Max,
    /// How many are not null.
    Count,
    /// How many rows.
    Len,
    /// How many different values, null being one.
    NUnique,
    /// The first row's.
    First,
    /// The last row's.
    Last,
    /// Standard deviation with `ddof`.
    Std(u8),
    /// Variance with `ddof`.
    Var(u8),
    /// The median.
    Median,
    /// A quantile, 0 to 1.
    Quantile(f64, Interpolation),
    /// Whether any is true.
    Any,
    /// Whether all are true.
    All,
}

impl std::fmt::Display for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}()")
    }
}

/// Aggregates resolved against a schema.
#[derive(Debug, Clone)]
pub struct Aggregation {
    schema: SchemaRef,
}

/// What has been seen so far.
pub struct State {}

/// Settles names and types of aggregate expressions.
///
/// # Errors
/// As [`super::resolve_all`].
pub fn resolve_aggregates(_exprs: &[Expr], _schema: &Schema) -> Result<Aggregation> {
    Err(Error::NotImplemented("agg".into()))
}

impl Aggregation {
    /// The schema of the one row.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// A state that has seen nothing.
    pub fn start(&self) -> State {
        State {}
    }
}

impl State {
    /// Takes the rows of a batch.
    ///
    /// # Errors
    /// As [`super::Typed::eval`].
    pub fn update(&mut self, _batch: &RecordBatch) -> Result<()> {
        Err(Error::NotImplemented("agg".into()))
    }

    /// Takes what `other` has seen, which came later.
    ///
    /// # Errors
    /// States of different aggregations.
    pub fn merge(&mut self, _other: State) -> Result<()> {
        Err(Error::NotImplemented("agg".into()))
    }

    /// The one row.
    ///
    /// # Errors
    /// Sums that overflow.
    pub fn finish(&self) -> Result<RecordBatch> {
        Err(Error::NotImplemented("agg".into()))
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        0
    }
}
