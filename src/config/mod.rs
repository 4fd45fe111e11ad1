//! Reads the configuration into the ordered list of server commands (what `-d` prints).
//!
//! It knows files and text, but no jails, sockets or clocks. From the bottom: [`ini`] parses one file,
//! [`layers`] finds (with `listings`) and merges those of a name, [`settings`] holds the result,
//! [`interpolation`](settings::MergedSettings::get) and [`tags`] expand references, [`options`] parses
//! `name[option=value]`, [`definition`] is the common part of [`filter`] and [`action`], [`jail`] combines
//! them, [`globals`] is `fail2ban.conf`, and [`stream`] is everything in order. [`lookup`] serves programs
//! that want a filter without a jail.
//!
//! All files are read through [`files::Files`]; only [`files::Disk`] accesses a disk, and
//! [`shipped::Shipped`] adds the files that the program contains.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use crate::control::Value;
use crate::options::server::{DBFILE, LOGFORMAT};

pub mod action;
pub mod definition;
pub mod error;
pub mod files;
pub mod filter;
pub mod glob;
pub mod globals;
pub mod ini;
mod interpolation;
pub mod jail;
pub mod layers;
mod listings;
pub mod lookup;
mod machine;
pub mod metrics;
pub mod options;
pub mod places;
pub mod references;
pub mod secrets;
pub mod section;
pub mod settings;
pub mod shipped;
pub mod stream;
pub mod tags;
pub mod web;

pub use error::{Cause, ConfigError, ConfigMessage, ConfigPlace, Fault};
pub use globals::{Sandbox, check_loglevel};

/// Options of `fail2ban.conf` that the client needs before it reads any jail (facts G1–G5).
#[derive(Clone, Debug)]
pub struct EarlyOptions {
    /// Control socket.
    pub socket: PathBuf,
    /// Pid file.
    pub pidfile: PathBuf,
    /// `loglevel`
    pub loglevel: String,
    /// `logtarget`
    pub logtarget: String,
    /// `syslogsocket`
    pub syslogsocket: String,
    /// What to tell the operator, in order.
    pub warnings: Vec<ConfigMessage>,
}

/// How the jails are read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions<'a> {
    /// Only this jail (`reload JAIL`); an unknown one is an error.
    pub jail: Option<String>,
    /// Jails that are read even when they are not enabled.
    pub also: Vec<String>,
    /// Missing log files are warnings (`-d`), not errors.
    pub allow_no_files: bool,
    /// Values from the command line that beat `fail2ban.conf` (`loglevel`, `logtarget`, `syslogsocket`).
    pub overrides: Vec<(String, String)>,
    /// One wrong jail spoils the result (`-t`); else only when no jail is right.
    pub strict: bool,
    /// The server is to look for new files: `start JAIL` is followed by the lines of `logpath` that
    /// may lead to more than is there now. The original's server reads over them.
    pub patterns: bool,
    /// Tells what the server would refuse of the commands of a jail, or of its own settings.
    pub check: Option<&'a dyn Check>,
    /// A jail of which something would be refused spoils the result (`-t`, `reload`); else it is
    /// left out and the others are carried through.
    pub refuse_faulty: bool,
}

/// Tells what the server would refuse of some commands. This module knows no jails; who does,
/// hands it in.
pub trait Check: std::fmt::Debug {
    /// Of the commands of one jail, or settings of the server itself.
    fn faults(&self, commands: &[Vec<Value>]) -> Vec<Fault>;

    /// Commands of one jail that set an option which its actions cannot serve, each with the reason
    /// and with the command that takes its place.
    fn unserved(&self, commands: &[Vec<Value>]) -> Vec<(Fault, Vec<Value>)>;

    /// What of the actions of one jail does not work with `sandbox = strict`.
    fn confined(&self, commands: &[Vec<Value>]) -> Vec<Fault>;

    /// What it would take of the commands of a jail, though it should not be so.
    fn warnings(&self, commands: &[Vec<Value>]) -> Vec<Fault>;
}

/// The configuration as commands.
#[derive(Clone, Debug, Default)]
pub struct CommandStream {
    /// Commands in order; each is a list of values.
    pub commands: Vec<Vec<Value>>,
    /// Jails that were skipped, with the reason (they are in `commands` as `config-error` too).
    pub skipped: Vec<(String, String)>,
    /// Shipped files that were read because the directory lacks them, as names below it.
    pub shipped: Vec<String>,
    /// What to tell the operator, in order, levels from INFO up.
    pub warnings: Vec<ConfigMessage>,
    /// Whether it may be used: false when a jail is wrong and nothing else is right, or reading
    /// was strict. `-d` prints it all the same and exits with 255 (facts C46, C47).
    pub accepted: bool,
}

/// Reads `fail2ban.conf` and its layers.
///
/// # Errors
/// Missing directory or unreadable files (fact C8).
pub fn read_early(dir: &Path) -> Result<EarlyOptions, ConfigError> {
    stream::early(&shipped::Shipped, &dir.to_string_lossy())
}

/// Reads which file the server keeps its bans in; `None` is written for none.
///
/// # Errors
/// As [`read_early`].
pub fn read_database(dir: &Path) -> Result<String, ConfigError> {
    stream::one(&shipped::Shipped, &dir.to_string_lossy(), DBFILE)
}

/// Reads what a line of the log looks like (`logformat`); empty when nobody says.
///
/// # Errors
/// As [`read_early`].
pub fn read_logformat(dir: &Path) -> Result<String, ConfigError> {
    stream::one(&shipped::Shipped, &dir.to_string_lossy(), LOGFORMAT)
}

/// Reads what the server gives up (`sandbox`).
///
/// # Errors
/// As [`read_early`], and for a value that is none.
pub fn read_sandbox(dir: &Path) -> Result<Sandbox, ConfigError> {
    stream::sandbox(&shipped::Shipped, &dir.to_string_lossy())
}

/// Reads what `ferroban web` serves (`[metrics]`).
///
/// # Errors
/// As [`read_early`], and for a value that is none.
pub fn read_metrics(dir: &Path) -> Result<metrics::Metrics, ConfigError> {
    stream::metrics(&shipped::Shipped, &dir.to_string_lossy())
}

/// Reads what `ferroban web` serves beside that (`[web]`).
///
/// # Errors
/// As [`read_metrics`].
pub fn read_web(dir: &Path) -> Result<web::Web, ConfigError> {
    stream::web(&shipped::Shipped, &dir.to_string_lossy())
}

/// Reads the options of `[fleet]`; none without the section.
///
/// # Errors
/// As [`read_early`].
pub fn read_fleet(dir: &Path) -> Result<Vec<(Value, Value)>, ConfigError> {
    stream::fleet(&shipped::Shipped, &dir.to_string_lossy())
}

/// Reads everything and makes the command stream. What concerns the reading of `fail2ban.conf`
/// itself is told by [`read_early`], not again here.
///
/// # Errors
/// Facts C46–C49.
pub fn read(dir: &Path, options: &ReadOptions<'_>) -> Result<CommandStream, ConfigError> {
    stream::all(&shipped::Shipped, &dir.to_string_lossy(), options)
}

/// Finds what the REGEX argument of `fail2ban-regex` names; see [`lookup::lookup`].
///
/// # Errors
/// It names something that cannot be used.
pub fn find_filter(
    dir: &Path,
    text: &str,
    backend: &str,
) -> Result<Option<lookup::FoundFilter>, lookup::LookupError> {
    lookup::lookup(&shipped::Shipped, &dir.to_string_lossy(), text, backend)
}
