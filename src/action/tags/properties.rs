//! Expands tags by properties of the action: recursively; endless recursion is an error.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;

use super::{TagError, escape, host_tag, next_tag, replace_once};
use crate::control::Value;
use crate::sys::hosts::HostNames;

/// How often one tag may be replaced inside another before that counts as a recursion.
const MAX_REPLACEMENTS: u32 = 25;

/// Longest text a tag may grow to; beyond it definitions that double each other would eat memory.
pub(super) const MAX_LENGTH: usize = 1 << 20;

/// Most bytes read and written for all properties of an action together: they are resolved while a ban waits.
const MAX_WORK: usize = 4 << 20;

/// Tags whose values come from log lines: they are left alone inside properties and escaped with
/// backslashes when a property of that name exists (fact A30).
const ESCAPED: [&str; 3] = ["matches", "ipmatches", "ipjailmatches"];

/// Properties as text, keyed by name; conditional ones as `name?family=inet6`.
pub type PropertyTexts = BTreeMap<String, String>;

/// Resolves tags inside properties, so that every value is free of tags that are properties
/// themselves. `condition` is `family=inet4` or empty.
///
/// # Errors
/// Properties that refer to themselves.
pub fn resolve_properties(
    properties: &PropertyTexts,
    condition: &str,
) -> Result<PropertyTexts, TagError> {
    let mut tags = properties.clone();
    let names: Vec<String> = tags.keys().cloned().collect();
    let mut finished: HashSet<&str> = HashSet::new();
    let mut counts: HashMap<&str, IndexMap<String, u32>> = HashMap::new();
    let mut work = 0;
    loop {
        let mut again = false;
        for name in &names {
            if ESCAPED.contains(&name.as_str()) || finished.contains(name.as_str()) {
                continue;
            }
            let original = tags.get(name).cloned().unwrap_or_default();
            let mut count = counts.get(name.as_str()).cloned().unwrap_or_default();
            let value = original.clone();
            work += value.len();
            let value = resolve_one(name, value, &tags, condition, &mut count, &mut work)?;
            let open = next_tag(&value, 0).is_some();
            if !value.contains('<') {
                finished.insert(name);
            }
            if value != original {
                if open {
                    counts.insert(name, count);
                    again = true;
                }
                tags.insert(name.clone(), value);
            }
        }
        if !again {
            return Ok(tags);
        }
    }
}

/// One pass over one property.
fn resolve_one(
    name: &str,
    mut value: String,
    tags: &PropertyTexts,
    condition: &str,
    count: &mut IndexMap<String, u32>,
    work: &mut usize,
) -> Result<String, TagError> {
    let mut from = 0;
    while let Some((range, tag)) = next_tag(&value, from) {
        if ESCAPED.contains(&tag) {
            from = range.end;
            continue;
        }
        if tag == name || count.get(tag).copied().unwrap_or(1) > MAX_REPLACEMENTS {
            let counts = count
                .iter()
                .map(|(tag, n)| (Value::from(tag.as_str()), Value::Int(i64::from(*n))))
                .collect();
            return Err(TagError::SelfReference {
                tag: name.to_owned(),
                found: tag.to_owned(),
                counts: Value::Dict(counts).repr(),
                value,
            });
        }
        let Some(replacement) = property(tags, tag, condition) else {
            from = range.end;
            continue;
        };
        let marked = &value[range.clone()];
        let times = value.matches(marked).count();
        let length = value.len() + times * replacement.len();
        *work += length;
        if length > MAX_LENGTH || *work > MAX_WORK {
            return Err(TagError::TooLong(name.to_owned()));
        }
        let tag = tag.to_owned();
        from = range.start;
        value = value.replace(marked, replacement);
        *count.entry(tag).or_insert(0) += 1;
    }
    Ok(value)
}

/// A property's value, the conditional one where there is one (fact C30).
fn property<'a>(tags: &'a PropertyTexts, tag: &str, condition: &str) -> Option<&'a String> {
    if !condition.is_empty()
        && let Some(value) = tags.get(&format!("{tag}?{condition}"))
    {
        return Some(value);
    }
    tags.get(tag)
}

/// Replaces the tags of a command by properties resolved before, until nothing changes.
///
/// # Errors
/// A command that goes on changing.
pub fn replace_static(
    query: &str,
    resolved: &PropertyTexts,
    condition: &str,
    names: &HostNames,
) -> Result<String, TagError> {
    let mut query = query.to_owned();
    for _ in 0..=MAX_REPLACEMENTS {
        if !query.contains('<') {
            return Ok(query);
        }
        let mut length = query.len();
        let value = replace_once(&query, |tag| {
            let property = property(resolved, tag, condition);
            length += property.map_or(0, String::len);
            match property {
                _ if length > MAX_LENGTH => None,
                Some(value) if ESCAPED.contains(&tag) => Some(escape(value)),
                Some(value) => Some(value.clone()),
                None => host_tag(names, tag).map(str::to_owned),
            }
        });
        if length > MAX_LENGTH {
            return Err(TagError::TooLong(query));
        }
        if value == query {
            return Ok(value);
        }
        query = value;
    }
    match query.contains('<') {
        true => Err(TagError::Endless(query)),
        false => Ok(query),
    }
}
