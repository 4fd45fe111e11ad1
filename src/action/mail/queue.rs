//! The mails of one jail, sent one after the other beside everything else: neither a slow registry
//! nor a dead mail server delays a ban.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::digest::{self, Written};
use super::pacing::{Pacing, Throttle};
use super::{Mail, Sink, headers, smtp};
use crate::action::process::{Ending, Finished, Invocation};
use crate::action::shell::{self, Report};
use crate::action::tags::{HostNames, Script};
use crate::control::Value;
use crate::{debug, error, warning};

const TARGET: &str = "fail2ban.actions";

/// Mails that may wait.
const WAITING: usize = 2000;

/// Mails of one digest; what is beyond goes into the next.
const TOGETHER: usize = 500;

/// When a mail that could not be sent is tried again.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// Time for the mails that still wait when a jail stops.
const LAST: Duration = Duration::from_secs(30);

/// A mail and what belongs to its command.
#[derive(Debug)]
pub struct Job {
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
pub struct Queue {
    jail: String,
    jobs: mpsc::Sender<Job>,
    task: JoinHandle<()>,
}

impl Queue {
    /// Starts the task.
    pub fn spawn(jail: &str, names: HostNames) -> Queue {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let sender = Sender {
            jail: jail.to_owned(),
            names,
            throttle: Throttle::default(),
            held: HashMap::new(),
            again: Vec::new(),
        };
        Queue {
            jail: jail.to_owned(),
            jobs,
            task: tokio::spawn(sender.run(waiting)),
        }
    }

    /// Queues a mail; answers whether there was room.
    pub fn push(&self, job: Job) -> bool {
        match self.jobs.try_send(job) {
            Ok(()) => true,
            Err(error) => {
                let job = error.into_inner();
                let (jail, action) = (&self.jail, Value::from(job.action).repr());
                error!(
                    TARGET,
                    "[{jail}] action {action}: {WAITING} mails wait already, this one is lost"
                );
                false
            }
        }
    }

    /// Sends what still waits, each once more, and ends.
    pub async fn close(self) {
        drop(self.jobs);
        let mut task = self.task;
        if timeout(LAST, &mut task).await.is_err() {
            task.abort();
            error!(
                TARGET,
                "[{}] mails that could not be sent in time are lost", self.jail
            );
        }
    }
}

/// A written mail on its way.
#[derive(Debug)]
struct Outgoing {
    sink: Sink,
    text: Vec<u8>,
    action: String,
    script: Script,
    timeout: Value,
}

/// Mails of an action that wait for their digest.
#[derive(Debug)]
struct Held {
    due: Instant,
    jobs: Vec<Job>,
}

/// What the task does next.
enum Next {
    New(Job),
    Digest(Vec<Job>),
    Again(usize, Outgoing),
}

/// State of the task.
struct Sender {
    jail: String,
    names: HostNames,
    throttle: Throttle,
    /// By action.
    held: HashMap<String, Held>,
    /// Mails to be tried again: when, how often they were tried, which.
    again: Vec<(Instant, usize, Outgoing)>,
}

impl Sender {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(next) = self.next(&mut jobs).await {
            match next {
                Next::New(job) => match job.pacing.digest {
                    Some(span) => {
                        if let Some(full) = self.hold(job, span) {
                            self.send_together(full).await;
                        }
                    }
                    None => self.send_together(vec![job]).await,
                },
                Next::Digest(jobs) => self.send_together(jobs).await,
                Next::Again(tries, mail) => {
                    if !self.send(&mail).await {
                        self.put_back(tries, mail);
                    }
                }
            }
        }
        // the jail stops: no time to wait for better times
        for (_, held) in std::mem::take(&mut self.held) {
            self.send_together(held.jobs).await;
        }
        for (_, _, mail) in std::mem::take(&mut self.again) {
            if !self.send(&mail).await {
                self.give_up(&mail.action);
            }
        }
    }

    /// Waits for the next thing to do; `None` when no new mails can come.
    async fn next(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Option<Next> {
        loop {
            let digests = self.held.values().map(|held| held.due);
            let due = self
                .again
                .iter()
                .map(|(time, ..)| *time)
                .chain(digests)
                .min();
            tokio::select! {
                job = jobs.recv() => return job.map(Next::New),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some(next) = self.take_due() {
                        return Some(next);
                    }
                }
            }
        }
    }

    fn take_due(&mut self) -> Option<Next> {
        let now = Instant::now();
        if let Some(at) = self.again.iter().position(|(time, ..)| *time <= now) {
            let (_, tries, mail) = self.again.swap_remove(at);
            return Some(Next::Again(tries, mail));
        }
        let held = self.held.iter().find(|(_, held)| held.due <= now)?;
        let action = held.0.clone();
        let held = self.held.remove(&action)?;
        Some(Next::Digest(held.jobs))
    }

