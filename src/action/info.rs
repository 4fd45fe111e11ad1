//! The values of tags for one ticket: computed when a command needs them, and kept for the next action (facts
//! A26–A28).

use std::net::IpAddr;

use indexmap::IndexMap;

use super::JailFigures;
use super::tags;
use crate::exec::script::Script;

use crate::address::{Address, Family};
use crate::control::Value;
use crate::resolver::Resolver;
use crate::store::Store;
use crate::sys::hosts::{self, HostNames};
use crate::ticket::{BanTime, Ticket, Timestamp};

mod lookup;
mod values;

pub use values::whole;
use values::{data, field_value, joined, matches_value, raw, reversed, size, time_value};

/// All tags of a ticket, in the order in which error messages show them.
pub const TAGS: [&str; 22] = [
    "ip",
    "family",
    "ip-rev",
    "ip-host",
    "fid",
    "failures",
    "time",
    "bantime",
    "bancount",
    "matches",
    "restored",
    "F-*",
    "ipmatches",
    "ipjailmatches",
    "ipfailures",
    "ipjailfailures",
    "raw-ticket",
    "jail.name",
    "jail.banned",
    "jail.banned_total",
    "jail.found",
    "jail.found_total",
];

/// Tags beyond the original's, and so not in the lists its messages show.
pub const BEYOND: [&str; 2] = ["origin", "origin-host"];

/// Bytes of values that are kept from one action to the next.
const MOST_KNOWN: usize = 4096;

/// Where values beyond the ticket come from.
#[derive(Clone, Debug)]
pub enum History {
    /// The database and the resolver.
    Live(Option<Store>, Resolver),
    /// Neither is asked: a dry run, or the ticket alone.
    None,
}

/// Failures and matches that the database knows of an id.
#[derive(Debug, Default)]
enum Merged {
    #[default]
    NotAsked,
    Answered(Option<(u32, Vec<String>)>),
}

/// Values of a ticket that have been worked out for one action and serve the next.
#[derive(Debug, Default)]
pub struct KnownValues {
    values: IndexMap<&'static str, Value>,
    merged: [Merged; 2],
}

/// One ticket as commands see it.
#[derive(Debug)]
pub struct BanInfo<'a> {
    jail: &'a str,
    ticket: Option<&'a Ticket>,
    figures: &'a JailFigures,
    history: &'a History,
    known: IndexMap<&'static str, Value>,
    merged: [Merged; 2],
}

