//! Takes one line through a filter, in the order of fact R29.
//!
//! In: a line, a [`Clock`] and an [`ExamineMode`]. Out: a [`LineOutcome`]. A line that cannot match costs
//! its date and one pass of the prefilter, and allocates nothing.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::Arc;

use super::buffer::{self, Division, Parts, text_of};
use super::failure::{IdVerdict, Reading, identify};
use super::line_time::{CutLine, LineTime};
use super::name::Name;
use super::outcome::{ExamineMode, LineHint, LineOutcome, RegexMatch};
use super::record::{GroupRecord, Matched};
use super::session::SessionData;
use super::settings::Filter;
use super::told::is_told;
use super::{Clock, Failure};
use crate::error;
use crate::fields::MatchLine;
use crate::log::Level;
use crate::pattern::{BlockScan, Match, Prefilter, PrefilterResult, is_ascii};
use crate::record;
use crate::ticket::Timestamp;

const TARGET: &str = "fail2ban.filter";

/// A text on its way through the regexes.
pub(super) struct Stage<'t> {
    text: &'t str,
    /// What failregexes see of it.
    searched: Cow<'t, str>,
    /// Where the prefregex matched.
    prefix: Option<Match>,
    /// With `maxlines`: the lines it consists of.
    lines: Option<Vec<Parts>>,
    ascii: bool,
    /// The failregex to ask next.
    next: usize,
}

/// A failregex that matched.
pub(super) struct FailregexHit {
    pub(super) regex: usize,
    found: Match,
    /// With `maxlines`: which lines it covers.
    division: Option<Division>,
}

impl Filter {
    /// Every failure of one line (without its line end). `date`: the text of the date when the source already
    /// knows it (journal), with its time.
    pub fn process_line(
        &mut self,
        line: &str,
        date: Option<(&str, Timestamp)>,
        clock: &Clock,
    ) -> Vec<Failure> {
        let mut outcome = LineOutcome::default();
        self.examine(line, date, clock, ExamineMode::DAEMON, &mut outcome);
        outcome.take_failures(clock).collect()
    }

    /// Examines one line (without its line end) and writes what became of it to `outcome`, which
    /// is cleared first. `date` as in [`Filter::process_line`].
    pub fn examine(
        &mut self,
        line: &str,
        date: Option<(&str, Timestamp)>,
        clock: &Clock,
        mode: ExamineMode,
        outcome: &mut LineOutcome,
    ) {
        self.examine_known(line, date.into(), clock, mode, outcome);
    }

    /// As [`Filter::examine`], of a line about which something is known.
    pub fn examine_known(
        &mut self,
        line: &str,
        known: LineHint<'_>,
        clock: &Clock,
        mode: ExamineMode,
        outcome: &mut LineOutcome,
    ) {
        outcome.clear();
        let line = &*self.formed(line);
        let line_time = match known {
            LineHint::Found(found) => self.place_dated(line, found, clock, mode),
            LineHint::Date(text, time) => self.place(line, Some((text, time)), clock, mode),
            LineHint::Nothing | LineHint::Prefiltered(_) => self.place(line, None, clock, mode),
        };
        let Some(line_time) = line_time else {
            return;
        };
        let cut = line_time.cut;
        let screened = match known {
            LineHint::Prefiltered(screened) => Some(screened),
            _ => None,
        };
        let screened = screened.filter(|_| !self.joins(cut.before, cut.after));
        if screened.is_some_and(|screened| self.is_settled(screened, cut, mode)) {
            return;
        }
        self.search(&line_time, 0, screened, clock, mode, outcome);
    }

