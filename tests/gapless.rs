//! A server that is started again, with bans in the firewall: packets of banned addresses go on being
//! refused at every moment, and what is there afterwards is exactly what should be.
//!
//! `FERROBAN_BANS=10000 cargo test --profile fast --test gapless -- --nocapture` tells how many packets
//! were sent and how long the restart took.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::home::{Server, Site, ask, server};
use nix::sys::signal::Signal;

/// Bans, unless `FERROBAN_BANS` says.
const BANS: usize = 400;
/// Addresses of them that send packets.
const SENDERS: usize = 200;
/// Who is not banned.
const FREE: &str = "198.19.255.1";
/// What is guarded, and what is not.
const PORT: u16 = 9999;
const OTHER_PORT: u16 = 9998;

/// A firewall with its action and what to see of it.
struct Firewall {
    name: &'static str,
    /// `NAME` and `PORT` are filled in.
    action: &'static str,
    /// Prints the banned addresses of `NAME`, each on a line of its own.
    held: &'static str,
    /// Prints everything there is but bans and counters.
    frame: &'static str,
    /// Takes everything out.
    wipe: &'static str,
}

const IPTABLES: Firewall = Firewall {
    name: "iptables",
    action: "iptables-multiport[name=NAME, port=PORT, protocol=udp]",
    held: "iptables-save | sed -nE 's/^-A f2b-NAME -s ([^ ]*)\\/32 .*/\\1/p'",
    frame: "iptables-save | grep -E '^(-A|:)' | grep -v -e ' -s ' -e '^:[A-Z]*'",
    wipe: "iptables -F; iptables -X",
};

const OLD_IPTABLES: Firewall = Firewall {
    name: "old iptables",
    action: "iptables-multiport[name=NAME, port=PORT, protocol=udp, iptables=\"iptables-legacy -w\", iptables?family=inet6=\"ip6tables-legacy -w\"]",
    held: "iptables-legacy-save | sed -nE 's/^-A f2b-NAME -s ([^ ]*)\\/32 .*/\\1/p'",
    frame: "iptables-legacy-save | grep -E '^(-A|:)' | grep -v -e ' -s ' -e '^:[A-Z]*'",
    wipe: "iptables-legacy -F; iptables-legacy -X",
};

const IPSET: Firewall = Firewall {
    name: "ipset",
    action: "iptables-ipset[name=NAME, port=PORT, protocol=udp]",
    held: "ipset save | sed -nE 's/^add f2b-NAME ([^ ]*).*/\\1/p'",
    frame: "iptables-save | grep -e '^-A'; ipset list -n",
    wipe: "iptables -F; ipset destroy",
};

const NFTABLES: Firewall = Firewall {
    name: "nftables",
    action: "nftables[name=NAME, port=PORT, protocol=udp]",
    held: "nft list set inet f2b-table addr-set-NAME 2>/dev/null | grep -oE '[0-9]+(\\.[0-9]+)+'",
    frame: "nft list table inet f2b-table 2>/dev/null | grep -E 'saddr|set |chain '",
    wipe: "nft flush ruleset",
};

#[test]
fn restart_over_iptables_lets_no_packet_through() {
    let test = "restart_over_iptables_lets_no_packet_through";
    common::in_network_namespace(test, || restarts(&IPTABLES));
}

#[test]
fn restart_over_the_old_iptables_lets_no_packet_through() {
    let test = "restart_over_the_old_iptables_lets_no_packet_through";
    common::in_network_namespace(test, || restarts(&OLD_IPTABLES));
}

#[test]
fn restart_over_ipset_lets_no_packet_through() {
    let test = "restart_over_ipset_lets_no_packet_through";
    common::in_network_namespace(test, || restarts(&IPSET));
}

#[test]
fn restart_over_nftables_lets_no_packet_through() {
    let test = "restart_over_nftables_lets_no_packet_through";
    common::in_network_namespace(test, || restarts(&NFTABLES));
}

