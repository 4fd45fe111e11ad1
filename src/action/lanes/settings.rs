//! Adds, sets, reads and removes actions, one by one or by a reload (facts A24, P49–P53). During a reload the
//! actions run unchanged; at its end each gets all its settings at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use indexmap::IndexMap;
use tokio::sync::oneshot;

use super::super::command::CommandAction;
use super::super::context::Context;
use super::super::jail_action::JailAction;
use super::super::python::{self, PythonAction};
use super::super::queue::{ActionQueue, OrderClass};
use super::super::runner::Runner;
use super::super::smtp::SmtpAction;
use super::super::step::MOST;
use super::super::task::{ActionTask, Done, Reloaded};
use super::super::{Order, Query};
use super::{ActionLane, Actions, ActionsState, LaneSettings, TARGET};
use crate::control::{ACTION_METHODS, CommandError, Reply, Value};
use crate::error;
use crate::sys::hosts::HostNames;
use crate::ticket::Ticket;

/// A reload under way.
#[derive(Debug)]
pub(super) struct Reload {
    /// Actions named so far, and whether they were there before.
    named: IndexMap<String, Named>,
    /// What the actions were set to.
    before: HashMap<String, LaneSettings>,
    /// Actions for which the reload has brought others of the same name, of another kind.
    replaced: IndexMap<String, ActionLane>,
}

/// An action that a reload has named.
#[derive(Debug)]
enum Named {
    /// It was there before.
    Kept(Reloaded),
    /// The reload added it.
    Added,
}

impl Actions {
    /// Orders about actions themselves. An answer nobody waits for any more is dropped.
    pub(super) fn settle(&self, state: &mut ActionsState, order: Order) {
        match order {
            Order::Add {
                name,
                python: Some((path, arguments)),
                reply,
            } if !SmtpAction::is_meant(&path) => {
                self.add_python(state, name, path, arguments, reply);
            }
            Order::Add {
                name,
                python,
                reply,
            } => {
                let smtp = python.map(|(_, arguments)| SmtpAction::new(&arguments));
                let added = smtp
                    .transpose()
                    .and_then(|smtp| self.add_command(state, &name, smtp));
                let _ = reply.send(added.map(|()| Value::from(name)));
            }
            Order::Remove { name, bans, reply } => match state.lane(&name) {
                Ok(_) => {
                    let told = self.told(bans, None, Some(Done::Removed(reply)));
                    let gates = state.last_gates(&self.0.moved);
                    self.end(state, &[name], &told, gates, false);
                }
                Err(error) => drop(reply.send(Err(error))),
            },
            Order::Set {
                name,
                properties,
                reply,
            } => state.set(&name, properties, reply),
            Order::Get { name, what, reply } => state.get(&name, what, reply),
            Order::Call {
                name,
                method,
                arguments,
                reply,
            } => state.call(&name, method, arguments, reply),
            Order::Names(reply) => {
                let _ = reply.send(state.lanes.keys().cloned().collect());
            }
            Order::Reloading(true, _) => {
                let settings =
                    |(name, lane): (&String, &ActionLane)| (name.clone(), lane.settings.clone());
                state.reload = Some(Reload {
                    named: IndexMap::new(),
                    before: state.lanes.iter().map(settings).collect(),
                    replaced: IndexMap::new(),
                });
            }
            Order::Reloading(false, bans) => self.end_reload(state, bans),
            Order::ReloadFailed => state.undo_reload(),
            _ => {}
        }
    }

    fn add_command(
        &self,
        state: &mut ActionsState,
        name: &str,
        smtp: Option<SmtpAction>,
    ) -> Result<(), CommandError> {
        state.may_be_added(name)?;
        let known = state.lanes.get(name).map(|lane| &lane.settings);
        let kept = matches!(known, Some(LaneSettings::Command(_)));
        if !kept {
            let action = CommandAction::new(name);
            let settings = LaneSettings::Command(Box::new(action.clone()));
            self.insert(state, name, JailAction::Command(Box::new(action)), settings);
        }
        state.name(name, kept.then_some(Reloaded::Told));
        let lane = state.lanes.get_mut(name);
        if let Some(lane) = lane {
            if let LaneSettings::Command(action) = &mut lane.settings {
                if kept {
                    action.clear_commands();
                }
                if let Some(smtp) = smtp {
                    action.become_smtp(smtp)?;
                }
            }
            if state.reload.is_none() {
                lane.hand_over();
            }
        }
        Ok(())
    }

