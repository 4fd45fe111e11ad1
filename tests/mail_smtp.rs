//! Mails that go to an SMTP server: a mail command that names one instead of a program, and what
//! `smtp.py` does. Messages arrive with line ends and dots as the protocol wants them, are those of
//! the original, and go out by TLS and login, at a pace.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use common::post::{Kind, Post, trusting};
use fancy_regex::Regex;
use rustls::ServerConfig;
use scenario::{action, ban, by_original, by_ours, stock_actions, ticket};
use serde_json::json;

#[test]
fn a_message_arrives_whole() {
    let post = Post::new(Kind::Plain);
    let command = format!(
        "printf %b \"Subject: banned <ip>\nTo: ops@example.org\\n\n<matches>\\n\nend\" | smtp://127.0.0.1:{} -f \"f2b@example.org\" \"ops@example.org b@example.org\"",
        post.port
    );
    let mut steps = action("a1", &[("actionban", &command)]);
    let mut evil = ticket("192.0.2.1");
    evil["matches"] = json!([".", "MAIL FROM:<x@y>", "\r.\r", "..x"]);
    steps.push(json!({"do": "ban", "ticket": evil}));
    steps.push(json!({"do": "stop", "tickets": []}));
    let ours = by_ours(&steps, 20);
    assert!(
        ours.iter()
            .all(|trace| trace.log.iter().all(|line| !line.contains("ERROR"))),
        "{ours:?}"
    );
    let said = post.conversations(1).concat();
    assert!(said.contains("MAIL FROM:<f2b@example.org>\nRCPT TO:<ops@example.org>\nRCPT TO:<b@example.org>\nDATA\n"), "{said}");
    let message = said.split_once("DATA\n").unwrap().1;
    let headers = Regex::new(
        r"^Subject: banned 192\.0\.2\.1\nTo: ops@example\.org\nFrom: f2b@example\.org\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d -0000\nMessage-ID: <[0-9a-f.]+@[^\s>]+>\n\n",
    )
    .unwrap();
    let found = headers.find(message).unwrap();
    let found = found.unwrap_or_else(|| panic!("{message}"));
    assert!(
        message[found.end()..].starts_with("..\nMAIL FROM:<x@y>\n .\n...x\n\nend\n."),
        "{message}"
    );
}

/// Our words in the original's mails: what is left to compare is everything else.
const WORDS: &str = r#"
messages["start"] = "Jail %(jailname)s is watching now."
messages["stop"] = "Jail %(jailname)s has stopped watching."
messages["ban"] = {
    "head": "%(ip)s is out for %(bantime)i seconds: %(failures)i failures in jail %(jailname)s.\n",
    "tail": "",
    "matches": "\nThe lines that led to it:\n\n%(matches)s\n",
    "ipmatches": "\nAll failures of %(ip)s in any jail:\n\n%(ipmatches)s\n",
    "ipjailmatches": "\nAll failures of %(ip)s in this jail:\n\n%(ipjailmatches)s\n",
}
"#;

/// The steps that make the action of a stock configuration with these arguments for `smtp.py`, and the
/// directory of the original's file.
fn smtp_py(port: u16, arguments: &str) -> (tempfile::TempDir, Vec<serde_json::Value>) {
    let jail = format!(
        "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = smtp.py[host=\"127.0.0.1:{port}\", {arguments}]\n"
    );
    let mut steps = stock_actions(&jail, &[]);
    let original = common::reference("1.1.1").join("etc/fail2ban/action.d/smtp.py");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("smtp.py");
    std::fs::write(&path, std::fs::read_to_string(original).unwrap() + WORDS).unwrap();
    for step in &mut steps {
        if step["words"][4].is_string() {
            step["words"][4] = path.display().to_string().into();
        }
    }
    (directory, steps)
}

