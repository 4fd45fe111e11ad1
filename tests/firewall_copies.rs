//! Rules of iptables that are put in and taken out by netlink are those its program would have made,
//! to the last expression, and the program finds them.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use scenario::{action, by_ours, in_own_network, ticket};
use serde_json::{Value as Json, json};

/// Networks of five lengths, which are five shapes of rules.
const NETWORKS: [&str; 13] = [
    "192.0.2.1",
    "192.0.2.2",
    "198.51.100.0/24",
    "2001:db8::1",
    "192.0.2.3",
    "203.0.113.0/24",
    "10.1.2.128/25",
    "2001:db8::2",
    "10.1.3.0/25",
    "2001:db8:1::/48",
    "2001:db8:2::/48",
    "192.0.2.4",
    "2001:db8::ffff:1",
];
const SHAPES: usize = 5;

/// Both families' rules as the kernel keeps them and as the program prints them.
const RULES: &str = "nft --debug=netlink list ruleset 2>/dev/null | sed -E 's/^(ip6? filter c) .*/\\1/'; \
                     iptables-save -c | grep -v '^#'; ip6tables-save -c | grep -v '^#'";
const CHAINS: &str =
    "iptables -N c; ip6tables -N c; iptables -A c -j RETURN; ip6tables -A c -j RETURN";

/// Puts a program of this name into a directory that notes its calls and then is the real one.
fn noting(directory: &Path, name: &str) {
    let path = directory.join(name);
    let text = format!(
        "#!/bin/sh\necho \"${{0##*/}}\" >> \"${{0%/*}}/calls\"\nexec /usr/sbin/{name} \"$@\"\n"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn many(what: &str, networks: &[&str]) -> Json {
    let tickets: Vec<Json> = networks.iter().map(|id| ticket(id)).collect();
    json!({"do": what, "tickets": tickets, "observe": RULES})
}

/// Carries steps out in a fresh network by an action that runs `PROGRAM -w VERB -s ADDRESS REST`;
/// answers what was observed after each, and how often programs were called.
fn ours(insert: &str, rests: [&str; 2], steps: &[Json]) -> (Vec<String>, usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    let mut properties = Vec::new();
    for (program, condition, rest) in [
        ("iptables", "", rests[0]),
        ("ip6tables", "?family=inet6", rests[1]),
    ] {
        noting(directory.path(), program);
        noting(directory.path(), &format!("{program}-restore"));
        for (name, verb) in [("actionban", insert), ("actionunban", "-D c")] {
            properties.push((
                format!("{name}{condition}"),
                format!("{path}/{program} -w {verb} -s <ip> {rest}"),
            ));
        }
    }
    let properties: Vec<(&str, &str)> = properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut all = action("a1", &properties);
    let before = all.len();
    all.extend_from_slice(steps);
    if all[before]["before"].is_null() {
        all[before]["before"] = CHAINS.into();
    }
    let traces = in_own_network(|| by_ours(&all, 40));
    let logs: Vec<&String> = traces.iter().flat_map(|trace| &trace.log).collect();
    assert!(logs.is_empty(), "{logs:?}");
    let calls = std::fs::read_to_string(directory.path().join("calls")).unwrap_or_default();
    let observed = traces[before..].iter().map(|t| t.observed.clone());
    (observed.collect(), calls.lines().count())
}

/// The same by the programs alone, one call each.
fn by_programs(commands: &[String]) -> String {
    let script = format!("{CHAINS}\n{}\n{RULES}", commands.join("\n"));
    let output = Command::new("unshare")
        .args(["-n", "sh", "-ec", &script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn commands(verb: &str, rests: [&str; 2], networks: &[&str]) -> Vec<String> {
    let command = |network: &&str| match network.contains(':') {
        false => format!("iptables {verb} -s {network} {}", rests[0]),
        true => format!("ip6tables {verb} -s {network} {}", rests[1]),
    };
    networks.iter().map(command).collect()
}

#[test]
fn copies_are_what_the_program_makes() {
    let verdicts = [
        ["-j DROP"; 2],
        ["-j RETURN"; 2],
        ["-j REJECT"; 2],
        [
            "-j REJECT --reject-with icmp-host-prohibited",
            "-j REJECT --reject-with icmp6-adm-prohibited",
        ],
    ];
    for rests in verdicts {
        for insert in ["-I c 1", "-I c", "-A c"] {
            let lifted: Vec<&str> = NETWORKS.into_iter().step_by(2).collect();
            let steps = [many("bans", &NETWORKS), many("unbans", &lifted)];
            let (observed, calls) = ours(insert, rests, &steps);
            let mut program = commands(insert, rests, &NETWORKS);
            assert_eq!(observed[0], by_programs(&program), "{insert} {rests:?}");
            assert_eq!(observed[0].matches("-s ").count(), NETWORKS.len());
            program.extend(commands("-D c", rests, &lifted));
            assert_eq!(observed[1], by_programs(&program), "-D {rests:?}");
            assert_eq!(calls, SHAPES, "{insert} {rests:?}");
        }
    }
}

#[test]
fn rules_of_other_kinds_go_through_the_program() {
    let rests = ["-p tcp -j REJECT --reject-with tcp-reset"; 2];
    let (observed, calls) = ours("-I c 1", rests, &[many("bans", &NETWORKS)]);
    assert_eq!(
        observed[0],
        by_programs(&commands("-I c 1", rests, &NETWORKS))
    );
    assert!(calls > 0);
}

#[test]
fn the_program_takes_copies_out() {
    let rests = ["-j REJECT"; 2];
    let mut after = many("bans", &NETWORKS[..1]);
    let by_hand: Vec<String> = commands("-C c", rests, &NETWORKS[1..])
        .into_iter()
        .chain(commands("-D c", rests, &NETWORKS[1..]))
        .collect();
    after["before"] = format!(
        "set -e; iptables -D c -s 192.0.2.1 -j REJECT; {}",
        by_hand.join("; ")
    )
    .into();
    let (observed, _) = ours("-I c 1", rests, &[many("bans", &NETWORKS), after]);
    assert_eq!(observed[1].matches("-s ").count(), 1, "{}", observed[1]);
    assert_eq!(
        observed[1],
        by_programs(&commands("-I c 1", rests, &NETWORKS[..1]))
    );
}

#[test]
fn the_first_rule_like_it_goes_and_others_stay() {
    let rests = ["-j DROP"; 2];
    let twice = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.9"];
    let mut wave = many("unbans", &["192.0.2.1", "192.0.2.2"]);
    let foreign = "iptables -I c 2 -s 192.0.2.2 -p tcp -j DROP; iptables -I c 1 -s 192.0.2.1 -j ACCEPT; \
                   iptables -A c -s 192.0.2.2 -m comment --comment x -j DROP";
    wave["before"] = foreign.into();
    let (observed, _) = ours("-I c 1", rests, &[many("bans", &twice), wave]);
    let mut program = commands("-I c 1", rests, &twice);
    program.push(foreign.to_owned());
    program.extend(commands("-D c", rests, &["192.0.2.1", "192.0.2.2"]));
    assert_eq!(observed[1], by_programs(&program));
    assert_eq!(observed[1].matches("-A c -s ").count(), 5);
}
