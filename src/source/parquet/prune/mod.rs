//! What predicates rule out, before a page of rows is read.
//!
//! | file | what rules out | when |
//! |---|---|---|
//! | `statistics` | row groups, by the bounds in the footer | when a plan pushes its predicates |
//! | `bloom` | row groups, by values that they do not have | when a run reaches the row group |
//! | `dictionary` | row groups, by all values that a column has | then |
//! | `pages` | rows, by the bounds in the page index | then |
//!
//! All of them err on one side: rows that might be kept are read, and every row that is read is judged by its values. So
//! nothing here changes an answer, and whatever is missing, damaged or too large is left aside.

mod bloom;
mod dictionary;
mod pages;
mod statistics;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use arrow::array::{Array, ArrayRef};
use parquet::file::metadata::ColumnChunkMetaData;

use self::dictionary::ByDictionary;
use self::pages::{Bounds, Indexes, Pages};
use self::statistics::GroupStats;
pub use self::statistics::keep;
use super::codec::Desk;
use super::guard::guarded;
use super::layout::{Column, Layout};
use super::rows::Rows;
use crate::context::{Context, Counters};
use crate::error::Result;
use crate::expr::prune::{ColumnStats, may_match};
use crate::expr::{Expr, Literal, Operator};
use crate::memory::Holder;
use crate::source::read_at::ReadAt;

/// After so many row groups in a row that dictionaries or filters did not rule out, they are not asked any more.
const IN_VAIN: u32 = 8;
/// Rows between two ranges that are read rather than left out: a range costs a hand-over and a copy.
const GAP: u64 = 1_000;
/// Comparisons with the bounds of pages that one row group is worth; each takes a microsecond or two.
const COMPARISONS: usize = 20_000;

/// What the predicates of a plan can be judged by, beside the statistics in the footer.
#[derive(Debug, Default)]
pub struct Pruning {
    /// All of them; a row that is kept satisfies every one.
    predicates: Vec<Expr>,
    /// By the columns that they look at.
    sets: Vec<Set>,
    /// Columns that are compared for equality with constants.
    equal: BTreeSet<String>,
    dictionaries: Vec<ByDictionary>,
}

/// Predicates over the same columns.
#[derive(Debug)]
struct Set {
    columns: Vec<String>,
    predicates: Vec<Expr>,
    /// Comparisons that judging one page takes.
    effort: usize,
}

impl Pruning {
    /// For `predicates` over the columns of `layout`.
    pub fn new(layout: &Layout, predicates: &[Expr]) -> Self {
        let predicates: Vec<Expr> = predicates.iter().flat_map(Expr::conjuncts).collect();
        let mut sets: Vec<Set> = Vec::new();
        for predicate in &predicates {
            let mut columns = predicate.columns();
            columns.sort_unstable();
            let effort = effort(predicate);
            match sets.iter_mut().find(|set| set.columns == columns) {
                Some(set) => {
                    set.predicates.push(predicate.clone());
                    set.effort += effort;
                }
                None => sets.push(Set { columns, predicates: vec![predicate.clone()], effort }),
            }
        }
        let equal: BTreeSet<String> = predicates.iter().flat_map(equal).collect();
        let dictionaries = sets.iter().filter_map(|set| {
            let [name] = set.columns.as_slice() else { return None };
            let column = layout.columns.iter().find(|c| c.name == *name)?;
            let text = crate::dtype::value_type(&column.announced).is_string();
            (text || equal.contains(name)).then(|| ByDictionary::new(column, &set.predicates))?
        });
        Self { dictionaries: dictionaries.collect(), predicates, sets, equal }
    }

    /// Whether there is no predicate.
    pub fn is_empty(&self) -> bool {
        self.predicates.is_empty()
    }

    /// The predicates as the user would type them.
    pub fn shown(&self) -> String {
        self.predicates.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    }

    /// What `groups` have that the predicates can be judged by, for `explain()`.
    pub fn kinds(&self, layout: &Layout, groups: &[usize], columns: &[Column]) -> Vec<&'static str> {
        let any = |of: &dyn Fn(usize) -> bool| groups.iter().any(|group| of(*group));
        let indexed = |group: usize| {
            let has = |name: &String| leaf(layout, group, name).is_some_and(|c| c.column_index_range().is_some());
            self.sets.iter().any(|set| set.columns.iter().any(has))
        };
        let filtered =
            |group: usize| self.equal.iter().any(|name| leaf(layout, group, name).is_some_and(bloom::has_filter));
        let by_dictionary =
            |group: usize| self.dictionaries.iter().any(|d| d.applies(layout, group, stored(layout, group, columns)));
        let mut kinds = vec!["statistics"];
        kinds.extend(any(&indexed).then_some("page index"));
        kinds.extend(any(&filtered).then_some("bloom filter"));
        kinds.extend(any(&by_dictionary).then_some("dictionary"));
        kinds
    }
}

