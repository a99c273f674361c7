//! A look at the first records, for `delimiter="auto"` and `has_header="auto"`: found beyond doubt, or refused.
//!
//! A delimiter is the only one of `,` `;` tab and `|` that splits every record of the sample into the same number of
//! fields, more than one. A first record is a header if it has words where all records behind it have numbers, dates
//! or truth values, and is none if it has such values there itself. Where all columns are text, nothing tells.

use crate::error::{Error, Result};
use crate::format::CsvDialect;

use super::column::{Nulls, Writing};
use super::infer::Seen;
use super::split::{Block, Fault, Most, Splitter};

/// Bytes that are looked at.
pub(super) const SAMPLE: usize = 256 << 10;
/// Records that are looked at.
const RECORDS: usize = 1_000;
/// What may be a delimiter.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The start of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// Its bytes.
    pub(super) text: &'a [u8],
    /// Whether they are all there are.
    pub(super) all: bool,
}

impl Head<'_> {
    /// Its whole records as values, at most [`RECORDS`]; `None`: its quotes make no sense in this dialect.
    fn records(self, dialect: &CsvDialect) -> Option<Vec<Vec<Vec<u8>>>> {
        let mut splitter = Splitter::new(dialect.clone(), None);
        let (mut at, mut records) = (0, Vec::new());
        while at < self.text.len() && records.len() < RECORDS {
            let Block { end, fault } = splitter.block(self.text, at, Most::rows(1));
            let cut_off = end == self.text.len() && !self.all && !records.is_empty();
            match fault {
                _ if cut_off => break,
                Some(Fault::Unclosed { .. } | Fault::Stray { .. } | Fault::Ragged { .. }) => return None,
                None => {}
            }
            if splitter.rows() > 0 {
                records.push(splitter.fields.iter().map(|field| field.value(dialect, self.text)).collect());
            }
            at = end;
        }
        Some(records)
    }

    /// The delimiter, and how many records tell so.
    ///
    /// # Errors
    /// [`Error::Format`] where none or several could be it.
    pub(super) fn delimiter(self, name: &str, dialect: &CsvDialect, writing: &Writing) -> Result<(u8, usize)> {
        let mut found = Vec::new();
        for delimiter in CANDIDATES {
            let taken = [dialect.quote, dialect.escape, Some(writing.decimal), writing.thousands];
            if taken.contains(&Some(delimiter)) {
                continue;
            }
            let Some(records) = self.records(&CsvDialect { delimiter, ..dialect.clone() }) else { continue };
            let width = records.first().map_or(0, Vec::len);
            if width > 1 && records.iter().all(|record| record.len() == width) {
                found.push((delimiter, records.len()));
            }
        }
        let listed = |bytes: &[u8]| {
            let quoted = bytes.iter().map(|b| format!("`{}`", b.escape_ascii()));
            quoted.collect::<Vec<_>>().join(", ")
        };
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Error::Format(format!(
                "{name}: delimiter=\"auto\": expected one of {} to split each of the first records into the same number \
                 of fields, more than one, found none; pass delimiter=\",\" for a single column, or the one that it is",
                listed(&CANDIDATES)
            ))),
            several => Err(Error::Format(format!(
                "{name}: delimiter=\"auto\": expected one delimiter, found that {} could all be it; pass the one that it is",
                listed(&several.iter().map(|(delimiter, _)| *delimiter).collect::<Vec<_>>())
            ))),
        }
    }

    /// Whether the first record is a header.
    ///
    /// # Errors
    /// [`Error::Format`] where nothing tells.
    pub(super) fn has_header(self, name: &str, dialect: &CsvDialect, writing: &Writing, nulls: &Nulls) -> Result<bool> {
        let records = self.records(dialect).unwrap_or_default();
        let (first, rest) = records.split_first().map_or((&[][..], &[][..]), |(first, rest)| (&first[..], rest));
        let (mut words, mut values) = (0, 0);
        for (i, text) in first.iter().enumerate() {
            let of = |texts: &mut dyn Iterator<Item = &Vec<u8>>| {
                let mut seen = Seen::default();
                texts.for_each(|text| seen.value(text, nulls, writing, true));
                seen
            };
            let column = of(&mut rest.iter().filter(|r| r.len() == first.len()).filter_map(|r| r.get(i)));
            let own = of(&mut std::iter::once(text));
            if column.is_typed() && own != Seen::default() {
                if own.is_typed() { values += 1 } else { words += 1 }
            }
        }
        match (words, values) {
            (1.., 0) => Ok(true),
            (0, 1..) => Ok(false),
            _ => Err(Error::Format(format!(
                "{name}: has_header=\"auto\": expected words over numbers, dates or truth values, or such values, in the \
                 first record, found {}; pass has_header=True or has_header=False",
                if words > 0 { "both" } else { "neither" }
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::Patterns;
    use super::*;

    fn head(text: &str, all: bool) -> Head<'_> {
        Head { text: text.as_bytes(), all }
    }

    fn writing() -> Writing {
        Writing { decimal: b'.', thousands: None, truths: None, lies: None, patterns: Patterns::default() }
    }

    #[test]
    fn a_delimiter_is_found_beyond_doubt_or_not_at_all() {
        let of = |text: &str, all| head(text, all).delimiter("t.csv", &CsvDialect::default(), &writing());
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2,5\n", b';'),
            ("a\tb c\n\"1,\t2\"\t3,4\n", b'\t'),
            ("a|b\n\"x\n|\"|y\n", b'|'),
            ("a,b,c", b','),
        ] {
            assert_eq!(of(text, true).expect(text).0, delimiter, "{text}");
        }
        for text in ["a\n1\n", "", "a b\n1 2\n", "a,b\n1\n", "a,b;c\n1,2;3\n", "a,b\n\"1,2\n"] {
            assert!(matches!(of(text, true), Err(Error::Format(m)) if m.contains("pass ")), "{text}");
        }
        assert_eq!(of("a,b\n1,2\n3", false).expect("the last is cut off").1, 2);
        assert_eq!(of("a,b\n1,2\n3,\"x", false).expect("the last is cut off").1, 2);
        assert!(of("a,b\n1,2\n3", true).is_err());
        let decimal = Writing { decimal: b',', ..writing() };
        let text = "1,5;1,5\n2,5;2,5\n";
        assert_eq!(head(text, true).delimiter("t", &CsvDialect::default(), &decimal).expect("no comma").0, b';');
    }

    #[test]
    fn a_header_is_told_by_what_stands_below() {
        let nulls = Nulls::new(&[String::new()]);
        let of = |text: &str| head(text, true).has_header("t.csv", &CsvDialect::default(), &writing(), &nulls);
        for (text, is) in [
            ("a,b\n1,x\n", true),
            ("a,b\n2024-01-01,x\n,y\n", true),
            (",b\n0,1\n", true),
            ("1,x\n2,y\n", false),
            ("2024-01-01\n2024-01-02\n", false),
            ("true,x\nfalse,y\n", false),
        ] {
            assert_eq!(of(text).expect(text), is, "{text}");
        }
        for text in ["a,b\nx,y\n", "a,b\n", "", "2020,name\n1,x\n", "a,1\n1,2\n"] {
            let found = of(text);
            let right = if text.starts_with("2020") { matches!(found, Ok(false)) } else { found.is_err() };
            assert!(right, "{text}: {found:?}");
        }
    }
}
