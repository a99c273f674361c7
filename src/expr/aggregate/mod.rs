//! Aggregates: summaries of all rows, as states that take batches and merge.
//!
//! [`resolve_aggregates`] settles names and types; what it gives, an [`Aggregation`], starts any number of [`State`]s.
//! Workers may each fill one, as long as they are merged in the order of their rows. Aggregates take expressions and may
//! stand in further arithmetic: `col("a").sum() / col("b").count()`.
//!
//! | file | |
//! |---|---|
//! | [`fold`] | what an aggregate is: a cell, how a batch enters it, how two join |
//! | `sum` | sums and means |
//! | `extreme` | min, max, first, last |
//! | `spread` | variance, and quantiles, which hold every value |
//! | `distinct` | counts, any, all, and `n_unique`, which holds every different value |
//!
//! A sum of floats is the same for the same sequence of batches: blocks of 1,024 values are added in eight lanes, the
//! blocks with Neumaier's compensation (A. Neumaier 1974). Sums of integers are kept in 128 bits, so that only a final
//! value that does not fit is an error, whatever the order of the rows.

mod distinct;
mod extreme;
pub mod fold;
mod spread;
mod sum;

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::typing::{Typed, resolve, shortened, twice};
use super::{Expr, Sub};
use crate::batch::with_columns;
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use fold::Accumulator;

/// How a quantile that falls between two values is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearer of the two; the higher half way.
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

impl Interpolation {
    /// As Python names it.
    ///
    /// # Errors
    /// [`Error::Value`] for another word.
    pub fn parse(word: &str) -> Result<Interpolation> {
        Ok(match word {
            "nearest" => Interpolation::Nearest,
            "lower" => Interpolation::Lower,
            "higher" => Interpolation::Higher,
            "midpoint" => Interpolation::Midpoint,
            "linear" => Interpolation::Linear,
            other => {
                return Err(Error::Value(format!(
                    "interpolation: expected `nearest`, `lower`, `higher`, `midpoint` or `linear`, found `{other}`"
                )));
            }
        })
    }

    /// The word that [`Interpolation::parse`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Lower => "lower",
            Interpolation::Higher => "higher",
            Interpolation::Midpoint => "midpoint",
            Interpolation::Linear => "linear",
        }
    }
}

/// A summary of all rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    /// The sum; 0 of nothing. Integers give int64 or uint64.
    Sum,
    /// The mean; null of nothing.
    Mean,
    /// The smallest value that is not null; NaN only if there is no other.
    Min,
    /// The greatest, likewise.
    Max,
    /// How many are not null.
    Count,
    /// How many rows there are; takes no input.
    Len,
    /// How many different values there are, null being one.
    NUnique,
    /// The first row's value, null or not.
    First,
    /// The last row's.
    Last,
    /// The standard deviation, with this many degrees of freedom taken off the count.
    Std(u8),
    /// The variance, likewise.
    Var(u8),
    /// The median.
    Median,
    /// The quantile from 0 to 1.
    Quantile(f64, Interpolation),
    /// Whether any is true; nulls are ignored.
    Any,
    /// Whether all are true; nulls are ignored.
    All,
}

impl Aggregate {
    /// The aggregate that Python's method `name` stands for; `std` and `var` take `ddof`, `quantile` its fraction.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] for a name that is not built, [`Error::Value`] for a fraction beyond 0 to 1.
    pub fn parse(name: &str, number: Option<f64>, interpolation: Option<&str>) -> Result<Aggregate> {
        let ddof = || match number {
            None => Ok(1),
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
            Some(n) if (0.0..=255.0).contains(&n) && n.fract() == 0.0 => Ok(n as u8),
            Some(n) => Err(Error::Value(format!("ddof: expected a small integer, found `{n}`"))),
        };
        Ok(match name {
            "sum" => Aggregate::Sum,
            "mean" => Aggregate::Mean,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "count" => Aggregate::Count,
            "len" => Aggregate::Len,
            "n_unique" => Aggregate::NUnique,
            "first" => Aggregate::First,
            "last" => Aggregate::Last,
            "std" => Aggregate::Std(ddof()?),
            "var" => Aggregate::Var(ddof()?),
            "median" => Aggregate::Median,
            "quantile" => match number {
                Some(q) if (0.0..=1.0).contains(&q) => {
                    Aggregate::Quantile(q, Interpolation::parse(interpolation.unwrap_or("nearest"))?)
                }
                other => {
                    let found = other.map_or("nothing".to_owned(), |q| q.to_string());
                    return Err(Error::Value(format!("quantile: expected a number from 0 to 1, found `{found}`")));
                }
            },
            "any" => Aggregate::Any,
            "all" => Aggregate::All,
            other => return Err(Error::NotImplemented(format!("the aggregate `{other}` is not implemented"))),
        })
    }
}

