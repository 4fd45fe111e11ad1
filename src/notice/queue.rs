//! The message queue of one action, sent in the background: no server, however slow, delays a ban.
//!
//! Events that wait for the same server become one message. The queue is bounded: beyond that the oldest events
//! are dropped, and their number is logged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::message::Message;
use super::post::{self, PostFailure};
use super::rate::Meter;
use super::{Notice, Request};
use crate::control::Value;
use crate::http::HttpClient;
use crate::mail::rate_limit::{Pacing, Throttle};
use crate::{debug, error, warning};

const TARGET: &str = "fail2ban.actions";

/// Events that may wait.
const MOST: usize = 1000;

/// How long an event waits for others that go out with it.
const LINGER: Duration = Duration::from_secs(1);

/// How long after the first try the second follows; then twice as long each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest time between two tries, unless the server asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Time for what still waits when the action stops.
const LAST: Duration = Duration::from_secs(5);

/// An event to be told.
#[derive(Debug)]
pub struct NoticeJob {
    /// The event, and how it is told.
    pub notice: Notice,
    /// How long one try may take.
    pub time: Duration,
    /// How often events are told.
    pub pacing: Pacing,
}

/// Handle to the task that sends an action's messages.
#[derive(Debug)]
pub struct NoticeQueue {
    shared: Arc<NoticeQueueShared>,
    task: JoinHandle<()>,
}

