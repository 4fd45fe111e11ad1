//! inotify events: tells readers which files and directories have changed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::Stream as _;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use tokio::sync::Notify;

use crate::warning;

const TARGET: &str = "fail2ban.filterpyinotify";

/// What is told of a file itself.
const FILE: WatchMask = WatchMask::MODIFY
    .union(WatchMask::ATTRIB)
    .union(WatchMask::MOVE_SELF);

/// What is told of the folder it stands in: names that appear, for rotation.
const FOLDER: WatchMask = WatchMask::CREATE.union(WatchMask::MOVED_TO);

/// Handle to the inotify instance of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct FileEvents {
    inner: Arc<Inner>,
}

struct Inner {
    watches: Mutex<Watches>,
    wanted: Mutex<HashMap<WatchDescriptor, Vec<Want>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inner")
    }
}

#[derive(Debug)]
struct Want {
    /// In a folder: only of this name.
    name: Option<OsString>,
    wake: Arc<Notify>,
}

/// What one reader watches; given back to [`FileEvents::forget`].
#[derive(Debug, Default)]
pub(super) struct Watched {
    file: Option<WatchDescriptor>,
    folder: Option<WatchDescriptor>,
}

impl FileEvents {
    /// Starts listening; `None` when the kernel gives no inotify instance (told in the log).
    pub fn start() -> Option<FileEvents> {
        let opened =
            Inotify::init().and_then(|inotify| inotify.into_event_stream(vec![0; 16 << 10]));
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => {
                warning!(
                    TARGET,
                    "No file events from this system ({}), log files are polled",
                    error
                );
                return None;
            }
        };
        let inner = Arc::new(Inner {
            watches: Mutex::new(stream.watches()),
            wanted: Mutex::default(),
        });
        let listening = Arc::downgrade(&inner);
        tokio::spawn(async move {
            while let Some(event) =
                poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await
            {
                let Some(inner) = listening.upgrade() else {
                    return;
                };
                match event {
                    Ok(event) => inner.tell(&event.wd, event.mask, event.name.as_deref()),
                    Err(error) => {
                        // the sweep goes on noticing what happens, only later
                        warning!(TARGET, "Cannot read file events: {}", error);
                        return;
                    }
                }
            }
        });
        Some(FileEvents { inner })
    }

    /// Watches a path as it leads now, in place of what `watched` says; what cannot be watched
    /// (yet) is left to the sweep.
    pub fn watch(&self, path: &Path, wake: &Arc<Notify>, watched: &mut Watched) {
        let file = self.add(path, FILE, None, wake);
        let folder = path
            .parent()
            .map(|parent| match parent.as_os_str().is_empty() {
                true => Path::new("."),
                false => parent,
            });
        let name = path.file_name().map(OsString::from);
        let folder = folder.and_then(|folder| self.add(folder, FOLDER, name, wake));
        self.forget(std::mem::replace(watched, Watched { file, folder }), wake);
    }

    fn add(
        &self,
        path: &Path,
        mask: WatchMask,
        name: Option<OsString>,
        wake: &Arc<Notify>,
    ) -> Option<WatchDescriptor> {
        let mut watches = lock(&self.inner.watches);
        // one inode has one descriptor, whichever path leads there: masks are added up
        let descriptor = watches.add(path, mask | WatchMask::MASK_ADD).ok()?;
        let mut wanted = lock(&self.inner.wanted);
        wanted.entry(descriptor.clone()).or_default().push(Want {
            name,
            wake: wake.clone(),
        });
        Some(descriptor)
    }

    /// A reader no longer cares.
    pub fn forget(&self, watched: Watched, wake: &Arc<Notify>) {
        for descriptor in [watched.file, watched.folder].into_iter().flatten() {
            let mut watches = lock(&self.inner.watches);
            let mut wanted = lock(&self.inner.wanted);
            let Some(wants) = wanted.get_mut(&descriptor) else {
                continue;
            };
            if let Some(own) = wants.iter().position(|want| Arc::ptr_eq(&want.wake, wake)) {
                wants.swap_remove(own);
            }
            if wants.is_empty() {
                wanted.remove(&descriptor);
                // an error says that the kernel has dropped it already
                let _ = watches.remove(descriptor);
            }
        }
    }
}

