//! Words that source and sink share: file formats, compression, the CSV dialect.
//!
//! [`CsvOptions`] holds what a caller said, as text; [`CsvOptions::dialect`] is the one place that checks it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};

use crate::error::{Error, Result};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format by its name, as `format=` takes it.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] for a format that is decided but not built, [`Error::Value`] for anything else.
    pub fn named(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Ok(Format::Csv),
            "parquet" => Ok(Format::Parquet),
            "json" | "ipc" => Err(Error::NotImplemented(format!("format=\"{name}\" is not built yet"))),
            _ => Err(Error::Value(format!("`format` must be \"csv\" or \"parquet\", found `{name}`"))),
        }
    }

    /// The format that the extension of `path` tells, a compression's extension left out of account.
    #[must_use]
    pub fn of_extension(path: &Path) -> Option<Self> {
        let mut path = path.to_owned();
        loop {
            let extension = path.extension()?.to_str()?.to_ascii_lowercase();
            match extension.as_str() {
                "csv" | "tsv" | "txt" | "tbl" | "psv" => return Some(Format::Csv),
                "parquet" | "pq" | "parq" => return Some(Format::Parquet),
                e if Compression::of_extension(e).is_some() => path.set_extension(""),
                _ => return None,
            };
        }
    }

    /// The format that the first bytes of a file tell; text has no mark of its own.
    #[must_use]
    pub fn of_magic(head: &[u8]) -> Option<Self> {
        head.starts_with(b"PAR1").then_some(Format::Parquet)
    }
}

/// How a whole file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip, any number of members.
    Gzip,
    /// Zstandard, any number of frames.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// LZ4 frames.
    Lz4,
}

impl Compression {
    /// The most bytes that [`Compression::of_magic`] looks at.
    pub const MAGIC: usize = 10;

    /// The compression that the first bytes of a file tell.
    #[must_use]
    pub fn of_magic(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Compression::Zstd),
            // The digits of π begin a block, those of its root the end.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Some(Compression::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Compression::Xz),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Compression::Lz4),
            _ => None,
        }
    }

    /// The compression that a file's last extension tells.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Some(Compression::Gzip),
            "zst" | "zstd" => Some(Compression::Zstd),
            "bz2" => Some(Compression::Bzip2),
            "xz" => Some(Compression::Xz),
            "lz4" => Some(Compression::Lz4),
            _ => None,
        }
    }

    /// Its name, as messages show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::Lz4 => "lz4",
        }
    }
}

/// How records and fields of a text file are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvDialect {
    /// Between two fields.
    pub delimiter: u8,
    /// Around a field; `None`: a quote is text like any other.
    pub quote: Option<u8>,
    /// Inside quotes, makes the next byte plain text.
    pub escape: Option<u8>,
    /// A line that begins with this is no record.
    pub comment: Option<Vec<u8>>,
    /// Leaves out empty lines. In a file of one column an empty line is a record all the same: its value is null.
    pub skip_blank_lines: bool,
    /// Takes blanks off unquoted fields, and those around quotes.
    pub trim: bool,
}

impl CsvDialect {
    /// Whether its marks are ASCII, so that text is UTF-8 still where it is cut off at them.
    pub fn is_ascii(&self) -> bool {
        [Some(self.delimiter), self.quote, self.escape].iter().flatten().all(u8::is_ascii)
    }
}

impl Default for CsvDialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), escape: None, comment: None, skip_blank_lines: true, trim: false }
    }
}

/// What becomes of a record or value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It ends the run.
    #[default]
    Raise,
    /// The record is left out, and counted.
    Skip,
    /// A value that cannot be read is null; a record whose fields cannot be told apart, or are too few or too many,
    /// is left out. Both are counted.
    Null,
}

impl OnError {
    /// The choice by its name.
    ///
    /// # Errors
    /// [`Error::Value`] listing the names.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "raise" => Ok(OnError::Raise),
            "skip" => Ok(OnError::Skip),
            "null" => Ok(OnError::Null),
            _ => Err(Error::Value(format!("`on_error` must be \"raise\", \"skip\" or \"null\", found `{name}`"))),
        }
    }
}

