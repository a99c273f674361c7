//! Python objects → Arrow arrays: a list's dtype is found from its values, then a column is built.
//!
//! All values of a list must be of one kind, with two kindnesses: `None` goes with everything, and a list that mixes
//! `int` and `float` is one of floats. Anything else is a `TypeError` that names both kinds, never a guess.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Array, Decimal256Array,
    DurationMicrosecondArray, Float64Builder, Int64Builder, ListArray, NullArray, StringBuilder, StructArray,
    Time64MicrosecondBuilder, TimestampMicrosecondArray, UInt64Builder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateTime, PyDelta, PyDict, PyFloat, PyInt, PyList, PyString, PyTime,
    PyTuple,
};

use crate::error::{Error, Result};
use crate::py::error::foreign;
use crate::py::values::class;

/// Lists and dicts nested deeper than this are refused.
const DEEPEST: usize = 32;

type Objects<'py> = Vec<Bound<'py, PyAny>>;

/// What the values of a list have in common.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Date,
    Datetime { aware: bool },
    Time,
    Delta,
    Decimal,
    List(Box<Kind>),
    Struct(Vec<(String, Kind)>),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Null => "None",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Text => "str",
            Kind::Bytes => "bytes",
            Kind::Date => "date",
            Kind::Datetime { aware: true } => "datetime with a time zone",
            Kind::Datetime { aware: false } => "datetime",
            Kind::Time => "time",
            Kind::Delta => "timedelta",
            Kind::Decimal => "Decimal",
            Kind::List(_) => "list",
            Kind::Struct(_) => "dict",
        }
    }

    fn with(self, other: Kind) -> Result<Kind> {
        match (self, other) {
            (a, b) if a == b => Ok(a),
            (Kind::Null, known) | (known, Kind::Null) => Ok(known),
            (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Ok(Kind::Float),
            (Kind::Int, Kind::Decimal) | (Kind::Decimal, Kind::Int) => Ok(Kind::Decimal),
            (Kind::List(a), Kind::List(b)) => Ok(Kind::List(Box::new(a.with(*b)?))),
            (Kind::Struct(mut a), Kind::Struct(b)) => {
                for (name, kind) in b {
                    match a.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => *known = std::mem::replace(known, Kind::Null).with(kind)?,
                        None => a.push((name, kind)),
                    }
                }
                Ok(Kind::Struct(a))
            }
            (a, b) => Err(Error::Type(format!("expected values of one type, found {} and {}", a.name(), b.name()))),
        }
    }
}

/// An array of the items of `values` (any iterable), of the dtype that they have in common.
///
/// # Errors
/// Values of several types, or of one that no dtype holds.
pub fn array_of(values: &Bound<'_, PyAny>) -> Result<ArrayRef> {
    let mut objects = values.try_iter().map_err(foreign)?.collect::<PyResult<Objects<'_>>>().map_err(foreign)?;
    let mut kind = Kind::Null;
    for object in &mut objects {
        let own = kind_of(object, 0)?;
        if kind != own {
            kind = kind.with(own)?;
        }
    }
    built(values.py(), &objects, &kind)
}

/// The kind of one object; what NumPy and pandas wrap is unwrapped in place.
fn kind_of(object: &mut Bound<'_, PyAny>, depth: usize) -> Result<Kind> {
    let py = object.py();
    if object.is_none() {
        return Ok(Kind::Null);
    }
    if object.is_instance_of::<PyBool>() {
        return Ok(Kind::Bool);
    }
    if object.is_instance_of::<PyInt>() {
        return Ok(Kind::Int);
    }
    if object.is_instance_of::<PyFloat>() {
        return Ok(Kind::Float);
    }
    if object.is_instance_of::<PyString>() {
        return Ok(Kind::Text);
    }
    if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>() {
        return Ok(Kind::Bytes);
    }
    if object.is_instance_of::<PyDateTime>() {
        // pandas.NaT says that it is a datetime
        if object.ne(&*object).map_err(foreign)? {
            *object = py.None().into_bound(py);
            return Ok(Kind::Null);
        }
        let zone = object.getattr("tzinfo").map_err(foreign)?;
        return Ok(Kind::Datetime { aware: !zone.is_none() });
    }
    if object.is_instance_of::<PyDate>() {
        return Ok(Kind::Date);
    }
    if object.is_instance_of::<PyTime>() {
        if !object.getattr("tzinfo").map_err(foreign)?.is_none() {
            return Err(Error::Type("a time with a time zone has no dtype; use a datetime".into()));
        }
        return Ok(Kind::Time);
    }
    if object.is_instance_of::<PyDelta>() {
        return Ok(Kind::Delta);
    }
    if object.is_instance(class!(py, "decimal", "Decimal")?).map_err(foreign)? {
        return Ok(Kind::Decimal);
    }
    let sequence = object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>();
    if (sequence || object.is_instance_of::<PyDict>()) && depth >= DEEPEST {
        return Err(Error::Type(format!("lists and dicts nested more than {DEEPEST} deep")));
    }
    if sequence {
        let mut kind = Kind::Null;
        for item in object.try_iter().map_err(foreign)? {
            kind = kind.with(kind_of(&mut item.map_err(foreign)?, depth + 1)?)?;
        }
        return Ok(Kind::List(Box::new(kind)));
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        let mut fields = Vec::with_capacity(dict.len());
        for (key, mut value) in dict.iter() {
            let key: String = key.extract().map_err(|_| Error::Type("a dict's keys must be `str`".into()))?;
            fields.push((key, kind_of(&mut value, depth + 1)?));
        }
        return Ok(Kind::Struct(fields));
    }
    unwrapped(object, depth)
}

