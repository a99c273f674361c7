//! Functions of text, plain ones. Lengths and places count characters (Unicode scalar values) unless the name says bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder, UInt32Array};
use arrow::datatypes::{DataType, Field};

use super::{Call, Function, method, of_module};
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::expr::compare::by_value;
use crate::expr::convert;
use crate::expr::typing::{Typed, shortened};

/// The rows of the registry.
pub(super) const FUNCTIONS: &[Function] = &[
    method("str.len_bytes", 1, 1, |call| counted(&call, str::len)),
    method("str.len_chars", 1, 1, |call| counted(&call, |t| t.chars().count())),
    method("str.to_lowercase", 1, 1, |call| {
        Ok(rewritten(call.text_input()?, |t, out| out.push_str(&t.to_lowercase())))
    }),
    method("str.to_uppercase", 1, 1, |call| {
        Ok(rewritten(call.text_input()?, |t, out| out.push_str(&t.to_uppercase())))
    }),
    method("str.strip_chars", 1, 2, strip_chars),
    method("str.starts_with", 2, 2, |call| edge(&call, |t, p| t.starts_with(p))),
    method("str.ends_with", 2, 2, |call| edge(&call, |t, p| t.ends_with(p))),
    method("str.slice", 2, 3, slice),
    method("str.split", 2, 2, split),
    of_module("concat_str", 3, usize::MAX, concat_str),
];

/// Text on its way into an array; refuses what offsets of 32 bits cannot reach instead of panicking there.
pub(super) struct Texts {
    builder: StringBuilder,
    bytes: usize,
}

impl Texts {
    pub(super) fn new(rows: usize) -> Self {
        Texts { builder: StringBuilder::with_capacity(rows, 0), bytes: 0 }
    }

