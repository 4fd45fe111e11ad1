//! The decisions that the LAPI has, and the bans that follow from them in the jails of this host.
//!
//! A target may have many decisions; it is banned until the last of them ends. In one jail no ban is inside
//! another, because not every firewall can hold both: a network covers all in it, and what is inside is banned
//! when the network's ban ends.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ipnet::IpNet;

use super::decisions::LapiDecision;
use crate::address::Address;
use crate::jail::link::{OwnBan, RemoteChange};
use crate::origin::BanOrigin;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// Ends that differ by less, in seconds, are the same.
const SAME_END: f64 = 2.0;
/// Names of lists that are told apart.
const LISTS: usize = 1_000;
/// The name of those beyond.
const OTHER: &str = "other";

/// What the LAPI holds, and what jails were given of it.
#[derive(Debug)]
pub struct HeldDecisions {
    decisions: HashMap<i64, HeldDecision>,
    lists: HashMap<String, Arc<DecisionList>>,
    /// By jail, until when.
    given: HashMap<String, HashMap<Address, Timestamp>>,
    /// Decisions that are kept.
    most: usize,
    /// So many found no room since it was asked last.
    beyond: usize,
}

#[derive(Debug)]
struct HeldDecision {
    target: IpNet,
    until: Timestamp,
    list: Arc<DecisionList>,
}

/// Where decisions come from, as far as jails are concerned.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecisionList {
    /// The origin, in lower case.
    pub origin: String,
    /// What people see.
    pub name: String,
}

/// What one jail is to do, and of how many.
#[derive(Debug, Default)]
pub struct JailChanges {
    /// In this order.
    pub changes: Vec<RemoteChange>,
    /// By list.
    pub banned: BTreeMap<String, usize>,
    /// Bans that end.
    pub lifted: usize,
    /// A few of whom it is about.
    pub some: Vec<Address>,
}

/// Lists that the log names in one line.
const NAMED: usize = 20;

/// Targets that [`JailChanges::some`] names.
const SOME: usize = 5;

impl HeldDecisions {
    /// Nothing yet; at most so many decisions.
    pub fn new(most: usize) -> HeldDecisions {
        HeldDecisions {
            decisions: HashMap::new(),
            lists: HashMap::new(),
            given: HashMap::new(),
            most,
            beyond: 0,
        }
    }

    /// All there is at the LAPI comes now.
    pub fn begin_all(&mut self) {
        self.decisions.clear();
        self.lists.clear();
    }

    /// A decision holds.
    pub fn add(&mut self, decision: &LapiDecision, now: Timestamp) {
        let Some(target) = network(&decision.target).filter(|_| decision.lasts > 0.0) else {
            return;
        };
        if self.decisions.len() >= self.most && !self.decisions.contains_key(&decision.id) {
            self.beyond += 1;
            return;
        }
        let name = decision.list();
        let known = self.lists.get(&name).cloned();
        let list = known.unwrap_or_else(|| {
            let name = match self.lists.len() < LISTS {
                true => name,
                false => OTHER.to_owned(),
            };
            let list = Arc::new(DecisionList {
                origin: decision.origin.to_lowercase(),
                name: name.clone(),
            });
            self.lists.entry(name).or_insert(list).clone()
        });
        let until = now + decision.lasts;
        let kept = HeldDecision {
            target,
            until,
            list,
        };
        self.decisions.insert(decision.id, kept);
    }

    /// A decision holds no more.
    pub fn delete(&mut self, id: i64) {
        self.decisions.remove(&id);
    }

    /// How many decisions found no room since this was asked last.
    pub fn beyond(&mut self) -> usize {
        std::mem::take(&mut self.beyond)
    }

    /// A jail has these bans of lists already, from the database.
    pub fn know(&mut self, jail: &str, bans: Vec<OwnBan>) {
        let bans = bans.into_iter().map(|ban| (ban.id, ban.until)).collect();
        self.given.insert(jail.to_owned(), bans);
    }

    /// A jail takes no part any more.
    pub fn forget(&mut self, jail: &str) {
        self.given.remove(jail);
    }

    /// Decisions in force by list, those that are banned here or not.
    pub fn by_list(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for kept in self.decisions.values() {
            *counts.entry(kept.list.name.as_str()).or_default() += 1;
        }
        counts
    }

    /// Bans that a jail was given.
    pub fn given(&self, jail: &str) -> usize {
        self.given.get(jail).map_or(0, HashMap::len)
    }

