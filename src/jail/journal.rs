//! The journal as the input of one jail: which entries it reads, and its position (facts K12, P38, Q6).
//!
//! The position is stored as the original stores it, as a time. The cursor of the last entry is stored
//! beside it, because that time may be shared by entries or be slightly off (it is the sender's).

use std::time::Instant;

use super::save_timer::SaveTimer;
use crate::control::{CommandError, Value};
use crate::python::encoding::Encoding;
use crate::source::journal::{
    EntryBatch, Following, JournalMatches, JournalOptions, JournalOptionsError, JournalPosition,
    JournalStart, follow,
};
use crate::store::{LogPosition, Store};
use crate::ticket::Timestamp;
use crate::{error, info, notice};

const TARGET: &str = "fail2ban.filtersystemd";

/// Names of the rows in the database.
const TIME_ROW: &str = "systemd-journal";
const CURSOR_ROW: &str = "systemd-journal-cursor";

/// What a jail with `backend = systemd` has in place of files.
#[derive(Debug)]
pub(super) struct JournalLog {
    jail: String,
    store: Option<Store>,
    options: JournalOptions,
    matches: JournalMatches,
    encoding: String,
    /// Since the start: the thread that reads, unless it could not be started.
    following: Option<Following>,
    /// Since the start: where reading goes on.
    start: Option<JournalStart>,
    in_operation: bool,
    read: Option<JournalPosition>,
    unsaved: Option<JournalPosition>,
    timer: SaveTimer,
    /// The matches before a reload.
    before: Option<JournalMatches>,
}

impl JournalLog {
    /// A journal that is not read yet.
    pub fn new(
        jail: &str,
        store: Option<Store>,
        options: JournalOptions,
        encoding: &str,
    ) -> JournalLog {
        JournalLog {
            jail: jail.to_owned(),
            store,
            options,
            matches: JournalMatches::default(),
            encoding: encoding.to_owned(),
            following: None,
            start: None,
            in_operation: false,
            read: None,
            unsaved: None,
            timer: SaveTimer::default(),
            before: None,
        }
    }

    /// What `get JAIL journalmatch` answers.
    pub fn matches(&self) -> Value {
        let groups = self.matches.groups().iter();
        Value::List(groups.map(|group| Value::from(group.clone())).collect())
    }

    /// What the status shows.
    pub fn matches_text(&self) -> String {
        self.matches.text()
    }

    /// `addjournalmatch`
    ///
    /// # Errors
    /// `Invalid match`
    pub fn add_match(&mut self, words: &[String]) -> Result<(), CommandError> {
        let text = Value::from(words.join(" ")).repr();
        if let Err(refused) = self.matches.add(words) {
            error!(TARGET, "Error adding journal match for: {}", text);
            return Err(wrong(&refused));
        }
        info!(TARGET, "[{}] Added journal match for: {}", self.jail, text);
        self.matches_changed();
        Ok(())
    }

    /// `deljournalmatch`
    ///
    /// # Errors
    /// `Match … not found`
    pub fn remove_match(&mut self, words: &[String]) -> Result<(), CommandError> {
        self.matches.remove(words).map_err(|error| wrong(&error))?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        info!(
            TARGET,
            "[{}] Removed journal match for: {}",
            self.jail,
            Value::from(words).repr()
        );
        self.matches_changed();
        Ok(())
    }

    fn matches_changed(&mut self) {
        if self.before.is_none() {
            self.read_anew();
        }
    }

    /// Another encoding for what is not UTF-8.
    pub fn set_encoding(&mut self, encoding: &str) {
        if self.encoding != encoding {
            encoding.clone_into(&mut self.encoding);
            self.read_anew();
        }
    }

