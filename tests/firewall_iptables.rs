//! The stock iptables actions leave the same rules, step by step, whether the original or we carry
//! them out. Each runs in a network namespace of its own; the host's rules are never touched.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use scenario::{ban, by_original, by_ours, in_own_network, stock_actions, ticket};
use serde_json::{Value as Json, json};

/// Rules of both families without comments and counters.
const RULES: &str = "iptables-save 2>&1 | grep -v '^#' | sed 's/ \\[[0-9:]*\\]$//'; \
                     ip6tables-save 2>&1 | grep -v '^#' | sed 's/ \\[[0-9:]*\\]$//'";

fn observed(mut step: Json) -> Json {
    step["observe"] = RULES.into();
    step
}

/// Both carry out the steps; after each the rules must be equal.
fn same_rules(steps: &[Json]) {
    let original = by_original(steps, 40, &["unshare", "-n"]);
    let ours = in_own_network(|| by_ours(steps, 40));
    assert_eq!(original.len(), ours.len());
    for ((step, original), ours) in steps.iter().zip(&original).zip(&ours) {
        assert_eq!(original.observed, ours.observed, "after {step}");
    }
    let seen: String = ours.iter().map(|trace| trace.observed.as_str()).collect();
    assert!(
        seen.contains("-A f2b-"),
        "the scenario made no rules: {seen}"
    );
}

fn unban(id: &str) -> Json {
    json!({"do": "unban", "id": id, "ticket": ticket(id)})
}

fn whole_life() -> Vec<Json> {
    let all = [
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8::1",
        "198.51.100.0/24",
        "2001:db8:1::/48",
    ];
    let mut steps = vec![json!({"do": "start"})];
    steps.extend(all.map(ban));
    steps.push(unban("192.0.2.2"));
    steps.push(ban("192.0.2.3"));
    steps.push(unban("2001:db8:1::/48"));
    steps.push(json!({"do": "flush", "tickets": all.map(ticket)}));
    steps.push(ban("192.0.2.9"));
    steps.push(json!({"do": "stop", "tickets": [ticket("192.0.2.9")]}));
    steps.into_iter().map(observed).collect()
}

fn with_action(action: &str, steps: Vec<Json>) -> Vec<Json> {
    let jail = format!(
        "[{}]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {action}\n",
        scenario::JAIL
    );
    stock_actions(&jail, &[]).into_iter().chain(steps).collect()
}

#[test]
fn multiport() {
    same_rules(&with_action(
        "iptables-multiport[name=j, port=\"ssh,80\", protocol=tcp, chain=INPUT]",
        whole_life(),
    ));
}

#[test]
fn one_port_with_chains_and_protocols() {
    same_rules(&with_action(
        "iptables[name=j, port=ssh, protocol=\"tcp,udp\", chain=\"INPUT,FORWARD\"]",
        whole_life(),
    ));
}

#[test]
fn all_ports_with_a_target_of_its_own() {
    same_rules(&with_action(
        "iptables-allports[name=j, blocktype=DROP, blocktype?family=inet6=DROP]",
        whole_life(),
    ));
}

#[test]
fn lost_rules_are_put_back() {
    let mut steps = vec![json!({"do": "start"}), ban("192.0.2.1"), ban("192.0.2.2")];
    let mut after_loss = ban("192.0.2.3");
    after_loss["before"] = "iptables -F INPUT; iptables -F f2b-j; iptables -X f2b-j".into();
    steps.push(after_loss);
    steps.push(unban("192.0.2.1"));
    steps.push(unban("192.0.2.3"));
    steps.push(json!({"do": "stop", "tickets": []}));
    same_rules(&with_action(
        "iptables-multiport[name=j, port=ssh, protocol=tcp, chain=INPUT]",
        steps.into_iter().map(observed).collect(),
    ));
}

