//! One row group read by several workers at once, in order, each page decoded once.
//!
//! A row group is cut into *windows* of rows, and its columns into *lanes*: each lane is one decoder behind a lock. The
//! worker of window n + 1 follows one lane behind the worker of window n, so that both decode at the same time, no
//! decoder ever goes back, and whole batches form in one worker, in order. Held are one page and one dictionary a
//! column, whatever the size of the row group.
//!
//! A lane's window must be worth the hand-over (about 0.2 ms), so cheap columns share one.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type as Physical;
use parquet::file::metadata::ColumnChunkMetaData;

use super::gate::{Chunk, Gate, PageLease};
use super::guard::guarded;
use super::layout::Column;
use crate::context::{Context, TICK};
use crate::error::{Error, Result};
use crate::memory::Holder;
use crate::source::read_at::ReadAt;

/// Bytes of a lane's window below which the next column joins the lane.
const WORTH: usize = 384 << 10;

/// The columns of a row group that are read, as decoders that any worker can drive.
pub struct RowGroup {
    lanes: Vec<Lane>,
    dead: AtomicBool,
}

/// Some columns that are decoded together.
struct Lane {
    /// Their positions in the projection.
    columns: Range<usize>,
    what: String,
    /// Rows of the row group.
    end: u64,
    pages: Arc<Mutex<PageLease>>,
    state: Mutex<LaneState>,
    moved: Condvar,
}

struct LaneState {
    reader: Option<ParquetRecordBatchReader>,
    row: u64,
}

/// What it takes to open the decoders of a row group.
pub struct Opening<'a> {
    /// The file.
    pub at: &'a Arc<dyn ReadAt>,
    /// Its footer, with the layout that is decoded to.
    pub metadata: &'a ArrowReaderMetadata,
    /// The columns that are read, in file order.
    pub columns: &'a [Column],
    /// The row group.
    pub part: usize,
    /// Rows of a window.
    pub window: usize,
    /// The row to begin at.
    pub start: u64,
    /// Who holds the pages.
    pub pages: &'a Holder,
}

impl RowGroup {
    /// Opens the decoders; `together` in one lane, for a row group that one worker reads alone.
    ///
    /// # Errors
    /// Pages that are not there, or that the run has no room for.
    pub fn open(opening: &Opening<'_>, together: bool) -> Result<Self> {
        let mut lanes = Vec::new();
        let mut first = 0;
        let mut bytes = 0;
        for (i, column) in opening.columns.iter().enumerate() {
            bytes += column.row_bytes(opening.part) * opening.window;
            let last = i + 1 == opening.columns.len();
            if last || (!together && bytes >= WORTH) {
                lanes.push(Lane::open(opening, first..i + 1)?);
                first = i + 1;
                bytes = 0;
            }
        }
        Ok(Self { lanes, dead: AtomicBool::new(false) })
    }

    /// The columns of the window that begins at `start`, once all earlier windows have passed.
    ///
    /// # Errors
    /// Damaged pages, by column; [`Error::Cancelled`] when an earlier window failed or the run ended.
    pub fn read(&self, start: u64, rows: usize, context: &Context) -> Result<Vec<ArrayRef>> {
        let out = self.pass(start, rows, context);
        if out.is_err() {
            self.dead.store(true, Ordering::Relaxed);
            for lane in &self.lanes {
                lane.moved.notify_all();
            }
        }
        out
    }

    fn pass(&self, start: u64, rows: usize, context: &Context) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::new();
        for lane in &self.lanes {
            let mut state = lane.state.lock().unwrap_or_else(PoisonError::into_inner);
            while state.row != start {
                if self.dead.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                context.cancel.check()?;
                state = lane.moved.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
            }
            let batch = lane.next(&mut state, rows)?;
            drop(state);
            lane.moved.notify_all();
            columns.extend(batch.columns().iter().cloned());
        }
        Ok(columns)
    }
}

