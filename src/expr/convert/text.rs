//! Text read as dates, times, timestamps and durations: ISO 8601, and what databases write.
//!
//! One reader for casts, for `str.to_date` and `str.to_datetime` without a format, and for text that meets such a column.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone};

use crate::dtype::per_second;
use crate::expr::Literal;

/// A timestamp as text has it: the wall clock, and the offset from UTC in seconds if one stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub local: NaiveDateTime,
    /// Seconds east of UTC.
    pub offset: Option<i32>,
}

/// Reads digits from the front of `bytes`: at least `least`, at most `most`.
fn number(bytes: &mut &[u8], least: usize, most: usize) -> Option<u32> {
    let len = bytes.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at_checked(len).filter(|_| len >= least)?;
    *bytes = rest;
    Some(digits.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')))
}

fn take(bytes: &mut &[u8], any: &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    any.contains(first).then(|| {
        *bytes = rest;
        *first
    })
}

fn date_part(bytes: &mut &[u8]) -> Option<NaiveDate> {
    let negative = take(bytes, b"-").is_some();
    let year = number(bytes, 4, 6)?;
    let separator = take(bytes, b"-/")?;
    let month = number(bytes, 1, 2)?;
    take(bytes, &[separator])?;
    let day = number(bytes, 1, 2)?;
    let year = i32::try_from(year).ok()?;
    NaiveDate::from_ymd_opt(if negative { -year } else { year }, month, day)
}

fn time_part(bytes: &mut &[u8]) -> Option<NaiveTime> {
    let hour = number(bytes, 1, 2)?;
    take(bytes, b":")?;
    let minute = number(bytes, 2, 2)?;
    let (mut second, mut nanos) = (0, 0);
    if take(bytes, b":").is_some() {
        second = number(bytes, 2, 2)?;
        if take(bytes, b".,").is_some() {
            let before = bytes.len();
            nanos = number(bytes, 1, 9)?;
            for _ in (before - bytes.len())..9 {
                nanos *= 10;
            }
            // digits beyond nanoseconds would be lost: only zeros may follow
            while take(bytes, b"0").is_some() {}
        }
    }
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
}

fn offset_part(bytes: &mut &[u8]) -> Option<i32> {
    match take(bytes, b"Zz+-")? {
        b'+' => offset_hours(bytes),
        b'-' => offset_hours(bytes).map(|s| -s),
        _ => Some(0),
    }
}

fn offset_hours(bytes: &mut &[u8]) -> Option<i32> {
    let hours = number(bytes, 2, 2)?;
    let colon = take(bytes, b":").is_some();
    let minutes = if colon || !bytes.is_empty() { number(bytes, 2, 2)? } else { 0 };
    (hours < 24 && minutes < 60).then(|| i32::try_from(hours * 3600 + minutes * 60).ok()).flatten()
}

/// `2024-01-31`, or with slashes.
pub fn date(text: &str) -> Option<NaiveDate> {
    let mut rest = text.as_bytes();
    let date = date_part(&mut rest)?;
    rest.is_empty().then_some(date)
}

/// `12:34`, `12:34:56`, `12:34:56.789`.
pub fn time(text: &str) -> Option<NaiveTime> {
    let mut rest = text.as_bytes();
    let time = time_part(&mut rest)?;
    rest.is_empty().then_some(time)
}

/// `2024-01-31`, `2024-01-31 12:34`, `2024-01-31T12:34:56.789Z`, `… +02:00`.
pub fn moment(text: &str) -> Option<Moment> {
    let mut rest = text.as_bytes();
    let date = date_part(&mut rest)?;
    if rest.is_empty() {
        return Some(Moment { local: date.and_time(NaiveTime::MIN), offset: None });
    }
    take(&mut rest, b" Tt")?;
    let local = date.and_time(time_part(&mut rest)?);
    take(&mut rest, b" ");
    let offset = if rest.is_empty() { None } else { Some(offset_part(&mut rest)?) };
    rest.is_empty().then_some(Moment { local, offset })
}

/// A wall clock in units since 1970, if the unit's range holds it. What is finer than the unit is cut off.
pub fn units(local: NaiveDateTime, unit: TimeUnit) -> Option<i64> {
    let utc = local.and_utc();
    match unit {
        TimeUnit::Second => Some(utc.timestamp()),
        TimeUnit::Millisecond => Some(utc.timestamp_millis()),
        TimeUnit::Microsecond => Some(utc.timestamp_micros()),
        TimeUnit::Nanosecond => utc.timestamp_nanos_opt(),
    }
}

/// The instant, in units since 1970 UTC, of a wall clock in the zone `tz`. A wall clock that a change of the clocks shows
/// twice is taken as the earlier; one that it skips is none.
pub fn instant(local: NaiveDateTime, tz: arrow::array::timezone::Tz, unit: TimeUnit) -> Option<i64> {
    let offset = tz.offset_from_local_datetime(&local).earliest()?.fix();
    units(local.checked_sub_offset(offset)?, unit)
}

/// `1d12h`, `90s`, `-5m`, or a clock: `1 day, 02:03:04.5`, `26:00:00`. In microseconds, or nanoseconds where it needs them.
pub fn duration(text: &str) -> Option<(i64, TimeUnit)> {
    let text = text.trim();
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let nanos = if body.contains(':') { clock(body)? } else { i128::from(every(body)?.fixed()?) };
    let nanos = if negative { -nanos } else { nanos };
    if nanos % 1000 == 0 {
        i64::try_from(nanos / 1000).ok().map(|v| (v, TimeUnit::Microsecond))
    } else {
        i64::try_from(nanos).ok().map(|v| (v, TimeUnit::Nanosecond))
    }
}

fn clock(body: &str) -> Option<i128> {
    let (days, time) = match body.split_once("day") {
        Some((days, time)) => (days.trim().parse::<u32>().ok()?, time.trim_start_matches(['s', ',', ' '])),
        None => (0, body),
    };
    let (hours, rest) = time.split_once(':')?;
    let hours: u32 = hours.parse().ok()?;
    let rest = self::time(&format!("00:{rest}"))?;
    let rest = (rest - NaiveTime::MIN).num_nanoseconds()?;
    Some((i128::from(days) * 24 + i128::from(hours)) * 3_600_000_000_000 + i128::from(rest))
}

/// A step of the calendar or the clock, as `truncate` takes it: `1h30m`, `2w`, `1mo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Every {
    /// Months; quarters and years are months.
    pub months: i64,
    /// Weeks.
    pub weeks: i64,
    /// Days.
    pub days: i64,
    /// Nanoseconds.
    pub nanos: i64,
}

