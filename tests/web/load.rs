//! Fifty clients that listen and ask, while addresses are banned: the server does not notice.
//!
//! `FERROBAN_WEB_EVENTS=1000000` tells a million events to them, in rounds with the web process, without it, and
//! with programs in its place that are strangers to the server; and prints how long bans took.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::api::Listener;
use super::common::{self, home};
use super::*;

const CLIENTS: u64 = 50;
/// Events told to all clients together.
const EVENTS: u64 = 150_000;
/// Bans of a round.
const BANS: usize = 40;

/// Bans addresses; answers how long each took, in milliseconds, from the command until the action has run.
fn bans(site: &Site, server: &home::Server<'_>, round: usize) -> Vec<f64> {
    let ban = |number: usize| {
        let id = format!("198.18.{round}.{number}");
        let begun = Instant::now();
        assert!(server.ask(&["set", "one", "banip", &id]).unwrap().is_ok());
        let line = format!("ban one {id}\n");
        while !site.read("notes").contains(&line) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{id} was not banned"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
        begun.elapsed().as_secs_f64() * 1000.0
    };
    (0..BANS).map(ban).collect()
}

/// The web process as its unit runs it, behind the server in what it gets of the machine.
fn web_behind(site: &Site) -> Web {
    let ours = common::ours("web");
    let mut command = std::process::Command::new("nice");
    command.args(["-n", "10"]).arg(ours.get_program());
    command
        .args(ours.get_args())
        .arg("-c")
        .arg(site.directory.path());
    command.stdin(Stdio::null()).stderr(Stdio::null());
    Web(command.spawn().unwrap())
}

/// Clients are elsewhere: here they take what nobody else wants.
fn step_back() {
    let thread = nix::unistd::gettid().to_string();
    let mut command = std::process::Command::new("renice");
    command
        .args(["-n", "19", "-p", &thread])
        .stdout(Stdio::null());
    assert!(command.status().unwrap().success());
}

/// Tells the clients to end, also when something has gone wrong.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lines that are failures, of addresses that fail once and are forgotten.
fn failures(site: &Site, count: u64, first: u64) {
    let time = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S");
    let line = |number: u64| {
        let [_, b, c, d] = u32::try_from(number).unwrap().to_be_bytes();
        format!("{time} x from 10.{b}.{c}.{d}\n")
    };
    let lines: String = (first..first + count).map(line).collect();
    let mut log = std::fs::OpenOptions::new()
        .append(true)
        .open(site.path("two.log"))
        .unwrap();
    log.write_all(lines.as_bytes()).unwrap();
}

/// What is beside the server while addresses are banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nobody,
    /// The web process and its clients.
    Web,
    /// Programs that have nothing to do with the server and take as much of the processor as those may.
    Strangers,
}

/// A program that is always busy; killed at the end.
struct Busy(Child);

impl Busy {
    fn begin(nice: &str) -> Busy {
        let mut command = std::process::Command::new("nice");
        command.args(["-n", nice, "sh", "-c", "while :; do :; done"]);
        Busy(command.spawn().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What all clients of all rounds have seen.
#[derive(Default)]
struct Seen {
    told: AtomicU64,
    lost: AtomicU64,
    asked: AtomicU64,
}

impl Seen {
    fn events(&self) -> u64 {
        self.told.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed)
    }

    /// One client, until `done`: it listens, and where nothing comes it asks.
    fn client(&self, site: &Site, number: u64, done: &AtomicBool) {
        let mut listener = Listener::begin(site, "");
        step_back();
        while !done.load(Ordering::Relaxed) {
            match listener.count() {
                Some((found, missed)) => {
                    self.told.fetch_add(found, Ordering::Relaxed);
                    self.lost.fetch_add(missed, Ordering::Relaxed);
                }
                None if number.is_multiple_of(10) => {
                    let path = ["/", "/banned", "/api/v1/status"][number as usize / 10 % 3];
                    let (head, _) = get(site, path, "");
                    assert_eq!(status(&head), "200");
                    self.asked.fetch_add(1, Ordering::Relaxed);
                }
                None => {}
            }
        }
    }
}

/// Bans addresses while `each` events are told to each client; the process is killed then, with all that is
/// open. Answers how long the bans took.
fn bans_beside_the_web(
    site: &Site,
    server: &home::Server<'_>,
    round: usize,
    each: u64,
    seen: &Seen,
) -> Vec<f64> {
    let web = web_behind(site);
    let heard = || {
        get(site, "/metrics", "")
            .1
            .contains("\nferroban_web_connected 1\n")
    };
    assert!(common::eventually(60, heard));
    // some of them take nothing
    let _slow: Vec<_> = (0..4).map(|_| Listener::begin(site, "")).collect();
    let listening = || {
        let (_, metrics) = get(site, "/metrics", "");
        let wanted = format!("\nferroban_web_listeners {}\n", CLIENTS + 4);
        metrics.contains(&wanted)
    };
    let done = AtomicBool::new(false);
    let begin = seen.events();
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        let _done = Done(&done);
        for number in 0..CLIENTS {
            let done = &done;
            scope.spawn(move || seen.client(site, number, done));
        }
        assert!(common::eventually(60, listening));
        failures(site, each, round as u64 * each);
        times = bans(site, server, round);
        let all = || seen.events() - begin >= each * CLIENTS;
        let arrived = common::eventually(120, all);
        assert!(arrived, "{} of {}", seen.events() - begin, each * CLIENTS);
    });
    drop(web);
    assert_eq!(server.ask(&["ping"]).unwrap(), Ok("pong".into()));
    times
}

