//! Where bans are in the kernel, how they stand there and for how long, and which action of which jail owns them.
#![forbid(unsafe_code)]

use std::time::Instant;

use ipnet::IpNet;

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

/// A set, as the kernel names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Set {
    /// One of ipset's.
    Ipset(String),
    /// One of a table of nftables.
    Nft {
        /// Number of the table's family.
        family: u8,
        /// The table.
        table: String,
        /// The set.
        name: String,
    },
}

/// A ban as it stands in a chain or a set: whom it concerns, and of a rule what follows the address.
pub type StandingBan = (IpNet, String);

/// How long the kernel was told to keep a member.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Expiry {
    /// As the set has it.
    SetDefault,
    /// Up to this moment.
    Moment(Instant),
    /// Until it is taken out.
    Never,
}
