//! Why a jail does nothing: from its configuration to the rule in the kernel, step by step, up to the
//! first one that is wrong.
//!
//! What is wrong is told by what looks for it: doctor's probes of server, log and firewall, and the
//! jail itself, which is given the last lines of its log.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value as Json, json};

use super::answer::shown;
use super::arguments::Arguments;
use super::feed::{Feed, Harvest, Tries};
use super::judge::{Judge, Own};
use super::marks::visible;
use super::places::Places;
use crate::cli::doctor::findings::{Finding, Findings};
use crate::cli::doctor::lines::{self, TAIL};
use crate::cli::doctor::look::Look;
use crate::cli::doctor::{bans, docker, logs, processes, server, tools};
use crate::cli::machine::Journal;
use crate::cli::replay::jails::Source;
use crate::cli::report::state;
use crate::config::files::Files as _;
use crate::control::print::json as printed;
use crate::datetime::duration;
use crate::filter::Dates;
use crate::jail::decision::local_time;
use crate::lint::{Severity, hint, nearest};
use crate::python::Number;
use crate::python::encoding::Encoding;
use crate::source::journal::Reader;
use crate::store::inquiry;
use crate::ticket::Timestamp;

/// What a step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Sound(String),
    /// It is wrong: why, and what to do.
    Wrong(String, String),
    /// It could not be looked at.
    Unseen(String),
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it looked at, in a word.
    pub name: &'static str,
    /// What it found.
    pub outcome: Outcome,
}

/// The steps of a jail, up to the first one that is wrong.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The jail.
    pub jail: String,
    /// The steps.
    pub steps: Vec<Step>,
}

use Outcome::{Sound, Unseen, Wrong};

/// A log that is written and of which so much is unread is not being read.
const UNREAD: f64 = 600.0;
/// A server's ban and the one of the log may differ by so much in time.
const SAME: f64 = 120.0;

impl Walk {
    /// Walks.
    ///
    /// # Errors
    /// There is no such jail, or the machine cannot be looked at.
    pub fn of(arguments: &Arguments, jail: &str) -> anyhow::Result<Walk> {
        let mut walker = Walker {
            arguments,
            jail: jail.to_owned(),
            look: Look::at("/", Some(&arguments.config))?,
            steps: Vec::new(),
        };
        let _ = walker.walk();
        Ok(Walk {
            jail: walker.jail,
            steps: walker.steps,
        })
    }

    /// The step that is wrong.
    pub fn wrong(&self) -> Option<(&str, &str, &str)> {
        let last = self.steps.last()?;
        match &last.outcome {
            Wrong(why, cure) => Some((last.name, why, cure)),
            _ => None,
        }
    }

    /// Prints the answer, and on request all steps.
    ///
    /// # Errors
    /// Of the writer.
    pub fn print(&self, verbose: bool, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "jail {}", self.jail)?;
        match self.wrong() {
            Some((_, why, cure)) => {
                writeln!(out, "  {:<12}{why}", "wrong")?;
                writeln!(out, "  {:<12}{cure}", "cure")?;
            }
            None => {
                let text = self
                    .steps
                    .iter()
                    .rev()
                    .find_map(|step| match &step.outcome {
                        Sound(text) if step.name == "ban" => Some(text.as_str()),
                        _ => None,
                    });
                let text = text.unwrap_or("nothing else can be looked at");
                writeln!(out, "  {:<12}nothing that can be seen: {text}", "wrong")?;
            }
        }
        for step in &self.steps {
            let (word, text) = match &step.outcome {
                Sound(text) if verbose => ("ok", text),
                Wrong(text, _) if verbose => ("wrong", text),
                Unseen(text) => ("not looked at", text),
                _ => continue,
            };
            writeln!(out, "  {:<12}{word}: {text}", step.name)?;
        }
        Ok(())
    }

    /// The object for programs.
    pub fn json(&self) -> Json {
        let step = |step: &Step| {
            let (outcome, text, cure) = match &step.outcome {
                Sound(text) => ("ok", text, None),
                Wrong(text, cure) => ("wrong", text, Some(cure)),
                Unseen(text) => ("not looked at", text, None),
            };
            json!({ "step": step.name, "outcome": outcome, "text": text, "cure": cure })
        };
        json!({
            "jail": self.jail,
            "answer": self.wrong().map(|(step, why, cure)| {
                json!({ "step": step, "why": why, "cure": cure })
            }),
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
        })
    }
}

