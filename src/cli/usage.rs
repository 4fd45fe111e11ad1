//! What `--help` prints: options, and for the client every command with its meaning.
//!
//! Completion scripts cut this text apart: two blanks or more between a form and its meaning,
//! forms four blanks in, headings in capitals.

use super::help::{self, Example};
use crate::COMPATIBLE_VERSION;
use crate::lint::{hint, nearest};
use crate::options::{OptionRow, action, jail, server};
use crate::python::text::quoted;

/// Column at which meanings begin.
const COLUMN: usize = 45;

/// The same for options.
const OPTIONS_COLUMN: usize = 28;

/// What people ask of the client.
const CLIENT: &[Example] = &[
    ("the jails that run", "ferroban client status"),
    (
        "what a jail has found and banned",
        "ferroban client status sshd",
    ),
    (
        "ban an address by hand",
        "ferroban client set sshd banip 192.0.2.1",
    ),
    ("lift a ban everywhere", "ferroban client unban 192.0.2.1"),
    ("apply a changed configuration", "ferroban client reload"),
];
/// And of the server.
const SERVER: &[Example] = &[
    (
        "in the foreground, as units of systemd do",
        "ferroban server -xf start",
    ),
    ("in the background", "ferroban server start"),
];

/// Options with their meaning.
const OPTIONS: [(&str, &str); 21] = [
    ("-c, --conf <DIR>", "directory of the configuration"),
    ("-s, --socket <FILE>", "path of the control socket"),
    ("-p, --pidfile <FILE>", "path of the pid file"),
    (
        "--pname <NAME>",
        "name of the server process, to tell several servers apart (fail2ban-server)",
    ),
    ("--loglevel <LEVEL>", "how much is logged"),
    (
        "--logtarget <TARGET>",
        "where to: a file, stdout, stderr, syslog or sysout",
    ),
    ("--syslogsocket auto|<FILE>", ""),
    ("-d", "print the configuration as commands for the server"),
    ("--dp, --dump-pretty", "the same, formatted for reading"),
    (
        "-t, --test",
        "check the configuration; before a command, or alone",
    ),
    ("-i", "read commands from the terminal"),
    ("--json", "print replies as JSON, one line each"),
    ("-v", "increase verbosity"),
    ("-q", "decrease verbosity"),
    ("-x", "start even if the socket is there, and replace it"),
    ("-b", "start in the background (default)"),
    ("-f", "start in the foreground"),
    (
        "--async",
        "start without a configuration, which the client will send (internal)",
    ),
    (
        "--timeout <TIME>",
        "how long to wait for the server to start or stop",
    ),
    ("--str2sec <STRING>", "convert a time like 1d12h to seconds"),
    ("-h, --help", "print this text"),
];

/// The form of a command and its meaning.
type Command = (&'static str, &'static str);

const BASIC: &[Command] = &[
    ("start", "start the server and all enabled jails"),
    ("restart", "stop the server, then start it"),
    (
        "restart [--unban] [--if-exists] <JAIL>",
        "restart one jail: short for 'reload --restart ... <JAIL>'",
    ),
    (
        "reload [--restart] [--unban] [--all]",
        "read the configuration again, keeping the server, its jails and their bans; --restart makes the jails anew, --unban lifts all bans before",
    ),
    (
        "reload [--restart] [--unban] [--if-exists] <JAIL>",
        "the same for one jail",
    ),
    ("stop", "stop all jails and end the server"),
    (
        "stop --keep",
        "the same, with bans left in the firewall for the server that is started next",
    ),
    (
        "unban --all",
        "lift all bans of all jails, and forget them in the database",
    ),
    (
        "unban <IP> ... <IP> [--column <N>] [--ids]",
        "lift the bans of <IP> in all jails, and forget them in the database; @<FILE> as for banip",
    ),
    (
        "forget <IP> ... <IP> [--column <N>] [--ids]",
        "forget failures and earlier bans of <IP> in all jails; bans in force stay; @<FILE> as for banip",
    ),
    ("banned", "all banned IPs, by jail"),
    ("banned <IP> ... <IP>]", "the jails that hold each <IP>"),
    ("status", "number and names of the jails"),
    (
        "status --all [FLAVOR]",
        "status of every jail; FLAVOR is one of basic (default), full, cymru, short, stats",
    ),
    ("stat[istic]s", "numbers of all jails in a table"),
    (
        "events [<JAIL> ... <JAIL>]",
        "print the events of these jails, or of all, as JSON lines as they happen",
    ),
    ("ping", "test whether the server answers"),
    ("echo", "print the arguments back (internal)"),
    ("version", "version of the server"),
    (
        "help [<COMMAND>]",
        "explain the commands that have these words, or all",
    ),
];

const LOGGING: &[Command] = &[("flushlogs", "open the log file again, for log rotation")];

const JAIL_CONTROL: &[Command] = &[
    (
        "add <JAIL> <BACKEND>",
        "create a jail that reads its logs by <BACKEND>",
    ),
    ("start <JAIL>", "start a jail"),
    ("stop <JAIL>", "stop and remove a jail"),
    (
        "status <JAIL> [FLAVOR]",
        "status of a jail; FLAVOR is one of basic (default), full, cymru, short, stats",
    ),
];

