//! The original's configuration with jails of a test's own, in a directory of its own, and our
//! server over it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::Child;

/// A copy of the stock configuration; `ROOT` in what is written into it is the directory around it.
pub struct Stock {
    pub directory: tempfile::TempDir,
}

impl Stock {
    /// `jails` are names with actions.
    pub fn new(jails: &[(&str, &str)], dbfile: &str) -> Stock {
        Stock::within(tempfile::tempdir().unwrap(), jails, dbfile)
    }

    /// In a place of one's own.
    pub fn within(directory: tempfile::TempDir, jails: &[(&str, &str)], dbfile: &str) -> Stock {
        let stock = Stock { directory };
        super::copy_tree(
            &super::reference("1.1.1").join("etc/fail2ban"),
            &stock.path("etc"),
        );
        for entry in fs::read_dir(stock.path("etc/jail.d")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        stock.write("etc/fail2ban.local", &format!(
            "[DEFAULT]\nsocket = ROOT/f2b.sock\npidfile = ROOT/f2b.pid\ndbfile = {dbfile}\nlogtarget = ROOT/f2b.log\n",
        ));
        let mut text = "[DEFAULT]\nfilter = sshd\nbackend = polling\nlogpath = ROOT/log\nbantime = 1h\nusedns = no\n".to_owned();
        for (name, action) in jails {
            text.push_str(&format!("[{name}]\nenabled = true\naction = {action}\n"));
        }
        stock.write("etc/jail.local", &text);
        stock.write("log", "");
        stock
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let root = self.directory.path().display().to_string();
        fs::write(self.path(name), text.replace("ROOT", &root)).unwrap();
    }

    /// What our client prints, whoever's server it asks: it is the same, and faster.
    pub fn client(&self, words: &[&str]) -> String {
        let output = super::ours("fail2ban-client")
            .arg("-c")
            .arg(self.path("etc"))
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("f2b.log")).unwrap_or_default()
    }

    /// Lines of the log with this text.
    pub fn lines(&self, text: &str) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }

    pub fn wait_for_jail(&self, name: &str) {
        let up = super::eventually(60, || self.client(&["status", name]).contains("Banned IP"));
        assert!(up, "no server; log:\n{}", self.log());
    }
}

/// A server of ours, in the network namespace of this process.
pub struct StockServer {
    pub stock: Stock,
    process: Child,
}

impl StockServer {
    /// Over jails, names with actions, and further files.
    pub fn start(jails: &[(&str, &str)], files: &[(&str, &str)]) -> StockServer {
        let stock = Stock::new(jails, "None");
        for (name, text) in files {
            stock.write(&format!("etc/{name}"), text);
        }
        let process = super::serve(super::ours("fail2ban-server"), &stock.path("etc"));
        let server = StockServer { stock, process };
        server.wait_for_jail(jails.last().unwrap().0);
        server
    }
}

impl std::ops::Deref for StockServer {
    type Target = Stock;

    fn deref(&self) -> &Stock {
        &self.stock
    }
}

impl Drop for StockServer {
    fn drop(&mut self) {
        self.client(&["stop"]);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
