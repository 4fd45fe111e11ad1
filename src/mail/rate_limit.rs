//! Rate limits for the mails of an action, by two parameters that the original does not have: `throttle`, the
//! time in which a mail with the same subject is sent once, and `digest`, the time whose mails are combined into
//! one.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::datetime::duration;

/// Subjects remembered for the throttle of a jail.
const REMEMBERED: usize = 10_000;

/// The pace of an action's mails.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pacing {
    /// A mail of the same subject goes out once in this time.
    pub throttle: Option<Duration>,
    /// Mails of this time go out together, at its end.
    pub digest: Option<Duration>,
}

impl Pacing {
    /// As the action's parameters of these names say. What is no positive time span is not a pace:
    /// an action of the user's own may have a parameter of that name for a purpose of its own.
    pub fn new(throttle: &str, digest: &str) -> Pacing {
        let span = |text| {
            let seconds = duration::parse(text).ok()?.as_f64();
            (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok())?
        };
        Pacing {
            throttle: span(throttle),
            digest: span(digest),
        }
    }
}

/// What went out lately.
#[derive(Debug, Default)]
pub struct Throttle {
    until: HashMap<(String, String), Instant>,
}

impl Throttle {
    /// Whether a mail of this subject may go out now; if so it counts as sent.
    pub fn admits(&mut self, action: &str, subject: &str, span: Duration, now: Instant) -> bool {
        let key = (action.to_owned(), subject.to_owned());
        if self.until.get(&key).is_some_and(|until| now < *until) {
            return false;
        }
        if self.until.len() >= REMEMBERED {
            self.until.retain(|_, until| now < *until);
        }
        // when even that leaves no room a mail too many is the lesser evil
        if self.until.len() < REMEMBERED {
            self.until.insert(key, now + span);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_time_spans() {
        assert_eq!(Pacing::new("", ""), Pacing::default());
        for (text, seconds) in [
            ("10", Some(10)),
            ("1h", Some(3600)),
            ("0", None),
            ("fast", None),
            ("-5", None),
        ] {
            let pacing = Pacing::new(text, "");
            assert_eq!(pacing.throttle, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn the_same_subject_passes_once_in_a_time() {
        let mut throttle = Throttle::default();
        let begin = Instant::now();
        let span = Duration::from_secs(10);
        let mut at = |seconds, action, subject| {
            throttle.admits(action, subject, span, begin + Duration::from_secs(seconds))
        };
        assert!(at(0, "a", "x"));
        assert!(!at(9, "a", "x"));
        assert!(at(9, "a", "y"));
        assert!(at(9, "b", "x"));
        assert!(at(10, "a", "x"));
        assert!(!at(19, "a", "x"));
    }
}