/// NumPy's and pandas' own scalars.
fn unwrapped(object: &mut Bound<'_, PyAny>, depth: usize) -> Result<Kind> {
    let py = object.py();
    let kind = object.get_type();
    let name = kind.name().map_err(foreign)?.to_string();
    let module = kind.getattr("__module__").and_then(|m| m.extract::<String>()).unwrap_or_default();
    if module.starts_with("pandas") && name == "NAType" {
        *object = py.None().into_bound(py);
        return Ok(Kind::Null);
    }
    if module == "numpy" {
        let method = if name == "ndarray" { "tolist" } else { "item" };
        let inner = object.call_method0(method).map_err(foreign)?;
        if !inner.get_type().is(&kind) {
            *object = inner;
            return kind_of(object, depth + 1);
        }
    }
    Err(Error::Type(format!(
        "expected None, bool, int, float, str, bytes, date, datetime, time, timedelta, Decimal, list or dict, \
         found `{name}`"
    )))
}

/// The items of a list of objects that are lists themselves, plain again.
fn plain<'py>(object: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
    let mut object = object.clone();
    kind_of(&mut object, 0)?;
    Ok(object)
}

fn built(py: Python<'_>, objects: &Objects<'_>, kind: &Kind) -> Result<ArrayRef> {
    let present = || objects.iter().map(|o| (!o.is_none()).then_some(o));
    Ok(match kind {
        Kind::Null => Arc::new(NullArray::new(objects.len())),
        Kind::Bool => {
            let mut to = BooleanBuilder::with_capacity(objects.len());
            for object in present() {
                to.append_option(object.map(PyAnyMethods::extract::<bool>).transpose().map_err(foreign)?);
            }
            Arc::new(to.finish())
        }
        Kind::Int => integers(objects)?,
        Kind::Float => {
            let mut to = Float64Builder::with_capacity(objects.len());
            for object in present() {
                to.append_option(object.map(PyAnyMethods::extract::<f64>).transpose().map_err(foreign)?);
            }
            Arc::new(to.finish())
        }
        Kind::Text => {
            let mut to = StringBuilder::new();
            for object in present() {
                match object {
                    Some(text) => {
                        let text = text.cast::<PyString>().map_err(|e| foreign(e.into()))?;
                        to.append_value(text.to_cow().map_err(foreign)?);
                    }
                    None => to.append_null(),
                }
            }
            Arc::new(to.finish())
        }
        Kind::Bytes => {
            let mut to = BinaryBuilder::new();
            for object in present() {
                match object {
                    Some(bytes) => to.append_value(bytes.extract::<Vec<u8>>().map_err(foreign)?),
                    None => to.append_null(),
                }
            }
            Arc::new(to.finish())
        }
        Kind::Date => {
            let mut to = Date32Builder::with_capacity(objects.len());
            for object in present() {
                let day = object.map(|o| o.call_method0("toordinal")?.extract::<i32>());
                to.append_option(day.transpose().map_err(foreign)?.map(|day| day - 719_163));
            }
            Arc::new(to.finish())
        }
        Kind::Datetime { aware } => datetimes(py, objects, *aware)?,
        Kind::Time => {
            let mut to = Time64MicrosecondBuilder::with_capacity(objects.len());
            for object in present() {
                to.append_option(object.map(time_of).transpose().map_err(foreign)?);
            }
            Arc::new(to.finish())
        }
        Kind::Delta => {
            let each = present().map(|o| o.map(delta_of).transpose()).collect::<Result<Vec<_>>>()?;
            Arc::new(DurationMicrosecondArray::from(each))
        }
        Kind::Decimal => decimals(objects)?,
        Kind::List(inner) => lists(py, objects, inner)?,
        Kind::Struct(fields) => structs(py, objects, fields)?,
    })
}

