//! HTTP/1.1 requests, one at a time, each with limits of time and size, over TCP, TLS or a Unix socket.
//!
//! Redirects are not followed, and no proxy is used but a configured one.
#![forbid(unsafe_code)]

pub mod tls;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use self::tls::{Tls, TlsError};

/// How a client introduces itself, unless the request says otherwise.
pub const AGENT: &str = concat!("ferroban/", env!("CARGO_PKG_VERSION"));

/// Bytes of a proxy's answer before a connection is the server's.
const LONGEST_HEAD: usize = 16 << 10;

/// What one request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the look-up of the name to the last byte of the answer.
    pub time: Duration,
    /// Bytes of the answer's body.
    pub size: usize,
}

/// What came back, whatever its status says.
#[derive(Clone, Debug)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most [`HttpLimits::size`].
    pub body: Vec<u8>,
}

impl Response {
    /// Whether the server has done what was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer. No text of these holds the URL's path, user or password.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not something that can be asked.
    #[error("{0}")]
    Url(&'static str),
    /// A method or header that HTTP does not have.
    #[error("{0} is not valid in HTTP")]
    Unsendable(String),
    /// Certificates that cannot be read or used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody is there, or its certificate is not what it must be.
    #[error("cannot connect to {server}: {error}")]
    Connect {
        /// Host and port, or the socket.
        server: String,
        /// What the system says.
        error: io::Error,
    },
    /// The connection broke, or the answer is not HTTP.
    #[error("invalid HTTP response from {server}: {error}")]
    Answer {
        /// Host and port, or the socket.
        server: String,
        /// What was wrong.
        error: hyper::Error,
    },
    /// It takes longer than [`HttpLimits::time`].
    #[error("{server} does not answer within {} seconds", .after.as_secs_f64())]
    Late {
        /// Host and port, or the socket.
        server: String,
        /// The limit.
        after: Duration,
    },
    /// More than [`HttpLimits::size`].
    #[error("response of {server} exceeds {most} bytes")]
    TooLarge {
        /// Host and port, or the socket.
        server: String,
        /// The limit.
        most: usize,
    },
}

/// Asks servers. Cheap to clone; every request has a connection of its own.
#[derive(Clone, Debug)]
pub struct HttpClient {
    tls: Arc<Tls>,
    config: Arc<OnceCell<Arc<ClientConfig>>>,
    socket: Option<PathBuf>,
    proxy: Option<Arc<UrlTarget>>,
}

impl HttpClient {
    /// A client that trusts and shows these certificates. Named files are read now, those of the system when
    /// they are first needed.
    ///
    /// # Errors
    /// A file that cannot be read or used, with its name.
    pub fn new(tls: Tls) -> Result<HttpClient, TlsError> {
        let config = match tls.names_files() {
            true => OnceCell::new_with(Some(tls.config()?)),
            false => OnceCell::new(),
        };
        Ok(HttpClient {
            tls: Arc::new(tls),
            config: Arc::new(config),
            socket: None,
            proxy: None,
        })
    }

    /// The same by a proxy, `http://HOST:PORT`: it connects us to servers with TLS, and asks others for us.
    ///
    /// # Errors
    /// It is no proxy that can be asked.
    pub fn through(mut self, proxy: &str) -> Result<HttpClient, HttpError> {
        self.proxy = Some(Arc::new(UrlTarget::proxy(proxy)?));
        Ok(self)
    }

    /// A client for whom listens on a Unix socket: host and port of URLs are names only, and there is no TLS.
    pub fn over_socket(path: &Path) -> HttpClient {
        HttpClient {
            tls: Arc::default(),
            config: Arc::default(),
            socket: Some(path.to_owned()),
            proxy: None,
        }
    }

    /// Sends a request and takes the whole answer, which may have any status.
    ///
    /// # Errors
    /// There is no answer within the limits.
    pub async fn request(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
        limits: HttpLimits,
    ) -> Result<Response, HttpError> {
        let target = UrlTarget::read(url)?;
        let mut request = target.request(method, headers, body)?;
        if self.proxy.is_some() && !target.secure {
            let whole = format!("http://{}{}", target.authority, target.path);
            *request.uri_mut() = whole
                .parse()
                .map_err(|_| HttpError::Unsendable("the path".to_owned()))?;
        }
        let server = match &self.socket {
            Some(path) => path.display().to_string(),
            None => format!("{}:{}", target.host, target.port),
        };
        let late = || HttpError::Late {
            server: server.clone(),
            after: limits.time,
        };
        let exchange = self.exchange(&target, request, &server, limits.size);
        timeout(limits.time, exchange)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn exchange(
        &self,
        target: &UrlTarget,
        request: Request<Full<Bytes>>,
        server: &str,
        most: usize,
    ) -> Result<Response, HttpError> {
        if let Some(path) = &self.socket {
            let stream = UnixStream::connect(path).await;
            let stream = stream.map_err(|error| HttpError::Connect {
                server: server.to_owned(),
                error,
            })?;
            return converse(stream, request, server, most).await;
        }
        let (first, by_proxy) = match self.proxy.as_deref() {
            Some(proxy) => (proxy, format!("{}:{}", proxy.host, proxy.port)),
            None => (target, server.to_owned()),
        };
        let unreachable = |error| HttpError::Connect {
            server: by_proxy.clone(),
            error,
        };
        let stream = TcpStream::connect((first.bare_host(), first.port)).await;
        let mut stream = stream.map_err(unreachable)?;
        if !target.secure {
            return converse(stream, request, &by_proxy, most).await;
        }
        if self.proxy.is_some() {
            tunnel(&mut stream, target).await.map_err(unreachable)?;
        }
        let host = target.bare_host();
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            HttpError::Url("the URL's host is no name that a certificate could have")
        })?;
        let connector = TlsConnector::from(self.config().await?.clone());
        let unreachable = |error| HttpError::Connect {
            server: server.to_owned(),
            error,
        };
        let stream = connector.connect(name, stream).await.map_err(unreachable)?;
        converse(stream, request, server, most).await
    }

