//! The forms of `-o`: failures without a report (facts X18, X19).

use std::io::{self, Write};
use std::net::IpAddr;

use serde_json::json;

use super::json::fields;
use crate::action::tags::field_of_tag;
use crate::address::Address;
use crate::clock;
use crate::fields::{FieldValue, MatchLine};
use crate::filter::{GroupRecord, Name, RegexMatch, quote};
use crate::sys::hosts;
use crate::ticket::Timestamp;

/// One failure to print.
pub(super) struct PrintedHit {
    id: Option<Address>,
    time: Option<Timestamp>,
    record: GroupRecord,
    matches: Vec<MatchLine>,
    missed: bool,
}

impl PrintedHit {
    pub(super) fn new(id: Option<Address>, found: RegexMatch) -> PrintedHit {
        PrintedHit {
            id,
            time: found.time,
            record: found.record,
            matches: found.matches,
            missed: false,
        }
    }

    /// A line that is no failure, as `--invert` prints it.
    pub(super) fn missed(line: &str, time: Option<Timestamp>) -> PrintedHit {
        PrintedHit {
            id: None,
            time,
            record: GroupRecord::with_empty_id(),
            matches: vec![MatchLine::Text(line.to_owned())],
            missed: true,
        }
    }

    fn id(&self) -> String {
        self.id.as_ref().map_or(String::new(), Address::to_string)
    }

    fn lines(&self) -> Vec<String> {
        self.matches.iter().map(MatchLine::text).collect()
    }

    fn ip(&self) -> String {
        match self.record.get(&Name::Ip) {
            Some(value) => plain(value),
            None => self.id(),
        }
    }
}

/// What to print of each failure.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OutputForm {
    /// The id.
    Id,
    /// The address.
    Ip,
    /// The matched lines.
    Msg,
    /// Id, time and fields, as Python shows them.
    Row,
    /// One field.
    Field(String),
    /// Text with `<tags>`.
    Template(String),
    /// All there is, as one JSON object a failure (`--json`, whatever the form).
    Json,
}

impl OutputForm {
    pub(super) fn read(text: &str, json: bool) -> OutputForm {
        match text {
            _ if json => OutputForm::Json,
            "id" | "fid" => OutputForm::Id,
            "ip" => OutputForm::Ip,
            "msg" => OutputForm::Msg,
            "row" => OutputForm::Row,
            text if text.contains('<') => OutputForm::Template(text.to_owned()),
            text => OutputForm::Field(text.to_owned()),
        }
    }

    /// Whether matched lines must be collected.
    pub(super) fn needs_matches(&self) -> bool {
        match self {
            OutputForm::Msg | OutputForm::Template(_) | OutputForm::Json => true,
            OutputForm::Field(name) => name == "matches",
            OutputForm::Id | OutputForm::Ip | OutputForm::Row => false,
        }
    }

    /// Prints the failures of one line.
    ///
    /// # Errors
    /// Of the writer.
    pub(super) fn print(&self, hits: &[PrintedHit], out: &mut impl Write) -> io::Result<()> {
        let mut later = Vec::new();
        for hit in hits {
            match self {
                OutputForm::Id => writeln!(out, "{}", hit.id())?,
                OutputForm::Ip => writeln!(out, "{}", hit.ip())?,
                OutputForm::Msg => {
                    for line in &hit.matches {
                        writeln!(out, "{}", line.text())?;
                    }
                }
                OutputForm::Row => {
                    let id = match hit.record.get(&Name::Fid) {
                        Some(fid @ FieldValue::Tuple(_)) => repr(fid),
                        _ => quote(&hit.id()),
                    };
                    let id_only = hit.missed.then_some("fid");
                    let fields = dict(&hit.record, id_only);
                    writeln!(out, "[{id},\t{},\t{fields}],", moment(hit.time))?;
                }
                OutputForm::Field(name) if name == "matches" => {
                    let all: Vec<_> = hit.matches.iter().map(repr_line).collect();
                    writeln!(out, "[{}]", all.join(", "))?;
                }
                OutputForm::Field(name) => match hit.record.get(&Name::from(name.as_str())) {
                    Some(value) => writeln!(out, "{}", plain(value))?,
                    None => writeln!(out, "None")?,
                },
                OutputForm::Json => writeln!(
                    out,
                    "{}",
                    json!({
                        "id": hit.id.as_ref().map(Address::to_string),
                        "time": hit.time,
                        "fields": fields(&hit.record),
                        "lines": hit.lines(),
                    })
                )?,
                OutputForm::Template(template) => {
                    if template.contains("<msg>") && hit.matches.len() > 1 || !later.is_empty() {
                        later.push(hit);
                    } else {
                        let line = hit.matches.first().map(MatchLine::text);
                        writeln!(out, "{}", expand(template, hit, &line.unwrap_or_default()))?;
                    }
                }
            }
        }
        // a template with several lines for <msg> is printed once per line, after the others
        if let OutputForm::Template(template) = self {
            for hit in later {
                for line in &hit.matches {
                    writeln!(out, "{}", expand(template, hit, &line.text()))?;
                }
            }
        }
        Ok(())
    }
}

