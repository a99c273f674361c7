//! What every stage needs of a [`RecordBatch`]: the bytes that it holds, and pieces of it that hold no more.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, AsArray, OffsetSizeTrait, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, SchemaRef};

use crate::error::Result;

/// Bytes of all buffers that `batch` keeps alive, each buffer once, however many columns share it.
///
/// `RecordBatch::get_array_memory_size` counts shared buffers again for every column; a budget must not.
pub fn bytes_held(batch: &RecordBatch) -> usize {
    let mut seen = HashSet::new();
    batch.columns().iter().map(|c| held_by(&c.to_data(), &mut seen)).sum()
}

fn held_by(data: &ArrayData, seen: &mut HashSet<usize>) -> usize {
    let mut bytes = 0;
    for buffer in data.buffers().iter().chain(data.nulls().map(NullBuffer::buffer)) {
        if seen.insert(buffer.data_ptr().as_ptr() as usize) {
            bytes += buffer.capacity().max(buffer.len());
        }
    }
    bytes + data.child_data().iter().map(|child| held_by(child, seen)).sum::<usize>()
}

/// Bytes of the rows themselves: what a compact copy of `batch` would hold.
pub fn bytes_of_rows(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| bytes_of_values(column.as_ref())).sum()
}

/// Bytes of the values of `array`; `ArrayData::get_slice_memory_size` counts all elements that a slice of lists has a
/// part of.
pub fn bytes_of_values(array: &dyn Array) -> usize {
    fn within<O: OffsetSizeTrait>(offsets: &[O], elements: &dyn Array) -> usize {
        let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
        size_of_val(offsets) + bytes_of_values(elements.slice(first, last - first).as_ref())
    }
    let nulls = array.nulls().map_or(0, |_| array.len().div_ceil(8));
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            nulls + within(list.offsets(), list.values())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            nulls + within(list.offsets(), list.values())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            nulls + within(map.offsets(), map.entries())
        }
        DataType::FixedSizeList(..) => nulls + bytes_of_values(array.as_fixed_size_list().values()),
        DataType::Struct(_) => nulls + array.as_struct().columns().iter().map(|c| bytes_of_values(c)).sum::<usize>(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

/// A batch without columns that still has rows.
pub fn without_columns(schema: SchemaRef, rows: usize) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new_with_options(schema, vec![], &RecordBatchOptions::new().with_row_count(Some(rows)))?)
}

/// A batch of `columns`, also where there are none of them.
pub fn with_columns(schema: SchemaRef, columns: Vec<Arc<dyn Array>>, rows: usize) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new_with_options(schema, columns, &RecordBatchOptions::new().with_row_count(Some(rows)))?)
}

/// A copy of `batch` that pins nothing beyond its own rows.
pub fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    if bytes_held(batch) <= bytes_of_rows(batch) * 5 / 4 + 1024 {
        return Ok(batch.clone());
    }
    let rows = UInt64Array::from_iter_values(0..batch.num_rows() as u64);
    let columns =
        batch.columns().iter().map(|c| arrow::compute::take(c.as_ref(), &rows, None)).collect::<Result<Vec<_>, _>>()?;
    with_columns(batch.schema(), columns, batch.num_rows())
}

/// Cuts `batch` into slices of at most `rows` rows whose rows take about `bytes` bytes at most; a single row
/// may be larger. Slices share the buffers of `batch`.
pub fn slices(batch: RecordBatch, rows: usize, bytes: usize) -> Vec<RecordBatch> {
    let total = batch.num_rows();
    if total <= rows && bytes_of_rows(&batch) <= bytes {
        return vec![batch];
    }
    let mut out = Vec::new();
    let mut start = 0;
    while start < total {
        let mut len = rows.min(total - start);
        while len > 1 && bytes_of_rows(&batch.slice(start, len)) > bytes {
            len = len.div_ceil(2);
        }
        out.push(batch.slice(start, len));
        start += len;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, FixedSizeListArray, Int64Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::{Field, Int64Type};

    fn batch(text: &[&str]) -> RecordBatch {
        let n = i64::try_from(text.len()).expect("few rows");
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from_iter_values(0..n)) as ArrayRef),
            ("text", Arc::new(StringArray::from_iter_values(text)) as ArrayRef),
        ])
        .expect("two columns of one length")
    }

    #[test]
    fn shared_buffers_count_once() {
        let one = batch(&["a"; 1000]);
        let column = one.column(1).clone();
        let twice = RecordBatch::try_from_iter([("x", column.clone()), ("y", column)]).expect("same length");
        let once = RecordBatch::try_from_iter([("x", one.column(1).clone())]).expect("one column");
        assert_eq!(bytes_held(&twice), bytes_held(&once));
    }

    #[test]
    fn slices_obey_rows_and_bytes() {
        let long = "x".repeat(1000);
        let texts: Vec<&str> = (0..100).map(|i| if i == 50 { long.as_str() } else { "y" }).collect();
        let whole = batch(&texts);
        for (rows, bytes) in [(7, usize::MAX), (100, 200), (1, 1), (1000, 1 << 20)] {
            let parts = slices(whole.clone(), rows, bytes);
            assert_eq!(parts.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
            assert!(parts.iter().all(|p| p.num_rows() <= rows));
            assert!(parts.iter().all(|p| p.num_rows() == 1 || bytes_of_rows(p) <= bytes));
            let back = arrow::compute::concat_batches(&whole.schema(), &parts).expect("same schema");
            assert_eq!(back, whole);
        }
    }

    #[test]
    fn slices_of_lists_count_their_own_elements() {
        let lists = |i: usize| Some((0..100).map(|k| Some((i * k) as i64)).collect::<Vec<_>>());
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>((0..1000).map(lists));
        let pairs = FixedSizeListArray::new(
            Arc::new(Field::new_list_field(list.data_type().clone(), true)),
            2,
            Arc::new(list.clone()),
            None,
        );
        let inner: ArrayRef = Arc::new(list.clone());
        let structs = StructArray::from(vec![(Arc::new(Field::new("l", inner.data_type().clone(), true)), inner)]);
        let columns: [(ArrayRef, usize); 3] =
            [(Arc::new(list), 804), (Arc::new(pairs), 1608), (Arc::new(structs), 804)];
        for (column, row) in columns {
            let whole = RecordBatch::try_from_iter([("x", column)]).expect("one column");
            let some = bytes_of_rows(&whole.slice(100, 10));
            assert!((row * 10..row * 10 + 20).contains(&some), "{some}");
            let parts = slices(whole.clone(), 1000, row * 100);
            assert!(parts.iter().all(|part| (40..=100).contains(&part.num_rows())), "{}", parts.len());
            assert!(bytes_held(&compact(&whole.slice(3, 2)).expect("compacts")) < row * 10);
        }
    }

    #[test]
    fn compact_lets_go_of_the_rest() {
        let whole = batch(&vec!["some text"; 10_000]);
        let part = compact(&whole.slice(3, 2)).expect("compacts");
        assert_eq!(part, whole.slice(3, 2));
        assert!(bytes_held(&part) < 2_000);
    }
}
