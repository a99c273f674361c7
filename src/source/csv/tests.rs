//! The source as a whole: what a run gives, for every size of pieces.

use std::io::{self, Read, Write};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimeUnit};
use arrow::util::display::array_value_to_string;

use super::*;
use crate::format::OnError;
use crate::options::Options;
use crate::source::read_at::{InMemory, Live};

mod places;
mod predicates;

/// How often a random test looks: `n` times, or so many times more as the variable `ROUNDS` says.
pub(super) fn rounds(n: usize) -> usize {
    n * std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn input(text: &[u8]) -> Input {
    Input::Seekable(Arc::new(InMemory::new("t.csv", text.to_vec())))
}

fn with(options: impl FnOnce(&mut CsvOptions)) -> CsvOptions {
    let mut all = CsvOptions::default();
    options(&mut all);
    all
}

/// Runs a source to its end and checks what the contract says on the way.
fn run_in(
    source: Arc<dyn Source>,
    context: &Arc<Context>,
    from: Option<&Place>,
) -> Result<(Vec<RecordBatch>, Vec<Place>)> {
    let schema = source.schema();
    let pieces = source.start(from, context)?;
    let (mut batches, mut places) = (Vec::new(), Vec::new());
    let window = context.memory.holder("window", None);
    while let Some(piece) = pieces.next(context)? {
        places.push(piece.place);
        let need = piece.need;
        let lease = window.lease(need)?;
        let mut row = 0;
        for held in pieces.clone().open(piece, lease, context)? {
            let held = held?;
            assert_eq!(held.batch.schema(), schema);
            assert_eq!(held.first.row, row, "ordinals follow");
            row += held.batch.num_rows() as u32;
            assert!(held.batch.num_rows() <= context.options.batch_size);
            assert_eq!(held.lease.bytes(), crate::batch::bytes_held(&held.batch));
            assert!(held.lease.bytes() <= need, "{} of {need}", held.lease.bytes());
            for column in held.batch.columns() {
                column.to_data().validate_full().expect("valid");
            }
            batches.push(held.batch);
            absorb(context)?;
        }
        absorb(context)?;
    }
    context.logs.end()?;
    drop(pieces);
    assert_eq!(context.memory.held(), 0, "every lease came back");
    Ok((batches, places))
}

fn absorb(context: &Arc<Context>) -> Result<()> {
    context.tray.take().into_iter().try_for_each(|entry| entry.log.clone().absorb(entry, context))
}

fn run(source: Arc<dyn Source>) -> Result<Vec<RecordBatch>> {
    Ok(run_in(source, &Context::new(Options::default(), || Ok(())), None)?.0)
}

fn whole(source: Arc<dyn Source>) -> Result<RecordBatch> {
    let schema = source.schema();
    Ok(concat_batches(&schema, &run(source)?)?)
}

/// The rows as text, null as `∅`; the same for any size of pieces, or the same error.
fn rows_of(text: &[u8], options: &CsvOptions) -> Result<(String, Vec<Vec<String>>)> {
    rows_by(text, options, (1..40).chain([64, 100]))
}

fn rows_by(
    text: &[u8],
    options: &CsvOptions,
    sizes: impl Iterator<Item = usize>,
) -> Result<(String, Vec<Vec<String>>)> {
    let read = |bytes| whole(CsvSource::with_piece_bytes(input(text), options.clone(), bytes)?);
    let expected = read(None);
    for bytes in sizes {
        match (&expected, read(Some(bytes))) {
            (Ok(expected), Ok(found)) => {
                assert_eq!(*expected, found, "pieces of {bytes} {:?}", String::from_utf8_lossy(text));
            }
            (Err(expected), Err(found)) => assert_eq!(
                format!("{expected:?}"),
                format!("{found:?}"),
                "pieces of {bytes} {:?}",
                String::from_utf8_lossy(text)
            ),
            (expected, found) => panic!("pieces of {bytes}: {found:?}, expected {expected:?}"),
        }
    }
    let batch = expected?;
    let schema = batch.schema();
    let types: Vec<String> = schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    let cell = |column: &ArrayRef, row| {
        if column.is_null(row) { "∅".to_owned() } else { array_value_to_string(column, row).expect("shown") }
    };
    let rows = (0..batch.num_rows()).map(|row| batch.columns().iter().map(|c| cell(c, row)).collect()).collect();
    Ok((types.join(", "), rows))
}

fn ok(text: &str, options: &CsvOptions) -> (String, Vec<Vec<String>>) {
    rows_of(text.as_bytes(), options).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

fn err(text: &[u8], options: &CsvOptions) -> String {
    rows_of(text, options).map(|_| ()).expect_err("bad").to_string()
}

fn rows(text: &[&[&str]]) -> Vec<Vec<String>> {
    text.iter().map(|row| row.iter().map(|s| (*s).to_owned()).collect()).collect()
}

#[test]
fn types_nulls_and_order() {
    let (types, values) = ok(
        "i,f,b,d,t,s\n1,1.5,true,2024-01-02,2024-01-02T03:04:05,x\n-2,,FALSE,,2024-01-02 03:04:05.000001,\"\"\n,3,,2024-02-29,,\n",
        &CsvOptions::default(),
    );
    assert_eq!(types, "i Int64, f Float64, b Boolean, d Date32, t Timestamp(µs), s Utf8");
    assert_eq!(
        values,
        rows(&[
            &["1", "1.5", "true", "2024-01-02", "2024-01-02T03:04:05", "x"],
            &["-2", "∅", "false", "∅", "2024-01-02T03:04:05.000001", ""],
            &["∅", "3.0", "∅", "2024-02-29", "∅", "∅"],
        ])
    );
}

#[test]
fn line_ends_quotes_and_byte_order_mark() {
    let expected = rows(&[&["1", "x, \"y\"\nz"], &["2", "é"]]);
    for (mark, end) in [("", "\n"), ("\u{feff}", "\r\n"), ("", "\r"), ("\u{feff}\u{feff}", "\n")] {
        for last in ["", end] {
            let text = format!("{mark}a,b{end}1,\"x, \"\"y\"\"\nz\"{end}{end}2,é{last}");
            assert_eq!(ok(&text, &CsvOptions::default()), ("a Int64, b Utf8".into(), expected.clone()), "{text:?}");
        }
    }
}

#[test]
fn empty_inputs() {
    assert_eq!(
        err(b"", &CsvOptions::default()),
        "t.csv: is empty: expected a header; pass schema= to read it as no rows"
    );
    assert!(err(b"\n\r\n", &CsvOptions::default()).contains("is empty"));
    assert_eq!(ok("a,b\n", &CsvOptions::default()), ("a Utf8, b Utf8".into(), vec![]));
    assert_eq!(ok("a,b", &CsvOptions::default()).0, "a Utf8, b Utf8");
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int8, true)]));
    assert_eq!(ok("", &with(|o| o.schema = Some(schema))), ("a Int8".into(), vec![]));
}

