//! A decoder of our own for flat columns: numbers and other values of fixed width, booleans, text.
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
//! | `split` | streams of bytes → PLAIN values |
//! | `unpack` | bit packing → numbers, by SIMD where there is |
//! | `selection` `compress` | the rows that a predicate left, and their values put together |
//! | `column` | the loop over pages, for every kind of value |
//! | `gather` `spread` | values looked up in a dictionary; values moved to the rows that are not null |
//! | `kinds` | which kind of value a column has |
//! | `form` | what stored values become where Arrow has other bytes for them |
//! | `fixed` `wide` `text` `boolean` | PLAIN and dictionary values of one kind → an array |
//! | `dictionary` | the values that a column can have, where a dictionary names them |
//!
//! Nested columns (`super::nested`) have the same kinds of values. What it does not take, the crate does: intervals, decimals
//! of no fixed length, text as indices of a dictionary, and from the first page on that is written in another encoding than
//! PLAIN, dictionary, RLE, BYTE_STREAM_SPLIT or, for whole numbers, DELTA_BINARY_PACKED.

mod boolean;
mod column;
mod compress;
mod deltas;
mod dictionary;
mod fixed;
mod form;
mod gather;
mod hybrid;
mod kinds;
mod levels;
mod pages;
mod selection;
mod split;
mod spread;
#[cfg(test)]
mod tests;
mod text;
mod unpack;
mod wide;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit as ParquetUnit, Type};
use parquet::file::metadata::ColumnChunkMetaData;

use self::column::Flat;
pub use self::column::{Kind, Values, fitted};
pub use self::dictionary::dictionary;
pub use self::hybrid::{BLOCK, Hybrid, Run};
pub use self::kinds::{Use, kind};
pub use self::levels::Validity;
pub use self::pages::{Later, Part, Parts, Rows};
pub use self::selection::Selection;
use super::pages::Pages;
use crate::error::Result;
use crate::memory::Holder;

/// A column of a row group, decoded from front to back.
pub trait Decode: Send {
    /// Those of the next `rows` rows that `keep` wants, or all; `None` where a page is written in a way that only the
    /// crate reads, and then no more.
    ///
    /// # Errors
    /// A damaged page, or one that the run has no room for; then nothing more is read. [`crate::error::Error::Wide`], and
    /// then these rows are left out.
    fn read(&mut self, rows: usize, keep: Option<&Selection>) -> Result<Option<ArrayRef>>;

    /// Reads and decompresses the page that the next `rows` rows will ask for, if it is not there yet; false where there
    /// is nothing to do.
    ///
    /// # Errors
    /// A damaged page, or one that the run has no room for; the latter may be asked for again.
    fn prepare(&mut self, rows: usize) -> Result<bool>;

    /// The next `rows` rows, behind which others follow, in a decoder of their own; this one goes on behind them. Only the
    /// dictionary and the headers of pages are read here: a page is read once, by whichever decoder comes to it first. `None`
    /// where that cannot be; then the rows are still to be read.
    ///
    /// # Errors
    /// A damaged header, or a dictionary that is damaged or that the run has no room for.
    fn apart(&mut self, _rows: usize) -> Result<Option<Box<dyn Decode>>> {
        Ok(None)
    }

    /// The pages that the next `rows` rows will probably ask for, taken off by their headers: whoever has nothing else to do may
    /// read them meanwhile. None where pages are set apart with their rows.
    fn soon(&mut self, _rows: usize) -> Vec<Arc<Later>> {
        Vec::new()
    }

    /// Leaves out the next `rows` rows. Done when more is read: pages of nothing else are never decompressed.
    fn skip(&mut self, rows: usize);
}

/// A decoder for `column`, announced as `to`, over its `pages`; text and dictionaries that are converted are leased of
/// `holder`, and some rows of text with more than `wide` bytes are [`crate::error::Error::Wide`]. `None`
/// where only the crate has one. Reads nothing yet.
///
/// # Errors
/// Those of `pages`.
pub fn open(
    column: &ColumnChunkMetaData,
    to: &DataType,
    pages: impl FnOnce() -> Result<Pages>,
    holder: &Holder,
    rows: usize,
    wide: usize,
) -> Result<Option<Box<dyn Decode>>> {
    if !is_flat(column) {
        return Ok(None);
    }
    let nullable = column.column_descr().max_def_level() > 0;
    kind(column, to, holder, wide, Opening { pages, nullable, rows }).transpose()
}

/// A decoder that is opened over some pages.
struct Opening<P> {
    pages: P,
    nullable: bool,
    rows: usize,
}

impl<P: FnOnce() -> Result<Pages>> Use for Opening<P> {
    type Out = Result<Box<dyn Decode>>;

    fn with<K: Kind + 'static>(self, kind: K) -> Self::Out {
        Ok(Box::new(Flat::new(Parts::new((self.pages)()?, self.nullable), kind, self.rows)))
    }
}

/// Whether the column is a root column without anything nested in it.
pub fn is_flat(column: &ColumnChunkMetaData) -> bool {
    let descriptor = column.column_descr();
    descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1 && descriptor.path().parts().len() == 1
}

/// Whether the stored number is the announced one, bit by bit.
pub fn as_stored(column: &ColumnChunkMetaData, to: &DataType) -> bool {
    match (column.column_type(), to) {
        (Type::INT32, DataType::Int32 | DataType::UInt32 | DataType::Date32 | DataType::Time32(_))
        | (Type::INT64, DataType::Int64 | DataType::UInt64 | DataType::Date64 | DataType::Duration(_))
        | (Type::FLOAT, DataType::Float32)
        | (Type::DOUBLE, DataType::Float64) => true,
        (Type::INT64, DataType::Timestamp(unit, _) | DataType::Time64(unit)) => match stored_unit(column) {
            Some(stored) => stored == *unit,
            // which is a type of Arrow alone: its writer left the number bare
            None => *unit == TimeUnit::Second,
        },
        _ => false,
    }
}

/// The unit of the times that `column` says to have.
fn stored_unit(column: &ColumnChunkMetaData) -> Option<TimeUnit> {
    let descriptor = column.column_descr();
    match (descriptor.logical_type_ref(), descriptor.converted_type()) {
        (Some(LogicalType::Timestamp(stored) | LogicalType::Time(stored)), _) => Some(match stored.unit {
            ParquetUnit::MILLIS => TimeUnit::Millisecond,
            ParquetUnit::MICROS => TimeUnit::Microsecond,
            ParquetUnit::NANOS => TimeUnit::Nanosecond,
        }),
        (None, ConvertedType::TIMESTAMP_MILLIS) => Some(TimeUnit::Millisecond),
        (None, ConvertedType::TIMESTAMP_MICROS | ConvertedType::TIME_MICROS) => Some(TimeUnit::Microsecond),
        _ => None,
    }
}
