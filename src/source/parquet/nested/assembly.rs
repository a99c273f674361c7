//! What the leaves of a window found → the array of the whole column.
//!
//! Every list and group takes its offsets and its validity from its first leaf; the other leaves have the same, or the file
//! is damaged: then their number of values differs, which is told, or they stand under other rows, which nobody can see.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, MapArray, MutableArrayData, OffsetSizeTrait, StructArray,
    make_array,
};
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
                DataType::FixedSizeList(element, size) => {
                    let items = assemble(item, found)?;
                    fits(items.len())?;
                    let items = of_size(*size, &offsets, items, nulls.as_ref())?;
                    let list = FixedSizeListArray::try_new(element.clone(), *size, items, nulls);
                    Ok(Arc::new(list.map_err(damaged)?))
                }
                _ => Err(missing()),
            }
        }
    }
}

/// The items of lists of `size`, between these `offsets`, with so many nulls for each list that is null, which has none in
/// the file. Copies them where there is one.
fn of_size(size: i32, offsets: &[i32], items: ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
    let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
    for (row, pair) in offsets.windows(2).enumerate() {
        let (found, wanted) = (pair[1] - pair[0], if is_null(row) { 0 } else { size });
        if found != wanted {
            return Err(Error::Format(format!("a list of {found} values, expected {wanted}")));
        }
    }
    if nulls.is_none_or(|nulls| nulls.null_count() == 0) {
        return Ok(items);
    }
    let data = items.to_data();
    let rows = offsets.len() - 1;
    let each = usize::try_from(size).unwrap_or(0);
    let mut all = MutableArrayData::new(vec![&data], true, rows.saturating_mul(each));
    let (mut row, mut at) = (0, 0);
    while row < rows {
        let alike = (row..rows).take_while(|next| is_null(*next) == is_null(row)).count();
        if is_null(row) {
            all.try_extend_nulls(alike * each)?;
        } else {
            all.try_extend(0, at, at + alike * each)?;
            at += alike * each;
        }
        row += alike;
    }
    Ok(make_array(all.freeze()))
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

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn lists_of_a_size_have_that_size_or_are_null() {
        let items: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4));
        let nulls = NullBuffer::from(vec![true, false, false, true, false]);
        let all = of_size(2, &[0, 2, 2, 2, 4, 4], items.clone(), Some(&nulls)).expect("two lists");
        let expected = [Some(0), Some(1), None, None, None, None, Some(2), Some(3), None, None];
        assert_eq!(*all.as_primitive::<Int64Type>(), Int64Array::from(expected.to_vec()));
        assert_eq!(&of_size(2, &[0, 2, 4], items.clone(), None).expect("two lists"), &items);
        for (offsets, nulls, found) in
            [(&[0, 3, 4][..], None, 3), (&[0, 2, 2, 4], None, 0), (&[0, 4], Some(NullBuffer::new_null(1)), 4)]
        {
            let wanted = if nulls.is_some() { 0 } else { 2 };
            let e = of_size(2, offsets, items.clone(), nulls.as_ref()).expect_err("another size");
            assert!(
                matches!(&e, Error::Format(m) if *m == format!("a list of {found} values, expected {wanted}")),
                "{e}"
            );
        }
    }
}
