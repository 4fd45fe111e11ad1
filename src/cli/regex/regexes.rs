//! REGEX and IGNOREREGEX of the command line → settings of a filter: a regex as it stands, a
//! filter file, or a jail (facts X3–X6, X10).

use std::io::Write;
use std::path::Path;

use indexmap::IndexMap;

use super::Stop;
use super::options::RegexOptions;
use super::records::Records;
use super::tally::RegexTally;
use crate::config::filter::FilterOptions;
use crate::config::lookup::{FilterOrigin, FoundFilter, LookupError};
use crate::config::{self};
use crate::control::Value;
use crate::filter::{Filter, quote};
use crate::log::{self, Level};
use crate::pattern::{FailRegex, PatternError};
use crate::python::text::shell_words;
use crate::{error, record};

/// Widest regex or line that `Use …` lines show.
const SHOWN: usize = 53;

/// Sets a filter up, telling what is used; what the command line says beats what files say.
pub(super) struct RegexSetup<'a, W> {
    pub(super) options: &'a RegexOptions,
    pub(super) out: &'a mut W,
    pub(super) filter: Filter,
    pub(super) journalmatch: Vec<String>,
    records: Records,
    maxlines_set: bool,
    datepattern_set: bool,
}

impl<'a, W: Write> RegexSetup<'a, W> {
    pub(super) fn new(
        options: &'a RegexOptions,
        out: &'a mut W,
        records: Records,
        filter: Filter,
    ) -> Result<RegexSetup<'a, W>, Stop> {
        let journalmatch = options.journalmatch.as_deref().unwrap_or_default();
        let journalmatch = shell_words(journalmatch)
            .map_err(|reason| Stop::Fatal(format!("ValueError: {reason}")))?;
        Ok(RegexSetup {
            options,
            out,
            filter,
            journalmatch,
            records,
            maxlines_set: false,
            datepattern_set: false,
        })
    }

    /// One `Use …` line of the report, behind the log records so far; nothing with `-o` or `--json`.
    pub(super) fn tell(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), Stop> {
        self.records.drain(self.out)?;
        if self.options.tells() {
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

    /// Reads REGEX: what it names in the configuration, else itself.
    pub(super) fn failregex(&mut self) -> Result<(), Stop> {
        let value = &self.options.regex;
        let backend = match self.options.log.starts_with("systemd-journal") {
            true => "systemd",
            false => "auto",
        };
        let found = config::find_filter(Path::new(&self.options.config), value, backend);
        match found {
            Ok(Some(found)) => {
                self.announce(&found)?;
                if matches!(found.place, FilterOrigin::Jail(_))
                    || found.options != FilterOptions::default()
                {
                    return self.apply(&found);
                }
            }
            Ok(None) => {}
            Err(error) => return Err(self.not_found(value, error)?),
        }
        self.line("failregex", value)?;
        self.filter.add_failregex(value).map_err(refused)
    }

    fn announce_place(&mut self, place: &FilterOrigin) -> Result<(), Stop> {
        match place {
            FilterOrigin::Jail(name) => self.tell(format_args!("Use             jail : {name}")),
            FilterOrigin::Filter { name, base } => self.tell(format_args!(
                "Use      filter file : {name}, basedir: {base}"
            )),
            FilterOrigin::File(path) => self.tell(format_args!("Use      filter file : {path}")),
        }
    }

    fn announce_arguments(
        &mut self,
        place: &FilterOrigin,
        arguments: &IndexMap<String, String>,
    ) -> Result<(), Stop> {
        self.announce_place(place)?;
        if arguments.is_empty() {
            return Ok(());
        }
        let kind = match place {
            FilterOrigin::Jail(_) => "jail/flt",
            FilterOrigin::Filter { .. } | FilterOrigin::File(_) => "  filter",
        };
        let arguments = arguments.iter();
        let arguments = arguments.map(|(k, v)| (k.as_str(), Value::from(v.as_str())));
        self.tell(format_args!("Use {kind} options : {}", dict(arguments)))
    }

    fn announce(&mut self, found: &FoundFilter) -> Result<(), Stop> {
        self.announce_arguments(&found.place, &found.arguments)?;
        for message in &found.messages {
            record!(message.level, message.target, "{message}");
        }
        if self.options.verbose > 1 || log::enabled(Level::Debug) {
            let real = found.real.iter().map(|(k, v)| (k.as_str(), v.clone()));
            self.tell(format_args!("Real  filter options : {}", dict(real)))?;
        }
        Ok(())
    }

    /// Takes over what a filter consists of; `usedns` is left to the command line (fact X6).
    fn apply(&mut self, found: &FoundFilter) -> Result<(), Stop> {
        let options = &found.options;
        let invalid = |option: &str, value: &str, stop: Stop| {
            let Stop::Wrong(reason) = stop else {
                return stop;
            };
            let (from, reason) = (&self.options.regex, reason.trim_start_matches("ERROR: "));
            match reason.starts_with("Failed to set datepattern") {
                true => Stop::Fatal(format!("TypeError: {reason}")),
                false => Stop::Wrong(format!(
                    "ERROR: Invalid value for {option} ({value}) read from {from}: {reason}"
                )),
            }
        };
        if let Some(prefregex) = &options.prefregex {
            self.filter.set_prefregex(prefregex).map_err(refused)?;
        }
        if let Some(lines) = options.maxlines {
            self.maxlines(lines)
                .map_err(|reason| invalid("maxlines", &lines.to_string(), reason))?;
        }
        if let Some(pattern) = &options.datepattern {
            self.datepattern(pattern)
                .map_err(|reason| invalid("datepattern", &quote(pattern), reason))?;
        }
        if let Some(template) = &options.jsonmatch {
            self.filter
                .set_jsonmatch(template)
                .map_err(|error| Stop::Wrong(format!("ERROR: {error}")))?;
        }
        for regex in &options.failregex {
            self.filter.add_failregex(regex).map_err(refused)?;
        }
        for regex in &options.ignoreregex {
            self.filter.add_ignoreregex(regex).map_err(refused)?;
        }
        if self.journalmatch.is_empty() {
            self.journalmatch = options.journalmatch.last().cloned().unwrap_or_default();
        }
        Ok(())
    }

    /// What the original says about a name it cannot use.
    fn not_found(&mut self, value: &str, error: LookupError) -> Result<Stop, Stop> {
        Ok(match error {
            LookupError::Name(reason) => {
                let wrong = format!(
                    "ERROR: Wrong filter name or options: {reason}\n       while parsing: {value}"
                );
                if self.options.verbose == 0 {
                    return Ok(Stop::Wrong(wrong));
                }
                writeln!(self.out, "{wrong}")?;
                Stop::Fatal(format!("ValueError: {reason}"))
            }
            LookupError::File { place, reason } => {
                self.announce_place(&place)?;
                let reason = reason.map_or(String::new(), |r| format!("Wrong config file: {r}\n"));
                Stop::Wrong(format!("{reason}ERROR: failed to load filter {value}"))
            }
            LookupError::Jail(reason) => {
                let name = value.split('[').next().unwrap_or(value);
                self.tell(format_args!("Use             jail : {name}"))?;
                error!("fail2ban.jailreader", "{reason}");
                Stop::Wrong(format!("ERROR: Failed to get jail for {}", quote(value)))
            }
            LookupError::Options {
                place,
                arguments,
                reason,
            } => {
                self.announce_arguments(&place, &arguments)?;
                Stop::Fatal(reason)
            }
        })
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

fn refused(error: PatternError) -> Stop {
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
fn dict<'a>(options: impl Iterator<Item = (&'a str, Value)>) -> String {
    let options = options.map(|(name, value)| (Value::from(name), value));
    Value::Dict(options.collect()).repr()
}
