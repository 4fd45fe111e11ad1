//! `ignorecache`: caches whether an id is ignored (fact J19).
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};

use crate::ticket::Timestamp;

/// Answers remembered by a key with tags expanded (fact J19).
#[derive(Clone, Debug)]
pub(super) struct IgnoreCache {
    /// The key, tags not yet expanded.
    pub key: String,
    /// Answers kept.
    pub max_count: i64,
    /// Seconds an answer holds.
    pub max_time: f64,
    answers: HashMap<String, (bool, Timestamp)>,
    order: VecDeque<String>,
}

impl IgnoreCache {
    /// An empty cache.
    pub fn new(key: String, max_count: i64, max_time: f64) -> IgnoreCache {
        IgnoreCache {
            key,
            max_count,
            max_time,
            answers: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The answer remembered for a key.
    pub fn get(&self, key: &str, now: Timestamp) -> Option<bool> {
        let (answer, until) = self.answers.get(key)?;
        // one that holds longer than any was given before the clock was set back
        (now < *until && *until <= now + self.max_time).then_some(*answer)
    }

    /// Remembers an answer; the oldest goes when there are too many.
    pub fn set(&mut self, key: String, answer: bool, now: Timestamp) {
        if self
            .answers
            .insert(key.clone(), (answer, now + self.max_time))
            .is_none()
        {
            self.order.push_back(key);
        }
        while self.order.len() as i64 > self.max_count.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_forgets() {
        let mut cache = IgnoreCache::new("<ip>".into(), 2, 10.0);
        cache.set("a".into(), true, 0.0);
        cache.set("b".into(), false, 1.0);
        assert_eq!(cache.get("a", 9.0), Some(true));
        assert_eq!(cache.get("a", 10.0), None);
        assert_eq!(cache.get("b", 9.0), Some(false));
        cache.set("c".into(), true, 2.0);
        assert_eq!(cache.get("a", 3.0), None);
        assert_eq!(cache.get("c", 3.0), Some(true));
    }
}
