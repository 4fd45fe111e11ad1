//! Polls all files by `stat`: the whole of the backend `polling`, and for files with inotify what inotify
//! misses (network file systems, a replaced directory, an overflown queue).
//!
//! One thread of its own for all files: `stat` on a dead network share can hang, and must not block a
//! worker of the runtime.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Watch;
use crate::error;

/// How late polling may be.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How long something that events missed may go unnoticed; also all that wakes an idle server.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Handle to the thread, which ends with the last handle.
#[derive(Debug)]
pub(super) struct StatPoller {
    files: Arc<PolledFiles>,
}

/// The files to look at.
#[derive(Debug, Default)]
struct PolledFiles {
    list: Mutex<PollList>,
    /// The thread has to look sooner than it thought.
    hurry: Condvar,
}

#[derive(Debug, Default)]
struct PollList {
    files: Vec<PolledFile>,
    /// When the thread looks next; `None`: when there is a file.
    next: Option<Instant>,
    ended: bool,
}

#[derive(Debug)]
struct PolledFile {
    path: PathBuf,
    watch: Watch,
    wake: Weak<Notify>,
    seen: Option<StatSnapshot>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatSnapshot {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl StatSnapshot {
    fn of(metadata: &Metadata) -> StatSnapshot {
        StatSnapshot {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl StatPoller {
    /// Starts the thread.
    pub fn start() -> StatPoller {
        let files = Arc::new(PolledFiles::default());
        let thread = std::thread::Builder::new().name("f2b/sweep".to_owned());
        let started = thread.spawn({
            let files = files.clone();
            move || files.look_until_the_end()
        });
        if let Err(error) = started {
            error!(
                "fail2ban.filter",
                "Cannot start the thread that looks at log files: {}", error
            );
        }
        StatPoller { files }
    }

    /// From now on `wake` is notified when the file has changed.
    pub fn add(&self, path: &Path, watch: Watch, wake: &Arc<Notify>) {
        let mut list = self.files.lock();
        list.files.push(PolledFile {
            path: path.to_owned(),
            watch,
            wake: Arc::downgrade(wake),
            seen: None,
        });
        // a thread that looks soon enough by itself is not woken for each of many files
        let due = Instant::now() + interval(watch);
        if list.next.is_none_or(|next| next > due) {
            list.next = Some(due);
            self.files.hurry.notify_one();
        }
    }
}

impl Drop for StatPoller {
    fn drop(&mut self) {
        self.files.lock().ended = true;
        self.files.hurry.notify_one();
    }
}

/// How long a file may go without a look.
fn interval(watch: Watch) -> Duration {
    match watch {
        Watch::Polling => POLL_INTERVAL,
        Watch::Inotify => SWEEP_INTERVAL,
    }
}

impl PolledFiles {
    fn lock(&self) -> MutexGuard<'_, PollList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_until_the_end(&self) {
        let mut swept = Instant::now();
        while let Some(mut files) = self.wait() {
            let all = swept.elapsed() >= SWEEP_INTERVAL;
            if all {
                swept = Instant::now();
            }
            // the list is free meanwhile: a look may take its time
            files.retain_mut(|file| (file.watch != Watch::Polling && !all) || file.look());
            let next = files.iter().map(|file| interval(file.watch)).min();
            let mut list = self.lock();
            let next = next.map(|interval| Instant::now() + interval);
            list.next = list.next.into_iter().chain(next).min();
            files.append(&mut list.files);
            list.files = files;
        }
    }

    /// Waits until it is time to look, and takes the files; `None` at the end.
    fn wait(&self) -> Option<Vec<PolledFile>> {
        let mut list = self.lock();
        loop {
            if list.ended {
                return None;
            }
            let rest = list
                .next
                .map(|next| next.saturating_duration_since(Instant::now()));
            list = match rest {
                Some(Duration::ZERO) => {
                    list.next = None;
                    return Some(std::mem::take(&mut list.files));
                }
                Some(rest) => {
                    let waited = self.hurry.wait_timeout(list, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                // nothing to look at: sleep until there is
                None => {
                    let waited = self.hurry.wait(list);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}

impl PolledFile {
    /// Wakes the reader if the file has changed; false when there is no reader any more.
    fn look(&mut self) -> bool {
        let Some(wake) = self.wake.upgrade() else {
            return false;
        };
        let stamp = std::fs::metadata(&self.path)
            .ok()
            .map(|data| StatSnapshot::of(&data));
        if stamp != self.seen {
            self.seen = stamp;
            wake.notify_one();
        }
        true
    }
}
