//! Tells when the system's clock was set, or the machine was suspended: who sleeps until a moment of
//! the day counts seconds, and would be wrong by then.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// How long a step may go unnoticed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// A difference between the two clocks that is no step: the day's clock is corrected all the time.
const NO_STEP: f64 = 0.5;

/// Where steps are told. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct ClockSteps(watch::Sender<()>);

impl ClockSteps {
    /// Whoever is to be told of steps from now on.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }

    /// Looks at the clock now and then, for ever. One look for all jails: it wakes the processor.
    pub async fn look(&self) {
        let start = Instant::now();
        let mut last = ahead_of(start);
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let present = ahead_of(start);
            if (present - last).abs() > NO_STEP {
                self.0.send_replace(());
            }
            last = present;
        }
    }
}

/// How far the clock of the day is ahead of the one that only counts, in seconds.
fn ahead_of(start: Instant) -> f64 {
    let today = SystemTime::now().duration_since(UNIX_EPOCH);
    today.map_or(0.0, |today| today.as_secs_f64()) - start.elapsed().as_secs_f64()
}
