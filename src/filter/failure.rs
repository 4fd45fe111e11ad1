//! Finds the id of a failure in its merged fields (facts R21–R25).
#![forbid(unsafe_code)]

use super::FailureId;
use super::name::Name;
use super::record::GroupRecord;
use crate::address::Address;
use crate::fields::FieldValue;
use crate::pattern::UseDns;

/// How ids are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) usedns: UseDns,
    /// Names are ids, whatever `usedns` says (`fail2ban-regex --raw`).
    pub(super) raw_hosts: bool,
}

impl Reading {
    fn raw(self) -> bool {
        self.raw_hosts || self.usedns == UseDns::Raw
    }
}

/// Whom the fields accuse.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum IdVerdict {
    /// Somebody.
    Id(FailureId),
    /// Nobody yet: the session may name an id later (fact R34).
    Pending,
    /// A host name where `usedns = no` forbids to look it up.
    Dismissed,
}

/// Finds the id in `record`; an address beside a different id is put into the field `ip`.
pub(super) fn identify(record: &mut GroupRecord, reading: Reading) -> IdVerdict {
    let address = match (record.text(&Name::Ip4), record.text(&Name::Ip6)) {
        (Some(ip), _) | (None, Some(ip)) => Some(with_prefix(ip, record.text(&Name::Cidr))),
        (None, None) => None,
    };
    let captured = record.text(&Name::Ip4).or_else(|| record.text(&Name::Ip6));
    let same = captured.is_some() && captured == record.text(&Name::Fid);
    if let Some(address) = address {
        if same {
            return IdVerdict::Id(FailureId::Address(address));
        }
        return match record.get(&Name::Fid) {
            None => IdVerdict::Id(FailureId::Address(address)),
            Some(fid) => {
                let id = complex(fid, reading);
                record.set(Name::Ip, Some(FieldValue::Address(address)));
                IdVerdict::Id(FailureId::Address(id))
            }
        };
    }
    // the group `host` of filters written for versions before 0.10 (fact O2)
    if let Some(name) = record.text(&Name::Dns).or_else(|| record.text(&Name::Host)) {
        if reading.raw() {
            return match record.get(&Name::Fid).map(|fid| complex(fid, reading)) {
                Some(id) if record.text(&Name::Fid) != Some(name) => {
                    let name = Address::raw(name);
                    record.set(Name::Ip, Some(FieldValue::Address(name)));
                    IdVerdict::Id(FailureId::Address(id))
                }
                _ => IdVerdict::Id(FailureId::Address(Address::raw(name))),
            };
        }
        return match Address::parse_ip(name) {
            Some(address) => IdVerdict::Id(FailureId::Address(address)),
            None if reading.usedns == UseDns::No => IdVerdict::Dismissed,
            None => IdVerdict::Id(FailureId::Name(name.to_owned())),
        };
    }
    match record.get(&Name::Fid) {
        Some(fid) => IdVerdict::Id(FailureId::Address(complex(fid, reading))),
        None => IdVerdict::Pending,
    }
}

/// The address `ip`, widened to a network when a usable prefix length was captured (fact R22).
fn with_prefix(ip: &str, prefix: Option<&str>) -> Address {
    let Some(Address::Ip(address)) = Address::parse_ip(ip) else {
        return Address::parse(ip);
    };
    prefix
        .and_then(|p| p.parse::<u8>().ok())
        .and_then(|p| Address::network(address, p))
        .unwrap_or(Address::Ip(address))
}

/// An id from `<F-ID>`: an address when it reads as one, unless ids shall stay raw.
fn complex(fid: &FieldValue, reading: Reading) -> Address {
    match fid {
        FieldValue::Text(text) if reading.raw() => Address::raw(text.as_str()),
        FieldValue::Text(text) => Address::parse(text),
        FieldValue::Address(address) => address.clone(),
        FieldValue::Tuple(parts) => {
            let parts: Vec<_> = parts
                .iter()
                .map(|p| p.as_deref().map_or("None".to_owned(), super::quote))
                .collect();
            Address::raw(format!("({})", parts.join(", ")))
        }
        FieldValue::Set(values) => Address::raw(values.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(fields: &[(&str, &str)], usedns: UseDns) -> String {
        let mut record = GroupRecord::default();
        for (name, value) in fields {
            record.set(Name::from(*name), Some(FieldValue::Text((*value).into())));
        }
        let reading = Reading {
            usedns,
            raw_hosts: false,
        };
        let id = match identify(&mut record, reading) {
            IdVerdict::Id(FailureId::Address(Address::Raw(id))) => format!("raw {id}"),
            IdVerdict::Id(FailureId::Address(id)) => id.to_string(),
            IdVerdict::Id(FailureId::Name(name)) => format!("name {name}"),
            other => format!("{other:?}"),
        };
        match record.get(&Name::Ip) {
            Some(FieldValue::Address(ip)) => format!("{id} at {ip}"),
            _ => id,
        }
    }

    #[test]
    fn ids() {
        use UseDns::{No, Raw, Warn};
        for (fields, usedns, expected) in [
            (&[("ip4", "192.0.2.1")][..], Warn, "192.0.2.1"),
            (&[("ip4", "192.0.2.1"), ("cidr", "8")], Warn, "192.0.0.0/8"),
            (&[("ip4", "192.0.2.1"), ("cidr", "99")], Warn, "192.0.2.1"),
            (
                &[("ip4", "300.0.2.1"), ("cidr", "8")],
                Warn,
                "raw 300.0.2.1",
            ),
            (
                &[("ip6", "2001:db8::1"), ("cidr", "32")],
                Warn,
                "2001:db8::/32",
            ),
            (
                &[("ip6", "2001:db8::1"), ("cidr", "200")],
                Warn,
                "2001:db8::1",
            ),
            (&[("ip6", "::ffff:c000:0209")], Warn, "192.0.2.9"),
            (&[("fid", "192.0.2.1/8")], Warn, "192.0.0.0/8"),
            (&[("fid", "192.0.2.1")], Raw, "raw 192.0.2.1"),
            (
                &[("fid", "a"), ("ip4", "192.0.2.1")],
                Warn,
                "raw a at 192.0.2.1",
            ),
            (
                &[("fid", "192.0.2.1"), ("ip4", "192.0.2.1")],
                Raw,
                "192.0.2.1",
            ),
            (&[("dns", "a.example")], Warn, "name a.example"),
            (&[("dns", "a.example")], Raw, "raw a.example"),
            (&[("dns", "a.example")], No, "Dismissed"),
            (
                &[("dns", "a.example"), ("fid", "x")],
                Raw,
                "raw x at a.example",
            ),
            (&[("host", "::ffff:192.0.2.9")], Warn, "192.0.2.9"),
            (&[("host", "a.example")], Warn, "name a.example"),
            (&[("mlfid", "1")], Warn, "Pending"),
        ] {
            assert_eq!(verdict(fields, usedns), expected, "{fields:?} {usedns:?}");
        }
    }
}
