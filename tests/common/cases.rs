//! One jail per case, all of them in one server: the original's and ours, side by side.
//!
//! A test program lists its cases, each with the settings of its jail and what is done to it. The first
//! test that asks for an outcome runs all of them, each in a thread of its own, and stops both servers.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::Write as _;
use std::process::Command;

use super::home::{Site, ask, server};

/// A jail that is configured behind all others: when it has started, these are there.
const LAST: &str = "last";

/// What is tried, in a jail of its own.
pub struct Case {
    /// Name of the jail.
    pub jail: &'static str,
    /// Lines of its section; `HERE` is the directory of all files.
    pub settings: &'static str,
    /// What is done once the jail is there; the lines that it returns are the outcome.
    pub run: fn(&Jail) -> Vec<String>,
}

/// The outcome of each case by its jail, or why there is none.
pub type Outcomes = HashMap<&'static str, Result<Vec<String>, String>>;

/// The jail of a case in a running server.
pub struct Jail<'s> {
    site: &'s Site,
    name: &'static str,
}

impl Jail<'_> {
    /// Another jail of the same server.
    pub fn other(&self, name: &'static str) -> Self {
        Jail {
            site: self.site,
            name,
        }
    }

    /// A path of its own.
    fn file(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Removes a file of its own.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.site.path(&self.file(name))).unwrap();
    }

    /// Adds bytes to its log.
    pub fn write(&self, bytes: &[u8]) {
        self.append("log", bytes);
    }

    /// Adds lines of this many seconds ago to a file of its own; makes it if need be.
    pub fn write_to(&self, name: &str, ago: i64, messages: &[&str]) {
        self.append(name, dated(ago, messages).as_bytes());
    }

    /// Adds bytes to a file of its own; makes it if need be.
    pub fn append(&self, name: &str, bytes: &[u8]) {
        let path = self.site.path(&self.file(name));
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        file.unwrap().write_all(bytes).unwrap();
    }

    /// Adds lines to its log, each with the date of now.
    pub fn lines(&self, messages: &[&str]) {
        self.lines_ago(0, messages);
    }

    /// Adds lines to its log that were written this many seconds ago.
    pub fn lines_ago(&self, seconds: i64, messages: &[&str]) {
        self.write(dated(seconds, messages).as_bytes());
    }

    /// Adds failures of an address to its log.
    pub fn fail(&self, address: &str, count: usize) {
        let line = format!("x from {address}");
        self.lines(&vec![line.as_str(); count]);
    }

    /// What the server answers, as Python prints it. The name of the jail stands for `JAIL`.
    pub fn ask(&self, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        self.ask_words(&words)
    }

    /// The same for words with blanks in them.
    pub fn ask_words(&self, words: &[&str]) -> String {
        let named = |word: &&str| match *word {
            "JAIL" => self.name.to_owned(),
            word => word.replace("HERE", &self.site.directory.path().display().to_string()),
        };
        let words: Vec<String> = words.iter().map(named).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = match ask(self.site, &words).unwrap() {
            Ok(value) => value.repr(),
            Err(error) => error.to_string(),
        };
        answer.replace(&self.site.directory.path().display().to_string(), "HERE")
    }

    /// What our client prints for a command, which may read the configuration.
    pub fn client(&self, words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        let named = |word: &str| if word == "JAIL" { self.name } else { word }.to_owned();
        let words: Vec<String> = words.into_iter().map(named).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (_, printed) = self.site.run(super::ours("fail2ban-client"), &words);
        printed
    }

    /// What the server's log says of this jail with this text in it, without times.
    pub fn said(&self, text: &str) -> Vec<String> {
        let marks = [format!("[{}]", self.name), format!("'{}'", self.name)];
        let log = self.site.log().into_iter();
        let own = log.filter(|line| marks.iter().any(|mark| line.contains(mark)));
        let lines = own.filter(|line| line.contains(text));
        let mark = format!("[{}] ", self.name);
        let message = |line: String| match line.split_once(&mark) {
            Some((_, message)) => message.to_owned(),
            None => line,
        };
        lines.map(message).collect()
    }

    /// Waits until the database has a ban of this jail: the original writes it a moment after the ban.
    pub fn wait_stored(&self, address: &str) {
        let stored = || -> rusqlite::Result<bool> {
            let path = self.site.path("db");
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
            let database = rusqlite::Connection::open_with_flags(path, flags)?;
            let ask = "select exists(select 1 from bans where jail = ?1 and ip = ?2)";
            database.query_row(ask, [self.name, address], |row| row.get(0))
        };
        let there = super::eventually(60, || matches!(stored(), Ok(true)));
        assert!(there, "{}: {address} is not in the database", self.name);
    }

    /// Makes the ban of an address one that another host has decided on, and starts the jail anew.
    pub fn remote(&self, address: &str, host: &str) {
        self.wait_stored(address);
        let database = rusqlite::Connection::open(self.site.path("db")).unwrap();
        let data =
            format!(r#"{{"matches": [], "failures": 1, "ferroban.origin": "fleet {host}"}}"#);
        let change = "update bips set data = ?1 where jail = ?2 and ip = ?3";
        database
            .busy_timeout(std::time::Duration::from_secs(30))
            .unwrap();
        let changed = database.execute(change, [&*data, self.name, address]);
        assert_eq!(changed, Ok(1));
        self.client("reload --restart JAIL");
        self.wait(&format!("] Restore Ban {address} (by host {host})"));
    }

    /// Waits until the log says this of the jail, and answers what it says so.
    pub fn wait(&self, text: &str) -> Vec<String> {
        self.wait_many(text, 1)
    }

    /// The same, so many times.
    pub fn wait_many(&self, text: &str, count: usize) -> Vec<String> {
        let there = || self.said(text).len() >= count;
        assert!(
            super::eventually(60, there),
            "{}: no {text:?} {count} times in\n{}",
            self.name,
            self.said("").join("\n")
        );
        self.said(text)
    }

    /// What the actions of this jail have written to `HERE/JAIL.notes`, once these are so many lines.
    pub fn notes(&self, count: usize) -> Vec<String> {
        let name = self.file("notes");
        let there = || self.site.read(&name).lines().count() >= count;
        assert!(
            super::eventually(60, there),
            "{}: no {count} notes in\n{}\n{}",
            self.name,
            self.site.read(&name),
            self.said("").join("\n")
        );
        self.site.read(&name).lines().map(str::to_owned).collect()
    }
}

