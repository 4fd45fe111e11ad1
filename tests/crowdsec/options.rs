//! What the options of `[crowdsec]` and the option `crowdsec` of jails do. `tests/names.rs` counts on the names.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::common::eventually;
use crate::fake::{Answer, Asked, Fake, decision, stream, usual};
use crate::place::{Place, receiving, sending};

const BOTH: &str = "machine = m\npassword = p\nbouncerkey = k\ninterval = 1";

/// Answers with these decisions, whenever all are asked for.
fn with_decisions(decisions: Vec<String>) -> impl Fn(&Asked) -> Answer {
    move |asked| match asked.path.starts_with("/v1/decisions/stream?startup=true") {
        true => stream(&decisions, &[]),
        false => usual(asked),
    }
}

#[test]
fn crowdsec_jails_send_receive_or_do_neither() {
    let fake = Fake::new(with_decisions(vec![
        decision(1, "CAPI", "198.51.100.1", "1h"),
        decision(2, "cscli", "198.51.100.2", "1h"),
    ]));
    let jails = [
        sending("sshd", ""),
        sending("mail", "crowdsec = off"),
        receiving("crowdsec", ""),
        receiving("crowdsec-capi", ""),
        receiving("other", ""),
    ];
    let place = Place::with_jails(&fake.url(), BOTH, &jails);
    let _server = place.start();
    // an origin with a jail of its own has it alone
    place.wait_banned("crowdsec-capi", "198.51.100.1", true);
    place.wait_banned("crowdsec", "198.51.100.2", true);
    assert_eq!((place.count("crowdsec"), place.count("other")), (1, 0));
    // metrics and `top` tell of the lists
    let (_, metrics) = place.site.run(crate::common::ours("web"), &["--print"]);
    for line in [
        "ferroban_list_entries{list=\"CAPI\"} 1",
        "ferroban_list_entries{list=\"cscli\"} 1",
        "ferroban_crowdsec_connected{way=\"hearing\"} 1",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{metrics}");
    }
    let age = metrics
        .lines()
        .find_map(|line| line.strip_prefix("ferroban_list_age_seconds{list=\"CAPI\"} "));
    let age: f64 = age.and_then(|age| age.parse().ok()).unwrap();
    assert!((0.0..120.0).contains(&age), "{metrics}");
    let words = ["--once", "--interval", "1"];
    let (_, shown) = place.site.run(crate::common::ours("top"), &words);
    let told = shown.lines().nth(1).unwrap_or_default();
    assert!(
        told.starts_with("lists of CrowdSec, told ") && told.contains("CAPI 1"),
        "{shown}"
    );
    place
        .site
        .wait_for("[crowdsec-capi] 1 banned by list CAPI: 198.51.100.1");
    let log = place.site.read("log");
    assert!(!log.contains("] Ban 198.51.100.1"), "{log}");
    let notes = || place.site.read("notes");
    assert!(eventually(60, || notes().contains("ban crowdsec 198.51.100.2")));
    place.ask("set mail banip 203.0.113.2");
    place.ask("set sshd banip 203.0.113.1");
    let alerts = fake.wait_asked("POST", "/v1/alerts", 1)[0].json();
    let alert = &alerts[0];
    assert_eq!(alert["scenario"], "ferroban/sshd", "{alerts}");
    assert_eq!(alert["decisions"][0]["value"], "203.0.113.1");
    assert_eq!(alert["source"]["ip"], "203.0.113.1");
    place.ask("set sshd unbanip 203.0.113.1");
    let asked = fake.wait_asked("GET", "/v1/alerts", 1);
    assert!(
        asked[0].path.contains("scenario=ferroban%2Fsshd"),
        "{asked:?}"
    );
    assert_eq!(fake.asked("POST", "/v1/alerts").len(), 1);
    let refused = place.ask("set sshd crowdsec both");
    assert!(
        refused.contains("Invalid crowdsec option 'both'"),
        "{refused}"
    );
    // in no direction any more, and the decisions of its origin go to the jail of all
    place.ask("set crowdsec-capi crowdsec off");
    place.wait_banned("crowdsec", "198.51.100.1", true);
}

