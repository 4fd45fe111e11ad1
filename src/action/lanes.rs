//! The actions of one jail: an order goes to the queue of each at once. Settings are kept here too, so that
//! setting or reading a property never waits for a running command.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::backlog::Backlog;
use super::ban_times::BanTimeCounts;
use super::command::CommandAction;
use super::common::Common;
use super::executor::Executor;
use super::info::History;
use super::patience::Patience;
use super::preview::ActionPreview;
use super::python::PythonOutline;
use super::queue::{ActionQueue, Corked, OrderClass};
use super::runner::{Runner, RunnerContext};
use super::step::{Gate, Step};
use super::task::{ActionTask, Audit, Collected, Done, Lifting, Quiet, TicketTold};
use super::ticket_batch::{self, TicketChange, TicketOrder};
use super::{JailFigures, Order};
use crate::address::Address;
use crate::debug;
use crate::firewall::Change;
use crate::firewall::drops::Dropped;
use crate::firewall::place::FirewallPlace;
use crate::store::Store;
use crate::sys::hosts::HostNames;
use crate::ticket::Ticket;

mod settings;

use settings::Reload;

const TARGET: &str = "fail2ban.actions";

/// How often it is asked at most what the kernel has dropped.
const LOOK: Duration = Duration::from_secs(5);

/// Handle to the actions of one jail.
#[derive(Clone, Debug)]
pub struct Actions(Arc<ActionsShared>);

#[derive(Debug)]
struct ActionsShared {
    around: RunnerContext,
    common: Common,
    backlog: Arc<Backlog>,
    /// Told when an action has done an order.
    moved: Arc<Notify>,
    state: Mutex<ActionsState>,
    looked: Mutex<DropsRead>,
}

/// The last look at what the kernel has dropped.
#[derive(Debug, Default)]
struct DropsRead {
    at: Option<Instant>,
    /// Where bans were made then.
    places: Vec<FirewallPlace>,
}

#[derive(Debug, Default)]
struct ActionsState {
    /// In the order of the configuration.
    lanes: IndexMap<String, ActionLane>,
    /// Actions that have gone and may still be busy.
    gone: HashMap<String, JoinHandle<()>>,
    /// A reload under way.
    reload: Option<Reload>,
    /// The tasks run.
    launched: bool,
    /// Nothing is carried out any more.
    stopped: bool,
}

/// Orders that belong together, while it lives.
#[derive(Debug)]
pub struct Together(#[expect(dead_code, reason = "what counts is that it is dropped")] Vec<Corked>);

/// One action.
#[derive(Debug)]
struct ActionLane {
    settings: LaneSettings,
    queue: Arc<ActionQueue>,
    patience: Arc<Patience>,
    /// Epoch of its last repair.
    epoch: Arc<AtomicU64>,
    /// What it is known by on the way of an order; 0 where there are too many.
    bit: u64,
    /// Its bans change the firewall, many at once.
    firewall: bool,
    /// Its bans can be lifted.
    lifts: bool,
    /// Its task while it does not run yet.
    prepared: Option<Box<Runner>>,
    task: Option<JoinHandle<()>>,
}

/// What an action is set to.
#[derive(Clone, Debug)]
enum LaneSettings {
    /// An action that is never carried out, with the properties of the one that is.
    Command(Box<CommandAction>),
    Python(PythonOutline),
}

impl ActionLane {
    fn push(&self, task: ActionTask, class: OrderClass, gate: Option<Gate>) {
        self.queue.push(task, class, gate, self.lifts);
    }

    /// Starts its task; before it does anything `before` has to end.
    fn launch(&mut self, before: Option<JoinHandle<()>>) {
        if let Some(runner) = self.prepared.take() {
            self.task = Some(tokio::spawn(runner.run(self.queue.clone(), before)));
            self.hand_over();
        }
    }

    /// Has it drop what waits, lift all bans but those it never began, and stop; with `keep` it leaves
    /// them where they can be taken over.
    fn end(&self, told: &Arc<TicketTold>, gate: Option<Gate>, stop: Option<Gate>, keep: bool) {
        self.patience.begin();
        self.queue.close(|cancelled| {
            let lifting = Lifting {
                keep,
                ..lifting(told, gate, &cancelled, true)
            };
            ActionTask::End(lifting, stop)
        });
    }

    /// Hands the properties to the task, for what begins from now on.
    fn hand_over(&mut self) {
        if self.prepared.is_some() {
            // it is done when the task starts
            return;
        }
        if let LaneSettings::Command(action) = &self.settings {
            // what is worked out for a look is not for the task, which knows the names of the machine
            self.firewall =
                ticket_batch::changes_firewall(&mut action.clone(), &HostNames::default());
            self.lifts = action.lifts();
            let settings = ActionTask::Settings(Box::new(action.definition.clone()));
            self.push(settings, OrderClass::First, None);
        }
    }
}

impl Drop for ActionLane {
    fn drop(&mut self) {
        self.queue.leave();
    }
}

impl ActionsState {
    /// Gates of an order for each action; none where there is but one.
    fn gates(&self, moved: &Arc<Notify>) -> Vec<Option<Gate>> {
        let all = || self.lanes.values();
        let firewall = all().filter(|lane| lane.firewall);
        let firewall = firewall.fold(0, |bits, lane| bits | lane.bit);
        self.gates_in(all(), moved, firewall)
    }

    /// The same at the end of actions, where the firewall is waited for no longer than others.
    fn last_gates(&self, moved: &Arc<Notify>) -> Vec<Option<Gate>> {
        self.gates_in(self.lanes.values(), moved, 0)
    }

    /// The same with the last action first.
    fn reverse_gates(&self, moved: &Arc<Notify>) -> Vec<Option<Gate>> {
        let mut gates = self.gates_in(self.lanes.values().rev(), moved, 0);
        gates.reverse();
        gates
    }

    fn gates_in<'l>(
        &self,
        lanes: impl Iterator<Item = &'l ActionLane>,
        moved: &Arc<Notify>,
        firewall: u64,
    ) -> Vec<Option<Gate>> {
        if self.lanes.len() < 2 {
            return lanes.map(|_| None).collect();
        }
        let step = Step::new(moved);
        let mut before = 0;
        let gate = |lane: &ActionLane| {
            let after = before & !firewall;
            before |= lane.bit;
            Some(match lane.firewall {
                true => Gate::new(&step, lane.bit, 0, 0),
                false => Gate::new(&step, lane.bit, after, firewall),
            })
        };
        lanes.map(gate).collect()
    }

    fn tell_all(&self, moved: &Arc<Notify>, class: OrderClass, task: impl Fn() -> ActionTask) {
        for (lane, gate) in self.lanes.values().zip(self.gates(moved)) {
            lane.push(task(), class, gate);
        }
    }
}

