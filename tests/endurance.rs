//! What a server has to endure: being killed at any moment, clients that are none, and reloads and
//! rotations while actions are slow and fail.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
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
/// Seconds of reloads and rotations, unless `FERROBAN_SOAK` says.
const SOAK: u64 = 25;
/// A soak of so many seconds shows whether memory is level.
const LONG_SOAK: u64 = 300;

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

/// What the log tells of ids after `what`, and how often.
fn told(log: &str, what: &str) -> BTreeMap<String, u32> {
    let mut times = BTreeMap::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once(what) {
            let id = rest.split(' ').next().unwrap_or(rest);
            *times.entry(id.to_owned()).or_default() += 1;
        }
    }
    times
}

/// Ids whose numbers are not the same.
fn unequal(wanted: &BTreeMap<String, u32>, told: &BTreeMap<String, u32>) -> Vec<String> {
    let ids: BTreeSet<&String> = wanted.keys().chain(told.keys()).collect();
    let differ = ids
        .into_iter()
        .filter(|id| wanted.get(*id) != told.get(*id));
    differ
        .map(|id| format!("{id}: {:?} for {:?}", told.get(id), wanted.get(id)))
        .collect()
}

/// Two jails, one polling, each with an action that is slow and one that fails. Every line of a failure
/// must be found once, and every id with two of them be banned once.
#[test]
fn soak_of_reloads_and_rotations_loses_no_line() {
    let site = Site::new(&["one", "two"]);
    for (name, command) in [("slow", "sleep 0.2"), ("failing", "false")] {
        let file = format!("[Definition]\nactionban = {command}\nactionunban = {command}\n");
        site.write(&format!("action.d/{name}.conf"), &file);
    }
    let settings = "action = note\n slow\n failing\nfindtime = 20\nbantime = 10\n";
    let section = |name, backend| {
        format!(
            "{}backend = {backend}\n{settings}\n",
            common::home::jail(name).trim_end().to_owned() + "\n"
        )
    };
    site.jails(&(section("one", "polling") + &section("two", "auto")));
    let running = site.foreground(server());
    let mut random = fastrand::Rng::with_seed(8);
    let seconds = count_of("FERROBAN_SOAK", SOAK);
    let open = |name: &str| -> File {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        options.open(site.path(&format!("{name}.log"))).unwrap()
    };
    let (mut found, mut banned) = (BTreeMap::new(), BTreeMap::new());
    let (mut number, mut lines, mut rotations, mut reloads) = (0u32, 0u64, 0, 0);
    let mut sizes = Vec::new();
    let begin = Instant::now();
    let mut logs = [("one", open("one")), ("two", open("two"))];
    let (mut reload_at, mut rotate_at, mut look_at) = (10, 3, 0);
    while begin.elapsed() < Duration::from_secs(seconds) {
        let now = chrono::Utc::now().format("%b %d %H:%M:%S");
        for (_, log) in &mut logs {
            let mut text = String::new();
            for _ in 0..random.u32(0..12) {
                let id = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
                let count = if number.is_multiple_of(10) { 2 } else { 1 };
                text += &format!("{now} x from {id}\n").repeat(count as usize);
                text += &format!("{now} y from {id}\n").repeat(3);
                lines += u64::from(count) + 3;
                if count == 2 {
                    banned.insert(id.clone(), 1);
                }
                found.insert(id, count);
                number += 1;
            }
            log.write_all(text.as_bytes()).unwrap();
        }
        let second = begin.elapsed().as_secs();
        if second >= rotate_at {
            rotate_at = second + 3;
            let (name, log) = &mut logs[rotations % 2];
            let path = site.path(&format!("{name}.log"));
            fs::rename(&path, site.path(&format!("{name}.log.1"))).unwrap();
            // its writer has not noticed yet
            std::thread::sleep(Duration::from_millis(random.u64(0..20)));
            *log = open(name);
            rotations += 1;
        }
        if second >= reload_at {
            reload_at = second + 10;
            let (code, printed) = site.run(common::ours("fail2ban-client"), &["reload"]);
            assert_eq!((code, printed.as_str()), (0, "OK\n"));
            reloads += 1;
        }
        if second >= look_at {
            look_at = second + 1;
            sizes.push(memory(running.child.id()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let complete = || unequal(&found, &told(&site.read("log"), "] Found ")).is_empty();
    common::eventually(60, complete);
    let log = site.read("log");
    let wrong = unequal(&found, &told(&log, "] Found "));
    assert!(wrong.is_empty(), "{} lines: {wrong:?}", wrong.len());
    let wrong = unequal(&banned, &told(&log, "] Ban "));
    assert!(wrong.is_empty(), "{} bans: {wrong:?}", wrong.len());
    let half = |part: &[usize]| part.iter().copied().max().unwrap_or_default();
    let (before, after) = sizes.split_at(sizes.len() / 2);
    let (before, after) = (half(before), half(after));
    println!(
        "{seconds} s: {lines} lines, {} failures, {} bans, {reloads} reloads, {rotations} rotations; \
         at most {before} KiB in the first half, {after} in the second",
        found.len() + banned.len(),
        banned.len()
    );
    assert!(rotations > 3 && reloads > 0, "no load");
    if seconds >= LONG_SOAK {
        assert!(after <= before + before / 20, "{sizes:?}");
    }
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
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
