//! The thread that owns the connection: takes requests in order and writes them in batches.
//!
//! A batch is one transaction. It is committed when nothing waits, when it is large, or after half a
//! second. A write that fails because the disk is full or the file is locked is kept and retried; one that
//! can never succeed is logged and dropped. The thread ends only by [`StoreRequest::Close`] or when all
//! handles are gone.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TrySendError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::rows::BanRow;
use super::{InstalledStart, LOG, LogPosition, failure, open, rows};
use crate::queue::{self, Receiver, Sender};
use crate::{error, info, warning};

/// Requests that may wait for the thread.
const QUEUE: usize = 16_384;
/// Writes of one transaction: more save no time, and each is kept until the transaction has ended.
const BATCH: usize = 512;
/// Longest time a write may stay uncommitted while others follow it.
const BATCH_TIME: Duration = Duration::from_millis(500);
/// How long an open transaction waits for more when nothing else is waiting.
const GATHER: Duration = Duration::from_millis(3);
/// Most writes kept while the database refuses them; the oldest go first.
const MAX_UNSAVED: usize = 100_000;
/// Pause between attempts while the database refuses writes.
const RETRY: Duration = Duration::from_secs(2);
/// Pause between attempts to open a file that could not be used; each looks through all of it.
const REOPEN: Duration = Duration::from_secs(10);
/// A file that goes bad while it is open is repaired at once, but not again before this is over: a
/// disk that ruins every file shall not be filled with them.
const REPAIR_PAUSE: Duration = Duration::from_secs(3600);
/// How often a lasting refusal is repeated in the log.
const REMIND: Duration = Duration::from_secs(300);

/// A change to the database.
#[derive(Debug)]
pub(super) enum Write {
    AddJail(String),
    DisableJail(String),
    UpdateLog {
        jail: String,
        path: String,
        position: LogPosition,
    },
    AddBan(BanRow),
    AddBans(Vec<BanRow>),
    /// Bans in force, some of which may have been lost.
    KeepBans(Vec<BanRow>),
    DeleteBans {
        jail: String,
        ids: Option<Vec<String>>,
    },
    Purge {
        before: f64,
    },
    AddInstalled(Box<InstalledStart>),
    DeleteInstalled(Box<InstalledStart>),
}

impl Write {
    fn apply(&self, db: &Connection) -> rusqlite::Result<()> {
        match self {
            Write::AddJail(jail) => rows::add_jail(db, jail),
            Write::DisableJail(jail) => rows::disable_jail(db, jail),
            Write::UpdateLog {
                jail,
                path,
                position,
            } => rows::update_log(db, jail, path, position),
            Write::AddBan(row) => row.insert(db),
            Write::AddBans(rows) => rows::insert_all(rows, db),
            Write::KeepBans(rows) => rows.iter().try_for_each(|row| row.keep(db)),
            Write::DeleteBans { jail, ids } => rows::delete_bans(db, jail, ids.as_deref()),
            Write::Purge { before } => rows::purge(db, *before),
            Write::AddInstalled(installed) => rows::add_installed(db, installed),
            Write::DeleteInstalled(installed) => rows::delete_installed(db, installed),
        }
    }
}

/// Reads and answers. Called again when the first try found the file damaged.
pub(super) type Query = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

pub(super) enum StoreRequest {
    Write(Write),
    Read(Query),
    /// Answered when all writes before it are committed, or refused for now.
    Written(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// The sending end of the thread's queue.
#[derive(Debug)]
pub(super) struct Mailbox {
    requests: Sender<StoreRequest>,
    dropped: AtomicU64,
    /// How often the file was repaired.
    pub(super) repairs: Arc<AtomicU64>,
}

impl Mailbox {
    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.requests.len()
    }

    /// Queues a write; when thousands wait already it is dropped, with an error in the log.
    pub(super) fn write(&self, write: Write) {
        let queued = self.requests.try_send_quietly(StoreRequest::Write(write));
        if let Err(TrySendError::Full(_)) = queued {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                error!(
                    LOG,
                    "Database does not keep up: {dropped} record(s) not stored"
                );
            }
        }
    }

    /// Queues a request, or gives it back when the queue is full; `None` when the database is closed.
    pub(super) fn offer(&self, request: StoreRequest) -> Result<(), Option<StoreRequest>> {
        self.requests.try_send(request).map_err(|e| match e {
            TrySendError::Full(request) => Some(request),
            TrySendError::Disconnected(_) => None,
        })
    }
}

/// Starts the thread; `in_memory`: the file cannot be used yet.
pub(super) fn spawn(db: Connection, path: String, in_memory: bool) -> std::io::Result<Mailbox> {
    let (sender, requests) = queue::bounded(QUEUE);
    let repairs = Arc::new(AtomicU64::new(0));
    let mut worker = Worker {
        db,
        path,
        requests,
        unsaved: VecDeque::new(),
        waiting: Vec::new(),
        refusal: None,
        in_memory,
        repaired: None,
        repairs: Arc::clone(&repairs),
    };
    if in_memory {
        worker.postpone(Instant::now());
    }
    std::thread::Builder::new()
        .name("f2b/database".to_owned())
        .spawn(move || worker.run())?;
    Ok(Mailbox {
        requests: sender,
        dropped: AtomicU64::new(0),
        repairs,
    })
}

