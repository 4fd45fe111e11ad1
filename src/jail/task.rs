//! The task of one jail: gives the core lines, a clock and lookup results, and applies its decisions: log
//! lines, database rows, orders to the actions.
//!
//! It sleeps until a chunk of lines, a command, a lookup result, or the end of a ban; nothing is periodic
//! but the comparison of its bans with the firewall. Failures are judged in the order of their lines.
//! While one waits for a lookup the jail still serves commands, but takes no more lines. Failures of host
//! names are judged when the name is resolved.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::backend::Backend;
use super::ban_exchange::{BanExchange, SharedExchangeModes};
use super::core::{JailCore, SettingsSnapshot};
use super::decision::Decision;
use super::intake::Intake;
use super::link::{DecidedBy, OwnBan, RemoteChange};
use super::log_fingerprint::PrefetchedLogs;
use super::lookup::FileStamp;
use super::pending::PendingFailures;
use super::{JailContext, RefusedSetting};
use crate::action::{Actions, Order};
use crate::address::Address;
use crate::clock::now;
use crate::config::files::Disk;
use crate::config::glob;
use crate::control::{JailCommand, JailSetting, Reply, Value};
use crate::datetime::stamp::Stamp;
use crate::firewall::audit_timer::FirewallAuditTimer;
use crate::source::Chunk;
use crate::store::Store;

/// Chunks waiting for the jail; the readers are held back beyond.
const WAITING_CHUNKS: usize = 4;

/// Requests waiting for the jail.
const WAITING_REQUESTS: usize = 64;

/// Seconds; a sleep need not be longer.
const LONGEST_SLEEP: f64 = 3600.0;

/// What a jail is asked to do.
#[derive(Debug)]
pub(super) enum JailRequest {
    Call(JailCommand, oneshot::Sender<Reply>),
    /// Several options in order, up to the first that is refused.
    Options(
        Vec<JailSetting>,
        oneshot::Sender<Result<(), RefusedSetting>>,
    ),
    /// Answers whether it did not run yet.
    Start(Vec<String>, oneshot::Sender<bool>),
    /// Patterns lead to these files now.
    Logs(Vec<String>),
    Stop {
        /// Bans stay in the firewall for the server that follows.
        keep: bool,
        reply: oneshot::Sender<Reply>,
    },
    /// Dropped when all bans of the database are restored and in force.
    Restored(mpsc::Sender<()>),
    Reload(ReloadPhase, oneshot::Sender<()>),
    /// Forget failures and earlier bans of these ids; answers of how many something was known.
    Forget(Vec<String>, oneshot::Sender<usize>),
    /// Do what others have decided; answered when all of it is judged.
    Remote(BanExchange, Vec<RemoteChange>, bool, oneshot::Sender<()>),
    /// The bans that these have decided on.
    BansOf(DecidedBy, oneshot::Sender<Vec<OwnBan>>),
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

impl JailRequest {
    /// Whether it may lead to new bans.
    fn bans(&self) -> bool {
        use crate::control::JailSetting::{Attempt, BanIp};
        matches!(
            self,
            JailRequest::Call(JailCommand::Set(BanIp(_) | Attempt(_)), _) | JailRequest::Remote(..)
        )
    }
}

/// Where a reload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReloadPhase {
    Begin,
    End,
    Abort,
}

/// What a reload that fails falls back to.
#[derive(Debug)]
pub(super) struct BeforeReload {
    pub(super) idle: bool,
    pub(super) simulates: bool,
    pub(super) options: SettingsSnapshot,
}

/// Both ends of the way on which actions answer [`crate::action::Order::Quiet`].
pub(super) type QuietAnswers = (
    mpsc::UnboundedSender<(Address, bool)>,
    mpsc::UnboundedReceiver<(Address, bool)>,
);

