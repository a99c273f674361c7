//! The seeds of the fuzzer, each as it is and damaged in many ways that are the same every time.
//!
//! What the fuzzer looks for with time and luck, this looks for on every commit: no panic, no error but those that
//! damage may give, no allocation beyond the budget.

use std::fs;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::Int32Type;
use batchstream::alloc;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::corpus::{corpus, seeds};
use super::numbers::Numbers;

#[path = "../../fuzz/hostile.rs"]
mod reading;

/// Damaged forms of each seed.
const FORMS: u64 = 100;
/// Bytes that one file may take beyond the budget: the footer, and what a page is decompressed from.
const BESIDE: usize = 4 << 20;

/// Numbers at the edges of what a header or footer can say, as the compact protocol writes them, and plain words.
const EDGES: [&[u8]; 9] = [
    &[0],
    &[1],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xfe, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x08],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0x80, 0x80, 0x04],
];

/// `seed`, damaged in one way.
fn damaged(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut out = seed.to_vec();
    let footer = out.len().saturating_sub(1_500);
    let at = match numbers.below(3) {
        0 => footer + numbers.below(out.len() - footer),
        _ => numbers.below(out.len()),
    };
    match numbers.below(7) {
        0 => out.truncate(at),
        1 => out[at] ^= 1 << numbers.below(8),
        2 => {
            for _ in 0..numbers.below(12) {
                let at = numbers.below(out.len());
                out[at] ^= 1 << numbers.below(8);
            }
        }
        3 => out[at] = numbers.next().to_le_bytes()[0],
        4 => {
            let edge = EDGES[numbers.below(EDGES.len())];
            let end = (at + edge.len()).min(out.len());
            out[at..end].copy_from_slice(&edge[..end - at]);
        }
        5 => drop(out.splice(at..=at, EDGES[numbers.below(EDGES.len())].iter().copied())),
        _ => drop(out.drain(at..(at + 1 + numbers.below(4)).min(out.len()))),
    }
    out
}

/// One test, as what is allocated is counted for the whole program.
#[test]
fn hostile_bytes_give_rows_or_errors_within_the_budget() {
    damaged_seeds();
    pages_of_values_that_share_what_they_begin_with();
    runs_of_levels_and_values_that_take_no_bytes();
    values_that_share_what_they_begin_with();
}

fn damaged_seeds() {
    for (target, read) in [("parquet", reading::file as fn(&[u8]) -> reading::Outcome), ("page", reading::pages)] {
        let seeds = seeds(target);
        assert!(seeds.len() > 5, "{target}");
        for (at, (name, seed)) in seeds.iter().enumerate() {
            let [whole, filtered] = read(seed);
            assert!(whole.as_ref().is_ok_and(|rows| *rows > 0), "{name}: {whole:?}");
            assert!(filtered.is_ok(), "{name}: {filtered:?}");
            let mut numbers = Numbers::new(0x9E37_79B9_7F4A_7C15 ^ (at as u64 + 1));
            for form in 0..FORMS {
                let bytes = damaged(seed, &mut numbers);
                let before = alloc::peak();
                let _ = read(&bytes);
                assert!(alloc::peak() <= before.max(reading::LIMIT + BESIDE), "{name}, form {form}: {}", alloc::peak());
            }
        }
    }
}

fn flat() -> RecordBatch {
    let n = 40_u8;
    let some = |i: u8| !i.is_multiple_of(3);
    let decimals: Decimal128Array = (0..n).map(|i| some(i).then_some(i128::from(i) * 1_000_003)).collect();
    let fixed = FixedSizeBinaryArray::try_from_iter((0..n).map(|i| [b'a' + i % 7; 5])).expect("one width");
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values((0..n).map(i64::from))) as ArrayRef, true),
        ("small", Arc::new((0..n).map(|i| some(i).then_some(i32::from(i % 5))).collect::<Int32Array>()), true),
        ("real", Arc::new(Float64Array::from_iter_values((0..n).map(|i| f64::from(i) / 3.0))), false),
        ("flag", Arc::new((0..n).map(|i| some(i).then_some(i % 2 == 0)).collect::<BooleanArray>()), true),
        ("text", Arc::new((0..n).map(|i| some(i).then(|| format!("text {}", i % 9))).collect::<StringArray>()), true),
        ("fixed", Arc::new(fixed), true),
        ("decimal", Arc::new(decimals.with_precision_and_scale(20, 2).expect("a precision")), true),
    ])
    .expect("columns of one length")
}

