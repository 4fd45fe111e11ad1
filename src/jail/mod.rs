//! One tokio task per jail. It owns the failure counter, the ban list and the ignore list, and turns
//! failures into bans and unbans.
//!
//! The decisions are pure ([`core`]: failures and times in, decisions out); the task gives the core
//! lines, a clock, a database and actions.

mod address_file;
mod backend;
mod ban_exchange;
mod ban_list;
mod banning;
mod command_handler;
pub mod core;
#[cfg(test)]
mod core_settings_tests;
#[cfg(test)]
mod core_tests;
mod counter;
pub mod decision;
mod decode;
pub mod dns_cache;
mod events;
pub mod formula;
mod host_addresses;
mod ignore_cache;
mod ignore_check;
mod ignore_list;
mod increment;
mod intake;
mod journal;
mod judge;
mod lifecycle;
mod lines;
pub mod link;
mod log_discovery;
mod log_fingerprint;
mod log_seeker;
mod logs;
mod lookup;
mod manual_ban;
mod name_lookups;
pub mod open_ids;
mod options;
mod pending;
mod prefix;
mod ranges;
mod remote;
pub mod replay;
mod save_timer;
mod settings;
mod status;
mod task;
mod unban_when_quiet;
mod unstarted;
pub mod validator;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use self::backend::Backend;
pub use self::ban_exchange::BanExchange;
use self::ban_exchange::SharedExchangeModes;
pub use self::decode::Decoder;
pub use self::dns_cache::{DnsCache, interface_addresses};
pub use self::events::{EventSubscription, JailEvents};
use self::link::Link;
pub use self::log_fingerprint::PrefetchedLogs;
use self::status::{StatusSection, add_rows, with_unread};
use self::task::{JailRequest, ReloadPhase};
pub use self::unstarted::UnstartedJail;
use crate::action::{Actions, Common, Order, Query};
use crate::clock::ClockSteps;
use crate::control::{CommandError, JailCommand, JailQuery, JailSetting, Reply, Value};
use crate::datetime::Templates;
use crate::evidence::memory::EvidenceMemory;
use crate::source::Sources;
use crate::store::Store;
use crate::{info, warning};

/// The flavour of `status` that tells all there is; what `--json` asks for.
pub const FULL: &str = "full";
/// The flavour of `status` with all of that but who is banned, which may be many.
pub const FIGURES: &str = "figures";

/// How long a full status waits for what the actions have to say.
const ACTIONS_PATIENCE: Duration = Duration::from_secs(1);

/// What a jail needs from the server.
#[derive(Clone, Debug)]
pub struct JailContext {
    /// The readers.
    pub sources: Sources,
    /// The database, when there is one.
    pub store: Option<Store>,
    /// Looks names up, for all jails together.
    pub names: DnsCache,
    /// Where what happens is announced.
    pub events: JailEvents,
    /// What the actions of all jails share.
    pub common: Common,
    /// The date templates of all jails.
    pub templates: Templates,
    /// What all jails together may keep as evidence.
    pub evidence: EvidenceMemory,
    /// Tells when the clock was set.
    pub clock: ClockSteps,
    /// Where other hosts are told of bans.
    pub fleet: Link,
    /// Where CrowdSec is told of them.
    pub crowdsec: Link,
}

/// An option among several that a jail refused; those after it were not tried.
#[derive(Debug)]
pub struct RefusedSetting {
    /// How many before it were accepted.
    pub done: usize,
    /// Why.
    pub error: CommandError,
    /// Those after it.
    pub rest: Vec<JailSetting>,
}

/// Handle to a jail's task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jail {
    /// Its name.
    pub name: String,
    /// Its backend as it was asked for; another one at a reload means a restart (fact P64).
    pub backend: String,
    inbox: mpsc::Sender<JailRequest>,
    actions: Actions,
    started: Arc<AtomicBool>,
    modes: Arc<SharedExchangeModes>,
}

impl Jail {
    /// Creates a jail (not started) with its backend, and enables it in the database; needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// `Unknown backend …` (fact J3).
    pub fn spawn(name: &str, backend: &str, context: JailContext) -> Result<Jail, CommandError> {
        let prepared = Jail::prepare(name, backend, context)?;
        let jail = prepared.jail.clone();
        prepared.launch();
        Ok(jail)
    }

    /// As [`Jail::spawn`], but its tasks do not run yet.
    ///
    /// # Errors
    /// `Unknown backend …` (fact J3).
    pub fn prepare(
        name: &str,
        backend: &str,
        context: JailContext,
    ) -> Result<UnstartedJail, CommandError> {
        let quoted = Value::from(name).repr();
        if name.chars().count() >= 26 {
            warning!(
                "fail2ban.jail",
                "Jail name {quoted} might be too long and some commands might not function correctly. Please shorten"
            );
        }
        info!("fail2ban.jail", "Creating new jail '{}'", name);
        let kind = Backend::read(backend, name)?;
        if let Some(store) = &context.store {
            store.add_jail(name);
        }
        let (actions, action_task) =
            Actions::prepare(name, context.store.clone(), context.common.clone());
        let started = Arc::new(AtomicBool::new(false));
        let modes = Arc::new(SharedExchangeModes::default());
        let seen = (started.clone(), modes.clone());
        let (inbox, core_task) = task::prepare(name, kind, context, actions.clone(), seen);
        let jail = Jail {
            name: name.to_owned(),
            backend: backend.to_owned(),
            inbox,
            actions,
            started,
            modes,
        };
        Ok(UnstartedJail {
            jail,
            core_task,
            action_task,
        })
    }

