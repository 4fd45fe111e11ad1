//! Runs the actions of a jail: tags are expanded, then the command changes the firewall natively, is sent as a
//! mail or a message, or runs in a shell.
//!
//! [`Actions`] are the actions of one jail, each with a queue and a task of its own. Orders run in order,
//! unbans first; callers wait only if they pass a reply channel.

mod backlog;
pub mod ban_times;
pub mod command;
mod common;
pub mod confined;
pub mod context;
pub mod executor;
pub mod info;
mod jail_action;
mod lanes;
mod locks;
pub mod needs;
pub mod patience;
pub mod plan;
pub mod preview;
pub mod properties;
pub mod python;
mod queue;
pub mod rights;
mod runner;
pub mod smtp;
mod step;
pub mod tags;
mod task;
mod ticket_batch;

use tokio::sync::{mpsc, oneshot};

use crate::address::Address;
use crate::control::{Reply, Value};
use crate::ticket::Ticket;

pub use common::Common;
pub use lanes::{Actions, UnstartedActions};

/// Counters and settings of the jail that tags show (fact A26).
#[derive(Clone, Debug, Default)]
pub struct JailFigures {
    /// The jail's own `bantime` in seconds (negative: permanent), for tickets without a length and
    /// for commands without a ticket.
    pub bantime: f64,
    /// Bans now.
    pub banned: u64,
    /// Bans ever.
    pub banned_total: u64,
    /// Failing ids now.
    pub found: u64,
    /// Failures ever.
    pub found_total: u64,
}

/// What a jail tells its actions.
#[derive(Debug)]
pub enum Order {
    /// What tags of commands without a ticket (`actionstart`, `actionstop`, …) and of unbans show
    /// from now on; sent before [`Order::Start`] and when `bantime` is set. A ban's figures count
    /// as such too.
    Figures(JailFigures),
    /// Run `actionstart` of every action that does not start on demand.
    Start,
    /// Ban; `figures` for the tags.
    Ban {
        /// Whom.
        ticket: Ticket,
        /// Counters at this moment.
        figures: JailFigures,
        /// True when the id is banned already (sent for each such event, after [`Order::Check`]
        /// where that is due): actions that were restarted or repaired since the id was banned put
        /// its rule back by `actionreban` and `Reban` is logged; otherwise nothing happens (facts
        /// A8, A21). For a new ban (`false`) the jail logs `Ban` or `Restore Ban` itself.
        again: bool,
        /// Somebody asked for it: it goes before bans that wait.
        by_hand: bool,
    },
    /// The ban was lengthened (`actionprolong`).
    Prolong(Ticket),
    /// Answers whether nothing is heard of a banned id any more (`actionquiet`).
    Quiet(Ticket, mpsc::UnboundedSender<(Address, bool)>),
    /// Lift a ban. The jail logs `Unban` itself; failures are logged here.
    Unban {
        /// Whose.
        ticket: Ticket,
        /// Counters at this moment; `None`: those last told.
        figures: Option<JailFigures>,
    },
    /// Lift all bans: `actionflush` where there is one, else each ticket (fact A3). Logs
    /// `Flush ticket(s) with ACTION` and then `Unban` for every ticket.
    Flush(Vec<Ticket>),
    /// Check the invariants of started actions (fact B8); answers names of repaired actions.
    Check(oneshot::Sender<Vec<String>>),
    /// Compare these, all bans there are, with the firewall and put back what it has lost.
    Audit(Vec<Ticket>),
    /// Answers which bans are not effective, by action: their command failed and is tried again.
    Ineffective(oneshot::Sender<Vec<(String, Vec<String>)>>),
    /// All bans of the database have been ordered; dropped when the actions of the firewall have carried
    /// them out.
    Restored(mpsc::Sender<()>),
    /// Lift what the last server banned and none of the jails has restored.
    Settle,
    /// What waits is dropped; flush (logging `Repeal Ban` for every ticket), then `actionstop` in
    /// reverse order; answers when done, or when the time for it is over ([`patience`]).
    Stop(Vec<Ticket>, oneshot::Sender<()>),
    /// As `Stop`, but actions leave what they have in the firewall for the server that follows, where
    /// that can take it over; nothing is logged of single bans.
    Leave(Vec<Ticket>, oneshot::Sender<()>),
    /// Add an action (with a Python file: path and arguments).
    Add {
        /// Its name in this jail.
        name: String,
        /// A Python action.
        python: Option<(String, Value)>,
        /// Answer.
        reply: oneshot::Sender<Reply>,
    },
    /// Remove an action: unban its tickets, stop it (fact A24).
    Remove {
        /// Its name.
        name: String,
        /// Bans it holds.
        bans: Vec<Ticket>,
        /// Answer.
        reply: oneshot::Sender<Reply>,
    },
    /// Set properties of an action.
    Set {
        /// Its name.
        name: String,
        /// Property and value.
        properties: Vec<(String, Value)>,
        /// Answer: the last value set.
        reply: oneshot::Sender<Reply>,
    },
    /// Read a property, or the lists of properties and methods.
    Get {
        /// Its name.
        name: String,
        /// What.
        what: Query,
        /// Answer.
        reply: oneshot::Sender<Reply>,
    },
    /// Call a method of an action.
    Call {
        /// Its name.
        name: String,
        /// One of [`crate::control::ACTION_METHODS`].
        method: String,
        /// Arguments by name.
        arguments: Value,
        /// Answer: what it returns.
        reply: oneshot::Sender<Reply>,
    },
    /// The names of all actions.
    Names(oneshot::Sender<Vec<String>>),
    /// A reload begins (`true`: actions not added again before its end are removed) or ends.
    Reloading(bool, Vec<Ticket>),
    /// A reload has failed in the middle: actions are as they were when it began.
    ReloadFailed,
}

/// What is asked of an action.
#[derive(Clone, Debug)]
pub enum Query {
    /// A property's value.
    Property(String),
    /// The names of its properties.
    Properties,
    /// The names of its methods.
    Methods,
}
