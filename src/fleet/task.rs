//! The task of the fleet: waits for jails that take part, connects, and reconnects when the engine goes away.
//! Updates of jails meanwhile are kept in [`Claims`], which the next session compares with the engine.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::claims::Claims;
use super::engine::{Engine, StreamPosition};
use super::failure::EngineError;
use super::forward::{Forward, WAITING};
use super::guard::{Guard, this_host};
use super::limits::HostBudget;
use super::settings::{ADMIN, FleetSettings};
use super::signing::{Signer, Trusted};
use super::ulid::Ulids;
use super::{FleetContext, LOG, Millis, NOT_TRIED};
use crate::clock;
use crate::control::Value;
use crate::control::command::FleetQuestion;
use crate::jail::link::JailUpdate;
use crate::jail::{BanExchange, Jail};
use crate::store::LogPosition;
use crate::ticket::Timestamp;
use crate::{info, warning};

/// The jail that takes the bans of jails which this host does not have.
pub(super) const FALLBACK: &str = "fleet";

/// The row of the database that holds [`FleetTask::admin_id`]: no host is called that.
const ADMIN_ID: &str = "admin|id";

/// The first wait before another try to connect, and the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(60)];
/// The first waits stay short for so long: a cable that was pulled, an engine that was started again.
const PATIENT: Duration = Duration::from_secs(20);
/// Jails start one after the other; the fleet begins when none has for so long.
const SETTLED: Duration = Duration::from_millis(100);

/// One host as it is seen from here.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Its last sign of life.
    pub(super) seen: Millis,
    pub(super) budget: Option<HostBudget>,
    /// How far its stream has been read.
    pub(super) place: StreamPosition,
    /// Milliseconds from the engine to here, of its last entry.
    pub(super) lag: i64,
    pub(super) heard: u64,
    pub(super) refused: u64,
    /// The last id, for entries that are signed: none comes twice.
    pub(super) last_id: String,
    /// It has written what nobody should have: nothing of it is read any more.
    pub(super) shut_out: bool,
}

impl Host {
    /// Whether it has said too much.
    pub(super) fn is_muted(&self) -> bool {
        self.shut_out || self.budget.is_some_and(|budget| budget.is_muted())
    }
}

/// State of the task.
pub(super) struct FleetTask {
    pub(super) settings: FleetSettings,
    pub(super) engine: Engine,
    pub(super) around: FleetContext,
    pub(super) told: mpsc::Receiver<(String, JailUpdate)>,
    pub(super) asked: mpsc::Receiver<(FleetQuestion, oneshot::Sender<Value>)>,
    pub(super) claims: Claims,
    pub(super) guard: Guard,
    pub(super) forward: Forward,
    /// A host was muted since the reader was told which streams to read.
    pub(super) muted: bool,
    /// Something at the engine is longer than it may be, and nobody knows yet whose it is.
    pub(super) wary: bool,
    /// Hosts that have put their bans in force at the engine anew.
    pub(super) renewed: HashSet<String>,
    /// Hosts that nobody listens to.
    pub(super) forgotten: HashSet<String>,
    pub(super) hosts: BTreeMap<String, Host>,
    /// How far the administrators' stream has been read.
    pub(super) admin: StreamPosition,
    /// The id of the last order that was signed.
    pub(super) admin_id: String,
    /// Jails whose bans are known here.
    pub(super) reported: HashMap<String, Jail>,
    /// Jails that have started since the bans of others were asked for.
    pub(super) newcomers: HashSet<String>,
    /// The engine's clock less ours, in milliseconds.
    pub(super) ahead: i64,
    pub(super) ulids: Ulids,
    pub(super) signer: Option<Signer>,
    pub(super) trusted: Option<Trusted>,
    /// Bans in the engine's set of ours that are not known here.
    pub(super) unknown: usize,
    /// Since when there is a connection; else why there is none.
    pub(super) connected: Result<Timestamp, String>,
    pub(super) sent: u64,
    /// What the database has of how far was read.
    pub(super) saved: HashMap<String, StreamPosition>,
    /// The database knows what these belong to.
    pub(super) keeps_places: bool,
}

