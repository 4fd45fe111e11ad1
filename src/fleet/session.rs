//! One session with the engine: registers, catches up, then sends and receives until the connection ends.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::LOG;
use super::engine::{Engine, EngineConnection, MOST_HOSTS, Received, StreamPosition};
use super::failure::{EngineError, PATIENCE};
use super::settings::ADMIN;
use super::task::{FleetTask, Host};
use crate::jail::link::JailUpdate;
use crate::warning;

/// How long a try to connect lasts that is made beside a longer one.
const SHORT_TRY: Duration = Duration::from_millis(400);
/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(5);
/// Signs of life between two looks at what seldom changes.
const SELDOM: u64 = 12;
/// How long the engine waits with an answer for something to tell.
const WAIT: Duration = Duration::from_secs(2);
/// A difference between two looks at the engine's clock that is no correction, in milliseconds.
const STEP: i64 = 2_000;
/// Jails that start or report one after the other are dealt with together.
const TOGETHER: Duration = Duration::from_millis(100);
/// After so long bans are looked at that were put there anew, of all hosts that have done so meanwhile.
const LOOK: Duration = Duration::from_millis(500);
/// What jails tell that is sent at once.
const AT_ONCE: usize = 500;
/// Batches that were read and not looked at; the engine keeps the rest.
const AHEAD: usize = 4;

/// A task that ends with its handle.
struct ReaderTaskHandle(JoinHandle<()>);

impl Drop for ReaderTaskHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Places = BTreeMap<String, StreamPosition>;
type ReceivedBatch = Result<Vec<Received>, EngineError>;

impl FleetTask {
    /// Connects and takes part, until the engine goes away or no jail takes part any more.
    pub(super) async fn session(&mut self) -> Result<(), EngineError> {
        let mut engine = connect(&self.engine).await?;
        self.around.link.set_away(false);
        self.set_clock(&mut engine).await?;
        self.learn_missed().await;
        self.learn_own().await;
        let own = self.settings.host.clone();
        engine.tell_addresses(&own, &self.guard.own).await?;
        engine.beat(&own, self.now()).await?;
        self.learn_allowed(&mut engine).await?;
        self.learn_hosts(&mut engine).await?;
        let hosts: Vec<String> = self.hosts.keys().cloned().collect();
        let missed = self.find_places(&hosts, &mut engine).await?;
        // orders before anything is told anew that they have taken back
        self.find_orders(&mut engine).await?;
        self.catch_up(
            BTreeMap::from([(ADMIN.to_owned(), self.admin)]),
            &mut engine,
        )
        .await?;
        self.reconcile(&mut engine).await?;
        let places = self.places();
        self.catch_up(places, &mut engine).await?;
        let all = !std::mem::take(&mut self.newcomers).is_empty();
        for host in if all { hosts } else { missed } {
            self.snapshot(&host, false, &mut engine).await?;
        }
        self.look_again(&mut engine).await?;
        self.say_connected();
        self.go_on(&mut engine).await
    }

    /// Sends and receives as it happens.
    async fn go_on(&mut self, engine: &mut EngineConnection) -> Result<(), EngineError> {
        let reading = self.engine.connect(PATIENCE[0]).await?;
        let (places, wanted) = watch::channel(self.places());
        let (batches, mut received) = mpsc::channel(AHEAD);
        let _reader = ReaderTaskHandle(tokio::spawn(read_on(reading, wanted, batches)));
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0;
        let mut stirred = None;
        let mut look = None;
        while self.takes_part() {
            let settled = at(stirred);
            let due = at(look);
            tokio::select! {
                batch = received.recv() => match batch {
                    Some(batch) => {
                        self.receive(batch?, engine).await?;
                        if !self.renewed.is_empty() {
                            look.get_or_insert(Instant::now() + LOOK);
                        }
                        if std::mem::take(&mut self.muted) {
                            places.send_replace(self.places());
                        }
                    }
                    None => return Err(EngineError::Answer),
                },
                Some((jail, told)) = self.told.recv() => {
                    let mut out = Vec::new();
                    let mut next = Some((jail, told));
                    while let Some((jail, told)) = next {
                        if let JailUpdate::Started | JailUpdate::Stopped = told {
                            stirred = Some(Instant::now() + TOGETHER);
                        }
                        self.note(jail, told, Some(&mut out)).await;
                        next = match out.len() < AT_ONCE {
                            true => self.told.try_recv().ok(),
                            false => None,
                        };
                    }
                    if !out.is_empty() {
                        self.publish(engine, out).await?;
                    }
                }
                Some((question, reply)) = self.asked.recv() => self.answer(question, reply),
                () = settled => {
                    stirred = None;
                    self.reconcile(engine).await?;
                    if !std::mem::take(&mut self.newcomers).is_empty() {
                        let hosts: Vec<String> = self.hosts.keys().cloned().collect();
                        for host in hosts {
                            self.snapshot(&host, false, engine).await?;
                        }
                    }
                }
                () = due => {
                    look = None;
                    self.look_again(engine).await?;
                }
                _ = beats.tick() => {
                    count += 1;
                    if self.beat(count % SELDOM == 0, engine).await? {
                        stirred = Some(Instant::now());
                    }
                    places.send_replace(self.places());
                }
            }
        }
        Ok(())
    }

