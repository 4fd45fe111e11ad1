//! Calls a method of an action by command: `set JAIL action NAME METHOD [JSON]` (facts P51, P52).
//!
//! The arguments are checked against the parameters of the method as in Python, with its error texts; then the
//! action does what it would do for the jail.

use super::super::Query;
use super::super::command::{ActionError, CommandAction, Repair};
use super::super::context::Context;
use super::super::info::BanInfo;
use super::super::jail_action::JailAction;
use super::super::plan::Plan;
use super::super::tags::escape;
use super::Runner;
use crate::address::Address;
use crate::clock;
use crate::control::{CommandError, Reply, Value};
use crate::ticket::Ticket;

/// What a method takes.
struct MethodSignature {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// It takes arguments of any other name.
    open: bool,
}

const fn signature(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> MethodSignature {
    MethodSignature {
        name,
        required,
        optional,
        open: false,
    }
}

const SIGNATURES: [MethodSignature; 15] = [
    signature("ban", &["aInfo"], &[]),
    signature("clearAllParams", &[], &[]),
    signature("consistencyCheck", &[], &["beforeRepair"]),
    signature("escapeTag", &["value"], &[]),
    MethodSignature {
        open: true,
        ..signature("executeCmd", &["realCmd"], &["timeout"])
    },
    signature("flush", &[], &[]),
    signature("invalidateBanEpoch", &[], &[]),
    signature("prolong", &["aInfo"], &[]),
    signature("reban", &["aInfo"], &[]),
    MethodSignature {
        open: true,
        ..signature("reload", &[], &[])
    },
    signature("replaceDynamicTags", &["realCmd", "aInfo"], &["escapeVal"]),
    signature(
        "replaceTag",
        &["query", "aInfo"],
        &["conditional", "addrepl", "cache"],
    ),
    signature("start", &[], &[]),
    signature("stop", &[], &[]),
    signature("unban", &["aInfo"], &[]),
];

/// The arguments of a call, by name.
struct MethodArguments(Vec<(Value, Value)>);

impl MethodArguments {
    /// Checks what was given against what the method takes.
    fn check(method: &str, given: Value) -> Result<MethodArguments, CommandError> {
        let wrong = |text: String| Err(CommandError::builtin("TypeError", text));
        let Value::Dict(given) = given else {
            return wrong(format!(
                "fail2ban.server.action.CommandAction.{method}() argument after ** must be a mapping, not {}",
                given.type_name()
            ));
        };
        let Some(takes) = SIGNATURES.iter().find(|takes| takes.name == method) else {
            // the name of a property, without a value
            return Err(CommandError::too_few_words());
        };
        let arguments = MethodArguments(given);
        for (name, _) in &arguments.0 {
            let name = name.str();
            let known = |names: &[&str]| names.contains(&&*name);
            if !takes.open && !known(takes.required) && !known(takes.optional) {
                return wrong(format!(
                    "CommandAction.{method}() got an unexpected keyword argument '{name}'"
                ));
            }
        }
        let missing: Vec<String> = takes
            .required
            .iter()
            .filter(|name| arguments.get(name).is_none())
            .map(|name| format!("'{name}'"))
            .collect();
        if !missing.is_empty() {
            let s = if missing.len() == 1 { "" } else { "s" };
            return wrong(format!(
                "CommandAction.{method}() missing {} required positional argument{s}: {}",
                missing.len(),
                missing.join(" and ")
            ));
        }
        Ok(arguments)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let named = |pair: &&(Value, Value)| pair.0.as_str() == Some(name);
        self.0.iter().find(named).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> String {
        self.get(name)
            .map_or_else(String::new, |value| value.str().into_owned())
    }

    /// `aInfo`: tags and their values.
    fn info(&self) -> Result<&[(Value, Value)], CommandError> {
        match self.get("aInfo") {
            Some(Value::Dict(pairs)) => Ok(pairs),
            Some(Value::None) | None => Ok(&[]),
            Some(other) => Err(CommandError::builtin(
                "AttributeError",
                format!("'{}' object has no attribute 'get'", other.type_name()),
            )),
        }
    }
}

impl Runner {
    /// Calls a method of the action; answers what it returns.
    pub(super) async fn call(&mut self, method: &str, arguments: Value) -> Reply {
        let (action, mut context) = self.split();
        if let JailAction::Python(action) = action {
            let answer = action.call(method, &arguments, &mut context).await;
            return answer.map_err(|error| *error.error);
        }
        let arguments = MethodArguments::check(method, arguments)?;
        let ticket = ticket(arguments.info()?);
        let (jail, figures, history) = (
            self.jail.clone(),
            self.figures.clone(),
            self.history.clone(),
        );
        let mut info = BanInfo::new(&jail, &ticket, &figures, &history);
        for (tag, value) in arguments.info()? {
            info.set(&tag.str(), value.clone());
        }
        let (action, mut context) = self.split();
        let Some(action) = action.command() else {
            return Ok(Value::None);
        };
        perform(action, method, &arguments, &mut info, &mut context).await
    }

    /// Sets attributes of a Python action; answers the value of one.
    pub(super) async fn set(&mut self, attributes: &[(String, Value)]) -> Reply {
        let (action, mut context) = self.split();
        let mut answers = Vec::new();
        if let JailAction::Python(action) = action {
            for (attribute, value) in attributes {
                let set = action.set(attribute, value, &mut context).await;
                answers.push(set.map_err(|error| *error.error)?);
            }
        }
        Ok(match <[Value; 1]>::try_from(answers) {
            Ok([answer]) => answer,
            Err(_) => Value::None,
        })
    }

    /// Reads an attribute of a Python action, or the lists of attributes and methods.
    pub(super) async fn get(&mut self, what: &Query) -> Reply {
        let (action, mut context) = self.split();
        let JailAction::Python(action) = action else {
            return Ok(Value::None);
        };
        let answer = match what {
            Query::Property(attribute) => action.get(attribute, &mut context).await,
            Query::Properties => action.names(false, &mut context).await,
            Query::Methods => action.names(true, &mut context).await,
        };
        answer.map_err(|error| *error.error)
    }
}

async fn perform(
    action: &mut CommandAction,
    method: &str,
    arguments: &MethodArguments,
    info: &mut BanInfo<'_>,
    context: &mut Context<'_>,
) -> Reply {
    let script = match method {
        "ban" => return nothing(action.ban(info, false, context).await),
        "reban" => return nothing(action.ban(info, true, context).await),
        "unban" => return nothing(action.unban(info, context).await),
        "prolong" => return nothing(action.prolong(info, context).await),
        "start" => return truth(action.start(context).await),
        "stop" => return truth(action.stop(context).await),
        "flush" => return truth(action.flush(context).await),
        "reload" => return truth(action.reload(context).await),
        "consistencyCheck" => {
            let sane = action.check(Repair::Allowed, context).await;
            return sane.map(Value::from).map_err(failure);
        }
        "clearAllParams" => {
            action.clear_commands();
            return Ok(Value::None);
        }
        "invalidateBanEpoch" => {
            action.epoch = context.next_epoch();
            return Ok(Value::None);
        }
        "escapeTag" => return Ok(escape(&arguments.text("value")).into()),
        "replaceTag" => arguments.text("query"),
        _ => arguments.text("realCmd"),
    };
    if method == "executeCmd" {
        let plan = Plan::of(script.into());
        let timeout = arguments.get("timeout").cloned();
        let timeout = timeout.unwrap_or(Value::Int(60));
        let pacing = || action.definition.properties.pacing();
        let executor = context.executor;
        let run = executor.run(&action.name, &plan, &timeout, context.names, pacing);
        return Ok(run.await.into());
    }
    Ok(info.fill(&script, context.names).await.shown().into())
}

/// Of whom the tags speak; without an address nobody.
fn ticket(info: &[(Value, Value)]) -> Ticket {
    let value = |name: &str| {
        info.iter()
            .find(|(tag, _)| tag.as_str() == Some(name))
            .map(|(_, value)| value.str().into_owned())
    };
    let id = value("ip").or_else(|| value("fid")).unwrap_or_default();
    Ticket::new(Address::parse(&id), clock::now())
}

fn nothing(done: Result<(), ActionError>) -> Reply {
    done.map(|()| Value::None).map_err(failure)
}

fn truth(done: Result<(), ActionError>) -> Reply {
    done.map(|()| true.into()).map_err(failure)
}

fn failure(error: ActionError) -> CommandError {
    CommandError::builtin("RuntimeError", error.to_string())
}
