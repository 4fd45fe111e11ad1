//! How much waits for the actions of a jail. Nothing that was decided is ever dropped: whoever makes new bans
//! checks this first, and waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use super::ban_times::BanTimes;

/// Orders for one action beyond which no failures are judged any more; lines wait where they are, in
/// files and in the journal.
pub(super) const FULL: usize = 10_000;

/// What waits, as the jail and its actions see it.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Actions with more than [`FULL`] orders.
    full: AtomicUsize,
    /// Orders that are not done.
    pending: AtomicUsize,
    audit: AtomicBool,
    changed: Notify,
}

impl Backlog {
    /// One more action has too much to do.
    pub(super) fn fill(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    /// One action less.
    pub(super) fn clear(&self) {
        self.full.fetch_sub(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Whether no more bans should be made.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed) > 0
    }

    /// Waits until more bans may be made.
    pub(super) async fn room(&self) {
        self.until(|| !self.is_full()).await;
    }

    /// Waits until there is nothing to do.
    pub(super) async fn settled(&self) {
        self.until(|| self.pending.load(Ordering::Acquire) == 0)
            .await;
    }

    async fn until(&self, reached: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // before the look, or what happens in between is missed
            changed.as_mut().enable();
            if reached() {
                return;
            }
            changed.await;
        }
    }

    /// Whether a comparison with the firewall may be ordered: there is never more than one.
    pub(super) fn begin_audit(&self) -> bool {
        !self.audit.swap(true, Ordering::Relaxed)
    }

    /// The comparison is over; another may be ordered.
    pub(super) fn end_audit(&self) {
        self.audit.store(false, Ordering::Relaxed);
    }
}

/// An order that is not done yet. Dropped, it is.
#[derive(Debug)]
pub(super) struct PendingOrders {
    backlog: Arc<Backlog>,
    /// Of a ban: since when, and where it is counted.
    timed: Option<(Instant, Arc<BanTimes>)>,
}

impl PendingOrders {
    /// `times`: where it is counted if it is a ban.
    pub(super) fn new(backlog: &Arc<Backlog>, times: Option<&Arc<BanTimes>>) -> PendingOrders {
        backlog.pending.fetch_add(1, Ordering::Relaxed);
        PendingOrders {
            backlog: backlog.clone(),
            timed: times.map(|times| (Instant::now(), times.clone())),
        }
    }
}

impl Drop for PendingOrders {
    fn drop(&mut self) {
        if let Some((since, times)) = &self.timed {
            times.add(since.elapsed());
        }
        if self.backlog.pending.fetch_sub(1, Ordering::Release) == 1 {
            self.backlog.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_of_room() {
        let backlog = Arc::new(Backlog::default());
        backlog.fill();
        backlog.fill();
        let waits = tokio::spawn({
            let backlog = backlog.clone();
            async move { backlog.room().await }
        });
        backlog.clear();
        tokio::task::yield_now().await;
        assert!(!waits.is_finished() && backlog.is_full());
        backlog.clear();
        let told = tokio::time::timeout(Duration::from_secs(10), waits).await;
        assert!(told.is_ok() && !backlog.is_full());
        backlog.room().await;
    }

    #[test]
    fn one_comparison_waits() {
        let backlog = Backlog::default();
        assert!(backlog.begin_audit() && !backlog.begin_audit());
        backlog.end_audit();
        assert!(backlog.begin_audit());
    }
}
