//! The jails of the server, in the order they were added.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;

use crate::control::CommandError;
use crate::jail::Jail;

/// Handles by name; short locks only, never across a wait.
#[derive(Debug, Default)]
pub(super) struct JailTable {
    by_name: RwLock<IndexMap<String, Jail>>,
}

impl JailTable {
    /// The handle of a jail.
    ///
    /// # Errors
    /// The exception printed as `Sorry but the jail 'x' does not exist`.
    pub(super) fn get(&self, name: &str) -> Result<Jail, CommandError> {
        self.find(name)
            .ok_or_else(|| CommandError::unknown_jail(name))
    }

    pub(super) fn find(&self, name: &str) -> Option<Jail> {
        self.read().get(name).cloned()
    }

    /// Adds a jail at the end.
    pub(super) fn insert(&self, jail: Jail) {
        self.write().insert(jail.name.clone(), jail);
    }

    pub(super) fn remove(&self, name: &str) -> Option<Jail> {
        self.write().shift_remove(name)
    }

    pub(super) fn len(&self) -> usize {
        self.read().len()
    }

    /// All jails, oldest first.
    pub(super) fn all(&self) -> Vec<Jail> {
        self.read().values().cloned().collect()
    }

    /// The names of all jails, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.read().keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// All jails by name.
    pub(super) fn sorted(&self) -> Vec<Jail> {
        let mut jails = self.all();
        jails.sort_by(|a, b| a.name.cmp(&b.name));
        jails
    }

    fn read(&self) -> RwLockReadGuard<'_, IndexMap<String, Jail>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, IndexMap<String, Jail>> {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks all of these jails at once; answers in their order.
pub(super) async fn ask_all<T, F>(jails: Vec<Jail>, ask: impl Fn(Jail) -> F) -> Vec<(Jail, T)>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let asked: Vec<_> = jails
        .into_iter()
        .map(|jail| (jail.clone(), tokio::spawn(ask(jail))))
        .collect();
    let mut answers = Vec::with_capacity(asked.len());
    for (jail, answer) in asked {
        // only a cancelled or broken task has no answer
        if let Ok(answer) = answer.await {
            answers.push((jail, answer));
        }
    }
    answers
}