#[test]
fn a_file_of_one_column_keeps_its_empty_lines() {
    assert_eq!(ok("a\n1\n\n2\n\n", &CsvOptions::default()).1, rows(&[&["1"], &["∅"], &["2"], &["∅"]]));
    let kept = with(|o| o.skip_blank_lines = false);
    assert_eq!(ok("a,b\n1,2\n\n", &kept).1, rows(&[&["1", "2"], &["∅", "∅"]]));
    // What was cut before the number of columns was known counts its empty lines too.
    let source = CsvSource::open(live(&[b"\n\n\n1\n\n"], 9), with(|o| o.has_header = Some(false))).expect("opens");
    assert_eq!(whole(source).expect("reads").num_rows(), 5);
}

#[test]
fn a_ragged_record_names_its_line() {
    let e = rows_of(b"a,b\n1,\"x\ny\"\n\n3\n", &CsvOptions::default()).expect_err("ragged");
    let Error::Parse { place, message } = &e else { panic!("{e:?}") };
    assert_eq!((place.line, place.offset, place.path.as_deref()), (Some(5), Some(13), Some("t.csv")));
    assert!(message.starts_with("t.csv:5: expected 2 fields, found 1; "), "{message}");
    assert!(err(b"a,b\r\n1,2\r\n1,2,3\r\n", &CsvOptions::default()).starts_with("t.csv:3: expected 2 fields, found 3"));
}

