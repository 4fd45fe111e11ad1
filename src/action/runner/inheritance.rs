//! Takes over or clears what the last server left in the firewall of the action at start, and removes ended bans
//! once all jails have restored theirs.

use std::sync::Arc;

use ipnet::IpNet;

use super::super::ticket_batch::{TicketChange, TicketOrder, TicketOutcome};

use super::{Runner, TARGET};
use crate::address::Address;
use crate::control::Value;
use crate::firewall::place::Owner;
use crate::notice;
use crate::ticket::Ticket;

impl Runner {
    /// Sees to what is there before the action starts.
    pub(super) async fn inherit(&mut self) {
        let _others_wait = self.executor.clearing().await;
        self.executor.set_quiet(true);
        let (action, mut context) = self.split();
        let found = match action.command() {
            Some(action) => action.inherit(&mut context).await,
            None => Default::default(),
        };
        self.executor.set_quiet(false);
        if found.cleared > 0 {
            notice!(
                TARGET,
                "[{}] action {}: what the last server left in the firewall cannot be taken over, it is cleared away",
                self.jail,
                Value::from(self.action.name()).repr()
            );
        }
    }

    /// Lifts what the last server banned and this one has not restored.
    pub(super) async fn settle(&mut self) {
        let owner = Owner {
            jail: &self.jail,
            action: self.action.name(),
        };
        let Some(rest) = self.executor.inherited().settle(owner) else {
            return;
        };
        let mut orders = Vec::with_capacity(rest.over.len());
        for network in &rest.over {
            let ticket = Ticket::new(address(network), 0.0);
            let order =
                TicketOrder::new(TicketChange::Unban, ticket, self.figures.clone(), 1, None);
            self.note_ban_of(&order);
            orders.push(order);
        }
        let outcomes = match orders.len() {
            0 => Vec::new(),
            1 => vec![TicketOutcome::Alone],
            _ => self.together(&orders).await,
        };
        for (order, outcome) in orders.iter().zip(outcomes) {
            if outcome == TicketOutcome::Alone {
                self.alone(order).await;
            }
        }
        notice!(
            TARGET,
            "[{}] action {}: {} ban(s) of the last server have stayed in force, {} that are over have been lifted",
            self.jail,
            Value::from(self.action.name()).repr(),
            rest.stayed,
            orders.len()
        );
    }

    /// Has the action hold a ban of the family of this order.
    fn note_ban_of(&mut self, order: &Arc<TicketOrder>) {
        let mut info = order.info(&self.jail, &self.history);
        let family = info.family().map(|family| family.as_str().to_owned());
        if let Some(action) = self.action.command() {
            action.note_ban(family);
        }
    }
}

fn address(network: &IpNet) -> Address {
    match network.prefix_len() == network.max_prefix_len() {
        true => Address::Ip(network.addr()),
        false => Address::Net(*network),
    }
}
