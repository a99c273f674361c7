//! One file read in every way there is must give the same rows.

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;

use super::*;
use crate::options::Options;
use crate::source::read_at::InMemory;
use crate::stage::exchange;

/// Rows of every kind of column: fixed, text, nullable, dictionary, nested.
pub(super) fn rows(n: i64) -> RecordBatch {
    let text: StringArray = (0..n).map(|i| (i % 5 != 0).then(|| format!("text {}", i % 97))).collect();
    let long: StringArray = (0..n).map(|i| Some("x".repeat((i % 61) as usize))).collect();
    let codes: DictionaryArray<Int32Type> = (0..n).map(|i| Some(["a", "bb", "ccc"][(i % 3) as usize])).collect();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..n).map(|i| (i % 4 != 0).then(|| (0..i % 3).map(|k| Some(k as i32)).collect::<Vec<_>>())),
    );
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values(0..n)) as ArrayRef, true),
        ("small", Arc::new((0..n).map(|i| (i % 7 != 0).then_some(i as i32)).collect::<Int32Array>()), true),
        ("real", Arc::new(Float64Array::from_iter_values((0..n).map(|i| i as f64 / 3.0))), true),
        ("flag", Arc::new((0..n).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>()), true),
        ("text", Arc::new(text), true),
        ("long", Arc::new(long), true),
        ("code", Arc::new(codes), true),
        ("list", Arc::new(lists), true),
    ])
    .expect("columns of one length")
}

fn file(rows: &RecordBatch, group: usize) -> Arc<ParquetSource> {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(100)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).expect("a writer");
    writer.write(rows).expect("rows");
    writer.close().expect("a footer");
    ParquetSource::open(Arc::new(InMemory::new("x.parquet", bytes))).expect("a Parquet file")
}

fn read(source: Arc<dyn Source>, options: Options, from: Option<&Place>) -> RecordBatch {
    let context = Context::new(options.check().expect("sensible"), || Ok(()));
    read_in(&context, source, from)
}

fn read_in(context: &Arc<Context>, source: Arc<dyn Source>, from: Option<&Place>) -> RecordBatch {
    let schema = source.schema();
    let pieces = source.start(from, context).expect("starts");
    let mut batches = Vec::new();
    for held in exchange::rows(pieces, false, context) {
        let held = held.expect("reads");
        assert!(held.batch.num_rows() <= context.options.batch_size);
        batches.push(held.batch);
    }
    assert_eq!(context.memory.holders().iter().filter(|h| h.0 == "reader").map(|h| h.1).sum::<usize>(), 0);
    concat_batches(&schema, &batches).expect("one schema")
}

pub(super) fn set(threads: usize, prefetch: usize, batch_size: usize, memory_limit: usize) -> Options {
    Options { threads, prefetch: Some(prefetch), batch_size, memory_limit: Some(memory_limit), ..Options::default() }
}

#[test]
fn the_same_rows_for_every_crew_batch_size_and_limit() {
    let whole = rows(20_000);
    for group in [20_000, 3_001] {
        let source = file(&whole, group);
        for (threads, prefetch) in [(1, 0), (1, 2), (2, 2), (8, 8)] {
            for batch_size in [7, 1_000, 65_536] {
                for limit in [3 << 20, 64 << 20] {
                    let found = read(source.clone(), set(threads, prefetch, batch_size, limit), None);
                    assert_eq!(found, whole, "{group} {threads} {prefetch} {batch_size} {limit}");
                }
            }
        }
    }
}

