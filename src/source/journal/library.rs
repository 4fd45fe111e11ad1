//! Reads the journal through libsystemd.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::entry::EntryFields;
use super::options::{JournalMatches, JournalOptions, system_time};
use super::position::{JournalStart, Waited};
use crate::sys::journal::{Journal, JournalChange, JournalSelection};

/// How often it is looked whether other files have become the present ones.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// An open journal and where it was found.
#[derive(Debug)]
pub(super) struct LibraryReader {
    journal: Journal,
    options: JournalOptions,
    place: JournalSelection,
    since: Option<std::time::SystemTime>,
    /// The first entry may be this one, which is known already.
    known: Option<String>,
    /// When to look for other files; only where there may be some.
    look_at: Option<Instant>,
}

impl LibraryReader {
    /// Opens a journal, with `start` to follow it from there.
    pub fn open(
        options: &JournalOptions,
        matches: &JournalMatches,
        start: Option<&JournalStart>,
    ) -> io::Result<LibraryReader> {
        let since = start.map(|start| system_time(start.time));
        let place = options.place(since);
        let mut journal = Journal::open(&place)?;
        for (index, group) in matches.groups().iter().enumerate() {
            if index > 0 {
                journal.add_disjunction()?;
            }
            for word in group {
                journal.add_match(word)?;
            }
        }
        let mut known = None;
        match start {
            None => journal.seek_head()?,
            Some(start) => {
                // before the first look: what changes from here on is told
                journal.descriptor()?;
                match &start.cursor {
                    Some(cursor) if journal.seek_cursor(cursor).is_ok() => {
                        known = Some(cursor.clone());
                    }
                    _ => {
                        journal.seek_realtime((start.time.max(0.0) * 1e6) as u64)?;
                        // past the end there is dead space, which new entries do not end
                        journal.previous_entry()?;
                    }
                }
            }
        }
        Ok(LibraryReader {
            journal,
            options: options.clone(),
            place,
            since,
            known,
            look_at: None,
        })
    }

    /// Goes to the next entry and reads it; false at the end.
    pub fn next_fields(&mut self, fields: &mut EntryFields) -> io::Result<bool> {
        loop {
            if !self.journal.next_entry()? {
                return Ok(false);
            }
            match self.known.take() {
                Some(known) if self.journal.is_at(&known)? => {}
                _ => break,
            }
        }
        fields.clear();
        self.journal.restart_fields();
        while let Some(field) = self.journal.field()? {
            let Some(end) = memchr::memchr(b'=', field) else {
                continue;
            };
            let (name, value) = field.split_at(end);
            if EntryFields::wants(name) {
                fields.take(name, &value[1..]);
            }
        }
        fields.realtime = self.journal.realtime()?;
        fields.monotonic = self.journal.monotonic()?;
        Ok(true)
    }

    /// The name of the entry that was read last.
    pub fn cursor(&self) -> io::Result<String> {
        self.journal.cursor()
    }

    /// Waits until there may be more entries, or `stop` becomes readable.
    pub fn wait(&mut self, stop: &UnixStream) -> io::Result<Waited> {
        loop {
            let until = self
                .look_at
                .map(|at| at.saturating_duration_since(Instant::now()));
            let timeout = self.journal.timeout()?.into_iter().chain(until).min();
            let timeout = timeout.map_or(PollTimeout::NONE, |wait| {
                // rounded up, or the last millisecond would be spent in circles
                PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            });
            let descriptor = self.journal.descriptor()?;
            let mut watched = [
                PollFd::new(stop.as_fd(), PollFlags::POLLIN),
                PollFd::new(descriptor, PollFlags::POLLIN),
            ];
            let count = match nix::poll::poll(&mut watched, timeout) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if watched[0].any() == Some(true) {
                return Ok(Waited::Stopped);
            }
            match self.journal.process()? {
                JournalChange::Invalidated => return Ok(Waited::Lost),
                JournalChange::Appended => {
                    self.look_at
                        .get_or_insert_with(|| Instant::now() + LOOK_INTERVAL);
                    if self.has_moved() {
                        return Ok(Waited::Lost);
                    }
                    return Ok(Waited::More);
                }
                JournalChange::Nothing if count > 0 => {
                    self.look_at
                        .get_or_insert_with(|| Instant::now() + LOOK_INTERVAL);
                }
                JournalChange::Nothing => {}
            }
            if self.has_moved() {
                return Ok(Waited::Lost);
            }
        }
    }

    /// Whether the options lead to other files by now; looked at now and then.
    fn has_moved(&mut self) -> bool {
        if self.look_at.is_none_or(|at| at > Instant::now()) {
            return false;
        }
        self.look_at = None;
        self.options.place(self.since) != self.place
    }
}