#[test]
fn a_value_that_does_not_fit_names_everything() {
    let ints = with(|o| o.dtypes = vec![("qty".into(), DataType::Int64)]);
    let e = rows_of(b"id,qty\n1,2\n2,n/a\n", &ints).expect_err("no integer");
    assert_eq!(
        e.to_string(),
        "t.csv:3: column `qty`: expected an integer, found `n/a`; pass null_values=[\"n/a\"] or dtypes={\"qty\": \"string\"}"
    );
    let Error::Parse { place, .. } = e else { panic!("a parse error") };
    assert_eq!((place.line, place.offset), (Some(3), Some(11)));
    assert_eq!((place.column.as_deref(), place.value.as_deref()), (Some("qty"), Some("n/a")));
    assert!(
        err(b"id,qty\n1,2.5\n", &ints)
            .ends_with("expected an integer, found `2.5`; pass dtypes={\"qty\": \"float64\"}")
    );
    let small = with(|o| o.dtypes = vec![("qty".into(), DataType::Int8)]);
    assert!(
        err(b"id,qty\n1,128\n", &small)
            .contains("expected an integer that fits int8, found `128`; pass dtypes={\"qty\": \"int64\"}")
    );
    assert!(
        err("id,qty\n1,\"\u{a0}\n\"\"\\\"\n".as_bytes(), &ints).ends_with(
            "found `\u{a0}\\n\"\\`; pass null_values=[\"\u{a0}\\n\\\"\\\\\"] or dtypes={\"qty\": \"string\"}"
        )
    );
    let long = err(format!("id,qty\n1,{}\n", "x".repeat(99)).as_bytes(), &ints);
    assert!(long.ends_with("xx…`; pass dtypes={\"qty\": \"string\"}"), "{long}");
}

#[test]
fn the_first_bad_record_wins() {
    let ints = with(|o| o.dtypes = ["a", "b"].map(|n| (n.to_owned(), DataType::Int64)).to_vec());
    for (text, line, what) in [
        ("a,b\n1,x\ny,2\n3\n", 2, "found `x`"),
        ("a,b\n1,2\n3\ny,x\n", 3, "expected 2 fields"),
        ("a,b\n1,2\ny,x\n3\n", 3, "column `a`"),
        ("a,b\nx,\"2\n3\n", 2, "quote"),
        ("a,b\ny,1\nx,\"2\n3\n", 2, "found `y`"),
    ] {
        let e = err(text.as_bytes(), &ints);
        assert!(e.starts_with(&format!("t.csv:{line}: ")) && e.contains(what), "{e}");
    }
    let e = err(b"a,b\nx,2\n1,\xff\n", &ints);
    assert!(e.contains("t.csv:2: column `a`"), "{e}");
    let e = err(b"a,b\n1,\xff\nx,2\n", &ints);
    assert!(e.starts_with("t.csv:2: column `b`: expected UTF-8, found the byte 0xff"), "{e}");
}

#[test]
fn structure_is_checked_in_columns_nobody_wants() {
    let narrow = with(|o| o.columns = Some(vec!["a".into()]));
    assert!(err(b"a,b\n1,\xff\n", &narrow).contains("UTF-8"));
    assert!(err(b"a,b\n1,2\n1\n", &narrow).contains("expected 2 fields, found 1"));
    assert_eq!(ok("a,b\n1,x\n2,3\n", &narrow).1, rows(&[&["1"], &["2"]]));
    let late = with(|o| o.dtypes = vec![("b".into(), DataType::Int64)]);
    assert!(err(b"a,b\n1,x\n", &late).contains("column `b`"));
    let narrow = with(|o| (o.dtypes, o.columns) = (late.dtypes.clone(), narrow.columns.clone()));
    assert_eq!(ok("a,b\n1,x\n", &narrow).1, rows(&[&["1"]]), "a value that nobody needs is not read");
}

#[test]
fn an_open_quote_names_the_line_where_it_opens() {
    let e = err(b"a,b\n1,2\n3,\"x\n4,5\n", &CsvOptions::default());
    assert!(e.starts_with("t.csv:3: the quote that opens here is never closed"), "{e}");
    assert_eq!(ok("a,b\n3,\"x\n", &with(|o| o.quote_char = None)).1, rows(&[&["3", "\"x"]]));
}

#[test]
fn headers() {
    assert_eq!(
        ok("a,a,,a\n1,2,3,4\n", &CsvOptions::default()).0,
        "a Int64, a_duplicated_0 Int64,  Int64, a_duplicated_1 Int64"
    );
    let none = with(|o| o.has_header = Some(false));
    assert_eq!(ok("1,x\n2,y\n", &none), ("column_0 Int64, column_1 Utf8".into(), rows(&[&["1", "x"], &["2", "y"]])));
    let renamed = with(|o| o.new_columns = Some(vec!["x".into()]));
    assert_eq!(ok("a,b\n1,2\n", &renamed).0, "x Int64, b Int64");
    let skipped = with(|o| (o.skip_rows, o.comment_prefix) = (2, Some("//".into())));
    let text = "made by \"somebody\n,,,\n// a comment, \"\na,b\n1,2\n//3,4,\"5\n6,7\n//";
    assert_eq!(ok(text, &skipped).1, rows(&[&["1", "2"], &["6", "7"]]));
    let e = err(b"a,b\n1,2\n", &with(|o| o.dtypes = vec![("B".into(), DataType::Int8)]));
    assert_eq!(e, "dtypes: column `B` not found, did you mean `b`? (columns: `a`, `b`)");
}

