//! Limits how much evidence is kept: the option `memory` of fail2ban.conf, for all jails together.
//!
//! When it is used up, the jail that keeps most drops its oldest, so that an attack on one jail does not cost
//! the others. Lines and long fields are dropped, never a count or a ban.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Evidence, SharedEvidence};
use crate::control::{CommandError, Value};
use crate::python::text::quoted;
use crate::warning;

/// Bytes that all jails together may keep unless `memory` says otherwise: five ordinary lines against
/// each of 90,000 ids.
pub const DEFAULT_LIMIT: usize = 64 << 20;

/// Entries of a list of which some may be gone before they are looked for.
const TIDY: usize = 64;

/// Reads a number of bytes; a text may end in `k`, `m` or `g`, 1024 of each other.
///
/// # Errors
/// `ValueError` for anything else.
pub fn size(value: &Value) -> Result<usize, CommandError> {
    let text = value.str();
    let text = text.trim();
    let (digits, unit) = match text.char_indices().last() {
        Some((last, 'k' | 'K')) => (&text[..last], 1 << 10),
        Some((last, 'm' | 'M')) => (&text[..last], 1 << 20),
        Some((last, 'g' | 'G')) => (&text[..last], 1 << 30),
        _ => (text, 1),
    };
    let bytes = digits.trim_end().parse().ok();
    bytes
        .and_then(|number: usize| number.checked_mul(unit))
        .ok_or_else(|| {
            let text = format!("Invalid memory size {}, use e.g. 64m", quoted(text));
            CommandError::builtin("ValueError", text)
        })
}

/// What all jails together may keep. Clones are the same.
#[derive(Clone, Debug)]
pub struct EvidenceMemory(Arc<Total>);

#[derive(Debug)]
struct Total {
    limit: AtomicUsize,
    used: AtomicUsize,
    jails: Mutex<Vec<Weak<Share>>>,
}

/// What one jail keeps of it. Clones are the same.
#[derive(Clone, Debug)]
pub struct JailEvidence(Arc<Share>);

#[derive(Debug)]
struct Share {
    jail: String,
    total: Arc<Total>,
    used: AtomicUsize,
    queue: Mutex<EvidenceQueue>,
    /// It was said that evidence had to be forgotten.
    warned: AtomicBool,
}

/// Evidence in the order in which it came; some may be gone.
#[derive(Debug, Default)]
struct EvidenceQueue {
    entries: VecDeque<Weak<SharedEvidence>>,
    /// So many lived at the last look.
    lived: usize,
}

impl EvidenceMemory {
    /// A memory of so many bytes.
    pub fn new(limit: usize) -> EvidenceMemory {
        EvidenceMemory(Arc::new(Total {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            jails: Mutex::default(),
        }))
    }

    /// Sets the limit in bytes.
    pub fn set_limit(&self, bytes: usize) {
        self.0.limit.store(bytes, Ordering::Relaxed);
        self.0.make_room();
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Bytes kept now.
    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The share of a jail.
    pub fn jail(&self, name: &str) -> JailEvidence {
        let share = Arc::new(Share {
            jail: name.to_owned(),
            total: self.0.clone(),
            used: AtomicUsize::new(0),
            queue: Mutex::default(),
            warned: AtomicBool::new(false),
        });
        let mut jails = lock(&self.0.jails);
        jails.retain(|jail| jail.strong_count() > 0);
        jails.push(Arc::downgrade(&share));
        JailEvidence(share)
    }
}

impl Default for EvidenceMemory {
    fn default() -> EvidenceMemory {
        EvidenceMemory::new(DEFAULT_LIMIT)
    }
}

impl Default for JailEvidence {
    fn default() -> JailEvidence {
        EvidenceMemory::default().jail("")
    }
}

impl JailEvidence {
    /// Counts evidence as this jail's newest, unless it is counted already.
    pub fn keep(&self, evidence: &Evidence) {
        let Some(kept) = &evidence.0 else {
            return;
        };
        let mut packed = kept.lock();
        if packed.keeper.is_some() {
            return;
        }
        let size = packed.bytes.len();
        packed.keeper = Some(self.clone());
        self.0.used.fetch_add(size, Ordering::Relaxed);
        self.0.total.used.fetch_add(size, Ordering::Relaxed);
        drop(packed);
        lock(&self.0.queue).push(Arc::downgrade(kept));
        self.0.total.make_room();
    }

