//! The `data` column: the evidence of a ticket as the JSON text that Python would write (fact Q3).
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::ser::Formatter;

use crate::address::Address;
use crate::evidence::Evidence;
use crate::fields::{FieldValue, Fields, MatchLine};
use crate::ticket::Ticket;

/// JSON of a ticket with at most its last `max_matches` matches (0: none).
pub fn encode(ticket: &Ticket, max_matches: i64) -> Vec<u8> {
    let keep = usize::try_from(max_matches).unwrap_or(0);
    let mut json = Vec::with_capacity(1024);
    let mut writer = serde_json::Serializer::with_formatter(&mut json, PythonSeparators);
    // writing to memory, of a map whose keys are all text, cannot fail
    let data = JsonData {
        ticket,
        matches: ticket.matches(),
        fields: ticket.fields(),
        keep,
    };
    let _ = data.serialize(&mut writer);
    json
}

/// A ticket as an object.
struct JsonData<'a> {
    ticket: &'a Ticket,
    matches: Vec<MatchLine>,
    fields: Fields,
    /// Matches to keep.
    keep: usize,
}

impl Serialize for JsonData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (matched, fields) = (&self.matches, &self.fields);
        // the original drops the key when matches are not wanted, but keeps an empty list
        let matches = self.keep > 0 || matched.is_empty();
        let mut object = serializer.serialize_map(None)?;
        // a captured field may have the name of one of these, and takes its place
        match fields.get("matches").filter(|_| matches) {
            Some(field) => object.serialize_entry("matches", &JsonField(field))?,
            None if matches => {
                let skipped = matched.len().saturating_sub(self.keep);
                object.serialize_entry("matches", &JsonLines(&matched[skipped..]))?;
            }
            None => {}
        }
        match fields.get("failures") {
            Some(field) => object.serialize_entry("failures", &JsonField(field))?,
            None => object.serialize_entry("failures", &self.ticket.failures)?,
        }
        for (name, field) in fields.iter() {
            if name != "failures" && (name != "matches" || !matches) {
                object.serialize_entry(name, &JsonField(field))?;
            }
        }
        object.end()
    }
}

struct JsonLines<'a>(&'a [MatchLine]);

impl Serialize for JsonLines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(JsonLine))
    }
}

struct JsonLine<'a>(&'a MatchLine);

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MatchLine::Text(line) => serializer.serialize_str(line),
            MatchLine::Parts(parts) => serializer.collect_seq(parts.iter()),
        }
    }
}

struct JsonField<'a>(&'a FieldValue);

impl Serialize for JsonField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            FieldValue::Text(text) => serializer.serialize_str(text),
            // Python's JSON knows no sets; the original stores what `str()` makes of a list of them
            FieldValue::Set(texts) => {
                serializer.serialize_str(&crate::control::Value::from(texts.clone()).repr())
            }
            FieldValue::Tuple(parts) => serializer.collect_seq(parts),
            FieldValue::Address(address) => serializer.collect_str(address),
        }
    }
}

/// Reads what [`encode`] or the original wrote into `ticket`; what is not understood is left out.
pub fn decode(json: &[u8], ticket: &mut Ticket) {
    let text = String::from_utf8_lossy(json);
    let Ok(Value::Object(object)) = serde_json::from_str(&text) else {
        return;
    };
    let (mut matches, mut fields) = (ticket.matches(), ticket.fields());
    for (name, value) in object {
        match (name.as_str(), value) {
            ("matches", Value::Array(lines)) => {
                matches = lines.into_iter().filter_map(match_line).collect();
            }
            ("failures", Value::Number(count)) => {
                ticket.failures = count
                    .as_f64()
                    .map_or(ticket.failures, |count| count.max(0.0) as u32);
            }
            ("ip", Value::String(text)) => {
                let address = FieldValue::Address(Address::parse(&text));
                fields.insert(name, address);
            }
            (_, value) => {
                if let Some(field) = field(value) {
                    fields.insert(name, field);
                }
            }
        }
    }
    ticket.evidence = Evidence::new(&fields, &matches);
}

