//! Bans, log positions and jails in SQLite, in fail2ban's own schema (facts, section 11).
//!
//! One thread owns the connection ([`worker`]); [`Store`] is a handle to it. Writes are queued and return
//! at once, so they never delay a ban; reads see the writes queued before them, and [`Store::written`]
//! waits for them. [`schema`] opens, creates and upgrades the file, [`rescue`] handles a damaged one and
//! [`pages`] reads what is left in it; [`rows`] has the statements and [`data`] the JSON of a ban;
//! [`statistics`] and [`past_bans`] query a file from other processes.

pub mod data;
mod failure;
mod open;
mod pages;
pub mod past_bans;
mod rescue;
mod rows;
mod schema;
pub mod statistics;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use self::worker::{Mailbox, Write};
use crate::address::Address;
use crate::evidence::memory::JailEvidence;
use crate::ticket::{BanTime, Ticket, Timestamp};
use crate::{debug, warning};

/// The logger name of everything the database says.
pub(crate) const LOG: &str = "fail2ban.database";

/// Why the database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened or created; SQLite's own text.
    #[error("{0}")]
    Unusable(String),
    /// It cannot be read or written for now: no space, a read-only disk, somebody's lock.
    #[error("{0}")]
    Inaccessible(String),
    /// A later fail2ban wrote it.
    #[error("Attempt to travel to future version of database ...how did you get here??")]
    FutureVersion,
}

/// Where a log was read to (fact K5).
#[derive(Clone, Debug, PartialEq)]
pub struct LogPosition {
    /// SHA-1 hex of the first line with its newline (fact Q4); empty when there was none.
    pub first_line_hash: String,
    /// Byte offset after the last complete line read (for journals: Unix time).
    pub offset: f64,
}

impl LogPosition {
    /// The beginning of a log with this first line.
    fn start(first_line_hash: &str) -> LogPosition {
        LogPosition {
            first_line_hash: first_line_hash.to_owned(),
            offset: 0.0,
        }
    }
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

impl BanHistory {
    /// Whether a failure of this time was part of the last ban, or came before it: its line is read
    /// a second time. A ban that is later than now says nothing: the clock was set back.
    pub fn covers(&self, time: Timestamp, now: Timestamp) -> bool {
        // stored times are whole seconds
        time <= self.timeofban && self.timeofban <= now + 1.0
    }
}

/// How an action has put its chain or set into the firewall for a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledStart {
    /// The jail.
    pub jail: String,
    /// Its action.
    pub action: String,
    /// The family; empty where nothing depends on families.
    pub family: String,
    /// `actionstart`.
    pub start: String,
    /// `actionstop`.
    pub stop: String,
    /// `actionban`, for some address.
    pub ban: String,
}

/// Handle to the database thread. Cheap to clone; the file is closed in order by
/// [`Store::close`], or when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<StoreShared>,
}

#[derive(Debug)]
struct StoreShared {
    path: String,
    max_matches: AtomicI64,
    /// Bits of an `f64`.
    purge_age: AtomicU64,
    mailbox: Mailbox,
}