struct Walker<'a> {
    arguments: &'a Arguments,
    jail: String,
    look: Look,
    steps: Vec<Step>,
}

impl Walker<'_> {
    fn step(&mut self, name: &'static str, outcome: Outcome) -> ControlFlow<()> {
        let outcome = match outcome {
            Sound(text) => Sound(visible(&text)),
            Wrong(why, cure) => Wrong(visible(&why), visible(&cure)),
            Unseen(text) => Unseen(visible(&text)),
        };
        let wrong = matches!(outcome, Wrong(..));
        self.steps.push(Step { name, outcome });
        match wrong {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn walk(&mut self) -> ControlFlow<()> {
        if let Some(why) = self.look.broken.clone() {
            let base = self.look.base.clone();
            let places = Places::of_jail(&self.arguments.config, &self.jail);
            let of_filter =
                why.starts_with(&format!("jail {}: ", self.jail)) && why.contains("filter");
            let place = match of_filter {
                true => places.of("filter"),
                false => String::new(),
            };
            return self.step(
                "files",
                Wrong(
                    format!("the configuration in {base} does not load, so that no server starts with it: {why}{place}"),
                    "put it right where that says, see ferroban lint, then fail2ban-client reload".to_owned(),
                ),
            );
        }
        let own = Judge::own(self.arguments, &self.jail);
        let (mut judge, missing) = match own {
            Ok(Own { judge, missing, .. }) => (judge, missing),
            Err(why) => {
                return self.step(
                    "files",
                    Wrong(
                        format!("the jail {} cannot be made: {why:#}", self.jail),
                        "put it right where that says, then fail2ban-client reload".to_owned(),
                    ),
                );
            }
        };
        self.step("files", Sound(format!("{} loads", self.look.base)))?;
        let enabled = enabled(&judge, &self.jail);
        self.step("enabled", enabled)?;
        let serving = self.server();
        self.step("server", serving)?;
        // what follows is about this jail alone
        let name = self.jail.clone();
        self.look.jails.retain(|jail| jail.name == name);
        let source = self.source(&judge, &missing);
        self.step("source", source)?;
        let read = self.read(&judge);
        self.step("read", read)?;

        let feed = Feed::of_jail(&mut judge, &self.look, TAIL);
        let mut feed = match feed {
            Ok(feed) => feed,
            Err(error) => return self.step("lines", Unseen(format!("what it reads: {error}"))),
        };
        let harvest = Harvest::of(&mut judge, &mut feed, self.look.present, |_, _| ());
        if harvest.lines == 0 {
            let text = match &judge.source {
                Source::Feed(name) => format!("what {name} has sent cannot be read again"),
                _ => "there is no whole line to look at".to_owned(),
            };
            return self.step("lines", Unseen(text));
        }
        let dates = self.dates(&judge, &harvest);
        self.step("date", dates)?;
        let clock = self.clock(&judge, &harvest);
        self.step("clock", clock)?;
        let matching = self.matching(&mut judge, &harvest);
        self.step("match", matching)?;
        let ignored = ignored(&judge, &harvest);
        self.step("ignored", ignored)?;
        let count = count(&mut judge, &harvest);
        self.step("count", count)?;
        let action = self.action(&judge);
        self.step("action", action)?;
        let ban = self.ban(&harvest);
        self.step("ban", ban)?;
        self.firewall()
    }

    /// Whether a server runs and has the jail.
    fn server(&self) -> Outcome {
        if self.arguments.offline {
            return Unseen("the server: --offline".to_owned());
        }
        let mut findings = Findings::default();
        processes::look(&self.look, &mut findings);
        server::look(&self.look, &mut findings);
        let own = |finding: &&Finding| {
            let others = finding.jail.as_ref().is_some_and(|jail| *jail != self.jail);
            finding.severity > Severity::Note && finding.kind != "old-program" && !others
        };
        if let Some(finding) = findings.list.iter().find(own) {
            return Wrong(finding.message.clone(), finding.cure.clone());
        }
        if let Some(text) = findings.not_looked_at().first() {
            return Unseen(text.clone());
        }
        match self.state() {
            Some(_) => Sound(format!("a server runs and has the jail {}", self.jail)),
            None => Unseen("the server".to_owned()),
        }
    }

    /// What a running server says of the jail.
    fn state(&self) -> Option<&state::Jail> {
        if self.arguments.offline || self.look.server().is_none() {
            return None;
        }
        let state = self.look.state().as_ref().ok()?;
        state.jails.iter().find(|jail| jail.name == self.jail)
    }

    /// Whether what the jail reads is there.
    fn source(&self, judge: &Judge, missing: &[(String, String)]) -> Outcome {
        match &judge.source {
            Source::Feed(name) => Sound(format!("it reads what {name} sends")),
            Source::Journal(..) => self.journal(judge),
            Source::Files(paths) => self.files(judge, paths, missing),
        }
    }

    fn files(&self, judge: &Judge, paths: &[String], missing: &[(String, String)]) -> Outcome {
        let place = judge.places.of("logpath");
        if paths.is_empty()
            && let Some((path, why)) = missing.first()
        {
            let (folder, name) = path.rsplit_once('/').unwrap_or_default();
            let names = self.look.machine.names(folder).0;
            let meant = hint(nearest(name, names.iter().map(String::as_str), 2));
            return Wrong(
                format!("{path}, which the jail {} reads, is not there: {why}{place}{meant}", self.jail),
                "name in logpath the log that the service writes, or set backend = systemd where it writes to the journal".to_owned(),
            );
        }
        if paths.is_empty() {
            return Wrong(
                format!(
                    "the jail {} has no log to read: no logpath leads to a file{place}",
                    self.jail
                ),
                "set logpath to the log that the service writes, or backend = systemd".to_owned(),
            );
        }
        let jails = self.jail.as_str();
        let mut told = Vec::new();
        let mut empty = Vec::new();
        for path in paths {
            let file = self.look.machine.place(path);
            let metadata = match file.metadata() {
                Ok(metadata) => metadata,
                Err(error) if self.look.is_root => {
                    return Wrong(
                        format!(
                            "the log {path} of the jail {jails} cannot be looked at: {error}{place}"
                        ),
                        "see the path in logpath".to_owned(),
                    );
                }
                Err(error) => return Unseen(format!("the log {path}: {error}")),
            };
            if metadata.is_dir() {
                return Wrong(
                    format!("{path} is a directory, and logpath wants files{place}"),
                    format!("set logpath = {path}/*.log, or name the file"),
                );
            }
            let mut findings = Findings::default();
            match logs::of_file(&self.look, path, jails, &mut findings) {
                Ok(()) => {}
                Err(error) if !self.look.is_root => {
                    let mode = metadata.permissions().mode() & 0o7777;
                    return Unseen(format!("the log {path} (mode {mode:o}): {error}"));
                }
                Err(error) => {
                    return Wrong(
                        format!("the log {path} of the jail {jails} cannot be read: {error}"),
                        "see its permissions, and what guards it".to_owned(),
                    );
                }
            }
            if let Some(finding) = findings.list.iter().find(|f| f.severity > Severity::Note) {
                return Wrong(format!("{}{place}", finding.message), finding.cure.clone());
            }
            let written = logs::written(&file).unwrap_or(self.look.present);
            let age = span(self.look.present - written);
            if metadata.len() == 0 {
                empty.push(path.as_str());
            }
            told.push(format!(
                "{path}, {} bytes, written {age} ago",
                metadata.len()
            ));
        }
        if empty.len() == paths.len() {
            return Wrong(
                format!(
                    "{} {} empty: the jail {jails} has nothing to read{place}",
                    empty.join(" and "),
                    if empty.len() == 1 { "is" } else { "are" }
                ),
                "see where the service writes its log, and name that in logpath; it may write to the journal (backend = systemd)".to_owned(),
            );
        }
        Sound(told.join("; "))
    }

    fn journal(&self, judge: &Judge) -> Outcome {
        let Source::Journal(options, matches) = &judge.source else {
            return Sound("it reads no journal".to_owned());
        };
        let place = judge.places.of("backend");
        let logs = judge.places.value("logpath").unwrap_or_default();
        let unread = match logs.split_whitespace().next() {
            Some(path) => format!("; its logpath {path} is not read, as backend = systemd{place}"),
            None => String::new(),
        };
        let cure = match unread.is_empty() {
            true => {
                "start systemd-journald, or name a log file: backend = auto and logpath in the jail"
            }
            false => "set backend = auto in the jail if its log is to be read",
        };
        let is_usual = judge
            .places
            .value("backend")
            .is_none_or(|backend| backend == "systemd");
        match self.look.machine.journal() {
            Journal::None if is_usual => {
                return Wrong(
                    format!(
                        "the jail {} reads the journal, and there is none{place}{unread}",
                        self.jail
                    ),
                    cure.to_owned(),
                );
            }
            Journal::Refused(..) if !self.look.is_root => {
                return Unseen("the journal: only root and its groups may read it".to_owned());
            }
            _ => {}
        }
        let read = || Reader::open(options, matches, Encoding::utf_8())?.next_entry();
        let text = matches.text();
        match read() {
            Ok(Some(_)) if text.is_empty() => {
                Sound("it reads the whole journal, as it has no journalmatch".to_owned())
            }
            Ok(Some(_)) => Sound(format!("it reads the entries of the journal with {text}")),
            Ok(None) => Wrong(
                format!("no entry of the journal has {text}, which the jail {} looks for (journalmatch{}){unread}", self.jail, judge.places.of_filter("journalmatch")),
                match unread.is_empty() {
                    true => "journalctl -o verbose -n 1 -u UNIT shows the fields of an entry; set journalmatch to those of the service".to_owned(),
                    false => cure.to_owned(),
                },
            ),
            Err(error) => Wrong(format!("the journal cannot be read: {error}{unread}"), cure.to_owned()),
        }
    }

    /// Whether the server reads the logs of the configuration, and how far it has come.
    fn read(&self, judge: &Judge) -> Outcome {
        let Source::Files(paths) = &judge.source else {
            return Sound("it follows what is new".to_owned());
        };
        let running = self.state().is_some();
        let held = self
            .look
            .ask(&["get", &self.jail, "logpath"])
            .filter(|_| running);
        let held = held.map(|held| printed::value(&held));
        let held = held.as_ref().and_then(Json::as_array);
        let mut told = Vec::new();
        for path in paths {
            if held.is_some_and(|held| !held.iter().any(|one| one.as_str() == Some(path))) {
                return Wrong(
                    format!(
                        "the server does not read {path}, which the configuration names for the jail {}",
                        self.jail
                    ),
                    format!("fail2ban-client reload {}", self.jail),
                );
            }
            let database = self.look.machine.place(&self.look.database);
            let Ok(Some(position)) = inquiry::position(&database, &self.jail, path) else {
                continue;
            };
            let file = self.look.machine.place(path);
            let size = file.metadata().map_or(0, |metadata| metadata.len()) as f64;
            let age = logs::written(&file).map_or(0.0, |written| self.look.present - written);
            // what was not read whole is the end of a log that was rotated
            let behind = size - position.offset;
            if running && behind > 0.0 && position.offset > 0.0 && age > UNREAD {
                return Wrong(
                    format!(
                        "the server has read {path} to byte {} of {size}, though it was written {} ago",
                        position.offset,
                        span(age)
                    ),
                    format!(
                        "fail2ban-client reload --restart {}; the server's log may have the reason",
                        self.jail
                    ),
                );
            }
            told.push(format!(
                "{path} has been read to byte {} of {size}",
                position.offset
            ));
        }
        match (told.is_empty(), running) {
            (false, _) => Sound(told.join("; ")),
            (true, true) => {
                Sound("the server reads it; its position is not written down yet".to_owned())
            }
            (true, false) => {
                Unseen("how far it has been read: the database does not say".to_owned())
            }
        }
    }

    /// Whether lines have dates that the jail finds.
    fn dates(&self, judge: &Judge, harvest: &Harvest) -> Outcome {
        let Dates::Detector(detector) = judge.jail.filter().dates() else {
            return Sound("no date is looked for: lines count when they are read".to_owned());
        };
        let failures = harvest.failures() > 0 || !harvest.ignored.is_empty();
        if matches!(judge.source, Source::Journal(..))
            || judge.jail.filter().accepts_undated(self.look.present)
        {
            return Sound("lines need no date of their own".to_owned());
        }
        if harvest.dated > 0 || failures {
            return Sound(format!(
                "{} of the last {} lines have a date",
                harvest.dated, harvest.lines
            ));
        }
        let line = harvest.undated.clone().unwrap_or_default();
        let reach = match detector.is_default() {
            true => String::new(),
            false => format!(
                "; {}",
                super::answer::pattern_reach(detector, &line, self.look.present)
            ),
        };
        let place = judge.places.of_filter("datepattern");
        let candidates = super::answer::candidates(detector, &line, self.look.present);
        let (looks, cure) = match candidates.first() {
            Some((true, guess)) => (
                format!("; {} looks like one", shown(&line[guess.start..guess.end])),
                "take datepattern out of the filter or jail: the patterns that are always there find it".to_owned(),
            ),
            Some((false, guess)) => (
                format!("; {} looks like one", shown(&line[guess.start..guess.end])),
                format!("set datepattern = {} in the filter", guess.pattern),
            ),
            None => (
                String::new(),
                "set datepattern in the filter to the form of the log, or datepattern = {NONE} if its lines have none".to_owned(),
            ),
        };
        Wrong(
            format!(
                "none of the last {} lines has a date that the jail finds, as {}{reach}{looks}{place}",
                harvest.lines,
                shown(&line)
            ),
            cure,
        )
    }

    /// Whether the dates fit the time at which they were written.
    fn clock(&self, judge: &Judge, harvest: &Harvest) -> Outcome {
        let (Source::Files(paths), Some(last)) = (&judge.source, harvest.last) else {
            return Sound("the time of entries is the journal's".to_owned());
        };
        // of several logs it is not known which one has the last date
        let [path] = paths.as_slice() else {
            return Sound(format!("the last date is {}", local_time(last)));
        };
        let written = logs::written(&self.look.machine.place(path)).unwrap_or(last);
        let mut findings = Findings::default();
        lines::of_date(path, last, written, self.look.present, &mut findings);
        match findings.list.into_iter().next() {
            Some(finding) => Wrong(
                format!(
                    "{}; lines that a server finds when it starts are dropped if they seem older than findtime",
                    finding.message
                ),
                finding.cure,
            ),
            None => Sound(format!("the last date is {}", local_time(last))),
        }
    }

    /// Whether lines match.
    fn matching(&self, judge: &mut Judge, harvest: &Harvest) -> Outcome {
        let failures = harvest.failures() as usize + harvest.ignored.len() + harvest.names;
        let lines = harvest.lines;
        if failures > 0 {
            return Sound(format!(
                "{} in the last {}",
                counted(failures, "failure"),
                counted(lines, "line")
            ));
        }
        let mut closest: Option<(String, super::answer::Answer)> = None;
        let mut taken_back = 0;
        for line in &harvest.missed {
            let told = judge.tell(line, self.look.present);
            taken_back += usize::from(told.explanation.trace.ignored_by().is_some());
            let answer = told.answer;
            let is_closer = closest
                .as_ref()
                .is_none_or(|(_, known)| answer.closeness > known.closeness);
            if is_closer {
                closest = Some((line.clone(), answer));
            }
        }
        let Some((line, answer)) = closest else {
            return Unseen("its lines".to_owned());
        };
        let what = match taken_back {
            0 => format!(
                "none of the last {lines} lines is a failure for the jail {}",
                self.jail
            ),
            _ => format!(
                "an ignoreregex takes back {taken_back} of the last {lines} lines, and none is left as a failure for the jail {}",
                self.jail
            ),
        };
        Wrong(
            format!("{what}; {} comes closest: {}", shown(&line), answer.why),
            answer.cure.unwrap_or_else(|| "all is well if nobody has tried; else give ferroban explain a line that should count".to_owned()),
        )
    }

    /// Whether the jail does anything with a ban.
    fn action(&self, judge: &Judge) -> Outcome {
        let jails = &self.look.jails;
        let actions = crate::cli::actions::of_commands(
            &jails
                .iter()
                .flat_map(|jail| jail.commands.clone())
                .collect::<Vec<_>>(),
        );
        let count: usize = actions
            .map(|made| made.jails.iter().map(|jail| jail.actions.len()).sum())
            .unwrap_or_default();
        if count == 0 && !jails.is_empty() {
            return Wrong(
                format!(
                    "the jail {} has no action: a ban is counted and nothing is done{}",
                    self.jail,
                    judge.places.of("action")
                ),
                "set banaction and action in the jail, such as action = %(action_)s".to_owned(),
            );
        }
        let mut findings = Findings::default();
        tools::look(&self.look, &mut findings);
        if let Some(finding) = findings.list.iter().find(|f| f.severity > Severity::Note) {
            return Wrong(finding.message.clone(), finding.cure.clone());
        }
        let ineffective = self.state().and_then(|state| state.ineffective.first());
        match ineffective {
            Some((action, ids)) => Wrong(
                format!("{} bans of the jail {} have no effect: its action {action} fails", ids.len(), self.jail),
                "the server's log has what the command said; put it right, and the bans are tried again".to_owned(),
            ),
            None => Sound(format!("it has {count} actions whose programs are there")),
        }
    }

    /// Whether the server has banned whom it should by the log.
    fn ban(&self, harvest: &Harvest) -> Outcome {
        let last = harvest.bans.last();
        let Some(ban) = last else {
            return Sound("nobody is to be banned".to_owned());
        };
        let id = ban.ticket.id.to_string();
        let until = ban.until.map_or("for ever".to_owned(), |until| {
            format!("until {}", local_time(until))
        });
        let is_over = ban.until.is_some_and(|until| until < self.look.present);
        let by_log = format!(
            "by its log {id} is banned from {} {until}",
            local_time(ban.time)
        );
        let Some(state) = self.state() else {
            return Sound(format!("{by_log}; no server was asked"));
        };
        let now = format!(
            "{by_log}; the server has {} bans now and had {} since its start",
            state.banned[0], state.banned[1]
        );
        let started = self.look.server().and_then(|server| server.started);
        let was_there = started.is_some_and(|started| started < ban.time);
        if is_over || !was_there || state.bans.iter().any(|ban| ban.id == id) {
            return Sound(now);
        }
        let database = self.look.machine.place(&self.look.database);
        let past = inquiry::bans(&database, &id, 1).unwrap_or_default();
        if past
            .iter()
            .any(|past| past.jail == self.jail && (past.time - ban.time).abs() < SAME)
        {
            return Sound(format!("{now}; that one was lifted by hand"));
        }
        Wrong(
            format!("{by_log}, and the server has no such ban"),
            format!(
                "the server's log says what it found in these lines; fail2ban-client reload --restart {}",
                self.jail
            ),
        )
    }

    /// Whether the firewall has the bans, and packets come by.
    fn firewall(&mut self) -> ControlFlow<()> {
        if self.state().is_none() {
            return self.step(
                "rule",
                Unseen("the firewall: no server was asked".to_owned()),
            );
        }
        let mut findings = Findings::default();
        bans::look(&self.look, &mut findings);
        docker::look(&self.look, &mut findings);
        let of = |kind: &str| {
            let mut list = findings.list.iter();
            let own = list.find(|f| f.jail.as_deref() == Some(&self.jail) && f.kind == kind);
            own.map(|finding| Wrong(finding.message.clone(), finding.cure.clone()))
        };
        let unseen = findings.not_looked_at().first().cloned();
        let (missing, unreached) = (of("ban-missing"), of("no-packet"));
        let sound = |text: &str| match &unseen {
            Some(unseen) => Unseen(unseen.clone()),
            None => Sound(text.to_owned()),
        };
        let rule = missing
            .unwrap_or_else(|| sound("the firewall has its bans, as far as its actions are known"));
        self.step("rule", rule)?;
        let packets = unreached.unwrap_or_else(|| sound("rules lead to them"));
        self.step("packets", packets)
    }
}

fn enabled(judge: &Judge, jail: &str) -> Outcome {
    match judge.places.is_enabled() {
        true => Sound(format!("the jail {jail} is enabled")),
        false => Wrong(
            format!(
                "the jail {jail} is not enabled{}",
                judge.places.of("enabled")
            ),
            format!(
                "write enabled = true below [{jail}] in jail.local, then fail2ban-client reload"
            ),
        ),
    }
}

/// Whether all who fail are ignored.
fn ignored(judge: &Judge, harvest: &Harvest) -> Outcome {
    let failures = harvest.failures();
    if failures == 0
        && let Some((id, by)) = harvest.ignored.last()
    {
        let rule = judge.rule(by, id);
        return Wrong(
            format!("all failures ({}) are ignored, such as those of {id}, by {rule}", harvest.ignored.len()),
            "take the address out of what is named there; if it is a proxy's, have the service log the client's".to_owned(),
        );
    }
    if failures == 0 && harvest.names > 0 {
        return Wrong(
            format!("all {} failures are of host names, which count for the addresses that they have when the server looks them up", harvest.names),
            "have the service log addresses, or write <ADDR> in the failregex where the line has one".to_owned(),
        );
    }
    Sound(format!(
        "{} of those ignored",
        counted(harvest.ignored.len(), "failure")
    ))
}

/// Whether anybody fails often enough.
fn count(judge: &mut Judge, harvest: &Harvest) -> Outcome {
    let findtime = judge.jail.core_mut().find_time();
    let within = duration::format(Number::Int(findtime as i64));
    let Some((id, tries)) = harvest.furthest() else {
        return Sound("nobody fails".to_owned());
    };
    if tries.banned {
        let banned = harvest.tries.values().filter(|tries| tries.banned).count();
        return Sound(format!(
            "{banned} of {} fail often enough",
            harvest.tries.len()
        ));
    }
    let (why, cure) = too_few(judge, id, tries, &within);
    Wrong(format!("nobody fails often enough for a ban: {why}"), cure)
}

/// Why somebody's failures do not suffice.
pub fn too_few(judge: &Judge, id: &str, tries: Tries, within: &str) -> (String, String) {
    let Tries {
        failures,
        most,
        enough,
        ..
    } = tries;
    let most = (most * 10.0).round() / 10.0;
    let places = |option| judge.places.at(option);
    match i64::from(failures) >= enough {
        true => (
            format!(
                "{id} fails {failures} times, but at most {most} within {within} (findtime{}); {enough} are needed",
                places("findtime")
            ),
            "raise findtime in the jail if such slow tries are to be banned".to_owned(),
        ),
        false => (
            format!(
                "{} of {id} in {within}, {enough} are needed (maxretry{})",
                counted(failures as usize, "failure"),
                places("maxretry")
            ),
            "lower maxretry in the jail if that is to be enough".to_owned(),
        ),
    }
}

/// A time span in words.
fn span(seconds: f64) -> String {
    match seconds.max(0.0) as i64 {
        0 => "a moment".to_owned(),
        seconds => duration::format(Number::Int(seconds)),
    }
}

/// `1 line`, `2 lines`
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// When something happened and until when it lasts.
pub fn lasts(time: Timestamp, until: Option<Timestamp>) -> String {
    let until = until.map_or("for ever".to_owned(), |until| {
        format!("until {}", local_time(until))
    });
    format!("from {} {until}", local_time(time))
}
