//! A fleet in the field: every host in a network namespace of its own with a firewall of its own, the engine
//! behind a bridge. Bans and bursts, cut cables, an engine that dies, a host that lies, a clock that is wrong.
//!
//! Eight hosts and small numbers; `FERROBAN_FLEET_HOSTS` and `FERROBAN_FLEET_BANS` make it large
//! (docs/testing.md). What took how long is printed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::home::Server;
use crate::engine::Engine;
use crate::host::Host;
use crate::kernel::{Kernel, Listeners};

const BRIDGE: &str = "10.77.0.1:6379";

fn number(name: &str, small: usize) -> usize {
    let value = std::env::var(name).ok().map(|text| text.parse().unwrap());
    value.unwrap_or(small)
}

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}");
}

/// A bridge with the engine's address.
fn bridge() {
    for words in ["-t tmpfs none /run", "--make-rprivate /run"] {
        let status = Command::new("mount").args(words.split(' ')).status();
        assert!(status.unwrap().success(), "mount {words}");
    }
    std::fs::create_dir("/run/netns").unwrap();
    ip("link set lo up");
    ip("link add br0 type bridge");
    ip("addr add 10.77.0.1/16 dev br0");
    ip("link set br0 up");
}

/// A host in a namespace behind the bridge.
struct Placed {
    name: String,
    host: Host,
    kernel: Kernel,
}

impl Placed {
    fn new(number: usize, settings: &str) -> Placed {
        Placed::with(number, settings, "")
    }

    /// With more settings of its jail.
    fn with(number: usize, settings: &str, more: &str) -> Placed {
        let name = format!("h{number}");
        ip(&format!("netns add {name}"));
        ip(&format!(
            "link add v{number} type veth peer name e0 netns {name}"
        ));
        ip(&format!("link set v{number} master br0 up"));
        let address = format!("10.77.{}.{}", 1 + number / 200, 1 + number % 200);
        ip(&format!("-n {name} addr add {address}/16 dev e0"));
        ip(&format!("-n {name} link set e0 up"));
        ip(&format!("-n {name} link set lo up"));
        let jail = format!("backend = auto\naction = nftables-allports[name=sshd]\n{more}");
        let url = format!("redis://{BRIDGE}");
        let host = Host::with_jails(&name, &url, settings, &[("sshd", &jail)]);
        let kernel = Kernel::new(&name, "sshd");
        Placed { name, host, kernel }
    }

    /// A program in its namespace.
    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    fn start(&self, environment: &[(&str, &str)]) -> Server<'_> {
        let mut program = self.inside(env!("CARGO_BIN_EXE_ferroban"));
        program.arg("server").envs(environment.iter().copied());
        self.host.site.foreground(program)
    }

    fn cable(&self, state: &str) {
        ip(&format!("link set v{} {state}", &self.name[1..]));
    }
}