impl Every {
    /// Its length in nanoseconds, a day being 24 hours; none where months are in it.
    pub fn fixed(self) -> Option<i64> {
        let days = self.weeks.checked_mul(7)?.checked_add(self.days)?;
        (self.months == 0).then_some(())?;
        days.checked_mul(86_400_000_000_000)?.checked_add(self.nanos)
    }
}

/// Reads polars' duration words: `ns us ms s m h d w mo q y`, several of them in a row.
pub fn every(text: &str) -> Option<Every> {
    let mut rest = text;
    let mut every = Every::default();
    while !rest.is_empty() {
        let len = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0)?;
        let (count, tail) = rest.split_at_checked(len)?;
        let count: i64 = count.parse().ok()?;
        let len = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(len)?;
        let (field, by) = match unit {
            "ns" => (&mut every.nanos, 1),
            "us" | "μs" => (&mut every.nanos, 1_000),
            "ms" => (&mut every.nanos, 1_000_000),
            "s" => (&mut every.nanos, 1_000_000_000),
            "m" => (&mut every.nanos, 60_000_000_000),
            "h" => (&mut every.nanos, 3_600_000_000_000),
            "d" => (&mut every.days, 1),
            "w" => (&mut every.weeks, 1),
            "mo" => (&mut every.months, 1),
            "q" => (&mut every.months, 3),
            "y" => (&mut every.months, 12),
            _ => return None,
        };
        *field = count.checked_mul(by)?.checked_add(*field)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(every)
}

