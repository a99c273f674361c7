//! One column of a row group: decoded by ours where it can, flat or nested; by the crate's else, also from a page on that
//! ours cannot read.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use super::codec::Desk;
use super::flat::{self, Decode, Later, Selection};
use super::foreign::{Foreign, Refused};
use super::guard::guarded;
use super::layout::Column;
use super::nested;
use super::pages::{Chunk, Pages};
use super::rows::Rows;
use crate::context::Counters;
use crate::error::{Error, Result};
use crate::memory::Holder;
use crate::source::filter::RowFilter;
use crate::source::read_at::ReadAt;

/// What it takes to open the decoders of a row group.
pub struct Opening {
    /// The file.
    pub at: Arc<dyn ReadAt>,
    /// Its footer, with the layout that the crate decodes to.
    pub metadata: ArrowReaderMetadata,
    /// The columns that are read, in file order.
    pub columns: Arc<[Column]>,
    /// The row group.
    pub part: usize,
    /// Rows of a window.
    pub window: usize,
    /// Bytes of a window of a column, of more than one row, beyond which it is [`Error::Wide`].
    pub wide: usize,
    /// Its rows that are read; windows are cut by their positions among these.
    pub rows: Arc<Rows>,
    /// The position to begin at.
    pub start: u64,
    /// Who holds the pages.
    pub holder: Holder,
    /// What it takes to decompress them.
    pub desk: Arc<Desk>,
    /// The predicates, which look at the first of the columns.
    pub filter: Option<Arc<RowFilter>>,
    /// What the run counts.
    pub counters: Arc<Counters>,
}

impl Opening {
    /// The pages of leaf column `leaf`.
    ///
    /// # Errors
    /// A row group or column that is not there, a codec that is not supported.
    pub fn pages(&self, leaf: usize) -> Result<Pages> {
        let group = self.metadata.metadata().row_groups().get(self.part);
        let column = group.and_then(|group| group.columns().get(leaf));
        let column = column.ok_or_else(|| Error::Format("no such column in the row group".into()))?;
        Ok(Pages::new(self.at.clone(), Chunk::of(column)?, self.desk.clone(), self.holder.empty()))
    }
}

/// One column, and whoever decodes it.
pub struct ColumnReader {
    /// Its position in the projection.
    column: usize,
    /// The row that is decoded next.
    row: u64,
    /// The position behind the last row that is read.
    end: u64,
    /// Whether the row group ends there.
    whole: bool,
    refused: Refused,
    decoder: Decoder,
    /// What went wrong ahead of the window that will meet it.
    fault: Option<Error>,
}

/// The rows of a window, of one column.
pub enum Part {
    /// They are read.
    Read(ArrayRef),
    /// They are in a decoder of their own, which reads these and nothing else.
    Apart(Box<ColumnReader>),
}

enum Decoder {
    Ours(Box<dyn Decode>),
    /// The crate's, for what the other does not take; opened where it is asked for rows, and anew where these are not the
    /// next ones, or more or fewer than it was opened for.
    Crate(Option<Box<Foreign>>),
    /// Nothing is left, or the decoder is in no state that anybody knows.
    Over,
}

impl ColumnReader {
    /// The decoder of column `column` of the projection, for what is read from position `start` on.
    ///
    /// # Errors
    /// Pages that are not there, or that the run has no room for.
    pub fn open(opening: &Opening, column: usize, start: u64) -> Result<Self> {
        let chosen = &opening.columns[column];
        let group = opening.metadata.metadata().row_groups().get(opening.part);
        let group = group.ok_or_else(|| Error::Format("no such row group".into()))?;
        let rows = usize::try_from(group.num_rows()).map_err(|_| Error::Format("too many rows".into()))?;
        let refused = Refused::default();
        let ours = match Range::clone(&chosen.leaves) {
            Range { start: leaf, end } if leaf + 1 == end && flat::is_flat(group.column(leaf)) => {
                let pages = || opening.pages(leaf);
                flat::open(group.column(leaf), &chosen.announced, pages, &opening.holder, rows, opening.wide)
            }
            _ => {
                // what the window's piece leases (`ParquetPieces::next`)
                let share = chosen.row_bytes(opening.part).saturating_mul(2);
                nested::open(group, chosen, |leaf| opening.pages(leaf), &opening.holder, share, rows, opening.wide)
            }
        };
        let (row, end) = (opening.rows.row(start), opening.rows.count());
        let decoder = if let Some(mut ours) = ours.map_err(|e| failed(&refused, e, chosen))? {
            ours.skip(usize::try_from(row).map_err(|_| Error::Format("too many rows".into()))?);
            Decoder::Ours(ours)
        } else {
            Decoder::Crate(None)
        };
        let whole = opening.rows.row(end) == rows as u64;
        Ok(Self { column, row, end, whole, refused, decoder, fault: None })
    }

