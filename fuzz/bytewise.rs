//! The rules of `src/source/csv/split.rs`, followed one byte at a time: slow, and plain enough to be seen to be right.

use batchstream::format::CsvDialect;

/// Why a record is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The text ends inside quotes.
    Unclosed {
        /// Where they open.
        quote: usize,
    },
    /// Text stands behind a closing quote.
    Stray,
    /// It has another number of fields than the first.
    Ragged {
        /// How many.
        found: usize,
    },
    /// A field is no UTF-8.
    NoUtf8 {
        /// Which.
        column: usize,
    },
    /// A field that is not quoted holds a zero byte.
    Zero {
        /// Which.
        column: usize,
    },
}

impl Fault {
    /// The column that is wrong, if it is one.
    pub fn column(self) -> Option<usize> {
        match self {
            Fault::NoUtf8 { column } | Fault::Zero { column } => Some(column),
            _ => None,
        }
    }

    /// What a message must say of it.
    pub fn words(self, width: usize) -> String {
        match self {
            Fault::Unclosed { .. } => "the quote that opens here is never closed".to_owned(),
            Fault::Stray => "behind a closing quote".to_owned(),
            Fault::Ragged { found } => {
                format!("expected {width} field{}, found {found}", if width == 1 { "" } else { "s" })
            }
            Fault::NoUtf8 { .. } => "expected UTF-8".to_owned(),
            Fault::Zero { .. } => "a zero byte outside quotes".to_owned(),
        }
    }
}

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its first byte.
    pub start: usize,
    /// Behind its last byte, the line end left out.
    pub text_end: usize,
    /// Its values; `None` is null.
    pub fields: Vec<Option<Vec<u8>>>,
    /// It is an empty line.
    pub blank: bool,
    /// Why it is none.
    pub fault: Option<Fault>,
    /// Behind its line end.
    end: usize,
    /// The first field that is no text, which counts where nothing else is wrong.
    no_text: Option<Fault>,
}

/// A text, as the rules have it.
#[derive(Debug)]
pub struct Reference<'a> {
    text: &'a [u8],
    /// The fields of the first record that is no empty line; 1 if there is none.
    pub width: usize,
    /// All records, good and bad.
    pub records: Vec<Record>,
    /// Whether a comment ends with a lone `\r`, or with the text.
    pub odd_comment: bool,
}

impl<'a> Reference<'a> {
    /// Reads `text`.
    pub fn of(dialect: &CsvDialect, text: &'a [u8]) -> Self {
        let mut at = 0;
        while text[at..].starts_with(b"\xef\xbb\xbf") {
            at += 3;
        }
        let mut all = Vec::new();
        let mut odd_comment = false;
        while at < text.len() {
            if dialect.comment.as_ref().is_some_and(|prefix| text[at..].starts_with(prefix)) {
                while at < text.len() && !matches!(text[at], b'\n' | b'\r') {
                    at += 1;
                }
                let end = behind_line_end(text, at);
                odd_comment |= text[at..end].last() != Some(&b'\n');
                at = end;
                continue;
            }
            let record = record(dialect, text, at);
            at = record.end;
            all.push(record);
        }
        let width = all.iter().find(|record| !record.blank).map_or(1, |record| record.fields.len());
        let mut records = Vec::new();
        for mut record in all {
            if record.blank && width > 1 {
                if dialect.skip_blank_lines {
                    continue;
                }
                record.fields = vec![None; width];
            }
            let found = record.fields.len();
            let ragged = (found != width).then_some(Fault::Ragged { found });
            record.fault = record.fault.or(ragged).or(record.no_text);
            records.push(record);
        }
        Self { text, width, records, odd_comment }
    }

    /// The records that are none.
    pub fn faults(&self) -> impl Iterator<Item = (&Record, &Fault)> {
        self.records.iter().filter_map(|record| Some((record, record.fault.as_ref()?)))
    }

    /// The line that byte `at` is in, from 1.
    pub fn line(&self, at: usize) -> u64 {
        let mut line = 1;
        let mut from = 0;
        while from < at {
            let behind = behind_line_end(self.text, from);
            line += u64::from(behind > from);
            from = behind.max(from + 1);
        }
        line
    }
}

