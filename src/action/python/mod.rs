//! Actions written in Python (`action.d/NAME.py`, facts A32, P50–P52): each runs in a process of
//! its own, an interpreter with a small program of ours (`channel.py`, `offered.py`,
//! `host.py`) that offers what such files import, so that fail2ban need not be installed.
//!
//! Orders to the action become requests, answers and exceptions come back; values that take time to
//! find (matches of earlier bans, the name of an address) are looked up when the action asks for
//! them. A process that hangs is killed with all it started; one that died is started again, ever
//! less often.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::json;
use tokio::time::Instant;

use super::context::Context;
use super::info::BanInfo;
use crate::control::{CommandError, Value};
use crate::ticket::Ticket;

mod child;
mod exchange;
mod wire;

use child::Child;
pub use child::interpreter;
use exchange::ExchangeState;
use wire::pack;

/// First and longest time between two starts of a process that keeps dying.
const DELAYS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// An exception of the action, or what was wrong with its process.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct PythonActionError {
    /// As the client is told.
    pub error: Box<CommandError>,
    /// The trace of the exception, several lines; empty without one.
    pub trace: String,
    /// The ticket as the action has left it; `None` without one.
    pub info: Option<String>,
}

impl From<CommandError> for PythonActionError {
    fn from(error: CommandError) -> PythonActionError {
        PythonActionError {
            error: Box::new(error),
            trace: String::new(),
            info: None,
        }
    }
}

/// An action in a process of its own.
#[derive(Debug)]
pub struct PythonAction {
    /// Its name in the jail.
    pub name: String,
    path: String,
    arguments: Value,
    interpreter: String,
    /// Attributes set since it was made, for a process that is started again.
    changed: IndexMap<String, Value>,
    child: Option<Child>,
    state: ExchangeState,
    /// `start` was called last, not `stop`.
    started: bool,
    /// How long to wait before the next start of a process, and until when.
    delay: Duration,
    not_before: Option<Instant>,
}

/// A Python action as the configuration has it.
#[derive(Clone, Debug)]
pub struct PythonOutline {
    /// Its file.
    pub path: String,
    /// Its arguments.
    pub arguments: Value,
    /// It has a method `reload`, and is told of new arguments instead of being made anew.
    pub reloads: bool,
}

impl PythonAction {
    /// Loads a file and makes its action, in a process of this interpreter.
    ///
    /// # Errors
    /// What loading and making it raises.
    pub async fn new(
        interpreter: &str,
        name: &str,
        path: &str,
        arguments: &Value,
        context: &mut Context<'_>,
    ) -> Result<PythonAction, PythonActionError> {
        let mut action = PythonAction {
            name: name.to_owned(),
            path: path.to_owned(),
            arguments: arguments.clone(),
            interpreter: interpreter.to_owned(),
            changed: IndexMap::new(),
            child: None,
            state: ExchangeState::default(),
            started: false,
            delay: DELAYS[0],
            not_before: None,
        };
        action.load(context).await?;
        Ok(action)
    }

    /// Whether a ticket is none of its business.
    pub fn skips(&self, ticket: &Ticket) -> bool {
        ticket.restored && self.state.norestored
            || self.state.noremote && ticket.origin().is_elsewhere()
    }

    /// Whether a longer ban concerns it.
    pub fn prolongs(&self) -> bool {
        self.state.prolongs
    }

    /// Whether it may lift all bans at once.
    pub fn flushes(&self) -> bool {
        self.state.flushes
    }

    /// Whether it can tell that its environment is sane.
    pub fn checks(&self) -> bool {
        self.state.checks
    }

    /// Whether its bans last.
    pub fn lifts(&self) -> bool {
        self.state.lifts
    }

    /// Its `banEpoch`.
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// Calls `start`.
    ///
    /// # Errors
    /// What it raises.
    pub async fn start(&mut self, context: &mut Context<'_>) -> Result<(), PythonActionError> {
        self.started = true;
        self.method("start", context).await.map(|_| ())
    }

    /// Calls `stop` and lets the process end.
    ///
    /// # Errors
    /// What `stop` raises.
    pub async fn stop(&mut self, context: &mut Context<'_>) -> Result<(), PythonActionError> {
        let result = match self.child.is_some() || self.started {
            true => self.method("stop", context).await.map(|_| ()),
            false => Ok(()),
        };
        self.started = false;
        self.close().await;
        result
    }

    /// Lets the process end, without a word to the action.
    pub async fn close(&mut self) {
        if let Some(child) = self.child.take() {
            child.close().await;
        }
    }

