//! Arrow in, Arrow out: the PyCapsule interface, and the only file of the binding with `unsafe` in it.
//!
//! Exports hand over buffers without copying; text goes out as `string` unless the consumer asks for another layout.
//! Imports take any object with `__arrow_c_stream__`, `__arrow_c_array__` or `__arrow_c_schema__`. What comes in is
//! checked before it is used (lengths, offsets, keys, UTF-8: [`check`]), because a producer's slip must become an
//! error and never a crash.

use std::any::Any;
use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, OffsetSizeTrait, RecordBatch, RecordBatchReader, StructArray, make_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow::ffi_stream::FFI_ArrowArrayStream;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

use crate::batch::with_columns;
use crate::dtype::announced;
use crate::error::{Error, Result};
use crate::py::error::foreign;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

/// Types nested deeper than this are refused: every walk over a type is recursive.
const DEEPEST: usize = 64;

// ---------------------------------------------------------------------------------------------------- import

/// Batches of a foreign producer, pulled one at a time on the thread that calls `next`, which need not be attached.
/// Released on drop, whether or not it was pulled to its end.
#[derive(Debug)]
pub struct Incoming {
    schema: SchemaRef,
    arrays: Arrays,
    /// What is left of a batch whose columns are copied into another layout: a slice at a time, so that neither the
    /// copy nor 32-bit offsets limit how large a producer's batches are.
    left: Option<ArrayRef>,
    over: bool,
}

/// Rows of a slice of [`Incoming::left`].
const SLICE: usize = 65_536;

impl Incoming {
    /// The schema of every batch, as this package announces it: text is `string` whatever layout comes in.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn same_layout(&self) -> bool {
        match self.arrays.field.data_type() {
            DataType::Struct(fields) => {
                fields.iter().zip(self.schema.fields()).all(|(a, b)| a.data_type() == b.data_type())
            }
            _ => false,
        }
    }
}

impl Iterator for Incoming {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let array = match self.left.take() {
            Some(left) => Ok(left),
            None => self.arrays.next()?,
        };
        let batch = array.and_then(|array| {
            let array = if array.len() > SLICE && !self.same_layout() {
                self.left = Some(array.slice(SLICE, array.len() - SLICE));
                array.slice(0, SLICE)
            } else {
                array
            };
            let columns = columns_of(&array)?;
            let columns = columns
                .into_iter()
                .zip(self.schema.fields())
                .map(|(column, field)| recast(&column, field.data_type()).map_err(|e| e.context(named(field))))
                .collect::<Result<_>>()?;
            with_columns(self.schema.clone(), columns, array.len())
        });
        self.over = batch.is_err();
        Some(batch)
    }
}

/// The batches of `object`: a stream of structs, or one struct. Asks the producer for its stream, pulls nothing.
///
/// # Errors
/// `TypeError` for what is no producer of batches; the producer's own exceptions, unchanged.
pub fn import_batches(object: &Bound<'_, PyAny>) -> Result<Incoming> {
    let arrays = Arrays::of(object)?;
    let DataType::Struct(fields) = arrays.field.data_type() else {
        return Err(Error::Type(format!(
            "expected Arrow batches, found an Arrow array of `{}`; name it: {{\"column\": array}}",
            arrays.field.data_type()
        )));
    };
    let fields: Vec<FieldRef> = fields.iter().map(announced_field).collect();
    Ok(Incoming { schema: schema_of(fields, &arrays.field), arrays, left: None, over: false })
}

/// The schema that `object` tells by `__arrow_c_schema__`, or else by the stream or array that it gives.
///
/// # Errors
/// `TypeError` for what tells no schema.
pub fn import_schema(object: &Bound<'_, PyAny>) -> Result<SchemaRef> {
    match import_field(object)? {
        Some(field) => match field.data_type() {
            DataType::Struct(fields) => {
                let fields: Vec<FieldRef> = fields.iter().map(announced_field).collect();
                Ok(schema_of(fields, &field))
            }
            other => Err(Error::Type(format!("expected an Arrow schema, found the Arrow type `{other}`"))),
        },
        None => Ok(import_batches(object)?.schema()),
    }
}

