//! Actions written in Python: the same files under the original and under ours, with the same
//! orders, have to see the same values and leave the same log; and what ours adds, limits of time
//! and a process that is started again.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::path::{Path, PathBuf};

use scenario::{JAIL, Trace, action, ban, by_original, by_ours, ticket};
use serde_json::{Value as Json, json};

/// A Python action with these arguments.
fn python(name: &str, path: &Path, arguments: Json) -> Json {
    json!({"do": "command", "words": ["set", JAIL, "addaction", name, path, arguments.to_string()]})
}

fn of_original(name: &str) -> PathBuf {
    common::reference("1.1.1")
        .join("usr/lib/python3/dist-packages/fail2ban/tests/files/action.d")
        .join(name)
}

fn of_ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(name)
}

fn unban(id: &str) -> Json {
    json!({"do": "unban", "id": id, "ticket": ticket(id)})
}

fn stop(ids: &[&str]) -> Json {
    json!({"do": "stop", "tickets": ids.iter().map(|id| ticket(id)).collect::<Vec<_>>()})
}

/// Log lines, without those the jail writes and with the values nobody asked for as they are.
fn comparable(trace: &Trace) -> Vec<String> {
    let unasked = fancy_regex::Regex::new(
        r#"'(fid|raw-ticket)': (<function [^>]*<lambda> at 0x[0-9a-f]+>|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"#,
    )
    .unwrap();
    let of_jail = fancy_regex::Regex::new(
        r"^fail2ban\.actions (NOTICE \[j\] ((Restore )?Ban|Unban|Reban) |[A-Z]+ \[j\] .* already banned)",
    )
    .unwrap();
    // the counters of a jail that is not there
    let figures = fancy_regex::Regex::new(r"('jail\.[a-z_]+'[:,] |jail info )[\d, ]+").unwrap();
    let lines = trace
        .log
        .iter()
        .filter(|line| !of_jail.is_match(line).unwrap());
    lines
        .map(|line| {
            // the original's driver prints no traces
            let line = line.split("\nTraceback ").next().unwrap();
            let line = unasked.replace_all(line, "'$1': VALUE");
            figures.replace_all(&line, "$1N").into_owned()
        })
        .collect()
}

/// Both carry out the steps; what each logs, at `INFO` and above, has to be equal.
fn same(steps: &[Json]) {
    let original = by_original(steps, 20, &["/usr/bin/env"]);
    let ours = by_ours(steps, 20);
    for ((step, original), ours) in steps.iter().zip(&original).zip(&ours) {
        assert_eq!(comparable(original), comparable(ours), "after {step}");
    }
    let logged: usize = ours.iter().map(|trace| trace.log.len()).sum();
    assert!(logged > 3, "the scenario logged nothing");
}

#[test]
fn an_action_sees_what_it_sees_under_the_original() {
    let mut full = ticket("192.0.2.7");
    full["fields"] = json!({"user": "ro'ot", "other-one": "ü"});
    full["matches"] = json!(["one $(id)", ["a", "b", "c"]]);
    let mut restored = ticket("192.0.2.8");
    restored["restored"] = json!(true);
    let mut steps = vec![python(
        "rec",
        &of_ours("record.py"),
        json!({"where": "x", "a": "1", "b": ""}),
    )];
    steps.extend(action("sh", &[("actionban", "echo <ip>")]));
    steps.extend([
        json!({"do": "start"}),
        json!({"do": "ban", "ticket": full}),
        json!({"do": "ban", "ticket": restored}),
        ban("2001:db8::1"),
        ban("10.0.0.0/8"),
        ban("some-id"),
        json!({"do": "prolong", "id": "2001:db8::1", "ticket": ticket("2001:db8::1")}),
        json!({"do": "unban", "id": "192.0.2.7", "ticket": full}),
        unban("some-id"),
        json!({"do": "check"}),
        json!({"do": "get", "action": "rec", "property": "banEpoch"}),
        stop(&[]),
    ]);
    // lines of the original's driver differ in the order of repealed bans only
    let steps: Vec<Json> = steps
        .into_iter()
        .filter(|step| step["do"] != "stop")
        .collect();
    same(&steps);
}

