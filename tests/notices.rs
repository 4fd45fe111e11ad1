//! Messages to web services: each shipped action against a service that notes what it is asked; what comes
//! of servers that refuse, hang or are gone; and bans that none of it delays.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "notices/delay.rs"]
mod delay;
#[path = "notices/lanes.rs"]
mod lanes;
#[path = "notices/recorder.rs"]
mod recorder;
mod scenario;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use common::home;
use recorder::{Answer, Asked, Recorder};
use rustls::ServerConfig;
use scenario::{Trace, by_ours, shipped_actions, ticket};
use serde_json::{Value as Json, json};

/// Lines of a log as attackers would like them.
const EVIL: [&str; 4] = [
    "a \"quoted\" \\ line with \\n and \\u0041,\"x\":1}] {{ <!channel> @everyone &lt; [bank](http://evil.example/)",
    "\rPOST /evil HTTP/1.1\r\nX-Evil: 1",
    "`$(touch HERE/pwned)` $(cat HERE/secret) *b* _i_ ~s~ |t| # h > q",
    "tab\there \u{1b}[31mred\u{1} \u{7f}é \u{202e} <message> <ip>",
];

const SECRET: &str = "SE:C/RET";

/// A directory with a secret in a file.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new() -> Stage {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("secret"), format!("{SECRET}\n")).unwrap();
        Stage(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A text in which `HERE` stands for the directory.
    fn here(&self, text: &str) -> String {
        text.replace("HERE", &self.path().display().to_string())
    }

    fn evil(&self, id: &str) -> Json {
        let mut ticket = ticket(id);
        ticket["matches"] = EVIL.map(|line| self.here(line)).to_vec().into();
        ticket["fields"] = json!({"user": self.here(&EVIL.join("/"))});
        ticket
    }

    /// Has an action of the shipped configuration do these steps; what was logged from WARNING on.
    fn run(&self, action: &str, steps: &[Json]) -> Vec<String> {
        let action = self.here(action);
        let jail = format!(
            "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {action}\n"
        );
        let mut all = shipped_actions(&jail);
        all.extend_from_slice(steps);
        all.push(json!({"do": "stop", "tickets": []}));
        let traces = by_ours(&all, 30);
        traces
            .into_iter()
            .flat_map(|Trace { log, .. }| log)
            .collect()
    }

    /// The one request that an action makes of one step.
    fn asked(&self, recorder: &Recorder, action: &str, step: Json) -> Asked {
        let before = recorder.asked().len();
        let log = self.run(action, &[json!({"do": "start"}), step]);
        assert_eq!(log, [""; 0], "{action}");
        let asked = recorder.asked();
        assert_eq!(asked.len(), before + 1, "{action}: {asked:#?}");
        asked[before].clone()
    }
}

/// How values are written for whom a text is shown to.
fn written(escape: &str, text: &str) -> String {
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    let mut text = text.replace(control, " ");
    if escape == "html" {
        for (c, name) in [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")] {
            text = text.replace(c, name);
        }
    }
    if escape == "markdown" {
        for c in r"\`*_~|[]<>#".chars() {
            text = text.replace(c, &format!("\\{c}"));
        }
        text = text.replace('@', "@\u{200b}");
    }
    text
}

fn ban(ticket: Json) -> Json {
    json!({"do": "ban", "ticket": ticket})
}

