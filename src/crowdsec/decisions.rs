//! Parses the decisions of a LAPI (JSON). They are treated as untrusted input: text is cut and cleaned, times
//! are bounded, and what is no decision on an address or network is dropped.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use serde::Deserialize;

use crate::address::Address;

/// Characters of a name.
const LONGEST_NAME: usize = 64;
/// Seconds beyond which no decision lasts: ten years.
pub const LONGEST: f64 = 315_360_000.0;

/// A decision to ban.
#[derive(Clone, Debug, PartialEq)]
pub struct LapiDecision {
    /// Its number at the LAPI.
    pub id: i64,
    /// Who made it: `crowdsec`, `cscli`, `CAPI`, `lists`, …
    pub origin: String,
    /// Why; for an origin `lists` the name of the list.
    pub scenario: String,
    /// Whom.
    pub target: Address,
    /// Seconds it lasts from now; of one that is over, how long ago it ended, with a minus.
    pub lasts: f64,
}

impl LapiDecision {
    /// The name of the list that it belongs to, as people see it.
    pub fn list(&self) -> String {
        match self.origin.eq_ignore_ascii_case("lists") {
            true => format!("lists:{}", self.scenario),
            false => self.origin.clone(),
        }
    }
}

/// What is new since the last look, or all there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionStream {
    /// Decisions that hold.
    pub new: Vec<LapiDecision>,
    /// Those that do not any more.
    pub deleted: Vec<LapiDecision>,
}

/// Both are always there, though maybe null: what has neither is another answer, and not an empty one.
#[derive(Deserialize)]
struct RawStream<'a> {
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    new: Option<Vec<Raw<'a>>>,
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    deleted: Option<Vec<Raw<'a>>>,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(default)]
    id: i64,
    #[serde(borrow)]
    duration: Cow<'a, str>,
    #[serde(borrow, default)]
    origin: Cow<'a, str>,
    #[serde(borrow, default)]
    scenario: Cow<'a, str>,
    #[serde(borrow)]
    scope: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(default)]
    simulated: Option<bool>,
}

impl DecisionStream {
    /// Reads the answer to `/v1/decisions/stream`.
    ///
    /// # Errors
    /// It is not of that form.
    pub fn read(body: &[u8]) -> Result<DecisionStream, serde_json::Error> {
        if body.trim_ascii_start().first() != Some(&b'{') {
            // serde takes a list for the values of a struct as well
            return Err(serde::de::Error::custom("it is no JSON object"));
        }
        let raw: RawStream<'_> = serde_json::from_slice(body)?;
        let decisions = |list: Option<Vec<Raw<'_>>>| {
            let list = list.unwrap_or_default().into_iter();
            list.filter_map(Raw::decision).collect()
        };
        Ok(DecisionStream {
            new: decisions(raw.new),
            deleted: decisions(raw.deleted),
        })
    }
}

impl Raw<'_> {
    /// The decision, if it is to ban an address or a network.
    fn decision(self) -> Option<LapiDecision> {
        let of_addresses = ["ip", "range"].iter();
        let mut of_addresses = of_addresses.filter(|scope| self.scope.eq_ignore_ascii_case(scope));
        let bans = self.kind.eq_ignore_ascii_case("ban") && self.simulated != Some(true);
        if !bans || of_addresses.next().is_none() {
            return None;
        }
        Some(LapiDecision {
            id: self.id,
            origin: clean(&self.origin),
            scenario: clean(&self.scenario),
            target: Address::parse_ip(&self.value)?,
            lasts: seconds(&self.duration)?,
        })
    }
}

/// A name that may stand in the log, whatever its writer would have there.
pub fn clean(text: &str) -> String {
    let fit = |c: char| match c {
        c if c.is_ascii_graphic() => c,
        _ => '_',
    };
    text.chars().take(LONGEST_NAME).map(fit).collect()
}