    /// Carries out `set`, `get` and `status` commands and answers as outside of a config stream
    /// (inside one the caller makes None of what `set` answers).
    pub async fn call(&self, command: JailCommand) -> Reply {
        if let JailCommand::Set(setting) = &command {
            self.refuse_unserved(setting)?;
        }
        let (reply, answer) = oneshot::channel();
        // what only concerns actions need not pass through the jail
        let order = match command {
            JailCommand::Set(setting) => match unstarted::order_of(setting, reply) {
                Ok(order) => order,
                Err((setting, reply)) => {
                    let request = JailRequest::Call(JailCommand::Set(setting), reply);
                    return self.ask(request, answer).await?;
                }
            },
            JailCommand::Get(JailQuery::Actions) => {
                let (reply, names) = oneshot::channel();
                self.actions.send(Order::Names(reply));
                return names.await.map(Value::from).map_err(|_| self.gone());
            }
            JailCommand::Get(JailQuery::Action { name, property }) => {
                let what = Query::Property(property);
                Order::Get { name, what, reply }
            }
            JailCommand::Get(JailQuery::ActionProperties(name)) => {
                let what = Query::Properties;
                Order::Get { name, what, reply }
            }
            JailCommand::Get(JailQuery::ActionMethods(name)) => {
                let what = Query::Methods;
                Order::Get { name, what, reply }
            }
            JailCommand::Status { flavour } if [FULL, FIGURES].contains(&&*flavour) => {
                let request = JailRequest::Call(JailCommand::Status { flavour }, reply);
                let status = self.ask(request, answer).await??;
                let mut status = with_unread(status).await;
                let (ineffective, dropped) = tokio::join!(
                    self.ineffective_now(),
                    self.actions.dropped(ACTIONS_PATIENCE)
                );
                let dropped = dropped.map(|dropped| {
                    [
                        ("Dropped packets", number(dropped.packets)),
                        ("Dropped bytes", number(dropped.bytes)),
                    ]
                });
                let rows = [("Not effective", ineffective)];
                let rows = rows.into_iter().chain(dropped.into_iter().flatten());
                let rows = rows.chain(self.workload());
                add_rows(&mut status, StatusSection::Actions, rows);
                return Ok(status);
            }
            command => {
                return self.ask(JailRequest::Call(command, reply), answer).await?;
            }
        };
        self.actions.send(order);
        answer.await.map_err(|_| self.gone())?
    }

    /// An option that is set while the jail runs, and that its actions cannot serve. The
    /// configuration's are looked at when it is read.
    fn refuse_unserved(&self, setting: &JailSetting) -> Result<(), CommandError> {
        if let JailSetting::Set { option, value } = setting
            && let Some(unserved) = options::unserved(option)
            // without any actions, they may still come
            && let mut actions = self.actions.dry()
            && !actions.is_empty()
            && let Some((why, _)) = unserved(value, &mut actions)
        {
            return Err(CommandError::builtin("ValueError", why));
        }
        Ok(())
    }

    /// Sets options ([`JailSetting::is_option`]) in order: one trip to the jail's task for all.
    ///
    /// # Errors
    /// The first that is refused.
    pub async fn set_all(&self, options: Vec<JailSetting>) -> Result<(), RefusedSetting> {
        let (reply, answer) = oneshot::channel();
        let answered = self.ask(JailRequest::Options(options, reply), answer).await;
        answered.unwrap_or_else(|error| {
            Err(RefusedSetting {
                done: 0,
                error,
                rest: Vec::new(),
            })
        })
    }

