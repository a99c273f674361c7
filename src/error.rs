//! What can go wrong, in the words that a user reads.
//!
//! A message says what was expected, what was found and what to do, in lower case, with the user's
//! own names and values in backticks. The variants are the classes that Python sees (`stream.exceptions`);
//! [`Error::Foreign`] carries an exception of the caller's own through the core untouched.

use std::any::Any;
use std::fmt;
use std::io;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where a value or record that could not be read stands, and what it was.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The file, as the user named it.
    pub path: Option<String>,
    /// The line of the record, counted from 1.
    pub line: Option<u64>,
    /// The offset of the record in the (decompressed) input, in bytes.
    pub offset: Option<u64>,
    /// The column's name.
    pub column: Option<String>,
    /// The text or value that did not fit.
    pub value: Option<String>,
}

/// Every failure of the core. One variant a class of the public exception tree.
#[derive(Debug)]
pub enum Error {
    /// A schema that does not fit: wrong type, clash of names, drift.
    Schema(String),
    /// A column that is not there; the message lists close names.
    ColumnNotFound(String),
    /// A value or record that cannot be read or cast. The text is complete without the place.
    Parse {
        /// The place, for the exception's attributes.
        place: Box<Place>,
        /// The whole message.
        message: String,
    },
    /// A file that is not what it says it is: truncated, corrupt, of another format.
    Format(String),
    /// The run needs more memory than its limit.
    MemoryLimit(String),
    /// Spilling failed: disk full, quota reached.
    Spill(String),
    /// The operating system's own error, with the path that it is about.
    Io {
        /// The file, if one is known.
        path: Option<String>,
        /// The system's error, `errno` included.
        source: io::Error,
    },
    /// An argument of the right type whose value makes no sense (`ValueError`).
    Value(String),
    /// An argument of the wrong type (`TypeError`).
    Type(String),
    /// Decided in the API, but not built yet.
    NotImplemented(String),
    /// Anything else that a run refuses: a one-shot source run twice, overflow, re-entry.
    Stream(String),
    /// The run was cancelled; never reaches a user.
    Cancelled,
    /// Some rows take far more bytes than was expected of so many, so fewer are taken at a time; never reaches a user.
    Wide,
    /// An exception of the user's own code, carried unchanged. Made and read on the consumer's thread.
    Foreign(Box<dyn Any + Send + Sync>),
}

impl Error {
    /// A failed conversion of `value` in `column`, at no particular line.
    pub fn value_in(column: &str, value: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Parse {
            place: Box::new(Place { column: Some(column.to_owned()), value: Some(value.into()), ..Place::default() }),
            message: message.into(),
        }
    }

    /// A missing column, with the closest names there are.
    pub fn no_column<'a>(name: &str, columns: impl IntoIterator<Item = &'a str>) -> Self {
        let columns: Vec<&str> = columns.into_iter().collect();
        let close = closest(name, &columns).map(|c| format!(", did you mean `{c}`?")).unwrap_or_default();
        Error::ColumnNotFound(format!("column `{name}` not found{close} (columns: {})", listed(&columns)))
    }

    /// The same error with `what: ` in front of its message, for the stage, file or column that it met.
    #[must_use]
    pub fn context(self, what: impl fmt::Display) -> Self {
        match self {
            Error::Schema(m) => Error::Schema(format!("{what}: {m}")),
            Error::ColumnNotFound(m) => Error::ColumnNotFound(format!("{what}: {m}")),
            Error::Parse { place, message } => Error::Parse { place, message: format!("{what}: {message}") },
            Error::Format(m) => Error::Format(format!("{what}: {m}")),
            Error::MemoryLimit(m) => Error::MemoryLimit(format!("{what}: {m}")),
            Error::Spill(m) => Error::Spill(format!("{what}: {m}")),
            Error::Value(m) => Error::Value(format!("{what}: {m}")),
            Error::Type(m) => Error::Type(format!("{what}: {m}")),
            Error::Stream(m) => Error::Stream(format!("{what}: {m}")),
            other => other,
        }
    }

    /// An error of the system about `path`; one of ours that went through `std::io` comes out as it was.
    pub fn io(path: impl Into<String>, source: io::Error) -> Self {
        source.downcast::<Error>().unwrap_or_else(|source| Error::Io { path: Some(path.into()), source })
    }
}