/// The schema of `fields` with the metadata of the struct `whole`, without what pandas says there of its index: the
/// columns may change, and pandas believes it.
fn schema_of(fields: Vec<FieldRef>, whole: &Field) -> SchemaRef {
    let mut metadata = whole.metadata().clone();
    metadata.remove("pandas");
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// The Arrow type (with name and nullability) that `object` tells by `__arrow_c_schema__`, as it stands; `None` if it
/// has no such method.
///
/// # Errors
/// The producer's own exceptions, and types that cannot be read.
pub fn import_field(object: &Bound<'_, PyAny>) -> Result<Option<Field>> {
    let Some(method) = object.getattr_opt("__arrow_c_schema__").map_err(foreign)? else { return Ok(None) };
    let capsule = method.call0().map_err(foreign)?;
    let schema = take_schema(&capsule)?;
    guarded(|| field_of(&schema)).map(Some)
}

/// One array: all that `object` has, its parts put together.
///
/// # Errors
/// `TypeError` for what is no producer.
pub fn import_array(object: &Bound<'_, PyAny>) -> Result<(ArrayRef, FieldRef)> {
    let mut arrays = Arrays::of(object)?;
    let field = announced_field(&arrays.field.clone());
    let parts = object.py().detach(|| arrays.by_ref().collect::<Result<Vec<_>>>())?;
    let parts = parts.iter().map(|part| recast(part, field.data_type())).collect::<Result<Vec<ArrayRef>>>()?;
    let array = match parts.as_slice() {
        [one] => one.clone(),
        [] => arrow::array::new_empty_array(field.data_type()),
        many => arrow::compute::concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
    };
    Ok((array, field))
}

/// Arrays of one type from a foreign stream, or one array.
#[derive(Debug)]
struct Arrays {
    field: FieldRef,
    from: From,
}

#[derive(Debug)]
enum From {
    Stream(FFI_ArrowArrayStream),
    One(Option<FFI_ArrowArray>),
}

impl Arrays {
    fn of(object: &Bound<'_, PyAny>) -> Result<Self> {
        if let Some(method) = object.getattr_opt("__arrow_c_stream__").map_err(foreign)? {
            let capsule = method.call0().map_err(foreign)?;
            let mut stream = take_stream(&capsule)?;
            let field = guarded(|| stream_field(&mut stream))?;
            return Ok(Self { field: Arc::new(field), from: From::Stream(stream) });
        }
        if let Some(method) = object.getattr_opt("__arrow_c_array__").map_err(foreign)? {
            let pair = method.call0().map_err(foreign)?;
            let (schema, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract().map_err(foreign)?;
            let schema = take_schema(&schema)?;
            let array = take_array(&array)?;
            let field = guarded(|| field_of(&schema))?;
            return Ok(Self { field: Arc::new(field), from: From::One(Some(array)) });
        }
        let kind = object.get_type().name().map_err(foreign)?;
        Err(Error::Type(format!(
            "expected an Arrow producer (an object with `__arrow_c_stream__` or `__arrow_c_array__`), found `{kind}`"
        )))
    }
}

impl Iterator for Arrays {
    type Item = Result<ArrayRef>;

    fn next(&mut self) -> Option<Self::Item> {
        let array = match &mut self.from {
            From::Stream(stream) => match next_of(stream) {
                Ok(array) => array?,
                Err(e) => return Some(Err(e)),
            },
            From::One(array) => array.take()?,
        };
        let kind = self.field.data_type().clone();
        Some(guarded(|| array_of(array, kind)))
    }
}

/// Takes what a capsule named `name` holds, leaving it released.
fn pointer<T>(capsule: &Bound<'_, PyAny>, name: &'static CStr) -> Result<*mut T> {
    let told = name.to_string_lossy();
    let capsule = capsule
        .cast::<PyCapsule>()
        .map_err(|_| Error::Type(format!("expected a capsule `{told}`, found `{}`", capsule.get_type())))?;
    let pointer = capsule
        .pointer_checked(Some(name))
        .map_err(|_| Error::Type(format!("expected a capsule named `{told}`, found another one")))?
        .cast::<T>();
    if !pointer.is_aligned() {
        return Err(Error::Type(format!("the capsule `{told}` does not hold what its name says")));
    }
    Ok(pointer.as_ptr())
}

fn taken_already() -> Error {
    Error::Stream("the Arrow capsule was consumed already; ask its producer for a new one".into())
}

fn take_schema(capsule: &Bound<'_, PyAny>) -> Result<FFI_ArrowSchema> {
    // SAFETY: a capsule of this name holds a valid ArrowSchema (PyCapsule interface) for as long as it lives, and the
    // attached thread keeps it alive; moving out leaves it released, so that its destructor does nothing.
    let schema = unsafe { FFI_ArrowSchema::from_raw(pointer(capsule, SCHEMA)?) };
    if schema.release().is_none() { Err(taken_already()) } else { Ok(schema) }
}

fn take_array(capsule: &Bound<'_, PyAny>) -> Result<FFI_ArrowArray> {
    // SAFETY: as for `take_schema`, with an ArrowArray.
    let array = unsafe { FFI_ArrowArray::from_raw(pointer(capsule, ARRAY)?) };
    if array.is_released() { Err(taken_already()) } else { Ok(array) }
}

fn take_stream(capsule: &Bound<'_, PyAny>) -> Result<FFI_ArrowArrayStream> {
    // SAFETY: as for `take_schema`, with an ArrowArrayStream.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer(capsule, STREAM)?) };
    if stream.release().is_none() { Err(taken_already()) } else { Ok(stream) }
}

fn stream_field(stream: &mut FFI_ArrowArrayStream) -> Result<Field> {
    let ask = stream.get_schema().ok_or_else(|| malformed("a stream without `get_schema`"))?;
    let mut schema = FFI_ArrowSchema::empty();
    // SAFETY: `ask` is this stream's own callback and the stream is not released; `schema` is empty and ours to fill.
    match unsafe { ask(&raw mut *stream, &raw mut schema) } {
        0 => field_of(&schema),
        _ => Err(failure_of(stream)),
    }
}

/// The next array of `stream`, `None` at its end.
fn next_of(stream: &mut FFI_ArrowArrayStream) -> Result<Option<FFI_ArrowArray>> {
    let pull = stream.get_next().ok_or_else(|| malformed("a stream without `get_next`"))?;
    let mut array = FFI_ArrowArray::empty();
    // SAFETY: `pull` is this stream's own callback and the stream is not released; `array` is empty and ours to fill.
    match unsafe { pull(&raw mut *stream, &raw mut array) } {
        0 if array.is_released() => Ok(None),
        0 => Ok(Some(array)),
        _ => Err(failure_of(stream)),
    }
}

/// What the producer says of the call that has just failed.
fn failure_of(stream: &mut FFI_ArrowArrayStream) -> Error {
    let text = stream.get_last_error().and_then(|ask| {
        // SAFETY: the last call on this stream, which is not released, failed; the text is the producer's and valid
        // until the next call, so it is copied at once.
        unsafe {
            let text = ask(&raw mut *stream);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    });
    Error::Stream(format!("the Arrow producer failed: {}", text.as_deref().unwrap_or("it does not say why")))
}

fn field_of(schema: &FFI_ArrowSchema) -> Result<Field> {
    fn shallow(schema: &FFI_ArrowSchema, left: usize) -> bool {
        left > 0
            && schema.children().all(|child| shallow(child, left - 1))
            && schema.dictionary().is_none_or(|values| shallow(values, left - 1))
    }
    if !shallow(schema, DEEPEST) {
        return Err(malformed(&format!("types nested more than {DEEPEST} deep")));
    }
    Field::try_from(schema).map_err(|e| malformed(&e.to_string()))
}

/// The head of an ArrowArray as the C data interface lays it out.
#[repr(C)]
struct Head {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut Head,
    dictionary: *mut Head,
}

fn has_nulls_type(kind: &DataType) -> bool {
    match kind {
        DataType::Null => true,
        DataType::Struct(fields) => fields.iter().any(|f| has_nulls_type(f.data_type())),
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
            has_nulls_type(f.data_type())
        }
        DataType::Dictionary(_, values) => has_nulls_type(values),
        _ => false,
    }
}

/// polars gives arrays of type null a validity buffer, which the format does not have and arrow-rs refuses: forget it.
///
/// # Safety
/// `array` must point to a valid ArrowArray of type `kind` that the caller owns.
unsafe fn forget_buffers_of_null(array: *mut Head, kind: &DataType) {
    // SAFETY: the caller's promise covers children and dictionary; counts are checked against the type before a child
    // is followed, and the producer finds what it frees by its private data, not by `n_buffers`.
    unsafe {
        let Some(array) = array.as_mut() else { return };
        let child = |i: usize| match i64::try_from(i) {
            Ok(at) if at < array.n_children && !array.children.is_null() => *array.children.add(i),
            _ => std::ptr::null_mut(),
        };
        match kind {
            DataType::Null => array.n_buffers = 0,
            DataType::Struct(fields) => {
                for (i, field) in fields.iter().enumerate() {
                    forget_buffers_of_null(child(i), field.data_type());
                }
            }
            DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
                forget_buffers_of_null(child(0), f.data_type());
            }
            DataType::Dictionary(_, values) => forget_buffers_of_null(array.dictionary, values),
            _ => {}
        }
    }
}

fn array_of(mut array: FFI_ArrowArray, kind: DataType) -> Result<ArrayRef> {
    if has_nulls_type(&kind) {
        // SAFETY: `array` is ours, valid by the producer's word, and `Head` has the layout of the C data interface.
        unsafe { forget_buffers_of_null((&raw mut array).cast(), &kind) };
    }
    let most = isize::MAX as usize / 64;
    if array.len() > most || array.offset() > most {
        return Err(malformed("a length or offset that is negative or absurd"));
    }
    // SAFETY: the producer vouches for its pointers (nobody can check those); the lengths, offsets, keys and text that
    // they lead to are checked below before anything reads through them.
    let data = unsafe { from_ffi_and_data_type(array, kind) }.map_err(|e| malformed(&e.to_string()))?;
    data.validate().and_then(|()| check(&data)).map_err(|e| malformed(&e.to_string()))?;
    Ok(make_array(data))
}

/// Checks all that the values of `data` could trip: offsets, keys, union ids, null counts, UTF-8; in linear time of
/// the rows that `data` has, not of the buffers that they are a slice of.
fn check(data: &ArrayData) -> Result<(), ArrowError> {
    data.validate_nulls()?;
    match data.data_type() {
        DataType::Utf8 => check_text::<i32>(data),
        DataType::LargeUtf8 => check_text::<i64>(data),
        DataType::List(_) | DataType::Map(_, _) => check_list::<i32>(data),
        DataType::LargeList(_) => check_list::<i64>(data),
        DataType::Struct(_) => {
            data.child_data().iter().try_for_each(|child| check(&child.slice(data.offset(), data.len())))
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            data.child_data().iter().try_for_each(|child| check(&child.slice(data.offset() * size, data.len() * size)))
        }
        _ => {
            data.validate_values()?;
            data.child_data().iter().try_for_each(check)
        }
    }
}

fn wrong(text: &str) -> ArrowError {
    ArrowError::InvalidArgumentError(text.into())
}

/// The offsets of `data`'s rows, increasing; empty where there is no row.
fn offsets<O: OffsetSizeTrait>(data: &ArrayData) -> Result<&[O], ArrowError> {
    if data.is_empty() {
        return Ok(&[]);
    }
    let all = data.buffers().first().map(arrow::buffer::Buffer::typed_data::<O>).unwrap_or_default();
    let own = all.get(data.offset()..=data.offset() + data.len()).ok_or_else(|| wrong("missing offsets"))?;
    if own.windows(2).any(|pair| pair[0] > pair[1]) || own[0] < O::zero() {
        return Err(wrong("offsets that do not increase"));
    }
    Ok(own)
}

fn check_text<O: OffsetSizeTrait>(data: &ArrayData) -> Result<(), ArrowError> {
    let own = offsets::<O>(data)?;
    let (Some(first), Some(last)) = (own.first(), own.last()) else { return Ok(()) };
    let bytes = data.buffers().get(1).map(arrow::buffer::Buffer::as_slice).unwrap_or_default();
    let bytes = bytes.get(first.as_usize()..last.as_usize()).ok_or_else(|| wrong("offsets beyond the text"))?;
    if bytes.is_ascii() {
        return Ok(());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("text that is not UTF-8"))?;
    if !own.iter().all(|offset| text.is_char_boundary(offset.as_usize() - first.as_usize())) {
        return Err(wrong("text that is not UTF-8"));
    }
    Ok(())
}

fn check_list<O: OffsetSizeTrait>(data: &ArrayData) -> Result<(), ArrowError> {
    let own = offsets::<O>(data)?;
    let (Some(first), Some(last)) = (own.first(), own.last()) else { return Ok(()) };
    let child = data.child_data().first().ok_or_else(|| wrong("a list without values"))?;
    if last.as_usize() > child.len() {
        return Err(wrong("offsets beyond the values"));
    }
    check(&child.slice(first.as_usize(), last.as_usize() - first.as_usize()))
}

/// Runs what reads foreign structures; the checks that Arrow's reader makes by panicking become errors.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(malformed(said(&*panic))))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied()).unwrap_or("unreadable")
}

