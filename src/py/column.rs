//! `RawColumn`: one column in Python's hands, and the views by which NumPy reads its buffer. `stream.Column` dresses it.

use std::sync::Arc;

use arrow::array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Float16Array, Int64Array, PrimitiveArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyTuple, PyType};

use crate::batch::{bytes_of_values, with_columns};
use crate::dtype::announced;
use crate::error::{Error, Result};
use crate::py::arrow::{announced_field, export_array, export_field, import_array, recast};
use crate::py::build::array_of;
use crate::py::dtype::PyDType;
use crate::py::error::foreign;
use crate::py::pickle;
use crate::py::traced::Traced;
use crate::py::values::values;

/// One column, with the guard of the batch that it comes from.
#[pyclass(frozen, module = "stream._internal")]
#[derive(Debug, Clone)]
pub struct RawColumn {
    field: FieldRef,
    array: ArrayRef,
    guard: Option<Arc<Traced>>,
}

impl RawColumn {
    /// `array` under the name and type of `field`.
    pub fn new(field: FieldRef, array: ArrayRef, guard: Option<Arc<Traced>>) -> Self {
        Self { field, array, guard }
    }

    /// `array` under `name`, on its own.
    pub fn of(name: &str, array: ArrayRef) -> Self {
        Self { field: Arc::new(Field::new(name, array.data_type().clone(), true)), array, guard: None }
    }

    /// The values.
    pub fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// Name, type, nullability.
    pub fn field(&self) -> &FieldRef {
        &self.field
    }

    /// What counts its bytes as exported.
    pub fn guard(&self) -> Option<&Arc<Traced>> {
        self.guard.as_ref()
    }

    fn named(&self, error: Error) -> Error {
        in_column(self.field.name(), error)
    }

    fn like(&self, array: ArrayRef) -> Self {
        Self { field: self.field.clone(), array, guard: self.guard.clone() }
    }
}

/// The error of a column, which may have no name.
fn in_column(name: &str, error: Error) -> Error {
    if name.is_empty() { error.context("column") } else { error.context(format_args!("column `{name}`")) }
}

#[pymethods]
impl RawColumn {
    /// A column of the items of an iterable of Python values.
    #[staticmethod]
    fn from_values(name: &str, items: &Bound<'_, PyAny>) -> PyResult<Self> {
        let array = array_of(items).map_err(|e| in_column(name, e))?;
        Ok(Self::of(name, array))
    }

    /// A column of all that an Arrow producer of arrays has.
    #[staticmethod]
    fn from_arrow(name: &str, producer: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (array, field) = import_array(producer).map_err(|e| in_column(name, e))?;
        Ok(Self { field: Arc::new(field.as_ref().clone().with_name(name)), array, guard: None })
    }

    /// A copy of a one-dimensional buffer of numbers. `kind` says what they stand for: `plain`, `bool` (bytes),
    /// `float16` (16-bit words), or `D`, `s`, `ms`, `us`, `ns` with `m` before it for a duration (64-bit counts).
    #[staticmethod]
    fn from_buffer(name: &str, buffer: &Bound<'_, PyAny>, kind: &str) -> PyResult<Self> {
        let array = copied(buffer, kind).map_err(|e| in_column(name, e))?;
        Ok(Self::of(name, array))
    }

    #[getter]
    fn name(&self) -> &str {
        self.field.name()
    }

    /// The type, as it is announced.
    #[getter]
    fn dtype(&self) -> PyDType {
        PyDType(announced(self.array.data_type()))
    }

    #[getter]
    fn null_count(&self) -> usize {
        self.array.logical_null_count()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        bytes_of_values(&self.array)
    }

    /// The same values under another name.
    fn renamed(&self, name: &str) -> Self {
        let field = Arc::new(self.field.as_ref().clone().with_name(name));
        Self { field, array: self.array.clone(), guard: self.guard.clone() }
    }

    /// At most `length` values from `start` on; shares the buffer.
    fn slice(&self, start: usize, length: usize) -> Self {
        let start = start.min(self.array.len());
        self.like(self.array.slice(start, length.min(self.array.len() - start)))
    }

