//! The failure counter: how often each id has failed within findtime, and with which evidence
//! (facts B2–B5, R28).
//!
//! In: failures with their times. Out: the count so far, and the ticket once it reaches maxretry.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::address::Address;
use crate::evidence::Evidence;
use crate::evidence::memory::JailEvidence;
use crate::python::Number;
use crate::ticket::{Ticket, Timestamp};

/// Ids a jail remembers at most. An attack from more addresses than this within one findtime makes
/// it forget those that failed longest ago.
const MAX_IDS: usize = 500_000;

/// Ids that a record of the log lists at most.
const MOST_SHOWN: usize = 1000;

/// Seconds between two clean-ups.
const CLEANUP_INTERVAL: f64 = 5.0;

/// One failure about to be counted.
pub(super) struct Offence<'a> {
    /// Whom it is about.
    pub id: &'a Address,
    /// When it happened.
    pub time: Timestamp,
    /// Lines that prove it, and captured fields.
    pub evidence: &'a Evidence,
    /// How much it counts: 1 for a log line, the number of texts for `attempt`.
    pub weight: f64,
}

#[derive(Debug)]
struct FailureCount {
    first: Timestamp,
    last: Timestamp,
    /// Whole numbers unless `bantime.increment` weighs failures of known offenders.
    retry: f64,
    failures: u32,
    bancount: u32,
    evidence: Evidence,
}

/// What a counter goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryLimits {
    /// Ban at this count.
    pub max_retry: i64,
    /// Length of the window in seconds.
    pub find_time: Number,
    /// Lines kept per id; 0 keeps none.
    pub max_matches: i64,
}

impl Default for RetryLimits {
    fn default() -> RetryLimits {
        RetryLimits {
            max_retry: 3,
            find_time: Number::Int(600),
            max_matches: 5,
        }
    }
}

/// The failing ids of one jail.
#[derive(Debug)]
pub(super) struct Counter {
    entries: HashMap<Address, FailureCount>,
    limits: RetryLimits,
    total: u64,
    newest: Timestamp,
    next_cleanup: Timestamp,
    keeper: JailEvidence,
}

impl Default for Counter {
    fn default() -> Counter {
        Counter {
            entries: HashMap::new(),
            limits: RetryLimits::default(),
            total: 0,
            newest: f64::NEG_INFINITY,
            next_cleanup: f64::NEG_INFINITY,
            keeper: JailEvidence::default(),
        }
    }
}

impl Counter {
    /// Sets all limits, for what is counted from now on.
    pub fn set_limits(&mut self, limits: RetryLimits) {
        self.limits = limits;
    }

    /// Sets where evidence is counted.
    pub fn keep_in(&mut self, keeper: JailEvidence) {
        self.keeper = keeper;
    }

    /// How long failures count, in seconds.
    pub fn find_time(&self) -> f64 {
        self.limits.find_time.as_f64()
    }

    /// Ids with failures.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the failures of an id weigh by now; nothing for one that has none.
    pub fn standing(&self, id: &Address) -> f64 {
        self.entries.get(id).map_or(0.0, |entry| entry.retry)
    }

    /// Failures ever counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether a count is enough for a ban.
    pub fn is_enough(&self, retry: f64) -> bool {
        retry >= self.limits.max_retry as f64
    }

    /// Counts one failure and answers the count of its id.
    ///
    /// The window slides by estimate, not by memory: when a failure comes more than findtime after
    /// the first one, the count is scaled to what the rate so far gives within findtime (fact B3).
    pub fn add(&mut self, offence: &Offence<'_>, now: Timestamp) -> f64 {
        self.total += 1;
        self.newest = self.newest.max(offence.time);
        let find_time = self.find_time();
        let horizon = now - find_time;
        let keep = usize::try_from(self.limits.max_matches).unwrap_or(0);
        if let Some(entry) = self.entries.get_mut(offence.id)
            && entry.last > horizon
        {
            entry.slide(offence.time, find_time);
            entry.retry += offence.weight;
            entry.failures += 1;
            entry.evidence = entry.evidence.with_lines_of(offence.evidence, keep);
            self.keeper.keep(&entry.evidence);
            return entry.retry;
        }
        let entry = FailureCount {
            first: offence.time,
            last: offence.time,
            retry: offence.weight,
            failures: 1,
            bancount: 0,
            // the lines of the first failure all stay, whatever maxmatches says: they are one event
            evidence: offence.evidence.clone(),
        };
        self.keeper.keep(&entry.evidence);
        self.entries.insert(offence.id.clone(), entry);
        offence.weight
    }

