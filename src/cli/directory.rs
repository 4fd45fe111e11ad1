//! The configuration directory on the command line of programs that fail2ban doesn't have.

use clap::{Arg, ArgMatches};

use crate::config::shipped;

const ID: &str = "config";
const HELP: &str =
    "configuration directory [default: /etc/fail2ban, or the shipped one where there is none]";

/// `-c DIR`, `--config DIR`.
pub fn option() -> Arg {
    positional().short('c').long("config")
}

/// `DIR`, for a program that is about nothing else.
pub fn positional() -> Arg {
    Arg::new(ID).value_name("DIR").help(HELP)
}

/// The directory asked for, else the usual one.
pub fn chosen(matches: &ArgMatches) -> &str {
    let directory = matches.get_one::<String>(ID);
    directory.map_or(shipped::default_dir(), String::as_str)
}
