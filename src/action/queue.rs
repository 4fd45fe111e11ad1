//! The queue of one action of a jail.
//!
//! Unbans, commands of people and settings go first, then bans in their order. Orders that cancel each other
//! are dropped: a ban that has not begun, with its unban. Nothing else is dropped before the action stops;
//! whoever makes new bans checks the [`Backlog`] first, and waits.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::backlog::{Backlog, FULL, PendingOrders};
use super::ban_times::{BanTimeCounts, BanTimes};
use super::step::{Gate, Opening};
use super::task::ActionTask;
use super::ticket_batch::TicketOrder;
use crate::address::Address;

/// Which of the waiting orders are taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OrderClass {
    /// Unbans, what people ask for, settings.
    First,
    /// Bans, and what has to come after them.
    Usual,
}

/// An order that waits, or is being carried out.
#[derive(Debug)]
pub(super) struct QueueEntry {
    pub(super) task: ActionTask,
    /// Its place on the way through all actions; none where there is but one action.
    pub(super) gate: Option<Gate>,
    pending: PendingOrders,
}

impl QueueEntry {
    /// The ban or unban it is.
    pub(super) fn order(&self) -> Option<&Arc<TicketOrder>> {
        match &self.task {
            ActionTask::Ban(order) | ActionTask::Unban(order) => Some(order),
            _ => None,
        }
    }

    /// Whom a ban, or what belongs to one, is about.
    fn id(&self) -> Option<&Address> {
        match &self.task {
            ActionTask::Ban(order) | ActionTask::Again(order) | ActionTask::Prolong(order) => {
                Some(&order.ticket.id)
            }
            _ => None,
        }
    }

    /// The task, and what is to be dropped when it is done.
    pub(super) fn open(self) -> (ActionTask, (Option<Gate>, PendingOrders)) {
        (self.task, (self.gate, self.pending))
    }
}

type Key = (OrderClass, u64);

/// The queue of one action.
#[derive(Debug)]
pub(super) struct ActionQueue {
    waiting: Mutex<Waiting>,
    news: Notify,
    /// So many are about to order more: bans wait for the rest, so that all are done together.
    corks: AtomicUsize,
    /// Told when an order of the jail has been done by an action.
    moved: Arc<Notify>,
    backlog: Arc<Backlog>,
    ban_times: Arc<BanTimes>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: BTreeMap<Key, QueueEntry>,
    /// Bans and what belongs to them, by the id; only once that has been asked for.
    by_id: Option<HashMap<Address, Vec<Key>>>,
    /// A check that waits, and a comparison with the firewall.
    check: Option<Key>,
    audit: Option<Key>,
    next: u64,
    /// Nothing comes any more.
    closed: bool,
    /// The backlog has been told that there is too much.
    full: bool,
}

/// What there is to do.
enum TakenOrders {
    Entries(Vec<QueueEntry>),
    /// The first has to wait for other actions.
    Later(Option<tokio::time::Instant>),
    Nothing,
    Closed,
}

impl ActionQueue {
    pub(super) fn new(moved: Arc<Notify>, backlog: Arc<Backlog>) -> ActionQueue {
        ActionQueue {
            waiting: Mutex::default(),
            news: Notify::new(),
            corks: AtomicUsize::new(0),
            moved,
            backlog,
            ban_times: Arc::default(),
        }
    }

