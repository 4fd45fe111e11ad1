//! What a log file looks like before it is read: its first line, by which it is known, and its size
//! (facts K5, Q4).

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use sha1::{Digest, Sha1};

use super::newcomers::Identity;
use crate::source::{Chunk, is_log};

/// A first line longer than this is hashed up to here.
const MAX_FIRST_LINE: u64 = 1 << 20;

/// What a file looks like before it is read.
pub(super) struct Look {
    /// SHA-1 of the first line; empty without a complete one.
    pub first_line_hash: String,
    /// Bytes.
    pub size: u64,
    /// Device and inode.
    pub identity: Identity,
}

impl Look {
    /// As [`Look::at`], where a file may be slow to answer.
    pub async fn of(path: &str) -> io::Result<Look> {
        let path = path.to_owned();
        let looked = tokio::task::spawn_blocking(move || Look::at(Path::new(&path))).await;
        looked.unwrap_or_else(|_| Err(io::Error::other("interrupted")))
    }

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
