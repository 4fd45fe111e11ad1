//! The task of the bridge: receives updates of jails, sends to the LAPI, and polls the LAPI. The three run
//! concurrently over one state; no jail ever waits for them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::decisions::{DecisionStream, LONGEST, duration};
use super::held::{DecisionList, HeldDecisions, JailChanges};
use super::lapi::{Lapi, LapiError};
use super::own::{OwnBans, SAME_END, scenario};
use super::{CrowdsecSettings, LOG, ORIGIN};
use crate::address::Address;
use crate::clock::now;
use crate::control::Value;
use crate::fleet::forward::Forward;
use crate::fleet::guard::{Guard, this_host};
use crate::fleet::{FleetContext, Millis};
use crate::jail::link::{JailUpdate, OwnBan};
use crate::jail::{BanExchange, Jail};
use crate::ticket::Timestamp;
use crate::{info, notice, warning};

/// The jail that takes what no jail `crowdsec-ORIGIN` takes.
const JAIL: &str = "crowdsec";
/// Bans and ends of bans that wait for the LAPI; beyond it the oldest are left out.
const WAITING: usize = 10_000;
/// Alerts that are sent at once.
const BATCH: usize = 100;
/// Between two signs of life of this machine.
const BEAT: Duration = Duration::from_secs(60);
/// All decisions are asked for again so often: nothing that was missed is missed for ever.
const ALL_AGAIN: Duration = Duration::from_secs(3600);
/// Between two reports of what is done here.
const USAGE: Duration = Duration::from_secs(900);
/// The first wait after an error, and the longest.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// By so much the LAPI's clock may be behind ours where it is asked what it has been told since.
const CLOCKS: Duration = Duration::from_secs(60);
/// Jails that start one after the other are given decisions together.
const TOGETHER: Duration = Duration::from_millis(100);

/// What the LAPI is to be told of one target.
#[derive(Clone, Debug, PartialEq)]
enum Out {
    Ban(OwnBan),
    Unban,
}

type Key = (String, Address);

/// All that the bridge knows.
#[derive(Debug)]
struct BridgeState {
    held: HeldDecisions,
    own: OwnBans,
    out: IndexMap<Key, Out>,
    forward: Forward,
    guard: Guard,
    /// All decisions are known.
    complete: bool,
    /// Jails that have said what bans they have.
    reported: Vec<String>,
    telling: LapiHealth,
    hearing: LapiHealth,
    sent: u64,
    dropped: u64,
    /// Bans that administrators of CrowdSec do not want.
    allowed: u64,
    /// Said to be beyond what is kept.
    beyond: bool,
}

/// Whether the LAPI does what it is asked.
#[derive(Clone, Debug, Default)]
struct LapiHealth {
    /// Since when it does.
    since: Option<Timestamp>,
    /// When it did last.
    last: Option<Timestamp>,
    /// Why it does not.
    error: Option<String>,
}

/// What the parts of the task share.
#[derive(Debug)]
pub(super) struct BridgeShared {
    settings: CrowdsecSettings,
    lapi: Lapi,
    around: FleetContext,
    began: Timestamp,
    state: Mutex<BridgeState>,
    /// There is something to tell.
    to_tell: Notify,
    /// A jail that hears or tells has started.
    stirred: Notify,
}

/// Until it is dropped.
pub(super) async fn run(shared: Arc<BridgeShared>, told: mpsc::Receiver<(String, JailUpdate)>) {
    tokio::join!(shared.hear_jails(told), shared.tell(), shared.look());
}

