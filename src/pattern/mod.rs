//! The failregex language: Python `re` syntax plus fail2ban's tags, compiled to matchers that
//! give Python's match and Python's group spans.
//!
//! In: the source text of a regex. Out: a [`Regex`] that searches a line, a [`FailRegex`] that
//! also knows its tags, and a [`Prefilter`] that proves a line cannot match.
//!
//! The way of a regex: `tags` expands what only fail2ban knows; `parser` (reading through
//! `reader`, measuring with `width`) makes a tree of it (`ast`, `class`) or refuses it in
//! Python's words; `simplify` drops what keeps the tree off the linear engine. From there it goes
//! two ways. `instructions` makes it a program for `machine`, which backtracks as Python does, one
//! character (`charset`) after the other, under a limit of steps (`tried` keeps it from going in
//! circles); `emit` writes it down for the
//! linear engine, `relaxed` in a superset form where that engine can't run it. `engine` decides
//! who answers, `regex` shares the engines. Beside that way, `literals` finds the strings without
//! which a regex cannot match, and `prefilter` looks for them, in a line or (`screen`) in a block of
//! lines at once; `verdict` tells where a match matters and not its spans; `probe` tells people how far a regex
//! came that does not match.
#![forbid(unsafe_code)]

mod ast;
mod charset;
mod checks;
mod class;
mod conditional;
mod emit;
mod engine;
mod failregex;
mod follow;
mod instructions;
mod literals;
mod machine;
mod opening;
mod parser;
mod possible;
mod prefilter;
mod probe;
mod reader;
mod regex;
mod relaxed;
mod risks;
mod screen;
mod simplify;
mod spans;
mod steering;
mod stops;
mod strings;
mod tags;
mod tried;
mod unicode;
mod verdict;
mod width;
mod writer;

#[cfg(test)]
mod tests;

pub use failregex::{FailRegex, Groups, Part};
pub use prefilter::{Outlook, Prefilter, is_ascii};
pub use probe::{Probe, Reach};
pub use regex::Regex;
pub use risks::Risks;
pub use screen::Screen;
pub use spans::Match;
pub use steering::Steering;

/// Why a regex was refused; `Display` is the text users see (fact R4).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing but blanks.
    #[error("Cannot add empty regex")]
    Empty,
    /// No group that could name an offender.
    #[error("No failure-id group in '{0}'")]
    NoId(String),
    /// Not a valid Python regex.
    #[error("Unable to compile regular expression '{pattern}':\n{reason}")]
    Syntax {
        /// The regex after tag expansion.
        pattern: String,
        /// What Python's `re.error` would say: message and position.
        reason: String,
    },
}

/// A search gave up at its step limit (facts/regex.md §6): the regex counts as not matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded;

/// Flags given beside the pattern, as to Python's `re.compile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `re.MULTILINE`: `^` and `$` match at inner line ends.
    pub multiline: bool,
    /// `re.IGNORECASE`
    pub ignore_case: bool,
    /// Global flags such as `(?i)` may stand anywhere and hold for the whole, as up to Python 3.10.
    pub late: bool,
}

/// What `<HOST>` stands for (fact J10, R9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UseDns {
    /// Names are resolved silently.
    Yes,
    /// Names are resolved with a warning.
    #[default]
    Warn,
    /// `<HOST>` matches addresses only.
    No,
    /// Names are ids themselves.
    Raw,
}
