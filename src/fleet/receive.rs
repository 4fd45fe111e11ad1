//! Applies received entries: bans of other hosts and orders of administrators become changes of jails.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::claims::{ClaimEffect, Listed};
use super::engine::{EngineConnection, Live, Received};
use super::entry::{EntryKind, FleetEntry, is_name};
use super::failure::EngineError;
use super::limits::{HostBudget, RateVerdict};
use super::settings::ADMIN;
use super::task::FleetTask;
use super::{LOG, Millis};
use crate::address::Address;
use crate::fields::MatchLine;
use crate::jail::link::RemoteChange;
use crate::jail::{BanExchange, Jail};
use crate::origin::BanOrigin;
use crate::ticket::{BanTime, Ticket};
use crate::{debug, notice, warning};

/// Changes by jail, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Changes(IndexMap<String, Vec<RemoteChange>>);

impl Changes {
    fn add(&mut self, jail: &str, change: RemoteChange) {
        match self.0.get_mut(jail) {
            Some(changes) => changes.push(change),
            None => {
                self.0.insert(jail.to_owned(), vec![change]);
            }
        }
    }
}

/// What is known of a ban beside its target and end.
#[derive(Default)]
struct ClaimDetails<'e> {
    since: Option<Millis>,
    bancount: u32,
    reason: &'e str,
}

impl FleetTask {
    /// Takes entries as they came.
    pub(super) async fn receive(
        &mut self,
        received: Vec<Received>,
        engine: &mut EngineConnection,
    ) -> Result<(), EngineError> {
        let jails = self.jails();
        let mut changes = Changes::default();
        for one in received {
            if one.host == ADMIN {
                self.admin = one.place;
                if let Ok(entry) = one.entry
                    && self.believes(&entry, ADMIN)
                {
                    self.obey(&entry, &jails, &mut changes, engine).await?;
                }
                continue;
            }
            let now = self.now();
            let Some(host) = self.hosts.get_mut(&one.host) else {
                continue;
            };
            host.place = one.place;
            host.lag = now.0.saturating_sub(one.place.at.0);
            host.heard += 1;
            let entry = match one.entry {
                Ok(entry) if self.believes(&entry, &one.host) => entry,
                _ => {
                    self.refuse(&one.host, one.place.at);
                    continue;
                }
            };
            match entry.kind {
                EntryKind::Ban => {
                    self.entry_bans(&one.host, one.place.at, &entry, &jails, &mut changes)
                }
                EntryKind::Unban => {
                    if let Some(target) = entry.address()
                        && let Some(jail) = self.jail_for(&jails, &entry.jail)
                    {
                        let quorum = jail.mode(BanExchange::Fleet).hosts;
                        let source = (one.host.as_str(), entry.jail.as_str());
                        let now = self.now();
                        if !self.claims.knows(&jail.name, &target) {
                            // the ban may come from the database
                            let lift = RemoteChange::Lift(Some(target), Some(one.host));
                            changes.add(&jail.name, lift);
                            continue;
                        }
                        let effect = self.claims.remove(&jail.name, &target, source, quorum, now);
                        self.effect(&jail.name, &target, effect, &mut changes);
                    }
                }
                EntryKind::Renewed if entry.target == one.host => {
                    if self.may_speak(&one.host, one.place.at) {
                        self.renewed.insert(one.host);
                    }
                }
                // others are for administrators
                _ => self.refuse(&one.host, one.place.at),
            }
        }
        self.hand_over(changes, &jails);
        Ok(())
    }

    /// Whether an entry is its origin's, where that has to be proved; and none comes twice.
    fn believes(&mut self, entry: &FleetEntry, origin: &str) -> bool {
        let Some(trusted) = &self.trusted else {
            return true;
        };
        if !trusted.believes(entry, &self.settings.fleet, origin) {
            return false;
        }
        let last = match self.hosts.get_mut(origin) {
            _ if origin == ADMIN => &mut self.admin_id,
            Some(host) => &mut host.last_id,
            None => return false,
        };
        let later = entry.id > *last;
        if later {
            last.clone_from(&entry.id);
        }
        later
    }