const IDLE: &[Command] = &[("set <JAIL> idle on|off", "set the idle state of a jail")];

const JAIL_ORDERS: &[Command] = &[
    (
        "set <JAIL> attempt <IP> [<failure1> ... <failureN>]",
        "count a failure of <IP>, with log lines if there are any",
    ),
    (
        "set <JAIL> banip <IP> ... <IP> [--time <TIME>] [--reason <TEXT>] [--column <N>] [--ids]",
        "ban <IP> now; @<FILE> stands for the IPs in a file; --time overrides bantime, --reason is kept with the ban; of a file, --column reads the <N>th field of each line, --ids takes what is no IP too",
    ),
    (
        "set <JAIL> unbanip [--report-absent] <IP> ... <IP> [--column <N>] [--ids]",
        "lift the ban of <IP>; --report-absent fails if there is none; @<FILE> as for banip",
    ),
    (
        "set <JAIL> addaction <ACT>[ <PYTHONFILE> <JSONKWARGS>]",
        "add an action; with <PYTHONFILE>, one written in Python",
    ),
    ("set <JAIL> delaction <ACT>", "remove an action"),
];

const ANY_PROPERTY: &[Command] = &[
    (
        "set <JAIL> action <ACT> <PROPERTY> <VALUE>",
        "set any other property",
    ),
    (
        "set <JAIL> action <ACT> <METHOD>[ <JSONKWARGS>]",
        "call a method of an action",
    ),
];

const BANNED: &[Command] = &[
    ("get <JAIL> banned", "the IPs banned in a jail"),
    (
        "get <JAIL> banned <IP> ... <IP>]",
        "for each <IP> 1 if it is banned, else 0",
    ),
];

const BANS_AND_ACTIONS: &[Command] = &[
    (
        "get <JAIL> banip [<SEP>|--with-time]",
        "the banned IPs by end of ban, separated by <SEP> (a blank), or one a line with times",
    ),
    ("get <JAIL> actions", "the actions of a jail"),
];

const PROPERTIES: &[Command] = &[
    (
        "get <JAIL> actionproperties <ACT>",
        "the names of an action's properties",
    ),
    (
        "get <JAIL> actionmethods <ACT>",
        "the names of an action's methods",
    ),
    (
        "get <JAIL> action <ACT> <PROPERTY>",
        "the value of a property",
    ),
];

/// Forms of commands with their meaning.
type Commands = Vec<(String, &'static str)>;

/// Headings, each with the commands below it: those written above and those of the options.
fn chapters() -> Vec<(&'static str, Commands)> {
    let written = |commands: &[Command]| -> Commands {
        let owned = |(form, meaning): &Command| ((*form).to_owned(), *meaning);
        commands.iter().map(owned).collect()
    };
    let of_server = |rows: &[OptionRow]| -> Commands {
        let both = |row| [setters("", row), getters("", row)].concat();
        rows.iter().flat_map(both).collect()
    };
    let of_jail =
        |help: HelpOf| -> Commands { jail::all().flat_map(|row| help("<JAIL> ", row)).collect() };
    let of_action = |help: HelpOf| -> Commands {
        let rows = action::all();
        rows.flat_map(|row| help("<JAIL> action <ACT> ", row))
            .collect()
    };
    vec![
        ("BASIC", written(BASIC)),
        (
            "LOGGING",
            [of_server(server::EARLY), written(LOGGING)].concat(),
        ),
        ("DATABASE", of_server(server::LATER)),
        ("JAIL CONTROL", written(JAIL_CONTROL)),
        (
            "JAIL CONFIGURATION",
            [written(IDLE), of_jail(setters), written(JAIL_ORDERS)].concat(),
        ),
        ("COMMAND ACTION CONFIGURATION", of_action(setters)),
        ("GENERAL ACTION CONFIGURATION", written(ANY_PROPERTY)),
        (
            "JAIL INFORMATION",
            [written(BANNED), of_jail(getters), written(BANS_AND_ACTIONS)].concat(),
        ),
        (
            "ACTION INFORMATION",
            [of_action(getters), written(PROPERTIES)].concat(),
        ),
    ]
}

/// The commands of an option; the words of its owner end with a blank.
type HelpOf = fn(&str, &OptionRow) -> Commands;

fn setters(owner: &str, row: &OptionRow) -> Commands {
    let forms = [("", row.set), ("add", row.add), ("del", row.del)];
    let commands = forms.into_iter().filter_map(|(prefix, help)| {
        let (value, meaning) = help?;
        Some((format!("set {owner}{prefix}{} {value}", row.name), meaning))
    });
    commands.collect()
}

fn getters(owner: &str, row: &OptionRow) -> Commands {
    let command = row
        .get
        .map(|meaning| (format!("get {owner}{}", row.name), meaning));
    command.into_iter().collect()
}

/// All commands with their meanings.
fn commands() -> impl Iterator<Item = (String, &'static str)> {
    chapters().into_iter().flat_map(|(_, commands)| commands)
}

/// The forms of all commands.
pub fn forms() -> Vec<String> {
    commands().map(|(form, _)| form).collect()
}

/// What the usage text says of the commands that have all of these words.
///
/// # Errors
/// There is none; the text says so, with a word that may have been meant.
pub fn about(words: &[String]) -> Result<String, String> {
    let mut lines = Vec::new();
    for (form, meaning) in commands() {
        if words
            .iter()
            .all(|word| names(&form).any(|name| name == word))
        {
            help::explain(&form, meaning, COLUMN, &mut lines);
        }
    }
    if lines.is_empty() {
        let unknown = words.iter().find(|word| !is_known(word));
        return Err(match unknown {
            Some(word) => format!("Unknown command {}{}", quoted(word), meant(word)),
            None => "There is no command with all of these words".to_owned(),
        });
    }
    Ok(lines.join("\n"))
}

/// `; did you mean 'x'?` for a word that is no command but like one, else nothing.
pub fn meant(word: &str) -> String {
    // the help does not name it, and it is a command all the same
    match word == "sleep" || is_known(word) {
        true => String::new(),
        false => hint(nearest(
            word,
            forms().iter().flat_map(|form| names(form)),
            2,
        )),
    }
}

/// Whether it is a word of a command.
fn is_known(word: &str) -> bool {
    commands().any(|(form, _)| names(&form).any(|name| name == word))
}

/// The words a form consists of, without what stands for something else.
pub fn names(form: &str) -> impl Iterator<Item = &str> {
    let words = form.split_whitespace();
    words
        .flat_map(|word| match word.trim_matches(['[', ']']) {
            "stat[istic]s" => ["stats", "statistics"].as_slice().to_vec(),
            word => word.split('|').collect(),
        })
        .filter(|name| !name.starts_with(['<', '\'', '.']) && *name != "FLAVOR")
}

/// The forms of all options.
pub fn options() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(form, _)| *form)
}

