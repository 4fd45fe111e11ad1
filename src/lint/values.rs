//! Checks values of some options: ports, ignored addresses, yes and no.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::net::IpAddr;

use crate::address::Address;
use crate::config::files::Files;
use crate::control::Value;
use crate::python::text::quoted;

/// Names of services that firewalls know.
#[derive(Debug)]
pub(super) struct KnownServices(Option<HashSet<String>>);

impl KnownServices {
    /// Those of `/etc/services`; without it any name may be one.
    pub fn read(files: &dyn Files) -> KnownServices {
        let Ok(bytes) = files.read("/etc/services") else {
            return KnownServices(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        KnownServices(Some(
            services(&text).map(|(name, _)| name.to_owned()).collect(),
        ))
    }

    /// The parts of a list of ports that are none: numbers, ranges, names.
    pub fn unknown<'p>(&self, ports: &'p str) -> Vec<&'p str> {
        let parts = ports
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        parts.filter(|part| !self.knows(part)).collect()
    }

    fn knows(&self, part: &str) -> bool {
        let number = |text: &str| -> Option<u32> {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|n| digits && *n <= 65_535)
        };
        if let Some((from, to)) = part.split_once([':', '-'])
            && let (Some(from), Some(to)) = (number(from), number(to))
        {
            return from <= to;
        }
        if part.bytes().all(|b| b.is_ascii_digit()) {
            return number(part).is_some();
        }
        self.0.as_ref().is_none_or(|names| names.contains(part))
    }
}

/// The services of a text in the form of `/etc/services`, `NAME NUMBER/PROTOCOL ALIAS…`, each name
/// with the number.
pub fn services(text: &str) -> impl Iterator<Item = (&str, u16)> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line));
    lines.flat_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next();
        let port = words.next().and_then(|word| word.split('/').next());
        let port = port.and_then(|port| port.parse().ok());
        let names = name.into_iter().chain(words);
        port.into_iter()
            .flat_map(move |port| names.clone().map(move |name| (name, port)))
    })
}

/// Which family these words leave nobody of to ban: `IPv4`, `IPv6`.
pub(super) fn covered(words: &[&str]) -> Vec<&'static str> {
    let mut v4: Vec<(u128, u128)> = Vec::new();
    let mut v6 = Vec::new();
    for word in words {
        let (first, last) = match Address::parse_ip(word) {
            Some(Address::Net(net)) => (net.network(), net.broadcast()),
            Some(Address::Ip(ip)) => (ip, ip),
            _ => continue,
        };
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => v4.push((u32::from(a).into(), u32::from(b).into())),
            (IpAddr::V6(a), IpAddr::V6(b)) => v6.push((a.into(), b.into())),
            _ => {}
        }
    }
    let all = [("IPv4", v4, u128::from(u32::MAX)), ("IPv6", v6, u128::MAX)];
    all.into_iter()
        .filter_map(|(family, mut ranges, last)| {
            ranges.sort_unstable();
            let mut next = Some(0);
            for (from, to) in ranges {
                match next {
                    Some(expected) if from > expected => return None,
                    Some(expected) if to >= expected => next = to.checked_add(1),
                    _ => {}
                }
            }
            next.is_none_or(|next| next > last).then_some(family)
        })
        .collect()
}

/// Whether a text is a word for yes or no. All but `1 on true yes` are no, in any case (fact C55).
pub(super) fn is_yes_or_no(text: &str) -> bool {
    const WORDS: [&str; 9] = ["1", "on", "true", "yes", "0", "off", "false", "no", ""];
    WORDS.contains(&text.trim().to_lowercase().as_str())
}

/// What the server says of the value in a command, without the words Python has for it.
pub(super) fn plain(text: &str, words: &[Value]) -> String {
    const TIMES: [&str; 5] = [
        "bantime",
        "bantime.maxtime",
        "bantime.rndtime",
        "dbpurgeage",
        "findtime",
    ];
    let words: Vec<_> = words.iter().map(Value::str).collect();
    let of_time = |word: &str| TIMES.contains(&word);
    let from_python = text.contains("(<string>") || text.starts_with("name '");
    if from_python && let Some(at) = words.iter().position(|word| of_time(word)) {
        let value = words.get(at + 1).map_or("", |word| word);
        return format!(
            "{} is no time: seconds, or numbers with units such as 90s, 10m, 1h 30m, 2d",
            quoted(value)
        );
    }
    if text.starts_with("int() argument must be") {
        // a value that was no number and so became nothing
        return "this is no whole number".to_owned();
    }
    for (start, kind) in [
        ("invalid literal for int() with base 10: ", "whole number"),
        ("could not convert string to float: ", "number"),
    ] {
        if let Some(value) = text.strip_prefix(start) {
            return format!("{value} is no {kind}");
        }
    }
    let end = text.find(" (<string>").unwrap_or(text.len());
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        let services = KnownServices(Some(["http", "www"].map(str::to_owned).into()));
        let unknown = services.unknown("80, http,0:65535,1-2,htp,70000,9:1,:,www");
        assert_eq!(unknown, ["htp", "70000", "9:1", ":"]);
        assert!(KnownServices(None).unknown("htp").is_empty());
    }

    #[test]
    fn everything() {
        for (words, expected) in [
            (&["0.0.0.0/0"][..], &["IPv4"][..]),
            (&["::/0", "10.0.0.0/8"], &["IPv6"]),
            (&["128.0.0.0/1", "0.0.0.0/1"], &["IPv4"]),
            (&["0.0.0.0/1", "128.0.0.0/2"], &[]),
            (&["10.0.0.0/0", "::/0"], &["IPv4", "IPv6"]),
            (&["127.0.0.1/8", "::1", "name"], &[]),
        ] {
            assert_eq!(covered(words), expected, "{words:?}");
        }
    }
}