#[test]
fn a_pushed_predicate_gives_the_rows_that_a_filter_would() {
    let whole = rows(12_000);
    for text in [
        "id >= 4000 and id < 9000",
        "flag and text = 'text 3'",
        "code = 'bb' or small is null",
        "long = '' or real > 3999",
        "id < 0",
    ] {
        let predicate = crate::expr::parse_predicate(text).expect("a predicate");
        let typed = crate::expr::resolve_predicate(&predicate, &whole.schema()).expect("fits");
        let keep = crate::expr::mask::mask(&[typed], &whole).expect("evaluates");
        let expected = arrow::compute::filter_record_batch(&whole, &keep).expect("a filter");
        for columns in [None, Some(vec!["list".to_owned(), "long".to_owned(), "real".to_owned()])] {
            let expected = match &columns {
                None => expected.clone(),
                Some(_) => expected.project(&[7, 5, 2]).expect("three columns"),
            };
            let wish = Pushdown { columns, predicates: vec![predicate.clone()], limit: None };
            for group in [12_000, 1_001] {
                let pushed = file(&whole, group).push(&wish).expect("columns that are there");
                assert_eq!(pushed.exact, [true]);
                for (threads, batch_size) in [(1, 65_536), (2, 700), (8, 64)] {
                    let found = read(pushed.source.clone(), set(threads, threads, batch_size, 16 << 20), None);
                    assert_eq!(found, expected, "{text} {group} {threads} {batch_size}");
                }
            }
        }
    }
}

#[test]
fn a_predicate_that_can_fail_is_left_to_the_plan() {
    let predicates = vec![crate::expr::parse_predicate("1000 % id > 3").expect("a predicate")];
    let wish = Pushdown { predicates, ..Pushdown::default() };
    let pushed = file(&rows(100), 100).push(&wish).expect("a column that is there");
    assert_eq!(pushed.exact, [false]);
    assert_eq!(read(pushed.source, set(1, 0, 100, 4 << 20), None).num_rows(), 100);
}

#[test]
fn workers_that_race_for_a_row_group_never_lock_up() {
    // small windows of many small row groups: each race is for who opens one
    let whole = rows(12_000);
    let source = file(&whole, 2_000);
    for _ in 0..20 {
        assert_eq!(read(source.clone(), set(8, 8, 100, 2 << 20), None), whole);
    }
}

#[test]
fn columns_come_as_asked_for() {
    let whole = rows(1_000);
    let wish = Pushdown { columns: Some(vec!["text".into(), "id".into(), "list".into()]), ..Pushdown::default() };
    let source = file(&whole, 300).push(&wish).expect("columns that are there").source;
    let found = read(source, set(2, 2, 64, 4 << 20), None);
    assert_eq!(found, whole.project(&[4, 0, 7]).expect("three columns"));
    let none = Pushdown { columns: Some(vec![]), ..Pushdown::default() };
    let source = file(&whole, 300).push(&none).expect("no column is no error").source;
    assert_eq!(source.rows().expect("known"), Some(1_000));
    let unknown = Pushdown { columns: Some(vec!["texd".into()]), ..Pushdown::default() };
    let e = file(&whole, 300).push(&unknown).expect_err("no such column").to_string();
    assert!(e.starts_with("column `texd` not found, did you mean `text`?"), "{e}");
}

#[test]
fn a_run_goes_on_at_any_place() {
    let whole = rows(10_000);
    let source: Arc<dyn Source> = file(&whole, 3_000);
    let options = set(2, 2, 1_000, 2 << 20);
    let context = Context::new(options.clone(), || Ok(()));
    let pieces = source.clone().start(None, &context).expect("starts");
    let mut places = Vec::new();
    while let Some(piece) = pieces.next(&context).expect("lists") {
        places.push(piece.place);
    }
    assert!(places.len() > 8, "{places:?}");
    for place in places {
        let before = u64::from(place.part) * 3_000 + place.start;
        let found = read(source.clone(), options.clone(), Some(&place));
        assert_eq!(found, whole.slice(before as usize, 10_000 - before as usize), "{place:?}");
    }
}

#[test]
fn a_page_beyond_the_limit_is_an_error_that_says_so() {
    let long = StringArray::from_iter_values(["x".repeat(3 << 20)]);
    let batch = RecordBatch::try_from_iter([("s", Arc::new(long) as ArrayRef)]).expect("one column");
    let source = file(&batch, 10);
    let context = Context::new(set(1, 0, 10, 1 << 20), || Ok(()));
    let pieces = source.start(None, &context).expect("starts");
    let first = exchange::rows(pieces, false, &context).next().expect("an error");
    let e = first.expect_err("too large");
    assert!(matches!(e, Error::MemoryLimit(_)), "{e}");
}

