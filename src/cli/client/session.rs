//! One client: where its server is, and how each command is carried out.

use std::io::{IsTerminal as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{AccessFlags, access};

use super::addresses::{self, Checked};
use crate::cli::begin::{Purpose, SubcommandLine};
use crate::cli::{say, usage};
use crate::control::client::{ClientError, ControlClient};
use crate::control::command::WITH_ORIGINS;
use crate::control::print::{self, Charset};
use crate::control::{CommandError, Reply, Value};
use crate::jail::FULL;
use crate::jail::validator::Validator;
use crate::lint::nearest;
use crate::printable::printable_lines;
use crate::python::text::quoted;
use crate::server::NO_JAIL;
use crate::{error, warning};

pub(super) const TARGET: &str = "fail2ban";

/// How long `start` and `reload` wait for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_millis(100);

/// Whether replies are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// All of them.
    Replies,
    /// Only those of `server-status` and `echo`: a start prints `Server ready` and nothing else.
    Status,
}

/// A client and its settings.
#[derive(Debug)]
pub struct ClientSession {
    /// Command line and places.
    pub setup: SubcommandLine,
}

impl ClientSession {
    /// A client with these settings.
    pub fn new(setup: SubcommandLine) -> ClientSession {
        ClientSession { setup }
    }

    /// Carries out a command as it was typed; whether it succeeded.
    pub fn command(&mut self, words: &[String]) -> bool {
        let (command, arguments) = match words {
            [] => return false,
            [command, arguments @ ..] => (command.as_str(), arguments),
        };
        match (command, arguments) {
            ("start", []) => self.start(),
            ("restart", []) => self.restart(),
            ("restart", arguments) => {
                let options = std::iter::once("--restart".to_owned());
                self.reload(&options.chain(arguments.iter().cloned()).collect::<Vec<_>>())
            }
            ("reload", arguments) => self.reload(arguments),
            ("ping", [timeout, ..]) => match Value::from(timeout.as_str()).to_float() {
                Ok(seconds) => {
                    let timeout = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                    self.ask_all(&[values(words)], Show::Replies, Some(timeout))
                }
                Err(wrong) => {
                    error!(TARGET, "{}", wrong);
                    false
                }
            },
            ("events", jails) => self.events(jails),
            ("status", []) if self.setup.options.json => {
                let full = ["status", "--all", FULL].map(Value::from);
                self.ask_all(&[full.to_vec()], Show::Replies, None)
            }
            ("status", [jail]) if self.setup.options.json => {
                let full = ["status", jail, FULL].map(Value::from);
                self.ask_all(&[full.to_vec()], Show::Replies, None)
            }
            ("banned", []) if self.setup.options.json => {
                let with_origins = ["banned", WITH_ORIGINS].map(Value::from);
                self.ask_all(&[with_origins.to_vec()], Show::Replies, None)
            }
            _ => self.checked(words),
        }
    }

    /// `help [COMMAND]`: the usage text, or the part of it about a command; whether there is any.
    pub fn help(&self, command: &[String]) -> bool {
        if command.is_empty() {
            say(&usage::text(&self.setup.caller));
            return true;
        }
        match usage::about(command) {
            Ok(text) => {
                say(&text);
                true
            }
            Err(unknown) => {
                error!(TARGET, "{}", unknown);
                false
            }
        }
    }

    /// Sends a command whose addresses and options make sense; says what does not.
    fn checked(&self, words: &[String]) -> bool {
        match addresses::check(words) {
            Ok(Checked { words, refused }) => {
                for text in &refused {
                    error!(TARGET, "{}", text);
                }
                let ask = |words: Vec<_>| self.ask_all(&[values(&words)], Show::Replies, None);
                words.is_some_and(ask) && refused.is_empty()
            }
            Err(wrong) => {
                error!(TARGET, "{}", wrong);
                false
            }
        }
    }

