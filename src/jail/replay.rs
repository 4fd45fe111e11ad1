//! Replays old lines through a jail, with the time of the lines as its clock, and reports what the jail
//! would have done. In: settings (the commands that the daemon gets) and lines. Out: events.
//!
//! Lines are taken as by a server that ran while they were written: the clock is the latest date so far.
//! A line without a date, or with one that is far from the clock, happens at the clock.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::core::{JailCore, PriorBans};
use super::decision::Decision;
use crate::action::JailFigures;
use crate::address::Address;
use crate::control::{CommandError, JailSetting};
use crate::datetime::{DateDetector, FoundDate};
use crate::filter::{Clock, Dates, ExamineMode, FailureId, Filter, LineHint, LineOutcome};
use crate::source::journal::JournalEntry;
use crate::store::BanHistory;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// What a jail would have done.
#[derive(Clone, Debug)]
pub enum ReplayEvent {
    /// It would have banned.
    Ban(ReplayBan),
    /// It would have lifted the ban.
    Unban {
        /// When.
        time: Timestamp,
        /// Whose.
        ticket: Ticket,
    },
}

impl ReplayEvent {
    /// When it would have happened.
    pub fn time(&self) -> Timestamp {
        match self {
            ReplayEvent::Ban(ban) => ban.time,
            ReplayEvent::Unban { time, .. } => *time,
        }
    }
}

/// A ban that would have been.
#[derive(Clone, Debug)]
pub struct ReplayBan {
    /// When: the time of the line that was one too many.
    pub time: Timestamp,
    /// Whom, with the lines against him.
    pub ticket: Ticket,
    /// When it would have been lifted; `None` for never.
    pub until: Option<Timestamp>,
    /// The jail's counters, for tags.
    pub figures: JailFigures,
}

/// What a jail made of one failure.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplayVerdict {
    /// A host name: a replay asks no name server.
    Unresolved,
    /// Ignored, by this rule.
    Ignored(String),
    /// Counted.
    Counted {
        /// What its failures weigh by now.
        standing: f64,
        /// The weight at which it is banned.
        enough: i64,
    },
    /// One too many.
    Banned {
        /// Failures that led to it.
        failures: u32,
        /// When the ban would end; `None` for never.
        until: Option<Timestamp>,
    },
    /// Banned before.
    Already,
    /// The ban would have ended already.
    Expired,
}

/// One failure of the line read last.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedFailure {
    /// Whose.
    pub id: String,
    /// What came of it.
    pub verdict: ReplayVerdict,
}

/// What a line was taken for.
#[derive(Clone, Debug, PartialEq)]
pub enum LineKind {
    /// A line of a log file.
    Line,
    /// An entry of the journal.
    Entry(JournalEntry),
    /// The jail reads the journal, which gives no such line.
    Foreign,
}

/// What was seen of the lines of a jail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayTally {
    /// Lines read.
    pub lines: u64,
    /// Lines that the journal, which the jail reads, would never give.
    pub foreign: u64,
    /// Failures counted.
    pub failures: u64,
    /// Failures of whom the jail ignores.
    pub ignored: u64,
    /// Failures of names: a replay asks no name server.
    pub names: u64,
    /// Of the failures counted: those whose line has no date, which happen at the clock.
    pub undated: u64,
    /// Of the failures counted: those whose date is far from the clock, likewise.
    pub odd: u64,
}

/// Seconds by which a date may be before the clock, or after the present.
const ODD: f64 = 60.0;

/// One jail of a replay.
#[derive(Debug)]
pub struct ReplayJail {
    core: JailCore,
    /// Of a jail that reads the journal: finds the dates of lines that stand for entries.
    journal: Option<Box<DateDetector>>,
    clock: Option<Timestamp>,
    /// The clock stands at the present, as no line had a date so far.
    at_present: bool,
    past: HashMap<Address, BanHistory>,
    outcome: LineOutcome,
    tally: ReplayTally,
    judged: Vec<JudgedFailure>,
}

impl ReplayJail {
    /// A jail without settings.
    pub fn new(name: &str) -> ReplayJail {
        let mut core = JailCore::new(name, true);
        // bantime.rndtime: the same replay gives the same result
        core.seed(0);
        ReplayJail {
            core,
            journal: None,
            clock: None,
            at_present: false,
            past: HashMap::new(),
            outcome: LineOutcome::default(),
            tally: ReplayTally::default(),
            judged: Vec::new(),
        }
    }

