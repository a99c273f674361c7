//! Dtype names ↔ Arrow types, and how two types become one.
//!
//! A dtype is asked for, shown and compared by name: Arrow's names (`int64`, `timestamp[ms, tz=Europe/Berlin]`,
//! `list<int64>`, `struct<a: int64, b: string>`). Names round-trip: [`parse_dtype`] reads what [`dtype_name`] wrote.
//! Text is *announced* as `string` in every schema, whatever layout a file or the engine uses ([`announced`]);
//! numbers promote as in polars ([`supertype`]).

mod name;

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};

pub use name::{dtype_name, parse_dtype};

/// Types nested deeper than this are refused, so that no walk over a type can exhaust the stack.
pub const MAX_TYPE_DEPTH: usize = 64;

/// `s`, `ms`, `us` or `ns`.
pub fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// The unit that `s`, `ms`, `us` or `ns` stands for.
pub fn parse_unit(name: &str) -> Option<TimeUnit> {
    match name {
        "s" => Some(TimeUnit::Second),
        "ms" => Some(TimeUnit::Millisecond),
        "us" | "μs" => Some(TimeUnit::Microsecond),
        "ns" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

/// How many of `unit` make a second.
pub fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Refuses a time zone that is neither in the tz database nor an offset such as `+02:00`.
///
/// # Errors
/// [`Error::Value`] naming it.
pub fn check_timezone(name: &str) -> Result<()> {
    name.parse::<arrow::array::timezone::Tz>().map(drop).map_err(|_| {
        Error::Value(format!("unknown time zone `{name}` (expected a name such as `Europe/Berlin`, or `+02:00`)"))
    })
}

/// The type in which a column of type `dtype` is announced: text is `string` and bytes are `binary`, whatever
/// layout a file or the engine uses; nested types likewise.
pub fn announced(dtype: &DataType) -> DataType {
    announced_at(dtype, 0)
}

fn announced_at(dtype: &DataType, depth: usize) -> DataType {
    if depth > MAX_TYPE_DEPTH {
        return dtype.clone();
    }
    let item = |field: &FieldRef| -> FieldRef {
        let dtype = announced_at(field.data_type(), depth + 1);
        if &dtype == field.data_type() { field.clone() } else { Arc::new(field.as_ref().clone().with_data_type(dtype)) }
    };
    match dtype {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(f) => DataType::List(item(f)),
        DataType::LargeList(f) => DataType::LargeList(item(f)),
        DataType::ListView(f) => DataType::ListView(item(f)),
        DataType::LargeListView(f) => DataType::LargeListView(item(f)),
        DataType::FixedSizeList(f, n) => DataType::FixedSizeList(item(f), *n),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(item).collect()),
        DataType::Map(f, sorted) => DataType::Map(item(f), *sorted),
        DataType::Dictionary(key, value) => DataType::Dictionary(key.clone(), Box::new(announced_at(value, depth + 1))),
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(ends.clone(), item(values)),
        other => other.clone(),
    }
}

/// `schema` with every column in its [`announced`] type; names, nullability and metadata stay.
pub fn announced_schema(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|f| {
            let dtype = announced(f.data_type());
            if &dtype == f.data_type() { f.clone() } else { Arc::new(f.as_ref().clone().with_data_type(dtype)) }
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The type of a column's values: what a dictionary or run-end encoding stands for.
pub fn value_type(dtype: &DataType) -> &DataType {
    match dtype {
        DataType::Dictionary(_, value) => value,
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    }
}

/// Whether values of the type are numbers that arithmetic takes: integers, floats, decimals.
pub fn is_number(dtype: &DataType) -> bool {
    dtype.is_numeric()
}

/// The smallest type that both types' values become without loss, as polars promotes: wider integers, `float64` for
/// what mixes large integers with floats, the finer time unit, the decimal with room for both. `int64` with `uint64`
/// gives `int64`, whose conversion is checked. `None` where there is no such type (text with numbers, say).
pub fn supertype(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{
        Boolean, Date32, Date64, Duration, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Null, Time32, Time64,
        Timestamp, UInt8, UInt16, UInt32, UInt64,
    };
    let (left, right) = (value_type(left), value_type(right));
    let (left, right) = (&announced(left), &announced(right));
    if left == right {
        return Some(left.clone());
    }
    let found = match (left, right) {
        (Null, other) | (other, Null) => other.clone(),
        (Boolean, n) | (n, Boolean) if n.is_numeric() => n.clone(),
        (Float64, n) | (n, Float64) if n.is_numeric() => Float64,
        (l, r) if l.is_decimal() || r.is_decimal() => {
            return if l.is_floating() || r.is_floating() { Some(Float64) } else { decimal_supertype(l, r) };
        }
        (Float32, n) | (n, Float32) if n.is_numeric() => match n {
            Int8 | Int16 | UInt8 | UInt16 | Float16 => Float32,
            _ => Float64,
        },
        (Float16, n) | (n, Float16) if n.is_numeric() => match n {
            Int8 | UInt8 => Float16,
            Int16 | UInt16 => Float32,
            _ => Float64,
        },
        (l, r) if l.is_integer() && r.is_integer() => {
            let (signed, bits) = match (l.is_signed_integer(), r.is_signed_integer()) {
                (true, true) => (true, width(l).max(width(r))),
                (false, false) => (false, width(l).max(width(r))),
                (true, false) => (true, width(l).max(width(r) * 2).min(64)),
                (false, true) => (true, width(r).max(width(l) * 2).min(64)),
            };
            match (signed, bits) {
                (true, 8) => Int8,
                (true, 16) => Int16,
                (true, 32) => Int32,
                (true, _) => Int64,
                (false, 8) => UInt8,
                (false, 16) => UInt16,
                (false, 32) => UInt32,
                (false, _) => UInt64,
            }
        }
        (Date32, Date64) | (Date64, Date32) => Timestamp(TimeUnit::Millisecond, None),
        (Date32 | Date64, Timestamp(unit, None)) | (Timestamp(unit, None), Date32 | Date64) => Timestamp(*unit, None),
        (Timestamp(a, None), Timestamp(b, None)) => Timestamp(finer(*a, *b), None),
        (Timestamp(a, Some(tz)), Timestamp(b, Some(other))) => {
            Timestamp(finer(*a, *b), Some(if tz == other { tz.clone() } else { Arc::from("UTC") }))
        }
        (Duration(a), Duration(b)) => Duration(finer(*a, *b)),
        (Time32(a) | Time64(a), Time32(b) | Time64(b)) => match finer(*a, *b) {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Time32(unit),
            unit => Time64(unit),
        },
        (DataType::List(a), DataType::List(b)) => {
            DataType::List(Arc::new(Field::new("item", supertype(a.data_type(), b.data_type())?, true)))
        }
        _ => return None,
    };
    Some(found)
}

/// The finer of two units.
pub fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    if per_second(a) >= per_second(b) { a } else { b }
}

/// The coarser of two units.
pub fn coarser(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    if per_second(a) <= per_second(b) { a } else { b }
}

/// Bits of an integer or float type.
fn width(dtype: &DataType) -> usize {
    dtype.primitive_width().unwrap_or(8) * 8
}

/// Decimal digits that hold every value of an integer type.
pub fn digits(dtype: &DataType) -> Option<u8> {
    Some(match dtype {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        _ => return None,
    })
}

fn decimal_parts(dtype: &DataType) -> Option<(u8, i8)> {
    match dtype {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => Some((*p, *s)),
        other => digits(other).map(|d| (d, 0)),
    }
}

fn decimal_supertype(left: &DataType, right: &DataType) -> Option<DataType> {
    let ((p1, s1), (p2, s2)) = (decimal_parts(left)?, decimal_parts(right)?);
    let scale = s1.max(s2);
    let whole = (i16::from(p1) - i16::from(s1)).max(i16::from(p2) - i16::from(s2));
    let precision = whole + i16::from(scale);
    let wide = matches!(left, DataType::Decimal256(..)) || matches!(right, DataType::Decimal256(..));
    let precision = u8::try_from(precision.clamp(1, 76)).unwrap_or(76);
    if wide || precision > DECIMAL128_MAX_PRECISION {
        Some(DataType::Decimal256(precision, scale))
    } else {
        Some(DataType::Decimal128(precision, scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_announced_as_string() {
        let inner = Field::new("a", DataType::Utf8View, true);
        let nested = DataType::List(Arc::new(Field::new("item", DataType::Struct(vec![inner].into()), true)));
        assert_eq!(dtype_name(&announced(&nested)), "list<struct<a: string>>");
        assert_eq!(
            announced(&parse_dtype("dictionary<int8, large_string>").expect("reads")).to_string(),
            "Dictionary(Int8, Utf8)"
        );
    }

    #[test]
    fn promotion() {
        let joined = |a: &str, b: &str| {
            let (a, b) = (parse_dtype(a).expect("a"), parse_dtype(b).expect("b"));
            let one = supertype(&a, &b).map(|t| dtype_name(&t));
            assert_eq!(one, supertype(&b, &a).map(|t| dtype_name(&t)), "the order does not matter");
            one.unwrap_or_default()
        };
        for (a, b, both) in [
            ("int8", "int64", "int64"),
            ("uint8", "int8", "int16"),
            ("uint32", "int32", "int64"),
            ("uint64", "int64", "int64"),
            ("float32", "int16", "float32"),
            ("float32", "int32", "float64"),
            ("float32", "float64", "float64"),
            ("bool", "int16", "int16"),
            ("decimal128(10, 2)", "decimal128(5, 4)", "decimal128(12, 4)"),
            ("decimal128(10, 2)", "int64", "decimal128(21, 2)"),
            ("decimal128(10, 2)", "float32", "float64"),
            ("date32", "timestamp[ms]", "timestamp[ms]"),
            ("timestamp[s]", "timestamp[ns]", "timestamp[ns]"),
            ("duration[s]", "duration[ms]", "duration[ms]"),
            ("dictionary<int8, string>", "string", "string"),
            ("null", "string", "string"),
            ("string", "int64", ""),
            ("string_view", "large_string", "string"),
            ("date32", "int64", ""),
        ] {
            assert_eq!(joined(a, b), both, "{a} with {b}");
        }
    }
}
