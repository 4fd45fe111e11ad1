//! The command line of `ferroban report`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::cli::{directory, help};

/// What was asked for.
#[derive(Clone, Debug)]
pub struct ReportArguments {
    /// Configuration directory.
    pub config: String,
    /// Control socket, in place of that of the configuration.
    pub socket: Option<PathBuf>,
    /// A page for browsers.
    pub html: bool,
    /// An object for programs.
    pub json: bool,
    /// A file in place of standard output.
    pub output: Option<PathBuf>,
}

impl ReportArguments {
    /// Reads the command line, the program's name first.
    ///
    /// # Errors
    /// clap's message, also for `--help`.
    pub fn parse(words: Vec<OsString>) -> Result<ReportArguments, clap::Error> {
        let matches = command().try_get_matches_from(words)?;
        Ok(ReportArguments {
            config: directory::chosen(&matches).to_owned(),
            socket: matches.get_one("socket").cloned(),
            html: matches.get_flag("html"),
            json: matches.get_flag("json"),
            output: matches.get_one("output").cloned(),
        })
    }
}

/// The options, for clap.
pub fn command() -> Command {
    let file = |name: &'static str, short: char, help: &'static str| {
        Arg::new(name)
            .long(name)
            .short(short)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    let command = Command::new("ferroban report")
        .about(
            "Shows who is banned now and why, the bans of the last 30 days and who was banned most \
             often; without a server it shows the past alone.",
        )
        .arg(directory::option())
        .arg(file(
            "socket",
            's',
            "control socket of the server [default: that of the configuration]",
        ))
        .arg(
            Arg::new("html")
                .long("html")
                .action(ArgAction::SetTrue)
                .help("one self-contained HTML page, without scripts"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .conflicts_with("html")
                .help("one JSON object, with all bans and their reasons"),
        )
        .arg(file(
            "output",
            'o',
            "write to this file, which is replaced at once",
        ));
    help::formed(
        command,
        &[
            ("as a text", "ferroban report"),
            (
                "as a page of a web server",
                "ferroban report --html -o /var/www/html/bans.html",
            ),
        ],
    )
}
