//! Replies as JSON, for programs: one line per reply (`fail2ban-client --json`).
//!
//! Values keep their kind. What the protocol sends as a list of named rows becomes an object, with
//! names in lower case and `_` for blanks; the list of jails, a text on the wire, becomes a list.

use serde_json::{Map, Value as Json, json};

use crate::control::{CommandError, Value};

/// The line for a reply.
pub fn reply(response: &Value) -> String {
    value(response).to_string()
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
        assert_eq!(reply(&jail), text);
        let all = Value::List(vec![
            row("Number of jail", 1.into()),
            row("Jail list", "a, b".into()),
            Value::Dict(vec![("a".into(), jail)]),
        ]);
        let expected =
            format!(r#"{{"number_of_jail":1,"jail_list":["a","b"],"jails":{{"a":{text}}}}}"#);
        assert_eq!(reply(&all), expected);
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
        assert_eq!(reply(&list), r#"[null,true,0.5,"192.0.2.1",["%Y","Year"]]"#);
        assert_eq!(reply(&Value::List(Vec::new())), "[]");
        let banned = Value::List(vec![Value::Dict(vec![("a".into(), vec!["x"].into())])]);
        assert_eq!(reply(&banned), r#"[{"a":["x"]}]"#);
    }

    #[test]
    fn failures_name_class_and_message() {
        assert_eq!(
            failure(&CommandError::unknown_jail("x")),
            r#"{"error":{"class":"UnknownJailException","message":"Sorry but the jail 'x' does not exist"}}"#
        );
    }
}
