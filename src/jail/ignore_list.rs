//! The ignore list: `ignoreself` and `ignoreip` (facts J16–J18, J26–J28).
//!
//! Pure: addresses of names and contents of files are passed in by the task.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use indexmap::{IndexMap, IndexSet};
use ipnet::IpNet;

use super::address_file::{AddressFile, file_path, name_covers, shown_file};
use super::host_addresses::HostAddresses;
use super::ranges::Ranges;
use crate::address::Address;
use crate::control::{CommandError, Value};

/// The list of one jail.
#[derive(Clone, Debug)]
pub(super) struct IgnoreList {
    /// `ignoreself`
    pub ignore_self: bool,
    singles: IndexSet<Address>,
    /// What is no single address, as added; answers of `get JAIL ignoreip` begin with these.
    items: Vec<IgnoreEntry>,
    ranges: Ranges,
    files: IndexMap<String, AddressFile>,
}

#[derive(Clone, Debug, PartialEq)]
enum IgnoreEntry {
    Net(IpNet),
    Name(String),
    File(String),
}

impl Default for IgnoreList {
    fn default() -> IgnoreList {
        IgnoreList {
            ignore_self: true,
            singles: IndexSet::new(),
            items: Vec::new(),
            ranges: Ranges::default(),
            files: IndexMap::new(),
        }
    }
}

impl IgnoreList {
    /// Adds a word: address, network, name or `file:PATH`. False: it was there already.
    ///
    /// # Errors
    /// A netmask that is none.
    pub fn add(&mut self, word: &str) -> Result<bool, CommandError> {
        if word.is_empty() {
            return Ok(true);
        }
        if let Some(path) = file_path(word) {
            self.items.push(IgnoreEntry::File(path.to_owned()));
            self.files.entry(path.to_owned()).or_default();
            return Ok(true);
        }
        let item = match Address::parse(word) {
            id @ Address::Ip(_) => return Ok(self.singles.insert(id)),
            Address::Net(net) => IgnoreEntry::Net(net),
            Address::Raw(text) => {
                if let Some(mask) = wrong_mask(&text) {
                    return Err(CommandError::builtin(
                        "ValueError",
                        format!(
                            "invalid mask {}, no plen representation",
                            Value::from(mask).repr()
                        ),
                    ));
                }
                IgnoreEntry::Name(text.to_string())
            }
        };
        if self.items.contains(&item) {
            return Ok(false);
        }
        self.items.push(item);
        self.rebuild_ranges();
        Ok(true)
    }

    /// Removes a word.
    ///
    /// # Errors
    /// It is not there (fact P33).
    pub fn remove(&mut self, word: &str) -> Result<(), CommandError> {
        let item = match (file_path(word), Address::parse(word)) {
            (Some(path), _) => IgnoreEntry::File(path.to_owned()),
            (None, id @ Address::Ip(_)) if self.singles.contains(&id) => {
                self.singles.shift_remove(&id);
                return Ok(());
            }
            (None, Address::Net(net)) => IgnoreEntry::Net(net),
            (None, id) => IgnoreEntry::Name(id.to_string()),
        };
        let Some(index) = self.items.iter().position(|other| *other == item) else {
            return Err(CommandError::builtin(
                "ValueError",
                "list.remove(x): x not in list",
            ));
        };
        self.items.remove(index);
        if let IgnoreEntry::File(path) = &item
            && !self.items.contains(&item)
        {
            self.files.shift_remove(path);
        }
        self.rebuild_ranges();
        Ok(())
    }

    /// Empties the list (a reload begins); contents of files are kept until it ends.
    pub fn clear(&mut self) {
        self.singles.clear();
        self.items.clear();
        self.ranges = Ranges::default();
    }

    /// Everything in the list, as `get JAIL ignoreip` answers.
    pub fn words(&self) -> Vec<String> {
        let items = self.items.iter().map(|item| match item {
            IgnoreEntry::Net(net) => Address::Net(*net).to_string(),
            IgnoreEntry::Name(name) => name.clone(),
            IgnoreEntry::File(path) => shown_file(path),
        });
        items
            .chain(self.singles.iter().map(Address::to_string))
            .collect()
    }

