//! Names → addresses, for all jails together: `usedns`, names in `ignoreip`, and the names of this
//! machine (facts R25, J16, J17, G6).
//!
//! Look-ups run beside the jails, have a time limit, and are remembered for five minutes, also
//! when they found nothing.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use tokio::sync::Semaphore;

use crate::control::Value;
use crate::warning;

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(300);

/// Names remembered at most.
const MAX_NAMES: usize = 1000;

/// A look-up that takes longer counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Look-ups at the same time; each may hold a thread for as long as the system's resolver waits.
const MAX_LOOKUPS: usize = 8;

/// Handle to the look-ups. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Names {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    memory: Mutex<Memory>,
    slots: Arc<Semaphore>,
    /// Held while the addresses of this machine are gathered, so that jails do not do it each.
    gathering: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Memory {
    names: HashMap<String, (Instant, Arc<[IpAddr]>)>,
    own: Option<(Instant, Arc<HashSet<IpAddr>>)>,
    /// `allowipv6`; `None` is `auto`.
    ipv6: Option<bool>,
}

impl Default for Names {
    fn default() -> Names {
        Names::new()
    }
}

impl Names {
    /// Nothing known yet.
    pub fn new() -> Names {
        Names {
            shared: Arc::new(Shared {
                memory: Mutex::default(),
                slots: Arc::new(Semaphore::new(MAX_LOOKUPS)),
                gathering: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// `allowipv6`: whether names may have IPv6 addresses; `None` asks the system.
    pub fn allow_ipv6(&self, allowed: Option<bool>) {
        self.memory().ipv6 = allowed;
    }

    /// Forgets all answers (a reload of all jails; fact R25).
    pub fn clear(&self) {
        let mut memory = self.memory();
        memory.names.clear();
        memory.own = None;
    }

    /// The addresses of a name; none when it has none, which is logged.
    pub async fn addresses(&self, name: &str) -> Arc<[IpAddr]> {
        if let Some((until, addresses)) = self.memory().names.get(name)
            && Instant::now() < *until
        {
            return addresses.clone();
        }
        let addresses: Arc<[IpAddr]> = match self.look_up(name).await {
            Ok(addresses) => addresses.into(),
            Err(reason) => {
                warning!(
                    "fail2ban.ipdns",
                    "Unable to find a corresponding IP address for {}: {}",
                    name,
                    reason
                );
                Arc::new([])
            }
        };
        let mut memory = self.memory();
        let now = Instant::now();
        if memory.names.len() >= MAX_NAMES {
            memory.names.retain(|_, (until, _)| now < *until);
        }
        if memory.names.len() >= MAX_NAMES
            && let Some(oldest) = memory.names.iter().min_by_key(|(_, (until, _))| *until)
        {
            let oldest = oldest.0.clone();
            memory.names.remove(&oldest);
        }
        memory
            .names
            .insert(name.to_owned(), (now + HOLDS, addresses.clone()));
        addresses
    }

    /// As [`Names::addresses`], for a name found in a log: says in the log what was found when
    /// `usedns` is `warn`.
    pub async fn addresses_found(&self, name: &str, warn: bool) -> Arc<[IpAddr]> {
        let addresses = self.addresses(name).await;
        if warn && !addresses.is_empty() {
            let shown: Vec<_> = addresses
                .iter()
                .map(|ip| Value::from(ip.to_string()).repr())
                .collect();
            warning!(
                "fail2ban.ipdns",
                "Determined IP using DNS Lookup: {} = {{{}}}",
                name,
                shown.join(", ")
            );
        }
        addresses
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

    /// As [`Names::own_addresses`], without waiting: what is out of date still serves while it is
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
        for name in own_names() {
            own.extend(self.addresses(&name).await.iter());
        }
        let own = Arc::new(own);
        self.memory().own = Some((Instant::now() + HOLDS, own.clone()));
        own
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        if name.is_empty() || name.len() > 253 {
            return Err(gai_text("Name or service not known"));
        }
        let slots = self.shared.slots.clone();
        let host = name.to_owned();
        let lookup = async move {
            let Ok(_slot) = slots.acquire_owned().await else {
                return Err(std::io::Error::other("shut down"));
            };
            tokio::net::lookup_host((host, 0))
                .await
                .map(|found| found.map(|address| address.ip().to_canonical()).collect())
        };
        // in a task of its own: a look-up that nobody waits for any longer still fills its slot
        let found: Vec<IpAddr> = match tokio::time::timeout(PATIENCE, tokio::spawn(lookup)).await {
            Ok(Ok(Ok(found))) => found,
            Ok(Ok(Err(error))) => return Err(gai_text(&error.to_string())),
            Ok(Err(_)) | Err(_) => return Err("timed out".to_owned()),
        };
        let ipv6 = self.memory().ipv6.unwrap_or_else(ipv6_enabled);
        let mut seen = HashSet::new();
        let found: Vec<_> = found
            .into_iter()
            .filter(|ip| ipv6 || ip.is_ipv4())
            .filter(|ip| seen.insert(*ip))
            .collect();
        if found.is_empty() {
            return Err(gai_text("No address associated with hostname"));
        }
        Ok(found)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // nothing is left half done under this lock
        self.shared
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn interface_addresses() -> HashSet<IpAddr> {
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

/// The resolver's reason as Python shows it, with its number.
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
        let names = Names::new();
        let own = names.own_addresses().await;
        assert!(own.contains(&"127.0.0.1".parse().unwrap()));
        names.allow_ipv6(Some(false));
        names.clear();
        let localhost = names.addresses("localhost").await;
        assert!(localhost.iter().all(IpAddr::is_ipv4));
        assert!(names.addresses("").await.is_empty());
    }
}