#[test]
fn url_of_a_unix_socket_is_its_path() {
    let fake = Fake::new(usual);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lapi.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let address = fake.address;
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut server = std::net::TcpStream::connect(address).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    let place = Place::new(&path.display().to_string(), BOTH);
    let _server = place.start();
    fake.wait_asked("GET", "/v1/decisions/stream", 1);
    // who has none, or one that makes no sense, guards all the same
    place.settings("url =");
    let (code, text) = place
        .site
        .run(crate::common::ours("fail2ban-client"), &["reload"]);
    assert_eq!(code, 0, "{text}");
    let none = place.ask("crowdsec status");
    assert!(none.contains("no section [crowdsec] with a url"), "{none}");
    place.settings("url = tcp://h");
    place
        .site
        .run(crate::common::ours("fail2ban-client"), &["reload"]);
    place
        .site
        .wait_for("This host does not speak to CrowdSec: [crowdsec] url: it begins with");
}

#[test]
fn machine_logs_in_and_again_when_its_token_is_refused() {
    let refused = Arc::new(AtomicBool::new(true));
    let once = refused.clone();
    let fake = Fake::new(move |asked| {
        let posts = asked.method == "POST" && asked.path == "/v1/alerts";
        match posts && once.swap(false, Ordering::SeqCst) {
            // the first login is believed, and its token forgotten
            true => Answer::Json(401, String::new()),
            false => usual(asked),
        }
    });
    let place = Place::new(&fake.url(), "machine = m\npassword = p");
    let _server = place.start();
    place.ask("set sshd banip 203.0.113.1");
    let alerts = fake.wait_asked("POST", "/v1/alerts", 2);
    let login = fake.asked("POST", "/v1/watchers/login")[0].json();
    assert_eq!(
        (&login["machine_id"], &login["password"]),
        (&"m".into(), &"p".into())
    );
    assert!(alerts[1].headers.contains("authorization: bearer opaque"));
    assert!(
        alerts[1]
            .headers
            .contains(concat!("user-agent: ferroban/", env!("CARGO_PKG_VERSION")))
    );
    // nobody hears without a key
    assert!(fake.asked("GET", "/v1/decisions/stream").is_empty());
    place.wait_status(|status| status["sent"] == 1 && status["hearing"].is_null());
}

#[test]
fn password_and_bouncerkey_may_stand_in_files() {
    let fake = Fake::new(usual);
    let place = Place::new(&fake.url(), "");
    place.site.write("password", "secret\n");
    place.site.write("key", "hidden\n");
    let path = |name: &str| place.site.path(name).display().to_string();
    place.settings(&format!(
        "url = {}\nmachine = m\npasswordfile = {}\nbouncerkeyfile = {}",
        fake.url(),
        path("password"),
        path("key")
    ));
    let _server = place.start();
    place.ask("set sshd banip 203.0.113.1");
    let login = fake.wait_asked("POST", "/v1/watchers/login", 1)[0].json();
    assert_eq!(login["password"], "secret");
    let asked = fake.wait_asked("GET", "/v1/decisions/stream?startup=true", 1);
    assert!(asked[0].headers.contains("x-api-key: hidden"));
    let log = place.site.read("log");
    assert!(!log.contains("secret") && !log.contains("hidden"), "{log}");
}

#[test]
fn bouncerkey_may_be_a_credential_of_systemd() {
    let fake = Fake::new(usual);
    let place = Place::new(&fake.url(), "");
    std::fs::create_dir(place.site.path("credentials")).unwrap();
    place
        .site
        .write("credentials/crowdsec-bouncer-key", "granted\n");
    let mut program = crate::common::home::server();
    program.env("CREDENTIALS_DIRECTORY", place.site.path("credentials"));
    let _server = place.site.foreground(program);
    let asked = fake.wait_asked("GET", "/v1/decisions/stream", 1);
    assert!(asked[0].headers.contains("x-api-key: granted"));
}

#[test]
fn bouncerkeyfile_that_is_missing_is_named() {
    let place = Place::new("http://127.0.0.1:1", "bouncerkeyfile = /nonexistent/key");
    let _server = place.start();
    place
        .site
        .wait_for("[crowdsec] cannot read /nonexistent/key");
}

