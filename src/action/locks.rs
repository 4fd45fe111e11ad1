//! Locks for commands that must not run at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::patience::Patience;

/// How often who waits for a lock looks whether others make progress.
const LOOK: Duration = Duration::from_millis(100);

/// How long it waits for actions that stop as well: their commands are given up if they do not end.
const OTHERS_STOP: Duration = Duration::from_secs(5);

/// The locks of the commands of a server, by name.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<HashMap<String, Arc<Lock>>>);

impl Locks {
    /// Waits for a lock. While those before it end by themselves, or are about to be given up, an action that
    /// stops is not given up for waiting.
    pub async fn hold(&self, name: &str, patience: &Arc<Patience>) -> Held {
        let lock = self.get(name);
        let held = |lock: Arc<Lock>, guard| {
            *lock.owner() = Some(patience.clone());
            Held {
                patience: patience.clone(),
                lock,
                _guard: guard,
            }
        };
        if let Ok(guard) = lock.mutex.clone().try_lock_owned() {
            return held(lock, guard);
        }
        let begin = Instant::now();
        let mut seen = lock.ended.load(Ordering::Relaxed);
        let guard = lock.mutex.clone().lock_owned();
        tokio::pin!(guard);
        loop {
            match timeout(LOOK, &mut guard).await {
                Ok(guard) => return held(lock, guard),
                Err(_) => {
                    let ended = lock.ended.load(Ordering::Relaxed);
                    let owner = lock.owner().clone();
                    let stops = owner.is_some_and(|owner| owner.has_begun());
                    if ended != seen || stops && begin.elapsed() < OTHERS_STOP {
                        seen = ended;
                        patience.progress();
                    }
                }
            }
        }
    }

    fn get(&self, name: &str) -> Arc<Lock> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(name.to_owned()).or_default().clone()
    }
}

#[derive(Debug, Default)]
struct Lock {
    mutex: Arc<tokio::sync::Mutex<()>>,
    /// Commands that have held it and ended by themselves.
    ended: AtomicU64,
    /// The patience with whose command holds it.
    owner: Mutex<Option<Arc<Patience>>>,
}

impl Lock {
    fn owner(&self) -> MutexGuard<'_, Option<Arc<Patience>>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock that is held.
pub(super) struct Held {
    patience: Arc<Patience>,
    lock: Arc<Lock>,
    _guard: OwnedMutexGuard<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.lock.owner() = None;
        if !self.patience.has_given_up() {
            self.lock.ended.fetch_add(1, Ordering::Relaxed);
        }
    }
}