/// Why the gate was shut, if it was.
fn refused(pages: &Mutex<PageLease>) -> Option<Error> {
    pages.lock().unwrap_or_else(PoisonError::into_inner).refused()
}

impl Lane {
    fn open(opening: &Opening<'_>, columns: Range<usize>) -> Result<Self> {
        let chosen = &opening.columns[columns.clone()];
        let what = match chosen {
            [one] => format!("column `{}`", one.name),
            [first, .., last] => format!("columns `{}` to `{}`", first.name, last.name),
            [] => String::new(),
        };
        let footer = opening.metadata.metadata();
        let group = footer.row_groups().get(opening.part).ok_or_else(|| Error::Format("no such row group".into()))?;
        let end = u64::try_from(group.num_rows()).unwrap_or(0);
        let leaves = chosen.iter().flat_map(|c| c.leaves.clone());
        let held = PageLease::new(opening.pages.empty(), leaves.map(|leaf| chunk(group.column(leaf))));
        let held = Arc::new(Mutex::new(held));
        let gate = Gate::new(opening.at.clone(), opening.at.size(), held.clone());
        let mask = ProjectionMask::roots(footer.file_metadata().schema_descr(), chosen.iter().map(|c| c.root));
        let start = usize::try_from(opening.start).map_err(|_| Error::Format("too many rows".into()))?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(gate, opening.metadata.clone())
            .with_row_groups(vec![opening.part])
            .with_projection(mask)
            .with_batch_size(opening.window);
        if start > 0 {
            // otherwise nothing is selected, so that a column with more rows than the group gives itself away
            builder = builder.with_offset(start);
        }
        let reader = guarded("first page", || builder.build().map_err(|e| refused(&held).unwrap_or_else(|| e.into())))
            .map_err(|e| e.context(&what))?;
        let state = Mutex::new(LaneState { reader: Some(reader), row: opening.start });
        Ok(Self { columns, what, end, pages: held, state, moved: Condvar::new() })
    }

    /// The next `rows` rows; after the group's last one, nothing may follow.
    fn next(&self, state: &mut LaneState, rows: usize) -> Result<RecordBatch> {
        let out = guarded("page", || self.decode(state, rows)).map_err(|e| e.context(&self.what));
        // after an error the decoder is in no state that anybody knows
        if out.is_err() || state.row == self.end {
            state.reader = None;
        }
        out
    }

    fn decode(&self, state: &mut LaneState, rows: usize) -> Result<RecordBatch> {
        let mut step = || match state.reader.as_mut().and_then(Iterator::next) {
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(e)) => Err(refused(&self.pages).unwrap_or_else(|| e.into())),
            None => Ok(None),
        };
        let batch = step()?.ok_or_else(|| Error::Format("ends before its row group does".into()))?;
        let found = batch.num_rows();
        if found < rows || batch.num_columns() != self.columns.len() {
            return Err(Error::Format(format!("expected {rows} more rows, found {found}")));
        }
        state.row += rows as u64;
        if found > rows || (state.row == self.end && step()?.is_some()) {
            return Err(Error::Format(format!("has more rows than the {} of its row group", self.end)));
        }
        if batch.columns().iter().any(null_keys) {
            return Err(Error::Format("a map has a null key".into()));
        }
        Ok(batch)
    }
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

/// What the footer says of a column chunk's pages.
fn chunk(column: &ColumnChunkMetaData) -> Chunk {
    let (start, len) = column.byte_range();
    let width = match column.column_type() {
        Physical::BOOLEAN => None,
        // a length before each value
        Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => Some(4),
        Physical::INT64 | Physical::DOUBLE => Some(8),
        Physical::INT96 => Some(12),
        Physical::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.column_descr().type_length()).ok(),
    };
    let uncompressed = u64::try_from(column.uncompressed_size()).unwrap_or(0);
    Chunk { start, end: start.saturating_add(len), uncompressed, width }
}
