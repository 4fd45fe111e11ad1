//! `jsonmatch`: which fields of a JSON log form the line that dates and regexes see.
//!
//! In: a template such as `{time} {request.remote_ip} {status}` and a line that is a JSON object. Out: the
//! template with the values of the fields. Values come from the parsed object, so nothing that a client
//! sends can pass for another field; line breaks in them are shown as `\n`.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

/// Stands for a field that is missing or null.
const MISSING: &str = "-";

/// A template that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonTemplate {
    source: String,
    parts: Vec<TemplatePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    /// Names from the outside in; numbers lead into lists.
    Field(String),
}

impl JsonTemplate {
    /// Reads a template; `{{` and `}}` are braces.
    ///
    /// # Errors
    /// A brace without its partner, an empty name, no field at all; with the position.
    pub fn parse(source: &str) -> Result<JsonTemplate, String> {
        let wrong = |at: usize, what: &str| Err(format!("jsonmatch: {what} at {at}: {source}"));
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(c) = rest.chars().next() {
            let at = source.len() - rest.len();
            if let Some(after) = ["{{", "}}"].iter().find_map(|pair| rest.strip_prefix(pair)) {
                text.push(c);
                rest = after;
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match c {
                '{' => {
                    let Some((name, after)) = rest.split_once('}') else {
                        return wrong(at, "open brace");
                    };
                    if name.is_empty() || name.contains('{') {
                        return wrong(at, "no name in braces");
                    }
                    if !text.is_empty() {
                        parts.push(TemplatePart::Text(std::mem::take(&mut text)));
                    }
                    parts.push(TemplatePart::Field(name.to_owned()));
                    rest = after;
                }
                '}' => return wrong(at, "closing brace"),
                c => text.push(c),
            }
        }
        if !parts
            .iter()
            .any(|part| matches!(part, TemplatePart::Field(_)))
        {
            return wrong(0, "no field");
        }
        if !text.is_empty() {
            parts.push(TemplatePart::Text(text));
        }
        Ok(JsonTemplate {
            source: source.to_owned(),
            parts,
        })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The line of an object; `None` for what is no JSON object.
    pub fn line(&self, text: &str) -> Option<String> {
        let text = text.trim();
        if !text.starts_with('{') {
            return None;
        }
        let object: Value = serde_json::from_str(text).ok()?;
        let mut line = String::with_capacity(text.len());
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => line += text,
                TemplatePart::Field(path) => write_value(find(&object, path), &mut line),
            }
        }
        Some(line)
    }
}

/// A field by its path: at each level the longest name that is there, since names may have dots.
fn find<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let step = |name: &str| match value {
        Value::Object(map) => map.get(name),
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        _ => None,
    };
    if let Some(found) = step(path) {
        return Some(found);
    }
    let mut ends = path.rmatch_indices('.').map(|(at, _)| at);
    ends.find_map(|at| find(step(&path[..at])?, &path[at + 1..]))
}

fn write_value(value: Option<&Value>, line: &mut String) {
    match value {
        None | Some(Value::Null) => line.push_str(MISSING),
        Some(Value::String(text)) => line.push_str(&escaped(text)),
        Some(Value::Array(list)) if !list.is_empty() && list.iter().all(Value::is_string) => {
            for (index, item) in list.iter().filter_map(Value::as_str).enumerate() {
                line.push_str(if index > 0 { ", " } else { "" });
                line.push_str(&escaped(item));
            }
        }
        Some(other) => {
            // writing to a text cannot fail
            let _ = write!(line, "{other}");
        }
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    match text.contains(['\n', '\r']) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.replace('\n', "\\n").replace('\r', "\\r")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(template: &str, text: &str) -> Option<String> {
        JsonTemplate::parse(template)
            .expect("a template")
            .line(text)
    }

    #[test]
    fn caddy() {
        let text = r#"{"level":"info","ts":1700000000.25,"request":{"remote_ip":"192.0.2.1","method":"GET","uri":"/wp-login.php","headers":{"User-Agent":["curl/8"]}},"status":401}"#;
        assert_eq!(
            line(
                "{ts} {request.remote_ip} {status} {request.method} {request.uri}",
                text
            ),
            Some("1700000000.25 192.0.2.1 401 GET /wp-login.php".to_owned())
        );
        assert_eq!(
            line(
                "{request.headers.User-Agent.0} {request.headers.User-Agent} {x}",
                text
            ),
            Some("curl/8 curl/8 -".to_owned())
        );
    }

    #[test]
    fn traefik() {
        let text = r#"{"ClientHost":"192.0.2.1","OriginStatus":401,"RequestPath":"/a\nb","request_X.Y":"z","time":"2026-11-22T03:00:00Z","a":null}"#;
        assert_eq!(
            line(
                "{time} {ClientHost} {OriginStatus} {request_X.Y} {a} {RequestPath}",
                text
            ),
            Some("2026-11-22T03:00:00Z 192.0.2.1 401 z - /a\\nb".to_owned())
        );
    }

    #[test]
    fn nextcloud() {
        let text = r#"{"reqId":"x","level":2,"time":"2026-11-22T03:00:00+00:00","remoteAddr":"192.0.2.1","user":"--","message":"Login failed: admin\",\"remoteAddr\":\"203.0.113.1 (Remote IP: 192.0.2.1)"}"#;
        assert_eq!(
            line("{time} {remoteAddr}: {message}", text),
            Some(
                "2026-11-22T03:00:00+00:00 192.0.2.1: Login failed: admin\",\"remoteAddr\":\"203.0.113.1 (Remote IP: 192.0.2.1)"
                    .to_owned()
            )
        );
    }

    #[test]
    fn what_is_no_object_and_what_is_no_template() {
        for text in ["", "plain", "[1]", "{\"a\":", "\"x\""] {
            assert_eq!(line("{a}", text), None, "{text}");
        }
        assert_eq!(
            line("{{{a}}}", r#"{"a":{"b":[1,true]}}"#).as_deref(),
            Some("{{\"b\":[1,true]}}")
        );
        for template in ["", "a", "{", "}", "{}", "{a{b}", "{a} }"] {
            assert!(JsonTemplate::parse(template).is_err(), "{template}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(line("{a}", &format!("{{\"a\":{deep}")), None);
    }
}
