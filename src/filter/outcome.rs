//! How a line is examined ([`ExamineMode`]) and the result ([`LineOutcome`]).
#![forbid(unsafe_code)]

use super::record::GroupRecord;
use super::{Clock, Failure, FailureId};
use crate::datetime::FoundDate;
use crate::fields::MatchLine;
use crate::pattern::PrefilterResult;
use crate::ticket::Timestamp;

/// What is known of a line beforehand.
#[derive(Clone, Copy, Debug)]
pub enum LineHint<'a> {
    /// Nothing.
    Nothing,
    /// Its date, which the source tells: the text and the time.
    Date(&'a str, Timestamp),
    /// What [`Filter::find_date`](super::Filter::find_date) has found in it.
    Found(Option<FoundDate>),
    /// What can come of it, from a [`Screen`](crate::pattern::Screen) of the lines around it.
    Prefiltered(PrefilterResult),
}

impl<'a> From<Option<(&'a str, Timestamp)>> for LineHint<'a> {
    fn from(date: Option<(&'a str, Timestamp)>) -> LineHint<'a> {
        date.map_or(LineHint::Nothing, |(text, time)| LineHint::Date(text, time))
    }
}

/// How thoroughly lines are examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExamineMode {
    /// Try every failregex and ignoreregex, not only up to the first hit (fact X7).
    pub every_regex: bool,
    /// Report what hit even where it cannot lead to a failure: ignored lines, matches of the prefregex.
    pub report_all: bool,
    /// Leave out session lines that still wait for an id.
    pub skip_pending: bool,
    /// Names are ids (`--raw`).
    pub raw_hosts: bool,
    /// Apply the time window (facts D21–D24).
    pub window: bool,
    /// Collect the matched lines.
    pub evidence: bool,
    /// Collect all fields; else [`RegexMatch::record`] stays empty.
    pub fields: bool,
    /// Collect the fields of the prefregex in [`LineOutcome::prefix`].
    pub prefix_fields: bool,
}

impl ExamineMode {
    /// As a jail watches its logs.
    pub const DAEMON: ExamineMode = ExamineMode {
        every_regex: false,
        report_all: false,
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
pub struct RegexMatch {
    /// Index of the failregex.
    pub regex: usize,
    /// Whom it accuses; `None` while the session has named nobody.
    pub id: Option<FailureId>,
    /// The time it counts for; `None` for a line without a date when no window applies.
    pub time: Option<Timestamp>,
    /// Marked by `F-NOFAIL` as no failure in itself.
    pub nofail: bool,
    /// Captured fields, unset ones included.
    pub record: GroupRecord,
    /// The evidence.
    pub matches: Vec<MatchLine>,
}

/// What became of one line.
#[derive(Clone, Debug, Default)]
pub struct LineOutcome {
    /// What failregexes found, in their order.
    pub found: Vec<RegexMatch>,
    /// The ignoreregexes that hit, by index; one entry per hit.
    pub ignored_by: Vec<usize>,
    /// Fields of the prefregex when it matched and [`ExamineMode::prefix_fields`] is set.
    pub prefix: Option<GroupRecord>,
}

impl LineOutcome {
    pub(super) fn clear(&mut self) {
        self.found.clear();
        self.ignored_by.clear();
        self.prefix = None;
    }

    /// What a jail makes of it; nothing is left of it then.
    pub(super) fn take_failures(&mut self, clock: &Clock) -> impl Iterator<Item = Failure> {
        let now = clock.now;
        self.found.drain(..).filter_map(move |found| {
            Some(Failure {
                id: found.id?,
                time: found.time?.min(now),
                matches: found.matches,
                fields: found.record.into_fields(),
            })
        })
    }
}
