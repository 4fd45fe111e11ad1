//! What a server has to endure: being killed at any moment, clients that are none, reloads and
//! rotations while actions are slow and fail, long lines against very many ids, a lack of memory and a
//! clock that is set.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::home::{Site, ask, server};
use ferroban::parts::control::wire::END;
use nix::sys::signal::Signal;

/// How often the server is killed, unless `FERROBAN_KILLS` says; and over each firewall.
const KILLS: u32 = 15;
const FIREWALL_KILLS: u32 = 3;
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

/// Memory of a process in KiB: `VmRSS` is what is resident, `VmHWM` the most of it ever, `VmSize`
/// the address space.
fn memory(pid: u32, what: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let size = line
        .unwrap()
        .trim_matches(':')
        .trim_end_matches("kB")
        .trim();
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
            sizes.push(memory(running.child.id(), "VmRSS"));
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

/// `FERROBAN_IDS=500000 cargo test --profile fast --test endurance -- long_lines --nocapture` is the
/// large one: 20 GB of lines.
#[test]
fn long_lines_of_many_ids_bounded_and_no_ban_lost() {
    const LINE: usize = 8 << 10;
    const ROUNDS: usize = 5;
    /// KiB beyond the evidence: queues, the database, the heap's gaps.
    const SLACK: usize = 48 << 10;
    let ids: usize = count_of("FERROBAN_IDS", 4000);
    let limit: usize = count_of("FERROBAN_MEMORY_MIB", 8);
    let site = Site::new(&["one"]);
    let global = site.read("fail2ban.conf");
    let global = global.replace("dbmaxmatches = 10", "dbmaxmatches = 0");
    let global = global.replace("loglevel = INFO", "loglevel = NOTICE");
    site.write("fail2ban.conf", &format!("{global}memory = {limit}m\n"));
    site.write(
        "filter.d/long.conf",
        "[Definition]\nfailregex = ^ x from <ADDR> \\S+$\n",
    );
    // orders wait with their evidence, unless there are so many that no lines would be read
    let action = match ids < 10_000 {
        true => "hangs",
        false => "",
    };
    site.write(
        "action.d/hangs.conf",
        "[Definition]\nactionban = sleep 50; : <matches>\n",
    );
    let options = format!(
        "filter = long\nbackend = auto\naction = {action}\nmaxretry = {ROUNDS}\nbantime = 1d\nfindtime = 1d\n"
    );
    site.jails(&format!(
        "{}{options}",
        common::home::jail("one").trim_end().to_owned() + "\n"
    ));
    let running = site.foreground(server());
    let pid = running.child.id();
    let bytes = i64::try_from(limit << 20).unwrap();
    assert_eq!(running.ask(&["get", "memory"]).unwrap(), Ok(bytes.into()));
    let early = memory(pid, "VmHWM");
    let failed = |expected: usize| {
        let status = running.ask(&["status", "one"]).unwrap().unwrap().repr();
        status.contains(&format!("('Total failed', {expected})"))
    };
    let tail = "y".repeat(LINE);
    let mut log = OpenOptions::new();
    let mut log = log.append(true).open(site.path("one.log")).unwrap();
    let numbers: Vec<usize> = (0..ids * ROUNDS).map(|n| n % ids).collect();
    let mut written = 0;
    for piece in numbers.chunks(8000) {
        let now = chrono::Utc::now().format("%b %d %H:%M:%S");
        let mut text = String::with_capacity(piece.len() * (LINE + 64));
        for n in piece {
            let id = format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
            text += &format!("{now} x from {id} {tail}\n");
        }
        log.set_len(0).unwrap();
        log.write_all(text.as_bytes()).unwrap();
        written += piece.len();
        assert!(
            common::eventually(120, || failed(written)),
            "lines are lost"
        );
    }
    let banned = running.ask(&["get", "one", "banned"]).unwrap().unwrap();
    assert_eq!(banned.as_slice().unwrap().len(), ids);
    let late = memory(pid, "VmHWM");
    let per_id = (late - early - limit * 1024) as f64 * 1024.0 / ids as f64;
    println!(
        "{ids} ids banned, {early} KiB at first, {late} KiB at most, {per_id:.0} bytes an id beside the evidence"
    );
    // what is counted and banned takes room of its own, whatever the lines are
    let most = early + (limit << 10) + ids * 3 / 2 + SLACK;
    assert!(
        late < most,
        "{early} KiB grew to {late} KiB, {most} are allowed"
    );
    assert_eq!(site.read("log").matches("forgotten").count(), 1);
    assert_eq!(running.end(Signal::SIGKILL), None);
    let db = rusqlite::Connection::open(site.path("db")).unwrap();
    let rows = || db.query_row("SELECT count(*) FROM bips", [], |row| row.get::<_, u32>(0));
    assert_eq!(rows(), Ok(ids as u32));
}

#[test]
fn clock_set_forward_ended_bans_are_lifted_and_set_back_bans_stay() {
    let site = Site::new(&["one"]);
    let jail = common::home::jail("one");
    site.jails(&format!("{}\nbantime = 1h\n", jail.trim_end()));
    let library = site.path("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drivers/clock.c");
    let compiled = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status();
    assert!(compiled.unwrap().success());
    // in one step, as the server may read it at any time
    let set = |seconds: i64| {
        site.write("new", &seconds.to_string());
        std::fs::rename(site.path("new"), site.path("offset")).unwrap();
    };
    set(0);
    let mut program = server();
    program
        .env("LD_PRELOAD", &library)
        .env("CLOCK_OFFSET", site.path("offset"));
    let running = site.foreground(program);
    let ban = |id: &str| assert!(running.ask(&["set", "one", "banip", id]).unwrap().is_ok());
    ban("192.0.2.1");
    set(-3600);
    // the server looks at the clock every few seconds
    std::thread::sleep(Duration::from_secs(8));
    ban("192.0.2.2");
    let banned = running.ask(&["get", "one", "banned"]).unwrap().unwrap();
    assert_eq!(banned.repr(), "['192.0.2.1', '192.0.2.2']");
    assert!(!site.read("log").contains("Unban"));
    set(3700);
    // nobody asks the server anything: that would make it look at its bans
    site.wait_for("Unban 192.0.2.1");
    site.wait_for("Unban 192.0.2.2");
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
}

#[test]
fn no_more_memory_critical_line_and_start_afterwards() {
    let site = Site::new(&["one"]);
    let mut running = site.foreground(server());
    let pid = running.child.id();
    let most = (memory(pid, "VmSize") + (4 << 10)) << 10;
    let limited = std::process::Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--as={most}")])
        .status();
    assert!(limited.unwrap().success());
    // more than the heap may have set aside; they break off when the server ends
    let mut clients = Vec::new();
    for _ in 0..4 {
        let Ok(mut client) = UnixStream::connect(site.path("run/socket")) else {
            break;
        };
        let timeout = Some(Duration::from_secs(2));
        client.set_write_timeout(timeout).unwrap();
        let _ = client.write_all(&vec![b'x'; 31 << 20]);
        clients.push(client);
    }
    assert!(common::eventually(60, || running
        .child
        .try_wait()
        .unwrap()
        .is_some()));
    let log = site.read("log");
    let last = log.lines().last().unwrap();
    let (time, text) = last.split_at(24);
    assert!(chrono::NaiveDateTime::parse_from_str(time.trim(), "%Y-%m-%d %H:%M:%S,%3f").is_ok());
    let begin = format!("fail2ban.server         [{pid}]: CRITICAL Out of memory: ");
    assert!(text.starts_with(&begin), "{log}");
    drop(running);
    assert_eq!(site.foreground(server()).end(Signal::SIGTERM), Some(0));
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
            // turned away while those that have left are not yet looked at
            let pong = || matches!(running.ask(&["ping"]), Ok(Ok(pong)) if pong == "pong".into());
            assert!(common::eventually(60, pong), "after {n} connections");
        }
        if n == connections / 5 {
            early = memory(running.child.id(), "VmRSS");
        }
    }
    drop(silent);
    let late = memory(running.child.id(), "VmRSS");
    assert!(late < early + (8 << 10), "{early} KiB grew to {late} KiB");
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
}

