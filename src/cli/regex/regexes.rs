//! REGEX and IGNOREREGEX of the command line → settings of a filter: a regex as it stands, a
//! filter file, or a jail (facts X3–X6, X10).

use std::io::Write;

use super::Stop;
use super::options::Options;
use super::tally::RegexTally;
use crate::filter::{Filter, quote};
use crate::pattern::FailRegex;

/// Widest regex or line that `Use …` lines show.
const SHOWN: usize = 53;

/// Sets a filter up, telling what is used; what the command line says beats what files say.
pub(super) struct Setup<'a, W> {
    pub(super) options: &'a Options,
    pub(super) out: &'a mut W,
    pub(super) filter: Filter,
    pub(super) journalmatch: Option<String>,
    maxlines_set: bool,
    datepattern_set: bool,
}

impl<'a, W: Write> Setup<'a, W> {
    pub(super) fn new(options: &'a Options, out: &'a mut W, filter: Filter) -> Setup<'a, W> {
        Setup {
            options,
            out,
            filter,
            journalmatch: options.journalmatch.clone(),
            maxlines_set: false,
            datepattern_set: false,
        }
    }

    /// One `Use …` line of the report; nothing with `-o`.
    pub(super) fn tell(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), Stop> {
        if self.options.out.is_none() {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Sets the date pattern unless it is set already.
    pub(super) fn datepattern(&mut self, pattern: &str) -> Result<(), Stop> {
        if self.datepattern_set {
            return Ok(());
        }
        self.filter
            .set_datepattern(pattern)
            .map_err(|e| Stop::Wrong(format!("ERROR: {e}")))?;
        self.datepattern_set = true;
        let name = self
            .filter
            .datepattern()
            .map_or(String::new(), |(_, name)| name);
        self.tell(format_args!("Use      datepattern : {pattern} : {name}"))
    }

    /// Sets the lines in the buffer unless they are set already.
    pub(super) fn maxlines(&mut self, lines: i64) -> Result<(), Stop> {
        if self.maxlines_set {
            return Ok(());
        }
        let lines = usize::try_from(lines)
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| {
                Stop::Wrong("ERROR: maxlines must be integer greater than zero".to_owned())
            })?;
        self.filter.set_maxlines(lines);
        self.maxlines_set = true;
        self.tell(format_args!("Use         maxlines : {lines}"))
    }

    /// Reads REGEX.
    pub(super) fn failregex(&mut self) -> Result<(), Stop> {
        let value = &self.options.regex;
        self.line("failregex", value)?;
        self.filter.add_failregex(value).map_err(refused)
    }

    /// Reads IGNOREREGEX, which takes the place of the filter's own (fact X5).
    pub(super) fn ignoreregex(&mut self, value: &str) -> Result<(), Stop> {
        self.filter.clear_ignoreregexes();
        self.line("ignoreregex", value)?;
        self.filter.add_ignoreregex(value).map_err(refused)
    }

    fn line(&mut self, kind: &str, value: &str) -> Result<(), Stop> {
        self.tell(format_args!("Use {kind:>11} line : {}", shorten(value)))
    }
}

fn refused(error: crate::pattern::PatternError) -> Stop {
    Stop::Wrong(format!("ERROR: {error}"))
}

/// Text cut to the width that `Use …` lines show.
pub(super) fn shorten(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let start: String = text.chars().take(SHOWN - 3).collect();
    format!("{start}...")
}

/// Empty counts for these regexes.
pub(super) fn tallies(regexes: &[FailRegex]) -> Vec<RegexTally> {
    let tally = |r: &FailRegex| RegexTally {
        source: r.source().to_owned(),
        expanded: r.expanded().to_owned(),
        ..RegexTally::default()
    };
    regexes.iter().map(tally).collect()
}

/// Options as Python shows a dict.
#[allow(dead_code)]
pub(super) fn dict(options: &[(String, String)]) -> String {
    let pairs: Vec<_> = options
        .iter()
        .map(|(k, v)| format!("{}: {}", quote(k), quote(v)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
