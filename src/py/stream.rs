//! `Plan` and `Run`: what `stream.Stream` and `stream.Batches` dress.
//!
//! A run is one thread's at a time: `next` lets go of the interpreter, then takes the run's lock. The same thread coming
//! back from inside its own function is refused; a child made by `fork` is told so, and neither joins nor locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};

use super::arrow::{announced_batch, export_schema, export_stream, import_batches};
use super::batch::RawBatch;
use super::callback::{PyCall, interrupt, new_name};
use super::dtype::{PyDType, schema_from_py};
use super::expr::PyExpr;
use super::input::input;
use super::options::{Arguments, FileOptions, csv_options, run_options};
use super::stats::stats;
use crate::call::Kind;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::format::{Format, OnError};
use crate::options::Options;
use crate::plan::{Plan, Run, Verb};
use crate::source::arrow::{ArrowSource, Batches, Producer};
use crate::source::parquet::roots;
use crate::source::reading::{Reading, What};

/// A description of a run.
#[pyclass(name = "Plan", frozen, module = "stream._internal")]
pub struct PyPlan(pub Plan);

/// A schema, as Python's wrappers take it: names and dtypes, in order.
pub fn schema_to_py<'py>(py: Python<'py>, schema: &SchemaRef) -> PyResult<Bound<'py, PyList>> {
    let fields = schema.fields().iter().map(|f| (f.name(), PyDType(f.data_type().clone())));
    PyList::new(py, fields.collect::<Vec<_>>())
}

