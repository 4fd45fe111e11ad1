//! `ferroban explain` on lines of real logs: every step is told, and it agrees with what a replay
//! of the same lines does.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "explain/live.rs"]
mod live;

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

const SAMPLE: &str = "samples/mail-server.log";

/// A small configuration with everything that can strike.
const JAIL: &str = "\
[app]
enabled = true
filter = app
logpath = /dev/null
backend = polling
maxretry = 2
bantime = 10m
ignoreip = 192.0.2.9
";
const FILTER: &str = "\
[Definition]
failregex = ^\\s*srv app: denied for <F-USER>.*</F-USER> from <ADDR>$
            ^\\s*srv app: (?:late|early) from <ADDR>, try \\d+$
ignoreregex = for healthcheck
";

fn run(program: &str, words: &[&str]) -> Output {
    let output = common::ours(program)
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("run");
    assert!(output.status.success(), "{words:?}: {output:?}");
    output
}

fn objects(program: &str, words: &[&str]) -> Vec<Value> {
    let text = String::from_utf8(run(program, words).stdout).expect("UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn configuration() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::create_dir(dir.path().join("filter.d")).expect("directory");
    fs::write(dir.path().join("jail.conf"), JAIL).expect("write");
    fs::write(dir.path().join("fail2ban.conf"), "[Definition]\n").expect("write");
    fs::write(dir.path().join("filter.d/app.conf"), FILTER).expect("write");
    dir
}

#[test]
fn the_steps_of_a_jail() {
    let dir = configuration();
    let config = dir.path().to_string_lossy().into_owned();
    let line = |second: u32, text: &str| format!("2026-11-20 10:00:0{second} srv app: {text}");
    let lines = [
        line(0, "denied for bob from 192.0.2.1"),
        line(1, "denied for healthcheck from 192.0.2.1"),
        line(2, "denied for eve from 192.0.2.9"),
        line(3, "early from 192.0.2.1, try 7"),
        line(4, "early from 192.0.2.1, try 8"),
        line(5, "early from 192.0.2.1, tries 8"),
        line(6, "all is well"),
    ];
    let mut words = vec!["-c", &config, "--json", "-j", "app"];
    words.extend(lines.iter().map(String::as_str));
    let told = objects("explain", &words);

    assert_eq!(
        told[0]["date"],
        json!({
            "text": "2026-11-20 10:00:00", "start": 0, "end": 19, "time": 1_795_168_800.0,
            "valid": true,
            "pattern": told[0]["date"]["pattern"],
        })
    );
    assert_eq!(
        told[0]["searched"],
        " srv app: denied for bob from 192.0.2.1"
    );
    assert_eq!(told[0]["prefilter"], true);
    assert_eq!(told[0]["failregex"]["number"], 1);
    assert_eq!(
        told[0]["failregex"]["fields"],
        json!({
            "user": { "text": "bob", "start": 21, "end": 24 },
            "ip4": { "text": "192.0.2.1", "start": 30, "end": 39 },
        })
    );
    let verdicts: Vec<&Value> = told.iter().map(|line| &line["failures"]).collect();
    assert_eq!(
        verdicts,
        [
            &json!([{ "id": "192.0.2.1", "verdict": "counted", "count": 1.0, "maxretry": 2 }]),
            &json!([]),
            &json!([{ "id": "192.0.2.9", "verdict": "ignored", "by": "ip" }]),
            &json!([{
                "id": "192.0.2.1", "verdict": "banned", "count": 2, "until": 1_795_169_403.0
            }]),
            // failures go on being counted during a ban
            &json!([{ "id": "192.0.2.1", "verdict": "counted", "count": 1.0, "maxretry": 2 }]),
            &json!([]),
            &json!([]),
        ]
    );
    assert_eq!(told[1]["ignoreregex"]["regex"], "for healthcheck");
    assert_eq!(told[3]["failregex"]["number"], 2);
    let furthest = &told[5]["furthest"];
    assert_eq!(furthest["number"], 2);
    assert_eq!(furthest["stops_at"], "y \\d+$");
    assert_eq!(furthest["text_left"], "ies 8");
    assert_eq!(told[6]["prefilter"], false);
    assert_eq!(told[6]["failregex"], Value::Null);
}

#[test]
fn sessions_of_sshd() {
    let machine = common::plain_machine();
    let directory = machine.path().to_string_lossy();
    let told = objects(
        "explain",
        &["-c", &directory, "-j", "sshd", "--json", SAMPLE],
    );
    let first = &told[0];
    assert_eq!(first["session"]["key"], " mx1 sshd[20627]:");
    assert_eq!(first["prefregex"]["matched"], true);
    assert_eq!(
        first["content"],
        " Invalid user test from 203.0.113.200 port 37849"
    );
    // the line after it is of the same session and no failure in itself
    let second = told
        .iter()
        .filter(|line| line["session"]["key"] == " mx1 sshd[20627]:")
        .nth(1)
        .expect("a second line");
    assert_eq!(second["failures"], json!([]));
    assert_eq!(second["session"]["context"], 1);
}

/// It bans whom a replay bans, at the same lines.
#[test]
fn it_agrees_with_a_replay() {
    for jail in ["sshd", "dovecot", "postfix-sasl"] {
        let told = objects("explain", &["-c", ".", "-j", jail, "--json", SAMPLE]);
        let failures = told.iter().flat_map(|line| {
            line["failures"]
                .as_array()
                .expect("a jail judges")
                .iter()
                .map(|failure| (line["line"].clone(), failure.clone()))
        });
        let explained: Vec<(Value, Value, Value)> = failures
            .filter(|(_, failure)| failure["verdict"] == "banned")
            .map(|(line, failure)| (failure["id"].clone(), failure["until"].clone(), line))
            .collect();
        let replayed: Vec<(Value, Value, Value)> =
            objects("replay", &["-c", ".", "-j", jail, "--json", SAMPLE])
                .into_iter()
                .filter(|event| event["event"] == "ban")
                .map(|event| {
                    let lines = event["lines"].as_array().expect("lines");
                    let last = lines.last().expect("a line").clone();
                    (event["id"].clone(), event["until"].clone(), last)
                })
                .collect();
        assert!(!replayed.is_empty(), "{jail}");
        assert_eq!(explained, replayed, "{jail}");
    }
}

#[test]
fn for_people() {
    let regex = "^\\s*\\S+ srv: fail for <F-USER>.*</F-USER> from <HOST> port \\d+$";
    let hit = "Nov 20 06:25:02 mx1 srv: fail for a\u{1b}[2Jb from 192.0.2.1 port 7";
    let miss = "Nov 20 06:25:03 mx1 srv: fail for a from 192.0.2.1 port x";
    let text = |words: &[&str]| {
        let output = run("explain", &[&["-f", regex], words].concat());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let told = text(&[hit]);
    assert!(
        told.contains("mx1 srv: fail for [user: a\\x1b[2Jb] from [ip4: 192.0.2.1] port 7"),
        "{told}"
    );
    assert!(!told.contains('\u{1b}'), "{told}");
    let told = text(&["--missed", hit, miss]);
    assert!(
        told.contains("from <HOST> port  >>> \\d+$\n") && told.contains("port  >>> x\n"),
        "{told}"
    );
    assert!(!told.contains("06:25:02"), "{told}");
}

/// What it says of each sample log agrees with what fail2ban-regex counts, filter by filter.
#[test]
fn it_agrees_with_fail2ban_regex() {
    let root = common::reference("1.1.1");
    let logs = root.join("usr/lib/python3/dist-packages/fail2ban/tests/files/logs");
    let config = root.join("etc/fail2ban").to_string_lossy().into_owned();
    for filter in ["proftpd", "postfix", "exim", "apache-auth", "asterisk"] {
        let log = logs.join(filter).to_string_lossy().into_owned();
        let report = objects(
            "fail2ban-regex",
            &["-c", &config, "--json", "--print-all-missed", &log, filter],
        );
        let missed = report[0]["missed"].as_array().expect("a list").clone();
        let words = ["-c", &config, "-f", filter, "--json", "--missed", &log];
        let told: Vec<Value> = objects("explain", &words)
            .into_iter()
            .map(|line| line["line"].clone())
            .filter(|line| {
                line.as_str()
                    .is_some_and(|l| !l.is_empty() && !l.starts_with('#'))
            })
            .collect();
        let trimmed = |line: &Value| line.as_str().map(|l| l.trim_end().to_owned());
        let (told, missed): (Vec<_>, Vec<_>) = (
            told.iter().map(trimmed).collect(),
            missed.iter().map(trimmed).collect(),
        );
        assert_eq!(told, missed, "{filter}");
    }
}

/// A configuration with a jail of its own settings beside `app`.
fn with_jail(settings: &str) -> (tempfile::TempDir, String) {
    let dir = configuration();
    let jail = format!("{JAIL}\n[own]\nenabled = true\nfilter = app\nmaxretry = 3\n{settings}\n");
    fs::write(dir.path().join("jail.conf"), jail).expect("write");
    let config = dir.path().to_string_lossy().into_owned();
    (dir, config)
}

/// A jail that reads the journal sees entries, which begin with host and program.
#[test]
fn lines_for_a_jail_of_the_journal_have_its_form() {
    let (_dir, config) = with_jail("backend = systemd");
    let text = "denied for bob from 192.0.2.1";
    let told = |line: &str| {
        let words = ["-c", &config, "-j", "own", "--json", line];
        objects("explain", &words).remove(0)
    };
    for prefix in [
        "2026-11-20 10:00:00 ",
        "Nov 20 10:00:00 ",
        "2026-11-20T10:00:00+0000 ",
        "1795168800.000000 ",
    ] {
        let told = told(&format!("{prefix}srv app: {text}"));
        assert_eq!(told["failures"][0]["verdict"], "counted", "{told}");
        assert_eq!(told["date"]["time"], 1_795_168_800.0, "{told}");
        assert_eq!(told["searched"], format!("srv app: {text}"), "{told}");
    }
    // a date in the middle is no date of the entry, and stays
    let middle = told(&format!("srv app: 2026-11-20 10:00:00 {text}"));
    assert_eq!(middle["failures"], json!([]));
    assert_eq!(
        middle["searched"],
        format!("srv app: 2026-11-20 10:00:00 {text}")
    );
    for line in [
        format!("2026-11-20 10:00:00 {text}"),
        format!("[Fri Nov 20 10:00:00 2026] srv app: {text}"),
        text.to_owned(),
    ] {
        let told = told(&line);
        assert_eq!(told["foreign"], true, "{told}");
        assert_eq!(told["failures"], json!([]), "{told}");
        assert_eq!(told["answer"]["counts"], false, "{told}");
    }
    let words = ["-c", &config, "-j", "own", text];
    let text = String::from_utf8(run("explain", &words).stdout).expect("UTF-8");
    assert!(text.contains("the jail reads the journal"), "{text}");
    assert!(!text.contains("1 of 3"), "{text}");
}

#[test]
fn rules_that_are_not_asked_are_told() {
    let (_dir, config) = with_jail(
        "backend = polling\nlogpath = /dev/null\nignoreip = host.invalid 192.0.2.9\nignorecommand = /bin/false <ip>",
    );
    let line = |address: &str| format!("2026-11-20 10:00:00 srv app: denied for x from {address}");
    let rules = json!(["ignorecommand", "ignoreip host.invalid"]);
    let words = ["-c", &config, "-j", "own"];
    let told = objects(
        "explain",
        &[&words[..], &["--json", &line("192.0.2.1")]].concat(),
    );
    assert_eq!(told[0]["not_asked"], rules);
    let text = |address| {
        let output = run("explain", &[&words[..], &[&line(address)]].concat());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let not_asked = "whether it is ignored: ignorecommand, ignoreip host.invalid\n";
    assert!(text("192.0.2.1").contains(not_asked));
    assert!(!text("192.0.2.9").contains("not asked"));
}

/// Undated lines count at the time of the lines around them, or now.
#[test]
fn undated_lines_are_counted() {
    let (dir, config) = with_jail("backend = polling\nlogpath = /dev/null");
    let line = " srv app: denied for x from 192.0.2.1";
    let log = dir.path().join("log").to_string_lossy().into_owned();
    fs::write(&log, format!("2026-11-20 10:00:00{line}\n")).expect("write");
    let words = ["-c", &config, "-j", "own", "--json", line, line, &log];
    let told = objects("explain", &words);
    assert_eq!(told[1]["failures"][0]["verdict"], "counted");
    assert_eq!(told[2]["failures"][0]["verdict"], "banned");
    assert_eq!(told[2]["failures"][0]["until"], 1_795_169_400.0);
    let words = ["-c", &config, "-j", "own", "--json", line, line, line];
    let told = objects("explain", &words);
    assert_eq!(told[2]["failures"][0]["verdict"], "banned");
}

/// Errors carry the program's name and say what is wrong where.
#[test]
fn mistakes_are_told_with_their_place() {
    let (dir, config) = with_jail("backend = polling\nlogpath = /dev/null\nbantime = soon");
    let broken = dir.path().join("filter.d/broken.conf");
    fs::write(&broken, "[Definition]\nfailregex = ^x <HOST>)$\n").expect("write");
    let empty = dir.path().join("filter.d/empty.conf");
    fs::write(&empty, "[Definition]\nignoreregex = x\n").expect("write");
    for (words, told) in [
        (
            ["-f", "ap", "x"],
            "there is no filter 'ap' in CONFIG/filter.d",
        ),
        (["-f", "appp[mode=x]", "x"], "; did you mean 'app'?"),
        (
            ["-f", "nosuch", "x"],
            "and no <HOST> in it as in a failregex",
        ),
        (["-f", "^a <HOST>)$", "x"], "the failregex: "),
        (["-f", "broken", "x"], "CONFIG/filter.d/broken.conf: "),
        (
            ["-f", "empty", "x"],
            "CONFIG/filter.d/empty.conf has no failregex",
        ),
        (
            ["-j", "owm", "x"],
            "there is no jail 'owm' in CONFIG; did you mean 'own'?",
        ),
        (["-j", "own", "x"], "CONFIG/jail.conf:"),
    ] {
        let output = common::ours("explain")
            .args(["-c", &config])
            .args(words)
            .output()
            .expect("run");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{words:?}: {text}");
        assert!(text.starts_with("ferroban explain: "), "{words:?}: {text}");
        let told = told.replace("CONFIG", &config);
        assert!(text.contains(&told), "{told}\nnot in\n{text}");
        assert!(!text.contains("replay"), "{text}");
    }
    // a log that is not there is no line
    let output = common::ours("explain")
        .args([
            "-c",
            &config,
            "-j",
            "app",
            "/nonexistent/auth.log",
            "a line",
        ])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(1));
    let told = "ferroban explain: /nonexistent/auth.log: No such file";
    assert!(String::from_utf8_lossy(&output.stderr).starts_with(told));
    assert!(String::from_utf8_lossy(&output.stdout).contains("a line"));
}

/// What the date says is told, and what was assumed because it does not say it.
#[test]
fn what_is_assumed_of_a_date_is_told() {
    let regex = "^ x from <HOST>";
    for (line, assumed) in [
        (
            "Nov 20 10:00:00 x from 192.0.2.1",
            "the year, the zone of this machine",
        ),
        (
            "2026-11-20 10:00:00 x from 192.0.2.1",
            ": the zone of this machine",
        ),
        (
            "10:00:00 x from 192.0.2.1 y",
            "the day, the zone of this machine",
        ),
    ] {
        let text = String::from_utf8(run("explain", &["-v", "-f", regex, line]).stdout).unwrap();
        let told = format!(
            "assumed, as the line does not say: {}\n",
            assumed.trim_start_matches(": ")
        );
        assert!(text.contains(&told), "{text}");
    }
    let words = ["-v", "-f", regex, "2026-11-20T10:00:00Z x from 192.0.2.1 y"];
    let text = String::from_utf8(run("explain", &words).stdout).unwrap();
    assert!(!text.contains("assumed"), "{text}");
    assert!(text.contains("the match ends before \" y\""), "{text}");
}

/// Date pattern and encoding of the command line stand in for those of jail and filter.
#[test]
fn date_pattern_and_encoding_may_be_given() {
    let (dir, config) = with_jail("backend = polling\nlogpath = /dev/null\nlogencoding = ascii");
    let log = dir.path().join("log").to_string_lossy().into_owned();
    fs::write(
        &log,
        b"20.11.2026 10:00:00 srv app: denied for b\xe9 from 192.0.2.1\n",
    )
    .unwrap();
    let pattern = r"^%d\.%m\.%Y %H:%M:%S";
    let words = [
        "-c", &config, "-j", "own", "--json", "-d", pattern, "-e", "latin-1", &log,
    ];
    let told = objects("explain", &words).remove(0);
    assert_eq!(told["date"]["time"], 1_795_168_800.0, "{told}");
    assert_eq!(told["failregex"]["fields"]["user"]["text"], "bé", "{told}");
    for (option, value) in [("-d", "%"), ("-e", "nosuch")] {
        let output = common::ours("explain")
            .args(["-c", &config, "-j", "own", option, value, "a line"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        let refused = output.status.code() == Some(255) && text.contains(value);
        assert!(refused || option == "-d", "{output:?}");
    }
}

/// A line is told for each jail for which it counts; else for the one that it comes closest to.
#[test]
fn without_a_jail_all_that_are_enabled_are_asked() {
    let (_dir, config) = with_jail(
        "backend = polling\nlogpath = /dev/null\nfailregex = ^\\s*srv app: denied .* from <ADDR>$",
    );
    let line = |text: &str| format!("2026-11-20 10:00:00 srv app: {text}");
    let text = |line: &str| {
        let output = run("explain", &["-c", &config, line]);
        String::from_utf8(output.stdout).unwrap()
    };
    let told = text(&line("denied for x from 192.0.2.1"));
    assert!(
        told.contains("counts      app: 192.0.2.1 fails, 1 of 2"),
        "{told}"
    );
    assert!(
        told.contains("counts      own: 192.0.2.1 fails, 1 of 3"),
        "{told}"
    );
    let told = text(&line("late from 192.0.2.1, try x"));
    assert!(told.contains("not counted app: "), "{told}");
    assert!(!told.contains("own: "), "{told}");
}

/// A message that the journal would hand over within an entry is tried as one.
#[test]
fn a_line_is_tried_as_a_message_of_the_journal() {
    let (_dir, config) = with_jail(
        "backend = systemd\njournalmatch = _COMM=app\nfailregex = ^\\S+ app\\[\\d+\\]: denied for \\w+ from <ADDR>$",
    );
    for line in [
        "denied for bob from 192.0.2.1",
        "2026-11-20 10:00:00 denied for bob from 192.0.2.1",
    ] {
        let words = ["-c", &config, "-j", "own", line];
        let text = String::from_utf8(run("explain", &words).stdout).unwrap();
        assert!(text.contains("gives no such line"), "{text}");
        assert!(
            text.contains("as the message of app, \"HOST app[1]: denied for bob"),
            "{text}"
        );
    }
    let words = ["-c", &config, "-j", "own", "all is well"];
    let text = String::from_utf8(run("explain", &words).stdout).unwrap();
    assert!(!text.contains("as the message"), "{text}");
}