    /// Begins to read where the database says, at most `find_time` seconds ago.
    pub async fn start(&mut self, now: Timestamp, find_time: f64) {
        if self.matches.groups().is_empty() {
            notice!(
                TARGET,
                "[{}] Jail started without 'journalmatch' set. Jail regexs will be checked against all journal entries, which is not advised for performance reasons.",
                self.jail
            );
        }
        let mut start = JournalStart {
            time: now - find_time,
            cursor: None,
        };
        if let Some(store) = &self.store
            && let Some(stored) = store.position(&self.jail, TIME_ROW).await
            && stored.offset > start.time
        {
            start.time = stored.offset;
            let cursor = store.position(&self.jail, CURSOR_ROW).await;
            // of another time when the original has read on in between
            start.cursor = cursor
                .filter(|cursor| cursor.offset == stored.offset)
                .map(|cursor| cursor.first_line_hash);
        }
        self.start = Some(start);
        self.read_anew();
    }

    /// Once started: a new thread, after what was taken last.
    fn read_anew(&mut self) {
        let Some(start) = self.start.clone() else {
            return;
        };
        self.following = None;
        let encoding = Encoding::named(&self.encoding).unwrap_or_else(Encoding::utf_8);
        match follow(&self.jail, &self.options, &self.matches, encoding, start) {
            Ok(following) => self.following = Some(following),
            Err(error) => error!(TARGET, "Unable to read systemd journal: {}", error),
        }
    }

    /// The next entries; never without any to come.
    pub async fn next(&mut self) -> EntryBatch {
        let batch = match &mut self.following {
            Some(following) => following.inbox.recv().await,
            None => None,
        };
        match batch {
            Some(batch) => batch,
            None => std::future::pending().await,
        }
    }

    /// Whether what is taken now is news (fact D22).
    pub fn in_operation(&self) -> bool {
        self.in_operation
    }

    /// A batch was read.
    pub fn taken(&mut self, batch: EntryBatch) {
        if let Some(place) = batch.place {
            self.start = Some(JournalStart {
                time: place.time,
                cursor: Some(place.cursor.clone()),
            });
            self.read = Some(place);
        }
        if batch.at_end && !self.in_operation {
            self.in_operation = true;
            info!(
                TARGET,
                "[{}] Jail is in operation now (process new journal entries)", self.jail
            );
        }
    }

    /// Everything read has been judged: the position may go to the database, now or soon.
    pub fn judged(&mut self, now: Instant) {
        if let Some(place) = self.read.take() {
            self.unsaved = Some(place);
            if self.timer.changed(now) {
                self.save(now);
            }
        }
    }

    /// When [`JournalLog::save`] has to be called.
    pub fn save_at(&self) -> Option<Instant> {
        self.timer.due()
    }

    /// Writes a changed position to the database.
    pub fn save(&mut self, now: Instant) {
        self.timer.saved(now);
        let (Some(store), Some(place)) = (&self.store, self.unsaved.take()) else {
            return;
        };
        for (row, text) in [(CURSOR_ROW, place.cursor), (TIME_ROW, place.date)] {
            let position = LogPosition {
                first_line_hash: text,
                offset: place.time,
            };
            store.update_log(&self.jail, row, position);
        }
    }

    /// Stops reading; the position is in the database then.
    pub fn stop(&mut self) {
        self.following = None;
        self.start = None;
        self.save(Instant::now());
    }

    /// A reload will add the matches again.
    pub fn begin_reload(&mut self) {
        if !self.matches.groups().is_empty() {
            info!(TARGET, "[{}] Removed journal match for: '*'", self.jail);
        }
        self.before = Some(std::mem::take(&mut self.matches));
    }

    /// The matches are complete, or (`keep`) those before shall hold.
    pub fn end_reload(&mut self, keep: bool) {
        let Some(before) = self.before.take() else {
            return;
        };
        if keep {
            self.matches = before;
        } else if self.matches != before {
            self.read_anew();
        }
    }
}

fn wrong(error: &JournalOptionsError) -> CommandError {
    CommandError::builtin("ValueError", error.to_string())
}
