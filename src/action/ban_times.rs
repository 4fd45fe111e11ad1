//! Latency of bans: the time from the decision until an action has applied them.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds; each bucket counts what took no longer, the last one beyond these all that took longer.
pub const BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// The bans of one action, counted by how long they took.
#[derive(Debug, Default)]
pub(super) struct BanTimes {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl BanTimes {
    /// Counts a ban.
    pub(super) fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// What was counted.
    pub(super) fn counted(&self) -> BanTimeCounts {
        BanTimeCounts {
            buckets: (self.buckets.iter())
                .map(|bucket| bucket.load(Ordering::Relaxed))
                .collect(),
            seconds: self.microseconds.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

/// How many bans took how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BanTimeCounts {
    /// One for each of [`BOUNDS`], and one for what took longer.
    pub buckets: Vec<u64>,
    /// All together.
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_in_its_bucket() {
        let times = BanTimes::default();
        for milliseconds in [0, 1, 2, 25, 61_000] {
            times.add(Duration::from_millis(milliseconds));
        }
        let counted = times.counted();
        assert_eq!(counted.buckets, [2, 1, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(counted.seconds, 61.028);
    }
}
