//! `ferroban config JAIL`: every setting of a jail, its final value, and where it was written;
//! `ferroban config export DIR`: the shipped files, written out.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use serde_json::{Value as Json, json};

use super::replay::jails;
use super::{FAILURE, directory, help, refused, say};
use crate::config::jail::report::{JailReport, ReportPart, ReportRow, report};
use crate::config::shipped::{self, Shipped};
use crate::jail::core::JailCore;

/// Where comments begin that say where a value was written.
const COLUMN: usize = 40;

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    if let Some(("export", matches)) = matches.subcommand() {
        let target = matches.get_one::<String>("directory");
        return export(Path::new(target.map(String::as_str).unwrap_or_default()));
    }
    let directory = directory::chosen(&matches);
    let jail = matches.get_one::<String>("jail");
    let jail = jail.map(String::as_str).unwrap_or_default();
    let mut report = match report(&Shipped, directory, jail) {
        Ok(report) => report,
        Err(cause) => {
            let unknown = jails::must_have(directory, jail).err();
            let why = unknown.map_or_else(|| cause.to_string(), |unknown| format!("{unknown:#}"));
            eprintln!("ferroban config: {why}");
            return ExitCode::from(FAILURE);
        }
    };
    add_defaults(&mut report.rows, jail);
    match matches.get_flag("json") {
        true => say(&json_of(jail, &report).to_string()),
        false => say(text(jail, &report).trim_end()),
    }
    match report.error {
        Some(error) => {
            eprintln!("ferroban config: {error}");
            ExitCode::from(FAILURE)
        }
        None => ExitCode::SUCCESS,
    }
}

pub(super) fn command() -> Command {
    let command = Command::new("ferroban config")
        .about("Shows every setting of a jail, its final value, and the file and line it was written in.")
        .arg(directory::option())
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("print one JSON object"),
        )
        .arg(Arg::new("jail").value_name("JAIL").required(true).help("the jail, enabled or not"))
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .subcommand(export_command());
    help::formed(
        command,
        &[
            (
                "what the jail sshd is set to, and where",
                "ferroban config sshd",
            ),
            (
                "the shipped files, to read or to change",
                "ferroban config export ./fail2ban",
            ),
        ],
    )
}

fn export_command() -> Command {
    let command = Command::new("export")
        .bin_name("ferroban config export")
        .about("Writes the shipped configuration into a directory; files that are there stay.")
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .required(true)
                .help("made where it is missing"),
        );
    help::formed(
        command,
        &[("the shipped files", "ferroban config export ./fail2ban")],
    )
}

/// Writes every shipped file that the directory lacks, and says so of each.
fn export(directory: &Path) -> ExitCode {
    for (name, text) in shipped::all() {
        let path = directory.join(name);
        match write_new(&path, &text) {
            Ok(true) => say(&format!("{}", path.display())),
            Ok(false) => eprintln!("ferroban config: {} is there and stays", path.display()),
            Err(error) => {
                eprintln!("ferroban config: {}: {error}", path.display());
                return ExitCode::from(FAILURE);
            }
        }
    }
    ExitCode::SUCCESS
}

/// Whether the file was written; not where something has its name already.
fn write_new(path: &Path, text: &str) -> io::Result<bool> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // a script is there to be run
    let mode = if text.starts_with("#!") { 0o777 } else { 0o666 };
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Adds what the server does when the configuration says nothing.
fn add_defaults(rows: &mut Vec<ReportRow>, jail: &str) {
    let core = JailCore::new(jail, true);
    for name in [
        "maxretry",
        "maxmatches",
        "findtime",
        "bantime",
        "ignoreself",
        "logencoding",
    ] {
        if rows.iter().any(|row| row.name == name) {
            continue;
        }
        if let Some(value) = core.option(name) {
            rows.push(ReportRow {
                name: name.to_owned(),
                value: value.str().into_owned(),
                place: None,
            });
        }
    }
}

/// In the form of a configuration file, with origins as comments.
fn text(jail: &str, report: &JailReport) -> String {
    let state = if report.enabled {
        "enabled"
    } else {
        "not enabled"
    };
    let mut out = format!("; jail {jail}, {state}\n");
    section(&mut out, &format!("[{jail}]"), &report.rows);
    section(&mut out, "; options that serve others", &report.variables);
    if let Some(filter) = &report.filter {
        section(
            &mut out,
            &format!("; filter {}", one_line(filter)),
            &filter.rows,
        );
    }
    for action in &report.actions {
        section(
            &mut out,
            &format!("; action {}", one_line(action)),
            &action.rows,
        );
    }
    out
}

fn one_line(part: &ReportPart) -> String {
    let words: Vec<&str> = part.definition.split_whitespace().collect();
    words.join(" ")
}

fn section(out: &mut String, title: &str, rows: &[ReportRow]) {
    if rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n{title}\n"));
    for row in rows {
        let origin = row.place.as_ref().map(|place| place.origin.to_string());
        let origin = origin.unwrap_or_else(|| "default".to_owned());
        let mut lines = row.value.split('\n').filter(|line| !line.trim().is_empty());
        let (first, rest) = match row.value.trim().contains('\n') {
            true => ("", true),
            false => (lines.next().unwrap_or_default(), false),
        };
        let head = format!("{} = {first}", row.name);
        out.push_str(&format!("{:<COLUMN$} ; {origin}\n", head.trim_end()));
        if rest {
            for line in lines {
                out.push_str(&format!("    {line}\n"));
            }
        }
    }
}

fn json_of(jail: &str, report: &JailReport) -> Json {
    let part =
        |part: &ReportPart| json!({"definition": part.definition, "settings": rows(&part.rows)});
    json!({
        "jail": jail,
        "enabled": report.enabled,
        "error": report.error,
        "settings": rows(&report.rows),
        "variables": rows(&report.variables),
        "filter": report.filter.as_ref().map(part),
        "actions": report.actions.iter().map(part).collect::<Vec<_>>(),
    })
}

fn rows(rows: &[ReportRow]) -> Vec<Json> {
    rows.iter()
        .map(|row| {
            let origin = row.place.as_ref().map(|place| &place.origin);
            json!({
                "name": row.name,
                "value": row.value,
                "file": origin.map(|origin| &*origin.file),
                "line": origin.map(|origin| origin.line),
            })
        })
        .collect()
}
