//! What a server has to endure: being killed at any moment, and clients that are none.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::home::{Site, server};
use ferroban::control::wire::END;
use nix::sys::signal::Signal;

/// How often the server is killed, unless `FERROBAN_KILLS` says.
const KILLS: u32 = 15;
/// Hostile connections, unless `FERROBAN_CONNECTIONS` says.
const CONNECTIONS: usize = 10_000;

fn count_of<T: std::str::FromStr>(variable: &str, default: T) -> T {
    let given = std::env::var(variable).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Ids that the log says were banned or whose bans were restored.
fn announced(log: &str) -> BTreeSet<String> {
    let id = |line: &str| line.split_once("] Ban ").map(|(_, id)| id.to_owned());
    log.lines().filter_map(id).collect()
}

#[test]
fn kill_at_any_moment() {
    let site = Site::new(&["one"]);
    let conf = site
        .read("jail.conf")
        .replace("maxretry = 2", "maxretry = 2\nbantime = 1d");
    site.write("jail.conf", &conf);
    let mut random = fastrand::Rng::with_seed(6);
    let mut log = OpenOptions::new();
    let mut log = log.append(true).open(site.path("one.log")).unwrap();
    let (mut guilty, mut number) = (BTreeSet::new(), 0u32);
    for round in 0..count_of("FERROBAN_KILLS", KILLS) {
        let running = site.foreground(server());
        let end = Instant::now() + Duration::from_millis(random.u64(0..900));
        while Instant::now() < end {
            // two lines at once, or one that must never be enough
            let now = chrono::Utc::now().format("%b %d %H:%M:%S");
            let id = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
            let count = if number.is_multiple_of(5) { 1 } else { 2 };
            log.write_all(format!("{now} x from {id}\n").repeat(count).as_bytes())
                .unwrap();
            if count == 2 {
                guilty.insert(id);
            }
            number += 1;
            std::thread::sleep(Duration::from_millis(random.u64(0..4)));
        }
        assert_eq!(running.end(Signal::SIGKILL), None, "round {round}");
        let db = rusqlite::Connection::open(site.path("db")).unwrap();
        let check = db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        assert_eq!(check.as_deref(), Ok("ok"), "round {round}");
    }
    let running = site.foreground(server());
    let banned = || -> BTreeSet<String> {
        // the socket is there before the jails are
        let Ok(reply) = running.ask(&["get", "one", "banned"]).unwrap() else {
            return BTreeSet::new();
        };
        let ids = reply.as_slice().unwrap();
        ids.iter().map(|id| id.str().into_owned()).collect()
    };
    let complete = || guilty.is_subset(&banned());
    // while more than 10,000 restored bans wait for their commands no lines are judged: those of
    // the last rounds wait in the log
    let found = common::eventually(180, complete);
    let lost: Vec<String> = guilty.difference(&banned()).cloned().collect();
    assert!(found && lost.is_empty(), "lost {}: {lost:?}", lost.len());
    assert_eq!(banned(), guilty, "single failures were counted twice");
    let announced = announced(&site.read("log"));
    assert!(announced.is_subset(&guilty));
    assert!(number > 50, "no load");
    assert!(!site.read("log").contains("malformed"));
    // a stop would lift thousands of bans, a command for each
    assert_eq!(running.end(Signal::SIGKILL), None);
}

/// Resident memory of a process, in KiB.
fn memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.unwrap().trim_end_matches("kB").trim();
    size.parse().unwrap()
}

#[test]
fn clients_that_are_none() {
    let site = Site::new(&["one"]);
    let running = site.foreground(server());
    let socket = site.path("run/socket");
    let mut random = fastrand::Rng::with_seed(7);
    let mut silent = Vec::new();
    let connections = count_of("FERROBAN_CONNECTIONS", CONNECTIONS);
    let mut early = 0;
    for n in 0..connections {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let timeout = Some(Duration::from_secs(60));
        stream.set_write_timeout(timeout).unwrap();
        let mut noise: Vec<u8> = (0..random.usize(..600)).map(|_| random.u8(..)).collect();
        match n % 5 {
            0 => noise.extend_from_slice(END),
            1 => noise = b"\x80\x02(U\x06stat".to_vec(),
            2 => noise.clear(),
            3 => noise = [&b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f"[..], END].concat(),
            _ => {}
        }
        // it may have been thrown out already
        let _ = stream.write_all(&noise);
        if n % 7 == 0 {
            silent.push(stream);
        }
        if silent.len() > 100 {
            silent.clear();
        }
        if n % 500 == 0 {
            let pong = running.ask(&["ping"]).unwrap();
            assert_eq!(pong, Ok("pong".into()), "after {n} connections");
        }
        if n == connections / 5 {
            early = memory(running.child.id());
        }
    }
    drop(silent);
    let late = memory(running.child.id());
    assert!(late < early + (8 << 10), "{early} KiB grew to {late} KiB");
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
}