/// A span of time as Go writes it, such as `-1h3m0.5s`: at most [`LONGEST`] seconds either way.
pub fn seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 8] = [
        // longer names first
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("h", 3600.0),
        ("m", 60.0),
        ("s", 1.0),
    ];
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let end = rest.find(|c| !is_number(c))?;
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, factor) = UNITS
            .iter()
            .find(|(unit, _)| rest[end..].starts_with(unit))?;
        sum += number * factor;
        rest = &rest[end + unit.len()..];
    }
    Some(sign * sum.min(LONGEST))
}

/// A span of time for a LAPI.
pub fn duration(seconds: f64) -> String {
    format!("{:.3}s", seconds.clamp(0.0, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read() {
        let body = r#"{"deleted":null,"new":[
            {"duration":"3h59m58.5s","id":3,"origin":"cscli","scenario":"test","scope":"Ip","type":"ban","value":"198.51.100.1"},
            {"duration":"4h","id":4,"origin":"lists","scenario":"firehol","scope":"range","type":"ban","value":"203.0.113.77/24","uuid":"x"},
            {"duration":"4h","id":5,"origin":"cscli","scenario":"x","scope":"Ip","type":"captcha","value":"198.51.100.2"},
            {"duration":"4h","id":6,"origin":"cscli","scenario":"x","scope":"Country","type":"ban","value":"CN"},
            {"duration":"4h","id":7,"origin":"cscli","scenario":"x","scope":"Ip","type":"ban","value":"198.51.100.2","simulated":true},
            {"duration":"soon","id":8,"origin":"cscli","scenario":"x","scope":"Ip","type":"ban","value":"198.51.100.2"},
            {"duration":"1s","id":9,"origin":"a\u0000\u2028 b","scenario":"\n","scope":"Ip","type":"ban","value":"::ffff:192.0.2.1"}]}"#;
        let stream = DecisionStream::read(body.as_bytes()).unwrap();
        assert!(stream.deleted.is_empty());
        let told: Vec<_> = stream
            .new
            .iter()
            .map(|d| (d.id, d.list(), d.target.to_string(), d.lasts))
            .collect();
        assert_eq!(
            told,
            [
                (3, "cscli".to_owned(), "198.51.100.1".to_owned(), 14_398.5),
                (
                    4,
                    "lists:firehol".to_owned(),
                    "203.0.113.0/24".to_owned(),
                    14_400.0
                ),
                (9, "a___b".to_owned(), "192.0.2.1".to_owned(), 1.0),
            ]
        );
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for body in [
            "",
            "null",
            "[]",
            "[null,null]",
            "{}",
            r#"{"message":"no"}"#,
            "<html>",
            r#"{"new":{},"deleted":null}"#,
            r#"{"new":[{}],"deleted":null}"#,
            r#"{"new":[{"duration":1,"scope":"Ip","type":"ban","value":"192.0.2.1"}],"deleted":null}"#,
            "{\"new\":[",
            "{\"new\":[{\"duration\":\"\u{0}",
        ] {
            assert!(DecisionStream::read(body.as_bytes()).is_err(), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert!(DecisionStream::read(format!("{{\"x\":{deep}").as_bytes()).is_err());
    }

    #[test]
    fn spans_are_those_of_go() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("-0", Some(-0.0)),
            ("9m59.625s", Some(599.625)),
            ("-500ms", Some(-0.5)),
            ("2000000µs", Some(2.0)),
            ("1h1h", Some(7200.0)),
            ("277777h7m11s", Some(LONGEST)),
            ("99999999999999999999999h", Some(LONGEST)),
            ("", None),
            ("-", None),
            ("5", None),
            ("h", None),
            ("1.2.3s", None),
            ("1d", None),
            ("1e5s", None),
            ("infs", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        assert_eq!(duration(600.25), "600.250s");
        assert_eq!(seconds(&duration(f64::INFINITY)), Some(LONGEST));
    }
}
