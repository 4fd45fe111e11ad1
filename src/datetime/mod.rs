//! Date templates: where in a line is a date, and which instant does it name.
//!
//! In: a line and the present time. Out: the span to cut from the line and the Unix time.
//! [`duration`] reads `1d12h` and writes `1d 12h`.
#![forbid(unsafe_code)]

pub mod duration;

use crate::ticket::Timestamp;

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

impl FixedOffset {
    /// Reads `Z`, an abbreviation, or `[abbr]±hh[[:]mm]`.
    ///
    /// # Errors
    /// `Unknown or unsupported time zone: …`
    pub fn parse(text: &str) -> Result<FixedOffset, DatePatternError> {
        Err(DatePatternError(format!(
            "Unknown or unsupported time zone: '{text}'"
        )))
    }
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

/// A template as reports show it.
#[derive(Clone, Debug)]
pub struct TemplateInfo {
    /// The display name in `Date template hits`.
    pub name: String,
    /// The pattern as written or, for built-in forms, its display name.
    pub pattern: String,
    /// The regular expression searched with.
    pub regex: String,
    /// Lines it gave the date for.
    pub hits: u64,
}

/// Finds dates by an ordered, learning list of templates (facts D1–D19).
#[derive(Debug, Default)]
pub struct DateDetector {}

impl DateDetector {
    /// The default templates.
    pub fn defaults() -> DateDetector {
        DateDetector {}
    }

    /// Templates of a `datepattern`: one pattern per line; `{NONE}` gives `None`.
    ///
    /// # Errors
    /// The original's text for a pattern that cannot be used.
    pub fn from_pattern(_pattern: &str) -> Result<Option<DateDetector>, DatePatternError> {
        Ok(Some(DateDetector {}))
    }

    /// The zone for dates that name none; `None` is the system's.
    pub fn set_default_zone(&mut self, _zone: Option<FixedOffset>) {}

    /// Finds the date of a line; `now` completes what the text leaves out (fact D16).
    pub fn find(&mut self, _line: &str, _now: Timestamp) -> Option<FoundDate> {
        None
    }

    /// All templates in their present order.
    pub fn templates(&self) -> Vec<TemplateInfo> {
        Vec::new()
    }
}
