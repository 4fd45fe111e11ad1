//! `ferroban web`: metrics by HTTP and as a file, beside a running server.
#![allow(clippy::unwrap_used)]

#[path = "web/agent.rs"]
mod agent;
#[path = "web/api.rs"]
mod api;
#[path = "web/attacks.rs"]
mod attacks;
mod common;
#[path = "web/dropped.rs"]
mod dropped;
#[path = "web/load.rs"]
mod load;
#[path = "web/tls.rs"]
mod tls;

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
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
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
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
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
    // the cookie of a session is for what stands below
    let (head, _) = get(&site, "/fail2ban", "");
    assert!(
        head.starts_with("HTTP/1.1 303") && head.contains("location: /fail2ban/\r\n"),
        "{head}"
    );
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

/// The page of a site with the users `anna`, an operator, and `vera`, a viewer, whose password is the
/// same; and an operator's token.
fn site_with_users(options: &str) -> (Site, String) {
    let site = page_site(&format!(
        "users = HERE/users\nlogfile = HERE/web.log\n{options}"
    ));
    let add = |words: &str| {
        let mut command = common::ours("web");
        command
            .args(["user", "add", "-c"])
            .arg(site.directory.path());
        command
            .args(words.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let _ = input.write_all(b"correct horse\n");
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{words}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    add("anna --role operator");
    add("vera");
    let token = add("robot --token --role operator");
    (site, token)
}

fn post(site: &Site, path: &str, headers: &str, body: &str) -> (String, String) {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    let answer = raw(site, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (head.to_owned(), body.to_owned())
}

/// The token of the forms of a page.
fn form_token(page: &str) -> String {
    let (_, rest) = page
        .split_once("name=\"form_token\" value=\"")
        .unwrap_or_default();
    rest.split('"').next().unwrap().to_owned()
}

/// Logs in; answers the header with the cookie.
fn log_in(site: &Site, name: &str) -> String {
    let token = form_token(&get(site, "/login", "").1);
    let form = format!("form_token={token}&name={name}&password=correct+horse");
    let (head, body) = post(site, "/login", "", &form);
    let cookie = head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.unwrap_or_else(|| panic!("{head}\n{body}"));
    format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn users_log_in_and_operators_may_write() {
    let (site, token) = site_with_users("write = true\n");
    let server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    // a stranger sees the login and nothing else
    for path in [
        "/",
        "/banned",
        "/jail/one",
        "/address/192.0.2.1",
        "/live",
        "/change?change=unban&id=1",
    ] {
        let (head, body) = get(&site, path, "");
        assert!(
            head.contains("303") && head.contains("location: /login"),
            "{path}: {head}"
        );
        assert_eq!(body, "");
    }
    for path in ["/api/v1/status", "/api/v1/events", "/metrics", "/v1/jails"] {
        assert_eq!(status(&get(&site, path, "").0), "401", "{path}");
    }
    let order = r#"{"jail": "one", "id": "192.0.2.7"}"#;
    assert_eq!(status(&post(&site, "/api/v1/ban", "", order).0), "401");

    // a viewer sees all and changes nothing
    let vera = log_in(&site, "vera");
    assert_eq!(status(&get(&site, "/banned", &vera).0), "200");
    let (_, page) = get(&site, "/change?change=ban&jail=one&id=192.0.2.7", &vera);
    let form = |token: &str| format!("form_token={token}&change=ban&jail=one&id=192.0.2.7");
    let (head, _) = post(&site, "/change", &vera, &form(&form_token(&page)));
    assert_eq!(status(&head), "403");

    // an operator does, by a form of our own page alone
    let anna = log_in(&site, "anna");
    let (_, page) = get(&site, "/change?change=ban&jail=one&id=192.0.2.7", &anna);
    let own = form_token(&page);
    assert_eq!(own.len(), 64, "{page}");
    for (headers, token) in [
        ("", ""),
        ("", "0"),
        ("", form_token(&get(&site, "/login", "").1).as_str()),
        ("Origin: http://evil.example\r\n", &own),
        ("Sec-Fetch-Site: cross-site\r\n", &own),
    ] {
        let (head, _) = post(&site, "/change", &format!("{anna}{headers}"), &form(token));
        assert_eq!(status(&head), "403", "{headers}{token}");
    }
    let (head, _) = post(&site, "/api/v1/ban", &anna, order);
    assert_eq!(status(&head), "403");
    assert_eq!(
        server.ask(&["get", "one", "banned", "192.0.2.7"]).unwrap(),
        Ok(0.into())
    );
    let (head, _) = post(
        &site,
        "/change",
        &format!("{anna}Origin: http://localhost\r\n"),
        &form(&own),
    );
    assert!(
        head.contains("location: /address/192.0.2.7?done=ban"),
        "{head}"
    );
    assert_eq!(
        server.ask(&["get", "one", "banned", "192.0.2.7"]).unwrap(),
        Ok(1.into())
    );
    let said = "NOTICE  By 'anna' of the web page: ['set', 'one', 'banip', '192.0.2.7']";
    let is_said = || site.read("log").contains(said);
    assert!(common::eventually(60, is_said), "{}", site.read("log"));
    let csrf = format!("{anna}X-CSRF-Token: {own}\r\n");
    let (head, body) = post(&site, "/api/v1/unban", &csrf, r#"{"id": "192.0.2.7"}"#);
    assert_eq!(status(&head), "200", "{body}");
    // and a token needs no form
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let (head, body) = post(&site, "/api/v1/ignore", &bearer, order);
    assert_eq!(status(&head), "200", "{body}");
    for wrong in [
        r#"{"jail": "one", "id": "--time"}"#,
        r#"{"jail": "one", "id": "nobody"}"#,
        r#"{"id": "192.0.2.7"}"#,
        "[]",
        "{",
    ] {
        assert_eq!(
            status(&post(&site, "/api/v1/ban", &bearer, wrong).0),
            "400",
            "{wrong}"
        );
    }
    assert_eq!(
        status(&post(&site, "/api/v1/unban", &bearer, r#"{"id": "--all"}"#).0),
        "400"
    );
    // who is taken out is out
    let out = ["user", "remove", "-c"].map(str::to_owned);
    let mut command = common::ours("web");
    command.args(out).arg(site.directory.path()).arg("anna");
    assert!(command.status().unwrap().success());
    assert_eq!(status(&get(&site, "/banned", &anna).0), "303");
}

#[test]
fn a_login_is_told_with_user_and_role_and_a_simulated_jail_as_one() {
    let (site, token) = site_with_users("");
    let jails = home::jail("one") + "maxretry = 1\nsimulate = true\nignoreself = false\n";
    site.jails(&jails);
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let vera = log_in(&site, "vera");
    log_in(&site, "anna");
    let log = site.read("web.log");
    let told: Vec<_> = log.lines().map(|line| &line[20..]).collect();
    let by =
        |user: &str, role: &str| format!("ferroban-web: login of \"{user}\" ({role}) from unknown");
    assert_eq!(told, [by("vera", "viewer"), by("anna", "operator")]);

    fail(&site, "192.0.2.1");
    let would = || site.read("log").contains("Would ban 192.0.2.1");
    assert!(common::eventually(60, would), "{}", site.read("log"));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let (_, metrics) = get(&site, "/metrics", &bearer);
    let line = "\nferroban_simulated{jail=\"one\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
    for path in ["/", "/jail/one"] {
        let (_, page) = get(&site, path, &vera);
        assert!(page.contains("only says whom it would ban"), "{page}");
    }
}

#[test]
fn a_jail_may_have_a_name_that_is_a_step_in_a_path() {
    let site = page_site("");
    site.jails(&(home::jail("one") + "[..]\nenabled = true\nlogpath = %(here)s/one.log\n"));
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let (_, page) = get(&site, "/", "");
    assert!(page.contains("href=\"/jail/~..\""), "{page}");
    let (head, page) = get(&site, "/jail/~..", "");
    assert_eq!(status(&head), "200", "{page}");
    assert!(page.contains("<h1>..</h1>"), "{page}");
}

#[test]
fn group_that_is_not_there_leaves_no_socket() {
    let site = page_site("socket = HERE/web-control\ngroup = no-such-group\n");
    let _server = site.foreground(home::server());
    site.wait_for("There is no socket for ferroban web: no group no-such-group");
    assert!(!site.path("web-control").exists());
}

#[test]
fn write_is_off_unless_set() {
    let (site, token) = site_with_users("");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let (head, body) = post(
        &site,
        "/api/v1/ban",
        &bearer,
        r#"{"jail": "one", "id": "192.0.2.7"}"#,
    );
    assert_eq!(status(&head), "403");
    assert!(body.contains("write = true"), "{body}");
}

#[test]
fn logfile_tells_who_fails_as_forwarded_says_and_the_jail_reads_it() {
    let (site, _) = site_with_users("forwarded = true\n");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let token = form_token(&get(&site, "/login", "").1);
    let attempt = |from: &str, name: &str| {
        let form = format!("form_token={token}&name={name}&password=wrong");
        let (head, _) = post(
            &site,
            "/login",
            &format!("X-Forwarded-For: {from}\r\n"),
            &form,
        );
        status(&head).to_owned()
    };
    let name = "a%22+from+192.0.2.9%0Alogin+refused+for+192.0.2.8%3A+user+%22x";
    assert_eq!(attempt("192.0.2.66, 198.51.100.1", name), "403");
    for _ in 0..4 {
        assert_eq!(attempt("198.51.100.1", "anna"), "403");
    }
    assert_eq!(attempt("198.51.100.1", "anna"), "429");
    assert_eq!(attempt("198.51.100.2", "anna"), "403");
    let log = site.read("web.log");
    let lines: Vec<_> = log.lines().map(|line| &line[20..]).collect();
    assert_eq!(lines.len(), 6, "{log}");
    let first = r#"ferroban-web: login refused for 198.51.100.1: user "a\" from 192.0.2.9\nlogin refused for 192.0.2.8: user \"x""#;
    assert_eq!(lines[0], first);
    assert_eq!(
        lines[5],
        r#"ferroban-web: login refused for 198.51.100.2: user "anna""#
    );
}

#[test]
fn hosts_are_the_names_that_count_where_nobody_logs_in() {
    let site = page_site("hosts = bans.example.org\n");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    let ask = |host: &str| {
        let request =
            format!("GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        status(&raw(&site, request.as_bytes())).to_owned()
    };
    assert!(common::eventually(60, || ask("localhost") == "200"));
    assert_eq!(ask("bans.example.org"), "200");
    assert_eq!(ask("evil.example"), "421");
}

#[test]
fn socket_for_the_page_lets_look_and_with_write_ban_and_no_more() {
    let site = page_site("socket = HERE/web-control\nwrite = true\n");
    let server = site.foreground(home::server());
    let ask = |words: &[&str]| {
        let mut client = ferroban::parts::control::client::ControlClient::connect(
            &site.path("web-control"),
            Some(std::time::Duration::from_secs(20)),
        )
        .unwrap();
        let words: Vec<_> = words.iter().map(|word| (*word).into()).collect();
        client.ask(&words).unwrap()
    };
    assert_eq!(ask(&["ping"]), Ok("pong".into()));
    assert!(ask(&["status", "one", "figures"]).is_ok());
    assert!(ask(&["get", "one", "failregex"]).is_ok());
    assert!(ask(&["by", "anna", "set", "one", "banip", "192.0.2.7"]).is_ok());
    assert_eq!(
        server.ask(&["get", "one", "banned", "192.0.2.7"]).unwrap(),
        Ok(1.into())
    );
    for words in [
        &["set", "one", "banip", "192.0.2.8"] as &[&str],
        &["set", "loglevel", "DEBUG"],
        &["get", "one", "action", "note", "actionban"],
        &["stop"],
        &["stop", "one"],
        &["reload", "--all", "x", "y"],
        &["flushlogs"],
        &["sleep", "1"],
        &["unban", "--all"],
        &["by", "anna", "unban", "--all"],
        &["by", "anna", "stop"],
        &["by", "anna", "by", "anna", "unban", "192.0.2.7"],
        &[
            "by",
            "anna",
            "set",
            "one",
            "action",
            "note",
            "actionban",
            "true",
        ],
    ] {
        assert!(ask(words).is_err(), "{words:?}");
    }
    assert_eq!(
        server.ask(&["get", "one", "banned", "192.0.2.7"]).unwrap(),
        Ok(1.into())
    );
    let _web = web(&site);
    assert!(common::eventually(60, || get(
        &site,
        "/api/v1/status",
        "Host: localhost\r\n"
    )
    .1
    .contains("\"one\"")));
}
