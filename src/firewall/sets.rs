//! Members of sets, of `ipset` and of `nft`: added and deleted by netlink, many at a time and without any
//! program.
//!
//! In: the commands of an action file. Out: for each whether the kernel applied it. What the kernel refuses, or
//! what needs more than is implemented here, is left to the program itself, which applies it or reports the
//! reason in its own words.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use ipnet::IpNet;

use super::member::{Contents, Member};
use super::netlink::Channel;
use super::place::Set;
use super::{Transaction, ipset, nftables};

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

/// Carries changes out in their order within each set; answers for each whether that was done. Those of sets of
/// nftables are one transaction as far as it can be sent in one go; ipset has none, each of its members counts at
/// once.
pub fn apply(members: &[&Member]) -> Vec<bool> {
    let mut done = vec![false; members.len()];
    // without netlink everything is left to programs
    let Ok(channel) = Channel::open() else {
        return done;
    };
    let mut of_nft = Vec::new();
    for (set, places) in by_set(members) {
        match set {
            Set::Ipset(name) => {
                let of_set: Vec<&Member> = places.iter().map(|&place| members[place]).collect();
                let results = ipset::apply(&channel, name, &of_set);
                for (place, result) in places.into_iter().zip(results) {
                    done[place] = result;
                }
            }
            Set::Nft { .. } => of_nft.extend(places),
        }
    }
    let all: Vec<&Member> = of_nft.iter().map(|&place| members[place]).collect();
    for (place, result) in of_nft.into_iter().zip(nftables::apply(&channel, &all)) {
        done[place] = result;
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
