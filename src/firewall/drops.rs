//! Counts the packets that the kernel has dropped for bans, by its own counters: those of the rules of a chain,
//! or of the rules that use a set.
//!
//! A counter is deleted with its rule, so counts are summed up here from read to read; what is counted between
//! the last read and the deletion is missing. Counters are read only on request, and then seldom, in the
//! background: no command of an action waits for it.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::iptables::sweep;
use super::member::Member;
use super::netlink::Channel;
use super::nftables;
use super::place::FirewallPlace;
use super::place::Set;
use super::{Change, print_table};

/// A view of the kernel's tables serves all who ask within this time, …
const FRESH: Duration = Duration::from_secs(4);
/// … and within so many times as long as it took.
const SHARE: u32 = 50;
/// How long a program may take to print a table.
const PATIENCE: Duration = Duration::from_secs(20);

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Packets.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What was dropped for the bans of all jails. A copy is the same register.
#[derive(Clone, Debug, Default)]
pub struct Drops {
    views: Arc<tokio::sync::Mutex<HashMap<View, Seen>>>,
    tallies: Arc<Mutex<HashMap<FirewallPlace, RuleCounts>>>,
}

/// How one sees rules with their counters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum View {
    /// A program of iptables prints them.
    Printed(Vec<String>),
    /// The kernel tells those of a table of nftables: number of its family, and name.
    Table(u8, String),
}

/// A view as it was last.
#[derive(Debug)]
struct Seen {
    at: Instant,
    took: Duration,
    rules: Arc<CountedRules>,
}

/// Rules with their counters. Those about one address that have counted nothing are left out: they are many.
#[derive(Debug, Default)]
struct CountedRules {
    /// By name, also those without a rule.
    chains: HashSet<String>,
    /// Rules by what they stand for: a chain with its rules, or a set with those that ask it.
    rules: HashMap<String, Vec<(String, Dropped)>>,
}

/// What the rules of a place have counted.
#[derive(Debug, Default)]
struct RuleCounts {
    total: Dropped,
    /// Counters at the last look, by rule.
    last: HashMap<String, Dropped>,
}

impl RuleCounts {
    fn add(&mut self, now: HashMap<String, Dropped>) {
        for (rule, now) in &now {
            let last = self.last.get(rule).copied().unwrap_or_default();
            // a rule that was made anew counts from zero
            let since = match now.packets >= last.packets && now.bytes >= last.bytes {
                true => last,
                false => Dropped::default(),
            };
            self.total.packets += now.packets - since.packets;
            self.total.bytes += now.bytes - since.bytes;
        }
        self.last = now;
    }
}

impl Drops {
    fn tallies(&self) -> MutexGuard<'_, HashMap<FirewallPlace, RuleCounts>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what was counted where these bans are made.
    pub async fn look(&self, bans: Vec<Change>) {
        for ban in &bans {
            let Some(view) = view(ban) else { continue };
            let rules = self.rules(view).await;
            if let Some(now) = counted(&rules, ban) {
                self.tallies().entry(ban.place()).or_default().add(now);
            }
        }
    }

    /// What was dropped at these places, as far as that was looked at; `None`: at none of them it was.
    pub fn total<'p>(&self, places: impl Iterator<Item = &'p FirewallPlace>) -> Option<Dropped> {
        let tallies = self.tallies();
        let known = places.filter_map(|place| Some(tallies.get(place)?.total));
        known.reduce(|one, other| Dropped {
            packets: one.packets + other.packets,
            bytes: one.bytes + other.bytes,
        })
    }

    /// The rules of a view; who asks while another looks waits for the same.
    async fn rules(&self, view: View) -> Arc<CountedRules> {
        let mut views = self.views.lock().await;
        if let Some(seen) = views.get(&view)
            && seen.at.elapsed() < FRESH.max(seen.took * SHARE)
        {
            return Arc::clone(&seen.rules);
        }
        let begun = Instant::now();
        // what cannot be seen is not tried again at once
        let rules = Arc::new(see(&view).await.unwrap_or_default());
        let seen = Seen {
            at: Instant::now(),
            took: begun.elapsed(),
            rules: Arc::clone(&rules),
        };
        views.insert(view, seen);
        rules
    }
}