#[test]
fn a_given_schema_is_held_against_the_header() {
    let schema = |names: &[&str]| {
        let fields = names.iter().map(|n| Field::new(*n, DataType::Int32, true)).collect::<Vec<_>>();
        with(|o| o.schema = Some(Arc::new(Schema::new(fields))))
    };
    assert_eq!(ok("a,b\n1,2\n", &schema(&["x", "y"])), ("x Int32, y Int32".into(), rows(&[&["1", "2"]])));
    assert!(
        err(b"a,b\n1,2\n", &schema(&["a"])).starts_with("t.csv:1: expected a header of 1 columns, found 2 (`a`, `b`)")
    );
    assert!(err(b"a,b\n1,2\n", &schema(&["b", "a"])).contains("in another order: `a`, `b`"));
    assert!(err(b"a,b,c\n1,2,3\n", &schema(&["x", "a", "c"])).contains("in another order: `a`, `b`, `c`"));
    assert_eq!(ok("a,b,a\n1,2,3\n", &schema(&["a", "b", "x"])).1, rows(&[&["1", "2", "3"]]));
}

#[test]
fn nulls_by_word_and_column() {
    let words = with(|o| o.null_values = NullValues::Everywhere(vec!["NA".into(), "-".into()]));
    assert_eq!(ok("a,b\nNA,\"NA\"\n1,-\n2,\n", &words).1, rows(&[&["∅", "NA"], &["1", "∅"], &["2", ""]]));
    let one = with(|o| o.null_values = NullValues::ByColumn(vec![("b".into(), vec!["?".into()])]));
    assert_eq!(ok("a,b\n,?\n1,x\n", &one).1, rows(&[&["∅", "∅"], &["1", "x"]]));
    assert_eq!(ok("a,b,c\n,,\n1,x,2024-01-01\nNA,NA,-\n", &words).1[0], ["∅", "", "∅"]);
    assert_eq!(ok("a,b\n\"\",x\n\"1\",y\n", &CsvOptions::default()).1, rows(&[&["∅", "x"], &["1", "y"]]));
}

#[test]
fn other_ways_to_write_values() {
    let german = with(|o| {
        (o.delimiter, o.decimal, o.thousands) = (";".into(), ",".into(), Some(".".into()));
        o.datetime_formats = Some(vec!["%d.%m.%Y".into(), "%d.%m.%Y %H:%M".into()]);
        (o.true_values, o.false_values) = (Some(vec!["ja".into()]), Some(vec!["nein".into()]));
        o.trim = true;
    });
    let (types, values) =
        ok("n;d;t;b;s\n1.234,5;31.12.2023;31.12.2023 13:00; ja ;\" x \"\n-2;01.01.2024;;nein; y \n", &german);
    assert_eq!(types, "n Float64, d Date32, t Timestamp(µs), b Boolean, s Utf8");
    assert_eq!(
        values,
        rows(&[
            &["1234.5", "2023-12-31", "2023-12-31T13:00:00", "true", " x "],
            &["-2.0", "2024-01-01", "∅", "false", "y"],
        ])
    );
    let text = with(|o| o.try_parse_dates = false);
    assert_eq!(ok("a,b\n2024-01-01,03:04\n", &text).0, "a Utf8, b Utf8");
}

