//! Host names in logs and in `ignoreip` while the name server is silent: who has an address does not
//! wait for it.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::process::Command;

use common::site::Site;

/// In a machine of its own whose one name server takes questions and answers none; `known.example`
/// and `other.example` stand in its `/etc/hosts`. The socket is that of the name server.
fn with_silent_resolver(test: &str, body: impl FnOnce(&UdpSocket)) {
    common::in_network_and_mount_namespace(test, || {
        run("ip", &["link", "set", "lo", "up"]);
        let directory = tempfile::tempdir().unwrap();
        let files = [
            // the library itself is more patient than the server
            ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:30\n"),
            (
                "hosts",
                "127.0.0.1 localhost\n198.51.100.7 known.example\n198.51.100.8 other.example\n",
            ),
            ("nsswitch.conf", "hosts: files dns\n"),
        ];
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            let path = path.to_str().unwrap();
            run("mount", &["--bind", path, &format!("/etc/{name}")]);
        }
        body(&UdpSocket::bind("127.0.0.1:53").unwrap());
    });
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.unwrap().success(), "{program} {arguments:?}");
}

fn append(site: &Site, hosts: &[String]) {
    let mut text = String::new();
    for host in hosts {
        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        text += &format!("{now} srv sshd[7]: Failed password for root from {host} port 1 ssh2\n");
    }
    let mut log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(site.path("auth.log"))
        .unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

/// The questions that a name server has been asked, by their number.
fn questions(server: &UdpSocket) -> usize {
    server.set_nonblocking(true).unwrap();
    let mut buffer = [0; 512];
    std::iter::from_fn(|| server.recv(&mut buffer).ok()).count()
}

const UNKNOWN: &str = "Unable to find a corresponding IP address for ";

#[test]
fn addresses_do_not_wait_for_names() {
    with_silent_resolver("addresses_do_not_wait_for_names", |resolver| {
        let site = Site::new("logpath = HERE/auth.log\nusedns = warn");
        append(&site, &[]);
        let server = site.start(common::ours("fail2ban-server"));
        let mut hosts: Vec<String> = (0..200).map(|n| format!("host{n}.example")).collect();
        hosts.insert(0, "known.example".to_owned());
        hosts.push("192.0.2.1".to_owned());
        hosts.push("known.example".to_owned());
        hosts.push("192.0.2.1".to_owned());
        append(&site, &hosts);
        site.wait_for("notes", "ban 192.0.2.1\n");
        site.wait_for("notes", "ban 198.51.100.7\n");
        // side by side all are given up at the same time
        let given_up = common::eventually(60, || site.count(UNKNOWN) == 200);
        assert!(given_up, "{}", site.read("log"));
        let log = site.read("log");
        let place = |text: &str| log.find(text).unwrap();
        assert!(place("Ban 192.0.2.1") < place(UNKNOWN), "{log}");
        assert!(place("Ban 198.51.100.7") < place(UNKNOWN), "{log}");
        assert!(
            log.contains("Unable to find a corresponding IP address for host0.example: timed out")
        );
        // what was not found is remembered
        questions(resolver);
        append(&site, &["host0.example".to_owned(), "192.0.2.2".to_owned()]);
        site.wait_for("log", "Found 192.0.2.2");
        assert_eq!(site.count(UNKNOWN), 200);
        assert_eq!(
            site.count("Determined IP using DNS Lookup: known.example"),
            2
        );
        server.stop();
    });
}

#[test]
fn ignored_names_are_looked_up_side_by_side() {
    with_silent_resolver("ignored_names_are_looked_up_side_by_side", |_| {
        let names: Vec<String> = (0..20).map(|n| format!("host{n}.example")).collect();
        let site = Site::new(&format!(
            "logpath = HERE/auth.log\nignoreip = {} other.example",
            names.join(" ")
        ));
        append(&site, &[]);
        let server = site.start(common::ours("fail2ban-server"));
        let hosts = ["198.51.100.8", "192.0.2.1", "192.0.2.1"];
        append(&site, &hosts.map(str::to_owned));
        site.wait_for("notes", "ban 192.0.2.1\n");
        site.wait_for("log", "Ignore 198.51.100.8 by dns");
        server.stop();
    });
}
