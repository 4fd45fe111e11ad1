//! Handles the commands of the server (facts 8.2). Commands about one jail are passed to that jail; those
//! that add, start, stop or reload jails run one at a time.

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::jails::ask_all;
use super::loggers::{LOG, TRANSMITTER};
use crate::address::Address;
use crate::control::listener::HandlerResponse;
use crate::control::{Command, CommandError, JailCommand, JailQuery, Reply, Value};
use crate::jail::{EventSubscription, FIGURES, FULL, Jail, JailContext, UnstartedJail};
use crate::python::text::quoted;
use crate::{COMPATIBLE_VERSION, VERSION, error, info, notice, warning};

/// Jails remembered as failed.
const MAX_FAILED: usize = 1000;

impl Server {
    /// Answers a request of a client (the listener logs what failed, fact P4).
    pub async fn request(self: Arc<Self>, words: Vec<Value>) -> HandlerResponse {
        match Command::parse(&words) {
            Ok(Command::Events(jails)) if !self.is_stopping() => match self.listen(jails) {
                Ok(events) => HandlerResponse::Events(events),
                Err(error) => HandlerResponse::Reply(Err(error)),
            },
            Ok(command) => {
                let reply = self.reply(command).await;
                HandlerResponse::Reply(if is_bundle(&words) {
                    reply.map(|_| true.into())
                } else {
                    reply
                })
            }
            Err(error) => HandlerResponse::Reply(Err(error)),
        }
    }

    /// Answers a request that came by the socket for `ferroban web`: what only asks, and with `write` what
    /// changes bans, too, when it says by whom.
    pub async fn limited_request(
        self: Arc<Self>,
        words: Vec<Value>,
        write: bool,
    ) -> HandlerResponse {
        let allowed = match Command::parse(&words) {
            Ok(Command::By { .. }) => write,
            Ok(command) => command.only_asks(),
            // refused in the usual way
            Err(_) => true,
        };
        match allowed {
            true => self.request(words).await,
            false => HandlerResponse::Reply(Err(CommandError::new("Not allowed by this socket"))),
        }
    }

    /// A jail that is not there has no events to wait for.
    fn listen(&self, jails: Vec<String>) -> Result<EventSubscription, CommandError> {
        for name in &jails {
            self.jails.get(name)?;
        }
        self.events.listen(jails)
    }

    async fn reply(&self, command: Command) -> Reply {
        match command {
            Command::Stop { keep } => {
                self.stop_and_wait(keep).await;
                Ok(Value::None)
            }
            _ if self.is_stopping() => Err(CommandError::new("SHUTDOWN")),
            Command::ServerStream(stream) => {
                let done = self.run_stream(stream).await;
                done.map(|()| Value::None).map_err(|e| e.error)
            }
            Command::Reload {
                jail,
                options,
                stream,
            } => self.reload(&jail, &options, stream).await,
            command => self.answer_alone(command).await,
        }
    }

    /// Commands that change the set of jails wait for each other.
    async fn answer_alone(&self, command: Command) -> Reply {
        match command {
            Command::Add { .. }
            | Command::StartJail { .. }
            | Command::StopJail(_)
            | Command::StopAllJails
            | Command::Set { .. } => {
                let _alone = self.changes.lock().await;
                self.answer(command).await
            }
            command => self.answer(command).await,
        }
    }

