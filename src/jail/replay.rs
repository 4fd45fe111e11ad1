//! A jail run over old lines with the time of the lines as its clock: what it would have done,
//! with nothing done. Settings in (the same commands the daemon gets), lines in, events out.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::core::{JailCore, Past};
use super::decision::Decision;
use crate::action::JailFigures;
use crate::address::Address;
use crate::control::{CommandError, JailSetting};
use crate::filter::{Clock, FailureId, Filter, LineOutcome, Manner};
use crate::store::BanHistory;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// What a jail would have done.
#[derive(Clone, Debug)]
pub enum Event {
    /// It would have banned.
    Ban(Ban),
    /// It would have lifted the ban.
    Unban {
        /// When.
        time: Timestamp,
        /// Whose.
        ticket: Ticket,
    },
}

impl Event {
    /// When it would have happened.
    pub fn time(&self) -> Timestamp {
        match self {
            Event::Ban(ban) => ban.time,
            Event::Unban { time, .. } => *time,
        }
    }
}

/// A ban that would have been.
#[derive(Clone, Debug)]
pub struct Ban {
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
pub enum Verdict {
    /// No line so far had a date: the daemon would take the present.
    Undated,
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
pub struct Judged {
    /// Whose.
    pub id: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What was seen of the lines of a jail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Failures counted.
    pub failures: u64,
    /// Failures of whom the jail ignores.
    pub ignored: u64,
    /// Failures of names: a replay asks no name server.
    pub names: u64,
    /// Failures before which the clock knew no time: no line so far had a date.
    pub undated: u64,
}

/// One jail of a replay.
#[derive(Debug)]
pub struct ReplayJail {
    core: JailCore,
    clock: Option<Timestamp>,
    past: HashMap<Address, BanHistory>,
    outcome: LineOutcome,
    tally: Tally,
    judged: Vec<Judged>,
}

impl ReplayJail {
    /// A jail without settings.
    pub fn new(name: &str) -> ReplayJail {
        let mut core = JailCore::new(name, true);
        // bantime.rndtime: the same replay gives the same result
        core.seed(0);
        ReplayJail {
            core,
            clock: None,
            past: HashMap::new(),
            outcome: LineOutcome::default(),
            tally: Tally::default(),
            judged: Vec::new(),
        }
    }

