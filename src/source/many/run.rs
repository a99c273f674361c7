//! A run over many files: one open at a time, its batches made to fit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;

use super::{Many, mask};
use crate::batch;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::fit::Fit;
use crate::memory::Lease;
use crate::piece::{Held, Piece, Pieces, Place, Pull, Source};

/// One file, ready to be started.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) source: Arc<dyn Source>,
    pub(super) fit: Fit,
    /// Predicates that the plan counts on and that this file does not apply itself.
    pub(super) residual: Vec<Expr>,
    /// What comes out.
    pub(super) schema: SchemaRef,
    /// Of all predicates, those that the file applies itself.
    pub(super) exact: Vec<bool>,
}

/// One file of a run.
struct Opened {
    file: Reading,
    pieces: Arc<dyn Pieces>,
}

struct Cursor {
    /// The next file, by its position in `keep`.
    next: usize,
    /// Where to begin in the first file, if the run is resumed.
    from: Option<Place>,
    current: Option<(usize, Arc<Opened>)>,
    /// Rows of the files so far, as far as metadata tells.
    rows: u64,
}

/// A run over the files.
pub(super) struct Run {
    many: Arc<Many>,
    cursor: Mutex<Cursor>,
    /// Files with pieces that are still to be opened, and how many.
    open: Mutex<HashMap<usize, (Arc<Opened>, usize)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// A run from the file at position `next` of those that are read, which it begins at `from`.
    pub(super) fn new(many: Arc<Many>, next: usize, from: Option<Place>) -> Self {
        let cursor = Mutex::new(Cursor { next, from, current: None, rows: 0 });
        Self { many, cursor, open: Mutex::new(HashMap::new()) }
    }

    fn begin(&self, i: usize, from: Option<&Place>, context: &Arc<Context>) -> Result<Arc<Opened>> {
        let file = self.many.file(i)?;
        let from = from.map(|place| Place { file: 0, ..*place });
        let pieces = file.source.clone().start(from.as_ref(), context)?;
        Ok(Arc::new(Opened { file, pieces }))
    }

    /// Takes back one piece of file `i`, and the file with the last.
    fn opened(&self, i: usize, place: &Place, context: &Arc<Context>) -> Result<Arc<Opened>> {
        let mut open = locked(&self.open);
        if let Some((file, pieces)) = open.get_mut(&i) {
            let file = file.clone();
            *pieces -= 1;
            if *pieces == 0 {
                open.remove(&i);
            }
            return Ok(file);
        }
        drop(open);
        // a piece that was given back after its file was closed
        self.begin(i, Some(place), context)
    }
}

impl Pieces for Run {
    fn next(&self, context: &Arc<Context>) -> Result<Option<Piece>> {
        let mut cursor = locked(&self.cursor);
        loop {
            context.cancel.check()?;
            if let Some((i, file)) = &cursor.current {
                if let Some(mut piece) = file.pieces.next(context)? {
                    piece.place.file = u32::try_from(*i).map_err(|_| Error::Value("more than 2³² files".into()))?;
                    piece.need = piece.need.saturating_add(file.file.fit.growth(context.options.batch_size));
                    locked(&self.open).entry(*i).or_insert_with(|| (file.clone(), 0)).1 += 1;
                    return Ok(Some(piece));
                }
                cursor.current = None;
            }
            let enough = self.many.limit.is_some_and(|limit| cursor.rows >= limit);
            let Some(i) = self.many.keep.get(cursor.next).copied().filter(|_| !enough) else {
                return Ok(None);
            };
            cursor.next += 1;
            let from = cursor.from.take().filter(|place| place.file as usize == i);
            let file = self.begin(i, from.as_ref(), context)?;
            if self.many.limit.is_some() && self.many.predicates.is_empty() && from.is_none() {
                cursor.rows = cursor.rows.saturating_add(file.file.source.rows()?.unwrap_or(0));
            }
            cursor.current = Some((i, file));
        }
    }

    fn open(self: Arc<Self>, mut piece: Piece, mut lease: Lease, context: &Arc<Context>) -> Result<Pull> {
        let i = piece.place.file as usize;
        piece.place.file = 0;
        let opened = self.opened(i, &piece.place, context)?;
        let mine = opened.file.fit.growth(context.options.batch_size);
        piece.need = piece.need.saturating_sub(mine);
        let mine = lease.split(mine.min(lease.bytes()))?;
        let pull = opened.pieces.clone().open(piece, lease, context)?;
        Ok(Box::new(Fitted { opened, pull, spare: mine, context: context.clone() }))
    }
}

/// The batches of one piece, made to fit.
struct Fitted {
    opened: Arc<Opened>,
    pull: Pull,
    /// Leased for what fitting adds.
    spare: Lease,
    context: Arc<Context>,
}

impl Fitted {
    fn fit(&mut self, held: Held) -> Result<Held> {
        let file = &self.opened.file;
        let Held { batch, first, mut lease } = held;
        let before = batch.columns().len();
        let mut batch = file.fit.apply(batch)?;
        if !file.residual.is_empty() {
            for predicate in &file.residual {
                batch = filter_record_batch(&batch, &mask(predicate, &batch)?)?;
            }
            let columns = batch.columns().iter().take(file.schema.fields().len()).cloned().collect();
            batch = batch::with_columns(file.schema.clone(), columns, batch.num_rows())?;
        }
        if before != batch.num_columns() || file.fit.growth(1) > 0 {
            let bytes = batch::bytes_held(&batch);
            let more = bytes.saturating_sub(lease.bytes());
            self.spare.resize(self.spare.bytes().saturating_sub(more))?;
            lease.resize(bytes.max(lease.bytes()))?;
        }
        Ok(Held { batch, first, lease })
    }
}

impl Iterator for Fitted {
    type Item = Result<Held>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.pull.next()? {
                Ok(held) if held.batch.num_rows() == 0 && self.context.tray.is_laid() => return Some(Ok(held)),
                Ok(held) if held.batch.schema_ref() == &self.opened.file.schema && self.opened.file.passes() => {
                    return Some(Ok(held));
                }
                Ok(held) => match self.fit(held) {
                    Ok(held) if held.batch.num_rows() == 0 => {}
                    other => return Some(other),
                },
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

impl Reading {
    /// Whether batches that have the schema already need nothing done.
    fn passes(&self) -> bool {
        self.residual.is_empty() && self.fit.growth(1) == 0
    }
}
