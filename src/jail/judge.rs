//! Judges failures in order. A [`PendingFailure`] may need a lookup before it is ignored or counted;
//! while one waits, those behind it wait too. Failures of host names wait apart until the name is
//! resolved.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::ban_exchange::BanExchange;
use super::core::IgnoreVerdict;
use super::decision::{Decision, local_time};
use super::dns_cache;
use super::lookup::{self, Lookup, LookupResult, TagContext};
use super::pending::{FailureOrigin, PendingAnswer, PendingFailure};
use super::task::JailTask;
use crate::action::Order;
use crate::address::Address;
use crate::clock::now;
use crate::control::Value;
use crate::filter::FailureId;
use crate::log;
use crate::origin;
use crate::pattern::UseDns;
use crate::{debug, info};

const FILTER: &str = "fail2ban.filter";
const ACTIONS: &str = "fail2ban.actions";

/// How long names of `ignoreip` hold, and the contents of its files (fact J27).
const NAMES_HOLD: Duration = Duration::from_secs(300);
const FILES_HOLD: Duration = Duration::from_secs(1);
const BROKEN_FILES_HOLD: Duration = Duration::from_secs(60);

impl JailTask {
    /// Judges failures until one needs an answer from outside, or none is left.
    pub(super) fn judge_pending(&mut self) {
        while let Some(mut failure) = self.next_pending() {
            if let FailureId::Name(name) = &failure.id {
                let name = name.clone();
                let waiting = self.pending.names();
                match self.context.names.known(&name) {
                    Some(addresses) if !waiting.asks(&name) => {
                        self.resolved(&name, &addresses, vec![failure]);
                    }
                    _ => {
                        // it may wait for long
                        self.core.evidence.keep(&failure.ticket.evidence);
                        waiting.put_aside(&self.context.names, &name, failure);
                    }
                }
                continue;
            }
            match self.judge(&mut failure) {
                Some(lookup) => self.pending.wait(failure, lookup),
                None => self.finish(failure),
            }
        }
        self.apply_remote();
        if self.pending.is_empty() {
            self.intake.judged(Instant::now());
            self.all_judged();
        }
    }

    /// Takes what became known, and goes on.
    pub(super) fn on_found(&mut self, found: PendingAnswer) {
        match found {
            PendingAnswer::Lookup(result) => self.on_lookup(result),
            PendingAnswer::Name(name, addresses) => self.on_name(&name, &addresses),
        }
    }

    fn on_name(&mut self, name: &str, addresses: &Arc<[IpAddr]>) {
        self.core.know_name(name, addresses);
        let failures = self.pending.names().take(name);
        self.resolved(name, addresses, failures);
        self.judge_pending();
    }

    /// Failures of a name become one for each of its addresses, before those that came later.
    fn resolved(&mut self, name: &str, addresses: &[IpAddr], failures: Vec<PendingFailure>) {
        for failure in failures.iter().rev() {
            if self.core.usedns() == UseDns::Warn {
                dns_cache::tell_found(name, addresses);
            }
            for ip in addresses.iter().rev() {
                self.pending
                    .push_front(failure.with_address(Address::Ip(*ip)));
            }
        }
    }

    /// An idle jail judges no lines, but does what it is told, unless its settings are being
    /// exchanged.
    fn next_pending(&mut self) -> Option<PendingFailure> {
        match (self.idle, &self.before_reload) {
            (false, _) => self.pending.pop(),
            (true, None) => self.pending.pop_attempt(),
            (true, Some(_)) => None,
        }
    }

    /// The next answer that a failure needs; `None`: all is known.
    fn judge(&mut self, failure: &mut PendingFailure) -> Option<Lookup> {
        let FailureId::Address(id) = &failure.id else {
            return None;
        };
        let id = id.clone();
        if matches!(failure.origin, FailureOrigin::RemoteEnd(_)) {
            return None;
        }
        if failure.ignored.is_none() {
            if let Some(lookup) = self.prepare_ignoring() {
                return Some(lookup);
            }
            if failure.key.is_none()
                && let Some(key) = self.core.ignore_key()
            {
                let key = key.to_owned();
                return Some(lookup::key(self.tag_context(), failure.ticket.clone(), key));
            }
            if matches!(failure.origin, FailureOrigin::Log) {
                let time = failure.ticket.time;
                debug!(FILTER, "Processing line with time:{time:?} and ip:{id}");
            }
            match self.core.ignored(&id, failure.key.as_deref(), now()) {
                IgnoreVerdict::NotIgnored => failure.ignored = Some(false),
                IgnoreVerdict::Cached => failure.ignored = Some(true),
                IgnoreVerdict::Ignored(by) => {
                    self.apply_decisions(vec![Decision::Ignored { id: id.clone(), by }]);
                    failure.ignored = Some(true);
                }
                IgnoreVerdict::RunCommand(command) => {
                    let ticket = failure.ticket.clone();
                    return Some(lookup::command(self.tag_context(), ticket, command));
                }
            }
        }
        let made = matches!(
            failure.origin,
            FailureOrigin::Restored | FailureOrigin::Remote
        );
        let counts = !made && failure.ignored == Some(false);
        if counts
            && failure.past.is_none()
            && self.core.wants_past()
            && let Some(store) = &self.context.store
        {
            let everywhere = self.core.wants_past_everywhere();
            let jail = self.core.name().to_owned();
            let banned = self.core.ban_id(&id);
            return Some(lookup::past(store.clone(), jail, banned, everywhere));
        }
        None
    }

