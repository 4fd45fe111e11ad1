//! What became of one line, step by step, for people who ask why (`ferroban explain`).
//!
//! In: a filter that has just examined a line. Out: a [`Trace`]. The steps are taken a second time
//! and apart from the first, so that a jail's way through a line stays as short as it is.
#![forbid(unsafe_code)]

use super::settings::{Dates, Filter};
use crate::datetime::DateTime;
use crate::pattern::{FailRegex, Match, Prefilter, PrefilterResult, Reach, RegexProbe};
use crate::ticket::Timestamp;

/// A date that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedDate {
    /// Where the cut text begins in the line, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What it says.
    pub time: DateTime,
    /// The pattern that found it.
    pub pattern: String,
}

/// A captured field: bytes of the text that was searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// What came of one regex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It matches; the fields that took part, in the order of their groups.
    Matched(Vec<Mark>),
    /// It came so far; `None`: nowhere.
    Stopped(Option<Reach>),
    /// It took too many steps.
    GaveUp,
}

/// The session a line belongs to, as it is after the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTrace {
    /// What its lines have in common (`F-MLFID`).
    pub key: String,
    /// Lines of failures.
    pub failures: usize,
    /// Lines kept as context of a later failure.
    pub context: usize,
    /// Failures wait for somebody to be named.
    pub pending: bool,
    /// The session is over, or was never remembered.
    pub over: bool,
}

/// The way of one line through a filter.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The date in the line.
    pub date: Option<TracedDate>,
    /// What the regexes search: the line without its date, or with `maxlines` the last lines.
    pub text: String,
    /// Whether the words that every regex needs left hope; `None` where nobody asks (`maxlines`).
    pub prefilter: Option<bool>,
    /// What came of the prefregex, if there is one.
    pub prefregex: Option<Attempt>,
    /// The part of `text` that the prefregex leaves to the failregexes, in bytes.
    pub content: Option<(usize, usize)>,
    /// What came of each failregex; empty when the prefregex does not match. Spans are of
    /// [`Trace::seen`].
    pub failregexes: Vec<Attempt>,
    /// What came of each ignoreregex; empty when they were not asked. Spans are of
    /// [`Trace::seen`], or with [`Trace::ignored_first`] of `text`.
    pub ignoreregexes: Vec<Attempt>,
    /// The ignoreregexes were asked before the failregexes.
    pub ignored_first: bool,
    /// The session, if the match names one.
    pub session: Option<SessionTrace>,
}

impl Trace {
    /// What the failregexes search.
    pub fn seen(&self) -> &str {
        let (start, end) = self.content.unwrap_or((0, self.text.len()));
        self.text.get(start..end).unwrap_or_default()
    }

    /// The failregex that decides, with its fields.
    pub fn matched(&self) -> Option<(usize, &[Mark])> {
        first_match(&self.failregexes)
    }

    /// The ignoreregex that strikes, with its fields.
    pub fn ignored_by(&self) -> Option<(usize, &[Mark])> {
        first_match(&self.ignoreregexes)
    }

    /// Where none matches: the failregex that came furthest.
    pub fn furthest(&self) -> Option<(usize, Reach)> {
        let reaches = self.failregexes.iter().enumerate();
        reaches
            .filter_map(|(index, attempt)| match attempt {
                Attempt::Stopped(Some(reach)) => Some((index, *reach)),
                _ => None,
            })
            // of equals the first
            .rev()
            .max_by_key(|(_, reach)| (reach.literals, reach.text))
    }
}

fn first_match(attempts: &[Attempt]) -> Option<(usize, &[Mark])> {
    let attempts = attempts.iter().enumerate();
    let mut matched = attempts.filter_map(|(index, attempt)| match attempt {
        Attempt::Matched(marks) => Some((index, marks.as_slice())),
        _ => None,
    });
    matched.next()
}

/// Traces lines through one filter whose regexes do not change.
#[derive(Debug)]
pub struct Tracer {
    prefilter: Prefilter,
    prefregex: Option<RegexProbe>,
    failregexes: Vec<RegexProbe>,
}

impl Tracer {
    /// For this filter.
    pub fn new(filter: &Filter) -> Tracer {
        let multi = filter.rules.maxlines > 1;
        let probe =
            |regex: &FailRegex, multi| RegexProbe::new(regex.source(), filter.rules.usedns, multi);
        Tracer {
            prefilter: Prefilter::with_prefregex(
                filter.rules.prefregex.as_ref(),
                &filter.rules.failregexes,
            ),
            prefregex: filter
                .rules
                .prefregex
                .as_ref()
                .map(|regex| probe(regex, false)),
            failregexes: filter
                .rules
                .failregexes
                .iter()
                .map(|regex| probe(regex, multi))
                .collect(),
        }
    }

