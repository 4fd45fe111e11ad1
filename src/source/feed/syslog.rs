//! Receives syslog from other hosts over UDP, TCP and TLS.
//!
//! Whoever may send lines can have anybody banned, and the sender of a datagram is easily forged: only the
//! hosts in `from` are accepted, by default only this one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;

use super::framing::{LONGEST_MESSAGE, split, write_line};
use super::{Outlet, PIECE, TARGET};
use crate::address::Address;
use crate::http::tls;
use crate::python::text::words;
use crate::{error, info, warning};

/// Connections at a time; more wait.
const MOST_CONNECTIONS: usize = 256;

/// A connection that is silent for so long is closed.
const SILENCE: Duration = Duration::from_secs(3600);

/// Before binding is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Between two warnings about hosts that are not heard.
const WARN_INTERVAL: Duration = Duration::from_secs(3600);

/// How messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// One message a datagram.
    Udp,
    /// A stream of messages.
    Tcp,
    /// The same, encrypted.
    Tls,
}

/// What stands in the brackets of `backend = syslog[…]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyslogListener {
    /// `port`, 514 (6514 with TLS)
    pub port: u16,
    /// `protocol`, udp
    pub protocol: Protocol,
    /// `bind`, every address
    pub bind: IpAddr,
    /// `from`, this host: addresses and networks that are heard
    pub from: Vec<Address>,
    /// `cert` and `key`: PEM files, needed for TLS
    pub identity: Option<(String, String)>,
    /// `ca`: PEM file; only senders with a certificate by it are heard
    pub authority: Option<String>,
}

impl SyslogListener {
    /// Reads names and values.
    ///
    /// # Errors
    /// In words, with the option's name.
    pub fn read(
        arguments: impl IntoIterator<Item = (String, String)>,
    ) -> Result<SyslogListener, String> {
        let (mut port, mut protocol, mut bind) = (None, Protocol::Udp, None);
        let mut from: Vec<Address> = Vec::new();
        let (mut certificate, mut key, mut authority) = (None, None, None);
        for (name, value) in arguments {
            let wrong = || format!("syslog: wrong {name}: {value}");
            match name.as_str() {
                "port" => port = Some(value.trim().parse().map_err(|_| wrong())?),
                "protocol" => {
                    protocol = match value.as_str() {
                        "udp" => Protocol::Udp,
                        "tcp" => Protocol::Tcp,
                        "tls" => Protocol::Tls,
                        _ => return Err(wrong()),
                    };
                }
                "bind" => bind = Some(value.trim().parse().map_err(|_| wrong())?),
                "from" => {
                    for word in words(&value) {
                        let address = Address::parse_ip(word);
                        from.push(address.ok_or_else(wrong)?);
                    }
                }
                "cert" => certificate = Some(value),
                "key" => key = Some(value),
                "ca" => authority = Some(value),
                _ => return Err(format!("syslog: unknown option {name}")),
            }
        }
        let identity = certificate.zip(key);
        if protocol == Protocol::Tls && identity.is_none() {
            return Err("syslog: tls needs cert and key".to_owned());
        }
        if from.is_empty() {
            from.extend(
                ["127.0.0.0/8", "::1"]
                    .into_iter()
                    .filter_map(Address::parse_ip),
            );
        }
        let default = if protocol == Protocol::Tls { 6514 } else { 514 };
        Ok(SyslogListener {
            port: port.unwrap_or(default),
            protocol,
            bind: bind.unwrap_or(IpAddr::from([0u8; 16])),
            from,
            identity,
            authority,
        })
    }

    /// The name its lines come under.
    pub fn name(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
            Protocol::Tls => "tls",
        };
        format!(
            "syslog: {protocol} {}",
            SocketAddr::new(self.bind, self.port)
        )
    }

    fn hears(&self, sender: IpAddr) -> bool {
        let sender = sender.to_canonical();
        let sender = Address::Ip(sender);
        self.from.iter().any(|network| network.contains(&sender))
    }
}

