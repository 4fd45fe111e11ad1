//! Starts and stops the fleet and CrowdSec tasks by the sections `[fleet]` and `[crowdsec]`.

use std::sync::{Arc, PoisonError};

use super::Server;
use super::loggers::LOG;
use crate::control::command::FleetQuestion;
use crate::control::{CommandError, Reply, Value};
use crate::crowdsec::{self, Bridge};
use crate::error;
use crate::fleet::settings::FleetSettings;
use crate::fleet::{Fleet, FleetContext};
use crate::jail::link::Link;

impl Server {
    /// Takes part in the fleet of these options, or in none. Options that make no sense are told in the log: a
    /// fleet that cannot be is no reason to guard nothing.
    pub(super) fn set_fleet(&self, options: &Value) -> Reply {
        let refused = self.fleet.set(options, |pairs| {
            let settings = FleetSettings::read(pairs).map_err(|wrong| wrong.to_string())?;
            let begin = |settings| Fleet::start(settings, self.surroundings(&self.link));
            settings.map(begin).transpose()
        })?;
        if let Some(why) = refused {
            error!(LOG, "This host is in no fleet: {why}");
        }
        Ok(Value::None)
    }

    /// As [`Server::set_fleet`], for CrowdSec.
    pub(super) fn set_crowdsec(&self, options: &Value) -> Reply {
        let refused = self.crowdsec.set(options, |pairs| {
            let settings =
                crowdsec::CrowdsecSettings::read(pairs).map_err(|wrong| wrong.to_string())?;
            let begin = |settings| Bridge::start(settings, self.surroundings(&self.crowdsec_link));
            settings.map(begin).transpose()
        })?;
        if let Some(why) = refused {
            error!(LOG, "This host does not speak to CrowdSec: {why}");
        }
        Ok(Value::None)
    }

    /// A reload of everything begins: sections that it does not name are gone.
    pub(super) fn mark_parts(&self) {
        self.fleet.mark();
        self.crowdsec.mark();
    }

    /// It ends.
    pub(super) fn end_marked_parts(&self) {
        self.fleet.end_marked();
        self.crowdsec.end_marked();
    }

    /// Ends all parts.
    pub(super) fn leave_parts(&self) {
        self.fleet.end();
        self.crowdsec.end();
    }

    /// Whether there is a fleet to ask about.
    pub(super) fn has_fleet(&self) -> bool {
        self.fleet.ask(|_| ()).is_ok()
    }

    /// Whether there is CrowdSec to ask about.
    pub(super) fn has_crowdsec(&self) -> bool {
        self.crowdsec.ask(|_| ()).is_ok()
    }

    /// What a client asks of the fleet.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn ask_fleet(&self, question: FleetQuestion) -> Reply {
        match self.fleet.ask(|fleet| fleet.ask(question)) {
            Ok(answer) => Ok(answer.await),
            Err(why) => Err(absent("This host is in no fleet", "fleet", why)),
        }
    }

    /// What a client asks of CrowdSec.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn crowdsec_status(&self) -> Reply {
        let absent = |why| absent("This host does not speak to CrowdSec", "crowdsec", why);
        self.crowdsec.ask(Bridge::status).map_err(absent)
    }

    fn surroundings(&self, link: &Link) -> FleetContext {
        let (jails, state) = (self.jails.clone(), self.state.clone());
        FleetContext {
            jails: Arc::new(move || jails.all()),
            store: Arc::new(move || {
                let state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.store.clone()
            }),
            names: self.names.clone(),
            link: link.clone(),
        }
    }
}

fn absent(what: &str, section: &str, why: Option<String>) -> CommandError {
    let none = || format!("fail2ban.conf has no section [{section}] with a url");
    CommandError::new(format!("{what}: {}", why.unwrap_or_else(none)))
}
