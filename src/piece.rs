//! The contract that sources, steps and collectors keep with the exchange.
//!
//! A source divides itself, lazily and in order, into [`Piece`]s: small restartable places with an upper bound of
//! the bytes that reading them takes. A worker opens a piece and pulls [`Held`] batches from it; every row has an
//! [`Ordinal`], a total order that is known without counting earlier pieces, so that no answer depends on threads.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use crate::context::Context;
use crate::error::Result;
use crate::expr::Expr;
use crate::memory::Lease;

/// The place of a row in its input: the piece, then the row in what the piece yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ordinal {
    /// The piece, in source order.
    pub piece: u32,
    /// The row in the piece.
    pub row: u32,
}

/// A batch on its way, with the bytes that it holds leased.
#[derive(Debug)]
pub struct Held {
    /// The rows.
    pub batch: RecordBatch,
    /// The ordinal of the first row.
    pub first: Ordinal,
    /// The bytes that the batch keeps alive.
    pub lease: Lease,
}

/// Where a piece starts: enough to open it again in another run. Plain numbers, so that it can be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The file, by its position in the source's list.
    pub file: u32,
    /// The row group of a Parquet file; 0 elsewhere.
    pub part: u32,
    /// The first row in the row group, or the byte offset in a text file.
    pub start: u64,
    /// Rows (Parquet) or bytes (text) of the piece.
    pub len: u64,
    /// The line of the first record of a text file, from 1; 0 elsewhere.
    pub line: u64,
}

/// A part of a source that one worker reads.
#[derive(Debug)]
pub struct Piece {
    /// Where it is.
    pub place: Place,
    /// An upper bound of the bytes that reading it and its largest batch take, in bytes.
    pub need: usize,
    /// Its bytes, where the source had to read them to find the border (a pipe, a compressed file).
    pub raw: Option<(Bytes, Lease)>,
}

/// Batches, pulled one at a time. After an error or the end it is not pulled again. A batch without rows while there is
/// something on the context's tray says no more than that: whoever pulls passes it on, and the exchange drops it.
pub type Pull = Box<dyn Iterator<Item = Result<Held>> + Send>;

/// What a plan would like a source to do for it.
#[derive(Debug, Clone, Default)]
pub struct Pushdown {
    /// The columns that are needed, in this order; `None`: all.
    pub columns: Option<Vec<String>>,
    /// Conjuncts that every row must satisfy, over the source's column names.
    pub predicates: Vec<Expr>,
    /// No more rows than this are needed (before any predicate that the source leaves to the plan).
    pub limit: Option<u64>,
}

/// A source that does part of a plan's work itself.
#[derive(Debug)]
pub struct Pushed {
    /// The source; its schema has just the columns asked for.
    pub source: Arc<dyn Source>,
    /// Which of the predicates it applies to every row, so that the plan need not; the others only prune.
    pub exact: Vec<bool>,
}

/// A description of data to read; shared by runs, opens nothing beyond what its schema took.
pub trait Source: Send + Sync + Debug {
    /// The schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// The same source doing what it can of `wish`. It must honour `columns`; the rest is a hint.
    ///
    /// # Errors
    /// A predicate that does not fit the schema.
    fn push(&self, wish: &Pushdown) -> Result<Pushed>;

    /// Begins a run, at `from` if the run is resumed.
    ///
    /// # Errors
    /// Files that cannot be opened or are not what they say.
    fn start(self: Arc<Self>, from: Option<&Place>, context: &Arc<Context>) -> Result<Arc<dyn Pieces>>;

    /// One line a fact, for `explain()`: what is read, what was pushed, what was pruned.
    fn explain(&self) -> Vec<String>;

    /// The number of rows, if metadata tells it exactly.
    ///
    /// # Errors
    /// Files whose metadata cannot be read.
    fn rows(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// The files that it reads, as full paths, so that a sink can refuse to overwrite one.
    fn paths(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }

    /// The file that a run of it writes what it could not read to, if there is one.
    fn rejects(&self) -> Option<std::path::PathBuf> {
        None
    }

    /// Whether it can be run once only.
    fn one_shot(&self) -> bool {
        false
    }

    /// Whether its pieces must be read on the consumer's thread (they call back into the caller's language).
    fn on_consumer(&self) -> bool {
        false
    }
}

/// A run of a source, or what a blocking collector finished into.
pub trait Pieces: Send + Sync {
    /// The next piece; cheap, serial, in order.
    ///
    /// # Errors
    /// Whatever keeps the source from finding the next piece.
    fn next(&self, context: &Arc<Context>) -> Result<Option<Piece>>;

    /// Reads a piece. `lease` holds the piece's `need`: what the reader works in stays in it, and each batch's
    /// bytes are split off it (or leased beyond it, where the bound was too low).
    ///
    /// # Errors
    /// Whatever keeps the piece from being read.
    fn open(self: Arc<Self>, piece: Piece, lease: Lease, context: &Arc<Context>) -> Result<Pull>;
}

/// A transformation that keeps nothing between batches and runs on any worker.
pub trait Step: Send + Sync {
    /// Turns a batch into one, or into none where no row is left.
    ///
    /// # Errors
    /// Arithmetic that overflows, casts that fail, memory that is not there.
    fn apply(&self, batch: Held, context: &Context) -> Result<Option<Held>>;
}

/// The end of a segment: what a sink does with the batches that reach it.
///
/// `prepare` runs on any worker, `absorb` in the order of the rows, while others prepare; `finish` after the last.
/// Dropped without `finish`, it leaves nothing behind.
pub trait Collect: Send + Sync + 'static {
    /// What one batch becomes in a worker.
    type Packet: Send + 'static;
    /// What is left at the end.
    type Done;

    /// Parallel work on a batch: encode, hash, sort.
    ///
    /// # Errors
    /// Whatever the work meets.
    fn prepare(&self, batch: Held, context: &Context) -> Result<Self::Packet>;

    /// Takes a packet, in order.
    ///
    /// # Errors
    /// Whatever the work meets.
    fn absorb(&self, packet: Self::Packet, context: &Context) -> Result<()>;

    /// Ends.
    ///
    /// # Errors
    /// Whatever the work meets.
    fn finish(&self, context: &Context) -> Result<Self::Done>;
}
