//! The jails that a stream creates: set up before their tasks run, and started concurrently, because doing
//! one after the other would be most of the time of a start.

use super::{ReloadProgress, StreamApplier};
use crate::control::{Command, CommandError, JailCommand, JailSetting, Value};
use crate::info;
use crate::jail::{Jail, PrefetchedLogs, Starting};
use crate::python::text::quoted;
use crate::server::loggers::LOG;

/// The start of a jail.
enum JailStart {
    /// One that did not run.
    New(Starting),
    /// One that runs, and the patterns of its logs.
    Again(Jail, Vec<String>),
}

impl StreamApplier<'_> {
    /// Has the new jails run that were only set up so far.
    pub(super) fn launch(&mut self) {
        for (_, jail) in self.prepared.drain(..) {
            jail.launch();
        }
    }

    /// The logs of the jails a stream creates, by jail and path. Where a jail of that name is running,
    /// it may read on until it is stopped.
    pub(super) fn logs_to_come(
        &self,
        stream: &[(Result<Command, CommandError>, Value)],
    ) -> Vec<(String, String)> {
        let logs = stream.iter().filter_map(|(command, _)| match command {
            Ok(Command::Jail {
                name,
                command: JailCommand::Set(JailSetting::AddLogPath { path, .. }),
            }) if self.server.jails.find(name).is_none() => Some((name.clone(), path.clone())),
            _ => None,
        });
        logs.collect()
    }

    /// Looks at all logs that are to come, once; by now the database is open.
    pub(super) async fn look_at_logs(&mut self) {
        let logs = std::mem::take(&mut self.logs);
        if !logs.is_empty() {
            self.prefetched = PrefetchedLogs::at(logs, self.server.store().as_ref()).await;
        }
    }

    /// Starts the jails whose turn it is: new ones side by side, with the same lines in the log as
    /// one after the other.
    pub(super) async fn start_jails(&mut self) {
        if self.starts.is_empty() {
            return;
        }
        self.launch();
        let mut begun = Vec::new();
        for (name, patterns, words) in std::mem::take(&mut self.starts) {
            let jail = self.server.jails.get(&name);
            let start = match jail {
                Ok(jail) if !jail.is_started() => {
                    jail.begin_start(patterns).await.map(JailStart::New)
                }
                Ok(jail) => Ok(JailStart::Again(jail, patterns)),
                Err(error) => Err(error),
            };
            begun.push((name, start, words));
        }
        for (name, start, words) in begun {
            let started = match start {
                Ok(JailStart::New(start)) => start.end().await,
                Ok(JailStart::Again(jail, patterns)) => {
                    if let Some(phase) = self.reloading.get_mut(&name) {
                        *phase = ReloadProgress::Applied;
                        info!(LOG, "Jail {} reloaded", quoted(&name));
                    }
                    jail.start_with(patterns).await
                }
                Err(error) => Err(error),
            };
            match started {
                Ok(_) => self.unfinished.retain(|unfinished| *unfinished != name),
                Err(error) => {
                    self.note(&words, Some(name), false, error);
                }
            }
        }
    }
}
