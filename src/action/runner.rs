//! The task of one action of a jail: takes the orders of its queue in order. Its failures do not affect other
//! actions (fact A25), and nobody waits for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::JailFigures;
use super::command::ActionError;
use super::context::Context;
use super::executor::Executor;
use super::info::{BanInfo, History};
use super::jail_action::JailAction;
use super::queue::{ActionQueue, QueueEntry};
use super::task::{ActionTask, Reloaded};
use super::ticket_batch::{self, TicketChange, TicketOrder, TicketOutcome, failed};
use crate::address::Address;
use crate::control::Value;
use crate::sys::hosts::HostNames;
use crate::{debug, error, notice, warning};

mod audit;
mod call;
mod flush;
mod inheritance;
mod retry;

use retry::Retries;

const TARGET: &str = "fail2ban.actions";

/// Bans and unbans carried out at once: as many as a list has, so that they are one transaction of the firewall.
const TOGETHER: usize = 200_000;

/// State of the task.
#[derive(Debug)]
pub(super) struct Runner {
    jail: String,
    action: JailAction,
    names: HostNames,
    /// Counters as they are now, for all actions of the jail.
    shared: Arc<Mutex<JailFigures>>,
    figures: JailFigures,
    history: History,
    executor: Executor,
    /// Grows with every repair in the jail; ids banned before one of the action get their rules back
    /// (fact A21).
    epoch: Arc<AtomicU64>,
    /// That of the action, for who asks.
    own_epoch: Arc<AtomicU64>,
    /// Epoch of each id's last ban, where it is not 0.
    epochs: HashMap<Address, u64>,
    /// Bans that are not effective.
    retries: Retries,
    /// Its bans change the firewall, many at once.
    firewall: bool,
    /// What the last server left has been seen to.
    has_inherited: bool,
    /// Orders that could not be carried out together with others.
    alone: VecDeque<QueueEntry>,
}

/// What a task needs to know of its jail.
#[derive(Clone, Debug)]
pub(super) struct RunnerContext {
    pub(super) jail: String,
    pub(super) figures: Arc<Mutex<JailFigures>>,
    pub(super) history: History,
    pub(super) epoch: Arc<AtomicU64>,
}

impl Runner {
    pub(super) fn new(action: JailAction, executor: Executor, around: &RunnerContext) -> Runner {
        Runner {
            jail: around.jail.clone(),
            action,
            names: HostNames::default(),
            shared: around.figures.clone(),
            figures: JailFigures::default(),
            history: around.history.clone(),
            executor,
            epoch: around.epoch.clone(),
            own_epoch: Arc::default(),
            epochs: HashMap::new(),
            retries: Retries::default(),
            firewall: false,
            has_inherited: false,
            alone: VecDeque::new(),
        }
    }

    /// The epoch of its last repair, for who asks.
    pub(super) fn own_epoch(&self) -> Arc<AtomicU64> {
        self.own_epoch.clone()
    }

    /// Carries out what comes until it is told to stop or nothing comes any more; before, an action
    /// of the same name comes to its end.
    pub(super) async fn run(mut self, queue: Arc<ActionQueue>, before: Option<JoinHandle<()>>) {
        let patience = self.executor.patience();
        if let Some(before) = before {
            patience.with(before).await;
        }
        while let Some(entries) = self.next(&queue).await {
            if let [entry] = entries.as_slice()
                && matches!(entry.task, ActionTask::End(..))
            {
                return Box::pin(self.end(entries)).await;
            }
            let done = patience.with(Box::pin(self.carry_out(entries))).await;
            self.own_epoch.store(self.action.epoch(), Ordering::Relaxed);
            if done.is_none() {
                warning!(
                    TARGET,
                    "[{}] action {}: what was running has been ended, the action stops",
                    self.jail,
                    Value::from(self.action.name()).repr()
                );
            }
        }
        // nobody tells it of an end
        self.executor.close().await;
    }