/// A firewall that is killed over: what bans there.
struct Firewall {
    test: &'static str,
    /// Copied to `action.d`.
    files: PathBuf,
    action: &'static str,
    /// Prints the banned addresses, each on a line of its own.
    held: &'static str,
    /// Prints a line for each rule that leads to the bans of IPv4.
    jumps: &'static str,
    /// Sets up what is not the server's: it names `198.51.100.7`.
    others: &'static str,
    /// Prints that.
    show_others: &'static str,
    /// An action that bans among it.
    among_others: &'static str,
}

#[test]
fn kill_at_any_moment_leaves_exactly_the_bans_in_iptables() {
    endure_kills(&Firewall {
        test: "kill_at_any_moment_leaves_exactly_the_bans_in_iptables",
        // its actionstart makes its rules without asking whether they are there
        files: Path::new(env!("CARGO_MANIFEST_DIR")).join("action.d"),
        action: "iptables-multiport[name=one, port=ssh]",
        held: "{ iptables-save; ip6tables-save; } | sed -nE 's/^-A f2b-one -s ([^ ]*)\\/[0-9]+ .*/\\1/p'",
        jumps: "iptables-save | grep -E -e '-j f2b-one$'; iptables-save | grep -e '^-A f2b-one -j RETURN'",
        others: "iptables -I INPUT -s 198.51.100.7 -j DROP; iptables -N mine; iptables -A mine -s 198.51.100.7 -j DROP",
        show_others: "iptables-save | grep -F 198.51.100.7",
        among_others: "actionban = iptables -I INPUT -s <ip> -j DROP\nactionunban = iptables -D INPUT -s <ip> -j DROP\nactionstop = iptables -F other\n",
    });
}