#[test]
fn every_dtype_that_is_asked_for() {
    let of = |dtype: &DataType, value: &str| {
        let options = with(|o| o.dtypes = vec![("a".into(), dtype.clone())]);
        rows_of(format!("a,b\n{value},1\n,2\n\"{value}\",3\n").as_bytes(), &options).map(|(_, rows)| {
            assert_eq!(rows[1][0], "∅");
            assert_eq!(rows[0][0], rows[2][0]);
            rows[0][0].clone()
        })
    };
    let zone = |name: &str| DataType::Timestamp(TimeUnit::Millisecond, Some(name.into()));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for (dtype, value, shown) in [
        (DataType::Int8, "-128", "-128"),
        (DataType::Int16, "+32767", "32767"),
        (DataType::UInt8, "255", "255"),
        (DataType::UInt64, "18446744073709551615", "18446744073709551615"),
        (DataType::Float32, "0.1", "0.1"),
        (DataType::Float64, " 1e3 ", "1000.0"),
        (DataType::Decimal128(12, 2), "-12.3", "-12.30"),
        (DataType::Date32, "2024-02-29", "2024-02-29"),
        (DataType::Time32(TimeUnit::Second), "03:04:05", "03:04:05"),
        (DataType::Time64(TimeUnit::Nanosecond), "03:04:05.000000001", "03:04:05.000000001"),
        (DataType::Timestamp(TimeUnit::Second, None), "2024-01-01", "2024-01-01T00:00:00"),
        (
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            "2024-01-01 00:00:00.000000001",
            "2024-01-01T00:00:00.000000001",
        ),
        (zone("UTC"), "2024-01-01T00:00:00+01:00", "2023-12-31T23:00:00Z"),
        (zone("Europe/Berlin"), "2024-01-01 00:00", "2024-01-01T00:00:00+01:00"),
        (DataType::Boolean, "True", "true"),
        (DataType::LargeUtf8, "é", "é"),
        (DataType::Utf8View, "é", "é"),
        (DataType::Binary, "ab", "6162"),
        (dictionary, "x", "x"),
    ] {
        assert_eq!(of(&dtype, value).unwrap_or_else(|e| panic!("{e}")), shown, "{dtype}");
    }
    for (dtype, value) in [
        (DataType::UInt8, "-1"),
        (DataType::Int16, "32768"),
        (DataType::Decimal128(4, 2), "123.4"),
        (DataType::Timestamp(TimeUnit::Second, None), "2024-01-01T00:00:00.5"),
        (DataType::Timestamp(TimeUnit::Second, None), "2024-01-01T00:00:00Z"),
        (DataType::Date32, "2024-01-01T00:00:00"),
        (DataType::Boolean, "yes"),
    ] {
        assert!(matches!(of(&dtype, value), Err(Error::Parse { .. })), "{dtype} {value}");
    }
    for (dtype, announced) in [
        (DataType::LargeUtf8, DataType::Utf8),
        (DataType::Utf8View, DataType::Utf8),
        (DataType::BinaryView, DataType::Binary),
    ] {
        let source = CsvSource::open(input(b"a\nx\n"), with(|o| o.dtypes = vec![("a".into(), dtype)])).expect("opens");
        assert_eq!(source.schema().field(0).data_type(), &announced);
    }
    let interval = DataType::Interval(arrow::datatypes::IntervalUnit::YearMonth);
    assert!(matches!(of(&interval, "1"), Err(Error::NotImplemented(_))));
    let binary = with(|o| o.dtypes = vec![("a".into(), DataType::Binary)]);
    assert_eq!(rows_of(b"a,b\n\xff\xfe,1\n", &binary).expect("any bytes").1, rows(&[&["fffe", "1"]]));
    assert!(rows_of(b"a,b\n\xff,\xff\n", &binary).is_err());
}

#[test]
fn on_error_leaves_out_or_nulls_and_counts() {
    let text = b"a,b\n1,x\n2\nq,y\n3,\xff\n4,z\n";
    for (on_error, expected, rejects) in [
        (OnError::Skip, rows(&[&["1", "x"], &["4", "z"]]), 3),
        (OnError::Null, rows(&[&["1", "x"], &["∅", "y"], &["3", "∅"], &["4", "z"]]), 3),
    ] {
        let options = with(|o| (o.on_error, o.dtypes) = (on_error, vec![("a".into(), DataType::Int64)]));
        assert_eq!(rows_of(text, &options).expect("goes on").1, expected);
        let context = Context::new(Options::default(), || Ok(()));
        run_in(CsvSource::open(input(text), options).expect("opens"), &context, None).expect("goes on");
        assert_eq!(context.stats.stages()[0].rejects.load(std::sync::atomic::Ordering::Relaxed), rejects);
    }
}

#[test]
fn batches_obey_rows_and_bytes() {
    let text: String = (0..3000).fold("id,s\n".to_owned(), |t, i| t + &format!("{i},{}\n", "x".repeat(i % 90)));
    let source = CsvSource::open(input(text.as_bytes()), CsvOptions::default()).expect("opens");
    let expected = whole(source.clone()).expect("reads");
    for (batch_size, batch_bytes) in [(1, 1 << 20), (7, 1 << 20), (1000, 1 << 20), (65_536, 500), (65_536, 5_000)] {
        let context = Context::new(Options { batch_size, batch_bytes, ..Options::default() }, || Ok(()));
        let (batches, _) = run_in(source.clone(), &context, None).expect("reads");
        assert!(batches.iter().all(|b| b.num_rows() <= batch_size));
        assert!(batches.iter().all(|b| b.num_rows() == 1 || crate::batch::bytes_of_rows(b) <= batch_bytes));
        assert_eq!(concat_batches(&source.schema(), &batches).expect("one schema"), expected);
    }
}

