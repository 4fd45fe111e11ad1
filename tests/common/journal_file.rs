//! Journal files, made by systemd-journal-remote from text in journald's export format.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a journal file of these entries, or adds them to it.
pub fn write(file: &Path, entries: &[u8]) {
    let mut remote = Command::new("/lib/systemd/systemd-journal-remote")
        .arg("--output")
        .arg(file)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("systemd-journal-remote starts: apt-get install systemd-journal-remote");
    let mut input = remote.stdin.take().expect("a pipe");
    input.write_all(entries).expect("written");
    drop(input);
    assert!(remote.wait().expect("ends").success());
}
