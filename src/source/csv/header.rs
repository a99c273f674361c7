//! Names of columns.

use std::collections::HashSet;

use crate::error::{Error, Place, Result};
use crate::format::CsvDialect;

use super::cut::{Cut, lines_in};
use super::encoding::Encoding;
use super::fault::Where;
use super::split::{Most, Splitter};

/// More columns than this are no table.
const MOST: usize = 100_000;

/// The first record of a file.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// Its values; none if there is no record.
    pub(super) values: Vec<String>,
    /// The line where it begins, behind blank lines and comments.
    pub(super) line: u64,
    /// The byte where it begins.
    offset: u64,
}

/// The first record of `cut`.
///
/// # Errors
/// [`Error::Parse`] if it is no UTF-8, or a quote is not closed; [`Error::Format`] if there are too many fields.
pub(super) fn first_record(name: &str, encoding: Encoding, cut: &Cut, dialect: &CsvDialect) -> Result<Header> {
    let place = Where { name, encoding, bytes: &cut.bytes, offset: cut.offset, line: cut.line };
    let mut splitter = Splitter::new(dialect.clone(), None);
    let block = splitter.block(&cut.bytes, 0, Most::rows(1));
    if let Some(fault) = block.fault {
        return Err(place.fault(fault, 0));
    }
    let start = splitter.starts.first().copied().unwrap_or_default() as usize;
    let (line, offset) = (cut.line + lines_in(&cut.bytes[..start]), cut.offset + start as u64);
    if splitter.fields.len() > MOST {
        return Err(Error::Format(format!(
            "{name}:{line}: the first record has {} fields, expected at most {MOST}; is the delimiter right?",
            splitter.fields.len()
        )));
    }
    let value = |i: usize, field: &super::index::Field| {
        let text = &cut.bytes[field.start()..field.end()];
        let value = field.value(dialect, &cut.bytes);
        String::from_utf8(value).map_err(|_| place.encoding(start, &format!("column_{i}"), text))
    };
    let values = splitter.fields.iter().enumerate().map(|(i, field)| value(i, field)).collect::<Result<_>>()?;
    Ok(Header { values, line, offset })
}

/// Refuses a name that other libraries could not take over: one that holds a zero byte.
///
/// # Errors
/// [`Error::Parse`], at the header.
pub(super) fn check_names(name: &str, header: &Header, names: &[String]) -> Result<()> {
    let Some((i, bad)) = names.iter().enumerate().find(|(_, n)| n.contains('\0')) else { return Ok(()) };
    let line = header.line;
    Err(Error::Parse {
        place: Box::new(Place {
            path: Some(name.to_owned()),
            line: Some(line),
            offset: Some(header.offset),
            column: Some(format!("column_{i}")),
            value: Some(bad.clone()),
        }),
        message: format!(
            "{name}:{line}: expected names of columns, found a zero byte in the name of column {}; is the file UTF-16 \
             or no text? convert it to UTF-8, or pass new_columns",
            i + 1
        ),
    })
}

/// Names that no two columns share: a name that comes again gets `_duplicated_0`, `_duplicated_1` and so on behind
/// it, as in polars.
pub(super) fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen: HashSet<String> = HashSet::with_capacity(names.len());
    let mut next: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    names
        .into_iter()
        .map(|name| {
            if seen.insert(name.clone()) {
                return name;
            }
            let n = next.entry(name.clone()).or_default();
            loop {
                let candidate = format!("{name}_duplicated_{n}");
                *n += 1;
                if taken.insert(candidate.clone()) {
                    return candidate;
                }
            }
        })
        .collect()
}

/// `names` with the first of them replaced by `new`.
///
/// # Errors
/// [`Error::Value`] if there are more new names than columns, or two columns end up with one name.
pub(super) fn renamed(mut names: Vec<String>, new: Option<&[String]>) -> Result<Vec<String>> {
    let new = new.unwrap_or_default();
    if new.len() > names.len() {
        return Err(Error::Value(format!(
            "`new_columns` has {} names, expected at most {}, the number of columns",
            new.len(),
            names.len()
        )));
    }
    names[..new.len()].clone_from_slice(new);
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(Error::Value(format!("two columns have the name `{twice}`; expected names that differ"))),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &[&str]) -> Vec<String> {
        text.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn a_name_that_comes_again_is_made_distinct() {
        assert_eq!(
            distinct(names(&["a", "a", "b", "a", "a_duplicated_0", "", ""])),
            names(&["a", "a_duplicated_1", "b", "a_duplicated_2", "a_duplicated_0", "", "_duplicated_0"])
        );
    }

    #[test]
    fn new_names_replace_the_first() {
        let three = names(&["a", "b", "c"]);
        assert_eq!(renamed(three.clone(), Some(&names(&["x", "y"]))).expect("fits"), names(&["x", "y", "c"]));
        assert!(renamed(three.clone(), Some(&names(&["x", "c"]))).is_err());
        assert!(renamed(three, Some(&names(&["1", "2", "3", "4"]))).is_err());
    }
}
