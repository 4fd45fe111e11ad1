//! Actions added, set, asked and removed, one by one or by a reload (facts A24, P49–P53).

use super::super::Query;
use super::super::any::Action;
use super::super::command::CommandAction;
use super::super::mail::python::SmtpAction;
use super::super::python::{self, PythonAction};
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
    pub(super) async fn add(&mut self, name: String, python: Option<(String, Value)>) -> Reply {
        if self.actions.contains_key(&name) && self.reloading.is_none() {
            return Err(CommandError::builtin(
                "ValueError",
                format!("Action {name} already exists"),
            ));
        }
        match python {
            Some((path, arguments)) if !SmtpAction::is_meant(&path) => {
                self.add_python(&name, &path, &arguments).await?;
            }
            smtp => {
                let smtp = smtp.map(|(_, arguments)| SmtpAction::new(&arguments));
                self.add_command(&name, smtp.transpose()?)?;
            }
        }
        Ok(Value::from(name))
    }

    fn add_command(&mut self, name: &str, smtp: Option<SmtpAction>) -> Result<(), CommandError> {
        let known = self.actions.get_mut(name).and_then(Action::command);
        let state = match known {
            Some(action) => {
                action.clear_commands();
                Reloaded::Kept
            }
            None => {
                let action = Action::Command(Box::new(CommandAction::new(name)));
                self.actions.insert(name.to_owned(), action);
                Reloaded::Added
            }
        };
        if let Some(reloading) = self.reloading.as_mut() {
            reloading.insert(name.to_owned(), state);
        }
        let action = self.actions.get_mut(name).and_then(Action::command);
        match (smtp, action) {
            (Some(smtp), Some(action)) => action.become_smtp(smtp),
            _ => Ok(()),
        }
    }

    async fn add_python(
        &mut self,
        name: &str,
        path: &str,
        arguments: &Value,
    ) -> Result<(), CommandError> {
        let (actions, mut context) = self.split();
        let state = match actions.get_mut(name) {
            Some(Action::Python(action)) => {
                let named = action.name_again(path, arguments, &mut context).await;
                named.map_err(|error| *error.error)?;
                Reloaded::Kept
            }
            _ => {
                let Some(interpreter) = python::interpreter() else {
                    error!(
                        TARGET,
                        "[{}] action {}: python3 is not installed, the jail runs without {path}",
                        self.jail,
                        Value::from(name).repr(),
                    );
                    return Ok(());
                };
                let made = PythonAction::new(&interpreter, name, path, arguments, &mut context);
                let action = made.await.map_err(|error| *error.error)?;
                actions.insert(name.to_owned(), Action::Python(Box::new(action)));
                Reloaded::Added
            }
        };
        if let Some(reloading) = self.reloading.as_mut() {
            reloading.insert(name.to_owned(), state);
        }
        Ok(())
    }

    pub(super) async fn remove(&mut self, name: String, bans: &[Ticket]) -> Reply {
        self.action(&name)?;
        let names = [name];
        self.flush(bans, Flush::Removed(&names)).await;
        self.stop(&names).await;
        Ok(Value::None)
    }

    pub(super) fn action(&mut self, name: &str) -> Result<&mut Action, CommandError> {
        self.actions.get_mut(name).ok_or_else(|| {
            CommandError::builtin("KeyError", format!("Invalid Action name: {name}"))
        })
    }

    pub(super) async fn set(&mut self, name: &str, properties: &[(String, Value)]) -> Reply {
        self.action(name)?;
        let (actions, mut context) = self.split();
        let mut last = Value::None;
        match actions.get_mut(name) {
            Some(Action::Command(action)) => {
                for (property, value) in properties {
                    action.set(property, value)?;
                }
                if let Some((property, value)) = properties.last() {
                    last = match action.argument(property) {
                        Some(_) => value.clone(),
                        None => action.properties.get(property)?,
                    };
                }
            }
            Some(Action::Python(action)) => {
                for (attribute, value) in properties {
                    let set = action.set(attribute, value, &mut context).await;
                    last = set.map_err(|error| *error.error)?;
                }
            }
            None => {}
        }
        Ok(last)
    }

    pub(super) async fn get(&mut self, name: &str, what: &Query) -> Reply {
        self.action(name)?;
        let (actions, mut context) = self.split();
        let action = match actions.get_mut(name) {
            Some(Action::Command(action)) => action,
            Some(Action::Python(action)) => {
                let answer = match what {
                    Query::Property(attribute) => action.get(attribute, &mut context).await,
                    Query::Properties => action.names(false, &mut context).await,
                    Query::Methods => action.names(true, &mut context).await,
                };
                return answer.map_err(|error| *error.error);
            }
            None => return Ok(Value::None),
        };
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
                    match (action, properties) {
                        (Action::Command(action), Some(properties)) => {
                            action.properties = properties;
                        }
                        (Action::Python(action), _) => action.stay(),
                        (Action::Command(_), None) => {}
                    }
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
