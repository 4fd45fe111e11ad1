//! The command line of `ferroban explain`.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::cli::{directory, help};

/// What was asked for.
#[derive(Clone, Debug)]
pub struct ExplainArguments {
    /// Configuration directory.
    pub config: String,
    /// The jail that reads the lines.
    pub jail: Option<String>,
    /// Or the filter: a name with options, a path, or a failregex.
    pub filter: Option<String>,
    /// The date pattern, in place of the one of the jail or filter.
    pub datepattern: Option<String>,
    /// The encoding, likewise.
    pub encoding: Option<String>,
    /// No server is asked.
    pub offline: bool,
    /// Every step, not the answer alone.
    pub verbose: bool,
    /// Only lines that no failregex matches.
    pub missed: bool,
    /// One JSON object a line.
    pub json: bool,
    /// What to explain: lines or files, `-` being standard input; an address, with files or not; a
    /// jail.
    pub what: Vec<String>,
}

impl ExplainArguments {
    /// Reads the command line, the program's name first.
    ///
    /// # Errors
    /// clap's message, also for `--help`.
    pub fn parse(words: Vec<OsString>) -> Result<ExplainArguments, clap::Error> {
        let matches = command().try_get_matches_from(words)?;
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        Ok(ExplainArguments {
            config: directory::chosen(&matches).to_owned(),
            jail: text("jail"),
            filter: text("filter"),
            datepattern: text("datepattern"),
            encoding: text("encoding"),
            offline: matches.get_flag("offline"),
            verbose: matches.get_flag("verbose"),
            missed: matches.get_flag("missed"),
            json: matches.get_flag("json"),
            what: matches
                .get_many::<String>("what")
                .map(|lines| lines.cloned().collect())
                .unwrap_or_default(),
        })
    }
}

/// The options, for clap.
pub fn command() -> Command {
    let option = |name: &'static str, short: char, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .short(short)
            .value_name(value)
            .help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let command = Command::new("ferroban explain")
        .about("Explains why a log line counts or not, an address was banned or not, a jail does nothing; with a fix.")
        .arg(directory::option())
        .arg(option(
            "jail",
            'j',
            "NAME",
            "judge the lines as this jail would, enabled or not [default: all that are enabled]",
        ))
        .arg(option(
            "filter",
            'f',
            "FILTER",
            "as this filter would: a name with options (sshd[mode=ddos]), a file, or a failregex",
        ).conflicts_with("jail"))
        .arg(option(
            "datepattern",
            'd',
            "PATTERN",
            "look for dates of this form, overriding the jail or filter",
        ))
        .arg(option(
            "encoding",
            'e',
            "NAME",
            "read files in this encoding, overriding the jail",
        ))
        .arg(flag("verbose", "show every step, not only the answer").short('v'))
        .arg(flag("offline", "do not ask the server: use configuration, logs and database only"))
        .arg(flag("missed", "only lines that no failregex matches"))
        .arg(flag("json", "print one JSON object for each line, address or jail"))
        .arg(
            Arg::new("what")
                .value_name("LINE|FILE|ADDRESS|JAIL")
                .action(ArgAction::Append)
                .required(true)
                .help("log lines, or files of them (- is standard input); or an address, with the files to look in if not those of the jails; or a jail"),
        );
    help::formed(
        command,
        &[
            ("why a jail does nothing", "ferroban explain sshd"),
            (
                "why an address was banned, or not",
                "ferroban explain 192.0.2.1",
            ),
            (
                "why a line counts, and for which jail",
                "ferroban explain 'LINE'",
            ),
            (
                "what a filter misses in a log",
                "ferroban explain --filter 'sshd[mode=ddos]' --missed /var/log/auth.log",
            ),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<ExplainArguments, clap::Error> {
        let program = std::iter::once(&"ferroban explain");
        ExplainArguments::parse(program.chain(words).map(OsString::from).collect())
    }

    #[test]
    fn one_judge_or_all() {
        let arguments = parse(&["-j", "sshd", "a line", "--json", "b"]).expect("fine");
        assert_eq!(arguments.jail.as_deref(), Some("sshd"));
        assert_eq!(arguments.what, ["a line", "b"]);
        assert!(arguments.json && !arguments.missed);
        assert_eq!(parse(&["line"]).expect("fine").jail, None);
        assert!(parse(&["-j", "a", "-f", "b", "line"]).is_err());
        assert!(parse(&["-j", "a"]).is_err());
    }
}
