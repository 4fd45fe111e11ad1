//! The bans of the running server: whether the firewall has them, and whether packets come by.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::action::JailFigures;
use crate::address::Address;
use crate::cli::actions::{self, ListedAction};
use crate::cli::report::state::{self, ReportedState};
use crate::firewall::iptables::{Rule, sweep};
use crate::firewall::member::Member;
use crate::firewall::place::Set;
use crate::firewall::route::{self, Route};
use crate::firewall::sets;
use crate::firewall::{Change, nftables};
use crate::lint::Severity;
use crate::ticket::{BanTime, Ticket};

/// A ban may be under way, or its end; what is missing after this time again is missing.
const LATER: Duration = Duration::from_secs(1);

/// What an action of a jail has in the firewall, as the server's bans have it.
struct Expected {
    jail: String,
    action: String,
    /// Each ban with its change.
    changes: Vec<(String, Change)>,
}

/// The bans.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let Some(server) = look.server() else { return };
    let Ok(state) = (match look.machine.is_this() {
        true => look.state(),
        false => return,
    }) else {
        return;
    };
    for jail in &state.jails {
        for (action, ids) in &jail.ineffective {
            findings.of_jail(
                &jail.name,
                Severity::Error,
                "ban-missing",
                format!("{} bans of the jail {} have no effect: its action {action} fails", ids.len(), jail.name),
                "the server's log has what the command said; put it right, and the bans are tried again",
            );
        }
    }
    if !look.is_root {
        findings.unseen("the firewall: only root may ask it");
        return;
    }
    if !is_same_network(server.pid) {
        findings.unseen("the firewall: the server has a network of its own");
        return;
    }
    let mut expected = expectations(look, state);
    let all_there = expected.iter().all(|one| missing(one).is_empty());
    if !all_there {
        thread::sleep(LATER);
        let Some(Ok(state)) = look.socket().map(|socket| state::ask(&socket)) else {
            return;
        };
        expected = expectations(look, &state);
    }
    let before = findings.list.len();
    for one in &expected {
        let missing = missing(one);
        if let Some(first) = missing.first() {
            findings.of_jail(
                &one.jail,
                Severity::Error,
                "ban-missing",
                format!(
                    "{} of {} bans of the jail {} are not in the firewall, such as {first}: something has removed what its action {} made",
                    missing.len(),
                    one.changes.len(),
                    one.jail,
                    one.action
                ),
                format!(
                    "fail2ban-client reload --restart {}; have what flushes the firewall restart the server after it",
                    one.jail
                ),
            );
        } else {
            unreached(one, findings);
        }
    }
    if !expected.is_empty() && findings.list.len() == before {
        findings.sound("the firewall has the bans of the server");
    }
}

/// Whether a process sees the same firewall.
pub fn is_same_network(pid: u32) -> bool {
    let of = |pid: String| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    of(pid.to_string()) == of("self".to_owned())
}

/// What should be in the firewall, for the actions whose commands are known.
fn expectations(look: &Inspection, state: &ReportedState) -> Vec<Expected> {
    let mut expected = Vec::new();
    let banning = state.jails.iter().filter(|jail| !jail.bans.is_empty());
    for jail in banning {
        let Some(on_disk) = look.jails.iter().find(|on_disk| on_disk.name == jail.name) else {
            continue;
        };
        let made = actions::of_commands(&on_disk.commands).unwrap_or_default();
        for action in made.jails.into_iter().flat_map(|jail| jail.actions) {
            let ListedAction::Commands(mut action) = action else {
                continue;
            };
            // as the server has it, which may be older than the files
            let name = action.name.clone();
            let held = look.ask(&["get", &jail.name, "action", &name, "actionban"]);
            let on_disk = on_disk.property(&name, "actionban");
            if held.is_none() || held != on_disk {
                continue;
            }
            // some bans are none of its business, and others cannot be told from them
            if action.skips_any() {
                continue;
            }
            let (families, _) = action.families();
            let concerns = |id: &str| {
                let family = Address::parse(id)
                    .family()
                    .map_or("", |family| family.as_str());
                families
                    .iter()
                    .any(|known| known.is_empty() || known == family)
            };
            let mut change = |id: &str| {
                let mut ticket = Ticket::new(Address::parse(id), look.present);
                ticket.bantime = Some(BanTime::Seconds(600.0));
                let figures = JailFigures::default();
                let plan = action.plan("actionban", &jail.name, &ticket, &figures);
                plan.ok()?.into_change()
            };
            let changes: Option<Vec<(String, Change)>> = jail
                .bans
                .iter()
                .filter(|ban| concerns(&ban.id))
                .map(|ban| Some((ban.id.clone(), change(&ban.id)?)))
                .collect();
            if let Some(changes) = changes {
                expected.push(Expected {
                    jail: jail.name.clone(),
                    action: name,
                    changes,
                });
            }
        }
    }
    expected
}