    /// The pages that the next `rows` rows will probably ask for ([`Decode::soon`]).
    pub fn soon(&mut self, rows: usize) -> Vec<Arc<Later>> {
        match &mut self.decoder {
            Decoder::Ours(ours) if self.fault.is_none() => guarded("page", || Ok(ours.soon(rows))).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Reads the page that the next `rows` rows will ask for; false where there is nothing to do.
    pub fn prepare(&mut self, opening: &Opening, rows: usize) -> bool {
        let Decoder::Ours(ours) = &mut self.decoder else { return false };
        if self.fault.is_some() {
            return false;
        }
        match guarded("page", || ours.prepare(rows)) {
            Ok(done) => done,
            Err(e) => {
                // no room now may be room in its turn
                let e = failed(&self.refused, e, &opening.columns[self.column]);
                self.fault = (!matches!(e, Error::MemoryLimit(_))).then_some(e);
                false
            }
        }
    }

    /// Those of the `rows` rows from position `start` on that `keep` wants, or all; they come behind those that were read
    /// before. After the group's last one, nothing may follow.
    ///
    /// # Errors
    /// Damaged pages, also those that were met ahead of time; then nothing more is read. [`Error::Wide`], and then what
    /// follows may be read.
    pub fn read(&mut self, opening: &Opening, start: u64, rows: usize, keep: Option<&Selection>) -> Result<ArrayRef> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let chosen = &opening.columns[self.column];
        if let (Decoder::Ours(ours), Some(keep)) = (&mut self.decoder, keep)
            && keep.count() == 0
        {
            pass(ours.as_mut(), &mut self.row, opening.rows.row(start + rows as u64));
            return Ok(new_empty_array(&chosen.announced));
        }
        let out =
            guarded("page", || self.decode(opening, start, rows, keep)).map_err(|e| failed(&self.refused, e, chosen));
        match (&out, &mut self.decoder) {
            (Err(Error::Wide), Decoder::Ours(ours)) => {
                pass(ours.as_mut(), &mut self.row, opening.rows.row(start + rows as u64));
            }
            (Err(Error::Wide), Decoder::Crate(reader)) => *reader = None,
            (Err(_), _) => self.decoder = Decoder::Over,
            (Ok(_), _) if start + rows as u64 == self.end => self.decoder = Decoder::Over,
            _ => {}
        }
        out
    }

    /// As `read`, or its rows in a decoder of their own, so that another worker can go on behind them meanwhile; what takes
    /// time is left to that decoder. What cannot be set apart is read.
    ///
    /// # Errors
    /// As `read`.
    pub fn apart(&mut self, opening: &Opening, start: u64, rows: usize, keep: Option<&Selection>) -> Result<Part> {
        let wanted = keep.is_none_or(|keep| keep.count() > 0);
        // whether anything follows the last row is for this decoder to see
        if wanted && self.fault.is_none() && start + (rows as u64) < self.end {
            let found = guarded("page", || self.set_apart(opening, start, rows));
            match found.map_err(|e| failed(&self.refused, e, &opening.columns[self.column])) {
                Ok(None) => {}
                Ok(Some(apart)) => return Ok(Part::Apart(Box::new(apart))),
                Err(e) => {
                    self.decoder = Decoder::Over;
                    return Err(e);
                }
            }
        }
        self.read(opening, start, rows, keep).map(Part::Read)
    }

    fn set_apart(&mut self, opening: &Opening, start: u64, rows: usize) -> Result<Option<Self>> {
        let Decoder::Ours(ours) = &mut self.decoder else { return Ok(None) };
        let mut stretch = opening.rows.stretch(start, rows as u64);
        let (Some(range), None) = (stretch.next(), stretch.next()) else { return Ok(None) };
        pass(ours.as_mut(), &mut self.row, range.start);
        let Some(apart) = ours.apart(rows)? else { return Ok(None) };
        self.row = range.end;
        pass(ours.as_mut(), &mut self.row, opening.rows.row(start + rows as u64));
        let Self { column, end, .. } = *self;
        let decoder = Decoder::Ours(apart);
        Ok(Some(Self {
            column,
            row: range.start,
            end,
            whole: false,
            refused: Refused::default(),
            decoder,
            fault: None,
        }))
    }

    fn decode(&mut self, opening: &Opening, start: u64, rows: usize, keep: Option<&Selection>) -> Result<ArrayRef> {
        let chosen = &opening.columns[self.column];
        if let Decoder::Ours(ours) = &mut self.decoder {
            let stretch = opening.rows.stretch(start, rows as u64);
            match our_rows(ours.as_mut(), &mut self.row, stretch, keep, &chosen.announced)? {
                Some(found) => {
                    pass(ours.as_mut(), &mut self.row, opening.rows.row(start + rows as u64));
                    return Ok(found);
                }
                // a page that only the crate reads: it begins where this window does
                None => self.decoder = Decoder::Crate(None),
            }
        }
        let Decoder::Crate(reader) = &mut self.decoder else { return Err(Error::Cancelled) };
        let reader = match reader {
            Some(reader) if reader.is_at(start, rows) => reader,
            reader => reader.insert(Box::new(Foreign::open(opening, chosen, &self.refused, start, rows)?)),
        };
        // what the window's piece has leased (`ParquetPieces::next`)
        let share = chosen.row_bytes(opening.part).saturating_mul(rows).saturating_mul(2);
        let batch = reader.next(opening.rows.stretch(start, rows as u64), share)?;
        let batch = batch.ok_or_else(|| Error::Format("ends before its row group does".into()))?;
        let [found] = batch.columns() else { return Err(Error::Format("is more than one column".into())) };
        if found.len() < rows {
            return Err(Error::Format(format!("expected {rows} more rows, found {}", found.len())));
        }
        let last = self.whole && start + rows as u64 == self.end;
        if found.len() > rows || (last && reader.has_more()?) {
            return Err(Error::Format(format!(
                "has more rows than the {} of its row group",
                opening.rows.row(self.end)
            )));
        }
        if null_keys(found) {
            return Err(Error::Format("a map has a null key".into()));
        }
        let found = match keep {
            Some(keep) => arrow::compute::filter(found, &keep.mask())?,
            None => found.clone(),
        };
        // views would hold on to pages that are leased only as long as they are read
        let views = matches!(found.data_type(), DataType::Utf8View | DataType::BinaryView);
        Ok(if views { cast(&found, &chosen.announced)? } else { found })
    }
}

/// Leaves out the rows before `row`.
fn pass(ours: &mut dyn Decode, at: &mut u64, row: u64) {
    ours.skip(usize::try_from(row.saturating_sub(*at)).unwrap_or(usize::MAX));
    *at = row.max(*at);
}

/// Those of the rows of `stretch` that `keep` wants, or all; what lies between the ranges is left out. `None` as
/// [`Decode::read`] has it. More than one range costs a copy of what was decoded.
fn our_rows(
    ours: &mut dyn Decode,
    at: &mut u64,
    stretch: impl Iterator<Item = Range<u64>>,
    keep: Option<&Selection>,
    to: &DataType,
) -> Result<Option<ArrayRef>> {
    let mut found = Vec::new();
    let mut done = 0;
    for range in stretch {
        pass(ours, at, range.start);
        let rows = usize::try_from(range.end - range.start).map_err(|_| Error::Format("too many rows".into()))?;
        let keep = keep.map(|keep| keep.slice(done, rows));
        done += rows;
        if keep.as_ref().is_some_and(|keep| keep.count() == 0) {
            continue;
        }
        let part = ours.read(rows, keep.as_ref());
        if !matches!(part, Ok(None)) {
            *at = range.end;
        }
        let Some(part) = part? else { return Ok(None) };
        found.push(part);
    }
    Ok(Some(match found.as_slice() {
        [] => new_empty_array(to),
        [one] => one.clone(),
        many => concat(&many.iter().map(|part| part.as_ref() as &dyn Array).collect::<Vec<_>>())?,
    }))
}

/// Whether a map within `column` has a null for a key, which a file can say and Arrow cannot.
fn null_keys(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Map(..) => {
            let map = column.as_map();
            map.keys().null_count() > 0 || null_keys(map.values())
        }
        DataType::Struct(_) => column.as_struct().columns().iter().any(null_keys),
        DataType::List(_) => null_keys(column.as_list::<i32>().values()),
        DataType::LargeList(_) => null_keys(column.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => null_keys(column.as_fixed_size_list().values()),
        _ => false,
    }
}

/// What went wrong in `column`: why no page could be read, if that is it, else `error`.
fn failed(refused: &Refused, error: Error, column: &Column) -> Error {
    let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
    refused.unwrap_or(error).context(format!("column `{}`", column.name))
}
