//! One source out of many files.
//!
//! The first file decides the schema; its columns are followed by those that the folders make (Hive partitions) and
//! by the file's name, where that is asked for. The other files are opened when the run reaches them, one at a time,
//! and closed when their last piece was taken: a folder of ten thousand files holds one footer and one descriptor.
//! A predicate over the constant columns alone leaves out whole files, unopened; one over the file's columns alone is
//! handed on to each file; one that mixes both is left to the plan.

mod run;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use self::run::{Reading, Run};
use crate::batch;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::typing::resolve_predicate;
use crate::fit::{Extra, Fit, Missing, beyond, lacks, nullable, union};
use crate::piece::{Pieces, Place, Pushdown, Pushed, Source};

/// Makes the source of one file, by its position in the list. All but the first are made with the columns that the
/// first announced, as a hint for formats without types of their own. Called once a run and file, and once for the
/// schema of the first.
pub type Open = Arc<dyn Fn(usize, Option<&SchemaRef>) -> Result<Arc<dyn Source>> + Send + Sync>;

/// What is known of a file without opening it.
#[derive(Debug, Clone, Default)]
pub struct FileInput {
    /// What errors and `file_column` call it.
    pub name: String,
    /// Where it is in the file system, if it is there.
    pub path: Option<PathBuf>,
    /// Whether it can be read once only: a pipe, stdin.
    pub one_shot: bool,
    /// Whether it must be read on the consumer's thread.
    pub on_consumer: bool,
}

/// What makes one source of the files.
#[derive(Debug, Clone, Default)]
pub struct ManyOptions {
    /// Columns that are constant in each file, with a row a file: Hive partitions.
    pub constants: Vec<(Field, ArrayRef)>,
    /// The column that names the file, behind all others.
    pub file_column: Option<String>,
    /// What happens where a file lacks a column.
    pub missing: Missing,
    /// What happens where a file has one more.
    pub extra: Extra,
}

/// A source of many files; see the module.
#[derive(Clone)]
pub struct Many {
    files: Arc<[FileInput]>,
    open: Open,
    first: Arc<dyn Source>,
    /// The columns that the files have: the first file's, then those that only later ones have.
    announced: SchemaRef,
    /// How many of them every file must have.
    required: usize,
    /// The columns that the files have not, with a row a file.
    constants: RecordBatch,
    extra: Extra,
    /// What comes out.
    schema: SchemaRef,
    /// Whether `schema` is all there is, in order.
    whole: bool,
    /// The files to read.
    keep: Arc<[usize]>,
    /// Over the files' columns; with each, whether the plan counts on it.
    predicates: Vec<(Expr, bool)>,
    limit: Option<u64>,
    shown: Vec<String>,
}

impl fmt::Debug for Many {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Many").field("files", &self.files.len()).field("first", &self.first).finish_non_exhaustive()
    }
}

impl Many {
    /// The source of `files`. Opens the first; with [`Extra::Insert`] all, one after the other, for their schemas.
    ///
    /// # Errors
    /// [`Error::Value`] without files; [`Error::Schema`] where the file column has the name of another; whatever
    /// opening meets.
    pub fn new(files: Vec<FileInput>, open: Open, options: ManyOptions) -> Result<Arc<Self>> {
        if files.is_empty() {
            return Err(Error::Value("no files to read".into()));
        }
        let first = open(0, None)?;
        let mut found = first.schema().as_ref().clone();
        if options.extra == Extra::Insert {
            let hint = Arc::new(found.clone());
            for i in 1..files.len() {
                found = union(&found, &open(i, Some(&hint))?.schema());
            }
        }
        let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = options.constants.into_iter().unzip();
        if let Some(name) = options.file_column {
            if found.field_with_name(&name).is_ok() || fields.iter().any(|f| *f.name() == name) {
                return Err(Error::Schema(format!(
                    "file_column=\"{name}\": there is a column `{name}` already; choose another name"
                )));
            }
            fields.push(Field::new(name, DataType::Utf8, true));
            columns.push(Arc::new(StringArray::from_iter_values(files.iter().map(|f| &f.name))));
        }
        let constants = batch::with_columns(Arc::new(Schema::new(fields)), columns, files.len())?;
        let own = |schema: &Schema| -> Vec<Arc<Field>> {
            let fields = schema.fields().iter();
            fields.filter(|f| constants.schema_ref().field_with_name(f.name()).is_err()).cloned().collect()
        };
        let required = if options.missing == Missing::Raise { own(&first.schema()).len() } else { 0 };
        let mut fields = own(&found);
        if files.len() > 1 {
            fields = fields.iter().map(|f| Arc::new(nullable(f))).collect();
        }
        let announced = Schema::new_with_metadata(fields, found.metadata().clone());
        let all = announced.fields().iter().chain(constants.schema_ref().fields()).cloned().collect::<Vec<_>>();
        let schema = Arc::new(Schema::new_with_metadata(all, found.metadata().clone()));
        Ok(Arc::new(Self {
            keep: (0..files.len()).collect(),
            files: files.into(),
            open,
            shown: first.explain(),
            first,
            announced: Arc::new(announced),
            required,
            constants,
            extra: options.extra,
            schema,
            whole: true,
            predicates: Vec::new(),
            limit: None,
        }))
    }

