//! Whom a failure or a ban is about: an address, a network, or any other text.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// Address family of a firewall rule or action section (`?family=inet6`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4
    Inet4,
    /// IPv6
    Inet6,
}

impl Family {
    /// The word used in `?family=` and in the `<family>` tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Inet4 => "inet4",
            Family::Inet6 => "inet6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An address, a network or any id text, in its canonical form (facts R21–R25).
///
/// IPv4-mapped IPv6 addresses count as IPv4; a network of full length is an address; what is no
/// address (`300.1.1.1`, a session id, a name) is kept as text without a family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A single address.
    Ip(IpAddr),
    /// A network, host bits cleared, shorter than full length.
    Net(IpNet),
    /// Any other id, as written.
    Raw(Arc<str>),
}

impl Address {
    /// Reads an id as fail2ban does: address, `address/prefix`, `address/netmask`, else raw text.
    pub fn parse(text: &str) -> Address {
        match Self::parse_ip(text) {
            Some(address) => address,
            None => Address::Raw(text.into()),
        }
    }

    /// As [`Address::parse`], but `None` for text that is no address or network.
    pub fn parse_ip(text: &str) -> Option<Address> {
        let text = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Address::Ip(ip.to_canonical()));
        }
        let (host, mask) = text.split_once('/')?;
        let ip = host.parse::<IpAddr>().ok()?;
        if mask.is_empty() || !mask.bytes().all(|b| b.is_ascii_digit()) {
            return Self::network(ip, ipnet::ip_mask_to_prefix(mask.parse().ok()?).ok()?);
        }
        // longer than an address is all of it
        let full = if ip.is_ipv4() { 32 } else { 128 };
        match mask.parse() {
            Ok(prefix) if prefix <= full => Self::network(ip, prefix),
            _ if ip.to_canonical() == ip => Some(Address::Ip(ip)),
            _ => None,
        }
    }

    /// The network `ip/prefix`; an address when the prefix is the full length.
    pub fn network(ip: IpAddr, prefix: u8) -> Option<Address> {
        let (ip, prefix) = match (ip, ip.to_canonical()) {
            // a mapped network is an IPv4 network when its prefix reaches into the IPv4 part
            (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if prefix >= 96 => (v4, prefix - 96),
            _ => (ip, prefix),
        };
        let net = IpNet::new(ip, prefix).ok()?.trunc();
        if net.prefix_len() == net.max_prefix_len() {
            return Some(Address::Ip(net.addr()));
        }
        Some(Address::Net(net))
    }

    /// An id that shall not be read as an address.
    pub fn raw(text: impl Into<Arc<str>>) -> Address {
        Address::Raw(text.into())
    }

    /// The family, or `None` for raw text.
    pub fn family(&self) -> Option<Family> {
        match self {
            Address::Ip(IpAddr::V4(_)) | Address::Net(IpNet::V4(_)) => Some(Family::Inet4),
            Address::Ip(IpAddr::V6(_)) | Address::Net(IpNet::V6(_)) => Some(Family::Inet6),
            Address::Raw(_) => None,
        }
    }

    /// Whether this is one address (neither a network nor raw text).
    pub fn is_single(&self) -> bool {
        matches!(self, Address::Ip(_))
    }

    /// Whether `other` is this id or lies inside this network.
    pub fn contains(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Net(net), Address::Ip(ip)) => net.contains(ip),
            (Address::Net(net), Address::Net(inner)) => net.contains(inner),
            _ => self == other,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(ip) => show(ip, f),
            Address::Net(net) => {
                show(&net.addr(), f)?;
                match net.prefix_len() {
                    // the original shows the whole address space without it (sharp edge 47)
                    0 => Ok(()),
                    length => write!(f, "/{length}"),
                }
            }
            Address::Raw(text) => f.write_str(text),
        }
    }
}

