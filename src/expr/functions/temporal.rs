//! Functions of dates, times and timestamps. A timestamp with a time zone answers for its own wall clock.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};

use super::{Call, Function, method, of_module, unary};
use crate::dtype::{dtype_name, parse_unit, per_second, value_type};
use crate::error::{Error, Result};
use crate::expr::arithmetic::overflow;
use crate::expr::convert::text::{Every, every};
use crate::expr::convert::{integers, labelled};
use crate::expr::typing::Typed;
use crate::expr::wall::{DAY, Wall, beyond, civil, days};

/// The rows of the registry.
pub(super) const FUNCTIONS: &[Function] = &[
    method("dt.year", 1, 1, |call| part(&call, Of::Day, DataType::Int32, |day, _| civil(day).0)),
    method("dt.quarter", 1, 1, |call| part(&call, Of::Day, DataType::Int8, |day, _| (civil(day).1 + 2) / 3)),
    method("dt.month", 1, 1, |call| part(&call, Of::Day, DataType::Int8, |day, _| civil(day).1)),
    method("dt.week", 1, 1, |call| part(&call, Of::Day, DataType::Int8, |day, _| week(day))),
    method("dt.day", 1, 1, |call| part(&call, Of::Day, DataType::Int8, |day, _| civil(day).2)),
    method("dt.ordinal_day", 1, 1, |call| part(&call, Of::Day, DataType::Int16, |day, _| ordinal(day))),
    method("dt.weekday", 1, 1, |call| part(&call, Of::Day, DataType::Int8, |day, _| weekday(day))),
    method("dt.hour", 1, 1, |call| part(&call, Of::Time, DataType::Int8, |_, nanos| nanos / 3_600_000_000_000)),
    method("dt.minute", 1, 1, |call| part(&call, Of::Time, DataType::Int8, |_, nanos| nanos / 60_000_000_000 % 60)),
    method("dt.second", 1, 1, |call| part(&call, Of::Time, DataType::Int8, |_, nanos| nanos / 1_000_000_000 % 60)),
    method("dt.millisecond", 1, 1, |call| part(&call, Of::Time, DataType::Int32, |_, nanos| nanos / 1_000_000 % 1_000)),
    method("dt.microsecond", 1, 1, |call| part(&call, Of::Time, DataType::Int32, |_, nanos| nanos / 1_000 % 1_000_000)),
    method("dt.nanosecond", 1, 1, |call| part(&call, Of::Time, DataType::Int32, |_, nanos| nanos % 1_000_000_000)),
    method("dt.date", 1, 1, |call| part(&call, Of::Day, DataType::Date32, |day, _| day)),
    method("dt.time", 1, 1, time),
    method("dt.truncate", 2, 2, truncate),
    method("dt.epoch", 1, 2, epoch),
    method("dt.strftime", 2, 2, super::format::strftime),
    method("str.to_date", 1, 3, super::format::to_date),
    method("str.to_datetime", 1, 5, super::format::to_datetime),
    of_module("from_epoch", 1, 2, from_epoch),
];

/// What a function asks of its input.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Of {
    /// A date: dates and timestamps have one.
    Day,
    /// A time of day: times and timestamps have one.
    Time,
    /// Either.
    Any,
}

/// The input, if it has what the function needs, and its wall clock.
pub(super) fn temporal(call: &Call<'_>, of: Of) -> Result<(Typed, Wall)> {
    let input = call.input()?.plain();
    let fits = match input.dtype() {
        DataType::Date32 | DataType::Date64 => of != Of::Time,
        DataType::Time32(_) | DataType::Time64(_) => of != Of::Day,
        DataType::Timestamp(..) => true,
        _ => false,
    };
    match Wall::of(input.dtype())? {
        Some(wall) if fits => Ok((input, wall)),
        _ => {
            let expected = match of {
                Of::Day => "a date or timestamp",
                Of::Time => "a timestamp or time",
                Of::Any => "a date, timestamp or time",
            };
            let remedy = if *input.dtype() == DataType::Utf8 { "; read it with .str.to_datetime()" } else { "" };
            Err(Error::Schema(format!(
                "`{}`: expected {expected}, found {}{remedy}",
                call.what(),
                dtype_name(input.dtype())
            )))
        }
    }
}

/// `f` of each value that is not null; none of it is beyond the calendar.
pub(super) fn each(array: &ArrayRef, what: &str, mut f: impl FnMut(i64) -> Option<i64>) -> Result<Int64Array> {
    let values = integers(array)?;
    let mut out = Vec::with_capacity(values.len());
    for (row, value) in values.values().iter().enumerate() {
        out.push(if values.is_null(row) { 0 } else { f(*value).ok_or_else(|| beyond(what))? });
    }
    Ok(Int64Array::new(out.into(), values.nulls().cloned()))
}

