//! `ferroban fleet`, and what its orders do on all hosts.
#![allow(clippy::unwrap_used)]

use serde_json::Value as Json;

use crate::common;
use crate::engine::Engine;
use crate::host::{Host, meet};

fn two_hosts(engine: &Engine) -> [Host; 2] {
    ["mx1", "mx2"].map(|name| Host::new(name, &engine.url(), ""))
}

#[test]
fn status_and_bans_tell_of_all_hosts() {
    let engine = Engine::new();
    let hosts = two_hosts(&engine);
    let _servers = meet(&[&hosts[0], &hosts[1]]);
    hosts[0].ask("set sshd banip 198.51.100.1");
    hosts[1].wait_banned("sshd", "198.51.100.1", true);
    let (code, text) = hosts[1].fleet(&["status"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("Fleet fleet, host mx2, engine redis://127.0.0.1"),
        "{text}"
    );
    assert!(text.contains("mx1: 1 bans"), "{text}");
    let (_, text) = hosts[1].fleet(&["bans", "--json"]);
    let bans: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(bans[0]["host"], "mx1");
    assert_eq!(bans[0]["id"], "198.51.100.1");
    let (_, text) = hosts[1].fleet(&["bans"]);
    assert!(
        text.contains("sshd\t198.51.100.1\tby mx1\tuntil 20"),
        "{text}"
    );
    let (_, text) = hosts[1].fleet(&["doctor"]);
    assert!(
        text.contains("Redis 7") || text.contains("Valkey"),
        "{text}"
    );
    assert!(text.contains("may write what mx1 says"), "{text}");
}

#[test]
fn without_a_fleet_it_says_so() {
    let host = Host::new("mx1", "", "");
    let _server = host.start();
    let (code, text) = host.fleet(&["status"]);
    assert_eq!(code, 255);
    assert!(text.contains("This host is in no fleet"), "{text}");
    let (code, text) = host.fleet(&["unban", "198.51.100.1"]);
    assert_eq!(code, 255);
    assert!(text.contains("no section [fleet]"), "{text}");
    let (code, _) = host.fleet(&["unban", "nobody"]);
    assert_eq!(code, 255);
}

/// Lifted everywhere, whoever had it banned; the next host that says so is not heard for a while, the one
/// where it fails again bans it.
#[test]
fn unban_by_an_administrator_lifts_on_all_and_stays() {
    let engine = Engine::new();
    let hosts = two_hosts(&engine);
    let _servers = meet(&[&hosts[0], &hosts[1]]);
    hosts[0].ask("set sshd banip 198.51.100.1");
    hosts[1].wait_banned("sshd", "198.51.100.1", true);
    let (code, text) = hosts[0].fleet(&["unban", "198.51.100.1"]);
    assert_eq!(code, 0, "{text}");
    for host in &hosts {
        host.wait_banned("sshd", "198.51.100.1", false);
    }
    hosts[0].fail("sshd", "198.51.100.1");
    hosts[0].wait_banned("sshd", "198.51.100.1", true);
    hosts[0].ask("set sshd banip 198.51.100.2");
    hosts[1].wait_banned("sshd", "198.51.100.2", true);
    assert!(!hosts[1].bans("sshd", "198.51.100.1"));
    // a host that comes later learns of it as well
    let late = Host::new("mx3", &engine.url(), "");
    let _late = late.start();
    late.wait_banned("sshd", "198.51.100.2", true);
    assert!(!late.bans("sshd", "198.51.100.1"));
}

#[test]
fn allow_lifts_bans_of_others_and_disallow_ends_it() {
    let engine = Engine::new();
    let hosts = two_hosts(&engine);
    let _servers = meet(&[&hosts[0], &hosts[1]]);
    hosts[0].ask("set sshd banip 198.51.100.1");
    hosts[1].wait_banned("sshd", "198.51.100.1", true);
    let (code, text) = hosts[0].fleet(&["allow", "198.51.100.0/29", "--comment", "office"]);
    assert_eq!(code, 0, "{text}");
    hosts[1].wait_banned("sshd", "198.51.100.1", false);
    assert!(hosts[0].bans("sshd", "198.51.100.1"));
    let said: String = engine.ask(&["HGET", "f2b:fleet:allow", "198.51.100.0/29"]);
    assert_eq!(said, "-1 office");
    let (code, text) = hosts[0].fleet(&["disallow", "198.51.100.0/29"]);
    assert_eq!(code, 0, "{text}");
    let ended = || hosts.iter().all(|host| host.status()["allowed"] == 0);
    assert!(common::eventually(60, ended));
    hosts[0].ask("set sshd banip 198.51.100.2");
    hosts[1].wait_banned("sshd", "198.51.100.2", true);
}

#[test]
fn forget_lifts_all_of_a_host_until_undone() {
    let engine = Engine::new();
    let hosts = two_hosts(&engine);
    let _servers = meet(&[&hosts[0], &hosts[1]]);
    hosts[0].ask("set sshd banip 198.51.100.1 198.51.100.2");
    hosts[1].wait_banned("sshd", "198.51.100.2", true);
    let (code, text) = hosts[1].fleet(&["forget", "mx1"]);
    assert_eq!(code, 0, "{text}");
    hosts[1].wait_banned("sshd", "198.51.100.1", false);
    hosts[1].wait_banned("sshd", "198.51.100.2", false);
    hosts[0].ask("set sshd banip 198.51.100.3");
    let written = || engine.ask::<i64>(&["ZCARD", "f2b:fleet:mx1:live"]) > 0;
    assert!(common::eventually(60, written));
    assert!(!hosts[1].bans("sshd", "198.51.100.3"));
    let (code, text) = hosts[1].fleet(&["forget", "mx1", "--undo"]);
    assert_eq!(code, 0, "{text}");
    hosts[1].wait_banned("sshd", "198.51.100.3", true);
}

/// What was lifted while a host was off is lifted when it is back, though its ban comes from the database.
#[test]
fn unban_is_heard_by_a_host_that_was_off() {
    let engine = Engine::new();
    let hosts = two_hosts(&engine);
    let ids: Vec<String> = (1..=4).map(|n| format!("198.51.100.{n}")).collect();
    {
        let _servers = meet(&[&hosts[0], &hosts[1]]);
        hosts[0].ask(&format!("set sshd banip {}", ids.join(" ")));
        ids.iter()
            .for_each(|id| hosts[1].wait_banned("sshd", id, true));
        let place = || {
            let database = rusqlite::Connection::open(hosts[1].site.path("db")).unwrap();
            let ask = "select count(*) from logs where jail = 'ferroban.fleet' and path = 'mx1'";
            database.query_row(ask, [], |row| row.get::<_, i64>(0)) == Ok(1)
        };
        assert!(
            common::eventually(60, place),
            "it knows how far it has read"
        );
    }
    let _one = hosts[0].start();
    hosts[0].wait_connected(1);
    hosts[0].ask(&format!("set sshd unbanip {}", ids[0]));
    let (code, text) = hosts[0].fleet(&["unban", &ids[1]]);
    assert_eq!(code, 0, "{text}");
    let written = || engine.ask::<i64>(&["XLEN", "f2b:fleet:mx1:log"]) == 5;
    assert!(common::eventually(60, written));
    let _two = hosts[1].start();
    hosts[1]
        .site
        .wait_for(&format!("Restore Ban {} (by host mx1)", ids[0]));
    hosts[1].wait_banned("sshd", &ids[0], false);
    hosts[1].wait_banned("sshd", &ids[1], false);
    assert!(hosts[1].bans("sshd", &ids[2]));
    drop(_two);
    let (code, text) = hosts[0].fleet(&["forget", "mx1"]);
    assert_eq!(code, 0, "{text}");
    let _two = hosts[1].start();
    hosts[1].wait_banned("sshd", &ids[2], false);
    hosts[1].wait_banned("sshd", &ids[3], false);
}

/// What an engine has lost is there again, of many bans by one word; whoever has missed them hears of them.
#[test]
fn many_bans_are_put_back_at_an_empty_engine() {
    let mut engine = Engine::new();
    let hosts = two_hosts(&engine);
    let _servers = meet(&[&hosts[0], &hosts[1]]);
    let ids: Vec<String> = (0..150).map(|n| format!("198.51.100.{n}")).collect();
    hosts[0].ask(&format!("set sshd banip {}", ids.join(" ")));
    hosts[1].wait_banned("sshd", &ids[149], true);
    engine.kill();
    hosts[0].ask("set sshd unbanip 198.51.100.7");
    let late = Host::new("mx3", &engine.url(), "");
    let _late = late.start();
    late.site.wait_for("The fleet's engine is away");
    engine.start();
    let told = || late.of_host("mx1", "bans") == 149;
    assert!(common::eventually(60, told), "{}", late.status());
    late.wait_banned("sshd", &ids[149], true);
    assert!(!late.bans("sshd", &ids[7]));
    let length: usize = engine.ask(&["XLEN", "f2b:fleet:mx1:log"]);
    assert!(length < 10, "{length} entries");
    assert_eq!(hosts[1].of_host("mx1", "muted"), false);
}

/// The logs of many servers on one host; a server without logs bans whom they show.
#[test]
fn lines_that_servers_send_to_one_host_ban_on_all() {
    let engine = Engine::new();
    let port = crate::engine::free_port().port();
    let collect = format!(
        "backend = syslog[port={port}, protocol=tcp, bind=127.0.0.1]\nfleet = send\nfilter =\n\
         failregex = sshd\\[\\d+\\]: x from <ADDR>$\n"
    );
    let log = Host::with_jails("log", &engine.url(), "", &[("sshd", &collect)]);
    let enforce = "fleet = receive\nfilter =\n";
    let edge = Host::with_jails("edge", &engine.url(), "", &[("fleet", enforce)]);
    let _servers = meet(&[&log, &edge]);
    let time = chrono::Local::now().format("%b %e %H:%M:%S");
    for (server, address) in [("web1", "198.51.100.1"), ("web2", "198.51.100.2")] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let text = format!("<38>{time} {server} sshd[7]: x from {address}\n");
        std::io::Write::write_all(&mut stream, text.as_bytes()).unwrap();
        edge.wait_banned("fleet", address, true);
    }
    assert!(!edge.site.read("log").contains("No filter set"));
}
