//! `ferroban filter new` over the logs of services in `tests/filter_new`: what it draws up finds all attack
//! lines and no innocent one, lint says nothing against it, and no client leads it.
//!
//! In a log there `+` begins an attack line, `-` an innocent one and a blank any other. `# injection: NAME`
//! names the filter in `tests/injection` whose service writes the same lines, `# journalmatch: MATCH` makes
//! the jail read the journal.

mod common;
#[allow(dead_code)] // the other half is for the shipped filters
mod injection;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use injection::Extent;

/// What names of filters begin with here.
const BEGIN: &str = "drawn-up-";

/// A log and its marks.
struct Sample {
    filter: String,
    lines: Vec<String>,
    attacks: Vec<usize>,
    innocent: Vec<usize>,
    injection: Option<String>,
    journalmatch: Option<String>,
}

impl Sample {
    fn read(path: &Path) -> Sample {
        let text = fs::read_to_string(path).expect("a log");
        let header = |name: &str| {
            let begin = format!("# {name}: ");
            let line = text.lines().find_map(|line| line.strip_prefix(&begin));
            line.map(str::to_owned)
        };
        let marked: Vec<(&str, &str)> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_at(2))
            .collect();
        let with = |mark: &str| {
            let numbers = marked
                .iter()
                .zip(1..)
                .filter(|((sign, _), _)| sign.starts_with(mark));
            numbers.map(|(_, number)| number).collect()
        };
        Sample {
            filter: format!("{BEGIN}{}", path.file_stem().expect("a name").display()),
            attacks: with("+"),
            innocent: with("-"),
            lines: marked.iter().map(|(_, line)| (*line).to_owned()).collect(),
            injection: header("injection"),
            journalmatch: header("journalmatch"),
        }
    }

    fn all() -> Vec<Sample> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filter_new");
        let entries = fs::read_dir(directory).expect("tests/filter_new");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
        paths.sort();
        paths.iter().map(|path| Sample::read(path)).collect()
    }

    /// Has a filter drawn up of it, and written below a directory.
    fn drawn(&self, directory: &Path) -> Output {
        let log = directory.join(format!("{}.log", self.filter));
        fs::write(&log, self.lines.join("\n") + "\n").expect("written");
        let list = |numbers: &[usize]| {
            let words: Vec<String> = numbers.iter().map(usize::to_string).collect();
            words.join(",")
        };
        let mut program = common::ours("filter");
        program.args(["new", "-c", "(shipped)", "--name", &self.filter]);
        program.arg("--log").arg(&log);
        program.arg("--write").arg(directory);
        program.args(["--attack", &list(&self.attacks)]);
        program.args(["--innocent", &list(&self.innocent)]);
        if let Some(matches) = &self.journalmatch {
            program.args(["--journalmatch", matches]);
        }
        program.output().expect("ferroban runs")
    }
}

