//! The command line of client and server (fact P57).
//!
//! Arguments come in, [`ClientOptions`] or a question to be answered at once go out. Options end at the
//! first word that is none, as with Python's getopt: `fail2ban-client set J banip -1` is a command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::config::shipped;
use crate::datetime::duration;
use crate::python::Number;

/// What the command line says.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientOptions {
    /// Configuration directory.
    pub config: PathBuf,
    /// Control socket, unless `fail2ban.conf` says.
    pub socket: Option<PathBuf>,
    /// Pid file, unless `fail2ban.conf` says.
    pub pidfile: Option<PathBuf>,
    /// Name of the server process.
    pub process_name: Option<String>,
    /// Log level, unless `fail2ban.conf` says.
    pub loglevel: Option<String>,
    /// Log target, unless `fail2ban.conf` says.
    pub logtarget: Option<String>,
    /// Syslog socket, unless `fail2ban.conf` says.
    pub syslogsocket: Option<String>,
    /// Print the configuration (`-d`, `--dp`).
    pub dump: bool,
    /// `--dump-pretty`: and long values over several lines.
    pub pretty: bool,
    /// Test the configuration (`-t`).
    pub test: bool,
    /// Read commands from standard input (`-i`).
    pub interactive: bool,
    /// Print replies as JSON.
    pub json: bool,
    /// How many `-v` more than `-q`.
    pub verbosity: i32,
    /// Start although the socket file is there (`-x`).
    pub force: bool,
    /// Start in the background (`-b`, the default; `-f`).
    pub background: bool,
    /// The server shall not configure itself: the client that started it will.
    pub asynchronous: bool,
    /// Seconds to wait for the server.
    pub timeout: f64,
    /// The command.
    pub words: Vec<String>,
}

/// How long to wait for the server unless `--timeout` says, in seconds (fact P61).
const MAX_WAIT: f64 = 30.0;

/// What to do with a command line.
#[derive(Debug, PartialEq)]
pub enum ClientRequest {
    /// Run.
    Run(Box<ClientOptions>),
    /// `-h`
    Help,
    /// `-V`
    ShortVersion,
    /// `--version`
    Version,
    /// `--str2sec`
    Duration(Number),
    /// Explain the options and fail.
    Misuse,
    /// A value makes no sense.
    Invalid(String),
}

/// Reads a command line, without the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> ClientRequest {
    match grammar().try_get_matches_from(args) {
        Ok(matches) => interpret(&matches),
        Err(_) => ClientRequest::Misuse,
    }
}

/// The options, for clap.
fn grammar() -> Command {
    let value = |name: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .value_parser(value_parser!(OsString))
    };
    let flag = |name: &'static str| Arg::new(name).action(ArgAction::Count);
    Command::new("fail2ban")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args_override_self(true)
        .infer_long_args(true)
        .arg(value("conf").short('c').alias("config"))
        .arg(value("socket").short('s'))
        .arg(value("pidfile").short('p'))
        .args(["pname", "loglevel", "logtarget", "syslogsocket"].map(value))
        .args(["timeout", "str2sec"].map(value))
        .arg(flag("dump").short('d'))
        .arg(flag("dump-pretty").long("dump-pretty").alias("dp"))
        .arg(flag("test").short('t').long("test"))
        .arg(flag("interactive").short('i'))
        .arg(flag("verbose").short('v'))
        .arg(flag("quiet").short('q'))
        .arg(flag("force").short('x'))
        .arg(flag("background").short('b'))
        .arg(flag("foreground").short('f'))
        .arg(flag("async").long("async"))
        .arg(flag("json").long("json"))
        // two arguments each: they print different things
        .arg(flag("help").short('h').long("help"))
        .arg(flag("short-version").short('V'))
        .arg(flag("version").long("version"))
        .arg(
            Arg::new("words")
                .num_args(0..)
                .trailing_var_arg(true)
                .value_parser(value_parser!(OsString)),
        )
}

/// All values of an option, each with its place on the command line.
fn values<'a>(
    matches: &'a ArgMatches,
    name: &str,
) -> impl DoubleEndedIterator<Item = (usize, &'a OsString)> {
    let places = matches.indices_of(name).into_iter().flatten();
    let values = matches.get_many(name).into_iter().flatten();
    places.zip(values).collect::<Vec<_>>().into_iter()
}

/// Where a flag stands last; flags that were not given are there by default only.
fn last_place(matches: &ArgMatches, name: &str) -> Option<usize> {
    given(matches, name)
        .then(|| matches.indices_of(name)?.next_back())
        .flatten()
}

fn given(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name) == Some(ValueSource::CommandLine)
}

