//! Python's `re` without Python: the same syntax, the same errors, the same match and the same
//! group spans; in linear time where the regex allows it, and under a limit of steps where it
//! does not.
//!
//! ```
//! use python_re::{Flags, Regex};
//!
//! let regex = Regex::new(r"(?P<user>\S+) from (?P<host>[\d.]+)$", Flags::default())?;
//! let text = "bob from 192.0.2.1\n";
//! let found = regex.search(text)?.expect("matches");
//! let user = regex.group_index("user").and_then(|index| found.group(index));
//! assert_eq!(user.map(|(from, to)| &text[from..to]), Some("bob"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! `parser` (with `pattern_reader` for characters and `width` for look-behinds) makes a tree of the
//! source ([`ast`], [`class`]) or refuses it in Python's words; `simplify` rewrites what the linear
//! engine cannot run. From there the tree goes two ways. `program_builder` compiles it to
//! `instructions` for `backtracker`, which backtracks as Python does, one character (`charset`) after
//! the other, under a limit of steps (`memo` remembers dead ends); `emit` translates it for the
//! linear engine of `regex-automata`, and `overapprox` makes a superset that this engine can run of a
//! tree that it cannot. `engine` decides which of them answers.
//!
//! Beside that, `literals` finds the strings without which a regex cannot match, `opening` what a
//! match begins with, and `line_test` tells whether a regex matches when nobody needs the spans.
#![forbid(unsafe_code)]

pub mod ast;
mod automaton;
mod backtracker;
mod charset;
mod checks;
pub mod class;
mod conditional;
mod emit;
mod engine;
mod first_set;
mod instructions;
mod line_test;
mod literals;
mod lookahead;
mod memo;
mod opening;
mod overapprox;
mod parser;
mod pattern_reader;
mod program_builder;
mod regex;
mod repeat;
mod simplify;
mod spans;
#[cfg(test)]
mod tests;
mod unicode;
mod width;

pub use first_set::Bytes;
pub use literals::Literals;
pub use pattern_reader::RegexSyntaxError;
pub use regex::Regex;
pub use spans::Match;

/// A search gave up at its step limit. Python would have gone on, perhaps for years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded;

impl std::fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the search was given up at its step limit")
    }
}

impl std::error::Error for LimitExceeded {}

/// Flags given beside the source, as to Python's `re.compile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `re.MULTILINE`: `^` and `$` match at inner line ends.
    pub multiline: bool,
    /// `re.IGNORECASE`
    pub ignore_case: bool,
    /// Global flags such as `(?i)` may stand anywhere and hold for the whole, as up to Python 3.10.
    pub late: bool,
}
