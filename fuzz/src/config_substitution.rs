//! `%(name)s` and `<tag>` in options that refer to each other, or to themselves, in any way.
//!
//! The input is text: lines `name = value`. As a file they are read, in sections if there are
//! any, for `%()s`; as options of a filter and as properties of an action for `<tag>`.

use ferroban::parts::action::tags::{self, PropertyTexts};
use ferroban::parts::config::ini;
use ferroban::parts::config::settings::{MergedSettings, Options, Setting, Vars};
use ferroban::parts::config::tags::substitute;
use ferroban::parts::sys::hosts::HostNames;

/// No value may grow beyond (bytes).
const LONGEST: usize = 8 << 20;
/// A log line's text in a ticket; nothing a command may hold as it is.
const FOREIGN: &str = "foreign;`x`$(y)'\"\n";

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    in_files(&text);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let pairs: Vec<(&str, &str)> = pairs.map(|(n, v)| (n.trim(), v.trim())).collect();
    in_options(&pairs);
    in_actions(&pairs);
}

fn in_files(text: &str) {
    let Ok(file) = ini::parse(text, "x.conf") else {
        return;
    };
    let mut settings = MergedSettings::default();
    settings.merge(&file);
    // a second layer gives everything a `known/` value
    settings.merge(&file);
    let vars = Vars::default();
    let mut names: Vec<_> = settings.names().cloned().collect();
    names.push("DEFAULT".into());
    for section in names {
        let own = settings.section(&section).into_iter().flatten();
        for (option, _) in own.chain(&settings.defaults) {
            if let Ok(Some(value)) = settings.get(&section, option, &vars) {
                assert!(value.len() <= LONGEST);
            }
        }
    }
}

fn in_options(pairs: &[(&str, &str)]) {
    let values = pairs.iter().map(|(name, value)| {
        let value = match *value {
            "" => Setting::Nothing,
            value => value.into(),
        };
        ((*name).into(), value)
    });
    let mut options: Options = values.collect();
    let ignore = ["matches"].into_iter().collect();
    let found = substitute(&mut options, &ignore, |tag| {
        Ok((tag == "outer").then(|| "<a>".into()))
    });
    if found.is_ok() {
        assert!(options.values().all(|value| value.text().len() <= LONGEST));
    }
}

fn in_actions(pairs: &[(&str, &str)]) {
    let names = HostNames {
        full: "host.example".to_owned(),
        short: "host".to_owned(),
    };
    let properties = pairs.iter();
    let properties: PropertyTexts = properties
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    for condition in ["", "family=inet6"] {
        let Ok(resolved) = tags::resolve_properties(&properties, condition) else {
            continue;
        };
        for command in resolved.values() {
            assert!(command.len() <= LONGEST);
            let Ok(command) = tags::replace_static(command, &resolved, condition, &names) else {
                continue;
            };
            let script = tags::replace_dynamic(
                &command,
                &names,
                |tag| matches!(tag, "ip" | "matches").then(|| FOREIGN.to_owned()),
                |_| Some(FOREIGN.to_owned()),
            );
            // what came from outside travels as an argument, never as a part of the script
            if !command.contains("foreign") {
                assert!(!script.text.contains("foreign"), "{script:?}");
            }
        }
    }
}