    /// What `ignoreip` and `ignoreself` need to know before they are asked.
    fn prepare_ignoring(&mut self) -> Option<Lookup> {
        if self.core.ignores_self() {
            match self.context.names.own_addresses_now() {
                Some(own) => self.core.know_own_addresses(own),
                None => {
                    let names = self.context.names.clone();
                    return Some(Box::pin(async move {
                        names.own_addresses().await;
                        LookupResult::Own
                    }));
                }
            }
        }
        if self
            .outside_until
            .is_some_and(|until| Instant::now() < until)
        {
            return None;
        }
        let (names, files) = (self.core.ignored_names(), self.core.ignored_files());
        if names.is_empty() && files.is_empty() {
            self.outside_until = Some(Instant::now() + NAMES_HOLD);
            return None;
        }
        let unknown = self.core.unknown_names();
        self.renew(&names);
        if unknown.is_empty() && files.is_empty() {
            self.outside_until = Some(Instant::now() + NAMES_HOLD);
            return None;
        }
        Some(lookup::outside(
            self.context.names.clone(),
            unknown,
            files,
            self.files.clone(),
        ))
    }

    /// Looks up names of `ignoreip` that are out of date; what is known of them serves meanwhile.
    pub(super) fn renew(&mut self, ignored: &[String]) {
        for name in ignored {
            match self.context.names.known(name) {
                Some(addresses) => self.core.know_name(name, &addresses),
                None => self.pending.ask(&self.context.names, name),
            }
        }
    }

    fn on_lookup(&mut self, result: LookupResult) {
        let Some(mut failure) = self.pending.answered() else {
            return;
        };
        match result {
            LookupResult::Own => {}
            LookupResult::IgnoreData(data) => self.on_ignore_data(data),
            LookupResult::Key(key) => failure.key = Some(key),
            LookupResult::Ignored(ignored) => {
                if ignored && let FailureId::Address(id) = &failure.id {
                    let (id, by) = (id.clone(), "command".to_owned());
                    self.apply_decisions(vec![Decision::Ignored { id, by }]);
                }
                self.core
                    .remember_ignored(failure.key.as_deref(), ignored, now());
                failure.ignored = Some(ignored);
            }
            LookupResult::Past(past) => failure.past = Some(past),
        }
        self.pending.push_front(failure);
        self.judge_pending();
    }

    fn on_ignore_data(&mut self, data: lookup::IgnoreData) {
        let mut new_names = false;
        for (path, text, stamp) in data.files {
            self.core.know_file(&path, &text);
            self.files.insert(path, stamp);
            new_names = true;
        }
        self.core.know_names(data.names);
        let files = self.core.ignored_files();
        let hold = if files.is_empty() {
            NAMES_HOLD
        } else if files.iter().all(|path| self.files.contains_key(path)) {
            FILES_HOLD
        } else {
            BROKEN_FILES_HOLD
        };
        // names that a file has just brought are still to be looked up
        self.outside_until =
            (!new_names || self.core.ignored_names().is_empty()).then(|| Instant::now() + hold);
    }

    /// Everything is known: count, ban, or do nothing.
    fn finish(&mut self, failure: PendingFailure) {
        let FailureId::Address(id) = failure.id else {
            return;
        };
        let ignored = failure.ignored == Some(true);
        let past = failure.past.unwrap_or_default();
        let (now, ticket) = (now(), failure.ticket);
        let mut decisions = Vec::new();
        let mut answer = None;
        if !matches!(failure.origin, FailureOrigin::Remote) {
            self.apply_remote();
        }
        match failure.origin {
            FailureOrigin::Log if !ignored => {
                decisions = self
                    .core
                    .count(&id, ticket.time, &ticket.evidence, &past, now);
            }
            FailureOrigin::Restored if !ignored => {
                self.core.ban(ticket, &past, now, &mut decisions);
            }
            FailureOrigin::Attempt { lines, reply } => {
                if !ignored {
                    info!(
                        "fail2ban.filter",
                        "[{}] Attempt {} - {}",
                        self.core.name(),
                        id,
                        local_time(now)
                    );
                    decisions = self.core.attempt(&id, &lines, &past, now);
                }
                answer = Some((Ok(Value::Int(i64::from(!ignored))), reply));
            }
            FailureOrigin::Remote if !ignored && !self.core.spares_part_of(&id) => {
                self.core.remote_ban(ticket, now, &mut self.remote);
            }
            FailureOrigin::RemoteEnd(until) => {
                self.core.remote_end(&id, until, now, &mut decisions);
                if let [Decision::Unban(ticket)] = &decisions[..] {
                    if !ticket.origin().is_elsewhere() {
                        // the fleet has lifted a ban of this host, of which it has told others too
                        self.share_unban(BanExchange::Crowdsec, ticket);
                    }
                    self.forget(vec![id]);
                }
            }
            FailureOrigin::Log | FailureOrigin::Restored | FailureOrigin::Remote => {}
        }
        self.apply_decisions(decisions);
        if let Some((answer, reply)) = answer {
            self.answer_when_written(answer, reply);
        }
    }

