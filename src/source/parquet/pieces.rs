//! A run over one file: row groups → windows → batches.

#![expect(clippy::cast_possible_truncation, reason = "rows of a window, which fit in memory")]

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::ParquetSource;
use super::codec::Desk;
use super::decoder::Opening;
use super::join::Joined;
use super::lanes::{RowGroup, Window};
use super::prune::{Pruner, stored};
use super::rows::Rows;
use super::windows::Windows;
use crate::batch::{bytes_held, bytes_of_rows, slices, with_columns};
use crate::context::{Context, Counters};
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};
use crate::piece::{Held, Ordinal, Piece, Pieces, Place, Pull};
use crate::source::read_at::ReadAt;

/// Bytes of a decoded window that are aimed at: small enough to stay in cache between steps, large enough that a
/// batch's own cost does not show.
const WINDOW: usize = 3 << 20;
/// So many columns are few, and so many of their batches are read together.
const FEW: usize = 2;
const TOGETHER: usize = 4;
/// Batches of fewer rows than this are cut from windows of about so many: a window costs some 50 µs, whatever it has.
const SMALL: usize = 8192;
/// A row group whose columns decode to less than this is one piece, read by one worker alone: it then has pages and
/// dictionaries of its own, which a tight limit has no room for.
const ALONE: usize = 16 << 20;

/// A run.
pub struct ParquetPieces {
    source: Arc<ParquetSource>,
    at: Arc<dyn ReadAt>,
    counters: Arc<Counters>,
    pruner: Pruner,
    pages: Holder,
    desk: Arc<Desk>,
    /// Whether small row groups may be put together: what has a dictionary of its own cannot.
    joins: bool,
    _footer: Lease,
    cursor: Mutex<Cursor>,
    /// Row groups that have windows which are still to be read.
    open: Mutex<HashMap<u32, Shared>>,
}

struct Shared {
    rows: Arc<Rows>,
    /// Where its first window begins: whoever opens the decoders, of whatever window, opens them there.
    start: u64,
    /// Those that are still to be read.
    windows: u64,
    /// What more than one worker reads.
    group: Option<Arc<RowGroup>>,
    /// What read pieces whose rows were too wide for that: where it goes on, and its decoders.
    narrow: Vec<(u64, RowGroup)>,
    /// Row groups that the same piece has besides.
    joined: Parts,
}

/// Row groups, each with its rows that are read.
type Parts = Vec<(u32, Arc<Rows>)>;

/// The next window.
struct Cursor {
    /// Its position among the row groups that are read.
    group: usize,
    /// The rows of that which are read, once it is reached.
    rows: Option<Arc<Rows>>,
    /// The position of the window among them.
    at: u64,
    /// The row to begin at, in the first row group of a run that goes on.
    from: u64,
    /// Rows that are still wanted.
    left: u64,
}

impl Cursor {
    /// Leaves `rows` rows behind.
    fn take(&mut self, rows: u64) {
        self.at += rows;
        self.left = self.left.saturating_sub(rows);
    }
}

impl ParquetPieces {
    /// Begins at `from`, or at the start.
    ///
    /// # Errors
    /// A footer that does not fit into the limit.
    pub fn start(
        source: Arc<ParquetSource>,
        at: Arc<dyn ReadAt>,
        from: Option<&Place>,
        context: &Context,
    ) -> Result<Self> {
        let counters = context.stats.stage("parquet reader");
        counters.files.fetch_add(1, Relaxed);
        let all = source.layout.footer().num_row_groups();
        counters.add("row groups", source.groups.len() as u64);
        let pages = context.memory.holder("parquet pages", None);
        let desk = Arc::new(Desk::new(pages.clone()));
        let pruner = Pruner::new(
            at.clone(),
            source.layout.clone(),
            source.pruning.clone(),
            source.columns.clone(),
            counters.clone(),
            desk.clone(),
            context,
        );
        pruner.left_out((0..all).filter(|group| source.groups.binary_search(group).is_err()));
        let footer = context.memory.holder("parquet footer", None).lease(source.layout.footer().memory_size())?;
        let mut cursor = Cursor { group: 0, rows: None, at: 0, from: 0, left: source.limit.unwrap_or(u64::MAX) };
        if let Some(place) = from {
            cursor.group = source.groups.iter().position(|g| *g as u64 >= u64::from(place.part)).unwrap_or(all);
            let there = source.groups.get(cursor.group).is_some_and(|g| *g as u64 == u64::from(place.part));
            cursor.from = if there { place.start } else { 0 };
        }
        let (cursor, open) = (Mutex::new(cursor), Mutex::default());
        let joins = !source.columns.is_empty() && !source.schema.fields().iter().any(|f| has_dictionary(f.data_type()));
        Ok(Self { source, at, counters, pruner, pages, desk, joins, _footer: footer, cursor, open })
    }

