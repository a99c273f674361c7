//! The batches of a piece: split, checked, parsed; bad records told or left out.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use crate::batch::{bytes_held, with_columns};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::memory::Lease;
use crate::piece::{Held, Ordinal, Place};

use super::column::{Fill, Rows, is_binary};
use super::encoding::Encoding;
use super::fault::Where;
use super::found::Found;
use super::judge::Judge;
use super::read::Run;
use super::split::{Fault, Most, Splitter};

/// The batches of a piece.
pub(super) struct Batches {
    pub(super) run: Arc<Run>,
    pub(super) context: Arc<Context>,
    pub(super) place: Place,
    pub(super) bytes: Bytes,
    pub(super) at: usize,
    pub(super) row: u32,
    /// Whether all of `bytes` is UTF-8 without a zero byte.
    pub(super) is_text: bool,
    pub(super) splitter: Splitter,
    pub(super) columns: Vec<Box<dyn Fill>>,
    /// Predicates that the reader applies.
    pub(super) judge: Option<Judge>,
    /// What could not be read of the batch; `None`: the first of it ends the run.
    pub(super) found: Option<Found>,
    pub(super) lease: Lease,
    pub(super) _raw: Lease,
}

impl Iterator for Batches {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batch();
        if !matches!(batch, Ok(Some(_))) {
            self.at = self.bytes.len();
        }
        batch.transpose()
    }
}

impl Batches {
    fn batch(&mut self) -> Result<Option<Held>> {
        let options = &self.context.options;
        let (most_rows, most_bytes) = (options.batch_size, options.bytes_in_force());
        let mut rows = 0;
        let mut used = 0_usize;
        while self.at < self.bytes.len() && rows < most_rows && (rows == 0 || used < most_bytes) {
            if self.found.as_ref().is_some_and(Found::is_full) {
                break;
            }
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
            let all = self.splitter.rows();
            if self.found.is_none() {
                self.run.counters.rows_in.fetch_add(all as u64, Relaxed);
            }
            let taken = if self.found.is_some() { taken } else { self.admit(from)? };
            used += taken;
            if rows == 0 {
                self.reserve(taken, all, most_rows, most_bytes);
            }
            rows += self.block(rows, block.fault)?;
        }
        if rows == 0 && !self.found.as_ref().is_some_and(Found::has_records) {
            return Ok(None);
        }
        self.finish(rows).map(Some)
    }

    /// Makes room for the rows that the batch should have, judged by its first block, which took `taken` bytes and had
    /// `all` records before predicates; no more than were leased.
    fn reserve(&mut self, taken: usize, all: usize, most_rows: usize, most_bytes: usize) {
        let fixed = self.run.fixed;
        let seen = self.splitter.rows().max(1);
        let left = (self.bytes.len() - self.at) / all.max(1) * seen;
        let text = (taken / seen).saturating_sub(fixed).max(1);
        let likely = if left == 0 { seen } else { seen + left / text + left / text / 16 + 8 };
        let beside = 2 * self.bytes.len() + self.run.beside;
        let leased = self.lease.bytes().saturating_sub(beside) / fixed.max(1);
        let rows = likely.min(most_rows).min(most_bytes / (fixed + text) + 8).min(leased.max(seen));
        for column in &mut self.columns {
            column.reserve(rows);
        }
    }

    /// Looks at the text of the block that begins at `from`, and leaves out the records that the predicates rule out; the
    /// bytes that the others take.
    fn admit(&mut self, from: usize) -> Result<usize> {
        if !self.is_text {
            self.check_encoding(from)?;
        }
        let text = self.judge(from)?;
        Ok(text + self.splitter.rows() * self.run.fixed)
    }

    /// Leaves out the records that the predicates rule out; the bytes of the others' text.
    fn judge(&mut self, from: usize) -> Result<usize> {
        let Some(mut judge) = self.judge.take() else { return Ok(self.at - from) };
        let mask = judge.mask(self.rows(), self.splitter.rows())?;
        self.judge = Some(judge);
        match mask {
            Ok(mask) => Ok(self.splitter.retain(&mask, self.at)),
            Err((row, column)) => {
                let error = self.no_value(row, column);
                self.up_to(row, from)?;
                Err(error)
            }
        }
    }

    /// Parses the records of the block in front of `row`, which is bad: another may be bad before it.
    fn up_to(&mut self, row: usize, from: usize) -> Result<()> {
        self.splitter.truncate(row);
        self.judge(from)?;
        self.parse(None).map(drop)
    }

    /// Adds a block to the columns; `before` rows of the batch are there already. The rows added.
    fn block(&mut self, before: usize, fault: Option<Fault>) -> Result<usize> {
        if self.found.is_some() { self.block_and_faults(before, fault) } else { self.parse(fault) }
    }

    /// Parses what is left of the block; the rows added.
    fn parse(&mut self, fault: Option<Fault>) -> Result<usize> {
        let mut first: Option<(usize, usize)> = None;
        self.fill(&mut |row, column| {
            first = first.into_iter().chain([(row, column)]).min();
            false
        });
        if let Some((row, column)) = first {
            return Err(self.no_value(row, column));
        }
        match fault {
            None => Ok(self.splitter.rows()),
            Some(fault) => Err(self.place().fault(fault, self.run.file.names.len())),
        }
    }

