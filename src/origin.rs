//! The origin of a ban: failures on this host, a command, another host, or a list.
//!
//! A ban from elsewhere carries its origin among its captured fields, in the database too, under a name that no
//! `<F-…>` tag can have. The origin of any other ban follows from the ticket, so its row is byte for byte the
//! original's.
#![forbid(unsafe_code)]

use std::fmt;

use crate::fields::FieldValue;
use crate::ticket::Ticket;

/// The field of tickets from elsewhere. Tags have no dots in their names.
const FIELD: &str = "ferroban.origin";

/// Where a ban comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BanOrigin {
    /// Failures in the logs of this host.
    Found,
    /// A command.
    Manual,
    /// The database of this host: it was one of the two above.
    Restored,
    /// Another host of the fleet, by its name.
    Fleet(String),
    /// A list of addresses, by its name.
    List(String),
}

impl BanOrigin {
    /// Its word, without the name of the host or list.
    pub fn word(&self) -> &'static str {
        match self {
            BanOrigin::Found => "found",
            BanOrigin::Manual => "manual",
            BanOrigin::Restored => "restored",
            BanOrigin::Fleet(_) => "fleet",
            BanOrigin::List(_) => "list",
        }
    }

    /// The name of the host or list; empty for bans of this host.
    pub fn host(&self) -> &str {
        match self {
            BanOrigin::Fleet(name) | BanOrigin::List(name) => name,
            _ => "",
        }
    }

    /// Whether somebody else decided on it.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, BanOrigin::Fleet(_) | BanOrigin::List(_))
    }

    /// What follows an address in the log and in lists: nothing for bans of this host.
    pub fn suffix(&self) -> String {
        match self {
            BanOrigin::Fleet(host) => format!(" (by host {host})"),
            BanOrigin::List(list) => format!(" (by list {list})"),
            _ => String::new(),
        }
    }

    /// Takes an [`BanOrigin::suffix`] off a text; what it says, as `host NAME` or `list NAME`.
    pub fn split_suffix(text: &str) -> (&str, Option<&str>) {
        let split = text
            .strip_suffix(')')
            .and_then(|text| text.split_once(" (by "));
        match split {
            Some((text, by)) => (text, Some(by)),
            None => (text, None),
        }
    }

    fn from_field(text: &str) -> Option<BanOrigin> {
        match text.split_once(' ')? {
            ("fleet", host) => Some(BanOrigin::Fleet(host.to_owned())),
            ("list", list) => Some(BanOrigin::List(list.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for BanOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            "" => f.write_str(self.word()),
            host => write!(f, "{} {host}", self.word()),
        }
    }
}

impl Ticket {
    /// Where its ban comes from.
    pub fn origin(&self) -> BanOrigin {
        let elsewhere = match self.evidence.field(FIELD) {
            Some(FieldValue::Text(text)) => BanOrigin::from_field(&text),
            _ => None,
        };
        match elsewhere {
            Some(origin) => origin,
            None if self.restored => BanOrigin::Restored,
            None if self.failures == 0 => BanOrigin::Manual,
            None => BanOrigin::Found,
        }
    }

    /// Says that it comes from elsewhere; of other origins nothing is kept.
    pub fn set_origin(&mut self, origin: &BanOrigin) {
        if origin.is_elsewhere() {
            self.set_field(FIELD, FieldValue::Text(origin.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::store::data;

    #[test]
    fn the_ticket_tells_and_the_database_keeps_it() {
        let mut ticket = Ticket::new(Address::parse("192.0.2.1"), 5.0);
        assert_eq!(ticket.origin(), BanOrigin::Manual);
        ticket.failures = 3;
        assert_eq!(ticket.origin(), BanOrigin::Found);
        ticket.set_origin(&BanOrigin::Found);
        assert_eq!(
            data::encode(&ticket, 10),
            br#"{"matches": [], "failures": 3}"#
        );
        for origin in [
            BanOrigin::Fleet("mx2".into()),
            BanOrigin::List("a b".into()),
        ] {
            ticket.set_origin(&origin);
            let mut read = Ticket::new(ticket.id.clone(), 5.0);
            data::decode(&data::encode(&ticket, 10), &mut read);
            read.restored = true;
            assert_eq!(read.origin(), origin);
        }
        ticket.evidence = Default::default();
        ticket.restored = true;
        assert_eq!(ticket.origin(), BanOrigin::Restored);
    }

    #[test]
    fn what_a_filter_captures_is_no_origin() {
        let mut ticket = Ticket::new(Address::parse("192.0.2.1"), 5.0);
        ticket.failures = 1;
        ticket.set_field("origin", FieldValue::Text("fleet mx2".into()));
        assert_eq!(ticket.origin(), BanOrigin::Found);
    }

    #[test]
    fn suffixes_come_off_again() {
        let text = format!("192.0.2.1{}", BanOrigin::Fleet("mx2".into()).suffix());
        assert_eq!(
            BanOrigin::split_suffix(&text),
            ("192.0.2.1", Some("host mx2"))
        );
        assert_eq!(BanOrigin::split_suffix("192.0.2.1"), ("192.0.2.1", None));
        assert_eq!(BanOrigin::Found.suffix(), "");
    }
}
