//! Applies a stream of commands: the configuration, as sent at start and reload (facts C57, C58, P54, P64).
//!
//! The original gives up at an error in the middle: at start no jail runs, at a reload all jails that were
//! not reached yet are stopped (sharp edges 1 and 2). Here a failing command affects its own jail only: a
//! new jail is dropped, a reloaded one keeps its settings, and all others are applied. The first error is
//! still the answer.

use indexmap::IndexMap;

use super::commands::failed_jail;
use super::loggers::{LOG, TRANSMITTER};
use super::{Server, notify};
use crate::control::{Command, CommandError, JailCommand, JailSetting, Reply, Value};
use crate::jail::{PrefetchedLogs, RefusedSetting, UnstartedJail};
use crate::python::text::quoted;
use crate::{debug, error, info};

mod new_jails;
mod restarts;

/// How far a jail has come in a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReloadProgress {
    /// Runs with its old settings removed; not named yet.
    Reset,
    /// Named (`add`), being set.
    Configuring,
    /// Started again.
    Applied,
}

/// What went wrong in a stream.
#[derive(Debug)]
pub(super) struct StreamError {
    /// The first error.
    pub(super) error: CommandError,
    /// A setting of the server itself failed: the rest of the stream was not carried out.
    pub(super) fatal: bool,
    /// What was said of each jail that was dropped.
    pub(super) dropped: Vec<String>,
}

/// A stream under way.
struct StreamApplier<'s> {
    server: &'s Server,
    reloading: IndexMap<String, ReloadProgress>,
    /// Jails this stream created and has not started yet.
    unfinished: Vec<String>,
    /// Those of them whose tasks do not run yet.
    prepared: IndexMap<String, UnstartedJail>,
    /// Logs that new jails will have, by jail and path.
    logs: Vec<(String, String)>,
    /// What they look like.
    prefetched: PrefetchedLogs,
    /// Jails to be started, with the words that say so: all that come one after the other start
    /// side by side.
    starts: Vec<(String, Vec<String>, Value)>,
    /// Jails whose further commands are skipped.
    broken: IndexMap<String, CommandError>,
    /// Running jails that would have to be stopped for another backend, and then be refused: why.
    doomed: IndexMap<String, CommandError>,
    first: Option<CommandError>,
}

impl Server {
    /// The config stream at start; nothing is answered in between.
    ///
    /// # Errors
    /// The first command that failed; the jails it did not concern run.
    pub(super) async fn run_stream(&self, stream: Vec<Value>) -> Result<(), StreamError> {
        let _alone = self.changes.lock().await;
        // a server that waits for its configuration has none yet
        let is_configuration = !stream.is_empty();
        let mut run = StreamApplier::new(self);
        if let Err(error) = run.carry_out(stream, true).await {
            return Err(StreamError {
                error,
                fatal: true,
                dropped: Vec::new(),
            });
        }
        let dropped = run.finish().await;
        self.settle_inherited();
        if is_configuration {
            self.warn_of_no_jail();
        }
        match run.first {
            None => Ok(()),
            Some(error) => Err(StreamError {
                error,
                fatal: false,
                dropped,
            }),
        }
    }

    /// `reload JAIL|--all [options] [stream]`
    pub(super) async fn reload(&self, name: &str, options: &[String], stream: Vec<Value>) -> Reply {
        let _alone = self.changes.lock().await;
        let _told = Reloading::begin();
        let all = name == "--all";
        if all {
            info!(LOG, "Reload all jails");
        } else {
            info!(LOG, "Reload jail {name}");
        }
        if all {
            self.mark_parts();
            self.mark_web();
        }
        let mut run = StreamApplier::new(self);
        if let Err(error) = run.begin(name, all, options).await {
            info!(LOG, "Reload finished.");
            return Err(error);
        }
        // a setting of the server that fails is no reason to leave the jails without settings
        let _ = run.carry_out(stream, false).await;
        run.finish().await;
        self.settle_inherited();
        if all {
            self.end_marked_parts();
            self.end_marked_web();
        }
        info!(LOG, "Reload finished.");
        self.warn_of_no_jail();
        match run.first {
            None => Ok("OK".into()),
            Some(error) => Err(error),
        }
    }
}

