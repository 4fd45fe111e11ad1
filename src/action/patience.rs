//! Time limits for the stop of an action.
//!
//! Waiting orders are dropped. A running command gets [`RUNNING`]; lifting the bans and stopping may take as
//! long as commands keep ending, up to [`WHOLE`], but one that does not end within [`STALL`] is given up, and
//! then the next within [`STALL_AGAIN`]. Given up means that its process group is killed. Together this limits
//! a hang to less than 3 s.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// For what is running when the action is told to stop.
const RUNNING: Duration = Duration::from_millis(600);

/// For one command that lifts bans or stops the action.
const STALL: Duration = Duration::from_secs(2);

/// The same, where one has been given up already.
const STALL_AGAIN: Duration = Duration::from_millis(750);

/// For everything.
const WHOLE: Duration = Duration::from_secs(60);

/// The patience with one action.
#[derive(Debug, Default)]
pub struct Patience {
    state: Mutex<PatienceState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct PatienceState {
    /// When what runs is given up.
    at: Option<Instant>,
    /// When everything is given up.
    whole: Option<Instant>,
    given_up: bool,
}

impl Patience {
    fn lock(&self) -> MutexGuard<'_, PatienceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The action is told to stop.
    pub fn begin(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.whole.is_none() {
            state.whole = Some(now + WHOLE);
            state.at = Some(now + RUNNING);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// A command has ended by itself, or the next part of the end begins.
    pub fn progress(&self) {
        let mut state = self.lock();
        let Some(whole) = state.whole else { return };
        let stall = match state.given_up {
            true => STALL_AGAIN,
            false => STALL,
        };
        state.at = Some((Instant::now() + stall).min(whole));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Does work unless that takes too long; then it is dropped in the middle.
    pub async fn with<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.over() => None,
        }
    }

    /// Whether the action was told to stop.
    pub fn has_begun(&self) -> bool {
        self.lock().whole.is_some()
    }

    /// Whether something has been given up.
    pub fn has_given_up(&self) -> bool {
        self.lock().given_up
    }

    async fn over(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // before the look, or what happens in between is missed
            changed.as_mut().enable();
            let at = self.lock().at;
            match at {
                Some(at) if at <= Instant::now() => {
                    // before what is given up is dropped
                    self.lock().given_up = true;
                    return;
                }
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(at) => {}
                },
                None => changed.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_end_is_given_up_once_the_action_stops() {
        let patience = Patience::default();
        assert_eq!(patience.with(async { 1 }).await, Some(1));
        patience.begin();
        let begin = Instant::now();
        assert_eq!(patience.with(std::future::pending::<()>()).await, None);
        patience.progress();
        assert_eq!(patience.with(std::future::pending::<()>()).await, None);
        assert!(begin.elapsed() >= RUNNING + STALL_AGAIN);
    }

    #[tokio::test]
    async fn what_goes_on_is_waited_for() {
        let patience = Patience::default();
        patience.begin();
        let works = async {
            for _ in 0..4 {
                tokio::time::sleep(RUNNING / 2).await;
                patience.progress();
            }
        };
        assert_eq!(patience.with(works).await, Some(()));
    }
}