/// The one leaf of the root column `name` in row group `group`, if it has one.
fn leaf<'a>(layout: &'a Layout, group: usize, name: &str) -> Option<&'a ColumnChunkMetaData> {
    let column = layout.columns.iter().find(|c| c.name == name)?;
    let group = layout.footer().row_groups().get(group)?;
    (column.leaves.len() == 1).then(|| group.column(column.leaves.start))
}

/// Bytes that `columns` take in row group `group`, in the file.
pub fn stored(layout: &Layout, group: usize, columns: &[Column]) -> u64 {
    let Some(group) = layout.footer().row_groups().get(group) else { return 0 };
    let leaves = columns.iter().flat_map(|c| c.leaves.clone());
    leaves.map(|leaf| u64::try_from(group.column(leaf).compressed_size()).unwrap_or(0)).sum()
}

/// Comparisons with constants, and whatever else takes a look at bounds.
fn effort(predicate: &Expr) -> usize {
    1 + match predicate {
        Expr::Binary { left, right, .. } => effort(left) + effort(right),
        Expr::Not(input) | Expr::Alias { input, .. } => effort(input),
        Expr::IsIn { values, .. } => values.len(),
        _ => 0,
    }
}

/// The columns that `predicate` compares for equality with constants, anywhere.
fn equal(predicate: &Expr) -> Vec<String> {
    match predicate {
        Expr::Binary { op: Operator::Eq | Operator::NotEq, left, right } => match (&**left, &**right) {
            (Expr::Column(name), Expr::Literal(value)) | (Expr::Literal(value), Expr::Column(name))
                if *value != Literal::Null =>
            {
                vec![name.clone()]
            }
            _ => vec![],
        },
        Expr::Binary { op: Operator::And | Operator::Or, left, right } => [equal(left), equal(right)].concat(),
        Expr::Not(input) | Expr::Alias { input, .. } => equal(input),
        Expr::IsIn { input, .. } => match &**input {
            Expr::Column(name) => vec![name.clone()],
            _ => vec![],
        },
        _ => vec![],
    }
}

/// Prunes for one run, row group by row group, in order.
pub struct Pruner {
    at: Arc<dyn ReadAt>,
    layout: Arc<Layout>,
    pruning: Arc<Pruning>,
    /// The columns that are read.
    columns: Arc<[Column]>,
    counters: Arc<Counters>,
    holder: Holder,
    /// What it takes to decompress a dictionary.
    desk: Arc<Desk>,
    /// The most bytes that an index may take.
    most: usize,
    /// Row groups in a row that filters, and dictionaries, were asked about in vain.
    in_vain: [AtomicU32; 2],
}

impl Pruner {
    /// For a run that reads `columns`.
    pub fn new(
        at: Arc<dyn ReadAt>,
        layout: Arc<Layout>,
        pruning: Arc<Pruning>,
        columns: Arc<[Column]>,
        counters: Arc<Counters>,
        desk: Arc<Desk>,
        context: &Context,
    ) -> Self {
        let holder = context.memory.holder("parquet page index", None);
        let most = context.options.memory_limit.map_or(32 << 20, |limit| (limit / 8).min(32 << 20));
        Self { at, layout, pruning, columns, counters, holder, desk, most, in_vain: Default::default() }
    }

    /// Row groups that were left out before the run.
    pub fn left_out(&self, groups: impl Iterator<Item = usize>) {
        // all figures are there, also those that stay 0
        for figure in ["row groups pruned", "pages pruned", "rows pruned", "bytes pruned"] {
            self.counters.add(figure, 0);
        }
        groups.for_each(|group| self.count(group));
    }

    fn count(&self, group: usize) {
        let rows = u64::try_from(self.layout.footer().row_group(group).num_rows()).unwrap_or(0);
        self.counters.add("row groups pruned", 1);
        self.counters.add("rows pruned", rows);
        self.counters.add("bytes pruned", stored(&self.layout, group, &self.columns));
    }

    /// The rows of row group `group` that are to be read, maybe none, and the bytes of pages that they do not need.
    ///
    /// # Errors
    /// A file that cannot be read, memory that is not there.
    pub fn judge(&self, group: usize) -> Result<(Rows, u64)> {
        let rows = u64::try_from(self.layout.footer().row_group(group).num_rows()).unwrap_or(0);
        if self.pruning.is_empty() || rows == 0 {
            return Ok((Rows::all(rows), 0));
        }
        if self.filtered_out(group)? || self.out_by_dictionary(group)? {
            self.count(group);
            return Ok((Rows::of([], None), 0));
        }
        let (kept, bytes) = self.rows(group, rows, true)?;
        if kept.count() == 0 {
            self.count(group);
        }
        Ok((kept, bytes))
    }