    /// The values at `positions`, copied.
    fn take(&self, positions: Vec<u64>) -> PyResult<Self> {
        let rows = UInt64Array::from(positions);
        if rows.values().iter().any(|row| *row >= self.array.len() as u64) {
            return Err(Error::Value("row out of range".into()).into());
        }
        let array = take(self.array.as_ref(), &rows, None).map_err(Error::from)?;
        Ok(Self { field: self.field.clone(), array, guard: None })
    }

    /// The first value `rows` times.
    fn repeated(&self, rows: usize) -> PyResult<Self> {
        self.take(vec![0; rows])
    }

    /// The value at `row`.
    fn get<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        if row >= self.array.len() {
            return Err(Error::Value("row out of range".into()).into());
        }
        let mut one = values(py, &self.array.slice(row, 1)).map_err(|e| self.named(e))?;
        Ok(one.pop().unwrap_or_else(|| py.None().into_bound(py)))
    }

    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, values(py, &self.array).map_err(|e| self.named(e))?)
    }

    /// The buffer as NumPy reads it, nulls as whatever stands there; `None` for a type without such a buffer.
    fn view(&self) -> Option<ArrayView> {
        let (typestr, buffer) = numbers(&self.array)?;
        Some(ArrayView { buffer, typestr, len: self.array.len(), _guard: self.guard.clone() })
    }

    /// A byte a value: 1 where it is null.
    fn null_mask(&self) -> Option<ArrayView> {
        let nulls = self.array.logical_nulls()?;
        Some(bytes_of(&!nulls.inner()))
    }

    /// A byte a value: 1 where it is true. For a column of booleans.
    fn truth(&self) -> Option<ArrayView> {
        Some(bytes_of(self.array.as_boolean_opt()?.values()))
    }

    /// The days of a column of dates, as a column of integers on the same buffer.
    fn as_days(&self) -> PyResult<Self> {
        let days = recast(&self.array, &DataType::Int32)?;
        let field = Arc::new(Field::new(self.field.name(), DataType::Int32, true));
        Ok(Self { field, array: days, guard: self.guard.clone() })
    }

    /// The column that `__reduce__` wrote as an Arrow stream.
    #[classmethod]
    fn from_ipc(_class: &Bound<'_, PyType>, bytes: &[u8]) -> PyResult<Self> {
        let batch = pickle::read(bytes)?;
        let field = batch.schema_ref().fields().first().cloned();
        let field = field.ok_or_else(|| Error::Value("expected a column, found none".into()))?;
        Ok(Self { field, array: batch.column(0).clone(), guard: None })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let field = self.field.as_ref().clone().with_data_type(self.array.data_type().clone()).with_nullable(true);
        let batch = with_columns(Arc::new(Schema::new(vec![field])), vec![self.array.clone()], self.array.len())?;
        let bytes = pickle::written(&batch)?;
        Ok((py.get_type::<Self>().getattr("from_ipc")?, (PyBytes::new(py, &bytes),)))
    }

    fn __len__(&self) -> usize {
        self.array.len()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        export_field(py, &announced_field(&self.field))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        export_array(py, &self.array, &self.field, requested_schema)
    }
}

/// A read-only window on an Arrow buffer, by NumPy's array interface: the array that NumPy makes of it keeps this
/// object, and with it the buffer, alive.
#[pyclass(frozen, module = "stream._internal")]
#[derive(Debug)]
pub struct ArrayView {
    buffer: Buffer,
    typestr: String,
    len: usize,
    _guard: Option<Arc<Traced>>,
}

#[pymethods]
impl ArrayView {
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("version", 3)?;
        dict.set_item("typestr", &self.typestr)?;
        dict.set_item("shape", (self.len,))?;
        dict.set_item("data", (self.buffer.as_ptr() as usize, true))?;
        Ok(dict)
    }
}

fn bytes_of(bits: &BooleanBuffer) -> ArrayView {
    let bytes: Vec<u8> = bits.iter().map(u8::from).collect();
    ArrayView { len: bytes.len(), buffer: Buffer::from_vec(bytes), typestr: "|b1".into(), _guard: None }
}