/// An action with its arguments (`URL` is the service's address), what it asks for, how values are written,
/// and what it sends: TITLE, TEXT and MESSAGE stand for what happened, ID for the ban's.
const SERVICES: [(&str, &str, &str, &str); 9] = [
    (
        "ntfy[topic=t, server=\"URL\", tokenfile=HERE/secret]",
        "POST /",
        "none",
        r#"{"topic":"t","title":"TITLE","message":"TEXT","priority":3,"tags":["no_entry"]}"#,
    ),
    (
        "gotify[server=\"URL\", tokenfile=HERE/secret]",
        "POST /message",
        "none",
        r#"{"title":"TITLE","message":"TEXT","priority":5}"#,
    ),
    (
        "telegram[chat=-100, server=\"URL\", tokenfile=HERE/secret]",
        "POST /botSE:C/RET/sendMessage",
        "none",
        r#"{"chat_id":"-100","text":"MESSAGE","link_preview_options":{"is_disabled":true}}"#,
    ),
    (
        "slack[url=\"URL/$(cat HERE/secret)\"]",
        "POST /SE:C/RET",
        "html",
        r#"{"text":"MESSAGE"}"#,
    ),
    (
        "mattermost[url=\"URL/$(cat HERE/secret)\"]",
        "POST /SE:C/RET",
        "markdown",
        r#"{"text":"MESSAGE"}"#,
    ),
    (
        "discord[url=\"URL/$(cat HERE/secret)\"]",
        "POST /SE:C/RET",
        "markdown",
        r#"{"content":"MESSAGE","allowed_mentions":{"parse":[]}}"#,
    ),
    (
        "teams[url=\"URL/$(cat HERE/secret)?sig=a%%2Fb\"]",
        "POST /SE:C/RET?sig=a%2Fb",
        "markdown",
        r#"{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive",
        "content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard",
        "version":"1.2","body":[{"type":"TextBlock","text":"TITLE","weight":"Bolder","wrap":true},
        {"type":"TextBlock","text":"TEXT","wrap":true}]}}]}"#,
    ),
    (
        "matrix[server=\"URL\", room=\"!r:m.org\", tokenfile=HERE/secret]",
        "PUT /_matrix/client/v3/rooms/!r:m.org/send/m.room.message/f2b-",
        "none",
        r#"{"msgtype":"m.text","body":"MESSAGE","m.mentions":{}}"#,
    ),
    (
        "pagerduty[server=\"URL\", routingkeyfile=HERE/secret]",
        "POST /v2/enqueue",
        "none",
        r#"{"routing_key":"SE:C/RET","event_action":"trigger","dedup_key":"j/ID/HOST",
        "payload":{"summary":"TITLE","source":"HOST","severity":"warning","component":"j",
        "custom_details":{"id":"ID","failures":5,"lines":"LINES"}}}"#,
    ),
];

/// Fills in the texts of what is expected.
fn filled(value: &mut Json, texts: &[(&str, &str)]) {
    match value {
        Json::String(text) => {
            for (name, value) in texts {
                *text = text.replace(name, value);
            }
        }
        Json::Array(list) => list.iter_mut().for_each(|value| filled(value, texts)),
        Json::Object(members) => members.values_mut().for_each(|value| filled(value, texts)),
        _ => {}
    }
}

#[test]
fn each_service_is_told_as_it_wants_whatever_the_lines_hold() {
    let (stage, recorder) = (Stage::new(), Recorder::willing());
    let url = format!("http://127.0.0.1:{}", recorder.port);
    let host = ferroban::parts::sys::hosts::HostNames::of_this_machine().full;
    let evil_id = stage.here("b\\\"$(touch HERE/pwned)é\r\nx: y");
    for (action, line, escape, body) in SERVICES {
        let action = action.replace("URL", &url);
        for id in ["192.0.2.1", &evil_id] {
            let asked = stage.asked(&recorder, &action, ban(stage.evil(id)));
            let written = |text: &str| written(escape, text);
            // a title is one line
            let title = format!("[Fail2Ban] j: banned {} from {host}", written(id));
            let (title, more) = title.split_once('\n').unwrap_or((&title, ""));
            let raw_lines = stage.here(&EVIL.join("\n"));
            let lines = written(&raw_lines);
            let head = format!("{} is out: 5 failures in jail j.", written(id));
            let text = format!("{head}\n{lines}");
            let text = match more.is_empty() {
                true => text,
                false => format!("{more}\n{text}"),
            };
            let message = format!("{title}\n{text}");
            let mut expected: Json = serde_json::from_str(body).unwrap();
            filled(
                &mut expected,
                &[
                    ("TITLE", title),
                    ("TEXT", &text),
                    ("MESSAGE", &message),
                    ("LINES", &raw_lines),
                    ("ID", id),
                    ("HOST", &host),
                ],
            );
            assert_eq!(asked.json(), expected, "{action}");
            assert!(asked.line.starts_with(line), "{}", asked.line);
            assert!(!asked.line.contains("evil"));
            assert_eq!(asked.header("content-type"), Some("application/json"));
            assert!(asked.header("user-agent").unwrap().starts_with("ferroban/"));
            assert_eq!(asked.header("x-evil"), None);
            let name = action.split('[').next().unwrap();
            let secret = match name {
                "ntfy" | "matrix" => asked.header("authorization") == Some("Bearer SE:C/RET"),
                "gotify" => asked.header("x-gotify-key") == Some(SECRET),
                "pagerduty" => true,
                _ => asked.line.contains(SECRET),
            };
            assert!(secret, "{action}: {asked:?}");
        }
        let mut long = ticket("2001:db8::1");
        long["matches"] = json!(["é".repeat(3000)]);
        let asked = stage.asked(&recorder, &action, ban(long));
        assert!(
            asked.body.contains("é...") && asked.body.len() < 2200,
            "{}",
            asked.body
        );
    }
    assert!(!stage.path().join("pwned").exists());
}

