//! Hosts that share their bans over an engine: what each option does, and what a fleet comes through.
#![allow(clippy::unwrap_used)]

#[path = "fleet/authority.rs"]
mod authority;
mod common;
#[path = "fleet/engine.rs"]
mod engine;
#[path = "fleet/field.rs"]
mod field;
#[path = "fleet/host.rs"]
mod host;
#[path = "fleet/kernel.rs"]
mod kernel;
#[path = "fleet/options.rs"]
mod options;
#[path = "fleet/program.rs"]
mod program;
#[path = "fleet/security.rs"]
mod security;
