//! Checks a configuration before a server reads it: errors, and valid settings that are likely mistakes.
//!
//! In: a directory, through [`Files`]. Out: [`LintFinding`]s, each with its place. Nothing is changed and
//! nothing runs. [`written`] checks each file, [`lines`] its lines, [`entries`] the values of jails as written,
//! [`options`] unknown names, [`jails`] the enabled jails, [`regexes`] the text of their regexes, [`times`]
//! combinations of times, [`filters`] the other filters and actions, [`injection`] what clients can do with
//! the regexes; [`names`], [`references`] and [`values`] help them.
#![forbid(unsafe_code)]

mod entries;
mod filters;
mod injection;
mod jails;
mod lines;
mod names;
mod notices;
mod options;
mod references;
mod regexes;
mod times;
mod values;
mod written;

pub use injection::leads;
pub use names::{hint, nearest};
pub use values::services;

use std::collections::HashSet;

use self::written::WrittenOptions;
use crate::config::files::Files;
use crate::config::layers::Layers;
use crate::config::places::{ValueItem, line_of};
use crate::config::section::FileLine;
use crate::config::settings::MergedSettings;
use crate::config::{
    Cause, ConfigPlace, Fault, ReadOptions, Sandbox, globals, jail, shipped, stream,
};
use crate::control::Value;
use crate::jail::validator;
use crate::python::text::quoted;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Works, but hardly as it was meant.
    Warning,
    /// The server or a jail would not start, or find nothing.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintFinding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is, one word for scripts.
    pub kind: &'static str,
    /// Where.
    pub place: Option<ConfigPlace>,
    /// The character of the line at which it begins, from 1, where there is one.
    pub column: Option<u32>,
    /// The jail it concerns.
    pub jail: Option<String>,
    /// What.
    pub message: String,
}

/// Kinds of slips, of which other findings about the same line may come.
const CAUSES: [&str; 9] = [
    "bom",
    "bracket",
    "comment",
    "cut",
    "left-tag",
    "quotes",
    "seconds",
    "two-hosts",
    "unindented",
];

/// Kinds of what may come of them.
const CONSEQUENCES: [&str; 9] = [
    "cut-address",
    "flag",
    "missing-log",
    "port",
    "reference",
    "stray-line",
    "unknown-option",
    "unread-option",
    "value",
];

/// Collects findings; the same one at the same place only once.
struct LintFindings<'f> {
    /// What they are about.
    files: &'f dyn Files,
    list: Vec<LintFinding>,
    seen: HashSet<(Option<String>, String)>,
    /// Where something shows, and where the slip stands that it comes of.
    led: Vec<(FileLine, FileLine)>,
}