impl<'a> BanInfo<'a> {
    /// About a ticket.
    pub fn new(
        jail: &'a str,
        ticket: &'a Ticket,
        figures: &'a JailFigures,
        history: &'a History,
    ) -> BanInfo<'a> {
        BanInfo {
            jail,
            ticket: Some(ticket),
            figures,
            history,
            known: IndexMap::new(),
            merged: [Merged::NotAsked, Merged::NotAsked],
        }
    }

    /// With what is known already.
    pub fn with(self, known: KnownValues) -> BanInfo<'a> {
        BanInfo {
            known: known.values,
            merged: known.merged,
            ..self
        }
    }

    /// What is known now, if it is little: thousands of orders may wait for the next action.
    pub fn into_known(self) -> Option<KnownValues> {
        let merged = self.merged.iter().filter_map(|merged| match merged {
            Merged::Answered(Some((_, lines))) => Some(lines.iter().map(String::len).sum()),
            _ => None,
        });
        let size = merged.chain(self.known.values().map(size)).sum::<usize>();
        (size <= MOST_KNOWN).then_some(KnownValues {
            values: self.known,
            merged: self.merged,
        })
    }

    /// About an operation that concerns no ticket (fact A28): no address, the family of the
    /// operation, the present time.
    pub fn empty(
        jail: &'a str,
        family: Option<&str>,
        now: Timestamp,
        figures: &'a JailFigures,
        history: &'a History,
    ) -> BanInfo<'a> {
        let known = IndexMap::from([
            ("family", family.map_or(Value::None, Value::from)),
            ("time", Value::Float(now)),
        ]);
        BanInfo {
            jail,
            ticket: None,
            figures,
            history,
            known,
            merged: [Merged::NotAsked, Merged::NotAsked],
        }
    }

    /// The address for messages; remembered as asked for.
    pub fn ip(&mut self) -> String {
        let text = self
            .ticket
            .map_or_else(String::new, |ticket| ticket.ip().to_string());
        self.known.insert("ip", Value::from(text.as_str()));
        text
    }

    /// The family of the address; remembered as asked for.
    pub fn family(&mut self) -> Option<Family> {
        let family = self.ticket.and_then(|ticket| ticket.ip().family());
        self.ip();
        self.known.insert(
            "family",
            family.map_or(Value::None, |family| Value::from(family.as_str())),
        );
        family
    }

    /// Gives a tag of tickets this value instead of its own.
    pub fn set(&mut self, tag: &str, value: Value) {
        if let Some(tag) = TAGS.into_iter().find(|known| *known == tag) {
            self.known.insert(tag, value);
        }
    }

    /// Replaces the tags of a command.
    pub async fn fill(&mut self, command: &str, names: &HostNames) -> Script {
        if !command.contains('<') {
            return Script::plain(command);
        }
        let mut from = 0;
        while let Some((range, tag)) = tags::next_tag(command, from) {
            from = range.end;
            self.learn(tag).await;
        }
        let script = self.replace(command, names);
        // as the original: the fields were looked at when a tag was left over
        if script.text.contains('<')
            || script
                .variables
                .iter()
                .any(|(name, _)| name.starts_with("f2bV_F_"))
        {
            self.learn("F-*").await;
        }
        script
    }

    /// As [`BanInfo::fill`], but neither the database nor the resolver is asked: history is that of
    /// the ticket and addresses have no names.
    pub fn fill_alone(&mut self, command: &str, names: &HostNames) -> Script {
        let mut from = 0;
        while let Some((range, tag)) = tags::next_tag(command, from) {
            from = range.end;
            if let Some(tag) = self.unknown(tag) {
                let value = self.own_value(tag);
                self.known.insert(tag, value);
            }
        }
        self.replace(command, names)
    }

    fn replace(&self, command: &str, names: &HostNames) -> Script {
        tags::replace_dynamic(
            command,
            names,
            |tag| match tag {
                "jail.bantime" => Some(whole(self.figures.bantime).str().into_owned()),
                "origin" | "origin-host" => Some(self.origin(tag)),
                _ => self.known.get(tag).map(|value| value.str().into_owned()),
            },
            |field| self.field(field),
        )
    }

    /// Where a ban comes from; nothing for an operation that concerns no ticket.
    fn origin(&self, tag: &str) -> String {
        let origin = self.ticket.map(Ticket::origin);
        let text = origin.as_ref().map(|origin| match tag {
            "origin" => origin.word(),
            _ => origin.host(),
        });
        text.unwrap_or_default().to_owned()
    }

    /// The tag, when it is one of a ticket and its value has not been worked out yet.
    fn unknown(&self, tag: &str) -> Option<&'static str> {
        let tag = TAGS.into_iter().find(|known| *known == tag)?;
        (!self.known.contains_key(tag)).then_some(tag)
    }

    /// Works out the value of a tag.
    async fn learn(&mut self, tag: &str) {
        let Some(tag) = self.unknown(tag) else {
            return;
        };
        let value = match (tag, self.ticket) {
            ("ip-host", Some(ticket)) => self.host(&ticket.ip()).await,
            ("ipmatches" | "ipjailmatches", Some(ticket)) => {
                let merged = self.merged(tag == "ipmatches", ticket).await;
                merged.map(|(_, matches)| Value::from(matches.join("\n")))
            }
            ("ipfailures" | "ipjailfailures", Some(ticket)) => {
                let merged = self.merged(tag == "ipfailures", ticket).await;
                merged.map(|(failures, _)| Value::Int(i64::from(*failures)))
            }
            _ => None,
        };
        let value = value.unwrap_or_else(|| self.own_value(tag));
        self.known.insert(tag, value);
    }

    /// What the ticket itself and the jail's counters say.
    fn own_value(&self, tag: &str) -> Value {
        let count = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        match tag {
            "jail.name" => return Value::from(self.jail),
            "jail.banned" => return count(self.figures.banned),
            "jail.banned_total" => return count(self.figures.banned_total),
            "jail.found" => return count(self.figures.found),
            "jail.found_total" => return count(self.figures.found_total),
            "ip-host" => return Value::None,
            _ => {}
        }
        let Some(ticket) = self.ticket else {
            return match tag {
                "failures" | "bancount" | "restored" | "ipfailures" | "ipjailfailures" => {
                    Value::Int(0)
                }
                "bantime" => whole(self.figures.bantime),
                "F-*" => Value::Dict(vec![
                    ("matches".into(), Value::List(Vec::new())),
                    ("failures".into(), Value::Int(0)),
                ]),
                _ => Value::from(""),
            };
        };
        match tag {
            "ip" => Value::from(ticket.ip().to_string()),
            "family" => Value::from(ticket.ip().family().map(|family| family.as_str())),
            "ip-rev" => Value::from(reversed(&ticket.ip())),
            "fid" => Value::from(ticket.id.to_string()),
            "failures" | "ipfailures" | "ipjailfailures" => Value::Int(i64::from(ticket.failures)),
            "time" => time_value(ticket),
            "bantime" => whole(match ticket.bantime {
                Some(BanTime::Seconds(seconds)) => seconds,
                Some(BanTime::Permanent) => -1.0,
                None => self.figures.bantime,
            }),
            "bancount" => Value::Int(i64::from(ticket.bancount)),
            "matches" | "ipmatches" | "ipjailmatches" => Value::from(joined(&ticket.matches())),
            "restored" => Value::Int(i64::from(ticket.restored)),
            "F-*" => Value::Dict(data(ticket)),
            _ => Value::from(raw(ticket)),
        }
    }

    /// Failures and matches from the database, of all jails or of this one; asked once.
    async fn merged(&mut self, all_jails: bool, ticket: &Ticket) -> Option<&(u32, Vec<String>)> {
        let slot = &mut self.merged[usize::from(all_jails)];
        if matches!(slot, Merged::NotAsked) {
            let found = match self.history {
                History::Live(Some(store), _) => {
                    let jail = (!all_jails).then_some(self.jail);
                    store.merged_history(jail, &ticket.ip()).await
                }
                _ => None,
            };
            *slot = Merged::Answered(found);
        }
        match slot {
            Merged::Answered(found) => found.as_ref(),
            Merged::NotAsked => None,
        }
    }

    /// The name of an address; none when nobody answers in time.
    async fn host(&self, address: &Address) -> Option<Value> {
        let (History::Live(_, resolver), Address::Ip(ip)) = (self.history, address) else {
            return None;
        };
        let ip: IpAddr = *ip;
        let names = resolver.ask(move || hosts::names_of(ip)).await;
        names??.into_iter().next().map(Value::from)
    }

    /// The text of a captured field.
    fn field(&self, name: &str) -> Option<String> {
        let ticket = self.ticket?;
        match name {
            "matches" => Some(matches_value(ticket).repr()),
            "failures" => Some(ticket.failures.to_string()),
            name => {
                let field = ticket.evidence.field(name)?;
                Some(field_value(&field).str().into_owned())
            }
        }
    }

    /// As error messages show it: what has been asked for so far; the id and the whole ticket are
    /// named even when nobody asked.
    pub fn repr(&self) -> String {
        let items: Vec<String> = TAGS
            .into_iter()
            .filter_map(|tag| {
                let value = match (self.known.get(tag), tag) {
                    (Some(value), _) => value.repr(),
                    (None, "fid") => Value::from(
                        self.ticket
                            .map_or_else(String::new, |ticket| ticket.id.to_string()),
                    )
                    .repr(),
                    (None, "raw-ticket") => {
                        Value::from(self.ticket.map_or_else(String::new, raw)).repr()
                    }
                    (None, _) => return None,
                };
                Some(format!("'{tag}': {value}"))
            })
            .collect();
        format!("ActionInfo({{{}}})", items.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Evidence;
    use crate::fields::{FieldValue, Fields, MatchLine};

    fn ticket(id: &str) -> Ticket {
        Ticket {
            failures: 3,
            evidence: Evidence::new(
                &Fields::from_iter([("user".to_owned(), FieldValue::Text("ro'ot".into()))]),
                &[
                    MatchLine::Text("a $(id)".into()),
                    MatchLine::Parts(std::sync::Arc::new(["x".into(), "y".into(), "z'q".into()])),
                ],
            ),
            bantime: Some(BanTime::Seconds(600.0)),
            ..Ticket::new(Address::parse(id), 1_795_291_452.0)
        }
    }

    async fn filled(id: &str, command: &str) -> (String, String) {
        let ticket = ticket(id);
        let figures = JailFigures::default();
        let mut info = BanInfo::new("j", &ticket, &figures, &History::None);
        let script = info.fill(command, &HostNames::default()).await;
        (script.text, info.repr())
    }

    #[tokio::test]
    async fn values_are_those_of_the_ticket() {
        for (id, command, expected) in [
            (
                "1.2.3.4",
                "<ip> <family> <ip-rev>",
                "1.2.3.4 inet4 4.3.2.1.",
            ),
            (
                "10.0.0.0/8",
                "<ip> <family> <ip-rev>",
                "10.0.0.0/8 inet4 0/8.0.0.10.",
            ),
            (
                "2001:db8::1",
                "<family> <ip-rev>",
                "inet6 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.",
            ),
            (
                "foo",
                "<ip> <family> <ip-host> <ip-rev>.",
                "foo None None .",
            ),
            ("foo", "<failures> <time> <bantime>", "3 1795291452.0 600"),
            (
                "foo",
                "<restored> <bancount> <jail.name> <ipfailures>",
                "0 0 j 3",
            ),
            ("foo", "<F-NONE>|<unknown>", "|<unknown>"),
        ] {
            assert_eq!(filled(id, command).await.0, expected, "{command}");
        }
    }

    #[tokio::test]
    async fn messages_show_what_was_asked_for() {
        let (text, shown) = filled("5.6.7.8", "x <ip> <F-USER>").await;
        assert_eq!(text, "f2bV_F_user=$0 \nx 5.6.7.8 $f2bV_F_user");
        let raw = "BanTicket: ip=5.6.7.8 time=1795291452.0 bantime=600 bancount=0 #attempts=3 \
                   matches=['a $(id)', ('x', 'y', \"z'q\")]";
        assert_eq!(
            shown,
            format!(
                "ActionInfo({{'ip': '5.6.7.8', 'fid': '5.6.7.8', 'F-*': {{'matches': ['a $(id)', \
                 ('x', 'y', \"z'q\")], 'failures': 3, 'user': \"ro'ot\"}}, 'raw-ticket': {}}})",
                Value::from(raw).repr()
            )
        );
    }

    #[tokio::test]
    async fn operations_have_no_address() {
        let figures = JailFigures {
            bantime: 600.0,
            ..JailFigures::default()
        };
        let mut info = BanInfo::empty("j", Some("inet6"), 1.5, &figures, &History::None);
        let script = info
            .fill(
                "<ip>|<family>|<time>|<bantime>|<F-USER>|<br>",
                &HostNames::default(),
            )
            .await;
        assert_eq!(script.text, "|inet6|1.5|600||\n");
    }
}
