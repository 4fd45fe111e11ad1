//! The time of a line: its date is found and cut out, or another date stands in for it (facts D20–D24).
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::Clock;
use super::buffer::Parts;
use super::outcome::ExamineMode;
use super::settings::{Dates, Filter};
use crate::datetime::{DateTime, FoundDate};
use crate::error;
use crate::ticket::Timestamp;

const TARGET: &str = "fail2ban.filter";

/// A line with its date cut out.
#[derive(Clone, Copy)]
pub(super) struct CutLine<'a> {
    pub(super) before: &'a str,
    /// `None`: the date last seen stands in.
    pub(super) date: Option<&'a str>,
    pub(super) after: &'a str,
}

impl<'a> CutLine<'a> {
    fn undated(line: &'a str) -> CutLine<'a> {
        CutLine {
            before: "",
            date: Some(""),
            after: line,
        }
    }

    fn borrowed(line: &'a str) -> CutLine<'a> {
        CutLine {
            before: "",
            date: None,
            after: line,
        }
    }

    /// What regexes see of a single line.
    pub(super) fn write_to(self, text: &mut String) {
        text.clear();
        text.reserve(self.before.len() + self.after.len() + 1);
        text.push_str(self.before);
        text.push_str(self.after);
        text.push('\n');
    }

    /// The three of them; `last` is the date last seen.
    pub(super) fn parts(self, last: &str) -> Parts {
        Arc::new([
            self.before.to_owned(),
            self.date.unwrap_or(last).to_owned(),
            self.after.to_owned(),
        ])
    }
}

/// Where a line stands in time.
pub(super) struct LineTime<'a> {
    pub(super) cut: CutLine<'a>,
    pub(super) time: Option<Timestamp>,
    /// The line has no valid date of its own (fact D21).
    pub(super) undated: bool,
}

impl Filter {
    /// Finds the date and applies the time window; `None`: the line is too old.
    #[inline]
    pub(super) fn place<'a>(
        &mut self,
        line: &'a str,
        date: Option<(&'a str, Timestamp)>,
        clock: &Clock,
        mode: ExamineMode,
    ) -> Option<LineTime<'a>> {
        let Some((text, time)) = date else {
            let found = match &mut self.rules.dates {
                Dates::Detector(detector) => detector.find(line, clock.now),
                Dates::Never { .. } | Dates::Absent => None,
            };
            return self.place_dated(line, found, clock, mode);
        };
        self.window.saw(text, time);
        let line_time = LineTime {
            cut: CutLine {
                date: Some(text),
                ..CutLine::undated(line)
            },
            time: Some(time),
            undated: false,
        };
        self.judge_time(line_time, line, clock, mode)
    }

    /// As [`Filter::place`], of a line in which this date was found.
    #[inline]
    pub(super) fn place_dated<'a>(
        &mut self,
        line: &'a str,
        found: Option<FoundDate>,
        clock: &Clock,
        mode: ExamineMode,
    ) -> Option<LineTime<'a>> {
        let line_time = self.take_date(line, found, clock, mode);
        self.judge_time(line_time, line, clock, mode)
    }

    #[inline]
    fn judge_time<'a>(
        &mut self,
        mut line_time: LineTime<'a>,
        line: &str,
        clock: &Clock,
        mode: ExamineMode,
    ) -> Option<LineTime<'a>> {
        if mode.window
            && let Some(time) = line_time.time
        {
            line_time.time = Some(self.window.judge(&self.name, line, time, clock)?);
        }
        Some(line_time)
    }

    #[inline]
    fn take_date<'a>(
        &mut self,
        line: &'a str,
        found: Option<FoundDate>,
        clock: &Clock,
        mode: ExamineMode,
    ) -> LineTime<'a> {
        let fresh = self.window.fresh(clock.now);
        if let Dates::Never { hits } = &mut self.rules.dates {
            *hits += 1;
            return LineTime {
                cut: fresh.map_or(CutLine::undated(line), |_| CutLine::borrowed(line)),
                time: fresh.or(Some(clock.now)),
                undated: false,
            };
        }
        let mut cut = CutLine::undated(line);
        if let Some(found) = found {
            let text = &line[found.start..found.end];
            cut = CutLine {
                before: &line[..found.start],
                date: Some(text),
                after: &line[found.end..],
            };
            match found.time {
                DateTime::At(time) if !text.is_empty() => {
                    self.window.saw(text, time);
                    return LineTime {
                        cut,
                        time: Some(time),
                        undated: false,
                    };
                }
                DateTime::Invalid if !text.is_empty() => {
                    error!(TARGET, "findFailure failed to parse timeText: {text}");
                }
                _ => {
                    return LineTime {
                        cut: fresh.map_or(cut, |_| CutLine::borrowed(line)),
                        time: fresh.or(Some(clock.now)),
                        undated: false,
                    };
                }
            }
        }
        match fresh {
            Some(last) => LineTime {
                cut: CutLine::borrowed(line),
                time: Some(last),
                undated: true,
            },
            None => LineTime {
                cut,
                time: (mode.window && clock.in_operation).then_some(clock.now),
                undated: true,
            },
        }
    }
}
