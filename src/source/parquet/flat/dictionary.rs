//! The dictionary of a flat column as an array, without the rows that it stands for.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::Type;
use parquet::file::metadata::ColumnChunkMetaData;

use super::super::pages::Pages;
use super::column::Kind;
use super::fixed::Fixed;
use super::pages::{Part, Parts};
use super::text::Text;
use super::{as_stored, is_flat};
use crate::error::Result;
use crate::memory::Lease;

/// The values of the dictionary of `column`, announced as `to`; `None` where its first page is none, or one of more than
/// `most` bytes, or where only the crate decodes such values. Reads that page and no other; text is leased by `lease`,
/// which is empty.
///
/// # Errors
/// A damaged page, or one that the run has no room for.
pub fn dictionary(
    column: &ColumnChunkMetaData,
    to: &DataType,
    mut pages: Pages,
    most: usize,
    lease: Lease,
) -> Result<Option<ArrayRef>> {
    if !is_flat(column) || pages.peek()?.is_none_or(|head| head.whole > most) {
        return Ok(None);
    }
    let mut parts = Parts::new(pages, false);
    let Some(Part::Dictionary { bytes, count }) = parts.next()? else { return Ok(None) };
    match (column.column_type(), to) {
        (Type::INT32 | Type::FLOAT, to) if as_stored(column, to) => values(Fixed::<u32>::new(to), bytes, count),
        (Type::INT64 | Type::DOUBLE, to) if as_stored(column, to) => values(Fixed::<u64>::new(to), bytes, count),
        (Type::BYTE_ARRAY, DataType::Utf8 | DataType::Binary) => values(Text::new(to, lease, usize::MAX), bytes, count),
        _ => Ok(None),
    }
}

fn values(mut kind: impl Kind, bytes: Bytes, count: usize) -> Result<Option<ArrayRef>> {
    kind.dictionary(bytes, count)?;
    let indices: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    kind.reserve(count);
    kind.gather(&indices)?;
    kind.finish(None).map(Some)
}
