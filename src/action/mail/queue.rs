//! The mails of one jail, sent one after the other beside everything else: neither a slow registry
//! nor a dead mail server delays a ban.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Mail, Sink, smtp};
use crate::action::process::Invocation;
use crate::action::shell::{self, Report};
use crate::action::tags::{HostNames, Script};
use crate::control::Value;
use crate::{error, warning};

const TARGET: &str = "fail2ban.actions";

/// Mails that may wait.
const WAITING: usize = 500;

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

/// State of the task.
struct Sender {
    jail: String,
    names: HostNames,
    /// Mails to be tried again: when, how often they were tried, which.
    again: Vec<(Instant, usize, Job)>,
}

impl Sender {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let due = self.again.iter().map(|(time, ..)| *time).min();
            let job = tokio::select! {
                job = jobs.recv() => job.map(|job| (0, job)),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    match self.take_due() {
                        Some(next) => Some(next),
                        None => continue,
                    }
                }
            };
            let Some((tries, job)) = job else {
                break;
            };
            if !self.send(&job).await {
                self.put_back(tries, job);
            }
        }
        // the jail stops: no time to wait for better times
        for (_, _, job) in std::mem::take(&mut self.again) {
            if !self.send(&job).await {
                self.give_up(&job);
            }
        }
    }

    fn take_due(&mut self) -> Option<(usize, Job)> {
        let now = Instant::now();
        let at = self.again.iter().position(|(time, ..)| *time <= now)?;
        let (_, tries, job) = self.again.swap_remove(at);
        Some((tries, job))
    }

    fn put_back(&mut self, tries: usize, job: Job) {
        match AGAIN.get(tries) {
            Some(delay) if self.again.len() < WAITING => {
                let (jail, action) = (&self.jail, Value::from(job.action.as_str()).repr());
                let seconds = delay.as_secs();
                warning!(
                    TARGET,
                    "[{jail}] action {action}: mail not sent, next try in {seconds} seconds"
                );
                self.again.push((Instant::now() + *delay, tries + 1, job));
            }
            _ => self.give_up(&job),
        }
    }

    fn give_up(&self, job: &Job) {
        let (jail, action) = (&self.jail, Value::from(job.action.as_str()).repr());
        error!(
            TARGET,
            "[{jail}] action {action}: mail could not be sent and is lost"
        );
    }

    /// Writes a mail and sends it; answers whether it is gone.
    async fn send(&self, job: &Job) -> bool {
        let text = job.mail.write().await;
        match job.mail.sink() {
            Sink::Program { arguments, .. } => {
                let invocation = Invocation {
                    input: Some(&text),
                    ..Invocation::new(arguments, shell::limit(&job.timeout))
                };
                let report = Report::new(&job.script);
                match invocation.run().await {
                    Ok(finished) => report.finished(&finished, &job.timeout, &[0]).success,
                    // the shell says what it is that cannot be started, in the usual words
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        shell::run(&job.script, &job.timeout, &[0]).await.success
                    }
                    Err(error) => {
                        error!(
                            "fail2ban.utils",
                            "{} -- failed with {error}",
                            job.script.shown()
                        );
                        false
                    }
                }
            }
            Sink::Smtp {
                host,
                port,
                sender,
                recipients,
            } => {
                let (host, port, sender) = (host.clone(), *port, sender.clone());
                let (recipients, domain) = (recipients.clone(), self.names.full.clone());
                let sent = tokio::task::spawn_blocking(move || {
                    smtp::send(&host, port, &sender, &recipients, &text, &domain)
                });
                match sent.await {
                    Ok(Ok(())) => true,
                    Ok(Err(reason)) => {
                        let (jail, action) = (&self.jail, Value::from(job.action.as_str()).repr());
                        error!(TARGET, "[{jail}] action {action}: {reason}");
                        false
                    }
                    Err(_) => false,
                }
            }
        }
    }
}