impl BridgeShared {
    pub(super) fn new(
        settings: CrowdsecSettings,
        around: FleetContext,
    ) -> Result<BridgeShared, String> {
        let state = BridgeState {
            held: HeldDecisions::new(settings.most),
            own: OwnBans::default(),
            out: IndexMap::new(),
            forward: Forward::new(BanExchange::Crowdsec, 3 * settings.most),
            guard: Guard {
                prefixes: settings.prefixes,
                ..Guard::default()
            },
            complete: false,
            reported: Vec::new(),
            telling: LapiHealth::default(),
            hearing: LapiHealth::default(),
            sent: 0,
            dropped: 0,
            allowed: 0,
            beyond: false,
        };
        Ok(BridgeShared {
            lapi: Lapi::new(&settings)?,
            settings,
            around,
            began: now(),
            state: Mutex::new(state),
            to_tell: Notify::new(),
            stirred: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, BridgeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jail(&self, name: &str) -> Option<Jail> {
        let jails = (self.around.jails)();
        jails.into_iter().find(|jail| jail.name == name)
    }

    fn sends(&self, jail: &str) -> bool {
        let jail = self.jail(jail);
        jail.is_some_and(|jail| jail.mode(BanExchange::Crowdsec).sends)
    }

    /// Hears what jails tell.
    async fn hear_jails(&self, mut told: mpsc::Receiver<(String, JailUpdate)>) {
        for jail in (self.around.jails)() {
            if jail.is_started() && jail.mode(BanExchange::Crowdsec).takes_part() {
                self.started(&jail, false).await;
            }
        }
        while let Some((jail, told)) = told.recv().await {
            match told {
                JailUpdate::Ban(ban) => {
                    if self.sends(&jail) {
                        self.banned(&jail, ban);
                    }
                }
                JailUpdate::Unban(id, _) => {
                    let mut state = self.state();
                    if state.own.remove(&jail, &id) && self.settings.tells() {
                        state.put((jail, id), Out::Unban);
                        self.to_tell.notify_one();
                    }
                }
                JailUpdate::Started => {
                    if let Some(jail) = self.jail(&jail) {
                        self.started(&jail, false).await;
                    }
                }
                JailUpdate::Stopped => {
                    let mut state = self.state();
                    state.own.remove_jail(&jail);
                    state.held.forget(&jail);
                    state.forward.close(&jail);
                    state.reported.retain(|other| *other != jail);
                }
            }
            if self.around.link.has_missed() {
                let reported = self.state().reported.clone();
                for jail in reported.iter().filter_map(|name| self.jail(name)) {
                    self.started(&jail, true).await;
                }
            }
        }
    }

    /// A jail of this host has banned somebody.
    fn banned(&self, jail: &str, ban: OwnBan) {
        let mut state = self.state();
        let tells = self.settings.tells() && !matches!(ban.id, Address::Raw(_));
        if tells && state.own.claim(jail, &ban.id, ban.until, now()) {
            state.put((jail.to_owned(), ban.id.clone()), Out::Ban(ban));
            self.to_tell.notify_one();
        }
    }

    /// A jail has its bans from the database, which nobody is told of again; or some of what it told was
    /// `missed`.
    async fn started(&self, jail: &Jail, missed: bool) {
        let mode = jail.mode(BanExchange::Crowdsec);
        if mode.sends {
            for ban in jail.own_bans().await {
                match missed {
                    true => self.banned(&jail.name, ban),
                    false => {
                        let mut state = self.state();
                        state.own.claim(&jail.name, &ban.id, ban.until, ban.since);
                    }
                }
            }
        }
        let theirs = match mode.receives {
            true => jail.list_bans().await,
            false => Vec::new(),
        };
        let mut state = self.state();
        state.forward.close(&jail.name);
        match mode.receives {
            true => state.held.know(&jail.name, theirs),
            false => state.held.forget(&jail.name),
        }
        if !state.reported.contains(&jail.name) {
            state.reported.push(jail.name.clone());
        }
        drop(state);
        self.stirred.notify_one();
    }

    /// Tells the LAPI what there is to tell, for ever.
    async fn tell(&self) {
        if !self.settings.tells() {
            return;
        }
        let mut wait = WAITS[0];
        let mut one_by_one = 0;
        // since when it is not known what of the first batch the LAPI has
        let mut unsure = None;
        loop {
            if self.state().out.is_empty() {
                let told = timeout(BEAT, self.to_tell.notified()).await;
                let idle = told.is_err() && !self.state().reported.is_empty();
                if idle {
                    let beat = self.lapi.beat().await;
                    self.note(Direction::Telling, beat.as_ref().err());
                }
                continue;
            }
            let count = if one_by_one > 0 { 1 } else { BATCH };
            let batch = self.state().first(count);
            let begin = Instant::now();
            let result = self.send(&batch, unsure).await;
            if result.is_err() {
                unsure.get_or_insert(begin);
            }
            match &result {
                Err(error) if error.is_final() && batch.len() > 1 => {
                    // one of them alone may be at fault
                    one_by_one = batch.len();
                    continue;
                }
                Err(error) if error.is_final() => {
                    warning!(LOG, "{} is not told to CrowdSec: {error}", batch[0].0.1);
                    self.state().dropped += 1;
                    self.state().done(&batch);
                }
                Err(error) => {
                    self.note(Direction::Telling, Some(error));
                    sleep(wait.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
                    wait = (wait * 2).min(WAITS[1]);
                    continue;
                }
                Ok(()) => {
                    unsure = None;
                    let mut state = self.state();
                    state.sent += batch.len() as u64;
                    state.done(&batch);
                }
            }
            one_by_one = one_by_one.saturating_sub(1);
            wait = WAITS[0];
            self.note(Direction::Telling, None);
        }
    }

    /// Tells the LAPI of these. `unsure`: it may have some of them since then, as an answer was lost.
    async fn send(&self, batch: &[(Key, Out)], unsure: Option<Instant>) -> Result<(), LapiError> {
        let bans: Vec<(&Key, &OwnBan)> = batch
            .iter()
            .filter_map(|(key, out)| match out {
                Out::Ban(ban) => Some((key, ban)),
                Out::Unban => None,
            })
            .collect();
        if !bans.is_empty() {
            let targets: Vec<String> = bans.iter().map(|(key, _)| key.1.to_string()).collect();
            let allowed = self.lapi.allowed(&targets).await?.unwrap_or_default();
            let there = match unsure {
                Some(since) => self.told_already(&bans, since.elapsed()).await?,
                None => HashSet::new(),
            };
            let mut alerts = Vec::new();
            for ((key, ban), target) in bans.into_iter().zip(targets) {
                if there.contains(key) {
                    continue;
                }
                if allowed.contains(&target) {
                    let jail = &key.0;
                    info!(LOG, "[{jail}] {target} is not told: CrowdSec allows it");
                    self.state().allowed += 1;
                    continue;
                }
                let now = now();
                // it may have waited for days
                if ban.until - now > 1.0 {
                    alerts.push(alert(&key.0, &target, ban, now, self.lapi.clock(now)));
                }
            }
            if !alerts.is_empty() {
                self.lapi.push(&Json::Array(alerts)).await?;
            }
        }
        for (key, out) in batch {
            if *out == Out::Unban {
                let scenario = scenario(&key.0);
                self.lapi.delete_own(&scenario, &key.1.to_string()).await?;
            }
        }
        Ok(())
    }

    /// Which of these bans the LAPI has decisions on, made within this time.
    async fn told_already(
        &self,
        bans: &[(&Key, &OwnBan)],
        within: Duration,
    ) -> Result<HashSet<Key>, LapiError> {
        let mut there = HashSet::new();
        let jails: BTreeSet<&str> = bans.iter().map(|(key, _)| key.0.as_str()).collect();
        for jail in jails {
            let told = self
                .lapi
                .told_since(&scenario(jail), within + CLOCKS)
                .await?;
            let now = now();
            for (key, ban) in bans.iter().filter(|(key, _)| key.0 == jail) {
                let (target, lasts) = (key.1.to_string(), ban.until - now);
                // one that lasts longer than they can has been cut when it was told
                let off = match lasts > LONGEST {
                    true => within.as_secs_f64() + SAME_END,
                    false => SAME_END,
                };
                let lasts = lasts.min(LONGEST);
                let same =
                    |(whom, left): &(String, f64)| *whom == target && (left - lasts).abs() < off;
                if told.iter().any(same) {
                    there.insert((*key).clone());
                }
            }
        }
        Ok(there)
    }

    /// Looks what the LAPI has, for ever.
    async fn look(&self) {
        if !self.settings.hears() {
            return;
        }
        let mut all_at = Instant::now();
        let mut usage_at = Some(Instant::now());
        let mut wait = WAITS[0];
        loop {
            while self.state().reported.is_empty() {
                self.stirred.notified().await;
            }
            sleep(TOGETHER).await;
            let late = self.state().forward.caught_up();
            for jail in late.iter().filter_map(|name| self.jail(name)) {
                // what it has is not what it was given
                self.started(&jail, false).await;
            }
            let all = Instant::now() >= all_at;
            self.learn_own().await;
            let looked = self.lapi.decisions(all, &self.asked_origins()).await;
            self.note(Direction::Hearing, looked.as_ref().err());
            let pause = match looked {
                Ok(stream) => {
                    if all {
                        all_at = Instant::now() + ALL_AGAIN;
                    }
                    wait = WAITS[0];
                    self.hear(stream, all).await;
                    self.settings.interval
                }
                Err(_) => {
                    // what has changed was told once, and is lost
                    all_at = Instant::now();
                    let pause = wait.max(self.settings.interval.min(WAITS[1]));
                    wait = (wait * 2).min(WAITS[1]);
                    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
                }
            };
            if usage_at.is_some_and(|at| Instant::now() >= at) && self.state().complete {
                let told = self.lapi.tell_usage(&self.usage()).await;
                usage_at = match told {
                    Ok(false) => None,
                    Ok(true) | Err(_) => Some(Instant::now() + USAGE),
                };
            }
            let next = Instant::now() + pause;
            while Instant::now() < next {
                let again = self.give().map_or(next, |at| {
                    let wait = (at - now()).clamp(0.001, 3600.0);
                    (Instant::now() + Duration::from_secs_f64(wait)).min(next)
                });
                let stirred = tokio::time::timeout_at(again, self.stirred.notified());
                if stirred.await.is_ok() {
                    sleep(TOGETHER).await;
                }
            }
        }
    }

    /// The origins that the LAPI is asked for: those that count, and ours, as somebody may delete decisions.
    fn asked_origins(&self) -> Vec<String> {
        let mut origins = self.settings.origins.clone();
        if !origins.is_empty() && !origins.iter().any(|origin| origin == ORIGIN) {
            origins.push(ORIGIN.to_owned());
        }
        // the LAPI compares them as they are written
        for origin in &mut origins {
            if origin == "capi" {
                origin.make_ascii_uppercase();
            }
        }
        origins
    }

    /// Learns whom nobody may have banned here: this host and its gateways, and the LAPI.
    async fn learn_own(&self) {
        let mut own = this_host(&self.around.names).await;
        if let Some((host, port)) = self.settings.place() {
            let found = tokio::net::lookup_host((host.as_str(), port)).await;
            let found = found.into_iter().flatten();
            own.extend(found.map(|address| -> IpAddr { address.ip().to_canonical() }));
        }
        self.state().guard.own = own;
    }

    /// Takes what the LAPI says.
    async fn hear(&self, stream: DecisionStream, all: bool) {
        let now = now();
        let mut lifts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        {
            let mut state = self.state();
            let state = &mut *state;
            for decision in &stream.deleted {
                state.held.delete(decision.id);
                if decision.origin == ORIGIN
                    && let Some(jail) = state.own.deleted(decision, now)
                {
                    lifts
                        .entry(jail)
                        .or_default()
                        .push(decision.target.to_string());
                }
            }
            if all {
                state.held.begin_all();
                state.own.begin_all();
            }
            for decision in &stream.new {
                let ours = decision.origin == ORIGIN && state.own.knows(decision, now);
                if !ours && self.settings.wants(&decision.origin, &decision.scenario) {
                    state.held.add(decision, now);
                }
            }
            state.own.look(now);
            state.complete |= all;
            let beyond = state.held.beyond();
            if beyond > 0 && !std::mem::replace(&mut state.beyond, true) {
                warning!(
                    LOG,
                    "CrowdSec has {beyond} more decisions than the {} that are kept (maxbans of [crowdsec])",
                    self.settings.most
                );
            }
            state.beyond &= beyond > 0 || !all;
        }
        for (name, ids) in lifts {
            if let Some(jail) = self.jail(&name) {
                notice!(
                    LOG,
                    "[{name}] CrowdSec has deleted the decision on {}",
                    ids.join(", ")
                );
                jail.unban(Some(ids)).await;
            }
        }
        self.give();
    }

    /// Gives jails what they have to do now; answers when to look again although nothing has changed.
    fn give(&self) -> Option<Timestamp> {
        let receives = |jail: &Jail| jail.is_started() && jail.mode(BanExchange::Crowdsec).receives;
        let jails: BTreeMap<String, Jail> = (self.around.jails)()
            .into_iter()
            .filter(receives)
            .map(|jail| (jail.name.clone(), jail))
            .collect();
        let mut state = self.state();
        let state = &mut *state;
        if !state.complete {
            return None;
        }
        let reported = |name: &String| state.reported.contains(name);
        let jail_of = |list: &DecisionList| {
            let own = format!("{JAIL}-{}", list.origin);
            let known = |name: &String| jails.contains_key(name) && reported(name);
            [own, JAIL.to_owned()].into_iter().find(known)
        };
        let guard = &state.guard;
        let refuses = |target: &Address| guard.refuses(target, Millis(0)).is_some();
        let (orders, again) = state.held.orders(jail_of, refuses, now());
        for (name, order) in orders {
            if let Some(jail) = jails.get(&name) {
                say(&name, &order);
                state.forward.send(jail, order.changes);
            }
        }
        again
    }

    /// Remembers whether the LAPI does what it is asked; says when that has changed.
    fn note(&self, direction: Direction, error: Option<&LapiError>) {
        let mut state = self.state();
        let way = match direction {
            Direction::Telling => &mut state.telling,
            Direction::Hearing => &mut state.hearing,
        };
        let Some(error) = error else {
            let now = now();
            if way.error.take().is_some() || way.since.is_none() {
                info!(LOG, "CrowdSec {}", direction.done());
            }
            way.since.get_or_insert(now);
            way.last = Some(now);
            return;
        };
        let why = error.to_string();
        way.since = None;
        if way.error.as_ref() != Some(&why) {
            warning!(LOG, "CrowdSec {}: {why}", direction.failed());
            way.error = Some(why);
        }
    }

    /// What `cscli metrics show bouncers` tells.
    fn usage(&self) -> Json {
        let state = self.state();
        let lists = state.held.by_list();
        let items: Vec<Json> = lists
            .iter()
            .map(|(list, count)| {
                json!({"name": "active_decisions", "value": count, "unit": "ip", "labels": {"origin": list}})
            })
            .collect();
        let (now, began) = (now() as i64, self.began as i64);
        json!({"remediation_components": [{
            "type": "ferroban",
            "version": crate::VERSION,
            "os": {"name": std::env::consts::OS, "version": ""},
            "feature_flags": [],
            "utc_startup_timestamp": began,
            "last_pull": state.hearing.last.map(|last| last as i64),
            "metrics": [{
                "meta": {"utc_now_timestamp": now, "window_size_seconds": USAGE.as_secs()},
                "items": items,
            }],
        }]})
    }

    /// What clients are told.
    pub(super) fn status(&self) -> Value {
        let state = self.state();
        let text = |text: &Option<String>| text.as_deref().map_or(Value::None, Value::from);
        let time = |time: Option<Timestamp>| time.map_or(Value::None, Value::Float);
        let count = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let way = |way: &LapiHealth, used: bool| match used {
            true => Value::Dict(vec![
                ("since".into(), time(way.since)),
                ("last".into(), time(way.last)),
                ("error".into(), text(&way.error)),
            ]),
            false => Value::None,
        };
        let lists = state.held.by_list().into_iter();
        let lists = lists.map(|(list, decisions)| (list.into(), count(decisions as u64)));
        let receiving = state
            .reported
            .iter()
            .map(|jail| (jail, state.held.given(jail)));
        let bans = receiving.filter(|(_, bans)| *bans > 0);
        let bans = bans.map(|(jail, bans)| (jail.as_str().into(), count(bans as u64)));
        let pairs = vec![
            ("url", self.settings.url.as_str().into()),
            ("telling", way(&state.telling, self.settings.tells())),
            ("hearing", way(&state.hearing, self.settings.hears())),
            ("told", count(state.own.len() as u64)),
            ("sent", count(state.sent)),
            ("waiting", count(state.out.len() as u64)),
            ("dropped", count(state.dropped + self.around.link.dropped())),
            ("allowed", count(state.allowed)),
            ("lists", Value::Dict(lists.collect())),
            ("bans", Value::Dict(bans.collect())),
        ];
        let pairs = pairs.into_iter();
        Value::Dict(pairs.map(|(key, value)| (key.into(), value)).collect())
    }
}

impl BridgeState {
    /// Adds something to be told; what was to be told of the same is not any more.
    fn put(&mut self, key: Key, out: Out) {
        self.out.shift_remove(&key);
        if self.out.len() >= WAITING {
            self.out.shift_remove_index(0);
            self.dropped += 1;
        }
        self.out.insert(key, out);
    }

    /// What is to be told next.
    fn first(&self, count: usize) -> Vec<(Key, Out)> {
        let out = self.out.iter().take(count);
        out.map(|(key, out)| (key.clone(), out.clone())).collect()
    }

    /// It has been told, unless something newer is to be.
    fn done(&mut self, batch: &[(Key, Out)]) {
        for (key, out) in batch {
            if self.out.get(key) == Some(out) {
                self.out.shift_remove(key);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Telling,
    Hearing,
}

impl Direction {
    fn done(self) -> &'static str {
        match self {
            Direction::Telling => "is told of bans",
            Direction::Hearing => "tells its decisions",
        }
    }

    fn failed(self) -> &'static str {
        match self {
            Direction::Telling => "is not told of bans, which wait",
            Direction::Hearing => "does not tell its decisions, and what it has told stays",
        }
    }
}

fn say(jail: &str, order: &JailChanges) {
    let words = order.words();
    if !words.is_empty() {
        notice!(LOG, "[{jail}] {words}");
    }
}

/// An alert with the decision that a ban is. By the LAPI's clock it is `there`.
fn alert(jail: &str, target: &str, ban: &OwnBan, now: Timestamp, there: Timestamp) -> Json {
    let scope = match ban.id.is_single() {
        true => "Ip",
        false => "Range",
    };
    let scenario = scenario(jail);
    let at = |time: Timestamp| {
        let time = DateTime::from_timestamp_millis((time * 1000.0) as i64).unwrap_or_default();
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let began = there - (now - ban.since).max(0.0);
    let message = format!(
        "{target} banned by jail {jail}, {} times so far",
        ban.bancount.max(1)
    );
    let mut source = json!({"scope": scope, "value": target});
    source[scope.to_lowercase()] = target.into();
    json!({
        "scenario": scenario,
        "scenario_hash": "",
        "scenario_version": "",
        "message": message,
        "events_count": 1,
        "events": [],
        "start_at": at(began),
        "stop_at": at(there),
        "capacity": 0,
        "leakspeed": "0s",
        "simulated": false,
        "remediation": true,
        "source": source,
        "decisions": [{
            "origin": ORIGIN,
            "type": "ban",
            "scope": scope,
            "value": target,
            "duration": duration(ban.until - now),
            "scenario": scenario,
        }],
    })
}