/// Names in backticks, at most twenty of them.
pub fn listed(names: &[&str]) -> String {
    let out = names.iter().take(20).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 20 { format!("{out} and {} more", names.len() - 20) } else { out }
}

/// The name nearest to `name`, if one is near enough to be a slip of the keyboard.
pub fn closest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    names
        .iter()
        .map(|c| (edits(&lower, &c.to_lowercase()), *c))
        .min_by_key(|(d, _)| *d)
        .filter(|(d, c)| *d <= 1.max(name.chars().count().max(c.chars().count()) / 3))
        .map(|(_, c)| c)
}

/// Edits between two words, a swap of neighbours counted as one (optimal string alignment, after Damerau 1964).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Schema(m)
            | Error::ColumnNotFound(m)
            | Error::Format(m)
            | Error::MemoryLimit(m)
            | Error::Spill(m)
            | Error::Value(m)
            | Error::Type(m)
            | Error::NotImplemented(m)
            | Error::Stream(m)
            | Error::Parse { message: m, .. } => f.write_str(m),
            Error::Io { path: Some(p), source } => write!(f, "{p}: {source}"),
            Error::Io { path: None, source } => write!(f, "{source}"),
            Error::Cancelled => f.write_str("the run was cancelled"),
            Error::Wide => f.write_str("rows are wider than expected"),
            Error::Foreign(_) => f.write_str("an exception of the caller's own"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    /// An error of ours that went through `std::io` comes out as it was.
    fn from(source: io::Error) -> Self {
        source.downcast::<Error>().unwrap_or_else(|source| Error::Io { path: None, source })
    }
}

impl From<ArrowError> for Error {
    /// Kernels are called with checked types, so what is left is arithmetic and damaged data.
    fn from(e: ArrowError) -> Self {
        match e {
            ArrowError::IoError(_, source) => Error::from(source),
            ArrowError::ExternalError(e) => match e.downcast::<Error>() {
                Ok(own) => *own,
                Err(e) => Error::Format(e.to_string()),
            },
            ArrowError::ParquetError(m) => Error::Format(m),
            ArrowError::NotYetImplemented(m) => Error::NotImplemented(m),
            ArrowError::DivideByZero => Error::Stream("division by zero".into()),
            ArrowError::ArithmeticOverflow(m) | ArrowError::ComputeError(m) => Error::Stream(m),
            other => Error::Stream(other.to_string()),
        }
    }
}

impl From<ParquetError> for Error {
    fn from(e: ParquetError) -> Self {
        match e {
            ParquetError::External(e) => match e.downcast::<Error>() {
                Ok(own) => *own,
                Err(e) => match e.downcast::<io::Error>() {
                    Ok(source) => Error::from(*source),
                    Err(e) => Error::Format(e.to_string()),
                },
            },
            ParquetError::General(m) | ParquetError::EOF(m) | ParquetError::ArrowError(m) => Error::Format(m),
            ParquetError::NYI(m) => Error::Format(format!("not supported: {m}")),
            other => Error::Format(other.to_string()),
        }
    }
}

/// Puts the place of a failure in front of its message.
pub trait Context<T> {
    /// `what` is only made when there is an error.
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|e| e.into().context(what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_column_names_the_nearest() {
        let e = Error::no_column("pirce", ["id", "price"]);
        assert_eq!(e.to_string(), "column `pirce` not found, did you mean `price`? (columns: `id`, `price`)");
    }

    #[test]
    fn a_far_name_is_not_suggested() {
        assert_eq!(closest("zebra", &["id", "price"]), None);
        assert_eq!(closest("ID", &["id", "price"]), Some("id"));
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..25).map(|i| format!("c{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(listed(&names).ends_with("`c19` and 5 more"));
    }
}