/// Tells systemd of a reload, and of its end.
struct Reloading;

impl Reloading {
    fn begin() -> Reloading {
        notify::reloading();
        Reloading
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        notify::ready();
    }
}

impl<'s> StreamApplier<'s> {
    fn new(server: &'s Server) -> StreamApplier<'s> {
        StreamApplier {
            server,
            reloading: IndexMap::new(),
            unfinished: Vec::new(),
            prepared: IndexMap::new(),
            logs: Vec::new(),
            prefetched: PrefetchedLogs::default(),
            starts: Vec::new(),
            broken: IndexMap::new(),
            doomed: IndexMap::new(),
            first: None,
        }
    }

    /// Unbans or stops where the options say so, then puts the jails concerned into reload.
    async fn begin(
        &mut self,
        name: &str,
        all: bool,
        options: &[String],
    ) -> Result<(), CommandError> {
        let server = self.server;
        let wanted = |option: &str| options.iter().any(|given| given == option);
        if all {
            server.state().failed.clear();
            server.names.clear();
            if wanted("--unban") {
                server.unban_everywhere(None).await;
            }
            if wanted("--restart") {
                server.stop_all_jails(false).await;
            }
        } else {
            let jail = match server.jails.find(name) {
                None if wanted("--if-exists") => return Ok(()),
                None => return Err(CommandError::unknown_jail(name)),
                Some(jail) => jail,
            };
            if wanted("--unban") {
                jail.unban(None).await;
            }
            if wanted("--restart") {
                server.stop_jail(name).await?;
            }
        }
        for jail in server.jails.all() {
            if all || jail.name == name {
                jail.reload_begin().await;
                self.reloading.insert(jail.name, ReloadProgress::Reset);
            }
        }
        Ok(())
    }

    /// Carries out the commands in order. `strict`: the first error that concerns no jail ends it.
    async fn carry_out(&mut self, stream: Vec<Value>, strict: bool) -> Result<(), CommandError> {
        let stream: Vec<_> = (stream.into_iter())
            .map(|words| (Command::from_value(&words), words))
            .collect();
        self.logs = self.logs_to_come(&stream);
        self.doomed = restarts::to_fail(self.server, &stream).await;
        let mut stream = stream.into_iter().peekable();
        while let Some((command, words)) = stream.next() {
            if self.server.is_stopping() {
                let stopped = CommandError::new("Server is shutting down");
                self.first.get_or_insert(stopped);
                self.starts.clear();
                break;
            }
            let jail = match &command {
                Ok(command) => jail_of(command).map(str::to_owned),
                // the command could not be read; whom it was for can be
                Err(_) => words
                    .as_slice()
                    .and_then(|words| words.get(1))
                    .and_then(Value::as_str)
                    .filter(|name| self.server.jails.find(name).is_some())
                    .map(str::to_owned),
            };
            if let Some(jail) = &jail
                && self.broken.contains_key(jail)
            {
                continue;
            }
            if !matches!(command, Ok(Command::StartJail { .. })) {
                self.start_jails().await;
            }
            let may_fail = matches!(&command, Ok(command) if is_optional(command));
            let result = match command {
                Ok(Command::StartJail { name, patterns }) => {
                    self.starts.push((name, patterns, words));
                    continue;
                }
                Ok(command) => match option_of(command) {
                    Ok((name, option)) => {
                        let mut options = vec![option];
                        let mut said = vec![words];
                        // those that follow for the same jail take the same way to its task
                        let mut next = || stream.next_if(|(next, _)| is_option_of(next, &name));
                        while let Some((Ok(command), words)) = next() {
                            options.extend(option_of(command).ok().map(|(_, option)| option));
                            said.push(words);
                        }
                        self.set_options(&name, options, &said).await;
                        continue;
                    }
                    Err(command) => self.step(*command).await,
                },
                Err(e) => Err(e),
            };
            if let Err(e) = result
                && let Some(e) = self.note(&words, jail, may_fail, e)
                && strict
            {
                self.abandon().await;
                return Err(e);
            }
        }
        self.start_jails().await;
        Ok(())
    }

    /// Sets options of one jail, of which `said` holds the words.
    async fn set_options(&mut self, name: &str, mut options: Vec<JailSetting>, mut said: &[Value]) {
        self.look_at_logs().await;
        while !options.is_empty() && !self.broken.contains_key(name) {
            let optional: Vec<bool> = options.iter().map(is_optional_setting).collect();
            let set = match (self.prepared.get_mut(name), self.server.jails.get(name)) {
                (Some(jail), _) => jail.set_all(options, &mut self.prefetched).await,
                (None, Ok(jail)) => jail.set_all(options).await,
                (None, Err(error)) => Err(RefusedSetting {
                    done: 0,
                    error,
                    rest: options.split_off(1),
                }),
            };
            let Err(refusal) = set else { return };
            let (words, may_fail) = (&said[refusal.done], optional[refusal.done]);
            self.note(words, Some(name.to_owned()), may_fail, refusal.error);
            said = &said[refusal.done + 1..];
            options = refusal.rest;
        }
    }

    /// Logs a failed command and remembers whom it concerns; gives the error back if that is no jail.
    fn note(
        &mut self,
        words: &Value,
        jail: Option<String>,
        may_fail: bool,
        e: CommandError,
    ) -> Option<CommandError> {
        error!(
            TRANSMITTER,
            "Command {} has failed. Received {}",
            words.repr(),
            e.repr()
        );
        self.first.get_or_insert(e.clone());
        match jail {
            Some(_) if may_fail => None,
            Some(jail) => {
                self.broken.insert(jail, e);
                None
            }
            None => Some(e),
        }
    }

    async fn step(&mut self, command: Command) -> Reply {
        let server = self.server;
        let command = match command {
            Command::Add { jail, backend } => return self.add(&jail, &backend).await,
            Command::Jail {
                name,
                command: JailCommand::Set(setting),
            } => {
                // a Python file may take its time, for which no other jail shall be silent
                if let JailSetting::AddAction {
                    python: Some(_), ..
                } = setting
                {
                    self.launch();
                }
                let setting = match self.prepared.get_mut(&name) {
                    Some(jail) => match jail.set_action(setting).await {
                        Ok(reply) => return reply,
                        Err(setting) => setting,
                    },
                    None => setting,
                };
                let command = JailCommand::Set(setting);
                Command::Jail { name, command }
            }
            command => command,
        };
        self.launch();
        match command {
            Command::ConfigError(text) => {
                self.keep_unreadable(&text);
                server.answer(Command::ConfigError(text)).await
            }
            Command::StopJail(name) => server.stop_jail(&name).await,
            Command::StopAllJails => {
                server.stop_all_jails(false).await;
                Ok(Value::None)
            }
            // a stream in a stream would wait for itself
            Command::Reload { .. }
            | Command::ServerStream(_)
            | Command::Stop { .. }
            | Command::Events(_) => Err(CommandError::new("Invalid command")),
            command => server.answer(command).await,
        }
    }

    /// A jail that runs is not to be stopped because the client cannot read its configuration now.
    fn keep_unreadable(&mut self, text: &str) {
        if let Some((name, why)) = failed_jail(text)
            && self.reloading.get(name) == Some(&ReloadProgress::Reset)
        {
            self.broken.insert(name.to_owned(), CommandError::new(why));
        }
    }

    async fn add(&mut self, name: &str, backend: &str) -> Reply {
        let server = self.server;
        let running = server.jails.find(name);
        if let (Some(ReloadProgress::Reset), Some(jail)) = (self.reloading.get(name), &running) {
            if jail.backend == backend {
                info!(LOG, "Reload jail {}", quoted(name));
                self.reloading
                    .insert(name.to_owned(), ReloadProgress::Configuring);
                if let Some(store) = server.store() {
                    store.add_jail(name);
                }
                return Ok(name.into());
            }
            if let Some(why) = self.doomed.shift_remove(name) {
                return Err(why);
            }
            info!(
                LOG,
                "Restart jail {} (reason: {} != {})",
                quoted(name),
                quoted(&jail.backend),
                quoted(backend)
            );
            self.reloading.shift_remove(name);
            server.stop_jail(name).await?;
        }
        server.state().failed.shift_remove(name);
        let prepared = server
            .prepare_jail(name, backend)
            .inspect_err(|why| server.note_failed(name, &why.to_string()))?;
        self.prepared.insert(name.to_owned(), prepared);
        self.unfinished.push(name.to_owned());
        Ok(name.into())
    }

    /// The end: reloaded jails go on, those not named again or never started are stopped. Answers
    /// what was said of the broken ones.
    async fn finish(&mut self) -> Vec<String> {
        self.launch();
        let mut said = Vec::new();
        let mut say = |text: String| {
            error!(TRANSMITTER, "{text}");
            said.push(text);
        };
        for (name, phase) in std::mem::take(&mut self.reloading) {
            let Some(jail) = self.server.jails.find(&name) else {
                continue;
            };
            if let Some(why) = self.broken.get(&name) {
                say(format!(
                    "Jail {} keeps its former settings, because of wrong configuration: {why}",
                    quoted(&name)
                ));
                jail.reload_abort().await;
                self.server.state().failed.shift_remove(&name);
            } else if phase == ReloadProgress::Applied {
                jail.reload_end().await;
            } else {
                drop_jail(self.server, &name).await;
            }
        }
        for name in std::mem::take(&mut self.unfinished) {
            if let Some(why) = self.broken.get(&name) {
                say(format!(
                    "Jail {} skipped, because of wrong configuration: {why}",
                    quoted(&name)
                ));
                self.server.note_failed(&name, &why.to_string());
                drop_jail(self.server, &name).await;
            }
        }
        said
    }

    /// Removes what the stream has made so far.
    async fn abandon(&mut self) {
        self.launch();
        for name in std::mem::take(&mut self.unfinished) {
            drop_jail(self.server, &name).await;
        }
    }
}

async fn drop_jail(server: &Server, name: &str) {
    if let Err(e) = server.stop_jail(name).await {
        debug!(LOG, "Stop of jail '{name}' failed: {e}");
    }
}

/// The jail a command is about.
fn jail_of(command: &Command) -> Option<&str> {
    match command {
        Command::Add { jail, .. } => Some(jail),
        Command::StartJail { name, .. } | Command::StopJail(name) | Command::Jail { name, .. } => {
            Some(name)
        }
        _ => None,
    }
}

/// The jail and the option a command sets; else the command again.
fn option_of(command: Command) -> Result<(String, JailSetting), Box<Command>> {
    match command {
        Command::Jail {
            name,
            command: JailCommand::Set(setting),
        } if setting.is_option() => Ok((name, setting)),
        command => Err(Box::new(command)),
    }
}

/// Whether the command sets an option of this jail.
fn is_option_of(command: &Result<Command, CommandError>, jail: &str) -> bool {
    matches!(
        command,
        Ok(Command::Jail { name, command: JailCommand::Set(setting) })
            if name == jail && setting.is_option()
    )
}

/// Whether a jail is worth running although this failed.
fn is_optional(command: &Command) -> bool {
    matches!(
        command,
        Command::Jail { command: JailCommand::Set(setting), .. } if is_optional_setting(setting)
    )
}

/// One of a jail's logs has gone meanwhile: it has others.
fn is_optional_setting(setting: &JailSetting) -> bool {
    matches!(setting, JailSetting::AddLogPath { .. })
}
