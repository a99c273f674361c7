//! Bytes of anybody's, read as CSV through the public API and by [`Reference`], byte by byte; the fuzz target and
//! `tests/core` share it.
//!
//! Of the bytes, the first two choose the dialect and the sizes of pieces and batches, and the rest is the text. Whatever
//! it is, the reader must give the reference's rows, and where the reference says that a record is none, an error that
//! names the same line, byte, column and reason; and with `on_error="skip"` the rows and the rejects of all of the text.
//! The reference in turn is held against the `csv` crate wherever the crate's rules are ours.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use batchstream::context::Context;
use batchstream::context::rejects::RejectFile;
use batchstream::error::{Error, Result};
use batchstream::format::{Bearing, Compression, CsvDialect, CsvOptions, OnError};
use batchstream::memory::Lease;
use batchstream::options::Options;
use batchstream::piece::Source;
use batchstream::source::csv::CsvSource;
use batchstream::source::read_at::{InMemory, Input};
use batchstream::stage::exchange;

use bytewise::{Fault, Reference};

#[path = "bytewise.rs"]
mod bytewise;

/// The budget of a run, where it has one.
const LIMIT: usize = 16 << 20;
/// Texts that are longer, and records of more fields, are not read: with rows enough they need more than the budget.
const LONGEST: usize = 8 << 10;
const WIDEST: usize = 64;

const DELIMITERS: [&str; 4] = [",", ";", "\t", " "];
const QUOTES: [Option<&str>; 4] = [Some("\""), None, Some("'"), Some("\"")];
const COMMENTS: [Option<&str>; 4] = [None, Some("#"), Some("//"), Some("#a")];
const BATCH_SIZES: [usize; 4] = [65_536, 1, 3, 10];
/// A piece is no larger than a batch may be, so that these are the sizes of pieces as well.
const BATCH_BYTES: [usize; 8] = [16 << 20, 1, 24, 63, 64, 130, 300, 1_000];

/// The default asks the machine for its memory, which takes longer than most texts.
static OPTIONS: LazyLock<Options> = LazyLock::new(Options::default);

/// What came of a text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Rows in front of the first fault.
    pub rows: usize,
    /// Records that are none.
    pub faults: usize,
    /// Fields of a record.
    pub width: usize,
    /// Whether the crate read all of it, and the same.
    pub by_the_crate: bool,
}

/// The choice of the two bytes in front of a text.
#[derive(Debug, Clone)]
pub struct Choice {
    options: CsvOptions,
    run: Options,
    /// The same as `options` says.
    pub dialect: CsvDialect,
}

impl Choice {
    /// Which one it is; 0 is the default in every part.
    pub fn of([how, sizes]: [u8; 2]) -> Self {
        let bits = |byte: u8, from: u32, count: u32| usize::from(byte >> from) & ((1 << count) - 1);
        let options = CsvOptions {
            has_header: Some(false),
            delimiter: DELIMITERS[bits(how, 0, 2)].to_owned(),
            quote_char: QUOTES[bits(how, 2, 2)].map(str::to_owned),
            comment_prefix: COMMENTS[bits(how, 4, 2)].map(str::to_owned),
            escape_char: (bits(how, 6, 1) == 1).then(|| "\\".to_owned()),
            trim: bits(how, 7, 1) == 1,
            skip_blank_lines: bits(sizes, 0, 1) == 0,
            ..CsvOptions::default()
        };
        let threads = 1 + bits(sizes, 6, 1);
        let run = Options {
            batch_size: BATCH_SIZES[bits(sizes, 1, 2)],
            batch_bytes: BATCH_BYTES[bits(sizes, 3, 3)],
            threads,
            prefetch: (threads == 1).then_some(0),
            memory_limit: (bits(sizes, 7, 1) == 0).then_some(LIMIT),
            ..OPTIONS.clone()
        };
        let dialect = options.dialect().expect("characters that differ");
        Self { options, run, dialect }
    }
}

/// Reads `bytes` in every way there is.
///
/// # Panics
/// Where two of them differ.
pub fn check(bytes: &[u8]) -> Outcome {
    let Some((head, text)) = bytes.split_first_chunk::<2>() else { return Outcome::default() };
    let is_utf_16 = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff");
    if text.len() > LONGEST || is_utf_16 || Compression::of_magic(text).is_some() {
        return Outcome::default();
    }
    let choice = Choice::of(*head);
    let reference = Reference::of(&choice.dialect, text);
    if reference.width > WIDEST {
        return Outcome::default();
    }
    let by_the_crate = same_as_the_crate(&choice.dialect, text, &reference);
    until_the_first_fault(&choice, text, &reference);
    let faults = reference.faults().count();
    if faults > 0 {
        without_the_faults(&choice, text, &reference);
    }
    let rows = reference.records.iter().take_while(|record| record.fault.is_none()).count();
    Outcome { rows, faults, width: reference.width, by_the_crate }
}

