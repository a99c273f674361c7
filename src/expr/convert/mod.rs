//! Values as another type.
//!
//! A conversion is strict, and fails on the first value that does not fit, or it makes null of it. Numbers and nested
//! types go through arrow's kernels; text to and from dates and times is ours, so that text is read and written alike
//! everywhere (`2024-01-31 12:34:56.000000`).

pub mod text;
mod time;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::typing::Typed;
use crate::dtype::{announced, dtype_name, value_type};
use crate::error::{Error, Result};

pub(super) use time::{integers, labelled};

/// `cast(to, strict)` over an expression whose result is named `name`.
pub(super) fn cast(input: Typed, to: &DataType, strict: bool, name: &str) -> Result<Typed> {
    let to = announced(to);
    if input.dtype() == &to {
        return Ok(input);
    }
    if !convertible(input.dtype(), &to) {
        return Err(Error::Schema(format!(
            "column `{name}`: {} cannot be cast to {}",
            dtype_name(input.dtype()),
            dtype_name(&to)
        )));
    }
    let nullable = input.nullable() || !strict;
    let column = name.to_owned();
    let target = to.clone();
    let typed = Typed::call(
        vec![input],
        to,
        nullable,
        Arc::new(move |values, _| match values {
            [value, ..] => convert(value.array(), &target, strict, &column),
            [] => Err(Error::Schema("cast takes one input".into())),
        }),
    );
    Ok(if strict { typed.failing() } else { typed })
}

/// The conversion that an operator makes by itself; lossless but for what the operator checks.
pub(super) fn to(input: Typed, to: &DataType, what: &str) -> Typed {
    let nullable = input.nullable();
    let lossless = value_type(input.dtype()) == to || crate::dtype::supertype(input.dtype(), to).as_ref() == Some(to);
    let target = to.clone();
    let column = if what.is_empty() { input.field().name().clone() } else { what.to_owned() };
    let typed = Typed::call(
        vec![input],
        to.clone(),
        nullable,
        Arc::new(move |values, _| match values {
            [value, ..] => convert(value.array(), &target, true, &column),
            [] => Err(Error::Schema("a conversion takes one input".into())),
        }),
    );
    if lossless { typed } else { typed.failing() }
}

/// Whether values of `from` can become `to`, some of them at least.
pub fn convertible(from: &DataType, to: &DataType) -> bool {
    let plain = value_type(from);
    from == to || plain == to || time::handles(plain, to) || can_cast_types(plain, to)
}

/// `array` as `to`. Where a value does not fit, `strict` makes it an error naming `column` and the value; else it is null.
///
/// # Errors
/// [`Error::Parse`] for a value that does not fit, [`Error::Schema`] where the types never convert.
pub fn convert(array: &ArrayRef, to: &DataType, strict: bool, column: &str) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let plain = value_type(array.data_type());
    if plain != array.data_type() {
        let values = cast_with_options(array, plain, &CastOptions { safe: true, ..CastOptions::default() })?;
        return convert(&values, to, strict, column);
    }
    if !convertible(array.data_type(), to) {
        return Err(Error::Schema(format!(
            "column `{column}`: {} cannot be cast to {}",
            dtype_name(array.data_type()),
            dtype_name(to)
        )));
    }
    // inside a nested value a failure leaves no null at the top: let the kernel itself refuse
    let nested = to.is_nested() && !matches!(to, DataType::Dictionary(..));
    let done = if let Some(done) = time::convert(array, to) {
        done?
    } else {
        let options = CastOptions { safe: !(strict && nested), ..CastOptions::default() };
        let trimmed = without_space(array, to);
        let done = cast_with_options(trimmed.as_ref().unwrap_or(array), to, &options).map_err(|e| {
            let (from, to) = (dtype_name(array.data_type()), dtype_name(to));
            Error::value_in(column, "", format!("column `{column}`: cannot cast {from} to {to}: {e}"))
        })?;
        with_signed_exponents(array, done)
    };
    if strict && done.logical_null_count() > array.logical_null_count() {
        let (before, after) = (array.logical_nulls(), done.logical_nulls());
        let is_null =
            |nulls: &Option<arrow::buffer::NullBuffer>, row: usize| nulls.as_ref().is_some_and(|n| n.is_null(row));
        let lost = (0..array.len()).find(|row| is_null(&after, *row) && !is_null(&before, *row));
        let value = lost.map(|row| shown(array, row)).unwrap_or_default();
        return Err(cannot(column, &value, to));
    }
    Ok(done)
}

/// Text that white space begins or ends is no number: arrow would take it as one. None where there is nothing to do.
fn without_space(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let texts = array.as_string_opt::<i32>().filter(|_| to.is_numeric() || *to == DataType::Boolean)?;
    let spaced = |t: &str| t.starts_with(char::is_whitespace) || t.ends_with(char::is_whitespace);
    texts
        .iter()
        .flatten()
        .any(spaced)
        .then(|| -> ArrayRef { Arc::new(texts.iter().map(|t| t.filter(|t| !spaced(t))).collect::<StringArray>()) })
}

/// Floats as text have a sign in their exponent, as everywhere but here: `1.5e+30`.
fn with_signed_exponents(array: &ArrayRef, done: ArrayRef) -> ArrayRef {
    let unsigned = |t: &str| t.find('e').filter(|at| t.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit));
    match done.as_string_opt::<i32>() {
        Some(texts) if array.data_type().is_floating() && texts.iter().flatten().any(|t| unsigned(t).is_some()) => {
            let signed = |t: &str| match unsigned(t) {
                Some(at) => format!("{}e+{}", t.get(..at).unwrap_or(""), t.get(at + 1..).unwrap_or("")),
                None => t.to_owned(),
            };
            Arc::new(texts.iter().map(|t| t.map(signed)).collect::<StringArray>())
        }
        _ => done,
    }
}

/// The error for a value that does not fit.
pub(super) fn cannot(column: &str, value: &str, to: &DataType) -> Error {
    Error::value_in(
        column,
        value,
        format!("column `{column}`: cannot cast `{}` to {}; strict=False makes it null", cut(value), dtype_name(to)),
    )
}

/// A value's text, short enough for a message.
pub(super) fn cut(value: &str) -> String {
    match value.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or("")),
        None => value.to_owned(),
    }
}

/// A value as text, for messages.
pub fn shown(array: &dyn Array, row: usize) -> String {
    match ArrayFormatter::try_new(array, &FormatOptions::default().with_null("null")) {
        Ok(formatter) if row < array.len() => formatter.value(row).to_string(),
        _ => "?".into(),
    }
}
