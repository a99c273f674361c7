//! Where rows come from.
//!
//! | file | reads |
//! |---|---|
//! | `read_at` | bytes by position: a file through `pread`, memory, an object of the caller's |
//! | `live` | bytes that come once: pipes, devices, stdin, waiting in ticks |
//! | `filter` | predicates that a reader applies before it reads the rest |
//! | `files` | paths, globs, folders with Hive partitions → a list of files |
//! | `many` | one source out of many files: one schema, constant columns, pruning by them |
//! | `inflate/` | gz, zst, bz2, xz and lz4, streamed |
//! | `parquet/` | one Parquet file |
//! | `csv/` | one CSV file, a pipe, a compressed stream |
//! | `arrow` | batches that somebody else makes |
//! | `reading` | what `read(…)` said → one source |

pub mod arrow;
pub mod csv;
pub mod files;
pub mod filter;
pub mod inflate;
pub mod live;
pub mod many;
pub mod parquet;
pub mod read_at;
pub mod reading;
