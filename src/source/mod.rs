//! Log files as a source of lines, watched by inotify or polling, with rotation and resume.
//!
//! [`follower`] follows one path through rotations; [`reader`] is the task that reads one file for all
//! jails that watch it; [`events`] and [`stat_poller`] wake the readers: inotify events at once, and a
//! periodic `stat` for what inotify misses (or, with polling, instead of it).
//!
//! Events come through the `inotify` crate. `linemux` was measured against the same table of rotations:
//! its line reader loses lines or stops in most of them, and as a mere source of events it costs more than
//! the crate that it is built on.

pub mod compressed;
mod events;
pub mod feed;
mod follower;
pub mod journal;
mod log_file;
mod reader;
mod shelf;
mod stat_poller;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::events::FileEvents;
use self::feed::Feeds;
use self::follower::LogFollower;
pub use self::log_file::is_log;
use self::reader::{ReaderHandle, ReaderTask, Watcher};
pub use self::shelf::Shelf;
use self::stat_poller::StatPoller;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Files with bytes that do not fit, warned of within a day.
const MOST_TOLD: usize = 4096;

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watch {
    /// Kernel events, with a slow sweep for what they miss.
    Inotify,
    /// `stat` a few times a second; works on network file systems.
    Polling,
}

/// Where reading begins.
#[derive(Clone, Debug, PartialEq)]
pub enum StartPosition {
    /// At the first line (`head`).
    Head,
    /// At the present end (`tail`).
    Tail,
    /// At this offset if the first line still has this hash, else at the first line (fact K5).
    Resume {
        /// SHA-1 hex of the first line with its newline.
        first_line_hash: String,
        /// Byte offset.
        offset: u64,
    },
}

/// Some complete lines of one file, shared by all its watchers.
#[derive(Debug)]
pub struct Chunk {
    /// The file they come from, as it was added.
    pub path: Arc<Path>,
    /// Whole lines, each with its line end; undecoded. May be empty: then only the end was reached.
    pub data: Vec<u8>,
    /// Device and inode of the file.
    pub identity: (u64, u64),
    /// SHA-1 hex of the file's first line.
    pub first_line_hash: Arc<str>,
    /// Byte offset in the file after `data`.
    pub offset: u64,
    /// The end of the file was reached: from here on the log is "in operation".
    pub at_end: bool,
    /// Where watchers share what they make of the lines; none when there is but one.
    pub shelf: Option<Shelf>,
}

impl Chunk {
    /// The identity of lines that come from no file.
    pub const NO_FILE: (u64, u64) = (0, 0);
}

/// All files the server reads, and all else that brings lines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sources {
    hub: Arc<SourceHub>,
    /// Lines from other hosts and from commands.
    pub feeds: Feeds,
}

#[derive(Debug)]
struct SourceHub {
    events: Option<FileEvents>,
    sweep: StatPoller,
    readers: Mutex<HashMap<(PathBuf, Watch), Weak<ReaderHandle>>>,
    /// When it was last told of a file that its bytes do not fit its encoding.
    told: Mutex<HashMap<String, Instant>>,
}

impl Sources {
    /// Starts the readers' machinery; needs a tokio runtime. Without inotify (or out of its
    /// instances) every file is polled.
    pub fn new() -> Sources {
        Sources {
            hub: Arc::new(SourceHub {
                events: FileEvents::start(),
                sweep: StatPoller::start(),
                readers: Mutex::default(),
                told: Mutex::default(),
            }),
            feeds: Feeds::default(),
        }
    }

    /// Reads a file for one watcher; chunks arrive on `inbox`, which holds the reader back when full.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn add(
        &self,
        path: &Path,
        start: StartPosition,
        watch: Watch,
        inbox: mpsc::Sender<Arc<Chunk>>,
    ) -> io::Result<LogSubscription> {
        let follower = LogFollower::open(path, &start)?;
        let watch = match self.hub.events {
            Some(_) => watch,
            None => Watch::Polling,
        };
        let shared = self.reader(path, watch);
        let member = Watcher::new(inbox);
        let alive = member.alive();
        shared.join(follower, member);
        Ok(LogSubscription {
            path: path.to_owned(),
            _alive: alive,
            shared,
        })
    }

    /// Whether nobody has warned of this file within a day; who asks, warns.
    pub fn is_news(&self, path: &str) -> bool {
        let mut told = self.hub.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, told| told.elapsed() < DAY);
        if told.contains_key(path) || told.len() >= MOST_TOLD {
            return false;
        }
        told.insert(path.to_owned(), Instant::now());
        true
    }

    /// The reader of a file, started if there is none.
    fn reader(&self, path: &Path, watch: Watch) -> Arc<ReaderHandle> {
        let mut readers = self
            .hub
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        readers.retain(|_, reader| reader.strong_count() > 0);
        let key = (path.to_owned(), watch);
        if let Some(shared) = readers.get(&key).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::new(ReaderHandle::new(path));
        readers.insert(key, Arc::downgrade(&shared));
        self.hub.sweep.add(path, watch, &shared.wake);
        let events = match watch {
            Watch::Inotify => self.hub.events.clone(),
            Watch::Polling => None,
        };
        tokio::spawn(ReaderTask::new(&shared, events).run());
        shared
    }
}

impl Default for Sources {
    fn default() -> Sources {
        Sources::new()
    }
}

/// A watcher's share in a file; dropped, the file is no longer read for it.
#[derive(Debug)]
pub struct LogSubscription {
    /// The file.
    pub path: PathBuf,
    /// While this lives the reader goes on delivering.
    _alive: Arc<()>,
    shared: Arc<ReaderHandle>,
}

impl Drop for LogSubscription {
    fn drop(&mut self) {
        // the reader notices that nobody listens any more
        self.shared.wake.notify_one();
    }
}
