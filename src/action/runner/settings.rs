//! Actions added, set, asked and removed, one by one or by a reload (facts A24, P49–P53).

use super::super::Query;
use super::super::command::CommandAction;
use super::super::mail::python::SmtpAction;
use super::ending::Flush;
use super::{Runner, TARGET, start_action, unhandled};
use crate::control::{ACTION_METHODS, CommandError, Reply, Value};
use crate::error;
use crate::ticket::Ticket;

/// What an action went through in a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reloaded {
    /// It was there before and is wanted again.
    Kept,
    /// The reload added it.
    Added,
    /// It knows of the reload.
    Done,
}

impl Runner {
    pub(super) fn add(&mut self, name: String, python: Option<(String, Value)>) -> Reply {
        let smtp = match &python {
            Some((path, arguments)) if SmtpAction::is_meant(path) => {
                Some(SmtpAction::new(arguments)?)
            }
            _ => None,
        };
        if let Some((path, _)) = python
            && smtp.is_none()
        {
            error!(
                TARGET,
                "[{}] action {}: Python actions are not supported yet, the jail goes on without {}",
                self.jail,
                Value::from(name.as_str()).repr(),
                path
            );
            return Ok(Value::from(name));
        }
        match (self.actions.get_mut(&name), self.reloading.as_mut()) {
            (Some(action), Some(reloading)) => {
                action.clear_commands();
                reloading.insert(name.clone(), Reloaded::Kept);
            }
            (Some(_), None) => {
                return Err(CommandError::builtin(
                    "ValueError",
                    format!("Action {name} already exists"),
                ));
            }
            (None, reloading) => {
                if let Some(reloading) = reloading {
                    reloading.insert(name.clone(), Reloaded::Added);
                }
                self.actions.insert(name.clone(), CommandAction::new(&name));
            }
        }
        if let (Some(smtp), Some(action)) = (smtp, self.actions.get_mut(&name)) {
            action.become_smtp(smtp)?;
        }
        Ok(Value::from(name))
    }

    pub(super) async fn remove(&mut self, name: String, bans: &[Ticket]) -> Reply {
        self.action(&name)?;
        let names = [name];
        self.flush(bans, Flush::Removed(&names)).await;
        self.stop(&names).await;
        Ok(Value::None)
    }

    pub(super) fn action(&mut self, name: &str) -> Result<&mut CommandAction, CommandError> {
        self.actions.get_mut(name).ok_or_else(|| {
            CommandError::builtin("KeyError", format!("Invalid Action name: {name}"))
        })
    }

    pub(super) fn set(&mut self, name: &str, properties: &[(String, Value)]) -> Reply {
        let action = self.action(name)?;
        for (property, value) in properties {
            action.set(property, value)?;
        }
        match properties.last() {
            Some((property, value)) if action.argument(property).is_some() => Ok(value.clone()),
            Some((property, _)) => action.properties.get(property),
            None => Ok(Value::None),
        }
    }

    pub(super) fn get(&mut self, name: &str, what: &Query) -> Reply {
        let action = self.action(name)?;
        match what {
            Query::Property(property) if property == "banEpoch" => {
                Ok(Value::Int(i64::try_from(action.epoch).unwrap_or(i64::MAX)))
            }
            Query::Property(property) => match action.argument(property) {
                Some(value) => Ok(value.clone()),
                None => action.properties.get(property),
            },
            Query::Properties => Ok(Value::from(action.properties.names())),
            Query::Methods => Ok(Value::List(
                ACTION_METHODS.into_iter().map(Value::from).collect(),
            )),
        }
    }

    /// Tells kept actions of the reload and starts added ones.
    pub(super) async fn reload(&mut self) {
        let named = match self.reloading.as_mut() {
            // the names stay, so that the end of the reload knows what is obsolete
            Some(reloading) => reloading
                .iter_mut()
                .map(|(name, state)| (name.clone(), std::mem::replace(state, Reloaded::Done)))
                .collect(),
            None => Vec::new(),
        };
        let (actions, mut context) = self.split();
        for (name, state) in named {
            let Some(action) = actions.get_mut(&name) else {
                continue;
            };
            match state {
                Reloaded::Kept => {
                    if let Err(error) = action.reload(&mut context).await {
                        unhandled(context.jail, &error);
                    }
                }
                Reloaded::Added => start_action(action, &mut context).await,
                Reloaded::Done => {}
            }
        }
    }

    /// Kept actions get their properties back; added ones, not started yet, are dropped.
    pub(super) fn undo_reload(&mut self) {
        self.reloading = None;
        let mut before = std::mem::take(&mut self.before_reload);
        self.actions
            .retain(|name, action| match before.shift_remove(name) {
                Some(properties) => {
                    action.properties = properties;
                    true
                }
                None => false,
            });
    }

    /// The end of a reload: what was not named again is lifted, stopped and dropped (fact A24).
    pub(super) async fn end_reload(&mut self, bans: &[Ticket]) {
        self.reload().await;
        self.before_reload.clear();
        let Some(named) = self.reloading.take() else {
            return;
        };
        let obsolete: Vec<String> = self
            .actions
            .keys()
            .filter(|name| !named.contains_key(*name))
            .cloned()
            .collect();
        if !obsolete.is_empty() {
            self.flush(bans, Flush::Removed(&obsolete)).await;
            self.stop(&obsolete).await;
        }
    }
}
