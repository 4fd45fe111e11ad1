//! What regexes find in the lines of one log, worked out once for all jails that ask the same of it.
//!
//! In: lines, and a filter that looks at them ([`Filter::survey_line`]). Out: a [`Survey`], by which
//! other filters of the same [`Signature`] come to what they would have found by themselves
//! ([`Filter::follow_line`]) at a fraction of the cost.
//!
//! Shared is only what depends on nothing but the line and the regexes: where no failregex matches,
//! and what the first one that does captures. All that has a memory stays with each filter: which
//! date a line has, the time window, sessions, what is said once a day. A filter that cuts another
//! date out of a line looks at that line itself.
#![forbid(unsafe_code)]

use super::buffer::Parts;
use super::moment::{Cut, When};
use super::name::Name;
use super::outcome::{LineOutcome, Manner};
use super::record::Record;
use super::session::ends_in_peace;
use super::settings::Filter;
use super::{Clock, Failure};
use crate::pattern::{FailRegex, Regex};
use crate::ticket::MatchLine;

/// What decides, beside a line and its date, what regexes find in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    prefregex: Option<Regex>,
    failregexes: Vec<Regex>,
    ignoreregexes: Vec<Regex>,
    jsonmatch: String,
}

/// Lines and what regexes find in them.
#[derive(Debug, Default)]
pub struct Survey {
    /// All lines, as the dates are looked for in them.
    text: String,
    lines: Vec<Line>,
    sightings: Vec<Sighting>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Where it ends in the text.
    end: u32,
    /// The bytes before and after the date that was cut out.
    around: (u32, u32),
    finding: Finding,
}

#[derive(Clone, Copy, Debug)]
enum Finding {
    /// It was not looked at, or not to the end.
    Unknown,
    /// No failregex matches.
    Nothing,
    /// By its number.
    Sighting(u32),
}

/// The first match of a failregex.
#[derive(Clone, Debug)]
struct Sighting {
    regex: usize,
    record: Record,
    /// The evidence, for a line with a date of its own.
    parts: Option<Parts>,
    /// The key of a session that ends with this line and is none of a failure.
    ends: Option<Box<str>>,
}

impl Survey {
    /// For lines of so many bytes.
    pub fn new(bytes: usize) -> Survey {
        Survey {
            text: String::with_capacity(bytes),
            ..Survey::default()
        }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn line(&self, index: usize) -> Option<(&str, Line)> {
        let line = *self.lines.get(index)?;
        let before = index.checked_sub(1).and_then(|at| self.lines.get(at));
        let start = before.map_or(0, |before| before.end as usize);
        Some((self.text.get(start..line.end as usize)?, line))
    }
}

fn around(cut: &Cut<'_>) -> (u32, u32) {
    (cut.before.len() as u32, cut.after.len() as u32)
}

impl Filter {
    /// What decides about its findings; `None` where a line is not looked at for itself.
    pub fn signature(&self) -> Option<Signature> {
        let regexes = |list: &[FailRegex]| list.iter().map(|one| one.regex().clone()).collect();
        (self.maxlines() == 1).then(|| Signature {
            prefregex: self.prefregex().map(|one| one.regex().clone()),
            failregexes: regexes(self.failregexes()),
            ignoreregexes: regexes(self.ignoreregexes()),
            jsonmatch: self.jsonmatch().to_owned(),
        })
    }

    /// The failures of a line, as [`Filter::process_line`] gives them; what others need of them
    /// is added to `survey`.
    pub fn survey_line(&mut self, line: &str, clock: &Clock, survey: &mut Survey) -> Vec<Failure> {
        let made = self.json.as_ref().and_then(|template| template.line(line));
        let line = made.as_deref().unwrap_or(line);
        survey.text.push_str(line);
        let mut entry = Line {
            end: survey.text.len() as u32,
            around: (0, 0),
            finding: Finding::Unknown,
        };
        let Some(when) = self.place(line, None, clock, Manner::WATCH) else {
            survey.lines.push(entry);
            return Vec::new();
        };
        entry.around = around(&when.cut);
        let given_up = self.limits.hits;
        let sighting = self.look(&when, clock);
        // how often a search gives up is each jail's own concern
        if self.limits.hits == given_up {
            entry.finding = match &sighting {
                None => Finding::Nothing,
                Some(sighting) => {
                    survey.sightings.push(sighting.clone());
                    Finding::Sighting(survey.sightings.len() as u32 - 1)
                }
            };
        }
        survey.lines.push(entry);
        match sighting {
            None => Vec::new(),
            Some(sighting) => self.judge(&sighting, &when, clock),
        }
    }

    /// The failures of a line that a filter of the same signature has surveyed.
    pub fn follow_line(&mut self, survey: &Survey, index: usize, clock: &Clock) -> Vec<Failure> {
        let Some((text, line)) = survey.line(index) else {
            return Vec::new();
        };
        let Some(when) = self.place(text, None, clock, Manner::WATCH) else {
            return Vec::new();
        };
        let finding = match around(&when.cut) == line.around {
            true => line.finding,
            false => Finding::Unknown,
        };
        match finding {
            Finding::Nothing => Vec::new(),
            Finding::Sighting(number) => match survey.sightings.get(number as usize) {
                Some(sighting) => self.judge(sighting, &when, clock),
                None => Vec::new(),
            },
            Finding::Unknown => match self.look(&when, clock) {
                Some(sighting) => self.judge(&sighting, &when, clock),
                None => Vec::new(),
            },
        }
    }

    /// The first match in a line.
    fn look(&mut self, when: &When<'_>, clock: &Clock) -> Option<Sighting> {
        let mut text = std::mem::take(&mut self.text);
        let mut content = std::mem::take(&mut self.content);
        content.clear();
        when.cut.write_to(&mut text);
        let mut nowhere = LineOutcome::default();
        let manner = Manner::WATCH;
        let stage = self.open(&text, &mut content, None, clock, manner, &mut nowhere);
        let sighting = stage.and_then(|mut stage| {
            let hit = self.next_hit(&mut stage, clock, manner, &mut nowhere)?;
            let record = self.record(&stage, &hit, manner);
            let key = record.text(&Name::Mlfid).filter(|_| ends_in_peace(&record));
            Some(Sighting {
                regex: hit.regex,
                parts: when.cut.date.map(|date| when.cut.parts(date)),
                ends: key.map(Box::from),
                record,
            })
        });
        self.text = text;
        self.content = content;
        sighting
    }

    /// What a match means to this filter, and further ones where it means nothing.
    fn judge(&mut self, sighting: &Sighting, when: &When<'_>, clock: &Clock) -> Vec<Failure> {
        let manner = Manner::WATCH;
        let mut outcome = LineOutcome::default();
        let counts = !when.undated || self.may_be_undated(when, None, clock, manner);
        let done = counts && {
            if let Some(key) = &sighting.ends
                && !self.sessions.knows(key)
            {
                return Vec::new();
            }
            let parts = match (&sighting.parts, when.cut.date) {
                (Some(parts), Some(_)) => parts.clone(),
                _ => when.cut.parts(&self.window.text),
            };
            let evidence = vec![MatchLine::Parts(parts)];
            let record = sighting.record.clone();
            let regex = sighting.regex;
            self.conclude(regex, record, evidence, when, clock, manner, &mut outcome)
        };
        if !done {
            self.search(when, sighting.regex + 1, None, clock, manner, &mut outcome);
        }
        outcome.into_failures(clock)
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
