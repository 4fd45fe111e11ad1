//! Against the LAPI of CrowdSec's own package: what is banned here is a decision there, what is decided there is
//! in the kernel here, and nothing goes round in circles.
//!
//! `FERROBAN_CROWDSEC_DECISIONS` says how many decisions are imported (docs/testing.md): the LAPI takes a
//! second for a thousand. What took how long is printed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::authority::{Authority, UNIT};
use crate::common::{self, eventually};
use crate::engine::Engine;
use crate::lapi::Lapi;
use crate::place::{Place, receiving, sending};

const BOTH: &str = "machine = m\npassword = p\nbouncerkey = k\ninterval = 1";

#[test]
fn a_ban_is_a_decision_until_somebody_lifts_it_here_or_there() {
    let mut lapi = Lapi::new();
    let place = Place::new(&lapi.url(), BOTH);
    let server = place.start();
    place.fail("sshd", "203.0.113.7");
    place.wait_banned("sshd", "203.0.113.7", true);
    let begin = Instant::now();
    place.ask("set sshd banip 2001:db8:7::/64");
    let range = "ferroban Range:2001:db8:7::/64 ferroban/sshd";
    let one = "ferroban Ip:203.0.113.7 ferroban/sshd";
    lapi.wait_decisions(&[one, range]);
    println!(
        "H: a ban is listed by cscli after {:.2} s",
        begin.elapsed().as_secs_f64()
    );
    // a longer ban is a further decision, and its first end is no end
    place.ask("set sshd banip 203.0.113.7 --time 1200");
    place.wait_status(|status| status["sent"] == 3);
    // cscli shows the longest
    let lasts = || lapi.cscli(&["decisions", "list", "-a"]).contains(",1,19m");
    assert!(
        eventually(60, lasts),
        "{}",
        lapi.cscli(&["decisions", "list", "-a"])
    );
    // by hand, here
    place.ask("set sshd unbanip 2001:db8:7::/64");
    lapi.wait_decisions(&[one]);
    // and there
    let begin = Instant::now();
    lapi.cscli(&["decisions", "delete", "--ip", "203.0.113.7"]);
    place.wait_banned("sshd", "203.0.113.7", false);
    println!(
        "H: its deletion is back after {:.2} s",
        begin.elapsed().as_secs_f64()
    );
    place
        .site
        .wait_for("[sshd] CrowdSec has deleted the decision on 203.0.113.7");
    // made and deleted between two looks, in the worst case
    place.ask("set sshd banip 203.0.113.8");
    lapi.wait_decisions(&["ferroban Ip:203.0.113.8 ferroban/sshd"]);
    lapi.cscli(&["decisions", "delete", "--ip", "203.0.113.8"]);
    place.wait_banned("sshd", "203.0.113.8", false);
    // none of it came back as a ban of the list
    assert_eq!(place.count("crowdsec"), 0, "{}", place.site.read("log"));
    // days without it
    lapi.kill();
    place.fail("sshd", "203.0.113.9");
    place.wait_banned("sshd", "203.0.113.9", true);
    place.site.wait_for("CrowdSec does not tell its decisions");
    place.site.wait_for("CrowdSec is not told of bans");
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_ferroban"));
    doctor.arg("doctor");
    let (_, said) = place.site.run(doctor, &["--json"]);
    let refused = format!(
        "CrowdSec does not tell its decisions: cannot connect to {}",
        lapi.address
    );
    assert!(said.contains(&refused), "{said}");
    lapi.start();
    lapi.wait_decisions(&["ferroban Ip:203.0.113.9 ferroban/sshd"]);
    // what the database has is not told again
    place.ask("set sshd banip 203.0.113.10");
    let two = [
        "ferroban Ip:203.0.113.10 ferroban/sshd",
        "ferroban Ip:203.0.113.9 ferroban/sshd",
    ];
    lapi.wait_decisions(&two);
    assert_eq!(server.end(nix::sys::signal::Signal::SIGTERM), Some(0));
    let _server = place.start();
    place.wait_banned("sshd", "203.0.113.9", true);
    place.ask("set sshd banip 203.0.113.11");
    lapi.wait_decisions(&[two[0], two[1], "ferroban Ip:203.0.113.11 ferroban/sshd"]);
    lapi.cscli(&["decisions", "delete", "--ip", "203.0.113.9"]);
    place.wait_banned("sshd", "203.0.113.9", false);
    let listed = lapi.cscli(&["bouncers", "list", "-o", "raw"]);
    let agent = concat!("ferroban,", env!("CARGO_PKG_VERSION"));
    assert!(listed.contains(agent), "{listed}");
}