    /// Looks a block of lines over at once, if that is of use for this filter just now.
    pub fn scan<'t>(&self, block: &'t str) -> Option<BlockScan<'t>> {
        let prefilter = self.prefilter.as_ref()?;
        let simple = self.rules.maxlines == 1 && self.rules.json.is_none();
        simple.then(|| prefilter.scan(block)).flatten()
    }

    fn joins(&self, before: &str, after: &str) -> bool {
        let prefilter = self.prefilter.as_ref();
        prefilter.is_none_or(|prefilter| prefilter.may_join(before, after))
    }

    /// Whether all that is to be told of a line with this screened can be told without looking at it.
    fn is_settled(
        &mut self,
        screened: PrefilterResult,
        cut: CutLine<'_>,
        mode: ExamineMode,
    ) -> bool {
        let ignores_first = self.asks_ignoreregexes_first();
        let Some(prefilter) = &mut self.prefilter else {
            return false;
        };
        if screened == PrefilterResult::MayMatch {
            return false;
        }
        if mode.report_all {
            let asked = mode.prefix_fields || ignores_first;
            let empty = cut.before.is_empty() && cut.after.is_empty();
            match screened {
                _ if asked => return false,
                _ if self.rules.prefregex.is_none() => {}
                PrefilterResult::CannotMatch => self.prefregex_matched = false,
                _ if empty || !prefilter.prefix_always() => return false,
                _ => self.prefregex_matched = true,
            }
        }
        prefilter.count(screened);
        true
    }

    /// Whether a failregex may match `text`, one line; `None`: none does, but there is more to be
    /// told of the line than that. `known`: what is known of it beforehand.
    fn is_hopeful(
        &mut self,
        text: &str,
        known: Option<PrefilterResult>,
        clock: &Clock,
        mode: ExamineMode,
    ) -> Option<bool> {
        let ignores_first = self.asks_ignoreregexes_first();
        let (prefregex, failregexes) = (self.rules.prefregex.as_ref(), &self.rules.failregexes);
        let prefilter = self
            .prefilter
            .get_or_insert_with(|| Prefilter::with_prefregex(prefregex, failregexes));
        let screened = match known {
            Some(screened) => {
                prefilter.count(screened);
                screened
            }
            None => prefilter.check(text),
        };
        if screened == PrefilterResult::MayMatch {
            return Some(true);
        }
        if !mode.report_all {
            return Some(false);
        }
        if mode.prefix_fields || ignores_first {
            return None;
        }
        if let Some(prefregex) = prefregex {
            self.prefregex_matched = screened == PrefilterResult::PrefixOnly
                && (prefilter.prefix_matches(text)
                    || self.limits.is_match(prefregex, text, &self.name, clock.now));
        }
        Some(false)
    }

    /// Steps 3 to 7 of fact R29, failregexes from `first` on; `known`: what is known of the line.
    pub(super) fn search(
        &mut self,
        line_time: &LineTime<'_>,
        first: usize,
        known: Option<PrefilterResult>,
        clock: &Clock,
        mode: ExamineMode,
        outcome: &mut LineOutcome,
    ) {
        let mut text = std::mem::take(&mut self.text);
        let mut content = std::mem::take(&mut self.content);
        content.clear();
        if self.rules.maxlines > 1 {
            self.buffer.push(line_time.cut.parts(&self.window.text));
            let surplus = buffer::surplus(&self.buffer, self.rules.maxlines);
            self.buffer.drain(..surplus);
            text = text_of(&self.buffer);
        } else {
            line_time.cut.write_to(&mut text);
        }
        let stage = self.open(&text, &mut content, known, clock, mode, outcome);
        if let Some(stage) = stage {
            self.match_text(stage, first, line_time, clock, mode, outcome);
        }
        self.text = text;
        self.content = content;
    }

    /// Steps 5 to 7 of fact R29, failregexes from `first` on.
    fn match_text(
        &mut self,
        mut stage: Stage<'_>,
        first: usize,
        line_time: &LineTime<'_>,
        clock: &Clock,
        mode: ExamineMode,
        outcome: &mut LineOutcome,
    ) {
        stage.next = first;
        while let Some(hit) = self.next_hit(&mut stage, clock, mode, outcome) {
            if line_time.undated
                && !self.may_be_undated(line_time, hit.division.as_ref(), clock, mode)
            {
                continue;
            }
            let single = hit.division.is_none() && !mode.every_regex && !is_told();
            if single && self.is_untouched_by(&stage, &hit) {
                return;
            }
            let record = self.record(&stage, &hit, mode);
            let evidence = match hit.division {
                Some(division) => {
                    let matched = division.matched.into_iter().map(MatchLine::Parts);
                    let evidence = matched.collect();
                    self.buffer = division.others;
                    stage.searched = text_of(&self.buffer).into();
                    evidence
                }
                None if mode.evidence => {
                    vec![MatchLine::Parts(line_time.cut.parts(&self.window.text))]
                }
                None => Vec::new(),
            };
            if self.finish(hit.regex, record, evidence, line_time, clock, mode, outcome) {
                return;
            }
        }
    }

    /// Steps 3 and 4 of fact R29; `None`: no failregex needs to be asked. `content` is empty and
    /// lends its memory.
    pub(super) fn open<'t>(
        &mut self,
        text: &'t str,
        content: &'t mut String,
        known: Option<PrefilterResult>,
        clock: &Clock,
        mode: ExamineMode,
        outcome: &mut LineOutcome,
    ) -> Option<Stage<'t>> {
        let multi = self.rules.maxlines > 1;
        let lines = multi.then(|| self.buffer.clone());
        let hopeful = multi
            || match self.is_hopeful(text, known, clock, mode) {
                Some(false) => return None,
                hopeful => hopeful.is_some(),
            };
        if self.asks_ignoreregexes_first() && self.ignored(text, clock, mode, outcome) {
            return None;
        }

        let mut prefix = None;
        if let Some(prefregex) = &self.rules.prefregex {
            let found = self.limits.search(prefregex, text, &self.name, clock.now);
            self.prefregex_matched = found.is_some();
            let found = found?;
            if mode.prefix_fields {
                let all = self.rules.prefregex_names.record(text, &found, true);
                outcome.prefix = Some(all);
            }
            let content_group = prefregex.groups().content;
            let span = content_group.and_then(|g| found.group(g));
            if let Some((start, end)) = span
                && start < end
                && let Some(part) = text.get(start..end)
            {
                content.push_str(part);
                content.push('\n');
                if multi {
                    let line = [String::new(), String::new(), part.to_owned()];
                    self.buffer = vec![Arc::new(line)];
                }
            }
            prefix = Some(found);
        }
        if !hopeful {
            return None;
        }
        let content: &str = content;
        Some(Stage {
            text,
            searched: Cow::Borrowed(if content.is_empty() { text } else { content }),
            prefix,
            lines,
            ascii: is_ascii(text),
            next: 0,
        })
    }

    /// Steps 5 and 6 of fact R29: the next failregex that matches and is not ignored.
    pub(super) fn next_hit(
        &mut self,
        stage: &mut Stage<'_>,
        clock: &Clock,
        mode: ExamineMode,
        outcome: &mut LineOutcome,
    ) -> Option<FailregexHit> {
        let multi = self.rules.maxlines > 1;
        loop {
            let index = match &self.prefilter {
                Some(prefilter) if !multi => {
                    prefilter.next(stage.next, &stage.searched, stage.ascii)
                }
                _ => (stage.next < self.rules.failregexes.len()).then_some(stage.next),
            }?;
            stage.next = index + 1;
            let failregex = &self.rules.failregexes[index];
            let found = self
                .limits
                .search(failregex, &stage.searched, &self.name, clock.now);
            let Some(found) = found else { continue };
            let division = stage
                .lines
                .as_ref()
                .map(|lines| Division::of(&stage.searched, failregex.regex(), &found, lines));

            if !self.rules.ignoreregexes.is_empty() {
                let ignored = match &division {
                    Some(d) => self.ignored(&text_of(&d.matched), clock, mode, outcome),
                    None => self.ignored(&stage.searched, clock, mode, outcome),
                };
                if ignored {
                    if let Some(division) = division {
                        self.buffer = division.others;
                        stage.searched = text_of(&self.buffer).into();
                    }
                    if !mode.every_regex {
                        return None;
                    }
                    continue;
                }
            }
            return Some(FailregexHit {
                regex: index,
                found,
                division,
            });
        }
    }

    /// Whether a match counts though its line has no date of its own; says so once a day.
    pub(super) fn may_be_undated(
        &mut self,
        line_time: &LineTime<'_>,
        division: Option<&Division>,
        clock: &Clock,
        mode: ExamineMode,
    ) -> bool {
        let date = line_time.cut.date.unwrap_or(&self.window.text).to_owned();
        // the lines with the date that stands in for theirs
        let line = match division {
            Some(d) => {
                let lines: Vec<_> = d.matched.iter().map(|parts| parts.concat()).collect();
                lines.join("\n")
            }
            None => line_time.cut.parts(&self.window.text).concat(),
        };
        self.window.undated(&self.name, &date, &line, clock.now);
        !mode.window || line_time.time.is_some()
    }

    /// Whether a hit would change nothing and accuse nobody: a line that is no failure ends a
    /// session of which nothing is known. Most lines of an honest login are such.
    fn is_untouched_by(&self, stage: &Stage<'_>, hit: &FailregexHit) -> bool {
        let matched = Matched {
            names: &self.rules.failregex_names[hit.regex],
            text: &stage.searched,
            found: &hit.found,
        };
        let base = stage.prefix.as_ref().map(|found| Matched {
            names: &self.rules.prefregex_base,
            text: stage.text,
            found,
        });
        let key = matched.ends_in_peace(base);
        key.is_some_and(|key| !self.sessions.knows(key))
    }

    /// The fields of a hit, those of the prefregex included.
    pub(super) fn record(
        &self,
        stage: &Stage<'_>,
        hit: &FailregexHit,
        mode: ExamineMode,
    ) -> GroupRecord {
        let names = &self.rules.failregex_names[hit.regex];
        let record = names.record(&stage.searched, &hit.found, mode.fields);
        match (&self.rules.prefregex, &stage.prefix) {
            (Some(_), Some(found)) => {
                let mut base = self
                    .rules
                    .prefregex_base
                    .record(stage.text, found, mode.fields);
                base.remove(&Name::Content);
                // merged, it loses the groups that took no part; with nothing to merge it keeps them
                if base.is_empty() {
                    return record;
                }
                base.update(record);
                base
            }
            _ => record,
        }
    }

    /// Session, id and result of one hit; true when the line is done with.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn finish(
        &mut self,
        index: usize,
        record: GroupRecord,
        evidence: Vec<MatchLine>,
        line_time: &LineTime<'_>,
        clock: &Clock,
        mode: ExamineMode,
        outcome: &mut LineOutcome,
    ) -> bool {
        if self.regex_hits.len() <= index {
            self.regex_hits.resize(index + 1, 0);
        }
        self.regex_hits[index] += 1;
        let mut single;
        let key: Option<Arc<str>> = record.text(&Name::Mlfid).map(Arc::from);
        let gathered: &mut SessionData = match &key {
            Some(key) => self.sessions.merge(key, record, &evidence, clock.now),
            None => {
                single = SessionData::single(record, evidence);
                &mut single
            }
        };
        let nofail = gathered.record.truthy(&Name::Nofail);
        if key.is_some() && nofail && !mode.every_regex {
            tell_session("Nofail", key.as_deref(), index, "waiting for failure");
            return true;
        }
        let reading = Reading {
            usedns: self.rules.usedns,
            raw_hosts: mode.raw_hosts,
        };
        let id = match identify(&mut gathered.record, reading) {
            IdVerdict::Id(id) => Some(id),
            IdVerdict::Dismissed => return !mode.every_regex,
            IdVerdict::Pending if key.is_none() => {
                let source = self.rules.failregexes[index].expanded();
                error!(TARGET, "No group found using {}", super::quote(source));
                return false;
            }
            IdVerdict::Pending => {
                tell_session(
                    "No failure-id",
                    key.as_deref(),
                    index,
                    "waiting for identifier",
                );
                gathered.pending = true;
                if !mode.every_regex && mode.skip_pending {
                    return true;
                }
                None
            }
        };
        let mut found = RegexMatch {
            regex: index,
            id,
            time: line_time.time,
            nofail,
            record: GroupRecord::default(),
            matches: Vec::new(),
        };
        // a session needs them again
        if key.is_some() {
            found.matches.clone_from(&gathered.matches);
            if mode.fields {
                found.record.clone_from(&gathered.record);
            }
        } else {
            found.matches = std::mem::take(&mut gathered.matches);
            if mode.fields {
                found.record = std::mem::take(&mut gathered.record);
            }
        }
        outcome.found.push(found);
        !mode.every_regex
    }

    /// Whether an ignoreregex matches.
    fn ignored(
        &mut self,
        text: &str,
        clock: &Clock,
        mode: ExamineMode,
        outcome: &mut LineOutcome,
    ) -> bool {
        let mut any = false;
        for (index, regex) in self.rules.ignoreregexes.iter().enumerate() {
            if self.limits.is_match(regex, text, &self.name, clock.now) {
                outcome.ignored_by.push(index);
                any = true;
                if !mode.every_regex {
                    break;
                }
            }
        }
        any
    }
}

/// Tells the log what a session still lacks.
fn tell_session(what: &str, key: Option<&str>, index: usize, lacks: &str) {
    let key = super::quote(key.unwrap_or_default());
    record!(
        Level::TraceDebug,
        TARGET,
        "{what} by mlfid {key} in regex {index}: {lacks}"
    );
}