    /// Something of a host that is no entry, or none of its own: it counts against what the host may say.
    fn refuse(&mut self, host: &str, at: Millis) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.refused += 1;
        }
        self.may_speak(host, at);
    }

    /// Whether a host may have somebody banned now; says once when it may not any more.
    fn may_speak(&mut self, name: &str, at: Millis) -> bool {
        let in_force = self.claims.count(name);
        let now = self.now();
        let limits = self.settings.limits;
        let Some(host) = self.hosts.get_mut(name) else {
            return false;
        };
        let budget = host.budget.get_or_insert_with(|| HostBudget::new(&limits));
        // the engine's time, or a host would make its own
        match budget.spend(&limits, at.min(now), in_force) {
            RateVerdict::Heard => true,
            RateVerdict::Muted => {
                self.muted = true;
                warning!(
                    LOG,
                    "Host {name} of the fleet is muted: more than {} bans a minute, {} at once or {} in \
                     force. Its bans stay; `ferroban fleet forget {name}` lifts them",
                    limits.rate,
                    limits.burst,
                    limits.most
                );
                false
            }
            RateVerdict::StillMuted => false,
        }
    }

    fn entry_bans(
        &mut self,
        host: &str,
        at: Millis,
        entry: &FleetEntry,
        jails: &HashMap<String, Jail>,
        changes: &mut Changes,
    ) {
        if !self.may_speak(host, at) {
            return;
        }
        let Some(target) = entry.address() else {
            return;
        };
        let story = ClaimDetails {
            since: Some(entry.since),
            bancount: entry.bancount,
            reason: &entry.reason,
        };
        let until = entry.until.unwrap_or(Millis::NEVER);
        self.host_bans(host, (&entry.jail, &target), until, &story, jails, changes);
    }

    /// A host has a target banned in its jail: unless it may not be.
    fn host_bans(
        &mut self,
        host: &str,
        (origin, target): (&str, &Address),
        until: Millis,
        story: &ClaimDetails<'_>,
        jails: &HashMap<String, Jail>,
        changes: &mut Changes,
    ) {
        let now = self.now();
        if let Some(refusal) = self.guard.refuses(target, now) {
            debug!(
                LOG,
                "Ban of {target} by host {host} is refused: {}",
                refusal.words()
            );
            if let Some(host) = self.hosts.get_mut(host) {
                host.refused += 1;
            }
            return;
        }
        let longest = (self.settings.longest * 1000.0) as i64;
        let until = until.min(Millis(now.0.saturating_add(longest)));
        let Some(jail) = self.jail_for(jails, origin).filter(|_| until > now) else {
            return;
        };
        let quorum = jail.mode(BanExchange::Fleet).hosts;
        let source = (host, origin);
        let effect = self
            .claims
            .add(&jail.name, target, source, until, quorum, now);
        if let Some(ClaimEffect::Ban(until)) = effect {
            let ticket = self.ticket(host, target, until, story);
            changes.add(&jail.name, RemoteChange::Ban(ticket));
        } else {
            self.effect(&jail.name, target, effect, changes);
        }
    }

    fn ticket(
        &self,
        host: &str,
        target: &Address,
        until: Millis,
        story: &ClaimDetails<'_>,
    ) -> Ticket {
        let present = FleetTask::clock();
        let since = story.since.map(|since| self.local(since));
        let since = since.map_or(present, |since| since.min(present));
        let mut ticket = Ticket::new(target.clone(), since);
        ticket.bantime = Some(match self.local(until) {
            end if end.is_finite() => BanTime::Seconds(end - since),
            _ => BanTime::Permanent,
        });
        // the jail counts this ban itself
        ticket.bancount = story.bancount.saturating_sub(1);
        if !story.reason.is_empty() {
            ticket.set_matches(&[MatchLine::Text(story.reason.to_owned())]);
        }
        ticket.set_origin(&BanOrigin::Fleet(host.to_owned()));
        ticket
    }

    fn effect(
        &self,
        jail: &str,
        target: &Address,
        effect: Option<ClaimEffect>,
        changes: &mut Changes,
    ) {
        let until = match effect {
            Some(ClaimEffect::Shorten(until)) => self.end_by_our_clock(until),
            Some(ClaimEffect::Lift) => None,
            // whose it is would not be known: what is in force is only made longer
            Some(ClaimEffect::Ban(until)) => Some(self.local(until)),
            None => return,
        };
        changes.add(jail, RemoteChange::Until(target.clone(), until));
    }

    /// Does what an administrator orders.
    async fn obey(
        &mut self,
        entry: &FleetEntry,
        jails: &HashMap<String, Jail>,
        changes: &mut Changes,
        engine: &mut EngineConnection,
    ) -> Result<(), EngineError> {
        let now = self.now();
        let quorum = |jail: &str| {
            jails
                .get(jail)
                .map_or(1, |jail| jail.mode(BanExchange::Fleet).hosts)
        };
        let what = entry.kind.word();
        let target = entry.address();
        notice!(
            LOG,
            "Order of the fleet's administrator: {what} {}",
            entry.target
        );
        match (entry.kind, target) {
            (EntryKind::Unban, Some(target)) => {
                if let Some(until) = entry.until.filter(|until| *until > now) {
                    self.guard.allowed.insert(target.clone(), Some(until));
                }
                let removed = self.claims.remove_target(&target);
                for claim in &removed {
                    self.effect(&claim.jail, &claim.target, Some(ClaimEffect::Lift), changes);
                }
                self.lift_restored(Some(&target), None, jails, changes);
                self.take_back(&removed, engine).await?;
            }
            (EntryKind::Allow, Some(target)) => {
                self.guard.allowed.insert(target.clone(), entry.until);
                let meeting = self.claims.meeting(&target);
                for claim in &meeting {
                    if *claim.host == *self.settings.host {
                        continue;
                    }
                    let source = (&*claim.host, &*claim.origin);
                    let quorum = quorum(&claim.jail);
                    let effect =
                        self.claims
                            .remove(&claim.jail, &claim.target, source, quorum, now);
                    self.effect(&claim.jail, &claim.target, effect, changes);
                }
                self.lift_restored(Some(&target), None, jails, changes);
                self.take_back(&meeting, engine).await?;
            }
            (EntryKind::Disallow, Some(target)) => {
                self.guard.allowed.remove(&target);
            }
            (EntryKind::Forget, _) => self.forget(&entry.target, jails, changes),
            // the next look at the hosts finds it
            (EntryKind::Remember, _) | (EntryKind::Ban | EntryKind::Renewed, _) => {}
            (EntryKind::Unban | EntryKind::Allow | EntryKind::Disallow, None) => {}
        }
        Ok(())
    }

    /// Nothing of what a host has said counts any more.
    fn forget(&mut self, host: &str, jails: &HashMap<String, Jail>, changes: &mut Changes) {
        let quorum = |jail: &str| {
            jails
                .get(jail)
                .map_or(1, |jail| jail.mode(BanExchange::Fleet).hosts)
        };
        self.hosts.remove(host);
        for (jail, target, effect) in self.claims.remove_host(host, quorum, self.now()) {
            self.effect(&jail, &target, Some(effect), changes);
        }
        self.lift_restored(None, Some(host), jails, changes);
    }

    /// Administrators have these hosts forgotten, also while this one was away.
    pub(super) fn forget_all(&mut self, hosts: &[String]) {
        let jails = self.jails();
        let mut changes = Changes::default();
        for host in hosts {
            self.forget(host, &jails, &mut changes);
        }
        self.hand_over(changes, &jails);
    }

    /// Lifts bans of others that come from the database, of which nothing else is known yet.
    fn lift_restored(
        &self,
        within: Option<&Address>,
        host: Option<&str>,
        jails: &HashMap<String, Jail>,
        changes: &mut Changes,
    ) {
        for jail in jails
            .values()
            .filter(|jail| jail.mode(BanExchange::Fleet).receives)
        {
            let lift = RemoteChange::Lift(within.cloned(), host.map(str::to_owned));
            changes.add(&jail.name, lift);
        }
    }

    /// This host's own bans among these are no more in the engine's set.
    async fn take_back(
        &mut self,
        claims: &[Listed],
        engine: &mut EngineConnection,
    ) -> Result<(), EngineError> {
        let own = claims
            .iter()
            .filter(|claim| *claim.host == *self.settings.host);
        let own: Vec<_> = own
            .map(|claim| (claim.jail.clone(), claim.target.to_string()))
            .collect();
        engine.take_back(&self.settings.host, &own).await
    }

    /// All bans of a host that are in force: for who has just come, or has missed something. `counts`: new ones
    /// are held against the host as if it had said them now.
    pub(super) async fn snapshot(
        &mut self,
        host: &str,
        counts: bool,
        engine: &mut EngineConnection,
    ) -> Result<(), EngineError> {
        self.renewed.remove(host);
        let shut_out = self.hosts.get(host).is_some_and(|host| host.shut_out);
        if self.trusted.is_some() || shut_out {
            // nobody signs these; the stream is read from its beginning instead
            return Ok(());
        }
        let most = self.settings.limits.most;
        let live = engine.live(host, self.now(), most + 1).await;
        let live = self.shut_out_if_long(host, live)?;
        let jails = self.jails();
        let mut changes = Changes::default();
        for Live {
            jail,
            target,
            until,
        } in live
        {
            let address = Address::parse_ip(&target).filter(|ip| ip.to_string() == target);
            let (Some(target), true) = (address, is_name(&jail)) else {
                continue;
            };
            if self.claims.count(host) >= most {
                self.may_speak(host, self.now());
                break;
            }
            let until = until.unwrap_or(Millis::NEVER);
            if counts
                && !self.is_known(host, &jail, &target, &jails)
                && !self.may_speak(host, self.now())
            {
                break;
            }
            let story = ClaimDetails::default();
            self.host_bans(host, (&jail, &target), until, &story, &jails, &mut changes);
        }
        self.hand_over(changes, &jails);
        Ok(())
    }

    /// Whether a host is known to have somebody banned, by a jail of its own.
    fn is_known(
        &self,
        host: &str,
        origin: &str,
        target: &Address,
        jails: &HashMap<String, Jail>,
    ) -> bool {
        let jail = self.jail_for(jails, origin);
        jail.is_some_and(|jail| {
            self.claims
                .end(&jail.name, target, (host, origin))
                .is_some()
        })
    }

    /// The clock was set: bans of others end when they were to end, by the new one.
    pub(super) fn tell_ends(&mut self) {
        let jails = self.jails();
        let quorum = |jail: &str| {
            jails
                .get(jail)
                .map_or(1, |jail| jail.mode(BanExchange::Fleet).hosts)
        };
        let mut changes = Changes::default();
        for (jail, target, effect) in self.claims.effects(quorum, self.now()) {
            self.effect(&jail, &target, Some(effect), &mut changes);
        }
        self.hand_over(changes, &jails);
    }

    fn hand_over(&mut self, changes: Changes, jails: &HashMap<String, Jail>) {
        for (jail, changes) in changes.0 {
            if let Some(jail) = jails.get(&jail) {
                self.forward.send(jail, changes);
            }
        }
    }
}