/// Why and since when writes are refused.
struct WriteFailure {
    next_try: Instant,
    last_said: Instant,
}

struct Worker {
    db: Connection,
    path: String,
    requests: Receiver<StoreRequest>,
    /// Writes that are not committed: of the open transaction, or waiting for the next attempt.
    unsaved: VecDeque<Write>,
    /// Who waits for the open transaction.
    waiting: Vec<oneshot::Sender<()>>,
    refusal: Option<WriteFailure>,
    /// `db` stands for the file, which cannot be used; all that is unsaved is in it.
    in_memory: bool,
    /// When the file was last found damaged.
    repaired: Option<Instant>,
    repairs: Arc<AtomicU64>,
}

impl Worker {
    fn run(mut self) {
        let done = loop {
            match self.wait() {
                Ok(request) => {
                    if let Some(done) = self.batch(request) {
                        break Some(done);
                    }
                    if matches!(&self.refusal, Some(r) if r.next_try <= Instant::now()) {
                        self.try_again();
                    }
                    for done in self.waiting.drain(..) {
                        // the asker may have given up
                        let _ = done.send(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.try_again(),
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        self.try_again();
        if !self.unsaved.is_empty() {
            error!(
                LOG,
                "{} record(s) could not be stored in database '{}'",
                self.unsaved.len(),
                self.path
            );
        }
        open::close(self.db, &self.path);
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    fn wait(&self) -> Result<StoreRequest, RecvTimeoutError> {
        match &self.refusal {
            None => self
                .requests
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(refusal) => self.requests.recv_timeout(
                refusal
                    .next_try
                    .saturating_duration_since(Instant::now())
                    .max(Duration::from_millis(1)),
            ),
        }
    }

    /// Carries out a request and those waiting behind it, then commits.
    fn batch(&mut self, first: StoreRequest) -> Option<oneshot::Sender<()>> {
        let began = Instant::now();
        let mut request = first;
        let mut close = None;
        loop {
            match request {
                StoreRequest::Write(write) => self.take(write),
                StoreRequest::Read(query) => self.read(query),
                StoreRequest::Written(done) => self.waiting.push(done),
                StoreRequest::Close(done) => {
                    close = Some(done);
                    break;
                }
            }
            if self.unsaved.len() >= BATCH || began.elapsed() >= BATCH_TIME {
                break;
            }
            match self.next(began) {
                Some(next) => request = next,
                None => break,
            }
        }
        self.commit();
        close
    }

    /// The next request of a batch that began at `began`.
    fn next(&self, began: Instant) -> Option<StoreRequest> {
        if let Ok(next) = self.requests.try_recv() {
            return Some(next);
        }
        if self.db.is_autocommit() || !self.waiting.is_empty() {
            return None;
        }
        // a commit costs more than this wait, and nobody waits for it
        self.requests.gather(GATHER.checked_sub(began.elapsed())?);
        self.requests.try_recv().ok()
    }

    fn read(&mut self, mut query: Query) {
        let mut outcome = query(&self.db);
        if let Err(e) = &outcome
            && failure::damaged(e)
            && self.repair(Instant::now())
        {
            // what the open transaction held goes again, into the repaired file
            self.try_again();
            outcome = query(&self.db);
        }
        if let Err(e) = outcome {
            error!(LOG, "Unable to read from database: {}", failure::text(&e));
        }
    }

    /// Adds a write to the open transaction (which it opens when there is none).
    fn take(&mut self, write: Write) {
        let write = match write {
            // so that what is kept for later is counted by bans
            Write::AddBans(rows) if self.refusal.is_some() => {
                rows.into_iter()
                    .map(Write::AddBan)
                    .for_each(|row| self.take(row));
                return;
            }
            write => write,
        };
        if self.unsaved.len() >= MAX_UNSAVED {
            self.make_room();
        }
        if self.refusal.is_none() {
            match self.begin().and_then(|()| write.apply(&self.db)) {
                Ok(()) => {}
                Err(e) if may_pass(&e) => self.refuse(&e),
                Err(e) => {
                    error!(
                        LOG,
                        "Unable to write to database '{}': {}",
                        self.path,
                        failure::text(&e)
                    );
                    // some errors end the whole transaction: the writes before this one go again
                    if self.db.is_autocommit() && !self.unsaved.is_empty() {
                        self.refuse(&e);
                    }
                    return;
                }
            }
        }
        if self.in_memory {
            // should it fail here it may succeed in the file
            let _ = match &write {
                Write::AddBan(row) => row.without_lines().insert(&self.db),
                write => write.apply(&self.db),
            };
        }
        self.unsaved.push_back(write);
    }

    /// Forgets older positions of logs whose newer ones wait too, and then the oldest bans.
    fn make_room(&mut self) {
        let mut newer = HashSet::new();
        let mut kept: Vec<Write> = self.unsaved.drain(..).collect();
        kept.reverse();
        kept.retain(|write| match write {
            Write::UpdateLog { jail, path, .. } => newer.insert((jail.clone(), path.clone())),
            _ => true,
        });
        kept.reverse();
        // what creates a jail stays: without it none of its bans can be stored
        let mut surplus = kept.len().saturating_sub(MAX_UNSAVED - BATCH);
        let before = kept.len();
        kept.retain(|write| {
            let goes = surplus > 0 && matches!(write, Write::AddBan(_));
            surplus -= usize::from(goes);
            !goes
        });
        let dropped = before - kept.len();
        if dropped > 0 {
            error!(
                LOG,
                "Database '{}' does not take writes: {dropped} ban(s) not stored", self.path
            );
        }
        self.unsaved = kept.into();
        if self.unsaved.len() >= MAX_UNSAVED {
            self.unsaved.pop_front();
        }
    }

    fn begin(&self) -> rusqlite::Result<()> {
        if self.db.is_autocommit() {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(())
    }

    fn commit(&mut self) {
        if self.db.is_autocommit() {
            return;
        }
        match self.db.execute_batch("COMMIT") {
            Ok(()) => {
                if self.refusal.is_none() {
                    self.unsaved.clear();
                }
            }
            Err(e) => self.refuse(&e),
        }
    }

    /// The database refuses: undo the transaction and keep its writes for later.
    fn refuse(&mut self, why: &rusqlite::Error) {
        if !self.db.is_autocommit() {
            let _ = self.db.execute_batch("ROLLBACK");
        }
        let now = Instant::now();
        let last_said = match &self.refusal {
            Some(refusal) if now < refusal.last_said + REMIND => refusal.last_said,
            _ => {
                error!(
                    LOG,
                    "Unable to write to database '{}': {} - will be tried again",
                    self.path,
                    failure::text(why)
                );
                now
            }
        };
        let mended = failure::damaged(why) && self.repair(now);
        self.refusal = Some(WriteFailure {
            next_try: if mended { now } else { now + RETRY },
            last_said,
        });
    }

    /// Goes on with a repaired file; false when that failed or was done a short while ago.
    fn repair(&mut self, now: Instant) -> bool {
        if self.repaired.is_some_and(|last| now < last + REPAIR_PAUSE) {
            return false;
        }
        self.repaired = Some(now);
        self.repairs.fetch_add(1, Ordering::Relaxed);
        // closing the file later would take the new one's write-ahead log away
        let Ok(nothing) = Connection::open_in_memory() else {
            return false;
        };
        drop(std::mem::replace(&mut self.db, nothing));
        match open::repair(&self.path) {
            Ok(db) => self.db = db,
            Err(e) => {
                error!(LOG, "Unable to repair database '{}': {e}", self.path);
                match open::in_memory(&self.path) {
                    Ok(db) => self.db = db,
                    Err(e) => {
                        error!(LOG, "Unable to keep bans in memory: {e}");
                        return false;
                    }
                }
                self.in_memory = true;
                for write in &self.unsaved {
                    let _ = write.apply(&self.db);
                }
                self.postpone(now);
            }
        }
        true
    }

    /// The file cannot be used now.
    fn postpone(&mut self, now: Instant) {
        self.refusal = Some(WriteFailure {
            next_try: now + REOPEN,
            last_said: now,
        });
    }

    /// Writes what was refused before.
    fn try_again(&mut self) {
        if self.in_memory {
            match open::open_again(&self.path) {
                Ok(db) => self.db = db,
                Err(_) => return self.postpone(Instant::now()),
            }
            self.in_memory = false;
            info!(
                LOG,
                "Connected to fail2ban persistent database '{}'", self.path
            );
        }
        if self.unsaved.is_empty() {
            self.refusal = None;
            return;
        }
        if let Err(e) = self.begin() {
            return self.refuse(&e);
        }
        let mut hopeless = Vec::new();
        for (index, write) in self.unsaved.iter().enumerate() {
            match write.apply(&self.db) {
                Ok(()) => {}
                Err(e) if may_pass(&e) || self.db.is_autocommit() => return self.refuse(&e),
                Err(e) => hopeless.push((index, failure::text(&e))),
            }
        }
        if let Err(e) = self.db.execute_batch("COMMIT") {
            return self.refuse(&e);
        }
        for (_, why) in &hopeless {
            error!(LOG, "Unable to write to database '{}': {why}", self.path);
        }
        if self.refusal.take().is_some() {
            warning!(
                LOG,
                "Database '{}' is writable again, {} record(s) stored",
                self.path,
                self.unsaved.len() - hopeless.len()
            );
        }
        self.unsaved = VecDeque::new();
    }
}

/// Whether the same write may succeed later; it may in a repaired file too.
fn may_pass(e: &rusqlite::Error) -> bool {
    failure::passing(e) || failure::damaged(e)
}