    /// The failures of the line read last.
    pub fn judged(&self) -> &[JudgedFailure] {
        &self.judged
    }

    /// The jail's filter.
    pub fn filter(&self) -> &Filter {
        &self.core.filter
    }

    /// As [`ReplayJail::filter`], for a look at the way of the line read last.
    pub fn filter_mut(&mut self) -> &mut Filter {
        &mut self.core.filter
    }

    /// The jail's core, for what only the outside knows (contents of ignore lists).
    pub fn core_mut(&mut self) -> &mut JailCore {
        &mut self.core
    }

    /// Lines and failures so far.
    pub fn tally(&self) -> ReplayTally {
        self.tally
    }

    /// The time of the latest dated line.
    pub fn clock(&self) -> Option<Timestamp> {
        self.clock
    }

    /// Whether lines without a date count at the present, as in a log that has no dates at all.
    pub fn counts_at_present(&self) -> bool {
        self.at_present
    }

    /// Sets the clock before the first line: to the first date there is, so that the undated lines
    /// before it happen then. Without it they happen at the present.
    pub fn begin(&mut self, time: Timestamp) {
        self.clock.get_or_insert(time);
    }

    /// Makes it a jail that reads the journal.
    pub fn read_journal(&mut self) {
        self.core.read_journal();
        self.journal = Some(Box::new(self.core.filter.default_dates()));
    }

    /// Finds dates as the jail does, without having seen a line; `None` where lines have no dates.
    pub fn new_detector(&self) -> Option<DateDetector> {
        match &self.journal {
            Some(journal) => Some(journal.anew()),
            None => self.core.filter.new_detector(),
        }
    }

    /// What the server would have asked about an id before it counts a failure, and a replay has not.
    pub fn not_asked(&self) -> Vec<String> {
        self.core.outside_rules()
    }

    /// Applies a setting; those that concern logs, actions and the outside world change nothing.
    ///
    /// # Errors
    /// What the daemon would answer.
    pub fn apply(&mut self, setting: &JailSetting) -> Result<(), CommandError> {
        self.core.carry_out(setting).transpose().map(|_| ())
    }

    /// Reads a line (without its line end) and says what it was taken for; `present` is the real
    /// time, which completes dates without a year.
    pub fn line(
        &mut self,
        line: &str,
        present: Timestamp,
        events: &mut Vec<ReplayEvent>,
    ) -> LineKind {
        if let Some(dates) = &mut self.journal {
            let Some(entry) = entry_of(line, dates, self.clock, present) else {
                self.tally.lines += 1;
                self.tally.foreign += 1;
                self.judged.clear();
                return LineKind::Foreign;
            };
            self.entry(&entry, present, events);
            return LineKind::Entry(entry);
        }
        let found = self.core.filter.find_date(line, present);
        let date = found.as_ref().and_then(FoundDate::own_time);
        self.take(line, LineHint::Found(found), date, present, events);
        LineKind::Line
    }

    /// Reads an entry of the journal.
    pub fn entry(
        &mut self,
        entry: &JournalEntry,
        present: Timestamp,
        events: &mut Vec<ReplayEvent>,
    ) {
        let known = LineHint::Date(&entry.date, entry.time);
        self.take(&entry.line, known, Some(entry.time), present, events);
    }

    fn take(
        &mut self,
        line: &str,
        known: LineHint<'_>,
        date: Option<Timestamp>,
        present: Timestamp,
        events: &mut Vec<ReplayEvent>,
    ) {
        self.tally.lines += 1;
        self.judged.clear();
        // nothing was written after the present: such a date is wrong, and does not move the clock
        let now = match date.filter(|date| *date <= present + ODD) {
            Some(date) => self.advance(date, events),
            None => {
                self.at_present |= self.clock.is_none();
                *self.clock.get_or_insert(present)
            }
        };
        let clock = Clock {
            now,
            in_operation: true,
            findtime: self.core.find_time(),
        };
        let mut outcome = std::mem::take(&mut self.outcome);
        self.core
            .filter
            .examine_known(line, known, &clock, ExamineMode::DAEMON, &mut outcome);
        for found in outcome.found.drain(..) {
            match found.id.clone() {
                Some(FailureId::Address(id)) => {
                    let counted = self.tally.failures;
                    let fields = found.record.into_fields();
                    let past = self.past(&self.core.ban_id(&id));
                    let failure = crate::filter::Failure {
                        id: FailureId::Address(id),
                        time: found.time.unwrap_or(now).min(now),
                        matches: found.matches,
                        fields,
                    };
                    let decisions = self.core.failure(&failure, &past, now);
                    let verdict = self.verdict(&decisions, &failure.id);
                    self.judge(&found.id, verdict);
                    self.apply_decisions(decisions, now, events);
                    self.tally_date(date, now, self.tally.failures - counted);
                }
                Some(FailureId::Name(_)) => {
                    self.tally.names += 1;
                    self.judge(&found.id, ReplayVerdict::Unresolved);
                }
                None => {}
            }
        }
        self.outcome = outcome;
    }

