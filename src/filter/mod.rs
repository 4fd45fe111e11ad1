//! A line → failures: date cut out, time window, prefregex, failregexes, ignoreregexes,
//! sessions and the multi-line buffer (facts R26–R40, D20–D24).
//!
//! No files, no tasks, no clock: lines and times come in as values.
#![forbid(unsafe_code)]

use crate::address::Address;
use crate::datetime::{DateDetector, DatePatternError, FixedOffset};
use crate::pattern::{FailRegex, PatternError, UseDns};
use crate::ticket::{Fields, MatchLine, Timestamp};

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

/// The filter of a jail: its regexes, dates and session memory.
#[derive(Debug)]
pub struct Filter {
    /// The jail's name, for messages.
    pub name: String,
    failregexes: Vec<FailRegex>,
    dates: Option<DateDetector>,
}

impl Filter {
    /// A filter without regexes; default date templates, usedns warn, one line.
    pub fn new(name: &str) -> Filter {
        Filter {
            name: name.to_owned(),
            failregexes: Vec::new(),
            dates: Some(DateDetector::defaults()),
        }
    }

    /// Must be set before regexes are added, since `<HOST>` depends on it.
    pub fn set_usedns(&mut self, _usedns: UseDns) {}

    /// The current setting.
    pub fn usedns(&self) -> UseDns {
        UseDns::Warn
    }

    /// Sets or (empty text) removes the prefregex.
    ///
    /// # Errors
    /// A regex that does not compile.
    pub fn set_prefregex(&mut self, _source: &str) -> Result<(), PatternError> {
        Ok(())
    }

    /// The prefregex.
    pub fn prefregex(&self) -> Option<&FailRegex> {
        None
    }

    /// Appends a failregex.
    ///
    /// # Errors
    /// Empty, not compilable, or no id group in it nor in the prefregex.
    pub fn add_failregex(&mut self, source: &str) -> Result<(), PatternError> {
        self.failregexes
            .push(FailRegex::new(source, self.usedns(), false)?);
        Ok(())
    }

    /// Removes by position; a wrong position is ignored (fact P40).
    pub fn del_failregex(&mut self, _index: usize) {}

    /// All failregexes in order.
    pub fn failregexes(&self) -> &[FailRegex] {
        &self.failregexes
    }

    /// Appends an ignoreregex.
    ///
    /// # Errors
    /// Empty or not compilable.
    pub fn add_ignoreregex(&mut self, _source: &str) -> Result<(), PatternError> {
        Ok(())
    }

    /// Removes by position; a wrong position is ignored.
    pub fn del_ignoreregex(&mut self, _index: usize) {}

    /// All ignoreregexes in order.
    pub fn ignoreregexes(&self) -> &[FailRegex] {
        &[]
    }

    /// Lines in the buffer; more than one switches multi-line matching on (fact R39, J12).
    pub fn set_maxlines(&mut self, _lines: usize) {}

    /// Lines in the buffer.
    pub fn maxlines(&self) -> usize {
        1
    }

    /// Sets the date pattern (fact J9).
    ///
    /// # Errors
    /// The original's text for an unusable pattern.
    pub fn set_datepattern(&mut self, _pattern: &str) -> Result<(), DatePatternError> {
        Ok(())
    }

    /// (pattern, name) as `get JAIL datepattern` answers; `(None, name)` for the defaults.
    pub fn datepattern(&self) -> Option<(Option<String>, String)> {
        None
    }

    /// The zone of dates that name none.
    pub fn set_timezone(&mut self, _zone: Option<FixedOffset>) {}

    /// Every failure of one line (without its line end). `date`: the text of the date when the source already
    /// knows it (journal), with its time.
    pub fn process_line(
        &mut self,
        _line: &str,
        _date: Option<(&str, Timestamp)>,
        _clock: &Clock,
    ) -> Vec<Failure> {
        Vec::new()
    }
}
