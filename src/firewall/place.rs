//! Where bans are in the kernel, and which action of which jail put them there.
#![forbid(unsafe_code)]

use super::member::Set;

/// Who holds members: an action of a jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The jail.
    pub jail: &'a str,
    /// Its action.
    pub action: &'a str,
}

/// Where bans are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A set.
    Set(Set),
    /// The routing tables.
    Routes,
    /// Program, table and name.
    Chain(String),
}
