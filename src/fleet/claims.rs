//! The bans of all hosts by target: a target of a jail may be banned by several hosts, this one included. It
//! is banned until the latest of their ends, and its ban is lifted when the last of them lifts it.
//!
//! Pure: claims and times in, changes for a jail out.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexSet;
use smallvec::SmallVec;

use super::Millis;
use crate::address::Address;

/// One host's word about one target.
#[derive(Clone, Copy, Debug)]
struct HostClaim {
    /// Index of the origin.
    origin: u32,
    until: Millis,
}

/// The host and its jail that say so.
type ClaimSource = (Arc<str>, Arc<str>);
type Targets = HashMap<Address, SmallVec<[HostClaim; 1]>>;

/// What has to change in a jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimEffect {
    /// The target is to be banned until then, or its ban to last until then.
    Ban(Millis),
    /// Its ban is to end already then.
    Shorten(Millis),
    /// Nobody has it banned any more.
    Lift,
}

/// A claim as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The jail of this host.
    pub jail: String,
    /// Whom.
    pub target: Address,
    /// Which host.
    pub host: Arc<str>,
    /// Its jail.
    pub origin: Arc<str>,
    /// Until when.
    pub until: Millis,
}

/// All claims, by jail of this host.
#[derive(Debug)]
pub struct Claims {
    /// The name of this host.
    own: String,
    sources: IndexSet<ClaimSource>,
    jails: HashMap<String, Targets>,
    /// Claims of each host.
    counts: HashMap<Arc<str>, usize>,
    /// What somebody has lifted on this host alone: claims that end no later count for nothing.
    lifted: HashMap<(String, Address), Millis>,
}

impl Claims {
    /// None yet; the host's name.
    pub fn new(own: &str) -> Claims {
        Claims {
            own: own.to_owned(),
            sources: IndexSet::new(),
            jails: HashMap::new(),
            counts: HashMap::new(),
            lifted: HashMap::new(),
        }
    }

    /// How many claims a host has.
    pub fn count(&self, host: &str) -> usize {
        self.counts.get(host).copied().unwrap_or(0)
    }

    /// A host has a target banned until then. `quorum`: so many hosts have to say so.
    pub fn add(
        &mut self,
        jail: &str,
        target: &Address,
        (host, origin): (&str, &str),
        until: Millis,
        quorum: usize,
        now: Millis,
    ) -> Option<ClaimEffect> {
        if host != self.own
            && !self.lifted.is_empty()
            && let Some(lifted) = self.lifted.get(&(jail.to_owned(), target.clone()))
            && until <= *lifted
        {
            return None;
        }
        let source = self.source(host, origin);
        if !self.jails.contains_key(jail) {
            self.jails.insert(jail.to_owned(), Targets::new());
        }
        let claims = self.jails.get_mut(jail)?.entry(target.clone());
        let claims = claims.or_default();
        let before = effective(claims, &self.sources, &self.own, quorum, now);
        match claims.iter_mut().find(|claim| claim.origin == source) {
            Some(claim) => claim.until = until,
            None => {
                claims.push(HostClaim {
                    origin: source,
                    until,
                });
                let (host, _) = &self.sources[source as usize];
                *self.counts.entry(host.clone()).or_default() += 1;
            }
        }
        let after = effective(claims, &self.sources, &self.own, quorum, now);
        change(before, after)
    }

    /// Whether anybody has said anything of a target.
    pub fn knows(&self, jail: &str, target: &Address) -> bool {
        let targets = self.jails.get(jail);
        targets.is_some_and(|targets| targets.contains_key(target))
    }

    /// When a host's word about a target ends.
    pub fn end(
        &self,
        jail: &str,
        target: &Address,
        (host, origin): (&str, &str),
    ) -> Option<Millis> {
        let source = self.find(host, origin)?;
        let claims = self.jails.get(jail)?.get(target)?;
        let claim = claims.iter().find(|claim| claim.origin == source)?;
        Some(claim.until)
    }

