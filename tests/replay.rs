//! `ferroban replay` over the sample log, as the README runs it.

mod common;

use std::collections::BTreeSet;
use std::process::Output;

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
    let words = [
        "-c",
        ".",
        "--jail",
        "dovecot",
        "--commands",
        "--no-lines",
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
