//! `ferroban filter new`: a filter and a jail from lines of a log that are marked as attacks or as
//! innocent, tried before anything is written.
//!
//! Exit code 0: the filter does what the marks ask for; 1: it does not, and nothing is written. 2 is a wrong
//! command line, as everywhere.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::replay::lines::ReplayLines;
use super::replay::logs::ReplayLogs;
use super::{directory, help, printable, refused, say};
use crate::clock;
use crate::config::shipped::{self, Shipped};
use crate::draft::trial::{DraftLog, DraftTrial};
use crate::draft::{Draft, DraftDate, DraftError, DraftSource};
use crate::jail::replay::ReplayJail;
use crate::source::compressed::ByteMeter;

/// The exit code when the filter does not do what it should.
const FAILED: u8 = 1;
/// More lines are too many to look at one by one.
const MOST_LINES: usize = 1_000_000;

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    match run(&matches) {
        Ok(false) => ExitCode::from(FAILED),
        result => super::ended("filter", result.map(|_| ())),
    }
}

/// The options, for clap.
pub(super) fn command() -> Command {
    let marks = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("LINES|TEXT")
            .action(ArgAction::Append)
            .help(help)
    };
    let command = Command::new("ferroban filter")
        .override_usage("ferroban filter new --log <FILE> --attack <LINES|TEXT> [OPTIONS]")
        .about(
            "Generates a filter and a jail from log lines that you mark as attacks or as innocent, and tests them.",
        )
        .after_help(
            "Exit code: 0 the filter does what it should, 1 it does not and nothing is written, 2 a wrong \
             command line, 255 the log cannot be read.",
        )
        .arg(
            Arg::new("what")
                .value_name("new")
                .value_parser(["new"])
                .required(true)
                .help("write a new one"),
        )
        .arg(
            Arg::new("log")
                .long("log")
                .value_name("FILE")
                .required(true)
                .help("the log, or what journalctl printed; - is standard input"),
        )
        .arg(
            marks(
                "attack",
                "the attack lines: numbers (3,7-9), or a text that they hold (may be given several times)",
            )
            .required(true),
        )
        .arg(marks(
            "innocent",
            "lines that must not be found, likewise; they may hold the text of attack lines",
        ))
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .help("name of filter and jail [default: the program in the lines, or the log's name]"),
        )
        .arg(
            Arg::new("journalmatch")
                .long("journalmatch")
                .value_name("MATCH")
                .help("the jail reads the journal with this match, such as _SYSTEMD_UNIT=app.service"),
        )
        .arg(
            Arg::new("write")
                .long("write")
                .value_name("DIR")
                .help("write filter.d/NAME.conf and jail.d/NAME.local below this directory"),
        )
        .arg(directory::option());
    help::formed(
        command,
        &[
            (
                "from all lines with a text, but two that are no attacks",
                "ferroban filter new --log app.log --attack refused --innocent 12,31",
            ),
            (
                "from some lines, and written where jails are",
                "ferroban filter new --log app.log --attack 3,7-9 --write /etc/fail2ban",
            ),
        ],
    )
}

/// Whether the filter does what it should.
fn run(matches: &ArgMatches) -> anyhow::Result<bool> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let path = text("log").unwrap_or_default();
    let lines = read(path)?;
    let marked = |name: &str| -> anyhow::Result<BTreeSet<usize>> {
        let mut all = BTreeSet::new();
        for mark in matches.get_many::<String>(name).unwrap_or_default() {
            all.extend(places(mark, &lines).with_context(|| format!("--{name} {mark}"))?);
        }
        Ok(all)
    };
    let innocent = marked("innocent")?;
    let attacks: BTreeSet<usize> = marked("attack")?.difference(&innocent).copied().collect();
    let source = match text("journalmatch") {
        Some(matches) => DraftSource::Journal(matches.to_owned()),
        None if path == "-" => {
            bail!("the jail needs a log to read: name a file, or the journal by --journalmatch");
        }
        None => DraftSource::Log(current(path)?),
    };
    let config = directory::chosen(matches);
    let now = clock::now();
    let of = |places: &BTreeSet<usize>| {
        places
            .iter()
            .map(|&at| lines[at].as_str())
            .collect::<Vec<_>>()
    };
    let drawn = Draft::new(source, &of(&attacks), &of(&innocent), now);
    let mut draft = drawn.map_err(|error| match error {
        DraftError::NoAddress(place) => {
            let number = attacks.iter().nth(place).map_or(0, |at| at + 1);
            anyhow::anyhow!("{path}, line {number}: {error}")
        }
        error => anyhow::Error::from(error),
    })?;
    draft.name = match text("name") {
        Some(name) if is_name(name) => name.to_owned(),
        Some(name) => bail!("--name {name}: letters, digits, - and _ make a name"),
        None => name_of(&draft, path, config),
    };
    let log = DraftLog {
        lines: &lines,
        attacks: &attacks,
        innocent: &innocent,
    };
    let trial = draft.tried(&Shipped, config, &log, now);
    let trial = trial.map_err(|why| anyhow::anyhow!("the filter cannot be used: {why}"))?;
    if !trial.is_passed() {
        eprintln!("{}", report(&draft, &trial, &log));
        eprintln!("\nThe filter would be:\n\n{}", draft.filter_file());
        eprintln!("Nothing was written. Mark more lines, or write it by hand from here.");
        return Ok(false);
    }
    match text("write") {
        Some(directory) => {
            let (filter, jail) = draft.paths(directory);
            write(&filter, &draft.filter_file())?;
            write(&jail, &draft.jail_file())?;
            say(&format!(
                "{}\n\nWritten: {filter}\n         {jail}",
                report(&draft, &trial, &log)
            ));
        }
        None => {
            let (filter, jail) = draft.paths("");
            say(&format!("# {filter}\n{}", draft.filter_file()));
            say(&format!("# {jail}\n{}", draft.jail_file()));
            say(&report(&draft, &trial, &log));
        }
    }
    Ok(true)
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.chars().all(is_part)
}

