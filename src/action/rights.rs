//! The rights that a command needs and that a systemd unit may withhold: to change the firewall, to write files,
//! to change the user.
//!
//! In: the plan of a command. Known programs have known needs; any other is reported as unknown, so that
//! nothing is withheld from it by a guess.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::confined::{MAILERS, SET_ID};
use super::plan::{Plan, Work};
use crate::exec::outline::ScriptOutline;
use crate::firewall::Change;
use crate::mail::Mail;

/// Something that a command takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To change rules, sets, routes and connections.
    Firewall,
    /// What iptables takes beyond that: raw sockets, and its lock file in `/run`.
    Iptables,
    /// To talk to other hosts.
    Network,
    /// To hand mail to this program, which has a spool and rights of its own.
    Mail(String),
    /// To write, make or delete this file.
    Write(String),
    /// To become another user, by the set-id bits of this program.
    SetId(String),
    /// Nobody knows; this is the program, or what else is not known.
    Unknown(String),
}

/// Programs of the firewall; those of iptables go by the beginning of their names.
const FIREWALL: [&str; 4] = ["conntrack", "ip", "ipset", "nft"];

/// Words of the shell, and programs that only read and print.
const HARMLESS: [&str; 35] = [
    ":", "[", "break", "case", "cat", "continue", "cut", "date", "done", "echo", "esac", "exit",
    "expr", "false", "fi", "for", "grep", "head", "local", "logger", "printf", "read", "return",
    "set", "shift", "sleep", "sort", "tail", "test", "tr", "true", "uniq", "unset", "wait", "wc",
];

/// They write nothing but the files that they name.
const WRITERS: [&str; 6] = ["mkdir", "mv", "rm", "rmdir", "tee", "touch"];

/// What a command takes; nothing for one that only reads and prints.
pub fn of(plan: &Plan) -> BTreeSet<Right> {
    match &plan.work {
        Work::Nothing => BTreeSet::new(),
        Work::Mail(mail) => BTreeSet::from([of_mail(mail)]),
        Work::Notice(_) => BTreeSet::from([Right::Network]),
        Work::Change(change) if matches!(**change, Change::Member(_)) => {
            BTreeSet::from([Right::Firewall])
        }
        Work::Change(_) | Work::Program(_) => of_command(&plan.program().unwrap_or_default()),
        Work::Shell(_) => of_script(plan.script.shape().0),
    }
}

fn of_mail(mail: &Mail) -> Right {
    match mail.program() {
        Some(program) => Right::Mail(program.to_owned()),
        None => Right::Network,
    }
}

/// What a script for `/bin/sh` takes.
pub fn of_script(script: &str) -> BTreeSet<Right> {
    let outline = ScriptOutline::of(script);
    let mut rights: BTreeSet<Right> = outline
        .commands
        .iter()
        .flat_map(|words| of_command(words))
        .collect();
    rights.extend(outline.written.iter().filter_map(|path| of_file(path)));
    if outline.has_document {
        rights.insert(Right::Unknown("<<".to_owned()));
    }
    rights
}

