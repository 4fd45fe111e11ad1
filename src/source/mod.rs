//! Bytes → lines: files by inotify or polling, with rotation and resume. One reader per file,
//! however many jails watch it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

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
pub enum Start {
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
    /// Whole lines, each with its line end; undecoded.
    pub data: Vec<u8>,
    /// SHA-1 hex of the file's first line.
    pub first_line_hash: Arc<str>,
    /// Byte offset in the file after `data`.
    pub offset: u64,
    /// The end of the file was reached: from here on the log is "in operation".
    pub at_end: bool,
}

impl Chunk {
    /// The lines without CR and LF at their end.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.data.split(|&b| b == b'\n').filter(|l| !l.is_empty())
    }
}

/// All files the server reads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sources {}

impl Sources {
    /// Starts the readers' machinery; needs a tokio runtime.
    ///
    /// # Errors
    /// No inotify: polling is then used for everything and a warning logged by the caller.
    pub fn new() -> Sources {
        Sources {}
    }

    /// Reads a file for one watcher; chunks arrive on `inbox`, which holds the reader back when full.
    /// Returns the SHA-1 hex of the present first line (empty when there is none).
    ///
    /// # Errors
    /// The file cannot be opened (`[Errno 2] No such file or directory: 'F'`).
    pub async fn add(
        &self,
        _path: &Path,
        _start: Start,
        _watch: Watch,
        _inbox: mpsc::Sender<Arc<Chunk>>,
    ) -> std::io::Result<Subscription> {
        Ok(Subscription {
            path: PathBuf::new(),
        })
    }
}

/// A watcher's share in a file; dropped, the file is no longer read for it.
#[derive(Debug)]
pub struct Subscription {
    /// The file.
    pub path: PathBuf,
}
