//! Names and types resolved: from [`Expr`] to [`Typed`].
//!
//! Everything that can be wrong with an expression against a schema is found here, before any row is read: columns that
//! are not there, types that do not go together, patterns that are no patterns. What is left for [`Typed::eval`] is
//! arithmetic that overflows and values that do not convert.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Datum, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};

use super::literal::Literal;
use super::{Expr, Function, Operator, Sub, arithmetic, branch, compare, convert, logic};
use crate::dtype::{announced, dtype_name, value_type};
use crate::error::{Error, Result, listed};

/// A value while an expression is evaluated: a row each, or one that stands for all rows.
#[derive(Debug, Clone)]
pub enum Value {
    /// One value a row.
    Rows(ArrayRef),
    /// One value for all rows, in an array of length 1.
    One(ArrayRef),
}

impl Value {
    /// The array, of length 1 for [`Value::One`].
    pub fn array(&self) -> &ArrayRef {
        match self {
            Value::Rows(a) | Value::One(a) => a,
        }
    }

    /// Whether one value stands for all rows.
    pub fn is_one(&self) -> bool {
        matches!(self, Value::One(_))
    }

    /// One value a row, repeated where it stood for all: memory for `rows` values.
    pub fn rows(&self, rows: usize) -> Result<ArrayRef> {
        match self {
            Value::Rows(a) => Ok(a.clone()),
            Value::One(a) if rows == 1 => Ok(a.clone()),
            Value::One(a) => Ok(take(a, &UInt32Array::from(vec![0; rows]), None)?),
        }
    }

    /// Where row `row` stands in the array.
    pub fn at(&self, row: usize) -> usize {
        if self.is_one() { 0 } else { row }
    }
}

impl Datum for Value {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array().as_ref(), self.is_one())
    }
}

/// The work of one part of an expression: its inputs' values and the number of rows to its own. Where all inputs are
/// [`Value::One`] it is called for one row.
pub type Run = Arc<dyn Fn(&[Value], usize) -> Result<ArrayRef> + Send + Sync>;

/// The rows that an expression is evaluated for.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub batch: &'a RecordBatch,
    /// Some rows of the batch; all without it.
    pub picked: Option<&'a UInt64Array>,
}

impl Rows<'_> {
    pub fn count(&self) -> usize {
        self.picked.map_or(self.batch.num_rows(), Array::len)
    }
}

#[derive(Clone)]
pub(super) enum Step {
    Column(usize),
    Constant(ArrayRef),
    Call {
        inputs: Vec<Typed>,
        run: Run,
    },
    Branch(Arc<branch::Branch>),
    /// `left op right` where the right side can fail: it is evaluated only where the left side leaves the answer open.
    Guarded {
        and: bool,
        inputs: Arc<[Typed; 2]>,
    },
}

/// An expression whose names and types are settled; evaluates batches of the schema that it was resolved against.
#[derive(Clone)]
pub struct Typed {
    field: Field,
    /// Whether evaluation can fail on some values.
    fallible: bool,
    literal: Option<Literal>,
    step: Step,
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Typed({}: {})", self.field.name(), dtype_name(self.field.data_type()))
    }
}

/// Settles names and types of `expr` against `schema`.
///
/// # Errors
/// [`Error::ColumnNotFound`], or [`Error::Schema`] for types that do not go together, an aggregate, or a repeated name in
/// the schema that the expression refers to; [`Error::Value`] for options that make no sense.
pub fn resolve(expr: &Expr, schema: &Schema) -> Result<Typed> {
    expr.check_extent()?;
    let mut typed = typed(expr, schema)?;
    let name = expr.output_name();
    if typed.field.name() != &name {
        typed.field = typed.field.with_name(name);
    }
    Ok(typed)
}

/// [`resolve`] for what must be true or false: the conditions of `filter`.
///
/// # Errors
/// As [`resolve`]; [`Error::Schema`] naming the type found where it is not boolean.
pub fn resolve_predicate(expr: &Expr, schema: &Schema) -> Result<Typed> {
    let typed = resolve(expr, schema)?;
    match value_type(typed.dtype()) {
        DataType::Boolean => Ok(typed.plain()),
        DataType::Null => Ok(typed.to(&DataType::Boolean, "filter")),
        other => Err(Error::Schema(format!(
            "filter: expected a predicate (bool), found `{expr}`, which is {}; compare it with something",
            dtype_name(other)
        ))),
    }
}

