//! The task that reads one file for all its watchers.
//!
//! Watchers at the same position share every read. One whose inbox stays full falls behind and reads by
//! itself until it has caught up, so that it does not delay the others for long; when all are full the
//! reader waits. Nothing is dropped, and the inboxes bound the memory.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::sleep;

use super::events::{FileEvents, Watched};
use super::follower::LogFollower;
use super::{Chunk, Shelf};

/// How soon a full inbox is looked at again; jails need far longer to empty one.
const FULL_INTERVAL: Duration = Duration::from_millis(2);

/// How often rotation is looked for while inboxes are full.
const ROTATION_INTERVAL: Duration = Duration::from_millis(100);

/// How long a full inbox is waited for. Watchers that are about as fast as each other stay together
/// then, and what one of them works out about the lines serves all.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often a rotated file is looked at for what its writer still adds.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);

/// Rounds a reader may read in a row before others get their turn.
const ROUNDS: usize = 16;

/// Chunks whose memory may serve again: some more than fit into an inbox.
const MOST_SENT: usize = 8;

/// What a reader and its watchers have in common.
#[derive(Debug)]
pub(super) struct ReaderHandle {
    path: Arc<Path>,
    /// Something may have happened.
    pub wake: Arc<Notify>,
    joining: Mutex<Vec<WatcherGroup>>,
}

impl ReaderHandle {
    /// For a file nobody watches yet.
    pub fn new(path: &Path) -> ReaderHandle {
        ReaderHandle {
            path: path.into(),
            wake: Arc::new(Notify::new()),
            joining: Mutex::default(),
        }
    }

    /// A watcher joins, with its own place in the file.
    pub fn join(&self, follower: LogFollower, member: Watcher) {
        let group = WatcherGroup::new(follower, vec![member]);
        let mut joining = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        joining.push(group);
        self.wake.notify_one();
    }
}

/// One watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    inbox: Sender<Arc<Chunk>>,
    /// Shared with the subscription.
    alive: Arc<()>,
}

impl Watcher {
    /// A watcher with its inbox.
    pub fn new(inbox: Sender<Arc<Chunk>>) -> Watcher {
        Watcher {
            inbox,
            alive: Arc::new(()),
        }
    }

    /// What keeps it alive: without a second owner it is gone.
    pub fn alive(&self) -> Arc<()> {
        self.alive.clone()
    }

    fn is_gone(&self) -> bool {
        self.inbox.is_closed() || Arc::strong_count(&self.alive) < 2
    }
}

/// Watchers at the same place.
#[derive(Debug)]
struct WatcherGroup {
    follower: LogFollower,
    members: Vec<Watcher>,
    /// Since when an inbox is full.
    full_since: Option<Instant>,
    /// When rotation was last looked for meanwhile.
    looked: Option<Instant>,
    /// Chunks sent while there is more to read, whose memory serves again once they are examined.
    sent: VecDeque<Arc<Chunk>>,
}

impl WatcherGroup {
    fn new(follower: LogFollower, members: Vec<Watcher>) -> WatcherGroup {
        WatcherGroup {
            follower,
            members,
            full_since: None,
            looked: None,
            sent: VecDeque::new(),
        }
    }
}

/// The task of one file.
pub(super) struct ReaderTask {
    path: Arc<Path>,
    wake: Arc<Notify>,
    shared: Weak<ReaderHandle>,
    events: Option<FileEvents>,
    watched: Watched,
    groups: Vec<WatcherGroup>,
}

/// How a round has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RoundEnd {
    /// Everything is read.
    Done,
    /// A file that was rotated away may still grow.
    Draining,
    /// Inboxes are full.
    Full,
    /// There is more to read.
    More,
}

impl ReaderTask {
    /// A reader for what joins `shared`; without `events` it relies on the sweep.
    pub fn new(shared: &Arc<ReaderHandle>, events: Option<FileEvents>) -> ReaderTask {
        ReaderTask {
            path: shared.path.clone(),
            wake: shared.wake.clone(),
            shared: Arc::downgrade(shared),
            events,
            watched: Watched::default(),
            groups: Vec::new(),
        }
    }

