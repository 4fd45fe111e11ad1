//! Operations on a whole action: start, stop, flush, reload, per family and once where families
//! share the command (facts A1–A3, A10, A16).

use super::super::info::BanInfo;
use super::super::plan::Plan;
use super::super::tags::{self, TagError};
use crate::sys::hosts::HostNames;

use super::{ActionError, CommandAction, Context, FamilyKey, HOLDS_BANS, STARTED};
use crate::clock::now;

/// Operations on a whole action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Start,
    Stop,
    Flush,
    Reload,
}

impl Operation {
    fn property(self) -> &'static str {
        match self {
            Operation::Start => "actionstart",
            Operation::Stop => "actionstop",
            Operation::Flush => "actionflush",
            Operation::Reload => "actionreload",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Operation::Start => "starting",
            Operation::Stop => "stopping",
            Operation::Flush => "flushing",
            Operation::Reload => "reloading",
        }
    }
}

impl CommandAction {
    /// The command of an operation, with the family in it.
    pub(super) fn operation_command(
        &mut self,
        operation: &str,
        family: &FamilyKey,
        names: &HostNames,
    ) -> Result<String, TagError> {
        let family = family.as_deref().unwrap_or("");
        let command = self
            .definition
            .properties
            .command(operation, family, names)?;
        if family.is_empty() || !command.contains('<') {
            return Ok(command);
        }
        let value = |tag: &str| (tag == "family").then(|| family.to_owned());
        // no value but the family is known here, so there is nothing to guard
        Ok(tags::replace_dynamic(&command, names, value, |_| None).text)
    }

    /// Runs the command of an operation for some families, once where they share it.
    pub(super) async fn operate(
        &mut self,
        operation: Operation,
        families: Vec<FamilyKey>,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        let mut failure = None;
        for family in families {
            let command = match self.operation_command(operation.property(), &family, context.names)
            {
                Ok(command) => command,
                Err(error) => {
                    failure = Some(error.repr());
                    continue;
                }
            };
            let done_already = self
                .executed
                .get(operation.property())
                .is_some_and(|done| done.iter().any(|(f, c)| *f != family && *c == command));
            if operation == Operation::Stop {
                self.forget_installed(&family, context);
            }
            let mut success = true;
            if matches!(operation, Operation::Start | Operation::Stop) {
                self.midway = Some(family.clone());
            }
            if !command.is_empty() && !done_already {
                let mut info = BanInfo::empty(
                    context.jail,
                    family.as_deref(),
                    now(),
                    context.figures,
                    context.history,
                );
                let plan = Plan::of(info.fill(&command, context.names).await);
                success = self.execute(&plan, context).await;
                if !success && failure.is_none() {
                    failure = Some("'Script error'".to_owned());
                }
            }
            self.midway = None;
            if success {
                self.operated(operation, &family);
            }
            if success && operation == Operation::Start {
                self.note_installed(&family, context);
            }
            match success && !command.is_empty() {
                true => {
                    self.executed
                        .entry(operation.property())
                        .or_default()
                        .insert(family, command);
                }
                false => self.forget_executed(operation.property(), &family),
            }
        }
        match failure {
            None => Ok(()),
            Some(reason) => Err(ActionError::Operation {
                operation: operation.verb(),
                jail: context.jail.to_owned(),
                action: self.name.clone(),
                reason,
            }),
        }
    }

    /// Marks what a successful operation changes.
    pub(super) fn operated(&mut self, operation: Operation, family: &FamilyKey) {
        match operation {
            Operation::Start => {
                self.forget_executed("actionstop", family);
                self.started.insert(family.clone(), STARTED);
            }
            Operation::Stop => self.forget_executed("actionstart", family),
            Operation::Flush => {
                if let Some(state) = self.started.get_mut(family) {
                    *state &= !HOLDS_BANS;
                }
            }
            Operation::Reload => {}
        }
    }

    /// Forgets the command of a family, and of all families that share it.
    pub(super) fn forget_executed(&mut self, operation: &'static str, family: &FamilyKey) {
        if let Some(done) = self.executed.get_mut(operation)
            && let Some(command) = done.shift_remove(family)
        {
            done.retain(|_, other| *other != command);
        }
    }
}
