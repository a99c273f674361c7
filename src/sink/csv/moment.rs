//! Dates, timestamps, times and durations as text: ISO 8601, with a blank between date and time.
//!
//! A column of them is written with the text of the last day at hand, and eight digits at once; what is out of the
//! ordinary (years of more or fewer than four digits, zones with offsets) goes value by value.

use arrow::array::timezone::Tz;
use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Offset, TimeZone};

use super::digits::{eight_digits, integer};
use super::slots::{Fill, Room, Slot};
use crate::error::{Error, Result};

const DAY: i64 = 86_400;

/// The zone of a timestamp column.
#[derive(Debug)]
pub(super) enum Zone {
    None,
    Utc,
    Other(Tz),
}

impl Zone {
    /// # Errors
    /// [`Error::Schema`] for a name that is no zone.
    pub(super) fn parse(name: Option<&str>) -> Result<Self> {
        match name {
            None | Some("") => Ok(Zone::None),
            Some("UTC" | "Etc/UTC" | "Z" | "+00:00" | "GMT") => Ok(Zone::Utc),
            Some(name) => name
                .parse()
                .map(Zone::Other)
                .map_err(|_| Error::Schema(format!("`{name}` is no time zone that is known here"))),
        }
    }
}

/// Parts of a second in a unit, and their digits.
fn parts(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    }
}

/// `2024-01-31`; years beyond four digits are written out, those before the year 0 with a minus.
pub(super) fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if year < 0 {
        out.push(b'-');
    }
    padded(year.unsigned_abs(), 4, out);
    out.push(b'-');
    padded(month, 2, out);
    out.push(b'-');
    padded(day, 2, out);
}

/// `2024-01-31 23:59:59`, the unit's digits behind it where they are not all 0, and the offset of a zone.
pub(super) fn timestamp(value: i64, unit: TimeUnit, zone: &Zone, out: &mut Vec<u8>) {
    let (per_second, digits) = parts(unit);
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let offset = match zone {
        Zone::None | Zone::Utc => 0,
        Zone::Other(zone) => DateTime::from_timestamp(seconds, 0)
            .map_or(0, |utc| i64::from(zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc())),
    };
    // seconds reach ± 2^63 only where no zone has an offset
    let local = seconds.saturating_add(offset);
    date(local.div_euclid(DAY), out);
    out.push(b' ');
    of_day(local.rem_euclid(DAY).unsigned_abs(), fraction, digits, out);
    match zone {
        Zone::None => {}
        Zone::Utc => out.push(b'Z'),
        Zone::Other(_) => {
            out.push(if offset < 0 { b'-' } else { b'+' });
            let offset = offset.unsigned_abs();
            padded(offset / 3600, 2, out);
            out.push(b':');
            padded(offset / 60 % 60, 2, out);
            // local times before there were zones were apart by odd seconds
            if offset % 60 != 0 {
                out.push(b':');
                padded(offset % 60, 2, out);
            }
        }
    }
}

/// `2024-01-31` of the last day that was asked for.
#[derive(Debug)]
struct Day {
    days: i64,
    /// Ten bytes, if the year has four digits.
    text: Option<u128>,
}

/// Bytes of the text of a [`Day`].
const DATE: u8 = 10;

impl Day {
    fn new() -> Self {
        Self { days: 0, text: day_text(0) }
    }

    #[inline(always)]
    fn text(&mut self, days: i64) -> Option<u128> {
        if days != self.days {
            (self.days, self.text) = (days, day_text(days));
        }
        self.text
    }
}

fn day_text(days: i64) -> Option<u128> {
    let (year, month, day) = civil(days);
    let year = u64::try_from(year).ok().filter(|year| *year < 10_000)?;
    let digits = u128::from(eight_digits(year * 10_000 + month * 100 + day));
    let dash = u128::from(b'-');
    let (year, month, day) = (digits & 0xffff_ffff, digits >> 32 & 0xffff, digits >> 48);
    Some(year | dash << 32 | month << 40 | dash << 56 | day << 64)
}

/// `23:59:59` of a second of the day.
#[inline(always)]
fn clock_text(second: u64) -> u64 {
    // the zeros in the gaps become colons
    const COLONS: u64 = ((b':' - b'0') as u64) << 16 | ((b':' - b'0') as u64) << 40;
    eight_digits(second / 3600 * 1_000_000 + second / 60 % 60 * 1_000 + second % 60) + COLONS
}

/// A column of days.
pub(super) struct Dates<'a> {
    values: &'a [i32],
    day: Day,
}

