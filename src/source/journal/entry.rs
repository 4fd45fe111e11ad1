//! Formats the fields of a journal entry as the line that a filter sees (fact K11).
//!
//! A newline in a message is shown as `\n`, so that nobody can forge a second line.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::python::encoding::{Encoding, bytes_literal};
use crate::sys::localtime;
use crate::ticket::Timestamp;

/// Longer values are cut here, as libsystemd does.
pub(super) const LONGEST_VALUE: usize = 64 << 10;

/// One entry as a filter takes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JournalEntry {
    /// Its time as text with a blank: the "date" of the line.
    pub date: String,
    /// The line without its date.
    pub line: String,
    /// Its time.
    pub time: Timestamp,
}

/// The fields that matter, as they are in the journal.
#[derive(Debug, Default)]
pub(super) struct EntryFields {
    hostname: Vec<u8>,
    identifier: Vec<u8>,
    command: Vec<u8>,
    syslog_pid: Vec<u8>,
    pid: Vec<u8>,
    message: Vec<u8>,
    messages: usize,
    source_realtime: Option<u64>,
    source_monotonic: Option<u64>,
    /// When it was received, in microseconds since 1970.
    pub realtime: u64,
    /// The same since boot.
    pub monotonic: u64,
}

impl EntryFields {
    /// Before the first field of an entry.
    pub fn clear(&mut self) {
        for text in [
            &mut self.hostname,
            &mut self.identifier,
            &mut self.command,
            &mut self.syslog_pid,
            &mut self.pid,
            &mut self.message,
        ] {
            text.clear();
        }
        self.messages = 0;
        self.source_realtime = None;
        self.source_monotonic = None;
        (self.realtime, self.monotonic) = (0, 0);
    }

    /// Whether a field of this name matters.
    pub fn wants(name: &[u8]) -> bool {
        matches!(
            name,
            b"MESSAGE"
                | b"_HOSTNAME"
                | b"SYSLOG_IDENTIFIER"
                | b"_COMM"
                | b"SYSLOG_PID"
                | b"_PID"
                | b"_SOURCE_REALTIME_TIMESTAMP"
                | b"_SOURCE_MONOTONIC_TIMESTAMP"
        )
    }

    /// Takes a field; of most the first one counts, messages are joined.
    pub fn take(&mut self, name: &[u8], value: &[u8]) {
        let text = match name {
            b"MESSAGE" => {
                if self.messages > 0 {
                    self.message.push(b' ');
                }
                self.messages += 1;
                let room = LONGEST_VALUE.saturating_sub(self.message.len());
                self.message
                    .extend_from_slice(&value[..value.len().min(room)]);
                return;
            }
            b"_SOURCE_REALTIME_TIMESTAMP" => return self.source_realtime = number(value),
            b"_SOURCE_MONOTONIC_TIMESTAMP" => return self.source_monotonic = number(value),
            b"_HOSTNAME" => &mut self.hostname,
            b"SYSLOG_IDENTIFIER" => &mut self.identifier,
            b"_COMM" => &mut self.command,
            b"SYSLOG_PID" => &mut self.syslog_pid,
            b"_PID" => &mut self.pid,
            _ => return,
        };
        if text.is_empty() {
            text.extend_from_slice(value);
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Makes entries of fields.
#[derive(Debug)]
pub(super) struct LineBuilder {
    encoding: Encoding,
    /// The second whose text is at hand: date and time of day, and the offset from UTC.
    second: i64,
    day_and_time: String,
    offset: String,
}

impl LineBuilder {
    /// For messages that are UTF-8, or else in this encoding.
    pub fn new(encoding: Encoding) -> LineBuilder {
        LineBuilder {
            encoding,
            second: i64::MIN,
            day_and_time: String::new(),
            offset: String::new(),
        }
    }

    /// The entry of these fields.
    pub fn entry(&mut self, fields: &EntryFields) -> JournalEntry {
        let time = fields.source_realtime.unwrap_or(fields.realtime);
        JournalEntry {
            date: self.date(time),
            line: self.line(fields),
            // microseconds are exact in a float for the next 280 years
            time: time as f64 / 1e6,
        }
    }

    fn line(&self, fields: &EntryFields) -> String {
        let mut line = String::with_capacity(fields.message.len() + 64);
        if !fields.hostname.is_empty() {
            line += &self.text(&fields.hostname);
            line.push(' ');
        }
        let name = match fields.identifier.is_empty() {
            true => &fields.command,
            false => &fields.identifier,
        };
        if !name.is_empty() {
            let name = self.text(name);
            line += &name;
            let pid = pid(&fields.syslog_pid).or_else(|| pid(&fields.pid));
            match pid {
                Some(pid) => {
                    // writing to a text cannot fail
                    let _ = write!(line, "[{pid}]: ");
                }
                None => line += ": ",
            }
            if name == "kernel" && line.ends_with("kernel: ") {
                let monotonic = fields.source_monotonic.unwrap_or(fields.monotonic);
                let _ = write!(line, "[{:12.6}] ", monotonic as f64 / 1e6);
            }
        }
        line += &self.text(&fields.message);
        match memchr::memchr(b'\n', line.as_bytes()) {
            Some(_) => line.replace('\n', "\\n"),
            None => line,
        }
    }

    fn text<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => self.encoding.decode(bytes).0,
        }
    }

    /// ISO 8601 with microseconds where there are any, and a blank.
    fn date(&mut self, time: u64) -> String {
        let second = i64::try_from(time / 1_000_000).unwrap_or(i64::MAX);
        if second != self.second {
            let offset = chrono::FixedOffset::east_opt(localtime::offset_at(second));
            let utc = chrono::DateTime::from_timestamp(second, 0).unwrap_or_default();
            let local = utc.with_timezone(&offset.unwrap_or(const { zero() }));
            self.day_and_time = local.format("%Y-%m-%dT%H:%M:%S").to_string();
            self.offset = local.format("%:z").to_string();
            self.second = second;
        }
        let mut date = String::with_capacity(34);
        date += &self.day_and_time;
        let micros = time % 1_000_000;
        if micros > 0 {
            let _ = write!(date, ".{micros:06}");
        }
        date += &self.offset;
        date.push(' ');
        date
    }
}

const fn zero() -> chrono::FixedOffset {
    match chrono::FixedOffset::east_opt(0) {
        Some(offset) => offset,
        None => unreachable!(),
    }
}

/// A process id as Python shows what it takes for a number, else its bytes literal; `None` for
/// nothing and for 0.
fn pid(text: &[u8]) -> Option<Cow<'_, str>> {
    if text.is_empty() {
        return None;
    }
    if text[0] != b'0' && text.iter().all(u8::is_ascii_digit) {
        return Some(String::from_utf8_lossy(text));
    }
    match whole_number(text) {
        Some(number) if number.trim_start_matches('-').is_empty() => None,
        Some(number) => Some(Cow::Owned(number)),
        None => Some(Cow::Owned(bytes_literal(text))),
    }
}

