//! Bans and unbans that wait together, taken out of the orders as one wave.
//!
//! What fails on goes on being told of, so in an attack there is news of ids that are banned already
//! between the bans. Such news means something only after a repair; it must not part the wave.

use std::collections::VecDeque;

use super::super::batch::{Kind, TicketOrder};
use super::{Order, Runner};
use crate::ticket::Ticket;

/// Orders about tickets, in their order.
#[derive(Debug, Default)]
pub(super) struct Wave {
    /// Bans and unbans.
    orders: Vec<TicketOrder>,
    /// Failures of ids that are banned already, and before which of the orders they came.
    again: Vec<(usize, Ticket)>,
}

impl Runner {
    /// Takes what is about tickets from the front of the queue.
    pub(super) fn gather(&mut self, waiting: &mut VecDeque<Order>) -> Wave {
        let mut wave = Wave::default();
        while let Some(order) = waiting.pop_front() {
            let (kind, ticket, figures) = match order {
                Order::Ban {
                    ticket,
                    figures,
                    again,
                } => {
                    self.figures = figures;
                    if again {
                        wave.again.push((wave.orders.len(), ticket));
                        continue;
                    }
                    (Kind::Ban, ticket, self.figures.clone())
                }
                Order::Unban { ticket, figures } => {
                    if let Some(figures) = figures {
                        self.figures = figures;
                    }
                    (Kind::Unban, ticket, self.figures.clone())
                }
                other => {
                    waiting.push_front(other);
                    break;
                }
            };
            wave.orders.push(TicketOrder {
                kind,
                ticket,
                figures,
            });
        }
        wave
    }

    /// Bans and unbans; then what was banned already gets back what a repair has cost it, unless its
    /// ban was lifted meanwhile.
    pub(super) async fn carry_out_wave(&mut self, wave: Wave) {
        if !wave.orders.is_empty() {
            self.tickets(&wave.orders).await;
        }
        for (at, ticket) in &wave.again {
            let lifts =
                |order: &TicketOrder| order.kind == Kind::Unban && order.ticket.id == ticket.id;
            if self.lacks_repair(&ticket.id) && !wave.orders[*at..].iter().any(lifts) {
                self.ban_again(ticket).await;
            }
        }
    }
}