    /// The number of files that are read, and of those that there are.
    pub fn files(&self) -> (usize, usize) {
        (self.keep.len(), self.files.len())
    }

    fn is_constant(&self, name: &str) -> bool {
        self.constants.schema_ref().field_with_name(name).is_ok()
    }

    /// Applies a predicate over constant columns: the files whose row it keeps.
    fn matching(&self, predicate: &Expr) -> Result<Arc<[usize]>> {
        let mask = mask(predicate, &self.constants)?;
        Ok(self.keep.iter().copied().filter(|i| *i < mask.len() && mask.is_valid(*i) && mask.value(*i)).collect())
    }

    /// Makes the source of file `i`, with what it can do pushed into it.
    fn file(&self, i: usize) -> Result<Reading> {
        let source = if i == 0 { self.first.clone() } else { (self.open)(i, Some(&self.announced))? };
        self.push_into(i, &source)
    }

    fn name(&self, i: usize) -> &str {
        self.files.get(i).map_or("", |f| &f.name)
    }

    fn push_into(&self, i: usize, source: &Arc<dyn Source>) -> Result<Reading> {
        let found = source.schema();
        let name = self.name(i);
        self.check_names(&found, name)?;
        let same = |column: &str| match (found.field_with_name(column), self.announced.field_with_name(column)) {
            (Ok(found), Ok(announced)) => found.data_type() == announced.data_type(),
            _ => false,
        };
        let (mut forward, mut residual) = (Vec::new(), Vec::new());
        for (k, (predicate, counted_on)) in self.predicates.iter().enumerate() {
            if Expr::columns(predicate).iter().all(|c| same(c)) {
                forward.push(k);
            } else if *counted_on {
                residual.push(k);
            }
        }
        loop {
            let target = self.target(&residual)?;
            let mut columns: Vec<String> = Vec::new();
            for field in target.fields() {
                if !self.is_constant(field.name()) && found.field_with_name(field.name()).is_ok() {
                    columns.push(field.name().clone());
                }
            }
            let all = self.whole && columns.len() == found.fields().len();
            let wish = Pushdown {
                columns: (!all).then_some(columns),
                predicates: self.pick(&forward),
                limit: self.limit.filter(|_| residual.is_empty()),
            };
            let pushed = source.push(&wish)?;
            let mut exact = vec![false; self.predicates.len()];
            for (k, said) in forward.iter().zip(&pushed.exact) {
                exact[*k] = *said;
            }
            let counted_on = |k: &usize| self.predicates.get(*k).is_some_and(|(_, counted_on)| *counted_on);
            let mut left =
                forward.iter().copied().filter(|k| counted_on(k) && !exact[*k] && !residual.contains(k)).peekable();
            if left.peek().is_none() {
                let found = pushed.source.schema();
                let fit = Fit::new(&found, &target, &self.row(i), Missing::Insert, Extra::Ignore, name)?;
                let residual = self.pick(&residual);
                return Ok(Reading { source: pushed.source, fit, residual, schema: self.schema.clone(), exact });
            }
            let left: Vec<usize> = left.collect();
            residual.extend(left);
        }
    }

    fn pick(&self, predicates: &[usize]) -> Vec<Expr> {
        predicates.iter().filter_map(|k| self.predicates.get(*k)).map(|(p, _)| p.clone()).collect()
    }

