//! A decoder of our own for flat columns: fixed-width numbers, booleans, text.
//!
//! The crate's decoder takes any column and any encoding, at a price: levels become 16-bit numbers before they become
//! bits, values go through one call a run, text is built as views and copied afterwards. This one knows that a flat
//! column's levels *are* its validity, unpacks indices a block at a time and gathers values straight into the buffer
//! that the batch will hold.
//!
//! | file | what it does |
//! |---|---|
//! | `pages` | pages → levels and values, also of nested columns |
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
//! Nested columns (`super::nested`) have the same kinds of values. What it does not take, the crate does: other physical
//! types, and from the first page on that is
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
pub use self::column::{Kind, Values};
pub use self::dictionary::dictionary;
use self::fixed::Fixed;
pub use self::hybrid::{BLOCK, Hybrid, Run};
pub use self::levels::Validity;
pub use self::pages::{Part, Parts, Rows};
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

/// A decoder for `column`, announced as `to`, over its `pages`; text is leased by `lease`, which is empty. `None` where
/// only the crate has one. Reads nothing yet.
pub fn open(
    column: &ColumnChunkMetaData,
    to: &DataType,
    pages: impl FnOnce() -> Result<Pages>,
    lease: Lease,
    rows: usize,
) -> Result<Option<Box<dyn Decode>>> {
    if !is_flat(column) {
        return Ok(None);
    }
    let nullable = column.column_descr().max_def_level() > 0;
    kind_of(column, to, lease, Whole { pages, nullable, rows })
}

/// What is made of the values of a column once it is known of which kind they are.
pub trait OfKind {
    /// What it is.
    type Made;

    /// Makes it of `kind`.
    fn of<K: Kind + 'static>(self, kind: K) -> Result<Self::Made>;
}

/// A flat column of any kind.
struct Whole<P> {
    pages: P,
    nullable: bool,
    rows: usize,
}

impl<P: FnOnce() -> Result<Pages>> OfKind for Whole<P> {
    type Made = Box<dyn Decode>;

    fn of<K: Kind + 'static>(self, kind: K) -> Result<Self::Made> {
        let parts = Parts::new((self.pages)()?, self.nullable);
        Ok(Box::new(Flat::new(parts, kind, self.rows)))
    }
}

/// What `make` makes of the kind of values that leaf `column` has, announced as `to`; `None` where only the crate decodes
/// them. Text is leased by `lease`, which is empty.
pub fn kind_of<M: OfKind>(
    column: &ColumnChunkMetaData,
    to: &DataType,
    lease: Lease,
    make: M,
) -> Result<Option<M::Made>> {
    Ok(Some(match (column.column_type(), to) {
        (Type::BOOLEAN, DataType::Boolean) => make.of(Booleans::default())?,
        (Type::INT32 | Type::FLOAT, to) if as_stored(column, to) => make.of(Fixed::<u32>::new(to))?,
        (Type::INT64 | Type::DOUBLE, to) if as_stored(column, to) => make.of(Fixed::<u64>::new(to))?,
        (Type::BYTE_ARRAY, DataType::Utf8 | DataType::Binary) => make.of(Text::new(to, lease))?,
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
