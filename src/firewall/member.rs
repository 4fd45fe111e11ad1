//! Members of sets, the sets of `ipset` and those of `nft`: put in and taken out by netlink, many
//! at a time and without any program.
//!
//! In come the calls an action file spells out; out comes for each whether the kernel did it. What
//! the kernel refused, or what needs more than is known here, is left to the program itself, which
//! does it or says in its own words why not.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::netlink::Channel;
use super::{Transaction, ipset, nftables};
use crate::exec::script::Script;

/// What is to be done with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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

/// A set, as the kernel names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Set {
    /// One of ipset's.
    Ipset(String),
    /// One of a table of nftables.
    Nft {
        /// Number of the table's family.
        family: u8,
        /// The table.
        table: String,
        /// The set.
        name: String,
    },
}

/// A change of a set by one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// In or out.
    pub kind: Kind,
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

impl Member {
    /// Reads a command; `None` for anything but putting one member in or taking it out.
    pub fn recognise(script: &Script) -> Option<Member> {
        let text = &script.text;
        if !script.variables.is_empty() || script.splits_values() {
            return None;
        }
        // cheap looks before the script is read
        if text.contains("ipset") {
            return ipset::read(text);
        }
        match text.contains("nft") {
            true => nftables::read(text),
            false => None,
        }
    }
}

/// Puts changes that netlink did not do into few runs of the programs that take many lines.
pub fn transactions(members: &[&Member]) -> Vec<Transaction> {
    let mut transactions: Vec<Transaction> = Vec::new();
    for (at, member) in members.iter().enumerate() {
        let Some((arguments, line)) = &member.line else {
            continue;
        };
        let open = transactions
            .iter()
            .position(|transaction| transaction.arguments == *arguments);
        let open = open.unwrap_or_else(|| {
            transactions.push(Transaction {
                arguments: arguments.clone(),
                input: String::new(),
                members: Vec::new(),
                place: String::new(),
            });
            transactions.len() - 1
        });
        transactions[open].input.push_str(line);
        transactions[open].input.push('\n');
        transactions[open].members.push(at);
    }
    transactions
}

/// Carries changes out in their order within each set; answers for each whether that was done.
pub fn apply(members: &[&Member]) -> Vec<bool> {
    let mut done = vec![false; members.len()];
    // without netlink everything is left to programs
    let Ok(channel) = Channel::open() else {
        return done;
    };
    for (set, places) in by_set(members) {
        let of_set: Vec<&Member> = places.iter().map(|&place| members[place]).collect();
        let results = match set {
            Set::Ipset(name) => ipset::apply(&channel, name, &of_set),
            Set::Nft {
                family,
                table,
                name,
            } => nftables::apply(&channel, *family, table, name, &of_set),
        };
        for (place, result) in places.into_iter().zip(results) {
            done[place] = result;
        }
    }
    done
}

/// Which of these members, all of them to be put in, are not in their sets; `None` when the kernel
/// cannot be asked about one of them. A set that is gone has no members.
pub fn absent(members: &[&Member]) -> Option<Vec<usize>> {
    let channel = Channel::open().ok()?;
    let mut absent = Vec::new();
    for (set, places) in by_set(members) {
        let there = contents(&channel, set)?;
        for place in places {
            if !there.contains(&members[place].network?) {
                absent.push(place);
            }
        }
    }
    absent.sort_unstable();
    Some(absent)
}

/// What a set holds, as networks; `None` when that cannot be told.
pub fn held(set: &Set) -> Option<Vec<IpNet>> {
    let channel = Channel::open().ok()?;
    Some(contents(&channel, set)?.networks())
}

fn contents(channel: &Channel, set: &Set) -> Option<Contents> {
    match set {
        Set::Ipset(name) => ipset::members(channel, name),
        Set::Nft {
            family,
            table,
            name,
        } => nftables::members(channel, *family, table, name),
    }
}

fn by_set<'a>(members: &[&'a Member]) -> Vec<(&'a Set, Vec<usize>)> {
    let mut order: Vec<(&Set, Vec<usize>)> = Vec::new();
    let mut known: HashMap<&Set, usize> = HashMap::new();
    for (place, member) in members.iter().enumerate() {
        let at = *known.entry(&member.set).or_insert_with(|| {
            order.push((&member.set, Vec::new()));
            order.len() - 1
        });
        order[at].1.push(place);
    }
    order
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
