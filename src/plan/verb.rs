//! What a user can ask of a stream: one variant an operation, the schema that comes out of it, and its wording.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::call::{Call, Kind};
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::expr::aggregate::resolve_aggregates;
use crate::expr::typing::{Typed, resolve, resolve_all, resolve_predicate};
use crate::expr::{Expr, Literal};

/// New names for columns, from a function of the caller's.
pub type NewName = Arc<dyn Fn(&str) -> Result<String> + Send + Sync>;

/// An operation on a stream, as the user wrote it.
#[derive(Clone)]
pub enum Verb {
    /// Rows for which all of these are true.
    Filter(Vec<Expr>),
    /// These columns, in this order.
    Select(Vec<Expr>),
    /// All columns, these added or in place of those of their name.
    WithColumns(Vec<Expr>),
    /// Other names: old, new.
    Rename(Vec<(String, String)>),
    /// Other names, by a function.
    RenameWith(NewName),
    /// All columns but these.
    Drop(Vec<String>),
    /// Other types.
    Cast(Vec<(String, DataType)>),
    /// A value instead of nulls, in every column whose type holds it.
    FillNull(Expr),
    /// A value instead of nulls, by column.
    FillNullIn(Vec<(String, Expr)>),
    /// Rows without a null in these columns; none named: in any.
    DropNulls(Vec<String>),
    /// The first rows.
    Head(u64),
    /// All but the first rows.
    Skip(u64),
    /// A first column that counts rows.
    RowIndex(String),
    /// Batches of exactly so many rows.
    Rebatch {
        /// Rows.
        rows: usize,
        /// Whether a last, smaller batch is left out.
        drop_last: bool,
    },
    /// A function of the caller's on each batch.
    Map {
        /// The function.
        call: Arc<dyn Call>,
        /// What is done with its result.
        kind: Kind,
        /// The schema of its results, where given.
        schema: Option<SchemaRef>,
    },
    /// One row of aggregates.
    Aggregate(Vec<Expr>),
}

/// What a verb that works on each batch alone comes to.
pub enum Bound {
    /// Rows for which all of these are true.
    Filter(Vec<Typed>),
    /// These columns.
    Project(Vec<Typed>),
}

