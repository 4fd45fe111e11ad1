//! The task of one jail: gives the core lines, a clock and answers from outside, and carries out
//! what it decides: log lines, database rows, orders to the actions.
//!
//! It sleeps until a chunk of lines, a command, an answer, or the next due ban arrives; nothing is
//! periodic but the comparison of its bans with the firewall. Failures are judged in the order of their lines; while one waits for an answer the
//! jail still serves commands, and its readers are held back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use super::backend::Backend;
use super::core::JailCore;
use super::inquiry::{Answer, Case, FileStamp, Origin, Question};
use super::journal::JournalLog;
use super::logs::Logs;
use super::saved::Saved;
use super::{FULL, Surroundings};
use crate::action::firewall::monitor::Reminder;
use crate::action::{Actions, Order};
use crate::address::Address;
use crate::config::files::Disk;
use crate::config::glob;
use crate::control::{CommandError, JailCommand, JailOption, JailSetting, Reply, Value};
use crate::filter::FailureId;
use crate::source::Chunk;
use crate::source::journal::Batch;
use crate::ticket::Timestamp;
use crate::{info, warning};

/// Chunks waiting for the jail; the readers are held back beyond.
const WAITING_CHUNKS: usize = 4;

/// Requests waiting for the jail.
const WAITING_REQUESTS: usize = 64;

/// The clock may be set while the jail sleeps: look again after this long.
const LONGEST_SLEEP: f64 = 300.0;

/// What a jail is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Call(JailCommand, oneshot::Sender<Reply>),
    Start(Vec<String>, oneshot::Sender<Reply>),
    /// Patterns lead to these files now.
    Logs(Vec<String>),
    Stop(oneshot::Sender<Reply>),
    Reload(Phase, oneshot::Sender<()>),
    /// Forget failures and earlier bans of these ids; answers of how many something was known.
    Forget(Vec<String>, oneshot::Sender<usize>),
    /// Lift these bans, or all.
    Unban(Option<Vec<String>>, oneshot::Sender<usize>),
    /// Names among the ids have been looked up.
    UnbanResolved {
        ids: Vec<String>,
        names: HashMap<String, Vec<Address>>,
        report_absent: bool,
        reply: oneshot::Sender<Reply>,
    },
}

/// Where a reload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Begin,
    End,
    Abort,
}

/// Both ends of the way on which actions answer [`Order::Quiet`].
pub(super) type QuietAnswers = (
    mpsc::UnboundedSender<(Address, bool)>,
    mpsc::UnboundedReceiver<(Address, bool)>,
);

/// State of the task.
pub(super) struct Task {
    pub(super) core: JailCore,
    pub(super) backend: Backend,
    pub(super) around: Surroundings,
    pub(super) actions: Actions,
    pub(super) logs: Logs,
    /// With `backend = systemd`: what is read in place of files.
    pub(super) journal: Option<JournalLog>,
    pub(super) inbox: mpsc::WeakSender<Request>,
    /// True from start to stop; seen by the handle.
    pub(super) started: Arc<AtomicBool>,
    pub(super) idle: bool,
    /// The case whose question is under way.
    pub(super) asked: Option<(Case, Question)>,
    /// Cases after that one.
    pub(super) cases: VecDeque<Case>,
    /// Until when `ignoreip` needs nothing from outside.
    pub(super) outside_until: Option<Instant>,
    pub(super) files: HashMap<String, FileStamp>,
    /// What a reload that fails falls back to.
    pub(super) saved: Option<Box<Saved>>,
    /// When to compare bans with the firewall.
    pub(super) reminder: Reminder,
    /// Answers to [`Order::Quiet`].
    pub(super) quiet: QuietAnswers,
}

/// Starts the task; `started` is kept up to date.
pub(super) fn spawn(
    name: &str,
    backend: Backend,
    around: Surroundings,
    actions: Actions,
    started: Arc<AtomicBool>,
) -> mpsc::Sender<Request> {
    let (sender, requests) = mpsc::channel(WAITING_REQUESTS);
    let (chunks_in, chunks) = mpsc::channel(WAITING_CHUNKS);
    let mut logs = Logs::new(
        name,
        around.sources.clone(),
        around.store.clone(),
        backend.watch(),
        chunks_in,
    );
    let mut core = JailCore::new(name, around.store.is_some());
    let journal = match &backend {
        Backend::Journal(options) => {
            core.read_journal();
            let store = around.store.clone();
            Some(JournalLog::new(
                name,
                store,
                options.clone(),
                core.encoding(),
            ))
        }
        Backend::Inotify | Backend::Polling | Backend::Feed(_) => None,
    };
    if let Backend::Feed(source) = &backend {
        logs.add_feed(source, core.encoding());
    }
    let task = Task {
        core,
        backend,
        around,
        actions,
        logs,
        journal,
        inbox: sender.downgrade(),
        started,
        idle: false,
        asked: None,
        cases: VecDeque::new(),
        outside_until: None,
        files: HashMap::new(),
        saved: None,
        reminder: Reminder::new(),
        quiet: mpsc::unbounded_channel(),
    };
    tokio::spawn(task.run(requests, chunks));
    sender
}