    /// The way of the line that `filter` examined last. `now` is the present time.
    pub fn trace(&mut self, filter: &mut Filter, line: &str, now: Timestamp) -> Trace {
        let date = date_of(filter, line, now);
        let text = filter.text.clone();
        let mut trace = Trace {
            date,
            prefilter: (filter.rules.maxlines == 1)
                .then(|| self.prefilter.clone().check(&text) == PrefilterResult::MayMatch),
            text: text.strip_suffix('\n').unwrap_or(&text).to_owned(),
            prefregex: None,
            content: None,
            failregexes: Vec::new(),
            ignoreregexes: Vec::new(),
            ignored_first: filter.asks_ignoreregexes_first(),
            session: None,
        };
        let ignored = |seen: &str| -> Vec<Attempt> {
            let all = filter.rules.ignoreregexes.iter();
            all.map(|regex| attempt(regex, None, seen)).collect()
        };
        if trace.ignored_first {
            trace.ignoreregexes = ignored(&text);
            if trace.ignored_by().is_some() {
                return trace;
            }
        }
        let mut seen = text.clone();
        if let Some(prefregex) = &filter.rules.prefregex {
            let tried = attempt(prefregex, self.prefregex.as_mut(), &text);
            if let Attempt::Matched(marks) = &tried {
                let content = marks.iter().find(|mark| mark.name == "content");
                if let Some(mark) = content.filter(|mark| mark.start < mark.end) {
                    trace.content = Some((mark.start, mark.end.min(trace.text.len())));
                    seen = format!("{}\n", &text[mark.start..mark.end]);
                }
            }
            let goes_on = matches!(tried, Attempt::Matched(_));
            trace.prefregex = Some(tried);
            if !goes_on {
                return trace;
            }
        }
        let regexes = filter.rules.failregexes.iter().zip(&mut self.failregexes);
        trace.failregexes = regexes
            .map(|(regex, probe)| attempt(regex, Some(probe), &seen))
            .collect();
        if trace.matched().is_some() && !trace.ignored_first {
            trace.ignoreregexes = ignored(&seen);
        }
        trace.session = session_of(filter, &trace);
        trace
    }
}

fn date_of(filter: &mut Filter, line: &str, now: Timestamp) -> Option<TracedDate> {
    let Dates::Detector(detector) = &mut filter.rules.dates else {
        return None;
    };
    let found = detector.find(line, now)?;
    let template = detector.templates().into_iter().nth(found.template)?;
    Some(TracedDate {
        start: found.start,
        end: found.end,
        time: found.time,
        pattern: template.name,
    })
}

fn attempt(regex: &FailRegex, probe: Option<&mut RegexProbe>, text: &str) -> Attempt {
    match regex.regex().search(text) {
        Ok(Some(found)) => Attempt::Matched(marks(regex, &found)),
        Ok(None) => Attempt::Stopped(probe.and_then(|probe| probe.furthest(text))),
        Err(_) => Attempt::GaveUp,
    }
}

fn marks(regex: &FailRegex, found: &Match) -> Vec<Mark> {
    let names = regex.regex().group_names().iter().enumerate();
    names
        .filter_map(|(group, name)| {
            let (start, end) = found.group(group)?;
            Some(Mark {
                name: name.clone()?,
                start,
                end,
            })
        })
        .collect()
}

fn session_of(filter: &Filter, trace: &Trace) -> Option<SessionTrace> {
    let key = |marks: &[Mark], text: &str| {
        let mark = marks.iter().find(|mark| mark.name == "mlfid")?;
        Some(text.get(mark.start..mark.end)?.to_owned())
    };
    let (_, marks) = trace.matched()?;
    let key = key(marks, trace.seen()).or_else(|| match &trace.prefregex {
        Some(Attempt::Matched(marks)) => key(marks, &trace.text),
        _ => None,
    })?;
    let session = filter.sessions.get(&key);
    Some(SessionTrace {
        failures: session.map_or(0, |session| session.matches.len()),
        context: session.map_or(0, |session| session.context_lines()),
        pending: session.is_some_and(|session| session.pending),
        over: session.is_none(),
        key,
    })
}