impl Actions {
    /// The actions of a jail, inside a tokio runtime; `store` answers the tags that look into the
    /// database. Their tasks end with [`Order::Stop`], or when the last handle is gone.
    pub fn spawn(jail: &str, store: Option<Store>, common: Common) -> Actions {
        let (actions, prepared) = Actions::prepare(jail, store, common);
        prepared.launch();
        actions
    }

    /// As [`Actions::spawn`], but nothing is carried out yet.
    pub fn prepare(
        jail: &str,
        store: Option<Store>,
        common: Common,
    ) -> (Actions, UnstartedActions) {
        let actions = Actions(Arc::new(ActionsShared {
            around: RunnerContext {
                jail: jail.to_owned(),
                figures: Arc::default(),
                history: History::Live(store, common.resolver.clone()),
                epoch: Arc::default(),
            },
            common,
            backlog: Arc::default(),
            moved: Arc::default(),
            state: Mutex::default(),
            looked: Mutex::default(),
        }));
        let prepared = UnstartedActions(actions.clone());
        (actions, prepared)
    }

    fn state(&self) -> MutexGuard<'_, ActionsState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn figures(&self) -> MutexGuard<'_, JailFigures> {
        let figures = self.0.around.figures.lock();
        figures.unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of commands as they are set now, to see what they would do.
    pub fn dry(&self) -> Vec<ActionPreview> {
        let state = self.state();
        let settings = state.lanes.values().map(|lane| &lane.settings);
        let commands = settings.filter_map(|settings| match settings {
            LaneSettings::Command(action) => Some(action),
            LaneSettings::Python(_) => None,
        });
        let dry = commands
            .map(|action| ActionPreview::of(&action.name, action.definition.properties.clone()));
        dry.collect()
    }

    /// What is ordered until this is dropped is done together, where an action does many bans at once. Nothing may be
    /// waited for meanwhile.
    pub fn together(&self) -> Together {
        let state = self.state();
        Together(
            state
                .lanes
                .values()
                .map(|lane| ActionQueue::cork(&lane.queue))
                .collect(),
        )
    }

    /// Gives an order.
    pub fn send(&self, order: Order) {
        let moved = &self.0.moved;
        let mut state = self.state();
        if state.stopped {
            return;
        }
        match order {
            Order::Figures(figures) => *self.figures() = figures,
            Order::Start => state.tell_all(moved, OrderClass::First, || ActionTask::Start),
            Order::Ban {
                ticket,
                figures,
                again,
                by_hand,
            } => {
                self.figures().clone_from(&figures);
                let class = match by_hand {
                    true => OrderClass::First,
                    false => OrderClass::Usual,
                };
                let actions = state.lanes.len();
                let order = TicketOrder::new(TicketChange::Ban, ticket, figures, actions, None);
                let task = || match again {
                    true => ActionTask::Again(order.clone()),
                    false => ActionTask::Ban(order.clone()),
                };
                state.tell_all(moved, class, task);
            }
            Order::Unban { ticket, figures } => {
                if let Some(figures) = figures {
                    *self.figures() = figures;
                }
                let order = self.order(&state, TicketChange::Unban, ticket);
                state.tell_all(moved, OrderClass::First, || {
                    ActionTask::Unban(order.clone())
                });
            }
            Order::Prolong(ticket) => {
                let order = self.order(&state, TicketChange::Ban, ticket);
                state.tell_all(moved, OrderClass::Usual, || {
                    ActionTask::Prolong(order.clone())
                });
            }
            Order::Quiet(ticket, reply) => {
                let quiet = Quiet::new(ticket.id.clone(), reply);
                let order = self.order(&state, TicketChange::Ban, ticket);
                let task = || ActionTask::Quiet(order.clone(), quiet.clone());
                state.tell_all(moved, OrderClass::First, task);
            }
            Order::Check(reply) => {
                let repaired = Collected::new(reply);
                state.tell_all(moved, OrderClass::Usual, || {
                    ActionTask::Check(repaired.clone())
                });
            }
            Order::Ineffective(reply) => {
                let list = Collected::new(reply);
                for lane in state.lanes.values() {
                    lane.push(
                        ActionTask::Ineffective(list.clone()),
                        OrderClass::First,
                        None,
                    );
                }
            }
            // in the middle of a reload; it comes again
            Order::Audit(_) if state.reload.is_some() => self.0.backlog.end_audit(),
            Order::Audit(tickets) => {
                let orders = tickets
                    .into_iter()
                    .map(|ticket| self.order(&state, TicketChange::Ban, ticket));
                let audit = Audit::new(orders.collect(), &self.0.backlog);
                for lane in state.lanes.values().filter(|lane| lane.firewall) {
                    let task = ActionTask::Audit(audit.clone(), HashSet::new());
                    lane.push(task, OrderClass::Usual, None);
                }
            }
            Order::Flush(tickets) => self.flush(&state, tickets),
            Order::Restored(guard) => {
                for lane in state.lanes.values().filter(|lane| lane.firewall) {
                    lane.push(
                        ActionTask::Restored {
                            _until_done: guard.clone(),
                        },
                        OrderClass::Usual,
                        None,
                    );
                }
            }
            Order::Settle => {
                for lane in state.lanes.values().filter(|lane| lane.firewall) {
                    lane.push(ActionTask::Settle, OrderClass::Usual, None);
                }
            }
            Order::Stop(tickets, done) => self.stop(&mut state, tickets, done, false),
            Order::Leave(tickets, done) => self.stop(&mut state, tickets, done, true),
            order => self.settle(&mut state, order),
        }
    }

    fn order(&self, state: &ActionsState, kind: TicketChange, ticket: Ticket) -> Arc<TicketOrder> {
        let figures = self.figures().clone();
        TicketOrder::new(kind, ticket, figures, state.lanes.len(), None)
    }

    /// Orders to lift bans, of each of which `verb` is logged.
    fn told(
        &self,
        tickets: Vec<Ticket>,
        verb: Option<&'static str>,
        done: Option<Done>,
    ) -> Arc<TicketTold> {
        let figures = self.figures().clone();
        let order =
            |ticket| TicketOrder::new(TicketChange::Unban, ticket, figures.clone(), 1, verb);
        let orders = tickets.into_iter().map(order).collect();
        TicketTold::new(&self.0.around.jail, orders, done)
    }

    /// Lifts all bans.
    fn flush(&self, state: &ActionsState, tickets: Vec<Ticket>) {
        debug!(TARGET, "  Flush ban list");
        let told = self.told(tickets, Some("Unban"), None);
        for (lane, gate) in state.lanes.values().zip(state.gates(&self.0.moved)) {
            let cancelled = lane.queue.cancel(lane.lifts);
            let lifting = lifting(&told, gate, &cancelled, false);
            lane.push(ActionTask::Flush(lifting), OrderClass::First, None);
        }
    }

    /// Has all actions end.
    fn stop(
        &self,
        state: &mut ActionsState,
        tickets: Vec<Ticket>,
        done: oneshot::Sender<()>,
        keep: bool,
    ) {
        state.stopped = true;
        let verb = (!keep).then_some("Repeal Ban");
        let told = self.told(tickets, verb, Some(Done::Stopped(done)));
        let all: Vec<String> = state.lanes.keys().cloned().collect();
        if !keep {
            debug!(TARGET, "  Flush ban list");
        }
        let gates = state.last_gates(&self.0.moved);
        self.end(state, &all, &told, gates, keep);
    }

    /// Takes actions out and has them end, with their bans lifted.
    fn end(
        &self,
        state: &mut ActionsState,
        names: &[String],
        told: &Arc<TicketTold>,
        gates: Vec<Option<Gate>>,
        keep: bool,
    ) {
        let stops = state.reverse_gates(&self.0.moved);
        for (((name, lane), gate), stop) in state.lanes.iter().zip(gates).zip(stops) {
            if names.contains(name) {
                lane.end(told, gate, stop, keep);
            }
        }
        for name in names {
            let lane = state.lanes.shift_remove(name);
            if let Some(task) = lane.and_then(|mut lane| lane.task.take()) {
                state.gone.insert(name.clone(), task);
            }
        }
    }

    /// Orders a comparison of all bans with the firewall, unless one waits already.
    pub fn audit(&self, bans: impl FnOnce() -> Vec<Ticket>) {
        if self.0.backlog.begin_audit() {
            self.send(Order::Audit(bans()));
        }
    }

    /// Whether so much waits that no more bans should be made now.
    pub fn is_full(&self) -> bool {
        self.0.backlog.is_full()
    }

    /// Waits until more bans may be made.
    pub async fn room(&self) {
        self.0.backlog.room().await;
    }

    /// By action how many orders wait, and how long bans have taken.
    pub fn workload(&self) -> Vec<(String, usize, BanTimeCounts)> {
        let state = self.state();
        let lanes = state.lanes.iter();
        let of_lane = |(name, lane): (&String, &ActionLane)| {
            (name.clone(), lane.queue.len(), lane.queue.ban_times())
        };
        lanes.map(of_lane).collect()
    }

    /// What the kernel has dropped for the bans; `None` where it does not count. A look that takes longer than
    /// `patience` is for who asks next.
    pub async fn dropped(&self, patience: Duration) -> Option<Dropped> {
        let looked = || self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked().at.is_none_or(|at| at.elapsed() >= LOOK);
        let drops = self.0.common.refcounts.drops();
        if is_due {
            let bans = self.example_bans();
            let mut places: Vec<FirewallPlace> = Vec::new();
            for ban in &bans {
                let place = ban.place();
                if !places.contains(&place) {
                    places.push(place);
                }
            }
            let at = Some(Instant::now());
            *looked() = DropsRead { at, places };
            let drops = drops.clone();
            let look = tokio::spawn(async move { drops.look(bans).await });
            let _ = timeout(patience, look).await;
        }
        drops.total(looked().places.iter())
    }

    /// A ban of each family by each action that changes the firewall.
    fn example_bans(&self) -> Vec<Change> {
        let jail = &self.0.around.jail;
        let dry = self.dry().into_iter();
        let examples = dry.flat_map(|mut action| action.examples(jail).unwrap_or_default());
        let bans = examples.filter(|example| example.operation == "actionban");
        bans.filter_map(|example| example.plan.into_change())
            .collect()
    }

    /// Waits until every order is carried out that was given so far, and those given meanwhile.
    pub async fn settled(&self) {
        self.0.backlog.settled().await;
    }

    fn executor(&self) -> Executor {
        Executor::new(&self.0.around.jail, self.0.common.clone())
    }
}

/// What one action is to lift: all but bans that it never began.
fn lifting(
    told: &Arc<TicketTold>,
    gate: Option<Gate>,
    cancelled: &HashSet<Address>,
    last: bool,
) -> Lifting {
    let begun = |order: &&Arc<TicketOrder>| !cancelled.contains(&order.ticket.id);
    Lifting {
        lifts: told.orders().iter().filter(begun).cloned().collect(),
        gate,
        told: told.clone(),
        last,
        keep: false,
    }
}

/// The actions of a jail of which nothing is carried out yet: whoever sets them up need not wait.
#[derive(Debug)]
pub struct UnstartedActions(Actions);

impl UnstartedActions {
    /// Gives an order that adds or sets an action.
    pub fn send(&self, order: Order) {
        self.0.send(order);
    }

    /// Has what was ordered carried out, inside a tokio runtime.
    pub fn launch(self) {
        let mut state = self.0.state();
        state.launched = true;
        for lane in state.lanes.values_mut() {
            lane.launch(None);
        }
    }
}
