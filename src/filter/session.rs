//! Sessions: what is kept between lines that share an `F-MLFID` (facts R32–R38).
//!
//! In: the fields and lines of one match, and the key of the session. Out: the merged fields and the lines
//! that are evidence now. At most 100 sessions are kept, each for five minutes, with 1 MiB of lines and
//! fields in all.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::name::Name;
use super::record::GroupRecord;
use crate::fields::{FieldValue, MatchLine};
use crate::ticket::Timestamp;

const MOST: usize = 100;
const LIFETIME: f64 = 300.0;
/// Lines kept per session; the oldest go first. The original keeps all.
const MOST_LINES: usize = 1000;
/// Users told apart per session.
const MOST_USERS: usize = 1000;
/// Bytes of their names.
const MOST_USERS_BYTES: usize = 64 << 10;
/// Bytes of all sessions of a filter; the oldest sessions go first, then the oldest lines of the one
/// that is left.
const MOST_BYTES: usize = 1 << 20;

/// Fields and lines of a failure, gathered over one match or a whole session.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionData {
    pub(super) record: GroupRecord,
    /// Lines of failures.
    pub(super) matches: Vec<MatchLine>,
    /// Lines that were no failures, kept as context of a later one.
    context: Vec<MatchLine>,
    /// Failures are waiting for an id (fact R34).
    pub(super) pending: bool,
}

impl SessionData {
    /// A match that belongs to no session.
    pub(super) fn single(record: GroupRecord, matches: Vec<MatchLine>) -> SessionData {
        SessionData {
            record,
            matches,
            ..SessionData::default()
        }
    }

    /// How many lines are kept as context.
    pub(super) fn context_lines(&self) -> usize {
        self.context.len()
    }

    /// Bytes of its lines and fields.
    fn size(&self) -> usize {
        let lines = self.context.iter().chain(&self.matches);
        let fields = self.record.iter().filter_map(|(_, value)| value);
        lines.map(MatchLine::size).sum::<usize>() + fields.map(FieldValue::size).sum::<usize>()
    }

    /// Forgets the oldest lines beyond so many bytes, but not the newest one.
    fn shorten(&mut self, bytes: usize) {
        let mut surplus = self.size().saturating_sub(bytes);
        for list in [&mut self.context, &mut self.matches] {
            let mut dropped = 0;
            while surplus > 0 && dropped + 1 < list.len() {
                surplus = surplus.saturating_sub(list[dropped].size());
                dropped += 1;
            }
            list.drain(..dropped);
        }
    }

    /// Adds the user of a line to the users seen; answers how many there are.
    fn add_user(&mut self, user: Option<&str>) -> usize {
        let user = user.filter(|user| !user.is_empty());
        match (self.record.get_mut(&Name::Users), user) {
            (Some(FieldValue::Set(users)), Some(user)) => {
                if users.iter().any(|known| known == user) {
                    return users.len();
                }
                let bytes = users.iter().map(String::len).sum::<usize>() + user.len();
                if users.len() < MOST_USERS && bytes <= MOST_USERS_BYTES {
                    users.push(user.to_owned());
                    return users.len();
                }
                users.len() + 1
            }
            (Some(FieldValue::Set(users)), None) => users.len(),
            (_, Some(user)) => {
                let users = FieldValue::Set(vec![user.to_owned()]);
                self.record.set(Name::Users, Some(users));
                1
            }
            (_, None) => 0,
        }
    }
}

/// A hash of keys, fit for as few as are remembered here, even if all of them collide.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x51_7c_c1_b7_27_22_0a_95);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[derive(Debug)]
struct HeldSession {
    session: SessionData,
    /// Bytes of the session when it was last seen.
    size: usize,
    end: Timestamp,
    /// Tells this entry from earlier ones under the same key.
    number: u64,
}

/// Whether a match ends its session and is no failure.
pub(super) fn ends_in_peace(record: &GroupRecord) -> bool {
    let nofail = record.truthy(&Name::Nofail) || record.truthy(&Name::Mlfgained);
    nofail && record.truthy(&Name::Mlfforget)
}