fn exprs(list: &[PyRef<'_, PyExpr>]) -> Vec<Expr> {
    list.iter().map(|e| e.0.clone()).collect()
}

impl PyPlan {
    fn then(&self, py: Python<'_>, verb: Verb) -> PyResult<Self> {
        Ok(Self(py.detach(|| self.0.then(verb))?))
    }

    /// The schema; a run's, closed after its first batch, where only a run tells.
    fn known_schema(&self, py: Python<'_>) -> PyResult<SchemaRef> {
        let plan = &self.0;
        Ok(py.detach(|| match plan.schema()? {
            Some(schema) => Ok(schema),
            None => Run::new(plan.clone(), interrupt).begin(),
        })?)
    }
}

#[pymethods]
impl PyPlan {
    /// A reader: `sources` is a list of paths or a file object.
    #[staticmethod]
    fn read(sources: &Bound<'_, PyAny>, r#format: Option<&str>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = sources.py();
        let arguments = Arguments::new(options)?;
        let run = run_options(&arguments, Options::default())?;
        let file = FileOptions::take(&arguments)?;
        let what = match sources.cast::<PyList>() {
            Ok(paths) => What::Paths(paths.iter().map(|p| p.extract()).collect::<PyResult<_>>()?),
            Err(_) => What::Open(input(sources)?),
        };
        let format = super::options::format(r#format)?;
        let csv_given = arguments.names()?;
        let mut csv = csv_options(&arguments)?;
        arguments.end()?;
        csv.dtypes.clone_from(&file.dtypes);
        let FileOptions { file_column, missing, extra, row_index, columns, dtypes } = file;
        if row_index.is_some() && csv.on_error != OnError::Raise {
            let what = "read_csv: `row_index` with `on_error` other than \"raise\" is not built yet";
            return Err(Error::NotImplemented(what.to_owned()).into());
        }
        let wanted = columns.clone().unwrap_or_default();
        let reading = Reading { what, format, csv, file_column, missing, extra, columns: wanted };
        let (label, live) = (reading.label(), reading.is_live());
        let parquet = !live && reading.is_parquet()?;
        if let (true, Some(name)) = (parquet, csv_given.first()) {
            return Err(Error::Type(format!("`{name}` is an option of CSV; this is a Parquet file")).into());
        }
        let plan = Plan::read(label, run, Box::new(move || reading.open()));
        py.detach(|| {
            let mut plan = plan;
            if !live {
                plan.schema()?;
            }
            if parquet && !dtypes.is_empty() {
                plan = plan.then(Verb::Cast(dtypes))?;
            }
            if let Some(columns) = columns {
                let columns = match plan.schema()? {
                    Some(schema) if parquet => roots(&columns, &schema),
                    _ => columns,
                };
                plan = plan.then(Verb::Select(columns.into_iter().map(Expr::col).collect()))?;
            }
            if let Some(name) = row_index {
                plan = plan.then(Verb::RowIndex(name))?;
            }
            Ok::<_, Error>(Self(plan))
        })
        .map_err(PyErr::from)
    }

    /// Any Arrow producer.
    #[staticmethod]
    fn from_arrow(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let producer: Arc<dyn Producer> = Arc::new(PyProducer::new(object)?);
        let label = producer.name();
        let open = move || {
            let source: Arc<dyn crate::piece::Source> = ArrowSource::new(producer.clone());
            Ok(source)
        };
        Ok(Self(Plan::read(label, Options::default(), Box::new(open))))
    }

    /// One after the other.
    #[staticmethod]
    fn concat(py: Python<'_>, plans: Vec<PyRef<'_, PyPlan>>) -> PyResult<Self> {
        let plans: Vec<Plan> = plans.iter().map(|p| p.0.clone()).collect();
        Ok(Self(py.detach(|| Plan::concat(plans))?))
    }

    fn filter(&self, py: Python<'_>, predicates: Vec<PyRef<'_, PyExpr>>) -> PyResult<Self> {
        self.then(py, Verb::Filter(exprs(&predicates)))
    }

    fn select(&self, py: Python<'_>, columns: Vec<PyRef<'_, PyExpr>>) -> PyResult<Self> {
        self.then(py, Verb::Select(exprs(&columns)))
    }

    fn with_columns(&self, py: Python<'_>, columns: Vec<PyRef<'_, PyExpr>>) -> PyResult<Self> {
        self.then(py, Verb::WithColumns(exprs(&columns)))
    }

    fn rename(&self, py: Python<'_>, names: Vec<(String, String)>) -> PyResult<Self> {
        self.then(py, Verb::Rename(names))
    }

    fn rename_with(&self, py: Python<'_>, function: Py<PyAny>) -> PyResult<Self> {
        self.then(py, Verb::RenameWith(new_name(function)))
    }

    fn drop(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Self> {
        self.then(py, Verb::Drop(names))
    }

    fn cast(&self, py: Python<'_>, dtypes: Vec<(String, PyRef<'_, PyDType>)>) -> PyResult<Self> {
        let dtypes = dtypes.iter().map(|(name, dtype)| (name.clone(), dtype.0.clone())).collect();
        self.then(py, Verb::Cast(dtypes))
    }

    fn fill_null(&self, py: Python<'_>, value: PyRef<'_, PyExpr>) -> PyResult<Self> {
        self.then(py, Verb::FillNull(value.0.clone()))
    }

    fn fill_null_columns(&self, py: Python<'_>, values: Vec<(String, PyRef<'_, PyExpr>)>) -> PyResult<Self> {
        let values = values.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
        self.then(py, Verb::FillNullIn(values))
    }

    fn drop_nulls(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Self> {
        self.then(py, Verb::DropNulls(names))
    }

    fn head(&self, py: Python<'_>, n: u64) -> PyResult<Self> {
        self.then(py, Verb::Head(n))
    }

    fn skip(&self, py: Python<'_>, n: u64) -> PyResult<Self> {
        self.then(py, Verb::Skip(n))
    }

    fn with_row_index(&self, py: Python<'_>, name: String) -> PyResult<Self> {
        self.then(py, Verb::RowIndex(name))
    }

    fn rebatch(&self, py: Python<'_>, rows: usize, drop_last: bool) -> PyResult<Self> {
        if rows == 0 {
            return Err(Error::Value("`batch_size` must be at least 1, found 0".into()).into());
        }
        self.then(py, Verb::Rebatch { rows, drop_last })
    }

    fn map(&self, py: Python<'_>, function: Py<PyAny>, schema: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let schema = schema.map(|s| schema_from_py(&s)).transpose()?;
        let call = PyCall::shared(function.clone_ref(py), Kind::Map, named("map", function.bind(py)));
        self.then(py, Verb::Map { call, kind: Kind::Map, schema })
    }

    fn filter_map(&self, py: Python<'_>, function: Py<PyAny>) -> PyResult<Self> {
        let call = PyCall::shared(function.clone_ref(py), Kind::Mask, named("filter", function.bind(py)));
        self.then(py, Verb::Map { call, kind: Kind::Mask, schema: None })
    }

    fn inspect(&self, py: Python<'_>, function: Py<PyAny>) -> PyResult<Self> {
        let call = PyCall::shared(function.clone_ref(py), Kind::Look, named("inspect", function.bind(py)));
        self.then(py, Verb::Map { call, kind: Kind::Look, schema: None })
    }

    fn agg(&self, py: Python<'_>, aggregates: Vec<PyRef<'_, PyExpr>>) -> PyResult<Self> {
        self.then(py, Verb::Aggregate(exprs(&aggregates)))
    }

    /// The same plan with other run options.
    fn options(&self, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let arguments = Arguments::new(options)?;
        let run = run_options(&arguments, self.0.options().clone())?;
        arguments.end()?;
        Ok(Self(self.0.with_options(run)))
    }

    /// The same plan whose sources are told nothing of what it wants, for tests that compare answers.
    fn without_pushdown(&self) -> Self {
        let options = Options { pushdown: false, ..self.0.options().clone() };
        Self(self.0.with_options(options))
    }

    /// Names and dtypes, in order.
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        schema_to_py(py, &self.known_schema(py)?)
    }

    /// The schema if it is known without running or reading anything, else `None`.
    fn schema_if_known<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.0.schema_if_known().map(|schema| schema_to_py(py, &schema)).transpose()
    }

    fn explain(&self, py: Python<'_>) -> PyResult<String> {
        Ok(py.detach(|| self.0.explain())?)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(py.detach(|| self.0.count(interrupt))?)
    }

    /// A run; nothing is opened or started before its first batch is asked for.
    #[pyo3(signature = (batch_size=None, batch_bytes=None, drop_last=false))]
    fn run(&self, batch_size: Option<usize>, batch_bytes: Option<usize>, drop_last: bool) -> PyResult<PyRun> {
        let mut plan = self.0.clone();
        if batch_size.is_some() || batch_bytes.is_some() {
            let mut options = plan.options().clone();
            options.batch_bytes = batch_bytes.unwrap_or(options.batch_bytes);
            plan = plan.with_options(options.check()?);
        }
        if let Some(rows) = batch_size {
            if rows == 0 {
                return Err(Error::Value("`batch_size` must be at least 1, found 0".into()).into());
            }
            plan = plan.then(Verb::Rebatch { rows, drop_last })?;
        }
        Ok(PyRun::new(Run::new(plan, interrupt)))
    }

    fn write_parquet<'py>(
        &self,
        py: Python<'py>,
        target: &Bound<'py, PyAny>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        super::sink::write(py, &self.0, Format::Parquet, target, options)
    }

    fn write_csv<'py>(
        &self,
        py: Python<'py>,
        target: &Bound<'py, PyAny>,
        options: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        super::sink::write(py, &self.0, Format::Csv, target, options)
    }

    fn arrow_schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        export_schema(py, &*self.known_schema(py)?)
    }

    /// A stream capsule of a run of its own, which begins with the consumer's first `get_next`.
    #[pyo3(signature = (requested=None))]
    fn arrow_stream<'py>(
        &self,
        py: Python<'py>,
        requested: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = self.known_schema(py)?;
        let run = Arc::new(Cell::new(Run::new(self.0.clone(), interrupt)));
        export_stream(py, &schema, Box::new(Handed(run)), requested)
    }
}

