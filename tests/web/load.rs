//! Fifty clients that listen and ask, while addresses are banned: the server does not notice.
//!
//! `FERROBAN_WEB_EVENTS=1000000` tells a million events to them, in rounds with and without the web process, and
//! prints how long bans took.

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

fn median(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[test]
fn fifty_clients_harm_nobody_nor_does_the_end_of_the_process() {
    let given = std::env::var("FERROBAN_WEB_EVENTS").ok();
    let events = given
        .as_deref()
        .map_or(EVENTS, |text| text.parse().unwrap());
    let rounds: u64 = if given.is_some() { 10 } else { 1 };
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
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let (told, lost, asked) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let mut number = 0;
    for round in 0..rounds as usize {
        let web = web_behind(&site);
        let heard = || {
            get(&site, "/metrics", "")
                .1
                .contains("\nferroban_web_connected 1\n")
        };
        assert!(common::eventually(60, heard));
        // some of them take nothing
        let slow: Vec<_> = (0..4).map(|_| Listener::begin(&site, "")).collect();
        let done = AtomicBool::new(false);
        let begin = told.load(Ordering::Relaxed) + lost.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            let _done = Done(&done);
            for client in 0..CLIENTS {
                let mut listener = Listener::begin(&site, "");
                let (done, told, lost, asked, site) = (&done, &told, &lost, &asked, &site);
                scope.spawn(move || {
                    step_back();
                    while !done.load(Ordering::Relaxed) {
                        match listener.count() {
                            Some((found, missed)) => {
                                told.fetch_add(found, Ordering::Relaxed);
                                lost.fetch_add(missed, Ordering::Relaxed);
                            }
                            None if client % 10 == 0 => {
                                let path =
                                    ["/", "/banned", "/api/v1/status"][client as usize / 10 % 3];
                                let (head, _) = get(site, path, "");
                                assert_eq!(status(&head), "200");
                                asked.fetch_add(1, Ordering::Relaxed);
                            }
                            None => {}
                        }
                    }
                });
            }
            failures(&site, each, number);
            number += each;
            with.extend(bans(&site, &server, round * 2));
            let all = || {
                let now = told.load(Ordering::Relaxed) + lost.load(Ordering::Relaxed);
                now - begin >= each * CLIENTS
            };
            let arrived = common::eventually(120, all);
            assert!(arrived, "{told:?} told, {lost:?} lost");
        });
        let (_, metrics) = get(&site, "/metrics", "");
        drop(slow);
        // killed, with all that is open
        drop(web);
        assert_eq!(server.ask(&["ping"]).unwrap(), Ok("pong".into()));
        failures(&site, each, number);
        number += each;
        without.extend(bans(&site, &server, round * 2 + 1));
        if given.is_none() {
            let missed = metrics
                .lines()
                .find_map(|line| line.strip_prefix("ferroban_web_events_lost_total "));
            // what the four did not take is counted
            assert!(
                each < 5000 || missed.is_some_and(|count| count != "0"),
                "{metrics}"
            );
        }
    }
    let ((with, with_most), (without, without_most)) = (median(&mut with), median(&mut without));
    println!(
        "{told:?} events told to {CLIENTS} clients, {lost:?} lost, {asked:?} requests; a ban took {with:.2} ms (99 %: \
         {with_most:.2}) beside them and {without:.2} ms ({without_most:.2}) without a web process"
    );
    // nobody waited for a client
    assert!(with < 2000.0, "{with} ms");
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
