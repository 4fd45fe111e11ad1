//! `file:PATH` in `ignoreip` (fact J27): how the path is written, and the addresses, networks and
//! names that are in the file.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::net::IpAddr;

use super::host_addresses::HostAddresses;
use super::ranges::Ranges;
use crate::address::Address;

/// The path of `file:PATH`. Up to two slashes after the colon belong to the scheme unless what
/// remains would no longer look absolute; a first folder of one or two characters (`./`, `../`)
/// makes it relative (fact J27).
pub(super) fn file_path(word: &str) -> Option<&str> {
    let rest = word.strip_prefix("file:")?;
    let slashes = rest.bytes().take(2).take_while(|b| *b == b'/').count();
    let absolute = |skip: usize| {
        let name = rest[skip..].strip_prefix('/')?;
        let short = name.char_indices().skip(1).take(2).any(|(_, c)| c == '/');
        (!name.starts_with('/') && !short).then_some(&rest[skip..])
    };
    Some(
        (0..=slashes)
            .rev()
            .find_map(absolute)
            .unwrap_or(&rest[slashes..]),
    )
}

/// The entry as answers and the log show it.
pub(super) fn shown_file(path: &str) -> String {
    let slash = if path.starts_with('/') { "/" } else { "" };
    format!("file:{slash}{path}")
}

/// The contents of a `file:` entry (fact J27).
#[derive(Clone, Debug, Default)]
pub(super) struct AddressFile {
    pub singles: HashSet<Address>,
    pub ranges: Ranges,
    pub names: Vec<String>,
}

impl AddressFile {
    /// Reads the contents.
    pub fn parse(text: &str) -> AddressFile {
        let mut file = AddressFile::default();
        let mut nets = Vec::new();
        for word in text.lines().flat_map(words) {
            match Address::parse(word) {
                id @ Address::Ip(_) => {
                    file.singles.insert(id);
                }
                Address::Net(net) => nets.push(net),
                Address::Raw(name) => file.names.push(name.to_string()),
            }
        }
        file.ranges = Ranges::new(nets.into_iter());
        file
    }

    /// Whether the file has the id; `ip` is the id when it is an address.
    pub fn covers(&self, id: &Address, ip: Option<&IpAddr>, known: &HostAddresses) -> bool {
        self.singles.contains(id)
            || self.ranges.contains(id)
            || self.names.iter().any(|name| name_covers(name, ip, known))
    }
}

/// Whether the address is one of the name's.
pub(super) fn name_covers(name: &str, ip: Option<&IpAddr>, known: &HostAddresses) -> bool {
    ip.is_some_and(|ip| known.names.get(name).is_some_and(|ips| ips.contains(ip)))
}

/// Words of a line, without the comment that `#` or `;` begins at its start or after a blank.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut after_blank = true;
    let end = line.find(|c: char| {
        let comment = after_blank && matches!(c, '#' | ';');
        after_blank = c.is_whitespace();
        comment
    });
    line[..end.unwrap_or(line.len())]
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_paths() {
        let table = [
            ("file:/x", "/x", "file://x"),
            ("file:///abs/x", "/abs/x", "file://abs/x"),
            ("file://rel", "/rel", "file://rel"),
            ("file:rel/x", "rel/x", "file:rel/x"),
            ("file://./x", "./x", "file:./x"),
            ("file://../x", "../x", "file:../x"),
            ("file:/a/x", "a/x", "file:a/x"),
            ("file:///a/x", "/a/x", "file://a/x"),
        ];
        for (word, path, shown) in table {
            assert_eq!(file_path(word), Some(path), "{word}");
            assert_eq!(shown_file(path), shown);
        }
        assert_eq!(file_path("192.0.2.1"), None);
    }
}
