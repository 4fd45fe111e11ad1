//! A thread that follows a journal for one jail.
//!
//! libsystemd wants one thread per open journal, and reading from a `journalctl` child blocks as well.
//! Entries go to the jail in batches; a busy jail makes its thread wait. When the journal's files are
//! rotated, or the child exits, reading resumes after the last entry read.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::JournalSource;
use super::child::JournalctlChild;
use super::entry::{EntryFields, JournalEntry, LineBuilder};
use super::library::LibraryReader;
use super::options::{JournalMatches, JournalOptions};
use super::position::{JournalPosition, JournalStart, Waited};
use crate::clock::now;
use crate::python::encoding::Encoding;
use crate::sys::journal;
use crate::{error, msg};

const TARGET: &str = "fail2ban.filtersystemd";

/// Entries handed over at a time, and the bytes of their lines.
const BATCH: usize = 128;
const BATCH_BYTES: usize = 256 << 10;

/// Batches waiting for the jail.
const WAITING_BATCHES: usize = 4;

/// Before what failed is tried again; doubled each time, up to the longest.
const RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Some entries in their order.
#[derive(Debug, Default)]
pub struct EntryBatch {
    /// May be empty: then only the end was reached.
    pub entries: Vec<JournalEntry>,
    /// After them; `None` without entries.
    pub place: Option<JournalPosition>,
    /// The entries that come after these are news.
    pub at_end: bool,
}

/// What a jail holds of the thread; dropped, the thread ends.
#[derive(Debug)]
pub struct Following {
    /// Entries as they come.
    pub inbox: mpsc::Receiver<EntryBatch>,
    stop: UnixStream,
}

impl Drop for Following {
    fn drop(&mut self) {
        // the thread waits for this, or for room in the inbox, which is closed now; an error says
        // that it is gone
        let _ = self.stop.write_all(b".");
    }
}

/// Starts to follow a journal for a jail; bytes that are not UTF-8 are taken for `encoding`.
///
/// # Errors
/// The system gives no thread or no socket pair.
pub fn follow(
    jail: &str,
    options: &JournalOptions,
    matches: &JournalMatches,
    encoding: Encoding,
    start: JournalStart,
) -> io::Result<Following> {
    let (stop, stopped) = UnixStream::pair()?;
    let (outbox, inbox) = mpsc::channel(WAITING_BATCHES);
    let mut follower = JournalFollower {
        jail: jail.to_owned(),
        options: options.clone(),
        matches: matches.clone(),
        builder: LineBuilder::new(encoding),
        fields: EntryFields::default(),
        start,
        operating: false,
        outbox,
        stopped,
        told: None,
    };
    std::thread::Builder::new()
        .name("f2b/journal".to_owned())
        .spawn(move || follower.run())?;
    Ok(Following { inbox, stop })
}

/// The jail does not listen any more.
struct ReceiverGone;

struct JournalFollower {
    jail: String,
    options: JournalOptions,
    matches: JournalMatches,
    builder: LineBuilder,
    fields: EntryFields,
    /// After what was handed over.
    start: JournalStart,
    operating: bool,
    outbox: mpsc::Sender<EntryBatch>,
    stopped: UnixStream,
    /// When an error was last logged.
    told: Option<Instant>,
}

impl JournalFollower {
    fn run(&mut self) {
        let mut retry = RETRY;
        loop {
            let (before, began) = (self.start.clone(), Instant::now());
            match self.session() {
                Ok(Waited::Stopped) => return,
                Ok(_) => msg!(
                    TARGET,
                    "[{}] Journal reader seems to be offline, reopen journal",
                    self.jail
                ),
                Err(error) => self.tell(&error),
            }
            if self.start != before || began.elapsed() > LONGEST_RETRY {
                retry = RETRY;
            }
            if self.is_stopped_within(retry) {
                return;
            }
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }

    /// From opening the journal until it has to be opened again.
    fn session(&mut self) -> io::Result<Waited> {
        let mut way = self.open()?;
        loop {
            match self.read(&mut way) {
                Ok(Ok(())) => {}
                Ok(Err(ReceiverGone)) => return Ok(Waited::Stopped),
                Err(error) => return Err(error),
            }
            let waited = match &mut way {
                JournalSource::Library(library) => library.wait(&self.stopped)?,
                JournalSource::Child(child) => child.wait(&self.stopped)?,
            };
            if waited != Waited::More {
                return Ok(waited);
            }
        }
    }

    fn open(&self) -> io::Result<JournalSource> {
        let start = Some(&self.start);
        if journal::is_available() {
            return LibraryReader::open(&self.options, &self.matches, start)
                .map(JournalSource::Library);
        }
        JournalctlChild::start(&self.options, &self.matches, start).map(JournalSource::Child)
    }

    /// Hands over all entries that are there.
    fn read(&mut self, way: &mut JournalSource) -> io::Result<Result<(), ReceiverGone>> {
        let mut batch = EntryBatch::default();
        let mut bytes = 0;
        let result = loop {
            let found = match way {
                JournalSource::Library(library) => library.next_fields(&mut self.fields),
                JournalSource::Child(child) => child.next_fields(&mut self.fields),
            };
            match found {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            let entry = self.builder.entry(&self.fields);
            if !self.operating && entry.time >= now() - 1.0 {
                // what was there before the start ends here
                self.operating = true;
                batch.at_end = true;
                if self.hand_over(&mut batch).is_err() {
                    return Ok(Err(ReceiverGone));
                }
                bytes = 0;
            }
            bytes += entry.line.len();
            batch.entries.push(entry);
            if batch.entries.len() >= BATCH || bytes >= BATCH_BYTES {
                batch.place = place(way, &batch);
                if self.hand_over(&mut batch).is_err() {
                    return Ok(Err(ReceiverGone));
                }
                bytes = 0;
            }
        };
        if !batch.entries.is_empty() || !self.operating {
            batch.at_end = result.is_ok();
            self.operating |= batch.at_end;
            batch.place = place(way, &batch);
            if self.hand_over(&mut batch).is_err() {
                return Ok(Err(ReceiverGone));
            }
        }
        result.map(Ok)
    }

    fn hand_over(&mut self, batch: &mut EntryBatch) -> Result<(), ReceiverGone> {
        let batch = std::mem::take(batch);
        if let Some(place) = &batch.place {
            self.start = JournalStart {
                time: place.time,
                cursor: Some(place.cursor.clone()),
            };
        }
        self.outbox.blocking_send(batch).map_err(|_| ReceiverGone)
    }

    /// Once a minute at most.
    fn tell(&mut self, error: &io::Error) {
        if self.told.is_none_or(|told| told.elapsed() >= LONGEST_RETRY) {
            self.told = Some(Instant::now());
            error!(TARGET, "Error reading line from systemd journal: {}", error);
        }
    }

    fn is_stopped_within(&self, time: Duration) -> bool {
        // an error would mean no pause at all
        let _ = self.stopped.set_read_timeout(Some(time));
        let read = io::Read::read(&mut &self.stopped, &mut [0]);
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// After the last entry of a batch.
fn place(way: &JournalSource, batch: &EntryBatch) -> Option<JournalPosition> {
    let last = batch.entries.last()?;
    let cursor = match way {
        JournalSource::Library(library) => library.cursor().ok()?,
        JournalSource::Child(child) => child.cursor(),
    };
    Some(JournalPosition {
        time: last.time,
        date: last.date.clone(),
        cursor,
    })
}
