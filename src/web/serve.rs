//! The HTTP server: connections, and what is served on each.

use std::collections::HashMap;
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
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::access::WebPeer;
use super::exporter::Exporter;
use super::router::{self, Site};
use super::sessions::WebClient;
use crate::config::metrics::Listen;
use crate::sys::activation::Passed;

/// Connections served at once; a further one takes the place of another.
const CONNECTIONS: usize = 256;
/// A request must be there so long after the connection, or after the last answer.
const REQUEST: Duration = Duration::from_secs(30);
/// Bytes of a head, and of an answer that waits for a client to take it.
const BUFFER: usize = 64 << 10;
/// Pause after a failed accept, so that a full descriptor table does not cost a whole core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
#[derive(Debug)]
pub enum WebEndpoint {
    /// An address and a port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl WebEndpoint {
    /// Listens at a place. It needs a runtime.
    ///
    /// # Errors
    /// Nobody can listen there.
    pub async fn bind(listen: &Listen) -> std::io::Result<WebEndpoint> {
        Ok(match listen {
            Listen::Tcp(address) => WebEndpoint::Tcp(TcpListener::bind(address).await?),
            Listen::Unix(path) => {
                remove_stale(path)?;
                WebEndpoint::Unix(UnixListener::bind(path)?)
            }
        })
    }

    /// One that systemd has passed on. It needs a runtime.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn passed(passed: Passed) -> std::io::Result<WebEndpoint> {
        Ok(match passed {
            Passed::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                WebEndpoint::Tcp(TcpListener::from_std(listener)?)
            }
            Passed::Unix(listener) => {
                listener.set_nonblocking(true)?;
                WebEndpoint::Unix(UnixListener::from_std(listener)?)
            }
        })
    }

    /// Whether only this host can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            WebEndpoint::Tcp(listener) => {
                let address = listener.local_addr();
                address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
            }
            WebEndpoint::Unix(_) => true,
        }
    }
}

/// Answers requests until the process ends: those for the metrics, and with a site all others too.
///
/// # Errors
/// A connection cannot be accepted, and never will be.
pub async fn serve(
    exporter: Arc<Exporter>,
    listener: WebEndpoint,
    site: Option<Arc<Site>>,
    tls: Option<TlsAcceptor>,
) -> std::io::Result<()> {
    let mut places = ServedClients::default();
    loop {
        let (exporter, site) = (exporter.clone(), site.clone());
        let accepted = match &listener {
            WebEndpoint::Tcp(listener) => listener.accept().await.map(|(stream, from)| {
                let peer = WebPeer {
                    address: Some(from.ip()),
                    encrypted: tls.is_some(),
                };
                let task = match tls.clone() {
                    None => tokio::spawn(converse(exporter, stream, site, peer)),
                    Some(tls) => tokio::spawn(async move {
                        if let Ok(Ok(stream)) = timeout(REQUEST, tls.accept(stream)).await {
                            converse(exporter, stream, site, peer).await;
                        }
                    }),
                };
                (peer, task)
            }),
            WebEndpoint::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let peer = WebPeer::default();
                (peer, tokio::spawn(converse(exporter, stream, site, peer)))
            }),
        };
        match accepted {
            Ok((peer, task)) => places.take(WebClient::from(peer.address), task.abort_handle()),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn converse<S>(exporter: Arc<Exporter>, stream: S, site: Option<Arc<Site>>, peer: WebPeer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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

/// The connections that are served, the oldest first.
#[derive(Debug, Default)]
struct ServedClients(Vec<(WebClient, AbortHandle)>);

impl ServedClients {
    /// One more is served. Where there are too many, the oldest ends of the client who has most: whoever
    /// opens many and says nothing, or takes no answer, keeps nobody out but themselves.
    fn take(&mut self, client: WebClient, task: AbortHandle) {
        self.0.retain(|(_, task)| !task.is_finished());
        if self.0.len() >= CONNECTIONS {
            let mut counts: HashMap<WebClient, usize> = HashMap::new();
            for (client, _) in &self.0 {
                *counts.entry(*client).or_default() += 1;
            }
            let most = counts.values().max();
            let of_most = |(client, _): &(WebClient, AbortHandle)| counts.get(client) == most;
            if let Some(place) = self.0.iter().position(of_most) {
                self.0.remove(place).1.abort();
            }
        }
        self.0.push((client, task));
    }
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn the_client_with_most_connections_makes_room() {
        let mut places = ServedClients::default();
        let take = |places: &mut ServedClients, last| {
            let client = WebClient::from(Some(Ipv4Addr::new(192, 0, 2, last).into()));
            let task = tokio::spawn(std::future::pending::<()>());
            places.take(client, task.abort_handle());
            task
        };
        let few = [take(&mut places, 1), take(&mut places, 1)];
        let first = take(&mut places, 2);
        let second = take(&mut places, 2);
        while places.0.len() < CONNECTIONS {
            take(&mut places, 2);
        }
        let late = take(&mut places, 3);
        assert!(first.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(places.0.len(), CONNECTIONS);
        for _ in 0..2 * CONNECTIONS {
            take(&mut places, 2);
        }
        assert!(second.await.is_err_and(|error| error.is_cancelled()));
        assert!(!few.iter().any(|one| one.is_finished()) && !late.is_finished());
        assert_eq!(places.0.len(), CONNECTIONS);
    }
}
