//! Jails that a reload must stop to change their backend. They are validated first, so that no jail is
//! stopped for one that would be refused.

use indexmap::IndexMap;
use tokio::sync::oneshot;

use super::super::Server;
use crate::action::{Actions, Order};
use crate::control::{Command, CommandError, JailCommand, JailSetting, Value};
use crate::jail::validator;

type Stream = [(Result<Command, CommandError>, Value)];

/// The running jails of which the stream wants another backend, but also what the new jail would
/// refuse: why.
pub(super) async fn to_fail(server: &Server, stream: &Stream) -> IndexMap<String, CommandError> {
    let restarts = stream.iter().filter_map(|(command, _)| match command {
        Ok(Command::Add { jail, backend }) => {
            let running = server.jails.find(jail)?;
            (running.backend != *backend).then_some(jail)
        }
        _ => None,
    });
    let mut refused = IndexMap::new();
    for jail in restarts {
        let own = |words: &&[Value]| words.get(1).and_then(Value::as_str) == Some(jail);
        let words = stream.iter().filter_map(|(_, words)| words.as_slice());
        let commands: Vec<Vec<Value>> = words.filter(own).map(<[Value]>::to_vec).collect();
        let why = match validator::faults(&commands).into_iter().next() {
            Some(fault) => Some(CommandError::builtin("ValueError", fault.text)),
            None => raised(server, jail, stream).await,
        };
        refused.extend(why.map(|why| (jail.clone(), why)));
    }
    refused
}

/// What the Python actions of a jail to come raise when they are made.
async fn raised(server: &Server, jail: &str, stream: &Stream) -> Option<CommandError> {
    let actions = Actions::spawn(jail, server.store(), server.common.clone());
    for (command, _) in stream {
        let Ok(Command::Jail { name: of, command }) = command else {
            continue;
        };
        if let JailCommand::Set(JailSetting::AddAction { name, python }) = command
            && of == jail
            && python.is_some()
        {
            let (reply, answer) = oneshot::channel();
            actions.send(Order::Add {
                name: name.clone(),
                python: python.clone(),
                reply,
            });
            if let Ok(Err(why)) = answer.await {
                return Some(why);
            }
        }
    }
    None
}
