//! Settings of the core as commands: what is answered, what a failed reload leaves.

use super::core::*;
use super::core_tests::{core, extra, failure, limits};
use crate::address::Family;
use crate::control::{JailOption, JailSetting, Value};
use crate::ticket::BanTime;

#[test]
fn options_are_answered_like_the_originals() {
    let mut core = JailCore::new("j", true);
    let ip = |text: &str| Value::Ip(text.into());
    let table: Vec<(JailSetting, Value)> = vec![
        (JailSetting::MaxRetry("5".into()), Value::Int(5)),
        (JailSetting::FindTime("10m".into()), Value::Int(600)),
        (JailSetting::FindTime("1.5h".into()), Value::Float(5400.0)),
        (JailSetting::BanTime("1.5h".into()), Value::Int(5400)),
        (JailSetting::BanTime("-1".into()), Value::Int(-1)),
        (JailSetting::MaxMatches("0".into()), Value::Int(0)),
        (JailSetting::MaxLines("10".into()), Value::Int(10)),
        (JailSetting::UseDns("RAW".into()), "raw".into()),
        (JailSetting::UseDns("bogus".into()), "no".into()),
        (JailSetting::IgnoreSelf("no".into()), false.into()),
        (JailSetting::IgnoreCommand("".into()), "".into()),
        (JailSetting::IgnoreCache("".into()), Value::None),
        (
            JailSetting::IgnoreCache("key='<ip>', max-count=7".into()),
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
        (JailSetting::LogEncoding("latin1".into()), "latin1".into()),
        (
            JailSetting::LogTimezone("UTC+0100".into()),
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
        (JailSetting::PrefRegex("".into()), "".into()),
    ];
    for (setting, reply) in table {
        assert_eq!(core.apply(&setting), Some(Ok(reply)), "{setting:?}");
    }
    let errors = [
        (
            JailSetting::MaxRetry("abc".into()),
            "invalid literal for int() with base 10: 'abc'",
        ),
        (
            JailSetting::MaxRetry(Value::None),
            "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
        ),
        (
            JailSetting::MaxLines("0".into()),
            "maxlines must be integer greater than zero",
        ),
        (
            JailSetting::LogEncoding("nope".into()),
            "unknown encoding: nope",
        ),
        (
            JailSetting::LogTimezone("Europe/Paris".into()),
            "Unknown or unsupported time zone: 'Europe/Paris'",
        ),
        (
            JailSetting::IgnoreCache("foo".into()),
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
        core.failure(&failure(id, time), &Past::default(), 20.0);
    }
    core.apply(&JailSetting::MaxRetry(5.into()));
    core.failure(&failure("192.0.2.9", 20.0), &Past::default(), 20.0);
    let ip = |text: &str| Value::Ip(text.into());
    let banip = |with_time| JailOption::BanIp {
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
        core.get(&JailOption::Banned(ids)).unwrap()
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

/// A value for each option, other than the default and than what a second call gives; `round` is 0
/// or 1. The match names every option, so that none is added without being tested here.
fn change(option: &JailOption, round: usize) -> Vec<JailSetting> {
    let pick = |values: [&'static str; 2]| values[round];
    let number = |values: [i64; 2]| Value::Int(values[round]);
    let extra_value = |name: &str| match name {
        "increment" | "overalljails" => pick(["true", "false"]),
        "multipliers" => pick(["1 2", "3 4"]),
        "formula" => pick(["ban.Time * 2", "ban.Time * 3"]),
        _ => pick(["21", "22"]),
    };
    vec![match option {
        JailOption::IgnoreSelf => JailSetting::IgnoreSelf(pick(["no", "yes"]).into()),
        JailOption::IgnoreIp => {
            JailSetting::AddIgnoreIp(vec![pick(["192.0.2.1", "10.0.0.0/8"]).into()])
        }
        JailOption::IgnoreCommand => JailSetting::IgnoreCommand(pick(["/a", "/b"]).into()),
        JailOption::IgnoreCache => JailSetting::IgnoreCache(
            pick(["key=<ip>, max-count=10", "key=<ip>, max-count=99"]).into(),
        ),
        JailOption::LogEncoding => JailSetting::LogEncoding(pick(["latin1", "utf-16"]).into()),
        JailOption::PrefRegex => JailSetting::PrefRegex(
            pick([
                "^a<F-CONTENT>.+</F-CONTENT>$",
                "^b<F-CONTENT>.+</F-CONTENT>$",
            ])
            .into(),
        ),
        JailOption::FailRegex => {
            JailSetting::AddFailRegex(vec![pick(["^a <ADDR>$", "^b <ADDR>$"]).into()])
        }
        JailOption::IgnoreRegex => JailSetting::AddIgnoreRegex(vec![pick(["a", "b"]).into()]),
        JailOption::UseDns => JailSetting::UseDns(pick(["no", "raw"]).into()),
        JailOption::FindTime => JailSetting::FindTime(number([61, 62])),
        JailOption::BanTime => JailSetting::BanTime(number([63, -1])),
        JailOption::BanTimeExtra(name) => extra(name, extra_value(name)),
        JailOption::MaxRetry => JailSetting::MaxRetry(number([7, 8])),
        JailOption::MaxMatches => JailSetting::MaxMatches(number([9, 10])),
        JailOption::UnbanWhenQuiet => JailSetting::UnbanWhenQuiet(pick(["yes", "no"]).into()),
        JailOption::BanPrefix(family) => JailSetting::BanPrefix {
            family: *family,
            value: number([24, 28]),
        },
        JailOption::MaxLines => JailSetting::MaxLines(number([2, 3])),
        JailOption::LogTimezone => JailSetting::LogTimezone(pick(["UTC+0100", "UTC"]).into()),
        JailOption::DatePattern => JailSetting::DatePattern(pick(["%Y", "{NONE}"]).into()),
        JailOption::JsonMatch => JailSetting::JsonMatch(pick(["{a}", "{b}"]).into()),
        // what the task or the actions keep: tests/jail_task.rs
        JailOption::LogPath | JailOption::JournalMatch => return Vec::new(),
        JailOption::Actions
        | JailOption::Action { .. }
        | JailOption::ActionProperties(_)
        | JailOption::ActionMethods(_) => return Vec::new(),
        // no options
        JailOption::BanIp { .. } | JailOption::Banned(_) => return Vec::new(),
    }]
}

/// The option after this one, first to last. The match names every option: a new one has to find its
/// place.
fn next(option: Option<&JailOption>) -> Option<JailOption> {
    const EXTRA: [&str; 7] = [
        "increment",
        "factor",
        "formula",
        "multipliers",
        "maxtime",
        "rndtime",
        "overalljails",
    ];
    use JailOption as O;
    let extra = |at: usize| EXTRA.get(at).map(|name| O::BanTimeExtra((*name).into()));
    let Some(option) = option else {
        return Some(O::IgnoreSelf);
    };
    Some(match option {
        O::IgnoreSelf => O::IgnoreIp,
        O::IgnoreIp => O::IgnoreCommand,
        O::IgnoreCommand => O::IgnoreCache,
        O::IgnoreCache => O::LogPath,
        O::LogPath => O::LogEncoding,
        O::LogEncoding => O::JournalMatch,
        O::JournalMatch => O::PrefRegex,
        O::PrefRegex => O::FailRegex,
        O::FailRegex => O::IgnoreRegex,
        O::IgnoreRegex => O::UseDns,
        O::UseDns => O::FindTime,
        O::FindTime => O::BanTime,
        O::BanTime => return extra(0),
        O::BanTimeExtra(name) => {
            let at = EXTRA.iter().position(|known| known == name).unwrap();
            return Some(extra(at + 1).unwrap_or(O::MaxRetry));
        }
        O::MaxRetry => O::MaxMatches,
        O::MaxMatches => O::UnbanWhenQuiet,
        O::UnbanWhenQuiet => O::BanPrefix(Family::Inet4),
        O::BanPrefix(Family::Inet4) => O::BanPrefix(Family::Inet6),
        O::BanPrefix(Family::Inet6) => O::MaxLines,
        O::MaxLines => O::LogTimezone,
        O::LogTimezone => O::DatePattern,
        O::DatePattern => O::JsonMatch,
        O::JsonMatch
        | O::Actions
        | O::Action { .. }
        | O::ActionProperties(_)
        | O::ActionMethods(_)
        | O::BanIp { .. }
        | O::Banned(_) => return None,
    })
}

fn every_option() -> Vec<JailOption> {
    std::iter::successors(next(None), |option| next(Some(option))).collect()
}

#[test]
fn a_failed_reload_puts_every_option_back() {
    for was_set in [false, true] {
        let mut core = JailCore::new("j", true);
        let options = every_option();
        if was_set {
            for setting in options.iter().flat_map(|option| change(option, 0)) {
                core.apply(&setting).unwrap().unwrap();
            }
        }
        let ask = |core: &JailCore| -> Vec<Option<Value>> {
            options.iter().map(|option| core.get(option)).collect()
        };
        let before = (ask(&core), format!("{:?}", core.snapshot()));
        let snapshot = core.snapshot();
        core.clear_lists();
        for option in &options {
            let former = core.get(option);
            for setting in change(option, usize::from(was_set)) {
                core.apply(&setting).unwrap().unwrap();
                assert_ne!(core.get(option), former, "{option:?} is not changed");
            }
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
