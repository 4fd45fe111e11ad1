//! What a jail must know of the world to ignore somebody.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What the outside world says: needed for `ignoreself` and for names in the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Addresses of this machine.
    pub own: Arc<HashSet<IpAddr>>,
    /// Addresses of the names in the list.
    pub names: HashMap<String, Arc<[IpAddr]>>,
}