/// [`resolve`] for several expressions that become the columns of one schema.
///
/// # Errors
/// As [`resolve`]; [`Error::Schema`] where two results have one name.
pub fn resolve_all(exprs: &[Expr], schema: &Schema) -> Result<Vec<Typed>> {
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::with_capacity(exprs.len());
    for expr in exprs {
        let typed = resolve(expr, schema)?;
        if !seen.insert(typed.field.name().clone()) {
            return Err(twice(typed.field.name(), expr));
        }
        out.push(typed);
    }
    Ok(out)
}

pub(super) fn twice(name: &str, expr: &Expr) -> Error {
    Error::Schema(format!(
        "two results are named `{name}`; give one another name, such as `({}).alias(\"{name}_2\")`",
        shortened(expr)
    ))
}

/// The recursive part; its depth is bounded by `check_extent`. Each kind of part has a function of its own, so that the
/// stack holds the values of one of them a level.
fn typed(expr: &Expr, schema: &Schema) -> Result<Typed> {
    match expr {
        Expr::Column(name) => column(name, schema),
        Expr::Literal(literal) => Typed::constant(literal),
        Expr::Binary { .. } => binary(expr, schema),
        Expr::Function { function, args } => called(function, args, expr, schema),
        Expr::When { .. } => when(expr, schema),
        Expr::Aggregate { .. } => Err(misplaced(expr)),
        Expr::Alias { input, .. }
        | Expr::Not(input)
        | Expr::Negate(input)
        | Expr::Cast { input, .. }
        | Expr::IsIn { input, .. } => unary(expr, input, schema),
    }
}

#[inline(never)]
fn unary(expr: &Expr, input: &Expr, schema: &Schema) -> Result<Typed> {
    let input = typed(input, schema)?;
    match expr {
        Expr::Not(_) => logic::not(input, expr),
        Expr::Negate(_) => arithmetic::negate(input, expr),
        Expr::Cast { input: of, to, strict } => convert::cast(input, to, *strict, &of.output_name()),
        Expr::IsIn { values, .. } => compare::is_in(input, values, expr),
        _ => Ok(input),
    }
}

#[inline(never)]
fn called(function: &'static Function, args: &[Sub], expr: &Expr, schema: &Schema) -> Result<Typed> {
    let mut inputs = Vec::with_capacity(args.len());
    for arg in args {
        inputs.push(typed(arg, schema)?);
    }
    function.resolve(inputs, expr)
}

#[inline(never)]
fn misplaced(expr: &Expr) -> Error {
    Error::Schema(format!("`{expr}` summarises all rows, which one row cannot hold; use .agg({expr}) instead"))
}

#[inline(never)]
fn column(name: &str, schema: &Schema) -> Result<Typed> {
    let mut found = schema.fields().iter().enumerate().filter(|(_, f)| f.name() == name);
    let Some((index, field)) = found.next() else {
        return Err(Error::no_column(name, schema.fields().iter().map(|f| f.name().as_str())));
    };
    if found.next().is_some() {
        return Err(Error::Schema(format!("two columns are named `{name}`; rename one of them where they are read")));
    }
    let dtype = announced(field.data_type());
    let field = field.as_ref().clone().with_data_type(dtype);
    Ok(Typed { field, fallible: false, literal: None, step: Step::Column(index) })
}

/// A chain of operators leans to the left, often hundreds long: its left side is walked, not recursed into.
#[inline(never)]
fn binary(expr: &Expr, schema: &Schema) -> Result<Typed> {
    let mut spine = Vec::new();
    let mut first = expr;
    while let Expr::Binary { op, left, right } = first {
        spine.push((*op, right, first));
        first = left;
    }
    let mut left = typed(first, schema)?;
    while let Some((op, right, whole)) = spine.pop() {
        let right = typed(right, schema)?;
        left = joined(op, left, right, whole)?;
    }
    Ok(left)
}

#[inline(never)]
fn joined(op: Operator, left: Typed, right: Typed, whole: &Expr) -> Result<Typed> {
    match op {
        Operator::And | Operator::Or | Operator::Xor => logic::combine(op, left, right, whole),
        op if op.compares() => compare::compare(op, left, right, whole),
        op => arithmetic::combine(op, left, right, whole),
    }
}