/// Whether a word can mean anybody in `ignoreip`: an address, a network, a host name, `file:PATH`.
///
/// # Errors
/// What is wrong with it.
pub fn ignorable(word: &str) -> Result<(), Cow<'static, str>> {
    if word.starts_with("file:") {
        return Ok(());
    }
    if let Some((host, mask)) = word.split_once('/') {
        let full = match host.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return Err("what stands before the / is no address".into()),
        };
        let is_number = !mask.is_empty() && mask.bytes().all(|b| b.is_ascii_digit());
        let fits = match is_number {
            true => mask.parse::<u8>().is_ok_and(|length| length <= full),
            false => Address::parse_ip(word).is_some(),
        };
        return fits.then_some(()).ok_or_else(|| match is_number {
            true => format!("the longest mask of such an address is /{full}").into(),
            false => "what stands after the / is no network mask".into(),
        });
    }
    if Address::parse_ip(word).is_some() {
        return Ok(());
    }
    if let Some(networks) = networks(word) {
        return Err(format!("write {networks}").into());
    }
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let last = word.trim_end_matches('.').rsplit('.').next();
    let ends_in_number = last.is_none_or(|label| label.bytes().all(|b| b.is_ascii_digit()));
    match word.chars().all(is_of_name) && !word.starts_with('-') && !ends_in_number {
        true => Ok(()),
        false => Err("this is no address, no network and no host name".into()),
    }
}

/// The networks that somebody means by `192.0.2.*` or `192.0.2.1-192.0.2.9`.
fn networks(word: &str) -> Option<String> {
    if let Some((first, last)) = word.split_once('-') {
        let first: Ipv4Addr = first.parse().ok()?;
        let last = match (last.parse(), last.parse()) {
            (Ok(last), _) => last,
            // only the last number, as in 192.0.2.1-9
            (_, Ok(number)) => {
                let [a, b, c, _] = first.octets();
                Ipv4Addr::new(a, b, c, number)
            }
            _ => return None,
        };
        let networks = ipnet::Ipv4Subnets::new(first, last, 0);
        let shown = |network: ipnet::Ipv4Net| match network.prefix_len() {
            32 => network.addr().to_string(),
            _ => network.to_string(),
        };
        let networks: Vec<String> = networks.map(shown).collect();
        return (1..=8)
            .contains(&networks.len())
            .then(|| networks.join(" "));
    }
    let octets: Vec<&str> = word.split('.').collect();
    let numbers = octets
        .iter()
        .take_while(|octet| octet.parse::<u8>().is_ok())
        .count();
    let rest = &octets[numbers..];
    let is_glob =
        (1..=3).contains(&numbers) && !rest.is_empty() && rest.iter().all(|octet| *octet == "*");
    if !is_glob {
        return None;
    }
    let zeros = ".0".repeat(4 - numbers);
    Some(format!(
        "{}{zeros}/{}",
        octets[..numbers].join("."),
        numbers * 8
    ))
}

/// As `inet_ntop` writes it: the old IPv4-compatible addresses end in dots, `::192.0.2.1`.
fn show(ip: &IpAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match ip {
        IpAddr::V4(ip) => f.write_str(dotted(*ip, &mut [0; 15])),
        IpAddr::V6(ip) => match ip.segments() {
            [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
                let [.., a, b, c, d] = ip.octets();
                write!(f, "::{a}.{b}.{c}.{d}")
            }
            _ => write!(f, "{ip}"),
        },
    }
}

