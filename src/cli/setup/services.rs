//! The services of a machine: units of systemd, scripts of other inits, packages, listening ports.

use std::collections::{BTreeMap, BTreeSet};

use super::packages;
use crate::cli::machine::HostMachine;
use crate::config::files::{Files as _, stem};
use crate::lint;

/// Where units are, in systemd's order.
pub const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Here systemd keeps a link `invocation:UNIT` for each unit that runs.
const RUNNING: &str = "/run/systemd/units";
/// Scripts of other inits.
const SCRIPTS: &str = "/etc/init.d";

/// Ends of packages that are no service: what comes after the service's name.
const NO_SERVICE: [&str; 14] = [
    "client", "clients", "common", "data", "dev", "devel", "dnsutils", "doc", "docs", "host",
    "libs", "plugins", "tools", "utils",
];

/// Services whose package, or whose unit at another distribution, has another name.
const ALSO: [(&str, &[&str]); 4] = [
    ("apache", &["httpd"]),
    (
        "mysqld",
        &["mysql", "mariadb", "mysql-server", "mariadb-server"],
    ),
    ("named", &["bind9", "bind"]),
    ("sshd", &["openssh-server"]),
];

/// How far a unit is from doing something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitState {
    /// Its file is there.
    There,
    /// It is started with the machine.
    Enabled,
    /// It runs.
    Running,
}

/// What was found.
#[derive(Debug)]
pub struct HostServices {
    units: BTreeMap<String, UnitState>,
    packages: BTreeSet<String>,
    /// Protocol and port of every socket that listens.
    listening: BTreeSet<(&'static str, u16)>,
    /// Ports by name.
    ports: BTreeMap<String, u16>,
}

impl HostServices {
    /// Looks at a machine.
    pub fn of(machine: &HostMachine) -> HostServices {
        let mut services = HostServices {
            units: BTreeMap::new(),
            packages: packages::installed(machine),
            listening: listening(machine),
            ports: BTreeMap::new(),
        };
        // a machine's own table, and what is the same everywhere
        for text in [
            machine.text("/etc/services"),
            std::fs::read_to_string("/etc/services").unwrap_or_default(),
        ] {
            for (name, port) in lint::services(&text) {
                services.ports.entry(name.to_owned()).or_insert(port);
            }
        }
        services.find_units(machine);
        services
    }

    fn find_units(&mut self, machine: &HostMachine) {
        for script in machine.names(SCRIPTS).0 {
            self.note(&script, UnitState::There);
        }
        for folder in UNITS {
            for name in machine.names(folder).0 {
                let dependencies = [".wants", ".requires"];
                match dependencies.iter().any(|end| name.ends_with(end)) {
                    true => {
                        for unit in machine.names(&format!("{folder}/{name}")).0 {
                            self.note_unit(&unit, UnitState::Enabled);
                        }
                    }
                    false => self.note_unit(&name, UnitState::There),
                }
            }
        }
        for name in machine.names(RUNNING).0 {
            if let Some(unit) = name.strip_prefix("invocation:") {
                self.note_unit(unit, UnitState::Running);
            }
        }
        for script in machine.names("/run/openrc/started").0 {
            self.note(&script, UnitState::Running);
        }
        for level in machine.names("/etc/runlevels").0 {
            for script in machine.names(&format!("/etc/runlevels/{level}")).0 {
                self.note(&script, UnitState::Enabled);
            }
        }
        for level in ["2", "3", "4", "5"] {
            for name in machine.names(&format!("/etc/rc{level}.d")).0 {
                let script = name.strip_prefix('S');
                let script =
                    script.map(|name| name.trim_start_matches(|c: char| c.is_ascii_digit()));
                if let Some(script) = script {
                    self.note(script, UnitState::Enabled);
                }
            }
        }
    }

    /// A unit counts under its name without instance and kind.
    fn note_unit(&mut self, unit: &str, state: UnitState) {
        if unit.ends_with(".service") || unit.ends_with(".socket") {
            self.note(unit_name(unit), state);
        }
    }

    fn note(&mut self, name: &str, state: UnitState) {
        let known = self.units.entry(name.to_owned()).or_insert(state);
        *known = state.max(*known);
    }

