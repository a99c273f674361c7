//! Dictionaries that rule a row group out.
//!
//! Where every page of a column refers to its dictionary, no value is anywhere that is not in it. So the predicates over
//! that column alone are evaluated on the dictionary, and on null; where none is kept, no row is. It costs to read and
//! decode a page that would be decoded again later, so it is done only where that page is small beside what it can save.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt64Array, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;

use super::super::codec::Desk;
use super::super::flat::{self, is_flat};
use super::super::guard::guarded;
use super::super::layout::{Column, Layout};
use super::super::pages::{Chunk, Pages};
use crate::batch::with_columns;
use crate::dtype::value_type;
use crate::error::{Error, Result};
use crate::expr::mask::mask;
use crate::expr::{Expr, Typed, resolve_predicate};
use crate::memory::Holder;
use crate::source::read_at::ReadAt;

/// A dictionary that takes more bytes in the file than this is not read.
const LARGEST: u64 = 1 << 20;
/// How many times as large as the dictionary that must be which need not be read without it.
const WORTH: u64 = 8;

/// The predicates over one column, for its values without their dictionary.
#[derive(Debug)]
pub struct ByDictionary {
    column: Column,
    to: DataType,
    predicates: Vec<Typed>,
}

impl ByDictionary {
    /// For `predicates`, which are over `column` alone; `None` where they can fail, or where its dictionary is not decoded.
    pub fn new(column: &Column, predicates: &[Expr]) -> Option<Self> {
        let to = value_type(&column.announced).clone();
        let schema = Schema::new(vec![Field::new(&column.name, to.clone(), true)]);
        let typed: Vec<Typed> = predicates.iter().map(|p| resolve_predicate(p, &schema).ok()).collect::<Option<_>>()?;
        // of numbers and text, which predicates are about, the dictionary is decoded alone
        let decoded = matches!(to, DataType::Utf8 | DataType::Binary) || to.primitive_width().is_some();
        (decoded && !typed.iter().any(Typed::fallible)).then(|| Self { column: column.clone(), to, predicates: typed })
    }

    /// Whether the dictionary of the column in row group `part` can be asked, and is small beside `stored` bytes.
    pub fn applies(&self, layout: &Layout, part: usize, stored: u64) -> bool {
        let Some(column) = self.leaf(layout, part).filter(|c| is_flat(c) && all_by_dictionary(c)) else { return false };
        let size = column
            .dictionary_page_offset()
            .and_then(|at| u64::try_from(column.data_page_offset().checked_sub(at)?).ok())
            .filter(|size| *size <= LARGEST);
        size.is_some_and(|size| size.saturating_mul(WORTH) <= stored)
    }

    fn leaf<'a>(&self, layout: &'a Layout, part: usize) -> Option<&'a ColumnChunkMetaData> {
        let group = layout.footer().row_groups().get(part)?;
        (self.column.leaves.len() == 1).then(|| group.column(self.column.leaves.start))
    }

    /// Whether a row of row group `part` can be kept. A dictionary that cannot be read, that takes more than `most` bytes,
    /// or for which `holder` has no room, rules nothing out.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn may_match(
        &self,
        layout: &Layout,
        part: usize,
        at: &Arc<dyn ReadAt>,
        desk: &Arc<Desk>,
        (holder, most): (&Holder, usize),
    ) -> Result<bool> {
        let Some(column) = self.leaf(layout, part) else { return Ok(true) };
        let found = guarded("dictionary", || {
            let pages = Pages::new(at.clone(), Chunk::of(column)?, desk.clone(), holder.empty());
            flat::dictionary(column, &self.to, pages, most, holder)
        });
        match found {
            Ok(Some(values)) => {
                let Ok(_held) = holder.lease(values.get_array_memory_size() * 2) else { return Ok(true) };
                Ok(self.keeps(values, no_nulls(layout, part, &self.column.name)).unwrap_or(true))
            }
            Ok(None) | Err(Error::Format(_) | Error::MemoryLimit(_)) => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Whether one of `values`, or null, is kept.
    fn keeps(&self, values: ArrayRef, no_nulls: bool) -> Result<bool> {
        let null = new_null_array(&self.to, usize::from(!no_nulls));
        let values = concat(&[&values, &null])?;
        let rows = values.len();
        let schema = Arc::new(Schema::new(vec![Field::new(&self.column.name, self.to.clone(), true)]));
        Ok(mask(&self.predicates, &with_columns(schema, vec![values], rows)?)?.true_count() > 0)
    }
}

fn no_nulls(layout: &Layout, part: usize, column: &str) -> bool {
    let group = layout.footer().row_group(part);
    let counts: Option<UInt64Array> =
        super::statistics::converter(layout, column).and_then(|c| c.row_group_null_counts([group]).ok());
    counts.and_then(|counts| counts.iter().next().flatten()) == Some(0)
}

/// Whether all data pages of `column` refer to its dictionary, as far as the footer says.
fn all_by_dictionary(column: &ColumnChunkMetaData) -> bool {
    let by_dictionary = |e: Encoding| matches!(e, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY);
    if column.dictionary_page_offset().is_none() {
        return false;
    }
    if let Some(pages) = column.page_encoding_stats_mask() {
        return pages.encodings().count() > 0 && pages.encodings().all(by_dictionary);
    }
    // without a word on pages: PLAIN may be that of the dictionary, or of a page
    let levels = |e: Encoding| matches!(e, Encoding::RLE) || is_bit_packed(e);
    column.encodings().any(by_dictionary) && column.encodings().all(|e| by_dictionary(e) || levels(e))
}

/// The encoding of levels in old files.
#[expect(deprecated, reason = "old files have it")]
fn is_bit_packed(encoding: Encoding) -> bool {
    encoding == Encoding::BIT_PACKED
}
