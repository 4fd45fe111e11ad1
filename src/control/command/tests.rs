use super::*;
use crate::control::error::CommandError;

fn parse(line: &str) -> Result<Command, CommandError> {
    let words: Vec<Value> = line.split_whitespace().map(Value::from).collect();
    Command::parse(&words)
}

/// What the original answers to the same line (`fail2ban-client LINE`).
#[test]
fn wrong_commands_get_the_originals_errors() {
    let table = [
        ("foo", "Invalid command"),
        ("unban", "Invalid command"),
        (
            "set ok foo",
            "Invalid command 'foo' (no set action or not yet implemented)",
        ),
        (
            "get ok foo",
            "Invalid command (no get action or not yet implemented)",
        ),
        ("set foo", "list index out of range"),
        ("get foo", "list index out of range"),
        ("set", "list index out of range"),
        ("", "list index out of range"),
        ("status a b c", "Invalid command (no status)"),
        (
            "set nojail maxretry abc",
            "invalid literal for int() with base 10: 'abc'",
        ),
        (
            "set ok delfailregex x",
            "invalid literal for int() with base 10: 'x'",
        ),
        (
            "set ok addlogpath /nope foo",
            "File option must be 'head' or 'tail'",
        ),
        (
            "set ok addlogpath /nope a b",
            "Only one file can be added at a time",
        ),
        (
            "set ok idle foo",
            "Invalid idle option, must be 'on' or 'off'",
        ),
        ("set ok unbanip", "list index out of range"),
        ("set ok banip a --time", "list index out of range"),
        ("forget", "Invalid command"),
        (
            "reload --all",
            "Server.reloadJails() missing 1 required positional argument: 'opts'",
        ),
        ("set ok addaction z /x", "list index out of range"),
        ("sleep x", "could not convert string to float: 'x'"),
        ("add", "list index out of range"),
        ("add --all", "Reserved name '--all'"),
        ("server-stream", "list index out of range"),
        ("config-error", "list index out of range"),
    ];
    for (line, message) in table {
        match parse(line) {
            Err(error) => assert_eq!(error.to_string(), message, "{line}"),
            Ok(command) => panic!("{line}: {command:?}"),
        }
    }
    assert!(parse("set foo").unwrap_err().is("IndexError"));
}