/// Replaces the tags a failure can answer without a jail; others stay.
fn expand(template: &str, hit: &PrintedHit, message: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        rest = &rest[start..];
        let Some(end) = rest.find('>') else { break };
        match tag(&rest[1..end], hit, message) {
            Some(value) => {
                text.push_str(&value);
                rest = &rest[end + 1..];
            }
            None => {
                text.push('<');
                rest = &rest[1..];
            }
        }
    }
    text + rest
}

/// The value of a tag; `None` for one that needs a jail or is none. A field that was not captured
/// is empty text.
fn tag(name: &str, hit: &PrintedHit, message: &str) -> Option<String> {
    if let Some(field) = field_of_tag(name) {
        return Some(
            hit.record
                .get(&Name::from(field.as_str()))
                .map_or(String::new(), plain),
        );
    }
    let address = match Address::parse(&hit.ip()) {
        Address::Ip(ip) => Some(ip),
        _ => None,
    };
    Some(match name {
        "msg" => message.to_owned(),
        "br" => "\n".to_owned(),
        "sp" => " ".to_owned(),
        "ip" => hit.ip(),
        "fid" => hit.id(),
        "family" => address
            .map_or("None", |ip| if ip.is_ipv4() { "inet4" } else { "inet6" })
            .to_owned(),
        "ip-rev" => address.map_or(String::new(), reversed),
        "ip-host" => address
            .and_then(hosts::names_of)
            .and_then(|names| names.into_iter().next())
            .unwrap_or_else(|| "None".to_owned()),
        "fq-hostname" => hosts::full_name(),
        "sh-hostname" => hosts::short_name(),
        "time" => moment(hit.time.or_else(|| Some(clock::now()))),
        "failures" | "bancount" => "0".to_owned(),
        "matches" => hit.lines().join("\n"),
        _ => return None,
    })
}

/// An address as reverse look-ups name it, with a dot at the end.
fn reversed(address: IpAddr) -> String {
    let parts: Vec<String> = match address {
        IpAddr::V4(ip) => ip.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            let nibbles = octets.iter().rev().flat_map(|o| [o & 15, o >> 4]);
            nibbles.map(|n| format!("{n:x}")).collect()
        }
    };
    parts.join(".") + "."
}

/// A record as Python shows a dict.
pub(super) fn dict(record: &GroupRecord, only: Option<&str>) -> String {
    let pairs: Vec<_> = record
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .map(|(name, value)| {
            let value = value.map_or("None".to_owned(), repr);
            format!("{}: {value}", quote(name))
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn moment(time: Option<Timestamp>) -> String {
    time.map_or("None".to_owned(), |t| format!("{t:?}"))
}

fn plain(value: &FieldValue) -> String {
    match value {
        FieldValue::Text(text) => text.clone(),
        FieldValue::Address(address) => address.to_string(),
        other => repr(other),
    }
}

fn repr(value: &FieldValue) -> String {
    match value {
        FieldValue::Text(text) => quote(text),
        FieldValue::Address(address) => quote(&address.to_string()),
        FieldValue::Set(values) => {
            let all: Vec<_> = values.iter().map(|v| quote(v)).collect();
            format!("{{{}}}", all.join(", "))
        }
        FieldValue::Tuple(parts) => {
            let all: Vec<_> = parts
                .iter()
                .map(|p| p.as_deref().map_or("None".to_owned(), quote))
                .collect();
            format!("({})", all.join(", "))
        }
    }
}

fn repr_line(line: &MatchLine) -> String {
    match line {
        MatchLine::Text(text) => quote(text),
        MatchLine::Parts(parts) => {
            let all: Vec<_> = parts.iter().map(|p| quote(p)).collect();
            format!("({})", all.join(", "))
        }
    }
}
