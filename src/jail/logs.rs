//! The log files of one jail: where reading starts, how they are decoded, how far they have been read
//! (facts J4, J7, K5, P36, Q5).

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::decision::local_time;
use super::decode::Decoder;
use super::log_discovery::LogDiscovery;
use super::log_fingerprint::{Fingerprint, LogState, first_line_hash};
use super::log_seeker::LogSeeker;
use super::save_timer::SaveTimer;
use crate::control::{CommandError, Value};
use crate::filter::LineBlock;
use crate::python::encoding::{Encoding, warn_of_line};
use crate::source::feed::{FeedSource, Membership};
use crate::source::{Chunk, LogSubscription, Sources, StartPosition, Watch};
use crate::store::{LogPosition, Store};
use crate::{debug, error, info};

const TARGET: &str = "fail2ban.filter";

/// A file that a pattern led to is left when it was gone at so many looks.
const MOST_MISSED: u32 = 5;

/// The files of a jail.
#[derive(Debug)]
pub(super) struct JailLogs {
    jail: String,
    sources: Sources,
    store: Option<Store>,
    watch: Watch,
    inbox: mpsc::Sender<Arc<Chunk>>,
    logs: IndexMap<String, JailLog>,
    started: bool,
    reloading: bool,
    timer: SaveTimer,
    discovery: LogDiscovery,
}

#[derive(Debug)]
struct JailLog {
    start: StartPosition,
    subscription: Option<LogSubscription>,
    /// It is no file at all.
    feed: Option<(FeedSource, Option<Membership>)>,
    decoder: Decoder,
    /// The end was reached once: what comes now is news (fact D22).
    in_operation: bool,
    /// Read up to here, but not everything was judged yet.
    read: Option<LogPosition>,
    /// Bytes that were read of the file it is now.
    position: Option<u64>,
    /// Judged up to here, not yet in the database.
    unsaved: Option<LogPosition>,
    /// A reload has not named it so far.
    obsolete: bool,
    /// A reload that is not over has added it.
    added: bool,
    /// A pattern has led to it while the jail ran; so often in a row it was gone since.
    missed: Option<u32>,
    /// The first line it was last known by.
    known_by: Arc<str>,
}

impl JailLogs {
    /// No files yet; chunks of those to come arrive on `inbox`.
    pub fn new(
        jail: &str,
        sources: Sources,
        store: Option<Store>,
        watch: Watch,
        inbox: mpsc::Sender<Arc<Chunk>>,
    ) -> JailLogs {
        JailLogs {
            jail: jail.to_owned(),
            sources,
            store,
            watch,
            inbox,
            logs: IndexMap::new(),
            started: false,
            reloading: false,
            timer: SaveTimer::default(),
            discovery: LogDiscovery::default(),
        }
    }

    /// The paths in the order they were added.
    pub fn paths(&self) -> Vec<String> {
        self.logs.keys().cloned().collect()
    }

    /// How far each file has been read, in bytes.
    pub fn positions(&self) -> Value {
        let read = |(path, log): (&String, &JailLog)| {
            let position = i64::try_from(log.position?).ok()?;
            Some((path.as_str().into(), Value::Int(position)))
        };
        Value::Dict(self.logs.iter().filter_map(read).collect())
    }

