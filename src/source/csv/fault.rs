//! Bad records and values, in a reader's words: where, what was expected, what was found, what to do.

use arrow::datatypes::DataType;

use crate::error::{Error, Place};

use super::column::{Nulls, Writing, expected};
use super::cut::lines_in;
use super::infer::Seen;
use super::split::after_line;

/// Most characters of a value that a message shows.
const SHOWN: usize = 80;

/// A piece, to say where in a file a byte of it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Where<'a> {
    /// The file, as the user named it.
    pub(super) name: &'a str,
    /// The piece.
    pub(super) bytes: &'a [u8],
    /// Where it begins.
    pub(super) offset: u64,
    /// The line of its first byte.
    pub(super) line: u64,
}

impl Where<'_> {
    fn place(&self, at: usize) -> Place {
        Place {
            path: Some(self.name.to_owned()),
            line: Some(self.line + lines_in(&self.bytes[..at])),
            offset: Some(self.offset + at as u64),
            ..Place::default()
        }
    }

    /// A place whose value is the rest of its line.
    fn place_of_line(&self, at: usize) -> Place {
        let rest = &self.bytes[at..after_line(self.bytes, at)];
        let text = String::from_utf8_lossy(rest);
        let value: String = text.trim_end_matches(['\r', '\n']).chars().take(SHOWN).collect();
        Place { value: Some(value), ..self.place(at) }
    }

    fn error(&self, place: Place, what: &str) -> Error {
        let message = format!("{}:{}: {what}", self.name, place.line.unwrap_or_default());
        Error::Parse { place: Box::new(place), message }
    }

    /// A record that begins at `start` has `found` fields.
    pub(super) fn ragged(&self, start: usize, width: usize, found: usize) -> Error {
        let fields = if width == 1 { "field" } else { "fields" };
        self.error(
            self.place_of_line(start),
            &format!(
                "expected {width} {fields}, found {found}; quote a field that holds the delimiter or a line end, \
                 or pass on_error=\"skip\""
            ),
        )
    }

    /// Nothing closes the quote at `quote`.
    pub(super) fn unclosed(&self, quote: usize) -> Error {
        self.error(
            self.place_of_line(quote),
            "the quote that opens here is never closed; expected a closing one before the input ends, or pass \
             quote_char=None if quotes are text",
        )
    }

    /// A field of the record at `start` is no UTF-8; `text` is the field.
    pub(super) fn encoding(&self, start: usize, column: &str, text: &[u8]) -> Error {
        let byte = match std::str::from_utf8(text) {
            Err(e) => text.get(e.valid_up_to()).copied().unwrap_or_default(),
            Ok(_) => 0,
        };
        let value: String = String::from_utf8_lossy(text).chars().take(SHOWN).collect();
        self.error(
            Place { column: Some(column.to_owned()), value: Some(value), ..self.place(start) },
            &format!(
                "column `{column}`: expected UTF-8, found the byte 0x{byte:02x}; convert the file, \
                 or pass on_error=\"skip\""
            ),
        )
    }

    /// A value of the record at `start` does not fit its column.
    pub(super) fn value(&self, start: usize, column: &str, dtype: &DataType, text: &[u8], writing: &Writing) -> Error {
        let whole = String::from_utf8_lossy(text);
        let mut shown: String = whole.chars().take(SHOWN).collect();
        let is_whole = shown.len() == whole.len();
        let null = literal(&shown);
        if !is_whole {
            shown.push('…');
        }
        let mut seen = Seen::default();
        seen.value(text, &Nulls::new(&[]), writing, false);
        let wider = match seen.dtype() {
            DataType::Int64 if dtype.is_integer() && *dtype != DataType::Int64 => "int64",
            DataType::Float64 if dtype.is_numeric() && !dtype.is_floating() => "float64",
            _ => "string",
        };
        let other = format!("dtypes={{{}: \"{wider}\"}}", literal(column));
        let remedy = if wider == "string" && is_whole { format!("null_values=[{null}] or {other}") } else { other };
        self.error(
            Place { column: Some(column.to_owned()), value: Some(whole.into_owned()), ..self.place(start) },
            &format!("column `{column}`: expected {}, found `{}`; pass {remedy}", expected(dtype), on_one_line(&shown)),
        )
    }
}

/// A text as Python source writes it, to be pasted.
fn literal(text: &str) -> String {
    format!("\"{}\"", on_one_line(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// A text with its line ends and other control characters written as escapes.
fn on_one_line(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
