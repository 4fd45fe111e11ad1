//! Lines that are sent: by syslog over UDP, TCP and TLS, and by a command.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use common::site::Site;

/// A port nobody uses now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn message(address: &str) -> String {
    let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
    format!("<38>1 {now} srv sshd 77 - - Failed password for root from {address} port 1 ssh2")
}

/// The same as it would stand in a file.
fn line(address: &str) -> String {
    let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
    format!("{now} srv sshd[77]: Failed password for root from {address} port 1 ssh2")
}

#[test]
fn datagrams_are_lines() {
    let port = free_port();
    let site = Site::new(&format!("backend = syslog[port={port}, bind=127.0.0.1]"));
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Listen on");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |text: &str| {
        socket
            .send_to(text.as_bytes(), ("127.0.0.1", port))
            .unwrap()
    };
    send(&message("192.0.2.1"));
    // one that would be two lines in a file
    send(&format!("<38>app: x\n{}", line("192.0.2.9")));
    send(&message("192.0.2.1"));
    site.wait_for("notes", "ban 192.0.2.1");
    let status = site.ask(&["status", "j"]);
    assert!(
        status.contains(&format!("syslog: udp 127.0.0.1:{port}")),
        "{status}"
    );
    let again = site.ask(&["reload"]);
    assert!(again.contains("OK"), "{again}");
    send(&message("192.0.2.2"));
    site.wait_for("log", "Found 192.0.2.2");
    server.stop();
    assert_eq!(site.count("] Found "), 3, "{}", site.read("log"));
}

#[test]
fn strangers_are_not_heard() {
    let port = free_port();
    let site = Site::new(&format!(
        "backend = syslog[port={port}, bind=127.0.0.1, from=\"192.0.2.0/24\"]"
    ));
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Listen on");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .send_to(message("192.0.2.1").as_bytes(), ("127.0.0.1", port))
        .unwrap();
    site.wait_for("log", "Lines from 127.0.0.1 on syslog: udp");
    server.stop();
    assert_eq!(site.count("] Found "), 0);
}

#[test]
fn streams_are_lines() {
    let port = free_port();
    let site = Site::new(&format!(
        "backend = syslog[port={port}, bind=127.0.0.1, protocol=tcp]"
    ));
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Listen on");
    let mut counted = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let text = message("192.0.2.1");
    let (start, rest) = text.split_at(40);
    write!(counted, "{} {start}", text.len()).unwrap();
    let mut ended = TcpStream::connect(("127.0.0.1", port)).unwrap();
    writeln!(ended, "{}", message("192.0.2.2")).unwrap();
    site.wait_for("log", "Found 192.0.2.2");
    write!(counted, "{rest}{} {text}", text.len()).unwrap();
    site.wait_for("notes", "ban 192.0.2.1");
    server.stop();
}

#[test]
fn encrypted_streams_are_lines() {
    let port = free_port();
    let site = Site::new(&format!(
        "backend = syslog[port={port}, bind=127.0.0.1, protocol=tls, cert=HERE/cert, key=HERE/key]"
    ));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(site.path("cert"), made.cert.pem()).unwrap();
    fs::write(site.path("key"), made.signing_key.serialize_pem()).unwrap();
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Listen on");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, stream);
    for _ in 0..2 {
        let text = message("192.0.2.1");
        write!(stream, "{} {text}", text.len()).unwrap();
    }
    stream.flush().unwrap();
    site.wait_for("notes", "ban 192.0.2.1");
    server.stop();
}

#[test]
fn what_a_command_prints_is_read_and_the_command_run_again() {
    let site = Site::new("backend = command[cmd=\"sh HERE/source\"]\nmaxretry = 3");
    let source = format!("echo '{}'\n", line("192.0.2.1"));
    fs::write(site.path("source"), source).unwrap();
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Command ended (exit status: 0), starts again in 1 s");
    site.wait_for("notes", "ban 192.0.2.1");
    // nothing is left of a command that goes on
    let pid = site.path("pid-of-source");
    let endless = format!("echo $$ > {}\nexec sleep 600\n", pid.display());
    fs::write(site.path("source"), endless).unwrap();
    assert!(common::eventually(60, || pid.exists()
        && !site.read("pid-of-source").is_empty()));
    let running = site.read("pid-of-source");
    let process = format!("/proc/{}", running.trim());
    assert!(fs::exists(&process).unwrap());
    server.stop();
    assert!(common::eventually(60, || !fs::exists(&process).unwrap()));
}

#[test]
fn jsonmatch_lines_are_the_fields_that_are_named() {
    let site = Site::new("backend = polling\nlogpath = HERE/access.json");
    let filter = "[Definition]\n\
        jsonmatch = {time} {remote} {status} {request.uri}\n\
        failregex = ^\\s*<ADDR> 401 /login\n";
    fs::write(site.path("filter.d/simple.conf"), filter).unwrap();
    fs::write(site.path("access.json"), "").unwrap();
    let server = site.start(common::ours("fail2ban-server"));
    let time = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
    let entry = |remote: &str, status: u16, uri: &str| {
        let request = serde_json::json!({ "uri": uri });
        serde_json::json!({
            "request": request, "status": status, "remote": remote, "time": time.to_string(),
        })
    };
    let forged = format!("/x\n{time} 203.0.113.1 401 /login");
    let lines = [
        entry("192.0.2.1", 401, "/login?user=\",\"remote\":\"203.0.113.2"),
        entry("192.0.2.2", 200, "/login"),
        entry("192.0.2.3", 401, &forged),
        entry("192.0.2.1", 401, "/login"),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(site.path("access.json"), text).unwrap();
    site.wait_for("notes", "ban 192.0.2.1");
    server.stop();
    assert_eq!(site.count("] Found "), 2, "{}", site.read("log"));
}
