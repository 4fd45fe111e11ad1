//! State shared by the actions of all jails of a server.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::locks::Locks;
use crate::firewall::audit_timer::Monitor;
use crate::firewall::iptables::copies::Models;
use crate::firewall::set_refcount::SetRefcounts;
use crate::mail::whois::Whois;
use crate::resolver::Resolver;
use crate::sys::hosts::HostNames;

/// What the actions of a server share. A copy is the same.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// What they hold of sets.
    pub refcounts: SetRefcounts,
    /// Hears of what others delete from the firewall.
    pub(crate) monitor: Monitor,
    /// How rules of iptables are written.
    pub(crate) models: Models,
    /// Asks for the names of addresses.
    pub(crate) resolver: Resolver,
    /// Asks the registries.
    pub(super) whois: Whois,
    /// Keep commands apart that must not meet.
    pub(super) locks: Arc<Locks>,
    /// The process, and what it starts, has `sandbox = strict`.
    pub(super) confined: bool,
    names: Arc<OnceCell<HostNames>>,
}

impl Common {
    /// Of a server that may be confined by `sandbox = strict`.
    pub fn new(confined: bool) -> Common {
        Common {
            confined,
            ..Common::default()
        }
    }

    /// The names of this machine, asked for once: a resolver may be slow.
    pub async fn host_names(&self) -> HostNames {
        let ask = || async {
            let names = tokio::task::spawn_blocking(HostNames::of_this_machine);
            names.await.unwrap_or_default()
        };
        self.names.get_or_init(ask).await.clone()
    }
}
