//! `backend = systemd`: the same journal files to the original and to ours, and what the
//! original's reader cannot do. The files are made by systemd-journal-remote from export text.
#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use common::journal_file;
use common::site::Site;

/// Entries in export form.
#[derive(Default)]
struct Export(Vec<u8>);

impl Export {
    /// An entry at this many seconds before now, with fields besides those of its time.
    fn entry(&mut self, age: f64, fields: &[(&str, &[u8])]) {
        let time = ((now() - age) * 1e6) as u64;
        let mut text = String::new();
        write!(
            text,
            "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={}\n\
             _BOOT_ID=0123456789abcdef0123456789abcdef\n",
            time % 1_000_000_000_000
        )
        .unwrap();
        self.0.extend(text.into_bytes());
        for (name, value) in fields {
            self.0.extend(name.as_bytes());
            if value.contains(&b'\n') {
                self.0.push(b'\n');
                self.0.extend((value.len() as u64).to_le_bytes());
            } else {
                self.0.push(b'=');
            }
            self.0.extend(*value);
            self.0.push(b'\n');
        }
        self.0.push(b'\n');
    }

    /// A line of sshd.
    fn sshd(&mut self, age: f64, message: &str) {
        self.entry(
            age,
            &[
                ("_HOSTNAME", b"srv"),
                ("SYSLOG_IDENTIFIER", b"sshd"),
                ("_COMM", b"sshd"),
                ("_PID", b"77"),
                ("_SYSTEMD_UNIT", b"ssh.service"),
                ("MESSAGE", message.as_bytes()),
            ],
        );
    }

    fn failure(&mut self, age: f64, address: &str) {
        self.sshd(
            age,
            &format!("Failed password for root from {address} port 22 ssh2"),
        );
    }