impl Aggregate {
    /// What [`Aggregate::parse`] reads it from.
    pub fn spelled(self) -> (&'static str, Option<f64>, Option<&'static str>) {
        match self {
            Aggregate::Sum => ("sum", None, None),
            Aggregate::Mean => ("mean", None, None),
            Aggregate::Min => ("min", None, None),
            Aggregate::Max => ("max", None, None),
            Aggregate::Count => ("count", None, None),
            Aggregate::Len => ("len", None, None),
            Aggregate::NUnique => ("n_unique", None, None),
            Aggregate::First => ("first", None, None),
            Aggregate::Last => ("last", None, None),
            Aggregate::Std(ddof) => ("std", Some(f64::from(ddof)), None),
            Aggregate::Var(ddof) => ("var", Some(f64::from(ddof)), None),
            Aggregate::Median => ("median", None, None),
            Aggregate::Quantile(quantile, between) => ("quantile", Some(quantile), Some(between.name())),
            Aggregate::Any => ("any", None, None),
            Aggregate::All => ("all", None, None),
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aggregate::Std(1) => f.write_str("std()"),
            Aggregate::Std(n) => write!(f, "std(ddof={n})"),
            Aggregate::Var(1) => f.write_str("var()"),
            Aggregate::Var(n) => write!(f, "var(ddof={n})"),
            Aggregate::NUnique => f.write_str("n_unique()"),
            Aggregate::Quantile(q, Interpolation::Nearest) => write!(f, "quantile({q:?})"),
            Aggregate::Quantile(q, i) => write!(f, "quantile({q:?}, \"{}\")", i.name()),
            other => write!(f, "{}()", format!("{other:?}").to_lowercase()),
        }
    }
}

/// One aggregate of one input.
struct Slot {
    aggregate: Aggregate,
    input: Option<Typed>,
    what: String,
}

impl Slot {
    /// A state that has seen nothing, and so the type of its answer.
    fn start(&self) -> Result<Box<dyn Accumulator>> {
        let dtype = self.input.as_ref().map_or(&DataType::Null, Typed::dtype);
        let made = match self.aggregate {
            Aggregate::Sum => sum::sum(dtype, &self.what),
            Aggregate::Mean => sum::mean(dtype),
            Aggregate::Min => extreme::extreme(dtype, false),
            Aggregate::Max => extreme::extreme(dtype, true),
            Aggregate::First => Some(extreme::end(dtype, false)),
            Aggregate::Last => Some(extreme::end(dtype, true)),
            Aggregate::Count => Some(distinct::count(true)),
            Aggregate::Len => Some(distinct::count(false)),
            Aggregate::NUnique => distinct::different(dtype),
            Aggregate::Std(ddof) => spread::deviation(dtype, ddof, true),
            Aggregate::Var(ddof) => spread::deviation(dtype, ddof, false),
            Aggregate::Median => spread::quantile(dtype, 0.5, Interpolation::Linear),
            Aggregate::Quantile(q, interpolation) => spread::quantile(dtype, q, interpolation),
            Aggregate::Any => distinct::truth(dtype, false),
            Aggregate::All => distinct::truth(dtype, true),
        };
        made.ok_or_else(|| {
            let remedy = match (self.aggregate, dtype) {
                (Aggregate::Any | Aggregate::All, _) => "; compare it with something first",
                (_, DataType::Utf8) => "; cast it to a number first",
                _ => "",
            };
            Error::Schema(format!("`{}`: {} has no such aggregate{remedy}", self.what, dtype_name(dtype)))
        })
    }