#[test]
fn restart_that_is_killed_in_the_middle_lets_no_packet_through() {
    let test = "restart_that_is_killed_in_the_middle_lets_no_packet_through";
    common::in_network_namespace(test, || {
        [IPTABLES, IPSET, NFTABLES].iter().for_each(killed);
    });
}

#[test]
fn stop_after_a_crash_leaves_nothing() {
    common::in_network_namespace("stop_after_a_crash_leaves_nothing", || {
        [IPTABLES, IPSET, NFTABLES].iter().for_each(crashed);
    });
}

/// The address of this number; all of them are the machine's own.
fn address(number: usize) -> String {
    format!("198.18.{}.{}", number / 250, number % 250 + 1)
}

#[test]
fn stop_without_chain_or_set_does_not_try_each_ban() {
    let test = "stop_without_chain_or_set_does_not_try_each_ban";
    common::in_network_namespace(test, || {
        for firewall in [IPTABLES, IPSET, NFTABLES] {
            let bench = Bench::new(&firewall, 60);
            let running = bench.begin();
            common::lines_of(firewall.wipe);
            bench.end(running, &["stop"]);
            let log = bench.site.read("log");
            // what two jails share is lifted one by one
            assert!(!log.contains("Failed to execute unban"), "{log}");
        }
    });
}

/// How many packets have arrived: of banned addresses, and of the free one.
#[derive(Default)]
struct Arrived {
    banned: AtomicUsize,
    free: AtomicUsize,
}

