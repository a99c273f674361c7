//! Dates, times, timestamps and durations to and from text, and between their units.
//!
//! A coarser unit rounds down, also before 1970; a time zone changes the reading of a timestamp, never the instant
//! (a timestamp without zone is taken as UTC when it gets one, as pyarrow and polars do).

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::NaiveTime;

use super::text;
use crate::dtype::per_second;
use crate::error::{Error, Result};
use crate::expr::wall::{self, DAY, Wall};

/// Whether the pair of types is converted here.
pub fn handles(from: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Date64, Duration, Time32, Time64, Timestamp, Utf8};
    matches!(
        (from, to),
        (Utf8, Date32 | Timestamp(..) | Time32(_) | Time64(_) | Duration(_))
            | (Date32 | Date64 | Timestamp(..) | Time32(_) | Time64(_) | Duration(_), Utf8)
            | (Timestamp(..), Timestamp(..) | Date32 | Time32(_) | Time64(_))
            | (Duration(_), Duration(_))
            | (Date32, Timestamp(_, _))
            | (Date64, Date32)
    )
}

/// Converts the pairs that [`handles`] names; what does not fit becomes null.
pub fn convert(array: &ArrayRef, to: &DataType) -> Option<Result<ArrayRef>> {
    if !handles(array.data_type(), to) {
        return None;
    }
    Some(match (array.data_type(), to) {
        (DataType::Utf8, to) => read(array, to),
        (_, DataType::Utf8) => write(array),
        (DataType::Duration(from), DataType::Duration(unit))
        | (DataType::Timestamp(from, _), DataType::Timestamp(unit, _)) => rescale(array, *from, *unit, to),
        (DataType::Date32, DataType::Timestamp(unit, _)) => integers(array).and_then(|days| {
            let per = 86_400 * per_second(*unit);
            labelled(days.unary_opt(|d: i64| d.checked_mul(per)), to)
        }),
        (_, DataType::Date32) => split(array, |day, _| i32::try_from(day).ok().map(i64::from))
            .and_then(|days| Ok(cast(&days, &DataType::Date32)?)),
        (_, DataType::Time32(unit) | DataType::Time64(unit)) => {
            let by = 1_000_000_000 / per_second(*unit);
            split(array, |_, nanos| Some(nanos / by)).and_then(|times| labelled(times, to))
        }
        _ => return None,
    })
}

/// The integers below a temporal array.
pub fn integers(array: &ArrayRef) -> Result<Int64Array> {
    let wide = match array.data_type() {
        DataType::Date32 | DataType::Time32(_) => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(array, &DataType::Int64)?,
    };
    wide.as_primitive_opt::<Int64Type>()
        .cloned()
        .ok_or_else(|| Error::Schema("expected dates, times or timestamps".into()))
}

/// Integers as the temporal type `to`, whatever they count.
pub fn labelled(values: Int64Array, to: &DataType) -> Result<ArrayRef> {
    match to {
        DataType::Date32 | DataType::Time32(_) => Ok(cast(&cast(&values, &DataType::Int32)?, to)?),
        // no adjustment to a zone: the integers are UTC already
        DataType::Timestamp(..) | DataType::Duration(_) | DataType::Time64(_) | DataType::Date64 => {
            let data = values.into_data().into_builder().data_type(to.clone()).build()?;
            Ok(arrow::array::make_array(data))
        }
        _ => Ok(cast(&values, to)?),
    }
}

fn rescale(array: &ArrayRef, from: TimeUnit, unit: TimeUnit, to: &DataType) -> Result<ArrayRef> {
    let values = integers(array)?;
    let (from, into) = (per_second(from), per_second(unit));
    let scaled = if into >= from {
        let by = into / from;
        if by == 1 { values } else { values.unary_opt(|v: i64| v.checked_mul(by)) }
    } else {
        let by = from / into;
        values.unary(|v: i64| v.div_euclid(by))
    };
    labelled(scaled, to)
}

fn split(array: &ArrayRef, part: impl Fn(i64, i64) -> Option<i64>) -> Result<Int64Array> {
    let Some(mut wall) = Wall::of(array.data_type())? else {
        return Err(Error::Schema("expected dates or timestamps".into()));
    };
    let values = integers(array)?;
    Ok(values.iter().map(|v| v.and_then(|v| wall.split(v)).and_then(|(day, nanos)| part(day, nanos))).collect())
}