    /// The rows alone, of a row group that was judged before.
    ///
    /// # Errors
    /// As [`Pruner::judge`].
    pub fn again(&self, group: usize) -> Result<Rows> {
        let rows = u64::try_from(self.layout.footer().row_group(group).num_rows()).unwrap_or(0);
        Ok(self.rows(group, rows, false)?.0)
    }

    /// Whether `ask` rules out; it is not asked once it was asked in vain too often.
    fn asked(&self, which: usize, ask: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let in_vain = &self.in_vain[which];
        if in_vain.load(Relaxed) >= IN_VAIN {
            return Ok(false);
        }
        let out = ask()?;
        in_vain.store(if out { 0 } else { in_vain.load(Relaxed) + 1 }, Relaxed);
        Ok(out)
    }

    fn filtered_out(&self, group: usize) -> Result<bool> {
        let has = |name: &String| leaf(&self.layout, group, name).is_some_and(bloom::has_filter);
        if !self.pruning.equal.iter().any(has) {
            return Ok(false);
        }
        self.asked(0, || {
            let failed = std::cell::Cell::new(None);
            let stats = Filtered { of: GroupStats { layout: &self.layout, group }, at: &*self.at, failed: &failed };
            let judge = || Ok(may_match(&self.pruning.predicates, &self.layout.schema, &stats));
            let may = guarded("bloom filter", judge).unwrap_or(true);
            failed.take().map_or(Ok(!may), Err)
        })
    }

    fn out_by_dictionary(&self, group: usize) -> Result<bool> {
        let stored = stored(&self.layout, group, &self.columns);
        let mut able = self.pruning.dictionaries.iter().filter(|d| d.applies(&self.layout, group, stored)).peekable();
        if able.peek().is_none() {
            return Ok(false);
        }
        self.asked(1, || {
            for dictionary in able {
                let held = (&self.holder, self.most / 4);
                if !dictionary.may_match(&self.layout, group, &self.at, &self.desk, held)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// The rows in whose pages a row may be kept.
    fn rows(&self, group: usize, rows: u64, count: bool) -> Result<(Rows, u64)> {
        let from = Indexes { at: &*self.at, holder: &self.holder, most: self.most };
        let mut kept: Option<Vec<Range<u64>>> = None;
        let mut known: Vec<(String, Option<(Pages, Bounds)>)> = Vec::new();
        for set in &self.pruning.sets {
            for name in &set.columns {
                if !known.iter().any(|(known, _)| known == name) {
                    known.push((name.clone(), self.indexed(group, rows, name, &from)?));
                }
            }
            let columns: Vec<(&str, &Pages, &Bounds)> = known
                .iter()
                .filter(|(name, _)| set.columns.contains(name))
                .filter_map(|(name, index)| index.as_ref().map(|(pages, bounds)| (name.as_str(), pages, bounds)))
                .collect();
            if columns.is_empty() {
                continue;
            }
            let Some(found) = self.matching(set, &columns, GroupStats { layout: &self.layout, group }) else {
                continue;
            };
            kept = Some(match kept {
                Some(kept) => intersection(&kept, &found),
                None => found,
            });
        }
        drop(known);
        let Some(kept) = kept else { return Ok((Rows::all(rows), 0)) };
        let kept = joined(kept);
        let lease = self.holder.lease(kept.len() * size_of::<(Range<u64>, u64)>())?;
        let kept = Rows::of(kept, Some(lease));
        let bytes =
            if count && (1..rows).contains(&kept.count()) { self.count_pages(group, rows, &kept, &from)? } else { 0 };
        Ok((kept, bytes))
    }

    fn indexed(&self, group: usize, rows: u64, name: &str, from: &Indexes<'_>) -> Result<Option<(Pages, Bounds)>> {
        let Some(column) = leaf(&self.layout, group, name).filter(|c| c.column_index_range().is_some()) else {
            return Ok(None);
        };
        // a page of a list begins anywhere in a row
        if column.column_descr().max_rep_level() > 0 {
            return Ok(None);
        }
        let Some(pages) = Pages::read(column, rows, from)?.filter(|pages| pages.len() > 1) else { return Ok(None) };
        let bounds = Bounds::read(&self.layout, (name, column), &pages, from)?;
        Ok(bounds.map(|bounds| (pages, bounds)))
    }

    /// The ranges of rows between the borders of `columns`' pages in which `set` may be true; `None` where it takes too
    /// long to tell.
    fn matching(
        &self,
        set: &Set,
        columns: &[(&str, &Pages, &Bounds)],
        group: GroupStats<'_>,
    ) -> Option<Vec<Range<u64>>> {
        let mut borders: Vec<u64> = columns.iter().flat_map(|(_, pages, _)| pages.borders().iter().copied()).collect();
        borders.sort_unstable();
        borders.dedup();
        if borders.len().saturating_mul(set.effort) > COMPARISONS {
            return None;
        }
        let may = |range: &Range<u64>| {
            let stats = Stretch { columns, range: range.clone(), group };
            guarded("page index", || Ok(may_match(&set.predicates, &self.layout.schema, &stats))).unwrap_or(true)
        };
        Some(borders.windows(2).map(|pair| pair[0]..pair[1]).filter(may).collect())
    }

    /// Counts the rows, and the pages of all columns, that are not among `kept`; the bytes of these pages.
    fn count_pages(&self, group: usize, rows: u64, kept: &Rows, from: &Indexes<'_>) -> Result<u64> {
        let (mut pages, mut bytes) = (0, 0);
        for leaf in self.columns.iter().flat_map(|c| c.leaves.clone()) {
            let column = self.layout.footer().row_group(group).column(leaf);
            // a page of a list may hold rows of the next one
            if column.column_descr().max_rep_level() > 0 {
                continue;
            }
            let Some(index) = Pages::read(column, rows, from)? else { continue };
            for (_, stored) in index.each().filter(|(range, _)| !kept.meets(range)) {
                pages += 1;
                bytes += stored;
            }
        }
        self.counters.add("pages pruned", pages);
        self.counters.add("rows pruned", rows - kept.count());
        self.counters.add("bytes pruned", bytes);
        Ok(bytes)
    }
}

/// Ranges with small gaps between them, as one.
fn joined(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start - last.end < GAP => last.end = range.end,
            _ => out.push(range),
        }
    }
    out
}

/// What two lists of ranges, each in order, have in common.
fn intersection(a: &[Range<u64>], b: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let both = x.start.max(y.start)..x.end.min(y.end);
        if !both.is_empty() {
            out.push(both);
        }
        if x.end < y.end { i += 1 } else { j += 1 }
    }
    out
}

/// The statistics of a row group, with its Bloom filters.
struct Filtered<'a> {
    of: GroupStats<'a>,
    at: &'a dyn ReadAt,
    /// Why the file could not be read.
    failed: &'a std::cell::Cell<Option<crate::error::Error>>,
}

