//! Shell actions run, fail, are repaired and log exactly as the original's: the same script and
//! arguments, the same lines in the same order.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use fancy_regex::Regex;
use scenario::{action, ban, by_original, by_ours, ticket};
use serde_json::{Value as Json, json};

/// What differs by nature or is logged by the jail, not by its actions.
fn comparable(lines: &[String]) -> Vec<String> {
    let number = Regex::new("^(fail2ban.utils [^ ]+ )[0-9a-f]+ -- ").unwrap();
    // values nobody asked for: the original prints the function that would answer
    let unasked = Regex::new(
        r#"'(fid|raw-ticket)': (<function [^>]*<lambda> at 0x[0-9a-f]+>|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"#,
    )
    .unwrap();
    let jail = Regex::new(
        r"(?x)^fail2ban\.actions\ (
            (NOTICE|WARNING|DEBUG)\ \[j\]\ ((Restore\ )?Ban|Unban)\ .*
          | [A-Z]+\ \[j\]\ .*\ already\ banned
          | DEBUG\ Banned\ \d.*
          | DEBUG\ \ \ Unbanned\ \d.*
        )$
        # the original's second signal finds nobody left now and then
        | --\ failed\ with\ \[Errno\ 3\]",
    )
    .unwrap();
    lines
        .iter()
        .filter(|line| !jail.is_match(line).unwrap())
        .map(|line| {
            let line = number.replace(line, "${1}ID -- ");
            unasked.replace_all(&line, "'$1': VALUE").into_owned()
        })
        .collect()
}

/// Both carry out the steps; logs and observations must be equal after each. Where several actions
/// lift bans `side_by_side` each does so in its order, the original ticket by ticket.
fn same(steps: &[Json], level: u8) {
    let original = by_original(steps, level, &["/usr/bin/env"]);
    let ours = by_ours(steps, level);
    assert_eq!(original.len(), ours.len());
    for ((step, original), ours) in steps.iter().zip(&original).zip(&ours) {
        let (mut expected, mut found) = (comparable(&original.log), comparable(&ours.log));
        if step["side_by_side"] == true {
            expected.sort();
            found.sort();
        }
        assert_eq!(
            expected, found,
            "\nafter {step}\nexpected {expected:#?}\nfound {found:#?}"
        );
        assert_eq!(original.observed, ours.observed, "after {step}");
    }
    let logged: usize = ours.iter().map(|trace| trace.log.len()).sum();
    assert!(logged > 3, "the scenario logged nothing");
}

fn unban(id: &str) -> Json {
    json!({"do": "unban", "id": id, "ticket": ticket(id)})
}

/// The level at which the original logs every command it runs.
const COMMANDS: u8 = 9;

#[test]
fn nasty_values_reach_the_shell_unharmed() {
    let nasty = [
        "$(id)",
        "`id`",
        "a'b",
        "a\"b",
        "'; exit 3; '",
        "a b  c",
        "\\",
        "\\n",
        "a\nb",
        "a\rb",
        "-n",
        "",
        "*",
        "~root",
        "{a,b}",
        "!x",
        "#c",
        "<ip>",
        "<F-USER>",
        "<br>",
        "ünï",
        "\u{2028}x",
        "tab\there",
        "%s%n",
        "$f2bV_x",
        "a\u{7f}b",
    ];
    let mut steps = action(
        "a1",
        &[
            (
                "actionban",
                "printf '[%s]' \"<F-USER>\" <ip> \"<matches>\" \"<F-OTHER-ONE>\" '<F-USER>' <F-NONE>; echo \"<raw-ticket>\"",
            ),
            (
                "actionunban",
                "printf '%s|' <F-USER> \"<F-MATCHES>\" <F-FAILURES>",
            ),
        ],
    );
    for (n, value) in nasty.iter().enumerate() {
        let id = format!("192.0.2.{}", n + 1);
        let mut ticket = ticket(&id);
        ticket["fields"] = json!({"user": value, "other-one": value});
        ticket["matches"] = json!([value, ["x", value, "z"]]);
        steps.push(json!({"do": "ban", "ticket": ticket}));
        steps.push(json!({"do": "unban", "id": id, "ticket": ticket}));
    }
    same(&steps, COMMANDS);
}

