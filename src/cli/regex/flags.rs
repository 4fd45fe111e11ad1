//! The options of `fail2ban-regex`: one table, from which the parser and the help text are made.

use clap::{Arg, ArgAction, Command};

use crate::cli::help;

/// (id, short, long, value name, help); without a value name it is a switch.
type Row = (
    &'static str,
    Option<char>,
    &'static str,
    Option<&'static str>,
    &'static str,
);

const ROWS: &[Row] = &[
    ("version", None, "version", None, "name and version"),
    ("help", Some('h'), "help", None, "this text"),
    (
        "config",
        Some('c'),
        "config",
        Some("DIR"),
        "configuration directory (/etc/fail2ban)",
    ),
    (
        "datepattern",
        Some('d'),
        "datepattern",
        Some("PATTERN"),
        "date pattern, instead of the filter's or the built-in ones",
    ),
    (
        "timezone",
        None,
        "timezone",
        Some("ZONE"),
        "zone of dates that name none (also --TZ): UTC, +0200, …",
    ),
    (
        "encoding",
        Some('e'),
        "encoding",
        Some("NAME"),
        "encoding of the log file; by default that of the locale",
    ),
    (
        "raw",
        Some('r'),
        "raw",
        None,
        "take host names as they are, look nothing up",
    ),
    (
        "usedns",
        None,
        "usedns",
        Some("MODE"),
        "yes, warn, no or raw: what <HOST> matches and whether names are looked up",
    ),
    (
        "maxlines",
        Some('L'),
        "maxlines",
        Some("N"),
        "lines a regex sees at once; also the most lines a list may show",
    ),
    (
        "journalmatch",
        Some('m'),
        "journalmatch",
        Some("MATCH"),
        "journal matches, instead of the filter's",
    ),
    (
        "log_level",
        Some('l'),
        "log-level",
        Some("LEVEL"),
        "show log messages from this level on (critical)",
    ),
    ("short_version", Some('V'), "", None, "version number only"),
    (
        "verbose",
        Some('v'),
        "verbose",
        None,
        "increase verbosity; may be repeated",
    ),
    (
        "verbosity",
        None,
        "verbosity",
        Some("N"),
        "set verbosity: level 0 to 4",
    ),
    (
        "verbose_date",
        None,
        "verbose-date",
        None,
        "show patterns and regexes of date templates (also --VD)",
    ),
    (
        "debuggex",
        Some('D'),
        "debuggex",
        None,
        "add links to debuggex.com to the lists of lines",
    ),
    (
        "no_check_all",
        None,
        "no-check-all",
        None,
        "stop at the first regex that matches, as the server does",
    ),
    (
        "out",
        Some('o'),
        "out",
        Some("FORM"),
        "print failures only: id, ip, msg, row, a field, or a text with <tags>",
    ),
    (
        "invert",
        Some('i'),
        "invert",
        None,
        "with -o: print the lines that do not match",
    ),
    (
        "no_missed",
        None,
        "print-no-missed",
        None,
        "leave out the list of missed lines",
    ),
    (
        "no_ignored",
        None,
        "print-no-ignored",
        None,
        "leave out the list of ignored lines",
    ),
    (
        "all_matched",
        None,
        "print-all-matched",
        None,
        "list all matched lines",
    ),
    (
        "all_missed",
        None,
        "print-all-missed",
        None,
        "list all missed lines, however many",
    ),
    (
        "all_ignored",
        None,
        "print-all-ignored",
        None,
        "list all ignored lines, however many",
    ),
    (
        "also",
        None,
        "also",
        Some("LOG"),
        "read this log file after LOG; may be repeated",
    ),
    (
        "json",
        None,
        "json",
        None,
        "the report as one JSON object, or with -o one object a failure",
    ),
    (
        "log_traceback",
        Some('t'),
        "log-traceback",
        None,
        "accepted for compatibility",
    ),
    (
        "full_traceback",
        None,
        "full-traceback",
        None,
        "accepted for compatibility",
    ),
];

/// The parser.
pub(in crate::cli) fn command() -> Command {
    let mut command = Command::new("fail2ban-regex")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .infer_long_args(true)
        .arg(Arg::new("operands").num_args(0..));
    for &(id, short, long, value, _) in ROWS {
        let mut arg = Arg::new(id).action(match value {
            None if id != "verbose" => ArgAction::Count,
            _ => ArgAction::Append,
        });
        if id == "verbose" {
            // one value per -v, since only values have positions
            arg = arg.num_args(0).default_missing_value("");
        }
        if value.is_some() {
            arg = arg.allow_hyphen_values(true);
        }
        if !long.is_empty() {
            arg = arg.long(long);
        }
        arg = match id {
            "timezone" => arg.alias("TZ"),
            "verbose_date" => arg.alias("VD"),
            // abbreviations that were unique before there was more than the original has
            "journalmatch" => arg.alias("j"),
            _ => arg,
        };
        command = command.arg(match short {
            Some(short) => arg.short(short),
            None => arg,
        });
    }
    command
}

/// The help text after the usage line; `program` is the name it was called under.
pub(super) fn help(program: &str) -> String {
    let mut lines = vec![HELP.to_owned()];
    for &(_, short, long, value, about) in ROWS {
        let value = value.map_or(String::new(), |v| format!(" {v}"));
        let flags = match (short, long) {
            (Some(short), "") => format!("-{short}"),
            (Some(short), long) => format!("-{short}, --{long}{value}"),
            (None, long) => format!("--{long}{value}"),
        };
        help::explain(&flags, about, COLUMN, &mut lines);
    }
    let mut text = lines.join("\n") + "\n";
    // other programs' completion scripts read the text of fail2ban's name
    if program.starts_with("ferroban ") {
        text.push_str(&help::shown(EXAMPLES));
    }
    text
}

/// Column at which meanings begin.
const COLUMN: usize = 32;

const EXAMPLES: &[help::Example] = &[
    (
        "what the filter sshd finds in a log",
        "ferroban regex /var/log/auth.log sshd",
    ),
    (
        "the addresses it finds, and nothing else",
        "ferroban regex -o ip /var/log/auth.log sshd",
    ),
    (
        "a failregex on a line",
        "ferroban regex 'Nov 20 10:00:00 x from 192.0.2.1' 'x from <HOST>$'",
    ),
];

const HELP: &str = "
Tries failregexes on log lines and reports what they match, without banning
anybody; ferroban explain shows why a line does not count.

LOG:
    a path to a log file, systemd-journal[options], or a log line itself

REGEX:
    a failregex, the name of a jail or filter (sshd[mode=aggressive]),
    or a path to a filter file

IGNOREREGEX:
    a regex for lines that do not count

Options:";
