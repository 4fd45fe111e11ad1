//! An explanation for programs (docs/explain.md).

use serde_json::{Map, Value, json};

use super::{ExplainRun, LineAnswer};
use crate::datetime::DateTime;
use crate::filter::{Attempt, Mark, Trace};
use crate::jail::replay::{JudgedFailure, LineKind, ReplayVerdict};
use crate::pattern::{FailRegex, Reach};

/// The object of one line.
pub fn object(explanation: &ExplainRun<'_>, answer: &LineAnswer) -> Value {
    let mut object = steps(explanation);
    if let Some(jail) = explanation.jail {
        object["jail"] = json!(jail);
    }
    object["answer"] = json!({
        "counts": answer.counts,
        "why": answer.why,
        "cure": answer.cure,
    });
    object
}

fn steps(explanation: &ExplainRun<'_>) -> Value {
    let ExplainRun {
        line,
        seen: taken,
        trace,
        filter,
        judged,
        not_asked,
        ..
    } = explanation;
    let date = match taken {
        LineKind::Entry(entry) => Some(json!({
            "text": entry.date,
            "start": 0,
            "end": entry.date.len(),
            "time": entry.time,
            "valid": true,
            "pattern": null,
        })),
        LineKind::Foreign => return json!({ "line": line, "foreign": true, "failures": [] }),
        LineKind::Line => date_in(trace, line),
    };

    let seen = trace.seen();
    let prefregex = trace.prefregex.as_ref().zip(filter.prefregex());
    let failregex = trace.matched().map(|(index, fields)| {
        let source = filter.failregexes().get(index).map(FailRegex::source);
        json!({ "number": index + 1, "regex": source, "fields": marks(seen, fields) })
    });
    let ignored_text = if trace.ignored_first {
        &trace.text
    } else {
        seen
    };
    let ignoreregex = trace.ignored_by().map(|(index, fields)| {
        let source = filter.ignoreregexes().get(index).map(FailRegex::source);
        json!({ "number": index + 1, "regex": source, "fields": marks(ignored_text, fields) })
    });
    let furthest = trace.furthest().filter(|_| failregex.is_none());
    let furthest = furthest.and_then(|(index, reach)| {
        let regex = filter.failregexes().get(index)?;
        let mut object = stopped(regex, reach, seen);
        object["number"] = json!(index + 1);
        Some(object)
    });
    let session = trace.session.as_ref().map(|session| {
        json!({
            "key": session.key,
            "failures": session.failures,
            "context": session.context,
            "pending": session.pending,
            "over": session.over,
        })
    });
    json!({
        "line": line,
        "foreign": false,
        "date": date,
        "searched": trace.text,
        "prefilter": trace.prefilter,
        "prefregex": prefregex.map(|(attempt, regex)| match attempt {
            Attempt::Matched(fields) => json!({
                "matched": true,
                "fields": marks(&trace.text, fields),
            }),
            Attempt::Stopped(Some(reach)) => {
                let mut object = stopped(regex, *reach, &trace.text);
                object["matched"] = json!(false);
                object
            }
            Attempt::Stopped(None) | Attempt::GaveUp => json!({ "matched": false }),
        }),
        "content": trace.content.map(|_| seen),
        "failregex": failregex,
        "furthest": furthest,
        "ignoreregex": ignoreregex,
        "session": session,
        "failures": judged.map(|judged| judged.iter().map(verdict).collect::<Vec<_>>()),
        "not_asked": not_asked,
    })
}

fn date_in(trace: &Trace, line: &str) -> Option<Value> {
    let date = trace.date.as_ref()?;
    let (time, valid) = match date.time {
        DateTime::At(time) => (Some(time), true),
        DateTime::Empty => (None, true),
        DateTime::Invalid => (None, false),
    };
    Some(json!({
        "text": line.get(date.start..date.end),
        "start": date.start,
        "end": date.end,
        "time": time,
        "valid": valid,
        "pattern": date.pattern,
    }))
}

/// Where a regex stopped: what of it matches and what not, and the same of the text.
fn stopped(regex: &FailRegex, reach: Reach, text: &str) -> Value {
    let source = regex.source();
    let text = text.trim_end_matches('\n');
    let at = reach.text.min(text.len());
    json!({
        "regex": source,
        "matches": source.get(..reach.source),
        "stops_at": source.get(reach.source..),
        "text": text.get(..at),
        "text_left": text.get(at..),
    })
}

fn marks(text: &str, fields: &[Mark]) -> Map<String, Value> {
    let part = |mark: &Mark| {
        let object = json!({
            "text": text.get(mark.start..mark.end),
            "start": mark.start,
            "end": mark.end,
        });
        (mark.name.clone(), object)
    };
    fields.iter().map(part).collect()
}

fn verdict(judged: &JudgedFailure) -> Value {
    let mut object = json!({ "id": judged.id });
    let (word, more) = match &judged.verdict {
        ReplayVerdict::Unresolved => ("name", json!({})),
        ReplayVerdict::Ignored(by) => ("ignored", json!({ "by": by })),
        ReplayVerdict::Counted { standing, enough } => {
            ("counted", json!({ "count": standing, "maxretry": enough }))
        }
        ReplayVerdict::Banned { failures, until } => {
            ("banned", json!({ "count": failures, "until": until }))
        }
        ReplayVerdict::Already => ("already banned", json!({})),
        ReplayVerdict::Expired => ("expired", json!({})),
    };
    object["verdict"] = json!(word);
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}
