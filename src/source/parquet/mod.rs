//! One Parquet file as a source.
//!
//! | file | what it does |
//! |---|---|
//! | `layout` | the footer: columns, announced types, bytes of a row |
//! | `narrow` | nested columns of which some leaves are left out |
//! | `types` | the type of a column, by the file and by its writer's advice |
//! | `wellformed` | what a footer must not say |
//! | `prune/` | row groups and rows that statistics, page index, Bloom filters and dictionaries rule out |
//! | `rows` | the rows of a row group that are read |
//! | `pieces` | a run: row groups → windows → batches |
//! | `windows` | a piece as windows, narrower where its rows turn out wide |
//! | `join` | small row groups that make one batch |
//! | `lanes` | one row group decoded by several workers, in order |
//! | `board` | what is to be done for its windows, and who does it |
//! | `decoder` | one column: ours or the crate's |
//! | `flat/` | our decoder of flat columns |
//! | `nested/` | our decoder of lists, structs and maps; the crate's takes the rest |
//! | `foreign` | the crate's decoder over our pages |
//! | `room` | what it takes to decode a window of it |
//! | `pages` | the pages of a column: judged, leased, read, verified, decompressed |
//! | `header` | what a page header says |
//! | `delta` | what it takes to decode a page in a DELTA encoding |
//! | `codec` | how pages are compressed |
//! | `snappy` | the codec that most files have |
//! | `compact` | the protocol in which headers and footers are written |
//! | `guard` | a decoder that panics is a damaged file |
//!
//! The way of a batch: [`ParquetSource::push`] chooses columns, row groups and the predicates that the reader applies;
//! `ParquetPieces::next` looks what a row group's own indexes rule out, and cuts the next window of what is left; a
//! worker's `open` takes it through the lanes, each of which pulls pages as it needs them. `flat` and `nested` decode
//! straight into the announced layout; text from the crate's decoder comes as views and is copied into it. The batch goes on with its bytes leased.

mod board;
mod codec;
mod compact;
mod decoder;
mod delta;
mod flat;
mod foreign;
mod guard;
mod header;
mod join;
mod lanes;
mod layout;
mod narrow;
mod nested;
mod pages;
mod pieces;
mod prune;
mod room;
mod rows;
mod snappy;
#[cfg(test)]
mod tests;
mod types;
mod wellformed;
mod windows;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};

use self::layout::{Column, Layout};
use self::narrow::Narrowed;
pub use self::narrow::roots;
use self::pieces::ParquetPieces;
use self::prune::Pruning;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::piece::{Pieces, Place, Pushdown, Pushed, Source};
use crate::source::filter::RowFilter;
use crate::source::read_at::ReadAt;

/// One Parquet file: its footer, and what a plan wants of it. Holds the footer, and no open file.
#[derive(Debug)]
pub struct ParquetSource {
    at: Arc<dyn ReadAt>,
    layout: Arc<Layout>,
    schema: SchemaRef,
    /// The columns that are read, in file order.
    columns: Arc<[Column]>,
    /// For each column of `schema`, its position in `columns` and its announced type.
    order: Vec<(usize, DataType)>,
    /// The row groups that are read.
    groups: Vec<usize>,
    /// What rules row groups out, and rows.
    pruning: Arc<Pruning>,
    /// What is applied to every row; its columns are the first of `columns`.
    filter: Option<Arc<RowFilter>>,
    limit: Option<u64>,
}

impl ParquetSource {
    /// Reads the footer of `at`; the file is open only for that.
    ///
    /// # Errors
    /// [`Error::Format`] for whatever is no Parquet file.
    pub fn open(at: Arc<dyn ReadAt>) -> Result<Arc<Self>> {
        Self::open_for(at, &[])
    }

    /// As `open`; a path among `wanted` that leads into a nested column (`a.b`) leaves the column with the leaves that
    /// such paths lead to. All columns are there, whether they are named or not.
    ///
    /// # Errors
    /// As `open`, and [`Error::ColumnNotFound`] for a path that leads into a column and ends nowhere.
    pub fn open_for(at: Arc<dyn ReadAt>, wanted: &[String]) -> Result<Arc<Self>> {
        let layout = Arc::new(Layout::read(&*at, wanted)?);
        let at = at.closed().unwrap_or(at);
        let groups = (0..layout.footer().num_row_groups()).collect();
        let order = layout.columns.iter().enumerate().map(|(i, c)| (i, c.announced.clone())).collect();
        let (schema, columns) = (layout.schema.clone(), layout.columns.clone().into());
        Ok(Arc::new(Self {
            at,
            layout,
            schema,
            columns,
            order,
            groups,
            pruning: Arc::default(),
            filter: None,
            limit: None,
        }))
    }

