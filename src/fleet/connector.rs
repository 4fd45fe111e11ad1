//! Connects to the engine: directly, over TLS, over a Unix socket, or by way of sentinels, which know the
//! current master. Replies are bounded: an engine that sends more than was asked for is disconnected.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    cmd,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::failure::{EngineError, PATIENCE, Result};
use super::settings::FleetSettings;
use crate::http::tls::Tls;

/// The schemes of URLs, whether they name sentinels, and whether these and the engine are reached by TLS.
const SCHEMES: [(&str, bool, bool); 5] = [
    ("redis+sentinel://", true, false),
    ("rediss+sentinel://", true, true),
    ("rediss://", false, true),
    ("redis://", false, false),
    ("unix://", false, false),
];
/// Where sentinels listen unless a port is named.
const SENTINEL_PORT: u16 = 26379;
/// Bytes of the longest entry, with what the engine writes around it.
const ENTRY_BYTES: i64 = 2_048;
/// Its lines: every value has one at least, so that many tiny ones do not fill the memory either.
const ENTRY_LINES: i64 = 64;
/// Entries that the answers of a greeting may be as long as.
const GREETING: usize = 4;

/// Where somebody listens.
#[derive(Clone, Debug)]
enum Endpoint {
    Tcp(String, u16),
    Socket(PathBuf),
}

/// Where the engine is, and how it is spoken to.
pub struct Connector {
    /// The engine, or the sentinels.
    endpoints: Vec<Endpoint>,
    /// What sentinels call the engine.
    master: Option<String>,
    tls: Option<Arc<ClientConfig>>,
    login: RedisConnectionInfo,
    sentinel_login: RedisConnectionInfo,
}

impl Connector {
    /// Reads the settings and the files that they name; connects to nothing.
    ///
    /// # Errors
    /// A URL that is none, a file that cannot be read.
    pub fn new(settings: &FleetSettings) -> Result<Connector> {
        let scheme = SCHEMES
            .into_iter()
            .find_map(|(scheme, sentinels, tls)| {
                let rest = settings.url.strip_prefix(scheme)?;
                Some((scheme, rest, sentinels, tls))
            })
            .ok_or_else(wrong_url)?;
        let (scheme, rest, by_sentinels, tls) = scheme;
        let password = settings.password.as_deref().map(secret).transpose()?;
        let tls = tls.then(|| {
            let tls = Tls {
                ca: settings.ca.clone(),
                certificate: settings.certificate.clone(),
            };
            tls.config()
                .map_err(|error| EngineError::Settings(format!("[fleet] {error}")))
        });
        let tls = tls.transpose()?;
        if by_sentinels {
            let sentinel_password = settings.sentinel_password.as_deref();
            let sentinel_password = sentinel_password.map(secret).transpose()?;
            let (login, endpoints, master) = sentinels(rest, password)?;
            return Ok(Connector {
                endpoints,
                master: Some(master),
                tls,
                login,
                sentinel_login: with_password(RedisConnectionInfo::default(), sentinel_password),
            });
        }
        let plain = match scheme {
            "unix://" => settings.url.clone(),
            _ => format!("redis://{rest}"),
        };
        let info = read_url(&plain).ok_or_else(wrong_url)?;
        let endpoint = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Endpoint::Tcp(host.clone(), *port),
            ConnectionAddr::Unix(path) => Endpoint::Socket(path.clone()),
            _ => return Err(wrong_url()),
        };
        Ok(Connector {
            endpoints: vec![endpoint],
            master: None,
            tls,
            login: with_password(info.redis_settings().clone(), password),
            sentinel_login: RedisConnectionInfo::default(),
        })
    }

    /// Connects, within `patience` for each who is asked.
    ///
    /// # Errors
    /// Nobody is there, or refuses.
    pub async fn open(&self, patience: Duration) -> Result<(MultiplexedConnection, Allowance)> {
        let Some(master) = &self.master else {
            return self.reach(&self.endpoints[0], &self.login, patience).await;
        };
        let mut failed = EngineError::Settings("[fleet] url: it names no sentinel".to_owned());
        for sentinel in &self.endpoints {
            match self.ask_sentinel(sentinel, master, patience).await {
                Ok(endpoint) => return self.reach(&endpoint, &self.login, patience).await,
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Where the master is, by what a sentinel says.
    async fn ask_sentinel(
        &self,
        sentinel: &Endpoint,
        master: &str,
        patience: Duration,
    ) -> Result<Endpoint> {
        let login = &self.sentinel_login;
        let (mut connection, _) = self.reach(sentinel, login, patience).await?;
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        let answer: Option<(String, u16)> = question.query_async(&mut connection).await?;
        let (host, port) = answer.ok_or_else(|| {
            EngineError::Settings(format!(
                "[fleet] url: {sentinel} knows no master called {master}"
            ))
        })?;
        Ok(Endpoint::Tcp(host, port))
    }

    async fn reach(
        &self,
        endpoint: &Endpoint,
        login: &RedisConnectionInfo,
        patience: Duration,
    ) -> Result<(MultiplexedConnection, Allowance)> {
        let away = |error| EngineError::Away {
            place: endpoint.to_string(),
            error,
        };
        let reached = timeout(patience, async {
            let allowance = Allowance::default();
            allowance.grant(GREETING);
            let bounded = Bounded {
                stream: self.stream(endpoint).await.map_err(away)?,
                allowance: allowance.clone(),
            };
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE[1]));
            let (connection, driver) =
                MultiplexedConnection::new_with_config(login, bounded, config).await?;
            // ends with the connection
            tokio::spawn(driver);
            Ok((connection, allowance))
        });
        match reached.await {
            Ok(reached) => reached,
            Err(_) => Err(away(io::ErrorKind::TimedOut.into())),
        }
    }

    async fn stream(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
        let (host, port) = match endpoint {
            Endpoint::Tcp(host, port) => (host, *port),
            Endpoint::Socket(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        };
        let host = host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(tls.clone());
        Ok(Box::new(connector.connect(name, stream).await?))
    }

    /// Hosts and ports by which it is reached; none by a socket.
    pub fn places(&self) -> Vec<(String, u16)> {
        let places = self.endpoints.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(host, port) => Some((host.clone(), *port)),
            Endpoint::Socket(_) => None,
        });
        places.collect()
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the rest are secrets
        f.debug_struct("Connector")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
            Endpoint::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How long the next answer may be. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Allowance(Arc<Remaining>);

#[derive(Debug, Default)]
struct Remaining {
    bytes: AtomicI64,
    lines: AtomicI64,
}

impl Allowance {
    /// As long as so many entries.
    pub fn grant(&self, entries: usize) {
        let entries = i64::try_from(entries).unwrap_or(i64::MAX);
        let Remaining { bytes, lines } = &*self.0;
        bytes.store(entries.saturating_mul(ENTRY_BYTES), Ordering::Relaxed);
        lines.store(entries.saturating_mul(ENTRY_LINES), Ordering::Relaxed);
    }

    /// Whether more has come.
    pub fn is_exceeded(&self) -> bool {
        let Remaining { bytes, lines } = &*self.0;
        bytes.load(Ordering::Relaxed) < 0 || lines.load(Ordering::Relaxed) < 0
    }

    fn spend(&self, piece: &[u8]) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let lines = memchr::memchr_iter(b'\n', piece).count();
        self.0
            .bytes
            .fetch_sub(count(piece.len()), Ordering::Relaxed);
        self.0.lines.fetch_sub(count(lines), Ordering::Relaxed);
    }
}

