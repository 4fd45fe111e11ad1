//! What the options of `[fleet]` and of jails do. `tests/names.rs` counts on the names.
#![allow(clippy::unwrap_used)]

use crate::common;
use crate::engine::{Engine, Sentinel, free_port};
use crate::host::{Host, meet};

#[test]
fn fleet_bans_of_one_host_hold_on_the_others_until_it_lifts_them() {
    let engine = Engine::new();
    let one = Host::with_jails(
        "mx1",
        &engine.url(),
        "",
        &[
            ("sshd", ""),
            ("quiet", "fleet = off"),
            ("deaf", "fleet = send"),
        ],
    );
    let two = Host::with_jails(
        "mx2",
        &engine.url(),
        "",
        &[("sshd", ""), ("quiet", ""), ("deaf", "fleet = send")],
    );
    let _servers = meet(&[&one, &two]);
    one.ask("set quiet banip 198.51.100.9");
    one.ask("set deaf banip 198.51.100.8");
    one.fail("sshd", "198.51.100.1");
    two.wait_banned("sshd", "198.51.100.1", true);
    two.site.wait_for("[sshd] Ban 198.51.100.1 (by host mx1)");
    // they were told before, or never
    assert!(!two.bans("quiet", "198.51.100.9"));
    assert!(!two.bans("deaf", "198.51.100.8"));
    one.ask("set sshd unbanip 198.51.100.1");
    two.wait_banned("sshd", "198.51.100.1", false);
    let refused = one.ask("set sshd fleet both");
    assert!(refused.contains("Invalid fleet option 'both'"), "{refused}");
}

/// Two jails of other hosts have nobody here but the jail `fleet`: the ban holds as long as one of them has
/// it.
#[test]
fn fleet_jail_takes_the_bans_of_jails_that_are_not_there() {
    let engine = Engine::new();
    let one = Host::with_jails("mx1", &engine.url(), "", &[("a", ""), ("b", "")]);
    let edge = Host::with_jails("edge", &engine.url(), "", &[("fleet", "fleet = receive")]);
    let (_one, _edge) = (one.start(), edge.start());
    one.wait_connected(1);
    edge.wait_connected(1);
    one.ask("set a banip 198.51.100.1");
    one.ask("set b banip 198.51.100.1");
    edge.wait_banned("fleet", "198.51.100.1", true);
    let two = || edge.of_host("mx1", "bans") == 2;
    assert!(common::eventually(60, two), "{}", edge.status());
    one.ask("set a unbanip 198.51.100.1");
    let one_left = || edge.of_host("mx1", "bans") == 1;
    assert!(common::eventually(60, one_left), "{}", edge.status());
    assert!(edge.bans("fleet", "198.51.100.1"));
    one.ask("set b unbanip 198.51.100.1");
    edge.wait_banned("fleet", "198.51.100.1", false);
}

#[test]
fn fleet_minhosts_waits_for_the_word_of_so_many() {
    let engine = Engine::new();
    let hosts = ["mx1", "mx2"].map(|name| Host::new(name, &engine.url(), ""));
    let wary = Host::with_jails("wary", &engine.url(), "", &[("sshd", "fleet.minhosts = 2")]);
    let _servers: Vec<_> = hosts.iter().chain([&wary]).map(Host::start).collect();
    for host in hosts.iter().chain([&wary]) {
        host.wait_connected(2);
    }
    hosts[0].ask("set sshd banip 198.51.100.1");
    let heard = || wary.of_host("mx1", "bans") == 1;
    assert!(common::eventually(60, heard), "{}", wary.status());
    assert!(!wary.bans("sshd", "198.51.100.1"));
    // the other has it banned by the first one's word already, and bans it itself as well
    hosts[1].wait_banned("sshd", "198.51.100.1", true);
    hosts[1].fail("sshd", "198.51.100.1");
    wary.wait_banned("sshd", "198.51.100.1", true);
    // lifted by one it is still banned there, but no more where two have to say so
    hosts[0].ask("set sshd unbanip 198.51.100.1");
    wary.wait_banned("sshd", "198.51.100.1", false);
    assert!(hosts[1].bans("sshd", "198.51.100.1"));
}

#[test]
fn url_that_is_none_leaves_the_jails_alone() {
    let host = Host::new("mx1", "http://198.51.100.1", "");
    let _server = host.start();
    host.site.wait_for("[fleet] url: it is redis://HOST");
    assert_eq!(host.ask("set sshd banip 198.51.100.1"), "1");
}

/// A section that goes at a reload, and comes back.
#[test]
fn url_that_is_taken_out_ends_the_part_in_the_fleet() {
    let engine = Engine::new();
    let host = Host::new("mx1", &engine.url(), "");
    let _server = host.start();
    host.wait_connected(0);
    let text = host.site.read("fail2ban.conf");
    let without = text.split("[fleet]").next().unwrap();
    host.site.write("fail2ban.conf", without);
    host.site.run(common::ours("fail2ban-client"), &["reload"]);
    assert!(host.status().is_null());
    let none = || engine.ask::<String>(&["CLIENT", "LIST"]).lines().count() == 1;
    assert!(common::eventually(60, none));
    host.site.write("fail2ban.conf", &text);
    host.site.run(common::ours("fail2ban-client"), &["reload"]);
    host.wait_connected(0);
}

