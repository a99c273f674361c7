//! Where records end in text that is still being read: what a cut needs to know.
//!
//! Text that is regular, as `masks` says, is scanned 64 bytes at a time; a record that is not, byte by byte.

use crate::format::CsvDialect;

use super::marks::Marks;
use super::masks::{Carry, Eye, Machine, Rules, Work, below, through, word};
use super::split::after_line;

/// How far a scan has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan {
    /// Where the last whole record ends, and lines and records up to there.
    pub(super) end: usize,
    pub(super) lines: u64,
    pub(super) records: u64,
    /// Where to go on, once there are more bytes.
    at: usize,
    lines_at: u64,
    records_at: u64,
    /// Whether the record that is not whole has to be read byte by byte.
    irregular: bool,
    /// Of a record that is read byte by byte.
    in_quotes: bool,
    /// Of the others.
    carry: Carry,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            end: 0,
            lines: 0,
            records: 0,
            at: 0,
            lines_at: 0,
            records_at: 0,
            irregular: false,
            in_quotes: false,
            carry: Carry::RECORD,
        }
    }
}

/// What the ends of records depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    pub(super) dialect: &'a CsvDialect,
    /// What scans regular text; `None`: all of it is scanned byte by byte.
    pub(super) machine: Option<Machine>,
    /// Whether an empty line is a record.
    pub(super) blank_counts: bool,
}

impl Scanner<'_> {
    /// Goes on with `scan` over `text`, of which no more will come if it has `ended`; for one record or for all of them.
    /// Stops in front of a byte whose meaning the next one decides.
    pub(super) fn go_on(self, scan: &mut Scan, text: &[u8], ended: bool, one: bool) {
        loop {
            if let (Some(machine), false) = (self.machine, one || scan.irregular) {
                machine.run(Ahead { scanner: self, scan, text });
                if !scan.irregular {
                    return;
                }
            }
            match self.record(scan, text, ended) {
                None => {
                    scan.irregular = true;
                    return;
                }
                Some(Line::Record) if one => return,
                Some(_) => (scan.irregular, scan.carry) = (false, Carry::RECORD),
            }
        }
    }

    /// Reads on byte by byte until a line ends a record, or is none. `None`: there are not enough bytes.
    fn record(self, scan: &mut Scan, text: &[u8], ended: bool) -> Option<Line> {
        let quote = self.dialect.quote.unwrap_or(b'\n');
        let mut marks = Marks::new(text, [quote, b'\n', b'\r', b'\n'], scan.at);
        if scan.end == scan.at
            && !scan.in_quotes
            && let Some(prefix) = &self.dialect.comment
        {
            let rest = &text[scan.at..];
            if rest.len() < prefix.len() && prefix.starts_with(rest) && !ended {
                return None;
            }
            if rest.starts_with(prefix) {
                let end = after_line(text, scan.at);
                if end == text.len() && !ended && text[end - 1] != b'\n' {
                    return None;
                }
                (scan.at, scan.lines_at) = (end, scan.lines_at + 1);
                scan.ended();
                return Some(Line::Empty);
            }
        }
        loop {
            let next = if scan.in_quotes && self.dialect.escape.is_some() {
                self.in_quotes_with_escape(text, ended, scan, &mut marks)
            } else {
                let next = marks.next();
                if next.is_none() {
                    scan.at = text.len();
                }
                next
            };
            let p = next?;
            let b = text[p];
            let known = p + 1 < text.len() || ended;
            if b == b'\n' {
                scan.at = p + 1;
            } else if b == b'\r' {
                if !known {
                    scan.at = p;
                    return None;
                }
                let pair = text.get(p + 1) == Some(&b'\n');
                if pair {
                    marks.next();
                }
                scan.at = p + 1 + usize::from(pair);
            } else {
                if scan.in_quotes {
                    if !known {
                        scan.at = p;
                        return None;
                    }
                    if text.get(p + 1) == Some(&quote) {
                        marks.next();
                        scan.at = p + 2;
                    } else {
                        scan.in_quotes = false;
                        scan.at = p + 1;
                    }
                } else {
                    let start = p - self.blanks_before(&text[scan.end..p]);
                    scan.in_quotes = start == scan.end || text[start - 1] == self.dialect.delimiter;
                    scan.at = p + 1;
                }
                continue;
            }
            scan.lines_at += 1;
            if !scan.in_quotes {
                let blank = p == scan.end;
                scan.records_at += u64::from(!blank || self.blank_counts);
                let line = if blank { Line::Empty } else { Line::Record };
                scan.ended();
                return Some(line);
            }
        }
    }

    /// How many blanks `text` ends with that may stand in front of a quote.
    fn blanks_before(self, text: &[u8]) -> usize {
        let is_blank = |b: &&u8| b.is_ascii_whitespace() && **b != self.dialect.delimiter;
        if self.dialect.trim { text.iter().rev().take_while(is_blank).count() } else { 0 }
    }

    /// The next quote or line end in quotes, past every escaped byte. `None`: the scan goes on where it says.
    fn in_quotes_with_escape(self, text: &[u8], ended: bool, scan: &mut Scan, marks: &mut Marks<'_>) -> Option<usize> {
        let mut at = scan.at;
        loop {
            let rest = text.get(at..)?;
            let n = rest.iter().position(|b| {
                Some(*b) == self.dialect.escape || Some(*b) == self.dialect.quote || matches!(b, b'\n' | b'\r')
            });
            let Some(n) = n else {
                scan.at = text.len();
                return None;
            };
            at += n;
            if Some(text[at]) != self.dialect.escape {
                marks.seek(at + 1);
                return Some(at);
            }
            // An escaped line end is still a line; of an escaped `\r\n` the second byte is the end.
            let after = text.get(at + 2);
            match text.get(at + 1) {
                None => {
                    scan.at = at;
                    return None;
                }
                Some(b'\r') if after.is_none() && !ended => {
                    scan.at = at;
                    return None;
                }
                Some(b) => scan.lines_at += u64::from(*b == b'\n' || (*b == b'\r' && after != Some(&b'\n'))),
            }
            at += 2;
            scan.at = at;
        }
    }
}

