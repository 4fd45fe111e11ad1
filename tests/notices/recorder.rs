//! A web service that notes what it is asked, and answers as it is told to.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value as Json;

/// What it does with a request.
pub enum Answer {
    /// Status, further headers with their line ends, body.
    Says(u16, String, &'static str),
    /// Nothing at all.
    Hangs,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and path.
    pub line: String,
    headers: Vec<(String, String)>,
    pub body: String,
    pub at: Instant,
}

impl Asked {
    /// The value of a header; there must not be two.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(known, _)| known == name);
        let value = all.next().map(|(_, value)| &**value);
        assert!(all.next().is_none(), "{self:?}");
        value
    }

    pub fn json(&self) -> Json {
        let read = serde_json::from_str(&self.body);
        read.unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub struct Recorder {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Recorder {
    /// A service that answers the first request by `answer(0)`, and so on.
    pub fn new(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Recorder {
        Recorder::with(answer, None)
    }

    /// One that takes everything.
    pub fn willing() -> Recorder {
        Recorder::new(|_| Answer::Says(200, String::new(), "{\"ok\":true}"))
    }

    /// One that may speak TLS.
    pub fn with(
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (kept, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer, tls) = (kept.clone(), answer.clone(), tls.clone());
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    match tls {
                        None => serve(stream, &kept, &*answer),
                        Some(config) => {
                            let connection = ServerConnection::new(config).unwrap();
                            serve(StreamOwned::new(connection, stream), &kept, &*answer);
                        }
                    }
                });
            }
        });
        Recorder { port, asked }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: impl Read + Write,
    kept: &Mutex<Vec<Asked>>,
    answer: &(impl Fn(usize) -> Answer + ?Sized),
) {
    let mut reader = BufReader::new(&mut stream);
    let mut line = || {
        let mut line = String::new();
        let read = reader.read_line(&mut line);
        let line = line.strip_suffix("\r\n").map(str::to_owned);
        line.filter(|_| read.is_ok())
    };
    // a client that does not like the certificate says nothing
    let Some(first) = line() else {
        return;
    };
    let mut headers = Vec::new();
    while let Some(header) = line().filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(": ").unwrap_or((&header, ""));
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut asked = Asked {
        line: first.strip_suffix(" HTTP/1.1").unwrap().to_owned(),
        headers,
        body: String::new(),
        at: Instant::now(),
    };
    let length = asked.header("content-length").unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    asked.body = String::from_utf8(body).unwrap();
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.push(asked);
        kept.len() - 1
    };
    match answer(number) {
        Answer::Says(status, headers, body) => {
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            // who has waited long enough is gone
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.flush();
        }
        Answer::Hangs => thread::sleep(Duration::from_secs(600)),
    }
}

/// A port at which connections are taken, and nothing else.
pub fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port at which nobody is.
pub fn nobody() -> u16 {
    silent().1
}
