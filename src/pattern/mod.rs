//! The failregex language: Python `re` syntax plus fail2ban's tags, compiled to matchers that
//! give Python's match and Python's group spans.
//!
//! In: the source text of a regex. Out: a [`FailRegex`] that searches a line and knows its tags, and a
//! [`Prefilter`] that proves a line cannot match.
//!
//! `tags` expands what only fail2ban knows; the crate `python-re` compiles the rest and searches.
//! `prefilter` looks for the `strings` without which a regex cannot match, in a line or (`scan`) in a
//! block of lines at once; `probe` tells people how far a regex came that does not match, `nearly`
//! what would help, `risks` and `steering` what is unwise about one, `example` a text that one matches.
#![forbid(unsafe_code)]

mod block_scan;
mod example;
mod failregex;
mod nearly;
mod prefilter;
mod probe;
mod risks;
mod searchers;
mod steering;
mod strings;
mod tags;

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use crate::interned::Interned;

pub use block_scan::BlockScan;
pub use failregex::{FailRegex, FieldGroup};
pub use nearly::{Help, Nearly, RegexChange, repair};
pub use prefilter::Prefilter;
pub use probe::{Reach, RegexProbe, class_length};
pub use python_re::{Flags, LimitExceeded, Match, Regex};
pub use searchers::{PrefilterResult, is_ascii};
pub use steering::Steering;
pub use tags::{leading_tag, place_in_source, short_tags};

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

/// The regexes in use anywhere in the process: many jails use the same filter.
static IN_USE: LazyLock<Interned<Flags, Regex>> = LazyLock::new(Interned::default);

/// Compiles Python `re` source. Equal regexes are one as long as they are in use.
///
/// # Errors
/// [`PatternError::Syntax`] where Python's `re.compile` raises.
pub fn compile(source: &str, flags: Flags) -> Result<Arc<Regex>, PatternError> {
    IN_USE.get(flags, source, || {
        Regex::new(source, flags).map_err(|reason| PatternError::Syntax {
            pattern: source.to_owned(),
            reason: reason.to_string(),
        })
    })
}
