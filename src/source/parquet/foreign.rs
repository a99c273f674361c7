//! The crate's decoder over our pages: it takes any column and any encoding.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::arrow::parquet_to_arrow_field_levels;
use parquet::basic::Encoding;
use parquet::column::page::{Page as Taken, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::decoder::Opening;
use super::delta;
use super::guard::{damaged, guarded};
use super::header::Kind;
use super::layout::Column;
use super::pages::{Page, Pages};
use super::rows::Rows;
use crate::error::{Error, Result};

/// Why no page could be read. The crate's errors keep only the text of it.
pub type Refused = Arc<Mutex<Option<Error>>>;

/// A decoder of `column`, for the rows that are read from position `start` on.
///
/// # Errors
/// A column that the crate cannot decode, pages that are not there.
pub fn open(opening: &Opening, column: &Column, refused: &Refused, start: u64) -> Result<ParquetRecordBatchReader> {
    let metadata = &opening.metadata;
    let schema = metadata.metadata().file_metadata().schema_descr();
    let mask = ProjectionMask::roots(schema, [column.root]);
    let levels = parquet_to_arrow_field_levels(schema, mask, Some(metadata.schema().fields()))?;
    let group = Group { opening, refused };
    // otherwise nothing is selected, so that a column with more rows than the group gives itself away
    let rows = &opening.rows;
    let selection = (start > 0 || !rows.is_all(group.num_rows() as u64)).then(|| selected(rows, start)).transpose()?;
    guarded("first page", || {
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, opening.window, selection).map_err(damaged)
    })
}

/// The rows at positions from `start` on.
fn selected(rows: &Rows, start: u64) -> Result<RowSelection> {
    let row = |row: u64| usize::try_from(row).map_err(|_| Error::Format("too many rows".into()));
    let ranges: Vec<_> =
        rows.stretch(start, rows.count()).map(|range| Ok(row(range.start)?..row(range.end)?)).collect::<Result<_>>()?;
    Ok(RowSelection::from_consecutive_ranges(ranges.into_iter(), row(rows.row(rows.count()))?))
}

/// The row group that is opened.
struct Group<'a> {
    opening: &'a Opening,
    refused: &'a Refused,
}

impl RowGroups for Group<'_> {
    fn num_rows(&self) -> usize {
        self.row_groups().next().and_then(|group| usize::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    fn column_chunks(&self, leaf: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let pages = self.opening.pages(leaf).map_err(|e| ParquetError::General(e.to_string()))?;
        let descriptor = self.metadata().file_metadata().schema_descr().column(leaf);
        let levels = [descriptor.max_rep_level(), descriptor.max_def_level()];
        let reader = Reader { pages, refused: self.refused.clone(), levels };
        Ok(Box::new(Once(Some(Box::new(reader)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata().row_groups().get(self.opening.part).into_iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.opening.metadata.metadata()
    }
}

/// The pages of one row group: there is one reader.
struct Once(Option<Box<dyn PageReader>>);

impl Iterator for Once {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for Once {}

struct Reader {
    pages: Pages,
    refused: Refused,
    /// The largest repetition level, and the largest definition level.
    levels: [i16; 2],
}

impl Reader {
    fn read(&mut self) -> Result<Option<Page>> {
        let Some(page) = self.pages.next()? else { return Ok(None) };
        let room = match page.head.kind {
            Kind::Data { values, encoding, definition, repetition } => {
                let mut at = 0;
                for (most, written) in self.levels.into_iter().zip([repetition, definition]).filter(|(n, _)| *n > 0) {
                    let length = if written == Encoding::RLE {
                        let length = page.body.get(at..).and_then(|rest| rest.first_chunk().copied());
                        at = at.saturating_add(4);
                        length.and_then(|length| usize::try_from(u32::from_le_bytes(length)).ok())
                    } else {
                        // bit-packed, as they once were
                        let bits = usize::try_from(i16::BITS - most.leading_zeros()).unwrap_or(16);
                        values.checked_mul(bits).map(|bits| bits.div_ceil(8))
                    };
                    at = at.saturating_add(length.unwrap_or(page.body.len()));
                }
                delta::room(encoding, page.body.get(at..).unwrap_or_default(), values)
            }
            Kind::DataV2 { values, encoding, definition, repetition, .. } => {
                let rest = page.body.get(repetition.saturating_add(definition)..).unwrap_or_default();
                delta::room(encoding, rest, values)
            }
            Kind::Dictionary { .. } | Kind::Index => Ok(0),
        };
        self.pages.beside(room.map_err(Error::Format)?)?;
        Ok(Some(page))
    }

    fn shut(&self, why: Error) -> ParquetError {
        let said = why.to_string();
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        ParquetError::General(said)
    }
}

impl Iterator for Reader {
    type Item = ParquetResult<Taken>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Reader {
    fn get_next_page(&mut self) -> ParquetResult<Option<Taken>> {
        let page = self.read().map_err(|why| self.shut(why))?;
        page.map(taken).transpose()
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        let head = match self.pages.peek() {
            Ok(head) => head,
            Err(why) => return Err(self.shut(why)),
        };
        Ok(head.map(|head| match head.kind {
            Kind::Data { values, .. } => PageMetadata { num_rows: None, num_levels: Some(values), is_dict: false },
            Kind::DataV2 { values, rows, .. } => {
                PageMetadata { num_rows: Some(rows), num_levels: Some(values), is_dict: false }
            }
            Kind::Dictionary { .. } | Kind::Index => PageMetadata { num_rows: None, num_levels: None, is_dict: true },
        }))
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.pages.skip().map_err(|why| self.shut(why))
    }
}

/// A page as the crate has it.
fn taken(page: Page) -> ParquetResult<Taken> {
    let size = |n: usize| u32::try_from(n).map_err(|e| ParquetError::General(e.to_string()));
    let Page { head, body: buf } = page;
    Ok(match head.kind {
        Kind::Dictionary { values, encoding } => {
            Taken::DictionaryPage { buf, num_values: size(values)?, encoding, is_sorted: false }
        }
        Kind::Data { values, encoding, definition, repetition } => Taken::DataPage {
            buf,
            num_values: size(values)?,
            encoding,
            def_level_encoding: definition,
            rep_level_encoding: repetition,
            statistics: None,
        },
        Kind::DataV2 { values, nulls, rows, encoding, definition, repetition, .. } => Taken::DataPageV2 {
            buf,
            num_values: size(values)?,
            encoding,
            num_nulls: size(nulls)?,
            num_rows: size(rows)?,
            def_levels_byte_len: size(definition)?,
            rep_levels_byte_len: size(repetition)?,
            is_compressed: false,
            statistics: None,
        },
        Kind::Index => {
            Taken::DictionaryPage { buf: Bytes::new(), num_values: 0, encoding: Encoding::PLAIN, is_sorted: false }
        }
    })
}
