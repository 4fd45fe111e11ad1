//! What guides for fail2ban print, over the shipped configuration: it loads, and comes to what the guide
//! says. `tests/guides` holds one text for each: its files, and in `expected` the jails, and then lines
//! `JAIL OPTION VALUE`: an option of the jail, `ACTION.OPTION`, `actions`, `backend`, `log`, or
//! `regexes-with`, a part of one of its regexes. `DIR` is the directory.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common::written::{self, Written};
use ferroban::parts::config::{self, ReadOptions};
use ferroban::parts::control::Value;
use ferroban::parts::log::Level;

/// The values of an option of a jail, or of the server.
type Values = BTreeMap<(String, String), Vec<String>>;

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.repr(), str::to_owned)
}

/// What the commands come to.
fn values(commands: &[Vec<Value>]) -> Values {
    let mut found = Values::new();
    for command in commands {
        let mut add = |jail: &str, option: &str, value: String| {
            let key = (jail.to_owned(), option.to_owned());
            found.entry(key).or_default().push(value);
        };
        let words: Vec<String> = command.iter().map(text).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["add", jail, backend] => add(jail, "backend", backend.into()),
            ["start", jail, ref logs @ ..] => {
                logs.iter().for_each(|log| add(jail, "log", (*log).into()))
            }
            ["set", jail, "addaction", action] => add(jail, "actions", action.into()),
            ["multi-set", jail, "action", action, _] => {
                let Value::List(pairs) = &command[4] else {
                    continue;
                };
                for pair in pairs {
                    if let Value::List(pair) = pair {
                        add(
                            jail,
                            &format!("{action}.{}", text(&pair[0])),
                            text(&pair[1]),
                        );
                    }
                }
            }
            ["multi-set", jail, option, _] => {
                if let Value::List(items) = &command[3] {
                    items.iter().for_each(|item| add(jail, option, text(item)));
                }
            }
            ["set", option, value] => add("server", option, value.into()),
            ["set", jail, option, ref rest @ ..] => add(jail, option, rest.join(" ")),
            _ => {}
        }
    }
    found
}

/// What is not as it should be.
fn judge(guide: &mut Written) -> String {
    let expected = guide.take("expected").expect("what it comes to");
    let directory = tempfile::tempdir().unwrap();
    guide.write(directory.path());
    let mut wrong = String::new();
    let options = ReadOptions {
        allow_no_files: true,
        patterns: true,
        strict: true,
        ..ReadOptions::default()
    };
    let stream = match config::read(directory.path(), &options) {
        Ok(stream) => stream,
        Err(error) => return format!("{error}\n"),
    };
    if !stream.accepted || !stream.skipped.is_empty() {
        let _ = writeln!(wrong, "not accepted: {:?}", stream.skipped);
    }
    let missing_log =
        |text: &str| text.starts_with("No file(s) found") || text.starts_with("Have not found");
    for message in &stream.warnings {
        if message.level >= Level::Warning && !missing_log(&message.text) {
            let _ = writeln!(wrong, "{}", message.text);
        }
    }
    let found = values(&stream.commands);
    let mut jails: Vec<&str> = found
        .keys()
        .filter(|(_, option)| option == "backend")
        .map(|(jail, _)| &**jail)
        .collect();
    jails.sort_unstable();
    let mut lines = expected.lines();
    if lines.next().unwrap() != format!("jails {}", jails.join(" ")) {
        let _ = writeln!(wrong, "the jails are {jails:?}");
    }
    for line in lines {
        let line = line.replace("DIR", &directory.path().to_string_lossy());
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (jail, option, value) = (word(), word(), word());
        let known = |option: &str| {
            let values = found.get(&(jail.clone(), option.to_owned()));
            values.map_or(&[][..], Vec::as_slice)
        };
        let right = match &*option {
            "actions" => known("actions").join(" ") == value,
            "regexes-with" => known("addfailregex")
                .iter()
                .any(|regex| regex.contains(&value)),
            option => known(option).contains(&value),
        };
        if !right {
            let _ = writeln!(wrong, "{line}: it is {:?}", known(&option));
        }
    }
    wrong
}

#[test]
fn guides_come_to_what_they_say() {
    let mut guides = written::all("guides");
    assert!(guides.len() >= 40, "{} guides", guides.len());
    let only = std::env::var("GUIDE").unwrap_or_default();
    let mut wrong = String::new();
    for guide in guides.iter_mut().filter(|guide| guide.name.contains(&only)) {
        let found = judge(guide);
        if !found.is_empty() {
            let _ = writeln!(wrong, "{}:\n{found}", guide.name);
        }
    }
    assert_eq!(wrong, "");
}