fn nested() -> RecordBatch {
    let n = 30;
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..n).map(|i| (i % 4 != 0).then(|| (0..i % 3).map(Some).collect::<Vec<_>>())),
    );
    let text: ArrayRef = Arc::new((0..n).map(|i| (i % 5 != 0).then(|| format!("{i}"))).collect::<StringArray>());
    let group = StructArray::try_from(vec![("lists", Arc::new(lists.clone()) as ArrayRef), ("text", text)]);
    RecordBatch::try_from_iter([
        ("lists", Arc::new(lists) as ArrayRef),
        ("group", Arc::new(group.expect("columns of one length"))),
    ])
    .expect("columns of one length")
}

/// The seeds, as the crate's writer makes them: every encoding and codec that it has, and both kinds of pages.
fn written() -> Vec<(String, Vec<u8>)> {
    let codecs = [
        ("plain", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("gzip", Compression::GZIP(GzipLevel::default())),
        ("brotli", Compression::BROTLI(BrotliLevel::default())),
        ("zstd", Compression::ZSTD(ZstdLevel::default())),
        ("lz4", Compression::LZ4),
        ("lz4-raw", Compression::LZ4_RAW),
    ];
    let base = |version, codec| {
        WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(codec)
            .set_write_batch_size(8)
            .set_data_page_row_count_limit(16)
            .set_statistics_enabled(EnabledStatistics::None)
    };
    let file = |rows: &RecordBatch, properties: WriterProperties| {
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).expect("a writer");
        writer.write(rows).expect("rows");
        writer.close().expect("a footer");
        bytes
    };
    let mut out = Vec::new();
    for (v, version) in [("v1", WriterVersion::PARQUET_1_0), ("v2", WriterVersion::PARQUET_2_0)] {
        for (name, codec) in codecs {
            out.push((format!("flat-dictionary-{name}-{v}"), file(&flat(), base(version, codec).build())));
        }
        for (name, of) in [
            ("delta", ["DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY", "PLAIN"]),
            ("lengths", ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "RLE"]),
            ("split", ["BYTE_STREAM_SPLIT", "PLAIN", "PLAIN"]),
        ] {
            let of = of.map(|name| name.parse::<Encoding>().expect("an encoding"));
            let column = |name: &str| ColumnPath::from(name);
            let properties = base(version, Compression::UNCOMPRESSED)
                .set_dictionary_enabled(false)
                .set_column_encoding(column("id"), of[0])
                .set_column_encoding(column("small"), of[0])
                .set_column_encoding(column("text"), of[1])
                .set_column_encoding(column("flag"), of[2]);
            out.push((format!("flat-{name}-{v}"), file(&flat(), properties.build())));
        }
        for (name, codec) in [codecs[0], codecs[1]] {
            out.push((format!("nested-{name}-{v}"), file(&nested(), base(version, codec).build())));
        }
    }
    let indexed = base(WriterVersion::PARQUET_1_0, Compression::SNAPPY)
        .set_max_row_group_row_count(Some(20))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_bloom_filter_enabled(true)
        .set_bloom_filter_max_ndv(20);
    out.push(("flat-indexed".to_owned(), file(&flat().project(&[0, 4]).expect("two columns"), indexed.build())));
    out
}

/// They take next to nothing in a file, and everything once they are decoded, so they are counted before.
fn values_that_share_what_they_begin_with() {
    let long = "x".repeat(1 << 20);
    let rows = StringArray::from_iter_values((0..64).map(|_| &long));
    let rows = RecordBatch::try_from_iter([("text", Arc::new(rows) as ArrayRef)]).expect("one column");
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_encoding(Encoding::DELTA_BYTE_ARRAY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).expect("a writer");
    writer.write(&rows).expect("rows");
    writer.close().expect("a footer");
    let [whole, _] = reading::file(&bytes);
    let e = whole.expect_err("64 MiB");
    assert!(e.starts_with("x.parquet: row group 0: column `text`: parquet pages needs 12"), "{e}");
}

