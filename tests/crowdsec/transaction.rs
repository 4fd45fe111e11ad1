//! A list of decisions is one transaction of nftables: no packet meets half of it.
//!
//! `FERROBAN_CROWDSEC_DECISIONS` says how many there are (docs/testing.md).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use ferroban::parts::firewall::netlink::{Body, Channel, Messages, attributes};

use crate::bridge::{in_kernel, target};
use crate::common::{self, eventually, home::Server};
use crate::fake::{Fake, decision, stream, usual};
use crate::place::{Place, receiving};

const HEARS: &str = "bouncerkey = k\ninterval = 1";

/// The number that grows by one with every transaction of nftables in this namespace.
fn transactions() -> u32 {
    let channel = Channel::open().unwrap();
    let mut messages = Messages::default();
    messages.begin(10 << 8 | 16, 0, 0, 0);
    messages.end();
    let mut number = None;
    let asked = channel.exchange(&messages, |answer| {
        if let Body::Message(_, bytes) = answer.body {
            let id = attributes(bytes).find(|(kind, _)| *kind == 1);
            number = id.map(|(_, value)| u32::from_be_bytes(value.try_into().unwrap()));
        }
    });
    asked.unwrap();
    number.unwrap()
}

fn targets() -> BTreeSet<String> {
    let count = std::env::var("FERROBAN_CROWDSEC_DECISIONS").ok();
    let count: usize = count.map_or(6_000, |text| text.parse().unwrap());
    (0..count).map(target).collect()
}

/// Resident memory now and at most, in KiB.
fn memory(server: &Server<'_>) -> [u64; 2] {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    })
}

/// Runs a list through a jail with this action: `begun` is called when the jail's sets are there, `done` says
/// whether all of it is in the kernel.
fn list(action: &str, begun: impl FnOnce(), done: impl Fn() -> bool) -> (Duration, [u64; 2]) {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.unwrap().success());
    let all: Vec<String> = targets()
        .iter()
        .zip(10..)
        .map(|(target, id)| decision(id, "lists", target, "4h"))
        .collect();
    // 1: all of it is told at the next look
    let turn = Arc::new(AtomicU8::new(0));
    let whose = turn.clone();
    let fake = Fake::new(move |asked| {
        if asked.path.contains("startup=true") {
            let first = [("203.0.113.1", 1), ("2001:db8::1", 2)];
            return stream(
                &first.map(|(target, id)| decision(id, "cscli", target, "4h")),
                &[],
            );
        }
        let told = whose.compare_exchange(1, 2, Ordering::SeqCst, Ordering::SeqCst);
        match asked.path.contains("startup=false") && told.is_ok() {
            true => stream(&all, &[]),
            false => usual(asked),
        }
    });
    let jail = receiving("crowdsec", &format!("backend = auto\naction = {action}"));
    let place = Place::with_jails(&fake.url(), HEARS, &[jail]);
    let server = place.start();
    place.wait_banned("crowdsec", "203.0.113.1", true);
    place.wait_banned("crowdsec", "2001:db8::1", true);
    begun();
    turn.store(1, Ordering::SeqCst);
    assert!(eventually(60, || turn.load(Ordering::SeqCst) == 2));
    let begin = Instant::now();
    while !done() {
        let late = begin.elapsed() > Duration::from_secs(120);
        assert!(!late, "{}\n{}", place.status(), place.site.read("log"));
        std::thread::sleep(Duration::from_millis(5));
    }
    let log = place.site.read("log");
    assert!(!log.contains("ERROR"), "{log}");
    (begin.elapsed(), memory(&server))
}

#[test]
fn a_list_is_one_transaction_of_nftables() {
    const TEST: &str = "transaction::a_list_is_one_transaction_of_nftables";
    common::in_network_namespace(TEST, || {
        let mut expected = targets();
        let count = expected.len();
        expected.extend(["203.0.113.1", "2001:db8::1"].map(str::to_owned));
        let before = std::cell::Cell::new(0);
        let two = || in_kernel("crowdsec").len() == 2;
        let begun = || {
            assert!(eventually(60, two));
            before.set(transactions());
        };
        // as soon as anything has changed all of it is there
        let changed = || transactions() != before.get();
        let action = "nftables-allports[name=crowdsec]";
        let (took, [now, most]) = list(action, begun, changed);
        assert_eq!(in_kernel("crowdsec"), expected);
        assert_eq!(transactions(), before.get() + 1);
        println!(
            "H: a list of {count} is in nftables by 1 transaction {:.2} s after it was heard; {now} KiB resident, {most} at most",
            took.as_secs_f64()
        );
    });
}

/// ipset has no transactions: each address counts at once.
#[test]
fn a_list_is_in_sets_of_ipset() {
    common::in_network_namespace("transaction::a_list_is_in_sets_of_ipset", || {
        let count = targets().len();
        let held = || -> usize {
            let listed = Command::new("ipset").args(["list", "-t"]).output().unwrap();
            let text = String::from_utf8_lossy(&listed.stdout).into_owned();
            let counts = text
                .lines()
                .filter_map(|line| line.strip_prefix("Number of entries: "));
            counts.map(|count| count.parse::<usize>().unwrap()).sum()
        };
        let action =
            "iptables-ipset-proto6-allports[name=crowdsec, ipsettype=hash:net, maxelem=1000000]";
        let begun = || assert!(eventually(60, || held() == 2));
        let (took, [now, most]) = list(action, begun, || held() == count + 2);
        println!(
            "H: a list of {count} is in ipset {:.2} s after it was heard; {now} KiB resident, {most} at most",
            took.as_secs_f64()
        );
    });
}
