//! The named groups of a match as an ordered record, which becomes the fields of a failure.
//!
//! In: the group names of a regex and a match. Out: a [`GroupRecord`] in which a group that took no part
//! is present but unset, so that prefregex and failregex can be merged as in fact R26 and reports can show
//! it. Alternatives and tuples (facts R14, R15) are resolved here.
#![forbid(unsafe_code)]

use super::name::Name;
use crate::fields::{FieldValue, Fields};
use crate::pattern::{FailRegex, FieldGroup, Match};

/// The named groups of one regex; made once, when the regex is added.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupNames {
    all: Vec<(usize, Name)>,
    decisive: Vec<(usize, Name)>,
    /// Groups with the field they stand in for, in the order of their names (fact R14).
    alternatives: Vec<(usize, Name)>,
    /// Groups with the field they are a part of (fact R15).
    tuples: Vec<(usize, Name)>,
    /// Groups that begin and end sessions; `None` where they are put together from others.
    marks: Option<Marks>,
}

/// Which groups say what a match means to its session.
#[derive(Clone, Copy, Debug)]
struct Marks {
    mlfid: Option<usize>,
    nofail: Option<usize>,
    gained: Option<usize>,
    forget: Option<usize>,
}

impl Marks {
    const FIELDS: [Name; 4] = [Name::Mlfid, Name::Nofail, Name::Mlfgained, Name::Mlfforget];

    fn of(names: &GroupNames) -> Option<Marks> {
        let pieced = names.alternatives.iter().chain(&names.tuples);
        if pieced
            .map(|(_, name)| name)
            .any(|name| Marks::FIELDS.contains(name))
        {
            return None;
        }
        let [mlfid, nofail, gained, forget] = Marks::FIELDS.map(|field| {
            let found = names.all.iter().find(|(_, name)| *name == field);
            found.map(|(group, _)| *group)
        });
        Some(Marks {
            mlfid,
            nofail,
            gained,
            forget,
        })
    }
}

/// The match of a regex in its text.
#[derive(Clone, Copy)]
pub(super) struct Matched<'m> {
    pub(super) names: &'m GroupNames,
    pub(super) text: &'m str,
    pub(super) found: &'m Match,
}

impl<'m> Matched<'m> {
    /// The key of the session that this match ends, if it is no failure; `base`: the match of the
    /// prefregex, whose fields it has as well. What [`GroupRecord::update`] and then
    /// [`ends_in_peace`](super::session::ends_in_peace) would say, without a record.
    pub(super) fn ends_in_peace(self, base: Option<Matched<'m>>) -> Option<&'m str> {
        let matches = [Some(self), base].into_iter().flatten();
        let part = |mark: fn(&Marks) -> Option<usize>| {
            let mut parts = matches.clone().filter_map(|one| {
                let (start, end) = one.found.group(mark(one.names.marks.as_ref()?)?)?;
                one.text.get(start..end)
            });
            parts.next().filter(|part| !part.is_empty())
        };
        if !matches.clone().all(|one| one.names.marks.is_some()) {
            return None;
        }
        part(|marks| marks.forget)?;
        part(|marks| marks.nofail).or_else(|| part(|marks| marks.gained))?;
        part(|marks| marks.mlfid)
    }
}

impl GroupNames {
    /// Collects the names of `regex`.
    pub(super) fn of(regex: &FailRegex) -> GroupNames {
        let names = regex.regex().group_names().iter().enumerate();
        let named = names.filter_map(|(index, name)| Some((index, name.as_deref()?.into())));
        let all: Vec<(usize, Name)> = named.collect();
        let decisive = all.iter().filter(|(_, name)| name.is_decisive());
        let parts = |parts: &[FieldGroup]| {
            let parts = parts.iter().map(|p| (p.group, Name::from(&*p.field)));
            parts.collect()
        };
        let mut names = GroupNames {
            decisive: decisive.cloned().collect(),
            alternatives: parts(&regex.groups().alternatives),
            tuples: parts(&regex.groups().tuples),
            all,
            marks: None,
        };
        names.marks = Marks::of(&names);
        names
    }

    /// The same groups but for one.
    pub(super) fn without(&self, name: &Name) -> GroupNames {
        let mut names = self.clone();
        names.all.retain(|(_, known)| known != name);
        names.decisive.retain(|(_, known)| known != name);
        names
    }

