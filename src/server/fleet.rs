//! The server's part in a fleet: begun, changed and ended by the section `[fleet]` of the configuration.

use std::sync::{Arc, PoisonError};

use super::Server;
use super::server_log::LOG;
use crate::control::{CommandError, Reply, Value};
use crate::error;
use crate::fleet::settings::Settings;
use crate::fleet::{Fleet, Question, Surroundings};

/// A fleet that this host takes part in, and what it was told of it.
#[derive(Debug)]
pub(super) struct Member {
    options: Value,
    fleet: Fleet,
}

impl Server {
    /// Takes part in the fleet of these options, or in none. What is told again changes nothing. Options that
    /// make no sense are told in the log: a fleet that cannot be is no reason to guard nothing.
    pub(super) fn set_fleet(&self, options: &Value) -> Reply {
        let Value::Dict(pairs) = options else {
            return Err(CommandError::builtin(
                "AttributeError",
                format!("'{}' object has no attribute 'items'", options.type_name()),
            ));
        };
        let settings = Settings::read(pairs).map_err(|wrong| wrong.to_string());
        let mut member = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        self.state().fleet_named = true;
        if member
            .as_ref()
            .is_some_and(|member| member.options == *options)
        {
            return Ok(Value::None);
        }
        // the way from the jails is free before another takes it
        *member = None;
        let begin = |settings| Fleet::start(settings, self.surroundings());
        let fleet = settings.and_then(|settings| settings.map(begin).transpose());
        self.state().fleet_refused = fleet.as_ref().err().cloned();
        match fleet {
            Ok(fleet) => {
                let options = options.clone();
                *member = fleet.map(|fleet| Member { options, fleet });
            }
            Err(why) => error!(LOG, "This host is in no fleet: {why}"),
        }
        Ok(Value::None)
    }

    /// A reload of everything begins: a section that it does not name is gone.
    pub(super) fn mark_fleet(&self) {
        self.state().fleet_named = false;
    }

    /// It ends.
    pub(super) fn end_marked_fleet(&self) {
        if !self.state().fleet_named {
            self.leave_fleet();
        }
    }

    /// Ends the part in a fleet.
    pub(super) fn leave_fleet(&self) {
        *self.fleet.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether there is a fleet to ask about.
    pub(super) fn has_fleet(&self) -> bool {
        let member = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        member.is_some()
    }

    /// What a client asks of the fleet.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn ask_fleet(&self, question: Question) -> Reply {
        let answer = {
            let member = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
            member.as_ref().map(|member| member.fleet.ask(question))
        };
        match answer {
            Some(answer) => Ok(answer.await),
            None => {
                let why = self.state().fleet_refused.clone();
                let why = why.as_deref();
                let why = why.unwrap_or("fail2ban.conf has no section [fleet] with a url");
                Err(CommandError::new(format!(
                    "This host is in no fleet: {why}"
                )))
            }
        }
    }

    fn surroundings(&self) -> Surroundings {
        let (jails, state) = (self.jails.clone(), self.state.clone());
        Surroundings {
            jails: Arc::new(move || jails.all()),
            store: Arc::new(move || {
                let state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.store.clone()
            }),
            names: self.names.clone(),
            link: self.link.clone(),
        }
    }
}