impl Inner {
    fn tell(&self, descriptor: &WatchDescriptor, mask: EventMask, name: Option<&OsStr>) {
        let wanted = lock(&self.wanted);
        if mask.contains(EventMask::Q_OVERFLOW) {
            // what was lost may concern anybody
            for want in wanted.values().flatten() {
                want.wake.notify_one();
            }
            return;
        }
        for want in wanted.get(descriptor).into_iter().flatten() {
            if want.name.is_none() || want.name.as_deref() == name {
                want.wake.notify_one();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether somebody was woken, without waiting.
    fn is_woken(wake: &Notify) -> bool {
        use std::future::Future as _;
        use std::task::{Context, Waker};
        let mut woken = std::pin::pin!(wake.notified());
        let mut context = Context::from_waker(Waker::noop());
        woken.as_mut().poll(&mut context).is_ready()
    }

    const LIMIT: &str = "/proc/sys/fs/inotify/max_queued_events";

    /// The system's limit, put back when dropped; lowered by one test at a time.
    struct Limit {
        before: String,
        _alone: std::sync::MutexGuard<'static, ()>,
    }

    impl Limit {
        fn lowered(to: &str) -> Limit {
            static ALONE: Mutex<()> = Mutex::new(());
            let alone = lock(&ALONE);
            let limit = Limit {
                before: std::fs::read_to_string(LIMIT).expect("a limit"),
                _alone: alone,
            };
            std::fs::write(LIMIT, to).expect("root may set it");
            limit
        }
    }

    impl Drop for Limit {
        fn drop(&mut self) {
            std::fs::write(LIMIT, &self.before).expect("as it was");
        }
    }

    fn append(path: &Path, text: &str) {
        use std::io::Write as _;
        let mut file = std::fs::File::options().append(true).open(path);
        let file = file.as_mut().expect("file");
        file.write_all(text.as_bytes()).expect("written");
    }

    /// The queue of an instance is as long as the system's limit was when it was made.
    #[tokio::test]
    async fn an_overflown_queue_wakes_everybody() {
        let directory = tempfile::tempdir().expect("directory");
        let limit = Limit::lowered("4");
        let events = FileEvents::start().expect("inotify");
        drop(limit);
        let mut readers = Vec::new();
        for name in ["a", "b", "c"] {
            let path = directory.path().join(name);
            std::fs::write(&path, "").expect("file");
            let (wake, mut watched) = (Arc::new(Notify::new()), Watched::default());
            events.watch(&path, &wake, &mut watched);
            readers.push((path, wake, watched));
        }
        // nobody empties the queue meanwhile; alternating, since equal events in a row are one
        for _ in 0..4 {
            append(&readers[0].0, "x\n");
            append(&readers[1].0, "x\n");
        }
        append(&readers[2].0, "lost\n");
        assert!(!readers.iter().any(|(_, wake, _)| is_woken(wake)));
        for (path, wake, _) in &readers {
            let woken = tokio::time::timeout(std::time::Duration::from_secs(20), wake.notified());
            woken.await.unwrap_or_else(|_| panic!("{path:?}"));
        }
    }

    /// Whether by the overflow or by the sweep: every line arrives, and once.
    #[tokio::test]
    async fn an_overflown_queue_loses_no_line() {
        use crate::source::{Sources, StartPosition, Watch};
        let directory = tempfile::tempdir().expect("directory");
        let limit = Limit::lowered("16");
        let sources = Sources::new();
        drop(limit);
        let (inbox, mut chunks) = tokio::sync::mpsc::channel(64);
        let mut paths = Vec::new();
        let mut subscriptions = Vec::new();
        for number in 0..100 {
            let path = directory.path().join(format!("{number}.log"));
            std::fs::write(&path, "").expect("file");
            let added = sources.add(&path, StartPosition::Head, Watch::Inotify, inbox.clone());
            subscriptions.push(added.await.expect("added"));
            paths.push(path);
        }
        let mut lines = 0;
        for round in 1..=20 {
            for _ in 0..3 {
                // the runtime has one thread, and it is here
                for path in &paths {
                    append(path, "line\n");
                }
            }
            while lines < round * 300 {
                let next = tokio::time::timeout(std::time::Duration::from_secs(20), chunks.recv());
                let chunk = next.await.expect("in time").expect("a chunk");
                lines += chunk.data.iter().filter(|byte| **byte == b'\n').count();
            }
        }
        assert_eq!(lines, 6000);
        assert!(chunks.try_recv().is_err(), "no line twice");
    }
}
