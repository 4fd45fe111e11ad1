//! Bans and unbans that wait for one action: applied at once if it changes the firewall, otherwise one by one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::JailFigures;
use super::command::{ActionError, CommandAction};
use super::context::Context;
use super::info::{BanInfo, History, KnownValues};
use super::jail_action::JailAction;
use super::plan::Plan;
use super::python::PythonActionError;
use crate::address::Address;
use crate::control::Value;
use crate::firewall::Change;
use crate::sys::hosts::HostNames;
use crate::ticket::Ticket;
use crate::{debug, error, notice};

const TARGET: &str = "fail2ban.actions";

/// What is to be done about a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketChange {
    /// Ban it.
    Ban,
    /// Lift its ban.
    Unban,
}

/// An order about one ticket, the same for all actions of the jail.
#[derive(Debug)]
pub struct TicketOrder {
    /// What to do.
    pub kind: TicketChange,
    /// The ticket.
    pub ticket: Ticket,
    /// Counters at the time of the order.
    pub figures: JailFigures,
    /// What an action has worked out for its tags serves the next, where there are several.
    known: Option<Mutex<Option<Box<KnownValues>>>>,
    /// What is still to be logged of it, by whichever action comes first.
    verb: Option<&'static str>,
    told: AtomicBool,
}

impl TicketOrder {
    /// An order for so many actions, of which `verb` is logged once; `None`: the jail has logged what
    /// there is to be logged.
    pub fn new(
        kind: TicketChange,
        ticket: Ticket,
        figures: JailFigures,
        actions: usize,
        verb: Option<&'static str>,
    ) -> Arc<TicketOrder> {
        Arc::new(TicketOrder {
            kind,
            ticket,
            figures,
            known: (actions > 1).then(Mutex::default),
            verb,
            told: AtomicBool::new(false),
        })
    }

    /// Logs it, unless that was done.
    pub fn tell(&self, jail: &str) {
        if let Some(verb) = self.verb
            && !self.told.swap(true, Ordering::Relaxed)
        {
            notice!("fail2ban.actions", "[{jail}] {verb} {}", self.ticket.id);
        }
    }

    /// What tags say of it.
    pub fn info<'a>(&'a self, jail: &'a str, history: &'a History) -> BanInfo<'a> {
        let info = BanInfo::new(jail, &self.ticket, &self.figures, history);
        let known = self.known.as_ref().and_then(|known| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.take()
        });
        match known {
            Some(known) => info.with(*known),
            None => info,
        }
    }

    /// Keeps what has been worked out for the next action.
    pub fn keep(&self, info: BanInfo<'_>) {
        if let Some(known) = &self.known {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            *known = info.into_known().map(Box::new);
        }
    }
}

/// Carries one order out by one action; answers whether what was to be banned is.
pub async fn apply(
    action: &mut JailAction,
    order: &TicketOrder,
    info: &mut BanInfo<'_>,
    context: &mut Context<'_>,
) -> bool {
    match order.kind {
        TicketChange::Ban => {
            if action.skips(&order.ticket) {
                if let Some(command) = action.command()
                    && let Err(error) = command.pass_over(&order.ticket, info, context).await
                {
                    failed("ban", context.jail, action.name(), info, &error);
                }
                return true;
            }
            if let Err(error) = action.ban(info, false, context).await {
                failed("ban", context.jail, action.name(), info, &error);
                return false;
            }
        }
        TicketChange::Unban => {
            note_unban(action, order, context);
            if let Err(error) = action.unban(info, context).await {
                failed("unban", context.jail, action.name(), info, &error);
            }
        }
    }
    true
}

fn note_unban(action: &JailAction, order: &TicketOrder, context: &Context<'_>) {
    let quoted = Value::from(action.name()).repr();
    let (jail, id) = (context.jail, &order.ticket.id);
    debug!("fail2ban.actions", "[{jail}] action {quoted}: unban {id}");
}

/// Whether the action's bans are changes of the firewall that can be made together.
pub fn changes_firewall(action: &mut CommandAction, names: &HostNames) -> bool {
    sample_ban(action, "inet4", names).is_some()
}

