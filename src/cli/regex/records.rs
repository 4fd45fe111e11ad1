//! Log records on standard output, in the form `fail2ban-regex` gives them (fact X17).

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};

use super::Stop;
use crate::log::{self, Level, Sink};

/// Records that were written and not yet printed.
#[derive(Clone, Default)]
pub(super) struct Records(Arc<Mutex<Vec<u8>>>);

impl Records {
    /// Prints what has gathered.
    ///
    /// # Errors
    /// Of the writer.
    pub(super) fn drain(&self, out: &mut impl Write) -> std::io::Result<()> {
        if let Ok(mut gathered) = self.0.lock()
            && !gathered.is_empty()
        {
            out.write_all(&gathered)?;
            gathered.clear();
        }
        Ok(())
    }
}

struct RecordQueue {
    records: Records,
    verbose: u32,
}

impl Sink for RecordQueue {
    fn write(&self, level: Level, target: &str, message: fmt::Arguments<'_>) {
        let Ok(mut gathered) = self.records.0.lock() else {
            return;
        };
        let name = level.name();
        let time = chrono::Local::now().format("%Y-%m-%d %H:%M:%S,%3f");
        // the original appends the level's first letter to the padded name
        let _ = if self.verbose <= 1 {
            let pid = std::process::id();
            let letter = &name[..1];
            writeln!(
                gathered,
                "{time} {target:<24}[{pid}]: {name:<7}{letter}: {message}"
            )
        } else {
            // where the original shows the number of its only thread
            let thread = std::process::id();
            writeln!(gathered, " {time} {thread:X} {name:<5.5} {message}")
        };
    }
}

/// Gathers records from `level` (a name or a number) on.
///
/// # Errors
/// No such level.
pub(super) fn install(level: &str, verbose: u32) -> Result<Records, Stop> {
    let upper = level.to_uppercase();
    let number = match upper.as_str() {
        "HEAVYDEBUG" => 5,
        "TRACEDEBUG" | "TRACE" => 7,
        "DEBUG" => 10,
        "MSG" => 18,
        "INFO" => 20,
        "NOTICE" => 25,
        "WARNING" | "WARN" => 30,
        "ERROR" => 40,
        "CRITICAL" | "FATAL" => 50,
        digits => digits.parse().map_err(|_| {
            let level = crate::filter::quote(level);
            Stop::Fatal(format!("ValueError: Invalid log level {level}"))
        })?,
    };
    let records = Records::default();
    log::set_threshold(number);
    log::set_sink(Box::new(RecordQueue {
        records: records.clone(),
        verbose,
    }));
    Ok(records)
}
