//! Every stock action whose target a kernel here has, side by side: the original's server and ours,
//! each in a network namespace of its own, with a jail per action, are told the same; after start,
//! ban, unban, flush, stop and restart the kernel has to hold the same in both.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::stock::Stock;

/// Jail and its action. Two jails share an action where they could get into each other's way.
const JAILS: [(&str, &str); 28] = [
    ("one", "iptables[port=ssh, protocol=tcp]"),
    ("two", "iptables[port=ssh, protocol=tcp]"),
    (
        "chains",
        "iptables[port=ssh, protocol=\"tcp,udp\", chain=\"INPUT,FORWARD\"]",
    ),
    (
        "drop",
        "iptables[blocktype=DROP, blocktype?family=inet6=DROP, returntype=RETURN]",
    ),
    ("multi", "iptables-multiport[port=\"ssh,80,8000:8080\"]"),
    (
        "multi2",
        "iptables-multiport[port=\"http,https\", blocktype=\"REJECT --reject-with tcp-reset\", blocktype?family=inet6=\"REJECT --reject-with tcp-reset\"]",
    ),
    ("all", "iptables-allports[protocol=all]"),
    ("new", "iptables-new[port=smtp]"),
    ("log", "iptables-multiport-log[port=ssh]"),
    ("ipset", "iptables-ipset[port=ssh]"),
    (
        "timed",
        "iptables-ipset[port=ssh, default-ipsettime=600, ipsettime=\"<timeout-bantime>\"]",
    ),
    ("net", "iptables-ipset[port=ssh, ipsettype=hash:net]"),
    ("proto4", "iptables-ipset-proto4[port=ssh]"),
    ("proto6", "iptables-ipset-proto6[port=\"ssh,80\"]"),
    (
        "proto6all",
        "iptables-ipset-proto6-allports[chain=FORWARD, blocktype=DROP]",
    ),
    ("recent", "iptables-xt_recent-echo"),
    ("nft", "nftables[port=ssh]"),
    ("nft2", "nftables[port=ssh, protocol=udp, blocktype=drop]"),
    (
        "nftmulti",
        "nftables-multiport[port=\"80,443,8000:8080\", chain=other-chain]",
    ),
    (
        "nftall",
        "nftables-allports[protocol=all, table=other-table, chain_hook=forward]",
    ),
    (
        "nfthash",
        "nftables-allports[addr_options=\"\", table_family=inet, table=hash-table]",
    ),
    (
        "nftmerge",
        "nftables-allports[addr_options=\"<sp>flags interval\\; auto-merge\\;\", table=merge-table]",
    ),
    ("route", "route"),
    ("route2", "route[blocktype=blackhole]"),
    ("hosts", "hostsdeny[file=ROOT/hosts.deny]"),
    (
        "hosts2",
        "hostsdeny[file=ROOT/hosts.deny, daemon_list=sshd]",
    ),
    ("black", "symbiosis-blacklist-allports"),
    ("black2", "symbiosis-blacklist-allports[chain=INPUT]"),
];

/// Jails whose targets take no networks: a `hash:ip` of IPv6, `xt_recent`, a set without ranges.
const SINGLE_ONLY: [&str; 8] = [
    "ipset",
    "timed",
    "proto4",
    "proto6",
    "proto6all",
    "recent",
    "nfthash",
    "hosts2",
];

/// What an action of a jail leads to that differs between jails of one table: several jails may
/// have the same bans in one routing table.
fn addresses(jail: &str) -> Vec<String> {
    let number = JAILS.iter().position(|(name, _)| *name == jail).unwrap() + 1;
    let mut ids = vec![
        format!("192.0.2.{number}"),
        format!("198.51.100.{number}"),
        format!("2001:db8::{number:x}"),
        format!("2001:db8:1::{number:x}"),
    ];
    if !SINGLE_ONLY.contains(&jail) {
        ids.push(format!("10.{number}.16.0/20"));
        ids.push(format!("2001:db8:{number:x}00::/48"));
    }
    ids
}

/// A namespace that lives as long as this value.
struct Network(Child);

impl Network {
    fn new() -> Network {
        let mut child = Command::new("unshare")
            .args(["-n", "sleep", "infinity"])
            .spawn()
            .unwrap();
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let there = PathBuf::from(format!("/proc/{}/ns/net", child.id()));
        let apart = common::eventually(60, || fs::read_link(&there).is_ok_and(|net| net != own));
        if !apart {
            child.kill().unwrap();
            panic!("this test must run as root");
        }
        Network(child)
    }

