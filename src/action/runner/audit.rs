//! Compares the bans of an action with the firewall, and restores lost ones.
//!
//! Only actions whose bans are firewall changes that can be read back are compared. For the others their own
//! `actioncheck` decides, and they are repaired as after a failed command.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::ticket_batch::{TicketOrder, TicketOutcome};
use super::{Runner, TARGET};
use crate::address::Address;
use crate::clock;
use crate::control::Value;
use crate::ticket::{BanTime, Ticket};
use crate::warning;

/// Bans that end within this time, in seconds, are not missed: sets forget by themselves.
const ENDING: f64 = 10.0;

impl Runner {
    /// Compares bans with the firewall and puts back what is not there; `lifted` have been lifted
    /// meanwhile.
    pub(super) async fn audit(&mut self, orders: &[Arc<TicketOrder>], lifted: &HashSet<Address>) {
        let now = clock::now();
        let lasts = |ticket: &Ticket| match ticket.bantime {
            Some(BanTime::Seconds(seconds)) => ticket.time + seconds > now + ENDING,
            Some(BanTime::Permanent) | None => true,
        };
        let held: Vec<&Arc<TicketOrder>> = orders
            .iter()
            .filter(|order| {
                let id = &order.ticket.id;
                lasts(&order.ticket) && !lifted.contains(id) && !self.retries.contains(id)
            })
            .collect();
        self.executor.set_quiet(true);
        let lost = self.lost(&held).await;
        self.executor.set_quiet(false);
        let Some((lost, restarted)) = lost else {
            return;
        };
        let orders: Vec<Arc<TicketOrder>> = lost.iter().map(|&at| held[at].clone()).collect();
        let outcomes = match orders.len() {
            1 => vec![TicketOutcome::Alone],
            _ => self.together(&orders).await,
        };
        let mut put_back = 0;
        for (order, outcome) in orders.iter().zip(outcomes) {
            put_back += usize::from(match outcome {
                TicketOutcome::Done => true,
                TicketOutcome::Failed => false,
                TicketOutcome::Alone => self.alone(order).await,
            });
        }
        self.executor.common().monitor.put_back();
        warning!(
            TARGET,
            "[{}] action {}: the firewall had lost {}, put back {put_back} of {} ban(s)",
            self.jail,
            Value::from(self.action.name()).repr(),
            if restarted { "its rules" } else { "bans" },
            orders.len()
        );
    }

    /// Which bans are not in the firewall, and whether the action was started anew; `None` when all
    /// is well, or nobody can tell.
    async fn lost(&mut self, orders: &[&Arc<TicketOrder>]) -> Option<(Vec<usize>, bool)> {
        if !self.firewall {
            return None;
        }
        let (jail, history) = (self.jail.clone(), self.history.clone());
        let (action, mut context) = self.split();
        let action = action.command()?;
        let (mut lost, mut restarted) = (Vec::new(), false);
        for family in action.started_families() {
            let mut of_family = Vec::new();
            let mut plans = Vec::new();
            for (at, order) in orders.iter().enumerate() {
                let mut info = super::BanInfo::new(&jail, &order.ticket, &order.figures, &history);
                let its = info.family().map(|family| family.as_str().to_owned());
                let skipped = action.skips(&order.ticket);
                // an action without families holds bans of all
                let concerned = its == family || family.as_deref() == Some("");
                if skipped || !concerned || !action.holds_bans(&its) {
                    continue;
                }
                let plan = action
                    .ticket_plan("actionban", &its, &mut info, context.names)
                    .await;
                if let Ok(plan) = plan {
                    plans.push(plan);
                    of_family.push(at);
                }
            }
            let timeout = action.definition.properties.timeout();
            let missing = context.executor.missing(&plans, &timeout).await;
            let missing = missing.unwrap_or_default();
            let all = !missing.is_empty() && missing.len() == plans.len();
            if all || !action.passes_check(&family, &mut context).await {
                action.start_anew(&family, &mut context).await;
                restarted = true;
                lost.extend(of_family);
            } else {
                lost.extend(missing.into_iter().map(|at| of_family[at]));
            }
        }
        lost.sort_unstable();
        lost.dedup();
        (restarted || !lost.is_empty()).then_some((lost, restarted))
    }
}
