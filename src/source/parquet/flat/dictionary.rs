//! The dictionary of a flat column as an array, without the rows that it stands for.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::file::metadata::ColumnChunkMetaData;

use super::super::pages::Pages;
use super::column::Kind;
use super::is_flat;
use super::kinds::{Use, kind};
use super::pages::{Part, Parts};
use crate::error::Result;
use crate::memory::Holder;

/// The values of the dictionary of `column`, announced as `to`; `None` where its first page is none, or one of more than
/// `most` bytes, or where only the crate decodes such values. Reads that page and no other. What it takes is leased of
/// `holder` until it is handed over.
///
/// # Errors
/// A damaged page, or one that the run has no room for.
pub fn dictionary(
    column: &ColumnChunkMetaData,
    to: &DataType,
    mut pages: Pages,
    most: usize,
    holder: &Holder,
) -> Result<Option<ArrayRef>> {
    if !is_flat(column) || pages.peek()?.is_none_or(|head| head.whole > most) {
        return Ok(None);
    }
    let mut parts = Parts::new(pages, false);
    let Some(Part::Dictionary { bytes, count }) = parts.next()? else { return Ok(None) };
    // text is leased where it is put together
    let width =
        if let DataType::FixedSizeBinary(width) = to { usize::try_from(*width).ok() } else { to.primitive_width() };
    let _held = holder.lease(count.saturating_mul(width.unwrap_or(0)))?;
    kind(column, to, holder, usize::MAX, Values { bytes, count }).transpose()
}

/// All values of a dictionary.
struct Values {
    bytes: Bytes,
    count: usize,
}

impl Use for Values {
    type Out = Result<ArrayRef>;

    fn with<K: Kind + 'static>(self, mut kind: K) -> Self::Out {
        kind.dictionary(self.bytes, self.count)?;
        let indices: Vec<u32> = (0..u32::try_from(self.count).unwrap_or(u32::MAX)).collect();
        kind.reserve(self.count);
        kind.gather(&indices)?;
        kind.finish(None)
    }
}
