//! Types from values.
//!
//! Inference looks at a sample and finds the narrowest of: bool, int64, uint64, float64, date32, time64, timestamp,
//! string.
//! The types are those on which pyarrow, polars and `DuckDB` agree where they do; where they differ, nothing is lost:
//! ids with leading zeros, numbers beyond 64 bits and phone numbers (`+49…`) stay text, and what is written to the
//! nanosecond gets nanoseconds.

use arrow::datatypes::{DataType, TimeUnit};

use super::column::{Nulls, Writing};
use super::number;
use super::time::{self, Moment};

/// What was seen in one column. One bit a kind of value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen(u16);

const BOOL: u16 = 1;
const INT: u16 = 1 << 1;
const FLOAT: u16 = 1 << 2;
/// An integer beyond 64 bits: text, unless the column is of floats anyway.
const HUGE: u16 = 1 << 3;
const DATE: u16 = 1 << 4;
const TIME: u16 = 1 << 5;
const NAIVE: u16 = 1 << 6;
const ZONED: u16 = 1 << 7;
/// Beside `NAIVE` or `ZONED`: a microsecond is not fine enough.
const FINE: u16 = 1 << 8;
const TEXT: u16 = 1 << 9;
/// Beside `TIME`: a microsecond is not fine enough.
const FINE_TIME: u16 = 1 << 10;
/// An integer that only uint64 holds.
const WIDE: u16 = 1 << 11;
/// Beside `INT`: one below zero.
const NEGATIVE: u16 = 1 << 12;
/// Beside `NAIVE` or `ZONED`: beyond what 64 bits of nanoseconds hold.
const FAR: u16 = 1 << 13;

/// The first second of the year 1, and that behind the year 9999: what lies outside is text, as other libraries have it,
/// and as Python has no date for it.
const YEARS: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;

impl Seen {
    /// Takes a value into account. An empty one says nothing: it is null, or text in a column of text.
    pub(super) fn value(&mut self, text: &[u8], nulls: &Nulls, writing: &Writing, dates: bool) {
        if self.0 & TEXT == 0 && !text.is_empty() && !nulls.has(text) {
            self.0 |= kind(text, writing, dates);
        }
    }

    /// Whether there was something, and all of it something other than text.
    pub(super) fn is_typed(self) -> bool {
        self.dtype() != DataType::Utf8
    }

    /// The type that holds all that was seen; text if that was nothing.
    pub(super) fn dtype(self) -> DataType {
        let timestamp = |zone: Option<&str>| {
            let unit = if self.0 & FINE == 0 { TimeUnit::Microsecond } else { TimeUnit::Nanosecond };
            DataType::Timestamp(unit, zone.map(Into::into))
        };
        match self.0 & !(FINE | FINE_TIME | FAR) {
            NAIVE | ZONED if self.0 & FINE != 0 && self.0 & FAR != 0 => DataType::Utf8,
            BOOL => DataType::Boolean,
            numbers if numbers & INT != 0 && numbers & !(INT | NEGATIVE) == 0 => DataType::Int64,
            numbers if numbers & WIDE != 0 && numbers & !(INT | WIDE) == 0 => DataType::UInt64,
            numbers if numbers & FLOAT != 0 && numbers & !(INT | NEGATIVE | WIDE | FLOAT | HUGE) == 0 => {
                DataType::Float64
            }
            DATE => DataType::Date32,
            TIME if self.0 & FINE_TIME == 0 => DataType::Time64(TimeUnit::Microsecond),
            TIME => DataType::Time64(TimeUnit::Nanosecond),
            NAIVE => timestamp(None),
            ZONED => timestamp(Some("UTC")),
            _ => DataType::Utf8,
        }
    }
}

fn kind(text: &[u8], writing: &Writing, dates: bool) -> u16 {
    let padded = text;
    let text = padded.trim_ascii();
    let digit = text != b"0" && text != b"1";
    if (digit || writing.truths.is_some()) && writing.bool(text).is_some() {
        // Blanks around a word are part of it.
        return if text.len() == padded.len() { BOOL } else { TEXT };
    }
    let mut out = Vec::new();
    if let Some(number) = writing.number(text, &mut out) {
        match number_kind(number) {
            0 => {}
            kind => return kind,
        }
    }
    if !dates {
        return TEXT;
    }
    if let Some(moment) = writing.moment(text) {
        return moment_kind(moment);
    }
    match writing.time(text) {
        Some(nanos) if nanos % 1_000 == 0 => TIME,
        Some(_) => TIME | FINE_TIME,
        None => TEXT,
    }
}

fn moment_kind(moment: Moment) -> u16 {
    let seconds = moment.seconds - i64::from(moment.offset.unwrap_or(0));
    if !YEARS.contains(&seconds) {
        return TEXT;
    }
    let fine = if moment.nanos.is_multiple_of(1_000) { 0 } else { FINE };
    let far = if time::in_unit(seconds, moment.nanos, TimeUnit::Nanosecond).is_some() { 0 } else { FAR };
    match moment.offset {
        _ if !moment.timed => DATE,
        None => NAIVE | fine | far,
        Some(_) => ZONED | fine | far,
    }
}

