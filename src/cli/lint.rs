//! `ferroban lint [DIR]`: what is wrong or hardly meant in a configuration, each with file and line.
//!
//! Exit code 0: nothing but notes; 1: warnings; 3: errors. 2 is a wrong command line, as everywhere.

mod logs;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use serde_json::json;

use super::{directory, help, refused, say};
use crate::config::shipped::Shipped;
use crate::lint::{LintFinding, Severity, lint};

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    let config = directory::chosen(&matches);
    let mut findings = lint(&Shipped, config);
    let asked = matches.get_flag("logs");
    if asked || (!matches.get_flag("no-logs") && io::stdout().is_terminal()) {
        match logs::look(config) {
            Ok(more) => findings.extend(more),
            Err(error) => eprintln!("ferroban lint: the logs were not looked at: {error}"),
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
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
            "Finds errors in a configuration, and valid settings that are likely mistakes; changes nothing.",
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
            Arg::new("logs")
                .long("logs")
                .action(ArgAction::SetTrue)
                .conflicts_with("no-logs")
                .help("also check the logs and the journal that the enabled jails read; default on a terminal"),
        )
        .arg(
            Arg::new("no-logs")
                .long("no-logs")
                .action(ArgAction::SetTrue)
                .help("check only the configuration"),
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
                "with its logs, into a file",
                "ferroban lint --logs > findings",
            ),
            (
                "another one, with notes",
                "ferroban lint --notes ./fail2ban",
            ),
        ],
    )
}

fn count(findings: &[LintFinding], severity: Severity) -> usize {
    let alike = findings.iter().filter(|f| f.severity == severity);
    alike.count()
}

/// One finding a line, in the form of compilers; below it the line in question. Of findings that are the
/// same but for the line, the first is shown, and where the others are. Notes come last, apart.
fn report(findings: &[LintFinding], notes: bool) -> String {
    let mut text = String::new();
    let mut groups: Vec<Vec<&LintFinding>> = Vec::new();
    for finding in findings {
        let group = groups.iter_mut().find(|group| is_same(group[0], finding));
        match group {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    let mut last = None;
    for group in groups {
        let finding = group[0];
        let is_note = finding.severity == Severity::Note;
        if is_note && !notes {
            continue;
        }
        if is_note && last.is_some_and(|last| last > Severity::Note) {
            text.push('\n');
        }
        last = Some(finding.severity);
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
        let places = group.iter().filter_map(|other| other.place.as_ref());
        let mut lines: Vec<u32> = places.map(|place| place.origin.line).skip(1).collect();
        lines.sort_unstable();
        lines.dedup();
        if !lines.is_empty() {
            let lines: Vec<String> = lines.iter().map(u32::to_string).collect();
            let plural = if lines.len() == 1 { "" } else { "s" };
            text.push_str(&format!("    also in line{plural} {}\n", lines.join(", ")));
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

/// Whether two findings say the same of lines of one file.
fn is_same(one: &LintFinding, other: &LintFinding) -> bool {
    let file = |finding: &LintFinding| {
        finding
            .place
            .as_ref()
            .map(|place| place.origin.file.clone())
    };
    let said = |finding: &LintFinding| (finding.severity, finding.kind, finding.message.clone());
    said(one) == said(other) && file(one).is_some() && file(one) == file(other)
}

fn json_of(findings: &[LintFinding]) -> String {
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
