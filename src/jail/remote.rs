//! A jail and the bans of others (fleet, CrowdSec): it sends its own decisions, and applies received ones
//! unless its ignore list covers the address.

use std::time::Duration;

use tokio::sync::oneshot;

use super::Jail;
use super::ban_exchange::{BanExchange, ExchangeMode};
use super::ban_list::end_of;
use super::core::{JailCore, JailOptions};
use super::decision::Decision;
use super::link::{DecidedBy, JailUpdate, Link, OwnBan, RemoteChange};
use super::pending::{FailureOrigin, PendingFailure};
use super::task::{JailRequest, JailTask};
use crate::address::Address;
use crate::clock::now;

use crate::fields::MatchLine;
use crate::filter::FailureId;
use crate::origin;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// Writes that wait for the database when bans of other hosts have to wait as well, each of many bans.
const BEHIND: usize = 32;

/// The longest that bans wait for others which belong to them.
const GATHERING: Duration = Duration::from_secs(10);

impl JailOptions {
    fn mode(&self, exchange: BanExchange) -> ExchangeMode {
        match exchange {
            BanExchange::Fleet => self.fleet,
            BanExchange::Crowdsec => self.crowdsec,
        }
    }

    /// Whether it has to do with any others.
    pub(super) fn take_part(&self) -> bool {
        BanExchange::ALL
            .iter()
            .any(|exchange| self.mode(*exchange).takes_part())
    }
}

impl Jail {
    /// What its options say of telling and hearing others.
    pub fn mode(&self, exchange: BanExchange) -> ExchangeMode {
        self.modes.of(exchange).get()
    }

    /// Has it do what others have decided; waits until all of it is judged. `more`: further changes belong to these,
    /// and the actions do all of them together.
    pub async fn remote(&self, exchange: BanExchange, changes: Vec<RemoteChange>, more: bool) {
        let (reply, done) = oneshot::channel();
        let request = JailRequest::Remote(exchange, changes, more, reply);
        // a jail that is gone has nothing to do any more
        let _ = self.ask(request, done).await;
    }

    /// The bans in force that this host has decided on.
    pub async fn own_bans(&self) -> Vec<OwnBan> {
        self.bans_of(DecidedBy::Own).await
    }

    /// The bans in force that lists have decided on.
    pub async fn list_bans(&self) -> Vec<OwnBan> {
        self.bans_of(DecidedBy::Lists).await
    }

    async fn bans_of(&self, whose: DecidedBy) -> Vec<OwnBan> {
        let (reply, bans) = oneshot::channel();
        let request = JailRequest::BansOf(whose, reply);
        self.ask(request, bans).await.unwrap_or_default()
    }
}

impl JailTask {
    /// Lets the handle see what the options say, and tells others where that has changed. In the middle of a
    /// reload they say nothing.
    pub(super) fn show_modes(&mut self) {
        for exchange in BanExchange::ALL {
            let mode = self.core.options.mode(exchange);
            let seen = self.modes.of(exchange);
            if self.before_reload.is_some() || mode == seen.get() {
                continue;
            }
            seen.set(mode);
            // a jail that starts says so when it has its bans from the database
            if self.is_started() && !self.starting {
                let told = match mode.takes_part() {
                    true => JailUpdate::Started,
                    false => JailUpdate::Stopped,
                };
                self.tell(exchange, told);
            }
        }
    }

    fn link(&self, exchange: BanExchange) -> &Link {
        match exchange {
            BanExchange::Fleet => &self.context.fleet,
            BanExchange::Crowdsec => &self.context.crowdsec,
        }
    }

    fn tell(&self, exchange: BanExchange, told: JailUpdate) {
        self.link(exchange).tell(self.core.name(), told);
    }

    /// Tells all others with whom it has to do.
    pub(super) fn tell_others(&self, told: impl Fn() -> JailUpdate) {
        for exchange in BanExchange::ALL {
            if self.core.options.mode(exchange).takes_part() {
                self.tell(exchange, told());
            }
        }
    }