    /// Carries out what was decided by the word of other hosts: hundreds of bans that come at once are one
    /// step of the database.
    fn apply_remote(&mut self) {
        let decisions = std::mem::take(&mut self.remote);
        if decisions.is_empty() {
            return;
        }
        let is_record = |decision: &Decision| matches!(decision, Decision::Record(_));
        let (records, others): (Vec<_>, Vec<_>) = decisions.into_iter().partition(is_record);
        if let Some(store) = &self.context.store
            && !self.core.simulates()
        {
            let tickets = records.into_iter().filter_map(|record| match record {
                Decision::Record(ticket) => Some(ticket),
                _ => None,
            });
            let renewed: Vec<Address> = others.iter().filter_map(renewed_by_list).collect();
            if !renewed.is_empty() {
                store.delete_bans(self.core.name(), Some(renewed));
            }
            store.add_bans(self.core.name(), &tickets.collect::<Vec<_>>());
        }
        self.apply_decisions(others);
    }

    /// Logs and does what was decided. A ban is in the database's queue before its order is in the
    /// actions'.
    pub(super) fn apply_decisions(&mut self, decisions: Vec<Decision>) {
        self.apply_decisions_for(decisions, false);
    }

    /// As [`JailTask::apply_decisions`]; what somebody asked for (`by_hand`) goes before bans that wait.
    pub(super) fn apply_decisions_for(&mut self, decisions: Vec<Decision>, by_hand: bool) {
        let (mut banned, mut unbanned) = (0, 0);
        let _together = (decisions.len() > 1).then(|| self.actions.together());
        let simulates = self.core.simulates();
        let shares = self.core.options.take_part() && !simulates;
        for decision in decisions {
            if shares {
                self.share(&decision);
            }
            let jail = self.core.name();
            if self.context.events.are_heard() {
                self.context
                    .events
                    .announce(jail, &decision, simulates, now());
            }
            let line = decision.log_line(self.core.name(), simulates, &mut self.stamp);
            if let Some((level, target, text)) = line
                && log::enabled(level)
            {
                log::write(level, target, format_args!("{text}"));
            }
            match decision {
                _ if simulates => {}
                Decision::Record(ticket) => {
                    if let Some(store) = &self.context.store {
                        store.add_ban(self.core.name(), &ticket);
                    }
                }
                Decision::Ban { ticket, figures } => {
                    banned += 1;
                    self.actions.send(Order::Ban {
                        ticket,
                        figures,
                        again: false,
                        by_hand,
                    });
                }
                Decision::Already { ticket, check, .. } => {
                    if check {
                        self.actions.send(Order::Check(oneshot::channel().0));
                    }
                    self.actions.send(Order::Ban {
                        ticket,
                        figures: self.core.figures(),
                        again: true,
                        by_hand,
                    });
                }
                Decision::Prolong(ticket) => self.actions.send(Order::Prolong(ticket)),
                Decision::AskQuiet(ticket) => {
                    let reply = self.quiet.0.clone();
                    self.actions.send(Order::Quiet(ticket, reply));
                }
                Decision::Unban(ticket) => {
                    unbanned += 1;
                    self.actions.send(Order::Unban {
                        ticket,
                        figures: Some(self.core.figures()),
                    });
                }
                _ => {}
            }
        }
        self.tell_bans(banned, unbanned);
    }

    fn tell_bans(&self, banned: usize, unbanned: usize) {
        let figures = self.core.figures();
        let jail = Value::from(self.core.name());
        let (total, now) = (figures.banned_total, figures.banned);
        if banned > 0 {
            let jail = jail.repr();
            debug!(
                ACTIONS,
                "Banned {banned} / {total}, {now} ticket(s) in {jail}"
            );
        }
        if unbanned > 0 {
            let jail = jail.repr();
            debug!(ACTIONS, "Unbanned {unbanned}, {now} ticket(s) in {jail}");
        }
    }

    fn tag_context(&self) -> TagContext {
        TagContext {
            jail: self.core.name().to_owned(),
            store: self.context.store.clone(),
            figures: self.core.figures(),
            common: self.context.common.clone(),
        }
    }
}

/// Lists renew their bans for ever: each has one row in the database, and the last goes.
fn renewed_by_list(decision: &Decision) -> Option<Address> {
    match decision {
        Decision::Prolong(ticket) => match ticket.origin() {
            origin::BanOrigin::List(_) => Some(ticket.id.clone()),
            _ => None,
        },
        _ => None,
    }
}
