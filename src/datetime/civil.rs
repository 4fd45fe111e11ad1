//! Converts calendar fields to an instant; fields that the line lacks are completed from the present time
//! (facts D16–D18).
#![forbid(unsafe_code)]

use super::calendar::{self, DAY, LocalTime, MONTHS, WEEKDAYS};
use super::syntax::DateField;
use super::{FixedOffset, zone};
use crate::ticket::Timestamp;

/// What the line does not say.
#[derive(Clone, Copy, Debug)]
pub(super) struct DateContext {
    /// The present time.
    pub now: Timestamp,
    /// The zone of dates that name none; `None` is the system's.
    pub zone: Option<FixedOffset>,
}

#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    afternoon: Option<bool>,
    weekday: Option<i64>,
    day_of_year: Option<i64>,
    /// Number of the week, and whether weeks begin on Monday.
    week: Option<(i64, bool)>,
    offset: Option<i64>,
}

/// What an answer is good for: the present times for which it would be the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lifetime {
    from: Timestamp,
    /// Beyond the last such time.
    until: Timestamp,
}

impl Lifetime {
    /// Whatever the present time is.
    pub(super) const ALWAYS: Lifetime = Lifetime {
        from: f64::NEG_INFINITY,
        until: f64::INFINITY,
    };

    /// For this time only.
    fn only(now: Timestamp) -> Lifetime {
        Lifetime {
            from: now,
            until: now,
        }
    }

    /// The end of another, from this one's beginning on.
    pub(super) fn since(&self, other: &Lifetime) -> Lifetime {
        Lifetime {
            from: self.from,
            until: other.until,
        }
    }

    /// Whether the answer is good at `now`.
    pub(super) fn includes(&self, now: Timestamp) -> bool {
        now == self.from || (self.from..self.until).contains(&now)
    }
}

/// The instant of the fields, given in the order of the pattern, and how long that is the answer;
/// `None` when there is none.
pub(super) fn resolve<'l>(
    fields: impl Iterator<Item = (DateField, &'l str)> + Clone,
    context: &DateContext,
    local: &mut LocalTime,
) -> (Option<Timestamp>, Lifetime) {
    let mut lifetime = Lifetime::ALWAYS;
    let time = instant(fields, context, local, &mut lifetime);
    (time, lifetime)
}

fn instant<'l>(
    fields: impl Iterator<Item = (DateField, &'l str)> + Clone,
    context: &DateContext,
    local: &mut LocalTime,
    lifetime: &mut Lifetime,
) -> Option<Timestamp> {
    let parts = Parts::read(fields)?;
    if parts.year.is_none() || parts.month.is_none() || parts.day.is_none() {
        // The present day completes it: the same until the day ends, or earlier.
        *lifetime = Lifetime {
            from: context.now,
            until: local.end_of_quarter(context.now).unwrap_or(context.now),
        };
    }
    let mut today = None;
    let mut now =
        |local: &mut LocalTime| *today.get_or_insert_with(|| local.reading_at(context.now));

    let (mut month, mut day) = (parts.month, parts.day);
    let mut year = match parts.year {
        Some(year) => year,
        None => calendar::date_from_days(days(now(local))).0,
    };
    if month.is_none() || day.is_none() {
        let day_of_year = parts.day_of_year.or_else(|| parts.day_from_week(year));
        if let Some(number) = day_of_year {
            let (y, m, d) =
                calendar::date_from_days(calendar::days_from_date(year, 1, 1) + number - 1);
            (year, month, day) = (y, Some(m), Some(d));
        }
    }
    let assume_today = month.is_none() && day.is_none();
    if assume_today {
        let (_, m, d) = calendar::date_from_days(days(now(local)));
        (month, day) = (Some(m), Some(d));
    }
    let (month, day) = (month?, day?);

    let offset = parts
        .offset
        .or_else(|| context.zone.map(|zone| i64::from(zone.seconds)));
    let mut reading = parts.reading(year, month, day)? - offset.unwrap_or(0);
    // The present is compared as local time even where the date has a zone of its own.
    if assume_today && reading as f64 > now(local) {
        reading -= DAY;
        *lifetime = Lifetime::only(context.now);
    }
    if parts.year.is_none() && reading as f64 > now(local) + DAY as f64 {
        // The zone may have moved the date: only the day is set back, the clock stays.
        let second = reading.rem_euclid(DAY);
        *lifetime = Lifetime::only(context.now);
        if day > calendar::days_in_month(year - 1, month) {
            return None;
        }
        reading = calendar::days_from_date(year - 1, month, day) * DAY + second;
    }
    let (year, ..) = calendar::date_from_days(reading.div_euclid(DAY));
    if !(1..=9999).contains(&year) {
        return None;
    }
    let instant = match offset {
        Some(_) => reading,
        None => local.instant_of(reading)?,
    };
    Some(instant as f64)
}

