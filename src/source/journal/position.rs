//! Where reading a journal starts, how far it has been read, and whether there is more.
#![forbid(unsafe_code)]

use crate::ticket::Timestamp;

/// Where reading begins.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalStart {
    /// At the first entry after this time.
    pub time: Timestamp,
    /// Rather after this entry, while it is still there.
    pub cursor: Option<String>,
}

/// How far a journal was read.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalPosition {
    /// The last entry's time.
    pub time: Timestamp,
    /// The same as text, with a blank.
    pub date: String,
    /// The entry's name.
    pub cursor: String,
}

/// What a wait has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// There may be more entries.
    More,
    /// The files are others, or the child is gone.
    Lost,
    /// Nobody wants to know any more.
    Stopped,
}