fn malformed(what: &str) -> Error {
    Error::Format(format!("the Arrow producer gave malformed data: {what}"))
}

fn columns_of(array: &ArrayRef) -> Result<Vec<ArrayRef>> {
    let array = array.as_any().downcast_ref::<StructArray>().ok_or_else(|| malformed("a batch that is no struct"))?;
    if array.null_count() > 0 {
        return Err(malformed("a batch with rows that are null as a whole"));
    }
    Ok(array.columns().to_vec())
}

fn named(field: &Field) -> String {
    format!("column `{}`", field.name())
}

/// `field` with the type under which this package announces it.
pub fn announced_field(field: &FieldRef) -> FieldRef {
    let kind = announced(field.data_type());
    if kind == *field.data_type() { field.clone() } else { Arc::new(field.as_ref().clone().with_data_type(kind)) }
}

/// `array` as `kind`; itself if it is that already. A value that does not fit is an error.
pub fn recast(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    if array.data_type() == kind {
        return Ok(array.clone());
    }
    Ok(cast_with_options(array, kind, &CastOptions { safe: false, ..CastOptions::default() })?)
}

/// `batch` as it is shown outside: text and binary views as plain `string` and `binary`.
///
/// # Errors
/// Text of one batch beyond 2 GiB.
pub fn announced_batch(batch: &RecordBatch) -> Result<RecordBatch> {
    let fields: Vec<FieldRef> = batch.schema_ref().fields().iter().map(announced_field).collect();
    if fields.iter().zip(batch.schema_ref().fields()).all(|(a, b)| Arc::ptr_eq(a, b)) {
        return Ok(batch.clone());
    }
    let columns =
        batch.columns().iter().zip(&fields).map(|(c, f)| recast(c, f.data_type())).collect::<Result<Vec<_>>>()?;
    let schema = Schema::new_with_metadata(fields, batch.schema_ref().metadata().clone());
    with_columns(Arc::new(schema), columns, batch.num_rows())
}

