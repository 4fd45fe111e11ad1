//! Carries a command out: in a shell, one at a time where commands could get into each other's
//! way.
//!
//! The original runs all commands of the whole server one after the other (fact A19), and action
//! files rely on it: two jails with the same action edit the same file. Here commands of actions
//! of one name wait for each other, and so do all that change the firewall; the rest runs side by
//! side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::shell;
use super::tags::Script;
use crate::control::Value;
use crate::log::Level;
use crate::{debug, record};

const TARGET: &str = "fail2ban.action";

/// Programs whose calls must not overlap: without `-w` iptables gives up when another runs.
const FIREWALL: [&str; 5] = ["iptables", "ip6tables", "nft", "ipset", "firewall-cmd"];

type Locks = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// Carries out commands. Clones share their locks.
#[derive(Clone, Debug, Default)]
pub struct Executor {
    locks: Arc<Locks>,
}

impl Executor {
    /// The one executor of this process, so that jails heed each other.
    pub fn shared() -> Executor {
        static SHARED: std::sync::OnceLock<Executor> = std::sync::OnceLock::new();
        SHARED.get_or_init(Executor::default).clone()
    }

    /// Runs a command of the action of this name; answers whether it succeeded. An empty command
    /// always does.
    pub async fn run(&self, action: &str, script: &Script, timeout: &Value) -> bool {
        record!(Level::LowDebug, TARGET, "{}", script.shown());
        if script.text.is_empty() {
            debug!(TARGET, "Nothing to do");
            return true;
        }
        let _turn = self.turn(action, script).await;
        shell::run(script, timeout, &[0]).await.success
    }

    /// Waits until no other command runs that this one must not meet.
    async fn turn(&self, action: &str, script: &Script) -> tokio::sync::OwnedMutexGuard<()> {
        let firewall = FIREWALL.iter().any(|program| script.text.contains(program));
        let key = if firewall { "firewall" } else { action };
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry(key.to_owned()).or_default().clone()
        };
        lock.lock_owned().await
    }
}
