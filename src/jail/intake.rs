//! The input of a jail: log files, or the journal with `backend = systemd`, and the positions up to which
//! everything has been judged.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::JailContext;
use super::backend::Backend;
use super::core::JailCore;
use super::journal::JournalLog;
use super::logs::JailLogs;
use crate::control::{CommandError, Value};
use crate::source::Chunk;
use crate::source::journal::EntryBatch;
use crate::ticket::Timestamp;

/// The sources of one jail.
pub(super) struct Intake {
    /// None are in it with a journal.
    logs: JailLogs,
    journal: Option<JournalLog>,
}

impl Intake {
    /// What this backend reads, before it is read; chunks of logs arrive on `chunks`.
    pub fn new(
        core: &mut JailCore,
        backend: &Backend,
        context: &JailContext,
        chunks: mpsc::Sender<Arc<Chunk>>,
    ) -> Intake {
        let store = context.store.clone();
        let mut logs = JailLogs::new(
            core.name(),
            context.sources.clone(),
            store.clone(),
            backend.watch(),
            chunks,
        );
        let mut journal = None;
        match backend {
            Backend::Journal(options) => {
                core.read_journal();
                let (name, encoding) = (core.name(), core.encoding());
                journal = Some(JournalLog::new(name, store, options.clone(), encoding));
            }
            Backend::Feed(source) => logs.add_feed(source, core.encoding()),
            Backend::Inotify | Backend::Polling => {}
        }
        Intake { logs, journal }
    }

    /// The log files.
    pub fn logs(&mut self) -> &mut JailLogs {
        &mut self.logs
    }

    /// What the status shows.
    pub fn status(&self) -> (&'static str, Value) {
        match &self.journal {
            Some(journal) => ("Journal matches", vec![journal.matches_text()].into()),
            None => ("File list", self.logs.paths().into()),
        }
    }

    /// How far each log file has been read.
    pub fn positions(&self) -> Value {
        self.logs.positions()
    }

    /// What `get JAIL journalmatch` answers.
    pub fn matches(&self) -> Value {
        let none = || Value::List(Vec::new());
        self.journal.as_ref().map_or_else(none, JournalLog::matches)
    }

    /// `addjournalmatch`; files have no matches.
    ///
    /// # Errors
    /// `Invalid match`
    pub fn add_match(&mut self, words: &[String]) -> Result<(), CommandError> {
        let journal = self.journal.as_mut();
        journal.map_or(Ok(()), |journal| journal.add_match(words))
    }

    /// `deljournalmatch`
    ///
    /// # Errors
    /// `Match … not found`
    pub fn remove_match(&mut self, words: &[String]) -> Result<(), CommandError> {
        let journal = self.journal.as_mut();
        journal.map_or(Ok(()), |journal| journal.remove_match(words))
    }

    /// Another encoding for all of them.
    pub fn set_encoding(&mut self, encoding: &str) {
        self.logs.set_encoding(encoding);
        if let Some(journal) = &mut self.journal {
            journal.set_encoding(encoding);
        }
    }

    /// Begins to read.
    pub async fn start(&mut self, core: &mut JailCore, now: Timestamp) {
        self.logs.start(&mut core.seeker(now)).await;
        if let Some(journal) = &mut self.journal {
            journal.start(now, core.find_time()).await;
        }
    }

    /// Stops reading; the positions are in the database then.
    pub fn stop(&mut self) {
        self.logs.stop();
        if let Some(journal) = &mut self.journal {
            journal.stop();
        }
    }

    /// A reload will name everything again.
    pub fn begin_reload(&mut self) {
        self.logs.begin_reload();
        if let Some(journal) = &mut self.journal {
            journal.begin_reload();
        }
    }

    /// What was not named goes, or (`keep`) everything is as before.
    pub fn end_reload(&mut self, keep: bool) {
        self.logs.end_reload(keep);
        if let Some(journal) = &mut self.journal {
            journal.end_reload(keep);
        }
    }

    /// The next entries of the journal; never without one.
    pub async fn next_batch(&mut self) -> EntryBatch {
        match &mut self.journal {
            Some(journal) => journal.next().await,
            None => std::future::pending().await,
        }
    }

    /// Whether the entries of the journal are new ones by now; `None` without a journal.
    pub fn journal_in_operation(&self) -> Option<bool> {
        self.journal.as_ref().map(JournalLog::in_operation)
    }

    /// The entries of a batch went through the filter.
    pub fn batch_taken(&mut self, batch: EntryBatch) {
        if let Some(journal) = &mut self.journal {
            journal.taken(batch);
        }
    }

    /// Everything read has been judged: positions may go to the database, now or soon.
    pub fn judged(&mut self, now: Instant) {
        self.logs.judged(now);
        if let Some(journal) = &mut self.journal {
            journal.judged(now);
        }
    }

    /// When to save positions or to look for new logs.
    pub fn due(&self) -> Option<Instant> {
        let journal = self.journal.as_ref().and_then(JournalLog::save_at);
        let logs = [self.logs.save_at(), self.logs.next_scan()];
        logs.into_iter().flatten().chain(journal).min()
    }

    /// Saves the positions that are due; answers the patterns by which it is time to look for logs.
    pub fn tick(&mut self, now: Instant) -> Option<Vec<String>> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.logs.save_at()) {
            self.logs.save_due(now);
        }
        if let Some(journal) = &mut self.journal
            && is_due(journal.save_at())
        {
            journal.save(now);
        }
        is_due(self.logs.next_scan()).then(|| self.logs.begin_scan())
    }
}
