//! A replay against a server that ran while the logs were written, over logs of 36 kinds: whom the
//! server has banned is banned by the replay, and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;

use chrono::{DateTime, Local, TimeDelta, Utc};

use super::common;
use super::common::home::{Server, Site, server};
use super::common::journal_file;

/// A log, and the jail that reads it.
struct Case {
    name: &'static str,
    /// Lines of the jail beside `logpath`.
    settings: &'static str,
    /// What comes before each message, in place of `D`: see [`stamp`].
    begin: &'static str,
    /// One line each; see [`Case::lines`].
    lines: &'static [&'static str],
}

impl Case {
    /// The lines as they are written: `D`, `D-3600` or `D+60` at the beginning stands for the time so
    /// many seconds from now.
    fn text(&self, lines: &[&str], now: DateTime<Local>) -> String {
        let lines = lines.iter().map(|line| {
            let Some(rest) = line.strip_prefix('D') else {
                return format!("{line}\n");
            };
            let (seconds, message) = rest.split_once(' ').unwrap_or((rest, ""));
            let seconds: i64 = match seconds {
                "" => 0,
                seconds => seconds.parse().expect("seconds"),
            };
            let time = now + TimeDelta::seconds(seconds);
            format!("{} {message}\n", stamp(self.begin, time))
        });
        lines.collect()
    }
}

