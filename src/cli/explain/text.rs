//! An explanation for people: a label and what it stands for on each line.

use std::io::{self, Write};

use super::ExplainRun;
use super::answer::{LineAnswer, candidates, is_far, pattern_reach, verdict};
use super::marks::{marked, parted, shown as quoted, visible};
use crate::datetime::DateTime;
use crate::datetime::guess;
use crate::filter::Dates;
use crate::filter::{Attempt, Trace};
use crate::jail::decision::local_time;
use crate::jail::replay::{JudgedFailure, LineKind, ReplayVerdict};
use crate::pattern::{FailRegex, Reach};

/// Prints the line, the answer, and on request all steps.
///
/// # Errors
/// Of the writer.
pub fn print(
    explanation: &ExplainRun<'_>,
    answer: &LineAnswer,
    verbose: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "{}", visible(explanation.line))?;
    let what = match answer.counts {
        true => "counts",
        false => "not counted",
    };
    let jail = explanation
        .jail
        .map_or(String::new(), |jail| format!("{jail}: "));
    label(out, what, &format!("{jail}{}", answer.why))?;
    if let Some(cure) = &answer.cure {
        label(out, "cure", cure)?;
    }
    match verbose {
        true => steps(explanation, out),
        false => brief(explanation, out),
    }
}

/// What matched, or where it stopped.
fn brief(explanation: &ExplainRun<'_>, out: &mut impl Write) -> io::Result<()> {
    let ExplainRun { trace, filter, .. } = explanation;
    if let Some((index, fields)) = trace.matched() {
        let text = marked(trace.seen().trim_end_matches('\n'), fields);
        label(out, "failregex", &format!("#{} {text}", index + 1))?;
        return not_asked(explanation, out);
    }
    if let (Some(Attempt::Stopped(Some(reach))), Some(regex)) =
        (&trace.prefregex, filter.prefregex())
    {
        label(out, "prefregex", &parted(regex.source(), reach.source))?;
        return label(
            out,
            "",
            &parted(trace.text.trim_end_matches('\n'), reach.text),
        );
    }
    let Some((index, reach)) = trace.furthest().filter(|(_, reach)| is_far(*reach)) else {
        return Ok(());
    };
    let Some(regex) = filter.failregexes().get(index) else {
        return Ok(());
    };
    label(out, "failregex", &format!("#{} came furthest", index + 1))?;
    stopped(out, reach, regex, trace.seen())
}

/// Every step.
fn steps(explanation: &ExplainRun<'_>, out: &mut impl Write) -> io::Result<()> {
    let ExplainRun {
        seen,
        trace,
        filter,
        judged,
        ..
    } = explanation;
    match seen {
        LineKind::Line => date(explanation, out)?,
        LineKind::Entry(entry) => {
            let time = local_time(entry.time);
            label(
                out,
                "date",
                &format!("{time}, the time of the journal's entry"),
            )?;
        }
        LineKind::Foreign => {
            label(
                out,
                "journal",
                "gives no such line, and the jail reads the journal;",
            )?;
            return label(out, "", "an entry reads DATE HOST NAME[PID]: MESSAGE");
        }
    }
    label(out, "searched", &shown(&trace.text))?;
    let prefilter = match trace.prefilter {
        Some(true) => "lets it pass",
        Some(false) => "no failregex can match: words that they need are missing",
        None => "is not asked: failregexes see several lines",
    };
    label(out, "prefilter", prefilter)?;
    if trace.ignored_first && ignored(trace, filter.ignoreregexes(), &trace.text, out)? {
        return verdicts(explanation, out);
    }
    if let (Some(attempt), Some(regex)) = (&trace.prefregex, filter.prefregex()) {
        tried(out, "prefregex", None, attempt, regex, &trace.text)?;
    }
    if trace.content.is_some() {
        label(out, "content", &shown(trace.seen()))?;
    }
    let mut any = false;
    for (index, attempt) in trace.failregexes.iter().enumerate() {
        if let (Attempt::Matched(_) | Attempt::GaveUp, Some(regex)) =
            (attempt, filter.failregexes().get(index))
        {
            tried(out, "failregex", Some(index), attempt, regex, trace.seen())?;
            if any {
                label(
                    out,
                    "",
                    "(one before it has matched: this one is not tried)",
                )?;
            }
            any |= matches!(attempt, Attempt::Matched(_));
        }
    }
    if !any && !trace.failregexes.is_empty() {
        label(out, "failregex", "none matches")?;
        if let Some((index, reach)) = trace.furthest()
            && let Some(regex) = filter.failregexes().get(index)
            && is_far(reach)
        {
            let number = format!("#{} came furthest", index + 1);
            label(out, "", &number)?;
            stopped(out, reach, regex, trace.seen())?;
        }
    }
    if !trace.ignored_first {
        ignored(trace, filter.ignoreregexes(), trace.seen(), out)?;
    }
    if let Some(session) = &trace.session {
        let key = visible(&session.key);
        let state = match (session.over, session.pending) {
            (true, _) => "ends with this line".to_owned(),
            (_, true) => format!("{} failures wait until somebody is named", session.failures),
            _ => format!(
                "{} lines of failures, {} of context",
                session.failures, session.context
            ),
        };
        label(out, "session", &format!("\"{key}\": {state}"))?;
    }
    if trace.session.is_some() && judged.is_some_and(<[JudgedFailure]>::is_empty) {
        return label(out, "verdict", "no failure in itself, kept for the session");
    }
    verdicts(explanation, out)
}

