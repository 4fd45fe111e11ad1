//! Handles the commands for one jail: `get`, `set` and `status`. Runs in the task of the jail.

use tokio::sync::oneshot;

use super::log_fingerprint::PrefetchedLogs;
use super::status::{READ, StatusSection, add_rows};
use super::task::JailTask;
use super::{FIGURES, FULL, RefusedSetting};
use crate::action::Order;
use crate::clock::now;
use crate::control::{CommandError, JailCommand, JailQuery, JailSetting, Reply, Value};
use crate::options::jail::SIMULATE;
use crate::{debug, warning};

impl JailTask {
    /// Carries a command out and answers it, at once or when what it asks for has been done.
    pub(super) async fn call(&mut self, command: JailCommand, reply: oneshot::Sender<Reply>) {
        let answer = match command {
            JailCommand::Status { flavour } => Ok(self.status(&flavour)),
            JailCommand::Get(query) => Ok(match &query {
                JailQuery::Option(name) if name == "logpath" => self.intake.logs().paths().into(),
                JailQuery::Option(name) if name == "journalmatch" => self.intake.matches(),
                query => self.core.get(query).unwrap_or(Value::None),
            }),
            JailCommand::Set(JailSetting::Attempt(words)) => match words.split_first() {
                Some((id, lines)) => return self.attempt(id, lines.to_vec(), reply),
                None => Err(CommandError::builtin(
                    "TypeError",
                    "Filter.addAttempt() missing 1 required positional argument: 'ip'",
                )),
            },
            JailCommand::Set(JailSetting::BanIp(ban)) => {
                let answer = self.manual_ban(&ban).await;
                return self.answer_when_written(answer, reply);
            }
            JailCommand::Set(JailSetting::UnbanIp { ids, report_absent }) => {
                return self.unban(ids, report_absent, reply);
            }
            JailCommand::Set(JailSetting::DelAction(name)) => {
                let bans = self.core.banned_tickets();
                return self.actions.send(Order::Remove { name, bans, reply });
            }
            JailCommand::Set(setting) => self.set(setting, &mut PrefetchedLogs::default()).await,
        };
        let _ = reply.send(answer);
    }

    /// Options one after the other, up to the first that is refused; of some logs is known already
    /// what they look like.
    pub(super) async fn set_all(
        &mut self,
        settings: Vec<JailSetting>,
        prefetched: &mut PrefetchedLogs,
    ) -> Result<(), RefusedSetting> {
        let mut rest = settings.into_iter();
        let mut done = 0;
        while let Some(setting) = rest.next() {
            if let Err(error) = self.set(setting, prefetched).await {
                let rest = rest.collect();
                return Err(RefusedSetting { done, error, rest });
            }
            done += 1;
        }
        Ok(())
    }

    async fn set(&mut self, setting: JailSetting, prefetched: &mut PrefetchedLogs) -> Reply {
        match setting {
            JailSetting::Idle(word) => {
                let was_idle = self.idle;
                self.idle = match word.as_str() {
                    "on" => true,
                    "off" => false,
                    _ => {
                        return Err(CommandError::new(
                            "Invalid idle option, must be 'on' or 'off'",
                        ));
                    }
                };
                let what = if self.idle { "enter" } else { "leave" };
                debug!("fail2ban.actions", "Actions: {what} idle mode");
                // an idle jail has heard nothing of other hosts
                self.starting |= was_idle && !self.idle;
                self.judge_pending();
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
                let state = prefetched.take(self.core.name(), &path);
                let mut seeker = self.core.seeker(now());
                let logs = self.intake.logs();
                logs.add(&path, state, tail, &encoding, &mut seeker).await?;
                Ok(logs.paths().into())
            }
            JailSetting::DelLogPath(path) => {
                let logs = self.intake.logs();
                logs.remove(&path);
                Ok(logs.paths().into())
            }
            JailSetting::AddJournalMatch(words) => {
                self.intake.add_match(&words)?;
                Ok(self.intake.matches())
            }
            JailSetting::DelJournalMatch(words) => {
                self.intake.remove_match(&words)?;
                Ok(self.intake.matches())
            }
            // there is a way from the one to the other only where the actions change too
            JailSetting::Set { option, .. }
                if option == SIMULATE && self.is_started() && self.before_reload.is_none() =>
            {
                Err(CommandError::builtin(
                    "ValueError",
                    "simulate cannot be set while the jail runs: write it into the configuration, and reload",
                ))
            }
            setting => {
                let reply = self.core.apply(&setting).unwrap_or(Ok(Value::None));
                match setting {
                    JailSetting::Set { option, .. } => match option.as_str() {
                        "logencoding" => self.intake.set_encoding(self.core.encoding()),
                        "bantime" => self.actions.send(Order::Figures(self.core.figures())),
                        _ => {}
                    },
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
        let figures = [FULL, FIGURES].contains(&flavour);
        if !FLAVOURS.contains(&flavour) && !figures {
            warning!(
                "fail2ban.actions",
                "Unsupported extended jail status flavor {}. Supported: {}",
                Value::from(flavour).repr(),
                Value::from(FLAVOURS.to_vec()).repr()
            );
        }
        let mut status = self.core.status(flavour, self.intake.status(), now());
        if figures {
            // how much of them is unread is said where nothing waits for a disk
            let positions = (READ, self.intake.positions());
            add_rows(&mut status, StatusSection::Filter, [positions]);
        }
        status
    }
}
