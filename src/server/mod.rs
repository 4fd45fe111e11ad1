//! The daemon: owns the jails, answers commands, manages log, signals, pid and socket files.
//!
//! [`process`] is what the operating system sees (fork, files, signals), [`Server`] what clients see:
//! [`commands`] answers them, [`reload`] applies streams of commands, [`settings`] handles the settings of
//! the server itself, and [`logging`] the log.

mod commands;
mod fleet;
mod jails;
mod loggers;
pub mod logging;
mod notify;
mod part;
mod process;
mod reload;
mod sandbox;
mod settings;
mod watchdog;
mod web;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use indexmap::IndexMap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::jails::JailTable;
use self::loggers::{LOG, OBSERVER};
use self::logging::Logging;
use self::part::ConfiguredPart;
pub use self::process::run;
use crate::action::Common;
use crate::action::command::leftover::take_out_rest;
use crate::clock::{self, ClockSteps};
use crate::config::Sandbox;
use crate::control::Value;
use crate::crowdsec::Bridge;
use crate::datetime::Templates;
use crate::evidence::memory::EvidenceMemory;
use crate::fleet::Fleet;
use crate::jail::link::Link;
use crate::jail::{DnsCache, JailEvents};
use crate::source::Sources;
use crate::store::Store;
use crate::{info, warning};

/// What the log, `start` and `status` say where nothing is guarded.
pub const NO_JAIL: &str = "No jail is running: nothing is guarded";

/// How long a second signal to end waits for the database.
const LAST_WRITES: std::time::Duration = std::time::Duration::from_secs(1);

/// How long the end waits for what the last server left to be taken out.
const LAST_SETTLING: std::time::Duration = std::time::Duration::from_secs(10);

/// What the command line says about the process.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Control socket.
    pub socket: PathBuf,
    /// Pid file.
    pub pidfile: PathBuf,
    /// Start although a socket file is there (`-x`).
    pub force: bool,
    /// Stay in the foreground (`-f`).
    pub foreground: bool,
    /// Process name (`--pname`).
    pub process_name: String,
    /// Initial log level, target and syslog socket.
    pub loglevel: String,
    /// Initial log target.
    pub logtarget: String,
    /// Initial syslog socket.
    pub syslogsocket: String,
    /// What a line of the log looks like; empty: as ever.
    pub logformat: String,
    /// `-v` given so many times.
    pub verbosity: u8,
    /// What to give up (`sandbox`).
    pub sandbox: Sandbox,
    /// Where the configuration has the database, which a strict sandbox must know beforehand.
    pub dbfile: String,
}

/// How far the server is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lifecycle {
    Running,
    /// The end was asked for; no further commands.
    Stopping,
    /// Jails and database are closed, the socket file is gone.
    Stopped,
}

/// The server as clients see it.
pub struct Server {
    /// For what outlives a request.
    own: Weak<Server>,
    logging: Arc<Logging>,
    jails: Arc<JailTable>,
    sources: Sources,
    /// What the actions of all jails share.
    common: Common,
    names: DnsCache,
    events: JailEvents,
    templates: Templates,
    evidence: EvidenceMemory,
    clock: ClockSteps,
    state: Arc<Mutex<ServerState>>,
    fleet: ConfiguredPart<Fleet>,
    /// The way from jails to the fleet.
    link: Link,
    /// The socket for `ferroban web`.
    web: Mutex<web::WebListener>,
    crowdsec: ConfiguredPart<Bridge>,
    /// The way from jails to CrowdSec.
    crowdsec_link: Link,
    /// Held while jails are added, started, stopped or reloaded.
    changes: tokio::sync::Mutex<()>,
    life: watch::Sender<Lifecycle>,
    /// The server ends to be started again.
    keep: AtomicBool,
}

#[derive(Default)]
struct ServerState {
    store: Option<Store>,
    /// Jails that the configuration wants and that do not run, and why.
    failed: IndexMap<String, String>,
    /// What the last server left is being seen to.
    settling: JoinSet<()>,
    /// `thread` option, KiB; told to who asks, of no other use.
    stack_size: i64,
}