impl Store {
    /// Opens or creates the file (`:memory:` too), upgrades old versions, sets a corrupt file aside
    /// (facts Q8–Q10), marks all jails disabled. Blocks while it does so. Where the disk is full or
    /// read-only all goes on in memory, until the file can be written.
    ///
    /// # Errors
    /// A directory in its place, a version from the future.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let path = path.to_string_lossy().into_owned();
        let (db, in_memory) = match open::open(&path) {
            Err(StoreError::Inaccessible(why)) => {
                warning!(
                    LOG,
                    "Database '{path}' cannot be used: {why} - bans are kept in memory until it can"
                );
                (open::in_memory(&path)?, true)
            }
            opened => (opened?, false),
        };
        let mailbox = worker::spawn(db, path.clone(), in_memory)
            .map_err(|e| StoreError::Unusable(format!("unable to start the thread: {e}")))?;
        Ok(Store {
            shared: Arc::new(StoreShared {
                path,
                max_matches: AtomicI64::new(10),
                purge_age: AtomicU64::new(86400f64.to_bits()),
                mailbox,
            }),
        })
    }

    /// The file name as given.
    pub fn path(&self) -> String {
        self.shared.path.clone()
    }

    /// Keep at most this many matches per ban; none at all for 0.
    pub fn set_max_matches(&self, count: i64) {
        self.shared.max_matches.store(count, Ordering::Relaxed);
    }

    /// Matches kept per ban.
    pub fn max_matches(&self) -> i64 {
        self.shared.max_matches.load(Ordering::Relaxed)
    }

    /// Bans older than this many seconds are purged.
    pub fn set_purge_age(&self, seconds: f64) {
        self.shared
            .purge_age
            .store(seconds.to_bits(), Ordering::Relaxed);
    }

    /// The purge age in seconds.
    pub fn purge_age(&self) -> f64 {
        f64::from_bits(self.shared.purge_age.load(Ordering::Relaxed))
    }

    /// A jail was created (enabled).
    pub fn add_jail(&self, jail: &str) {
        self.write(Write::AddJail(jail.to_owned()));
    }

    /// A jail was stopped (disabled).
    pub fn disable_jail(&self, jail: &str) {
        self.write(Write::DisableJail(jail.to_owned()));
    }

    /// A log was added to a jail: remembers it and returns the stored position when the first line is still
    /// the same.
    pub async fn add_log(
        &self,
        jail: &str,
        path: &str,
        first_line_hash: &str,
    ) -> Option<LogPosition> {
        let (jail, path, hash) = (jail.to_owned(), path.to_owned(), first_line_hash.to_owned());
        self.read(move |db| rows::add_log(db, &jail, &path, &hash))
            .await
    }

    /// As [`Store::add_log`] for one whose stored position is known (inside `None`: it has none).
    pub fn add_log_known(
        &self,
        jail: &str,
        path: &str,
        first_line_hash: &str,
        stored: Option<LogPosition>,
    ) -> Option<LogPosition> {
        if stored.is_none() {
            self.update_log(jail, path, LogPosition::start(first_line_hash));
        }
        stored.filter(|stored| stored.first_line_hash == first_line_hash)
    }

    /// The stored positions of logs, each named by jail and path; `None` when they cannot be read.
    pub async fn positions(&self, logs: Vec<(String, String)>) -> Option<Vec<Option<LogPosition>>> {
        self.read(move |db| {
            let position = |(jail, path): &(String, String)| rows::position(db, jail, path);
            let positions: rusqlite::Result<_> = logs.iter().map(position).collect();
            positions.map(Some)
        })
        .await
    }

    /// The stored position of a log or journal, whatever its first line is now: for journals
    /// `first_line_hash` is the time of the last entry as text (fact Q6).
    pub async fn position(&self, jail: &str, path: &str) -> Option<LogPosition> {
        let (jail, path) = (jail.to_owned(), path.to_owned());
        self.read(move |db| rows::position(db, &jail, &path)).await
    }

    /// The stored positions of all logs of a jail, by path.
    pub async fn positions_of(&self, jail: &str) -> Vec<(String, LogPosition)> {
        let jail = jail.to_owned();
        self.read(move |db| rows::positions_of(db, &jail)).await
    }

    /// Where the log has been read to.
    pub fn update_log(&self, jail: &str, path: &str, position: LogPosition) {
        self.write(Write::UpdateLog {
            jail: jail.to_owned(),
            path: path.to_owned(),
            position,
        });
    }

    /// Records a ban in `bans` and `bips`.
    pub fn add_ban(&self, jail: &str, ticket: &Ticket) {
        let row = rows::BanRow::new(jail, ticket, self.max_matches());
        self.write(Write::AddBan(row));
    }

    /// Records many bans, in one step.
    pub fn add_bans(&self, jail: &str, tickets: &[Ticket]) {
        let row = |ticket| rows::BanRow::new(jail, ticket, self.max_matches());
        self.write(Write::AddBans(tickets.iter().map(row).collect()));
    }

    /// How often the file was repaired since it was opened: some bans may have been lost then.
    pub fn repairs(&self) -> u64 {
        self.shared.mailbox.repairs.load(Ordering::Relaxed)
    }

    /// Records bans in force where they have been lost.
    pub fn keep_bans(&self, jail: &str, tickets: &[Ticket]) {
        let row = |ticket| rows::BanRow::new(jail, ticket, self.max_matches());
        self.write(Write::KeepBans(tickets.iter().map(row).collect()));
    }

    /// An action has put its chain or set into the firewall.
    pub fn add_installed(&self, installed: &InstalledStart) {
        self.write(Write::AddInstalled(Box::new(installed.clone())));
    }

    /// It is taken out again.
    pub fn delete_installed(&self, installed: &InstalledStart) {
        self.write(Write::DeleteInstalled(Box::new(installed.clone())));
    }

    /// What has been put into the firewall and not been taken out.
    pub async fn installed(&self) -> Vec<InstalledStart> {
        self.read(rows::installed).await
    }

    /// Forgets an id (manual unban; fact Q7); `None` forgets all of the jail.
    pub fn delete_bans(&self, jail: &str, ids: Option<Vec<Address>>) {
        self.write(Write::DeleteBans {
            jail: jail.to_owned(),
            ids: ids.map(|ids| ids.iter().map(Address::to_string).collect()),
        });
    }

    /// Bans of the jail that have not ended by `now` (fact B16), ordered by id as the original
    /// restores them; `default` for rows without a length of their own; `ticket.bantime` is the
    /// stored length.
    ///
    /// Their evidence is counted by `keeper` as it is read.
    pub async fn current_bans(
        &self,
        jail: &str,
        now: Timestamp,
        default: BanTime,
        keeper: JailEvidence,
    ) -> Vec<Ticket> {
        let jail = jail.to_owned();
        self.read(move |db| rows::current_bans(db, &jail, now, default, &keeper))
            .await
    }

    /// Earlier bans of an id in this jail, or in all jails.
    pub async fn history(&self, jail: Option<&str>, id: &Address) -> Option<BanHistory> {
        let (jail, id) = (jail.map(str::to_owned), id.to_string());
        self.read(move |db| rows::history(db, jail.as_deref(), &id))
            .await
    }

    /// (failures, matches) over the history for `<ipfailures>`/`<ipmatches>` (all jails: `jail` None);
    /// the newest [`Store::max_matches`] matches, oldest first.
    pub async fn merged_history(
        &self,
        jail: Option<&str>,
        id: &Address,
    ) -> Option<(u32, Vec<String>)> {
        let (jail, id) = (jail.map(str::to_owned), id.to_string());
        let limit = usize::try_from(self.max_matches()).unwrap_or(0);
        self.read(move |db| rows::merged_history(db, jail.as_deref(), &id, limit))
            .await
    }

    /// Removes what is older than the purge age (fact B19).
    pub fn purge(&self, now: Timestamp) {
        self.write(Write::Purge {
            before: now - self.purge_age(),
        });
    }

    /// Waits until all queued writes are committed: a server that is killed then has not lost them.
    /// Those that the database refuses for now are not waited for.
    pub async fn written(&self) {
        self.request(worker::StoreRequest::Written).await;
    }

    /// Waits until all queued writes are on disk, then closes the file and leaves it as the
    /// original would: no write-ahead log beside it.
    pub async fn close(&self) {
        debug!(LOG, "Close connection to database ...");
        // a database whose thread is gone is as closed as it can be
        self.request(worker::StoreRequest::Close).await;
    }

    /// Sends a request, when there is room for it, and waits for its answer; `None` when the thread is
    /// gone.
    async fn request<T>(
        &self,
        with: impl FnOnce(oneshot::Sender<T>) -> worker::StoreRequest,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let mut request = with(answer);
        while let Err(back) = self.shared.mailbox.offer(request) {
            request = back?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        answered.await.ok()
    }

    /// How many reads and writes wait for the database.
    pub fn waiting(&self) -> usize {
        self.shared.mailbox.waiting()
    }

    fn write(&self, write: Write) {
        self.shared.mailbox.write(write);
    }

    /// Runs a query on the database thread; what fails is logged and answered with nothing.
    async fn read<T, F>(&self, query: F) -> T
    where
        T: Default + Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let read = |answer: oneshot::Sender<T>| {
            let mut answer = Some(answer);
            worker::StoreRequest::Read(Box::new(move |db: &Connection| {
                let result = query(db)?;
                // the asker may have given up
                let _ = answer.take().map(|answer| answer.send(result));
                Ok(())
            }))
        };
        self.request(read).await.unwrap_or_default()
    }
}