/// How one sees the counters of a ban.
fn view(ban: &Change) -> Option<View> {
    match ban {
        Change::Rule(rule) => Some(View::Printed(sweep::save(rule))),
        Change::Member(Member {
            set: Set::Nft { family, table, .. },
            ..
        }) => Some(View::Table(*family, table.clone())),
        Change::Member(Member { network, .. }) => {
            let program = match network {
                Some(IpNet::V6(_)) => "ip6tables-save",
                _ => "iptables-save",
            };
            Some(View::Printed(vec![program.to_owned(), "-c".to_owned()]))
        }
        Change::Route(_) => None,
    }
}

async fn see(view: &View) -> Option<CountedRules> {
    match view {
        View::Printed(program) => Some(printed(&print_table(program, PATIENCE).await?)),
        View::Table(family, table) => {
            let (family, table) = (*family, table.clone());
            let look = move || {
                let channel = Channel::open().ok()?;
                nftables::counted(&channel, family, &table)
            };
            let counted = tokio::task::spawn_blocking(look).await.ok()??;
            let mut rules = CountedRules::default();
            for (set, rule, packets, bytes) in counted {
                let of_set = rules.rules.entry(set).or_default();
                of_set.push((rule.to_string(), Dropped { packets, bytes }));
            }
            Some(rules)
        }
    }
}

/// Reads what iptables-save prints with counters.
fn printed(text: &str) -> CountedRules {
    let mut rules = CountedRules::default();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(':') {
            let name = name.split(' ').next().unwrap_or_default();
            rules.chains.insert(name.to_owned());
        }
        let Some((counters, chain, rule)) = sweep::printed_rule(line) else {
            continue;
        };
        let numbers = counters.trim_matches(['[', ']']).split_once(':');
        let number = |text: &str| text.parse().unwrap_or_default();
        let Some((packets, bytes)) = numbers else {
            continue;
        };
        let dropped = Dropped {
            packets: number(packets),
            bytes: number(bytes),
        };
        let sets = rule.split(" --match-set ").skip(1);
        for set in sets.filter_map(|rest| rest.split(' ').next()) {
            let asking = rules.rules.entry(set.to_owned()).or_default();
            asking.push((format!("{chain} {rule}"), dropped));
        }
        if rule.starts_with("-s ") && dropped.packets > 0 {
            let of_chain = rules.rules.entry(chain.to_owned()).or_default();
            of_chain.push((rule.to_owned(), dropped));
        }
    }
    rules
}

