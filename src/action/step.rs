//! One order on its way through the actions of a jail.
//!
//! Every action has a queue and a task of its own, and none waits for a slow one. But actions that keep up
//! apply an order one after the other, as in the original (fact A25): the firewall first, then the others in
//! the order of the configuration. So an action waits until those before it have applied the order, at most
//! [`PATIENCE`] after it was given; for the firewall it waits without a limit (connections must not be cut
//! before the rule exists). The firewall waits for no other action.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long after it was given an order waits for actions that are not the firewall's.
const PATIENCE: Duration = Duration::from_secs(1);

/// Actions of a jail that keep an order among each other; those beyond wait for nobody.
pub(super) const MOST: u32 = 64;

/// An order on its way.
#[derive(Debug)]
pub(super) struct Step {
    given: Instant,
    /// Bits of the actions that have done it, or never will.
    done: AtomicU64,
    /// Told of each action that has done an order of the jail.
    moved: Arc<Notify>,
}

impl Step {
    /// An order given now.
    pub(super) fn new(moved: &Arc<Notify>) -> Arc<Step> {
        Arc::new(Step {
            given: Instant::now(),
            done: AtomicU64::new(0),
            moved: moved.clone(),
        })
    }
}

/// The place of one action on the way of an order. Dropped, the action has done it.
#[derive(Debug)]
pub(super) struct Gate {
    step: Arc<Step>,
    /// The action's own bit.
    bit: u64,
    /// Actions it waits for, but not for long.
    after: u64,
    /// Actions of the firewall it waits for.
    firewall: u64,
}

/// Whether an order may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Now,
    /// When others have done it, or at this moment.
    Later(Option<Instant>),
}

impl Gate {
    pub(super) fn new(step: &Arc<Step>, bit: u64, after: u64, firewall: u64) -> Gate {
        Gate {
            step: step.clone(),
            bit,
            after,
            firewall,
        }
    }

    /// Whether the action may begin.
    pub(super) fn opening(&self) -> Opening {
        let left = !self.step.done.load(Ordering::Acquire);
        let end = self.step.given + PATIENCE;
        if self.firewall & left != 0 {
            return Opening::Later(None);
        }
        match self.after & left != 0 && Instant::now() < end {
            true => Opening::Later(Some(end)),
            false => Opening::Now,
        }
    }

    /// Waits until the action may begin.
    pub(super) async fn open(&self) {
        loop {
            let moved = self.step.moved.notified();
            tokio::pin!(moved);
            // before the look, or what happens in between is missed
            moved.as_mut().enable();
            match self.opening() {
                Opening::Now => return,
                Opening::Later(None) => moved.await,
                Opening::Later(Some(end)) => drop(timeout_at(end, moved).await),
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.step.done.fetch_or(self.bit, Ordering::Release);
        self.step.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(age: Duration) -> Arc<Step> {
        Arc::new(Step {
            given: Instant::now() - age,
            done: AtomicU64::new(0),
            moved: Arc::new(Notify::new()),
        })
    }

    #[tokio::test]
    async fn an_action_waits_for_the_firewall_and_not_long_for_others() {
        let step = step(2 * PATIENCE);
        let (firewall, _first) = (Gate::new(&step, 1, 0, 0), Gate::new(&step, 2, 0, 1));
        let last = Gate::new(&step, 4, 2, 1);
        assert_eq!(firewall.opening(), Opening::Now);
        assert_eq!(last.opening(), Opening::Later(None));
        drop(firewall);
        // the first is late, and is not waited for
        last.open().await;
    }

    #[tokio::test]
    async fn an_order_goes_on_when_it_is_done() {
        let step = step(Duration::ZERO);
        let (first, second) = (Gate::new(&step, 1, 0, 0), Gate::new(&step, 2, 1, 0));
        assert!(matches!(second.opening(), Opening::Later(Some(_))));
        let waits = tokio::spawn(async move { second.open().await });
        tokio::task::yield_now().await;
        drop(first);
        waits.await.expect("opens");
    }
}
