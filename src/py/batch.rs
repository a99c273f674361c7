//! `RawBatch`: a record batch in Python's hands. `stream.Batch` dresses it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, filter_record_batch, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyString, PyTuple, PyType};

use crate::batch::{bytes_of_rows, with_columns};
use crate::dtype::{announced, dtype_name};
use crate::error::{Error, Result};
use crate::expr::{Expr, resolve_aggregates, resolve_all, resolve_predicate};
use crate::memory::Exported;
use crate::py::arrow::{announced_batch, announced_field, export_batch, export_schema, import_batches, import_schema};
use crate::py::column::RawColumn;
use crate::py::dtype::PyDType;
use crate::py::expr::PyExpr;
use crate::py::pickle;
use crate::py::traced::Traced;
use crate::py::values::{Values, dict_of, values};

/// Rows handed to Python, with the guard that counts their bytes as exported for as long as they are held.
/// What is taken from a batch (columns, slices, views) shares its buffers and its guard.
#[pyclass(frozen, module = "stream._internal")]
#[derive(Debug, Clone)]
pub struct RawBatch {
    batch: RecordBatch,
    guard: Option<Arc<Traced>>,
}

impl RawBatch {
    /// `batch`, its bytes counted by `guard` where it comes from a run.
    pub fn new(batch: RecordBatch, guard: Option<Exported>) -> Self {
        Self { batch, guard: guard.map(Traced::new) }
    }

    /// The rows.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Other rows under the same guard.
    fn like(&self, batch: RecordBatch) -> Self {
        Self { batch, guard: self.guard.clone() }
    }

    fn at(&self, index: usize) -> RawColumn {
        let field = self.batch.schema_ref().fields()[index].clone();
        RawColumn::new(field, self.batch.column(index).clone(), self.guard.clone())
    }

    fn position(&self, name: &str) -> Result<usize> {
        let schema = self.batch.schema_ref();
        schema
            .fields()
            .iter()
            .position(|f| f.name() == name)
            .ok_or_else(|| Error::no_column(name, schema.fields().iter().map(|f| f.name().as_str())))
    }

    fn columns_as_values<'py>(&self, py: Python<'py>) -> Result<Vec<Values<'py>>> {
        let schema = self.batch.schema_ref();
        let columns = self.batch.columns().iter().zip(schema.fields());
        columns
            .map(|(column, field)| values(py, column).map_err(|e| e.context(format_args!("column `{}`", field.name()))))
            .collect()
    }

    fn interned<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyString>> {
        self.batch.schema_ref().fields().iter().map(|f| PyString::new(py, f.name())).collect()
    }
}

