//! What regexes find in the lines of one log, worked out once for all jails that ask the same of it.
//!
//! In: lines with their dates, and a filter that looks at them ([`Filter::survey`]). Out: a
//! [`Survey`], by which other filters of the same [`Signature`] come to what they would have found
//! by themselves ([`Filter::follow`]) at a fraction of the cost.
//!
//! Shared is only what depends on nothing but the line, its date and the regexes: where no failregex
//! matches, and what the first one that does captures. All that has a memory stays with each filter:
//! the time window, sessions, what is said once a day.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::buffer::Parts;
use super::lines::{Dating, Lines, List};
use super::moment::When;
use super::name::Name;
use super::outcome::{LineOutcome, Manner};
use super::record::Record;
use super::session::ends_in_peace;
use super::settings::Filter;
use super::signature::Signature;
use super::{Clock, Failure};
use crate::fields::MatchLine;
use crate::pattern::{FailRegex, Outlook};

/// What regexes find in lines: in those that are not listed, nothing.
#[derive(Debug, Default)]
pub struct Survey {
    lines: Vec<u32>,
    findings: Vec<Finding>,
}

#[derive(Debug)]
enum Finding {
    /// It was not looked at, or not to the end.
    Unknown,
    Sighting {
        sighting: Box<Sighting>,
        /// The key of a session that ends with this line and is none of a failure.
        ends: Option<Box<str>>,
    },
}

/// The first match of a failregex.
#[derive(Debug)]
struct Sighting {
    regex: usize,
    record: Record,
    /// The evidence, for a line with a date of its own.
    parts: Option<Parts>,
}

impl Sighting {
    /// The key of a session that ends with this line and is none of a failure.
    fn ends(&self) -> Option<&str> {
        let key = self.record.text(&Name::Mlfid);
        key.filter(|_| ends_in_peace(&self.record))
    }
}

impl Finding {
    /// Whether it means something where nothing is known of a session that ends with it.
    fn matters(&self, filter: &Filter) -> bool {
        match self {
            Finding::Sighting {
                ends: Some(key), ..
            } => filter.sessions.knows(key),
            _ => true,
        }
    }
}

impl Filter {
    /// What decides about its findings; `None` where a line is not looked at for itself.
    pub fn signature(&mut self) -> Option<Arc<Signature>> {
        if self.maxlines() > 1 {
            return None;
        }
        let regexes = |list: &[FailRegex]| list.iter().map(|one| one.regex().clone()).collect();
        if self.signature.is_none() {
            self.signature = Some(Arc::new(Signature {
                prefregex: self.prefregex().map(|one| one.regex().clone()),
                failregexes: regexes(self.failregexes()),
                ignoreregexes: regexes(self.ignoreregexes()),
                jsonmatch: self.jsonmatch().to_owned(),
            }));
        }
        self.signature.clone()
    }

    /// Hands the failures of lines to `each`, as [`Filter::examine_lines`] does, and tells what
    /// others need of them.
    pub fn survey(
        &mut self,
        lines: &Lines<'_>,
        dating: &Dating,
        clock: &Clock,
        mut each: impl FnMut(Failure),
    ) -> Survey {
        let hopeful = self.hopeful(lines, dating);
        let hopeful = hopeful.as_deref();
        let outlook = hopeful.map(|_| Outlook::Hopeful);
        let mut survey = Survey::default();
        self.walk(
            lines,
            dating,
            List::of(hopeful),
            clock,
            |filter, number, when| {
                let index = hopeful.map_or(Some(number as u32), |list| list.get(number).copied());
                let given_up = filter.limits.hits;
                let look = |when: &When<'_>| filter.look(when, outlook, clock);
                let sighting = when.as_ref().and_then(look);
                if let (Some(sighting), Some(when)) = (&sighting, &when) {
                    filter.judge(sighting, when, clock, &mut each);
                }
                // how often a search gives up is each jail's own concern
                let known = when.is_some() && filter.limits.hits == given_up;
                let known = known && !dating.is_doubtful(index.unwrap_or_default() as usize);
                let finding = match (known, sighting) {
                    (true, None) => return,
                    (true, Some(sighting)) => Finding::Sighting {
                        ends: sighting.ends().map(Box::from),
                        sighting: Box::new(sighting),
                    },
                    (false, _) => Finding::Unknown,
                };
                survey.lines.extend(index);
                survey.findings.push(finding);
            },
        );
        survey
    }

    /// Hands the failures of lines to `each` that a filter of the same signature has surveyed and
    /// that both cut alike.
    pub fn follow(
        &mut self,
        lines: &Lines<'_>,
        dating: &Dating,
        survey: &Survey,
        clock: &Clock,
        mut each: impl FnMut(Failure),
    ) {
        let finding = |number: usize| survey.findings.get(number);
        let list = List {
            lines: Some(&survey.lines),
            matters: |filter: &Filter, number| {
                finding(number).is_none_or(|finding| finding.matters(filter))
            },
        };
        self.walk(lines, dating, list, clock, |filter, number, when| {
            let Some(when) = when else { return };
            if let Some(Finding::Sighting { sighting, .. }) = finding(number) {
                filter.judge(sighting, &when, clock, &mut each);
            } else if let Some(sighting) = filter.look(&when, None, clock) {
                filter.judge(&sighting, &when, clock, &mut each);
            }
        });
    }

    /// The first match in a line; `known`: what is known of it.
    fn look(&mut self, when: &When<'_>, known: Option<Outlook>, clock: &Clock) -> Option<Sighting> {
        let mut text = std::mem::take(&mut self.text);
        let mut content = std::mem::take(&mut self.content);
        content.clear();
        when.cut.write_to(&mut text);
        let mut nowhere = LineOutcome::default();
        let manner = Manner::WATCH;
        let stage = self.open(&text, &mut content, known, clock, manner, &mut nowhere);
        let sighting = stage.and_then(|mut stage| {
            let hit = self.next_hit(&mut stage, clock, manner, &mut nowhere)?;
            let record = self.record(&stage, &hit, manner);
            Some(Sighting {
                regex: hit.regex,
                parts: when.cut.date.map(|date| when.cut.parts(date)),
                record,
            })
        });
        self.text = text;
        self.content = content;
        sighting
    }

    /// What a match means to this filter, and further ones where it means nothing.
    fn judge(
        &mut self,
        sighting: &Sighting,
        when: &When<'_>,
        clock: &Clock,
        each: impl FnMut(Failure),
    ) {
        let manner = Manner::WATCH;
        let mut outcome = LineOutcome::default();
        let counts = !when.undated || self.may_be_undated(when, None, clock, manner);
        let done = counts && {
            if sighting.ends().is_some_and(|key| !self.sessions.knows(key)) {
                return;
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
        outcome.take_failures(clock).for_each(each);
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