    /// So many bytes are not kept any more.
    pub(super) fn release(&self, size: usize) {
        self.0.used.fetch_sub(size, Ordering::Relaxed);
        self.0.total.used.fetch_sub(size, Ordering::Relaxed);
    }
}

impl Total {
    fn make_room(&self) {
        while self.used.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed) {
            let largest = lock(&self.jails)
                .iter()
                .filter_map(Weak::upgrade)
                .max_by_key(|share| share.used.load(Ordering::Relaxed));
            if !largest.is_some_and(|share| share.forget_oldest()) {
                return;
            }
        }
    }
}

impl Share {
    /// Forgets the lines of the oldest evidence; false when there is none.
    fn forget_oldest(&self) -> bool {
        let oldest = loop {
            let Some(entry) = lock(&self.queue).entries.pop_front() else {
                return false;
            };
            if let Some(kept) = entry.upgrade() {
                break kept;
            }
        };
        let mut packed = oldest.lock();
        if let Some(keeper) = packed.keeper.take() {
            keeper.release(packed.bytes.len());
            packed.shrink();
        }
        if !self.warned.swap(true, Ordering::Relaxed) {
            warning!(
                "fail2ban.filter",
                "[{}] Matched lines take more than the {} bytes of memory allowed: the oldest are \
                 forgotten, bans and counts are not",
                self.jail,
                self.total.limit.load(Ordering::Relaxed)
            );
        }
        true
    }
}

impl EvidenceQueue {
    fn push(&mut self, entry: Weak<SharedEvidence>) {
        if self.entries.len() >= 2 * self.lived + TIDY {
            self.entries.retain(|entry| entry.strong_count() > 0);
            self.lived = self.entries.len();
        }
        self.entries.push_back(entry);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::fields::{FieldValue, Fields, MatchLine};

    fn evidence(text: &str) -> Evidence {
        let fields = Fields::from_iter([
            ("user", FieldValue::Text("bob".into())),
            ("agent", FieldValue::Text("x".repeat(SIZE))),
            ("ip", FieldValue::Address(Address::parse("192.0.2.1"))),
        ]);
        let line = format!("{text}{}", "x".repeat(SIZE));
        Evidence::new(&fields, &[MatchLine::Text(line)])
    }

    /// Of a line, and of a field.
    const SIZE: usize = 1000;

    fn lives(evidence: &Evidence) -> bool {
        !evidence.lines().is_empty()
    }

    #[test]
    fn oldest_lines_are_forgotten_first_and_short_fields_stay() {
        let memory = EvidenceMemory::new(10 * SIZE);
        let jail = memory.jail("j");
        let all: Vec<Evidence> = (0..20).map(|n| evidence(&n.to_string())).collect();
        for evidence in &all {
            jail.keep(evidence);
            assert!(memory.used() <= memory.limit());
        }
        let living: Vec<bool> = all.iter().map(lives).collect();
        let expected: Vec<bool> = (0..20).map(|n| n >= 16).collect();
        assert_eq!(living, expected);
        let fields = all[0].fields();
        let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["user", "ip"]);
        assert_eq!(all[19].fields().iter().count(), 3);
        drop(all);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn clones_share_what_is_kept_and_what_is_forgotten() {
        let memory = EvidenceMemory::new(10 * SIZE);
        let jail = memory.jail("j");
        let one = evidence("1");
        let other = one.clone();
        jail.keep(&one);
        let used = memory.used();
        jail.keep(&other);
        assert_eq!(memory.used(), used);
        memory.set_limit(0);
        assert!(!lives(&one) && !lives(&other));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn the_jail_that_keeps_most_forgets() {
        let memory = EvidenceMemory::new(20 * SIZE);
        let (quiet, attacked) = (memory.jail("quiet"), memory.jail("attacked"));
        let first = evidence("first");
        quiet.keep(&first);
        let flood: Vec<Evidence> = (0..100).map(|n| evidence(&n.to_string())).collect();
        flood.iter().for_each(|evidence| attacked.keep(evidence));
        assert!(lives(&first) && lives(&flood[99]) && !lives(&flood[0]));
        assert!(memory.used() <= memory.limit());
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("64m", Some(64 << 20)),
            ("1 K", Some(1024)),
            ("2G", Some(2 << 30)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1.5m", None),
            ("99999999999g", None),
        ] {
            assert_eq!(size(&Value::from(text)).ok(), bytes, "{text}");
        }
        assert_eq!(size(&Value::Int(5)).ok(), Some(5));
    }

    #[test]
    fn what_is_dropped_leaves_no_entries() {
        let jail = EvidenceMemory::new(usize::MAX).jail("j");
        for n in 0..10_000 {
            jail.keep(&evidence(&n.to_string()));
        }
        assert!(lock(&jail.0.queue).entries.len() <= TIDY);
    }
}
