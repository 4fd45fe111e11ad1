//! A server's configuration, log, socket and database in a directory of their own, and a server that
//! lives there.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ferroban::parts::control::client::ControlClient;
use ferroban::parts::control::{Reply, Value};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A configuration of its own with socket, pid file and database beside it.
pub struct Site {
    pub directory: tempfile::TempDir,
}

/// A jail over `NAME.log` with the action `note`, which writes what it does to `notes`.
pub fn jail(name: &str) -> String {
    format!("[{name}]\nenabled = true\nlogpath = %(here)s/{name}.log\n\n")
}

impl Site {
    /// With a jail of each name, and an empty log for each.
    pub fn new(jails: &[&str]) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let site = Site { directory };
        let here = site.path("");
        let here = here.display().to_string();
        let here = here.trim_end_matches('/');
        for part in ["filter.d", "action.d"] {
            fs::create_dir(site.path(part)).unwrap();
        }
        site.write(
            "fail2ban.conf",
            &format!(
                "[Definition]\nloglevel = INFO\nlogtarget = {here}/log\nsyslogsocket = auto\n\
                 socket = {here}/run/socket\npidfile = {here}/run/pid\ndbfile = {here}/db\n\
                 dbpurgeage = 1d\ndbmaxmatches = 10\n"
            ),
        );
        site.write(
            "filter.d/simple.conf",
            "[Definition]\nfailregex = ^ x from <ADDR>$\n",
        );
        let note = |what: &str| format!("action{what} = echo {what} <name> <ip> >>{here}/notes\n");
        let commands: String = ["start", "stop", "ban", "unban"].map(note).concat();
        site.write("action.d/note.conf", &format!("[Definition]\n{commands}"));
        site.jails(&jails.iter().map(|name| jail(name)).collect::<String>());
        for name in jails {
            site.write(&format!("{name}.log"), "");
        }
        site
    }

    pub fn jails(&self, sections: &str) {
        let defaults = format!(
            "[DEFAULT]\nhere = {}\nbackend = polling\nfilter = simple\naction = note\nmaxretry = 2\n\n",
            self.directory.path().display()
        );
        self.write("jail.conf", &format!("{defaults}{sections}"));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn args<'c>(&self, command: &'c mut Command, words: &[&str]) -> &'c mut Command {
        command
            .arg("-c")
            .arg(self.directory.path())
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
    }

    /// Runs a program to its end: exit code and what it printed on both streams.
    pub fn run(&self, mut program: Command, words: &[&str]) -> (i32, String) {
        let output = self.args(&mut program, words).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&printed).into_owned(),
        )
    }

    /// Starts a server in the foreground and waits until it answers and has its jails.
    pub fn foreground(&self, mut program: Command) -> Server<'_> {
        let words = ["-f", "start"];
        let child = self
            .args(&mut program, &words)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { site: self, child };
        let none = !self.read("jail.conf").contains("enabled = true");
        let ready = || {
            let overview = server.ask(&["status"]);
            overview.is_ok_and(|reply| reply.is_ok_and(|said| none || !said.repr().contains(" 0)")))
        };
        assert!(
            super::eventually(60, ready),
            "never ready:\n{}",
            self.read("log")
        );
        server
    }

    /// Waits for a text in what the log says after its first `told` bytes.
    pub fn wait_for_after(&self, told: usize, text: &str) {
        let there = || self.read("log")[told..].contains(text);
        assert!(
            super::eventually(60, there),
            "no {text:?} in\n{}",
            &self.read("log")[told..]
        );
    }

    /// Waits for a text in the log.
    pub fn wait_for(&self, text: &str) {
        let there = || self.read("log").contains(text);
        assert!(
            super::eventually(60, there),
            "no {text:?} in\n{}",
            self.read("log")
        );
    }

    /// The log without times and process ids.
    pub fn log(&self) -> Vec<String> {
        let root = self.directory.path().display().to_string();
        let own = concat!(" (Ferroban ", env!("CARGO_PKG_VERSION"), ")");
        let log = self.read("log").replace(&root, "/SITE").replace(own, "");
        let lines = log.lines().filter_map(|line| line.get(24..));
        let strip = |line: &str| {
            let (name, rest) = line.split_at(line.find('[').unwrap_or(0));
            let message = rest.split_once("]: ").map_or(rest, |(_, message)| message);
            let message = match message.find(" - 20") {
                Some(at) if message.contains("] Found ") => &message[..at],
                _ => message,
            };
            format!("{name}{message}")
        };
        lines.map(strip).collect()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.read("run/pid").trim().parse().unwrap())
    }
}

/// A server in the foreground; killed when the test fails.
pub struct Server<'s> {
    pub site: &'s Site,
    pub child: Child,
}

impl Server<'_> {
    pub fn ask(&self, words: &[&str]) -> Result<Reply, String> {
        ask(self.site, words)
    }

    pub fn end(self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, signal).unwrap();
        self.ended()
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn ask(site: &Site, words: &[&str]) -> Result<Reply, String> {
    let timeout = Some(Duration::from_secs(60));
    let mut client =
        ControlClient::connect(&site.path("run/socket"), timeout).map_err(|e| e.to_string())?;
    let words: Vec<Value> = words.iter().map(|word| (*word).into()).collect();
    client.ask(&words).map_err(|e| e.to_string())
}

pub fn server() -> Command {
    super::ours("fail2ban-server")
}