    /// The record of a match in `text`: `whole`, or what decides only.
    pub(super) fn record(&self, text: &str, found: &Match, whole: bool) -> GroupRecord {
        let part = |group: usize| {
            let (start, end) = found.group(group)?;
            text.get(start..end).map(str::to_owned)
        };
        let names = if whole { &self.all } else { &self.decisive };
        let mut record = GroupRecord {
            entries: Vec::with_capacity(names.len() + 2),
        };
        for (group, name) in names {
            let value = part(*group).map(FieldValue::Text);
            if whole || value.is_some() {
                record.entries.push((name.clone(), value));
            }
        }
        for (group, field) in &self.alternatives {
            if !record.truthy(field)
                && let Some(value) = part(*group)
                && !value.is_empty()
            {
                record.set(field.clone(), Some(FieldValue::Text(value)));
            }
        }
        for (group, field) in &self.tuples {
            let mut parts = match record.get(field).cloned() {
                Some(FieldValue::Tuple(parts)) => parts,
                Some(FieldValue::Text(text)) => vec![Some(text)],
                _ => vec![None],
            };
            parts.push(part(*group));
            record.set(field.clone(), Some(FieldValue::Tuple(parts)));
        }
        record
    }
}

/// Fields in the order they were first seen; `None` is a group that took no part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupRecord {
    entries: Vec<(Name, Option<FieldValue>)>,
}

impl GroupRecord {
    /// The fields of a line that is no failure: an empty id.
    pub fn with_empty_id() -> GroupRecord {
        GroupRecord {
            entries: vec![(Name::Fid, Some(FieldValue::Text(String::new())))],
        }
    }

    /// Whether it has no fields, not even unset ones.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a field that is set.
    pub fn get(&self, name: &Name) -> Option<&FieldValue> {
        let found = self.entries.iter().find(|(n, _)| n == name);
        found.and_then(|(_, value)| value.as_ref())
    }

    /// As [`GroupRecord::get`], to change it.
    pub(super) fn get_mut(&mut self, name: &Name) -> Option<&mut FieldValue> {
        let found = self.entries.iter_mut().find(|(n, _)| n == name);
        found.and_then(|(_, value)| value.as_mut())
    }

    /// The text of a field that is set and is text.
    pub fn text(&self, name: &Name) -> Option<&str> {
        match self.get(name) {
            Some(FieldValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the field is set and not empty: how flags such as `nofail` are read (fact R19).
    pub fn truthy(&self, name: &Name) -> bool {
        match self.get(name) {
            None => false,
            Some(FieldValue::Text(text)) => !text.is_empty(),
            Some(FieldValue::Set(values)) => !values.is_empty(),
            Some(FieldValue::Tuple(_) | FieldValue::Address(_)) => true,
        }
    }

    /// All fields in order, unset ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&FieldValue>)> {
        self.entries.iter().map(|(n, v)| (n.as_str(), v.as_ref()))
    }

    /// Sets a field; a new one goes to the end.
    pub(super) fn set(&mut self, name: Name, value: Option<FieldValue>) {
        match self.entries.iter_mut().find(|(n, _)| *n == name) {
            Some((_, slot)) => *slot = value,
            None => self.entries.push((name, value)),
        }
    }

    /// Removes a field and says whether it was [`truthy`](Record::truthy).
    pub(super) fn remove(&mut self, name: &Name) -> bool {
        let Some(at) = self.entries.iter().position(|(n, _)| n == name) else {
            return false;
        };
        let truthy = self.truthy(name);
        self.entries.remove(at);
        truthy
    }

    /// Takes over every field that is set in `newer` (facts R26, R38).
    pub(super) fn update(&mut self, newer: GroupRecord) {
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

    /// Forgets an address of the other family where `newer` has one: it is the older one.
    pub(super) fn readdress(&mut self, newer: &GroupRecord) {
        for (new, old) in [(Name::Ip4, Name::Ip6), (Name::Ip6, Name::Ip4)] {
            if newer.get(&new).is_some() {
                self.remove(&old);
            }
        }
    }

    /// The fields that are set, as a ticket carries them (fact R28).
    pub fn into_fields(self) -> Fields {
        let set = self.entries.into_iter();
        set.filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn update_keeps_what_the_newer_record_leaves_unset() {
        let text = |t: &str| Some(FieldValue::Text(t.into()));
        let mut old = GroupRecord::default();
        old.set("a".into(), text("1"));
        old.set("b".into(), text("2"));
        let mut new = GroupRecord::default();
        new.set("b".into(), None);
        new.set("a".into(), text(""));
        new.set("c".into(), text("3"));
        old.update(new);
        let all: Vec<_> = old.iter().map(|(n, _)| n).collect();
        assert_eq!(all, ["a", "b", "c"]);
        let (a, b) = (Name::from("a"), Name::from("b"));
        assert_eq!((old.text(&a), old.text(&b)), (Some(""), Some("2")));
        assert!(!old.truthy(&a) && old.truthy(&b));
        assert!(old.remove(&b) && !old.remove(&b));
    }
}