#[test]
fn interval_is_the_time_between_two_looks() {
    let fake = Fake::new(usual);
    let slow = Place::new(&fake.url(), "bouncerkey = k\ninterval = 1h");
    let _slow = slow.start();
    fake.wait_asked("GET", "/v1/decisions/stream?startup=true", 1);
    let fast = Fake::new(usual);
    let place = Place::new(&fast.url(), "bouncerkey = k\ninterval = 1");
    let _server = place.start();
    let begin = Instant::now();
    fast.wait_asked("GET", "/v1/decisions/stream?startup=false", 3);
    assert!(begin.elapsed().as_secs_f64() > 1.5);
    assert!(
        fake.asked("GET", "/v1/decisions/stream?startup=false")
            .is_empty()
    );
}

#[test]
fn origins_are_asked_for_and_others_do_not_count() {
    let fake = Fake::new(with_decisions(vec![
        decision(1, "CAPI", "198.51.100.1", "1h"),
        decision(2, "cscli", "198.51.100.2", "1h"),
        decision(3, "ferroban", "198.51.100.3", "1h"),
    ]));
    let place = Place::new(&fake.url(), &format!("{BOTH}\norigins = capi, lists"));
    let _server = place.start();
    place.wait_banned("crowdsec", "198.51.100.1", true);
    assert_eq!(place.count("crowdsec"), 1);
    let asked = fake.asked("GET", "/v1/decisions/stream");
    assert!(
        asked[0].path.ends_with("&origins=CAPI,lists,ferroban"),
        "{asked:?}"
    );
    // unless they are named, those of hosts like this one are left to the fleet
    let all = Place::new(&fake.url(), BOTH);
    let _all = all.start();
    all.wait_banned("crowdsec", "198.51.100.2", true);
    assert_eq!(all.count("crowdsec"), 2);
    assert!(
        !fake
            .asked("GET", "/v1/decisions/stream")
            .last()
            .unwrap()
            .path
            .contains("origins")
    );
    let named = Place::new(&fake.url(), &format!("{BOTH}\norigins = ferroban"));
    let _named = named.start();
    named.wait_banned("crowdsec", "198.51.100.3", true);
}

