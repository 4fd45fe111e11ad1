//! Addresses that no other host can have banned here. The jail's own `ignoreip` and `ignorecommand` apply as
//! well.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Millis;
use crate::address::Address;
use crate::jail::DnsCache;

/// What is never banned by the word of another host.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The shortest prefixes that are banned, of IPv4 and IPv6.
    pub prefixes: [u8; 2],
    /// This host, its gateways, the engine.
    pub own: HashSet<IpAddr>,
    /// The other hosts of the fleet.
    pub hosts: HashSet<IpAddr>,
    /// What administrators allow, and until when; `None`: for good.
    pub allowed: HashMap<Address, Option<Millis>>,
}

/// Why somebody is not banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardRefusal {
    /// It is no address of anybody else: loopback, multicast, unspecified.
    Special,
    /// A network that is too large.
    Prefix,
    /// This host, its gateway or the engine.
    Own,
    /// A host of the fleet.
    Fleet,
    /// An administrator allows it.
    Allowed,
}

impl GuardRefusal {
    /// In words, for the log.
    pub fn words(self) -> &'static str {
        match self {
            GuardRefusal::Special => "it is no address of a host",
            GuardRefusal::Prefix => "the network is too large",
            GuardRefusal::Own => "it is this host, its gateway or the engine",
            GuardRefusal::Fleet => "it is a host of the fleet",
            GuardRefusal::Allowed => "it is allowed",
        }
    }
}

impl Default for Guard {
    fn default() -> Guard {
        Guard {
            prefixes: [24, 48],
            own: HashSet::new(),
            hosts: HashSet::new(),
            allowed: HashMap::new(),
        }
    }
}

impl Guard {
    /// Whether a target may not be banned at `now`, and why.
    pub fn refuses(&self, target: &Address, now: Millis) -> Option<GuardRefusal> {
        let net = match target {
            Address::Ip(ip) => IpNet::from(*ip),
            Address::Net(net) => *net,
            Address::Raw(_) => return Some(GuardRefusal::Special),
        };
        let shortest = match net {
            IpNet::V4(_) => self.prefixes[0],
            IpNet::V6(_) => self.prefixes[1],
        };
        if net.prefix_len() < shortest {
            return Some(GuardRefusal::Prefix);
        }
        if is_special(net.addr()) {
            return Some(GuardRefusal::Special);
        }
        let meets = |ips: &HashSet<IpAddr>| match net.prefix_len() == net.max_prefix_len() {
            true => ips.contains(&net.addr()),
            false => ips.iter().any(|ip| net.contains(ip)),
        };
        if meets(&self.own) {
            return Some(GuardRefusal::Own);
        }
        if meets(&self.hosts) {
            return Some(GuardRefusal::Fleet);
        }
        self.allows(target, now).then_some(GuardRefusal::Allowed)
    }

    /// Whether an administrator allows a target, something inside of it, or a network around it.
    pub fn allows(&self, target: &Address, now: Millis) -> bool {
        let meets = |other: &Address| other.contains(target) || target.contains(other);
        let mut allowed = self.allowed.iter();
        allowed.any(|(other, until)| meets(other) && until.is_none_or(|until| until > now))
    }
}

fn is_special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_broadcast() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
    .max(ip.is_loopback() || ip.is_multicast() || ip.is_unspecified())
}

/// The addresses of this host and of its gateways.
pub async fn this_host(names: &DnsCache) -> HashSet<IpAddr> {
    let own = names.own_addresses().await;
    let table = |path| fs::read_to_string(path).unwrap_or_default();
    let gateways = gateways(&table("/proc/net/route"), &table("/proc/net/ipv6_route"));
    own.iter().copied().chain(gateways).collect()
}

/// The gateways of the routing tables, in the form of `/proc/net/route` and `/proc/net/ipv6_route`.
fn gateways(ipv4: &str, ipv6: &str) -> Vec<IpAddr> {
    let four = ipv4.lines().filter_map(|line| {
        let gateway = line.split_whitespace().nth(2)?;
        let number = u32::from_str_radix(gateway, 16).ok()?;
        // in the byte order of the machine
        Some(IpAddr::from(number.to_ne_bytes()))
    });
    let six = ipv6.lines().filter_map(|line| {
        let gateway = line.split_whitespace().nth(4)?;
        let number = u128::from_str_radix(gateway, 16).ok()?;
        Some(IpAddr::from(number.to_be_bytes()))
    });
    four.chain(six).filter(|ip| !ip.is_unspecified()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_made_to_ban_what_it_needs() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let guard = Guard {
            own: HashSet::from([ip("198.51.100.1"), ip("2001:db8::1")]),
            hosts: HashSet::from([ip("198.51.100.2")]),
            allowed: HashMap::from([
                (Address::parse("203.0.113.0/28"), None),
                (Address::parse("192.0.2.9"), Some(Millis(100))),
            ]),
            ..Guard::default()
        };
        let table = [
            ("192.0.2.1", None),
            ("192.0.2.0/25", Some(GuardRefusal::Allowed)),
            ("192.0.2.128/25", None),
            ("192.0.2.0/23", Some(GuardRefusal::Prefix)),
            ("::/0", Some(GuardRefusal::Prefix)),
            ("2001:db8::/47", Some(GuardRefusal::Prefix)),
            ("2001:db8::/48", Some(GuardRefusal::Own)),
            ("2001:db8:1::/48", None),
            ("127.0.0.1", Some(GuardRefusal::Special)),
            ("0.0.0.0", Some(GuardRefusal::Special)),
            ("224.0.0.0/24", Some(GuardRefusal::Special)),
            ("fe80::1", Some(GuardRefusal::Special)),
            ("::1", Some(GuardRefusal::Special)),
            ("198.51.100.1", Some(GuardRefusal::Own)),
            ("198.51.100.0/24", Some(GuardRefusal::Own)),
            ("198.51.100.2", Some(GuardRefusal::Fleet)),
            ("203.0.113.3", Some(GuardRefusal::Allowed)),
            ("203.0.113.0/24", Some(GuardRefusal::Allowed)),
            ("203.0.113.16", None),
            ("root", Some(GuardRefusal::Special)),
        ];
        for (target, refusal) in table {
            let found = guard.refuses(&Address::parse(target), Millis(50));
            assert_eq!(found, refusal, "{target}");
        }
        let late = guard.refuses(&Address::parse("192.0.2.9"), Millis(100));
        assert_eq!(late, None);
    }

    #[test]
    fn gateways_are_read_from_the_routing_tables() {
        let gateway = u32::from_ne_bytes([192, 0, 2, 254]);
        let four = format!(
            "Iface\tDestination\tGateway \tFlags\neth0\t00000000\t{gateway:08X}\t0003\t0\neth0\t0002000A\t00000000\t0001\n"
        );
        let six = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                   20010db8000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n";
        let found = gateways(&four, six);
        let texts: Vec<String> = found.iter().map(IpAddr::to_string).collect();
        assert_eq!(texts, ["192.0.2.254", "2001:db8::1"]);
    }
}
