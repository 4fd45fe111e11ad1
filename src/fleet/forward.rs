//! Passes received changes to the jails: one task per jail, so that a busy jail does not delay the others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::jail::link::RemoteChange;
use crate::jail::{BanExchange, Jail};
use crate::ticket::Ticket;

/// Changes that wait for one jail of the fleet; a jail that is further behind is brought up to date later.
pub const WAITING: usize = 200_000;
/// Changes that a jail is given at once: it does nothing else meanwhile.
const AT_ONCE: usize = 2_000;

/// The ways to the jails.
#[derive(Debug)]
pub struct Forward {
    exchange: BanExchange,
    most: usize,
    ways: HashMap<String, JailForwarder>,
    /// Jails that have missed changes.
    behind: HashSet<String>,
}

#[derive(Debug)]
struct JailForwarder {
    queue: Arc<ForwardQueue>,
    task: JoinHandle<()>,
}

/// What waits for one jail.
#[derive(Debug, Default)]
struct ForwardQueue {
    waiting: Mutex<WaitingChanges>,
    news: Notify,
}

#[derive(Debug, Default)]
struct WaitingChanges {
    /// Ends of bans of which nothing else waits: nobody shall wait for thousands of bans to be free.
    first: Vec<RemoteChange>,
    /// All else, in its order.
    usual: VecDeque<RemoteChange>,
    /// How often each address is among the latter.
    ids: HashMap<Address, usize>,
    /// Handed to the jail, which is not done.
    busy: usize,
}

impl WaitingChanges {
    fn push(&mut self, change: RemoteChange) {
        match &change {
            RemoteChange::Until(id, _) if !self.ids.contains_key(id) => self.first.push(change),
            RemoteChange::Until(id, _) | RemoteChange::Ban(Ticket { id, .. }) => {
                *self.ids.entry(id.clone()).or_default() += 1;
                self.usual.push_back(change);
            }
            RemoteChange::Lift(..) => self.usual.push_back(change),
        }
    }

    /// What the jail is given next; nothing when nothing waits.
    fn take(&mut self) -> Vec<RemoteChange> {
        let mut taken = std::mem::take(&mut self.first);
        let room = AT_ONCE.saturating_sub(taken.len()).min(self.usual.len());
        for change in self.usual.drain(..room) {
            if let RemoteChange::Until(id, _) | RemoteChange::Ban(Ticket { id, .. }) = &change
                && let Some(count) = self.ids.get_mut(id)
            {
                *count -= 1;
                if *count == 0 {
                    self.ids.remove(id);
                }
            }
            taken.push(change);
        }
        self.busy = taken.len();
        taken
    }

    fn len(&self) -> usize {
        self.first.len() + self.usual.len() + self.busy
    }
}

impl Forward {
    /// None yet; what jails hear comes by this road, and so many changes may wait for one.
    pub fn new(exchange: BanExchange, most: usize) -> Forward {
        Forward {
            exchange,
            most,
            ways: HashMap::new(),
            behind: HashSet::new(),
        }
    }

    /// Hands changes to a jail, without waiting.
    pub fn send(&mut self, jail: &Jail, changes: Vec<RemoteChange>) {
        let count = changes.len();
        let exchange = self.exchange;
        let way = self
            .ways
            .entry(jail.name.clone())
            .or_insert_with(|| JailForwarder::new(jail.clone(), exchange));
        let mut waiting = way.queue.waiting();
        if waiting.len() + count > self.most {
            self.behind.insert(jail.name.clone());
            return;
        }
        changes.into_iter().for_each(|change| waiting.push(change));
        drop(waiting);
        way.queue.news.notify_one();
    }

    /// A jail has ended, or has been started anew.
    pub fn close(&mut self, jail: &str) {
        self.ways.remove(jail);
        self.behind.remove(jail);
    }

    /// Jails that have missed changes, and have nothing to do any more.
    pub fn caught_up(&mut self) -> Vec<String> {
        let idle = |jail: &&String| {
            let way = self.ways.get(*jail);
            way.is_none_or(|way| way.queue.waiting().len() == 0)
        };
        let idle: Vec<String> = self.behind.iter().filter(idle).cloned().collect();
        for jail in &idle {
            self.behind.remove(jail);
        }
        idle
    }

    /// Changes that wait.
    pub fn waiting(&self) -> usize {
        let waiting = self.ways.values();
        waiting.map(|way| way.queue.waiting().len()).sum()
    }
}

impl ForwardQueue {
    fn waiting(&self) -> MutexGuard<'_, WaitingChanges> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the jail what comes, no more at once than its actions can bear.
    async fn serve(&self, jail: &Jail, exchange: BanExchange) {
        loop {
            let (changes, more) = {
                let mut waiting = self.waiting();
                let changes = waiting.take();
                // a list belongs together
                (
                    changes,
                    exchange == BanExchange::Crowdsec && !waiting.usual.is_empty(),
                )
            };
            match changes.is_empty() {
                true => self.news.notified().await,
                false => jail.remote(exchange, changes, more).await,
            }
        }
    }
}

impl JailForwarder {
    fn new(jail: Jail, exchange: BanExchange) -> JailForwarder {
        let queue = Arc::new(ForwardQueue::default());
        let own = queue.clone();
        let task = tokio::spawn(async move { own.serve(&jail, exchange).await });
        JailForwarder { queue, task }
    }
}

impl Drop for JailForwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(id: &str) -> RemoteChange {
        RemoteChange::Ban(Ticket::new(Address::parse(id), 0.0))
    }

    fn end(id: &str) -> RemoteChange {
        RemoteChange::Until(Address::parse(id), None)
    }

    fn words(changes: &[RemoteChange]) -> Vec<String> {
        let word = |change: &RemoteChange| match change {
            RemoteChange::Ban(ticket) => format!("ban {}", ticket.id),
            RemoteChange::Until(id, _) => format!("end {id}"),
            RemoteChange::Lift(..) => "lift".to_owned(),
        };
        changes.iter().map(word).collect()
    }

    #[test]
    fn an_end_goes_before_bans_of_others_and_never_before_its_own() {
        let mut waiting = WaitingChanges::default();
        for change in [
            ban("192.0.2.1"),
            RemoteChange::Lift(None, None),
            end("192.0.2.2"),
            end("192.0.2.1"),
            ban("192.0.2.2"),
        ] {
            waiting.push(change);
        }
        assert_eq!(waiting.len(), 5);
        let order = [
            "end 192.0.2.2",
            "ban 192.0.2.1",
            "lift",
            "end 192.0.2.1",
            "ban 192.0.2.2",
        ];
        assert_eq!(words(&waiting.take()), order);
        assert!(waiting.ids.is_empty());
        assert_eq!(waiting.len(), 5, "the jail is not done with them");
        assert!(waiting.take().is_empty());
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn a_jail_is_given_so_many_at_once() {
        let mut waiting = WaitingChanges::default();
        for n in 0..AT_ONCE + 5 {
            waiting.push(ban(&format!("10.0.{}.{}", n / 250, n % 250)));
        }
        waiting.push(end("192.0.2.1"));
        let first = waiting.take();
        assert_eq!((first.len(), waiting.usual.len()), (AT_ONCE, 6));
        assert_eq!(words(&first[..1]), ["end 192.0.2.1"]);
    }
}