/// The sessions of one filter.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    entries: HashMap<Arc<str>, HeldSession, BuildHasherDefault<Quick>>,
    /// Keys with the numbers of their entries, oldest first; some may be gone.
    order: VecDeque<(Arc<str>, u64)>,
    last_number: u64,
    /// Bytes of all sessions.
    bytes: usize,
    /// The state of the line's session when that is not (or no longer) remembered.
    detached: SessionData,
}

impl Sessions {
    /// The session of this key, if it is remembered.
    pub(super) fn get(&self, key: &str) -> Option<&SessionData> {
        self.entries.get(key).map(|entry| &entry.session)
    }

    /// Whether anything is remembered under this key, be it out of date.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Merges a match with its session (facts R32–R38) and gives the merged state, which stays
    /// remembered: what the caller changes in it later lines will see.
    pub(super) fn merge(
        &mut self,
        key: &Arc<str>,
        mut fresh: GroupRecord,
        lines: &[MatchLine],
        now: Timestamp,
    ) -> &mut SessionData {
        let mut gained = fresh.truthy(&Name::Mlfgained);
        let mut nofail = fresh.truthy(&Name::Nofail);
        if gained && !nofail {
            let value = fresh.get(&Name::Mlfgained).cloned();
            fresh.set(Name::Nofail, value);
            nofail = true;
        }
        let forget = fresh.remove(&Name::Mlfforget);

        let mut users = 0;
        match self.entries.get_mut(key) {
            // one that ends later than it can was begun before the clock was set back
            Some(entry) if entry.end > now && entry.end <= now + LIFETIME => {
                let session = &mut entry.session;
                users = session.add_user(fresh.text(&Name::User));
                // both flags count for the line they stand in only
                let was_nofail = session.record.remove(&Name::Nofail);
                let was_gained = session.record.remove(&Name::Mlfgained);
                if gained {
                    session.pending = false;
                }
                if !was_nofail && !was_gained && !session.pending {
                    session.matches.clear();
                }
                session.record.readdress(&fresh);
                session.record.update(fresh);
                if forget && let Some(entry) = self.remove(key) {
                    self.detached = entry.session;
                }
            }
            _ => {
                self.remove(key);
                self.detached = SessionData::default();
                if forget {
                    self.detached.record = fresh;
                } else {
                    let mut session = SessionData {
                        record: fresh,
                        ..SessionData::default()
                    };
                    let user = session.record.text(&Name::User).map(str::to_owned);
                    if let Some(user) = user.filter(|user| !user.is_empty()) {
                        let first = FieldValue::Set(vec![user]);
                        session.record.set(Name::Users, Some(first));
                        users = 1;
                    }
                    self.remember(key.clone(), session, now);
                }
            }
        }

        let session = match self.entries.get_mut(key) {
            Some(entry) => &mut entry.session,
            None => &mut self.detached,
        };
        if std::mem::take(&mut session.pending) || users > 1 {
            session.record.remove(&Name::Nofail);
            session.record.remove(&Name::Mlfgained);
            nofail = false;
            gained = false;
        }
        if !nofail {
            let mut all = std::mem::take(&mut session.context);
            all.append(&mut session.matches);
            if !gained {
                all.extend_from_slice(lines);
            }
            session.matches = all;
        } else if !forget {
            session.context.extend_from_slice(lines);
        }
        for list in [&mut session.context, &mut session.matches] {
            let surplus = list.len().saturating_sub(MOST_LINES);
            list.drain(..surplus);
        }
        self.make_room(key);
        match self.entries.get_mut(key) {
            Some(entry) => &mut entry.session,
            None => &mut self.detached,
        }
    }

    fn remove(&mut self, key: &str) -> Option<HeldSession> {
        let entry = self.entries.remove(key)?;
        self.bytes -= entry.size;
        Some(entry)
    }