#[test]
fn every_word_of_the_usage_text_is_known() {
    let jail = |command| Command::Jail {
        name: "j".into(),
        command,
    };
    let set = |setting| jail(JailCommand::Set(setting));
    let get = |option| jail(JailCommand::Get(option));
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let table = [
        ("ping 100", Command::Ping),
        ("status", Command::Status),
        (
            "status --all",
            Command::StatusAll {
                flavour: "basic".into(),
            },
        ),
        (
            "status j short",
            jail(JailCommand::Status {
                flavour: "short".into(),
            }),
        ),
        ("statistic", Command::Statistics),
        ("unban --all", Command::UnbanAll),
        ("unban a b", Command::Unban(strings(&["a", "b"]))),
        ("banned", Command::Banned(vec![])),
        ("sleep 0.5", Command::Sleep(0.5)),
        (
            "add j",
            Command::Add {
                jail: "j".into(),
                backend: "auto".into(),
            },
        ),
        (
            "start j",
            Command::StartJail {
                name: "j".into(),
                patterns: vec![],
            },
        ),
        ("stop", Command::Stop { keep: false }),
        ("stop --keep", Command::Stop { keep: true }),
        ("stop j", Command::StopJail("j".into())),
        ("stop --all", Command::StopAllJails),
        (
            "set loglevel info",
            Command::Set {
                option: "loglevel",
                value: "info".into(),
            },
        ),
        ("get dbfile", Command::Get("dbfile")),
        (
            "set j maxretry 5",
            set(JailSetting::set("maxretry", Value::Int(5))),
        ),
        (
            "set j bantime 1h",
            set(JailSetting::set("bantime", "1h".into())),
        ),
        (
            "set j bantime.factor 2",
            set(JailSetting::set("bantime.factor", "2".into())),
        ),
        (
            "set j addlogpath /x TAIL",
            set(JailSetting::AddLogPath {
                path: "/x".into(),
                tail: true,
            }),
        ),
        ("set j banip", set(JailSetting::BanIp(ManualBan::default()))),
        (
            "set j banip a --time 2d b --reason spam",
            set(JailSetting::BanIp(ManualBan {
                ids: strings(&["a", "b"]),
                time: Some("2d".into()),
                reason: Some("spam".into()),
            })),
        ),
        ("forget a b", Command::Forget(strings(&["a", "b"]))),
        (
            "set j unbanip --report-absent a",
            set(JailSetting::UnbanIp {
                ids: strings(&["a"]),
                report_absent: true,
            }),
        ),
        (
            "set j action a timeout 5",
            set(JailSetting::Action {
                name: "a".into(),
                properties: vec![("timeout".into(), "5".into())],
            }),
        ),
        (
            "set j action a ban {\"x\":1}",
            set(JailSetting::CallAction {
                name: "a".into(),
                method: "ban".into(),
                arguments: Value::Dict(vec![("x".into(), Value::Int(1))]),
            }),
        ),
        (
            "set j action a flush",
            set(JailSetting::CallAction {
                name: "a".into(),
                method: "flush".into(),
                arguments: Value::Dict(vec![]),
            }),
        ),
        (
            "get j banip",
            get(JailQuery::BanIp {
                separator: None,
                with_time: false,
            }),
        ),
        (
            "get j banip ,",
            get(JailQuery::BanIp {
                separator: Some(",".into()),
                with_time: false,
            }),
        ),
        (
            "get j banip --with-time",
            get(JailQuery::BanIp {
                separator: None,
                with_time: true,
            }),
        ),
        (
            "get j bantime.rndtime",
            get(JailQuery::Option("bantime.rndtime".into())),
        ),
        (
            "get j action a actionban",
            get(JailQuery::Action {
                name: "a".into(),
                property: "actionban".into(),
            }),
        ),
    ];
    for (line, command) in table {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

#[test]
fn memory_is_an_option_and_may_be_a_jail() {
    assert_eq!(
        parse("set memory 64m"),
        Ok(Command::Set {
            option: "memory",
            value: "64m".into()
        })
    );
    assert_eq!(parse("get memory"), Ok(Command::Get("memory")));
    for words in ["set memory idle on", "get memory banned"] {
        let jail = matches!(parse(words), Ok(Command::Jail { name, .. }) if name == "memory");
        assert!(jail, "{words}");
    }
}

#[test]
fn multi_set_becomes_its_setting() {
    let regexes = Value::List(vec!["a".into(), "b".into()]);
    let words = [
        "multi-set".into(),
        "j".into(),
        "addfailregex".into(),
        regexes,
    ];
    let Ok(Command::Jail { command, .. }) = Command::parse(&words) else {
        panic!("refused");
    };
    let expected = JailSetting::AddFailRegex(vec!["a".into(), "b".into()]);
    assert_eq!(command, JailCommand::Set(expected));

    let pairs = Value::List(vec![
        Value::List(vec!["actionban".into(), "x".into()]),
        Value::Tuple(vec!["timeout".into(), Value::Int(3)]),
    ]);
    let words = ["multi-set", "j", "action", "a"].map(Value::from);
    let words = [&words[..], &[pairs]].concat();
    let Ok(Command::Jail { command, .. }) = Command::parse(&words) else {
        panic!("refused");
    };
    let expected = JailSetting::Action {
        name: "a".into(),
        properties: vec![
            ("actionban".into(), "x".into()),
            ("timeout".into(), Value::Int(3)),
        ],
    };
    assert_eq!(command, JailCommand::Set(expected));
}

#[test]
fn requests_that_are_no_list() {
    assert_eq!(
        Command::from_value(&"ping".into()).unwrap_err().to_string(),
        "Invalid command"
    );
    assert_eq!(
        Command::from_value(&Value::Int(1)).unwrap_err().to_string(),
        "'int' object is not subscriptable"
    );
    let tuple = Value::Tuple(vec!["ping".into()]);
    assert_eq!(Command::from_value(&tuple), Ok(Command::Ping));
}

#[test]
fn orders_of_the_page_are_not_read_one_inside_another() {
    assert!(parse("by anna set one banip 192.0.2.1").is_ok());
    // as many as a message holds, which would be deeper than any stack
    let row = "by x ".repeat(200_000) + "unban 192.0.2.1";
    assert_eq!(
        parse(&row).unwrap_err(),
        CommandError::new("Invalid command")
    );
    assert_eq!(
        parse("by x by y unban 192.0.2.1").unwrap_err(),
        CommandError::new("Invalid command")
    );
}
