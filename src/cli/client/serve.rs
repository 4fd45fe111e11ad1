//! Becomes the server, in this process or as its daemon (facts P61, C46–C50).

use std::process::ExitCode;

use super::session::ClientSession;
use crate::cli::begin::SubcommandLine;
use crate::cli::{exit_code, say};
use crate::config;
use crate::control::{CommandError, Value};
use crate::error;
use crate::jail::validator::Validator;
use crate::server::{self, ServerOptions};

const TARGET: &str = "fail2ban";

/// What the server process is called in process lists, unless `--pname` says.
const PROCESS_NAME: &str = "fail2ban-server";

/// Starts the server from this process, in the foreground or as a daemon.
pub fn start(session: &ClientSession) -> ExitCode {
    let trials = Validator::default();
    let Some(stream) = session.prepare_start(&trials) else {
        return exit_code(false);
    };
    become_server(&session.setup, stream, move |result| {
        // until here the jails found compiled what was tried
        drop(trials);
        match result {
            Ok(()) => say("Server ready"),
            Err(failure) => error!(TARGET, "NOK: {}", failure.args_repr()),
        }
    })
}

/// Is the server until it ends, or until its daemon is ready. `report` is told in the process that the
/// user started whether the configuration was accepted.
pub fn become_server(
    setup: &SubcommandLine,
    stream: Vec<Vec<Value>>,
    report: impl FnOnce(Result<(), CommandError>),
) -> ExitCode {
    let directory = &setup.options.config;
    let read = config::read_sandbox(directory).and_then(|sandbox| {
        let dbfile = config::read_database(directory)?;
        Ok((sandbox, dbfile, config::read_logformat(directory)?))
    });
    let (sandbox, dbfile, logformat) = match read {
        Ok(read) => read,
        Err(why) => {
            error!(TARGET, "{}", why);
            return exit_code(false);
        }
    };
    let name = setup.options.process_name.as_deref();
    let options = ServerOptions {
        socket: setup.socket.clone(),
        pidfile: setup.pidfile.clone(),
        force: setup.options.force,
        foreground: !setup.options.background,
        process_name: name.unwrap_or(PROCESS_NAME).to_owned(),
        loglevel: setup.loglevel.clone(),
        logtarget: setup.logtarget.clone(),
        syslogsocket: setup.syslogsocket.clone(),
        logformat,
        sandbox,
        dbfile,
        verbosity: u8::try_from(setup.options.verbosity.max(0)).unwrap_or(u8::MAX),
    };
    server::run(options, stream, report)
}