impl FleetTask {
    pub(super) fn new(
        settings: FleetSettings,
        around: FleetContext,
        asked: mpsc::Receiver<(FleetQuestion, oneshot::Sender<Value>)>,
    ) -> Result<FleetTask, String> {
        let engine = Engine::new(&settings).map_err(|error| error.to_string())?;
        let read = |option: &str, path: &std::path::Path| {
            let text = fs::read_to_string(path);
            text.map_err(|error| format!("[fleet] {option}: {}: {error}", path.display()))
        };
        let key = settings.key.as_ref();
        let signer = key.map(|path| {
            let key = Signer::read(&read("signkey", path)?);
            key.map_err(|error| format!("[fleet] signkey: {}: {error}", path.display()))
        });
        let trusted = settings.trusted.as_ref().map(|path| {
            let keys = Trusted::read(&read("trustedkeys", path)?);
            keys.map_err(|error| format!("[fleet] trustedkeys: {}: {error}", path.display()))
        });
        let told = around.link.open();
        around.link.set_away(true);
        Ok(FleetTask {
            told,
            claims: Claims::new(&settings.host),
            guard: Guard {
                prefixes: settings.prefixes,
                ..Guard::default()
            },
            signer: signer.transpose()?,
            trusted: trusted.transpose()?,
            engine,
            asked,
            forward: Forward::new(BanExchange::Fleet, WAITING),
            muted: false,
            wary: false,
            renewed: HashSet::new(),
            forgotten: HashSet::new(),
            hosts: BTreeMap::new(),
            admin: StreamPosition::default(),
            admin_id: String::new(),
            reported: HashMap::new(),
            newcomers: HashSet::new(),
            ahead: 0,
            ulids: Ulids::default(),
            unknown: 0,
            connected: Err(NOT_TRIED.to_owned()),
            sent: 0,
            saved: HashMap::new(),
            keeps_places: false,
            settings,
            around,
        })
    }

    /// Until it is dropped.
    pub(super) async fn run(mut self) {
        // a server that took part before has jails that run already
        for jail in (self.around.jails)() {
            if jail.is_started() && jail.mode(BanExchange::Fleet).takes_part() {
                self.hear(jail.name, JailUpdate::Started).await;
            }
        }
        self.read_places().await;
        loop {
            self.wait_for_jails().await;
            let mut wait = WAITS[0];
            let mut away = Instant::now();
            while self.takes_part() {
                let ended = self.session().await;
                self.around.link.set_away(true);
                let Err(error) = ended else {
                    break;
                };
                self.wary |= matches!(error, EngineError::TooLong);
                if self.connected.is_ok() {
                    (wait, away) = (WAITS[0], Instant::now());
                }
                self.lost(&error);
                let jitter = wait.mul_f64(0.75 + fastrand::f64() / 2.0);
                self.pause(Instant::now() + jitter).await;
                if away.elapsed() > PATIENT {
                    wait = wait.mul_f64(1.6).min(WAITS[1]);
                }
            }
        }
    }

    fn lost(&mut self, error: &EngineError) {
        let why = error.to_string();
        let was = std::mem::replace(&mut self.connected, Err(why.clone()));
        if was.as_ref() != Err(&why) {
            warning!(
                LOG,
                "The fleet's engine is away: {why} - bans of this host go on, and others hear of them when it is back"
            );
        }
    }

    /// Whether any jail takes part.
    pub(super) fn takes_part(&self) -> bool {
        !self.reported.is_empty()
    }

    /// Until the jails have started that take part; a host without any needs no connection.
    async fn wait_for_jails(&mut self) {
        while !self.takes_part() {
            self.serve_one(None).await;
        }
        let mut settled = Instant::now() + SETTLED;
        while self.serve_one(Some(settled)).await {
            settled = Instant::now() + SETTLED;
        }
    }

    /// Listens to jails and clients until then.
    async fn pause(&mut self, until: Instant) {
        while self.serve_one(Some(until)).await {}
    }