#[test]
fn projection_order_and_count() {
    let source = CsvSource::open(input(b"a,b,c\n1,2,3\n4,5,6\n"), CsvOptions::default()).expect("opens");
    let wish = |columns: &[&str]| Pushdown {
        columns: Some(columns.iter().map(|c| (*c).into()).collect()),
        ..Pushdown::default()
    };
    let batch = whole(source.push(&wish(&["c", "a"])).expect("known").source).expect("reads");
    assert_eq!(batch.schema().field(0).name(), "c");
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values(), &[1, 4]);
    let batch = whole(source.push(&wish(&[])).expect("known").source).expect("reads");
    assert_eq!((batch.num_columns(), batch.num_rows()), (0, 2));
    assert!(matches!(source.push(&wish(&["d"])), Err(Error::ColumnNotFound(_))));
}

#[test]
fn a_run_goes_on_at_any_place() {
    let text: String = (0..2000).fold("id,s\n".to_owned(), |t, i| t + &format!("{i},\"{i}\n\"\n"));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).expect("memory");
    for bytes in [text.clone().into_bytes(), gz.finish().expect("memory")] {
        let source = CsvSource::with_piece_bytes(input(&bytes), CsvOptions::default(), Some(3000)).expect("opens");
        let (batches, places) =
            run_in(source.clone(), &Context::new(Options::default(), || Ok(())), None).expect("reads");
        for (i, place) in places.iter().enumerate() {
            let line = 1 + text.as_bytes()[..place.start as usize].iter().filter(|b| **b == b'\n').count() as u64;
            assert_eq!(place.line, line);
            let (rest, again) =
                run_in(source.clone(), &Context::new(Options::default(), || Ok(())), Some(place)).expect("reads");
            assert_eq!((&rest[..], &again[..]), (&batches[i..], &places[i..]));
        }
    }
}

#[test]
fn a_limit_stops_the_cuts() {
    let text: String = (0..200_000).fold("id\n".to_owned(), |t, i| t + &format!("{i}\n"));
    let source = CsvSource::open(input(text.as_bytes()), CsvOptions::default()).expect("opens");
    let pushed = source.push(&Pushdown { limit: Some(5), ..Pushdown::default() }).expect("pushes").source;
    let (_, places) = run_in(pushed, &Context::new(Options::default(), || Ok(())), None).expect("reads");
    assert_eq!(places.len(), 1);
    assert!(places[0].len <= 64 << 10);
    let (_, places) = run_in(source, &Context::new(Options::default(), || Ok(())), None).expect("reads");
    assert!(places.windows(2).all(|p| p[0].start + p[0].len == p[1].start));
    assert!(places.len() > 4 && places.iter().all(|p| p.len <= 1 << 20));
}

/// Gives its parts one by one, and panics if more is asked for than `most` of them.
struct Parts(VecDeque<Vec<u8>>, usize);

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(mut part) = self.0.pop_front() else { return Ok(0) };
        assert!(self.1 > 0, "reads ahead");
        self.1 -= 1;
        let n = part.len().min(into.len());
        into[..n].copy_from_slice(&part[..n]);
        if n < part.len() {
            self.0.push_front(part.split_off(n));
        }
        Ok(n)
    }
}

fn live(parts: &[&[u8]], most: usize) -> Input {
    let parts = parts.iter().map(|p| p.to_vec()).collect();
    Input::Live(Arc::new(Live::new("<pipe>", false, Box::new(Parts(parts, most)))))
}

#[test]
fn a_pipe_hands_over_what_it_has() {
    let parts: [&[u8]; 5] = [b"a,b\n", b"1,x\n2,", b"y\n", b"3,z", b"\n"];
    let source = CsvSource::open(live(&parts, 2), CsvOptions::default()).expect("opens");
    assert!(source.one_shot());
    let context = Context::new(Options::default(), || Ok(()));
    let pieces = source.clone().start(None, &context).expect("starts");
    let piece = pieces.next(&context).expect("reads").expect("one row is whole");
    assert_eq!(piece.raw.as_ref().expect("text").0.as_ref(), b"1,x\n");
    assert_eq!((piece.place.start, piece.place.line), (4, 2));
    assert!(matches!(source.start(None, &context), Err(Error::Stream(m)) if m.contains("read once")));

    for given in [true, false] {
        let schema =
            Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]));
        let options = with(|o| o.schema = given.then_some(schema));
        let source = CsvSource::open(live(&parts, if given { 0 } else { 2 }), options.clone()).expect("opens");
        drop(source);
        let source = CsvSource::open(live(&parts, usize::MAX), options).expect("opens");
        let batch = whole(source).expect("reads");
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    }
}