impl Verb {
    /// The name, as a method of the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Filter(_) => "filter",
            Verb::Select(_) => "select",
            Verb::WithColumns(_) => "with_columns",
            Verb::Rename(_) | Verb::RenameWith(_) => "rename",
            Verb::Drop(_) => "drop",
            Verb::Cast(_) => "cast",
            Verb::FillNull(_) | Verb::FillNullIn(_) => "fill_null",
            Verb::DropNulls(_) => "drop_nulls",
            Verb::Head(_) => "head",
            Verb::Skip(_) => "skip",
            Verb::RowIndex(_) => "with_row_index",
            Verb::Rebatch { .. } => "rebatch",
            Verb::Map { kind: Kind::Map, .. } => "map",
            Verb::Map { kind: Kind::Mask, .. } => "filter",
            Verb::Map { kind: Kind::Look, .. } => "inspect",
            Verb::Aggregate(_) => "agg",
        }
    }

    /// One line for `explain()`.
    pub fn describe(&self) -> String {
        let list = |parts: Vec<String>| format!("{}({})", self.name(), parts.join(", "));
        let exprs = |exprs: &[Expr]| list(exprs.iter().map(ToString::to_string).collect());
        let names = |names: &[String]| list(names.iter().map(|n| format!("{n:?}")).collect());
        match self {
            Verb::Filter(e) | Verb::Select(e) | Verb::WithColumns(e) | Verb::Aggregate(e) => exprs(e),
            Verb::Rename(pairs) => list(pairs.iter().map(|(old, new)| format!("{old:?} → {new:?}")).collect()),
            Verb::RenameWith(_) => list(vec!["by a function".into()]),
            Verb::Drop(n) | Verb::DropNulls(n) => names(n),
            Verb::Cast(pairs) => list(pairs.iter().map(|(n, to)| format!("{n:?}: {}", dtype_name(to))).collect()),
            Verb::FillNull(value) => list(vec![value.to_string()]),
            Verb::FillNullIn(pairs) => list(pairs.iter().map(|(n, value)| format!("{n:?}: {value}")).collect()),
            Verb::Head(n) | Verb::Skip(n) => list(vec![n.to_string()]),
            Verb::RowIndex(name) => list(vec![format!("{name:?}")]),
            Verb::Rebatch { rows, .. } => list(vec![rows.to_string()]),
            Verb::Map { call, .. } => list(vec![call.name()]),
        }
    }

    /// Whether the verb's own columns can be checked without knowing the input's schema.
    pub fn names_columns(&self) -> bool {
        !matches!(self, Verb::Head(_) | Verb::Skip(_) | Verb::Rebatch { .. } | Verb::Map { .. } | Verb::RenameWith(_))
    }

    /// Whether the result has a row for each row that comes in, in the same order.
    pub fn keeps_rows(&self) -> bool {
        match self {
            Verb::Select(_)
            | Verb::WithColumns(_)
            | Verb::Rename(_)
            | Verb::RenameWith(_)
            | Verb::Drop(_)
            | Verb::Cast(_)
            | Verb::FillNull(_)
            | Verb::FillNullIn(_)
            | Verb::RowIndex(_) => true,
            Verb::Rebatch { drop_last, .. } => !drop_last,
            Verb::Filter(_)
            | Verb::DropNulls(_)
            | Verb::Head(_)
            | Verb::Skip(_)
            | Verb::Map { .. }
            | Verb::Aggregate(_) => false,
        }
    }

    /// The verb over columns of `schema`, if it works on each batch alone. `lenient` leaves out what the optimizer
    /// has already taken from the schema because nobody needs it.
    ///
    /// # Errors
    /// Columns that are not there, types that do not fit.
    pub fn bind(&self, schema: &SchemaRef, lenient: bool) -> Result<Option<Bound>> {
        let present = |name: &String| !lenient || schema.field_with_name(name).is_ok();
        let columns = match self {
            Verb::Filter(predicates) => {
                let typed = predicates.iter().map(|p| resolve_predicate(p, schema)).collect::<Result<_>>()?;
                return Ok(Some(Bound::Filter(typed)));
            }
            Verb::DropNulls(names) => {
                let all = schema.fields().iter().map(|f| f.name().clone()).collect();
                let names: Vec<String> = if names.is_empty() { all } else { names.clone() };
                let typed = names
                    .into_iter()
                    .map(|n| resolve_predicate(&Expr::call("is_not_null", vec![Expr::col(n)])?, schema))
                    .collect::<Result<_>>()?;
                return Ok(Some(Bound::Filter(typed)));
            }
            Verb::Select(exprs) => exprs.clone(),
            Verb::WithColumns(exprs) => with_columns(schema, exprs)?,
            Verb::Rename(pairs) => {
                let pairs: Vec<_> = pairs.iter().filter(|(old, _)| present(old)).cloned().collect();
                known(schema, pairs.iter().map(|(old, _)| old))?;
                each(schema, |name| {
                    let new = pairs.iter().find(|(old, _)| old == name).map(|(_, new)| new.clone());
                    Ok(new.map_or_else(|| Expr::col(name), |new| Expr::col(name).alias(new)))
                })?
            }
            Verb::RenameWith(new) => each(schema, |name| Ok(Expr::col(name).alias(new(name)?)))?,
            Verb::Drop(names) => {
                known(schema, names.iter().filter(|n| present(n)))?;
                let kept = schema.fields().iter().filter(|f| !names.contains(f.name()));
                kept.map(|f| Expr::col(f.name())).collect()
            }
            Verb::Cast(pairs) => {
                known(schema, pairs.iter().map(|(n, _)| n).filter(|n| present(n)))?;
                each(schema, |name| {
                    let to = pairs.iter().find(|(n, _)| n == name);
                    Ok(to.map_or_else(|| Expr::col(name), |(_, to)| Expr::col(name).cast(to.clone(), true)))
                })?
            }
            Verb::FillNull(value) => each(schema, |name| {
                let filled = Expr::call("fill_null", vec![Expr::col(name), value.clone()])?;
                Ok(if holds(schema, name, value, &filled) { filled } else { Expr::col(name) })
            })?,
            Verb::FillNullIn(pairs) => {
                known(schema, pairs.iter().map(|(n, _)| n).filter(|n| present(n)))?;
                each(schema, |name| match pairs.iter().find(|(n, _)| n == name) {
                    Some((_, value)) => Expr::call("fill_null", vec![Expr::col(name), value.clone()]),
                    None => Ok(Expr::col(name)),
                })?
            }
            Verb::Head(_)
            | Verb::Skip(_)
            | Verb::RowIndex(_)
            | Verb::Rebatch { .. }
            | Verb::Map { .. }
            | Verb::Aggregate(_) => return Ok(None),
        };
        Ok(Some(Bound::Project(resolve_all(&columns, schema)?)))
    }

    /// The schema of the result; `None` where only running it tells.
    ///
    /// # Errors
    /// Columns that are not there, types that do not fit, two columns of one name.
    pub fn schema(&self, input: &SchemaRef) -> Result<Option<SchemaRef>> {
        match self.bind(input, false)? {
            Some(Bound::Filter(_)) => return Ok(Some(input.clone())),
            Some(Bound::Project(columns)) => {
                let fields: Vec<_> = columns.iter().map(|c| c.field().clone()).collect();
                return Ok(Some(Arc::new(Schema::new(fields))));
            }
            None => {}
        }
        match self {
            Verb::RowIndex(name) => indexed(input, name).map(Some),
            Verb::Map { kind: Kind::Map, schema, .. } => Ok(schema.clone()),
            Verb::Aggregate(exprs) => Ok(Some(resolve_aggregates(exprs, input)?.schema())),
            _ => Ok(Some(input.clone())),
        }
    }
}