/// State of the task.
pub(super) struct JailTask {
    pub(super) core: JailCore,
    pub(super) backend: Backend,
    pub(super) context: JailContext,
    pub(super) actions: Actions,
    pub(super) intake: Intake,
    pub(super) inbox: mpsc::WeakSender<JailRequest>,
    /// True from start to stop; seen by the handle.
    pub(super) started: Arc<AtomicBool>,
    pub(super) idle: bool,
    /// Failures that are not judged yet.
    pub(super) pending: PendingFailures,
    /// Until when `ignoreip` needs nothing from outside.
    pub(super) outside_until: Option<Instant>,
    pub(super) files: HashMap<String, FileStamp>,
    /// What a reload that fails falls back to.
    pub(super) before_reload: Option<Box<BeforeReload>>,
    /// Bans by hand that wait until the actions have done some of their work.
    pub(super) parked: VecDeque<JailRequest>,
    /// To be dropped when all bans of the database are restored and in force.
    pub(super) restored: Vec<mpsc::Sender<()>>,
    /// When to compare bans with the firewall.
    pub(super) audit_timer: FirewallAuditTimer,
    /// Repairs of the database after which the bans in force have been written again.
    pub(super) repairs: u64,
    /// Answers to [`crate::action::Order::Quiet`].
    pub(super) quiet: QuietAnswers,
    /// Told when the clock was set.
    pub(super) clock: watch::Receiver<()>,
    /// What the options say of telling and hearing others; seen by the handle.
    pub(super) modes: Arc<SharedExchangeModes>,
    /// Those who wait until nothing waits to be judged.
    pub(super) judging: Vec<oneshot::Sender<()>>,
    /// Bans from the database are being judged.
    pub(super) starting: bool,
    /// What was decided by the word of other hosts, to be carried out together.
    pub(super) remote: Vec<Decision>,
    /// The actions wait with bans for others which belong to them; dropped when the last of those is judged.
    pub(super) gathering: Option<oneshot::Sender<()>>,
    /// The last of them has come.
    pub(super) gathered: bool,
    /// Of the lines it writes into the log.
    pub(super) stamp: Stamp,
}

/// A task that does not run yet.
pub(super) struct UnstartedTask {
    pub(super) task: Box<JailTask>,
    requests: mpsc::Receiver<JailRequest>,
    chunks: mpsc::Receiver<Arc<Chunk>>,
}

impl UnstartedTask {
    /// Starts the task, inside a tokio runtime.
    pub(super) fn launch(self) {
        tokio::spawn(self.task.run(self.requests, self.chunks));
    }
}

impl fmt::Debug for UnstartedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

/// Prepares the task; what is `seen` by the handle is kept up to date.
pub(super) fn prepare(
    name: &str,
    backend: Backend,
    context: JailContext,
    actions: Actions,
    (started, modes): (Arc<AtomicBool>, Arc<SharedExchangeModes>),
) -> (mpsc::Sender<JailRequest>, UnstartedTask) {
    let (sender, requests) = mpsc::channel(WAITING_REQUESTS);
    let (chunks_in, chunks) = mpsc::channel(WAITING_CHUNKS);
    let mut core = JailCore::new(name, context.store.is_some());
    core.keep_evidence_in(&context.evidence);
    core.filter.share_templates(&context.templates);
    let clock = context.clock.subscribe();
    let intake = Intake::new(&mut core, &backend, &context, chunks_in);
    let audit_timer = context.common.monitor.audit_timer();
    let repairs = context.store.as_ref().map_or(0, Store::repairs);
    let task = JailTask {
        core,
        backend,
        context,
        actions,
        intake,
        inbox: sender.downgrade(),
        started,
        idle: false,
        pending: PendingFailures::default(),
        outside_until: None,
        files: HashMap::new(),
        before_reload: None,
        parked: VecDeque::new(),
        restored: Vec::new(),
        audit_timer,
        repairs,
        quiet: mpsc::unbounded_channel(),
        clock,
        modes,
        judging: Vec::new(),
        starting: false,
        remote: Vec::new(),
        gathering: None,
        gathered: false,
        stamp: Stamp::default(),
    };
    let prepared = UnstartedTask {
        task: Box::new(task),
        requests,
        chunks,
    };
    (sender, prepared)
}