/// Lines with the date of this many seconds ago.
fn dated(ago: i64, messages: &[&str]) -> String {
    let time = date("%Y-%m-%d %H:%M:%S", ago);
    messages
        .iter()
        .map(|text| format!("{time} {text}\n"))
        .collect()
}

/// A time this many seconds ago.
pub fn date(format: &str, ago: i64) -> String {
    let time = chrono::Utc::now() - chrono::TimeDelta::seconds(ago);
    time.format(format).to_string()
}

/// Runs cases under both programs.
///
/// # Panics
/// When they differ. A case of one's own that the original does not know goes to [`ours`].
pub fn both(cases: &'static [&Case]) -> Outcomes {
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run(super::original("1.1.1", "fail2ban-server"), cases));
        let ours = run(server(), cases);
        (theirs.join().unwrap(), ours)
    });
    let differs = |(jail, ours): (&'static str, Result<Vec<String>, String>)| {
        let outcome = match (&theirs[jail], ours) {
            (Ok(theirs), Ok(ours)) if *theirs == ours => Ok(ours),
            (theirs, ours) => Err(format!("original: {theirs:#?}\nours: {ours:#?}")),
        };
        (jail, outcome)
    };
    ours.into_iter().map(differs).collect()
}

/// Runs cases under our program.
pub fn ours(cases: &'static [&Case]) -> Outcomes {
    run(server(), cases)
}

/// What a case came to.
///
/// # Panics
/// When it failed, or the programs differ.
pub fn outcome(outcomes: &Outcomes, case: &Case) -> Vec<String> {
    match outcomes.get(case.jail) {
        Some(Ok(lines)) => lines.clone(),
        Some(Err(why)) => panic!("{}: {why}", case.jail),
        None => panic!("{} is not in the list of cases", case.jail),
    }
}

fn run(program: Command, cases: &'static [&Case]) -> Outcomes {
    let site = Site::new(&[]);
    let here = site.directory.path().display().to_string();
    site.write(
        "filter.d/words.conf",
        "[Definition]\nfailregex = ^ <word> from <HOST>$\n[Init]\nword = y\n",
    );
    site.write(
        "action.d/note.conf",
        &format!(
            "[Definition]\nactionban = echo \"<note>\" >>{here}/<name>.notes\n[Init]\nnote = <ip>\n"
        ),
    );
    // each argument is a command of its own
    site.write("action.d/does.conf", "[Definition]\n");
    let mut sections = String::from(
        "bantime = 600\nfindtime = 600\nignoreself = false\nlogpath = %(here)s/%(__name__)s.log\nusedns = no\n\n",
    );
    for case in cases {
        site.write(&format!("{}.log", case.jail), "");
        let settings = case.settings.replace("HERE", &here);
        let enabled = match settings.contains("enabled = ") {
            true => "",
            false => "enabled = true\n",
        };
        sections.push_str(&format!("[{}]\n{enabled}{settings}\n\n", case.jail));
    }
    sections.push_str(&super::home::jail(LAST));
    site.write(&format!("{LAST}.log"), "");
    site.jails("");
    let defaults = site.read("jail.conf");
    site.write("jail.conf", &format!("{}\n{sections}", defaults.trim_end()));
    let server = site.foreground(program);
    let jail = |name| Jail { site: &site, name };
    jail(LAST).wait("started");
    let run = |case: &Case| {
        let jail = jail(case.jail);
        if !jail.said("Creating new jail").is_empty() {
            jail.wait("started");
        }
        (case.run)(&jail)
    };
    let run = &run;
    let outcomes = std::thread::scope(|scope| {
        let runs = cases
            .iter()
            .map(|case| (case.jail, scope.spawn(move || run(case))));
        let runs: Vec<_> = runs.collect();
        let ends = runs.into_iter().map(|(jail, run)| {
            let end = run.join().map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                text.unwrap_or_else(|| "failed".to_owned())
            });
            (jail, end)
        });
        ends.collect()
    });
    server.end(nix::sys::signal::Signal::SIGTERM);
    outcomes
}
