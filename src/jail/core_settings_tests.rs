//! Settings of the core as commands: what is answered, what a failed reload leaves.

use super::core::*;
use super::core_tests::{core, failure, limits};
use crate::control::{JailQuery, JailSetting, Value};
use crate::options::{Sent, jail};
use crate::ticket::BanTime;

#[test]
fn options_are_answered_like_the_originals() {
    let mut core = JailCore::new("j", true);
    let ip = |text: &str| Value::Ip(text.into());
    let table: Vec<(JailSetting, Value)> = vec![
        (JailSetting::set("maxretry", "5".into()), Value::Int(5)),
        (JailSetting::set("findtime", "10m".into()), Value::Int(600)),
        (
            JailSetting::set("findtime", "1.5h".into()),
            Value::Float(5400.0),
        ),
        (JailSetting::set("bantime", "1.5h".into()), Value::Int(5400)),
        (JailSetting::set("bantime", "-1".into()), Value::Int(-1)),
        (JailSetting::set("maxmatches", "0".into()), Value::Int(0)),
        (JailSetting::set("maxlines", "10".into()), Value::Int(10)),
        (JailSetting::set("usedns", "RAW".into()), "raw".into()),
        (JailSetting::set("usedns", "bogus".into()), "no".into()),
        (JailSetting::set("ignoreself", "no".into()), false.into()),
        (JailSetting::set("ignorecommand", "".into()), "".into()),
        (JailSetting::set("ignorecache", "".into()), Value::None),
        (
            JailSetting::set("ignorecache", "key='<ip>', max-count=7".into()),
            Value::List(vec!["<ip>".into(), Value::Int(7), Value::Int(300)]),
        ),
        (
            JailSetting::AddIgnoreIp(vec!["192.0.2.1".into(), "10.0.0.0/8".into()]),
            Value::List(vec![ip("10.0.0.0/8"), ip("192.0.2.1")]),
        ),
        (
            JailSetting::DelIgnoreIp("10.0.0.0/8".into()),
            Value::List(vec![ip("192.0.2.1")]),
        ),
        (
            JailSetting::set("logencoding", "latin1".into()),
            "latin1".into(),
        ),
        (
            JailSetting::set("logtimezone", "UTC+0100".into()),
            "UTC+0100".into(),
        ),
        (
            JailSetting::AddFailRegex(vec!["^a <ADDR>$".into(), "^b <HOST>$".into()]),
            core_regexes(&["^a <ADDR>$", "^b <HOST>$"]),
        ),
        (JailSetting::DelFailRegex(-2), core_regexes(&["^b <HOST>$"])),
        (JailSetting::DelFailRegex(9), core_regexes(&["^b <HOST>$"])),
        (
            JailSetting::AddIgnoreRegex(vec!["x".into()]),
            vec!["x"].into(),
        ),
        (JailSetting::set("prefregex", "".into()), "".into()),
    ];
    for (setting, reply) in table {
        assert_eq!(core.apply(&setting), Some(Ok(reply)), "{setting:?}");
    }
    let errors = [
        (
            JailSetting::set("maxretry", "abc".into()),
            "invalid literal for int() with base 10: 'abc'",
        ),
        (
            JailSetting::set("maxretry", Value::None),
            "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
        ),
        (
            JailSetting::set("maxlines", "0".into()),
            "maxlines must be integer greater than zero",
        ),
        (
            JailSetting::set("logencoding", "nope".into()),
            "unknown encoding: nope",
        ),
        (
            JailSetting::set("logtimezone", "Europe/Paris".into()),
            "Unknown or unsupported time zone: 'Europe/Paris'",
        ),
        (
            JailSetting::set("ignorecache", "foo".into()),
            "expected option, wrong syntax at 0: foo",
        ),
        (
            JailSetting::AddFailRegex(vec!["^no id$".into()]),
            "No failure-id group in '^no id$'",
        ),
    ];
    for (setting, text) in errors {
        let error = core.apply(&setting).unwrap().unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

/// The regexes as expanded with usedns = no and ten lines.
fn core_regexes(sources: &[&str]) -> Value {
    let expand = |source: &&str| {
        let regex = crate::pattern::FailRegex::new(source, crate::pattern::UseDns::No, true);
        Value::from(regex.unwrap().expanded())
    };
    Value::List(sources.iter().map(expand).collect())
}

#[test]
fn lists_and_status_have_the_originals_shapes() {
    let mut core = core(&limits(1, 600, 60));
    for (id, time) in [("192.0.2.1", 20.0), ("2001:db8::1", 10.0)] {
        core.failure(&failure(id, time), &PriorBans::default(), 20.0);
    }
    core.apply(&JailSetting::set("maxretry", 5.into()));
    core.failure(&failure("192.0.2.9", 20.0), &PriorBans::default(), 20.0);
    let ip = |text: &str| Value::Ip(text.into());
    let banip = |with_time| JailQuery::BanIp {
        separator: None,
        with_time,
    };
    assert_eq!(
        core.get(&banip(false)),
        Some(Value::List(vec![ip("2001:db8::1"), ip("192.0.2.1")]))
    );
    let Some(Value::List(lines)) = core.get(&banip(true)) else {
        panic!()
    };
    let line = lines[0].as_str().unwrap();
    assert!(
        line.starts_with("2001:db8::1 \t1970-01-01 ") && line.contains(" + 60 = "),
        "{line}"
    );
    let banned = |ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        core.get(&JailQuery::Banned(ids)).unwrap()
    };
    assert_eq!(
        banned(&[]),
        Value::List(vec![ip("192.0.2.1"), ip("2001:db8::1")])
    );
    assert_eq!(banned(&["::ffff:192.0.2.1"]), Value::Int(1));
    assert_eq!(
        banned(&["192.0.2.7", "192.0.2.1"]),
        Value::List(vec![Value::Int(0), Value::Int(1)])
    );
    let row = |name: &str, value: Value| Value::Tuple(vec![name.into(), value]);
    let status = |list: Option<Value>| {
        let mut actions = vec![
            row("Currently banned", Value::Int(2)),
            row("Total banned", Value::Int(2)),
        ];
        actions.extend(list.map(|list| row("Banned IP list", list)));
        Value::List(vec![
            row(
                "Filter",
                Value::List(vec![
                    row("Currently failed", Value::Int(1)),
                    row("Total failed", Value::Int(3)),
                    row("File list", vec!["/x"].into()),
                ]),
            ),
            row("Actions", Value::List(actions)),
        ])
    };
    let list = Value::List(vec![ip("192.0.2.1"), ip("2001:db8::1")]);
    let files = || ("File list", Value::from(vec!["/x"]));
    assert_eq!(core.status("basic", files(), 21.0), status(Some(list)));
    assert_eq!(core.status("short", files(), 21.0), status(None));
    // failures that are out of date do not show
    assert_eq!(core.counts(700.0), [(0, 3), (2, 2)]);
}

/// A setting for each option, other than the default and than what a second call gives; `round` is 0 or
/// 1. An option of the table that is not named here fails the test.
fn change(option: &str, round: usize) -> JailSetting {
    let pick = |values: [&'static str; 2]| values[round];
    let list = |values| vec![pick(values).to_owned()];
    let text = match option {
        "ignoreip" => return JailSetting::AddIgnoreIp(list(["192.0.2.1", "10.0.0.0/8"])),
        "failregex" => return JailSetting::AddFailRegex(list(["^a <ADDR>$", "^b <ADDR>$"])),
        "ignoreregex" => return JailSetting::AddIgnoreRegex(list(["a", "b"])),
        "ignoreself" => pick(["no", "yes"]),
        "ignorecommand" => pick(["/a", "/b"]),
        "ignorecache" => pick(["key=<ip>, max-count=10", "key=<ip>, max-count=99"]),
        "logencoding" => pick(["latin1", "utf-16"]),
        "prefregex" => pick([
            "^a<F-CONTENT>.+</F-CONTENT>$",
            "^b<F-CONTENT>.+</F-CONTENT>$",
        ]),
        "usedns" => pick(["no", "raw"]),
        "findtime" => pick(["61", "62"]),
        "bantime" => pick(["63", "-1"]),
        "bantime.increment" | "bantime.overalljails" => pick(["true", "false"]),
        "bantime.multipliers" => pick(["1 2", "3 4"]),
        "bantime.formula" => pick(["ban.Time * 2", "ban.Time * 3"]),
        "bantime.factor" | "bantime.maxtime" | "bantime.rndtime" => pick(["21", "22"]),
        "maxretry" | "maxmatches" | "maxlines" => pick(["7", "8"]),
        "unbanwhenquiet" | "simulate" => pick(["yes", "no"]),
        "fleet" | "crowdsec" => pick(["send", "send, receive"]),
        "fleet.minhosts" => pick(["2", "3"]),
        "banprefix4" | "banprefix6" => pick(["24", "28"]),
        "logtimezone" => pick(["UTC+0100", "UTC"]),
        "datepattern" => pick(["%Y", "{NONE}"]),
        "jsonmatch" => pick(["{a}", "{b}"]),
        other => panic!("no value to try {other} with"),
    };
    JailSetting::set(option, text.into())
}

/// Those the core keeps; for logs and journal matches see tests/jail_task.rs.
fn every_option() -> Vec<&'static str> {
    let kept =
        jail::all().filter(|row| !matches!(row.sent, Sent::Never | Sent::Files | Sent::Matches));
    kept.map(|row| row.name).collect()
}

#[test]
fn a_failed_reload_puts_every_option_back() {
    for was_set in [false, true] {
        let mut core = JailCore::new("j", true);
        let options = every_option();
        if was_set {
            for option in &options {
                core.apply(&change(option, 0)).unwrap().unwrap();
            }
        }
        let ask = |core: &JailCore| -> Vec<Option<Value>> {
            options.iter().map(|option| core.option(option)).collect()
        };
        let before = (ask(&core), format!("{:?}", core.snapshot()));
        let snapshot = core.snapshot();
        core.clear_lists();
        for option in &options {
            let former = core.option(option);
            let setting = change(option, usize::from(was_set));
            core.apply(&setting).unwrap().unwrap();
            assert_ne!(core.option(option), former, "{option} is not changed");
        }
        core.put_back(snapshot);
        assert_eq!(ask(&core), before.0);
        assert_eq!(format!("{:?}", core.snapshot()), before.1);
        // what goes by the settings goes by the former ones
        let default = if was_set { 63.0 } else { 600.0 };
        assert_eq!(core.bans.default_length(), BanTime::Seconds(default));
        assert_eq!(core.find_time(), if was_set { 61.0 } else { 600.0 });
    }
}
