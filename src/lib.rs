//! The Rust core of **batchstream**: CSV and Parquet through Python in bounded memory.
//!
//! A pipeline pulls, as a Python generator does: nothing is computed until somebody asks.
//!
//! ```text
//!  Stream (Python) → Plan → optimize → lower → segments
//!
//!    source ─ pieces ─▶ [ worker: open piece → filter → project ] ─ in order ─▶ consumer
//!                                                                               │ the caller's `for` loop
//!                                                                               │ a sink: parallel encode, ordered write
//!    inside a segment workers push a piece through its steps; between segments one pulls
//! ```
//!
//! Four words carry it. A **piece** is a small, ordered, restartable part of a source: the unit of parallel work.
//! A **segment** is *pieces → steps → collector*. A **lease** is memory granted before it is allocated.
//! An **ordinal** is the place of a row in its input, so that no answer depends on threads or timing.
//!
//! | module | |
//! |---|---|
//! | [`error`] | what can go wrong, in a user's words |
//! | [`dtype`] | dtype names ↔ Arrow types |
//! | [`format`] | words that source and sink share: formats, compression, dialect |
//! | [`alloc`] | the allocator: counts what is live, keeps freed large blocks |
//! | [`memory`] | the budget of a run: pool, holders, leases |
//! | [`batch`] | what every stage needs of a record batch |
//! | [`fit`] | batches made to fit a schema |
//! | [`call`] | functions of the caller's, as the core sees them |
//! | [`options`] | the run options |
//! | [`threads`] | workers, who goes first, waiting |
//! | [`context`] | what a run shares: memory, cancel, counters |
//! | [`expr`] | expressions: tree, types, evaluation, text predicates, aggregates |
//! | [`piece`] | the contract between sources, steps, collectors and the exchange |
//! | [`source`] | files, Parquet, CSV, Arrow |
//! | [`stage`] | the operators, and the exchange that runs them in parallel |
//! | [`sink`] | atomic files; Parquet and CSV writers |
//! | [`plan`] | what the user asked for: schema, optimizer, lowering, explain |
//! | `py` | the Python classes; the only module that names Python |

// What tests make is small: no cast of theirs loses anything.
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        clippy::naive_bytecount
    )
)]

pub mod alloc;
pub mod batch;
pub mod call;
pub mod context;
pub mod dtype;
pub mod error;
pub mod expr;
pub mod fit;
pub mod format;
pub mod memory;
pub mod options;
pub mod piece;
pub mod plan;
#[cfg(feature = "python")]
mod py;
pub mod sink;
pub mod source;
pub mod stage;
pub mod threads;

/// Only in the extension itself (and in the unit tests): whoever links the crate chooses an allocator of their own.
#[cfg(any(feature = "python", test))]
#[global_allocator]
static ALLOCATOR: alloc::Recycling = alloc::Recycling;