/// How many rejects a reader bears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxErrors {
    /// No more than these.
    Count(u64),
    /// No more than this share of the records, below 1.
    Share(f64),
}

/// Where the rejects of a reader go, and how many it bears. One a reader, whose files share it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bearing {
    /// The file that they are written to.
    pub rejects: Option<PathBuf>,
    /// How many are too many.
    pub max_errors: Option<MaxErrors>,
}

/// Which texts stand for null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NullValues {
    /// The same in every column.
    Everywhere(Vec<String>),
    /// By column name; a column that is not named has the default, the empty text.
    ByColumn(Vec<(String, Vec<String>)>),
}

impl Default for NullValues {
    fn default() -> Self {
        NullValues::Everywhere(vec![String::new()])
    }
}

/// Everything that a caller can say about a CSV file. Names are final ones: after `new_columns`.
#[derive(Debug, Clone)]
pub struct CsvOptions {
    /// The columns wanted, in this order; `None`: all.
    pub columns: Option<Vec<String>>,
    /// All columns of the file, in order; nothing is inferred then.
    pub schema: Option<SchemaRef>,
    /// Types of single columns, instead of what would be inferred (or what `schema` says).
    pub dtypes: Vec<(String, DataType)>,
    /// What an earlier file of the same source was taken for, by name: instead of what would be inferred.
    pub hint: Vec<(String, DataType)>,
    /// Records that inference looks at; `None`: all of them.
    pub infer_schema_length: Option<usize>,
    /// Whether the first record is the columns' names; `None`: to be found out.
    pub has_header: Option<bool>,
    /// Names for the first columns, instead of the header's.
    pub new_columns: Option<Vec<String>>,
    /// One ASCII character, or `auto`.
    pub delimiter: String,
    /// One ASCII character; `None`: quotes are plain text.
    pub quote_char: Option<String>,
    /// One ASCII character that, inside quotes, makes the next one plain text.
    pub escape_char: Option<String>,
    /// A line that begins with this is no record.
    pub comment_prefix: Option<String>,
    /// Lines (not records) to leave out in front of the header.
    pub skip_rows: u64,
    /// Leaves out empty lines.
    pub skip_blank_lines: bool,
    /// Texts that stand for null.
    pub null_values: NullValues,
    /// The file's encoding.
    pub encoding: String,
    /// Takes blanks off unquoted fields, and those around quotes.
    pub trim: bool,
    /// Whether inference looks for dates, times and timestamps.
    pub try_parse_dates: bool,
    /// `strftime` patterns that dates, times and timestamps are tried with before ISO 8601.
    pub datetime_formats: Option<Vec<String>>,
    /// The decimal mark of numbers.
    pub decimal: String,
    /// The mark between thousands.
    pub thousands: Option<String>,
    /// Texts that mean true, instead of `true` in any case.
    pub true_values: Option<Vec<String>>,
    /// Texts that mean false, instead of `false` in any case.
    pub false_values: Option<Vec<String>>,
    /// What becomes of what cannot be read.
    pub on_error: OnError,
    /// Where rejects go, and how many are too many.
    pub bearing: Arc<Bearing>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            columns: None,
            schema: None,
            dtypes: Vec::new(),
            hint: Vec::new(),
            infer_schema_length: Some(10_000),
            has_header: Some(true),
            new_columns: None,
            delimiter: ",".into(),
            quote_char: Some("\"".into()),
            escape_char: None,
            comment_prefix: None,
            skip_rows: 0,
            skip_blank_lines: true,
            null_values: NullValues::default(),
            encoding: "utf-8".into(),
            trim: false,
            try_parse_dates: true,
            datetime_formats: None,
            decimal: ".".into(),
            thousands: None,
            true_values: None,
            false_values: None,
            on_error: OnError::Raise,
            bearing: Arc::default(),
        }
    }
}

