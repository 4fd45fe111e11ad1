//! A machine made up of files: where fail2ban runs and all is well, until something is changed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{Local, TimeDelta};
use serde_json::Value as Json;

use crate::common;

/// A root directory.
pub struct Machine {
    directory: tempfile::TempDir,
    _socket: UnixListener,
}

const JAIL: &str = "[sshd]\nenabled = true\nbackend = polling\nlogpath = /var/log/auth.log\n\
                    banaction = nftables\nbanaction_allports = nftables[type=allports]\n";
const ROTATION: &str = "/var/log/fail2ban.log {\n    weekly\n    create 640 root adm\n    postrotate\n        \
                        fail2ban-client flushlogs >/dev/null\n    endscript\n}\n";

impl Machine {
    /// One on which all is well.
    pub fn healthy() -> Machine {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("var/run/fail2ban");
        fs::create_dir_all(&socket).unwrap();
        let socket = UnixListener::bind(socket.join("fail2ban.sock")).unwrap();
        let machine = Machine {
            directory,
            _socket: socket,
        };
        machine.mode("/var/run/fail2ban/fail2ban.sock", 0o700);
        machine.program("/usr/bin/ferroban", "\x7fELF");
        for name in ["client", "server", "regex"] {
            machine.link("ferroban", &format!("/usr/bin/fail2ban-{name}"));
        }
        for program in ["nft", "sendmail"] {
            machine.program(&format!("/usr/sbin/{program}"), "\x7fELF");
        }
        machine.unit("fail2ban.service", "/usr/bin/fail2ban-server -xf start");
        machine.file(
            "/etc/fail2ban/paths-system.conf",
            "[INCLUDES]\nbefore = paths-debian.conf\n",
        );
        machine.file("/etc/fail2ban/jail.local", JAIL);
        machine.file("/etc/logrotate.d/fail2ban", ROTATION);
        machine.file("/var/log/auth.log", &machine.attempts(0, "192.0.2.7"));
        machine.file("/var/log/fail2ban.log", "");
        machine.file("/var/lib/fail2ban/fail2ban.sqlite3", "SQLite format 3\0");
        machine.file("/proc/1/cmdline", "/sbin/init\0");
        machine.process(812, "/usr/bin/fail2ban-server -xf start");
        machine.link("/usr/bin/ferroban", "/proc/812/exe");
        machine.link("/var/log/fail2ban.log", "/proc/812/fd/3");
        machine
    }

    /// Where one of its paths is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path.trim_start_matches('/'))
    }

    /// Writes a file, in place of a link, too.
    pub fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.is_symlink() {
            fs::remove_file(&path).unwrap();
        }
        fs::write(path, text).unwrap();
    }

    /// Writes a program.
    pub fn program(&self, path: &str, text: &str) {
        self.file(path, text);
        self.mode(path, 0o755);
    }

    /// Makes a link, in place of another one, too.
    pub fn link(&self, target: &str, path: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    /// Takes something away.
    pub fn remove(&self, path: &str) {
        let path = self.path(path);
        match path.is_dir() && !path.is_symlink() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }

    /// Sets permissions.
    pub fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), PermissionsExt::from_mode(mode)).unwrap();
    }

    /// Makes a file that was written to so many seconds ago.
    pub fn age(&self, path: &str, seconds: i64) {
        let file = File::options().write(true).open(self.path(path)).unwrap();
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let now = SystemTime::now();
        let time = if seconds < 0 {
            now + distance
        } else {
            now - distance
        };
        file.set_modified(time).unwrap();
    }

    /// A unit that is started with the machine.
    pub fn unit(&self, name: &str, starts: &str) {
        let file = format!("/usr/lib/systemd/system/{name}");
        self.file(&file, &format!("[Service]\nExecStart={starts}\n"));
        self.link(
            &file,
            &format!("/etc/systemd/system/multi-user.target.wants/{name}"),
        );
    }

    /// A process that runs.
    pub fn process(&self, pid: u32, line: &str) {
        self.file(
            &format!("/proc/{pid}/cmdline"),
            &(line.replace(' ', "\0") + "\0"),
        );
        let uid = nix::unistd::geteuid();
        self.file(
            &format!("/proc/{pid}/status"),
            &format!("PPid:\t1\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nNSpid:\t{pid}\n"),
        );
    }

    /// More settings of the jail.
    pub fn jail(&self, lines: &str) {
        let kept = JAIL.lines().filter(|line| {
            let name = line.split('=').next().unwrap();
            !lines.lines().any(|other| other.starts_with(name))
        });
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        self.file("/etc/fail2ban/jail.local", &(text + lines));
    }

    /// sshd's lines of three guesses by an address, so many seconds ago, without a zone.
    pub fn attempts(&self, ago: i64, address: &str) -> String {
        let time = Local::now() - TimeDelta::seconds(ago);
        let time = time.format("%b %e %H:%M:%S");
        format!("{time} srv sshd[81]: Invalid user anna from {address} port 40022\n").repeat(3)
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    }

    /// Exit code and text.
    pub fn shown(&self, words: &[&str]) -> (i32, String) {
        let mut command = common::ours("doctor");
        let command = command.arg("--root").arg(self.directory.path()).args(words);
        let output = command.output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&printed).into_owned(),
        )
    }

    /// Exit code and the object for programs.
    pub fn doctor(&self) -> (i32, Json) {
        let (code, text) = self.shown(&["--json"]);
        let json = serde_json::from_str(&text);
        (code, json.unwrap_or_else(|_| panic!("{code}: {text}")))
    }

    /// All its files: when each was written to, and what is in it.
    pub fn everything(&self) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
        let mut all = BTreeMap::new();
        gather(self.directory.path(), &mut all);
        all
    }
}

fn gather(below: &Path, all: &mut BTreeMap<PathBuf, (SystemTime, Vec<u8>)>) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            gather(&path, all);
        }
        let text = match metadata.is_file() {
            true => fs::read(&path).unwrap(),
            false => Vec::new(),
        };
        all.insert(path, (metadata.modified().unwrap(), text));
    }
}

/// Severity, kind and message of each finding.
pub fn findings(json: &Json) -> Vec<(String, String, String)> {
    let text = |finding: &Json, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let list = json["findings"].as_array().unwrap().iter();
    list.map(|finding| {
        (
            text(finding, "severity"),
            text(finding, "kind"),
            text(finding, "message"),
        )
    })
    .collect()
}
