//! How a column's values are encoded, decided by a sample of the first rows of each row group.
//!
//! A dictionary that does not pay is dear: every value is hashed into a table that grows until the crate gives up on
//! it, half a row group later. So the number of distinct values is estimated beforehand, from values spread over the
//! first batch: of `v` values drawn from `d` kinds, `d·(1 − e^(−v/d))` differ. Integers without a dictionary whose
//! steps are small (counters, sorted timestamps) are packed as differences, which costs less than compressing them.
//!
//! The same rows give the same choice: neither threads nor time have a say.

use std::hash::{DefaultHasher, Hasher};

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray, OffsetSizeTrait};
use arrow::datatypes::{ByteArrayType, DataType, GenericBinaryType, GenericStringType};

/// Values looked at.
const SAMPLE: usize = 4096;
/// With fewer than this nothing can be said, and little be lost.
const FEW: usize = 1024;
/// The largest dictionary that is begun.
const DICTIONARY_BYTES: f64 = 512.0 * 1024.0;
/// A kind of value for every four rows of a row group of usual size; with more of them, indices save little.
const DISTINCT: f64 = 65_536.0;
/// A prime.
const UNEVEN: usize = 7919;
/// Differences are packed in blocks of four times this many.
const MINI_BLOCK: usize = 64;

/// An encoding of one leaf of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Dictionary,
    Plain,
    Delta,
}

/// The leaves of `array`, in Parquet's order: what lists, maps and structs have inside.
pub(super) fn leaves(array: &ArrayRef) -> Vec<ArrayRef> {
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().flat_map(leaves).collect(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            leaves(&spanned(list.values(), list.offsets()))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            leaves(&spanned(list.values(), list.offsets()))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries = map.entries().columns().iter();
            entries.flat_map(|column| leaves(&spanned(column, map.offsets()))).collect()
        }
        DataType::FixedSizeList(..) => leaves(array.as_fixed_size_list().values()),
        _ => vec![array.clone()],
    }
}

fn spanned<O: OffsetSizeTrait>(values: &ArrayRef, offsets: &[O]) -> ArrayRef {
    let start = offsets.first().map_or(0, |o| o.as_usize());
    let end = offsets.last().map_or(0, |o| o.as_usize());
    values.slice(start, end - start)
}

/// The encoding of a leaf that begins with `values`; a dictionary only where there may be one.
pub(super) fn encoding(values: &ArrayRef, dictionary: bool) -> Encoding {
    if values.len() - values.null_count() < FEW {
        return if dictionary { Encoding::Dictionary } else { Encoding::Plain };
    }
    if dictionary && repeats(values) {
        Encoding::Dictionary
    } else if steps_are_small(values) {
        Encoding::Delta
    } else {
        Encoding::Plain
    }
}

/// Whether a dictionary of all values would stay small, and be used often.
fn repeats(values: &ArrayRef) -> bool {
    let Some(mut seen) = sampled(values) else { return true };
    let count = seen.len().max(1);
    let width = seen.iter().map(|(_, width)| *width).sum::<usize>() / count;
    seen.sort_unstable();
    seen.dedup();
    let kinds = kinds(count, seen.len());
    kinds <= DISTINCT && kinds * real(width) <= DICTIONARY_BYTES
}

#[expect(clippy::cast_precision_loss, reason = "an estimate of small numbers")]
fn real(n: usize) -> f64 {
    n as f64
}

/// How many kinds of value there are, where `distinct` of `count` differ; by halving the interval.
fn kinds(count: usize, distinct: usize) -> f64 {
    let (count, distinct) = (real(count), real(distinct));
    let (mut low, mut high) = (distinct, 1e9);
    for _ in 0..48 {
        let middle = f64::midpoint(low, high);
        let expected = middle * -(-count / middle).exp_m1();
        if expected < distinct { low = middle } else { high = middle }
    }
    low
}

/// Values spread over `values`, each as a number that stands for it and its width in bytes; `None` where a dictionary
/// is no question.
fn sampled(values: &ArrayRef) -> Option<Vec<(u64, usize)>> {
    let stride = (values.len() / SAMPLE).max(1);
    // not at even distances, which could fall in step with a pattern in the rows
    let places = (0..values.len() / stride).map(|k| k * stride + k * UNEVEN % stride).filter(|i| values.is_valid(*i));
    match values.data_type() {
        DataType::Utf8 => Some(texts::<GenericStringType<i32>>(values.as_bytes(), places)),
        DataType::LargeUtf8 => Some(texts::<GenericStringType<i64>>(values.as_bytes(), places)),
        DataType::Binary => Some(texts::<GenericBinaryType<i32>>(values.as_bytes(), places)),
        DataType::LargeBinary => Some(texts::<GenericBinaryType<i64>>(values.as_bytes(), places)),
        DataType::FixedSizeBinary(_) => {
            let values = values.as_fixed_size_binary();
            Some(places.map(|i| of_bytes(values.value(i))).collect())
        }
        other => {
            let width = other.primitive_width()?;
            let bytes = fixed(values, width)?;
            Some(places.filter_map(|i| Some(of_bytes(bytes.get(i * width..(i + 1) * width)?))).collect())
        }
    }
}

/// The bytes of fixed-width values, from the first on.
fn fixed(values: &ArrayRef, width: usize) -> Option<arrow::buffer::Buffer> {
    let data = values.to_data();
    Some(data.buffers().first()?.slice(data.offset() * width))
}

fn texts<T: ByteArrayType>(values: &GenericByteArray<T>, places: impl Iterator<Item = usize>) -> Vec<(u64, usize)> {
    let bytes = |i: usize| -> &[u8] { values.value(i).as_ref() };
    places.map(|i| of_bytes(bytes(i))).map(|(hash, width)| (hash, width + 4)).collect()
}

