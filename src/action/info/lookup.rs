//! Gets values of a ticket one by one, for actions that look them up themselves.

use super::{BanInfo, TAGS};
use crate::control::Value;

/// Values that the database or the resolver has to be asked for.
const ELSEWHERE: [&str; 5] = [
    "ip-host",
    "ipmatches",
    "ipjailmatches",
    "ipfailures",
    "ipjailfailures",
];

impl BanInfo<'_> {
    /// All tags in their order, with the values that nobody has to be asked for.
    pub fn at_hand(&self) -> Vec<(&'static str, Option<Value>)> {
        let value = |tag: &'static str| match self.known.get(tag) {
            Some(value) => Some(value.clone()),
            None if ELSEWHERE.contains(&tag) => None,
            None => Some(self.own_value(tag)),
        };
        TAGS.into_iter().map(|tag| (tag, value(tag))).collect()
    }

    /// The tags that were asked for so far.
    pub fn looked_at(&self) -> Vec<&'static str> {
        let known = |tag: &&str| self.known.contains_key(tag);
        TAGS.into_iter().filter(known).collect()
    }

    /// Remembers that a value was asked for, so that messages show it.
    pub fn look_at(&mut self, tag: &str) {
        if let Some(tag) = self.unknown(tag) {
            let value = self.own_value(tag);
            self.known.insert(tag, value);
        }
    }

    /// Forgets what was asked for.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// The value of a tag; `None` of Python for what is none.
    pub async fn ask(&mut self, tag: &str) -> Value {
        self.learn(tag).await;
        self.known.get(tag).cloned().unwrap_or(Value::None)
    }
}