    /// Prints events, one a line, until the server ends or nobody reads them.
    fn events(&self, jails: &[String]) -> bool {
        let words: Vec<Value> = std::iter::once("events".into())
            .chain(values(jails))
            .collect();
        let mut client = match ControlClient::connect(&self.setup.socket, None) {
            Ok(client) => client,
            Err(failure) => return self.explain(&failure, Some(&words), Show::Replies),
        };
        match client.ask(&words) {
            Ok(Ok(_)) => {}
            Ok(reply) => {
                self.print_reply(&words, &reply, Show::Replies);
                return false;
            }
            Err(failure) => return self.explain(&failure, Some(&words), Show::Replies),
        }
        let mut out = std::io::stdout().lock();
        while let Ok(Ok(event)) = client.receive() {
            if writeln!(out, "{}", print::json::value(&event)).is_err() || out.flush().is_err() {
                break;
            }
        }
        true
    }

    /// Sends commands one after the other over one connection; whether all succeeded. A failed
    /// command does not keep the next from being sent, a broken connection does.
    pub fn ask_all(&self, commands: &[Vec<Value>], show: Show, timeout: Option<Duration>) -> bool {
        let mut client = match ControlClient::connect(&self.setup.socket, timeout) {
            Ok(client) => client,
            Err(failure) => return self.explain(&failure, commands.first(), show),
        };
        let mut success = true;
        for command in commands {
            match client.ask(command) {
                Ok(reply) => {
                    success &= reply.is_ok();
                    self.print_reply(command, &reply, show);
                }
                Err(failure) => return self.explain(&failure, Some(command), show),
            }
        }
        success
    }

    /// Prints a reply, or complains about a failure on both outputs (fact P58).
    fn print_reply(&self, command: &[Value], reply: &Reply, show: Show) {
        let json = self.setup.options.json;
        match reply {
            Ok(response) => {
                let name = command.first().and_then(Value::as_str);
                if show == Show::Replies || matches!(name, Some("echo" | "server-status")) {
                    say_reply(&match json {
                        true => print::json::reply(command, response),
                        false => print::reply(command, response, Charset::of_locale()),
                    });
                }
                if name == Some("status") && counts_no_jail(response) {
                    warning!(TARGET, "{NO_JAIL}");
                }
            }
            Err(failure) => {
                error!(TARGET, "NOK: {}", failure.args_repr());
                let word = command.first().and_then(Value::as_str).unwrap_or_default();
                let meant = usage::meant(word);
                if !meant.is_empty() {
                    error!(TARGET, "Unknown command {}{}", quoted(word), meant);
                }
                if let Some(meant) = self.jail_meant(failure) {
                    error!(TARGET, "did you mean {}?", quoted(&meant));
                }
                if show == Show::Replies {
                    say_reply(&match json {
                        true => print::json::failure(failure),
                        false => print::failure(failure),
                    });
                }
            }
        }
    }

    /// The jail that was meant where a failure tells of one that is none. Not under the name of
    /// fail2ban's client, which says what that one says.
    fn jail_meant(&self, failure: &CommandError) -> Option<String> {
        let is_own = self.setup.caller.starts_with("ferroban ");
        if !is_own || failure.class.1 != "UnknownJailException" {
            return None;
        }
        let unknown = failure.args.first()?.as_str()?;
        let mut client = ControlClient::connect(&self.setup.socket, Some(PING_TIMEOUT)).ok()?;
        let Ok(Ok(Value::List(rows))) = client.ask(&["status".into()]) else {
            return None;
        };
        let names = rows.iter().find_map(|row| match row {
            Value::Tuple(pair) if pair.first()?.as_str()? == "Jail list" => pair.get(1)?.as_str(),
            _ => None,
        })?;
        nearest(unknown, names.split(", "), 2).map(str::to_owned)
    }

    /// Says why a command got no answer (fact P59); always false.
    fn explain(&self, failure: &ClientError, command: Option<&Vec<Value>>, show: Show) -> bool {
        if show != Show::Replies && self.setup.options.verbosity < 1 {
            return false;
        }
        let ClientError::Socket(_) = failure else {
            error!(TARGET, "{}", failure);
            return false;
        };
        let socket = self.setup.socket.as_path();
        let path = socket.display();
        let is_ping = command
            .and_then(|words| words.first())
            .and_then(Value::as_str)
            == Some("ping");
        if access(socket, AccessFlags::F_OK).is_err() {
            error!(
                TARGET,
                "Failed to access socket path: {}. Is fail2ban running?", path
            );
        } else if access(socket, AccessFlags::W_OK).is_err() {
            error!(
                TARGET,
                "Permission denied to socket: {}, (you must be root)", path
            );
        } else if is_ping {
            error!(TARGET, "{}", failure);
        } else {
            error!(
                TARGET,
                "[{}] Unable to contact server. Is it running?", failure
            );
        }
        false
    }

