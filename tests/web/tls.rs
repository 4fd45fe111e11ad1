//! TLS, certificates of clients, a socket that systemd passes on, and who may use the server's.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use ferroban::parts::http::tls::Tls;
use ferroban::parts::http::{HttpClient, HttpLimits};

use super::common::{self, home};
use super::*;

/// A certificate of `localhost` and its key, as files; each is its own authority.
fn certificate(site: &Site, name: &str) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    site.write(&format!("{name}.crt"), &made.cert.pem());
    site.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
}

fn ask(site: &Site, port: u16, shown: Option<&str>) -> Option<u16> {
    let path = |name: String| site.path(&name);
    let client = HttpClient::new(Tls {
        ca: Some(site.path("web.crt")),
        certificate: shown.map(|name| (path(format!("{name}.crt")), path(format!("{name}.key")))),
    })
    .unwrap();
    let limits = HttpLimits {
        time: Duration::from_secs(20),
        size: 1 << 20,
    };
    let url = format!("https://localhost:{port}/healthz");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(client.request("GET", &url, &[], Vec::new(), limits));
    answer.ok().map(|answer| answer.status)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn tls_site(port: u16, options: &str) -> Site {
    let site = site("");
    let here = site.directory.path().display().to_string();
    let text = format!(
        "[web]\nlisten = 127.0.0.1:{port}\ncertfile = HERE/web.crt\nkeyfile = HERE/web.key\n{options}"
    );
    site.write("fail2ban.local", &text.replace("HERE", &here));
    certificate(&site, "web");
    site
}

#[test]
fn certfile_and_keyfile_make_it_tls() {
    let port = free_port();
    let site = tls_site(port, "");
    let _web = web(&site);
    assert!(common::eventually(60, || ask(&site, port, None) == Some(200)));
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(
        !String::from_utf8_lossy(&answer).contains("ok"),
        "{answer:?}"
    );
}

#[test]
fn cafile_says_whose_certificates_are_shown() {
    let port = free_port();
    let site = tls_site(port, "cafile = HERE/friend.crt\n");
    certificate(&site, "friend");
    certificate(&site, "stranger");
    let _web = web(&site);
    assert!(common::eventually(60, || ask(&site, port, Some("friend")) == Some(200)));
    assert_eq!(ask(&site, port, None), None);
    assert_eq!(ask(&site, port, Some("stranger")), None);
}

#[test]
fn keyfile_without_certfile_and_others_that_make_no_sense_are_told_with_their_line() {
    for (options, why) in [
        ("keyfile = /k", "it is of use with certfile only"),
        ("cafile = /k", "of use with certfile and keyfile only"),
        ("base = fail2ban", "a path such as /fail2ban"),
        ("listen = 0.0.0.0:0", "nobody has to log in"),
        (
            "listen = 127.0.0.1:0\nusers = /nowhere/users",
            "/nowhere/users",
        ),
    ] {
        let site = site("");
        site.write("fail2ban.local", &format!("[web]\n{options}\n"));
        let (code, said) = site.run(common::ours("web"), &[]);
        assert!(code == 255 && said.contains(why), "{said}");
    }
}

#[test]
fn group_may_use_the_socket_and_others_may_not() {
    let site = page_site("socket = HERE/web-control\ngroup = daemon\n");
    let _server = site.foreground(home::server());
    let about = std::fs::metadata(site.path("web-control")).unwrap();
    let group = nix::unistd::Group::from_name("daemon").unwrap().unwrap();
    assert_eq!(
        (about.mode() & 0o777, about.gid()),
        (0o660, group.gid.as_raw())
    );
    // it goes with a reload that does not name it
    site.write("fail2ban.local", "");
    let (code, said) = site.run(common::ours("client"), &["reload"]);
    assert_eq!(code, 0, "{said}");
    assert!(!Path::new(&site.path("web-control")).exists());
}

#[test]
fn a_socket_of_systemd_is_served() {
    use std::os::fd::AsRawFd as _;
    let site = site("");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // the descriptor becomes 3, and the process has the number that is offered
    let script = format!(
        "exec 3<&{}; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=page exec \"$@\"",
        listener.as_raw_fd()
    );
    nix::fcntl::fcntl(
        &listener,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )
    .unwrap();
    let ours = common::ours("web");
    let mut command = std::process::Command::new("bash");
    command
        .args(["-c", &script, "-"])
        .arg(ours.get_program())
        .args(ours.get_args());
    command
        .arg("-c")
        .arg(site.directory.path())
        .stdin(Stdio::null());
    let _web = Web(command.spawn().unwrap());
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
}
