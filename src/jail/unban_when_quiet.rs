//! `unbanwhenquiet`, an option that the original does not have: an expired ban is lifted only when its
//! address is quiet. The actions are asked whether it is (`actionquiet`): they see what the firewall still
//! drops.
#![forbid(unsafe_code)]

use super::core::JailCore;
use super::decision::Decision;
use crate::address::Address;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// Seconds a ban goes on while its actions are asked; without an answer they are asked again.
const GRACE: f64 = 60.0;

/// Bans asked about in one go.
const BATCH: usize = 20;

impl JailCore {
    /// Bans whose time is over, to be asked about; meanwhile they go on.
    pub(super) fn ask_about_ended(&mut self, now: Timestamp) -> Vec<Decision> {
        let ended = self.bans.postpone_due(now, BATCH, GRACE);
        ended.into_iter().map(Decision::AskQuiet).collect()
    }

    /// Takes the answer: the ban is lifted, or goes on for the jail's bantime.
    pub fn answer_quiet(&mut self, id: &Address, quiet: bool, now: Timestamp) -> Vec<Decision> {
        if quiet {
            let ticket = self.bans.remove(id);
            return ticket.map(Decision::Unban).into_iter().collect();
        }
        // lifted by hand meanwhile
        let Some(ticket) = self.bans.get(id) else {
            return Vec::new();
        };
        let length = match self.bans.default_length() {
            BanTime::Seconds(seconds) => BanTime::Seconds(now - ticket.time + seconds),
            BanTime::Permanent => BanTime::Permanent,
        };
        self.bans.lengthen(id, length, ticket.bancount);
        let ticket = Ticket {
            bantime: Some(length),
            ..ticket
        };
        vec![
            Decision::StillActive(ticket.clone()),
            Decision::Record(ticket.clone()),
            Decision::Prolong(ticket),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::core::PriorBans;
    use super::*;
    use crate::control::{JailSetting, Value};

    #[test]
    fn a_ban_ends_when_its_address_is_quiet() {
        let mut core = JailCore::new("j", true);
        core.apply(&JailSetting::set("ignoreself", false.into()))
            .unwrap()
            .unwrap();
        core.apply(&JailSetting::set("bantime", Value::Int(600)))
            .unwrap()
            .unwrap();
        core.apply(&JailSetting::set("unbanwhenquiet", "true".into()))
            .unwrap()
            .unwrap();
        let id = Address::parse("192.0.2.1");
        let mut decisions = Vec::new();
        core.ban(
            Ticket::new(id.clone(), 1000.0),
            &PriorBans::default(),
            1000.0,
            &mut decisions,
        );
        let asked = |core: &mut JailCore, now| {
            let asks = |decision: &Decision| matches!(decision, Decision::AskQuiet(ticket) if ticket.id == id);
            core.due(now).iter().any(asks)
        };
        assert!(!asked(&mut core, 1600.0));
        assert!(asked(&mut core, 1601.0));
        // not twice, unless no answer comes
        assert!(!asked(&mut core, 1602.0));
        assert!(asked(&mut core, 1601.0 + GRACE + 1.0));
        let decisions = core.answer_quiet(&id, false, 1700.0);
        let Some(Decision::StillActive(ticket)) = decisions.first() else {
            panic!("{decisions:?}");
        };
        assert_eq!(ticket.bantime, Some(BanTime::Seconds(1300.0)));
        assert!(!asked(&mut core, 2300.0));
        assert!(asked(&mut core, 2301.0));
        assert!(matches!(
            core.answer_quiet(&id, true, 2302.0).as_slice(),
            [Decision::Unban(_)]
        ));
        assert!(!core.is_banned(&id));
        assert!(core.answer_quiet(&id, false, 2303.0).is_empty());
    }
}
