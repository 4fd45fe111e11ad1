//! Where the enabled jails have their lines from: log files that nobody writes, and the journal.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::cli::machine::JournalUse;
use crate::lint::Severity;
use crate::python::encoding::Encoding;
use crate::source::journal::{JournalMatches, JournalOptions, JournalReader};
use crate::ticket::Timestamp;

const MINUTE: f64 = 60.0;
const DAY: f64 = 24.0 * 60.0 * MINUTE;

/// Logs that a running syslog writes to every day, whoever is on the machine.
const BUSY: [&str; 3] = ["auth.log", "messages", "syslog"];
/// After so much time without a line the writer of such a log is gone.
const GONE: f64 = 3.0 * DAY;
/// After so much time without a line any log is worth a word.
const QUIET: f64 = 7.0 * DAY;

/// All sources of lines.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let mut logs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut journal: Vec<&str> = Vec::new();
    for jail in &look.jails {
        match jail.backend() {
            "systemd" => journal.push(&jail.name),
            // a journal that is named
            backend if backend.starts_with("systemd") => {}
            _ => {
                for log in jail.logs() {
                    logs.entry(log).or_default().push(&jail.name);
                }
            }
        }
    }
    if !journal.is_empty() {
        of_journal(look, &journal, findings);
    }
    let mut sound = 0;
    for (log, jails) in &logs {
        let before = findings.list.len();
        match of_file(look, log, &jails.join(", "), findings) {
            Ok(()) => sound += usize::from(findings.list.len() == before),
            Err(error) => findings.unseen(format!("the log {log}: {error}")),
        }
    }
    if sound > 0 {
        findings.sound(format!("{sound} log files can be read and are written to"));
    }
}

fn of_journal(look: &Inspection, jails: &[&str], findings: &mut DoctorFindings) {
    let jails = jails.join(", ");
    let error = match look.machine.journal() {
        JournalUse::None => "there is none".to_owned(),
        JournalUse::Refused(..) if !look.is_root => {
            findings.unseen("the journal: only root and its groups may read it");
            return;
        }
        JournalUse::Refused(path, why) => format!("{path}: {why}"),
        JournalUse::There if !look.machine.is_this() => {
            return findings.sound("there is a journal");
        }
        JournalUse::There => {
            let read = || -> io::Result<_> {
                let (options, matches) = (JournalOptions::default(), JournalMatches::default());
                JournalReader::open(&options, &matches, Encoding::utf_8())?.next_entry()
            };
            match read() {
                Ok(Some(_)) => return findings.sound("the journal can be read"),
                Ok(None) => "it has no entries".to_owned(),
                Err(error) => error.to_string(),
            }
        }
    };
    findings.add(
        Severity::Error,
        "journal",
        format!("the journal, which the jails {jails} read, cannot be used: {error}"),
        "start systemd-journald, or name a log file: backend = auto and logpath in the jail",
    );
}

/// When a file was last written to, in seconds.
pub fn written(place: &Path) -> io::Result<Timestamp> {
    let time = place.metadata()?.modified()?;
    Ok(time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64())
}

/// Whether a log that jails read can be read, and is written to.
///
/// # Errors
/// It may not be looked at by this user.
pub fn of_file(
    look: &Inspection,
    log: &str,
    jails: &str,
    findings: &mut DoctorFindings,
) -> io::Result<()> {
    let place = look.machine.place(log);
    let metadata = place.metadata()?;
    if !metadata.is_file() {
        return Ok(());
    }
    match File::open(&place) {
        Err(error) if look.is_root => findings.add(
            Severity::Error,
            "log",
            format!("the log {log} of the jails {jails} cannot be read, not even by root: {error}"),
            "see its permissions, and what guards it (AppArmor, SELinux)",
        ),
        opened => drop(opened?),
    }
    let time = written(&place)?;
    let rotated = format!("{log}.1");
    let later =
        written(&look.machine.place(&rotated)).is_ok_and(|other| other > time + 10.0 * MINUTE);
    if later {
        findings.add(
            Severity::Warning,
            "log",
            format!("the service still writes to {rotated}, and the jails {jails} read {log}"),
            "have the service open its log again (systemctl reload), and see its rule in /etc/logrotate.d",
        );
        return Ok(());
    }
    let age = look.present - time;
    let name = log.rsplit('/').next().unwrap_or_default();
    let days = (age / DAY).floor();
    let what = match metadata.len() {
        0 => "is empty, and has been",
        _ => "has not been written to",
    };
    if BUSY.contains(&name) && age > GONE {
        findings.add(
            Severity::Warning,
            "log",
            format!("the log {log} of the jails {jails} {what} for {days} days: no syslog writes it any more"),
            "install rsyslog, or have the jails read the journal: backend = systemd",
        );
    } else if age > QUIET {
        findings.add(
            Severity::Note,
            "log",
            format!("the log {log} of the jails {jails} {what} for {days} days"),
            "see whether the service writes elsewhere; if there was nothing to write all is well",
        );
    }
    Ok(())
}