    fn name(&self) -> &str {
        self.at.name()
    }
}

impl Source for ParquetSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn push(&self, wish: &Pushdown) -> Result<Pushed> {
        let mut names: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
        if let Some(wanted) = &wish.columns {
            if let Some(missing) = wanted.iter().find(|w| !names.contains(&w.as_str())) {
                return Err(Error::no_column(missing, names));
            }
            names = wanted.iter().map(String::as_str).collect();
        }
        // behind a limit, a predicate would see rows that the limit has cut off
        let judged = if self.limit.or(wish.limit).is_none() { &wish.predicates[..] } else { &[] };
        let (filter, mut exact) = RowFilter::of(judged, &self.layout.schema)?;
        exact.resize(wish.predicates.len(), false);
        let mut columns: Vec<Column> = self.layout.columns.clone();
        columns.retain(|c| names.contains(&c.name.as_str()) || filter.as_ref().is_some_and(|f| f.needs(&c.name)));
        columns.sort_by_key(|c| !filter.as_ref().is_some_and(|f| f.needs(&c.name)));
        let place = |name: &str| columns.iter().position(|c| c.name == name);
        let order: Vec<(usize, DataType)> =
            names.iter().filter_map(|n| place(n)).map(|i| (i, columns[i].announced.clone())).collect();
        let fields: Vec<_> = names.iter().filter_map(|n| self.layout.schema.field_with_name(n).ok().cloned()).collect();
        let groups = prune::keep(&self.layout, &self.groups, judged);
        let limit = wish.limit.map_or(self.limit, |n| Some(self.limit.map_or(n, |m| m.min(n))));
        let source = Arc::new(Self {
            at: self.at.clone(),
            layout: self.layout.clone(),
            schema: Arc::new(Schema::new(fields)),
            columns: columns.into(),
            order,
            groups,
            pruning: Arc::new(Pruning::new(&self.layout, judged)),
            filter: filter.map(Arc::new),
            limit,
        });
        Ok(Pushed { source, exact })
    }

    fn start(self: Arc<Self>, from: Option<&Place>, context: &Arc<Context>) -> Result<Arc<dyn Pieces>> {
        let at = self.at.reopened()?.unwrap_or_else(|| self.at.clone());
        Ok(Arc::new(ParquetPieces::start(self, at, from, context)?))
    }

    fn explain(&self) -> Vec<String> {
        let all = &self.layout.schema;
        let mut lines = vec![format!("parquet {}", self.name())];
        lines.push(format!("columns: {} of {}", self.schema.fields().len(), all.fields().len()));
        for Narrowed { name, leaves, of } in &self.layout.narrowed {
            if self.schema.field_with_name(name).is_ok() {
                lines.push(format!("of column `{name}`: {leaves} of {of} leaves"));
            }
        }
        if !self.pruning.is_empty() {
            let kinds = self.pruning.kinds(&self.layout, &self.groups, &self.columns).join(", ");
            lines.push(format!("pruned by {kinds}: {}", self.pruning.shown()));
        }
        if let Some(filter) = &self.filter {
            lines.push(format!("filtered before other columns are decoded: {filter}"));
        }
        lines.push(format!("row groups: {} of {}", self.groups.len(), self.layout.footer().num_row_groups()));
        if let Some(limit) = self.limit {
            lines.push(format!("limit: {limit}"));
        }
        lines
    }

    fn rows(&self) -> Result<Option<u64>> {
        if !self.pruning.is_empty() {
            return Ok(None);
        }
        let footer = self.layout.footer();
        let rows: i64 = self.groups.iter().map(|g| footer.row_group(*g).num_rows()).sum();
        Ok(u64::try_from(rows).ok().map(|rows| self.limit.map_or(rows, |limit| rows.min(limit))))
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.at.path().map(ToOwned::to_owned).into_iter().collect()
    }

    fn on_consumer(&self) -> bool {
        self.at.on_consumer()
    }
}
