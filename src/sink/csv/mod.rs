//! Rows → delimited text.
//!
//! Workers turn batches into bytes, side by side; the bytes are written, and compressed where that is asked for, in
//! the order of the rows. A null is `null_value`, unquoted; text that could be taken for something else (empty, equal
//! to `null_value`, or holding the delimiter, a quote or a line end) is quoted, its quotes doubled. So text, numbers,
//! dates and nulls come back as they were. Timestamps with a zone carry their offset.
//!
//! Cells are written a column at a time into slots of one width, for some hundred rows, and then put together as
//! lines: each loop has one thing to do, and few of them a branch.
//!
//! | file | |
//! |---|---|
//! | `cells` | a column: which of the below writes it, its nulls |
//! | `slots` | where cells wait |
//! | `digits`, `floats`, `moment`, `text` | values → cells |
//! | `lines` | cells → lines |
//!
//! A batch costs its text once, leased a block at a time before it is made.

mod cells;
mod digits;
mod floats;
mod lines;
mod moment;
mod slots;
mod text;

use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use flate2::write::GzEncoder;

use self::cells::{Cells, Rules};
pub use self::lines::Lines;
use super::{Output, Written};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};
use crate::piece::{Collect, Held};

/// The level of zstd, which is also its default.
const ZSTD_LEVEL: i32 = 3;

/// The options of `write_csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvSinkOptions {
    /// Between two fields: one ASCII character.
    pub delimiter: String,
    /// Around a field: one ASCII character. `None`: nothing is quoted, and what would have to be is an error.
    pub quote_char: Option<String>,
    /// What stands for null.
    pub null_value: String,
    /// Whether the first line holds the columns' names.
    pub header: bool,
    /// `gzip`, `zstd` or `uncompressed`; `None`: as the target's extension says.
    pub compression: Option<String>,
}

impl Default for CsvSinkOptions {
    fn default() -> Self {
        Self {
            delimiter: ",".into(),
            quote_char: Some("\"".into()),
            null_value: String::new(),
            header: true,
            compression: None,
        }
    }
}

/// How the whole text is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Plain,
    Gzip,
    Zstd,
}

impl CsvSinkOptions {
    fn rules(&self) -> Result<Rules> {
        let one = |name: &str, text: &str| match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Ok(*byte),
            _ => Err(Error::Value(format!("`{name}` must be one ASCII character, found `{}`", text.escape_debug()))),
        };
        let delimiter = one("delimiter", &self.delimiter)?;
        let quote = self.quote_char.as_deref().map(|q| one("quote_char", q)).transpose()?;
        if quote == Some(delimiter) {
            return Err(Error::Value(format!("`delimiter` and `quote_char` are both `{}`", self.delimiter)));
        }
        let null = self.null_value.as_bytes();
        if null.iter().any(|b| [Some(delimiter), quote, Some(b'\r'), Some(b'\n')].contains(&Some(*b))) {
            return Err(Error::Value(format!(
                "`null_value` must hold no delimiter, quote or line end, found `{}`",
                self.null_value.escape_debug()
            )));
        }
        Ok(Rules::new(delimiter, quote, null.to_vec()))
    }

    fn codec(&self, target: &str) -> Result<Codec> {
        let by_name = |name: &str| match name {
            "gzip" | "gz" => Ok(Codec::Gzip),
            "zstd" | "zst" => Ok(Codec::Zstd),
            "bz2" | "xz" | "lz4" => {
                Err(Error::NotImplemented(format!("{target}: writing {name} is not built yet; expected gzip or zstd")))
            }
            _ => Ok(Codec::Plain),
        };
        match self.compression.as_deref() {
            Some("none" | "uncompressed") => Ok(Codec::Plain),
            Some(name @ ("gzip" | "gz" | "zstd" | "zst" | "bz2" | "xz" | "lz4")) => by_name(name),
            Some(name) => Err(Error::Value(format!(
                "`compression`: expected \"gzip\", \"zstd\", \"uncompressed\" or None, found `{name}`"
            ))),
            None => {
                let extension = Path::new(target).extension().and_then(|e| e.to_str()).unwrap_or_default();
                by_name(&extension.to_ascii_lowercase())
            }
        }
    }
}

/// Writes delimited text; see the module.
pub struct CsvSink {
    schema: SchemaRef,
    rules: Rules,
    codec_bytes: usize,
    state: Mutex<Option<State>>,
    holder: OnceLock<Holder>,
}

struct State {
    writer: Writer,
    rows: u64,
    /// The compressor's bytes.
    lease: Option<Lease>,
}