    /// What jails have to do so that they ban what is to be banned now; and when to ask again although nothing
    /// was added or deleted. `jail_of` tells whose the decisions of a list are, `refuses` whom nobody may have
    /// banned here.
    pub fn orders(
        &mut self,
        jail_of: impl Fn(&DecisionList) -> Option<String>,
        refuses: impl Fn(&Address) -> bool,
        now: Timestamp,
    ) -> (BTreeMap<String, JailChanges>, Option<Timestamp>) {
        self.decisions.retain(|_, kept| kept.until > now);
        let lists = self.lists.values();
        let jails: HashMap<&str, String> = lists
            .filter_map(|list| Some((list.name.as_str(), jail_of(list)?)))
            .collect();
        let mut given = std::mem::take(&mut self.given);
        // a jail without any has to lift what it has
        let names = jails.values().chain(given.keys()).cloned();
        let mut wanted: BTreeMap<String, Vec<(IpNet, Timestamp, &DecisionList)>> =
            names.map(|jail| (jail, Vec::new())).collect();
        for kept in self.decisions.values() {
            if let Some(jail) = jails.get(kept.list.name.as_str())
                && let Some(list) = wanted.get_mut(jail.as_str())
            {
                list.push((kept.target, kept.until, &kept.list));
            }
        }
        let (mut orders, mut again) = (BTreeMap::new(), None);
        for (jail, list) in wanted {
            let (bans, next) = outermost(list, &refuses);
            again = [again, next].into_iter().flatten().reduce(f64::min);
            let before = given.remove(&jail).unwrap_or_default();
            let (after, order) = difference(before, bans, now);
            if !order.changes.is_empty() {
                orders.insert(jail.clone(), order);
            }
            self.given.insert(jail, after);
        }
        (orders, again)
    }
}