#[test]
fn an_unban_resolves_the_alert_of_its_ban() {
    let (stage, recorder) = (Stage::new(), Recorder::willing());
    let action = format!(
        "pagerduty[server=\"http://127.0.0.1:{}\", routingkeyfile=HERE/secret]",
        recorder.port
    );
    let steps = [
        ban(ticket("192.0.2.1")),
        json!({"do": "unban", "ticket": ticket("192.0.2.1")}),
    ];
    assert_eq!(stage.run(&action, &steps), [""; 0]);
    let asked = recorder.asked();
    let [first, second] = asked.as_slice() else {
        panic!("{asked:#?}");
    };
    assert_eq!(first.json()["dedup_key"], second.json()["dedup_key"]);
    let members = second.json();
    let members: Vec<&String> = members.as_object().unwrap().keys().collect();
    assert_eq!(members, ["routing_key", "event_action", "dedup_key"]);
    assert_eq!(second.json()["event_action"], "resolve");
}

#[test]
fn an_unban_resolves_the_alert_of_a_ban_that_a_restart_has_brought_back() {
    let (stage, recorder) = (Stage::new(), Recorder::willing());
    let action = format!(
        "pagerduty[server=\"http://127.0.0.1:{}\", routingkeyfile=HERE/secret]",
        recorder.port
    );
    let restored = |id: &str| {
        let mut ticket = ticket(id);
        ticket["restored"] = true.into();
        ticket
    };
    let steps = [
        ban(restored("192.0.2.1")),
        json!({"do": "unban", "ticket": restored("192.0.2.1")}),
    ];
    assert_eq!(stage.run(&action, &steps), [""; 0]);
    let asked = recorder.asked();
    let [only] = asked.as_slice() else {
        panic!("{asked:#?}");
    };
    assert_eq!(only.json()["event_action"], "resolve");
    let key = only.json()["dedup_key"].clone();
    assert!(key.as_str().unwrap().starts_with("j/192.0.2.1/"), "{key}");
}

#[test]
fn a_webhook_is_told_of_bans_and_unbans() {
    let (stage, recorder) = (Stage::new(), Recorder::willing());
    let action = format!(
        "webhook[url=\"http://127.0.0.1:{}/bans\", header=\"Authorization: Bearer $(cat HERE/secret)\"]",
        recorder.port
    );
    let id = stage.here("b\\\" $(touch HERE/pwned)\r\nx: y");
    let evil = stage.evil(&id);
    let mut restored = ticket("192.0.2.7");
    restored["restored"] = true.into();
    let steps = [
        ban(evil.clone()),
        json!({"do": "unban", "ticket": evil}),
        ban(restored),
    ];
    assert_eq!(stage.run(&action, &steps), [""; 0]);
    let asked = recorder.asked();
    assert_eq!(asked.len(), 3, "{asked:#?}");
    for (asked, event) in asked.iter().zip(["ban", "unban"]) {
        let mut data = asked.json();
        assert!(data["host"].take().is_string() && data["time"].take().is_number());
        let expected = json!({
            "event": event, "jail": "j", "id": id, "host": null, "time": null, "failures": 5,
            "bantime": 600, "bancount": 1, "restored": false, "lines": stage.here(&EVIL.join("\n")),
        });
        assert_eq!(data, expected);
        assert_eq!(asked.line, "POST /bans");
        assert_eq!(asked.header("authorization"), Some("Bearer SE:C/RET"));
    }
    assert_eq!(asked[2].json()["restored"], true);
    assert!(!stage.path().join("pwned").exists());
}

