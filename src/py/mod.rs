//! The Python classes: thin, frozen, named after what they wrap. The only module that names Python.
//!
//! `python/stream/` dresses them: signatures, docstrings, the conversions that Python does best.

mod arrow;
mod batch;
mod build;
mod column;
mod error;
mod values;

use pyo3::prelude::*;

/// `stream._internal`: one line a class.
#[pymodule(gil_used = false)]
fn _internal(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<batch::RawBatch>()?;
    module.add_class::<column::RawColumn>()?;
    module.add_class::<column::ArrayView>()?;
    module.add_function(wrap_pyfunction!(batch::memory, module)?)?;
    Ok(())
}
