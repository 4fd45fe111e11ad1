//! Finds which of many templates gives the date of a line (facts D13–D15).
//!
//! Logs repeat themselves, so the template of the last line is tried first, at the position of the last
//! date. If that fails, all are tried in an order by their number of hits.
#![forbid(unsafe_code)]

mod course;

use std::sync::Arc;

pub use self::course::{Course, Stand};

use super::calendar::{self, LocalTime};
use super::civil::DateContext;
use super::date_memo::DateMemo;
use super::date_place::{DatePlace, chars_before};
use super::patterns::{LINE_BEGIN, PATTERNS};
use super::program::{Clues, Spans};
use super::syntax::YearWindow;
use super::template::{DateTemplate, has_markup, replace_markup, unbound};
use super::templates::Templates;
use super::{DatePatternError, FixedOffset, FoundDate, TemplateInfo};
use crate::info;
use crate::python::text::quoted;
use crate::python::text::strip;
use crate::ticket::Timestamp;

const LOG: &str = "fail2ban.datedetector";

/// Asks for the defaults.
const DEFAULT: &str = "{DEFAULT}";

/// Seconds after which an unused template may be overtaken.
const UNUSED_AFTER: f64 = 300.0;

/// Further right than any date.
const FAR: usize = 0x7fff_ffff;

/// Finds dates by an ordered, learning list of templates (facts D1–D19).
#[derive(Clone, Debug, Default)]
pub struct DateDetector {
    /// Lines of the `datepattern`, empty for the defaults.
    patterns: Arc<[String]>,
    shared: Templates,
    entries: Vec<RankedTemplate>,
    /// The years of `%ExY` are set; they are known with the first line.
    settled: bool,
    zone: Option<FixedOffset>,
    local: LocalTime,
    last: Option<DatePlace>,
    /// The date of the last line, if an anchored template found it.
    memory: Option<Box<DateMemo>>,
    first_unused: usize,
    /// A date was not given by the template of the last one.
    wavered: bool,
    /// Templates may have changed places.
    reordered: bool,
}

#[derive(Clone, Debug)]
struct RankedTemplate {
    template: Arc<DateTemplate>,
    hits: u64,
    last_used: Timestamp,
    /// Where in the line it last gave the date, in characters.
    distance: usize,
    /// It matched, whether its match was used or not.
    matched: bool,
}

/// A candidate for the date of a line.
#[derive(Clone, Copy)]
struct Candidate {
    spans: Spans,
    start: usize,
    index: usize,
}

/// What the template of the last date says of a line.
enum TemplateAnswer {
    /// No other has to be asked.
    Sure(Candidate),
    Unsure {
        best: Option<Candidate>,
        /// It need not be asked again.
        skip: Option<usize>,
    },
}

impl DateDetector {
    /// The default templates, of those that are shared.
    pub fn defaults(shared: &Templates) -> DateDetector {
        DateDetector {
            shared: shared.clone(),
            ..DateDetector::default()
        }
    }

