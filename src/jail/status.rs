//! The status of a jail: `status JAIL`, and the counts of the overview.
//!
//! The flavour `basic` has exactly the rows of the original; our own are in the flavour `full`, which
//! `--json` asks for, and in `figures`, which `ferroban web` asks for.
#![forbid(unsafe_code)]

use super::core::JailCore;
use super::{FIGURES, FULL};
use crate::control::Value;
use crate::error;
use crate::ticket::Timestamp;

/// The row that says how far each log file was read.
pub(super) const READ: &str = "Bytes read";

impl JailCore {
    /// (failing now, failures ever) and (banned now, bans ever).
    pub fn counts(&mut self, now: Timestamp) -> [(i64, i64); 2] {
        self.counter.clean_up(now, true);
        [
            (self.counter.len() as i64, self.counter.total() as i64),
            (self.bans.len() as i64, self.bans.total() as i64),
        ]
    }

    /// The two halves of `status JAIL` (fact P11); `sources` is what the jail reads.
    pub fn status(&mut self, flavour: &str, sources: (&str, Value), now: Timestamp) -> Value {
        let [failed, banned] = self.counts(now);
        let row = |name: &str, value: Value| Value::Tuple(vec![name.into(), value]);
        let mut filter = vec![
            row("Currently failed", failed.0.into()),
            row("Total failed", failed.1.into()),
            row(sources.0, sources.1),
        ];
        let figures = [FULL, FIGURES].contains(&flavour);
        if figures {
            let hits = i64::try_from(self.filter.limit_hits()).unwrap_or(i64::MAX);
            filter.push(row("Searches given up", hits.into()));
            let number = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
            filter.push(row("Lines read", number(self.lines)));
            let hits = self.filter.regex_hits().map(number).collect();
            filter.push(row("Regex hits", Value::List(hits)));
        }
        let mut actions = vec![
            row("Currently banned", banned.0.into()),
            row("Total banned", banned.1.into()),
        ];
        if self.simulates() {
            actions.push(row("Simulated", true.into()));
        }
        if !["short", FIGURES].contains(&flavour) {
            actions.push(row("Banned IP list", self.banned(&[])));
        }
        if figures {
            actions.push(row("Origins", self.origins()));
        }
        if flavour == "cymru" {
            error!(
                "fail2ban.banmanager",
                "dnspython package is required but could not be imported"
            );
            for name in ["Banned ASN list", "Banned Country list", "Banned RIR list"] {
                actions.push(row(name, vec!["error"].into()));
            }
        }
        Value::List(vec![
            row("Filter", Value::List(filter)),
            row("Actions", Value::List(actions)),
        ])
    }
}

/// A part of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusSection {
    Filter,
    Actions,
}

/// The rows of a part of a status.
fn rows_of(status: &mut Value, part: StatusSection) -> Option<&mut Vec<Value>> {
    let Value::List(parts) = status else {
        return None;
    };
    let Some(Value::Tuple(pair)) = parts.get_mut(part as usize) else {
        return None;
    };
    match pair.last_mut() {
        Some(Value::List(rows)) => Some(rows),
        _ => None,
    }
}

/// Adds rows to a part of a status.
pub(super) fn add_rows(
    status: &mut Value,
    part: StatusSection,
    added: impl IntoIterator<Item = (&'static str, Value)>,
) {
    if let Some(rows) = rows_of(status, part) {
        let added = added.into_iter();
        rows.extend(added.map(|(name, value)| Value::Tuple(vec![name.into(), value])));
    }
}

/// Says in place of how much of each log file was read how much was not.
pub(super) async fn with_unread(mut status: Value) -> Value {
    let rows = rows_of(&mut status, StatusSection::Filter);
    let Some(Value::Tuple(row)) = rows.and_then(|rows| rows.last_mut()) else {
        return status;
    };
    let [name, Value::Dict(positions)] = row.as_mut_slice() else {
        return status;
    };
    if name.as_str() != Some(READ) {
        return status;
    }
    let read = std::mem::take(positions);
    // a disk may be slow to answer
    let unread = tokio::task::spawn_blocking(move || {
        let unread = |(path, read): (Value, Value)| {
            let size = std::fs::metadata(path.as_str()?).ok()?.len();
            let unread = size.saturating_sub(u64::try_from(read.to_int().ok()?).ok()?);
            Some((path, Value::Int(i64::try_from(unread).ok()?)))
        };
        read.into_iter().filter_map(unread).collect()
    });
    *name = "Unread bytes".into();
    *positions = unread.await.unwrap_or_default();
    status
}
