//! Records and fields: the structure of delimited text.
//!
//! The rules are the `csv` crate's, whose records the tests hold these against:
//!
//! - A field is quoted if its first byte is a quote, blanks left out of account where fields are trimmed; a quote anywhere
//!   else is text.
//! - In quotes a doubled quote is one quote, and an escape character, where there is one, makes the next byte text.
//! - A record ends with `\n`, `\r\n` or a lone `\r`, outside quotes, or with the input.
//! - A line that begins with the comment prefix is no record.
//!
//! Four things differ, because the crate loses what they need. A field keeps whether it was quoted: an empty
//! unquoted one is null, an empty quoted one is text. An input that ends in quotes is a fault, not a record; and so is
//! text between a closing quote and the delimiter (blanks are none where fields are trimmed), of which every reader
//! makes something else. An empty line of a file of one column is a record whose value is null, as it is for polars and `DuckDB`, so that a column
//! written as CSV comes back as it was.

use arrow::array::BooleanArray;

use crate::format::CsvDialect;

use super::index::{Field, Index};
use super::marks::Marks;
use super::masks::{Machine, Rules};
use super::regular::{AHEAD, Regular};

/// A piece of text is never larger, so that a field fits 30 bits.
pub(super) const LARGEST: usize = 1 << 30;

/// Why a record is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It has `found` fields, another number than the others.
    Ragged {
        /// Where the record begins.
        start: usize,
        /// Its fields.
        found: usize,
    },
    /// The input ends inside quotes.
    Unclosed {
        /// Where the record begins.
        start: usize,
        /// Where the quote opened.
        quote: usize,
    },
    /// A closing quote is followed by more than a delimiter or a line end.
    Stray {
        /// Where the record begins.
        start: usize,
        /// Where the text behind the quote begins.
        at: usize,
    },
}

/// What a call of [`Splitter::block`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Where to go on.
    pub(super) end: usize,
    /// Why it stopped, if a record is bad.
    pub(super) fault: Option<Fault>,
}

/// Most rows and bytes that one call should give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// Rows.
    pub(super) rows: usize,
    /// Bytes, as an upper bound: `fixed` for each row and the bytes of its text. The first row is always given.
    pub(super) bytes: usize,
    /// See `bytes`.
    pub(super) fixed: usize,
}

impl Most {
    /// No limit but `rows`.
    pub(super) fn rows(rows: usize) -> Self {
        Self { rows, bytes: usize::MAX, fixed: 0 }
    }
}

/// Splits text into fields; keeps the arrays that it fills between calls.
#[derive(Debug)]
pub(super) struct Splitter {
    dialect: CsvDialect,
    /// What reads regular records; `None`: they are read like any others.
    machine: Option<Machine>,
    /// The fields of every record; `None`: whatever a record has.
    width: Option<usize>,
    /// The fields, record after record.
    pub(super) fields: Index,
    /// Where each record begins.
    pub(super) starts: Vec<u32>,
}

/// How a field ends.
enum Stop {
    Mark(usize),
    Input,
}

impl Splitter {
    /// A splitter for records of `width` fields.
    pub(super) fn new(dialect: CsvDialect, width: Option<usize>) -> Self {
        Self { dialect, machine: Some(Machine::here()), width, fields: Index::default(), starts: Vec::new() }
    }

    /// Records of the last block.
    pub(super) fn rows(&self) -> usize {
        self.starts.len()
    }

