//! The last lines that a jail reads, and what it makes of them.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Cursor};

use super::judge::LineJudge;
use crate::address::Address;
use crate::cli::doctor::inspection::Inspection;
use crate::cli::doctor::lines::tail;
use crate::cli::replay::jails::ReplaySource;
use crate::cli::replay::lines::{Input, ReplayLines};
use crate::cli::replay::logs::ReplayLogs;
use crate::filter::Dates;
use crate::jail::replay::{JudgedFailure, ReplayBan, ReplayEvent, ReplayVerdict};
use crate::python::encoding::Encoding;
use crate::source::compressed::ByteMeter;
use crate::source::journal::{JournalEntry, JournalReader};
use crate::ticket::Timestamp;

/// So many of the last lines without a failure are looked at closely.
const KEPT: usize = 200;
/// So many entries of the journal are read at most.
const ENTRIES: usize = 100_000;
/// So far back the journal is read.
const BACK: f64 = 24.0 * 3600.0;

/// Lines to be read.
pub enum ExplainInput {
    /// Of logs.
    Lines(Box<ReplayLines>),
    /// Of the journal.
    Entries(VecDeque<JournalEntry>),
}

/// One of them.
pub enum InputItem {
    /// A line.
    Line(String),
    /// An entry.
    Entry(JournalEntry),
}

impl InputItem {
    /// What the filter gets to see, and of a line its date.
    pub fn text(&self) -> &str {
        match self {
            InputItem::Line(line) => line,
            InputItem::Entry(entry) => &entry.line,
        }
    }
}

impl ExplainInput {
    /// The end of what a jail reads: of each log at most `most` bytes, of the journal the last day.
    ///
    /// # Errors
    /// Of the journal; a log that cannot be read is left out.
    pub fn of_jail(
        judge: &mut LineJudge,
        look: &Inspection,
        most: u64,
    ) -> io::Result<ExplainInput> {
        match &judge.source {
            ReplaySource::Files(paths) => {
                let inputs = paths.iter().map(|path| Input {
                    path: path.clone(),
                    log: tail(&look.machine.place(path), most)
                        .map(|text| Box::new(Cursor::new(text)) as Box<dyn io::Read + Send>),
                    encoding: "utf-8".to_owned(),
                });
                let lines = ReplayLines::new(inputs.collect(), &mut judge.jail, look.present);
                Ok(ExplainInput::Lines(Box::new(lines)))
            }
            ReplaySource::Journal(options, matches) => {
                let since = look.present - BACK;
                let mut reader = JournalReader::since(options, matches, Encoding::utf_8(), since)?;
                let mut entries = VecDeque::new();
                while let Some(entry) = reader.next_entry()? {
                    if entries.len() == ENTRIES {
                        entries.pop_front();
                    }
                    entries.push_back(entry);
                }
                Ok(ExplainInput::Entries(entries))
            }
            ReplaySource::Feed(_) => Ok(ExplainInput::Entries(VecDeque::new())),
        }
    }

    /// Whole logs that were named, compressed or not.
    pub fn of_logs(judge: &mut LineJudge, logs: &[String], present: Timestamp) -> ExplainInput {
        let opened = ReplayLogs::new(ByteMeter::default());
        let encoding = judge.jail.core_mut().encoding().to_owned();
        let inputs = logs.iter().map(|log| opened.input(log, &encoding));
        let lines = ReplayLines::new(inputs.collect(), &mut judge.jail, present);
        ExplainInput::Lines(Box::new(lines))
    }

    /// The next one.
    pub fn next(&mut self) -> Option<InputItem> {
        match self {
            ExplainInput::Lines(lines) => lines.next().map(InputItem::Line),
            ExplainInput::Entries(entries) => entries.pop_front().map(InputItem::Entry),
        }
    }

    /// The logs that could not be read.
    pub fn failed(self) -> Vec<(String, io::Error)> {
        match self {
            ExplainInput::Lines(lines) => lines.failed(),
            ExplainInput::Entries(_) => Vec::new(),
        }
    }
}

/// How often somebody failed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tries {
    /// All failures.
    pub failures: u32,
    /// The most that stood against the limit at a time.
    pub most: f64,
    /// The limit.
    pub enough: i64,
    /// Whether it was enough.
    pub banned: bool,
}

/// What a jail made of lines.
#[derive(Debug, Default)]
pub struct Harvest {
    /// Lines read.
    pub lines: usize,
    /// Those with a date.
    pub dated: usize,
    /// The date of the last one that has one.
    pub last: Option<Timestamp>,
    /// Who failed, and how often.
    pub tries: BTreeMap<String, Tries>,
    /// Who was ignored, and by which rule.
    pub ignored: Vec<(String, String)>,
    /// Failures of names.
    pub names: usize,
    /// The bans that would have been.
    pub bans: Vec<ReplayBan>,
    /// The last lines without a failure.
    pub missed: VecDeque<String>,
    /// The last line that the jail ever looked for.
    pub undated: Option<String>,
}