    /// A host has lifted its ban of a target.
    pub fn remove(
        &mut self,
        jail: &str,
        target: &Address,
        (host, origin): (&str, &str),
        quorum: usize,
        now: Millis,
    ) -> Option<ClaimEffect> {
        let source = self.find(host, origin)?;
        let targets = self.jails.get_mut(jail)?;
        let claims = targets.get_mut(target)?;
        let before = effective(claims, &self.sources, &self.own, quorum, now);
        let at = claims.iter().position(|claim| claim.origin == source)?;
        claims.swap_remove(at);
        let after = effective(claims, &self.sources, &self.own, quorum, now);
        if claims.is_empty() {
            targets.remove(target);
        }
        uncount(&mut self.counts, host, 1);
        change(before, after)
    }

    /// Somebody has lifted a ban on this host: what others have said so far counts for nothing here. True
    /// if this host had it banned itself.
    pub fn lift_here(&mut self, jail: &str, target: &Address, until: Millis) -> bool {
        let Some(claims) = self
            .jails
            .get_mut(jail)
            .and_then(|targets| targets.remove(target))
        else {
            self.lifted.insert((jail.to_owned(), target.clone()), until);
            return false;
        };
        let mut own = false;
        let mut latest = until;
        for claim in claims {
            let (host, _) = &self.sources[claim.origin as usize];
            own |= **host == *self.own;
            latest = latest.max(claim.until);
            uncount(&mut self.counts, host, 1);
        }
        self.lifted
            .insert((jail.to_owned(), target.clone()), latest);
        own
    }

    /// Every claim about a target or something inside of it is void; which there were.
    pub fn remove_target(&mut self, within: &Address) -> Vec<Listed> {
        let removed: Vec<Listed> = self
            .all()
            .filter(|claim| within.contains(&claim.target))
            .collect();
        for claim in &removed {
            if let Some(targets) = self.jails.get_mut(&claim.jail) {
                targets.remove(&claim.target);
            }
            uncount(&mut self.counts, &claim.host, 1);
        }
        removed
    }

    /// Claims about a target, something inside of it, or a network around it.
    pub fn meeting(&self, target: &Address) -> Vec<Listed> {
        let meets =
            |claim: &Listed| target.contains(&claim.target) || claim.target.contains(target);
        self.all().filter(meets).collect()
    }

    /// Forgets all that a host has said.
    pub fn remove_host(
        &mut self,
        host: &str,
        quorum: impl Fn(&str) -> usize,
        now: Millis,
    ) -> Vec<(String, Address, ClaimEffect)> {
        let of_host: Vec<Listed> = self.all().filter(|claim| *claim.host == *host).collect();
        let effects = of_host.into_iter().filter_map(|claim| {
            let source = (host, &*claim.origin);
            let quorum = quorum(&claim.jail);
            let effect = self.remove(&claim.jail, &claim.target, source, quorum, now)?;
            Some((claim.jail, claim.target, effect))
        });
        effects.collect()
    }

    /// Forgets all that is about a jail of this host.
    pub fn remove_jail(&mut self, jail: &str) {
        let targets = self.jails.remove(jail).unwrap_or_default();
        for claim in targets.into_values().flatten() {
            let (host, _) = &self.sources[claim.origin as usize];
            uncount(&mut self.counts, host, 1);
        }
        self.lifted.retain(|(of, _), _| of != jail);
    }

    /// Forgets what is over.
    pub fn expire(&mut self, now: Millis) {
        for targets in self.jails.values_mut() {
            targets.retain(|_, claims| {
                claims.retain(|claim| {
                    let alive = claim.until > now;
                    if !alive {
                        let (host, _) = &self.sources[claim.origin as usize];
                        uncount(&mut self.counts, host, 1);
                    }
                    alive
                });
                !claims.is_empty()
            });
        }
        self.lifted.retain(|_, until| *until > now);
    }

