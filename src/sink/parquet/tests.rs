//! Files written here and read back.

use std::path::Path;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float16Type, Int32Type, Schema, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::options::Options;
use crate::piece::Ordinal;
use crate::sink::Mode;

fn held(batch: &RecordBatch, context: &Context) -> Held {
    let holder = context.memory.holder("test", None);
    let lease = holder.lease(batch::bytes_held(batch)).expect("room");
    Held { batch: batch.clone(), first: Ordinal::default(), lease }
}

fn run_options(limit: Option<usize>, threads: usize) -> Options {
    Options { memory_limit: limit, threads, ..Options::default() }
}

fn write_with(path: &Path, batches: &[RecordBatch], options: &ParquetOptions, run: Options) -> Result<Written> {
    let context = Context::new(run, || Ok(()));
    let output = Output::open(path, Mode::Overwrite)?;
    let sink = ParquetSink::new(output, batches[0].schema_ref(), options)?;
    for batch in batches {
        let packet = sink.prepare(held(batch, &context), &context)?;
        sink.absorb(packet, &context)?;
    }
    let written = sink.finish(&context)?;
    drop(sink);
    assert_eq!(context.memory.held(), 0, "all leases are back");
    Ok(written)
}

fn write(path: &Path, batches: &[RecordBatch], options: &ParquetOptions) -> Result<Written> {
    write_with(path, batches, options, run_options(None, 2))
}

fn read(path: &Path) -> (RecordBatch, Arc<ParquetMetaData>) {
    let file = std::fs::File::open(path).expect("is there");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let (schema, metadata) = (builder.schema().clone(), builder.metadata().clone());
    let batches: Vec<_> = builder.build().expect("readable").map(|b| b.expect("a batch")).collect();
    (concat_batches(&schema, &batches).expect("one schema"), metadata)
}

fn out() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.parquet");
    (dir, path)
}

/// A column of every kind that Parquet holds, each with a null.
fn everything() -> RecordBatch {
    let text = [Some("a"), None, Some("ccc")];
    let dictionary: DictionaryArray<Int32Type> = text.into_iter().collect();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let record = StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int64, true)), inner)]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for key in ["k", "l"] {
        map.keys().append_value(key);
        map.values().append_value(7);
        map.append(true).expect("even");
    }
    map.append(false).expect("even");
    let ints = [Some(1i64), None, Some(-3)];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("int8", Arc::new(Int8Array::from(vec![Some(1), None, Some(-3)]))),
        ("int64", Arc::new(Int64Array::from_iter(ints))),
        ("uint8", Arc::new(UInt8Array::from(vec![Some(1), None, Some(255)]))),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)]))),
        ("float16", Arc::new(PrimitiveArray::<Float16Type>::from_iter([Some(half(1)), None, Some(half(2))]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(1.5), None, Some(f32::INFINITY)]))),
        ("float64", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-0.0)]))),
        ("string", Arc::new(StringArray::from(text.to_vec()))),
        ("large", Arc::new(LargeStringArray::from(text.to_vec()))),
        ("view", Arc::new(StringViewArray::from(text.to_vec()))),
        ("dictionary", Arc::new(dictionary)),
        ("binary", Arc::new(BinaryArray::from(vec![Some(&b"\0"[..]), None, Some(b"")]))),
        ("date32", Arc::new(Date32Array::from(vec![Some(1), None, Some(-1)]))),
        ("date64", Arc::new(Date64Array::from(vec![Some(86_400_000), None, Some(-86_400_000)]))),
        ("ts_s", Arc::new(TimestampSecondArray::from_iter(ints))),
        ("ts_us", Arc::new(TimestampMicrosecondArray::from_iter(ints))),
        ("ts_tz", Arc::new(TimestampNanosecondArray::from_iter(ints).with_timezone("Europe/Berlin"))),
        ("time_s", Arc::new(Time32SecondArray::from(vec![Some(1), None, Some(2)]))),
        ("time_us", Arc::new(Time64MicrosecondArray::from(vec![Some(1), None, Some(2)]))),
        ("duration", Arc::new(DurationMicrosecondArray::from_iter(ints))),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![Some(123), None, Some(-5)]).with_precision_and_scale(10, 2).expect("fits"),
            ),
        ),
        ("null", Arc::new(NullArray::new(3))),
        ("list", Arc::new(list)),
        ("struct", Arc::new(record)),
        ("map", Arc::new(map.finish())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).expect("one length")
}

