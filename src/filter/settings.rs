//! The settings of a filter: setters and getters.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::buffer::Parts;
use super::findtime_window::Window;
use super::json::JsonTemplate;
use super::limits::StepLimits;
use super::name::Name;
use super::record::GroupNames;
use super::session::Sessions;
use super::signature::FilterSignature;
use crate::datetime::{
    DateDetector, DatePatternError, DateTime, FixedOffset, FoundDate, Templates, start_of_day,
};
use crate::log;
use crate::pattern::{FailRegex, PatternError, Prefilter, UseDns};
use crate::ticket::Timestamp;

/// Where dates come from.
#[derive(Clone, Debug)]
pub enum Dates {
    /// Templates.
    Detector(Box<DateDetector>),
    /// `{NONE}`: every line has an empty date (fact D20).
    Never {
        /// Lines seen.
        hits: u64,
    },
    /// Not looked for: the source knows the date (journal).
    Absent,
}

/// All that can be set of a filter, as one value.
#[derive(Clone, Debug)]
pub struct FilterRules {
    pub(super) usedns: UseDns,
    pub(super) maxlines: usize,
    pub(super) prefregex: Option<FailRegex>,
    pub(super) prefregex_names: GroupNames,
    /// Those that go into the fields of a failure: without the content.
    pub(super) prefregex_base: GroupNames,
    pub(super) failregexes: Vec<FailRegex>,
    pub(super) failregex_names: Vec<GroupNames>,
    pub(super) ignoreregexes: Vec<FailRegex>,
    pub(super) json: Option<JsonTemplate>,
    /// With what the templates have learned.
    pub(super) dates: Dates,
    templates: Templates,
    zone: Option<FixedOffset>,
}

impl Default for FilterRules {
    fn default() -> FilterRules {
        FilterRules::sharing(&Templates::default())
    }
}

impl FilterRules {
    fn sharing(templates: &Templates) -> FilterRules {
        FilterRules {
            usedns: UseDns::Warn,
            maxlines: 1,
            prefregex: None,
            prefregex_names: GroupNames::default(),
            prefregex_base: GroupNames::default(),
            failregexes: Vec::new(),
            failregex_names: Vec::new(),
            ignoreregexes: Vec::new(),
            json: None,
            dates: Dates::Detector(Box::new(DateDetector::defaults(templates))),
            templates: templates.clone(),
            zone: None,
        }
    }
}

/// The filter of a jail: its regexes, dates and session memory.
#[derive(Debug)]
pub struct Filter {
    /// The jail's name, for messages.
    pub name: String,
    pub(super) rules: FilterRules,
    /// Made anew at the next line whenever the regexes change.
    pub(super) prefilter: Option<Prefilter>,
    /// Likewise.
    pub(super) signature: Option<Arc<FilterSignature>>,
    pub(super) window: Window,
    pub(super) sessions: Sessions,
    pub(super) buffer: Vec<Parts>,
    /// What the regexes search, kept to save its memory from line to line.
    pub(super) text: String,
    /// The part of it that a prefregex lets them see; kept likewise.
    pub(super) content: String,
    pub(super) limits: StepLimits,
    pub(super) prefregex_matched: bool,
    /// How often each failregex has hit since the regexes were set.
    pub(super) regex_hits: Vec<u64>,
}

impl Filter {
    /// A filter without regexes; default date templates, usedns warn, one line.
    pub fn new(name: &str) -> Filter {
        Filter {
            name: name.to_owned(),
            rules: FilterRules::default(),
            prefilter: None,
            signature: None,
            window: Window::default(),
            sessions: Sessions::default(),
            buffer: Vec::new(),
            text: String::new(),
            content: String::new(),
            limits: StepLimits::default(),
            prefregex_matched: false,
            regex_hits: Vec::new(),
        }
    }

    /// Has date templates shared with other filters; before anything is set.
    pub fn share_templates(&mut self, templates: &Templates) {
        self.rules = FilterRules::sharing(templates);
    }

    /// The default date templates, of those that are shared, without having seen a line.
    pub fn default_dates(&self) -> DateDetector {
        DateDetector::defaults(&self.rules.templates)
    }

    /// All that was set so far.
    pub fn rules(&self) -> &FilterRules {
        &self.rules
    }

    /// Sets everything at once.
    pub fn set_rules(&mut self, rules: FilterRules) {
        self.rules = rules;
        self.regexes_changed();
    }

    /// Must be set before regexes are added, since `<HOST>` depends on it.
    pub fn set_usedns(&mut self, usedns: UseDns) {
        self.rules.usedns = usedns;
    }

