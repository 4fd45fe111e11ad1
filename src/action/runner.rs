//! The actions task of one jail: takes orders one after the other and has its actions carry them
//! out, in the order of the configuration; one that fails never stops the next (fact A25).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OnceCell, oneshot};
use tokio::time::{Instant, sleep_until};

use super::any::Action;
use super::backlog::Backlog;
use super::batch::{self, Kind, TicketOrder};
use super::command::{ActionError, Context};
use super::execute::Executor;
use super::firewall::holders::Holders;
use super::info::{BanInfo, History};
use super::python::PythonError;
use super::tags::HostNames;
use super::{JailFigures, Order};
use crate::address::Address;
use crate::control::Value;
use crate::store::Store;
use crate::ticket::Ticket;
use crate::{debug, error, notice};

mod audit;
mod call;
mod ending;
mod retry;
mod settings;
mod wave;

use ending::Flush;
use retry::Retries;
use settings::{Former, Reloaded};

const TARGET: &str = "fail2ban.actions";

/// Orders taken from the queue at once.
const TOGETHER: usize = 4000;

/// State of the task.
#[derive(Debug)]
pub struct Runner {
    jail: String,
    actions: IndexMap<String, Action>,
    names: HostNames,
    figures: JailFigures,
    history: History,
    executor: Executor,
    /// Grows with every repair; ids banned at an older epoch get their rules back (fact A21).
    epoch: u64,
    /// Epoch of each id's last ban, where it is not 0.
    epochs: HashMap<Address, u64>,
    /// Bans that are not effective.
    retries: Retries,
    /// Actions named since a reload began.
    reloading: Option<IndexMap<String, Reloaded>>,
    /// Actions as they were when a reload began.
    before_reload: IndexMap<String, Former>,
    /// Actions for which the reload has brought others of the same name.
    replaced: IndexMap<String, Action>,
}

impl Runner {
    /// A task without actions.
    pub fn new(jail: &str, store: Option<Store>, holders: Holders) -> Runner {
        Runner {
            jail: jail.to_owned(),
            actions: IndexMap::new(),
            names: HostNames::default(),
            figures: JailFigures::default(),
            history: History::Live(store),
            executor: Executor::new(jail, holders),
            epoch: 0,
            epochs: HashMap::new(),
            retries: Retries::default(),
            reloading: None,
            before_reload: IndexMap::new(),
            replaced: IndexMap::new(),
        }
    }

