//! Bans that the last server left in the firewall, because it was restarted or killed. Bans that continue stay;
//! the rest is removed when all jails have restored theirs.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use super::Change;
use super::place::{Expiry, FirewallPlace, Owner, StandingBan};
use crate::store::InstalledStart;

/// Everything that was left. A copy is the same register.
#[derive(Clone, Debug, Default)]
pub struct Inherited(Arc<Mutex<InheritedState>>);

#[derive(Debug, Default)]
struct InheritedState {
    /// What the last server has installed, as far as nobody has seen to it.
    left: Vec<InstalledStart>,
    /// What this one has installed.
    own: Vec<InstalledStart>,
    /// Places that an action of this server has used.
    used: HashSet<FirewallPlace>,
    /// Places that were taken over with what stands there.
    taken: HashMap<FirewallPlace, TakenOver>,
}

/// A place that was taken over.
#[derive(Debug)]
struct TakenOver {
    jail: String,
    action: String,
    /// How many rules like it are no ban of this server yet; a member of a set, of which there is one
    /// however many jails ban it, stays here with 0.
    bans: HashMap<StandingBan, usize>,
    stayed: usize,
}

impl TakenOver {
    /// What stands of a network, or as part of a larger one, is not over: a set may keep a network as the
    /// addresses in it.
    fn keep_parts(&mut self, network: &IpNet) {
        for ((standing, _), count) in &mut self.bans {
            if standing.contains(network) || network.contains(standing) {
                *count = 0;
            }
        }
    }
}

/// What is left of a place that was taken over, once all bans are restored.
#[derive(Debug)]
pub struct Rest {
    /// Bans that stayed in force.
    pub stayed: usize,
    /// Whose bans are over.
    pub over: Vec<IpNet>,
}

/// Whether two actions do the same in the firewall.
fn alike(one: &InstalledStart, other: &InstalledStart) -> bool {
    one.start == other.start && one.stop == other.stop && one.ban == other.ban
}

impl Inherited {
    fn state(&self) -> MutexGuard<'_, InheritedState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the database says the last server has installed.
    pub fn expect(&self, installed: Vec<InstalledStart>) {
        self.state().left = installed;
    }

    /// Whether there is nothing to be seen to.
    pub fn is_settled(&self) -> bool {
        let state = self.state();
        state.left.is_empty() && state.taken.is_empty()
    }

    /// Whether an action is the first of this server to use a place; from now on none is.
    pub fn is_first(&self, place: &FirewallPlace) -> bool {
        self.state().used.insert(place.clone())
    }

    /// Whether an action of this server uses a place.
    pub fn is_used(&self, place: &FirewallPlace) -> bool {
        self.state().used.contains(place)
    }

    /// Whether a place was taken over, and some bans there may be over.
    pub fn is_taken(&self, place: &FirewallPlace) -> bool {
        self.state().taken.contains_key(place)
    }

    /// Whether the last server installed something exactly so.
    pub fn has_left_like(&self, installed: &InstalledStart) -> bool {
        self.state().left.iter().any(|left| alike(left, installed))
    }

    /// Takes what the last server installed exactly so, be it for a jail of another name.
    pub fn take_like(&self, installed: &InstalledStart) -> Option<InstalledStart> {
        let mut state = self.state();
        let same = state.left.iter().position(|left| left == installed);
        let at = same.or_else(|| state.left.iter().position(|left| alike(left, installed)))?;
        Some(state.left.swap_remove(at))
    }

    /// Takes all that the last server installed and that is chosen.
    pub fn take_left(
        &self,
        mut chosen: impl FnMut(&InstalledStart) -> bool,
    ) -> Vec<InstalledStart> {
        let mut state = self.state();
        let (taken, left) = std::mem::take(&mut state.left)
            .into_iter()
            .partition(|installed| chosen(installed));
        state.left = left;
        taken
    }

    /// An action of this server has installed something.
    pub fn add_own(&self, installed: &InstalledStart) {
        let mut state = self.state();
        if !state.own.contains(installed) {
            state.own.push(installed.clone());
        }
    }

    /// It has taken it out.
    pub fn delete_own(&self, installed: &InstalledStart) {
        self.state().own.retain(|own| own != installed);
    }

    /// Whether an action of this server has installed exactly this.
    pub fn has_own(&self, installed: &InstalledStart) -> bool {
        self.state().own.contains(installed)
    }

    /// Whether an action of this server, of whatever name, has installed the same.
    pub fn has_alike(&self, installed: &InstalledStart) -> bool {
        self.state().own.iter().any(|own| alike(own, installed))
    }

    /// An action takes a place over, with the bans that stand there and how many times each.
    pub fn take_over(
        &self,
        place: FirewallPlace,
        heir: Owner<'_>,
        bans: HashMap<StandingBan, usize>,
    ) {
        let taken = TakenOver {
            jail: heir.jail.to_owned(),
            action: heir.action.to_owned(),
            bans,
            stayed: 0,
        };
        self.state().taken.insert(place, taken);
    }

