//! The HTTP server: connections, and what is served on each.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::access::Peer;
use super::exporter::Exporter;
use super::router::{self, Site};
use crate::config::metrics::Listen;
use crate::sys::activation::Passed;

/// Connections served at once; further ones wait.
const CONNECTIONS: usize = 256;
/// A request must be there so long after the connection, or after the last answer.
const REQUEST: Duration = Duration::from_secs(30);
/// Bytes of a head, and of an answer that waits for a client to take it.
const BUFFER: usize = 64 << 10;
/// Pause after a failed accept, so that a full descriptor table does not cost a whole core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// Listens at a place. It needs a runtime.
    ///
    /// # Errors
    /// Nobody can listen there.
    pub async fn bind(listen: &Listen) -> std::io::Result<Listener> {
        Ok(match listen {
            Listen::Tcp(address) => Listener::Tcp(TcpListener::bind(address).await?),
            Listen::Unix(path) => {
                remove_stale(path)?;
                Listener::Unix(UnixListener::bind(path)?)
            }
        })
    }

    /// One that systemd has passed on. It needs a runtime.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn passed(passed: Passed) -> std::io::Result<Listener> {
        Ok(match passed {
            Passed::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Listener::Tcp(TcpListener::from_std(listener)?)
            }
            Passed::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Listener::Unix(UnixListener::from_std(listener)?)
            }
        })
    }

    /// Whether only this host can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Listener::Tcp(listener) => {
                let address = listener.local_addr();
                address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
            }
            Listener::Unix(_) => true,
        }
    }
}

/// Answers requests until the process ends: those for the metrics, and with a site all others too.
///
/// # Errors
/// A connection cannot be accepted, and never will be.
pub async fn serve(
    exporter: Arc<Exporter>,
    listener: Listener,
    site: Option<Arc<Site>>,
    tls: Option<TlsAcceptor>,
) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = place(&places).await;
        let (exporter, site) = (exporter.clone(), site.clone());
        match &listener {
            Listener::Tcp(listener) => {
                let Ok((stream, from)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let mut peer = Peer {
                    address: Some(from.ip()),
                    encrypted: false,
                };
                let Some(tls) = tls.clone() else {
                    tokio::spawn(converse(exporter, stream, site, peer, place));
                    continue;
                };
                peer.encrypted = true;
                tokio::spawn(async move {
                    if let Ok(Ok(stream)) = timeout(REQUEST, tls.accept(stream)).await {
                        converse(exporter, stream, site, peer, place).await;
                    }
                });
            }
            Listener::Unix(listener) => match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(converse(exporter, stream, site, Peer::default(), place));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

async fn converse<S>(
    exporter: Arc<Exporter>,
    stream: S,
    site: Option<Arc<Site>>,
    peer: Peer,
    place: Option<OwnedSemaphorePermit>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _place = place;
    let service = service_fn(|request: Request<Incoming>| {
        let (exporter, site) = (exporter.clone(), site.clone());
        async move {
            Ok::<_, Infallible>(match &site {
                Some(site) => router::answer(&exporter, site, peer, request).await,
                None => exporter.answer(&request.into_parts().0).await,
            })
        }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(BUFFER);
    // a client that breaks off harms nobody
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // it is never closed
    places.clone().acquire_owned().await.ok()
}

/// Removes the socket that an earlier process has left.
fn remove_stale(path: &Path) -> std::io::Result<()> {
    let refused = std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    match refused {
        true => std::fs::remove_file(path),
        false => Ok(()),
    }
}