#[test]
fn compressed_streams_live_or_not() {
    let text: String = (0..5000).fold("id,s\n".to_owned(), |t, i| t + &format!("{i},text {i}\n"));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).expect("memory");
    let expected =
        whole(CsvSource::open(input(text.as_bytes()), CsvOptions::default()).expect("opens")).expect("reads");
    for bytes in [gz.finish().expect("memory"), zstd::encode_all(text.as_bytes(), 3).expect("memory")] {
        let parts: Vec<&[u8]> = bytes.chunks(1000).collect();
        for input in [input(&bytes), live(&parts, usize::MAX), live(&[&bytes[..1], &bytes[1..]], usize::MAX)] {
            assert_eq!(whole(CsvSource::open(input, CsvOptions::default()).expect("opens")).expect("reads"), expected);
        }
        let cut = &bytes[..bytes.len() - 9];
        for input in [input(cut), live(&[cut], usize::MAX)] {
            let result = CsvSource::open(input, CsvOptions::default()).and_then(|s| whole(s));
            assert!(matches!(&result, Err(Error::Format(m)) if m.contains("damaged")), "{result:?}");
        }
    }
    for magic in [b"BZh91AY&SY".as_slice(), b"\xfd7zXZ\0", b"\x04\x22\x4d\x18"] {
        for input in [input(magic), live(&[magic], usize::MAX)] {
            let e = CsvSource::open(input, CsvOptions::default()).expect_err("nothing behind the mark");
            assert!(matches!(&e, Error::Format(m) if m.contains("damaged")), "{e}");
        }
    }
}

#[test]
fn middle_and_tail_have_a_say() {
    let mut text = "id,n\n".to_owned();
    for i in 0..60_000 {
        text.extend([i.to_string().as_str(), if i > 59_990 { ",1.5\n" } else { ",1\n" }]);
    }
    let source = CsvSource::open(input(text.as_bytes()), CsvOptions::default()).expect("opens");
    assert_eq!(source.schema().field(1).data_type(), &DataType::Float64);
    let head = with(|o| o.infer_schema_length = Some(100));
    let source = CsvSource::open(input(text.as_bytes()), head.clone()).expect("opens");
    assert_eq!(source.schema().field(1).data_type(), &DataType::Int64);
    let e = whole(source).expect_err("1.5 is no integer");
    assert!(e.to_string().starts_with("t.csv:59993: column `n`: expected an integer, found `1.5`"), "{e}");
    let all = with(|o| o.infer_schema_length = None);
    let text = text.replace("30000,1\n", "30000,x\n");
    let source = CsvSource::open(input(text.as_bytes()), all).expect("opens");
    assert_eq!(source.schema().field(1).data_type(), &DataType::Utf8);
}

#[test]
fn windows_inside_quotes_are_told_or_left_out() {
    for note in ["a, 1\n,,,\nx\"\"y\"\"", "x\nfoo,bar", "one, x\ntwo, y", "a\nb,c\nd,e", "l\n\",\"m\n"] {
        for rows in [20_000, 20_011, 20_503] {
            let text: String = (0..rows).fold("id,note\n".to_owned(), |t, i| t + &format!("{i},\"{note}\"\n"));
            let columns = if note.contains("\",\"") { "id,note,more\n" } else { "id,note\n" };
            let text = text.replace("id,note\n", columns);
            let source = CsvSource::open(input(text.as_bytes()), CsvOptions::default()).expect("opens");
            assert_eq!(source.schema().field(0).data_type(), &DataType::Int64, "{note:?}");
            assert_eq!(whole(source).expect("reads").num_rows(), rows);
        }
    }
    // A tail has a say all the same, whether all of its fields are quoted, or some that go on over several lines.
    for (note, last) in [("a", "a"), ("a, b", ""), ("a\nb", "a")] {
        let text: String = (0..20_000).fold("n,s\n".to_owned(), |t, i| {
            t + &if i < 19_990 { format!("\"1\",\"{note}\"\n") } else { format!("\"1.5\",\"{last}\"\n") }
        });
        let source = CsvSource::open(input(text.as_bytes()), CsvOptions::default()).expect("opens");
        assert_eq!(source.schema().field(0).data_type(), &DataType::Float64, "{note:?}");
    }
}

