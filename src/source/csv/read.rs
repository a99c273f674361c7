//! A run over one file: cuts on the one hand, batches on the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;

use crate::batch::{bytes_held, with_columns};
use crate::context::{Context, Counters};
use crate::error::{Error, Result};
use crate::format::OnError;
use crate::memory::{Holder, Lease};
use crate::piece::{Held, Ordinal, Piece, Pieces, Place, Pull};
use crate::source::read_at::Input;

use super::column::{Fill, Rows, column, fixed_bytes, is_binary};
use super::cut::{Cut, Cutter};
use super::fault::Where;
use super::file::{Feed, File};
use super::split::{Fault, Most, Splitter, unescape};

/// Bytes that the fields of a block may take: they stay in the second-level cache with the text they point to.
const INDEX: usize = 128 << 10;

/// A run.
pub(super) struct Run {
    file: Arc<File>,
    /// The columns wanted, by their place in a record.
    columns: Arc<[usize]>,
    schema: SchemaRef,
    limit: Option<u64>,
    holder: Holder,
    counters: Arc<Counters>,
    cuts: Mutex<Cuts>,
    /// Bytes that a row takes beside its text.
    fixed: usize,
    /// Bytes that a batch takes whatever its rows are: buffers are rounded up, a dictionary begins with some room.
    beside: usize,
    /// Rows of a block.
    block: usize,
}

/// The serial side of a run.
pub(super) struct Cuts {
    /// What inference cut already.
    pub(super) kept: VecDeque<Cut>,
    /// Where the cuts come from, and whether the prologue and the header are behind it.
    pub(super) feed: Feed,
    /// Where to begin, in a run that is resumed.
    pub(super) from: Option<Place>,
    /// Records given.
    pub(super) given: u64,
}

impl Run {
    pub(super) fn new(
        file: Arc<File>,
        columns: Arc<[usize]>,
        schema: SchemaRef,
        limit: Option<u64>,
        cuts: Cuts,
        context: &Context,
    ) -> Self {
        let name = "csv reader";
        let fixed = schema.fields().iter().map(|f| fixed_bytes(f.data_type())).sum();
        let begins = |d: &DataType| if matches!(d, DataType::Dictionary(..)) { 16 << 10 } else { 256 };
        let beside = schema.fields().iter().map(|f| begins(f.data_type())).sum();
        let block = (INDEX / (8 * file.names.len().max(1))).clamp(1, 1024);
        let (holder, counters) = (context.memory.holder(name, None), context.stats.stage(name));
        Self { file, columns, schema, limit, holder, counters, cuts: Mutex::new(cuts), fixed, beside, block }
    }

    fn cut(&self, cuts: &mut Cuts, context: &Context) -> Result<Option<Cut>> {
        // Where bad records are left out, nobody knows yet how many rows were given.
        let limit = self.limit.filter(|_| self.file.on_error == OnError::Raise);
        if limit.is_some_and(|limit| cuts.given >= limit) {
            return Ok(None);
        }
        if let Some(mut cut) = cuts.kept.pop_front() {
            cut.lease = Some(self.holder.lease(cut.bytes.len())?);
            return Ok(Some(cut));
        }
        let cutter = self.opened(cuts)?;
        let most = context.options.bytes_in_force();
        let target = self.file.piece_bytes.unwrap_or_else(|| Cutter::target(cutter.offset()).min(most));
        cutter.cut(target, Some(&self.holder))
    }

    /// The cutter, behind the header.
    fn opened<'a>(&self, cuts: &'a mut Cuts) -> Result<&'a mut Cutter> {
        let file = &self.file;
        if !cuts.feed.is_open() {
            self.counters.files.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        let (cutter, fresh) = cuts.feed.open(file, cuts.from.as_ref(), &self.holder)?;
        if fresh {
            if let Some(from) = cuts.from {
                cutter.go_to(from.start, from.line, !file.is_compressed()?)?;
            } else {
                file.behind_header(cutter, Some(&self.holder))?;
            }
            cutter.set_width(file.names.len());
        }
        Ok(cutter)
    }
}

