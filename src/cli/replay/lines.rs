//! The lines of a jail's logs in the order of their times.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;

use crate::datetime::{DateDetector, DateTime};
use crate::jail::Decoder;
use crate::source::compressed::{self, Meter};

/// A longer line is cut, as the daemon cuts it.
const LONGEST_LINE: usize = 1 << 20;

/// The lines of several logs, merged by their dates; lines without a date stay behind the line
/// before them.
pub struct Lines {
    logs: Vec<Log>,
    present: f64,
}

struct Log {
    path: String,
    reader: Box<dyn BufRead>,
    dates: DateDetector,
    decoder: Decoder,
    /// Lines that are decoded but not taken yet.
    ready: VecDeque<String>,
    time: f64,
    next: Option<String>,
}

impl Lines {
    /// Opens the logs, compressed or not, written in this encoding; `meter` counts what is read of
    /// them.
    pub fn open(
        paths: &[String],
        encoding: &str,
        present: f64,
        meter: &Meter,
    ) -> anyhow::Result<Lines> {
        let mut logs = Vec::new();
        for path in paths {
            let reader = match path.as_str() {
                "-" => compressed::decompress(io::stdin(), meter),
                path => compressed::open(Path::new(path), meter),
            };
            let reader = reader.with_context(|| path.clone())?;
            logs.push(Log {
                path: path.clone(),
                reader: Box::new(BufReader::with_capacity(1 << 17, reader)),
                dates: DateDetector::defaults(),
                decoder: Decoder::named(encoding),
                ready: VecDeque::new(),
                time: f64::NEG_INFINITY,
                next: None,
            });
        }
        let mut lines = Lines { logs, present };
        // one log is in order by itself: its dates need not be looked at twice
        if lines.logs.len() > 1 {
            for index in 0..lines.logs.len() {
                lines.look_ahead(index)?;
            }
        }
        Ok(lines)
    }

    /// The next line, without its line end.
    pub fn next(&mut self) -> anyhow::Result<Option<String>> {
        match &mut self.logs[..] {
            [] => Ok(None),
            [log] => log.read(),
            logs => {
                let first = (0..logs.len())
                    .filter(|&index| logs[index].next.is_some())
                    .min_by(|&a, &b| logs[a].time.total_cmp(&logs[b].time));
                let Some(first) = first else {
                    return Ok(None);
                };
                let line = logs[first].next.take();
                self.look_ahead(first)?;
                Ok(line)
            }
        }
    }

    fn look_ahead(&mut self, index: usize) -> anyhow::Result<()> {
        let log = &mut self.logs[index];
        log.next = log.read()?;
        if let Some(line) = &log.next
            && let Some(found) = log.dates.find(line, self.present)
            && let DateTime::At(time) = found.time
        {
            log.time = time;
        }
        Ok(())
    }
}

impl Log {
    fn read(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            let mut bytes = Vec::new();
            let mut piece = self.reader.by_ref().take(LONGEST_LINE as u64);
            piece
                .read_until(b'\n', &mut bytes)
                .with_context(|| self.path.clone())?;
            if bytes.is_empty() {
                return Ok(self.decoder.rest());
            }
            if bytes.len() == LONGEST_LINE && !bytes.ends_with(b"\n") {
                self.skip_rest_of_line()?;
            }
            let ready = &mut self.ready;
            self.decoder
                .lines(&bytes, |line, _| ready.push_back(line.into_owned()));
        }
    }

    fn skip_rest_of_line(&mut self) -> anyhow::Result<()> {
        loop {
            let buffer = self.reader.fill_buf().with_context(|| self.path.clone())?;
            if buffer.is_empty() {
                return Ok(());
            }
            let (used, done) = match memchr::memchr(b'\n', buffer) {
                Some(end) => (end + 1, true),
                None => (buffer.len(), false),
            };
            self.reader.consume(used);
            if done {
                return Ok(());
            }
        }
    }
}
