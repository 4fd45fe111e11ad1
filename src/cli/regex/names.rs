//! Host names → addresses for the report (fact R25), asked from the system and remembered.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

use crate::address::Address;
use crate::jail::dns_cache::gai_text;
use crate::pattern::UseDns;
use crate::warning;

const MOST: usize = 1000;
const TARGET: &str = "fail2ban.ipdns";

/// Looks names up, each once.
#[derive(Default)]
pub(super) struct AddressNames {
    known: HashMap<String, Vec<Address>>,
    inet6: Option<bool>,
}

impl AddressNames {
    /// The addresses of a name; none when there are none.
    pub(super) fn resolve(&mut self, name: &str, usedns: UseDns) -> Vec<Address> {
        let found = match self.known.get(name) {
            Some(found) => found.clone(),
            None => {
                let found = self.ask(name);
                if self.known.len() >= MOST {
                    self.known.clear();
                }
                self.known.insert(name.to_owned(), found.clone());
                found
            }
        };
        if usedns == UseDns::Warn && !found.is_empty() {
            let all: Vec<_> = found.iter().map(|a| format!("'{a}'")).collect();
            warning!(
                TARGET,
                "Determined IP using DNS Lookup: {name} = {{{}}}",
                all.join(", ")
            );
        }
        found
    }

    fn ask(&mut self, name: &str) -> Vec<Address> {
        let inet6 = *self.inet6.get_or_insert_with(inet6_allowed);
        let answer = match (name, 0_u16).to_socket_addrs() {
            Ok(answer) => answer,
            Err(error) => {
                warning!(
                    TARGET,
                    "Unable to find a corresponding IP address for {name}: {}",
                    gai_text(&error.to_string())
                );
                return Vec::new();
            }
        };
        let mut found: Vec<IpAddr> = answer
            .map(|a| a.ip().to_canonical())
            .filter(|ip| ip.is_ipv4() || inet6)
            .collect();
        found.sort();
        found.dedup();
        found.into_iter().map(Address::Ip).collect()
    }
}

/// Whether the machine speaks IPv6 (fact G6).
fn inet6_allowed() -> bool {
    let disabled = std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6");
    match disabled {
        Ok(text) if text.trim() == "1" => false,
        _ => UdpSocket::bind(("::1", 0)).is_ok(),
    }
}