/// What the ban of some address of a family changes in the firewall, where it is one change.
pub fn sample_ban(action: &mut CommandAction, family: &str, names: &HostNames) -> Option<Change> {
    sample(action, "actionban", family, names).map(|(change, _)| change)
}

/// What an operation for some address of a family changes in the firewall, where it is one change; and
/// its command.
pub fn sample(
    action: &mut CommandAction,
    operation: &str,
    family: &str,
    names: &HostNames,
) -> Option<(Change, String)> {
    let address = match family {
        "inet6" => "2001:db8::1",
        _ => "192.0.2.1",
    };
    let ticket = Ticket::new(Address::parse(address), 0.0);
    let properties = &mut action.definition.properties;
    let command = properties.command(operation, family, names).ok()?;
    let figures = JailFigures::default();
    let mut info = BanInfo::new("", &ticket, &figures, &History::None);
    let mut plan = Plan::of(info.fill_alone(&command, names));
    let text = std::mem::take(&mut plan.script.text);
    Some((plan.into_change()?, text))
}

/// What came of an order that was carried out together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketOutcome {
    /// It is done.
    Done,
    /// The ban failed.
    Failed,
    /// It has to be tried by itself, with a second try, repairs and messages as ever.
    Alone,
}

/// Carries orders out together by an action that changes the firewall.
pub async fn apply_together(
    action: &mut JailAction,
    orders: &[Arc<TicketOrder>],
    context: &mut Context<'_>,
) -> Vec<TicketOutcome> {
    let (jail, history) = (context.jail, context.history);
    let mut outcomes = vec![TicketOutcome::Done; orders.len()];
    let mut planned = Vec::new();
    let mut plans = Vec::new();
    let mut banned = Vec::new();
    let mut timeout = Value::None;
    for (at, order) in orders.iter().enumerate() {
        let mut info = order.info(jail, history);
        let skipped = action.skips(&order.ticket);
        let family = info.family().map(|family| family.as_str().to_owned());
        let Some(command) = action.command() else {
            continue;
        };
        timeout = command.definition.properties.timeout();
        let operation = match order.kind {
            TicketChange::Ban if skipped => continue,
            TicketChange::Ban => {
                if let Err(error) = command.start_for(&family, context).await {
                    failed("ban", jail, action.name(), &info, &error);
                    outcomes[at] = TicketOutcome::Failed;
                    continue;
                }
                banned.push(family.clone());
                "actionban"
            }
            TicketChange::Unban => {
                if !command.holds_bans(&family) && !banned.contains(&family) {
                    note_unban(action, order, context);
                    continue;
                }
                "actionunban"
            }
        };
        match command
            .ticket_plan(operation, &family, &mut info, context.names)
            .await
        {
            Ok(plan) => {
                planned.push((at, family));
                plans.push(plan);
            }
            // the same error shows again, and is logged, when it is tried by itself
            Err(_) => outcomes[at] = TicketOutcome::Alone,
        }
        order.keep(info);
    }
    let together = context
        .executor
        .run_together(action.name(), &plans, &timeout);
    let done = together.await;
    for ((at, family), done) in planned.into_iter().zip(done) {
        let order = &orders[at];
        match (done, order.kind) {
            (true, TicketChange::Ban) => {
                if let Some(command) = action.command() {
                    command.note_ban(family);
                }
            }
            (true, TicketChange::Unban) => note_unban(action, order, context),
            (false, _) => outcomes[at] = TicketOutcome::Alone,
        }
    }
    outcomes
}

/// Logs that an action failed on a ticket.
pub fn failed(what: &str, jail: &str, action: &str, info: &BanInfo<'_>, error: &ActionError) {
    let info = match error {
        ActionError::Python(PythonActionError {
            info: Some(info), ..
        }) => info.clone(),
        _ => info.repr(),
    };
    error!(
        TARGET,
        "Failed to execute {what} jail '{jail}' action '{action}' info '{info}': {error}{}",
        error.trace()
    );
}
