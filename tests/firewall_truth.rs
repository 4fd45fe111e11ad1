//! What the daemon believes about the firewall is true: rules that others delete come back within
//! seconds, bans that failed are tried again, and the log says so once.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use common::shell;
use common::stock::StockServer;

/// How many of the 40 addresses each jail's place holds, and whether packets get there.
fn held() -> Vec<(usize, bool)> {
    let rules = shell("iptables-save; ip6tables-save");
    let table = shell("nft list table inet f2b-table");
    let set = shell("ipset save");
    let rule = |jump: &str| rules.contains(jump);
    vec![
        (
            rules.matches("-A f2b-ipt -s ").count(),
            rule("-j f2b-ipt\n")
                && rules
                    .matches("-A INPUT -p tcp -m multiport --dports 22 -j f2b-ipt")
                    .count()
                    == 2,
        ),
        (
            rules.matches("-A f2b-log -s ").count(),
            rule("-j f2b-log\n"),
        ),
        (
            set.matches("add f2b-set").count(),
            rule("--match-set f2b-set src"),
        ),
        (
            table.matches("192.0.2.").count() + table.matches("2001:db8::").count(),
            table.contains("@addr-set-nft "),
        ),
        (
            rules.matches("-A f2b-own -s ").count(),
            rules.matches("-A INPUT -j f2b-own\n").count() == 1,
        ),
    ]
}

const WHOLE: [(usize, bool); 5] = [(40, true), (40, true), (40, true), (40, true), (20, true)];

const JAILS: [&str; 5] = ["ipt", "log", "set", "nft", "own"];

#[test]
fn what_others_delete_comes_back() {
    common::in_network_namespace("what_others_delete_comes_back", || {
        let server = StockServer::start(
            &[
                ("ipt", "iptables-multiport[name=ipt, port=ssh]"),
                ("log", "iptables-multiport-log[name=log, port=ssh]"),
                ("set", "iptables-ipset[name=set, port=ssh]"),
                ("nft", "nftables[name=nft, port=ssh]"),
                // nothing of it depends on the family, and it is started with the jail
                ("own", "own"),
            ],
            &[(
                "action.d/own.conf",
                "[Definition]\nactionstart = iptables -N f2b-own && iptables -I INPUT -j f2b-own\n\
                 actionstop = iptables -D INPUT -j f2b-own; iptables -F f2b-own; iptables -X f2b-own\n\
                 actioncheck = iptables -C INPUT -j f2b-own\n\
                 actionban = iptables -I f2b-own 1 -s <ip> -j DROP\n\
                 actionunban = iptables -D f2b-own -s <ip> -j DROP\n",
            )],
        );
        let ids: Vec<String> = (1..=20)
            .flat_map(|n| [format!("192.0.2.{n}"), format!("2001:db8::{n:x}")])
            .collect();
        let v4: Vec<&String> = ids.iter().filter(|id| id.contains('.')).collect();
        let mut words = vec!["set", "own", "banip"];
        words.extend(v4.iter().map(|id| id.as_str()));
        server.client(&words);
        for jail in &JAILS[..4] {
            let mut words = vec!["set", jail, "banip"];
            words.extend(ids.iter().map(String::as_str));
            server.client(&words);
        }
        assert!(common::eventually(60, || held() == WHOLE), "{:?}", held());

        let losses = [
            // whose program deletes, and which jails lose something
            (
                "iptables -F; ip6tables -F",
                &["ipt", "log", "set", "own"][..],
            ),
            ("nft flush ruleset", &JAILS[..]),
            ("nft flush set inet f2b-table addr-set-nft", &["nft"][..]),
            (
                "iptables -D f2b-ipt -s 192.0.2.7 -j REJECT --reject-with icmp-port-unreachable",
                &JAILS[..1],
            ),
        ];
        let mut warnings = 0;
        for (deletion, losers) in losses {
            let before = std::time::Instant::now();
            shell(deletion);
            assert_ne!(held(), WHOLE, "{deletion} deleted nothing");
            let back = common::eventually(60, || held() == WHOLE);
            assert!(back, "after {deletion}: {:?}\n{}", held(), server.log());
            println!("{deletion}: all back after {:?}", before.elapsed());
            let told = common::eventually(60, || {
                server.lines("WARNING").len() >= warnings + losers.len()
            });
            let lines = server.lines("WARNING");
            assert!(told, "{lines:#?}");
            for loser in losers {
                let of_loser = lines[warnings..]
                    .iter()
                    .filter(|line| line.contains(&format!("[{loser}]")));
                assert_eq!(of_loser.count(), 1, "{deletion}: {lines:#?}");
            }
            warnings = lines.len();
        }
        assert_eq!(server.lines(" fail2ban.utils "), Vec::<String>::new());
        // what the server itself lifts is not missed
        server.client(&["set", "ipt", "unbanip", "192.0.2.1"]);
        server.client(&["set", "nft", "unbanip", "192.0.2.1"]);
        std::thread::sleep(std::time::Duration::from_secs(3));
        assert_eq!(server.lines("WARNING").len(), warnings);
        assert_eq!(held()[0].0, 39);
    });
}