    async fn config(&self) -> Result<&Arc<ClientConfig>, TlsError> {
        let tls = self.tls.clone();
        // the system may have hundreds of certificates, each in a file
        let read = || async move {
            let read = tokio::task::spawn_blocking(move || tls.config());
            read.await.unwrap_or(Err(TlsError::Interrupted))
        };
        self.config.get_or_try_init(read).await
    }
}

/// Whether a text names a proxy that [`HttpClient::through`] can ask.
pub fn is_proxy(text: &str) -> bool {
    UrlTarget::proxy(text).is_ok()
}

/// Has a proxy connect us to a server.
async fn tunnel(proxy: &mut TcpStream, target: &UrlTarget) -> io::Result<()> {
    let place = format!("{}:{}", target.host, target.port);
    let request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
    proxy.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    // byte by byte: what follows is the server's
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return Err(io::Error::other("the proxy's answer does not end"));
        }
        head.push(proxy.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    match head.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(()),
        _ => {
            let line = head.lines().next().unwrap_or_default();
            let why = format!("the proxy does not connect to {place}: {line}");
            Err(io::Error::other(why))
        }
    }
}

/// Sends one request over a connection that nothing else is sent over.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
    server: &str,
    most: usize,
) -> Result<Response, HttpError> {
    let broken = |error| HttpError::Answer {
        server: server.to_owned(),
        error,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // ends with the request, or when its limits are passed
    let _connection = Aborted(tokio::spawn(async move {
        // what is wrong with it, the request says as well
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await.map_err(broken)?;
    let (parts, body) = response.into_parts();
    let body = match Limited::new(body, most).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => return Err(broken(*error)),
            Err(error) => {
                debug_assert!(error.is::<LengthLimitError>());
                return Err(HttpError::TooLarge {
                    server: server.to_owned(),
                    most,
                });
            }
        },
    };
    Ok(Response {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    })
}

/// A task that ends when nobody waits for it any longer.
struct Aborted(tokio::task::JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whom a URL leads to, and what is asked there.
#[derive(Debug, PartialEq)]
struct UrlTarget {
    secure: bool,
    /// As the URL has it: IPv6 addresses in brackets.
    host: String,
    port: u16,
    /// Host, and port unless it is the usual one.
    authority: String,
    path: String,
}

impl UrlTarget {
    /// Its host as one connects to it.
    fn bare_host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    fn proxy(url: &str) -> Result<UrlTarget, HttpError> {
        let target = UrlTarget::read(url)?;
        match target.secure || target.path != "/" {
            true => Err(HttpError::Url("a proxy is named as http://HOST:PORT")),
            false => Ok(target),
        }
    }

    fn read(url: &str) -> Result<UrlTarget, HttpError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| HttpError::Url("it is no URL, such as https://example.com:8080/path"))?;
        let (secure, usual) = match uri.scheme_str() {
            Some("http") => (false, 80),
            Some("https") => (true, 443),
            _ => {
                return Err(HttpError::Url(
                    "the URL must begin with http:// or https://",
                ));
            }
        };
        let host = match uri.host() {
            Some(host) if !host.is_empty() => host.to_owned(),
            _ => return Err(HttpError::Url("the URL names no host")),
        };
        if uri
            .authority()
            .is_some_and(|all| all.as_str().contains('@'))
        {
            return Err(HttpError::Url(
                "the URL has a user in it, which would not be sent",
            ));
        }
        let port = uri.port_u16().unwrap_or(usual);
        let authority = match port == usual {
            true => host.clone(),
            false => format!("{host}:{port}"),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(UrlTarget {
            secure,
            host,
            port,
            authority,
            path: path.to_owned(),
        })
    }

    fn request(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let unsendable = |what: &str| HttpError::Unsendable(what.to_owned());
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() =
            Method::from_bytes(method.as_bytes()).map_err(|_| unsendable(method))?;
        *request.uri_mut() = self.path.parse().map_err(|_| unsendable("the path"))?;
        let all = request.headers_mut();
        let host = HeaderValue::from_str(&self.authority).map_err(|_| unsendable("the host"))?;
        all.insert(HOST, host);
        all.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        all.insert(CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in headers {
            // the value may be a secret
            let value = HeaderValue::from_str(value)
                .map_err(|_| unsendable(&format!("the value of header {name}")))?;
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| unsendable(&format!("header {name}")))?;
            all.insert(name, value);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests;
