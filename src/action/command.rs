//! One action of a jail: its properties, for which families it is started, and what happens when
//! a command of it fails (facts A1–A23).
//!
//! The rules are here, the running of commands is not: an [`Executor`](super::executor::Executor) carries them out. So the
//! same rules drive the daemon and its tests.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::context::Context;
use super::info::BanInfo;
use super::plan::Plan;
use super::properties::Properties;
use super::python::PythonActionError;
use super::smtp::SmtpAction;
use super::tags::TagError;
use crate::sys::hosts::HostNames;

use crate::control::{CommandError, Value};
use crate::debug;
use crate::log::{self, Level};
use crate::notice;
use crate::ticket::Ticket;

pub mod leftover;
mod operation;
mod repair;

use operation::Operation;
use repair::CheckVerdict;
pub use repair::Repair;

const TARGET: &str = "fail2ban.CommandAction";

/// Why an action could not do what it was told; `Display` is the original's text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ActionError {
    /// A ticket's command failed for good: `Error banning 192.0.2.1`.
    #[error("Error {verb} {ip}")]
    Ticket {
        /// `banning`, `unbanning`, `prolonging`.
        verb: &'static str,
        /// Whom.
        ip: String,
    },
    /// An operation's command failed: `Error starting action Jail('sshd')/iptables: 'Script error'`.
    #[error("Error {operation} action Jail('{jail}')/{action}: {reason}")]
    Operation {
        /// `starting`, `stopping`, `flushing`, `reloading`.
        operation: &'static str,
        /// The jail.
        jail: String,
        /// The action.
        action: String,
        /// As Python prints it.
        reason: String,
    },
    /// Tags that cannot be replaced.
    #[error(transparent)]
    Tags(#[from] TagError),
    /// What an action written in Python raised.
    #[error(transparent)]
    Python(#[from] PythonActionError),
}

impl ActionError {
    /// The trace of an exception, behind a line end, as far as the log wants to know.
    pub fn trace(&self) -> String {
        match self {
            ActionError::Python(error) if log::enabled(Level::Debug) && !error.trace.is_empty() => {
                format!("\n{}", error.trace)
            }
            _ => String::new(),
        }
    }
}

/// A family an action is started for: a name, empty when nothing depends on families, or `None`
/// for tickets that have none.
type FamilyKey = Option<String>;

/// The action is started for a family.
const STARTED: u8 = 1;
/// It holds bans of it.
const HOLDS_BANS: u8 = 2;

/// All that can be set of an action, as one value.
#[derive(Clone, Debug, Default)]
pub struct CommandDefinition {
    /// Commands and parameters.
    pub properties: Properties,
    /// The Python action it stands for.
    smtp: Option<SmtpAction>,
}

/// An action that runs commands.
#[derive(Clone, Debug)]
pub struct CommandAction {
    /// Its name in the jail.
    pub name: String,
    /// What it does.
    pub definition: CommandDefinition,
    /// Epoch of its last repair.
    pub epoch: u64,
    started: IndexMap<FamilyKey, u8>,
    /// The command last executed per operation and family, so that families with equal commands
    /// run it once.
    executed: HashMap<&'static str, IndexMap<FamilyKey, String>>,
    /// Families that stand from the last server, until the action starts.
    taken_over: Vec<FamilyKey>,
    /// The family whose `actionstart` or `actionstop` runs, or was ended in the middle.
    midway: Option<FamilyKey>,
}

impl CommandAction {
    /// An action without commands.
    pub fn new(name: &str) -> CommandAction {
        debug!(
            TARGET,
            "Created <class 'fail2ban.server.action.CommandAction'>"
        );
        CommandAction {
            name: name.to_owned(),
            definition: CommandDefinition::default(),
            epoch: 0,
            started: IndexMap::new(),
            executed: HashMap::new(),
            taken_over: Vec::new(),
            midway: None,
        }
    }

    /// Sets a property; what was executed before is forgotten with the old text.
    ///
    /// # Errors
    /// A value of the wrong kind.
    pub fn set(&mut self, name: &str, value: &Value) -> Result<(), CommandError> {
        if let Some(mut smtp) = self.definition.smtp.take() {
            let known = smtp.set(name, value);
            self.become_smtp(smtp)?;
            if known {
                return Ok(());
            }
        }
        if let Some(value) = self.definition.properties.set(name, value)? {
            debug!(TARGET, "  Set {} = {}", name, value.repr());
            self.executed.clear();
        }
        Ok(())
    }

    /// Makes it do what a Python action with these arguments does.
    ///
    /// # Errors
    /// None that these properties can have.
    pub fn become_smtp(&mut self, smtp: SmtpAction) -> Result<(), CommandError> {
        for (name, value) in smtp.properties() {
            self.definition.properties.set(name, &value)?;
        }
        self.executed.clear();
        self.definition.smtp = Some(smtp);
        Ok(())
    }

    /// An argument of the Python action it stands for.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.definition.smtp.as_ref()?.get(name)
    }

    /// Replaces its definition; what was executed before is forgotten with the old text.
    pub fn redefine(&mut self, definition: CommandDefinition) {
        self.definition = definition;
        self.executed.clear();
    }

    /// Commands as by default, at the begin of a reload.
    pub fn clear_commands(&mut self) {
        self.definition.smtp = None;
        self.definition.properties.clear_commands();
    }

    /// Whether a ticket is none of its business (fact A11).
    pub fn skips(&self, ticket: &Ticket) -> bool {
        self.definition.properties.skips(ticket)
    }

    /// Whether its bans last: it could lift them, so it is worth trying again to make them.
    pub fn lifts(&self) -> bool {
        !notice::says_nothing(&self.definition.properties.text("actionunban"))
    }

    /// Whether a longer ban concerns it (fact A9).
    pub fn prolongs(&self) -> bool {
        !self
            .definition
            .properties
            .text("actionprolong")
            .trim()
            .is_empty()
    }

    /// Whether it lifts all bans at once (fact A3).
    pub fn flushes(&self) -> bool {
        self.definition.properties.is_true("actionflush")
    }

    /// `actionstart` for all families, unless it waits for the first ban.
    ///
    /// # Errors
    /// A failed command.
    pub async fn start(&mut self, context: &mut Context<'_>) -> Result<(), ActionError> {
        let taken_over = std::mem::take(&mut self.taken_over);
        if self.definition.properties.starts_on_demand() {
            return Ok(());
        }
        let mut families = self.all_families();
        families.retain(|family| !taken_over.contains(family));
        self.operate(Operation::Start, families, context).await
    }

    fn all_families(&self) -> Vec<FamilyKey> {
        let families = self.definition.properties.families();
        families.into_iter().map(Some).collect()
    }

    /// `actionstart` for one family, or for all (`None`).
    async fn start_family(
        &mut self,
        family: FamilyKey,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        let families = match family {
            Some(family) => vec![Some(family)],
            None => self.all_families(),
        };
        self.operate(Operation::Start, families, context).await
    }

    /// Starts a family on demand: before its first ban (fact A16).
    ///
    /// # Errors
    /// A failed command.
    pub async fn start_for(
        &mut self,
        family: &FamilyKey,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        if self.state(family) == 0 && self.definition.properties.starts_on_demand() {
            self.start_family(family.clone(), context).await?;
        }
        Ok(())
    }

    /// Leaves a ban alone that is none of its business, for the database has brought it back. Who tells a
    /// service of unbans told it of this ban earlier, and will tell it of its end.
    ///
    /// # Errors
    /// A failed command.
    pub async fn pass_over(
        &mut self,
        ticket: &Ticket,
        info: &mut BanInfo<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        let tells = notice::is_notice(&self.definition.properties.text("actionunban"));
        if tells && ticket.restored && !ticket.origin().is_elsewhere() {
            let family = info.family().map(|family| family.as_str().to_owned());
            self.start_for(&family, context).await?;
            self.note_ban(family);
        }
        Ok(())
    }

    /// Bans a ticket.
    ///
    /// # Errors
    /// The command failed twice, or the action could not be started.
    pub async fn ban(
        &mut self,
        info: &mut BanInfo<'_>,
        again: bool,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        let operation = match again && self.definition.properties.is_true("actionreban") {
            true => "actionreban",
            false => "actionban",
        };
        let family = info.family().map(|family| family.as_str().to_owned());
        self.start_for(&family, context).await?;
        if !self.process(operation, &family, info, context).await? {
            return Err(ActionError::Ticket {
                verb: "banning",
                ip: info.ip(),
            });
        }
        self.note_ban(family);
        Ok(())
    }

    /// From now on the action holds bans of the family.
    pub fn note_ban(&mut self, family: FamilyKey) {
        *self.started.entry(family).or_insert(0) |= STARTED | HOLDS_BANS;
    }

    /// Tells of a longer ban.
    ///
    /// # Errors
    /// The command failed twice.
    pub async fn prolong(
        &mut self,
        info: &mut BanInfo<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        let family = info.family().map(|family| family.as_str().to_owned());
        match self
            .process("actionprolong", &family, info, context)
            .await?
        {
            true => Ok(()),
            false => Err(ActionError::Ticket {
                verb: "prolonging",
                ip: info.ip(),
            }),
        }
    }

    /// Whether nothing is heard of a banned id any more: what `actionquiet` answers, yes by 0, no by
    /// 1. Without that command, or when it fails otherwise, nothing is.
    pub async fn is_quiet(&mut self, info: &mut BanInfo<'_>, context: &Context<'_>) -> bool {
        if !self.definition.properties.is_true("actionquiet") {
            return true;
        }
        let family = info.family().map(|family| family.as_str().to_owned());
        let plan = self.ticket_plan("actionquiet", &family, info, context.names);
        let Ok(plan) = plan.await else {
            return true;
        };
        let timeout = self.definition.properties.timeout();
        let answer = context.executor.ask(&self.name, &plan, &timeout).await;
        answer != Some(1)
    }

    /// Whether an unban of this family has anything to lift (fact A22).
    pub fn holds_bans(&self, family: &FamilyKey) -> bool {
        self.state(family) & HOLDS_BANS != 0
    }

    /// Lifts a ban.
    ///
    /// # Errors
    /// The command failed twice.
    pub async fn unban(
        &mut self,
        info: &mut BanInfo<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        let family = info.family().map(|family| family.as_str().to_owned());
        if !self.holds_bans(&family) || self.process("actionunban", &family, info, context).await? {
            return Ok(());
        }
        Err(ActionError::Ticket {
            verb: "unbanning",
            ip: info.ip(),
        })
    }

    /// `actionflush` for every family that holds bans.
    ///
    /// # Errors
    /// A failed command.
    pub async fn flush(&mut self, context: &mut Context<'_>) -> Result<(), ActionError> {
        let held = STARTED | HOLDS_BANS;
        let families = self.families_in(|state| state & held == held);
        match families.is_empty() {
            true => Ok(()),
            false => self.operate(Operation::Flush, families, context).await,
        }
    }

    /// `actionstop` for every started family, and for one whose start was ended in the middle: half of it may
    /// be there.
    ///
    /// # Errors
    /// A failed command.
    pub async fn stop(&mut self, context: &mut Context<'_>) -> Result<(), ActionError> {
        let mut families = self.families_in(|state| state != 0);
        let midway = self.midway.take();
        families.extend(midway.filter(|family| self.state(family) == 0));
        if families.is_empty() {
            return Ok(());
        }
        self.started.clear();
        self.operate(Operation::Stop, families, context).await
    }

    /// `actionreload` for every started family.
    ///
    /// # Errors
    /// A failed command.
    pub async fn reload(&mut self, context: &mut Context<'_>) -> Result<(), ActionError> {
        let families = self.families_in(|state| state != 0);
        self.operate(Operation::Reload, families, context).await
    }

    fn state(&self, family: &FamilyKey) -> u8 {
        self.started.get(family).copied().unwrap_or(0)
    }

    fn families_in(&self, wanted: impl Fn(u8) -> bool) -> Vec<FamilyKey> {
        self.started
            .iter()
            .filter(|(_, state)| wanted(**state))
            .map(|(family, _)| family.clone())
            .collect()
    }

    /// Runs the command of a ticket; when it fails checks, repairs and tries once more (fact A20).
    async fn process(
        &mut self,
        operation: &'static str,
        family: &FamilyKey,
        info: &mut BanInfo<'_>,
        context: &mut Context<'_>,
    ) -> Result<bool, ActionError> {
        let unban = operation == "actionunban";
        let repair = match unban {
            true => Repair::OnUnban("Unban"),
            false => Repair::Allowed,
        };
        for attempt in 0..2 {
            if attempt > 0
                && self.definition.properties.is_true("actioncheck")
                && self.verify(family, repair, !unban, context).await? != CheckVerdict::Sane
            {
                return Ok(false);
            }
            let plan = self
                .ticket_plan(operation, family, info, context.names)
                .await?;
            if self.execute(&plan, context).await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What an operation does for a ticket.
    ///
    /// # Errors
    /// Properties that refer to themselves.
    pub async fn ticket_plan(
        &mut self,
        operation: &str,
        family: &FamilyKey,
        info: &mut BanInfo<'_>,
        names: &HostNames,
    ) -> Result<Plan, TagError> {
        let command = self.definition.properties.command(
            operation,
            family.as_deref().unwrap_or(""),
            names,
        )?;
        Ok(Plan::of(info.fill(&command, names).await))
    }

    async fn execute(&self, plan: &Plan, context: &Context<'_>) -> bool {
        let timeout = self.definition.properties.timeout();
        let pacing = || self.definition.properties.pacing();
        let run = (context.executor).run(&self.name, plan, &timeout, context.names, pacing);
        // all ways to a command end here, some of them many functions deep: boxed, it takes no part of their stack
        Box::pin(run).await
    }
}
