//! Which commands of the stock and of the shipped mail actions are carried out natively. A change
//! of a shape, theirs or ours, shows here and not as a slow ban.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::path::Path;

use ferroban::action::JailFigures;
use ferroban::action::dry::DryAction;
use ferroban::action::mail::Mail;
use ferroban::action::tags::{HostNames, Script};
use ferroban::address::Address;
use ferroban::control::Value;
use ferroban::ticket::{MatchLine, Ticket};

/// The script of `actionban` for a ticket with a nasty line, as it would be run.
fn script(properties: &[(String, Value)]) -> Script {
    let mut action = DryAction::new("a1", HostNames::default());
    for (name, value) in properties {
        action.set(name, value).unwrap();
    }
    let mut ticket = Ticket::new(Address::parse("192.0.2.1"), 1.0);
    ticket.matches = vec![MatchLine::Text("it's $(id)".into())];
    action
        .script("actionban", "j", &ticket, &JailFigures::default())
        .unwrap()
}

#[test]
fn stock_actions() {
    for (name, native) in [
        ("sendmail", true),
        ("sendmail-whois", true),
        ("sendmail-whois-lines", true),
        ("sendmail-whois-matches", true),
        ("sendmail-whois-ipmatches", true),
        ("sendmail-whois-ipjailmatches", true),
        ("mail", true),
        ("mail-whois", true),
        ("mail-whois-lines", true),
        ("sendmail-geoip-lines", false),
        ("sendmail-buffered", false),
        ("mail-buffered", false),
        ("complain", false),
    ] {
        let jail = format!(
            "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {name}[name=j]\n"
        );
        let steps = scenario::stock_actions(&jail, &[]);
        let pairs = steps[1]["words"][4].as_array().unwrap();
        let properties: Vec<(String, Value)> = pairs
            .iter()
            .map(|pair| {
                (
                    pair[0].as_str().unwrap().to_owned(),
                    scenario::read_value(&pair[1]),
                )
            })
            .collect();
        let script = script(&properties);
        assert_eq!(
            Mail::recognise(&script).is_some(),
            native,
            "{name}: {}",
            script.text
        );
    }
}

#[test]
fn shipped_actions() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in std::fs::read_dir(directory.join("action.d")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name
            .strip_suffix(".conf")
            .filter(|name| name.contains("sendmail"))
        else {
            continue;
        };
        let properties = shipped(directory, name);
        let script = script(&properties);
        assert!(
            Mail::recognise(&script).is_some(),
            "{name}: {}",
            script.text
        );
        seen += 1;
    }
    assert!(seen >= 3);
}

/// The properties of a shipped action, read by our own configuration reader.
fn shipped(directory: &Path, name: &str) -> Vec<(String, Value)> {
    let base = tempfile::tempdir().unwrap();
    for part in ["action.d", "filter.d", "fail2ban.conf"] {
        std::os::unix::fs::symlink(directory.join(part), base.path().join(part)).unwrap();
    }
    let jail = format!(
        "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {name}[name=j]\n"
    );
    std::fs::write(base.path().join("jail.conf"), jail).unwrap();
    let stream = ferroban::config::read(base.path(), &Default::default()).unwrap();
    let words = stream
        .commands
        .iter()
        .find(|words| {
            words.first() == Some(&Value::from("multi-set"))
                && words.get(2) == Some(&Value::from("action"))
        })
        .unwrap();
    words[4]
        .as_slice()
        .unwrap()
        .iter()
        .map(|pair| {
            let pair = pair.as_slice().unwrap();
            (pair[0].as_str().unwrap().to_owned(), pair[1].clone())
        })
        .collect()
}