#[test]
fn exceptions_are_told_alike() {
    let mut steps = vec![
        python("rec", &of_ours("record.py"), json!({})),
        python("bad", &of_original("action_errors.py"), json!({})),
        python("mod", &of_original("action_modifyainfo.py"), json!({})),
        json!({"do": "start"}),
    ];
    for (n, failures) in [66, 67, 68, 5].into_iter().enumerate() {
        let id = format!("192.0.2.{n}");
        let mut ticket = ticket(&id);
        ticket["failures"] = failures.into();
        steps.push(json!({"do": "ban", "ticket": ticket}));
        steps.push(json!({"do": "unban", "id": id, "ticket": ticket}));
    }
    same(&steps);
}

#[test]
fn stock_test_actions_behave() {
    let steps = vec![
        python(
            "act",
            &of_original("action.py"),
            json!({"opt1": "x", "opt2": "y"}),
        ),
        python("info", &of_original("action_checkainfo.py"), json!({})),
        python("mod", &of_original("action_modifyainfo.py"), json!({})),
        json!({"do": "start"}),
        ban("192.0.2.1"),
        json!({"do": "get", "action": "act", "property": "opt1"}),
        json!({"do": "get", "action": "act", "property": "nothing"}),
        json!({"do": "command", "words": ["multi-set", JAIL, "action", "act", [["opt1", "z"]]]}),
        json!({"do": "get", "action": "act", "property": "opt1"}),
        unban("192.0.2.1"),
        ban("192.0.2.2"),
        json!({"do": "flush", "tickets": [ticket("192.0.2.2")]}),
        stop(&[]),
    ];
    same(&steps);
}

#[test]
fn methods_and_attributes_are_at_hand() {
    let steps = vec![
        python("rec", &of_ours("record.py"), json!({"where": "here"})),
        json!({"do": "names", "action": "rec"}),
        json!({"do": "call", "action": "rec", "method": "answer", "arguments": {}}),
        json!({"do": "call", "action": "rec", "method": "answer", "arguments": {"text": "ü", "number": 1.5}}),
        json!({"do": "call", "action": "rec", "method": "answer", "arguments": {"nose": 1}}),
        json!({"do": "call", "action": "rec", "method": "pair", "arguments": {}}),
        json!({"do": "call", "action": "rec", "method": "stop", "arguments": {}}),
        json!({"do": "get", "action": "rec", "property": "where"}),
        json!({"do": "get", "action": "rec", "property": "_name"}),
        json!({"do": "command", "words": ["multi-set", JAIL, "action", "rec", [["limit", "4"], ["new", 5]]]}),
        json!({"do": "get", "action": "rec", "property": "new"}),
        json!({"do": "command", "words": ["set", JAIL, "addaction", "rec"]}),
    ];
    same(&steps);
}

#[test]
fn files_that_are_no_actions_are_refused_alike() {
    let none = Path::new("/nonexistent/none.py");
    let steps = vec![
        python("a", &of_original("action_noAction.py"), json!({})),
        python("b", &of_original("action_nomethod.py"), json!({})),
        python("c", &of_original("action.py"), json!({})),
        python(
            "d",
            &of_original("action.py"),
            json!({"opt1": "x", "opt3": "y"}),
        ),
        python("e", none, json!({})),
        python("f", &of_original("action.py"), json!({"opt1": "x"})),
        json!({"do": "start"}),
        ban("192.0.2.1"),
    ];
    same(&steps);
}

