//! Retries bans that the action could not apply: kept apart and retried at growing intervals until they are
//! applied or lifted.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::Instant;

use super::super::queue::ActionQueue;
use super::super::ticket_batch::{TicketOrder, TicketOutcome};
use super::{Runner, TARGET};
use crate::address::Address;
use crate::control::Value;
use crate::{notice, warning};

/// First and longest time between two tries.
const DELAYS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(300)];

/// Bans that are tried again; what fails beyond is found by the comparison with the firewall.
const LIMIT: usize = 10_000;

/// Bans tried first: when all of them fail the others are not even tried.
const SCOUTS: usize = 3;

/// Bans that are not effective.
#[derive(Debug)]
pub(super) struct Retries {
    orders: IndexMap<Address, Arc<TicketOrder>>,
    delay: Duration,
    at: Instant,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries {
            orders: IndexMap::new(),
            delay: DELAYS[0],
            at: Instant::now(),
        }
    }
}

impl Retries {
    /// A ban failed.
    pub(super) fn failed(&mut self, order: &Arc<TicketOrder>) {
        if self.orders.is_empty() {
            self.at = Instant::now() + self.delay;
        }
        if self.orders.len() < LIMIT {
            self.orders.insert(order.ticket.id.clone(), order.clone());
        }
    }

    /// A ban is lifted, or takes effect.
    pub(super) fn forget(&mut self, id: &Address) {
        self.orders.shift_remove(id);
        if self.orders.is_empty() {
            self.clear();
        }
    }

    /// All bans are lifted.
    pub(super) fn clear(&mut self) {
        *self = Retries::default();
    }

    /// When the next try is due.
    pub(super) fn next(&self) -> Option<Instant> {
        (!self.orders.is_empty()).then_some(self.at)
    }

    /// Whether a ban is known not to be effective.
    pub(super) fn contains(&self, id: &Address) -> bool {
        self.orders.contains_key(id)
    }

    /// The ids whose bans are not effective.
    pub(super) fn list(&self) -> Vec<String> {
        self.orders.keys().map(Address::to_string).collect()
    }
}

impl Runner {
    /// Tries bans again. Orders that go first do not wait for it: what has not been tried by then is
    /// tried next time.
    pub(super) async fn retry(&mut self, queue: &ActionQueue) {
        let delay = self.retries.delay;
        let orders: Vec<Arc<TicketOrder>> = self.retries.orders.values().cloned().collect();
        let (mut tried, mut effective) = (0, 0);
        let (scouts, rest) = orders.split_at(SCOUTS.min(orders.len()));
        for order in scouts {
            if queue.has_first() {
                break;
            }
            tried += 1;
            effective += usize::from(self.try_again(order).await);
        }
        if effective > 0 {
            let outcomes = match self.firewall && rest.len() > 1 {
                true => self.together(rest).await,
                false => vec![TicketOutcome::Alone; rest.len()],
            };
            for (order, outcome) in rest.iter().zip(outcomes) {
                let done = match outcome {
                    TicketOutcome::Done => true,
                    TicketOutcome::Failed => false,
                    TicketOutcome::Alone if queue.has_first() => continue,
                    TicketOutcome::Alone => self.try_again(order).await,
                };
                effective += usize::from(done);
                if done {
                    self.retries.orders.shift_remove(&order.ticket.id);
                }
            }
        }
        let quoted = Value::from(self.action.name()).repr();
        if effective > 0 {
            notice!(
                TARGET,
                "[{}] action {quoted}: {effective} ban(s) have taken effect at a further try",
                self.jail,
            );
        }
        let left = self.retries.orders.len();
        if left == 0 {
            return self.retries.clear();
        }
        // some success means that things change
        self.retries.delay = match effective == 0 && tried == scouts.len() {
            true => (delay * 2).min(DELAYS[1]),
            false => delay,
        };
        self.retries.at = Instant::now() + self.retries.delay;
        warning!(
            TARGET,
            "[{}] action {quoted}: {left} ban(s) not effective, next try in {} seconds",
            self.jail,
            self.retries.delay.as_secs()
        );
    }

    async fn try_again(&mut self, order: &Arc<TicketOrder>) -> bool {
        let done = self.alone(order).await;
        if done {
            self.retries.orders.shift_remove(&order.ticket.id);
        }
        done
    }
}
