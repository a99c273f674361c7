//! Dates, times and timestamps from text: ISO 8601 by bytes, other patterns through `chrono`.

use std::str::FromStr;

use arrow::array::timezone::Tz;
use arrow::datatypes::TimeUnit;
use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone};

use crate::error::{Error, Result};

const DAY: i64 = 86_400;

/// A point in time as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Seconds since 1970, of the clock that was read: local time if there is no `offset`.
    pub(super) seconds: i64,
    /// Nanoseconds beyond.
    pub(super) nanos: u32,
    /// Seconds that the clock is ahead of UTC, where it was said.
    pub(super) offset: Option<i32>,
    /// Whether there was a time of day.
    pub(super) timed: bool,
}

/// Two digits at `at`.
#[inline(always)]
fn two(b: &[u8], at: usize) -> Option<u32> {
    let (tens, ones) = (b.get(at)?.wrapping_sub(b'0'), b.get(at + 1)?.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (after Howard Hinnant's `days_from_civil`).
#[inline(always)]
fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let longest = *LENGTHS.get(month.wrapping_sub(1) as usize)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if day == 0 || day > longest || (month == 2 && day == 29 && !leap) {
        return None;
    }
    // Years begin in March, four hundred years after the first, so that nothing is negative.
    let y = year + 400 - u32::from(month <= 2);
    let m = (month + 9) % 12;
    let of_year = (153 * m + 2) / 5 + day - 1;
    let of_era = (y % 400) * 365 + (y % 400) / 4 - (y % 400) / 100 + of_year;
    Some((y / 400 * 146_097 + of_era).cast_signed() - 719_468 - 146_097)
}

/// `YYYY-MM-DD`, as days since 1970.
#[inline(always)]
pub(super) fn date(b: &[u8]) -> Option<i32> {
    let b: &[u8; 10] = b.try_into().ok()?;
    if b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    days(two(b, 0)? * 100 + two(b, 2)?, two(b, 5)?, two(b, 8)?)
}

/// Reads dates, and remembers the last one: the rows of a file are often in the order of time.
#[derive(Debug, Clone)]
pub(super) struct Day {
    text: [u8; 10],
    /// Seconds from 1970.
    seconds: i64,
}

impl Default for Day {
    fn default() -> Self {
        Self { text: *b"1970-01-01", seconds: 0 }
    }
}

impl Day {
    /// `YYYY-MM-DDTHH:MM:SS`, or with a space between, as seconds since 1970.
    #[inline(always)]
    pub(super) fn and_clock(&mut self, text: &[u8; 19]) -> Option<i64> {
        let (day, [between, clock @ ..]) = text.split_first_chunk::<10>()? else { return None };
        let clock = whole_clock(clock.first_chunk()?)?;
        if *day != self.text {
            self.seconds = i64::from(date(day)?) * DAY;
            self.text = *day;
        }
        matches!(between, b'T' | b' ' | b't').then(|| self.seconds + i64::from(clock))
    }
}

/// `HH:MM:SS` as seconds, its six digits looked at at once.
#[inline(always)]
fn whole_clock(text: &[u8; 8]) -> Option<u32> {
    // Digits become their values, colons become zeros.
    let x = u64::from_le_bytes(*text) ^ u64::from_le_bytes(*b"00:00:00");
    let odd = (x | x.wrapping_add(0x0606_0006_0600_0606)) & 0xf0f0_fff0_f0ff_f0f0;
    let pairs = x.wrapping_mul(10).wrapping_add(x >> 8).to_le_bytes();
    let [hour, minute, second] = [pairs[0], pairs[3], pairs[6]].map(u32::from);
    (odd == 0 && hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction`: seconds, nanoseconds, and the bytes read. More than nine digits of a
/// fraction must be zeros.
#[inline(always)]
fn clock(b: &[u8]) -> Option<(u32, u32, usize)> {
    let (hour, minute) = (two(b, 0)?, two(b, 3)?);
    if b[2] != b':' || hour > 23 || minute > 59 {
        return None;
    }
    if b.get(5) != Some(&b':') {
        return Some((hour * 3600 + minute * 60, 0, 5));
    }
    let second = two(b, 6)?;
    if second > 59 {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second;
    if !matches!(b.get(8), Some(b'.' | b',')) {
        return Some((seconds, 0, 8));
    }
    let (mut nanos, mut unit, mut at) = (0, 100_000_000, 9);
    while let Some(digit) = b.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        if unit == 0 && digit != 0 {
            return None;
        }
        nanos += u32::from(digit) * unit;
        unit /= 10;
        at += 1;
    }
    (at > 9).then_some((seconds, nanos, at))
}

/// A time of day, as nanoseconds since midnight.
#[inline(always)]
pub(super) fn time(b: &[u8]) -> Option<i64> {
    let (seconds, nanos, read) = clock(b)?;
    (read == b.len()).then(|| i64::from(seconds) * 1_000_000_000 + i64::from(nanos))
}

/// A date, or a date and time with `T` or a space between them, with `Z` or an offset behind it or without.
#[inline(always)]
pub(super) fn moment(b: &[u8]) -> Option<Moment> {
    match b.get(..10).and_then(date) {
        Some(day) => at_clock(i64::from(day), &b[10..]),
        None => far(b),
    }
}

/// The moment of a day at the clock that follows it, if one does.
#[inline(always)]
fn at_clock(day: i64, b: &[u8]) -> Option<Moment> {
    let day = day.checked_mul(DAY)?;
    let Some(between) = b.first() else {
        return Some(Moment { seconds: day, nanos: 0, offset: None, timed: false });
    };
    if !matches!(between, b'T' | b' ' | b't') {
        return None;
    }
    let (seconds, nanos, read) = clock(&b[1..])?;
    let rest = &b[1 + read..];
    let offset = if rest.is_empty() { None } else { Some(offset(rest)?) };
    Some(Moment { seconds: day.checked_add(i64::from(seconds))?, nanos, offset, timed: true })
}

/// A moment before the year 0 or behind 9999, whose year has a sign or more than four digits: as such days are written.
#[cold]
fn far(b: &[u8]) -> Option<Moment> {
    let (negative, digits) = match b {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let len = digits.iter().position(|b| !b.is_ascii_digit())?;
    if len < 4
        || (len == 4 && !negative)
        || len > 15
        || digits.get(len) != Some(&b'-')
        || digits.get(len + 3) != Some(&b'-')
    {
        return None;
    }
    let year: i64 = std::str::from_utf8(&digits[..len]).ok()?.parse().ok()?;
    let year = if negative { -year } else { year };
    // The calendar is the same every 400 years.
    let near = u32::try_from(year.rem_euclid(400)).ok()? + 400;
    let day = days(near, two(digits, len + 1)?, two(digits, len + 4)?)?;
    let eras = year.div_euclid(400) - 1;
    at_clock(i64::from(day).checked_add(eras.checked_mul(146_097)?)?, digits.get(len + 6..)?)
}

/// A duration as hours, minutes, seconds and a fraction, `-?H+:MM:SS[.fraction]`, in `unit`s.
pub(super) fn duration(b: &[u8], unit: TimeUnit) -> Option<i64> {
    let (negative, b) = match b {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let len = b.iter().position(|b| !b.is_ascii_digit())?;
    let hours: i128 = std::str::from_utf8(&b[..len]).ok().filter(|h| h.len() <= 20)?.parse().ok()?;
    // The clock that is left has an hour of 00, and seconds.
    let mut rest = b"00".to_vec();
    rest.extend_from_slice(&b[len..]);
    let (seconds, nanos, read) = clock(&rest)?;
    if read != rest.len() || read < 8 {
        return None;
    }
    let nanos = (hours * 3600 + i128::from(seconds)) * 1_000_000_000 + i128::from(nanos);
    let per: i128 = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let units = if negative { -(nanos / per) } else { nanos / per };
    (nanos % per == 0).then(|| i64::try_from(units).ok())?
}

/// `Z`, `+HH`, `+HHMM`, `+HH:MM` or, of old local times, `+HH:MM:SS`, as seconds.
fn offset(b: &[u8]) -> Option<i32> {
    let b = b.strip_prefix(b" ").unwrap_or(b);
    let sign = match b.first()? {
        b'Z' | b'z' if b.len() == 1 => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (minutes, seconds) = match b.len() {
        3 => (0, 0),
        5 => (two(b, 3)?, 0),
        6 if b[3] == b':' => (two(b, 4)?, 0),
        9 if b[3] == b':' && b[6] == b':' => (two(b, 4)?, two(b, 7)?),
        _ => return None,
    };
    let hours = two(b, 1)?;
    let fits = hours < 24 && minutes < 60 && seconds < 60;
    fits.then(|| sign * (hours * 3600 + minutes * 60 + seconds).cast_signed())
}

/// A point in time in `unit`s since 1970. Digits that the unit cannot hold must be zeros.
#[inline(always)]
pub(super) fn in_unit(seconds: i64, nanos: u32, unit: TimeUnit) -> Option<i64> {
    let (per_second, nanos_per): (i64, u32) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    if !nanos.is_multiple_of(nanos_per) {
        return None;
    }
    let nanos = i64::from(nanos / nanos_per);
    match seconds.checked_mul(per_second) {
        Some(units) => units.checked_add(nanos),
        // The first moment of all lies within a second that begins before it.
        None => seconds.checked_add(1)?.checked_mul(per_second)?.checked_add(nanos - per_second),
    }
}

/// The seconds since 1970 in UTC of a point in time that a column of `zone` holds. One written without an offset is
/// the zone's own time, and none where the zone's clocks were set back or ahead over it.
pub(super) fn in_zone(moment: Moment, zone: Tz) -> Option<i64> {
    if let Some(offset) = moment.offset {
        return Some(moment.seconds - i64::from(offset));
    }
    let local = DateTime::from_timestamp(moment.seconds, 0)?.naive_utc();
    zone.from_local_datetime(&local).single().map(|at| at.timestamp())
}

/// The time zone of a column's type.
///
/// # Errors
/// [`Error::Value`] for a name that is not one.
pub(super) fn zone(name: &str) -> Result<Tz> {
    Tz::from_str(name)
        .map_err(|_| Error::Value(format!("`{name}` is not a time zone; expected one like `UTC` or `Europe/Berlin`")))
}

/// `strftime` patterns of the caller's, tried in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Patterns(Vec<Vec<Item<'static>>>);

impl Patterns {
    /// Reads the patterns.
    ///
    /// # Errors
    /// [`Error::Value`] naming one that is none.
    pub(super) fn new(patterns: &[String]) -> Result<Self> {
        let read = |pattern: &String| {
            StrftimeItems::new(pattern).parse_to_owned().map_err(|_| {
                Error::Value(format!(
                    "`datetime_formats`: `{pattern}` is no pattern; expected one like \"%d.%m.%Y %H:%M\""
                ))
            })
        };
        Ok(Self(patterns.iter().map(read).collect::<Result<_>>()?))
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parsed(&self, text: &[u8]) -> impl Iterator<Item = Parsed> {
        let text = std::str::from_utf8(text).ok();
        self.0.iter().filter_map(move |items| {
            let mut parsed = Parsed::new();
            chrono::format::parse(&mut parsed, text?, items.iter()).ok()?;
            Some(parsed)
        })
    }

    /// The point in time that the first fitting pattern reads.
    pub(super) fn moment(&self, text: &[u8]) -> Option<Moment> {
        self.parsed(text).find_map(|parsed| {
            let date: NaiveDate = parsed.to_naive_date().ok()?;
            let time = parsed.to_naive_time().ok();
            let at = date.and_time(time.unwrap_or_default()).and_utc();
            Some(Moment {
                seconds: at.timestamp(),
                nanos: at.timestamp_subsec_nanos(),
                offset: parsed.to_fixed_offset().ok().map(|o| o.local_minus_utc()),
                timed: time.is_some(),
            })
        })
    }

    /// The time of day that the first fitting pattern reads, in nanoseconds.
    pub(super) fn time(&self, text: &[u8]) -> Option<i64> {
        self.parsed(text).find_map(|parsed| {
            let time: NaiveTime = parsed.to_naive_time().ok()?;
            (time - NaiveTime::MIN).num_nanoseconds()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_chronos_for_ten_thousand_years() {
        let first = NaiveDate::from_ymd_opt(0, 1, 1).expect("a date");
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
        for day in first.iter_days().step_by(13).take_while(|d| d.format("%Y").to_string().len() == 4) {
            let text = day.format("%Y-%m-%d").to_string();
            assert_eq!(date(text.as_bytes()).map(i64::from), Some((day - epoch).num_days()), "{text}");
        }
        for bad in ["2023-02-29", "2024-02-30", "2024-13-01", "2024-00-01", "2024-01-00", "2024-1-1", "2024/01/01", ""]
        {
            assert_eq!(date(bad.as_bytes()), None, "{bad}");
        }
        assert!(date(b"2000-02-29").is_some() && date(b"1900-02-29").is_none());
    }

    #[test]
    fn moments() {
        let at = |text: &str| moment(text.as_bytes()).map(|m| (m.seconds, m.nanos, m.offset));
        assert_eq!(at("1970-01-01"), Some((0, 0, None)));
        assert_eq!(at("1970-01-02T00:00:01.5"), Some((DAY + 1, 500_000_000, None)));
        assert_eq!(at("1970-01-01 01:00"), Some((3600, 0, None)));
        assert_eq!(at("1970-01-01 01:00:00Z"), Some((3600, 0, Some(0))));
        assert_eq!(at("1970-01-01T01:00:00.000001+02:30"), Some((3600, 1_000, Some(9000))));
        assert_eq!(at("1970-01-01T01:00:00-0100"), Some((3600, 0, Some(-3600))));
        assert_eq!(at("1969-12-31T23:59:59"), Some((-1, 0, None)));
        assert_eq!(at("10000-01-01"), Some((253_402_300_800, 0, None)));
        assert_eq!(at("-0001-12-31 00:00:01"), Some((-62_167_305_599, 0, None)));
        assert_eq!(at("1800-01-01 00:53:28+00:53:28"), Some((-5_364_659_192, 0, Some(3208))));
        for bad in [
            "1970-01-01T",
            "1970-01-01T24:00:00",
            "1970-01-01T00:60:00",
            "1970-01-01T00:00:60",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00:00.1x",
            "1970-01-01x00:00:00",
            "1970-01-01T00:00:00+25:00",
            "1970-01-01T1:00:00",
            "1970-01-01T00:00:00.1234567891",
            "19700101",
            "1970-01-01 é",
            "01970-01-01x",
            "-001-01-01",
            "12345-13-01",
            "99999999999999999-01-01",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_day_and_a_clock_are_a_moment() {
        let mut day = Day::default();
        let texts = [
            "1970-01-01 00:00:00",
            "2024-02-29 23:59:59",
            "2024-02-29T00:00:01",
            "2023-02-29 00:00:00",
            "2024-02-29t12:34:56",
            "0000-01-01 00:00:00",
            "9999-12-31 23:59:59",
            "2024-02-29 24:00:00",
            "2024-02-29 00:60:00",
            "2024-02-29 00:00:60",
            "2024-02-29 0:00:000",
            "2024-02-29 00:00-00",
            "2024-02-29 /0:00:00",
            "2024-02-29 :0:00:00",
            "2024-02-29x00:00:00",
            "2024-02-29 0\u{3a}:00:00",
            "2024-02-29 00:0a:00",
            "2024-02-29 00:00:0:",
            "2024-02-29 00;00:00",
            "1969-12-31 23:59:59",
            "2024-02-29 00:00Z  ",
            "2024-02-29 00:00+01",
            "\0\0\0\0\0\0\0\0\0\0 00:00:00",
        ];
        for text in texts {
            let expected = moment(text.as_bytes()).filter(|m| m.nanos == 0 && m.offset.is_none()).map(|m| m.seconds);
            let whole = text.as_bytes().try_into().expect("19 bytes");
            assert_eq!(day.and_clock(whole), expected, "{text}");
            assert_eq!(day.and_clock(whole), expected, "{text} again");
        }
        for at in 0..19 {
            for byte in 0..=255 {
                let mut text = *b"2024-02-29 12:34:56";
                text[at] = byte;
                let expected = moment(&text).filter(|m| m.nanos == 0 && m.offset.is_none()).map(|m| m.seconds);
                assert_eq!(day.and_clock(&text), expected, "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn units_lose_nothing() {
        assert_eq!(in_unit(1, 500_000_000, TimeUnit::Millisecond), Some(1500));
        assert_eq!(in_unit(1, 500_000_000, TimeUnit::Second), None);
        assert_eq!(in_unit(-1, 999_999_000, TimeUnit::Microsecond), Some(-1));
        assert_eq!(in_unit(i64::MAX / 1_000_000, 0, TimeUnit::Nanosecond), None);
        let (first, last) = (i64::MIN.div_euclid(1_000_000_000), i64::MAX.div_euclid(1_000_000_000));
        assert_eq!(in_unit(first, 145_224_192, TimeUnit::Nanosecond), Some(i64::MIN));
        assert_eq!(in_unit(first, 145_224_191, TimeUnit::Nanosecond), None);
        assert_eq!(in_unit(last, 854_775_807, TimeUnit::Nanosecond), Some(i64::MAX));
        assert_eq!(in_unit(last, 854_775_808, TimeUnit::Nanosecond), None);
        assert_eq!(in_unit(i64::MAX, 0, TimeUnit::Nanosecond), None);
        assert_eq!(in_unit(i64::MIN, 0, TimeUnit::Nanosecond), None);
    }

    #[test]
    fn durations() {
        let of = |text: &str, unit| duration(text.as_bytes(), unit);
        assert_eq!(of("00:00:01.5", TimeUnit::Millisecond), Some(1_500));
        assert_eq!(of("-100:00:00", TimeUnit::Second), Some(-360_000));
        assert_eq!(of("1:02:03", TimeUnit::Nanosecond), Some(3_723_000_000_000));
        assert_eq!(of("-2562047:47:16.854775808", TimeUnit::Nanosecond), Some(i64::MIN));
        for bad in ["", "1", "1:2:3", "00:00", "00:60:00", "00:00:01.5", "+1:00:00", "1:00:00 "] {
            assert_eq!(of(bad, TimeUnit::Second), None, "{bad}");
        }
    }

    #[test]
    fn zones_and_their_gaps() {
        let berlin = zone("Europe/Berlin").expect("a zone");
        let utc = |text: &str| in_zone(moment(text.as_bytes()).expect("a moment"), berlin);
        assert_eq!(utc("1970-01-01T01:00:00"), Some(0));
        assert_eq!(utc("1970-01-01T01:00:00Z"), Some(3600));
        assert_eq!(utc("2024-03-31T02:30:00"), None, "clocks went from two to three");
        assert_eq!(utc("2024-10-27T02:30:00"), None, "this half hour came twice");
        assert!(zone("Mars/Olympus").is_err());
    }

    #[test]
    fn patterns_of_the_caller() {
        let patterns = Patterns::new(&["%d.%m.%Y".into(), "%d.%m.%Y %H:%M".into(), "%H Uhr %M".into()]).expect("three");
        let m = patterns.moment(b"02.01.1970").expect("a date");
        assert_eq!((m.seconds, m.timed), (DAY, false));
        let m = patterns.moment(b"02.01.1970 00:01").expect("a timestamp");
        assert_eq!((m.seconds, m.timed), (DAY + 60, true));
        assert_eq!(patterns.time("01 Uhr 30".as_bytes()), Some(5400 * 1_000_000_000));
        assert_eq!(patterns.moment(b"1970-01-02"), None);
        assert!(Patterns::new(&["%Q".into()]).is_err());
    }
}
