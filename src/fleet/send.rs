//! Sends the bans that this host has decided on and their ends, and after a gap those that the engine lacks.

use std::collections::HashMap;

use super::Millis;
use super::engine::EngineConnection;
use super::entry::{EntryKind, FleetEntry, reason};
use super::failure::EngineError;
use super::task::FleetTask;
use crate::address::Address;
use crate::jail::BanExchange;
use crate::jail::link::{JailUpdate, OwnBan};
use crate::ticket::Timestamp;

/// Entries that are put into the stream at once.
const BATCH: usize = 500;
/// Bans that were lost at the engine and are told again one by one: every host hears of each. Of more it is said
/// that they are there again, which costs the others a tenth.
const SEVERAL: usize = 100;
/// Bans of this host that are looked for at the engine.
const MOST_OWN: usize = 1_000_000;
/// Ends that differ by less, in milliseconds, are the same: clocks are compared over a network.
const SAME_END: i64 = 1_000;

impl FleetTask {
    /// Hears what a jail tells; nothing is sent.
    pub(super) async fn hear(&mut self, jail: String, told: JailUpdate) {
        self.note(jail, told, None).await;
    }

    /// Hears what a jail tells; what others are to hear of it is added to `out`.
    pub(super) async fn note(
        &mut self,
        jail: String,
        told: JailUpdate,
        out: Option<&mut Vec<FleetEntry>>,
    ) {
        match told {
            JailUpdate::Ban(ban) => {
                if let Some(until) = self.own_ban(&jail, &ban)
                    && let Some(out) = out
                    && self.sends(&jail)
                    && !self.guard.allows(&ban.id, self.now())
                {
                    out.push(self.entry_of(&jail, &ban, until));
                }
            }
            JailUpdate::Unban(id, until) => {
                let until = self.shared(until);
                if self.claims.lift_here(&jail, &id, until)
                    && let Some(out) = out
                    && self.sends(&jail)
                {
                    let mut entry =
                        FleetEntry::order(EntryKind::Unban, &id.to_string(), self.now(), None);
                    entry.jail = jail;
                    out.push(entry);
                }
            }
            JailUpdate::Started => {
                let Some(handle) = self.jails().remove(&jail) else {
                    return;
                };
                self.forward.close(&jail);
                self.claims.remove_jail(&jail);
                for ban in handle.own_bans().await {
                    self.own_ban(&jail, &ban);
                }
                self.newcomers.insert(jail.clone());
                self.reported.insert(jail, handle);
            }
            JailUpdate::Stopped => {
                self.forward.close(&jail);
                self.claims.remove_jail(&jail);
                self.reported.remove(&jail);
                self.newcomers.remove(&jail);
            }
        }
    }

    fn sends(&self, jail: &str) -> bool {
        let jail = self.reported.get(jail);
        jail.is_some_and(|jail| jail.mode(BanExchange::Fleet).sends)
    }

    /// Remembers a ban of this host; until when it is, where that is new.
    pub(super) fn own_ban(&mut self, jail: &str, ban: &OwnBan) -> Option<Millis> {
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
        Some(until)
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

    fn entry_of(&self, jail: &str, ban: &OwnBan, until: Millis) -> FleetEntry {
        FleetEntry {
            jail: jail.to_owned(),
            bancount: ban.bancount,
            reason: reason(&ban.reason),
            ..FleetEntry::order(
                EntryKind::Ban,
                &ban.id.to_string(),
                self.shared(ban.since),
                (until != Millis::NEVER).then_some(until),
            )
        }
    }

    /// Puts entries into the stream of this host.
    pub(super) async fn publish(
        &mut self,
        engine: &mut EngineConnection,
        mut entries: Vec<FleetEntry>,
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
    pub(super) async fn reconcile(
        &mut self,
        engine: &mut EngineConnection,
    ) -> Result<(), EngineError> {
        let now = self.now();
        let host = self.settings.host.clone();
        let mut there: HashMap<(String, String), Option<Millis>> = HashMap::new();
        for live in engine.live(&host, now, MOST_OWN).await? {
            there.insert((live.jail, live.target), live.until);
        }
        let mut entries = Vec::new();
        for claim in self.claims.own() {
            if claim.until <= now
                || !self.sends(&claim.jail)
                || self.guard.allows(&claim.target, now)
            {
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
                let mut entry = FleetEntry::order(EntryKind::Ban, &key.1, now, until);
                entry.jail = key.0;
                entry.bancount = 1;
                entries.push(entry);
            }
        }
        if entries.len() > SEVERAL && self.signer.is_none() {
            for part in entries.chunks(BATCH) {
                engine.put_back(&host, part).await?;
            }
            entries = vec![FleetEntry::order(EntryKind::Renewed, &host, now, None)];
        }
        // what is left is lifted, if it is of a jail whose bans are known
        let (gone, unknown): (Vec<_>, Vec<_>) =
            there.into_keys().partition(|(jail, _)| self.sends(jail));
        self.unknown = unknown.len();
        for (jail, target) in gone {
            let mut entry = FleetEntry::order(EntryKind::Unban, &target, now, None);
            entry.jail = jail;
            entries.push(entry);
        }
        self.publish(engine, entries).await
    }

    /// How many bans the engine's set of this host should have.
    pub(super) fn expected(&self, now: Millis) -> usize {
        let own = self.claims.own();
        let own = own.filter(|claim| {
            claim.until > now && self.sends(&claim.jail) && !self.guard.allows(&claim.target, now)
        });
        own.count() + self.unknown
    }

    /// A jail's own end of a ban, or none.
    pub(super) fn end_by_our_clock(&self, until: Millis) -> Option<Timestamp> {
        let end = self.local(until);
        (end > FleetTask::clock()).then_some(end)
    }
}