/// Reads a small file that stands for more than there is room for: told in time, and nothing is allocated for it.
fn beyond_the_budget(name: &str, bytes: &[u8]) {
    let before = alloc::peak();
    for outcome in reading::file(bytes) {
        let e = outcome.expect_err(name);
        assert!(e.starts_with("x.parquet: row group 0: column `a`: parquet pages needs "), "{name}: {e}");
    }
    assert!(alloc::peak() <= before.max(reading::LIMIT + BESIDE), "{name}: {}", alloc::peak());
}

/// Reads a small file that stands for more than there is room for at once: some rows at a time, all of it.
fn within_the_budget(name: &str, bytes: &[u8], rows: usize) {
    let before = alloc::peak();
    let found = reading::file(bytes);
    assert!(found.iter().all(|found| *found == Ok(rows)), "{name}: {found:?}");
    assert!(alloc::peak() <= before.max(reading::LIMIT + BESIDE), "{name}: {}", alloc::peak());
}

/// Each page alone has room, those of a window do not.
fn pages_of_values_that_share_what_they_begin_with() {
    let rows = StringArray::from_iter_values((0..32).map(|_| "x".repeat(1 << 14)));
    let rows = RecordBatch::try_from_iter([("a", Arc::new(rows) as ArrayRef)]).expect("one column");
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_encoding(Encoding::DELTA_BYTE_ARRAY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties)).expect("a writer");
    writer.write(&rows).expect("rows");
    let (start, len) = writer.close().expect("a footer").row_group(0).column(0).byte_range();
    let page = &bytes[usize::try_from(start).expect("small")..][..usize::try_from(len).expect("small")];
    let text = "message m { required binary a (UTF8); }";
    let of = |pages: usize| {
        let rows = 32 * i64::try_from(pages).expect("few");
        reading::around(&page.repeat(pages), text, Compression::UNCOMPRESSED, [rows, rows])
    };
    let few = reading::file(&of(1));
    assert!(few.iter().all(|rows| *rows == Ok(32)), "{few:?}");
    within_the_budget("60 pages", &of(60), 60 * 32);
}

/// A number as the compact protocol writes it, with a sign.
fn zigzag(n: i64) -> Vec<u8> {
    varint((n << 1 ^ n >> 63).cast_unsigned())
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n.to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    out.push(n.to_le_bytes()[0]);
    out
}

/// A page of kind `kind` whose own struct is field `field` with `numbers`.
fn page(kind: i64, field: u8, numbers: &[i64], body: &[u8]) -> Vec<u8> {
    let size = i64::try_from(body.len()).expect("small");
    let number = |n: &i64| [vec![0x15], zigzag(*n)].concat();
    let sizes: Vec<u8> = [kind, size, size].iter().flat_map(number).collect();
    let inner: Vec<u8> = numbers.iter().flat_map(number).collect();
    [&sizes[..], &[(field - 3) << 4 | 0x0c], &inner, &[0, 0], body].concat()
}

/// A dictionary of one value, and a page of `values` values that all are this one: runs of levels, and a run of indices. Where
/// values repeat, in `rows` rows, the first row has all but one of each other.
fn one_value(dictionary: &[u8], [rows, values]: [i64; 2], repetition: bool, definition: Option<u8>) -> Vec<u8> {
    let run = |n: i64, value: u8| [varint(n.cast_unsigned() << 1), vec![value]].concat();
    let levels = |runs: Vec<u8>| [&u32::try_from(runs.len()).expect("short").to_le_bytes()[..], &runs].concat();
    let mut body = Vec::new();
    if repetition {
        body.extend(levels([run(1, 0), run(values - rows, 1), run(rows - 1, 0)].concat()));
    }
    if let Some(level) = definition {
        body.extend(levels(run(values, level)));
    }
    body.extend([vec![1], run(values, 0)].concat());
    [page(2, 7, &[1, 0], dictionary), page(0, 5, &[values, 8, 3, 3], &body)].concat()
}

