//! The command line of `fail2ban-regex`, read as Python's optparse reads it: options anywhere,
//! unambiguous prefixes, exit code 2 for what is no option (facts X8, X20).

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::COMPATIBLE_VERSION;
use crate::config::shipped;

/// Everything that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) log: String,
    pub(super) regex: String,
    pub(super) ignoreregex: Option<String>,
    pub(super) config: String,
    pub(super) datepattern: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) raw: bool,
    pub(super) usedns: Option<String>,
    pub(super) maxlines: Option<i64>,
    pub(super) journalmatch: Option<String>,
    pub(super) log_level: String,
    pub(super) verbose: u32,
    pub(super) verbose_date: bool,
    pub(super) debuggex: bool,
    pub(super) check_all: bool,
    pub(super) out: Option<String>,
    pub(super) invert: bool,
    pub(super) no_missed: bool,
    pub(super) no_ignored: bool,
    pub(super) all_matched: bool,
    pub(super) all_missed: bool,
    pub(super) all_ignored: bool,
}

/// What came of the command line.
pub(super) enum Parsed {
    /// Do this.
    Options(Box<Options>),
    /// Only say this: help, version or what is wrong.
    Answer {
        /// For standard output.
        out: String,
        /// For standard error.
        err: String,
        /// Exit code.
        code: u8,
    },
}

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
        "say more; may be repeated",
    ),
    (
        "verbosity",
        None,
        "verbosity",
        Some("N"),
        "say more: level 0 to 4",
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

fn command() -> Command {
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
            _ => arg,
        };
        command = command.arg(match short {
            Some(short) => arg.short(short),
            None => arg,
        });
    }
    command
}

/// Reads the command line.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Parsed {
    let mut args = args.into_iter();
    let program = args.next().map_or("fail2ban-regex".to_owned(), |p| {
        p.to_string_lossy().into_owned()
    });
    let usage = format!("Usage: {program} [OPTIONS] <LOG> <REGEX> [IGNOREREGEX]\n");
    let wrong = |message: String| Parsed::Answer {
        out: String::new(),
        err: format!("{usage}\nfail2ban-regex: error: {message}\n"),
        code: 2,
    };
    let words: Vec<String> = args.map(|a| a.to_string_lossy().into_owned()).collect();
    let named = std::iter::once(&program).chain(&words);
    let matches = match command().try_get_matches_from(named) {
        Ok(matches) => matches,
        Err(error) => return wrong(complaint(&error, words.last().map_or("", String::as_str))),
    };
    let say = |out: String| Parsed::Answer {
        out,
        err: String::new(),
        code: 0,
    };
    if matches.get_count("help") > 0 {
        return say(format!("{usage}{}", help()));
    }
    if matches.get_count("short_version") > 0 {
        return say(format!("{COMPATIBLE_VERSION}\n"));
    }
    if matches.get_count("version") > 0 {
        return say(format!("fail2ban-regex {COMPATIBLE_VERSION}\n"));
    }
    let options = match collect(&matches) {
        Ok(options) => options,
        Err(message) => return wrong(message),
    };
    let mut errors = Vec::new();
    for (all, none, word) in [
        (options.all_missed, options.no_missed, "missed"),
        (options.all_ignored, options.no_ignored, "ignored"),
    ] {
        if all && none {
            errors.push(format!(
                "ERROR: --print-no-{word} and --print-all-{word} are mutually exclusive."
            ));
        }
    }
    if !(2..=3).contains(&operands(&matches).len()) {
        errors.push("ERROR: provide both <LOG> and <REGEX>.".to_owned());
    }
    if errors.is_empty() {
        return Parsed::Options(Box::new(options));
    }
    Parsed::Answer {
        out: format!("{usage}{}", help()),
        err: format!("\n{}\n", errors.join("\n")),
        code: super::WRONG,
    }
}

fn operands(matches: &ArgMatches) -> Vec<String> {
    let operands = matches.get_many::<String>("operands");
    operands.map_or(Vec::new(), |o| o.cloned().collect())
}

