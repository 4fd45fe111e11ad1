//! The rules of a chain as `iptables-save` prints them, compared with those of bans.

use std::collections::HashMap;

use ipnet::IpNet;

use super::super::ipset::network;
use super::Change;

/// The program that prints the table of a change.
pub fn save(change: &Change) -> Vec<String> {
    let program = match change.restore.strip_suffix("restore") {
        Some(program) => format!("{program}save"),
        None => change.restore.clone(),
    };
    [&program, "-t", &change.table].map(str::to_owned).to_vec()
}

/// How a rule is printed that rejects and does not say how.
fn default_reject(change: &Change) -> &'static str {
    match change.restore.contains("ip6tables") {
        true => "-j REJECT --reject-with icmp6-port-unreachable",
        false => "-j REJECT --reject-with icmp-port-unreachable",
    }
}

/// Which of these rules, all of one table and to be added, are not in the table as printed; `None`
/// when one of them is not understood.
pub fn absent(changes: &[&Change], printed: &str) -> Option<Vec<usize>> {
    let mut chains: HashMap<&str, Rules> = HashMap::new();
    let first = changes.first()?;
    let mut absent = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        if !change.fits(first) {
            return None;
        }
        let of_chain = chains
            .entry(&change.chain)
            .or_insert_with(|| rules(printed, &change.chain).unwrap_or_default());
        let key = key(&change.rule, default_reject(change))?;
        if !of_chain.contains_key(&key) {
            absent.push(at);
        }
    }
    Some(absent)
}

/// How the rule of a ban stands in its chain: whom it concerns, and what follows.
pub fn standing(change: &Change) -> Option<(IpNet, String)> {
    key(&change.rule, default_reject(change))
}

/// The bans that stand in the chain of a ban like these, and how many times each; `None` when rules with
/// an address are among them that are not of its kind, or the chain is not in the table as printed.
pub fn all_standing(sample: &Change, printed: &str) -> Option<HashMap<(IpNet, String), usize>> {
    let (_, kind) = standing(sample)?;
    let mut bans = rules(printed, &sample.chain)?;
    bans.retain(|(_, rest), _| *rest == kind);
    let address = format!("-A {} -s ", sample.chain);
    let with_address = printed.lines().filter(|line| line.starts_with(&address));
    (bans.values().sum::<usize>() == with_address.count()).then_some(bans)
}

/// How many rules of a chain are alike.
type Rules = HashMap<(IpNet, String), usize>;

/// The rules of a chain out of a whole table as printed; `None` when there is no such chain.
fn rules(printed: &str, chain: &str) -> Option<Rules> {
    let mut rules = Rules::new();
    let mut there = false;
    for line in printed.lines() {
        if let Some(name) = line.strip_prefix(':') {
            there |= name.split(' ').next() == Some(chain);
        } else if let Some((name, rule)) = line.strip_prefix("-A ").and_then(|l| l.split_once(' '))
            && name == chain
            && let Some(key) = key(rule, "-j REJECT")
        {
            *rules.entry(key).or_default() += 1;
        }
    }
    there.then_some(rules)
}

/// What makes rules of actions alike: whom they concern, and what follows. `default` is how a bare
/// `-j REJECT` is printed.
fn key(rule: &str, default: &str) -> Option<(IpNet, String)> {
    let (source, rest) = rule.strip_prefix("-s ")?.split_once(' ')?;
    let rest = match rest.trim_end() {
        "-j REJECT" => default,
        rest => rest,
    };
    Some((network(source)?, rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::Call;
    use super::*;

    #[test]
    fn rules_are_found_in_a_table_as_printed() {
        let change = |text: &str| Call::recognise(text).unwrap().change().unwrap();
        let changes = [
            "iptables -I c 1 -s 192.0.2.1 -j REJECT",
            "iptables -I c 1 -s 192.0.2.2 -j DROP",
            "iptables -I c 1 -s 198.51.100.0/24 -j DROP",
            "iptables -I d 1 -s 192.0.2.1 -j REJECT",
        ]
        .map(change);
        let changes: Vec<&Change> = changes.iter().collect();
        assert_eq!(save(changes[0]), ["iptables-save", "-t", "filter"]);
        let printed = "*filter\n:c - [0:0]\n:d - [0:0]\n\
            -A c -s 192.0.2.1/32 -j REJECT --reject-with icmp-port-unreachable\n\
            -A c -s 198.51.100.0/24 -j DROP\n-A d -j RETURN\nCOMMIT\n";
        assert_eq!(absent(&changes, printed), Some(vec![1, 3]));
        let other = change("ip6tables -I c 1 -s 2001:db8::1 -j DROP");
        assert_eq!(absent(&[changes[0], &other], printed), None);
    }
}
