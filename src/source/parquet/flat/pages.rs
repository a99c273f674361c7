//! The pages of a column, taken apart into levels and values.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::basic::Encoding;

use super::super::header::Kind;
use super::super::pages::{Page, Pages};
use crate::error::{Error, Result};

/// A page taken apart.
#[derive(Clone)]
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
    /// Rows that are not read yet.
    Later(Arc<Later>),
    /// One that only the crate can read.
    Foreign,
}

impl Part {
    /// How many rows it has, if it is a page of rows.
    pub fn rows(&self) -> Option<usize> {
        match self {
            Part::Rows(page) => Some(page.count),
            Part::Later(page) => Some(page.count),
            Part::Dictionary { .. } | Part::Foreign => None,
        }
    }

    /// It, if it is not read yet.
    pub fn later(&self) -> Option<&Arc<Later>> {
        if let Part::Later(page) = self { Some(page) } else { None }
    }
}

/// A page of rows.
#[derive(Clone)]
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

/// A page of rows that is read by whoever needs it first, once.
pub struct Later {
    /// How many levels it has, which in a flat column are rows.
    pub count: usize,
    /// How its values are written.
    pub encoding: Encoding,
    page: Mutex<(Parts, Option<Rows>)>,
}

impl Later {
    /// Its rows. Who comes while another one reads it, waits for that.
    ///
    /// # Errors
    /// A damaged page, each time anew, or one that the run has no room for.
    pub fn read(&self) -> Result<Rows> {
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let (parts, read) = &mut *page;
        if let Some(rows) = read {
            return Ok(rows.clone());
        }
        match parts.next()? {
            Some(Part::Rows(rows)) => Ok(read.insert(rows).clone()),
            _ => Err(Error::Format("a page is not the one that its header announced".into())),
        }
    }

    /// Whether somebody is at it.
    pub fn is_taken(&self) -> bool {
        self.page.try_lock().is_err()
    }

    /// Reads it ahead, unless somebody has read it or is at it; whether it was done. What goes wrong is for whoever needs
    /// the page.
    pub fn prepare(&self) -> bool {
        let Ok(mut page) = self.page.try_lock() else { return false };
        let (parts, read) = &mut *page;
        if read.is_none()
            && let Ok(Some(Part::Rows(rows))) = parts.next()
        {
            *read = Some(rows);
            return true;
        }
        false
    }
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

    /// As `next`, but a page of rows is only taken off.
    ///
    /// # Errors
    /// A damaged header; for a dictionary as `next`.
    pub fn later(&mut self) -> Result<Option<Part>> {
        let (count, encoding) = match self.pages.peek()?.map(|head| &head.kind) {
            Some(Kind::Data { definition, .. }) if self.nullable && *definition != Encoding::RLE => return self.next(),
            Some(Kind::Data { repetition, .. }) if self.repeated && *repetition != Encoding::RLE => return self.next(),
            Some(Kind::Data { values, encoding, .. } | Kind::DataV2 { values, encoding, .. }) => (*values, *encoding),
            _ => return self.next(),
        };
        let Some(pages) = self.pages.take_off()? else { return Ok(None) };
        let page = Mutex::new((Self { pages, ..*self }, None));
        Ok(Some(Part::Later(Arc::new(Later { count, encoding, page }))))
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
