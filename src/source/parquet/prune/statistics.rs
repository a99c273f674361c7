//! What a footer says of the values in a row group.

use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::compute::cast;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::super::guard::guarded;
use super::super::layout::Layout;
use crate::expr::Expr;
use crate::expr::prune::{ColumnStats, may_match};

/// Those of `groups` in which a row may satisfy all of `predicates`.
///
/// Statistics that are missing, or that cannot be read, rule nothing out.
pub fn keep(layout: &Layout, groups: &[usize], predicates: &[Expr]) -> Vec<usize> {
    let keep = |group: &usize| {
        let stats = GroupStats { layout, group: *group };
        guarded("statistics", || Ok(may_match(predicates, &layout.schema, &stats))).unwrap_or(true)
    };
    groups.iter().copied().filter(keep).collect()
}

/// The statistics of one row group.
#[derive(Clone, Copy)]
pub struct GroupStats<'a> {
    /// The footer.
    pub layout: &'a Layout,
    /// The row group.
    pub group: usize,
}

/// What reads the statistics of `column`.
pub fn converter<'a>(layout: &'a Layout, column: &str) -> Option<StatisticsConverter<'a>> {
    let footer = layout.footer();
    let file = layout.metadata.schema();
    let converter = StatisticsConverter::try_new(column, file, footer.file_metadata().schema_descr()).ok()?;
    let converter = converter.with_column_orders(footer.file_metadata().column_orders().map(Vec::as_slice));
    // a writer that leaves the count out has not said that there are none
    Some(converter.with_missing_null_counts_as_zero(false))
}

/// Bounds in the announced type of `column`.
pub fn announced(layout: &Layout, column: &str, found: &ArrayRef) -> Option<ArrayRef> {
    cast(found, layout.schema.field_with_name(column).ok()?.data_type()).ok()
}

impl GroupStats<'_> {
    /// One value in the announced type.
    fn value(&self, column: &str, found: &ArrayRef) -> Option<ArrayRef> {
        let found = announced(self.layout, column, found)?;
        (found.len() == 1 && found.is_valid(0)).then_some(found)
    }
}

impl ColumnStats for GroupStats<'_> {
    fn min(&self, column: &str) -> Option<ArrayRef> {
        let group = self.layout.footer().row_group(self.group);
        let found = converter(self.layout, column)?.row_group_mins([group]).ok()?;
        self.value(column, &found)
    }

    fn max(&self, column: &str) -> Option<ArrayRef> {
        let group = self.layout.footer().row_group(self.group);
        let found = converter(self.layout, column)?.row_group_maxes([group]).ok()?;
        self.value(column, &found)
    }

    fn null_count(&self, column: &str) -> Option<u64> {
        let group = self.layout.footer().row_group(self.group);
        let counts: UInt64Array = converter(self.layout, column)?.row_group_null_counts([group]).ok()?;
        counts.iter().next().flatten()
    }

    fn row_count(&self) -> Option<u64> {
        u64::try_from(self.layout.footer().row_group(self.group).num_rows()).ok()
    }
}
