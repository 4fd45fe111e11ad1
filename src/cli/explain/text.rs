//! An explanation for people: a label and what it stands for on each line.

use std::io::{self, Write};

use super::Explanation;
use super::marks::{marked, parted};
use crate::cli::printable;
use crate::datetime::DateTime;
use crate::filter::{Attempt, Trace};
use crate::jail::decision::local_time;
use crate::jail::replay::{Judged, Seen, Verdict};
use crate::pattern::{FailRegex, Reach};

/// Prints it.
///
/// # Errors
/// Of the writer.
pub fn print(explanation: &Explanation<'_>, out: &mut impl Write) -> io::Result<()> {
    let Explanation {
        line,
        seen,
        trace,
        filter,
        judged,
        not_asked,
    } = explanation;
    writeln!(out, "{}", printable(line))?;
    match seen {
        Seen::Line => date(trace, line, out)?,
        Seen::Entry(entry) => {
            let time = local_time(entry.time);
            label(
                out,
                "date",
                &format!("{time}, the time of the journal's entry"),
            )?;
        }
        Seen::Foreign => {
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
        return verdicts(judged, not_asked, out);
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
            && reach.literals > 0
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
        let key = printable(&session.key);
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
    if trace.session.is_some() && judged.is_some_and(<[Judged]>::is_empty) {
        return label(out, "verdict", "no failure in itself, kept for the session");
    }
    verdicts(judged, not_asked, out)
}

fn date(trace: &Trace, line: &str, out: &mut impl Write) -> io::Result<()> {
    let Some(date) = &trace.date else {
        return label(out, "date", "none found");
    };
    let text = line.get(date.start..date.end).unwrap_or_default();
    let time = match date.time {
        DateTime::At(time) => local_time(time),
        DateTime::Empty => "says nothing".to_owned(),
        DateTime::Invalid => "is no valid date".to_owned(),
    };
    let (from, to) = (date.start, date.end);
    label(
        out,
        "date",
        &format!(
            "\"{}\" = {time}, bytes {from} to {to}, cut out",
            printable(text)
        ),
    )?;
    label(out, "", &format!("by {}", date.pattern))
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
            label(out, "", &marked(text.trim_end_matches('\n'), fields))
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

fn verdicts(
    judged: &Option<&[Judged]>,
    not_asked: &[String],
    out: &mut impl Write,
) -> io::Result<()> {
    let Some(judged) = judged else {
        return Ok(());
    };
    if judged.is_empty() {
        return label(out, "verdict", "no failure");
    }
    for Judged { id, verdict } in *judged {
        let id = printable(id);
        let text = match verdict {
            Verdict::Unresolved => {
                format!("{id} is a host name; the jail would count each of its addresses")
            }
            Verdict::Ignored(by) => format!("{id} is ignored by {by}"),
            Verdict::Counted { standing, enough } => {
                format!("{id} fails, {standing} of {enough}")
            }
            Verdict::Banned { failures, until } => {
                let until = until.map_or("for ever".to_owned(), |u| {
                    format!("until {}", local_time(u))
                });
                format!("{id} is banned {until}, after {failures} failures")
            }
            Verdict::Already => format!("{id} is banned already"),
            Verdict::Expired => format!("{id} would be banned, but the ban would be over"),
        };
        label(out, "verdict", &text)?;
        if !not_asked.is_empty() && !matches!(verdict, Verdict::Ignored(_)) {
            let rules = printable(&not_asked.join(", "));
            label(
                out,
                "",
                &format!("not asked whether it is ignored: {rules}"),
            )?;
        }
    }
    Ok(())
}

/// The text of one or several lines, on one.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    format!("\"{}\"", lines.join(" | "))
}

fn label(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {label:<12}{text}")
}
