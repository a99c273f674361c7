//! Bad records and values of a batch, on their way to the log of rejects.
//!
//! With `on_error="skip"` a reject is a record: told once, for what is wrong with its structure or else for the first
//! of its values that does not fit, and left out. With `"null"` a reject is a value, for which there is a null then;
//! only a record whose fields cannot be told apart, or are too few or too many, is left out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::nullif;

use crate::context::Context;
use crate::context::rejects::{Entry, Log, Reject};
use crate::error::Result;
use crate::format::OnError;
use crate::memory::Lease;
use crate::piece::Place;

use super::batches::Batches;
use super::cut::lines_in;
use super::fault;
use super::read::Run;
use super::split::Fault;

/// Bytes of rejects after which a batch ends, so that a piece of nothing else stays small.
const FULL: usize = 128 << 10;
/// Most bytes of a record that a reject shows.
const RAW: usize = 64 << 10;

/// What could not be read of a batch.
pub(super) struct Found {
    log: Arc<Log>,
    file: Arc<str>,
    skips: bool,
    /// Records of the batch so far, good and bad.
    records: u64,
    rejects: Vec<Reject>,
    /// Of `rejects`.
    bytes: usize,
    lease: Lease,
    /// A place in the piece and its line, not behind that of the next reject.
    at: usize,
    line: u64,
    /// Rows of the batch before this block.
    before: usize,
    /// What is wrong in this block.
    block: Vec<Wrong>,
    /// Rows of the batch to be left out.
    left_out: Vec<usize>,
    /// Values of the batch to be made null: column of the file and row.
    nulls: Vec<(usize, usize)>,
}

/// A field of the block that cannot be read.
struct Wrong {
    row: usize,
    column: usize,
    /// Why it is no text, and where its record ends; `None`: its value does not fit.
    no_text: Option<(Box<str>, usize)>,
}

impl Found {
    /// Nothing yet of the piece at `place`.
    pub(super) fn new(run: &Run, log: &Arc<Log>, place: &Place) -> Self {
        Self {
            log: log.clone(),
            file: run.file.name.as_str().into(),
            skips: run.file.on_error == OnError::Skip,
            records: 0,
            rejects: Vec::new(),
            bytes: 0,
            lease: run.holder.empty(),
            at: 0,
            line: place.line,
            before: 0,
            block: Vec::new(),
            left_out: Vec::new(),
            nulls: Vec::new(),
        }
    }

