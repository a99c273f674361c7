//! A decoder of our own for flat columns: fixed-width numbers, booleans, text.
//!
//! The crate's decoder takes any column and any encoding, at a price: levels become 16-bit numbers before they become
//! bits, values go through one call a run, text is built as views and copied afterwards. This one knows that a flat
//! column's levels *are* its validity, unpacks indices a block at a time and gathers values straight into the buffer
//! that the batch will hold.
//!
//! | file | what it does |
//! |---|---|
//! | `pages` | pages → levels and values |
//! | `levels` | definition levels → validity bits |
//! | `hybrid` | runs and bit packing → indices |
//! | `deltas` | differences → numbers |
//! | `unpack` | bit packing → numbers, by SIMD where there is |
//! | `selection` `compress` | the rows that a predicate left, and their values put together |
//! | `column` | the loop over pages, for every kind of value |
//! | `gather` `spread` | values looked up in a dictionary; values moved to the rows that are not null |
//! | `fixed` `text` `boolean` | PLAIN and dictionary values of one kind → an array |
//! | `dictionary` | the values that a column can have, where a dictionary names them |
//!
//! What it does not take, the crate does: nested columns, other physical types, and from the first page on that is
//! written in another encoding than PLAIN, dictionary, RLE or, for whole numbers, DELTA_BINARY_PACKED.

mod boolean;
mod column;
mod compress;
mod deltas;
mod dictionary;
mod fixed;
mod gather;
mod hybrid;
mod levels;
mod pages;
mod selection;
mod spread;
#[cfg(test)]
mod tests;
mod text;
mod unpack;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::basic::{LogicalType, TimeUnit as ParquetUnit, Type};
use parquet::file::metadata::ColumnChunkMetaData;

use self::boolean::Booleans;
use self::column::Flat;
pub use self::dictionary::dictionary;
use self::fixed::Fixed;
pub use self::hybrid::{Hybrid, Run};
use self::pages::Parts;
pub use self::selection::Selection;
use self::text::Text;
use super::pages::Pages;
use crate::error::Result;
use crate::memory::Lease;

/// A column of a row group, decoded from front to back.
pub trait Decode: Send {
    /// Those of the next `rows` rows that `keep` wants, or all; `None` where a page is written in a way that only the
    /// crate reads, and then no more.
    ///
    /// # Errors
    /// A damaged page, or one that the run has no room for.
    fn read(&mut self, rows: usize, keep: Option<&Selection>) -> Result<Option<ArrayRef>>;

    /// Reads and decompresses the page that the next `rows` rows will ask for, if it is not there yet; false where there
    /// is nothing to do.
    ///
    /// # Errors
    /// A damaged page, or one that the run has no room for; the latter may be asked for again.
    fn prepare(&mut self, rows: usize) -> Result<bool>;

    /// Leaves out the next `rows` rows. Done when more is read: pages of nothing else are never decompressed.
    fn skip(&mut self, rows: usize);
}

/// A decoder for `column`, announced as `to`, over its `pages`; text is leased by `lease`, which is empty, and some rows of
/// it with more than `wide` bytes are [`crate::error::Error::Wide`]. `None` where only the crate has one. Reads nothing yet.
pub fn open(
    column: &ColumnChunkMetaData,
    to: &DataType,
    pages: impl FnOnce() -> Result<Pages>,
    lease: Lease,
    rows: usize,
    wide: usize,
) -> Result<Option<Box<dyn Decode>>> {
    if !is_flat(column) {
        return Ok(None);
    }
    let nullable = column.column_descr().max_def_level() > 0;
    let parts = || Ok::<_, crate::error::Error>(Parts::new(pages()?, nullable));
    Ok(Some(match (column.column_type(), to) {
        (Type::BOOLEAN, DataType::Boolean) => Box::new(Flat::new(parts()?, Booleans::default(), rows)),
        (Type::INT32 | Type::FLOAT, to) if as_stored(column, to) => {
            Box::new(Flat::new(parts()?, Fixed::<u32>::new(to), rows))
        }
        (Type::INT64 | Type::DOUBLE, to) if as_stored(column, to) => {
            Box::new(Flat::new(parts()?, Fixed::<u64>::new(to), rows))
        }
        (Type::BYTE_ARRAY, DataType::Utf8 | DataType::Binary) => {
            Box::new(Flat::new(parts()?, Text::new(to, lease, wide), rows))
        }
        _ => return Ok(None),
    }))
}

/// Whether the column is a root column without anything nested in it.
pub fn is_flat(column: &ColumnChunkMetaData) -> bool {
    let descriptor = column.column_descr();
    descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1 && descriptor.path().parts().len() == 1
}

/// Whether the stored number is the announced one, bit by bit.
pub fn as_stored(column: &ColumnChunkMetaData, to: &DataType) -> bool {
    let logical = column.column_descr().logical_type_ref();
    match (column.column_type(), to) {
        (Type::INT32, DataType::Int32 | DataType::UInt32 | DataType::Date32) => true,
        (Type::INT32, DataType::Time32(TimeUnit::Millisecond))
        | (Type::INT64, DataType::Int64 | DataType::UInt64)
        | (Type::FLOAT, DataType::Float32)
        | (Type::DOUBLE, DataType::Float64) => true,
        (Type::INT64, DataType::Timestamp(unit, _) | DataType::Time64(unit)) => match logical {
            Some(LogicalType::Timestamp(stored) | LogicalType::Time(stored)) => matches!(
                (&stored.unit, unit),
                (ParquetUnit::MILLIS, TimeUnit::Millisecond)
                    | (ParquetUnit::MICROS, TimeUnit::Microsecond)
                    | (ParquetUnit::NANOS, TimeUnit::Nanosecond)
            ),
            _ => false,
        },
        _ => false,
    }
}