/// The time as such a log writes it.
fn stamp(begin: &str, time: DateTime<Local>) -> String {
    match begin {
        "tai64n" => format!("@{:016x}00000000", (1i64 << 62) + 10 + time.timestamp()),
        "millis" => format!("{}", time.timestamp_millis()),
        "utc" => time
            .with_timezone(&Utc)
            .format("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        begin => time.format(begin).to_string(),
    }
}

const ISO: &str = "%Y-%m-%d %H:%M:%S";
const SYSLOG: &str = "%b %e %H:%M:%S";

/// Ordinary addresses: three in time, two in time, three of which one is old, three old, three in the
/// future.
const DATES: &[&str] = &[
    "D x from 192.0.2.1",
    "D x from 192.0.2.1",
    "D x from 192.0.2.1",
    "D x from 192.0.2.2",
    "D x from 192.0.2.2",
    "D-7200 x from 192.0.2.3",
    "D x from 192.0.2.3",
    "D x from 192.0.2.3",
    "D-86400 x from 192.0.2.4",
    "D-86400 x from 192.0.2.4",
    "D-86400 x from 192.0.2.4",
    "D+86000 x from 192.0.2.5",
    "D+86000 x from 192.0.2.5",
    "D+86000 x from 192.0.2.5",
    "D x from 2001:db8::6",
    "D-30 x from 2001:db8::6",
    "D-59 x from 2001:db8::6",
];

const CASES: &[Case] = &[
    Case {
        name: "iso",
        settings: "",
        begin: ISO,
        lines: DATES,
    },
    Case {
        name: "syslog",
        settings: "",
        begin: SYSLOG,
        lines: DATES,
    },
    Case {
        name: "utc",
        settings: "",
        begin: "utc",
        lines: DATES,
    },
    Case {
        name: "zone",
        settings: "",
        begin: "%Y-%m-%dT%H:%M:%S%z",
        lines: DATES,
    },
    Case {
        name: "fraction",
        settings: "",
        begin: "%Y-%m-%d %H:%M:%S,123",
        lines: DATES,
    },
    Case {
        name: "weekday",
        settings: "",
        begin: "%a %b %d %H:%M:%S %Y",
        lines: DATES,
    },
    Case {
        name: "apache",
        settings: "",
        begin: "[%d/%b/%Y:%H:%M:%S %z]",
        lines: DATES,
    },
    Case {
        name: "brackets",
        settings: "",
        begin: "[%Y-%m-%d %H:%M:%S]",
        lines: DATES,
    },
    Case {
        name: "slashes",
        settings: "",
        begin: "%d/%m/%Y %H:%M:%S",
        lines: DATES,
    },
    Case {
        name: "epoch",
        settings: "",
        begin: "%s",
        lines: DATES,
    },
    Case {
        name: "millis",
        settings: "datepattern = ^LEPOCH",
        begin: "millis",
        lines: DATES,
    },
    Case {
        name: "tai64n",
        settings: "",
        begin: "tai64n",
        lines: DATES,
    },
    Case {
        name: "own",
        settings: "datepattern = ^<%%d#%%m#%%Y %%H#%%M#%%S>",
        begin: "<%d#%m#%Y %H#%M#%S>",
        lines: DATES,
    },
    Case {
        name: "twelve",
        settings: "datepattern = ^%%b %%d, %%Y %%I:%%M:%%S %%p",
        begin: "%b %d, %Y %I:%M:%S %p",
        lines: DATES,
    },
    // the hour alone: of today
    Case {
        name: "hour",
        settings: "",
        begin: "%H:%M:%S",
        lines: &[
            "D x from 192.0.2.1",
            "D x from 192.0.2.1",
            "D x from 192.0.2.1",
            "D x from 192.0.2.2",
        ],
    },
    // the day alone, which is midnight
    Case {
        name: "day",
        settings: "datepattern = ^%%Y-%%m-%%d",
        begin: "%Y-%m-%d",
        lines: &[
            "D x from 192.0.2.1",
            "D x from 192.0.2.1",
            "D x from 192.0.2.1",
            "D x from 192.0.2.2",
        ],
    },
    Case {
        name: "zoned",
        settings: "logtimezone = UTC+0500",
        begin: ISO,
        lines: DATES,
    },
    Case {
        name: "zone-is-wrong",
        settings: "logtimezone = UTC-0300",
        begin: ISO,
        lines: DATES,
    },
    Case {
        name: "undated",
        settings: "",
        begin: ISO,
        lines: &[
            " x from 192.0.2.1",
            " x from 192.0.2.2",
            " x from 192.0.2.1",
            " x from 192.0.2.1",
            " x from 192.0.2.2",
        ],
    },
    Case {
        name: "some-undated",
        settings: "",
        begin: ISO,
        lines: &[
            "D x from 192.0.2.1",
            " x from 192.0.2.1",
            "D-7200 nothing",
            " x from 192.0.2.1",
            "D-7200 x from 192.0.2.2",
            " x from 192.0.2.2",
            "D+7200 x from 192.0.2.2",
            " x from 192.0.2.3",
            "D-90 x from 192.0.2.3",
        ],
    },
    Case {
        name: "no-such-day",
        settings: "",
        begin: ISO,
        lines: &[
            "2026-02-30 10:00:00 x from 192.0.2.1",
            "2026-02-30 10:00:00 x from 192.0.2.1",
            "2026-02-30 10:00:00 x from 192.0.2.1",
            "2026-13-01 10:00:00 x from 192.0.2.2",
            "D x from 192.0.2.2",
            " x from 192.0.2.2",
        ],
    },
    Case {
        name: "unknown-date",
        settings: "",
        begin: "%Y.%j x%H-%M",
        lines: &[
            "D x from 192.0.2.1",
            "D x from 192.0.2.1",
            " x from 192.0.2.2",
            " x from 192.0.2.2",
            " x from 192.0.2.2",
        ],
    },
    Case {
        name: "pattern-that-does-not-fit",
        settings: "datepattern = ^%%d#%%m#%%Y",
        begin: ISO,
        lines: &[
            "D x from 192.0.2.1",
            " x from 192.0.2.2",
            " x from 192.0.2.2",
            " x from 192.0.2.2",
        ],
    },
    Case {
        name: "none",
        settings: "datepattern = {NONE}",
        begin: ISO,
        lines: &[
            " x from 192.0.2.1",
            " x from 192.0.2.1",
            " x from 192.0.2.1",
            "D x from 192.0.2.2",
        ],
    },
    Case {
        name: "back-and-forth",
        settings: "",
        begin: ISO,
        lines: &[
            "D+40 x from 192.0.2.1",
            "D-40 x from 192.0.2.1",
            "D x from 192.0.2.1",
            "D-3600 x from 192.0.2.2",
            "D x from 192.0.2.2",
            "D-3600 x from 192.0.2.2",
        ],
    },
    Case {
        name: "short-findtime",
        settings: "findtime = 20",
        begin: ISO,
        lines: DATES,
    },
    Case {
        name: "one-is-enough",
        settings: "maxretry = 1",
        begin: ISO,
        lines: DATES,
    },
    Case {
        name: "for-good",
        settings: "bantime = -1",
        begin: ISO,
        lines: DATES,
    },
    Case {
        name: "growing",
        settings: "bantime.increment = true\nbantime.rndtime = 10",
        begin: ISO,
        lines: DATES,
    },
    Case {
        name: "ignored",
        settings: "ignoreip = 192.0.2.1 2001:db8::/64",
        begin: ISO,
        lines: DATES,
    },
    Case {
        name: "twice-a-line",
        settings: "failregex = ^ x from <ADDR>$\n  ^ y <ADDR> \\S+$",
        begin: ISO,
        lines: &[
            "D y 192.0.2.1 z",
            "D y 192.0.2.1 z",
            "D x from 192.0.2.1",
            "D y 192.0.2.2",
        ],
    },
    Case {
        name: "several-lines",
        settings: "maxlines = 3\nfailregex = ^ begin (\\d+)\\n(?:.*\\n)? end \\1 of <ADDR>$",
        begin: ISO,
        lines: &[
            "D begin 7",
            "D end 7 of 192.0.2.1",
            "D begin 8",
            "D noise",
            "D end 8 of 192.0.2.1",
            "D begin 9",
            " end 9 of 192.0.2.1",
            "D begin 1",
            "D end 2 of 192.0.2.2",
        ],
    },
    Case {
        name: "sessions",
        settings: "failregex = ^ <F-MLFID>s\\d</F-MLFID> (?:<F-NOFAIL>from</F-NOFAIL> <ADDR>|fail)$",
        begin: ISO,
        lines: &[
            "D s1 from 192.0.2.1",
            "D s1 fail",
            "D s1 fail",
            " s1 fail",
            "D-7200 s1 fail",
            "D s2 fail",
            "D s2 fail",
            "D s2 from 192.0.2.2",
            "D s3 fail",
            "D s3 fail",
            "D s3 fail",
            "D s3 from 192.0.2.3",
            "D s3 fail",
        ],
    },
];

/// The jails of the cases, and of those that need more than lines added to one log.
fn jails(here: &str) -> String {
    let mut text = String::new();
    let mut add = |name: &str, settings: &str, logs: &str| {
        let maxretry = match settings.contains("maxretry") {
            true => "",
            false => "maxretry = 3\n",
        };
        text.push_str(&format!(
            "[{name}]\nenabled = true\nignoreself = false\naction =\n{maxretry}{settings}\n{logs}\n\n"
        ));
    };
    for case in CASES {
        add(
            case.name,
            case.settings,
            &format!("logpath = {here}/{}.log", case.name),
        );
    }
    for name in ["renamed", "emptied"] {
        add(name, "", &format!("logpath = {here}/{name}.log"));
    }
    add(
        "two-logs",
        "",
        &format!("logpath = {here}/two-logs.log\n  {here}/two-logs.more"),
    );
    let journal = format!("backend = systemd[journalfiles={here}/a.journal]");
    let regex = "failregex = ^\\s*\\S+ app\\[\\d+\\]: x from <ADDR>$\njournalmatch = _COMM=app";
    add("journal", regex, &journal);
    text
}

/// Entries of the journal: how many seconds ago, the program, the address.
fn entries(entries: &[(i64, &str, &str)]) -> Vec<u8> {
    let now = Utc::now();
    let text = entries
        .iter()
        .enumerate()
        .map(|(number, (age, program, address))| {
            let time = (now - TimeDelta::seconds(*age)).timestamp();
            format!(
                "__REALTIME_TIMESTAMP={time}00000{number}\n__MONOTONIC_TIMESTAMP={number}\n\
             _BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=srv\n\
             SYSLOG_IDENTIFIER=app\n_PID=7\n_COMM={program}\nMESSAGE=x from {address}\n\n"
            )
        });
    text.collect::<String>().into_bytes()
}

/// Whom the running server has banned, by jail.
fn banned(running: &Server<'_>, jails: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let of = |jail: &String| {
        let reply = running.ask(&["get", jail, "banip"]).expect("answer");
        // a jail that has not started yet is unknown
        let text = reply.map_or(String::new(), |list| list.str().into_owned());
        let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '.' && c != ':');
        let ids = words.filter(|word| word.contains(['.', ':']));
        (jail.clone(), ids.map(str::to_owned).collect())
    };
    jails.iter().map(of).collect()
}

