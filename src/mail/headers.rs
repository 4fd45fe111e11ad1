//! The headers that every message must have (RFC 5322, 3.6): those that a command did not write are
//! added behind its own. `sendmail` does so by itself, an SMTP server need not.
#![forbid(unsafe_code)]

use chrono::{DateTime, Utc};

/// Whom a message is from when nothing says so.
const SENDER: &str = "fail2ban";

/// An address of the protocol: stock configurations say `root`, which is one of this machine.
pub fn address(text: &str, domain: &str) -> String {
    match text.contains('@') {
        true => text.to_owned(),
        false => format!("{text}@{domain}"),
    }
}

/// The message with `Date`, `From` and `Message-ID`, where it has none of them.
pub fn complete(text: &[u8], sender: &str, domain: &str, now: DateTime<Utc>) -> Vec<u8> {
    let domain = if domain.is_empty() {
        "localhost"
    } else {
        domain
    };
    let (end, separated) = head(text);
    let (head, rest) = text.split_at(end);
    let has = |name: &str| {
        let mut lines = head.split(|byte| *byte == b'\n');
        lines.any(|line| {
            let name_of_line = line.split(|byte| *byte == b':').next();
            name_of_line.is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
        })
    };
    let mut out = head.to_vec();
    if !matches!(out.last(), None | Some(b'\n')) {
        out.push(b'\n');
    }
    if !has("From") {
        let sender = if sender.is_empty() { SENDER } else { sender };
        out.extend_from_slice(format!("From: {}\n", address(sender, domain)).as_bytes());
    }
    if !has("Date") {
        // the zone as the original's smtp.py has it
        let date = now.format("%a, %d %b %Y %H:%M:%S -0000");
        out.extend_from_slice(format!("Date: {date}\n").as_bytes());
    }
    if !has("Message-ID") {
        let (time, number) = (now.timestamp_micros(), fastrand::u64(..));
        let id = format!("Message-ID: <{time:x}.{number:x}@{domain}>\n");
        out.extend_from_slice(id.as_bytes());
    }
    if !separated {
        out.push(b'\n');
    }
    out.extend_from_slice(rest);
    out
}

/// Where the headers end, and whether an empty line follows. As to `sendmail` a line that is no
/// header begins the text.
fn head(text: &[u8]) -> (usize, bool) {
    let mut end = 0;
    while end < text.len() {
        let rest = &text[end..];
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..length.unwrap_or(rest.len())];
        match line {
            [] | [b'\r'] => return (end, true),
            [b' ' | b'\t', ..] if end > 0 => {}
            line if is_header(line) => {}
            _ => return (end, false),
        }
        end += length.map_or(rest.len(), |length| length + 1);
    }
    (end, false)
}

fn is_header(line: &[u8]) -> bool {
    let name = line.iter().position(|byte| *byte == b':').unwrap_or(0);
    name > 0 && line[..name].iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(text: &str) -> String {
        let now = DateTime::from_timestamp(1_795_291_452, 0).unwrap();
        let text = complete(text.as_bytes(), "f2b", "vm.example.org", now);
        let text = String::from_utf8(text).unwrap();
        let (before, id) = text.split_once("Message-ID: <").unwrap();
        let (id, after) = id.split_once(">\n").unwrap();
        assert!(id.ends_with("@vm.example.org"), "{id}");
        format!("{before}ID\n{after}")
    }

    #[test]
    fn headers_that_are_missing_are_added_behind_the_others() {
        let added = "From: f2b@vm.example.org\nDate: Sat, 21 Nov 2026 20:04:12 -0000\nID\n";
        for (text, head, body) in [
            (
                "Subject: x\nTo: a\n\nHi\n\nend",
                "Subject: x\nTo: a\n",
                "\nHi\n\nend",
            ),
            (
                "Subject: x\n folded\r\n\r\nHi",
                "Subject: x\n folded\r\n",
                "\r\nHi",
            ),
            ("Subject: x", "Subject: x\n", "\n"),
            // what is no header begins the text, and so does the text of a command without any
            (
                "Subject: x\nHi, you: a\nTo: b\n\nc",
                "Subject: x\n",
                "\nHi, you: a\nTo: b\n\nc",
            ),
            ("Hi\n", "", "\nHi\n"),
            ("\nFrom: x\n", "", "\nFrom: x\n"),
            ("", "", "\n"),
        ] {
            assert_eq!(completed(text), format!("{head}{added}{body}"), "{text:?}");
        }
    }

    #[test]
    fn headers_that_are_there_stay() {
        let text = "FROM: a <b@c>\ndate: then\n\nMessage-ID: <x@vm.example.org>\n";
        let whole = "FROM: a <b@c>\ndate: then\nID\n\nMessage-ID: <x@vm.example.org>\n";
        assert_eq!(completed(text), whole);
        let text = b"From: a\nDate: then\nMessage-Id: <x>\n\n";
        assert_eq!(complete(text, "", "d", Utc::now()), text);
    }

    #[test]
    fn each_message_has_an_id_of_its_own() {
        let now = Utc::now();
        let message = || complete(b"\n", "", "d", now);
        assert_ne!(message(), message());
    }
}