impl Pieces for Run {
    fn next(&self, context: &Arc<Context>) -> Result<Option<Piece>> {
        context.cancel.check()?;
        if let Input::Live(live) = &self.file.input {
            live.cancel_with(&context.cancel);
        }
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cut) = self.cut(&mut cuts, context)? else { return Ok(None) };
        cuts.given += cut.records;
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        self.counters.bytes_in.fetch_add(cut.bytes.len() as u64, relaxed);
        let rows = usize::try_from(cut.records).unwrap_or(usize::MAX).max(1);
        // Text is copied once, into a buffer that may be twice as large while it grows.
        let need = rows
            .saturating_mul(self.fixed)
            .saturating_add(2 * cut.bytes.len() + self.beside)
            .saturating_add(self.block.min(rows) * (8 * self.file.names.len() + 4));
        let lease = match cut.lease {
            Some(lease) => lease,
            None => self.holder.lease(cut.bytes.len())?,
        };
        let place = Place { file: 0, part: 0, start: cut.offset, len: cut.bytes.len() as u64, line: cut.line };
        Ok(Some(Piece { place, need, raw: Some((cut.bytes, lease)) }))
    }

    fn open(self: Arc<Self>, piece: Piece, lease: Lease, context: &Arc<Context>) -> Result<Pull> {
        let (bytes, raw) = match piece.raw {
            Some(raw) => raw,
            None => self.read(&piece.place)?,
        };
        let file = &self.file;
        let fill = |i: &usize| column(*i, &file.types[*i], &file.nulls[*i], &file.writing);
        let columns = self.columns.iter().map(fill).collect::<Result<_>>()?;
        // Checked once for the whole piece, which is several times faster than field by field.
        let is_text = std::str::from_utf8(&bytes).is_ok();
        let splitter = Splitter::new(file.dialect.clone(), Some(file.names.len()));
        Ok(Box::new(Batches {
            run: self,
            context: context.clone(),
            place: piece.place,
            bytes,
            at: 0,
            row: 0,
            is_text,
            splitter,
            columns,
            bad: Vec::new(),
            lease,
            _raw: raw,
        }))
    }
}

impl Run {
    /// Reads a piece by its place.
    fn read(&self, place: &Place) -> Result<(Bytes, Lease)> {
        let Input::Seekable(at) = &self.file.input else {
            return Err(Error::Stream(format!("{}: can be read once only", self.file.name)));
        };
        if self.file.is_compressed()? {
            return Err(Error::Stream(format!("{}: a compressed file has no piece by itself", self.file.name)));
        }
        let len = usize::try_from(place.len).unwrap_or(usize::MAX);
        let lease = self.holder.lease(len)?;
        let mut bytes = vec![0; len];
        at.reopened()?.as_ref().unwrap_or(at).read_exact_at(&mut bytes, place.start)?;
        Ok((bytes.into(), lease))
    }
}

/// The batches of a piece.
struct Batches {
    run: Arc<Run>,
    context: Arc<Context>,
    place: Place,
    bytes: Bytes,
    at: usize,
    row: u32,
    /// Whether all of `bytes` is UTF-8.
    is_text: bool,
    splitter: Splitter,
    columns: Vec<Box<dyn Fill>>,
    /// Rows of the batch that hold a value that does not fit.
    bad: Vec<usize>,
    lease: Lease,
    _raw: Lease,
}

impl Iterator for Batches {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let batch = self.batch();
            match &batch {
                // All of its records were left out.
                Ok(Some(held)) if held.batch.num_rows() == 0 => continue,
                Ok(Some(_)) => {}
                _ => self.at = self.bytes.len(),
            }
            return batch.transpose();
        }
    }
}

impl Batches {
    fn batch(&mut self) -> Result<Option<Held>> {
        let options = &self.context.options;
        let (most_rows, most_bytes) = (options.batch_size, options.bytes_in_force());
        let mut rows = 0;
        let mut used = 0_usize;
        self.bad.clear();
        while self.at < self.bytes.len() && rows < most_rows && (rows == 0 || used < most_bytes) {
            self.context.cancel.check()?;
            let most = Most {
                rows: self.run.block.min(most_rows - rows),
                bytes: most_bytes - used.min(most_bytes),
                fixed: self.run.fixed,
            };
            let from = self.at;
            let block = self.splitter.block(&self.bytes, from, most);
            // The first row of a block is given whatever it takes; here that is right for the batch's first only.
            let taken = block.end - from + self.splitter.rows() * self.run.fixed;
            if rows > 0 && taken > most.bytes && block.fault.is_none() {
                break;
            }
            self.at = block.end;
            used += taken;
            if rows == 0 {
                self.reserve(taken, most_rows, most_bytes);
            }
            rows += self.block(rows, block.fault)?;
        }
        if rows == 0 {
            return Ok(None);
        }
        self.finish(rows).map(Some)
    }

    /// Makes room for the rows that the batch should have, judged by its first block, which took `taken` bytes; no
    /// more than were leased.
    fn reserve(&mut self, taken: usize, most_rows: usize, most_bytes: usize) {
        let fixed = self.run.fixed;
        let seen = self.splitter.rows().max(1);
        let left = self.bytes.len() - self.at;
        let text = (taken / seen).saturating_sub(fixed).max(1);
        let likely = if left == 0 { seen } else { seen + left / text + left / text / 16 + 8 };
        let beside = 2 * self.bytes.len() + self.run.beside;
        let leased = self.lease.bytes().saturating_sub(beside) / fixed.max(1);
        let rows = likely.min(most_rows).min(most_bytes / (fixed + text) + 8).min(leased.max(seen));
        for column in &mut self.columns {
            column.reserve(rows);
        }
    }

