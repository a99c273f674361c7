//! What `read(…)` said → one source.

use std::ffi::OsString;
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};

use super::csv::CsvSource;
use super::files::{FileEntry, find};
use super::many::{FileInput, Many, ManyOptions};
use super::parquet::ParquetSource;
use super::read_at::Input;
use crate::error::{Error, Result};
use crate::fit::{Extra, Missing};
use crate::format::{CsvOptions, Format};
use crate::piece::Source;

/// What is read.
#[derive(Debug, Clone)]
pub enum What {
    /// Paths, globs, folders, `-`.
    Paths(Vec<OsString>),
    /// Something that is open already.
    Open(Input),
}

/// A reader's options, apart from those of the run.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What is read.
    pub what: What,
    /// Its format; `None`: by extension, else by the first bytes.
    pub format: Option<Format>,
    /// How text is read.
    pub csv: CsvOptions,
    /// The column that names the file.
    pub file_column: Option<String>,
    /// What happens where a file lacks a column.
    pub missing: Missing,
    /// What happens where a file has one more.
    pub extra: Extra,
    /// The columns that are wanted, by name or by a path into a nested one; empty for all.
    pub columns: Vec<String>,
}

/// The first bytes of a file tell its format by these.
const HEAD: usize = 16;

impl Reading {
    /// What errors and `repr` call it.
    pub fn label(&self) -> String {
        match &self.what {
            What::Paths(paths) => match paths.as_slice() {
                [one] => format!("read({:?})", one.to_string_lossy()),
                [first, ..] => format!("read({:?} and {} more)", first.to_string_lossy(), paths.len() - 1),
                [] => "read()".into(),
            },
            What::Open(input) => format!("read({})", input.name()),
        }
    }

    /// Whether nothing may be touched before a run: it can be read once only.
    pub fn is_live(&self) -> bool {
        match &self.what {
            What::Paths(paths) => paths.iter().any(|p| p == "-" || is_pipe(p)),
            What::Open(input) => matches!(input, Input::Live(_)),
        }
    }

    /// Whether the (first) file is a Parquet file.
    ///
    /// # Errors
    /// Files that are not there.
    pub fn is_parquet(&self) -> Result<bool> {
        let format = match (&self.format, &self.what) {
            (Some(format), _) => *format,
            (None, What::Open(input)) => format_of(input)?,
            (None, What::Paths(paths)) => {
                let listing = find(paths)?;
                let first = listing.files.first().ok_or_else(|| Error::Value("no files to read".into()))?;
                self.format_for(first, &first.open()?)?
            }
        };
        Ok(format == Format::Parquet)
    }

    /// The source.
    ///
    /// # Errors
    /// Files that are not there or not what they say; options that do not fit the format.
    pub fn open(&self) -> Result<Arc<dyn Source>> {
        match &self.what {
            What::Open(input) => {
                let format = self.format.map_or_else(|| format_of(input), Ok)?;
                let source = self.one(input.clone(), format, None)?;
                if self.file_column.is_none() {
                    return Ok(source);
                }
                let file =
                    FileInput { name: input.name().to_owned(), one_shot: source.one_shot(), ..FileInput::default() };
                let open = Arc::new(move |_: usize, _: Option<&SchemaRef>| Ok(source.clone()));
                Ok(Many::new(vec![file], open, self.many(Vec::new()))?)
            }
            What::Paths(paths) => {
                let listing = find(paths)?;
                let constants: Vec<(Field, _)> = listing.hive.iter().cloned().zip(listing.constants()?).collect();
                let plain = constants.is_empty() && self.file_column.is_none();
                if let ([file], true) = (listing.files.as_slice(), plain) {
                    let input = file.open()?;
                    let format = self.format_for(file, &input)?;
                    return self.one(input, format, None);
                }
                let files = listing.files.iter().map(Self::known).collect();
                let reading = self.clone();
                let entries = listing.files;
                let open = Arc::new(move |i: usize, hint: Option<&SchemaRef>| {
                    let file = entries.get(i).ok_or_else(|| Error::Stream(format!("there is no file {i}")))?;
                    let input = file.open()?;
                    let format = reading.format_for(file, &input)?;
                    reading.one(input, format, hint)
                });
                Ok(Many::new(files, open, self.many(constants))?)
            }
        }
    }

    fn many(&self, constants: Vec<(Field, arrow::array::ArrayRef)>) -> ManyOptions {
        ManyOptions { constants, file_column: self.file_column.clone(), missing: self.missing, extra: self.extra }
    }

    fn known(file: &FileEntry) -> FileInput {
        let one_shot = file.is_stdin() || is_pipe(file.path.as_os_str());
        let path = (!one_shot).then(|| file.path.clone());
        FileInput { name: file.name.clone(), path, one_shot, on_consumer: false }
    }

    fn format_for(&self, file: &FileEntry, input: &Input) -> Result<Format> {
        match self.format.or_else(|| Format::of_extension(&file.path)) {
            Some(format) => Ok(format),
            None => format_of(input),
        }
    }

    /// The source of one input; `hint`: the columns that the first file announced.
    fn one(&self, input: Input, format: Format, hint: Option<&SchemaRef>) -> Result<Arc<dyn Source>> {
        match (format, input) {
            (Format::Parquet, Input::Seekable(at)) => Ok(ParquetSource::open_for(at, &self.columns)?),
            (Format::Parquet, Input::Live(live)) => Err(Error::Stream(format!(
                "{}: a Parquet file is read from its end, which a pipe has not; write it to a file first",
                live.name()
            ))),
            (Format::Csv, input) => {
                let mut options = self.csv.clone();
                if let Some(hint) = hint {
                    // what the first file's text was taken for holds for the others
                    let told: Vec<String> = options.dtypes.iter().map(|(name, _)| name.clone()).collect();
                    let more = hint.fields().iter().filter(|f| !told.contains(f.name()));
                    options.hint = more.map(|f| (f.name().clone(), f.data_type().clone())).collect();
                }
                Ok(CsvSource::open(input, options)?)
            }
        }
    }
}

#[cfg(unix)]
fn is_pipe(path: &std::ffi::OsStr) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo() || m.file_type().is_char_device())
}

/// The format that an input's first bytes tell; text has no mark, and a live input is text.
fn format_of(input: &Input) -> Result<Format> {
    let Input::Seekable(at) = input else { return Ok(Format::Csv) };
    let mut head = [0; HEAD];
    let n = at.read_at(&mut head, 0)?;
    if let Some(format) = Format::of_magic(&head[..n]) {
        return Ok(format);
    }
    let is_utf16 = matches!(head[..n], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
    if head[..n].contains(&0) && !is_utf16 && crate::format::Compression::of_magic(&head[..n]).is_none() {
        return Err(Error::Format(format!(
            "{}: expected CSV or Parquet, found neither; pass format=\"csv\" or format=\"parquet\"",
            at.name()
        )));
    }
    Ok(Format::Csv)
}
