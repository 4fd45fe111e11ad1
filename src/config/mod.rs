//! Files on disk → the ordered list of server commands (what `-d` prints).
//!
//! Knows files and text, nothing of jails, sockets or clocks.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use crate::control::Value;

/// What went wrong with the configuration as a whole; `Display` is the text after
/// `Failed during configuration: `, with file and line where there are any (facts C46–C58).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

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
}

/// How the jails are read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Only this jail (`reload JAIL`); an unknown one is an error.
    pub jail: Option<String>,
    /// Missing log files are warnings (`-d`), not errors.
    pub allow_no_files: bool,
    /// Values from the command line that beat `fail2ban.conf` (`loglevel`, `logtarget`, `syslogsocket`).
    pub overrides: Vec<(String, String)>,
}

/// The configuration as commands.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Commands in order; each is a list of values.
    pub commands: Vec<Vec<Value>>,
    /// Jails that were skipped, with the reason (they are in `commands` as `config-error` too).
    pub skipped: Vec<(String, String)>,
    /// What to tell the operator, in order (level name and text).
    pub warnings: Vec<String>,
}

/// Reads `fail2ban.conf` and its layers.
///
/// # Errors
/// Missing directory or unreadable files.
pub fn read_early(_dir: &Path) -> Result<EarlyOptions, ConfigError> {
    Err(ConfigError(String::new()))
}

/// Reads everything and makes the command stream.
///
/// # Errors
/// Facts C46–C49.
pub fn read(_dir: &Path, _options: &ReadOptions) -> Result<Stream, ConfigError> {
    Err(ConfigError(String::new()))
}
