//! The socket for `ferroban web`: `socket` of `[web]`. Its clients can read the status and, with
//! `write = true`, ban and unban, and nothing else, so `ferroban web` does not need the rights of the
//! control socket.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use nix::errno::Errno;
use nix::unistd::{Group, chown};
use tokio::sync::oneshot;

use super::Server;
use super::loggers::LOG;
use super::process::Socket;
use crate::control::{CommandError, Reply, Value, listener};
use crate::{error, info};

/// The socket, if there is one.
#[derive(Debug, Default)]
pub(super) struct WebListener {
    open: Option<OpenListener>,
    /// The stream of a reload has named it.
    named: bool,
}

#[derive(Debug)]
struct OpenListener {
    options: Value,
    socket: Socket,
    /// Nobody is served any more when it is gone.
    _served: oneshot::Sender<()>,
}

/// What is said of the socket.
#[derive(Debug, Default)]
struct WebListenerOptions {
    path: PathBuf,
    group: Option<String>,
    write: bool,
}

impl Server {
    /// Opens the socket of these options. What is told again changes nothing. One that cannot be opened is
    /// told in the log: that is no reason to guard nothing.
    pub(super) fn set_web(&self, options: &Value) -> Reply {
        let read = WebListenerOptions::read(options)?;
        let mut door = self.web.lock().unwrap_or_else(PoisonError::into_inner);
        door.named = true;
        let open = door.open.as_ref();
        if open.is_some_and(|open| open.options == *options) {
            return Ok(Value::None);
        }
        // the new one may have the same name
        close(&mut door);
        match self.open_web(&read) {
            Ok((socket, served)) => {
                info!(LOG, "Socket for ferroban web: {}", read.path.display());
                door.open = Some(OpenListener {
                    options: options.clone(),
                    socket,
                    _served: served,
                });
            }
            Err(why) => error!(LOG, "There is no socket for ferroban web: {why}"),
        }
        Ok(Value::None)
    }

    fn open_web(
        &self,
        options: &WebListenerOptions,
    ) -> Result<(Socket, oneshot::Sender<()>), CommandError> {
        let path = &options.path;
        let (listener, socket) = Socket::bind(path, false)?;
        if let Some(group) = &options.group
            && let Err(error) = give(path, group)
        {
            socket.remove();
            return Err(error);
        }
        let (served, end) = oneshot::channel();
        let (server, write) = (self.own.clone(), options.write);
        let answer = move |words| {
            let server = server.upgrade();
            async move {
                match server {
                    Some(server) => server.limited_request(words, write).await,
                    None => listener::HandlerResponse::Reply(Err(CommandError::new("SHUTDOWN"))),
                }
            }
        };
        tokio::spawn(async move {
            let end = async {
                let _ = end.await;
            };
            if let Err(error) = listener::serve_until(listener, answer, end).await {
                error!(LOG, "The socket for ferroban web has failed: {error}");
            }
        });
        Ok((socket, served))
    }

    /// A reload of everything begins: a section that it does not name is gone.
    pub(super) fn mark_web(&self) {
        let mut door = self.web.lock().unwrap_or_else(PoisonError::into_inner);
        door.named = false;
    }

    /// It ends.
    pub(super) fn end_marked_web(&self) {
        let mut door = self.web.lock().unwrap_or_else(PoisonError::into_inner);
        if !door.named {
            close(&mut door);
        }
    }

    /// The end: nobody is served any more.
    pub(super) fn close_web(&self) {
        let mut door = self.web.lock().unwrap_or_else(PoisonError::into_inner);
        close(&mut door);
    }
}

/// Lets a group use a socket.
fn give(path: &Path, name: &str) -> Result<(), CommandError> {
    let failed = |error: &std::io::Error| CommandError::file(error, &path.display().to_string());
    let group = Group::from_name(name).map_err(|error| failed(&error.into()))?;
    let group = group.ok_or_else(|| CommandError::new(format!("no group {name}")))?;
    chown(path, None, Some(group.gid)).map_err(|error| match error {
        // root without CAP_CHOWN, as in our unit, may give files to groups of its own only
        Errno::EPERM => CommandError::new(format!(
            "the server may not give {} to the group {name}; SupplementaryGroups={name} below \
             [Service] in its unit lets it",
            path.display()
        )),
        error => failed(&error.into()),
    })?;
    // only now: before that it would be another group's
    set_permissions(path, Permissions::from_mode(0o660)).map_err(|error| failed(&error))
}

fn close(door: &mut WebListener) {
    if let Some(open) = door.open.take() {
        open.socket.remove();
    }
}

impl WebListenerOptions {
    fn read(options: &Value) -> Result<WebListenerOptions, CommandError> {
        let Value::Dict(pairs) = options else {
            return Err(CommandError::builtin(
                "AttributeError",
                format!("'{}' object has no attribute 'items'", options.type_name()),
            ));
        };
        let mut read = WebListenerOptions::default();
        for (name, value) in pairs {
            match name.as_str() {
                Some("socket") => read.path = PathBuf::from(&*value.str()),
                Some("group") => {
                    read.group = Some(value.str().into_owned()).filter(|name| !name.is_empty());
                }
                Some("write") => read.write = *value == Value::Bool(true),
                _ => return Err(CommandError::new(format!("unknown option {}", name.repr()))),
            }
        }
        Ok(read)
    }
}