fn of_bytes(bytes: &[u8]) -> (u64, usize) {
    if bytes.len() <= 8 {
        let mut number = [0; 8];
        number[..bytes.len()].copy_from_slice(bytes);
        return (u64::from_le_bytes(number), bytes.len());
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    (hasher.finish(), bytes.len())
}

/// Whether the differences of the first values take at most half the bits of the values.
fn steps_are_small(values: &ArrayRef) -> bool {
    use DataType as T;
    let width = match values.data_type() {
        T::Int32 | T::UInt32 | T::Date32 | T::Time32(_) => 4,
        T::Int64 | T::UInt64 | T::Time64(_) | T::Timestamp(..) | T::Duration(_) => 8,
        _ => return false,
    };
    let Some(bytes) = fixed(values, width) else { return false };
    let number = |i: usize| {
        let mut number = [0; 8];
        number[..width].copy_from_slice(bytes.get(i * width..(i + 1) * width)?);
        Some(i64::from_le_bytes(number))
    };
    let first: Vec<i64> =
        (0..values.len()).filter(|i| values.is_valid(*i)).take(SAMPLE + 1).filter_map(number).collect();
    let steps: Vec<i64> = first.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    let mut bits = 0;
    for block in steps.chunks(4 * MINI_BLOCK) {
        let least = block.iter().min().copied().unwrap_or_default();
        for mini in block.chunks(MINI_BLOCK) {
            let most = mini.iter().map(|step| step.wrapping_sub(least).cast_unsigned()).max().unwrap_or_default();
            bits += (u64::BITS - most.leading_zeros()) as usize * mini.len();
        }
    }
    bits <= steps.len() * width * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Field, Int64Type};
    use std::sync::Arc;

    fn of(array: impl Array + 'static) -> Encoding {
        encoding(&(Arc::new(array) as ArrayRef), true)
    }

    /// Numbers without a pattern.
    fn scattered(i: u64) -> u64 {
        let mut x = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x ^= x >> 31;
        x.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (x >> 29)
    }

    #[test]
    fn a_dictionary_where_values_repeat() {
        let n = 0..65_536u64;
        let drawn =
            |kinds: u64| Int64Array::from_iter_values(n.clone().map(|i| (scattered(i) % kinds).cast_signed() << 40));
        assert_eq!(of(drawn(3)), Encoding::Dictionary);
        assert_eq!(of(drawn(10_000)), Encoding::Dictionary);
        assert_eq!(of(drawn(1 << 20)), Encoding::Plain);
        let text =
            |kinds: u64| StringArray::from_iter_values(n.clone().map(|i| format!("{:020}", scattered(i) % kinds)));
        assert_eq!(of(text(1000)), Encoding::Dictionary);
        assert_eq!(of(text(60_000)), Encoding::Plain, "the dictionary would be too large");
        assert_eq!(
            of(Float64Array::from_iter_values(n.clone().map(|i| f64::from_bits(scattered(i))))),
            Encoding::Plain
        );
        assert_eq!(of(Int64Array::from_iter_values(0..100)), Encoding::Dictionary, "too few to say");
        assert_eq!(of(Int64Array::new_null(100_000)), Encoding::Dictionary);
        assert_eq!(of(BooleanArray::from(vec![true; 5000])), Encoding::Dictionary, "which it has none of anyway");
    }

    #[test]
    fn repeats_that_stand_together_are_told_from_repeats_that_are_many() {
        let pairs = TimestampMicrosecondArray::from_iter_values((0..65_536).map(|i| i / 2 * 1_000_000));
        assert_eq!(of(pairs), Encoding::Delta);
        let runs = TimestampMicrosecondArray::from_iter_values((0..65_536).map(|i| i / 100 * 1_000_000));
        assert_eq!(of(runs), Encoding::Dictionary);
        let in_step: Int64Array = (0..65_536).map(|i| (i % 16 > 0).then_some(scattered(i).cast_signed())).collect();
        assert_eq!(of(in_step), Encoding::Plain, "though every sixteenth is null");
    }

    #[test]
    fn counters_are_packed_as_differences() {
        assert_eq!(of(Int64Array::from_iter_values(5..65_536)), Encoding::Delta);
        assert_eq!(of(Int64Array::from_iter_values((0..65_536).rev())), Encoding::Delta);
        let with_nulls: Int64Array = (0..65_536).map(|i| (i % 3 > 0).then_some(i)).collect();
        assert_eq!(of(with_nulls), Encoding::Delta);
        let wide = Int64Array::from_iter_values((0..65_536).map(|i| scattered(i).cast_signed()));
        assert_eq!(of(wide), Encoding::Plain);
        let few: ArrayRef = Arc::new(Int64Array::from_iter_values((0..65_536).map(|i| (i % 7) << 40)));
        assert_eq!((encoding(&few, true), encoding(&few, false)), (Encoding::Dictionary, Encoding::Plain));
    }

    #[test]
    fn leaves_come_in_the_order_of_the_file() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(7)]), Some(vec![Some(8), None])]);
        let list: ArrayRef = Arc::new(list.slice(1, 1));
        assert_eq!(leaves(&list)[0].len(), 2, "of the rows that are there");
        let both = StructArray::from(vec![
            (Arc::new(Field::new("a", ids.data_type().clone(), true)), ids.slice(0, 1)),
            (Arc::new(Field::new("b", list.data_type().clone(), true)), list),
        ]);
        let found = leaves(&(Arc::new(both) as ArrayRef));
        assert_eq!([found[0].len(), found[1].len()], [1, 2]);
    }
}
