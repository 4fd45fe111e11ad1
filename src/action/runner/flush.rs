//! Lifts all bans at once or one by one, and stops the action (facts A2, A3, A24).

use std::sync::Arc;

use super::super::command::Repair;
use super::super::queue::QueueEntry;
use super::super::step::Gate;
use super::super::task::{ActionTask, Lifting};
use super::super::ticket_batch::{self, TicketOrder, TicketOutcome};
use super::{Runner, TARGET, TOGETHER, unhandled};
use crate::control::Value;
use crate::exec::shell;
use crate::firewall::leftover;
use crate::{debug, error, info, notice, warning};

impl Runner {
    /// Lifts all bans: at once where the action can, else one by one (fact A3).
    pub(super) async fn flush(&mut self, lifting: Lifting) {
        let Lifting {
            lifts,
            gate,
            told,
            last,
            ..
        } = lifting;
        if let Some(gate) = &gate {
            gate.open().await;
            self.executor.patience().progress();
        }
        self.alone.clear();
        self.epochs.clear();
        self.retries.clear();
        if self.flush_at_once(last).await {
            for order in told.orders() {
                order.tell(&self.jail);
            }
            return;
        }
        debug!(TARGET, "  Unban tickets each individually");
        self.lift(lifts).await;
    }

    /// Lifts all bans at once; answers whether there is nothing left to be done one by one.
    async fn flush_at_once(&mut self, last: bool) -> bool {
        let (action, mut context) = self.split();
        let (jail, name) = (context.jail, action.name().to_owned());
        // others hold what a flush would lift
        if !action.flushes() || context.executor.shares(&name) {
            return false;
        }
        notice!(TARGET, "[{jail}] Flush ticket(s) with {name}");
        let error = match action.flush(&mut context).await {
            Ok(done) => return done,
            Err(error) => error,
        };
        error!(
            TARGET,
            "Failed to flush bans in jail '{jail}' action '{name}': {error}{}",
            error.trace()
        );
        info!(TARGET, "No flush occurred, do consistency check");
        if !action.checks() {
            return false;
        }
        let repair = match last {
            false => Repair::Allowed,
            true => Repair::OnUnban("Flush"),
        };
        if let Err(error) = action.check_flush(repair, &mut context).await {
            unhandled(jail, &error);
        }
        true
    }

    /// Lifts bans: many at once in the firewall, else each in its turn.
    async fn lift(&mut self, lifts: Vec<Arc<TicketOrder>>) {
        for orders in lifts.chunks(TOGETHER) {
            let outcomes = match self.firewall && orders.len() > 1 {
                true => self.together(orders).await,
                false => vec![TicketOutcome::Alone; orders.len()],
            };
            for (order, outcome) in orders.iter().zip(outcomes) {
                order.tell(&self.jail);
                if outcome == TicketOutcome::Alone && !self.is_gone(order).await {
                    self.alone(order).await;
                }
            }
        }
    }

    /// Whether the chain or set of a ban is not there any more: the stop of another jail that shares it has
    /// taken it out, or somebody else. Then there is nothing to lift, and no command to fail for each ban.
    async fn is_gone(&mut self, order: &Arc<TicketOrder>) -> bool {
        if !self.firewall {
            return false;
        }
        let family = order.ticket.ip().family();
        let family = family.map_or("", |family| family.as_str());
        let Some(action) = self.action.command() else {
            return false;
        };
        let timeout = action.definition.properties.timeout();
        match ticket_batch::sample_ban(action, family, &self.names) {
            Some(ban) => leftover::is_gone(&ban, shell::limit(&timeout)).await,
            None => false,
        }
    }

    /// The action's last task: unbans, then its end.
    pub(super) async fn end(mut self, entries: Vec<QueueEntry>) {
        let patience = self.executor.patience();
        // it may have been given up in the middle of a comparison
        self.executor.set_quiet(false);
        for entry in entries {
            let (task, rest) = entry.open();
            let ActionTask::End(lifting, stop) = task else {
                continue;
            };
            // held until the end, when who waits for it is told
            let told = lifting.told.clone();
            patience.progress();
            if lifting.keep && self.leave().await {
                self.executor.leave(self.action.name());
                self.executor.close().await;
                continue;
            }
            let lifted = patience.with(self.flush(lifting)).await;
            patience.progress();
            let stopped = patience.with(self.stop(stop)).await;
            self.executor.leave(self.action.name());
            if lifted.is_none() || stopped.is_none() {
                warning!(
                    TARGET,
                    "[{}] action {}: {} took too long, it is given up",
                    self.jail,
                    Value::from(self.action.name()).repr(),
                    match stopped {
                        None => "its stop",
                        Some(()) => "lifting its bans",
                    }
                );
            }
            // mails have a time of their own
            self.executor.close().await;
            drop((told, rest));
        }
    }

    /// Leaves what it has in the firewall to the server that follows; answers whether that can take it
    /// over. The gates of its end open as they are dropped.
    async fn leave(&mut self) -> bool {
        let firewall = self.firewall;
        let (action, context) = self.split();
        let Some(action) = action.command().filter(|_| firewall) else {
            return false;
        };
        if !action.can_be_left(&context) {
            return false;
        }
        info!(
            TARGET,
            "[{}] action {}: what it has in the firewall stays for the server that follows",
            context.jail,
            Value::from(action.name.as_str()).repr()
        );
        true
    }

    /// Stops the action, after those that come behind it.
    async fn stop(&mut self, gate: Option<Gate>) {
        if let Some(gate) = &gate {
            gate.open().await;
            self.executor.patience().progress();
        }
        let (action, mut context) = self.split();
        if let Err(error) = action.stop(&mut context).await {
            error!(
                TARGET,
                "Failed to stop jail '{}' action '{}': {error}{}",
                context.jail,
                action.name(),
                error.trace()
            );
        }
        let (jail, name) = (context.jail, action.name());
        debug!(TARGET, "{jail}: action {name} terminated");
    }
}
