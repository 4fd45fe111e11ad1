//! How much waits for the actions of a jail. Nothing that was decided is ever dropped: who makes new
//! bans looks here first, and waits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Orders beyond which no failures are judged any more; lines wait where they are, in files and in
/// the journal.
const FULL: usize = 10_000;

/// Orders that wait, as the jail and its actions both see them.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: AtomicUsize,
    audit: AtomicBool,
    room: Notify,
}

impl Backlog {
    /// One more waits.
    pub(super) fn grow(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// So many have been taken.
    pub(super) fn shrink(&self, taken: usize) {
        let before = self.waiting.fetch_sub(taken, Ordering::Relaxed);
        if before > FULL && before.saturating_sub(taken) <= FULL {
            self.room.notify_waiters();
        }
    }

    /// Whether no more bans should be made.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > FULL
    }

    /// Waits until more bans may be made.
    pub(super) async fn room(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // before the look, or what happens in between is missed
            room.as_mut().enable();
            if !self.is_full() {
                return;
            }
            room.await;
        }
    }

    /// Whether a comparison with the firewall may be ordered: there is never more than one.
    pub(super) fn begin_audit(&self) -> bool {
        !self.audit.swap(true, Ordering::Relaxed)
    }

    /// The comparison begins; another may be ordered.
    pub(super) fn end_audit(&self) {
        self.audit.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_of_room() {
        let backlog = Arc::new(Backlog::default());
        for _ in 0..=FULL {
            backlog.grow();
        }
        assert!(backlog.is_full());
        let waits = tokio::spawn({
            let backlog = backlog.clone();
            async move { backlog.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        backlog.shrink(1);
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