impl ColumnStats for Filtered<'_> {
    fn min(&self, column: &str) -> Option<ArrayRef> {
        self.of.min(column)
    }

    fn max(&self, column: &str) -> Option<ArrayRef> {
        self.of.max(column)
    }

    fn null_count(&self, column: &str) -> Option<u64> {
        self.of.null_count(column)
    }

    fn row_count(&self) -> Option<u64> {
        self.of.row_count()
    }

    fn lacks(&self, column: &str, value: &ArrayRef) -> bool {
        let filtered = leaf(self.of.layout, self.of.group, column).filter(|c| bloom::has_filter(c));
        match filtered.map_or(Ok(false), |column| bloom::lacks(self.at, column, value)) {
            Ok(lacks) => lacks,
            Err(crate::error::Error::Format(_)) => false,
            Err(e) => {
                self.failed.set(Some(e));
                false
            }
        }
    }
}

/// What the page index says of rows that lie within one page of each column.
struct Stretch<'a> {
    columns: &'a [(&'a str, &'a Pages, &'a Bounds)],
    range: Range<u64>,
    group: GroupStats<'a>,
}

impl Stretch<'_> {
    fn bound(&self, column: &str, of: impl Fn(&Bounds) -> &ArrayRef) -> Option<ArrayRef> {
        let (_, pages, bounds) = self.columns.iter().find(|(name, ..)| *name == column)?;
        let page = pages.at(self.range.start);
        let found = of(bounds);
        (page < found.len() && found.is_valid(page)).then(|| found.slice(page, 1))
    }
}

impl ColumnStats for Stretch<'_> {
    fn min(&self, column: &str) -> Option<ArrayRef> {
        self.bound(column, |bounds| &bounds.min).or_else(|| self.group.min(column))
    }

    fn max(&self, column: &str) -> Option<ArrayRef> {
        self.bound(column, |bounds| &bounds.max).or_else(|| self.group.max(column))
    }

    fn null_count(&self, column: &str) -> Option<u64> {
        let rows = self.range.end - self.range.start;
        let page = |(_, pages, bounds): &(&str, &Pages, &Bounds)| {
            let page = pages.at(self.range.start);
            Some((bounds.nulls.get(page).copied().flatten()?, pages.rows(page)))
        };
        let (nulls, all) = match self.columns.iter().find(|(name, ..)| *name == column) {
            Some(column) => page(column)?,
            None => (self.group.null_count(column)?, self.group.row_count()?),
        };
        // of a part of the rows it is known only where it holds for each of them
        if nulls == 0 { Some(0) } else { (nulls == all).then_some(rows) }
    }

    fn row_count(&self) -> Option<u64> {
        Some(self.range.end - self.range.start)
    }
}