fn days(reading: f64) -> i64 {
    (reading.floor() as i64).div_euclid(DAY)
}

impl Parts {
    fn read<'l>(fields: impl Iterator<Item = (DateField, &'l str)>) -> Option<Parts> {
        let mut parts = Parts::default();
        let mut twelve = false;
        for (field, text) in fields {
            match field {
                DateField::Year4 => parts.year = Some(number(text)?),
                DateField::Year2 => {
                    let year = number(text)?;
                    parts.year = Some(if year <= 2000 { year + 2000 } else { year });
                }
                DateField::Month => parts.month = Some(number(text)?),
                DateField::MonthShort => parts.month = Some(name_index(text, &MONTHS, true)? + 1),
                DateField::MonthLong => parts.month = Some(name_index(text, &MONTHS, false)? + 1),
                DateField::Day => parts.day = Some(number(text)?),
                DateField::Hour24 => {
                    parts.hour = number(text)?;
                    twelve = false;
                }
                DateField::Hour12 => {
                    parts.hour = number(text)?;
                    twelve = true;
                }
                DateField::HalfDay if text.eq_ignore_ascii_case("pm") => {
                    parts.afternoon = Some(true)
                }
                DateField::HalfDay if text.eq_ignore_ascii_case("am") => {
                    parts.afternoon = Some(false)
                }
                DateField::HalfDay => {}
                DateField::Minute => parts.minute = number(text)?,
                DateField::Second => parts.second = number(text)?,
                DateField::Fraction => {}
                DateField::WeekdayShort => parts.weekday = Some(name_index(text, &WEEKDAYS, true)?),
                DateField::WeekdayLong => parts.weekday = Some(name_index(text, &WEEKDAYS, false)?),
                DateField::WeekdayNumber => parts.weekday = Some((number(text)? + 6).rem_euclid(7)),
                DateField::DayOfYear => parts.day_of_year = Some(number(text)?),
                DateField::WeekFromSunday => parts.week = Some((number(text)?, false)),
                DateField::WeekFromMonday => parts.week = Some((number(text)?, true)),
                DateField::Offset | DateField::ZoneName => {
                    parts.offset = Some(zone::seconds_of(text)?)
                }
            }
        }
        if twelve {
            match parts.afternoon {
                None | Some(false) if parts.hour == 12 => parts.hour = 0,
                Some(true) if parts.hour != 12 => parts.hour += 12,
                _ => {}
            }
        }
        Some(parts)
    }

    fn day_from_week(&self, year: i64) -> Option<i64> {
        let ((week, from_monday), weekday) = (self.week?, self.weekday?);
        let first = calendar::weekday(calendar::days_from_date(year, 1, 1));
        let shift = i64::from(!from_monday);
        let first = (first + shift) % 7;
        let weekday = (weekday + shift) % 7;
        Some(if week == 0 {
            1 + weekday - first
        } else {
            1 + (7 - first) % 7 + 7 * (week - 1) + weekday
        })
    }

    fn reading(&self, year: i64, month: i64, day: i64) -> Option<i64> {
        let valid = (1..=9999).contains(&year)
            && (1..=calendar::days_in_month(year, month)).contains(&day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        valid.then(|| {
            calendar::days_from_date(year, month, day) * DAY
                + self.hour * 3600
                + self.minute * 60
                + self.second
        })
    }
}

/// A number of at most nine digits, with the blank that `%d` allows before it.
fn number(text: &str) -> Option<i64> {
    let digits = text.trim();
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.bytes().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

fn name_index(text: &str, names: &[&str], short: bool) -> Option<i64> {
    names
        .iter()
        .position(|name| {
            let name = if short { &name[..3] } else { name };
            text.eq_ignore_ascii_case(name)
        })
        .map(|index| index as i64)
}
