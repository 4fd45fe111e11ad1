//! What can go wrong while the configuration is read, with the texts administrators and scripts
//! know, followed by file and line where the original leaves them out.
#![forbid(unsafe_code)]

use std::fmt;

use super::ini::SyntaxError;
use super::settings::Origin;
use super::text::quoted;
use crate::log::Level;

/// Something to tell the operator that does not stop the reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub level: Level,
    /// The logger's name (`fail2ban.configreader`).
    pub target: &'static str,
    /// The line without date and level.
    pub text: String,
}

/// Collects [`Message`]s in the order they arise.
#[derive(Clone, Debug, Default)]
pub struct Messages(pub Vec<Message>);

impl Messages {
    /// Adds one.
    pub fn add(&mut self, level: Level, target: &'static str, text: impl Into<String>) {
        self.0.push(Message {
            level,
            target,
            text: text.into(),
        });
    }
}

/// What ended the reading, or one step of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// A file that is no INI file (fact C13).
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// `%(…)s` that leads nowhere (facts C14, C18, C21).
    #[error("{text}{}", Place(origin.as_ref()))]
    Interpolation {
        /// The original's sentence.
        text: String,
        /// Where the option was written.
        origin: Option<Origin>,
    },
    /// A section that is not there.
    #[error("No section: {}", quoted(.0))]
    NoSection(String),
    /// An option that is not there.
    #[error("No option {} in section: {}", quoted(option), quoted(section))]
    NoOption {
        /// Section that was asked.
        section: String,
        /// Option in lower case.
        option: String,
    },
    /// A value that makes no sense; the text says all.
    #[error("{0}")]
    Value(String),
    /// A set of files that cannot be used (fact C8).
    #[error("{0}")]
    Unreadable(String),
}

impl Cause {
    /// The exception as Python's `repr` shows it: some messages embed it.
    pub fn repr(&self) -> String {
        match self {
            Cause::Value(text) => format!("ValueError({})", quoted(text)),
            Cause::Unreadable(text) => format!("LookupError({})", quoted(text)),
            other => other.to_string(),
        }
    }

    /// Whether it only says that something is not there.
    pub fn is_absence(&self) -> bool {
        matches!(self, Cause::NoSection(_) | Cause::NoOption { .. })
    }
}

/// ` (file:line)`, or nothing.
struct Place<'a>(Option<&'a Origin>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

/// What went wrong with the configuration as a whole; `Display` is the text after
/// `Failed during configuration: ` (facts C46–C58).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}")]
pub struct ConfigError {
    /// What ended it.
    pub cause: Cause,
    /// What was to be told before that.
    pub messages: Vec<Message>,
}

impl From<Cause> for ConfigError {
    fn from(cause: Cause) -> ConfigError {
        ConfigError {
            cause,
            messages: Vec::new(),
        }
    }
}