fn read(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let texts = array.as_string::<i32>();
    let zone = match to {
        DataType::Timestamp(_, Some(tz)) => {
            crate::dtype::check_timezone(tz)?;
            tz.parse::<arrow::array::timezone::Tz>().ok()
        }
        _ => None,
    };
    let one = |text: &str| -> Option<i64> {
        match to {
            DataType::Date32 => {
                let date = text::date(text)?;
                Some((date - chrono::NaiveDate::default()).num_days())
            }
            DataType::Timestamp(unit, _) => {
                let moment = text::moment(text)?;
                match (&zone, moment.offset) {
                    (Some(_), Some(offset)) => {
                        text::units(moment.local, *unit)?.checked_sub(i64::from(offset) * per_second(*unit))
                    }
                    (Some(zone), None) => text::instant(moment.local, *zone, *unit),
                    // an offset means an instant; a column of wall clocks has no room for it
                    (None, Some(_)) => None,
                    (None, None) => text::units(moment.local, *unit),
                }
            }
            DataType::Time32(unit) | DataType::Time64(unit) => {
                let nanos = (text::time(text)? - NaiveTime::MIN).num_nanoseconds()?;
                Some(nanos / (1_000_000_000 / per_second(*unit)))
            }
            DataType::Duration(unit) => {
                let (value, from) = text::duration(text)?;
                let (from, into) = (per_second(from), per_second(*unit));
                if into >= from { value.checked_mul(into / from) } else { Some(value.div_euclid(from / into)) }
            }
            _ => None,
        }
    };
    let values: Int64Array = texts.iter().map(|t| t.and_then(one)).collect();
    labelled(values, to)
}

fn write(array: &ArrayRef) -> Result<ArrayRef> {
    let values = integers(array)?;
    let mut out = StringBuilder::with_capacity(values.len(), values.len().saturating_mul(20));
    if let DataType::Duration(unit) = array.data_type() {
        for value in &values {
            out.append_option(value.map(|v| duration(v, *unit)));
        }
        return Ok(Arc::new(out.finish()));
    }
    let Some(mut wall) = Wall::of(array.data_type())? else {
        return Err(Error::Schema("expected dates, times or timestamps".into()));
    };
    let digits = |unit: TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    let mut line = String::new();
    for value in &values {
        let Some(value) = value else {
            out.append_null();
            continue;
        };
        line.clear();
        let Some((day, nanos)) = wall.split(value) else { return Err(wall::beyond("cast")) };
        match array.data_type() {
            DataType::Date32 | DataType::Date64 => write_date(&mut line, day),
            DataType::Time32(_) | DataType::Time64(_) => {
                write_time(&mut line, nanos, 0);
                let rest = nanos.rem_euclid(1_000_000_000);
                if rest > 0 {
                    let width = if rest % 1_000_000 == 0 {
                        3
                    } else if rest % 1_000 == 0 {
                        6
                    } else {
                        9
                    };
                    write_fraction(&mut line, rest, width);
                }
            }
            DataType::Timestamp(unit, tz) => {
                write_date(&mut line, day);
                line.push(' ');
                write_time(&mut line, nanos.rem_euclid(DAY), digits(*unit));
                if tz.is_some() {
                    let offset = wall.offset(value.div_euclid(per_second(*unit))).unwrap_or(0);
                    let sign = if offset < 0 { '-' } else { '+' };
                    let _ = write!(line, "{sign}{:02}:{:02}", offset.abs() / 3600, offset.abs() / 60 % 60);
                }
            }
            _ => {}
        }
        out.append_value(&line);
    }
    Ok(Arc::new(out.finish()))
}

fn write_date(line: &mut String, day: i64) {
    let (year, month, day) = wall::civil(day);
    let _ = if (0..=9999).contains(&year) {
        write!(line, "{year:04}-{month:02}-{day:02}")
    } else {
        write!(line, "{year:+05}-{month:02}-{day:02}")
    };
}

