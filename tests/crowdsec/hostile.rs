//! A LAPI that a stranger writes, and one that is away: limits hold, what is needed is not banned, and bans of
//! this host go on.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::eventually;
use crate::fake::{Answer, Fake, decision, stream, usual};
use crate::place::Place;

const BOTH: &str = "machine = m\npassword = p\nbouncerkey = k\ninterval = 1";

#[test]
fn nobody_is_made_to_ban_what_is_needed() {
    let odd = [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0",
        "127.0.0.1",
        "127.0.0.0/8",
        "::1",
        "fe80::1",
        "224.0.0.1",
        "10.0.0.0/7",
        "198.51.100.77",
        "198.51.100.0/24",
        "not an address",
        "-",
        "",
        "203.0.113.5 ; reboot",
        "203.0.113.0/33x",
    ];
    let mut decisions: Vec<String> = (1..)
        .zip(odd)
        .map(|(id, target)| decision(id, "o\\u0000\\n[x] Ban 192.0.2.1", target, "9999999999h"))
        .collect();
    decisions.push(decision(99, "CAPI", "203.0.113.9", "1h"));
    decisions.push(decision(98, "CAPI", "203.0.113.8", "-1h"));
    decisions.push(decision(97, "CAPI", "203.0.113.7", "1e400h"));
    let fake = Fake::new(
        move |asked| match asked.path.starts_with("/v1/decisions/stream") {
            true => stream(&decisions, &[]),
            false => usual(asked),
        },
    );
    let place = Place::new(&fake.url(), BOTH);
    let jails = place.site.read("jail.conf");
    let ignoring = jails.replace(
        "crowdsec = receive",
        "crowdsec = receive\nignoreip = 198.51.100.77",
    );
    place.site.write("jail.conf", &ignoring);
    let _server = place.start();
    place.wait_banned("crowdsec", "203.0.113.9", true);
    fake.wait_asked("GET", "/v1/decisions/stream", 3);
    // the odd network among them is an address, as anywhere
    let list = place.ask("get crowdsec banned");
    assert_eq!(list, "['203.0.113.9']", "{}", place.site.read("log"));
}

#[test]
fn what_is_no_answer_changes_nothing_and_hurts_no_ban() {
    let round = Arc::new(AtomicUsize::new(0));
    let count = round.clone();
    let fake = Fake::new(move |asked| {
        if !asked.path.starts_with("/v1/decisions/stream") {
            return usual(asked);
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => stream(&[decision(1, "CAPI", "203.0.113.9", "1h")], &[]),
            1 => Answer::Json(200, "{\"new\":[{\"value\":".into()),
            2 => Answer::Json(500, "x".repeat(100_000)),
            3 => Answer::Bytes(b"\x00\xff nonsense\r\n\r\n".to_vec()),
            4 => Answer::Bytes(
                b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{\"new\":[".to_vec(),
            ),
            5 => Answer::Json(302, String::new()),
            _ => stream(
                &[
                    decision(1, "CAPI", "203.0.113.9", "1h"),
                    decision(2, "CAPI", "203.0.113.10", "1h"),
                ],
                &[],
            ),
        }
    });
    let place = Place::new(&fake.url(), BOTH);
    let _server = place.start();
    place.wait_banned("crowdsec", "203.0.113.9", true);
    let failed = || round.load(Ordering::SeqCst) >= 3;
    assert!(eventually(60, failed));
    place.fail("sshd", "203.0.113.1");
    place.wait_banned("sshd", "203.0.113.1", true);
    place.wait_banned("crowdsec", "203.0.113.10", true);
    let log = place.site.read("log");
    for said in ["status 500", "failed, unexpected response", "status 302"] {
        assert!(log.contains(said), "no {said:?} in {log}");
    }
    assert!(!log.contains("lifted"), "{log}");
    // what changed meanwhile was lost, so all was asked for
    let asked = fake.asked("GET", "/v1/decisions/stream");
    assert!(asked[1].path.contains("startup=false"));
    assert!(asked[2].path.contains("startup=true"));
}

#[test]
fn a_silent_lapi_holds_up_nothing_and_a_reload_leaves_it() {
    let fake = Fake::new(|_| Answer::Silence);
    let place = Place::new(&fake.url(), BOTH);
    let server = place.start();
    fake.wait_asked("GET", "/v1/decisions/stream", 1);
    for n in 1..=50 {
        place.fail("sshd", &format!("203.0.113.{n}"));
    }
    assert!(eventually(60, || place.count("sshd") == 50));
    place.wait_status(|status| status["waiting"] == 50);
    let (code, text) = place
        .site
        .run(crate::common::ours("fail2ban-client"), &["reload"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(place.ask("set sshd unbanip 203.0.113.1"), "1");
    place.wait_status(|status| status["waiting"] == 50);
    assert_eq!(server.end(nix::sys::signal::Signal::SIGTERM), Some(0));
}

#[test]
fn what_the_lapi_never_takes_is_left_out_and_the_rest_is_told() {
    let fake = Fake::new(|asked| {
        let posts = asked.method == "POST" && asked.path == "/v1/alerts";
        match posts && String::from_utf8_lossy(&asked.body).contains("192.0.2.2\"") {
            true => Answer::Json(422, r#"{"message":"no"}"#.into()),
            false => usual(asked),
        }
    });
    let place = Place::new(&fake.url(), BOTH);
    let _server = place.start();
    place.ask("set sshd banip 192.0.2.1 192.0.2.2 192.0.2.3");
    place.site.wait_for("192.0.2.2 is not told to CrowdSec");
    place.wait_status(|status| {
        (&status["sent"], &status["dropped"], &status["waiting"])
            == (&2.into(), &1.into(), &0.into())
    });
}
