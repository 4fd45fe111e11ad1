//! What a command does, read once, when its tags are filled in: nothing, a mail, a message, a change of the
//! firewall, a program of its own, or a script for a shell, and why. Whoever carries a command out, or says
//! something of it, goes by its [`Plan`].
//!
//! A program that cannot be started goes to the shell after all, which says why in its own words.
#![forbid(unsafe_code)]

use std::fmt;

use crate::exec::script::Script;
use crate::exec::syntax::plain_command;
use crate::firewall::{self, Change};
use crate::mail::Mail;
use crate::notice::{self, Notice, NoticeError};

/// Programs that a shell carries out by itself, not always as the program of that name would.
const BUILT_IN: [&str; 48] = [
    ".", ":", "[", "alias", "bg", "bind", "break", "builtin", "cd", "chdir", "command", "continue",
    "declare", "echo", "enable", "eval", "exec", "exit", "export", "false", "fc", "fg", "getopts",
    "hash", "help", "history", "jobs", "kill", "let", "local", "logout", "printf", "pwd", "read",
    "readonly", "return", "set", "shift", "source", "test", "times", "trap", "true", "type",
    "ulimit", "umask", "unset", "wait",
];

/// Programs that change one firewall.
const FIREWALLS: [&[&str]; 3] = [
    &["iptables", "ip6tables", "firewall-cmd"],
    &["ipset"],
    &["nft"],
];

/// What commands say that delete from a firewall.
const DELETING: [&str; 9] = [
    " -D", " -F", " -X", "--delete", "--flush", "delete", "flush", "destroy", " del ",
];

/// A command that is ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the original would give to a shell. The log shows it.
    pub script: Script,
    /// What is done.
    pub work: Work,
}

/// What is done for one command.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// There is no command.
    Nothing,
    /// A mail, built and sent here.
    Mail(Box<Mail>),
    /// A message to a web service, sent here; or why it cannot be.
    Notice(Box<Result<Notice, NoticeError>>),
    /// A change of the firewall, made here where that is possible, else as it is spelled out.
    Change(Box<Change>),
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
    /// Reads a command.
    pub fn of(script: Script) -> Plan {
        let work = Work::of(&script);
        Plan { script, work }
    }

    /// The change of the firewall that it is.
    pub fn change(&self) -> Option<&Change> {
        match &self.work {
            Work::Change(change) => Some(change),
            _ => None,
        }
    }

    /// The same, of somebody who needs no more of it.
    pub fn into_change(self) -> Option<Change> {
        match self.work {
            Work::Change(change) => Some(*change),
            _ => None,
        }
    }

    /// Program and arguments as it is spelled out, where they need no shell.
    pub fn program(&self) -> Option<Vec<String>> {
        match &self.work {
            Work::Program(arguments) => Some(arguments.clone()),
            // of many that wait together the words are not kept: hardly any needs them
            Work::Change(_) => program(&self.script).ok(),
            _ => None,
        }
    }

    /// The firewalls that it may change, each by the name of its first program.
    pub fn firewalls(&self) -> impl Iterator<Item = &'static str> {
        let named = FIREWALLS.iter().filter(|programs| self.mentions(programs));
        named.map(|programs| programs[0])
    }

    /// Whether it may delete from a firewall that it may change.
    pub fn may_delete(&self) -> bool {
        self.mentions(&DELETING)
    }

    fn mentions(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.script.text.contains(word))
    }
}

impl Work {
    fn of(script: &Script) -> Work {
        // first, for it is the most frequent; no other is one plain call of a firewall's program
        if let Some(change) = Change::recognise(script) {
            return Work::Change(Box::new(change));
        }
        if script.text.is_empty() {
            return Work::Nothing;
        }
        if let Some(notice) = Notice::recognise(script) {
            return Work::Notice(Box::new(notice));
        }
        if notice::says_nothing(script.shape().0) {
            return Work::Nothing;
        }
        if let Some(mail) = Mail::recognise(script) {
            return Work::Mail(Box::new(mail));
        }
        match program(script) {
            Ok(arguments) => Work::Program(arguments),
            Err(why) => Work::Shell(why),
        }
    }
}

/// Program and arguments of a command, or why it takes a shell.
fn program(script: &Script) -> Result<Vec<String>, ShellReason> {
    if let Some(arguments) = firewall::call(script) {
        return Ok(arguments);
    }
    if !script.variables.is_empty() {
        return Err(ShellReason::Values);
    }
    let arguments = plain_command(&script.text).ok_or(ShellReason::Syntax)?;
    match arguments.first() {
        Some(name) if !BUILT_IN.contains(&name.as_str()) => Ok(arguments),
        name => Err(ShellReason::BuiltIn(name.cloned().unwrap_or_default())),
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Work::Nothing => "nothing to do",
            Work::Mail(_) => "mail, built and sent without a shell",
            Work::Notice(notice) => match &**notice {
                Ok(_) => "message to a web service, sent without a shell",
                Err(error) => return write!(f, "message that cannot be sent: {error}"),
            },
            Work::Change(change) => match &**change {
                Change::Member(member) if member.network.is_some() => {
                    "netlink, many in one transaction: one address in or out of a set"
                }
                Change::Member(_) => {
                    "program, many in one run: a member of a set that is more than an address"
                }
                Change::Route(_) => {
                    "program without a shell, many in one ip -batch: one route in or out"
                }
                Change::Rule(_) => {
                    "program without a shell, many in one iptables-restore; by netlink once the kernel has a rule like it: one rule in or out"
                }
            },
            Work::Program(_) => "program without a shell: one plain command",
            Work::Shell(ShellReason::Values) => {
                "/bin/sh: it uses text from log lines, which is handed over in variables"
            }
            Work::Shell(ShellReason::BuiltIn(name)) => {
                return write!(f, "/bin/sh: {name} is built into it");
            }
            Work::Shell(ShellReason::Syntax) => {
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
    fn each_command_has_its_work_and_a_reason() {
        for (text, begin) in [
            ("", "nothing"),
            ("ipset -exist add s 192.0.2.1 timeout 0", "netlink"),
            ("nft add element inet t s \\{ 192.0.2.1 \\}", "netlink"),
            ("nft add element inet t ipset \\{ 192.0.2.1 \\}", "netlink"),
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
                "program without a shell, many in one ip",
            ),
            (
                "ip route add 192.0.2.1 via 192.0.2.2",
                "program without a shell: one",
            ),
            ("printf %b x", "/bin/sh: printf"),
            ("test -e x && y", "/bin/sh: more"),
            ("printf %b x | mail -s y z", "mail"),
        ] {
            let work = Plan::of(Script::plain(text)).work.to_string();
            assert!(work.starts_with(begin), "{text}: {work}");
        }
        let mut values = Values::default();
        let command = format!("logger \"{}\"", values.mark("matches", "x;y".into()));
        let plan = Plan::of(values.script(command));
        assert_eq!(plan.work, Work::Shell(ShellReason::Values));
    }
}