    /// Looks at the bans of hosts that have put them there anew.
    async fn look_again(&mut self, engine: &mut EngineConnection) -> Result<(), EngineError> {
        for host in std::mem::take(&mut self.renewed) {
            self.snapshot(&host, true, engine).await?;
        }
        Ok(())
    }

    /// A sign of life, and a look at whatever may have changed; whether jails have to be brought up to date.
    async fn beat(
        &mut self,
        seldom: bool,
        engine: &mut EngineConnection,
    ) -> Result<bool, EngineError> {
        if self.set_clock(engine).await? {
            self.tell_ends();
        }
        if seldom {
            self.learn_own().await;
            let own = self.settings.host.clone();
            engine.tell_addresses(&own, &self.guard.own).await?;
            self.learn_allowed(engine).await?;
        }
        let now = self.now();
        let there = engine.beat(&self.settings.host, now).await?;
        self.claims.expire(now);
        if there != self.expected(now) {
            self.reconcile(engine).await?;
        }
        let new = self.learn_hosts(engine).await?;
        let mut behind = self.find_places(&new, engine).await?;
        // of a muted host a little now and then, so that the others do not wait for it
        let muted = self.hosts.iter();
        let muted = muted.filter(|(_, host)| host.is_muted() && !host.shut_out);
        let muted: Places = muted
            .map(|(name, host)| (name.clone(), host.place))
            .collect();
        if !muted.is_empty() {
            let received = engine.read(&muted, None).await?;
            self.receive(received, engine).await?;
        }
        let limits = self.settings.limits;
        for (name, host) in self.hosts.iter_mut().filter(|(_, host)| !host.shut_out) {
            let in_force = self.claims.count(name);
            let budget = host.budget.as_mut();
            if budget.is_some_and(|budget| budget.forgive(&limits, now, in_force)) {
                warning!(LOG, "Host {name} of the fleet is heard again");
                behind.push(name.clone());
            }
        }
        for host in behind {
            self.snapshot(&host, false, engine).await?;
        }
        let mut stir = false;
        let mut late = self.forward.caught_up();
        if self.around.link.has_missed() {
            late.extend(self.reported.keys().cloned());
        }
        for jail in late {
            self.hear(jail, JailUpdate::Started).await;
            stir = true;
        }
        self.save_places();
        Ok(stir)
    }

    /// Compares the clocks; whether one of them was set since the last look.
    async fn set_clock(&mut self, engine: &mut EngineConnection) -> Result<bool, EngineError> {
        let before = FleetTask::clock();
        let there = engine.time().await?;
        let here = (before + FleetTask::clock()) / 2.0;
        let ahead = there.0 - (here * 1000.0) as i64;
        let stepped = (ahead - self.ahead).abs() > STEP;
        if !stepped && self.connected.is_ok() && (ahead - self.ahead).abs() < 100 {
            return Ok(false);
        }
        self.ahead = ahead;
        if stepped {
            // ends of bans of this host go by its own clock
            for (name, jail) in self.reported.clone() {
                let bans = jail.own_bans().await;
                self.correct(&name, bans);
            }
        }
        Ok(stepped)
    }

    async fn learn_allowed(&mut self, engine: &mut EngineConnection) -> Result<(), EngineError> {
        let allowed = engine.allowed().await?.into_iter();
        self.guard.allowed = allowed.map(|(target, until, _)| (target, until)).collect();
        Ok(())
    }