/// A run, and what it has given.
struct Run<'a> {
    expected: Vec<&'a [Option<Vec<u8>>]>,
    given: usize,
    shown: String,
}

impl Run<'_> {
    /// Reads `text`, and holds every row against the expected ones.
    fn read(&mut self, choice: &Choice, text: &[u8], width: usize, context: &Arc<Context>) -> Result<()> {
        let fields: Vec<_> = (0..width).map(|i| Field::new(format!("c{i}"), DataType::Utf8, true)).collect();
        let options = CsvOptions { schema: Some(Arc::new(Schema::new(fields))), ..choice.options.clone() };
        let source = CsvSource::open(Input::Seekable(Arc::new(InMemory::new("x.csv", text.to_vec()))), options)?;
        let pieces = source.start(None, context)?;
        let most = context.options.batch_size;
        for held in exchange::rows(pieces, false, context) {
            let batch = held?.batch;
            assert!(batch.num_rows() <= most, "a batch of {} rows; {}", batch.num_rows(), self.shown);
            self.compare(&batch);
        }
        Ok(())
    }

    fn compare(&mut self, batch: &RecordBatch) {
        let Self { expected, given, shown } = self;
        let rows = batch.num_rows();
        assert!(*given + rows <= expected.len(), "{} rows, expected {}; {shown}", *given + rows, expected.len());
        for (at, column) in batch.columns().iter().enumerate() {
            column.to_data().validate_full().unwrap_or_else(|e| panic!("column {at}: {e}; {shown}"));
            let values = column.as_string::<i32>();
            for (row, expected) in expected[*given..*given + rows].iter().enumerate() {
                let found = values.is_valid(row).then(|| values.value(row).as_bytes());
                let (row, expected) = (*given + row, expected[at].as_deref());
                let text = |value: Option<&[u8]>| value.map_or("null".to_owned(), |v| v.escape_ascii().to_string());
                assert!(
                    found == expected,
                    "row {row}, column {at}: `{}`, expected `{}`; {shown}",
                    text(found),
                    text(expected)
                );
            }
        }
        *given += rows;
    }
}

fn shown(choice: &Choice, text: &[u8]) -> String {
    let run = &choice.run;
    format!(
        "{:?}, batches of {} rows and {} bytes, {} threads, of `{}`",
        choice.dialect,
        run.batch_size,
        run.batch_bytes,
        run.threads,
        text.escape_ascii()
    )
}

/// The first fault ends the run, and all rows come before it but those of its batch.
fn until_the_first_fault(choice: &Choice, text: &[u8], reference: &Reference) {
    let context = Context::new(choice.run.clone().check().expect("sizes above zero"), || Ok(()));
    let good = reference.records.iter().take_while(|record| record.fault.is_none());
    let mut run =
        Run { expected: good.map(|record| &record.fields[..]).collect(), given: 0, shown: shown(choice, text) };
    let end = run.read(choice, text, reference.width, &context);
    let Run { expected, given, shown } = run;
    match (reference.faults().next(), end) {
        (None, Ok(())) => assert!(given == expected.len(), "{given} rows, expected {}; {shown}", expected.len()),
        (Some((record, fault)), Err(Error::Parse { place, message })) => {
            let at = if let Fault::Unclosed { quote } = fault { *quote } else { record.start };
            let line = reference.line(at);
            let found = (place.line, place.offset, place.column.as_deref(), place.path.as_deref());
            let column = fault.column().map(|i| format!("c{i}"));
            let expected_place = (Some(line), Some(at as u64), column.as_deref(), Some("x.csv"));
            assert!(found == expected_place, "{found:?}, expected {expected_place:?} ({message}); {shown}");
            let words = fault.words(reference.width);
            assert!(
                message.starts_with(&format!("x.csv:{line}: ")) && message.contains(&words),
                "{message}, expected {words}; {shown}"
            );
            let lost = expected.len() - given;
            assert!(lost < choice.run.batch_size, "{given} rows of {} come before the error; {shown}", expected.len());
        }
        (fault, end) => panic!("{end:?}, expected {fault:?}; {shown}"),
    }
    within_the_limit(&context, &shown);
}

