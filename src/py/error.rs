//! [`Error`] → the exceptions of `stream.exceptions`.

use pyo3::exceptions::{PyNotImplementedError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::Error;

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        Python::attach(|py| raise(py, error).unwrap_or_else(|failed| failed))
    }
}

/// Carries an exception of the caller's own through the core.
pub fn foreign(error: PyErr) -> Error {
    Error::Foreign(Box::new(error))
}

fn raise(py: Python<'_>, error: Error) -> PyResult<PyErr> {
    let class = |name: &str| py.import("stream.exceptions")?.getattr(name);
    let message = error.to_string();
    let made = |name: &str| Ok::<_, PyErr>(PyErr::from_value(class(name)?.call1((&message,))?));
    match error {
        Error::Schema(_) => made("SchemaError"),
        Error::ColumnNotFound(_) => made("ColumnNotFoundError"),
        Error::Format(_) => made("FormatError"),
        Error::MemoryLimit(_) => made("MemoryLimitError"),
        Error::Spill(_) => made("SpillError"),
        Error::Stream(_) | Error::Cancelled | Error::Wide => made("StreamError"),
        Error::Value(_) => Ok(PyValueError::new_err(message)),
        Error::Type(_) => Ok(PyTypeError::new_err(message)),
        Error::NotImplemented(_) => Ok(PyNotImplementedError::new_err(message)),
        Error::Parse { place, .. } => {
            let value = class("ParseError")?.call1((&message,))?;
            value.setattr("path", place.path)?;
            value.setattr("line", place.line)?;
            value.setattr("offset", place.offset)?;
            value.setattr("column", place.column)?;
            value.setattr("value", place.value)?;
            Ok(PyErr::from_value(value))
        }
        Error::Io { path, source } => match source.raw_os_error() {
            // OSError(errno, text, path) picks FileNotFoundError, PermissionError … by itself
            Some(errno) => {
                let text = py.import("os")?.getattr("strerror")?.call1((errno,))?;
                let path = path.map(|p| PyString::new(py, &p));
                Ok(PyErr::from_value(py.get_type::<PyOSError>().call1((errno, text, path))?))
            }
            None => Ok(PyOSError::new_err(message)),
        },
        Error::Foreign(any) => match any.downcast::<PyErr>() {
            Ok(own) => Ok(*own),
            Err(_) => made("StreamError"),
        },
    }
}