/// `int64`, or `uint64` where that is what holds all of them.
fn integers(objects: &Objects<'_>) -> Result<ArrayRef> {
    let mut to = Int64Builder::with_capacity(objects.len());
    for object in objects {
        if object.is_none() {
            to.append_null();
        } else if let Ok(value) = object.extract::<i64>() {
            to.append_value(value);
        } else {
            return large_integers(objects);
        }
    }
    Ok(Arc::new(to.finish()))
}

fn large_integers(objects: &Objects<'_>) -> Result<ArrayRef> {
    let mut to = UInt64Builder::with_capacity(objects.len());
    for object in objects {
        if object.is_none() {
            to.append_null();
        } else {
            to.append_value(object.extract::<u64>().map_err(|_| {
                Error::Value(format!("no integer dtype holds all values (`{object}` is one); use Decimal or float"))
            })?);
        }
    }
    Ok(Arc::new(to.finish()))
}

/// Microseconds since the epoch; aware values are put in UTC under the time zone of the first.
fn datetimes(py: Python<'_>, objects: &Objects<'_>, aware: bool) -> Result<ArrayRef> {
    let zone = match objects.iter().find(|o| aware && !o.is_none()) {
        Some(first) => Some(zone_name(first)?),
        None => None,
    };
    let utc = if aware { Some(crate::py::values::tzinfo(py, "UTC")?) } else { None };
    let epoch = class!(py, "datetime", "datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc)).map_err(foreign)?;
    let mut each = Vec::with_capacity(objects.len());
    for object in objects {
        if object.is_none() {
            each.push(None);
            continue;
        }
        // a pandas.Timestamp has nanoseconds, which must not be lost
        if let Ok(Some(nanos)) = object.getattr_opt("nanosecond")
            && nanos.extract::<u32>().unwrap_or(0) != 0
        {
            return Err(Error::Value(format!("`{object}` has nanoseconds; give a NumPy array of `datetime64[ns]`")));
        }
        each.push(Some(delta_of(&object.sub(&epoch).map_err(foreign)?)?));
    }
    Ok(Arc::new(TimestampMicrosecondArray::from(each).with_timezone_opt(zone)))
}

fn zone_name(object: &Bound<'_, PyAny>) -> Result<Arc<str>> {
    let zone = object.getattr("tzinfo").map_err(foreign)?;
    if let Ok(Some(key)) = zone.getattr_opt("key")
        && let Ok(key) = key.extract::<String>()
    {
        return Ok(key.into());
    }
    let offset = delta_of(&object.call_method0("utcoffset").map_err(foreign)?)?;
    let minutes = offset / 60_000_000;
    match (minutes * 60_000_000 == offset, minutes) {
        (true, 0) => Ok("UTC".into()),
        (true, _) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            Ok(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60).into())
        }
        (false, _) => Err(Error::Type(format!("the time zone of `{object}` is not of whole minutes"))),
    }
}

fn time_of(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    let part = |name: &str| object.getattr(name)?.extract::<i64>();
    Ok(((part("hour")? * 60 + part("minute")?) * 60 + part("second")?) * 1_000_000 + part("microsecond")?)
}

fn delta_of(object: &Bound<'_, PyAny>) -> Result<i64> {
    let part = |name: &str| object.getattr(name)?.extract::<i64>();
    let parts = (|| Ok((part("days")?, part("seconds")?, part("microseconds")?)))().map_err(foreign)?;
    let (days, seconds, micros) = parts;
    days.checked_mul(86_400_000_000)
        .and_then(|us| us.checked_add(seconds * 1_000_000 + micros))
        .ok_or_else(|| Error::Value(format!("`{object}` does not fit 64 bits of microseconds")))
}

