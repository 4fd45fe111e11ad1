//! Many rules taken out of one chain at once: the chain is read, what goes is left out, and the
//! rest is written back in one transaction.
//!
//! The kernel's tool searches a chain from its top for every rule it deletes, milliseconds each in
//! a long chain, and nobody else can change the firewall meanwhile. Only chains of actions
//! (`f2b-…`) are written anew; rules of others in them stay, in their order and with their
//! counters.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ipnet::IpNet;

use super::super::Transaction;
use super::super::ipset::network;
use super::{Effect, Rule};

/// Deletions in one chain from which on writing it anew is cheaper.
const MANY: usize = 64;

/// Changes of one chain of an action, many of them deletions.
#[derive(Debug)]
pub struct Sweep<'a> {
    first: &'a Rule,
    members: Vec<(usize, &'a Rule)>,
}

/// Parts changes: chains worth writing anew, and the positions of all other changes.
pub fn part<'a>(changes: &[&'a Rule]) -> (Vec<Sweep<'a>>, Vec<usize>) {
    let mut chains: Vec<Sweep<'a>> = Vec::new();
    let mut others = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        if !change.chain.starts_with("f2b-") {
            others.push(at);
            continue;
        }
        let same =
            |sweep: &&mut Sweep<'a>| sweep.first.fits(change) && sweep.first.chain == change.chain;
        match chains.iter_mut().find(same) {
            Some(sweep) => sweep.members.push((at, change)),
            None => chains.push(Sweep {
                first: change,
                members: vec![(at, change)],
            }),
        }
    }
    let worth = |sweep: &Sweep<'_>| {
        let deletions = sweep.members.iter().filter(|(_, change)| change.deletes());
        deletions.count() >= MANY
    };
    let (sweeps, small): (Vec<_>, Vec<_>) = chains.into_iter().partition(worth);
    others.extend(
        small
            .iter()
            .flat_map(|sweep| sweep.members.iter().map(|(at, _)| *at)),
    );
    others.sort_unstable();
    (sweeps, others)
}

/// The program that prints the table of a change, with counters.
pub fn save(change: &Rule) -> Vec<String> {
    let program = match change.restore.strip_suffix("restore") {
        Some(program) => format!("{program}save"),
        None => change.restore.clone(),
    };
    [&program, "-c", "-t", &change.table]
        .map(str::to_owned)
        .to_vec()
}

/// How a rule is printed that rejects and does not say how.
fn default_reject(change: &Rule) -> &'static str {
    match change.restore.contains("ip6tables") {
        true => "-j REJECT --reject-with icmp6-port-unreachable",
        false => "-j REJECT --reject-with icmp-port-unreachable",
    }
}

/// Which of these rules, all of one table and to be added, are not in the table as printed; `None`
/// when one of them is not understood.
pub fn absent(changes: &[&Rule], printed: &str) -> Option<Vec<usize>> {
    let mut chains: HashMap<&str, PrintedRules> = HashMap::new();
    let first = changes.first()?;
    let mut absent = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        if !change.fits(first) {
            return None;
        }
        let rules = chains
            .entry(&change.chain)
            .or_insert_with(|| PrintedRules::read(printed, &change.chain).unwrap_or_default());
        let key = key(&change.rule, default_reject(change))?;
        if rules.alike.get(&key).is_none_or(BTreeSet::is_empty) {
            absent.push(at);
        }
    }
    Some(absent)
}

/// Counters, chain and rule of a line as iptables-save prints it with counters.
pub fn printed_rule(line: &str) -> Option<(&str, &str, &str)> {
    // `[packets:bytes] -A CHAIN RULE`
    let (counters, rest) = line.starts_with('[').then(|| line.split_once(" -A "))??;
    let (chain, rule) = rest.split_once(' ')?;
    Some((counters, chain, rule))
}

/// What follows the address in a rule about one, as printed.
pub fn kind(rule: &str) -> Option<String> {
    key(rule, "-j REJECT").map(|(_, kind)| kind)
}

/// How the rule of a ban stands in its chain: whom it concerns, and what follows.
pub fn standing(change: &Rule) -> Option<(IpNet, String)> {
    key(&change.rule, default_reject(change))
}