    /// Whether the batch should end.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= FULL
    }

    /// Whether there was a record since the last batch.
    pub(super) fn has_records(&self) -> bool {
        self.records > 0
    }

    /// A block begins, behind `before` rows of the batch.
    pub(super) fn begin(&mut self, before: usize) {
        self.before = before;
        self.block.clear();
    }

    /// The value at `row` and `column` of the block does not fit.
    pub(super) fn value(&mut self, row: usize, column: usize) {
        self.block.push(Wrong { row, column, no_text: None });
    }

    /// The field at `row` and `column` of the block is no UTF-8.
    pub(super) fn no_text(&mut self, batches: &Batches, row: usize, column: usize) {
        let width = batches.run.file.names.len();
        let field = batches.splitter.fields[row * width + column];
        let why = fault::no_text(batches.run.file.encoding(), &batches.bytes[field.start()..field.end()]);
        self.block.push(Wrong {
            row,
            column,
            no_text: Some((why.into(), batches.splitter.end_of(&batches.bytes, row))),
        });
    }

    /// Makes rejects of what is wrong in the block, and of the record behind it, if that is none.
    ///
    /// # Errors
    /// Memory that is not there.
    pub(super) fn tell(&mut self, batches: &Batches, fault: Option<Fault>) -> Result<()> {
        let mut block = std::mem::take(&mut self.block);
        if self.skips {
            block.sort_by_key(|wrong| (wrong.row, wrong.no_text.is_none(), wrong.column));
            block.dedup_by_key(|wrong| wrong.row);
        } else {
            block.sort_by_key(|wrong| (wrong.row, wrong.column));
        }
        let file = &batches.run.file;
        for Wrong { row, column, no_text } in block.drain(..) {
            let start = batches.splitter.starts[row] as usize;
            let (reason, end) = if let Some(no_text) = no_text {
                self.nulls.push((column, self.before + row));
                no_text
            } else {
                let (value, dtype) = (batches.value(row, column), &file.types[column]);
                (fault::no_value(dtype, &value).into(), batches.splitter.end_of(&batches.bytes, row))
            };
            if self.skips {
                self.left_out.push(self.before + row);
            }
            self.reject(batches, self.records + row as u64, (start, end), Some(&file.names[column]), reason)?;
        }
        self.block = block;
        self.records += batches.splitter.rows() as u64;
        if let Some(fault) = fault {
            let (start, why) = match fault {
                Fault::Ragged { start, found } => (start, fault::ragged(file.names.len(), found)),
                Fault::Unclosed { start, .. } => (start, fault::UNCLOSED.to_owned()),
                Fault::Stray { start, .. } => (start, fault::STRAY.to_owned()),
            };
            self.reject(batches, self.records, (start, batches.at), None, why.into())?;
            self.records += 1;
        }
        Ok(())
    }

    fn reject(
        &mut self,
        batches: &Batches,
        record: u64,
        (start, end): (usize, usize),
        column: Option<&str>,
        reason: Box<str>,
    ) -> Result<()> {
        self.line += lines_in(&batches.bytes[self.at..start]);
        self.at = start;
        let raw = without_end(&batches.bytes[start..end]);
        let raw = &raw[..raw.len().min(RAW)];
        // Bytes that are no UTF-8 may take three times as many.
        let most = size_of::<Reject>() + column.map_or(0, str::len) + reason.len() + 3 * raw.len();
        self.lease.resize(self.bytes + most)?;
        let reject = Reject {
            record,
            line: self.line,
            offset: batches.place.start + start as u64,
            column: column.map(Into::into),
            reason,
            raw: String::from_utf8_lossy(raw).into(),
        };
        self.bytes += reject.bytes();
        self.rejects.push(reject);
        Ok(())
    }

    /// Makes the values null that were no text.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn make_nulls(&mut self, arrays: &mut [ArrayRef], columns: &[usize], rows: usize) -> Result<()> {
        if self.nulls.is_empty() {
            return Ok(());
        }
        for (array, column) in arrays.iter_mut().zip(columns) {
            let mut wrong = vec![false; rows];
            self.nulls.iter().filter(|(c, _)| c == column).for_each(|(_, row)| wrong[*row] = true);
            if wrong.contains(&true) && !array.data_type().is_null() {
                *array = nullif(array, &BooleanArray::from(wrong))?;
            }
        }
        self.nulls.clear();
        Ok(())
    }

    /// Which of the batch's rows stay; `None`: all.
    pub(super) fn kept(&mut self, rows: usize) -> Option<BooleanArray> {
        if self.left_out.is_empty() {
            return None;
        }
        let mut kept = vec![true; rows];
        self.left_out.drain(..).for_each(|row| kept[row] = false);
        Some(kept.into())
    }

    /// Puts the batch's records and rejects on the tray; how many records there were.
    pub(super) fn hand_over(&mut self, context: &Context) -> u64 {
        let records = std::mem::take(&mut self.records);
        let empty = self.lease.holder().empty();
        context.tray.put(Entry {
            log: self.log.clone(),
            file: self.file.clone(),
            records,
            rejects: std::mem::take(&mut self.rejects),
            lease: std::mem::replace(&mut self.lease, empty),
        });
        self.bytes = 0;
        records
    }
}

/// The same without the line end behind it.
fn without_end(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\r' | b'\n'] => line,
        line => line,
    }
}
