//! The crate's decoder is the oracle: the same rows for every type, encoding, page and step.

mod stored;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow::compute::{cast, concat, filter};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;

use super::super::codec::Desk;
use super::super::pages::{Chunk, Pages};
use super::{Decode, Selection};
use crate::error::{Error, Result};
use crate::memory::{Holder, MemoryPool};
use crate::source::read_at::InMemory;

const ROWS: usize = 5_000;

/// A cheap source of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// `ROWS` values of `to` out of about `distinct`, with runs and, one in `nulls`, nulls.
fn values(random: &mut Random, to: &DataType, distinct: u64, nulls: u64) -> ArrayRef {
    let mut last = None;
    let texts: Vec<Option<String>> = (0..ROWS)
        .map(|_| {
            if random.next(3) > 0 {
                let n = random.next(distinct);
                last = (nulls == 0 || random.next(nulls) > 0).then(|| match to {
                    DataType::Utf8 | DataType::Binary => "é".repeat((n % 41) as usize) + &n.to_string(),
                    DataType::Boolean => (n % 2).to_string(),
                    DataType::Int8 => (n as i64 % 256 - 128).to_string(),
                    DataType::Int16 => (n as i64 % 65_536 - 32_768).to_string(),
                    DataType::UInt8 => (n % 256).to_string(),
                    DataType::UInt16 | DataType::Float16 => (n % 65_536).to_string(),
                    to if to.is_decimal() => (n as i64 - distinct as i64 / 2).to_string(),
                    _ => n.to_string(),
                });
            }
            if last.is_none() && nulls == 0 { Some("0".into()) } else { last.clone() }
        })
        .collect();
    let texts: ArrayRef = Arc::new(texts.into_iter().collect::<arrow::array::StringArray>());
    match to {
        DataType::Utf8 | DataType::Binary => cast(&texts, to),
        DataType::FixedSizeBinary(width) => {
            let texts = texts.as_string::<i32>().iter();
            let bytes = texts.map(|t| Some(t?.bytes().cycle().take(*width as usize).collect::<Vec<_>>()));
            let bytes = FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, *width);
            return Arc::new(bytes.expect("all of a length"));
        }
        _ => cast(&cast(&texts, &DataType::Int64).expect("digits"), &through(to)).and_then(|a| cast(&a, to)),
    }
    .expect("a cast that loses nothing")
}

/// A type on the way from `int64`.
fn through(to: &DataType) -> DataType {
    match to {
        DataType::Date32 | DataType::Time32(_) => DataType::Int32,
        DataType::Float16 => DataType::Float32,
        other if other.is_temporal() => DataType::Int64,
        other => other.clone(),
    }
}

/// All rows, by the crate, as the file's writer advises or as `to`.
fn by_crate(bytes: &[u8], to: Option<&DataType>) -> ArrayRef {
    let mut options = ArrowReaderOptions::new();
    if let Some(to) = to {
        options = options.with_schema(Arc::new(Schema::new(vec![Field::new("x", to.clone(), true)])));
    }
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).expect("a file");
    let reader = reader.with_batch_size(ROWS).build().expect("a reader");
    reader.map(|b| b.expect("rows").column(0).clone()).next().expect("a batch")
}

fn file(column: &ArrayRef, nullable: bool, properties: WriterProperties) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("x", column.data_type().clone(), nullable)]));
    let batch = RecordBatch::try_new(schema, vec![column.clone()]).expect("one column");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    bytes
}

/// The column read in `steps`, over and over; the first rows only passed. `None` where it is the crate's.
fn decoded(bytes: &[u8], to: &DataType, passed: usize, steps: &[usize]) -> Result<Option<ArrayRef>> {
    selected(bytes, to, passed, steps, None)
}