/// Listens for ever; what fails is tried again.
pub(super) async fn run(syslog: SyslogListener, outlet: Outlet) {
    let name = syslog.name();
    let syslog = Arc::new(syslog);
    loop {
        let listening = match syslog.protocol {
            Protocol::Udp => datagrams(&syslog, &outlet).await,
            Protocol::Tcp | Protocol::Tls => connections(&syslog, &outlet).await,
        };
        if let Err(error) = listening {
            error!(TARGET, "Cannot listen on {}: {}", name, error);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn datagrams(syslog: &SyslogListener, outlet: &Outlet) -> io::Result<()> {
    let socket = UdpSocket::bind((syslog.bind, syslog.port)).await?;
    info!(TARGET, "Listen on {}", outlet.name);
    let mut stranger = Stranger::default();
    let mut message = vec![0; LONGEST_MESSAGE];
    loop {
        let mut lines = Vec::new();
        socket.readable().await?;
        // what has come by now makes one chunk
        while lines.len() < PIECE {
            match socket.try_recv_from(&mut message) {
                Ok((length, sender)) if syslog.hears(sender.ip()) => {
                    write_line(&message[..length], &mut lines);
                }
                Ok((_, sender)) => stranger.tell(sender.ip(), outlet),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if !lines.is_empty() {
            outlet.send(lines).await;
        }
    }
}

async fn connections(syslog: &Arc<SyslogListener>, outlet: &Outlet) -> io::Result<()> {
    let acceptor = match syslog.protocol {
        Protocol::Tls => {
            // without both there is no such listener
            let (certificate, key) = syslog
                .identity
                .as_ref()
                .ok_or(io::ErrorKind::InvalidInput)?;
            let authority = syslog.authority.as_deref().map(Path::new);
            let acceptor = tls::acceptor(Path::new(certificate), Path::new(key), authority);
            Some(acceptor.map_err(io::Error::other)?)
        }
        _ => None,
    };
    let listener = TcpListener::bind((syslog.bind, syslog.port)).await?;
    info!(TARGET, "Listen on {}", outlet.name);
    let mut stranger = Stranger::default();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // ended with the listener
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return Ok(());
        };
        let (stream, sender) = listener.accept().await?;
        while tasks.try_join_next().is_some() {}
        if !syslog.hears(sender.ip()) {
            stranger.tell(sender.ip(), outlet);
            continue;
        }
        let (outlet, acceptor) = (outlet.clone(), acceptor.clone());
        tasks.spawn(async move {
            match acceptor {
                None => messages(stream, &outlet).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => messages(stream, &outlet).await,
                    Err(error) => {
                        warning!(TARGET, "No encrypted connection from {}: {}", sender, error)
                    }
                },
            }
            drop(permit);
        });
    }
}

/// The messages of a connection, until it ends.
async fn messages(mut stream: impl AsyncRead + Unpin, outlet: &Outlet) {
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        buffer.reserve(PIECE);
        match tokio::time::timeout(SILENCE, stream.read_buf(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => {}
            _ => break,
        }
        let mut lines = Vec::new();
        let mut rest = &buffer[..];
        while let Some((message, after)) = split(rest) {
            write_line(message, &mut lines);
            rest = after;
        }
        let used = buffer.len() - rest.len();
        buffer.drain(..used);
        if !lines.is_empty() {
            outlet.send(lines).await;
        }
        if buffer.len() > 2 * LONGEST_MESSAGE {
            warning!(
                TARGET,
                "Endless message on {}, connection closed",
                outlet.name
            );
            return;
        }
    }
    let mut lines = Vec::new();
    write_line(&buffer, &mut lines);
    if !lines.is_empty() {
        outlet.send(lines).await;
    }
}

/// Hosts that are not heard are told of once in a while.
#[derive(Default)]
struct Stranger {
    told: Option<Instant>,
}

impl Stranger {
    fn tell(&mut self, sender: IpAddr, outlet: &Outlet) {
        if self.told.is_none_or(|told| told.elapsed() > WARN_INTERVAL) {
            self.told = Some(Instant::now());
            warning!(
                TARGET,
                "Lines from {} on {} are not heard, 'from' does not name it",
                sender.to_canonical(),
                outlet.name
            );
        }
    }
}
