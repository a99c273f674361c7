//! Python callables as stages of the core. Called on the consumer's thread; an exception passes through unchanged.

use std::sync::Arc;

use arrow::array::RecordBatch;
use pyo3::prelude::*;

use super::batch::RawBatch;
use super::column::RawColumn;
use super::error::foreign;
use crate::call::{Call, Kind, Returned};
use crate::error::{Error, Result};
use crate::memory::Exported;
use crate::plan::NewName;

/// Whether the caller pressed Ctrl-C; asked on the consumer's thread.
pub fn interrupt() -> Result<()> {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general enough in its lifetime")]
    Python::try_attach(|py| py.check_signals()).unwrap_or(Ok(())).map_err(foreign)
}

/// A function on batches.
pub struct PyCall {
    function: Py<PyAny>,
    kind: Kind,
    name: String,
}

impl PyCall {
    /// `function`, which gets a `RawBatch` and returns what `kind` asks for.
    pub fn shared(function: Py<PyAny>, kind: Kind, name: String) -> Arc<dyn Call> {
        Arc::new(Self { function, kind, name })
    }
}

impl Call for PyCall {
    fn call(&self, batch: RecordBatch, exported: Exported) -> Result<Returned> {
        Python::attach(|py| {
            let batch = RawBatch::new(batch, Some(exported));
            let out = self.function.bind(py).call1((batch,)).map_err(foreign)?;
            if out.is_none() || self.kind == Kind::Look {
                return Ok(Returned::Nothing);
            }
            match self.kind {
                Kind::Mask => {
                    let mask = out.cast::<RawColumn>().map_err(|e| foreign(e.into()))?;
                    Ok(Returned::Mask(mask.get().array().clone()))
                }
                Kind::Map | Kind::Look => {
                    let batch = out.cast::<RawBatch>().map_err(|e| foreign(e.into()))?;
                    Ok(Returned::Batch(batch.get().batch().clone()))
                }
            }
        })
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// A function on names.
pub fn new_name(function: Py<PyAny>) -> NewName {
    Arc::new(move |name| {
        Python::attach(|py| {
            let new = function.bind(py).call1((name,)).map_err(foreign)?;
            new.extract::<String>()
                .map_err(|_| Error::Type(format!("rename: the function must return a str for `{name}`, found {new}")))
        })
    })
}
