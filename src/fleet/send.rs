//! What goes out: bans that this host has decided on and their ends, and after a gap whatever the engine
//! does not have of it.

use std::collections::HashMap;

use super::Millis;
use super::engine::{Connection, EngineError};
use super::entry::{Entry, Kind, reason};
use super::link::{OwnBan, Told};
use super::task::Task;
use crate::address::Address;
use crate::ticket::Timestamp;

/// Entries that are put into the stream at once.
const BATCH: usize = 500;
/// Ends that differ by less, in milliseconds, are the same: clocks are compared over a network.
const SAME_END: i64 = 1_000;

impl Task {
    /// Hears what a jail tells; nothing is sent.
    pub(super) async fn hear(&mut self, jail: String, told: Told) {
        self.note(jail, told, &mut Vec::new()).await;
    }

    /// Hears what a jail tells; what others are to hear of it is added to `out`.
    pub(super) async fn note(&mut self, jail: String, told: Told, out: &mut Vec<Entry>) {
        match told {
            Told::Ban(ban) => {
                if let Some(entry) = self.own_ban(&jail, ban) {
                    out.push(entry);
                }
            }
            Told::Unban(id, until) => {
                let until = self.shared(until);
                if self.claims.lift_here(&jail, &id, until) && self.sends(&jail) {
                    let mut entry = Entry::order(Kind::Unban, &id.to_string(), self.now(), None);
                    entry.jail = jail;
                    out.push(entry);
                }
            }
            Told::Started => {
                let Some(handle) = self.jails().remove(&jail) else {
                    return;
                };
                self.forward.close(&jail);
                self.claims.remove_jail(&jail);
                for ban in handle.own_bans().await {
                    self.own_ban(&jail, ban);
                }
                self.newcomers.insert(jail.clone());
                self.reported.insert(jail);
            }
            Told::Stopped => {
                self.forward.close(&jail);
                self.claims.remove_jail(&jail);
                self.reported.remove(&jail);
                self.newcomers.remove(&jail);
            }
        }
    }

    fn sends(&self, jail: &str) -> bool {
        let jails = (self.around.jails)();
        let jail = jails.into_iter().find(|other| other.name == jail);
        jail.is_some_and(|jail| jail.fleet_mode().sends)
    }

    /// Remembers a ban of this host; the entry for others, where it is new to them.
    fn own_ban(&mut self, jail: &str, ban: OwnBan) -> Option<Entry> {
        if let Address::Raw(_) = ban.id {
            return None;
        }
        let now = self.now();
        let until = self.shared(ban.until);
        let host = self.settings.host.clone();
        let source = (host.as_str(), jail);
        let known = self.claims.end(jail, &ban.id, source);
        // under attack a ban is asked for again and again
        if known.is_some_and(|known| until.0.saturating_sub(known.0) < SAME_END) {
            return None;
        }
        self.claims.add(jail, &ban.id, source, until, 1, now);
        let told = self.sends(jail) && !self.guard.allows(&ban.id, now);
        told.then(|| self.entry_of(jail, &ban, until))
    }

    /// Remembers until when bans of this host last by a clock that was set.
    pub(super) fn correct(&mut self, jail: &str, bans: Vec<OwnBan>) {
        let now = self.now();
        let host = self.settings.host.clone();
        for ban in bans {
            let until = self.shared(ban.until);
            self.claims.add(jail, &ban.id, (&host, jail), until, 1, now);
        }
    }

    fn entry_of(&self, jail: &str, ban: &OwnBan, until: Millis) -> Entry {
        Entry {
            jail: jail.to_owned(),
            bancount: ban.bancount,
            reason: reason(&ban.reason),
            ..Entry::order(
                Kind::Ban,
                &ban.id.to_string(),
                self.shared(ban.since),
                (until != Millis::NEVER).then_some(until),
            )
        }
    }

    /// Puts entries into the stream of this host.
    pub(super) async fn publish(
        &mut self,
        engine: &mut Connection,
        mut entries: Vec<Entry>,
    ) -> Result<(), EngineError> {
        let now = self.now();
        let keep = Millis(now.0 - (self.settings.longest * 1000.0) as i64);
        let (fleet, host) = (self.settings.fleet.clone(), self.settings.host.clone());
        for entry in &mut entries {
            entry.id = self.ulids.next(now);
            if let Some(signer) = &self.signer {
                signer.sign(entry, &fleet, &host);
            }
        }
        for batch in entries.chunks(BATCH) {
            engine.publish(&host, batch, keep).await?;
            self.sent += batch.len() as u64;
        }
        Ok(())
    }

    /// Makes the engine's set of this host's bans what the jails have: after a gap, and when its data was
    /// lost.
    pub(super) async fn reconcile(&mut self, engine: &mut Connection) -> Result<(), EngineError> {
        let now = self.now();
        let host = self.settings.host.clone();
        let jails = self.jails();
        let sends = |jail: &str| {
            let jail = jails.get(jail);
            self.reported.contains(jail.map_or("", |jail| &jail.name))
                && jail.is_some_and(|jail| jail.fleet_mode().sends)
        };
        let mut there: HashMap<(String, String), Option<Millis>> = HashMap::new();
        for live in engine.live(&host, now, usize::MAX >> 1).await? {
            there.insert((live.jail, live.target), live.until);
        }
        let mut entries = Vec::new();
        for claim in self.claims.own() {
            if claim.until <= now || !sends(&claim.jail) || self.guard.allows(&claim.target, now) {
                continue;
            }
            let until = (claim.until != Millis::NEVER).then_some(claim.until);
            let key = (claim.jail, claim.target.to_string());
            let same = there
                .remove(&key)
                .is_some_and(|there| match (there, until) {
                    (Some(there), Some(until)) => (there.0 - until.0).abs() < SAME_END,
                    (there, until) => there == until,
                });
            if !same {
                let mut entry = Entry::order(Kind::Ban, &key.1, now, until);
                entry.jail = key.0;
                entry.bancount = 1;
                entries.push(entry);
            }
        }
        // what is left is lifted, if it is of a jail whose bans are known
        let (gone, unknown): (Vec<_>, Vec<_>) =
            there.into_keys().partition(|(jail, _)| sends(jail));
        self.unknown = unknown.len();
        for (jail, target) in gone {
            let mut entry = Entry::order(Kind::Unban, &target, now, None);
            entry.jail = jail;
            entries.push(entry);
        }
        self.publish(engine, entries).await
    }

    /// How many bans the engine's set of this host should have.
    pub(super) fn expected(&self, now: Millis) -> usize {
        let jails = self.jails();
        let sends = |jail: &str| {
            let jail = jails.get(jail);
            jail.is_some_and(|jail| jail.fleet_mode().sends)
        };
        let own = self.claims.own();
        let own = own.filter(|claim| {
            claim.until > now && sends(&claim.jail) && !self.guard.allows(&claim.target, now)
        });
        own.count() + self.unknown
    }

    /// A jail's own end of a ban, or none.
    pub(super) fn end_by_our_clock(&self, until: Millis) -> Option<Timestamp> {
        let end = self.local(until);
        (end > Task::clock()).then_some(end)
    }
}