impl CsvOptions {
    /// The dialect, if what was said makes sense; a delimiter that is to be found out counts as a comma.
    ///
    /// # Errors
    /// [`Error::Value`], naming the argument.
    pub fn dialect(&self) -> Result<CsvDialect> {
        let Bearing { rejects, max_errors } = &*self.bearing;
        for (name, given) in [("rejects", rejects.is_some()), ("max_errors", max_errors.is_some())] {
            if given && self.on_error == OnError::Raise {
                return Err(Error::Value(format!(
                    "`{name}` needs on_error=\"skip\" or on_error=\"null\"; with \"raise\" the first error ends the run"
                )));
            }
        }
        let dialect = CsvDialect {
            delimiter: one_byte("delimiter", if self.delimiter == "auto" { "," } else { &self.delimiter })?,
            quote: self.quote_char.as_deref().map(|c| one_byte("quote_char", c)).transpose()?,
            escape: self.escape_char.as_deref().map(|c| one_byte("escape_char", c)).transpose()?,
            comment: match self.comment_prefix.as_deref() {
                Some("") => return Err(Error::Value("`comment_prefix` must not be empty; None is no comments".into())),
                Some(text) if text.contains(['\n', '\r']) => {
                    return Err(Error::Value("`comment_prefix` must not hold a line end".into()));
                }
                prefix => prefix.map(|p| p.as_bytes().to_vec()),
            },
            skip_blank_lines: self.skip_blank_lines,
            trim: self.trim,
        };
        if dialect.quote == Some(dialect.delimiter) || dialect.escape == Some(dialect.delimiter) {
            return Err(Error::Value(format!(
                "`delimiter`, `quote_char` and `escape_char` must differ, found `{}` twice",
                self.delimiter.escape_debug()
            )));
        }
        let escape = dialect.escape.filter(|e| Some(*e) != dialect.quote);
        Ok(CsvDialect { escape, ..dialect })
    }

    /// Whether something about the text is to be found out.
    #[must_use]
    pub fn is_sniffed(&self) -> bool {
        self.delimiter == "auto" || self.has_header.is_none()
    }
}

/// The byte of a one-character argument.
///
/// # Errors
/// [`Error::Value`] naming the argument.
pub fn one_byte(argument: &str, text: &str) -> Result<u8> {
    match text.as_bytes() {
        [b'\n' | b'\r'] => Err(Error::Value(format!("`{argument}` must not be a line end"))),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(Error::Value(format!(
            "`{argument}` must be one ASCII character, found `{}` ({} bytes)",
            text.escape_debug(),
            text.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_tell_the_format_through_a_compression() {
        for (name, format) in [
            ("a.csv", Some(Format::Csv)),
            ("a.tar.CSV.gz", Some(Format::Csv)),
            ("a.tsv.zst", Some(Format::Csv)),
            ("a.parquet", Some(Format::Parquet)),
            ("a.gz", None),
            ("csv", None),
            (".csv", None),
        ] {
            assert_eq!(Format::of_extension(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn text_that_begins_like_bzip2_is_text() {
        assert_eq!(Compression::of_magic(b"BZh9,name\n"), None);
        assert_eq!(Compression::of_magic(b"BZh91AY&SY.."), Some(Compression::Bzip2));
        assert_eq!(Compression::of_magic(b"\x1f\x8b\x08"), Some(Compression::Gzip));
        assert_eq!(Compression::of_magic(b""), None);
    }

    #[test]
    fn a_wide_delimiter_is_refused_with_its_size() {
        let e = CsvOptions { delimiter: "||".into(), ..CsvOptions::default() }.dialect().expect_err("two bytes");
        assert_eq!(e.to_string(), "`delimiter` must be one ASCII character, found `||` (2 bytes)");
        assert!(CsvOptions { delimiter: "§".into(), ..CsvOptions::default() }.dialect().is_err());
        assert!(CsvOptions { delimiter: "\"".into(), ..CsvOptions::default() }.dialect().is_err());
    }
}