    /// From now on the actions wait with bans, until what this answers is dropped; not for long, should nobody do so.
    fn gather(&self) -> oneshot::Sender<()> {
        let together = self.actions.together();
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            // either way it is over
            let _ = tokio::time::timeout(GATHERING, ended).await;
            drop(together);
        });
        end
    }

    /// Nothing waits to be judged: whoever waited for that is told.
    pub(super) fn all_judged(&mut self) {
        if std::mem::take(&mut self.gathered) {
            self.gathering = None;
        }
        for reply in std::mem::take(&mut self.judging) {
            let behind = self
                .context
                .store
                .as_ref()
                .is_some_and(|store| store.waiting() > BEHIND);
            match behind {
                // else more would come than the database can take
                true => self.answer_when_written((), reply),
                // whoever waited may have given up
                false => drop(reply.send(())),
            }
        }
        if std::mem::take(&mut self.starting) {
            self.tell_others(|| JailUpdate::Started);
        }
    }

    /// Tells others of a ban that this host has decided on.
    pub(super) fn share(&self, decision: &Decision) {
        let (ticket, until) = match decision {
            Decision::Record(ticket) if !ticket.origin().is_elsewhere() => {
                let length = ticket.bantime.unwrap_or(self.core.default_ban_time());
                (ticket, end_of(ticket.time, length))
            }
            // it failed here as well, whoever has banned it first
            Decision::Already { ticket, until, .. } => (ticket, *until),
            _ => return,
        };
        for exchange in BanExchange::ALL {
            if self.core.options.mode(exchange).takes_part() && self.link(exchange).wants_bans() {
                self.tell(exchange, JailUpdate::Ban(own_ban(ticket, until)));
            }
        }
    }

    /// Tells others that somebody has lifted a ban.
    pub(super) fn share_unban_everywhere(&self, ticket: &Ticket) {
        for exchange in BanExchange::ALL {
            self.share_unban(exchange, ticket);
        }
    }

    /// Tells it to those at the end of one road.
    pub(super) fn share_unban(&self, exchange: BanExchange, ticket: &Ticket) {
        if self.core.options.mode(exchange).takes_part() && !self.core.simulates() {
            let length = ticket.bantime.unwrap_or(self.core.default_ban_time());
            let end = end_of(ticket.time, length);
            self.tell(exchange, JailUpdate::Unban(ticket.id.clone(), end));
        }
    }

    /// Judges what others have decided as it judges what it finds: in order, and by its own rules.
    pub(super) fn remote(
        &mut self,
        exchange: BanExchange,
        changes: Vec<RemoteChange>,
        more: bool,
        reply: oneshot::Sender<()>,
    ) {
        match more {
            true if self.gathering.is_none() => self.gathering = Some(self.gather()),
            true => {}
            false => self.gathered = true,
        }
        // an idle jail asks for all of it when it goes on
        let deaf = self.idle && self.before_reload.is_none();
        if self.is_started() && !deaf && self.core.options.mode(exchange).receives {
            for change in changes {
                let ended =
                    |until| move |id| (FailureOrigin::RemoteEnd(until), Ticket::new(id, now()));
                let orders: Vec<_> = match change {
                    RemoteChange::Ban(ticket) => vec![(FailureOrigin::Remote, ticket)],
                    RemoteChange::Until(id, until) => vec![ended(until)(id)],
                    RemoteChange::Lift(within, host) => {
                        let ids = self.core.remote_ids(within.as_ref(), host.as_deref());
                        ids.into_iter().map(ended(None)).collect()
                    }
                };
                for (origin, ticket) in orders {
                    let id = FailureId::Address(ticket.id.clone());
                    self.pending.push(PendingFailure::new(origin, id, ticket));
                }
            }
        }
        self.judging.push(reply);
        self.judge_pending();
    }
}

