//! A line → failures: date cut out, time window, prefregex, failregexes, ignoreregexes,
//! sessions and the multi-line buffer (facts R26–R40, D20–D24).
//!
//! In: a line and a [`Clock`]. Out: [`Failure`]s for a jail ([`Filter::process_line`]), or a
//! [`LineOutcome`] that also says which regexes hit for `fail2ban-regex` ([`Filter::examine`]).
//! No files, no tasks, no clock: lines and times come in as values.
#![forbid(unsafe_code)]

mod buffer;
mod examine;
mod failure;
mod findtime_window;
mod json;
mod limits;
mod line_time;
mod lines;
mod name;
mod outcome;
mod record;
#[cfg(test)]
mod screen_tests;
mod session;
mod settings;
mod signature;
mod survey;
#[cfg(test)]
mod tests;
mod told;
mod trace;

pub use buffer::Parts;
pub use lines::{LineBlock, LineDates};
pub use name::Name;
pub use outcome::{ExamineMode, LineHint, LineOutcome, RegexMatch};
pub use record::GroupRecord;
pub use settings::{Dates, Filter, FilterRules};
pub use signature::FilterSignature;
pub use survey::Survey;
pub use told::is_told;
pub use trace::{Attempt, Mark, Trace, Tracer};

use crate::address::Address;
use crate::fields::{Fields, MatchLine};
use crate::ticket::Timestamp;

/// Whom a failure is about, before names are resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum FailureId {
    /// An address, network or raw id.
    Address(Address),
    /// A host name that the jail must resolve (usedns yes or warn; fact R25).
    Name(String),
}

/// One failure found in a line (or in the lines of a session).
#[derive(Clone, Debug)]
pub struct Failure {
    /// Whom it is about.
    pub id: FailureId,
    /// When, after the window rules of facts D20–D24.
    pub time: Timestamp,
    /// The evidence: this line, or all lines of its session.
    pub matches: Vec<MatchLine>,
    /// Captured fields.
    pub fields: Fields,
}

/// The time a line is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The present time.
    pub now: Timestamp,
    /// Whether the log has been read to its end once ("in operation", fact D21–D23).
    pub in_operation: bool,
    /// Lines older than this many seconds are dropped at start-up (fact D22).
    pub findtime: f64,
}

/// Text as Python's `repr` shows it, which is how messages and reports quote it.
pub fn quote(text: &str) -> String {
    crate::control::Value::from(text).repr()
}