/// Behind the line end at `at`, or `at` if there is none.
fn behind_line_end(text: &[u8], at: usize) -> usize {
    match text[at..] {
        [b'\r', b'\n', ..] => at + 2,
        [b'\r' | b'\n', ..] => at + 1,
        _ => at,
    }
}

/// Where in a field a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    /// In front of its first byte.
    Front,
    /// In it, outside quotes.
    Plain,
    /// In quotes.
    Quotes,
    /// In quotes, behind an escape character.
    Escaped,
    /// Behind a quote in quotes: closed, unless another follows.
    Closed,
    /// Behind that.
    Behind,
}

/// A field that is being read.
#[derive(Default)]
struct Cell {
    /// Its value so far.
    value: Vec<u8>,
    /// The text that it is made of, without the quotes around it.
    raw: Vec<u8>,
    quoted: bool,
}

impl Cell {
    fn push(&mut self, byte: u8) {
        self.value.push(byte);
        self.raw.push(byte);
    }
}

/// The record at `start`.
fn record(dialect: &CsvDialect, text: &[u8], start: usize) -> Record {
    let (mut fields, mut cell) = (Vec::new(), Cell::default());
    let (mut fault, mut no_text) = (None, None);
    let (mut place, mut quote, mut at) = (In::Front, start, start);
    loop {
        let byte = text.get(at).copied();
        let is = |other: Option<u8>| byte.is_some() && byte == other;
        let in_quotes = matches!(place, In::Quotes | In::Escaped);
        match byte {
            None if in_quotes => {
                fault = Some(Fault::Unclosed { quote });
                fields.push(None);
                break;
            }
            Some(byte) if place == In::Escaped => {
                cell.push(byte);
                place = In::Quotes;
            }
            Some(byte) if place == In::Quotes => {
                if is(dialect.escape) {
                    cell.raw.push(byte);
                    place = In::Escaped;
                } else if is(dialect.quote) {
                    place = In::Closed;
                } else {
                    cell.push(byte);
                }
            }
            Some(byte) if place == In::Closed && is(dialect.quote) => {
                cell.raw.push(byte);
                cell.push(byte);
                place = In::Quotes;
            }
            None | Some(b'\n' | b'\r') => {
                fields.push(ended(dialect, std::mem::take(&mut cell), fields.len(), &mut no_text));
                break;
            }
            Some(byte) if byte == dialect.delimiter => {
                fields.push(ended(dialect, std::mem::take(&mut cell), fields.len(), &mut no_text));
                place = In::Front;
            }
            Some(byte) if matches!(place, In::Closed | In::Behind) => {
                if !(dialect.trim && byte.is_ascii_whitespace()) {
                    fault = Some(Fault::Stray);
                }
                place = In::Behind;
            }
            Some(_) if place == In::Front && is(dialect.quote) => {
                cell = Cell { quoted: true, ..Cell::default() };
                (quote, place) = (at, In::Quotes);
            }
            // Blanks leave it open whether quotes follow.
            Some(byte) if place == In::Front && dialect.trim && byte.is_ascii_whitespace() => cell.push(byte),
            Some(byte) => {
                cell.push(byte);
                place = In::Plain;
            }
        }
        at += 1;
    }
    let end = behind_line_end(text, at);
    let text_end = match text[..at] {
        [.., b'\r', b'\n'] if at == text.len() => at - 2,
        [.., b'\r' | b'\n'] if at == text.len() => at - 1,
        _ => at,
    };
    Record { start, text_end, fields, blank: at == start && end > start, fault, end, no_text }
}

/// The value of a field that has ended.
fn ended(dialect: &CsvDialect, cell: Cell, column: usize, no_text: &mut Option<Fault>) -> Option<Vec<u8>> {
    let Cell { value, raw, quoted } = cell;
    if std::str::from_utf8(&raw).is_err() {
        no_text.get_or_insert(Fault::NoUtf8 { column });
    } else if !quoted && raw.contains(&0) {
        no_text.get_or_insert(Fault::Zero { column });
    }
    if quoted {
        return Some(value);
    }
    let value = if dialect.trim { value.trim_ascii().to_vec() } else { value };
    (!value.is_empty()).then_some(value)
}