    /// Carries out a command other than `stop`, `reload` and `server-stream`.
    pub(super) async fn answer(&self, command: Command) -> Reply {
        Ok(match command {
            Command::Ping => "pong".into(),
            Command::Version => COMPATIBLE_VERSION.into(),
            Command::Echo(words) => Value::List(words),
            Command::ServerStatus => "Server ready".into(),
            Command::Status => Value::List(self.overview()),
            Command::StatusAll { flavour } => return self.status_all(&flavour).await,
            Command::Statistics => return self.status_all("stats").await,
            Command::Banned(ids) => self.banned(&ids).await,
            Command::BannedWithOrigins => self.banned_with_origins().await,
            Command::Fleet(question) => return self.ask_fleet(question).await,
            Command::CrowdsecStatus => return self.crowdsec_status(),
            Command::UnbanAll => self.unban_everywhere(None).await,
            Command::Unban(ids) => self.unban_everywhere(Some(ids)).await,
            Command::Forget(ids) => self.forget_past(ids).await,
            Command::FlushLogs => self.flush_logs().await.into(),
            Command::Sleep(seconds) => {
                let length = Duration::try_from_secs_f64(seconds).map_err(|_| {
                    CommandError::builtin("ValueError", "sleep length must be non-negative")
                })?;
                tokio::time::sleep(length).await;
                Value::None
            }
            Command::Add { jail, backend } => {
                self.add_jail(&jail, &backend)?;
                jail.into()
            }
            Command::StartJail { name, patterns } => {
                let started = self.jails.get(&name)?.start_with(patterns).await?;
                self.settle_inherited();
                started
            }
            Command::StopJail(name) => return self.stop_jail(&name).await,
            Command::StopAllJails => {
                self.stop_all_jails(false).await;
                Value::None
            }
            Command::ConfigError(text) => {
                error!(TRANSMITTER, "{text}");
                if let Some((name, why)) = failed_jail(&text) {
                    self.note_failed(name, why);
                }
                Value::None
            }
            Command::ConfigWarning(text) => {
                warning!(TRANSMITTER, "{text}");
                Value::None
            }
            Command::By {
                user,
                words,
                command,
            } => {
                let (user, words) = (Value::from(user).repr(), Value::List(words).repr());
                notice!(LOG, "By {user} of the web page: {words}");
                return Box::pin(self.answer(*command)).await;
            }
            Command::Set { option, value } => return self.set(option, value).await,
            Command::Get(option) => return self.get(option),
            Command::Jail { name, command } => return self.jails.get(&name)?.call(command).await,
            Command::Stop { .. }
            | Command::Reload { .. }
            | Command::ServerStream(_)
            | Command::Events(_) => {
                return Err(CommandError::new("Invalid command"));
            }
        })
    }

    /// Creates a jail that is not started yet.
    pub(super) fn add_jail(&self, name: &str, backend: &str) -> Result<(), CommandError> {
        self.prepare_jail(name, backend).map(UnstartedJail::launch)
    }

    /// As [`Server::add_jail`]; whoever asks for the jail has to wait until it is launched.
    pub(super) fn prepare_jail(
        &self,
        name: &str,
        backend: &str,
    ) -> Result<UnstartedJail, CommandError> {
        if self.jails.find(name).is_some() {
            return Err(CommandError::duplicate_jail(name));
        }
        let context = JailContext {
            sources: self.sources.clone(),
            store: self.store(),
            names: self.names.clone(),
            events: self.events.clone(),
            common: self.common.clone(),
            templates: self.templates.clone(),
            evidence: self.evidence.clone(),
            clock: self.clock.clone(),
            fleet: self.link.clone(),
            crowdsec: self.crowdsec_link.clone(),
        };
        let prepared = Jail::prepare(name, backend, context)?;
        self.jails.insert(prepared.jail().clone());
        Ok(prepared)
    }

    /// Stops a jail and removes it.
    pub(super) async fn stop_jail(&self, name: &str) -> Reply {
        let jail = self.jails.get(name)?;
        let stopped = jail.stop().await;
        self.forget(name);
        stopped.map(|_| Value::None)
    }

    /// Stops all jails side by side; with `keep` their bans stay in the firewall where that can be.
    pub(super) async fn stop_all_jails(&self, keep: bool) {
        info!(LOG, "Stopping all jails");
        let stop = |jail: Jail| async move {
            match keep {
                false => jail.stop().await,
                true => jail.leave().await,
            }
        };
        let stopped = ask_all(self.jails.all(), stop).await;
        for (jail, result) in stopped {
            if let Err(e) = result {
                error!(LOG, "Stop of jail {} failed: {e}", quoted(&jail.name));
            }
            self.forget(&jail.name);
        }
    }

    fn forget(&self, name: &str) {
        self.jails.remove(name);
        if let Some(store) = self.store() {
            store.disable_jail(name);
        }
    }

    /// Lifts bans in every jail; answers how many.
    pub(super) async fn unban_everywhere(&self, ids: Option<Vec<String>>) -> Value {
        let counts = ask_all(self.jails.all(), |jail| {
            let ids = ids.clone();
            async move { jail.unban(ids).await }
        });
        let total: usize = counts.await.into_iter().map(|(_, count)| count).sum();
        Value::Int(total as i64)
    }

    /// Remembers why a jail does not run, until a reload brings it up.
    pub(super) fn note_failed(&self, name: &str, why: &str) {
        let mut state = self.state();
        if state.failed.len() < MAX_FAILED {
            state.failed.insert(name.to_owned(), why.to_owned());
        }
    }

