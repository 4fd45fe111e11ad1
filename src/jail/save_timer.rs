//! When log positions are written to the database: at once after a pause, otherwise once a second.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// Positions are written this long after they changed, at the latest.
const INTERVAL: Duration = Duration::from_secs(1);

/// Tells when to write.
#[derive(Debug, Default)]
pub(super) struct SaveTimer {
    due: Option<Instant>,
    saved: Option<Instant>,
}

impl SaveTimer {
    /// A position has changed; true: write it now, else when it is [`SaveTimer::due`].
    pub fn changed(&mut self, now: Instant) -> bool {
        match self.saved {
            Some(saved) if now < saved + INTERVAL => {
                self.due = Some(saved + INTERVAL);
                false
            }
            _ => true,
        }
    }

    /// When to write what has changed.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// It was written.
    pub fn saved(&mut self, now: Instant) {
        *self = SaveTimer {
            due: None,
            saved: Some(now),
        };
    }

    /// There is nothing to write any more.
    pub fn clear(&mut self) {
        self.due = None;
    }
}
