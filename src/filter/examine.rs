//! The way of one line through a filter, in the order of fact R29.
//!
//! In: a line, a [`Clock`] and the [`Manner`] of examining. Out: a [`LineOutcome`]. A line that
//! cannot match costs its date and one pass of the prefilter, and allocates nothing.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::Arc;

use super::buffer::{Division, Parts, text_of};
use super::failure::{Reading, Verdict, identify};
use super::name::Name;
use super::record::Record;
use super::session::Gathered;
use super::settings::{Dates, Filter};
use super::window::Once;
use super::{Clock, Failure, FailureId};
use crate::datetime::DateTime;
use crate::pattern::{FailRegex, Match, Outlook, Prefilter, is_ascii};
use crate::ticket::{MatchLine, Timestamp};
use crate::{error, warning};

const TARGET: &str = "fail2ban.filter";

/// How thoroughly lines are examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Try every failregex and ignoreregex, not only up to the first hit (fact X7).
    pub every_regex: bool,
    /// Report what hit even where it cannot lead to a failure: ignored lines, matches of the prefregex.
    pub census: bool,
    /// Leave out session lines that still wait for an id.
    pub skip_pending: bool,
    /// Names are ids (`--raw`).
    pub raw_hosts: bool,
    /// Apply the time window (facts D21–D24).
    pub window: bool,
    /// Collect the matched lines.
    pub evidence: bool,
    /// Collect all fields; else [`Found::record`] stays empty.
    pub fields: bool,
    /// Collect the fields of the prefregex in [`LineOutcome::prefix`].
    pub prefix_fields: bool,
}

impl Manner {
    /// As a jail watches its logs.
    pub const WATCH: Manner = Manner {
        every_regex: false,
        census: false,
        skip_pending: true,
        raw_hosts: false,
        window: true,
        evidence: true,
        fields: true,
        prefix_fields: false,
    };
}

/// What one failregex found in a line.
#[derive(Clone, Debug)]
pub struct Found {
    /// Index of the failregex.
    pub regex: usize,
    /// Whom it accuses; `None` while the session has named nobody.
    pub id: Option<FailureId>,
    /// The time it counts for; `None` for a line without a date when no window applies.
    pub time: Option<Timestamp>,
    /// Marked by `F-NOFAIL` as no failure in itself.
    pub nofail: bool,
    /// Captured fields, unset ones included.
    pub record: Record,
    /// The evidence.
    pub matches: Vec<MatchLine>,
}

/// What became of one line.
#[derive(Clone, Debug, Default)]
pub struct LineOutcome {
    /// What failregexes found, in their order.
    pub found: Vec<Found>,
    /// The ignoreregexes that hit, by index; one entry per hit.
    pub ignored_by: Vec<usize>,
    /// Fields of the prefregex when it matched and [`Manner::prefix_fields`] is set.
    pub prefix: Option<Record>,
}

impl LineOutcome {
    fn clear(&mut self) {
        self.found.clear();
        self.ignored_by.clear();
        self.prefix = None;
    }

    /// What a jail makes of it.
    pub(super) fn into_failures(self, clock: &Clock) -> Vec<Failure> {
        let found = self.found.into_iter();
        found
            .filter_map(|found| {
                Some(Failure {
                    id: found.id?,
                    time: found.time?.min(clock.now),
                    matches: found.matches,
                    fields: found.record.into_fields(),
                })
            })
            .collect()
    }
}

/// Searches that gave up.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) hits: u64,
    notice: Once,
}

impl Limits {
    /// Searches; a search that exceeds its step limit counts as no match and is reported once a minute.
    fn search(&mut self, regex: &FailRegex, text: &str, jail: &str, now: f64) -> Option<Match> {
        match regex.regex().search(text) {
            Ok(found) => found,
            Err(_) => {
                self.exceeded(regex, text, jail, now);
                None
            }
        }
    }

    fn is_match(&mut self, regex: &FailRegex, text: &str, jail: &str, now: f64) -> bool {
        regex.regex().is_match(text).unwrap_or_else(|_| {
            self.exceeded(regex, text, jail, now);
            false
        })
    }

    fn exceeded(&mut self, regex: &FailRegex, text: &str, jail: &str, now: f64) {
        self.hits += 1;
        if self.notice.due(now, 60.0) {
            let start: String = text.trim_end().chars().take(120).collect();
            warning!(
                TARGET,
                "[{jail}] Search took too many steps and was given up, regex: {}, line: {start}",
                regex.source()
            );
        }
    }
}

