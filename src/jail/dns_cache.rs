//! Resolves host names for all jails and caches the answers: `usedns`, names in `ignoreip`, and the names
//! of this machine (facts R25, J16, J17, G6).
//!
//! Lookups run concurrently, have a time limit, and are cached for five minutes, failed ones included.
//! Concurrent requests for one name share one lookup.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::control::Value;
use crate::resolver::Resolver;
use crate::warning;

const TARGET: &str = "fail2ban.ipdns";

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(300);

/// Names remembered at most.
const MAX_NAMES: usize = 1000;

/// Handle to the look-ups. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DnsCache {
    shared: Arc<DnsShared>,
}

#[derive(Debug)]
struct DnsShared {
    memory: Mutex<DnsAnswers>,
    resolver: Resolver,
    /// Held while the addresses of this machine are gathered, so that jails do not do it each.
    gathering: tokio::sync::Mutex<()>,
}

/// The addresses of a name, once they are known.
type NameLookup = Arc<OnceCell<Arc<[IpAddr]>>>;

#[derive(Debug, Default)]
struct DnsAnswers {
    names: HashMap<String, (Instant, NameLookup)>,
    own: Option<(Instant, Arc<HashSet<IpAddr>>)>,
    /// `allowipv6`; `None` is `auto`.
    ipv6: Option<bool>,
}

impl Default for DnsCache {
    fn default() -> DnsCache {
        DnsCache::new(Resolver::default())
    }
}

