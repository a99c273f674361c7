//! Bad records and values, in a reader's words: where, what was expected, what was found, what to do.

use arrow::datatypes::DataType;

use crate::error::{Error, Place};

use super::column::{Nulls, Writing, expected};
use super::cut::lines_in;
use super::encoding::Encoding;
use super::infer::Seen;
use super::split::{Fault, after_line};

/// Most characters of a value that a message shows.
const SHOWN: usize = 80;

/// A piece, to say where in a file a byte of it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Where<'a> {
    /// The file, as the user named it.
    pub(super) name: &'a str,
    /// Its encoding.
    pub(super) encoding: Encoding,
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
        Place { value: Some(self.rest_of_line(at)), ..self.place(at) }
    }

    fn rest_of_line(&self, at: usize) -> String {
        let text = String::from_utf8_lossy(&self.bytes[at..after_line(self.bytes, at)]);
        text.trim_end_matches(['\r', '\n']).chars().take(SHOWN).collect()
    }

    fn error(&self, place: Place, what: &str) -> Error {
        let message = format!("{}:{}: {what}", self.name, place.line.unwrap_or_default());
        Error::Parse { place: Box::new(place), message }
    }

    /// A record is none.
    pub(super) fn fault(&self, fault: Fault, width: usize) -> Error {
        match fault {
            Fault::Ragged { start, found } => self.error(
                self.place_of_line(start),
                &format!(
                    "{}; quote a field that holds the delimiter or a line end, or pass on_error=\"skip\"",
                    ragged(width, found)
                ),
            ),
            Fault::Unclosed { quote, .. } => self.error(
                self.place_of_line(quote),
                &format!(
                    "{UNCLOSED}; expected a closing one before the input ends, or pass quote_char=None if quotes are text"
                ),
            ),
            Fault::Stray { start, at } => self.error(
                self.place_of_line(start),
                &format!(
                    "{STRAY}: `{}`; double the quotes inside a quoted field, or pass escape_char or quote_char=None",
                    on_one_line(&self.rest_of_line(at))
                ),
            ),
        }
    }

    /// A field of the record at `start` is no UTF-8; `text` is the field.
    pub(super) fn encoding(&self, start: usize, column: &str, text: &[u8]) -> Error {
        let value: String = String::from_utf8_lossy(text).chars().take(SHOWN).collect();
        self.error(
            Place { column: Some(column.to_owned()), value: Some(value), ..self.place(start) },
            &format!("column `{column}`: {}; pass the encoding, or on_error=\"skip\"", no_text(self.encoding, text)),
        )
    }

    /// A value of the record at `start` does not fit its column.
    pub(super) fn value(&self, start: usize, column: &str, dtype: &DataType, text: &[u8], writing: &Writing) -> Error {
        let whole = String::from_utf8_lossy(text);
        let (shown, is_whole) = shortened(&whole);
        let null = literal(&shown);
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
            Place { column: Some(column.to_owned()), value: Some(whole.clone().into_owned()), ..self.place(start) },
            &format!("column `{column}`: {}; pass {remedy}", no_value(dtype, text)),
        )
    }
}

/// Why a record whose quotes are not closed is none.
pub(super) const UNCLOSED: &str = "the quote that opens here is never closed";
/// Why a record with text between a closing quote and the delimiter is none.
pub(super) const STRAY: &str = "expected a delimiter or a line end behind a closing quote, found more text";

/// Why a record of `found` fields is none.
pub(super) fn ragged(width: usize, found: usize) -> String {
    let fields = if width == 1 { "field" } else { "fields" };
    format!("expected {width} {fields}, found {found}")
}

/// Why `text` is no text.
pub(super) fn no_text(encoding: Encoding, text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(_) => "expected text, found a zero byte outside quotes".to_owned(),
        Err(_) if encoding != Encoding::Utf8 => format!("expected {}, found bytes that are none", encoding.name()),
        Err(e) => {
            let byte = text.get(e.valid_up_to()).copied().unwrap_or_default();
            format!("expected UTF-8, found the byte 0x{byte:02x}")
        }
    }
}

/// Why `text` is no value of `dtype`.
pub(super) fn no_value(dtype: &DataType, text: &[u8]) -> String {
    let (mut shown, is_whole) = shortened(&String::from_utf8_lossy(text));
    if !is_whole {
        shown.push('…');
    }
    format!("expected {}, found `{}`", expected(dtype), on_one_line(&shown))
}

/// The first characters of a value, and whether they are all of it.
fn shortened(whole: &str) -> (String, bool) {
    let shown: String = whole.chars().take(SHOWN).collect();
    let is_whole = shown.len() == whole.len();
    (shown, is_whole)
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
