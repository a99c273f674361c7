//! What no Arrow writer writes: numbers beyond their announced range, decimals of any length, INT96.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::filter;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::basic::Encoding;
use parquet::data_type::{
    DataType as Physical, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::{ROWS, Random, by_crate, column, decoded, selected};
use crate::error::Error;

/// A file whose column `x` is `stored` as the schema has it, of `ROWS` values out of `distinct`; every `nulls`-th is null.
fn written<T: Physical>(
    stored: &str,
    nulls: usize,
    distinct: usize,
    encoding: Option<Encoding>,
    mut value: impl FnMut() -> T::T,
) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message m {{ optional {stored}; }}")).expect("a schema"));
    let mut properties = WriterProperties::builder().set_data_page_row_count_limit(777).set_write_batch_size(7);
    if let Some(encoding) = encoding {
        properties = properties.set_dictionary_enabled(false).set_encoding(encoding);
    }
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build())).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let mut column = group.next_column().expect("opens").expect("a column");
    let levels: Vec<i16> = (0..ROWS).map(|i| i16::from(nulls == 0 || i % nulls > 0)).collect();
    let all: Vec<T::T> = (0..distinct).map(|_| value()).collect();
    let values: Vec<T::T> =
        (0..levels.iter().filter(|l| **l == 1).count()).map(|i| all[i * 7919 % distinct].clone()).collect();
    column.typed::<T>().write_batch(&values, Some(&levels), None).expect("values");
    column.close().expect("a column");
    group.close().expect("a row group");
    writer.close().expect("a footer");
    bytes
}

/// Ours gives what the crate gives, whole, in steps, from a row on, and selected.
fn check(bytes: &[u8], to: &DataType, what: &str) {
    let oracle: ArrayRef = by_crate(bytes, Some(to));
    assert_eq!((oracle.data_type(), oracle.len()), (to, ROWS), "{what}");
    for (passed, steps) in [(0, &[ROWS][..]), (0, &[1, 77, 1000]), (1234, &[512]), (ROWS - 1, &[5])] {
        let found = decoded(bytes, to, passed, steps).expect("reads").expect("ours");
        assert_eq!(found.data_type(), to);
        assert!(*found == *oracle.slice(passed, ROWS - passed), "{what} {passed} {steps:?}");
    }
    let mut random = Random(2_463_534_242);
    for one_in in [2, 10, 900] {
        let mask: BooleanArray =
            (0..ROWS).map(|i| Some(i / 640 % 3 < 2 && random.next(one_in) == 0 || i == ROWS - 1)).collect();
        let expected = filter(&oracle, &mask).expect("a filter");
        for steps in [&[ROWS][..], &[64, 65, 1], &[1000]] {
            let found = selected(bytes, to, 0, steps, Some(&mask)).expect("reads").expect("ours");
            assert!(*found == *expected, "{what} one in {one_in} {steps:?}");
        }
    }
}

