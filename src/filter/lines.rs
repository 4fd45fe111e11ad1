//! Blocks of lines: their text, the offset of each, and their dates.
//!
//! In: a block of a log. Out: a [`LineBlock`], its [`LineDates`], and an iteration over them. Most lines
//! mean nothing to a filter and most dates are valid, so it visits only the lines that matter.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::Clock;
use super::line_time::LineTime;
use super::outcome::{ExamineMode, LineOutcome};
use super::settings::{Dates, Filter};
use super::{Failure, json};
use crate::datetime::{Course, FoundDate, Stand};
use crate::pattern::PrefilterResult;
use crate::ticket::Timestamp;

/// Lines of a log, without their ends.
#[derive(Debug, Default)]
pub struct LineBlock<'t> {
    text: Cow<'t, str>,
    /// Where each begins and ends.
    places: Vec<(u32, u32)>,
}

impl<'t> LineBlock<'t> {
    /// No lines yet; those to come have so many bytes.
    pub fn with_capacity(bytes: usize) -> LineBlock<'static> {
        LineBlock {
            text: Cow::Owned(String::with_capacity(bytes)),
            places: Vec::new(),
        }
    }

    /// The lines of a text of less than 4 GiB.
    pub fn of(text: &'t str) -> LineBlock<'t> {
        let mut places = Vec::with_capacity(text.len() / 64 + 1);
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let last = (!text.ends_with('\n') && !text.is_empty()).then_some(text.len());
        for end in ends.chain(last) {
            let line = text[start..end].trim_end_matches(['\r', '\n']);
            places.push((start as u32, (start + line.len()) as u32));
            start = end + 1;
        }
        LineBlock {
            text: Cow::Borrowed(text),
            places,
        }
    }

    /// Adds a line.
    pub fn push(&mut self, line: &str) {
        let text = self.text.to_mut();
        let start = text.len() as u32;
        text.push_str(line);
        self.places.push((start, text.len() as u32));
        text.push('\n');
    }

    /// The same lines, on their own.
    pub fn into_owned(self) -> LineBlock<'static> {
        LineBlock {
            text: Cow::Owned(self.text.into_owned()),
            places: self.places,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// One of them, empty beyond the last.
    pub fn line(&self, index: usize) -> &str {
        let (start, end) = self.place(index);
        self.text.get(start..end).unwrap_or_default()
    }

    fn place(&self, index: usize) -> (usize, usize) {
        let place = self.places.get(index);
        place.map_or((0, 0), |(start, end)| (*start as usize, *end as usize))
    }
}

/// The dates of lines, as one filter has found them.
#[derive(Debug, Default)]
pub struct LineDates {
    course: Course,
    /// When every line has a date of its own: the earliest and the latest.
    span: Option<(Timestamp, Timestamp)>,
}

impl LineDates {
    fn new(course: Course) -> LineDates {
        let mut span = None;
        for date in &course.dates {
            let Some(time) = date.as_ref().and_then(FoundDate::own_time) else {
                span = None;
                break;
            };
            let (first, last): (Timestamp, Timestamp) = span.unwrap_or((time, time));
            span = Some((first.min(time), last.max(time)));
        }
        LineDates { course, span }
    }

    /// Whether the same is cut out of the lines.
    pub fn cuts_like(&self, other: &LineDates) -> bool {
        let cut = |date: &Option<FoundDate>| date.map(|date| (date.start, date.end));
        let (ours, theirs) = (&self.course.dates, &other.course.dates);
        std::ptr::eq(self, other) || ours.iter().map(cut).eq(theirs.iter().map(cut))
    }

    fn date(&self, index: usize) -> Option<FoundDate> {
        self.course.dates.get(index).copied().flatten()
    }

    /// Whether a date was found in the line that is none: what is cut out depends on the lines
    /// before it, then.
    pub(super) fn is_doubtful(&self, index: usize) -> bool {
        self.date(index)
            .is_some_and(|date| date.own_time().is_none())
    }
}

/// Lines that may mean something to a filter.
#[derive(Clone, Copy)]
pub(super) struct Candidates<'a, M> {
    /// By their numbers; `None` for all.
    pub(super) lines: Option<&'a [u32]>,
    /// Whether one of them, by its place in the list, does mean something when it has a date of its
    /// own.
    pub(super) matters: M,
}

impl<'a> Candidates<'a, fn(&Filter, usize) -> bool> {
    /// All of them may.
    pub(super) fn of(lines: Option<&'a [u32]>) -> Self {
        Candidates {
            lines,
            matters: |_, _| true,
        }
    }
}