/// Digits without what Python's `int` leaves out; empty for zero.
fn whole_number(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let grouped = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if !grouped || plain.is_empty() {
        return None;
    }
    if plain.bytes().all(|b| b.is_ascii_digit()) {
        return Some(format!("{sign}{}", plain.trim_start_matches('0')));
    }
    let lower = plain.to_ascii_lowercase();
    let bases = [("0x", 16), ("0o", 8), ("0b", 2)];
    let (digits, base) = bases
        .iter()
        .find_map(|(prefix, base)| Some((lower.strip_prefix(prefix)?, *base)))?;
    let number = u128::from_str_radix(digits, base).ok()?;
    Some(match number {
        0 => String::new(),
        number => format!("{sign}{number}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(fields: &[(&str, &[u8])]) -> String {
        let mut taken = EntryFields {
            monotonic: 1_004_000,
            ..EntryFields::default()
        };
        for (name, value) in fields {
            assert!(EntryFields::wants(name.as_bytes()));
            taken.take(name.as_bytes(), value);
        }
        LineBuilder::new(Encoding::utf_8()).entry(&taken).line
    }

    #[test]
    fn lines_as_the_original_builds_them() {
        let host: (&str, &[u8]) = ("_HOSTNAME", b"h");
        let ident: (&str, &[u8]) = ("SYSLOG_IDENTIFIER", b"app");
        let message: (&str, &[u8]) = ("MESSAGE", b"m");
        assert_eq!(line(&[host, message]), "h m");
        assert_eq!(line(&[host, ident, message]), "h app: m");
        assert_eq!(line(&[host, ident, ("_PID", b"7"), message]), "h app[7]: m");
        assert_eq!(
            line(&[host, ident, ("_PID", b"7"), ("SYSLOG_PID", b"8"), message]),
            "h app[8]: m"
        );
        assert_eq!(line(&[host, ("_COMM", b"c"), message]), "h c: m");
        assert_eq!(
            line(&[host, ident, ("SYSLOG_PID", b"abc"), message]),
            "h app[b'abc']: m"
        );
        assert_eq!(
            line(&[host, ident, ("SYSLOG_PID", b"0"), ("_PID", b"007"), message]),
            "h app[7]: m"
        );
        assert_eq!(line(&[ident, ("_PID", b"0x10"), message]), "app[16]: m");
        assert_eq!(
            line(&[ident, ("_PID", b" 1_000 "), message]),
            "app[1000]: m"
        );
        assert_eq!(
            line(&[host, ("SYSLOG_IDENTIFIER", b"kernel"), message]),
            "h kernel: [    1.004000] m"
        );
        assert_eq!(
            line(&[("SYSLOG_IDENTIFIER", b"kernel"), ("_PID", b"1"), message]),
            "kernel[1]: m"
        );
        assert_eq!(line(&[host, ident]), "h app: ");
        assert_eq!(line(&[message, ("MESSAGE", b"n")]), "m n");
        assert_eq!(line(&[("MESSAGE", b"\xff")]), "\u{fffd}");
    }

    #[test]
    fn a_newline_forges_nothing() {
        let forged = b"one\nNov 22 01:00:00 h sshd[1]: Failed password for root from 192.0.2.1";
        let text = line(&[("MESSAGE", forged)]);
        assert!(!text.contains('\n') && text.starts_with("one\\nNov"));
    }

    #[test]
    fn times_are_exact() {
        let mut builder = LineBuilder::new(Encoding::utf_8());
        let mut fields = EntryFields {
            realtime: 1_700_000_000_000_000,
            ..EntryFields::default()
        };
        let whole = builder.entry(&fields);
        assert_eq!(whole.time, 1.7e9);
        assert_eq!(&whole.date[13..19], ":13:20");
        assert!(!whole.date.contains('.') && whole.date.ends_with(' '));
        fields.take(b"_SOURCE_REALTIME_TIMESTAMP", b"1700000000000042");
        let precise = builder.entry(&fields);
        assert_eq!(precise.time, 1_700_000_000.000_042);
        assert!(precise.date.contains(":13:20.000042+") || precise.date.contains(".000042-"));
    }
}