#[test]
fn pages_that_do_not_fit_together_are_read_one_column_at_a_time() {
    // a dictionary of 240 KB each; two columns are of lists
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..30_000).map(|i| i * 7919 % 104_729)));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..30_000).map(|i| Some((0..i % 3).map(|k| Some(i * 7 + k)).collect::<Vec<_>>())),
    );
    let lists: ArrayRef = Arc::new(lists);
    let columns = (0..10).map(|i| (format!("c{i}"), if i < 8 { numbers.clone() } else { lists.clone() }));
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)));
    let batch = batch.expect("ten columns");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    let source = ParquetSource::open(Arc::new(InMemory::new("x.parquet", bytes))).expect("a Parquet file");
    for (threads, prefetch, limit) in [(1, 0, 2 << 20), (2, 2, 2 << 20), (8, 8, 3 << 20), (2, 2, 64 << 20)] {
        let context = Context::new(set(threads, prefetch, 1_000, limit).check().expect("sensible"), || Ok(()));
        let found = read_in(&context, source.clone(), None);
        assert!(found.columns() == batch.columns(), "{threads} {limit}");
        let counted = context.stats.stage("parquet reader").extra.lock().expect("no panic").clone();
        let anew = counted.iter().find(|(name, _)| name == lanes::ANEW).map_or(0, |(_, times)| *times);
        assert_eq!(anew > 0, limit < 64 << 20, "{threads} {limit}: {anew}");
    }
    let predicates = vec![crate::expr::parse_predicate("c1 > 90000").expect("a predicate")];
    let pushed = source.push(&Pushdown { predicates, ..Pushdown::default() }).expect("fits");
    let loose = read(pushed.source.clone(), set(2, 2, 1_000, 64 << 20), None);
    assert_eq!(read(pushed.source, set(2, 2, 1_000, 2 << 20), None), loose);
}

#[test]
fn a_leaf_that_only_the_crate_reads_on_loses_and_doubles_no_row() {
    // a dictionary that is full after some pages, behind which text is written in a way that is not ours
    let texts = |i: i64| (0..i % 4).map(move |k| (i % 7 > 0).then(|| format!("{}", (i * 31 + k) % (1 + i / 3))));
    let mut lists = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
    for i in 0..9_000 {
        texts(i).for_each(|text| lists.values().append_option(text));
        lists.append(i % 11 > 0);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    let numbers: ArrayRef = Arc::new((0..9_000).map(|i| (i % 5 > 0).then_some(i)).collect::<Int64Array>());
    let parts = [("n", numbers.clone(), true), ("l", lists.clone(), true)];
    let group = arrow::array::StructArray::try_from(parts.iter().map(|(n, a, _)| (*n, a.clone())).collect::<Vec<_>>());
    let columns = [("id", numbers), ("lists", lists), ("group", Arc::new(group.expect("two columns")) as ArrayRef)];
    let whole = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, a)| (n, a, true))).expect("three columns");
    let properties = WriterProperties::builder()
        .set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0)
        .set_dictionary_page_size_limit(4_000)
        .set_data_page_row_count_limit(300)
        .set_write_batch_size(50)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, whole.schema(), Some(properties)).expect("a writer");
    writer.write(&whole).expect("rows");
    let footer = writer.close().expect("a footer");
    let encodings: Vec<_> = footer.row_group(0).columns().iter().map(|c| c.encodings().collect::<Vec<_>>()).collect();
    let both = |e: &&Vec<_>| {
        e.contains(&parquet::basic::Encoding::DELTA_BYTE_ARRAY) && e.contains(&parquet::basic::Encoding::RLE_DICTIONARY)
    };
    assert_eq!(encodings.iter().filter(both).count(), 2, "{encodings:?}");
    let source = ParquetSource::open(Arc::new(InMemory::new("x.parquet", bytes))).expect("a Parquet file");
    let predicates =
        vec![crate::expr::parse_predicate("id >= 1500 and id < 4100 or id > 6000 or id = 7").expect("a predicate")];
    let pushed = source.push(&Pushdown { predicates, ..Pushdown::default() }).expect("fits").source;
    let mask: BooleanArray =
        (0..9_000).map(|i| Some(i % 5 > 0 && ((1500..4100).contains(&i) || i > 6000 || i == 7))).collect();
    let expected = arrow::compute::filter_record_batch(&whole, &mask).expect("a filter");
    for (threads, batch_size, limit) in [(1, 65_536, 64 << 20), (1, 100, 3 << 20), (2, 333, 16 << 20), (8, 7, 64 << 20)]
    {
        assert_eq!(
            read(source.clone(), set(threads, threads, batch_size, limit), None),
            whole,
            "{threads} {batch_size}"
        );
        let found = read(pushed.clone(), set(threads, threads, batch_size, limit), None);
        assert_eq!(found, expected, "{threads} {batch_size}");
    }
}

