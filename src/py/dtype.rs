//! `DType`: an Arrow type by name; and what stands for a dtype or a schema in an argument.
//!
//! A dtype is given by its name, by a Python type, or by anything with `__arrow_c_schema__`; a schema by a dict or list of
//! pairs of these, or by an Arrow schema.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyString, PyType};

use crate::dtype::{announced, dtype_name, parse_dtype};
use crate::py::arrow::{export_field, export_schema, import_field, import_schema};

/// The type of a column's values, by Arrow's names.
///
/// Immutable, hashable; equal to its name and to the Python type that stands for it.
///
/// Parameters
/// ----------
/// dtype
///     A name such as ``"int64"`` or ``"timestamp[ms, tz=Europe/Berlin]"``, a Python type (``int``, ``float``, ``str``,
///     ``bool``, ``bytes``, ``date``, ``datetime``, ``time``, ``timedelta``, ``Decimal``), or anything with
///     ``__arrow_c_schema__``.
///
/// Examples
/// --------
/// >>> from stream import DType
/// >>> DType("int") == "int64" == DType(int)
/// True
/// >>> DType("list<str>")
/// DType("list<string>")
#[pyclass(name = "DType", frozen, module = "stream")]
#[derive(Clone)]
pub struct PyDType(pub DataType);

#[pymethods]
impl PyDType {
    /// From a name, a Python type, or anything with `__arrow_c_schema__`.
    #[new]
    fn new(dtype: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(PyDType(dtype_from_py(dtype)?))
    }

    /// Arrow's name of the type.
    #[getter]
    fn name(&self) -> String {
        dtype_name(&self.0)
    }

    fn __str__(&self) -> String {
        dtype_name(&self.0)
    }

    fn __repr__(&self) -> String {
        format!("DType(\"{}\")", dtype_name(&self.0).replace('"', "\\\""))
    }

    fn __richcmp__<'py>(&self, other: &Bound<'py, PyAny>, op: CompareOp) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let equal = match dtype_from_py(other) {
            // by what a name says: the name of a list's item field is no difference
            Ok(other) => dtype_name(&announced(&other)) == dtype_name(&announced(&self.0)),
            Err(_) => return Ok(py.NotImplemented().into_bound(py)),
        };
        match op {
            CompareOp::Eq => Ok(equal.into_pyobject(py)?.to_owned().into_any()),
            CompareOp::Ne => Ok((!equal).into_pyobject(py)?.to_owned().into_any()),
            _ => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    /// That of the name, which it equals.
    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, &dtype_name(&announced(&self.0))).hash()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        export_field(py, &Field::new("", self.0.clone(), true))
    }

    fn __reduce__(&self, py: Python<'_>) -> (Py<PyType>, (String,)) {
        (py.get_type::<PyDType>().unbind(), (dtype_name(&self.0),))
    }
}

/// The Python types that stand for dtypes, by module and name so that none is imported here.
fn of_python_type(class: &Bound<'_, PyType>) -> PyResult<Option<DataType>> {
    let (module, name) = (class.module()?.to_string(), class.qualname()?.to_string());
    Ok(Some(match (module.as_str(), name.as_str()) {
        ("builtins", "int") => DataType::Int64,
        ("builtins", "float") => DataType::Float64,
        ("builtins", "str") => DataType::Utf8,
        ("builtins", "bool") => DataType::Boolean,
        ("builtins", "bytes") => DataType::Binary,
        ("builtins", "NoneType") => DataType::Null,
        ("datetime", "date") => DataType::Date32,
        ("datetime", "datetime") => DataType::Timestamp(TimeUnit::Microsecond, None),
        ("datetime", "time") => DataType::Time64(TimeUnit::Microsecond),
        ("datetime", "timedelta") => DataType::Duration(TimeUnit::Microsecond),
        ("decimal" | "_decimal", "Decimal") => DataType::Decimal128(38, 9),
        _ => return Ok(None),
    }))
}

