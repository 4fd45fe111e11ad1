//! `fail2ban-client`: sends commands to the server and prints what it answers (facts P57–P65).
//!
//! A socket command reads `fail2ban.conf` for the socket's path and nothing else; only `start`,
//! `restart`, `reload`, `-d` and `-t` read the jails.

mod addresses;
mod interactive;
pub mod serve;
mod session;
mod start;

use std::ffi::OsString;
use std::process::ExitCode;

pub use session::ClientSession;

use super::begin::SubcommandLine;
use super::{exit_code, say, usage};

/// Runs the program; the first argument is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    match SubcommandLine::new(args) {
        Ok(setup) => run(setup),
        Err(code) => code,
    }
}

/// Carries out the command of the command line, or those typed in.
pub fn run(setup: SubcommandLine) -> ExitCode {
    let mut session = ClientSession::new(setup);
    let words = session.setup.options.words.clone();
    if session.setup.options.interactive {
        return exit_code(interactive::run(&mut session, &words));
    }
    if words.is_empty() {
        say(&usage::text(&session.setup.caller));
        return exit_code(false);
    }
    if let [help, command @ ..] = words.as_slice()
        && help == "help"
    {
        return exit_code(session.help(command));
    }
    if words == ["start"] && !session.setup.options.background {
        return serve::start(&session);
    }
    exit_code(session.command(&words))
}