    /// What comes out, and behind it the columns that `residual` needs besides.
    fn target(&self, residual: &[usize]) -> Result<SchemaRef> {
        if residual.is_empty() {
            return Ok(self.schema.clone());
        }
        let mut fields: Vec<Arc<Field>> = self.schema.fields().iter().cloned().collect();
        for column in self.pick(residual).iter().flat_map(Expr::columns) {
            if !fields.iter().any(|f| *f.name() == column) {
                fields.push(Arc::new(self.announced.field_with_name(&column)?.clone()));
            }
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// The constants of file `i`, one row each.
    fn row(&self, i: usize) -> Vec<(String, ArrayRef)> {
        let fields = self.constants.schema_ref().fields().iter();
        fields.zip(self.constants.columns()).map(|(f, c)| (f.name().clone(), c.slice(i, 1))).collect()
    }

    /// Checks all names of a file, whichever of them are read: what is an error must not depend on the query.
    fn check_names(&self, found: &Schema, name: &str) -> Result<()> {
        let mut required = self.announced.fields().iter().take(self.required);
        if let Some(field) = required.find(|f| found.field_with_name(f.name()).is_err()) {
            return Err(lacks(name, field.name(), found));
        }
        if self.extra == Extra::Raise {
            let more: Vec<&str> = found
                .fields()
                .iter()
                .map(|f| f.name().as_str())
                .filter(|n| self.announced.field_with_name(n).is_err() && !self.is_constant(n))
                .collect();
            if !more.is_empty() {
                return Err(beyond(name, &more));
            }
        }
        Ok(())
    }
}

impl Source for Many {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn push(&self, wish: &Pushdown) -> Result<Pushed> {
        let mut many = self.clone();
        if let Some(columns) = &wish.columns {
            let names = || self.schema.fields().iter().map(|f| f.name().as_str());
            let fields = columns
                .iter()
                .map(|name| match self.schema.fields().find(name) {
                    Some((_, field)) => Ok(field.clone()),
                    None => Err(Error::no_column(name, names())),
                })
                .collect::<Result<Vec<_>>>()?;
            many.schema = Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()));
            many.whole = false;
        }
        // behind a limit, a predicate would see rows that the limit has cut off
        let open_ended = self.limit.is_none();
        many.limit = [self.limit, wish.limit].into_iter().flatten().min();
        let mut exact = vec![false; wish.predicates.len()];
        let mut handed_on = Vec::new();
        for (k, predicate) in wish.predicates.iter().enumerate().filter(|_| open_ended) {
            let columns = Expr::columns(predicate);
            if !columns.is_empty() && columns.iter().all(|c| self.is_constant(c)) {
                many.keep = many.matching(predicate)?;
                exact[k] = true;
            } else if !columns.iter().any(|c| self.is_constant(c)) {
                handed_on.push((k, many.predicates.len()));
                many.predicates.push((predicate.clone(), false));
            }
        }
        let first = many.push_into(0, &self.first)?;
        for (k, at) in handed_on {
            let counted_on = first.exact.get(at).copied().unwrap_or(false);
            exact[k] = counted_on;
            if let Some((_, flag)) = many.predicates.get_mut(at) {
                *flag = counted_on;
            }
        }
        many.shown = first.source.explain();
        Ok(Pushed { source: Arc::new(many), exact })
    }

    fn start(self: Arc<Self>, from: Option<&Place>, context: &Arc<Context>) -> Result<Arc<dyn Pieces>> {
        context.cancel.check()?;
        let first = from.map_or(0, |place| place.file as usize);
        let next = self.keep.iter().position(|i| *i >= first).unwrap_or(self.keep.len());
        Ok(Arc::new(Run::new(self, next, from.copied())))
    }

    fn explain(&self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.shown.len() + 1);
        if self.files.len() > 1 {
            lines.push(if self.keep.len() == self.files.len() {
                format!("{} files", self.files.len())
            } else {
                format!("{} of {} files", self.keep.len(), self.files.len())
            });
        }
        lines.extend(self.shown.iter().cloned());
        lines
    }

    fn rows(&self) -> Result<Option<u64>> {
        let mut total = 0u64;
        for i in self.keep.iter() {
            let file = self.file(*i)?;
            match file.source.rows()? {
                Some(rows) if file.residual.is_empty() => total = total.saturating_add(rows),
                _ => return Ok(None),
            }
        }
        Ok(Some(self.limit.map_or(total, |limit| total.min(limit))))
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().filter_map(|f| f.path.clone()).collect()
    }

    fn rejects(&self) -> Option<PathBuf> {
        self.first.rejects()
    }

    fn one_shot(&self) -> bool {
        self.first.one_shot() || self.files.iter().any(|f| f.one_shot)
    }

    fn on_consumer(&self) -> bool {
        self.first.on_consumer() || self.files.iter().any(|f| f.on_consumer)
    }
}

/// Which rows a predicate keeps; null is no.
fn mask(predicate: &Expr, batch: &RecordBatch) -> Result<BooleanArray> {
    resolve_predicate(predicate, batch.schema_ref())?.mask(batch)
}
