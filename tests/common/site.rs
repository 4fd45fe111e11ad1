//! A server of its own with one jail, for tests that run a whole daemon.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A configuration with one jail `j` and an action that notes bans; `HERE` in its settings is its
/// directory.
pub struct Site {
    pub directory: tempfile::TempDir,
}

impl Site {
    pub fn new(settings: &str) -> Site {
        let site = Site {
            directory: tempfile::tempdir().unwrap(),
        };
        let here = site.directory.path().display().to_string();
        for part in ["filter.d", "action.d", "journal"] {
            fs::create_dir(site.path(part)).unwrap();
        }
        let files = [
            (
                "fail2ban.conf",
                format!(
                    "[Definition]\nloglevel = INFO\nlogtarget = {here}/log\nsyslogsocket = auto\n\
                     socket = {here}/socket\npidfile = {here}/pid\ndbfile = {here}/db\n\
                     dbpurgeage = 1d\ndbmaxmatches = 10\n"
                ),
            ),
            (
                "filter.d/simple.conf",
                "[Definition]\nfailregex = ^\\s*\\S+ sshd\\[\\d+\\]: Failed password for \\S+ from <HOST>\n\
                 journalmatch = _SYSTEMD_UNIT=ssh.service + _COMM=sshd\n"
                    .to_owned(),
            ),
            (
                "action.d/note.conf",
                format!("[Definition]\nactionban = echo ban <ip> >>{here}/notes\n"),
            ),
            (
                "jail.conf",
                format!(
                    "[DEFAULT]\nfilter = simple\naction = note\nmaxretry = 2\nfindtime = 600\nignoreself = false\n\n\
                     [j]\nenabled = true\n{}\n",
                    settings.replace("HERE", &here)
                ),
            ),
        ];
        for (name, text) in files {
            fs::write(site.path(name), text).unwrap();
        }
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn start(&self, mut program: Command) -> Server<'_> {
        let child = program
            .arg("-c")
            .arg(self.directory.path())
            .args(["-f", "start"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { site: self, child };
        self.wait_for("log", "Jail 'j' started");
        server
    }

    pub fn ask(&self, words: &[&str]) -> String {
        let output = super::ours("fail2ban-client")
            .arg("-c")
            .arg(self.directory.path())
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    pub fn wait_for(&self, file: &str, text: &str) {
        let there = || self.read(file).contains(text);
        assert!(
            super::eventually(60, there),
            "no {text:?} in {file}:\n{}{}",
            self.read(file),
            self.read("log")
        );
    }

    pub fn count(&self, text: &str) -> usize {
        self.read("log").matches(text).count()
    }
}

pub struct Server<'s> {
    site: &'s Site,
    child: Child,
}

impl Server<'_> {
    pub fn stop(mut self) {
        self.site.ask(&["stop"]);
        assert!(super::eventually(60, || self
            .child
            .try_wait()
            .unwrap()
            .is_some()));
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
