//! What is pruned never changes an answer, and something is.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int8Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::OffsetIndexBuilder;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use super::super::ParquetSource;
use super::super::tests::{forged, rows, set};
use super::*;
use crate::context::Context;
use crate::error::Error;
use crate::expr::{mask, parse_predicate, resolve_predicate};
use crate::options::Options;
use crate::piece::{Pushdown, Source};
use crate::source::read_at::InMemory;
use crate::stage::exchange;

fn properties(group: usize) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_data_page_row_count_limit(2_000)
        .set_write_batch_size(500)
}

fn written(rows: &RecordBatch, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties.build())).expect("a writer");
    writer.write(rows).expect("rows");
    writer.close().expect("a footer");
    bytes
}

fn opened(bytes: Vec<u8>) -> Arc<ParquetSource> {
    ParquetSource::open(Arc::new(InMemory::new("x.parquet", bytes))).expect("a Parquet file")
}

/// The rows of `source` that `text` keeps, and the reader's figures.
fn read(source: &ParquetSource, text: &str, options: Options) -> Result<(RecordBatch, HashMap<String, u64>)> {
    let wish = Pushdown { predicates: vec![parse_predicate(text)?], ..Pushdown::default() };
    let pushed = source.push(&wish)?;
    assert_eq!(pushed.exact, [true], "{text}");
    let context = Context::new(options.check()?, || Ok(()));
    let schema = pushed.source.schema();
    let pieces = pushed.source.start(None, &context)?;
    let mut batches = Vec::new();
    for held in exchange::rows(pieces, false, &context) {
        batches.push(held?.batch);
    }
    assert_eq!(context.memory.held(), 0, "all leases are back");
    let counters = context.stats.stage("parquet reader");
    let figures = counters.extra.lock().expect("no panic").iter().cloned().collect();
    Ok((concat_batches(&schema, &batches)?, figures))
}

fn kept(rows: &RecordBatch, text: &str) -> RecordBatch {
    let typed = resolve_predicate(&parse_predicate(text).expect("parses"), &rows.schema()).expect("fits");
    filter_record_batch(rows, &mask::mask(&[typed], rows).expect("evaluates")).expect("a filter")
}

/// Reads in several ways, compares, and gives the figures.
fn pruned(rows: &RecordBatch, source: &ParquetSource, text: &str) -> HashMap<String, u64> {
    let expected = kept(rows, text);
    let mut figures = None;
    for (threads, batch_size, limit) in [(1, 65_536, 64 << 20), (2, 700, 64 << 20), (8, 3_000, 8 << 20)] {
        let (found, counted) = read(source, text, set(threads, threads, batch_size, limit)).expect("reads");
        assert_eq!(found, expected, "{text} {threads} {batch_size} {limit}");
        assert_eq!(figures.get_or_insert_with(|| counted.clone()), &counted, "{text}: the same for every crew");
    }
    figures.expect("read at least once")
}

#[test]
fn pages_that_bounds_rule_out_are_not_read() {
    let whole = rows(30_000);
    for group in [30_000, 11_000] {
        let source = opened(written(&whole, properties(group)));
        for (text, least, most) in [
            ("id >= 9500 and id < 10200", 26_000, 29_000),
            ("id = 4000 or id between 15000 and 15010 or id > 29000", 20_000, 27_000),
            ("id >= 9500 and real < 3200", 26_000, 29_000),
            ("small in (3, 20000)", 24_000, 29_000),
            ("id < 100 or id >= 29900", 24_000, 29_000),
        ] {
            let figures = pruned(&whole, &source, text);
            let out = figures["rows pruned"];
            assert!((least..=most).contains(&out), "{text}: {out} rows pruned");
            assert!(
                figures["pages pruned"] + figures["row groups pruned"] > 0 && figures["bytes pruned"] > 0,
                "{text}"
            );
        }
    }
}