#[test]
fn what_is_deleted_again_and_again_comes_back_each_time() {
    let test = "what_is_deleted_again_and_again_comes_back_each_time";
    common::in_network_namespace(test, || {
        let server = StockServer::start(
            &[
                ("ipt", "iptables-multiport[name=ipt, port=ssh]"),
                ("nft", "nftables[name=nft, port=ssh]"),
            ],
            &[],
        );
        for jail in ["ipt", "nft"] {
            server.client(&["set", jail, "banip", "192.0.2.1", "192.0.2.2"]);
        }
        let whole = || {
            let rules = shell("iptables-save; nft list table inet f2b-table");
            rules.matches("-A f2b-ipt -s 192.0.2.").count() == 2
                && rules.contains("-j f2b-ipt\n")
                && rules.contains("192.0.2.1, 192.0.2.2")
                && rules.contains("@addr-set-nft ")
        };
        assert!(common::eventually(60, whole), "{}", server.log());

        const FIGHT: &str = "Bans are deleted from the firewall again and again";
        let begin = Instant::now();
        for round in 0..8 {
            shell("nft flush ruleset");
            assert!(common::eventually(60, whole), "{round}: {}", server.log());
        }
        // about a second each; with ever longer pauses this took more than a minute
        assert!(
            begin.elapsed() < Duration::from_secs(45),
            "{}",
            server.log()
        );
        assert_eq!(server.lines(FIGHT), Vec::<String>::new());

        // one that does not stop is told of, once
        let mut other = Command::new("/bin/sh")
            .args(["-c", "while sleep 0.2; do nft flush ruleset; done"])
            .spawn()
            .unwrap();
        let told = common::eventually(120, || !server.lines(FIGHT).is_empty());
        std::thread::sleep(Duration::from_secs(5));
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(told, "{}", server.log());
        assert!(common::eventually(120, whole), "{}", server.log());
        let lines = server.lines(FIGHT);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains("last by nft (process "), "{lines:#?}");
    });
}

#[test]
fn bans_that_failed_are_tried_again() {
    let server = StockServer::start(
        &[("j", "picky")],
        &[(
            "action.d/picky.conf",
            "[Definition]\nactionban = test -e ROOT/open && echo <ip> >> ROOT/bans\nactionunban = true\n",
        )],
    );
    server.client(&["set", "j", "banip", "192.0.2.1", "192.0.2.2"]);
    let failed = common::eventually(60, || server.lines("Failed to execute ban").len() == 2);
    assert!(failed, "{}", server.log());
    server.client(&["set", "j", "unbanip", "192.0.2.2"]);
    let warned = common::eventually(60, || {
        server.lines("WARNING").iter().any(|line| {
            line.contains("[j] action 'picky': 1 ban(s) not effective, next try in 10 seconds")
        })
    });
    assert!(warned, "{}", server.log());
    // the reply everybody reads is still the original's
    assert!(
        server
            .client(&["status", "j"])
            .contains("Banned IP list:\t192.0.2.1")
    );
    fs::write(server.path("open"), "").unwrap();
    let done = common::eventually(60, || server.path("bans").exists());
    assert!(done, "{}", server.log());
    assert_eq!(
        fs::read_to_string(server.path("bans")).unwrap(),
        "192.0.2.1\n"
    );
    let told = common::eventually(60, || {
        !server
            .lines("[j] action 'picky': 1 ban(s) have taken effect")
            .is_empty()
    });
    assert!(told, "{}", server.log());
}
