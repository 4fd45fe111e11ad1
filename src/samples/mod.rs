//! Annotated log lines: what a filter should make of each, and whether it does.
//!
//! The form is that of fail2ban's own sample files. `# failJSON: {…}` before a line says whether it matches and
//! with what time, host and fields; a line without is to give no failure. `# filterOptions:` sets the filter's
//! options for the lines after it; with several alternatives each is tested; `# fileOptions:` adds options to
//! each of these; `# addFILE:` names one more file. Options beginning with `test.` are about the test itself.
//! docs/test.md has the details.
#![forbid(unsafe_code)]

mod file;
mod trial;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Local, NaiveDateTime, TimeZone as _};
use serde_json::{Map, Value};

pub use file::{SampleLine, SampleStep, Samples};
pub use trial::{Difference, Measure, SampleResult, filter_of, judge};

use crate::ticket::Timestamp;

/// The zone that times without one are in, as the C library reads it: Zurich's.
pub const ZONE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
/// The present time of the lines, as a journal writes it: noon of 14 August 2005 in [`ZONE`].
const NOW_TEXT: &str = "2005-08-14T10:00:00";
/// The same.
const NOW: Timestamp = 1_124_013_600.0;

/// Options of a filter by name, or what an annotation says of a line.
pub type Facts = Map<String, Value>;

/// Why samples cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// A file of samples that cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// An annotation that means nothing.
    #[error("{}:{line}: {reason}", path.display())]
    Annotation {
        /// The file.
        path: PathBuf,
        /// The number of the line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Samples of a filter that is not there.
    #[error("{}: there is no filter '{filter}' in {}/filter.d", path.display(), config.display())]
    NoFilter {
        /// The file of samples.
        path: PathBuf,
        /// Its name.
        filter: String,
        /// The configuration directory.
        config: PathBuf,
    },
    /// A filter that cannot be used.
    #[error("filter {filter}: {reason}")]
    Filter {
        /// Its name, with its options.
        filter: String,
        /// Why not.
        reason: String,
    },
}

/// Options as they stand behind a filter's name: `mode="normal",logtype="journal"`.
pub fn arguments(options: &Facts) -> String {
    let one = |(key, value): (&String, &Value)| format!("{key}=\"{}\"", text_of(value));
    options.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The options that the filter knows: not those about the test.
pub fn of_the_filter(options: &Facts) -> Facts {
    let mut given = options.clone();
    given.retain(|key, _| !key.starts_with("test."));
    given
}

/// The files of samples in a directory that are no continuation of another one, in order. Their
/// names are those of filters.
///
/// # Errors
/// The directory or a file cannot be read.
pub fn in_directory(directory: &Path) -> Result<Vec<String>, SampleError> {
    let unreadable = |error| SampleError::Unreadable {
        path: directory.to_owned(),
        error,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // a dot and a tilde: what editors and version control put there
        if entry.path().is_file() && !name.starts_with('.') && !name.ends_with('~') {
            names.push(name);
        }
    }
    let mut continuations = Vec::new();
    for name in &names {
        // a file that is wrong is told of when it is tried
        let samples = Samples::read(&directory.join(name)).unwrap_or_default();
        continuations.extend(samples.more);
    }
    names.retain(|name| !continuations.contains(name));
    names.sort();
    Ok(names)
}

/// A value of an annotation as a filter option.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The instant of an expected time: local time, or with a zone of its own.
fn moment(text: &str) -> Option<Timestamp> {
    let micros = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.timestamp_micros(),
        Err(_) => {
            let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
            let local = Local.from_local_datetime(&time).earliest()?;
            local.timestamp_micros()
        }
    };
    Some(micros as f64 / 1e6)
}

/// A time as annotations have it.
fn time_text(time: Timestamp) -> Option<String> {
    let local = DateTime::from_timestamp_micros((time * 1e6).round() as i64)?.with_timezone(&Local);
    Some(local.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
}