// ---------------------------------------------------------------------------------------------------- export

/// A capsule of `schema`.
///
/// # Errors
/// A name with a NUL in it, which C cannot carry.
pub fn export_schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(Error::from)?;
    PyCapsule::new_with_value(py, schema, SCHEMA)
}

/// A capsule of one field: a name, a type, whether it may be null.
///
/// # Errors
/// As [`export_schema`].
pub fn export_field<'py>(py: Python<'py>, field: &Field) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(field).map_err(Error::from)?;
    PyCapsule::new_with_value(py, schema, SCHEMA)
}

/// The two capsules of an array; `requested` is a capsule of the type that the consumer would like.
///
/// # Errors
/// A request that cannot be met without losing something.
pub fn export_array<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    field: &Field,
    requested: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let wanted = match requested {
        Some(capsule) => guarded(|| field_of(&take_schema(capsule)?))?.data_type().clone(),
        None => announced(field.data_type()),
    };
    let array = recast(array, &wanted).map_err(|e| e.context(named(field)))?;
    let schema = export_field(py, &field.clone().with_data_type(wanted))?;
    let array = PyCapsule::new_with_value(py, FFI_ArrowArray::new(&array.to_data()), ARRAY)?;
    PyTuple::new(py, [schema, array])
}

/// The two capsules of a batch: a struct array.
///
/// # Errors
/// As [`export_array`].
pub fn export_batch<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
    requested: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let schema = wanted_schema(batch.schema_ref(), requested)?;
    let batch = fitted(batch, &schema)?;
    let capsule = export_schema(py, &schema)?;
    let array = FFI_ArrowArray::new(&StructArray::from(batch).to_data());
    PyTuple::new(py, [capsule, PyCapsule::new_with_value(py, array, ARRAY)?])
}

