//! Date templates: where in a line is a date, and which instant does it name.
//!
//! In: a line and the present time. Out: the span to cut from the line and the Unix time.
//! [`duration`] reads `1d12h` and writes `1d 12h`; [`stamp`] writes the time of a log line; [`guess`] says
//! what looks like a date where none was found.
#![forbid(unsafe_code)]

mod calendar;
mod civil;
mod date_memo;
mod date_place;
mod detector;
pub mod duration;
pub mod guess;
mod patterns;
mod program;
pub mod stamp;
mod syntax;
mod template;
mod templates;
mod zone;

use crate::ticket::Timestamp;

pub use detector::{Course, DateDetector, Stand};
pub use templates::Templates;

/// Why a date pattern was refused; `Display` is the original's text (fact D4).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DatePatternError(pub String);

/// A fixed offset from UTC, as `logtimezone` and zones in lines give it (facts J8, D19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedOffset {
    /// Seconds east of UTC.
    pub seconds: i32,
}

/// Which instant a found date names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DateTime {
    /// Unix time.
    At(Timestamp),
    /// The matched text is empty: no date of its own (fact D20).
    Empty,
    /// The text matched but is no date (30 February; fact D21). The span is cut all the same.
    Invalid,
}

/// When the local day of `now` began; with a zone: when its reading was midnight there.
pub fn start_of_day(now: Timestamp, zone: Option<FixedOffset>) -> Timestamp {
    const DAY: i64 = 86_400;
    let mut local = calendar::LocalTime::default();
    let midnight = (local.reading_at(now).floor() as i64).div_euclid(DAY) * DAY;
    match zone {
        Some(zone) => (midnight - i64::from(zone.seconds)) as f64,
        // a day without midnight
        None => local.instant_of(midnight).map_or(now, |start| start as f64),
    }
}

/// A date found in a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundDate {
    /// Byte offset where the text to cut begins (group 1 of the template, fact D8).
    pub start: usize,
    /// Byte offset where it ends.
    pub end: usize,
    /// The time it names.
    pub time: DateTime,
    /// Index of the template, see [`DateDetector::templates`].
    pub template: usize,
}

impl FoundDate {
    /// The time it names; `None`: the line has no date of its own.
    pub fn own_time(&self) -> Option<Timestamp> {
        match self.time {
            DateTime::At(time) if self.start < self.end => Some(time),
            _ => None,
        }
    }
}

/// A template as reports show it.
#[derive(Clone, Debug)]
pub struct TemplateInfo {
    /// The display name in `Date template hits`.
    pub name: String,
    /// The pattern as written; `None` for built-in forms.
    pub pattern: Option<String>,
    /// The regular expression searched with.
    pub regex: String,
    /// Lines it gave the date for.
    pub hits: u64,
    /// How much its kind is preferred.
    pub weight: f64,
    /// Success over distance, by which templates change places.
    pub merit: f64,
}