/// Every record of an attack shows an address, and the standard library writes one octet by octet
/// through all that numbers can be formatted with: ten times the work.
fn dotted(ip: Ipv4Addr, text: &mut [u8; 15]) -> &str {
    let mut length = 0;
    let mut push = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (place, octet) in ip.octets().into_iter().enumerate() {
        if place > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    // digits and dots
    std::str::from_utf8(&text[..length]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignorable_word_accepted_or_refused() {
        for word in [
            "192.0.2.1",
            "192.0.2.0/24",
            "192.0.2.0/255.255.255.0",
            "2001:db8::/32",
            "[::1]",
            "::ffff:192.0.2.1/128",
            "host",
            "a_b.example.org.",
            "m\u{fc}ller.example",
            "3com.com",
            "file:/x/y",
        ] {
            assert_eq!(ignorable(word), Ok(()), "{word}");
        }
        for (word, cure) in [
            ("192.0.2.*", "write 192.0.2.0/24"),
            ("10.*", "write 10.0.0.0/8"),
            ("172.16.*.*", "write 172.16.0.0/16"),
            (
                "192.0.2.1-192.0.2.6",
                "write 192.0.2.1 192.0.2.2/31 192.0.2.4/31 192.0.2.6",
            ),
            ("192.0.2.0-255", "write 192.0.2.0/24"),
            ("192.0.2.0/33", "the longest mask of such an address is /32"),
            (
                "2001:db8::/129",
                "the longest mask of such an address is /128",
            ),
        ] {
            assert_eq!(ignorable(word), Err(cure.into()), "{word}");
        }
        for word in [
            "300.1.1.1",
            "1.2.3",
            "12",
            "192.0.2.1/33",
            "192.0.2.1/",
            "192.0.2.1/x",
            "192.0.2.1/255.0.255.0",
            "host/24",
            "::1/129",
            "192.0.2.1-192.0.2.9",
            "--x",
            "192.0.2.1:22",
            "",
            "2001:db8::x",
            "*",
        ] {
            assert!(ignorable(word).is_err(), "{word}");
        }
    }

    #[test]
    fn every_octet_is_shown_as_ever() {
        for octet in 0..=255 {
            let ip = Ipv4Addr::new(octet, 255 - octet, 0, octet);
            assert_eq!(Address::Ip(ip.into()).to_string(), ip.to_string());
        }
    }

    #[test]
    fn ids_take_their_canonical_form() {
        let table = [
            ("192.0.2.1", "192.0.2.1", Some(Family::Inet4), true),
            ("2001:DB8:0:0::1", "2001:db8::1", Some(Family::Inet6), true),
            ("[2001:db8::1]", "2001:db8::1", Some(Family::Inet6), true),
            ("::ffff:192.0.2.9", "192.0.2.9", Some(Family::Inet4), true),
            ("::FFFF:C000:0209", "192.0.2.9", Some(Family::Inet4), true),
            ("10.1.2.3/8", "10.0.0.0/8", Some(Family::Inet4), false),
            (
                "10.1.2.3/255.255.0.0",
                "10.1.0.0/16",
                Some(Family::Inet4),
                false,
            ),
            ("1.2.3.4/32", "1.2.3.4", Some(Family::Inet4), true),
            ("1.2.3.4/0", "0.0.0.0", Some(Family::Inet4), false),
            ("::/0", "::", Some(Family::Inet6), false),
            (
                "::ffff:10.1.2.3/104",
                "10.0.0.0/8",
                Some(Family::Inet4),
                false,
            ),
            (
                "2001:db8::1/32",
                "2001:db8::/32",
                Some(Family::Inet6),
                false,
            ),
            ("::1:2", "::0.1.0.2", Some(Family::Inet6), true),
            ("::102:304", "::1.2.3.4", Some(Family::Inet6), true),
            ("::5", "::5", Some(Family::Inet6), true),
            ("::102:304/127", "::1.2.3.4/127", Some(Family::Inet6), false),
            ("1::102:304", "1::102:304", Some(Family::Inet6), true),
            ("300.1.1.1", "300.1.1.1", None, false),
            ("010.001.002.003", "010.001.002.003", None, false),
            ("1.2.3.4/255.0.255.0", "1.2.3.4/255.0.255.0", None, false),
            ("1.2.3.4/40", "1.2.3.4", Some(Family::Inet4), true),
            ("2001:db8::1/1234", "2001:db8::1", Some(Family::Inet6), true),
            ("::ffff:1.2.3.4/130", "::ffff:1.2.3.4/130", None, false),
            ("1.2.3.4/-1", "1.2.3.4/-1", None, false),
            ("\"GET /\"", "\"GET /\"", None, false),
            ("a b", "a b", None, false),
            ("", "", None, false),
        ];
        for (text, shown, family, single) in table {
            let id = Address::parse(text);
            assert_eq!(id.to_string(), shown, "{text}");
            assert_eq!(id.family(), family, "{text}");
            assert_eq!(id.is_single(), single, "{text}");
        }
    }

    #[test]
    fn networks_contain() {
        let contains = |net: &str, id: &str| Address::parse(net).contains(&Address::parse(id));
        assert!(contains("10.0.0.0/8", "10.9.8.7"));
        assert!(contains("10.0.0.0/8", "10.9.0.0/16"));
        assert!(contains("10.0.0.0/8", "::ffff:10.9.8.7"));
        assert!(!contains("10.9.0.0/16", "10.0.0.0/8"));
        assert!(!contains("::/0", "10.9.8.7"));
        assert!(contains("foo", "foo"));
        assert!(!contains("foo", "bar"));
    }
}
