//! What client and server do first: read the command line, answer what can be answered at once, find
//! out where the server is, check and print the configuration on request (facts P57, P60).

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::options::{ClientOptions, ClientRequest};
use super::{diagnostics, exit_code, options, pretty, say, usage};
use crate::config::{self, CommandStream, ConfigError, ConfigMessage, ReadOptions};
use crate::control::Value;
use crate::jail::validator::Validator;
use crate::python::Number;
use crate::server::NO_JAIL;
use crate::{COMPATIBLE_VERSION, VERSION, error, info, warning};

const TARGET: &str = "fail2ban";

/// A command line that asks for something, and where the server is to be found.
#[derive(Clone, Debug)]
pub struct SubcommandLine {
    /// The program's name as it was called.
    pub caller: String,
    /// The command line.
    pub options: ClientOptions,
    /// Control socket.
    pub socket: PathBuf,
    /// Pid file.
    pub pidfile: PathBuf,
    /// Log level for a start.
    pub loglevel: String,
    /// Log target for a start.
    pub logtarget: String,
    /// Syslog socket for a start.
    pub syslogsocket: String,
}

/// What the configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `-d`: shown as it is, mistakes of the server's kind included, as the original does.
    Dump,
    /// `-t`: every mistake counts.
    Test,
    /// A jail with a mistake is left out.
    Start,
    /// A mistake leaves the server as it is.
    Reload,
}

impl SubcommandLine {
    /// Reads the command line, whose first word is the program's name.
    ///
    /// # Errors
    /// The exit code when there is nothing more to do, be it well or badly.
    pub fn new(args: Vec<OsString>) -> Result<SubcommandLine, ExitCode> {
        diagnostics::install_plain();
        let mut args = args.into_iter();
        let caller = args.next().unwrap_or_default();
        let caller = caller.to_string_lossy().into_owned();
        let options = match options::parse(args) {
            ClientRequest::Run(options) => *options,
            ClientRequest::Help => return answer(&usage::text(&caller)),
            // for a person: scripts compare standard output with fail2ban's versions
            // of Ferroban for a person: scripts compare standard output with fail2ban's versions
            ClientRequest::ShortVersion => {
                eprintln!("Ferroban {VERSION}");
                return answer(COMPATIBLE_VERSION);
            }
            ClientRequest::Version => {
                eprintln!("Ferroban {VERSION}");
                return answer(&format!("Fail2Ban v{COMPATIBLE_VERSION}"));
            }
            ClientRequest::Duration(Number::Int(seconds)) => return answer(&seconds.to_string()),
            ClientRequest::Duration(Number::Float(seconds)) => {
                return answer(&Value::Float(seconds).repr());
            }
            ClientRequest::Misuse => {
                say(&usage::text(&caller));
                return Err(refuse());
            }
            ClientRequest::Invalid(reason) => {
                say(&format!("ERROR: {reason}"));
                return Err(refuse());
            }
        };
        diagnostics::install(options.verbosity);
        let only_test = options.test && options.words.is_empty();
        let setup = match SubcommandLine::locate(caller, options) {
            Ok(setup) => setup,
            Err(error) => {
                say(&format!("ERROR: {error}"));
                return Err(match only_test {
                    true => exit_code(false),
                    false => refuse(),
                });
            }
        };
        setup.inspect()?;
        Ok(setup)
    }

    /// Completes the options by `fail2ban.conf`, which is not read when the command line says all.
    ///
    /// # Errors
    /// There is no such directory; the log level is none.
    fn locate(caller: String, options: ClientOptions) -> Result<SubcommandLine, ConfigError> {
        let mut given = options.clone();
        let complete = [&given.loglevel, &given.logtarget, &given.syslogsocket]
            .iter()
            .all(|option| option.is_some())
            && given.socket.is_some()
            && given.pidfile.is_some();
        if !complete {
            let early =
                config::read_early(&options.config).inspect_err(|error| tell(&error.messages))?;
            tell(&early.warnings);
            given.socket.get_or_insert(early.socket);
            given.pidfile.get_or_insert(early.pidfile);
            given.loglevel.get_or_insert(early.loglevel);
            given.logtarget.get_or_insert(early.logtarget);
            given.syslogsocket.get_or_insert(early.syslogsocket);
        }
        let setup = SubcommandLine {
            caller,
            options,
            socket: given.socket.unwrap_or_default(),
            pidfile: given.pidfile.unwrap_or_default(),
            loglevel: given.loglevel.unwrap_or_default(),
            logtarget: given.logtarget.unwrap_or_default(),
            syslogsocket: given.syslogsocket.unwrap_or_default(),
        };
        info!(TARGET, "Using socket file {}", setup.socket.display());
        config::check_loglevel(&setup.loglevel)?;
        info!(
            TARGET,
            "Using pid file {}, [{}] logging to {}",
            setup.pidfile.display(),
            setup.loglevel,
            setup.logtarget
        );
        Ok(setup)
    }

