//! The systemd watchdog (`WatchdogSec=`). A thread that shares nothing with the server asks for the status
//! over the control socket, as a client would. As long as commands are answered and every jail reports its
//! counts, systemd is told that the server is alive.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::loggers::LOG;
use super::{Server, notify};
use crate::control::Value;
use crate::control::client::ControlClient;
use crate::{error, warning};

/// Starts the thread, where systemd waits for signs of life.
pub(super) fn start(server: &Arc<Server>, socket: &Path) {
    let Some(limit) = notify::watchdog_limit() else {
        return;
    };
    let (server, socket) = (Arc::downgrade(server), socket.to_owned());
    let thread = std::thread::Builder::new().name("f2b/watchdog".to_owned());
    let started = thread.spawn(move || {
        while let Some(server) = server.upgrade() {
            if server.is_stopping() {
                return;
            }
            let pause = match numbers(&socket, limit / 2) {
                Ok((jails, bans)) => {
                    notify::alive(jails, bans);
                    limit / 2
                }
                Err(_) if server.is_stopping() => return,
                Err(why) => {
                    warning!(LOG, "No sign of life for systemd: {why}");
                    limit / 10
                }
            };
            drop(server);
            std::thread::sleep(pause);
        }
    });
    if let Err(e) = started {
        error!(LOG, "Unable to start the watchdog: {e}");
    }
}

/// Asks the server for the numbers of all jails: how many there are, and how many bans in all.
fn numbers(socket: &Path, limit: Duration) -> Result<(usize, i64), String> {
    let said = |e: &dyn std::fmt::Display| e.to_string();
    let mut client = ControlClient::connect(socket, Some(limit)).map_err(|e| said(&e))?;
    let reply = client.ask(&["stats".into()]).map_err(|e| said(&e))?;
    match reply.map_err(|e| said(&e))? {
        Value::Dict(jails) => Ok((jails.len(), jails.iter().map(|(_, jail)| bans(jail)).sum())),
        other => Err(format!("unexpected answer {}", other.repr())),
    }
}

/// The bans now out of the numbers of a jail: backend, failures, bans.
fn bans(jail: &Value) -> i64 {
    let bans = jail.as_slice().and_then(|numbers| numbers.get(2));
    match bans.and_then(Value::as_slice) {
        Some([Value::Int(now), ..]) => *now,
        _ => 0,
    }
}