    /// Looks who is in the fleet; those who were not known.
    async fn learn_hosts(
        &mut self,
        engine: &mut EngineConnection,
    ) -> Result<Vec<String>, EngineError> {
        let (there, forgotten) = engine.hosts().await?;
        let newly: Vec<String> = forgotten.difference(&self.forgotten).cloned().collect();
        self.forget_all(&newly);
        self.forgotten = forgotten;
        let mut new = Vec::new();
        for (name, seen) in there {
            // others are still listened to; nobody fills the memory with names
            let full = self.hosts.len() >= MOST_HOSTS && !self.hosts.contains_key(&name);
            if name == self.settings.host || full {
                continue;
            }
            let host = self.hosts.entry(name.clone()).or_insert_with(|| {
                new.push(name);
                Host::default()
            });
            host.seen = seen;
        }
        if self.wary {
            self.find_whose(engine).await?;
        }
        let heard = self.hosts.iter().filter(|(_, host)| !host.shut_out);
        let names: Vec<String> = heard.map(|(name, _)| name.clone()).collect();
        self.guard.hosts = engine.addresses(&names).await?;
        Ok(new)
    }

    /// Something at the engine is longer than it may be: looks at each host by itself, and shuts out whose it is.
    /// The connection is of no more use then.
    async fn find_whose(&mut self, engine: &mut EngineConnection) -> Result<(), EngineError> {
        let count = self.hosts.len();
        let heard = self.hosts.iter().filter(|(_, host)| !host.shut_out);
        let heard: Vec<(String, StreamPosition)> = heard
            .map(|(name, host)| match host.place {
                place if place == StreamPosition::default() => {
                    (name, self.saved.get(name).copied())
                }
                place => (name, Some(place)),
            })
            .map(|(name, place)| (name.clone(), place.unwrap_or_default()))
            .collect();
        for (name, place) in heard {
            let looked = engine.probe(&name, place, count).await;
            self.shut_out_if_long(&name, looked)?;
        }
        self.wary = false;
        Ok(())
    }

    /// Shuts a host out where what was read of it alone is longer than it may be.
    pub(super) fn shut_out_if_long<T>(
        &mut self,
        name: &str,
        looked: Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        if let Err(EngineError::TooLong) = looked
            && let Some(host) = self.hosts.get_mut(name)
        {
            host.shut_out = true;
            warning!(
                LOG,
                "Host {name} of the fleet is shut out until the next start: it has written what no host \
                 writes. Its bans stay; `ferroban fleet forget {name}` lifts them"
            );
        }
        looked
    }

    /// Where each of these streams is to be read on; hosts of whose bans something was missed.
    async fn find_places(
        &mut self,
        hosts: &[String],
        engine: &mut EngineConnection,
    ) -> Result<Vec<String>, EngineError> {
        let shut_out = |name: &&String| self.hosts.get(*name).is_some_and(|host| host.shut_out);
        let hosts: Vec<String> = hosts
            .iter()
            .filter(|name| !shut_out(name))
            .cloned()
            .collect();
        let ends = engine.ends(&hosts).await?;
        let mut missed = Vec::new();
        for (name, ends) in hosts.iter().zip(ends) {
            let Some(host) = self.hosts.get_mut(name) else {
                continue;
            };
            let known = match host.place {
                place if place == StreamPosition::default() => self.saved.get(name).copied(),
                place => Some(place),
            };
            let (place, gap) = resume(known, ends);
            host.place = match gap && self.trusted.is_some() {
                true => StreamPosition::default(),
                false => place,
            };
            if gap {
                missed.push(name.clone());
            }
        }
        if self.trusted.is_some() && !self.newcomers.is_empty() {
            // what is signed stands in the streams alone
            for host in self.hosts.values_mut() {
                host.place = StreamPosition::default();
                host.last_id.clear();
            }
        }
        Ok(missed)
    }

    /// As [`FleetTask::find_places`] for the administrators' orders: of those before this host came none concerns
    /// it.
    async fn find_orders(&mut self, engine: &mut EngineConnection) -> Result<(), EngineError> {
        if self.admin != StreamPosition::default() {
            return Ok(());
        }
        let ends = engine.ends(&[ADMIN.to_owned()]).await?;
        let last = ends.first().copied().flatten().map(|(_, last)| last);
        // orders may have come since it was here last, the first ones perhaps
        // not after now: a host may choose its own places
        let now = self.now();
        let read = self.saved.values().filter(|place| place.at <= now).max();
        let known = self.saved.get(ADMIN).or(read);
        self.admin = known.copied().or(last).unwrap_or_default();
        Ok(())
    }