    /// Does what `-d` and `-t` ask for.
    ///
    /// # Errors
    /// The exit code when that was all, or the test failed.
    fn inspect(&self) -> Result<(), ExitCode> {
        let ClientOptions { dump, test, .. } = self.options;
        if !dump && !test {
            return Ok(());
        }
        let purpose = if test { Purpose::Test } else { Purpose::Dump };
        let trials = Validator::default();
        let stream = self.read_config(None, purpose, &trials);
        let accepted = stream.as_ref().is_some_and(|stream| stream.accepted);
        if let Some(stream) = stream
            .as_ref()
            .filter(|stream| test && !stream.shipped.is_empty())
        {
            // for people, beside the verdict that programs read
            eprintln!(
                "Not in {}, so taken from the shipped configuration: {}",
                self.options.config.display(),
                stream.shipped.join(", ")
            );
        }
        match (dump, stream) {
            (true, Some(stream)) => print_commands(stream.commands, self.options.pretty),
            (true, None) => {
                say("ERROR: The configuration stream failed because of the invalid syntax.");
            }
            // the process is about to end: to give back thousands of texts one by one is of no use
            (false, read) => std::mem::forget((read, trials)),
        }
        if !test {
            return Err(if accepted { exit_code(true) } else { refuse() });
        }
        const FAILED: &str = "ERROR: test configuration failed";
        match (self.options.words.is_empty(), accepted) {
            (true, true) => {
                say("OK: configuration test is successful");
                Err(exit_code(true))
            }
            (true, false) => {
                say(FAILED);
                Err(exit_code(false))
            }
            (false, true) => Ok(()),
            (false, false) => {
                error!(TARGET, "{FAILED}");
                Err(exit_code(false))
            }
        }
    }

    /// Reads the whole configuration, or that of one jail, and tells what there is to tell. `None`: it
    /// cannot be used at all.
    pub fn read_config(
        &self,
        jail: Option<&str>,
        purpose: Purpose,
        trials: &Validator,
    ) -> Option<CommandStream> {
        let overrides = [
            ("loglevel", &self.loglevel),
            ("logtarget", &self.logtarget),
            ("syslogsocket", &self.syslogsocket),
        ];
        let options = ReadOptions {
            jail: jail.map(str::to_owned),
            also: Vec::new(),
            allow_no_files: self.options.dump,
            overrides: overrides
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .to_vec(),
            strict: self.options.test,
            patterns: matches!(purpose, Purpose::Start | Purpose::Reload),
            check: (purpose != Purpose::Dump).then_some(trials),
            refuse_faulty: matches!(purpose, Purpose::Test | Purpose::Reload),
        };
        match config::read(&self.options.config, &options) {
            Ok(stream) => {
                tell(&stream.warnings);
                Some(stream)
            }
            Err(failure) => {
                tell(&failure.messages);
                error!(TARGET, "Failed during configuration: {}", failure);
                None
            }
        }
    }

    /// As [`SubcommandLine::read_config`]: the commands, `None` also when they may not be used.
    pub fn commands(
        &self,
        jail: Option<&str>,
        purpose: Purpose,
        trials: &Validator,
    ) -> Option<Vec<Vec<Value>>> {
        let stream = self
            .read_config(jail, purpose, trials)
            .filter(|stream| stream.accepted)?;
        let starts = |words: &Vec<Value>| words.first().and_then(Value::as_str) == Some("start");
        if jail.is_none() && !stream.commands.iter().any(starts) {
            warning!(TARGET, "{NO_JAIL}");
        }
        Some(stream.commands)
    }

    /// Reads `fail2ban.conf` again, as a restart in interactive mode does.
    ///
    /// # Errors
    /// As at the first time.
    pub fn refresh(&mut self) -> Result<(), ConfigError> {
        *self = SubcommandLine::locate(self.caller.clone(), self.options.clone())?;
        Ok(())
    }
}

/// Answers a question and ends well.
fn answer<T>(text: &str) -> Result<T, ExitCode> {
    say(text);
    Err(exit_code(true))
}

/// Ends badly before anything was begun.
fn refuse() -> ExitCode {
    error!(TARGET, "Init of command line failed");
    exit_code(false)
}

/// One command a line, or when `pretty` a long one over several, as Python shows it (fact C57).
fn print_commands(commands: Vec<Vec<Value>>, pretty: bool) {
    let lines: Vec<_> = commands
        .into_iter()
        .map(Value::List)
        .map(|command| match pretty {
            true => pretty::format(&command),
            false => command.repr(),
        })
        .collect();
    say(&lines.join("\n"));
}

fn tell(messages: &[ConfigMessage]) {
    for message in messages {
        crate::record!(message.level, message.target, "{message}");
    }
}
