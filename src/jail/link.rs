//! The channel between jails and the fleet. A jail never blocks on it: when the channel is full the
//! update is dropped, and the fleet later asks the jails for all of their bans.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::address::Address;
use crate::ticket::{Ticket, Timestamp};

/// What jails have told and the fleet has not looked at.
const WAITING: usize = 10_000;

/// A ban that this host has decided on.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnBan {
    /// Whom.
    pub id: Address,
    /// When it began, by the clock of this host.
    pub since: Timestamp,
    /// When it ends; infinite: never.
    pub until: Timestamp,
    /// How often it was banned.
    pub bancount: u32,
    /// The last line that led to it.
    pub reason: String,
}

/// What a jail tells.
#[derive(Clone, Debug)]
pub enum JailUpdate {
    /// It has banned somebody, or for longer.
    Ban(OwnBan),
    /// Somebody has lifted a ban, which would have ended then.
    Unban(Address, Timestamp),
    /// It runs, and has its bans from the database; or its options have changed.
    Started,
    /// It does not run any more.
    Stopped,
}

/// Who has decided on bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecidedBy {
    /// This host.
    Own,
    /// Lists.
    Lists,
}

/// What others have decided.
#[derive(Clone, Debug)]
pub enum RemoteChange {
    /// A ban; its time and length say until when.
    Ban(Ticket),
    /// A ban ends then, or (`None`) now.
    Until(Address, Option<Timestamp>),
    /// Bans end that another host has made here, and that may be older than what is known of it: those of
    /// this host, or (`None`) of any; of this address or network, or (`None`) of any.
    Lift(Option<Address>, Option<String>),
}

/// The way from the jails to the fleet. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Link(Arc<LinkState>);

#[derive(Debug, Default)]
struct LinkState {
    sender: Mutex<Option<mpsc::Sender<(String, JailUpdate)>>>,
    /// Whoever hears has nobody to pass bans on to.
    away: AtomicBool,
    missed: AtomicBool,
    dropped: AtomicU64,
}

impl Link {
    /// Tells something about a jail, if there is a fleet.
    pub fn tell(&self, jail: &str, told: JailUpdate) {
        if let Some(sender) = &*self.sender()
            && sender.try_send((jail.to_owned(), told)).is_err()
        {
            self.0.missed.store(true, Ordering::Relaxed);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether bans are to be told. While they cannot be passed on they need not be, so that a ban costs then what
    /// it does without a fleet; jails are asked for them later.
    pub fn wants_bans(&self) -> bool {
        let away = self.0.away.load(Ordering::Relaxed);
        if away {
            self.0.missed.store(true, Ordering::Relaxed);
        }
        !away
    }

    /// Whether bans can be passed on has changed.
    pub(crate) fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::Relaxed);
    }

    /// From now on there is a fleet that hears.
    pub(crate) fn open(&self) -> mpsc::Receiver<(String, JailUpdate)> {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.set_away(false);
        *self.sender() = Some(sender);
        receiver
    }

    /// There is none any more.
    pub(crate) fn close(&self) {
        *self.sender() = None;
    }

    /// Whether something found no room, or was not told, since it was asked last.
    pub(crate) fn has_missed(&self) -> bool {
        self.0.missed.swap(false, Ordering::Relaxed)
    }

    /// How much found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn sender(&self) -> MutexGuard<'_, Option<mpsc::Sender<(String, JailUpdate)>>> {
        self.0.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jail_never_waits() {
        let link = Link::default();
        link.tell("j", JailUpdate::Started);
        assert!(!link.has_missed());
        let mut told = link.open();
        for _ in 0..WAITING + 5 {
            link.tell("j", JailUpdate::Started);
        }
        assert!(link.has_missed());
        assert!(!link.has_missed());
        assert_eq!(link.dropped(), 5);
        assert!(told.try_recv().is_ok());
        link.close();
        link.tell("j", JailUpdate::Started);
        assert_eq!(link.dropped(), 5);
    }

    #[test]
    fn bans_are_asked_for_later_where_nobody_can_pass_them_on() {
        let link = Link::default();
        let _told = link.open();
        assert!(link.wants_bans() && !link.has_missed());
        link.set_away(true);
        assert!(!link.has_missed());
        assert!(!link.wants_bans());
        link.set_away(false);
        assert!(link.has_missed() && link.wants_bans());
        assert!(!link.has_missed());
    }
}
