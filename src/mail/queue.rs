//! The mail queue of one action, sent in the background: neither a slow registry nor a dead mail server delays
//! a ban.
//!
//! Too many mails are combined into one that lists them. So nothing is lost for want of room, the queue is
//! bounded, and neither a mailbox nor the log is flooded.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::digest::{self, Bundle, Written};
use super::rate_limit::{Pacing, Throttle};
use super::whois::Whois;
use super::{Mail, Sink, headers, smtp};
use crate::control::Value;
use crate::exec::process::{ExitOutcome, Invocation, ProcessOutput};
use crate::exec::script::Script;
use crate::exec::shell::{self, CommandLog};
use crate::sys::hosts::HostNames;
use crate::{debug, error, warning};

const TARGET: &str = "fail2ban.actions";

/// Mails of an action that may wait at the same time; more than that become one.
const APART: usize = 20;

/// The same for an action whose mails are put together anyway, with their texts.
const TOGETHER: usize = 500;

/// How long a mail waits for others that belong to the same burst.
const LINGER: Duration = Duration::from_secs(1);

/// How long a burst may go on until its mail is sent.
const LONGEST_BURST: Duration = Duration::from_secs(60);

/// When a mail that could not be sent is tried again.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// Time for the mails that still wait when the action stops: for a greeting that is delayed, not for a
/// server that hangs.
const LAST: Duration = Duration::from_secs(10);

/// A mail and what belongs to its command.
#[derive(Debug)]
pub struct MailJob {
    /// The mail.
    pub mail: Mail,
    /// The action, for messages.
    pub action: String,
    /// The command it stands for.
    pub script: Script,
    /// How long the sending program may run.
    pub timeout: Value,
    /// How often mails of the action go out.
    pub pacing: Pacing,
}

/// Handle to the task that sends a jail's mails.
#[derive(Debug)]
pub struct MailQueue {
    shared: Arc<MailQueueShared>,
    task: JoinHandle<()>,
}

