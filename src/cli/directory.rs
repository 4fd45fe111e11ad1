//! The configuration directory on the command line of programs that fail2ban doesn't have.

use clap::{Arg, ArgMatches};

use crate::config::shipped;

const ID: &str = "config";
const POSITIONAL: &str = "directory";
const HELP: &str =
    "configuration directory [default: /etc/fail2ban, or the shipped one where there is none]";

/// `-c DIR`, `--config DIR`; `--conf` as the client has it.
pub fn option() -> Arg {
    let arg = Arg::new(ID).value_name("DIR").help(HELP);
    arg.short('c').long("config").alias("conf")
}

/// `DIR`, for a program that is about nothing else; beside [`option`].
pub fn positional() -> Arg {
    let arg = Arg::new(POSITIONAL).value_name("DIR");
    arg.help("configuration directory, as with --config")
        .conflicts_with(ID)
}

/// The directory asked for, else the usual one.
pub fn chosen(matches: &ArgMatches) -> &str {
    given(matches).unwrap_or(shipped::default_dir())
}

/// The directory asked for.
pub fn given(matches: &ArgMatches) -> Option<&str> {
    let positional = matches.try_get_one::<String>(POSITIONAL).ok().flatten();
    let directory = positional.or_else(|| matches.get_one(ID));
    directory.map(String::as_str)
}