#[test]
fn ranges_of_rows_go_through_windows_of_every_size() {
    // every third page of 2,000 rows is kept, so that each window has gaps within
    let whole = rows(30_000);
    let mark: Int64Array = (0..30_000).map(|i| if (i / 2_000) % 3 == 1 { i % 7 } else { 100 }).collect();
    let mut columns: Vec<(String, ArrayRef)> =
        whole.schema().fields().iter().map(|f| f.name().clone()).zip(whole.columns().iter().cloned()).collect();
    columns.push(("mark".into(), Arc::new(mark)));
    let whole = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).expect("one");
    let source = opened(written(&whole, properties(30_000)));
    for text in ["mark < 50", "mark = 3", "mark < 50 and text = 'text 3'", "mark = 3 and id > 9000 and flag"] {
        let figures = pruned(&whole, &source, text);
        assert!(figures["rows pruned"] >= 20_000, "{text} {figures:?}");
        for batch_size in [1, 64, 1_999, 2_000, 2_001] {
            let found = read(&source, text, set(2, 2, batch_size, 64 << 20)).expect("reads").0;
            assert_eq!(found, kept(&whole, text), "{text} {batch_size}");
        }
    }
}

#[test]
fn a_pruned_run_goes_on_at_any_place() {
    let whole = rows(30_000);
    let text = "id between 3000 and 9000 or id between 15000 and 21000";
    let wish = Pushdown { predicates: vec![parse_predicate(text).expect("parses")], ..Pushdown::default() };
    let source = opened(written(&whole, properties(17_000))).push(&wish).expect("fits").source;
    let context = Context::new(set(2, 2, 1_000, 2 << 20), || Ok(()));
    let pieces = source.clone().start(None, &context).expect("starts");
    let mut places = Vec::new();
    while let Some(piece) = pieces.next(&context).expect("lists") {
        places.push(piece.place);
    }
    assert!(places.len() > 3, "{places:?}");
    for place in places {
        let context = Context::new(set(2, 2, 1_000, 2 << 20), || Ok(()));
        let pieces = source.clone().start(Some(&place), &context).expect("starts");
        let batches: Vec<_> = exchange::rows(pieces, false, &context).map(|h| h.expect("reads").batch).collect();
        let before = u64::from(place.part) * 17_000 + place.start;
        let rest = whole.slice(before as usize, 30_000 - before as usize);
        assert_eq!(concat_batches(&whole.schema(), &batches).expect("one schema"), kept(&rest, text), "{place:?}");
    }
}

/// Columns of all types that a filter is asked about; every value is even.
fn evens(n: i64) -> RecordBatch {
    let even = |i: i64| (i * 7_919 % n) * 2;
    let values = || (0..n).map(even);
    let nullable = (0..n).map(|i| (i % 10 != 0).then(|| even(i)));
    let bytes: Vec<[u8; 8]> = values().map(i64::to_be_bytes).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("long", Arc::new(Int64Array::from_iter_values(values())) as ArrayRef, true),
        ("some", Arc::new(nullable.collect::<Int64Array>()), true),
        ("tiny", Arc::new(Int8Array::from_iter_values(values().map(|v| (v % 128) as i8 - 64))), true),
        ("short", Arc::new(UInt16Array::from_iter_values(values().map(|v| 65_534 - v as u16))), true),
        ("word", Arc::new(UInt32Array::from_iter_values(values().map(|v| u32::MAX - 1 - v as u32))), true),
        ("wide", Arc::new(UInt64Array::from_iter_values(values().map(|v| u64::MAX - 1 - v as u64))), true),
        ("text", Arc::new(StringArray::from_iter_values(values().map(|v| format!("{v:06}")))), true),
        ("bytes", Arc::new(BinaryArray::from_iter_values(bytes.iter())), true),
        ("fixed", Arc::new(FixedSizeBinaryArray::try_from_iter(bytes.iter()).expect("8 bytes")), true),
        ("day", Arc::new(Date32Array::from_iter_values(values().map(|v| v as i32))), true),
        ("time", Arc::new(TimestampMicrosecondArray::from_iter_values(values().map(|v| v * 1_000_000))), true),
        (
            "money",
            Arc::new(
                Decimal128Array::from_iter_values(values().map(|v| i128::from(v) - 500))
                    .with_precision_and_scale(30, 2)
                    .expect("30 digits"),
            ),
            true,
        ),
        ("real", Arc::new(Float64Array::from_iter_values(values().map(|v| v as f64))), true),
    ])
    .expect("columns of one length")
}