/// The bans that stand in the chain of a ban like these, and how many times each; `None` when rules with
/// an address are among them that are not of its kind, or the chain is not in the table as printed.
pub fn all_standing(sample: &Rule, printed: &str) -> Option<HashMap<(IpNet, String), usize>> {
    let (_, kind) = standing(sample)?;
    let rules = PrintedRules::read(printed, &sample.chain)?;
    let with_address = rules.by_place.values();
    let with_address = with_address.filter(|rule| rule.text.starts_with("-s "));
    let of_kind = rules.alike.iter().filter(|((_, rest), _)| *rest == kind);
    let bans: HashMap<_, _> = of_kind
        .map(|(key, places)| (key.clone(), places.len()))
        .collect();
    (bans.values().sum::<usize>() == with_address.count()).then_some(bans)
}

impl Sweep<'_> {
    /// The program that prints its table.
    pub fn save(&self) -> Vec<String> {
        save(self.first)
    }

    /// Positions of its changes.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.members.iter().map(|(at, _)| *at)
    }

    /// The transaction that leaves the chain as all changes one by one would; deletions of rules
    /// that are not there are left out of its members. `printed` is the table; `None` when the
    /// chain is not in it, or a change is not understood.
    pub fn transaction(&self, printed: &str) -> Option<Transaction> {
        let chain = &self.first.chain;
        let mut rules = PrintedRules::read(printed, chain)?;
        let default = default_reject(self.first);
        let mut members = Vec::new();
        for (at, change) in &self.members {
            let done = match change.effect {
                Effect::Insert(1) => rules.insert(change.rule.clone()),
                Effect::Insert(_) => return None,
                Effect::Append => rules.append(change.rule.clone()),
                Effect::Delete => rules.delete(&change.rule, default),
            };
            if done {
                members.push(*at);
            }
        }
        let mut arguments = vec![
            self.first.restore.clone(),
            "--noflush".to_owned(),
            "--counters".to_owned(),
        ];
        arguments.extend(self.first.wait.iter().cloned());
        let mut input = format!("*{}\n-F {chain}\n", self.first.table);
        for rule in rules.by_place.values() {
            match &rule.counters {
                Some(counters) => input.push_str(&format!("{counters} -A {chain} {}\n", rule.text)),
                None => input.push_str(&format!("-A {chain} {}\n", rule.text)),
            }
        }
        input.push_str("COMMIT\n");
        Some(Transaction {
            arguments,
            input,
            members,
            place: self.first.table.clone(),
        })
    }
}

/// One rule of a chain, as it is printed.
#[derive(Debug)]
struct Printed {
    counters: Option<String>,
    text: String,
}

/// The rules of a chain in their order, and where those like each other are.
#[derive(Debug, Default)]
struct PrintedRules {
    by_place: BTreeMap<i64, Printed>,
    alike: HashMap<(IpNet, String), BTreeSet<i64>>,
}

impl PrintedRules {
    /// The rules of a chain out of a whole table as printed.
    fn read(printed: &str, chain: &str) -> Option<PrintedRules> {
        let mut rules = PrintedRules::default();
        let mut there = false;
        for line in printed.lines() {
            if let Some(name) = line.strip_prefix(':') {
                there |= name.split(' ').next() == Some(chain);
                continue;
            }
            if let Some((counters, name, rule)) = printed_rule(line)
                && name == chain
            {
                let place = rules.end();
                rules.put(place, Some(counters.to_owned()), rule.to_owned());
            }
        }
        there.then_some(rules)
    }

    fn end(&self) -> i64 {
        self.by_place.keys().next_back().map_or(0, |last| last + 1)
    }

    fn insert(&mut self, rule: String) -> bool {
        let place = self.by_place.keys().next().map_or(0, |first| first - 1);
        self.put(place, None, rule);
        true
    }

    fn append(&mut self, rule: String) -> bool {
        let place = self.end();
        self.put(place, None, rule);
        true
    }