#[test]
fn a_long_record_is_bounded_by_the_budget() {
    let text = format!("a,b\n1,\"{}\n", "x".repeat(4 << 20));
    let context = Context::new(Options { memory_limit: Some(1 << 20), ..Options::default() }, || Ok(()));
    let schema =
        Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]));
    let source = CsvSource::open(input(text.as_bytes()), with(|o| o.schema = Some(schema))).expect("opens");
    let e = run_in(source.clone(), &context, None).expect_err("too long");
    assert!(matches!(&e, Error::MemoryLimit(m) if m.starts_with("t.csv:2: ")), "{e}");
    let text = text + "\"\n";
    let source = CsvSource::open(input(text.as_bytes()), CsvOptions::default()).expect("opens");
    assert_eq!(whole(source).expect("fits in the default").num_rows(), 1);
}

#[test]
fn random_files_are_the_same_for_every_piece_size() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n
    };
    let options = [
        CsvOptions::default(),
        with(|o| o.comment_prefix = Some("#".into())),
        with(|o| o.escape_char = Some("\\".into())),
        with(|o| (o.quote_char, o.skip_blank_lines) = (None, false)),
        with(|o| (o.has_header, o.trim) = (Some(false), true)),
        with(|o| o.on_error = OnError::Skip),
    ];
    let cells = [
        "1",
        "",
        "\"\"",
        "x",
        "\"a\nb\"",
        "\"q\"\"q\"",
        "2.5",
        "\"\\\"",
        "é",
        "a\"b",
        " 7 ",
        "\"x\"y",
        "#",
        "\"\r\n\"",
        " \"u,\n\" ",
    ];
    let mut read = 0;
    for _ in 0..rounds(300) {
        let width = 1 + random(3);
        let end = ["\n", "\r\n", "\r"][random(3)];
        let mut text = String::new();
        for row in 0..random(9) {
            if random(6) == 0 {
                text += ["", "#c,\"", "\"", ",,,,"][random(4)];
            } else {
                let row: Vec<&str> = (0..width)
                    .map(|i| if row == 0 { ["a", "b", "c"][i] } else { cells[random(cells.len())] })
                    .collect();
                text += &row.join(",");
            }
            text += if random(9) == 0 { "\n" } else { end };
        }
        for options in &options {
            let sizes = [1, 2 + random(5), 7 + random(20)].into_iter();
            read += usize::from(rows_by(text.as_bytes(), options, sizes).is_ok());
        }
    }
    assert!(read > 300, "{read}");
}

#[test]
fn any_bytes_give_rows_or_an_error_of_ours() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n
    };
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"a,b\n1,2\n").expect("memory");
    let seeds: [&[u8]; 4] = [
        b"a,b\n1,\"x\ny\"\n2,2024-01-01T00:00:00Z\n",
        &gz.finish().expect("memory"),
        &zstd::encode_all(&b"a\n1\n"[..], 1).expect("memory"),
        b"\xef\xbb\xbf-1e5,.,-,+\r\n",
    ];
    for round in 0..rounds(4000) {
        let mut bytes = seeds[random(4)].to_vec();
        for _ in 0..random(6) {
            let at = random(bytes.len() + 1);
            match random(3) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, random(256) as u8),
                _ => bytes.insert(at, b"\",\n\r\\#-.:T"[random(10)]),
            }
        }
        let options = with(|o| {
            o.has_header = Some(random(2) == 0);
            o.escape_char = (random(4) == 0).then(|| "\\".into());
            o.comment_prefix = (random(4) == 0).then(|| "#-".into());
            o.skip_rows = random(3) as u64;
            o.on_error = [OnError::Raise, OnError::Skip, OnError::Null][random(3)];
            o.infer_schema_length = (random(3) > 0).then_some(random(3));
            o.dtypes = (random(3) == 0)
                .then(|| ("column_0".into(), DataType::Timestamp(TimeUnit::Nanosecond, None)))
                .into_iter()
                .collect();
        });
        let input = if round % 2 == 0 {
            input(&bytes)
        } else {
            live(&[&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2..]], usize::MAX)
        };
        let result = CsvSource::with_piece_bytes(input, options, Some(1 + random(9))).and_then(|s| run(s));
        assert!(!matches!(result, Err(Error::Cancelled | Error::Foreign(_))));
    }
}
