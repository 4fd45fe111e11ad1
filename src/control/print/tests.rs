use super::*;

fn words(line: &str) -> Vec<Value> {
    line.split_whitespace().map(Value::from).collect()
}

fn pair(name: &str, value: impl Into<Value>) -> Value {
    Value::Tuple(vec![name.into(), value.into()])
}

fn jail() -> Value {
    Value::List(vec![
        pair(
            "Filter",
            Value::List(vec![
                pair("Currently failed", 1),
                pair("Total failed", 2),
                pair("File list", vec!["/a.log", "/b.log"]),
            ]),
        ),
        pair(
            "Actions",
            Value::List(vec![
                pair("Currently banned", 0),
                pair("Total banned", 0),
                pair("Banned IP list", Vec::<&str>::new()),
            ]),
        ),
    ])
}

fn numbers(a: i64, b: i64) -> Value {
    Value::Tuple(vec![a.into(), b.into()])
}

fn stats() -> Value {
    Value::List(vec!["polling".into(), numbers(0, 0), numbers(0, 0)])
}

/// Printed by the original's client for the same replies.
#[test]
fn texts_of_the_original() {
    let none: Vec<&str> = Vec::new();
    let table: Vec<(&str, Value, &str)> = vec![
        ("ping", "pong".into(), "Server replied: pong"),
        ("version", "1.1.1".into(), "1.1.1"),
        ("echo a b", vec!["a", "b"].into(), "a b"),
        ("start x", Value::None, "Jail started"),
        ("stop", Value::None, "Shutdown successful"),
        ("stop x", Value::None, "Jail stopped"),
        ("add x", "x".into(), "Added jail x"),
        ("flushlogs", "rolled over".into(), "logs: rolled over"),
        ("sleep 0", Value::None, "None"),
        ("reload", "OK".into(), "OK"),
        ("unban --all", 5.into(), "5"),
        (
            "get loglevel",
            "INFO".into(),
            "Current logging level is 'INFO'",
        ),
        ("get loglevel", 20.into(), "Current logging level is 'INFO'"),
        (
            "get loglevel",
            33.into(),
            "Current logging level is 'Level 33'",
        ),
        (
            "set logtarget x",
            "/x".into(),
            "Current logging target is:\n`- /x",
        ),
        (
            "get syslogsocket",
            "auto".into(),
            "Current syslog socket is:\n`- auto",
        ),
        ("get dbfile", Value::None, "Database currently disabled"),
        (
            "get dbfile",
            "/x".into(),
            "Current database file is:\n`- /x",
        ),
        (
            "get dbpurgeage",
            86400.into(),
            "Current database purge age is:\n`- 86400seconds",
        ),
        ("get dbmaxmatches", 10.into(), "10"),
        (
            "get j logpath",
            none.clone().into(),
            "No file is currently monitored",
        ),
        (
            "get j logpath",
            vec!["/a", "/b"].into(),
            "Current monitored log file(s):\n|- /a\n`- /b",
        ),
        (
            "get j logencoding",
            "UTF-8".into(),
            "Current log encoding is set to:\nUTF-8",
        ),
        (
            "get j journalmatch",
            none.clone().into(),
            "No journal match filter set",
        ),
        (
            "get j journalmatch",
            Value::List(vec![vec!["A=1", "B=2"].into(), vec!["C=3"].into()]),
            "Current match filter:\nA=1 B=2 + C=3",
        ),
        (
            "get j datepattern",
            Value::None,
            "Current date pattern set to: Not set/required",
        ),
        (
            "get j datepattern",
            Value::Tuple(vec![Value::None, "Default Detectors".into()]),
            "Current date pattern set to: Default Detectors",
        ),
        (
            "get j datepattern",
            Value::Tuple(vec!["%Y".into(), "Year".into()]),
            "Current date pattern set to: %Y (Year)",
        ),
        (
            "get j ignoreip",
            none.clone().into(),
            "No IP address/network is ignored",
        ),
        (
            "set j addignoreip x",
            Value::List(vec![Value::Ip("127.0.0.0/8".into()), "::1".into()]),
            "These IP addresses/networks are ignored:\n|- 127.0.0.0/8\n`- ::1",
        ),
        (
            "get j failregex",
            none.clone().into(),
            "No regular expression is defined",
        ),
        (
            "get j failregex",
            vec!["^a", "b$"].into(),
            "The following regular expression are defined:\n|- [0]: ^a\n`- [1]: b$",
        ),
        (
            "get j actions",
            none.clone().into(),
            "No actions for jail j",
        ),
        (
            "get j actions",
            vec!["a", "b"].into(),
            "The jail j has the following actions:\na, b",
        ),
        (
            "get j actionproperties a",
            vec!["x"].into(),
            "The jail j action a has the following properties:\nx",
        ),
        (
            "get j actionmethods a",
            none.into(),
            "No methods for jail j action a",
        ),
        ("get j banip", vec!["a", "b"].into(), "a b"),
        ("get j banip ,", vec!["a", "b"].into(), "a,b"),
        (
            "get j banip --with-time",
            vec!["a \tx", "b \ty"].into(),
            "a \tx\nb \ty",
        ),
        ("set j banip a b", 2.into(), "2"),
        (
            "banned",
            Value::List(vec![Value::Dict(vec![("j".into(), vec!["a"].into())])]),
            "[{'j': ['a']}]",
        ),
        (
            "statistic",
            Value::Dict(vec![("ok".into(), stats())]),
            "{'ok': ['polling', (0, 0), (0, 0)]}",
        ),
        ("stats", Value::Dict(vec![]), "No jails found."),
        (
            "status",
            Value::List(vec![pair("Number of jail", 1), pair("Jail list", "ok")]),
            "Status\n|- Number of jail:\t1\n`- Jail list:\tok",
        ),
        (
            "status ok",
            jail(),
            "Status for the jail: ok\n|- Filter\n|  |- Currently failed:\t1\n|  |- Total failed:\t2\n|  `- File list:\t/a.log /b.log\n`- Actions\n   |- Currently banned:\t0\n   |- Total banned:\t0\n   `- Banned IP list:\t",
        ),
        (
            "status ok stats",
            stats(),
            "['Status for the jail: ok', '|- p']['polling', (0, 0), (0, 0)]",
        ),
        (
            "status --all stats",
            Value::Dict(vec![("ok".into(), stats())]),
            "{'ok': ['polling', (0, 0), (0, 0)]}{'ok': ['polling', (0, 0), (0, 0)]}",
        ),
    ];
    for (line, response, expected) in table {
        let text = reply(&words(line), &response, Charset::Unicode);
        assert_eq!(text, expected, "{line}");
    }
}

