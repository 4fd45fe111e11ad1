//! What `--help` prints: options, and for the client every command with its meaning.
//!
//! Completion scripts cut this text apart: two blanks or more between a form and its meaning,
//! forms four blanks in, headings in capitals.

use crate::COMPATIBLE_VERSION;
use crate::lint::{hint, nearest};
use crate::python::text::quoted;

/// Column at which meanings begin.
const COLUMN: usize = 45;
/// Width of a line.
const WIDTH: usize = 79;

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
    ("--dp, --dump-pretty", "the same, meant for reading"),
    (
        "-t, --test",
        "check the configuration; before a command, or alone",
    ),
    ("-i", "read commands from the terminal"),
    ("--json", "print replies as JSON, one line each"),
    ("-v", "say more"),
    ("-q", "say less"),
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

/// Heading, then forms of commands with their meaning.
type Chapter = (&'static str, &'static [(&'static str, &'static str)]);

const CHAPTERS: [Chapter; 9] = [
    (
        "BASIC",
        &[
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
                "print what happens in these jails, or in all, as JSON lines while it happens",
            ),
            ("ping", "see whether the server answers"),
            (
                "echo",
                "print the arguments by way of the server (internal)",
            ),
            ("version", "version of the server"),
            (
                "help [<COMMAND>]",
                "explain the commands that have these words, or all",
            ),
        ],
    ),
    (
        "LOGGING",
        &[
            (
                "set loglevel <LEVEL>",
                "set how much is logged: CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG, TRACEDEBUG, HEAVYDEBUG or a number from 50 to 5",
            ),
            ("get loglevel", "how much is logged"),
            (
                "set logtarget <TARGET>",
                "set where the log goes: STDOUT, STDERR, SYSLOG, SYSTEMD-JOURNAL or a file",
            ),
            ("get logtarget", "where the log goes"),
            (
                "set syslogsocket auto|<SOCKET>",
                "set the socket for the log target SYSLOG",
            ),
            ("get syslogsocket", "the socket for the log target SYSLOG"),
            ("flushlogs", "open the log file again, for log rotation"),
        ],
    ),
    (
        "DATABASE",
        &[
            (
                "set dbfile <FILE>",
                "set the file bans are kept in; \"None\" keeps none",
            ),
            ("get dbfile", "the file bans are kept in"),
            (
                "set dbmaxmatches <INT>",
                "set how many log lines are kept with a ban",
            ),
            ("get dbmaxmatches", "how many log lines are kept with a ban"),
            (
                "set dbpurgeage <SECONDS>",
                "set for how many <SECONDS> old bans are kept",
            ),
            ("get dbpurgeage", "for how many seconds old bans are kept"),
            (
                "set memory <SIZE>",
                "set how much memory the matched log lines of all jails may take, such as 64m",
            ),
            (
                "get memory",
                "how many bytes of memory the matched log lines may take",
            ),
        ],
    ),
    (
        "JAIL CONTROL",
        &[
            (
                "add <JAIL> <BACKEND>",
                "make a jail that reads its logs by <BACKEND>",
            ),
            ("start <JAIL>", "let a jail begin its work"),
            ("stop <JAIL>", "stop and remove a jail"),
            (
                "status <JAIL> [FLAVOR]",
                "status of a jail; FLAVOR is one of basic (default), full, cymru, short, stats",
            ),
        ],
    ),
    (
        "JAIL CONFIGURATION",
        &[
            ("set <JAIL> idle on|off", "let a jail rest, or not"),
            (
                "set <JAIL> ignoreself true|false",
                "spare this machine's own addresses, or not",
            ),
            ("set <JAIL> addignoreip <IP>", "spare <IP> from now on"),
            ("set <JAIL> delignoreip <IP>", "spare <IP> no longer"),
            (
                "set <JAIL> ignorecommand <VALUE>",
                "set the command that says who is spared",
            ),
            (
                "set <JAIL> ignorecache <VALUE>",
                "set how its answers are remembered",
            ),
            (
                "set <JAIL> addlogpath <FILE> ['tail']",
                "read <FILE> too, from its 'tail' or its head (default)",
            ),
            ("set <JAIL> dellogpath <FILE>", "read <FILE> no longer"),
            (
                "set <JAIL> logencoding <ENCODING>",
                "set the encoding of the log files",
            ),
            (
                "set <JAIL> addjournalmatch <MATCH>",
                "read journal entries with <MATCH> too",
            ),
            (
                "set <JAIL> deljournalmatch <MATCH>",
                "read journal entries with <MATCH> no longer",
            ),
            (
                "set <JAIL> addfailregex <REGEX>",
                "count lines that match <REGEX> as failures",
            ),
            (
                "set <JAIL> delfailregex <INDEX>",
                "remove a failregex by its number",
            ),
            (
                "set <JAIL> addignoreregex <REGEX>",
                "ignore lines that match <REGEX>",
            ),
            (
                "set <JAIL> delignoreregex <INDEX>",
                "remove an ignoreregex by its number",
            ),
            (
                "set <JAIL> findtime <TIME>",
                "set the time within which failures add up",
            ),
            ("set <JAIL> bantime <TIME>", "set how long a ban lasts"),
            (
                "set <JAIL> datepattern <PATTERN>",
                "set the form of dates in the logs",
            ),
            (
                "set <JAIL> usedns <VALUE>",
                "set what happens with host names",
            ),
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
                "set <JAIL> maxretry <RETRY>",
                "set how many failures make a ban",
            ),
            (
                "set <JAIL> maxmatches <INT>",
                "set how many log lines are remembered of each IP",
            ),
            (
                "set <JAIL> banprefix4|banprefix6 <LENGTH>",
                "ban networks of this prefix length instead of addresses",
            ),
            (
                "set <JAIL> unbanwhenquiet true|false",
                "lift bans only when their IPs have stopped trying",
            ),
            (
                "set <JAIL> maxlines <LINES>",
                "set how many lines a failregex may span",
            ),
            (
                "set <JAIL> addaction <ACT>[ <PYTHONFILE> <JSONKWARGS>]",
                "add an action; with <PYTHONFILE>, one written in Python",
            ),
            ("set <JAIL> delaction <ACT>", "remove an action"),
        ],
    ),
    (
        "COMMAND ACTION CONFIGURATION",
        &[
            (
                "set <JAIL> action <ACT> actionstart <CMD>",
                "set what runs before the first ban",
            ),
            (
                "set <JAIL> action <ACT> actionstop <CMD>",
                "set what runs when the jail stops",
            ),
            (
                "set <JAIL> action <ACT> actioncheck <CMD>",
                "set what checks that all is in place",
            ),
            ("set <JAIL> action <ACT> actionban <CMD>", "set what bans"),
            (
                "set <JAIL> action <ACT> actionunban <CMD>",
                "set what lifts a ban",
            ),
            (
                "set <JAIL> action <ACT> timeout <TIMEOUT>",
                "set how many seconds a command may take",
            ),
        ],
    ),
    (
        "GENERAL ACTION CONFIGURATION",
        &[
            (
                "set <JAIL> action <ACT> <PROPERTY> <VALUE>",
                "set any other property",
            ),
            (
                "set <JAIL> action <ACT> <METHOD>[ <JSONKWARGS>]",
                "call a method of an action",
            ),
        ],
    ),
    (
        "JAIL INFORMATION",
        &[
            ("get <JAIL> banned", "the IPs banned in a jail"),
            (
                "get <JAIL> banned <IP> ... <IP>]",
                "for each <IP> 1 if it is banned, else 0",
            ),
            ("get <JAIL> logpath", "the files being read"),
            ("get <JAIL> logencoding", "their encoding"),
            ("get <JAIL> journalmatch", "which journal entries are read"),
            (
                "get <JAIL> ignoreself",
                "whether this machine's own addresses are spared",
            ),
            ("get <JAIL> ignoreip", "who is spared"),
            (
                "get <JAIL> ignorecommand",
                "the command that says who is spared",
            ),
            ("get <JAIL> failregex", "the failregexes, numbered"),
            ("get <JAIL> ignoreregex", "the ignoreregexes, numbered"),
            (
                "get <JAIL> findtime",
                "the time within which failures add up",
            ),
            ("get <JAIL> bantime", "how long a ban lasts"),
            ("get <JAIL> datepattern", "the form of dates in the logs"),
            ("get <JAIL> usedns", "what happens with host names"),
            (
                "get <JAIL> banip [<SEP>|--with-time]",
                "the banned IPs by end of ban, separated by <SEP> (a blank), or one a line with times",
            ),
            ("get <JAIL> maxretry", "how many failures make a ban"),
            (
                "get <JAIL> maxmatches",
                "how many log lines are remembered of each IP",
            ),
            ("get <JAIL> maxlines", "how many lines a failregex may span"),
            ("get <JAIL> actions", "the actions of a jail"),
        ],
    ),
    (
        "ACTION INFORMATION",
        &[
            (
                "get <JAIL> action <ACT> actionstart",
                "what runs before the first ban",
            ),
            (
                "get <JAIL> action <ACT> actionstop",
                "what runs when the jail stops",
            ),
            (
                "get <JAIL> action <ACT> actioncheck",
                "what checks that all is in place",
            ),
            ("get <JAIL> action <ACT> actionban", "what bans"),
            ("get <JAIL> action <ACT> actionunban", "what lifts a ban"),
            (
                "get <JAIL> action <ACT> timeout",
                "how many seconds a command may take",
            ),
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
        ],
    ),
];

