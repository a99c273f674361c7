//! The pages of a flat column, taken apart into levels and values.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page as Raw, PageReader};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::super::gate::Gate;
use super::super::guard::damaged;
use super::levels::Levels;
use crate::error::{Error, Result};

/// A page.
pub enum Page {
    /// The values that indices speak of.
    Dictionary {
        /// PLAIN values.
        bytes: Bytes,
        /// How many.
        count: usize,
    },
    /// Rows.
    Data {
        /// How many.
        rows: usize,
        /// Which of them are null, where the column may have nulls.
        levels: Option<Levels>,
        /// The values of those that are not.
        values: Bytes,
        /// How these are written.
        encoding: Encoding,
    },
    /// One that only the crate can read.
    Foreign,
}

/// The pages of one column of one row group, decompressed one at a time.
pub struct Pages {
    reader: SerializedPageReader<Gate>,
    nullable: bool,
}

impl Pages {
    /// The pages of `column`, which lies behind `gate`.
    ///
    /// # Errors
    /// A codec that is not supported, a column outside the file.
    pub fn open(gate: Gate, column: &ColumnChunkMetaData, rows: usize) -> Result<Self> {
        let nullable = column.column_descr().max_def_level() > 0;
        Ok(Self { reader: SerializedPageReader::new(Arc::new(gate), column, rows, None).map_err(damaged)?, nullable })
    }

    /// Passes the next page undecompressed if it is one of at most `most` rows; how many it has.
    ///
    /// # Errors
    /// A damaged header, or a page that the run has no room for.
    pub fn pass_page(&mut self, most: usize) -> Result<Option<usize>> {
        let Some(next) = self.reader.peek_next_page().map_err(damaged)? else { return Ok(None) };
        let rows = if next.is_dict { None } else { next.num_rows.or(next.num_levels) };
        let Some(rows) = rows.filter(|rows| *rows <= most) else { return Ok(None) };
        self.reader.skip_next_page().map_err(damaged)?;
        Ok(Some(rows))
    }

    /// The next page; `None` at the end.
    ///
    /// # Errors
    /// A damaged page, or one that the run has no room for.
    pub fn next(&mut self) -> Result<Option<Page>> {
        let Some(raw) = self.reader.get_next_page().map_err(damaged)? else { return Ok(None) };
        Ok(Some(match raw {
            Raw::DictionaryPage { buf, num_values, encoding, .. } => match encoding {
                Encoding::PLAIN | Encoding::PLAIN_DICTIONARY => {
                    Page::Dictionary { bytes: buf, count: size(num_values)? }
                }
                _ => Page::Foreign,
            },
            Raw::DataPage { def_level_encoding, .. } if self.nullable && def_level_encoding != Encoding::RLE => {
                Page::Foreign
            }
            Raw::DataPage { mut buf, num_values, encoding, .. } => {
                let mut levels = None;
                if self.nullable {
                    let length = buf.first_chunk::<4>().ok_or_else(short)?;
                    let length = size(u32::from_le_bytes(*length))?;
                    let _ = buf.split_to(4);
                    levels = Some(Levels::new(front(&mut buf, length)?));
                }
                Page::Data { rows: size(num_values)?, levels, values: buf, encoding }
            }
            Raw::DataPageV2 { mut buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
                front(&mut buf, size(rep_levels_byte_len)?)?;
                let levels = front(&mut buf, size(def_levels_byte_len)?)?;
                let levels = self.nullable.then(|| Levels::new(levels));
                Page::Data { rows: size(num_values)?, levels, values: buf, encoding }
            }
        }))
    }
}

fn size(announced: u32) -> Result<usize> {
    usize::try_from(announced).map_err(|_| short())
}

fn front(bytes: &mut Bytes, length: usize) -> Result<Bytes> {
    if length > bytes.len() {
        return Err(short());
    }
    Ok(bytes.split_to(length))
}

fn short() -> Error {
    Error::Format("a page is shorter than its levels".into())
}
