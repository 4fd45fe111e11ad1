//! Raw options of a section, each with its file and line.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

/// What is read is the administrator's own, so a hash that nobody attacks will do: a sixth of the
/// time of reading a configuration is spent on hashing names otherwise.
pub type Hashing = foldhash::fast::RandomState;

/// Options of one section, in the order they were first written.
pub type Section = IndexMap<Arc<str>, RawOption, Hashing>;

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLine {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An option as it stands in the files, before any substitution.
#[derive(Clone, Debug)]
pub struct RawOption {
    /// The raw value.
    pub text: Arc<str>,
    /// Where it was written; nothing for what the program itself put there.
    pub origin: Option<FileLine>,
}

impl RawOption {
    /// An option of a file.
    pub fn written(text: Arc<str>, origin: FileLine) -> RawOption {
        RawOption {
            text,
            origin: Some(origin),
        }
    }

    /// An option the program adds.
    pub fn computed(text: impl Into<Arc<str>>) -> RawOption {
        RawOption {
            text: text.into(),
            origin: None,
        }
    }
}