    /// Counts a failure of a known offender once more, with `extra` weight (fact B11); `None` when
    /// the id has been banned in between.
    pub fn weigh(&mut self, id: &Address, extra: f64, bancount: u32) -> Option<f64> {
        let entry = self.entries.get_mut(id)?;
        entry.retry += extra;
        entry.failures += 1;
        entry.bancount = entry.bancount.max(bancount);
        self.total += 1;
        Some(entry.retry)
    }

    /// The failures ever counted and those that count now, in words; of very many ids the first.
    pub fn summary(&self) -> String {
        let shown = self.entries.iter().take(MOST_SHOWN);
        let mut ids: Vec<String> = shown
            .map(|(id, entry)| format!("{id}:{:.0}", entry.retry))
            .collect();
        if self.entries.len() > MOST_SHOWN {
            ids.push("...".to_owned());
        }
        format!(
            "Total # of detected failures: {}. Current failures from {} IPs (IP:count): {}",
            self.total,
            self.entries.len(),
            ids.join(", ")
        )
    }

    /// Takes the ticket of an id out.
    pub fn take(&mut self, id: &Address) -> Option<Ticket> {
        let entry = self.entries.remove(id)?;
        Some(Ticket {
            id: id.clone(),
            time: entry.last,
            failures: entry.failures,
            evidence: entry.evidence,
            bantime: None,
            bancount: entry.bancount,
            restored: false,
        })
    }

    /// Forgets ids whose last failure is findtime ago, at most every five seconds unless `forced`.
    /// Answers how many had to go although their time was not over.
    pub fn clean_up(&mut self, now: Timestamp, forced: bool) -> usize {
        let full = self.entries.len() > MAX_IDS;
        if now < self.next_cleanup && !forced && !full {
            return 0;
        }
        self.next_cleanup = now + CLEANUP_INTERVAL;
        let horizon = now - self.find_time();
        self.entries.retain(|_, entry| entry.last > horizon);
        let before = self.entries.len();
        if before > MAX_IDS {
            let mut times: Vec<_> = self.entries.values().map(|entry| entry.last).collect();
            // a quarter at once, so that the next ones cost nothing
            let (_, &mut limit, _) = times.select_nth_unstable_by(before / 4, f64::total_cmp);
            self.entries.retain(|_, entry| entry.last > limit);
        }
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        before - self.entries.len()
    }

    /// The clock was set back: what is later than now is as of now.
    pub fn set_back(&mut self, now: Timestamp) {
        for entry in self.entries.values_mut() {
            let later = (entry.last - now).max(0.0);
            entry.first -= later;
            entry.last -= later;
        }
        self.newest = self.newest.min(now);
        self.next_cleanup = f64::NEG_INFINITY;
    }

    /// When everything remembered will be out of date.
    pub fn stale_at(&self) -> Option<Timestamp> {
        (!self.entries.is_empty()).then_some(self.newest + self.find_time())
    }
}