#[test]
fn scenarios_are_named_by_parts_or_left_out() {
    let of = |id, scenario: &str| {
        let decision = decision(id, "crowdsec", &format!("198.51.100.{id}"), "1h");
        decision.replace(r#""scenario":"s""#, &format!(r#""scenario":"{scenario}""#))
    };
    let fake = Fake::new(with_decisions(vec![
        of(1, "crowdsecurity/ssh-bf"),
        of(2, "crowdsecurity/ssh-slow-bf"),
        of(3, "crowdsecurity/http-probing"),
    ]));
    let place = Place::new(&fake.url(), &format!("{BOTH}\nscenarios = ssh, !slow"));
    let _server = place.start();
    place.wait_banned("crowdsec", "198.51.100.1", true);
    assert_eq!(place.count("crowdsec"), 1);
}

#[test]
fn maxbans_is_how_many_decisions_are_kept() {
    let many = (1..=20).map(|n| decision(n, "CAPI", &format!("198.51.100.{n}"), "1h"));
    let fake = Fake::new(with_decisions(many.collect()));
    let place = Place::new(&fake.url(), &format!("{BOTH}\nmaxbans = 5"));
    let _server = place.start();
    place
        .site
        .wait_for("CrowdSec has 15 more decisions than the 5 that are kept");
    assert!(eventually(60, || place.count("crowdsec") == 5));
}

#[test]
fn minprefix4_and_minprefix6_are_the_largest_networks() {
    let fake = Fake::new(with_decisions(vec![
        decision(1, "lists", "198.0.0.0/10", "1h"),
        decision(2, "lists", "203.0.0.0/9", "1h"),
        decision(3, "lists", "2001:db8::/32", "1h"),
        decision(4, "lists", "3fff::/31", "1h"),
    ]));
    let limits = "minprefix4 = 10\nminprefix6 = 32";
    let place = Place::new(&fake.url(), &format!("{BOTH}\n{limits}"));
    let _server = place.start();
    place.wait_banned("crowdsec", "198.0.0.0/10", true);
    place.wait_banned("crowdsec", "2001:db8::/32", true);
    assert_eq!(place.count("crowdsec"), 2);
}

#[test]
fn url_answers_allow_lists_usage_and_an_old_lapi_does_not() {
    let check: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Answer::Json(
        200,
        r#"{"results":[{"target":"203.0.113.1","allowlists":["office"]}]}"#.to_owned(),
    )));
    let answer = check.clone();
    let fake = Fake::new(
        move |asked| match (&*asked.path, &*answer.lock().unwrap()) {
            ("/v1/allowlists/check", Answer::Json(status, body)) => {
                Answer::Json(*status, body.clone())
            }
            _ => usual(asked),
        },
    );
    let place = Place::new(&fake.url(), BOTH);
    let _server = place.start();
    // a ban of the moment in which the jail starts counts as one of the database
    fake.wait_asked("GET", "/v1/decisions/stream", 2);
    place.ask("set sshd banip 203.0.113.1");
    place
        .site
        .wait_for("[sshd] 203.0.113.1 is not told: CrowdSec allows it");
    place.ask("set sshd banip 203.0.113.2");
    let alerts = fake.wait_asked("POST", "/v1/alerts", 1);
    assert_eq!(alerts[0].json()[0]["source"]["value"], "203.0.113.2");
    *check.lock().unwrap() = Answer::Json(404, String::new());
    place.ask("set sshd banip 203.0.113.3");
    fake.wait_asked("POST", "/v1/alerts", 2);
    place.wait_status(|status| status["allowed"] == 1 && status["sent"] == 3);
    let usage = fake.wait_asked("POST", "/v1/usage-metrics", 1)[0].json();
    let component = &usage["remediation_components"][0];
    assert_eq!(component["type"], "ferroban");
    assert!(component["utc_startup_timestamp"].is_i64());
}

/// What `ferroban doctor` says of a place.
fn doctor(place: &Place) -> String {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_ferroban"));
    program.arg("doctor");
    place.site.run(program, &["--json"]).1
}

#[test]
fn minprefix4_that_makes_no_sense_is_found_by_doctor() {
    let fake = Fake::new(usual);
    let place = Place::new(&fake.url(), &format!("{BOTH}\nminprefix4 = 99"));
    let said = "[crowdsec] minprefix4: 99 is no whole number from 1 to 32";
    let found = doctor(&place);
    assert!(found.contains(said), "{found}");
    let _server = place.start();
    let found = doctor(&place);
    assert_eq!(found.matches(said).count(), 1, "{found}");
    // what the server alone knows, and a section that says nothing
    place.settings(&format!(
        "url = {}\nbouncerkeyfile = /nonexistent/key",
        fake.url()
    ));
    let reload = |place: &Place| {
        place
            .site
            .run(crate::common::ours("fail2ban-client"), &["reload"])
    };
    reload(&place);
    let found = doctor(&place);
    assert!(
        found.contains("[crowdsec] cannot read /nonexistent/key"),
        "{found}"
    );
    place.settings("machine = m");
    let found = doctor(&place);
    assert!(found.contains("[crowdsec] has no url"), "{found}");
    place.settings(&format!("url = {}\n{BOTH}", fake.url()));
    reload(&place);
    fake.wait_asked("GET", "/v1/decisions/stream", 1);
    let well = || !doctor(&place).contains("crowdsec");
    assert!(eventually(60, well), "{}", doctor(&place));
}

#[test]
fn bouncerkey_that_is_refused_is_found_by_doctor() {
    let fake = Fake::new(|asked| match asked.path.starts_with("/v1/decisions") {
        true => Answer::Json(403, String::new()),
        false => usual(asked),
    });
    let place = Place::new(&fake.url(), BOTH);
    let _server = place.start();
    let said =
        "CrowdSec does not tell its decisions: GET /v1/decisions/stream failed with status 403";
    let found = || doctor(&place).contains(said);
    assert!(eventually(60, found), "{}", doctor(&place));
}