impl<'f> LintFindings<'f> {
    fn new(files: &'f dyn Files) -> LintFindings<'f> {
        LintFindings {
            files,
            list: Vec::new(),
            seen: HashSet::new(),
            led: Vec::new(),
        }
    }

    fn add(
        &mut self,
        severity: Severity,
        kind: &'static str,
        place: Option<ConfigPlace>,
        message: impl Into<String>,
    ) {
        self.add_at_column(severity, kind, place, None, message);
    }

    fn add_at_column(
        &mut self,
        severity: Severity,
        kind: &'static str,
        place: Option<ConfigPlace>,
        column: Option<u32>,
        message: impl Into<String>,
    ) {
        let message = message.into();
        let origin = place.as_ref().map(|place| place.origin.to_string());
        if self.seen.insert((origin, message.clone())) {
            self.list.push(LintFinding {
                severity,
                kind,
                place,
                column,
                jail: None,
                message,
            });
        }
    }

    /// What the server would refuse of some commands.
    fn fault(
        &mut self,
        severity: Severity,
        place: Option<ConfigPlace>,
        fault: &Fault,
        commands: &[Vec<Value>],
    ) {
        let words = commands.get(fault.command).map_or(&[][..], Vec::as_slice);
        let source = regexes::values_of(words).get(fault.item);
        let source = source.and_then(Value::as_str).unwrap_or_default();
        let is_syntax = fault.text.starts_with("Unable to compile");
        if let Some((text, part)) = regexes::syntax(source).filter(|_| is_syntax) {
            let (place, column) = regexes::shown(self.files, place, source, part);
            self.add_at_column(severity, "value", place, column, text);
            return;
        }
        self.add(severity, "value", place, values::plain(&fault.text, words));
    }

    /// What ended the reading, of a value in `settings` where it was one.
    fn cause(
        &mut self,
        severity: Severity,
        cause: &Cause,
        otherwise: Option<ConfigPlace>,
        settings: Option<&MergedSettings>,
    ) {
        let place = cause.place().or(otherwise);
        let text = cause.text();
        let line = place.as_ref().map(|place| {
            let item = ValueItem::default();
            line_of(self.files, &place.origin, item).text
        });
        let line = line.unwrap_or_default();
        match references::plain(&text, &line, settings) {
            Some((message, part)) => {
                let (place, column) = regexes::shown(self.files, place, &part, 0..part.len());
                self.add_at_column(severity, "reference", place, column, message);
            }
            None => self.add(severity, "value", place, text),
        }
    }

    /// Errors first; a warning about a line that has an error says nothing new, and what comes of a slip
    /// neither.
    fn finish(mut self) -> Vec<LintFinding> {
        let origin =
            |finding: &LintFinding| finding.place.as_ref().map(|place| place.origin.clone());
        self.keep_causes();
        let errors = self.list.iter().filter(|f| f.severity == Severity::Error);
        let wrong: Vec<FileLine> = errors.filter_map(origin).collect();
        let mut list = self.list;
        list.retain(|finding| {
            finding.severity == Severity::Error
                || finding.kind != "value"
                || !origin(finding).is_some_and(|origin| wrong.contains(&origin))
        });
        list.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        list
    }

    /// Where a slip is told, what comes of it in the same line is not told as well; the slip is as bad
    /// as that.
    fn keep_causes(&mut self) {
        let is_cause = |finding: &LintFinding| CAUSES.contains(&finding.kind);
        let (mut causes, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.list)
            .into_iter()
            .partition(is_cause);
        for other in others {
            let origin = other.place.as_ref().map(|place| &place.origin);
            let cause = causes.iter_mut().find(|cause| {
                let of_cause = cause.place.as_ref().map(|place| &place.origin);
                let led = |(from, to): &(FileLine, FileLine)| {
                    Some(from) == origin && Some(to) == of_cause
                };
                (of_cause == origin || self.led.iter().any(led))
                    && CONSEQUENCES.contains(&other.kind)
            });
            match cause {
                Some(cause) => cause.severity = cause.severity.max(other.severity),
                None => self.list.push(other),
            }
        }
        self.list.append(&mut causes);
    }
}

/// Looks through the configuration below `dir`.
pub fn lint(files: &dyn Files, dir: &str) -> Vec<LintFinding> {
    let mut findings = LintFindings::new(files);
    let mut layers = match Layers::new(files, dir) {
        Ok(layers) => layers,
        Err(cause) => {
            findings.cause(Severity::Error, &cause, None, None);
            return findings.finish();
        }
    };
    layers.tolerate();
    let written = written::look(files, layers.base(), &mut findings);
    let sandbox = server(&mut layers, &written, &mut findings);
    match layers.read("jail") {
        Ok(Some(settings)) => {
            let mut settings = (*settings).clone();
            options::of_jails(&settings, &written, &mut findings);
            options::of_definitions(&mut layers, &settings, &written, &mut findings);
            jail::add_defaults(&mut settings, layers.base());
            options::spare_names(files, &settings, &mut findings);
            entries::look(files, &settings, &mut findings);
            let starts = starts(files, dir);
            let about = jails::About { starts, sandbox };
            let mut jails =
                jails::JailLint::new(&mut layers, settings, &written, about, &mut findings);
            jails.look();
            let used = jails.used();
            filters::look(&mut layers, &written, &used, &mut findings);
        }
        Ok(None) => {
            let text = "no jail.conf and no jail.local can be read";
            findings.add(Severity::Error, "unreadable", None, text);
        }
        Err(cause) => {
            findings.cause(Severity::Error, &cause, None, None);
        }
    }
    for path in layers.shipped() {
        let own = shipped::at_home(layers.base(), path.clone());
        let text = format!("the shipped file is read: {} is not there", quoted(&own));
        findings.add(Severity::Note, "shipped", Some(first_line(&path)), text);
    }
    findings.finish()
}

fn first_line(path: &str) -> ConfigPlace {
    let origin = FileLine {
        file: path.into(),
        line: 1,
    };
    origin.into()
}

/// Whether the server starts with this configuration, be it without some of its jails.
fn starts(files: &dyn Files, dir: &str) -> bool {
    let read = stream::all(files, dir, &ReadOptions::default());
    read.is_ok_and(|stream| stream.accepted)
}

/// `fail2ban.conf`; answers what the server gives up.
fn server(
    layers: &mut Layers<'_>,
    written: &WrittenOptions,
    findings: &mut LintFindings<'_>,
) -> Sandbox {
    let settings = match layers.read("fail2ban") {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            let text = "no fail2ban.conf and no fail2ban.local can be read";
            findings.add(Severity::Error, "unreadable", None, text);
            return Sandbox::Off;
        }
        Err(cause) => {
            findings.cause(Severity::Error, &cause, None, None);
            return Sandbox::Off;
        }
    };
    options::of_server(layers.files(), &settings, written, findings);
    let before = layers.messages.0.len();
    let place = |option: &str| settings.origin("Definition", option).cloned();
    let mut sandbox = Sandbox::Off;
    match globals::sandbox(&settings, &mut layers.messages) {
        Ok(level) => sandbox = level,
        Err(cause) => findings.cause(
            Severity::Error,
            &cause,
            place("sandbox").map(Into::into),
            None,
        ),
    }
    if sandbox != Sandbox::Off {
        let text = "sandbox: nothing that actions run can mount, load kernel modules, trace or enter \
                    other processes, make namespaces, use keyrings, set the clock, shut down, or be a \
                    32-bit program on a 64-bit system (docs/privileges.md)";
        let place = place("sandbox").map(Into::into);
        findings.add(Severity::Note, "sandbox", place, text);
    }
    if sandbox == Sandbox::Strict {
        let text = "sandbox = strict: no program that actions run gets rights by set-id bits, or writes \
                    anywhere but below the directories of database, log, socket and pid file, /tmp and \
                    /var/tmp (docs/privileges.md)";
        let place = place("sandbox").map(Into::into);
        findings.add(Severity::Note, "sandbox", place, text);
    }
    let overrides = crate::config::settings::Options::default();
    match globals::commands(&settings, overrides, &mut layers.messages) {
        Ok(commands) => {
            for fault in validator::faults(&commands) {
                let name = commands.get(fault.command).and_then(|words| words.get(1));
                let name = name.and_then(|name| name.as_str()).unwrap_or_default();
                let place = place(name).map(Into::into);
                findings.fault(Severity::Error, place, &fault, &commands);
            }
        }
        Err(cause) => {
            findings.cause(
                Severity::Error,
                &cause,
                place("loglevel").map(Into::into),
                None,
            );
        }
    }
    for message in layers.messages.0.split_off(before) {
        if message.level >= crate::log::Level::Warning {
            findings.add(Severity::Warning, "value", message.place, message.text);
        }
    }
    sandbox
}
