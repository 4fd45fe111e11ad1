//! Finds regexes with which a client could choose whom to ban, and ids that could change a command.
#![forbid(unsafe_code)]

use sha1::{Digest as _, Sha1};

use super::regexes::values_of;
use super::{LintFindings, Severity};
use crate::config::ConfigPlace;
use crate::control::Value;
use crate::jail::open_ids::open_ids;
use crate::pattern::{FailRegex, Steering, UseDns};

/// Regexes of fail2ban 1.0.2 and 1.1.1 that a client can lead though nothing in them says so: the first
/// half of the SHA-1 of each.
const KNOWN: [&str; 11] = [
    "25244e0407dd149f36c8",
    "5c176f777a24de2958fb",
    "17adfeaa1c6dc2966dd9",
    "58cb9dceea64e9ec21e1",
    "5295f0162f76ad097cd4",
    "8b63c86ebe9c1c61c6ef",
    "aba5692bee7148acc9b5",
    "240a69ad24819d8e60cc",
    "6caecbe851542e9e5aac",
    "f4300ab2a1e412fd28a7",
    "87391b8ba2ffc20c3032",
];

/// How a client can lead a regex, if it can.
pub fn leads(regex: &FailRegex) -> Option<&'static str> {
    let steering = regex.steering();
    if regex.risks().injectable && steering != Some(Steering::BehindRhost) {
        return Some(
            "text of any kind before the address, and behind it no `$`, or one after what matches \
             anything: who can write into the line chooses whom to ban; end the regex right behind the \
             address with `$`",
        );
    }
    match steering {
        Some(Steering::BothSides) => Some(
            "any text may stand before the address and behind it: a client that writes into the line \
             may have another address taken for its own",
        ),
        Some(Steering::BehindRhost) => Some(
            "PAM writes the user behind rhost=, and a user may be named `x rhost=…`: who logs in \
             chooses whom to ban",
        ),
        Some(Steering::Port) => Some(
            "a port behind an IPv6 address may be taken for its end: who connects chooses its port",
        ),
        None => is_known(regex).then_some(
            "a client can write a line that this regex reads as another one's: see docs/filters.md \
             of Ferroban, whose own filter of this name cannot be led",
        ),
    }
}

/// Whether it is one of fail2ban's own that can be led for no reason one could see.
fn is_known(regex: &FailRegex) -> bool {
    KNOWN.contains(&&*digest(regex.source()))
}

/// The first half of the SHA-1 of a regex, in hexadecimal.
fn digest(source: &str) -> String {
    let bytes = Sha1::digest(source.as_bytes());
    bytes.iter().take(10).map(|b| format!("{b:02x}")).collect()
}

/// Looks at the regexes among commands; `place` tells where a value of one stands, `severity` how bad
/// it is that a client can lead one. Fail2ban's own are noted: who uses them has made no mistake.
pub(super) fn look(
    commands: &[Vec<Value>],
    place: &dyn Fn(usize, usize) -> Option<ConfigPlace>,
    severity: Severity,
    findings: &mut LintFindings<'_>,
) {
    for fault in open_ids(commands) {
        let place = place(fault.command, fault.item);
        findings.add(Severity::Warning, "open-id", place, fault.text);
    }
    // an expression without an id before the others takes what can be read in two ways
    let mut is_guarded = false;
    for (index, words) in commands.iter().enumerate() {
        let option = words.get(2).and_then(Value::as_str).unwrap_or_default();
        if !matches!(option, "addfailregex" | "prefregex") {
            continue;
        }
        for (item, source) in values_of(words).iter().enumerate() {
            let source = source.as_str().unwrap_or_default();
            let Ok(regex) = FailRegex::new(source, UseDns::Warn, false) else {
                continue;
            };
            is_guarded |= option == "addfailregex" && !regex.has_id();
            let is_guarded = is_guarded && regex.steering() == Some(Steering::BothSides);
            let Some(text) = leads(&regex).filter(|_| !is_guarded) else {
                continue;
            };
            let severity = match is_known(&regex) {
                true => Severity::Note,
                false => severity,
            };
            findings.add(severity, "log-injection", place(index, item), text);
        }
    }
}
