//! What a person types: one file per program.
//!
//! One binary is all programs: called under the name of one of fail2ban's (the links that
//! `ferroban install-links` makes), it is that one; else its first argument says which.
//! [`begin`], [`options`] and [`usage`] are what client and server have in common.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use nix::libc::STDERR_FILENO;

use crate::lint::{hint, nearest};
use crate::sys::descriptors::keep_from_children;
use crate::{COMPATIBLE_VERSION, VERSION};

pub use crate::printable::printable;

pub mod actions;
pub mod begin;
pub mod client;
mod colours;
pub mod completion;
pub mod config;
pub mod diagnostics;
mod directory;
pub mod doctor;
pub mod explain;
pub mod filter;
pub mod fleet;
mod help;
pub mod links;
pub mod lint;
mod machine;
pub mod notify;
pub mod options;
mod overview;
mod pretty;
pub mod progress;
pub mod regex;
pub mod replay;
pub mod report;
pub mod server;
pub mod setup;
mod table;
pub mod test;
pub mod top;
pub mod usage;
pub mod web;

/// fail2ban's exit code for any failure (fact P58).
pub const FAILURE: u8 = 255;
/// The exit code of programs that fail2ban doesn't have for a wrong command line.
const USAGE: u8 = 2;

/// A program by its arguments; the first is the name it was called under.
type Program = fn(Vec<OsString>) -> ExitCode;

/// The programs that fail2ban has, by the end of the name they are called under: a distribution may
/// put something before it.
const LINKED: [(&str, Program); 3] = [
    ("fail2ban-client", client::main),
    ("fail2ban-server", server::main),
    ("fail2ban-regex", regex::main),
];

/// A program: the first argument that picks it, and what `ferroban --help` says of it.
type Entry = (&'static str, &'static str, Program);

/// All programs, by what people come for.
pub(crate) const PROGRAMS: &[(&str, &[Entry])] = &[
    (
        "Run",
        &[
            ("server", "runs the server (fail2ban-server)", server::main),
            (
                "client",
                "queries and controls the server (fail2ban-client)",
                client::main,
            ),
            (
                "setup",
                "proposes the jails that fit this machine, with the evidence",
                setup::main,
            ),
            (
                "fleet",
                "shows and controls the hosts that share bans with this one",
                fleet::main,
            ),
            (
                "install-links",
                "creates links with fail2ban's names to this program",
                links::main,
            ),
            (
                "completion",
                "prints a shell completion script for the client's commands",
                completion::main,
            ),
        ],
    ),
    (
        "Inspect",
        &[
            (
                "explain",
                "explains why lines count, bans are made, jails do nothing",
                explain::main,
            ),
            (
                "report",
                "shows who is banned, and the bans of the last 30 days",
                report::main,
            ),
            (
                "top",
                "shows who fails and is banned now, by jail, with rates",
                top::main,
            ),
            (
                "config",
                "shows every setting of a jail, and where it was written",
                config::main,
            ),
            (
                "actions",
                "shows how each command of an action is run, and why",
                actions::main,
            ),
            (
                "doctor",
                "reports problems on this machine, and how to fix them",
                doctor::main,
            ),
            (
                "web",
                "serves a page, an API and metrics of the server",
                web::main,
            ),
        ],
    ),
    (
        "Test and write filters",
        &[
            (
                "replay",
                "shows whom the jails would have banned for a log",
                replay::main,
            ),
            (
                "lint",
                "finds errors and likely mistakes in a configuration",
                lint::main,
            ),
            (
                "notify",
                "sends a message as an action would, and prints the answer",
                notify::main,
            ),
            (
                "filter",
                "generates a filter from lines that you mark as attacks",
                filter::main,
            ),
            ("test", "tests filters on annotated log lines", test::main),
            (
                "regex",
                "shows what a filter finds in a log (fail2ban-regex)",
                regex::main,
            ),
        ],
    ),
];

/// All programs.
fn programs() -> impl Iterator<Item = &'static Entry> {
    PROGRAMS.iter().flat_map(|(_, programs)| *programs)
}

/// Picks the program by the name it was called under, or by the first argument.
pub fn main() -> ExitCode {
    keep_from_children(STDERR_FILENO);
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let called = args.first().map(|name| name.to_string_lossy().into_owned());
    let called = called.unwrap_or_default();
    if let Some((_, program)) = LINKED.iter().find(|(name, _)| called.ends_with(name)) {
        return program(args);
    }
    let word = args.get(1).map(|word| word.to_string_lossy().into_owned());
    let word = word.unwrap_or_default();
    if let Some((name, _, program)) = programs().find(|(name, _, _)| *name == word) {
        args.splice(..2, [OsString::from(format!("ferroban {name}"))]);
        return program(args);
    }
    match word.as_str() {
        "-V" | "--version" => {
            say(&about_version());
            ExitCode::SUCCESS
        }
        "-h" | "--help" => {
            say(&overview::programs());
            ExitCode::SUCCESS
        }
        "help" => help_about(args.get(2)),
        "" => {
            say(&overview::tasks());
            ExitCode::SUCCESS
        }
        word => unknown(word),
    }
}

/// Ferroban's version, and what it is compatible with.
fn about_version() -> String {
    format!("Ferroban {VERSION} (compatible with fail2ban {COMPATIBLE_VERSION})")
}

/// `ferroban help [PROGRAM]`
fn help_about(name: Option<&OsString>) -> ExitCode {
    let Some(name) = name else {
        say(&overview::programs());
        return ExitCode::SUCCESS;
    };
    let name = name.to_string_lossy();
    match programs().find(|(program, _, _)| *program == name) {
        Some((name, _, program)) => program(vec![
            OsString::from(format!("ferroban {name}")),
            OsString::from("--help"),
        ]),
        None => unknown(&name),
    }
}

/// Refuses a word that is no program.
fn unknown(name: &str) -> ExitCode {
    let names = programs().map(|(program, _, _)| *program);
    let hint = hint(nearest(name, names.chain(["help"]), 2));
    eprintln!("ferroban: unknown program '{name}'{hint}\nSee 'ferroban --help'.");
    ExitCode::from(USAGE)
}

/// Prints a line. A reader that has gone away is no reason to fail: `fail2ban-client … | head -1`.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
}

/// The exit code for success or failure.
pub fn exit_code(success: bool) -> ExitCode {
    if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILURE)
    }
}

/// The end of a program of ours: what went wrong is told; a reader of our output who has seen
/// enough (`| head`) is no error.
fn ended(program: &str, result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let closed = error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
    if closed {
        return ExitCode::SUCCESS;
    }
    eprintln!("ferroban {program}: {error:#}");
    ExitCode::from(FAILURE)
}

/// The end for a command line that clap refuses; help and version are no errors, but come the
/// same way.
fn refused(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.use_stderr() {
        true => ExitCode::from(USAGE),
        false => ExitCode::SUCCESS,
    }
}