    /// A Python action: its file is loaded beside everything else.
    fn add_python(
        &self,
        state: &mut ActionsState,
        name: String,
        path: String,
        arguments: Value,
        reply: oneshot::Sender<Reply>,
    ) {
        if let Err(error) = state.may_be_added(&name) {
            return drop(reply.send(Err(error)));
        }
        let known = match state.lanes.get(&name).map(|lane| &lane.settings) {
            Some(LaneSettings::Python(known)) => Some(known),
            _ => None,
        };
        if let Some(known) = known {
            let same = known.path == path && known.arguments == arguments;
            let reloaded = match known.reloads && known.path == path {
                true => Some(Reloaded::Arguments(arguments.clone())),
                false => same.then_some(Reloaded::Told),
            };
            if reloaded.is_some() {
                state.name(&name, reloaded);
                return drop(reply.send(Ok(Value::from(name))));
            }
        }
        let Some(interpreter) = python::interpreter() else {
            error!(
                TARGET,
                "[{}] action {}: python3 is not installed, the jail runs without {path}",
                self.0.around.jail,
                Value::from(name.as_str()).repr(),
            );
            return drop(reply.send(Ok(Value::from(name))));
        };
        let actions = self.clone();
        tokio::spawn(async move {
            let made = actions.load(&interpreter, &name, &path, &arguments).await;
            let added = made.map(|action| actions.take_python(&name, action));
            let _ = reply.send(added.map(|()| Value::from(name)));
        });
    }

    async fn load(
        &self,
        interpreter: &str,
        name: &str,
        path: &str,
        arguments: &Value,
    ) -> Result<PythonAction, CommandError> {
        let executor = self.executor();
        let figures = self.figures().clone();
        let mut context = Context {
            jail: &self.0.around.jail,
            names: &HostNames::default(),
            figures: &figures,
            history: &self.0.around.history,
            executor: &executor,
            epoch: &self.0.around.epoch,
        };
        let made = PythonAction::new(interpreter, name, path, arguments, &mut context).await;
        made.map_err(|error| *error.error)
    }

    /// Takes a Python action that has been loaded.
    fn take_python(&self, name: &str, action: PythonAction) {
        let mut state = self.state();
        let settings = LaneSettings::Python(action.outline());
        let lane = state.lanes.get_mut(name);
        match lane.map(|lane| &mut lane.settings) {
            Some(known @ LaneSettings::Python(_)) => {
                *known = settings;
                state.name(name, Some(Reloaded::Anew(Box::new(action))));
            }
            _ => {
                self.insert(
                    &mut state,
                    name,
                    JailAction::Python(Box::new(action)),
                    settings,
                );
                state.name(name, None);
            }
        }
    }

    /// Adds an action. One of another kind with the same name goes on until the reload that brings the
    /// new one has ended.
    fn insert(
        &self,
        state: &mut ActionsState,
        name: &str,
        action: JailAction,
        settings: LaneSettings,
    ) {
        let used = state.lanes.values().fold(0, |used, lane| used | lane.bit);
        let free = (!used).trailing_zeros();
        let lifts = action.lifts();
        let executor = self.executor();
        let patience = executor.patience();
        let runner = Runner::new(action, executor, &self.0.around);
        let mut lane = ActionLane {
            settings,
            queue: Arc::new(ActionQueue::new(
                self.0.moved.clone(),
                self.0.backlog.clone(),
            )),
            patience,
            epoch: runner.own_epoch(),
            bit: if free < MOST { 1 << free } else { 0 },
            firewall: false,
            lifts,
            prepared: Some(Box::new(runner)),
            task: None,
        };
        if state.launched {
            lane.launch(state.gone.remove(name));
        }
        if let Some(old) = state.lanes.insert(name.to_owned(), lane)
            && let Some(reload) = &mut state.reload
        {
            // a stream may name an action twice: the first one is what was there before
            reload.replaced.entry(name.to_owned()).or_insert(old);
        }
    }

    /// The end of a reload: kept actions take over what they are set to and are told, added ones
    /// start; what was not named again is lifted, stopped and dropped (fact A24).
    fn end_reload(&self, state: &mut ActionsState, bans: Vec<Ticket>) {
        let Some(mut reload) = state.reload.take() else {
            return;
        };
        let mut flushes = Vec::new();
        let mut obsolete = Vec::new();
        let gates = state.last_gates(&self.0.moved);
        for ((name, lane), gate) in state.lanes.iter_mut().zip(gates) {
            match reload.named.shift_remove(name) {
                Some(Named::Kept(reloaded)) => {
                    lane.hand_over();
                    lane.push(ActionTask::Reload(reloaded), OrderClass::First, gate);
                    flushes.push(None);
                }
                Some(Named::Added) => {
                    lane.hand_over();
                    lane.push(ActionTask::Start, OrderClass::First, gate);
                    flushes.push(None);
                }
                None => {
                    obsolete.push(name.clone());
                    flushes.push(gate);
                }
            }
        }
        let told = self.told(bans, None, None);
        for lane in reload.replaced.values() {
            lane.end(&told, None, None, false);
        }
        self.end(state, &obsolete, &told, flushes, false);
    }
}

