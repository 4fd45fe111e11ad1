//! The daemon's log: levels and targets of fail2ban, behind one process-wide sink.
//!
//! Any module may write a record with the macros below; where records go and how they look is
//! the business of [`crate::server::logging`]. Targets are the logger names scripts grep for
//! (`fail2ban.actions`, `fail2ban.filter`, …).

use std::cell::Cell;
use std::fmt;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU8, Ordering};

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

static THRESHOLD: AtomicU8 = AtomicU8::new(Level::Critical as u8);
static SINK: RwLock<Option<Box<dyn Sink>>> = RwLock::new(None);

/// Installs the sink all records go to (none before the first call: records are dropped).
pub fn set_sink(sink: Box<dyn Sink>) {
    if let Ok(mut slot) = SINK.write() {
        *slot = Some(sink);
    }
}

/// Records below this number are dropped before they are formatted.
pub fn set_threshold(number: u8) {
    THRESHOLD.store(number, Ordering::Relaxed);
}

/// The number below which records are dropped.
pub fn threshold() -> u8 {
    THRESHOLD.load(Ordering::Relaxed)
}

/// Whether a record of this level would be written.
pub fn enabled(level: Level) -> bool {
    level as u8 >= threshold()
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with its records dropped: what is only tried out has not happened.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let before = QUIET.replace(true);
    let result = work();
    QUIET.set(before);
    result
}

/// Writes one record; use the macros instead.
pub fn write(level: Level, target: &str, message: fmt::Arguments<'_>) {
    if QUIET.get() {
        return;
    }
    if let Ok(slot) = SINK.read()
        && let Some(sink) = slot.as_ref()
    {
        sink.write(level, target, message);
    }
}

/// `record!(Level::Notice, "fail2ban.actions", "[{}] Ban {}", jail, ip)`
#[macro_export]
macro_rules! record {
    ($level:expr, $target:expr, $($arg:tt)+) => {
        if $crate::log::enabled($level) {
            $crate::log::write($level, $target, format_args!($($arg)+));
        }
    };
}

/// Writes a record at level Debug: the target, then as `format!`.
#[macro_export]
macro_rules! debug {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Debug, $target, $($arg)+)
    };
}

/// Writes a record at level Msg: the target, then as `format!`.
#[macro_export]
macro_rules! msg {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Msg, $target, $($arg)+)
    };
}

/// Writes a record at level Info: the target, then as `format!`.
#[macro_export]
macro_rules! info {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Info, $target, $($arg)+)
    };
}

/// Writes a record at level Notice: the target, then as `format!`.
#[macro_export]
macro_rules! notice {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Notice, $target, $($arg)+)
    };
}

/// Writes a record at level Warning: the target, then as `format!`.
#[macro_export]
macro_rules! warning {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Warning, $target, $($arg)+)
    };
}

/// Writes a record at level Error: the target, then as `format!`.
#[macro_export]
macro_rules! error {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Error, $target, $($arg)+)
    };
}

/// Writes a record at level Critical: the target, then as `format!`.
#[macro_export]
macro_rules! critical {
    ($target:expr, $($arg:tt)+) => {
        $crate::record!($crate::log::Level::Critical, $target, $($arg)+)
    };
}
