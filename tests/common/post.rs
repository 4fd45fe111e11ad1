//! Mail servers on loopback for tests, and certificates they are trusted by.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use fancy_regex::Regex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A mail server on loopback; what clients say is kept, a text for each connection.
pub struct Post {
    pub port: u16,
    pub said: Arc<Mutex<Vec<String>>>,
}

/// What a server does.
#[derive(Clone)]
pub enum Kind {
    Plain,
    /// With STARTTLS and AUTH.
    StartTls(Arc<ServerConfig>),
    /// TLS from the first byte, and AUTH.
    Tls(Arc<ServerConfig>),
    /// Takes connections and says nothing until this file is there.
    Silent(PathBuf),
}

impl Post {
    pub fn new(kind: Kind) -> Post {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = said.clone();
        // ends with the test
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kind, kept) = (kind.clone(), kept.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &kind, &kept));
            }
        });
        Post { port, said }
    }

    /// What the clients of so many finished connections said.
    pub fn conversations(&self, count: usize) -> Vec<String> {
        let all = super::eventually(60, || self.said.lock().unwrap().len() >= count);
        let mut said = self.said.lock().unwrap();
        assert!(all, "{count} mails are expected: {said:?}");
        std::mem::take(&mut said)
    }

    /// The messages alone, with `DATE` for the one date that each must have. A line that only ours
    /// have is left out.
    pub fn messages(&self, count: usize) -> Vec<String> {
        let date = Regex::new(
            r"(?m)^Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$",
        )
        .unwrap();
        self.conversations(count)
            .iter()
            .map(|said| {
                let message = said.split_once("DATA\n").unwrap().1;
                let dates = date.find_iter(message).count();
                assert_eq!(dates, 1, "{message}");
                let message = date.replace(message, "Date: DATE").into_owned();
                let lines = message
                    .lines()
                    .filter(|line| !line.starts_with("Message-ID: <"));
                lines.map(|line| format!("{line}\n")).collect()
            })
            .collect()
    }
}

fn serve(stream: TcpStream, kind: &Kind, kept: &Mutex<Vec<String>>) {
    let secure = |config: &Arc<ServerConfig>, stream| {
        StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
    };
    let mut said = String::new();
    match kind {
        Kind::Silent(end) => {
            super::eventually(60, || end.exists());
            return;
        }
        Kind::Plain => {
            talk(&stream, &mut said, "220 test\r\n", "250 ok\r\n");
        }
        Kind::Tls(config) => {
            let answer = "250-test\r\n250 AUTH PLAIN\r\n";
            talk(secure(config, stream), &mut said, "220 test\r\n", answer);
        }
        Kind::StartTls(config) => {
            let offer = "250-test\r\n250 STARTTLS\r\n";
            if talk(&stream, &mut said, "220 test\r\n", offer) {
                let answer = "250-test\r\n250 AUTH PLAIN\r\n";
                talk(secure(config, stream), &mut said, "", answer);
            }
        }
    }
    // the original connects twice and leaves the first connection without a mail
    if said.contains("DATA\n") || !matches!(kind, Kind::Plain) {
        kept.lock().unwrap().push(said);
    }
}

/// One conversation; answers whether it ended with the wish for TLS.
fn talk(mut stream: impl Read + Write, said: &mut String, hello: &str, features: &str) -> bool {
    let mut in_message = false;
    stream.write_all(hello.as_bytes()).unwrap();
    loop {
        let mut line = Vec::new();
        // byte by byte: what stands behind a STARTTLS is not for this conversation
        let mut byte = [0];
        while line.last() != Some(&b'\n') {
            match stream.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                _ => return false,
            }
        }
        let line = String::from_utf8(line).unwrap();
        let line = line.strip_suffix("\r\n").expect("lines end in CR LF");
        // commands may be written in small letters
        let command = line.to_ascii_uppercase();
        let line = match command.as_str() {
            "DATA" | "QUIT" if !in_message => command.as_str(),
            _ if !in_message && command.starts_with("EHLO") => command.as_str(),
            _ => line,
        };
        said.push_str(line);
        said.push('\n');
        let answer = match line {
            "." if in_message => {
                in_message = false;
                "250 taken\r\n"
            }
            _ if in_message => "",
            "DATA" => {
                in_message = true;
                "354 go on\r\n"
            }
            "STARTTLS" => "220 now\r\n",
            "QUIT" => "221 bye\r\n",
            line if line.starts_with("EHLO") => features,
            line if line.starts_with("AUTH") => "235 welcome\r\n",
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).unwrap();
        stream.flush().unwrap();
        match line {
            "QUIT" => return false,
            "STARTTLS" => return true,
            _ => {}
        }
    }
}

/// A certificate for 127.0.0.1 that this machine trusts for the time of `body`: the test starts
/// itself again with the certificate in its environment.
pub fn trusting(test: &str, body: impl FnOnce(Arc<ServerConfig>)) {
    const INSIDE: &str = "FERROBAN_TEST_CERTIFICATE";
    let Some(directory) = std::env::var_os(INSIDE) else {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = directory.path().join("certificate.pem");
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("certificate.der"), made.cert.der()).unwrap();
        std::fs::write(
            directory.path().join("key.der"),
            made.signing_key.serialize_der(),
        )
        .unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, directory.path())
            .env("SSL_CERT_FILE", &certificate)
            .status()
            .unwrap();
        assert!(status.success());
        return;
    };
    let read = |name: &str| std::fs::read(std::path::Path::new(&directory).join(name)).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(read("key.der"));
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![read("certificate.der").into()], key.into())
            .unwrap();
    body(Arc::new(config));
}