/// The forms of all commands.
pub fn forms() -> impl Iterator<Item = &'static str> {
    CHAPTERS
        .iter()
        .flat_map(|(_, commands)| commands.iter().map(|(form, _)| *form))
}

/// What the usage text says of the commands that have all of these words.
///
/// # Errors
/// There is none; the text says so, with a word that may have been meant.
pub fn about(words: &[String]) -> Result<String, String> {
    let mut lines = Vec::new();
    for (form, meaning) in CHAPTERS.iter().flat_map(|(_, commands)| *commands) {
        if words
            .iter()
            .all(|word| names(form).any(|name| name == word))
        {
            explain(form, meaning, &mut lines);
        }
    }
    if lines.is_empty() {
        let unknown = words.iter().find(|word| !known().any(|name| name == *word));
        return Err(match unknown {
            Some(word) => format!("Unknown command {}{}", quoted(word), meant(word)),
            None => "There is no command with all of these words".to_owned(),
        });
    }
    Ok(lines.join("\n"))
}

/// `; did you mean 'x'?` for a word that is no command but like one, else nothing.
pub fn meant(word: &str) -> String {
    match known().any(|name| name == word) {
        true => String::new(),
        false => hint(nearest(word, known(), 2)),
    }
}

/// All words of commands.
fn known() -> impl Iterator<Item = &'static str> {
    forms().flat_map(names)
}