fn part(call: &Call<'_>, of: Of, dtype: DataType, f: fn(i64, i64) -> i64) -> Result<Typed> {
    let (input, wall) = temporal(call, of)?;
    let what = call.what();
    let target = dtype.clone();
    Ok(unary(input, dtype, move |array| {
        let mut wall = wall.clone();
        let parts = each(array, &what, |v| wall.split(v).map(|(day, nanos)| f(day, nanos)))?;
        if parts.is_empty() {
            return Ok(arrow::array::new_empty_array(&target));
        }
        let done = if target == DataType::Date32 {
            labelled(checked(&parts, &what)?, &target)?
        } else {
            cast(&parts, &target)?
        };
        // a year beyond 32 bits is the only part that does not fit
        if done.null_count() > parts.null_count() {
            return Err(beyond(&what));
        }
        Ok(done)
    })
    .failing())
}

fn checked(days: &Int64Array, what: &str) -> Result<Int64Array> {
    for day in days.iter().flatten() {
        i32::try_from(day).map_err(|_| overflow(what, format!("day {day}"), &DataType::Date32))?;
    }
    Ok(days.clone())
}

/// 1 for Monday to 7 for Sunday.
fn weekday(day: i64) -> i64 {
    // 1970-01-01 was a Thursday
    (day + 3).rem_euclid(7) + 1
}

/// 1 to 366.
fn ordinal(day: i64) -> i64 {
    day - days(civil(day).0, 1, 1) + 1
}

/// ISO 8601: the week of the year that has the week's Thursday.
fn week(day: i64) -> i64 {
    let thursday = day - weekday(day) + 4;
    (ordinal(thursday) - 1) / 7 + 1
}

fn time(call: Call<'_>) -> Result<Typed> {
    let (input, wall) = temporal(&call, Of::Time)?;
    let unit = match input.dtype() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => TimeUnit::Nanosecond,
        DataType::Timestamp(..) => TimeUnit::Microsecond,
        _ => return Ok(input),
    };
    let dtype = DataType::Time64(unit);
    let (what, target) = (call.what(), dtype.clone());
    Ok(unary(input, dtype, move |array| {
        let mut wall = wall.clone();
        let by = 1_000_000_000 / per_second(unit);
        labelled(each(array, &what, |v| wall.split(v).map(|(_, nanos)| nanos / by))?, &target)
    })
    .failing())
}

/// `truncate("1h")`: the start of the span that a timestamp lies in; on the wall clock, so that days begin at midnight.
fn truncate(call: Call<'_>) -> Result<Typed> {
    let (input, wall) = temporal(&call, Of::Day)?;
    let what = call.what();
    let text = call.needed_text(1)?;
    let kinds = |e: &Every| [e.months, e.weeks, e.days + e.nanos].iter().filter(|n| **n != 0).count();
    let Some(step) = every(&text).filter(|e| kinds(e) == 1 && (e.months > 0 || e.fixed().is_some())) else {
        return Err(Error::Value(format!(
            "`{what}`: expected a step such as 15m, 1h, 1d, 1w, 1mo, 1q or 1y, found `{text}`"
        )));
    };
    let dtype = input.dtype().clone();
    let target = dtype.clone();
    Ok(unary(input, dtype, move |array| {
        let mut wall = wall.clone();
        let cut = each(array, &what, |value| {
            let (day, nanos) = wall.split(value)?;
            let (day, nanos) = floor(day, nanos, step)?;
            wall.join(day, nanos, value)
        })?;
        labelled(cut, &target)
    })
    .failing())
}

/// Weeks begin on Mondays, months and years count from 1970-01, days and clocks from 1970-01-01 00:00.
fn floor(day: i64, nanos: i64, step: Every) -> Option<(i64, i64)> {
    if step.months > 0 {
        let (year, month, _) = civil(day);
        let months = (year - 1970) * 12 + month - 1;
        let months = months - months.rem_euclid(step.months);
        return Some((days(1970 + months.div_euclid(12), months.rem_euclid(12) + 1, 1), 0));
    }
    if step.weeks > 0 {
        // 1970-01-05 was a Monday
        return Some((day - (day - 4).rem_euclid(step.weeks.checked_mul(7)?), 0));
    }
    let length = i128::from(step.fixed()?);
    let at = i128::from(day) * i128::from(DAY) + i128::from(nanos);
    let at = at - at.rem_euclid(length);
    let day_length = i128::from(DAY);
    Some((i64::try_from(at.div_euclid(day_length)).ok()?, i64::try_from(at.rem_euclid(day_length)).ok()?))
}