impl Filter {
    /// The line as the filter sees it where a log holds JSON objects.
    pub(super) fn formed<'l>(&self, line: &'l str) -> Cow<'l, str> {
        let template: Option<&json::JsonTemplate> = self.rules.json.as_ref();
        let made = template.and_then(|template| template.line(line));
        made.map_or(Cow::Borrowed(line), Cow::Owned)
    }

    /// Lines as the filter sees them.
    pub fn form<'t>(&self, lines: LineBlock<'t>) -> LineBlock<'t> {
        if self.rules.json.is_none() {
            return lines;
        }
        let mut formed = LineBlock::with_capacity(lines.text.len());
        for index in 0..lines.len() {
            formed.push(&self.formed(lines.line(index)));
        }
        formed
    }

    /// Where its dates stand, if others may have come to the same.
    pub fn stand(&self, now: Timestamp) -> Option<Stand> {
        match &self.rules.dates {
            Dates::Detector(detector) => detector.stand(now),
            Dates::Never { .. } | Dates::Absent => None,
        }
    }

    /// Finds the dates of lines and learns from them.
    pub fn date_lines(&mut self, lines: &LineBlock<'_>, now: Timestamp) -> LineDates {
        match &mut self.rules.dates {
            Dates::Detector(detector) => {
                let texts = (0..lines.len()).map(|index| lines.line(index));
                LineDates::new(detector.find_all(texts, now))
            }
            Dates::Never { .. } | Dates::Absent => LineDates::default(),
        }
    }

    /// Learns from lines what another filter has; false: it has to date them itself.
    pub fn follow_dates(&mut self, dates: &LineDates, now: Timestamp) -> bool {
        match &mut self.rules.dates {
            Dates::Detector(detector) => detector.follow(&dates.course, now),
            Dates::Never { .. } | Dates::Absent => false,
        }
    }

    /// Hands the failures of lines to `each`, as [`Filter::process_line`] gives them for each line.
    pub fn examine_lines(
        &mut self,
        lines: &LineBlock<'_>,
        dates: &LineDates,
        clock: &Clock,
        mut each: impl FnMut(Failure),
    ) {
        let hopeful = self.hopeful(lines, dates);
        let known = hopeful.as_ref().map(|_| PrefilterResult::MayMatch);
        let list = Candidates::of(hopeful.as_deref());
        let mut outcome = LineOutcome::default();
        self.walk(lines, dates, list, clock, |filter, _, line_time| {
            if let Some(line_time) = line_time {
                let mode = ExamineMode::DAEMON;
                filter.search(&line_time, 0, known, clock, mode, &mut outcome);
                outcome.take_failures(clock).for_each(&mut each);
            }
        });
    }

    /// The lines that may match; `None` when it is not worth the time to tell.
    pub(super) fn hopeful(&mut self, lines: &LineBlock<'_>, dates: &LineDates) -> Option<Vec<u32>> {
        let mut scan = self.scan(&lines.text)?;
        let mut hopeful = Vec::new();
        let prefilter = self.prefilter.as_mut()?;
        for index in 0..lines.len() {
            let (start, end) = lines.place(index);
            let screened = scan.check(start, end).filter(|_| {
                let line = lines.line(index);
                let joins =
                    |date: FoundDate| prefilter.may_join(&line[..date.start], &line[date.end..]);
                !dates.date(index).is_some_and(joins)
            });
            match screened {
                Some(screened) => prefilter.count(screened),
                None => hopeful.push(index as u32),
            }
        }
        Some(hopeful)
    }

    /// Takes the lines in their order and hands those of the list, or all, to `each`: by their
    /// place in the list, with where they stand in time (`None`: too old).
    pub(super) fn walk<'l>(
        &mut self,
        lines: &'l LineBlock<'_>,
        dates: &LineDates,
        list: Candidates<'_, impl Fn(&Filter, usize) -> bool>,
        clock: &Clock,
        mut each: impl FnMut(&mut Filter, usize, Option<LineTime<'l>>),
    ) {
        let place = |filter: &mut Filter, index: usize| {
            filter.place_dated(
                lines.line(index),
                dates.date(index),
                clock,
                ExamineMode::DAEMON,
            )
        };
        let Some(listed) = list.lines else {
            for index in 0..lines.len() {
                let line_time = place(self, index);
                each(self, index, line_time);
            }
            return;
        };
        if dates
            .span
            .is_some_and(|span| self.window.passes(span, clock))
        {
            // each line has a date of its own, whatever stands before it
            for (number, index) in listed.iter().enumerate() {
                if (list.matters)(self, number) {
                    let line_time = place(self, *index as usize);
                    each(self, number, line_time);
                }
            }
            if let Some(last) = lines.len().checked_sub(1) {
                place(self, last);
            }
            return;
        }
        let mut listed = listed.iter().enumerate().peekable();
        for index in 0..lines.len() {
            let line_time = place(self, index);
            if let Some((number, _)) = listed.next_if(|(_, next)| **next as usize == index) {
                each(self, number, line_time);
            }
        }
    }
}