impl Harvest {
    /// Failures that count.
    pub fn failures(&self) -> u32 {
        self.tries.values().map(|tries| tries.failures).sum()
    }

    /// Whoever came closest to a ban.
    pub fn furthest(&self) -> Option<(&str, Tries)> {
        let tries = self.tries.iter().map(|(id, tries)| (id.as_str(), *tries));
        tries.max_by(|(_, one), (_, other)| {
            let key = |tries: &Tries| (tries.banned, tries.most);
            let (one, other) = (key(one), key(other));
            one.partial_cmp(&other).unwrap_or(std::cmp::Ordering::Equal)
        })
    }

    /// Takes all lines of a feed; `each` is told of each with what came of it.
    pub fn of(
        judge: &mut LineJudge,
        feed: &mut ExplainInput,
        present: Timestamp,
        mut each: impl FnMut(&InputItem, &[JudgedFailure]),
    ) -> Harvest {
        let mut harvest = Harvest::default();
        while let Some(item) = feed.next() {
            harvest.take(judge, &item, present);
            each(&item, judge.jail.judged());
        }
        harvest
    }

    fn take(&mut self, judge: &mut LineJudge, item: &InputItem, present: Timestamp) {
        self.lines += 1;
        let jail = &mut judge.jail;
        let mut events = Vec::new();
        match item {
            InputItem::Line(line) => {
                let looks = matches!(jail.filter().dates(), Dates::Detector(_));
                let found = match looks {
                    true => jail.filter_mut().find_date(line, present),
                    false => None,
                };
                let date = found.and_then(|found| found.own_time());
                self.dated += usize::from(date.is_some());
                self.last = date.or(self.last);
                if date.is_none() && looks && !line.trim().is_empty() {
                    self.undated = Some(line.clone());
                }
                jail.line(line, present, &mut events);
            }
            InputItem::Entry(entry) => {
                self.dated += 1;
                self.last = Some(entry.time);
                jail.entry(entry, present, &mut events);
            }
        }
        for event in events {
            if let ReplayEvent::Ban(ban) = event {
                self.bans.push(ban);
            }
        }
        let judged = jail.judged();
        if judged.is_empty() {
            if self.missed.len() == KEPT {
                self.missed.pop_front();
            }
            self.missed.push_back(item.text().to_owned());
        }
        for JudgedFailure { id, verdict } in judged {
            self.judge(id, verdict);
        }
    }

    fn judge(&mut self, id: &str, verdict: &ReplayVerdict) {
        match verdict {
            ReplayVerdict::Ignored(by) => return self.ignored.push((id.to_owned(), by.clone())),
            ReplayVerdict::Unresolved => {
                self.names += 1;
                return;
            }
            _ => {}
        }
        let tries = self.tries.entry(id.to_owned()).or_default();
        tries.failures += 1;
        match verdict {
            ReplayVerdict::Counted { standing, enough } => {
                tries.most = tries.most.max(*standing);
                tries.enough = *enough;
            }
            _ => tries.banned = true,
        }
    }
}

/// Whether a line names an address, as a word of its own.
pub fn names(line: &str, id: &Address) -> bool {
    let text = id.to_string();
    let own = |sign: Option<char>| sign.is_none_or(|sign| !sign.is_ascii_hexdigit() && sign != ':');
    line.match_indices(text.as_str()).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let mut after = line[at + text.len()..].chars();
        let next = after.next();
        // the dot of a sentence, and not of a longer address; the colon of a port
        let ends = match next {
            Some('.') => !after.next().is_some_and(|sign| sign.is_ascii_digit()),
            Some(':') => text.contains('.') || !after.next().is_some_and(|s| s.is_ascii_hexdigit()),
            next => own(next),
        };
        let begins = match before {
            Some('.') => false,
            // an address of IPv4 in the form of IPv6
            Some(':') => text.contains('.'),
            before => {
                own(before) || !text.contains(':') && before.is_some_and(|s| s.is_alphabetic())
            }
        };
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_words() {
        for (line, id, named) in [
            ("from 192.0.2.1 port 7", "192.0.2.1", true),
            ("from 192.0.2.1:7", "192.0.2.1", true),
            ("from [::ffff:192.0.2.1].", "192.0.2.1", true),
            ("from 192.0.2.1.", "192.0.2.1", true),
            ("from 192.0.2.10", "192.0.2.1", false),
            ("from 1192.0.2.1", "192.0.2.1", false),
            ("from 192.0.2.1.7", "192.0.2.1", false),
            ("ip=2001:db8::1 x", "2001:db8::1", true),
            ("ip=2001:db8::12", "2001:db8::1", false),
            ("ip=[2001:db8::1]:443", "2001:db8::1", true),
        ] {
            assert_eq!(names(line, &Address::parse(id)), named, "{line}");
        }
    }
}