    /// Keeps a mail for the digest of its action; answers them all when there are enough.
    fn hold(&mut self, job: Job, span: Duration) -> Option<Vec<Job>> {
        let action = job.action.clone();
        let held = self.held.entry(action.clone()).or_insert_with(|| Held {
            due: Instant::now() + span,
            jobs: Vec::new(),
        });
        held.jobs.push(job);
        match held.jobs.len() >= TOGETHER {
            true => self.held.remove(&action).map(|held| held.jobs),
            false => None,
        }
    }

    /// Writes mails of one action, puts them together and sends them as one.
    async fn send_together(&mut self, jobs: Vec<Job>) {
        let mut written: Vec<Written> = Vec::new();
        let mut last = None;
        for job in jobs {
            let text = job.mail.write().await;
            let sink = job.mail.sink().clone();
            if let Some(span) = job.pacing.throttle {
                let subject = digest::subject(&sink, &text);
                let now = Instant::now();
                if !self.throttle.admits(&job.action, &subject, span, now) {
                    let (jail, action) = (&self.jail, Value::from(job.action).repr());
                    debug!(
                        TARGET,
                        "[{jail}] action {action}: mail throttled: {subject}"
                    );
                    continue;
                }
            }
            written.push((sink, text));
            last = Some(job);
        }
        let (Some(job), Some((sink, text))) = (last, digest::combine(written)) else {
            return;
        };
        // once, and not at each try: it is the same message
        let text = match &sink {
            Sink::Smtp { sender, .. } => {
                headers::complete(&text, sender, &self.names.full, Utc::now())
            }
            Sink::Program { .. } => text,
        };
        let mail = Outgoing {
            sink,
            text,
            action: job.action,
            script: job.script,
            timeout: job.timeout,
        };
        if !self.send(&mail).await {
            self.put_back(0, mail);
        }
    }

    fn put_back(&mut self, tries: usize, mail: Outgoing) {
        match AGAIN.get(tries) {
            Some(delay) if self.again.len() < WAITING => {
                let (jail, action) = (&self.jail, Value::from(mail.action.as_str()).repr());
                let seconds = delay.as_secs();
                warning!(
                    TARGET,
                    "[{jail}] action {action}: mail not sent, next try in {seconds} seconds"
                );
                self.again.push((Instant::now() + *delay, tries + 1, mail));
            }
            _ => self.give_up(&mail.action),
        }
    }

    fn give_up(&self, action: &str) {
        let (jail, action) = (&self.jail, Value::from(action).repr());
        error!(
            TARGET,
            "[{jail}] action {action}: mail could not be sent and is lost"
        );
    }

    /// Sends a mail; answers whether it is gone.
    async fn send(&self, mail: &Outgoing) -> bool {
        match &mail.sink {
            Sink::Program { arguments, .. } => {
                let invocation = Invocation {
                    input: Some(&mail.text),
                    ..Invocation::new(arguments, shell::limit(&mail.timeout))
                };
                let report = Report::new(&mail.script);
                match invocation.run().await {
                    Ok(finished) => report.finished(&finished, &mail.timeout, &[0]).success,
                    // said as a shell says it; none is asked, it would write the mail anew
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let reason = format!("/bin/sh: 1: {}: not found", arguments[0]);
                        let missing = Finished {
                            pid: 0,
                            ending: Ending::Code(127),
                            timed_out: false,
                            stdout: Vec::new(),
                            stderr: reason.into_bytes(),
                        };
                        report.finished(&missing, &mail.timeout, &[0]).success
                    }
                    Err(error) => {
                        error!(
                            "fail2ban.utils",
                            "{} -- failed with {error}",
                            mail.script.shown()
                        );
                        false
                    }
                }
            }
            Sink::Smtp {
                server,
                sender,
                recipients,
            } => {
                let (server, sender) = (server.clone(), sender.clone());
                let (recipients, domain) = (recipients.clone(), self.names.full.clone());
                let text = mail.text.clone();
                let sent = tokio::task::spawn_blocking(move || {
                    smtp::send(&server, &sender, &recipients, &text, &domain)
                });
                match sent.await {
                    Ok(Ok(())) => true,
                    Ok(Err(reason)) => {
                        let (jail, action) = (&self.jail, Value::from(mail.action.as_str()).repr());
                        error!(TARGET, "[{jail}] action {action}: {reason}");
                        false
                    }
                    Err(_) => false,
                }
            }
        }
    }
}