/// The same; where there is a mask of all rows, only those that it keeps.
fn selected(
    bytes: &[u8],
    to: &DataType,
    passed: usize,
    steps: &[usize],
    mask: Option<&BooleanArray>,
) -> Result<Option<ArrayRef>> {
    let Some((mut column, rows)) = column(bytes, to, None)? else { return Ok(None) };
    column.skip(passed);
    let mut out = Vec::new();
    let mut left = rows - passed;
    for step in steps.iter().cycle() {
        if left == 0 {
            break;
        }
        let n = left.min(*step);
        let keep = mask.map(|mask| Selection::new(&mask.slice(rows - left, n)));
        left -= n;
        if keep.as_ref().is_some_and(|keep| keep.count() == 0) {
            column.skip(n);
            continue;
        }
        let Some(array) = column.read(n, keep.as_ref())? else { return Ok(None) };
        array.to_data().validate_full().expect("a sound array");
        assert_eq!(array.len(), keep.map_or(n, |keep| keep.count()));
        out.push(array);
    }
    let parts: Vec<&dyn Array> = out.iter().map(AsRef::as_ref).collect();
    Ok(Some(concat(&parts).expect("one type")))
}

/// A decoder of the column, and its rows; they may take so many bytes.
fn column(bytes: &[u8], to: &DataType, limit: Option<usize>) -> Result<Option<(Box<dyn Decode>, usize)>> {
    column_of(bytes, to, &MemoryPool::new(limit).holder("pages", None), usize::MAX)
}

fn column_of(bytes: &[u8], to: &DataType, holder: &Holder, wide: usize) -> Result<Option<(Box<dyn Decode>, usize)>> {
    let footer = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).expect("a file").metadata().clone();
    let group = footer.row_group(0);
    let rows = usize::try_from(group.num_rows()).expect("rows");
    let at = Arc::new(InMemory::new("x", bytes.to_vec()));
    let pages = || Ok(Pages::new(at, Chunk::of(group.column(0))?, Arc::new(Desk::new(holder.clone())), holder.empty()));
    Ok(super::open(group.column(0), to, pages, holder, rows, wide)?.map(|column| (column, rows)))
}

fn types() -> Vec<DataType> {
    vec![
        DataType::Int32,
        DataType::UInt32,
        DataType::Date32,
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Float32,
        DataType::Int64,
        DataType::UInt64,
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Float64,
        DataType::Boolean,
        DataType::Utf8,
        DataType::Binary,
        DataType::Int8,
        DataType::UInt8,
        DataType::Int16,
        DataType::UInt16,
        DataType::Float16,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Duration(TimeUnit::Millisecond),
        DataType::Date64,
        DataType::Decimal32(9, 1),
        DataType::Decimal64(9, 1),
        DataType::Decimal64(18, 3),
        DataType::Decimal128(9, 2),
        DataType::Decimal128(18, 3),
        DataType::Decimal128(19, 0),
        DataType::Decimal128(38, 10),
        DataType::Decimal256(9, 2),
        DataType::Decimal256(18, 2),
        DataType::Decimal256(38, 2),
        DataType::Decimal256(76, 20),
        DataType::FixedSizeBinary(1),
        DataType::FixedSizeBinary(2),
        DataType::FixedSizeBinary(3),
        DataType::FixedSizeBinary(4),
        DataType::FixedSizeBinary(8),
        DataType::FixedSizeBinary(12),
        DataType::FixedSizeBinary(16),
        DataType::FixedSizeBinary(33),
    ]
}

/// One of those that ours decodes, beside the dictionary.
fn encoding(of: &DataType, random: &mut Random) -> Encoding {
    let kinds = match of {
        DataType::Boolean => &[Encoding::RLE][..],
        DataType::Utf8 | DataType::Binary => &[Encoding::PLAIN],
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::FixedSizeBinary(_) => {
            &[Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT]
        }
        DataType::Decimal128(digits, _) | DataType::Decimal256(digits, _) if *digits > 18 => {
            &[Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT]
        }
        _ => &[Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT],
    };
    kinds[random.next(kinds.len() as u64) as usize]
}

