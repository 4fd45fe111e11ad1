//! `/api/v1` does what its OpenAPI file says, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::common::{self, home};
use super::*;

fn document() -> Json {
    serde_json::from_str(include_str!("../../src/web/api/openapi.json")).unwrap()
}

/// What of a value is not as a schema says.
fn faults(document: &Json, schema: &Json, value: &Json, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = document.pointer(name.trim_start_matches('#'));
        let target = target.unwrap_or_else(|| panic!("{name} leads nowhere"));
        return faults(document, target, value, at, found);
    }
    let kinds = match &schema["type"] {
        Json::Null => return,
        Json::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let is = |kind: &Json| match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: no type {other}"),
    };
    if !kinds.iter().any(is) {
        found.push(format!("{at}: {value} is not {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        faults(
            document,
            &schema["items"],
            item,
            &format!("{at}[{index}]"),
            found,
        );
    }
    let (Some(value), Some(known)) = (value.as_object(), schema["properties"].as_object()) else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !value.contains_key(name.as_str().unwrap()) {
            found.push(format!("{at}: no {name}"));
        }
    }
    for (name, value) in value {
        match known.get(name) {
            Some(schema) => faults(document, schema, value, &format!("{at}.{name}"), found),
            None if schema["additionalProperties"] == json!(false) => {
                found.push(format!("{at}: {name} is not described"));
            }
            None => {}
        }
    }
}

#[test]
fn a_schema_finds_what_is_not_as_it_says() {
    let document = document();
    let schema = &document["components"]["schemas"]["Ban"];
    let ban = |change: &dyn Fn(&mut Json)| {
        let mut ban = json!({"id": "x", "jail": "j", "since": "s", "until": null, "by": null});
        change(&mut ban);
        let mut found = Vec::new();
        faults(&document, schema, &ban, "ban", &mut found);
        found.len()
    };
    assert_eq!(ban(&|_| ()), 0);
    assert_eq!(ban(&|ban| ban["id"] = 1.into()), 1);
    assert_eq!(ban(&|ban| ban["more"] = 1.into()), 1);
    assert_eq!(
        ban(&|ban| drop(ban.as_object_mut().unwrap().shift_remove("by"))),
        1
    );
}