    fn nullable(&self) -> bool {
        !matches!(
            self.aggregate,
            Aggregate::Sum | Aggregate::Count | Aggregate::Len | Aggregate::NUnique | Aggregate::Any | Aggregate::All
        )
    }
}

/// Aggregate expressions, settled against a schema; shared by states.
#[derive(Clone)]
pub struct Aggregation {
    inner: Arc<Inner>,
}

struct Inner {
    slots: Vec<Slot>,
    /// One column a slot.
    between: SchemaRef,
    /// What stands around the aggregates, over `between`.
    outer: Vec<Typed>,
    schema: SchemaRef,
}

impl fmt::Debug for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots: Vec<&str> = self.inner.slots.iter().map(|s| s.what.as_str()).collect();
        f.debug_struct("Aggregation").field("slots", &slots).finish_non_exhaustive()
    }
}

/// Settles names and types of aggregate expressions over rows of `schema`.
///
/// # Errors
/// As [`super::resolve_all`]; [`Error::Schema`] for a column that is not summarised, an aggregate of an aggregate, and types
/// that an aggregate does not take.
pub fn resolve_aggregates(exprs: &[Expr], schema: &Schema) -> Result<Aggregation> {
    let mut slots: Vec<Slot> = Vec::new();
    let mut outer = Vec::with_capacity(exprs.len());
    for expr in exprs {
        expr.check_extent()?;
        outer.push(without_aggregates(expr, schema, &mut slots)?);
    }
    let mut fields = Vec::with_capacity(slots.len());
    for (index, slot) in slots.iter().enumerate() {
        fields.push(Field::new(place(index), slot.start()?.dtype(), slot.nullable()));
    }
    let between = Arc::new(Schema::new(fields));
    let mut typed = Vec::with_capacity(exprs.len());
    let mut fields: Vec<Field> = Vec::with_capacity(exprs.len());
    for (expr, outer) in exprs.iter().zip(&outer) {
        let result = resolve(outer, &between).map_err(|e| in_user_words(e, &slots))?;
        let name = expr.output_name();
        if fields.iter().any(|f| f.name() == &name) {
            return Err(twice(&name, expr));
        }
        fields.push(Field::new(name, result.dtype().clone(), result.nullable()));
        typed.push(result);
    }
    let schema = Arc::new(Schema::new(fields));
    Ok(Aggregation { inner: Arc::new(Inner { slots, between, outer: typed, schema }) })
}

/// The column between an aggregate and what stands around it.
fn place(index: usize) -> String {
    format!("\u{1}{index}\u{1}")
}

/// A message about places, about aggregates instead.
fn in_user_words(error: Error, slots: &[Slot]) -> Error {
    let mut message = error.to_string();
    for (index, slot) in slots.iter().enumerate() {
        let column = Expr::Column(place(index)).to_string();
        message = message.replace(&column, &slot.what).replace(&place(index), &slot.what);
    }
    match error {
        Error::Schema(_) => Error::Schema(message),
        Error::Value(_) => Error::Value(message),
        Error::Stream(_) => Error::Stream(message),
        Error::Parse { place, .. } => Error::Parse { place, message },
        other => other,
    }
}

