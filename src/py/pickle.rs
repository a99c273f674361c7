//! What pickles are made of: batches and columns as Arrow streams, expressions as a list of their parts.
//!
//! The parts stand in postfix order, as on a stack: first what an operator works on, then the operator. So a long chain
//! nests nothing, and `pickle` does not recurse.

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList};

use super::arrow::announced_batch;
use super::column::RawColumn;
use super::dtype::PyDType;
use super::expr::literal_from_py;
use crate::error::{Error, Result};
use crate::expr::{Aggregate, Expr, Literal, Operator, Sub};

/// `batch` as an Arrow stream. Costs a copy of its rows.
///
/// # Errors
/// A type that Arrow streams do not have.
pub fn written(batch: &RecordBatch) -> Result<Vec<u8>> {
    let batch = announced_batch(batch)?;
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// The batch that [`written`] wrote.
///
/// # Errors
/// Bytes that are none.
pub fn read(bytes: &[u8]) -> Result<RecordBatch> {
    let mut batches = StreamReader::try_new(bytes, None)?;
    batches
        .next()
        .ok_or_else(|| Error::Value("expected a batch, found an empty Arrow stream".into()))?
        .map_err(Error::from)
}

/// The parts of `expr` in postfix order: what it is, on how many parts before it, and the rest that tells it.
///
/// # Errors
/// Python's own.
pub fn parts<'py>(py: Python<'py>, expr: &Expr) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    append(expr, &list)?;
    Ok(list)
}

fn append(expr: &Expr, to: &Bound<'_, PyList>) -> PyResult<()> {
    let py = to.py();
    let each = |parts: &[&Sub]| parts.iter().try_for_each(|part| append(part, to));
    match expr {
        Expr::Column(name) => to.append(("column", 0, name)),
        Expr::Literal(value) => to.append(("literal", 0, value_of(py, value)?)),
        Expr::Binary { op, left, right } => {
            each(&[left, right])?;
            to.append(("binary", 2, op.symbol()))
        }
        Expr::Not(input) => {
            each(&[input])?;
            to.append(("not", 1, py.None()))
        }
        Expr::Negate(input) => {
            each(&[input])?;
            to.append(("negate", 1, py.None()))
        }
        Expr::Function { function, args } => {
            each(&args.iter().collect::<Vec<_>>())?;
            to.append(("function", args.len(), function.name))
        }
        Expr::Cast { input, to: dtype, strict } => {
            each(&[input])?;
            to.append(("cast", 1, (PyDType(dtype.clone()), *strict)))
        }
        Expr::Alias { input, name } => {
            each(&[input])?;
            to.append(("alias", 1, name))
        }
        Expr::IsIn { input, values } => {
            each(&[input])?;
            let values = values.iter().map(|value| value_of(py, value)).collect::<PyResult<Vec<_>>>()?;
            to.append(("is_in", 1, values))
        }
        Expr::When { branches, otherwise } => {
            let branches = branches.iter().flat_map(|(condition, value)| [condition, value]);
            let all: Vec<&Sub> = branches.chain(otherwise).collect();
            each(&all)?;
            to.append(("when", all.len(), py.None()))
        }
        Expr::Aggregate { aggregate, input } => {
            let input: Vec<&Sub> = input.iter().collect();
            each(&input)?;
            to.append(("aggregate", input.len(), aggregate.spelled()))
        }
    }
}

/// A constant as a value of Python where that is exact, else as a column of one row.
fn value_of<'py>(py: Python<'py>, value: &Literal) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Literal::Null => py.None().into_bound(py),
        Literal::Bool(v) => v.into_pyobject(py)?.to_owned().into_any(),
        Literal::Int(v) => v.into_pyobject(py)?.into_any(),
        Literal::Float(v) => v.into_pyobject(py)?.into_any(),
        Literal::Text(v) => v.into_pyobject(py)?.into_any(),
        Literal::Binary(v) => PyBytes::new(py, v).into_any(),
        exact => RawColumn::of("", exact.array()?).into_pyobject(py)?.into_any(),
    })
}

fn literal_of(value: &Bound<'_, PyAny>) -> PyResult<Literal> {
    if let Ok(column) = value.cast::<RawColumn>() {
        return Literal::of_row(column.get().array(), 0).ok_or_else(|| PyValueError::new_err("not a constant"));
    }
    if value.is_exact_instance_of::<PyInt>() {
        return Ok(Literal::Int(value.extract()?));
    }
    literal_from_py(value)
}

/// The expression of the list that [`parts`] made.
///
/// # Errors
/// `ValueError` for a list that it did not make.
pub fn rebuilt(parts: &Bound<'_, PyAny>) -> PyResult<Expr> {
    let mut stack: Vec<Expr> = Vec::new();
    for part in parts.try_iter()? {
        let (kind, count, rest): (String, usize, Bound<'_, PyAny>) = part?.extract()?;
        let at = stack.len().checked_sub(count).ok_or_else(unknown)?;
        let made = one(&kind, stack.split_off(at), &rest)?;
        stack.push(made);
    }
    stack.pop().filter(|_| stack.is_empty()).ok_or_else(unknown)
}

fn unknown() -> PyErr {
    PyValueError::new_err("the pickle of an expression is damaged, or of another version")
}

fn one(kind: &str, parts: Vec<Expr>, rest: &Bound<'_, PyAny>) -> PyResult<Expr> {
    let mut parts = parts.into_iter().map(Sub::new);
    let mut next = || parts.next().ok_or_else(unknown);
    Ok(match kind {
        "column" => Expr::Column(rest.extract()?),
        "literal" => Expr::Literal(literal_of(rest)?),
        "binary" => {
            let op = Operator::from_symbol(rest.extract()?).ok_or_else(unknown)?;
            Expr::Binary { op, left: next()?, right: next()? }
        }
        "not" => Expr::Not(next()?),
        "negate" => Expr::Negate(next()?),
        "function" => Expr::call(rest.extract()?, parts.map(|part| Expr::clone(&part)).collect())?,
        "cast" => {
            let (dtype, strict): (PyRef<'_, PyDType>, bool) = rest.extract()?;
            Expr::Cast { input: next()?, to: dtype.0.clone(), strict }
        }
        "alias" => Expr::Alias { input: next()?, name: rest.extract()? },
        "is_in" => {
            let values = rest.try_iter()?.map(|value| literal_of(&value?)).collect::<PyResult<_>>()?;
            Expr::IsIn { input: next()?, values }
        }
        "when" => {
            let mut branches = Vec::new();
            let mut otherwise = None;
            while let Some(condition) = parts.next() {
                match parts.next() {
                    Some(value) => branches.push((condition, value)),
                    None => otherwise = Some(condition),
                }
            }
            Expr::When { branches, otherwise }
        }
        "aggregate" => {
            let (name, number, between): (String, Option<f64>, Option<String>) = rest.extract()?;
            let aggregate = Aggregate::parse(&name, number, between.as_deref())?;
            Expr::Aggregate { aggregate, input: parts.next() }
        }
        _ => return Err(unknown()),
    })
}