#[pymethods]
impl RawBatch {
    /// A batch of `columns`; `rows` counts where there are none.
    #[staticmethod]
    fn from_columns(columns: Vec<(String, Bound<'_, RawColumn>)>, rows: usize) -> PyResult<Self> {
        let mut fields: Vec<FieldRef> = Vec::with_capacity(columns.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        let mut guard = None;
        for (name, column) in columns {
            let column = column.get();
            if fields.iter().any(|f| *f.name() == name) {
                return Err(Error::Schema(format!("two columns are named `{name}`")).into());
            }
            guard = guard.or_else(|| column.guard().cloned());
            fields.push(Arc::new(Field::new(name, column.array().data_type().clone(), true)));
            arrays.push(column.array().clone());
        }
        Ok(Self { batch: with_columns(Arc::new(Schema::new(fields)), arrays, rows)?, guard })
    }

    /// All rows of an Arrow producer in one batch.
    #[staticmethod]
    fn from_arrow(producer: &Bound<'_, PyAny>) -> PyResult<Self> {
        let batches = import_batches(producer)?;
        let schema = batches.schema();
        let batches = producer.py().detach(|| batches.collect::<Result<Vec<_>>>())?;
        let batch = match batches.as_slice() {
            [one] => one.clone(),
            many => concat_batches(&schema, many).map_err(Error::from)?,
        };
        Ok(Self { batch, guard: None })
    }

    /// No rows, of the schema that `like` tells by `__arrow_c_schema__`.
    #[staticmethod]
    fn empty(like: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { batch: RecordBatch::new_empty(import_schema(like)?), guard: None })
    }

    /// All rows of some batches of one schema, in one, copied.
    #[staticmethod]
    fn joined(batches: Vec<Bound<'_, RawBatch>>) -> PyResult<Self> {
        let Some(first) = batches.first() else {
            return Err(Error::Value("no batch to join".into()).into());
        };
        let schema = first.get().batch.schema();
        let batch = concat_batches(&schema, batches.iter().map(|b| &b.get().batch)).map_err(Error::from)?;
        Ok(Self { batch, guard: None })
    }

    /// Whether names, types and values are the same.
    fn equals(&self, other: &Bound<'_, RawBatch>) -> PyResult<bool> {
        let (own, other) = (announced_batch(&self.batch)?, announced_batch(&other.get().batch)?);
        let alike = |a: &FieldRef, b: &FieldRef| a.name() == b.name() && a.data_type() == b.data_type();
        let (a, b) = (own.schema_ref().fields(), other.schema_ref().fields());
        Ok(a.len() == b.len()
            && own.num_rows() == other.num_rows()
            && a.iter().zip(b.iter()).all(|(a, b)| alike(a, b))
            && own.columns() == other.columns())
    }

    /// Names and dtypes, as they are announced.
    fn schema(&self) -> Vec<(String, PyDType)> {
        let fields = self.batch.schema_ref().fields().iter();
        fields.map(|f| (f.name().clone(), PyDType(announced(f.data_type())))).collect()
    }

    #[getter]
    fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    #[getter]
    fn num_columns(&self) -> usize {
        self.batch.num_columns()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        bytes_of_rows(&self.batch)
    }

    /// The columns' names, in order.
    fn names(&self) -> Vec<String> {
        self.batch.schema_ref().fields().iter().map(|f| f.name().clone()).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    fn column(&self, name: &str) -> PyResult<RawColumn> {
        Ok(self.at(self.position(name)?))
    }

    fn columns(&self) -> Vec<RawColumn> {
        (0..self.batch.num_columns()).map(|i| self.at(i)).collect()
    }

    /// At most `length` rows from `start` on; shares the buffers.
    fn slice(&self, start: usize, length: usize) -> Self {
        let start = start.min(self.batch.num_rows());
        self.like(self.batch.slice(start, length.min(self.batch.num_rows() - start)))
    }

    /// The rows at `positions`, copied.
    fn take(&self, positions: Vec<u64>) -> PyResult<Self> {
        let rows = UInt64Array::from(positions);
        if rows.values().iter().any(|row| *row >= self.batch.num_rows() as u64) {
            return Err(Error::Value("row out of range".into()).into());
        }
        let columns = self.batch.columns().iter().map(|c| take(c.as_ref(), &rows, None)).collect::<Result<_, _>>();
        Ok(Self {
            batch: with_columns(self.batch.schema(), columns.map_err(Error::from)?, rows.values().len())?,
            guard: None,
        })
    }

    /// The rows from `start` to `stop`, as dicts or tuples.
    fn to_rows<'py>(
        &self,
        py: Python<'py>,
        start: usize,
        stop: usize,
        as_tuples: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let part = self.slice(start, stop.saturating_sub(start));
        let columns = part.columns_as_values(py)?;
        let rows = 0..part.batch.num_rows();
        if as_tuples {
            let tuple = |row: usize| -> PyResult<Bound<'py, PyTuple>> {
                PyTuple::new(py, columns.iter().map(|column: &Values<'py>| column[row].clone()))
            };
            return PyList::new(py, rows.map(tuple).collect::<PyResult<Vec<_>>>()?);
        }
        let names = part.interned(py);
        PyList::new(py, rows.map(|row| dict_of(py, &names, &columns, row)).collect::<Result<Vec<_>>>()?)
    }

    /// Lists of values by column name.
    fn to_pydict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, column) in self.interned(py).iter().zip(self.columns_as_values(py)?) {
            dict.set_item(name, column)?;
        }
        Ok(dict)
    }

    /// The rows where `mask`, a column of booleans, is true.
    fn filter_mask(&self, py: Python<'_>, mask: &Bound<'_, RawColumn>) -> PyResult<Self> {
        let mask = mask.get().array();
        if mask.len() != self.batch.num_rows() {
            return Err(Error::Value(format!(
                "expected a mask of {} values, one a row, found {}",
                self.batch.num_rows(),
                mask.len()
            ))
            .into());
        }
        let kept = match mask.data_type() {
            DataType::Boolean => {
                py.detach(|| filter_record_batch(&self.batch, mask.as_boolean())).map_err(Error::from)?
            }
            DataType::Null => self.batch.slice(0, 0),
            other => {
                return Err(Error::Type(format!("expected a mask of booleans, found `{}`", dtype_name(other))).into());
            }
        };
        Ok(self.like(kept))
    }

    /// The same rows under new names; `pairs` are (old, new).
    fn rename(&self, pairs: Vec<(String, String)>) -> PyResult<Self> {
        let mut names = self.names();
        for (old, new) in pairs {
            let index = self.position(&old)?;
            if let Some(name) = names.get_mut(index) {
                *name = new;
            }
        }
        let schema = self.batch.schema();
        let fields: Vec<FieldRef> = schema
            .fields()
            .iter()
            .zip(&names)
            .map(|(f, name)| Arc::new(f.as_ref().clone().with_name(name.clone())))
            .collect();
        refuse_twins(&names)?;
        let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
        Ok(self.like(self.over(Arc::new(schema))?))
    }

