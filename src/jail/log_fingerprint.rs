//! Fingerprint of a log file before it is read: the hash of its first line, its size and its inode
//! (facts K5, Q4).

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use sha1::{Digest, Sha1};

use super::log_discovery::FileIdentity;
use crate::source::{Chunk, is_log};
use crate::store::{LogPosition, Store};

/// A first line longer than this is hashed up to here.
const MAX_FIRST_LINE: u64 = 1 << 20;

/// What a file looks like before it is read.
#[derive(Debug)]
pub(super) struct Fingerprint {
    /// SHA-1 of the first line; empty without a complete one.
    pub first_line_hash: String,
    /// Bytes.
    pub size: u64,
    /// Device and inode.
    pub identity: FileIdentity,
}

/// A log file that was looked at, and what the database has of it if it was asked.
#[derive(Debug)]
pub(super) struct LogState {
    pub fingerprint: Fingerprint,
    pub stored: Option<Option<LogPosition>>,
}

impl LogState {
    /// Looks at a file, which may be slow to answer.
    pub async fn at(path: &str) -> io::Result<LogState> {
        let path = path.to_owned();
        let fingerprint =
            tokio::task::spawn_blocking(move || Fingerprint::at(Path::new(&path))).await;
        let fingerprint = fingerprint.unwrap_or_else(|_| Err(io::Error::other("interrupted")))?;
        Ok(LogState {
            fingerprint,
            stored: None,
        })
    }
}

/// Log files that jails are about to add, looked at all at once: to ask the disk and the database for each
/// of them would take four switches from thread to thread a jail.
#[derive(Debug, Default)]
pub struct PrefetchedLogs {
    /// By jail and path.
    logs: HashMap<(String, String), LogState>,
}

impl PrefetchedLogs {
    /// Looks at logs, each named by jail and path. Those that cannot be opened are left out.
    pub async fn at(logs: Vec<(String, String)>, store: Option<&Store>) -> PrefetchedLogs {
        let names = logs.clone();
        let fingerprint = move || -> Vec<_> {
            let fingerprint = |(_, path): &(String, String)| Fingerprint::at(Path::new(path)).ok();
            logs.iter().map(fingerprint).collect()
        };
        let stored = async {
            match store {
                Some(store) => store.positions(names.clone()).await,
                None => None,
            }
        };
        let (prefetched, stored) = tokio::join!(tokio::task::spawn_blocking(fingerprint), stored);
        let stored = match stored {
            Some(positions) => positions.into_iter().map(Some).collect(),
            None => vec![None; names.len()],
        };
        let prefetched = prefetched.unwrap_or_default().into_iter();
        let logs = names.into_iter().zip(prefetched.zip(stored));
        let state = logs.filter_map(|(name, (fingerprint, stored))| {
            let fingerprint = fingerprint?;
            Some((
                name,
                LogState {
                    fingerprint,
                    stored,
                },
            ))
        });
        PrefetchedLogs {
            logs: state.collect(),
        }
    }

    /// What is known of a log, once.
    pub(super) fn take(&mut self, jail: &str, path: &str) -> Option<LogState> {
        if self.logs.is_empty() {
            return None;
        }
        self.logs.remove(&(jail.to_owned(), path.to_owned()))
    }
}

impl Fingerprint {
    /// Looks at a file.
    pub fn at(path: &Path) -> io::Result<Fingerprint> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let metadata = file.metadata()?;
        if !is_log(&metadata) {
            // as Python's readline() on a folder; a pipe must not be waited for
            let error = if metadata.is_dir() {
                libc::EISDIR
            } else {
                libc::EINVAL
            };
            return Err(io::Error::from_raw_os_error(error));
        }
        let mut line = Vec::new();
        BufReader::new(file)
            .take(MAX_FIRST_LINE)
            .read_until(b'\n', &mut line)?;
        let complete = line.ends_with(b"\n") || line.len() as u64 == MAX_FIRST_LINE;
        let first_line_hash = if complete {
            hex(&Sha1::digest(&line))
        } else {
            String::new()
        };
        Ok(Fingerprint {
            first_line_hash,
            size: metadata.size(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }
}

/// The hash a chunk comes with; one that begins its file may know the first line before its reader
/// does, when the file was empty so far.
pub(super) fn first_line_hash(chunk: &Chunk) -> String {
    let first_line = memchr::memchr(b'\n', &chunk.data).map(|end| &chunk.data[..=end]);
    match first_line {
        Some(line)
            if chunk.first_line_hash.is_empty() && chunk.offset == chunk.data.len() as u64 =>
        {
            hex(&Sha1::digest(line))
        }
        _ => chunk.first_line_hash.as_ref().to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