fn interpret(matches: &ArgMatches) -> ClientRequest {
    let text = |name| {
        values(matches, name)
            .next_back()
            .map(|(_, value)| value.to_string_lossy().into_owned())
    };
    let path = |name| {
        values(matches, name)
            .next_back()
            .map(|(_, value)| value.into())
    };
    let timeout = match values(matches, "timeout").next_back() {
        None => Ok(MAX_WAIT),
        Some((_, value)) => duration::parse(&value.to_string_lossy()).map(Number::as_f64),
    };
    // of several questions the first is answered, unless a wrong time comes before it
    let wrong_timeout = timeout.is_err().then(|| values(matches, "timeout").next());
    let first = |name| {
        matches
            .indices_of(name)
            .and_then(|mut places| places.next())
    };
    let questions = ["help", "short-version", "version", "str2sec"];
    let question = questions
        .into_iter()
        .filter(|name| given(matches, name))
        .filter_map(|name| Some((first(name)?, name)))
        .min();
    let timeout = match (timeout, wrong_timeout.flatten(), question) {
        (Err(error), Some((place, _)), Some((asked, _))) if place < asked => {
            return ClientRequest::Invalid(error.to_string());
        }
        (_, _, Some((_, "help"))) => return ClientRequest::Help,
        (_, _, Some((_, "short-version"))) => return ClientRequest::ShortVersion,
        (_, _, Some((_, "version"))) => return ClientRequest::Version,
        (_, _, Some(_)) => {
            let value = values(matches, "str2sec").next().map(|(_, value)| value);
            let value = value.map(|value| value.to_string_lossy());
            return match duration::parse(&value.unwrap_or_default()) {
                Ok(number) => ClientRequest::Duration(number),
                Err(error) => ClientRequest::Invalid(error.to_string()),
            };
        }
        (Err(error), _, None) => return ClientRequest::Invalid(error.to_string()),
        (Ok(timeout), _, None) => timeout,
    };
    let count = |name| i32::from(matches.get_count(name));
    ClientRequest::Run(Box::new(ClientOptions {
        config: path("conf").unwrap_or_else(|| shipped::default_dir().into()),
        socket: path("socket"),
        pidfile: path("pidfile"),
        process_name: text("pname"),
        loglevel: text("loglevel"),
        logtarget: text("logtarget"),
        syslogsocket: text("syslogsocket"),
        dump: given(matches, "dump") || given(matches, "dump-pretty"),
        pretty: last_place(matches, "dump-pretty") > last_place(matches, "dump"),
        test: given(matches, "test"),
        interactive: given(matches, "interactive"),
        json: given(matches, "json"),
        verbosity: count("verbose") - count("quiet"),
        force: given(matches, "force"),
        background: last_place(matches, "background") >= last_place(matches, "foreground"),
        asynchronous: given(matches, "async"),
        timeout,
        words: matches
            .get_many::<OsString>("words")
            .into_iter()
            .flatten()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> ClientRequest {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn options(line: &str) -> ClientOptions {
        match read(line) {
            ClientRequest::Run(options) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn nothing_given() {
        let options = options("");
        assert_eq!(options.config, PathBuf::from(shipped::default_dir()));
        assert_eq!((options.timeout, options.background), (30.0, true));
        assert_eq!(
            (options.verbosity, options.dump, options.test),
            (0, false, false)
        );
        assert!(options.socket.is_none() && options.words.is_empty());
    }

    #[test]
    fn options_end_at_the_first_word() {
        let options = options("-c /x -s/run/s --pid=/p -vvq set -v banip -1 -- x");
        assert_eq!(options.config, PathBuf::from("/x"));
        assert_eq!(options.socket, Some("/run/s".into()));
        assert_eq!(options.pidfile, Some("/p".into()));
        assert_eq!(options.verbosity, 1);
        assert_eq!(options.words, ["set", "-v", "banip", "-1", "--", "x"]);
        assert_eq!(self::options("-- -v").words, ["-v"]);
        assert_eq!(self::options("-x -- start").words, ["start"]);
        assert_eq!(self::options("-s -x start").socket, Some("-x".into()));
    }

    #[test]
    fn the_last_one_wins() {
        assert!(!options("-b -f").background);
        assert!(options("-fb").background);
        assert!(!options("-xf start").background);
        assert_eq!(options("-c a -c b").config, PathBuf::from("b"));
        assert_eq!(options("--timeout 1 --timeout 2m").timeout, 120.0);
    }

    #[test]
    fn the_first_question_is_answered() {
        assert_eq!(read("-V -h"), ClientRequest::ShortVersion);
        assert_eq!(read("-hV"), ClientRequest::Help);
        assert_eq!(read("--help foo"), ClientRequest::Help);
        assert_eq!(read("--vers"), ClientRequest::Version);
        assert_eq!(
            read("-x --str2sec 60 -h"),
            ClientRequest::Duration(Number::Int(60))
        );
        assert!(matches!(read("--str2sec x"), ClientRequest::Invalid(_)));
        assert!(matches!(read("--timeout x -h"), ClientRequest::Invalid(_)));
        assert_eq!(read("-h --timeout x"), ClientRequest::Help);
    }

    #[test]
    fn misuse() {
        for line in ["--foo", "-Z", "--str2sec", "-c", "--asyn=1", "--foo status"] {
            assert_eq!(read(line), ClientRequest::Misuse, "{line}");
        }
        assert_eq!(options("status --foo").words, ["status", "--foo"]);
    }
}