fn write_time(line: &mut String, nanos: i64, digits: usize) {
    let seconds = nanos / 1_000_000_000;
    let _ = write!(line, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    write_fraction(line, nanos % 1_000_000_000, digits);
}

fn write_fraction(line: &mut String, nanos: i64, digits: usize) {
    if let Some(drop) = 9usize.checked_sub(digits).filter(|_| digits > 0) {
        let by = 10i64.pow(u32::try_from(drop).unwrap_or(0));
        let _ = write!(line, ".{:0digits$}", nanos / by);
    }
}

/// `1d2h3m4s`, as [`text::duration`] reads it.
fn duration(value: i64, unit: TimeUnit) -> String {
    let nanos = i128::from(value) * i128::from(1_000_000_000 / per_second(unit));
    let mut out = String::from(if nanos < 0 { "-" } else { "" });
    let mut rest = nanos.unsigned_abs();
    for (name, by) in [
        ("d", 86_400_000_000_000u128),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        if rest >= by {
            let _ = write!(out, "{}{name}", rest / by);
            rest %= by;
        }
    }
    if nanos == 0 { "0s".into() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::parse_dtype;
    use crate::expr::convert::{convert, shown};
    use arrow::array::{Int32Array, StringArray};

    fn to(array: ArrayRef, dtype: &str) -> ArrayRef {
        convert(&array, &parse_dtype(dtype).expect("a dtype"), false, "x").expect("converts")
    }

    fn texts(array: &ArrayRef) -> Vec<Option<&str>> {
        array.as_string::<i32>().iter().collect()
    }

    #[test]
    fn timestamps_are_written_as_peers_do() {
        let micros: ArrayRef = Arc::new(Int64Array::from(vec![Some(1_706_704_496_789_123), Some(-1), None]));
        let stamps =
            labelled(micros.as_primitive::<Int64Type>().clone(), &parse_dtype("timestamp[us]").expect("a dtype"))
                .expect("labels");
        assert_eq!(
            texts(&to(stamps.clone(), "string")),
            [Some("2024-01-31 12:34:56.789123"), Some("1969-12-31 23:59:59.999999"), None]
        );
        assert_eq!(
            texts(&to(to(stamps.clone(), "timestamp[ms]"), "string")),
            [Some("2024-01-31 12:34:56.789"), Some("1969-12-31 23:59:59.999"), None]
        );
        let berlin = to(stamps.clone(), "timestamp[us, tz=Europe/Berlin]");
        assert_eq!(texts(&to(berlin.clone(), "string"))[0], Some("2024-01-31 13:34:56.789123+01:00"));
        assert_eq!(texts(&to(to(stamps.clone(), "date32"), "string")), [Some("2024-01-31"), Some("1969-12-31"), None]);
        assert_eq!(texts(&to(to(stamps, "time64[us]"), "string"))[0], Some("12:34:56.789123"));
        assert_eq!(shown(&to(berlin, "timestamp[us]"), 1), "1969-12-31T23:59:59.999999");
    }

    #[test]
    fn text_is_read() {
        let text: ArrayRef =
            Arc::new(StringArray::from(vec![Some("2024-01-31 12:00:00+01:00"), Some("2024-07-01"), Some("x"), None]));
        let utc = to(text.clone(), "timestamp[s, tz=Europe/Berlin]");
        assert_eq!(
            integers(&utc).expect("integers").iter().collect::<Vec<_>>(),
            [Some(1_706_698_800), Some(1_719_784_800), None, None]
        );
        assert_eq!(to(text.clone(), "timestamp[s]").null_count(), 3);
        assert_eq!(to(text.clone(), "date32").null_count(), 3);
        let failed = convert(&text, &DataType::Date32, true, "when").expect_err("the first has a time");
        assert_eq!(
            failed.to_string(),
            "column `when`: cannot cast `2024-01-31 12:00:00+01:00` to date32; strict=False makes it null"
        );
    }

    #[test]
    fn durations_round_trip() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["1d2h", "-90s", "0s", "5us"]));
        let spans = to(text, "duration[us]");
        assert_eq!(texts(&to(spans, "string")), [Some("1d2h"), Some("-1m30s"), Some("0s"), Some("5us")]);
    }

    #[test]
    fn numbers_that_do_not_fit() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![1, 300]));
        let failed = convert(&ints, &DataType::UInt8, true, "n").expect_err("300");
        assert_eq!(failed.to_string(), "column `n`: cannot cast `300` to uint8; strict=False makes it null");
        assert_eq!(to(ints, "uint8").null_count(), 1);
    }
}