fn date(explanation: &ExplainRun<'_>, out: &mut impl Write) -> io::Result<()> {
    let ExplainRun {
        line,
        trace,
        filter,
        ..
    } = explanation;
    let Dates::Detector(detector) = filter.dates() else {
        return label(
            out,
            "date",
            "none is looked for: a line happens when it is read",
        );
    };
    let Some(date) = &trace.date else {
        label(out, "date", "none found")?;
        if !detector.is_default() {
            label(out, "", &pattern_reach(detector, line, explanation.present))?;
        }
        for (is_default, guess) in candidates(detector, line, explanation.present) {
            let text = quoted(line.get(guess.start..guess.end).unwrap_or_default());
            let how = match is_default {
                true => "the default patterns find it".to_owned(),
                false => format!("datepattern = {} would find it", guess.pattern),
            };
            label(out, "", &format!("{text} looks like one; {how}"))?;
        }
        return Ok(());
    };
    let text = line.get(date.start..date.end).unwrap_or_default();
    let time = match date.time {
        DateTime::At(time) => local_time(time),
        DateTime::Empty => "says nothing".to_owned(),
        DateTime::Invalid => "is no valid date".to_owned(),
    };
    let (from, to) = (date.start, date.end);
    let text = visible(text);
    label(
        out,
        "date",
        &format!("\"{text}\" = {time}, bytes {from} to {to}, cut out"),
    )?;
    label(out, "", &format!("by {}", date.pattern))?;
    let assumed = guess::assumed(detector, line, explanation.present);
    let zone = match explanation.places.value("logtimezone") {
        Some(zone) if !zone.is_empty() => format!("the zone {zone} (logtimezone)"),
        _ => "the zone of this machine".to_owned(),
    };
    let assumed: Vec<String> = [
        (assumed.year, "the year".to_owned()),
        (assumed.day, "the day".to_owned()),
        (assumed.zone, zone),
    ]
    .into_iter()
    .filter_map(|(is_assumed, what)| is_assumed.then_some(what))
    .collect();
    match assumed.is_empty() {
        true => Ok(()),
        false => label(
            out,
            "",
            &format!("assumed, as the line does not say: {}", assumed.join(", ")),
        ),
    }
}

/// What came of a regex.
fn tried(
    out: &mut impl Write,
    what: &str,
    index: Option<usize>,
    attempt: &Attempt,
    regex: &FailRegex,
    text: &str,
) -> io::Result<()> {
    let number = index.map_or(String::new(), |index| format!("#{} ", index + 1));
    match attempt {
        Attempt::Matched(fields) => {
            label(out, what, &format!("{number}matches: {}", regex.source()))?;
            let text = text.trim_end_matches('\n');
            label(out, "", &marked(text, fields))?;
            match end_of_match(regex, text) {
                Some(rest) => label(out, "", &format!("the match ends before {}", quoted(rest))),
                None => Ok(()),
            }
        }
        Attempt::GaveUp => {
            let reason = "takes too many steps, which counts as no match";
            label(out, what, &format!("{number}{reason}: {}", regex.source()))
        }
        Attempt::Stopped(reach) => {
            label(out, what, &format!("{number}does not match"))?;
            let nowhere = Reach {
                source: 0,
                text: 0,
                literals: 0,
            };
            stopped(out, reach.unwrap_or(nowhere), regex, text)
        }
    }
}

/// What a match leaves of a text.
fn end_of_match<'t>(regex: &FailRegex, text: &'t str) -> Option<&'t str> {
    let found = regex.regex().search(text).ok().flatten()?;
    let (_, end) = found.group(0)?;
    text.get(end..).filter(|rest| !rest.is_empty())
}

/// A regex and the text, each parted where they stop to agree.
fn stopped(out: &mut impl Write, reach: Reach, regex: &FailRegex, text: &str) -> io::Result<()> {
    label(out, "", &parted(regex.source(), reach.source))?;
    label(out, "", &parted(text.trim_end_matches('\n'), reach.text))
}

/// Tells of the ignoreregexes, if they were asked; true: one strikes.
fn ignored(
    trace: &Trace,
    regexes: &[FailRegex],
    text: &str,
    out: &mut impl Write,
) -> io::Result<bool> {
    if trace.ignoreregexes.is_empty() {
        return Ok(false);
    }
    let Some((index, _)) = trace.ignored_by() else {
        label(out, "ignoreregex", "none matches")?;
        return Ok(false);
    };
    if let Some(regex) = regexes.get(index) {
        let attempt = &trace.ignoreregexes[index];
        tried(out, "ignoreregex", Some(index), attempt, regex, text)?;
    }
    Ok(true)
}

fn verdicts(explanation: &ExplainRun<'_>, out: &mut impl Write) -> io::Result<()> {
    let Some(judged) = explanation.judged else {
        return Ok(());
    };
    if judged.is_empty() {
        return label(out, "verdict", "no failure");
    }
    for judged in judged {
        label(out, "verdict", &verdict(explanation, judged))?;
    }
    not_asked(explanation, out)
}

/// The rules that might ignore somebody and were not asked.
fn not_asked(explanation: &ExplainRun<'_>, out: &mut impl Write) -> io::Result<()> {
    let mut judged = explanation.judged.into_iter().flatten();
    let is_open = judged.any(|judged| !matches!(judged.verdict, ReplayVerdict::Ignored(_)));
    if !is_open || explanation.not_asked.is_empty() {
        return Ok(());
    }
    let rules = visible(&explanation.not_asked.join(", "));
    label(out, "not asked", &format!("whether it is ignored: {rules}"))
}

/// The text of one or several lines, on one.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(visible).collect();
    format!("\"{}\"", lines.join(" | "))
}

fn label(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {label:<12}{text}")
}
