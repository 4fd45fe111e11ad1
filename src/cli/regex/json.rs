//! The report of `--json`: the same counts and lists as one object (docs/fail2ban-regex.md).

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::report::RegexReport;
use super::tally::{LineGroup, RegexTally};
use crate::fields::FieldValue;
use crate::filter::{Dates, GroupRecord};

/// Prints the report.
///
/// # Errors
/// Of the writer.
pub(super) fn print(
    report: &RegexReport<'_>,
    logs: &[String],
    out: &mut impl Write,
) -> io::Result<()> {
    let (tally, options) = (report.tally, report.options);
    let list =
        |kind: &LineGroup, wanted: bool, all: bool| match wanted && kind.fits(all, report.listed) {
            true => Value::from(kind.lines.clone()),
            false => Value::Null,
        };
    let prefregex = report.filter.prefregex().map(|prefregex| {
        json!({
            "regex": prefregex.source(),
            "hits": tally.prefregex,
        })
    });
    let object = json!({
        "logs": logs,
        "encoding": report.encoding.name,
        "lines": {
            "tested": tally.tested,
            "matched": tally.matched.count,
            "ignored": tally.ignored.count,
            "missed": tally.missed.count,
        },
        "prefregex": prefregex,
        "failregex": regexes(&tally.failregexes),
        "ignoreregex": regexes(&tally.ignoreregexes),
        "dates": dates(report.filter.dates()),
        "matched": list(&tally.matched, options.all_matched, true),
        "ignored": list(&tally.ignored, !options.no_ignored, options.all_ignored),
        "missed": list(&tally.missed, !options.no_missed, options.all_missed),
        "seconds": report.elapsed.as_secs_f64(),
    });
    writeln!(out, "{object}")
}

fn regexes(tallies: &[RegexTally]) -> Value {
    tallies
        .iter()
        .map(|tally| {
            let mut object = json!({ "regex": tally.source, "hits": tally.hits });
            if !tally.details.is_empty() {
                object["found"] = tally
                    .details
                    .iter()
                    .map(|(id, time, _)| json!({ "id": id, "time": time }))
                    .collect();
            }
            object
        })
        .collect()
}

fn dates(dates: &Dates) -> Value {
    match dates {
        Dates::Absent => Value::Null,
        Dates::Never { hits } => json!([{ "pattern": "{NONE}", "hits": hits }]),
        Dates::Detector(detector) => detector
            .templates()
            .iter()
            .filter(|template| template.hits > 0)
            .map(|template| {
                json!({
                    "pattern": template.pattern.as_ref().unwrap_or(&template.name),
                    "hits": template.hits,
                })
            })
            .collect(),
    }
}

/// Captured fields; those that took no part are left out.
pub(in crate::cli) fn fields(record: &GroupRecord) -> Map<String, Value> {
    let set = record.iter();
    set.filter_map(|(name, value)| Some((name.to_owned(), field(value?))))
        .collect()
}

fn field(value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => Value::from(text.as_str()),
        FieldValue::Address(address) => Value::from(address.to_string()),
        FieldValue::Set(values) => Value::from(values.clone()),
        FieldValue::Tuple(parts) => parts.iter().cloned().map(Value::from).collect(),
    }
}
