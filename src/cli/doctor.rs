//! `ferroban doctor`: looks at the machine, its files and the running server, and says what is wrong,
//! each finding in a sentence with a cure.
//!
//! It only looks. What a finding says is sure: a machine on which all is well gets none. What could not
//! be looked at is named, so that nothing is taken for sound that was not seen.

pub(super) mod bans;
mod commands;
mod database;
mod denials;
pub(super) mod docker;
pub(super) mod findings;
mod idle;
pub(super) mod inspection;
pub(super) mod lines;
pub(super) mod logs;
mod others;
mod own_log;
pub(super) mod processes;
mod redact;
pub(super) mod running;
pub(super) mod server;
mod support;
pub(super) mod tools;
mod units;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};

use self::findings::DoctorFindings;
use self::inspection::Inspection;
use super::{directory, ended, help, refused, say};
use crate::lint::Severity;

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    let findings = match run(&matches) {
        Ok(findings) => findings,
        Err(error) => return ended("doctor", Err(error)),
    };
    match findings.worst() {
        Some(Severity::Error) => ExitCode::from(3),
        Some(Severity::Warning) => ExitCode::from(1),
        Some(Severity::Note) | None => ExitCode::SUCCESS,
    }
}

/// The options, for clap.
pub(super) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        let flag = Arg::new(name).long(name);
        flag.action(ArgAction::SetTrue).help(help)
    };
    let command = Command::new("ferroban doctor")
        .about(
            "Checks the machine and the running server and reports problems, with fixes; changes nothing.",
        )
        .after_help(
            "Exit code: 0 nothing but notes, 1 warnings, 2 a wrong command line, 3 errors.",
        )
        .arg(directory::option())
        .arg(flag("json", "print one JSON object with all findings"))
        .arg(flag("verbose", "also report what is in order").short('v'))
        .arg(
            flag(
                "support",
                "print a report for a bug ticket, without secrets, addresses and names",
            )
            .conflicts_with("json"),
        )
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("FILE")
                .requires("support")
                .help("write the report to a new file"),
        )
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .default_value("/")
                .help("look at the machine or container whose root directory this is"),
        );
    help::formed(
        command,
        &[
            ("check this machine", "ferroban doctor"),
            (
                "a report for a bug ticket, without secrets and addresses",
                "ferroban doctor --support --output report.txt",
            ),
        ],
    )
}

fn run(matches: &ArgMatches) -> anyhow::Result<DoctorFindings> {
    let root = matches.get_one::<String>("root");
    let root = root.map(String::as_str).unwrap_or_default();
    let look = Inspection::at(root, directory::given(matches))
        .with_context(|| format!("cannot look at {root}"))?;
    let findings = examine(&look);
    if matches.get_flag("support") {
        let text = support::text(&look, &findings)?;
        match matches.get_one::<String>("output") {
            Some(file) => write(file, &text).with_context(|| format!("cannot write {file}"))?,
            None => say(text.trim_end()),
        }
        return Ok(findings);
    }
    match matches.get_flag("json") {
        true => say(&findings.json().to_string()),
        false => say(findings.shown(matches.get_flag("verbose")).trim_end()),
    }
    Ok(findings)
}

/// Writes a file that must not be there yet, for its owner alone.
fn write(file: &str, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(text.as_bytes())
}

/// All that is found.
fn examine(look: &Inspection) -> DoctorFindings {
    let mut findings = DoctorFindings::default();
    inspection::configuration(look, &mut findings);
    running::look(look, &mut findings);
    commands::look(look, &mut findings);
    units::look(look, &mut findings);
    server::look(look, &mut findings);
    others::look(look, &mut findings);
    bans::look(look, &mut findings);
    docker::look(look, &mut findings);
    idle::look(look, &mut findings);
    tools::look(look, &mut findings);
    logs::look(look, &mut findings);
    lines::look(look, &mut findings);
    database::look(look, &mut findings);
    own_log::look(look, &mut findings);
    denials::look(look, &mut findings);
    findings.sort();
    findings
}
