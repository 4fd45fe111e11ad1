//! One action of a jail: of commands, or in Python.

use super::command::{ActionError, CommandAction, Repair};
use super::context::Context;
use super::info::BanInfo;
use super::python::PythonAction;
use crate::ticket::Ticket;

/// An action of a jail.
#[derive(Debug)]
pub enum JailAction {
    /// It runs commands, or what is done in their place.
    Command(Box<CommandAction>),
    /// It is written in Python.
    Python(Box<PythonAction>),
}

impl JailAction {
    /// Its name in the jail.
    pub fn name(&self) -> &str {
        match self {
            JailAction::Command(action) => &action.name,
            JailAction::Python(action) => &action.name,
        }
    }

    /// The action when it runs commands.
    pub fn command(&mut self) -> Option<&mut CommandAction> {
        match self {
            JailAction::Command(action) => Some(action),
            JailAction::Python(_) => None,
        }
    }

    /// Epoch of its last repair (fact A21).
    pub fn epoch(&self) -> u64 {
        match self {
            JailAction::Command(action) => action.epoch,
            JailAction::Python(action) => action.epoch(),
        }
    }

    /// Whether any of its properties contains this text.
    pub fn mentions(&self, text: &str) -> bool {
        match self {
            JailAction::Command(action) => action.definition.properties.mentions(text),
            JailAction::Python(_) => false,
        }
    }

    /// Whether a ticket is none of its business (fact A11).
    pub fn skips(&self, ticket: &Ticket) -> bool {
        match self {
            JailAction::Command(action) => action.skips(ticket),
            JailAction::Python(action) => action.skips(ticket),
        }
    }

    /// Whether its bans last: it could lift them, so it is worth trying again to make them.
    pub fn lifts(&self) -> bool {
        match self {
            JailAction::Command(action) => action.lifts(),
            JailAction::Python(action) => action.lifts(),
        }
    }

    /// Whether a longer ban concerns it (fact A9).
    pub fn prolongs(&self) -> bool {
        match self {
            JailAction::Command(action) => action.prolongs(),
            JailAction::Python(action) => action.prolongs(),
        }
    }

    /// Whether it may lift all bans at once (fact A3).
    pub fn flushes(&self) -> bool {
        match self {
            JailAction::Command(action) => action.flushes(),
            JailAction::Python(action) => action.flushes(),
        }
    }

    /// Whether a flush that failed is followed by a check, and not by unbans one by one.
    pub fn checks(&self) -> bool {
        match self {
            JailAction::Command(_) => true,
            JailAction::Python(action) => action.checks(),
        }
    }

    /// The jail starts.
    ///
    /// # Errors
    /// A failed command, an exception.
    pub async fn start(&mut self, context: &mut Context<'_>) -> Result<(), ActionError> {
        match self {
            JailAction::Command(action) => action.start(context).await,
            JailAction::Python(action) => Ok(action.start(context).await?),
        }
    }

    /// Bans a ticket, `again` where the action was repaired since its ban.
    ///
    /// # Errors
    /// The command failed twice, an exception.
    pub async fn ban(
        &mut self,
        info: &mut BanInfo<'_>,
        again: bool,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        match self {
            JailAction::Command(action) => action.ban(info, again, context).await,
            JailAction::Python(action) => {
                let method = if again { "reban" } else { "ban" };
                Ok(action.about(method, info, context).await?)
            }
        }
    }

    /// Tells of a longer ban.
    ///
    /// # Errors
    /// The command failed twice, an exception.
    pub async fn prolong(
        &mut self,
        info: &mut BanInfo<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        match self {
            JailAction::Command(action) => action.prolong(info, context).await,
            JailAction::Python(action) => Ok(action.about("prolong", info, context).await?),
        }
    }

    /// Lifts a ban.
    ///
    /// # Errors
    /// The command failed twice, an exception.
    pub async fn unban(
        &mut self,
        info: &mut BanInfo<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        match self {
            JailAction::Command(action) => action.unban(info, context).await,
            JailAction::Python(action) => Ok(action.about("unban", info, context).await?),
        }
    }

    /// Whether nothing is heard of a banned id any more.
    pub async fn is_quiet(&mut self, info: &mut BanInfo<'_>, context: &Context<'_>) -> bool {
        match self {
            JailAction::Command(action) => action.is_quiet(info, context).await,
            JailAction::Python(_) => true,
        }
    }

    /// Lifts all bans at once; answers whether it did.
    ///
    /// # Errors
    /// A failed command, an exception.
    pub async fn flush(&mut self, context: &mut Context<'_>) -> Result<bool, ActionError> {
        match self {
            JailAction::Command(action) => action.flush(context).await.map(|()| true),
            JailAction::Python(action) => Ok(action.flush(context).await?),
        }
    }

    /// Checks its environment and repairs it (fact B8).
    ///
    /// # Errors
    /// The restart failed, an exception.
    pub async fn check(&mut self, context: &mut Context<'_>) -> Result<(), ActionError> {
        match self {
            JailAction::Command(action) => action.check(Repair::Allowed, context).await.map(|_| ()),
            JailAction::Python(action) => Ok(action.check(None, context).await?),
        }
    }

    /// Checks it after a flush that failed; `repair` says what may be done about it.
    ///
    /// # Errors
    /// The restart failed, an exception.
    pub async fn check_flush(
        &mut self,
        repair: Repair,
        context: &mut Context<'_>,
    ) -> Result<(), ActionError> {
        match self {
            JailAction::Command(action) => action.check(repair, context).await.map(|_| ()),
            JailAction::Python(action) => {
                let refusal = match repair {
                    Repair::Allowed => String::new(),
                    Repair::OnUnban(what) => {
                        format!("Invariant check failed. {what} is impossible.")
                    }
                };
                Ok(action.check(Some(&refusal), context).await?)
            }
        }
    }

    /// The jail stops.
    ///
    /// # Errors
    /// A failed command, an exception.
    pub async fn stop(&mut self, context: &mut Context<'_>) -> Result<(), ActionError> {
        match self {
            JailAction::Command(action) => action.stop(context).await,
            JailAction::Python(action) => Ok(action.stop(context).await?),
        }
    }
}
