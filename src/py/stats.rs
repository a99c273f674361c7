//! The counters of a run, as a dictionary that `stream.Report` dresses.

use std::sync::atomic::Ordering::Relaxed;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::context::{Context, Counters};
use crate::memory::MemoryPool;

/// All figures of a run: totals, then a row a stage.
pub fn stats<'py>(py: Python<'py>, context: &Context) -> PyResult<Bound<'py, PyDict>> {
    let stages = context.stats.stages();
    let total = |figure: fn(&Counters) -> u64| stages.iter().map(|s| figure(s)).sum::<u64>();
    let out = PyDict::new(py);
    out.set_item("rows_in", total(|s| s.rows_in.load(Relaxed)))?;
    out.set_item("rows_out", context.stats.rows_out.load(Relaxed))?;
    out.set_item("bytes_in", total(|s| s.bytes_in.load(Relaxed)))?;
    out.set_item("bytes_out", context.stats.bytes_out.load(Relaxed))?;
    out.set_item("seconds", context.stats.seconds())?;
    memory(&out, &context.memory)?;
    out.set_item("spilled_bytes", context.stats.spilled_bytes.load(Relaxed))?;
    out.set_item("rejects", total(|s| s.rejects.load(Relaxed)))?;
    out.set_item("files", total(|s| s.files.load(Relaxed)))?;
    let rows = PyList::empty(py);
    for stage in &stages {
        rows.append(row(py, stage)?)?;
    }
    out.set_item("stages", rows)?;
    Ok(out)
}

fn memory(out: &Bound<'_, PyDict>, pool: &MemoryPool) -> PyResult<()> {
    out.set_item("peak_bytes", pool.peak())?;
    out.set_item("held_bytes", pool.held())?;
    out.set_item("exported_bytes", pool.exported())
}

fn row<'py>(py: Python<'py>, stage: &Counters) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("name", &stage.name)?;
    for (name, figure) in [
        ("rows_in", &stage.rows_in),
        ("rows_out", &stage.rows_out),
        ("bytes_in", &stage.bytes_in),
        ("bytes_out", &stage.bytes_out),
        ("rejects", &stage.rejects),
        ("files", &stage.files),
    ] {
        out.set_item(name, figure.load(Relaxed))?;
    }
    for (name, figure) in stage.extra.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
        out.set_item(name.replace(' ', "_"), figure)?;
    }
    Ok(out)
}
