//! `ferroban replay` over the sample log, as the README runs it.

mod common;
#[path = "replay/running.rs"]
mod running;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use chrono::{Local, TimeDelta};
use common::home::{Site, server};
use common::journal_file;

const JAILS: [&str; 8] = [
    "--jail",
    "sshd",
    "--jail",
    "postfix",
    "--jail",
    "postfix-sasl",
    "--jail",
    "dovecot",
];

fn replay(words: &[&str]) -> Output {
    common::ours("replay")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TZ", "UTC")
        .args(words)
        .output()
        .expect("ferroban runs")
}

fn events(words: &[&str]) -> Vec<serde_json::Value> {
    let output = replay(words);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect()
}

#[test]
fn the_attackers_of_the_sample_are_banned_and_nobody_else() {
    let words = [
        &["-c", ".", "--json", "samples/mail-server.log"][..],
        &JAILS,
    ]
    .concat();
    let events = events(&words);
    let banned: BTreeSet<(&str, &str)> = events
        .iter()
        .filter(|event| event["event"] == "ban")
        .map(|event| {
            (
                event["jail"].as_str().expect("jail"),
                event["id"].as_str().expect("id"),
            )
        })
        .collect();
    let expected = BTreeSet::from([
        ("dovecot", "2001:db8:77::5"),
        ("dovecot", "203.0.113.60"),
        ("postfix", "203.0.113.41"),
        ("postfix", "203.0.113.42"),
        ("postfix-sasl", "203.0.113.90"),
        ("sshd", "2001:db8:66::13"),
        ("sshd", "203.0.113.5"),
        ("sshd", "203.0.113.77"),
        ("sshd", "203.0.113.200"),
        // wrote another's address into the user name, and is banned himself
        ("sshd", "203.0.113.99"),
    ]);
    assert_eq!(banned, expected);
    for event in events.iter().filter(|event| event["event"] == "ban") {
        assert_eq!(event["failures"], 5, "{event}");
        assert_eq!(
            event["lines"].as_array().expect("lines").len(),
            5,
            "{event}"
        );
        let until = event["until"].as_f64().expect("until");
        let last = event["lines"][4].as_str().expect("line");
        assert!(last.starts_with("Nov 20 "), "{last}");
        assert!(until >= event["time"].as_f64().expect("time") + 599.0);
    }
}

#[test]
fn commands_are_those_of_the_action_files() {
    let machine = common::plain_machine();
    let words = [
        "-c",
        &machine.path().to_string_lossy(),
        "--jail",
        "dovecot",
        "--commands",
        "samples/mail-server.log",
    ];
    let output = replay(&words);
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "      iptables-multiport# ip6tables -w -N f2b-dovecot",
        "      iptables-multiport# iptables -w -I f2b-dovecot 1 -s 203.0.113.60 -j REJECT --reject-with icmp-port-unreachable",
        "      iptables-multiport# iptables -w -D f2b-dovecot -s 203.0.113.60 -j REJECT --reject-with icmp-port-unreachable",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line}\nnot in\n{text}"
        );
    }
}

#[test]
fn a_machine_without_configuration_has_the_shipped_one() {
    let words = [
        &["-c", "(shipped)", "--json", "samples/mail-server.log"][..],
        &JAILS,
    ]
    .concat();
    let ours = [
        &["-c", ".", "--json", "samples/mail-server.log"][..],
        &JAILS,
    ]
    .concat();
    assert_eq!(events(&words), events(&ours));
}