    /// Listens to one jail or client; false when the time is over before.
    async fn serve_one(&mut self, until: Option<Instant>) -> bool {
        let timeout = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some((jail, told)) = self.told.recv() => self.hear(jail, told).await,
            Some((question, reply)) = self.asked.recv() => {
                self.learn_missed().await;
                self.answer(question, reply);
            }
            () = timeout => return false,
        }
        true
    }

    /// The present by our clock.
    pub(super) fn clock() -> Timestamp {
        clock::now()
    }

    /// The present by the engine's clock.
    pub(super) fn now(&self) -> Millis {
        self.shared(FleetTask::clock())
    }

    /// A moment of our clock by the engine's.
    pub(super) fn shared(&self, time: Timestamp) -> Millis {
        match time.is_finite() {
            // a float of that size becomes the largest number
            true => Millis(((time * 1000.0) as i64).saturating_add(self.ahead)),
            false => Millis::NEVER,
        }
    }

    /// A moment of the engine's clock by ours.
    pub(super) fn local(&self, time: Millis) -> Timestamp {
        match time {
            Millis::NEVER => f64::INFINITY,
            Millis(time) => (time - self.ahead) as f64 / 1000.0,
        }
    }

    /// The jail of this host that the bans of a jail of that name concern, if it wants to hear of them.
    pub(super) fn jail_for(&self, jails: &HashMap<String, Jail>, name: &str) -> Option<Jail> {
        let jail = jails.get(name).or_else(|| jails.get(FALLBACK))?;
        jail.mode(BanExchange::Fleet).receives.then(|| jail.clone())
    }

    /// All jails by name.
    pub(super) fn jails(&self) -> HashMap<String, Jail> {
        let jails = (self.around.jails)().into_iter();
        jails.map(|jail| (jail.name.clone(), jail)).collect()
    }

    /// Without a connection jails do not tell of bans. Asks them for all they have if there were any.
    pub(super) async fn learn_missed(&mut self) {
        if !self.around.link.has_missed() {
            return;
        }
        for (name, jail) in self.reported.clone() {
            for ban in jail.own_bans().await {
                self.own_ban(&name, &ban);
            }
        }
    }

    /// Learns whom nobody may have banned here: this host, its gateways, the engine.
    pub(super) async fn learn_own(&mut self) {
        let mut own = this_host(&self.around.names).await;
        for (host, port) in self.engine.places() {
            let found = tokio::net::lookup_host((host.as_str(), port)).await;
            own.extend(
                found
                    .into_iter()
                    .flatten()
                    .map(|address| address.ip().to_canonical()),
            );
        }
        self.guard.own = own;
    }

    /// Reads from the database how far streams were read.
    async fn read_places(&mut self) {
        let Some(store) = (self.around.store)() else {
            return;
        };
        for (host, position) in store.positions_of(PLACES).await {
            if host == ADMIN_ID {
                self.admin_id = position.first_line_hash;
            } else if let Some(place) = StreamPosition::read(&position.first_line_hash) {
                self.saved.insert(host, place);
            }
        }
    }

    /// Writes to the database how far streams have been read, where that has changed.
    pub(super) fn save_places(&mut self) {
        let Some(store) = (self.around.store)() else {
            return;
        };
        let hosts = self
            .hosts
            .iter()
            .map(|(host, seen)| (host.as_str(), seen.place));
        let admin = std::iter::once((ADMIN, self.admin));
        for (host, place) in hosts.chain(admin) {
            if self.saved.get(host) == Some(&place) || place == StreamPosition::default() {
                continue;
            }
            if !std::mem::replace(&mut self.keeps_places, true) {
                // rows of the table belong to a jail
                store.add_jail(PLACES);
            }
            self.saved.insert(host.to_owned(), place);
            let row = |text: String| LogPosition {
                first_line_hash: text,
                offset: place.at.0 as f64,
            };
            store.update_log(PLACES, host, row(place.to_string()));
            if host == ADMIN && !self.admin_id.is_empty() {
                store.update_log(PLACES, ADMIN_ID, row(self.admin_id.clone()));
            }
        }
    }

    pub(super) fn say_connected(&mut self) {
        let hosts = self.hosts.len();
        let fleet = &self.settings.fleet;
        info!(LOG, "Connected to the fleet '{fleet}', hosts: {hosts}");
        self.connected = Ok(FleetTask::clock());
    }
}

/// What the database calls a jail, and hosts its logs: there stands how far each stream was read.
const PLACES: &str = "ferroban.fleet";