/// A capsule of a stream over `batches`, which are pulled when the consumer asks, on whatever thread it asks,
/// attached or not. Dropped, unpulled or half pulled, it drops `batches`.
///
/// # Errors
/// A request that names other columns than `schema`.
pub fn export_stream<'py>(
    py: Python<'py>,
    schema: &SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
    requested: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = wanted_schema(schema, requested)?;
    FFI_ArrowSchema::try_from(schema.as_ref()).map_err(Error::from)?;
    let stream = FFI_ArrowArrayStream::new(Box::new(Outgoing { schema, batches: Some(batches) }));
    PyCapsule::new_with_value(py, stream, STREAM)
}

/// The schema to export: what the consumer requested, else what this package announces.
fn wanted_schema(schema: &SchemaRef, requested: Option<&Bound<'_, PyAny>>) -> Result<SchemaRef> {
    let announced: Vec<FieldRef> = schema.fields().iter().map(announced_field).collect();
    let Some(capsule) = requested else {
        return Ok(Arc::new(Schema::new_with_metadata(announced, schema.metadata().clone())));
    };
    let asked = guarded(|| field_of(&take_schema(capsule)?))?;
    let DataType::Struct(wanted) = asked.data_type() else {
        return Err(Error::Schema(format!("a schema was expected as request, found the type `{}`", asked.data_type())));
    };
    if wanted.len() != announced.len() || wanted.iter().zip(&announced).any(|(w, a)| w.name() != a.name()) {
        let names = |fields: &[FieldRef]| fields.iter().map(|f| format!("`{}`", f.name())).collect::<Vec<_>>();
        return Err(Error::Schema(format!(
            "the schema requested has the columns {}, but the rows have {}; select them first",
            names(wanted).join(", "),
            names(&announced).join(", ")
        )));
    }
    let fields: Vec<FieldRef> = wanted
        .iter()
        .zip(&announced)
        .map(|(w, a)| Arc::new(a.as_ref().clone().with_data_type(w.data_type().clone())))
        .collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| recast(column, field.data_type()).map_err(|e| e.context(named(field))))
        .collect::<Result<_>>()?;
    with_columns(schema.clone(), columns, batch.num_rows())
}

