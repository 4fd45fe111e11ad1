//! Commands that change bans by hand: `attempt`, `banip`, `unbanip`, `unban` (facts B5, B18, J29,
//! P44–P46, Q7).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::core::PriorBans;
use super::decision::Decision;
use super::lookup;
use super::pending::{FailureOrigin, PendingFailure};
use super::settings::{self, BY_HAND};
use super::task::{JailRequest, JailTask};
use crate::action::Order;
use crate::address::Address;
use crate::clock::now;
use crate::control::command::ManualBan;
use crate::control::{CommandError, Reply, Value};
use crate::fields::{FieldValue, MatchLine};
use crate::filter::FailureId;
use crate::msg;
use crate::ticket::Ticket;

/// Bans by hand whose rows wait for the database at once.
const ROWS: usize = 1000;

impl JailTask {
    /// Answers when what was done is in the database: a server that is killed then has not lost it.
    /// The jail does not wait for it, so many commands share a transaction.
    pub(super) fn answer_when_written<T: Send + 'static>(
        &self,
        answer: T,
        reply: oneshot::Sender<T>,
    ) {
        let store = self.context.store.clone();
        tokio::spawn(async move {
            if let Some(store) = store {
                store.written().await;
            }
            // an answer nobody waits for any more is dropped
            let _ = reply.send(answer);
        });
    }

    pub(super) fn attempt(&mut self, id: &str, lines: Vec<String>, reply: oneshot::Sender<Reply>) {
        let id = Address::parse(id);
        let ticket = Ticket::new(id.clone(), now());
        let origin = FailureOrigin::Attempt { lines, reply };
        let failure = PendingFailure::new(origin, FailureId::Address(id), ticket);
        self.pending.push(failure);
        self.judge_pending();
    }

    /// `banip`: whatever `ignoreip` says (fact J29). A length of its own is neither increased nor
    /// limited by the jail's, not even when the ban is restored.
    pub(super) async fn manual_ban(&mut self, order: &ManualBan) -> Reply {
        let length = match &order.time {
            Some(time) => Some(settings::ban_time_of(settings::seconds(time)?)),
            None => None,
        };
        let mut count = 0;
        for (at, id) in order.ids.iter().enumerate() {
            if let Some(store) = &self.context.store
                && at % ROWS == ROWS - 1
            {
                // none is dropped because too many wait
                store.written().await;
            }
            let id = Address::parse(id);
            let past = match &self.context.store {
                Some(store) if self.core.wants_past() => {
                    let everywhere = self.core.wants_past_everywhere();
                    lookup::history(store, self.core.name(), &id, everywhere).await
                }
                _ => PriorBans::default(),
            };
            let mut decisions = Vec::new();
            let now = now();
            let mut ticket = Ticket::new(id, now);
            if let Some(length) = length {
                ticket.bantime = Some(length);
                ticket.bancount = past.here.as_ref().map_or(0, |past| past.bancount);
                let by_hand = FieldValue::Text("1".to_owned());
                ticket.set_field(BY_HAND, by_hand);
            }
            if let Some(reason) = &order.reason {
                ticket.set_matches(&[MatchLine::Text(reason.clone())]);
            }
            let id = ticket.id.clone();
            let new = self.core.ban(ticket, &past, now, &mut decisions);
            if !new
                && length.is_some()
                && let Some(longer) = self.core.banned_ticket(&id)
            {
                decisions.push(Decision::Record(longer.clone()));
                decisions.push(Decision::Prolong(longer));
            }
            count += i64::from(new);
            self.apply_decisions_for(decisions, true);
        }
        Ok(Value::Int(count))
    }

    /// `forget`: the next failure of these ids is their first. What is banned stays so, as if for
    /// the first time.
    pub(super) async fn forget_past(&mut self, ids: &[String]) -> usize {
        let mut count = 0;
        for id in ids {
            let id = Address::parse(id);
            let mut known = self.core.forget_failures(&id);
            if let Some(store) = &self.context.store {
                let jail = self.core.name();
                known |= store.history(Some(jail), &id).await.is_some();
                self.forget(vec![id.clone()]);
            }
            if let Some(ticket) = self.core.forget_earlier_bans(&id) {
                known = true;
                self.apply_decisions(vec![Decision::Record(ticket)]);
            }
            count += usize::from(known);
        }
        count
    }

    pub(super) fn unban_all(&mut self) -> usize {
        let tickets = self.core.unban_all();
        let count = tickets.len();
        if let Some(store) = &self.context.store {
            store.delete_bans(self.core.name(), None);
        }
        if self.core.simulates() {
            self.apply_decisions(tickets.into_iter().map(Decision::Unban).collect());
            return count;
        }
        for ticket in &tickets {
            self.share_unban_everywhere(ticket);
            let unban = Decision::Unban(ticket.clone());
            self.context
                .events
                .announce(self.core.name(), &unban, false, now());
        }
        self.actions.send(Order::Flush(tickets));
        count
    }

    /// Lifts bans; what is neither banned nor an address may be a name, which is looked up first,
    /// beside the jail.
    pub(super) fn unban(
        &mut self,
        ids: Vec<String>,
        report_absent: bool,
        reply: oneshot::Sender<Reply>,
    ) {
        let bans_any = self.core.bans_any();
        let unknown: Vec<String> = ids
            .iter()
            .filter(|id| {
                let id = Address::parse(id);
                bans_any && matches!(id, Address::Raw(_)) && !self.core.is_banned(&id)
            })
            .cloned()
            .collect();
        let inbox = self.inbox.upgrade();
        let Some(inbox) = inbox.filter(|_| !unknown.is_empty()) else {
            let answer = self.unban_resolved(&ids, &HashMap::new(), report_absent);
            return self.answer_when_written(answer, reply);
        };
        let lookup = self.context.names.clone();
        tokio::spawn(async move {
            let found = lookup.all_addresses(unknown).await.into_iter();
            let of_name = |ips: Arc<[IpAddr]>| ips.iter().copied().map(Address::Ip).collect();
            let names = found.map(|(name, ips)| (name, of_name(ips))).collect();
            let request = JailRequest::UnbanResolved {
                ids,
                names,
                report_absent,
                reply,
            };
            let _ = inbox.send(request).await;
        });
    }

    pub(super) fn unban_resolved(
        &mut self,
        ids: &[String],
        names: &HashMap<String, Vec<Address>>,
        report_absent: bool,
    ) -> Reply {
        let mut count = 0;
        let (mut absent, mut forgotten) = (Vec::new(), Vec::new());
        for id in ids {
            match self.unban_one(id, names.get(id), &mut forgotten) {
                0 => absent.push(id.as_str()),
                lifted => count += lifted,
            }
        }
        self.forget(forgotten);
        if report_absent && !absent.is_empty() {
            let absent = Value::from(absent);
            let text = format!("not banned: {}", absent.repr());
            return Err(CommandError::builtin("ValueError", text));
        }
        Ok(Value::Int(count))
    }

    /// An id has to be given in its canonical form (sharp edge 47); a network or name that is not
    /// banned itself stands for all addresses in it (fact P46). What the database is to forget is added
    /// to `forgotten`.
    fn unban_one(
        &mut self,
        text: &str,
        addresses: Option<&Vec<Address>>,
        forgotten: &mut Vec<Address>,
    ) -> i64 {
        let id = Address::parse(text);
        if id.to_string() == text {
            forgotten.push(id.clone());
            if self.lift(&id) {
                return 1;
            }
        }
        let covered: Vec<Address> = if id.is_single() {
            Vec::new()
        } else {
            let covers = |banned: &&&Address| {
                id.contains(banned) || addresses.is_some_and(|list| list.contains(banned))
            };
            let banned = self.core.banned_ids();
            banned
                .iter()
                .filter(covers)
                .map(|id| (*id).clone())
                .collect()
        };
        if covered.is_empty() {
            msg!("fail2ban.actions", "{} is not banned", text);
        }
        for id in &covered {
            self.lift(id);
        }
        let count = covered.len() as i64;
        forgotten.extend(covered);
        count
    }

    pub(super) fn forget(&self, ids: Vec<Address>) {
        if let Some(store) = &self.context.store
            && !ids.is_empty()
        {
            store.delete_bans(self.core.name(), Some(ids));
        }
    }

    fn lift(&mut self, id: &Address) -> bool {
        let ticket = self.core.unban(id);
        let lifted = ticket.is_some();
        if let Some(ticket) = &ticket {
            self.share_unban_everywhere(ticket);
        }
        self.apply_decisions(ticket.map(Decision::Unban).into_iter().collect());
        lifted
    }
}
