//! What a log file looks like before it is read: its first line, by which it is known, and its size
//! (facts K5, Q4).

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use sha1::{Digest, Sha1};

use super::newcomers::Identity;
use crate::source::{Chunk, is_log};
use crate::store::{LogPosition, Store};

/// A first line longer than this is hashed up to here.
const MAX_FIRST_LINE: u64 = 1 << 20;

/// What a file looks like before it is read.
#[derive(Debug)]
pub(super) struct Look {
    /// SHA-1 of the first line; empty without a complete one.
    pub first_line_hash: String,
    /// Bytes.
    pub size: u64,
    /// Device and inode.
    pub identity: Identity,
}

/// A log file that was looked at, and what the database has of it if it was asked.
#[derive(Debug)]
pub(super) struct Looked {
    pub look: Look,
    pub stored: Option<Option<LogPosition>>,
}

impl Looked {
    /// Looks at a file, which may be slow to answer.
    pub async fn at(path: &str) -> io::Result<Looked> {
        let path = path.to_owned();
        let look = tokio::task::spawn_blocking(move || Look::at(Path::new(&path))).await;
        let look = look.unwrap_or_else(|_| Err(io::Error::other("interrupted")))?;
        Ok(Looked { look, stored: None })
    }
}

/// Log files that jails are about to add, looked at all at once: to ask the disk and the database for each
/// of them would take four switches from thread to thread a jail.
#[derive(Debug, Default)]
pub struct Looks {
    /// By jail and path.
    logs: HashMap<(String, String), Looked>,
}

impl Looks {
    /// Looks at logs, each named by jail and path. Those that cannot be opened are left out.
    pub async fn at(logs: Vec<(String, String)>, store: Option<&Store>) -> Looks {
        let names = logs.clone();
        let look = move || -> Vec<_> {
            let look = |(_, path): &(String, String)| Look::at(Path::new(path)).ok();
            logs.iter().map(look).collect()
        };
        let stored = async {
            match store {
                Some(store) => store.positions(names.clone()).await,
                None => None,
            }
        };
        let (looks, stored) = tokio::join!(tokio::task::spawn_blocking(look), stored);
        let stored = match stored {
            Some(positions) => positions.into_iter().map(Some).collect(),
            None => vec![None; names.len()],
        };
        let looks = looks.unwrap_or_default().into_iter();
        let logs = names.into_iter().zip(looks.zip(stored));
        let looked = logs.filter_map(|(name, (look, stored))| {
            let look = look?;
            Some((name, Looked { look, stored }))
        });
        Looks {
            logs: looked.collect(),
        }
    }

    /// What is known of a log, once.
    pub(super) fn take(&mut self, jail: &str, path: &str) -> Option<Looked> {
        if self.logs.is_empty() {
            return None;
        }
        self.logs.remove(&(jail.to_owned(), path.to_owned()))
    }
}

impl Look {
    /// Looks at a file.
    pub fn at(path: &Path) -> io::Result<Look> {
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
        Ok(Look {
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