impl Server {
    /// A server without jails and database; needs a tokio runtime. `confined`: with `sandbox = strict`.
    pub fn new(logging: Arc<Logging>, confined: bool) -> Arc<Server> {
        let common = Common::new(confined);
        Arc::new_cyclic(|own| Server {
            own: own.clone(),
            logging,
            jails: Arc::default(),
            sources: Sources::new(),
            names: DnsCache::new(common.resolver.clone()),
            common,
            events: JailEvents::default(),
            templates: Templates::default(),
            evidence: EvidenceMemory::default(),
            clock: ClockSteps::default(),
            state: Arc::default(),
            fleet: ConfiguredPart::default(),
            link: Link::default(),
            web: Mutex::default(),
            crowdsec: ConfiguredPart::default(),
            crowdsec_link: Link::default(),
            changes: tokio::sync::Mutex::new(()),
            life: watch::Sender::new(Lifecycle::Running),
            keep: AtomicBool::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> Option<Store> {
        self.state().store.clone()
    }

    fn is_stopping(&self) -> bool {
        *self.life.borrow() != Lifecycle::Running
    }

    /// Warns when the configuration has led to no jail.
    fn warn_of_no_jail(&self) {
        if self.jails.len() == 0 && !self.is_stopping() {
            warning!(LOG, "{NO_JAIL}");
        }
    }

    /// Asks for the end; [`Server::end_requested`] tells the process.
    fn stop(&self) {
        self.life.send_if_modified(|life| {
            let running = *life == Lifecycle::Running;
            if running {
                *life = Lifecycle::Stopping;
            }
            running
        });
    }

    async fn end_requested(&self) {
        let mut life = self.life.subscribe();
        // fails only when the sender is gone, and that is ours
        let _ = life.wait_for(|life| *life >= Lifecycle::Stopping).await;
    }

    /// The `stop` command: answered when everything is down (fact P23). With `keep` bans stay in the
    /// firewall for the server that follows.
    async fn stop_and_wait(&self, keep: bool) {
        self.keep.fetch_or(keep, Ordering::Relaxed);
        self.stop();
        let mut life = self.life.subscribe();
        let _ = life.wait_for(|life| *life == Lifecycle::Stopped).await;
    }

    /// Stops the jails and closes the database, with the lines of fact L11.
    async fn shut_down(&self) {
        info!(LOG, "Shutdown in progress...");
        // nothing is left to an observer here; the lines are what log readers know
        info!(OBSERVER, "Observer stop ... try to end queue 5 seconds");
        info!(OBSERVER, "Observer stopped, 0 events remaining.");
        let _alone = self.changes.lock().await;
        self.leave_parts();
        self.close_web();
        // without a database the next server knows of no bans
        let keep = self.keep.load(Ordering::Relaxed) && self.store().is_some();
        self.stop_all_jails(keep).await;
        self.end_settling(keep).await;
        let store = self.state().store.take();
        if let Some(store) = store {
            store.close().await;
            info!("fail2ban.database", "Connection to database closed.");
        }
    }

    /// What the last server left in the firewall: when all jails that run have restored their bans the
    /// rest of it is taken out. Nobody waits for that.
    fn settle_inherited(&self) {
        if self.common.refcounts.inherited().is_settled() {
            return;
        }
        let (jails, common, store) = (self.jails.all(), self.common.clone(), self.store());
        let life = self.life.subscribe();
        self.state().settling.spawn(async move {
            let (restored, mut all_restored) = mpsc::channel(1);
            for jail in &jails {
                jail.tell_restored(restored.clone()).await;
            }
            drop(restored);
            // nobody sends anything: it ends with the last sender
            let _ = all_restored.recv().await;
            if *life.borrow() != Lifecycle::Running {
                return;
            }
            for jail in &jails {
                jail.settle();
            }
            take_out_rest(&common, store).await;
        });
    }

    /// The server ends, maybe before all of it was seen to. With `keep` the rest is for the next server to
    /// see to; else nothing stays.
    async fn end_settling(&self, keep: bool) {
        let mut settling = std::mem::take(&mut self.state().settling);
        let rest = async {
            while settling.join_next().await.is_some() {}
            if !keep {
                take_out_rest(&self.common, self.store()).await;
            }
        };
        if timeout(LAST_SETTLING, rest).await.is_err() {
            warning!(
                LOG,
                "What the last server left in the firewall may still be there"
            );
        }
    }

    /// Ends at once: jails and actions are left as they are, only the database is written.
    async fn give_up(&self) {
        let store = self.state().store.take();
        if let Some(store) = store {
            let _ = tokio::time::timeout(LAST_WRITES, store.close()).await;
        }
    }

    /// Opens the log file again; answers what the command answers (fact P19).
    async fn flush_logs(&self) -> &'static str {
        let logging = Arc::clone(&self.logging);
        // waits for the log's thread, which may wait for a disk
        let flushed = tokio::task::spawn_blocking(move || logging.flush()).await;
        flushed.unwrap_or("flushed")
    }

    /// Removes old rows from the database once an hour (fact B19).
    async fn purge_hourly(&self) {
        let hour = std::time::Duration::from_secs(3600);
        loop {
            tokio::time::sleep(hour).await;
            if let Some(store) = self.store() {
                store.purge(clock::now());
            }
        }
    }
}

/// A config stream as one value per command.
fn stream_of(commands: Vec<Vec<Value>>) -> Vec<Value> {
    commands.into_iter().map(Value::List).collect()
}
