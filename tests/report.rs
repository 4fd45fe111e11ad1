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
            let days = section(&report(), "Bans of");
            days.get(1).is_some_and(|row| row[0] == "3")
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
        // who was banned once is not among them
        assert_eq!(often.len(), 2, "{text}");
        let hours = section(&text, "Bans by hour");
        assert_eq!(
            hours[1..].concat().last().map(String::as_str),
            Some("3"),
            "{text}"
        );

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

/// Why somebody is banned, bans that are in no firewall and jails that do not run, in every form.
#[test]
fn what_is_wrong_is_not_hidden() {
    let site = Site::new(&["mail", "web"]);
    let jails = ["mail", "web"].map(common::home::jail).concat();
    let failing = jail_with("web", "action = failing");
    let broken = jail_with("broken", "filter = broken");
    site.jails(&format!(
        "{}{failing}{broken}",
        jails.split("[web]").next().unwrap()
    ));
    site.write("broken.log", "");
    site.write(
        "action.d/failing.conf",
        "[Definition]\nactionban = false\nactionunban = true\n",
    );
    site.write(
        "filter.d/broken.conf",
        "[Definition]\nfailregex = ^ x from <ADDR>)$\n",
    );
    let running = site.foreground(server());
    let line = "2026-11-28 10:00:00 x from 192.0.2.1 <b>\u{202e}";
    for words in [
        vec!["set", "web", "banip", "192.0.2.7"],
        vec!["set", "mail", "banip", "192.0.2.1", "--reason", line],
    ] {
        assert!(running.ask(&words).unwrap().is_ok());
    }
    let report = |words: &[&str]| site.run(common::ours("report"), words).1;
    let told = || report(&[]).contains("not effective") && report(&[]).contains("x from 192.0.2.1");
    assert!(
        common::eventually(20, told),
        "{}\n{}",
        report(&[]),
        site.read("log")
    );
    let text = report(&[]);
    let failed = section(&text, "Jails that do not run");
    assert_eq!(failed[1][0], "broken", "{text}");
    assert!(
        text.contains("Unable to compile regular expression"),
        "{text}"
    );
    let ineffective = section(&text, "Bans that are not effective");
    assert_eq!(ineffective[1], ["192.0.2.7", "web", "failing"], "{text}");
    assert!(text.contains("x from 192.0.2.1 <b>\\u202e"), "{text}");

    let page = report(&["--html"]);
    assert!(
        page.contains("x from 192.0.2.1 &lt;b&gt;\\u202e</td>"),
        "{page}"
    );
    assert!(
        page.contains("Jails that do not run") && page.contains("<svg "),
        "{page}"
    );
    // what is wrong and the charts come before the long list
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(place("not effective") < place("<svg ") && place("<svg ") < place("Banned now"));

    let object: serde_json::Value = serde_json::from_str(&report(&["--json"])).unwrap();
    let jails = object["jails"].as_array().unwrap();
    let broken = jails.iter().find(|jail| jail["jail"] == "broken").unwrap();
    assert!(broken["error"].is_string(), "{object}");
    let banned = object["banned"].as_array().unwrap();
    let of = |id: &str| banned.iter().find(|ban| ban["id"] == id).unwrap();
    assert_eq!(of("192.0.2.1")["reason"], line, "{object}");
    assert_eq!(of("192.0.2.7")["not_effective"][0], "failing", "{object}");
    assert_eq!(
        object["past"]["days"].as_array().unwrap().len(),
        2,
        "{object}"
    );
    assert!(
        object["host"].is_string() && object["server"].is_null(),
        "{object}"
    );
    assert_eq!(site.run(common::ours("report"), &["--json", "--html"]).0, 2);
}

fn jail_with(name: &str, settings: &str) -> String {
    common::home::jail(name).replace("enabled = true", &format!("enabled = true\n{settings}"))
}

#[test]
fn top_tells_of_every_server() {
    for (program, is_ours) in [
        (server(), true),
        (common::original("1.1.1", "fail2ban-server"), false),
    ] {
        let site = Site::new(&["mail", "web"]);
        let running = site.foreground(program);
        for (jail, ip) in [
            ("web", "192.0.2.1"),
            ("mail", "2001:db8::1"),
            ("mail", "192.0.2.7"),
        ] {
            let reply = running.ask(&["set", jail, "banip", ip]).unwrap();
            assert!(reply.is_ok(), "{reply:?}");
        }
        let top = || {
            let (code, text) = site.run(common::ours("top"), &["--once", "--interval", "1"]);
            assert_eq!(code, 0, "{text}");
            text
        };
        let rows = |text: &str| -> Vec<Vec<String>> {
            let rows = text
                .lines()
                .map(|row| row.split_whitespace().map(str::to_owned).collect());
            rows.collect()
        };
        assert!(
            common::eventually(60, || rows(&top())[3][4] == "3"),
            "{}",
            top()
        );
        let text = top();
        let rows = rows(&text);
        let row = |name: &str| {
            rows.iter()
                .find(|row| row.first().is_some_and(|word| word == name))
                .unwrap()
        };
        assert_eq!(row("all")[4..6], ["3", "3"], "{text}");
        assert_eq!(row("mail")[4..6], ["2", "2"], "{text}");
        assert_eq!(row("mail")[7] == "-", !is_ours, "{text}");
        let latest: Vec<&Vec<String>> = rows
            .iter()
            .filter(|row| row.get(2).is_some_and(|word| word == "Ban"))
            .collect();
        assert_eq!(latest.len(), 3, "{text}");
        assert!(
            latest.iter().any(|row| row[3..] == ["mail", "2001:db8::1"]),
            "{text}"
        );
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
        let (code, text) = site.run(common::ours("top"), &["--once"]);
        assert!(
            code == 255 && text.contains("No server answers at "),
            "{text}"
        );
    }
}

/// On a terminal it goes on, also without a server, until q is pressed; the terminal is as it was then.
#[test]
fn top_goes_on_until_it_is_ended() {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;
    let site = Site::new(&["mail"]);
    let pty = nix::pty::openpty(None, None).unwrap();
    let settings = |fd: &std::os::fd::OwnedFd| nix::sys::termios::tcgetattr(fd.as_fd()).unwrap();
    let before = settings(&pty.slave);
    let mut program = common::ours("top");
    site.args(&mut program, &["--interval", "1"]);
    program.env_remove("NO_COLOR").env("TERM", "xterm");
    let slave = || pty.slave.try_clone().unwrap();
    program.stdin(slave()).stdout(slave()).stderr(slave());
    let mut top = program.spawn().unwrap();
    let mut terminal = std::fs::File::from(pty.master);
    let mut shown = String::new();
    let mut wait_for = |text: &str| {
        let mut block = [0; 4096];
        while !shown.contains(text) {
            let read = terminal.read(&mut block).unwrap();
            shown.push_str(&String::from_utf8_lossy(&block[..read]));
        }
    };
    wait_for("No server answers at ");
    let running = site.foreground(server());
    running
        .ask(&["set", "mail", "banip", "192.0.2.1"])
        .unwrap()
        .unwrap();
    wait_for("192.0.2.1");
    wait_for("\x1b[?1049h");
    assert_ne!(settings(&pty.slave), before);
    let mut keys = terminal.try_clone().unwrap();
    keys.write_all(b"xq").unwrap();
    assert!(top.wait().unwrap().success());
    assert_eq!(settings(&pty.slave), before);
    drop(running);
}
