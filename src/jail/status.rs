//! What a jail says of itself: `status JAIL`, and the counts of the overview.
//!
//! The flavour `basic` has the original's rows and no others; ours are in the flavour `full`, which
//! `--json` and `ferroban web` ask for.
#![forbid(unsafe_code)]

use super::FULL;
use super::core::JailCore;
use crate::control::Value;
use crate::error;
use crate::ticket::Timestamp;

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
        if flavour == FULL {
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
        if flavour != "short" {
            actions.push(row("Banned IP list", self.banned(&[])));
        }
        if flavour == FULL {
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
