//! The end of bans and of actions: all bans lifted at once, actions stopped (facts A2, A3, A24).

use super::super::batch::{Kind, TicketOrder};
use super::super::command::Repair;
use super::{Runner, TARGET, TOGETHER, unhandled};
use crate::ticket::Ticket;
use crate::{debug, error, info, notice};

/// Why all bans are lifted, which decides what is logged of each.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flush<'a> {
    /// Somebody asked for it.
    Unban,
    /// The jail stops.
    Stop,
    /// Only these actions go.
    Removed(&'a [String]),
}

impl Runner {
    /// Lifts all bans: at once in actions that can, one by one in the others (fact A3).
    pub(super) async fn flush(&mut self, tickets: &[Ticket], why: Flush<'_>) {
        let mut one_by_one = Vec::new();
        let names: Vec<String> = match why {
            Flush::Removed(names) => names.to_vec(),
            _ => {
                debug!(TARGET, "  Flush ban list");
                self.actions.keys().cloned().collect()
            }
        };
        let repair = match why {
            Flush::Unban => Repair::Allowed,
            _ => Repair::OnUnban("Flush"),
        };
        let (actions, mut context) = self.split();
        for name in names {
            let Some(action) = actions.get_mut(&name) else {
                continue;
            };
            // others hold what a flush would lift
            if action.flushes() && !context.executor.shares(&name) {
                notice!(TARGET, "[{}] Flush ticket(s) with {}", context.jail, name);
                match action.flush(&mut context).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => {
                        let jail = context.jail;
                        error!(
                            TARGET,
                            "Failed to flush bans in jail '{jail}' action '{name}': {error}{}",
                            error.trace()
                        );
                        info!(TARGET, "No flush occurred, do consistency check");
                        if action.checks() {
                            if let Err(error) = action.check_flush(repair, &mut context).await {
                                unhandled(jail, &error);
                            }
                            continue;
                        }
                    }
                }
            }
            debug!(TARGET, "  Unban tickets each individually");
            one_by_one.push(name);
        }
        let verb = match why {
            Flush::Unban => Some("Unban"),
            Flush::Stop => Some("Repeal Ban"),
            Flush::Removed(_) => None,
        };
        self.lift(tickets, &one_by_one, verb).await;
        if !matches!(why, Flush::Removed(_)) {
            self.epochs.clear();
            self.retries.clear();
        }
    }

    /// Lifts bans by these actions; `verb` is logged of each.
    async fn lift(&mut self, tickets: &[Ticket], actions: &[String], verb: Option<&str>) {
        let figures = self.figures.clone();
        for tickets in tickets.chunks(TOGETHER) {
            let order = |ticket: &Ticket| TicketOrder {
                kind: Kind::Unban,
                ticket: ticket.clone(),
                figures: figures.clone(),
            };
            let orders: Vec<TicketOrder> = tickets.iter().map(order).collect();
            self.work(&orders, Some(actions), verb).await;
        }
    }

    /// Stops actions in reverse order and drops them.
    pub(super) async fn stop(&mut self, names: &[String]) {
        for name in names.iter().rev() {
            let (actions, mut context) = self.split();
            let Some(action) = actions.get_mut(name) else {
                continue;
            };
            if let Err(error) = action.stop(&mut context).await {
                error!(
                    TARGET,
                    "Failed to stop jail '{}' action '{name}': {error}{}",
                    context.jail,
                    error.trace()
                );
            }
            context.executor.leave(name);
            actions.shift_remove(name);
            self.retries.forget_action(name);
            debug!(TARGET, "{}: action {} terminated", self.jail, name);
        }
    }
}
