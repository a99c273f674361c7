//! One CSV input: a file, bytes in memory, a pipe, a gz or zst stream.
//!
//! | file | |
//! |---|---|
//! | `file` | an input as it was found: names, types, dialect, how its bytes are reached |
//! | `encoding` | other encodings → UTF-8 |
//! | `header`, `sample`, `infer` | names and types of a file |
//! | `sniff` | the delimiter, and whether there is a header, where nobody says |
//! | `masks` | 64 bytes → a bit for each that separates fields, ends a record, or is out of the ordinary |
//! | `marks` | where delimiters, quotes and line ends stand, one after the other |
//! | `cut`, `scan` | text → pieces of whole records, in order |
//! | `split`, `regular` | a piece → records and fields: any, and those of regular text |
//! | `index` | where the fields of a block stand |
//! | `judge` | predicates that the reader applies → the records that are left |
//! | `column`, `values`, `text` | fields → columns |
//! | `number`, `time`, `unescape` | one value |
//! | `read` | a run: cuts on the one hand, batches on the other |
//! | `batches` | the batches of a piece |
//! | `found` | bad records and values, on their way to the log of rejects |
//! | `fault` | the same in words |
//!
//! The text is read once. `next` cuts it, in order, into pieces of whole records (64 KiB at first, up to 1 MiB as the
//! file goes on), which takes a scan for quotes and line ends and no more; workers split and parse the pieces, some
//! hundred records at a time, so that these stay in the cache from the first look to the last value. Both go 64 bytes
//! at a time where text is regular, and byte by byte through a record that is not.
//! Memory held: the pieces under way, a batch of each, and an index of at most 160 KiB a worker.
//!
//! Structure, that is fields, quotes and encoding, is checked in every record; values only in the columns wanted and,
//! behind a predicate that the reader applies, in the records that are left.

mod batches;
mod column;
mod cut;
mod encoding;
mod fault;
mod file;
mod found;
mod header;
mod index;
mod infer;
mod judge;
mod marks;
mod masks;
mod number;
mod read;
mod regular;
mod sample;
mod scan;
mod sniff;
mod split;
mod text;
mod time;
mod unescape;
mod values;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::context::Context;
use crate::dtype::announced;
use crate::error::{Error, Result, listed};
use crate::format::{CsvDialect, CsvOptions, NullValues, OnError, one_byte};
use crate::piece::{Pieces, Place, Pushdown, Pushed, Source};
use crate::source::filter::RowFilter;
use crate::source::inflate::Room;
use crate::source::read_at::Input;

use column::{Nulls, Writing};
use cut::{Cutter, SMALL};
use encoding::Encoding;
use file::{Feed, File, Kept, Unread, once, take_kept};
use header::Header;
use read::{Cuts, Run};
use sample::Sample;

/// A CSV input as a source. Cheap to narrow; runs share what it knows.
#[derive(Debug)]
pub struct CsvSource {
    file: Arc<File>,
    columns: Arc<[usize]>,
    schema: SchemaRef,
    /// Predicates that the reader applies, before it parses the other columns.
    filter: Option<Arc<RowFilter>>,
    limit: Option<u64>,
}

impl CsvSource {
    /// Describes `input`. Reads the header and a sample of the values; nothing at all if `options` has a schema.
    /// What is read of a live input is kept and given to its run.
    ///
    /// # Errors
    /// The input's; arguments that make no sense or are not built; a file without columns.
    pub fn open(input: Input, options: CsvOptions) -> Result<Arc<Self>> {
        Self::with_piece_bytes(input, options, None)
    }

    /// As [`CsvSource::open`], with pieces of about `piece_bytes` bytes.
    fn with_piece_bytes(input: Input, options: CsvOptions, piece_bytes: Option<usize>) -> Result<Arc<Self>> {
        let file = Arc::new(describe(input, &options, piece_bytes)?);
        let all: Vec<&str> = file.names.iter().map(String::as_str).collect();
        let columns = match &options.columns {
            None => (0..all.len()).collect(),
            Some(wanted) => chosen(&all, wanted)?,
        };
        let source = Self::of(file, columns, None, None);
        for field in source.schema.fields() {
            read::check(field.name(), field.data_type(), &source.file)?;
        }
        Ok(Arc::new(source))
    }