    /// Names in the list whose addresses must be known before [`IgnoreList::covers`] is asked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.items.iter().flat_map(|item| {
            let (own, files) = match item {
                IgnoreEntry::Net(_) => (None, None),
                IgnoreEntry::Name(name) => (Some(name.as_str()), None),
                IgnoreEntry::File(path) => (None, self.files.get(path)),
            };
            let in_file = files.into_iter().flat_map(|file| file.names.iter());
            own.into_iter().chain(in_file.map(String::as_str))
        })
    }

    /// Paths of `file:` entries.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match item {
            IgnoreEntry::File(path) => Some(path.as_str()),
            _ => None,
        })
    }

    /// Hands in the text of a file.
    pub fn set_file(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), AddressFile::parse(text));
    }

    /// What the id is ignored by, as the log says it (fact J26): `ignoreself rule`, `ip`, `dns` or
    /// `file:…`; and whether that may be remembered by `ignorecache`.
    pub fn covers(&self, id: &Address, known: &HostAddresses) -> Option<(String, bool)> {
        let ip = match id {
            Address::Ip(ip) => Some(ip),
            _ => None,
        };
        if self.ignore_self && ip.is_some_and(|ip| known.own.contains(ip)) {
            return Some(("ignoreself rule".to_owned(), true));
        }
        if self.singles.contains(id) {
            return Some(("ip".to_owned(), false));
        }
        if self.ranges.contains(id) {
            return Some(("ip".to_owned(), true));
        }
        self.items.iter().find_map(|item| {
            let source = match item {
                IgnoreEntry::Name(name) if name_covers(name, ip, known) => "dns".to_owned(),
                IgnoreEntry::File(path) if self.files.get(path)?.covers(id, ip, known) => {
                    shown_file(path)
                }
                _ => return None,
            };
            Some((source, true))
        })
    }

    /// Whether anything that is ignored lies inside a network, or the network inside of it.
    pub fn reaches_into(&self, net: &IpNet, known: &HostAddresses) -> bool {
        let inside = |id: &Address| match id {
            Address::Ip(ip) => net.contains(ip),
            Address::Net(other) => net.contains(other) || other.contains(net),
            Address::Raw(_) => false,
        };
        let names = |name: &str| {
            let ips = known.names.get(name);
            ips.is_some_and(|ips| ips.iter().any(|ip| net.contains(ip)))
        };
        (self.ignore_self && known.own.iter().any(|ip| net.contains(ip)))
            || self.singles.iter().any(inside)
            || self.ranges.meets(net)
            || self.items.iter().any(|item| match item {
                IgnoreEntry::Name(name) => names(name),
                IgnoreEntry::Net(_) => false,
                IgnoreEntry::File(path) => self.files.get(path).is_some_and(|file| {
                    file.singles.iter().any(inside)
                        || file.ranges.meets(net)
                        || file.names.iter().any(|name| names(name))
                }),
            })
    }

    fn rebuild_ranges(&mut self) {
        let nets = self.items.iter().filter_map(|item| match item {
            IgnoreEntry::Net(net) => Some(*net),
            _ => None,
        });
        self.ranges = Ranges::new(nets);
    }
}

/// `255.0.255.0` of `192.0.2.1/255.0.255.0`.
fn wrong_mask(text: &str) -> Option<&str> {
    let (host, mask) = text.split_once('/')?;
    (host.parse::<IpAddr>().is_ok() && mask.parse::<IpAddr>().is_ok()).then_some(mask)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::Arc;

    use super::*;

    fn list(words: &[&str]) -> IgnoreList {
        let mut list = IgnoreList::default();
        for word in words {
            assert_eq!(list.add(word), Ok(true), "{word}");
        }
        list
    }

    fn known() -> HostAddresses {
        let ips = |text: &str| -> Arc<[IpAddr]> { Arc::new([text.parse().unwrap()]) };
        HostAddresses {
            own: Arc::new(HashSet::from(["127.0.0.1".parse().unwrap()])),
            names: HashMap::from([
                ("host.example".to_owned(), ips("203.0.113.5")),
                ("filed.example".to_owned(), ips("203.0.113.6")),
            ]),
        }
    }

    #[test]
    fn every_source_has_its_name() {
        let mut list = list(&[
            "192.0.2.1",
            "10.0.0.0/8",
            "172.16.0.0/255.240.0.0",
            "2001:db8::/32",
            "host.example",
            "file:///etc/trusted",
        ]);
        list.set_file(
            "/etc/trusted",
            "198.51.100.1, 198.51.100.128/25 # 203.0.113.9\n; 203.0.113.9\nfiled.example 203.0.113.7;y",
        );
        let table = [
            ("127.0.0.1", Some("ignoreself rule")),
            ("192.0.2.1", Some("ip")),
            ("::ffff:192.0.2.1", Some("ip")),
            ("192.0.2.2", None),
            ("10.255.0.1", Some("ip")),
            ("10.1.0.0/16", Some("ip")),
            ("11.0.0.0", None),
            ("9.255.255.255", None),
            ("172.31.255.255", Some("ip")),
            ("172.32.0.0", None),
            ("2001:db8:ffff::1", Some("ip")),
            ("2001:db9::1", None),
            ("203.0.113.5", Some("dns")),
            ("203.0.113.6", Some("file://etc/trusted")),
            ("198.51.100.1", Some("file://etc/trusted")),
            ("198.51.100.200", Some("file://etc/trusted")),
            ("198.51.100.2", None),
            ("203.0.113.7", None),
            ("203.0.113.9", None),
            ("sess0", None),
        ];
        for (id, source) in table {
            let found = list.covers(&Address::parse(id), &known());
            assert_eq!(found.as_ref().map(|f| f.0.as_str()), source, "{id}");
        }
        list.ignore_self = false;
        assert_eq!(list.covers(&Address::parse("127.0.0.1"), &known()), None);
    }

    #[test]
    fn single_hits_are_not_remembered() {
        let list = list(&["192.0.2.1", "10.0.0.0/8"]);
        let remembered = |id: &str| list.covers(&Address::parse(id), &known()).unwrap().1;
        assert!(!remembered("192.0.2.1"));
        assert!(remembered("10.0.0.1"));
    }

    #[test]
    fn order_of_the_answer() {
        let mut list = list(&["192.0.2.1", "host.example", "10.0.0.0/8", "file:/x", ""]);
        assert_eq!(
            list.words(),
            ["host.example", "10.0.0.0/8", "file://x", "192.0.2.1"]
        );
        assert_eq!(list.add("10.9.9.9/8"), Ok(false));
        assert_eq!(list.add("192.0.2.1"), Ok(false));
        assert_eq!(list.remove("10.0.0.0/8"), Ok(()));
        assert_eq!(list.remove("file:/x"), Ok(()));
        assert_eq!(list.remove("192.0.2.1"), Ok(()));
        let error = list.remove("192.0.2.1").unwrap_err();
        assert_eq!(error.to_string(), "list.remove(x): x not in list");
        assert_eq!(list.words(), ["host.example"]);
        let error = list.add("1.2.3.4/255.255.0.255").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid mask '255.255.0.255', no plen representation"
        );
    }
}