/// Ten bytes of levels stand for a row of 2³¹ values, and a run of indices for as many values of any length.
fn runs_of_levels_and_values_that_take_no_bytes() {
    let numbers = "message m { optional group a (LIST) { repeated group list { optional int32 element; } } }";
    let texts = "message m { optional group a (LIST) { repeated group list { optional binary element (UTF8); } } }";
    let around = |body: &[u8], text: &str, counts| {
        let bytes = reading::around(body, text, Compression::UNCOMPRESSED, counts);
        assert!(bytes.len() < 2 << 20, "a small file");
        bytes
    };
    let int = 7_i32.to_le_bytes();
    let list = |counts| around(&one_value(&int, counts, true, Some(3)), numbers, counts);
    assert!(reading::file(&list([1, 100_000])).iter().all(|rows| *rows == Ok(1)));
    within_the_budget("500 rows", &list([500, 100_000]), 500);
    let most = i64::from(i32::MAX);
    for counts in [[1_000, 1_000_000], [1_000, 50_000_000], [100_000_000, 200_000_000], [most / 2, most]] {
        beyond_the_budget(&format!("{counts:?} numbers"), &list(counts));
    }
    let [whole, _] = reading::file(&list([1, most]));
    assert!(whole.is_err_and(|e| e.contains("limit is 4 MiB")), "what the footer says of a row is enough to know");
    let long = [&(1_u32 << 16).to_le_bytes()[..], &vec![b'x'; 1 << 16]].concat();
    let list = |counts| around(&one_value(&long, counts, true, Some(3)), texts, counts);
    assert!(reading::file(&list([1, 4])).iter().all(|rows| *rows == Ok(1)));
    beyond_the_budget("text", &list([1, 800]));
    // values of a fixed length: the crate makes room for a window of them before it looks at any
    let fixed = "message m { required fixed_len_byte_array(1048576) a; }";
    let file = |rows| around(&one_value(&vec![b'x'; 1 << 20], [rows, rows], false, None), fixed, [rows, rows]);
    let before = alloc::peak();
    for rows in [1, 900] {
        within_the_budget("fixed", &file(i64::try_from(rows).expect("few")), rows);
    }
    let fixed = "message m { optional fixed_len_byte_array(2147483647) a; }";
    let nulls = page(0, 5, &[100, 0, 3, 3], &[&[3, 0, 0, 0][..], &varint(200), &[0]].concat());
    for outcome in reading::file(&around(&nulls, fixed, [100, 100])) {
        assert!(outcome.is_err_and(|e| e.contains("limit is 4 MiB")), "a row alone is too much");
    }
    assert!(alloc::peak() <= before.max(reading::LIMIT + BESIDE), "{}", alloc::peak());
}

/// Column chunks of `file`, as `reading::pages` takes them: type, codec and number of rows come first.
fn chunks(file: &[u8], codec: u8) -> Vec<(String, Vec<u8>)> {
    let footer = ParquetMetaDataReader::new().parse_and_finish(&Bytes::copy_from_slice(file)).expect("a footer");
    let group = footer.row_group(0);
    let rows = group.num_rows().to_le_bytes()[0];
    let known = [("id", 0), ("text", 1), ("small", 2), ("flag", 3), ("real", 4), ("fixed", 5), ("lists", 7)];
    let columns = group.columns().iter().filter_map(|column| {
        let name = column.column_path().parts().first()?.clone();
        let (_, kind) = known.into_iter().find(|known| known.0 == name)?;
        let (start, len) = column.byte_range();
        let (start, len) = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
        Some((name, [&[codec * 8 + kind, rows], &file[start..start + len]].concat()))
    });
    columns.collect()
}

/// How the corpus was made; it overwrites the files that it makes.
#[test]
#[ignore = "writes files into the source tree"]
fn the_seeds_are_written_anew() {
    for (name, bytes) in written() {
        fs::write(corpus("parquet").join(format!("{name}.parquet")), &bytes).expect("a file");
        let codec = match name.as_str() {
            "flat-dictionary-plain-v1" | "flat-delta-v2" | "flat-lengths-v1" | "flat-split-v2" | "nested-plain-v1" => 0,
            "flat-dictionary-snappy-v2" => 1,
            _ => continue,
        };
        for (column, bytes) in chunks(&bytes, codec) {
            fs::write(corpus("page").join(format!("{column}-{name}")), bytes).expect("a file");
        }
    }
}
