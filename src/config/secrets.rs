//! Which settings are secret, by their names.

/// Parts of names whose values are secret, as alternatives of a regex.
pub const NAMES: &str =
    "pass|pwd|secret|token|key|credential|webhook|signature|private|cookie|bearer";

/// Whether the value of something with this name is secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    NAMES.split('|').any(|part| name.contains(part))
}