/// What a line that ended was, or the last line of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Record,
    /// No record, unless empty lines are.
    Empty,
}

impl Scan {
    /// A line ended in front of `at` that is outside of quotes.
    fn ended(&mut self) {
        (self.end, self.lines, self.records) = (self.at, self.lines_at, self.records_at);
    }
}

/// Scans regular text.
struct Ahead<'a> {
    scanner: Scanner<'a>,
    scan: &'a mut Scan,
    text: &'a [u8],
}

impl Work for Ahead<'_> {
    type Done = ();

    #[inline(always)]
    fn with<E: Eye>(self, eye: E) {
        let Self { scanner, scan, text } = self;
        let rules = Rules::of(scanner.dialect);
        let comment = scanner.dialect.comment.as_deref();
        // What may be the start of a comment is for `record` to tell.
        let comment_at = |at: usize| {
            comment.is_some_and(|prefix| {
                let rest = &text[at..];
                prefix.starts_with(&rest[..rest.len().min(prefix.len())])
            })
        };
        let counted =
            |ends: u64, blank: u64| u64::from((if scanner.blank_counts { ends } else { ends & !blank }).count_ones());
        // What changes with every word stays in registers.
        let (mut at, mut lines, mut records, mut carry) = (scan.at, scan.lines_at, scan.records_at, scan.carry);
        let mut irregular = at == scan.end && comment_at(at);
        while at < text.len() && !irregular {
            let (word, bytes) = word(eye, rules, text, at, &mut carry);
            let mut ends = word.ends & below(word.irregular);
            irregular = word.irregular != 0;
            if comment.is_some() {
                let mut left = ends;
                while left != 0 {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    if comment_at(at + bit + 1) {
                        (ends, left, irregular) = (ends & through(bit), 0, true);
                    }
                }
            }
            if ends != 0 {
                let last = 63 - ends.leading_zeros() as usize;
                scan.end = at + last + 1;
                scan.lines = lines + u64::from((word.lines & through(last)).count_ones());
                scan.records = records + counted(ends, word.blank);
            }
            at += bytes;
            lines += u64::from(word.lines.count_ones());
            records += counted(word.ends, word.blank);
        }
        (scan.at, scan.lines_at, scan.records_at, scan.carry) = (at, lines, records, carry);
        scan.irregular = irregular;
        if irregular {
            (scan.at, scan.lines_at, scan.records_at) = (scan.end, scan.lines, scan.records);
            scan.in_quotes = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rounds;
    use super::*;

    #[test]
    fn ahead_ends_where_byte_by_byte_does_however_the_text_comes() {
        let mut state = 3_u64;
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
            CsvDialect { comment: Some(b"#a".to_vec()), ..CsvDialect::default() },
            CsvDialect { trim: true, ..CsvDialect::default() },
        ];
        let parts: [&[u8]; 15] = [
            b"a",
            b"bcd",
            b",",
            b"\n",
            b"\r\n",
            b"\"x\",",
            b"\"a\"\"b\"\n",
            b"\n\n",
            b"\"\"",
            b"\"\n,\r",
            b"\"",
            b"\r",
            b"\\",
            b"\n#a",
            b" \t\"",
        ];
        let mut ends = 0;
        for round in 0..rounds(40_000) {
            let dialect = &dialects[round % dialects.len()];
            let kinds = [9, 9, 15][random(3)];
            let text: Vec<u8> = (0..random(80)).flat_map(|_| parts[random(kinds)].to_vec()).collect();
            for machine in [Machine::here(), Machine::Plain] {
                let scanner = Scanner { dialect, machine: Some(machine), blank_counts: round % 3 == 0 };
                let by_byte = Scanner { machine: None, ..scanner };
                let (mut fast, mut slow) = (Scan::default(), Scan::default());
                let mut len = 0;
                while len < text.len() {
                    len = (len + 1 + random(200)).min(text.len());
                    scanner.go_on(&mut fast, &text[..len], false, false);
                    by_byte.go_on(&mut slow, &text[..len], false, false);
                    let told = |scan: &Scan| (scan.end, scan.lines, scan.records);
                    let shown = String::from_utf8_lossy(&text[..len]);
                    assert_eq!(told(&fast), told(&slow), "{dialect:?} {shown:?}");
                }
                ends += fast.records;
            }
        }
        assert!(ends > 100_000, "{ends}");
    }
}
