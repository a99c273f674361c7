//! Rows → a Parquet file.
//!
//! | file | |
//! |---|---|
//! | `options` | what a caller may say, checked |
//! | `types` | what Parquet can hold, and as what |
//! | `sorted` | rows checked against `sorted_by` |
//! | `crew` | the encoders, and what waits for them |
//! | `lane` | one column of a row group |
//! | `choose` | how its values are encoded |
//! | `pages`, `header`, `compress` | finished pages: compressed, with checksums |
//! | `temp` | pages that memory has no room for |
//! | `footer` | the order of statistics, as every reader knows it |
//!
//! Batches are handed to the encoders as they come, column by column, while the next is read or mapped; a row group
//! that is full is written, on the consumer's thread, as soon as its last column is finished. So a file costs the
//! batches on their way (at most 32 MiB), a page and a dictionary a column, a compressor a thread, and the finished
//! pages of at most two row groups. Those beyond an eighth of the memory limit wait in a temporary file: however large
//! a row group may become, memory does not.
//!
//! What Parquet has no type for is written in the nearest that holds it (seconds as milliseconds, `date64` as a
//! date), or refused by name before anything is written. The Arrow schema goes along, so that dictionaries, durations
//! and time zones come back.

mod choose;
mod compress;
mod crew;
mod footer;
mod header;
mod lane;
mod options;
mod pages;
mod sorted;
mod temp;
mod types;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::ArrayRef;
use arrow::array::{Array, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use arrow::row::OwnedRow;
use parquet::file::writer::SerializedFileWriter;

use self::crew::Crew;
use self::footer::Tail;
use self::lane::{Column, Plan};
pub use self::options::{DictionaryOption, ParquetOptions};
use self::sorted::{Order, Sorted};
use super::{Output, Written};
use crate::batch;
use crate::context::Context;
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};
use crate::piece::{Collect, Held};

/// Writes a Parquet file; see the module.
pub struct ParquetSink {
    name: String,
    /// What goes into the file: the announced schema in types that Parquet has.
    schema: SchemaRef,
    sorted: Option<Sorted>,
    options: ParquetOptions,
    sluice: Arc<Mutex<Sluice>>,
    state: Mutex<Option<State>>,
    holder: OnceLock<Holder>,
}

/// What `absorb` changes.
struct State {
    file: SerializedFileWriter<Tap>,
    /// The encoders, once there are rows.
    crew: Option<Crew>,
    /// Rows and bytes of rows in the row group that grows.
    rows: usize,
    bytes: usize,
    /// Rows in all.
    total: u64,
    last: Option<OwnedRow>,
}

impl State {
    /// Writes the row groups that are finished; after `seal`, waits for all of them.
    fn write_finished(&mut self, all: bool, context: &Context) -> Result<()> {
        let Some(crew) = &self.crew else { return Ok(()) };
        loop {
            if let Some(chunks) = crew.finished()? {
                let mut group = self.file.next_row_group()?;
                for mut chunk in chunks {
                    let close = chunk.take_close()?;
                    group.append_column(&chunk, close)?;
                }
                group.close()?;
            } else if all && !crew.is_empty() {
                crew.wait(context)?;
            } else {
                return Ok(());
            }
        }
    }
}

/// A batch on its way into a row group.
pub struct Packet {
    batch: RecordBatch,
    lease: Lease,
    bytes: usize,
    order: Option<Order>,
}

impl ParquetSink {
    /// A sink for batches of `schema`. Writes the file's first four bytes.
    ///
    /// # Errors
    /// [`Error::Schema`] naming a column whose type Parquet cannot hold, or for no columns or two of one name;
    /// [`Error::Value`] for options that make no sense; [`Error::ColumnNotFound`] in them; the system's.
    pub fn new(output: Output, schema: &SchemaRef, options: &ParquetOptions) -> Result<Self> {
        let name = output.name().to_owned();
        let written = types::written_schema(schema)?;
        let descriptor = types::converted(&written)?;
        let properties = options.of_file(schema, &written, &descriptor)?;
        let sluice = Arc::new(Mutex::new(Sluice { output: Some(output), tail: None }));
        let file = SerializedFileWriter::new(Tap(sluice.clone()), descriptor.root_schema_ptr(), Arc::new(properties))
            .map_err(|e| about(&name, e.into()))?;
        let sorted = if options.sorted_by.is_empty() { None } else { Some(Sorted::new(&written, &options.sorted_by)?) };
        Ok(Self {
            name,
            sorted,
            schema: written,
            options: options.clone(),
            sluice,
            state: Mutex::new(Some(State { file, crew: None, rows: 0, bytes: 0, total: 0, last: None })),
            holder: OnceLock::new(),
        })
    }

    fn holder(&self, context: &Context) -> &Holder {
        self.holder.get_or_init(|| context.memory.holder("parquet sink", None))
    }