impl MailQueue {
    /// Starts the task.
    pub fn spawn(jail: &str, names: HostNames, whois: Whois) -> MailQueue {
        let shared = Arc::new(MailQueueShared {
            jail: jail.to_owned(),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let sender = MailSender {
            shared: shared.clone(),
            names,
            whois,
            again: Vec::new(),
        };
        MailQueue {
            shared,
            task: tokio::spawn(sender.run()),
        }
    }

    /// Queues a mail.
    pub fn push(&self, job: MailJob) {
        let mut state = self.shared.state();
        if let Some(span) = job.pacing.throttle {
            let subject = job.mail.subject();
            let admitted = state
                .throttle
                .admits(&job.action, &subject, span, Instant::now());
            if !admitted {
                let (jail, action) = (&self.shared.jail, Value::from(job.action).repr());
                debug!(
                    TARGET,
                    "[{jail}] action {action}: mail throttled: {subject}"
                );
                return;
            }
        }
        state.left += 1;
        match state.lanes.iter_mut().find(|(name, _)| *name == job.action) {
            Some((_, lane)) => lane.push(job),
            None => state.lanes.push((job.action.clone(), MailLane::new(job))),
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Sends what still waits, each once more, and ends.
    pub async fn close(mut self) {
        self.end();
        if timeout(LAST, &mut self.task).await.is_err() {
            self.task.abort();
            let (jail, left) = (&self.shared.jail, self.shared.state().left);
            error!(
                TARGET,
                "[{jail}] {left} mails could not be sent in time and are lost"
            );
        }
    }

    fn end(&self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Drop for MailQueue {
    fn drop(&mut self) {
        self.end();
    }
}

/// What both sides see.
#[derive(Debug)]
struct MailQueueShared {
    jail: String,
    state: Mutex<MailQueueState>,
    /// There is something new in the state.
    changed: Notify,
}

impl MailQueueShared {
    fn state(&self) -> MutexGuard<'_, MailQueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct MailQueueState {
    throttle: Throttle,
    /// Mails that were not tried yet, by action, the longest waiting action first.
    lanes: Vec<(String, MailLane)>,
    /// Mails that are neither sent nor lost.
    left: usize,
    /// No more will come.
    closed: bool,
}

impl MailQueueState {
    /// When there is something to be sent.
    fn due(&self) -> Option<Instant> {
        self.lanes.iter().map(|(_, lane)| lane.due()).min()
    }

    fn take_due(&mut self) -> Option<MailLane> {
        let now = Instant::now();
        let at = self.lanes.iter().position(|(_, lane)| lane.due() <= now)?;
        Some(self.lanes.remove(at).1)
    }
}

/// Mails of one action that were not tried yet.
#[derive(Debug)]
struct MailLane {
    /// The first mail came.
    begun: Instant,
    /// The last one came.
    latest: Instant,
    jobs: Vec<MailJob>,
    /// In the place of the jobs when they are too many.
    burst: Option<Outgoing>,
    pacing: Pacing,
}

impl MailLane {
    fn new(job: MailJob) -> MailLane {
        let now = Instant::now();
        MailLane {
            begun: now,
            latest: now,
            pacing: job.pacing,
            jobs: vec![job],
            burst: None,
        }
    }

    fn push(&mut self, job: MailJob) {
        self.latest = Instant::now();
        if let Some(burst) = &mut self.burst {
            burst.bundle.add(job.mail.subject());
            return;
        }
        self.jobs.push(job);
        let room = match self.pacing.digest {
            Some(_) => TOGETHER,
            None => APART,
        };
        if self.jobs.len() <= room {
            return;
        }
        let mut jobs = std::mem::take(&mut self.jobs).into_iter();
        let Some(first) = jobs.next() else {
            return;
        };
        let mut bundle = Bundle::new((first.mail.sink().clone(), first.mail.opening()), 1);
        for job in jobs {
            bundle.add(job.mail.subject());
        }
        self.burst = Some(Outgoing::new(bundle, first));
    }

    fn due(&self) -> Instant {
        match (self.pacing.digest, &self.burst) {
            (Some(span), _) => self.begun + span,
            (None, Some(_)) => (self.latest + LINGER).min(self.begun + LONGEST_BURST),
            (None, None) => self.begun + LINGER,
        }
    }
}

/// A mail on its way.
#[derive(Debug)]
struct Outgoing {
    bundle: Bundle,
    /// As it is sent; written anew when others are added.
    written: Option<Written>,
    action: String,
    script: Script,
    timeout: Value,
}

impl Outgoing {
    /// `job` is one of those in the bundle.
    fn new(bundle: Bundle, job: MailJob) -> Outgoing {
        Outgoing {
            bundle,
            written: None,
            action: job.action,
            script: job.script,
            timeout: job.timeout,
        }
    }
}

/// What the task does next.
enum Next {
    New(MailLane),
    Again(usize, Outgoing),
}

/// The task.
struct MailSender {
    shared: Arc<MailQueueShared>,
    names: HostNames,
    whois: Whois,
    /// Mails to be tried again: when, how often they were tried, which.
    again: Vec<(Instant, usize, Outgoing)>,
}

impl MailSender {
    async fn run(mut self) {
        while let Some(next) = self.next().await {
            match next {
                Next::New(lane) => {
                    for mail in self.write(lane).await {
                        self.deliver(0, mail).await;
                    }
                }
                Next::Again(tries, mail) => self.deliver(tries, mail).await,
            }
        }
        // the jail stops: no time to wait for better times
        let mut lost: HashMap<String, usize> = HashMap::new();
        let again = std::mem::take(&mut self.again);
        let again = again.into_iter().map(|(_, _, mail)| mail);
        let mut last: Vec<Outgoing> = again.collect();
        let lanes = std::mem::take(&mut self.shared.state().lanes);
        for (_, lane) in lanes {
            last.extend(self.write(lane).await);
        }
        for mut mail in last {
            if !self.send(&mut mail).await {
                *lost.entry(mail.action).or_default() += mail.bundle.count();
            }
        }
        for (action, count) in lost {
            self.give_up(&action, count);
        }
    }

    /// Waits for the next thing to do; `None` when no new mails can come.
    async fn next(&mut self) -> Option<Next> {
        let shared = self.shared.clone();
        loop {
            let due = {
                let mut state = shared.state();
                if state.closed {
                    return None;
                }
                if let Some(lane) = state.take_due() {
                    return Some(Next::New(lane));
                }
                state.due()
            };
            let now = Instant::now();
            if let Some(at) = self.again.iter().position(|(time, ..)| *time <= now) {
                let (_, tries, mail) = self.again.remove(at);
                return Some(Next::Again(tries, mail));
            }
            let due = self.again.iter().map(|(time, ..)| *time).chain(due).min();
            tokio::select! {
                () = shared.changed.notified() => {}
                () = sleep_until(due.unwrap_or(now)), if due.is_some() => {}
            }
        }
    }

    /// Writes the mails of an action: one by one, put together, or listed where they are too many.
    async fn write(&self, lane: MailLane) -> Vec<Outgoing> {
        if let Some(burst) = lane.burst {
            return vec![burst];
        }
        let mut written = Vec::new();
        for job in lane.jobs {
            let mail = (job.mail.sink().clone(), job.mail.write(&self.whois).await);
            written.push((mail, job));
        }
        if lane.pacing.digest.is_none() {
            let single = |(mail, job)| Outgoing::new(Bundle::new(mail, 1), job);
            return written.into_iter().map(single).collect();
        }
        let count = written.len();
        let (mails, mut jobs): (Vec<Written>, Vec<MailJob>) = written.into_iter().unzip();
        match (digest::combine(mails), jobs.pop()) {
            (Some(mail), Some(job)) => vec![Outgoing::new(Bundle::new(mail, count), job)],
            _ => Vec::new(),
        }
    }

    /// Sends a mail, or keeps it for another try. Where many wait for that, it is listed with them:
    /// a server that is down is not asked about each.
    async fn deliver(&mut self, tries: usize, mut mail: Outgoing) {
        let of_action = |entry: &&mut (Instant, usize, Outgoing)| entry.2.action == mail.action;
        let waiting = self.again.iter_mut().filter(of_action);
        if tries == 0 && waiting.count() >= APART {
            let youngest = self.again.iter_mut().filter(of_action).min_by_key(|e| e.1);
            if let Some((_, _, other)) = youngest {
                other.written = None;
                other.bundle.absorb(mail.bundle);
                return;
            }
        }
        if self.send(&mut mail).await {
            return;
        }
        let count = mail.bundle.count();
        let Some(delay) = AGAIN.get(tries) else {
            self.give_up(&mail.action, count);
            return;
        };
        let (jail, action) = (&self.shared.jail, Value::from(mail.action.as_str()).repr());
        let what = match count {
            1 => "mail".to_owned(),
            count => format!("mail of {count}"),
        };
        let seconds = delay.as_secs();
        warning!(
            TARGET,
            "[{jail}] action {action}: {what} not sent, next try in {seconds} seconds"
        );
        self.again.push((Instant::now() + *delay, tries + 1, mail));
    }

    fn give_up(&self, action: &str, count: usize) {
        self.shared.state().left -= count;
        let (jail, action) = (&self.shared.jail, Value::from(action).repr());
        let lost = match count {
            1 => "mail could not be sent and is lost".to_owned(),
            count => format!("{count} mails could not be sent and are lost"),
        };
        error!(TARGET, "[{jail}] action {action}: {lost}");
    }

    /// Sends a mail; answers whether it is gone.
    async fn send(&self, mail: &mut Outgoing) -> bool {
        let written = mail.written.get_or_insert_with(|| {
            let (sink, text) = mail.bundle.written();
            // once, and not at each try: it is the same message
            let text = match &sink {
                Sink::Smtp { sender, .. } => {
                    headers::complete(&text, sender, &self.names.full, Utc::now())
                }
                Sink::Program { .. } => text,
            };
            (sink, text)
        });
        let (sink, text) = written;
        let (jail, action) = (&self.shared.jail, Value::from(mail.action.as_str()).repr());
        let sent = match sink {
            Sink::Program { arguments, .. } => {
                let report = CommandLog::new(&mail.script);
                run(arguments, text, &mail.timeout, &report).await
            }
            Sink::Smtp {
                server,
                sender,
                recipients,
            } => {
                let (server, sender) = (server.clone(), sender.clone());
                let (recipients, domain) = (recipients.clone(), self.names.full.clone());
                let text = text.clone();
                let sent = tokio::task::spawn_blocking(move || {
                    smtp::send(&server, &sender, &recipients, &text, &domain)
                });
                match sent.await {
                    Ok(Ok(())) => true,
                    Ok(Err(reason)) => {
                        error!(TARGET, "[{jail}] action {action}: {reason}");
                        false
                    }
                    Err(_) => false,
                }
            }
        };
        if !sent {
            return false;
        }
        let count = mail.bundle.count();
        self.shared.state().left -= count;
        if mail.bundle.lists() {
            warning!(
                TARGET,
                "[{jail}] action {action}: {count} mails were too many at once and went out as one"
            );
        }
        true
    }
}

/// Hands a mail to a program; answers whether it took it.
async fn run(arguments: &[String], text: &[u8], limit: &Value, report: &CommandLog<'_>) -> bool {
    let invocation = Invocation {
        input: Some(text),
        ..Invocation::new(arguments, shell::limit(limit))
    };
    let finished = match invocation.run().await {
        Ok(finished) => finished,
        // said as a shell says it; none is asked, it would write the mail anew
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let reason = format!("/bin/sh: 1: {}: not found", arguments[0]);
            ProcessOutput {
                pid: 0,
                ending: ExitOutcome::Code(127),
                timed_out: false,
                stdout: Vec::new(),
                stderr: reason.into_bytes(),
            }
        }
        Err(error) => {
            error!(
                "fail2ban.utils",
                "{} -- failed with {error}",
                arguments.join(" ")
            );
            return false;
        }
    };
    report.finished(&finished, limit, &[0]).success
}
