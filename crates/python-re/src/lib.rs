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
//! `parser` (reading through `reader`, measuring with `width`) makes a tree of the source
//! ([`ast`], [`class`]) or refuses it in Python's words; `simplify` drops what keeps the tree off
//! the linear engine. From there it goes two ways. `writer` makes it a program of `instructions`
//! for `machine`, which backtracks as Python does, one character (`charset`) after the other, under
//! a limit of steps (`tried` keeps it from going in circles); `emit` writes it down for the linear
//! engine of `regex-automata`, `relaxed` in a superset form where that engine cannot run it.
//! `engine` decides who answers.
//!
//! Beside that way, `literals` finds the strings without which a regex cannot match, `opening`
//! what a match begins with, and `verdict` tells whether a regex matches where the spans do not
//! matter.
#![forbid(unsafe_code)]

pub mod ast;
mod automaton;
mod charset;
mod checks;
pub mod class;
mod conditional;
mod emit;
mod engine;
mod follow;
mod instructions;
mod literals;
mod machine;
mod opening;
mod parser;
mod possible;
mod reader;
mod regex;
mod relaxed;
mod simplify;
mod spans;
mod stops;
#[cfg(test)]
mod tests;
mod tried;
mod unicode;
mod verdict;
mod width;
mod writer;

pub use literals::Literals;
pub use possible::Bytes;
pub use reader::SyntaxError;
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
