//! Bans that an action could not carry out: kept apart and tried again, at growing intervals, until
//! they are effective or lifted.

use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::Instant;

use super::super::batch::TicketOrder;
use super::{Runner, TARGET};
use crate::address::Address;
use crate::control::Value;
use crate::{notice, warning};

/// First and longest time between two tries.
const DELAYS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(300)];

/// Bans of one action that are tried again; what fails beyond is found by the comparison with the
/// firewall.
const LIMIT: usize = 10_000;

/// Bans tried first: when all of them fail the others are not even tried.
const SCOUTS: usize = 3;

/// Bans that are not effective, by action.
#[derive(Debug, Default)]
pub(super) struct Retries {
    by_action: IndexMap<String, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    orders: IndexMap<Address, TicketOrder>,
    delay: Duration,
    at: Instant,
}

impl Retries {
    /// A ban failed.
    pub(super) fn failed(&mut self, action: &str, order: &TicketOrder) {
        let waiting = self
            .by_action
            .entry(action.to_owned())
            .or_insert_with(|| Waiting {
                orders: IndexMap::new(),
                delay: DELAYS[0],
                at: Instant::now() + DELAYS[0],
            });
        if waiting.orders.len() < LIMIT {
            waiting
                .orders
                .insert(order.ticket.id.clone(), order.clone());
        }
    }

    /// A ban is lifted, or takes effect.
    pub(super) fn forget(&mut self, id: &Address) {
        self.by_action.retain(|_, waiting| {
            waiting.orders.shift_remove(id);
            !waiting.orders.is_empty()
        });
    }

    /// An action goes.
    pub(super) fn forget_action(&mut self, name: &str) {
        self.by_action.shift_remove(name);
    }

    /// All bans are lifted.
    pub(super) fn clear(&mut self) {
        self.by_action.clear();
    }

    /// When the next try is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_action.values().map(|waiting| waiting.at).min()
    }

    /// Whether a ban of an action is known not to be effective.
    pub(super) fn contains(&self, action: &str, id: &Address) -> bool {
        self.by_action
            .get(action)
            .is_some_and(|waiting| waiting.orders.contains_key(id))
    }

    /// Actions with the ids whose bans are not effective.
    pub(super) fn list(&self) -> Vec<(String, Vec<String>)> {
        let ids = |waiting: &Waiting| waiting.orders.keys().map(Address::to_string).collect();
        self.by_action
            .iter()
            .map(|(name, waiting)| (name.clone(), ids(waiting)))
            .collect()
    }
}

impl Runner {
    /// Tries bans again that are due.
    pub(super) async fn retry(&mut self) {
        let now = Instant::now();
        let due: Vec<String> = self
            .retries
            .by_action
            .iter()
            .filter(|(_, waiting)| waiting.at <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(waiting) = self.retries.by_action.shift_remove(&name) else {
                continue;
            };
            let orders: Vec<TicketOrder> = waiting.orders.into_values().collect();
            let only = [name.clone()];
            let (scouts, rest) = orders.split_at(SCOUTS.min(orders.len()));
            let mut failed = self.work(scouts, Some(&only), None).await.len();
            let hopeless = failed == scouts.len();
            match hopeless {
                true => rest
                    .iter()
                    .for_each(|order| self.retries.failed(&name, order)),
                false => failed += self.work(rest, Some(&only), None).await.len(),
            }
            let left = match hopeless {
                true => orders.len(),
                false => failed,
            };
            let quoted = Value::from(name.as_str()).repr();
            if orders.len() > left {
                notice!(
                    TARGET,
                    "[{}] action {quoted}: {} ban(s) have taken effect at a further try",
                    self.jail,
                    orders.len() - left
                );
            }
            let Some(again) = self.retries.by_action.get_mut(&name) else {
                continue;
            };
            // some success means that things change
            if hopeless {
                again.delay = (waiting.delay * 2).min(DELAYS[1]);
            }
            again.at = Instant::now() + again.delay;
            warning!(
                TARGET,
                "[{}] action {quoted}: {left} ban(s) not effective, next try in {} seconds",
                self.jail,
                again.delay.as_secs()
            );
        }
    }
}
