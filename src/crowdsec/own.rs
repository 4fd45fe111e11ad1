//! The decisions that this host has sent to the LAPI, so that they are recognised when they come back, and when
//! somebody deletes them.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::decisions::{LapiDecision, clean};
use crate::address::Address;
use crate::ticket::Timestamp;

/// Ends that differ by less, in seconds, are the same: the LAPI's clock is known to the second.
pub const SAME_END: f64 = 5.0;
/// Ends of a ban that are remembered: each longer ban is a decision more.
const ENDS: usize = 32;

/// The bans of this host that the LAPI has been told.
#[derive(Debug, Default)]
pub struct OwnBans {
    claims: HashMap<Address, Vec<ToldBan>>,
    /// Decisions of ours that the LAPI holds, and those of other hosts like this one.
    ours: HashMap<i64, String>,
    others: HashSet<i64>,
    /// When the LAPI was looked at last.
    looked: Timestamp,
}

#[derive(Debug)]
struct ToldBan {
    jail: String,
    /// The latest last.
    ends: Vec<Timestamp>,
    told: Timestamp,
}

impl ToldBan {
    fn until(&self) -> Timestamp {
        self.ends.last().copied().unwrap_or_default()
    }
}

/// The scenario of what a jail decides.
pub fn scenario(jail: &str) -> String {
    clean(&format!("{}/{jail}", super::ORIGIN))
}

impl OwnBans {
    /// Remembers a ban; whether the LAPI has to be told, which knows of none that lasts so long.
    pub fn claim(&mut self, jail: &str, id: &Address, until: Timestamp, now: Timestamp) -> bool {
        let claims = self.claims.entry(id.clone()).or_default();
        let Some(claim) = claims.iter_mut().find(|claim| claim.jail == jail) else {
            claims.push(ToldBan {
                jail: jail.to_owned(),
                ends: vec![until],
                told: now,
            });
            return true;
        };
        // under attack a ban is asked for again and again
        if until - claim.until() < 1.0 || until == claim.until() {
            return false;
        }
        if claim.ends.len() == ENDS {
            claim.ends.remove(0);
        }
        claim.ends.push(until);
        claim.told = now;
        true
    }

    /// A ban is lifted; whether the LAPI may know of it.
    pub fn remove(&mut self, jail: &str, id: &Address) -> bool {
        let Some(claims) = self.claims.get_mut(id) else {
            return false;
        };
        let before = claims.len();
        claims.retain(|claim| claim.jail != jail);
        let removed = claims.len() < before;
        if claims.is_empty() {
            self.claims.remove(id);
        }
        removed
    }

    /// Forgets the bans of a jail.
    pub fn remove_jail(&mut self, jail: &str) {
        self.claims.retain(|_, claims| {
            claims.retain(|claim| claim.jail != jail);
            !claims.is_empty()
        });
    }

    /// The LAPI has been looked at; bans that are over are forgotten.
    pub fn look(&mut self, now: Timestamp) {
        self.looked = now;
        self.claims.retain(|_, claims| {
            claims.retain(|claim| claim.until() > now - SAME_END);
            !claims.is_empty()
        });
    }

    /// All there is at the LAPI comes now.
    pub fn begin_all(&mut self) {
        self.ours.clear();
        self.others.clear();
    }

    /// Whether a decision of our origin is this host's.
    pub fn knows(&mut self, decision: &LapiDecision, now: Timestamp) -> bool {
        let until = now + decision.lasts;
        let Some(claim) = self.claim_of(decision) else {
            self.others.insert(decision.id);
            return false;
        };
        let same = |end: &Timestamp| {
            let lasts = (end - now).min(super::decisions::LONGEST);
            (now + lasts - until).abs() < SAME_END
        };
        match claim.ends.iter().any(same) {
            true => {
                let jail = claim.jail.clone();
                self.ours.insert(decision.id, jail);
                true
            }
            false => {
                self.others.insert(decision.id);
                false
            }
        }
    }