fn named(verb: &str, function: &Bound<'_, PyAny>) -> String {
    let name = function.getattr("__name__").ok().and_then(|n| n.extract::<String>().ok());
    format!("{verb} {}", name.unwrap_or_else(|| "function".into()))
}

/// A run that one thread at a time may pull.
struct Cell {
    run: Mutex<Option<Run>>,
    context: Arc<Context>,
    /// The thread that is inside, 0 for none.
    inside: AtomicU64,
    process: u32,
}

/// A number of this thread's own, never 0.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static OWN: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    OWN.with(|own| *own)
}

impl Cell {
    fn new(run: Run) -> Self {
        let context = run.context().clone();
        Self { run: Mutex::new(Some(run)), context, inside: AtomicU64::new(0), process: std::process::id() }
    }

    /// Does `work` with the run, when it is this thread's turn; `None` once it is closed. Must be called detached.
    fn with<T>(&self, work: impl FnOnce(&mut Run) -> Result<T>) -> Result<Option<T>> {
        if self.process != std::process::id() {
            return Err(Error::Stream(
                "this run was begun before fork and belongs to the parent; iterate the stream anew in the child".into(),
            ));
        }
        if self.inside.load(Ordering::Relaxed) == this_thread() {
            return Err(Error::Stream(
                "this run is being pulled already, and the function that it called asked it for more; \
                 iterate the stream anew there"
                    .into(),
            ));
        }
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(run) = run.as_mut() else { return Ok(None) };
        self.inside.store(this_thread(), Ordering::Relaxed);
        let out = work(run);
        self.inside.store(0, Ordering::Relaxed);
        out.map(Some)
    }