/// The dtype that an argument stands for.
///
/// # Errors
/// `ValueError` for a name that is no dtype, `TypeError` for what stands for none.
pub fn dtype_from_py(object: &Bound<'_, PyAny>) -> PyResult<DataType> {
    if let Ok(own) = object.cast::<PyDType>() {
        return Ok(own.get().0.clone());
    }
    if let Ok(name) = object.cast::<PyString>() {
        return Ok(parse_dtype(name.to_str()?)?);
    }
    if let Ok(class) = object.cast::<PyType>() {
        return of_python_type(class)?.ok_or_else(|| not_a_dtype(object));
    }
    if let Some(field) = import_field(object)? {
        return Ok(field.data_type().clone());
    }
    Err(not_a_dtype(object))
}

fn not_a_dtype(object: &Bound<'_, PyAny>) -> PyErr {
    let shown = object.repr().map(|r| r.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!(
        "expected a dtype: a name such as \"int64\", a Python type such as int, or an Arrow type; found `{shown}`"
    ))
}

/// The (name, dtype) pairs that an argument stands for: a dict, a list of pairs, or an Arrow schema.
///
/// # Errors
/// `TypeError` for what is no schema, `ValueError` for a name that comes twice.
pub fn pairs_from_py(object: &Bound<'_, PyAny>) -> PyResult<Vec<(String, DataType)>> {
    let named = |name: &Bound<'_, PyAny>, dtype: &Bound<'_, PyAny>| -> PyResult<(String, DataType)> {
        let name = name
            .extract::<String>()
            .map_err(|_| PyTypeError::new_err(format!("expected a column name, found `{}`", name.get_type())))?;
        let dtype = dtype_from_py(dtype).map_err(|e| {
            let class = e.get_type(dtype.py());
            PyErr::from_type(class, format!("column `{name}`: {}", e.value(dtype.py())))
        })?;
        Ok((name, dtype))
    };
    let mut pairs = Vec::new();
    if let Ok(dict) = object.cast::<PyDict>() {
        for (name, dtype) in dict {
            pairs.push(named(&name, &dtype)?);
        }
    } else if object.hasattr("__arrow_c_schema__")? {
        let schema = import_schema(object)?;
        pairs.extend(schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())));
    } else if object.hasattr("items")? {
        for item in object.call_method0("items")?.try_iter()? {
            let (name, dtype): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
            pairs.push(named(&name, &dtype)?);
        }
    } else if object.is_instance_of::<PyString>() {
        return Err(not_a_schema(object));
    } else {
        let Ok(items) = object.try_iter() else { return Err(not_a_schema(object)) };
        for item in items {
            let item = item?;
            let Ok((name, dtype)) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
                return Err(not_a_schema(object));
            };
            pairs.push(named(&name, &dtype)?);
        }
    }
    let mut seen = std::collections::HashSet::new();
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !seen.insert(name.as_str())) {
        return Err(PyValueError::new_err(format!("a schema names column `{name}` twice")));
    }
    Ok(pairs)
}

fn not_a_schema(object: &Bound<'_, PyAny>) -> PyErr {
    let kind = object.get_type().name().map(|n| n.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!(
        "expected a schema: a dict name → dtype, a list of (name, dtype), or an Arrow schema; found `{kind}`"
    ))
}

/// The schema that an argument stands for, every column nullable.
///
/// # Errors
/// As [`pairs_from_py`].
pub fn schema_from_py(object: &Bound<'_, PyAny>) -> PyResult<SchemaRef> {
    let fields: Vec<Field> = pairs_from_py(object)?.into_iter().map(|(n, t)| Field::new(n, t, true)).collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// `_internal.schema_pairs(obj)`: what `Schema(obj)` keeps.
#[pyfunction]
pub fn schema_pairs(schema: &Bound<'_, PyAny>) -> PyResult<Vec<(String, PyDType)>> {
    Ok(pairs_from_py(schema)?.into_iter().map(|(n, t)| (n, PyDType(t))).collect())
}

/// `_internal.schema_capsule(pairs)`: the schema by Arrow's PyCapsule interface.
#[pyfunction]
pub fn schema_capsule<'py>(
    py: Python<'py>,
    pairs: Vec<(String, PyRef<'py, PyDType>)>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let fields: Vec<Field> = pairs.into_iter().map(|(n, t)| Field::new(n, t.0.clone(), true)).collect();
    export_schema(py, &Schema::new(fields))
}
