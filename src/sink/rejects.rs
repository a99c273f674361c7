//! The file that rejects go to: Parquet or CSV, by its extension; atomic like any other target.

use std::path::Path;

use arrow::array::RecordBatch;

use super::csv::{CsvSink, CsvSinkOptions};
use super::parquet::{ParquetOptions, ParquetSink};
use super::{Mode, Output};
use crate::context::Context;
use crate::context::rejects::{RejectFile, schema};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::memory::Lease;
use crate::piece::{Collect, Held, Ordinal};

/// A new file of rejects at `path`, which takes its place when it is finished.
///
/// # Errors
/// [`Error::Value`] for an extension that tells no format; the system's.
pub fn create(path: &Path) -> Result<Box<dyn RejectFile>> {
    let output = || Output::open(path, Mode::Overwrite);
    match Format::of_extension(path) {
        Some(Format::Parquet) => {
            Ok(Box::new(Rejects(ParquetSink::new(output()?, &schema(), &ParquetOptions::default())?)))
        }
        Some(Format::Csv) => Ok(Box::new(Rejects(CsvSink::new(output()?, &schema(), &CsvSinkOptions::default())?))),
        None => {
            Err(Error::Value(format!("`rejects` must end in \".parquet\" or \".csv\", found `{}`", path.display())))
        }
    }
}

struct Rejects<S>(S);

impl<S: Collect> RejectFile for Rejects<S> {
    fn put(&mut self, batch: RecordBatch, lease: Lease, context: &Context) -> Result<()> {
        let packet = self.0.prepare(Held { batch, first: Ordinal::default(), lease }, context)?;
        self.0.absorb(packet, context)
    }

    fn finish(self: Box<Self>, context: &Context) -> Result<()> {
        self.0.finish(context).map(drop)
    }
}