#[test]
fn smtp_py_sends_the_same_mails() {
    let long = format!(
        "Nov 21 10:00:00 h sshd[1]: Failed password from 192.0.2.1 = {} ",
        "x".repeat(90)
    );
    for (arguments, matches) in [
        (
            "sendername=\"The, guard\", sender=\"f2b@example.org\", dest=\"ops@example.org, b@example.org\"",
            json!(["a"]),
        ),
        (
            "sender=\"f@x.org\", dest=\"a@x.org\", matches=matches",
            json!(["short $HOME `id` \\n %s", "."]),
        ),
        (
            "sender=\"f@x.org\", dest=\"a@x.org\", matches=matches",
            json!([long, "second"]),
        ),
        (
            "sender=\"f@x.org\", dest=\"a@x.org\", matches=ipmatches",
            json!(["Jörg", "ü"]),
        ),
        (
            "sender=\"f@x.org\", dest=\"a@x.org\", matches=ipjailmatches",
            json!(["one", "ü".repeat(200)]),
        ),
        (
            "sendername=\"\", sender=\"f@x.org\", dest=\"a@x.org\", matches=matches",
            json!([]),
        ),
        (
            "sender=\"f@x.org\", dest=\"a@x.org\", matches=other",
            json!(["one"]),
        ),
    ] {
        let run = |by: &dyn Fn(&[serde_json::Value])| {
            let post = Post::new(Kind::Plain);
            let (_file, mut steps) = smtp_py(post.port, arguments);
            steps.push(json!({"do": "start"}));
            let mut evil = ticket("192.0.2.1");
            evil["matches"] = matches.clone();
            steps.push(json!({"do": "ban", "ticket": evil}));
            let mut restored = ticket("192.0.2.2");
            restored["restored"] = true.into();
            steps.push(json!({"do": "ban", "ticket": restored}));
            steps.push(ban("2001:db8::1"));
            steps.push(json!({"do": "stop", "tickets": []}));
            by(&steps);
            post.messages(4)
        };
        let original = run(&|steps| drop(by_original(steps, 30, &["/usr/bin/env"])));
        let ours = run(&|steps| drop(by_ours(steps, 30)));
        assert_eq!(original, ours, "{arguments}");
        assert!(ours[1].contains("banned 192.0.2.1 from"), "{ours:?}");
    }
}

/// Base64 of `\0me\0p w`.
const LOGIN: &str = "AUTH PLAIN AG1lAHAgdw==\n";

#[test]
fn mails_go_by_tls_and_login() {
    trusting("mails_go_by_tls_and_login", |config| {
        for (kind, scheme) in [
            (Kind::StartTls(config.clone()), "smtp+starttls"),
            (Kind::Tls(config.clone()), "smtps"),
        ] {
            let post = Post::new(kind);
            let command = format!(
                "printf %b \"Subject: banned <ip>\n\nend\" | {scheme}://me:p%20w@127.0.0.1:{} -f f@x.org a@x.org",
                post.port
            );
            let mut steps = action("a1", &[("actionban", &command)]);
            steps.push(ban("192.0.2.1"));
            steps.push(json!({"do": "stop", "tickets": []}));
            by_ours(&steps, 20);
            let said = post.conversations(1).concat();
            assert!(said.contains(LOGIN), "{said}");
            assert!(said.contains("Subject: banned 192.0.2.1\n"), "{said}");
        }
        let post = Post::new(Kind::StartTls(config));
        let (_file, mut steps) = smtp_py(
            post.port,
            "ssl=true, user=me, password=\"p w\", sender=\"f@x.org\", dest=\"a@x.org\"",
        );
        steps.push(ban("192.0.2.1"));
        steps.push(json!({"do": "stop", "tickets": []}));
        by_ours(&steps, 20);
        // the ban and the end
        for said in post.conversations(2) {
            let before = said.split_once("STARTTLS\n").unwrap().0;
            assert!(
                !before.contains("AUTH") && !before.contains("MAIL"),
                "{said}"
            );
            assert!(said.contains(LOGIN), "{said}");
        }
    });
}