/// One of many targets, of which a tenth are networks.
pub fn target(n: usize) -> String {
    match n % 20 {
        0 => format!("172.{}.{}.0/24", 16 + n / 20 / 256, n / 20 % 256),
        1 => format!("2001:db8:1:{:x}::/64", n / 20 + 1),
        _ => format!(
            "{}.{}.7.{}",
            45 + n / 62_500,
            1 + n / 250 % 250,
            1 + n % 250
        ),
    }
}

/// Networks of the kernel's sets of a jail.
pub fn in_kernel(jail: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for set in ["addr-set", "addr6-set"] {
        let output = Command::new("nft")
            .args([
                "-j",
                "list",
                "set",
                "inet",
                "f2b-table",
                &format!("{set}-{jail}"),
            ])
            .output()
            .unwrap();
        let Ok(listed) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            continue;
        };
        let sets = listed["nftables"].as_array().unwrap();
        let elements = sets
            .iter()
            .filter_map(|part| part["set"]["elem"].as_array());
        found.extend(elements.flatten().map(|element| match element {
            serde_json::Value::String(ip) => ip.clone(),
            other => {
                let prefix = &other["prefix"];
                format!("{}/{}", prefix["addr"].as_str().unwrap(), prefix["len"])
            }
        }));
    }
    found
}

#[test]
fn imported_decisions_are_in_the_kernel_with_their_networks() {
    const TEST: &str = "bridge::imported_decisions_are_in_the_kernel_with_their_networks";
    common::in_network_namespace(TEST, imported);
}

fn imported() {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.unwrap().success());
    let count = std::env::var("FERROBAN_CROWDSEC_DECISIONS").ok();
    let count: usize = count.map_or(1_500, |text| text.parse().unwrap());
    let lapi = Lapi::new();
    let mut expected = BTreeSet::new();
    let mut list = "duration,reason,scope,value\n".to_owned();
    for n in 0..count {
        let value = target(n);
        let scope = if value.contains('/') { "range" } else { "ip" };
        list.push_str(&format!("4h,flood,{scope},{value}\n"));
        expected.insert(value);
    }
    // inside of networks that are banned as a whole
    list.push_str("4h,flood,ip,172.16.0.77\n4h,flood,ip,2001:db8:1:1::77\n");
    let file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
    std::fs::write(file.path(), list).unwrap();
    let begin = Instant::now();
    lapi.cscli(&[
        "decisions",
        "import",
        "-i",
        &file.path().display().to_string(),
    ]);
    println!(
        "H: cscli takes {:.1} s to import {count}",
        begin.elapsed().as_secs_f64()
    );
    let jail = "backend = auto\naction = nftables-allports[name=crowdsec]";
    let jails = [sending("sshd", ""), receiving("crowdsec", jail)];
    let place = Place::with_jails(&lapi.url(), BOTH, &jails);
    let begin = Instant::now();
    let server = place.start();
    let started = begin.elapsed();
    let all = || in_kernel("crowdsec") == expected;
    assert!(
        eventually(240, all),
        "{} of {}\n{}\n{}",
        in_kernel("crowdsec").len(),
        expected.len(),
        place.status(),
        place.site.read("log")
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    println!(
        "H: {count} decisions in the kernel {:.2} s after the start ({:.2} s without any), {resident}",
        begin.elapsed().as_secs_f64(),
        started.as_secs_f64()
    );
    let log = place.site.read("log");
    assert!(
        !log.contains("ERROR") && !log.contains("not effective"),
        "{log}"
    );
    place
        .site
        .wait_for(&format!("[crowdsec] {count} banned by list cscli-import"));
    // a network that is deleted leaves what is decided inside of it
    lapi.cscli(&["decisions", "delete", "--range", "172.16.0.0/24"]);
    expected.remove("172.16.0.0/24");
    expected.insert("172.16.0.77".to_owned());
    // and one that comes takes in what is there
    lapi.cscli(&["decisions", "add", "--range", "45.1.0.0/16", "-d", "4h"]);
    let inside = |id: &String| id.starts_with("45.1.");
    expected.retain(|id| !inside(id));
    expected.insert("45.1.0.0/16".to_owned());
    let begin = Instant::now();
    let all = || in_kernel("crowdsec") == expected;
    assert!(eventually(60, all), "{}", place.site.read("log"));
    println!(
        "H: changes of it after {:.2} s",
        begin.elapsed().as_secs_f64()
    );
    // what is stopped and started has all of it before the LAPI has said a word
    drop(lapi);
    assert_eq!(server.end(nix::sys::signal::Signal::SIGTERM), Some(0));
    let begin = Instant::now();
    let _server = place.start();
    let all = || in_kernel("crowdsec") == expected;
    assert!(eventually(240, all), "{}", place.site.read("log"));
    println!(
        "H: all of it from the database {:.2} s after a start without a LAPI",
        begin.elapsed().as_secs_f64()
    );
}

