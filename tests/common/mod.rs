//! What several end-to-end and differential tests share: the reference, temporary directories,
//! the built binary.
#![allow(dead_code)] // each test binary uses its own part

use std::path::{Path, PathBuf};
use std::process::Command;

/// Root of the unpacked original of this version (`tests/get-reference` puts it there).
///
/// # Panics
/// When it is not there: a test that needs it must not pass without it.
pub fn reference(version: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let root = target.join("reference").join(version);
    assert!(
        root.join("usr/bin/fail2ban-client").exists(),
        "no reference at {}: run tests/get-reference first",
        root.display()
    );
    root
}

/// A program of the original (`fail2ban-client`, `-server`, `-regex`), ready for arguments.
pub fn original(version: &str, program: &str) -> Command {
    let root = reference(version);
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg(root.join("usr/bin").join(program))
        .env("PYTHONPATH", root.join("usr/lib/python3/dist-packages"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Our program under one of its names, through `ferroban SUBCOMMAND`.
pub fn ours(program: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferroban"));
    command.arg(program.strip_prefix("fail2ban-").unwrap_or(program));
    command
}