    /// The unit or script of a name, with its state.
    pub fn unit(&self, name: &str) -> Option<(&str, UnitState)> {
        let same = |unit: &&String| matches!(remainder(unit, name), Some(""));
        let same = self.units.keys().filter(same);
        let states = same.map(|unit| (unit.as_str(), self.units[unit]));
        states.max_by_key(|(_, state)| *state)
    }

    /// The package of a name.
    pub fn package(&self, name: &str) -> Option<&str> {
        let packages = self.packages.iter();
        let mut fitting = packages.filter(|package| match remainder(package, name) {
            Some("") => true,
            Some(rest) => rest
                .strip_prefix('-')
                .is_some_and(|rest| !NO_SERVICE.contains(&rest)),
            None => false,
        });
        fitting.next().map(String::as_str)
    }

    /// The ports of a list, as firewalls read it, on which something listens; nothing for a list
    /// of all ports. `None`: it is no list of certain ports.
    pub fn listening(&self, list: &str, protocol: &str) -> Option<Vec<u16>> {
        let parts = list.split(',').map(str::trim);
        let numbers = parts.map(|part| self.ports.get(part).copied().or(part.parse().ok()));
        let numbers: Option<Vec<u16>> = numbers.collect();
        let mut numbers = numbers?;
        let protocols: Vec<&str> = protocol.split(',').map(str::trim).collect();
        numbers.retain(|port| {
            let protocols = protocols.iter();
            protocols
                .clone()
                .any(|protocol| self.listening.contains(&(*protocol, *port)))
        });
        numbers.sort_unstable();
        numbers.dedup();
        Some(numbers)
    }

    /// Whether a list of ports has this one, by number or name; ranges do not count.
    pub fn names(&self, list: &str, port: u16) -> bool {
        let mut parts = list.split(',').map(str::trim);
        parts.any(|part| self.ports.get(part).copied().or(part.parse().ok()) == Some(port))
    }
}

/// Names under which a service may go elsewhere.
pub fn also(name: &str) -> &'static [&'static str] {
    let row = ALSO.iter().find(|(known, _)| *known == name);
    row.map_or(&[], |(_, names)| names)
}

/// `ssh.service`, `postfix@-.service` → `ssh`, `postfix`
pub fn unit_name(unit: &str) -> &str {
    let name = stem(unit);
    name.split('@').next().unwrap_or(name)
}

/// What is left of a name behind that of a service and its version: `exim4-base` is of `exim`,
/// `cyrus-imapd` of `cyrus-imap`.
fn remainder<'n>(name: &'n str, service: &str) -> Option<&'n str> {
    let rest = name.strip_prefix(service).filter(|_| !service.is_empty())?;
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let rest = rest.strip_prefix('d').unwrap_or(rest);
    (rest.is_empty() || rest.starts_with('-')).then_some(rest)
}

/// What the kernel tells of sockets.
fn listening(machine: &HostMachine) -> BTreeSet<(&'static str, u16)> {
    // TCP that listens; UDP that is bound and not connected
    const TABLES: [(&str, &str, &str); 4] = [
        ("/proc/net/tcp", "tcp", "0A"),
        ("/proc/net/tcp6", "tcp", "0A"),
        ("/proc/net/udp", "udp", "07"),
        ("/proc/net/udp6", "udp", "07"),
    ];
    let mut found = BTreeSet::new();
    for (table, protocol, state) in TABLES {
        for line in machine.text(table).lines() {
            // slot, local address:port, remote address:port, state, all in hexadecimal
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, its_state, ..] = words[..] else {
                continue;
            };
            let port = local.rsplit_once(':').map(|(_, port)| port);
            let port = port.and_then(|port| u16::from_str_radix(port, 16).ok());
            if let Some(port) = port.filter(|_| its_state == state) {
                found.insert((protocol, port));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages_and_units() {
        for (name, service, rest) in [
            ("exim4", "exim", Some("")),
            ("exim4-base", "exim", Some("-base")),
            ("apache2", "apache", Some("")),
            ("php8.2-fpm", "php", Some("-fpm")),
            ("cyrus-imapd", "cyrus-imap", Some("")),
            ("dovecot", "dovecot", Some("")),
            ("nginxify", "nginx", None),
            ("openssh-server", "ssh", None),
        ] {
            assert_eq!(remainder(name, service), rest, "{name}");
        }
        assert_eq!(unit_name("postfix@-.service"), "postfix");
        assert_eq!(unit_name("php8.2-fpm.service"), "php8.2-fpm");
    }
}