/// What can be read and written.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream that breaks where more comes than is allowed.
struct Bounded {
    stream: Box<dyn Stream>,
    allowance: Allowance,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.allowance.spend(&buffer.filled()[before..]);
        match self.allowance.is_exceeded() {
            true => Poll::Ready(Err(io::Error::from(io::ErrorKind::FileTooLarge))),
            false => read,
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn wrong_url() -> EngineError {
    EngineError::Settings(
        "[fleet] url: it is redis://HOST, rediss://HOST, redis+sentinel://HOST,HOST/MASTER, \
         rediss+sentinel://HOST,HOST/MASTER or unix:///PATH"
            .to_owned(),
    )
}

fn secret(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        EngineError::Settings(format!("[fleet] cannot read {}: {error}", path.display()))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_url(url: &str) -> Option<ConnectionInfo> {
    url.into_connection_info().ok()
}

fn with_password(login: RedisConnectionInfo, password: Option<String>) -> RedisConnectionInfo {
    let login = login.set_skip_set_lib_name();
    match password {
        Some(password) => login.set_password(password),
        None => login,
    }
}

/// `[USER[:PASSWORD]@]HOST[:PORT],…/MASTER`: user and password are those of the master.
fn sentinels(
    text: &str,
    password: Option<String>,
) -> Result<(RedisConnectionInfo, Vec<Endpoint>, String)> {
    let (user, rest) = text.rsplit_once('@').unwrap_or(("", text));
    let (hosts, master) = rest.split_once('/').ok_or_else(wrong_url)?;
    if master.is_empty() {
        return Err(wrong_url());
    }
    let endpoints = hosts.split(',').map(|host| {
        let named = match host.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => host.to_owned(),
            _ => format!("{host}:{SENTINEL_PORT}"),
        };
        match read_url(&format!("redis://{named}"))?.addr() {
            ConnectionAddr::Tcp(host, port) => Some(Endpoint::Tcp(host.clone(), *port)),
            _ => None,
        }
    });
    let endpoints: Option<Vec<Endpoint>> = endpoints.collect();
    // a URL of one host reads user and password
    let login = read_url(&format!("redis://{user}@localhost")).ok_or_else(wrong_url)?;
    let login = with_password(login.redis_settings().clone(), password);
    Ok((login, endpoints.ok_or_else(wrong_url)?, master.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_was_asked_for_or_breaks() {
        let allowance = Allowance::default();
        allowance.grant(1);
        allowance.spend(&[b'x'; 2_048]);
        assert!(!allowance.is_exceeded());
        allowance.spend(b"x");
        assert!(allowance.is_exceeded());
        allowance.grant(1);
        allowance.spend(&[b'\n'; 64]);
        assert!(!allowance.is_exceeded());
        allowance.spend(b"\n");
        assert!(allowance.is_exceeded());
    }

    #[test]
    fn sentinels_are_named_with_and_without_ports() {
        let (login, endpoints, master) =
            sentinels("mx1:p%40ss@s1:1,s2,[2001:db8::1]/m", None).unwrap();
        let endpoints: Vec<String> = endpoints.iter().map(Endpoint::to_string).collect();
        assert_eq!(endpoints[..2], ["s1:1", "s2:26379"]);
        assert!(endpoints[2].ends_with(":26379"), "{endpoints:?}");
        assert_eq!(
            (login.username(), login.password()),
            (Some("mx1"), Some("p@ss"))
        );
        assert_eq!(master, "m");
        for text in ["s1", "s1/", ",/m"] {
            assert!(sentinels(text, None).is_err(), "{text}");
        }
        let (login, ..) = sentinels("mx1@s1/m", Some("own".to_owned())).unwrap();
        assert_eq!(login.password(), Some("own"));
    }
}
