//! The log of the daemon: fail2ban's levels and logger names, behind one process-wide sink.
//!
//! Any module may log with the macros below; [`crate::server::logging`] decides where records go and how they
//! are formatted. Targets are the logger names that scripts search for (`fail2ban.actions`,
//! `fail2ban.filter`, …).

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};
use std::thread::{self, ThreadId};

/// Severity, with the numbers of Python's `logging` plus fail2ban's own steps (facts G1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Level {
    HeavyDebug = 5,
    TraceDebug = 7,
    /// Commands as they are run; the original has no name for this level.
    LowDebug = 9,
    Debug = 10,
    Msg = 18,
    Info = 20,
    Notice = 25,
    Warning = 30,
    Error = 40,
    Critical = 50,
}

impl Level {
    /// The name as it stands in a log line.
    pub fn name(self) -> &'static str {
        match self {
            Level::HeavyDebug => "HEAVY",
            Level::TraceDebug => "TRACE",
            Level::LowDebug => "#09-Lev.",
            Level::Debug => "DEBUG",
            Level::Msg => "MSG",
            Level::Info => "INFO",
            Level::Notice => "NOTICE",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
            Level::Critical => "CRITICAL",
        }
    }

    /// The highest level not above a number of Python's `logging`.
    pub fn of(number: u8) -> Level {
        const LEVELS: [Level; 9] = [
            Level::Critical,
            Level::Error,
            Level::Warning,
            Level::Notice,
            Level::Info,
            Level::Msg,
            Level::Debug,
            Level::LowDebug,
            Level::TraceDebug,
        ];
        let level = LEVELS.into_iter().find(|level| *level as u8 <= number);
        level.unwrap_or(Level::HeavyDebug)
    }
}

/// Receives every record that passes the threshold.
pub trait Sink: Send + Sync {
    /// Writes one record; must not panic and must not log.
    fn write(&self, level: Level, target: &str, message: fmt::Arguments<'_>);
}

/// Where records go, and which.
struct Log {
    threshold: AtomicU8,
    sink: RwLock<Option<Box<dyn Sink>>>,
    /// Threads whose records are dropped, as often as they asked for it.
    quiet: RwLock<Vec<ThreadId>>,
}

static LOG: Log = Log {
    threshold: AtomicU8::new(Level::Critical as u8),
    sink: RwLock::new(None),
    quiet: RwLock::new(Vec::new()),
};

/// Installs the sink all records go to (none before the first call: records are dropped).
pub fn set_sink(sink: Box<dyn Sink>) {
    if let Ok(mut slot) = LOG.sink.write() {
        *slot = Some(sink);
    }
}

/// Records below this number are dropped before they are formatted.
pub fn set_threshold(number: u8) {
    LOG.threshold.store(number, Ordering::Relaxed);
}

/// The number below which records are dropped.
pub fn threshold() -> u8 {
    LOG.threshold.load(Ordering::Relaxed)
}

/// Whether a record of this level would be written.
pub fn enabled(level: Level) -> bool {
    level as u8 >= threshold()
}

/// Runs `work` with its records dropped, on this thread: what is only tried out has not happened.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let own = thread::current().id();
    let quiet = || LOG.quiet.write().unwrap_or_else(PoisonError::into_inner);
    quiet().push(own);
    let result = work();
    let mut quiet = quiet();
    if let Some(at) = quiet.iter().rposition(|thread| *thread == own) {
        quiet.swap_remove(at);
    }
    result
}

fn is_quiet() -> bool {
    let quiet = LOG.quiet.read().unwrap_or_else(PoisonError::into_inner);
    !quiet.is_empty() && quiet.contains(&thread::current().id())
}

/// Writes one record; use the macros instead.
pub fn write(level: Level, target: &str, message: fmt::Arguments<'_>) {
    if is_quiet() {
        return;
    }
    if let Ok(slot) = LOG.sink.read()
        && let Some(sink) = slot.as_ref()
    {
        sink.write(level, target, message);
    }
}

/// `record!(Level::Notice, "fail2ban.actions", "[{}] Ban {}", jail, ip)`
macro_rules! record {
    ($level:expr, $target:expr, $($arg:tt)+) => {
        if $crate::log::enabled($level) {
            $crate::log::write($level, $target, format_args!($($arg)+));
        }
    };
}

/// Writes a record at level Debug: the target, then as `format!`.
macro_rules! debug {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Debug, $target, $($arg)+)
    };
}

/// Writes a record at level Msg: the target, then as `format!`.
macro_rules! msg {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Msg, $target, $($arg)+)
    };
}

/// Writes a record at level Info: the target, then as `format!`.
macro_rules! info {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Info, $target, $($arg)+)
    };
}

/// Writes a record at level Notice: the target, then as `format!`.
macro_rules! notice {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Notice, $target, $($arg)+)
    };
}

/// Writes a record at level Warning: the target, then as `format!`.
macro_rules! warning {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Warning, $target, $($arg)+)
    };
}

/// Writes a record at level Error: the target, then as `format!`.
macro_rules! error {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Error, $target, $($arg)+)
    };
}

/// Writes a record at level Critical: the target, then as `format!`.
macro_rules! critical {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Critical, $target, $($arg)+)
    };
}

pub(crate) use {critical, debug, error, info, msg, notice, record, warning};