/// NumPy's name for the type of a fixed-width column, and its values: the rows of the column, nothing before them.
fn numbers(array: &ArrayRef) -> Option<(String, Buffer)> {
    let code = match array.data_type() {
        DataType::Int8 => "i1".into(),
        DataType::Int16 => "i2".into(),
        DataType::Int32 => "i4".into(),
        DataType::Int64 => "i8".into(),
        DataType::UInt8 => "u1".into(),
        DataType::UInt16 => "u2".into(),
        DataType::UInt32 => "u4".into(),
        DataType::UInt64 => "u8".into(),
        DataType::Float16 => "f2".into(),
        DataType::Float32 => "f4".into(),
        DataType::Float64 => "f8".into(),
        DataType::Date64 => "M8[ms]".into(),
        DataType::Timestamp(unit, _) => format!("M8[{}]", unit_name(*unit)),
        DataType::Duration(unit) => format!("m8[{}]", unit_name(*unit)),
        _ => return None,
    };
    let data = array.to_data();
    let width = array.data_type().primitive_width()?;
    let buffer = data.buffers().first()?.slice_with_length(data.offset() * width, data.len() * width);
    let order = if cfg!(target_endian = "big") { '>' } else { '<' };
    Some((format!("{order}{code}"), buffer))
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

fn copied(buffer: &Bound<'_, PyAny>, kind: &str) -> Result<ArrayRef> {
    match kind {
        "bool" => {
            let bytes = primitive::<UInt8Type>(buffer)?.ok_or_else(|| unknown(buffer))?;
            let bits: BooleanBuffer = bytes.values().iter().map(|byte| *byte != 0).collect();
            Ok(Arc::new(BooleanArray::new(bits, None)))
        }
        "float16" => {
            let words = primitive::<UInt16Type>(buffer)?.ok_or_else(|| unknown(buffer))?;
            let len = words.len();
            Ok(Arc::new(Float16Array::new(ScalarBuffer::new(words.values().inner().clone(), 0, len), None)))
        }
        "plain" => {
            macro_rules! first_of {
                ($($kind:ty),*) => {
                    $(if let Some(array) = primitive::<$kind>(buffer)? { return Ok(Arc::new(array)); })*
                };
            }
            first_of!(
                Int64Type,
                Float64Type,
                Int32Type,
                Float32Type,
                Int16Type,
                Int8Type,
                UInt8Type,
                UInt16Type,
                UInt32Type,
                UInt64Type
            );
            Err(unknown(buffer))
        }
        unit => {
            let counts = primitive::<Int64Type>(buffer)?.ok_or_else(|| unknown(buffer))?;
            let known: BooleanBuffer = counts.values().iter().map(|v| *v != i64::MIN).collect();
            let nulls = Some(NullBuffer::new(known)).filter(|n| n.null_count() > 0);
            let counts: ArrayRef = Arc::new(Int64Array::new(counts.values().clone(), nulls));
            let (duration, unit) = unit.strip_prefix("m:").map_or((false, unit), |unit| (true, unit));
            let unit = match unit {
                "D" => return recast(&recast(&counts, &DataType::Int32)?, &DataType::Date32),
                "s" => TimeUnit::Second,
                "ms" => TimeUnit::Millisecond,
                "us" => TimeUnit::Microsecond,
                "ns" => TimeUnit::Nanosecond,
                other => return Err(Error::Value(format!("unknown unit `{other}`"))),
            };
            let kind = if duration { DataType::Duration(unit) } else { DataType::Timestamp(unit, None) };
            recast(&counts, &kind)
        }
    }
}

fn unknown(buffer: &Bound<'_, PyAny>) -> Error {
    let kind = buffer.get_type().name().map(|n| n.to_string()).unwrap_or_default();
    Error::Type(format!("the buffer of `{kind}` holds no numbers of a known type"))
}

/// The numbers of a buffer if they are of type `T`, strides undone; `None` if they are of another type.
fn primitive<T>(buffer: &Bound<'_, PyAny>) -> Result<Option<PrimitiveArray<T>>>
where
    T: ArrowPrimitiveType,
    T::Native: Element,
{
    let Ok(view) = PyBuffer::<T::Native>::get(buffer) else { return Ok(None) };
    if view.dimensions() != 1 {
        return Err(Error::Type(format!("expected one dimension, found {}", view.dimensions())));
    }
    let values = view.to_vec(buffer.py()).map_err(foreign)?;
    Ok(Some(PrimitiveArray::new(values.into(), None)))
}
