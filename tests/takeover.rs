//! The original and we take turns on one site: each takes over the other's bans, counts and
//! positions in the logs.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::OpenOptions;
use std::io::Write as _;

use common::home::{Site, server};
use nix::sys::signal::Signal;

/// Turns of each version with us.
const TURNS: usize = 10;

fn take_turns(version: &str) {
    let site = Site::new(&["one"]);
    let mut banned: Vec<String> = Vec::new();
    for turn in 0..TURNS {
        let told = site.read("log").len();
        let program = match turn % 2 {
            0 => common::original(version, "fail2ban-server"),
            _ => server(),
        };
        let running = site.foreground(program);
        for id in &banned {
            site.wait_for_after(told, &format!("[one] Restore Ban {id}"));
        }
        let by_log = format!("203.0.113.{}", turn + 1);
        let by_hand = format!("2001:db8::{}", turn + 1);
        let now = chrono::Utc::now().format("%b %d %H:%M:%S");
        let lines = format!("{now} x from {by_log}\n").repeat(2);
        let mut log = OpenOptions::new();
        let mut log = log.append(true).open(site.path("one.log")).unwrap();
        log.write_all(lines.as_bytes()).unwrap();
        site.wait_for_after(told, &format!("[one] Ban {by_log}"));
        let count = running.ask(&["set", "one", "banip", &by_hand]).unwrap();
        assert_eq!(count, Ok(1.into()), "turn {turn}");
        site.wait_for_after(told, &format!("[one] Ban {by_hand}"));
        // no line is read a second time, and no restored ban is taken for a new one
        let log = site.read("log");
        let found = log[told..].matches("] Found ").count();
        assert_eq!(found, 2, "turn {turn}:\n{}", &log[told..]);
        banned.extend([by_log, by_hand]);
        let now = running.ask(&["get", "one", "banned"]).unwrap().unwrap();
        let now: Vec<_> = now
            .as_slice()
            .unwrap()
            .iter()
            .map(|id| id.str().into_owned())
            .collect();
        assert!(
            banned.iter().all(|id| now.contains(id)),
            "turn {turn}: {now:?}"
        );
        assert_eq!(now.len(), banned.len(), "turn {turn}: {now:?}");
        // the original saves a moment later
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
    }
    let rows = rusqlite::Connection::open(site.path("db")).unwrap();
    let count = |table: &str| -> i64 {
        let query = format!("SELECT count(*) FROM {table} WHERE jail = 'one'");
        rows.query_row(&query, [], |row| row.get(0)).unwrap()
    };
    let all = banned.len() as i64;
    assert_eq!((count("bans"), count("bips")), (all, all));
    let check: String = rows
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn with_the_reference_version() {
    take_turns("1.1.1");
}

#[test]
fn with_debians_version() {
    take_turns("1.0.2");
}
