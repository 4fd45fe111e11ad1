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
mod options;
mod settings;

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
}

/// Handle to a jail's task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jail {
    /// Its name.
    pub name: String,
}

impl Jail {
    /// Creates a jail (not started) with its backend.
    ///
    /// # Errors
    /// `Unknown backend …` (fact J3).
    pub fn spawn(
        name: &str,
        _backend: &str,
        _around: Surroundings,
    ) -> Result<Jail, crate::control::CommandError> {
        Ok(Jail {
            name: name.to_owned(),
        })
    }

    /// Carries out `set`, `get` and `status` commands. `quiet`: inside a config stream, where `set` answers None.
    pub async fn call(&self, _command: JailCommand) -> Reply {
        Ok(crate::control::Value::None)
    }

    /// Begins to read, restores bans, starts actions.
    pub async fn start(&self) -> Reply {
        Ok(crate::control::Value::None)
    }

    /// Stops reading, lifts bans from the firewall (they stay in the database), stops actions; ends the task.
    pub async fn stop(&self) -> Reply {
        Ok(crate::control::Value::None)
    }

    /// Ids banned now.
    pub async fn banned(&self) -> Vec<String> {
        Vec::new()
    }

    /// Lifts these bans (`None`: all); answers how many were lifted.
    pub async fn unban(&self, _ids: Option<Vec<String>>) -> usize {
        0
    }
}