/// Whom a replay bans, by jail.
fn replayed(site: &Site, words: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut program = common::ours("replay");
    let words = [&["--json"][..], words].concat();
    let output = site.args(&mut program, &words).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let mut bans: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let of = bans.entry(object["jail"].as_str().expect("a jail").to_owned());
        let ids = of.or_default();
        if object["event"] == "ban" {
            ids.insert(object["id"].as_str().expect("an id").to_owned());
        }
    }
    bans
}

#[test]
fn a_replay_bans_whom_a_running_server_bans() {
    let site = Site::new(&[]);
    let here = site.path("");
    let here = here.display().to_string();
    let here = here.trim_end_matches('/');
    site.jails(&jails(here));
    let add = |name: &str, text: &str| {
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).append(true).open(site.path(name));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("written");
    };
    let first = |line: &str| -> String { format!("{line}\n").repeat(3) };
    for case in CASES {
        add(&format!("{}.log", case.name), "");
    }
    for name in [
        "renamed.log",
        "emptied.log",
        "two-logs.log",
        "two-logs.more",
    ] {
        add(name, "");
    }
    journal_file::write(
        &site.path("a.journal"),
        &entries(&[(9, "other", "192.0.2.9")]),
    );
    let running = site.foreground(server());
    let names = common_names();

    // who has banned somebody has been at the end of its log: from then on it is in operation
    let marker = "192.0.2.50";
    for case in CASES {
        let message = match case.name {
            "several-lines" => ["D begin 1", "D end 1 of 192.0.2.50"].repeat(3),
            "sessions" => vec![
                "D s9 from 192.0.2.50",
                "D s9 fail",
                "D s9 fail",
                "D s9 fail",
            ],
            _ => vec![" x from 192.0.2.50"; 3],
        };
        add(
            &format!("{}.log", case.name),
            &case.text(&message, Local::now()),
        );
    }
    for name in [
        "renamed.log",
        "emptied.log",
        "two-logs.log",
        "two-logs.more",
    ] {
        add(name, &first(" x from 192.0.2.50"));
    }
    journal_file::write(&site.path("a.journal"), &entries(&[(0, "app", marker); 3]));
    let all_in_operation = || {
        banned(&running, &names)
            .values()
            .all(|ids| ids.contains(marker))
    };
    assert!(
        common::eventually(60, all_in_operation),
        "{:?}\n{}",
        banned(&running, &names),
        site.read("log")
    );

    let now = Local::now();
    let iso = |line: &str| format!("{} {line}\n", now.format(ISO));
    for case in CASES {
        add(&format!("{}.log", case.name), &case.text(case.lines, now));
    }
    // rotated: the rest is in the new file
    for name in ["renamed.log", "emptied.log"] {
        add(
            name,
            &(iso("x from 192.0.2.1").repeat(2) + &iso("x from 192.0.2.2").repeat(3)),
        );
    }
    add("two-logs.log", &iso("x from 192.0.2.1").repeat(2));
    add(
        "two-logs.more",
        &(iso("x from 192.0.2.1") + " x from 192.0.2.2\n"),
    );
    let more = [
        (0, "app", "192.0.2.1"),
        (5, "app", "192.0.2.1"),
        (5, "app", "192.0.2.1"),
    ];
    let others = [
        (0, "app", "192.0.2.2"),
        (0, "other", "192.0.2.2"),
        (0, "app", "192.0.2.2"),
    ];
    let old = [
        (7200, "app", "192.0.2.3"),
        (7200, "app", "192.0.2.3"),
        (0, "app", "192.0.2.3"),
    ];
    journal_file::write(
        &site.path("a.journal"),
        &entries(&[more, others, old].concat()),
    );
    for jail in ["renamed", "emptied"] {
        site.wait_for(&format!("[{jail}] Ban 192.0.2.2"));
    }
    fs::rename(site.path("renamed.log"), site.path("renamed.log.1")).expect("renamed");
    fs::copy(site.path("emptied.log"), site.path("emptied.log.1")).expect("copied");
    fs::write(site.path("emptied.log"), "").expect("emptied");
    for name in ["renamed.log", "emptied.log"] {
        add(
            name,
            &(iso("x from 192.0.2.1") + &iso("x from 192.0.2.3").repeat(2)),
        );
    }

    let mut expected = replayed(&site, &[]);
    for jail in ["renamed", "emptied"] {
        let logs = [format!("{here}/{jail}.log"), format!("{here}/{jail}.log.1")];
        expected.extend(replayed(&site, &["--jail", jail, &logs[1], &logs[0]]));
    }
    let agree = || banned(&running, &names) == expected;
    if !common::eventually(30, agree) {
        let found = banned(&running, &names);
        for (jail, ids) in &found {
            if expected.get(jail) != Some(ids) {
                eprintln!(
                    "{jail}: server {ids:?}, replay {:?}\n{}",
                    expected.get(jail),
                    site.read(&format!("{jail}.log"))
                );
            }
        }
        panic!("see above");
    }
    assert!(expected.len() > 30, "{expected:?}");
    let sizes: Vec<usize> = expected.values().map(BTreeSet::len).collect();
    assert!(sizes.iter().sum::<usize>() > 90, "{expected:?}");
}

fn common_names() -> BTreeSet<String> {
    let more = ["renamed", "emptied", "two-logs", "journal"];
    let names = CASES.iter().map(|case| case.name).chain(more);
    names.map(str::to_owned).collect()
}