#[test]
fn one_ban_with_both_roads_on_makes_one_entry_in_each() {
    let (engine, lapi) = (Engine::new(), Lapi::new());
    let both = "crowdsec = send\nfleet = send, receive";
    let place = |host: &str, key: &str| {
        let place = Place::with_jails(
            &lapi.url(),
            // what the LAPI has told one bouncer it does not tell the other
            &BOTH.replace("bouncerkey = k", &format!("bouncerkey = {key}")),
            &[
                sending("sshd", both),
                receiving("crowdsec", "fleet = send, receive"),
            ],
        );
        let text = place.site.read("fail2ban.conf");
        let fleet = format!("{text}\n[fleet]\nurl = {}\nhost = {host}\n", engine.url());
        place.site.write("fail2ban.conf", &fleet);
        place
    };
    let (one, two) = (place("mx1", "k"), place("mx2", "k2"));
    let (_one, _two) = (one.start(), two.start());
    let known = |place: &Place, other: &str| {
        let there = || place.ask("fleet status").contains(&format!("'{other}'"));
        assert!(eventually(60, there), "{}", place.ask("fleet status"));
    };
    known(&one, "mx2");
    known(&two, "mx1");
    one.fail("sshd", "203.0.113.7");
    two.wait_banned("sshd", "203.0.113.7", true);
    lapi.wait_decisions(&["ferroban Ip:203.0.113.7 ferroban/sshd"]);
    // somebody else's is banned by both, and told to nobody
    lapi.cscli(&[
        "decisions",
        "add",
        "--ip",
        "198.51.100.1",
        "-d",
        "1h",
        "-R",
        "by-hand",
    ]);
    one.wait_banned("crowdsec", "198.51.100.1", true);
    two.wait_banned("crowdsec", "198.51.100.1", true);
    // both have looked again, and what they would tell has come
    let seen = |place: &Place| place.status()["hearing"]["last"].as_f64().unwrap();
    for place in [&one, &two] {
        let last = seen(place);
        assert!(eventually(60, || seen(place) > last + 1.5));
    }
    lapi.wait_decisions(&[
        "ferroban Ip:203.0.113.7 ferroban/sshd",
        "cscli Ip:198.51.100.1 by-hand",
    ]);
    let entries = |host: &str| engine.ask::<usize>(&["XLEN", &format!("f2b:fleet:{host}:log")]);
    assert_eq!((entries("mx1"), entries("mx2")), (1, 0));
    assert_eq!((one.count("crowdsec"), two.count("crowdsec")), (1, 1));
    // an order of the fleet lifts it at the LAPI too
    let (code, text) = one.site.run(
        {
            let mut program = Command::new(env!("CARGO_BIN_EXE_ferroban"));
            program.arg("fleet");
            program
        },
        &["unban", "203.0.113.7", "--url", &engine.url()],
    );
    assert_eq!(code, 0, "{text}");
    one.wait_banned("sshd", "203.0.113.7", false);
    lapi.wait_decisions(&["cscli Ip:198.51.100.1 by-hand"]);
}