/// `bytes` with the footer that `edit` makes of theirs.
pub(super) fn forged(bytes: &[u8], edit: impl FnOnce(ParquetMetaData) -> ParquetMetaData) -> Vec<u8> {
    let tail = bytes.len() - 8;
    let length = u32::from_le_bytes([bytes[tail], bytes[tail + 1], bytes[tail + 2], bytes[tail + 3]]) as usize;
    let footer = ParquetMetaDataReader::decode_metadata(&bytes[tail - length..tail]).expect("a footer");
    let mut out = bytes[..tail - length].to_vec();
    ParquetMetaDataWriter::new(&mut out, &edit(footer)).finish().expect("a footer");
    out
}

/// The footer, with the rows of its one row group as given.
fn with_rows(footer: ParquetMetaData, rows: i64) -> ParquetMetaData {
    let mut builder = footer.into_builder();
    for group in builder.take_row_groups() {
        builder = builder.add_row_group(group.into_builder().set_num_rows(rows).build().expect("a row group"));
    }
    builder.build()
}

fn written(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("rows");
    writer.close().expect("a footer");
    bytes
}

fn first_error(bytes: Vec<u8>) -> String {
    let source = match ParquetSource::open(Arc::new(InMemory::new("x.parquet", bytes))) {
        Ok(source) => source,
        Err(e) => return e.to_string(),
    };
    let context = Context::new(set(1, 0, 1_000, 64 << 20), || Ok(()));
    let pieces = source.start(None, &context).expect("starts");
    let failed = exchange::rows(pieces, false, &context).find_map(Result::err).expect("an error");
    assert!(matches!(failed, Error::Format(_)), "{failed:?}");
    failed.to_string()
}

#[test]
fn a_column_that_is_longer_or_shorter_than_its_row_group_is_damage() {
    let whole = rows(40);
    let flat = written(&whole.project(&[0]).expect("one column"));
    for found in [39, 41, 0, i64::MAX] {
        let e = first_error(forged(&flat, |footer| with_rows(footer, found)));
        assert!(e.contains("column `id`: 40 values announced for"), "{e}");
    }
    // a list's values do not tell its rows
    let lists = written(&whole.project(&[7]).expect("one column"));
    let e = first_error(forged(&lists, |footer| with_rows(footer, 39)));
    assert!(e.ends_with("column `list`: has more rows than the 39 of its row group"), "{e}");
    let e = first_error(forged(&lists, |footer| with_rows(footer, 41)));
    assert!(e.contains("expected 41 more rows, found 40"), "{e}");
}

#[test]
fn a_dictionary_offset_without_a_dictionary_is_not_followed() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    let whole = RecordBatch::try_from_iter([("n", column)]).expect("one column");
    let mut bytes = Vec::new();
    let plain = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, whole.schema(), Some(plain)).expect("a writer");
    writer.write(&whole).expect("rows");
    writer.close().expect("a footer");
    for offset in [0, 1 << 40, -1] {
        let odd = forged(&bytes, |footer| {
            let mut builder = footer.into_builder();
            for group in builder.take_row_groups() {
                let column = group.column(0).clone().into_builder().set_dictionary_page_offset(Some(offset));
                let group = group.into_builder().set_column_metadata(vec![column.build().expect("a column")]);
                builder = builder.add_row_group(group.build().expect("a row group"));
            }
            builder.build()
        });
        let source = ParquetSource::open(Arc::new(InMemory::new("x.parquet", odd))).expect("a Parquet file");
        assert_eq!(read(source, set(1, 0, 100, 4 << 20), None).num_rows(), 10, "{offset}");
    }
}