    /// Until when each target is banned that other hosts have banned; for a clock that was set.
    pub fn effects(
        &self,
        quorum: impl Fn(&str) -> usize,
        now: Millis,
    ) -> Vec<(String, Address, ClaimEffect)> {
        let mut effects = Vec::new();
        for (jail, targets) in &self.jails {
            let quorum = quorum(jail);
            for (target, claims) in targets {
                let own = |claim: &HostClaim| *self.sources[claim.origin as usize].0 == *self.own;
                if claims.iter().all(own) {
                    continue;
                }
                if let Some(until) = effective(claims, &self.sources, &self.own, quorum, now) {
                    effects.push((jail.clone(), target.clone(), ClaimEffect::Shorten(until)));
                }
            }
        }
        effects
    }

    /// All claims.
    pub fn all(&self) -> impl Iterator<Item = Listed> {
        self.listed(|_| true)
    }

    /// The claims of hosts that `keep` says.
    fn listed<'s>(
        &'s self,
        keep: impl Fn(&str) -> bool + Copy + 's,
    ) -> impl Iterator<Item = Listed> + 's {
        let jails = self.jails.iter();
        let targets = jails.flat_map(|(jail, targets)| {
            targets
                .iter()
                .map(move |(target, claims)| (jail, target, claims))
        });
        targets.flat_map(move |(jail, target, claims)| {
            claims.iter().filter_map(move |claim| {
                let (host, origin) = &self.sources[claim.origin as usize];
                keep(host).then(|| Listed {
                    jail: jail.clone(),
                    target: target.clone(),
                    host: host.clone(),
                    origin: origin.clone(),
                    until: claim.until,
                })
            })
        })
    }

    /// What this host has banned itself.
    pub fn own(&self) -> impl Iterator<Item = Listed> {
        self.listed(|host| host == self.own)
    }

    fn find(&self, host: &str, origin: &str) -> Option<u32> {
        let source = (Arc::from(host), Arc::from(origin));
        let at = self.sources.get_index_of(&source)?;
        u32::try_from(at).ok()
    }

    fn source(&mut self, host: &str, origin: &str) -> u32 {
        let (at, _) = self.sources.insert_full((host.into(), origin.into()));
        // there are fewer hosts and jails than that
        at as u32
    }
}

fn uncount(counts: &mut HashMap<Arc<str>, usize>, host: &str, by: usize) {
    if let Some(count) = counts.get_mut(host) {
        *count = count.saturating_sub(by);
    }
}

/// Until when a target is banned by all of its claims; by one's own word, or if enough hosts say so.
fn effective(
    claims: &[HostClaim],
    sources: &IndexSet<ClaimSource>,
    own: &str,
    quorum: usize,
    now: Millis,
) -> Option<Millis> {
    let alive = || claims.iter().filter(|claim| claim.until > now);
    let until = alive().map(|claim| claim.until).max()?;
    if quorum > 1 {
        let mut hosts: SmallVec<[&str; 8]> = alive()
            .map(|claim| &*sources[claim.origin as usize].0)
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        if hosts.len() < quorum && !hosts.contains(&own) {
            return None;
        }
    }
    Some(until)
}