impl ActionsState {
    fn lane(&mut self, name: &str) -> Result<&mut ActionLane, CommandError> {
        self.lanes.get_mut(name).ok_or_else(|| {
            CommandError::builtin("KeyError", format!("Invalid Action name: {name}"))
        })
    }

    fn may_be_added(&self, name: &str) -> Result<(), CommandError> {
        match self.lanes.contains_key(name) && self.reload.is_none() {
            true => Err(CommandError::builtin(
                "ValueError",
                format!("Action {name} already exists"),
            )),
            false => Ok(()),
        }
    }

    /// A reload has named an action; `reloaded`: it was there before.
    fn name(&mut self, name: &str, reloaded: Option<Reloaded>) {
        if let Some(reload) = &mut self.reload {
            let named = reloaded.map_or(Named::Added, Named::Kept);
            reload.named.insert(name.to_owned(), named);
        }
    }

    fn set(&mut self, name: &str, properties: Vec<(String, Value)>, reply: oneshot::Sender<Reply>) {
        let reloading = self.reload.is_some();
        let lane = match self.lane(name) {
            Ok(lane) => lane,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let LaneSettings::Command(action) = &mut lane.settings else {
            return lane.push(ActionTask::Set(properties, reply), OrderClass::First, None);
        };
        let set = set_all(action, &properties);
        if !reloading {
            lane.hand_over();
        }
        let _ = reply.send(set);
    }

    fn get(&mut self, name: &str, what: Query, reply: oneshot::Sender<Reply>) {
        let lane = match self.lane(name) {
            Ok(lane) => lane,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let LaneSettings::Command(action) = &lane.settings else {
            return lane.push(ActionTask::Get(what, reply), OrderClass::First, None);
        };
        let answer = match what {
            Query::Property(property) if property == "banEpoch" => {
                let epoch = lane.epoch.load(Ordering::Relaxed);
                Ok(Value::Int(i64::try_from(epoch).unwrap_or(i64::MAX)))
            }
            Query::Property(property) => value(action, &property),
            Query::Properties => Ok(Value::from(action.definition.properties.names())),
            Query::Methods => Ok(Value::List(
                ACTION_METHODS.into_iter().map(Value::from).collect(),
            )),
        };
        let _ = reply.send(answer);
    }

    fn call(
        &mut self,
        name: &str,
        method: String,
        arguments: Value,
        reply: oneshot::Sender<Reply>,
    ) {
        let lane = match self.lane(name) {
            Ok(lane) => lane,
            Err(error) => return drop(reply.send(Err(error))),
        };
        if let LaneSettings::Command(action) = &mut lane.settings
            && method == "clearAllParams"
        {
            action.clear_commands();
        }
        let task = ActionTask::Call {
            method,
            arguments,
            reply,
        };
        lane.push(task, OrderClass::First, None);
    }

    /// Kept actions are set to what they were; added ones, not started yet, are dropped.
    fn undo_reload(&mut self) {
        let Some(reload) = self.reload.take() else {
            return;
        };
        let Reload {
            mut before,
            replaced,
            ..
        } = reload;
        self.lanes.extend(replaced);
        self.lanes.retain(|name, lane| {
            let settings = before.remove(name);
            let kept = settings.is_some();
            if let Some(settings) = settings {
                lane.settings = settings;
            }
            kept
        });
    }
}

/// Sets properties; answers the value of one. Of several nobody wants to know the values, and not all
/// that may be set can be asked for.
fn set_all(action: &mut CommandAction, properties: &[(String, Value)]) -> Reply {
    for (property, value) in properties {
        action.set(property, value)?;
    }
    match properties {
        [(property, given)] if action.argument(property).is_some() => Ok(given.clone()),
        [(property, _)] => action.definition.properties.get(property),
        _ => Ok(Value::None),
    }
}

fn value(action: &CommandAction, property: &str) -> Reply {
    match action.argument(property) {
        Some(value) => Ok(value.clone()),
        None => action.definition.properties.get(property),
    }
}
