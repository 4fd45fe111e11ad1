//! The lifecycle of a jail: start with bans restored, reload in two phases, stop.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::link::JailUpdate;
use super::pending::{FailureOrigin, PendingFailure};
use super::task::{BeforeReload, JailTask, ReloadPhase};
use crate::action::Order;
use crate::clock::now;
use crate::control::Value;
use crate::filter::FailureId;
use crate::{debug, info};

impl JailTask {
    /// Starts actions, restores bans, begins to read; answers false when the jail was started and
    /// only leaves its idle state.
    pub(super) async fn start(&mut self) -> bool {
        let was_idle = std::mem::take(&mut self.idle);
        if self.is_started() {
            // an idle jail has heard nothing of other hosts; one that is reloaded has
            self.starting |= was_idle && self.before_reload.is_none();
            self.judge_pending();
            return false;
        }
        let name = Value::from(self.core.name());
        debug!("fail2ban.jail", "Starting jail {}", name.repr());
        self.started.store(true, Ordering::Relaxed);
        if self.core.ignores_self() && self.context.names.own_addresses_now().is_none() {
            // so that the first failure need not wait for it
            let names = self.context.names.clone();
            tokio::spawn(async move { names.own_addresses().await });
        }
        self.starting = true;
        self.show_modes();
        self.renew(&self.core.ignored_names());
        self.actions.send(Order::Figures(self.core.figures()));
        self.actions.send(Order::Start);
        self.restore().await;
        self.intake.start(&mut self.core, now()).await;
        if self.pending.is_empty() {
            self.all_judged();
        }
        true
    }

    /// Bans that have not ended while the jail was away (fact B16).
    async fn restore(&mut self) {
        let Some(store) = &self.context.store else {
            return;
        };
        let now = now();
        let default = self.core.default_ban_time();
        let tickets = store
            .current_bans(self.core.name(), now, default, self.core.evidence.clone())
            .await;
        for ticket in tickets {
            if let Some(ticket) = self.core.restorable(ticket, now) {
                let id = FailureId::Address(ticket.id.clone());
                let failure = PendingFailure::new(FailureOrigin::Restored, id, ticket);
                self.pending.push(failure);
            }
        }
        self.judge_pending();
    }

    /// Writes the bans in force again after the database was repaired: some may not have been in what
    /// was left of it.
    pub(super) fn keep_bans(&mut self) {
        let Some(store) = &self.context.store else {
            return;
        };
        let repairs = store.repairs();
        if repairs != self.repairs && !self.core.simulates() {
            self.repairs = repairs;
            store.keep_bans(self.core.name(), &self.core.banned_tickets());
        }
    }

    /// Stops reading, then has the actions lift and stop, or leave what they have in the firewall (`keep`);
    /// bans stay in the database.
    pub(super) async fn stop(&mut self, keep: bool) {
        let name = Value::from(self.core.name());
        debug!("fail2ban.jail", "Stopping jail {}", name.repr());
        self.tell_others(|| JailUpdate::Stopped);
        self.pending.clear();
        self.all_judged();
        self.intake.stop();
        self.keep_bans();
        let (done, stopped) = oneshot::channel();
        let mut bans = self.core.unban_all();
        if self.core.simulates() {
            bans.clear();
        }
        self.actions.send(match keep {
            false => Order::Stop(bans, done),
            true => Order::Leave(bans, done),
        });
        let _ = stopped.await;
        self.started.store(false, Ordering::Relaxed);
        if let Some(store) = &self.context.store {
            store.disable_jail(self.core.name());
        }
        info!(
            "fail2ban.jail",
            "Jail {} stopped",
            Value::from(self.core.name()).repr()
        );
    }

    /// One phase of a reload; one that fails leaves everything as it was.
    pub(super) async fn reload(&mut self, phase: ReloadPhase) {
        match phase {
            ReloadPhase::Begin => {
                self.before_reload = Some(Box::new(BeforeReload {
                    idle: self.idle,
                    simulates: self.core.simulates(),
                    options: self.core.snapshot(),
                }));
                self.idle = true;
                self.core.clear_lists();
                // it is told of where it is on
                self.core.options.simulate = false;
                self.core.options.fleet = Default::default();
                self.core.options.crowdsec = Default::default();
                self.intake.begin_reload();
                self.actions.send(Order::Reloading(true, Vec::new()));
            }
            ReloadPhase::End => {
                let before = self.before_reload.take();
                if before.is_some_and(|before| before.simulates) && !self.core.simulates() {
                    // nobody was told, and nobody shall be banned for what was a trial
                    let _ = self.core.unban_all();
                }
                self.intake.end_reload(false);
                self.actions.send(Order::Figures(self.core.figures()));
                let bans = self.core.banned_tickets();
                self.actions.send(Order::Reloading(false, bans));
            }
            ReloadPhase::Abort => {
                self.idle = false;
                if let Some(before) = self.before_reload.take() {
                    self.core.put_back(before.options);
                    self.idle = before.idle;
                }
                self.intake.set_encoding(self.core.encoding());
                self.intake.end_reload(true);
                self.actions.send(Order::ReloadFailed);
                self.actions.send(Order::Figures(self.core.figures()));
                self.judge_pending();
            }
        }
        self.outside_until = None;
    }
}
