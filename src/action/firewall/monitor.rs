//! Hears from the kernel when rules, chains, sets or members are deleted by others, so that lost
//! bans are put back at once instead of at the next look.
//!
//! The kernel tells of everything that happens through nftables, and so of `iptables` too where
//! that is the program over nftables; ipset and the old iptables tell nobody. What this process
//! deletes itself is told as well: whoever deletes ends with [`forget`].
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::netlink::{Body, Channel};
use crate::sys::readiness;

/// Multicast group of nftables.
const GROUP: u32 = 7;

const SUBSYSTEM: u16 = 10;

/// Messages that tell of something deleted: table, chain, rule, set, member.
const DELETIONS: [u16; 5] = [2, 5, 8, 11, 14];

/// How long the firewall has to be quiet before anybody looks: a reload of it deletes first and
/// adds then.
const QUIET: Duration = Duration::from_millis(300);

/// Pause after a report; it doubles while reports go on.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(60)];

struct Monitor {
    reports: watch::Sender<()>,
    /// Nothing when the kernel cannot be listened to.
    channel: Option<Arc<Channel>>,
}

static MONITOR: OnceLock<Monitor> = OnceLock::new();

/// How often bans are compared with the firewall when nobody reports anything.
const EVERY: Duration = Duration::from_secs(300);

/// Tells a jail when to compare its bans with the firewall.
#[derive(Debug)]
pub struct Reminder {
    reports: watch::Receiver<()>,
    next: Instant,
}

impl Reminder {
    /// Begins to listen, the first of all for the whole process; needs a tokio runtime that goes on.
    pub fn new() -> Reminder {
        Reminder {
            reports: subscribe(),
            next: Instant::now() + EVERY,
        }
    }

    /// Waits until somebody has deleted something from the firewall, or some minutes have gone.
    pub async fn due(&mut self) {
        // the monitor goes on as long as the process; without one it is the clock alone
        let _ = timeout_at(self.next, self.reports.changed()).await;
        self.next = Instant::now() + EVERY;
    }
}

impl Default for Reminder {
    fn default() -> Reminder {
        Reminder::new()
    }
}

fn subscribe() -> watch::Receiver<()> {
    let monitor = MONITOR.get_or_init(|| {
        let channel = Channel::listen(GROUP).ok().map(Arc::new);
        if let Some(channel) = &channel {
            tokio::spawn(listen(channel.clone()));
        }
        Monitor {
            reports: watch::Sender::new(()),
            channel,
        }
    });
    monitor.reports.subscribe()
}

/// Makes all jails compare their bans with the firewall now.
pub fn remind() {
    if let Some(monitor) = MONITOR.get() {
        monitor.reports.send_replace(());
    }
}

/// Forgets all deletions until now: they were this process's own. What others deleted in the same
/// moment is found at the next look.
pub fn forget() {
    if let Some(Monitor {
        channel: Some(channel),
        ..
    }) = MONITOR.get()
    {
        // what was lost was told during the own deletions as well
        let _ = channel.receive(|_| {});
    }
}

async fn listen(channel: Arc<Channel>) {
    let Ok(ready) = channel
        .as_fd()
        .try_clone_to_owned()
        .and_then(readiness::readable)
    else {
        return;
    };
    let mut pause = PAUSES[0];
    loop {
        if !deleted(&ready, &channel).await {
            continue;
        }
        let begin = Instant::now();
        // until it is quiet, but not for ever
        while begin.elapsed() < 4 * QUIET
            && timeout_at(Instant::now() + QUIET, deleted(&ready, &channel))
                .await
                .is_ok()
        {}
        if let Some(monitor) = MONITOR.get() {
            monitor.reports.send_replace(());
        }
        sleep(pause).await;
        let went_on = timeout_at(Instant::now() + pause, ready.readable()).await;
        pause = match went_on {
            Ok(_) => (pause * 2).min(PAUSES[1]),
            Err(_) => PAUSES[0],
        };
    }
}

/// Waits for news; answers whether something was deleted, or could have been.
async fn deleted(ready: &AsyncFd<OwnedFd>, channel: &Channel) -> bool {
    let Ok(mut guard) = ready.readable().await else {
        sleep(PAUSES[1]).await;
        return false;
    };
    let mut found = false;
    let heard = channel.receive(|answer| {
        if let Body::Message(kind, _) = answer.body {
            found |= kind >> 8 == SUBSYSTEM && DELETIONS.contains(&(kind & 0xff));
        }
    });
    guard.clear_ready();
    found || heard.is_err()
}
