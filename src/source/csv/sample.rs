//! The sample that inference looks at: head, middle and tail of a file, or the head of what comes once.

use std::collections::VecDeque;

use arrow::datatypes::DataType;

use crate::error::Result;
use crate::format::CsvDialect;
use crate::source::read_at::ReadAt;

use super::column::{Nulls, Writing};
use super::cut::{Cut, Cutter, LARGE, SMALL};
use super::index::Field;
use super::infer::Seen;
use super::split::{Block, Fault, Most, Splitter, after_line};
use super::unescape::unescape;

/// Most bytes of the head that are looked at, unless all of the file is asked for.
const HEAD: usize = 8 << 20;
/// Fewer rows than this are taken from the head alone.
const FEW: usize = 1_000;

/// Looks at values, record by record.
#[derive(Debug)]
pub(super) struct Sample<'a> {
    splitter: Splitter,
    dialect: &'a CsvDialect,
    nulls: &'a [Nulls],
    writing: &'a Writing,
    dates: bool,
    seen: Vec<Seen>,
    rows: usize,
}

impl<'a> Sample<'a> {
    /// Of records of `nulls.len()` fields.
    pub(super) fn new(dialect: &'a CsvDialect, nulls: &'a [Nulls], writing: &'a Writing, dates: bool) -> Self {
        let splitter = Splitter::new(dialect.clone(), Some(nulls.len()));
        Self { splitter, dialect, nulls, writing, dates, seen: vec![Seen::default(); nulls.len()], rows: 0 }
    }

    /// The types that hold what was seen.
    pub(super) fn types(&self) -> Vec<DataType> {
        self.seen.iter().map(|s| s.dtype()).collect()
    }

    /// Records seen.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes a cut that was made before into account.
    pub(super) fn first(&mut self, cut: &Cut, rows: usize) {
        self.look(&cut.bytes, rows);
    }

    /// Takes the head of an input into account: cuts until `rows` records were seen, the input ends or reading on
    /// may wait for whoever makes it. `None`: all of it. The cuts are kept where `keep` says so.
    ///
    /// # Errors
    /// The input's.
    pub(super) fn head(
        &mut self,
        cutter: &mut Cutter,
        rows: Option<usize>,
        keep: bool,
    ) -> Result<(VecDeque<Cut>, bool)> {
        let (mut kept, mut bytes) = (VecDeque::new(), 0);
        loop {
            let enough = rows.is_some_and(|rows| self.rows >= rows || bytes >= HEAD);
            if enough || (self.rows > 0 && cutter.may_wait()) {
                return Ok((kept, false));
            }
            let Some(cut) = cutter.cut(Cutter::target(cutter.offset()), None)? else { return Ok((kept, true)) };
            bytes += cut.bytes.len();
            self.look(&cut.bytes, rows.map_or(usize::MAX, |rows| rows.saturating_sub(self.rows)));
            if keep {
                kept.push_back(cut);
            }
        }
    }

    /// Takes the middle and the end of a file into account, about `rows` records of each, from `behind` on.
    ///
    /// # Errors
    /// The file's.
    pub(super) fn windows(&mut self, at: &dyn ReadAt, behind: u64, rows: usize) -> Result<()> {
        let size = at.size();
        let per_row = usize::try_from(behind).unwrap_or(usize::MAX) / self.rows.max(1);
        let len = per_row.saturating_mul(rows).clamp(SMALL / 16, LARGE);
        for place in [behind + (size - behind.min(size)) / 2, size.saturating_sub(len as u64)] {
            let place = place.max(behind);
            let mut window = vec![0; len.min(usize::try_from(size.saturating_sub(place)).unwrap_or(usize::MAX))];
            let mut have = 0;
            while have < window.len() {
                match at.read_at(&mut window[have..], place + have as u64)? {
                    0 => break,
                    n => have += n,
                }
            }
            window.truncate(have);
            self.window(&window);
        }
        Ok(())
    }

    /// Looks at a part of a file that begins and ends anywhere. Whether a quote is open where it begins is not known: it
    /// is read both ways. A reading counts only if it finds records, and all of the right number of fields; where both do,
    /// as they may where lines of a quoted text look like records, nothing is learned unless they tell the same.
    fn window(&mut self, bytes: &[u8]) {
        let before = (self.seen.clone(), self.rows);
        let mut readings = Vec::new();
        for inside in [false, true] {
            if inside && !self.dialect.quote.is_some_and(|quote| bytes.contains(&quote)) {
                continue;
            }
            let from = first_record(self.dialect, bytes, inside);
            if from < bytes.len() && self.is_regular(bytes, from) {
                self.look(&bytes[from..], usize::MAX);
                readings.push((std::mem::replace(&mut self.seen, before.0.clone()), self.rows));
                self.rows = before.1;
            }
        }
        let types = |seen: &[Seen]| seen.iter().map(|s| s.dtype()).collect::<Vec<_>>();
        if readings.iter().all(|(seen, _)| types(seen) == types(&readings[0].0))
            && let Some(told) = readings.into_iter().next()
        {
            (self.seen, self.rows) = told;
        }
    }

    fn is_regular(&mut self, bytes: &[u8], mut at: usize) -> bool {
        let most = Most::rows(self.block());
        while at < bytes.len() {
            let block = self.splitter.block(bytes, at, most);
            match block.fault {
                None => at = block.end,
                // The last record may be cut off.
                Some(_) => return block.end == bytes.len() && self.splitter.rows() > 0,
            }
        }
        true
    }

    fn block(&self) -> usize {
        (16_384 / self.nulls.len().max(1)).clamp(1, 1024)
    }

    /// Takes whole records into account, at most `rows` of them; a bad one is left to the run.
    fn look(&mut self, bytes: &[u8], rows: usize) {
        let (mut at, mut left) = (0, rows);
        let mut scratch = Vec::new();
        while at < bytes.len() && left > 0 {
            let Block { end, fault } = self.splitter.block(bytes, at, Most::rows(self.block().min(left)));
            for record in self.splitter.fields.chunks_exact(self.nulls.len().max(1)) {
                for ((field, seen), nulls) in record.iter().zip(&mut self.seen).zip(self.nulls) {
                    let text = value(self.dialect, bytes, *field, &mut scratch);
                    seen.value(text, nulls, self.writing, self.dates);
                }
            }
            self.rows += self.splitter.rows();
            left -= self.splitter.rows();
            at = end;
            if matches!(fault, Some(Fault::Unclosed { .. })) {
                return;
            }
        }
    }
}

/// Where the first record behind the one that `bytes` begin in begins, if a quote is open there or not.
fn first_record(dialect: &CsvDialect, bytes: &[u8], mut inside: bool) -> usize {
    let mut at = 0;
    while let Some(b) = bytes.get(at) {
        if inside && Some(*b) == dialect.escape {
            at += 1;
        } else if Some(*b) == dialect.quote {
            inside = !inside;
        } else if !inside && matches!(b, b'\n' | b'\r') {
            return after_line(bytes, at);
        }
        at += 1;
    }
    bytes.len()
}

fn value<'a>(dialect: &CsvDialect, bytes: &'a [u8], field: Field, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let text = &bytes[field.start()..field.end()];
    if !field.is_raw() {
        return text;
    }
    scratch.clear();
    unescape(dialect, text, scratch);
    scratch
}

/// How `rows` are split: those of the head, and those of the middle and of the tail each.
pub(super) fn shares(rows: usize) -> (usize, usize) {
    if rows < FEW { (rows, 0) } else { (rows - rows / 4 * 2, rows / 4) }
}
