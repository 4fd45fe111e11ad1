//! A part of the server that a section of `fail2ban.conf` configures: started, changed and stopped with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::control::{CommandError, Value};

/// A part that is taken, or none.
#[derive(Debug)]
pub(super) struct ConfiguredPart<T>(Mutex<PartState<T>>);

#[derive(Debug)]
struct PartState<T> {
    /// What it was told, and what came of it.
    running: Option<(Value, T)>,
    /// The stream of a reload has named it.
    named: bool,
    /// Why it is not what the configuration wants.
    refused: Option<String>,
}

impl<T> Default for ConfiguredPart<T> {
    fn default() -> ConfiguredPart<T> {
        ConfiguredPart(Mutex::new(PartState {
            running: None,
            named: false,
            refused: None,
        }))
    }
}

impl<T> ConfiguredPart<T> {
    /// Begins it anew with these options. What is told again changes nothing, and what ran before has ended
    /// before the next begins; answers why it cannot be.
    ///
    /// # Errors
    /// No options.
    pub(super) fn set(
        &self,
        options: &Value,
        begin: impl FnOnce(&[(Value, Value)]) -> Result<Option<T>, String>,
    ) -> Result<Option<String>, CommandError> {
        let Value::Dict(pairs) = options else {
            return Err(CommandError::builtin(
                "AttributeError",
                format!("'{}' object has no attribute 'items'", options.type_name()),
            ));
        };
        let mut taken = self.lock();
        taken.named = true;
        if matches!(&taken.running, Some((told, _)) if told == options) {
            return Ok(None);
        }
        taken.running = None;
        let begun = begin(pairs);
        taken.refused = begun.as_ref().err().cloned();
        if let Ok(Some(part)) = begun {
            taken.running = Some((options.clone(), part));
        }
        Ok(taken.refused.clone())
    }

    /// A reload of everything begins: a section that it does not name is gone.
    pub(super) fn mark(&self) {
        self.lock().named = false;
    }

    /// It ends.
    pub(super) fn end_marked(&self) {
        if !self.lock().named {
            self.end();
        }
    }

    /// Ends it.
    pub(super) fn end(&self) {
        self.lock().running = None;
    }

    /// What somebody asks of it; else why there is none, if that is known.
    pub(super) fn ask<A>(&self, question: impl FnOnce(&T) -> A) -> Result<A, Option<String>> {
        let taken = self.lock();
        match &taken.running {
            Some((_, part)) => Ok(question(part)),
            None => Err(taken.refused.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, PartState<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