#[inline(never)]
fn when(expr: &Expr, schema: &Schema) -> Result<Typed> {
    let Expr::When { branches, otherwise } = expr else {
        return Err(Error::Schema(format!("expected when/then/otherwise, found `{expr}`")));
    };
    let mut conditions = Vec::with_capacity(branches.len());
    let mut values = Vec::with_capacity(branches.len() + 1);
    for (condition, value) in branches {
        let typed_condition = typed(condition, schema)?;
        conditions.push(match value_type(typed_condition.dtype()) {
            DataType::Boolean => typed_condition.plain(),
            DataType::Null => typed_condition.to(&DataType::Boolean, "when"),
            other => {
                return Err(Error::Schema(format!(
                    "when: expected a condition (bool), found `{}`, which is {}",
                    **condition,
                    dtype_name(other)
                )));
            }
        });
        values.push(typed(value, schema)?);
    }
    let otherwise = match otherwise {
        Some(value) => typed(value, schema)?,
        None => Typed::constant(&Literal::Null)?,
    };
    values.push(otherwise);
    branch::when(conditions, values, expr)
}

impl Typed {
    /// A constant.
    pub(super) fn constant(literal: &Literal) -> Result<Typed> {
        let array = literal.array()?;
        let field = Field::new("literal", array.data_type().clone(), *literal == Literal::Null);
        Ok(Typed { field, fallible: false, literal: Some(literal.clone()), step: Step::Constant(array) })
    }

    /// A constant in a type that [`Literal::meet`] chose.
    pub(super) fn constant_of(literal: &Literal, dtype: &DataType) -> Result<Typed> {
        let array = literal.array_of(dtype)?;
        let field = Field::new("literal", array.data_type().clone(), array.is_null(0));
        Ok(Typed { field, fallible: false, literal: Some(literal.clone()), step: Step::Constant(array) })
    }

    /// A part that computes `dtype` from `inputs`, named after the first of them.
    pub(super) fn call(inputs: Vec<Typed>, dtype: DataType, nullable: bool, run: Run) -> Typed {
        let name = inputs.first().map_or("literal", |i| i.field.name());
        let field = Field::new(name, dtype, nullable);
        let fallible = inputs.iter().any(Typed::fallible);
        Typed { field, fallible, literal: None, step: Step::Call { inputs, run } }
    }

    pub(super) fn of(field: Field, fallible: bool, step: Step) -> Typed {
        Typed { field, fallible, literal: None, step }
    }

    /// The same, marked as able to fail on some values.
    #[must_use]
    pub(super) fn failing(mut self) -> Typed {
        self.fallible = true;
        self
    }

    /// Name, dtype and nullability of the result.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// The type of the result.
    pub fn dtype(&self) -> &DataType {
        self.field.data_type()
    }

    /// Whether the result can be null.
    pub fn nullable(&self) -> bool {
        self.field.is_nullable()
    }

    /// Whether evaluation can fail on some values (overflow, a failed cast), so that it must not run on rows that an
    /// earlier predicate drops.
    pub fn fallible(&self) -> bool {
        self.fallible
    }

    /// The constant that it is, if it is one.
    pub fn literal(&self) -> Option<&Literal> {
        self.literal.as_ref()
    }

    /// The one value that a constant is.
    pub(super) fn constant_array(&self) -> Result<ArrayRef> {
        match &self.step {
            Step::Constant(array) => Ok(array.clone()),
            _ => Err(Error::Schema(format!("expected a constant, found column `{}`", self.field.name()))),
        }
    }

    /// The same with another field: name or nullability.
    #[must_use]
    pub(super) fn with_field(mut self, field: Field) -> Typed {
        self.field = field;
        self
    }

    /// The position of the column that passes through untouched, if that is all it does.
    pub fn plain_column(&self) -> Option<usize> {
        match self.step {
            Step::Column(index) => Some(index),
            _ => None,
        }
    }

    /// The result as `dtype`, unchanged where it is that already; the types are known to convert.
    #[must_use]
    pub(super) fn to(self, dtype: &DataType, what: &str) -> Typed {
        if self.dtype() == dtype {
            return self;
        }
        if let Some(literal) = &self.literal
            && let Ok(constant) = Typed::constant_of(literal, dtype)
        {
            return constant;
        }
        convert::to(self, dtype, what)
    }

    /// The values themselves, where a dictionary or run-end encoding stood for them.
    #[must_use]
    pub(super) fn plain(self) -> Typed {
        let dtype = value_type(self.dtype()).clone();
        self.to(&dtype, "")
    }

    /// One value for each row of `batch`, which has the schema of [`resolve`]. A plain column costs nothing.
    ///
    /// # Errors
    /// Overflow and division by zero of integers ([`Error::Stream`]), values that do not convert ([`Error::Parse`]).
    pub fn eval(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        self.value(Rows { batch, picked: None })?.rows(batch.num_rows())
    }