/// Hands requests on to a LAPI, and loses its answer to the first alerts that it takes.
fn losing(lapi: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lost = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let lost = lost.clone();
            std::thread::spawn(move || hand_on(client, lapi, &lost));
        }
    });
    url
}

fn hand_on(mut client: TcpStream, lapi: SocketAddr, lost: &AtomicBool) {
    let mut server = TcpStream::connect(lapi).unwrap();
    let mut begin = vec![0; 64 << 10];
    let count = client.read(&mut begin).unwrap();
    server.write_all(&begin[..count]).unwrap();
    let loses = begin.starts_with(b"POST /v1/alerts ")
        && !lost.swap(true, std::sync::atomic::Ordering::SeqCst);
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    if loses {
        // it is there when the LAPI has answered
        let _ = server.read(&mut begin);
        let _ = client.shutdown(std::net::Shutdown::Both);
        return;
    }
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_lost_answer_of_the_lapi_makes_no_second_entry() {
    let lapi = Lapi::new();
    let place = Place::new(&losing(lapi.address), BOTH);
    let _server = place.start();
    place.ask("set sshd banip 203.0.113.7 203.0.113.8 2001:db8:7::/64");
    place.site.wait_for("CrowdSec is not told of bans");
    place.wait_status(|status| status["sent"] == 3 && status["waiting"] == 0);
    lapi.wait_decisions(&[
        "ferroban Ip:203.0.113.7 ferroban/sshd",
        "ferroban Ip:203.0.113.8 ferroban/sshd",
        "ferroban Range:2001:db8:7::/64 ferroban/sshd",
    ]);
    // the list of decisions leaves out what is there twice
    let alerts = lapi.cscli(&["alerts", "list", "-a", "-l", "0", "-o", "json"]);
    let alerts: serde_json::Value = serde_json::from_str(&alerts).unwrap();
    assert_eq!(alerts.as_array().unwrap().len(), 3, "{alerts}");
    assert_eq!(place.count("crowdsec"), 0, "{}", place.site.read("log"));
}

#[test]
fn certificates_of_both_sides_stand_for_password_and_key() {
    let authority = Authority::new();
    let lapi = Lapi::with_tls(&authority, UNIT);
    let path = |name: &str| authority.path(name).display().to_string();
    let settings = format!(
        "cafile = {}\ncertfile = {}\nkeyfile = {}\ninterval = 1",
        path("ca.pem"),
        path("client.pem"),
        path("client.key")
    );
    let place = Place::new(&lapi.url(), &settings);
    let _server = place.start();
    place.fail("sshd", "203.0.113.7");
    lapi.wait_decisions(&["ferroban Ip:203.0.113.7 ferroban/sshd"]);
    lapi.cscli(&[
        "decisions",
        "add",
        "--ip",
        "198.51.100.1",
        "-d",
        "1h",
        "-R",
        "r",
    ]);
    place.wait_banned("crowdsec", "198.51.100.1", true);
    // its own is known when it comes back, and deleted by its own certificate
    place.ask("set sshd unbanip 203.0.113.7");
    lapi.wait_decisions(&["cscli Ip:198.51.100.1 r"]);
    assert_eq!(place.count("crowdsec"), 1, "{}", place.site.read("log"));
    for who in ["machines", "bouncers"] {
        let listed = lapi.cscli(&[who, "list", "-o", "raw"]);
        assert!(listed.contains("client@127.0.0.1"), "{listed}");
    }
    // a certificate of another unit, and none at all
    let strict = Lapi::with_tls(&authority, "others");
    let other = Place::new(&strict.url(), &settings);
    let _other = other.start();
    other.site.wait_for("CrowdSec does not tell its decisions");
    let (ca, _) = settings.split_once('\n').unwrap();
    let bare = Place::new(&strict.url(), &format!("{ca}\nbouncerkey = wrong"));
    let _bare = bare.start();
    bare.site
        .wait_for("GET /v1/decisions/stream failed with status 403");
}
