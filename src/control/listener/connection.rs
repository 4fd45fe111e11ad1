//! One client connection of the control socket. Serves requests until the client disconnects, times out,
//! or the server shuts down.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{ConnectionSlot, ConnectionSlots, HandlerResponse, TARGET};
use crate::control::wire::{self, FrameBuffer};
use crate::control::{Command, CommandError, Value, pickle};
use crate::error;
use crate::jail::EventSubscription;

/// A client that has said nothing for so long is let go.
const IDLE: Duration = Duration::from_secs(3600);
/// A client must fetch its reply within this time.
const STALL: Duration = Duration::from_secs(30);
/// How much is read at once, in bytes.
const BLOCK: usize = 32 << 10;
/// Events that follow each other within this time are sent together, and none before it is over: in a flood of
/// failures neither side is woken for each, and who listens does not take the processor from a ban that has
/// just begun.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes of events that are sent at once.
const TOGETHER: usize = 256 << 10;
/// A longer request than this, in bytes, is long: few are received at once.
const LONG: usize = 64 << 10;

/// One client.
pub(super) struct ClientConnection {
    pub(super) stream: UnixStream,
    /// Its sender is dropped at the end of the server.
    pub(super) ended: watch::Receiver<()>,
    pub(super) places: Arc<ConnectionSlots>,
}

impl ClientConnection {
    /// Serves the client until one of both has enough.
    pub(super) async fn converse<H, F>(mut self, place: ConnectionSlot, handler: H)
    where
        H: Fn(Vec<Value>) -> F,
        F: Future<Output: Into<HandlerResponse>>,
    {
        let _place = match place {
            ConnectionSlot::Taken(place) => place,
            ConnectionSlot::Waiting(_waiting) => tokio::select! {
                place = self.places.wait() => match place {
                    Ok(place) => place,
                    Err(_) => return,
                },
                _ = self.ended.changed() => return,
            },
        };
        let mut frames = FrameBuffer::default();
        // since when it has sent no whole request, and when the present one began
        let (mut since, mut began) = (Instant::now(), None);
        let mut permit = None;
        loop {
            loop {
                let answer = match frames.next_message() {
                    Ok(None) => break,
                    Ok(Some(message)) if message == wire::CLOSE => return,
                    Ok(Some(message)) => answer(message, &handler).await,
                    Err(error) => Err(refusal(&error, true)),
                };
                let sent = match answer {
                    Ok(HandlerResponse::Reply(reply)) => {
                        self.send(pickle::encode_reply(&reply)).await
                    }
                    Ok(HandlerResponse::Events(events)) => return self.relay(events).await,
                    Err(UnreadableRequest { text, fatal }) => self.send(text).await && !fatal,
                };
                if !sent {
                    return;
                }
                (since, began) = (Instant::now(), None);
            }
            if frames.pending() <= LONG {
                permit = None;
            } else if permit.is_none() {
                // others before it take no longer than a request may
                let patience = 2 * self.places.limits.request;
                let long = Arc::clone(&self.places.long).acquire_owned();
                match timeout(patience, long).await {
                    Ok(Ok(one)) => permit = Some(one),
                    _ => return,
                }
                began = None;
            }
            // counted from the first byte, so that one byte now and then is not enough
            let end = if frames.is_partial() {
                *began.get_or_insert_with(Instant::now) + self.places.limits.request
            } else {
                since + IDLE
            };
            if !self.receive(&mut frames, since, end).await {
                return;
            }
        }
    }

    /// Sends events until either side has enough. Whatever the client says ends it.
    async fn relay(mut self, mut events: EventSubscription) {
        let frame = |event| wire::frame(pickle::encode_reply(&Ok(event)));
        let mut message = frame(Value::from("events"));
        loop {
            let is_full = message.len() >= TOGETHER;
            if !self.write(&message).await {
                return;
            }
            message = tokio::select! {
                event = events.next() => match event {
                    Some(event) => frame(event),
                    None => return,
                },
                () = said_something(&self.stream) => return,
                _ = self.ended.changed() => return,
            };
            if !is_full {
                sleep(GATHER).await;
            }
            while message.len() < TOGETHER
                && let Some(event) = events.happened()
            {
                message.extend(frame(event));
            }
        }
    }

    /// Waits for more bytes until `end`; whether there were any. `since`: of the last whole request.
    async fn receive(&mut self, frames: &mut FrameBuffer, since: Instant, end: Instant) -> bool {
        loop {
            let readable = tokio::select! {
                readable = timeout_at(end, self.stream.readable()) => readable,
                _ = self.ended.changed() => return false,
                () = self.places.crowded.notified() => {
                    if since.elapsed() > self.places.limits.rest {
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
        self.write(&wire::frame(pickle)).await
    }

    /// Sends messages with their ends; whether the client took them.
    async fn write(&mut self, messages: &[u8]) -> bool {
        let sent = timeout(STALL, self.stream.write_all(messages)).await;
        matches!(sent, Ok(Ok(())))
    }
}

/// Waits until a client speaks or leaves.
async fn said_something(stream: &UnixStream) {
    while stream.readable().await.is_ok() {
        // it is told as readable until a read finds nothing
        match stream.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

/// What is said to a request that cannot be read.
struct UnreadableRequest {
    text: Vec<u8>,
    /// Nothing of what follows can be read either.
    fatal: bool,
}

/// Carries out a request.
async fn answer<H, F>(message: &[u8], handler: &H) -> Result<HandlerResponse, UnreadableRequest>
where
    H: Fn(Vec<Value>) -> F,
    F: Future<Output: Into<HandlerResponse>>,
{
    let answer = match pickle::decode(message) {
        Err(error) => return Err(refusal(&error, false)),
        Ok(Value::List(words) | Value::Tuple(words)) => handler(words).await.into(),
        Ok(other) => HandlerResponse::Reply(Command::from_value(&other).map(|_| Value::None)),
    };
    if let HandlerResponse::Reply(Err(error)) = &answer {
        report(message, error);
    }
    Ok(answer)
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
fn refusal(error: &dyn std::error::Error, fatal: bool) -> UnreadableRequest {
    error!(TARGET, "PROTO-error: load message failed: {}", error);
    UnreadableRequest {
        text: pickle::encode(&Value::Str(format!("ERROR: {error}"))),
        fatal,
    }
}