fn change(before: Option<Millis>, after: Option<Millis>) -> Option<ClaimEffect> {
    match (before, after) {
        (None, None) => None,
        (Some(_), None) => Some(ClaimEffect::Lift),
        (before, Some(after)) if before.is_none_or(|before| before < after) => {
            Some(ClaimEffect::Ban(after))
        }
        (before, Some(after)) => (before != Some(after)).then_some(ClaimEffect::Shorten(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000);

    struct ClaimFixture(Claims, usize);

    impl ClaimFixture {
        fn add(&mut self, host: &str, until: i64) -> Option<ClaimEffect> {
            let target = Address::parse("192.0.2.1");
            self.0
                .add("sshd", &target, (host, "sshd"), Millis(until), self.1, NOW)
        }

        fn remove(&mut self, host: &str) -> Option<ClaimEffect> {
            let target = Address::parse("192.0.2.1");
            self.0.remove("sshd", &target, (host, "sshd"), self.1, NOW)
        }
    }

    fn table(quorum: usize) -> ClaimFixture {
        ClaimFixture(Claims::new("me"), quorum)
    }

    #[test]
    fn the_latest_end_counts_and_the_last_lift() {
        let mut table = table(1);
        assert_eq!(table.add("a", 5_000), Some(ClaimEffect::Ban(Millis(5_000))));
        assert_eq!(table.add("a", 5_000), None);
        assert_eq!(table.add("b", 4_000), None);
        assert_eq!(
            table.add("me", 9_000),
            Some(ClaimEffect::Ban(Millis(9_000)))
        );
        assert_eq!(
            table.remove("me"),
            Some(ClaimEffect::Shorten(Millis(5_000)))
        );
        assert_eq!(table.remove("a"), Some(ClaimEffect::Shorten(Millis(4_000))));
        assert_eq!(table.remove("a"), None);
        assert_eq!(table.remove("b"), Some(ClaimEffect::Lift));
        assert_eq!(table.0.all().count(), 0);
        assert_eq!(table.0.count("a"), 0);
    }

    #[test]
    fn several_hosts_have_to_say_so() {
        let mut table = table(2);
        assert_eq!(table.add("a", 5_000), None);
        assert_eq!(table.add("a", 6_000), None);
        assert_eq!(table.add("b", 4_000), Some(ClaimEffect::Ban(Millis(6_000))));
        assert_eq!(table.remove("a"), Some(ClaimEffect::Lift));
        // this host needs nobody else
        assert_eq!(
            table.add("me", 5_000),
            Some(ClaimEffect::Ban(Millis(5_000)))
        );
    }

    #[test]
    fn what_is_over_says_nothing() {
        let mut table = table(1);
        assert_eq!(table.add("a", 900), None);
        assert_eq!(table.add("b", 2_000), Some(ClaimEffect::Ban(Millis(2_000))));
        assert_eq!(table.0.count("a"), 1);
        table.0.expire(NOW);
        assert_eq!((table.0.count("a"), table.0.count("b")), (0, 1));
        table.0.expire(Millis(2_000));
        assert_eq!(table.0.all().count(), 0);
    }

    #[test]
    fn a_ban_lifted_here_stays_lifted() {
        let target = Address::parse("192.0.2.1");
        let mut table = table(1);
        table.add("a", 5_000);
        table.add("me", 6_000);
        assert!(table.0.lift_here("sshd", &target, Millis(5_000)));
        assert_eq!(table.add("a", 5_000), None);
        // a later ban is another one, and this host's own always counts
        assert_eq!(
            table.add("me", 5_500),
            Some(ClaimEffect::Ban(Millis(5_500)))
        );
        assert_eq!(table.add("a", 7_000), Some(ClaimEffect::Ban(Millis(7_000))));
        assert!(!table.0.lift_here("x", &target, Millis(5_000)));
    }

    #[test]
    fn targets_hosts_and_jails_are_forgotten() {
        let mut table = table(1);
        table.add("a", 5_000);
        table.add("b", 6_000);
        let effects = table.0.remove_host("b", |_| 1, NOW);
        assert_eq!(effects[0].2, ClaimEffect::Shorten(Millis(5_000)));
        let within = Address::parse("192.0.2.0/24");
        assert_eq!(table.0.remove_target(&within).len(), 1);
        assert_eq!(table.0.count("a"), 0);
        table.add("me", 5_000);
        assert_eq!(table.0.own().count(), 1);
        table.0.remove_jail("sshd");
        assert_eq!(table.0.all().count(), 0);
    }
}