    /// Adds a file: read from where the database remembers, from its first line, or (`tail`) from
    /// its end. Reading begins with [`JailLogs::start`]. `state`: what is known of it already.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn add(
        &mut self,
        path: &str,
        state: Option<LogState>,
        tail: bool,
        encoding: &str,
        seeker: &mut LogSeeker<'_>,
    ) -> Result<(), CommandError> {
        if let Some(log) = self.logs.get_mut(path) {
            if self.reloading && log.obsolete {
                log.obsolete = false;
            } else {
                error!(TARGET, "{} already exists", path);
            }
            return Ok(());
        }
        let state = match state {
            Some(state) => state,
            None => LogState::at(path)
                .await
                .map_err(|error| CommandError::file(&error, path))?,
        };
        self.discovery.add(path);
        self.insert(path, state, tail, encoding, seeker).await;
        Ok(())
    }

    /// Takes a file up.
    async fn insert(
        &mut self,
        path: &str,
        state: LogState,
        tail: bool,
        encoding: &str,
        seeker: &mut LogSeeker<'_>,
    ) {
        let LogState {
            fingerprint,
            stored,
        } = state;
        self.discovery
            .remember(fingerprint.identity, &fingerprint.first_line_hash);
        let hash = &fingerprint.first_line_hash;
        let stored = match (&self.store, stored) {
            (Some(store), Some(stored)) => store.add_log_known(&self.jail, path, hash, stored),
            (Some(store), None) => store.add_log(&self.jail, path, hash).await,
            (None, _) => None,
        };
        let offset = match (tail, stored) {
            (true, _) => fingerprint.size,
            (false, Some(position)) => position.offset as u64,
            (false, None) => 0,
        };
        info!(
            TARGET,
            "Added logfile: {} (pos = {}, hash = {})",
            Value::from(path).repr(),
            offset,
            fingerprint.first_line_hash
        );
        let start = match (offset, fingerprint.first_line_hash.is_empty()) {
            (0, _) => StartPosition::Head,
            (_, true) => StartPosition::Tail,
            (offset, false) => StartPosition::Resume {
                first_line_hash: fingerprint.first_line_hash,
                offset,
            },
        };
        let mut log = JailLog {
            start,
            subscription: None,
            feed: None,
            decoder: Decoder::of_log(encoding, Path::new(path)),
            in_operation: tail,
            read: None,
            position: None,
            unsaved: None,
            obsolete: false,
            added: self.reloading,
            missed: None,
            known_by: "".into(),
        };
        if self.started {
            self.open(path, &mut log, seeker).await;
        }
        self.logs.insert(path.to_owned(), log);
    }

    /// Lines that are sent, under a name in place of a path.
    pub fn add_feed(&mut self, source: &FeedSource, encoding: &str) {
        let log = JailLog {
            start: StartPosition::Tail,
            subscription: None,
            feed: Some((source.clone(), None)),
            decoder: Decoder::named(encoding),
            in_operation: true,
            read: None,
            position: None,
            unsaved: None,
            obsolete: false,
            added: false,
            missed: None,
            known_by: "".into(),
        };
        self.logs.insert(source.name(), log);
    }

    /// Lines of `logpath` that may lead to new files.
    pub fn set_patterns(&mut self, lines: &[String]) {
        self.discovery.set_patterns(lines, Instant::now());
    }

    /// When to look for new files.
    pub fn next_scan(&self) -> Option<Instant> {
        self.discovery.next_scan()
    }

    /// The patterns to look up; what they lead to is told to [`JailLogs::found`].
    pub fn begin_scan(&mut self) -> Vec<String> {
        self.discovery.begin_scan()
    }

    /// Patterns lead to these files now: new ones are read from their first line, those that a
    /// pattern had led to and that are gone are left.
    pub async fn found(&mut self, paths: Vec<String>, encoding: &str, seeker: &mut LogSeeker<'_>) {
        for (path, log) in &mut self.logs {
            if let Some(missed) = &mut log.missed {
                *missed = if paths.contains(path) { 0 } else { *missed + 1 };
            }
        }
        let gone = |log: &JailLog| log.missed.is_some_and(|missed| missed >= MOST_MISSED);
        let gone: Vec<String> = (self.logs.iter())
            .filter(|(_, log)| gone(log))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.leave(&path);
        }
        seeker.new_file = true;
        for path in paths {
            if self.logs.contains_key(&path) || !self.discovery.is_candidate(&path, self.logs.len())
            {
                continue;
            }
            // what may not be read now may be later
            let state = match LogState::at(&path).await {
                Ok(state) => state,
                Err(error) => {
                    if error.kind() != ErrorKind::NotFound && self.discovery.refuse(&path) {
                        let error = CommandError::file(&error, &path);
                        error!(TARGET, "Unable to open {}: {}", path, error);
                    }
                    continue;
                }
            };
            let (file, line) = (
                state.fingerprint.identity,
                state.fingerprint.first_line_hash.clone(),
            );
            let known = self.logs.keys().map(String::as_str);
            if !self.discovery.is_known(&path, file, &line, known) {
                self.insert(&path, state, false, encoding, seeker).await;
                if let Some(log) = self.logs.get_mut(&path) {
                    log.missed = Some(0);
                }
            }
        }
        self.discovery.scan_done(Instant::now());
    }

    /// Stops reading a file; one that is not there is no matter (fact P36).
    pub fn remove(&mut self, path: &str) {
        self.discovery.remove(path);
        self.leave(path);
    }

    fn leave(&mut self, path: &str) {
        if self.close(path) {
            info!(TARGET, "Removed logfile: {}", Value::from(path).repr());
        }
    }

    /// Says whether the file was read.
    fn close(&mut self, path: &str) -> bool {
        let Some(mut log) = self.logs.shift_remove(path) else {
            return false;
        };
        self.save(path, &mut log);
        true
    }

    /// Begins to read all files, each where its lines begin to count.
    pub async fn start(&mut self, seeker: &mut LogSeeker<'_>) {
        self.started = true;
        let mut logs = std::mem::take(&mut self.logs);
        for (path, log) in &mut logs {
            self.open(path, log, seeker).await;
        }
        self.logs = logs;
    }

    async fn open(&self, path: &str, log: &mut JailLog, seeker: &mut LogSeeker<'_>) {
        if let Some((source, membership)) = &mut log.feed {
            *membership = Some(self.sources.feeds.join(source, self.inbox.clone()));
            return;
        }
        log.pass_over_old_lines(path, seeker);
        let added = self.sources.add(
            Path::new(path),
            log.start.clone(),
            self.watch,
            self.inbox.clone(),
        );
        match added.await {
            Ok(subscription) => log.subscription = Some(subscription),
            Err(error) => error!(TARGET, "Unable to open {}: {}", path, error),
        }
    }

    /// Stops reading all files; positions are in the database then. Only the backend `polling` logs
    /// which, as in the original.
    pub fn stop(&mut self) {
        for path in self.paths() {
            match self.watch {
                Watch::Polling => self.leave(&path),
                Watch::Inotify => {
                    self.close(&path);
                }
            }
        }
        self.started = false;
        self.timer.clear();
    }

    /// A new encoding for all files.
    pub fn set_encoding(&mut self, encoding: &str) {
        for (path, log) in &mut self.logs {
            log.decoder = match log.feed {
                Some(_) => Decoder::named(encoding),
                None => Decoder::of_log(encoding, Path::new(path)),
            };
        }
    }

    /// All files become obsolete unless they are added again before [`JailLogs::end_reload`].
    pub fn begin_reload(&mut self) {
        self.reloading = true;
        self.discovery.begin_reload();
        for log in self.logs.values_mut() {
            log.obsolete = log.feed.is_none();
        }
    }

    /// Removes obsolete files, or (`keep`) those that the reload has added.
    pub fn end_reload(&mut self, keep: bool) {
        self.reloading = false;
        let mut gone = Vec::new();
        for (path, log) in &mut self.logs {
            let obsolete = std::mem::take(&mut log.obsolete);
            let added = std::mem::take(&mut log.added);
            if if keep { added } else { obsolete } {
                gone.push(path.clone());
            }
        }
        for path in gone {
            self.leave(&path);
        }
        self.discovery.end_reload(keep, Instant::now());
    }

    /// Whether the log of a chunk is in operation; `None`: it was removed in between.
    pub fn begin(&self, chunk: &Chunk) -> Option<bool> {
        let log = self.logs.get(chunk.path.to_string_lossy().as_ref())?;
        Some(log.in_operation)
    }

    /// How the lines of a chunk are decoded, if that depends on nothing before them.
    pub fn encoding(&self, chunk: &Chunk) -> Option<&Encoding> {
        let log = self.logs.get(chunk.path.to_string_lossy().as_ref())?;
        log.decoder.of_whole_lines()
    }

    /// The lines of a chunk. One of a file that was removed in between has none.
    pub fn lines<'c>(&mut self, chunk: &'c Chunk, encoding: &str) -> LineBlock<'c> {
        let path = chunk.path.to_string_lossy();
        let Some(log) = self.logs.get_mut(path.as_ref()) else {
            return LineBlock::default();
        };
        let sources = &self.sources;
        log.decoder.decode(&chunk.data, |bytes| {
            // once per file and day, whichever jail it is
            if sources.is_news(&path) {
                warn_of_line(&path, encoding, bytes);
            }
        })
    }

    /// All lines of a chunk were examined.
    pub fn taken(&mut self, chunk: &Chunk) {
        let Some(log) = self.logs.get_mut(chunk.path.to_string_lossy().as_ref()) else {
            return;
        };
        log.in_operation |= chunk.at_end;
        if log.known_by != chunk.first_line_hash {
            log.known_by = chunk.first_line_hash.clone();
            self.discovery
                .remember(chunk.identity, &chunk.first_line_hash);
        }
        if log.feed.is_some() {
            return;
        }
        log.position = Some(chunk.offset);
        log.read = Some(LogPosition {
            first_line_hash: first_line_hash(chunk),
            offset: chunk.offset as f64,
        });
    }

    /// Everything read has been judged: positions may go to the database, now or soon.
    pub fn judged(&mut self, now: Instant) {
        if self.store.is_none() {
            return;
        }
        let mut changed = false;
        for log in self.logs.values_mut() {
            if let Some(position) = log.read.take() {
                log.unsaved = Some(position);
                changed = true;
            }
        }
        if changed && self.timer.changed(now) {
            self.save_due(now);
        }
    }

    /// When [`JailLogs::save_due`] has to be called.
    pub fn save_at(&self) -> Option<Instant> {
        self.timer.due()
    }

    /// Writes changed positions to the database.
    pub fn save_due(&mut self, now: Instant) {
        self.timer.saved(now);
        let mut logs = std::mem::take(&mut self.logs);
        for (path, log) in &mut logs {
            self.save(path, log);
        }
        self.logs = logs;
    }

    fn save(&self, path: &str, log: &mut JailLog) {
        if let (Some(store), Some(position)) = (&self.store, log.unsaved.take()) {
            store.update_log(&self.jail, path, position);
        }
    }
}

impl JailLog {
    /// Begins later where lines are too old to count (fact K6).
    fn pass_over_old_lines(&mut self, path: &str, seeker: &mut LogSeeker<'_>) {
        let from = match self.start {
            StartPosition::Head => 0,
            StartPosition::Resume { offset, .. } => offset,
            StartPosition::Tail => return,
        };
        debug!(
            TARGET,
            "Seek to find time {:?} ({}), file {path}",
            seeker.since,
            local_time(seeker.since)
        );
        let found =
            File::open(path).and_then(|file| seeker.seek(&file, self.decoder.encoding(), from));
        if let Ok(offset) = found {
            debug!(TARGET, "Position {offset} of {path}");
        }
        if let Ok(offset) = found
            && offset > from
            && let Ok(fingerprint) = Fingerprint::at(Path::new(path))
        {
            self.start = StartPosition::Resume {
                first_line_hash: fingerprint.first_line_hash,
                offset,
            };
        }
    }
}
