//! Calls the system's resolver, which blocks while name servers are silent, outside the async runtime: few at a
//! time, and with a time limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Whoever asks waits no longer, however many others ask.
const PATIENCE: Duration = Duration::from_secs(10);

/// Questions at the same time; each holds a thread for as long as the resolver waits.
const MOST: usize = 32;

/// Asks questions for a whole server. A copy is the same.
#[derive(Clone, Debug)]
pub struct Resolver(Arc<Semaphore>);

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver(Arc::new(Semaphore::new(MOST)))
    }
}

impl Resolver {
    /// Asks a question; `None` when there is no answer in time.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let answer = async {
            let slot = self.0.clone().acquire_owned().await.ok()?;
            let asked = tokio::task::spawn_blocking(move || {
                // held until the resolver gives up, also when nobody waits for it any longer
                let _slot = slot;
                question()
            });
            asked.await.ok()
        };
        timeout(PATIENCE, answer).await.ok().flatten()
    }
}