#[test]
fn no_mail_goes_to_a_server_nobody_vouches_for() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
    let post = Post::new(Kind::StartTls(Arc::new(config)));
    let command = format!(
        "printf %b \"Subject: x\n\nend\" | smtp+starttls://me:secret@127.0.0.1:{} -f f@x.org a@x.org",
        post.port
    );
    let mut steps = action("a1", &[("actionban", &command)]);
    steps.push(ban("192.0.2.1"));
    steps.push(json!({"do": "stop", "tickets": []}));
    let ours = by_ours(&steps, 20);
    let log = ours.last().unwrap().log.join("\n");
    assert!(log.contains("mail could not be sent and is lost"), "{log}");
    let said = post.said.lock().unwrap().concat();
    assert!(!said.contains("AUTH") && !said.contains("MAIL"), "{said}");
}

#[test]
fn a_throttled_mail_goes_out_once() {
    let post = Post::new(Kind::Plain);
    let command = format!(
        "printf %b \"Subject: banned <ip>\n\nend\" | smtp://127.0.0.1:{} -f f@x.org a@x.org",
        post.port
    );
    let mut steps = action("a1", &[("actionban", &command), ("throttle", "1h")]);
    for ip in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1"] {
        steps.push(ban(ip));
    }
    steps.push(json!({"do": "stop", "tickets": []}));
    by_ours(&steps, 20);
    let messages = post.messages(2);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("banned 192.0.2.1") && messages[1].contains("banned 192.0.2.2"));
}

#[test]
fn a_digest_holds_the_bans_of_a_time() {
    let post = Post::new(Kind::Plain);
    let command = format!(
        "printf %b \"Subject: banned <ip>\n\nabout <ip>\\n\" | smtp://127.0.0.1:{} -f f@x.org a@x.org",
        post.port
    );
    let mut steps = action("a1", &[("actionban", &command), ("digest", "2")]);
    for last in 1..=3 {
        steps.push(ban(&format!("192.0.2.{last}")));
    }
    let mut last = ban("192.0.2.4");
    last["observe"] = "sleep 3".into();
    steps.push(last);
    // one that the end of the jail sends
    steps.push(ban("192.0.2.5"));
    steps.push(json!({"do": "stop", "tickets": []}));
    by_ours(&steps, 20);
    let messages = post.messages(2);
    assert!(
        messages[0].starts_with(
            "Subject: banned 192.0.2.1 and 3 more\nFrom: f@x.org\nDate: DATE\n\n---- banned 192.0.2.1\n\nabout 192.0.2.1\n"
        ),
        "{messages:?}"
    );
    assert!(messages[0].contains("---- banned 192.0.2.4\n\nabout 192.0.2.4\n"));
    assert!(
        messages[1].starts_with(
            "Subject: banned 192.0.2.5\nFrom: f@x.org\nDate: DATE\n\nabout 192.0.2.5\n"
        ),
        "{messages:?}"
    );
}

/// So many tickets.
fn many(count: usize) -> Vec<serde_json::Value> {
    (0..count)
        .map(|n| {
            ticket(&format!(
                "198.{}.{}.{}",
                18 + n / 62_500,
                n / 250 % 250,
                n % 250
            ))
        })
        .collect()
}