#[test]
fn mistakes_are_told() {
    for (words, message) in [
        (
            &["-c", ".", "--jail", "nojail", "samples/mail-server.log"][..],
            "nojail",
        ),
        (
            &["-c", "/nonexistent", "samples/mail-server.log"],
            "/nonexistent",
        ),
        (
            &["-c", ".", "--jail", "sshd", "/nonexistent.log"],
            "/nonexistent.log",
        ),
        (
            &["-c", ".", "samples/mail-server.log"],
            "no jail is enabled",
        ),
    ] {
        let output = replay(words);
        assert_eq!(output.status.code(), Some(255), "{words:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(message), "{words:?}: {text}");
    }
    assert_eq!(replay(&["--unknown"]).status.code(), Some(2));
}

#[test]
fn logs_are_read_in_the_encoding_of_their_jail() {
    let dir = tempfile::tempdir().expect("directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::create_dir(path("filter.d")).expect("directory");
    std::fs::write(path("fail2ban.conf"), "[Definition]\n").expect("configuration");
    std::fs::write(
        path("filter.d/x.conf"),
        "[Definition]\nfailregex = ^ Anmeldung für \\S+ fehlgeschlagen von <HOST>$\n",
    )
    .expect("filter");
    let line = "2026-11-20 10:00:0N Anmeldung für jörg fehlgeschlagen von 192.0.2.1\n";
    let log: String = (0..4).map(|n| line.replace('N', &n.to_string())).collect();
    let latin = log.chars().map(|c| c as u32 as u8).collect();
    // the last line has no end
    let wide = log
        .trim_end()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for (encoding, bytes) in [
        ("utf-8", log.clone().into_bytes()),
        ("latin1", latin),
        ("utf-16le", wide),
    ] {
        std::fs::write(path("x.log"), &bytes).expect("log");
        let jail = format!(
            "[x]\nenabled = true\nbackend = polling\nmaxretry = 4\nfilter = x\nlogencoding = {encoding}\nlogpath = {}\n",
            path("x.log")
        );
        std::fs::write(path("jail.conf"), jail).expect("jail");
        let events = events(&["-c", &path(""), "--json"]);
        let bans = events.iter().filter(|event| event["event"] == "ban");
        assert_eq!(bans.count(), 1, "{encoding}: {events:?}");
        let lines = common::ours("explain")
            .args(["-c", &path(""), "--jail", "x", "--json", &path("x.log")])
            .output()
            .expect("ferroban runs");
        let lines = String::from_utf8(lines.stdout).expect("UTF-8");
        assert!(lines.contains("jörg"), "{encoding}: {lines}");
        assert_eq!(lines.lines().count(), 4, "{encoding}: {lines}");
        assert!(lines.contains("192.0.2.1"), "{encoding}: {lines}");
    }
}

/// Whom the events of a replay ban, and the last words about each jail.
fn outcome(site: &Site, words: &[&str]) -> (Option<i32>, Vec<String>, Vec<serde_json::Value>) {
    let mut program = common::ours("replay");
    let words = [&["--json"][..], words].concat();
    let output = site.args(&mut program, &words).output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let objects = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let (ends, events): (Vec<serde_json::Value>, Vec<_>) =
        objects.partition(|object: &serde_json::Value| object["event"] == "end");
    let mut banned: Vec<String> = (events.iter())
        .filter(|event| event["event"] == "ban")
        .filter_map(|event| event["id"].as_str().map(str::to_owned))
        .collect();
    banned.sort();
    banned.dedup();
    (output.status.code(), banned, ends)
}

/// Lines that have no date, a wrong one, or one that is far from the present, written while a server
/// runs: whom it bans is banned by a replay of the same log.
#[test]
fn undated_and_odd_lines_count_as_in_a_running_server() {
    let date = |hours: i64| {
        let time = Local::now() + TimeDelta::hours(hours);
        time.format("%Y-%m-%d %H:%M:%S").to_string()
    };
    let (now, before, after) = (date(0), date(-1), date(1));
    let mut log = format!("{now} all is well\n");
    for (address, dates) in [
        ("192.0.2.1", &["", "", ""][..]),
        ("192.0.2.2", &["", ""]),
        ("192.0.2.3", &[&before, &before, &before]),
        ("192.0.2.4", &[&before, &now]),
        ("192.0.2.5", &[&after, &after, &after]),
        ("192.0.2.6", &[&now, "", &after]),
        ("192.0.2.7", &["2026-02-30 10:00:00", "", &before]),
        ("192.0.2.8", &[&now]),
        ("2001:db8::9", &[&before, &now, &after]),
    ] {
        for date in dates {
            log.push_str(&format!("{date} x from {address}\n"));
        }
    }
    // with the dates as they are, and where no line is expected to have one
    let dateless = " x from 192.0.2.1\n x from 192.0.2.2\n".repeat(2) + " x from 192.0.2.1\n";
    let dated = now.as_str();
    for (settings, log, date) in [("", log, dated), ("datepattern = {NONE}\n", dateless, "")] {
        for program in [server(), common::original("1.1.1", "fail2ban-server")] {
            let site = Site::new(&["j"]);
            site.jails(&format!(
                "[j]\nenabled = true\nmaxretry = 3\nlogpath = %(here)s/j.log\n{settings}"
            ));
            let running = site.foreground(program);
            // when it has banned somebody it has been at the end of its log: then it is in operation
            let begin = format!("{date} x from 192.0.2.50\n").repeat(3);
            site.write("j.log", &begin);
            site.wait_for("[j] Ban 192.0.2.50");
            let mut file = fs::OpenOptions::new()
                .append(true)
                .open(site.path("j.log"))
                .expect("log");
            file.write_all(log.as_bytes()).expect("written");
            let banned = || {
                let reply = running.ask(&["get", "j", "banip"]).expect("answer");
                let text = reply.expect("a list").str().into_owned();
                let mut ids: Vec<String> = text
                    .split(|c: char| !c.is_ascii_hexdigit() && c != '.' && c != ':')
                    .filter(|word| word.contains(['.', ':']))
                    .map(str::to_owned)
                    .collect();
                ids.sort();
                ids
            };
            let (code, replayed, ends) = outcome(&site, &["--jail", "j"]);
            assert_eq!(code, Some(0), "{ends:?}");
            let agree = || banned() == replayed;
            assert!(
                common::eventually(20, agree),
                "{:?} {replayed:?}\n{}",
                banned(),
                site.read("log")
            );
            assert!(!replayed.is_empty());
            if settings.is_empty() {
                assert_eq!(replayed.len(), 6, "{replayed:?}");
                assert!(ends[0]["undated"].as_u64() > Some(4), "{ends:?}");
                assert!(ends[0]["odd"].as_u64() > Some(4), "{ends:?}");
            } else {
                assert_eq!(ends[0]["undated"], 0, "{ends:?}");
            }
        }
    }
}

/// A line without a date happens at the time of the line before it, or of the first that has one.
#[test]
fn undated_lines_borrow_the_clock() {
    let site = Site::new(&["j"]);
    site.jails("[j]\nenabled = true\nmaxretry = 2\nbantime = 1h\nlogpath = %(here)s/j.log\n");
    let run = |log: &str| {
        site.write("j.log", log);
        let output = site.run(common::ours("replay"), &[]);
        output.1
    };
    let text = run(" x from 192.0.2.1\n\
         2026-11-20 10:00:00 nothing\n\
         2026-11-20 10:01:00 x from 192.0.2.1\n\
         2026-11-20 10:30:00 nothing\n x from 192.0.2.2\n x from 192.0.2.2\n");
    let bans: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("192.0.2."))
        .collect();
    assert!(
        bans[0].starts_with("2026-11-20 10:01:00  192.0.2.1 "),
        "{text}"
    );
    assert!(
        bans[1].starts_with("2026-11-20 10:30:00  192.0.2.2 "),
        "{text}"
    );
    let told = "\nj: 3 failures without a date, counted as of the line before\n";
    assert!(text.contains(told), "{text}");
    // a log without any date happens now
    let text = run(" x from 192.0.2.1\n x from 192.0.2.1\n");
    assert!(text.contains("192.0.2.1"), "{text}");
    assert!(!text.contains("Nobody"), "{text}");
    let told = "\nj: 2 failures without a date, counted as of now\nA running server counts such lines when it reads them.\n";
    assert!(text.contains(told), "{text}");
}

/// Logs are merged by the dates that the jail finds.
#[test]
fn several_logs_are_merged_by_the_jails_own_dates() {
    let site = Site::new(&[]);
    site.write(
        "a.log",
        "<20#11#2026 10#05> x from 192.0.2.1\n<20#11#2026 10#25> x from 192.0.2.1\n",
    );
    site.write(
        "b.log",
        "<20#11#2026 10#15> x from 192.0.2.1\n<20#11#2026 10#16> x from 192.0.2.3\n",
    );
    site.jails(
        "[j]\nenabled = true\nmaxretry = 2\nfindtime = 11m\ndatepattern = ^<%%d#%%m#%%Y %%H#%%M>\n\
         logpath = %(here)s/a.log\n          %(here)s/b.log\n",
    );
    let (_, text) = site.run(common::ours("replay"), &["-v"]);
    let rows = text.lines().filter(|line| line.contains(" x from "));
    let first: Vec<&str> = rows.map(str::trim).collect();
    assert_eq!(
        first,
        [
            "<20#11#2026 10#05> x from 192.0.2.1",
            "<20#11#2026 10#15> x from 192.0.2.1"
        ],
        "{text}"
    );
}

fn entries(addresses: &[&str]) -> Vec<u8> {
    let mut text = String::new();
    for (number, address) in addresses.iter().enumerate() {
        let time = 1_795_168_800 + number;
        text.push_str(&format!(
            "__REALTIME_TIMESTAMP={time}000000\n__MONOTONIC_TIMESTAMP={time}\n\
             _BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=srv\n\
             SYSLOG_IDENTIFIER=app\n_PID=7\n_COMM={}\nMESSAGE=x from {address}\n\n",
            if number % 4 == 3 { "other" } else { "app" }
        ));
    }
    text.into_bytes()
}

/// Jails that read the journal are run over it, with their matches; one that cannot be read is told.
#[test]
fn the_journal_is_read() {
    let site = Site::new(&["files"]);
    site.write("filter.d/app.conf", "[Definition]\nfailregex = ^\\s*\\S+ app\\[\\d+\\]: x from <ADDR>$\njournalmatch = _COMM=app\n");
    let journal = site.path("a.journal");
    journal_file::write(
        &journal,
        &entries(&["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"]),
    );
    let jail = |name: &str, options: &str| {
        format!("[{name}]\nenabled = true\nfilter = app\nbackend = systemd[{options}]\n\n")
    };
    let good = jail("good", &format!("journalfiles={}", journal.display()));
    site.jails(&good);
    let (code, banned, ends) = outcome(&site, &[]);
    // of the other address one entry does not match
    assert_eq!(
        (code, banned),
        (Some(0), vec!["192.0.2.1".to_owned()]),
        "{ends:?}"
    );
    assert_eq!(
        (&ends[0]["lines"], &ends[0]["undated"]),
        (&3.into(), &0.into())
    );

    let bad = jail("bad", "journalpath=/nonexistent/journal");
    site.jails(&format!("{bad}{good}"));
    let (code, text) = site.run(common::ours("replay"), &[]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("ferroban replay: jail 'bad': the journal: No such file"),
        "{text}"
    );
    assert!(
        text.contains("192.0.2.1") && text.contains("1 left out"),
        "{text}"
    );
    let (code, text) = site.run(common::ours("replay"), &["--jail", "bad"]);
    assert_eq!(code, 255, "{text}");
    assert!(!text.contains("Nobody"), "{text}");

    // given a file, it takes lines for entries, and those that are none for nothing
    site.write(
        "file.log",
        "2026-11-20 10:00:00 x from 192.0.2.5\n2026-11-20 10:00:00 srv app[1]: x from 192.0.2.6\n",
    );
    let log = site.path("file.log").display().to_string();
    site.jails(&good.replace("enabled = true", "enabled = true\nmaxretry = 1"));
    let (code, banned, ends) = outcome(&site, &["--jail", "good", &log]);
    assert_eq!((code, banned), (Some(0), vec!["192.0.2.6".to_owned()]));
    assert_eq!(ends[0]["foreign"], 1, "{ends:?}");
}

/// What cannot be read or used does not stop the rest, and the exit code says so.
#[test]
fn what_is_left_out_is_told_and_the_rest_goes_on() {
    let site = Site::new(&[]);
    site.write(
        "filter.d/broken.conf",
        "[Definition]\nfailregex = ^ x from <ADDR>)$\n",
    );
    site.write(
        "good.log",
        &"2026-11-20 10:00:00 x from 192.0.2.1\n".repeat(2),
    );
    fs::create_dir(site.path("directory.log")).expect("directory");
    let here = site.path("").display().to_string();
    let jail = |name: &str, more: &str| format!("[{name}]\nenabled = true\n{more}\n\n");
    site.jails(
        &[
            jail("absent", "logpath = %(here)s/absent.log"),
            jail(
                "unreadable",
                "logpath = %(here)s/directory.log\n  %(here)s/good.log",
            ),
            jail("wild", "logpath = %(here)s/none*.log\n  %(here)s/good.log"),
            jail("broken", "filter = broken\nlogpath = %(here)s/good.log"),
            jail("sent", "backend = syslog[port=5514]"),
            jail("good", "logpath = %(here)s/good.log"),
        ]
        .concat(),
    );
    let (code, text) = site.run(common::ours("replay"), &[]);
    assert_eq!(code, 1, "{text}");
    for told in [
        format!("jail 'absent': {here}absent.log: there is no such log"),
        format!("jail 'unreadable': {here}directory.log: Is a directory"),
        "jail 'broken' left out: ".to_owned(),
        "filter.d/broken.conf:2".to_owned(),
        "jail 'sent': ".to_owned(),
        "4 left out, as told on standard error.".to_owned(),
    ] {
        assert!(text.contains(&told), "{told}\nnot in\n{text}");
    }
    for jail in ["unreadable", "wild", "good"] {
        let row = format!("2026-11-20 10:00:00  192.0.2.1           {jail} ");
        assert!(text.contains(&row), "{row}\nnot in\n{text}");
    }
    // a log on the command line takes the place of all of them
    let good = site.path("good.log").display().to_string();
    let (code, banned, _) = outcome(&site, &["--jail", "absent", "--jail", "sent", &good]);
    assert_eq!((code, banned), (Some(0), vec!["192.0.2.1".to_owned()]));
}

#[test]
fn standard_input_is_there_for_every_jail() {
    let site = Site::new(&["one", "two"]);
    let mut program: Command = common::ours("replay");
    let mut child = site
        .args(&mut program, &["--json", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = "2026-11-20 10:00:00 x from 192.0.2.1\n".repeat(2);
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(lines.as_bytes()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("ends");
    let text = String::from_utf8_lossy(&output.stdout);
    for jail in ["one", "two"] {
        let end = format!("\"event\":\"end\",\"jail\":\"{jail}\",\"lines\":2,\"failures\":2");
        assert!(text.contains(&end), "{text}");
    }
}

/// A configuration directory with these jails over the shipped configuration, on a plain machine.
fn over_shipped(jails: &str) -> tempfile::TempDir {
    let machine = common::plain_machine();
    fs::write(machine.path().join("jail.local"), jails).expect("jails");
    machine
}

/// A log, an IPv6 address without a zero, a ban without an end, a jail with a long name, a mail.
fn small_site() -> tempfile::TempDir {
    let machine = over_shipped(
        "[DEFAULT]\nmaxretry = 2\nbanaction = iptables-multiport\nbackend = polling\n\
         [sshd]\nenabled = true\nlogpath = LOG\naction = %(action_mw)s\ndestemail = root\n\
         [a-jail-with-quite-a-long-name]\nenabled = true\nfilter = sshd\nport = ssh\nlogpath = LOG\n\
         bantime = -1\nmaxretry = 3\nignorecommand = /bin/false\n",
    );
    let path = |name: &str| machine.path().join(name);
    let line = |second: u32, address: &str| {
        format!(
            "Nov 20 10:00:{second:02} mx1 sshd[1]: Failed password for root from {address} port 4022 ssh2\n"
        )
    };
    let long = "2001:db8:1111:2222:3333:4444:5555:6666";
    let log: String = (0..2).map(|n| line(n, "192.0.2.1")).collect::<String>()
        + &(2..5).map(|n| line(n, long)).collect::<String>()
        + "mx1 sshd[1]: Failed password for root from 192.0.2.9 port 4022 ssh2\n";
    fs::write(path("x.log"), log).expect("log");
    let jails = fs::read_to_string(path("jail.local")).expect("jails");
    let jails = jails.replace("LOG", &path("x.log").to_string_lossy());
    fs::write(path("jail.local"), jails).expect("jails");
    machine
}

#[test]
fn the_table_shows_who_when_for_how_long_and_what_it_costs() {
    let machine = small_site();
    let output = replay(&["-c", &machine.path().to_string_lossy()]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let year = text
        .lines()
        .nth(1)
        .and_then(|line| line.get(..4))
        .expect("a year");
    let expected = "\
time                 banned              jail               failures    ban time
YEAR-11-20 10:00:01  192.0.2.1           sshd                      2         10m
YEAR-11-20 10:00:03  2001:db8:1111:2222:3333:4444:5555:6666
                                         sshd                      2         10m
YEAR-11-20 10:00:04  2001:db8:1111:2222:3333:4444:5555:6666
                                         a-jail-with-quite-a-long-name
                                                                   3    for ever

3 bans of 2 offenders by 2 jails.

who                        bans  failures    ban time  jails
2001:db8:1111:2222:3333:4444:5555:6666
                              2         5    for ever  sshd,
                                                       a-jail-with-quite-a-long-
                                                       name
192.0.2.1                     1         2         10m  sshd

jail                      lines  failures    bans    ban time  commands   mails
sshd                          6         6       2         20m         4       4
a-jail-with-quite-a-long-name
                              6         6       1    for ever         2       0
together                                        3    for ever         6       4

sshd: 1 failure without a date, counted as of the line before
a-jail-with-quite-a-long-name: 1 failure without a date, counted as of the
  line before; not asked: ignorecommand
A running server counts such lines when it reads them.
";
    assert_eq!(text, expected.replace("YEAR", year));
}

/// The log lines are folded away until they are asked for.
#[test]
fn lines_and_everybody_are_shown_on_demand() {
    let log: String = (0..12)
        .map(|n| format!("Nov 20 10:00:{n:02} mx1 sshd[1]: Failed password for root from 192.0.2.{n} port 4022 ssh2\n"))
        .collect();
    let machine = over_shipped("[sshd]\nenabled = true\nmaxretry = 1\n");
    let path = machine.path().join("x.log");
    fs::write(&path, log).expect("log");
    let words = [
        "-c",
        &machine.path().to_string_lossy(),
        &path.to_string_lossy(),
    ];
    let run = |more: &[&str]| {
        let output = replay(&[&words[..], more].concat());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let text = run(&[]);
    assert!(!text.contains("Failed password"), "{text}");
    assert!(text.contains("\nand 2 more, which -v shows\n"), "{text}");
    let text = run(&["-v"]);
    assert_eq!(text.matches("Failed password").count(), 12, "{text}");
    assert_eq!(text.matches("      until ").count(), 12, "{text}");
    assert!(!text.contains("more, which"), "{text}");
}

/// All samples of the repository: each filter as a jail that bans at the first failure, and the log of
/// the mail server.
#[test]
fn what_is_printed_fits_80_columns() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut jails = "[DEFAULT]\nenabled = true\nbackend = polling\nmaxretry = 1\nfindtime = 1y\n\
                     banaction = iptables-multiport\nport = 1\n"
        .to_owned();
    let mut count = 0;
    for entry in fs::read_dir(here.join("samples/filters")).expect("samples") {
        let entry = entry.expect("a sample");
        let filter = entry.file_name().into_string().expect("UTF-8");
        let path = entry.path().display().to_string();
        jails.push_str(&format!(
            "[of-the-sample-{filter}]\nfilter = {filter}\nlogpath = {path}\n"
        ));
        count += 1;
    }
    assert!(count > 100, "{count}");
    let machine = over_shipped(&jails);
    let all = replay(&["-c", &machine.path().to_string_lossy()]);
    let mail = replay(&[&["-c", ".", "samples/mail-server.log"][..], &JAILS].concat());
    for (output, rows) in [(all, 500), (mail, 20)] {
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.lines().count() > rows, "{text}");
        let wide: Vec<&str> = text
            .lines()
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(wide.is_empty(), "{wide:#?}");
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None);
    }
}

/// What the program prints on a terminal.
fn on_a_terminal(variables: &[(&str, &str)]) -> String {
    let machine = small_site();
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let mut command = common::ours("replay");
    command.env_remove("NO_COLOR").env("TERM", "xterm");
    command.envs(variables.iter().copied());
    command
        .args(["-c", &machine.path().to_string_lossy()])
        .stdout(terminal.slave)
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("runs");
    // the terminal ends for its reader when nobody writes any more: also not this process
    drop(command);
    let mut text = Vec::new();
    let mut reader = fs::File::from(terminal.master);
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = reader.read(&mut part) {
        text.extend_from_slice(&part[..read]);
    }
    assert!(child.wait().expect("ends").success());
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn colours_are_for_terminals_alone() {
    let coloured = on_a_terminal(&[]);
    assert!(coloured.contains("\x1b[31m192.0.2.1\x1b[0m"), "{coloured}");
    assert!(coloured.contains("\x1b[1mbanned\x1b[0m"), "{coloured}");
    // an empty NO_COLOR is none
    assert!(on_a_terminal(&[("NO_COLOR", "")]).contains('\x1b'));
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let text = on_a_terminal(&variables);
        assert!(
            text.contains("192.0.2.1") && !text.contains('\x1b'),
            "{text}"
        );
    }
    let machine = small_site();
    let piped = replay(&["-c", &machine.path().to_string_lossy()]);
    assert!(!piped.stdout.contains(&0x1b));
}