/// The counters of all bans at the place of this one; `None`: nothing there counts.
fn counted(rules: &CountedRules, ban: &Change) -> Option<HashMap<String, Dropped>> {
    let kind = match ban {
        Change::Rule(rule) => Some(sweep::standing(rule)?.1),
        _ => None,
    };
    let name = match ban {
        Change::Rule(rule) => rule.chain(),
        Change::Member(member) => match &member.set {
            Set::Ipset(name) | Set::Nft { name, .. } => name,
        },
        Change::Route(_) => return None,
    };
    let of_bans = |text: &str| match &kind {
        Some(kind) => sweep::kind(text).as_ref() == Some(kind),
        // a chain may have the name of a set
        None => !text.starts_with("-s "),
    };
    let found = rules.rules.get(name);
    let there = match ban {
        Change::Rule(_) => rules.chains.contains(name),
        _ => found.is_some(),
    };
    let found = found.into_iter().flatten();
    let found = found.filter(|(text, _)| of_bans(text));
    let mut counted: HashMap<String, Dropped> = HashMap::new();
    for (text, dropped) in found {
        let sum = counted.entry(text.clone()).or_default();
        sum.packets += dropped.packets;
        sum.bytes += dropped.bytes;
    }
    there.then_some(counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Script;

    fn ban(text: &str) -> Change {
        Change::recognise(&Script::plain(text)).unwrap()
    }

    fn dropped(packets: u64, bytes: u64) -> Dropped {
        Dropped { packets, bytes }
    }

    const TABLE: &str = "*filter\n:INPUT ACCEPT [9:900]\n:f2b-x - [0:0]\n:f2b-idle - [0:0]\n\
        [7:70] -A INPUT -p tcp -m multiport --dports 22 -j f2b-x\n\
        [4:40] -A INPUT -p tcp -m set --match-set f2b-set src -j DROP\n\
        [1:10] -A INPUT -p udp -m set --match-set f2b-set src -j DROP\n\
        [3:30] -A INPUT -m set --match-set f2b-set2 src -j DROP\n\
        [2:20] -A f2b-x -s 192.0.2.1/32 -j DROP\n[0:0] -A f2b-x -s 192.0.2.2/32 -j DROP\n\
        [6:60] -A f2b-x -s 192.0.2.3/32 -j ACCEPT\n[5:50] -A f2b-x -j RETURN\nCOMMIT\n";

    #[test]
    fn counters_are_those_of_bans_alone() {
        let rules = printed(TABLE);
        let sum = |text: &str| {
            let counted = counted(&rules, &ban(text))?;
            let packets = counted.values().map(|dropped| dropped.packets).sum();
            Some((packets, counted.values().map(|dropped| dropped.bytes).sum()))
        };
        let of_chain = "iptables -w -I f2b-x 1 -s 192.0.2.9 -j DROP";
        assert_eq!(sum(of_chain), Some((2, 20)));
        let idle = "iptables -w -I f2b-idle 1 -s 192.0.2.9 -j DROP";
        assert_eq!(sum(idle), Some((0, 0)));
        assert_eq!(sum("iptables -I f2b-none 1 -s 192.0.2.9 -j DROP"), None);
        assert_eq!(
            sum("ipset -exist add f2b-set 192.0.2.9 timeout 0"),
            Some((5, 50))
        );
        assert_eq!(sum("ipset -exist add f2b-none 192.0.2.9 timeout 0"), None);
    }

    #[test]
    fn what_goes_with_a_rule_stays_counted() {
        let mut tally = RuleCounts::default();
        let mut look = |rules: &[(&str, u64)]| {
            let now = rules.iter();
            let now =
                now.map(|(rule, packets)| ((*rule).to_owned(), dropped(*packets, packets * 10)));
            tally.add(now.collect());
            tally.total
        };
        assert_eq!(look(&[("a", 2)]), dropped(2, 20));
        assert_eq!(look(&[("a", 5), ("b", 1)]), dropped(6, 60));
        assert_eq!(look(&[("b", 4)]), dropped(9, 90));
        // made anew
        assert_eq!(look(&[("a", 1), ("b", 2)]), dropped(12, 120));
        assert_eq!(look(&[]), dropped(12, 120));
    }

    #[tokio::test]
    async fn places_without_a_counter_are_not_told() {
        let drops = Drops::default();
        let route = ban("ip route add blackhole 192.0.2.1");
        drops.look(vec![route.clone()]).await;
        assert_eq!(drops.total([route.place()].iter()), None);
        let set = FirewallPlace::Set(Set::Ipset("f2b-set".to_owned()));
        let chain = FirewallPlace::Chain("x".to_owned());
        let mut tally = RuleCounts::default();
        tally.add(HashMap::from([("a".to_owned(), dropped(2, 3))]));
        drops.tallies().insert(set.clone(), tally);
        assert_eq!(drops.total([chain, set].iter()), Some(dropped(2, 3)));
    }
}