    /// What is to be done next.
    async fn next(&mut self, queue: &ActionQueue) -> Option<Vec<QueueEntry>> {
        let together = match self.firewall {
            true => TOGETHER,
            false => 1,
        };
        loop {
            if !self.alone.is_empty() {
                if let Some(first) = queue.next_first(together) {
                    return Some(first);
                }
                let entry = self.alone.pop_front();
                if let Some(order) = entry.as_ref().and_then(QueueEntry::order) {
                    let patience = self.executor.patience();
                    let _ = patience.with(self.alone(order)).await;
                }
                continue;
            }
            let retry = self.retries.next();
            tokio::select! {
                entries = queue.next(together) => return entries,
                () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {
                    let patience = self.executor.patience();
                    let _ = patience.with(self.retry(queue)).await;
                }
            }
        }
    }

    /// Asks for the names of this machine when a property mentions them.
    async fn learn_names(&mut self) {
        if self.names != HostNames::default() || !self.action.mentions("-hostname>") {
            return;
        }
        self.names = self.executor.common().host_names().await;
    }

    /// Carries out orders: one, or bans and unbans, and news of what is banned already.
    async fn carry_out(&mut self, entries: Vec<QueueEntry>) {
        self.figures = (self.shared.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // somebody may ban before the jail is started
        let begins =
            |entry: &QueueEntry| matches!(entry.task, ActionTask::Start | ActionTask::Ban(_));
        if self.firewall && !self.has_inherited && entries.iter().any(begins) {
            self.has_inherited = true;
            self.inherit().await;
        }
        let (mut changes, mut again) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.task {
                ActionTask::Ban(_) | ActionTask::Unban(_) => changes.push(entry),
                ActionTask::Again(_) => again.push(entry),
                _ => {
                    let (task, rest) = entry.open();
                    self.perform(task).await;
                    drop(rest);
                }
            }
        }
        if !changes.is_empty() {
            self.change(changes).await;
        }
        for entry in again {
            if let ActionTask::Again(order) = &entry.task
                && self.lacks_repair(&order.ticket.id)
            {
                self.ban_again(order).await;
            }
        }
    }

    async fn perform(&mut self, task: ActionTask) {
        // an answer nobody waits for any more is dropped
        match task {
            ActionTask::Start => self.start().await,
            ActionTask::Prolong(order) => self.prolong(&order).await,
            ActionTask::Quiet(order, quiet) => {
                if !self.is_quiet(&order).await {
                    quiet.deny();
                }
            }
            ActionTask::Check(repaired) => {
                if self.check().await {
                    repaired.add(self.action.name().to_owned());
                }
            }
            ActionTask::Audit(audit, lifted) => self.audit(&audit.orders, &lifted).await,
            ActionTask::Ineffective(list) => {
                let ids = self.retries.list();
                if !ids.is_empty() {
                    list.add((self.action.name().to_owned(), ids));
                }
            }
            ActionTask::Settings(settings) => {
                if let Some(action) = self.action.command() {
                    action.redefine(*settings);
                }
                self.learn_names().await;
                self.look_at_settings();
            }
            ActionTask::Reload(reloaded) => self.reload(reloaded).await,
            ActionTask::Call {
                method,
                arguments,
                reply,
            } => {
                let _ = reply.send(self.call(&method, arguments).await);
            }
            ActionTask::Get(what, reply) => {
                let _ = reply.send(self.get(&what).await);
            }
            ActionTask::Set(attributes, reply) => {
                let _ = reply.send(self.set(&attributes).await);
            }
            ActionTask::Flush(lifting) => self.flush(lifting).await,
            // who waits for it is told as it is dropped
            ActionTask::Restored { .. } => {}
            ActionTask::Settle => self.settle().await,
            // taken out before
            ActionTask::Ban(_)
            | ActionTask::Unban(_)
            | ActionTask::Again(_)
            | ActionTask::End(..) => {}
        }
    }

