//! The metrics as they are now, for whoever asks: few questions to the server, however many do; and the file
//! for node-exporter.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hyper::header::ACCEPT;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::sync::Mutex;

use super::events::EventHub;
use super::figures::{self, Figures, FiguresError};
use super::metrics::{self, Failures, MetricsFormat, OwnMetrics};
use super::reply::{self, Reply};
use crate::config::metrics::OldMetricNames;

/// Figures are told to all who ask within this time: the server is not asked again.
const FRESH: Duration = Duration::from_secs(1);
/// How often the file is written.
const INTERVAL: Duration = Duration::from_secs(15);

/// Tells metrics.
#[derive(Debug)]
pub struct Exporter {
    /// Control socket of the server.
    socket: PathBuf,
    names: OldMetricNames,
    /// Tell who is banned.
    addresses: bool,
    state: Mutex<ExporterState>,
    hub: OnceLock<Arc<EventHub>>,
}

#[derive(Debug, Default)]
struct ExporterState {
    failures: Failures,
    latest: Option<(Instant, Option<Arc<Figures>>)>,
}

impl Exporter {
    /// Tells what the server at a control socket does.
    pub fn new(socket: PathBuf, names: OldMetricNames, addresses: bool) -> Arc<Exporter> {
        Arc::new(Exporter {
            socket,
            names,
            addresses,
            state: Mutex::default(),
            hub: OnceLock::new(),
        })
    }

    /// The metrics tell of this, too.
    pub fn tell_of(&self, hub: Arc<EventHub>) {
        // there is but one
        let _ = self.hub.set(hub);
    }

    /// The page of metrics as it is now.
    pub async fn metrics(&self, format: MetricsFormat) -> String {
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
        let own = OwnMetrics {
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

    /// Answers what everybody may ask who can connect: metrics and health. `None`: it is something else.
    pub async fn open(&self, request: &Parts, path: &str) -> Option<Reply> {
        let reply = match path {
            "/metrics" => {
                let accept = request.headers.get_all(ACCEPT).iter();
                let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
                let format = MetricsFormat::accepted(&accept.join(","));
                let page = self.metrics(format).await;
                reply::bytes(StatusCode::OK, format.content_type(), page)
            }
            "/healthz" => reply::text(StatusCode::OK, "ok\n"),
            _ => return None,
        };
        match matches!(request.method, Method::GET | Method::HEAD) {
            true => Some(reply),
            false => Some(reply::method("GET, HEAD")),
        }
    }

    /// Answers where only the metrics are served.
    pub async fn answer(&self, head: &Parts) -> Reply {
        let path = head.uri.path();
        if let Some(reply) = self.open(head, path).await {
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
            let page = self.metrics(MetricsFormat::Text).await;
            match replace(file, &page) {
                Err(error) if first => return Err(error),
                Err(error) => warn(&error),
                Ok(()) => {}
            }
            first = false;
        }
    }
}

/// Puts a whole file in the place of another: who reads it sees the one or the other.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file)
}
