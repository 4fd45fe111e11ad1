//! Results of regexes on the lines of one log, computed once for all jails with the same regexes.
//!
//! In: lines with their dates, and a filter that examines them ([`Filter::survey`]). Out: a [`Survey`],
//! from which other filters with the same [`FilterSignature`] get the results that they would have found by
//! themselves ([`Filter::follow`]), at a fraction of the cost.
//!
//! Only results that depend on nothing but the line, its date and the regexes are shared: where no
//! failregex matches, and what the first one that does captures. State stays with each filter: the time
//! window, sessions, warnings that are logged once a day.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::buffer::Parts;
use super::line_time::LineTime;
use super::lines::{Candidates, LineBlock, LineDates};
use super::name::Name;
use super::outcome::{ExamineMode, LineOutcome};
use super::record::GroupRecord;
use super::session::ends_in_peace;
use super::settings::Filter;
use super::signature::FilterSignature;
use super::{Clock, Failure};
use crate::fields::MatchLine;
use crate::pattern::{FailRegex, PrefilterResult};

/// What regexes find in lines: in those that are not listed, nothing.
#[derive(Debug, Default)]
pub struct Survey {
    lines: Vec<u32>,
    findings: Vec<SurveyedLine>,
}

#[derive(Debug)]
enum SurveyedLine {
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
    record: GroupRecord,
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

impl SurveyedLine {
    /// Whether it means something where nothing is known of a session that ends with it.
    fn matters(&self, filter: &Filter) -> bool {
        match self {
            SurveyedLine::Sighting {
                ends: Some(key), ..
            } => filter.sessions.knows(key),
            _ => true,
        }
    }
}

impl Filter {
    /// What decides about its findings; `None` where a line is not looked at for itself.
    pub fn signature(&mut self) -> Option<Arc<FilterSignature>> {
        if self.maxlines() > 1 {
            return None;
        }
        let regexes = |list: &[FailRegex]| list.iter().map(|one| one.regex().clone()).collect();
        if self.signature.is_none() {
            self.signature = Some(Arc::new(FilterSignature {
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
        lines: &LineBlock<'_>,
        dates: &LineDates,
        clock: &Clock,
        mut each: impl FnMut(Failure),
    ) -> Survey {
        let hopeful = self.hopeful(lines, dates);
        let hopeful = hopeful.as_deref();
        let screened = hopeful.map(|_| PrefilterResult::MayMatch);
        let mut survey = Survey::default();
        self.walk(
            lines,
            dates,
            Candidates::of(hopeful),
            clock,
            |filter, number, line_time| {
                let index = hopeful.map_or(Some(number as u32), |list| list.get(number).copied());
                let given_up = filter.limits.hits;
                let look = |line_time: &LineTime<'_>| filter.look(line_time, screened, clock);
                let sighting = line_time.as_ref().and_then(look);
                if let (Some(sighting), Some(line_time)) = (&sighting, &line_time) {
                    filter.judge(sighting, line_time, clock, &mut each);
                }
                // how often a search gives up is each jail's own concern
                let known = line_time.is_some() && filter.limits.hits == given_up;
                let known = known && !dates.is_doubtful(index.unwrap_or_default() as usize);
                let finding = match (known, sighting) {
                    (true, None) => return,
                    (true, Some(sighting)) => SurveyedLine::Sighting {
                        ends: sighting.ends().map(Box::from),
                        sighting: Box::new(sighting),
                    },
                    (false, _) => SurveyedLine::Unknown,
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
        lines: &LineBlock<'_>,
        dates: &LineDates,
        survey: &Survey,
        clock: &Clock,
        mut each: impl FnMut(Failure),
    ) {
        let finding = |number: usize| survey.findings.get(number);
        let list = Candidates {
            lines: Some(&survey.lines),
            matters: |filter: &Filter, number| {
                finding(number).is_none_or(|finding| finding.matters(filter))
            },
        };
        self.walk(lines, dates, list, clock, |filter, number, line_time| {
            let Some(line_time) = line_time else { return };
            if let Some(SurveyedLine::Sighting { sighting, .. }) = finding(number) {
                filter.judge(sighting, &line_time, clock, &mut each);
            } else if let Some(sighting) = filter.look(&line_time, None, clock) {
                filter.judge(&sighting, &line_time, clock, &mut each);
            }
        });
    }

    /// The first match in a line; `known`: what is known of it.
    fn look(
        &mut self,
        line_time: &LineTime<'_>,
        known: Option<PrefilterResult>,
        clock: &Clock,
    ) -> Option<Sighting> {
        let mut text = std::mem::take(&mut self.text);
        let mut content = std::mem::take(&mut self.content);
        content.clear();
        line_time.cut.write_to(&mut text);
        let mut nowhere = LineOutcome::default();
        let mode = ExamineMode::DAEMON;
        let stage = self.open(&text, &mut content, known, clock, mode, &mut nowhere);
        let sighting = stage.and_then(|mut stage| {
            let hit = self.next_hit(&mut stage, clock, mode, &mut nowhere)?;
            let record = self.record(&stage, &hit, mode);
            Some(Sighting {
                regex: hit.regex,
                parts: line_time.cut.date.map(|date| line_time.cut.parts(date)),
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
        line_time: &LineTime<'_>,
        clock: &Clock,
        each: impl FnMut(Failure),
    ) {
        let mode = ExamineMode::DAEMON;
        let mut outcome = LineOutcome::default();
        let counts = !line_time.undated || self.may_be_undated(line_time, None, clock, mode);
        let done = counts && {
            if sighting.ends().is_some_and(|key| !self.sessions.knows(key)) {
                return;
            }
            let parts = match (&sighting.parts, line_time.cut.date) {
                (Some(parts), Some(_)) => parts.clone(),
                _ => line_time.cut.parts(&self.window.text),
            };
            let evidence = vec![MatchLine::Parts(parts)];
            let record = sighting.record.clone();
            let regex = sighting.regex;
            self.finish(
                regex,
                record,
                evidence,
                line_time,
                clock,
                mode,
                &mut outcome,
            )
        };
        if !done {
            self.search(
                line_time,
                sighting.regex + 1,
                None,
                clock,
                mode,
                &mut outcome,
            );
        }
        outcome.take_failures(clock).for_each(each);
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