fn half(n: i8) -> <Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native {
    n.into()
}

#[test]
fn every_type_under_every_codec_comes_back() {
    let batch = everything();
    let (_dir, path) = out();
    for codec in [None, Some("zstd"), Some("snappy"), Some("gzip"), Some("brotli"), Some("lz4")] {
        let named = DictionaryOption::Columns(vec!["string".into(), "list".into(), "int64".into()]);
        for dictionary in [DictionaryOption::Sampled, DictionaryOption::Never, named] {
            let options =
                ParquetOptions { compression: codec.map(Into::into), dictionary, ..ParquetOptions::default() };
            let written = write(&path, &[batch.clone(), batch.slice(1, 2)], &options).expect("written");
            assert_eq!((written.rows, written.atomic), (5, true));
            assert_eq!(written.bytes, std::fs::metadata(&path).expect("is there").len());
            let (back, _) = read(&path);
            let want = concat_batches(&batch.schema(), [&batch, &batch.slice(1, 2)]).expect("one schema");
            for (i, field) in want.schema().fields().iter().enumerate() {
                let (a, b) = (want.column(i), back.column(i));
                let b = arrow::compute::cast(b, a.data_type()).expect("the written type is as wide");
                assert_eq!(a.to_data(), b.to_data(), "{} under {codec:?}", field.name());
            }
        }
    }
}

#[test]
fn no_rows_make_a_file_with_the_schema() {
    let (_dir, path) = out();
    let batch = everything().slice(0, 0);
    let written = write(&path, &[batch], &ParquetOptions::default()).expect("written");
    let (back, metadata) = read(&path);
    assert_eq!((written.rows, back.num_rows(), back.num_columns()), (0, 0, 26));
    assert_eq!(metadata.num_row_groups(), 0);
}

#[test]
fn what_parquet_cannot_hold_is_refused_by_name() {
    let (_dir, path) = out();
    let one = |name: &str, array: ArrayRef| RecordBatch::try_from_iter([(name, array)]).expect("one column");
    let refused =
        |batch: RecordBatch| write(&path, &[batch], &ParquetOptions::default()).expect_err("refused").to_string();
    let empty: ArrayRef = Arc::new(StructArray::new_empty_fields(2, None));
    assert!(refused(one("s", empty)).starts_with("column `s`: Parquet has no type for struct"), "an empty struct");
    let interval: ArrayRef = Arc::new(IntervalYearMonthArray::from(vec![1]));
    assert!(refused(one("i", interval)).starts_with("column `i`: "));
    let none = batch::without_columns(Arc::new(Schema::empty()), 3).expect("rows alone");
    assert_eq!(refused(none), "a Parquet file needs at least one column, found none");
    let x: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let twice = Schema::new(vec![Field::new("x", DataType::Int64, true); 2]);
    let twice = RecordBatch::try_new(Arc::new(twice), vec![x.clone(), x]).expect("two");
    assert_eq!(refused(twice), "two columns are called `x`; rename or drop one");
    let odd: ArrayRef = Arc::new(Date64Array::from(vec![1]));
    assert!(refused(one("d", odd)).starts_with("column `d`: 1 ms is not a whole day"));
    let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
    assert!(refused(one("t", far)).starts_with("column `t`: does not fit"));
    assert!(!path.exists(), "nothing was left behind");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let (_dir, path) = out();
    let plain = ParquetOptions::default;
    let refused = |options: ParquetOptions| write(&path, &[everything()], &options).expect_err("refused").to_string();
    let e = refused(ParquetOptions { compression: Some("rar".into()), ..plain() });
    assert!(e.ends_with("or None, found `rar`"), "{e}");
    let e = refused(ParquetOptions { compression_level: Some(23), ..plain() });
    assert_eq!(e, "`compression_level` of zstd must be 1 to 22, found 23");
    let e = refused(ParquetOptions { compression: Some("snappy".into()), compression_level: Some(1), ..plain() });
    assert!(e.contains("snappy has no levels"), "{e}");
    assert!(refused(ParquetOptions { row_group_size: Some(0), ..plain() }).contains("at least 1"));
    let dictionary = DictionaryOption::Columns(vec!["strin".into()]);
    let e = refused(ParquetOptions { dictionary, ..plain() });
    assert!(e.starts_with("`dictionary`: column `strin` not found, did you mean `string`?"), "{e}");
    let e = refused(ParquetOptions { bloom_filters: vec!["strin".into()], ..plain() });
    assert!(e.starts_with("`bloom_filters`: column `strin` not found, did you mean `string`?"), "{e}");
    let e = refused(ParquetOptions { sorted_by: vec!["list".into()], ..plain() });
    assert!(e.contains("nested"), "{e}");
}

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let text = StringArray::from_iter_values(range.clone().map(|i| format!("text {}", i % 1000)));
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(range)) as ArrayRef),
        ("text", Arc::new(text)),
    ])
    .expect("one length")
}

