//! Log records of the programs at the terminal: on standard error, in the form of the server's
//! log (fact P58).

use std::fmt;
use std::io::Write as _;

use chrono::Local;

use crate::log::{self, Level, Sink};

/// Sends log records to standard error from now on. `verbosity`: how many `-v` more than `-q`.
pub fn install(verbosity: i32) {
    let threshold = match verbosity {
        ..0 => Level::Error,
        0 => Level::Warning,
        1 => Level::Info,
        2 => Level::Debug,
        _ => Level::HeavyDebug,
    };
    log::set_threshold(threshold as u8);
    log::set_sink(Box::new(Stderr {
        detailed: verbosity > 1,
    }));
}

/// Before the verbosity is known: messages only.
pub fn install_plain() {
    log::set_threshold(Level::Warning as u8);
    log::set_sink(Box::new(Plain));
}

struct Plain;

impl Sink for Plain {
    fn write(&self, _: Level, _: &str, message: fmt::Arguments<'_>) {
        // there is nowhere to complain
        let _ = writeln!(std::io::stderr().lock(), "{message}");
    }
}

struct Stderr {
    detailed: bool,
}

impl Sink for Stderr {
    fn write(&self, level: Level, target: &str, message: fmt::Arguments<'_>) {
        let time = Local::now().format("%Y-%m-%d %H:%M:%S,%3f");
        let (level, pid) = (level.name(), std::process::id());
        let line = if self.detailed {
            format!(" {time} {pid:X} {level:<5.5} {message}\n")
        } else {
            format!("{time} {target:<24}[{pid}]: {level:<7} {message}\n")
        };
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}
