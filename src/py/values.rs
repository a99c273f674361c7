//! Arrow values → Python objects, a column at a time.
//!
//! | Arrow | Python |
//! |---|---|
//! | integers, floats, bool, text, binary | `int` `float` `bool` `str` `bytes` |
//! | date | `datetime.date` |
//! | timestamp | `datetime.datetime`, aware where the type has a time zone |
//! | time, duration | `datetime.time`, `datetime.timedelta` |
//! | decimal | `decimal.Decimal` |
//! | list, struct, map | `list`, `dict`, `list` of pairs |
//! | dictionary, run-end encoded | the value |
//! | interval | `(months, days, nanoseconds)` |
//!
//! A value that Python's type cannot hold (nanoseconds, years beyond 9999) is an error with the cast that helps.

use arrow::array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
    IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, DataType, IntervalUnit, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::error::{Error, Result};
use crate::py::error::foreign;

/// Values of one column, in row order.
pub type Values<'py> = Vec<Bound<'py, PyAny>>;

/// The class `name` of `module`, looked up once.
macro_rules! class {
    ($py:expr, $module:literal, $name:literal) => {{
        static CLASS: pyo3::sync::PyOnceLock<Py<pyo3::types::PyType>> = pyo3::sync::PyOnceLock::new();
        CLASS.import($py, $module, $name).map_err(foreign)
    }};
}
pub(crate) use class;