    pub(super) fn push(&mut self, text: &str) -> Result<()> {
        self.bytes += text.len();
        if self.bytes > i32::MAX as usize {
            return Err(Error::Stream("text of one batch exceeds 2 GiB; use a smaller batch_size".into()));
        }
        self.builder.append_value(text);
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.builder.append_null();
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

pub(super) fn texts(array: &ArrayRef) -> Result<&StringArray> {
    array
        .as_string_opt::<i32>()
        .ok_or_else(|| Error::Schema(format!("expected string, found {}", dtype_name(array.data_type()))))
}

/// Text from text: `f` writes its answer after the empty `out`.
pub(super) fn rewritten(input: Typed, f: impl Fn(&str, &mut String) + Send + Sync + 'static) -> Typed {
    by_value(
        input,
        DataType::Utf8,
        Arc::new(move |array| {
            let mut out = Texts::new(array.len());
            let mut line = String::new();
            for text in texts(array)? {
                match text {
                    Some(text) => {
                        line.clear();
                        f(text, &mut line);
                        out.push(&line)?;
                    }
                    None => out.push_null(),
                }
            }
            Ok(out.finish())
        }),
    )
    .failing()
}

fn counted(call: &Call<'_>, f: fn(&str) -> usize) -> Result<Typed> {
    Ok(by_value(
        call.text_input()?,
        DataType::UInt32,
        Arc::new(move |array| {
            // a text of an array with 32-bit offsets is shorter than 2^31
            let count = |t: &str| u32::try_from(f(t)).unwrap_or(u32::MAX);
            Ok(Arc::new(texts(array)?.iter().map(|t| t.map(count)).collect::<UInt32Array>()))
        }),
    ))
}

fn edge(call: &Call<'_>, f: fn(&str, &str) -> bool) -> Result<Typed> {
    let part = call.needed_text(1)?;
    Ok(by_value(
        call.text_input()?,
        DataType::Boolean,
        Arc::new(move |array| Ok(Arc::new(arrow::array::BooleanArray::from_unary(texts(array)?, |t| f(t, &part))))),
    ))
}

/// `strip_chars(characters=None)`: white space without characters.
fn strip_chars(call: Call<'_>) -> Result<Typed> {
    let input = call.text_input()?;
    Ok(match call.text(1)? {
        None => rewritten(input, |t, out| out.push_str(t.trim())),
        Some(set) => {
            let set: Vec<char> = set.chars().collect();
            rewritten(input, move |t, out| out.push_str(t.trim_matches(set.as_slice())))
        }
    })
}

/// The byte range of `length` characters from `offset`; a negative offset counts from the end. A range that begins
/// before the text is cut there, as polars and Python's slices do.
fn span(text: &str, offset: i64, length: Option<u64>) -> &str {
    let count = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let (start, end) = if offset >= 0 {
        let end = length.map(|l| offset.saturating_add_unsigned(l));
        (offset, end)
    } else {
        let from = count().saturating_add(offset);
        (from.max(0), length.map(|l| from.saturating_add_unsigned(l).max(0)))
    };
    let byte = |chars: i64| {
        usize::try_from(chars).ok().and_then(|n| text.char_indices().nth(n)).map_or(text.len(), |(at, _)| at)
    };
    let first = byte(start);
    let last = end.map_or(text.len(), byte);
    text.get(first..last.max(first)).unwrap_or("")
}

fn slice(call: Call<'_>) -> Result<Typed> {
    let offset = call
        .integer(1)?
        .ok_or_else(|| Error::Type(format!("`{}`: expected an integer as offset, found null", call.what())))?;
    let length = match call.integer(2)? {
        None => None,
        Some(length) => Some(u64::try_from(length).map_err(|_| {
            Error::Value(format!("`{}`: expected a length of 0 or more, found `{length}`", call.what()))
        })?),
    };
    Ok(rewritten(call.text_input()?, move |t, out| out.push_str(span(t, offset, length))))
}

fn split(call: Call<'_>) -> Result<Typed> {
    let by = call.needed_text(1)?;
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let dtype = DataType::List(item.clone());
    let input = call.text_input()?.plain();
    Ok(super::unary(input, dtype, move |array| {
        let texts = texts(array)?;
        let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item.clone());
        // the parts of a batch together are no longer than the batch; only their number needs watching
        let mut parts = 0usize;
        for text in texts {
            let Some(text) = text else {
                lists.append_null();
                continue;
            };
            if by.is_empty() {
                let mut buffer = [0; 4];
                for c in text.chars() {
                    lists.values().append_value(c.encode_utf8(&mut buffer));
                }
                parts += text.len();
            } else {
                for part in text.split(&by) {
                    lists.values().append_value(part);
                    parts += 1;
                }
            }
            if parts > i32::MAX as usize {
                return Err(Error::Stream("lists of one batch exceed 2^31 items; use a smaller batch_size".into()));
            }
            lists.append(true);
        }
        Ok(Arc::new(lists.finish()))
    })
    .failing())
}

/// `concat_str(…, separator, ignore_nulls)`: null where any part is, unless nulls are ignored.
fn concat_str(call: Call<'_>) -> Result<Typed> {
    let last = call.inputs.len() - 1;
    let separator = call.text(last - 1)?.unwrap_or_default();
    let ignore = call.flag(last, false)?;
    let mut inputs = Vec::with_capacity(last - 1);
    for input in call.inputs.iter().take(last - 1) {
        if !convert::convertible(input.dtype(), &DataType::Utf8) {
            return Err(Error::Schema(format!(
                "`{}`: {} cannot be joined as text",
                shortened(call.whole),
                dtype_name(input.dtype())
            )));
        }
        inputs.push(input.clone().plain().to(&DataType::Utf8, ""));
    }
    let nullable = !ignore && inputs.iter().any(Typed::nullable);
    Ok(Typed::call(
        inputs,
        DataType::Utf8,
        nullable,
        Arc::new(move |values, rows| {
            let columns = values.iter().map(|v| Ok((texts(v.array())?, v))).collect::<Result<Vec<_>>>()?;
            let mut out = Texts::new(rows);
            let mut line = String::new();
            for row in 0..rows {
                line.clear();
                let (mut first, mut null) = (true, false);
                for (texts, value) in &columns {
                    let at = value.at(row);
                    if texts.is_null(at) {
                        null = true;
                        continue;
                    }
                    if !first {
                        line.push_str(&separator);
                    }
                    first = false;
                    line.push_str(texts.value(at));
                }
                if null && !ignore {
                    out.push_null();
                } else {
                    out.push(&line)?;
                }
            }
            Ok(out.finish())
        }),
    )
    .failing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_count_characters() {
        assert_eq!(span("añb", 1, Some(1)), "ñ");
        assert_eq!(span("abcd", -3, Some(2)), "bc");
        assert_eq!(span("abcd", -9, Some(6)), "a");
        assert_eq!(span("abcd", -9, Some(2)), "");
        assert_eq!(span("abcd", 9, None), "");
        assert_eq!(span("abcd", 2, None), "cd");
        assert_eq!(span("abcd", i64::MIN, Some(u64::MAX)), "abcd");
        assert_eq!(span("abcd", i64::MAX, Some(u64::MAX)), "");
    }
}
