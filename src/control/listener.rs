//! The server's end of the control socket: accepts clients, hands each request to a handler and
//! sends its reply in one write.
//!
//! Each connection is a task of its own, so a client that stalls, dies or sends garbage harms
//! only itself. A request that cannot be read is answered with a text (fact P2), a failed one
//! with its exception; both are logged (fact P4).

use std::future::Future;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::Uid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::pickle;
use super::wire::{self, Frames};
use super::{CommandError, Reply, Value};
use crate::{error, warning};

const TARGET: &str = "fail2ban.asyncserver";

/// Connections served at once; further clients wait in the listen queue.
const MAX_CONNECTIONS: usize = 256;
/// A client that has said nothing for so long is let go.
const IDLE: Duration = Duration::from_secs(3600);
/// A client must go on with a request it began, and fetch its reply, within this time.
const STALL: Duration = Duration::from_secs(30);
/// How long connections may take to send their last replies after the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pause after a failed accept, so that a full descriptor table does not cost a whole core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves requests until the future is dropped: each connection in a task of its own, requests of
/// one connection in order. `handler` gets the unpickled request (a list of values).
///
/// # Errors
/// Only when the listener itself cannot be used; a broken client never ends the loop.
pub async fn serve<H, F>(listener: UnixListener, handler: H) -> io::Result<()>
where
    H: Fn(Vec<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send,
{
    serve_until(listener, handler, std::future::pending()).await
}

/// As [`serve`], until `stop` is ready. Requests being carried out then are still answered (the
/// `stop` command is one of them); idle clients are let go at once.
///
/// # Errors
/// As [`serve`].
pub async fn serve_until<H, F, S>(listener: UnixListener, handler: H, stop: S) -> io::Result<()>
where
    H: Fn(Vec<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send,
    S: Future<Output = ()>,
{
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let path = listener
        .local_addr()
        .ok()
        .and_then(|address| address.as_pathname().map(Path::to_owned));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // the connections notice the end when the sender is dropped, whatever ends this function
    let (ending, ended) = watch::channel(());
    let accept = async {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warning!(TARGET, "Accept socket error: {}", error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if !is_allowed(&stream, path.as_deref()) {
                continue;
            }
            let (handler, ended) = (handler.clone(), ended.clone());
            tokio::spawn(async move {
                converse(stream, handler, ended).await;
                drop(slot);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
    }
    drop(ending);
    let everyone = slots.acquire_many(MAX_CONNECTIONS as u32);
    // whoever has not fetched the last reply by then does not want it
    let _ = timeout(FAREWELL, everyone).await;
    Ok(())
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
        .and_then(|path: &Path| nix::sys::stat::stat(&PathBuf::from(path)).ok())
        .map(|stat| Mode::from_bits_truncate(stat.st_mode))
        .is_some_and(|mode| mode.contains(Mode::S_IWGRP) && !mode.contains(Mode::S_IWOTH));
    if !open_to_group {
        error!(TARGET, "Refused connection of user {} to the socket", uid);
    }
    open_to_group
}

/// Serves one connection to its end.
async fn converse<H, F>(mut stream: UnixStream, handler: H, mut ended: watch::Receiver<()>)
where
    H: Fn(Vec<Value>) -> F,
    F: Future<Output = Reply>,
{
    let mut frames = Frames::default();
    let mut block = vec![0; 32 << 10];
    loop {
        loop {
            let answer = match frames.next_message() {
                Ok(None) => break,
                Ok(Some(message)) if message == wire::CLOSE => return,
                Ok(Some(message)) => answer(message, &handler).await,
                Err(error) => {
                    send(&mut stream, refusal(&error)).await;
                    return;
                }
            };
            if !send(&mut stream, answer).await {
                return;
            }
        }
        let patience = if frames.is_partial() { STALL } else { IDLE };
        let received = tokio::select! {
            received = timeout(patience, stream.read(&mut block)) => received,
            _ = ended.changed() => return,
        };
        match received {
            Ok(Ok(length)) if length > 0 => frames.push(&block[..length]),
            // gone, broken or asleep
            _ => return,
        }
    }
}

/// Carries out a request; its pickled reply.
async fn answer<H, F>(message: &[u8], handler: &H) -> Vec<u8>
where
    H: Fn(Vec<Value>) -> F,
    F: Future<Output = Reply>,
{
    let request = match pickle::decode(message) {
        Ok(request) => request,
        Err(error) => return refusal(&error),
    };
    let reply = match request {
        Value::List(words) | Value::Tuple(words) => handler(words).await,
        other => super::Command::from_value(&other).map(|_| Value::None),
    };
    if let Err(error) = &reply {
        report(message, error);
    }
    pickle::encode_reply(&reply)
}

/// Logs a failed command (fact P4).
fn report(message: &[u8], error: &CommandError) {
    // read again: failures are rare, and the words went to the handler
    let command = pickle::decode(message).map_or_else(|_| String::new(), |words| words.repr());
    error!(
        "fail2ban.transmitter",
        "Command {} has failed. Received {}",
        command,
        error.repr()
    );
}

/// The answer to what cannot be read.
fn refusal(error: &dyn std::error::Error) -> Vec<u8> {
    error!(TARGET, "PROTO-error: load message failed: {}", error);
    pickle::encode(&Value::Str(format!("ERROR: {error}")))
}

/// Sends a message; whether the client took it.
async fn send(stream: &mut UnixStream, pickle: Vec<u8>) -> bool {
    let message = wire::frame(pickle);
    matches!(timeout(STALL, stream.write_all(&message)).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream as Client;

    use super::*;

    /// Echoes, fails on `fail`, sleeps on `sleep`.
    async fn handler(words: Vec<Value>) -> Reply {
        match words.first().and_then(Value::as_str) {
            Some("fail") => Err(CommandError::new("no")),
            Some("sleep") => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok("slept".into())
            }
            _ => Ok(Value::List(words)),
        }
    }

    struct Server {
        path: PathBuf,
        _dir: tempfile::TempDir,
        runtime: tokio::runtime::Runtime,
        stop: Option<tokio::sync::oneshot::Sender<()>>,
        task: Option<tokio::task::JoinHandle<io::Result<()>>>,
    }

    fn server() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = runtime.spawn(serve_until(listener, handler, async {
            let _ = stopped.await;
        }));
        Server {
            path,
            _dir: dir,
            runtime,
            stop: Some(stop),
            task: Some(task),
        }
    }

    fn request(words: &[&str]) -> Vec<u8> {
        let words: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
        wire::frame(pickle::encode(&Value::List(words)))
    }

    fn receive(client: &mut Client) -> Vec<u8> {
        let mut frames = Frames::default();
        let mut block = [0; 1000];
        loop {
            let length = client.read(&mut block).unwrap();
            assert!(length > 0, "connection closed");
            frames.push(&block[..length]);
            if let Some(message) = frames.next_message().unwrap() {
                return message.to_vec();
            }
        }
    }

    fn ask(client: &mut Client, words: &[&str]) -> Reply {
        client.write_all(&request(words)).unwrap();
        pickle::decode_reply(&receive(client)).unwrap()
    }

    fn closed(client: &mut Client) -> bool {
        matches!(client.read(&mut [0; 10]), Ok(0) | Err(_))
    }

    #[test]
    fn answers_many_clients_and_many_requests() {
        let server = server();
        let mut clients: Vec<_> = (0..20)
            .map(|_| Client::connect(&server.path).unwrap())
            .collect();
        for round in ["a", "b"] {
            for client in &mut clients {
                assert_eq!(ask(client, &[round]), Ok(vec![round].into()));
            }
        }
        let both = [request(&["x"]), request(&["y"])].concat();
        clients[0].write_all(&both).unwrap();
        let mut bytes = Vec::new();
        let expected = [request(&["x"]).len(), request(&["y"]).len()];
        while bytes.len() < expected.iter().sum::<usize>() {
            let mut block = [0; 100];
            let length = clients[0].read(&mut block).unwrap();
            bytes.extend_from_slice(&block[..length]);
        }
        assert_eq!(
            ask(&mut clients[1], &["fail"]),
            Err(CommandError::new("no"))
        );
    }

    #[test]
    fn bad_clients_harm_only_themselves() {
        let server = server();
        let mut slow = Client::connect(&server.path).unwrap();
        slow.write_all(&request(&["half"])[..10]).unwrap();
        let mut dead = Client::connect(&server.path).unwrap();
        dead.write_all(&request(&["never read"])).unwrap();
        drop(dead);
        let mut garbage = Client::connect(&server.path).unwrap();
        let noise: Vec<u8> = (0..=255).cycle().take(5000).collect();
        garbage.write_all(&wire::frame(noise)).unwrap();
        let answer = pickle::decode(&receive(&mut garbage)).unwrap();
        assert!(answer.str().starts_with("ERROR: "), "{answer:?}");
        assert_eq!(ask(&mut garbage, &["still"]), Ok(vec!["still"].into()));
        garbage
            .write_all(&wire::frame(wire::CLOSE.to_vec()))
            .unwrap();
        assert!(closed(&mut garbage));
        slow.write_all(&request(&["half"])[10..]).unwrap();
        let late = pickle::decode_reply(&receive(&mut slow)).unwrap();
        assert_eq!(late, Ok(vec!["half"].into()));
    }

    #[test]
    fn last_replies_arrive_and_idle_clients_are_let_go() {
        let mut server = server();
        let mut idle = Client::connect(&server.path).unwrap();
        assert!(ask(&mut idle, &["x"]).is_ok());
        let mut busy = Client::connect(&server.path).unwrap();
        busy.write_all(&request(&["sleep"])).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        server.stop.take().unwrap().send(()).unwrap();
        assert!(closed(&mut idle));
        let last = pickle::decode_reply(&receive(&mut busy)).unwrap();
        assert_eq!(last, Ok("slept".into()));
        let task = server.task.take().unwrap();
        server.runtime.block_on(task).unwrap().unwrap();
        assert!(closed(&mut busy));
    }

    #[test]
    fn one_write_per_reply() {
        let server = server();
        let mut client = Client::connect(&server.path).unwrap();
        let long = "x".repeat(50_000);
        client.write_all(&request(&[&long])).unwrap();
        let mut block = vec![0; 100_000];
        let length = client.read(&mut block).unwrap();
        assert!(block[..length].ends_with(wire::END));
    }
}
