//! Whether what a jail reads is there, and how far a server has read it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value as Json;

use super::StepOutcome::{self, Sound, Unseen, Wrong};
use super::Walker;
use crate::cli::doctor::findings::DoctorFindings;
use crate::cli::doctor::logs;
use crate::cli::explain::judge::LineJudge;
use crate::cli::explain::words::span;
use crate::cli::machine::JournalUse;
use crate::cli::replay::jails::ReplaySource;
use crate::config::files::Files as _;
use crate::control::print::json as printed;
use crate::lint::{Severity, hint, nearest};
use crate::python::encoding::Encoding;
use crate::source::journal::JournalReader;
use crate::store::past_bans;

/// A log that is written and of which so much is unread is not being read.
const UNREAD: f64 = 600.0;

impl Walker<'_> {
    /// Whether what the jail reads is there.
    pub(super) fn source(&self, judge: &LineJudge, missing: &[(String, String)]) -> StepOutcome {
        match &judge.source {
            ReplaySource::Feed(name) => Sound(format!("it reads what {name} sends")),
            ReplaySource::Journal(..) => self.journal(judge),
            ReplaySource::Files(paths) => self.files(judge, paths, missing),
        }
    }

    pub(super) fn files(
        &self,
        judge: &LineJudge,
        paths: &[String],
        missing: &[(String, String)],
    ) -> StepOutcome {
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
            let mut findings = DoctorFindings::default();
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

    pub(super) fn journal(&self, judge: &LineJudge) -> StepOutcome {
        let ReplaySource::Journal(options, matches) = &judge.source else {
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
            JournalUse::None if is_usual => {
                return Wrong(
                    format!(
                        "the jail {} reads the journal, and there is none{place}{unread}",
                        self.jail
                    ),
                    cure.to_owned(),
                );
            }
            JournalUse::Refused(..) if !self.look.is_root => {
                return Unseen("the journal: only root and its groups may read it".to_owned());
            }
            _ => {}
        }
        let read = || JournalReader::open(options, matches, Encoding::utf_8())?.next_entry();
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
    pub(super) fn read(&self, judge: &LineJudge) -> StepOutcome {
        let ReplaySource::Files(paths) = &judge.source else {
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
            let Ok(Some(position)) = past_bans::position(&database, &self.jail, path) else {
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
}