/// The middle one, and the one that 99 of 100 do not pass.
fn middle(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[test]
fn fifty_clients_harm_nobody_nor_does_the_end_of_the_process() {
    let given = std::env::var("FERROBAN_WEB_EVENTS").ok();
    let events = given
        .as_deref()
        .map_or(EVENTS, |text| text.parse().unwrap());
    let long = given.is_some();
    let rounds = if long { 10 } else { 1 };
    let each = events / CLIENTS / rounds;
    let site = Site::new(&["one", "two"]);
    let jails = home::jail("one")
        + "maxretry = 1\nignoreself = false\n"
        + &home::jail("two")
        + "maxretry = 9\nfindtime = 1m\n";
    site.jails(&jails);
    let here = site.directory.path().display().to_string();
    site.write(
        "fail2ban.local",
        &format!("[Definition]\nloglevel = NOTICE\n[web]\nlisten = {here}/web\n"),
    );
    let server = site.foreground(home::server());
    let seen = Seen::default();
    let mut kinds = vec![Beside::Nobody, Beside::Web];
    kinds.extend(long.then_some(Beside::Strangers));
    let mut times: Vec<(Beside, Vec<f64>)> = kinds.iter().map(|kind| (*kind, Vec::new())).collect();
    let mut turn = 0;
    for _ in 0..rounds {
        // whoever comes first in one round comes later in the next
        times.rotate_left(1);
        for (beside, times) in &mut times {
            times.extend(match beside {
                Beside::Web => bans_beside_the_web(&site, &server, turn, each, &seen),
                Beside::Nobody | Beside::Strangers => {
                    let _strangers = (*beside == Beside::Strangers)
                        .then(|| [Busy::begin("10"), Busy::begin("19")]);
                    failures(&site, each, turn as u64 * each);
                    bans(&site, &server, turn)
                }
            });
            turn += 1;
        }
    }
    let mut middles = Vec::new();
    for (beside, times) in times {
        let (half, most) = middle(times);
        println!(
            "beside {beside:?} a ban took {half:.2} ms, 99 of 100 no longer than {most:.2} ms"
        );
        middles.push((beside, half));
    }
    let Seen { told, lost, asked } = &seen;
    println!("{told:?} events told to {CLIENTS} clients, {lost:?} lost, {asked:?} requests");
    // nobody waited for a client
    for (beside, half) in &middles {
        assert!(*half < 2000.0, "{beside:?}: {half} ms");
    }
    if long {
        let of = |wanted| middles.iter().find(|(beside, _)| *beside == wanted);
        let (web, nobody) = (of(Beside::Web), of(Beside::Nobody));
        let (web, nobody) = web
            .zip(nobody)
            .map(|(one, other)| (one.1, other.1))
            .unwrap();
        assert!(web < 1.25 * nobody, "{web} ms instead of {nobody}");
    }
    let log = site.read("log");
    assert!(!log.contains("ERROR"), "{log}");
}

impl Listener {
    /// Events of failures that have come, and those that were missed; `None`: nothing comes now.
    fn count(&mut self) -> Option<(u64, u64)> {
        let text = self.some()?;
        let found = text.matches("event: Found\n").count() as u64;
        let missed = text
            .split("\"event\":\"Lost\",\"count\":")
            .skip(1)
            .filter_map(|rest| rest.split('}').next()?.parse::<u64>().ok());
        Some((found, missed.sum()))
    }
}

/// Whether it is only that nothing comes.
pub fn is_pause(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
