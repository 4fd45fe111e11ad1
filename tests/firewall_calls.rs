//! How many programs a change of the firewall takes, counted by a stand-in that notes each call.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use scenario::{action, ban, by_ours, in_own_network, ticket};
use serde_json::{Value as Json, json};

/// Notes who called it, with which arguments and (restoring) with how many lines.
const STAND_IN: &str = "#!/bin/sh\n\
    cd \"${0%/*}\" || exit 1\n\
    case $0 in *restore) lines=\" $(grep -c '^-')\";; esac\n\
    echo \"$(cat /proc/$PPID/comm) ${0##*/} $*$lines\" >> calls\n";

fn program(directory: &Path, name: &str) {
    let path = directory.join(name);
    std::fs::write(&path, STAND_IN).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn calls(steps: &dyn Fn(&str) -> Vec<Json>, programs: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    for name in programs {
        program(directory.path(), name);
    }
    let path = directory.path().display().to_string();
    let mut all = action(
        "a1",
        &[
            (
                "actionban",
                &format!("{path}/iptables -w -I f2b-j 1 -s <ip> -j DROP"),
            ),
            (
                "actionunban",
                &format!("{path}/iptables -w -D f2b-j -s <ip> -j DROP"),
            ),
        ],
    );
    all.extend(steps(&path));
    by_ours(&all, 40);
    let text = std::fs::read_to_string(directory.path().join("calls")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_single_ban_is_one_program_and_no_shell() {
    let calls = calls(
        &|_| vec![ban("192.0.2.1")],
        &["iptables", "iptables-restore"],
    );
    let [call] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    let (parent, rest) = call.split_once(' ').unwrap();
    assert_ne!(parent, "sh");
    assert_eq!(rest, "iptables -w -I f2b-j 1 -s 192.0.2.1 -j DROP");
}

fn many(what: &str, count: usize) -> Json {
    let tickets: Vec<Json> = (0..count)
        .map(|n| ticket(&format!("10.0.{}.{}", n / 256, n % 256)))
        .collect();
    json!({"do": what, "tickets": tickets})
}

#[test]
fn waiting_bans_are_one_program() {
    let steps = |_: &str| vec![many("bans", 300), many("unbans", 300)];
    let calls = calls(&steps, &["iptables", "iptables-restore"]);
    let shown: Vec<&str> = calls
        .iter()
        .map(|call| call.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(
        shown,
        [
            "iptables-restore --noflush -w 300",
            "iptables-restore --noflush -w 200",
            "iptables-restore --noflush -w 100"
        ]
    );
}

#[test]
fn news_of_what_is_banned_does_not_part_bans() {
    let mut bans = many("bans", 100);
    let tickets = bans["tickets"].as_array_mut().unwrap();
    for at in (1..=100).rev() {
        let mut again = tickets[at - 1].clone();
        again["again"] = true.into();
        tickets.insert(at, again);
    }
    let calls = calls(&|_| vec![bans.clone()], &["iptables", "iptables-restore"]);
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(calls[0].ends_with(" 100"), "{calls:?}");
}

#[test]
fn without_restore_each_is_one_program() {
    let calls = calls(&|_| vec![many("bans", 5)], &["iptables"]);
    assert_eq!(calls.len(), 5);
}

/// Bans and unbans by a set whose program only notes that it was called; what the real one made of
/// the set before, and what is in it after each step.
fn members(
    ban: &str,
    unban: &str,
    before: &str,
    list: &str,
    steps: Vec<Json>,
) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    for name in ["ipset", "nft"] {
        program(directory.path(), name);
    }
    let path = directory.path().display().to_string();
    let command = |text: &str| format!("{path}/{text}");
    let mut all = action(
        "a1",
        &[
            ("actionban", &command(ban)),
            ("actionunban", &command(unban)),
        ],
    );
    all.extend(steps.into_iter().map(|mut step| {
        step["observe"] = list.into();
        step
    }));
    all[2]["before"] = before.into();
    let traces = in_own_network(|| by_ours(&all, 40));
    let calls = std::fs::read_to_string(directory.path().join("calls")).unwrap_or_default();
    let logs: Vec<&String> = traces.iter().flat_map(|trace| &trace.log).collect();
    assert!(logs.is_empty(), "{logs:?}");
    (
        traces[2..]
            .iter()
            .map(|trace| trace.observed.clone())
            .collect(),
        calls.lines().map(str::to_owned).collect(),
    )
}

const SETS: [(&str, &str, &str, &str); 3] = [
    (
        "ipset -exist add s <ip> timeout 0",
        "ipset -exist del s <ip>",
        "ipset create s hash:ip timeout 0",
        "ipset save s | grep '^add'",
    ),
    (
        "nft add element inet t s \\{ <ip> \\}",
        "nft delete element inet t s \\{ <ip> \\}",
        "nft 'add table inet t; add set inet t s { type ipv4_addr; flags interval; }'",
        "nft list set inet t s | grep -oE '[0-9.]{7,}'",
    ),
    (
        "nft add element inet t s { <ip> }",
        "nft delete element inet t s { <ip> }",
        "nft 'add table inet t; add set inet t s { type ipv4_addr; }'",
        "nft list set inet t s | grep -oE '[0-9.]{7,}'",
    ),
];

#[test]
fn members_of_sets_need_no_program() {
    for (ban, unban, before, list) in SETS {
        let steps = vec![
            many("bans", 1500),
            scenario::ban("192.0.2.1"),
            many("unbans", 700),
        ];
        let (held, calls) = members(ban, unban, before, list, steps);
        let counts: Vec<usize> = held.iter().map(|list| list.lines().count()).collect();
        assert_eq!(counts, [1500, 1501, 801], "{ban}");
        assert!(
            held[2].contains("192.0.2.1") && !held[2].contains("10.0.0.1\n"),
            "{ban}"
        );
        assert_eq!(calls, Vec::<String>::new(), "{ban}");
    }
}

#[test]
fn one_member_that_the_kernel_refuses_is_left_to_the_program() {
    for (ban, unban, before, list) in SETS {
        let unban = unban.replace("-exist ", "");
        // one of those to be lifted was never there
        let mut wave = many("unbans", 10);
        wave["tickets"]
            .as_array_mut()
            .unwrap()
            .insert(4, ticket("192.0.2.9"));
        let (held, calls) = members(ban, &unban, before, list, vec![many("bans", 20), wave]);
        assert_eq!(held[1].lines().count(), 10, "{ban}");
        let [call] = calls.as_slice() else {
            panic!("{ban}: {calls:?}");
        };
        assert!(call.contains("192.0.2.9"), "{call}");
    }
}
