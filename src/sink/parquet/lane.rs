//! One column of one row group, encoded batch by batch.

use std::io;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::Encoding as ParquetEncoding;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr};

use super::choose::{self, Encoding};
use super::pages::{Chunk, Press, Stores};
use super::temp::Temp;
use crate::batch::bytes_of_values;
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};

/// Bytes a value that an encoder works with beside the values: levels, positions, indices.
const BESIDE: usize = 16;

/// Bytes of a bloom filter for each value that it is made for, at most.
const BLOOM_BYTES: usize = 3;

/// Whether a column's values go into a dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dictionary {
    /// Where a sample says that it pays.
    Sampled,
    /// Until it grows too large.
    Always,
    Never,
}

/// What all row groups of a file share.
pub(super) struct Plan {
    pub(super) columns: Vec<Column>,
    /// Those of the file, as encoders see them.
    pub(super) properties: WriterProperties,
    pub(super) press: Arc<Press>,
    pub(super) holder: Holder,
}

/// A column, as its encoders need it: the schema of a file that had no other.
pub(super) struct Column {
    field: FieldRef,
    schema: SchemaRef,
    root: TypePtr,
    leaves: Vec<ColumnPath>,
    dictionary: Dictionary,
}

impl Column {
    /// The columns of `schema`, which Parquet calls `descriptor`.
    pub(super) fn all(
        schema: &Schema,
        descriptor: &SchemaDescriptor,
        dictionary: impl Fn(&str) -> Dictionary,
    ) -> Result<Vec<Self>> {
        let mut leaves = vec![Vec::new(); schema.fields().len()];
        for leaf in 0..descriptor.num_columns() {
            if let Some(of_column) = leaves.get_mut(descriptor.get_column_root_idx(leaf)) {
                of_column.push(descriptor.column(leaf).path().clone());
            }
        }
        let columns = schema.fields().iter().zip(descriptor.root_schema().get_fields()).zip(leaves);
        columns
            .map(|((field, column), leaves)| {
                let root = Type::group_type_builder(descriptor.root_schema().name()).with_fields(vec![column.clone()]);
                Ok(Self {
                    field: field.clone(),
                    schema: Arc::new(Schema::new(vec![field.clone()])),
                    root: Arc::new(root.build()?),
                    leaves,
                    dictionary: dictionary(field.name()),
                })
            })
            .collect()
    }
}

/// An open column of a row group. Holds a page that is not full, a dictionary, and what is noted of the pages.
pub(super) struct Lane {
    field: FieldRef,
    writers: Vec<ArrowColumnWriter>,
    stores: Arc<Stores>,
    lease: Lease,
}

impl Lane {
    /// A lane for `column` of a row group that begins with the rows of `first`.
    pub(super) fn open(plan: &Plan, column: usize, first: &ArrayRef, temp: &Arc<Temp>) -> Result<Self> {
        let Some(column) = plan.columns.get(column) else {
            return Err(Error::Stream("a batch has more columns than its schema".into()));
        };
        let sample = choose::leaves(first);
        let mut properties = plan.properties.clone().into_builder();
        for (i, path) in column.leaves.iter().enumerate() {
            let affordable = plan.properties.dictionary_enabled(path);
            let encoding = match (column.dictionary, sample.get(i)) {
                (Dictionary::Always, _) if affordable => Encoding::Dictionary,
                (wish, Some(values)) => choose::encoding(values, affordable && wish == Dictionary::Sampled),
                (_, None) => Encoding::Plain,
            };
            properties = properties.set_column_dictionary_enabled(path.clone(), encoding == Encoding::Dictionary);
            if encoding == Encoding::Delta {
                properties = properties.set_column_encoding(path.clone(), ParquetEncoding::DELTA_BINARY_PACKED);
            }
        }
        let filters = column.leaves.iter().filter_map(|path| plan.properties.bloom_filter_properties(path));
        let values = filters.map(|filter| usize::try_from(filter.ndv()).unwrap_or(usize::MAX)).sum::<usize>();
        let lease = plan.holder.lease(values.saturating_mul(BLOOM_BYTES))?;
        let stores = Arc::new(Stores::new(&plan.press, temp));
        // column writers are only made for a file, so here is one of this column that goes nowhere
        let nowhere = SerializedFileWriter::new(io::sink(), column.root.clone(), Arc::new(properties.build()))?;
        let factory = ArrowRowGroupWriterFactory::new(&nowhere, column.schema.clone());
        let writers = factory.with_page_store_factory(stores.clone()).create_column_writers(0)?;
        Ok(Self { field: column.field.clone(), writers, stores, lease })
    }

    /// Encodes the next rows.
    pub(super) fn write(&mut self, rows: &ArrayRef) -> Result<()> {
        let bytes = bytes_of_values(rows);
        // a page and its compressed copy, and what the encoder notes of each value
        let work = self.lease.holder().lease(2 * bytes + BESIDE * rows.len())?;
        for (leaf, writer) in compute_leaves(&self.field, rows)?.iter().zip(&mut self.writers) {
            writer.write(leaf)?;
        }
        drop(work);
        self.lease.resize(self.writers.iter().map(ArrowColumnWriter::memory_size).sum())
    }

    /// Finishes the last page and the dictionary.
    pub(super) fn close(self) -> Result<Vec<Chunk>> {
        let Self { writers, stores, lease, .. } = self;
        let chunks = stores.close(writers);
        drop(lease);
        chunks
    }
}