    /// Adds a block to the columns; `before` rows of the batch are there already. The rows added.
    fn block(&mut self, before: usize, fault: Option<Fault>) -> Result<usize> {
        let run = self.run.clone();
        let file = &run.file;
        let raise = file.on_error == OnError::Raise;
        if !self.is_text {
            self.check_encoding(raise)?;
        }
        let rows =
            Rows { bytes: &self.bytes, fields: &self.splitter.fields, width: file.names.len(), dialect: &file.dialect };
        let mut first: Option<(usize, usize)> = None;
        for (fill, column) in self.columns.iter_mut().zip(&*run.columns) {
            let bad = &mut self.bad;
            fill.fill(rows, &mut |row| {
                if raise {
                    first = first.into_iter().chain([(row, *column)]).min();
                } else {
                    bad.push(before + row);
                }
                !raise
            });
        }
        if let Some((row, column)) = first {
            return Err(self.value_error(row, column));
        }
        match fault {
            None => {}
            Some(fault) if raise => {
                let at = self.place();
                return Err(match fault {
                    Fault::Ragged { start, found } => at.ragged(start, file.names.len(), found),
                    Fault::Unclosed { quote, .. } => at.unclosed(quote),
                });
            }
            Some(_) => self.reject(1),
        }
        Ok(self.splitter.rows())
    }

    /// Looks for records of the block that are no UTF-8. The first ends the run, or all of them go.
    fn check_encoding(&mut self, raise: bool) -> Result<()> {
        let run = self.run.clone();
        let file = &run.file;
        let width = file.names.len();
        let mut wrong = Vec::new();
        for (row, record) in self.splitter.fields.chunks_exact(width).enumerate() {
            let bad = record.iter().enumerate().find(|(column, field)| {
                !is_binary(&file.types[*column])
                    && std::str::from_utf8(&self.bytes[field.start()..field.end()]).is_err()
            });
            if let Some((column, field)) = bad {
                wrong.push((row, column, *field));
                if raise {
                    break;
                }
            }
        }
        let Some((row, column, field)) = wrong.first() else { return Ok(()) };
        if raise {
            // A value that does not fit may stand before it.
            let start = self.splitter.starts[*row] as usize;
            let text = &self.bytes[field.start()..field.end()];
            let error = self.place().encoding(start, &file.names[*column], text);
            self.splitter.fields.truncate(row * width);
            self.splitter.starts.truncate(*row);
            self.block(0, None)?;
            return Err(error);
        }
        self.reject(wrong.len() as u64);
        let mut kept = vec![true; self.splitter.rows()];
        for (row, ..) in &wrong {
            kept[*row] = false;
        }
        let mut row = 0;
        self.splitter.fields.retain(|_| {
            row += 1;
            kept[(row - 1) / width]
        });
        let mut row = 0;
        self.splitter.starts.retain(|_| {
            row += 1;
            kept[row - 1]
        });
        Ok(())
    }

    fn place(&self) -> Where<'_> {
        Where { name: &self.run.file.name, bytes: &self.bytes, offset: self.place.start, line: self.place.line }
    }

    fn value_error(&self, row: usize, column: usize) -> Error {
        let file = &self.run.file;
        let field = self.splitter.fields[row * file.names.len() + column];
        let mut text = self.bytes[field.start()..field.end()].to_vec();
        if field.is_raw() {
            let raw = std::mem::take(&mut text);
            unescape(&file.dialect, &raw, &mut text);
        }
        let start = self.splitter.starts[row] as usize;
        self.place().value(start, &file.names[column], &file.types[column], &text, &file.writing)
    }

    fn reject(&self, records: u64) {
        self.run.counters.rejects.fetch_add(records, std::sync::atomic::Ordering::Relaxed);
    }

    fn finish(&mut self, rows: usize) -> Result<Held> {
        let schema = self.run.schema.clone();
        let arrays =
            self.columns.iter_mut().zip(schema.fields()).map(|(column, field)| {
                column.finish().map_err(|e| e.context(format_args!("column `{}`", field.name())))
            });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let mut batch = with_columns(schema, arrays, rows)?;
        if !self.bad.is_empty() {
            self.bad.sort_unstable();
            self.bad.dedup();
            self.reject(self.bad.len() as u64);
            if self.run.file.on_error == OnError::Skip {
                let mut kept = vec![true; rows];
                for row in &self.bad {
                    kept[*row] = false;
                }
                batch = arrow::compute::filter_record_batch(&batch, &kept.into())?;
            }
        }
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        let bytes = bytes_held(&batch);
        let lease = self.lease.split(bytes)?;
        let first = Ordinal { piece: 0, row: self.row };
        self.row = self.row.saturating_add(u32::try_from(rows).unwrap_or(u32::MAX));
        self.run.counters.rows_in.fetch_add(rows as u64, relaxed);
        self.run.counters.rows_out.fetch_add(batch.num_rows() as u64, relaxed);
        self.run.counters.bytes_out.fetch_add(bytes as u64, relaxed);
        Ok(Held { batch, first, lease })
    }
}

/// Whether a file's column can be read as `dtype`.
pub(super) fn check(name: &str, dtype: &DataType, file: &File) -> Result<()> {
    column(0, dtype, &super::column::Nulls::new(&[]), &file.writing).map(drop).map_err(|e| match e {
        Error::NotImplemented(m) => Error::NotImplemented(format!("column `{name}`: {m}")),
        other => other.context(format_args!("column `{name}`")),
    })
}