    fn pull(&self) -> Result<Option<crate::piece::Held>> {
        Ok(self.with(Run::pull)?.flatten())
    }

    /// Ends the run. Must be called detached, because its threads are joined.
    fn close(&self) -> Result<()> {
        // whoever is inside stops at its next look at the flag
        self.context.cancel.cancel();
        self.with(|run| {
            run.close();
            Ok(())
        })?;
        Ok(())
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        let run = self.run.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if self.process != std::process::id() {
            // its threads are not in this process, and its locks may be held for ever
            std::mem::forget(run);
        }
    }
}

/// Batches that leave the run as plain ones, for the C stream.
struct Handed(Arc<Cell>);

impl Iterator for Handed {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.pull().transpose().map(|held| held.map(|held| held.batch))
    }
}

/// A run, as an iterator of batches.
#[pyclass(name = "Run", frozen, module = "stream._internal")]
pub struct PyRun {
    cell: Option<Arc<Cell>>,
}

impl PyRun {
    fn new(run: Run) -> Self {
        Self { cell: Some(Arc::new(Cell::new(run))) }
    }

    fn cell(&self) -> Result<&Arc<Cell>> {
        self.cell.as_ref().ok_or_else(|| Error::Stream("the run is closed".into()))
    }
}

#[pymethods]
impl PyRun {
    /// The next batch, or `None` at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<RawBatch>> {
        let cell = self.cell()?;
        let held = py.detach(|| {
            cell.pull().map(|held| {
                held.map(|held| {
                    let guard = cell.context.memory.export(held.lease.bytes());
                    (held.batch, guard)
                })
            })
        })?;
        Ok(held.map(|(batch, guard)| RawBatch::new(batch, Some(guard))))
    }

    /// Ends the run: when this returns, its threads are gone and its files closed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let cell = self.cell()?;
        Ok(py.detach(|| cell.close())?)
    }

    /// The byte budget of the run, if it has one.
    #[getter]
    fn memory_limit(&self) -> PyResult<Option<usize>> {
        Ok(self.cell()?.context.options.memory_limit)
    }

    /// Names and dtypes of every batch; begins the run as far as that needs.
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        schema_to_py(py, &self.begun(py)?)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats(py, &self.cell()?.context)
    }

    fn arrow_schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        export_schema(py, &*self.begun(py)?)
    }

    /// A stream capsule of what is left of this run.
    #[pyo3(signature = (requested=None))]
    fn arrow_stream<'py>(
        &self,
        py: Python<'py>,
        requested: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = self.begun(py)?;
        export_stream(py, &schema, Box::new(Handed(self.cell()?.clone())), requested)
    }
}

