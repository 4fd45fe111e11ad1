//! Where bans are in the kernel, and which action of which jail owns them.
#![forbid(unsafe_code)]

use super::member::Set;

/// Who holds members: an action of a jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The jail.
    pub jail: &'a str,
    /// Its action.
    pub action: &'a str,
}

/// Where bans are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FirewallPlace {
    /// A set.
    Set(Set),
    /// The routing tables.
    Routes,
    /// Program, table and name.
    Chain(String),
}
