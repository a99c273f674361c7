//! The wall clock of a temporal value: days and nanoseconds of the day, in the column's own time zone.
//!
//! Plain integer arithmetic over the whole range of 64 bits (days ↔ year, month, day after Howard Hinnant's
//! *chrono-compatible low-level date algorithms*); only a time zone's offset is looked up, and kept for the quarter hour.

use arrow::array::timezone::Tz;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Offset, TimeZone};

use crate::dtype::per_second;
use crate::error::{Error, Result};

/// Nanoseconds of a day.
pub const DAY: i64 = 86_400_000_000_000;
/// Days from 0001-01-01 to 1970-01-01, as chrono counts them.
const FROM_CE: i64 = 719_163;

/// What a temporal type's integers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Days since 1970.
    Days,
    /// Units since 1970.
    Stamp(TimeUnit),
    /// Units since midnight.
    OfDay(TimeUnit),
}

/// Reads and writes the wall clock of one type.
#[derive(Debug, Clone)]
pub struct Wall {
    kind: Kind,
    zone: Option<Tz>,
    /// A quarter of an hour (in UTC) and its offset.
    kept: Option<(i64, i64)>,
}

impl Wall {
    /// For dates, timestamps and times; none for other types.
    ///
    /// # Errors
    /// [`Error::Value`] for a time zone that nobody knows.
    pub fn of(dtype: &DataType) -> Result<Option<Wall>> {
        let kind = match dtype {
            DataType::Date32 => Kind::Days,
            DataType::Date64 => Kind::Stamp(TimeUnit::Millisecond),
            DataType::Timestamp(unit, _) => Kind::Stamp(*unit),
            DataType::Time32(unit) | DataType::Time64(unit) => Kind::OfDay(*unit),
            _ => return Ok(None),
        };
        let zone = match dtype {
            DataType::Timestamp(_, Some(tz)) if !matches!(tz.as_ref(), "UTC" | "Etc/UTC" | "Z") => {
                crate::dtype::check_timezone(tz)?;
                tz.parse::<Tz>().ok()
            }
            _ => None,
        };
        Ok(Some(Wall { kind, zone, kept: None }))
    }

    /// Seconds east of UTC at `seconds` since 1970 UTC; none beyond the years that the tz database covers.
    pub fn offset(&mut self, seconds: i64) -> Option<i64> {
        let Some(zone) = &self.zone else { return Some(0) };
        let quarter = seconds.div_euclid(900);
        if let Some((kept, offset)) = self.kept
            && kept == quarter
        {
            return Some(offset);
        }
        let at = |s: i64| {
            let utc = DateTime::from_timestamp(s, 0)?.naive_utc();
            Some(i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()))
        };
        let offset = at(seconds)?;
        if at(quarter * 900) == Some(offset) && at(quarter * 900 + 899) == Some(offset) {
            self.kept = Some((quarter, offset));
        }
        Some(offset)
    }

    /// The day since 1970 and the nanosecond of the day that the clock on the wall shows.
    pub fn split(&mut self, value: i64) -> Option<(i64, i64)> {
        match self.kind {
            Kind::Days => Some((value, 0)),
            Kind::OfDay(unit) => {
                let nanos = value.checked_mul(1_000_000_000 / per_second(unit))?;
                Some((0, nanos))
            }
            Kind::Stamp(unit) => {
                let per = per_second(unit);
                let seconds = value.div_euclid(per);
                let local = seconds.checked_add(self.offset(seconds)?)?;
                let nanos = local.rem_euclid(86_400) * 1_000_000_000 + value.rem_euclid(per) * (1_000_000_000 / per);
                Some((local.div_euclid(86_400), nanos))
            }
        }
    }

    /// The wall clock as chrono writes it; none beyond chrono's years (±262,000).
    pub fn local(&mut self, value: i64) -> Option<NaiveDateTime> {
        let (day, nanos) = self.split(value)?;
        let date = NaiveDate::from_num_days_from_ce_opt(i32::try_from(day.checked_add(FROM_CE)?).ok()?)?;
        let time = chrono::NaiveTime::from_num_seconds_from_midnight_opt(
            u32::try_from(nanos / 1_000_000_000).ok()?,
            u32::try_from(nanos % 1_000_000_000).ok()?,
        )?;
        Some(date.and_time(time))
    }

    /// The timestamp at which the wall shows `day` and `nanos`. Where a change of the clocks shows it twice, the one
    /// with the offset that `near` (a timestamp) has is taken, else the earlier; a wall clock that is skipped keeps
    /// the offset of `near`.
    pub fn join(&mut self, day: i64, nanos: i64, near: i64) -> Option<i64> {
        let Kind::Stamp(unit) = self.kind else {
            return match self.kind {
                Kind::Days => Some(day),
                _ => None,
            };
        };
        let per = per_second(unit);
        let local = i128::from(day) * 86_400 + i128::from(nanos.div_euclid(1_000_000_000));
        let local = i64::try_from(local).ok()?;
        let sub = nanos.rem_euclid(1_000_000_000) / (1_000_000_000 / per);
        let offset = match &self.zone {
            None => 0,
            Some(zone) => {
                let own = self.clone().offset(near.div_euclid(per))?;
                let wall = DateTime::from_timestamp(local, 0)?.naive_utc();
                let found = zone.offset_from_local_datetime(&wall);
                let seconds = |o: arrow::array::timezone::TzOffset| i64::from(o.fix().local_minus_utc());
                match (found.earliest().map(seconds), found.latest().map(seconds)) {
                    (Some(a), Some(b)) if a != own && b != own => a,
                    (Some(_), Some(_)) | (None, _) | (_, None) => own,
                }
            }
        };
        (local.checked_sub(offset)?).checked_mul(per)?.checked_add(sub)
    }
}

/// Year, month (1–12) and day (1–31) of a day since 1970.
pub fn civil(day: i64) -> (i64, i64, i64) {
    // eras of 400 years, each beginning on 1 March
    let z = day.saturating_add(719_468);
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * mp + 2) / 5 + 1)
}

/// The day since 1970 of a date; the inverse of [`civil`].
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * mp + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The error for a value whose wall clock no calendar here reaches.
pub fn beyond(what: &str) -> Error {
    Error::Stream(format!("`{what}`: a timestamp is beyond the years that its time zone covers (±262,000)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_and_days_are_inverse() {
        for day in (-1_000_000..1_000_000).step_by(17) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
            let chrono =
                NaiveDate::from_num_days_from_ce_opt(i32::try_from(day + FROM_CE).expect("small")).expect("in range");
            assert_eq!(chrono.to_string(), format!("{y:0w$}-{m:02}-{d:02}", w = if y < 0 { 5 } else { 4 }));
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
    }

    #[test]
    fn zones_shift_the_clock() {
        let dtype = DataType::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into()));
        let mut wall = Wall::of(&dtype).expect("a zone").expect("temporal");
        // 2024-07-01 22:30 UTC is 00:30 on the 2nd
        let (day, nanos) = wall.split(1_719_873_000).expect("in range");
        assert_eq!((civil(day), nanos), ((2024, 7, 2), 1_800_000_000_000));
        assert_eq!(wall.join(day, nanos, 1_719_873_000), Some(1_719_873_000));
        // 2024-10-27 02:30 is shown twice: at 00:30 and 01:30 UTC
        let (first, second) = (1_729_989_000, 1_729_992_600);
        assert_eq!(wall.split(first), wall.split(second));
        let (day, nanos) = wall.split(first).expect("in range");
        assert_eq!(wall.join(day, nanos, first), Some(first));
        assert_eq!(wall.join(day, nanos, second), Some(second));
    }
}