#[test]
fn all_jails_in_one_tree() {
    let response = Value::List(vec![
        pair("Number of jail", 2),
        pair("Jail list", "a, b"),
        Value::Dict(vec![("a".into(), jail()), ("b".into(), jail())]),
    ]);
    let text = reply(&words("status --all"), &response, Charset::Unicode);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[..7],
        [
            "Status",
            "|- Number of jail:\t2",
            "|- Jail list:\ta, b",
            "`- Status for the jails:",
            "   |- Jail: a",
            "   |  |- Filter",
            "   |  |  |- Currently failed:\t1",
        ]
    );
    assert_eq!(lines[13], "   `- Jail: b");
    assert_eq!(lines[14], "      |- Filter");
    assert_eq!(lines.last(), Some(&"         `- Banned IP list:\t"));
}

#[test]
fn statistics_as_a_table() {
    let row = Value::List(vec!["polling".into(), numbers(0, 12345), numbers(7, 8)]);
    let response = Value::Dict(vec![("a-long-name".into(), row), ("ok".into(), stats())]);
    let expected = [
        "             ║          ║ Filter      ║ Actions  ",
        " Jail        ║ Backend  ╟─────────────╫───────────",
        "             ║          ║ cur │   tot ║ cur │ tot",
        "═════════════╬══════════╬═════════════╬═══════════",
        " a-long-name ║ polling  ║   0 │ 12345 ║   7 │   8",
        " ok          ║ polling  ║   0 │     0 ║   0 │   0",
        "═════════════╩══════════╩═════════════╩═══════════",
    ]
    .join("\n");
    assert_eq!(
        reply(&words("stats"), &response, Charset::Unicode),
        expected
    );
    let ascii = reply(&words("stats"), &response, Charset::Ascii);
    assert!(ascii.is_ascii());
    assert_eq!(
        ascii.lines().nth(1),
        Some(" Jail        | Backend  |-------------x-----------")
    );
}

#[test]
fn texts_of_failures() {
    let table = [
        (
            CommandError::unknown_jail("x"),
            "Sorry but the jail 'x' does not exist",
        ),
        (
            CommandError::duplicate_jail("x"),
            "The jail 'x' already exists",
        ),
        (
            CommandError::too_few_words(),
            "Sorry but the command is invalid",
        ),
        (
            CommandError::builtin("KeyError", "Invalid Action name: z"),
            "'Invalid Action name: z'",
        ),
        (
            CommandError::new("not banned: ['9.9.9.9']"),
            "not banned: ['9.9.9.9']",
        ),
    ];
    for (error, text) in table {
        assert_eq!(failure(&error), text);
    }
}

#[test]
fn charset_by_locale() {
    for (locale, charset) in [
        ("", Charset::Unicode),
        ("C", Charset::Unicode),
        ("en_US.UTF-8", Charset::Unicode),
        ("de_DE.utf8@euro", Charset::Unicode),
        ("de_DE.ISO-8859-15", Charset::Ascii),
    ] {
        assert_eq!(Charset::of_locale_name(locale), charset, "{locale}");
    }
}