/// The program in the lines or the name of the log; with `-own` where there is a filter of this name.
fn name_of(draft: &Draft, log: &str, config: &str) -> String {
    let program = draft
        .daemons
        .first()
        .map(|name| name.split('/').next().unwrap_or(name));
    let file = Path::new(log)
        .file_name()
        .map(|name| name.to_string_lossy());
    let file = file.as_deref().and_then(|name| name.split('.').next());
    let name: String = program.or(file).unwrap_or_default().to_lowercase();
    let name = name.replace(|c: char| !is_name(c.encode_utf8(&mut [0; 4])), "-");
    let name = match name.trim_matches('-') {
        "" => "own",
        name => name,
    };
    let filter = format!("filter.d/{name}.conf");
    let is_taken =
        shipped::all().any(|(file, _)| file == filter) || Path::new(config).join(filter).exists();
    match is_taken {
        true => format!("{name}-own"),
        false => name.to_owned(),
    }
}

/// The lines of a log.
fn read(path: &str) -> anyhow::Result<Vec<String>> {
    let input = ReplayLogs::new(ByteMeter::default()).input(path, "utf-8");
    let mut jail = ReplayJail::new("filter");
    let mut log = ReplayLines::new(vec![input], &mut jail, 0.0);
    let mut lines = Vec::new();
    while let Some(line) = log.next() {
        if lines.len() == MOST_LINES {
            bail!("{path}: more than {MOST_LINES} lines; give it a part of the log");
        }
        lines.push(line);
    }
    if let Some((path, error)) = log.failed().into_iter().next() {
        bail!("{path}: {error}");
    }
    Ok(lines)
}

/// The lines that a mark means, from 0: numbers from 1 as in `3,7-9`, or those that hold a text.
fn places(mark: &str, lines: &[String]) -> anyhow::Result<BTreeSet<usize>> {
    let is_numbers = mark.contains(|c: char| c.is_ascii_digit())
        && mark
            .chars()
            .all(|c| c.is_ascii_digit() || c == ',' || c == '-');
    let mut found = BTreeSet::new();
    if is_numbers {
        for part in mark.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| -> anyhow::Result<usize> {
                let number = text
                    .parse()
                    .with_context(|| format!("'{part}' is no line"))?;
                if !(1..=lines.len()).contains(&number) {
                    bail!("the log has no line {number}, only {}", lines.len());
                }
                Ok(number - 1)
            };
            found.extend(number(first)?..=number(last)?);
        }
    } else {
        let holding = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains(mark));
        found.extend(holding.map(|(at, _)| at));
    }
    if found.is_empty() {
        bail!("no line of the log holds this text");
    }
    Ok(found)
}

/// The log that a jail is to read: the present one where an older one was given, with its whole path.
fn current(path: &str) -> anyhow::Result<String> {
    let whole = std::path::absolute(path).with_context(|| path.to_owned())?;
    let whole = whole.to_string_lossy().into_owned();
    let packed = [".gz", ".xz", ".zst"]
        .iter()
        .find_map(|ending| whole.strip_suffix(ending));
    let plain = packed.unwrap_or(&whole);
    let older = plain
        .rsplit_once('.')
        .filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
    Ok(older.map_or(plain, |(name, _)| name).to_owned())
}

/// Writes a new file.
fn write(path: &str, text: &str) -> anyhow::Result<()> {
    if let Some(directory) = Path::new(path).parent() {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.with_context(|| format!("{path}: choose another name by --name"))?;
    file.write_all(text.as_bytes())
        .with_context(|| path.to_owned())
}

/// What came of trying it.
fn report(draft: &Draft, trial: &DraftTrial, log: &DraftLog<'_>) -> String {
    let mut text = format!(
        "{} of {} attack lines found",
        log.attacks.len() - trial.missed.len(),
        log.attacks.len()
    );
    if !log.innocent.is_empty() {
        let (accused, all) = (trial.accused.len(), log.innocent.len());
        text.push_str(&format!(", {accused} of {all} innocent lines"));
    }
    text.push('.');
    let mut show = |heading: &str, places: &[usize]| {
        /// So many are enough to see what they are.
        const SHOWN: usize = 3;
        if !places.is_empty() {
            text.push_str(&format!("\n{heading}:"));
            for &at in places.iter().take(SHOWN) {
                text.push_str(&format!(
                    "\n  line {}: {}",
                    at + 1,
                    printable(&log.lines[at])
                ));
            }
        }
    };
    show("Not found", &trial.missed);
    show("Innocent, and found", &trial.accused);
    let others = format!(
        "Found as well: {} lines that are not marked, such as",
        trial.others.len()
    );
    show(&others, &trial.others);
    if draft.dating == DraftDate::None {
        text.push_str("\nNo date was found in the lines: they count when they are read.");
    }
    match &trial.led {
        Some((line, id)) => text.push_str(&format!(
            "\nA client can have {id} blamed, which is not its own address, by:\n  {}",
            printable(line)
        )),
        None => text.push_str(&format!(
            "\n{} lines that a client might provoke were tried; none of them blames another.",
            trial.provoked
        )),
    }
    match trial.findings.is_empty() {
        true => text.push_str("\nlint has nothing to say."),
        false => {
            for finding in &trial.findings {
                text.push_str(&format!("\nlint: {} [{}]", finding.message, finding.kind));
            }
        }
    }
    text
}
