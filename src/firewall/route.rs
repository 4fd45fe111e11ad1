//! Unreachable routes: `ip route add unreachable ADDRESS` and its like, parsed from the text of an action file,
//! and applied many at a time in one `ip -batch`.
//!
//! The program reports refused lines of a batch by number, so the rest is applied for certain.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;

use super::FirewallChange;
use super::place::{Expiry, FirewallPlace, StandingBan};
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
    adds: bool,
    kind: &'static str,
    /// Where it would lead.
    destination: IpNet,
}

impl Route {
    /// Reads `ip route add|del KIND ADDRESS`; `None` for anything else.
    pub fn read(text: &str) -> Option<Route> {
        let words = syntax::plain_command(text)?;
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

    /// The program that takes many lines, with its arguments.
    pub fn batch(&self) -> Vec<String> {
        [&self.program, "-force", "-batch", "-"]
            .map(str::to_owned)
            .to_vec()
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

    fn line(&self) -> String {
        let verb = if self.adds { "add" } else { "del" };
        format!("route {verb} {} {}\n", self.kind, self.destination)
    }
}

impl FirewallChange for Route {
    fn place(&self) -> FirewallPlace {
        FirewallPlace::Routes
    }

    fn adds(&self) -> bool {
        self.adds
    }

    fn ban(&self) -> Option<StandingBan> {
        Some((self.destination, String::new()))
    }

    fn until(&self) -> Option<Expiry> {
        Some(Expiry::SetDefault)
    }
}

fn network(text: &str) -> Option<IpNet> {
    match Address::parse(text) {
        Address::Ip(ip) => Some(IpNet::from(ip)),
        Address::Net(net) => Some(net),
        Address::Raw(_) => None,
    }
}

/// Parts changes into rounds, by position: in one round a destination occurs once, so that what is
/// refused holds back what follows it.
pub fn rounds(routes: &[&Route]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut seen: HashMap<&IpNet, usize> = HashMap::new();
    for (at, route) in routes.iter().enumerate() {
        let round = seen.entry(&route.destination).or_default();
        if *round == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[*round].push(at);
        *round += 1;
    }
    rounds
}

/// What comes of some of these routes when they are changed in order; those whose destination was
/// refused before are left out.
pub fn lines(routes: &[&Route], round: &[usize], refused: &[usize]) -> (Vec<usize>, String) {
    let refused: HashSet<&IpNet> = refused.iter().map(|&at| &routes[at].destination).collect();
    let allowed = |at: &usize| !refused.contains(&routes[*at].destination);
    let chosen: Vec<usize> = round.iter().copied().filter(allowed).collect();
    let input = chosen.iter().map(|&at| routes[at].line()).collect();
    (chosen, input)
}

/// Which lines of a batch were refused, from 0; `None` when the program does not say so.
pub fn refused(stderr: &str) -> Option<Vec<usize>> {
    let numbers = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("Command failed -:"));
    let places = numbers.map(|number| number.trim().parse::<usize>().ok()?.checked_sub(1));
    let places: Vec<usize> = places.collect::<Option<_>>()?;
    (!places.is_empty()).then_some(places)
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
        let read = |text: &&str| Route::read(text).unwrap_or_else(|| panic!("{text}"));
        texts.iter().map(read).collect()
    }

    #[test]
    fn routes_that_lead_nowhere_are_known() {
        let [add] = &routes(&["/sbin/ip route add blackhole 10.0.0.0/8"])[..] else {
            panic!();
        };
        assert_eq!(add.line(), "route add blackhole 10.0.0.0/8\n");
        assert_eq!(add.batch()[0], "/sbin/ip");
        for text in [
            "ip route add 192.0.2.1",
            "ip route add unreachable 192.0.2.1 metric 5",
            "ip route replace unreachable 192.0.2.1",
            "ip route add unreachable host.example",
            "ip route add unreachable 192.0.2.1 || true",
            "ip -6 route add unreachable 2001:db8::1",
            "zip route add unreachable 192.0.2.1",
        ] {
            assert_eq!(Route::read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_refused_holds_back_what_follows() {
        let routes = routes(&[
            "ip route add unreachable 192.0.2.1",
            "ip route add unreachable 192.0.2.2",
            "ip route del unreachable 192.0.2.1",
            "ip route add unreachable 192.0.2.1",
            "ip route del unreachable 192.0.2.2",
        ]);
        let routes: Vec<&Route> = routes.iter().collect();
        let rounds = rounds(&routes);
        assert_eq!(rounds, [vec![0, 1], vec![2, 4], vec![3]]);
        let (chosen, input) = lines(&routes, &rounds[1], &[0]);
        assert_eq!(chosen, [4]);
        assert_eq!(input, "route del unreachable 192.0.2.2/32\n");
    }

    #[test]
    fn the_program_tells_what_was_refused() {
        let told = "RTNETLINK answers: File exists\nCommand failed -:2\nRTNETLINK answers: No such process\nCommand failed -:10\n";
        assert_eq!(refused(told), Some(vec![1, 9]));
        assert_eq!(refused("Cannot open netlink socket: …"), None);
        assert_eq!(refused("Command failed -:x"), None);
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