    /// About what a page and a dictionary of each column take, by the footer: most writers end a page at 1 MiB.
    fn pages_of(&self, part: usize) -> usize {
        let group = self.source.layout.footer().row_group(part);
        let leaves = self.source.columns.iter().flat_map(|c| c.leaves.clone());
        leaves.map(|leaf| usize::try_from(group.column(leaf).uncompressed_size()).unwrap_or(0).min(1 << 20)).sum()
    }

    /// Bytes that a window of row group `part` is to have.
    fn window_bytes(&self, part: usize, context: &Context) -> usize {
        let options = &context.options;
        // where columns are opened anew for each window, few large ones cost less than many; batches are cut from them
        match options.memory_limit.filter(|limit| self.pages_of(part) > limit / 2) {
            Some(limit) => (limit / 8).min(WINDOW),
            None => options.bytes_in_force().min(WINDOW),
        }
    }

    /// Rows of a window, and whether the row group is one piece: by the file and the options alone.
    fn windows(&self, part: usize, rows: u64, context: &Context) -> (u64, bool) {
        let row: usize = self.source.columns.iter().map(|c| c.row_bytes(part)).sum::<usize>().max(1);
        let options = &context.options;
        let fits = (self.window_bytes(part, context) / row).max(1);
        let most = fits.min(options.batch_size);
        // few columns are read some batches at a time, so that workers share few pages; and so are small batches
        let together = if self.source.columns.len() <= FEW { TOGETHER } else { 1 };
        let together = together.max(SMALL / options.batch_size).min(fits / options.batch_size);
        let most = most.max(together * options.batch_size);
        // whole kilobytes of validity and values, where there are that many rows
        let most = if most >= 8192 && most < options.batch_size { most / 4096 * 4096 } else { most };
        let alone = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(row)
            <= options.memory_limit.map_or(ALONE, |limit| ALONE.min(limit / 32));
        (most as u64, alone || self.source.columns.is_empty())
    }

    /// What it takes to open the decoders of row group `part` at position `start` of its `rows`, for windows of so many.
    pub fn opening(&self, part: u32, window: usize, rows: Arc<Rows>, start: u64, context: &Context) -> Opening {
        Opening {
            wide: self.window_bytes(part as usize, context) / 2 * 3,
            at: self.at.clone(),
            metadata: self.source.layout.metadata.clone(),
            columns: self.source.columns.clone(),
            part: part as usize,
            window,
            rows,
            start,
            holder: self.pages.clone(),
            desk: self.desk.clone(),
            filter: self.source.filter.clone(),
            counters: self.counters.clone(),
        }
    }

    /// The error with its file and row group.
    pub fn damaged(&self, error: Error, part: u32) -> Error {
        match error {
            e @ (Error::Cancelled | Error::Wide | Error::Io { .. } | Error::Foreign(_)) => e,
            e @ Error::MemoryLimit(_) => e.context(format!("{}: row group {part}", self.source.name())),
            e => Error::Format(format!("{}: row group {part}: {e}", self.source.name())),
        }
    }