    /// The current setting.
    pub fn usedns(&self) -> UseDns {
        self.rules.usedns
    }

    /// Sets or (empty text) removes the prefregex.
    ///
    /// # Errors
    /// A regex that does not compile; the former one stays.
    pub fn set_prefregex(&mut self, source: &str) -> Result<(), PatternError> {
        if source.is_empty() {
            self.rules.prefregex = None;
        } else {
            let regex = FailRegex::new(source, self.rules.usedns, false)?;
            self.rules.prefregex_names = GroupNames::of(&regex);
            self.rules.prefregex_base = self.rules.prefregex_names.without(&Name::Content);
            self.rules.prefregex = Some(regex);
        }
        self.regexes_changed();
        Ok(())
    }

    /// The prefregex.
    pub fn prefregex(&self) -> Option<&FailRegex> {
        self.rules.prefregex.as_ref()
    }

    /// Appends a failregex.
    ///
    /// # Errors
    /// Empty, not compilable, or no id group in it nor in the prefregex.
    pub fn add_failregex(&mut self, source: &str) -> Result<(), PatternError> {
        let regex = FailRegex::new(source, self.rules.usedns, self.rules.maxlines > 1)?;
        if !regex.has_id() && !self.rules.prefregex.as_ref().is_some_and(FailRegex::has_id) {
            return Err(PatternError::NoId(regex.expanded().to_owned()));
        }
        self.rules.failregex_names.push(GroupNames::of(&regex));
        self.rules.failregexes.push(regex);
        self.regexes_changed();
        Ok(())
    }

    /// Removes by position; a wrong position is ignored (fact P40).
    pub fn del_failregex(&mut self, index: usize) {
        if index < self.rules.failregexes.len() {
            self.rules.failregexes.remove(index);
            self.rules.failregex_names.remove(index);
            self.regexes_changed();
        }
    }

    /// Removes all failregexes.
    pub fn clear_failregexes(&mut self) {
        self.rules.failregexes.clear();
        self.rules.failregex_names.clear();
        self.regexes_changed();
    }

    /// All failregexes in order.
    pub fn failregexes(&self) -> &[FailRegex] {
        &self.rules.failregexes
    }

    /// Appends an ignoreregex.
    ///
    /// # Errors
    /// Empty or not compilable.
    pub fn add_ignoreregex(&mut self, source: &str) -> Result<(), PatternError> {
        self.rules
            .ignoreregexes
            .push(FailRegex::new(source, self.rules.usedns, false)?);
        self.regexes_changed();
        Ok(())
    }

    /// Removes by position; a wrong position is ignored.
    pub fn del_ignoreregex(&mut self, index: usize) {
        if index < self.rules.ignoreregexes.len() {
            self.rules.ignoreregexes.remove(index);
            self.regexes_changed();
        }
    }

    /// Removes all ignoreregexes.
    pub fn clear_ignoreregexes(&mut self) {
        self.rules.ignoreregexes.clear();
        self.regexes_changed();
    }

    fn regexes_changed(&mut self) {
        self.prefilter = None;
        self.signature = None;
        self.regex_hits.clear();
    }

    /// Whether the ignoreregexes see the line before the failregexes do: when there are far fewer
    /// of them (fact R29).
    pub(super) fn asks_ignoreregexes_first(&self) -> bool {
        let (ignore, fail) = (self.rules.ignoreregexes.len(), self.rules.failregexes.len());
        ignore > 0 && ignore + 2 < fail
    }

    /// All ignoreregexes in order.
    pub fn ignoreregexes(&self) -> &[FailRegex] {
        &self.rules.ignoreregexes
    }

    /// Lines in the buffer; more than one switches multi-line matching on (fact R39, J12), for
    /// failregexes added from now on.
    pub fn set_maxlines(&mut self, lines: usize) {
        self.rules.maxlines = lines.max(1);
    }

    /// Lines in the buffer.
    pub fn maxlines(&self) -> usize {
        self.rules.maxlines
    }

    /// The buffered lines, oldest first; empty unless [`Filter::maxlines`] is above one.
    pub fn buffered(&self) -> &[Parts] {
        &self.buffer
    }

    /// Sets the date pattern (fact J9).
    ///
    /// # Errors
    /// The original's text for an unusable pattern.
    pub fn set_datepattern(&mut self, pattern: &str) -> Result<(), DatePatternError> {
        self.rules.dates = match DateDetector::from_pattern(pattern, &self.rules.templates)? {
            Some(mut detector) => {
                detector.set_default_zone(self.rules.zone);
                Dates::Detector(Box::new(detector))
            }
            None => Dates::Never { hits: 0 },
        };
        Ok(())
    }

