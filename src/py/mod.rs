//! The Python classes: thin, frozen, named after what they wrap. The only module that names Python.
//!
//! `python/stream/` dresses them: signatures, docstrings, the conversions that Python does best.

mod arrow;
mod batch;
mod build;
mod callback;
mod column;
mod dtype;
mod error;
mod expr;
mod input;
mod options;
mod pickle;
mod sink;
mod stats;
mod stream;
mod traced;
mod values;

use pyo3::prelude::*;

/// `stream._internal`: one line a class.
#[pymodule(gil_used = false)]
fn _internal(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<batch::RawBatch>()?;
    module.add_class::<column::RawColumn>()?;
    module.add_class::<column::ArrayView>()?;
    module.add_class::<stream::PyPlan>()?;
    module.add_class::<stream::PyRun>()?;
    module.add_class::<stream::Pulled>()?;
    module.add_class::<dtype::PyDType>()?;
    module.add_class::<expr::PyExpr>()?;
    module.add_function(wrap_pyfunction!(dtype::schema_pairs, module)?)?;
    module.add_function(wrap_pyfunction!(dtype::schema_capsule, module)?)?;
    module.add_function(wrap_pyfunction!(expr::predicate, module)?)?;
    module.add_function(wrap_pyfunction!(batch::memory, module)?)?;
    Ok(())
}