fn number_kind(text: &[u8]) -> u16 {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    match unsigned {
        [b'0', b'0'..=b'9', ..] if unsigned.iter().all(u8::is_ascii_digit) => TEXT,
        [b'0'..=b'9', ..] if unsigned.iter().all(u8::is_ascii_digit) => {
            if number::int64(text, 0, text.len()).is_some() {
                INT | if text.len() > unsigned.len() && text != b"-0" { NEGATIVE } else { 0 }
            } else if number::uint64(text, 0, text.len()).is_some() {
                WIDE
            } else {
                HUGE
            }
        }
        [b'+', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => TEXT,
        // Infinities and what is no number too, in any spelling that a column of floats takes.
        _ if number::float64(text, 0, text.len()).is_some() => FLOAT,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::Patterns;
    use super::*;

    fn dtype(texts: &[&str]) -> String {
        let writing =
            Writing { decimal: b'.', thousands: None, truths: None, lies: None, patterns: Patterns::default() };
        let mut seen = Seen::default();
        for text in texts {
            seen.value(text.as_bytes(), &Nulls::new(&[String::new()]), &writing, true);
        }
        seen.dtype().to_string()
    }

    #[test]
    fn what_the_peers_agree_on() {
        for (texts, expected) in [
            (["true", "FALSE"], "Boolean"),
            (["1", "-2"], "Int64"),
            (["0", "1"], "Int64"),
            (["1", "2.5"], "Float64"),
            (["1e5", ".5"], "Float64"),
            (["NaN", "1"], "Float64"),
            (["inf", "-inf"], "Float64"),
            (["Infinity", "-INF"], "Float64"),
            (["1", "-nan"], "Float64"),
            (["infinit", "1"], "Utf8"),
            (["-0", "0"], "Int64"),
            (["2024-01-02", ""], "Date32"),
            (["2024-01-02T03:04:05", "2024-01-02 03:04"], "Timestamp(µs)"),
            (["2024-01-02T03:04:05Z", "2024-01-02 03:04+02:00"], "Timestamp(µs, \"UTC\")"),
            (["03:04:05", "03:04"], "Time64(µs)"),
            (["2024-01-02", "2024-01-02 03:04"], "Utf8"),
            (["true", "1"], "Utf8"),
            (["x", "1"], "Utf8"),
            (["", ""], "Utf8"),
            ([" 1", "2 "], "Int64"),
            ([" true", "false "], "Utf8"),
            (["9223372036854775807", "-9223372036854775808"], "Int64"),
            (["18446744073709551615", "1"], "UInt64"),
            (["9223372036854775808", ""], "UInt64"),
            (["t", "f"], "Utf8"),
        ] {
            assert_eq!(dtype(&texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn nothing_is_lost_where_they_differ() {
        for (texts, expected) in [
            (["007", "8"], "Utf8"),
            (["-01", "8"], "Utf8"),
            (["00.5", "8"], "Float64"),
            (["99999999999999999999", "1"], "Utf8"),
            (["18446744073709551616", "1"], "Utf8"),
            (["9223372036854775808", "-1"], "Utf8"),
            (["9223372036854775808", "-1.5"], "Float64"),
            (["99999999999999999999", "1.5"], "Float64"),
            (["+4930123", "1"], "Utf8"),
            (["1_000", "1"], "Utf8"),
            (["2300-01-01 00:00:00.123456789", "2024-01-02T03:04"], "Utf8"),
            (["2300-01-01 00:00:00.123456", "2024-01-02T03:04"], "Timestamp(µs)"),
            (["2300-01-01 00:00:00", "2024-01-02T03:04:05.123456789"], "Utf8"),
            (["2300-01-01 00:00:00Z", "2024-01-02T03:04:05.123456789Z"], "Utf8"),
            (["0000-12-31", "2024-01-02"], "Utf8"),
            (["9999-12-31", "0001-01-01"], "Date32"),
            (["10000-01-01", "2024-01-02"], "Utf8"),
            (["9999-12-31 23:59:59", "0001-01-01 00:00"], "Timestamp(µs)"),
            (["9999-12-31 23:59:59-01:00", "2024-01-02 00:00Z"], "Utf8"),
            (["999999999-01-01 00:00:00", "2024-01-02 00:00"], "Utf8"),
            (["2024-01-02T03:04:05.123456789", "2024-01-02T03:04"], "Timestamp(ns)"),
            (["2024-01-02T03:04:05.123456000", "2024-01-02T03:04"], "Timestamp(µs)"),
            (["01/02/2024", "01/03/2024"], "Utf8"),
        ] {
            assert_eq!(dtype(&texts), expected, "{texts:?}");
        }
    }
}
