//! The server's end of the control socket: accepts clients, hands each request to a handler and
//! sends its reply in one write.

use std::future::Future;
use std::os::unix::net::UnixListener;

use super::{Reply, Value};

/// Serves requests until the future is dropped: each connection in a task of its own, requests of
/// one connection in order. `handler` gets the unpickled request (a list of values).
///
/// # Errors
/// Only when the listener itself cannot be used; a broken client never ends the loop.
pub async fn serve<H, F>(_listener: UnixListener, _handler: H) -> std::io::Result<()>
where
    H: Fn(Vec<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send,
{
    Ok(())
}
