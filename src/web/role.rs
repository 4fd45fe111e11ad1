//! What somebody may do.

use serde::Serialize;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See everything.
    Viewer,
    /// Ban, unban and ignore too, where the configuration allows that to anybody.
    Operator,
}

impl Role {
    /// Reads `viewer` or `operator`.
    pub fn parse(word: &str) -> Option<Role> {
        [Role::Viewer, Role::Operator]
            .into_iter()
            .find(|role| role.word() == word)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
        }
    }
}