fn collect(matches: &ArgMatches) -> Result<Options, String> {
    let text = |id: &str| {
        matches
            .get_many::<String>(id)
            .and_then(|mut v| v.next_back())
            .cloned()
    };
    let flag = |id: &str| matches.get_count(id) > 0;
    let integer = |id: &str, shown: &str| match text(id) {
        None => Ok(None),
        Some(value) => match value.trim().parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!(
                "option {shown}: invalid integer value: {}",
                crate::filter::quote(&value)
            )),
        },
    };
    let verbosity = integer("verbosity", "--verbosity")?;
    // each -v counts up from the last --verbosity before it
    let last = matches
        .indices_of("verbosity")
        .and_then(|mut i| i.next_back());
    let counted = matches
        .indices_of("verbose")
        .map_or(0, |all| all.filter(|i| Some(*i) > last).count() as i64);
    let mut operands = operands(matches).into_iter();
    Ok(Options {
        log: operands.next().unwrap_or_default(),
        regex: operands.next().unwrap_or_default(),
        ignoreregex: operands.next(),
        config: text("config").unwrap_or_else(|| shipped::default_dir().to_owned()),
        datepattern: text("datepattern"),
        timezone: text("timezone"),
        encoding: text("encoding"),
        raw: flag("raw"),
        usedns: text("usedns"),
        maxlines: integer("maxlines", "-L")?,
        journalmatch: text("journalmatch"),
        log_level: text("log_level").unwrap_or_else(|| "critical".to_owned()),
        verbose: u32::try_from(verbosity.unwrap_or(0) + counted).unwrap_or(0),
        verbose_date: flag("verbose_date"),
        debuggex: flag("debuggex"),
        check_all: !flag("no_check_all"),
        out: text("out").filter(|o| !o.is_empty()),
        invert: flag("invert"),
        no_missed: flag("no_missed"),
        no_ignored: flag("no_ignored"),
        all_matched: flag("all_matched"),
        all_missed: flag("all_missed"),
        all_ignored: flag("all_ignored"),
    })
}

/// What optparse would say; `last` is the last word, the only one that can lack its argument.
fn complaint(error: &clap::Error, last: &str) -> String {
    let arg = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => arg.clone(),
        Some(ContextValue::Strings(args)) => args.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    // clap shows options with their values: `--config <config>`
    let name = arg.split([' ', '=']).next().unwrap_or_default();
    let name = name.trim_end_matches('.');
    match error.kind() {
        ErrorKind::UnknownArgument => format!("no such option: {name}"),
        ErrorKind::InvalidValue => match last.chars().next_back() {
            Some(short) if !last.starts_with("--") => {
                format!("-{short} option requires 1 argument")
            }
            _ => format!("{name} option requires 1 argument"),
        },
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => {
            format!("{name} option does not take a value")
        }
        _ => format!("no such option: {name}"),
    }
}

fn help() -> String {
    let mut text = String::from(
        "
Tries failregexes on log lines and reports what they match, without banning anybody.

LOG:
  a path to a log file, systemd-journal[options], or a log line itself

REGEX:
  a failregex, the name of a jail or filter (sshd[mode=aggressive]),
  or a path to a filter file

IGNOREREGEX:
  a regex for lines that do not count

Options:
",
    );
    for &(_, short, long, value, about) in ROWS {
        let value = value.map_or(String::new(), |v| format!(" {v}"));
        let flags = match (short, long) {
            (Some(short), "") => format!("-{short}"),
            (Some(short), long) => format!("-{short}, --{long}{value}"),
            (None, long) => format!("--{long}{value}"),
        };
        text.push_str(&format!("  {flags:<28} {about}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Parsed {
        parse(
            std::iter::once("fail2ban-regex")
                .chain(line.split(' '))
                .map(OsString::from),
        )
    }

    fn options(line: &str) -> Options {
        match read(line) {
            Parsed::Options(options) => *options,
            Parsed::Answer { err, .. } => panic!("{line}: {err}"),
        }
    }

    #[test]
    fn options_may_stand_anywhere() {
        let o = options("-vc /x LOG --print-all-mat RE -L -5 --TZ UTC -v IGN --verbose-d");
        assert_eq!(
            (o.log.as_str(), o.regex.as_str(), o.ignoreregex.as_deref()),
            ("LOG", "RE", Some("IGN"))
        );
        assert_eq!(
            (o.verbose, o.config.as_str(), o.maxlines),
            (2, "/x", Some(-5))
        );
        assert!(o.all_matched && o.verbose_date && !o.all_missed);
        assert_eq!(o.timezone.as_deref(), Some("UTC"));
    }

    #[test]
    fn verbosity_counts_on_from_the_last_level() {
        for (line, level) in [
            ("-v a b", 1),
            ("-v --verbosity 0 a b", 0),
            ("--verbosity=2 -vv a b", 4),
            ("a b", 0),
        ] {
            assert_eq!(options(line).verbose, level, "{line}");
        }
    }

    #[test]
    fn complaints() {
        for (line, exit, text) in [
            ("--nope a b", 2, "no such option: --nope"),
            ("-q a b", 2, "no such option: -q"),
            ("a b -c", 2, "-c option requires 1 argument"),
            ("-L x a b", 2, "option -L: invalid integer value: 'x'"),
            ("--raw=1 a b", 2, "--raw option does not take a value"),
            ("a", 255, "ERROR: provide both <LOG> and <REGEX>."),
            ("a b c d", 255, "ERROR: provide both <LOG> and <REGEX>."),
            (
                "--print-no-missed --print-all-missed a b",
                255,
                "mutually exclusive.",
            ),
        ] {
            match read(line) {
                Parsed::Answer { err, code, .. } => {
                    assert_eq!(code, exit, "{line}: {err}");
                    assert!(err.trim_end().ends_with(text), "{line}: {err}");
                }
                Parsed::Options(_) => panic!("{line} was accepted"),
            }
        }
    }
}