#[test]
fn kill_at_any_moment_leaves_exactly_the_bans_in_the_old_iptables() {
    endure_kills(&Firewall {
        test: "kill_at_any_moment_leaves_exactly_the_bans_in_the_old_iptables",
        files: common::reference("1.1.1").join("etc/fail2ban/action.d"),
        action: "iptables-multiport[name=one, port=ssh, iptables=\"iptables-legacy -w\", iptables?family=inet6=\"ip6tables-legacy -w\"]",
        held: "{ iptables-legacy-save; ip6tables-legacy-save; } | sed -nE 's/^-A f2b-one -s ([^ ]*)\\/[0-9]+ .*/\\1/p'",
        jumps: "iptables-legacy-save | grep -E -e '-j f2b-one$'; iptables-legacy-save | grep -e '^-A f2b-one -j RETURN'",
        others: "iptables-legacy -I INPUT -s 198.51.100.7 -j DROP",
        show_others: "iptables-legacy-save | grep -F 198.51.100.7",
        among_others: "actionban = iptables-legacy -I INPUT -s <ip> -j DROP\nactionunban = iptables-legacy -D INPUT -s <ip> -j DROP\nactionstop = iptables-legacy -F other\n",
    });
}

#[test]
fn kill_at_any_moment_leaves_exactly_the_bans_in_ipset() {
    endure_kills(&Firewall {
        test: "kill_at_any_moment_leaves_exactly_the_bans_in_ipset",
        files: common::reference("1.1.1").join("etc/fail2ban/action.d"),
        action: "iptables-ipset[name=one, port=ssh]",
        held: "ipset save | sed -nE 's/^add f2b-one6? ([^ ]*).*/\\1/p'",
        jumps: "iptables-save | grep -F -e '--match-set f2b-one '; ipset list -n | grep -x f2b-one",
        others: "ipset create mine hash:ip; ipset add mine 198.51.100.7",
        show_others: "ipset save mine | grep ^add",
        among_others: "actionban = ipset -exist add mine <ip>\nactionunban = ipset -exist del mine <ip>\nactionstop = ipset flush other\n",
    });
}