fn own_ban(ticket: &Ticket, until: Timestamp) -> OwnBan {
    let lines = ticket.matches();
    OwnBan {
        id: ticket.id.clone(),
        since: ticket.time,
        until,
        bancount: ticket.bancount,
        reason: lines.last().map(MatchLine::text).unwrap_or_default(),
    }
}

impl JailCore {
    /// The bans that these have decided on; none where they are only said to be made.
    pub(super) fn bans_of(&self, whose: DecidedBy) -> Vec<OwnBan> {
        if self.simulates() {
            return Vec::new();
        }
        let tickets = self.banned_tickets().into_iter();
        let theirs = tickets.filter(|ticket| match (whose, ticket.origin()) {
            (DecidedBy::Own, origin) => !origin.is_elsewhere(),
            (DecidedBy::Lists, origin) => matches!(origin, origin::BanOrigin::List(_)),
        });
        theirs
            .map(|ticket| {
                let length = ticket.bantime.unwrap_or(self.default_ban_time());
                own_ban(&ticket, end_of(ticket.time, length))
            })
            .collect()
    }

    /// Bans whom another host has banned, or for longer who is banned.
    pub(super) fn remote_ban(
        &mut self,
        ticket: Ticket,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        let length = ticket.bantime.unwrap_or(self.default_ban_time());
        let end = end_of(ticket.time, length);
        match self.banned_ticket(&ticket.id) {
            None => {
                self.ban(ticket, &Default::default(), now, decisions);
            }
            Some(present) => {
                let present_length = present.bantime.unwrap_or(self.default_ban_time());
                if end > end_of(present.time, present_length) {
                    self.end_at(&present, end, decisions);
                    decisions.extend(self.banned_ticket(&present.id).map(Decision::Prolong));
                }
            }
        }
    }

    /// A ban ends then, or now.
    pub(super) fn remote_end(
        &mut self,
        id: &Address,
        until: Option<Timestamp>,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        match (until, self.banned_ticket(id)) {
            (Some(until), Some(present)) if until > now => self.end_at(&present, until, decisions),
            (_, Some(_)) => decisions.extend(self.unban(id).map(Decision::Unban)),
            (_, None) => {}
        }
    }

    /// Who is banned by the word of this host, or of any; within this network, or anywhere.
    fn remote_ids(&self, within: Option<&Address>, host: Option<&str>) -> Vec<Address> {
        let candidates = match within {
            Some(one) if one.is_single() => self.banned_ticket(one).into_iter().collect(),
            _ => self.banned_tickets(),
        };
        let concerned = candidates.into_iter().filter(|ticket| {
            let inside = within.is_none_or(|within| within.contains(&ticket.id));
            inside
                && match ticket.origin() {
                    origin::BanOrigin::Fleet(by) => host.is_none_or(|host| host == by),
                    _ => false,
                }
        });
        concerned.map(|ticket| ticket.id).collect()
    }

    fn end_at(&mut self, present: &Ticket, end: Timestamp, decisions: &mut Vec<Decision>) {
        let length = match end.is_finite() {
            true => BanTime::Seconds(end - present.time),
            false => BanTime::Permanent,
        };
        if present.bantime != Some(length) {
            self.bans.lengthen(&present.id, length, present.bancount);
            decisions.extend(self.banned_ticket(&present.id).map(Decision::Record));
        }
    }

