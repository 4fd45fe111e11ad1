//! Where a line stands in time: its date found and cut out, or the date that stands in for it
//! (facts D20–D24).
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::Clock;
use super::buffer::Parts;
use super::outcome::Manner;
use super::settings::{Dates, Filter};
use crate::datetime::{DateTime, FoundDate};
use crate::error;
use crate::ticket::Timestamp;

const TARGET: &str = "fail2ban.filter";

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
pub(super) struct When<'a> {
    pub(super) cut: Cut<'a>,
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
        manner: Manner,
    ) -> Option<When<'a>> {
        let Some((text, time)) = date else {
            let found = match &mut self.rules.dates {
                Dates::Detector(detector) => detector.find(line, clock.now),
                Dates::Never { .. } | Dates::Absent => None,
            };
            return self.place_dated(line, found, clock, manner);
        };
        self.window.saw(text, time);
        let when = When {
            cut: Cut {
                date: Some(text),
                ..Cut::undated(line)
            },
            time: Some(time),
            undated: false,
        };
        self.judge_time(when, line, clock, manner)
    }

    /// As [`Filter::place`], of a line in which this date was found.
    #[inline]
    pub(super) fn place_dated<'a>(
        &mut self,
        line: &'a str,
        found: Option<FoundDate>,
        clock: &Clock,
        manner: Manner,
    ) -> Option<When<'a>> {
        let when = self.take_date(line, found, clock, manner);
        self.judge_time(when, line, clock, manner)
    }

    #[inline]
    fn judge_time<'a>(
        &mut self,
        mut when: When<'a>,
        line: &str,
        clock: &Clock,
        manner: Manner,
    ) -> Option<When<'a>> {
        if manner.window
            && let Some(time) = when.time
        {
            when.time = Some(self.window.judge(&self.name, line, time, clock)?);
        }
        Some(when)
    }

    #[inline]
    fn take_date<'a>(
        &mut self,
        line: &'a str,
        found: Option<FoundDate>,
        clock: &Clock,
        manner: Manner,
    ) -> When<'a> {
        let fresh = self.window.fresh(clock.now);
        if let Dates::Never { hits } = &mut self.rules.dates {
            *hits += 1;
            return When {
                cut: fresh.map_or(Cut::undated(line), |_| Cut::borrowed(line)),
                time: fresh.or(Some(clock.now)),
                undated: false,
            };
        }
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
}