    /// Whether no `datepattern` was given.
    pub fn is_default(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The lines of the `datepattern`; none for the defaults.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Templates of a `datepattern`: one pattern per line; `{NONE}` gives `None`.
    ///
    /// # Errors
    /// The original's text for a pattern that cannot be used.
    pub fn from_pattern(
        pattern: &str,
        shared: &Templates,
    ) -> Result<Option<DateDetector>, DatePatternError> {
        let patterns: Vec<String> = pattern
            .split('\n')
            .map(|line| strip(line).to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        if !patterns.is_empty() && patterns.iter().all(|p| p.eq_ignore_ascii_case("{NONE}")) {
            info!(LOG, "  date pattern `{{UNB}}^`: `^`");
            return Ok(None);
        }
        let mut detector = DateDetector {
            patterns: patterns.into(),
            ..DateDetector::defaults(shared)
        };
        // Refused now, not at the first line; the years are not known yet and do not matter.
        detector.build(YearWindow::around(0), true)?;
        detector.settled = !detector
            .patterns
            .iter()
            .any(|p| is_list(p) || p.contains("%ExY"));
        Ok(Some(detector))
    }

    /// One with the same templates and zone that has seen no line.
    pub fn anew(&self) -> DateDetector {
        DateDetector {
            patterns: self.patterns.clone(),
            zone: self.zone,
            ..DateDetector::defaults(&self.shared)
        }
    }

    /// The zone for dates that name none; `None` is the system's.
    pub fn set_default_zone(&mut self, zone: Option<FixedOffset>) {
        self.zone = zone;
        self.memory = None;
    }

    /// All templates in their present order.
    pub fn templates(&self) -> Vec<TemplateInfo> {
        let defaults = self.shared.defaults_are_used();
        self.entries
            .iter()
            .map(|entry| TemplateInfo {
                name: entry.template.name.clone(),
                pattern: entry.template.pattern.clone(),
                regex: entry.template.regex.clone(),
                hits: entry.hits,
                weight: entry.template.weight(defaults),
                merit: entry.merit(defaults),
            })
            .collect()
    }

    /// What `get JAIL datepattern` answers: the pattern and its name; without a pattern for
    /// the defaults and for built-in forms.
    pub fn description(&self) -> (Option<String>, String) {
        match self.entries.as_slice() {
            [first] | [first, _] => (first.template.pattern.clone(), first.template.name.clone()),
            _ => (None, "Default Detectors".to_owned()),
        }
    }

    /// Finds the date of a line; `now` completes what the text leaves out (fact D16).
    pub fn find(&mut self, line: &str, now: Timestamp) -> Option<FoundDate> {
        if let Some(memory) = &self.memory
            && let Some(entry) = self.entries.get_mut(memory.index)
            && let Some(found) = memory.find(line, now)
        {
            // What is learnt from it: the template and the place were the last ones already.
            entry.hits += 1;
            entry.last_used = now;
            return Some(found);
        }
        self.look_for(line, now)
    }

    fn look_for(&mut self, line: &str, now: Timestamp) -> Option<FoundDate> {
        self.memory = None;
        if !self.settled {
            let (year, ..) = calendar::date_from_days(
                (self.local.reading_at(now).floor() as i64).div_euclid(calendar::DAY),
            );
            self.entries.clear();
            self.settled = true;
            // Each pattern compiled before; nothing can fail now.
            self.build(YearWindow::around(year), false).ok()?;
            if self.entries.is_empty() {
                self.append_defaults(YearWindow::around(year)).ok()?;
            }
        }
        let found = self.choose(line)?;
        let index = self.record(line, &found, now);
        let context = DateContext {
            now,
            zone: self.zone,
        };
        let (start, end) = found.spans.group(1).unwrap_or(found.spans.whole);
        let template = &self.entries[index].template;
        let (time, lifetime) = template.time(line, &found.spans, &context, &mut self.local);
        let date = FoundDate {
            start,
            end,
            time,
            template: index,
        };
        if template.anchored && template.is_explained() {
            let looked = &found.spans.looked;
            let memory = DateMemo::of(line, looked, template.lead(), &date, lifetime);
            self.memory = memory.map(Box::new);
        }
        Some(date)
    }

    fn build(&mut self, years: YearWindow, announce: bool) -> Result<(), DatePatternError> {
        let patterns = self.patterns.clone();
        (patterns.iter()).try_for_each(|pattern| self.append_pattern(pattern, years, announce))
    }

    fn append_defaults(&mut self, years: YearWindow) -> Result<(), DatePatternError> {
        let list = self.shared.defaults(years);
        info!(LOG, "  default date pattern: {} template(s)", list.len());
        for template in list.iter() {
            self.append(template.clone(), false)?;
        }
        Ok(())
    }

    fn append_pattern(
        &mut self,
        pattern: &str,
        years: YearWindow,
        announce: bool,
    ) -> Result<(), DatePatternError> {
        let begun = !self.entries.is_empty();
        let only_bound = pattern.eq_ignore_ascii_case(LINE_BEGIN);
        if only_bound || pattern.eq_ignore_ascii_case(DEFAULT) {
            let mut count = 0;
            // Beside other patterns `{DEFAULT}` adds nothing; alone it leaves the list empty,
            // and that is what brings the defaults.
            for template in self.shared.defaults(years).iter() {
                if only_bound && template.anchored {
                    self.append(template.clone(), begun)?;
                    count += 1;
                }
            }
            if announce {
                info!(LOG, "  default filtered date pattern: {count} template(s)");
            }
        } else if has_markup(pattern, "DATE") {
            for default in PATTERNS {
                // A built-in form stands here under its name, which is then plain text.
                let text = match default {
                    "EPOCH" => "Epoch",
                    other => unbound(other),
                };
                let wrapped = replace_markup(pattern, "DATE", text);
                self.append(self.shared.get(&wrapped, years)?, begun)?;
            }
            if announce {
                let count = PATTERNS.len();
                info!(
                    LOG,
                    "  default date pattern for `{}`: {count} template(s)",
                    quoted(pattern)
                );
            }
        } else {
            let (text, shown) = if pattern.eq_ignore_ascii_case("{NONE}") {
                ("{UNB}^", "{UNB}^")
            } else {
                (pattern, pattern)
            };
            let template = self.shared.get(text, years)?;
            if announce {
                let written = if template.pattern.is_some() {
                    shown
                } else {
                    ""
                };
                info!(LOG, "  date pattern `{written}`: `{}`", template.name);
            }
            self.append(template, false)?;
        }
        Ok(())
    }

    fn append(
        &mut self,
        template: Arc<DateTemplate>,
        ignore_known: bool,
    ) -> Result<(), DatePatternError> {
        if self
            .entries
            .iter()
            .any(|entry| entry.template.name == template.name)
        {
            return if ignore_known {
                Ok(())
            } else {
                Err(DatePatternError(format!(
                    "There is already a template with name {}",
                    template.name
                )))
            };
        }
        self.entries.push(RankedTemplate {
            template,
            hits: 0,
            last_used: 0.0,
            distance: FAR,
            matched: false,
        });
        Ok(())
    }

    fn choose(&mut self, line: &str) -> Option<Candidate> {
        match self.ask_last(line) {
            TemplateAnswer::Sure(candidate) => Some(candidate),
            TemplateAnswer::Unsure { best, skip } => {
                let found = self.search_all(line, skip, best);
                self.wavered |= found.is_some();
                found
            }
        }
    }

    /// What the last template says.
    fn ask_last(&mut self, line: &str) -> TemplateAnswer {
        let unsure = |skip, best| TemplateAnswer::Unsure { best, skip };
        let Some(last) = self.last else {
            return unsure(None, None);
        };
        let Some(entry) = self.entries.get_mut(last.index) else {
            return unsure(None, None);
        };
        let place = match entry.template.anchored {
            true => None,
            false => last.same_place(line),
        };
        let (from, to) = place.unwrap_or((0, line.len()));
        let skip = place.is_none().then_some(last.index);
        let Some(spans) = entry.search(line, from, to) else {
            return unsure(skip, None);
        };
        let candidate = Candidate::new(line, spans, last.index);
        let end = || chars_before(line, spans.whole.1);
        if entry.template.anchored
            || self.entries.len() == 1
            || (candidate.start == last.start && end() == last.end)
        {
            return TemplateAnswer::Sure(candidate);
        }
        unsure(skip, Some(candidate))
    }

    fn search_all(
        &mut self,
        line: &str,
        skip: Option<usize>,
        mut best: Option<Candidate>,
    ) -> Option<Candidate> {
        let clues = Clues::of(line);
        let known_start = self.last.map_or(1, |last| last.start);
        for index in 0..self.entries.len() {
            if skip == Some(index) {
                continue;
            }
            let entry = &mut self.entries[index];
            let Some(spans) = entry.template.search_with(line, &clues) else {
                continue;
            };
            entry.matched = true;
            let candidate = Candidate::new(line, spans, index);
            let (hits, distance, anchored) = (entry.hits, entry.distance, entry.template.anchored);
            let Some(next) = self.entries.get(index + 1) else {
                return Some(candidate);
            };
            if anchored || candidate.start == 0 && hits > 0 && !next.matched {
                return Some(candidate);
            }
            if candidate.start > distance || candidate.start > known_start {
                // It may stand in the text of the message; another may be further left.
                if best.is_none_or(|b| candidate.start < b.start) {
                    best = Some(candidate);
                }
                continue;
            }
            return Some(candidate);
        }
        best
    }

    /// Learns from the winner; gives its index, which may have changed.
    fn record(&mut self, line: &str, found: &Candidate, now: Timestamp) -> usize {
        let mut index = found.index;
        let entry = &mut self.entries[index];
        entry.hits += 1;
        entry.last_used = now;
        entry.distance = found.start;
        if self.first_unused == index {
            self.first_unused += 1;
        }
        if index > 0 && self.last.is_none_or(|last| last.index != index) {
            self.reordered = true;
            index = self.bubble_up(index);
        }
        self.last = Some(DatePlace::new(line, found.spans.whole, index));
        index
    }

    fn bubble_up(&mut self, index: usize) -> usize {
        let defaults = self.shared.defaults_are_used();
        let mover = &self.entries[index];
        let (weight, unused_since) = (mover.merit(defaults), mover.last_used - UNUSED_AFTER);
        let may_pass = |other: &RankedTemplate| {
            weight > other.merit(defaults) || unused_since > other.last_used
        };
        let mut to = if self.first_unused < index {
            self.first_unused
        } else {
            index / 2
        };
        if !may_pass(&self.entries[to]) {
            if to == index - 1 {
                return index;
            }
            to = index - 1;
            if !may_pass(&self.entries[to]) {
                return index;
            }
        }
        self.entries[to..=index].rotate_right(1);
        while self
            .entries
            .get(self.first_unused)
            .is_some_and(|entry| entry.hits > 0)
        {
            self.first_unused += 1;
        }
        to
    }
}

/// Whether a line of a `datepattern` stands for many templates.
fn is_list(pattern: &str) -> bool {
    pattern.eq_ignore_ascii_case(LINE_BEGIN)
        || pattern.eq_ignore_ascii_case(DEFAULT)
        || has_markup(pattern, "DATE")
}

impl RankedTemplate {
    fn search(&mut self, line: &str, start: usize, end: usize) -> Option<Spans> {
        let found = self.template.search(line, start, end);
        self.matched |= found.is_some();
        found
    }

    /// Success over distance.
    fn merit(&self, defaults_are_used: bool) -> f64 {
        let weight = self.template.weight(defaults_are_used);
        self.hits as f64 * weight / self.distance.max(1) as f64
    }
}

impl Candidate {
    fn new(line: &str, spans: Spans, index: usize) -> Candidate {
        Candidate {
            start: chars_before(line, spans.whole.0),
            spans,
            index,
        }
    }
}

#[cfg(test)]
#[path = "detector_tests.rs"]
mod tests;