    /// Notes failures of a line whose date is not the time they count for.
    fn tally_date(&mut self, date: Option<Timestamp>, now: Timestamp, failures: u64) {
        match date {
            Some(date) if (date - now).abs() > ODD => self.tally.odd += failures,
            // without a datepattern no line is expected to have one
            None if !matches!(self.core.filter.dates(), Dates::Never { .. }) => {
                self.tally.undated += failures;
            }
            _ => {}
        }
    }

    fn judge(&mut self, id: &Option<FailureId>, verdict: ReplayVerdict) {
        let id = match id {
            Some(FailureId::Address(id)) => id.to_string(),
            Some(FailureId::Name(name)) => name.clone(),
            None => return,
        };
        self.judged.push(JudgedFailure { id, verdict });
    }

    /// What the decisions about a failure come to.
    fn verdict(&self, decisions: &[Decision], id: &FailureId) -> ReplayVerdict {
        let decided = decisions.iter().find_map(|decision| match decision {
            Decision::Ignored { by, .. } => Some(ReplayVerdict::Ignored(by.clone())),
            Decision::Ban { ticket, .. } => Some(ReplayVerdict::Banned {
                failures: ticket.failures,
                until: end_of(ticket),
            }),
            Decision::Already { .. } => Some(ReplayVerdict::Already),
            Decision::Expired(_) => Some(ReplayVerdict::Expired),
            _ => None,
        });
        decided.unwrap_or_else(|| {
            let (standing, enough) = match id {
                FailureId::Address(id) => self.core.standing(id),
                FailureId::Name(_) => (0.0, 0),
            };
            ReplayVerdict::Counted { standing, enough }
        })
    }

    /// Sets the clock forward, lifts the bans that end by then, each at its own time, and tells the
    /// clock.
    fn advance(&mut self, time: Timestamp, events: &mut Vec<ReplayEvent>) -> Timestamp {
        let now = self.clock.map_or(time, |clock| clock.max(time));
        self.clock = Some(now);
        self.at_present = false;
        while let Some(due) = self.core.next_due().filter(|due| *due < now) {
            let decisions = self.core.due(due);
            self.apply_decisions(decisions, due, events);
        }
        now
    }

    fn past(&self, id: &Address) -> PriorBans {
        let here = self.past.get(id).cloned();
        PriorBans {
            everywhere: here.clone(),
            here,
        }
    }

    fn apply_decisions(
        &mut self,
        decisions: Vec<Decision>,
        now: Timestamp,
        events: &mut Vec<ReplayEvent>,
    ) {
        for decision in decisions {
            match decision {
                Decision::Found { .. } => self.tally.failures += 1,
                Decision::Ignored { .. } => self.tally.ignored += 1,
                Decision::Record(ticket) => {
                    let bantime = ticket.bantime.unwrap_or(BanTime::Permanent);
                    let history = BanHistory {
                        bancount: ticket.bancount.max(1),
                        timeofban: ticket.time,
                        bantime,
                    };
                    self.past.insert(ticket.id, history);
                }
                Decision::Ban { ticket, figures } => {
                    let until = end_of(&ticket);
                    events.push(ReplayEvent::Ban(ReplayBan {
                        time: now,
                        ticket,
                        until,
                        figures,
                    }));
                }
                Decision::Increase { id, end, .. } => {
                    let last = events.iter_mut().rev().find_map(|event| match event {
                        ReplayEvent::Ban(ban) if ban.ticket.id == id => Some(ban),
                        _ => None,
                    });
                    if let Some(ban) = last {
                        ban.until = end.is_finite().then_some(end);
                    }
                }
                // no firewall knows what came after the log
                Decision::AskQuiet(ticket) => {
                    let decisions = self.core.answer_quiet(&ticket.id, true, now);
                    self.apply_decisions(decisions, now, events);
                }
                Decision::Unban(ticket) => {
                    // the jail is asked just after the end
                    let time = match ticket.bantime {
                        Some(BanTime::Seconds(seconds)) => ticket.time + seconds,
                        _ => now,
                    };
                    events.push(ReplayEvent::Unban { time, ticket });
                }
                _ => {}
            }
        }
    }
}