    /// Forgets failures and earlier bans in every jail; answers how many were known.
    async fn forget_past(&self, ids: Vec<String>) -> Value {
        let counts = ask_all(self.jails.all(), |jail| {
            let ids = ids.clone();
            async move { jail.forget(ids).await }
        });
        let total: usize = counts.await.into_iter().map(|(_, count)| count).sum();
        Value::Int(total as i64)
    }

    /// Number and names of the jails (fact P10).
    fn overview(&self) -> Vec<Value> {
        let names = self.jails.names();
        let pair = |key: &str, value: Value| Value::Tuple(vec![key.into(), value]);
        vec![
            pair("Number of jail", Value::Int(names.len() as i64)),
            pair("Jail list", names.join(", ").into()),
        ]
    }

    /// The state of every jail (facts P12–P14).
    async fn status_all(&self, flavour: &str) -> Reply {
        let states = ask_all(self.jails.sorted(), |jail| {
            let flavour = flavour.to_owned();
            async move { jail.call(JailCommand::Status { flavour }).await }
        });
        let mut by_name = Vec::new();
        for (jail, state) in states.await {
            by_name.push((jail.name.into(), state?));
        }
        if flavour == "stats" {
            return Ok(Value::Dict(by_name));
        }
        let mut status = self.overview();
        if [FULL, FIGURES].contains(&flavour) {
            let failed = self.state().failed.clone().into_iter();
            let failed = failed.map(|(name, why)| (name.into(), why.into()));
            let failed = Value::Dict(failed.collect());
            status.push(Value::Tuple(vec!["Failed jails".into(), failed]));
            let waiting = self.store().map_or(0, |store| store.waiting());
            let waiting = Value::Int(waiting as i64);
            status.push(Value::Tuple(vec![
                "Database requests waiting".into(),
                waiting,
            ]));
            if flavour == FIGURES {
                for (name, there) in [
                    ("Fleet", self.has_fleet()),
                    ("CrowdSec", self.has_crowdsec()),
                ] {
                    status.push(Value::Tuple(vec![name.into(), there.into()]));
                }
            }
            for (name, version) in [
                ("Fail2ban version", COMPATIBLE_VERSION),
                ("Ferroban version", VERSION),
            ] {
                status.push(Value::Tuple(vec![name.into(), version.into()]));
            }
        }
        status.push(Value::Dict(by_name));
        Ok(Value::List(status))
    }

    /// All bans by jail; beside those that this host did not decide on, who did.
    async fn banned_with_origins(&self) -> Value {
        let bans = ask_all(self.jails.all(), |jail| async move {
            let origins = jail.call(JailCommand::Get(JailQuery::Origins)).await;
            (jail.banned().await, origins)
        });
        let by_jail = bans.await.into_iter().map(|(jail, (ids, origins))| {
            let ids = ids.into_iter().map(Value::Ip).collect();
            let mut bans = vec![(jail.name.into(), Value::List(ids))];
            if let Ok(Value::Dict(origins)) = origins
                && !origins.is_empty()
            {
                bans.push(("origins".into(), Value::Dict(origins)));
            }
            Value::Dict(bans)
        });
        Value::List(by_jail.collect())
    }

    /// All bans by jail, or for each id the jails that hold it (facts P15, P16).
    async fn banned(&self, ids: &[String]) -> Value {
        let bans = ask_all(self.jails.all(), |jail| async move { jail.banned().await }).await;
        if ids.is_empty() {
            let by_jail = bans.into_iter().map(|(jail, ids)| {
                let ids = ids.into_iter().map(Value::Ip).collect();
                Value::Dict(vec![(jail.name.into(), Value::List(ids))])
            });
            return Value::List(by_jail.collect());
        }
        let refcounts = ids.iter().map(|id| {
            let id = Address::parse(id).to_string();
            let holding = bans.iter().filter(|(_, bans)| bans.contains(&id));
            Value::List(holding.map(|(jail, _)| jail.name.as_str().into()).collect())
        });
        Value::List(refcounts.collect())
    }
}

/// Whether a command sets many things at once: these answer True, not the new value (fact P53).
fn is_bundle(words: &[Value]) -> bool {
    let word = |at: usize| words.get(at).and_then(Value::as_str);
    word(0) == Some("multi-set")
        && matches!(word(2), Some("addfailregex" | "addignoreregex" | "action"))
}

/// Name and reason out of what the configuration says of a jail that cannot be used (fact C46).
pub(super) fn failed_jail(text: &str) -> Option<(&str, &str)> {
    let (name, why) = text
        .strip_prefix("Jail '")?
        .split_once("' skipped, because of wrong configuration: ")?;
    Some((name, why))
}