    /// Whether something inside of a network that others have banned is ignored here.
    pub(super) fn spares_part_of(&self, id: &Address) -> bool {
        match id {
            Address::Net(net) => self.options.ignore.reaches_into(net, &self.known),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::JailSetting;

    fn core() -> JailCore {
        let mut core = JailCore::new("j", false);
        core.apply(&JailSetting::set("bantime", 100.into()));
        core
    }

    fn remote(id: &str, time: f64, seconds: f64) -> Ticket {
        let mut ticket = Ticket::new(Address::parse(id), time);
        ticket.bantime = Some(BanTime::Seconds(seconds));
        ticket.set_origin(&origin::BanOrigin::Fleet("mx2".into()));
        ticket
    }

    fn end(core: &JailCore, id: &str) -> Option<f64> {
        let ticket = core.banned_ticket(&Address::parse(id))?;
        Some(end_of(ticket.time, ticket.bantime?))
    }

    #[test]
    fn modes_are_read_and_written() {
        let mut mode = ExchangeMode::default();
        for (text, words) in [
            ("off", "off"),
            ("send", "send"),
            ("receive", "receive"),
            ("receive,send", "send, receive"),
            ("send receive", "send, receive"),
        ] {
            mode.read("fleet", &text.into()).unwrap();
            assert_eq!(mode.words(), words);
        }
        assert!(mode.read("fleet", &"both".into()).is_err());
        assert_eq!(mode.words(), "send, receive");
    }

    #[test]
    fn a_remote_ban_begins_lasts_and_ends() {
        let mut core = core();
        let id = Address::parse("192.0.2.1");
        let mut decisions = Vec::new();
        core.remote_ban(remote("192.0.2.1", 10.0, 50.0), 12.0, &mut decisions);
        assert!(matches!(
            decisions[..],
            [Decision::Record(_), Decision::Ban { .. }]
        ));
        assert_eq!(end(&core, "192.0.2.1"), Some(60.0));
        assert_eq!(core.bans_of(DecidedBy::Own), []);
        // a shorter one changes nothing, a longer one makes it last
        decisions.clear();
        core.remote_ban(remote("192.0.2.1", 5.0, 50.0), 12.0, &mut decisions);
        assert!(decisions.is_empty());
        core.remote_ban(remote("192.0.2.1", 5.0, 75.0), 12.0, &mut decisions);
        assert!(matches!(
            decisions[..],
            [Decision::Record(_), Decision::Prolong(_)]
        ));
        assert_eq!(end(&core, "192.0.2.1"), Some(80.0));
        core.remote_end(&id, Some(70.0), 12.0, &mut decisions);
        assert_eq!(end(&core, "192.0.2.1"), Some(70.0));
        decisions.clear();
        core.remote_end(&id, None, 12.0, &mut decisions);
        assert!(matches!(decisions[..], [Decision::Unban(_)]));
        decisions.clear();
        core.remote_end(&id, None, 12.0, &mut decisions);
        assert!(decisions.is_empty());
    }

    #[test]
    fn bans_of_a_host_are_found_again() {
        let mut core = core();
        let mut decisions = Vec::new();
        core.remote_ban(remote("192.0.2.1", 10.0, 50.0), 12.0, &mut decisions);
        let own = Ticket::new(Address::parse("192.0.2.2"), 10.0);
        core.ban(own, &Default::default(), 10.0, &mut decisions);
        let found = |within: Option<&str>, host| {
            let within = within.map(Address::parse);
            core.remote_ids(within.as_ref(), host).len()
        };
        assert_eq!(found(None, None), 1);
        assert_eq!(found(None, Some("mx2")), 1);
        assert_eq!(found(None, Some("mx3")), 0);
        assert_eq!(found(Some("192.0.2.0/24"), None), 1);
        assert_eq!(found(Some("192.0.2.1"), Some("mx2")), 1);
        assert_eq!(found(Some("192.0.2.2"), None), 0);
    }

    #[test]
    fn bans_of_this_host_are_its_own() {
        let mut core = core();
        let mut decisions = Vec::new();
        let mut ticket = Ticket::new(Address::parse("192.0.2.2"), 10.0);
        ticket.set_matches(&[MatchLine::Text("why".into())]);
        core.ban(ticket, &Default::default(), 10.0, &mut decisions);
        let own = core.bans_of(DecidedBy::Own);
        assert_eq!(own.len(), 1);
        assert_eq!((own[0].until, own[0].reason.as_str()), (110.0, "why"));
        assert_eq!(own[0].bancount, 1);
    }
}