/// Targets of which none is inside of another, until when, and by which list; and when the first network ends
/// that hides something.
fn outermost<'l>(
    mut list: Vec<(IpNet, Timestamp, &'l DecisionList)>,
    refuses: &impl Fn(&Address) -> bool,
) -> (
    Vec<(Address, Timestamp, &'l DecisionList)>,
    Option<Timestamp>,
) {
    // networks before what is inside of them, and of the same the one that lasts longest, so that its order
    // is the same each time
    list.sort_unstable_by(|a, b| (a.0, a.2).cmp(&(b.0, b.2)).then(b.1.total_cmp(&a.1)));
    let mut bans: Vec<(Address, Timestamp, &DecisionList)> = Vec::with_capacity(list.len());
    let (mut outer, mut again): (Option<IpNet>, Option<Timestamp>) = (None, None);
    for (net, until, list) in list {
        if let (Some(outer), Some(ban)) = (outer, bans.last_mut()) {
            if outer == net {
                ban.1 = ban.1.max(until);
                continue;
            }
            if outer.contains(&net) {
                if until > ban.1 {
                    again = [again, Some(ban.1)].into_iter().flatten().reduce(f64::min);
                }
                continue;
            }
        }
        let Some(target) = Address::network(net.addr(), net.prefix_len()) else {
            continue;
        };
        if !refuses(&target) {
            bans.push((target, until, list));
            outer = Some(net);
        }
    }
    (bans, again)
}

/// What makes of the bans that there are those that there are to be.
fn difference(
    mut before: HashMap<Address, Timestamp>,
    bans: Vec<(Address, Timestamp, &DecisionList)>,
    now: Timestamp,
) -> (HashMap<Address, Timestamp>, JailChanges) {
    let mut after = HashMap::with_capacity(bans.len());
    let mut order = JailChanges::default();
    let mut models: HashMap<&str, Ticket> = HashMap::new();
    let mut begin = Vec::new();
    for (target, until, list) in bans {
        let known = before.remove(&target);
        match known {
            Some(known) if (known - until).abs() < SAME_END => {
                after.insert(target, known);
                continue;
            }
            Some(known) if until < known => {
                let end = RemoteChange::Until(target.clone(), Some(until));
                begin.push(end);
            }
            _ => {
                // all of a list share what is known of it
                let model = models.entry(&list.name).or_insert_with(|| {
                    let mut model = Ticket::new(target.clone(), now);
                    model.set_origin(&BanOrigin::List(list.name.clone()));
                    model
                });
                let mut ticket = model.clone();
                ticket.id = target.clone();
                ticket.bantime = Some(BanTime::Seconds(until - now));
                begin.push(RemoteChange::Ban(ticket));
                if known.is_none() {
                    *order.banned.entry(list.name.clone()).or_default() += 1;
                    if order.some.len() <= SOME {
                        order.some.push(target.clone());
                    }
                }
            }
        }
        after.insert(target, until);
    }
    // what hides something, or is hidden now, makes room first
    for (target, until) in before {
        if until > now {
            order.lifted += 1;
        }
        order.changes.push(RemoteChange::Until(target, None));
    }
    order.changes.append(&mut begin);
    (after, order)
}

fn network(target: &Address) -> Option<IpNet> {
    match target {
        Address::Ip(ip) => Some(IpNet::from(*ip)),
        Address::Net(net) => Some(*net),
        Address::Raw(_) => None,
    }
}

impl JailChanges {
    /// What the log says of it: of many lists the first few, whose names are the LAPI's to choose.
    pub fn words(&self) -> String {
        let of_list = |(list, count): (&String, &usize)| format!("{count} banned by list {list}");
        let mut parts: Vec<String> = self.banned.iter().take(NAMED).map(of_list).collect();
        let others: usize = self.banned.values().skip(NAMED).sum();
        if others > 0 {
            parts.push(format!("{others} banned by others"));
        }
        if self.lifted > 0 {
            parts.push(format!("{} lifted", self.lifted));
        }
        let some: Vec<String> = self.some.iter().map(Address::to_string).collect();
        let named = match some.len() {
            1..=SOME => format!(": {}", some.join(", ")),
            _ => String::new(),
        };
        parts.join(", ") + &named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(id: i64, origin: &str, target: &str, lasts: f64) -> LapiDecision {
        LapiDecision {
            id,
            origin: origin.into(),
            scenario: "s".into(),
            target: Address::parse(target),
            lasts,
        }
    }

    /// The changes for the jail `j`, and when to ask again.
    fn orders(held: &mut HeldDecisions, now: f64) -> (Vec<String>, Option<f64>) {
        let (orders, again) = held.orders(
            |list| (list.origin != "nobody's").then(|| "j".to_owned()),
            |target| target.to_string() == "192.0.2.66",
            now,
        );
        let changes = orders.into_values().flat_map(|order| order.changes);
        let words = changes.map(|change| match change {
            RemoteChange::Ban(ticket) => {
                let length = match ticket.bantime {
                    Some(BanTime::Seconds(length)) => length,
                    _ => 0.0,
                };
                let list = ticket.origin().host().to_owned();
                format!("ban {} until {} {list}", ticket.id, ticket.time + length)
            }
            RemoteChange::Until(id, Some(until)) => format!("{id} until {until}"),
            RemoteChange::Until(id, None) => format!("lift {id}"),
            RemoteChange::Lift(..) => "lift all".to_owned(),
        });
        (words.collect(), again)
    }

    #[test]
    fn decisions_become_bans_and_their_ends() {
        let mut held = HeldDecisions::new(10);
        for decision in [
            decision(1, "CAPI", "192.0.2.1", 50.0),
            decision(2, "lists", "192.0.2.1", 100.0),
            decision(3, "nobody's", "192.0.2.2", 100.0),
            decision(4, "cscli", "192.0.2.66", 100.0),
            decision(5, "cscli", "192.0.2.3", -1.0),
        ] {
            held.add(&decision, 0.0);
        }
        assert_eq!(orders(&mut held, 0.0).0, ["ban 192.0.2.1 until 100 CAPI"]);
        assert!(orders(&mut held, 1.0).0.is_empty());
        assert_eq!((held.given("j"), held.by_list().len()), (1, 4));
        held.delete(2);
        assert_eq!(orders(&mut held, 2.0).0, ["192.0.2.1 until 50"]);
        // renewed, and again a little
        held.add(&decision(1, "CAPI", "192.0.2.1", 60.0), 10.0);
        assert_eq!(orders(&mut held, 10.0).0, ["ban 192.0.2.1 until 70 CAPI"]);
        held.add(&decision(1, "CAPI", "192.0.2.1", 60.0), 11.0);
        assert!(orders(&mut held, 11.0).0.is_empty());
        held.delete(1);
        assert_eq!(orders(&mut held, 12.0).0, ["lift 192.0.2.1"]);
        assert!(orders(&mut held, 12.0).0.is_empty());
    }

    #[test]
    fn a_network_stands_for_all_in_it_until_it_ends() {
        let mut held = HeldDecisions::new(10);
        held.add(&decision(1, "a", "192.0.2.1", 100.0), 0.0);
        held.add(&decision(2, "a", "192.0.2.200", 20.0), 0.0);
        let before = ["ban 192.0.2.1 until 100 a", "ban 192.0.2.200 until 20 a"];
        assert_eq!(
            orders(&mut held, 0.0),
            (before.map(str::to_owned).to_vec(), None)
        );
        held.add(&decision(3, "a", "192.0.2.0/24", 50.0), 0.0);
        held.add(&decision(4, "a", "192.0.2.0/25", 60.0), 0.0);
        held.add(&decision(5, "a", "2001:db8::/32", 60.0), 0.0);
        let (mut changes, again) = orders(&mut held, 1.0);
        changes[..2].sort();
        assert_eq!(
            changes,
            [
                "lift 192.0.2.1",
                "lift 192.0.2.200",
                "ban 192.0.2.0/24 until 50 a",
                "ban 2001:db8::/32 until 60 a"
            ]
        );
        assert_eq!(again, Some(50.0));
        let (changes, again) = orders(&mut held, 50.0);
        assert_eq!(
            changes,
            ["lift 192.0.2.0/24", "ban 192.0.2.0/25 until 60 a"]
        );
        assert_eq!(again, Some(60.0));
        held.delete(4);
        assert_eq!(
            orders(&mut held, 51.0).0,
            ["lift 192.0.2.0/25", "ban 192.0.2.1 until 100 a"]
        );
    }

    #[test]
    fn what_a_jail_has_from_the_database_is_compared() {
        let mut held = HeldDecisions::new(10);
        let ban = |id: &str, until| OwnBan {
            id: Address::parse(id),
            since: 0.0,
            until,
            bancount: 1,
            reason: String::new(),
        };
        held.know("j", vec![ban("192.0.2.1", 100.5), ban("192.0.2.2", 100.0)]);
        held.add(&decision(1, "a", "192.0.2.1", 100.0), 0.0);
        assert_eq!(orders(&mut held, 0.0).0, ["lift 192.0.2.2"]);
        held.forget("j");
        assert_eq!(orders(&mut held, 0.0).0, ["ban 192.0.2.1 until 100 a"]);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut held = HeldDecisions::new(3);
        for n in 1..=5 {
            held.add(
                &decision(n, &format!("l{n}"), &format!("192.0.2.{n}"), 10.0),
                0.0,
            );
        }
        assert_eq!((held.beyond(), held.beyond()), (2, 0));
        assert_eq!(orders(&mut held, 0.0).0.len(), 3);
        // room for who was there
        held.add(&decision(1, "l1", "192.0.2.1", 90.0), 0.0);
        held.begin_all();
        held.add(&decision(9, "l9", "192.0.2.9", 10.0), 0.0);
        assert_eq!(held.beyond(), 0);
        assert_eq!(orders(&mut held, 0.0).0.len(), 4);
    }

    #[test]
    fn the_log_names_a_few() {
        let mut order = JailChanges {
            banned: BTreeMap::from([("CAPI".into(), 2)]),
            lifted: 1,
            some: vec![Address::parse("192.0.2.1"), Address::parse("192.0.2.2")],
            ..JailChanges::default()
        };
        assert_eq!(
            order.words(),
            "2 banned by list CAPI, 1 lifted: 192.0.2.1, 192.0.2.2"
        );
        order.some = vec![Address::parse("192.0.2.1"); SOME + 1];
        assert_eq!(order.words(), "2 banned by list CAPI, 1 lifted");
    }

    mod any {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            /// Whatever comes in whatever order: all of it is banned and nothing else, and no ban is inside of
            /// another.
            #[test]
            fn order_of_decisions_covers_exactly_what_is_decided(
                steps in proptest::collection::vec((0i64..12, 0u8..4, 24u8..=32, 0u8..=255, 1f64..50.0), 1..40)
            ) {
                let mut held = HeldDecisions::new(1000);
                let mut there: HashMap<Address, f64> = HashMap::new();
                for (step, (id, what, prefix, last, lasts)) in steps.into_iter().enumerate() {
                    let now = step as f64;
                    match what {
                        0 => held.delete(id),
                        _ => {
                            let target = format!("192.0.2.{last}/{prefix}");
                            held.add(&decision(id, "a", &target, lasts), now);
                        }
                    }
                    let (orders, _) = held.orders(|_| Some("j".into()), |_| false, now);
                    for change in orders.into_values().flat_map(|order| order.changes) {
                        match change {
                            RemoteChange::Ban(ticket) => {
                                let Some(BanTime::Seconds(length)) = ticket.bantime else { unreachable!() };
                                there.insert(ticket.id, ticket.time + length);
                            }
                            RemoteChange::Until(id, Some(until)) => {
                                there.insert(id, until);
                            }
                            RemoteChange::Until(id, None) => {
                                there.remove(&id);
                            }
                            RemoteChange::Lift(..) => unreachable!(),
                        }
                    }
                    for octet in 0..=255u8 {
                        let ip = Address::parse(&format!("192.0.2.{octet}"));
                        let decided = held.decisions.values().any(|kept| {
                            kept.target.contains(&std::net::IpAddr::from([192, 0, 2, octet]))
                        });
                        let banned = there.iter().filter(|(id, _)| id.contains(&ip)).count();
                        prop_assert_eq!(banned, usize::from(decided), "{} at {}", ip, now);
                    }
                }
            }
        }
    }

    #[test]
    fn many_lists_make_no_long_line() {
        let mut order = JailChanges::default();
        for number in 0..1_000 {
            order.banned.insert(format!("list{number:03}"), 2);
        }
        let words = order.words();
        assert!(words.starts_with("2 banned by list list000, "), "{words}");
        assert!(words.ends_with(", 1960 banned by others"), "{words}");
    }
}
