//! The command line of `ferroban replay`.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::cli::{directory, help};

/// What was asked for.
#[derive(Clone, Debug)]
pub struct ReplayArguments {
    /// Configuration directory.
    pub config: String,
    /// These jails, enabled or not; none: those that are enabled.
    pub jails: Vec<String>,
    /// These logs for every jail, `-` being standard input; none: each jail's own.
    pub logs: Vec<String>,
    /// Show the commands that would have run.
    pub commands: bool,
    /// One JSON object a line.
    pub json: bool,
    /// Show the log lines that led to each ban, and everybody who would have been banned.
    pub verbose: bool,
}

impl ReplayArguments {
    /// Reads the command line, the program's name first.
    ///
    /// # Errors
    /// clap's message, also for `--help`.
    pub fn parse(words: Vec<OsString>) -> Result<ReplayArguments, clap::Error> {
        let matches = command().try_get_matches_from(words)?;
        let list = |name: &str| {
            matches
                .get_many::<String>(name)
                .map(|values| values.cloned().collect())
                .unwrap_or_default()
        };
        Ok(ReplayArguments {
            config: directory::chosen(&matches).to_owned(),
            jails: list("jail"),
            logs: list("log"),
            commands: matches.get_flag("commands"),
            json: matches.get_flag("json"),
            verbose: matches.get_flag("verbose"),
        })
    }
}

/// The options, for clap.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let command = Command::new("ferroban replay")
        .about(
            "Shows whom the configured jails would have banned for these logs; nothing is banned, \
             written or sent.",
        )
        .after_help(
            "Exit code: 0 everything was read, 1 something was left out, 2 a wrong command line, \
             255 nothing could be read.",
        )
        .arg(directory::option())
        .arg(
            Arg::new("jail")
                .short('j')
                .long("jail")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("run this jail, enabled or not (may be given several times)"),
        )
        .arg(
            flag(
                "verbose",
                "show the log lines that led to each ban, and everybody in the summary",
            )
            .short('v'),
        )
        .arg(flag("commands", "show the commands that would have run"))
        .arg(flag("json", "print one JSON object for each ban and unban"))
        .arg(
            Arg::new("log")
                .value_name("LOG")
                .action(ArgAction::Append)
                .help("read these logs instead of those the jails name; - is standard input"),
        );
    help::formed(
        command,
        &[
            ("the enabled jails over their own logs", "ferroban replay"),
            (
                "over this log, the log lines shown",
                "ferroban replay -v /var/log/auth.log",
            ),
            (
                "one jail, enabled or not",
                "ferroban replay --jail sshd /var/log/auth.log.1",
            ),
            (
                "another configuration, and standard input",
                "ferroban replay -c ./fail2ban --jail sshd -",
            ),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_anywhere() {
        let words = [
            "ferroban replay",
            "a.log",
            "--jail",
            "sshd",
            "-j",
            "postfix",
            "--commands",
            "b.log",
            "-c",
            "/x",
        ];
        let arguments =
            ReplayArguments::parse(words.iter().map(OsString::from).collect()).expect("fine");
        assert_eq!(arguments.logs, ["a.log", "b.log"]);
        assert_eq!(arguments.jails, ["sshd", "postfix"]);
        assert_eq!(arguments.config, "/x");
        assert!(arguments.commands && !arguments.verbose && !arguments.json);
    }

    #[test]
    fn unknown_options_are_refused() {
        assert!(ReplayArguments::parse(vec!["ferroban replay".into(), "--ban".into()]).is_err());
    }
}