#[test]
fn all_values_of_a_ticket() {
    let mut steps = action(
        "a1",
        &[(
            "actionban",
            "echo <ip> <fid> <family> <ip-rev> <failures> <time> <bantime> <bancount> <restored> <ipfailures> \
             \"<ipmatches>\" \"<ipjailmatches>\" <ipjailfailures> <jail.name> <jail.found> <jail.found_total> <unknown> \
             <F-ID> <fq-hostname> <sh-hostname><sp><sp>|<br>",
        )],
    );
    for id in [
        "192.0.2.1",
        "2001:db8::1",
        "10.0.0.0/8",
        "2001:db8::/32",
        "a name",
        "::ffff:192.0.2.7",
    ] {
        steps.push(ban(id));
    }
    let mut restored = ticket("192.0.2.77");
    restored["time"] = json!(restored["time"].as_f64().unwrap() as i64);
    restored["restored"] = json!(true);
    steps.push(json!({"do": "ban", "ticket": restored}));
    same(&steps, COMMANDS);
}

#[test]
fn failing_commands_are_tried_twice_and_logged() {
    for command in [
        "exit 3",
        "exit 127",
        "no-such-program-here <ip>",
        "kill -TERM $$",
        "exit 143",
        "exit 255",
        "echo out; echo err >&2; printf 'x\\ry\\r\\nz'; exit 1",
    ] {
        let mut steps = action("a1", &[("actionban", command), ("actionunban", command)]);
        steps.push(json!({"do": "start"}));
        steps.extend([ban("192.0.2.1"), unban("192.0.2.1")]);
        steps.push(json!({"do": "stop", "tickets": []}));
        same(&steps, 10);
    }
}

#[test]
fn a_command_that_runs_too_long_is_killed() {
    let mut steps = action(
        "a1",
        &[
            ("actionban", "echo begun; sleep 30; echo done"),
            ("timeout", "1"),
        ],
    );
    steps.push(ban("192.0.2.1"));
    same(&steps, 10);
}

#[test]
fn checks_repairs_and_restarts() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().display().to_string();
    let with = |text: &str| text.replace("DIR", &path);
    let commands = [
        ("actionstart", "echo start <family>; touch DIR/env"),
        ("actionstop", "echo stop; rm -f DIR/env"),
        ("actioncheck", "echo check; [ -e DIR/env ]"),
        ("actionban", "echo ban <ip>; [ -e DIR/env ]"),
        ("actionunban", "echo unban <ip>; [ -e DIR/env ]"),
        ("actionreban", "echo reban <ip>; [ -e DIR/env ]"),
        ("actionflush", "echo flush; [ -e DIR/env ]"),
    ];
    let repair = ("actionrepair", "echo repair; touch DIR/env");
    let on_unban = ("actionrepair_on_unban", "1");
    let hopeless = ("actionstart", "echo start; false");
    let conditional = ("x?family=inet6", "y");
    let lose = format!("rm -f {path}/env");
    for extra in [
        vec![],
        vec![repair],
        vec![repair, on_unban],
        vec![hopeless],
        vec![conditional],
        vec![on_unban],
    ] {
        let properties: Vec<(&str, String)> = commands
            .iter()
            .chain(&extra)
            .map(|(name, text)| (*name, with(text)))
            .collect();
        let properties: Vec<(&str, &str)> = properties
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let mut steps = action("a1", &properties);
        steps.push(json!({"do": "start"}));
        steps.push(ban("192.0.2.1"));
        let mut lost = ban("192.0.2.2");
        lost["before"] = lose.clone().into();
        steps.push(lost);
        steps.push(unban("192.0.2.1"));
        let mut lost = unban("192.0.2.2");
        lost["before"] = lose.clone().into();
        steps.push(lost);
        steps.push(ban("2001:db8::3"));
        let mut check = json!({"do": "check"});
        check["before"] = lose.clone().into();
        steps.push(check);
        steps.push(ban("192.0.2.4"));
        let mut flush =
            json!({"do": "flush", "tickets": [ticket("2001:db8::3"), ticket("192.0.2.4")]});
        flush["before"] = lose.clone().into();
        steps.push(flush);
        let mut stop = json!({"do": "stop", "tickets": []});
        stop["observe"] = format!("ls {path}; rm -f {path}/*").into();
        steps.push(stop);
        same(&steps, 10);
    }
}

