//! Name lookups of one jail. Failures of host names wait here, apart from all others, so that lines
//! with an address do not wait for the resolver. Names of `ignoreip` are refreshed here while their old
//! addresses stay in use.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::dns_cache::DnsCache;

/// Failures that may wait for their names; the jail reads no further beyond.
const MOST_FAILURES: usize = 1000;

/// Names of a jail that are being looked up.
#[derive(Debug)]
pub(super) struct NameLookups<Failure> {
    /// The failures of each name, in the order of their lines; a name of `ignoreip` may have none.
    asked: HashMap<String, Vec<Failure>>,
    /// How many failures those are.
    failures: usize,
    lookups: JoinSet<(String, Arc<[IpAddr]>)>,
}

impl<Failure> Default for NameLookups<Failure> {
    fn default() -> Self {
        NameLookups {
            asked: HashMap::new(),
            failures: 0,
            lookups: JoinSet::new(),
        }
    }
}

impl<Failure> NameLookups<Failure> {
    /// Looks a name up.
    pub fn ask(&mut self, names: &DnsCache, name: &str) {
        if self.asked.contains_key(name) {
            return;
        }
        self.asked.insert(name.to_owned(), Vec::new());
        let (names, name) = (names.clone(), name.to_owned());
        self.lookups.spawn(async move {
            let addresses = names.addresses(&name).await;
            (name, addresses)
        });
    }

    /// Keeps a failure until its name is looked up.
    pub fn put_aside(&mut self, names: &DnsCache, name: &str, failure: Failure) {
        self.ask(names, name);
        if let Some(failures) = self.asked.get_mut(name) {
            failures.push(failure);
            self.failures += 1;
        }
    }

    /// Whether a name is being looked up.
    pub fn asks(&self, name: &str) -> bool {
        self.asked.contains_key(name)
    }

    /// Whether failures wait.
    pub fn holds_failures(&self) -> bool {
        self.failures > 0
    }

    /// Whether so many failures wait that there shall be no more.
    pub fn is_full(&self) -> bool {
        self.failures >= MOST_FAILURES
    }

    /// The next name that was looked up; `None` when there is none to come.
    pub async fn next(&mut self) -> Option<(String, Arc<[IpAddr]>)> {
        self.lookups.join_next().await?.ok()
    }

    /// The failures of a name that was looked up.
    pub fn take(&mut self, name: &str) -> Vec<Failure> {
        let failures = self.asked.remove(name).unwrap_or_default();
        self.failures -= failures.len();
        failures
    }
}