#[test]
fn many_at_once_leave_what_one_by_one_leaves() {
    let ids: Vec<String> = (1..=60)
        .map(|n| match n % 3 {
            0 => format!("2001:db8::{n:x}"),
            _ => format!("203.0.113.{n}"),
        })
        .collect();
    let tickets: Vec<Json> = ids.iter().map(|id| ticket(id)).collect();
    let odd: Vec<Json> = tickets.iter().step_by(2).cloned().collect();
    let action = "iptables-multiport[name=j, port=ssh, protocol=tcp, chain=INPUT]";

    let mut singly: Vec<Json> = ids.iter().map(|id| ban(id)).collect();
    singly.extend(ids.iter().step_by(2).map(|id| unban(id)));
    let last = singly.len() - 1;
    singly[last] = observed(singly[last].clone());
    let original = by_original(&with_action(action, singly), 40, &["unshare", "-n"]);

    let together = vec![
        json!({"do": "bans", "tickets": tickets}),
        observed(json!({"do": "unbans", "tickets": odd})),
    ];
    let steps = with_action(action, together);
    let ours = in_own_network(|| by_ours(&steps, 40));
    let rules = &ours.last().unwrap().observed;
    assert_eq!(rules, &original.last().unwrap().observed);
    assert_eq!(rules.matches("-A f2b-j -s ").count(), 30);
    assert!(ours.iter().all(|trace| trace.log.is_empty()), "{ours:?}");
}

#[test]
fn one_change_that_fails_does_not_take_the_others_with_it() {
    let action = "iptables-multiport[name=j, port=ssh, protocol=tcp, chain=INPUT]";
    let three = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(ticket);
    let mut unbans = observed(json!({"do": "unbans", "tickets": three}));
    // the rule in the middle is gone, so the transaction fails as a whole
    unbans["before"] =
        "iptables -D f2b-j -s 192.0.2.2 -j REJECT --reject-with icmp-port-unreachable".into();
    let steps = with_action(
        action,
        vec![json!({"do": "bans", "tickets": three}), unbans],
    );
    let ours = in_own_network(|| by_ours(&steps, 40));
    let last = ours.last().unwrap();
    assert!(!last.observed.contains("-s 192.0.2."), "{}", last.observed);
    let failures: Vec<&String> = last
        .log
        .iter()
        .filter(|line| line.contains("Failed to execute unban"))
        .collect();
    assert_eq!(failures.len(), 1, "{:?}", last.log);
    assert!(failures[0].contains("Error unbanning 192.0.2.2"));
}

#[test]
fn a_wave_of_unbans_leaves_what_one_by_one_leaves() {
    wave_of_unbans("iptables", RULES);
}

#[test]
fn the_old_iptables_gets_its_chain_written_anew() {
    wave_of_unbans(
        "iptables-legacy",
        &RULES.replace("tables-save", "tables-legacy-save"),
    );
}

fn wave_of_unbans(program: &str, rules: &str) {
    let action = &format!(
        "iptables-multiport[name=j, port=ssh, protocol=tcp, chain=INPUT, iptables=\"{program} <lockingopt>\"]"
    );
    let ids: Vec<String> = (1..=150).map(|n| format!("203.0.113.{n}")).collect();
    let lifted: Vec<&String> = ids.iter().filter(|id| !id.ends_with('7')).collect();
    // somebody else's rules in the chain, and one that only looks like a ban
    let foreign =
        &"iptables -I f2b-j 3 -p tcp --dport 99 -m comment --comment 'not \"ours\"' -j ACCEPT; \
                   iptables -A f2b-j -s 203.0.113.5 -p tcp -j REJECT"
            .replace("iptables", program);
    let mut singly: Vec<Json> = ids.iter().map(|id| ban(id)).collect();
    singly.extend(lifted.iter().map(|id| unban(id)));
    singly[ids.len()]["before"] = foreign.as_str().into();
    let last = singly.len() - 1;
    singly[last]["observe"] = rules.into();
    let original = by_original(&with_action(action, singly), 40, &["unshare", "-n"]);

    let tickets = |ids: Vec<&String>| -> Vec<Json> { ids.iter().map(|id| ticket(id)).collect() };
    let mut wave = json!({"do": "unbans", "tickets": tickets(lifted)});
    wave["observe"] = rules.into();
    wave["before"] = foreign.as_str().into();
    let together = vec![
        json!({"do": "bans", "tickets": tickets(ids.iter().collect())}),
        wave,
    ];
    let steps = with_action(action, together);
    let ours = in_own_network(|| by_ours(&steps, 40));
    let rules = &ours.last().unwrap().observed;
    assert_eq!(rules, &original.last().unwrap().observed);
    assert!(rules.contains("not \\\"ours\\\""), "{rules}");
    assert_eq!(rules.matches("-A f2b-j -s ").count(), 15 + 1);
    assert!(ours.iter().all(|trace| trace.log.is_empty()), "{ours:?}");
}