#[test]
fn row_groups_end_by_rows_and_by_bytes() {
    let (_dir, path) = out();
    let batches: Vec<_> = (0..10).map(|i| numbers(i * 1000..(i + 1) * 1000)).collect();
    let sizes =
        |metadata: &ParquetMetaData| metadata.row_groups().iter().map(RowGroupMetaData::num_rows).collect::<Vec<_>>();
    let whole = concat_batches(&batches[0].schema(), &batches).expect("one schema");
    let by_rows = ParquetOptions { row_group_size: Some(3300), ..ParquetOptions::default() };
    write(&path, &batches, &by_rows).expect("written");
    let (back, metadata) = read(&path);
    assert_eq!((back, sizes(&metadata)), (whole.clone(), vec![3300, 3300, 3300, 100]));
    let by_bytes = ParquetOptions { row_group_bytes: Some(60_000), ..ParquetOptions::default() };
    write(&path, &batches, &by_bytes).expect("written");
    let (back, metadata) = read(&path);
    assert_eq!(back, whole);
    assert!(sizes(&metadata).len() >= 3, "{:?}", sizes(&metadata));
}

#[test]
fn threads_and_memory_change_no_byte() {
    let (_dir, path) = out();
    let batches: Vec<_> = (0..10).map(|i| numbers(i * 5000..(i + 1) * 5000)).collect();
    let options = ParquetOptions { row_group_bytes: Some(1 << 20), ..ParquetOptions::default() };
    let mut files = Vec::new();
    for run in [run_options(None, 1), run_options(None, 8), run_options(Some(6 << 20), 2)] {
        write_with(&path, &batches, &options, run).expect("written");
        files.push(std::fs::read(&path).expect("is there"));
    }
    assert!(files.iter().all(|f| *f == files[0]));
    let e = write_with(&path, &batches, &options, run_options(Some(1 << 20), 2)).expect_err("too little");
    assert!(matches!(&e, Error::MemoryLimit(m) if m.contains("parquet sink")), "{e}");
    assert_eq!(std::fs::read(&path).expect("is there"), files[0], "the old file stays");
}

#[test]
fn the_order_is_checked_and_noted() {
    let (_dir, path) = out();
    let options = ParquetOptions { sorted_by: vec!["n".into()], ..ParquetOptions::default() };
    write(&path, &[numbers(0..10), numbers(10..20)], &options).expect("sorted");
    let (_, metadata) = read(&path);
    let columns = metadata.row_group(0).sorting_columns().expect("noted");
    assert_eq!((columns[0].column_idx, columns[0].descending), (0, false));
    let e = write(&path, &[numbers(0..10), numbers(5..20)], &options).expect_err("not sorted");
    assert!(e.to_string().starts_with("sorted_by=[\"n\"]: row 11 comes before"), "{e}");
}

#[test]
fn bloom_filters_statistics_and_checksums_are_where_they_were_asked_for() {
    let (_dir, path) = out();
    let options =
        ParquetOptions { bloom_filters: vec!["text".into()], page_checksums: false, ..ParquetOptions::default() };
    write(&path, &[numbers(0..100)], &options).expect("written");
    let (_, metadata) = read(&path);
    let offsets: Vec<bool> =
        metadata.row_group(0).columns().iter().map(|c| c.bloom_filter_offset().is_some()).collect();
    assert_eq!(offsets, [false, true]);
    assert!(metadata.row_group(0).column(0).statistics().is_some());
    write(&path, &[numbers(0..100)], &ParquetOptions { statistics: false, ..options }).expect("written");
    assert!(read(&path).1.row_group(0).column(0).statistics().is_none());
}

