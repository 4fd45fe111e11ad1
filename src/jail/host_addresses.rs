//! Addresses that the ignore list needs: those of this machine and of the names in the list.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What the outside world says: needed for `ignoreself` and for names in the list.
#[derive(Clone, Debug, Default)]
pub(super) struct HostAddresses {
    /// Addresses of this machine.
    pub own: Arc<HashSet<IpAddr>>,
    /// Addresses of the names in the list.
    pub names: HashMap<String, Arc<[IpAddr]>>,
}