impl DnsCache {
    /// Nothing known yet.
    pub fn new(resolver: Resolver) -> DnsCache {
        DnsCache {
            shared: Arc::new(DnsShared {
                memory: Mutex::default(),
                resolver,
                gathering: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// `allowipv6`: whether names may have IPv6 addresses; `None` asks the system.
    pub fn allow_ipv6(&self, allowed: Option<bool>) {
        self.memory().ipv6 = allowed;
    }

    /// Forgets all answers (a reload of all jails; fact R25). The addresses of this machine serve
    /// until they are gathered anew.
    pub fn clear(&self) {
        let mut memory = self.memory();
        memory.names.clear();
        if let Some((until, _)) = &mut memory.own {
            *until = Instant::now();
        }
    }

    /// The addresses of a name if nobody needs to be asked for them.
    pub fn known(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        let memory = self.memory();
        let (until, lookup) = memory.names.get(name)?;
        let holds = Instant::now() < *until;
        lookup.get().filter(|_| holds).cloned()
    }

    /// The addresses of a name; none when it has none, which is logged.
    pub async fn addresses(&self, name: &str) -> Arc<[IpAddr]> {
        let lookup = self.lookup(name);
        lookup.get_or_init(|| self.ask(name)).await.clone()
    }

    async fn ask(&self, name: &str) -> Arc<[IpAddr]> {
        match self.look_up(name).await {
            Ok(addresses) => addresses.into(),
            Err(reason) => {
                warning!(
                    TARGET,
                    "Unable to find a corresponding IP address for {}: {}",
                    name,
                    reason
                );
                Arc::default()
            }
        }
    }

    /// As [`DnsCache::addresses`], of several names side by side.
    pub async fn all_addresses(
        &self,
        wanted: impl IntoIterator<Item = String>,
    ) -> HashMap<String, Arc<[IpAddr]>> {
        let lookups: JoinSet<_> = wanted
            .into_iter()
            .map(|name| {
                let names = self.clone();
                async move {
                    let addresses = names.addresses(&name).await;
                    (name, addresses)
                }
            })
            .collect();
        lookups.join_all().await.into_iter().collect()
    }

    /// The look-up of a name that holds: one from before, or a new one that nobody has begun.
    fn lookup(&self, name: &str) -> NameLookup {
        let mut memory = self.memory();
        let now = Instant::now();
        if let Some((until, lookup)) = memory.names.get(name)
            && now < *until
        {
            return lookup.clone();
        }
        if memory.names.len() >= MAX_NAMES {
            memory.names.retain(|_, (until, _)| now < *until);
        }
        if memory.names.len() >= MAX_NAMES
            && let Some(oldest) = memory.names.iter().min_by_key(|(_, (until, _))| *until)
        {
            let oldest = oldest.0.clone();
            memory.names.remove(&oldest);
        }
        let lookup = NameLookup::default();
        let held = (now + HOLDS, lookup.clone());
        memory.names.insert(name.to_owned(), held);
        lookup
    }

    /// Addresses of this machine: of its interfaces, of `localhost`, and of its names (fact J16).
    pub async fn own_addresses(&self) -> Arc<HashSet<IpAddr>> {
        let _turn = self.shared.gathering.lock().await;
        if let Some((until, own)) = &self.memory().own
            && Instant::now() < *until
        {
            return own.clone();
        }
        self.gather().await
    }

    /// As [`DnsCache::own_addresses`], without waiting: what is out of date still serves while it is
    /// gathered anew. `None` before the first time.
    pub fn own_addresses_now(&self) -> Option<Arc<HashSet<IpAddr>>> {
        let mut memory = self.memory();
        let (until, own) = memory.own.as_mut()?;
        let now = Instant::now();
        if now >= *until {
            // the next to ask need not gather too
            *until = now + HOLDS;
            let names = self.clone();
            tokio::spawn(async move { names.gather().await });
        }
        Some(own.clone())
    }

    async fn gather(&self) -> Arc<HashSet<IpAddr>> {
        let mut own = interface_addresses();
        for addresses in self.all_addresses(own_names()).await.values() {
            own.extend(addresses.iter());
        }
        let own = Arc::new(own);
        self.memory().own = Some((Instant::now() + HOLDS, own.clone()));
        own
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        if name.is_empty() || name.len() > 253 {
            return Err(gai_text("Name or service not known"));
        }
        let host = name.to_owned();
        let resolve = move || (host.as_str(), 0_u16).to_socket_addrs();
        let answer = self.shared.resolver.ask(resolve).await;
        let found = match answer {
            Some(Ok(found)) => found.map(|address| address.ip().to_canonical()),
            Some(Err(error)) => return Err(gai_text(&error.to_string())),
            None => return Err("timed out".to_owned()),
        };
        let ipv6 = self.memory().ipv6.unwrap_or_else(ipv6_enabled);
        let mut seen = HashSet::new();
        let found: Vec<_> = found
            .filter(|ip| ipv6 || ip.is_ipv4())
            .filter(|ip| seen.insert(*ip))
            .collect();
        if found.is_empty() {
            return Err(gai_text("No address associated with hostname"));
        }
        Ok(found)
    }

    fn memory(&self) -> MutexGuard<'_, DnsAnswers> {
        // nothing is left half done under this lock
        self.shared
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses of the interfaces of this machine.
pub fn interface_addresses() -> HashSet<IpAddr> {
    let Ok(interfaces) = getifaddrs() else {
        return HashSet::new();
    };
    interfaces
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .map(|ip| ip.to_canonical())
        .collect()
}

/// `localhost` and the host name; the full name has the addresses of the latter.
fn own_names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    if let Ok(host) = nix::unistd::gethostname()
        && let Ok(host) = host.into_string()
        && !host.is_empty()
        && host != "localhost"
    {
        names.push(host);
    }
    names
}

fn ipv6_enabled() -> bool {
    match std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6") {
        Ok(text) => text.trim() != "1",
        Err(_) => interface_addresses().iter().any(IpAddr::is_ipv6),
    }
}

/// What a name found in a log has led to, for `usedns = warn`.
pub(super) fn tell_found(name: &str, addresses: &[IpAddr]) {
    if addresses.is_empty() {
        return;
    }
    let shown: Vec<_> = addresses
        .iter()
        .map(|ip| Value::from(ip.to_string()).repr())
        .collect();
    warning!(
        TARGET,
        "Determined IP using DNS Lookup: {} = {{{}}}",
        name,
        shown.join(", ")
    );
}

/// An error of the resolver as Python shows it.
pub fn gai_text(text: &str) -> String {
    let text = text.rsplit(": ").next().unwrap_or(text);
    let number = match text {
        "Name or service not known" => -2,
        "Temporary failure in name resolution" => -3,
        "Non-recoverable failure in name resolution" => -4,
        "No address associated with hostname" => -5,
        _ => return text.to_owned(),
    };
    format!("[Errno {number}] {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_pythons_form() {
        assert_eq!(
            gai_text("failed to lookup address information: Name or service not known"),
            "[Errno -2] Name or service not known"
        );
        assert_eq!(gai_text("something else"), "something else");
    }

    #[tokio::test]
    async fn this_machine_knows_itself() {
        let names = DnsCache::default();
        let own = names.own_addresses().await;
        assert!(own.contains(&"127.0.0.1".parse().unwrap()));
        names.allow_ipv6(Some(false));
        names.clear();
        let localhost = names.addresses("localhost").await;
        assert!(localhost.iter().all(IpAddr::is_ipv4));
        assert!(names.addresses("").await.is_empty());
    }
}
