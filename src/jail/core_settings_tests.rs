//! Settings of the core as commands: what is answered, what a failed reload leaves.

use super::core::*;
use super::core_tests::{core, extra, failure, limits};
use crate::control::{JailSetting, Value};
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
    use crate::control::JailOption;
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

#[test]
fn a_failed_reload_leaves_the_settings_as_they_were() {
    use super::saved::Saved;
    use crate::control::JailOption;
    let mut settings = limits(3, 600, 60);
    settings.push(JailSetting::AddFailRegex(vec!["^a <ADDR>$".into()]));
    settings.push(JailSetting::AddIgnoreIp(vec!["192.0.2.1".into()]));
    settings.push(JailSetting::LogEncoding("latin1".into()));
    settings.push(extra("factor", "2"));
    let mut core = core(&settings);
    let options = [
        JailOption::MaxRetry,
        JailOption::FindTime,
        JailOption::BanTime,
        JailOption::FailRegex,
        JailOption::IgnoreIp,
        JailOption::LogEncoding,
        JailOption::UseDns,
        JailOption::BanTimeExtra("factor".into()),
        JailOption::DatePattern,
    ];
    let before: Vec<_> = options.iter().map(|option| core.get(option)).collect();
    let saved = Saved::new(&core);
    core.clear_lists();
    for setting in [
        JailSetting::MaxRetry(9.into()),
        JailSetting::FindTime(9.into()),
        JailSetting::BanTime(9.into()),
        JailSetting::UseDns("no".into()),
        JailSetting::AddFailRegex(vec!["^b <ADDR>$".into()]),
        JailSetting::AddIgnoreIp(vec!["192.0.2.2".into()]),
        JailSetting::LogEncoding("utf-8".into()),
        extra("factor", "3"),
    ] {
        core.apply(&setting).unwrap().unwrap();
    }
    saved.restore(&mut core);
    let after: Vec<_> = options.iter().map(|option| core.get(option)).collect();
    assert_eq!(after, before);
}
