//! A look at every file now and then: the whole of polling, and for files with kernel events what
//! those miss (network file systems, a folder that was replaced, an overflown queue).
//!
//! One thread of its own for all files, since `stat` on a dead network share can hang: it must
//! not take a worker of the runtime along.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
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
pub(super) struct Sweep {
    files: Sender<File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    watch: Watch,
    wake: Weak<Notify>,
    seen: Option<Stamp>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Sweep {
    /// Starts the thread.
    pub fn start() -> Sweep {
        let (files, added) = mpsc::channel::<File>();
        let thread = std::thread::Builder::new().name("f2b/sweep".to_owned());
        let started = thread.spawn(move || {
            let mut files: Vec<File> = Vec::new();
            let mut swept = Instant::now();
            loop {
                let polling = files.iter().any(|file| file.watch == Watch::Polling);
                let next = match (files.is_empty(), polling) {
                    // nothing to look at: sleep until there is
                    (true, _) => added.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    (false, true) => added.recv_timeout(POLL_INTERVAL),
                    (false, false) => added.recv_timeout(SWEEP_INTERVAL),
                };
                match next {
                    Ok(file) => {
                        files.push(file);
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                let all = swept.elapsed() >= SWEEP_INTERVAL;
                if all {
                    swept = Instant::now();
                }
                files.retain_mut(|file| (file.watch != Watch::Polling && !all) || file.look());
            }
        });
        if let Err(error) = started {
            error!(
                "fail2ban.filter",
                "Cannot start the thread that looks at log files: {}", error
            );
        }
        Sweep { files }
    }

    /// From now on `wake` is notified when the file has changed.
    pub fn add(&self, path: &Path, watch: Watch, wake: &Arc<Notify>) {
        // fails only when the thread could not start, which was told then
        let _ = self.files.send(File {
            path: path.to_owned(),
            watch,
            wake: Arc::downgrade(wake),
            seen: None,
        });
    }
}

impl File {
    /// Wakes the reader if the file has changed; false when there is no reader any more.
    fn look(&mut self) -> bool {
        let Some(wake) = self.wake.upgrade() else {
            return false;
        };
        let stamp = std::fs::metadata(&self.path)
            .ok()
            .map(|data| Stamp::of(&data));
        if stamp != self.seen {
            self.seen = stamp;
            wake.notify_one();
        }
        true
    }
}