    fn of(file: Arc<File>, columns: Vec<usize>, filter: Option<Arc<RowFilter>>, limit: Option<u64>) -> Self {
        let field = |i: &usize| Field::new(&file.names[*i], file.types[*i].clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Self { file, columns: columns.into(), schema, filter, limit }
    }
}

/// The places in `all` of the names in `wanted`.
fn chosen(all: &[&str], wanted: &[String]) -> Result<Vec<usize>> {
    let mut out = Vec::with_capacity(wanted.len());
    for name in wanted {
        let at = position(all, name)?;
        if out.contains(&at) {
            return Err(Error::Value(format!("column `{name}` is asked for twice")));
        }
        out.push(at);
    }
    Ok(out)
}

fn position(all: &[&str], name: &str) -> Result<usize> {
    all.iter().position(|n| *n == name).ok_or_else(|| Error::no_column(name, all.iter().copied()))
}

/// Finds out what `options` leave open.
fn describe(input: Input, options: &CsvOptions, piece_bytes: Option<usize>) -> Result<File> {
    let name = input.name().to_owned();
    let mut dialect = options.dialect()?;
    let encoding = Encoding::named(&options.encoding)?;
    let mut guesses = Guesses { has_header: options.has_header.unwrap_or(true), shown: Vec::new() };
    let writing = Arc::new(Writing {
        decimal: one_byte("decimal", &options.decimal)?,
        thousands: options.thousands.as_deref().map(|t| one_byte("thousands", t)).transpose()?,
        truths: options.true_values.clone(),
        lies: options.false_values.clone(),
        patterns: time::Patterns::new(options.datetime_formats.as_deref().unwrap_or_default())?,
    });
    if writing.thousands == Some(writing.decimal) {
        return Err(Error::Value("`decimal` and `thousands` must differ".into()));
    }
    let (mut kept, mut written) = (None, None);
    let (names, mut types, nulls, origin);
    if let Some(schema) = &options.schema {
        if options.is_sniffed() {
            if matches!(input, Input::Live(_)) {
                return Err(Error::Value(format!(
                    "{name}: \"auto\" with a schema reads an input that can be read once only; pass delimiter= and has_header="
                )));
            }
            let mut cutter = Unread::of(&input)?.open(&name, encoding, &dialect, 0, (&Room::default(), 1))?.0;
            cutter.prologue(options.skip_rows, None)?;
            guesses.make(&mut cutter, &name, options, &mut dialect, &writing)?;
        }
        let given = schema.fields().iter().map(|f| f.name().clone()).collect();
        names = header::renamed(given, options.new_columns.as_deref())?;
        nulls = nulls_of(&names, &options.null_values)?;
        types = schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        origin = "schema as given".to_owned();
    } else {
        let found = look(&input, options, encoding, &mut dialect, &writing, &mut guesses)?;
        (names, types, nulls, origin) = (found.names, found.types, found.nulls, found.origin);
        (kept, written) = (found.kept, Some(found.written));
    }
    if names.is_empty() {
        return Err(Error::Value(format!("{name}: `schema` has no columns")));
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    for (name, dtype) in &options.dtypes {
        types[position(&all, name).map_err(|e| e.context("dtypes"))?] = dtype.clone();
    }
    let said = |name: &String| options.dtypes.iter().any(|(n, _)| n == name);
    for (name, dtype) in options.hint.iter().filter(|(name, _)| options.schema.is_none() && !said(name)) {
        if let Some(at) = all.iter().position(|n| n == name) {
            types[at] = dtype.clone();
        }
    }
    types = types.iter().map(announced).collect();
    let input = match input {
        Input::Seekable(at) => Input::Seekable(at.closed().unwrap_or(at)),
        live @ Input::Live(_) => live,
    };
    Ok(File {
        name,
        input,
        dialect,
        has_header: guesses.has_header,
        given: options.schema.clone(),
        skip_rows: options.skip_rows,
        names,
        types,
        nulls,
        writing,
        on_error: options.on_error,
        bearing: options.bearing.clone(),
        origin,
        kept: Mutex::new(kept),
        piece_bytes,
        compression: OnceLock::new(),
        encoding,
        written: written.map_or_else(OnceLock::new, OnceLock::from),
        guesses: guesses.shown,
    })
}

/// What the caller left to be found out.
struct Guesses {
    has_header: bool,
    /// In words, for `explain()`.
    shown: Vec<String>,
}

impl Guesses {
    /// Looks at what comes next, behind the prologue.
    fn make(
        &mut self,
        cutter: &mut Cutter,
        name: &str,
        options: &CsvOptions,
        dialect: &mut CsvDialect,
        writing: &Writing,
    ) -> Result<()> {
        if options.delimiter == "auto" {
            let (delimiter, records) = cutter.peek(sniff::SAMPLE)?.delimiter(name, dialect, writing)?;
            dialect.delimiter = delimiter;
            cutter.set_dialect(dialect.clone());
            self.shown.push(format!("delimiter: `{}`, found in {records} records", delimiter.escape_ascii()));
        }
        if options.has_header.is_none() {
            let nulls = match &options.null_values {
                NullValues::Everywhere(texts) => Nulls::new(texts),
                NullValues::ByColumn(_) => Nulls::new(&[String::new()]),
            };
            self.has_header = cutter.peek(sniff::SAMPLE)?.has_header(name, dialect, writing, &nulls)?;
            self.shown.push(format!("header: found {}", if self.has_header { "one" } else { "none" }));
        }
        Ok(())
    }
}

fn nulls_of(names: &[String], values: &NullValues) -> Result<Vec<Nulls>> {
    match values {
        NullValues::Everywhere(texts) => Ok(vec![Nulls::new(texts); names.len()]),
        NullValues::ByColumn(columns) => {
            let all: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut out = vec![Nulls::new(&[String::new()]); names.len()];
            for (name, texts) in columns {
                out[position(&all, name).map_err(|e| e.context("null_values"))?] = Nulls::new(texts);
            }
            Ok(out)
        }
    }
}

/// What a look at the file tells.
struct Found {
    names: Vec<String>,
    types: Vec<DataType>,
    nulls: Vec<Nulls>,
    origin: String,
    kept: Option<Kept>,
    written: Encoding,
}

fn look(
    input: &Input,
    options: &CsvOptions,
    encoding: Encoding,
    dialect: &mut CsvDialect,
    writing: &Writing,
    guesses: &mut Guesses,
) -> Result<Found> {
    let name = input.name();
    let live = matches!(input, Input::Live(_));
    if live && options.infer_schema_length.is_none() {
        return Err(Error::Value(format!(
            "{name}: infer_schema_length=None reads all of the input, and this one can be read once only; pass schema="
        )));
    }
    let room = Room::default();
    let (mut cutter, written) = Unread::of(input)?.open(name, encoding, dialect, 0, (&room, 1))?;
    cutter.prologue(options.skip_rows, None)?;
    guesses.make(&mut cutter, name, options, dialect, writing)?;
    let (dialect, has_header) = (&*dialect, guesses.has_header);
    let mut cuts = VecDeque::new();
    let mut first = Header::default();
    while first.values.is_empty() {
        let next = if has_header { cutter.first(None)? } else { cutter.cut(SMALL, None)? };
        let Some(cut) = next else { break };
        first = header::first_record(name, written, &cut, dialect)?;
        if !has_header && (live || !first.values.is_empty()) {
            cuts.push_back(cut);
        }
    }
    if first.values.is_empty() {
        return Err(Error::Format(format!(
            "{name}: is empty: expected {}; pass schema= to read it as no rows",
            if has_header { "a header" } else { "a record" }
        )));
    }
    let names = if has_header {
        let trimmed = |name: String| if dialect.trim { name.trim().to_owned() } else { name };
        header::distinct(first.values.iter().cloned().map(trimmed).collect())
    } else {
        (0..first.values.len()).map(|i| format!("column_{i}")).collect()
    };
    let names = header::renamed(names, options.new_columns.as_deref())?;
    header::check_names(name, &first, &names)?;
    let nulls = nulls_of(&names, &options.null_values)?;
    cutter.set_width(names.len());
    for cut in &mut cuts {
        cut.recount(dialect, names.len());
    }

    let mut sample = Sample::new(dialect, &nulls, writing, options.try_parse_dates);
    let wanted = options.infer_schema_length;
    let (head, windows) = match (wanted, input) {
        (Some(rows), Input::Seekable(_)) => sample::shares(rows),
        (rows, _) => (rows.unwrap_or(usize::MAX), 0),
    };
    for cut in &cuts {
        sample.first(cut, head);
    }
    let (more, all) = sample.head(&mut cutter, wanted.map(|_| head), live)?;
    cuts.extend(more);
    if let Input::Seekable(at) = input
        && !all
        && windows > 0
        && at.size() > cutter.offset()
        && cutter.is_as_it_stands()
    {
        sample.windows(at.as_ref(), cutter.offset(), windows)?;
    }
    let origin = format!("schema inferred from {} records", sample.rows());
    let types = sample.types();
    Ok(Found { names, types, nulls, origin, kept: live.then_some(Kept { cutter, cuts, room }), written })
}

impl Source for CsvSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn push(&self, wish: &Pushdown) -> Result<Pushed> {
        let columns = match &wish.columns {
            None => self.columns.to_vec(),
            Some(wanted) => {
                let names: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
                chosen(&names, wanted)?.into_iter().map(|i| self.columns[i]).collect()
            }
        };
        let limit = [self.limit, wish.limit].into_iter().flatten().min();
        // Behind a limit, a predicate would see rows that the limit has cut off. Where bad records are told, all are.
        let judges = limit.is_none() && self.file.on_error == OnError::Raise && self.filter.is_none();
        let judged = if judges { &wish.predicates[..] } else { &[] };
        let (filter, mut exact) = RowFilter::of(judged, &self.schema)?;
        exact.resize(wish.predicates.len(), false);
        let filter = filter.map(Arc::new).or_else(|| self.filter.clone());
        Ok(Pushed { source: Arc::new(Self::of(self.file.clone(), columns, filter, limit)), exact })
    }

    fn start(self: Arc<Self>, from: Option<&Place>, context: &Arc<Context>) -> Result<Arc<dyn Pieces>> {
        let file = self.file.clone();
        let mut kept = VecDeque::new();
        let feed = match (&file.input, take_kept(&file)) {
            (Input::Live(live), _) if from.is_some() => return Err(once(live.name())),
            (_, Some(of)) => {
                kept = of.cuts;
                of.room.bind(&context.memory.holder("csv reader", None))?;
                Feed::Open(of.cutter)
            }
            (input, None) => Feed::Closed(Unread::of(input)?),
        };
        let cuts = Cuts { kept, feed, from: from.copied(), given: 0 };
        Ok(Arc::new(Run::new(
            file,
            self.columns.clone(),
            self.schema.clone(),
            (self.limit, self.filter.clone()),
            cuts,
            context,
        )?))
    }

    fn explain(&self) -> Vec<String> {
        let file = &self.file;
        let names: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
        let mut lines = vec![format!("csv {}: {}", file.name, file.origin)];
        let of = file.names.len();
        lines.push(if names.len() == of {
            format!("columns: all {of}")
        } else {
            format!("columns: {} of {of}: {}", names.len(), listed(&names))
        });
        lines.push("checked: structure of every record, values of these columns".to_owned());
        if let Some(filter) = &self.filter {
            lines.push(format!("filtered before other columns are parsed: {filter}"));
            lines.push("checked of the rows left out: structure, values of the filter's columns".to_owned());
        }
        lines.extend(file.guesses.iter().cloned());
        if let Some(Some(compression)) = file.compression.get() {
            lines.push(format!("inflated: {}", compression.name()));
        }
        if file.encoding() != Encoding::Utf8 {
            lines.push(format!("decoded: {}", file.encoding().name()));
        }
        if let Some(limit) = self.limit {
            lines.push(format!("reads no piece beyond {limit} rows"));
        }
        lines
    }

    fn paths(&self) -> Vec<PathBuf> {
        match &self.file.input {
            Input::Seekable(at) => at.path().map(PathBuf::from).into_iter().collect(),
            Input::Live(_) => Vec::new(),
        }
    }

    fn rejects(&self) -> Option<PathBuf> {
        self.file.bearing.rejects.clone()
    }

    fn one_shot(&self) -> bool {
        matches!(self.file.input, Input::Live(_))
    }

    fn on_consumer(&self) -> bool {
        self.file.input.on_consumer()
    }
}

#[cfg(test)]
mod tests;