    /// That a value does not fit.
    fn no_value(&self, row: usize, column: usize) -> Error {
        let file = &self.run.file;
        let start = self.splitter.starts[row] as usize;
        let text = self.value(row, column);
        self.place().value(start, &file.names[column], &file.types[column], &text, &file.writing)
    }

    /// As [`Batches::block`], where what is bad is told and the run goes on.
    fn block_and_faults(&mut self, before: usize, fault: Option<Fault>) -> Result<usize> {
        let Some(mut found) = self.found.take() else { return Ok(0) };
        found.begin(before);
        if !self.is_text {
            self.blank_what_is_no_text(&mut found);
        }
        self.fill(&mut |row, column| {
            found.value(row, column);
            true
        });
        found.tell(self, fault)?;
        self.found = Some(found);
        Ok(self.splitter.rows())
    }

    /// Parses the fields of the block; `bad` is told the row and column of a value that does not fit, and says whether
    /// to go on.
    fn fill(&mut self, bad: &mut dyn FnMut(usize, usize) -> bool) {
        let mut columns = std::mem::take(&mut self.columns);
        let rows = self.rows();
        for (fill, column) in columns.iter_mut().zip(&*self.run.columns) {
            fill.fill(rows, &mut |row| bad(row, *column));
        }
        self.columns = columns;
    }

    /// The records of the block.
    fn rows(&self) -> Rows<'_> {
        let file = &self.run.file;
        Rows {
            bytes: &self.bytes,
            is_text: self.is_text,
            fields: &self.splitter.fields,
            width: file.names.len(),
            dialect: &file.dialect,
        }
    }

    /// Fields of the block that are no text and should be, as row and column: they are no UTF-8, or hold a zero byte
    /// and are not quoted, as text does where it is really UTF-16, or where a disk left a hole.
    fn no_text(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let types = &self.run.file.types;
        // What stands for bytes that are no text must not pass for bytes.
        let any = self.run.file.encoding() == Encoding::Utf8;
        self.splitter.fields.chunks_exact(types.len()).enumerate().flat_map(move |(row, record)| {
            record.iter().enumerate().filter_map(move |(column, field)| {
                let text = &self.bytes[field.start()..field.end()];
                let is_text = std::str::from_utf8(text).is_ok() && (field.is_quoted() || !text.contains(&0));
                (!(is_text || any && is_binary(&types[column]))).then_some((row, column))
            })
        })
    }

    /// Looks for the first record of the block that is no UTF-8, which ends the run.
    fn check_encoding(&mut self, from: usize) -> Result<()> {
        let Some((row, column)) = self.no_text().next() else { return Ok(()) };
        let width = self.run.file.names.len();
        let field = self.splitter.fields[row * width + column];
        let start = self.splitter.starts[row] as usize;
        let text = &self.bytes[field.start()..field.end()];
        let error = self.place().encoding(start, &self.run.file.names[column], text);
        self.up_to(row, from)?;
        Err(error)
    }

    /// Tells of fields that are no UTF-8, and empties them.
    fn blank_what_is_no_text(&mut self, found: &mut Found) {
        let wrong: Vec<_> = self.no_text().collect();
        for (row, column) in &wrong {
            found.no_text(self, *row, *column);
        }
        let width = self.run.file.names.len();
        for (row, column) in wrong {
            self.splitter.fields[row * width + column].clear();
        }
    }

    /// Where the piece is.
    pub(super) fn place(&self) -> Where<'_> {
        let file = &self.run.file;
        let (offset, line) = (self.place.start, self.place.line);
        Where { name: &file.name, encoding: file.encoding(), bytes: &self.bytes, offset, line }
    }

    /// A field of the block as a value: without its quotes and escapes.
    pub(super) fn value(&self, row: usize, column: usize) -> Vec<u8> {
        let file = &self.run.file;
        self.splitter.fields[row * file.names.len() + column].value(&file.dialect, &self.bytes)
    }

    fn finish(&mut self, rows: usize) -> Result<Held> {
        let schema = self.run.schema.clone();
        let arrays =
            self.columns.iter_mut().zip(schema.fields()).map(|(column, field)| {
                column.finish().map_err(|e| e.context(format_args!("column `{}`", field.name())))
            });
        let mut arrays = arrays.collect::<Result<Vec<_>>>()?;
        let mut kept = None;
        if let Some(found) = &mut self.found {
            found.make_nulls(&mut arrays, &self.run.columns, rows)?;
            kept = found.kept(rows);
            self.run.counters.rows_in.fetch_add(found.hand_over(&self.context), Relaxed);
        }
        let mut batch = with_columns(schema, arrays, rows)?;
        if let Some(kept) = kept {
            batch = arrow::compute::filter_record_batch(&batch, &kept)?;
        }
        let bytes = bytes_held(&batch);
        let lease = self.lease.split(bytes)?;
        let first = Ordinal { piece: 0, row: self.row };
        self.row = self.row.saturating_add(u32::try_from(rows).unwrap_or(u32::MAX));
        let counters = &self.run.counters;
        counters.rows_out.fetch_add(batch.num_rows() as u64, Relaxed);
        counters.bytes_out.fetch_add(bytes as u64, Relaxed);
        Ok(Held { batch, first, lease })
    }
}