fn of_command(words: &[String]) -> BTreeSet<Right> {
    let Some((program, arguments)) = words.split_first() else {
        return BTreeSet::new();
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    let unknown = || BTreeSet::from([Right::Unknown(program.clone())]);
    let named = arguments.iter().filter(|word| !word.starts_with('-'));
    match name {
        _ if HARMLESS.contains(&name) => BTreeSet::new(),
        "ip" if named.clone().any(|word| word == "netns") => unknown(),
        _ if FIREWALL.contains(&name) => BTreeSet::from([Right::Firewall]),
        _ if name.starts_with("iptables") || name.starts_with("ip6tables") => {
            BTreeSet::from([Right::Firewall, Right::Iptables])
        }
        _ if MAILERS.contains(&name) => BTreeSet::from([Right::Mail(program.clone())]),
        _ if SET_ID.contains(&name) => {
            let mut rights = unknown();
            rights.insert(Right::SetId(program.clone()));
            rights
        }
        _ if WRITERS.contains(&name) => named.filter_map(|path| of_file(path)).collect(),
        // it makes another file beside the one it changes, which is named last
        "sed" if arguments.iter().any(|word| edits(word)) => arguments
            .last()
            .and_then(|path| of_file(path))
            .into_iter()
            .collect(),
        "sed" => BTreeSet::new(),
        "curl" if !arguments.iter().any(|word| saves(word)) => BTreeSet::from([Right::Network]),
        _ => unknown(),
    }
}

/// Whether an option of sed is `-i`, alone or among others.
fn edits(word: &str) -> bool {
    word.starts_with("--in-place") || is_short(word) && word.contains('i')
}

/// Whether an option of curl writes a file.
fn saves(word: &str) -> bool {
    let long = [
        "--output",
        "--remote",
        "--cookie-jar",
        "--dump-header",
        "--trace",
        "--stderr",
    ];
    long.iter().any(|option| word.starts_with(option))
        || is_short(word) && word.contains(['o', 'O', 'c', 'D', 'K'])
}

fn is_short(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--")
}

/// What it takes to write a file; nothing for a device. Of its name no more than the directory must be
/// known before the command runs.
fn of_file(path: &str) -> Option<Right> {
    if path.starts_with("/dev/") {
        return None;
    }
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let known = path.starts_with('/') && !directory.contains(['$', '*', '?', '\0']);
    Some(match known {
        true => Right::Write(path.to_owned()),
        false => Right::Unknown(format!("> {}", path.replace('\0', "…"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Script;

    fn rights(script: &str) -> Vec<Right> {
        of(&Plan::of(Script::plain(script))).into_iter().collect()
    }

    #[test]
    fn known_commands_take_what_is_told() {
        use Right::{Firewall, Iptables, Network, SetId, Unknown};
        let write = |path: &str| Right::Write(path.to_owned());
        for (script, expected) in [
            ("", vec![]),
            ("nft add element inet t s \\{ 192.0.2.1 \\}", vec![Firewall]),
            ("ip route add unreachable 192.0.2.1", vec![Firewall]),
            (
                "/usr/sbin/iptables-nft -w -I c 1 -s 192.0.2.1 -j DROP",
                vec![Firewall, Iptables],
            ),
            (
                "for c in $(echo a | tr , ' '); do ip6tables -w -I $c; done",
                vec![Firewall, Iptables],
            ),
            (
                "printf %b \"Subject: x\\n\" | /usr/sbin/sendmail -f a b",
                vec![Right::Mail("/usr/sbin/sendmail".to_owned())],
            ),
            (
                "printf %b \"Subject: x\\n\" | smtp://localhost -f \"x\" \"y\"",
                vec![Network],
            ),
            ("curl -s -d x https://example.org/", vec![Network]),
            (
                "printf '%s\\n' \"ALL: 192.0.2.1\" >> /etc/hosts.deny 2>/dev/null",
                vec![write("/etc/hosts.deny")],
            ),
            (
                "sed -i '/^a$/d' /etc/a.conf; rm -f /run/a",
                vec![write("/etc/a.conf"), write("/run/a")],
            ),
            (
                "touch /etc/blacklist.d/$ip.auto",
                vec![write("/etc/blacklist.d/$ip.auto")],
            ),
            (
                "x | sed -n s/a/b/p | while read -r y; do nft delete $y; done",
                vec![Firewall, Unknown("x".to_owned())],
            ),
            (
                "echo x | sudo -u a tee /b",
                vec![SetId("sudo".to_owned()), Unknown("sudo".to_owned())],
            ),
            (
                "curl -so /b https://example.org/",
                vec![Unknown("curl".to_owned())],
            ),
            (
                "ip -all netns exec a nft list tables",
                vec![Unknown("ip".to_owned())],
            ),
            (
                "echo x > $file; echo y > b/c",
                vec![Unknown("> $file".to_owned()), Unknown("> b/c".to_owned())],
            ),
            (
                "/usr/local/bin/ban 192.0.2.1",
                vec![Unknown("/usr/local/bin/ban".to_owned())],
            ),
            (
                "cat <<E\na\nE",
                vec![
                    Unknown("<<".to_owned()),
                    Unknown("E".to_owned()),
                    Unknown("a".to_owned()),
                ],
            ),
        ] {
            let mut expected = expected;
            expected.sort();
            assert_eq!(rights(script), expected, "{script}");
        }
    }
}
