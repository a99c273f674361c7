//! Keyword arguments, as dictionaries from Python, → options of the core. A name that nobody knows is refused.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::dtype::{dtype_from_py, schema_from_py};
use crate::error::Error;
use crate::fit::{Extra, Missing};
use crate::format::{Bearing, CsvOptions, Format, MaxErrors, NullValues, OnError};
use crate::options::Options;

/// Arguments that are taken one by one, until none is left.
pub struct Arguments<'py>(Bound<'py, PyDict>);

impl<'py> Arguments<'py> {
    /// A copy of `arguments`.
    pub fn new(arguments: &Bound<'py, PyDict>) -> PyResult<Self> {
        Ok(Self(arguments.copy()?))
    }

    /// The argument `name`, if it was given.
    pub fn take(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = self.0.get_item(name)?;
        if value.is_some() {
            self.0.del_item(name)?;
        }
        Ok(value)
    }

    /// The argument as a `T`, if it was given and is not `None`.
    pub fn get<T>(&self, name: &str) -> PyResult<Option<T>>
    where
        T: for<'a> FromPyObject<'a, 'py>,
    {
        match self.take(name)?.filter(|v| !v.is_none()) {
            Some(value) => match value.extract::<T>() {
                Ok(value) => Ok(Some(value)),
                Err(e) => {
                    let e: PyErr = e.into();
                    Err(Error::Type(format!("`{name}`: {}", e.value(value.py()))).into())
                }
            },
            None => Ok(None),
        }
    }

    /// The names of those that are left.
    pub fn names(&self) -> PyResult<Vec<String>> {
        self.0.keys().iter().map(|name| name.extract()).collect()
    }

    /// Nothing may be left.
    pub fn end(self) -> PyResult<()> {
        match self.0.keys().iter().next() {
            Some(name) => Err(Error::Type(format!("unexpected argument `{name}`")).into()),
            None => Ok(()),
        }
    }
}

/// The run options among `arguments`, over those in `options`.
pub fn run_options(arguments: &Arguments<'_>, mut options: Options) -> PyResult<Options> {
    if let Some(threads) = arguments.get("threads")? {
        options.threads = threads;
    }
    if let Some(rows) = arguments.get("batch_size")? {
        options.batch_size = rows;
    }
    if let Some(bytes) = arguments.get("batch_bytes")? {
        options.batch_bytes = bytes;
    }
    if let Some(prefetch) = arguments.take("prefetch")? {
        options.prefetch = prefetch.extract()?;
    }
    if let Some(limit) = arguments.take("memory_limit")? {
        options.memory_limit = limit.extract()?;
    }
    if let Some(folder) = arguments.take("temp_dir")? {
        options.temp_dir = folder.extract()?;
    }
    if let Some(bytes) = arguments.take("max_temp_bytes")? {
        options.max_temp_bytes = bytes.extract()?;
    }
    Ok(options.check()?)
}

/// What makes one source of many files, among `arguments`.
pub struct FileOptions {
    /// The column that names the file.
    pub file_column: Option<String>,
    /// What happens where a file lacks a column.
    pub missing: Missing,
    /// What happens where a file has one more.
    pub extra: Extra,
    /// The column that counts rows.
    pub row_index: Option<String>,
    /// The columns wanted, in this order.
    pub columns: Option<Vec<String>>,
    /// Types of single columns.
    pub dtypes: Vec<(String, DataType)>,
}

impl FileOptions {
    /// Takes them out of `arguments`.
    pub fn take(arguments: &Arguments<'_>) -> PyResult<Self> {
        Ok(Self {
            file_column: arguments.get("file_column")?,
            missing: arguments.get::<String>("missing_columns")?.map_or(Ok(Missing::Raise), |m| Missing::parse(&m))?,
            extra: arguments.get::<String>("extra_columns")?.map_or(Ok(Extra::Raise), |e| Extra::parse(&e))?,
            row_index: arguments.get("row_index")?,
            columns: arguments.get("columns")?,
            dtypes: match arguments.get::<Bound<'_, PyDict>>("dtypes")? {
                Some(dtypes) => dtypes
                    .iter()
                    .map(|(name, dtype)| Ok((name.extract()?, dtype_from_py(&dtype)?)))
                    .collect::<PyResult<_>>()?,
                None => Vec::new(),
            },
        })
    }
}

