//! What travels from a filter to a jail and on to its actions: one failing or banned id with
//! the evidence against it.
#![forbid(unsafe_code)]

use std::sync::Arc;

use indexmap::IndexMap;

use crate::address::Address;

/// Seconds since 1970, UTC; fractions as the log line gave them.
pub type Timestamp = f64;

/// The value of a captured field (`<F-USER>` is the field `user`).
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Captured text.
    Text(String),
    /// Distinct values collected over a session (`users`), in order of appearance.
    Set(Vec<String>),
    /// Parts joined by `<F-TUPLE_…>` tags; a part may be unset.
    Tuple(Vec<Option<String>>),
    /// An address kept beside a different id (`ip` when `fid` is the id, fact R21).
    Address(Address),
}

/// Captured fields in capture order, keyed by lower-case name.
pub type Fields = IndexMap<String, FieldValue>;

/// A matched log line as the database stores it (fact Q3).
#[derive(Clone, Debug, PartialEq)]
pub enum MatchLine {
    /// The whole line.
    Text(String),
    /// Text before the date, the date, text after it; joined they are the line.
    Parts(Arc<[String; 3]>),
}

impl MatchLine {
    /// The whole line.
    pub fn text(&self) -> String {
        match self {
            MatchLine::Text(line) => line.clone(),
            MatchLine::Parts(parts) => parts.concat(),
        }
    }
}

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
    /// The last matched lines, oldest first.
    pub matches: Vec<MatchLine>,
    /// Captured fields of the first failure (fact R28).
    pub fields: Fields,
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
            matches: Vec::new(),
            fields: Fields::new(),
            bantime: None,
            bancount: 0,
            restored: false,
        }
    }

    /// The address for `<ip>`: the id, or the address kept beside a different id (fact R21).
    pub fn ip(&self) -> &Address {
        match self.fields.get("ip") {
            Some(FieldValue::Address(address)) => address,
            _ => &self.id,
        }
    }
}