impl JailTask {
    /// Until the jail is stopped, or nobody holds a handle any more.
    async fn run(
        mut self: Box<JailTask>,
        mut requests: mpsc::Receiver<JailRequest>,
        mut chunks: mpsc::Receiver<Arc<Chunk>>,
    ) {
        loop {
            if !self.restored.is_empty() && !self.pending.restores() {
                for restored in self.restored.drain(..) {
                    self.actions.send(Order::Restored(restored));
                }
            }
            let full = self.actions.is_full();
            let reading = self.is_started() && !self.idle && self.pending.is_free() && !full;
            let is_started = self.is_started();
            let wake = self.wake();
            tokio::select! {
                request = requests.recv() => match request {
                    Some(JailRequest::Stop { keep, reply }) => {
                        self.stop(keep).await;
                        let _ = reply.send(Ok(Value::None));
                        return;
                    }
                    Some(request) if full && request.bans() => self.parked.push_back(request),
                    Some(request) => self.serve(request).await,
                    None => return self.stop(false).await,
                },
                Some(chunk) = chunks.recv(), if reading => self.take_chunk(&chunk).await,
                batch = self.intake.next_batch(), if reading => self.take_batch(batch),
                found = self.pending.next() => self.on_found(found),
                Some((id, quiet)) = self.quiet.1.recv() => {
                    let decisions = self.core.answer_quiet(&id, quiet, now());
                    self.apply_decisions(decisions);
                }
                // what is due is due at another time now
                Ok(()) = self.clock.changed() => self.tick(),
                () = self.audit_timer.due(), if is_started => {
                    self.actions.audit(|| self.core.banned_tickets());
                    self.keep_bans();
                }
                () = self.actions.room(), if full => {
                    while let Some(request) = self.parked.pop_front() {
                        self.serve(request).await;
                    }
                }
                () = sleep_until(wake), if wake.is_some() => self.tick(),
            }
        }
    }

    pub(super) fn is_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
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
        due.into_iter().chain(self.intake.due()).min()
    }

    fn tick(&mut self) {
        if let Some(patterns) = self.intake.tick(Instant::now()) {
            let inbox = self.inbox.clone();
            tokio::task::spawn_blocking(move || {
                let paths = patterns
                    .iter()
                    .flat_map(|pattern| glob::find(&Disk, pattern).paths);
                let found = JailRequest::Logs(paths.collect());
                if let Some(inbox) = inbox.upgrade() {
                    // fails when the jail has ended meanwhile
                    let _ = inbox.blocking_send(found);
                }
            });
        }
        if self.is_started() && !self.idle {
            let decisions = self.core.due(now());
            self.apply_decisions(decisions);
        }
    }

    async fn serve(&mut self, request: JailRequest) {
        // an answer nobody waits for any more is dropped
        match request {
            JailRequest::Call(command, reply) => self.call(command, reply).await,
            JailRequest::Options(settings, reply) => {
                let _ = reply.send(self.set_all(settings, &mut PrefetchedLogs::default()).await);
            }
            JailRequest::Start(patterns, reply) => {
                if !patterns.is_empty() {
                    self.intake.logs().set_patterns(&patterns);
                }
                let _ = reply.send(self.start().await);
            }
            JailRequest::Logs(paths) => {
                let encoding = self.core.encoding().to_owned();
                let mut seeker = self.core.seeker(now());
                let logs = self.intake.logs();
                logs.found(paths, &encoding, &mut seeker).await;
            }
            JailRequest::Stop { .. } => {}
            JailRequest::Restored(restored) => self.restored.push(restored),
            JailRequest::Reload(phase, reply) => {
                self.reload(phase).await;
                let _ = reply.send(());
            }
            JailRequest::Forget(ids, reply) => {
                let count = self.forget_past(&ids).await;
                self.answer_when_written(count, reply);
            }
            JailRequest::Remote(exchange, changes, more, reply) => {
                self.remote(exchange, changes, more, reply);
            }
            JailRequest::BansOf(whose, reply) => {
                let _ = reply.send(self.core.bans_of(whose));
            }
            JailRequest::Unban(None, reply) => {
                let count = self.unban_all();
                self.answer_when_written(count, reply);
            }
            JailRequest::Unban(Some(ids), reply) => {
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
            JailRequest::UnbanResolved {
                ids,
                names,
                report_absent,
                reply,
            } => {
                let answer = self.unban_resolved(&ids, &names, report_absent);
                self.answer_when_written(answer, reply);
            }
        }
        self.show_modes();
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
