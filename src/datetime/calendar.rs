//! Calendar arithmetic, and local time with a cache.
//!
//! A *reading* is a wall-clock time as seconds since 1970-01-01 00:00 of that clock, whatever its zone.
#![forbid(unsafe_code)]

use crate::sys::localtime::{self, WallClock};

pub(super) const DAY: i64 = 86_400;

/// Names of the days, Monday first; the first three letters are the short form.
pub(super) const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Names of the months.
pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Days from 1970-01-01 to a date of the Gregorian calendar; the month is 1 to 12.
pub(super) fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let shifted = year - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// (year, month, day) of a day since 1970-01-01.
pub(super) fn date_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Days of a month; 0 for a month that is none.
pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Monday is 0.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// Local time as the C library tells it, one quarter of an hour at a time: asking costs up to a
/// microsecond, and lines come in the order of their times. Zones change on quarters; one that
/// does not is asked each time.
#[derive(Clone, Debug, Default)]
pub(super) struct LocalTime {
    /// The last quarter of readings whose offset is the same from end to end, and that offset.
    by_reading: Option<(i64, i64)>,
    by_instant: Option<(i64, i64)>,
}

const QUARTER: i64 = 900;

impl LocalTime {
    /// The instant of a local reading.
    pub fn instant_of(&mut self, reading: i64) -> Option<i64> {
        let quarter = reading.div_euclid(QUARTER);
        if let Some((known, offset)) = self.by_reading
            && known == quarter
        {
            return Some(reading - offset);
        }
        let first = quarter * QUARTER;
        let offset = first - ask(first)?;
        let last = first + QUARTER - 1;
        if last - ask(last)? == offset {
            self.by_reading = Some((quarter, offset));
            return Some(reading - offset);
        }
        ask(reading)
    }

    /// The end of the quarter of an hour around an instant, if no local day ends within it.
    pub fn end_of_quarter(&mut self, instant: f64) -> Option<f64> {
        self.reading_at(instant);
        let quarter = (instant.floor() as i64).div_euclid(QUARTER);
        let (known, offset) = self.by_instant?;
        (known == quarter && offset % QUARTER == 0).then_some(((quarter + 1) * QUARTER) as f64)
    }

    /// The local reading at an instant; the fraction of a second stays.
    pub fn reading_at(&mut self, instant: f64) -> f64 {
        let whole = instant.floor() as i64;
        let quarter = whole.div_euclid(QUARTER);
        let offset = match self.by_instant {
            Some((known, offset)) if known == quarter => offset,
            _ => {
                let first = i64::from(localtime::offset_at(quarter * QUARTER));
                let last = i64::from(localtime::offset_at(quarter * QUARTER + QUARTER - 1));
                if first == last {
                    self.by_instant = Some((quarter, first));
                    first
                } else {
                    i64::from(localtime::offset_at(whole))
                }
            }
        };
        instant + offset as f64
    }
}

fn ask(reading: i64) -> Option<i64> {
    let (year, month, day) = date_from_days(reading.div_euclid(DAY));
    let second = reading.rem_euclid(DAY);
    localtime::instant_of(WallClock {
        year: i32::try_from(year).ok()?,
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
        hour: (second / 3600) as u8,
        minute: (second / 60 % 60) as u8,
        second: (second % 60) as u8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 11_016),
            ((2026, 11, 21), 20_778),
            ((1, 1, 1), -719_162),
            ((9999, 12, 31), 2_932_896),
        ] {
            assert_eq!(days_from_date(date.0, date.1, date.2), days);
            assert_eq!(date_from_days(days), date);
        }
        for days in (-719_162..2_932_896).step_by(97) {
            let (y, m, d) = date_from_days(days);
            assert_eq!(days_from_date(y, m, d), days);
            assert!((1..=days_in_month(y, m)).contains(&d));
        }
        assert_eq!(weekday(0), 3);
        assert_eq!(weekday(-4), 6);
    }

    #[test]
    fn remembered_local_time_is_the_asked_one() {
        let mut local = LocalTime::default();
        for reading in (1_700_000_000..1_702_000_000).step_by(61) {
            assert_eq!(local.instant_of(reading), ask(reading));
        }
    }
}
