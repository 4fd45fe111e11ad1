//! The comparison of a jail's bans with the firewall: what was lost there is put back.
//!
//! Only actions are looked at whose bans are changes of the firewall that can be read back. Their
//! own `actioncheck` tells about the rest, and they are repaired as after a command that failed.

use std::time::{SystemTime, UNIX_EPOCH};

use super::super::batch::{self, Kind, TicketOrder};
use super::{Runner, TARGET};
use crate::address::Address;
use crate::control::Value;
use crate::ticket::{BanTime, Ticket};
use crate::warning;

/// Bans that end within this time, in seconds, are not missed: sets forget by themselves.
const ENDING: f64 = 10.0;

impl Runner {
    /// Compares the bans of all actions with the firewall and puts back what is not there.
    pub(super) async fn audit(&mut self, tickets: Vec<Ticket>) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        let lasts = |ticket: &Ticket| match ticket.bantime {
            Some(BanTime::Seconds(seconds)) => ticket.time + seconds > now + ENDING,
            Some(BanTime::Permanent) | None => true,
        };
        let orders: Vec<TicketOrder> = tickets
            .into_iter()
            .filter(lasts)
            .map(|ticket| TicketOrder {
                kind: Kind::Ban,
                ticket,
                figures: self.figures.clone(),
            })
            .collect();
        let names: Vec<String> = self.actions.keys().cloned().collect();
        for name in names {
            self.executor.set_quiet(true);
            let lost = self.lost(&name, &orders).await;
            self.executor.set_quiet(false);
            let Some((lost, restarted)) = lost else {
                continue;
            };
            let orders: Vec<TicketOrder> = lost.iter().map(|&at| orders[at].clone()).collect();
            let only = [name.clone()];
            let failed = self.work(&orders, Some(&only), None).await.len();
            warning!(
                TARGET,
                "[{}] action {}: the firewall had lost {}, put back {} of {} ban(s)",
                self.jail,
                Value::from(name.as_str()).repr(),
                if restarted { "its rules" } else { "bans" },
                orders.len() - failed,
                orders.len()
            );
        }
    }

    /// Which bans of an action are not in the firewall, and whether the action was started anew;
    /// `None` when all is well, or nobody can tell.
    async fn lost(&mut self, name: &str, orders: &[TicketOrder]) -> Option<(Vec<usize>, bool)> {
        let (jail, history) = (self.jail.clone(), self.history.clone());
        let held: Vec<usize> = (0..orders.len())
            .filter(|&at| !self.retries.contains(name, &orders[at].ticket.id))
            .collect();
        let (actions, mut context) = self.split();
        let action = actions.get_mut(name)?.command()?;
        let any = TicketOrder {
            kind: Kind::Ban,
            ticket: Ticket::new(Address::parse("192.0.2.1"), 0.0),
            figures: context.figures.clone(),
        };
        if !batch::changes_firewall(action, orders.first().unwrap_or(&any), &context) {
            return None;
        }
        let (mut lost, mut restarted) = (Vec::new(), false);
        for family in action.started_families() {
            let mut of_family = Vec::new();
            let mut scripts = Vec::new();
            for &at in &held {
                let order = &orders[at];
                let mut info = super::BanInfo::new(&jail, &order.ticket, &order.figures, &history);
                let its = info.family().map(|family| family.as_str().to_owned());
                let skipped = order.ticket.restored && action.skips_restored();
                // an action without families holds bans of all
                let concerned = its == family || family.as_deref() == Some("");
                if skipped || !concerned || !action.holds_bans(&its) {
                    continue;
                }
                let script = action
                    .ticket_script("actionban", &its, &mut info, context.names)
                    .await;
                if let Ok(script) = script {
                    scripts.push(script);
                    of_family.push(at);
                }
            }
            let timeout = action.definition.properties.timeout();
            let missing = context.executor.missing(&scripts, &timeout).await;
            let missing = missing.unwrap_or_default();
            let all = !missing.is_empty() && missing.len() == scripts.len();
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