/// The present time.
pub(super) fn now() -> Timestamp {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

impl Task {
    /// Until the jail is stopped, or nobody holds a handle any more.
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut chunks: mpsc::Receiver<Arc<Chunk>>,
    ) {
        loop {
            let reading = self.is_started() && !self.idle && self.is_free();
            let reminded = self.is_started();
            let wake = self.wake();
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Stop(reply)) => {
                        self.stop().await;
                        let _ = reply.send(Ok(Value::None));
                        return;
                    }
                    Some(request) => self.serve(request).await,
                    None => return self.stop().await,
                },
                Some(chunk) = chunks.recv(), if reading => self.take_chunk(&chunk),
                batch = next_batch(&mut self.journal), if reading => self.take_batch(batch),
                answer = answer(&mut self.asked), if self.asked.is_some() => self.learn(answer),
                Some((id, quiet)) = self.quiet.1.recv() => {
                    let decisions = self.core.answer_quiet(&id, quiet, now());
                    self.carry_out(decisions);
                }
                () = self.reminder.due(), if reminded => {
                    self.actions.send(Order::Audit(self.core.banned_tickets()));
                }
                () = sleep_until(wake), if wake.is_some() => self.tick(),
            }
        }
    }

    fn is_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// No failure waits to be judged.
    pub(super) fn is_free(&self) -> bool {
        self.asked.is_none() && self.cases.is_empty()
    }

    /// When the task has to wake by itself.
    fn wake(&mut self) -> Option<Instant> {
        let due = match self.is_started() && !self.idle {
            true => self.core.next_due(),
            false => None,
        };
        let due = due.map(|due| {
            // a ban ends strictly after its last moment
            let wait = (due - now()).clamp(0.0, LONGEST_SLEEP) + 0.001;
            Instant::now() + Duration::from_secs_f64(wait)
        });
        let journal = self.journal.as_ref().and_then(JournalLog::save_at);
        due.into_iter()
            .chain(self.logs.save_at())
            .chain(self.logs.look_at())
            .chain(journal)
            .min()
    }

    fn tick(&mut self) {
        let clock = Instant::now();
        if self.logs.save_at().is_some_and(|at| at <= clock) {
            self.logs.save_due(clock);
        }
        if self.logs.look_at().is_some_and(|at| at <= clock) {
            let patterns = self.logs.begin_look();
            let inbox = self.inbox.clone();
            tokio::task::spawn_blocking(move || {
                let paths = patterns
                    .iter()
                    .flat_map(|pattern| glob::find(&Disk, pattern).paths);
                let found = Request::Logs(paths.collect());
                if let Some(inbox) = inbox.upgrade() {
                    // fails when the jail has ended meanwhile
                    let _ = inbox.blocking_send(found);
                }
            });
        }
        if let Some(journal) = &mut self.journal
            && journal.save_at().is_some_and(|at| at <= clock)
        {
            journal.save(clock);
        }
        if self.is_started() && !self.idle {
            let decisions = self.core.due(now());
            self.carry_out(decisions);
        }
    }

    async fn serve(&mut self, request: Request) {
        // an answer nobody waits for any more is dropped
        match request {
            Request::Call(command, reply) => self.call(command, reply).await,
            Request::Start(patterns, reply) => {
                if !patterns.is_empty() {
                    self.logs.set_patterns(&patterns);
                }
                self.start().await;
                let _ = reply.send(Ok(Value::None));
            }
            Request::Logs(paths) => {
                let encoding = self.core.encoding().to_owned();
                self.logs.found(paths, &encoding).await;
            }
            Request::Stop(_) => {}
            Request::Reload(phase, reply) => {
                self.reload(phase).await;
                let _ = reply.send(());
            }
            Request::Forget(ids, reply) => {
                let _ = reply.send(self.forget_past(&ids).await);
            }
            Request::Unban(None, reply) => {
                let _ = reply.send(self.unban_all());
            }
            Request::Unban(Some(ids), reply) => {
                let (answer, count) = oneshot::channel();
                self.unban(ids, false, answer);
                tokio::spawn(async move {
                    let count = match count.await {
                        Ok(Ok(Value::Int(count))) => usize::try_from(count).unwrap_or(0),
                        _ => 0,
                    };
                    let _ = reply.send(count);
                });
            }
            Request::UnbanResolved {
                ids,
                names,
                report_absent,
                reply,
            } => {
                let _ = reply.send(self.unban_resolved(&ids, &names, report_absent));
            }
        }
    }

    async fn call(&mut self, command: JailCommand, reply: oneshot::Sender<Reply>) {
        let answer = match command {
            JailCommand::Status { flavour } => Ok(self.status(&flavour)),
            JailCommand::Get(JailOption::LogPath) => Ok(self.logs.paths().into()),
            JailCommand::Get(JailOption::JournalMatch) => Ok(self.journal_matches()),
            JailCommand::Get(option) => Ok(self.core.get(&option).unwrap_or(Value::None)),
            JailCommand::Set(JailSetting::Attempt { id, lines }) => {
                return self.attempt(&id, lines, reply);
            }
            JailCommand::Set(JailSetting::UnbanIp { ids, report_absent }) => {
                return self.unban(ids, report_absent, reply);
            }
            JailCommand::Set(JailSetting::DelAction(name)) => {
                let bans = self.core.banned_tickets();
                return self.actions.send(Order::Remove { name, bans, reply });
            }
            JailCommand::Set(setting) => self.set(setting).await,
        };
        let _ = reply.send(answer);
    }

    async fn set(&mut self, setting: JailSetting) -> Reply {
        match setting {
            JailSetting::Idle(word) => {
                self.idle = match word.as_str() {
                    "on" => true,
                    "off" => false,
                    _ => {
                        return Err(CommandError::new(
                            "Invalid idle option, must be 'on' or 'off'",
                        ));
                    }
                };
                self.judge_cases();
                Ok(self.idle.into())
            }
            // a journal has no files, and files have no matches: no matter
            JailSetting::AddLogPath { .. } | JailSetting::DelLogPath(_)
                if !self.backend.reads_files() =>
            {
                Ok(Value::List(Vec::new()))
            }
            JailSetting::AddLogPath { path, tail } => {
                let encoding = self.core.encoding().to_owned();
                self.logs.add(&path, tail, &encoding).await?;
                Ok(self.logs.paths().into())
            }
            JailSetting::DelLogPath(path) => {
                self.logs.remove(&path);
                Ok(self.logs.paths().into())
            }
            JailSetting::AddJournalMatch(words) => {
                if let Some(journal) = &mut self.journal {
                    journal.add_match(&words)?;
                }
                Ok(self.journal_matches())
            }
            JailSetting::DelJournalMatch(words) => {
                if let Some(journal) = &mut self.journal {
                    journal.remove_match(&words)?;
                }
                Ok(self.journal_matches())
            }
            JailSetting::BanIp(ban) => self.ban_by_hand(&ban).await,
            setting => {
                let reply = self.core.apply(&setting).unwrap_or(Ok(Value::None));
                match setting {
                    JailSetting::LogEncoding(_) => self.encoding_changed(),
                    JailSetting::BanTime(_) => {
                        self.actions.send(Order::Figures(self.core.figures()));
                    }
                    JailSetting::AddIgnoreIp(_) | JailSetting::DelIgnoreIp(_) => {
                        self.outside_until = None;
                    }
                    _ => {}
                }
                reply
            }
        }
    }

    fn status(&mut self, flavour: &str) -> Value {
        const FLAVOURS: [&str; 4] = ["short", "basic", "stats", "cymru"];
        if flavour == "stats" {
            let [failed, banned] = self.core.counts(now());
            let pair = |(now, ever): (i64, i64)| Value::Tuple(vec![now.into(), ever.into()]);
            return Value::List(vec![
                self.backend.as_str().into(),
                pair(failed),
                pair(banned),
            ]);
        }
        if !FLAVOURS.contains(&flavour) && flavour != FULL {
            warning!(
                "fail2ban.actions",
                "Unsupported extended jail status flavor {}. Supported: {}",
                Value::from(flavour).repr(),
                Value::from(FLAVOURS.to_vec()).repr()
            );
        }
        let read = match &self.journal {
            Some(journal) => ("Journal matches", vec![journal.matches_text()].into()),
            None => ("File list", self.logs.paths().into()),
        };
        self.core.status(flavour, read, now())
    }

    fn journal_matches(&self) -> Value {
        let none = || Value::List(Vec::new());
        self.journal.as_ref().map_or_else(none, JournalLog::matches)
    }

    fn encoding_changed(&mut self) {
        self.logs.set_encoding(self.core.encoding());
        if let Some(journal) = &mut self.journal {
            journal.set_encoding(self.core.encoding());
        }
    }

    /// Starts actions, restores bans, begins to read. A started jail only leaves its idle state.
    async fn start(&mut self) {
        self.idle = false;
        if self.is_started() {
            return self.judge_cases();
        }
        self.started.store(true, Ordering::Relaxed);
        if self.core.ignores_self() && self.around.names.own_addresses_now().is_none() {
            // so that the first failure need not wait for it
            let names = self.around.names.clone();
            tokio::spawn(async move { names.own_addresses().await });
        }
        self.actions.send(Order::Figures(self.core.figures()));
        self.actions.send(Order::Start);
        self.restore().await;
        self.logs.start().await;
        if let Some(journal) = &mut self.journal {
            journal.start(now(), self.core.find_time()).await;
        }
        info!(
            "fail2ban.jail",
            "Jail {} started",
            Value::from(self.core.name()).repr()
        );
    }

    /// Bans that have not ended while the jail was away (fact B16).
    async fn restore(&mut self) {
        let Some(store) = &self.around.store else {
            return;
        };
        let now = now();
        let default = self.core.default_ban_time();
        let tickets = store.current_bans(self.core.name(), now, default).await;
        for ticket in tickets {
            if let Some(ticket) = self.core.restorable(ticket, now) {
                self.cases.push_back(Case {
                    origin: Origin::Restored,
                    id: FailureId::Address(ticket.id.clone()),
                    ticket,
                    key: None,
                    ignored: None,
                    past: None,
                });
            }
        }
        self.judge_cases();
    }

    /// Stops reading, then has the actions lift and stop; bans stay in the database.
    async fn stop(&mut self) {
        self.asked = None;
        self.cases.clear();
        self.logs.stop();
        if let Some(journal) = &mut self.journal {
            journal.stop();
        }
        let (done, stopped) = oneshot::channel();
        self.actions.send(Order::Stop(self.core.unban_all(), done));
        let _ = stopped.await;
        self.started.store(false, Ordering::Relaxed);
        if let Some(store) = &self.around.store {
            store.disable_jail(self.core.name());
        }
        info!(
            "fail2ban.jail",
            "Jail {} stopped",
            Value::from(self.core.name()).repr()
        );
    }

    async fn reload(&mut self, phase: Phase) {
        match phase {
            Phase::Begin => {
                self.idle = true;
                self.saved = Some(Box::new(Saved::new(&self.core)));
                self.core.clear_lists();
                self.logs.begin_reload();
                if let Some(journal) = &mut self.journal {
                    journal.begin_reload();
                }
                self.actions.send(Order::Reloading(true, Vec::new()));
            }
            Phase::End => {
                self.saved = None;
                self.end_reload(false);
                self.actions.send(Order::Figures(self.core.figures()));
                let bans = self.core.banned_tickets();
                self.actions.send(Order::Reloading(false, bans));
            }
            Phase::Abort => {
                if let Some(saved) = self.saved.take() {
                    saved.restore(&mut self.core);
                }
                self.encoding_changed();
                self.end_reload(true);
                self.actions.send(Order::ReloadFailed);
                self.actions.send(Order::Figures(self.core.figures()));
                self.idle = false;
                self.judge_cases();
            }
        }
        self.outside_until = None;
    }

    fn end_reload(&mut self, keep: bool) {
        self.logs.end_reload(keep);
        if let Some(journal) = &mut self.journal {
            journal.end_reload(keep);
        }
    }
}

/// The next entries of the journal; never without one.
async fn next_batch(journal: &mut Option<JournalLog>) -> Batch {
    match journal {
        Some(journal) => journal.next().await,
        None => std::future::pending().await,
    }
}

/// The answer to the question under way; never without one.
async fn answer(asked: &mut Option<(Case, Question)>) -> Answer {
    match asked {
        Some((_, question)) => question.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
