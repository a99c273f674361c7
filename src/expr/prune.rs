//! What statistics can rule out.

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;

use super::Expr;

/// Statistics of a batch of rows that has not been read.
pub trait ColumnStats {
    /// A lower bound of the column's values that are not null: an array of one row.
    fn min(&self, column: &str) -> Option<ArrayRef>;
    /// An upper bound.
    fn max(&self, column: &str) -> Option<ArrayRef>;
    /// How many of the rows are null in the column.
    fn null_count(&self, column: &str) -> Option<u64>;
    /// How many rows.
    fn row_count(&self) -> Option<u64>;
}

/// Whether a row that satisfies `predicate` can be among the rows; false only where statistics exclude it.
pub fn may_match(_predicate: &Expr, _schema: &Schema, _stats: &dyn ColumnStats) -> bool {
    true
}
