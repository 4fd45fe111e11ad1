//! Errors and warnings of reading the configuration, in the texts that administrators and scripts know,
//! followed by file and line where the original leaves them out.
#![forbid(unsafe_code)]

use std::fmt;

use super::ini::IniSyntaxError;
use super::section::FileLine;
use crate::log::Level;
use crate::python::text::quoted;

/// Something to tell the operator that does not stop the reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMessage {
    /// How bad it is.
    pub level: Level,
    /// The logger's name (`fail2ban.configreader`).
    pub target: &'static str,
    /// The line without date, level and place.
    pub text: String,
    /// What it is about, where that is known.
    pub place: Option<ConfigPlace>,
}

impl fmt::Display for ConfigMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, Appended(self.place.as_ref()))
    }
}

/// A place in the files of the configuration, and what is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPlace {
    /// File and line.
    pub origin: FileLine,
    /// The text in question; empty when the message shows it.
    pub text: String,
}

impl From<FileLine> for ConfigPlace {
    fn from(origin: FileLine) -> ConfigPlace {
        ConfigPlace {
            origin,
            text: String::new(),
        }
    }
}

impl fmt::Display for ConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.as_str() {
            "" => self.origin.fmt(f),
            text => write!(f, "{}: {text}", self.origin),
        }
    }
}

/// ` (FILE:LINE)`, ` (FILE:LINE: TEXT)`, or nothing: what follows the original's text.
pub struct Appended<'a>(pub Option<&'a ConfigPlace>);

impl fmt::Display for Appended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// What the server would refuse of the commands of a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which command.
    pub command: usize,
    /// Which of its values, where it has several.
    pub item: usize,
    /// The server's words.
    pub text: String,
}

/// Collects [`ConfigMessage`]s in the order they arise.
#[derive(Clone, Debug, Default)]
pub struct ConfigMessages(pub Vec<ConfigMessage>);

impl ConfigMessages {
    /// Adds one.
    pub fn add(&mut self, level: Level, target: &'static str, text: impl Into<String>) {
        self.add_at(level, target, text, None);
    }

    /// Adds one about a place.
    pub fn add_at(
        &mut self,
        level: Level,
        target: &'static str,
        text: impl Into<String>,
        place: Option<ConfigPlace>,
    ) {
        self.0.push(ConfigMessage {
            level,
            target,
            text: text.into(),
            place,
        });
    }

    /// Adds one about a place that may come up again and again; once is enough.
    pub fn add_once_at(
        &mut self,
        level: Level,
        target: &'static str,
        text: String,
        place: Option<ConfigPlace>,
    ) {
        let is_same = |known: &ConfigMessage| known.text == text && known.place == place;
        if !self.0.iter().any(is_same) {
            self.add_at(level, target, text, place);
        }
    }
}

/// What ended the reading, or one step of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// A file that is no INI file (fact C13).
    #[error(transparent)]
    Syntax(#[from] IniSyntaxError),
    /// `%(…)s` that leads nowhere (facts C14, C18, C21).
    #[error("{text}{}", Appended(place.as_ref()))]
    Interpolation {
        /// The original's sentence.
        text: String,
        /// Where the option was written.
        place: Option<ConfigPlace>,
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
    /// A value that makes no sense, and where it was written.
    #[error("{text}{}", Appended(place.as_ref()))]
    Setting {
        /// The original's sentence.
        text: String,
        /// Where it was written, if in a file.
        place: Option<ConfigPlace>,
    },
    /// Tags that lead back to themselves (fact C25).
    #[error("{text}")]
    Circle {
        /// The option they were to be replaced in.
        option: String,
        /// The original's sentence.
        text: String,
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
            Cause::Value(text) | Cause::Setting { text, .. } | Cause::Circle { text, .. } => {
                format!("ValueError({})", quoted(text))
            }
            Cause::Unreadable(text) => format!("LookupError({})", quoted(text)),
            other => other.to_string(),
        }
    }

    /// The sentence without the place.
    pub fn text(&self) -> String {
        match self {
            Cause::Interpolation { text, .. } | Cause::Setting { text, .. } => text.clone(),
            other => other.to_string(),
        }
    }

    /// Where it was written, if that is known.
    pub fn place(&self) -> Option<ConfigPlace> {
        match self {
            Cause::Syntax(error) => Some(error.origin().into()),
            Cause::Interpolation { place, .. } | Cause::Setting { place, .. } => place.clone(),
            _ => None,
        }
    }

    /// Whether it only says that something is not there.
    pub fn is_absence(&self) -> bool {
        matches!(self, Cause::NoSection(_) | Cause::NoOption { .. })
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
    pub messages: Vec<ConfigMessage>,
}

impl From<Cause> for ConfigError {
    fn from(cause: Cause) -> ConfigError {
        ConfigError {
            cause,
            messages: Vec::new(),
        }
    }
}