/// Every value of `array` as a Python object; `None` for null. Linear; holds all of them.
///
/// # Errors
/// Values that Python's type cannot hold.
pub fn values<'py>(py: Python<'py>, array: &ArrayRef) -> Result<Values<'py>> {
    match array.data_type() {
        DataType::Null => Ok(vec![py.None().into_bound(py); array.len()]),
        DataType::Boolean => {
            let array = array.as_boolean();
            each(py, array, |i| Ok(PyBool::new(py, array.value(i)).to_owned().into_any()))
        }
        DataType::Int8 => integers::<Int8Type>(py, array),
        DataType::Int16 => integers::<Int16Type>(py, array),
        DataType::Int32 => integers::<Int32Type>(py, array),
        DataType::Int64 => integers::<Int64Type>(py, array),
        DataType::UInt8 => integers::<UInt8Type>(py, array),
        DataType::UInt16 => integers::<UInt16Type>(py, array),
        DataType::UInt32 => integers::<UInt32Type>(py, array),
        DataType::UInt64 => integers::<UInt64Type>(py, array),
        DataType::Float16 => plain::<Float16Type>(py, array, |v| Ok(PyFloat::new(py, f64::from(v)).into_any())),
        DataType::Float32 => plain::<Float32Type>(py, array, |v| Ok(PyFloat::new(py, f64::from(v)).into_any())),
        DataType::Float64 => plain::<Float64Type>(py, array, |v| Ok(PyFloat::new(py, v).into_any())),
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            each(py, array, |i| Ok(PyString::new(py, array.value(i)).into_any()))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            each(py, array, |i| Ok(PyString::new(py, array.value(i)).into_any()))
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            each(py, array, |i| Ok(PyString::new(py, array.value(i)).into_any()))
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            each(py, array, |i| Ok(PyBytes::new(py, array.value(i)).into_any()))
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            each(py, array, |i| Ok(PyBytes::new(py, array.value(i)).into_any()))
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            each(py, array, |i| Ok(PyBytes::new(py, array.value(i)).into_any()))
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            each(py, array, |i| Ok(PyBytes::new(py, array.value(i)).into_any()))
        }
        DataType::Date32 => plain::<Date32Type>(py, array, |days| date(py, i64::from(days))),
        DataType::Date64 => plain::<Date64Type>(py, array, |ms| date(py, ms.div_euclid(86_400_000))),
        DataType::Timestamp(unit, zone) => timestamps(py, array, *unit, zone.as_deref()),
        DataType::Time32(TimeUnit::Second) => {
            plain::<Time32SecondType>(py, array, |v| time(py, i64::from(v) * 1_000_000))
        }
        DataType::Time32(_) => plain::<Time32MillisecondType>(py, array, |v| time(py, i64::from(v) * 1000)),
        DataType::Time64(TimeUnit::Nanosecond) => {
            plain::<Time64NanosecondType>(py, array, |v| time(py, micros(i128::from(v), "time64[us]")?))
        }
        DataType::Time64(_) => plain::<Time64MicrosecondType>(py, array, |v| time(py, v)),
        DataType::Duration(TimeUnit::Second) => {
            plain::<DurationSecondType>(py, array, |v| delta(py, i128::from(v) * 1_000_000))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            plain::<DurationMillisecondType>(py, array, |v| delta(py, i128::from(v) * 1000))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            plain::<DurationMicrosecondType>(py, array, |v| delta(py, i128::from(v)))
        }
        DataType::Duration(TimeUnit::Nanosecond) => plain::<DurationNanosecondType>(py, array, |v| {
            delta(py, i128::from(micros(i128::from(v), "duration[us]")?))
        }),
        DataType::Interval(IntervalUnit::YearMonth) => {
            plain::<IntervalYearMonthType>(py, array, |months| interval(py, months, 0, 0))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            plain::<IntervalDayTimeType>(py, array, |v| interval(py, 0, v.days, i64::from(v.milliseconds) * 1_000_000))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            plain::<IntervalMonthDayNanoType>(py, array, |v| interval(py, v.months, v.days, v.nanoseconds))
        }
        DataType::Decimal32(_, _) => decimals::<Decimal32Type>(py, array),
        DataType::Decimal64(_, _) => decimals::<Decimal64Type>(py, array),
        DataType::Decimal128(_, _) => decimals::<Decimal128Type>(py, array),
        DataType::Decimal256(_, _) => decimals::<Decimal256Type>(py, array),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let bounds: Vec<_> = lists.value_offsets().windows(2).map(|w| (w[0].as_usize(), w[1].as_usize())).collect();
            listed(py, array, lists.values(), &bounds)
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            let bounds: Vec<_> = lists.value_offsets().windows(2).map(|w| (w[0].as_usize(), w[1].as_usize())).collect();
            listed(py, array, lists.values(), &bounds)
        }
        DataType::FixedSizeList(_, size) => {
            let lists = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let bounds: Vec<_> = (0..array.len()).map(|i| (i * size, (i + 1) * size)).collect();
            listed(py, array, lists.values(), &bounds)
        }
        DataType::ListView(field) => values(py, &cast(array, &DataType::List(field.clone()))?),
        DataType::LargeListView(field) => values(py, &cast(array, &DataType::LargeList(field.clone()))?),
        DataType::Struct(_) => structs(py, array),
        DataType::Map(_, _) => maps(py, array),
        DataType::Dictionary(_, _) => {
            let array = array.as_any_dictionary();
            let known = values(py, array.values())?;
            let keys = array.normalized_keys();
            each(py, array, |i| {
                let key = keys.get(i).and_then(|key| known.get(*key));
                Ok(key.cloned().unwrap_or_else(|| py.None().into_bound(py)))
            })
        }
        DataType::RunEndEncoded(_, of) => values(py, &cast(array, of.data_type())?),
        DataType::Union(_, _) => {
            let array = array.as_union();
            (0..array.len()).map(|i| single(py, &array.value(i))).collect()
        }
    }
}

/// The one value of an array of one row.
fn single<'py>(py: Python<'py>, array: &ArrayRef) -> Result<Bound<'py, PyAny>> {
    Ok(values(py, array)?.pop().unwrap_or_else(|| py.None().into_bound(py)))
}

fn each<'py>(
    py: Python<'py>,
    array: &dyn Array,
    value: impl Fn(usize) -> Result<Bound<'py, PyAny>>,
) -> Result<Values<'py>> {
    match array.nulls() {
        None => (0..array.len()).map(value).collect(),
        Some(nulls) => {
            (0..array.len()).map(|i| if nulls.is_valid(i) { value(i) } else { Ok(py.None().into_bound(py)) }).collect()
        }
    }
}

fn plain<'py, T: ArrowPrimitiveType>(
    py: Python<'py>,
    array: &ArrayRef,
    value: impl Fn(T::Native) -> Result<Bound<'py, PyAny>>,
) -> Result<Values<'py>> {
    let array = array.as_primitive::<T>();
    each(py, array, |i| value(array.value(i)))
}

