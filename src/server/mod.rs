//! The daemon: owns the jails, answers commands, keeps log, signals, pid and socket files.

pub mod logging;

use std::path::PathBuf;

/// What the command line says about the process.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Control socket.
    pub socket: PathBuf,
    /// Pid file.
    pub pidfile: PathBuf,
    /// Start although a socket file is there (`-x`).
    pub force: bool,
    /// Stay in the foreground (`-f`).
    pub foreground: bool,
    /// Process name (`--pname`).
    pub process_name: String,
    /// Initial log level, target and syslog socket.
    pub loglevel: String,
    /// Initial log target.
    pub logtarget: String,
    /// Initial syslog socket.
    pub syslogsocket: String,
    /// `-v` given so many times.
    pub verbosity: u8,
}