    /// A decision of our origin holds no more: the jail whose ban somebody has deleted with it. One that was
    /// over anyway is nobody's.
    pub fn deleted(&mut self, decision: &LapiDecision, now: Timestamp) -> Option<String> {
        let ours = self.ours.remove(&decision.id);
        let of_others = self.others.remove(&decision.id);
        let looked = self.looked;
        let claim = self.claim_of(decision)?;
        let end = now + decision.lasts;
        // made and deleted between two looks
        let just_told = ours.is_none() && !of_others && claim.told >= looked - SAME_END;
        let its_time = claim
            .ends
            .iter()
            .any(|known| (known - end).abs() < SAME_END);
        let by_hand = !its_time && claim.until() > now;
        if !by_hand || !(ours.is_some() || just_told) {
            return None;
        }
        let jail = claim.jail.clone();
        self.remove(&jail, &decision.target);
        Some(jail)
    }

    /// Bans that the LAPI was told.
    pub fn len(&self) -> usize {
        self.claims.values().map(Vec::len).sum()
    }

    fn claim_of(&self, decision: &LapiDecision) -> Option<&ToldBan> {
        let claims = self.claims.get(&decision.target)?;
        claims
            .iter()
            .find(|claim| scenario(&claim.jail) == decision.scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(id: i64, jail: &str, lasts: f64) -> LapiDecision {
        LapiDecision {
            id,
            origin: "ferroban".into(),
            scenario: scenario(jail),
            target: Address::parse("192.0.2.1"),
            lasts,
        }
    }

    fn own() -> (OwnBans, Address) {
        let (mut own, id) = (OwnBans::default(), Address::parse("192.0.2.1"));
        assert!(own.claim("sshd", &id, 600.0, 0.0));
        (own, id)
    }

    #[test]
    fn what_is_known_is_not_told_again() {
        let (mut own, id) = own();
        assert!(!own.claim("sshd", &id, 600.5, 1.0));
        assert!(own.claim("sshd", &id, 700.0, 1.0));
        assert!(own.claim("mail", &id, 600.0, 1.0));
        assert!(own.claim("sshd", &id, f64::INFINITY, 1.0));
        assert!(!own.claim("sshd", &id, f64::INFINITY, 2.0));
        assert_eq!(own.len(), 2);
        assert!(own.remove("sshd", &id) && !own.remove("sshd", &id));
        own.look(700.0);
        assert_eq!(own.len(), 0);
    }

    #[test]
    fn what_somebody_deletes_is_lifted_and_what_ends_is_not() {
        let (mut own, id) = own();
        assert!(own.knows(&decision(1, "sshd", 599.0), 1.0));
        assert!(!own.knows(&decision(2, "sshd", 5_000.0), 1.0));
        assert!(!own.knows(&decision(3, "mail", 599.0), 1.0));
        own.look(1.0);
        // another host's
        assert_eq!(own.deleted(&decision(2, "sshd", -1.0), 10.0), None);
        assert_eq!(own.deleted(&decision(3, "mail", -1.0), 10.0), None);
        // it lasts longer now, and the shorter one ends
        assert!(own.claim("sshd", &id, 900.0, 20.0));
        assert!(own.knows(&decision(4, "sshd", 880.0), 20.0));
        own.look(590.0);
        assert_eq!(own.deleted(&decision(1, "sshd", -2.0), 602.0), None);
        assert_eq!(
            own.deleted(&decision(4, "sshd", -1.0), 650.0).as_deref(),
            Some("sshd")
        );
        assert_eq!(own.len(), 0);
    }

    #[test]
    fn what_is_deleted_before_it_was_seen_is_lifted() {
        let (mut own, id) = own();
        own.look(0.0);
        own.look(100.0);
        // long known, so this is another host's
        assert_eq!(own.deleted(&decision(7, "sshd", -1.0), 120.0), None);
        assert!(own.claim("sshd", &id, 800.0, 130.0));
        assert_eq!(
            own.deleted(&decision(8, "sshd", -1.0), 135.0).as_deref(),
            Some("sshd")
        );
    }
}