/// `expr` with every aggregate replaced by a column that holds its answer.
fn without_aggregates(expr: &Expr, schema: &Schema, slots: &mut Vec<Slot>) -> Result<Expr> {
    if let Expr::Binary { .. } = expr {
        // a chain may be long: its left side is walked
        let mut spine = Vec::new();
        let mut first = expr;
        while let Expr::Binary { op, left, right } = first {
            spine.push((*op, right));
            first = left;
        }
        let mut done = without_aggregates(first, schema, slots)?;
        while let Some((op, right)) = spine.pop() {
            done = done.binary(op, without_aggregates(right, schema, slots)?);
        }
        return Ok(done);
    }
    let mut again = |part: &Sub| without_aggregates(part, schema, slots).map(Sub::new);
    Ok(match expr {
        Expr::Aggregate { aggregate, input } => {
            let what = shortened(expr);
            let typed = match input {
                Some(input) if input.contains_aggregate() => {
                    return Err(Error::Schema(format!(
                        "`{what}`: an aggregate of an aggregate; one level summarises all rows"
                    )));
                }
                Some(input) => Some(resolve(input, schema)?.plain()),
                None => None,
            };
            slots.push(Slot { aggregate: *aggregate, input: typed, what });
            Expr::Column(place(slots.len() - 1))
        }
        Expr::Column(name) => {
            resolve(expr, schema)?;
            return Err(Error::Schema(format!(
                "column `{name}` has a value a row, which one row cannot hold; summarise it, such as col({name:?}).sum() or .first()"
            )));
        }
        Expr::Literal(_) | Expr::Binary { .. } => expr.clone(),
        Expr::Not(input) => Expr::Not(again(input)?),
        Expr::Negate(input) => Expr::Negate(again(input)?),
        Expr::Function { function, args } => {
            Expr::Function { function, args: args.iter().map(again).collect::<Result<_>>()? }
        }
        Expr::Cast { input, to, strict } => Expr::Cast { input: again(input)?, to: to.clone(), strict: *strict },
        Expr::Alias { input, name } => Expr::Alias { input: again(input)?, name: name.clone() },
        Expr::IsIn { input, values } => Expr::IsIn { input: again(input)?, values: values.clone() },
        Expr::When { branches, otherwise } => Expr::When {
            branches: branches.iter().map(|(c, v)| Ok((again(c)?, again(v)?))).collect::<Result<_>>()?,
            otherwise: otherwise.as_ref().map(again).transpose()?,
        },
    })
}

impl Aggregation {
    /// The schema of the one row.
    pub fn schema(&self) -> SchemaRef {
        self.inner.schema.clone()
    }

    /// A state that has seen nothing.
    ///
    /// # Errors
    /// None for what [`resolve_aggregates`] let pass.
    pub fn start(&self) -> Result<State> {
        let cells = self.inner.slots.iter().map(Slot::start).collect::<Result<_>>()?;
        Ok(State { inner: self.inner.clone(), cells })
    }
}

/// What an aggregation has seen so far. A few bytes an aggregate; `median`, `quantile` and `n_unique` hold values.
pub struct State {
    inner: Arc<Inner>,
    cells: Vec<Box<dyn Accumulator>>,
}

impl State {
    /// Takes the rows of `batch`, which has the schema that was resolved against.
    ///
    /// # Errors
    /// As [`Typed::eval`].
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        for (slot, cell) in self.inner.slots.iter().zip(&mut self.cells) {
            if let Some(input) = &slot.input {
                cell.update(&input.eval(batch)?, batch.num_rows())?;
            } else {
                let none = arrow::array::new_empty_array(&DataType::Null);
                cell.update(&none, batch.num_rows())?;
            }
        }
        Ok(())
    }

    /// Takes what `later` has seen: the rows that come after this state's.
    ///
    /// # Errors
    /// [`Error::Stream`] for the state of another aggregation.
    pub fn merge(&mut self, later: State) -> Result<()> {
        if !Arc::ptr_eq(&self.inner, &later.inner) {
            return Err(Error::Stream("states of different aggregations do not merge".into()));
        }
        for (cell, other) in self.cells.iter_mut().zip(later.cells) {
            cell.merge(other)?;
        }
        Ok(())
    }

    /// The one row.
    ///
    /// # Errors
    /// [`Error::Stream`] for a sum that does not fit its type.
    pub fn finish(self) -> Result<RecordBatch> {
        let columns = self.cells.into_iter().map(Accumulator::finish).collect::<Result<Vec<_>>>()?;
        let between = with_columns(self.inner.between.clone(), columns, 1)?;
        let columns = self
            .inner
            .outer
            .iter()
            .map(|t| t.eval(&between).map_err(|e| in_user_words(e, &self.inner.slots)))
            .collect::<Result<Vec<_>>>()?;
        with_columns(self.inner.schema.clone(), columns, 1)
    }

    /// Bytes held, as allocated.
    pub fn bytes(&self) -> usize {
        self.cells.iter().map(|c| c.bytes()).sum()
    }
}

#[cfg(test)]
mod tests;