#[test]
fn a_filter_without_the_value_rules_its_row_groups_out() {
    let whole = evens(3_000);
    let plain = properties(1_000).set_dictionary_enabled(false).set_bloom_filter_enabled(true);
    let source = opened(written(&whole, plain));
    for (there, missing) in [
        ("long = 2000", "long = 2001"),
        ("some = 2002", "some = 2001"),
        ("some in (2001, 2002, null)", "some in (2001, 2003, null)"),
        ("tiny = 2", "tiny = 3"),
        ("short = 60000", "short = 60001"),
        ("word = 4294967000", "word = 4294966999"),
        ("wide = 18446744073709551000", "wide = 18446744073709550999"),
        ("text = '002000'", "text = '002001'"),
        ("text = '002000' or text = '002001'", "text = '002003' or text = '002001'"),
        ("day = '1970-01-11'", "day = '1970-01-12'"),
        ("time = '1970-01-01 00:00:10'", "time = '1970-01-01 00:00:11'"),
        ("money = 1.5", "money > 0 and text = '002001'"),
        ("long = 2000 and text = '002000'", "long = 2000 and text = '002001'"),
    ] {
        pruned(&whole, &source, there);
        let figures = pruned(&whole, &source, missing);
        assert!(figures["row groups pruned"] >= 2, "{missing} {figures:?}");
        assert!(figures["rows pruned"] >= 2_000, "{missing} {figures:?}");
    }
    let shown = |text: &str| {
        let wish = Pushdown { predicates: vec![parse_predicate(text).expect("parses")], ..Pushdown::default() };
        source.push(&wish).expect("fits").source.explain()
    };
    assert!(shown("long = 2001")[2].starts_with("pruned by statistics, page index, bloom filter: "));
    assert!(shown("long > 2001")[2].starts_with("pruned by statistics, page index: "));
}

#[test]
fn every_value_is_found_through_its_filter() {
    let whole = evens(400);
    let source = opened(written(&whole, properties(100).set_dictionary_enabled(false).set_bloom_filter_enabled(true)));
    let columns =
        ["long", "some", "tiny", "short", "word", "wide", "text", "bytes", "fixed", "day", "time", "money", "real"];
    for row in 0..40 {
        for name in columns {
            let column = whole.column_by_name(name).expect("is there");
            let Some(value) = Literal::of_row(column, row).filter(|v| *v != Literal::Null) else { continue };
            let predicate = Expr::col(name).binary(Operator::Eq, Expr::Literal(value.clone()));
            let typed = resolve_predicate(&predicate, &whole.schema()).expect("fits");
            let expected = mask::mask(&[typed], &whole).expect("evaluates").true_count();
            assert!(expected > 0);
            let pushed = source.push(&Pushdown { predicates: vec![predicate], ..Pushdown::default() }).expect("fits");
            let context = Context::new(set(1, 0, 1_000, 64 << 20), || Ok(()));
            let pieces = pushed.source.start(None, &context).expect("starts");
            let found: usize =
                exchange::rows(pieces, false, &context).map(|held| held.expect("reads").batch.num_rows()).sum();
            assert_eq!(found, expected, "{name} {value:?}");
        }
    }
}

