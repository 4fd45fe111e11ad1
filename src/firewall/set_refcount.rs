//! Who holds which members of sets: jails may share a set, and an address that two of them ban is
//! in it once. It goes out when the last of them lifts its ban.
//!
//! Rules of iptables need no such care: each jail has its own copy of a rule, and takes one out. But
//! who shares a chain has to be known too, since a command may empty it.
#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ipnet::IpNet;

use super::FirewallChange;
use super::drops::Drops;
use super::inherited::Inherited;
use super::place::{Holder, Place};

/// What all actions of a server hold. A copy is the same register.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    places: Arc<Mutex<Places>>,
    inherited: Inherited,
    drops: Drops,
}

type Places = HashMap<Place, Vec<User>>;

/// An action that has put something into a place since it was started.
#[derive(Debug)]
struct User {
    jail: String,
    action: String,
    members: HashMap<IpNet, Until>,
    rules: usize,
}

/// How long the kernel was told to keep a member.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Until {
    /// As the set has it.
    Unsaid,
    /// Up to this moment.
    Moment(Instant),
    /// Until it is taken out.
    Ever,
}

impl User {
    fn is(&self, holder: Holder<'_>) -> bool {
        self.jail == holder.jail && self.action == holder.action
    }

    fn holds_any(&self) -> bool {
        !self.members.is_empty() || self.rules > 0
    }
}

impl Holders {
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
    pub fn hold(&self, holder: Holder<'_>, change: &dyn FirewallChange) -> bool {
        self.longest(holder, change).is_some()
    }

    /// Whether the kernel needs not be asked for this change, since others hold it: it is to
    /// stay, or is there for longer.
    pub fn settles(&self, holder: Holder<'_>, change: &dyn FirewallChange) -> bool {
        let Some(held) = self.longest(holder, change) else {
            return false;
        };
        match change.until() {
            _ if !change.adds() => true,
            None | Some(Until::Unsaid) => false,
            Some(wanted) => held > wanted,
        }
    }

    /// How long others hold it.
    fn longest(&self, holder: Holder<'_>, change: &dyn FirewallChange) -> Option<Until> {
        let (network, _) = change.ban()?;
        let places = self.places();
        let users = places.get(&change.place())?;
        let others = users.iter().filter(|user| !user.is(holder));
        let held = others.filter_map(|user| user.members.get(&network).copied());
        held.max_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal))
    }

    /// Remembers a change that was made, or that needed not be made.
    pub fn note(&self, holder: Holder<'_>, change: &dyn FirewallChange) {
        let Some(until) = change.until() else {
            let mut places = self.places();
            let rules = &mut user(&mut places, change.place(), holder).rules;
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
        let members = &mut user(&mut places, change.place(), holder).members;
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
    pub fn shares(&self, holder: Holder<'_>) -> bool {
        self.places().values().any(|users| {
            users.iter().any(|user| user.is(holder))
                && users
                    .iter()
                    .any(|user| !user.is(holder) && user.holds_any())
        })
    }

    /// The action does not use anything any more.
    pub fn leave(&self, holder: Holder<'_>) {
        self.places().retain(|_, users| {
            users.retain(|user| !user.is(holder));
            !users.is_empty()
        });
    }
}

/// What this action holds in a place.
fn user<'p>(places: &'p mut Places, place: Place, holder: Holder<'_>) -> &'p mut User {
    let users = places.entry(place).or_default();
    let at = users.iter().position(|user| user.is(holder));
    let at = at.unwrap_or_else(|| {
        users.push(User {
            jail: holder.jail.to_owned(),
            action: holder.action.to_owned(),
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

    const A: Holder<'static> = Holder {
        jail: "a",
        action: "x",
    };
    const B: Holder<'static> = Holder {
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
        let holders = Holders::default();
        let add = member("ipset -exist add s 192.0.2.1");
        let delete = member("ipset -exist del s 192.0.2.1");
        assert!(!holders.settles(A, &delete) && !holders.settles(A, &add));
        for holder in [A, B] {
            holders.note(holder, &add);
        }
        // its own hold is no reason to leave it in, that of the other is
        assert!(holders.settles(A, &delete) && holders.shares(A));
        assert!(!holders.settles(A, &member("ipset del s 192.0.2.2")));
        assert!(!holders.settles(A, &member("ipset del t 192.0.2.1")));
        holders.note(A, &delete);
        assert!(!holders.settles(B, &delete) && holders.shares(A) && !holders.shares(B));
        holders.leave(B);
        assert!(!holders.settles(A, &delete) && !holders.shares(A));
    }

    #[test]
    fn a_shorter_time_does_not_shorten_a_longer_one() {
        let holders = Holders::default();
        holders.note(A, &member("ipset -exist add s 192.0.2.1 timeout 100"));
        for (seconds, settled) in [(50, true), (200, false), (0, false)] {
            let add = member(&format!("ipset -exist add s 192.0.2.1 timeout {seconds}"));
            assert_eq!(holders.settles(B, &add), settled, "{seconds}");
        }
        // how long it stays by default is not known
        assert!(!holders.settles(B, &member("ipset -exist add s 192.0.2.1")));
        assert!(holders.hold(B, &member("ipset add s 192.0.2.1")));
        holders.note(A, &member("ipset -exist add s 192.0.2.1 timeout 0"));
        assert!(holders.settles(B, &member("ipset -exist add s 192.0.2.1 timeout 9")));
    }
}
