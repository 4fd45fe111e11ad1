//! What happens, as it happens: one connection to the server for all who listen here.
//!
//! Each listener has room for some events. One that does not take them is told how many it missed, and
//! dropped when it takes none for a while; nobody waits for it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::body::{Body, Bytes, Frame};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use crate::control::client::{ClientError, ControlClient};
use crate::control::print::json as told;

/// Messages that wait for a listener; each tells of one event or more.
const ROOM: usize = 256;
/// Bytes of a message beyond which the next events get another one.
const TOGETHER: usize = 16 << 10;
/// A listener that has taken nothing for so long is dropped.
const STALLED: Duration = Duration::from_secs(30);
/// Listeners at the same time.
const LISTENERS: usize = 128;
/// Bytes of an event; the log lines of a longer one are left out.
const LONGEST: usize = 64 << 10;
/// The latest events, for who comes later.
const RECENT: usize = 200;
/// How often it is tried to reach the server.
const RETRY: Duration = Duration::from_secs(2);
/// How often listeners get a sign of life, so that connections which are gone are noticed.
const SIGN: Duration = Duration::from_secs(15);
/// Seconds of a step of the pulse.
const STEP: u64 = 60;
/// Steps that are kept: a day.
const STEPS: usize = 24 * 60;
/// Jails whose pulse is kept.
const JAILS: usize = 256;

/// Failures and bans by minute, since this process began, a day at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pulse {
    /// Seconds of a step.
    pub step: u64,
    /// When the first step began, in seconds since 1970.
    pub begin: u64,
    /// By jail.
    pub jails: Vec<JailPulse>,
}

/// Of one jail; both lists have as many members as there are steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JailPulse {
    /// Its name.
    pub jail: String,
    /// Failures.
    pub failures: Vec<u32>,
    /// Bans, without those that were restored.
    pub bans: Vec<u32>,
}

/// How it is with those who listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the server is heard.
    pub connected: bool,
    /// Listeners now.
    pub listeners: u64,
    /// Events that listeners were too slow for.
    pub lost: u64,
    /// Listeners that were dropped.
    pub dropped: u64,
}

/// Hands on events.
#[derive(Debug, Default)]
pub struct EventHub {
    state: Mutex<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    listeners: Vec<EventListener>,
    recent: VecDeque<Arc<str>>,
    /// The first step is `begin`, by the clock divided by [`STEP`].
    begin: u64,
    steps: IndexMap<String, VecDeque<[u32; 2]>>,
    /// Whether the server can be heard.
    connected: bool,
    /// Events that were not handed on.
    lost: u64,
    /// Listeners that were dropped.
    dropped: u64,
}

#[derive(Debug)]
struct EventListener {
    events: mpsc::Sender<Bytes>,
    lost: u64,
    /// Since when there has been no room.
    full: Option<Instant>,
}

impl EventHub {
    /// Listens to the server at a control socket as long as the process lives.
    pub fn begin(socket: PathBuf) -> std::io::Result<Arc<EventHub>> {
        let hub = Arc::new(EventHub::default());
        hub.state().begin = step_now();
        let (listening, ticking) = (Arc::clone(&hub), Arc::clone(&hub));
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("events").spawn(move || {
            loop {
                // the server may not be there yet, or no more
                let _ = listening.listen(&socket);
                listening.state().connected = false;
                std::thread::sleep(RETRY);
            }
        })?;
        thread("signs").spawn(move || {
            loop {
                std::thread::sleep(SIGN);
                // no event: nothing is lost where it finds no room
                ticking.state().send(&Bytes::from_static(b": \n\n"), 0);
            }
        })?;
        Ok(hub)
    }

    fn state(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, socket: &Path) -> Result<(), ClientError> {
        let mut client = ControlClient::connect(socket, None)?;
        let begun = client.ask(&["events".into()])?.is_ok();
        self.state().connected = begun;
        let mut goes_on = begun;
        while goes_on {
            // what has come together goes out together
            let mut events = Vec::new();
            let mut next = Some(client.receive()?);
            while let Some(Ok(event)) = next {
                events.push(told::value(&event));
                next = client.received()?;
            }
            self.tell(events, step_now());
            goes_on = next.is_none();
        }
        Ok(())
    }

    fn tell(&self, events: Vec<Json>, step: u64) {
        let written = |mut event: Json| {
            let mut text = event.to_string();
            if text.len() > LONGEST {
                event["matches"] = Json::Null;
                text = event.to_string();
            }
            (event, text)
        };
        let written: Vec<_> = events.into_iter().map(written).collect();
        let mut state = self.state();
        let (mut message, mut worth) = (String::new(), 0);
        for (event, text) in &written {
            state.count(event, step);
            if state.recent.len() == RECENT {
                state.recent.pop_front();
            }
            state.recent.push_back(text.as_str().into());
            let name = event["event"].as_str().unwrap_or_default();
            // one that tells of lost events stands for all of these
            worth += match name {
                "Lost" => event["count"].as_u64().unwrap_or(1),
                _ => 1,
            };
            write_event(&mut message, name, text);
            if message.len() >= TOGETHER {
                state.send(&std::mem::take(&mut message).into(), worth);
                worth = 0;
            }
        }
        if worth > 0 {
            state.send(&message.into(), worth);
        }
    }

    /// Listens; `None`: too many do.
    pub fn stream(&self) -> Option<EventStream> {
        let mut state = self.state();
        state.listeners.retain(|one| !one.events.is_closed());
        if state.listeners.len() >= LISTENERS {
            return None;
        }
        let (events, received) = mpsc::channel(ROOM);
        // there is room; the browser knows by it that it is connected
        let _ = events.try_send(Bytes::from_static(b"retry: 2000\n\n"));
        state.listeners.push(EventListener {
            events,
            lost: 0,
            full: None,
        });
        Some(EventStream {
            messages: received,
            events: VecDeque::new(),
        })
    }

