//! A jail whose tasks do not run yet. Options are set by direct calls: a start sets up hundreds of jails,
//! and each request to a task would cost two thread switches.

use tokio::sync::oneshot;

use super::log_fingerprint::PrefetchedLogs;
use super::{Jail, RefusedSetting, task};
use crate::action::{self, Order};
use crate::control::{JailSetting, Reply};

/// A jail whose tasks do not run yet; requests to its handle wait until they do.
#[derive(Debug)]
pub struct UnstartedJail {
    pub(super) jail: Jail,
    pub(super) core_task: task::UnstartedTask,
    pub(super) action_task: action::UnstartedActions,
}

impl UnstartedJail {
    /// The handle.
    pub fn jail(&self) -> &Jail {
        &self.jail
    }

    /// As [`Jail::set_all`]; `prefetched` holds what is known of logs.
    ///
    /// # Errors
    /// The first that is refused.
    pub async fn set_all(
        &mut self,
        options: Vec<JailSetting>,
        prefetched: &mut PrefetchedLogs,
    ) -> Result<(), RefusedSetting> {
        self.core_task.task.set_all(options, prefetched).await
    }

    /// Adds or sets an action; a setting that is about none comes back.
    ///
    /// # Errors
    /// The setting.
    pub async fn set_action(&mut self, setting: JailSetting) -> Result<Reply, JailSetting> {
        let (reply, answer) = oneshot::channel();
        let order = order_of(setting, reply).map_err(|(setting, _)| setting)?;
        self.action_task.send(order);
        Ok(answer.await.unwrap_or_else(|_| Err(self.jail.gone())))
    }

    /// Starts the tasks, inside a tokio runtime.
    pub fn launch(self) {
        self.core_task.launch();
        self.action_task.launch();
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