#[test]
fn bans_that_are_many_at_once_make_one_mail() {
    let post = Post::new(Kind::Plain);
    let command = format!(
        "printf %b \"Subject: banned <ip>\nTo: a@x.org\n\nend\" | smtp://127.0.0.1:{} -f f@x.org a@x.org",
        post.port
    );
    let mut steps = action("a1", &[("actionban", &command)]);
    let said = post.said.clone();
    steps.push(json!({"do": "bans", "tickets": many(5000), "observe": "sleep 5"}));
    // few are a mail each
    steps.push(json!({"do": "bans", "tickets": (1..=3).map(|n| ticket(&format!("192.0.2.{n}"))).collect::<Vec<_>>()}));
    steps.push(json!({"do": "stop", "tickets": []}));
    let ours = by_ours(&steps, 20);
    let log: Vec<&String> = ours.iter().flat_map(|trace| &trace.log).collect();
    let told: Vec<_> = log.iter().filter(|line| line.contains("mails")).collect();
    let [one] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        one.contains("[j] action 'a1': 5000 mails were too many at once and went out as one"),
        "{one}"
    );
    assert!(log.iter().all(|line| !line.contains("ERROR")), "{log:?}");
    assert_eq!(said.lock().unwrap().len(), 4);
    let messages = post.messages(4);
    assert!(
        messages[0].starts_with("Subject: banned 198.18.0.0 and 4999 more\nTo: a@x.org\n"),
        "{}",
        messages[0]
    );
    let told = messages[0]
        .lines()
        .filter(|line| line.starts_with("banned 198.18."))
        .count();
    assert_eq!(told, 5000);
    for (message, last) in messages[1..].iter().zip(1..) {
        assert!(
            message.starts_with(&format!("Subject: banned 192.0.2.{last}\n")),
            "{message}"
        );
    }
}

#[test]
fn a_dead_server_makes_no_flood_and_the_lost_are_counted() {
    // nobody listens there any more
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let command = format!(
        "printf %b \"Subject: banned <ip>\n\nend\" | smtp://127.0.0.1:{port} -f f@x.org a@x.org"
    );
    let mut steps = action("a1", &[("actionban", &command)]);
    // bursts that each are a mail, one of which fails after the other
    for part in many(3000).chunks(1000) {
        steps.push(json!({"do": "bans", "tickets": part, "observe": "sleep 3"}));
    }
    for n in 1..=3 {
        steps.push(ban(&format!("192.0.2.{n}")));
    }
    steps.push(json!({"do": "stop", "tickets": []}));
    let ours = by_ours(&steps, 20);
    let log: Vec<&String> = ours.iter().flat_map(|trace| &trace.log).collect();
    assert!(log.len() < 40, "{}", log.len());
    let lost: Vec<_> = log.iter().filter(|line| line.contains("lost")).collect();
    let [one] = lost.as_slice() else {
        panic!("{log:?}");
    };
    assert!(
        one.contains("[j] action 'a1': 3003 mails could not be sent and are lost"),
        "{one}"
    );
}

#[test]
fn mails_that_a_hanging_server_takes_with_it_are_counted_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let post = Post::new(Kind::Silent(directory.path().join("end")));
    let command = format!(
        "printf %b \"Subject: banned <ip>\n\nend\" | smtp://127.0.0.1:{} -f f@x.org a@x.org",
        post.port
    );
    let mut steps = action("a1", &[("actionban", &command)]);
    steps.push(json!({"do": "bans", "tickets": many(300)}));
    steps.push(json!({"do": "stop", "tickets": []}));
    let ours = by_ours(&steps, 20);
    let log = ours.last().unwrap().log.join("\n");
    assert!(log.contains("300 mails could not be sent"), "{log}");
}

#[test]
fn a_server_that_hangs_delays_no_ban() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let post = Post::new(Kind::Silent(directory.path().join("end")));
    let command = format!(
        "printf %b \"Subject: banned <ip>\n\nend\" | smtp://127.0.0.1:{} -f f@x.org a@x.org",
        post.port
    );
    let mut steps = action("mail", &[("actionban", &command)]);
    let mark = format!("echo <ip> >> {}", path("mark"));
    steps.extend(action("other", &[("actionban", &mark)]));
    let tickets: Vec<_> = (0..1000)
        .map(|n| ticket(&format!("198.51.{}.{}", n / 250, n % 250)))
        .collect();
    let observe = format!("wc -l < {}; date +%s; touch {}", path("mark"), path("end"));
    steps.push(json!({"do": "bans", "tickets": tickets, "observe": observe}));
    let begun = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let ours = by_ours(&steps, 20);
    let observed: Vec<u64> = ours
        .last()
        .unwrap()
        .observed
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(observed[0], 1000);
    // a server has thirty seconds for each step of a conversation: not even the first mail was given up
    assert!(observed[1] < begun + 30, "{observed:?}");
}