/// All records come that are some, and all others are told.
fn without_the_faults(choice: &Choice, text: &[u8], reference: &Reference) {
    let context = Context::new(choice.run.clone().check().expect("sizes above zero"), || Ok(()));
    let rejects = Rejects::default();
    let file = rejects.clone();
    context.logs.open_with(Box::new(move |_: &Path| Ok(Box::new(file.clone()))));
    let bearing = Bearing { rejects: Some("x.rejects".into()), max_errors: None };
    let options = CsvOptions { on_error: OnError::Skip, bearing: Arc::new(bearing), ..choice.options.clone() };
    let choice = Choice { options, ..choice.clone() };
    let good = reference.records.iter().filter(|record| record.fault.is_none());
    let mut run =
        Run { expected: good.map(|record| &record.fields[..]).collect(), given: 0, shown: shown(&choice, text) };
    let end = run.read(&choice, text, reference.width, &context);
    let Run { expected, given, shown } = run;
    assert!(end.is_ok() && given == expected.len(), "{end:?}, {given} rows, expected {}; {shown}", expected.len());
    context.logs.finish(&context).expect("no disk that could fail");
    let rejects = rejects.0.lock().expect("no panic");
    let faults: Vec<_> = reference.faults().collect();
    assert!(rejects.len() == faults.len(), "{rejects:?}, expected {faults:?}; {shown}");
    for ((record, fault), (line, reason, raw)) in faults.into_iter().zip(&*rejects) {
        let expected_line = reference.line(record.start);
        assert!(*line == expected_line, "line {line}, expected {expected_line}; {shown}");
        let words = fault.words(reference.width);
        assert!(reason.contains(&words), "{reason}, expected {words}; {shown}");
        let expected_raw = String::from_utf8_lossy(&text[record.start..record.text_end]);
        assert!(*raw == expected_raw, "{raw:?}, expected {expected_raw:?}; {shown}");
    }
    drop(rejects);
    within_the_limit(&context, &shown);
}

fn within_the_limit(context: &Context, shown: &str) {
    if context.options.memory_limit.is_some() {
        assert!(context.memory.peak() <= LIMIT, "{} bytes; {shown}", context.memory.peak());
    }
    assert!(context.memory.held() == 0, "{} bytes were not given back; {shown}", context.memory.held());
}

/// The rejects of a run: line, reason and text.
#[derive(Clone, Default)]
struct Rejects(Arc<Mutex<Vec<(u64, String, String)>>>);

impl RejectFile for Rejects {
    fn put(&mut self, batch: RecordBatch, _: Lease, _: &Context) -> Result<()> {
        let lines = batch.column(1).as_primitive::<Int64Type>();
        let [reasons, texts] = [3, 4].map(|at| batch.column(at).as_string::<i32>());
        let rows = (0..batch.num_rows())
            .map(|row| (lines.value(row).cast_unsigned(), reasons.value(row).to_owned(), texts.value(row).to_owned()));
        self.0.lock().expect("no panic").extend(rows);
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Context) -> Result<()> {
        Ok(())
    }
}

/// Whether the crate's rules are the reference's for all of `text`. As far as they are, so must the records be.
///
/// They are not where fields are trimmed (the crate trims quoted ones too), where a comment is more than a byte or ends
/// otherwise than with `\n`, and from the first record on that has text behind a closing quote or is not closed.
fn same_as_the_crate(dialect: &CsvDialect, text: &[u8], reference: &Reference) -> bool {
    let comment = dialect.comment.as_deref().unwrap_or_default();
    if dialect.trim || comment.len() > 1 || reference.odd_comment {
        return false;
    }
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(dialect.delimiter).escape(dialect.escape);
    builder.comment(comment.first().copied());
    match dialect.quote {
        Some(quote) => builder.quote(quote),
        None => builder.quoting(false),
    };
    let mut theirs = builder.from_reader(text).into_byte_records();
    // It leaves out empty lines, whatever they stand for.
    for ours in reference.records.iter().filter(|record| !record.blank) {
        if matches!(ours.fault, Some(Fault::Unclosed { .. } | Fault::Stray)) {
            return false;
        }
        let record = theirs.next().map(|record| record.expect("any bytes are some"));
        let same = record.as_ref().is_some_and(|record| {
            record.len() == ours.fields.len()
                && record.iter().zip(&ours.fields).all(|(theirs, ours)| theirs == ours.as_deref().unwrap_or_default())
        });
        assert!(same, "{record:?} of the crate, {ours:?} of the reference; {dialect:?} `{}`", text.escape_ascii());
    }
    let more = theirs.next();
    assert!(more.is_none(), "{more:?} of the crate, no more of the reference; {dialect:?} `{}`", text.escape_ascii());
    true
}