#[test]
fn the_same_as_the_crate_for_every_type_and_encoding() {
    let mut random = Random(88_172_645_463_325_252);
    for to in types() {
        for (distinct, nulls) in [(1, 0), (3, 5), (200, 0), (200, 2), (1 << 20, 0), (1 << 20, 30), (9, 1)] {
            let column = values(&mut random, &to, distinct, nulls);
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                let encoding = encoding(&to, &mut random);
                let properties = WriterProperties::builder()
                    .set_writer_version(version)
                    .set_encoding(encoding)
                    .set_compression([Compression::UNCOMPRESSED, Compression::SNAPPY][random.next(2) as usize])
                    .set_dictionary_enabled(random.next(4) > 0)
                    .set_dictionary_page_size_limit([300, 1 << 20][random.next(2) as usize])
                    .set_data_page_size_limit([100, 4000, 1 << 20][random.next(3) as usize])
                    .set_write_batch_size([7, 100, 1024][random.next(3) as usize])
                    .build();
                let bytes = file(&column, nulls > 0, properties);
                let oracle = by_crate(&bytes, None);
                assert_eq!(&oracle, &column);
                for (passed, steps) in [(0, &[ROWS][..]), (0, &[1, 77, 1000]), (1234, &[512]), (ROWS - 1, &[5])] {
                    let found = decoded(&bytes, &to, passed, steps).expect("reads").expect("ours");
                    let what = format!("{to} {distinct} {nulls} {version:?} {passed} {steps:?}");
                    assert_eq!(found.data_type(), &to);
                    assert!(*found == *oracle.slice(passed, ROWS - passed), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_selection_gives_the_rows_that_a_filter_would() {
    let mut random = Random(2_463_534_242);
    for to in types() {
        for (distinct, nulls) in [(3, 0), (200, 3), (1 << 20, 0), (1 << 20, 20)] {
            let column = values(&mut random, &to, distinct, nulls);
            let properties = WriterProperties::builder()
                .set_encoding(encoding(&to, &mut random))
                .set_dictionary_enabled(to != DataType::Boolean && random.next(3) > 0)
                .set_data_page_size_limit([100, 4000][random.next(2) as usize])
                .set_write_batch_size([7, 100][random.next(2) as usize]);
            let bytes = file(&column, nulls > 0, properties.build());
            for one_in in [2, 10, 900] {
                // in stretches, so that whole pages and windows are left out too
                let mask: BooleanArray =
                    (0..ROWS).map(|i| Some(i / 640 % 3 < 2 && random.next(one_in) == 0 || i == ROWS - 1)).collect();
                let expected = filter(&column, &mask).expect("a filter");
                for steps in [&[ROWS][..], &[64, 65, 1], &[1000]] {
                    let found = selected(&bytes, &to, 0, steps, Some(&mask)).expect("reads").expect("ours");
                    assert!(*found == *expected, "{to} {distinct} {nulls} {one_in} {steps:?}");
                }
            }
        }
    }
}

#[test]
fn other_encodings_are_left_to_the_crate() {
    for to in [DataType::Utf8, DataType::FixedSizeBinary(16), DataType::Decimal128(30, 0)] {
        let column = values(&mut Random(7), &to, 1000, 0);
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::DELTA_BYTE_ARRAY)
            .set_writer_version(WriterVersion::PARQUET_2_0);
        let bytes = file(&column, true, properties.build());
        assert!(decoded(&bytes, &to, 0, &[10]).expect("reads").is_none(), "{to}");
    }
    // of which no block is put together
    let long = DataType::FixedSizeBinary(1025);
    let properties =
        WriterProperties::builder().set_dictionary_enabled(false).set_encoding(Encoding::BYTE_STREAM_SPLIT);
    let bytes = file(&values(&mut Random(7), &long, 1000, 0), true, properties.build());
    assert!(decoded(&bytes, &long, 0, &[10]).expect("reads").is_none());
    let bytes = file(&values(&mut Random(7), &DataType::Int64, 1000, 0), true, WriterProperties::default());
    for other in [DataType::Int32, DataType::Int16, DataType::Decimal32(9, 0), DataType::Decimal128(99, 0)] {
        assert!(decoded(&bytes, &other, 0, &[10]).expect("opens").is_none(), "{other}: another type than stored");
    }
}

#[test]
fn differences_wrap_and_have_any_width() {
    let mut random = Random(521_288_629);
    for nulls in [false, true] {
        for width in 0..64 {
            // now and then all bits, so that widths change from miniblock to miniblock
            let mut number = || match (nulls && random.next(9) == 0, random.next(200)) {
                (true, _) => None,
                (_, 0) => Some(random.0.cast_signed()),
                _ => Some((random.next(1 << width) as i64).wrapping_add(i64::MAX - 9)),
            };
            let wide: arrow::array::Int64Array = (0..ROWS).map(|_| number()).collect();
            let narrow = wide.unary::<_, arrow::datatypes::Int32Type>(|n| n as i32);
            for column in [Arc::new(wide) as ArrayRef, Arc::new(narrow)] {
                let properties = WriterProperties::builder()
                    .set_dictionary_enabled(false)
                    .set_encoding(Encoding::DELTA_BINARY_PACKED)
                    .set_data_page_row_count_limit(777)
                    .set_write_batch_size(7);
                let bytes = file(&column, nulls, properties.build());
                for steps in [&[ROWS][..], &[1, 31, 32, 33, 1000]] {
                    let found = decoded(&bytes, column.data_type(), 40, steps).expect("reads").expect("ours");
                    assert!(*found == *column.slice(40, ROWS - 40), "{} {nulls} {width}", column.data_type());
                }
            }
        }
    }
}

#[test]
fn rows_set_apart_lease_their_page_as_long_as_they_read_it() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let plain = WriterProperties::builder().set_dictionary_enabled(false).build();
    let bytes = file(&column, false, plain);
    let holder = MemoryPool::new(None).holder("pages", None);
    let (mut whole, _) = column_of(&bytes, &DataType::Int64, &holder, usize::MAX).expect("pages").expect("ours");
    let mut first = whole.apart(600).expect("pages").expect("a flat column");
    let mut second = whole.apart(300).expect("pages").expect("a flat column");
    assert_eq!(holder.held(), 0, "nothing is read yet");
    assert_eq!(&second.read(300, None).expect("rows").expect("ours"), &column.slice(600, 300));
    assert_eq!(&whole.read(100, None).expect("rows").expect("ours"), &column.slice(900, 100));
    assert_eq!(&first.read(250, None).expect("rows").expect("ours"), &column.slice(0, 250));
    assert_eq!(holder.held(), 8000, "one page, whoever reads it");
    drop((whole, second));
    assert_eq!(holder.held(), 8000, "the first has it at hand");
    assert_eq!(&first.read(350, None).expect("rows").expect("ours"), &column.slice(250, 350));
    drop(first);
    assert_eq!(holder.held(), 0);
}

#[test]
fn pages_without_a_row_that_is_wanted_are_not_looked_at() {
    let column: ArrayRef = Arc::new((0..1000).map(|i| Some(format!("row {i}"))).collect::<arrow::array::StringArray>());
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .build();
    let mut bytes = file(&column, true, properties);
    let at = bytes.windows(7).position(|text| text == b"row 450").expect("a value");
    bytes[at] = 0xFF;
    assert!(selected(&bytes, &DataType::Utf8, 0, &[1000], None).is_err(), "no text");
    for step in [1000, 350, 100, 64] {
        let mask = (0..1000).map(|i| Some(i % 3 == 0 && !(400..500).contains(&i))).collect::<BooleanArray>();
        let found = selected(&bytes, &DataType::Utf8, 0, &[step], Some(&mask)).expect("text").expect("ours");
        assert_eq!(&found, &filter(&column, &mask).expect("a filter"), "{step}");
        // the last rows, and the first
        for wanted in [0..5, 995..1000, 399..400, 500..501] {
            let mask = (0..1000).map(|i| Some(wanted.contains(&i))).collect::<BooleanArray>();
            let found = selected(&bytes, &DataType::Utf8, 0, &[step], Some(&mask)).expect("text").expect("ours");
            assert_eq!(&found, &filter(&column, &mask).expect("a filter"), "{step} {wanted:?}");
        }
    }
    let holder = MemoryPool::new(None).holder("pages", None);
    let (mut whole, _) = column_of(&bytes, &DataType::Utf8, &holder, usize::MAX).expect("pages").expect("ours");
    let mut apart = whole.apart(700).expect("pages").expect("a flat column");
    let mask = (0..700).map(|i| Some(!(400..500).contains(&i))).collect::<BooleanArray>();
    let found = apart.read(700, Some(&Selection::new(&mask))).expect("text").expect("ours");
    assert_eq!(&found, &filter(&column.slice(0, 700), &mask).expect("a filter"));
}

#[test]
fn behind_text_that_is_too_wide_it_goes_on() {
    let mut random = Random(77);
    let (mut wide, mut read) = (0, 0);
    for (round, nulls) in [0, 0, 3, 3, 3, 3].into_iter().enumerate() {
        let texts = (0..ROWS).map(|i| {
            // stretches of long text, and a value over and over
            let long = if i / 500 % 3 == 1 { 90 } else { 3 };
            let n = if i / 100 % 7 == 2 { 40 } else { random.next(1_000) };
            (nulls == 0 || random.next(nulls) > 0).then(|| "x".repeat((n % long) as usize) + &n.to_string())
        });
        let column: ArrayRef = Arc::new(texts.collect::<arrow::array::StringArray>());
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(round % 2 == 0)
            .set_data_page_row_count_limit([300, 20_000][round / 2 % 2])
            .set_write_batch_size(100);
        let bytes = file(&column, nulls > 0, properties.build());
        let holder = MemoryPool::new(None).holder("pages", None);
        for step in [64, 700] {
            for mask in [None, Some((0..ROWS).map(|i| Some(i % 50 < 30)).collect::<BooleanArray>())] {
                let (mut reader, rows) =
                    column_of(&bytes, &DataType::Utf8, &holder, step * 12).expect("pages").expect("ours");
                for start in (0..rows).step_by(step) {
                    let n = step.min(rows - start);
                    let keep = mask.as_ref().map(|mask| mask.slice(start, n));
                    match reader.read(n, keep.as_ref().map(Selection::new).as_ref()) {
                        Err(Error::Wide) => wide += 1,
                        found => {
                            let all = column.slice(start, n);
                            let expected = keep.map_or(all.clone(), |keep| filter(&all, &keep).expect("a filter"));
                            assert_eq!(&found.expect("rows").expect("ours"), &expected, "{round} {step} {start}");
                            read += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(wide > 100 && read > 100, "{wide} {read}");
}

#[test]
fn halves_of_a_character_are_no_text_wherever_they_meet() {
    for (first, second) in [(&b"\xC3"[..], &b"\xA9"[..]), (b"ab\xC3", b"x"), (b"", b"\xA9")] {
        for dictionary in [false, true] {
            let values =
                arrow::array::BinaryArray::from_iter_values([b"a", first, second, b"z"].into_iter().cycle().take(80));
            let properties = WriterProperties::builder().set_dictionary_enabled(dictionary).build();
            let bytes = file(&(Arc::new(values) as ArrayRef), true, properties);
            let e = decoded(&bytes, &DataType::Utf8, 0, &[10]).expect_err("not text");
            assert!(matches!(&e, Error::Format(what) if what.contains("UTF-8")), "{e:?}");
            assert!(decoded(&bytes, &DataType::Binary, 0, &[10]).expect("bytes").is_some());
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_another_value_never_a_panic() {
    let mut random = Random(1_234_567);
    let types = [
        DataType::Int32,
        DataType::Boolean,
        DataType::Utf8,
        DataType::Int64,
        DataType::Int16,
        DataType::Decimal128(20, 0),
        DataType::FixedSizeBinary(12),
        DataType::Float64,
    ];
    for (k, to) in types.into_iter().cycle().take(24).enumerate() {
        let column = values(&mut random, &to, 60, 4);
        let codec = [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())];
        let mut properties = WriterProperties::builder().set_compression(codec[k / 8]);
        if to == DataType::Int64 {
            properties = properties.set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BINARY_PACKED);
        }
        if matches!(to, DataType::Float64 | DataType::FixedSizeBinary(_)) {
            properties = properties.set_dictionary_enabled(false).set_encoding(Encoding::BYTE_STREAM_SPLIT);
        }
        let bytes = file(&column, true, properties.set_data_page_size_limit(500).build());
        let footer = SerializedFileReader::new(bytes::Bytes::from(bytes.clone())).expect("a file").metadata().clone();
        let (start, len) = footer.row_group(0).column(0).byte_range();
        for _ in 0..1_500 {
            let mut bytes = bytes.clone();
            let at = start + random.next(len);
            bytes[at as usize] ^= 1 << random.next(8);
            match decoded(&bytes, &to, 0, &[1000]) {
                Ok(found) => assert!(found.is_none_or(|found| found.len() == ROWS)),
                Err(e) => assert!(matches!(e, Error::Format(_)), "{e:?}"),
            }
        }
    }
}
