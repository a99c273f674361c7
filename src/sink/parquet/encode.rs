//! One row group: its columns encoded, at once where memory allows, and written in order.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;

use crate::context::{Cancel, Context};
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};

/// A batch, or a slice of one, of the row group.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) batch: RecordBatch,
    /// The bytes that the batch keeps alive.
    pub(super) _lease: Arc<Lease>,
}

/// A column to encode: its position, and a writer for each of its leaves.
struct Job {
    column: usize,
    writers: Vec<ArrowColumnWriter>,
}

/// Encodes the rows of `parts` as one row group and writes it.
///
/// Takes as many threads as the run has, if the encoded columns fit beside the rows; otherwise one column at a time
/// is encoded and written. Both give the same bytes.
pub(super) fn row_group<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    factory: &ArrowRowGroupWriterFactory,
    schema: &SchemaRef,
    parts: &[Part],
    codec_bytes: usize,
    holder: &Holder,
    context: &Context,
) -> Result<()> {
    let mut writers = factory.create_column_writers(file.flushed_row_groups().len())?.into_iter();
    let mut leaves = vec![0usize; schema.fields().len()];
    let descriptor = file.schema_descr();
    for leaf in 0..descriptor.num_columns() {
        if let Some(count) = leaves.get_mut(descriptor.get_column_root_idx(leaf)) {
            *count += 1;
        }
    }
    let jobs: Vec<Job> = leaves
        .iter()
        .enumerate()
        .map(|(column, count)| Job { column, writers: writers.by_ref().take(*count).collect() })
        .collect();
    let sizes: Vec<usize> = (0..jobs.len()).map(|c| parts.iter().map(|p| bytes_of(&p.batch, c)).sum()).collect();
    let threads = if context.options.inline() { 1 } else { context.options.threads.min(jobs.len()) };
    let at_once =
        if threads > 1 { holder.try_lease(sizes.iter().sum::<usize>() + threads * codec_bytes) } else { None };
    let cancel = &context.cancel;
    let encode = |job: Job| encoded(job, schema, parts, cancel);
    let mut group = file.next_row_group()?;
    match at_once {
        Some(_encoded) => {
            for column in in_parallel(jobs, threads, &encode)? {
                for leaf in column {
                    leaf.append_to_row_group(&mut group)?;
                }
            }
        }
        None => {
            for (job, size) in jobs.into_iter().zip(sizes) {
                let _encoded = holder.lease(size + codec_bytes)?;
                for leaf in encode(job)? {
                    leaf.append_to_row_group(&mut group)?;
                }
            }
        }
    }
    group.close()?;
    Ok(())
}

fn bytes_of(batch: &RecordBatch, column: usize) -> usize {
    batch.columns().get(column).map_or(0, |c| c.to_data().get_slice_memory_size().unwrap_or(0))
}

/// One column of all parts, as pages in memory.
fn encoded(job: Job, schema: &SchemaRef, parts: &[Part], cancel: &Cancel) -> Result<Vec<ArrowColumnChunk>> {
    let Job { column, mut writers } = job;
    let field: &Field = schema.field(column);
    for part in parts {
        cancel.check()?;
        let Some(array) = part.batch.columns().get(column) else { continue };
        for (leaf, writer) in compute_leaves(field, array)?.iter().zip(&mut writers) {
            writer.write(leaf)?;
        }
    }
    writers.into_iter().map(|writer| Ok(writer.close()?)).collect()
}

/// The results of all jobs, in order; of several errors the first column's.
fn in_parallel<T: Send>(jobs: Vec<Job>, threads: usize, encode: &(impl Fn(Job) -> Result<T> + Sync)) -> Result<Vec<T>> {
    let mut results: Vec<Option<Result<T>>> = jobs.iter().map(|_| None).collect();
    let work = Mutex::new(jobs.into_iter().zip(results.iter_mut()));
    let take = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || {
        while let Some((job, result)) = take() {
            let done = catch_unwind(AssertUnwindSafe(|| encode(job)));
            *result = Some(done.unwrap_or_else(|_| Err(Error::Stream("the Parquet encoder failed".into()))));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    drop(work);
    results.into_iter().map(|r| r.unwrap_or_else(|| Err(Error::Cancelled))).collect()
}
