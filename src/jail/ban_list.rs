//! The ban list of one jail: who is banned until when, and whose ban has expired (facts B7–B9, B17).
//!
//! Ends are kept in a heap, so nothing is searched and the task wakes only when a ban ends.
#![forbid(unsafe_code)]

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use indexmap::IndexMap;

use crate::address::Address;
use crate::evidence::Evidence;
use crate::evidence::memory::JailEvidence;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// Why a ticket was not banned, or that it was.
#[derive(Debug, PartialEq)]
pub(super) enum Added {
    /// It is banned now.
    New,
    /// The ban would have ended already.
    Expired,
    /// The id is banned; `age` is how many seconds after that ban this failure happened.
    Already {
        /// Seconds.
        age: f64,
    },
}

#[derive(Debug)]
struct BanEntry {
    /// Order of arrival, what lists are sorted by.
    number: u64,
    time: Timestamp,
    length: BanLength,
    failures: u32,
    bancount: u32,
    restored: bool,
    evidence: Evidence,
}

/// A ban's own length in half the room of an `Option<BanTime>`: infinity is a permanent ban, and
/// no number that of the jail's bantime, whatever it will be.
#[derive(Clone, Copy, Debug)]
struct BanLength(f64);

impl BanLength {
    fn new(own: Option<BanTime>) -> BanLength {
        BanLength(match own {
            Some(BanTime::Seconds(seconds)) => seconds,
            Some(BanTime::Permanent) => f64::INFINITY,
            None => f64::NAN,
        })
    }

    fn or(self, default: BanTime) -> BanTime {
        match self.0 {
            own if own.is_nan() => default,
            f64::INFINITY => BanTime::Permanent,
            seconds => BanTime::Seconds(seconds),
        }
    }
}

/// Time of an end, ordered.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BanEnd(Timestamp);

impl Eq for BanEnd {}