    /// Row group `part`, opened by whoever comes first.
    fn group(&self, part: u32, window: usize, context: &Context) -> Result<Arc<RowGroup>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shared) = open.get_mut(&part) else { return Err(Error::Cancelled) };
        if let Some(group) = &shared.group {
            return Ok(group.clone());
        }
        let opening = self.opening(part, window, shared.rows.clone(), shared.start, context);
        let group = Arc::new(RowGroup::new(opening, context.options.threads, false));
        shared.group = Some(group.clone());
        Ok(group)
    }

    /// A window of row group `part` is read.
    pub fn leave(&self, part: u32) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get_mut(&part) {
            shared.windows -= 1;
            if shared.windows == 0 {
                open.remove(&part);
            }
        }
    }

    /// Decoders of row group `part` that have read another piece, in front of position `start`, and go on there.
    pub fn narrow(&self, part: u32, start: u64) -> Option<RowGroup> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let narrow = &mut open.get_mut(&part)?.narrow;
        let before = narrow.iter().enumerate().filter(|(_, (at, _))| *at <= start);
        let (place, _) = before.max_by_key(|(_, (at, _))| *at)?;
        let (_, group) = narrow.swap_remove(place);
        group.go_to(start);
        Some(group)
    }

    /// Takes such decoders, which have come to position `at`: as many as there are workers, where there is plenty of room.
    pub fn keep(&self, part: u32, at: u64, group: RowGroup, context: &Context) {
        let pool = self.pages.pool();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Shared { narrow, .. }) = open.get_mut(&part)
            && pool.limit().is_none_or(|limit| pool.held() <= limit / 4)
        {
            narrow.push((at, group));
            if narrow.len() > context.options.threads {
                narrow.remove(0);
            }
        }
    }

    /// The rows of the piece's row group that are read, and those row groups that it has besides.
    fn rows_of(&self, place: Place) -> Result<(Arc<Rows>, Parts)> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get_mut(&place.part) {
            return Ok((shared.rows.clone(), std::mem::take(&mut shared.joined)));
        }
        drop(open);
        // a piece of another run
        let again = |part| self.pruner.again(part).map(Arc::new);
        let rows = again(place.part as usize)?;
        let mut left = place.len.saturating_sub(rows.count() - rows.position(place.start));
        let mut joined = Vec::new();
        for part in self.source.groups.iter().filter(|part| **part > place.part as usize) {
            if left == 0 {
                break;
            }
            let rows = again(*part)?;
            left = left.saturating_sub(rows.count());
            if rows.count() > 0 {
                joined.push((u32::try_from(*part).map_err(|_| Error::Format("too many row groups".into()))?, rows));
            }
        }
        Ok((rows, joined))
    }

    /// Bytes that a decoded row of row group `part` takes.
    fn row_bytes(&self, part: u32) -> usize {
        self.source.columns.iter().map(|c| c.row_bytes(part as usize)).sum()
    }

    /// The row group that the cursor is in, and its rows, of which some are left; `None` at the end.
    fn reach(&self, cursor: &mut Cursor) -> Result<Option<(u32, Arc<Rows>)>> {
        while let Some(&part) = self.source.groups.get(cursor.group)
            && cursor.left > 0
        {
            let part = u32::try_from(part).map_err(|_| Error::Format("too many row groups".into()))?;
            let rows = if let Some(rows) = &cursor.rows {
                rows.clone()
            } else {
                let rows = self.begin(part).map_err(|e| self.damaged(e, part))?;
                cursor.at = rows.position(std::mem::take(&mut cursor.from));
                cursor.rows.insert(rows).clone()
            };
            if cursor.at < rows.count() {
                return Ok(Some((part, rows)));
            }
            (cursor.group, cursor.rows, cursor.at) = (cursor.group + 1, None, 0);
        }
        Ok(None)
    }

    /// Small row groups that follow the `len` rows of `part`, for the same batch: half as many as lie before them, so that
    /// who wants but a few rows does not wait for many.
    fn join(&self, cursor: &mut Cursor, part: u32, len: u64, context: &Context) -> Parts {
        let bytes = |part, rows: u64| self.row_bytes(part).saturating_mul(rows as usize);
        let mut left_bytes = self.window_bytes(part as usize, context).saturating_sub(bytes(part, len));
        let mut left_rows = (context.options.batch_size as u64).saturating_sub(len);
        let most = cursor.group / 2;
        let mut joined = Vec::new();
        // what is wrong with the next row group is told in its turn
        while joined.len() < most
            && let Ok(Some((part, rows))) = self.reach(cursor)
        {
            let (rest, more) = (bytes(part, rows.count()), rows.count());
            if more > left_rows || rest > left_bytes || !self.windows(part as usize, more, context).1 {
                break;
            }
            (left_bytes, left_rows) = (left_bytes - rest, left_rows - more);
            cursor.take(more);
            joined.push((part, rows));
        }
        joined
    }

    /// What is read of row group `part`, which the run has come to.
    fn begin(&self, part: u32) -> Result<Arc<Rows>> {
        let (rows, pruned) = self.pruner.judge(part as usize)?;
        if rows.count() > 0 {
            let stored = stored(&self.source.layout, part as usize, &self.source.columns);
            self.counters.bytes_in.fetch_add(stored.saturating_sub(pruned), Relaxed);
            self.counters.rows_in.fetch_add(rows.count(), Relaxed);
        }
        Ok(Arc::new(rows))
    }

    /// Decoded columns → batches that obey the limits, with their bytes leased.
    pub fn batches(&self, window: Window, lease: &mut Lease, context: &Context) -> Result<Vec<Held>> {
        let (source, Window { columns, rows }) = (&self.source, window);
        if rows == 0 {
            return Ok(Vec::new());
        }
        let mut out = Vec::with_capacity(columns.len());
        for &(position, ref to) in &source.order {
            let found = columns.get(position).ok_or_else(|| Error::Format("a column is missing".into()))?;
            out.push(if found.data_type() == to { found.clone() } else { cast(found, to).map_err(Error::from)? });
        }
        let batch = with_columns(source.schema.clone(), out, rows)?;
        self.counters.rows_out.fetch_add(rows as u64, Relaxed);
        let whole = bytes_held(&batch).max(bytes_of_rows(&batch));
        self.counters.bytes_out.fetch_add(whole as u64, Relaxed);
        let parts = slices(batch, context.options.batch_size, context.options.bytes_in_force());
        let n = parts.len();
        parts
            .into_iter()
            .map(|batch| Ok(Held { batch, first: Ordinal::default(), lease: lease.split(whole / n)? }))
            .collect()
    }
}

