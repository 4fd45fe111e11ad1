//! One client of the socket, from its first request to its good-bye.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::TARGET;
use crate::control::wire::{self, Frames};
use crate::control::{Command, CommandError, Reply, Value, pickle};
use crate::error;

/// A client that has said nothing for so long is let go.
const IDLE: Duration = Duration::from_secs(3600);
/// A client must go on with a request it began, and fetch its reply, within this time.
const STALL: Duration = Duration::from_secs(30);
/// How much is read at once, in bytes.
const BLOCK: usize = 32 << 10;
/// One client.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    /// Its sender is dropped at the end of the server.
    pub(super) ended: watch::Receiver<()>,
    /// Tells that other clients are waiting.
    pub(super) crowded: Arc<Notify>,
    /// How long it must have been silent to leave then.
    pub(super) rest: Duration,
}

impl Connection {
    /// Serves the client until one of both has enough.
    pub(super) async fn converse<H, F>(mut self, handler: H)
    where
        H: Fn(Vec<Value>) -> F,
        F: Future<Output = Reply>,
    {
        let mut frames = Frames::default();
        loop {
            loop {
                let answer = match frames.next_message() {
                    Ok(None) => break,
                    Ok(Some(message)) if message == wire::CLOSE => return,
                    Ok(Some(message)) => answer(message, &handler).await,
                    Err(error) => {
                        self.send(refusal(&error)).await;
                        return;
                    }
                };
                if !self.send(answer).await {
                    return;
                }
            }
            if !self.receive(&mut frames).await {
                return;
            }
        }
    }

    /// Waits for more bytes; whether there were any.
    async fn receive(&mut self, frames: &mut Frames) -> bool {
        let patience = if frames.is_partial() { STALL } else { IDLE };
        let since = Instant::now();
        loop {
            let readable = tokio::select! {
                readable = timeout(patience, self.stream.readable()) => readable,
                _ = self.ended.changed() => return false,
                () = self.crowded.notified() => {
                    if since.elapsed() > self.rest {
                        return false;
                    }
                    continue;
                }
            };
            if !matches!(readable, Ok(Ok(()))) {
                return false;
            }
            // made anew for each message: a client that rests holds no memory
            let mut block = Vec::with_capacity(BLOCK);
            match self.stream.try_read_buf(&mut block) {
                Ok(0) => return false,
                Ok(_) => {
                    frames.push(&block);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends a message; whether the client took it.
    async fn send(&mut self, pickle: Vec<u8>) -> bool {
        let message = wire::frame(pickle);
        let sent = timeout(STALL, self.stream.write_all(&message)).await;
        matches!(sent, Ok(Ok(())))
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
        other => Command::from_value(&other).map(|_| Value::None),
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