impl FailureCount {
    fn slide(&mut self, time: Timestamp, find_time: f64) {
        // a late failure counts but moves nothing (fact B4)
        if time <= self.last {
            return;
        }
        if self.first < time - find_time {
            self.retry = (self.retry / (time - self.first) * find_time).round_ties_even();
            self.first = time - find_time;
        }
        self.last = time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{FieldValue, Fields, MatchLine};

    fn counter(max_retry: i64, find_time: f64) -> Counter {
        Counter {
            limits: RetryLimits {
                max_retry,
                find_time: Number::Float(find_time),
                ..RetryLimits::default()
            },
            ..Counter::default()
        }
    }

    fn fail(counter: &mut Counter, id: &str, time: f64) -> f64 {
        fail_by(counter, id, time, "", "line")
    }

    fn fail_by(counter: &mut Counter, id: &str, time: f64, user: &str, line: &str) -> f64 {
        let fields = Fields::from_iter([("user".to_owned(), FieldValue::Text(user.to_owned()))]);
        let offence = Offence {
            id: &Address::parse(id),
            time,
            evidence: &Evidence::new(&fields, &[MatchLine::Text(line.to_owned())]),
            weight: 1.0,
        };
        counter.add(&offence, time)
    }

    /// Times of failures and the count after each, as the original gives them.
    #[test]
    fn window_slides_by_estimate() {
        let table: &[(f64, &[(f64, f64)])] = &[
            // sharp edge 39: only two lie within six seconds, yet the third is counted as third
            (6.0, &[(0.0, 1.0), (4.0, 2.0), (8.0, 3.0)]),
            (6.0, &[(0.0, 1.0), (5.0, 2.0), (10.0, 2.0), (15.0, 2.0)]),
            // half rounds to even: 3 / 12 * 10 = 2.5
            (10.0, &[(0.0, 1.0), (4.0, 2.0), (5.0, 3.0), (12.0, 3.0)]),
            // late ones count without moving the window
            (10.0, &[(9.0, 1.0), (3.0, 2.0), (15.0, 3.0), (20.0, 4.0)]),
            // after findtime without any failure counting starts anew
            (10.0, &[(0.0, 1.0), (1.0, 2.0), (11.0, 1.0)]),
            (10.0, &[(0.0, 1.0), (1.0, 2.0), (10.9, 3.0)]),
        ];
        for (find_time, steps) in table {
            let mut counter = counter(5, *find_time);
            for (time, expected) in *steps {
                let count = fail(&mut counter, "192.0.2.1", *time);
                assert_eq!(count, *expected, "{steps:?} at {time}");
            }
        }
    }

    #[test]
    fn ticket_has_last_time_and_lines_and_first_fields() {
        let mut counter = counter(3, 600.0);
        counter.limits.max_matches = 2;
        for (n, user) in ["bob", "al;id", "eve"].iter().enumerate() {
            fail_by(
                &mut counter,
                "192.0.2.1",
                n as f64,
                user,
                &format!("line {n}"),
            );
        }
        let ticket = counter.take(&Address::parse("192.0.2.1")).unwrap();
        assert_eq!(ticket.time, 2.0);
        assert_eq!(ticket.failures, 3);
        assert_eq!(
            ticket.matches(),
            [
                MatchLine::Text("line 1".into()),
                MatchLine::Text("line 2".into())
            ]
        );
        assert_eq!(
            ticket.fields().get("user"),
            Some(&FieldValue::Text("bob".into()))
        );
        assert_eq!(counter.len(), 0);
        assert_eq!(counter.total(), 3);
        assert_eq!(fail(&mut counter, "192.0.2.1", 3.0), 1.0);
    }

    #[test]
    fn no_matches_are_kept_when_none_are_wanted() {
        let mut counter = counter(3, 600.0);
        counter.limits.max_matches = 0;
        fail(&mut counter, "192.0.2.1", 0.0);
        fail(&mut counter, "192.0.2.1", 1.0);
        assert!(
            counter
                .take(&Address::parse("192.0.2.1"))
                .unwrap()
                .matches()
                .is_empty()
        );
    }

    #[test]
    fn known_offenders_weigh_more() {
        let mut counter = counter(3, 600.0);
        let id = Address::parse("192.0.2.1");
        assert_eq!(counter.weigh(&id, 1.0, 1), None);
        fail(&mut counter, "192.0.2.1", 0.0);
        assert_eq!(counter.weigh(&id, 1.0, 1), Some(2.0));
        assert_eq!(counter.total(), 2);
        let ticket = counter.take(&id).unwrap();
        assert_eq!((ticket.failures, ticket.bancount), (2, 1));
    }

    #[test]
    fn old_ids_are_forgotten() {
        let mut counter = counter(3, 600.0);
        fail(&mut counter, "192.0.2.1", 0.0);
        fail(&mut counter, "192.0.2.2", 100.0);
        assert_eq!(counter.stale_at(), Some(700.0));
        assert_eq!(counter.clean_up(600.0, false), 0);
        assert_eq!(counter.len(), 1);
        counter.clean_up(700.0, false);
        assert_eq!(counter.len(), 0);
        assert_eq!(counter.stale_at(), None);
    }
}
