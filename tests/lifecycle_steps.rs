//! Forty things that happen to a server in its life, to the original's and to ours: the same log
//! lines and the same actions with the same tags, step by step, with both ways to watch files.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use common::home::{Server, Site, jail, server};
use nix::sys::signal::Signal;

/// The original carries much out a moment after it was told: its threads look around once a second.
const PAUSE: Duration = Duration::from_millis(2000);

/// What was seen of a step.
#[derive(Debug, PartialEq)]
struct Seen {
    step: String,
    answer: String,
    log: Vec<String>,
    notes: Vec<String>,
}

/// A server under test.
struct Life<'s> {
    site: &'s Site,
    server: Option<Server<'s>>,
    program: fn() -> Command,
    seen: Vec<Seen>,
    log_lines: usize,
    note_lines: usize,
}

impl<'s> Life<'s> {
    fn new(site: &'s Site, program: fn() -> Command) -> Life<'s> {
        let tags = "<name> ip=<ip> family=<family> failures=<failures> bantime=<bantime> restored=<restored> user=<F-USER> jail=<jail.banned>/<jail.found_total>";
        let here = site.directory.path().display();
        let note =
            |what: &str, tags: &str| format!("action{what} = echo {what} {tags} >>{here}/notes\n");
        let commands = [
            note("start", "<name>"),
            note("stop", "<name>"),
            note("flush", "<name>"),
            note("ban", tags),
            note("unban", tags),
            note("prolong", "<name> <ip> <bantime>"),
        ];
        site.write(
            "action.d/note.conf",
            &format!("[Definition]\n{}norestored = 0\n", commands.concat()),
        );
        site.write(
            "filter.d/simple.conf",
            "[Definition]\nfailregex = ^ x from <ADDR>(?: as <F-USER>\\S+</F-USER>)?$\n",
        );
        site.write("more.log", "");
        Life {
            site,
            server: None,
            program,
            seen: Vec::new(),
            log_lines: 0,
            note_lines: 0,
        }
    }

    /// Remembers what has come since the last step.
    fn step(&mut self, step: String, answer: String) {
        std::thread::sleep(PAUSE);
        self.rest();
        let log = self.site.log();
        let notes: Vec<String> = self.site.read("notes").lines().map(str::to_owned).collect();
        // jails do their work side by side, each its own in order
        let mut new = notes[self.note_lines..].to_vec();
        new.sort_by_key(|note| note.split(' ').nth(1).map(str::to_owned));
        self.seen.push(Seen {
            step,
            answer,
            log: tidy(&log[self.log_lines..]),
            notes: new,
        });
        (self.log_lines, self.note_lines) = (log.len(), notes.len());
    }

    /// Waits until nothing has come for a second: on a busy machine a step takes longer.
    fn rest(&self) {
        let written = || (self.site.read("log").len(), self.site.read("notes").len());
        let mut before = written();
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = written();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Writes lines with the present time in front; `late` seconds ago.
    fn lines_of(&mut self, file: &str, late: i64, lines: &[&str]) {
        let time = chrono::Utc::now() - chrono::TimeDelta::seconds(late);
        let time = time.format("%Y-%m-%d %H:%M:%S");
        let mut log = OpenOptions::new();
        let mut log = log.append(true).open(self.site.path(file)).unwrap();
        let text: String = lines
            .iter()
            .map(|line| format!("{time} {line}\n"))
            .collect();
        log.write_all(text.as_bytes()).unwrap();
        self.step(format!("{file}: {lines:?}"), String::new());
    }

    fn lines(&mut self, lines: &[&str]) {
        self.lines_of("one.log", 0, lines);
    }

    fn ask(&mut self, command: &str) {
        let here = self.site.directory.path().display().to_string();
        let words = command.replace("/SITE", &here);
        let words = ferroban::parts::python::text::shell_words(&words).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = match self.server.as_ref().unwrap().ask(&words).unwrap() {
            Ok(value) => value.repr(),
            Err(error) => error.repr(),
        };
        self.step(command.to_owned(), answer.replace(&here, "/SITE"));
    }

    /// A new configuration, read by the original's client.
    fn reload(&mut self, sections: &str, words: &[&str]) {
        self.site.jails(sections);
        let client = common::original("1.1.1", "fail2ban-client");
        let (code, _) = self.site.run(client, words);
        self.step(format!("{words:?} of {sections}"), code.to_string());
    }

    /// Brings the positions of both logs into the database. The original saves them with the first
    /// lines that come ten seconds after it did so before; with inotify not at the stop of a jail.
    fn save_positions(&mut self) {
        std::thread::sleep(Duration::from_secs(11));
        for log in ["one.log", "two.log"] {
            self.lines_of(log, 0, &["of no interest"]);
        }
    }

    fn start(&mut self) {
        self.server = Some(self.site.foreground((self.program)()));
        self.step("start".to_owned(), String::new());
    }

    fn stop(&mut self) {
        let code = self.server.take().unwrap().end(Signal::SIGTERM);
        self.step("stop".to_owned(), format!("{code:?}"));
    }
}

/// Log lines without what must differ: the name of the backend, times, and the order in which
/// threads of the original come to log within one step.
fn tidy(log: &[String]) -> Vec<String> {
    let times = regex_automata::meta::Regex::new(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|hash = [0-9a-f]+|\d+m \d+s",
    )
    .unwrap();
    let mut lines = Vec::new();
    for line in log {
        if line.contains("' uses ") || line.contains("Initiated '") {
            continue;
        }
        let mut text = String::new();
        let mut end = 0;
        for found in times.find_iter(line) {
            text.push_str(&line[end..found.start()]);
            text.push('T');
            end = found.end();
        }
        lines.push(text + &line[end..]);
    }
    // the observer, the jails and the filter are threads of their own
    lines.sort_by_key(|line| {
        let target = line.split(' ').next().unwrap_or_default().to_owned();
        let jail = line
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'));
        (target, jail.map(|(name, _)| name.to_owned()))
    });
    lines
}

/// A name of a backend, and another one of the same: a reload takes it for a change.
type Backends = [&'static str; 2];

fn live(site: &Site, program: fn() -> Command, [backend, other]: Backends) -> Vec<Seen> {
    let enabled = "enabled = true";
    let with = |backend: &str| format!("{enabled}\nbackend = {backend}");
    let jail = |name: &str| jail(name).replace(enabled, &with(backend));
    let (one, two) = (jail("one"), jail("two"));
    site.jails(&format!("{one}{two}"));
    let mut life = Life::new(site, program);
    let changed = format!("{one}maxretry = 1\nbantime = 15m\nfindtime = 5m\n");
    let x = |n: u8| format!("x from 192.0.2.{n}");
    life.start();
    life.lines(&[&x(1)]);
    life.lines(&["x from 192.0.2.1 as root"]);
    life.lines(&[&x(1)]);
    life.ask("set one banip 192.0.2.2 192.0.2.3");
    life.ask("set one banip 192.0.2.2");
    life.ask("set one unbanip 192.0.2.2");
    life.lines(&["x from 2001:db8::1", "x from 2001:db8::1"]);
    life.ask("set one addignoreip 192.0.2.4");
    life.lines(&[&x(4), &x(4)]);
    life.ask("set one delignoreip 192.0.2.4");
    life.lines(&[&x(4), &x(4)]);
    life.ask("set one attempt 192.0.2.5 a b");
    life.ask("set one maxretry 3");
    life.lines(&[&x(6), &x(6)]);
    life.lines(&[&x(6)]);
    life.ask("set one bantime 1h");
    life.ask("set one banip 192.0.2.7");
    life.ask("set one findtime 60");
    life.lines_of("one.log", 90, &[&x(8), &x(8), &x(8)]);
    life.reload(&one, &["reload"]);
    life.reload(&changed, &["reload"]);
    life.lines(&[&x(9)]);
    life.reload(&format!("{changed}{two}"), &["reload"]);
    life.lines_of("two.log", 0, &[&x(10), &x(10)]);
    life.ask("set one addlogpath /SITE/more.log tail");
    life.ask("set one addfailregex \"^ y from <ADDR>$\"");
    life.lines(&["y from 192.0.2.11"]);
    life.ask("set one delfailregex 1");
    life.lines(&["y from 192.0.2.12"]);
    life.ask("set one addignoreregex good$");
    life.lines(&["x from 192.0.2.13 as good"]);
    life.ask("set one idle on");
    life.lines(&[&x(14)]);
    life.ask("set one idle off");
    life.ask("set one action note actionban \"\"");
    life.ask("set one banip 192.0.2.15");
    life.ask("unban 192.0.2.15");
    life.save_positions();
    life.reload(&format!("{changed}{two}"), &["reload", "--restart", "two"]);
    life.reload(&changed, &["reload", "--unban"]);
    let other = changed.replace(&with(backend), &with(other));
    life.reload(&other, &["reload"]);
    life.ask("unban --all");
    let growing =
        format!("{one}bantime = 10m\nbantime.increment = true\nbantime.multipliers = 1 20 40\n");
    life.reload(&growing, &["reload"]);
    life.lines(&[&x(20), &x(20)]);
    life.ask("get one banned");
    life.ask("set one unbanip 192.0.2.20");
    life.lines(&[&x(20)]);
    life.ask("flushlogs");
    life.stop();
    life.start();
    life.ask("stop one");
    life.ask(&format!("add three {backend}"));
    life.ask("set three addfailregex \"^ x from <ADDR>$\"");
    life.ask("start three");
    life.stop();
    life.seen
}

/// Both through the same life; `original` may differ in the optional modules that it finds.
fn compare(original: fn() -> Command, backends: Backends) {
    let (ours, theirs) = (Site::new(&["one", "two"]), Site::new(&["one", "two"]));
    let (found, expected) = std::thread::scope(|scope| {
        let expected = scope.spawn(|| live(&theirs, original, backends));
        (live(&ours, server, backends), expected.join().unwrap())
    });
    assert!(expected.len() >= 50);
    let bans = expected
        .iter()
        .flat_map(|seen| &seen.notes)
        .filter(|note| note.starts_with("ban "));
    assert!(bans.count() > 10);
    let differences: Vec<String> = found
        .iter()
        .zip(&expected)
        .filter(|(found, expected)| found != expected)
        .map(|(found, expected)| format!("ours {found:#?}\ntheirs {expected:#?}\n"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.concat());
}

#[test]
fn every_step_with_polling_is_told_and_done_as_the_original_does() {
    let original = || common::original("1.1.1", "fail2ban-server");
    compare(original, ["polling", "Polling"]);
}

#[test]
fn every_step_with_inotify_is_told_and_done_as_the_original_does() {
    let original = || common::original_with_inotify("1.1.1", "fail2ban-server");
    compare(original, ["pyinotify", "auto"]);
}
