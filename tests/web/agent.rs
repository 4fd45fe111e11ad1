//! The agent API of fail2ban-ui: requests as its connector (1.5.2) sends them to an agent, and the fields that it
//! reads of the answers.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;

use serde_json::{Value as Json, json};

use super::common::{self, home};
use super::*;

fn call(site: &Site, method: &str, path: &str, token: &str, body: &str) -> (String, Json) {
    let length = body.len();
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/json\r\n"
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: mx1.example.org:9700\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {length}\r\nAccept: application/json\r\n{kind}X-F2b-Token: {token}\r\nConnection: close\r\n\r\n{body}"
    );
    let answer = raw(site, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (
        status(head).to_owned(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

/// Takes so many requests: head and body of each.
fn hear(interface: &TcpListener, count: usize) -> Vec<(String, Json)> {
    let mut told = Vec::new();
    for stream in interface.incoming().take(count) {
        let mut stream = BufReader::new(stream.unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let done = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        stream.get_mut().write_all(done).unwrap();
        told.push((head, serde_json::from_slice::<Json>(&body).unwrap()));
    }
    told
}

#[test]
fn requests_of_fail2ban_ui_are_answered_and_it_is_told_of_bans() {
    let (site, token) = site_with_users("write = true\n");
    let server = site.foreground(home::server());
    let _web = web(&site);
    let ready = || call(&site, "GET", "/readyz", "", "").1["ready"] == true;
    assert!(common::eventually(60, ready));
    assert_eq!(call(&site, "GET", "/healthz", "", "").0, "200");
    let call = |method: &str, path: &str, body: &str| call(&site, method, path, &token, body);
    assert_eq!(
        super::agent::call(&site, "GET", "/v1/jails", "wrong", "").0,
        "401"
    );

    // it wants to be told, and is
    let interface = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/f2b/", interface.local_addr().unwrap());
    let target = json!({
        "serverId": "srv-1", "callbackUrl": url, "callbackSecret": "cb-secret",
        "callbackHostname": "mx1",
    });
    let told = std::thread::spawn(move || hear(&interface, 2));
    let (code, answer) = call("PUT", "/v1/callback/config", &target.to_string());
    assert_eq!((code.as_str(), &answer), ("200", &json!({ "ok": true })));
    for wrong in [r#"{"serverId": "x"}"#, "{"] {
        assert_eq!(call("PUT", "/v1/callback/config", wrong).0, "400");
    }
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let heard = || {
        get(&site, "/metrics", &bearer)
            .1
            .contains("\nferroban_web_connected 1\n")
    };
    assert!(common::eventually(60, heard));

    let (code, answer) = call("POST", "/v1/jails/one/ban", r#"{"ip":"192.0.2.7"}"#);
    assert_eq!((code.as_str(), &answer), ("200", &json!({ "ok": true })));
    // events come a moment after what they tell of
    let counted = || call("GET", "/v1/jails", "").1["jails"][0]["newInLastHour"] == 1;
    assert!(common::eventually(60, counted));
    let (_, answer) = call("GET", "/v1/jails", "");
    let jail = &answer["jails"][0];
    assert_eq!(jail["jailName"], "one");
    assert_eq!(jail["totalBanned"], 1);
    assert_eq!(jail["bannedIPs"], json!(["192.0.2.7"]));
    assert_eq!(jail["enabled"], true);
    assert_eq!(call("GET", "/v1/jails/all", "").1, answer);
    let (_, answer) = call("GET", "/v1/jails/one", "");
    let all = json!({ "jail": "one", "bannedIPs": ["192.0.2.7"], "totalBanned": 1 });
    assert_eq!(answer, all);
    assert_eq!(call("GET", "/v1/jails/none", "").0, "404");
    assert_eq!(
        call("POST", "/v1/jails/one/unban", r#"{"ip":"192.0.2.7"}"#).0,
        "200"
    );
    assert_eq!(
        server.ask(&["get", "one", "banned", "192.0.2.7"]).unwrap(),
        Ok(0.into())
    );
    for wrong in [r#"{"ip":"nobody"}"#, r#"{"ip":"--all"}"#, "{"] {
        assert_eq!(call("POST", "/v1/jails/one/ban", wrong).0, "400", "{wrong}");
    }
    let said = "By 'robot' of the web page: ['set', 'one', 'banip', '192.0.2.7']";
    let is_said = || site.read("log").contains(said);
    assert!(common::eventually(60, is_said), "{}", site.read("log"));

    let (_, answer) = call("GET", "/v1/filters", "");
    assert!(
        answer["filters"]
            .as_array()
            .unwrap()
            .contains(&json!("sshd")),
        "{answer}"
    );
    let line = "Nov 29 10:00:00 mx1 sshd[7]: Failed password for invalid user bob from 192.0.2.9 port 4 ssh2";
    let test = json!({ "filterName": "sshd", "logLines": [line] }).to_string();
    let (code, answer) = call("POST", "/v1/filters/test", &test);
    assert!(
        code == "200" && answer["output"].as_str().unwrap().contains(line),
        "{answer}"
    );
    for name in ["../../etc/passwd", "/etc/passwd", "x <HOST>", "--help"] {
        let test = json!({ "filterName": name, "logLines": [line] }).to_string();
        assert_eq!(call("POST", "/v1/filters/test", &test).0, "404", "{name}");
    }
    // its own filters, too, as they are written
    let all = call("GET", "/v1/filters", "").1["filters"].clone();
    assert!(all.as_array().unwrap().contains(&json!("simple")), "{all}");
    let (_, answer) = call("GET", "/v1/filters/simple", "");
    let text = site.read("filter.d/simple.conf");
    let path = site.path("filter.d/simple.conf").display().to_string();
    assert_eq!(answer, json!({ "config": text, "filePath": path }));
    let (_, answer) = call("GET", "/v1/filters/sshd", "");
    let shipped = answer["config"].as_str().unwrap();
    assert!(shipped.contains("\nfailregex ="), "{answer}");
    for name in ["none", "..%2f..%2fjail", "..%2ffail2ban", "%2fetc%2fpasswd"] {
        let (code, answer) = call("GET", &format!("/v1/filters/{name}"), "");
        assert_eq!(code, "404", "{name}: {answer}");
    }
    let test = json!({ "filterName": "simple", "logLines": ["2026-11-29 10:00:00 x from 192.0.2.9"], "filterContent": "" });
    let (code, answer) = call("POST", "/v1/filters/test", &test.to_string());
    assert_eq!(code, "200", "{answer}");
    let (_, answer) = call("GET", "/v1/jails/one/config", "");
    assert!(
        answer["config"]
            .as_str()
            .unwrap()
            .contains("\nmaxretry = 1\n"),
        "{answer}"
    );
    assert_eq!(
        call("GET", "/v1/jails/check-integrity", "").1["exists"],
        true
    );
    assert_eq!(call("POST", "/v1/jails/ensure-structure", "").0, "200");
    // nobody becomes root by this
    for (method, path, body) in [
        ("POST", "/v1/actions/reload", ""),
        ("POST", "/v1/actions/restart", ""),
        ("PUT", "/v1/actions/ui-custom", "{}"),
        (
            "PUT",
            "/v1/jails/one/config",
            r#"{"config":"[one]\naction = evil"}"#,
        ),
        ("POST", "/v1/jails", r#"{"name":"x","content":""}"#),
        ("DELETE", "/v1/jails/one", ""),
        ("PUT", "/v1/filters/sshd", r#"{"config":""}"#),
        ("DELETE", "/v1/filters/sshd", ""),
        ("POST", "/v1/jails/update-enabled", r#"{"one":false}"#),
        ("POST", "/v1/jails/test-logpath", r#"{"logpath":"/etc/*"}"#),
        (
            "POST",
            "/v1/jails/test-logpath-with-resolution",
            r#"{"logpath":"/etc/*"}"#,
        ),
        ("POST", "/v1/filters", r#"{"name":"x","content":""}"#),
    ] {
        assert_eq!(call(method, path, body).0, "403", "{method} {path}");
    }

    let told = told.join().unwrap();
    for ((head, body), path) in told.iter().zip(["ban", "unban"]) {
        assert!(
            head.starts_with(&format!("POST /f2b/api/{path} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(head.contains("x-callback-secret: cb-secret\r\n"), "{head}");
        assert_eq!(body["serverId"], "srv-1");
        assert_eq!(body["ip"], "192.0.2.7");
        assert_eq!(body["jail"], "one");
        assert_eq!(body["hostname"], "mx1");
        assert!(
            body["failures"].is_string() && body["logs"].is_string(),
            "{body}"
        );
    }
}

#[test]
fn it_is_told_after_a_restart_as_long_as_its_user_may_operate() {
    let (site, token) = site_with_users("write = true\n");
    let server = site.foreground(home::server());
    std::fs::create_dir(site.path("state")).unwrap();
    let begin = || {
        let mut command = common::ours("web");
        command.arg("-c").arg(site.directory.path());
        command.env("STATE_DIRECTORY", site.path("state"));
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let web = Web(command.spawn().unwrap());
        let heard = || {
            let bearer = format!("Authorization: Bearer {token}\r\n");
            let (_, metrics) = get(&site, "/metrics", &bearer);
            metrics.contains("\nferroban_web_connected 1\n")
        };
        assert!(common::eventually(60, heard));
        web
    };
    let interface = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", interface.local_addr().unwrap());
    let target = json!({ "serverId": "srv-1", "callbackUrl": url, "callbackSecret": "cb-secret" });
    let web = begin();
    let (code, answer) = call(
        &site,
        "PUT",
        "/v1/callback/config",
        &token,
        &target.to_string(),
    );
    assert_eq!(code, "200", "{answer}");
    let kept = std::fs::metadata(site.path("state/callback.json")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&kept.permissions());
    assert_eq!(mode & 0o777, 0o600, "it holds a secret");
    drop(web);
    let _web = begin();
    let ban = |id: &str| {
        assert!(server.ask(&["set", "one", "banip", id]).unwrap().is_ok());
    };
    ban("192.0.2.7");
    let told = hear(&interface, 1);
    assert!(told[0].0.contains("x-callback-secret: cb-secret\r\n"));
    assert_eq!(told[0].1["ip"], "192.0.2.7");

    // who is taken out has nothing more told
    let anna = log_in(&site, "anna");
    let mut command = common::ours("web");
    command
        .args(["user", "remove", "-c"])
        .arg(site.directory.path());
    assert!(command.arg("robot").status().unwrap().success());
    ban("192.0.2.8");
    let happened = || get(&site, "/live", &anna).1.contains("192.0.2.8");
    assert!(common::eventually(60, happened));
    interface.set_nonblocking(true).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(interface.accept().is_err());
}