/// Waits until the kernels of all hosts hold the same; how long that took.
fn all_hold(hosts: &[&Placed], expected: &BTreeSet<Ipv4Addr>) -> Duration {
    let begin = Instant::now();
    let end = begin + Duration::from_secs(120);
    for host in hosts {
        loop {
            let held = host.kernel.held();
            if held == *expected {
                break;
            }
            if Instant::now() > end {
                let lost: Vec<_> = expected.difference(&held).take(5).collect();
                let odd: Vec<_> = held.difference(expected).take(5).collect();
                panic!(
                    "{}: {} of {}, lost {lost:?}, too many {odd:?}\n{}",
                    host.name,
                    held.len(),
                    expected.len(),
                    host.host.status()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    begin.elapsed()
}

/// Waits until the kernels of these hosts have banned these and lifted those; how long that took since then. To
/// list whole sets meanwhile would hold up who fills them.
fn changed(hosts: &[&Placed], banned: &[String], lifted: &[String], begin: Instant) -> Duration {
    for host in hosts {
        for id in banned.iter().rev() {
            host.kernel.wait(ip_of(id), true);
        }
        for id in lifted.iter().rev() {
            host.kernel.wait(ip_of(id), false);
        }
    }
    begin.elapsed()
}

/// Addresses that nobody has, of this part of a network.
fn addresses(part: usize, count: usize) -> Vec<String> {
    let address = |n: usize| format!("198.{}.{}.{}", 18 + part / 200, part % 200, n);
    assert!(count <= 200 * 250);
    (0..count)
        .map(|n| match n / 250 {
            0 => address(1 + n % 250),
            more => format!("172.{}.{}.{}", 16 + part % 15, more, 1 + n % 250),
        })
        .collect()
}

fn ip_of(id: &str) -> Ipv4Addr {
    id.parse().unwrap()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// From the line in the log of one host to the kernels of all, so many times: the times, sorted.
fn latencies(hosts: &[Placed], times: usize) -> Vec<Duration> {
    let listeners = Listeners::new(hosts.iter().map(|host| &host.kernel));
    let mut found = Vec::new();
    for (round, address) in addresses(190, times).iter().enumerate() {
        let origin = &hosts[round % hosts.len()];
        let begin = Instant::now();
        origin.host.fail("sshd", address);
        found.extend(listeners.hear(ip_of(address), begin));
    }
    found.sort();
    found
}

/// Processor time in milliseconds: of the servers, and of the engine.
struct Work {
    servers: Vec<u32>,
    engine: u32,
    seen: [u64; 2],
}

impl Work {
    fn new(servers: &[Server<'_>], engine: &Engine) -> Work {
        let servers = servers.iter().map(|server| server.child.id()).collect();
        let mut work = Work {
            servers,
            engine: engine.process(),
            seen: [0; 2],
        };
        work.since();
        work
    }

    fn of(process: u32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let fields = stat.rsplit(") ").next().unwrap().split(' ');
        let ticks = fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap());
        // a hundred ticks a second
        ticks.sum::<u64>() * 10
    }

    /// Since it was asked last, in words.
    fn since(&mut self) -> String {
        let servers = self.servers.iter().copied().map(Work::of).sum();
        let now = [servers, Work::of(self.engine)];
        let [servers, engine] = [0, 1].map(|at| now[at] - self.seen[at]);
        self.seen = now;
        format!("processor time: servers {servers} ms, engine {engine} ms")
    }
}

fn resident(server: &Server<'_>) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let size = line.unwrap().split_whitespace().nth(1).unwrap();
    size.parse().unwrap()
}

#[test]
fn a_fleet_comes_through_bursts_cut_cables_a_dead_engine_and_a_lying_host() {
    const TEST: &str =
        "field::a_fleet_comes_through_bursts_cut_cables_a_dead_engine_and_a_lying_host";
    common::in_network_and_mount_namespace(TEST, field);
}

fn field() {
    let count = number("FERROBAN_FLEET_HOSTS", 8);
    let bans = number("FERROBAN_FLEET_BANS", 40);
    bridge();
    let address: SocketAddr = BRIDGE.parse().unwrap();
    let mut engine = Engine::with(address, &[]);
    // a burst of this size is meant here
    let limits = format!("maxburst = {}\nmaxbans = {}", 4 * bans, 4 * bans);
    let hosts: Vec<Placed> = (0..count)
        .map(|number| Placed::new(number, &limits))
        .collect();
    let mut servers: Vec<Server<'_>> = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        // the clock of one of them is an hour ahead
        let wrong = [
            ("LD_PRELOAD", "libfaketime.so.1"),
            ("LD_LIBRARY_PATH", "/usr/lib/x86_64-linux-gnu/faketime"),
            ("FAKETIME", "+1h"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        servers.push(host.start(if number == 1 { &wrong } else { &[] }));
    }
    for host in &hosts {
        host.host.wait_connected(count - 1);
    }
    let all: Vec<&Placed> = hosts.iter().collect();
    let mut expected = BTreeSet::new();
    let mut work = Work::new(&servers, &engine);

    let times = 10;
    let latencies = latencies(&hosts, times);
    expected.extend(addresses(190, times).iter().map(|id| ip_of(id)));
    all_hold(&all, &expected);
    println!(
        "A: a line of one host is in the kernels of all {count}: median {:.1} ms, p99 {:.1} ms; {} KiB resident at most; {}",
        milliseconds(latencies[latencies.len() / 2]),
        milliseconds(latencies[latencies.len() * 99 / 100]),
        servers.iter().map(resident).max().unwrap(),
        work.since()
    );

    let origins = count.min(10);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for (number, host) in hosts.iter().take(origins).enumerate() {
            let ids = addresses(number, bans);
            expected.extend(ids.iter().map(|id| ip_of(id)));
            scope.spawn(move || host.host.ask(&format!("set sshd banip {}", ids.join(" "))));
        }
    });
    all_hold(&all, &expected);
    println!(
        "B: {origins} × {bans} bans on all after {:.2} s; {}",
        begin.elapsed().as_secs_f64(),
        work.since()
    );
    let last = hosts.last().unwrap();
    let told = last.host.site.read("log");
    for id in addresses(0, bans) {
        let line = format!("Ban {id} (by host h0)\n");
        assert_eq!(told.matches(&line).count(), 1, "{id}");
    }
    // whoever has the wrong clock ends them when the others do
    let with_time = |host: &Placed| host.host.ask("get sshd banip --with-time");
    let end = |host: &Placed, id: &str| {
        let list = with_time(host);
        let ban = list.split(id).nth(1).unwrap().split(" = ").nth(1).unwrap()[..19].to_owned();
        chrono::NaiveDateTime::parse_from_str(&ban, "%Y-%m-%d %H:%M:%S").unwrap()
    };
    let id = format!("{} \\t", addresses(0, 1)[0]);
    let apart = (end(&hosts[1], &id) - end(&hosts[0], &id)).num_seconds();
    assert!((3595..=3605).contains(&apart), "by its own clock: {apart}");
    let id = format!("{} \\t", addresses(1, 1)[0]);
    let apart = (end(&hosts[1], &id) - end(&hosts[0], &id)).num_seconds();
    assert!((3595..=3605).contains(&apart), "by its own clock: {apart}");

    let cut: Vec<&Placed> = hosts.iter().rev().take((count * 3 / 10).max(2)).collect();
    cut.iter().for_each(|host| host.cable("down"));
    let away = Duration::from_secs(if count > 8 { 10 } else { 4 });
    let begin = Instant::now();
    let new = addresses(100, bans);
    let gone = addresses(0, bans / 10);
    hosts[0]
        .host
        .ask(&format!("set sshd banip {}", new.join(" ")));
    hosts[0]
        .host
        .ask(&format!("set sshd unbanip {}", gone.join(" ")));
    // a host that is cut off bans for itself, and tells it later
    let own = addresses(101, 1);
    cut[0].host.fail("sshd", &own[0]);
    cut[0].kernel.wait(ip_of(&own[0]), true);
    std::thread::sleep(away.saturating_sub(begin.elapsed()));
    expected.extend(new.iter().chain(&own).map(|id| ip_of(id)));
    let lifted: Vec<Ipv4Addr> = gone.iter().map(|id| ip_of(id)).collect();
    expected.retain(|id| !lifted.contains(id));
    work.since();
    let begin = Instant::now();
    cut.iter().for_each(|host| host.cable("up"));
    let raised = begin.elapsed();
    let changed_after = changed(&cut, &new, &gone, begin).max(changed(&all, &own, &[], begin));
    let compared = all_hold(&all, &expected);
    println!(
        "C: {} hosts that were cut off hold the same {:.2} s after (their cables took {:.2} s, to compare all sets {:.2} s more); {}",
        cut.len(),
        changed_after.as_secs_f64(),
        raised.as_secs_f64(),
        compared.as_secs_f64(),
        work.since()
    );

    engine.kill();
    let begin = Instant::now();
    let alone = addresses(102, 1);
    hosts[2].host.fail("sshd", &alone[0]);
    hosts[2].kernel.wait(ip_of(&alone[0]), true);
    println!(
        "D: without an engine a ban takes {:.1} ms",
        milliseconds(begin.elapsed())
    );
    assert!(
        hosts[3].kernel.held().is_superset(&expected),
        "nothing was lifted"
    );
    engine.start();
    let mut work = Work::new(&servers, &engine);
    let begin = Instant::now();
    expected.extend(alone.iter().map(|id| ip_of(id)));
    all_hold(&all, &expected);
    println!(
        "D: the ban made meanwhile is on all {:.2} s after",
        begin.elapsed().as_secs_f64()
    );
    let live = || {
        let of_host = |n: usize| engine.ask::<usize>(&["ZCARD", &format!("f2b:fleet:h{n}:live")]);
        (0..count).map(of_host).sum::<usize>()
    };
    assert!(
        common::eventually(60, || live() == expected.len()),
        "{} of {}",
        live(),
        expected.len()
    );
    println!(
        "D: the empty engine holds all again {:.2} s after; {}",
        begin.elapsed().as_secs_f64(),
        work.since()
    );
    for host in &hosts {
        let log = host.host.site.read("log");
        let lifted = log.matches("] Unban ").count();
        assert_eq!(lifted, gone.len(), "{}", host.name);
    }

    lies(&engine, &hosts, bans, &mut expected);

    let id = addresses(2, 1).remove(0);
    let begin = Instant::now();
    let (code, text) = hosts[0].host.fleet(&["unban", &id, "--url", &engine.url()]);
    assert_eq!(code, 0, "{text}");
    expected.remove(&ip_of(&id));
    all.iter()
        .for_each(|host| host.kernel.wait(ip_of(&id), false));
    println!(
        "F: an order lifts a ban on all within {:.2} s",
        begin.elapsed().as_secs_f64()
    );
    all_hold(&all, &expected);
    // one more host says so, and nobody listens
    hosts[4].host.ask(&format!("set sshd banip {id}"));
    let next = addresses(103, 1);
    hosts[4].host.ask(&format!("set sshd banip {}", next[0]));
    expected.insert(ip_of(&next[0]));
    let others: Vec<&Placed> = hosts.iter().filter(|host| host.name != "h4").collect();
    all_hold(&others, &expected);
}

/// A host writes what it likes into its stream, while others go on.
fn lies(engine: &Engine, hosts: &[Placed], bans: usize, expected: &mut BTreeSet<Ipv4Addr>) {
    let flood = number("FERROBAN_FLEET_LIES", 3_000);
    let _: i64 = engine.ask(&["ZADD", "f2b:fleet:hosts", "1", "liar"]);
    for host in hosts {
        host.host.wait_connected(hosts.len());
    }
    let mut connection = engine.connect();
    let begin = Instant::now();
    let targets = [
        "0.0.0.0/0",
        "::/0",
        "10.77.0.1",
        "10.77.1.3",
        "127.0.0.1",
        "224.0.0.1",
        "x",
    ];
    for batch in (0..flood).collect::<Vec<_>>().chunks(1_000) {
        let mut pipe = redis::pipe();
        for n in batch {
            let honest = format!("172.31.{}.{}", n / 250 % 250, 1 + n % 250);
            let target = match n % 2 {
                0 => targets[n / 2 % targets.len()],
                _ => &honest,
            };
            let until = if n % 3 == 0 { "253402300799000" } else { "-1" };
            pipe.cmd("XADD").arg("f2b:fleet:liar:log").arg("*");
            for (name, value) in [
                ("v", "1"),
                ("kind", "ban"),
                ("jail", "sshd"),
                ("target", target),
                ("since", "1"),
                ("until", until),
                ("bancount", "1"),
                ("reason", "lies"),
                ("id", "01J00000000000000000000000"),
            ] {
                pipe.arg(name).arg(value);
            }
            if n % 50 == 0 {
                pipe.arg(b"sig").arg(b"\xff\xfe");
            }
            pipe.ignore();
        }
        pipe.exec(&mut connection).unwrap();
    }
    let written = begin.elapsed();
    let honest = addresses(104, 1);
    let begin = Instant::now();
    hosts[5].host.fail("sshd", &honest[0]);
    for host in hosts {
        host.kernel.wait(ip_of(&honest[0]), true);
    }
    println!(
        "E: {flood} lies within {:.2} s, and another host's ban right after them is on all within {:.2} s",
        written.as_secs_f64(),
        begin.elapsed().as_secs_f64()
    );
    for host in hosts {
        host.host.site.wait_for("Host liar of the fleet is muted");
        let banned = host.host.of_host("liar", "bans").as_u64().unwrap() as usize;
        assert!(banned > 0 && banned <= 4 * bans, "{}", host.host.status());
        let log = host.host.site.read("log");
        assert_eq!(log.matches("Host liar of the fleet is muted").count(), 1);
        let needed = [
            "10.77.0.1",
            "10.77.1.3",
            "127.0.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ];
        let held = host.kernel.held();
        let spared = needed.iter().all(|id| !held.contains(&ip_of(id)));
        assert!(spared, "{held:?}");
    }
    expected.insert(ip_of(&honest[0]));
    // forgotten, and all that it has said with it
    let (code, text) = hosts[0]
        .host
        .fleet(&["forget", "liar", "--url", &engine.url()]);
    assert_eq!(code, 0, "{text}");
    all_hold(&hosts.iter().collect::<Vec<_>>(), expected);
}

/// A host that has just come, and so many bans of ten others.
#[test]
fn a_fresh_host_has_all_bans_soon() {
    common::in_network_and_mount_namespace("field::a_fresh_host_has_all_bans_soon", || {
        let bans = number("FERROBAN_FLEET_LIVE", 5_000);
        bridge();
        let engine = Engine::with(BRIDGE.parse().unwrap(), &[]);
        let mut connection = engine.connect();
        let mut pipe = redis::pipe();
        let mut expected = BTreeSet::new();
        for n in 0..bans {
            let target = format!("198.{}.{}.{}", 18 + n / 62_500, n / 250 % 250, 1 + n % 250);
            let key = format!("f2b:fleet:p{}:live", n % 10);
            expected.insert(ip_of(&target));
            pipe.zadd(key, format!("sshd|{target}"), 9_000_000_000_000_i64)
                .ignore();
        }
        for n in 0..10 {
            pipe.zadd("f2b:fleet:hosts", format!("p{n}"), 1).ignore();
        }
        pipe.exec(&mut connection).unwrap();
        let host = Placed::new(0, "");
        let begin = Instant::now();
        let _server = host.start(&[]);
        // to list the kernel's set holds up who fills it
        for ip in expected.iter().rev().step_by(bans.div_ceil(1_000)) {
            host.kernel.wait(*ip, true);
        }
        println!(
            "G: {bans} bans in the kernel {:.2} s after the start",
            begin.elapsed().as_secs_f64()
        );
        // the kernel lists a large set in a time that grows with its square
        all_hold(&[&host], &expected);
        let log = host.host.site.read("log");
        assert!(!log.contains("does not keep up"), "{log}");
        assert_eq!(log.matches("(by host p").count(), bans);
        // none of them is lost to the database
        let database = host.host.site.path("db");
        let stored = || {
            let database = rusqlite::Connection::open(&database).unwrap();
            database.query_row("SELECT count(*) FROM bips", [], |row| row.get::<_, i64>(0))
        };
        assert!(
            common::eventually(120, || stored() == Ok(bans as i64)),
            "{:?}",
            stored()
        );
        println!(
            "G: and in the database {:.2} s after",
            begin.elapsed().as_secs_f64()
        );
    });
}

/// A host whose engine is away all the time, and one that is in no fleet, by turns.
#[test]
fn bans_by_log_are_as_fast_with_the_engine_away_as_without_a_fleet() {
    const TEST: &str = "field::bans_by_log_are_as_fast_with_the_engine_away_as_without_a_fleet";
    common::in_network_and_mount_namespace(TEST, || {
        let lines = number("FERROBAN_FLEET_BANS", 200);
        bridge();
        let away = Placed::new(0, "");
        let alone = Placed::with(1, "", "fleet = off");
        let site = &alone.host.site;
        let settings = site.read("fail2ban.conf");
        site.write("fail2ban.conf", settings.split("[fleet]").next().unwrap());
        let _servers = [&away, &alone].map(|host| host.start(&[]));
        away.host.site.wait_for("The fleet's engine is away");
        let mut times = [const { Vec::new() }; 2];
        for round in 0..11 {
            let ids = addresses(round, lines);
            // whoever is first in one round is second in the next
            for turn in [round % 2, 1 - round % 2] {
                let host = [&away, &alone][turn];
                let begin = Instant::now();
                host.host.fail_all("sshd", &ids);
                // the last line is the last ban
                host.kernel.wait(ip_of(&ids[lines - 1]), true);
                times[turn].push(begin.elapsed());
            }
        }
        for host in [&away, &alone] {
            let expected: BTreeSet<Ipv4Addr> = (0..11)
                .flat_map(|round| addresses(round, lines))
                .map(|id| ip_of(&id))
                .collect();
            all_hold(&[host], &expected);
        }
        let [away, alone] = times.map(|mut times| {
            times.sort();
            milliseconds(times[times.len() / 2])
        });
        println!(
            "D: {lines} bans by log take {away:.1} ms with the engine away, {alone:.1} ms without a fleet"
        );
        assert!(away < 1.5 * alone + 20.0, "{away} and {alone} ms");
    });
}
