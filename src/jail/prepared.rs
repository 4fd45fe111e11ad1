//! A jail before its tasks run. Whoever sets it up does so at once: hundreds of jails are set up at
//! a start, and to wait for a task costs two switches from thread to thread each time.

use tokio::sync::oneshot;

use super::look::Looks;
use super::{Jail, Refusal, task};
use crate::action::{self, Order};
use crate::control::{JailSetting, Reply};

/// A jail whose tasks do not run yet; requests to its handle wait until they do.
#[derive(Debug)]
pub struct Prepared {
    pub(super) jail: Jail,
    pub(super) deciding: task::Prepared,
    pub(super) doing: action::Prepared,
}

impl Prepared {
    /// The handle.
    pub fn jail(&self) -> &Jail {
        &self.jail
    }

    /// As [`Jail::set_all`]; `looks` holds what is known of logs.
    ///
    /// # Errors
    /// The first that is refused.
    pub async fn set_all(
        &mut self,
        options: Vec<JailSetting>,
        looks: &mut Looks,
    ) -> Result<(), Refusal> {
        self.deciding.task.set_all(options, looks).await
    }

    /// Adds or sets an action; a setting that is about none comes back.
    ///
    /// # Errors
    /// The setting.
    pub async fn set_action(&mut self, setting: JailSetting) -> Result<Reply, JailSetting> {
        let (reply, answer) = oneshot::channel();
        let order = order_of(setting, reply).map_err(|(setting, _)| setting)?;
        self.doing.send(order);
        Ok(answer.await.unwrap_or_else(|_| Err(self.jail.gone())))
    }

    /// Starts the tasks, inside a tokio runtime.
    pub fn launch(self) {
        self.deciding.launch();
        self.doing.launch();
    }
}

/// The order of a setting that only concerns actions; others come back.
pub(super) fn order_of(
    setting: JailSetting,
    reply: oneshot::Sender<Reply>,
) -> Result<Order, (JailSetting, oneshot::Sender<Reply>)> {
    Ok(match setting {
        JailSetting::AddAction { name, python } => Order::Add {
            name,
            python,
            reply,
        },
        JailSetting::Action { name, properties } => Order::Set {
            name,
            properties,
            reply,
        },
        JailSetting::CallAction {
            name,
            method,
            arguments,
        } => Order::Call {
            name,
            method,
            arguments,
            reply,
        },
        setting => return Err((setting, reply)),
    })
}