#[test]
fn a_dictionary_without_a_value_that_is_kept_rules_its_row_group_out() {
    let code = |i: i64| format!("code {:03}", i * 7 % 50 * 2 + 100 * (i / 4_000));
    let cents = DataType::Decimal128(30, 2);
    let whole = RecordBatch::try_from_iter_with_nullable([
        ("code", Arc::new(StringArray::from_iter_values((0..12_000).map(code))) as ArrayRef, true),
        ("few", Arc::new((0..12_000).map(|i| (i % 9 != 0).then_some(i % 40 * 2)).collect::<Int64Array>()), true),
        ("real", Arc::new(Float64Array::from_iter_values((0..12_000).map(|i| f64::from(i % 10)))), true),
        ("small", Arc::new(UInt16Array::from_iter_values((0..12_000).map(|i| i % 40 * 2))), true),
        (
            "cents",
            Arc::new(Decimal128Array::from_iter_values((0..12_000).map(|i| i % 40 * 2)).with_data_type(cents)),
            true,
        ),
        ("id", Arc::new(Int64Array::from_iter_values(0..12_000)), true),
    ])
    .expect("columns of one length");
    let source = opened(written(&whole, properties(4_000)));
    for (text, least) in [
        ("code = 'code 151'", 3),
        ("code = 'code 150'", 2),
        ("code in ('code 033', 'code 133')", 3),
        ("code like '%51'", 3),
        ("code like 'code 2%' and code like '%52'", 2),
        ("few = 41", 3),
        ("few = 41 or few is null", 0),
        ("few = 40", 0),
        ("real = 2.5", 3),
        ("small = 41", 3),
        ("small = 40", 0),
        ("cents = 0.41", 3),
        ("cents = 0.40", 0),
        ("code = 'code 150' and few = 41", 3),
        ("few in (41, 43) and id > 5000", 3),
    ] {
        let figures = pruned(&whole, &source, text);
        assert!(figures["row groups pruned"] >= least, "{text} {figures:?}");
    }
}

#[test]
fn a_dictionary_that_pages_do_not_keep_to_rules_nothing_out() {
    // the dictionary is given up after the first page
    let text: Vec<String> = (0..6_000).map(|i| if i < 2_000 { "same".into() } else { format!("own {i:04}") }).collect();
    let whole = RecordBatch::try_from_iter_with_nullable([("s", Arc::new(StringArray::from(text)) as ArrayRef, true)])
        .expect("one column");
    let source = opened(written(&whole, properties(6_000).set_dictionary_page_size_limit(1_000)));
    let figures = pruned(&whole, &source, "s like '%wn 5999'");
    assert_eq!(figures["row groups pruned"], 0);
}

#[test]
fn what_was_asked_in_vain_too_often_is_not_asked_again() {
    let whole = evens(4_000);
    let properties = properties(100).set_dictionary_enabled(false).set_bloom_filter_enabled(true);
    // the first 8 row groups have the value, so nobody asks the other 32
    let same: Int64Array = (0..4_000).map(|i| if i < 800 { 5 } else { i % 2 * 10 }).collect();
    let whole = RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(same) as ArrayRef, true),
        ("m", whole.column(0).clone(), true),
    ])
    .expect("two");
    let source = opened(written(&whole, properties));
    assert_eq!(pruned(&whole, &source, "n = 5")["row groups pruned"], 0);
}

#[test]
fn an_index_that_contradicts_itself_is_not_used() {
    let whole = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..100)) as ArrayRef)])
        .expect("one column");
    let source = opened(written(&whole, properties(100)));
    let column = source.layout.footer().row_group(0).column(0);
    let (start, length) = column.byte_range();
    let start = i64::try_from(start).expect("small");
    let length = i32::try_from(length).expect("small");
    let places = |pages: &[(i64, i32, i64)]| {
        let mut builder = OffsetIndexBuilder::new();
        let mut next = pages.iter().map(|p| p.2).skip(1).chain([100]);
        for (offset, size, row) in pages {
            builder.append_offset_and_size(*offset, *size);
            builder.append_row_count(next.next().expect("one a page") - row);
        }
        pages::places(&builder.build(), column, 100)
    };
    assert_eq!(places(&[(start, 5, 0), (start + 5, 5, 40)]), Some((vec![0, 40, 100], vec![5, 5])));
    for bad in [
        &[][..],
        &[(start, 5, 0), (start + 4, 5, 40)],
        &[(start, 5, 0), (start + 5, 5, 0)],
        &[(start, 5, 0), (start + 5, 5, 60), (start + 10, 5, 40)],
        &[(start, 5, 0), (start + 5, length, 40)],
        &[(start, 5, 0), (start + 5, 0, 40)],
        &[(start, 5, 0), (start + 5, -1, 40)],
        &[(start - 1, 5, 0), (start + 5, 5, 40)],
        &[(-1, 5, 0), (start + 5, 5, 40)],
        &[(start, 5, 0), (i64::MAX, 5, 40)],
        &[(start, 5, 0), (start + 5, 5, 100)],
        &[(start, 5, 0), (start + 5, 5, 1 << 40)],
    ] {
        assert_eq!(places(bad), None, "{bad:?}");
    }
}

