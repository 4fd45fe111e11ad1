//! `ferroban lint [DIR]`: what is wrong or hardly meant in a configuration, each with file and line.
//!
//! Exit code 0: nothing but notes; 1: warnings; 3: errors. 2 is a wrong command line, as everywhere.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use serde_json::json;

use super::{directory, help, refused, say};
use crate::config::shipped::Shipped;
use crate::lint::{Finding, Severity, lint};

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    let findings = lint(&Shipped, directory::chosen(&matches));
    if matches.get_flag("json") {
        say(&json_of(&findings));
    } else {
        say(&report(&findings, matches.get_flag("notes")));
    }
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => ExitCode::from(3),
        Some(Severity::Warning) => ExitCode::from(1),
        Some(Severity::Note) | None => ExitCode::SUCCESS,
    }
}

pub(super) fn command() -> Command {
    let command = Command::new("ferroban lint")
        .about(
            "Finds mistakes in a configuration, and what is legal but hardly meant; changes nothing.",
        )
        .after_help(
            "Exit code: 0 nothing but notes, 1 warnings, 2 a wrong command line, 3 errors.",
        )
        .arg(directory::option())
        .arg(directory::positional())
        .arg(
            Arg::new("notes")
                .long("notes")
                .action(ArgAction::SetTrue)
                .help("show notes, too: filters and actions no jail uses, options nothing reads, regexes that backtrack"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("print one JSON object with all findings"),
        );
    help::formed(
        command,
        &[
            ("the configuration of this machine", "ferroban lint"),
            (
                "another one, with notes",
                "ferroban lint --notes ./fail2ban",
            ),
        ],
    )
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    let alike = findings.iter().filter(|f| f.severity == severity);
    alike.count()
}

/// One finding a line, in the form of compilers; below it the line in question.
fn report(findings: &[Finding], notes: bool) -> String {
    let mut text = String::new();
    let shown = findings
        .iter()
        .filter(|finding| notes || finding.severity > Severity::Note);
    for finding in shown {
        if let Some(place) = &finding.place {
            text.push_str(&format!("{}: ", place.origin));
        }
        let (word, kind) = (finding.severity.word(), finding.kind);
        let message = finding.message.replace('\n', " ");
        let column = finding.column.map(|column| format!(" (column {column})"));
        let column = column.unwrap_or_default();
        text.push_str(&format!("{word}: {message}{column} [{kind}]\n"));
        let line = finding.place.as_ref().map(|place| place.text.as_str());
        if let Some(line) = line.filter(|line| !line.is_empty()) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    let [errors, warnings, others] =
        [Severity::Error, Severity::Warning, Severity::Note].map(|s| count(findings, s));
    text.push_str(&format!(
        "{errors} errors, {warnings} warnings, {others} notes"
    ));
    if others > 0 && !notes {
        text.push_str(" (--notes shows them)");
    }
    text
}

fn json_of(findings: &[Finding]) -> String {
    let list: Vec<_> = findings
        .iter()
        .map(|finding| {
            let origin = finding.place.as_ref().map(|place| &place.origin);
            json!({
                "severity": finding.severity.word(),
                "kind": finding.kind,
                "file": origin.map(|origin| &*origin.file),
                "line": origin.map(|origin| origin.line),
                "column": finding.column,
                "text": finding.place.as_ref().map(|place| &place.text),
                "jail": finding.jail,
                "message": finding.message,
            })
        })
        .collect();
    json!({
        "errors": count(findings, Severity::Error),
        "warnings": count(findings, Severity::Warning),
        "notes": count(findings, Severity::Note),
        "findings": list,
    })
    .to_string()
}
