//! Which way a command goes that runs by itself: by netlink, as a mail, as a program of its own, or
//! through a shell, and why. Commands that wait together are first recognised as changes of the
//! firewall by [`firewall::Change::recognise`]; what was not done that way comes here.
//! A program that cannot be started goes to the shell after all, which says why in its own words.
#![forbid(unsafe_code)]

use std::fmt;

use crate::exec::script::Script;
use crate::exec::syntax::plain_command;
use crate::firewall;
use crate::firewall::iptables::Call;
use crate::firewall::member::Member;
use crate::firewall::route::Route;
use crate::firewall::sets;
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

/// The way of one command.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// There is no command.
    Nothing,
    /// A mail, built and sent here.
    Mail(Box<Mail>),
    /// A message to a web service, sent here; or why it cannot be.
    Notice(Box<Result<Notice, NoticeError>>),
    /// A member of a set put in or taken out, by netlink.
    Member(Box<Member>),
    /// Program and arguments.
    Program(Vec<String>),
    /// `/bin/sh`.
    Shell(Why),
}

/// Why it takes a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Values out of log lines reach it as variables.
    Values,
    /// Its first word is a command of the shell itself.
    BuiltIn(String),
    /// It is more than one plain command.
    Syntax,
}

impl Way {
    /// The way of a command whose tags are filled in.
    pub fn of(script: &Script) -> Way {
        if script.text.is_empty() {
            return Way::Nothing;
        }
        if let Some(notice) = Notice::recognise(script) {
            return Way::Notice(Box::new(notice));
        }
        if notice::says_nothing(script.shape().0) {
            return Way::Nothing;
        }
        if let Some(mail) = Mail::recognise(script) {
            return Way::Mail(Box::new(mail));
        }
        match sets::recognise(script) {
            Some(member) => Way::Member(Box::new(member)),
            None => Way::as_program(script),
        }
    }

    /// The way of a command that is to run as it is spelled out.
    pub fn as_program(script: &Script) -> Way {
        if let Some(arguments) = firewall::call(script) {
            return Way::Program(arguments);
        }
        if !script.variables.is_empty() {
            return Way::Shell(Why::Values);
        }
        match plain_command(&script.text) {
            None => Way::Shell(Why::Syntax),
            Some(arguments) => match arguments.first() {
                Some(name) if !BUILT_IN.contains(&name.as_str()) => Way::Program(arguments),
                name => Way::Shell(Why::BuiltIn(name.cloned().unwrap_or_default())),
            },
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Nothing => f.write_str("nothing to do"),
            Way::Mail(_) => f.write_str("mail, built and sent without a shell"),
            Way::Notice(notice) => match &**notice {
                Ok(_) => f.write_str("message to a web service, sent without a shell"),
                Err(error) => write!(f, "message that cannot be sent: {error}"),
            },
            Way::Member(member) if member.network.is_some() => {
                f.write_str("netlink, many in one transaction: one address in or out of a set")
            }
            Way::Member(_) => f.write_str(
                "program, many in one run: a member of a set that is more than an address",
            ),
            Way::Program(arguments) if Route::read(arguments).is_some() => {
                f.write_str("program without a shell, many in one ip -batch: one route in or out")
            }
            Way::Program(arguments) => {
                let rule = Call {
                    arguments: arguments.clone(),
                };
                match rule.change() {
                    Some(_) => f.write_str(
                        "program without a shell, many in one iptables-restore; by netlink once the kernel has a rule like it: one rule in or out",
                    ),
                    None => f.write_str("program without a shell: one plain command"),
                }
            }
            Way::Shell(Why::Values) => f.write_str(
                "/bin/sh: it uses text from log lines, which is handed over in variables",
            ),
            Way::Shell(Why::BuiltIn(name)) => write!(f, "/bin/sh: {name} is built into it"),
            Way::Shell(Why::Syntax) => {
                f.write_str("/bin/sh: more than one plain command (loops, pipes, redirections, …)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Values;

    #[test]
    fn each_command_has_a_way_and_a_reason() {
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
            let way = Way::of(&Script::plain(text)).to_string();
            assert!(way.starts_with(begin), "{text}: {way}");
        }
        let mut values = Values::default();
        let command = format!("logger \"{}\"", values.mark("matches", "x;y".into()));
        assert_eq!(Way::of(&values.script(command)), Way::Shell(Why::Values));
    }
}