fn match_line(line: Value) -> Option<MatchLine> {
    match line {
        Value::String(line) => Some(MatchLine::Text(line)),
        Value::Array(parts) => {
            let parts: Vec<String> = parts
                .into_iter()
                .map(|part| match part {
                    Value::String(part) => part,
                    _ => String::new(),
                })
                .collect();
            Some(match <[String; 3]>::try_from(parts) {
                Ok(parts) => MatchLine::Parts(Arc::new(parts)),
                Err(parts) => MatchLine::Text(parts.concat()),
            })
        }
        _ => None,
    }
}

fn field(value: Value) -> Option<FieldValue> {
    Some(match value {
        Value::String(text) => FieldValue::Text(text),
        Value::Number(number) => FieldValue::Text(number.to_string()),
        Value::Bool(flag) => FieldValue::Text(if flag { "True" } else { "False" }.to_owned()),
        Value::Array(parts) => {
            let parts: Vec<Option<String>> = parts
                .into_iter()
                .map(|part| match part {
                    Value::String(part) => Some(part),
                    _ => None,
                })
                .collect();
            FieldValue::Tuple(parts)
        }
        Value::Null | Value::Object(_) => return None,
    })
}

/// Compact JSON with a blank after each comma and colon.
struct PythonSeparators;

impl Formatter for PythonSeparators {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        let mut ticket = Ticket::new(Address::parse("192.0.2.1"), 1_795_000_000.4);
        ticket.failures = 2;
        ticket.set_matches(&[
            MatchLine::Text("a \"quoted\" \u{1} ü".to_owned()),
            MatchLine::Parts(Arc::new([
                "[".to_owned(),
                "date".to_owned(),
                "] b".to_owned(),
            ])),
        ]);
        let mut fields = ticket.fields();
        fields.insert("user".to_owned(), FieldValue::Text("root".to_owned()));
        let users = vec!["root".to_owned(), "al".to_owned()];
        fields.insert("users".to_owned(), FieldValue::Set(users));
        let parts = vec![Some("x".to_owned()), None];
        fields.insert("pair".to_owned(), FieldValue::Tuple(parts));
        let address = FieldValue::Address(Address::parse("2001:db8::1"));
        fields.insert("ip".to_owned(), address);
        ticket.evidence = Evidence::new(&fields, &ticket.matches());
        ticket
    }

    #[test]
    fn text_is_what_python_writes() {
        let empty = Ticket::new(Address::parse("192.0.2.1"), 0.0);
        assert_eq!(encode(&empty, 10), br#"{"matches": [], "failures": 0}"#);
        assert_eq!(encode(&empty, 0), br#"{"matches": [], "failures": 0}"#);
        let json = String::from_utf8(encode(&ticket(), 10)).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"matches": ["a \"quoted\" \u0001 ü", ["[", "date", "] b"]], "failures": 2, "#,
                r#""user": "root", "users": "['root', 'al']", "pair": ["x", null], "ip": "2001:db8::1"}"#
            )
        );
    }

    #[test]
    fn matches_are_limited_to_the_last() {
        let json = String::from_utf8(encode(&ticket(), 1)).unwrap();
        assert!(json.starts_with(r#"{"matches": [["[", "date", "] b"]], "failures": 2"#));
        let json = String::from_utf8(encode(&ticket(), 0)).unwrap();
        assert!(json.starts_with(r#"{"failures": 2, "user""#));
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let written = ticket();
        let mut read = Ticket::new(written.id.clone(), written.time);
        decode(&encode(&written, 10), &mut read);
        assert_eq!(read.matches(), written.matches());
        let mut fields = written.fields();
        // as in the original, a set comes back as its text
        let users = FieldValue::Text("['root', 'al']".to_owned());
        fields.insert("users".to_owned(), users);
        assert_eq!(read.fields(), fields);
        assert_eq!(read.failures, 2);
    }

    #[test]
    fn odd_data_does_no_harm() {
        for json in ["", "{", "[]", "null", r#"{"matches": 3, "failures": "x"}"#] {
            let mut ticket = Ticket::new(Address::raw("x"), 0.0);
            decode(json.as_bytes(), &mut ticket);
            assert!(ticket.matches().is_empty(), "{json}");
            assert_eq!(ticket.failures, 0, "{json}");
        }
    }
}