    /// Keeps the first `rows` records of the last block.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.fields.truncate(rows * self.width.unwrap_or(1));
        self.starts.truncate(rows);
    }

    /// Keeps the records of the last block, which ends at `end`, that `mask` says yes to; the bytes of their text.
    pub(super) fn retain(&mut self, mask: &BooleanArray, end: usize) -> usize {
        self.fields.retain(self.width.unwrap_or(1), mask.values().iter());
        let ends = self.starts.iter().skip(1).map(|start| *start as usize).chain([end]);
        let lengths = ends.zip(&self.starts).zip(mask.values().iter());
        let text = lengths.map(|((end, start), wanted)| if wanted { end - *start as usize } else { 0 }).sum();
        let mut wanted = mask.values().iter();
        self.starts.retain(|_| wanted.next() == Some(true));
        text
    }

    /// Where record `row` of the last block ends in `bytes`, without its line end.
    pub(super) fn end_of(&self, bytes: &[u8], row: usize) -> usize {
        let width = self.width.unwrap_or(1);
        let last = self.fields.get((row + 1) * width - 1).map_or(0, |field| field.end());
        last + bytes[last..].iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len() - last)
    }

    /// Splits the records of `bytes` from `from` on, until `most` is reached, a record is bad, or no byte is left.
    /// `from` must be where a record begins.
    ///
    /// Regular records are `regular`'s; where it finds one that is not, that one is read here and the next is tried there.
    pub(super) fn block(&mut self, bytes: &[u8], from: usize, most: Most) -> Block {
        self.fields.truncate(0);
        self.starts.clear();
        if let Some(width) = self.width {
            // No more fields than there are bytes, and one.
            let left = bytes.len() - from + 1;
            self.fields.ensure(most.rows.min(left).saturating_mul(width).min(left) + AHEAD);
            self.starts.reserve(most.rows.min(left / width));
        }
        let mut block = Block { end: from, fault: None };
        let mut full = false;
        while block.end < bytes.len() && block.fault.is_none() && !full {
            if let (Some(width), Some(machine)) = (self.width, self.machine) {
                let regular = Regular {
                    text: bytes,
                    from: block.end,
                    rules: Rules::of(&self.dialect),
                    width,
                    comment: self.dialect.comment.as_deref(),
                    block: from,
                    most,
                    fields: &mut self.fields,
                    starts: &mut self.starts,
                };
                (block.end, full) = machine.run(regular);
            }
            if block.end < bytes.len() && !full {
                (block, full) = self.record(bytes, from, block.end, most);
                full |= self.rows() >= most.rows;
            }
        }
        if self.dialect.trim {
            for field in self.fields.iter_mut().filter(|f| !f.is_quoted()) {
                let text = &bytes[field.start()..field.end()];
                let start = field.start() + (text.len() - text.trim_ascii_start().len());
                *field = Field::plain(start, start + text.trim_ascii().len());
            }
        }
        block
    }

    /// Reads the next record at `at`, whatever it looks like, with the blank lines and comments in front of it; `true` if
    /// it does not go into the block that begins at `from`.
    fn record(&mut self, bytes: &[u8], from: usize, at: usize, most: Most) -> (Block, bool) {
        let dialect = &self.dialect;
        let (delimiter, quote) = (dialect.delimiter, dialect.quote.unwrap_or(dialect.delimiter));
        let width = self.width.unwrap_or(usize::MAX);
        let mut marks = Marks::new(bytes, [delimiter, quote, b'\n', b'\r'], at);
        let mut at = at;
        let mut fault = None;
        while at < bytes.len() {
            if let Some(prefix) = &dialect.comment
                && bytes[at..].starts_with(prefix)
            {
                at = after_line(bytes, at);
                marks.seek(at);
                continue;
            }
            let (begin, kept) = (at, self.fields.len());
            let (mut start, mut count) = (at, 0);
            let end = loop {
                let (stop, field) = match marks.next() {
                    Some(p) if bytes[p] == delimiter => (Stop::Mark(p), Field::plain(start, p)),
                    Some(p) if bytes[p] == quote => {
                        if p != start && !(dialect.trim && bytes[start..p].iter().all(u8::is_ascii_whitespace)) {
                            continue;
                        }
                        let Some((stop, field, stray)) = quoted(dialect, bytes, &mut marks, p) else {
                            fault = Some(Fault::Unclosed { start: begin, quote: p });
                            break bytes.len();
                        };
                        if let (Some(at), None) = (stray, fault) {
                            fault = Some(Fault::Stray { start: begin, at });
                        }
                        (stop, field)
                    }
                    Some(p) => (Stop::Mark(p), Field::plain(start, p)),
                    None => (Stop::Input, Field::plain(start, bytes.len())),
                };
                count += 1;
                if count <= width {
                    self.fields.push(field);
                }
                match stop {
                    Stop::Mark(p) if bytes[p] == delimiter => start = p + 1,
                    Stop::Mark(p) if bytes[p] == b'\r' && bytes.get(p + 1) == Some(&b'\n') => {
                        marks.next();
                        break p + 2;
                    }
                    Stop::Mark(p) => break p + 1,
                    Stop::Input => break bytes.len(),
                }
            };
            at = end;
            if count == 1 && fault.is_none() && matches!(bytes[begin], b'\n' | b'\r') && width != 1 {
                self.fields.truncate(kept);
                if dialect.skip_blank_lines || self.width.is_none() {
                    continue;
                }
                (0..width).for_each(|_| self.fields.push(Field::plain(begin, begin)));
                count = width;
            }
            if fault.is_none() && self.width.is_some_and(|width| width != count) {
                fault = Some(Fault::Ragged { start: begin, found: count });
            }
            let used = at.saturating_sub(from).saturating_add(most.fixed.saturating_mul(self.starts.len() + 1));
            if fault.is_some() {
                self.fields.truncate(kept);
            } else if used > most.bytes && !self.starts.is_empty() {
                self.fields.truncate(kept);
                return (Block { end: begin, fault }, true);
            } else {
                #[expect(clippy::cast_possible_truncation, reason = "a piece is at most LARGEST bytes")]
                self.starts.push(begin as u32);
            }
            break;
        }
        (Block { end: at, fault }, false)
    }
}