/// The entry of the journal that a line of a program stands for, as `journalctl` and syslog write
/// it: `DATE HOST NAME[PID]: MESSAGE`, the date first and `[PID]` left out if need be. Without a date
/// it happens at the clock. `None`: the journal gives no such line.
fn entry_of(
    line: &str,
    dates: &mut DateDetector,
    clock: Option<Timestamp>,
    present: Timestamp,
) -> Option<JournalEntry> {
    let found = dates.find(line, present).filter(|date| date.start == 0);
    let dated = found.and_then(|date| Some((date.own_time()?, date.end)));
    let (time, end) = dated.unwrap_or((clock.unwrap_or(present), 0));
    let text = line[end..].trim_start_matches(' ');
    is_journal_text(text).then(|| JournalEntry {
        date: line[..line.len() - text.len()].to_owned(),
        line: text.to_owned(),
        time,
    })
}

/// Whether a text begins with `HOST NAME[PID]: ` or `HOST NAME: `; only the former may have blanks
/// in the name.
fn is_journal_text(text: &str) -> bool {
    let Some((host, rest)) = text.split_once(' ') else {
        return false;
    };
    let name = match rest.split_once(": ") {
        Some((name, _)) => Some(name),
        None => rest.strip_suffix(':'),
    };
    let Some(name) = name else {
        return false;
    };
    let plain = match name.split_once('[') {
        Some((plain, pid)) if pid.len() > 1 && pid.ends_with(']') => plain,
        Some(_) => return false,
        None if name.contains(' ') => return false,
        None => name,
    };
    !host.is_empty() && !plain.is_empty() && plain.trim() == plain
}

/// When a ban ends; `None` for never.
fn end_of(ticket: &Ticket) -> Option<Timestamp> {
    match ticket.bantime {
        Some(BanTime::Seconds(seconds)) => Some(ticket.time + seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Value;

    fn jail() -> ReplayJail {
        let mut jail = ReplayJail::new("j");
        for setting in [
            JailSetting::AddFailRegex(vec!["^\\s*bad guess from <ADDR>$".into()]),
            JailSetting::set("maxretry", Value::Int(2)),
            JailSetting::set("findtime", Value::from("10m")),
            JailSetting::set("bantime", Value::from("5m")),
            JailSetting::AddIgnoreIp(vec!["192.0.2.9".into()]),
        ] {
            jail.apply(&setting).expect("setting");
        }
        jail
    }

    #[test]
    fn the_lines_are_the_clock() {
        let mut jail = jail();
        let mut events = Vec::new();
        for line in [
            "2026-11-20 10:00:00+00:00 bad guess from 192.0.2.1",
            "2026-11-20 10:00:01+00:00 bad guess from 192.0.2.9",
            "2026-11-20 10:00:02+00:00 bad guess from 192.0.2.9",
            "2026-11-20 10:01:00+00:00 bad guess from 192.0.2.1",
            "2026-11-20 10:20:00+00:00 nothing to see",
            "2026-11-20 10:20:01+00:00 bad guess from 192.0.2.1",
        ] {
            jail.line(line, 1_795_291_452.0, &mut events);
        }
        let [ReplayEvent::Ban(ban), ReplayEvent::Unban { time, ticket }] = &events[..] else {
            panic!("{events:?}");
        };
        let at = 1_795_168_860.0;
        assert_eq!((ban.time, ban.until), (at, Some(at + 300.0)));
        assert_eq!(ban.ticket.id, Address::parse("192.0.2.1"));
        assert_eq!(ban.ticket.matches().len(), 2);
        assert_eq!(*time, at + 300.0);
        assert_eq!(ticket.id, ban.ticket.id);
        assert_eq!(jail.tally().failures, 3);
        assert_eq!(jail.tally().ignored, 2);
        assert_eq!(jail.tally().lines, 6);
    }
}
