//! The configuration of the original, and configurations of our own, read by both programs:
//! what `fail2ban-client -d` prints must be equal line by line.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ferroban::config::{self, ReadOptions};
use ferroban::control::Value;

/// What `-d` prints: lines on stdout and whether it succeeded.
#[derive(Debug, PartialEq)]
struct Dump {
    lines: Vec<String>,
    ok: bool,
}

fn of_original(dir: &Path) -> Dump {
    let output = common::original("1.1.1", "fail2ban-client")
        .arg("-c")
        .arg(dir)
        .arg("-d")
        .output()
        .expect("the original runs");
    Dump {
        lines: lines(&String::from_utf8_lossy(&output.stdout)),
        ok: output.status.success(),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn of_ours(dir: &Path) -> Dump {
    if let Err(error) = config::read_early(dir) {
        return Dump {
            lines: lines(&format!("ERROR: {error}")),
            ok: false,
        };
    }
    let options = ReadOptions {
        allow_no_files: true,
        ..ReadOptions::default()
    };
    match config::read(dir, &options) {
        Ok(stream) => Dump {
            lines: stream
                .commands
                .into_iter()
                .map(|command| Value::List(command).repr())
                .collect(),
            ok: stream.accepted,
        },
        Err(_) => Dump {
            lines: vec![
                "ERROR: The configuration stream failed because of the invalid syntax.".to_owned(),
            ],
            ok: false,
        },
    }
}

/// Compares both dumps; the first difference is told.
fn compare(name: &str, dir: &Path) -> Result<usize, String> {
    let (theirs, ours) = (of_original(dir), of_ours(dir));
    if theirs == ours {
        return Ok(ours.lines.len());
    }
    let mut text = format!("{name}: ok {} (original {})\n", ours.ok, theirs.ok);
    for at in 0..theirs.lines.len().max(ours.lines.len()) {
        let (a, b) = (theirs.lines.get(at), ours.lines.get(at));
        if a != b {
            let _ = writeln!(text, "line {}\n original {a:?}\n ours     {b:?}", at + 1);
            break;
        }
    }
    Err(text)
}

/// A directory holding a copy of a stock configuration.
fn stock(version: &str) -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path().join("fail2ban");
    copy(&common::reference(version).join("etc/fail2ban"), &dir);
    (temporary, dir)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory to copy") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copied file");
        }
    }
}

/// Names of the jails of a stock configuration.
fn jails(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join("jail.conf")).expect("jail.conf");
    let sections = text.lines().filter_map(|line| line.strip_prefix('['));
    sections
        .filter_map(|line| line.split(']').next())
        .filter(|name| !["INCLUDES", "DEFAULT"].contains(name))
        .map(str::to_owned)
        .collect()
}

fn assert_none(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn stock_configurations_read_alike() {
    let mut differences = Vec::new();
    for version in ["1.1.1", "1.0.2"] {
        let (_guard, dir) = stock(version);
        differences.extend(compare(version, &dir).err());
        let jails = jails(&dir);
        assert!(jails.len() > 80, "{} jails", jails.len());

        let all: String = jails
            .iter()
            .map(|jail| format!("[{jail}]\nenabled = true\n"))
            .collect();
        fs::write(dir.join("jail.local"), &all).expect("jail.local");
        differences.extend(compare(&format!("{version}, all jails"), &dir).err());
        let polling = format!("[DEFAULT]\nbackend = polling\n{all}");
        fs::write(dir.join("jail.local"), polling).expect("jail.local");
        differences.extend(compare(&format!("{version}, all jails polling"), &dir).err());
    }
    assert_none(&differences);
}

#[test]
fn each_stock_jail_alone_reads_alike() {
    let mut differences = Vec::new();
    for version in ["1.1.1", "1.0.2"] {
        let (_guard, dir) = stock(version);
        for jail in jails(&dir) {
            let local = format!("[sshd]\nenabled = false\n[{jail}]\nenabled = true\n");
            let local = if jail == "sshd" {
                "[sshd]\nenabled = true\n".to_owned()
            } else {
                local
            };
            fs::write(dir.join("jail.local"), local).expect("jail.local");
            differences.extend(compare(&format!("{version} {jail}"), &dir).err());
        }
    }
    assert_none(&differences);
}
