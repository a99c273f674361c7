//! What the leaves of a window found → the array of the whole column.
//!
//! Every list and group takes its offsets and its validity from its first leaf; the other leaves have the same, or the file
//! is damaged: then their number of values differs, which is told, or they stand under other rows, which nobody can see.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, GenericListArray, MapArray, OffsetSizeTrait, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;

use super::depths::{Groups, Lists};
use super::leaf::Found;
use super::shape::Shape;
use crate::error::{Error, Result};

/// The array of `shape`, of what its leaves `found`.
///
/// # Errors
/// Leaves that contradict each other, or a map with a null key.
pub fn assemble(shape: &Shape, found: &mut [Found]) -> Result<ArrayRef> {
    match shape {
        Shape::Leaf { leaf } => found.get_mut(*leaf).and_then(|found| found.values.take()).ok_or_else(missing),
        Shape::Group { .. } => Ok(Arc::new(group(shape, found, false)?)),
        Shape::List { leaf, place, to, item } => {
            let lists = found.get_mut(*leaf).and_then(|found| found.lists.get_mut(*place)).ok_or_else(missing)?;
            let Lists { offsets, nulls } = lists;
            let (offsets, nulls) = (std::mem::take(offsets), nulls.take());
            let elements = usize::try_from(offsets.last().copied().unwrap_or(0)).map_err(|_| missing())?;
            let fits = |items: usize| if items == elements { Ok(()) } else { Err(differs(elements, items)) };
            match to {
                DataType::Map(entry, sorted) => {
                    let items = group(item, found, true)?;
                    fits(items.len())?;
                    let offsets = OffsetBuffer::new(offsets.into());
                    let map = MapArray::try_new(entry.clone(), offsets, items, nulls, *sorted);
                    Ok(Arc::new(map.map_err(damaged)?))
                }
                DataType::List(element) => {
                    let items = assemble(item, found)?;
                    fits(items.len())?;
                    list(element, offsets.into(), items, nulls)
                }
                DataType::LargeList(element) => {
                    let items = assemble(item, found)?;
                    fits(items.len())?;
                    let offsets: Vec<i64> = offsets.into_iter().map(i64::from).collect();
                    list(element, offsets.into(), items, nulls)
                }
                _ => Err(missing()),
            }
        }
    }
}

fn list<O: OffsetSizeTrait>(
    element: &FieldRef,
    offsets: ScalarBuffer<O>,
    items: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let list = GenericListArray::try_new(element.clone(), OffsetBuffer::new(offsets), items, nulls);
    Ok(Arc::new(list.map_err(damaged)?))
}

/// A struct, or the entries of a map, whose first field has no nulls.
fn group(shape: &Shape, found: &mut [Found], entries: bool) -> Result<StructArray> {
    let Shape::Group { leaf, place, fields, children } = shape else { return Err(missing()) };
    let groups = found.get_mut(*leaf).and_then(|found| found.groups.get_mut(*place)).ok_or_else(missing)?;
    let Groups { count, nulls } = groups;
    let (count, nulls) = (*count, nulls.take());
    let children = children.iter().map(|child| assemble(child, found)).collect::<Result<Vec<_>>>()?;
    if let Some(other) = children.iter().find(|child| child.len() != count) {
        return Err(differs(count, other.len()));
    }
    if entries && children.first().is_some_and(|keys| keys.null_count() > 0) {
        return Err(Error::Format("a map has a null key".into()));
    }
    StructArray::try_new_with_length(Fields::clone(fields), children, nulls, count).map_err(damaged)
}

fn differs(one: usize, other: usize) -> Error {
    Error::Format(format!("its fields do not fit together: {one} values of one, {other} of another"))
}

fn damaged(error: ArrowError) -> Error {
    Error::Format(format!("its fields do not fit together: {error}"))
}

fn missing() -> Error {
    Error::Format("a field without its leaf".into())
}