/// Sends packets of some banned addresses, and of the free one, every millisecond while `work` is done.
/// Answers what it answers, and how many were sent.
fn under_fire<T>(bans: usize, arrived: &Arrived, work: impl FnOnce() -> T) -> (T, usize) {
    let over = AtomicBool::new(false);
    let receiver = UdpSocket::bind(("127.0.0.1", PORT)).unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let socket = |from: &str| UdpSocket::bind((from, 0)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut packet = [0];
            while !over.load(Ordering::Relaxed) {
                let Ok((_, from)) = receiver.recv_from(&mut packet) else {
                    continue;
                };
                let counter = match from.ip().to_string() == FREE {
                    true => &arrived.free,
                    false => &arrived.banned,
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        let sender = scope.spawn(|| {
            let free = socket(FREE);
            let step = (bans / SENDERS).max(1);
            let banned: Vec<UdpSocket> = (0..bans)
                .step_by(step)
                .map(|number| socket(&address(number)))
                .collect();
            let mut sent = 0;
            let mut turns = banned.iter().cycle();
            let to = ("127.0.0.1", PORT);
            while !over.load(Ordering::Relaxed) {
                // a refused packet may be told as an error of the next one
                let _ = free.send_to(&[0], to);
                for from in turns.by_ref().take(4) {
                    sent += usize::from(from.send_to(&[0], to).is_ok());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            sent
        });
        let done = work();
        // what was sent last arrives, too
        std::thread::sleep(Duration::from_millis(50));
        over.store(true, Ordering::Relaxed);
        (done, sender.join().unwrap())
    })
}

impl Firewall {
    /// Everything there is but bans and counters.
    fn frame(&self) -> Vec<String> {
        let mut frame = common::lines_of(self.frame);
        frame.sort();
        frame
    }
}

struct Bench<'f> {
    firewall: &'f Firewall,
    site: Site,
    bans: usize,
}

impl Bench<'_> {
    /// Two jails over one chain or set of this name, one over another.
    fn configure(&self, name: &str, port: u16, with_last: bool) {
        let action = |name: &str| {
            let action = self.firewall.action.replace("NAME", name);
            action.replace("PORT", &port.to_string())
        };
        let jail = |jail: &str, name: &str| {
            let section = common::home::jail(jail);
            format!("{}action = {}\nbantime = 1d\n\n", section, action(name))
        };
        let last = match with_last {
            true => jail("last", "last"),
            false => String::new(),
        };
        self.site
            .jails(&(jail("one", name) + &jail("two", name) + &last));
    }

    fn held(&self, name: &str) -> BTreeSet<String> {
        let held = common::lines_of(&self.firewall.held.replace("NAME", name));
        let (all, set) = (held.len(), held.into_iter().collect::<BTreeSet<_>>());
        assert_eq!(all, set.len(), "rules are there twice");
        set
    }

    fn frame(&self) -> Vec<String> {
        self.firewall.frame()
    }

    fn all(&self) -> BTreeSet<String> {
        (0..self.bans).map(address).collect()
    }

    /// Waits until exactly these are banned in the firewall.
    fn settle(&self, name: &str, wanted: &BTreeSet<String>) {
        let same = common::eventually(120, || self.held(name) == *wanted);
        let held = self.held(name);
        let extra: Vec<_> = held.difference(wanted).take(5).collect();
        let missing: Vec<_> = wanted.difference(&held).take(5).collect();
        let log = self.site.read("log");
        let log: Vec<_> = log
            .lines()
            .filter(|l| !l.contains("] Ban ") && !l.contains("Restore"))
            .collect();
        assert!(
            same,
            "{}: {extra:?} too many, {missing:?} missing\n{}",
            self.firewall.name,
            log.join("\n")
        );
    }

    fn ban(&self, jail: &str, ids: &[String], options: &[&str]) {
        for ids in ids.chunks(1000) {
            let mut words = vec!["set", jail, "banip"];
            words.extend(options);
            words.extend(ids.iter().map(String::as_str));
            let banned = ask(&self.site, &words).unwrap().unwrap();
            assert_eq!(banned, i64::try_from(ids.len()).unwrap().into());
        }
    }

    /// Begins anew under fire after the server was ended; no packet of a banned address may arrive.
    fn again<'s>(&'s self, what: &str, end: impl FnOnce()) -> Server<'s> {
        let arrived = Arrived::default();
        let begin = Instant::now();
        let (running, sent) = under_fire(self.bans, &arrived, || {
            end();
            let running = self.site.foreground(server());
            // until the rest of the last server is taken out
            std::thread::sleep(Duration::from_millis(500));
            running
        });
        let (banned, free) = (&arrived.banned, &arrived.free);
        let [banned, free] = [banned, free].map(|count| count.load(Ordering::Relaxed));
        println!(
            "{}: {what}: {} bans, {:.1} s, {sent} packets of banned addresses sent, {banned} arrived; {free} others arrived",
            self.firewall.name,
            self.bans,
            begin.elapsed().as_secs_f64()
        );
        assert_eq!(banned, 0, "{what}\n{}", self.site.read("log"));
        assert!(sent > 100 && free > 20, "{what}: no load");
        running
    }

    fn client(&self, words: &[&str]) {
        let (code, printed) = self.site.run(common::ours("fail2ban-client"), words);
        assert_eq!((code, printed.trim_end()), (0, "Shutdown successful"));
    }

    /// Has the client end the server.
    fn end(&self, running: Server<'_>, words: &[&str]) {
        self.client(words);
        assert_eq!(running.ended(), Some(0));
    }
}

impl<'f> Bench<'f> {
    /// With addresses to send from, and as many bans as there are to be.
    fn new(firewall: &'f Firewall, bans: usize) -> Bench<'f> {
        for range in ["198.18.0.0/16", "198.19.255.1/32"] {
            common::lines_of(&format!("ip address replace {range} dev lo"));
        }
        let site = Site::new(&["one", "two", "last"]);
        let files = common::reference("1.1.1").join("etc/fail2ban/action.d");
        common::copy_tree(&files.join("."), &site.path("action.d"));
        let bench = Bench {
            firewall,
            site,
            bans,
        };
        bench.configure("one", PORT, true);
        bench
    }

    /// A server with all bans.
    fn begin(&self) -> Server<'_> {
        let running = self.site.foreground(server());
        // the second jail bans into the same chain or set
        let all: Vec<String> = self.all().into_iter().collect();
        let (most, rest) = all.split_at(all.len() * 3 / 4);
        self.ban("one", most, &[]);
        self.ban("two", rest, &[]);
        self.ban("last", &[address(0)], &[]);
        self.settle("one", &self.all());
        self.settle("last", &[address(0)].into());
        running
    }

