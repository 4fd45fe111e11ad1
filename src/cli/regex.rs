//! `fail2ban-regex`: tries regexes, filters or jails on a log or a single line and reports what
//! they find (facts X1–X20).
//!
//! In: the command line. Out: the report, or with `-o` the failures in the form asked for.

pub(super) mod flags;
mod input;
pub(super) mod json;
mod names;
mod options;
mod output;
mod records;
mod regexes;
mod report;
mod run;
mod tally;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use options::Parsed;

/// Usage errors by count, and whatever regex, filter, date pattern or time zone is wrong.
const WRONG: u8 = 255;
/// Where the original ends in a traceback: unknown log level or encoding.
const TRACEBACK: u8 = 1;

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum Stop {
    /// Told on standard output, exit code 255.
    #[error("{0}")]
    Wrong(String),
    /// Told on standard error, exit code 1.
    #[error("{0}")]
    Fatal(String),
    /// The reader of our output has gone: quietly the end (fact X20).
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Runs the program; the first argument is the name it was called under.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let options = match options::parse(args) {
        Parsed::Options(options) => options,
        Parsed::Answer {
            out: text,
            err,
            code,
        } => {
            let _ = out.write_all(text.as_bytes());
            let _ = out.flush();
            let _ = io::stderr().write_all(err.as_bytes());
            return ExitCode::from(code);
        }
    };
    let result = run::run(&options, &mut out);
    let code = match result {
        Ok(()) => 0,
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(Stop::Wrong(message)) => {
            let _ = match options.json {
                true => writeln!(out, "{}", serde_json::json!({ "error": message })),
                false => writeln!(out, "{message}"),
            };
            WRONG
        }
        Err(stop) => {
            let _ = out.flush();
            eprintln!("{stop}");
            TRACEBACK
        }
    };
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(TRACEBACK),
        _ => ExitCode::from(code),
    }
}
