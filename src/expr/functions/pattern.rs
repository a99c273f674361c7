//! Functions of text that look for a pattern: a regular expression (of the `regex` crate, linear in the text), or plain
//! text with `literal=True`. A pattern is compiled once, when the types are resolved.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Scalar, StringArray};
use arrow::datatypes::DataType;
use regex::Regex;

use super::string::{Texts, rewritten, texts};
use super::{Call, Function, method};
use crate::error::{Error, Result};
use crate::expr::compare::by_value;
use crate::expr::typing::Typed;

/// The rows of the registry.
pub(super) const FUNCTIONS: &[Function] = &[
    method("str.contains", 2, 3, contains),
    method("str.replace", 3, 4, |call| replace(&call, 1)),
    method("str.replace_all", 3, 4, |call| replace(&call, 0)),
    method("str.extract", 2, 3, extract),
];

/// Compiles a pattern.
///
/// # Errors
/// [`Error::Value`] with the place of the fault; also for a pattern that would compile to more than 10 MiB.
fn compiled(pattern: &str, what: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|e| {
        Error::Value(format!(
            "`{what}`: `{pattern}` is no regular expression: {e}; pass literal=True to look for it as it is"
        ))
    })
}

fn contains(call: Call<'_>) -> Result<Typed> {
    let input = call.text_input()?;
    let pattern = call.needed_text(1)?;
    if call.flag(2, false)? || regex::escape(&pattern) == pattern {
        return Ok(by_value(
            input,
            DataType::Boolean,
            Arc::new(move |array| {
                let wanted = Scalar::new(StringArray::from(vec![pattern.as_str()]));
                Ok(Arc::new(arrow::compute::contains(texts(array)?, &wanted)?))
            }),
        ));
    }
    let pattern = compiled(&pattern, &call.what())?;
    Ok(by_value(
        input,
        DataType::Boolean,
        Arc::new(move |array| Ok(Arc::new(BooleanArray::from_unary(texts(array)?, |t| pattern.is_match(t))))),
    ))
}

/// Replaces the first match (`most` 1) or every match (`most` 0); `$1` or `${name}` in the value stand for groups.
fn replace(call: &Call<'_>, most: usize) -> Result<Typed> {
    let input = call.text_input()?;
    let (pattern, value) = (call.needed_text(1)?, call.needed_text(2)?);
    if call.flag(3, false)? {
        return Ok(rewritten(input, move |text, out| {
            out.push_str(&if most == 1 { text.replacen(&pattern, &value, 1) } else { text.replace(&pattern, &value) });
        }));
    }
    let pattern = compiled(&pattern, &call.what())?;
    Ok(rewritten(input, move |text, out| out.push_str(&pattern.replacen(text, most, value.as_str()))))
}

/// `extract(pattern, group_index=1)`: null where the pattern or the group is not found.
fn extract(call: Call<'_>) -> Result<Typed> {
    let input = call.text_input()?;
    let pattern = compiled(&call.needed_text(1)?, &call.what())?;
    let group = call.integer(2)?.unwrap_or(1);
    let group = usize::try_from(group)
        .map_err(|_| Error::Value(format!("`{}`: expected a group of 0 or more, found `{group}`", call.what())))?;
    if group >= pattern.captures_len() {
        return Err(Error::Value(format!(
            "`{}`: expected a group below {}, found `{group}`: the pattern has {} in parentheses",
            call.what(),
            pattern.captures_len(),
            pattern.captures_len() - 1
        )));
    }
    let typed = by_value(
        input,
        DataType::Utf8,
        Arc::new(move |array| {
            let mut out = Texts::new(array.len());
            for text in texts(array)? {
                let found =
                    text.and_then(|t| if group == 0 { pattern.find(t) } else { pattern.captures(t)?.get(group) });
                match found {
                    Some(found) => out.push(found.as_str())?,
                    None => out.push_null(),
                }
            }
            Ok(out.finish())
        }),
    );
    let field = typed.field().clone().with_nullable(true);
    Ok(typed.with_field(field))
}