/// Text as a constant of the kind of `dtype`, where that is a date, timestamp, time, decimal or duration; an error holds
/// what would have been readable. `None` for other types.
pub fn read_literal(text: &str, dtype: &DataType) -> Option<Result<Literal, String>> {
    let text = text.trim();
    let found = match dtype {
        DataType::Date32 | DataType::Date64 => moment(text)
            .filter(|m| m.offset.is_none())
            .and_then(|m| from_moment(m, None))
            .ok_or(" (dates are written 2024-01-31)"),
        DataType::Timestamp(_, None) => moment(text)
            .filter(|m| m.offset.is_none())
            .and_then(|m| from_moment(m, None))
            .ok_or(" (timestamps are written 2024-01-31 12:34:56, without offset for a column without time zone)"),
        DataType::Timestamp(_, Some(tz)) => moment(text)
            .and_then(|m| from_moment(m, Some(tz)))
            .ok_or(" (timestamps are written 2024-01-31 12:34:56, with or without +02:00)"),
        DataType::Time32(_) | DataType::Time64(_) => time(text)
            .and_then(|t| (t - NaiveTime::MIN).num_microseconds())
            .map(Literal::Time)
            .ok_or(" (times are written 12:34:56)"),
        DataType::Duration(_) => duration(text)
            .map(|(value, unit)| Literal::Duration { value, unit })
            .ok_or(" (durations are written 1d12h, 90s or 26:00:00)"),
        d if d.is_decimal() => decimal(text).ok_or(" (decimals are written 12.50)"),
        _ => return None,
    };
    Some(found.map_err(str::to_owned))
}

fn from_moment(moment: Moment, tz: Option<&std::sync::Arc<str>>) -> Option<Literal> {
    let micros = moment.local.and_utc().timestamp_subsec_nanos().is_multiple_of(1000);
    let unit = if micros { TimeUnit::Microsecond } else { TimeUnit::Nanosecond };
    let value = match (tz, moment.offset) {
        (Some(_), Some(offset)) => {
            units(moment.local, unit)?.checked_sub(i64::from(offset).checked_mul(per_second(unit))?)?
        }
        (Some(tz), None) => instant(moment.local, tz.parse().ok()?, unit)?,
        (None, _) => units(moment.local, unit)?,
    };
    Some(Literal::Timestamp { value, unit, tz: tz.cloned() })
}

/// `12.50` as an exact decimal of at most 38 digits.
pub fn decimal(text: &str) -> Option<Literal> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let mut value: i128 = 0;
    let mut digits = 0;
    for b in whole.bytes().chain(fraction.bytes()) {
        let digit = b.is_ascii_digit().then(|| i128::from(b - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
        digits += u8::from(value != 0);
    }
    (digits <= 38).then_some(())?;
    let scale = i8::try_from(fraction.len()).ok().filter(|s| *s <= 38)?;
    Some(Literal::Decimal { value: if negative { -value } else { value }, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let read = |t: &str| moment(t).map(|m| (m.local.to_string(), m.offset));
        let is = |t: &str, local: &str, offset| assert_eq!(read(t), Some((local.to_owned(), offset)), "{t}");
        is("2024-01-31", "2024-01-31 00:00:00", None);
        is("2024-01-31 1:02", "2024-01-31 01:02:00", None);
        is("2024/01/31T01:02:03.5", "2024-01-31 01:02:03.500", None);
        is("2024-01-31T01:02:03Z", "2024-01-31 01:02:03", Some(0));
        is("2024-01-31 01:02:03 -0730", "2024-01-31 01:02:03", Some(-27_000));
        is("2024-01-31 01:02:03+02", "2024-01-31 01:02:03", Some(7_200));
        for bad in [
            "",
            "2024",
            "2024-13-01",
            "2024-02-30",
            "2024-01-31 25:00",
            "2024-01-31 01:02:03.1234567891",
            "2024-01-31x",
            "2024-01/31",
            "2024-01-31 01:02 +99:00",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1d12h"), Some((129_600_000_000, TimeUnit::Microsecond)));
        assert_eq!(duration("-90s"), Some((-90_000_000, TimeUnit::Microsecond)));
        assert_eq!(duration("26:00:00.5"), Some((93_600_500_000, TimeUnit::Microsecond)));
        assert_eq!(duration("1 day, 0:00:01"), Some((86_401_000_000, TimeUnit::Microsecond)));
        assert_eq!(duration("5ns"), Some((5, TimeUnit::Nanosecond)));
        for bad in ["", "1mo", "h", "1x", "99999999999999999999d", "9223372036854775807w"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal("-12.50"), Some(Literal::Decimal { value: -1250, scale: 2 }));
        assert_eq!(decimal("7"), Some(Literal::Decimal { value: 7, scale: 0 }));
        for bad in ["", ".", "1e5", "1.2.3", "1234567890123456789012345678901234567890"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}