/// The format by name, if it was given.
pub fn format(name: Option<&str>) -> PyResult<Option<Format>> {
    Ok(name.map(Format::named).transpose()?)
}

/// How text is read, out of `arguments`; none of these may be given for another format.
pub fn csv_options(arguments: &Arguments<'_>) -> PyResult<CsvOptions> {
    let mut o = CsvOptions::default();
    if let Some(schema) = arguments.take("schema")?.filter(|s| !s.is_none()) {
        let schema: SchemaRef = schema_from_py(&schema)?;
        o.schema = Some(schema);
    }
    if let Some(records) = arguments.take("infer_schema_length")? {
        o.infer_schema_length = records.extract()?;
    }
    if let Some(header) = arguments.take("has_header")? {
        o.has_header = match header.extract::<bool>() {
            Ok(header) => Some(header),
            Err(_) if header.extract::<String>().is_ok_and(|h| h == "auto") => None,
            Err(_) => {
                return Err(Error::Type(format!("`has_header`: expected a bool or \"auto\", found {header}")).into());
            }
        };
    }
    o.new_columns = arguments.get("new_columns")?;
    if let Some(delimiter) = arguments.get("delimiter")? {
        o.delimiter = delimiter;
    }
    if let Some(quote) = arguments.take("quote_char")? {
        o.quote_char = quote.extract()?;
    }
    o.escape_char = arguments.get("escape_char")?;
    o.comment_prefix = arguments.get("comment_prefix")?;
    if let Some(rows) = arguments.get("skip_rows")? {
        o.skip_rows = rows;
    }
    if let Some(skip) = arguments.get("skip_blank_lines")? {
        o.skip_blank_lines = skip;
    }
    if let Some(nulls) = arguments.take("null_values")?.filter(|n| !n.is_none()) {
        o.null_values = null_values(&nulls)?;
    }
    if let Some(encoding) = arguments.get("encoding")? {
        o.encoding = encoding;
    }
    if let Some(trim) = arguments.get("trim")? {
        o.trim = trim;
    }
    if let Some(dates) = arguments.get("try_parse_dates")? {
        o.try_parse_dates = dates;
    }
    o.datetime_formats = arguments.get("datetime_formats")?;
    if let Some(decimal) = arguments.get("decimal")? {
        o.decimal = decimal;
    }
    o.thousands = arguments.get("thousands")?;
    o.true_values = arguments.get("true_values")?;
    o.false_values = arguments.get("false_values")?;
    if let Some(on_error) = arguments.get::<String>("on_error")? {
        o.on_error = OnError::named(&on_error)?;
    }
    let max_errors = arguments.take("max_errors")?.filter(|m| !m.is_none()).map(|m| max_errors(&m)).transpose()?;
    o.bearing = Arc::new(Bearing { rejects: arguments.get("rejects")?, max_errors });
    Ok(o)
}

/// A count, or a share below 1.
fn max_errors(value: &Bound<'_, PyAny>) -> PyResult<MaxErrors> {
    if let Ok(count) = value.extract::<u64>() {
        return Ok(MaxErrors::Count(count));
    }
    match value.extract::<f64>() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(MaxErrors::Share(share)),
        _ => {
            Err(Error::Value(format!("`max_errors`: expected a count (int) or a share (float below 1), found {value}"))
                .into())
        }
    }
}

/// One text, a list of them, or these by column.
fn null_values(value: &Bound<'_, PyAny>) -> PyResult<NullValues> {
    let list = |value: &Bound<'_, PyAny>| -> PyResult<Vec<String>> {
        match value.extract::<String>() {
            Ok(one) => Ok(vec![one]),
            Err(_) => value.extract(),
        }
    };
    match value.cast::<PyDict>() {
        Ok(by_column) => Ok(NullValues::ByColumn(
            by_column.iter().map(|(name, texts)| Ok((name.extract()?, list(&texts)?))).collect::<PyResult<_>>()?,
        )),
        Err(_) => Ok(NullValues::Everywhere(list(value)?)),
    }
}