/// A line with its date cut out.
#[derive(Clone, Copy)]
pub(super) struct Cut<'a> {
    pub(super) before: &'a str,
    /// `None`: the date last seen stands in.
    pub(super) date: Option<&'a str>,
    pub(super) after: &'a str,
}

impl<'a> Cut<'a> {
    fn undated(line: &'a str) -> Cut<'a> {
        Cut {
            before: "",
            date: Some(""),
            after: line,
        }
    }

    fn borrowed(line: &'a str) -> Cut<'a> {
        Cut {
            before: "",
            date: None,
            after: line,
        }
    }

    /// What regexes see of a single line.
    pub(super) fn write_to(self, text: &mut String) {
        text.clear();
        text.push_str(self.before);
        text.push_str(self.after);
        text.push('\n');
    }

    pub(super) fn parts(self, last: &str) -> Parts {
        Box::new([
            self.before.to_owned(),
            self.date.unwrap_or(last).to_owned(),
            self.after.to_owned(),
        ])
    }
}

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
pub(super) struct Hit {
    pub(super) regex: usize,
    found: Match,
    /// With `maxlines`: which lines it covers.
    division: Option<Division>,
}

/// Where a line stands in time.
pub(super) struct When<'a> {
    pub(super) cut: Cut<'a>,
    time: Option<Timestamp>,
    /// The line has no valid date of its own (fact D21).
    pub(super) undated: bool,
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
        self.examine(line, date, clock, Manner::WATCH, &mut outcome);
        outcome.into_failures(clock)
    }

    /// Examines one line (without its line end) and writes what became of it to `outcome`, which
    /// is cleared first. `date` as in [`Filter::process_line`].
    pub fn examine(
        &mut self,
        line: &str,
        date: Option<(&str, Timestamp)>,
        clock: &Clock,
        manner: Manner,
        outcome: &mut LineOutcome,
    ) {
        outcome.clear();
        let made = self.json.as_ref().and_then(|template| template.line(line));
        let line = made.as_deref().unwrap_or(line);
        let Some(when) = self.place(line, date, clock, manner) else {
            return;
        };
        self.search(&when, 0, clock, manner, outcome);
    }

    /// Steps 3 to 7 of fact R29, failregexes from `first` on.
    pub(super) fn search(
        &mut self,
        when: &When<'_>,
        first: usize,
        clock: &Clock,
        manner: Manner,
        outcome: &mut LineOutcome,
    ) {
        let mut text = std::mem::take(&mut self.text);
        let mut content = std::mem::take(&mut self.content);
        content.clear();
        if self.maxlines > 1 {
            self.buffer.push(when.cut.parts(&self.window.text));
            let surplus = self.buffer.len().saturating_sub(self.maxlines);
            self.buffer.drain(..surplus);
            text = text_of(&self.buffer);
        } else {
            when.cut.write_to(&mut text);
        }
        self.match_text(&text, &mut content, first, when, clock, manner, outcome);
        self.text = text;
        self.content = content;
    }