    /// Reads until nobody watches any more.
    pub async fn run(mut self) {
        let mut identity = None;
        loop {
            let Some(shared) = self.shared.upgrade() else {
                break;
            };
            {
                let mut joining = shared
                    .joining
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                self.groups.append(&mut joining);
            }
            drop(shared);
            // before reading: what happens from here on is told by an event
            let present = self
                .groups
                .first()
                .and_then(|group| group.follower.identity());
            if present != identity || identity.is_none() {
                if let Some(events) = &self.events {
                    events.watch(&self.path, &self.wake, &mut self.watched);
                }
                identity = present;
            }
            let rest = self.round();
            self.merge();
            let moved = self
                .groups
                .first()
                .and_then(|group| group.follower.identity());
            match rest {
                // watch the new file before waiting for its events
                _ if moved != identity => {}
                RoundEnd::More => tokio::task::yield_now().await,
                RoundEnd::Full => sleep(FULL_INTERVAL).await,
                RoundEnd::Draining => {
                    let _ = tokio::time::timeout(DRAIN_INTERVAL, self.wake.notified()).await;
                }
                RoundEnd::Done => self.wake.notified().await,
            }
        }
        if let Some(events) = &self.events {
            events.forget(std::mem::take(&mut self.watched), &self.wake);
        }
    }

    /// Reads for every group; says what is to be done next.
    fn round(&mut self) -> RoundEnd {
        let mut rest = RoundEnd::Done;
        let mut behind = Vec::new();
        for group in &mut self.groups {
            rest = rest.max(group.round(&self.path, &mut behind));
        }
        if !behind.is_empty() {
            rest = rest.max(RoundEnd::Full);
        }
        self.groups.append(&mut behind);
        self.groups.retain(|group| !group.members.is_empty());
        rest
    }

    /// Groups that have come to the same place read together from now on.
    fn merge(&mut self) {
        let mut index = 1;
        while index < self.groups.len() {
            let (before, from) = self.groups.split_at_mut(index);
            let same = before
                .iter_mut()
                .find(|group| group.follower.is_where(&from[0].follower));
            match same {
                Some(group) => {
                    group.members.append(&mut from[0].members);
                    self.groups.remove(index);
                }
                None => index += 1,
            }
        }
    }
}

impl WatcherGroup {
    /// Whether all inboxes are full, or one has not been for long.
    fn waits(&mut self) -> bool {
        let full = |member: &Watcher| member.inbox.capacity() == 0;
        if !self.members.iter().any(full) {
            self.full_since = None;
            return false;
        }
        let since = *self.full_since.get_or_insert_with(Instant::now);
        since.elapsed() < PATIENCE || self.members.iter().all(full)
    }

    /// While nothing can be read no file may come and go unseen.
    fn keep_up(&mut self, path: &Path) {
        if self
            .looked
            .is_none_or(|at| at.elapsed() >= ROTATION_INTERVAL)
        {
            self.looked = Some(Instant::now());
            self.follower.keep_up(path);
        }
    }

    /// Memory that no watcher needs any more.
    fn spare(&mut self) -> Vec<u8> {
        let oldest = self.sent.front();
        let done = oldest.is_some_and(|oldest| Arc::strong_count(oldest) == 1);
        if !done && self.sent.len() < MOST_SENT {
            return Vec::new();
        }
        let oldest = self.sent.pop_front().and_then(Arc::into_inner);
        oldest.map_or_else(Vec::new, |chunk| chunk.data)
    }

    fn round(&mut self, path: &Arc<Path>, behind: &mut Vec<WatcherGroup>) -> RoundEnd {
        self.members.retain(|member| !member.is_gone());
        if self.members.is_empty() {
            return RoundEnd::Done;
        }
        for _ in 0..ROUNDS {
            if self.waits() {
                self.keep_up(path);
                return RoundEnd::Full;
            }
            let place = self.follower.place();
            let spare = self.spare();
            let Some(mut chunk) = self.follower.read(path, spare) else {
                self.sent.clear();
                return match self.follower.is_draining() {
                    true => RoundEnd::Draining,
                    false => RoundEnd::Done,
                };
            };
            chunk.shelf = (self.members.len() > 1).then(Shelf::default);
            let chunk = Arc::new(chunk);
            self.sent.push_back(chunk.clone());
            let mut late = Vec::new();
            let mut kept = Vec::with_capacity(self.members.len());
            for member in self.members.drain(..) {
                match member.inbox.try_send(chunk.clone()) {
                    Ok(()) => kept.push(member),
                    Err(TrySendError::Full(_)) => late.push(member),
                    Err(TrySendError::Closed(_)) => {}
                }
            }
            self.members = kept;
            if !late.is_empty() {
                behind.push(WatcherGroup::new(place, late));
            }
        }
        RoundEnd::More
    }
}