fn integers<'py, T>(py: Python<'py>, array: &ArrayRef) -> Result<Values<'py>>
where
    T: ArrowPrimitiveType,
    T::Native: IntoPyObject<'py, Target = PyInt, Output = Bound<'py, PyInt>>,
    <T::Native as IntoPyObject<'py>>::Error: std::fmt::Debug + Into<PyErr>,
{
    plain::<T>(py, array, |v| Ok(v.into_pyobject(py).map_err(|e| foreign(e.into()))?.into_any()))
}

fn decimals<'py, T: DecimalType>(py: Python<'py>, array: &ArrayRef) -> Result<Values<'py>> {
    let array = array.as_primitive::<T>();
    let class = class!(py, "decimal", "Decimal")?;
    each(py, array, |i| class.call1((array.value_as_string(i),)).map_err(foreign))
}

fn listed<'py>(py: Python<'py>, array: &ArrayRef, items: &ArrayRef, bounds: &[(usize, usize)]) -> Result<Values<'py>> {
    let first = bounds.first().map_or(0, |b| b.0);
    let last = bounds.last().map_or(0, |b| b.1);
    let items = values(py, &items.slice(first, last - first))?;
    each(py, array, |i| {
        let own = bounds.get(i).and_then(|(a, b)| items.get(a - first..b - first)).unwrap_or_default();
        Ok(PyList::new(py, own).map_err(foreign)?.into_any())
    })
}

fn structs<'py>(py: Python<'py>, array: &ArrayRef) -> Result<Values<'py>> {
    let array = array.as_struct();
    let names: Vec<_> = array.fields().iter().map(|f| PyString::new(py, f.name())).collect();
    let columns = array.columns().iter().map(|column| values(py, column)).collect::<Result<Vec<_>>>()?;
    each(py, array, |i| Ok(dict_of(py, &names, &columns, i)?.into_any()))
}

fn maps<'py>(py: Python<'py>, array: &ArrayRef) -> Result<Values<'py>> {
    let array = array.as_map();
    let bounds: Vec<_> = array.value_offsets().windows(2).map(|w| (w[0].as_usize(), w[1].as_usize())).collect();
    let first = bounds.first().map_or(0, |b| b.0);
    let count = bounds.last().map_or(0, |b| b.1) - first;
    let keys = values(py, &array.keys().slice(first, count))?;
    let of = values(py, &array.values().slice(first, count))?;
    each(py, array, |i| {
        let (a, b) = bounds.get(i).copied().unwrap_or_default();
        let pairs = keys.iter().zip(&of).skip(a - first).take(b - a);
        let pairs = pairs.map(|(k, v)| PyTuple::new(py, [k, v])).collect::<PyResult<Vec<_>>>().map_err(foreign)?;
        Ok(PyList::new(py, pairs).map_err(foreign)?.into_any())
    })
}

/// Row `row` of `columns` as a dict.
pub fn dict_of<'py>(
    py: Python<'py>,
    names: &[Bound<'py, PyString>],
    columns: &[Values<'py>],
    row: usize,
) -> Result<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, column) in names.iter().zip(columns) {
        if let Some(value) = column.get(row) {
            dict.set_item(name, value).map_err(foreign)?;
        }
    }
    Ok(dict)
}

fn timestamps<'py>(py: Python<'py>, array: &ArrayRef, unit: TimeUnit, zone: Option<&str>) -> Result<Values<'py>> {
    let zone = zone.map(|zone| tzinfo(py, zone)).transpose()?;
    let zone = zone.as_ref();
    match unit {
        TimeUnit::Second => plain::<TimestampSecondType>(py, array, |v| datetime(py, i128::from(v) * 1_000_000, zone)),
        TimeUnit::Millisecond => {
            plain::<TimestampMillisecondType>(py, array, |v| datetime(py, i128::from(v) * 1000, zone))
        }
        TimeUnit::Microsecond => plain::<TimestampMicrosecondType>(py, array, |v| datetime(py, i128::from(v), zone)),
        TimeUnit::Nanosecond => plain::<TimestampNanosecondType>(py, array, |v| {
            datetime(py, i128::from(micros(i128::from(v), "timestamp[us]")?), zone)
        }),
    }
}

/// Whole microseconds of `nanos`; what has more is not cut silently.
fn micros(nanos: i128, cast: &str) -> Result<i64> {
    match i64::try_from(nanos / 1000) {
        Ok(micros) if nanos % 1000 == 0 => Ok(micros),
        _ => Err(Error::Value(format!(
            "{nanos} ns is no whole number of microseconds, which is all that Python's datetime holds; \
             cast the column to `{cast}`, or read it by to_numpy() or to_arrow()"
        ))),
    }
}