/// The first byte behind the line that `at` is in.
pub(super) fn after_line(bytes: &[u8], at: usize) -> usize {
    match bytes[at..].iter().position(|b| matches!(b, b'\n' | b'\r')) {
        Some(n) if bytes[at + n] == b'\r' && bytes.get(at + n + 1) == Some(&b'\n') => at + n + 2,
        Some(n) => at + n + 1,
        None => bytes.len(),
    }
}

/// The field whose opening quote is at `open`, what ends it, and where text stands between its closing quote and there.
/// `None`: nothing closes it.
fn quoted(
    dialect: &CsvDialect,
    bytes: &[u8],
    marks: &mut Marks<'_>,
    open: usize,
) -> Option<(Stop, Field, Option<usize>)> {
    let quote = bytes[open];
    let mut raw = false;
    let close = if let Some(escape) = dialect.escape {
        let mut i = open + 1;
        let close = loop {
            i += bytes.get(i..)?.iter().position(|b| *b == quote || *b == escape)?;
            if bytes[i] == escape || bytes.get(i + 1) == Some(&quote) {
                raw = true;
                i += 2;
            } else {
                break i;
            }
        };
        marks.seek(close + 1);
        close
    } else {
        loop {
            let p = marks.next()?;
            if bytes[p] != quote {
                continue;
            }
            if bytes.get(p + 1) != Some(&quote) {
                break p;
            }
            marks.next();
            raw = true;
        }
    };
    let field = Field::quoted(open + 1, close, raw);
    if close + 1 == bytes.len() {
        return Some((Stop::Input, field, None));
    }
    let (stop, end) = loop {
        match marks.next() {
            Some(p) if p == close + 1 => return Some((Stop::Mark(p), field, None)),
            Some(p) if bytes[p] == quote => {}
            Some(p) => break (Stop::Mark(p), p),
            None => break (Stop::Input, bytes.len()),
        }
    };
    let blank = dialect.trim && bytes[close + 1..end].iter().all(u8::is_ascii_whitespace);
    Some((stop, field, (!blank).then_some(close + 1)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::rounds;
    use super::super::unescape::unescape;
    use super::*;

    /// The records of `text` as values, with whether they were quoted.
    fn records(dialect: &CsvDialect, width: Option<usize>, text: &[u8]) -> (Vec<Vec<Vec<u8>>>, Option<Fault>) {
        let mut splitter = Splitter::new(dialect.clone(), width);
        let (mut at, mut out) = (0, Vec::new());
        while at < text.len() {
            let block = splitter.block(text, at, Most::rows(1));
            if splitter.rows() > 0 {
                out.push(
                    splitter
                        .fields
                        .iter()
                        .map(|f| {
                            let mut value = Vec::new();
                            if f.is_raw() {
                                unescape(dialect, &text[f.start()..f.end()], &mut value);
                            } else {
                                value.extend_from_slice(&text[f.start()..f.end()]);
                            }
                            value
                        })
                        .collect(),
                );
            }
            if block.fault.is_some() {
                return (out, block.fault);
            }
            at = block.end;
        }
        (out, None)
    }

    fn of_the_crate(dialect: &CsvDialect, text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(dialect.delimiter).escape(dialect.escape);
        builder.comment(dialect.comment.as_ref().map(|c| c[0]));
        match dialect.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        if dialect.trim {
            builder.trim(csv::Trim::All);
        }
        let mut reader = builder.from_reader(text);
        reader.byte_records().map(|r| r.expect("bytes").iter().map(<[u8]>::to_vec).collect()).collect()
    }

    #[test]
    fn the_same_records_as_the_csv_crate() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) % n
        };
        let dialects = [
            CsvDialect::default(),
            CsvDialect { delimiter: b';', ..CsvDialect::default() },
            CsvDialect { quote: None, ..CsvDialect::default() },
            CsvDialect { quote: Some(b'\''), ..CsvDialect::default() },
            CsvDialect { escape: Some(b'\\'), ..CsvDialect::default() },
            CsvDialect { comment: Some(b"#".to_vec()), ..CsvDialect::default() },
            CsvDialect { delimiter: b'\t', escape: Some(b'#'), ..CsvDialect::default() },
        ];
        let mut compared = 0;
        for round in 0..rounds(60_000) {
            let dialect = &dialects[random(dialects.len() as u64) as usize];
            let len = if round % 50 == 0 { random(300) } else { random(24) };
            let letters: &[u8] = if dialect.comment.is_some() { b"a,\"\n#bc" } else { b"ab,;\"\"'\n\r\\#\t " };
            let text: Vec<u8> = (0..len).map(|_| letters[random(letters.len() as u64) as usize]).collect();
            // A comment that the input ends in is a record of one empty field for the crate.
            let end: &[u8] = if dialect.comment.is_some() { b"\n" } else { b"" };
            let text = [&text, end].concat();
            let (ours, fault) = records(dialect, None, &text);
            let theirs = of_the_crate(dialect, &text);
            match fault {
                None => {
                    compared += 1;
                    assert_eq!(ours, theirs, "{dialect:?} {:?}", String::from_utf8_lossy(&text));
                }
                Some(_) => assert_eq!(ours[..], theirs[..ours.len()], "{:?}", String::from_utf8_lossy(&text)),
            }
        }
        assert!(compared > 30_000, "{compared}");
    }

    #[test]
    fn regular_records_are_what_they_are_byte_by_byte() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from((state >> 11) % n).expect("small")
        };
        let dialects = [
            CsvDialect::default(),
            CsvDialect { quote: None, ..CsvDialect::default() },
            CsvDialect { escape: Some(b'\\'), ..CsvDialect::default() },
            CsvDialect { comment: Some(b"#".to_vec()), ..CsvDialect::default() },
            CsvDialect { comment: Some(b"ab".to_vec()), trim: true, ..CsvDialect::default() },
            CsvDialect { skip_blank_lines: false, ..CsvDialect::default() },
        ];
        let fields: [&[u8]; 15] = [
            b"",
            b"a",
            b"abc",
            b" b ",
            b"\"\"",
            b"\"x\"",
            b"\"y,\n\"",
            b"\"z\"\"z\"",
            b"#",
            b"a\"",
            b"\"q\\\"",
            b"\"s\"t",
            b"\r",
            b"\"\r\n\"",
            b" \"w,\n\" ",
        ];
        let ends: [&[u8]; 6] = [b"\n", b"\n", b"\r\n", b"\n\n", b"\r", b"\r\n\r\n"];
        let (mut bad, mut good) = (0, 0);
        for round in 0..rounds(60_000) {
            let dialect = &dialects[round % dialects.len()];
            let width = 1 + random(4);
            // Most of the texts have few kinds of fields, so that long stretches are regular.
            let (kinds, line_ends) = ([8, 8, 15][random(3)], [1, 3, 6][random(3)]);
            let mut text = Vec::new();
            for _ in 0..random(40) {
                let count = if random(60) == 0 { random(6) } else { width };
                let record: Vec<&[u8]> = (0..count).map(|_| fields[random(kinds)]).collect();
                text.extend(record.join(&b","[..]));
                text.extend_from_slice(ends[random(line_ends)]);
            }
            text.truncate(text.len().saturating_sub(random(3)));
            let most = Most { rows: 1 + random(30), bytes: 1 + random(600), fixed: random(9) };
            let mut slow = Splitter { machine: None, ..Splitter::new(dialect.clone(), Some(width)) };
            for machine in [Machine::here(), Machine::Plain] {
                let mut fast = Splitter { machine: Some(machine), ..Splitter::new(dialect.clone(), Some(width)) };
                let mut at = 0;
                while at < text.len() {
                    let (expected, found) = (slow.block(&text, at, most), fast.block(&text, at, most));
                    let shown =
                        || format!("{dialect:?} {width} {most:?} at {at} of {:?}", String::from_utf8_lossy(&text));
                    assert_eq!(found, expected, "{}", shown());
                    assert_eq!(fast.starts, slow.starts, "{}", shown());
                    assert_eq!(fast.fields[..], slow.fields[..], "{}", shown());
                    *if found.fault.is_some() { &mut bad } else { &mut good } += 1;
                    at = found.end;
                }
            }
        }
        assert!(bad > 20_000 && good > 50_000, "{bad} {good}");
    }

    #[test]
    fn quoted_and_unquoted_empties_differ() {
        let mut splitter = Splitter::new(CsvDialect::default(), Some(3));
        splitter.block(b"\"\",,\"a\"\"b\"\n", 0, Most::rows(9));
        let flags: Vec<_> = splitter.fields.iter().map(|f| (f.len(), f.is_quoted(), f.is_raw())).collect();
        assert_eq!(flags, [(0, true, false), (0, false, false), (4, true, true)]);
    }

    #[test]
    fn blank_lines() {
        let dialect = CsvDialect::default();
        let text = b"a\n\nb\r\n\r\n\n";
        let one: Vec<Vec<Vec<u8>>> =
            vec![vec![b"a".to_vec()], vec![vec![]], vec![b"b".to_vec()], vec![vec![]], vec![vec![]]];
        assert_eq!(records(&dialect, Some(1), text), (one, None));
        let kept = CsvDialect { skip_blank_lines: false, ..dialect.clone() };
        let two = vec![vec![b"a".to_vec(), b"b".to_vec()], vec![vec![], vec![]]];
        assert_eq!(records(&kept, Some(2), b"a,b\n\n"), (two.clone(), None));
        assert_eq!(records(&dialect, Some(2), b"\n\na,b\n\n"), (two[..1].to_vec(), None));
    }

    #[test]
    fn faults_say_where() {
        let dialect = CsvDialect::default();
        assert_eq!(records(&dialect, Some(2), b"a,b\nc\n").1, Some(Fault::Ragged { start: 4, found: 1 }));
        assert_eq!(records(&dialect, Some(2), b"a,b\nc,d,e,f\n").1, Some(Fault::Ragged { start: 4, found: 4 }));
        assert_eq!(records(&dialect, Some(2), b"a,b\nc,\"d\n").1, Some(Fault::Unclosed { start: 4, quote: 6 }));
    }

    #[test]
    fn most_bytes_still_gives_a_row() {
        let mut splitter = Splitter::new(CsvDialect::default(), Some(1));
        let text = b"aaaaaaaaaa\nb\nc\nd\n";
        let block = splitter.block(text, 0, Most { rows: 9, bytes: 5, fixed: 1 });
        assert_eq!((splitter.rows(), block.end), (1, 11));
        let block = splitter.block(text, block.end, Most { rows: 9, bytes: 6, fixed: 1 });
        assert_eq!((splitter.rows(), block.end), (2, 15));
    }

    #[test]
    fn trim_leaves_quoted_fields_alone() {
        let dialect = CsvDialect { trim: true, ..CsvDialect::default() };
        let expected = vec![vec![b"a".to_vec(), b" b ".to_vec(), b"".to_vec()]];
        assert_eq!(records(&dialect, Some(3), b" a\t,\" b \",  \n"), (expected, None));
        let expected = vec![vec![b"a,\n\"b".to_vec(), b" c".to_vec(), b"d \"e\"".to_vec()]];
        let text = b" \"a,\n\"\"b\" ,\t \" c\", d \"e\"\n";
        assert_eq!(records(&dialect, Some(3), text), (expected, None));
        assert_eq!(records(&dialect, Some(1), b"\n \"a").1, Some(Fault::Unclosed { start: 1, quote: 2 }));
        assert_eq!(records(&dialect, Some(1), b" \"a\" b\n").1, Some(Fault::Stray { start: 0, at: 4 }));
    }
}
