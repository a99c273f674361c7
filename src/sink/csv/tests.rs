//! Text written here, byte by byte, and read by another reader.

use std::io::Read;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{Field, Int8Type, Schema};
use arrow::record_batch::RecordBatch;

use super::*;
use crate::batch;
use crate::options::Options;
use crate::piece::Ordinal;
use crate::sink::Mode;

fn write(path: &Path, batches: &[RecordBatch], options: &CsvSinkOptions) -> Result<Written> {
    let context = Context::new(Options::default(), || Ok(()));
    let output = Output::open(path, Mode::Overwrite)?;
    let sink = CsvSink::new(output, batches[0].schema_ref(), options)?;
    for batch in batches {
        let lease = context.memory.holder("test", None).lease(batch::bytes_held(batch))?;
        let lines = sink.prepare(Held { batch: batch.clone(), first: Ordinal::default(), lease }, &context)?;
        let bytes: usize = lines.blocks.iter().map(Vec::capacity).sum();
        assert!(bytes <= lines.lease.bytes(), "{bytes} > {}", lines.lease.bytes());
        sink.absorb(lines, &context)?;
    }
    let written = sink.finish(&context)?;
    drop(sink);
    assert_eq!(context.memory.held(), 0, "all leases are back");
    Ok(written)
}

fn text_of(batches: &[RecordBatch], options: &CsvSinkOptions) -> Result<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.csv");
    let written = write(&path, batches, options)?;
    let text = std::fs::read_to_string(path).expect("text");
    assert_eq!(written.bytes, text.len() as u64);
    Ok(text)
}

fn one(array: impl Array + 'static) -> RecordBatch {
    let field = Field::new("x", array.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(array)]).expect("one column")
}

fn lines_of(array: impl Array + 'static) -> Vec<String> {
    let text = text_of(&[one(array)], &CsvSinkOptions::default()).expect("written");
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn every_type_has_its_text() {
    assert_eq!(lines_of(BooleanArray::from(vec![Some(true), Some(false), None])), ["true", "false", ""]);
    let ints = [i64::MIN, -100, -1, 0, 9, 10, 99, 100, 12345, i64::MAX];
    assert_eq!(lines_of(Int64Array::from_iter_values(ints)), ints.map(|i| i.to_string()));
    assert_eq!(lines_of(UInt64Array::from(vec![0, u64::MAX])), ["0", "18446744073709551615"]);
    assert_eq!(lines_of(Int8Array::from(vec![i8::MIN, 5])), ["-128", "5"]);
    let floats = vec![1.0, -0.0, 0.1, 1e300, 5e-324, f64::MIN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let back = lines_of(Float64Array::from(floats.clone()));
    assert_eq!(back[..3], ["1.0", "-0.0", "0.1"]);
    assert_eq!(back[6..], ["nan", "inf", "-inf"]);
    for (text, float) in back.iter().zip(floats) {
        let read: f64 = text.parse().expect("a number");
        assert_eq!(
            read.to_bits() & !(1 << 63) | u64::from(read.is_sign_negative()) << 63,
            if float.is_nan() { f64::NAN.to_bits() } else { float.to_bits() }
        );
    }
    assert_eq!(lines_of(Float32Array::from(vec![0.1, 16_777_216.0])), ["0.1", "16777216.0"]);
    assert_eq!(lines_of(Date32Array::from(vec![19_731])), ["2024-01-09"]);
    assert_eq!(lines_of(Date64Array::from(vec![86_400_000, -1])), ["1970-01-02", "1969-12-31 23:59:59.999"]);
    assert_eq!(lines_of(TimestampMicrosecondArray::from(vec![1_500_000])), ["1970-01-01 00:00:01.500000"]);
    assert_eq!(
        lines_of(TimestampSecondArray::from(vec![0]).with_timezone("Asia/Tokyo")),
        ["1970-01-01 09:00:00+09:00"]
    );
    assert_eq!(lines_of(Time32SecondArray::from(vec![3661])), ["01:01:01"]);
    assert_eq!(lines_of(DurationSecondArray::from(vec![-360_000])), ["-100:00:00"]);
    assert_eq!(lines_of(NullArray::new(2)), ["", ""]);
    let decimals = |values: Vec<i128>, scale| {
        lines_of(Decimal128Array::from(values).with_precision_and_scale(38, scale).expect("fits"))
    };
    assert_eq!(decimals(vec![0, 5, -5, 12345, -100], 2), ["0.00", "0.05", "-0.05", "123.45", "-1.00"]);
    assert_eq!(decimals(vec![7, -7, 0], 0), ["7", "-7", "0"]);
    assert_eq!(decimals(vec![7, 0], -2), ["700", "0"]);
    let wide = Decimal256Array::from(vec![arrow::datatypes::i256::from_i128(-12345)]);
    assert_eq!(lines_of(wide.with_precision_and_scale(76, 3).expect("fits")), ["-12.345"]);
}

#[test]
fn text_is_quoted_where_it_must_be() {
    let values =
        [Some("plain"), Some(""), None, Some("a,b"), Some("say \"hi\""), Some("two\nlines"), Some("\r"), Some(" ü ")];
    let want = "x\nplain\n\"\"\n\n\"a,b\"\n\"say \"\"hi\"\"\"\n\"two\nlines\"\n\"\r\"\n ü \n";
    let dictionary: DictionaryArray<Int8Type> = values.into_iter().collect();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(values.to_vec())),
        Arc::new(LargeStringArray::from(values.to_vec())),
        Arc::new(StringViewArray::from(values.to_vec())),
        Arc::new(dictionary),
    ];
    for array in arrays {
        assert_eq!(text_of(&[one(array)], &CsvSinkOptions::default()).expect("written"), want);
    }
}