#[test]
fn every_page_has_its_checksum_and_stands_where_the_index_says() {
    let (_dir, path) = out();
    let batches: Vec<_> = (0..4).map(|i| numbers(i * 30_000..(i + 1) * 30_000)).collect();
    for codec in [None, Some("zstd"), Some("snappy"), Some("gzip"), Some("brotli"), Some("lz4")] {
        let options = ParquetOptions { compression: codec.map(Into::into), ..ParquetOptions::default() };
        write(&path, &batches, &options).expect("written");
        let file = SerializedFileReader::new(std::fs::File::open(&path).expect("is there")).expect("Parquet");
        let bytes = std::fs::read(&path).expect("is there");
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&std::fs::File::open(&path).expect("is there"))
            .expect("with both indexes");
        for (i, column) in metadata.row_group(0).columns().iter().enumerate() {
            let pages = file.get_row_group(0).expect("is there").get_column_page_reader(i).expect("is there");
            let read = pages.map(|page| page.expect("its checksum is right")).filter(Page::is_data_page).count();
            let index = metadata.page_index().and_then(|index| index.offset_index(0, i)).expect("noted");
            assert_eq!(read, index.page_locations.len(), "{codec:?}");
            let (start, len) = column.byte_range();
            let last = index.page_locations.last().expect("pages");
            assert_eq!(last.offset + i64::from(last.compressed_page_size), (start + len).cast_signed(), "{codec:?}");
            for location in &index.page_locations {
                let at = usize::try_from(location.offset).expect("in the file");
                assert_eq!(bytes[at..at + 2], [0x15, 0], "a data page begins here");
            }
        }
        // a byte in the middle of the first page
        let (start, _) = metadata.row_group(0).column(0).byte_range();
        let mut damaged = bytes.clone();
        damaged[usize::try_from(start).expect("small") + 40] ^= 1;
        let damaged = SerializedFileReader::new(bytes::Bytes::from(damaged)).expect("the footer is whole");
        let mut pages = damaged.get_row_group(0).expect("is there").get_column_page_reader(0).expect("is there");
        assert!(pages.any(|page| page.is_err()), "{codec:?}: a flipped bit is noticed");
    }
}

