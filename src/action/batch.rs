//! Bans and unbans that wait together: actions that change the firewall carry them out at once,
//! all others one by one as ever.
//!
//! Each action sees its tickets in their order. What differs from one by one is only how actions
//! interleave: the firewall is first, so that a slow command of another action holds up no rule.

use super::JailFigures;
use super::any::Action;
use super::command::{CommandAction, Context};
use super::firewall::Change;
use super::info::{BanInfo, History};
use super::runner::failed;
use crate::address::Family;
use crate::control::Value;
use crate::debug;
use crate::ticket::Ticket;

/// What is to be done about a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ban it.
    Ban,
    /// Lift its ban.
    Unban,
}

/// An order about one ticket.
#[derive(Clone, Debug)]
pub struct TicketOrder {
    /// What to do.
    pub kind: Kind,
    /// The ticket.
    pub ticket: Ticket,
    /// Counters at the time of the order.
    pub figures: JailFigures,
}

/// Carries one order out by one action; answers whether what was to be banned is.
pub async fn apply(
    action: &mut Action,
    order: &TicketOrder,
    info: &mut BanInfo<'_>,
    context: &mut Context<'_>,
) -> bool {
    match order.kind {
        Kind::Ban => {
            if order.ticket.restored && action.skips_restored() {
                return true;
            }
            if let Err(error) = action.ban(info, false, context).await {
                failed("ban", context.jail, action.name(), info, &error);
                return false;
            }
        }
        Kind::Unban => {
            note_unban(action, order, context);
            if let Err(error) = action.unban(info, context).await {
                failed("unban", context.jail, action.name(), info, &error);
            }
        }
    }
    true
}

fn note_unban(action: &Action, order: &TicketOrder, context: &Context<'_>) {
    let quoted = Value::from(action.name()).repr();
    let (jail, id) = (context.jail, &order.ticket.id);
    debug!("fail2ban.actions", "[{jail}] action {quoted}: unban {id}");
}

/// Whether the action's bans are changes of the firewall that can be made together; `sample` is one
/// of them.
pub fn changes_firewall(
    action: &mut CommandAction,
    sample: &TicketOrder,
    context: &Context<'_>,
) -> bool {
    let family = sample.ticket.ip().family().map_or("", Family::as_str);
    let Ok(command) = action
        .definition
        .properties
        .command("actionban", family, context.names)
    else {
        return false;
    };
    let mut info = BanInfo::new(
        context.jail,
        &sample.ticket,
        &sample.figures,
        &History::None,
    );
    Change::recognise(&info.fill_alone(&command, context.names)).is_some()
}

/// Carries orders out together by an action that changes the firewall; those that cannot be are
/// carried out by themselves, with retries, repairs and messages as ever. Answers which bans failed.
pub async fn apply_together(
    action: &mut Action,
    orders: &[TicketOrder],
    infos: &mut [BanInfo<'_>],
    context: &mut Context<'_>,
) -> Vec<usize> {
    let mut failures = Vec::new();
    let mut planned = Vec::new();
    let mut scripts = Vec::new();
    let mut banned = Vec::new();
    let mut timeout = Value::None;
    for (at, order) in orders.iter().enumerate() {
        let info = &mut infos[at];
        let skipped = order.ticket.restored && action.skips_restored();
        let family = info.family().map(|family| family.as_str().to_owned());
        let Some(command) = action.command() else {
            continue;
        };
        timeout = command.definition.properties.timeout();
        let operation = match order.kind {
            Kind::Ban if skipped => continue,
            Kind::Ban => {
                if let Err(error) = command.start_for(&family, context).await {
                    failed("ban", context.jail, action.name(), info, &error);
                    failures.push(at);
                    continue;
                }
                banned.push(family.clone());
                "actionban"
            }
            Kind::Unban => {
                if !command.holds_bans(&family) && !banned.contains(&family) {
                    note_unban(action, order, context);
                    continue;
                }
                "actionunban"
            }
        };
        match command
            .ticket_script(operation, &family, info, context.names)
            .await
        {
            Ok(script) => {
                planned.push((at, family));
                scripts.push(script);
            }
            // the same error shows again, and is logged, when it is tried by itself
            Err(_) => {
                if !apply(action, order, info, context).await {
                    failures.push(at);
                }
            }
        }
    }
    let together = context
        .executor
        .run_together(action.name(), &scripts, &timeout);
    let done = together.await;
    for ((at, family), done) in planned.into_iter().zip(done) {
        let order = &orders[at];
        match (done, order.kind) {
            (true, Kind::Ban) => {
                if let Some(command) = action.command() {
                    command.note_ban(family);
                }
            }
            (true, Kind::Unban) => note_unban(action, order, context),
            (false, _) => {
                if !apply(action, order, &mut infos[at], context).await {
                    failures.push(at);
                }
            }
        }
    }
    failures
}