/// Python's time zone for Arrow's name of one.
pub fn tzinfo<'py>(py: Python<'py>, zone: &str) -> Result<Bound<'py, PyAny>> {
    let fixed = class!(py, "datetime", "timezone")?;
    if matches!(zone, "UTC" | "Z" | "+00:00" | "utc" | "Etc/UTC") {
        return fixed.getattr("utc").map_err(foreign);
    }
    if let Some(minutes) = offset_minutes(zone) {
        let delta = class!(py, "datetime", "timedelta")?.call1((0, minutes * 60)).map_err(foreign)?;
        return fixed.call1((delta,)).map_err(foreign);
    }
    class!(py, "zoneinfo", "ZoneInfo")?.call1((zone,)).map_err(foreign)
}

/// Minutes east of Greenwich of `+02:00`, `-0330` or `+02`.
fn offset_minutes(zone: &str) -> Option<i32> {
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..).filter(|m| !m.is_empty()).map_or(Some(0), |m| m.parse().ok())?;
    Some(sign * (hours * 60 + minutes))
}

fn beyond(value: i128, unit: &str, kind: &str) -> Error {
    Error::Value(format!(
        "{value} {unit} is outside the years 1 to 9999 of Python's {kind}; cast the column to `int64`, \
         or read it by to_numpy() or to_arrow()"
    ))
}

fn civil(micros: i128) -> Option<NaiveDateTime> {
    let at = DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)?.naive_utc();
    (1..=9999).contains(&at.year()).then_some(at)
}

fn datetime<'py>(py: Python<'py>, micros: i128, zone: Option<&Bound<'py, PyAny>>) -> Result<Bound<'py, PyAny>> {
    let at = civil(micros).ok_or_else(|| beyond(micros, "us", "datetime"))?;
    let class = class!(py, "datetime", "datetime")?;
    let parts = (at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second(), at.nanosecond() / 1000);
    let Some(zone) = zone else { return class.call1(parts).map_err(foreign) };
    let utc = tzinfo(py, "UTC")?;
    let (year, month, day, hour, minute, second, micro) = parts;
    let made = class.call1((year, month, day, hour, minute, second, micro, &utc)).map_err(foreign)?;
    if zone.is(&utc) { Ok(made) } else { made.call_method1("astimezone", (zone,)).map_err(foreign) }
}

fn date(py: Python<'_>, days: i64) -> Result<Bound<'_, PyAny>> {
    let at = civil(i128::from(days) * 86_400_000_000).ok_or_else(|| beyond(days.into(), "days", "date"))?;
    class!(py, "datetime", "date")?.call1((at.year(), at.month(), at.day())).map_err(foreign)
}

fn time(py: Python<'_>, micros: i64) -> Result<Bound<'_, PyAny>> {
    if !(0..86_400_000_000).contains(&micros) {
        return Err(Error::Value(format!("{micros} us is no time of day")));
    }
    let seconds = micros / 1_000_000;
    class!(py, "datetime", "time")?
        .call1((seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000))
        .map_err(foreign)
}

fn delta(py: Python<'_>, micros: i128) -> Result<Bound<'_, PyAny>> {
    let days = micros.div_euclid(86_400_000_000);
    if days.abs() > 999_999_999 {
        return Err(Error::Value(format!("{micros} us is beyond Python's timedelta; cast the column to `int64`")));
    }
    class!(py, "datetime", "timedelta")?.call1((days, 0, micros.rem_euclid(86_400_000_000))).map_err(foreign)
}

fn interval(py: Python<'_>, months: i32, days: i32, nanos: i64) -> Result<Bound<'_, PyAny>> {
    Ok((months, days, nanos).into_pyobject(py).map_err(foreign)?.into_any())
}

#[cfg(test)]
mod tests {
    use super::offset_minutes;

    #[test]
    fn offsets_are_read_in_every_spelling() {
        assert_eq!(offset_minutes("+02:00"), Some(120));
        assert_eq!(offset_minutes("-0330"), Some(-210));
        assert_eq!(offset_minutes("+05"), Some(300));
        assert_eq!(offset_minutes("Europe/Berlin"), None);
        assert_eq!(offset_minutes(""), None);
        assert_eq!(offset_minutes("+x"), None);
    }
}