#[test]
fn a_process_that_dies_or_hangs_is_started_again() {
    common::in_network_namespace("a_process_that_dies_or_hangs_is_started_again", || {
        let wait = |step: Json, seconds: f64| {
            let mut step = step;
            step["observe"] = format!("sleep {seconds}").into();
            step
        };
        let steps = vec![
            python("frail", &of_ours("fragile.py"), json!({})),
            json!({"do": "command", "words": ["multi-set", JAIL, "action", "frail", [["word", "second"]]]}),
            json!({"do": "start"}),
            ban("192.0.2.1"),
            wait(ban("192.0.2.9"), 0.0),
            ban("192.0.2.2"),
            wait(json!({"do": "check"}), 2.5),
            wait(ban("192.0.2.8"), 0.0),
            wait(ban("192.0.2.3"), 4.5),
            wait(ban("192.0.2.7"), 0.0),
            json!({"do": "stop", "tickets": [], "observe": "pgrep -fx 'sleep 123' | wc -l"}),
        ];
        let traces = by_ours(&steps, 20);
        let said: Vec<String> = traces.iter().map(|trace| trace.log.join("|")).collect();
        let all = said.join("\n");
        assert!(
            said[3].contains("the process of the action has ended"),
            "{all}"
        );
        assert!(
            said[4].contains("start of second|") && said[4].contains("banned 192.0.2.9, second"),
            "{all}"
        );
        assert!(said[5].contains("timed out after 1.5 seconds"), "{all}");
        assert!(said[7].contains("banned 192.0.2.8, second"), "{all}");
        assert!(
            said[8].contains("the process of the action has ended"),
            "{all}"
        );
        assert!(said[9].contains("banned 192.0.2.7, second"), "{all}");
        assert_eq!(
            traces.last().unwrap().observed.trim(),
            "0",
            "a child of the action is left"
        );
    });
}

#[test]
fn without_python_the_jail_runs_without_the_action() {
    common::in_mount_namespace("without_python_the_jail_runs_without_the_action", || {
        let hidden = std::process::Command::new("mount")
            .args(["--bind", "/dev/null", "/usr/bin/python3"])
            .status();
        assert!(hidden.unwrap().success());
        let site = common::site::Site::new(
            "action = note\n         rec.py\nbackend = polling\nlogpath = HERE/none.log",
        );
        std::fs::copy(of_ours("record.py"), site.path("action.d/rec.py")).unwrap();
        std::fs::write(site.path("none.log"), "").unwrap();
        let mut program = common::ours("fail2ban-server");
        program.env("PATH", "/usr/sbin");
        let server = site.start(program);
        let log = site.read("log");
        assert!(
            log.contains(
                "ERROR   [j] action 'rec.py': python3 is not installed, the jail runs without"
            ) || log.contains("[j] action 'rec': python3 is not installed, the jail runs without"),
            "{log}"
        );
        site.ask(&["set", "j", "banip", "192.0.2.1"]);
        site.wait_for("notes", "ban 192.0.2.1");
        server.stop();
    });
}

#[test]
fn a_reload_keeps_what_is_the_same() {
    let rec = |arguments: Json| python("rec", &of_ours("record.py"), arguments);
    let reload = |begin: bool| json!({"do": "reload", "begin": begin, "tickets": []});
    let steps = vec![
        rec(json!({"where": "a"})),
        json!({"do": "start"}),
        reload(true),
        rec(json!({"where": "a"})),
        reload(false),
        reload(true),
        rec(json!({"where": "b"})),
        reload(false),
        reload(true),
        reload(false),
    ];
    let traces = by_ours(&steps, 20);
    let notes = |range: std::ops::Range<usize>| -> Vec<&str> {
        let lines = traces[range].iter().flat_map(|trace| &trace.log);
        lines
            .filter_map(|line| line.strip_prefix("fail2ban.rec INFO "))
            .collect()
    };
    assert!(notes(2..5).is_empty(), "{traces:?}");
    assert_eq!(
        notes(5..8),
        ["'made' 'j' 'rec' 'b' []", "'stop'", "'start' 600"]
    );
    assert_eq!(notes(8..10), ["'stop'"]);
}
