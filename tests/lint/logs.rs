//! `ferroban lint --logs`: what cannot be seen in the configuration alone, each with a log that is near
//! and sound.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use super::common;
use super::common::journal_file;

/// A log, and what is to be said of it.
struct Case {
    name: &'static str,
    log: Vec<u8>,
    /// Days since it was written.
    age: u64,
    /// Further settings of the jail.
    settings: &'static str,
    /// Severity, kind and a part of the message; nothing: no warning.
    told: Option<[&'static str; 3]>,
}

/// Lines as sshd writes them, the last of them so many seconds ago.
fn lines(count: u64, ago: u64, message: &str) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let line = |number| {
        let time = i64::try_from(now - ago - count + number).unwrap();
        let date = ferroban::parts::jail::decision::local_time(time as f64);
        let date = date.get(..19).unwrap().to_owned();
        format!("{date} host sshd[1]: {message}\n")
    };
    (1..=count).map(line).collect()
}

struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    fn new(jails: &str) -> Site {
        let site = Site {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(site.path("etc")).unwrap();
        let text = jails.replace("{dir}", &site.directory.path().display().to_string());
        fs::write(site.path("etc/jail.local"), text).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn lint(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = common::ours("lint");
        command.args(arguments).arg(self.path("etc"));
        command
    }

    /// Severity, kind and message of each finding about what jails read.
    fn findings(&self, arguments: &[&str]) -> Vec<[String; 3]> {
        let output = self.lint(arguments).arg("--json").output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap().iter();
        let text =
            |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap().to_owned();
        findings
            .filter(|finding| {
                finding["file"]
                    .as_str()
                    .is_some_and(|file| file.ends_with("jail.local"))
            })
            .map(|finding| ["severity", "kind", "message"].map(|name| text(finding, name)))
            .collect()
    }
}

fn set_age(log: &Path, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    File::options()
        .append(true)
        .open(log)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn cases() -> Vec<Case> {
    let sound = lines(50, 0, "hello");
    let case = |name, log: &[u8], told| Case {
        name,
        log: log.to_vec(),
        age: 0,
        settings: "",
        told,
    };
    let coloured: String = sound
        .lines()
        .map(|line| format!("\x1b[31m{line}\x1b[0m\n"))
        .collect();
    let undated = "sshd: hello\n".repeat(20);
    vec![
        case("sound", sound.as_bytes(), None),
        case(
            "zone",
            lines(50, 2 * 3600, "hello").as_bytes(),
            Some([
                "warning",
                "clock",
                "2 hours before it was written: the service has another time zone",
            ]),
        ),
        case("minutes", lines(50, 600, "hello").as_bytes(), None),
        case(
            "undated",
            undated.as_bytes(),
            Some([
                "warning",
                "no-date",
                "as 'sshd: hello': set datepattern (ferroban explain undated proposes one)",
            ]),
        ),
        Case {
            settings: "datepattern = {NONE}",
            ..case("no-dates-wanted", undated.as_bytes(), None)
        },
        case("two-lines", b"a\nb\n", None),
        case(
            "wide",
            &utf16(&sound),
            Some(["warning", "log-encoding", "is UTF-16, and the jail reads"]),
        ),
        Case {
            settings: "logencoding = utf-16",
            ..case("wide-wanted", &utf16(&sound), None)
        },
        case(
            "coloured",
            coloured.as_bytes(),
            Some(["warning", "log-colours", "50 of the last 50 lines"]),
        ),
        case(
            "one-coloured",
            format!("{sound}{}", coloured.lines().next().unwrap()).as_bytes(),
            None,
        ),
        case(
            "marked",
            format!("\u{feff}{sound}").as_bytes(),
            Some(["note", "log-encoding", "begins with a byte order mark"]),
        ),
        case(
            "latin",
            [sound.as_bytes(), b"caf\xe9\n"].concat().as_slice(),
            Some(["note", "log-encoding", "line 51 of"]),
        ),
        Case {
            settings: "logencoding = latin-1",
            ..case(
                "latin-wanted",
                &[sound.as_bytes(), b"caf\xe9\n"].concat(),
                None,
            )
        },
        Case {
            age: 10,
            ..case(
                "never",
                b"",
                Some([
                    "warning",
                    "log",
                    "has no line and no older part, 10 days after it was made",
                ]),
            )
        },
        Case {
            age: 1,
            ..case("new", b"", None)
        },
    ]
}

#[test]
fn logs_are_looked_at_by_the_filter_of_their_jail() {
    let cases = cases();
    let jail = |case: &Case| {
        format!(
            "[{0}]\nenabled = true\nlogpath = {{dir}}/{0}.log\n{1}\n",
            case.name, case.settings
        )
    };
    let jails: String = cases.iter().map(jail).collect();
    let site = Site::new(&format!(
        "[DEFAULT]\nbackend = polling\nfilter = sshd\n{jails}"
    ));
    for case in &cases {
        let log = site.path(&format!("{}.log", case.name));
        fs::write(&log, &case.log).unwrap();
        set_age(&log, case.age);
    }
    // whole hours from the beginning of the day, which a jail takes that wants no dates
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let midnight = now.unwrap().as_secs() / 86400 * 86400;
    let evening = SystemTime::UNIX_EPOCH + Duration::from_secs(midnight - 3 * 3600);
    let log = File::options()
        .append(true)
        .open(site.path("no-dates-wanted.log"));
    log.unwrap().set_modified(evening).unwrap();
    let found = site.findings(&["--logs"]);
    for case in &cases {
        let path = format!("/{}.log", case.name);
        let of_log: Vec<_> = found
            .iter()
            .filter(|[.., message]| message.contains(&path))
            .collect();
        match case.told {
            Some([severity, kind, part]) => assert!(
                of_log
                    .iter()
                    .any(|[s, k, m]| s == severity && k == kind && m.contains(part)),
                "{}: {of_log:#?}",
                case.name
            ),
            None => {
                let worse = of_log
                    .iter()
                    .find(|[severity, kind, _]| severity != "note" || kind == "log-encoding");
                assert!(worse.is_none(), "{}: {worse:#?}", case.name);
            }
        }
    }
}

#[test]
fn logs_the_share_of_the_last_thousand_lines_is_noted() {
    let site = Site::new("[sshd]\nenabled = true\nbackend = polling\nlogpath = {dir}/a.log\n");
    let failures = lines(3, 0, "Failed password for root from 192.0.2.1 port 22 ssh2");
    let log = format!(
        "{}{}no date\n{failures}",
        failures.repeat(5),
        lines(1996, 3, "hello")
    );
    fs::write(site.path("a.log"), log).unwrap();
    let found = site.findings(&["--logs"]);
    let share = "of the last 1000 lines of ";
    let told = found
        .iter()
        .find(|[_, kind, message]| kind == "log-share" && message.starts_with(share));
    let [severity, _, message] = told.expect("a note");
    assert!(
        severity == "note"
            && message.ends_with(" 999 have a date and 3 are failures for the jail sshd"),
        "{message}"
    );
}

#[test]
fn logs_a_match_of_the_journal_that_finds_nothing_is_told() {
    let site = Site::new(
        "[DEFAULT]\nfilter = sshd\nbackend = systemd[journalfiles={dir}/a.journal]\n\
         [right]\nenabled = true\njournalmatch = _COMM=sshd\n\
         [wrong]\nenabled = true\njournalmatch = _COMM=shsd\n",
    );
    let entry = "__REALTIME_TIMESTAMP=1795168800000000\n__MONOTONIC_TIMESTAMP=1\n\
                 _BOOT_ID=0123456789abcdef0123456789abcdef\n_COMM=sshd\nMESSAGE=hello\n\n";
    journal_file::write(&site.path("a.journal"), entry.as_bytes());
    let found = site.findings(&["--logs"]);
    let told: Vec<_> = found
        .iter()
        .filter(|[severity, ..]| severity == "warning")
        .collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    let [_, kind, message] = told[0];
    assert_eq!(kind, "journal");
    assert!(message.starts_with(
        "no entry of the journal has _COMM=shsd, which the jail wrong looks for: set journalmatch"
    ));
}

/// Unasked they are looked at where a person reads the answer.
#[test]
fn no_logs_in_a_pipe_and_logs_on_a_terminal() {
    let site = Site::new("[sshd]\nenabled = true\nbackend = polling\nlogpath = {dir}/a.log\n");
    fs::write(site.path("a.log"), "sshd: hello\n".repeat(20)).unwrap();
    let has = |text: &str| text.contains("[no-date]");
    for (arguments, code, told) in [
        (&[][..], 0, false),
        (&["--no-logs"], 0, false),
        (&["--logs"], 1, true),
    ] {
        let output = site.lint(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert_eq!(
            has(&String::from_utf8(output.stdout).unwrap()),
            told,
            "{arguments:?}"
        );
    }
    let output = site.lint(&["--logs", "--no-logs"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    for (arguments, told) in [(&[][..], true), (&["--no-logs"], false)] {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let mut command = site.lint(arguments);
        command.stdout(terminal.slave).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // the terminal ends for its reader when nobody writes any more: also not this process
        drop(command);
        let mut text = Vec::new();
        let mut reader = File::from(terminal.master);
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = reader.read(&mut part) {
            text.extend_from_slice(&part[..read]);
        }
        child.wait().unwrap();
        assert_eq!(
            has(&String::from_utf8(text).unwrap()),
            told,
            "{arguments:?}"
        );
    }
}