/// How a text is written, a character at a time.
fn quoted(text: Option<&str>, null: &str) -> String {
    match text {
        None => null.to_owned(),
        Some(text) if text.is_empty() || text == null || text.contains([',', '"', '\n', '\r', '\0']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.to_owned(),
    }
}

#[test]
fn texts_of_every_length_are_written_alike_in_every_array() {
    let mut texts = Vec::new();
    for len in 0..70usize {
        let plain: String = "abcdefghij\tü".chars().cycle().take(len).collect();
        texts.push(Some(plain.clone()));
        for (i, special) in [",", "\"", "\n", "\r", "\0", "\"\"", "\u{1}", "\u{1f}"].into_iter().enumerate() {
            for at in [0, len / 2, len] {
                let split = plain.char_indices().map(|(at, _)| at).chain([plain.len()]).nth(at).unwrap_or(plain.len());
                texts.push(Some(format!("{}{special}{}", &plain[..split], &plain[split..])));
            }
            texts.push((i % 2 == 0).then(|| plain.repeat(1 + i * 100)));
        }
        texts.push(None);
    }
    let keys = Int16Array::from_iter_values((0..texts.len()).map(|i| i16::try_from(i).expect("small")));
    let dictionary = DictionaryArray::new(keys, Arc::new(StringArray::from(texts.clone())));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(LargeStringArray::from(texts.clone())),
        Arc::new(texts.iter().map(Option::as_deref).collect::<StringViewArray>()),
        Arc::new(dictionary.slice(0, 9)),
        Arc::new(dictionary),
    ];
    let numbers = |rows: usize| Arc::new(Int64Array::from_iter_values((0i64..).take(rows)));
    let long = "no value ".repeat(9);
    for null in ["", "NA", "abcdefghij", &long] {
        let options = CsvSinkOptions { null_value: null.into(), header: false, ..CsvSinkOptions::default() };
        for array in &arrays {
            let columns = [("x", array.clone()), ("n", numbers(array.len())), ("y", array.clone())];
            let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).expect("columns");
            let line = |(i, text): (usize, &Option<String>)| {
                let text = quoted(text.as_deref(), null);
                format!("{text},{i},{text}\n")
            };
            let want: String = texts.iter().take(array.len()).enumerate().map(line).collect();
            assert_eq!(text_of(&[batch], &options).expect("written"), want);
        }
    }
}