    /// The streams that are read as they grow: those of muted hosts are not.
    fn places(&self) -> Places {
        let heard = self.hosts.iter().filter(|(_, host)| !host.is_muted());
        let hosts = heard.map(|(name, host)| (name.clone(), host.place));
        hosts.chain([(ADMIN.to_owned(), self.admin)]).collect()
    }

    /// Reads what stands in these streams already.
    async fn catch_up(
        &mut self,
        mut places: Places,
        engine: &mut EngineConnection,
    ) -> Result<(), EngineError> {
        while !places.is_empty() {
            let received = engine.read(&places, None).await?;
            if received.is_empty() {
                break;
            }
            advance(&mut places, &received);
            self.receive(received, engine).await?;
        }
        Ok(())
    }
}

/// Connects. A try that began before a cable was plugged in again finds out late that it was, so short ones are made
/// beside it.
async fn connect(engine: &Engine) -> Result<EngineConnection, EngineError> {
    let beside = async {
        let mut next = interval(SHORT_TRY);
        next.tick().await;
        loop {
            next.tick().await;
            if let Ok(connection) = engine.connect(SHORT_TRY).await {
                return connection;
            }
        }
    };
    tokio::select! {
        connected = engine.connect(PATIENCE[0]) => connected,
        connection = beside => Ok(connection),
    }
}

/// Where to read on in a stream that was read up to `known`, and whether something was missed.
fn resume(
    known: Option<StreamPosition>,
    ends: Option<(StreamPosition, StreamPosition)>,
) -> (StreamPosition, bool) {
    match (known, ends) {
        (None, Some((_, last))) => (last, true),
        (None, None) => (StreamPosition::default(), true),
        // the engine has lost its data
        (Some(_), None) => (StreamPosition::default(), true),
        (Some(known), Some((_, last))) if known > last => (StreamPosition::default(), true),
        (Some(known), Some((first, _))) if known < first => (StreamPosition::default(), true),
        (Some(known), Some(_)) => (known, false),
    }
}

/// Until then; for ever where there is no such moment.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn advance(places: &mut Places, received: &[Received]) {
    for one in received {
        if let Some(place) = places.get_mut(&one.host) {
            *place = one.place;
        }
    }
}

/// Reads streams on for ever; which ones are `wanted` may change.
async fn read_on(
    mut engine: EngineConnection,
    mut wanted: watch::Receiver<Places>,
    batches: mpsc::Sender<ReceivedBatch>,
) {
    let mut places = wanted.borrow_and_update().clone();
    loop {
        if wanted.has_changed().unwrap_or(false) {
            let now = wanted.borrow_and_update();
            places.retain(|host, _| now.contains_key(host));
            for (host, place) in &*now {
                places.entry(host.clone()).or_insert(*place);
            }
        }
        let batch = engine.read(&places, Some(WAIT)).await;
        let failed = batch.is_err();
        if let Ok(received) = &batch {
            if received.is_empty() {
                continue;
            }
            advance(&mut places, received);
        }
        if batches.send(batch).await.is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Millis;
    use super::*;

    fn place(text: &str) -> StreamPosition {
        StreamPosition::read(text).unwrap()
    }

    #[test]
    fn reading_goes_on_where_it_ended_or_tells_of_a_gap() {
        let ends = Some((place("10-0"), place("20-3")));
        let table = [
            (None, None, (StreamPosition::default(), true)),
            (None, ends, (place("20-3"), true)),
            (Some(place("15-1")), ends, (place("15-1"), false)),
            (Some(place("20-3")), ends, (place("20-3"), false)),
            (Some(place("20-4")), ends, (StreamPosition::default(), true)),
            (Some(place("9-9")), ends, (StreamPosition::default(), true)),
            (Some(place("15-1")), None, (StreamPosition::default(), true)),
        ];
        for (known, ends, expected) in table {
            assert_eq!(resume(known, ends), expected, "{known:?} {ends:?}");
        }
        assert!(StreamPosition::read("10").is_none() && StreamPosition::read("a-1").is_none());
        assert_eq!(place("10-2").at, Millis(10));
    }
}
