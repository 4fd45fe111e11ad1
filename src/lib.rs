//! Ferroban: fail2ban rebuilt, as a drop-in replacement.
//!
//! Data walks one way: `source` turns bytes into lines, `filter` lines into failures (with
//! `pattern` and `datetime`), `jail` failures into bans, `action` bans into commands, which
//! change the `firewall`, send `mail` or are run by `exec`. `config` turns files into the commands
//! of `control`, by the tables of `options`, and `server` knows nothing but those commands.
//! `cli` is what a person types.

mod action;
mod address;
mod cli;
mod clock;
mod config;
mod control;
mod countries;
mod crowdsec;
mod datetime;
mod draft;
mod evidence;
mod exec;
mod fields;
mod filter;
mod firewall;
mod fleet;
mod http;
mod interned;
mod jail;
mod lint;
mod log;
mod mail;
mod notice;
mod options;
mod origin;
#[doc(hidden)]
pub mod parts;
mod pattern;
mod printable;
mod python;
mod queue;
mod resolver;
mod samples;
mod server;
mod source;
mod store;
mod sys;
mod ticket;
mod web;

pub use cli::main;
pub use sys::allocator::Allocator;

pub(crate) use log::{critical, debug, error, info, msg, notice, record, warning};

/// The version of fail2ban whose behaviour and interface this build offers; what `version`,
/// `--version` and the log banner print, because clients compare it.
pub(crate) const COMPATIBLE_VERSION: &str = "1.1.1";

/// Ferroban's own version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
