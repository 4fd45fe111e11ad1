//! Ports that docker publishes: their packets are sent on before a rule in `INPUT` sees them.

use super::bans::{built_in, is_same_network, leads, nft_table, output};
use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::cli::actions::{self, ListedAction};
use crate::cli::setup::jails::SetupJail;
use crate::cli::setup::services::HostServices;
use crate::firewall::Change;
use crate::lint::Severity;

/// Jails whose ports are docker's, and whose bans are where its packets do not come by.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let Some(server) = look.server() else { return };
    if !look.machine.is_this() || !look.is_root || !is_same_network(server.pid) {
        return;
    }
    let nat = ["iptables-save", "-t", "nat"].map(str::to_owned);
    let published = published(&output(&nat).unwrap_or_default());
    if published.is_empty() {
        return;
    }
    let services = HostServices::of(&look.machine);
    for jail in &look.jails {
        let mut ports = published.iter();
        let Some(port) = ports.find(|port| services.names(&jail.ports, **port)) else {
            continue;
        };
        // one action that meets them is enough
        let places: Option<Vec<_>> = bans(jail).into_iter().map(place).collect();
        if let Some((place, cure)) = places.and_then(|places| places.into_iter().next()) {
            findings.of_jail(
                &jail.name,
                Severity::Warning,
                "no-packet",
                format!(
                    "docker publishes port {port}, whose packets go past {place}, where the jail {} bans",
                    jail.name
                ),
                cure,
            );
        }
    }
}

/// What the actions of a jail do to an address of IPv4.
fn bans(jail: &SetupJail) -> Vec<Change> {
    let made = actions::of_commands(&jail.commands).unwrap_or_default();
    let mut changes = Vec::new();
    for action in made.jails.into_iter().flat_map(|jail| jail.actions) {
        let ListedAction::Commands(mut action) = action else {
            continue;
        };
        let examples = action.examples(&jail.name).unwrap_or_default().into_iter();
        let bans = examples
            .filter(|example| example.operation == "actionban" && example.family != "inet6");
        changes.extend(bans.filter_map(|ban| ban.plan.into_change()));
    }
    changes
}

/// The ports for which docker has a rule, in the table `nat` as iptables-save prints it.
fn published(nat: &str) -> Vec<u16> {
    let rules = nat
        .lines()
        .filter(|line| line.starts_with("-A DOCKER ") && line.contains("-j DNAT"));
    let ports = rules.filter_map(|rule| {
        let (_, port) = rule.split_once("--dport ")?;
        port.split(' ').next()?.parse().ok()
    });
    ports.collect()
}

/// Where a ban is that only packets for the machine itself meet, with what to do; `None` where forwarded
/// packets meet it, too, or where that is not known.
fn place(ban: Change) -> Option<(String, &'static str)> {
    match ban {
        Change::Rule(rule) => {
            let table = output(&crate::firewall::iptables::sweep::save(&rule))?;
            let chain = rule.chain();
            let mut others = built_in(&table).into_iter().filter(|from| *from != "INPUT");
            let only =
                leads(&table, "INPUT", chain) && !others.any(|from| leads(&table, from, chain));
            only.then(|| {
                (
                    format!("the chain {chain} below INPUT"),
                    "set chain = DOCKER-USER in the jail",
                )
            })
        }
        Change::Member(member) => {
            let (name, table) = nft_table(&member)?;
            let hooks = hooks(&table?, name);
            let only = !hooks.is_empty() && hooks.iter().all(|hook| hook == "input");
            only.then(|| {
                (
                    format!("the set {name}, which only the hook input asks"),
                    "use the action docker-user-nftables, or chain_hook=forward, for this jail",
                )
            })
        }
        Change::Route(_) => None,
    }
}

/// The hooks of the chains that ask a set, in a table as nft lists it; a chain without a hook is called
/// by others, which is not followed.
fn hooks(table: &str, set: &str) -> Vec<String> {
    let mut hooks = Vec::new();
    let mut hook = String::new();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"chain") {
            hook = "none".to_owned();
        }
        if let Some(pair) = words.windows(2).find(|pair| pair[0] == "hook") {
            hook = pair[1].to_owned();
        }
        if words.iter().any(|word| word.strip_prefix('@') == Some(set)) {
            hooks.push(hook.clone());
        }
    }
    hooks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_and_hooks_are_read() {
        let nat = "*nat\n:DOCKER - [0:0]\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n\
                   -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n";
        assert_eq!(published(nat), [8080]);
        let table = "table inet t {\n\tset s {\n\t}\n\tchain a {\n\t\ttype filter hook input priority -1; policy accept;\n\
                     \t\tip saddr @s drop\n\t}\n\tchain b {\n\t\tip saddr @s drop\n\t\tip saddr @st drop\n\t}\n}\n";
        assert_eq!(hooks(table, "s"), ["input", "none"]);
    }
}