/// The lines of a log that a filter finds, by their numbers from 1.
fn found(config: &Path, filter: &str, log: &Path) -> Vec<usize> {
    let output = common::ours("fail2ban-regex")
        .arg("-c")
        .arg(config)
        .args(["-o", "msg"])
        .arg(log)
        .arg(filter)
        .output()
        .expect("runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = fs::read_to_string(log).expect("a log");
    let number = |line: &str| lines.lines().position(|own| own == line).map(|at| at + 1);
    let numbers = text
        .lines()
        .map(|line| number(line).expect("a line of the log"));
    numbers.collect()
}

#[test]
fn filters_drawn_up_for_services_find_what_is_marked_and_cannot_be_led() {
    let samples = Sample::all();
    assert!(samples.len() >= 15, "{}", samples.len());
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let mut tried = 0;
    for sample in &samples {
        let name = &sample.filter;
        let output = sample.drawn(here);
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let found = found(
            here,
            &format!("{name}.conf"),
            &here.join(format!("{name}.log")),
        );
        let missed = sample.attacks.iter().filter(|line| !found.contains(line));
        assert_eq!(missed.count(), 0, "{name}: {found:?}");
        let accused = sample.innocent.iter().filter(|line| found.contains(line));
        assert_eq!(accused.count(), 0, "{name}: {found:?}");
        let filter = fs::read_to_string(here.join(format!("filter.d/{name}.conf")));
        let filter = filter.expect("a filter");
        assert!(
            filter.contains("<ADDR>") && !filter.contains(".*"),
            "{filter}"
        );
        // the same clients that try to lead the shipped filter of this service
        if let Some(shipped) = &sample.injection {
            let score = injection::of_service(here, name, shipped, Extent::Sample(500));
            assert!(score.attempts > 500, "{name}: {}", score.attempts);
            assert!(score.led.is_empty(), "{name}:\n{}", score.led.join("\n"));
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
    let lint = common::ours("lint").arg(here).output().expect("runs");
    let said = String::from_utf8_lossy(&lint.stdout);
    let about = said.lines().filter(|line| line.contains(BEGIN));
    assert_eq!(about.collect::<Vec<_>>(), [""; 0], "{said}");
}

/// A log with these lines, and what is drawn up of it.
fn drawn(lines: &str, words: &[&str]) -> (Option<i32>, String, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("app.log");
    fs::write(&log, lines).expect("written");
    let words = words
        .iter()
        .map(|word| word.replace("DIR", &directory.path().display().to_string()));
    let output = common::ours("filter")
        .args(["new", "-c", "(shipped)", "--log"])
        .arg(&log)
        .args(words)
        .output()
        .expect("ferroban runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
        directory,
    )
}

const LINES: &str = "\
2026-11-20 10:00:01 app: refused bob at 192.0.2.1
2026-11-20 10:00:02 app: refused eve at 192.0.2.2
2026-11-20 10:00:03 app: welcome anna at 192.0.2.3
2026-11-20 10:00:04 app: refused mallory at 192.0.2.4
";

#[test]
fn attack_lines_are_named_by_numbers_or_by_a_text() {
    let (code, by_text, _) = drawn(LINES, &["--attack", "refused"]);
    assert_eq!(code, Some(0), "{by_text}");
    assert!(by_text.contains("3 of 3 attack lines found."), "{by_text}");
    let (code, by_numbers, _) = drawn(LINES, &["--attack", "1-2", "--attack", "4"]);
    assert_eq!(code, Some(0), "{by_numbers}");
    let filter = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("failregex"))
            .map(str::to_owned)
    };
    assert_eq!(filter(&by_text), filter(&by_numbers));
    assert_eq!(
        filter(&by_text).as_deref(),
        Some("failregex = ^\\s*app: refused \\S+ at <ADDR>$")
    );
    // the same lines, the same draft
    assert_eq!(
        drawn(LINES, &["--attack", "refused"]).1.lines().nth(4),
        by_text.lines().nth(4)
    );
    for (mark, told) in [
        ("9", "the log has no line 9, only 4"),
        ("2-x", "no line of the log holds this text"),
        ("nowhere", "no line of the log holds this text"),
    ] {
        let (code, text, _) = drawn(LINES, &["--attack", mark]);
        assert_eq!(code, Some(255), "{text}");
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn innocent_lines_are_not_found_or_nothing_is_written() {
    let (code, text, _) = drawn(LINES, &["--attack", "refused", "--innocent", "3"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("3 of 3 attack lines found, 0 of 1 innocent lines."),
        "{text}"
    );
    // an innocent line that differs in nothing but a name
    let lines = LINES.to_owned() + "2026-11-20 10:00:05 app: refused zoe at 192.0.2.5\n";
    let (code, text, directory) = drawn(
        &lines,
        &["--attack", "1,2", "--innocent", "5", "--write", "DIR"],
    );
    assert_eq!(code, Some(0), "{text}");
    let filter = fs::read_to_string(directory.path().join("filter.d/app.conf")).expect("a filter");
    assert!(
        filter.contains("refused (?:bob|eve) at <ADDR>$"),
        "{filter}"
    );
    // and one that differs in nothing
    let lines = format!("{LINES}2026-11-20 10:00:05 app: refused bob at 192.0.2.5\n");
    let (code, text, directory) = drawn(
        &lines,
        &["--attack", "1,2", "--innocent", "5", "--write", "DIR"],
    );
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("1 of 1 innocent lines.\nInnocent, and found:\n  line 5: "),
        "{text}"
    );
    assert!(text.contains("Nothing was written."), "{text}");
    assert!(!directory.path().join("filter.d").exists());
}

#[test]
fn write_makes_both_files_and_never_replaces_one() {
    let (code, text, directory) = drawn(
        LINES,
        &[
            "--attack",
            "refused",
            "--name",
            "app-logins",
            "--write",
            "DIR",
        ],
    );
    assert_eq!(code, Some(0), "{text}");
    let here = directory.path();
    let jail = fs::read_to_string(here.join("jail.d/app-logins.local")).expect("a jail");
    let log = here.join("app.log").display().to_string();
    for line in [
        "[app-logins]",
        "filter = app-logins",
        &format!("logpath = {log}"),
        "maxretry = 5",
    ] {
        assert!(jail.lines().any(|own| own == line), "{line}: {jail}");
    }
    let words = [
        "new",
        "-c",
        "(shipped)",
        "--log",
        &log,
        "--attack",
        "refused",
        "--name",
        "app-logins",
    ];
    let again = common::ours("filter")
        .args(words)
        .arg("--write")
        .arg(here)
        .output()
        .expect("runs");
    assert_eq!(again.status.code(), Some(255));
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(told.contains("choose another name by --name"), "{told}");
    // the jail bans by it
    let output = common::ours("replay")
        .arg("-c")
        .arg(here)
        .args(["--jail", "app-logins", "--json"])
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\"failures\":3"), "{text}");
}

#[test]
fn name_is_that_of_the_program_or_the_log_and_never_one_there_is() {
    let section = |text: &str| {
        text.lines()
            .find(|line| line.starts_with('[') && !line.contains("Def") && !line.contains("INC"))
            .map(str::to_owned)
    };
    let (_, text, _) = drawn(LINES, &["--attack", "refused"]);
    assert_eq!(section(&text).as_deref(), Some("[app]"), "{text}");
    let lines = LINES.replace(" app:", " srv sshd[12]:");
    let (_, text, _) = drawn(&lines, &["--attack", "refused"]);
    assert_eq!(section(&text).as_deref(), Some("[sshd-own]"), "{text}");
    let (code, text, _) = drawn(LINES, &["--attack", "refused", "--name", "a b"]);
    assert_eq!(code, Some(255), "{text}");
}

#[test]
fn journalmatch_makes_a_jail_of_the_journal() {
    let lines = LINES.replace(" app:", " srv app[12]:");
    let (code, text, _) = drawn(
        &lines,
        &[
            "--attack",
            "refused",
            "--journalmatch",
            "_SYSTEMD_UNIT=app.service",
        ],
    );
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "journalmatch = _SYSTEMD_UNIT=app.service",
        "backend = systemd",
        "_daemon = app",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}: {text}");
    }
    assert!(!text.contains("logpath"), "{text}");
}

#[test]
fn log_without_dates_or_addresses_is_told() {
    let undated: String = LINES
        .lines()
        .map(|line| format!("{}\n", &line[20..]))
        .collect();
    let (code, text, _) = drawn(&undated, &["--attack", "refused"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("datepattern = {NONE}") && text.contains("No date was found"),
        "{text}"
    );
    let (code, text, _) = drawn("refused bob\n", &["--attack", "refused"]);
    assert_eq!(code, Some(255), "{text}");
    assert!(text.contains("line 1: no address in this line"), "{text}");
}