    /// The rows without the columns `names`.
    fn drop(&self, names: Vec<String>) -> PyResult<Self> {
        let gone = names.iter().map(|name| self.position(name)).collect::<Result<Vec<_>>>()?;
        let kept: Vec<usize> = (0..self.batch.num_columns()).filter(|i| !gone.contains(i)).collect();
        Ok(self.like(self.batch.project(&kept).map_err(Error::from)?))
    }

    /// The columns that `exprs` make, one value a row each.
    fn eval(&self, py: Python<'_>, exprs: Vec<PyRef<'_, PyExpr>>) -> PyResult<Vec<RawColumn>> {
        let exprs = plain(&exprs);
        Ok(py.detach(|| {
            let batch = announced_batch(&self.batch)?;
            let typed = resolve_all(&exprs, batch.schema_ref())?;
            typed
                .iter()
                .map(|expr| Ok(RawColumn::new(Arc::new(expr.field().clone()), expr.eval(&batch)?, self.guard.clone())))
                .collect::<Result<_>>()
        })?)
    }

    /// The rows for which every one of `predicates` is true.
    fn filter(&self, py: Python<'_>, predicates: Vec<PyRef<'_, PyExpr>>) -> PyResult<Self> {
        let predicates = plain(&predicates);
        let kept = py.detach(|| {
            let mut batch = announced_batch(&self.batch)?;
            for predicate in &predicates {
                // one after the other: what a predicate drops, the next must not fail on
                let typed = resolve_predicate(predicate, batch.schema_ref())?;
                batch = filter_record_batch(&batch, &typed.mask(&batch)?)?;
            }
            Ok::<_, Error>(batch)
        })?;
        Ok(self.like(kept))
    }

    /// One row of aggregates.
    fn agg(&self, py: Python<'_>, exprs: Vec<PyRef<'_, PyExpr>>) -> PyResult<Self> {
        let exprs = plain(&exprs);
        let batch = py.detach(|| {
            let batch = announced_batch(&self.batch)?;
            let mut state = resolve_aggregates(&exprs, batch.schema_ref())?.start()?;
            state.update(&batch)?;
            state.finish()
        })?;
        Ok(Self { batch, guard: None })
    }

    /// Some columns as other types; a value that does not fit is an error.
    fn cast(&self, py: Python<'_>, dtypes: Vec<(String, PyRef<'_, PyDType>)>) -> PyResult<Self> {
        let mut exprs: Vec<Expr> = self.names().into_iter().map(Expr::col).collect();
        for (name, dtype) in &dtypes {
            let at = self.position(name)?;
            if let Some(expr) = exprs.get_mut(at) {
                *expr = Expr::col(name).cast(dtype.0.clone(), true);
            }
        }
        let cast = py.detach(|| {
            let batch = announced_batch(&self.batch)?;
            let typed = resolve_all(&exprs, batch.schema_ref())?;
            let columns = typed.iter().map(|expr| expr.eval(&batch)).collect::<Result<Vec<_>>>()?;
            let fields: Vec<FieldRef> = typed.iter().map(|expr| Arc::new(expr.field().clone())).collect();
            with_columns(Arc::new(Schema::new(fields)), columns, batch.num_rows())
        })?;
        Ok(self.like(cast))
    }

    /// The batch that `__reduce__` wrote as an Arrow stream.
    #[classmethod]
    fn from_ipc(_class: &Bound<'_, PyType>, bytes: &[u8]) -> PyResult<Self> {
        Ok(Self { batch: pickle::read(bytes)?, guard: None })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let bytes = pickle::written(&self.batch)?;
        Ok((py.get_type::<Self>().getattr("from_ipc")?, (PyBytes::new(py, &bytes),)))
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = self.batch.schema_ref();
        let fields: Vec<FieldRef> = schema.fields().iter().map(announced_field).collect();
        export_schema(py, &Schema::new_with_metadata(fields, schema.metadata().clone()))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        export_batch(py, &self.batch, requested_schema)
    }
}

impl RawBatch {
    fn over(&self, schema: SchemaRef) -> Result<RecordBatch> {
        with_columns(schema, self.batch.columns().to_vec(), self.batch.num_rows())
    }
}

fn plain(exprs: &[PyRef<'_, PyExpr>]) -> Vec<Expr> {
    exprs.iter().map(|expr| expr.0.clone()).collect()
}

/// Bytes that the extension's allocator has out, had out at most, and keeps for reuse.
#[pyfunction]
pub fn memory(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("live", crate::alloc::live())?;
    dict.set_item("peak", crate::alloc::peak())?;
    dict.set_item("kept", crate::alloc::kept())?;
    Ok(dict)
}

fn refuse_twins(names: &[String]) -> Result<()> {
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(Error::Schema(format!("two columns are named `{name}`; rename one")));
        }
    }
    Ok(())
}
