//! `fail2ban-server`: reads the configuration and becomes the server (facts P61, C46–C50); with any
//! other command it is the client (fact P66).

use std::ffi::OsString;
use std::process::ExitCode;

use super::begin::SubcommandLine;
use super::client::{self, ClientSession, serve};
use crate::error;

const TARGET: &str = "fail2ban";

/// Runs the program; the first argument is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let setup = match SubcommandLine::new(args) {
        Ok(setup) => setup,
        Err(code) => return code,
    };
    let options = &setup.options;
    let is_start = options.words.is_empty() || options.words == ["start"];
    if options.interactive || !is_start {
        return client::run(setup);
    }
    if options.asynchronous {
        return serve::become_server(&setup, Vec::new(), |result| {
            if let Err(failure) = result {
                error!(TARGET, "{}", failure);
            }
        });
    }
    serve::start(&ClientSession::new(setup))
}