    /// Finds the date and applies the time window; `None`: the line is too old.
    pub(super) fn place<'a>(
        &mut self,
        line: &'a str,
        date: Option<(&'a str, Timestamp)>,
        clock: &Clock,
        manner: Manner,
    ) -> Option<When<'a>> {
        let mut when = match date {
            Some((text, time)) => {
                self.window.saw(text, time);
                When {
                    cut: Cut {
                        date: Some(text),
                        ..Cut::undated(line)
                    },
                    time: Some(time),
                    undated: false,
                }
            }
            None => self.find_date(line, clock, manner),
        };
        if manner.window
            && let Some(time) = when.time
        {
            when.time = Some(self.window.judge(&self.name, line, time, clock)?);
        }
        Some(when)
    }

    fn find_date<'a>(&mut self, line: &'a str, clock: &Clock, manner: Manner) -> When<'a> {
        let fresh = self.window.fresh(clock.now);
        let found = match &mut self.dates {
            Dates::Detector(detector) => detector.find(line, clock.now),
            Dates::Never { hits } => {
                *hits += 1;
                return When {
                    cut: fresh.map_or(Cut::undated(line), |_| Cut::borrowed(line)),
                    time: fresh.or(Some(clock.now)),
                    undated: false,
                };
            }
            Dates::Absent => None,
        };
        let mut cut = Cut::undated(line);
        if let Some(found) = found {
            let text = &line[found.start..found.end];
            cut = Cut {
                before: &line[..found.start],
                date: Some(text),
                after: &line[found.end..],
            };
            match found.time {
                DateTime::At(time) if !text.is_empty() => {
                    self.window.saw(text, time);
                    return When {
                        cut,
                        time: Some(time),
                        undated: false,
                    };
                }
                DateTime::Invalid if !text.is_empty() => {
                    error!(TARGET, "findFailure failed to parse timeText: {text}");
                }
                _ => {
                    return When {
                        cut: fresh.map_or(cut, |_| Cut::borrowed(line)),
                        time: fresh.or(Some(clock.now)),
                        undated: false,
                    };
                }
            }
        }
        match fresh {
            Some(last) => When {
                cut: Cut::borrowed(line),
                time: Some(last),
                undated: true,
            },
            None => When {
                cut,
                time: (manner.window && clock.in_operation).then_some(clock.now),
                undated: true,
            },
        }
    }

    /// Steps 3 to 7 of fact R29, failregexes from `first` on. `content` is empty and lends its memory.
    #[allow(clippy::too_many_arguments)]
    fn match_text(
        &mut self,
        text: &str,
        content: &mut String,
        first: usize,
        when: &When<'_>,
        clock: &Clock,
        manner: Manner,
        outcome: &mut LineOutcome,
    ) {
        let Some(mut stage) = self.open(text, content, clock, manner, outcome) else {
            return;
        };
        stage.next = first;
        while let Some(hit) = self.next_hit(&mut stage, clock, manner, outcome) {
            if when.undated && !self.may_be_undated(when, hit.division.as_ref(), clock, manner) {
                continue;
            }
            let record = self.record(&stage, &hit, manner);
            let single = hit.division.is_none() && !manner.every_regex;
            if single && self.sessions.is_untouched_by(&record) {
                return;
            }
            let evidence = match hit.division {
                Some(division) => {
                    let matched = division.matched.into_iter().map(MatchLine::Parts);
                    let evidence = matched.collect();
                    self.buffer = division.others;
                    stage.searched = text_of(&self.buffer).into();
                    evidence
                }
                None if manner.evidence => {
                    vec![MatchLine::Parts(when.cut.parts(&self.window.text))]
                }
                None => Vec::new(),
            };
            if self.conclude(hit.regex, record, evidence, when, clock, manner, outcome) {
                return;
            }
        }
    }

    /// Steps 3 and 4 of fact R29; `None`: no failregex needs to be asked.
    pub(super) fn open<'t>(
        &mut self,
        text: &'t str,
        content: &'t mut String,
        clock: &Clock,
        manner: Manner,
        outcome: &mut LineOutcome,
    ) -> Option<Stage<'t>> {
        let multi = self.maxlines > 1;
        let mut prefix_known = None;
        let lines = multi.then(|| self.buffer.clone());
        let mut hopeless = false;
        if !multi {
            let (prefregex, failregexes) = (self.prefregex.as_ref(), &self.failregexes);
            let prefilter = self
                .prefilter
                .get_or_insert_with(|| Prefilter::with_prefregex(prefregex, failregexes));
            let outlook = prefilter.outlook(text);
            hopeless = outlook != Outlook::Hopeful;
            if hopeless && !manner.census {
                return None;
            }
            if hopeless && !manner.prefix_fields {
                prefix_known = match outlook {
                    Outlook::PrefixOnly => prefilter.prefix_matches(text).then_some(true),
                    _ => Some(false),
                };
            }
        }
        if self.asks_ignoreregexes_first() && self.ignored(text, clock, manner, outcome) {
            return None;
        }

        let mut prefix = None;
        if let Some(prefregex) = &self.prefregex {
            if hopeless && !manner.prefix_fields {
                self.prefregex_matched = prefix_known.unwrap_or_else(|| {
                    self.limits.is_match(prefregex, text, &self.name, clock.now)
                });
                return None;
            }
            let found = self.limits.search(prefregex, text, &self.name, clock.now);
            self.prefregex_matched = found.is_some();
            let found = found?;
            if manner.prefix_fields {
                let all = self.prefregex_names.record(text, &found, true);
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
                    self.buffer = vec![Box::new(line)];
                }
            }
            prefix = Some(found);
        }
        if hopeless {
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
        manner: Manner,
        outcome: &mut LineOutcome,
    ) -> Option<Hit> {
        let multi = self.maxlines > 1;
        loop {
            let index = match &self.prefilter {
                Some(prefilter) if !multi => {
                    prefilter.next(stage.next, &stage.searched, stage.ascii)
                }
                _ => (stage.next < self.failregexes.len()).then_some(stage.next),
            }?;
            stage.next = index + 1;
            let failregex = &self.failregexes[index];
            let found = self
                .limits
                .search(failregex, &stage.searched, &self.name, clock.now);
            let Some(found) = found else { continue };
            let division = stage
                .lines
                .as_ref()
                .map(|lines| Division::of(&stage.searched, failregex.regex(), &found, lines));

            if !self.ignoreregexes.is_empty() {
                let ignored = match &division {
                    Some(d) => self.ignored(&text_of(&d.matched), clock, manner, outcome),
                    None => self.ignored(&stage.searched, clock, manner, outcome),
                };
                if ignored {
                    if let Some(division) = division {
                        self.buffer = division.others;
                        stage.searched = text_of(&self.buffer).into();
                    }
                    if !manner.every_regex {
                        return None;
                    }
                    continue;
                }
            }
            return Some(Hit {
                regex: index,
                found,
                division,
            });
        }
    }

    /// Whether a match counts though its line has no date of its own; says so once a day.
    pub(super) fn may_be_undated(
        &mut self,
        when: &When<'_>,
        division: Option<&Division>,
        clock: &Clock,
        manner: Manner,
    ) -> bool {
        let date = when.cut.date.unwrap_or(&self.window.text).to_owned();
        // the lines with the date that stands in for theirs
        let line = match division {
            Some(d) => {
                let lines: Vec<_> = d.matched.iter().map(|parts| parts.concat()).collect();
                lines.join("\n")
            }
            None => when.cut.parts(&self.window.text).concat(),
        };
        self.window.undated(&self.name, &date, &line, clock.now);
        !manner.window || when.time.is_some()
    }

    /// The fields of a hit, those of the prefregex included.
    pub(super) fn record(&self, stage: &Stage<'_>, hit: &Hit, manner: Manner) -> Record {
        let names = &self.failregex_names[hit.regex];
        let record = names.record(&stage.searched, &hit.found, manner.fields);
        match (&self.prefregex, &stage.prefix) {
            (Some(_), Some(found)) => {
                let mut base = self.prefregex_base.record(stage.text, found, manner.fields);
                base.remove(&Name::Content);
                base.update(record);
                base
            }
            _ => record,
        }
    }

    /// Session, id and result of one hit; true when the line is done with.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn conclude(
        &mut self,
        index: usize,
        record: Record,
        evidence: Vec<MatchLine>,
        when: &When<'_>,
        clock: &Clock,
        manner: Manner,
        outcome: &mut LineOutcome,
    ) -> bool {
        let mut single;
        let key: Option<Arc<str>> = record.text(&Name::Mlfid).map(Arc::from);
        let gathered: &mut Gathered = match &key {
            Some(key) => self.sessions.merge(key, record, &evidence, clock.now),
            None => {
                single = Gathered::single(record, evidence);
                &mut single
            }
        };
        let nofail = gathered.record.truthy(&Name::Nofail);
        if key.is_some() && nofail && !manner.every_regex {
            return true;
        }
        let reading = Reading {
            usedns: self.usedns,
            raw_hosts: manner.raw_hosts,
        };
        let id = match identify(&mut gathered.record, reading) {
            Verdict::Id(id) => Some(id),
            Verdict::Dismissed => return !manner.every_regex,
            Verdict::Pending if key.is_none() => {
                let source = self.failregexes[index].expanded();
                error!(TARGET, "No group found using {}", super::quote(source));
                return false;
            }
            Verdict::Pending => {
                gathered.pending = true;
                if !manner.every_regex && manner.skip_pending {
                    return true;
                }
                None
            }
        };
        let mut found = Found {
            regex: index,
            id,
            time: when.time,
            nofail,
            record: Record::default(),
            matches: Vec::new(),
        };
        // a session needs them again
        if key.is_some() {
            found.matches.clone_from(&gathered.matches);
            if manner.fields {
                found.record.clone_from(&gathered.record);
            }
        } else {
            found.matches = std::mem::take(&mut gathered.matches);
            if manner.fields {
                found.record = std::mem::take(&mut gathered.record);
            }
        }
        outcome.found.push(found);
        !manner.every_regex
    }

    /// Whether an ignoreregex matches.
    fn ignored(
        &mut self,
        text: &str,
        clock: &Clock,
        manner: Manner,
        outcome: &mut LineOutcome,
    ) -> bool {
        let mut any = false;
        for (index, regex) in self.ignoreregexes.iter().enumerate() {
            if self.limits.is_match(regex, text, &self.name, clock.now) {
                outcome.ignored_by.push(index);
                any = true;
                if !manner.every_regex {
                    break;
                }
            }
        }
        any
    }
}
