//! What a command comes to: a change of the firewall, a mail, a program, or a script for the shell, and
//! why. It is worked out once, and the executor carries out what is told here.
#![forbid(unsafe_code)]

use std::fmt;

use crate::exec::script::Script;
use crate::exec::syntax::plain_command;
use crate::firewall::{self, Change};
use crate::mail::Mail;

/// Programs that a shell carries out by itself, not always as the program of that name would.
const BUILT_IN: [&str; 48] = [
    ".", ":", "[", "alias", "bg", "bind", "break", "builtin", "cd", "chdir", "command", "continue",
    "declare", "echo", "enable", "eval", "exec", "exit", "export", "false", "fc", "fg", "getopts",
    "hash", "help", "history", "jobs", "kill", "let", "local", "logout", "printf", "pwd", "read",
    "readonly", "return", "set", "shift", "source", "test", "times", "trap", "true", "type",
    "ulimit", "umask", "unset", "wait",
];

/// Programs whose calls must not overlap: without `-w` iptables gives up when another runs. Those of
/// one firewall wait for each other; one that waits for somebody else's lock holds up no other.
pub const FIREWALLS: [&[&str]; 3] = [
    &["iptables", "ip6tables", "firewall-cmd"],
    &["ipset"],
    &["nft"],
];

/// Words that a command has in it that deletes from a firewall.
const DELETING: [&str; 9] = [
    " -D", " -F", " -X", "--delete", "--flush", "delete", "flush", "destroy", " del ",
];

/// A command ready to be carried out, and how. It is made once, when the tags are filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// As a shell would run it, and as the log shows it.
    pub script: Script,
    /// The change of the firewall that it makes, where it makes one and does nothing else.
    pub change: Option<Change>,
    /// How it is run by itself.
    pub strategy: ExecStrategy,
    /// Which of [`FIREWALLS`] it may touch.
    pub firewalls: [bool; FIREWALLS.len()],
    /// It may delete from one of them.
    pub deletes: bool,
}

/// How a command is run.
#[derive(Clone, Debug, PartialEq)]
pub enum ExecStrategy {
    /// There is no command.
    Nothing,
    /// A mail, built and sent here.
    Mail(Box<Mail>),
    /// Program and arguments.
    Program(Vec<String>),
    /// `/bin/sh`.
    Shell(ShellReason),
}

/// Why it takes a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShellReason {
    /// Values out of log lines reach it as variables.
    Values,
    /// Its first word is a command of the shell itself.
    BuiltIn(String),
    /// It is more than one plain command.
    Syntax,
}

impl Plan {
    /// The plan of a command whose tags are filled in.
    pub fn of(script: Script) -> Plan {
        let mentions = |words: &[&str]| words.iter().any(|word| script.text.contains(word));
        let firewalls = FIREWALLS.map(mentions);
        Plan {
            change: Change::recognise(&script),
            strategy: ExecStrategy::of(&script),
            firewalls,
            deletes: firewalls.contains(&true) && mentions(&DELETING),
            script,
        }
    }
}

impl ExecStrategy {
    fn of(script: &Script) -> ExecStrategy {
        if script.text.is_empty() {
            return ExecStrategy::Nothing;
        }
        if let Some(mail) = Mail::recognise(script) {
            return ExecStrategy::Mail(Box::new(mail));
        }
        if let Some(arguments) = firewall::call(script) {
            return ExecStrategy::Program(arguments);
        }
        if !script.variables.is_empty() {
            return ExecStrategy::Shell(ShellReason::Values);
        }
        match plain_command(&script.text) {
            None => ExecStrategy::Shell(ShellReason::Syntax),
            Some(arguments) => match arguments.first() {
                Some(name) if !BUILT_IN.contains(&name.as_str()) => {
                    ExecStrategy::Program(arguments)
                }
                name => {
                    ExecStrategy::Shell(ShellReason::BuiltIn(name.cloned().unwrap_or_default()))
                }
            },
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.change, &self.strategy) {
            (Some(Change::Member(member)), _) if member.network.is_some() => {
                "netlink, many in one transaction: one address in or out of a set"
            }
            (Some(Change::Member(_)), _) => {
                "program, many in one run: a member of a set that is more than an address"
            }
            (Some(Change::Rule(_)), _) => {
                "program without a shell, many in one iptables-restore: one rule in or out"
            }
            (Some(Change::Route(_)), _) => "program without a shell: one route in or out",
            (None, ExecStrategy::Nothing) => "nothing to do",
            (None, ExecStrategy::Mail(_)) => "mail, built and sent without a shell",
            (None, ExecStrategy::Program(_)) => "program without a shell: one plain command",
            (None, ExecStrategy::Shell(ShellReason::Values)) => {
                "/bin/sh: it uses text from log lines, which is handed over in variables"
            }
            (None, ExecStrategy::Shell(ShellReason::BuiltIn(name))) => {
                return write!(f, "/bin/sh: {name} is built into it");
            }
            (None, ExecStrategy::Shell(ShellReason::Syntax)) => {
                "/bin/sh: more than one plain command (loops, pipes, redirections, …)"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Values;

    #[test]
    fn each_command_has_a_strategy_and_a_reason() {
        for (text, begin) in [
            ("", "nothing"),
            ("ipset -exist add s 192.0.2.1 timeout 0", "netlink"),
            ("nft add element inet t s \\{ 192.0.2.1 \\}", "netlink"),
            (
                "nft add element inet t s \\{ 192.0.2.1 . 22 \\}",
                "program, many",
            ),
            (
                "iptables -w -I c 1 -s 192.0.2.1 -j DROP",
                "program without a shell, many",
            ),
            (
                "ip route add unreachable 192.0.2.1",
                "program without a shell: one route",
            ),
            (
                "ip route add 192.0.2.1 via 192.0.2.2",
                "program without a shell: one",
            ),
            ("printf %b x", "/bin/sh: printf"),
            ("test -e x && y", "/bin/sh: more"),
            ("printf %b x | mail -s y z", "mail"),
        ] {
            let plan = Plan::of(Script::plain(text)).to_string();
            assert!(plan.starts_with(begin), "{text}: {plan}");
        }
        let mut values = Values::default();
        let command = format!("logger \"{}\"", values.mark("matches", "x;y".into()));
        assert_eq!(
            Plan::of(values.script(command)).strategy,
            ExecStrategy::Shell(ShellReason::Values)
        );
    }
}
