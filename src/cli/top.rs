//! `ferroban top`: who fails and is banned now, by jail, with rates; as it goes on, or once.
//!
//! The server is asked by the commands that every fail2ban knows, so it may be the original; what
//! happens comes from the events of ours, or else from the lists of bans.

mod latest;
mod screen;
mod terminal;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use self::latest::Latest;
use self::screen::{ServerSnapshot, TopScreen};
use self::terminal::Terminal;
use super::colours::Colours;
use super::{directory, ended, help, refused, say};
use crate::config;
use crate::web::figures;

/// A server that takes long to answer is asked less often: so many times as long is waited.
const SHARE: u32 = 20;

/// Runs the program; the first word is the name it was called under.
pub fn main(words: Vec<OsString>) -> ExitCode {
    match command().try_get_matches_from(words) {
        Ok(matches) => ended("top", run(&matches)),
        Err(error) => refused(&error),
    }
}

/// The options, for clap.
pub(super) fn command() -> Command {
    let command = Command::new("ferroban top")
        .about("Shows who fails and is banned now, by jail, with rates; q ends it.")
        .arg(directory::option())
        .arg(
            Arg::new("socket")
                .short('s')
                .long("socket")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("control socket of the server [default: that of the configuration]"),
        )
        .arg(
            Arg::new("interval")
                .long("interval")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=3600))
                .default_value("2")
                .help("refresh interval, over which rates are computed"),
        )
        .arg(
            Arg::new("once")
                .long("once")
                .action(ArgAction::SetTrue)
                .help("print once and exit; default where the output is no terminal"),
        );
    help::formed(
        command,
        &[
            ("as it goes on", "ferroban top"),
            ("for a script", "ferroban top --once --interval 10"),
        ],
    )
}

fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let socket: PathBuf = match matches.get_one::<PathBuf>("socket") {
        Some(socket) => socket.clone(),
        None => config::read_early(directory::chosen(matches).as_ref())?.socket,
    };
    let seconds = matches.get_one::<u64>("interval").copied();
    let interval = Duration::from_secs(seconds.unwrap_or(2));
    let mut latest = Latest::of(socket.clone());
    let mut look = || {
        let begun = Instant::now();
        let figures = figures::ask(&socket, false)
            .map_err(|error| format!("No server answers at {}: {error}", socket.display()))?;
        let happened = latest.look(&figures);
        Ok::<_, String>(ServerSnapshot {
            at: begun,
            took: begun.elapsed(),
            figures,
            latest: happened,
        })
    };
    let colours = Colours::of_output();
    if matches.get_flag("once") || !std::io::stdout().is_terminal() {
        let before = look().map_err(|error| anyhow!(error))?;
        std::thread::sleep(interval);
        let now = look().map_err(|error| anyhow!(error))?;
        say(&TopScreen::endless(colours).show(&now, Some(&before)));
        return Ok(());
    }
    let terminal = Terminal::take()?;
    let mut before = None;
    loop {
        let (rows, columns) = terminal.size();
        let screen = TopScreen {
            rows: rows.into(),
            columns: columns.into(),
            colours,
        };
        let (text, pause) = match look() {
            Ok(now) => {
                let text = screen.show(&now, before.as_ref());
                let pause = interval.max(now.took * SHARE);
                before = Some(now);
                (text, pause)
            }
            Err(error) => (screen.says(&error), interval),
        };
        terminal.show(&text)?;
        if terminal.ends_within(pause) {
            return Ok(());
        }
    }
}

impl Terminal {
    /// Writes a text over what was there.
    fn show(&self, text: &str) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        // each line to its end, then what is below: nothing flickers
        let lines: Vec<String> = text.lines().map(|line| format!("{line}\x1b[K")).collect();
        write!(out, "\x1b[H{}\x1b[J", lines.join("\r\n"))?;
        out.flush()
    }
}
