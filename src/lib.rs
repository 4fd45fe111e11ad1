//! Ferroban: fail2ban rebuilt, as a drop-in replacement.
//!
//! Data walks one way: [`source`] turns bytes into lines, [`filter`] lines into failures (with
//! [`pattern`] and [`datetime`]), [`jail`] failures into bans, [`action`] bans into commands, which
//! change the [`firewall`], send [`mail`] or are run by [`exec`]. [`config`] turns files into the commands
//! of [`control`], by the tables of [`options`], and [`server`] knows nothing but those commands.
//! [`cli`] is what a person types.

pub mod action;
pub mod address;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod countries;
pub mod crowdsec;
pub mod datetime;
pub mod draft;
pub mod evidence;
pub mod exec;
pub mod fields;
pub mod filter;
pub mod firewall;
pub mod fleet;
pub mod http;
mod interned;
pub mod jail;
pub mod lint;
pub mod log;
pub mod mail;
pub mod notice;
pub mod options;
pub mod origin;
pub mod pattern;
pub mod printable;
pub mod python;
mod queue;
mod resolver;
pub mod samples;
pub mod server;
pub mod source;
pub mod store;
pub mod sys;
pub mod ticket;
pub mod web;

/// The version of fail2ban whose behaviour and interface this build offers; what `version`,
/// `--version` and the log banner print, because clients compare it.
pub const COMPATIBLE_VERSION: &str = "1.1.1";

/// Ferroban's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
