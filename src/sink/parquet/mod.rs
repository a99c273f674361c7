//! Rows → a Parquet file.
//!
//! Batches are gathered until a row group is full by rows or by bytes, then its columns are encoded, each on its own
//! and as many at once as the run has threads, and written in order. So a row group costs its rows once, the encoded
//! columns that wait for their turn, and a compressor a thread, however many columns there are. Where memory is short
//! for that, columns are encoded and written one after the other.
//!
//! What Parquet has no type for is written in the nearest that holds it (seconds as milliseconds, `date64` as a
//! date), or refused by name before anything is written. The Arrow schema goes along, so that dictionaries, durations
//! and time zones come back.

mod encode;
mod options;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, SortOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::file::writer::SerializedFileWriter;

use self::encode::Part;
pub use self::options::ParquetOptions;
use super::{Output, Written};
use crate::batch;
use crate::context::Context;
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};
use crate::piece::{Collect, Held};

/// The most bytes of rows in a row group, where nobody says otherwise and memory allows.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Writes a Parquet file; see the module.
pub struct ParquetSink {
    name: String,
    /// What goes into the file: the announced schema in types that Parquet has.
    schema: SchemaRef,
    sorted: Option<Sorted>,
    row_group_size: usize,
    row_group_bytes: Option<usize>,
    codec_bytes: usize,
    output: Arc<Mutex<Option<Output>>>,
    state: Mutex<Option<State>>,
    holder: OnceLock<Holder>,
}

/// What `absorb` changes.
struct State {
    file: SerializedFileWriter<Tap>,
    factory: ArrowRowGroupWriterFactory,
    parts: Vec<Part>,
    /// Rows and bytes in `parts`.
    rows: usize,
    bytes: usize,
    /// Rows in all.
    total: u64,
    last: Option<OwnedRow>,
}

/// A batch on its way into a row group.
pub struct Packet {
    batch: RecordBatch,
    lease: Lease,
    bytes: usize,
    order: Option<Order>,
}

/// The first and last row of a batch by the columns that the file is sorted by.
struct Order {
    first: OwnedRow,
    last: OwnedRow,
    /// The first row that comes before its predecessor.
    broken: Option<usize>,
}

/// Checks that rows come in the order that the file will claim.
struct Sorted {
    columns: Vec<usize>,
    names: String,
    converter: RowConverter,
}

impl ParquetSink {
    /// A sink for batches of `schema`. Writes the file's first four bytes.
    ///
    /// # Errors
    /// [`Error::Schema`] naming a column whose type Parquet cannot hold, or for no columns or two of one name;
    /// [`Error::Value`] for options that make no sense; [`Error::ColumnNotFound`] in them; the system's.
    pub fn new(output: Output, schema: &SchemaRef, options: &ParquetOptions) -> Result<Self> {
        let name = output.name().to_owned();
        let written = options::written_schema(schema)?;
        let properties = options.properties(schema, &written)?;
        let descriptor = options::converted(&written)?;
        let output = Arc::new(Mutex::new(Some(output)));
        let file = SerializedFileWriter::new(Tap(output.clone()), descriptor.root_schema_ptr(), Arc::new(properties))
            .map_err(|e| about(&name, e.into()))?;
        let factory = ArrowRowGroupWriterFactory::new(&file, written.clone());
        let sorted = if options.sorted_by.is_empty() { None } else { Some(Sorted::new(&written, &options.sorted_by)?) };
        Ok(Self {
            name,
            sorted,
            schema: written,
            row_group_size: options.row_group_size,
            row_group_bytes: options.row_group_bytes,
            codec_bytes: options.codec_bytes(),
            output,
            state: Mutex::new(Some(State {
                file,
                factory,
                parts: Vec::new(),
                rows: 0,
                bytes: 0,
                total: 0,
                last: None,
            })),
            holder: OnceLock::new(),
        })
    }