    /// Whether the server answers within `timeout` (`None`: however long it takes).
    pub fn is_alive(&self, timeout: Option<Duration>) -> bool {
        let ask = || ControlClient::connect(&self.setup.socket, timeout)?.ask(&["ping".into()]);
        matches!(ask(), Ok(Ok(_)))
    }

    /// As [`ClientSession::is_alive`], for servers that may be there before a start.
    pub fn is_running(&self) -> bool {
        self.is_alive(Some(PING_TIMEOUT))
    }

    /// Waits until the server answers (`alive`) or is gone, as long as `--timeout` says.
    /// `given_up` may end the waiting before.
    pub fn wait(&self, alive: bool, mut given_up: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        let limit = Duration::try_from_secs_f64(self.setup.options.timeout).unwrap_or_default();
        let mut pause = Duration::from_millis(2);
        loop {
            let here = self.setup.socket.exists() && self.is_alive(Some(pause.max(PING_TIMEOUT)));
            if here == alive {
                return true;
            }
            let waited = began.elapsed();
            if waited >= limit || given_up() {
                return false;
            }
            let longest = if waited > Duration::from_millis(200) {
                500
            } else {
                50
            };
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(longest));
        }
    }

    /// `reload [--restart] [--unban] [--if-exists] [JAIL|--all]` (fact P63).
    fn reload(&mut self, arguments: &[String]) -> bool {
        const OPTIONS: [&str; 3] = ["--restart", "--unban", "--if-exists"];
        let is_option = |word: &&String| OPTIONS.contains(&word.as_str());
        let count = arguments.iter().take_while(is_option).count();
        let (options, rest) = arguments.split_at(count);
        if rest.len() > 1 {
            let rest = Value::List(values(rest)).repr();
            error!(TARGET, "Unexpected argument(s) for reload: {}", rest);
            return false;
        }
        if !self.is_alive(None) {
            error!(TARGET, "Could not find server");
            return false;
        }
        let jail = rest.first().map_or("--all", String::as_str);
        let one = Some(jail).filter(|jail| *jail != "--all");
        let Some(stream) = self
            .setup
            .commands(one, Purpose::Reload, &Validator::default())
        else {
            return false;
        };
        self.announce("reload");
        let options = Value::List(values(options));
        let command = vec!["reload".into(), jail.into(), options, stream_of(stream)];
        self.ask_all(&[command], Show::Replies, None)
    }

    /// `restart` without a jail: stops what runs, starts (fact P62).
    fn restart(&mut self) -> bool {
        self.announce("stop");
        self.command(&["stop".to_owned()]);
        if !self.wait(false, || false) {
            error!(TARGET, "Could not stop server");
            return false;
        }
        if self.setup.options.interactive {
            self.announce("load configuration");
            if let Err(error) = self.setup.refresh() {
                say(&format!("ERROR: {error}"));
                return false;
            }
        }
        self.announce("start");
        self.start()
    }

    /// In interactive mode long commands say what they are about.
    fn announce(&self, what: &str) {
        if self.setup.options.interactive {
            say(&format!("  ## {what} ... "));
        }
    }
}

/// Whether this is the overview of a server without jails.
fn counts_no_jail(response: &Value) -> bool {
    let first = response.as_slice().and_then(<[Value]>::first);
    match first.and_then(Value::as_slice) {
        Some([key, count]) => key.as_str() == Some("Number of jail") && *count == Value::Int(0),
        _ => false,
    }
}

fn values(words: &[String]) -> Vec<Value> {
    words.iter().map(|word| word.as_str().into()).collect()
}

/// Commands as one value.
pub(super) fn stream_of(commands: Vec<Vec<Value>>) -> Value {
    Value::List(commands.into_iter().map(Value::List).collect())
}

/// Prints what the server has said. It holds what strangers wrote, as ids that a filter caught: on a terminal
/// nothing of it steers that. Programs have it as it is.
fn say_reply(text: &str) {
    match std::io::stdout().is_terminal() {
        true => say(&printable_lines(text)),
        false => say(text),
    }
}
