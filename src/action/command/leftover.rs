//! The stop of an action that a server that was killed never came to.

use super::super::ticket_batch;
use super::operation::Operation;
use super::{CommandAction, Context};

impl CommandAction {
    /// Runs `actionstop` for the families whose chains or sets a killed server has left, so that this
    /// one starts as after a stop in order; answers whether there were any.
    pub async fn clear_leftovers(&mut self, context: &mut Context<'_>) -> bool {
        let timeout = self.definition.properties.timeout();
        let mut cleared = false;
        for family in self.definition.properties.families() {
            let Some(ban) = ticket_batch::sample_ban(self, &family, context.names) else {
                continue;
            };
            let family = Some(family);
            let Ok(stop) = self.operation_command("actionstop", &family, context.names) else {
                continue;
            };
            if !context.executor.is_left(&ban, &stop, &timeout).await {
                continue;
            }
            // half of what it takes away may not be there
            let _ = self
                .operate(Operation::Stop, vec![family.clone()], context)
                .await;
            self.forget_executed("actionstop", &family);
            cleared = true;
        }
        cleared
    }
}