    fn crash(&self, running: Server<'_>) {
        assert_eq!(running.end(Signal::SIGKILL), None);
    }

    /// Waits until a frame is as it should be.
    fn wait_for_frame(&self, wanted: &[String]) {
        let same = common::eventually(60, || self.frame() == wanted);
        let name = self.firewall.name;
        let log = self.site.read("log");
        assert!(same, "{name}: {:#?}\n{wanted:#?}\n{log}", self.frame());
    }
}

fn restarts(firewall: &Firewall) {
    let bans = std::env::var("FERROBAN_BANS").ok();
    let bench = Bench::new(firewall, bans.and_then(|n| n.parse().ok()).unwrap_or(BANS));
    let mut running = bench.begin();
    let frame = bench.frame();
    assert!(!frame.is_empty());

    // some bans are over when the server comes back
    let short: Vec<String> = (60_000..60_020).map(address).collect();
    bench.ban("one", &short, &["--time", "1"]);
    running = bench.again("stop --keep, start", || {
        bench.end(running, &["stop", "--keep"]);
        assert!(bench.held("one").is_superset(&bench.all()));
        std::thread::sleep(Duration::from_millis(1300));
    });
    bench.settle("one", &bench.all());
    bench.settle("last", &[address(0)].into());
    assert_eq!(bench.frame(), frame);

    running = bench.again("kill, start", || {
        assert_eq!(running.end(Signal::SIGKILL), None);
    });
    bench.settle("one", &bench.all());
    assert_eq!(bench.frame(), frame);

    // what was taken over is lifted and banned as ever
    let lifted = address(1);
    for (command, held) in [("unbanip", false), ("banip", true)] {
        let done = running.ask(&["set", "one", command, &lifted]).unwrap();
        assert_eq!(done, Ok(1.into()));
        let as_wanted = || bench.held("one").contains(&lifted) == held;
        assert!(common::eventually(60, as_wanted), "{command}");
    }

    // under another name, and without the last jail
    running = bench.again("another chain or set", || {
        bench.end(running, &["stop", "--keep"]);
        bench.configure("new", PORT, false);
    });
    bench.settle("new", &bench.all());
    let log = bench.site.read("log");
    assert!(log.contains("ban(s) of the last server have stayed in force"));
    assert!(!log.contains("cannot be taken over"), "{log}");
    let renamed: Vec<String> = {
        let gone = common::eventually(60, || {
            bench
                .frame()
                .iter()
                .all(|line| !line.contains("one") && !line.contains("last"))
        });
        assert!(gone, "{:#?}", bench.frame());
        bench.frame()
    };

    // another port needs the same chain or set: it is made anew
    bench.end(running, &["stop", "--keep"]);
    bench.configure("new", OTHER_PORT, false);
    running = bench.site.foreground(server());
    bench.settle("new", &bench.all());
    let other: Vec<String> = renamed
        .iter()
        .map(|line| line.replace(&PORT.to_string(), &OTHER_PORT.to_string()))
        .collect();
    let same = common::eventually(60, || bench.frame() == other);
    assert!(same, "{:#?}\n{other:#?}", bench.frame());

    // a plain stop leaves nothing
    bench.end(running, &["stop"]);
    assert_eq!(bench.held("new"), BTreeSet::new());
    assert!(bench.frame().iter().all(|line| !line.contains("new")));
    let arrived = Arrived::default();
    let sleep = || std::thread::sleep(Duration::from_millis(200));
    under_fire(bench.bans, &arrived, sleep);
    assert!(arrived.banned.load(Ordering::Relaxed) > 0);
    let running = bench.site.foreground(server());
    bench.settle("new", &bench.all());
    assert_eq!(bench.frame(), other);
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
    assert_eq!(bench.held("new"), BTreeSet::new());
}

