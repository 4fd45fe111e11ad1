//! The current time, and notification when the system clock was set or the machine was suspended: a task
//! that sleeps until a time of day sleeps for a number of seconds, which would be wrong then.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::ticket::Timestamp;

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

/// The present time; 0 where the clock stands before 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// How far the clock of the day is ahead of the one that only counts, in seconds.
fn ahead_of(start: Instant) -> f64 {
    now() - start.elapsed().as_secs_f64()
}
