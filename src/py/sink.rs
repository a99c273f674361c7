//! `write_parquet` and `write_csv`: a target of Python's, the sink's options, a report.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::callback::interrupt;
use super::error::foreign;
use super::input::PyFile;
use super::options::Arguments;
use super::stats::stats;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::piece::{Collect, Held};
use crate::plan::Plan;
use crate::sink::csv::{CsvSink, CsvSinkOptions};
use crate::sink::parquet::{DictionaryOption, ParquetOptions, ParquetSink};
use crate::sink::{Mode, Output, Written, refuse_source};

/// How often a caller is told how far a run is.
const TOLD: Duration = Duration::from_millis(100);

/// Runs `plan` into `target` and reports.
pub fn write<'py>(
    py: Python<'py>,
    plan: &Plan,
    format: Format,
    target: &Bound<'py, PyAny>,
    options: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    let arguments = Arguments::new(options)?;
    let mode = arguments.get::<String>("mode")?.map_or(Ok(Mode::Overwrite), |mode| Mode::parse(&mode))?;
    let progress = arguments.get::<Py<PyAny>>("progress")?;
    let context = Context::new(plan.options().clone(), interrupt);
    let target = match target.extract::<PathBuf>() {
        Ok(path) => Target::Path(path),
        Err(_) => Target::File(PyFile::output(target)?),
    };
    let written = match format {
        Format::Parquet => {
            let options = parquet_options(&arguments)?;
            arguments.end()?;
            py.detach(|| {
                target.refuse_sources(plan)?;
                plan.collect(&context, |schema, _| {
                    let sink = ParquetSink::new(target.open(mode)?, schema, &options)?;
                    Ok(Watched::new(sink, progress))
                })
            })?
        }
        Format::Csv => {
            let options = csv_options(&arguments)?;
            arguments.end()?;
            py.detach(|| {
                target.refuse_sources(plan)?;
                plan.collect(&context, |schema, _| {
                    let sink = CsvSink::new(target.open(mode)?, schema, &options)?;
                    Ok(Watched::new(sink, progress))
                })
            })?
        }
    };
    report(py, &context, &written)
}

fn report<'py>(py: Python<'py>, context: &Context, written: &Written) -> PyResult<Bound<'py, PyDict>> {
    let out = stats(py, context)?;
    out.set_item("rows_out", written.rows)?;
    out.set_item("bytes_out", written.bytes)?;
    out.set_item("path", &written.name)?;
    out.set_item("atomic", written.atomic)?;
    Ok(out)
}

/// Where the bytes go.
enum Target {
    Path(PathBuf),
    File(PyFile),
}

impl Target {
    fn refuse_sources(&self, plan: &Plan) -> Result<()> {
        match self {
            Target::Path(path) => {
                let same = |other: &PathBuf| std::path::absolute(other).ok() == std::path::absolute(path).ok();
                if plan.rejects()?.iter().any(same) {
                    let message = format!("`{}` is the file for rejects; write to another path", path.display());
                    return Err(Error::Value(message));
                }
                refuse_source(path, &plan.paths()?)
            }
            Target::File(_) => Ok(()),
        }
    }

    fn open(self, mode: Mode) -> Result<Output> {
        match self {
            Target::Path(path) => Output::open(&path, mode),
            Target::File(file) => {
                let name = file.name().to_owned();
                Ok(Output::stream(name, Box::new(file)))
            }
        }
    }
}

fn parquet_options(arguments: &Arguments<'_>) -> PyResult<ParquetOptions> {
    let mut o = ParquetOptions::default();
    if let Some(codec) = arguments.take("compression")? {
        o.compression = codec.extract()?;
    }
    o.compression_level = arguments.get("compression_level")?;
    o.row_group_size = arguments.get("row_group_size")?;
    o.row_group_bytes = arguments.get("row_group_bytes")?;
    o.statistics = arguments.get("statistics")?.unwrap_or(o.statistics);
    o.bloom_filters = arguments.get("bloom_filters")?.unwrap_or_default();
    if let Some(dictionary) = arguments.take("dictionary")? {
        o.dictionary = match dictionary.extract::<bool>() {
            Ok(true) => DictionaryOption::Sampled,
            Ok(false) => DictionaryOption::Never,
            Err(_) => DictionaryOption::Columns(dictionary.extract()?),
        };
    }
    o.page_checksums = arguments.get("page_checksums")?.unwrap_or(o.page_checksums);
    o.sorted_by = arguments.get("sorted_by")?.unwrap_or_default();
    Ok(o)
}

fn csv_options(arguments: &Arguments<'_>) -> PyResult<CsvSinkOptions> {
    let mut o = CsvSinkOptions::default();
    o.delimiter = arguments.get("delimiter")?.unwrap_or(o.delimiter);
    if let Some(quote) = arguments.take("quote_char")? {
        o.quote_char = quote.extract()?;
    }
    o.null_value = arguments.get("null_value")?.unwrap_or(o.null_value);
    o.header = arguments.get("header")?.unwrap_or(o.header);
    o.compression = arguments.get("compression")?;
    Ok(o)
}

/// A sink whose caller is told how far it is.
struct Watched<C> {
    sink: C,
    progress: Option<Py<PyAny>>,
    told: Mutex<Instant>,
}

impl<C> Watched<C> {
    fn new(sink: C, progress: Option<Py<PyAny>>) -> Self {
        Self { sink, progress, told: Mutex::new(Instant::now()) }
    }

    fn tell(&self, context: &Context, always: bool) -> Result<()> {
        let Some(progress) = &self.progress else { return Ok(()) };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !always && told.elapsed() < TOLD {
            return Ok(());
        }
        *told = Instant::now();
        Python::attach(|py| progress.call1(py, (stats(py, context)?,)).map(|_| ())).map_err(foreign)
    }
}

/// A sink's packet, and the rows in it.
struct Counted<P>(P, u64);

impl<C: Collect> Collect for Watched<C> {
    type Packet = Counted<C::Packet>;
    type Done = C::Done;

    fn prepare(&self, held: Held, context: &Context) -> Result<Self::Packet> {
        let rows = held.batch.num_rows() as u64;
        Ok(Counted(self.sink.prepare(held, context)?, rows))
    }

    fn absorb(&self, packet: Self::Packet, context: &Context) -> Result<()> {
        self.sink.absorb(packet.0, context)?;
        context.stats.rows_out.fetch_add(packet.1, Relaxed);
        self.tell(context, false)
    }

    fn finish(&self, context: &Context) -> Result<Self::Done> {
        self.tell(context, true)?;
        self.sink.finish(context)
    }
}