#[test]
fn only_the_values_in_use_of_a_dictionary_count() {
    let options = CsvSinkOptions { quote_char: None, ..CsvSinkOptions::default() };
    let values = StringArray::from(vec!["a", "b,", "c"]);
    let dictionary = |keys: Vec<Option<i8>>| DictionaryArray::new(Int8Array::from(keys), Arc::new(values.clone()));
    for rows in [1, 2, 5] {
        let used = dictionary([Some(0), Some(2), None].into_iter().cycle().take(rows).collect());
        let want: String = ["a\n", "c\n", "\n"].into_iter().cycle().take(rows).collect();
        assert_eq!(text_of(&[one(used)], &options).expect("written"), format!("x\n{want}"));
        let bad = dictionary([Some(1)].into_iter().cycle().take(rows).collect());
        let e = text_of(&[one(bad)], &options).expect_err("ambiguous");
        assert!(e.to_string().contains("`b,` must be quoted"), "{e}");
    }
    let stamps = TimestampNanosecondArray::from(vec![5, 6]).with_timezone("Europe/Berlin");
    let stamps = DictionaryArray::new(Int8Array::from(vec![Some(1), None, Some(0)]), Arc::new(stamps));
    let want = ["1970-01-01 01:00:00.000000006+01:00", "", "1970-01-01 01:00:00.000000005+01:00"];
    assert_eq!(lines_of(stamps.slice(0, 1)), want[..1]);
    assert_eq!(lines_of(stamps), want);
}

#[test]
fn lines_go_on_from_block_to_block() {
    let texts: Vec<String> =
        (0..3_000usize).map(|i| "x".repeat(([3, 40, 500, 100_000, 1][i % 5] / (1 + i % 7)).max(1))).collect();
    let floats: Float64Array = (0..3_000).map(|i| (i % 3 > 0).then_some(f64::from(i) / 8.0)).collect();
    let batch = RecordBatch::try_from_iter([
        ("t", Arc::new(StringArray::from(texts.clone())) as ArrayRef),
        ("f", Arc::new(floats.clone())),
    ]);
    let text = text_of(&[batch.expect("two columns")], &CsvSinkOptions::default()).expect("written");
    let float = |f: Option<f64>| f.map(|f| format!("{f:?}")).unwrap_or_default();
    let lines: Vec<String> = texts.iter().zip(&floats).map(|(t, f)| format!("{t},{}", float(f))).collect();
    assert!(text.lines().skip(1).eq(lines));
}

#[test]
fn what_means_null_is_quoted_when_it_does_not() {
    let options = CsvSinkOptions { null_value: "NA".into(), header: false, ..CsvSinkOptions::default() };
    let text = one(StringArray::from(vec![Some("NA"), None, Some("")]));
    assert_eq!(text_of(&[text], &options).expect("written"), "\"NA\"\nNA\n\"\"\n");
    let options = CsvSinkOptions { null_value: "0".into(), header: false, ..CsvSinkOptions::default() };
    let numbers = one(Int64Array::from(vec![Some(0), None, Some(10)]));
    assert_eq!(text_of(&[numbers], &options).expect("written"), "\"0\"\n0\n10\n");
}

#[test]
fn odd_delimiters_are_safe_in_numbers_too() {
    let options = CsvSinkOptions { delimiter: "-".into(), quote_char: Some("'".into()), ..CsvSinkOptions::default() };
    let batch = RecordBatch::try_from_iter([
        ("a-b", Arc::new(Int64Array::from(vec![-1, 2])) as ArrayRef),
        ("it's", Arc::new(Date32Array::from(vec![0, 1]))),
    ])
    .expect("two");
    let text = text_of(&[batch], &options).expect("written");
    assert_eq!(text, "'a-b'-'it''s'\n'-1'-'1970-01-01'\n2-'1970-01-02'\n");
}

