//! The log in systemd's journal: entries of the original and ours, read from a socket in journald's
//! place.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use common::home::{Site, server};
use nix::sys::signal::Signal;

/// The fields of an entry in journald's native form.
fn fields(mut entry: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = entry.iter().position(|b| *b == b'\n') {
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        let (name, value, rest) = match line.iter().position(|b| *b == b'=') {
            Some(at) => (&line[..at], &line[at + 1..], rest),
            None => {
                let (length, rest) = rest.split_first_chunk().unwrap();
                let length = u64::from_le_bytes(*length) as usize;
                (line, &rest[..length], &rest[length + 1..])
            }
        };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        fields.insert(text(name), text(value));
        entry = rest;
    }
    fields
}

fn logging_to_the_journal() -> Site {
    let site = Site::new(&["one"]);
    let conf = site.read("fail2ban.conf");
    let log = format!("logtarget = {}", site.path("log").display());
    site.write(
        "fail2ban.conf",
        &conf.replace(&log, "logtarget = SYSTEMD-JOURNAL"),
    );
    site
}

/// What a server tells the journal of a few things that are done to it.
fn told(program: Command, socket: &UnixDatagram) -> Vec<[String; 4]> {
    let site = logging_to_the_journal();
    let running = site.foreground(program);
    let mut entries = Vec::new();
    let mut listen = |until: &str| {
        let mut entry = vec![0; 1 << 16];
        loop {
            let length = socket.recv(&mut entry).expect(until);
            let fields = fields(&entry[..length]);
            let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
            let names = ["PRIORITY", "LOGGER", "SYSLOG_IDENTIFIER", "MESSAGE"];
            entries.push(names.map(field));
            if field("MESSAGE").contains(until) {
                return;
            }
        }
    };
    listen("Jail 'one' started");
    running
        .ask(&["set", "one", "banip", "192.0.2.1"])
        .unwrap()
        .unwrap();
    listen("Ban 192.0.2.1");
    running.ask(&["status", "one", "foo"]).unwrap().unwrap();
    listen("Unsupported extended jail status flavor");
    running
        .ask(&["config-error", "two\nlines"])
        .unwrap()
        .unwrap();
    listen("lines");
    running
        .ask(&["set", "one", "unbanip", "192.0.2.1"])
        .unwrap()
        .unwrap();
    listen("Unban 192.0.2.1");
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
    listen("Exiting Fail2ban");
    let compared = [
        "Creating new jail",
        "Jail 'one'",
        "192.0.2.1",
        "flavor",
        "lines",
        "Exiting",
    ];
    entries.retain(|entry| compared.iter().any(|part| entry[3].contains(part)));
    entries
}

#[test]
fn the_journal_gets_the_same_entries() {
    common::in_mount_namespace("the_journal_gets_the_same_entries", || {
        // what is mounted over the place of the sockets is seen here alone
        fs::create_dir_all("/run/systemd").unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "tmpfs", "/run/systemd"])
            .status();
        assert!(mount.unwrap().success());
        fs::create_dir("/run/systemd/journal").unwrap();
        for program in [common::original("1.1.1", "fail2ban-server"), server()] {
            // without a journal a server works in silence
            let site = logging_to_the_journal();
            let running = site.foreground(program);
            running.ask(&["status", "one"]).unwrap().unwrap();
            assert_eq!(running.end(Signal::SIGTERM), Some(0));
        }
        let socket = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
        let patience = Some(Duration::from_secs(60));
        socket.set_read_timeout(patience).unwrap();
        let expected = told(common::original("1.1.1", "fail2ban-server"), &socket);
        assert!(expected.len() >= 7, "{expected:?}");
        assert_eq!(told(server(), &socket), expected);
    });
}

#[test]
fn records_begin_on_a_line_of_their_own_after_a_full_disk() {
    common::in_mount_namespace(
        "records_begin_on_a_line_of_their_own_after_a_full_disk",
        || {
            let site = Site::new(&["one"]);
            let conf = site.read("fail2ban.conf");
            let (old, new) = (site.path("log"), site.path("disk/log"));
            site.write(
                "fail2ban.conf",
                &conf.replace(old.to_str().unwrap(), new.to_str().unwrap()),
            );
            fs::create_dir(site.path("disk")).unwrap();
            let disk = site.path("disk");
            let mount = |options: &str| {
                let options = ["-t", "tmpfs", "-o", options, "tmpfs"];
                let status = Command::new("mount").args(options).arg(&disk).status();
                assert!(status.unwrap().success());
            };
            mount("size=16k");
            // left by a server that was killed when the disk was full
            fs::write(&new, "half a rec").unwrap();
            let running = site.foreground(server());
            // each is one record
            let fail = |number: u32| {
                let word = format!("{number}{}", "x".repeat(700));
                running.ask(&["get", &word]).unwrap().unwrap_err();
            };
            (0..60).for_each(fail);
            mount("remount,size=1m");
            let told = || {
                fail(100);
                site.read("disk/log").contains("log record(s) lost")
            };
            assert!(common::eventually(60, told));
            assert_eq!(running.end(Signal::SIGTERM), Some(0));
            let log = site.read("disk/log");
            let mut lines = log.lines();
            assert_eq!(lines.next(), Some("half a rec"));
            assert!(log.ends_with('\n') && lines.clone().count() > 20, "{log}");
            for line in lines {
                let is_told = line.ends_with("lost: the log target did not take them");
                let is_whole = line.starts_with("20")
                    && line.matches("fail2ban.").count() == 1
                    && line.contains("Command [") == line.contains("] has failed. Received ");
                assert!(is_told || is_whole, "{line:?} of\n{log}");
            }
            let status = Command::new("umount").arg(&disk).status();
            assert!(status.unwrap().success());
        },
    );
}