    /// The latest events, the oldest first.
    pub fn recent(&self) -> Vec<Json> {
        let recent = self.state().recent.clone();
        let parsed = recent.iter().map(|text| serde_json::from_str(text));
        parsed.filter_map(Result::ok).collect()
    }

    /// Failures and bans by minute.
    pub fn pulse(&self) -> Pulse {
        let mut state = self.state();
        let now = step_now();
        state.forget(now);
        let length = usize::try_from(now.saturating_sub(state.begin)).unwrap_or_default() + 1;
        let of_jail = |(jail, steps): (&String, &VecDeque<[u32; 2]>)| {
            let steps = steps.iter().copied().chain(std::iter::repeat([0; 2]));
            let (failures, bans) = steps.take(length).map(|[one, two]| (one, two)).unzip();
            JailPulse {
                jail: jail.clone(),
                failures,
                bans,
            }
        };
        Pulse {
            step: STEP,
            begin: state.begin * STEP,
            jails: state.steps.iter().map(of_jail).collect(),
        }
    }

    /// How it is with those who listen.
    pub fn health(&self) -> Health {
        let state = self.state();
        Health {
            connected: state.connected,
            listeners: state.listeners.len() as u64,
            lost: state.lost,
            dropped: state.dropped,
        }
    }
}

impl HubState {
    fn count(&mut self, event: &Json, step: u64) {
        let which = match event["event"].as_str() {
            Some("Found") => 0,
            Some("Ban") => 1,
            _ => return,
        };
        let Some(jail) = event["jail"].as_str() else {
            return;
        };
        self.forget(step);
        if self.steps.len() >= JAILS && !self.steps.contains_key(jail) {
            return;
        }
        let at = usize::try_from(step.saturating_sub(self.begin)).unwrap_or_default();
        let steps = self.steps.entry(jail.to_owned()).or_default();
        if steps.len() <= at {
            steps.resize(at + 1, [0; 2]);
        }
        steps[at][which] = steps[at][which].saturating_add(1);
    }

    /// Forgets what is older than a day.
    fn forget(&mut self, now: u64) {
        let begin = (now + 1).saturating_sub(STEPS as u64);
        let passed = usize::try_from(begin.saturating_sub(self.begin)).unwrap_or(usize::MAX);
        if passed > 0 {
            for steps in self.steps.values_mut() {
                steps.drain(..passed.min(steps.len()));
            }
            self.begin = begin;
        }
    }

    /// Hands a message on that stands for so many events.
    fn send(&mut self, event: &Bytes, worth: u64) {
        let mut missed = 0;
        let before = self.listeners.len();
        self.listeners.retain_mut(|one| {
            if one.lost > 0 {
                let lost = json!({ "event": "Lost", "count": one.lost }).to_string();
                let mut message = String::new();
                write_event(&mut message, "Lost", &lost);
                if one.events.try_send(message.into()).is_ok() {
                    one.lost = 0;
                }
            }
            match one.events.try_send(event.clone()) {
                Ok(()) => {
                    one.full = None;
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    one.lost += worth;
                    missed += worth;
                    one.full.get_or_insert_with(Instant::now).elapsed() < STALLED
                }
            }
        });
        self.lost += missed;
        self.dropped += (before - self.listeners.len()) as u64;
    }
}

fn step_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() / STEP)
}

/// Writes an event as it goes to a browser. JSON has no line ends, so nothing in it begins a field of its own.
fn write_event(message: &mut String, event: &str, data: &str) {
    for part in ["event: ", event, "\ndata: ", data, "\n\n"] {
        message.push_str(part);
    }
}

/// Events for one listener.
#[derive(Debug)]
pub struct EventStream {
    messages: mpsc::Receiver<Bytes>,
    /// Of the latest message, what [`EventStream::next_event`] has not told yet.
    events: VecDeque<Json>,
}

impl EventStream {
    /// The next event, as the server tells it.
    pub async fn next_event(&mut self) -> Option<Json> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let message = self.messages.recv().await?;
            let text = std::str::from_utf8(&message).unwrap_or_default();
            let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
            let events = data.filter_map(|data| serde_json::from_str(data).ok());
            self.events.extend(events);
        }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.messages.poll_recv(context);
        next.map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_that_come_together_are_one_message_and_single_again_for_who_wants_them() {
        let hub = EventHub::default();
        let event = |number: usize| json!({ "event": "Found", "jail": "j", "id": number });
        let mut stream = hub.stream().unwrap();
        let mut slow = hub.stream().unwrap();
        hub.tell((0..3).map(event).collect(), step_now());
        for number in 0..3 {
            assert_eq!(stream.next_event().await.unwrap(), event(number));
        }
        // the sign that it is connected, and the three
        assert_eq!(slow.messages.len(), 2);
        // many are parted
        hub.tell((0..1000).map(event).collect(), step_now());
        let parted = stream.messages.len();
        assert!((2..20).contains(&parted), "{parted}");
        let jail = &hub.pulse().jails[0];
        assert_eq!(jail.failures.iter().sum::<u32>(), 1003);
        // who takes none is told how many were missed
        for _ in 0..2 * ROOM {
            hub.tell((0..5).map(event).collect(), step_now());
        }
        let mut told = 0;
        let lost = loop {
            let next = slow.next_event().await.unwrap();
            match next["event"].as_str() {
                Some("Lost") => break next["count"].as_u64().unwrap(),
                _ => told += 1,
            }
            if slow.messages.is_empty() && slow.events.is_empty() {
                hub.tell(vec![event(0)], step_now());
            }
        };
        assert_eq!(told + lost, 1003 + 10 * ROOM as u64);
    }
}