    /// Calls a method about a ticket: `ban`, `reban`, `unban`, `prolong`.
    ///
    /// # Errors
    /// What it raises.
    pub async fn about(
        &mut self,
        method: &str,
        info: &mut BanInfo<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), PythonActionError> {
        let mut values = Vec::new();
        let mut asked = Vec::new();
        let mut order = Vec::new();
        for (tag, value) in info.at_hand() {
            order.push(tag);
            match value {
                Some(value) => values.push(json!([tag, pack(&value)])),
                None => asked.push(tag),
            }
        }
        let request = json!({
            "do": "call", "method": method, "values": values, "known": info.looked_at(),
            "asked": asked, "order": order,
        });
        self.request(request, Some(info), context).await.map(|_| ())
    }

    /// Calls `flush`; answers whether it lifted all bans.
    ///
    /// # Errors
    /// What it raises.
    pub async fn flush(&mut self, context: &mut Context<'_>) -> Result<bool, PythonActionError> {
        self.method("flush", context)
            .await
            .map(|done| done.is_true())
    }

    /// Calls `consistencyCheck`, where there is one; after a failed flush with a function that says
    /// whether a repair may be tried, or `refusal`.
    ///
    /// # Errors
    /// What it raises.
    pub async fn check(
        &mut self,
        refusal: Option<&str>,
        context: &mut Context<'_>,
    ) -> Result<(), PythonActionError> {
        if !self.state.checks {
            return Ok(());
        }
        let request = json!({"do": "check", "flush": refusal.is_some(), "refusal": refusal});
        self.request(request, None, context).await.map(|_| ())
    }

    /// What a reload that names it again has to compare.
    pub fn outline(&self) -> PythonOutline {
        PythonOutline {
            path: self.path.clone(),
            arguments: self.arguments.clone(),
            reloads: self.state.reloads,
        }
    }

    /// What a reload has made anew takes over.
    ///
    /// # Errors
    /// What `stop` or `start` raises.
    pub async fn give_way(
        &mut self,
        successor: PythonAction,
        context: &mut Context<'_>,
    ) -> Result<(), PythonActionError> {
        let stopped = self.stop(context).await;
        *self = successor;
        self.start(context).await?;
        stopped
    }

    /// A reload is over: calls `reload` with the arguments.
    ///
    /// # Errors
    /// What it raises.
    pub async fn reload(
        &mut self,
        arguments: Value,
        context: &mut Context<'_>,
    ) -> Result<(), PythonActionError> {
        self.arguments = arguments.clone();
        if self.state.clears {
            self.method("clearAllParams", context).await?;
        }
        self.call("reload", &arguments, context).await.map(|_| ())
    }

    /// Calls a method with arguments by name, a dictionary.
    ///
    /// # Errors
    /// What it raises.
    pub async fn call(
        &mut self,
        method: &str,
        arguments: &Value,
        context: &mut Context<'_>,
    ) -> Result<Value, PythonActionError> {
        let request = json!({"do": "call", "method": method, "arguments": pack(arguments)});
        self.request(request, None, context).await
    }

    async fn method(
        &mut self,
        method: &str,
        context: &mut Context<'_>,
    ) -> Result<Value, PythonActionError> {
        self.call(method, &Value::Dict(Vec::new()), context).await
    }

    /// Sets an attribute, or calls the method of this name with arguments in JSON.
    ///
    /// # Errors
    /// What it raises.
    pub async fn set(
        &mut self,
        attribute: &str,
        value: &Value,
        context: &mut Context<'_>,
    ) -> Result<Value, PythonActionError> {
        let request = json!({"do": "set", "attribute": attribute, "value": pack(value)});
        let answer = self.request(request, None, context).await?;
        // an attribute has what it was given; a method answers what it likes
        if answer == *value {
            self.changed.insert(attribute.to_owned(), value.clone());
        }
        Ok(answer)
    }

    /// An attribute.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn get(
        &mut self,
        attribute: &str,
        context: &mut Context<'_>,
    ) -> Result<Value, PythonActionError> {
        let request = json!({"do": "get", "attribute": attribute});
        self.request(request, None, context).await
    }

    /// The names of its attributes, or of its methods.
    ///
    /// # Errors
    /// The process is not there.
    pub async fn names(
        &mut self,
        methods: bool,
        context: &mut Context<'_>,
    ) -> Result<Value, PythonActionError> {
        let request = json!({"do": "names", "methods": methods});
        self.request(request, None, context).await
    }
}