    /// Whether a ban stands already; from now on it is one of this server's.
    pub fn stands(&self, change: &Change) -> bool {
        let mut state = self.state();
        if state.taken.is_empty() {
            return false;
        }
        let (Some(taken), Some(ban)) = (state.taken.get_mut(&change.place()), change.ban()) else {
            return false;
        };
        let until = change.until();
        if !change.adds() {
            if until.is_some() {
                // whoever bans it next has to put it in
                taken.bans.remove(&ban);
            }
            return false;
        }
        let Some(count) = taken.bans.get_mut(&ban) else {
            if until.is_some() {
                taken.keep_parts(&ban.0);
            }
            return false;
        };
        let free = *count > 0;
        taken.stayed += usize::from(free);
        *count = count.saturating_sub(1);
        match until {
            // it stays for as long as the last server said, unless it is told anew
            Some(until) => !matches!(until, Expiry::Moment(_)),
            None => free,
        }
    }

    /// All bans of the last server that go on are this one's now: gives what is left of the places that
    /// an action has taken over.
    pub fn settle(&self, heir: Owner<'_>) -> Option<Rest> {
        let mut state = self.state();
        let (mut stayed, mut over, mut any) = (0, Vec::new(), false);
        state.taken.retain(|_, taken| {
            if taken.jail != heir.jail || taken.action != heir.action {
                return true;
            }
            any = true;
            stayed += taken.stayed;
            for ((network, _), count) in taken.bans.drain() {
                over.extend(std::iter::repeat_n(network, count));
            }
            false
        });
        over.sort_unstable();
        any.then_some(Rest { stayed, over })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Script;

    fn change(text: &str) -> Change {
        Change::recognise(&Script::plain(text)).unwrap()
    }

    fn taken(change: &Change, counts: &[(&str, usize)]) -> Inherited {
        let inherited = Inherited::default();
        let (_, rest) = change.ban().unwrap();
        let bans = counts
            .iter()
            .map(|(network, count)| ((network.parse().unwrap(), rest.clone()), *count));
        inherited.take_over(change.place(), HEIR, bans.collect());
        inherited
    }

    const HEIR: Owner<'static> = Owner {
        jail: "one",
        action: "x",
    };

    fn over(inherited: &Inherited) -> Vec<String> {
        let rest = inherited.settle(HEIR).unwrap();
        rest.over.iter().map(IpNet::to_string).collect()
    }

    #[test]
    fn each_rule_is_one_ban() {
        let ban = change("iptables -w -I f2b-x 1 -s 192.0.2.1 -j REJECT");
        let other = change("iptables -w -I f2b-x 1 -s 192.0.2.9 -j REJECT");
        let inherited = taken(&ban, &[("192.0.2.1/32", 2), ("192.0.2.2/32", 1)]);
        assert!(inherited.stands(&ban) && !inherited.stands(&other));
        assert_eq!(over(&inherited), ["192.0.2.1/32", "192.0.2.2/32"]);
        assert!(inherited.settle(HEIR).is_none() && !inherited.stands(&ban));
    }

    #[test]
    fn a_member_is_a_ban_of_all_until_it_is_taken_out() {
        let ban = change("ipset -exist add f2b-x 192.0.2.1 timeout 0");
        let unban = change("ipset -exist del f2b-x 192.0.2.1");
        let inherited = taken(&ban, &[("192.0.2.1/32", 1), ("192.0.2.2/32", 1)]);
        assert!(inherited.stands(&ban) && inherited.stands(&ban));
        assert!(!inherited.stands(&unban) && !inherited.stands(&ban));
        assert_eq!(over(&inherited), ["192.0.2.2/32"]);
    }

    #[test]
    fn a_network_keeps_the_addresses_in_it() {
        let ban = change("ipset -exist add f2b-x 192.0.2.0/30 timeout 0");
        let inherited = taken(&ban, &[("192.0.2.1/32", 1), ("192.0.2.9/32", 1)]);
        assert!(!inherited.stands(&ban));
        assert_eq!(over(&inherited), ["192.0.2.9/32"]);
    }

    #[test]
    fn a_member_with_a_time_is_told_anew() {
        let ban = change("ipset -exist add f2b-x 192.0.2.1 timeout 60");
        let inherited = taken(&ban, &[("192.0.2.1/32", 1)]);
        assert!(!inherited.stands(&ban));
        assert!(over(&inherited).is_empty());
    }

    #[test]
    fn what_was_installed_is_known_by_its_commands() {
        let installed = |jail: &str, stop: &str| InstalledStart {
            jail: jail.into(),
            action: "x".into(),
            family: String::new(),
            start: "a".into(),
            stop: stop.into(),
            ban: "c".into(),
        };
        let inherited = Inherited::default();
        inherited.expect(vec![installed("old", "b"), installed("one", "b")]);
        assert_eq!(inherited.take_like(&installed("one", "z")), None);
        for from in ["one", "old"] {
            let like = inherited.take_like(&installed("one", "b"));
            assert_eq!(like, Some(installed(from, "b")));
        }
        assert!(inherited.is_settled());
    }
}