#[test]
fn ids_banned_before_a_repair_get_their_rules_back() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().display().to_string();
    let start = format!("touch {path}/env");
    let working = format!("[ -e {path}/env ]");
    let reban = format!("echo again <ip>; {working}");
    let mut steps = action(
        "quiet",
        &[
            ("actionban", "echo quiet <ip>"),
            ("actionreban", "echo quiet again"),
        ],
    );
    steps.extend(action(
        "a1",
        &[
            ("actionstart", &start),
            ("actioncheck", &working),
            ("actionban", &working),
            ("actionreban", &reban),
        ],
    ));
    steps.push(json!({"do": "start"}));
    let mut old = ticket("192.0.2.1");
    steps.push(json!({"do": "ban", "ticket": old}));
    steps.push(json!({"do": "again", "ticket": old}));
    let mut lost = ban("192.0.2.2");
    lost["before"] = format!("rm {path}/env").into();
    steps.push(lost);
    old["time"] = json!(old["time"].as_f64().unwrap() + 1.0);
    steps.push(json!({"do": "again", "ticket": old}));
    steps.push(json!({"do": "again", "ticket": old}));
    same(&steps, 10);
}

#[test]
fn families_start_and_stop_as_they_are_needed() {
    let variants: [&[(&str, &str)]; 4] = [
        &[("w?family=inet6", "six"), ("w", "four")],
        &[("w", "same")],
        &[
            ("w?family=inet6", "six"),
            ("w", "four"),
            ("actionstart_on_demand", ""),
        ],
        &[
            ("w?family=inet6", "six"),
            ("w", "four"),
            ("families", "inet6 inet4"),
        ],
    ];
    for extra in variants {
        let mut properties = vec![
            ("actionstart", "echo start <w> '<family>' <ip>. <F-USER>."),
            ("actionstop", "echo stop <w>"),
            ("actionflush", "echo flush <w>"),
            ("actionban", "echo ban <w> <ip>"),
            ("actionunban", "echo unban <w> <ip>"),
        ];
        properties.extend(extra);
        let mut steps = action("a1", &properties);
        steps.push(json!({"do": "start"}));
        steps.extend([
            ban("192.0.2.1"),
            ban("192.0.2.2"),
            ban("2001:db8::1"),
            ban("name"),
        ]);
        steps.push(unban("2001:db8::1"));
        let left = ["192.0.2.1", "192.0.2.2", "name"].map(ticket);
        steps.push(json!({"do": "flush", "tickets": left}));
        steps.push(ban("192.0.2.5"));
        steps.push(json!({"do": "stop", "tickets": [ticket("192.0.2.5")]}));
        same(&steps, COMMANDS);
    }
}

