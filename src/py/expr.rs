//! `Expr`: the tree of the core, made part by part. `stream._expr.Expr` dresses it with operators and methods.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString, PyType};

use crate::expr::{Aggregate, Expr, Literal, Operator, Sub, parse_predicate};
use crate::py::build::array_of;
use crate::py::dtype::PyDType;
use crate::py::pickle;

/// An expression. Immutable and cheap to copy; parts are shared.
#[pyclass(name = "Expr", frozen, module = "stream._internal")]
#[derive(Clone)]
pub struct PyExpr(pub Expr);

impl PyExpr {
    /// Wraps an expression, refused beyond the limits of depth and size.
    fn checked(expr: Expr) -> PyResult<Self> {
        expr.check_extent()?;
        Ok(PyExpr(expr))
    }

    fn sub(&self) -> Sub {
        Sub::new(self.0.clone())
    }
}

#[pymethods]
impl PyExpr {
    /// A column by name.
    #[staticmethod]
    fn col(name: String) -> Self {
        PyExpr(Expr::Column(name))
    }

    /// A constant.
    #[staticmethod]
    fn lit(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(PyExpr(Expr::Literal(literal_from_py(value)?)))
    }

    /// The number of rows.
    #[staticmethod]
    fn len() -> Self {
        PyExpr(Expr::Aggregate { aggregate: Aggregate::Len, input: None })
    }

    /// A function of the registry; the input is the first argument.
    #[staticmethod]
    fn call(name: &str, args: Vec<PyRef<'_, PyExpr>>) -> PyResult<Self> {
        Self::checked(Expr::call(name, args.iter().map(|a| a.0.clone()).collect())?)
    }

    /// `when(…).then(…)…`: conditions with their values, and the value where none is true.
    #[staticmethod]
    #[pyo3(signature = (branches, otherwise=None))]
    fn when(
        branches: Vec<(PyRef<'_, PyExpr>, PyRef<'_, PyExpr>)>,
        otherwise: Option<PyRef<'_, PyExpr>>,
    ) -> PyResult<Self> {
        let branches = branches.iter().map(|(c, v)| (c.sub(), v.sub())).collect();
        Self::checked(Expr::When { branches, otherwise: otherwise.map(|o| o.sub()) })
    }

    /// `self op other`, the operator as Python writes it.
    fn binary(&self, op: &str, other: PyRef<'_, PyExpr>) -> PyResult<Self> {
        let op = Operator::from_symbol(op).ok_or_else(|| PyValueError::new_err(format!("no operator `{op}`")))?;
        Self::checked(Expr::Binary { op, left: self.sub(), right: other.sub() })
    }

    /// `~self`.
    fn invert(&self) -> PyResult<Self> {
        Self::checked(Expr::Not(self.sub()))
    }

    /// `-self`.
    fn negate(&self) -> PyResult<Self> {
        Self::checked(match &self.0 {
            Expr::Literal(Literal::Int(v)) => Expr::Literal(Literal::Int(-v)),
            Expr::Literal(Literal::Float(v)) => Expr::Literal(Literal::Float(-v)),
            _ => Expr::Negate(self.sub()),
        })
    }

    /// The expression as another type.
    fn cast(&self, dtype: PyRef<'_, PyDType>, strict: bool) -> PyResult<Self> {
        Self::checked(Expr::Cast { input: self.sub(), to: dtype.0.clone(), strict })
    }

    /// The expression under another name.
    fn alias(&self, name: String) -> PyResult<Self> {
        Self::checked(Expr::Alias { input: self.sub(), name })
    }

    /// `lower <= self <= upper`, or without the bounds that `closed` leaves out.
    fn between(&self, lower: PyRef<'_, PyExpr>, upper: PyRef<'_, PyExpr>, closed: &str) -> PyResult<Self> {
        Self::checked(self.0.clone().between(lower.0.clone(), upper.0.clone(), closed)?)
    }

    /// Whether the value is one of some constants.
    fn is_in(&self, values: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut literals = Vec::new();
        for value in values.try_iter()? {
            literals.push(literal_from_py(&value?)?);
        }
        Self::checked(Expr::IsIn { input: self.sub(), values: literals })
    }

    /// A summary of all rows; `number` is `ddof` or the quantile.
    #[pyo3(signature = (name, number=None, interpolation=None))]
    fn aggregate(&self, name: &str, number: Option<f64>, interpolation: Option<&str>) -> PyResult<Self> {
        let aggregate = Aggregate::parse(name, number, interpolation)?;
        Self::checked(Expr::Aggregate { aggregate, input: Some(self.sub()) })
    }

    /// The expression that `__reduce__` took apart.
    #[classmethod]
    fn rebuilt(_class: &Bound<'_, PyType>, parts: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::checked(pickle::rebuilt(parts)?)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyList>,))> {
        Ok((py.get_type::<Self>().getattr("rebuilt")?, (pickle::parts(py, &self.0)?,)))
    }

    /// The name of the result.
    fn output_name(&self) -> String {
        self.0.output_name()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }
}

/// A Python value as a constant.
///
/// # Errors
/// `TypeError` for what is none, `ValueError` for an integer beyond 64 bits.
pub fn literal_from_py(value: &Bound<'_, PyAny>) -> PyResult<Literal> {
    if value.is_none() {
        return Ok(Literal::Null);
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        return Ok(Literal::Text(text.to_str()?.to_owned()));
    }
    if let Ok(flag) = value.cast_exact::<PyBool>() {
        return Ok(Literal::Bool(flag.is_true()));
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        return Ok(Literal::Float(number.extract()?));
    }
    if value.is_exact_instance_of::<PyInt>() {
        return match value.extract::<i64>() {
            Ok(v) => Ok(Literal::Int(v.into())),
            Err(_) => match value.extract::<u64>() {
                Ok(v) => Ok(Literal::Int(v.into())),
                Err(_) => Err(PyValueError::new_err(format!(
                    "the integer `{value}` has more than 64 bits; use a float or a Decimal"
                ))),
            },
        };
    }
    let refused = || {
        let kind = value.get_type().qualname().map(|n| n.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!(
            "expected a value (None, bool, int, float, str, bytes, date, datetime, time, timedelta, Decimal) or an \
             expression, found `{kind}`"
        ))
    };
    let array = array_of(PyList::new(value.py(), [value])?.as_any())?;
    Literal::of_row(&array, 0).ok_or_else(refused)
}

/// `_internal.predicate(text)`: a text predicate as the expression that it stands for.
#[pyfunction]
pub fn predicate(text: &str) -> PyResult<PyExpr> {
    Ok(PyExpr(parse_predicate(text)?))
}
