//! Dates and timestamps by a format: `strftime`, `to_date`, `to_datetime`. Formats are chrono's (`%Y-%m-%d %H:%M:%S`).

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};

use super::string::{Texts, texts};
use super::temporal::{Of, temporal};
use super::{Call, unary};
use crate::dtype::{check_timezone, parse_unit, per_second};
use crate::error::{Error, Result};
use crate::expr::convert::{cannot, convert, cut, integers, labelled, text};
use crate::expr::typing::Typed;
use crate::expr::wall::beyond;

type Items = Vec<Item<'static>>;

fn items(format: &str, what: &str) -> Result<Items> {
    let format = match format {
        "iso" => "%Y-%m-%dT%H:%M:%S%.f",
        other => other,
    };
    StrftimeItems::new(format)
        .parse_to_owned()
        .map_err(|_| Error::Value(format!("`{what}`: `{format}` is no format (such as %Y-%m-%d %H:%M:%S)")))
}

/// How a type's values are written.
enum Writes {
    Date,
    Time,
    Naive,
    Zoned(chrono_tz::Tz),
    Fixed(chrono::FixedOffset),
}

pub(super) fn strftime(call: Call<'_>) -> Result<Typed> {
    let (input, wall) = temporal(&call, Of::Any)?;
    let what = call.what();
    let format = call.needed_text(1)?;
    let items = items(&format, &what)?;
    let writes = match input.dtype() {
        DataType::Date32 | DataType::Date64 => Writes::Date,
        DataType::Time32(_) | DataType::Time64(_) => Writes::Time,
        DataType::Timestamp(_, Some(tz)) => match (tz.parse::<chrono_tz::Tz>(), tz.parse::<chrono::FixedOffset>()) {
            (Ok(zone), _) => Writes::Zoned(zone),
            (_, Ok(offset)) => Writes::Fixed(offset),
            _ => return Err(Error::Value(format!("`{what}`: unknown time zone `{tz}`"))),
        },
        _ => Writes::Naive,
    };
    let mut line = String::new();
    if write(&mut line, &writes, DateTime::UNIX_EPOCH.naive_utc(), DateTime::UNIX_EPOCH, &items).is_none() {
        return Err(Error::Value(format!(
            "`{what}`: {} has not all that the format `{format}` asks for",
            crate::dtype::dtype_name(input.dtype())
        )));
    }
    let per = match input.dtype() {
        DataType::Timestamp(unit, _) => per_second(*unit),
        _ => 1,
    };
    Ok(unary(input, DataType::Utf8, move |array| {
        let mut wall = wall.clone();
        let values = integers(array)?;
        let mut out = Texts::new(values.len());
        let mut line = String::new();
        for value in &values {
            let Some(value) = value else {
                out.push_null();
                continue;
            };
            line.clear();
            let local = wall.local(value).ok_or_else(|| beyond(&what))?;
            let utc = DateTime::from_timestamp(
                value.div_euclid(per),
                u32::try_from(value.rem_euclid(per) * (1_000_000_000 / per)).unwrap_or(0),
            )
            .unwrap_or_default();
            write(&mut line, &writes, local, utc, &items).ok_or_else(|| beyond(&what))?;
            out.push(&line)?;
        }
        Ok(out.finish())
    })
    .failing())
}

fn write(
    line: &mut String,
    how: &Writes,
    local: chrono::NaiveDateTime,
    utc: DateTime<Utc>,
    items: &Items,
) -> Option<()> {
    let items = items.iter();
    match how {
        Writes::Date => write!(line, "{}", local.date().format_with_items(items)),
        Writes::Time => write!(line, "{}", local.time().format_with_items(items)),
        Writes::Naive => write!(line, "{}", local.format_with_items(items)),
        Writes::Zoned(zone) => write!(line, "{}", utc.with_timezone(zone).format_with_items(items)),
        Writes::Fixed(offset) => write!(line, "{}", utc.with_timezone(offset).format_with_items(items)),
    }
    .ok()
}

/// Reads every text with `f`; a failure names column and value where `strict`, else it is null.
fn reading(
    call: &Call<'_>,
    dtype: DataType,
    strict: bool,
    f: impl Fn(&str) -> Option<i64> + Send + Sync + 'static,
) -> Result<Typed> {
    let input = call.text_input()?.plain();
    let column = call.inputs.first().map(|i| i.field().name().clone()).unwrap_or_default();
    let target = dtype.clone();
    let nullable = input.nullable() || !strict;
    let typed = unary(input, dtype, move |array: &ArrayRef| {
        let mut out: Vec<Option<i64>> = Vec::with_capacity(array.len());
        for text in texts(array)? {
            let read = text.and_then(&f);
            if let (Some(text), None, true) = (text, read, strict) {
                return Err(cannot(&column, text, &target));
            }
            out.push(read);
        }
        labelled(Int64Array::from(out), &target)
    });
    let field = typed.field().clone().with_nullable(nullable);
    let typed = typed.with_field(field);
    Ok(if strict { typed.failing() } else { typed })
}

/// `to_date(format=None, strict=True)`; without a format, ISO 8601.
pub(super) fn to_date(call: Call<'_>) -> Result<Typed> {
    let strict = call.flag(2, true)?;
    let days = |date: NaiveDate| (date - NaiveDate::default()).num_days();
    match call.text(1)? {
        None => reading(&call, DataType::Date32, strict, move |t| text::date(t).map(days)),
        Some(format) => {
            let what = call.what();
            let items = items(&format, &what)?;
            check_reads(&items, false, &format, &what)?;
            reading(&call, DataType::Date32, strict, move |t| {
                let mut parsed = Parsed::new();
                chrono::format::parse(&mut parsed, t, items.iter()).ok()?;
                date_of(&mut parsed).map(days)
            })
        }
    }
}

