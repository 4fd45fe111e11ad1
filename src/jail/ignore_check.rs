//! The part of the core that checks whether an id is ignored, and the data it needs for that.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::core::{IgnoreVerdict, JailCore};
use crate::address::Address;
use crate::ticket::Timestamp;

impl JailCore {
    /// Whether an id is ignored (fact J26). `key` is the expanded key of `ignorecache`.
    pub fn ignored(&mut self, id: &Address, key: Option<&str>, now: Timestamp) -> IgnoreVerdict {
        let cached = key.and_then(|key| self.options.ignore_cache.as_ref()?.get(key, now));
        match cached {
            Some(true) => return IgnoreVerdict::Cached,
            Some(false) => return IgnoreVerdict::NotIgnored,
            None => {}
        }
        if let Some((by, remember)) = self.options.ignore.covers(id, &self.known) {
            if remember {
                self.remember_ignored(key, true, now);
            }
            return IgnoreVerdict::Ignored(by);
        }
        match &self.options.ignore_command {
            Some(command) if !command.is_empty() => IgnoreVerdict::RunCommand(command.clone()),
            _ => {
                self.remember_ignored(key, false, now);
                IgnoreVerdict::NotIgnored
            }
        }
    }

    /// The rules by which an id may be ignored that only the outside world can answer, and that it
    /// has told nothing about: `ignorecommand`, and names in `ignoreip`.
    pub fn outside_rules(&self) -> Vec<String> {
        let command = self
            .options
            .ignore_command
            .iter()
            .filter(|text| !text.is_empty());
        let names = self.unknown_names().into_iter();
        command
            .map(|_| "ignorecommand".to_owned())
            .chain(names.map(|name| format!("ignoreip {name}")))
            .collect()
    }

    /// Remembers an answer for `ignorecache`.
    pub fn remember_ignored(&mut self, key: Option<&str>, answer: bool, now: Timestamp) {
        if let (Some(cache), Some(key)) = (&mut self.options.ignore_cache, key) {
            cache.set(key.to_owned(), answer, now);
        }
    }

    /// The key of `ignorecache`, its tags not yet expanded.
    pub fn ignore_key(&self) -> Option<&str> {
        self.options
            .ignore_cache
            .as_ref()
            .map(|cache| cache.key.as_str())
    }

    /// Whether addresses of this machine are wanted.
    pub fn ignores_self(&self) -> bool {
        self.options.ignore.ignore_self
    }

    /// Names in `ignoreip`, also in its files.
    pub fn ignored_names(&self) -> Vec<String> {
        self.options.ignore.names().map(str::to_owned).collect()
    }

    /// Files in `ignoreip`.
    pub fn ignored_files(&self) -> Vec<String> {
        self.options.ignore.files().map(str::to_owned).collect()
    }

    /// Hands in the addresses of this machine.
    pub fn know_own_addresses(&mut self, addresses: Arc<HashSet<IpAddr>>) {
        self.known.own = addresses;
    }

    /// Names in `ignoreip` whose addresses nobody has handed in.
    pub fn unknown_names(&self) -> Vec<String> {
        let names = self.ignored_names().into_iter();
        names
            .filter(|name| !self.known.names.contains_key(name))
            .collect()
    }

    /// Hands in the addresses of a name, if it is one in `ignoreip`.
    pub fn know_name(&mut self, name: &str, addresses: &Arc<[IpAddr]>) {
        if let Some(known) = self.known.names.get_mut(name) {
            *known = addresses.clone();
        }
    }

    /// Hands in the addresses of further names in `ignoreip`; those not in it any more are forgotten.
    pub fn know_names(&mut self, names: HashMap<String, Arc<[IpAddr]>>) {
        self.known.names.extend(names);
        let listed: HashSet<&str> = self.options.ignore.names().collect();
        self.known
            .names
            .retain(|name, _| listed.contains(name.as_str()));
    }

    /// Hands in the contents of a file in `ignoreip`.
    pub fn know_file(&mut self, path: &str, text: &str) {
        self.options.ignore.set_file(path, text);
    }
}