/// A server that ends to be started again, or begins, and is killed before it is done.
fn killed(firewall: &Firewall) {
    let bench = Bench::new(firewall, 100);
    let mut running = bench.begin();
    let frame = bench.frame();
    for delay in [0, 20] {
        let delay = Duration::from_millis(delay);
        running = bench.again("killed in the middle", || {
            std::thread::scope(|scope| {
                // the answer may never come
                scope.spawn(|| ask(&bench.site, &["stop", "--keep"]));
                std::thread::sleep(delay);
                let _ = running.end(Signal::SIGKILL);
            });
            let mut program = server();
            let child = bench.site.args(&mut program, &["-f", "start"]).spawn();
            let site = &bench.site;
            let beginning = child.map(|child| Server { site, child }).unwrap();
            // most of its start is to read the configuration
            std::thread::sleep(Duration::from_millis(60) + delay * 4);
            bench.crash(beginning);
        });
        bench.settle("one", &bench.all());
        bench.settle("last", &[address(0)].into());
        bench.wait_for_frame(&frame);
    }
    bench.end(running, &["stop"]);
    common::lines_of(firewall.wipe);
}

/// Servers that are killed, with all that may change until the next one is there.
fn crashed(firewall: &Firewall) {
    let bench = Bench::new(firewall, 30);
    let nothing = bench.frame();
    let mut running = bench.begin();
    let frame = bench.frame();
    let log = || bench.site.read("log");

    // somebody has taken everything out meanwhile
    bench.crash(running);
    common::lines_of(firewall.wipe);
    running = bench.site.foreground(server());
    bench.settle("one", &bench.all());
    bench.settle("last", &[address(0)].into());
    bench.wait_for_frame(&frame);
    bench.end(running, &["stop"]);
    assert_eq!(bench.frame(), nothing, "{}: {}", firewall.name, log());

    // reloads are what they ever were
    running = bench.site.foreground(server());
    bench.settle("one", &bench.all());
    bench.crash(running);
    running = bench.site.foreground(server());
    bench.settle("one", &bench.all());
    for words in [&["reload"][..], &["reload", "--restart"]] {
        let (code, said) = bench.site.run(common::ours("fail2ban-client"), words);
        assert_eq!((code, said.trim_end()), (0, "OK"));
        bench.settle("one", &bench.all());
        bench.settle("last", &[address(0)].into());
        bench.wait_for_frame(&frame);
    }

    // a jail less, another chain or set, and the end comes before all has been seen to
    bench.crash(running);
    bench.configure("new", OTHER_PORT, false);
    let slow = format!("{}action = slow\n", common::home::jail("slow"));
    let jails = bench.site.read("jail.conf") + &slow;
    bench.site.write("jail.conf", &jails);
    bench.site.write("slow.log", "");
    bench.site.write(
        "action.d/slow.conf",
        "[Definition]\nactionstart_on_demand = false\nactionstart = iptables -N f2b-slow; sleep 60\n\
         actionstop = iptables -F f2b-slow; iptables -X f2b-slow\n\
         actionban = iptables -I f2b-slow 1 -s <ip> -j DROP\n\
         actionunban = iptables -D f2b-slow -s <ip> -j DROP\n",
    );
    running = bench.site.foreground(server());
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
    let started = common::lines_of("iptables-save | grep slow");
    assert_eq!(started, [""; 0], "{}", log());
    assert_eq!(bench.frame(), nothing, "{}: {}", firewall.name, log());

    // bans that are over, and another firewall
    bench.configure("one", PORT, true);
    running = bench.site.foreground(server());
    bench.settle("one", &bench.all());
    bench.ban("one", &[address(60_000)], &["--time", "1"]);
    bench.crash(running);
    std::thread::sleep(Duration::from_millis(1100));
    let other = match firewall.name {
        "nftables" => &IPTABLES,
        _ => &NFTABLES,
    };
    let changed = Bench {
        firewall: other,
        ..bench
    };
    changed.configure("one", PORT, true);
    let running = changed.site.foreground(server());
    changed.settle("one", &changed.all());
    let gone = common::eventually(60, || firewall.frame() == nothing);
    assert!(gone, "{}: {:?}", firewall.name, firewall.frame());
    changed.end(running, &["stop"]);
    common::lines_of(other.wipe);
}