/// `epoch("s")`: how many of a unit since 1970-01-01 UTC, rounded down.
fn epoch(call: Call<'_>) -> Result<Typed> {
    let (input, _) = temporal(&call, Of::Day)?;
    let what = call.what();
    let word = call.text(1)?.unwrap_or_else(|| "us".into());
    let (numerator, denominator) = match input.dtype() {
        DataType::Timestamp(unit, _) => (1, per_second(*unit)),
        DataType::Date64 => (1, 1_000),
        _ => (86_400, 1),
    };
    let dtype = if word == "d" { DataType::Int32 } else { DataType::Int64 };
    let target = dtype.clone();
    let (up, down) = match (word.as_str(), parse_unit(&word)) {
        ("d", _) => (i128::from(numerator), i128::from(denominator) * 86_400),
        (_, Some(unit)) => (i128::from(numerator) * i128::from(per_second(unit)), i128::from(denominator)),
        _ => return Err(Error::Value(format!("`{what}`: expected a unit (ns, us, ms, s, d), found `{word}`"))),
    };
    Ok(unary(input, dtype, move |array| {
        let values = integers(array)?;
        let scaled = values.try_unary::<_, Int64Type, _>(|v| {
            let whole = (i128::from(v) * up).div_euclid(down);
            let fits = if target == DataType::Int32 {
                i32::try_from(whole).ok().map(i64::from)
            } else {
                i64::try_from(whole).ok()
            };
            fits.ok_or_else(|| overflow(&what, format!("{v} in {word}"), &target))
        })?;
        Ok(cast(&scaled, &target)?)
    })
    .failing())
}

/// `from_epoch(column, time_unit="s")`: timestamps (dates for `d`) from counts since 1970-01-01 UTC.
fn from_epoch(call: Call<'_>) -> Result<Typed> {
    let input = call.input()?.plain();
    let what = call.what();
    if !value_type(input.dtype()).is_integer() {
        return Err(Error::Schema(format!(
            "`{what}`: expected integers, found {}; cast them first",
            dtype_name(input.dtype())
        )));
    }
    let word = call.text(1)?.unwrap_or_else(|| "s".into());
    let (dtype, by) = match word.as_str() {
        "d" => (DataType::Date32, 1),
        "s" => (DataType::Timestamp(TimeUnit::Microsecond, None), 1_000_000),
        "ms" => (DataType::Timestamp(TimeUnit::Microsecond, None), 1_000),
        "us" => (DataType::Timestamp(TimeUnit::Microsecond, None), 1),
        "ns" => (DataType::Timestamp(TimeUnit::Nanosecond, None), 1),
        other => return Err(Error::Value(format!("`{what}`: expected a unit (ns, us, ms, s, d), found `{other}`"))),
    };
    let target = dtype.clone();
    Ok(unary(input.to(&DataType::Int64, &what), dtype, move |array| {
        let Some(values) = array.as_primitive_opt::<Int64Type>() else {
            return Err(Error::Schema(format!("expected int64, found {}", dtype_name(array.data_type()))));
        };
        let scaled = values.try_unary::<_, Int64Type, _>(|v| {
            let scaled = v.checked_mul(by).filter(|s| target != DataType::Date32 || i32::try_from(*s).is_ok());
            scaled.ok_or_else(|| overflow(&what, v, &target))
        })?;
        labelled(scaled, &target)
    })
    .failing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_iso() {
        use chrono::{Datelike, NaiveDate};
        for day in (-200_000..200_000).step_by(7).chain(-400..400) {
            let date = NaiveDate::default() + chrono::TimeDelta::days(day);
            assert_eq!(week(day), i64::from(date.iso_week().week()), "{date}");
            assert_eq!(weekday(day), i64::from(date.weekday().number_from_monday()));
            assert_eq!(ordinal(day), i64::from(date.ordinal()));
        }
    }

    #[test]
    fn truncation_begins_where_polars_does() {
        let step = |t: &str| every(t).expect("a step");
        let at = |y, m, d| days(y, m, d);
        let midday = 45_296_789_123_000;
        assert_eq!(floor(at(2024, 1, 31), midday, step("2w")), Some((at(2024, 1, 22), 0)));
        assert_eq!(floor(at(1969, 12, 31), 1, step("2w")), Some((at(1969, 12, 22), 0)));
        assert_eq!(floor(at(2024, 1, 31), midday, step("5mo")), Some((at(2023, 10, 1), 0)));
        assert_eq!(floor(at(1969, 12, 31), 1, step("3y")), Some((at(1967, 1, 1), 0)));
        assert_eq!(floor(at(2024, 1, 31), midday, step("7h")), Some((at(2024, 1, 31), 36_000_000_000_000)));
        assert_eq!(
            floor(at(1969, 12, 31), 3_661_000_000_000, step("7h")),
            Some((at(1969, 12, 30), 72_000_000_000_000))
        );
        assert_eq!(floor(at(2024, 1, 31), midday, step("3d")), Some((at(2024, 1, 30), 0)));
    }
}
