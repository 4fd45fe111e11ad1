//! What strangers try at the page.

use std::time::{Duration, Instant};

use ferroban::parts::control::Value;
use ferroban::parts::control::client::ControlClient;

use super::common::{self, home};
use super::*;

/// What must never stand in a page as it is: it would be an element.
const ELEMENT: &str = "<xss onload=alert(1)>";
const ENCODED: &str = "%3Cxss+onload%3Dalert%281%29%3E";

#[test]
fn texts_of_strangers_are_no_elements() {
    let site = page_site("");
    // a jail takes any line for a user's name here, and a name may be anything
    site.write(
        "filter.d/simple.conf",
        "[Definition]\nfailregex = ^ x from <ADDR>(?: .*)?$\n",
    );
    let odd = format!("\"'>{ELEMENT}");
    site.jails(
        &(home::jail("one")
            + "maxretry = 1\nignoreself = false\n\n"
            + &format!("[{odd}]\nenabled = true\nlogpath = %(here)s/one.log\n")),
    );
    let server = site.foreground(home::server());
    let _web = web(&site);
    let heard = || {
        get(&site, "/metrics", "")
            .1
            .contains("\nferroban_web_connected 1\n")
    };
    assert!(common::eventually(60, heard));
    let time = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S");
    let line = format!("{time} x from 192.0.2.7 {odd}\n");
    site.write("one.log", &line);
    let banned = || server.ask(&["get", "one", "banned", "192.0.2.7"]).unwrap() == Ok(1.into());
    assert!(common::eventually(60, banned));
    for words in [
        &["set", "one", "banip", &odd] as &[&str],
        &["set", "one", "banip", "--reason", &odd, "192.0.2.8"],
        &["set", &odd, "banip", "192.0.2.9"],
    ] {
        assert!(server.ask(words).unwrap().is_ok(), "{words:?}");
    }
    let path: String = odd.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut pages = vec![
        get(&site, "/", ""),
        get(&site, "/banned", ""),
        get(&site, &format!("/banned?q={ENCODED}&jail={ENCODED}"), ""),
        get(&site, &format!("/banned?q={path}"), ""),
        get(&site, &format!("/jail/{path}"), ""),
        get(&site, &format!("/jail/{ENCODED}"), ""),
        get(&site, "/address/192.0.2.7", ""),
        get(&site, "/address/192.0.2.8", ""),
        get(&site, &format!("/address/{path}"), ""),
        get(&site, "/live", ""),
        get(
            &site,
            &format!("/change?change=unban&id={path}&done={ENCODED}"),
            "",
        ),
        get(
            &site,
            &format!("/change?change=ban&jail={path}&id=192.0.2.7"),
            "",
        ),
        get(&site, &format!("/{ENCODED}"), ""),
        get(&site, &format!("/?done={ENCODED}"), ""),
    ];
    let (_, explain) = get(&site, "/explain", "");
    let token = form_token(&explain);
    assert_eq!(token.len(), 64, "{explain}");
    let line = format!("2026-11-29+10:00:00+x+from+192.0.2.9+{path}");
    for (page, field) in [("/explain", "line"), ("/replay", "log")] {
        let form = format!("form_token={token}&jail={path}&{field}={line}");
        pages.push(post(&site, page, "", &form));
        let form = format!("form_token={token}&jail=one&{field}={line}");
        pages.push(post(&site, page, "", &form));
    }
    let mut told = 0;
    for (head, page) in &pages {
        assert!(head.contains("content-type: text/html"), "{head}\n{page}");
        assert!(
            head.contains(
                "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'"
            ),
            "{head}"
        );
        assert!(!page.to_ascii_lowercase().contains("<xss"), "{page}");
        told += usize::from(page.contains("&lt;xss onload=alert(1)&gt;"));
    }
    assert!(told >= 8, "only {told} pages show what strangers wrote");
    // nor does a browser take an answer of the API for a page
    for path in [
        "/api/v1/banned",
        "/api/v1/status",
        "/api/v1/addresses/192.0.2.7",
    ] {
        let (head, body) = get(&site, path, "");
        assert!(body.contains("<xss"), "{body}");
        assert!(head.contains("content-type: application/json"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    }
}

#[test]
fn registries_write_no_elements() {
    common::in_network_and_mount_namespace("attacks::registries_write_no_elements", || {
        let site = page_site("");
        // the registry that answers questions about addresses is this one
        let hosts = "127.0.0.1 localhost whois.iana.org\n";
        site.write("hosts", hosts);
        let script = format!(
            "ip link set lo up && mount --bind {} /etc/hosts",
            site.path("hosts").display()
        );
        let mut shell = std::process::Command::new("/bin/sh");
        assert!(shell.args(["-c", &script]).status().unwrap().success());
        let registry = std::net::TcpListener::bind("127.0.0.1:43").unwrap();
        std::thread::spawn(move || {
            for stream in registry.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1000]);
                let answer =
                    format!("netname: \"'>{ELEMENT}\u{202e}\r\n<script>alert(2)</script>\r\n");
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let _server = site.foreground(home::server());
        let _web = web(&site);
        assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
        let (head, page) = get(&site, "/address/192.0.2.7?whois=1", "");
        assert_eq!(status(&head), "200", "{page}");
        assert!(
            page.contains("netname: &quot;'&gt;&lt;xss onload=alert(1)&gt;\\u202e"),
            "{page}"
        );
        assert!(
            !page.contains("<xss")
                && !page.contains("alert(2)</script>")
                && !page.contains('\u{202e}'),
            "{page}"
        );
        let (head, answer) = get(&site, "/api/v1/addresses/192.0.2.7?whois=1", "");
        assert!(answer.contains("netname:"), "{answer}");
        assert!(head.contains("content-type: application/json"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    });
}

#[test]
fn paths_lead_to_nothing_but_what_is_served() {
    let site = page_site("");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    for path in [
        "/static/../../etc/passwd",
        "/static/..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/look.css",
        "/static/look.css%00.js",
        "/static//look.css",
        "/static/",
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/login%0d%0aSet-Cookie:%20a=b",
        "/api/v1/jails/..%2f..%2fstatus",
        "/api/v2/status",
    ] {
        let (head, body) = get(&site, path, "");
        assert!(["404", "400"].contains(&status(&head)), "{path}: {head}");
        assert!(
            !body.contains("root:") && !head.contains("set-cookie"),
            "{path}: {head}"
        );
    }
    assert_eq!(status(&get(&site, "/static/look.css", "").0), "200");
}

#[test]
fn what_is_sent_back_in_a_header_stays_in_it() {
    let (site, token) = site_with_users("write = true\n");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let anna = log_in(&site, "anna");
    let own = form_token(&get(&site, "/change?change=unban&id=x", &anna).1);
    let form =
        format!("form_token={own}&change=unban&id=x%0d%0aSet-Cookie:+a=b%0d%0a%0d%0a%3Cxss%3E");
    let (head, body) = post(&site, "/change", &anna, &form);
    assert_eq!(status(&head), "303", "{body}");
    assert!(
        !head.contains("set-cookie") && body.is_empty(),
        "{head}\n{body}"
    );
    assert!(
        head.contains("location: /address/x%0D%0ASet-Cookie:%20a%3Db"),
        "{head}"
    );
    // one request stays one, however its length is told
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let twice = format!(
        "POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n{bearer}Connection: close\r\n\r\n"
    );
    let answers = raw(&site, twice.as_bytes());
    assert!(answers.matches("HTTP/1.1 200").count() <= 1, "{answers}");
}

#[test]
fn giant_bodies_are_not_read() {
    let (site, token) = site_with_users("");
    let _server = site.foreground(home::server());
    let web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let send = |path: &str, headers: &str, chunk: &[u8], most: usize| {
        let mut stream = UnixStream::connect(site.path("web")).unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut sent = 0;
        while sent < most && stream.write_all(chunk).is_ok() {
            sent += chunk.len();
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        (sent, String::from_utf8_lossy(&answer).into_owned())
    };
    let before = resident(&web);
    let block = vec![b'x'; 1 << 20];
    let (sent, answer) = send(
        "/api/v1/replay?jail=one",
        &format!("{bearer}Content-Length: 99999999999\r\n"),
        &block,
        1 << 30,
    );
    assert!(
        sent < 64 << 20 && (answer.is_empty() || answer.contains(" 413 ")),
        "{sent} {answer}"
    );
    let mut chunk = b"100000\r\n".to_vec();
    chunk.extend_from_slice(&block);
    chunk.extend_from_slice(b"\r\n");
    let (sent, _) = send(
        "/api/v1/replay?jail=one",
        &format!("{bearer}Transfer-Encoding: chunked\r\n"),
        &chunk,
        1 << 30,
    );
    assert!(sent < 64 << 20, "{sent}");
    // a stranger may send less
    let (sent, answer) = send("/login", "Content-Length: 9999999\r\n", &block, 1 << 30);
    assert!(
        sent < 8 << 20 && (answer.is_empty() || answer.contains(" 413 ")),
        "{sent} {answer}"
    );
    let (_, answer) = send(
        "/api/v1/replay?jail=one",
        "Content-Length: 9999999\r\n",
        &block,
        1 << 20,
    );
    assert!(answer.is_empty() || answer.contains(" 401 "), "{answer}");
    let grown = resident(&web).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more");
    assert_eq!(get(&site, "/healthz", "").1, "ok\n");
}

/// KiB of memory that a process has.
fn resident(web: &Web) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", web.0.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn forwarded_client_that_guesses_often_at_once_guesses_no_more() {
    let (site, _) = site_with_users("forwarded = true\n");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let token = form_token(&get(&site, "/login", "").1);
    let begun = Instant::now();
    let codes: Vec<String> = std::thread::scope(|scope| {
        let attempt = |number: usize| {
            let form = format!("form_token={token}&name=anna&password=guess{number}");
            let (head, _) = post(&site, "/login", "X-Forwarded-For: 198.51.100.1\r\n", &form);
            status(&head).to_owned()
        };
        let all: Vec<_> = (0..40)
            .map(|number| scope.spawn(move || attempt(number)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |code: &str| codes.iter().filter(|one| *one == code).count();
    assert_eq!(
        (count("403"), count("429")),
        (5, 35),
        "{codes:?} in {:?}",
        begun.elapsed()
    );
    let (head, _) = post(
        &site,
        "/login",
        "X-Forwarded-For: 198.51.100.1\r\n",
        &format!("form_token={token}&name=anna&password=correct+horse"),
    );
    assert!(head.contains("retry-after: "), "{head}");
}

#[test]
fn an_id_names_no_file_and_no_jail() {
    let site = page_site("");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    site.write("secret", "whoever reads this reads everything\n");
    let path = site.path("secret").display().to_string();
    for id in [path.as_str(), "../../../../../../etc/passwd", "-", "one"] {
        let id = id.replace('/', "%2F");
        for page in ["/api/v1/addresses", "/address"] {
            let (head, body) = get(&site, &format!("{page}/{id}"), "");
            assert_eq!(status(&head), "200", "{body}");
            assert!(
                !body.contains("reads everything") && !body.contains("root:"),
                "{body}"
            );
            assert!(body.contains("it is no address"), "{body}");
        }
    }
}

#[test]
fn connections_that_do_nothing_keep_nobody_out() {
    let site = page_site("");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let open = |request: &[u8]| {
        let mut stream = UnixStream::connect(site.path("web")).unwrap();
        stream.set_nonblocking(true).unwrap();
        while stream
            .write(request)
            .is_ok_and(|sent| sent == request.len())
        {}
        stream
    };
    // some never say what they want; some want much, and take none of it
    let much = b"GET /static/page.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let mut held: Vec<UnixStream> = (0..300).map(|_| open(&much)).collect();
    for _ in 0..300 {
        let mut stream = UnixStream::connect(site.path("web")).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: lo");
        held.push(stream);
    }
    let begun = Instant::now();
    assert_eq!(get(&site, "/healthz", "").1, "ok\n");
    // nobody waits until their time is up
    assert!(begun.elapsed() < Duration::from_secs(20));
    drop(held);
}

#[test]
fn the_socket_for_the_page_does_what_it_is_for_and_does_not_fall() {
    let site = page_site("write = true\nusers = HERE/users\nsocket = HERE/websock\n");
    site.write("users", "");
    let server = site.foreground(home::server());
    let ask = |words: Vec<&str>| {
        let timeout = Some(Duration::from_secs(60));
        let mut client = ControlClient::connect(&site.path("websock"), timeout).unwrap();
        let words: Vec<Value> = words.into_iter().map(Value::from).collect();
        client.ask(&words)
    };
    assert!(common::eventually(60, || site.path("websock").exists()));
    for refused in [
        "stop",
        "set one bantime 1",
        "set one banip 192.0.2.1",
        "set one action note actionban touch",
        "get one action note actionban",
        "get one actionproperties note",
        "by anna set one bantime 1",
        "by anna set one action note actionban touch",
        "by anna unban --all",
        "by anna stop",
        "by anna by anna unban 192.0.2.1",
    ] {
        let reply = ask(refused.split(' ').collect()).unwrap();
        assert!(reply.is_err(), "{refused}: {reply:?}");
    }
    assert!(
        ask(vec!["by", "anna", "set", "one", "banip", "192.0.2.1"])
            .unwrap()
            .is_ok()
    );
    let mut row = ["by", "x"].repeat(100_000);
    row.push("ping");
    assert!(!ask(row).is_ok_and(|reply| reply.is_ok()));
    assert_eq!(server.ask(&["ping"]).unwrap(), Ok("pong".into()));
}

#[test]
fn secret_settings_of_actions_are_not_told() {
    let (site, token) = site_with_users("");
    let secret = "hunter2secret";
    site.jails(&format!(
        "{}action = note[password=\"{secret}\", url=\"https://me:{secret}@a.example/\"]\n",
        home::jail("one").trim_end().to_owned() + "\n"
    ));
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for path in ["/api/v1/jails/one", "/jail/one", "/v1/jails/one/config"] {
        let (head, body) = get(&site, path, &bearer);
        assert_eq!(status(&head), "200", "{path}: {body}");
        assert!(
            body.contains("(not shown)") && !body.contains(secret),
            "{path}: {body}"
        );
    }
}

#[test]
fn another_password_ends_what_the_old_one_began() {
    let (site, _) = site_with_users("");
    let _server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    let [stolen, other] = ["anna", "vera"].map(|name| log_in(&site, name));
    assert_eq!(status(&get(&site, "/banned", &stolen).0), "200");
    let mut command = common::ours("web");
    command.args(["user", "add", "anna", "--role", "operator", "-c"]);
    command.arg(site.directory.path()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"another horse\n")
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(status(&get(&site, "/banned", &stolen).0), "303");
    assert_eq!(status(&get(&site, "/banned", &other).0), "200");
}