#[test]
fn what_is_told_can_be_set() {
    let (stage, recorder) = (Stage::new(), Recorder::willing());
    let url = format!("http://127.0.0.1:{}", recorder.port);
    // values of every kind of place
    let action = format!(
        "webhook[url=\"{url}/<F-USER>?ip=<ip>\", method=PATCH, header=\"X-User: <F-USER>\", type=\"text/plain\", \
         body=\"<message>\", onban=\"out: <F-USER>\", onunban=\"\", lines=0]"
    );
    let asked = stage.asked(&recorder, &action, ban(stage.evil("192.0.2.1")));
    assert!(
        asked
            .line
            .starts_with("PATCH /a%20%22quoted%22%20%5C%20line"),
        "{}",
        asked.line
    );
    assert!(asked.line.ends_with("?ip=192.0.2.1"));
    assert_eq!(asked.header("content-type"), Some("text/plain"));
    assert!(asked.header("x-user").unwrap().starts_with("a \"quoted\""));
    assert_eq!(asked.header("x-evil"), None);
    assert!(asked.body.starts_with("out: a \"quoted\""));
    // a form
    let action = format!(
        "webhook[url=\"{url}/\", type=\"application/x-www-form-urlencoded\", body=\"user=<F-USER>&m=<message>\", \
         onban=\"a&b\", onunban=\"\"]"
    );
    let asked = stage.asked(&recorder, &action, ban(stage.evil("192.0.2.1")));
    assert!(asked.body.starts_with("user=a%20%22quoted%22"));
    assert_eq!(asked.body.matches('&').count(), 1);
    assert!(asked.body.ends_with("&m=a%26b"));
    // what happens to the jail; without a title there is nothing to say
    let action = format!(
        "slack[url=\"{url}/\", onban=, onstart=\"<name> starts\", onstop=\"<name> stops\"]"
    );
    let before = recorder.asked().len();
    let steps = [json!({"do": "start"}), ban(ticket("192.0.2.1"))];
    assert_eq!(stage.run(&action, &steps), [""; 0]);
    let bodies: Vec<String> = recorder.asked()[before..]
        .iter()
        .map(|asked| asked.body.clone())
        .collect();
    assert_eq!(
        bodies,
        [r#"{"text":"j starts and 1 more"}"#.replace(" and 1 more", "\\n\\nj stops")]
    );
}

#[test]
fn many_bans_become_one_message() {
    let (stage, recorder) = (Stage::new(), Recorder::willing());
    let url = format!("http://127.0.0.1:{}", recorder.port);
    let bans: Vec<Json> = (1..=200).map(|n| ticket(&format!("192.0.2.{n}"))).collect();
    let bans = json!({"do": "bans", "tickets": bans});
    let asked = stage.asked(
        &recorder,
        &format!("ntfy[topic=t, server=\"{url}\"]"),
        bans.clone(),
    );
    assert_eq!(asked.header("authorization"), None);
    let data = asked.json();
    let (title, text) = (
        data["title"].as_str().unwrap(),
        data["message"].as_str().unwrap(),
    );
    assert!(
        title.starts_with("[Fail2Ban] j: banned 192.0.2.1 from ")
            && title.ends_with(" and 199 more")
    );
    assert!(text.len() <= 4000, "{}", text.len());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("[Fail2Ban] j: banned 192.0.2.2 from "));
    assert_eq!(
        lines.last().unwrap(),
        &format!("and {} more", 200 - (lines.len() - 1))
    );
    // as a list of JSON
    let action = format!(
        "webhook[url=\"{url}/\", body=\"[<message>]\", digest=60, batch=150, limit=1000000]"
    );
    let before = recorder.asked().len();
    assert_eq!(stage.run(&action, &[bans]), [""; 0]);
    let lengths: Vec<usize> = recorder.asked()[before..]
        .iter()
        .map(|asked| asked.json().as_array().unwrap().len())
        .collect();
    assert_eq!(lengths, [150, 50]);
}