    /// Carries out orders until it is told to stop or nobody can tell it anything any more.
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>, backlog: Arc<Backlog>) {
        let mut waiting = VecDeque::new();
        loop {
            // in the middle of a reload commands are half of the old text, half of the new
            let retry = match self.reloading {
                Some(_) => None,
                None => self.retries.next(),
            };
            let order = tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => order,
                    None => return,
                },
                () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {
                    self.retry().await;
                    continue;
                }
            };
            waiting.push_back(order);
            while waiting.len() < TOGETHER
                && let Ok(order) = orders.try_recv()
            {
                waiting.push_back(order);
            }
            backlog.shrink(waiting.len());
            if waiting.iter().any(|order| matches!(order, Order::Audit(_))) {
                backlog.end_audit();
            }
            self.learn_names().await;
            loop {
                let wave = self.gather(&mut waiting);
                self.carry_out_wave(wave).await;
                let Some(order) = waiting.pop_front() else {
                    break;
                };
                if let Some(done) = self.carry_out(order).await {
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    /// Asks for the names of this machine once, when a property mentions them: a resolver may be
    /// slow.
    async fn learn_names(&mut self) {
        static NAMES: OnceCell<HostNames> = OnceCell::const_new();
        if self.names != HostNames::default()
            || !self
                .actions
                .values()
                .any(|action| action.mentions("-hostname>"))
        {
            return;
        }
        let names = NAMES.get_or_init(|| async {
            let names = tokio::task::spawn_blocking(HostNames::of_this_machine);
            names.await.unwrap_or_default()
        });
        self.names = names.await.clone();
    }

    /// Carries out one order; answers whom to tell when it was the last one.
    pub(super) async fn carry_out(&mut self, order: Order) -> Option<oneshot::Sender<()>> {
        // an answer nobody waits for any more is dropped
        match order {
            Order::Figures(figures) => self.figures = figures,
            Order::Start => self.start().await,
            // bans and unbans were taken out before
            Order::Ban { .. } | Order::Unban { .. } => {}
            Order::Prolong(ticket) => self.prolong(&ticket).await,
            Order::Quiet(ticket, reply) => {
                let quiet = self.is_quiet(&ticket).await;
                let _ = reply.send((ticket.id, quiet));
            }
            Order::Flush(tickets) => self.flush(&tickets, Flush::Unban).await,
            Order::Check(reply) => {
                let repaired = self.check().await;
                let _ = reply.send(repaired);
            }
            Order::Audit(tickets) if self.reloading.is_none() => self.audit(tickets).await,
            // in the middle of a reload; it comes again
            Order::Audit(_) => {}
            Order::Ineffective(reply) => {
                let _ = reply.send(self.retries.list());
            }
            Order::Reload => self.reload().await,
            Order::Stop(tickets, done) => {
                self.flush(&tickets, Flush::Stop).await;
                let names: Vec<String> = self.actions.keys().cloned().collect();
                self.stop(&names).await;
                self.executor.close().await;
                return Some(done);
            }
            Order::Add {
                name,
                python,
                reply,
            } => {
                let _ = reply.send(self.add(name, python).await);
            }
            Order::Remove { name, bans, reply } => {
                let _ = reply.send(self.remove(name, &bans).await);
            }
            Order::Set {
                name,
                properties,
                reply,
            } => {
                let _ = reply.send(self.set(&name, &properties).await);
            }
            Order::Get { name, what, reply } => {
                let _ = reply.send(self.get(&name, &what).await);
            }
            Order::Call {
                name,
                method,
                arguments,
                reply,
            } => {
                let _ = reply.send(self.call(&name, &method, arguments).await);
            }
            Order::Names(reply) => {
                let _ = reply.send(self.actions.keys().cloned().collect());
            }
            Order::Reloading(true, _) => self.begin_reload(),
            Order::Reloading(false, bans) => self.end_reload(&bans).await,
            Order::ReloadFailed => self.undo_reload().await,
        }
        None
    }

    fn split(&mut self) -> (&mut IndexMap<String, Action>, Context<'_>) {
        let context = Context {
            jail: &self.jail,
            names: &self.names,
            figures: &self.figures,
            history: &self.history,
            executor: &self.executor,
            epoch: &mut self.epoch,
        };
        (&mut self.actions, context)
    }

    async fn start(&mut self) {
        let (actions, mut context) = self.split();
        for action in actions.values_mut() {
            start_action(action, &mut context).await;
        }
    }

    /// Bans and unbans.
    async fn tickets(&mut self, orders: &[TicketOrder]) {
        self.work(orders, None, None).await;
        for order in orders {
            match order.kind {
                Kind::Ban => self.banned_now(&order.ticket.id),
                Kind::Unban => {
                    self.epochs.remove(&order.ticket.id);
                    self.retries.forget(&order.ticket.id);
                }
            }
        }
    }

    /// Carries out orders about tickets, in their order within each action: by all actions or by
    /// these only. `verb` is logged of each. Bans that fail are tried again later where the action
    /// could lift them again, and come back by position.
    async fn work(
        &mut self,
        orders: &[TicketOrder],
        only: Option<&[String]>,
        verb: Option<&str>,
    ) -> Vec<usize> {
        let mut failures: Vec<(String, usize)> = Vec::new();
        let (jail, history) = (self.jail.clone(), self.history.clone());
        let mut infos: Vec<BanInfo<'_>> = orders
            .iter()
            .map(|order| BanInfo::new(&jail, &order.ticket, &order.figures, &history))
            .collect();
        let (actions, mut context) = self.split();
        let mut others = Vec::new();
        for action in actions.values_mut() {
            if only.is_some_and(|only| !only.iter().any(|name| name == action.name())) {
                continue;
            }
            if let [sample, _, ..] = orders
                && let Some(command) = action.command()
                && batch::changes_firewall(command, sample, &context)
            {
                let failed = batch::apply_together(action, orders, &mut infos, &mut context);
                let failed = failed.await.into_iter();
                failures.extend(failed.map(|at| (action.name().to_owned(), at)));
            } else {
                others.push(action);
            }
        }
        for (at, (order, info)) in orders.iter().zip(&mut infos).enumerate() {
            if let Some(verb) = verb {
                notice!(TARGET, "[{jail}] {verb} {}", order.ticket.id);
            }
            for action in &mut others {
                if !batch::apply(action, order, info, &mut context).await && action.lifts() {
                    failures.push((action.name().to_owned(), at));
                }
            }
        }
        for (name, at) in &failures {
            self.retries.failed(name, &orders[*at]);
        }
        failures.into_iter().map(|(_, at)| at).collect()
    }

    /// Whatever repair came before, this id has its rules.
    fn banned_now(&mut self, id: &Address) {
        if self.epoch > 0 {
            self.epochs.insert(id.clone(), self.epoch);
        }
    }

    /// The epoch of an id's last ban.
    fn banned_at(&self, id: &Address) -> u64 {
        self.epochs.get(id).copied().unwrap_or(0)
    }

    /// Whether there was a repair since an id's last ban.
    fn lacks_repair(&self, id: &Address) -> bool {
        self.banned_at(id) < self.epoch
    }

    /// Puts the rules of an id back where an action was repaired since its ban.
    async fn ban_again(&mut self, ticket: &Ticket) {
        let banned_at = self.banned_at(&ticket.id);
        let names: Vec<String> = self
            .actions
            .iter()
            .filter(|(_, action)| action.epoch() > banned_at)
            .map(|(name, _)| name.clone())
            .collect();
        let (jail, figures, history) = (
            self.jail.clone(),
            self.figures.clone(),
            self.history.clone(),
        );
        let mut info = BanInfo::new(&jail, ticket, &figures, &history);
        let only = match names.as_slice() {
            [name] => format!(", action {}", Value::from(name.as_str()).repr()),
            _ => String::new(),
        };
        notice!(TARGET, "[{}] Reban {}{}", jail, ticket.id, only);
        let (actions, mut context) = self.split();
        for name in &names {
            let Some(action) = actions.get_mut(name) else {
                continue;
            };
            let quoted = Value::from(name.as_str()).repr();
            debug!(TARGET, "[{}] action {}: reban {}", jail, quoted, ticket.id);
            if let Err(error) = action.ban(&mut info, true, &mut context).await {
                failed("reban", &jail, name, &info, &error);
                return;
            }
        }
        self.banned_now(&ticket.id);
    }

    async fn prolong(&mut self, ticket: &Ticket) {
        let (jail, figures, history) = (
            self.jail.clone(),
            self.figures.clone(),
            self.history.clone(),
        );
        let mut info = BanInfo::new(&jail, ticket, &figures, &history);
        let (actions, mut context) = self.split();
        for (name, action) in actions {
            if (ticket.restored && action.skips_restored()) || !action.prolongs() {
                continue;
            }
            if let Err(error) = action.prolong(&mut info, &mut context).await {
                failed("ban", &jail, name, &info, &error);
            }
        }
    }

    /// Whether no action hears of an id any more.
    async fn is_quiet(&mut self, ticket: &Ticket) -> bool {
        let (jail, figures, history) = (
            self.jail.clone(),
            self.figures.clone(),
            self.history.clone(),
        );
        let mut info = BanInfo::new(&jail, ticket, &figures, &history);
        let (actions, context) = self.split();
        let mut quiet = true;
        for action in actions.values_mut() {
            // all are asked: each may count anew from here
            quiet &= action.is_quiet(&mut info, &context).await;
        }
        quiet
    }

    /// Checks all actions; answers the names of those that were repaired or restarted.
    async fn check(&mut self) -> Vec<String> {
        let mut repaired = Vec::new();
        let (actions, mut context) = self.split();
        for (name, action) in actions {
            let before = action.epoch();
            if let Err(error) = action.check(&mut context).await {
                unhandled(context.jail, &error);
            }
            if action.epoch() != before {
                repaired.push(name.clone());
            }
        }
        repaired
    }
}

async fn start_action(action: &mut Action, context: &mut Context<'_>) {
    if let Err(error) = action.start(context).await {
        let jail = context.jail;
        error!(
            TARGET,
            "Failed to start jail '{jail}' action '{}': {error}{}",
            action.name(),
            error.trace()
        );
    }
}

/// Logs that an action failed on a ticket.
pub fn failed(what: &str, jail: &str, action: &str, info: &BanInfo<'_>, error: &ActionError) {
    let info = match error {
        ActionError::Python(PythonError {
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

fn unhandled(jail: &str, error: &ActionError) {
    error!(
        TARGET,
        "[{jail}] unhandled error in actions thread: {error}"
    );
}