    fn holder(&self, context: &Context) -> &Holder {
        self.holder.get_or_init(|| context.memory.holder("parquet sink", None))
    }

    /// Bytes of rows in a row group: what was asked for, or an eighth of the limit.
    fn bytes_in_force(&self, context: &Context) -> usize {
        let most = context.memory.limit().map_or(ROW_GROUP_BYTES, |limit| (limit / 8).min(ROW_GROUP_BYTES));
        self.row_group_bytes.unwrap_or(most).max(1)
    }

    fn flush(&self, state: &mut State, context: &Context) -> Result<()> {
        if state.rows == 0 {
            return Ok(());
        }
        let parts = std::mem::take(&mut state.parts);
        (state.rows, state.bytes) = (0, 0);
        encode::row_group(
            &mut state.file,
            &state.factory,
            &self.schema,
            &parts,
            self.codec_bytes,
            self.holder(context),
            context,
        )
        .map_err(|e| about(&self.name, e))
    }

    fn check_order(&self, state: &mut State, order: Option<Order>) -> Result<()> {
        let (Some(order), Some(sorted)) = (order, &self.sorted) else { return Ok(()) };
        let broken = match &state.last {
            Some(last) if order.first < *last => Some(0),
            _ => order.broken,
        };
        if let Some(row) = broken {
            return Err(Error::Value(format!(
                "sorted_by=[{}]: row {} comes before the one in front of it; sort the rows first, or leave sorted_by out",
                sorted.names,
                state.total + row as u64 + 1,
            )));
        }
        state.last = Some(order.last);
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
            options::check_values(field.name(), column)?;
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
        let Packet { batch, lease, bytes, order } = packet;
        self.check_order(state, order)?;
        state.total += batch.num_rows() as u64;
        let (lease, rows) = (Arc::new(lease), batch.num_rows());
        let most = self.bytes_in_force(context);
        let mut start = 0;
        while start < rows {
            context.cancel.check()?;
            let len = (rows - start).min(self.row_group_size - state.rows);
            state.parts.push(Part { batch: batch.slice(start, len), _lease: lease.clone() });
            state.rows += len;
            state.bytes += bytes / rows * len;
            start += len;
            if state.rows >= self.row_group_size || state.bytes >= most {
                self.flush(state, context)?;
            }
        }
        Ok(())
    }

    fn finish(&self, context: &Context) -> Result<Written> {
        let Some(mut state) = self.state.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Err(ended());
        };
        self.flush(&mut state, context)?;
        let rows = state.total;
        state.file.finish().map_err(|e| about(&self.name, e.into()))?;
        drop(state);
        match self.output.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(output) => output.commit(rows),
            None => Err(ended()),
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

impl Sorted {
    fn new(schema: &Schema, names: &[String]) -> Result<Self> {
        let columns = names.iter().map(|n| schema.index_of(n)).collect::<Result<Vec<_>, _>>()?;
        // as sort() puts them: ascending, nulls first
        let options = SortOptions { descending: false, nulls_first: true };
        let fields = columns.iter().map(|c| SortField::new_with_options(schema.field(*c).data_type().clone(), options));
        let converter = RowConverter::new(fields.collect())?;
        let names: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
        Ok(Self { columns, names: names.join(", "), converter })
    }

    fn of(&self, batch: &RecordBatch) -> Result<Option<Order>> {
        let columns: Vec<ArrayRef> = batch.project(&self.columns)?.columns().to_vec();
        let rows = self.converter.convert_columns(&columns)?;
        let n = rows.num_rows();
        if n == 0 {
            return Ok(None);
        }
        let broken = (1..n).find(|i| rows.row(*i) < rows.row(i - 1));
        Ok(Some(Order { first: rows.row(0).owned(), last: rows.row(n - 1).owned(), broken }))
    }
}

/// The file writer's end of the output: the sink keeps the other, to commit.
struct Tap(Arc<Mutex<Option<Output>>>);

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(output) => output.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(output) => output.flush(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
