//! Bans of whole networks: `banprefix4` and `banprefix6`, options that the original does not have.
//! Failures of all addresses of a network are counted together, and the network is banned.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use crate::address::{Address, Family};
use crate::control::{CommandError, Value};

/// Length of the networks that are banned; `None`: single addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct BanPrefix {
    inet4: Option<u8>,
    inet6: Option<u8>,
}

impl BanPrefix {
    /// Sets the length for a family.
    ///
    /// # Errors
    /// A length that no network has, or one so short that it must be a mistake: below 8, and below
    /// 16 for IPv6.
    pub fn set(&mut self, family: Family, value: &Value) -> Result<(), CommandError> {
        let length = value.to_int()?;
        let (shortest, longest, place) = match family {
            Family::Inet4 => (8, 32, &mut self.inet4),
            Family::Inet6 => (16, 128, &mut self.inet6),
        };
        match u8::try_from(length) {
            Ok(length) if (shortest..=longest).contains(&length) => {
                *place = Some(length).filter(|length| *length < longest);
                Ok(())
            }
            _ => Err(CommandError::builtin(
                "ValueError",
                format!(
                    "a prefix length between {shortest} and {longest} is expected, not {length}"
                ),
            )),
        }
    }

    /// The length for a family, as clients are told.
    pub fn get(&self, family: Family) -> Value {
        let length = match family {
            Family::Inet4 => self.inet4,
            Family::Inet6 => self.inet6,
        };
        length.map_or(Value::None, |length| Value::Int(i64::from(length)))
    }

    /// The network an address is banned with; `None`: with itself alone.
    pub fn network(&self, id: &Address) -> Option<Address> {
        let Address::Ip(ip) = id else {
            return None;
        };
        let length = match ip {
            IpAddr::V4(_) => self.inet4,
            IpAddr::V6(_) => self.inet6,
        }?;
        Address::network(*ip, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_networks() {
        let mut prefix = BanPrefix::default();
        let network = |prefix: &BanPrefix, text| prefix.network(&Address::parse(text));
        assert_eq!(network(&prefix, "192.0.2.1"), None);
        prefix.set(Family::Inet4, &"24".into()).unwrap();
        prefix.set(Family::Inet6, &Value::Int(64)).unwrap();
        assert_eq!(
            network(&prefix, "192.0.2.1"),
            Some(Address::parse("192.0.2.0/24"))
        );
        assert_eq!(
            network(&prefix, "2001:db8::1:2:3:4"),
            Some(Address::parse("2001:db8::/64"))
        );
        assert_eq!(network(&prefix, "192.0.2.0/28"), None);
        assert_eq!(network(&prefix, "name"), None);
        prefix.set(Family::Inet4, &"32".into()).unwrap();
        assert_eq!(prefix.get(Family::Inet4), Value::None);
    }

    #[test]
    fn lengths_are_checked() {
        let mut prefix = BanPrefix::default();
        for (family, text) in [
            (Family::Inet4, "0"),
            (Family::Inet4, "33"),
            (Family::Inet6, "129"),
            (Family::Inet6, "8"),
            (Family::Inet6, "-1"),
            (Family::Inet4, "x"),
        ] {
            assert!(prefix.set(family, &text.into()).is_err(), "{text}");
        }
    }
}
