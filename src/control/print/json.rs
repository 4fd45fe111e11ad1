//! Formats replies as JSON for programs: one line per reply (`fail2ban-client --json`).
//!
//! Values keep their type. A list of named rows becomes an object, with names in lower case and `_` for
//! blanks; the list of jails, a text on the wire, becomes a list.

use serde_json::{Map, Value as Json, json};

use super::ban::BanLine;
use crate::control::{CommandError, Value};

/// The line for a reply to a command.
pub fn reply(words: &[Value], response: &Value) -> String {
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    let named = match words.as_slice() {
        ["get", _, "banip", "--with-time"] => bans(response),
        ["stats" | "statistics" | "statistic"] | ["status", "--all", "stats"] => {
            statistics(response)
        }
        ["status", _, "stats"] => numbers(response),
        _ => None,
    };
    named.unwrap_or_else(|| value(response)).to_string()
}

/// Bans, one an object: `id`, `start`, `bantime` in seconds (-1: for ever), `end` (null: never), and `by`
/// (`host NAME` or `list NAME`) where this host did not decide on it.
fn bans(response: &Value) -> Option<Json> {
    response
        .as_slice()?
        .iter()
        .map(|ban| self::ban(ban.as_str()?))
        .collect()
}

/// Of `ID <TAB>START + BANTIME = END`.
fn ban(text: &str) -> Option<Json> {
    let line = BanLine::read(text)?;
    let mut ban = json!({
        "id": line.id, "start": line.since, "bantime": line.bantime, "end": line.until,
    });
    if let Some(by) = line.by {
        ban["by"] = by.into();
    }
    Some(ban)
}

/// The numbers of each jail.
fn statistics(response: &Value) -> Option<Json> {
    let Value::Dict(jails) = response else {
        return None;
    };
    let of_jail = |(name, state): &(Value, Value)| Some((name.str().into_owned(), numbers(state)?));
    let jails: Option<Map<_, _>> = jails.iter().map(of_jail).collect();
    Some(Json::Object(jails?))
}

/// The numbers of a jail, named as in its status.
fn numbers(state: &Value) -> Option<Json> {
    let [backend, failures, bans] = state.as_slice()? else {
        return None;
    };
    let ([failed, found], [banned, bans]) = (failures.as_slice()?, bans.as_slice()?) else {
        return None;
    };
    Some(json!({
        "backend": value(backend),
        "currently_failed": value(failed),
        "total_failed": value(found),
        "currently_banned": value(banned),
        "total_banned": value(bans),
    }))
}

/// The line for a failed command.
pub fn failure(error: &CommandError) -> String {
    json!({ "error": { "class": error.class.1, "message": super::failure(error) } }).to_string()
}

/// The JSON a value becomes.
pub fn value(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Str(text) | Value::Ip(text) => text.as_str().into(),
        Value::List(items) | Value::Tuple(items) => match rows(items) {
            Some(object) => object,
            None => items.iter().map(self::value).collect(),
        },
        Value::Dict(pairs) => {
            let pairs = pairs.iter();
            Json::Object(
                pairs
                    .map(|(k, v)| (k.str().into_owned(), self::value(v)))
                    .collect(),
            )
        }
    }
}

