//! How a jail judges failures: each is a [`Case`] that may need answers from outside before it is
//! ignored or counted. Cases are judged in order; while one waits the others wait behind it. Those of
//! host names wait apart until their name is looked up.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::core::Ignorance;
use super::decision::{Decision, local_time};
use super::inquiry::{self, Answer, Case, Origin, Question, Teller};
use super::names;
use super::task::{Task, now};
use crate::action::Order;
use crate::address::Address;
use crate::control::Value;
use crate::filter::FailureId;
use crate::log;
use crate::pattern::UseDns;
use crate::{debug, info};

const FILTER: &str = "fail2ban.filter";
const ACTIONS: &str = "fail2ban.actions";

/// How long names of `ignoreip` hold, and the contents of its files (fact J27).
const NAMES_HOLD: Duration = Duration::from_secs(300);
const FILES_HOLD: Duration = Duration::from_secs(1);
const BROKEN_FILES_HOLD: Duration = Duration::from_secs(60);

impl Task {
    /// Judges cases until one has a question, or none is left.
    pub(super) fn judge_cases(&mut self) {
        while self.asked.is_none()
            && let Some(mut case) = self.next_case()
        {
            if let FailureId::Name(name) = &case.id {
                let name = name.clone();
                match self.context.names.known(&name) {
                    Some(addresses) if !self.naming.asks(&name) => {
                        self.resolved(&name, &addresses, vec![case]);
                    }
                    _ => {
                        // it may wait for long
                        self.core.evidence.keep(&case.ticket.evidence);
                        self.naming.put_aside(&self.context.names, &name, case);
                    }
                }
                continue;
            }
            match self.judge(&mut case) {
                Some(question) => self.asked = Some((case, question)),
                None => self.conclude(case),
            }
        }
        if self.is_free() && !self.naming.holds_failures() {
            self.intake.judged(Instant::now());
        }
    }

    /// A name was looked up.
    pub(super) fn learn_name(&mut self, name: &str, addresses: &Arc<[IpAddr]>) {
        self.core.know_name(name, addresses);
        let failures = self.naming.take(name);
        self.resolved(name, addresses, failures);
        self.judge_cases();
    }

    /// Failures of a name become one for each of its addresses, before those that came later.
    fn resolved(&mut self, name: &str, addresses: &[IpAddr], failures: Vec<Case>) {
        for failure in failures.iter().rev() {
            if self.core.usedns() == UseDns::Warn {
                names::tell_found(name, addresses);
            }
            for ip in addresses.iter().rev() {
                self.cases
                    .push_front(failure.with_address(Address::Ip(*ip)));
            }
        }
    }

    /// An idle jail judges no lines, but does what it is told, unless its settings are being
    /// exchanged.
    fn next_case(&mut self) -> Option<Case> {
        if !self.idle {
            return self.cases.pop_front();
        }
        let told = |case: &Case| matches!(case.origin, Origin::Attempt { .. });
        let at = self.cases.iter().position(told)?;
        match self.before_reload {
            None => self.cases.remove(at),
            Some(_) => None,
        }
    }

    /// The next question a case has; `None`: it can be concluded.
    fn judge(&mut self, case: &mut Case) -> Option<Question> {
        let FailureId::Address(id) = &case.id else {
            return None;
        };
        let id = id.clone();
        if case.ignored.is_none() {
            if let Some(question) = self.prepare_ignoring() {
                return Some(question);
            }
            if case.key.is_none()
                && let Some(key) = self.core.ignore_key()
            {
                let key = key.to_owned();
                return Some(inquiry::key(self.teller(), case.ticket.clone(), key));
            }
            if matches!(case.origin, Origin::Log) {
                let time = case.ticket.time;
                debug!(FILTER, "Processing line with time:{time:?} and ip:{id}");
            }
            match self.core.ignored(&id, case.key.as_deref(), now()) {
                Ignorance::No => case.ignored = Some(false),
                Ignorance::Known => case.ignored = Some(true),
                Ignorance::By(by) => {
                    self.carry_out(vec![Decision::Ignored { id: id.clone(), by }]);
                    case.ignored = Some(true);
                }
                Ignorance::Ask(command) => {
                    let ticket = case.ticket.clone();
                    return Some(inquiry::command(self.teller(), ticket, command));
                }
            }
        }
        let counts = !matches!(case.origin, Origin::Restored) && case.ignored == Some(false);
        if counts
            && case.past.is_none()
            && self.core.wants_past()
            && let Some(store) = &self.context.store
        {
            let everywhere = self.core.wants_past_everywhere();
            let jail = self.core.name().to_owned();
            let banned = self.core.ban_id(&id);
            return Some(inquiry::past(store.clone(), jail, banned, everywhere));
        }
        None
    }

