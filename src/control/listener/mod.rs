//! The server's end of the control socket: accepts clients, hands each request to a handler and
//! sends its reply in one write.
//!
//! Each connection is a task of its own, so a client that stalls, dies or sends garbage harms
//! only itself. A request that cannot be read is answered with a text (fact P2), a failed one
//! with its exception; both are logged (fact P4).

mod connection;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::stat::{Mode, stat};
use nix::unistd::Uid;
use tokio::net::UnixStream;
use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use self::connection::Connection;
use super::{Reply, Value};
use crate::jail::Subscription;
use crate::{error, warning};

const TARGET: &str = "fail2ban.asyncserver";

/// What a request is answered with.
pub enum Answer {
    /// One reply.
    Reply(Reply),
    /// A first reply, then one for each event until the client leaves or there are no more.
    Events(Subscription),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        Answer::Reply(reply)
    }
}

/// How many clients there may be.
#[derive(Clone, Copy)]
struct Limits {
    /// Connections served at once. When all are taken, those that rest make room for new clients.
    connections: u32,
    /// A connection that has been silent for so long rests.
    rest: Duration,
}

const LIMITS: Limits = Limits {
    connections: 256,
    rest: Duration::from_secs(5),
};

/// How long connections may take to send their last replies after the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pause after a failed accept, so that a full descriptor table does not cost a whole core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves requests until `stop` is ready: each connection in a task of its own, requests of one
/// connection in order. `handler` gets the unpickled request (a list of values). Requests being
/// carried out at the end are still answered (the `stop` command is one of them); idle clients are
/// let go at once.
///
/// # Errors
/// Only when the listener itself cannot be used; a broken client never ends the loop.
pub async fn serve_until<H, F, S>(listener: UnixListener, handler: H, stop: S) -> io::Result<()>
where
    H: Fn(Vec<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answer>> + Send + 'static,
    S: Future<Output = ()>,
{
    serve_within(LIMITS, listener, handler, stop).await
}

async fn serve_within<H, F, S>(
    limits: Limits,
    listener: UnixListener,
    handler: H,
    stop: S,
) -> io::Result<()>
where
    H: Fn(Vec<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answer>> + Send + 'static,
    S: Future<Output = ()>,
{
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let path = listener
        .local_addr()
        .ok()
        .and_then(|address| address.as_pathname().map(Path::to_owned));
    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let crowded = Arc::new(Notify::new());
    // the connections notice the end when the sender is dropped, whatever ends this function
    let (ending, ended) = watch::channel(());
    let accept = accept(Door {
        limits,
        listener,
        path,
        slots: Arc::clone(&slots),
        crowded,
        ended,
        handler,
    });
    // on a worker: from here each client would take two switches from thread to thread
    let mut accept = tokio::spawn(accept);
    tokio::select! {
        _ = &mut accept => {}
        () = stop => {
            accept.abort();
            // it ends by that, and has no more to say
            let _ = accept.await;
        }
    }
    drop(ending);
    let everyone = slots.acquire_many(limits.connections);
    // whoever has not fetched the last reply by then does not want it
    let _ = timeout(FAREWELL, everyone).await;
    Ok(())
}

/// Where connections come in.
struct Door<H> {
    limits: Limits,
    listener: tokio::net::UnixListener,
    path: Option<PathBuf>,
    slots: Arc<Semaphore>,
    crowded: Arc<Notify>,
    ended: watch::Receiver<()>,
    handler: H,
}

/// Accepts connections and has each served by a task of its own.
async fn accept<H, F>(door: Door<H>)
where
    H: Fn(Vec<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answer>> + Send + 'static,
{
    let Limits { rest, .. } = door.limits;
    loop {
        let Ok(slot) = make_room(&door.slots, &door.crowded, rest).await else {
            return;
        };
        let stream = match door.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warning!(TARGET, "Accept socket error: {}", error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !is_allowed(&stream, door.path.as_deref()) {
            continue;
        }
        let connection = Connection {
            stream,
            ended: door.ended.clone(),
            crowded: Arc::clone(&door.crowded),
            rest,
        };
        let handler = door.handler.clone();
        tokio::spawn(async move {
            connection.converse(handler).await;
            drop(slot);
        });
    }
}

/// Root and the daemon's own user may speak. Others got this far only because the socket's mode let
/// them; that counts when an administrator opened the socket to a group (NixOS does), but not for
/// a mode the socket should never have had.
fn is_allowed(stream: &UnixStream, path: Option<&Path>) -> bool {
    let Ok(peer) = stream.peer_cred() else {
        return false;
    };
    let uid = Uid::from_raw(peer.uid());
    if uid.is_root() || uid == Uid::effective() {
        return true;
    }
    let open_to_group = path
        .and_then(|path| stat(path).ok())
        .map(|stat| Mode::from_bits_truncate(stat.st_mode))
        .is_some_and(|mode| mode.contains(Mode::S_IWGRP) && !mode.contains(Mode::S_IWOTH));
    if !open_to_group {
        error!(TARGET, "Refused connection of user {} to the socket", uid);
    }
    open_to_group
}

/// A place for one more connection; as long as there is none, those that rest are asked to leave.
async fn make_room(
    slots: &Arc<Semaphore>,
    crowded: &Notify,
    rest: Duration,
) -> Result<OwnedSemaphorePermit, AcquireError> {
    loop {
        let slot = Arc::clone(slots).acquire_owned();
        match timeout(rest / 5, slot).await {
            Ok(slot) => return slot,
            Err(_) => crowded.notify_waiters(),
        }
    }
}