#[test]
fn without_a_quote_what_needs_one_is_an_error() {
    let options = CsvSinkOptions { quote_char: None, ..CsvSinkOptions::default() };
    assert_eq!(
        text_of(&[one(StringArray::from(vec!["say \"hi\""]))], &options).expect("no quoting"),
        "x\nsay \"hi\"\n"
    );
    for bad in ["a,b", "a\nb", ""] {
        let e = text_of(&[one(StringArray::from(vec![bad]))], &options).expect_err("ambiguous");
        assert!(matches!(&e, Error::Parse { place, .. } if place.column.as_deref() == Some("x")), "{e}");
    }
}

#[test]
fn several_columns_and_batches_make_one_file() {
    let batch = |from: i64| {
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from_iter_values(from..from + 2)) as ArrayRef),
            ("even", Arc::new(BooleanArray::from(vec![from % 2 == 0, from % 2 != 0]))),
        ])
        .expect("two columns")
    };
    let batches = [batch(0), batch(2), batch(4).slice(1, 1)];
    let text = text_of(&batches, &CsvSinkOptions::default()).expect("written");
    assert_eq!(text, "n,even\n0,true\n1,false\n2,true\n3,false\n5,false\n");
    let header = text_of(&[batch(0).slice(0, 0)], &CsvSinkOptions::default()).expect("written");
    assert_eq!(header, "n,even\n");
}

#[test]
fn compression_follows_the_extension_or_the_option() {
    let dir = tempfile::tempdir().expect("a folder");
    let batch = one(StringArray::from_iter_values((0..10_000).map(|i| format!("row {}", i % 7))));
    let plain = text_of(std::slice::from_ref(&batch), &CsvSinkOptions::default()).expect("written");
    for (name, option) in [
        ("a.csv.gz", None),
        ("b.csv.zst", None),
        ("c", Some("gzip")),
        ("d", Some("zstd")),
        ("e.gz", Some("uncompressed")),
    ] {
        let path = dir.path().join(name);
        let options = CsvSinkOptions { compression: option.map(Into::into), ..CsvSinkOptions::default() };
        let written = write(&path, std::slice::from_ref(&batch), &options).expect("written");
        let bytes = std::fs::read(&path).expect("is there");
        assert_eq!(written.bytes, bytes.len() as u64);
        let mut text = String::new();
        match bytes[..2] {
            [0x1f, 0x8b] => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip"),
            [0x28, 0xb5] => zstd::Decoder::new(&bytes[..]).expect("zstd").read_to_string(&mut text).expect("zstd"),
            _ => (&bytes[..]).read_to_string(&mut text).expect("text"),
        };
        assert_eq!(text, plain);
        assert_eq!(option == Some("uncompressed"), written.bytes == plain.len() as u64);
    }
    assert!(matches!(
        write(&dir.path().join("x.csv.bz2"), std::slice::from_ref(&batch), &CsvSinkOptions::default()),
        Err(Error::NotImplemented(_))
    ));
    let options = CsvSinkOptions { compression: Some("rar".into()), ..CsvSinkOptions::default() };
    assert!(matches!(write(&dir.path().join("y.csv"), &[batch], &options), Err(Error::Value(_))));
}

#[test]
fn what_text_cannot_hold_is_refused_by_name() {
    let refused = |batch: RecordBatch| text_of(&[batch], &CsvSinkOptions::default()).expect_err("refused").to_string();
    let list = ListArray::from_iter_primitive::<Int8Type, _, _>([Some(vec![Some(1)])]);
    assert!(refused(one(list)).starts_with("column `x`: CSV cannot hold list<"));
    assert!(refused(one(BinaryArray::from(vec![&b"x"[..]]))).contains("bytes are not text"));
    assert!(refused(one(IntervalYearMonthArray::from(vec![1]))).contains("no text for it"));
    let none = batch::without_columns(Arc::new(Schema::empty()), 3).expect("rows alone");
    assert_eq!(refused(none), "a CSV file needs at least one column, found none");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let plain = CsvSinkOptions::default;
    let refused = |options| text_of(&[one(Int8Array::from(vec![1]))], &options).expect_err("refused").to_string();
    assert!(refused(CsvSinkOptions { delimiter: ";;".into(), ..plain() }).contains("one ASCII character, found `;;`"));
    assert!(refused(CsvSinkOptions { delimiter: "\n".into(), ..plain() }).contains("found `\\n`"));
    assert!(refused(CsvSinkOptions { delimiter: "\"".into(), ..plain() }).contains("are both `\"`"));
    assert!(refused(CsvSinkOptions { null_value: "a,b".into(), ..plain() }).contains("`null_value`"));
}