    /// The failures of the line read last.
    pub fn judged(&self) -> &[Judged] {
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
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The time of the latest dated line.
    pub fn clock(&self) -> Option<Timestamp> {
        self.clock
    }

    /// Applies a setting; those that concern logs, actions and the outside world change nothing.
    ///
    /// # Errors
    /// What the daemon would answer.
    pub fn apply(&mut self, setting: &JailSetting) -> Result<(), CommandError> {
        self.core.carry_out(setting).transpose().map(|_| ())
    }

    /// Reads a line (without its line end); `present` is the real time, which completes dates
    /// without a year.
    pub fn line(&mut self, line: &str, present: Timestamp, events: &mut Vec<Event>) {
        const MANNER: Manner = Manner {
            window: false,
            ..Manner::WATCH
        };
        self.tally.lines += 1;
        self.judged.clear();
        let clock = Clock {
            now: present,
            in_operation: true,
            findtime: f64::INFINITY,
        };
        let mut outcome = std::mem::take(&mut self.outcome);
        self.core
            .filter
            .examine(line, None, &clock, MANNER, &mut outcome);
        if let Some(date) = self.core.filter.last_date() {
            self.advance(date, events);
        }
        for found in outcome.found.drain(..) {
            // as in operation: a line without a date happens now
            let Some(now) = self.clock else {
                self.tally.undated += 1;
                self.judge(&found.id, Verdict::Undated);
                continue;
            };
            match found.id.clone() {
                Some(FailureId::Address(id)) => {
                    let time = found.time.unwrap_or(now).min(now);
                    let fields = found.record.into_fields();
                    let past = self.past(&self.core.ban_id(&id));
                    let failure = crate::filter::Failure {
                        id: FailureId::Address(id),
                        time,
                        matches: found.matches,
                        fields,
                    };
                    let decisions = self.core.failure(&failure, &past, now);
                    let verdict = self.verdict(&decisions, &failure.id);
                    self.judge(&found.id, verdict);
                    self.carry_out(decisions, now, events);
                }
                Some(FailureId::Name(_)) => {
                    self.tally.names += 1;
                    self.judge(&found.id, Verdict::Unresolved);
                }
                None => {}
            }
        }
        self.outcome = outcome;
    }

    fn judge(&mut self, id: &Option<FailureId>, verdict: Verdict) {
        let id = match id {
            Some(FailureId::Address(id)) => id.to_string(),
            Some(FailureId::Name(name)) => name.clone(),
            None => return,
        };
        self.judged.push(Judged { id, verdict });
    }

    /// What the decisions about a failure come to.
    fn verdict(&self, decisions: &[Decision], id: &FailureId) -> Verdict {
        let decided = decisions.iter().find_map(|decision| match decision {
            Decision::Ignored { by, .. } => Some(Verdict::Ignored(by.clone())),
            Decision::Ban { ticket, .. } => Some(Verdict::Banned {
                failures: ticket.failures,
                until: end_of(ticket),
            }),
            Decision::Already { .. } => Some(Verdict::Already),
            Decision::Expired(_) => Some(Verdict::Expired),
            _ => None,
        });
        decided.unwrap_or_else(|| {
            let (standing, enough) = match id {
                FailureId::Address(id) => self.core.standing(id),
                FailureId::Name(_) => (0.0, 0),
            };
            Verdict::Counted { standing, enough }
        })
    }

    /// Lifts the bans that end by `time`, each at its own time.
    fn advance(&mut self, time: Timestamp, events: &mut Vec<Event>) {
        let now = self.clock.map_or(time, |clock| clock.max(time));
        self.clock = Some(now);
        while let Some(due) = self.core.next_due().filter(|due| *due < now) {
            let decisions = self.core.due(due);
            self.carry_out(decisions, due, events);
        }
    }

    fn past(&self, id: &Address) -> Past {
        let here = self.past.get(id).cloned();
        Past {
            everywhere: here.clone(),
            here,
        }
    }

    fn carry_out(&mut self, decisions: Vec<Decision>, now: Timestamp, events: &mut Vec<Event>) {
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
                    events.push(Event::Ban(Ban {
                        time: now,
                        ticket,
                        until,
                        figures,
                    }));
                }
                Decision::Increase { id, end, .. } => {
                    let last = events.iter_mut().rev().find_map(|event| match event {
                        Event::Ban(ban) if ban.ticket.id == id => Some(ban),
                        _ => None,
                    });
                    if let Some(ban) = last {
                        ban.until = end.is_finite().then_some(end);
                    }
                }
                // no firewall knows what came after the log
                Decision::AskQuiet(ticket) => {
                    let decisions = self.core.answer_quiet(&ticket.id, true, now);
                    self.carry_out(decisions, now, events);
                }
                Decision::Unban(ticket) => {
                    // the jail is asked just after the end
                    let time = match ticket.bantime {
                        Some(BanTime::Seconds(seconds)) => ticket.time + seconds,
                        _ => now,
                    };
                    events.push(Event::Unban { time, ticket });
                }
                _ => {}
            }
        }
    }
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
            JailSetting::MaxRetry(Value::Int(2)),
            JailSetting::FindTime(Value::from("10m")),
            JailSetting::BanTime(Value::from("5m")),
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
        let [Event::Ban(ban), Event::Unban { time, ticket }] = &events[..] else {
            panic!("{events:?}");
        };
        let at = 1_795_168_860.0;
        assert_eq!((ban.time, ban.until), (at, Some(at + 300.0)));
        assert_eq!(ban.ticket.id, Address::parse("192.0.2.1"));
        assert_eq!(ban.ticket.matches.len(), 2);
        assert_eq!(*time, at + 300.0);
        assert_eq!(ticket.id, ban.ticket.id);
        assert_eq!(jail.tally().failures, 3);
        assert_eq!(jail.tally().ignored, 2);
        assert_eq!(jail.tally().lines, 6);
    }
}