/// Decimals of the smallest precision and scale that hold all of them, as text cast to that.
fn decimals(objects: &Objects<'_>) -> Result<ArrayRef> {
    let mut texts = Vec::with_capacity(objects.len());
    let (mut whole, mut scale) = (1usize, 0usize);
    for object in objects {
        if object.is_none() {
            texts.push(None);
            continue;
        }
        let text = object.call_method1("__format__", ("f",)).and_then(|t| t.extract::<String>()).map_err(foreign)?;
        let digits = text.trim_start_matches('-');
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Error::Value(format!("`{text}` has no place in a decimal column; use float")));
        }
        let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
        whole = whole.max(before.trim_start_matches('0').len());
        scale = scale.max(after.len());
        texts.push(Some(text));
    }
    let texts = arrow::array::StringArray::from(texts);
    let precision = whole + scale;
    let (Ok(digits), Ok(places)) = (u8::try_from(precision), i8::try_from(scale)) else {
        return Err(Error::Value(format!("{precision} digits are more than a decimal column holds (76)")));
    };
    let kind = match digits {
        0..=38 => DataType::Decimal128(digits, places),
        39..=76 => DataType::Decimal256(digits, places),
        _ => return Err(Error::Value(format!("{precision} digits are more than a decimal column holds (76)"))),
    };
    if texts.null_count() == texts.len() {
        return Ok(match kind {
            DataType::Decimal256(..) => Arc::new(Decimal256Array::new_null(texts.len())),
            _ => Arc::new(Decimal128Array::new_null(texts.len())),
        });
    }
    Ok(cast_with_options(&texts, &kind, &CastOptions { safe: false, ..CastOptions::default() })?)
}

fn lists(py: Python<'_>, objects: &Objects<'_>, inner: &Kind) -> Result<ArrayRef> {
    let mut items = Vec::new();
    let mut lengths = Vec::with_capacity(objects.len());
    for object in objects {
        let before = items.len();
        if !object.is_none() {
            for item in plain(object)?.try_iter().map_err(foreign)? {
                items.push(plain(&item.map_err(foreign)?)?);
            }
        }
        lengths.push(items.len() - before);
    }
    if i32::try_from(items.len()).is_err() {
        return Err(Error::Value("a list column holds at most 2^31 - 1 items in one batch".into()));
    }
    let nulls = nulls_of(objects);
    let values = built(py, &items, inner)?;
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, nulls)?))
}

fn structs(py: Python<'_>, objects: &Objects<'_>, kinds: &[(String, Kind)]) -> Result<ArrayRef> {
    let mut fields = Vec::with_capacity(kinds.len());
    let mut columns = Vec::with_capacity(kinds.len());
    for (name, kind) in kinds {
        let mut own = Vec::with_capacity(objects.len());
        for object in objects {
            let value = match object.cast::<PyDict>() {
                Ok(dict) => dict.get_item(name).map_err(foreign)?,
                Err(_) => None,
            };
            own.push(plain(&value.unwrap_or_else(|| py.None().into_bound(py)))?);
        }
        let column = built(py, &own, kind)?;
        fields.push(Field::new(name, column.data_type().clone(), true));
        columns.push(column);
    }
    let nulls = nulls_of(objects);
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(objects.len(), nulls)));
    }
    Ok(Arc::new(StructArray::try_new(Fields::from(fields), columns, nulls)?))
}

fn nulls_of(objects: &Objects<'_>) -> Option<NullBuffer> {
    let nulls = objects.iter().map(|o| !o.is_none()).collect::<NullBuffer>();
    (nulls.null_count() > 0).then_some(nulls)
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn kinds_meet_or_say_why_not() {
        assert_eq!(Kind::Int.with(Kind::Float).ok(), Some(Kind::Float));
        assert_eq!(Kind::Null.with(Kind::Text).ok(), Some(Kind::Text));
        let e = Kind::Int.with(Kind::Text).expect_err("no common type");
        assert_eq!(e.to_string(), "expected values of one type, found int and str");
        assert!(Kind::Bool.with(Kind::Int).is_err());
    }

    #[test]
    fn structs_gather_their_fields() {
        let a = Kind::Struct(vec![("x".into(), Kind::Int)]);
        let b = Kind::Struct(vec![("y".into(), Kind::Text), ("x".into(), Kind::Float)]);
        let both = Kind::Struct(vec![("x".into(), Kind::Float), ("y".into(), Kind::Text)]);
        assert_eq!(a.with(b).ok(), Some(both));
    }
}