#[test]
fn kill_at_any_moment_leaves_exactly_the_bans_in_nftables() {
    endure_kills(&Firewall {
        test: "kill_at_any_moment_leaves_exactly_the_bans_in_nftables",
        files: common::reference("1.1.1").join("etc/fail2ban/action.d"),
        action: "nftables[name=one, port=ssh]",
        held: "for set in addr-set-one addr6-set-one; do nft list set inet f2b-table $set 2>/dev/null; done \
               | grep -oE '[0-9a-f]+([.:]+[0-9a-f]+)+'",
        jumps: "nft list ruleset | grep -F '@addr-set-one '; nft list ruleset | grep -F 'set addr-set-one {'",
        others: "nft add table inet mine; nft add set inet mine them '{ type ipv4_addr; }'; \
                 nft add element inet mine them '{ 198.51.100.7 }'",
        show_others: "nft list set inet mine them | grep -F elements",
        among_others: "actionban = nft add element inet mine them { <ip> }\nactionunban = nft delete element inet mine them { <ip> }\nactionstop = nft delete set inet mine other\n",
    });
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort_unstable();
    list
}

/// What was answered to commands given under load.
#[derive(Default)]
struct Answered {
    banned: BTreeSet<String>,
    /// Bans of a second.
    short: BTreeSet<String>,
    lifted: BTreeSet<String>,
    /// Whether they are banned nobody knows: the server was killed before it answered.
    unsure: BTreeSet<String>,
}

