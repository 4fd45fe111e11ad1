//! Requests to the process of a Python action and their answers, with a time limit; a process that died is
//! started again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::{Instant, timeout};

use super::super::context::Context;
use super::super::info::{BanInfo, whole};
use super::child::{Child, ChildGone};
use super::wire::{pack, unpack};
use super::{DELAYS, PythonAction, PythonActionError};
use crate::control::{CommandError, Value};
use crate::datetime::duration;
use crate::{debug, log};

/// Time for one call unless the action has an attribute `calltimeout`.
const LIMIT: Duration = Duration::from_secs(60);

/// What is known of an action from its last answer.
#[derive(Clone, Debug, Default)]
pub(super) struct ExchangeState {
    pub(super) norestored: bool,
    pub(super) noremote: bool,
    pub(super) prolongs: bool,
    pub(super) flushes: bool,
    pub(super) checks: bool,
    pub(super) reloads: bool,
    pub(super) clears: bool,
    pub(super) lifts: bool,
    pub(super) epoch: u64,
    limit: Option<Duration>,
}

impl PythonAction {
    /// Sends a request to the process, which is started again when it is not there any more.
    pub(super) async fn request(
        &mut self,
        request: Json,
        info: Option<&mut BanInfo<'_>>,
        context: &mut Context<'_>,
    ) -> Result<Value, PythonActionError> {
        if self.child.is_none() {
            self.revive(context).await?;
        }
        let answer = self.exchange(request, info, context).await?;
        self.delay = DELAYS[0];
        Ok(answer)
    }

    /// Starts a process in place of one that died, unless that was tried just now.
    async fn revive(&mut self, context: &mut Context<'_>) -> Result<(), PythonActionError> {
        let now = Instant::now();
        if let Some(at) = self.not_before
            && at > now
        {
            return Err(trouble(format!(
                "the process of the action has ended, it is started again in {} s",
                (at - now).as_secs() + 1
            )));
        }
        self.not_before = Some(now + self.delay);
        self.delay = (self.delay * 2).min(DELAYS[1]);
        self.load(context).await?;
        for (attribute, value) in self.changed.clone() {
            let request = json!({"do": "set", "attribute": attribute, "value": pack(&value)});
            self.exchange(request, None, context).await?;
        }
        if self.started {
            let request = json!({"do": "call", "method": "start", "arguments": {"dict": []}});
            self.exchange(request, None, context).await?;
        }
        Ok(())
    }

    /// Starts a process and makes the action in it.
    pub(super) async fn load(
        &mut self,
        context: &mut Context<'_>,
    ) -> Result<(), PythonActionError> {
        let child = Child::start(&self.interpreter)
            .map_err(|error| CommandError::file(&error, &self.interpreter))?;
        self.child = Some(child);
        let request = json!({
            "do": "load", "jail": context.jail, "name": self.name, "path": self.path,
            "arguments": pack(&self.arguments),
        });
        let made = self.exchange(request, None, context).await;
        if made.is_err()
            && let Some(child) = self.child.take()
        {
            child.close().await;
        }
        made.map(|_| ())
    }

    /// Sends a request and answers questions until the answer comes or the time is over.
    async fn exchange(
        &mut self,
        mut request: Json,
        mut info: Option<&mut BanInfo<'_>>,
        context: &mut Context<'_>,
    ) -> Result<Value, PythonActionError> {
        let Some(mut child) = self.child.take() else {
            return Err(trouble("the process of the action has ended".to_owned()));
        };
        request["level"] = json!(log::threshold());
        request["epoch"] = json!(context.epoch.load(Ordering::Relaxed));
        request["bantime"] = pack(&whole(context.figures.bantime));
        let limit = self.state.limit.unwrap_or(LIMIT);
        match timeout(limit, converse(&mut child, &request, &mut info)).await {
            Ok(Ok(answer)) => {
                self.child = Some(child);
                context.executor.patience().progress();
                self.read(&answer, info, context)
            }
            Ok(Err(ChildGone)) => {
                child.kill().await;
                Err(trouble("the process of the action has ended".to_owned()))
            }
            Err(_) => {
                child.kill().await;
                Err(trouble(format!(
                    "timed out after {} seconds",
                    limit.as_secs_f64()
                )))
            }
        }
    }

    /// Takes an answer to pieces.
    fn read(
        &mut self,
        answer: &Json,
        info: Option<&mut BanInfo<'_>>,
        context: &mut Context<'_>,
    ) -> Result<Value, PythonActionError> {
        let state = &answer["state"];
        let flag = |name: &str| state[name].as_bool().unwrap_or(false);
        self.state = ExchangeState {
            norestored: flag("norestored"),
            noremote: flag("noremote"),
            prolongs: flag("prolongs"),
            flushes: flag("flushes"),
            checks: flag("checks"),
            reloads: flag("reloads"),
            clears: flag("clears"),
            lifts: flag("lifts"),
            epoch: state["epoch"].as_u64().unwrap_or(0),
            limit: state["limit"]
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        };
        let epoch = state["jail_epoch"].as_u64().unwrap_or(0);
        context.epoch.fetch_max(epoch, Ordering::Relaxed);
        if let Some(info) = info {
            let looked_at = answer["looked_at"].as_array();
            for tag in looked_at.into_iter().flatten().filter_map(Json::as_str) {
                info.look_at(tag);
            }
            // as in the original, what one action has changed is not for the next
            if answer["changed"].as_bool() == Some(true) {
                info.forget();
            }
        }
        let Some(failure) = answer.get("failed") else {
            return Ok(unpack(&answer["done"]));
        };
        let text = |name: &str| failure[name].as_str().unwrap_or_default();
        let arguments = match unpack(&failure["arguments"]) {
            Value::List(arguments) => arguments,
            _ => Vec::new(),
        };
        let mut error = CommandError::from_wire(text("module"), text("class"), arguments);
        // an exception of its own kind may make another text of its arguments
        if error.to_string() != text("text") {
            error = CommandError::new(text("text"));
        }
        Err(PythonActionError {
            error: Box::new(error),
            trace: text("trace").to_owned(),
            info: answer["info"].as_str().map(str::to_owned),
        })
    }
}

/// Sends a request and answers what the action asks until its own answer comes.
async fn converse(
    child: &mut Child,
    request: &Json,
    info: &mut Option<&mut BanInfo<'_>>,
) -> Result<Json, ChildGone> {
    child.send(request).await?;
    loop {
        let message = child.receive().await?;
        let Some(question) = message.get("ask") else {
            return Ok(message);
        };
        let text = question[1].as_str().unwrap_or_default();
        let answer = match (question[0].as_str(), info.as_mut()) {
            (Some("tag"), Some(info)) => info.ask(text).await,
            (Some("seconds"), _) => duration::parse(text).map_or(Value::None, Value::from),
            _ => Value::None,
        };
        child.send(&json!({"answer": pack(&answer)})).await?;
    }
}

fn trouble(text: String) -> PythonActionError {
    debug!("fail2ban.actions", "Python action: {text}");
    CommandError::builtin("RuntimeError", text).into()
}