/// The words a form consists of, without what stands for something else.
fn names(form: &'static str) -> impl Iterator<Item = &'static str> {
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
        lines.push(format!("    {form:<24}{meaning}").trim_end().to_owned());
    }
    lines.push(format!(
        "    {:<24}{}",
        "-V, --version", "print the version (-V: the number alone)"
    ));
    if !is_server {
        lines.push("\nCommand:".to_owned());
        for (n, (heading, commands)) in CHAPTERS.iter().enumerate() {
            if n > 0 {
                lines.push(String::new());
            }
            lines.push(format!("{:COLUMN$}{heading}", ""));
            for (form, meaning) in *commands {
                explain(form, meaning, &mut lines);
            }
        }
    }
    lines.join("\n")
}

/// A form and its meaning in two columns; a long form stands alone in its line.
fn explain(form: &str, meaning: &str, lines: &mut Vec<String>) {
    let form = format!("    {form}");
    let mut line = if form.len() < COLUMN {
        format!("{form:<COLUMN$}")
    } else {
        lines.push(form);
        " ".repeat(COLUMN)
    };
    for word in meaning.split(' ') {
        if line.len() > COLUMN && line.len() + word.len() >= WIDTH {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(COLUMN);
        }
        line.push_str(word);
        line.push(' ');
    }
    lines.push(line.trim_end().to_owned());
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