impl NoticeQueue {
    /// Starts the task.
    pub fn spawn(jail: &str, action: &str) -> NoticeQueue {
        let shared = Arc::new(NoticeQueueShared {
            name: format!("[{jail}] action {}", Value::from(action).repr()),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let sender = NoticeSender {
            shared: shared.clone(),
            client: None,
            meter: None,
        };
        NoticeQueue {
            shared,
            task: tokio::spawn(sender.run()),
        }
    }

    /// Queues an event.
    pub fn push(&self, job: NoticeJob) {
        let mut state = self.shared.state();
        let now = Instant::now();
        if let Some(span) = job.pacing.throttle
            && !state.throttle.admits("", job.notice.title(), span, now)
        {
            let (name, title) = (&self.shared.name, job.notice.title());
            debug!(TARGET, "{name}: message throttled: {title}");
            return;
        }
        if state.waiting.len() >= MOST {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        state.waiting.push_back((now, job));
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Sends what still waits, each once more, and ends.
    pub async fn close(mut self) {
        self.end();
        if timeout(LAST, &mut self.task).await.is_err() {
            self.task.abort();
            let left = {
                let state = self.shared.state();
                state.waiting.len() + state.under_way + state.dropped
            };
            let name = &self.shared.name;
            error!(
                TARGET,
                "{name}: {left} messages could not be sent in time and are lost"
            );
        }
    }

    fn end(&self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Drop for NoticeQueue {
    fn drop(&mut self) {
        self.end();
    }
}

/// What both sides see.
#[derive(Debug)]
struct NoticeQueueShared {
    /// Jail and action, for the log.
    name: String,
    state: Mutex<NoticeQueueState>,
    /// There is something new in the state.
    changed: Notify,
}

impl NoticeQueueShared {
    fn state(&self) -> MutexGuard<'_, NoticeQueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct NoticeQueueState {
    throttle: Throttle,
    /// Each with when it came.
    waiting: VecDeque<(Instant, NoticeJob)>,
    /// Events that are being sent.
    under_way: usize,
    /// Events for which there was no room, since that was last told.
    dropped: usize,
    /// No more will come.
    closed: bool,
}

/// Events that go out together.
struct NoticeBatch {
    request: Request,
    message: Message,
    events: usize,
    time: Duration,
    retries: u32,
}

impl NoticeQueueState {
    /// When the oldest event is due.
    fn due(&self) -> Option<Instant> {
        let (came, job) = self.waiting.front()?;
        let linger = match job.notice.batch {
            1 => Duration::ZERO,
            _ => LINGER,
        };
        Some(*came + job.pacing.digest.unwrap_or(linger))
    }

    /// Takes the oldest event, and those that can be told with it.
    fn take(&mut self) -> Option<NoticeBatch> {
        let (_, first) = self.waiting.front()?;
        let (request, json) = (first.notice.request.clone(), first.notice.json);
        let (limit, time, retries) = (first.notice.limit, first.time, first.notice.retries);
        let alike = self
            .waiting
            .iter()
            .take(first.notice.batch)
            .take_while(|(_, job)| job.notice.request == request);
        let events: Vec<&str> = alike.map(|(_, job)| &*job.notice.event).collect();
        let (message, events) = Message::of(&events, limit, json);
        self.waiting.drain(..events);
        self.under_way = events;
        Some(NoticeBatch {
            request,
            message,
            events,
            time,
            retries,
        })
    }
}

/// The task.
struct NoticeSender {
    shared: Arc<NoticeQueueShared>,
    /// That of the last request.
    client: Option<(Request, HttpClient)>,
    meter: Option<Meter>,
}

impl NoticeSender {
    async fn run(mut self) {
        while let Some(batch) = self.next().await {
            self.deliver(batch).await;
            let (name, dropped) = {
                let mut state = self.shared.state();
                state.under_way = 0;
                (&self.shared.name, std::mem::take(&mut state.dropped))
            };
            if dropped > 0 {
                warning!(
                    TARGET,
                    "{name}: {dropped} messages dropped, the oldest of more than {MOST} that waited"
                );
            }
        }
    }

    /// Waits for the next message that may go out; `None` when there will be none.
    async fn next(&mut self) -> Option<NoticeBatch> {
        let shared = self.shared.clone();
        loop {
            let due = {
                let mut state = shared.state();
                let now = Instant::now();
                if state.closed {
                    return state.take();
                }
                let rate = state.waiting.front().map(|(_, job)| job.notice.rate);
                let due = state.due().zip(rate).map(|(due, rate)| {
                    let meter = self.meter.get_or_insert_with(|| Meter::new(rate, now));
                    due.max(meter.next(rate, now))
                });
                if due.is_some_and(|due| due <= now) {
                    if let Some(meter) = &mut self.meter {
                        meter.count();
                    }
                    return state.take();
                }
                due
            };
            let changed = shared.changed.notified();
            match due {
                None => changed.await,
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = changed => {}
                },
            }
        }
    }

    /// Sends a message, again and again if need be.
    async fn deliver(&mut self, batch: NoticeBatch) {
        let (shared, events) = (self.shared.clone(), batch.events);
        let name = &shared.name;
        let mut usual = FIRST_WAIT;
        for tries in 0.. {
            let failure = match self.send(&batch).await {
                Ok(()) => {
                    debug!(TARGET, "{name}: message sent, events: {events}");
                    return;
                }
                Err(failure) => failure,
            };
            let closed = shared.state().closed;
            let again = failure.again.filter(|_| tries < batch.retries && !closed);
            let Some(wait) = again else {
                error!(TARGET, "{name}: {events} messages lost: {failure}");
                return;
            };
            let wait = wait.max(usual);
            usual = (usual * 2).min(LONGEST_WAIT);
            if tries == 0 {
                let seconds = wait.as_secs_f64().ceil();
                let retries = batch.retries;
                warning!(
                    TARGET,
                    "{name}: message not sent: {failure}; it is tried again in {seconds} s, up to {retries} times"
                );
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = shared.until_closed() => {}
            }
        }
    }

    async fn send(&mut self, batch: &NoticeBatch) -> Result<(), PostFailure> {
        let client = match &self.client {
            Some((request, client)) if request.shares_client(&batch.request) => client.clone(),
            _ => {
                let client = batch.request.client()?;
                self.client = Some((batch.request.clone(), client.clone()));
                client
            }
        };
        let sent = post::send(&client, &batch.request, &batch.message, batch.time);
        sent.await.map(|_| ())
    }
}

impl NoticeQueueShared {
    async fn until_closed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().closed {
                return;
            }
            changed.await;
        }
    }
}
