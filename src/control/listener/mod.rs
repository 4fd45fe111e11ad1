//! The server side of the control socket: accepts clients, hands each request to a handler and sends its
//! reply in one write.
//!
//! Each connection is a task of its own, so a client that stalls, dies or sends garbage affects only
//! itself. An unreadable request is answered with a text (fact P2), a failed one with its exception; both
//! are logged (fact P4).

mod connection;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, stat};
use nix::unistd::Uid;
use tokio::net::UnixStream;
use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use self::connection::ClientConnection;
use super::{Reply, Value};
use crate::jail::EventSubscription;
use crate::{error, warning};

const TARGET: &str = "fail2ban.asyncserver";

/// What a request is answered with.
pub enum HandlerResponse {
    /// One reply.
    Reply(Reply),
    /// A first reply, then one for each event until the client leaves or there are no more.
    Events(EventSubscription),
}

impl From<Reply> for HandlerResponse {
    fn from(reply: Reply) -> HandlerResponse {
        HandlerResponse::Reply(reply)
    }
}

/// How many clients there may be, and how slow.
#[derive(Clone, Copy)]
struct ListenerLimits {
    /// Connections served at once. When all are taken, those that rest make room for new clients.
    connections: u32,
    /// More of them for root and the server's own user alone: nobody else can keep these out.
    reserved: u32,
    /// More that may wait for a place. Further ones are turned away.
    waiting: u32,
    /// Long requests received and carried out at once: each may take many megabytes. Others wait.
    long: usize,
    /// A connection without a whole request for so long rests.
    rest: Duration,
    /// A request must be whole so long after its first byte.
    request: Duration,
}

const LIMITS: ListenerLimits = ListenerLimits {
    connections: 256,
    reserved: 16,
    waiting: 64,
    long: 2,
    rest: Duration::from_secs(5),
    request: Duration::from_secs(30),
};

/// How long connections may take to send their last replies after the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often it is told that clients are turned away.
const REMIND: Duration = Duration::from_secs(60);
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
    F: Future<Output: Into<HandlerResponse>> + Send + 'static,
    S: Future<Output = ()>,
{
    serve_within(LIMITS, listener, handler, stop).await
}

async fn serve_within<H, F, S>(
    limits: ListenerLimits,
    listener: UnixListener,
    handler: H,
    stop: S,
) -> io::Result<()>
where
    H: Fn(Vec<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<HandlerResponse>> + Send + 'static,
    S: Future<Output = ()>,
{
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let path = listener
        .local_addr()
        .ok()
        .and_then(|address| address.as_pathname().map(Path::to_owned));
    let places = Arc::new(ConnectionSlots {
        limits,
        general: Arc::new(Semaphore::new(limits.connections as usize)),
        reserved: Arc::new(Semaphore::new(limits.reserved as usize)),
        waiting: Arc::new(Semaphore::new(limits.waiting as usize)),
        long: Arc::new(Semaphore::new(limits.long)),
        crowded: Notify::new(),
    });
    // the connections notice the end when the sender is dropped, whatever ends this function
    let (ending, ended) = watch::channel(());
    let accept = accept(Acceptor {
        listener,
        path,
        places: Arc::clone(&places),
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
    // whoever has not fetched the last reply by then does not want it
    let _ = timeout(FAREWELL, places.all_free()).await;
    Ok(())
}

/// Where connections come in.
struct Acceptor<H> {
    listener: tokio::net::UnixListener,
    path: Option<PathBuf>,
    places: Arc<ConnectionSlots>,
    ended: watch::Receiver<()>,
    handler: H,
}

/// Accepts connections and has each served by a task of its own.
async fn accept<H, F>(door: Acceptor<H>)
where
    H: Fn(Vec<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<HandlerResponse>> + Send + 'static,
{
    let mut told: Option<Instant> = None;
    loop {
        let stream = match door.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warning!(TARGET, "Accept socket error: {}", error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(peer) = peer(&stream, door.path.as_deref()) else {
            continue;
        };
        let Some(place) = door.places.offer(peer) else {
            // dropped, so that those behind it in the queue are seen
            if told.is_none_or(|told| told.elapsed() > REMIND) {
                warning!(
                    TARGET,
                    "Too many connections: further clients are turned away"
                );
                told = Some(Instant::now());
            }
            continue;
        };
        let connection = ClientConnection {
            stream,
            ended: door.ended.clone(),
            places: Arc::clone(&door.places),
        };
        let handler = door.handler.clone();
        tokio::spawn(connection.converse(place, handler));
    }
}

/// Who has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerClass {
    /// Root or the server's own user.
    Owner,
    /// Another user whom the socket's mode admits.
    Guest,
}

/// Root and the daemon's own user may speak. Others got this far only because the socket's mode let
/// them; that counts when an administrator opened the socket to a group (NixOS does), but not for
/// a mode the socket should never have had.
fn peer(stream: &UnixStream, path: Option<&Path>) -> Option<PeerClass> {
    let uid = Uid::from_raw(stream.peer_cred().ok()?.uid());
    if uid.is_root() || uid == Uid::effective() {
        return Some(PeerClass::Owner);
    }
    let open_to_group = path
        .and_then(|path| stat(path).ok())
        .map(|stat| Mode::from_bits_truncate(stat.st_mode))
        .is_some_and(|mode| mode.contains(Mode::S_IWGRP) && !mode.contains(Mode::S_IWOTH));
    if !open_to_group {
        error!(TARGET, "Refused connection of user {} to the socket", uid);
    }
    open_to_group.then_some(PeerClass::Guest)
}

/// The places of all connections.
struct ConnectionSlots {
    limits: ListenerLimits,
    general: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Permits to receive and carry out a long request.
    long: Arc<Semaphore>,
    /// Tells that clients are waiting.
    crowded: Notify,
}

/// What a new connection has.
enum ConnectionSlot {
    /// It is served.
    Taken(OwnedSemaphorePermit),
    /// It must wait, in a place for those who wait.
    Waiting(OwnedSemaphorePermit),
}

impl ConnectionSlots {
    /// What can be had at once.
    fn offer(&self, peer: PeerClass) -> Option<ConnectionSlot> {
        let take = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned().ok();
        let reserved = || match peer {
            PeerClass::Owner => take(&self.reserved),
            PeerClass::Guest => None,
        };
        let place = take(&self.general)
            .or_else(reserved)
            .map(ConnectionSlot::Taken);
        place.or_else(|| take(&self.waiting).map(ConnectionSlot::Waiting))
    }

    /// Waits for a place; as long as there is none, those that rest are asked to leave.
    async fn wait(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        loop {
            let place = Arc::clone(&self.general).acquire_owned();
            match timeout(self.limits.rest / 5, place).await {
                Ok(place) => return place,
                Err(_) => self.crowded.notify_waiters(),
            }
        }
    }

    /// Waits until nobody is served any more.
    async fn all_free(&self) {
        // they are never closed
        let _ = self.general.acquire_many(self.limits.connections).await;
        let _ = self.reserved.acquire_many(self.limits.reserved).await;
    }
}