/// One request for each of the operations that there are.
const REQUESTS: [(&str, &str, &str, &str); 13] = [
    ("get", "/openapi.json", "/openapi.json", ""),
    ("get", "/status", "/status", ""),
    ("get", "/pulse", "/pulse", ""),
    ("get", "/jails", "/jails", ""),
    ("get", "/jails/{name}", "/jails/one", ""),
    ("get", "/banned", "/banned?jail=one&q=192.0.2.0/24", ""),
    ("get", "/addresses/{id}", "/addresses/192.0.2.7", ""),
    (
        "post",
        "/explain",
        "/explain",
        r#"{"jail": "one", "line": "2026-11-29 10:00:00 x from 192.0.2.9"}"#,
    ),
    (
        "post",
        "/replay",
        "/replay?jail=one",
        "2026-11-29 10:00:00 x from 192.0.2.9\n",
    ),
    (
        "post",
        "/ban",
        "/ban",
        r#"{"jail": "one", "id": "192.0.2.8"}"#,
    ),
    ("post", "/unban", "/unban", r#"{"id": "192.0.2.8"}"#),
    (
        "post",
        "/ignore",
        "/ignore",
        r#"{"jail": "one", "id": "192.0.2.8"}"#,
    ),
    ("get", "/events", "", ""),
];

#[test]
fn every_path_of_the_api_answers_as_its_description_says() {
    let document = document();
    let described: BTreeSet<(&str, &str)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap().keys();
            operations.map(move |method| (method.as_str(), path.as_str()))
        })
        .collect();
    let tried = REQUESTS.iter().map(|(method, path, ..)| (*method, *path));
    assert_eq!(described, tried.collect());

    let (site, token) = site_with_users("write = true\n");
    let server = site.foreground(home::server());
    let _web = web(&site);
    assert!(common::eventually(60, || get(&site, "/healthz", "").1 == "ok\n"));
    fail(&site, "192.0.2.7");
    let banned = || server.ask(&["get", "one", "banned", "192.0.2.7"]).unwrap() == Ok(1.into());
    assert!(common::eventually(60, banned));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let mut answers = Vec::new();
    for (method, path, request, body) in REQUESTS {
        if request.is_empty() {
            continue;
        }
        let url = format!("/api/v1{request}");
        let (head, answer) = match method {
            "get" => get(&site, &url, &bearer),
            _ => post(&site, &url, &bearer, body),
        };
        assert_eq!(status(&head), "200", "{url}: {answer}");
        let answer: Json = serde_json::from_str(&answer).unwrap();
        let schema = &document["paths"][path][method]["responses"]["200"]["content"];
        let schema = &schema["application/json"]["schema"];
        let mut found = Vec::new();
        faults(&document, schema, &answer, path, &mut found);
        assert!(found.is_empty(), "{found:#?}");
        // the other method is refused, and says so
        let (head, refusal) = match method {
            "post" => get(&site, &url, &bearer),
            _ => post(&site, &url, &bearer, ""),
        };
        assert_eq!(status(&head), "405", "{url}: {refusal}");
        answers.push((path, answer));
    }
    let answer = |wanted: &str| &answers.iter().find(|(path, _)| *path == wanted).unwrap().1;
    assert_eq!(answer("/openapi.json"), &document);
    assert_eq!(answer("/status")["jails"][0]["banned_now"], 1);
    assert_eq!(answer("/jails/{name}")["summary"]["unread"], 0);
    assert_eq!(answer("/jails/{name}")["config"]["enabled"], true);
    assert_eq!(answer("/banned")["bans"][0]["id"], "192.0.2.7");
    assert_eq!(answer("/addresses/{id}")["bans"][0]["jail"], "one");
    assert_eq!(
        answer("/addresses/{id}")["explained"]["answer"]["banned"],
        true
    );
    assert_eq!(answer("/explain")["answers"][0]["answer"]["counts"], true);
    assert_eq!(answer("/replay")["events"][0]["id"], "192.0.2.9");
    assert_eq!(answer("/unban")["answer"], 1);
    for (path, code) in [
        ("/jails/none", "404"),
        ("/banned?jail=none", "404"),
        ("/none", "404"),
        ("/jails/none/x", "404"),
    ] {
        let (head, answer) = get(&site, &format!("/api/v1{path}"), &bearer);
        assert_eq!(status(&head), code, "{path}");
        let answer: Json = serde_json::from_str(&answer).unwrap();
        let mut found = Vec::new();
        faults(
            &document,
            &document["components"]["schemas"]["Error"],
            &answer,
            path,
            &mut found,
        );
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn events_are_told_as_they_happen() {
    let (site, token) = site_with_users("");
    let server = site.foreground(home::server());
    let _web = web(&site);
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let heard = || {
        get(&site, "/metrics", &bearer)
            .1
            .contains("\nferroban_web_connected 1\n")
    };
    assert!(common::eventually(60, heard));
    let mut stream = Listener::begin(&site, &bearer);
    let banned = server
        .ask(&["set", "one", "banip", "--reason", "a\nb: c", "192.0.2.7"])
        .unwrap();
    assert!(banned.is_ok());
    let event = stream.next("Ban");
    assert_eq!(event["id"], "192.0.2.7");
    assert_eq!(event["jail"], "one");
    // what was banned is in the pulse
    let (_, pulse) = get(&site, "/api/v1/pulse", &bearer);
    let pulse: Json = serde_json::from_str(&pulse).unwrap();
    let bans = pulse["jails"][0]["bans"].as_array().unwrap();
    assert_eq!(
        bans.iter().filter_map(Json::as_u64).sum::<u64>(),
        1,
        "{pulse}"
    );
}

/// A client of `/api/v1/events`.
pub struct Listener {
    stream: UnixStream,
    rest: Vec<u8>,
}

impl Listener {
    pub fn begin(site: &Site, headers: &str) -> Listener {
        let mut stream = UnixStream::connect(site.path("web")).unwrap();
        let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let limit = std::time::Duration::from_secs(60);
        stream.set_read_timeout(Some(limit)).unwrap();
        let mut listener = Listener {
            stream,
            rest: Vec::new(),
        };
        let head = listener.until("\r\n\r\n");
        assert!(head.contains("text/event-stream"), "{head}");
        listener.until("retry: 2000\n\n");
        listener
    }

    fn until(&mut self, end: &str) -> String {
        let mut block = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&self.rest).into_owned();
            if let Some(at) = text.find(end) {
                self.rest = text[at + end.len()..].into();
                return text[..at].to_owned();
            }
            let length = match self.stream.read(&mut block) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                length => length.unwrap(),
            };
            assert!(length > 0, "the stream ends: {text}");
            self.rest.extend_from_slice(&block[..length]);
        }
    }

    /// Whole events that have come; `None`: none within a moment.
    pub fn some(&mut self) -> Option<String> {
        let limit = std::time::Duration::from_millis(100);
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let mut block = [0; 64 << 10];
        match self.stream.read(&mut block) {
            Ok(length) => self.rest.extend_from_slice(&block[..length]),
            Err(error) => assert!(super::load::is_pause(&error), "{error}"),
        }
        let end = memchr::memmem::rfind(&self.rest, b"\n\n")? + 2;
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        Some(String::from_utf8_lossy(&whole).into_owned())
    }

    /// The next event of this name.
    pub fn next(&mut self, name: &str) -> Json {
        loop {
            let text = self.until("\n\n");
            let mut lines = text.lines().skip_while(|line| !line.starts_with("event: "));
            if lines.next() == Some(&format!("event: {name}")) {
                let data = lines.next().and_then(|line| line.strip_prefix("data: "));
                return serde_json::from_str(data.unwrap()).unwrap();
            }
        }
    }
}
