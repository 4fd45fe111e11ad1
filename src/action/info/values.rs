//! Formats single values of a ticket for tags.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use crate::address::Address;
use crate::control::Value;
use crate::fields::{FieldValue, MatchLine};
use crate::ticket::{BanTime, Ticket};

/// A length of time in seconds as tags show it.
pub fn whole(seconds: f64) -> Value {
    // lengths of bans are far from the limits of an integer, and the cast saturates
    Value::Int(seconds as i64)
}

/// Bytes of the texts in a value.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::Str(text) | Value::Ip(text) => text.len(),
        Value::List(values) | Value::Tuple(values) => values.iter().map(size).sum(),
        Value::Dict(pairs) => pairs
            .iter()
            .map(|(key, value)| size(key) + size(value))
            .sum(),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
    }
}

/// Times of log lines are floats, those of restored tickets whole numbers (fact A26).
pub(super) fn time_value(ticket: &Ticket) -> Value {
    match ticket.restored && ticket.time.fract() == 0.0 {
        true => Value::Int(ticket.time as i64),
        false => Value::Float(ticket.time),
    }
}

pub(super) fn joined(matches: &[MatchLine]) -> String {
    let lines: Vec<String> = matches.iter().map(MatchLine::text).collect();
    lines.join("\n")
}

/// The lines of a ticket: those in parts are tuples, and lists once they have been in the database.
pub(super) fn matches_value(ticket: &Ticket) -> Value {
    let line = |line: &MatchLine| match line {
        MatchLine::Text(text) => Value::from(text.as_str()),
        MatchLine::Parts(parts) => {
            let parts = parts.iter().map(|part| Value::from(part.as_str()));
            match ticket.restored {
                true => Value::List(parts.collect()),
                false => Value::Tuple(parts.collect()),
            }
        }
    };
    Value::List(ticket.matches().iter().map(line).collect())
}

pub(super) fn field_value(field: &FieldValue) -> Value {
    match field {
        FieldValue::Text(text) => Value::from(text.as_str()),
        FieldValue::Set(members) => Value::List(
            members
                .iter()
                .map(|member| Value::from(member.as_str()))
                .collect(),
        ),
        FieldValue::Tuple(parts) => {
            Value::Tuple(parts.iter().map(|part| Value::from(part.clone())).collect())
        }
        FieldValue::Address(address) => Value::from(address.to_string()),
    }
}

pub(super) fn data(ticket: &Ticket) -> Vec<(Value, Value)> {
    let mut data = vec![
        ("matches".into(), matches_value(ticket)),
        ("failures".into(), Value::Int(i64::from(ticket.failures))),
    ];
    data.extend(
        ticket
            .fields()
            .iter()
            .map(|(name, field)| (Value::from(name), field_value(field))),
    );
    data
}

/// The whole ticket in one line.
pub(super) fn raw(ticket: &Ticket) -> String {
    let bantime = match ticket.bantime {
        None => Value::None,
        Some(BanTime::Permanent) => Value::Int(-1),
        Some(BanTime::Seconds(seconds)) if seconds.fract() == 0.0 => whole(seconds),
        Some(BanTime::Seconds(seconds)) => Value::Float(seconds),
    };
    format!(
        "BanTicket: ip={} time={} bantime={} bancount={} #attempts={} matches={}",
        ticket.id,
        time_value(ticket).repr(),
        bantime.repr(),
        ticket.bancount,
        ticket.failures,
        matches_value(ticket).repr()
    )
}

/// Labels of the address in reverse order with a trailing dot and without a zone; a network shows
/// its prefix as the original does: glued to the last IPv4 number, not at all with IPv6.
pub(super) fn reversed(address: &Address) -> String {
    let ip = match address {
        Address::Ip(ip) => *ip,
        Address::Net(net) => net.addr(),
        Address::Raw(_) => return String::new(),
    };
    let labels: Vec<String> = match ip {
        IpAddr::V4(_) => address
            .to_string()
            .split('.')
            .rev()
            .map(str::to_owned)
            .collect(),
        IpAddr::V6(ip) => {
            let digits: String = ip
                .octets()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            digits.chars().rev().map(String::from).collect()
        }
    };
    labels.iter().map(|label| format!("{label}.")).collect()
}