/// What `stream.Batches` is made of: `next` without a frame of Python's, so that it is cheap, and so that `tracemalloc`
/// finds the caller's line where a batch is taken.
#[pyclass(name = "Pulled", frozen, subclass, module = "stream._internal")]
pub struct Pulled {
    run: Py<PyRun>,
    dress: Py<PyAny>,
}

#[pymethods]
impl Pulled {
    /// The batches of `run`, each as `dress` wraps it.
    #[new]
    fn new(run: Py<PyRun>, dress: Py<PyAny>) -> Self {
        Self { run, dress }
    }

    fn __iter__(own: PyRef<'_, Self>) -> PyRef<'_, Self> {
        own
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.run.get().next(py)?.map(|batch| self.dress.bind(py).call1((batch,))).transpose()
    }
}

impl PyRun {
    fn begun(&self, py: Python<'_>) -> PyResult<SchemaRef> {
        let cell = self.cell()?;
        let schema = py.detach(|| cell.with(Run::begin))?;
        Ok(schema.ok_or_else(|| Error::Stream("the run is closed".into()))?)
    }
}

impl Drop for PyRun {
    fn drop(&mut self) {
        // joining must not hold the interpreter: a worker may be releasing an object of Python's
        let cell = self.cell.take();
        if Python::try_attach(|py| py.detach(|| drop(cell))).is_none() {
            // the interpreter is gone; so is everybody who could wait
        }
    }
}

/// Any object with `__arrow_c_stream__` or `__arrow_c_array__`.
#[derive(Debug)]
struct PyProducer {
    object: Py<PyAny>,
    schema: SchemaRef,
    name: String,
    /// Of an object that gives its batches once: the stream that told the schema.
    once: Option<Mutex<Option<OnceBatches>>>,
}

struct OnceBatches(Batches);

impl std::fmt::Debug for OnceBatches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnceBatches")
    }
}

impl PyProducer {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = format!("from_arrow({})", object.get_type().name()?);
        let once = ["__next__", "read_next_batch", "get_next"]
            .iter()
            .map(|method| object.hasattr(*method))
            .collect::<PyResult<Vec<bool>>>()?
            .contains(&true)
            || object.is_instance_of::<PyCapsule>();
        let (schema, once) = if once {
            let batches = import_batches(object)?;
            let schema = batches.schema();
            (schema, Some(Mutex::new(Some(OnceBatches(Box::new(batches))))))
        } else {
            (super::arrow::import_schema(object)?, None)
        };
        Ok(Self { object: object.clone().unbind(), schema, name, once })
    }
}

impl Producer for PyProducer {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn batches(&self) -> Result<Batches> {
        let batches: Batches = match &self.once {
            Some(once) => {
                let taken = once.lock().unwrap_or_else(PoisonError::into_inner).take();
                let taken = taken.ok_or_else(|| {
                    Error::Stream(format!(
                        "{}: it gives its batches only once and was run before; make it anew for each run, or keep \
                         the batches in a table",
                        self.name
                    ))
                })?;
                taken.0
            }
            None => Box::new(Python::attach(|py| import_batches(self.object.bind(py)))?),
        };
        Ok(Box::new(batches.map(|batch| announced_batch(&batch?))))
    }

    fn one_shot(&self) -> bool {
        self.once.is_some()
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
