//! Triggers audits of the firewall. The kernel reports when others delete rules, chains, sets or members, so
//! that lost bans are restored at once instead of at the next periodic audit.
//!
//! The kernel reports everything that happens through nftables, and so `iptables` too where that is the program
//! over nftables; ipset and the old iptables report nothing. Deletions of this process are reported as well: an
//! [`OwnDeletion`] marks the time in which they may come.
//!
//! Another program may delete again and again. Lost bans are restored each time; when that happens more than
//! [`FIGHT`] times, the log says so and the pace slows until it is over.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::netlink::{self, Body, Channel};
use crate::sys::readiness;
use crate::warning;

/// Multicast group of nftables.
const GROUP: u32 = 7;

const SUBSYSTEM: u16 = 10 << 8;

/// Messages that tell of something deleted: table, chain, rule, set, member.
const DELETIONS: [u16; 5] = [2, 5, 8, 11, 14];

/// The message that ends what one program did, and its attributes that name the program.
const GENERATION: u16 = 15;
const PROCESS: u16 = 2;
const PROCESS_NAME: u16 = 3;

/// How long the firewall has to be quiet before anybody looks: a reload of it deletes first and
/// adds then.
const QUIET: Duration = Duration::from_millis(300);

/// Pause after a report, and while another program goes on deleting bans.
const PAUSE: Duration = Duration::from_millis(500);
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// Bans lost so many times within [`FIGHT_TIME`] are no accident.
const FIGHT: usize = 10;
const FIGHT_TIME: Duration = Duration::from_secs(60);

/// During an own deletion that takes longer others may have deleted something too.
const SHORT: Duration = Duration::from_secs(1);

/// Hears of deletions for a whole server. A copy is the same.
#[derive(Clone, Debug, Default)]
pub struct Monitor(Arc<MonitorState>);

#[derive(Debug, Default)]
struct MonitorState {
    reports: watch::Sender<()>,
    /// Made when the first jail wants reports; nothing when the kernel cannot be listened to.
    channel: OnceLock<Option<Channel>>,
    /// There is reason to look at the firewall.
    reason: Notify,
    /// Bans were put back since the last report.
    put_back: AtomicBool,
    /// Others deleted something since the last report, the last one of them this program.
    others: AtomicBool,
    program: Mutex<String>,
    /// Commands of this process under way that may delete.
    own: AtomicUsize,
}

/// How often bans are compared with the firewall when nobody reports anything.
const EVERY: Duration = Duration::from_secs(300);

/// Tells a jail when to compare its bans with the firewall.
#[derive(Debug)]
pub struct FirewallAuditTimer {
    /// Reports come as long as it lives.
    _monitor: Monitor,
    reports: watch::Receiver<()>,
    next: Instant,
}

impl FirewallAuditTimer {
    /// Waits until somebody has deleted something from the firewall, or some minutes have gone.
    pub async fn due(&mut self) {
        // where the kernel cannot be listened to it is the clock alone
        let _ = timeout_at(self.next, self.reports.changed()).await;
        self.next = Instant::now() + EVERY;
    }
}

impl Monitor {
    /// For a jail; the first of all has the kernel listened to, inside a tokio runtime.
    pub fn audit_timer(&self) -> FirewallAuditTimer {
        let mut first = false;
        let channel = self.0.channel.get_or_init(|| {
            first = true;
            Channel::listen(GROUP).ok()
        });
        if let Some(channel) = channel
            && first
        {
            let ready = channel.as_fd().try_clone_to_owned();
            if let Ok(ready) = ready.and_then(readiness::readable) {
                let state = self.0.clone();
                tokio::spawn(async move { state.listen(ready).await });
            }
        }
        FirewallAuditTimer {
            _monitor: self.clone(),
            reports: self.0.reports.subscribe(),
            next: Instant::now() + EVERY,
        }
    }

    /// Makes all jails compare their bans with the firewall now.
    pub fn trigger_audit(&self) {
        self.0.reports.send_replace(());
    }

    /// Bans that the firewall had lost were put back; they may be gone again.
    pub fn put_back(&self) {
        self.0.put_back.store(true, Ordering::Relaxed);
        self.0.reason.notify_one();
    }

