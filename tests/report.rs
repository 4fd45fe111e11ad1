//! `ferroban report` beside servers, the original's too, without one, and without a database.
#![allow(clippy::unwrap_used)]

mod common;

use common::home::{Site, server};
use nix::sys::signal::Signal;

/// The words of the lines of a section, times left out.
fn section(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = text.split_once(&format!("\n{heading}")).unwrap();
    let lines = rest.lines().skip(1).take_while(|line| !line.is_empty());
    let words = lines.map(|line| {
        let words = line.split_whitespace().map(str::to_owned);
        words.filter(|word| !word.contains([':', '-']) || word.starts_with("2001:"))
    });
    words.map(Iterator::collect).collect()
}

#[test]
fn every_server_tells_its_state() {
    for program in [
        server(),
        common::original("1.1.1", "fail2ban-server"),
        common::original("1.0.2", "fail2ban-server"),
    ] {
        let site = Site::new(&["mail", "web"]);
        let running = site.foreground(program);
        for (jail, ip) in [
            ("web", "192.0.2.1"),
            ("mail", "192.0.2.1"),
            ("mail", "2001:db8::1"),
        ] {
            let reply = running.ask(&["set", jail, "banip", ip]).unwrap();
            assert!(reply.is_ok(), "{reply:?}");
        }
        let report = || {
            let (code, text) = site.run(common::ours("report"), &[]);
            assert_eq!(code, 0, "{text}");
            text
        };
        // bans come into force a little after the reply
        let done = || {
            section(&report(), "Bans of")
                .iter()
                .any(|row| row[0] == "3")
        };
        assert!(common::eventually(60, done), "{}", report());
        let text = report();
        let jails = section(&text, "Jails");
        assert_eq!(jails[1][3..], ["2", "2"], "{text}");
        assert_eq!(jails[2][0], "web");
        assert_eq!(jails[2][3..], ["1", "1"], "{text}");
        let banned = section(&text, "Banned now");
        assert_eq!(banned.len(), 4, "{text}");
        assert!(banned.contains(&["2001:db8::1", "mail"].map(str::to_owned).to_vec()));
        let past = |text: &str| [section(text, "Bans of"), section(text, "Banned most")];
        let [days, often] = past(&text);
        assert_eq!(days[1], ["3", "mail", "2,", "web", "1"], "{text}");
        assert_eq!(often[1], ["192.0.2.1", "2", "mail,", "web"], "{text}");

        assert_eq!(running.end(Signal::SIGTERM), Some(0));
        let text = report();
        assert!(text.contains("No server answers at "), "{text}");
        assert_eq!(past(&text), [days, often]);
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let site = Site::new(&[]);
    let report = |words: &[&str]| site.run(common::ours("report"), words);
    let (code, text) = report(&[]);
    assert_eq!(code, 255, "{text}");
    assert!(text.contains("No server answers at "), "{text}");
    let why = format!(
        "{} tells nothing: unable to open",
        site.path("db").display()
    );
    // in its place, and on standard error
    assert_eq!(text.matches(&why).count(), 2, "{text}");

    site.write("fail2ban.local", "[Definition]\ndbfile = None\n");
    let (code, text) = report(&["-s", "/nonexistent/socket"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("answers at /nonexistent/socket: [Errno 2]"),
        "{text}"
    );
    assert!(text.contains("The server keeps no database."), "{text}");

    let (code, text) = report(&["-o", "/nonexistent/page"]);
    assert_eq!(code, 255);
    assert!(
        text.starts_with("ferroban report: cannot write /nonexistent/page: "),
        "{text}"
    );
    assert_eq!(report(&["--page"]).0, 2);
}
