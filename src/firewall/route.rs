//! Routes that lead nowhere: `ip route add unreachable ADDRESS` and its like. Jails share them, and
//! those that others have deleted are found.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use ipnet::IpNet;

use crate::address::Address;
use crate::exec::syntax;

/// Kinds of routes that need no more than a destination.
const KINDS: [&str; 4] = ["unreachable", "blackhole", "prohibit", "throw"];

/// A route that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The program as spelled out.
    program: String,
    /// It comes.
    pub adds: bool,
    kind: &'static str,
    /// Where it would lead.
    pub destination: IpNet,
}

impl Route {
    /// Reads `ip route add|del KIND ADDRESS`; `None` for anything else.
    pub fn recognise(text: &str) -> Option<Route> {
        // cheap look before the script is read
        if !text.contains("route") {
            return None;
        }
        Route::read(&syntax::plain_command(text)?)
    }

    /// The same of the words of a command.
    pub fn read(words: &[String]) -> Option<Route> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let [program, "route", verb, kind, destination] = words.as_slice() else {
            return None;
        };
        let adds = match *verb {
            "add" => true,
            "del" | "delete" => false,
            _ => return None,
        };
        if program.rsplit('/').next() != Some("ip") {
            return None;
        }
        Some(Route {
            program: (*program).to_owned(),
            adds,
            kind: KINDS.into_iter().find(|known| known == kind)?,
            destination: network(destination)?,
        })
    }

    /// The program that prints all routes of its family, with its arguments.
    pub fn show(&self) -> Vec<String> {
        let family = match self.destination {
            IpNet::V4(_) => "-4",
            IpNet::V6(_) => "-6",
        };
        [&self.program, family, "route", "show"]
            .map(str::to_owned)
            .to_vec()
    }
}

fn network(text: &str) -> Option<IpNet> {
    match Address::parse(text) {
        Address::Ip(ip) => Some(IpNet::from(ip)),
        Address::Net(net) => Some(net),
        Address::Raw(_) => None,
    }
}

/// Which of these routes, all of them to come, are not among those printed.
pub fn absent(routes: &[&Route], printed: &str) -> Vec<usize> {
    let there: HashSet<(&str, IpNet)> = printed
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, network(words.next()?)?))
        })
        .collect();
    let missing = |at: &usize| !there.contains(&(routes[*at].kind, routes[*at].destination));
    (0..routes.len()).filter(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(texts: &[&str]) -> Vec<Route> {
        let read = |text: &&str| Route::recognise(text).unwrap_or_else(|| panic!("{text}"));
        texts.iter().map(read).collect()
    }

    #[test]
    fn routes_that_lead_nowhere_are_known() {
        let [add] = &routes(&["/sbin/ip route add blackhole 10.0.0.0/8"])[..] else {
            panic!();
        };
        assert_eq!(add.show(), ["/sbin/ip", "-4", "route", "show"]);
        for text in [
            "ip route add 192.0.2.1",
            "ip route add unreachable 192.0.2.1 metric 5",
            "ip route replace unreachable 192.0.2.1",
            "ip route add unreachable host.example",
            "ip route add unreachable 192.0.2.1 || true",
            "ip -6 route add unreachable 2001:db8::1",
            "zip route add unreachable 192.0.2.1",
        ] {
            assert_eq!(Route::recognise(text), None, "{text}");
        }
    }

    #[test]
    fn printed_routes_are_found() {
        let routes = routes(&[
            "ip route add unreachable 192.0.2.1",
            "ip route add unreachable 2001:db8::1",
            "ip route add blackhole 192.0.2.1",
            "ip route add unreachable 10.0.0.0/8",
        ]);
        let routes: Vec<&Route> = routes.iter().collect();
        let printed = "default via 192.0.2.254 dev eth0\nunreachable 192.0.2.1 \nunreachable 10.0.0.0/8 \nunreachable 2001:db8::1 dev lo metric 1024 error -101 pref medium\n";
        assert_eq!(absent(&routes, printed), [2]);
    }
}