    /// Counts what a session has come to, and forgets what is too much.
    fn make_room(&mut self, key: &Arc<str>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.session.shorten(MOST_BYTES);
        let size = entry.session.size() + key.len();
        self.bytes = self.bytes - entry.size + size;
        entry.size = size;
        let present = entry.number;
        while self.bytes > MOST_BYTES
            && let Some((oldest, number)) = self.order.pop_front()
        {
            if number == present {
                self.order.push_front((oldest, number));
                // it may be the oldest, but it is the one that is heard of
                let Some((next, number)) = self.order.remove(1) else {
                    break;
                };
                self.forget(&next, number);
                continue;
            }
            self.forget(&oldest, number);
        }
    }

    /// Forgets the session of this key if it is still the one with this number.
    fn forget(&mut self, key: &str, number: u64) -> Option<HeldSession> {
        let same = self.entries.get(key).is_some_and(|e| e.number == number);
        same.then(|| self.remove(key)).flatten()
    }

    /// Stores a new session. When there are too many, the oldest go: all expired ones at the
    /// front and one that is not, as in the original's cache.
    fn remember(&mut self, key: Arc<str>, session: SessionData, now: Timestamp) {
        if self.entries.len() >= MOST {
            while let Some((oldest, number)) = self.order.pop_front() {
                let Some(entry) = self.forget(&oldest, number) else {
                    continue;
                };
                if entry.end > now && self.entries.len() < MOST {
                    break;
                }
            }
        }
        if self.order.len() > 2 * MOST {
            let entries = &self.entries;
            self.order
                .retain(|(key, number)| entries.get(key).is_some_and(|e| e.number == *number));
        }
        self.last_number += 1;
        let entry = HeldSession {
            session,
            size: 0,
            end: now + LIFETIME,
            number: self.last_number,
        };
        self.order.push_back((key.clone(), self.last_number));
        self.entries.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[(&str, &str)]) -> GroupRecord {
        let mut record = GroupRecord::default();
        for (name, value) in fields {
            record.set(Name::from(*name), Some(FieldValue::Text((*value).into())));
        }
        record
    }

    fn line(text: &str) -> [MatchLine; 1] {
        [MatchLine::Text(text.into())]
    }

    fn texts(gathered: &SessionData) -> Vec<String> {
        gathered.matches.iter().map(MatchLine::text).collect()
    }

    #[test]
    fn a_failure_brings_the_lines_before_it_once() {
        let mut sessions = Sessions::default();
        let merged = sessions.merge(
            &"1".into(),
            record(&[("nofail", "x"), ("ip4", "a")]),
            &line("A"),
            0.0,
        );
        assert!(merged.record.truthy(&Name::Nofail) && merged.matches.is_empty());
        let merged = sessions.merge(&"1".into(), record(&[("user", "u")]), &line("B"), 1.0);
        assert_eq!(texts(merged), ["A", "B"]);
        assert_eq!(merged.record.text(&Name::Ip4), Some("a"));
        assert!(!merged.record.truthy(&Name::Nofail));
        let merged = sessions.merge(&"1".into(), record(&[("user", "u")]), &line("C"), 2.0);
        assert_eq!(texts(merged), ["C"]);
    }

