//! Rate limits for other hosts: bans a minute, bans at once, bans in force. A host that exceeds them is muted
//! until it has been quiet for a while.
#![forbid(unsafe_code)]

use super::Millis;

/// What every host is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostLimits {
    /// Bans a minute.
    pub rate: f64,
    /// Bans at once, beyond the rate.
    pub burst: f64,
    /// Bans in force.
    pub most: usize,
}

impl Default for HostLimits {
    fn default() -> HostLimits {
        HostLimits {
            rate: 60.0,
            burst: 600.0,
            most: 10_000,
        }
    }
}

/// What becomes of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateVerdict {
    /// It counts.
    Heard,
    /// The host has said too much just now: it is muted from here on.
    Muted,
    /// It was muted before.
    StillMuted,
}

/// One host's use of what it may say.
#[derive(Clone, Copy, Debug)]
pub struct HostBudget {
    left: f64,
    at: Millis,
    muted: bool,
}

impl HostBudget {
    /// All of it.
    pub fn new(limits: &HostLimits) -> HostBudget {
        HostBudget {
            left: limits.burst,
            at: Millis(0),
            muted: false,
        }
    }

    /// A ban that the engine was given at `at`, while so many of the host are in force.
    pub fn spend(&mut self, limits: &HostLimits, at: Millis, in_force: usize) -> RateVerdict {
        self.refill(limits, at);
        if self.muted {
            return RateVerdict::StillMuted;
        }
        if self.left < 1.0 || in_force >= limits.most {
            self.muted = true;
            return RateVerdict::Muted;
        }
        self.left -= 1.0;
        RateVerdict::Heard
    }

    /// Whether a muted host may be heard again at `now`: half of what it may say at once is left. It is
    /// not muted any more then.
    pub fn forgive(&mut self, limits: &HostLimits, now: Millis, in_force: usize) -> bool {
        self.refill(limits, now);
        let forgiven = self.muted && self.left >= limits.burst / 2.0 && in_force < limits.most;
        self.muted &= !forgiven;
        forgiven
    }

    /// Whether it is muted.
    pub fn is_muted(&self) -> bool {
        self.muted
    }

    fn refill(&mut self, limits: &HostLimits, at: Millis) {
        let minutes = (at.0 - self.at.0).max(0) as f64 / 60_000.0;
        self.left = (self.left + minutes * limits.rate).min(limits.burst);
        self.at = self.at.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_says_too_much_is_muted_for_a_while() {
        let limits = HostLimits {
            rate: 60.0,
            burst: 10.0,
            most: 100,
        };
        let mut budget = HostBudget::new(&limits);
        for _ in 0..10 {
            assert_eq!(budget.spend(&limits, Millis(0), 0), RateVerdict::Heard);
        }
        assert_eq!(budget.spend(&limits, Millis(0), 0), RateVerdict::Muted);
        assert_eq!(budget.spend(&limits, Millis(0), 0), RateVerdict::StillMuted);
        assert!(!budget.forgive(&limits, Millis(4_000), 0));
        assert!(budget.forgive(&limits, Millis(5_000), 0));
        assert!(!budget.is_muted());
        assert_eq!(budget.spend(&limits, Millis(5_000), 0), RateVerdict::Heard);
        // as long as it has as many bans as it may it stays so
        assert_eq!(
            budget.spend(&limits, Millis(5_000), 100),
            RateVerdict::Muted
        );
        assert!(!budget.forgive(&limits, Millis(900_000), 100));
        assert!(budget.forgive(&limits, Millis(900_000), 99));
    }

    #[test]
    fn what_comes_in_time_is_never_too_much() {
        let limits = HostLimits::default();
        let mut budget = HostBudget::new(&limits);
        let spent = (0..100_000).map(|n| budget.spend(&limits, Millis(n * 1000), 0));
        assert!(
            spent
                .into_iter()
                .all(|verdict| verdict == RateVerdict::Heard)
        );
    }
}
