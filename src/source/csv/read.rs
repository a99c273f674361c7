//! A run over one file: cuts on the one hand, batches on the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;

use crate::context::rejects::Log;
use crate::context::{Context, Counters};
use crate::error::{Error, Result};
use crate::format::OnError;
use crate::memory::{Holder, Lease};
use crate::piece::{Piece, Pieces, Place, Pull};
use crate::source::filter::RowFilter;
use crate::source::read_at::Input;

use super::batches::Batches;
use super::column::{column, fixed_bytes};
use super::cut::{Cut, Cutter};
use super::file::{Feed, File};
use super::found::Found;
use super::judge::Judge;
use super::split::Splitter;

/// Bytes that the fields of a block may take: they stay in the second-level cache with the text they point to.
const INDEX: usize = 128 << 10;
/// Bytes that the fields of a record may take which turns out not to be one of the block.
const BESIDE: usize = 2 << 10;

/// Most threads that inflate at once.
const MOST_INFLATE: usize = 8;

/// A run.
pub(super) struct Run {
    pub(super) file: Arc<File>,
    /// The columns wanted, by their place in a record.
    pub(super) columns: Arc<[usize]>,
    pub(super) schema: SchemaRef,
    limit: Option<u64>,
    /// Predicates that the reader applies.
    filter: Option<Arc<RowFilter>>,
    pub(super) holder: Holder,
    pub(super) counters: Arc<Counters>,
    cuts: Mutex<Cuts>,
    /// Where what cannot be read is told, unless it ends the run.
    log: Option<Arc<Log>>,
    /// Bytes that a row takes beside its text.
    pub(super) fixed: usize,
    /// Bytes that a batch takes whatever its rows are: buffers are rounded up, a dictionary begins with some room.
    pub(super) beside: usize,
    /// Rows of a block.
    pub(super) block: usize,
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
        (limit, filter): (Option<u64>, Option<Arc<RowFilter>>),
        cuts: Cuts,
        context: &Context,
    ) -> Result<Self> {
        let name = "csv reader";
        let fixed = schema.fields().iter().map(|f| fixed_bytes(f.data_type())).sum();
        let begins = |d: &DataType| if matches!(d, DataType::Dictionary(..)) { 16 << 10 } else { 256 };
        let beside = schema.fields().iter().map(|f| begins(f.data_type())).sum();
        let block = (INDEX / (8 * file.names.len().max(1))).clamp(1, 1024);
        let (holder, counters) = (context.memory.holder(name, None), context.stats.stage(name));
        let log = match file.on_error {
            OnError::Raise => None,
            OnError::Skip | OnError::Null => Some(context.logs.log(&file.bearing, &counters)?),
        };
        Ok(Self {
            file,
            columns,
            schema,
            limit,
            filter,
            holder,
            counters,
            cuts: Mutex::new(cuts),
            log,
            fixed,
            beside,
            block,
        })
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
        let cutter = self.opened(cuts, context)?;
        let most = context.options.bytes_in_force();
        let target = self.file.piece_bytes.unwrap_or_else(|| Cutter::target(cutter.offset()).min(most));
        cutter.cut(target, Some(&self.holder))
    }

    /// The cutter, behind the header.
    fn opened<'a>(&self, cuts: &'a mut Cuts, context: &Context) -> Result<&'a mut Cutter> {
        let file = &self.file;
        // Without a thread of its own a run has none to inflate with.
        let crew = if context.options.prefetch == Some(0) { 1 } else { context.options.threads.min(MOST_INFLATE) };
        if !cuts.feed.is_open() {
            self.counters.files.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        let (cutter, fresh) = cuts.feed.open(file, cuts.from.as_ref(), &self.holder, crew)?;
        if fresh {
            if let Some(from) = cuts.from {
                cutter.go_to(from.start, from.line, file.is_as_it_stands()?)?;
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
            .saturating_add(self.judged(rows, cut.bytes.len()))
            .saturating_add(self.block.min(rows) * (10 * self.file.names.len() + 4) + BESIDE);
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
        let is_text = simdutf8::basic::from_utf8(&bytes).is_ok() && memchr::memchr(0, &bytes).is_none();
        let splitter = Splitter::new(file.dialect.clone(), Some(file.names.len()));
        let judge = self.filter.as_ref().map(|filter| Judge::new(filter, file)).transpose()?;
        let found = self.log.as_ref().map(|log| Found::new(&self, log, &piece.place));
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
            judge,
            found,
            lease,
            _raw: raw,
        }))
    }
}

impl Run {
    /// Bytes that the predicates' columns of a block take, which has no more than `bytes` of text.
    fn judged(&self, rows: usize, bytes: usize) -> usize {
        let Some(filter) = &self.filter else { return 0 };
        let fixed: usize = filter.schema().fields().iter().map(|f| fixed_bytes(f.data_type())).sum();
        self.block.min(rows) * (fixed + 1) + 2 * bytes + self.beside
    }

    /// Reads a piece by its place.
    fn read(&self, place: &Place) -> Result<(Bytes, Lease)> {
        let Input::Seekable(at) = &self.file.input else {
            return Err(Error::Stream(format!("{}: can be read once only", self.file.name)));
        };
        if !self.file.is_as_it_stands()? {
            return Err(Error::Stream(format!(
                "{}: has no piece by itself: it is compressed or no UTF-8",
                self.file.name
            )));
        }
        let len = usize::try_from(place.len).unwrap_or(usize::MAX);
        let lease = self.holder.lease(len)?;
        let mut bytes = vec![0; len];
        at.reopened()?.as_ref().unwrap_or(at).read_exact_at(&mut bytes, place.start)?;
        Ok((bytes.into(), lease))
    }
}

/// Whether a file's column can be read as `dtype`.
pub(super) fn check(name: &str, dtype: &DataType, file: &File) -> Result<()> {
    column(0, dtype, &super::column::Nulls::new(&[]), &file.writing).map(drop).map_err(|e| match e {
        Error::NotImplemented(m) => Error::NotImplemented(format!("column `{name}`: {m}")),
        other => other.context(format_args!("column `{name}`")),
    })
}
