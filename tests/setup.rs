//! `ferroban setup` on made-up machines.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use chrono::{Local, TimeDelta};
use common::journal_file;
use serde_json::Value as Json;

/// A root directory.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Machine {
        Machine(tempfile::tempdir().expect("directory"))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn file(&self, path: &str, text: &str) -> &Machine {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directory");
        fs::write(path, text).expect("file");
        self
    }

    /// A unit that is started with the machine.
    fn unit(&self, name: &str) -> &Machine {
        self.file(&format!("/usr/lib/systemd/system/{name}"), "[Service]\n");
        let wants = self.path("/etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).expect("directory");
        let target = format!("/usr/lib/systemd/system/{name}");
        symlink(target, wants.join(name)).expect("link");
        self
    }

    /// sshd's log: guesses of two days ago, and six of just now by one address.
    fn guesses(&self, path: &str) -> &Machine {
        let line = |ago: i64| {
            let time = stamp(ago);
            format!("{time} srv sshd[81]: Invalid user anna from 192.0.2.7 port 40022\n")
        };
        let old = (0..9).map(|number| line(2 * 86_400 - number));
        let new = (0..6).map(|number| line(60 - number));
        self.file(path, &old.chain(new).collect::<String>())
    }

    /// Exit code and what was printed.
    fn setup(&self, words: &[&str]) -> (i32, String, String) {
        let mut command = common::ours("setup");
        let output = command
            .arg("--root")
            .arg(self.0.path())
            .args(words)
            .output();
        let output = output.expect("ferroban runs");
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    fn json(&self, code: i32) -> Json {
        let (got, text, errors) = self.setup(&["--json"]);
        assert_eq!(got, code, "{text}{errors}");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// The time so many seconds ago, as rsyslog writes it.
fn stamp(ago: i64) -> String {
    let time = Local::now() - TimeDelta::seconds(ago);
    time.format("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}

fn proposed(json: &Json) -> Vec<&str> {
    let list = json["proposed"].as_array().expect("a list");
    list.iter()
        .map(|jail| jail["jail"].as_str().expect("a name"))
        .collect()
}

fn why<'j>(json: &'j Json, jail: &str) -> &'j str {
    let list = json["left_out"].as_array().expect("a list");
    let found = list.iter().find(|left_out| left_out["jail"] == jail);
    found
        .and_then(|left_out| left_out["why"].as_str())
        .unwrap_or_default()
}

const DEBIAN_SSH: &str = "Package: openssh-server\nStatus: install ok installed\n\n\
                          Package: postfix\nStatus: deinstall ok config-files\n";

fn debian() -> Machine {
    let machine = Machine::new();
    machine
        .file("/var/lib/dpkg/status", DEBIAN_SSH)
        .unit("ssh.service")
        .guesses("/var/log/auth.log")
        .file("/var/log/mail.log", "")
        .file(
            "/proc/net/tcp6",
            "  sl  local_address remote_address st\n\
             0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0\n\
             1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 01 0:0\n",
        );
    machine
}

#[test]
fn a_debian_with_sshd() {
    let machine = debian();
    let json = machine.json(0);
    assert_eq!(proposed(&json), ["sshd"]);
    let sshd = &json["proposed"][0];
    assert_eq!(sshd["units"], serde_json::json!(["ssh is enabled"]));
    assert_eq!(sshd["package"], "openssh-server");
    assert_eq!(sshd["listening"], serde_json::json!([22]));
    assert_eq!(sshd["logs"], serde_json::json!(["/var/log/auth.log"]));
    let counts = ["lines", "failures", "bans"].map(|name| sshd[name].as_u64());
    assert_eq!(counts, [Some(6), Some(6), Some(1)]);
    // removed, though its settings and its log are there
    assert_eq!(why(&json, "postfix"), "no such service was found");
    assert_eq!(json["written"], false);
    assert!(!machine.path("/etc/fail2ban").exists());
}

#[test]
fn the_text_is_eighty_columns_wide_and_says_why_others_are_left_out() {
    let (code, text, _) = debian().setup(&["-v"]);
    assert_eq!(code, 0);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    for part in [
        "sshd                                 6         6         1\n",
        "6 failures in the\n    last day in /var/log/auth.log",
        "Left out:",
        "    postfix: no such service was found",
        "Nothing was written.",
    ] {
        assert!(text.contains(part), "{part}\nnot in\n{text}");
    }
}

#[test]
fn what_is_written_loads_and_stays() {
    let machine = debian();
    let (code, text, errors) = machine.setup(&["--write"]);
    assert_eq!(code, 0, "{text}{errors}");
    let file = machine.path("/etc/fail2ban/jail.d/ferroban-setup.local");
    assert_eq!(
        file.metadata().expect("written").permissions().mode() & 0o777,
        0o644
    );
    let written = fs::read_to_string(&file).expect("written");
    assert!(
        written.contains("[sshd]\n# ssh is enabled; package openssh-server"),
        "{written}"
    );

    let jail = machine.path("/etc/fail2ban/jail.local");
    let log = machine.path("/var/log/auth.log");
    fs::write(&jail, format!("[sshd]\nlogpath = {}\n", log.display())).expect("file");
    let mut client = common::ours("client");
    let tested = client
        .arg("-c")
        .arg(machine.path("/etc/fail2ban"))
        .arg("-t")
        .output();
    let tested = String::from_utf8_lossy(&tested.expect("runs").stdout).into_owned();
    assert!(
        tested.contains("OK: configuration test is successful"),
        "{tested}"
    );
    fs::remove_file(&jail).expect("removed");

    // the second time it is enabled, and nothing is left to write
    let json = machine.json(0);
    assert_eq!(
        (proposed(&json), &json["enabled"][0]),
        (vec![], &Json::from("sshd"))
    );
    let (code, _, _) = machine.setup(&["--write"]);
    assert_eq!(code, 0);

    // a file of that name is not written over
    fs::write(&file, "# mine\n").expect("file");
    let (code, text, errors) = machine.setup(&["--write"]);
    assert_eq!(code, 255);
    assert!(errors.contains("it is there already"), "{errors}");
    assert!(text.contains("Nothing was written"), "{text}");
    assert_eq!(fs::read_to_string(&file).expect("there"), "# mine\n");
}

#[test]
fn a_fedora_whose_sshd_logs_to_the_journal() {
    let machine = Machine::new();
    machine.unit("sshd.service");
    fs::create_dir_all(machine.path("/usr/lib/sysimage/rpm")).expect("directory");
    let rpm = machine.path("/usr/lib/sysimage/rpm/rpmdb.sqlite");
    let rpm = rusqlite::Connection::open(rpm).expect("database");
    rpm.execute_batch(
        "CREATE TABLE 'Name' (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);
         INSERT INTO Name VALUES ('openssh-server', 1, 0), ('glibc', 2, 0);",
    )
    .expect("rows");
    drop(rpm);
    let folder = machine.path("/var/log/journal/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(&folder).expect("directory");
    let entry = |ago: i64| {
        let time = (Local::now() - TimeDelta::seconds(ago)).timestamp_micros();
        format!(
            "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={}\n\
             _BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=srv\nSYSLOG_IDENTIFIER=sshd\n\
             SYSLOG_PID=81\n_COMM=sshd\n_SYSTEMD_UNIT=sshd.service\n\
             MESSAGE=Invalid user anna from 192.0.2.7 port 40022\n\n",
            1_000_000_000 - ago
        )
    };
    let entries: String = [200_000, 9, 8, 7, 6, 5].into_iter().map(entry).collect();
    journal_file::write(&folder.join("system.journal"), entries.as_bytes());

    let json = machine.json(0);
    assert_eq!(proposed(&json), ["sshd"]);
    let sshd = &json["proposed"][0];
    assert_eq!(sshd["units"], serde_json::json!(["sshd is enabled"]));
    assert_eq!(sshd["package"], "openssh-server");
    assert_eq!(sshd["journal"], true);
    let counts = ["lines", "failures", "bans"].map(|name| sshd[name].as_u64());
    assert_eq!(counts, [Some(5), Some(5), Some(1)]);
    // its unit is not there, whatever the journal holds
    assert_ne!(why(&json, "dovecot"), "");
}

#[test]
fn logs_are_where_the_machine_looked_at_has_them() {
    let machine = Machine::new();
    machine
        .unit("sshd.service")
        .file("/etc/os-release", "ID=fedora\n")
        .guesses("/var/log/secure");
    let json = machine.json(0);
    assert_eq!(proposed(&json), ["sshd"]);
    assert_eq!(json["proposed"][0]["logs"][0], "/var/log/secure");
    // where systemd runs, services log into its journal
    fs::create_dir_all(machine.path("/run/systemd/system")).expect("directory");
    assert_eq!(why(&machine.json(3), "sshd"), "there is no journal");
}

#[test]
fn an_alpine_with_its_own_places_of_logs() {
    let machine = Machine::new();
    machine
        .file(
            "/lib/apk/db/installed",
            "C:Q1\nP:openssh-server\nV:9.9\n\nP:musl\n",
        )
        .file("/etc/init.d/sshd", "#!/sbin/openrc-run\n")
        .file("/etc/runlevels/default/sshd", "")
        .file(
            "/etc/fail2ban/paths-overrides.local",
            "[DEFAULT]\nsyslog_authpriv = /var/log/messages\n",
        )
        .guesses("/var/log/messages");
    let json = machine.json(0);
    assert_eq!(proposed(&json), ["sshd"]);
    assert_eq!(json["proposed"][0]["logs"][0], "/var/log/messages");
    assert_eq!(json["proposed"][0]["package"], "openssh-server");
}

#[test]
fn an_arch_where_sshd_is_there_but_off() {
    let machine = Machine::new();
    machine
        .file("/usr/lib/systemd/system/sshd.service", "[Service]\n")
        .file("/var/lib/pacman/local/openssh-9.9p2-1/desc", "")
        .file("/var/lib/pacman/local/postfix-3.10.1-1/desc", "")
        .guesses("/var/log/auth.log")
        .file("/var/log/mail.log", "");
    let json = machine.json(0);
    assert_eq!(why(&json, "sshd"), "sshd is there, but switched off");
    assert!(proposed(&json).contains(&"postfix"), "{json}");
    assert_eq!(json["proposed"][0]["package"], "postfix");
    // counts mails, not offences
    assert!(why(&json, "postfix-volume").starts_with("it counts what is ordinary"));
}

#[test]
fn without_logs_nothing_is_proposed() {
    let machine = Machine::new();
    machine
        .unit("ssh.service")
        .file("/var/lib/dpkg/status", DEBIAN_SSH);
    let (code, text, _) = machine.setup(&["--write"]);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.starts_with("No logs were found on this machine"),
        "{text}"
    );
    assert!(!machine.path("/etc").join("fail2ban").exists());
    assert_eq!(proposed(&machine.json(3)), [""; 0]);
}

#[test]
fn what_the_administrator_has_decided_stands() {
    let machine = debian();
    machine.file("/etc/fail2ban/jail.local", "[sshd]\nenabled = false\n");
    let json = machine.json(0);
    assert!(proposed(&json).is_empty());
    assert_eq!(
        why(&json, "sshd"),
        "switched off in /etc/fail2ban/jail.local:2"
    );
    // under a name of his own
    let own = "[ssh]\nenabled = true\nfilter = sshd\nlogpath = /var/log/auth.log\n";
    machine.file("/etc/fail2ban/jail.local", own);
    let json = machine.json(0);
    assert!(proposed(&json).is_empty());
    assert_eq!(json["enabled"], serde_json::json!(["ssh"]));
    assert_eq!(why(&json, "sshd"), "the jail ssh counts the same");
}

#[test]
fn one_jail_is_enough_for_a_filter_over_a_log() {
    let machine = debian();
    let again = "[again]\nfilter = sshd\nlogpath = /var/log/auth.log\n\n\
                 [wide]\nfilter = sshd[mode=aggressive]\nlogpath = /var/log/auth.log\n\n\
                 [elsewhere]\nfilter = sshd\nlogpath = /srv/guest/auth.log\n";
    machine
        .file("/etc/fail2ban/jail.local", again)
        .file("/srv/guest/auth.log", "");
    let json = machine.json(0);
    assert_eq!(proposed(&json), ["sshd", "elsewhere"]);
    assert_eq!(why(&json, "again"), "the jail sshd counts the same");
    assert_eq!(
        why(&json, "wide"),
        "the jail sshd has this filter; its mode is yours to choose"
    );
}

#[test]
fn special_nuisances_are_answered_where_they_are_seen() {
    let machine = Machine::new();
    let jail = "[nginx-nuisance]\nlogpath = /var/log/nginx/nuisance.log\n";
    let filter = "[Definition]\nfailregex = ^ nuisance from <ADDR>$\n";
    machine
        .unit("nginx.service")
        .file("/etc/fail2ban/jail.local", jail)
        .file("/etc/fail2ban/filter.d/nginx-nuisance.conf", filter);
    for (lines, fits) in [(4, false), (5, true)] {
        let line = format!("{} nuisance from 192.0.2.7\n", stamp(1));
        machine.file("/var/log/nginx/nuisance.log", &line.repeat(lines));
        let json = machine.json(0);
        assert_eq!(proposed(&json).contains(&"nginx-nuisance"), fits, "{json}");
        if !fits {
            assert_eq!(
                why(&json, "nginx-nuisance"),
                "it would have banned nobody in the last day"
            );
        }
    }
}

#[test]
fn of_a_long_log_the_end_is_read_and_it_is_said_where_that_is_not_the_whole_day() {
    let machine = debian();
    let log = machine.path("/var/log/auth.log");
    let guesses = fs::read_to_string(&log).expect("log");
    let (_, guesses) = guesses.split_at(guesses.len() / 15 * 9);
    for (ago, cut) in [(3_600, true), (2 * 86_400, false)] {
        let line = format!("{} srv cron[7]: {}\n", stamp(ago), "x".repeat(1 << 20));
        fs::write(&log, line.repeat(18) + guesses).expect("log");
        let json = machine.json(0);
        let sshd = &json["proposed"][0];
        assert_eq!((&sshd["failures"], &sshd["cut"]), (&6.into(), &cut.into()));
    }
}

#[test]
fn a_log_that_cannot_be_read_is_named() {
    let machine = debian();
    fs::remove_file(machine.path("/var/log/auth.log")).expect("removed");
    fs::create_dir(machine.path("/var/log/auth.log")).expect("directory");
    let json = machine.json(1);
    assert_eq!(proposed(&json), ["sshd"]);
    assert_eq!(json["unreadable"][0]["path"], "/var/log/auth.log");
    let (_, text, _) = machine.setup(&[]);
    assert!(
        text.contains("    /var/log/auth.log: it is no regular file"),
        "{text}"
    );
}

#[test]
fn a_directory_that_is_not_there() {
    let output = common::ours("setup")
        .args(["--root", "/nonexistent"])
        .output();
    let output = output.expect("ferroban runs");
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot look at /nonexistent"));
}