    /// A command is about to run that may delete.
    pub fn own_deletion(&self) -> OwnDeletion {
        // what was told up to now was done by others
        if self.0.own.load(Ordering::Relaxed) == 0 && self.0.hear() {
            self.0.reason.notify_one();
        }
        self.0.own.fetch_add(1, Ordering::Relaxed);
        OwnDeletion {
            monitor: self.clone(),
            begin: Instant::now(),
        }
    }
}

/// A command of this process that may delete from the firewall, while it runs: what the kernel tells
/// meanwhile is its doing.
#[derive(Debug)]
pub struct OwnDeletion {
    monitor: Monitor,
    begin: Instant,
}

impl Drop for OwnDeletion {
    fn drop(&mut self) {
        let state = &self.monitor.0;
        let heard = state.hear();
        if heard && self.begin.elapsed() > SHORT {
            state.reason.notify_one();
        }
        state.own.fetch_sub(1, Ordering::Relaxed);
    }
}

impl MonitorState {
    /// Takes the news that are there; answers whether something was deleted, or could have been.
    fn hear(&self) -> bool {
        let Some(Some(channel)) = self.channel.get() else {
            return false;
        };
        let own = self.own.load(Ordering::Relaxed) > 0;
        let (mut found, mut deletes) = (false, false);
        let heard = channel.receive(|answer| match answer.body {
            Body::Message(kind, bytes) if kind == SUBSYSTEM | GENERATION => {
                let deleted = std::mem::take(&mut deletes);
                if deleted && !own {
                    *self.program() = program(bytes);
                }
            }
            Body::Message(kind, _) if kind >> 8 == SUBSYSTEM >> 8 => {
                deletes |= DELETIONS.contains(&(kind & 0xff));
                found |= deletes;
            }
            _ => {}
        });
        found |= heard.is_err();
        self.others.fetch_or(found && !own, Ordering::Relaxed);
        found
    }

    fn program(&self) -> MutexGuard<'_, String> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a reason to look at the firewall.
    async fn news(&self, ready: &AsyncFd<OwnedFd>) {
        loop {
            tokio::select! {
                () = self.reason.notified() => return,
                guard = ready.readable() => {
                    let Ok(mut guard) = guard else {
                        sleep(LONG_PAUSE).await;
                        continue;
                    };
                    guard.clear_ready();
                    if self.hear() && self.own.load(Ordering::Relaxed) == 0 {
                        return;
                    }
                }
            }
        }
    }

    /// Tells the jails, for ever.
    async fn listen(&self, ready: AsyncFd<OwnedFd>) {
        let mut losses: Vec<Instant> = Vec::new();
        let mut fighting = false;
        loop {
            self.news(&ready).await;
            let begin = Instant::now();
            // until it is quiet, but not for ever
            while begin.elapsed() < 4 * QUIET && timeout(QUIET, self.news(&ready)).await.is_ok() {}
            let lost = self.put_back.swap(false, Ordering::Relaxed);
            if self.others.swap(false, Ordering::Relaxed) && lost {
                losses.push(begin);
            }
            losses.retain(|loss| loss.elapsed() < FIGHT_TIME);
            fighting &= lost;
            if losses.len() > FIGHT && !fighting {
                fighting = true;
                losses.clear();
                warning!(
                    "fail2ban.actions",
                    "Bans are deleted from the firewall again and again, last by {}; while this goes on they are put back only every {} seconds",
                    self.program(),
                    LONG_PAUSE.as_secs()
                );
            }
            self.reports.send_replace(());
            sleep(if fighting { LONG_PAUSE } else { PAUSE }).await;
        }
    }
}

/// Name and number of the program that made a change.
fn program(bytes: &[u8]) -> String {
    let (mut name, mut number) = (String::new(), 0);
    for (kind, value) in netlink::attributes(bytes) {
        match (kind, value.first_chunk()) {
            (PROCESS, Some(bytes)) => number = u32::from_be_bytes(*bytes),
            (PROCESS_NAME, _) => {
                let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
                name = String::from_utf8_lossy(text).into_owned();
            }
            _ => {}
        }
    }
    format!("{name} (process {number})")
}
