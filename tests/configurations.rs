//! Configurations in the manner of public repositories (bot blockers, panels, home labs, mail servers, of
//! fail2ban 0.8 to 1.1), with filters and actions of their own, over the shipped configuration: nearly all
//! of their jails load, and a server runs them. `tests/configurations` holds one text for each.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use common::root::Root;
use common::written::{self, Written};
use ferroban::parts::config::{self, ReadOptions};

/// Of a hundred jails so many load and run at least.
const SHARE: usize = 98;

/// The configuration in which all shipped jails are on.
const EVERY: &str = "every-shipped-jail";

fn every_jail() -> Written {
    let shipped = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/jail.conf")).unwrap();
    let names = shipped
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    let jails = names.filter(|name| !["DEFAULT", "INCLUDES"].contains(name));
    let jails = jails.map(|name| format!("[{name}]\nenabled = true\n"));
    Written {
        name: EVERY.to_owned(),
        files: vec![("jail.local".to_owned(), jails.collect())],
    }
}

/// The jails that a configuration switches on, by the look of its text.
fn named(written: &Written) -> BTreeSet<&str> {
    let mut jails = BTreeSet::new();
    let of_jails = written
        .files
        .iter()
        .filter(|(name, _)| name.starts_with("jail."));
    for line in of_jails.flat_map(|(_, text)| text.lines()) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            jails.insert(name);
        }
    }
    jails.remove("DEFAULT");
    jails.remove("INCLUDES");
    jails
}

fn told(what: &str, good: usize, all: usize, bad: &str) {
    println!("{good} of {all} jails {what}\n{bad}");
    assert!(all >= 1000, "{all} jails");
    assert!(
        good * 100 >= all * SHARE,
        "{good} of {all} jails {what}\n{bad}"
    );
}

#[test]
fn nearly_all_jails_of_public_configurations_load() {
    let all = written::all("configurations");
    assert!(all.len() >= 60, "{} configurations", all.len());
    let (mut good, mut count, mut bad) = (0, 0, String::new());
    for written in &all {
        let directory = tempfile::tempdir().unwrap();
        written.write(directory.path());
        let options = ReadOptions {
            allow_no_files: true,
            ..ReadOptions::default()
        };
        let jails = named(written);
        count += jails.len();
        let stream = match config::read(directory.path(), &options) {
            Ok(stream) => stream,
            Err(error) => {
                let _ = writeln!(bad, "{}: {error}", written.name);
                continue;
            }
        };
        let started: BTreeSet<_> = stream
            .commands
            .iter()
            .filter(|words| words[0].as_str() == Some("start"))
            .filter_map(|words| words[1].as_str())
            .collect();
        good += jails.iter().filter(|name| started.contains(**name)).count();
        for name in jails.iter().filter(|name| !started.contains(**name)) {
            let reason = stream.skipped.iter().find(|(jail, _)| jail == name);
            let reason = reason.map_or("not started", |(_, reason)| reason);
            let _ = writeln!(bad, "{} {name}: {reason}", written.name);
        }
    }
    told("load", good, count, &bad);
}

/// Makes the logs that the jails look for.
fn make_logs(root: &Root, etc: &str, directory: &Path) {
    let options = ReadOptions {
        allow_no_files: true,
        patterns: true,
        ..ReadOptions::default()
    };
    let stream = config::read(directory, &options).unwrap();
    let starts = stream
        .commands
        .iter()
        .filter(|words| words[0].as_str() == Some("start"));
    for path in starts
        .flat_map(|words| &words[2..])
        .filter_map(|word| word.as_str())
    {
        let path = path.replace("[0-9]", "0").replace(['*', '?'], "x");
        if !path.starts_with(etc) && !root.path(&path).exists() {
            root.write(&path, "");
        }
    }
}

#[test]
fn a_server_runs_nearly_all_jails_of_public_configurations() {
    let test = "a_server_runs_nearly_all_jails_of_public_configurations";
    common::in_network_and_mount_namespace(test, || {
        let root = Root::installed();
        let mut all = written::all("configurations");
        all.push(every_jail());
        let mut commands = String::new();
        for written in &all {
            let etc = format!("/etc/{}", written.name);
            let directory = root.path(&etc);
            fs::create_dir_all(&directory).unwrap();
            written.write(&directory);
            // no journal here
            let machine = "[INCLUDES]\nbefore = paths-debian.conf\n";
            fs::write(directory.join("paths-system.conf"), machine).unwrap();
            let server = format!(
                "[DEFAULT]\nlogtarget = {etc}/log\nsocket = {etc}/socket\npidfile = {etc}/pid\ndbfile = None\n"
            );
            fs::create_dir_all(directory.join("fail2ban.d")).unwrap();
            fs::write(directory.join("fail2ban.d/test.local"), server).unwrap();
            make_logs(&root, &etc, &directory);
            let _ = writeln!(
                commands,
                "(fail2ban-client -c {etc} start; fail2ban-client -c {etc} status; fail2ban-client -c {etc} stop) >{etc}/told 2>&1; true"
            );
        }
        // a few at a time
        root.write("tmp/commands", &commands);
        let run = root.shell(
            "xargs -P 4 -d '\\n' -n 1 sh -c </tmp/commands",
            common::root::LOGIN,
        );
        assert!(run.status.success(), "{run:?}");
        let (mut good, mut count, mut bad) = (0, 0, String::new());
        for written in &all {
            let told =
                fs::read_to_string(root.path(&format!("/etc/{}/told", written.name))).unwrap();
            let list = told.lines().find_map(|line| line.split_once("Jail list:"));
            let running: BTreeSet<_> = list
                .map_or("", |(_, list)| list)
                .split([',', '\t', ' '])
                .collect();
            let jails = named(written);
            let missing: Vec<_> = jails
                .iter()
                .filter(|name| !running.contains(**name))
                .collect();
            if written.name == EVERY {
                assert!(missing.is_empty(), "{missing:?}\n{told}");
                continue;
            }
            count += jails.len();
            good += jails.len() - missing.len();
            if !missing.is_empty() {
                let _ = writeln!(bad, "{}: {missing:?}\n{told}", written.name);
            }
        }
        told("run", good, count, &bad);
    });
}
