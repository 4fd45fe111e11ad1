//! Jails and addresses of servers that run.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value as Json;

use crate::common::cases::date;
use crate::common::home::{Site, server};
use crate::common::stock::StockServer;
use crate::common::{self, eventually, in_network_namespace};

fn explain(config: &std::path::Path, words: &[&str]) -> Json {
    let mut command = common::ours("explain");
    let output = command
        .arg("-c")
        .arg(config)
        .arg("--json")
        .args(words)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"))
}

/// The step that is wrong, and why.
fn wrong(site: &Site, jail: &str) -> (String, String) {
    let told = explain(&site.path(""), &[jail]);
    let text = |name: &str| told["answer"][name].as_str().unwrap_or_default().to_owned();
    (text("step"), text("why"))
}

/// Why an address is banned, or not, and whether it is.
fn banned(site: &Site, words: &[&str]) -> (bool, String) {
    let told = explain(&site.path(""), words);
    let why = told["answer"]["why"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (told["answer"]["banned"] == true, why)
}

fn failures(site: &Site, log: &str, address: &str, count: usize) {
    let line = format!("{} x from {address}\n", date("%Y-%m-%d %H:%M:%S", 0));
    let text = site.read(log) + &line.repeat(count);
    site.write(log, &text);
}

#[test]
fn an_address_is_followed_through_its_ban() {
    let site = Site::new(&["one", "two"]);
    let server = site.foreground(server());
    failures(&site, "one.log", "192.0.2.7", 1);
    site.wait_for("Found 192.0.2.7");
    let (is_banned, why) = banned(&site, &["192.0.2.7"]);
    assert!(!is_banned, "{why}");
    assert!(
        why.contains("1 failure of 192.0.2.7 in 10m, 2 are needed (maxretry at "),
        "{why}"
    );

    failures(&site, "one.log", "192.0.2.7", 1);
    site.wait_for("Ban 192.0.2.7");
    let known = || banned(&site, &["192.0.2.7"]).1.contains("the last: ");
    assert!(eventually(60, known), "{:?}", banned(&site, &["192.0.2.7"]));
    let (is_banned, why) = banned(&site, &["192.0.2.7"]);
    assert!(is_banned, "{why}");
    assert!(why.starts_with("one has banned it from "), "{why}");
    assert!(why.contains("after 2 failures, the last: "), "{why}");
    // another jail knows nothing of it
    let (is_banned, why) = banned(&site, &["-j", "two", "192.0.2.7"]);
    assert!(!is_banned, "{why}");

    let (step, why) = wrong(&site, "one");
    assert_eq!((step.as_str(), why.as_str()), ("", ""));
    let told = explain(&site.path(""), &["one"]);
    let steps: Vec<&str> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            "files", "enabled", "server", "source", "read", "date", "clock", "match", "ignored",
            "count", "action", "ban", "rule", "packets", "log",
        ]
    );

    server
        .ask(&["set", "one", "unbanip", "192.0.2.7"])
        .unwrap()
        .unwrap();
    let (is_banned, why) = banned(&site, &["192.0.2.7"]);
    assert!(!is_banned, "{why}");
    assert!(
        why.contains("; the server's log says: 20") && why.ends_with("[one] Unban 192.0.2.7"),
        "{why}"
    );
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    let (step, why) = wrong(&site, "one");
    assert_eq!(step, "server", "{why}");
    assert!(why.contains("no server runs"), "{why}");
}

#[test]
fn a_server_that_does_not_do_what_its_files_say_is_found() {
    let site = Site::new(&["one", "two"]);
    let server = site.foreground(server());
    site.jails("[one]\nenabled = true\nlogpath = %(here)s/one.log\n[two]\nenabled = true\nlogpath = %(here)s/other.log\n[late]\nenabled = true\nlogpath = %(here)s/one.log\n");
    site.write("other.log", "2026-11-20 10:00:00 x from 192.0.2.1\n");
    let (step, why) = wrong(&site, "late");
    assert_eq!(step, "server", "{why}");
    assert!(why.contains("the server does not have it"), "{why}");
    let (step, why) = wrong(&site, "two");
    assert_eq!(step, "read", "{why}");
    assert!(why.contains("the server does not read"), "{why}");
    let (step, why) = wrong(&site, "one");
    assert_eq!(step, "source", "{why}");
    assert!(why.contains("one.log is empty"), "{why}");
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}

/// One that could lift its ban again is known to the server; of another the log tells.
#[test]
fn an_action_that_fails_is_found() {
    for (more, step, part) in [
        ("actionunban = true\n", "action", "its action note fails"),
        ("", "log", "Failed to execute ban jail 'one' action 'note'"),
    ] {
        let site = Site::new(&["one"]);
        let fails = format!("[Definition]\nactionban = echo no room >&2; false\n{more}");
        site.write("action.d/note.conf", &fails);
        let server = site.foreground(server());
        failures(&site, "one.log", "192.0.2.7", 2);
        let found = || wrong(&site, "one").0 == step;
        let log = || site.read("log");
        assert!(
            eventually(60, found),
            "{:?}\n{}",
            wrong(&site, "one"),
            log()
        );
        let (_, why) = wrong(&site, "one");
        assert!(why.contains(part), "{why}");
        assert_eq!(server.end(Signal::SIGTERM), Some(0));
    }
}

#[test]
fn a_rule_that_is_gone_is_found() {
    in_network_namespace("live::a_rule_that_is_gone_is_found", || {
        let server = StockServer::start(&[("own", "iptables-ipset[name=own, port=ssh]")], &[]);
        let line = format!(
            "{} srv sshd[1]: Failed password for root from 192.0.2.7 port 22 ssh2\n",
            date("%b %d %H:%M:%S", 0)
        );
        server.write("log", &line.repeat(6));
        let has = || {
            let listed = Command::new("ipset").args(["list", "f2b-own"]).output();
            String::from_utf8_lossy(&listed.unwrap().stdout).contains("192.0.2.7")
        };
        assert!(eventually(60, has), "{}", server.log());
        let told = explain(&server.path("etc"), &["own"]);
        assert_eq!(told["answer"], Json::Null, "{told:#}");
        let removed = Command::new("ipset")
            .args(["del", "f2b-own", "192.0.2.7"])
            .status();
        assert!(removed.unwrap().success());
        let told = explain(&server.path("etc"), &["own"]);
        assert_eq!(told["answer"]["step"], "rule", "{told:#}");
        let told = explain(&server.path("etc"), &["192.0.2.7"]);
        let why = told["answer"]["why"].as_str().unwrap();
        assert!(why.contains("are not in the firewall"), "{told:#}");
        fs::write(server.path("log"), "").unwrap();
    });
}
