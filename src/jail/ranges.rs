//! Networks as sorted, merged ranges, so that a lookup is a binary search however long the list is.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use ipnet::IpNet;

use crate::address::Address;

/// Networks of both families.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Ranges {
    pub fn new(nets: impl Iterator<Item = IpNet>) -> Ranges {
        let mut ranges = Ranges::default();
        for net in nets {
            let range = (number(net.network()), number(net.broadcast()));
            match net {
                IpNet::V4(_) => ranges.v4.push(range),
                IpNet::V6(_) => ranges.v6.push(range),
            }
        }
        for list in [&mut ranges.v4, &mut ranges.v6] {
            list.sort_unstable();
            list.dedup_by(|next, last| {
                let overlaps = next.0 <= last.1;
                if overlaps {
                    last.1 = last.1.max(next.1);
                }
                overlaps
            });
        }
        ranges
    }

    /// Whether any range and the network have an address in common.
    pub fn meets(&self, net: &IpNet) -> bool {
        let list = match net {
            IpNet::V4(_) => &self.v4,
            IpNet::V6(_) => &self.v6,
        };
        let (first, last) = (number(net.network()), number(net.broadcast()));
        let after = list.partition_point(|range| range.0 <= last);
        after > 0 && first <= list[after - 1].1
    }

    /// Whether a range contains the id. A network counts as inside when its first address is, as in the original.
    pub fn contains(&self, id: &Address) -> bool {
        let ip = match id {
            Address::Ip(ip) => *ip,
            Address::Net(net) => net.network(),
            Address::Raw(_) => return false,
        };
        let list = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let ip = number(ip);
        let after = list.partition_point(|range| range.0 <= ip);
        after > 0 && ip <= list[after - 1].1
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => ip.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_networks_merge() {
        let nets = (0..10_000_u32)
            .map(|n| IpNet::new(IpAddr::V4((0x0a00_0000 + n * 512).into()), 24).unwrap());
        let ranges = Ranges::new(nets);
        assert!(ranges.contains(&Address::parse("10.0.2.255")));
        assert!(!ranges.contains(&Address::parse("10.0.3.0")));
        let nested = ["10.0.0.0/8", "10.5.0.0/16", "10.4.0.0/16"];
        let ranges = Ranges::new(nested.iter().map(|net| net.parse().unwrap()));
        assert!(ranges.contains(&Address::parse("10.200.0.1")));
    }
}
