//! The crate's decoder over our pages: it takes any column and any encoding.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
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
use super::room::{Room, parts};
use super::rows::Rows;
use crate::error::{Error, Result};

/// Why no page could be read. The crate's errors keep only the text of it.
pub type Refused = Arc<Mutex<Option<Error>>>;

/// The crate's decoder of one column.
pub struct Foreign {
    reader: ParquetRecordBatchReader,
    leaves: Vec<SharedLeaf>,
    window: usize,
    /// The position of the next row, and that behind the last.
    at: u64,
    end: u64,
}

/// The pages of a leaf, and the room that its window takes: the crate asks for pages, and who asks the crate begins windows.
type SharedLeaf = Arc<Mutex<Leaf>>;

struct Leaf {
    pages: Pages,
    room: Room,
    /// The largest repetition level, and the largest definition level.
    levels: [i16; 2],
}

impl Foreign {
    /// A decoder of `column`, for the rows that are read from position `start` on, `window` at a time: the crate makes room
    /// for so many rows, whether there are as many or not.
    ///
    /// # Errors
    /// A column that the crate cannot decode, pages that are not there.
    pub fn open(opening: &Opening, column: &Column, refused: &Refused, start: u64, window: usize) -> Result<Self> {
        let metadata = &opening.metadata;
        let schema = metadata.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::roots(schema, [column.root]);
        let levels = parquet_to_arrow_field_levels(schema, mask, Some(metadata.schema().fields()))?;
        let group = Group { opening, refused, to: &column.announced, leaves: Mutex::default() };
        // otherwise nothing is selected, so that a column with more rows than the group gives itself away
        let rows = &opening.rows;
        let selection =
            (start > 0 || !rows.is_all(group.num_rows() as u64)).then(|| selected(rows, start)).transpose()?;
        let reader = guarded("first page", || {
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, window, selection).map_err(damaged)
        })?;
        let leaves = group.leaves.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Self { reader, leaves, window, at: start, end: rows.count() })
    }

    /// Whether `rows` rows from position `start` on are what comes next.
    pub fn is_at(&self, start: u64, rows: usize) -> bool {
        start == self.at && (rows == self.window || start + rows as u64 == self.end)
    }

    /// The next window, whose rows of the row group are `rows`; `share` bytes are leased for it elsewhere. `None` at the end.
    ///
    /// # Errors
    /// Damaged pages, or no room for the window.
    pub fn next(
        &mut self,
        rows: impl Iterator<Item = Range<u64>> + Clone,
        share: usize,
    ) -> Result<Option<RecordBatch>> {
        let share = share / self.leaves.len().max(1);
        for leaf in &self.leaves {
            locked(leaf).room.begin(rows.clone(), self.window, share)?;
        }
        self.at += self.window as u64;
        Ok(self.reader.next().transpose()?)
    }

    /// Whether there are rows behind those that were read.
    ///
    /// # Errors
    /// A damaged page header.
    pub fn has_more(&mut self) -> Result<bool> {
        for leaf in &self.leaves {
            let mut leaf = locked(leaf);
            if leaf.room.has_more() {
                return Ok(true);
            }
            while let Some(head) = leaf.pages.peek()? {
                match head.kind {
                    Kind::Data { values: 0, .. } | Kind::DataV2 { values: 0, .. } => leaf.pages.skip()?,
                    _ => return Ok(true),
                }
            }
        }
        Ok(false)
    }
}

fn locked(leaf: &SharedLeaf) -> MutexGuard<'_, Leaf> {
    leaf.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// What the column is announced as.
    to: &'a DataType,
    /// The leaves that were opened.
    leaves: Mutex<Vec<SharedLeaf>>,
}

impl RowGroups for Group<'_> {
    fn num_rows(&self) -> usize {
        self.row_groups().next().and_then(|group| usize::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    fn column_chunks(&self, leaf: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let pages = self.opening.pages(leaf).map_err(|e| ParquetError::General(e.to_string()))?;
        let descriptor = self.metadata().file_metadata().schema_descr().column(leaf);
        let levels = [descriptor.max_rep_level(), descriptor.max_def_level()];
        let room = Room::new(&descriptor, self.to, self.opening.holder.empty(), self.opening.wide);
        let leaf = Arc::new(Mutex::new(Leaf { pages, room, levels }));
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner).push(leaf.clone());
        let reader = Reader { leaf, refused: self.refused.clone() };
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
    leaf: SharedLeaf,
    refused: Refused,
}

impl Leaf {
    fn next(&mut self) -> Result<Option<Page>> {
        let Some(page) = self.pages.next()? else { return Ok(None) };
        let mut shared = 0;
        if let Kind::Data { values, encoding, .. } | Kind::DataV2 { values, encoding, .. } = page.head.kind {
            let found = parts(&page.head.kind, &page.body, self.levels).values;
            let need = delta::need(encoding, &found, values).map_err(Error::Format)?;
            self.pages.beside(need.beside)?;
            shared = need.shared;
        }
        self.room.page(&page.head.kind, &page.body, shared)?;
        Ok(Some(page))
    }

    fn skip(&mut self) -> Result<()> {
        let rows = match self.pages.peek()?.map(|head| &head.kind) {
            Some(Kind::Data { values: rows, .. } | Kind::DataV2 { rows, .. }) => *rows,
            _ => 0,
        };
        self.room.passed(rows)?;
        self.pages.skip()
    }
}

impl Reader {
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
        let page = locked(&self.leaf).next();
        let page = page.map_err(|why| self.shut(why))?;
        page.map(taken).transpose()
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        let mut leaf = locked(&self.leaf);
        let head = leaf.pages.peek().map_err(|why| self.shut(why))?;
        Ok(head.map(|head| match head.kind {
            Kind::Data { values, .. } => PageMetadata { num_rows: None, num_levels: Some(values), is_dict: false },
            Kind::DataV2 { values, rows, .. } => {
                PageMetadata { num_rows: Some(rows), num_levels: Some(values), is_dict: false }
            }
            Kind::Dictionary { .. } | Kind::Index => PageMetadata { num_rows: None, num_levels: None, is_dict: true },
        }))
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        locked(&self.leaf).skip().map_err(|why| self.shut(why))
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