    /// What follows from new properties.
    fn look_at_settings(&mut self) {
        let names = self.names.clone();
        self.firewall = (self.action.command())
            .is_some_and(|action| ticket_batch::changes_firewall(action, &names));
    }

    fn split(&mut self) -> (&mut JailAction, Context<'_>) {
        let context = Context {
            jail: &self.jail,
            names: &self.names,
            figures: &self.figures,
            history: &self.history,
            executor: &self.executor,
            epoch: &self.epoch,
        };
        (&mut self.action, context)
    }

    async fn start(&mut self) {
        let (action, mut context) = self.split();
        if let Err(error) = action.start(&mut context).await {
            let jail = context.jail;
            error!(
                TARGET,
                "Failed to start jail '{jail}' action '{}': {error}{}",
                action.name(),
                error.trace()
            );
        }
    }

    /// Bans and unbans, in their order. What cannot be done together is put off: orders that go first
    /// need not wait for many that fail.
    async fn change(&mut self, mut entries: Vec<QueueEntry>) {
        let mut wanted = Vec::with_capacity(entries.len());
        for entry in entries.drain(..) {
            if !self.catch_up(&entry).await {
                wanted.push(entry);
            }
        }
        let orders: Vec<_> = wanted
            .iter()
            .filter_map(QueueEntry::order)
            .cloned()
            .collect();
        if orders.len() < 2 || !self.firewall {
            for order in &orders {
                self.alone(order).await;
            }
            return;
        }
        let outcomes = self.together(&orders).await;
        if !outcomes.contains(&TicketOutcome::Alone) {
            return;
        }
        // what a later order for the same id has overtaken is not to be done any more
        let mut overtaken = HashSet::new();
        let mut put_off = Vec::new();
        for (entry, (order, outcome)) in wanted.into_iter().zip(orders.iter().zip(outcomes)).rev() {
            match outcome {
                TicketOutcome::Alone if !overtaken.contains(&order.ticket.id) => {
                    put_off.push(entry)
                }
                _ => drop(overtaken.insert(&order.ticket.id)),
            }
        }
        self.alone.extend(put_off.into_iter().rev());
    }

    /// Does what has been put off for the id of an order; answers whether that makes the order
    /// needless: a ban that has not begun and its unban.
    async fn catch_up(&mut self, entry: &QueueEntry) -> bool {
        let Some(order) = entry.order() else {
            return true;
        };
        let same = |other: &QueueEntry| {
            let other = other.order();
            other.is_some_and(|other| other.ticket.id == order.ticket.id)
        };
        let mut needless = false;
        while let Some(at) = self.alone.iter().position(same) {
            let earlier = self.alone.remove(at);
            let Some(earlier) = earlier.as_ref().and_then(QueueEntry::order) else {
                continue;
            };
            needless = earlier.kind == TicketChange::Ban && order.kind == TicketChange::Unban;
            if !needless {
                self.alone(earlier).await;
            }
        }
        needless
    }

    /// Carries orders out together.
    async fn together(&mut self, orders: &[Arc<TicketOrder>]) -> Vec<TicketOutcome> {
        let (action, mut context) = self.split();
        let outcomes = ticket_batch::apply_together(action, orders, &mut context).await;
        for (order, outcome) in orders.iter().zip(&outcomes) {
            match outcome {
                TicketOutcome::Done => self.done(order),
                TicketOutcome::Failed => self.failed(order),
                TicketOutcome::Alone => {}
            }
        }
        outcomes
    }

    /// Carries one order out; answers whether what was to be banned is.
    async fn alone(&mut self, order: &Arc<TicketOrder>) -> bool {
        let (jail, history) = (self.jail.clone(), self.history.clone());
        let mut info = order.info(&jail, &history);
        let (action, mut context) = self.split();
        let done = ticket_batch::apply(action, order, &mut info, &mut context).await;
        order.keep(info);
        match done {
            true => self.done(order),
            false => self.failed(order),
        }
        done
    }

