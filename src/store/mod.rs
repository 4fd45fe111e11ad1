//! Bans, log positions and jails in SQLite, in fail2ban's own schema (facts, section 11).
//!
//! One thread owns the connection; [`Store`] is a handle to it. Writes are queued and return at
//! once, so they are never on a ban's path; reads wait for the writes queued before them.

use std::path::Path;

use crate::address::Address;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// Why the database could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Where a log was read to (fact K5).
#[derive(Clone, Debug, PartialEq)]
pub struct LogPosition {
    /// SHA-1 hex of the first line with its newline (fact Q4); empty when there was none.
    pub first_line_hash: String,
    /// Byte offset after the last complete line read (for journals: Unix time).
    pub offset: f64,
}

/// What is known of an id from earlier bans (facts B11–B12).
#[derive(Clone, Debug, PartialEq)]
pub struct BanHistory {
    /// Bans so far.
    pub bancount: u32,
    /// Time of the last one.
    pub timeofban: Timestamp,
    /// Its length.
    pub bantime: BanTime,
}

/// Handle to the database thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Opens or creates the file (`:memory:` too), upgrades old versions, sets a corrupt file aside
    /// (facts Q8–Q10), marks all jails disabled.
    ///
    /// # Errors
    /// A directory in its place, a version from the future, no permission.
    pub fn open(_path: &Path) -> Result<Store, StoreError> {
        Ok(Store {})
    }

    /// The file name as given.
    pub fn path(&self) -> String {
        String::new()
    }

    /// Keep at most this many matches per ban.
    pub fn set_max_matches(&self, _count: i64) {}

    /// Matches kept per ban.
    pub fn max_matches(&self) -> i64 {
        10
    }

    /// Bans older than this many seconds are purged.
    pub fn set_purge_age(&self, _seconds: f64) {}

    /// The purge age in seconds.
    pub fn purge_age(&self) -> f64 {
        86400.0
    }

    /// A jail was created (enabled).
    pub fn add_jail(&self, _jail: &str) {}

    /// A jail was stopped (disabled).
    pub fn disable_jail(&self, _jail: &str) {}

    /// A log was added to a jail: remembers it and returns the stored position when the first line is still
    /// the same.
    pub async fn add_log(
        &self,
        _jail: &str,
        _path: &str,
        _first_line_hash: &str,
    ) -> Option<LogPosition> {
        None
    }

    /// Where the log has been read to.
    pub fn update_log(&self, _jail: &str, _path: &str, _position: LogPosition) {}

    /// Records a ban in `bans` and `bips`.
    pub fn add_ban(&self, _jail: &str, _ticket: &Ticket) {}

    /// Forgets an id (manual unban; fact Q7); `None` forgets all of the jail.
    pub fn delete_bans(&self, _jail: &str, _ids: Option<Vec<Address>>) {}

    /// Bans of the jail that have not ended by `now` (fact B16), oldest first; `default` for rows
    /// without a length of their own; `ticket.bantime` is the stored length.
    pub async fn current_bans(
        &self,
        _jail: &str,
        _now: Timestamp,
        _default: BanTime,
    ) -> Vec<Ticket> {
        Vec::new()
    }

    /// Earlier bans of an id in this jail, or in all jails.
    pub async fn history(&self, _jail: Option<&str>, _id: &Address) -> Option<BanHistory> {
        None
    }

    /// (failures, matches) over the history for `<ipfailures>`/`<ipmatches>` (all jails: `jail` None).
    pub async fn merged_history(
        &self,
        _jail: Option<&str>,
        _id: &Address,
    ) -> Option<(u32, Vec<String>)> {
        None
    }

    /// Removes what is older than the purge age (fact B19).
    pub fn purge(&self, _now: Timestamp) {}

    /// Waits until all queued writes are on disk, then closes.
    pub async fn close(&self) {}
}
