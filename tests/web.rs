//! `ferroban web`: metrics by HTTP and as a file, beside a running server.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

use common::home::{self, Site};

/// A web process; killed at the end.
struct Web(Child);

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A site with a jail that bans at the first failure, and these lines below `[metrics]`.
fn site(options: &str) -> Site {
    let site = Site::new(&["one"]);
    site.jails(&(home::jail("one") + "maxretry = 1\nignoreself = false\n"));
    let here = site.directory.path().display().to_string();
    let options = options.replace("HERE", &here);
    site.write("fail2ban.local", &format!("[metrics]\n{options}"));
    site
}

fn web(site: &Site) -> Web {
    let mut command = common::ours("web");
    command.arg("-c").arg(site.directory.path());
    command.stdin(Stdio::null()).stderr(Stdio::null());
    Web(command.spawn().unwrap())
}

/// What is answered to the bytes of a request.
fn raw(site: &Site, request: &[u8]) -> String {
    let Ok(mut stream) = UnixStream::connect(site.path("web")) else {
        // it does not listen yet
        return String::new();
    };
    // what is too long is refused before it is whole
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Head and body of an answer.
fn get(site: &Site, path: &str, headers: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let answer = raw(site, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (head.to_owned(), body.to_owned())
}

/// Waits until a line is in the metrics.
fn wait_for(site: &Site, line: &str) -> String {
    let mut last = String::new();
    let there = || {
        last = get(site, "/metrics", "").1;
        last.lines().any(|one| one == line)
    };
    assert!(common::eventually(60, there), "no {line:?} in\n{last}");
    last
}

fn fail(site: &Site, address: &str) {
    let time = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S");
    let line = format!("{time} x from {address}\n{time} y from {address}\n");
    site.write("one.log", &(site.read("one.log") + &line));
}

#[test]
fn listen_is_where_the_metrics_are_served() {
    let site = site("listen = HERE/web\n");
    let server = site.foreground(home::server());
    let web = web(&site);
    wait_for(&site, "f2b_up 1");
    fail(&site, "192.0.2.1");
    let page = wait_for(&site, "f2b_jail_banned_current{jail=\"one\"} 1");
    for line in [
        "f2b_jail_count 1",
        "f2b_jail_failed_total{jail=\"one\"} 1",
        "f2b_jail_banned_total{jail=\"one\"} 1",
        "f2b_config_jail_ban_time{jail=\"one\"} 600",
        "f2b_config_jail_max_retries{jail=\"one\"} 1",
        "ferroban_lines_total{jail=\"one\"} 2",
        "ferroban_regex_hits_total{jail=\"one\",regex=\"0\"} 1",
        "ferroban_simulated{jail=\"one\"} 0",
    ] {
        assert!(page.lines().any(|one| one == line), "no {line} in\n{page}");
    }
    wait_for(
        &site,
        "ferroban_ban_seconds_count{jail=\"one\",action=\"note\"} 1",
    );
    wait_for(
        &site,
        "ferroban_orders_waiting{jail=\"one\",action=\"note\"} 0",
    );
    // nobody asked for addresses
    assert!(!page.contains("192.0.2.1"), "{page}");

    let (head, _) = get(&site, "/metrics", "");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let open = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3\r\n";
    let (head, body) = get(&site, "/metrics", open);
    assert!(
        head.contains("content-type: application/openmetrics-text"),
        "{head}"
    );
    assert!(body.ends_with("# EOF\n"), "{body}");
    assert_eq!(get(&site, "/healthz", "").1, "ok\n");
    assert!(get(&site, "/other", "").0.starts_with("HTTP/1.1 404"));
    assert!(
        get(&site, "/../../etc/passwd", "")
            .0
            .starts_with("HTTP/1.1 404")
    );
    let post = raw(
        &site,
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
    );
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    let noise = raw(&site, b"\x00\xff garbage\r\n\r\n");
    assert!(
        noise.is_empty() || noise.starts_with("HTTP/1.1 400"),
        "{noise}"
    );
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    let long = raw(&site, long.as_bytes());
    assert!(long.is_empty() || long.starts_with("HTTP/1.1 4"), "{long}");

    // the server goes and comes, and the page says so
    drop(server);
    wait_for(&site, "f2b_up 0");
    let server = site.foreground(home::server());
    wait_for(&site, "f2b_up 1");
    // the web process goes, and the server does not notice
    drop(web);
    assert_eq!(server.ask(&["ping"]).unwrap(), Ok("pong".into()));
}

#[test]
fn textfile_is_written_for_node_exporter() {
    let site = site("textfile = HERE/fail2ban.prom\nnames = fail2ban\n");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    let there = || {
        site.read("fail2ban.prom")
            .contains("\nfail2ban_banned_total{jail=\"one\"} 0\n")
    };
    assert!(
        common::eventually(60, there),
        "{}",
        site.read("fail2ban.prom")
    );
    assert!(!site.read("fail2ban.prom").contains("f2b_"));
    assert!(!site.path("fail2ban.prom.new").exists());
}

#[test]
fn names_of_both_families_are_told() {
    let site = site("names = both\n");
    let _server = site.foreground(home::server());
    let (code, page) = site.run(common::ours("web"), &["--print"]);
    assert_eq!(code, 0, "{page}");
    for name in ["f2b_up 1", "fail2ban_failed_current{jail=\"one\"} 0"] {
        assert!(page.lines().any(|line| line == name), "{page}");
    }
}

#[test]
fn addresses_that_are_banned_are_told_when_asked_for() {
    let site = site("addresses = yes\n");
    let server = site.foreground(home::server());
    let banned = server.ask(&["set", "one", "banip", "192.0.2.1"]).unwrap();
    assert!(banned.is_ok());
    let (_, page) = site.run(common::ours("web"), &["--print"]);
    let line = "f2b_banned_ip{jail=\"one\",ip=\"192.0.2.1\"} 1";
    assert!(page.lines().any(|one| one == line), "{page}");
}

#[test]
fn mistakes_in_the_section_are_told_with_their_line() {
    for (option, why) in [
        (
            "listen = localhost",
            "it is an address with a port, such as 127.0.0.1:9191",
        ),
        ("names = prom", "it is f2b, fail2ban or both"),
        ("", "nothing to serve"),
    ] {
        let site = site(&format!("{option}\n"));
        let (code, said) = site.run(common::ours("web"), &[]);
        assert_eq!(code, 255, "{said}");
        assert!(said.contains(why), "{said}");
        assert!(
            option.is_empty() || said.contains("fail2ban.local:2"),
            "{said}"
        );
    }
}

/// A site whose page is at the socket `web`, with these lines more below `[web]`.
fn page_site(options: &str) -> Site {
    let site = site("");
    let here = site.directory.path().display().to_string();
    let options = options.replace("HERE", &here);
    let text = format!("[web]\nlisten = {here}/web\n{options}");
    site.write("fail2ban.local", &text);
    site
}

#[test]
fn base_stands_before_all_paths() {
    let site = page_site("base = /fail2ban/\n");
    let server = site.foreground(home::server());
    let _web = web(&site);
    let there = || get(&site, "/fail2ban/healthz", "").1 == "ok\n";
    assert!(common::eventually(60, there));
    let banned = server.ask(&["set", "one", "banip", "192.0.2.1"]).unwrap();
    assert!(banned.is_ok());
    for path in [
        "/fail2ban/",
        "/fail2ban",
        "/fail2ban/banned",
        "/fail2ban/jail/one",
        "/fail2ban/address/192.0.2.1",
    ] {
        let (head, body) = get(&site, path, "");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}\n{body}");
        assert!(
            head.contains("content-security-policy: default-src 'none'"),
            "{head}"
        );
    }
    let (_, page) = get(&site, "/fail2ban/api/v1/banned?q=192.0.2.", "");
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        (&page["found"], &page["bans"][0]["id"]),
        (&1.into(), &"192.0.2.1".into())
    );
    for path in [
        "/",
        "/healthz",
        "/fail2ban2/",
        "/fail2ban/../etc/passwd",
        "/fail2ban/static/..%2fmod.rs",
    ] {
        let (head, _) = get(&site, path, "");
        assert!(head.starts_with("HTTP/1.1 404"), "{path}: {head}");
    }
}
