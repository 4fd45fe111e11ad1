//! The command line of `ferroban explain`.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgGroup, Command};

use crate::cli::{directory, help};

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Configuration directory.
    pub config: String,
    /// The jail that reads the lines.
    pub jail: Option<String>,
    /// Or the filter: a name with options, a path, or a failregex.
    pub filter: Option<String>,
    /// Only lines that no failregex matches.
    pub missed: bool,
    /// One JSON object a line.
    pub json: bool,
    /// Lines or files, `-` being standard input.
    pub lines: Vec<String>,
}

impl Arguments {
    /// Reads the command line, the program's name first.
    ///
    /// # Errors
    /// clap's message, also for `--help`.
    pub fn parse(words: Vec<OsString>) -> Result<Arguments, clap::Error> {
        let matches = command().try_get_matches_from(words)?;
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        Ok(Arguments {
            config: directory::chosen(&matches).to_owned(),
            jail: text("jail"),
            filter: text("filter"),
            missed: matches.get_flag("missed"),
            json: matches.get_flag("json"),
            lines: matches
                .get_many::<String>("line")
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
        .about("Says what a jail or a filter makes of log lines, step by step; nothing is banned.")
        .arg(directory::option())
        .arg(option(
            "jail",
            'j',
            "NAME",
            "as this jail, enabled or not, would take them",
        ))
        .arg(option(
            "filter",
            'f',
            "FILTER",
            "as this filter would: a name with options (sshd[mode=ddos]), a file, or a failregex",
        ))
        .group(
            ArgGroup::new("judge")
                .args(["jail", "filter"])
                .required(true),
        )
        .arg(flag("missed", "only lines that no failregex matches"))
        .arg(flag("json", "print one JSON object a line"))
        .arg(
            Arg::new("line")
                .value_name("LINE|FILE")
                .action(ArgAction::Append)
                .required(true)
                .help("log lines, or files of them; - is standard input"),
        );
    help::formed(
        command,
        &[
            (
                "why a line counts for a jail, or does not",
                "ferroban explain --jail sshd 'LINE'",
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

    fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
        let program = std::iter::once(&"ferroban explain");
        Arguments::parse(program.chain(words).map(OsString::from).collect())
    }

    #[test]
    fn one_judge_is_needed() {
        let arguments = parse(&["-j", "sshd", "a line", "--json", "b"]).expect("fine");
        assert_eq!(arguments.jail.as_deref(), Some("sshd"));
        assert_eq!(arguments.lines, ["a line", "b"]);
        assert!(arguments.json && !arguments.missed);
        assert!(parse(&["line"]).is_err());
        assert!(parse(&["-j", "a", "-f", "b", "line"]).is_err());
        assert!(parse(&["-j", "a"]).is_err());
    }
}
