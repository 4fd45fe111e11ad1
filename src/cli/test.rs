//! `ferroban test [DIR|FILTER…]`: runs annotated log lines against filters and says what differs.
//!
//! Exit code 0: all as expected; 1: lines differ; 3: something could not be tried, be it that there
//! is nothing to try. 2 is a wrong command line, as everywhere.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};

use super::{directory, help, printable, refused, say};
use crate::samples::{self, Difference, Facts, Measure, SampleResult};

/// The exit code when lines differ.
const DIFFERS: u8 = 1;
/// The exit code when something could not be tried.
const UNTRIED: u8 = 3;

/// A filter, and what came out for it.
struct TestedFilter {
    filter: String,
    lines: Result<Vec<SampleResult>, samples::SampleError>,
}

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args.clone()) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    if std::env::var_os("TZ").is_none_or(|zone| zone != samples::ZONE) {
        return in_zone(&args[1..]);
    }
    let config = Path::new(directory::chosen(&matches));
    let words = matches.get_many::<String>("what").unwrap_or_default();
    let (asked, mut complaints) = asked(config, words.map(String::as_str));
    let mut results = Vec::new();
    for (directory, filter) in asked {
        let lines = samples::judge(&filter, config, &directory, Measure::Everything);
        if let Err(error) = &lines {
            complaints.push(error.to_string());
        }
        results.push(TestedFilter { filter, lines });
    }
    match matches.get_flag("json") {
        true => say(&json_of(&results, &complaints)),
        false => {
            let report = report(&results);
            if !report.is_empty() {
                say(&report);
            }
        }
    }
    for complaint in &complaints {
        eprintln!("ferroban test: {}", printable(complaint));
    }
    let mut judged = results.iter().flat_map(|r| r.lines.iter().flatten());
    match complaints.is_empty() {
        false => ExitCode::from(UNTRIED),
        true if judged.any(|line| line.difference.is_some()) => ExitCode::from(DIFFERS),
        true => ExitCode::SUCCESS,
    }
}

pub(super) fn command() -> Command {
    let command = Command::new("ferroban test")
        .about("Tests filters on annotated log lines and reports where the results differ.")
        .after_help(
            "Exit code: 0 all as expected, 1 lines differ, 2 a wrong command line, \
             3 something could not be tried.",
        )
        .arg(directory::option())
        .arg(
            Arg::new("what")
                .value_name("DIR|FILTER")
                .action(ArgAction::Append)
                .help(
                    "a directory (with a slash) in which each file has the name of a filter, or a \
                     filter with samples in filter.d/tests of the configuration directory \
                     [default: all that are there]",
                ),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("print one JSON object with all differences"),
        );
    help::formed(
        command,
        &[
            (
                "all filters that have samples in filter.d/tests",
                "ferroban test",
            ),
            ("one of them", "ferroban test my-service"),
            (
                "a directory of samples, another configuration",
                "ferroban test -c ./fail2ban ./samples/",
            ),
        ],
    )
}

/// Runs the program again in the zone that samples have: local time is that of the process.
fn in_zone(words: &[OsString]) -> ExitCode {
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let error = std::process::Command::new(program)
        .arg("test")
        .args(words)
        .env("TZ", samples::ZONE)
        .exec();
    eprintln!("ferroban test: cannot start itself again: {error}");
    ExitCode::from(UNTRIED)
}

/// The samples asked for, each with its directory and filter, and what cannot be.
fn asked<'w>(
    config: &Path,
    words: impl Iterator<Item = &'w str>,
) -> (BTreeSet<(PathBuf, String)>, Vec<String>) {
    let usual = config.join("filter.d/tests");
    let mut asked = BTreeSet::new();
    let mut complaints = Vec::new();
    let mut whole =
        |directory: &Path, complaints: &mut Vec<String>| match samples::in_directory(directory) {
            Ok(names) if names.is_empty() => {
                complaints.push(format!("there are no samples in {}", directory.display()));
            }
            Ok(names) => asked.extend(names.into_iter().map(|name| (directory.to_owned(), name))),
            Err(error) => complaints.push(error.to_string()),
        };
    let words: Vec<&str> = words.collect();
    if words.is_empty() {
        match usual.is_dir() {
            true => whole(&usual, &mut complaints),
            false => complaints.push(format!("there are no samples: no {}", usual.display())),
        }
    }
    let (directories, filters): (Vec<&str>, Vec<&str>) = words
        .into_iter()
        .partition(|word| word.contains('/') || [".", ".."].contains(word));
    for directory in directories {
        whole(Path::new(directory), &mut complaints);
    }
    for filter in filters {
        match usual.join(filter).is_file() {
            true => {
                asked.insert((usual.clone(), filter.to_owned()));
            }
            false => {
                let mut complaint =
                    format!("there are no samples: no {}/{filter}", usual.display());
                if Path::new(filter).is_dir() {
                    complaint += &format!("; the directory is written ./{filter}");
                }
                complaints.push(complaint);
            }
        }
    }
    (asked, complaints)
}

/// A line for each filter, and below it what differs.
fn report(results: &[TestedFilter]) -> String {
    let mut text = String::new();
    let (mut filters, mut all, mut differing) = (0, 0, 0);
    for TestedFilter { filter, lines } in results {
        let Ok(lines) = lines else { continue };
        let differences = differences(lines);
        filters += 1;
        all += lines.len();
        differing += differences.len();
        let verdict = match differences.len() {
            0 => "all as expected".to_owned(),
            count => format!("{count} differ"),
        };
        text.push_str(&format!(
            "{filter}: {}, {verdict}\n",
            count(lines.len(), "line")
        ));
        for (line, difference) in differences {
            let options = match samples::arguments(&line.options) {
                given if given.is_empty() => String::new(),
                given => format!(" [{given}]"),
            };
            text.push_str(&format!(
                "  {}:{}:{options}\n    {}\n    expected {}\n    got      {}\n",
                line.path.display(),
                line.line,
                printable(&line.text),
                facts(&difference.expected),
                facts(&difference.got),
            ));
        }
    }
    if filters > 1 {
        let (filters, lines) = (count(filters, "filter"), count(all, "line"));
        text.push_str(&format!("{filters}, {lines}, {differing} differ\n"));
    }
    text.truncate(text.trim_end().len());
    text
}

fn count(number: usize, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

/// As an annotation has it.
fn facts(facts: &Facts) -> String {
    printable(&Value::Object(facts.clone()).to_string())
}

fn differences(lines: &[SampleResult]) -> Vec<(&SampleResult, &Difference)> {
    let differing = lines
        .iter()
        .filter_map(|line| Some((line, line.difference.as_ref()?)));
    differing.collect()
}

fn json_of(results: &[TestedFilter], complaints: &[String]) -> String {
    let filters = results.iter().map(|TestedFilter { filter, lines }| {
        let lines = lines.as_deref().unwrap_or_default();
        let list = differences(lines).into_iter().map(|(line, difference)| {
            json!({
                "file": line.path.to_string_lossy(),
                "line": line.line,
                "text": line.text,
                "options": line.options,
                "expected": difference.expected,
                "got": difference.got,
            })
        });
        let list: Vec<_> = list.collect();
        json!({
            "filter": filter,
            "lines": lines.len(),
            "differ": list.len(),
            "differences": list,
        })
    });
    let filters: Vec<_> = filters.collect();
    let sum = |key: &str| -> u64 { filters.iter().filter_map(|f| f[key].as_u64()).sum() };
    json!({
        "lines": sum("lines"),
        "differ": sum("differ"),
        "filters": filters,
        "errors": complaints,
    })
    .to_string()
}
