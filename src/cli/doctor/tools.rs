//! Programs that the actions of the enabled jails run, and whether they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

use super::commands::SEARCH_PATH;
use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::action::plan::Work;
use crate::action::preview::Example;
use crate::action::smtp::SmtpAction;
use crate::cli::actions::{self, ListedAction};
use crate::cli::machine::HostMachine;
use crate::firewall::Change;
use crate::lint::Severity;

/// Programs that scripts of actions are known to run, with the package that has them where its name is
/// another. What is not in this list may be a function, or a word of something else.
const TOOLS: [(&str, &str); 25] = [
    ("at", ""),
    ("csf", ""),
    ("curl", ""),
    ("firewall-cmd", "firewalld"),
    ("ip", "iproute2"),
    ("ip6tables", "iptables"),
    ("ip6tables-legacy", "iptables"),
    ("ip6tables-nft", "iptables"),
    ("ipfw", ""),
    ("ipset", ""),
    ("iptables", ""),
    ("iptables-legacy", "iptables"),
    ("iptables-nft", "iptables"),
    ("jq", ""),
    ("mail", "mailutils or bsd-mailx"),
    ("mailx", "mailutils or bsd-mailx"),
    ("nft", "nftables"),
    ("npfctl", ""),
    ("nsupdate", "bind9-dnsutils or bind-utils"),
    ("pfctl", ""),
    ("route", "net-tools"),
    (
        "sendmail",
        "msmtp-mta, postfix or another that brings sendmail",
    ),
    ("shorewall", ""),
    ("ufw", ""),
    ("wget", ""),
];
/// Programs that hand over mail.
const MAILERS: [&str; 3] = ["mail", "mailx", "sendmail"];
/// Words of the shell behind which a command begins.
const BEFORE: [&str; 8] = ["!", "do", "elif", "else", "if", "then", "until", "while"];

/// A program, with the actions that need it and their jails.
type Needs = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

/// The programs that are not there.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let mut needs = Needs::new();
    for jail in &look.jails {
        // what is wrong with its actions keeps the jail from being made, which is told
        let made = actions::of_commands(&jail.commands).unwrap_or_default();
        for action in made.jails.into_iter().flat_map(|jail| jail.actions) {
            let name = action.name().to_owned();
            for program in programs(action, &jail.name) {
                let (actions, jails) = needs.entry(program).or_default();
                actions.insert(name.clone());
                jails.insert(jail.name.clone());
            }
        }
    }
    let before = findings.list.len();
    for (program, (actions, jails)) in &needs {
        if is_there(&look.machine, program) {
            continue;
        }
        let listed =
            |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let name = program.rsplit('/').next().unwrap_or(program);
        let package = TOOLS.iter().find(|(tool, _)| *tool == name);
        let package = package.map_or(name, |(tool, package)| match *package {
            "" => tool,
            package => package,
        });
        let is_mail = MAILERS.contains(&name);
        findings.add(
            Severity::Error,
            if is_mail { "mail-program" } else { "tool" },
            format!(
                "{program} is not installed, which the actions {} of the jails {} run",
                listed(actions),
                listed(jails)
            ),
            match is_mail {
                true => {
                    format!("install {package}, or give the action an SMTP server (docs/mail.md)")
                }
                false => format!("install {package}, or choose another action for these jails"),
            },
        );
    }
    if findings.list.len() == before && !needs.is_empty() {
        let names: Vec<&str> = needs.keys().map(String::as_str).collect();
        findings.sound(format!(
            "the actions find their programs: {}",
            names.join(", ")
        ));
    }
}

/// The programs that an action runs.
fn programs(action: ListedAction, jail: &str) -> BTreeSet<String> {
    let mut action = match action {
        ListedAction::Commands(action) => action,
        ListedAction::Python { path, .. } if SmtpAction::is_meant(&path) => return BTreeSet::new(),
        ListedAction::Python { .. } => return BTreeSet::from(["python3".to_owned()]),
    };
    let examples = action.examples(jail).unwrap_or_default();
    let programs = examples
        .iter()
        .map(|Example { plan, .. }| match &plan.work {
            Work::Mail(mail) => mail.program().map(str::to_owned).into_iter().collect(),
            Work::Change(change) if matches!(**change, Change::Member(_)) => BTreeSet::new(),
            Work::Change(_) | Work::Program(_) => {
                plan.program().into_iter().flatten().take(1).collect()
            }
            Work::Shell(_) => of_script(&plan.script.text),
            Work::Nothing | Work::Notice(_) => BTreeSet::new(),
        });
    programs.flatten().collect()
}

fn is_there(machine: &HostMachine, program: &str) -> bool {
    let runs = |path: &str| {
        let file = machine.place(path).metadata();
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    match program.contains('/') {
        true => runs(program),
        false => SEARCH_PATH
            .iter()
            .any(|directory| runs(&format!("{directory}/{program}"))),
    }
}

/// The known programs that a script runs. None of a script that looks itself whether they are there.
fn of_script(script: &str) -> BTreeSet<String> {
    let asks = ["command -v", "which ", "type ", "test -x", "[ -x", "hash "];
    if asks.iter().any(|words| script.contains(words)) {
        return BTreeSet::new();
    }
    let mut found = BTreeSet::new();
    let mut begins = true;
    for token in tokens(script) {
        if begins && TOOLS.iter().any(|(tool, _)| *tool == token) {
            found.insert(token.clone());
        }
        begins = matches!(token.as_str(), "\n" | ";" | "&" | "|" | "(" | "{" | "`")
            || begins && BEFORE.contains(&token.as_str());
    }
    found
}

/// The words and signs of a script; quoted text is no word.
fn tokens(script: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => {
                chars.next();
                word.push('?');
            }
            (Some(_), _) => {}
            (None, '\'' | '"') => {
                quote = Some(c);
                word.push('?');
            }
            (None, '#') if word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, '\n' | ';' | '&' | '|' | '(' | '{' | '`' | ')' | '}' | ' ' | '\t') => {
                if !word.is_empty() {
                    tokens.push(std::mem::take(&mut word));
                }
                if !c.is_whitespace() || c == '\n' {
                    tokens.push(c.to_string());
                }
            }
            (None, c) => word.push(c),
        }
    }
    tokens.push(word);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_scripts_are_those_at_the_beginning_of_commands() {
        for (script, expected) in [
            (
                "for p in tcp; do\niptables -w -I INPUT -p $p -j f2b\ndone",
                "iptables",
            ),
            ("nft add table inet x; nft -f - <<E", "nft"),
            ("{ ipset -exist create x hash:ip || true; }", "ipset"),
            ("echo 'a; mail b' | sendmail -t", "sendmail"),
            ("printf \"x; curl y\" >>/log", ""),
            ("grep ip /etc/hosts", ""),
            ("command -v ipset && ipset create x hash:ip", ""),
            ("x=$(nft list tables)", "nft"),
            ("# mail\ntrue; if ufw status; then true; fi", "ufw"),
            ("iptables -L\nip6tables -L", "ip6tables iptables"),
        ] {
            let found: Vec<String> = of_script(script).into_iter().collect();
            assert_eq!(found.join(" "), expected, "{script}");
        }
    }
}
