//! The bridge to CrowdSec: bans of this host's jails become decisions at its LAPI, and decisions of the LAPI
//! (its own scenarios, the community list, other lists) become bans of a jail of this host.
//!
//! [`lapi`] is the client, [`decisions`] parses its answers, [`held`] turns them into bans, [`own`] remembers
//! what this host has sent. [`task`] runs it; no jail ever waits for it. The channels from and to the jails
//! are those of the fleet.

pub mod decisions;
mod held;
mod lapi;
mod own;
mod settings;
mod task;

use std::sync::Arc;

pub use self::settings::CrowdsecSettings;
use self::task::BridgeShared;
use crate::control::Value;
use crate::fleet::FleetContext;
use crate::jail::link::Link;

/// The logger of the bridge.
const LOG: &str = "fail2ban.crowdsec";

/// The origin of decisions that hosts like this one have made.
const ORIGIN: &str = "ferroban";

/// The bridge, while it lives.
#[derive(Debug)]
pub struct Bridge {
    shared: Arc<BridgeShared>,
    task: tokio::task::JoinHandle<()>,
    link: Link,
}

impl Bridge {
    /// Begins to speak to a LAPI, inside a tokio runtime.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn start(settings: CrowdsecSettings, around: FleetContext) -> Result<Bridge, String> {
        let link = around.link.clone();
        let told = link.open();
        let shared = Arc::new(BridgeShared::new(settings, around)?);
        let task = tokio::spawn(task::run(shared.clone(), told));
        Ok(Bridge { shared, task, link })
    }

    /// How it does.
    pub fn status(&self) -> Value {
        self.shared.status()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
        self.link.close();
    }
}