impl PartialOrd for BanEnd {
    fn partial_cmp(&self, other: &BanEnd) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BanEnd {
    fn cmp(&self, other: &BanEnd) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The banned ids.
#[derive(Debug)]
pub(super) struct BanList {
    /// In no order: a lifted ban leaves its place to the last one.
    bans: IndexMap<Address, BanEntry>,
    /// Ends of bans, some outdated: an entry counts if it is still the end of its ban.
    ends: BinaryHeap<Reverse<(BanEnd, u64, Address)>>,
    default: BanTime,
    next_number: u64,
    total: u64,
    keeper: JailEvidence,
}

impl Default for BanList {
    fn default() -> BanList {
        BanList {
            bans: IndexMap::new(),
            ends: BinaryHeap::new(),
            default: BanTime::Seconds(600.0),
            next_number: 0,
            total: 0,
            keeper: JailEvidence::default(),
        }
    }
}

/// When a ban of this length ends; a permanent one at infinity.
pub(super) fn end_of(time: Timestamp, length: BanTime) -> Timestamp {
    match length {
        BanTime::Seconds(seconds) => time + seconds,
        BanTime::Permanent => f64::INFINITY,
    }
}

impl BanList {
    /// Sets where evidence is counted.
    pub fn keep_in(&mut self, keeper: JailEvidence) {
        self.keeper = keeper;
    }

    /// Bans now.
    pub fn len(&self) -> usize {
        self.bans.len()
    }

    /// Bans ever.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The jail's bantime.
    pub fn default_length(&self) -> BanTime {
        self.default
    }

    /// Sets the jail's bantime; it holds for present bans too unless they have a length of their
    /// own.
    pub fn set_default_length(&mut self, length: BanTime) {
        if self.default != length {
            self.default = length;
            self.rebuild_ends();
        }
    }

    /// Whether an id is banned.
    pub fn contains(&self, id: &Address) -> bool {
        self.bans.contains_key(id)
    }

    /// Bans a ticket unless its time is over or its id is banned already; then the present ban is
    /// extended if it would end earlier (fact B8). Counts the ban in `ticket.bancount`.
    pub fn add(&mut self, ticket: &mut Ticket, now: Timestamp) -> Added {
        let length = ticket.bantime.unwrap_or(self.default);
        let end = end_of(ticket.time, length);
        // no time at all is over before anything could be done
        let none = matches!(length, BanTime::Seconds(seconds) if seconds <= 0.0);
        if end < now || none {
            return Added::Expired;
        }
        if let Some(ban) = self.bans.get_mut(&ticket.id) {
            let age = ticket.time - ban.time;
            if end > end_of(ban.time, ban.length.or(self.default)) {
                // the ban keeps its beginning and becomes longer
                ban.length = BanLength::new(Some(match length {
                    BanTime::Seconds(seconds) => BanTime::Seconds(seconds + age.max(0.0)),
                    BanTime::Permanent => BanTime::Permanent,
                }));
                self.note_end(&ticket.id);
            }
            return Added::Already { age };
        }
        ticket.bancount += 1;
        self.keeper.keep(&ticket.evidence);
        let ban = BanEntry {
            number: self.next_number,
            time: ticket.time,
            length: BanLength::new(ticket.bantime),
            failures: ticket.failures,
            bancount: ticket.bancount,
            restored: ticket.restored,
            evidence: ticket.evidence.clone(),
        };
        self.next_number += 1;
        self.total += 1;
        self.bans.insert(ticket.id.clone(), ban);
        self.note_end(&ticket.id);
        Added::New
    }

    /// Gives a ban its own length and count (fact B12).
    pub fn lengthen(&mut self, id: &Address, length: BanTime, bancount: u32) {
        if let Some(ban) = self.bans.get_mut(id) {
            ban.length = BanLength::new(Some(length));
            ban.bancount = bancount;
            self.note_end(id);
        }
    }

    /// The ticket of a banned id.
    pub fn get(&self, id: &Address) -> Option<Ticket> {
        self.bans.get(id).map(|ban| self.ticket(id.clone(), ban))
    }

    /// Lifts a ban.
    pub fn remove(&mut self, id: &Address) -> Option<Ticket> {
        let ban = self.bans.swap_remove(id)?;
        Some(self.ticket(id.clone(), &ban))
    }

    /// Lifts all bans, in order of arrival.
    pub fn take_all(&mut self) -> Vec<Ticket> {
        let tickets = self.tickets();
        self.bans = IndexMap::new();
        self.ends = BinaryHeap::new();
        tickets
    }

    /// Lifts the bans that have ended before `now`, the earliest first, at most `limit`.
    pub fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<Ticket> {
        let due = self.take_due_ids(now, limit);
        due.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Takes the ends that are before `now` off the list, the earliest first, at most `limit`.
    fn take_due_ids(&mut self, now: Timestamp, limit: usize) -> Vec<Address> {
        let mut due = Vec::new();
        while due.len() < limit
            && let Some(end) = self.next_end()
            && end < now
        {
            if let Some(Reverse((_, _, id))) = self.ends.pop() {
                due.push(id);
            }
        }
        due
    }

    /// Lets the bans that have ended before `now` go on for so many seconds; answers them, the
    /// earliest first, at most `limit`.
    pub fn postpone_due(&mut self, now: Timestamp, limit: usize, seconds: f64) -> Vec<Ticket> {
        let due = self.take_due_ids(now, limit);
        due.iter()
            .filter_map(|id| {
                let ticket = self.get(id)?;
                let length = BanTime::Seconds(now - ticket.time + seconds);
                self.lengthen(id, length, ticket.bancount);
                Some(ticket)
            })
            .collect()
    }

    /// When the next ban ends.
    pub fn next_end(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((end, number, id))) = self.ends.peek() {
            if self.bans.get(id).is_some_and(|ban| {
                ban.number == *number && end_of(ban.time, ban.length.or(self.default)) == end.0
            }) {
                return Some(end.0);
            }
            self.ends.pop();
        }
        None
    }

    /// Banned ids in order of arrival.
    pub fn ids(&self) -> Vec<&Address> {
        let mut ids: Vec<_> = self.bans.iter().map(|(id, ban)| (ban.number, id)).collect();
        ids.sort_unstable_by_key(|(number, _)| *number);
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// Tickets in order of arrival.
    pub fn tickets(&self) -> Vec<Ticket> {
        self.ids()
            .into_iter()
            .filter_map(|id| self.get(id))
            .collect()
    }

    /// Id, begin, length and end of all bans, ordered by end (fact P47).
    pub fn by_end(&self) -> Vec<(&Address, Timestamp, BanTime, Timestamp)> {
        let mut list: Vec<_> = self
            .bans
            .iter()
            .map(|(id, ban)| {
                let length = ban.length.or(self.default);
                (ban.number, (id, ban.time, length, end_of(ban.time, length)))
            })
            .collect();
        list.sort_unstable_by(|a, b| a.1.3.total_cmp(&b.1.3).then(a.0.cmp(&b.0)));
        list.into_iter().map(|(_, ban)| ban).collect()
    }

    fn ticket(&self, id: Address, ban: &BanEntry) -> Ticket {
        Ticket {
            id,
            time: ban.time,
            failures: ban.failures,
            evidence: ban.evidence.clone(),
            bantime: Some(ban.length.or(self.default)),
            bancount: ban.bancount,
            restored: ban.restored,
        }
    }

    fn note_end(&mut self, id: &Address) {
        if let Some(ban) = self.bans.get(id) {
            let end = end_of(ban.time, ban.length.or(self.default));
            if end.is_finite() {
                self.ends
                    .push(Reverse((BanEnd(end), ban.number, id.clone())));
            }
        }
        if self.ends.len() > 2 * self.bans.len() + 64 {
            self.rebuild_ends();
        }
    }

    fn rebuild_ends(&mut self) {
        let default = self.default;
        self.ends = self
            .bans
            .iter()
            .map(|(id, ban)| {
                let end = end_of(ban.time, ban.length.or(default));
                Reverse((BanEnd(end), ban.number, id.clone()))
            })
            .filter(|Reverse((end, _, _))| end.0.is_finite())
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(bantime: f64) -> BanList {
        let mut list = BanList::default();
        list.set_default_length(BanTime::Seconds(bantime));
        list
    }

    fn ticket(id: &str, time: f64) -> Ticket {
        Ticket::new(Address::parse(id), time)
    }

    fn shown(tickets: &[Ticket]) -> Vec<String> {
        tickets.iter().map(|t| t.id.to_string()).collect()
    }

    #[test]
    fn bans_end_in_time_and_order() {
        let mut list = list(10.0);
        for (id, time) in [("192.0.2.1", 5.0), ("192.0.2.2", 3.0), ("192.0.2.3", 4.0)] {
            assert_eq!(list.add(&mut ticket(id, time), 5.0), Added::New);
        }
        assert_eq!(list.next_end(), Some(13.0));
        // at its very end a ban still holds
        assert!(list.take_due(13.0, 10).is_empty());
        assert_eq!(shown(&list.take_due(14.5, 10)), ["192.0.2.2", "192.0.2.3"]);
        assert_eq!(list.next_end(), Some(15.0));
        assert_eq!(list.len(), 1);
        assert_eq!(list.total(), 3);
        assert_eq!(shown(&list.take_due(99.0, 10)), ["192.0.2.1"]);
        assert_eq!(list.next_end(), None);
    }

    #[test]
    fn a_ban_counts_from_the_failure() {
        let mut list = list(60.0);
        assert_eq!(
            list.add(&mut ticket("192.0.2.1", 0.0), 300.0),
            Added::Expired
        );
        assert_eq!(list.len(), 0);
        assert_eq!(list.add(&mut ticket("192.0.2.1", 0.0), 60.0), Added::New);
        list.set_default_length(BanTime::Seconds(0.0));
        let none = list.add(&mut ticket("192.0.2.2", 60.0), 60.0);
        assert_eq!(none, Added::Expired);
    }

    /// Sharp edge 40: bantime 6, ban at 12, failures at 15, unban after 21.
    #[test]
    fn failures_prolong() {
        let mut list = list(6.0);
        assert_eq!(list.add(&mut ticket("192.0.2.1", 12.0), 12.0), Added::New);
        assert_eq!(
            list.add(&mut ticket("192.0.2.1", 15.0), 15.0),
            Added::Already { age: 3.0 }
        );
        assert!(list.take_due(20.9, 10).is_empty());
        assert_eq!(list.next_end(), Some(21.0));
        let lifted = list.take_due(21.1, 10);
        assert_eq!(lifted[0].time, 12.0);
        assert_eq!(lifted[0].bantime, Some(BanTime::Seconds(9.0)));
    }

    #[test]
    fn permanent_bans_stay() {
        let mut list = BanList::default();
        list.set_default_length(BanTime::Permanent);
        list.add(&mut ticket("192.0.2.1", 0.0), 0.0);
        assert_eq!(list.next_end(), None);
        assert!(list.take_due(1e12, 10).is_empty());
        // a new bantime holds for bans without a length of their own
        list.set_default_length(BanTime::Seconds(5.0));
        assert_eq!(list.next_end(), Some(5.0));
    }

    #[test]
    fn own_lengths_beat_the_jails() {
        let mut list = list(10.0);
        list.add(&mut ticket("192.0.2.1", 0.0), 0.0);
        list.add(&mut ticket("192.0.2.2", 0.0), 0.0);
        list.lengthen(&Address::parse("192.0.2.1"), BanTime::Seconds(40.0), 2);
        list.set_default_length(BanTime::Seconds(20.0));
        assert_eq!(shown(&list.take_due(30.0, 10)), ["192.0.2.2"]);
        let ticket = list.get(&Address::parse("192.0.2.1")).unwrap();
        assert_eq!(
            (ticket.bancount, ticket.bantime),
            (2, Some(BanTime::Seconds(40.0)))
        );
    }

    #[test]
    fn lists_have_their_orders() {
        let mut list = list(10.0);
        for (id, time) in [("192.0.2.9", 5.0), ("192.0.2.2", 3.0), ("192.0.2.5", 4.0)] {
            list.add(&mut ticket(id, time), 5.0);
        }
        let ids: Vec<_> = list.ids().iter().map(|id| id.to_string()).collect();
        assert_eq!(ids, ["192.0.2.9", "192.0.2.2", "192.0.2.5"]);
        let ends: Vec<_> = list.by_end().iter().map(|ban| ban.3).collect();
        assert_eq!(ends, [13.0, 14.0, 15.0]);
        assert_eq!(
            shown(&list.take_all()),
            ["192.0.2.9", "192.0.2.2", "192.0.2.5"]
        );
        assert_eq!(list.len(), 0);
    }

    #[test]
    fn a_removed_and_repeated_ban_is_not_lifted_early() {
        let mut list = list(10.0);
        list.add(&mut ticket("192.0.2.1", 0.0), 0.0);
        assert!(list.remove(&Address::parse("192.0.2.1")).is_some());
        list.add(&mut ticket("192.0.2.1", 5.0), 5.0);
        assert!(list.take_due(11.0, 10).is_empty());
        assert_eq!(list.len(), 1);
    }
}