/// Batches on their way out, as Arrow's C stream wants them. Fused: after an error or the end it gives nothing.
struct Outgoing {
    schema: SchemaRef,
    batches: Option<Box<dyn Iterator<Item = Result<RecordBatch>> + Send>>,
}

impl Iterator for Outgoing {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = self.batches.as_mut()?;
        // the caller is C: a panic must not reach it
        let next = catch_unwind(AssertUnwindSafe(|| batches.next().map(|batch| fitted(&batch?, &self.schema))))
            .unwrap_or_else(|panic| Some(Err(Error::Stream(format!("internal error: {}", said(&*panic))))));
        if !matches!(next, Some(Ok(_))) {
            self.batches = None;
        }
        next.map(|batch| batch.map_err(told))
    }
}

impl RecordBatchReader for Outgoing {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// An error as a C stream can tell it: a code and a text without NUL.
fn told(error: Error) -> ArrowError {
    let error = match error {
        Error::Foreign(_) => {
            let error = PyErr::from(error);
            Python::attach(|py| Error::Stream(error.value(py).repr().map_or_else(|e| e.to_string(), |r| r.to_string())))
        }
        other => other,
    };
    let text = error.to_string().replace('\0', "\\0");
    match error {
        Error::Io { source, .. } => ArrowError::IoError(text, source),
        Error::MemoryLimit(_) => ArrowError::MemoryError(text),
        Error::NotImplemented(_) => ArrowError::NotYetImplemented(text),
        _ => ArrowError::ExternalError(text.into()),
    }
}
