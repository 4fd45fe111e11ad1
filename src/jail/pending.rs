//! Failures that are not judged yet: a queue in the order of their lines. At most one waits for a lookup;
//! those of host names wait apart until the name is resolved.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::core::PriorBans;
use super::dns_cache::DnsCache;
use super::lookup::{Lookup, LookupResult};
use super::name_lookups::NameLookups;
use crate::address::Address;
use crate::control::Reply;
use crate::filter::FailureId;
use crate::ticket::{Ticket, Timestamp};

/// Where a failure comes from.
#[derive(Debug)]
pub(super) enum FailureOrigin {
    /// A line of a log.
    Log,
    /// `set JAIL attempt`, with its texts.
    Attempt {
        /// The texts.
        lines: Vec<String>,
        /// Answered with 1, or with 0 when the id is ignored (fact B5).
        reply: oneshot::Sender<Reply>,
    },
    /// The database, at the start of the jail: it is a ban to be restored.
    Restored,
    /// Another host: it is a ban to be made.
    Remote,
    /// Another host: a ban ends then, or now.
    RemoteEnd(Option<Timestamp>),
}

/// A failure, or a ban to be restored or of another host, and what is known of it so far.
#[derive(Debug)]
pub(super) struct PendingFailure {
    /// Where it comes from.
    pub origin: FailureOrigin,
    /// Whom it is about.
    pub id: FailureId,
    /// The evidence; its id counts only once [`PendingFailure::id`] is an address.
    pub ticket: Ticket,
    /// The expanded key of `ignorecache`, once known.
    pub key: Option<String>,
    /// Whether the id is ignored, once known.
    pub ignored: Option<bool>,
    /// What the database knows of the id, once asked.
    pub past: Option<PriorBans>,
}

impl PendingFailure {
    /// A failure of which nothing is known yet.
    pub fn new(origin: FailureOrigin, id: FailureId, ticket: Ticket) -> PendingFailure {
        PendingFailure {
            origin,
            id,
            ticket,
            key: None,
            ignored: None,
            past: None,
        }
    }

    /// The same failure, about one address of its name.
    pub fn with_address(&self, id: Address) -> PendingFailure {
        let ticket = Ticket {
            id: id.clone(),
            ..self.ticket.clone()
        };
        PendingFailure::new(FailureOrigin::Log, FailureId::Address(id), ticket)
    }
}

/// What became known.
pub(super) enum PendingAnswer {
    /// The answer for the failure that waits for one.
    Lookup(LookupResult),
    /// A name was looked up.
    Name(String, Arc<[IpAddr]>),
}

/// The failures of one jail that are not judged yet.
#[derive(Default)]
pub(super) struct PendingFailures {
    queue: VecDeque<PendingFailure>,
    /// The one whose lookup is under way; the queue waits behind it.
    waiting: Option<(PendingFailure, Lookup)>,
    /// Those of host names.
    names: NameLookups<PendingFailure>,
}

impl PendingFailures {
    /// Adds a failure behind all others.
    pub fn push(&mut self, failure: PendingFailure) {
        self.queue.push_back(failure);
    }

    /// Adds a failure before all others.
    pub fn push_front(&mut self, failure: PendingFailure) {
        self.queue.push_front(failure);
    }

    /// The next one; none while one waits for an answer.
    pub fn pop(&mut self) -> Option<PendingFailure> {
        match self.waiting {
            None => self.queue.pop_front(),
            Some(_) => None,
        }
    }

    /// As [`PendingFailures::pop`], of those that were told by command.
    pub fn pop_attempt(&mut self) -> Option<PendingFailure> {
        let told =
            |failure: &PendingFailure| matches!(failure.origin, FailureOrigin::Attempt { .. });
        match self.waiting {
            None => self.queue.remove(self.queue.iter().position(told)?),
            Some(_) => None,
        }
    }

    /// Has a failure wait for an answer.
    pub fn wait(&mut self, failure: PendingFailure, lookup: Lookup) {
        self.waiting = Some((failure, lookup));
    }

    /// The failure whose answer has come.
    pub fn answered(&mut self) -> Option<PendingFailure> {
        self.waiting.take().map(|(failure, _)| failure)
    }

    /// Those of host names.
    pub fn names(&mut self) -> &mut NameLookups<PendingFailure> {
        &mut self.names
    }

    /// Looks a name up.
    pub fn ask(&mut self, names: &DnsCache, name: &str) {
        self.names.ask(names, name);
    }

    /// No failure with an address waits to be judged, and not too many with names.
    pub fn is_free(&self) -> bool {
        self.waiting.is_none() && self.queue.is_empty() && !self.names.is_full()
    }

    /// A ban of the database waits to be restored.
    pub fn restores(&self) -> bool {
        let restores = |failure: &PendingFailure| matches!(failure.origin, FailureOrigin::Restored);
        let waiting = self.waiting.as_ref().map(|(failure, _)| failure);
        waiting.into_iter().chain(&self.queue).any(restores)
    }

    /// None is left.
    pub fn is_empty(&self) -> bool {
        self.is_free() && !self.names.holds_failures()
    }

    /// Waits for what becomes known next; nothing is lost when it is not waited for to the end.
    pub async fn next(&mut self) -> PendingAnswer {
        let PendingFailures { waiting, names, .. } = self;
        let answer = async {
            match waiting {
                Some((_, lookup)) => lookup.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = answer => PendingAnswer::Lookup(answer),
            Some((name, addresses)) = names.next() => PendingAnswer::Name(name, addresses),
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = PendingFailures::default();
    }
}