#[test]
fn several_actions_keep_their_order_and_one_failing_stops_none() {
    let mut steps = action(
        "first",
        &[
            ("actionban", "echo first; exit 1"),
            ("actionunban", "echo first"),
        ],
    );
    steps.extend(action(
        "second",
        &[
            ("actionban", "echo second"),
            ("norestored", "1"),
            ("actionprolong", "echo longer <bantime>"),
        ],
    ));
    steps.extend(action(
        "third",
        &[
            ("actionban", "echo third <restored>"),
            ("actionstart", "exit 9"),
            ("actionstop", "exit 8"),
            ("actionprolong", " "),
        ],
    ));
    steps.push(json!({"do": "start"}));
    steps.push(ban("192.0.2.1"));
    let mut restored = ticket("192.0.2.2");
    restored["restored"] = json!(true);
    steps.push(json!({"do": "ban", "ticket": restored}));
    steps.push(json!({"do": "prolong", "id": "192.0.2.1", "ticket": ticket("192.0.2.1")}));
    steps.push(json!({"do": "prolong", "id": "192.0.2.2", "ticket": restored}));
    steps.push(
        json!({"do": "stop", "tickets": [ticket("192.0.2.1"), restored], "side_by_side": true}),
    );
    same(&steps, 10);
}

#[test]
fn properties_that_refer_to_themselves() {
    let mut steps = action(
        "a1",
        &[
            ("actionstart", "<x>"),
            ("x", "<y>"),
            ("y", "a <x>"),
            ("actionban", "echo <ip> <x>"),
        ],
    );
    steps.push(json!({"do": "start"}));
    steps.push(ban("192.0.2.1"));
    same(&steps, 10);
}

#[test]
fn a_reload_keeps_changes_and_drops() {
    let commands = |name: &'static str, text: &str| -> Vec<(&'static str, String)> {
        [
            "actionstart",
            "actionban",
            "actionunban",
            "actionstop",
            "actionreload",
        ]
        .into_iter()
        .map(|operation| (operation, format!("echo {name} {operation} {text} <ip>")))
        .collect()
    };
    let set_up = |name: &'static str, text: &str| {
        let properties = commands(name, text);
        let pairs: Vec<(&str, &str)> = properties
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        action(name, &pairs)
    };
    let mut steps = set_up("kept", "old");
    steps.extend(set_up("dropped", "old"));
    steps.extend(action(
        "flushed",
        &[("actionflush", "echo flush"), ("actionban", "true")],
    ));
    steps.push(json!({"do": "start"}));
    steps.extend([ban("192.0.2.1"), ban("192.0.2.2")]);
    steps.push(json!({"do": "reload", "begin": true}));
    steps.extend(set_up("kept", "new"));
    let bans = ["192.0.2.1", "192.0.2.2"].map(ticket);
    steps.push(json!({"do": "reload", "begin": false, "tickets": bans, "side_by_side": true}));
    steps.push(ban("192.0.2.3"));
    steps.push(unban("192.0.2.1"));
    steps.push(json!({"do": "stop", "tickets": [ticket("192.0.2.2"), ticket("192.0.2.3")]}));
    same(&steps, 10);
}

#[test]
fn an_option_that_is_ignored_comes_last() {
    // as in old files of shorewall and osx: `[Init]` ends with `bantime`
    for last in [
        ("bantime", "600"),
        ("timeout", "1m"),
        ("w?family=inet6", "x"),
        ("name", "n"),
    ] {
        let mut steps = action("a1", &[("actionban", "echo ban <ip> <bantime> <w>"), last]);
        steps.push(json!({"do": "start"}));
        steps.push(ban("192.0.2.1"));
        same(&steps, 10);
    }
}

#[test]
fn properties_are_answered() {
    let mut steps = action(
        "a1",
        &[
            ("actionban", "x"),
            ("w", "y"),
            ("timeout", "1m"),
            ("bantime", "1h"),
            ("blocktype?family=inet6", "z"),
        ],
    );
    for property in [
        "actionban",
        "actionunban",
        "w",
        "timeout",
        "blocktype?family=inet6",
        "bantime",
        "nothing",
        "banEpoch",
    ] {
        steps.push(json!({"do": "get", "action": "a1", "property": property}));
    }
    steps.push(json!({"do": "get", "action": "a2", "property": "w"}));
    same(&steps, 10);
}