    /// How many orders wait.
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// How long bans have taken, from the order on.
    pub(super) fn ban_times(&self) -> BanTimeCounts {
        self.ban_times.counted()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an order. `lifts`: the action's bans can be lifted, so that a ban and its unban cancel
    /// each other; what only reports bans reports all.
    pub(super) fn push(
        &self,
        task: ActionTask,
        class: OrderClass,
        gate: Option<Gate>,
        lifts: bool,
    ) {
        let times = matches!(task, ActionTask::Ban(_)).then_some(&self.ban_times);
        let pending = PendingOrders::new(&self.backlog, times);
        let entry = QueueEntry {
            task,
            gate,
            pending,
        };
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        // dropped behind the lock
        let (dropped, unwanted) = waiting.push(entry, class, lifts);
        self.note_size(&mut waiting);
        drop(waiting);
        drop((dropped, unwanted));
        if !self.is_corked() || class == OrderClass::First {
            self.news.notify_one();
        }
    }

    /// Keeps bans from being taken, until that is dropped.
    pub(super) fn cork(queue: &Arc<ActionQueue>) -> Corked {
        queue.corks.fetch_add(1, Ordering::Relaxed);
        Corked(queue.clone())
    }

    fn is_corked(&self) -> bool {
        self.corks.load(Ordering::Relaxed) > 0
    }

    /// Drops all bans that wait where they can be lifted, and what belongs to them; answers whose.
    pub(super) fn cancel(&self, lifts: bool) -> HashSet<Address> {
        let mut waiting = self.lock();
        let (cancelled, dropped) = waiting.cancel(|task| match task {
            ActionTask::Ban(_) => lifts,
            ActionTask::Again(_) | ActionTask::Prolong(_) | ActionTask::Audit(..) => true,
            _ => false,
        });
        self.note_size(&mut waiting);
        drop(waiting);
        drop(dropped);
        cancelled
    }

    /// The action stops: drops what waits but unbans and settings, and takes nothing any more after
    /// `last`; answers whose bans have been dropped.
    pub(super) fn close(&self, last: impl FnOnce(HashSet<Address>) -> ActionTask) {
        let mut waiting = self.lock();
        let (cancelled, dropped) =
            waiting.cancel(|task| !matches!(task, ActionTask::Unban(_) | ActionTask::Settings(_)));
        let entry = QueueEntry {
            task: last(cancelled),
            gate: None,
            pending: PendingOrders::new(&self.backlog, None),
        };
        waiting.insert(entry, OrderClass::First);
        waiting.closed = true;
        self.note_size(&mut waiting);
        drop(waiting);
        drop(dropped);
        self.news.notify_one();
    }

    /// Nothing comes any more; what waits is still done.
    pub(super) fn leave(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Waits for the next orders: one, or up to `together` bans and unbans; `None` when nothing comes
    /// any more.
    pub(super) async fn next(&self, together: usize) -> Option<Vec<QueueEntry>> {
        loop {
            let news = self.news.notified();
            let moved = self.moved.notified();
            tokio::pin!(news, moved);
            // before the look, or what happens in between is missed
            moved.as_mut().enable();
            match self.take(together, OrderClass::Usual) {
                TakenOrders::Entries(entries) => return Some(entries),
                TakenOrders::Closed => return None,
                TakenOrders::Nothing => news.await,
                TakenOrders::Later(None) => tokio::select! {
                    () = news => {}
                    () = moved => {}
                },
                TakenOrders::Later(Some(end)) => tokio::select! {
                    () = news => {}
                    () = moved => {}
                    () = sleep_until(end) => {}
                },
            }
        }
    }

    /// Orders that go first, if there are any that may begin.
    pub(super) fn next_first(&self, together: usize) -> Option<Vec<QueueEntry>> {
        match self.take(together, OrderClass::First) {
            TakenOrders::Entries(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether there are orders that go first.
    pub(super) fn has_first(&self) -> bool {
        let waiting = self.lock();
        let first = waiting.entries.first_key_value();
        first.is_some_and(|((class, _), _)| *class == OrderClass::First)
    }

    fn take(&self, together: usize, last: OrderClass) -> TakenOrders {
        let last = match (last, self.is_corked()) {
            (OrderClass::Usual, true) => OrderClass::First,
            _ => last,
        };
        let mut waiting = self.lock();
        let taken = waiting.take(together, last);
        self.note_size(&mut waiting);
        taken
    }

    /// Tells who makes new bans when there is no room. Where more is about to be ordered there is.
    fn note_size(&self, waiting: &mut Waiting) {
        let full = waiting.entries.len() > FULL && !self.is_corked();
        match (waiting.full, full) {
            (false, true) => self.backlog.fill(),
            (true, false) => self.backlog.clear(),
            _ => {}
        }
        waiting.full = full;
    }
}

/// Bans that come meanwhile are taken together.
#[derive(Debug)]
pub(super) struct Corked(Arc<ActionQueue>);

impl Drop for Corked {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        self.0.corks.fetch_sub(1, Ordering::Relaxed);
        self.0.note_size(&mut waiting);
        drop(waiting);
        self.0.news.notify_one();
    }
}

impl Waiting {
    /// Answers what is dropped: of the waiting ones, and of the new one.
    fn push(
        &mut self,
        entry: QueueEntry,
        class: OrderClass,
        lifts: bool,
    ) -> (Vec<QueueEntry>, Option<QueueEntry>) {
        let mut dropped = Vec::new();
        match &entry.task {
            ActionTask::Unban(order) => {
                let id = &order.ticket.id;
                let mut begun = true;
                for key in self.of(id).to_vec() {
                    let task = self.entries.get(&key).map(|entry| &entry.task);
                    let ban = matches!(task, Some(ActionTask::Ban(_)));
                    if !ban || lifts {
                        begun &= !ban;
                        dropped.extend(self.remove(key));
                    }
                }
                let audit = self.audit.and_then(|key| self.entries.get_mut(&key));
                if let Some(ActionTask::Audit(_, lifted)) = audit.map(|entry| &mut entry.task) {
                    lifted.insert(id.clone());
                }
                if !begun {
                    return (dropped, Some(entry));
                }
            }
            // of what waits it will be known that it is banned
            ActionTask::Again(order) if !self.of(&order.ticket.id).is_empty() => {
                return (dropped, Some(entry));
            }
            ActionTask::Check(_) if self.check.is_some() => return (dropped, Some(entry)),
            _ => {}
        }
        self.insert(entry, class);
        (dropped, None)
    }

    fn insert(&mut self, entry: QueueEntry, class: OrderClass) {
        let key = (class, self.next);
        self.next += 1;
        if let (Some(by_id), Some(id)) = (&mut self.by_id, entry.id()) {
            by_id.entry(id.clone()).or_default().push(key);
        }
        match &entry.task {
            ActionTask::Check(_) => self.check = Some(key),
            ActionTask::Audit(..) => self.audit = Some(key),
            _ => {}
        }
        self.entries.insert(key, entry);
    }

    /// What waits about an id.
    fn of(&mut self, id: &Address) -> &[Key] {
        let by_id = self.by_id.get_or_insert_with(|| {
            let mut by_id: HashMap<Address, Vec<Key>> = HashMap::new();
            for (key, entry) in &self.entries {
                if let Some(id) = entry.id() {
                    by_id.entry(id.clone()).or_default().push(*key);
                }
            }
            by_id
        });
        by_id.get(id).map_or(&[], Vec::as_slice)
    }

    /// Drops what is chosen; answers the ids of bans among it.
    fn cancel(
        &mut self,
        chosen: impl Fn(&ActionTask) -> bool,
    ) -> (HashSet<Address>, Vec<QueueEntry>) {
        let mut ids = HashSet::new();
        let keys: Vec<Key> = self
            .entries
            .iter()
            .filter(|(_, entry)| chosen(&entry.task))
            .map(|(key, _)| *key)
            .collect();
        let mut dropped = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(entry) = self.remove(key) else {
                continue;
            };
            if let ActionTask::Ban(order) = &entry.task {
                ids.insert(order.ticket.id.clone());
            }
            dropped.push(entry);
        }
        (ids, dropped)
    }

    fn remove(&mut self, key: Key) -> Option<QueueEntry> {
        let entry = self.entries.remove(&key)?;
        if let (Some(by_id), Some(id)) = (&mut self.by_id, entry.id())
            && let Some(keys) = by_id.get_mut(id)
        {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                by_id.remove(id);
            }
        }
        match &entry.task {
            ActionTask::Check(_) => self.check = None,
            ActionTask::Audit(..) => self.audit = None,
            _ => {}
        }
        Some(entry)
    }

    fn take(&mut self, together: usize, last: OrderClass) -> TakenOrders {
        let mut taken = Vec::new();
        let mut changes = 0;
        let Some((&(class, _), _)) = self.entries.first_key_value() else {
            return match self.closed {
                true => TakenOrders::Closed,
                false => TakenOrders::Nothing,
            };
        };
        if class > last {
            return TakenOrders::Nothing;
        }
        while changes < together
            && let Some((&key, entry)) = self.entries.first_key_value()
            && key.0 == class
        {
            let opening = entry.gate.as_ref().map_or(Opening::Now, Gate::opening);
            let change = matches!(entry.task, ActionTask::Ban(_) | ActionTask::Unban(_));
            // news of what is banned already does not part bans
            let fits = change || matches!(entry.task, ActionTask::Again(_));
            match opening {
                Opening::Later(end) if taken.is_empty() => return TakenOrders::Later(end),
                Opening::Later(_) => break,
                Opening::Now if !fits && !taken.is_empty() => break,
                Opening::Now => {}
            }
            changes += usize::from(change);
            taken.extend(self.remove(key));
            if !fits || together == 1 {
                break;
            }
        }
        if self.entries.is_empty() {
            *self = Waiting {
                next: self.next,
                closed: self.closed,
                full: self.full,
                ..Waiting::default()
            };
        }
        TakenOrders::Entries(taken)
    }
}
