//! The Python classes: thin, frozen, named after what they wrap. The only module that names Python.
//!
//! `python/stream/` dresses them: signatures, docstrings, the conversions that Python does best.

mod error;

use pyo3::prelude::*;

/// `stream._internal`: one line a class.
#[pymodule(gil_used = false)]
fn _internal(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}
