//! The orders to one action, and the replies when all actions of the jail have done them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::Query;
use super::backlog::Backlog;
use super::command::CommandDefinition;
use super::python::PythonAction;
use super::step::Gate;
use super::ticket_batch::TicketOrder;
use crate::address::Address;
use crate::control::{Reply, Value};

/// A task of one action.
#[derive(Debug)]
pub(super) enum ActionTask {
    /// `actionstart`.
    Start,
    /// A ban.
    Ban(Arc<TicketOrder>),
    /// Its end.
    Unban(Arc<TicketOrder>),
    /// News of an id that is banned: its rule comes back where a repair has cost it.
    Again(Arc<TicketOrder>),
    /// A ban was lengthened.
    Prolong(Arc<TicketOrder>),
    /// Whether nothing is heard of a banned id.
    Quiet(Arc<TicketOrder>, Arc<Quiet>),
    /// `actioncheck` and repair.
    Check(Arc<Collected<String>>),
    /// Compare all bans but these, lifted meanwhile, with the firewall.
    Audit(Arc<Audit>, HashSet<Address>),
    /// Say which bans are not effective.
    Ineffective(Arc<Collected<(String, Vec<String>)>>),
    /// New properties.
    Settings(Box<CommandDefinition>),
    /// A reload is over.
    Reload(Reloaded),
    /// Call a method.
    Call {
        method: String,
        arguments: Value,
        reply: oneshot::Sender<Reply>,
    },
    /// Read an attribute of a Python action.
    Get(Query, oneshot::Sender<Reply>),
    /// Set attributes of a Python action.
    Set(Vec<(String, Value)>, oneshot::Sender<Reply>),
    /// All bans of the database have been ordered; dropped when those before it are carried out.
    Restored { _until_done: mpsc::Sender<()> },
    /// Lift what the last server banned and none of the jails has restored.
    Settle,
    /// Lift all bans.
    Flush(Lifting),
    /// Lift all bans and stop, behind this gate.
    End(Lifting, Option<Gate>),
}

/// What a reload means for an action that stays.
#[derive(Debug)]
pub(super) enum Reloaded {
    /// It is told.
    Told,
    /// A Python action is told of its arguments.
    Arguments(Value),
    /// A Python action was made anew.
    Anew(Box<PythonAction>),
}

/// Answers of all actions, sent when the last has answered.
#[derive(Debug)]
pub(super) struct Collected<T> {
    list: Mutex<Vec<T>>,
    reply: Option<oneshot::Sender<Vec<T>>>,
}

impl<T> Collected<T> {
    pub(super) fn new(reply: oneshot::Sender<Vec<T>>) -> Arc<Collected<T>> {
        Arc::new(Collected {
            list: Mutex::new(Vec::new()),
            reply: Some(reply),
        })
    }

    pub(super) fn add(&self, item: T) {
        self.list
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(item);
    }
}

impl<T> Drop for Collected<T> {
    fn drop(&mut self) {
        let list = std::mem::take(self.list.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(reply) = self.reply.take() {
            // an answer nobody waits for any more is dropped
            let _ = reply.send(list);
        }
    }
}

/// Whether all actions call an id quiet; sent when the last was asked.
#[derive(Debug)]
pub(super) struct Quiet {
    id: Address,
    quiet: AtomicBool,
    reply: mpsc::UnboundedSender<(Address, bool)>,
}

impl Quiet {
    pub(super) fn new(id: Address, reply: mpsc::UnboundedSender<(Address, bool)>) -> Arc<Quiet> {
        Arc::new(Quiet {
            id,
            quiet: AtomicBool::new(true),
            reply,
        })
    }

    /// Something was heard.
    pub(super) fn deny(&self) {
        self.quiet.store(false, Ordering::Relaxed);
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let quiet = *self.quiet.get_mut();
        let _ = self.reply.send((self.id.clone(), quiet));
    }
}

/// All bans there are, to be compared with the firewall.
#[derive(Debug)]
pub(super) struct Audit {
    pub(super) orders: Vec<Arc<TicketOrder>>,
    backlog: Arc<Backlog>,
}

impl Audit {
    pub(super) fn new(orders: Vec<Arc<TicketOrder>>, backlog: &Arc<Backlog>) -> Arc<Audit> {
        Arc::new(Audit {
            orders,
            backlog: backlog.clone(),
        })
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.backlog.end_audit();
    }
}

/// All bans to be lifted by one action.
#[derive(Debug)]
pub(super) struct Lifting {
    pub(super) lifts: Vec<Arc<TicketOrder>>,
    /// Held until they are lifted.
    pub(super) gate: Option<Gate>,
    pub(super) told: Arc<TicketTold>,
    /// The action stops, and is not to be repaired.
    pub(super) last: bool,
    /// What it has in the firewall is left for the server that follows, where that can take it over.
    pub(super) keep: bool,
}

/// Bans that are lifted; when the last action has done it their ends have been logged and who waits
/// is told.
#[derive(Debug)]
pub(super) struct TicketTold {
    jail: String,
    orders: Vec<Arc<TicketOrder>>,
    done: Mutex<Option<Done>>,
}

/// Who waits.
#[derive(Debug)]
pub(super) enum Done {
    Stopped(oneshot::Sender<()>),
    Removed(oneshot::Sender<Reply>),
}

impl TicketTold {
    pub(super) fn new(
        jail: &str,
        orders: Vec<Arc<TicketOrder>>,
        done: Option<Done>,
    ) -> Arc<TicketTold> {
        Arc::new(TicketTold {
            jail: jail.to_owned(),
            orders,
            done: Mutex::new(done),
        })
    }

    pub(super) fn orders(&self) -> &[Arc<TicketOrder>] {
        &self.orders
    }
}

impl Drop for TicketTold {
    fn drop(&mut self) {
        for order in &self.orders {
            order.tell(&self.jail);
        }
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        match done.take() {
            Some(Done::Stopped(done)) => drop(done.send(())),
            Some(Done::Removed(reply)) => drop(reply.send(Ok(Value::None))),
            None => {}
        }
    }
}
