//! A decoder of our own for nested columns: lists, structs, maps, and these within each other.
//!
//! A nested column is stored as its leaves, each with levels that say where its values belong. Every leaf is decoded
//! alone, by what decodes flat columns (`super::flat`); its levels become masks, and the masks offsets and validity, 64 levels at a time.
//! Runs of levels, as in columns whose lists have one element, or all are null, stay runs.
//!
//! | file | what it does |
//! |---|---|
//! | `shape` | the groups of a Parquet schema → lists, structs, maps and their leaves |
//! | `leaf` | one leaf: pages → levels and values, a window of rows at a time |
//! | `levels` | the levels of a page, cut where a row begins |
//! | `masks` | levels compared; bits put together |
//! | `depths` | levels → offsets and validity of every list and struct |
//! | `assembly` | leaves → the array of the column |
//!
//! A window is given out once all leaves have it: where one of them has a page that only the crate reads, nothing of the
//! window is lost. What levels take is leased a block at a time, before it is allocated: ten bytes can stand for 2³¹.
//!
//! What it does not take, the crate does: leaves of other kinds than flat columns have, views.

mod assembly;
mod depths;
mod leaf;
mod levels;
mod masks;
mod shape;
#[cfg(test)]
mod shredded;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::filter;
use parquet::file::metadata::RowGroupMetaData;

use self::leaf::{Found, Making, ReadLeaf};
use self::shape::Shape;
pub use self::shape::is_element;
use super::flat::{Decode, Later, Selection, kind};
use super::layout::Column;
use super::pages::Pages;
use crate::error::{Error, Result};
use crate::memory::Holder;

/// A nested column.
struct Nested {
    shape: Shape,
    leaves: Vec<Box<dyn ReadLeaf>>,
}

/// A decoder for `column` in `group`, which has `rows` rows; `pages` opens those of a leaf, and `share` bytes of a row are
/// leased elsewhere; rows of a leaf that take more than `wide` are [`Error::Wide`]. `None` where only the crate has one. Reads nothing yet.
///
/// # Errors
/// Pages that are not there.
pub fn open(
    group: &RowGroupMetaData,
    column: &Column,
    pages: impl Fn(usize) -> Result<Pages>,
    holder: &Holder,
    share: usize,
    rows: usize,
    wide: usize,
) -> Result<Option<Box<dyn Decode>>> {
    let roots = group.schema_descr().root_schema().get_fields();
    let Some((shape, found)) = roots.get(column.root).and_then(|root| shape::shape(root, &column.announced)) else {
        return Ok(None);
    };
    if found.len() != column.leaves.len() {
        return Ok(None);
    }
    let share = share / found.len().max(1);
    let mut leaves = Vec::with_capacity(found.len());
    for (leaf, shape) in column.leaves.clone().zip(&found) {
        let column = group.column(leaf);
        let descriptor = column.column_descr();
        let levels = [descriptor.max_rep_level(), descriptor.max_def_level()];
        if levels.map(usize::try_from) != [Ok(shape.least.len() - 1), Ok(shape.highest)] {
            return Ok(None);
        }
        let making = Making { column, shape, pages: pages(leaf)?, lease: holder.empty(), share, rows, wide };
        let Some(leaf) = kind(column, &shape.to, holder, wide, making) else { return Ok(None) };
        leaves.push(leaf);
    }
    Ok(Some(Box::new(Nested { shape, leaves })))
}

impl Decode for Nested {
    fn read(&mut self, rows: usize, keep: Option<&Selection>) -> Result<Option<ArrayRef>> {
        let mut found: Vec<Found> = Vec::with_capacity(self.leaves.len());
        let mut leaves = self.leaves.iter_mut();
        while let Some(leaf) = leaves.next() {
            let leaf = leaf.read(rows).inspect_err(|e| {
                if let Error::Wide = e {
                    leaves.by_ref().for_each(|leaf| leaf.skip(rows));
                }
            });
            let Some(leaf) = leaf? else { return Ok(None) };
            found.push(leaf);
        }
        let array = assembly::assemble(&self.shape, &mut found)?;
        if array.len() != rows {
            return Err(Error::Format(format!("expected {rows} more rows, found {}", array.len())));
        }
        Ok(Some(match keep {
            Some(keep) => filter(&array, &keep.mask())?,
            None => array,
        }))
    }

    fn prepare(&mut self, rows: usize) -> Result<bool> {
        let mut done = false;
        for leaf in &mut self.leaves {
            done |= leaf.prepare(rows)?;
        }
        Ok(done)
    }

    fn soon(&mut self, rows: usize) -> Vec<Arc<Later>> {
        self.leaves.iter_mut().flat_map(|leaf| leaf.soon(rows)).collect()
    }

    fn skip(&mut self, rows: usize) {
        for leaf in &mut self.leaves {
            leaf.skip(rows);
        }
    }
}
