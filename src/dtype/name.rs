//! Dtype names: read and written.
//!
//! A name is what pyarrow prints where a short form does not exist. What a name cannot say (the name of a list's item
//! field) takes Arrow's default.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL32_MAX_PRECISION, DECIMAL64_MAX_PRECISION, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType,
    Field, FieldRef, Fields, IntervalUnit, TimeUnit, UnionFields, UnionMode,
};

use super::{MAX_TYPE_DEPTH, check_timezone, parse_unit, unit_name};
use crate::error::{Error, Result, closest};

/// Names without parameters, the canonical one of each type first.
const PLAIN: &[(&str, DataType)] = &[
    ("null", DataType::Null),
    ("bool", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float16", DataType::Float16),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("string", DataType::Utf8),
    ("large_string", DataType::LargeUtf8),
    ("string_view", DataType::Utf8View),
    ("binary", DataType::Binary),
    ("large_binary", DataType::LargeBinary),
    ("binary_view", DataType::BinaryView),
    ("date32", DataType::Date32),
    ("date64", DataType::Date64),
    ("month_interval", DataType::Interval(IntervalUnit::YearMonth)),
    ("day_time_interval", DataType::Interval(IntervalUnit::DayTime)),
    ("month_day_nano_interval", DataType::Interval(IntervalUnit::MonthDayNano)),
    // what other libraries and Python call them
    ("str", DataType::Utf8),
    ("utf8", DataType::Utf8),
    ("text", DataType::Utf8),
    ("large_utf8", DataType::LargeUtf8),
    ("boolean", DataType::Boolean),
    ("int", DataType::Int64),
    ("float", DataType::Float64),
    ("double", DataType::Float64),
    ("halffloat", DataType::Float16),
    ("bytes", DataType::Binary),
    ("date", DataType::Date32),
    ("date32[day]", DataType::Date32),
    ("date64[ms]", DataType::Date64),
    ("datetime", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("timestamp", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("time", DataType::Time64(TimeUnit::Microsecond)),
    ("timedelta", DataType::Duration(TimeUnit::Microsecond)),
    ("duration", DataType::Duration(TimeUnit::Microsecond)),
];

/// Words that begin a name with parameters, for suggestions.
const WITH_PARAMETERS: &[&str] = &[
    "timestamp[us]",
    "duration[us]",
    "time32[ms]",
    "time64[us]",
    "decimal128(38, 2)",
    "list<int64>",
    "struct<a: int64>",
    "map<string, int64>",
    "dictionary<int32, string>",
    "fixed_size_binary[16]",
];

/// The type that a name stands for.
///
/// # Errors
/// [`Error::Value`] naming the nearest dtype, where the name is unknown or its parameters make no sense.
pub fn parse_dtype(name: &str) -> Result<DataType> {
    let mut reader = Reader { text: name, at: 0 };
    let found = reader.dtype(0)?;
    reader.space();
    if reader.at < name.len() {
        return Err(reader.unexpected("the end of the name"));
    }
    Ok(found)
}

/// The name of a type; [`parse_dtype`] reads it back.
pub fn dtype_name(dtype: &DataType) -> String {
    let mut out = String::new();
    write_name(dtype, &mut out);
    out
}

fn write_name(dtype: &DataType, out: &mut String) {
    let item = |field: &FieldRef, out: &mut String| {
        write_name(field.data_type(), out);
        if !field.is_nullable() {
            out.push_str(" not null");
        }
    };
    let list = |word: &str, field: &FieldRef, out: &mut String| {
        out.push_str(word);
        out.push('<');
        item(field, out);
        out.push('>');
    };
    // writing to a String cannot fail
    let _ = match dtype {
        DataType::Timestamp(unit, None) => write!(out, "timestamp[{}]", unit_name(*unit)),
        DataType::Timestamp(unit, Some(tz)) => write!(out, "timestamp[{}, tz={tz}]", unit_name(*unit)),
        DataType::Time32(unit) => write!(out, "time32[{}]", unit_name(*unit)),
        DataType::Time64(unit) => write!(out, "time64[{}]", unit_name(*unit)),
        DataType::Duration(unit) => write!(out, "duration[{}]", unit_name(*unit)),
        DataType::FixedSizeBinary(n) => write!(out, "fixed_size_binary[{n}]"),
        DataType::Decimal32(p, s) => write!(out, "decimal32({p}, {s})"),
        DataType::Decimal64(p, s) => write!(out, "decimal64({p}, {s})"),
        DataType::Decimal128(p, s) => write!(out, "decimal128({p}, {s})"),
        DataType::Decimal256(p, s) => write!(out, "decimal256({p}, {s})"),
        DataType::List(f) => return list("list", f, out),
        DataType::LargeList(f) => return list("large_list", f, out),
        DataType::ListView(f) => return list("list_view", f, out),
        DataType::LargeListView(f) => return list("large_list_view", f, out),
        DataType::FixedSizeList(f, n) => {
            list("fixed_size_list", f, out);
            write!(out, "[{n}]")
        }
        DataType::Struct(fields) => {
            out.push_str("struct<");
            for (i, field) in fields.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_field_name(field.name(), out);
                out.push_str(": ");
                item(field, out);
            }
            out.push('>');
            Ok(())
        }
        DataType::Map(entries, sorted) => {
            out.push_str("map<");
            if let DataType::Struct(pair) = entries.data_type()
                && let [key, value] = pair.as_ref()
            {
                write_name(key.data_type(), out);
                out.push_str(", ");
                item(value, out);
            }
            write!(out, "{}>", if *sorted { ", keys_sorted" } else { "" })
        }
        DataType::Dictionary(key, value) => {
            out.push_str("dictionary<");
            write_name(key, out);
            out.push_str(", ");
            write_name(value, out);
            out.push('>');
            Ok(())
        }
        DataType::RunEndEncoded(ends, values) => {
            out.push_str("run_end_encoded<");
            write_name(ends.data_type(), out);
            out.push_str(", ");
            item(values, out);
            out.push('>');
            Ok(())
        }
        DataType::Union(fields, mode) => {
            out.push_str(if *mode == UnionMode::Dense { "dense_union<" } else { "sparse_union<" });
            for (i, (id, field)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_field_name(field.name(), out);
                out.push_str(": ");
                item(field, out);
                let _ = write!(out, " = {id}");
            }
            out.push('>');
            Ok(())
        }
        plain => {
            let name = PLAIN.iter().find(|(_, t)| t == plain).map_or("unknown", |(n, _)| n);
            out.push_str(name);
            Ok(())
        }
    };
}

/// A field's name, in double quotes where it is not a plain word.
fn write_field_name(name: &str, out: &mut String) {
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-. ".contains(c)) && name.trim() == name {
        out.push_str(name);
    } else {
        out.push('"');
        out.push_str(&name.replace('"', "\"\""));
        out.push('"');
    }
}

/// Reads a name from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected(&format!("`{token}`"))) }
    }

    fn until(&mut self, ends: &[char]) -> &'a str {
        let rest = self.rest();
        let len = rest.find(ends).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or("").trim()
    }

    fn unexpected(&self, expected: &str) -> Error {
        let found = match self.rest().trim() {
            "" => "the end of the name".to_owned(),
            rest => format!("`{rest}`"),
        };
        Error::Value(format!("dtype `{}`: expected {expected}, found {found}", self.text))
    }

    fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T> {
        self.space();
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
        let number = rest.get(..len).unwrap_or("").parse().map_err(|_| self.unexpected(what))?;
        self.at += len;
        Ok(number)
    }

    fn unit(&mut self, allowed: &[TimeUnit]) -> Result<TimeUnit> {
        self.space();
        let word = self.until(&[',', ']']);
        parse_unit(word).filter(|u| allowed.contains(u)).ok_or_else(|| {
            let units: Vec<&str> = allowed.iter().map(|u| unit_name(*u)).collect();
            Error::Value(format!("dtype `{}`: expected a unit ({}), found `{word}`", self.text, units.join(", ")))
        })
    }

    fn dtype(&mut self, depth: usize) -> Result<DataType> {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        if depth > MAX_TYPE_DEPTH {
            return Err(Error::Value(format!("dtype nests deeper than {MAX_TYPE_DEPTH} levels")));
        }
        self.space();
        let start = self.at;
        let word = self.until(&['[', '<', '(', ',', '>', ')', ']', '=']);
        // `a: int64 not null` leaves the marker to the caller
        let word = match word.strip_suffix(" not null") {
            Some(bare) => {
                self.at = start + bare.len();
                bare.trim()
            }
            None => word,
        };
        let any = [Second, Millisecond, Microsecond, Nanosecond];
        match (word, self.rest().chars().next()) {
            ("date32" | "date64", Some('[')) => {
                let unit = self.bracketed()?;
                match (word, unit) {
                    ("date32", "day") => Ok(DataType::Date32),
                    ("date64", "ms") => Ok(DataType::Date64),
                    _ => Err(Self::unknown(self.text)),
                }
            }
            ("timestamp" | "datetime", Some('[')) => {
                self.expect("[")?;
                let unit = self.unit(&any)?;
                let tz = if self.take(",") {
                    self.take("tz");
                    self.take("=");
                    let tz = self.until(&[']']);
                    check_timezone(tz)?;
                    Some(Arc::from(tz))
                } else {
                    None
                };
                self.expect("]")?;
                Ok(DataType::Timestamp(unit, tz))
            }
            ("time32", Some('[')) => self.with_unit(&[Second, Millisecond]).map(DataType::Time32),
            ("time64", Some('[')) => self.with_unit(&[Microsecond, Nanosecond]).map(DataType::Time64),
            ("duration", Some('[')) => self.with_unit(&any).map(DataType::Duration),
            ("interval", Some('[')) => match self.bracketed()? {
                "year_month" => Ok(DataType::Interval(IntervalUnit::YearMonth)),
                "day_time" => Ok(DataType::Interval(IntervalUnit::DayTime)),
                "month_day_nano" => Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
                _ => Err(Self::unknown(self.text)),
            },
            ("fixed_size_binary", Some('[')) => {
                self.expect("[")?;
                let n: i32 = self.number("a size in bytes")?;
                self.expect("]")?;
                if n < 0 {
                    return Err(Error::Value(format!("dtype `{}`: the size must not be negative", self.text)));
                }
                Ok(DataType::FixedSizeBinary(n))
            }
            ("decimal" | "decimal32" | "decimal64" | "decimal128" | "decimal256", Some('(')) => self.decimal(word),
            ("list", Some('<')) => self.item(depth).map(DataType::List),
            ("large_list", Some('<')) => self.item(depth).map(DataType::LargeList),
            ("list_view", Some('<')) => self.item(depth).map(DataType::ListView),
            ("large_list_view", Some('<')) => self.item(depth).map(DataType::LargeListView),
            ("fixed_size_list", Some('<')) => {
                let item = self.item(depth)?;
                self.expect("[")?;
                let n: i32 = self.number("a size")?;
                self.expect("]")?;
                if n < 0 {
                    return Err(Error::Value(format!("dtype `{}`: the size must not be negative", self.text)));
                }
                Ok(DataType::FixedSizeList(item, n))
            }
            ("struct", Some('<')) => self.fields(depth).map(|f| DataType::Struct(Fields::from(f))),
            ("map", Some('<')) => {
                self.expect("<")?;
                let key = Field::new("key", self.dtype(depth + 1)?, false);
                self.expect(",")?;
                let value = self.nullable_item("value", depth)?;
                let sorted = self.take(",") && self.take("keys_sorted");
                self.expect(">")?;
                let pair = DataType::Struct(Fields::from(vec![key, value]));
                Ok(DataType::Map(Arc::new(Field::new("entries", pair, false)), sorted))
            }
            ("dictionary", Some('<')) => self.dictionary(depth),
            ("run_end_encoded", Some('<')) => {
                self.expect("<")?;
                let ends = self.dtype(depth + 1)?;
                if !matches!(ends, DataType::Int16 | DataType::Int32 | DataType::Int64) {
                    return Err(Error::Value(format!("dtype `{}`: run ends must be int16, int32 or int64", self.text)));
                }
                self.expect(",")?;
                let values = self.nullable_item("values", depth)?;
                self.expect(">")?;
                let ends = Field::new("run_ends", ends, false);
                Ok(DataType::RunEndEncoded(Arc::new(ends), Arc::new(values)))
            }
            ("dense_union" | "sparse_union", Some('<')) => {
                let mode = if word == "dense_union" { UnionMode::Dense } else { UnionMode::Sparse };
                self.union(depth).map(|f| DataType::Union(f, mode))
            }
            _ => PLAIN
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(word))
                .map(|(_, t)| t.clone())
                .ok_or_else(|| Self::unknown(word)),
        }
    }

    fn unknown(word: &str) -> Error {
        let names: Vec<&str> = PLAIN.iter().map(|(n, _)| *n).chain(WITH_PARAMETERS.iter().copied()).collect();
        let hint = closest(word, &names).or_else(|| {
            let begins = |n: &&&str| n.split(['[', '<', '(']).next() == Some(word);
            WITH_PARAMETERS.iter().find(begins).copied()
        });
        let hint = hint.map(|n| format!(", did you mean `{n}`?")).unwrap_or_default();
        Error::Value(format!(
            "unknown dtype `{word}`{hint} (dtypes are Arrow's names, such as int64, float64, string, bool, date32, \
             timestamp[us], decimal128(12, 2), list<int64>)"
        ))
    }

    fn bracketed(&mut self) -> Result<&'a str> {
        self.expect("[")?;
        let word = self.until(&[']']);
        self.expect("]")?;
        Ok(word)
    }

    fn with_unit(&mut self, allowed: &[TimeUnit]) -> Result<TimeUnit> {
        self.expect("[")?;
        let unit = self.unit(allowed)?;
        self.expect("]")?;
        Ok(unit)
    }

    fn decimal(&mut self, word: &str) -> Result<DataType> {
        self.expect("(")?;
        let precision: u8 = self.number("a precision")?;
        let scale: i8 = if self.take(",") { self.number("a scale")? } else { 0 };
        self.expect(")")?;
        let (most, made): (u8, fn(u8, i8) -> DataType) = match word {
            "decimal32" => (DECIMAL32_MAX_PRECISION, DataType::Decimal32),
            "decimal64" => (DECIMAL64_MAX_PRECISION, DataType::Decimal64),
            "decimal256" => (DECIMAL256_MAX_PRECISION, DataType::Decimal256),
            _ => (DECIMAL128_MAX_PRECISION, DataType::Decimal128),
        };
        let (digits, places) = (i16::from(precision), i16::from(scale));
        if precision == 0 || precision > most || places > digits || places < -i16::from(most) {
            return Err(Error::Value(format!(
                "dtype `{}`: expected a precision of 1 to {most} and a scale of at most the precision",
                self.text
            )));
        }
        Ok(made(precision, scale))
    }

    fn nullable_item(&mut self, name: &str, depth: usize) -> Result<Field> {
        let dtype = self.dtype(depth + 1)?;
        let nullable = !self.take("not null");
        Ok(Field::new(name, dtype, nullable))
    }

    /// `<int64>`, or `<item: int64>` as pyarrow writes it.
    fn item(&mut self, depth: usize) -> Result<FieldRef> {
        self.expect("<")?;
        let name = if self.take("item:") {
            "item"
        } else if self.take("element:") {
            "element"
        } else {
            "item"
        };
        let field = self.nullable_item(name, depth)?;
        self.expect(">")?;
        Ok(Arc::new(field))
    }

    fn field_name(&mut self) -> Result<String> {
        self.space();
        if !self.take("\"") {
            return Ok(self.until(&[':', '>', ',']).to_owned());
        }
        let mut name = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find('"') else { return Err(self.unexpected("a closing `\"`")) };
            name.push_str(rest.get(..end).unwrap_or(""));
            self.at += end + 1;
            if !self.rest().starts_with('"') {
                return Ok(name);
            }
            name.push('"');
            self.at += 1;
        }
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<Field>> {
        self.expect("<")?;
        let mut fields = Vec::new();
        while !self.take(">") {
            if !fields.is_empty() {
                self.expect(",")?;
            }
            let name = self.field_name()?;
            self.expect(":")?;
            fields.push(self.nullable_item(&name, depth)?);
        }
        Ok(fields)
    }

    fn union(&mut self, depth: usize) -> Result<UnionFields> {
        self.expect("<")?;
        let mut fields: Vec<(i8, Field)> = Vec::new();
        while !self.take(">") {
            if !fields.is_empty() {
                self.expect(",")?;
            }
            let name = self.field_name()?;
            self.expect(":")?;
            let field = self.nullable_item(&name, depth)?;
            self.expect("=")?;
            fields.push((self.number("a type id")?, field));
        }
        UnionFields::try_new(fields.iter().map(|(id, _)| *id), fields.iter().map(|(_, f)| f.clone()))
            .map_err(|e| Error::Value(format!("dtype `{}`: {e}", self.text)))
    }

    /// `<int32, string>`, or `<values=string, indices=int32, ordered=0>` as pyarrow writes it.
    fn dictionary(&mut self, depth: usize) -> Result<DataType> {
        self.expect("<")?;
        let (key, value) = if self.take("values=") {
            let value = self.dtype(depth + 1)?;
            self.expect(",")?;
            self.expect("indices=")?;
            let key = self.dtype(depth + 1)?;
            if self.take(",") {
                self.expect("ordered=")?;
                let _: u8 = self.number("0 or 1")?;
            }
            (key, value)
        } else {
            let key = self.dtype(depth + 1)?;
            self.expect(",")?;
            (key, self.dtype(depth + 1)?)
        };
        self.expect(">")?;
        if !key.is_integer() {
            return Err(Error::Value(format!(
                "dtype `{}`: expected an integer type for the dictionary's index, found `{}`",
                self.text,
                dtype_name(&key)
            )));
        }
        Ok(DataType::Dictionary(Box::new(key), Box::new(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in [
            "int64",
            "string",
            "timestamp[us]",
            "timestamp[ms, tz=Europe/Berlin]",
            "timestamp[ns, tz=+02:00]",
            "decimal128(12, 2)",
            "decimal256(50, -3)",
            "decimal32(9, 2)",
            "list<int64>",
            "list<list<int64 not null>>",
            "large_list<string>",
            "list_view<int8>",
            "fixed_size_list<float32>[3]",
            "fixed_size_binary[16]",
            "dictionary<int32, string>",
            "struct<>",
            "struct<a: int64, b: string>",
            "struct<a: struct<x y: int64 not null>, \"q: \"\"<>\": list<bool>>",
            "map<string, int64>",
            "map<string, list<int64> not null, keys_sorted>",
            "duration[us]",
            "time32[s]",
            "time64[ns]",
            "month_day_nano_interval",
            "run_end_encoded<int32, string>",
            "dense_union<a: int64 = 0, b: string = 5>",
            "null",
            "large_binary",
            "string_view",
        ] {
            let dtype = parse_dtype(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(dtype_name(&dtype), name);
            assert_eq!(parse_dtype(&dtype_name(&dtype)).expect("its own name"), dtype);
        }
        for (name, dtype) in PLAIN {
            assert_eq!(&parse_dtype(name).expect("a plain name"), dtype);
            assert_eq!(&parse_dtype(&dtype_name(dtype)).expect("a canonical name"), dtype);
        }
    }

    #[test]
    fn what_pyarrow_prints_is_read() {
        assert_eq!(dtype_name(&parse_dtype("list<item: int64>").expect("reads")), "list<int64>");
        assert_eq!(
            dtype_name(&parse_dtype("dictionary<values=string, indices=int32, ordered=0>").expect("reads")),
            "dictionary<int32, string>"
        );
        assert_eq!(dtype_name(&parse_dtype("date32[day]").expect("reads")), "date32");
    }

    #[test]
    fn slips_are_named() {
        let message = |name: &str| parse_dtype(name).expect_err(name).to_string();
        assert!(message("in64").contains("did you mean `int64`?"), "{}", message("in64"));
        assert!(message("list").contains("did you mean `list<int64>`?"), "{}", message("list"));
        assert!(message("timestamp[xs]").contains("expected a unit (s, ms, us, ns), found `xs`"));
        assert!(message("timestamp[us, tz=Mars/Base]").contains("unknown time zone `Mars/Base`"));
        assert!(message("decimal128(50, 2)").contains("1 to 38"));
        assert!(message("int64>").contains("expected the end of the name"));
        for bad in [
            "",
            "list<",
            "list<int64",
            "struct<a>",
            "struct<a: >",
            "map<string>",
            "dictionary<string, int8>",
            "€[",
            "struct<\"a: int64>",
        ] {
            message(bad);
        }
    }

    #[test]
    fn deep_types_are_refused() {
        let name = format!("{}int64{}", "list<".repeat(5000), ">".repeat(5000));
        assert!(parse_dtype(&name).expect_err("too deep").to_string().contains("deeper"));
    }
}