/// Of a server that is 127.0.0.1, and its certificate.
fn tls() -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (Arc::new(config), made.cert.pem())
}

#[test]
fn tls_must_be_trusted() {
    let (config, certificate) = tls();
    let stage = Stage::new();
    fs::write(stage.path().join("ca.pem"), certificate).unwrap();
    let taken = |_| Answer::Says(200, String::new(), "");
    let recorder = Recorder::with(taken, Some(config));
    let url = format!("https://127.0.0.1:{}/", recorder.port);
    let trusted = format!("slack[url=\"{url}\", cafile=HERE/ca.pem]");
    let asked = stage.asked(&recorder, &trusted, ban(ticket("192.0.2.1")));
    assert_eq!(
        asked.header("host").unwrap(),
        &url["https://".len()..url.len() - 1]
    );
    let log = stage.run(
        &format!("slack[url=\"{url}\"]"),
        &[ban(ticket("192.0.2.1"))],
    );
    assert!(log.concat().contains("1 messages lost: "), "{log:?}");
    assert_eq!(recorder.asked().len(), 1);
}

/// A proxy that connects whoever asks to a server of this host; answers its port, and what it is asked.
fn proxy() -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                client.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let place = head.split(' ').nth(1).unwrap().to_owned();
            told.send(head).unwrap();
            let mut server = std::net::TcpStream::connect(place).unwrap();
            client
                .write_all(b"HTTP/1.1 200 Connected\r\nVia: x\r\n\r\n")
                .unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let _ = std::io::copy(&mut server, &mut client);
        }
    });
    (port, asked)
}

#[test]
fn a_test_of_the_configuration_names_the_place_of_a_mistake() {
    let site = home::Site::new(&["one"]);
    let action = "action = note\n         slack[rate=often]\n";
    site.jails(&(home::jail("one").trim_end().to_owned() + "\n" + action));
    let (code, said) = site.run(common::ours("fail2ban-client"), &["-t"]);
    // the jail guards all the same
    assert_eq!(code, 0, "{said}");
    let line = site
        .read("jail.conf")
        .lines()
        .position(|line| line.contains("slack"));
    let place = format!("jail.conf:{}", line.unwrap() + 1);
    let told = said.lines().find(|line| line.contains("rate = often"));
    let told = told.unwrap_or_else(|| panic!("{said}"));
    assert!(
        told.contains("WARNING") && told.contains("action slack") && told.contains(&place),
        "{said}"
    );
}

#[test]
fn messages_go_by_a_proxy_where_one_is_named() {
    let stage = Stage::new();
    // who is asked by HTTP does not even have to have a name here
    let plain = Recorder::willing();
    let action = format!(
        "slack[url=\"http://chat.example/hook?a=b\", proxy=\"http://127.0.0.1:{}\"]",
        plain.port
    );
    let asked = stage.asked(&plain, &action, ban(ticket("192.0.2.1")));
    assert_eq!(asked.line, "POST http://chat.example/hook?a=b");
    assert_eq!(asked.header("host").unwrap(), "chat.example");
    // with TLS it sees who is asked, and no more
    let (config, certificate) = tls();
    fs::write(stage.path().join("ca.pem"), certificate).unwrap();
    let taken = |_| Answer::Says(200, String::new(), "");
    let service = Recorder::with(taken, Some(config));
    let (port, heads) = proxy();
    let action = format!(
        "slack[url=\"https://127.0.0.1:{}/SECRET\", cafile=HERE/ca.pem, proxy=\"http://127.0.0.1:{port}\"]",
        service.port
    );
    let asked = stage.asked(&service, &action, ban(ticket("192.0.2.1")));
    assert_eq!(asked.line, "POST /SECRET");
    let head = heads.recv().unwrap();
    let place = format!("127.0.0.1:{}", service.port);
    assert_eq!(
        head,
        format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n")
    );
    // one that refuses is told of
    let refusing = Recorder::new(|_| Answer::Says(407, String::new(), "who are you?"));
    let action = format!(
        "slack[url=\"https://chat.example/\", retries=0, proxy=\"http://127.0.0.1:{}\"]",
        refusing.port
    );
    let log = stage.run(&action, &[ban(ticket("192.0.2.1"))]).concat();
    assert!(
        log.contains("the proxy does not connect to chat.example:443: HTTP/1.1 407"),
        "{log}"
    );
}