    fn put(&mut self, place: i64, counters: Option<String>, text: String) {
        if let Some(key) = key(&text, "-j REJECT") {
            self.alike.entry(key).or_default().insert(place);
        }
        self.by_place.insert(place, Printed { counters, text });
    }

    /// Deletes the first rule like this one; `-j REJECT` alone is printed with its default.
    fn delete(&mut self, rule: &str, default: &str) -> bool {
        let alike = key(rule, default).and_then(|key| self.alike.get_mut(&key));
        match alike.and_then(BTreeSet::pop_first) {
            Some(place) => self.by_place.remove(&place).is_some(),
            None => false,
        }
    }
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
    use super::*;

    fn changes(lines: &[String]) -> Vec<Rule> {
        lines.iter().map(|line| Rule::read(line).unwrap()).collect()
    }

    #[test]
    fn what_is_not_named_stays_where_it_is() {
        let mut lines: Vec<String> = (0..MANY)
            .map(|n| format!("iptables -w -D f2b-x -s 192.0.2.{n} -j REJECT"))
            .collect();
        lines.push("iptables -w -I f2b-x 1 -s 198.51.100.1 -j REJECT".into());
        lines.push("iptables -w -D f2b-x -s 203.0.113.1 -j REJECT".into());
        lines.push("iptables -w -I f2b-x -s 203.0.113.7 -j REJECT".into());
        lines.push("iptables -w -D INPUT -s 203.0.113.1 -j REJECT".into());
        let changes = changes(&lines);
        let changes: Vec<&Rule> = changes.iter().collect();
        let (sweeps, others) = part(&changes);
        assert_eq!(others, [MANY + 3]);
        assert_eq!(sweeps[0].save(), ["iptables-save", "-c", "-t", "filter"]);

        let rejects = "-j REJECT --reject-with icmp-port-unreachable";
        let mut printed = "*filter\n:INPUT ACCEPT [0:0]\n:f2b-x - [0:0]\n".to_owned();
        for n in (0..MANY).rev() {
            printed.push_str(&format!("[0:0] -A f2b-x -s 192.0.2.{n}/32 {rejects}\n"));
        }
        printed.push_str("[3:180] -A f2b-x -p tcp -m comment --comment \"mine, 2\" -j ACCEPT\n");
        printed.push_str(&format!("[0:0] -A f2b-x -s 192.0.2.0/32 {rejects}\n"));
        printed.push_str("[7:420] -A f2b-x -j RETURN\n[1:2] -A other -j RETURN\nCOMMIT\n");
        let transaction = sweeps[0].transaction(&printed).unwrap();
        assert_eq!(
            transaction.arguments,
            ["iptables-restore", "--noflush", "--counters", "-w"]
        );
        assert_eq!(
            transaction.input,
            format!(
                "*filter\n-F f2b-x\n-A f2b-x -s 203.0.113.7 -j REJECT\n\
                 -A f2b-x -s 198.51.100.1 -j REJECT\n\
                 [3:180] -A f2b-x -p tcp -m comment --comment \"mine, 2\" -j ACCEPT\n\
                 [0:0] -A f2b-x -s 192.0.2.0/32 {rejects}\n[7:420] -A f2b-x -j RETURN\nCOMMIT\n"
            )
        );
        // the one that was not there is left to the tool, which says so
        let done: Vec<usize> = (0..=MANY).chain([MANY + 2]).collect();
        assert_eq!(transaction.members, done);
        assert!(sweeps[0].transaction("*filter\nCOMMIT\n").is_none());
    }

    #[test]
    fn few_deletions_and_chains_of_others_are_left_alone() {
        let few: Vec<String> = (1..MANY)
            .map(|n| format!("iptables -D f2b-x -s 192.0.2.{n} -j DROP"))
            .collect();
        let others: Vec<String> = (0..MANY)
            .map(|n| format!("iptables -D INPUT -s 192.0.2.{n} -j DROP"))
            .collect();
        for lines in [few, others] {
            let changes = changes(&lines);
            let changes: Vec<&Rule> = changes.iter().collect();
            let (sweeps, rest) = part(&changes);
            assert!(sweeps.is_empty());
            assert_eq!(rest.len(), lines.len());
        }
    }
}
