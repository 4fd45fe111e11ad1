//! Restricts writing to the server's own files; reading and running files is not restricted.

use std::path::PathBuf;

use landlock::{
    ABI, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    path_beneath_rules,
};

/// Written by the programs of actions: nothing, what others wait for, and what is there for a while.
const COMMON: [&str; 6] = [
    "/dev/full",
    "/dev/null",
    "/dev/tty",
    "/run/xtables.lock",
    "/tmp",
    "/var/tmp",
];

/// Lets this thread and what it starts write below these directories only; answers whether the kernel
/// knows how.
///
/// # Errors
/// What the kernel says.
pub(super) fn confine(directories: &[PathBuf]) -> Result<bool, RulesetError> {
    let writing = AccessFs::from_write(ABI::V3);
    let common = COMMON.into_iter().map(PathBuf::from);
    let places = common.chain(directories.iter().cloned());
    let status = Ruleset::default()
        .handle_access(writing)?
        .create()?
        .add_rules(path_beneath_rules(places, writing))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
