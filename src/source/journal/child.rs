//! Reads the journal from a `journalctl -o export` child process, for systems without libsystemd.
//!
//! The export format is `NAME=value` lines, length-prefixed values where they contain newlines, and an
//! empty line after each entry.

use std::io::{self, BufRead, BufReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::entry::{EntryFields, LONGEST_VALUE};
use super::options::{JournalMatches, JournalOptions};
use super::position::{JournalStart, Waited};

/// A child that is silent for so long has told all there is.
const SILENCE: Duration = Duration::from_millis(300);

/// The child, killed when it is dropped.
#[derive(Debug)]
pub(super) struct JournalctlChild {
    process: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
    following: bool,
    cursor: String,
}

impl JournalctlChild {
    /// Starts a child; with `start` it follows the journal from there.
    pub fn start(
        options: &JournalOptions,
        matches: &JournalMatches,
        start: Option<&JournalStart>,
    ) -> io::Result<JournalctlChild> {
        let mut command = Command::new("journalctl");
        command.args(["--output=export", "--quiet", "--no-pager"]);
        command.args(options.child_arguments());
        if let Some(start) = start {
            command.args(["--follow", "--no-tail"]);
            command.arg(match &start.cursor {
                Some(cursor) => format!("--after-cursor={cursor}"),
                None => format!("--since=@{}", start.time.max(0.0).floor()),
            });
        }
        for (index, group) in matches.groups().iter().enumerate() {
            if index > 0 {
                command.arg("+");
            }
            command.args(group);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn()?;
        let output = process.stdout.take();
        let output = output.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(JournalctlChild {
            process,
            output: BufReader::with_capacity(64 << 10, output),
            following: start.is_some(),
            cursor: String::new(),
        })
    }

    /// Reads the next entry; false when there is none for now.
    pub fn next_fields(&mut self, fields: &mut EntryFields) -> io::Result<bool> {
        if self.following && self.output.buffer().is_empty() && !self.is_ready()? {
            return Ok(false);
        }
        fields.clear();
        let mut any = false;
        let mut line = Vec::new();
        loop {
            line.clear();
            if !self.line(&mut line)? {
                return self.ended();
            }
            if line.is_empty() {
                if any {
                    return Ok(true);
                }
                continue;
            }
            any = true;
            match memchr::memchr(b'=', &line) {
                Some(end) => {
                    let (name, value) = line.split_at(end);
                    self.take(fields, name, &value[1..]);
                }
                None => {
                    let mut value = Vec::new();
                    self.binary(&mut value)?;
                    self.take(fields, &line, &value);
                }
            }
        }
    }

    /// The name of the entry that was read last.
    pub fn cursor(&self) -> String {
        self.cursor.clone()
    }

    /// Waits for more output, or until `stop` becomes readable.
    pub fn wait(&mut self, stop: &UnixStream) -> io::Result<Waited> {
        let mut watched = [
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.output.get_ref().as_fd(), PollFlags::POLLIN),
        ];
        match nix::poll::poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if watched[0].any() == Some(true) {
            return Ok(Waited::Stopped);
        }
        Ok(Waited::More)
    }

    fn is_ready(&self) -> io::Result<bool> {
        let mut watched = [PollFd::new(
            self.output.get_ref().as_fd(),
            PollFlags::POLLIN,
        )];
        let silence = PollTimeout::try_from(SILENCE).unwrap_or(PollTimeout::ZERO);
        loop {
            match nix::poll::poll(&mut watched, silence) {
                Ok(count) => return Ok(count > 0),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, fields: &mut EntryFields, name: &[u8], value: &[u8]) {
        let number = || {
            std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok())
        };
        match name {
            b"__CURSOR" => self.cursor = String::from_utf8_lossy(value).into_owned(),
            b"__REALTIME_TIMESTAMP" => fields.realtime = number().unwrap_or(0),
            b"__MONOTONIC_TIMESTAMP" => fields.monotonic = number().unwrap_or(0),
            name => fields.take(name, value),
        }
    }

    /// A line without its end, cut where it gets too long; false at the end of the output.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let available = self.output.fill_buf()?;
            if available.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b'\n', available);
            let taken = &available[..end.unwrap_or(available.len())];
            let room = (2 * LONGEST_VALUE).saturating_sub(line.len());
            line.extend_from_slice(&taken[..taken.len().min(room)]);
            let used = taken.len() + usize::from(end.is_some());
            self.output.consume(used);
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// A value with its length before it, cut where it gets too long.
    fn binary(&mut self, value: &mut Vec<u8>) -> io::Result<()> {
        let mut length = [0; 8];
        self.output.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let kept = length.min(LONGEST_VALUE as u64);
        (&mut self.output).take(kept).read_to_end(value)?;
        // the newline behind it too
        let rest = (length - kept).saturating_add(1);
        io::copy(&mut (&mut self.output).take(rest), &mut io::sink())?;
        Ok(())
    }

    /// At the end of the output: well, if nothing was to be followed and nothing went wrong.
    fn ended(&mut self) -> io::Result<bool> {
        let status = self.process.wait()?;
        match !self.following && status.success() {
            true => Ok(false),
            false => Err(io::Error::other(format!("journalctl ended, {status}"))),
        }
    }

    /// Ends it.
    pub fn kill(&mut self) {
        // an error says that it has ended already
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for JournalctlChild {
    fn drop(&mut self) {
        self.kill();
    }
}