impl Answered {
    /// Bans addresses of its own, some for a moment, and lifts some, until it is over.
    fn command(answered: &Mutex<Answered>, site: &Site, numbers: &AtomicU32, over: &AtomicBool) {
        let said =
            |words: &[&str]| matches!(ask(site, words), Ok(Ok(reply)) if reply.repr() == "1");
        while !over.load(Ordering::Relaxed) {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let id = match number % 4 {
                0 => format!("2001:db8::{:x}:1", number + 0x10),
                _ => format!("172.16.{}.{}", number >> 8, number & 255),
            };
            let short = number % 5 == 1;
            let banned = match short {
                true => said(&["set", "one", "banip", &id, "--time", "1"]),
                false => said(&["set", "one", "banip", &id]),
            };
            let lifts = banned && number % 7 == 2;
            let lifted = lifts && said(&["set", "one", "unbanip", &id]);
            let mut answered = answered.lock().unwrap();
            let list = match (banned, short) {
                (false, _) => &mut answered.unsure,
                (true, true) => &mut answered.short,
                _ if lifted => &mut answered.lifted,
                _ if lifts => &mut answered.unsure,
                _ => &mut answered.banned,
            };
            list.insert(id);
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

fn endure_kills(firewall: &Firewall) {
    common::in_network_namespace(firewall.test, || {
        let site = Site::new(&["one", "two"]);
        common::copy_tree(&firewall.files.join("."), &site.path("action.d"));
        let theirs = format!("[Definition]\n{}", firewall.among_others);
        site.write("action.d/theirs.conf", &theirs);
        site.jails(&format!(
            "{}action = {}\nbantime = 1d\n\n{}action = theirs\n",
            common::home::jail("one"),
            firewall.action,
            common::home::jail("two"),
        ));
        common::lines_of(firewall.others);
        let others = common::lines_of(firewall.show_others);
        assert!(!others.is_empty());
        let held = || sorted(common::lines_of(firewall.held));
        let banned = || {
            let reply = ask(&site, &["get", "one", "banned"]);
            let reply = reply.and_then(|reply| reply.map_err(|e| e.to_string()));
            let reply = reply.unwrap_or_else(|_| "".into());
            let ids = reply.as_slice().unwrap_or_default().iter();
            sorted(ids.map(|id| id.str().into_owned()).collect())
        };
        // a killed server leaves its programs behind, which may run on for a moment
        let agree = |what: &str| {
            let same = common::eventually(120, || held() == banned());
            let (held, banned) = (held(), banned());
            let (rules, bans) = (held.len(), banned.len());
            let differ: Vec<_> = held
                .iter()
                .filter(|id| !banned.contains(id))
                .take(9)
                .collect();
            assert!(
                same,
                "{what}: {rules} rules, {bans} bans, {differ:?}\n{}",
                site.read("log")
            );
            banned
        };

        let mut random = fastrand::Rng::with_seed(8);
        let (answered, numbers) = (Mutex::new(Answered::default()), AtomicU32::new(1));
        let (mut guilty, mut ended, mut number) = (BTreeSet::new(), 0, 0u32);
        let mut log = OpenOptions::new();
        let mut log = log.append(true).open(site.path("one.log")).unwrap();
        let kills = count_of("FERROBAN_KILLS", FIREWALL_KILLS);
        let loaded = |ended: usize| ended > 0 && !answered.lock().unwrap().lifted.is_empty();
        // a busy machine may need more rounds until all has happened
        let more = |round: u32, ended| round < kills || round < kills + 30 && !loaded(ended);
        let mut round = 0;
        while more(round, ended) {
            round += 1;
            let running = site.foreground(server());
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| Answered::command(&answered, &site, &numbers, &over));
                }
                let end = Instant::now() + Duration::from_millis(random.u64(0..1200));
                while Instant::now() < end {
                    let now = chrono::Utc::now().format("%b %d %H:%M:%S");
                    let id = format!("10.{}.{}.1", number >> 8, number & 255);
                    log.write_all(format!("{now} x from {id}\n").repeat(2).as_bytes())
                        .unwrap();
                    guilty.insert(id);
                    number += 1;
                    std::thread::sleep(Duration::from_millis(random.u64(0..8)));
                }
                assert_eq!(running.end(Signal::SIGKILL), None, "round {round}");
                over.store(true, Ordering::Relaxed);
            });
            // the bans of a second end while there is no server
            std::thread::sleep(Duration::from_millis(1600));
            let short = &answered.lock().unwrap().short;
            ended += held().iter().filter(|id| short.contains(*id)).count();
        }

        let running = site.foreground(server());
        let complete = || guilty.is_subset(&banned().into_iter().collect());
        assert!(common::eventually(180, complete), "{}", site.read("log"));
        let bans = agree("after the kills");
        let answered = answered.into_inner().unwrap();
        let there = |ids: &BTreeSet<String>| {
            let there = ids.iter().filter(|id| bans.binary_search(id).is_ok());
            there.count()
        };
        println!(
            "{}: {round} kills, {} rules for {} bans ({} of the log), {ended} ended bans lifted, \
             banip answered {} and there {}, unbanip answered {} and there {}, not answered {}",
            firewall.test,
            held().len(),
            bans.len(),
            there(&guilty),
            answered.banned.len(),
            there(&answered.banned),
            answered.lifted.len(),
            there(&answered.lifted),
            answered.unsure.len(),
        );
        assert!(ended > 0 && !answered.lifted.is_empty(), "no load");
        assert_eq!(there(&answered.banned), answered.banned.len());
        assert_eq!((there(&answered.short), there(&answered.lifted)), (0, 0));
        assert_eq!(
            common::lines_of(firewall.jumps).len(),
            2,
            "{:?}",
            common::lines_of(firewall.jumps)
        );
        assert_eq!(common::lines_of(firewall.show_others), others);
        let lifted = answered.banned.first().unwrap();
        assert_eq!(
            running
                .ask(&["set", "one", "unbanip", lifted])
                .unwrap()
                .unwrap()
                .repr(),
            "1"
        );
        assert!(!agree("after an unban").contains(lifted));
        assert_eq!(running.end(Signal::SIGKILL), None);

        // a page torn in a database that is damaged, then repaired
        let open = rusqlite::Connection::open(site.path("db")).unwrap();
        open.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
            .unwrap();
        drop(open);
        let mut bytes = std::fs::read(site.path("db")).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0xA5);
        std::fs::write(site.path("db"), bytes).unwrap();
        let running = site.foreground(server());
        assert!(site.read("log").contains("Trying to repair database"));
        assert!(common::eventually(60, || !banned().is_empty()));
        agree("after a repair");

        // nothing is banned any more when the server comes back, and so nothing starts its action
        let ask = |words: &[&str]| running.ask(words).unwrap().unwrap().repr();
        ask(&["unban", "--all"]);
        ask(&["set", "one", "banip", "192.0.2.1", "--time", "1"]);
        assert!(
            common::eventually(60, || held() == ["192.0.2.1"]),
            "{:?}",
            held()
        );
        assert_eq!(running.end(Signal::SIGKILL), None);
        std::thread::sleep(Duration::from_millis(1600));
        let running = site.foreground(server());
        agree("after the last ban");
        assert_eq!(held(), Vec::<String>::new());
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
        assert_eq!(common::lines_of(firewall.show_others), others);
    });
}
