//! Feeds: lines that are sent, not stored, by other hosts over syslog or by a command that keeps printing.
//!
//! A feed has one source for all jails that use it ([`Feeds::join`]) and ends with the last of them. Its
//! lines come as chunks like those of files, under a name in place of a path, and have no position: what
//! is sent while no jail listens is lost. A jail whose inbox stays full loses lines (which is logged), so
//! that it blocks neither the sender nor other jails.

mod command;
mod framing;
mod syslog;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

pub use self::syslog::SyslogListener;
use super::{Chunk, Shelf};
use crate::warning;

const TARGET: &str = "fail2ban.filter";

/// How long a jail with a full inbox is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lines handed over at a time, in bytes.
const PIECE: usize = 64 << 10;

/// Longer lines are cut here.
const LONGEST_LINE: usize = 1 << 20;

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FeedSource {
    /// `backend = command[cmd=…]`: what this prints, run by `/bin/sh`, again and again.
    Command(String),
    /// `backend = syslog[…]`
    Syslog(SyslogListener),
}

impl FeedSource {
    /// The name its lines come under.
    pub fn name(&self) -> String {
        match self {
            FeedSource::Command(command) => format!("command: {command}"),
            FeedSource::Syslog(syslog) => syslog.name(),
        }
    }
}

/// All feeds of the server. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    feeds: Arc<Mutex<HashMap<FeedSource, Weak<Feed>>>>,
}

/// A share in a feed; dropped, nothing comes any more.
#[derive(Debug)]
pub struct Membership {
    feed: Arc<Feed>,
    inbox: mpsc::Sender<Arc<Chunk>>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut members = lock(&self.feed.members);
        members.retain(|member| !member.same_channel(&self.inbox));
    }
}

#[derive(Debug)]
struct Feed {
    members: Mutex<Vec<mpsc::Sender<Arc<Chunk>>>>,
    task: tokio::task::AbortHandle,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feeds {
    /// Listens to a source, which is started when nobody has so far. Needs a tokio runtime.
    pub fn join(&self, source: &FeedSource, inbox: mpsc::Sender<Arc<Chunk>>) -> Membership {
        let mut feeds = lock(&self.feeds);
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let feed = feeds
            .get(source)
            .and_then(Weak::upgrade)
            .unwrap_or_else(|| {
                let feed = Arc::new_cyclic(|feed| {
                    let outlet = Outlet {
                        feed: feed.clone(),
                        name: source.name().into(),
                    };
                    let task = match source.clone() {
                        FeedSource::Command(command) => tokio::spawn(command::run(command, outlet)),
                        FeedSource::Syslog(syslog) => tokio::spawn(syslog::run(syslog, outlet)),
                    };
                    Feed {
                        members: Mutex::default(),
                        task: task.abort_handle(),
                    }
                });
                feeds.insert(source.clone(), Arc::downgrade(&feed));
                feed
            });
        lock(&feed.members).push(inbox.clone());
        Membership { feed, inbox }
    }
}

/// Where a source puts its lines.
#[derive(Clone, Debug)]
struct Outlet {
    feed: Weak<Feed>,
    name: Arc<str>,
}

impl Outlet {
    /// Hands whole lines to all who listen.
    async fn send(&self, lines: Vec<u8>) {
        let Some(feed) = self.feed.upgrade() else {
            return;
        };
        let members = lock(&feed.members).clone();
        drop(feed);
        let shelf = (members.len() > 1).then(Shelf::default);
        let chunk = Arc::new(Chunk {
            path: Path::new(&*self.name).into(),
            data: lines,
            identity: Chunk::NO_FILE,
            first_line_hash: "".into(),
            offset: 0,
            at_end: true,
            shelf,
        });
        for member in members {
            let sent = member.send_timeout(chunk.clone(), PATIENCE).await;
            if let Err(mpsc::error::SendTimeoutError::Timeout(chunk)) = sent {
                warning!(
                    TARGET,
                    "Jail is too slow for {}, {} bytes of lines are lost",
                    self.name,
                    chunk.data.len()
                );
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