#[test]
fn a_full_disk_names_the_target() {
    let output = Output::open(Path::new("/dev/full"), Mode::Overwrite).expect("a device");
    let batch = one(Int8Array::from(vec![1]));
    let Err(e) = CsvSink::new(output, batch.schema_ref(), &CsvSinkOptions::default()) else { panic!("no room") };
    assert!(matches!(&e, Error::Io { path: Some(p), .. } if p == "/dev/full"), "{e}");
}

/// Whatever is written here, this crate's reader reads back: text of every dangerous character, nulls, numbers.
#[test]
fn the_round_trip_is_exact() {
    use crate::format::CsvOptions;
    use crate::piece::Source;
    use crate::source::csv::CsvSource;
    use crate::source::read_at::{Disk, Input};

    let mut seed = 7u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let alphabet = ["a", "ü", "🦀", ",", "\"", "\n", "\r", " ", "\t", "NA", "'", "#", "0", "\u{feff}"];
    let mut texts: Vec<Option<String>> = Vec::new();
    for _ in 0..500 {
        let letters = random(6);
        let text: String = (0..letters).map(|_| alphabet[usize::try_from(random(14)).expect("small")]).collect();
        texts.push((random(5) > 0).then_some(text));
    }
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let floats: Float64Array = (0..500)
        .map(|_| (random(9) > 0).then(|| f64::from_bits(random(1 << 31) << 33 | random(1 << 31))))
        .map(|v| v.filter(|f| !f.is_nan()))
        .collect();
    let stamps: TimestampMicrosecondArray =
        (0..500).map(|_| (random(9) > 0).then(|| i64::try_from(random(1 << 31)).expect("small") * 1_234_567)).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("a \"text\", quoted", texts.clone()), ("float", Arc::new(floats)), ("at", Arc::new(stamps))];
    let three = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)));
    let one = RecordBatch::try_from_iter_with_nullable([("t", texts, true)]);
    let dir = tempfile::tempdir().expect("a folder");
    for batch in [three.expect("three"), one.expect("one")] {
        for name in ["x.csv", "x.csv.gz", "x.csv.zst"] {
            let path = dir.path().join(name);
            write(&path, &[batch.slice(0, 123), batch.slice(123, 377)], &CsvSinkOptions::default()).expect("written");
            let input = Input::Seekable(Arc::new(Disk::open(&path).expect("is there")));
            let source = CsvSource::open(input, CsvOptions { schema: Some(batch.schema()), ..CsvOptions::default() });
            let source: Arc<dyn Source> = source.expect("a CSV file");
            let context = Context::new(Options::default(), || Ok(()));
            let pieces = source.clone().start(None, &context).expect("starts");
            let mut back = Vec::new();
            while let Some(piece) = pieces.next(&context).expect("next") {
                let lease = context.memory.holder("test", None).lease(piece.need).expect("room");
                for held in pieces.clone().open(piece, lease, &context).expect("opens") {
                    back.push(held.expect("readable").batch);
                }
            }
            let back = arrow::compute::concat_batches(&source.schema(), &back).expect("one schema");
            for (i, want) in batch.columns().iter().enumerate() {
                assert_eq!(want.to_data(), back.column(i).to_data(), "column {i} of {name}");
            }
        }
    }
}