    /// Which fields form the line where a log holds JSON objects; none: lines are as they are.
    ///
    /// # Errors
    /// A template that is none, in words.
    pub fn set_jsonmatch(&mut self, template: &str) -> Result<(), String> {
        self.rules.json = match template.trim() {
            "" => None,
            template => Some(JsonTemplate::parse(template)?),
        };
        self.regexes_changed();
        Ok(())
    }

    /// The template of [`Filter::set_jsonmatch`], empty without one.
    pub fn jsonmatch(&self) -> &str {
        self.rules.json.as_ref().map_or("", JsonTemplate::source)
    }

    /// Stops looking for dates in lines: the source tells them.
    pub fn disable_dates(&mut self) {
        self.rules.dates = Dates::Absent;
    }

    /// Where dates come from.
    pub fn dates(&self) -> &Dates {
        &self.rules.dates
    }

    /// (pattern, name) as `get JAIL datepattern` answers; `(None, name)` for the defaults and for
    /// built-in forms.
    pub fn datepattern(&self) -> Option<(Option<String>, String)> {
        match &self.rules.dates {
            Dates::Detector(detector) => Some(detector.description()),
            Dates::Never { .. } => Some((Some("{UNB}^".to_owned()), "^".to_owned())),
            Dates::Absent => None,
        }
    }

    /// The zone of dates that name none.
    pub fn set_timezone(&mut self, zone: Option<FixedOffset>) {
        self.rules.zone = zone;
        if let Dates::Detector(detector) = &mut self.rules.dates {
            detector.set_default_zone(zone);
        }
    }

    /// The date of a line, where lines have one; the templates learn from it as from any line. A
    /// pattern that matches no text, as `{NONE}` does, gives the begin of the day, as in the original.
    pub fn date_of(&mut self, line: &str, now: Timestamp) -> Option<Timestamp> {
        let found = match &self.rules.dates {
            Dates::Detector(_) => self.find_date(line, now)?.time,
            Dates::Never { .. } => DateTime::Empty,
            Dates::Absent => return None,
        };
        match found {
            DateTime::At(time) => Some(time),
            DateTime::Empty => Some(start_of_day(now, self.rules.zone)),
            DateTime::Invalid => None,
        }
    }

    /// Whether the date pattern matches lines that have no date.
    pub fn accepts_undated(&self, now: Timestamp) -> bool {
        match &self.rules.dates {
            Dates::Detector(detector) if detector.is_default() => false,
            Dates::Detector(detector) => {
                // whatever it says and learns the real one does at its first line
                let found = log::quietly(|| (**detector).clone().find("", now));
                found.is_some_and(|found| found.time == DateTime::Empty)
            }
            Dates::Never { .. } => true,
            Dates::Absent => false,
        }
    }

    /// Finds the date of a line as [`Filter::examine`] would, for whoever knows the time `now`
    /// that completes it better than the time the line is judged at: see
    /// [`Known::Found`](super::Known::Found).
    pub fn find_date(&mut self, line: &str, now: Timestamp) -> Option<FoundDate> {
        let line = self.formed(line);
        match &mut self.rules.dates {
            Dates::Detector(detector) => detector.find(&line, now),
            Dates::Never { .. } | Dates::Absent => None,
        }
    }

    /// A detector with the same templates that has seen no line; `None` where dates are not looked
    /// for.
    pub fn new_detector(&self) -> Option<DateDetector> {
        match &self.rules.dates {
            Dates::Detector(detector) => Some(detector.anew()),
            Dates::Never { .. } | Dates::Absent => None,
        }
    }

    /// How often a search gave up at its step limit since the filter was made.
    pub fn limit_hits(&self) -> u64 {
        self.limits.hits
    }

    /// How often each failregex has hit since the regexes were set; what ends a session counts, too.
    pub fn regex_hits(&self) -> impl Iterator<Item = u64> {
        let hits = self.regex_hits.iter().copied();
        let none = std::iter::repeat(0);
        hits.chain(none).take(self.rules.failregexes.len())
    }

    /// Whether the prefregex matched when it was last tried.
    pub fn prefregex_matched(&self) -> bool {
        self.prefregex_matched
    }

    /// The line last examined, without its date.
    pub fn dateless_line(&self) -> &str {
        let text = self.text.strip_suffix('\n').unwrap_or(&self.text);
        text.rsplit('\n').next().unwrap_or_default()
    }

    /// The date last seen.
    pub fn last_date(&self) -> Option<Timestamp> {
        self.window.last
    }
}
