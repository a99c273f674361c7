//! Row groups that their statistics rule out.

use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::compute::cast;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::guard::guarded;
use super::layout::Layout;
use crate::expr::Expr;
use crate::expr::prune::{ColumnStats, may_match};

/// Those of `groups` in which a row may satisfy all of `predicates`.
///
/// Statistics that are missing, or that cannot be read, rule nothing out.
pub fn keep(layout: &Layout, groups: &[usize], predicates: &[Expr]) -> Vec<usize> {
    let keep = |group: &usize| {
        let stats = GroupStats { layout, group: *group };
        predicates.iter().all(|p| guarded("statistics", || Ok(may_match(p, &layout.schema, &stats))).unwrap_or(true))
    };
    groups.iter().copied().filter(keep).collect()
}

struct GroupStats<'a> {
    layout: &'a Layout,
    group: usize,
}

impl GroupStats<'_> {
    fn converter(&self, column: &str) -> Option<StatisticsConverter<'_>> {
        let footer = self.layout.footer();
        let file = self.layout.metadata.schema();
        let converter = StatisticsConverter::try_new(column, file, footer.file_metadata().schema_descr()).ok()?;
        Some(converter.with_column_orders(footer.file_metadata().column_orders().map(Vec::as_slice)))
    }

    /// One value in the announced type.
    fn value(&self, column: &str, found: ArrayRef) -> Option<ArrayRef> {
        let field = self.layout.schema.field_with_name(column).ok()?;
        let found = cast(&found, field.data_type()).ok()?;
        (found.len() == 1 && found.is_valid(0)).then_some(found)
    }
}

impl ColumnStats for GroupStats<'_> {
    fn min(&self, column: &str) -> Option<ArrayRef> {
        let group = self.layout.footer().row_group(self.group);
        let found = self.converter(column)?.row_group_mins([group]).ok()?;
        self.value(column, found)
    }

    fn max(&self, column: &str) -> Option<ArrayRef> {
        let group = self.layout.footer().row_group(self.group);
        let found = self.converter(column)?.row_group_maxes([group]).ok()?;
        self.value(column, found)
    }

    fn null_count(&self, column: &str) -> Option<u64> {
        let group = self.layout.footer().row_group(self.group);
        // a writer that leaves the count out has not said that there are none
        let converter = self.converter(column)?.with_missing_null_counts_as_zero(false);
        let counts: UInt64Array = converter.row_group_null_counts([group]).ok()?;
        counts.iter().next().flatten()
    }

    fn row_count(&self) -> Option<u64> {
        u64::try_from(self.layout.footer().row_group(self.group).num_rows()).ok()
    }
}