    fn crew(&self, file: &SerializedFileWriter<Tap>, context: &Context) -> Result<Crew> {
        let descriptor = file.schema_descr();
        let holder = self.holder(context).clone();
        let plan = Plan {
            columns: Column::all(&self.schema, descriptor, |name| self.options.dictionary.of(name))?,
            properties: options::of_columns(file.properties(), descriptor.num_columns(), context),
            press: Arc::new(self.options.press(&holder, context)?),
            holder,
        };
        Ok(Crew::new(plan, context))
    }

    fn add(&self, state: &mut State, packet: Packet, context: &Context) -> Result<()> {
        let Packet { batch, lease, bytes, order } = packet;
        if let (Some(order), Some(sorted)) = (order, &self.sorted) {
            state.last = Some(sorted.follow(state.last.as_ref(), order, state.total)?);
        }
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        state.total += rows as u64;
        if state.crew.is_none() {
            state.crew = Some(self.crew(&state.file, context)?);
        }
        let (most_rows, most_bytes) = self.options.row_group_limits();
        let load = state.crew.as_ref().map(|crew| crew.load(bytes, lease));
        let row_bytes = (bytes / rows).max(1);
        let mut start = 0;
        while let (true, Some(load)) = (start < rows, &load) {
            let fit = (most_bytes - state.bytes).div_ceil(row_bytes);
            let len = (rows - start).min(most_rows - state.rows).min(fit);
            state.write_finished(false, context)?;
            let Some(crew) = &mut state.crew else { return Err(ended()) };
            if !crew.has_room(load) {
                crew.wait(context)?;
                continue;
            }
            crew.push(&batch.slice(start, len), load);
            state.rows += len;
            state.bytes = state.bytes.saturating_add(row_bytes * len);
            start += len;
            if state.rows >= most_rows || state.bytes >= most_bytes {
                crew.seal();
                (state.rows, state.bytes) = (0, 0);
            }
        }
        Ok(())
    }
}

impl Collect for ParquetSink {
    type Packet = Packet;
    type Done = Written;

    /// Casts what Parquet has no type for, lets go of what the batch pins beyond its rows, and checks its order.
    fn prepare(&self, held: Held, context: &Context) -> Result<Packet> {
        let Held { batch, mut lease, .. } = held;
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
        for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
            types::check_values(field.name(), column)?;
            columns.push(if column.data_type() == field.data_type() {
                column.clone()
            } else {
                cast_with_options(column, field.data_type(), &options).map_err(|e| {
                    Error::Schema(format!(
                        "column `{}`: does not fit Parquet's {}: {e}",
                        field.name(),
                        dtype_name(field.data_type())
                    ))
                })?
            });
        }
        let batch = batch::with_columns(self.schema.clone(), columns, batch.num_rows())?;
        let batch = batch::compact(&batch)?;
        lease.resize(batch::bytes_held(&batch))?;
        let lease = lease.pass_to(self.holder(context));
        let order = self.sorted.as_ref().map(|sorted| sorted.of(&batch)).transpose()?.flatten();
        let bytes = batch::bytes_of_rows(&batch);
        Ok(Packet { batch, lease, bytes, order })
    }

    fn absorb(&self, packet: Packet, context: &Context) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = state.as_mut() else { return Err(ended()) };
        context.cancel.check()?;
        self.add(state, packet, context).map_err(|e| about(&self.name, e))
    }

    fn finish(&self, context: &Context) -> Result<Written> {
        let Some(mut state) = self.state.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Err(ended());
        };
        if let Some(crew) = state.crew.as_mut().filter(|_| state.rows > 0) {
            crew.seal();
        }
        state.write_finished(true, context).map_err(|e| about(&self.name, e))?;
        let (rows, leaves) = (state.total, state.file.schema_descr().num_columns());
        self.sluice.lock().unwrap_or_else(PoisonError::into_inner).tail = Some(Tail::new(leaves));
        state.file.finish().map_err(|e| about(&self.name, e.into()))?;
        drop(state);
        let mut sluice = self.sluice.lock().unwrap_or_else(PoisonError::into_inner);
        match (sluice.output.take(), sluice.tail.take()) {
            (Some(mut output), Some(tail)) => {
                tail.end(&mut output).map_err(|e| about(&self.name, e.into()))?;
                output.commit(rows)
            }
            _ => Err(ended()),
        }
    }
}

fn ended() -> Error {
    Error::Stream("the file was finished already".into())
}

/// The same error with the target's name, where the system's error came without.
fn about(name: &str, error: Error) -> Error {
    match error {
        Error::Io { path: None, source } => Error::io(name, source),
        other => other,
    }
}

/// The file writer's end of the output: the sink keeps the other, to commit.
struct Tap(Arc<Mutex<Sluice>>);

/// The output, and the end of the file once it is being written.
struct Sluice {
    output: Option<Output>,
    tail: Option<Tail>,
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sluice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Sluice { output, tail } = &mut *sluice;
        match (output, tail) {
            (Some(output), Some(tail)) => tail.write(bytes, output).map(|()| bytes.len()),
            (Some(output), None) => output.write(bytes),
            (None, _) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).output {
            Some(output) => output.flush(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