    fn inside(&self, mut command: Command) -> Command {
        let mut wrapped = Command::new("nsenter");
        wrapped
            .args(["-t", &self.0.id().to_string(), "-n"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                wrapped.env(name, value);
            }
        }
        command.stdin(Stdio::null());
        wrapped
    }

    fn shell(&self, script: &str) -> String {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let output = self.inside(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One of the two with its configuration, database and kernel.
struct Side {
    stock: Stock,
    network: Network,
    ours: bool,
    server: Option<Child>,
}

impl Side {
    fn new(ours: bool) -> Side {
        let jails: Vec<(&str, String)> = JAILS
            .iter()
            .map(|(name, action)| {
                let (file, options) = action.split_once('[').unwrap_or((action, "]"));
                let comma = if options == "]" { "" } else { ", " };
                (*name, format!("{file}[name={name}{comma}{options}"))
            })
            .collect();
        let jails: Vec<(&str, &str)> = jails
            .iter()
            .map(|(name, action)| (*name, action.as_str()))
            .collect();
        let stock = Stock::new(&jails, "ROOT/f2b.sqlite3");
        // the one action with a place of its own in the file system
        let symbiosis = "etc/action.d/symbiosis-blacklist-allports.conf";
        let text = fs::read_to_string(stock.path(symbiosis)).unwrap();
        stock.write(symbiosis, &text.replace("/etc/symbiosis", "ROOT/symbiosis"));
        fs::create_dir_all(stock.path("symbiosis/firewall/blacklist.d")).unwrap();
        stock.write("hosts.deny", "ALL: 203.0.113.9\n");
        let side = Side {
            stock,
            network: Network::new(),
            ours,
            server: None,
        };
        side.network
            .shell("ip link set lo up; iptables -N blacklist; ip6tables -N blacklist");
        side
    }

    fn start(&mut self) {
        let mut command = match self.ours {
            true => common::ours("fail2ban-server"),
            false => common::original("1.1.1", "fail2ban-server"),
        };
        command
            .arg("-c")
            .arg(self.stock.path("etc"))
            .args(["-xf", "start"]);
        let mut command = self.network.inside(command);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.server = Some(command.spawn().unwrap());
        let last = JAILS[JAILS.len() - 1].0;
        self.stock.wait_for_jail(last);
    }

    fn stop(&mut self) {
        self.stock.client(&["stop"]);
        let mut server = self.server.take().unwrap();
        let ended = common::eventually(60, || server.try_wait().unwrap().is_some());
        assert!(ended, "the server does not end; log:\n{}", self.stock.log());
    }

    /// What the kernel and the files hold, by chain, set or file.
    fn state(&self) -> BTreeMap<String, Vec<String>> {
        let mut state = BTreeMap::new();
        let mut note = |place: String, line: &str| {
            state
                .entry(place)
                .or_insert_with(Vec::new)
                .push(line.to_owned());
        };
        for program in ["iptables-save", "ip6tables-save"] {
            let mut table = String::new();
            for line in self.network.shell(program).lines() {
                let line = line.trim_end();
                if let Some(name) = line.strip_prefix('*') {
                    table = format!("{program} {name}");
                } else if let Some(rule) = line.strip_prefix("-A ") {
                    let (chain, _) = rule.split_once(' ').unwrap();
                    note(format!("{table} {chain}"), line);
                } else if let Some(chain) = line.strip_prefix(':') {
                    note(
                        format!("{table} {}", chain.split(' ').next().unwrap()),
                        "exists",
                    );
                }
            }
        }
        let tables = self.network.shell("nft list tables");
        for table in tables.lines().filter(|table| table.contains("inet")) {
            for line in self.network.shell(&format!("nft list {table}")).lines() {
                note(table.to_owned(), line);
            }
        }
        for line in self.network.shell("ipset save").lines() {
            // seeds are random, and seconds pass
            let words: Vec<&str> = line.split(' ').collect();
            let mut shown = Vec::new();
            let mut words = words.into_iter();
            while let Some(word) = words.next() {
                match word {
                    "initval" => drop(words.next()),
                    "timeout" => {
                        let left: i64 = words.next().unwrap().parse().unwrap();
                        shown.push(format!("timeout {}", (left + 300) / 600 * 600));
                    }
                    word => shown.push(word.to_owned()),
                }
            }
            note(format!("ipset {}", shown[1]), &shown.join(" "));
        }
        for line in self.network.shell("ip route; ip -6 route").lines() {
            note("route".into(), line);
        }
        for line in self
            .network
            .shell("cd /proc/net/xt_recent && grep -H src= *")
            .lines()
        {
            let shown: Vec<&str> = line.split(' ').take(1).collect();
            note("xt_recent".into(), &shown.join(" "));
        }
        let root = self.stock.directory.path().display().to_string();
        for line in fs::read_to_string(self.stock.path("hosts.deny"))
            .unwrap()
            .lines()
        {
            note("hosts.deny".into(), line);
        }
        let blacklist = format!("{root}/symbiosis/firewall/blacklist.d");
        for entry in fs::read_dir(blacklist).unwrap() {
            let name = entry.unwrap().file_name();
            note("blacklist.d".into(), &name.to_string_lossy());
        }
        // jails start side by side: who comes first in what they share is chance
        for (place, lines) in &mut state {
            let shared = ["INPUT", "FORWARD", "blacklist"]
                .iter()
                .any(|chain| place.ends_with(chain));
            if shared || !place.contains("tables-save") {
                lines.sort();
            }
        }
        state
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// What both sides hold when the original has come to rest and ours agrees.
fn same(
    step: &str,
    sides: &mut [Side; 2],
    failures: &mut Vec<String>,
) -> BTreeMap<String, Vec<String>> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut before = sides[0].state();
    loop {
        std::thread::sleep(Duration::from_millis(1200));
        let now = sides[0].state();
        if now == before || Instant::now() > end {
            break;
        }
        before = now;
    }
    let mut ours = BTreeMap::new();
    common::eventually(60, || {
        ours = sides[1].state();
        ours == before
    });
    let places: std::collections::BTreeSet<&String> = before.keys().chain(ours.keys()).collect();
    for place in places {
        let (original, own) = (before.get(place), ours.get(place));
        if original != own {
            failures.push(format!(
                "after {step}, {place}:\n original {original:#?}\n ours {own:#?}"
            ));
        }
    }
    before
}

fn each(sides: &[Side; 2], words: impl Fn(&str) -> Vec<String>) {
    for side in sides {
        for (jail, _) in JAILS {
            let words = words(jail);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            side.stock.client(&words);
        }
    }
}

fn words(verb: &[&str], jail: &str, ids: &[String]) -> Vec<String> {
    let verb = verb.iter().map(|word| word.replace("JAIL", jail));
    verb.chain(ids.iter().cloned()).collect()
}

#[test]
fn the_kernel_holds_the_same() {
    let mut sides = [Side::new(false), Side::new(true)];
    for side in &mut sides {
        side.start();
    }
    let mut failures = Vec::new();
    same("start", &mut sides, &mut failures);

    each(&sides, |jail| {
        words(&["set", "JAIL", "banip"], jail, &addresses(jail))
    });
    let held = same("ban", &mut sides, &mut failures);
    for place in [
        "iptables-save filter f2b-one",
        "ip6tables-save filter f2b-one",
        "ipset f2b-ipset",
        "ipset f2b-ipset6",
        "table inet f2b-table",
        "table inet merge-table",
        "table inet hash-table",
        "route",
        "xt_recent",
        "hosts.deny",
        "blacklist.d",
    ] {
        assert!(
            held.get(place).is_some_and(|lines| lines.len() > 1),
            "{place}: {:?}",
            held.get(place)
        );
    }

    // today's ipset does not take the words of this one: nobody's bans get anywhere
    for side in &sides {
        let log = side.stock.log();
        let failed = "Failed to execute ban jail 'proto4' action 'iptables-ipset-proto4'";
        assert!(
            log.contains("Unknown argument: `iphash'") || log.contains(failed),
            "{log}"
        );
    }
    assert!(!held.contains_key("ipset f2b-proto4"));

    each(&sides, |jail| {
        let ids: Vec<String> = addresses(jail).into_iter().step_by(2).collect();
        words(&["set", "JAIL", "unbanip"], jail, &ids)
    });
    same("unban", &mut sides, &mut failures);

    for side in &sides {
        side.stock.client(&["unban", "--all"]);
    }
    let flushed = same("flush", &mut sides, &mut failures);

    assert!(
        flushed["ipset f2b-ipset"].len() < held["ipset f2b-ipset"].len(),
        "nothing was lifted"
    );

    each(&sides, |jail| {
        words(&["set", "JAIL", "banip"], jail, &addresses(jail))
    });
    same("ban after flush", &mut sides, &mut failures);

    for side in &mut sides {
        side.stop();
    }
    same("stop", &mut sides, &mut failures);

    for side in &mut sides {
        side.start();
    }
    let restored = same("restart", &mut sides, &mut failures);
    assert!(
        restored["ipset f2b-ipset"].len() > 1,
        "nothing was restored: {restored:#?}"
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
