//! Tickets: one failing or banned id with the evidence against it, on its way from a filter to a jail and its
//! actions.
#![forbid(unsafe_code)]

use crate::address::Address;
use crate::evidence::Evidence;
use crate::fields::{FieldValue, Fields, MatchLine};

/// Seconds since 1970, UTC; fractions as the log line gave them.
pub type Timestamp = f64;

/// How long a ban lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BanTime {
    /// Seconds; a whole number unless `bantime.rndtime` or a formula made it otherwise.
    Seconds(f64),
    /// Never lifted (`bantime = -1`).
    Permanent,
}

/// A failing or banned id.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Whom it is about.
    pub id: Address,
    /// Time of the last failure; a ban counts from here (fact B7).
    pub time: Timestamp,
    /// Failures counted (`<failures>`); 0 for a ban by hand.
    pub failures: u32,
    /// The last matched lines, and the captured fields of the first failure (fact R28).
    pub evidence: Evidence,
    /// Set when banned: how long.
    pub bantime: Option<BanTime>,
    /// How many times this id has been banned, this time included.
    pub bancount: u32,
    /// Came from the database at start, not from a log line.
    pub restored: bool,
}

impl Ticket {
    /// A ticket without evidence, as `banip` makes it.
    pub fn new(id: Address, time: Timestamp) -> Ticket {
        Ticket {
            id,
            time,
            failures: 0,
            evidence: Evidence::default(),
            bantime: None,
            bancount: 0,
            restored: false,
        }
    }

    /// The last matched lines, oldest first.
    pub fn matches(&self) -> Vec<MatchLine> {
        self.evidence.lines()
    }

    /// Captured fields.
    pub fn fields(&self) -> Fields {
        self.evidence.fields()
    }

    /// Gives it other lines.
    pub fn set_matches(&mut self, lines: &[MatchLine]) {
        self.evidence = self.evidence.with_lines(lines);
    }

    /// Sets a field.
    pub fn set_field(&mut self, name: &str, value: FieldValue) {
        let mut fields = self.fields();
        fields.insert(name, value);
        self.evidence = Evidence::new(&fields, &self.matches());
    }

    /// The address for `<ip>`: the id, or the address kept beside a different id (fact R21).
    pub fn ip(&self) -> Address {
        match self.evidence.field("ip") {
            Some(FieldValue::Address(address)) => address,
            _ => self.id.clone(),
        }
    }
}