    /// By action how many orders wait, and how many bans took how long.
    fn workload(&self) -> [(&'static str, Value); 2] {
        let (mut waiting, mut times) = (Vec::new(), Vec::new());
        for (action, orders, counts) in self.actions.workload() {
            let buckets = counts.buckets.into_iter().map(number).collect();
            let seconds = Value::Float(counts.seconds);
            waiting.push((action.as_str().into(), number(orders as u64)));
            let taken = Value::List(vec![Value::List(buckets), seconds]);
            times.push((action.into(), taken));
        }
        [
            ("Waiting orders", Value::Dict(waiting)),
            ("Ban times", Value::Dict(times)),
        ]
    }

    /// [`Jail::ineffective`], or None while the actions are too busy to say.
    async fn ineffective_now(&self) -> Value {
        let asked = tokio::time::timeout(ACTIONS_PATIENCE, self.ineffective()).await;
        let Ok(by_action) = asked else {
            return Value::None;
        };
        let pairs = by_action.into_iter().map(|(k, v)| (k.into(), v.into()));
        Value::Dict(pairs.collect())
    }

    /// Starts actions, restores bans, begins to read. A started jail only leaves its idle state.
    pub async fn start(&self) -> Reply {
        self.start_with(Vec::new()).await
    }

    /// As [`Jail::start`]; files that `patterns` (lines of `logpath`) lead to are read as they appear.
    pub async fn start_with(&self, patterns: Vec<String>) -> Reply {
        self.begin_start(patterns).await?.end().await
    }

    /// Begins what [`Jail::start_with`] does, so that many jails can start side by side.
    ///
    /// # Errors
    /// The task has ended.
    pub async fn begin_start(&self, patterns: Vec<String>) -> Result<Starting, CommandError> {
        let (reply, answer) = oneshot::channel();
        let request = JailRequest::Start(patterns, reply);
        self.inbox.send(request).await.map_err(|_| self.gone())?;
        Ok(Starting {
            jail: self.name.clone(),
            answer,
        })
    }

    /// Whether it has been started and not stopped.
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// Stops reading, lifts bans from the firewall (they stay in the database, where the jail is
    /// disabled), stops actions; ends the task. Safe to call for all jails at once.
    pub async fn stop(&self) -> Reply {
        let (reply, answer) = oneshot::channel();
        let keep = false;
        self.ask(JailRequest::Stop { keep, reply }, answer).await?
    }

    /// As [`Jail::stop`], but bans stay in the firewall where the server that follows can take them over.
    pub async fn leave(&self) -> Reply {
        let (reply, answer) = oneshot::channel();
        let keep = true;
        self.ask(JailRequest::Stop { keep, reply }, answer).await?
    }

    /// Has a sender dropped when all bans of the database are restored and in force.
    pub async fn tell_restored(&self, restored: mpsc::Sender<()>) {
        // a jail that is gone has dropped it
        let _ = self.inbox.send(JailRequest::Restored(restored)).await;
    }

    /// All jails have restored their bans: what the last server banned besides is lifted.
    pub fn settle(&self) {
        self.actions.send(Order::Settle);
    }

    /// A reload begins: the jail pauses, its regexes and `ignoreip` are emptied, its logs and actions
    /// are marked to be removed unless the reload adds them again (fact P64).
    pub async fn reload_begin(&self) {
        self.reload(ReloadPhase::Begin).await;
    }

    /// A reload has ended well for this jail (it was started again): what is still marked goes.
    pub async fn reload_end(&self) {
        self.reload(ReloadPhase::End).await;
    }

    /// A reload has failed for this jail in the middle of its settings: everything is again as it
    /// was before [`Jail::reload_begin`], and the jail goes on (the original would be stopped).
    pub async fn reload_abort(&self) {
        self.reload(ReloadPhase::Abort).await;
    }

    /// Ids banned now.
    pub async fn banned(&self) -> Vec<String> {
        let command = JailCommand::Get(JailQuery::Banned(Vec::new()));
        match self.call(command).await {
            Ok(Value::List(ids)) => ids
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Ids whose bans are not effective, by action: the command failed and is tried again.
    pub async fn ineffective(&self) -> Vec<(String, Vec<String>)> {
        let (reply, list) = oneshot::channel();
        self.actions.send(Order::Ineffective(reply));
        list.await.unwrap_or_default()
    }

    /// Lifts these bans (`None`: all); answers how many were lifted.
    pub async fn unban(&self, ids: Option<Vec<String>>) -> usize {
        let (reply, answer) = oneshot::channel();
        let request = JailRequest::Unban(ids, reply);
        self.ask(request, answer).await.unwrap_or(0)
    }

    /// Forgets failures and earlier bans of these ids, but not bans in force; answers of how many
    /// something was known.
    pub async fn forget(&self, ids: Vec<String>) -> usize {
        let (reply, answer) = oneshot::channel();
        let request = JailRequest::Forget(ids, reply);
        self.ask(request, answer).await.unwrap_or(0)
    }

    async fn reload(&self, phase: ReloadPhase) {
        let (reply, answer) = oneshot::channel();
        // a jail that is gone has nothing to reload
        let _ = self.ask(JailRequest::Reload(phase, reply), answer).await;
    }

    async fn ask<T>(
        &self,
        request: JailRequest,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, CommandError> {
        self.inbox.send(request).await.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())
    }

    /// The task has ended, by a stop.
    fn gone(&self) -> CommandError {
        CommandError::unknown_jail(&self.name)
    }
}

fn number(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A jail that is being started.
#[derive(Debug)]
pub struct Starting {
    jail: String,
    /// Whether it did not run yet.
    answer: oneshot::Receiver<bool>,
}

impl Starting {
    /// Waits until it runs, and says so in the log.
    ///
    /// # Errors
    /// The task has ended.
    pub async fn end(self) -> Reply {
        match self.answer.await {
            Ok(true) => info!(
                "fail2ban.jail",
                "Jail {} started",
                Value::from(self.jail).repr()
            ),
            Ok(false) => {}
            Err(_) => return Err(CommandError::unknown_jail(&self.jail)),
        }
        Ok(Value::None)
    }
}
