//! Publishes failures and bans as they happen, for `fail2ban-client events`.
//!
//! A [`Decision`] becomes a dictionary. The latest events are kept for all subscribers; a slow
//! subscriber is told how many it missed. Without subscribers nothing is built.

use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};

use super::decision::Decision;
use crate::address::Address;
use crate::control::{CommandError, Value};
use crate::evidence::Evidence;
use crate::fields::MatchLine;
use crate::jail::settings;
use crate::ticket::{Ticket, Timestamp};

/// Events kept for a listener that is busy.
const BACKLOG: usize = 4096;
/// Listeners at the same time.
const LISTENERS: usize = 32;

/// Where jails announce events. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct JailEvents {
    /// Made for the first who listens: it touches all the room it may ever need.
    sender: Arc<OnceLock<broadcast::Sender<StoredEvent>>>,
}

impl JailEvents {
    /// Listens to these jails, or (none named) to all.
    ///
    /// # Errors
    /// Too many listen already.
    pub fn listen(&self, jails: Vec<String>) -> Result<EventSubscription, CommandError> {
        let sender = (self.sender).get_or_init(|| broadcast::Sender::new(BACKLOG));
        if sender.receiver_count() >= LISTENERS {
            return Err(CommandError::new("Too many clients listen to events"));
        }
        Ok(EventSubscription {
            receiver: sender.subscribe(),
            jails,
        })
    }

    /// Whether anybody listens.
    pub(super) fn are_heard(&self) -> bool {
        self.heard().is_some()
    }

    fn heard(&self) -> Option<&broadcast::Sender<StoredEvent>> {
        self.sender
            .get()
            .filter(|sender| sender.receiver_count() > 0)
    }

    /// Announces what a jail has decided at `now`.
    /// `simulates`: the jail only says what it would do.
    pub(super) fn announce(
        &self,
        jail: &str,
        decision: &Decision,
        simulates: bool,
        now: Timestamp,
    ) {
        if let Some(sender) = self.heard()
            && let Some(mut event) = event(jail, decision, now)
        {
            if simulates {
                event.pairs.push(("simulated", true.into()));
            }
            // the last listener may have left in between
            let _ = sender.send(event);
        }
    }
}

/// One listener.
#[derive(Debug)]
pub struct EventSubscription {
    receiver: broadcast::Receiver<StoredEvent>,
    jails: Vec<String>,
}

impl EventSubscription {
    /// The next event; `None` when there will be no more.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match self.receiver.recv().await {
                Ok(event) if self.concerns(&event.pairs) => return Some(event.value()),
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => return Some(lost(count)),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event that has happened already.
    pub fn happened(&mut self) -> Option<Value> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) if self.concerns(&event.pairs) => return Some(event.value()),
                Ok(_) => {}
                Err(TryRecvError::Lagged(count)) => return Some(lost(count)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    fn concerns(&self, pairs: &[(&str, Value)]) -> bool {
        let jail = pairs.iter().find(|(key, _)| *key == "jail");
        let jail = jail.and_then(|(_, jail)| jail.as_str());
        self.jails.is_empty() || self.jails.iter().any(|wanted| Some(&**wanted) == jail)
    }
}

