//! An engine of the test's own: `redis-server`, or what `FERROBAN_TEST_ENGINE` names, on an address of its
//! own.
#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running engine; it ends with it.
pub struct Engine {
    pub address: SocketAddr,
    directory: tempfile::TempDir,
    options: Vec<String>,
    child: Option<Child>,
}

impl Engine {
    /// On a free port of the loopback interface.
    pub fn new() -> Engine {
        Engine::with(free_port(), &[])
    }

    /// On an address, with further options.
    pub fn with(address: SocketAddr, options: &[&str]) -> Engine {
        let mut engine = Engine {
            address,
            directory: tempfile::tempdir().unwrap(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: None,
        };
        engine.start();
        engine
    }

    /// Starts it, or starts it again; its data are as the last one left them.
    pub fn start(&mut self) {
        let program = std::env::var("FERROBAN_TEST_ENGINE");
        let child = Command::new(program.unwrap_or_else(|_| "redis-server".to_owned()))
            .args(["--bind", &self.address.ip().to_string()])
            .args(["--port", &self.address.port().to_string()])
            .args(["--dir", &self.directory.path().display().to_string()])
            .args(["--protected-mode", "no", "--save", "", "--daemonize", "no"])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        self.child = Some(child);
        let answers = || TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        assert!(crate::common::eventually(60, answers), "no engine answers");
    }

    /// Ends it as a power cut would; nothing was saved.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// A connection for the test itself.
    pub fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_connection().unwrap()
    }

    /// The answer to a command.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.connect()).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A sentinel that watches the engine `m` on the loopback interface; it ends with it.
pub struct Sentinel {
    _directory: tempfile::TempDir,
    child: Child,
}

impl Sentinel {
    /// With these options, and the port of the engine.
    pub fn new(options: &str, port: u16) -> Sentinel {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sentinel.conf");
        let text = format!("{options}bind 127.0.0.1\nsentinel monitor m 127.0.0.1 {port} 1\n");
        std::fs::write(&file, text).unwrap();
        let child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Sentinel {
            _directory: directory,
            child,
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of the loopback interface that was free a moment ago.
pub fn free_port() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap()
}
