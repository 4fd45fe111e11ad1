//! Chains and sets that the last server left in the firewall.
//!
//! A chain or a set belongs to an action if its `actionstop` deletes it, or empties the set. If it exists before
//! the action is started, the last server did not remove it. Chains and sets that an action only adds to belong
//! to somebody else, and are not touched.
#![forbid(unsafe_code)]

use std::fs;
use std::time::Duration;

use super::iptables::{Rule, copies};
use super::member::Member;
use super::netlink::Channel;
use super::place::Set;
use super::sets;
use super::{Change, ipset, nftables};
use crate::exec::process::{ExitOutcome, Invocation};

/// Whether an `actionstop` ends the place of a ban.
pub fn is_own(ban: &Change, stop: &str) -> bool {
    let syntax = ['{', '}', '(', ')', ';', '"', '\''];
    let words: Vec<&str> = stop
        .split_whitespace()
        .map(|word| word.trim_matches(syntax))
        .collect();
    let says = |verbs: &[&str], object: &[&str]| {
        words
            .windows(1 + object.len())
            .any(|part| verbs.contains(&part[0]) && part[1..] == *object)
    };
    match ban {
        Change::Rule(rule) => says(&["-X", "--delete-chain"], &[rule.chain()]),
        Change::Member(member) => match &member.set {
            Set::Ipset(name) => {
                let ends = ["destroy", "--destroy", "-X", "flush", "--flush", "-F"];
                says(&ends, &[name])
            }
            Set::Nft {
                family,
                table,
                name,
            } => {
                let family = nftables::family_name(*family);
                says(&["delete"], &["set", family, table, name])
                    || says(&["delete"], &["set", table, name])
            }
        },
        Change::Route(_) => false,
    }
}

/// Whether the place of a ban is there.
pub async fn is_there(ban: &Change, limit: Duration) -> bool {
    presence(ban, limit).await == Some(true)
}

/// Whether the place of a ban is not there, and so neither is the ban.
pub async fn is_gone(ban: &Change, limit: Duration) -> bool {
    presence(ban, limit).await == Some(false)
}

/// Whether the place of a ban is there; `None` when that cannot be told.
async fn presence(ban: &Change, limit: Duration) -> Option<bool> {
    let channel = Channel::open().ok()?;
    match ban {
        Change::Rule(rule) => match copies::chain_exists(&channel, rule) {
            Some(true) => Some(true),
            of_new => {
                let of_old = old_chain_exists(rule, limit).await;
                of_old.filter(|old| *old || of_new.is_some())
            }
        },
        Change::Member(member) => match &member.set {
            Set::Ipset(name) => ipset::exists(&channel, name),
            Set::Nft {
                family,
                table,
                name,
            } => nftables::exists(&channel, *family, table, name),
        },
        Change::Route(_) => None,
    }
}

/// Whether nothing is in a set of ipset: others may have made it beforehand.
pub fn is_empty_set(ban: &Change) -> bool {
    match ban {
        Change::Member(Member {
            set: set @ Set::Ipset(_),
            ..
        }) => sets::held(set).is_some_and(|members| members.is_empty()),
        _ => false,
    }
}

/// Whether the old iptables has the chain: of its tables only its program tells. `None` when it does not.
async fn old_chain_exists(rule: &Rule, limit: Duration) -> Option<bool> {
    let tables = match copies::is_v6(rule) {
        false => "/proc/net/ip_tables_names",
        true => "/proc/net/ip6_tables_names",
    };
    let in_use = |tables: String| tables.lines().any(|table| table == rule.table());
    if !fs::read_to_string(tables).is_ok_and(in_use) {
        return Some(false);
    }
    let list = rule.list();
    let listed = Invocation::new(&list, limit).run().await;
    match listed.ok()?.ending {
        ExitOutcome::Code(0) => Some(true),
        ExitOutcome::Code(1) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Script;

    #[test]
    fn a_place_is_the_actions_own_when_its_stop_ends_it() {
        for (ban, stop, own) in [
            (
                "iptables -w -I f2b-x 1 -s 192.0.2.1 -j DROP",
                "iptables -w -D INPUT -p tcp -j f2b-x\niptables -w -F f2b-x\niptables -w -X f2b-x",
                true,
            ),
            (
                "iptables -I INPUT 1 -s 192.0.2.1 -j DROP",
                "iptables -D INPUT -j f2b-x; iptables -F f2b-x; iptables -X f2b-x",
                false,
            ),
            (
                "iptables -I f2b-x 1 -s 192.0.2.1 -j DROP",
                "iptables -X f2b-xy",
                false,
            ),
            ("iptables -I f2b-x 1 -s 192.0.2.1 -j DROP", "", false),
            (
                "ipset -exist add f2b-x 192.0.2.1 timeout 0",
                "ipset flush f2b-x\nipset destroy f2b-x 2>/dev/null || { sleep 1; ipset destroy f2b-x; }",
                true,
            ),
            ("ipset add f2b-x 192.0.2.1", "ipset flush f2b-x", true),
            (
                "ipset add mine 192.0.2.1",
                "iptables -D INPUT -m set --match-set mine src -j DROP",
                false,
            ),
            (
                "nft add element inet f2b-table addr-set-x \\{ 192.0.2.1 \\}",
                "{ nft -a list chain inet f2b-table c | cat; }\nnft delete set inet f2b-table addr-set-x",
                true,
            ),
            (
                "nft add element t s { 192.0.2.1 }",
                "nft delete set t s; true",
                true,
            ),
            (
                "nft add element inet t s { 192.0.2.1 }",
                "nft delete set inet other s",
                false,
            ),
            ("ip route add blackhole 192.0.2.1", "ip route flush", false),
        ] {
            let ban = Change::recognise(&Script::plain(ban)).unwrap();
            assert_eq!(is_own(&ban, stop), own, "{ban:?}, {stop}");
        }
    }
}
