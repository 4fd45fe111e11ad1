//! The lines of a jail's logs in the order of their times.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use crate::datetime::{DateDetector, FoundDate};
use crate::jail::Decoder;
use crate::jail::replay::ReplayJail;

/// A longer line is cut, as the daemon cuts it.
const LONGEST_LINE: usize = 1 << 20;
/// Bytes looked through for the first date of a log.
const FARTHEST_DATE: usize = 16 << 20;

/// The lines of several logs, merged by their dates; lines without a date stay behind the line
/// before them. A log that cannot be read any further ends there, see [`ReplayLines::failed`].
pub struct ReplayLines {
    logs: Vec<MergedLog>,
    present: f64,
    failed: Vec<(String, io::Error)>,
}

/// Something to read lines from.
pub struct Input {
    /// Its name, for messages.
    pub path: String,
    /// What came of opening it.
    pub log: io::Result<Box<dyn Read + Send>>,
    /// What its lines are written in.
    pub encoding: String,
}

struct MergedLog {
    path: String,
    reader: Box<dyn BufRead>,
    /// `None`: its lines have no dates.
    dates: Option<DateDetector>,
    decoder: Decoder,
    /// Lines that are decoded but not taken yet.
    ready: VecDeque<String>,
    time: f64,
    next: Option<String>,
}

impl ReplayLines {
    /// The lines of these for a jail, whose clock begins with the first date; `present` completes
    /// dates without a year.
    pub fn new(inputs: Vec<Input>, jail: &mut ReplayJail, present: f64) -> ReplayLines {
        let mut lines = ReplayLines {
            logs: Vec::new(),
            present,
            failed: Vec::new(),
        };
        for input in inputs {
            match input.log {
                Ok(log) => lines.logs.push(MergedLog {
                    path: input.path,
                    reader: Box::new(BufReader::with_capacity(1 << 17, log)),
                    dates: jail.new_detector(),
                    decoder: Decoder::named(&input.encoding),
                    ready: VecDeque::new(),
                    time: f64::NEG_INFINITY,
                    next: None,
                }),
                Err(error) => lines.failed.push((input.path, error)),
            }
        }
        if let Some(first) = lines.first_date() {
            jail.begin(first);
        }
        // one log is in order by itself: its dates need not be looked at twice
        if lines.logs.len() > 1 {
            for index in 0..lines.logs.len() {
                lines.look_ahead(index);
            }
        }
        lines
    }

    /// The earliest of the first dates of the logs, as far as they are not far off.
    fn first_date(&mut self) -> Option<f64> {
        let mut first: Option<f64> = None;
        for log in &mut self.logs {
            match log.first_date(self.present) {
                Ok(date) => first = first.into_iter().chain(date).reduce(f64::min),
                Err(error) => self.failed.push(log.give_up(error)),
            }
        }
        first
    }

    /// The next line, without its line end.
    pub fn next(&mut self) -> Option<String> {
        if self.logs.len() == 1 {
            return self.read(0);
        }
        let logs = &mut self.logs;
        let first = (0..logs.len())
            .filter(|&index| logs[index].next.is_some())
            .min_by(|&a, &b| logs[a].time.total_cmp(&logs[b].time))?;
        let line = logs[first].next.take();
        self.look_ahead(first);
        line
    }

    /// The logs that could not be read, or not to their end, so far.
    pub fn failed(self) -> Vec<(String, io::Error)> {
        self.failed
    }

    fn look_ahead(&mut self, index: usize) {
        let line = self.read(index);
        let log = &mut self.logs[index];
        if let Some(time) = line
            .as_deref()
            .and_then(|line| date_of(&mut log.dates, line, self.present))
        {
            log.time = time;
        }
        log.next = line;
    }

    fn read(&mut self, index: usize) -> Option<String> {
        let log = &mut self.logs[index];
        log.read().unwrap_or_else(|error| {
            self.failed.push(log.give_up(error));
            None
        })
    }
}

impl MergedLog {
    fn first_date(&mut self, present: f64) -> io::Result<Option<f64>> {
        let (mut lines, mut bytes) = (0, 0);
        while bytes < FARTHEST_DATE {
            let Some(line) = self.ready.get(lines) else {
                match self.fill()? {
                    true => continue,
                    false => break,
                }
            };
            let date = date_of(&mut self.dates, line, present);
            if date.is_some() {
                return Ok(date);
            }
            bytes += line.len() + 1;
            lines += 1;
        }
        Ok(None)
    }

    /// Ends the log here: what comes after an error is not known to be whole lines.
    fn give_up(&mut self, error: io::Error) -> (String, io::Error) {
        self.reader = Box::new(io::empty());
        (self.path.clone(), error)
    }

    fn read(&mut self) -> io::Result<Option<String>> {
        while self.ready.is_empty() {
            if !self.fill()? {
                return Ok(self.decoder.rest());
            }
        }
        Ok(self.ready.pop_front())
    }

    /// Reads and decodes some more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = Vec::new();
        let mut piece = self.reader.by_ref().take(LONGEST_LINE as u64);
        piece.read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(false);
        }
        if bytes.len() == LONGEST_LINE && !bytes.ends_with(b"\n") {
            self.skip_rest_of_line()?;
        }
        let ready = &mut self.ready;
        self.decoder
            .lines(&bytes, |line, _| ready.push_back(line.into_owned()));
        Ok(true)
    }

    fn skip_rest_of_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
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

fn date_of(dates: &mut Option<DateDetector>, line: &str, present: f64) -> Option<f64> {
    let found = dates.as_mut()?.find(line, present)?;
    FoundDate::own_time(&found)
}