    /// What a predicate says of each row of `batch`; null and false both drop it.
    ///
    /// # Errors
    /// As [`Typed::eval`].
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let array = self.eval(batch)?;
        match array.as_any().downcast_ref::<BooleanArray>() {
            Some(mask) => Ok(mask.clone()),
            None => Err(Error::Schema(format!("expected a predicate (bool), found {}", dtype_name(array.data_type())))),
        }
    }

    /// The recursive part of [`Typed::eval`].
    pub(super) fn value(&self, rows: Rows<'_>) -> Result<Value> {
        match &self.step {
            Step::Column(index) => self.column_of(*index, rows),
            Step::Constant(array) => Ok(Value::One(array.clone())),
            Step::Call { inputs, run } => Self::call_of(inputs, run, rows),
            Step::Branch(branch) => branch.value(rows).map(Value::Rows),
            Step::Guarded { and, inputs } => logic::guarded(*and, inputs, rows).map(Value::Rows),
        }
    }

    #[inline(never)]
    fn column_of(&self, index: usize, rows: Rows<'_>) -> Result<Value> {
        let Some(column) = rows.batch.columns().get(index) else {
            let schema = rows.batch.schema();
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(Error::Schema(format!(
                "expected column `{}` at position {index}, found {}",
                self.field.name(),
                listed(&names)
            )));
        };
        let column = if column.data_type() == self.dtype() {
            column.clone()
        } else {
            // the same text in another layout
            convert::convert(column, self.dtype(), true, self.field.name())?
        };
        Ok(Value::Rows(match rows.picked {
            Some(picked) => take(&column, picked, None)?,
            None => column,
        }))
    }

    /// Evaluates a chain of calls that lean on their first input without recursing along it.
    #[inline(never)]
    fn call_of(inputs: &[Typed], run: &Run, rows: Rows<'_>) -> Result<Value> {
        let mut spine: Vec<(&[Typed], &Run)> = vec![(inputs, run)];
        let mut first = inputs.first();
        while let Some(Typed { step: Step::Call { inputs, run }, .. }) = first {
            spine.push((inputs, run));
            first = inputs.first();
        }
        let mut left = first.map(|f| f.value(rows)).transpose()?;
        while let Some((inputs, run)) = spine.pop() {
            let mut values = Vec::with_capacity(inputs.len());
            values.extend(left.take());
            for input in inputs.iter().skip(1) {
                values.push(input.value(rows)?);
            }
            let one = values.iter().all(Value::is_one);
            left = Some(if one { Value::One(run(&values, 1)?) } else { Value::Rows(run(&values, rows.count())?) });
        }
        left.ok_or_else(|| Error::Schema("an expression without inputs".into()))
    }
}

/// Makes two sides ready to meet: dictionaries as their values, constants in the type that the other side suggests.
pub(super) fn meet(left: Typed, right: Typed, whole: &Expr) -> Result<(Typed, Typed)> {
    let (left, right) = (left.plain(), right.plain());
    let adapted = |constant: &Literal, other: &Typed| -> Result<Typed> {
        let (literal, dtype) =
            constant.meet(other.dtype()).map_err(|e| e.context(format!("`{}`", shortened(whole))))?;
        Typed::constant_of(&literal, &dtype)
    };
    Ok(match (left.literal(), right.literal()) {
        (Some(l), None) => (adapted(l, &right)?, right),
        (None, Some(r)) => {
            let right = adapted(r, &left)?;
            (left, right)
        }
        _ => (left, right),
    })
}

/// An expression in a message: whole if short.
pub(super) fn shortened(expr: &Expr) -> String {
    struct Cut(String);
    impl std::fmt::Write for Cut {
        fn write_str(&mut self, part: &str) -> std::fmt::Result {
            // enough is written: the rest of a large tree is not walked
            if self.0.len() > 120 {
                return Err(std::fmt::Error);
            }
            self.0.push_str(part);
            Ok(())
        }
    }
    let mut cut = Cut(String::new());
    match std::fmt::Write::write_fmt(&mut cut, format_args!("{expr}")) {
        Ok(()) => cut.0,
        Err(_) => convert::cut(&cut.0),
    }
}

/// The error for two types that an operator does not take.
pub(super) fn mismatch(whole: &Expr, left: &Typed, right: &Typed, remedy: &str) -> Error {
    Error::Schema(format!(
        "`{}`: {} does not go with {}{}{remedy}",
        shortened(whole),
        dtype_name(left.dtype()),
        dtype_name(right.dtype()),
        if remedy.is_empty() { "" } else { "; " },
    ))
}