#[test]
fn dictionaries_are_where_they_pay() {
    let (_dir, path) = out();
    let scattered = Float64Array::from_iter_values((0..20_000).map(|i| f64::from(i).sin()));
    let few = Float64Array::from_iter_values((0..20_000).map(|i| f64::from(i % 10)));
    let columns: [(&str, ArrayRef); 3] = [
        ("scattered", Arc::new(scattered)),
        ("few", Arc::new(few)),
        ("counter", Arc::new(Int64Array::from_iter_values(0..20_000))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("one length");
    let encodings = |dictionary: DictionaryOption| -> Vec<(bool, bool)> {
        let options = ParquetOptions { dictionary, ..ParquetOptions::default() };
        write(&path, std::slice::from_ref(&batch), &options).expect("written");
        let (back, metadata) = read(&path);
        assert_eq!(back, batch);
        let columns = metadata.row_group(0).columns().iter();
        columns
            .map(|c| (c.dictionary_page_offset().is_some(), c.encodings().any(|e| e == Encoding::DELTA_BINARY_PACKED)))
            .collect()
    };
    let (yes, no, delta) = ((true, false), (false, false), (false, true));
    assert_eq!(encodings(DictionaryOption::Sampled), [no, yes, delta]);
    assert_eq!(encodings(DictionaryOption::Never), [no, no, delta]);
    assert_eq!(encodings(DictionaryOption::Columns(vec!["scattered".into()])), [yes, no, delta]);
}

#[test]
fn a_row_group_larger_than_memory_goes_through_a_temporary_file() {
    let (dir, path) = out();
    let temp = dir.path().join("temp");
    std::fs::create_dir(&temp).expect("a folder");
    let noise = |i: i64| {
        let n = (i * 20_000..(i + 1) * 20_000).map(|n| (n + 1).wrapping_mul(0x1e37_79b9_7f4a_7c15));
        let text = StringArray::from_iter_values(n.clone().map(|n| format!("text {n}")));
        let columns: [(&str, ArrayRef); 2] =
            [("n", Arc::new(Int64Array::from_iter_values(n))), ("text", Arc::new(text))];
        RecordBatch::try_from_iter(columns).expect("one length")
    };
    let batches: Vec<_> = (0..40).map(noise).collect();
    let options = ParquetOptions {
        row_group_size: Some(usize::MAX),
        compression: None,
        dictionary: DictionaryOption::Never,
        ..ParquetOptions::default()
    };
    let run = |limit| Options { temp_dir: Some(temp.clone()), ..run_options(limit, 2) };
    write_with(&path, &batches, &options, run(None)).expect("in memory");
    let whole = std::fs::read(&path).expect("is there");
    assert!(whole.len() > 10 << 20);
    for threads in [1, 8] {
        let context = Context::new(Options { threads, ..run(Some(8 << 20)) }, || Ok(()));
        let output = Output::open(&path, Mode::Overwrite).expect("a file");
        let sink = ParquetSink::new(output, batches[0].schema_ref(), &options).expect("a sink");
        for batch in &batches {
            let packet = sink.prepare(held(batch, &context), &context).expect("a packet");
            sink.absorb(packet, &context).expect("absorbed");
        }
        sink.finish(&context).expect("written");
        drop(sink);
        let spilled = context.stats.spilled_bytes.load(std::sync::atomic::Ordering::Relaxed);
        assert!(spilled > 6 << 20, "{spilled} bytes spilled");
        assert_eq!(context.memory.held(), 0, "all leases are back");
        assert!(context.memory.peak() <= 8 << 20);
        let (back, metadata) = read(&path);
        assert_eq!(metadata.num_row_groups(), 1);
        assert_eq!(back, concat_batches(&back.schema(), &batches).expect("one schema"));
    }
    let quota = Options { max_temp_bytes: Some(1 << 20), ..run(Some(8 << 20)) };
    let before = std::fs::read(&path).expect("is there");
    let e = write_with(&path, &batches, &options, quota).expect_err("a quota");
    assert!(matches!(&e, Error::Spill(m) if m.contains("max_temp_bytes")), "{e}");
    assert_eq!(std::fs::read(&path).expect("is there"), before, "the old file stays");
    assert_eq!(std::fs::read_dir(&temp).expect("a folder").count(), 0);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 2);
}

#[test]
fn a_full_disk_names_the_target() {
    let output = Output::open(Path::new("/dev/full"), Mode::Overwrite).expect("a device");
    let context = Context::new(Options::default(), || Ok(()));
    let batch = numbers(0..100);
    let sink = ParquetSink::new(output, batch.schema_ref(), &ParquetOptions::default()).expect("buffered");
    sink.absorb(sink.prepare(held(&batch, &context), &context).expect("a packet"), &context).expect("gathered");
    let e = sink.finish(&context).expect_err("full");
    assert!(
        matches!(&e, Error::Io { path: Some(p), source } if p == "/dev/full" && source.raw_os_error() == Some(libc::ENOSPC)),
        "{e:?}"
    );
    assert!(matches!(sink.finish(&context), Err(Error::Stream(_))), "only once");
}

#[test]
fn text_views_are_written_as_text() {
    let (_dir, path) = out();
    write(&path, &[everything()], &ParquetOptions::default()).expect("written");
    let (back, _) = read(&path);
    let view = back.schema().field_with_name("view").expect("is there").data_type().clone();
    assert_eq!(view, DataType::Utf8);
    let seconds = back.schema().field_with_name("ts_s").expect("is there").data_type().clone();
    assert_eq!(seconds, DataType::Timestamp(TimeUnit::Millisecond, None));
    for name in ["list", "struct", "dictionary", "ts_tz", "duration", "decimal", "null"] {
        let (want, got) = (everything().schema(), back.schema());
        assert_eq!(got.field_with_name(name).expect("is there"), want.field_with_name(name).expect("is there"));
    }
}
