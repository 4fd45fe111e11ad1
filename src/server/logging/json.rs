//! Formats a log record as a JSON object (`logformat = json`), for log collectors.
//!
//! `time`, `level`, `logger`, `pid` and `message` are in every line, `jail` where the message begins with
//! the name of one, and `event` and `ip` where it reports an event of an address. The message is the whole
//! text.
#![forbid(unsafe_code)]

use chrono::{Local, SecondsFormat};
use serde_json::{Map, Value as Json};

use super::format::FormatRecord;

/// How messages begin that tell of an address, which follows. No word is the beginning of a later one.
const EVENTS: [&str; 6] = [
    "Found",
    "Ignore",
    "Restore Ban",
    "Increase Ban",
    "Unban",
    "Ban",
];

/// How a message goes on after an address that was banned before.
const ALREADY: &str = " already banned";

/// The line, without its end.
pub(super) fn line(record: &FormatRecord<'_>) -> String {
    let mut object = Map::new();
    let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
    let time = record.time.with_timezone(&Local);
    put(
        "time",
        time.to_rfc3339_opts(SecondsFormat::Millis, false).into(),
    );
    put("level", record.level.name().into());
    put("logger", record.target.into());
    put("pid", record.pid.into());
    let jail = record.message.strip_prefix('[');
    if let Some((jail, rest)) = jail.and_then(|rest| rest.split_once("] ")) {
        put("jail", jail.into());
        if let Some((event, id)) = event(rest) {
            put("event", event.into());
            put("ip", id.into());
        }
    }
    put("message", record.message.into());
    Json::Object(object).to_string()
}

/// What befell whom, in the words of fail2ban.
fn event(message: &str) -> Option<(&'static str, &str)> {
    if let Some((id, _)) = message.split_once(ALREADY)
        && !id.contains(' ')
    {
        return Some(("Already Banned", id));
    }
    EVENTS.into_iter().find_map(|event| {
        let rest = message.strip_prefix(event)?.strip_prefix(' ')?;
        let id = rest.split(' ').next()?;
        Some((event, id))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use chrono::DateTime;

    use super::*;
    use crate::log::Level;

    fn read(message: &str) -> Json {
        let record = FormatRecord {
            level: Level::Notice,
            target: "fail2ban.actions",
            message,
            time: DateTime::from_timestamp_millis(1_795_000_000_054).unwrap(),
            pid: 4242,
            began: Instant::now(),
        };
        serde_json::from_str(&line(&record)).unwrap()
    }

    #[test]
    fn fields_are_stable() {
        let object = read("[sshd] Ban 192.0.2.1");
        let keys: Vec<_> = object.as_object().unwrap().keys().collect();
        let all = [
            "time", "level", "logger", "pid", "jail", "event", "ip", "message",
        ];
        assert_eq!(keys, all);
        assert_eq!(object["level"], "NOTICE");
        assert_eq!(object["logger"], "fail2ban.actions");
        assert_eq!(object["pid"], 4242);
        assert_eq!(object["message"], "[sshd] Ban 192.0.2.1");
        let time = object["time"].as_str().unwrap();
        let time = DateTime::parse_from_rfc3339(time).unwrap();
        assert_eq!(time.timestamp_millis(), 1_795_000_000_054);
    }

    #[test]
    fn what_befell_an_address_has_fields() {
        let cases = [
            (
                "[a] Found 192.0.2.1 - 2026-11-29 10:00:00",
                Some(("Found", "192.0.2.1")),
            ),
            (
                "[a] Restore Ban 2001:db8::1",
                Some(("Restore Ban", "2001:db8::1")),
            ),
            (
                "[a] Increase Ban 192.0.2.1 (2 # 0:20:00 -> x)",
                Some(("Increase Ban", "192.0.2.1")),
            ),
            (
                "[a] 192.0.2.1 already banned",
                Some(("Already Banned", "192.0.2.1")),
            ),
            ("[a] Ignore 192.0.2.1 by ip", Some(("Ignore", "192.0.2.1"))),
            ("[a] Unban 192.0.2.1", Some(("Unban", "192.0.2.1"))),
            ("[a] Banana", None),
            ("[a] Unable to find a corresponding IP address for x", None),
            ("Jail 'a' started", None),
        ];
        for (message, expected) in cases {
            let object = read(message);
            let field = |key: &str| object.get(key).and_then(Json::as_str);
            assert_eq!(field("event").zip(field("ip")), expected, "{message}");
            assert_eq!(
                field("jail").is_some(),
                message.starts_with('['),
                "{message}"
            );
        }
    }

    #[test]
    fn a_message_of_several_lines_is_one_line() {
        let record = "[a] x\n\"y\" \u{1b}[0m";
        assert_eq!(read(record)["message"], record);
    }
}