    /// Makes or extends a journal file.
    fn write(&self, file: &Path) {
        journal_file::write(file, &self.0);
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

/// Lines of the log from the first to the last about what the jail found, without times.
fn findings(site: &Site) -> Vec<String> {
    let log = site.read("log");
    let lines = log.lines().filter(|line| {
        line.contains("] Found ")
            || line.contains("] Ban ")
            || line.contains("journal match")
            || line.contains("uses systemd")
            || line.contains("Initiated")
    });
    lines
        .filter_map(|line| line.split_once("]: "))
        .map(|(_, text)| text.to_owned())
        .collect()
}

/// An id and its data.
type BanRow = (String, String);

/// Ids and matches of bans in the database, and the position in the journal.
fn database(site: &Site) -> (Vec<BanRow>, Option<(String, f64)>) {
    let db = rusqlite::Connection::open(site.path("db")).unwrap();
    let bans = db
        .prepare("SELECT ip, CAST(data AS TEXT) FROM bans ORDER BY ip")
        .unwrap()
        .query_map([], |row| {
            Ok((row.get(0)?, whole_lines(&row.get::<_, String>(1)?)))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let position = db
        .query_row(
            "SELECT firstlinemd5, lastfilepos FROM logs WHERE path = 'systemd-journal'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .ok();
    (bans, position)
}

/// A ban's data with its lines whole: the original parts the first one only.
fn whole_lines(data: &str) -> String {
    let mut data: serde_json::Value = serde_json::from_str(data).unwrap();
    for line in data["matches"].as_array_mut().unwrap() {
        if let Some(parts) = line.as_array() {
            let whole: String = parts.iter().map(|part| part.as_str().unwrap()).collect();
            *line = whole.into();
        }
    }
    data.to_string()
}

/// Failures of several addresses among other entries, some too old, some of other programs.
fn mixed() -> Export {
    let mut export = Export::default();
    export.failure(4000.0, "192.0.2.1");
    export.failure(3990.0, "192.0.2.1");
    for round in 0..14 {
        let age = 500.0 - f64::from(round) * 20.0;
        export.failure(age, &format!("198.51.100.{}", round % 7));
        export.sshd(
            age,
            "Accepted publickey for bob from 203.0.113.9 port 1 ssh2",
        );
        export.entry(
            age,
            &[
                ("_HOSTNAME", b"srv"),
                ("SYSLOG_IDENTIFIER", b"sshd"),
                ("SYSLOG_PID", b"5"),
                ("_SYSTEMD_UNIT", b"other.service"),
                (
                    "MESSAGE",
                    b"Failed password for root from 203.0.113.1 port 22 ssh2",
                ),
            ],
        );
        export.entry(
            age,
            &[
                ("_HOSTNAME", b"srv"),
                ("SYSLOG_IDENTIFIER", b"sshd"),
                ("_SYSTEMD_UNIT", b"ssh.service"),
                (
                    "MESSAGE",
                    b"x\nsrv sshd[1]: Failed password for root from 203.0.113.2 port 22 ssh2",
                ),
            ],
        );
    }
    export
}

/// A jail over a journal.
fn site(backend: &str, settings: &str) -> Site {
    Site::new(&format!("backend = {backend}\n{settings}"))
}

const FILES: &str = "systemd[journalfiles=HERE/journal/a.journal]";

#[test]
fn bans_are_those_of_the_original() {
    let export = mixed();
    let mut seen = Vec::new();
    for program in [
        common::original("1.1.1", "fail2ban-server"),
        common::ours("fail2ban-server"),
    ] {
        let site = site(FILES, "");
        export.write(&site.path("journal/a.journal"));
        let server = site.start(program);
        for address in 0..7 {
            site.wait_for("notes", &format!("ban 198.51.100.{address}"));
        }
        let status = site.ask(&["status", "j"]);
        let matches = site.ask(&["get", "j", "journalmatch"]);
        let pattern = site.ask(&["get", "j", "datepattern"]);
        server.stop();
        let here = site.directory.path().display().to_string();
        let (bans, findings): (Vec<String>, Vec<String>) = findings(&site)
            .iter()
            .map(|line| line.replace(&here, "HERE"))
            .partition(|line| line.contains("] Ban "));
        let mut notes: Vec<String> = site.read("notes").lines().map(str::to_owned).collect();
        notes.sort_unstable();
        assert_eq!(notes.len(), 7, "{}", site.read("log"));
        assert_eq!(bans.len(), 7, "{}", site.read("log"));
        seen.push((findings, notes, database(&site), status, matches, pattern));
    }
    assert_eq!(seen[1].0, seen[0].0);
    assert_eq!(seen[1].2.1, seen[0].2.1);
    assert_eq!(seen[1].3, seen[0].3);
    assert_eq!(seen[1].5, seen[0].5);
    assert_eq!(seen[1], seen[0]);
}

#[test]
fn reading_goes_on_after_the_last_entry() {
    let site = site(FILES, "maxretry = 100");
    let file = site.path("journal/a.journal");
    let mut export = Export::default();
    for age in 1..=20 {
        export.failure(f64::from(100 - age), "192.0.2.1");
    }
    export.write(&file);
    site.start(common::ours("fail2ban-server")).stop();
    assert_eq!(site.count("Found 192.0.2.1"), 20);
    // nothing twice, what came meanwhile once, and what comes now at once
    let mut export = Export::default();
    export.failure(50.0, "192.0.2.2");
    export.write(&file);
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Found 192.0.2.2");
    let mut export = Export::default();
    export.failure(0.0, "192.0.2.3");
    export.write(&file);
    site.wait_for("log", "Found 192.0.2.3");
    server.stop();
    for (address, count) in [("192.0.2.1", 20), ("192.0.2.2", 1), ("192.0.2.3", 1)] {
        assert_eq!(site.count(&format!("Found {address}")), count, "{address}");
    }
}

#[test]
fn rotated_journals_are_read_to_their_end() {
    let site = site("systemd[journalpath=HERE/journal]", "maxretry = 100");
    let file = site.path("journal/system.journal");
    let mut export = Export::default();
    export.failure(100.0, "192.0.2.1");
    export.write(&file);
    let server = site.start(common::ours("fail2ban-server"));
    for round in 0..3 {
        let address = |kind| format!("198.51.100.{}", round * 10 + kind);
        let mut export = Export::default();
        export.failure(0.0, &address(1));
        // written, and at once rotated away
        export.write(&file);
        fs::rename(
            &file,
            site.path(&format!("journal/system@{round}-1.journal")),
        )
        .unwrap();
        let mut export = Export::default();
        export.failure(0.0, &address(2));
        export.write(&file);
        site.wait_for("log", &format!("Found {} ", address(1)));
        site.wait_for("log", &format!("Found {} ", address(2)));
    }
    // a journal of another user appears
    let mut export = Export::default();
    export.failure(0.0, "203.0.113.7");
    export.write(&site.path("journal/user-1000.journal"));
    site.wait_for("log", "Found 203.0.113.7");
    server.stop();
    assert_eq!(site.count("] Found "), 8, "{}", site.read("log"));
}

#[test]
fn matches_change_while_the_jail_runs() {
    let site = site(FILES, "journalmatch = _COMM=nothing");
    let file = site.path("journal/a.journal");
    let mut export = Export::default();
    export.failure(10.0, "192.0.2.1");
    export.write(&file);
    let server = site.start(common::ours("fail2ban-server"));
    let shown = site.ask(&["set", "j", "addjournalmatch", "_COMM=sshd", "+", "_UID=0"]);
    assert_eq!(
        shown,
        "Current match filter:\n_COMM=nothing + _COMM=sshd + _UID=0\n"
    );
    site.wait_for("log", "Found 192.0.2.1");
    let wrong = site.ask(&["set", "j", "addjournalmatch", "wrong"]);
    assert!(wrong.contains("Invalid match"), "{wrong}");
    let absent = site.ask(&["set", "j", "deljournalmatch", "_UID=7"]);
    assert!(absent.contains("Match ['_UID=7'] not found"), "{absent}");
    site.ask(&["set", "j", "deljournalmatch", "_COMM=sshd"]);
    site.ask(&["set", "j", "deljournalmatch", "_UID=0"]);
    let mut export = Export::default();
    export.failure(0.0, "192.0.2.2");
    export.entry(
        0.0,
        &[
            ("_HOSTNAME", b"srv"),
            ("SYSLOG_IDENTIFIER", b"sshd"),
            ("_PID", b"1"),
            ("_COMM", b"nothing"),
            ("MESSAGE", b"Failed password for root from 192.0.2.3"),
        ],
    );
    export.write(&file);
    site.wait_for("log", "Found 192.0.2.3");
    assert_eq!(site.count("Found 192.0.2.2"), 0);
    // a reload that names the same matches again loses nothing and repeats nothing
    let again = site.ask(&["reload"]);
    assert!(again.contains("OK"), "{again}");
    let mut export = Export::default();
    export.entry(
        0.0,
        &[
            ("_HOSTNAME", b"srv"),
            ("SYSLOG_IDENTIFIER", b"sshd"),
            ("_PID", b"1"),
            ("_COMM", b"nothing"),
            ("MESSAGE", b"Failed password for root from 192.0.2.4"),
        ],
    );
    export.write(&file);
    site.wait_for("log", "Found 192.0.2.4");
    server.stop();
    assert_eq!(site.count("] Found "), 3, "{}", site.read("log"));
}

#[test]
fn wrong_options_are_told_as_the_original_tells_them() {
    let wrong = [
        (
            "systemd[nonsense=1]",
            "Filter.__init__() got an unexpected keyword argument 'nonsense'",
        ),
        (
            "systemd[journalflags=x]",
            "invalid literal for int() with base 10: 'x'",
        ),
    ];
    for (backend, text) in wrong {
        for mut program in [
            common::original("1.1.1", "fail2ban-server"),
            common::ours("fail2ban-server"),
        ] {
            let site = site(backend, "");
            let output = program
                .arg("-c")
                .arg(site.directory.path())
                .args(["-f", "start"])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let printed = [output.stdout, output.stderr].concat();
            let told = String::from_utf8_lossy(&printed).into_owned() + &site.read("log");
            assert!(told.contains(text), "{backend}: {told}");
        }
    }
}

#[test]
fn journalmatch_entries_of_other_units_do_not_count() {
    let site = site(
        FILES,
        "maxretry = 1\njournalmatch = _SYSTEMD_UNIT=other.service",
    );
    let mut export = Export::default();
    export.failure(20.0, "192.0.2.1");
    let message = b"Failed password for root from 203.0.113.1 port 22 ssh2";
    export.entry(
        10.0,
        &[
            ("_HOSTNAME", b"srv"),
            ("SYSLOG_IDENTIFIER", b"sshd"),
            ("_PID", b"5"),
            ("_SYSTEMD_UNIT", b"other.service"),
            ("MESSAGE", message),
        ],
    );
    export.write(&site.path("journal/a.journal"));
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Found 203.0.113.1");
    server.stop();
    assert_eq!(site.count("Found 192.0.2.1"), 0);
}