impl CsvSink {
    /// A sink for batches of `schema`. Writes the header.
    ///
    /// # Errors
    /// [`Error::Schema`] naming a column that text cannot hold; [`Error::Value`] for options that make no sense; the
    /// system's.
    pub fn new(output: Output, schema: &SchemaRef, options: &CsvSinkOptions) -> Result<Self> {
        let rules = options.rules()?;
        let codec = options.codec(output.name())?;
        if schema.fields().is_empty() {
            return Err(Error::Schema("a CSV file needs at least one column, found none".into()));
        }
        for field in schema.fields() {
            cells::check(field)?;
        }
        let mut writer = Writer::new(output, codec)?;
        if options.header {
            let mut line = Vec::new();
            for (i, field) in schema.fields().iter().enumerate() {
                if i > 0 {
                    line.push(rules.delimiter);
                }
                let start = line.len();
                line.extend_from_slice(field.name().as_bytes());
                rules.protect(&mut line, start, field.name())?;
            }
            line.push(b'\n');
            writer.put(&line)?;
        }
        let codec_bytes = match codec {
            Codec::Plain => 0,
            Codec::Gzip => 1 << 20,
            Codec::Zstd => 4 << 20,
        };
        let state = Mutex::new(Some(State { writer, rows: 0, lease: None }));
        Ok(Self { schema: schema.clone(), rules, codec_bytes, state, holder: OnceLock::new() })
    }

    fn holder(&self, context: &Context) -> &Holder {
        self.holder.get_or_init(|| context.memory.holder("csv sink", None))
    }
}

impl Collect for CsvSink {
    type Packet = Lines;
    type Done = Written;

    fn prepare(&self, held: Held, context: &Context) -> Result<Lines> {
        let Held { batch, lease: input, .. } = held;
        let rows = batch.num_rows();
        let spread = |column: &ArrayRef| match column.data_type() {
            DataType::RunEndEncoded(_, values) => Ok(cast(column, values.data_type())?),
            _ => Ok(column.clone()),
        };
        let columns = batch.columns().iter().map(spread).collect::<Result<Vec<_>>>()?;
        let mut scratch = self.holder(context).empty();
        let fields = self.schema.fields().iter().zip(&columns);
        let cells = fields.map(|(f, c)| Cells::new(f.name(), c.as_ref(), &self.rules, &mut scratch));
        let cells = cells.collect::<Result<Vec<_>>>()?;
        let lines = lines::of(cells, rows, &self.rules, scratch)?;
        drop(input);
        Ok(lines)
    }

    fn absorb(&self, lines: Lines, context: &Context) -> Result<()> {
        context.cancel.check()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = state.as_mut() else { return Err(ended()) };
        if state.lease.is_none() {
            state.lease = Some(self.holder(context).lease(self.codec_bytes)?);
        }
        let Lines { blocks, rows, lease } = lines;
        for block in blocks {
            state.writer.put(&block)?;
        }
        state.rows += rows;
        drop(lease);
        Ok(())
    }

    fn finish(&self, _: &Context) -> Result<Written> {
        match self.state.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(State { writer, rows, .. }) => writer.finish()?.commit(rows),
            None => Err(ended()),
        }
    }
}

fn ended() -> Error {
    Error::Stream("the file was finished already".into())
}

/// The output, behind a compressor or not.
struct Writer {
    name: String,
    to: To,
}

enum To {
    Plain(Output),
    Gzip(GzEncoder<Output>),
    Zstd(zstd::Encoder<'static, Output>),
}

impl Writer {
    fn new(output: Output, codec: Codec) -> Result<Self> {
        let name = output.name().to_owned();
        let to = match codec {
            Codec::Plain => To::Plain(output),
            Codec::Gzip => To::Gzip(GzEncoder::new(output, flate2::Compression::default())),
            Codec::Zstd => To::Zstd(zstd::Encoder::new(output, ZSTD_LEVEL).map_err(|e| Error::io(&name, e))?),
        };
        Ok(Self { name, to })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.to {
            To::Plain(output) => output.write_all(bytes),
            To::Gzip(encoder) => encoder.write_all(bytes),
            To::Zstd(encoder) => encoder.write_all(bytes),
        }
        .map_err(|e| Error::io(&self.name, e))
    }

    fn finish(self) -> Result<Output> {
        match self.to {
            To::Plain(output) => Ok(output),
            To::Gzip(encoder) => encoder.finish(),
            To::Zstd(encoder) => encoder.finish(),
        }
        .map_err(|e| Error::io(&self.name, e))
    }
}

#[cfg(test)]
mod tests;
