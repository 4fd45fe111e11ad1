//! What other hosts have decided, on its way to the jails of this one: a task for each jail, so that one
//! that is busy holds up no other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::jail::{Jail, RemoteChange};

/// Changes that wait for one jail; a jail that is further behind is brought up to date later.
const WAITING: usize = 200_000;
/// Changes that a jail is given at once.
const AT_ONCE: usize = 2_000;

/// The ways to the jails.
#[derive(Debug, Default)]
pub struct Forward {
    ways: HashMap<String, Way>,
    /// Jails that have missed changes.
    behind: HashSet<String>,
}

#[derive(Debug)]
struct Way {
    sender: mpsc::UnboundedSender<Vec<RemoteChange>>,
    waiting: Arc<AtomicUsize>,
}

impl Forward {
    /// Hands changes to a jail, without waiting.
    pub fn send(&mut self, jail: &Jail, changes: Vec<RemoteChange>) {
        let count = changes.len();
        let way = self
            .ways
            .entry(jail.name.clone())
            .or_insert_with(|| Way::new(jail.clone()));
        if way.waiting.load(Ordering::Relaxed) + count > WAITING {
            self.behind.insert(jail.name.clone());
            return;
        }
        way.waiting.fetch_add(count, Ordering::Relaxed);
        // its task ends when the jail's sender is dropped, below
        let _ = way.sender.send(changes);
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
            way.is_none_or(|way| way.waiting.load(Ordering::Relaxed) == 0)
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
        waiting.map(|way| way.waiting.load(Ordering::Relaxed)).sum()
    }
}

impl Way {
    fn new(jail: Jail) -> Way {
        let (sender, mut changes) = mpsc::unbounded_channel::<Vec<RemoteChange>>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let count = waiting.clone();
        tokio::spawn(async move {
            while let Some(mut batch) = changes.recv().await {
                while let Ok(more) = changes.try_recv() {
                    batch.extend(more);
                }
                // a jail whose actions are busy takes no more than they can bear
                let mut rest = batch.into_iter().peekable();
                while rest.peek().is_some() {
                    let part: Vec<_> = rest.by_ref().take(AT_ONCE).collect();
                    let done = part.len();
                    jail.remote(part).await;
                    count.fetch_sub(done, Ordering::Relaxed);
                }
            }
        });
        Way { sender, waiting }
    }
}