/// A list of (name, value) rows, the last of which may be a dictionary of jails (`status --all`).
fn rows(items: &[Value]) -> Option<Json> {
    let (rows, jails) = match items {
        [rows @ .., Value::Dict(_)] => (rows, items.last()),
        rows => (rows, None),
    };
    let mut object = Map::new();
    for row in rows {
        let Value::Tuple(row) = row else {
            return None;
        };
        let [Value::Str(name), value] = row.as_slice() else {
            return None;
        };
        let value = match (name.as_str(), value) {
            ("Jail list", Value::Str(names)) => {
                let names = names.split(", ").filter(|name| !name.is_empty());
                names.map(Json::from).collect()
            }
            (_, value) => self::value(value),
        };
        object.insert(name.to_lowercase().replace(' ', "_"), value);
    }
    if object.is_empty() {
        return None;
    }
    if let Some(jails) = jails {
        object.insert("jails".to_owned(), self::value(jails));
    }
    Some(Json::Object(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: Value) -> Value {
        Value::Tuple(vec![name.into(), value])
    }

    #[test]
    fn rows_become_objects() {
        let jail = Value::List(vec![
            row(
                "Filter",
                Value::List(vec![row("Currently failed", 2.into())]),
            ),
            row(
                "Actions",
                Value::List(vec![row("Banned IP list", vec!["192.0.2.1"].into())]),
            ),
        ]);
        let text =
            r#"{"filter":{"currently_failed":2},"actions":{"banned_ip_list":["192.0.2.1"]}}"#;
        assert_eq!(reply(&[], &jail), text);
        let all = Value::List(vec![
            row("Number of jail", 1.into()),
            row("Jail list", "a, b".into()),
            Value::Dict(vec![("a".into(), jail)]),
        ]);
        let expected =
            format!(r#"{{"number_of_jail":1,"jail_list":["a","b"],"jails":{{"a":{text}}}}}"#);
        assert_eq!(reply(&[], &all), expected);
    }

    #[test]
    fn values_keep_their_kind() {
        let list = Value::List(vec![
            Value::None,
            true.into(),
            Value::Float(0.5),
            Value::Ip("192.0.2.1".into()),
            Value::Tuple(vec!["%Y".into(), "Year".into()]),
        ]);
        assert_eq!(
            reply(&[], &list),
            r#"[null,true,0.5,"192.0.2.1",["%Y","Year"]]"#
        );
        assert_eq!(reply(&[], &Value::List(Vec::new())), "[]");
        let banned = Value::List(vec![Value::Dict(vec![("a".into(), vec!["x"].into())])]);
        assert_eq!(reply(&[], &banned), r#"[{"a":["x"]}]"#);
    }

    #[test]
    fn bans_with_time_are_fields() {
        let words = ["get", "j", "banip", "--with-time"].map(Value::from);
        let bans = vec![
            "192.0.2.1 \t2026-01-01 00:00:00 + 600 = 2026-01-01 00:10:00",
            "a = b \t2026-01-01 00:00:00 + -1 = 9999-12-31 23:59:59",
        ];
        let expected = concat!(
            r#"[{"bantime":600,"end":"2026-01-01 00:10:00","id":"192.0.2.1","start":"2026-01-01 00:00:00"},"#,
            r#"{"bantime":-1,"end":null,"id":"a = b","start":"2026-01-01 00:00:00"}]"#
        );
        let same = |text: &str| serde_json::from_str::<Json>(text).unwrap();
        assert_eq!(same(&reply(&words, &bans.clone().into())), same(expected));
        // another answer is shown as it is
        assert_eq!(reply(&words, &vec!["x"].into()), r#"["x"]"#);
        assert_eq!(reply(&words[..3], &vec!["x"].into()), r#"["x"]"#);
    }

    #[test]
    fn statistics_are_named() {
        let pair = |now: i64, ever: i64| Value::Tuple(vec![now.into(), ever.into()]);
        let jail = Value::List(vec!["polling".into(), pair(1, 2), pair(3, 4)]);
        let numbers = json!({
            "backend": "polling", "currently_failed": 1, "total_failed": 2,
            "currently_banned": 3, "total_banned": 4,
        });
        let same = |text: String| serde_json::from_str::<Json>(&text).unwrap();
        let of_jail = ["status", "j", "stats"].map(Value::from);
        assert_eq!(same(reply(&of_jail, &jail)), numbers);
        let all = Value::Dict(vec![("j".into(), jail)]);
        for words in [
            vec!["stats"],
            vec!["statistics"],
            vec!["status", "--all", "stats"],
        ] {
            let words: Vec<Value> = words.into_iter().map(Value::from).collect();
            assert_eq!(same(reply(&words, &all)), json!({ "j": numbers }));
        }
    }

    #[test]
    fn failures_name_class_and_message() {
        assert_eq!(
            failure(&CommandError::unknown_jail("x")),
            r#"{"error":{"class":"UnknownJailException","message":"Sorry but the jail 'x' does not exist"}}"#
        );
    }
}