impl<'a> Dates<'a> {
    pub(super) fn new(values: &'a [i32]) -> Self {
        Self { values, day: Day::new() }
    }
}

impl Fill for Dates<'_> {
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        let values = self.values.get(first..).unwrap_or_default();
        for (i, value) in values.iter().take(room.lens.len()).enumerate() {
            let days = i64::from(*value);
            if let Some(text) = self.day.text(days) {
                room.slots[i][..16].copy_from_slice(&text.to_le_bytes());
                room.lens[i] = DATE;
            } else {
                let mut cell = Vec::new();
                date(days, &mut cell);
                room.put(i, &cell);
            }
        }
    }
}

/// A column of timestamps, of `PER` ticks a second.
pub(super) struct Stamps<'a, const PER: i64> {
    values: &'a [i64],
    unit: TimeUnit,
    zone: Zone,
    day: Day,
}

impl<'a, const PER: i64> Stamps<'a, PER> {
    /// Of a fraction.
    #[expect(clippy::cast_possible_truncation, reason = "up to 9")]
    const DIGITS: u8 = PER.ilog10() as u8;

    pub(super) fn new(values: &'a [i64], unit: TimeUnit, zone: Zone) -> Self {
        Self { values, unit, zone, day: Day::new() }
    }

    /// The length of the text, unless it is out of the ordinary.
    #[inline(always)]
    fn write(&mut self, value: i64, slot: &mut Slot) -> Option<u8> {
        let (seconds, fraction) = (value.div_euclid(PER), value.rem_euclid(PER).unsigned_abs());
        let text = self.day.text(seconds.div_euclid(DAY))?;
        slot[..16].copy_from_slice(&(text | u128::from(b' ') << (8 * u32::from(DATE))).to_le_bytes());
        slot[11..19].copy_from_slice(&clock_text(seconds.rem_euclid(DAY).unsigned_abs()).to_le_bytes());
        let mut end = 19u8;
        if fraction != 0 {
            slot[19] = b'.';
            // the unit's digits are the first of nine
            let nine = fraction * (1_000_000_000 / PER.unsigned_abs());
            slot[20..28].copy_from_slice(&eight_digits(nine / 10).to_le_bytes());
            slot[28] = b'0' + (nine % 10) as u8;
            end = 20 + Self::DIGITS;
        }
        if matches!(self.zone, Zone::Utc) {
            slot[usize::from(end)] = b'Z';
            end += 1;
        }
        Some(end)
    }
}

impl<const PER: i64> Fill for Stamps<'_, PER> {
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        let values = self.values.get(first..).unwrap_or_default();
        let plain = !matches!(self.zone, Zone::Other(_));
        let mut cell = Vec::new();
        for (i, value) in values.iter().take(room.lens.len()).enumerate() {
            if let Some(end) = plain.then(|| self.write(*value, &mut room.slots[i])).flatten() {
                room.lens[i] = end;
            } else {
                cell.clear();
                timestamp(*value, self.unit, &self.zone, &mut cell);
                room.put(i, &cell);
            }
        }
    }
}

/// A time of day or a duration: `23:59:59`, hours as many as there are, the unit's digits where they are not all 0.
pub(super) fn clock(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (per_second, digits) = parts(unit);
    if value < 0 {
        out.push(b'-');
    }
    let (value, per_second) = (value.unsigned_abs(), per_second.unsigned_abs());
    let fraction = i64::try_from(value % per_second).unwrap_or_default();
    of_day(value / per_second, fraction, digits, out);
}

fn of_day(seconds: u64, fraction: i64, digits: usize, out: &mut Vec<u8>) {
    padded(seconds / 3600, 2, out);
    out.push(b':');
    padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    padded(seconds % 60, 2, out);
    if fraction != 0 {
        out.push(b'.');
        padded(fraction.unsigned_abs(), digits, out);
    }
}

fn padded(value: u64, digits: usize, out: &mut Vec<u8>) {
    let found = value.checked_ilog10().unwrap_or(0) as usize + 1;
    out.extend(std::iter::repeat_n(b'0', digits.saturating_sub(found)));
    integer(value, out);
}