    #[test]
    fn the_newest_address_counts_whatever_its_family() {
        let mut sessions = Sessions::default();
        let mut merge = |fields: &[(&str, &str)]| {
            let merged = sessions.merge(&"1".into(), record(fields), &[], 0.0);
            let text = |name: &Name| merged.record.text(name).map(str::to_owned);
            (text(&Name::Ip4), text(&Name::Ip6))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(merge(&[("ip4", "a")]), (some("a"), None));
        assert_eq!(merge(&[("ip6", "b")]), (None, some("b")));
        assert_eq!(merge(&[("user", "u")]), (None, some("b")));
        assert_eq!(merge(&[("ip4", "c")]), (some("c"), None));
    }

    #[test]
    fn login_forgives_one_user_but_not_two() {
        let mut sessions = Sessions::default();
        sessions
            .merge(&"1".into(), record(&[("user", "a")]), &line("A"), 0.0)
            .pending = true;
        let merged = sessions.merge(
            &"1".into(),
            record(&[("user", "a"), ("mlfgained", "y")]),
            &line("B"),
            1.0,
        );
        assert!(merged.record.truthy(&Name::Nofail));
        let merged = sessions.merge(
            &"1".into(),
            record(&[("user", "b"), ("mlfgained", "y")]),
            &line("C"),
            1.0,
        );
        assert!(!merged.record.truthy(&Name::Nofail), "a second user");
    }

    #[test]
    fn forgotten_expired_and_displaced_sessions_are_gone() {
        let mut sessions = Sessions::default();
        sessions.merge(&"1".into(), record(&[("ip4", "a")]), &[], 0.0);
        sessions.merge(&"1".into(), record(&[("mlfforget", "y")]), &[], 1.0);
        assert!(sessions.entries.is_empty());
        sessions.merge(&"2".into(), record(&[("mlfforget", "y")]), &[], 1.0);
        assert!(sessions.entries.is_empty(), "a forget line is not stored");
        sessions.merge(&"3".into(), record(&[("ip4", "a")]), &[], 1.0);
        let merged = sessions.merge(&"3".into(), record(&[]), &[], 302.0);
        assert_eq!(
            merged.record.get(&Name::Ip4),
            None,
            "older than five minutes"
        );
        for i in 0..150 {
            sessions.merge(&format!("k{i}").into(), record(&[]), &[], 302.0);
        }
        assert_eq!(sessions.entries.len(), MOST);
        assert!(sessions.entries.contains_key("k149") && !sessions.entries.contains_key("k49"));
        for i in 0..10_000 {
            let key = format!("f{i}").into();
            sessions.merge(&key, record(&[]), &[], 302.0);
            sessions.merge(&key, record(&[("mlfforget", "y")]), &[], 302.0);
        }
        assert!(
            sessions.order.len() <= 2 * MOST + 1,
            "{}",
            sessions.order.len()
        );
    }

    #[test]
    fn a_session_keeps_a_bounded_number_of_lines() {
        let mut sessions = Sessions::default();
        for i in 0..3 * MOST_LINES {
            let text = i.to_string();
            sessions.merge(&"1".into(), record(&[("nofail", "x")]), &line(&text), 0.0);
        }
        let merged = sessions.merge(&"1".into(), record(&[("ip4", "a")]), &line("last"), 0.0);
        let lines = texts(merged);
        assert_eq!(lines.len(), MOST_LINES);
        assert_eq!(lines.last().map(String::as_str), Some("last"));
    }

    #[test]
    fn sessions_keep_a_bounded_number_of_bytes() {
        let long = |n: usize| line(&format!("{n}{}", "x".repeat(8 << 10)));
        let mut sessions = Sessions::default();
        let pending = || record(&[("nofail", "x")]);
        for n in 0..MOST {
            for _ in 0..5 {
                sessions.merge(&n.to_string().into(), pending(), &long(n), 0.0);
                assert!(sessions.bytes <= MOST_BYTES);
            }
        }
        // the newest are whole
        let merged = sessions.merge(&"99".into(), record(&[("ip4", "a")]), &line("last"), 0.0);
        assert_eq!(merged.matches.len(), 6);
        assert!(!sessions.knows("0"));
        // one session alone loses its oldest lines
        for n in 0..500 {
            sessions.merge(&"1".into(), pending(), &long(n), 0.0);
        }
        let merged = sessions.merge(&"1".into(), record(&[("ip4", "a")]), &line("last"), 0.0);
        let (first, last) = (merged.matches[0].text(), texts(merged));
        assert!(
            first.starts_with("374x") || first.starts_with("373x"),
            "{}",
            &first[..4]
        );
        assert_eq!(last.last().map(String::as_str), Some("last"));
        assert!(sessions.bytes <= MOST_BYTES);
        for n in 0..500 {
            let user = format!("{n}{}", "x".repeat(8 << 10));
            sessions.merge(&"2".into(), record(&[("user", &user)]), &[], 0.0);
            assert!(sessions.bytes <= MOST_BYTES);
        }
    }
}