/// One event.
#[derive(Clone, Debug)]
struct StoredEvent {
    pairs: Vec<(&'static str, Value)>,
    /// What the lines of a ban are made of when a listener takes it: a listener that is busy keeps
    /// thousands of events.
    evidence: Option<Evidence>,
}

impl StoredEvent {
    fn value(self) -> Value {
        let mut pairs = self.pairs;
        if let Some(evidence) = self.evidence {
            let matches: Vec<String> = evidence.lines().iter().map(MatchLine::text).collect();
            pairs.push(("matches", matches.into()));
        }
        dictionary(pairs)
    }
}

/// The event of a decision, if outsiders care for it.
fn event(jail: &str, decision: &Decision, now: Timestamp) -> Option<StoredEvent> {
    let mut evidence = None;
    let head = |event: &'static str, id: &Address, time: Timestamp| {
        vec![
            ("event", event.into()),
            ("jail", jail.into()),
            ("time", Value::Float(time)),
            ("id", id.to_string().into()),
        ]
    };
    let mut ban = |event: &'static str, ticket: &Ticket| {
        let mut pairs = head(event, &ticket.id, now);
        pairs.push(("since", Value::Float(ticket.time)));
        if let Some(length) = ticket.bantime {
            pairs.push(("bantime", Value::Float(settings::ban_seconds(length))));
        }
        pairs.push(("failures", i64::from(ticket.failures).into()));
        pairs.push(("bancount", i64::from(ticket.bancount).into()));
        let origin = ticket.origin();
        pairs.push(("origin", origin.word().into()));
        if origin.is_elsewhere() {
            pairs.push(("origin_host", origin.host().into()));
        }
        evidence = Some(ticket.evidence.clone());
        pairs
    };
    let pairs = match decision {
        Decision::Found { id, time } => head("Found", id, *time),
        Decision::Ignored { id, by } => {
            let mut pairs = head("Ignore", id, now);
            pairs.push(("by", by.as_str().into()));
            pairs
        }
        Decision::Ban { ticket, .. } if ticket.restored => ban("Restore Ban", ticket),
        Decision::Ban { ticket, .. } => ban("Ban", ticket),
        Decision::Already { ticket, .. } => head("Already Banned", &ticket.id, now),
        Decision::Increase { id, bans, end, .. } => {
            let mut pairs = head("Increase Ban", id, now);
            pairs.push(("bancount", i64::from(*bans).into()));
            pairs.push((
                "end",
                if end.is_finite() {
                    Value::Float(*end)
                } else {
                    Value::None
                },
            ));
            pairs
        }
        Decision::Unban(ticket) => ban("Unban", ticket),
        _ => return None,
    };
    Some(StoredEvent { pairs, evidence })
}

/// What a listener is told that was too slow for so many.
fn lost(count: u64) -> Value {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    dictionary(vec![("event", "Lost".into()), ("count", count.into())])
}

fn dictionary(pairs: Vec<(&str, Value)>) -> Value {
    let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value));
    Value::Dict(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str) -> Decision {
        Decision::Found {
            id: Address::parse(id),
            time: 5.0,
        }
    }

    #[tokio::test]
    async fn listeners_get_what_concerns_them() {
        let events = JailEvents::default();
        events.announce("a", &found("192.0.2.1"), false, 6.0);
        let mut all = events.listen(Vec::new()).unwrap();
        let mut one = events.listen(vec!["b".to_owned()]).unwrap();
        events.announce("a", &found("192.0.2.2"), false, 6.0);
        events.announce(
            "b",
            &Decision::Prolong(Ticket::new(Address::parse("x"), 0.0)),
            false,
            6.0,
        );
        events.announce("b", &found("192.0.2.3"), false, 6.0);
        let id = |event: Option<Value>| event.unwrap().repr();
        let text =
            |jail, id| format!("{{'event': 'Found', 'jail': '{jail}', 'time': 5.0, 'id': '{id}'}}");
        assert_eq!(id(all.next().await), text("a", "192.0.2.2"));
        assert_eq!(id(all.next().await), text("b", "192.0.2.3"));
        assert_eq!(id(one.next().await), text("b", "192.0.2.3"));
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let events = JailEvents::default();
        let mut slow = events.listen(Vec::new()).unwrap();
        for _ in 0..BACKLOG + 10 {
            events.announce("a", &found("192.0.2.2"), false, 6.0);
        }
        let lost = slow.next().await.unwrap().repr();
        assert_eq!(lost, "{'event': 'Lost', 'count': 10}");
        assert!(slow.next().await.unwrap().repr().contains("Found"));
        let rest = std::iter::from_fn(|| slow.happened());
        assert_eq!(rest.count(), BACKLOG - 1);
    }

    #[test]
    fn listeners_are_limited() {
        let events = JailEvents::default();
        let listeners: Vec<_> = (0..LISTENERS)
            .map(|_| events.listen(Vec::new()).unwrap())
            .collect();
        assert!(events.listen(Vec::new()).is_err());
        drop(listeners);
        assert!(events.listen(Vec::new()).is_ok());
    }
}