/// Year, month and day of a day counted from 1970, in the proleptic Gregorian calendar (after Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, u64, u64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn dates_agree_with_chrono() {
        for days in (-800_000..3_000_000).step_by(97) {
            let date = NaiveDate::default() + chrono::Duration::days(days);
            assert_eq!(civil(days), (i64::from(date.year()), date.month().into(), date.day().into()));
        }
        assert_eq!(text(|o| date(0, o)), "1970-01-01");
        assert_eq!(text(|o| date(-719_529, o)), "-0001-12-31");
        assert_eq!(text(|o| date(i64::from(i32::MAX), o)), "5881580-07-11");
    }

    #[test]
    fn timestamps_carry_fractions_and_offsets_where_they_have_some() {
        let at = |value, unit, zone: Option<&str>| {
            let zone = Zone::parse(zone).expect("a zone");
            text(|o| timestamp(value, unit, &zone, o))
        };
        assert_eq!(at(0, TimeUnit::Second, None), "1970-01-01 00:00:00");
        assert_eq!(at(-1, TimeUnit::Millisecond, None), "1969-12-31 23:59:59.999");
        assert_eq!(at(1_000_001, TimeUnit::Microsecond, Some("UTC")), "1970-01-01 00:00:01.000001Z");
        assert_eq!(at(1_720_000_000, TimeUnit::Second, Some("Europe/Berlin")), "2024-07-03 11:46:40+02:00");
        assert_eq!(at(1_700_000_000, TimeUnit::Second, Some("-05:30")), "2023-11-14 16:43:20-05:30");
        assert_eq!(at(5, TimeUnit::Nanosecond, None), "1970-01-01 00:00:00.000000005");
        for end in [i64::MIN, i64::MAX] {
            for unit in [TimeUnit::Second, TimeUnit::Nanosecond] {
                for zone in [None, Some("Europe/Berlin")] {
                    assert!(at(end, unit, zone).len() <= 52);
                }
            }
        }
        assert!(Zone::parse(Some("Mars/Olympus")).is_err());
    }

    #[test]
    fn columns_are_as_their_values() {
        let cells = |column: &mut dyn Fill, rows: usize| {
            let (mut slots, mut lens, mut aside) = (vec![Slot::default(); rows], vec![0; rows], Vec::new());
            let mut room = Room { slots: &mut slots, lens: &mut lens, aside: &mut aside };
            column.fill(0, &mut room);
            let text = |i| String::from_utf8(room.cell(i).expect("a cell").to_vec()).expect("ASCII");
            (0..rows).map(text).collect::<Vec<_>>()
        };
        let days: Vec<i32> = (-800_000..3_000_000).step_by(1_009).chain([i32::MIN, -1, 0, 0, 1, i32::MAX]).collect();
        let want: Vec<_> = days.iter().map(|d| text(|o| date(i64::from(*d), o))).collect();
        assert_eq!(cells(&mut Dates::new(&days), days.len()), want);
        let mut seed = 3u64;
        let mut values =
            vec![i64::MIN, i64::MAX, 0, -1, 1, 999, 1_000, 86_399_999_999, 86_400_000_000, -62_167_219_200];
        for i in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            values.push(seed.cast_signed() >> (i % 60));
            values.push((seed % 4_000_000_000).cast_signed() * [1, 1_000, 1_000_000, 1_000_000_000][i % 4]);
        }
        let zone = |name| Zone::parse(name).expect("a zone");
        for name in [None, Some("UTC"), Some("Europe/Berlin")] {
            for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
                let want: Vec<_> = values.iter().map(|v| text(|o| timestamp(*v, unit, &zone(name), o))).collect();
                let found = match unit {
                    TimeUnit::Second => cells(&mut Stamps::<1>::new(&values, unit, zone(name)), values.len()),
                    TimeUnit::Millisecond => cells(&mut Stamps::<1_000>::new(&values, unit, zone(name)), values.len()),
                    TimeUnit::Microsecond => {
                        cells(&mut Stamps::<1_000_000>::new(&values, unit, zone(name)), values.len())
                    }
                    TimeUnit::Nanosecond => {
                        cells(&mut Stamps::<1_000_000_000>::new(&values, unit, zone(name)), values.len())
                    }
                };
                assert_eq!(found, want, "{unit:?} {name:?}");
            }
        }
    }

    #[test]
    fn durations_have_as_many_hours_as_they_need() {
        let at = |value, unit| text(|o| clock(value, unit, o));
        assert_eq!(at(86_399, TimeUnit::Second), "23:59:59");
        assert_eq!(at(129_600, TimeUnit::Second), "36:00:00");
        assert_eq!(at(-1_500, TimeUnit::Millisecond), "-00:00:01.500");
        assert!(at(i64::MIN, TimeUnit::Second).len() <= 36);
    }
}
