//! The pages of a column, taken apart into levels and values.

use bytes::Bytes;
use parquet::basic::Encoding;

use super::super::header::Kind;
use super::super::pages::{Page, Pages};
use crate::error::{Error, Result};

/// A page taken apart.
pub enum Part {
    /// The values that indices speak of.
    Dictionary {
        /// PLAIN values.
        bytes: Bytes,
        /// How many.
        count: usize,
    },
    /// Rows.
    Rows(Rows),
    /// One that only the crate can read.
    Foreign,
}

/// A page of rows.
pub struct Rows {
    /// How many levels it has, which in a flat column are rows.
    pub count: usize,
    /// Repetition levels, where the column has lists; as runs.
    pub repetition: Option<Bytes>,
    /// Definition levels, where the column may have nulls; as runs.
    pub definition: Option<Bytes>,
    /// The values of those that are not null.
    pub values: Bytes,
    /// How these are written.
    pub encoding: Encoding,
    /// The page as a whole, to be given back.
    pub body: Bytes,
}

/// The parts of one column of one row group.
pub struct Parts {
    pages: Pages,
    repeated: bool,
    nullable: bool,
}

impl Parts {
    /// The parts of `pages`; the column may have nulls if it is `nullable`.
    pub fn new(pages: Pages, nullable: bool) -> Self {
        Self { pages, repeated: false, nullable }
    }

    /// The parts of the pages of a column with lists, if it is `repeated`, and definition levels, if it is `nullable`.
    pub fn nested(pages: Pages, repeated: bool, nullable: bool) -> Self {
        Self { pages, repeated, nullable }
    }

    /// Passes the next page undecompressed if it is one of at most `most` rows; how many it has. With lists, only a page of
    /// the second version says that, and it begins and ends with a row.
    ///
    /// # Errors
    /// A damaged header.
    pub fn pass_page(&mut self, most: usize) -> Result<Option<usize>> {
        let rows = match self.pages.peek()?.map(|head| &head.kind) {
            Some(Kind::Data { values: rows, .. }) if !self.repeated && *rows <= most => *rows,
            Some(Kind::DataV2 { rows, .. }) if *rows <= most => *rows,
            _ => return Ok(None),
        };
        self.pages.skip()?;
        Ok(Some(rows))
    }

    /// Takes back a page.
    pub fn give_back(&mut self, body: Bytes) {
        self.pages.give_back(body);
    }

    /// The next page; `None` at the end.
    ///
    /// # Errors
    /// A damaged page, or one that the run has no room for.
    pub fn next(&mut self) -> Result<Option<Part>> {
        let Some(Page { head, body }) = self.pages.next()? else { return Ok(None) };
        let mut values = body.clone();
        Ok(Some(match head.kind {
            Kind::Index => Part::Foreign,
            Kind::Dictionary { values: count, .. } => Part::Dictionary { bytes: body, count },
            Kind::Data { definition, .. } if self.nullable && definition != Encoding::RLE => Part::Foreign,
            Kind::Data { repetition, .. } if self.repeated && repetition != Encoding::RLE => Part::Foreign,
            Kind::Data { values: count, encoding, .. } => {
                let mut levels = |there: bool| there.then(|| sized(&mut values)).transpose();
                let (repetition, definition) = (levels(self.repeated)?, levels(self.nullable)?);
                Part::Rows(Rows { count, repetition, definition, values, encoding, body })
            }
            Kind::DataV2 { values: count, encoding, definition, repetition, .. } => {
                let repetition = front(&mut values, repetition)?;
                let definition = front(&mut values, definition)?;
                let repetition = self.repeated.then_some(repetition);
                let definition = self.nullable.then_some(definition);
                Part::Rows(Rows { count, repetition, definition, values, encoding, body })
            }
        }))
    }
}

/// Levels with their length in front.
fn sized(bytes: &mut Bytes) -> Result<Bytes> {
    let length = front(bytes, 4)?;
    let length = u32::from_le_bytes(*length.first_chunk().ok_or_else(short)?);
    front(bytes, usize::try_from(length).map_err(|_| short())?)
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
