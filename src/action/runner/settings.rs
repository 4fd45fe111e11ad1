//! Actions added, set, asked and removed, one by one or by a reload (facts A24, P49–P53).

use super::super::Query;
use super::super::any::Action;
use super::super::command::{CommandAction, Definition};
use super::super::mail::python::SmtpAction;
use super::super::python::{self, PythonAction};
use super::ending::Flush;
use super::{Runner, TARGET, start_action, unhandled};
use indexmap::IndexMap;

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

/// What an action was before a reload, to be put back when the reload fails.
#[derive(Debug)]
pub(super) enum Former {
    /// An action of this kind; what it has started and banned stays its own.
    Command(Definition),
    /// The arguments it was made or reloaded with.
    Python(Value),
}

impl Former {
    fn of(action: &Action) -> Former {
        match action {
            Action::Command(action) => Former::Command(action.definition.clone()),
            Action::Python(action) => Former::Python(action.arguments().clone()),
        }
    }
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
                self.insert(Action::Command(Box::new(CommandAction::new(name))));
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
                self.insert(Action::Python(Box::new(action)));
                Reloaded::Added
            }
        };
        if let Some(reloading) = self.reloading.as_mut() {
            reloading.insert(name.to_owned(), state);
        }
        Ok(())
    }

    /// Adds an action. One of another kind with the same name stays at hand until the reload that
    /// brings the new one has ended.
    fn insert(&mut self, action: Action) {
        let name = action.name().to_owned();
        if let Some(old) = self.actions.insert(name.clone(), action)
            && self.reloading.is_some()
        {
            // a stream may name an action twice: the first one is what was there before
            self.replaced.entry(name).or_insert(old);
        }
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
        // of several nobody wants to know the values, and not all that may be set can be asked for
        let mut answer = Value::None;
        match actions.get_mut(name) {
            Some(Action::Command(action)) => {
                for (property, value) in properties {
                    action.set(property, value)?;
                }
                if let [(property, value)] = properties {
                    answer = match action.argument(property) {
                        Some(_) => value.clone(),
                        None => action.definition.properties.get(property)?,
                    };
                }
            }
            Some(Action::Python(action)) => {
                for (attribute, value) in properties {
                    let set = action.set(attribute, value, &mut context).await;
                    let set = set.map_err(|error| *error.error)?;
                    if properties.len() == 1 {
                        answer = set;
                    }
                }
            }
            None => {}
        }
        Ok(answer)
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
                None => action.definition.properties.get(property),
            },
            Query::Properties => Ok(Value::from(action.definition.properties.names())),
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
        let replaced = std::mem::take(&mut self.replaced);
        let (actions, mut context) = self.split();
        for (_, mut action) in replaced {
            if let Err(error) = action.stop(&mut context).await {
                unhandled(context.jail, &error);
            }
        }
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

    /// Begins a reload: actions that are not added again before its end are removed.
    pub(super) fn begin_reload(&mut self) {
        self.reloading = Some(IndexMap::new());
        let former = |(name, action): (&String, &Action)| (name.clone(), Former::of(action));
        self.before_reload = self.actions.iter().map(former).collect();
    }

    /// Makes the actions what they were before the reload; added ones, not started yet, are dropped.
    pub(super) async fn undo_reload(&mut self) {
        let named = self.reloading.take().unwrap_or_default();
        let before = std::mem::take(&mut self.before_reload);
        for (name, action) in self.replaced.drain(..) {
            self.actions.insert(name, action);
        }
        self.actions.retain(|name, _| before.contains_key(name));
        let (actions, mut context) = self.split();
        for (name, former) in before {
            match (actions.get_mut(&name), former) {
                (Some(Action::Command(action)), Former::Command(definition)) => {
                    action.redefine(definition);
                }
                (Some(Action::Python(action)), Former::Python(arguments))
                    if named.get(&name) == Some(&Reloaded::Kept) =>
                {
                    if let Err(error) = action.stay(arguments, &mut context).await {
                        unhandled(context.jail, &error.into());
                    }
                }
                _ => {}
            }
        }
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
