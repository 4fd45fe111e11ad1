//! An attack while the actions of a jail are held up: what waits for them has a bound, the server
//! answers, and no ban is lost.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::stock::StockServer;

/// Addresses that fail once each; more than twice what may wait.
const ADDRESSES: usize = 24_000;

fn count(set: &str) -> usize {
    let saved = Command::new("ipset").args(["save", set]).output().unwrap();
    String::from_utf8_lossy(&saved.stdout)
        .matches("\nadd ")
        .count()
}

#[test]
fn bans_behind_a_slow_action_wait_in_the_log() {
    common::in_network_namespace("bans_behind_a_slow_action_wait_in_the_log", || {
        let action = "[Definition]\nactionstart = while test ! -e ROOT/go; do sleep 0.1; done; ipset create slow hash:ip\n\
            actionban = ipset -exist add slow <ip>\nactionunban = ipset -exist del slow <ip>\n[Init]\ntimeout = 300\n";
        let server = StockServer::start(
            &[("j", "slow\nmaxretry = 1\nfilter = simple")],
            &[
                ("action.d/slow.conf", action),
                (
                    "filter.d/simple.conf",
                    "[Definition]\nfailregex = ^ x from <ADDR>$\n",
                ),
            ],
        );
        let now = Command::new("date").arg("+%F %T").output().unwrap();
        let now = String::from_utf8(now.stdout).unwrap();
        let lines: String = (0..ADDRESSES)
            .map(|n| format!("{} x from 10.{}.{}.1\n", now.trim(), n / 250, n % 250))
            .collect();
        std::fs::write(server.path("log"), lines).unwrap();
        let banned = || {
            let status = server.client(&["status", "j"]);
            let line = status
                .lines()
                .find(|line| line.contains("Currently banned"));
            line.unwrap()
                .rsplit('\t')
                .next()
                .unwrap()
                .parse::<usize>()
                .unwrap()
        };
        assert!(
            common::eventually(60, || banned() >= 10_000),
            "{}",
            banned()
        );
        // what was read already may go beyond the bound
        std::thread::sleep(std::time::Duration::from_secs(3));
        let held_up = banned();
        assert!(held_up < 20_000, "{held_up} bans wait");
        // whoever bans by hand waits too, and others are answered
        let mut by_hand = common::ours("fail2ban-client")
            .arg("-c")
            .arg(server.path("etc"))
            .args(["set", "j", "banip", "192.0.2.1"])
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert!(by_hand.try_wait().unwrap().is_none());
        assert_eq!(banned(), held_up);
        server.write("go", "");
        let all = common::eventually(120, || count("slow") == ADDRESSES + 1);
        assert!(all, "{} in the set, {} banned", count("slow"), banned());
        assert!(by_hand.wait().unwrap().success());
        assert_eq!(banned(), ADDRESSES + 1);
    });
}