#[test]
fn what_cannot_be_sent_is_said() {
    let stage = Stage::new();
    let error = |action: &str| {
        let log = stage.run(action, &[ban(ticket("192.0.2.1"))]);
        assert_eq!(log.len(), 1, "{log:?}");
        log.into_iter().next().unwrap()
    };
    let missing = error("telegram[chat=1, tokenfile=HERE/none]");
    assert!(
        missing.contains(&stage.here("cannot read HERE/none: No such file or directory")),
        "{missing}"
    );
    let wrong = error("slack[url=\"http://127.0.0.1:1/\", rate=often]");
    assert!(
        wrong.contains("rate = often: it must be as 10/minute"),
        "{wrong}"
    );
    let no_url = error("webhook[url=\"ftp://x/\", onunban=]");
    assert!(
        no_url.contains("must begin with http:// or https://"),
        "{no_url}"
    );
    assert!(error("gotify[server=\"127.0.0.1\"]").contains("ERROR"));
}

#[test]
fn notify_test_sends_one_message_and_prints_the_answer() {
    let (stage, recorder) = (Stage::new(), Recorder::willing());
    let jails = format!(
        "[a]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\n\
         action = dummy\n         telegram[chat=7, server=\"http://127.0.0.1:{}\", tokenfile=HERE/secret]\n\
         [b]\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\n\
         action = slack[url=\"http://127.0.0.1:1/\"]\n\
         [c]\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\n\
         action = slack[urlfile=\"$CREDENTIALS_DIRECTORY/hook\"]\n",
        recorder.port
    );
    // as systemd hands them over
    let hook = format!("http://127.0.0.1:{}/hook\n", recorder.port);
    fs::write(stage.path().join("hook"), hook).unwrap();
    fs::write(stage.path().join("jail.local"), stage.here(&jails)).unwrap();
    let notify = |words: &[&str]| {
        let mut command =
            common::pinned(std::process::Command::new(env!("CARGO_BIN_EXE_ferroban")));
        let command = command.args(["notify", "test", "-c"]).arg(stage.path());
        let command = command.env("CREDENTIALS_DIRECTORY", stage.path());
        let output = command.args(words).output().unwrap();
        let text =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), text)
    };
    assert_eq!(
        notify(&["telegram"]),
        (
            0,
            "action telegram of jail a: sent, the server answers 200: {\"ok\":true}\n".to_owned()
        )
    );
    let asked = recorder.asked();
    assert_eq!(
        (asked.len(), &*asked[0].line),
        (1, "POST /botSE:C/RET/sendMessage")
    );
    assert!(
        asked[0].body.contains("banned 192.0.2.1 from "),
        "{}",
        asked[0].body
    );
    let (code, text) = notify(&["slack", "--jail", "c"]);
    assert_eq!(
        (code, &*recorder.asked()[1].line),
        (0, "POST /hook"),
        "{text}"
    );
    let (code, text) = notify(&["slack", "--jail", "b"]);
    assert_eq!(code, 255);
    let begin =
        "ferroban notify: action slack of jail b: not sent: cannot connect to 127.0.0.1:1: ";
    assert!(text.starts_with(begin), "{text}");
    for (words, answer) in [
        (
            &["slak"][..],
            "the enabled jails have no action slak; those that send messages are telegram of jail a",
        ),
        (
            &["telegram", "--jail", "b"],
            "jail b has no action telegram; those that send messages are slack of jail b",
        ),
        (
            &["dummy"],
            "action dummy of jail a sends no message to a web service; its actionban is: /bin/sh",
        ),
    ] {
        let (code, text) = notify(words);
        assert!(code == 255 && text.contains(answer), "{code}: {text}");
    }
}