fn each(schema: &Schema, expr: impl Fn(&String) -> Result<Expr>) -> Result<Vec<Expr>> {
    schema.fields().iter().map(|f| expr(f.name())).collect()
}

fn known<'a>(schema: &Schema, names: impl Iterator<Item = &'a String>) -> Result<()> {
    for name in names {
        if schema.field_with_name(name).is_err() {
            return Err(Error::no_column(name, schema.fields().iter().map(|f| f.name().as_str())));
        }
    }
    Ok(())
}

/// All columns, those of `exprs` in place of their namesakes or behind the others.
fn with_columns(schema: &Schema, exprs: &[Expr]) -> Result<Vec<Expr>> {
    let mut columns: Vec<Expr> = schema.fields().iter().map(|f| Expr::col(f.name())).collect();
    let mut names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let mut made: Vec<String> = Vec::new();
    for expr in exprs {
        let name = expr.output_name();
        if made.contains(&name) {
            return Err(Error::Schema(format!(
                "with_columns: two results are called `{name}`; give one another name by alias()"
            )));
        }
        if let Some(i) = names.iter().position(|n| *n == name) {
            columns[i] = expr.clone();
        } else {
            columns.push(expr.clone());
            names.push(name.clone());
        }
        made.push(name);
    }
    Ok(columns)
}

/// Whether the column's own type holds `value`, so that filling changes no type.
fn holds(schema: &Schema, name: &str, value: &Expr, filled: &Expr) -> bool {
    let Ok(field) = schema.field_with_name(name) else { return false };
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    };
    let (text, truth) = match value {
        Expr::Literal(Literal::Text(_)) => (true, false),
        Expr::Literal(Literal::Bool(_)) => (false, true),
        _ => (false, false),
    };
    text == matches!(kind, DataType::Utf8)
        && truth == matches!(kind, DataType::Boolean)
        && resolve(filled, schema).is_ok_and(|t| t.field().data_type() == field.data_type())
}

/// The schema with the index in front.
///
/// # Errors
/// [`Error::Schema`] if there is such a column already.
pub(super) fn indexed(schema: &Schema, name: &str) -> Result<SchemaRef> {
    if schema.field_with_name(name).is_ok() {
        return Err(Error::Schema(format!("with_row_index: there is a column `{name}` already; choose another name")));
    }
    let index = Arc::new(Field::new(name, DataType::UInt64, false));
    Ok(Arc::new(Schema::new(std::iter::once(index).chain(schema.fields().iter().cloned()).collect::<Vec<_>>())))
}