/// `to_datetime(format=None, time_unit="us", time_zone=None, strict=True)`; without a format, ISO 8601. A format with an
/// offset (`%z`) gives timestamps in UTC.
pub(super) fn to_datetime(call: Call<'_>) -> Result<Typed> {
    let what = call.what();
    let word = call.text(2)?.unwrap_or_else(|| "us".into());
    let unit = parse_unit(&word)
        .filter(|u| *u != TimeUnit::Second || word == "s")
        .ok_or_else(|| Error::Value(format!("`{what}`: expected a unit (s, ms, us, ns), found `{word}`")))?;
    let zone = call.text(3)?;
    if let Some(zone) = &zone {
        check_timezone(zone)?;
    }
    let strict = call.flag(4, true)?;
    let Some(format) = call.text(1)? else {
        let dtype = DataType::Timestamp(unit, zone.map(Into::into));
        let input = call.text_input()?.plain();
        let column = input.field().name().clone();
        let target = dtype.clone();
        let nullable = input.nullable() || !strict;
        let typed = unary(input, dtype, move |array| {
            convert(array, &target, strict, &column).map_err(|e| with_remedy(e, &target))
        });
        let field = typed.field().clone().with_nullable(nullable);
        let typed = typed.with_field(field);
        return Ok(if strict { typed.failing() } else { typed });
    };
    let items = items(&format, &what)?;
    let offsets = items.iter().any(|i| {
        matches!(
            i,
            Item::Fixed(
                Fixed::TimezoneOffset
                    | Fixed::TimezoneOffsetZ
                    | Fixed::TimezoneOffsetColon
                    | Fixed::TimezoneOffsetColonZ
                    | Fixed::TimezoneOffsetDoubleColon
                    | Fixed::TimezoneOffsetTripleColon
                    | Fixed::RFC2822
                    | Fixed::RFC3339
                    | Fixed::Internal(_)
            )
        )
    });
    check_reads(&items, true, &format, &what)?;
    let name = zone.or_else(|| offsets.then(|| "UTC".to_owned()));
    let local = name.as_ref().and_then(|n| n.parse::<arrow::array::timezone::Tz>().ok());
    let dtype = DataType::Timestamp(unit, name.map(Into::into));
    reading(&call, dtype, strict, move |t| {
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, t, items.iter()).ok()?;
        let date = date_of(&mut parsed)?;
        if parsed.hour_mod_12().is_some() && parsed.minute().is_none() {
            parsed.set_minute(0).ok()?;
        }
        let wall = if parsed.hour_mod_12().is_some() || parsed.hour_div_12().is_some() {
            date.and_time(parsed.to_naive_time().ok()?)
        } else {
            match parsed.timestamp() {
                Some(seconds) => DateTime::from_timestamp(seconds, parsed.nanosecond().unwrap_or(0))?.naive_utc(),
                None => date.and_time(NaiveTime::MIN),
            }
        };
        match (parsed.offset(), &local) {
            (Some(offset), _) => text::units(wall, unit)?.checked_sub(i64::from(offset) * per_second(unit)),
            (None, Some(zone)) if offsets => text::units(zone.from_local_datetime(&wall).earliest()?.naive_utc(), unit),
            (None, Some(zone)) => text::instant(wall, *zone, unit),
            (None, None) => text::units(wall, unit),
        }
    })
}

fn with_remedy(error: Error, dtype: &DataType) -> Error {
    match (error, dtype) {
        (Error::Parse { place, .. }, DataType::Timestamp(_, None))
            if place.value.as_deref().and_then(text::moment).is_some_and(|m| m.offset.is_some()) =>
        {
            let (column, value) = (place.column.clone().unwrap_or_default(), place.value.clone().unwrap_or_default());
            Error::Parse {
                message: format!(
                    "column `{column}`: `{}` has an offset from UTC; pass time_zone=\"UTC\" (or the zone to show it in)",
                    cut(&value)
                ),
                place,
            }
        }
        (error, _) => error,
    }
}

/// The date that was read; the first of the month or year where the format has no more.
fn date_of(parsed: &mut Parsed) -> Option<NaiveDate> {
    parsed.to_naive_date().ok().or_else(|| {
        if let Some(seconds) = parsed.timestamp() {
            return DateTime::from_timestamp(seconds, 0).map(|t| t.date_naive());
        }
        if parsed.day().is_none() && parsed.ordinal().is_none() && parsed.month().is_some() {
            parsed.set_day(1).ok()?;
        }
        parsed.to_naive_date().ok()
    })
}

/// Refuses a format that cannot give a date.
fn check_reads(items: &Items, clock: bool, format: &str, what: &str) -> Result<()> {
    let numeric = |any: &[Numeric]| items.iter().any(|i| matches!(i, Item::Numeric(n, _) if any.contains(n)));
    let whole = items.iter().any(|i| matches!(i, Item::Fixed(Fixed::RFC2822 | Fixed::RFC3339)))
        || numeric(&[Numeric::Timestamp]);
    let year = numeric(&[Numeric::Year, Numeric::YearMod100, Numeric::IsoYear, Numeric::IsoYearMod100]);
    let month =
        numeric(&[Numeric::Month, Numeric::Ordinal, Numeric::IsoWeek, Numeric::WeekFromMon, Numeric::WeekFromSun])
            || items.iter().any(|i| matches!(i, Item::Fixed(Fixed::ShortMonthName | Fixed::LongMonthName)));
    if whole && clock || year && month {
        return Ok(());
    }
    Err(Error::Value(format!("`{what}`: the format `{format}` has no year and month, so it cannot give a date")))
}
