//! What the fuzz targets do with the bytes of an input. The programs in `fuzz_targets/` hand them
//! what libFuzzer makes up; the test `fuzz_seeds` of the main package hands them the seeds and all
//! inputs that once made a target fail.
//!
//! A target fails by panicking. What libFuzzer itself watches over: time and memory per input.

pub mod action_script;
pub mod command_dispatcher;
pub mod config_ini;
pub mod config_options;
pub mod config_substitution;
pub mod crowdsec_decisions;
pub mod database_data;
pub mod date_detection;
pub mod filter_line;
pub mod fleet_entry;
pub mod mail_headers;
pub mod pattern_compile;
pub mod pickle_reader;
pub mod wire_framing;

use std::borrow::Cow;

/// A target: its name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("action_script", action_script::run),
    ("command_dispatcher", command_dispatcher::run),
    ("config_ini", config_ini::run),
    ("config_options", config_options::run),
    ("config_substitution", config_substitution::run),
    ("crowdsec_decisions", crowdsec_decisions::run),
    ("database_data", database_data::run),
    ("date_detection", date_detection::run),
    ("filter_line", filter_line::run),
    ("fleet_entry", fleet_entry::run),
    ("mail_headers", mail_headers::run),
    ("pattern_compile", pattern_compile::run),
    ("pickle_reader", pickle_reader::run),
    ("wire_framing", wire_framing::run),
];

/// Noon of 22 November 2026, UTC: the present of everything here, for repeatable results.
const NOW: f64 = 1_795_348_800.0;

/// The parts of an input: what stands between its NUL bytes.
fn parts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == 0)
}

/// The parts of an input as text.
fn texts(data: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    parts(data).map(String::from_utf8_lossy)
}