impl Pieces for ParquetPieces {
    fn next(&self, context: &Arc<Context>) -> Result<Option<Piece>> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((part, rows)) = self.reach(&mut cursor)? else { return Ok(None) };
        let (window, alone) = self.windows(part as usize, rows.count(), context);
        let left = rows.count() - cursor.at;
        let len = if alone { left } else { left.min(window) };
        let mut place = Place { file: 0, part, start: rows.row(cursor.at), len, line: 0 };
        let (start, windows) = (cursor.at, left.div_ceil(len));
        let row = self.row_bytes(part);
        // the crate's text comes as views and is copied; a filter copies what is left of the columns it looks at
        let mut need = row.saturating_mul(window.min(len) as usize).saturating_mul(2);
        cursor.take(len);
        let joined = if alone && self.joins { self.join(&mut cursor, part, len, context) } else { Vec::new() };
        for (part, rows) in &joined {
            place.len += rows.count();
            need = need.saturating_add(self.row_bytes(*part).saturating_mul(rows.count() as usize).saturating_mul(2));
        }
        if !joined.is_empty() {
            // they are copied together
            need = need.saturating_add(need / 2);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(part).or_insert(Shared { rows, start, windows, group: None, narrow: Vec::new(), joined });
        drop(open);
        Ok(Some(Piece { place, need, raw: None }))
    }

    fn open(self: Arc<Self>, piece: Piece, mut lease: Lease, context: &Arc<Context>) -> Result<Pull> {
        let place = piece.place;
        let (rows, joined) = self.rows_of(place)?;
        if self.source.columns.is_empty() {
            self.leave(place.part);
            return Ok(self.counted(place, context));
        }
        let (window, alone) = self.windows(place.part as usize, rows.count(), context);
        let start = rows.position(place.start);
        if joined.is_empty() {
            let shared = if alone { None } else { Some(self.group(place.part, window as usize, context)?) };
            if alone {
                self.leave(place.part);
            }
            let left = start..start + place.len;
            return Ok(Box::new(Windows::new(self, place.part, rows, left, window, shared, lease, context.clone())));
        }
        self.leave(place.part);
        let mut parts = vec![(place.part, rows, start)];
        parts.extend(joined.into_iter().map(|(part, rows)| (part, rows, 0)));
        let mut windows = Vec::with_capacity(parts.len());
        for (part, rows, start) in parts {
            let left = start..rows.count();
            let own = self.row_bytes(part).saturating_mul(rows.count() as usize).saturating_mul(2);
            let own = lease.split(own.min(lease.bytes()))?;
            let (window, _) = self.windows(part as usize, rows.count(), context);
            windows.push(Windows::new(self.clone(), part, rows, left, window, None, own, context.clone()));
        }
        Ok(Box::new(Joined::new(windows, lease, context)))
    }
}

impl ParquetPieces {
    /// Rows without columns: nothing but the footer is read.
    fn counted(self: Arc<Self>, place: Place, context: &Context) -> Pull {
        let size = context.options.batch_size as u64;
        let holder = self.pages.clone();
        self.counters.rows_out.fetch_add(place.len, Relaxed);
        Box::new((0..place.len.div_ceil(size)).map(move |i| {
            let rows = (place.len - i * size).min(size) as usize;
            let batch = crate::batch::without_columns(self.source.schema.clone(), rows)?;
            Ok(Held { batch, first: Ordinal::default(), lease: holder.empty() })
        }))
    }
}

fn has_dictionary(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(..) => true,
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) | DataType::Map(of, _) => {
            has_dictionary(of.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|f| has_dictionary(f.data_type())),
        _ => false,
    }
}
