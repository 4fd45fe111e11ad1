//! A member of a set of `ipset` or `nft`, and its addition or deletion.
#![forbid(unsafe_code)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::FirewallChange;
use super::place::{Expiry, FirewallPlace, Set, StandingBan};

/// What is to be done with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Put it in.
    Add,
    /// Take it out.
    Delete,
}

/// What it means when there is nothing to do: the member is there already, or there no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redundant {
    /// The kernel shall not mind; a time limit begins anew.
    Accepted,
    /// An error.
    Refused,
    /// Success, and nothing changes.
    Skipped,
}

/// A change of a set by one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// In or out.
    pub kind: MemberChange,
    /// The set.
    pub set: Set,
    /// Whom; `None` when it is more than an address or a network.
    pub network: Option<IpNet>,
    /// Seconds after which the kernel takes it out by itself; 0 is never.
    pub timeout: Option<u32>,
    /// What if there is nothing to do.
    pub redundant: Redundant,
    /// A program that does many such changes at once, with its arguments, and the line it reads;
    /// `None` when there is none that would do exactly this.
    pub line: Option<(Vec<String>, String)>,
}

impl FirewallChange for Member {
    fn place(&self) -> FirewallPlace {
        FirewallPlace::Set(self.set.clone())
    }

    fn adds(&self) -> bool {
        self.kind == MemberChange::Add
    }

    fn ban(&self) -> Option<StandingBan> {
        Some((self.network?, String::new()))
    }

    fn until(&self) -> Option<Expiry> {
        Some(match self.timeout {
            None => Expiry::SetDefault,
            Some(0) => Expiry::Never,
            Some(seconds) => Expiry::Moment(Instant::now() + Duration::from_secs(seconds.into())),
        })
    }
}

/// What a set holds: ranges of addresses, sorted, from the first to the last of each.
#[derive(Debug, Default)]
pub struct Contents {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Contents {
    /// Takes ranges in any order, those of IPv6 apart.
    pub fn new(mut v4: Vec<(u128, u128)>, mut v6: Vec<(u128, u128)>) -> Contents {
        v4.sort_unstable();
        v6.sort_unstable();
        Contents { v4, v6 }
    }

    /// Its ranges as networks.
    pub fn networks(&self) -> Vec<IpNet> {
        // every range came out of addresses of this length
        let v4 = |number: u128| Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX));
        let v4 = self
            .v4
            .iter()
            .flat_map(|(from, to)| Ipv4Subnets::new(v4(*from), v4(*to), 0).map(IpNet::V4));
        let v6 = self.v6.iter().flat_map(|(from, to)| {
            Ipv6Subnets::new((*from).into(), (*to).into(), 0).map(IpNet::V6)
        });
        v4.chain(v6).collect()
    }

    /// Whether all addresses of a network are in it.
    pub fn contains(&self, network: &IpNet) -> bool {
        let (ranges, first, last) = match network {
            IpNet::V4(net) => (
                &self.v4,
                u128::from(u32::from(net.network())),
                u128::from(u32::from(net.broadcast())),
            ),
            IpNet::V6(net) => (
                &self.v6,
                u128::from(net.network()),
                u128::from(net.broadcast()),
            ),
        };
        // the last range that begins at or before the network; ranges of one set do not overlap,
        // but single addresses of a `hash:ip` may stand side by side
        let mut next = ranges.partition_point(|(from, _)| *from <= first);
        let Some((_, mut end)) = next.checked_sub(1).map(|at| ranges[at]) else {
            return false;
        };
        while end < last {
            match ranges.get(next) {
                Some((from, to)) if *from <= end.saturating_add(1) => end = end.max(*to),
                _ => return false,
            }
            next += 1;
        }
        end >= first
    }
}