#[test]
fn url_by_sentinels_finds_the_master() {
    let engine = Engine::new();
    let (port, monitored) = (free_port().port(), engine.address.port());
    let _sentinel = Sentinel::new(&format!("port {port}\n"), monitored);
    let url = format!("redis+sentinel://127.0.0.1:{port}/m");
    let host = Host::new("mx1", &url, "");
    let _server = host.start();
    host.wait_connected(0);
}

#[test]
fn name_keeps_fleets_apart() {
    let engine = Engine::new();
    let one = Host::new("mx1", &engine.url(), "name = a");
    let two = Host::new("mx2", &engine.url(), "name = b");
    let three = Host::new("mx3", &engine.url(), "name = a");
    let _servers = [one.start(), two.start(), three.start()];
    one.wait_connected(1);
    two.wait_connected(0);
    three.wait_connected(1);
    one.ask("set sshd banip 198.51.100.1");
    three.wait_banned("sshd", "198.51.100.1", true);
    assert!(!two.bans("sshd", "198.51.100.1"));
    assert_eq!(two.status()["hosts"].as_array().unwrap().len(), 0);
}

#[test]
fn host_is_the_name_by_which_others_know_it() {
    let engine = Engine::new();
    let host = Host::new("mail.example", &engine.url(), "");
    let _server = host.start();
    host.wait_connected(0);
    host.ask("set sshd banip 198.51.100.1");
    let there = || engine.ask::<i64>(&["ZCARD", "f2b:fleet:mail.example:live"]) == 1;
    assert!(common::eventually(60, there));
    let wrong = Host::new("admin", &engine.url(), "");
    let _server = wrong.start();
    wrong.site.wait_for("[fleet] host: invalid name admin");
}

#[test]
fn maxtime_ends_bans_of_others_earlier() {
    let engine = Engine::new();
    let one = Host::new("mx1", &engine.url(), "");
    let two = Host::new("mx2", &engine.url(), "maxtime = 2");
    let _servers = meet(&[&one, &two]);
    one.ask("set sshd banip 198.51.100.1");
    two.wait_banned("sshd", "198.51.100.1", true);
    two.site.wait_for("[sshd] Unban 198.51.100.1");
    assert!(one.bans("sshd", "198.51.100.1"));
}

/// Networks of one host that the other takes, or takes not.
fn networks(settings: &str, taken: &str, refused: &str) {
    let engine = Engine::new();
    let one = Host::new("mx1", &engine.url(), "");
    let two = Host::new("mx2", &engine.url(), settings);
    let _servers = meet(&[&one, &two]);
    one.ask(&format!("set sshd banip {refused}"));
    one.ask(&format!("set sshd banip {taken}"));
    two.wait_banned("sshd", taken, true);
    assert!(!two.bans("sshd", refused));
    assert_eq!(two.of_host("mx1", "refused"), 1);
}

#[test]
fn minprefix4_refuses_larger_networks() {
    networks("minprefix4 = 28", "198.51.100.16/28", "198.51.100.32/27");
}

#[test]
fn minprefix6_refuses_larger_networks() {
    networks("minprefix6 = 64", "2001:db8:1:2::/64", "2001:db8:2::/63");
}

/// Bans so many on one host; how many the other has in the end, which mutes it.
fn too_much(settings: &str, bans: usize) -> usize {
    let engine = Engine::new();
    let one = Host::new("mx1", &engine.url(), "");
    let two = Host::new("mx2", &engine.url(), settings);
    let _servers = meet(&[&one, &two]);
    let ids: Vec<String> = (1..=bans).map(|n| format!("198.51.100.{n}")).collect();
    one.ask(&format!("set sshd banip {}", ids.join(" ")));
    let muted = || two.of_host("mx1", "muted") == true;
    assert!(common::eventually(60, muted), "{}", two.status());
    two.site.wait_for("Host mx1 of the fleet is muted");
    let warnings = two.site.read("log");
    let warnings = warnings.matches("Host mx1 of the fleet is muted");
    assert_eq!(warnings.count(), 1);
    two.of_host("mx1", "bans").as_u64().unwrap() as usize
}

#[test]
fn maxburst_mutes_a_host_that_says_too_much_at_once() {
    assert_eq!(too_much("maxburst = 5\nmaxrate = 1", 20), 5);
}

#[test]
fn maxbans_mutes_a_host_with_too_many() {
    assert_eq!(too_much("maxbans = 7", 20), 7);
}

/// Muted, then heard again when it may say half of a burst: all of its bans count.
#[test]
fn maxrate_lets_a_muted_host_be_heard_again() {
    let engine = Engine::new();
    let one = Host::new("mx1", &engine.url(), "");
    let two = Host::new("mx2", &engine.url(), "maxburst = 2\nmaxrate = 600");
    let _servers = meet(&[&one, &two]);
    let ids: Vec<String> = (1..=20).map(|n| format!("198.51.100.{n}")).collect();
    one.ask(&format!("set sshd banip {}", ids.join(" ")));
    two.site.wait_for("Host mx1 of the fleet is muted");
    two.site.wait_for("Host mx1 of the fleet is heard again");
    let all = || two.of_host("mx1", "bans") == 20;
    assert!(common::eventually(60, all), "{}", two.status());
}
