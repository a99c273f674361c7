//! Names of columns.

use std::collections::HashSet;

use crate::error::{Error, Place, Result};
use crate::format::CsvDialect;

use super::cut::Cut;
use super::split::{Most, Splitter, unescape};

/// More columns than this are no table.
const MOST: usize = 100_000;

/// The values of the first record of `cut`; none if there is no record.
///
/// # Errors
/// [`Error::Parse`] if they are no UTF-8, or a quote is not closed; [`Error::Format`] if there are too many.
pub(super) fn first_record(name: &str, cut: &Cut, dialect: &CsvDialect) -> Result<Vec<String>> {
    let mut splitter = Splitter::new(dialect.clone(), None);
    let block = splitter.block(&cut.bytes, 0, Most::rows(1));
    if block.fault.is_some() {
        return Err(bad(
            name,
            cut,
            "a quote that opens in the first record is never closed; pass quote_char=None if quotes are text",
        ));
    }
    if splitter.fields.len() > MOST {
        return Err(Error::Format(format!(
            "{name}: the first record has {} fields, expected at most {MOST}; is the delimiter right?",
            splitter.fields.len()
        )));
    }
    let value = |i: usize, field: &super::split::Field| {
        let mut value = Vec::new();
        let text = &cut.bytes[field.start()..field.end()];
        if field.is_raw() {
            unescape(dialect, text, &mut value);
        } else {
            value.extend_from_slice(text);
        }
        String::from_utf8(value)
            .map_err(|_| bad(name, cut, &format!("field {} of the first record is not UTF-8; expected text", i + 1)))
    };
    splitter.fields.iter().enumerate().map(|(i, field)| value(i, field)).collect()
}

fn bad(name: &str, cut: &Cut, what: &str) -> Error {
    Error::Parse {
        place: Box::new(Place {
            path: Some(name.to_owned()),
            line: Some(cut.line),
            offset: Some(cut.offset),
            ..Place::default()
        }),
        message: format!("{name}:{}: {what}", cut.line),
    }
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