    /// What `ignoreip` and `ignoreself` need to know before they are asked.
    fn prepare_ignoring(&mut self) -> Option<Question> {
        if self.core.ignores_self() {
            match self.context.names.own_addresses_now() {
                Some(own) => self.core.know_own_addresses(own),
                None => {
                    let names = self.context.names.clone();
                    return Some(Box::pin(async move {
                        names.own_addresses().await;
                        Answer::Own
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
        Some(inquiry::outside(
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
                None => self.naming.ask(&self.context.names, name),
            }
        }
    }

    /// Takes the answer to the question under way and goes on.
    pub(super) fn learn(&mut self, answer: Answer) {
        let Some((mut case, _)) = self.asked.take() else {
            return;
        };
        match answer {
            Answer::Own => {}
            Answer::Outside(outside) => self.learn_outside(outside),
            Answer::Key(key) => case.key = Some(key),
            Answer::Ignored(ignored) => {
                if ignored && let FailureId::Address(id) = &case.id {
                    let (id, by) = (id.clone(), "command".to_owned());
                    self.carry_out(vec![Decision::Ignored { id, by }]);
                }
                self.core
                    .remember_ignored(case.key.as_deref(), ignored, now());
                case.ignored = Some(ignored);
            }
            Answer::Past(past) => case.past = Some(past),
        }
        self.cases.push_front(case);
        self.judge_cases();
    }

    fn learn_outside(&mut self, outside: inquiry::Outside) {
        let mut new_names = false;
        for (path, text, stamp) in outside.files {
            self.core.know_file(&path, &text);
            self.files.insert(path, stamp);
            new_names = true;
        }
        self.core.know_names(outside.names);
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
    fn conclude(&mut self, case: Case) {
        let FailureId::Address(id) = case.id else {
            return;
        };
        let ignored = case.ignored == Some(true);
        let past = case.past.unwrap_or_default();
        let (now, ticket) = (now(), case.ticket);
        let mut decisions = Vec::new();
        let mut answer = None;
        match case.origin {
            Origin::Log if !ignored => {
                decisions = self
                    .core
                    .count(&id, ticket.time, &ticket.evidence, &past, now);
            }
            Origin::Restored if !ignored => {
                self.core.ban(ticket, &past, now, &mut decisions);
            }
            Origin::Attempt { lines, reply } => {
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
            Origin::Log | Origin::Restored => {}
        }
        self.carry_out(decisions);
        if let Some((answer, reply)) = answer {
            self.answer_when_written(answer, reply);
        }
    }

    /// Logs and does what was decided. A ban is in the database's queue before its order is in the
    /// actions'.
    pub(super) fn carry_out(&mut self, decisions: Vec<Decision>) {
        self.carry_out_for(decisions, false);
    }

    /// As [`Task::carry_out`]; what somebody asked for (`by_hand`) goes before bans that wait.
    pub(super) fn carry_out_for(&mut self, decisions: Vec<Decision>, by_hand: bool) {
        let (mut banned, mut unbanned) = (0, 0);
        for decision in decisions {
            let jail = self.core.name();
            if self.context.events.are_heard() {
                self.context.events.announce(jail, &decision, now());
            }
            if let Some((level, target, text)) = decision.log_line(self.core.name())
                && log::enabled(level)
            {
                log::write(level, target, format_args!("{text}"));
            }
            match decision {
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

    fn teller(&self) -> Teller {
        Teller {
            jail: self.core.name().to_owned(),
            store: self.context.store.clone(),
            figures: self.core.figures(),
        }
    }
}
