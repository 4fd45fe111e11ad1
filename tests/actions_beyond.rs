//! Shipped actions that fail2ban has no like of: bans on one interface, a limited rate of
//! connections instead of none, connections that are cut. Real connections over loopback show what
//! the rules do, each test in a network namespace of its own.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::net::TcpListener;

use scenario::{ban, by_ours, shipped_actions, ticket};
use serde_json::{Value as Json, json};

/// Steps of a jail with this action, and its start.
fn jail(action: &str) -> Vec<Json> {
    let text = format!(
        "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {action}\n"
    );
    let mut steps = shipped_actions(&text);
    steps.push(json!({"do": "start"}));
    steps
}

/// Tries connections from each of these addresses; prints `ADDRESS SUCCESSES`.
fn connects(port: u16, count: usize, sources: &[&str]) -> String {
    format!(
        "/usr/bin/python3 -c '\nimport socket, sys\nfor source in sys.argv[3:]:\n  good = 0\n  \
         for _ in range(int(sys.argv[2])):\n    try:\n      socket.create_connection((\"127.0.0.1\", int(sys.argv[1])), 2, (source, 0)).close()\n      good += 1\n    \
         except OSError: pass\n  print(source, good)' {port} {count} {}",
        sources.join(" ")
    )
}

/// Listens in this namespace until the test ends.
fn listen(port: u16) -> TcpListener {
    TcpListener::bind(("127.0.0.1", port)).unwrap()
}

fn last(steps: &[Json]) -> String {
    let traces = by_ours(steps, 30);
    let log: String = traces.iter().flat_map(|trace| trace.log.clone()).collect();
    assert!(!log.contains("ERROR"), "{log}");
    traces.last().unwrap().observed.clone()
}

#[test]
fn a_ban_holds_on_its_interface_only() {
    common::in_network_namespace("a_ban_holds_on_its_interface_only", || {
        let _server = listen(2222);
        for (interface, connections) in [("lo", 0), ("eth9", 3)] {
            let mut steps = jail(&format!(
                "iptables-multiport[name=j, port=2222, interface={interface}]"
            ));
            let mut step = ban("127.0.0.2");
            step["observe"] = connects(2222, 3, &["127.0.0.2", "127.0.0.3"]).into();
            steps.push(step);
            steps.push(
                json!({"do": "stop", "tickets": [], "observe": "iptables-save | grep -c f2b"}),
            );
            let traces = by_ours(&steps, 30);
            let [.., banned, stopped] = traces.as_slice() else {
                panic!();
            };
            assert_eq!(
                banned.observed,
                format!("127.0.0.2 {connections}\n127.0.0.3 3\n")
            );
            assert_eq!(stopped.observed, "0\n");
        }
    });
}

#[test]
fn an_address_keeps_a_rate_of_connections() {
    common::in_network_namespace("an_address_keeps_a_rate_of_connections", || {
        let _server = listen(2222);
        for name in ["iptables-ratelimit", "nftables-ratelimit"] {
            let action = format!("{name}[name=j, port=\"2221:2222,2225\", rate=1/hour, burst=4]");
            let mut steps = jail(&action);
            let mut step = ban("127.0.0.2");
            step["observe"] = connects(2222, 8, &["127.0.0.2", "127.0.0.3"]).into();
            steps.push(step);
            steps.push(
                json!({"do": "unban", "id": "127.0.0.2", "ticket": ticket("127.0.0.2"),
                              "observe": connects(2222, 8, &["127.0.0.2"])}),
            );
            steps.push(json!({"do": "stop", "tickets": [],
                              "observe": "nft list ruleset | grep -cE 'f2b-j|rate-j|rate6-j'"}));
            let traces = by_ours(&steps, 30);
            let [.., banned, lifted, stopped] = traces.as_slice() else {
                panic!();
            };
            // one more where the bucket counts from zero
            let few = |good: &str| {
                ["127.0.0.2 4\n127.0.0.3 8\n", "127.0.0.2 5\n127.0.0.3 8\n"].contains(&good)
            };
            assert!(few(&banned.observed), "{name}: {traces:?}");
            assert_eq!(lifted.observed, "127.0.0.2 8\n", "{name}");
            assert_eq!(stopped.observed, "0\n", "{name}");
        }
    });
}

#[test]
fn a_service_is_limited_for_everybody() {
    common::in_network_namespace("a_service_is_limited_for_everybody", || {
        let (_smtp, _imap) = (listen(25), listen(143));
        let mut steps = jail("iptables-ratelimit-service[name=j, rate=1/hour, burst=4]");
        let mut step = ban("smtp");
        step["observe"] = format!(
            "{}; {}",
            connects(25, 4, &["127.0.0.2", "127.0.0.3"]),
            connects(143, 8, &["127.0.0.2"])
        )
        .into();
        steps.push(step);
        assert_eq!(last(&steps), "127.0.0.2 4\n127.0.0.3 0\n127.0.0.2 8\n");
    });
}

#[test]
fn connections_of_a_banned_address_are_cut() {
    common::in_network_namespace("connections_of_a_banned_address_are_cut", || {
        let server = listen(2222);
        // the kernel follows connections only when a rule asks for them
        let mut steps = jail("conntrack-cut[name=j]");
        steps.last_mut().unwrap()["observe"] =
            "iptables -A INPUT -m conntrack --ctstate NEW -j ACCEPT".into();
        let held = "conntrack -L -s 127.0.0.2 2>/dev/null | grep -c ESTABLISHED";
        let mut first = ban("192.0.2.1");
        first["before"] = "/usr/bin/python3 -c 'import socket, time; s = socket.create_connection((\"127.0.0.1\", 2222), 2, (\"127.0.0.2\", 0)); time.sleep(20)' >/dev/null 2>&1 & sleep 1".into();
        first["observe"] = held.into();
        let mut second = ban("127.0.0.2");
        second["observe"] = held.into();
        steps.extend([first, second]);
        let traces = by_ours(&steps, 30);
        let [.., first, second] = traces.as_slice() else {
            panic!();
        };
        assert_eq!(
            (first.observed.as_str(), second.observed.as_str()),
            ("1\n", "0\n"),
            "{traces:?}"
        );
        drop(server);
    });
}
