//! What each tag of filters catches, by `fail2ban-regex`: the original's and ours. `tests/names.rs` counts
//! on the names.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::Command;

/// What both programs print of the failures in a log by a filter with these options.
fn caught(output: &str, log: &[&str], filter: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let log: String = log
        .iter()
        .map(|line| format!("2026-11-29 10:00:00 {line}\n"))
        .collect();
    let (log_file, filter_file) = (
        directory.path().join("log"),
        directory.path().join("filter.conf"),
    );
    fs::write(&log_file, log).unwrap();
    fs::write(&filter_file, format!("[Definition]\n{filter}\n")).unwrap();
    let print = |mut program: Command| {
        let program = program.args(["--usedns", "raw", "-o", output]);
        let done = program.arg(&log_file).arg(&filter_file).output().unwrap();
        let text = [done.stdout, done.stderr].concat();
        String::from_utf8(text).unwrap()
    };
    let theirs = print(common::original("1.1.1", "fail2ban-regex"));
    let ours = print(common::ours("fail2ban-regex"));
    assert_eq!(ours, theirs);
    ours.lines().map(str::to_owned).collect()
}

/// The ids that a failregex catches, one line each.
fn ids(log: &[&str], failregex: &str) -> Vec<String> {
    caught("id", log, &format!("failregex = {failregex}"))
}

/// Both forms of a tag catch the same.
fn both_forms(name: &str, log: &[&str], ids_caught: &[&str]) {
    for tag in [format!("<{name}>"), format!("<F-{name}/>")] {
        assert_eq!(ids(log, &format!("^ from {tag}$")), ids_caught, "{tag}");
    }
}

/// One line for each kind of id.
const KINDS: [&str; 5] = [
    "from 192.0.2.1",
    "from 2001:db8::1",
    "from [2001:db8::2]",
    "from some.example",
    "from who?",
];

#[test]
fn tag_host_catches_addresses_and_names() {
    assert_eq!(
        ids(&KINDS, "^ from <HOST>$"),
        ["192.0.2.1", "2001:db8::1", "2001:db8::2", "some.example"]
    );
}

#[test]
fn tag_addr_catches_addresses_of_both_families() {
    both_forms("ADDR", &KINDS, &["192.0.2.1", "2001:db8::1", "2001:db8::2"]);
}

#[test]
fn tag_ip4_catches_addresses_of_ipv4() {
    both_forms("IP4", &KINDS, &["192.0.2.1"]);
}

#[test]
fn tag_ip6_catches_addresses_of_ipv6() {
    both_forms("IP6", &KINDS, &["2001:db8::1"]);
}

#[test]
fn tag_dns_catches_names() {
    let found = ids(&KINDS, "^ from <DNS>$");
    assert!(found.contains(&"some.example".to_owned()), "{found:?}");
    both_forms("DNS", &["from some.example"], &["some.example"]);
}

#[test]
fn tag_cidr_beside_an_address_makes_a_network() {
    let log = ["from 192.0.2.0/24", "from 192.0.2.0/x"];
    for tag in ["<CIDR>", "<F-CIDR/>"] {
        let found = ids(&log, &format!("^ from <ADDR>/{tag}$"));
        assert_eq!(found, ["192.0.2.0/24"]);
    }
}

#[test]
fn tag_subnet_catches_addresses_and_networks() {
    let log = ["from 192.0.2.1", "from 192.0.2.0/24", "from some.example"];
    both_forms("SUBNET", &log, &["192.0.2.1", "192.0.2.0/24"]);
}

#[test]
fn tag_f_id_is_the_id_in_place_of_an_address() {
    let log = ["user bob-7 from 192.0.2.1"];
    assert_eq!(ids(&log, "^ user <F-ID/> from <ADDR>$"), ["bob-7"]);
    let part = "^ user <F-ID>\\w+</F-ID>-\\d from <ADDR>$";
    assert_eq!(ids(&log, part), ["bob"]);
}

#[test]
fn tag_f_port_catches_a_word() {
    let filter = "failregex = ^ from <ADDR> port <F-PORT/>$";
    let found = caught("<F-PORT>", &["from 192.0.2.1 port 22"], filter);
    assert_eq!(found, ["22"]);
}

