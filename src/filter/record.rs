//! Named groups of a match as an ordered record: what becomes the fields of a failure.
//!
//! In: a regex's group names and a match. Out: a [`Record`] in which a group that took no part is
//! present but unset, so that prefregex and failregex can be merged as fact R26 says and reports
//! can show it. Alternatives and tuples (facts R14, R15) are settled here.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::pattern::{Match, Regex};
use crate::ticket::{FieldValue, Fields};

/// A field name, shared with the regex it comes from.
pub type Name = Arc<str>;

/// What the groups of one regex mean; made once, when the regex is added.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    named: Vec<(usize, Name)>,
    /// (group, field it stands in for), in name order.
    alternatives: Vec<(Name, Name)>,
    /// (group, field it is a part of), in name order.
    parts: Vec<(Name, Name)>,
}

impl Groups {
    /// Sorts out the group names of `regex`.
    pub(super) fn of(regex: &Regex) -> Groups {
        let mut groups = Groups::default();
        for (index, name) in regex.group_names().iter().enumerate() {
            let Some(name) = name else { continue };
            let name: Name = name.as_str().into();
            if let Some(target) = target(&name, "alt_") {
                groups.alternatives.push((name.clone(), target));
            } else if let Some(target) = target(&name, "tuple_") {
                groups.parts.push((name.clone(), target));
            }
            groups.named.push((index, name));
        }
        groups.alternatives.sort();
        groups.parts.sort();
        groups
    }

    /// Number of the group with this name.
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        let found = self.named.iter().find(|(_, n)| &**n == name);
        found.map(|(index, _)| *index)
    }

    /// The record of a match in `text`; the group `except` is left out.
    pub(super) fn record(&self, text: &str, found: &Match, except: Option<usize>) -> Record {
        let mut record = Record {
            entries: Vec::with_capacity(self.named.len() + 2),
        };
        for (index, name) in &self.named {
            if Some(*index) == except {
                continue;
            }
            let value = found
                .group(*index)
                .and_then(|(start, end)| text.get(start..end))
                .map(|t| FieldValue::Text(t.to_owned()));
            record.entries.push((name.clone(), value));
        }
        for (name, target) in &self.alternatives {
            if !record.truthy(target)
                && record.truthy(name)
                && let Some(value) = record.get(name).cloned()
            {
                record.set(target, Some(value));
            }
        }
        for (name, target) in &self.parts {
            let part = record.text(name).map(str::to_owned);
            let mut parts = match record.get(target).cloned() {
                Some(FieldValue::Tuple(parts)) => parts,
                Some(FieldValue::Text(text)) => vec![Some(text)],
                _ => vec![None],
            };
            parts.push(part);
            record.set(target, Some(FieldValue::Tuple(parts)));
        }
        record
    }
}

/// The field that `alt_user`, `alt_user_2` or `tuple_id_1` feeds (the suffix needs its underscore,
/// fact R14).
fn target(name: &str, prefix: &str) -> Option<Name> {
    let field = name.strip_prefix(prefix)?;
    let field = match field.rsplit_once('_') {
        Some((head, number))
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            head
        }
        _ => field,
    };
    let field = field.to_lowercase();
    Some(match field.as_str() {
        "id" => "fid".into(),
        "port" => "fport".into(),
        field => field.into(),
    })
}

/// Fields in the order they were first seen; `None` is a group that took no part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    entries: Vec<(Name, Option<FieldValue>)>,
}

impl Record {
    /// The fields of a line that is no failure: an empty id.
    pub fn with_empty_id() -> Record {
        Record {
            entries: vec![("fid".into(), Some(FieldValue::Text(String::new())))],
        }
    }

    /// The value of a field that is set.
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        let found = self.entries.iter().find(|(n, _)| &**n == name);
        found.and_then(|(_, value)| value.as_ref())
    }

    /// The text of a field that is set and is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(FieldValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the field is set and not empty: how flags such as `nofail` are read (fact R19).
    pub fn truthy(&self, name: &str) -> bool {
        match self.get(name) {
            None => false,
            Some(FieldValue::Text(text)) => !text.is_empty(),
            Some(FieldValue::Set(values)) => !values.is_empty(),
            Some(FieldValue::Tuple(_) | FieldValue::Address(_)) => true,
        }
    }

    /// All fields in order, unset ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&FieldValue>)> {
        self.entries.iter().map(|(n, v)| (&**n, v.as_ref()))
    }

    /// Sets a field; a new one goes to the end.
    pub(super) fn set(&mut self, name: &str, value: Option<FieldValue>) {
        match self.entries.iter_mut().find(|(n, _)| &**n == name) {
            Some((_, slot)) => *slot = value,
            None => self.entries.push((name.into(), value)),
        }
    }

    /// Removes a field and says whether it was [`truthy`](Record::truthy).
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let truthy = self.truthy(name);
        self.entries.retain(|(n, _)| &**n != name);
        truthy
    }

    /// Takes over every field that is set in `newer` (facts R26, R38).
    pub(super) fn update(&mut self, newer: Record) {
        for (name, value) in newer.entries {
            if value.is_none() {
                continue;
            }
            match self.entries.iter_mut().find(|(n, _)| *n == name) {
                Some((_, slot)) => *slot = value,
                None => self.entries.push((name, value)),
            }
        }
    }

    /// The fields that are set, as a ticket carries them (fact R28).
    pub fn into_fields(self) -> Fields {
        let set = self.entries.into_iter();
        set.filter_map(|(name, value)| Some((name.to_string(), value?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_alternatives_and_tuples() {
        for (name, prefix, field) in [
            ("alt_user", "alt_", Some("user")),
            ("alt_user_1", "alt_", Some("user")),
            ("alt_user1", "alt_", Some("user1")),
            ("alt_user_x", "alt_", Some("user_x")),
            ("alt_id_2", "alt_", Some("fid")),
            ("tuple_port", "tuple_", Some("fport")),
            ("user", "alt_", None),
        ] {
            assert_eq!(target(name, prefix).as_deref(), field, "{name}");
        }
    }

    #[test]
    fn update_keeps_what_the_newer_record_leaves_unset() {
        let text = |t: &str| Some(FieldValue::Text(t.into()));
        let mut old = Record::default();
        old.set("a", text("1"));
        old.set("b", text("2"));
        let mut new = Record::default();
        new.set("b", None);
        new.set("a", text(""));
        new.set("c", text("3"));
        old.update(new);
        let all: Vec<_> = old.iter().map(|(n, _)| n).collect();
        assert_eq!(all, ["a", "b", "c"]);
        assert_eq!((old.text("a"), old.text("b")), (Some(""), Some("2")));
        assert!(!old.truthy("a") && old.truthy("b"));
        assert!(old.remove("b") && !old.remove("b"));
    }
}
