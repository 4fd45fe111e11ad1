//! Reference counts of set members: jails may share a set, and an address that two of them ban is in it once.
//! It is deleted when the last of them lifts its ban.
//!
//! Rules of iptables need no counts: each jail has its own copy of a rule. But who shares a chain has to be
//! known too, since a command may empty it.
#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use super::FirewallChange;
use super::drops::Drops;
use super::inherited::Inherited;
use super::place::{Expiry, FirewallPlace, Owner};

/// What all actions of a server hold. A copy is the same register.
#[derive(Clone, Debug, Default)]
pub struct SetRefcounts {
    places: Arc<Mutex<Places>>,
    inherited: Inherited,
    drops: Drops,
}

type Places = HashMap<FirewallPlace, Vec<PlaceUser>>;

/// An action that has put something into a place since it was started.
#[derive(Debug)]
struct PlaceUser {
    jail: String,
    action: String,
    members: HashMap<IpNet, Expiry>,
    rules: usize,
}

impl PlaceUser {
    fn is(&self, owner: Owner<'_>) -> bool {
        self.jail == owner.jail && self.action == owner.action
    }

    fn holds_any(&self) -> bool {
        !self.members.is_empty() || self.rules > 0
    }
}

impl SetRefcounts {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last server has left.
    pub fn inherited(&self) -> &Inherited {
        &self.inherited
    }

    /// What the kernel has dropped for bans.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Whether others hold it.
    pub fn is_held_by_others(&self, owner: Owner<'_>, change: &dyn FirewallChange) -> bool {
        self.longest(owner, change).is_some()
    }

    /// Whether the kernel needs not be asked for this change, since others hold it: it is to
    /// stay, or is there for longer.
    pub fn is_redundant(&self, owner: Owner<'_>, change: &dyn FirewallChange) -> bool {
        let Some(held) = self.longest(owner, change) else {
            return false;
        };
        match change.until() {
            _ if !change.adds() => true,
            None | Some(Expiry::SetDefault) => false,
            Some(wanted) => held > wanted,
        }
    }

    /// How long others hold it.
    fn longest(&self, owner: Owner<'_>, change: &dyn FirewallChange) -> Option<Expiry> {
        let (network, _) = change.ban()?;
        let places = self.places();
        let users = places.get(&change.place())?;
        let others = users.iter().filter(|user| !user.is(owner));
        let held = others.filter_map(|user| user.members.get(&network).copied());
        held.max_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal))
    }

    /// Remembers a change that was made, or that needed not be made.
    pub fn note(&self, owner: Owner<'_>, change: &dyn FirewallChange) {
        let Some(until) = change.until() else {
            let mut places = self.places();
            let rules = &mut user(&mut places, change.place(), owner).rules;
            *rules = match change.adds() {
                true => *rules + 1,
                false => rules.saturating_sub(1),
            };
            return;
        };
        let Some((network, _)) = change.ban() else {
            return;
        };
        let mut places = self.places();
        let members = &mut user(&mut places, change.place(), owner).members;
        if change.adds() {
            members.insert(network, until);
            return;
        }
        members.remove(&network);
        if members.is_empty() {
            members.shrink_to_fit();
        }
    }

    /// Whether others hold anything in a set or chain that this action uses.
    pub fn shares(&self, owner: Owner<'_>) -> bool {
        self.places().values().any(|users| {
            users.iter().any(|user| user.is(owner))
                && users.iter().any(|user| !user.is(owner) && user.holds_any())
        })
    }

    /// The action does not use anything any more.
    pub fn leave(&self, owner: Owner<'_>) {
        self.places().retain(|_, users| {
            users.retain(|user| !user.is(owner));
            !users.is_empty()
        });
    }
}

/// What this action holds in a place.
fn user<'p>(places: &'p mut Places, place: FirewallPlace, owner: Owner<'_>) -> &'p mut PlaceUser {
    let users = places.entry(place).or_default();
    let at = users.iter().position(|user| user.is(owner));
    let at = at.unwrap_or_else(|| {
        users.push(PlaceUser {
            jail: owner.jail.to_owned(),
            action: owner.action.to_owned(),
            members: HashMap::new(),
            rules: 0,
        });
        users.len() - 1
    });
    &mut users[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Script;
    use crate::firewall::Change;
    use crate::firewall::member::Member;

    const A: Owner<'static> = Owner {
        jail: "a",
        action: "x",
    };
    const B: Owner<'static> = Owner {
        jail: "b",
        action: "x",
    };

    fn member(text: &str) -> Member {
        match Change::recognise(&Script::plain(text)) {
            Some(Change::Member(member)) => member,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_one_takes_it_out() {
        let refcounts = SetRefcounts::default();
        let add = member("ipset -exist add s 192.0.2.1");
        let delete = member("ipset -exist del s 192.0.2.1");
        assert!(!refcounts.is_redundant(A, &delete) && !refcounts.is_redundant(A, &add));
        for owner in [A, B] {
            refcounts.note(owner, &add);
        }
        // its own hold is no reason to leave it in, that of the other is
        assert!(refcounts.is_redundant(A, &delete) && refcounts.shares(A));
        assert!(!refcounts.is_redundant(A, &member("ipset del s 192.0.2.2")));
        assert!(!refcounts.is_redundant(A, &member("ipset del t 192.0.2.1")));
        refcounts.note(A, &delete);
        assert!(!refcounts.is_redundant(B, &delete) && refcounts.shares(A) && !refcounts.shares(B));
        refcounts.leave(B);
        assert!(!refcounts.is_redundant(A, &delete) && !refcounts.shares(A));
    }

    #[test]
    fn a_shorter_time_does_not_shorten_a_longer_one() {
        let refcounts = SetRefcounts::default();
        refcounts.note(A, &member("ipset -exist add s 192.0.2.1 timeout 100"));
        for (seconds, settled) in [(50, true), (200, false), (0, false)] {
            let add = member(&format!("ipset -exist add s 192.0.2.1 timeout {seconds}"));
            assert_eq!(refcounts.is_redundant(B, &add), settled, "{seconds}");
        }
        // how long it stays by default is not known
        assert!(!refcounts.is_redundant(B, &member("ipset -exist add s 192.0.2.1")));
        assert!(refcounts.is_held_by_others(B, &member("ipset add s 192.0.2.1")));
        refcounts.note(A, &member("ipset -exist add s 192.0.2.1 timeout 0"));
        assert!(refcounts.is_redundant(B, &member("ipset -exist add s 192.0.2.1 timeout 9")));
    }
}
