//! An open log file: reads complete lines from a position on, and identifies the file by its first line.
//!
//! In: bytes as they are written. Out: complete lines with their ends; an incomplete line waits.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use sha1::{Digest as _, Sha1};

use super::Chunk;
use crate::{msg, warning};

const TARGET: &str = "fail2ban.filter";

/// Bytes read at a time, unless a line is longer.
const PIECE: usize = 128 << 10;

/// Longer lines are cut here.
pub(super) const LONGEST_LINE: usize = 1 << 20;

/// So much of the first line is compared to notice that the file was rewritten.
const PREFIX: usize = 256;

/// A file and a place in it. Cloned, it is a second reader at the same place.
#[derive(Clone, Debug)]
pub(super) struct OpenLog {
    pub file: Arc<File>,
    pub identity: (u64, u64),
    pub position: u64,
    pub head: Arc<FirstLine>,
    /// In the middle of a line that was cut.
    pub skipping: bool,
}

/// The first line of a file.
#[derive(Debug)]
pub(super) struct FirstLine {
    /// Its beginning, or all there is of it.
    prefix: Vec<u8>,
    /// SHA-1 hex with its newline; empty while it has none.
    pub hash: Arc<str>,
}

impl OpenLog {
    /// Opens a file at its first line.
    pub fn new(path: &Path) -> io::Result<OpenLog> {
        // a pipe in place of a log must not be waited for
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let metadata = file.metadata()?;
        if !is_log(&metadata) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let head = Arc::new(FirstLine::of(&file)?);
        Ok(OpenLog {
            identity: identity(&metadata),
            file: Arc::new(file),
            position: 0,
            head,
            skipping: false,
        })
    }

    /// Whole lines from the present position on, or `None` when there is no whole line. They are put
    /// into `spare`, whatever that held.
    pub fn lines(&mut self, path: &Path, spare: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let mut size = PIECE;
        loop {
            let mut data = self.piece(size, std::mem::take(spare))?;
            if data.is_empty() {
                return Ok(None);
            }
            if self.skipping {
                match memchr::memchr(b'\n', &data) {
                    Some(end) => {
                        self.skipping = false;
                        self.position += end as u64 + 1;
                    }
                    None => self.position += data.len() as u64,
                }
                continue;
            }
            if let Some(end) = memchr::memrchr(b'\n', &data) {
                let place = self.position + end as u64;
                data.truncate(end + 1 + rest_of_feed(place, &data[end + 1..]));
                self.position += data.len() as u64;
                // It was empty when it was opened. Learnt later, the head could be that of a
                // text written over this one, and nobody would notice.
                if self.head.hash.is_empty() {
                    self.head = Arc::new(FirstLine::of(&self.file)?);
                }
                return Ok(Some(data));
            }
            if data.len() < size {
                return Ok(None);
            }
            if size < LONGEST_LINE {
                size = LONGEST_LINE;
                continue;
            }
            warning!(
                TARGET,
                "Line of more than {} bytes in {} at {}, the rest of it is left out",
                LONGEST_LINE,
                path.display(),
                self.position
            );
            self.skipping = true;
            self.position += data.len() as u64;
            data.push(b'\n');
            return Ok(Some(data));
        }
    }

    /// Up to `size` bytes from the present position on, in place of what `data` held.
    fn piece(&self, size: usize, mut data: Vec<u8>) -> io::Result<Vec<u8>> {
        let left = self.file.metadata()?.len().saturating_sub(self.position);
        data.resize(size.min(usize::try_from(left).unwrap_or(size)), 0);
        let mut filled = 0;
        while filled < data.len() {
            match self
                .file
                .read_at(&mut data[filled..], self.position + filled as u64)
            {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        data.truncate(filled);
        Ok(data)
    }

    /// The last line of a file nobody writes to any more, which has no newline.
    pub fn rest(&mut self) -> Option<Vec<u8>> {
        let mut data = self
            .piece(LONGEST_LINE, Vec::new())
            .ok()
            .filter(|data| !data.is_empty())?;
        if self.skipping {
            return None;
        }
        self.position += data.len() as u64;
        data.push(b'\n');
        Some(data)
    }

    /// Whether there is nothing more to read now.
    pub fn is_at_end(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|data| data.len() <= self.position)
    }

    /// Lines, with the place after them.
    pub fn chunk(&self, path: &Arc<Path>, data: Vec<u8>, at_end: bool) -> Chunk {
        Chunk {
            path: path.clone(),
            data,
            identity: self.identity,
            first_line_hash: self.head.hash.clone(),
            offset: self.position,
            at_end,
            shelf: None,
        }
    }

    /// Whether the first line is still what it was.
    pub fn has_same_head(&self) -> bool {
        let mut prefix = [0; PREFIX];
        let known = &self.head.prefix[..];
        let prefix = &mut prefix[..known.len()];
        self.file.read_exact_at(prefix, 0).is_ok() && prefix == known
    }

    /// Tells of another file, or another text, in place of this one.
    pub fn tell_rotation(&self, path: &Path, new: &OpenLog, size: u64) {
        msg!(
            TARGET,
            "Log rotation detected for {}, reason: ({}, {}, {}, {}, '{}', '{}')",
            path.display(),
            size,
            self.position,
            new.identity.1,
            self.identity.1,
            new.head.hash,
            self.head.hash
        );
    }
}

impl FirstLine {
    /// Reads the first line.
    pub fn of(file: &File) -> io::Result<FirstLine> {
        let mut line = Vec::new();
        loop {
            let from = line.len();
            // most first lines are short
            line.resize((from * 4).clamp(1 << 10, LONGEST_LINE), 0);
            let count = file.read_at(&mut line[from..], from as u64)?;
            line.truncate(from + count);
            let end = memchr::memchr(b'\n', &line[from..]).map(|end| from + end + 1);
            if let Some(end) = end {
                line.truncate(end);
            }
            let complete = end.is_some() || line.len() == LONGEST_LINE;
            if complete || count == 0 {
                let hash = match complete {
                    true => hex(&Sha1::digest(&line)),
                    false => String::new(),
                };
                line.truncate(PREFIX);
                return Ok(FirstLine {
                    prefix: line,
                    hash: hash.into(),
                });
            }
        }
    }
}

impl Default for FirstLine {
    fn default() -> FirstLine {
        FirstLine {
            prefix: Vec::new(),
            hash: "".into(),
        }
    }
}

/// Whether a file may be read as a log: a regular one, or the null device, which stands for a log
/// that stays empty. Anything else might be waited for, or never end.
pub fn is_log(metadata: &Metadata) -> bool {
    let null = metadata.file_type().is_char_device() && metadata.rdev() == libc::makedev(1, 3);
    metadata.is_file() || null
}

/// How many of the bytes after a byte 0A belong to it: in UTF-16 and UTF-32 with the least
/// significant byte first, a line feed goes on. `place`: where in the file that byte stands.
fn rest_of_feed(place: u64, after: &[u8]) -> usize {
    match after {
        [0, 0, 0, ..] if place.is_multiple_of(4) => 3,
        [0, ..] if place.is_multiple_of(2) => 1,
        _ => 0,
    }
}

/// Device and inode.
pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// As Python's `hexdigest`.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
