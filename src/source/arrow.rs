//! Batches that somebody else makes: any Arrow producer, pulled lazily, one batch at a time, on the consumer's thread.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use crate::batch::{bytes_of_rows, slices, with_columns};
use crate::context::{Context, Counters};
use crate::error::{Error, Result};
use crate::memory::Lease;
use crate::piece::{Held, Ordinal, Piece, Pieces, Place, Pull, Pushdown, Pushed, Source};

/// Batches of a producer, pulled one at a time.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Who makes the batches.
pub trait Producer: Send + Sync + Debug {
    /// The schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// The batches from the start. Called once a run, on the consumer's thread.
    ///
    /// # Errors
    /// The producer's own; [`Error::Stream`] when it gives its batches only once.
    fn batches(&self) -> Result<Batches>;

    /// Whether [`Producer::batches`] works once only.
    fn one_shot(&self) -> bool;

    /// What errors and `explain()` call it.
    fn name(&self) -> String;
}

/// A producer as a source.
#[derive(Debug, Clone)]
pub struct ArrowSource {
    producer: Arc<dyn Producer>,
    schema: SchemaRef,
    columns: Vec<usize>,
}

impl ArrowSource {
    /// All columns of `producer`.
    pub fn new(producer: Arc<dyn Producer>) -> Arc<Self> {
        let schema = producer.schema();
        let columns = (0..schema.fields().len()).collect();
        Arc::new(Self { producer, schema, columns })
    }
}

impl Source for ArrowSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn push(&self, wish: &Pushdown) -> Result<Pushed> {
        let mut out = self.clone();
        if let Some(names) = &wish.columns {
            let fields = self.schema.fields();
            out.columns.clear();
            for name in names {
                let at = fields.iter().position(|f| f.name() == name);
                let at = at.ok_or_else(|| Error::no_column(name, fields.iter().map(|f| f.name().as_str())))?;
                out.columns.push(self.columns[at]);
            }
            let whole = self.producer.schema();
            let chosen: Vec<_> = out.columns.iter().map(|i| whole.fields()[*i].clone()).collect();
            out.schema = Arc::new(Schema::new_with_metadata(chosen, self.schema.metadata().clone()));
        }
        Ok(Pushed { source: Arc::new(out), exact: vec![false; wish.predicates.len()] })
    }

    fn start(self: Arc<Self>, _: Option<&Place>, context: &Arc<Context>) -> Result<Arc<dyn Pieces>> {
        let counters = context.stats.stage(self.producer.name());
        let batches = Mutex::new(None);
        Ok(Arc::new(ArrowPieces { source: self, batches, cut: Mutex::default(), number: AtomicU64::new(0), counters }))
    }

    fn explain(&self) -> Vec<String> {
        vec![
            self.producer.name(),
            format!("columns: {} of {}", self.columns.len(), self.producer.schema().fields().len()),
        ]
    }

    fn one_shot(&self) -> bool {
        self.producer.one_shot()
    }

    fn on_consumer(&self) -> bool {
        true
    }
}

struct ArrowPieces {
    source: Arc<ArrowSource>,
    batches: Mutex<Option<Batches>>,
    /// Pulled by `next`, not yet opened.
    cut: Mutex<VecDeque<(u64, RecordBatch)>>,
    number: AtomicU64,
    counters: Arc<Counters>,
}

impl Pieces for ArrowPieces {
    fn next(&self, _: &Arc<Context>) -> Result<Option<Piece>> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        if batches.is_none() {
            *batches = Some(self.source.producer.batches()?);
        }
        let Some(batch) = batches.as_mut().and_then(Iterator::next).transpose()? else { return Ok(None) };
        let columns: Vec<_> = self
            .source
            .columns
            .iter()
            .map(|i| batch.columns().get(*i).cloned())
            .collect::<Option<_>>()
            .ok_or_else(|| Error::Schema(format!("{}: a batch has fewer columns", self.source.producer.name())))?;
        let batch = with_columns(self.source.schema.clone(), columns, batch.num_rows())?;
        let (rows, need) = (batch.num_rows() as u64, bytes_of_rows(&batch));
        self.counters.rows_in.fetch_add(rows, Relaxed);
        self.counters.rows_out.fetch_add(rows, Relaxed);
        self.counters.bytes_out.fetch_add(need as u64, Relaxed);
        let start = self.number.fetch_add(1, Relaxed);
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).push_back((start, batch));
        Ok(Some(Piece { place: Place { start, len: rows, ..Place::default() }, need, raw: None }))
    }

    fn open(self: Arc<Self>, piece: Piece, mut lease: Lease, context: &Arc<Context>) -> Result<Pull> {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let at = cut.iter().position(|(start, _)| *start == piece.place.start);
        let Some((_, batch)) = at.and_then(|at| cut.remove(at)) else { return Err(Error::Cancelled) };
        drop(cut);
        let mut row = 0;
        let parts = slices(batch, context.options.batch_size, context.options.bytes_in_force());
        Ok(Box::new(parts.into_iter().map(move |batch| {
            let first = Ordinal { piece: 0, row };
            row += u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
            let lease = lease.split(bytes_of_rows(&batch).min(lease.bytes()))?;
            Ok(Held { batch, first, lease })
        })))
    }
}
