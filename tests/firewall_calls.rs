//! How many programs a change of the firewall takes, counted by a stand-in that notes each call.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use scenario::{action, ban, by_ours, ticket};
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
fn without_restore_each_is_one_program() {
    let calls = calls(&|_| vec![many("bans", 5)], &["iptables"]);
    assert_eq!(calls.len(), 5);
}