/// The ids that are not in the firewall; none where it cannot be asked.
fn missing(expected: &Expected) -> Vec<&str> {
    let mut members: Vec<(&str, &Member)> = Vec::new();
    let mut rules: BTreeMap<Vec<String>, Vec<(&str, &Rule)>> = BTreeMap::new();
    let mut routes: BTreeMap<Vec<String>, Vec<(&str, &Route)>> = BTreeMap::new();
    for (id, change) in &expected.changes {
        match change {
            Change::Member(member) => members.push((id, member)),
            Change::Rule(rule) => rules.entry(sweep::save(rule)).or_default().push((id, rule)),
            Change::Route(route) => routes.entry(route.show()).or_default().push((id, route)),
        }
    }
    let of_sets: Vec<&Member> = members.iter().map(|(_, member)| *member).collect();
    let absent = sets::absent(&of_sets).unwrap_or_default();
    let mut missing: Vec<&str> = absent.into_iter().map(|at| members[at].0).collect();
    for (program, rules) in &rules {
        let Some(printed) = output(program) else {
            continue;
        };
        let of_chains: Vec<&Rule> = rules.iter().map(|(_, rule)| *rule).collect();
        let absent = sweep::absent(&of_chains, &printed).unwrap_or_default();
        missing.extend(absent.into_iter().map(|at| rules[at].0));
    }
    for (program, routes) in &routes {
        let Some(printed) = output(program) else {
            continue;
        };
        let all: Vec<&Route> = routes.iter().map(|(_, route)| *route).collect();
        missing.extend(
            route::absent(&all, &printed)
                .into_iter()
                .map(|at| routes[at].0),
        );
    }
    missing
}

/// What a program prints that shows the firewall.
pub fn output(program: &[String]) -> Option<String> {
    let (name, arguments) = program.split_first()?;
    let output = Command::new(name).args(arguments).output().ok()?;
    let printed = output.status.success().then_some(output.stdout)?;
    Some(String::from_utf8_lossy(&printed).into_owned())
}

/// The set of nft that a ban is a member of, and its table as nft lists it.
pub fn nft_table(member: &Member) -> Option<(&str, Option<String>)> {
    let Set::Nft {
        family,
        table,
        name,
    } = &member.set
    else {
        return None;
    };
    let family = nftables::family_name(*family);
    let program = ["nft", "list", "table", family, table].map(str::to_owned);
    Some((name, output(&program)))
}

/// A chain to which no rule leads, or a set that no rule asks: bans in it stop no packet.
fn unreached(expected: &Expected, findings: &mut DoctorFindings) {
    let mut places: Vec<(String, bool)> = Vec::new();
    for (_, change) in &expected.changes {
        let place = match change {
            Change::Rule(rule) => (
                format!("the chain {}", rule.chain()),
                output(&sweep::save(rule)).is_none_or(|table| is_reached(&table, rule.chain())),
            ),
            Change::Member(member) => {
                let Some((name, table)) = nft_table(member) else {
                    continue;
                };
                let asked = |table: String| {
                    let mut words = table.split(char::is_whitespace);
                    words.any(|word| word.strip_prefix('@') == Some(name))
                };
                (format!("the set {name} of nft"), table.is_none_or(asked))
            }
            Change::Route(_) => continue,
        };
        if !places.iter().any(|(known, _)| *known == place.0) {
            places.push(place);
        }
    }
    for (place, _) in places.into_iter().filter(|(_, reached)| !reached) {
        findings.of_jail(
            &expected.jail,
            Severity::Error,
            "no-packet",
            format!("no rule leads to {place} of the jail {}: its bans stop nobody", expected.jail),
            format!(
                "fail2ban-client reload --restart {}; have what flushes the firewall restart the server after it",
                expected.jail
            ),
        );
    }
}

/// Whether rules lead from a chain of the kernel's own to a chain, in a table as iptables-save prints it.
fn is_reached(table: &str, chain: &str) -> bool {
    let from = built_in(table);
    // without such chains nothing is known
    from.is_empty() || from.into_iter().any(|from| leads(table, from, chain))
}

/// The chains of a table that the kernel brings.
pub fn built_in(table: &str) -> Vec<&str> {
    let heads = table.lines().filter_map(|line| line.strip_prefix(':'));
    let heads = heads.filter(|head| head.split(' ').nth(1) != Some("-"));
    heads.filter_map(|head| head.split(' ').next()).collect()
}

/// Whether rules lead from one chain to another.
pub fn leads(table: &str, from: &str, chain: &str) -> bool {
    let jumps: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let from = words.windows(2).find(|pair| pair[0] == "-A")?[1];
            let to = words
                .windows(2)
                .find(|pair| matches!(pair[0], "-j" | "-g"))?[1];
            Some((from, to))
        })
        .collect();
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(from) = reached.get(at).copied() {
        for (_, to) in jumps.iter().filter(|(start, _)| *start == from) {
            if !reached.contains(to) {
                reached.push(to);
            }
        }
        at += 1;
    }
    reached.contains(&chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_reached_by_way_of_others() {
        let table = "*filter\n:INPUT ACCEPT [1:2]\n:f2b-a - [0:0]\n:f2b-b - [0:0]\n:mid - [0:0]\n\
                     [0:0] -A INPUT -p tcp -m multiport --dports 22 -j mid\n[0:0] -A mid -j f2b-a\n\
                     [0:0] -A f2b-a -s 192.0.2.1/32 -j REJECT\n[0:0] -A f2b-b -j RETURN\nCOMMIT\n";
        assert!(is_reached(table, "f2b-a") && is_reached(table, "INPUT"));
        assert!(!is_reached(table, "f2b-b"));
        assert!(is_reached("", "f2b-b"));
    }
}
