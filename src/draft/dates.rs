//! Finds the date pattern that lines need.

use crate::datetime::{DateDetector, FoundDate, Templates};
use crate::ticket::Timestamp;

/// How lines are dated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftDate {
    /// The built-in patterns find the date.
    Known,
    /// It takes this pattern.
    Pattern(String),
    /// No line has one.
    None,
}

/// Forms that the built-in patterns do not know, in the order in which they are tried.
const FORMS: &[&str] = &[
    "%d\\.%m\\.%Y %H:%M:%S",
    "%d\\.%m\\.%Y,? +%H:%M:%S",
    "%d\\.%m\\.%y,? +%H:%M:%S",
    "%Y\\.%m\\.%d[-_ ]%H[:.]%M[:.]%S",
    "%Y-%m-%d[_ ]%H[-.]%M[-.]%S",
    "%d-%m-%Y[T_ ,]+%H:%M:%S",
    "%d/%m/%Y[T_,-]+ *%H:%M:%S",
    "%m/%d/%Y,? +%I:%M:%S %p",
    "%d %b %Y,? +%H:%M:%S",
    "%H:%M:%S,? +%d\\.%m\\.%Y",
    "%H:%M:%S,? +%d/%m/%Y",
    "%H:%M:%S,? +%Y-%m-%d",
    "%Y%m%d[-_]?%H%M%S",
    "%d\\.%m\\.%Y,? +%H:%M",
    "%Y-%m-%d %H:%M",
    "\"(?:ts|time|timestamp|t|date)\": ?EPOCH",
    "\"(?:ts|time|timestamp|t|date)\": ?LEPOCH",
    "^LEPOCH",
    "(?:ts|time|timestamp)=EPOCH",
];

/// The pattern with which the date of every line is found, and a detector that has it; the detector is
/// `None` where there is no date.
pub(super) fn find(lines: &[&str], now: Timestamp) -> (DraftDate, Option<DateDetector>) {
    let finds = |detector: &DateDetector| {
        let mut detector = detector.anew();
        lines
            .iter()
            .all(|line| dated(&mut detector, line, now).is_some())
    };
    let known = DateDetector::default();
    if finds(&known) {
        return (DraftDate::Known, Some(known));
    }
    for form in FORMS {
        for begin in ["{^LN-BEG}", ""] {
            if begin.is_empty() == form.starts_with("%")
                || form.starts_with('^') && !begin.is_empty()
            {
                continue;
            }
            let pattern = format!("{begin}{form}");
            if let Ok(Some(detector)) = DateDetector::from_pattern(&pattern, &Templates::default())
                && finds(&detector)
            {
                return (DraftDate::Pattern(pattern), Some(detector));
            }
        }
    }
    (DraftDate::None, None)
}

/// The date of a line, if it has one that is a date.
pub(super) fn dated(detector: &mut DateDetector, line: &str, now: Timestamp) -> Option<FoundDate> {
    let found = detector.find(line, now)?;
    found.own_time().map(|_| found)
}

/// A line without its date.
pub(super) fn undated(detector: Option<&mut DateDetector>, line: &str, now: Timestamp) -> String {
    let found = detector.and_then(|detector| detector.find(line, now));
    match found {
        Some(found) => format!("{}{}", &line[..found.start], &line[found.end..]),
        None => line.to_owned(),
    }
}