    fn done(&mut self, order: &TicketOrder) {
        let id = &order.ticket.id;
        match order.kind {
            TicketChange::Ban => self.banned_now(id),
            TicketChange::Unban => {
                self.epochs.remove(id);
                self.retries.forget(id);
            }
        }
    }

    /// A ban has failed: it is tried again later where the action could lift it again.
    fn failed(&mut self, order: &Arc<TicketOrder>) {
        self.banned_now(&order.ticket.id);
        if self.action.lifts() {
            self.retries.failed(order);
        }
    }

    /// Whatever repair came before, this id has its rules.
    fn banned_now(&mut self, id: &Address) {
        let epoch = self.action.epoch();
        if epoch > 0 {
            self.epochs.insert(id.clone(), epoch);
        }
    }

    /// Whether there was a repair since an id's last ban.
    fn lacks_repair(&self, id: &Address) -> bool {
        self.epochs.get(id).copied().unwrap_or(0) < self.action.epoch()
    }

    /// Puts the rules of an id back after a repair.
    async fn ban_again(&mut self, order: &Arc<TicketOrder>) {
        let (jail, history) = (self.jail.clone(), self.history.clone());
        let id = &order.ticket.id;
        let mut info = order.info(&jail, &history);
        let (action, mut context) = self.split();
        let quoted = Value::from(action.name()).repr();
        notice!(TARGET, "[{jail}] Reban {id}, action {quoted}");
        debug!(TARGET, "[{jail}] action {quoted}: reban {id}");
        let done = action.ban(&mut info, true, &mut context).await;
        match done {
            Ok(()) => self.banned_now(id),
            Err(error) => failed("reban", &jail, action.name(), &info, &error),
        }
        order.keep(info);
    }

    async fn prolong(&mut self, order: &Arc<TicketOrder>) {
        if self.action.skips(&order.ticket) || !self.action.prolongs() {
            return;
        }
        let (jail, history) = (self.jail.clone(), self.history.clone());
        let mut info = order.info(&jail, &history);
        let (action, mut context) = self.split();
        if let Err(error) = action.prolong(&mut info, &mut context).await {
            failed("ban", &jail, action.name(), &info, &error);
        }
        order.keep(info);
    }

    /// Whether it hears of an id no more.
    async fn is_quiet(&mut self, order: &Arc<TicketOrder>) -> bool {
        let (jail, history) = (self.jail.clone(), self.history.clone());
        let mut info = order.info(&jail, &history);
        let (action, context) = self.split();
        let quiet = action.is_quiet(&mut info, &context).await;
        order.keep(info);
        quiet
    }

    /// Checks it; answers whether it was repaired or restarted.
    async fn check(&mut self) -> bool {
        let (action, mut context) = self.split();
        let before = action.epoch();
        if let Err(error) = action.check(&mut context).await {
            unhandled(context.jail, &error);
        }
        action.epoch() != before
    }

    /// The end of a reload.
    async fn reload(&mut self, reloaded: Reloaded) {
        let (action, mut context) = self.split();
        let told = match (reloaded, action) {
            (Reloaded::Arguments(arguments), JailAction::Python(action)) => {
                let told = action.reload(arguments, &mut context).await;
                told.map_err(ActionError::from)
            }
            (Reloaded::Anew(successor), JailAction::Python(action)) => {
                let replaced = action.give_way(*successor, &mut context).await;
                replaced.map_err(ActionError::from)
            }
            (Reloaded::Told, JailAction::Command(action)) => action.reload(&mut context).await,
            _ => Ok(()),
        };
        if let Err(error) = told {
            unhandled(context.jail, &error);
        }
    }
}

fn unhandled(jail: &str, error: &ActionError) {
    error!(
        TARGET,
        "[{jail}] unhandled error in actions thread: {error}"
    );
}