#[test]
fn tag_f_name_catches_a_field_of_that_name() {
    let filter = "failregex = ^ user <F-USER>\\w+</F-USER> from <ADDR>$";
    let found = caught("<F-USER> <ip>", &["user bob from 192.0.2.1"], filter);
    assert_eq!(found, ["bob 192.0.2.1"]);
}

#[test]
fn tag_f_alt_name_serves_where_the_name_has_nothing() {
    let filter = "failregex = ^ (?:user <F-USER>\\w+</F-USER>|as <F-ALT_USER>\\w+</F-ALT_USER>) from <ADDR>$";
    let log = ["user bob from 192.0.2.1", "as alice from 192.0.2.2"];
    assert_eq!(caught("<F-USER>", &log, filter), ["bob", "alice"]);
}

#[test]
fn tag_f_tuple_name_adds_a_part_to_the_name() {
    let filter = "failregex = ^ user <F-USER>\\w+</F-USER>@<F-TUPLE_USER_1>\\w+</F-TUPLE_USER_1> from <ADDR>$";
    let found = caught("<F-USER>", &["user bob@home from 192.0.2.1"], filter);
    assert_eq!(found, ["('bob', 'home')"]);
}

#[test]
fn tag_f_content_is_what_the_failregex_sees() {
    let filter = "prefregex = ^ app: <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^from <ADDR>$";
    let log = [
        "app: from 192.0.2.1",
        "other: from 192.0.2.2",
        "from 192.0.2.3",
    ];
    assert_eq!(caught("id", &log, filter), ["192.0.2.1"]);
}

/// A filter whose lines belong together by a number in brackets.
const SESSION: &str = "prefregex = ^ app\\[<F-MLFID>\\d+</F-MLFID>\\]: <F-CONTENT>.+</F-CONTENT>$\n\
                       failregex = ^<F-NOFAIL>connect</F-NOFAIL> from <ADDR>$\n            \
                       ^wrong password$\n            \
                       ^<F-NOFAIL><F-MLFGAINED>welcome</F-MLFGAINED></F-NOFAIL>$\n            \
                       ^<F-NOFAIL><F-MLFFORGET>bye</F-MLFFORGET></F-NOFAIL>$";

#[test]
fn tag_f_mlfid_joins_the_lines_of_a_session() {
    let log = [
        "app[1]: connect from 192.0.2.1",
        "app[2]: connect from 192.0.2.2",
        "app[2]: wrong password",
    ];
    assert_eq!(caught("id", &log, SESSION), ["192.0.2.2"]);
}

#[test]
fn tag_f_nofail_line_is_no_failure() {
    let log = ["app[1]: connect from 192.0.2.1"];
    assert_eq!(caught("id", &log, SESSION), [""; 0]);
    let counted = SESSION.replace("<F-NOFAIL>connect</F-NOFAIL>", "connect");
    assert_eq!(caught("id", &log, &counted), ["192.0.2.1"]);
}

#[test]
fn tag_f_mlfforget_ends_the_session() {
    let log = [
        "app[1]: connect from 192.0.2.1",
        "app[1]: bye",
        "app[1]: wrong password",
        "app[2]: connect from 192.0.2.2",
        "app[2]: wrong password",
    ];
    assert_eq!(caught("id", &log, SESSION), ["192.0.2.2"]);
}

#[test]
fn tag_f_mlfgained_session_that_logs_in_is_forgiven() {
    let log = [
        "app[1]: wrong password",
        "app[1]: welcome",
        "app[1]: connect from 192.0.2.1",
        "app[2]: wrong password",
        "app[2]: connect from 192.0.2.2",
    ];
    assert_eq!(caught("id", &log, SESSION), ["192.0.2.2"]);
}

#[test]
fn tag_skiplines_skips_lines_of_the_buffer() {
    let filter = "maxlines = 3\nfailregex = ^ begin of <F-ID>\\w+</F-ID>$<SKIPLINES>^ denied$";
    let log = ["begin of a", "nothing", "denied"];
    assert_eq!(caught("id", &log, filter), ["a"]);
    let two = filter.replace("= 3", "= 2");
    assert_eq!(caught("id", &log, &two), [""; 0]);
}