#[test]
fn whole_numbers_beyond_what_is_announced_are_those_of_the_crate() {
    let mut random = Random(88_172_645_463_325_252);
    let encodings =
        [None, Some(Encoding::PLAIN), Some(Encoding::DELTA_BINARY_PACKED), Some(Encoding::BYTE_STREAM_SPLIT)];
    for encoding in encodings {
        for nulls in [0, 2, 40] {
            for (stored, to) in [
                ("int32 x (INT_8)", DataType::Int8),
                ("int32 x (UINT_8)", DataType::UInt8),
                ("int32 x (INT_16)", DataType::Int16),
                ("int32 x (UINT_16)", DataType::UInt16),
                ("int32 x (UINT_32)", DataType::UInt32),
                ("int32 x (DECIMAL(5, 2))", DataType::Decimal32(5, 2)),
                ("int32 x (DECIMAL(5, 2))", DataType::Decimal64(5, 2)),
                ("int32 x (DECIMAL(5, 2))", DataType::Decimal128(5, 2)),
                ("int32 x (DECIMAL(5, 2))", DataType::Decimal256(5, 2)),
            ] {
                let bytes = written::<Int32Type>(stored, nulls, 500, encoding, || {
                    let bits = random.next(32);
                    (random.0 as i32) >> bits
                });
                check(&bytes, &to, &format!("{stored} {to} {nulls} {encoding:?}"));
            }
            for (stored, to) in [
                ("int64 x (TIMESTAMP_MILLIS)", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
                ("int64 x (TIME_MICROS)", DataType::Time64(TimeUnit::Microsecond)),
                ("int64 x", DataType::Timestamp(TimeUnit::Second, None)),
                ("int64 x (DECIMAL(12, 2))", DataType::Decimal64(12, 2)),
                ("int64 x (DECIMAL(12, 2))", DataType::Decimal128(12, 2)),
                ("int64 x (DECIMAL(12, 2))", DataType::Decimal256(12, 2)),
            ] {
                let bytes = written::<Int64Type>(stored, nulls, 500, encoding, || {
                    let bits = random.next(64);
                    (random.0 as i64) >> bits
                });
                check(&bytes, &to, &format!("{stored} {to} {nulls} {encoding:?}"));
            }
        }
    }
}

#[test]
fn decimals_of_every_length_are_those_of_the_crate() {
    let mut random = Random(521_288_629);
    for width in 1..=32_usize {
        for encoding in [None, Some(Encoding::PLAIN), Some(Encoding::BYTE_STREAM_SPLIT)] {
            let digits = if width == 1 { 2 } else { 3 };
            let stored = format!("fixed_len_byte_array({width}) x (DECIMAL({digits}, 1))");
            let bytes = written::<FixedLenByteArrayType>(&stored, width % 5, 300, encoding, || {
                let bytes: Vec<u8> = (0..width).map(|_| random.next(256) as u8).collect();
                FixedLenByteArray::from(bytes)
            });
            let narrow = [
                (4, DataType::Decimal32(digits, 1)),
                (8, DataType::Decimal64(digits, 1)),
                (16, DataType::Decimal128(digits, 1)),
                (32, DataType::Decimal256(digits, 1)),
            ];
            for (_, to) in narrow.into_iter().filter(|(most, _)| width <= *most) {
                check(&bytes, &to, &format!("{stored} {to} {encoding:?}"));
            }
        }
    }
}

#[test]
fn days_and_nanoseconds_of_any_size_are_those_of_the_crate() {
    let mut random = Random(1_234_567);
    let to = DataType::Timestamp(TimeUnit::Nanosecond, None);
    for encoding in [None, Some(Encoding::PLAIN)] {
        for nulls in [0, 2, 40] {
            let bytes = written::<Int96Type>("int96 x", nulls, 900, encoding, || {
                let mut value = Int96::new();
                let day = 2_440_588 + random.next(40_000) as u32;
                match random.next(9) {
                    0 => value.set_data(u32::MAX, random.0 as u32, (random.0 >> 32) as u32),
                    _ => value.set_data(random.0 as u32, random.next(20_117) as u32, day),
                }
                value
            });
            check(&bytes, &to, &format!("{nulls} {encoding:?}"));
        }
    }
}

#[test]
fn a_dictionary_that_grows_is_leased_first() {
    // 5,000 values of four bytes become 32 bytes each
    let mut next = 0_u32;
    let bytes = written::<Int32Type>("int32 x (DECIMAL(9, 0))", 0, ROWS, None, || {
        next += 1;
        next as i32
    });
    let read = |to: &DataType, limit| {
        let (mut column, _) = column(&bytes, to, Some(limit)).expect("opens").expect("ours");
        column.read(10, None).map(|_| ())
    };
    let to = DataType::Decimal256(9, 0);
    assert!(matches!(read(&to, ROWS * 32), Err(Error::MemoryLimit(_))));
    assert!(read(&to, ROWS * 32 + (200 << 10)).is_ok());
    assert!(read(&DataType::Decimal32(9, 0), ROWS * 32).is_ok(), "it stays as it is");
}
