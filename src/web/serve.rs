//! The HTTP server: connections, and what is served on each.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::access::Peer;
use super::events::Hub;
use super::figures::{self, Figures, FiguresError};
use super::metrics::{self, Failures, Format, Own};
use super::reply::{self, Reply};
use super::router::{self, Site};
use crate::config::metrics::{Listen, Names};
use crate::sys::activation::Passed;

/// Connections served at once; further ones wait.
const CONNECTIONS: usize = 256;
/// A request must be there so long after the connection, or after the last answer.
const REQUEST: Duration = Duration::from_secs(30);
/// Bytes of a head, and of an answer that waits for a client to take it.
const BUFFER: usize = 64 << 10;
/// Figures are told to all who ask within this time: the server is not asked again.
const FRESH: Duration = Duration::from_secs(1);
/// Pause after a failed accept, so that a full descriptor table does not cost a whole core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the file is written.
const INTERVAL: Duration = Duration::from_secs(15);

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

/// What is served.
#[derive(Debug)]
pub struct Service {
    /// Control socket of the server.
    socket: PathBuf,
    names: Names,
    /// Tell who is banned.
    addresses: bool,
    state: Mutex<State>,
    hub: OnceLock<Arc<Hub>>,
}

#[derive(Debug, Default)]
struct State {
    failures: Failures,
    latest: Option<(Instant, Option<Arc<Figures>>)>,
}

impl Service {
    /// Serves what the server at a control socket tells.
    pub fn new(socket: PathBuf, names: Names, addresses: bool) -> Arc<Service> {
        Arc::new(Service {
            socket,
            names,
            addresses,
            state: Mutex::default(),
            hub: OnceLock::new(),
        })
    }

    /// The metrics tell of this, too.
    pub fn tell_of(&self, hub: Arc<Hub>) {
        // there is but one
        let _ = self.hub.set(hub);
    }

    /// The page of metrics as it is now.
    pub async fn metrics(&self, format: Format) -> String {
        // who asks meanwhile waits for the answer, and has it too
        let mut state = self.state.lock().await;
        let fresh = |latest: &(Instant, Option<Arc<Figures>>)| latest.0.elapsed() < FRESH;
        let figures = match state.latest.clone().filter(fresh) {
            Some((_, figures)) => figures,
            None => {
                let figures = self.ask(&mut state.failures).await;
                state.latest = Some((Instant::now(), figures.clone()));
                figures
            }
        };
        let own = Own {
            failures: state.failures,
            listeners: self.hub.get().map(|hub| hub.health()),
        };
        metrics::page(figures.as_deref(), &own, self.names, format)
    }

    async fn ask(&self, failures: &mut Failures) -> Option<Arc<Figures>> {
        let (socket, addresses) = (self.socket.clone(), self.addresses);
        let asked = tokio::task::spawn_blocking(move || figures::ask(&socket, addresses)).await;
        match asked {
            Ok(Ok(figures)) => return Some(Arc::new(figures)),
            Ok(Err(FiguresError::Connect(_))) => failures.connect += 1,
            Ok(Err(FiguresError::Request(_))) | Err(_) => failures.request += 1,
        }
        None
    }

    /// Answers requests until the process ends: those for the metrics, and with a site all others too.
    ///
    /// # Errors
    /// A connection cannot be accepted, and never will be.
    pub async fn serve(
        self: Arc<Self>,
        listener: Listener,
        site: Option<Arc<Site>>,
        tls: Option<TlsAcceptor>,
    ) -> std::io::Result<()> {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let place = place(&places).await;
            let (service, site) = (self.clone(), site.clone());
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
                        tokio::spawn(service.converse(stream, site, peer, place));
                        continue;
                    };
                    peer.encrypted = true;
                    tokio::spawn(async move {
                        if let Ok(Ok(stream)) = timeout(REQUEST, tls.accept(stream)).await {
                            service.converse(stream, site, peer, place).await;
                        }
                    });
                }
                Listener::Unix(listener) => match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::spawn(service.converse(stream, site, Peer::default(), place));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    async fn converse<S>(
        self: Arc<Self>,
        stream: S,
        site: Option<Arc<Site>>,
        peer: Peer,
        place: Option<OwnedSemaphorePermit>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let _place = place;
        let service = service_fn(|request| {
            let (service, site) = (self.clone(), site.clone());
            async move {
                Ok::<_, Infallible>(match &site {
                    Some(site) => router::answer(&service, site, peer, request).await,
                    None => service.answer(request).await,
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

    /// Answers where only the metrics are served.
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (head, _) = request.into_parts();
        let path = head.uri.path();
        if let Some(reply) = router::open(self, &head, path).await {
            return reply;
        }
        match (&head.method, path) {
            (&Method::GET | &Method::HEAD, "/") => {
                reply::text(StatusCode::OK, "Ferroban: the metrics are at /metrics.\n")
            }
            (&Method::GET | &Method::HEAD, _) => reply::text(
                StatusCode::NOT_FOUND,
                "There is nothing here; the metrics are at /metrics.\n",
            ),
            _ => reply::method("GET, HEAD"),
        }
    }

    /// Writes the metrics to a file again and again, whole each time.
    ///
    /// # Errors
    /// It cannot be written the first time; later failures are told to `warn`.
    pub async fn write(&self, file: &Path, warn: impl Fn(&std::io::Error)) -> std::io::Result<()> {
        let mut times = tokio::time::interval(INTERVAL);
        let mut first = true;
        loop {
            times.tick().await;
            let page = self.metrics(Format::Text).await;
            match replace(file, &page) {
                Err(error) if first => return Err(error),
                Err(error) => warn(&error),
                Ok(()) => {}
            }
            first = false;
        }
    }
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

/// Puts a whole file in the place of another: who reads it sees the one or the other.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file)
}
