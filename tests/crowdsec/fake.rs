//! A LAPI that says what a test wants it to say, and remembers what it was asked.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;

use crate::common;

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    /// In lower case, each a line.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is answered: a status and a body, or bytes as they are.
pub enum Answer {
    Json(u16, String),
    Bytes(Vec<u8>),
    /// Nothing, for as long as the other side waits.
    Silence,
}

/// The LAPI, as long as the program runs.
pub struct Fake {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// What a LAPI without decisions answers, one of today unless told otherwise.
pub fn usual(asked: &Asked) -> Answer {
    let path = asked.path.split('?').next().unwrap();
    let (status, body) = match path {
        "/v1/watchers/login" => (
            200,
            r#"{"code":200,"expire":"2099-01-01T00:00:00Z","token":"opaque"}"#,
        ),
        "/v1/decisions/stream" => (200, r#"{"new":null,"deleted":null}"#),
        "/v1/allowlists/check" => (200, r#"{"results":[]}"#),
        "/v1/alerts" if asked.method == "POST" => (201, r#"["1"]"#),
        "/v1/alerts" => (200, "[]"),
        "/v1/heartbeat" => (200, ""),
        "/v1/usage-metrics" => (201, ""),
        _ => (404, ""),
    };
    Answer::Json(status, body.to_owned())
}

/// Decisions as a stream has them.
pub fn decision(id: u32, origin: &str, target: &str, duration: &str) -> String {
    let scope = if target.contains('/') { "Range" } else { "Ip" };
    format!(
        r#"{{"id":{id},"origin":"{origin}","scenario":"s","scope":"{scope}","type":"ban","value":"{target}","duration":"{duration}"}}"#
    )
}

/// A stream.
pub fn stream(new: &[String], deleted: &[String]) -> Answer {
    let body = format!(
        r#"{{"new":[{}],"deleted":[{}]}}"#,
        new.join(","),
        deleted.join(",")
    );
    Answer::Json(200, body)
}

impl Fake {
    /// One that answers by this.
    pub fn new(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (told, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (told, answer) = (told.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &told, &*answer));
            }
        });
        Fake { address, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked at a path so far, by this method.
    pub fn asked(&self, method: &str, path: &str) -> Vec<Asked> {
        let all = self.asked.lock().unwrap();
        let those = all
            .iter()
            .filter(|asked| asked.method == method && asked.path.starts_with(path));
        those.cloned().collect()
    }

    /// Waits until it was asked so often.
    pub fn wait_asked(&self, method: &str, path: &str, count: usize) -> Vec<Asked> {
        let there = || self.asked(method, path).len() >= count;
        assert!(
            common::eventually(60, there),
            "no {count} times {method} {path}: {:?}",
            self.asked.lock().unwrap()
        );
        self.asked(method, path)
    }
}

fn serve(stream: TcpStream, told: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Answer) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let headers = head.to_lowercase();
    let length = headers.split("content-length: ").nth(1);
    let length = length.map_or(0, |rest| rest.split('\r').next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let asked = Asked {
        method,
        path,
        headers,
        body,
    };
    told.lock().unwrap().push(asked.clone());
    let mut stream = reader.into_inner();
    // whoever has asked may have enough before
    let _ = match answer(&asked) {
        Answer::Json(status, body) => stream.write_all(
            format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        ),
        Answer::Bytes(bytes) => stream.write_all(&bytes),
        Answer::Silence => {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(300)));
            stream.read(&mut [0]).map(drop)
        }
    };
}