/// First lines of interactive mode and of the usage text (fact P65).
pub fn introduction() -> String {
    format!(
        "Fail2Ban v{COMPATIBLE_VERSION} reads log file that contains password failure report\nand bans the corresponding IP addresses using firewall rules.\n"
    )
}

/// The whole text. `caller` is the name of the program; that of a server knows no commands.
pub fn text(caller: &str) -> String {
    let caller = caller.rsplit('/').next().unwrap_or(caller);
    let is_server = caller.ends_with("server");
    let mut lines = vec![
        format!(
            "Usage: {caller} [OPTIONS]{}",
            if is_server { "" } else { " <COMMAND>" }
        ),
        String::new(),
        introduction(),
        "Options:".to_owned(),
    ];
    for (form, meaning) in OPTIONS {
        help::explain(form, meaning, OPTIONS_COLUMN, &mut lines);
    }
    let version = "print the version (-V: the number alone)";
    help::explain("-V, --version", version, OPTIONS_COLUMN, &mut lines);
    // other programs' completion scripts read the text of fail2ban's names
    if caller.starts_with("ferroban ") {
        let examples = if is_server { SERVER } else { CLIENT };
        lines.push(help::shown(examples).trim_end().to_owned());
    }
    if !is_server {
        lines.push("\nCommand:".to_owned());
        for (n, (heading, commands)) in chapters().iter().enumerate() {
            if n > 0 {
                lines.push(String::new());
            }
            lines.push(format!("{:COLUMN$}{heading}", ""));
            for (form, meaning) in commands {
                help::explain(form, meaning, COLUMN, &mut lines);
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_in_two_columns() {
        let text = text("/usr/bin/fail2ban-client");
        assert!(text.starts_with("Usage: fail2ban-client [OPTIONS] <COMMAND>\n"));
        let line = "    stop                                     stop all jails and end the server";
        assert!(text.lines().any(|found| found == line), "{text}");
        let line = "    set <JAIL> action <ACT> actionstop <CMD>";
        assert!(text.lines().any(|found| found == line), "{text}");
        assert!(text.lines().all(|line| line.len() <= 110));
    }

    #[test]
    fn help_of_a_command_shows_its_forms_alone() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let text = about(&words("unbanip")).unwrap();
        assert!(
            text.contains("set <JAIL> unbanip [--report-absent]"),
            "{text}"
        );
        assert!(!text.contains("banprefix4"), "{text}");
        let text = about(&words("get bantime")).unwrap();
        assert_eq!(text.matches("bantime").count(), 1, "{text}");
        assert!(about(&words("statistics")).is_ok() && about(&words("banprefix6")).is_ok());
        for (line, expected) in [
            (
                "unbnip",
                "Unknown command 'unbnip'; did you mean 'unbanip'?",
            ),
            ("xyzzyx", "Unknown command 'xyzzyx'"),
            (
                "unban bantime",
                "There is no command with all of these words",
            ),
        ] {
            assert_eq!(about(&words(line)), Err(expected.to_owned()));
        }
    }

    #[test]
    fn a_server_knows_no_commands() {
        let text = text("fail2ban-server");
        assert!(text.starts_with("Usage: fail2ban-server [OPTIONS]\n"));
        assert!(!text.contains("Command:"));
    }
}