#[test]
fn damage_in_an_index_or_filter_makes_up_no_row_and_never_panics() {
    let whole = rows(6_000);
    let expected = kept(&whole, "id between 2500 and 2600 and text = 'text 3'");
    let properties = properties(3_000).set_bloom_filter_enabled(true);
    let bytes = written(&whole, properties);
    let source = opened(bytes.clone());
    let mut spans: Vec<Range<u64>> = Vec::new();
    for group in source.layout.footer().row_groups() {
        for leaf in [0, 4] {
            let column = group.column(leaf);
            spans.extend([column.column_index_range(), column.offset_index_range()].into_iter().flatten());
            let filter = u64::try_from(column.bloom_filter_offset().expect("a filter")).expect("in the file");
            spans.push(filter..filter + 20);
        }
    }
    for at in spans.into_iter().flatten() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[usize::try_from(at).expect("in the file")] ^= flip;
            match read(&opened(bytes), "id between 2500 and 2600 and text = 'text 3'", set(1, 0, 65_536, 16 << 20)) {
                Ok((found, _)) => {
                    // bounds that are wrong can hide rows, but what is there is right
                    assert!(found.num_rows() <= expected.num_rows(), "{at} {flip}");
                    assert!(found.num_rows() < expected.num_rows() || found == expected, "{at} {flip}");
                }
                Err(e) => assert!(matches!(e, Error::Format(_)), "{at} {flip} {e:?}"),
            }
        }
    }
}

#[test]
fn forged_sizes_of_an_index_allocate_nothing() {
    let whole = rows(6_000);
    let bytes = written(&whole, properties(3_000).set_bloom_filter_enabled(true));
    let text = "id between 2500 and 2600 and text = 'text 3'";
    let expected = kept(&whole, text);
    for (offset, length) in [(4, i32::MAX), (4, -1), (-1, 100), (i64::MAX, i32::MAX), (1 << 40, 1_000), (4, 5_000)] {
        let odd = forged(&bytes, |footer| {
            let mut builder = footer.into_builder();
            for group in builder.take_row_groups() {
                let columns = group.columns().iter().map(|column| {
                    let odd = column.clone().into_builder();
                    let odd = odd.set_column_index_offset(Some(offset)).set_column_index_length(Some(length));
                    let odd = odd.set_offset_index_offset(Some(offset)).set_offset_index_length(Some(length));
                    let odd = odd.set_bloom_filter_offset(Some(offset)).set_bloom_filter_length(Some(length));
                    odd.build().expect("a column")
                });
                let group = group.clone().into_builder().set_column_metadata(columns.collect());
                builder = builder.add_row_group(group.build().expect("a row group"));
            }
            builder.build()
        });
        let (found, figures) = read(&opened(odd), text, set(1, 0, 65_536, 16 << 20)).expect("reads");
        assert_eq!((found, figures["pages pruned"]), (expected.clone(), 0), "{offset} {length}");
    }
}

#[test]
fn ranges_meet_and_join() {
    assert_eq!(intersection(&[0..10, 20..30, 40..50], &[5..25, 29..30, 45..60]), [5..10, 20..25, 29..30, 45..50]);
    assert_eq!(intersection(&[0..10, 20..30], &[]), []);
    assert_eq!(joined(vec![0..10, 20..30, 2_000..3_000, 4_000..5_000]), [0..30, 2_000..3_000, 4_000..5_000]);
    assert_eq!(joined(vec![0..10, 500..600, 700..701, 9_000..9_001]), [0..701, 9_000..9_001]);
}
