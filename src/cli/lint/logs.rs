//! What the enabled jails make of the logs and the journal that they read: what cannot be seen in the
//! configuration alone. Lines go through the filter of the jail as in `ferroban replay`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::cli::doctor::findings::DoctorFindings as Told;
use crate::cli::doctor::inspection::Inspection;
use crate::cli::doctor::lines::{TAIL, of_date, tail};
use crate::cli::doctor::logs::{of_file, written};
use crate::cli::machine::JournalUse;
use crate::cli::replay::jails::{ReplaySource, made_by};
use crate::cli::setup::jails::SetupJail;
use crate::config::ConfigPlace;
use crate::config::jail::{add_defaults, place_of_part};
use crate::config::layers::Layers;
use crate::config::places::ValueItem;
use crate::config::settings::MergedSettings;
use crate::config::shipped::Shipped;
use crate::filter::{Dates, quote};
use crate::jail::Decoder;
use crate::jail::replay::ReplayJail;
use crate::lint::{LintFinding, Severity};
use crate::python::encoding::Encoding;
use crate::source::journal::{JournalMatches, JournalOptions, JournalReader};
use crate::ticket::Timestamp;

/// So many of the last lines of a log are looked at.
const LINES: usize = 1000;
/// So few say nothing about all of them.
const FEW: usize = 10;
/// So much of the beginning of a log tells its encoding.
const HEAD: u64 = 4096;
/// After so much time without a line a log is not the one that is written.
const QUIET: f64 = 7.0 * 24.0 * 3600.0;
/// How colours begin on a terminal.
const COLOUR: &str = "\u{1b}[";

/// Looks at what the enabled jails of a configuration read.
///
/// # Errors
/// This machine cannot be looked at.
pub fn look(config: &str) -> io::Result<Vec<LintFinding>> {
    let look = Inspection::at("/", Some(config))?;
    let mut settings = Layers::new(&Shipped, config).ok().and_then(|mut layers| {
        let settings = layers.read("jail").ok()??;
        Some((*settings).clone())
    });
    if let Some(settings) = &mut settings {
        add_defaults(settings, config);
    }
    let mut logs = LogSample {
        look: &look,
        settings,
        findings: Vec::new(),
    };
    for jail in &look.jails {
        logs.of_jail(jail);
    }
    Ok(logs.findings)
}

struct LogSample<'a> {
    look: &'a Inspection,
    settings: Option<MergedSettings>,
    findings: Vec<LintFinding>,
}

/// What a filter made of lines.
#[derive(Debug, Default)]
struct SampledLines {
    all: usize,
    dated: usize,
    failures: usize,
    coloured: usize,
    last: Option<Timestamp>,
    /// One without a date.
    undated: Option<String>,
}

impl LogSample<'_> {
    fn of_jail(&mut self, jail: &SetupJail) {
        let made = made_by(&jail.commands).ok();
        let Some(mut replayed) = made.and_then(|mut made| made.jails.pop()) else {
            return;
        };
        match &replayed.source {
            ReplaySource::Feed(_) => {}
            ReplaySource::Journal(options, matches) => self.of_journal(jail, options, matches),
            ReplaySource::Files(paths) => {
                for path in paths.clone() {
                    if let Err(error) = self.of_log(jail, &mut replayed.jail, &path) {
                        let text = format!("{path} cannot be read: {error}");
                        self.add(jail, Severity::Note, "log", ("logpath", &path), text);
                    }
                }
            }
        }
    }

    /// Adds a finding about an option of a jail, and the part of its value; once for all jails.
    fn add(
        &mut self,
        jail: &SetupJail,
        severity: Severity,
        kind: &'static str,
        (option, part): (&str, &str),
        message: String,
    ) {
        if self.findings.iter().any(|known| known.message == message) {
            return;
        }
        let item = ValueItem {
            text: part,
            ..ValueItem::default()
        };
        let settings = self.settings.as_ref();
        let place = |option| place_of_part(settings?, &jail.name, option, item, &Shipped);
        let place: Option<ConfigPlace> = place(option).or_else(|| place("filter"));
        self.findings.push(LintFinding {
            severity,
            kind,
            place,
            column: None,
            jail: Some(jail.name.clone()),
            message,
        });
    }

    fn of_log(
        &mut self,
        jail: &SetupJail,
        replayed: &mut ReplayJail,
        path: &str,
    ) -> io::Result<()> {
        let place = self.look.machine.place(path);
        let metadata = place.metadata()?;
        if !metadata.is_file() {
            return Ok(());
        }
        self.is_written(jail, path, &place, metadata.len())?;
        if metadata.len() == 0 || self.of_head(jail, replayed, path, &place)? {
            return Ok(());
        }
        let text = tail(&place, TAIL)?;
        let all: Vec<&str> = text.lines().collect();
        let last = &all[all.len().saturating_sub(LINES)..];
        let lines = read(replayed, last, self.look.present);
        self.of_lines(jail, replayed, path, &lines);
        if let Some(date) = lines.last {
            let mut told = Told::default();
            let time = written(&place).unwrap_or(date);
            of_date(path, date, time, self.look.present, &mut told);
            self.take(jail, path, told);
        }
        Ok(())
    }

    /// Adds what a check of `ferroban doctor` says of a log.
    fn take(&mut self, jail: &SetupJail, path: &str, told: Told) {
        for finding in told.list {
            let text = format!("{}: {}", finding.message, finding.cure);
            self.add(
                jail,
                finding.severity,
                finding.kind,
                ("logpath", path),
                text,
            );
        }
    }

    /// Whether somebody writes the log.
    fn is_written(
        &mut self,
        jail: &SetupJail,
        path: &str,
        place: &Path,
        size: u64,
    ) -> io::Result<()> {
        let age = self.look.present - written(place)?;
        let is_older = |end: &str| {
            let older = self.look.machine.place(&format!("{path}{end}"));
            older.exists()
        };
        if size == 0 && age > QUIET && ![".1", ".1.gz", ".0"].into_iter().any(is_older) {
            let text = format!(
                "{path} has no line and no older part, {:.0} days after it was made: name in logpath the log \
                 that the service writes, or set backend = systemd",
                age / (24.0 * 3600.0)
            );
            self.add(jail, Severity::Warning, "log", ("logpath", path), text);
            return Ok(());
        }
        let mut told = Told::default();
        of_file(self.look, path, &jail.name, &mut told)?;
        self.take(jail, path, told);
        Ok(())
    }

    /// The beginning of a log: whether it is in another encoding than the jail reads, so that there is
    /// nothing to be said about its lines.
    fn of_head(
        &mut self,
        jail: &SetupJail,
        replayed: &mut ReplayJail,
        path: &str,
        place: &Path,
    ) -> io::Result<bool> {
        let mut head = Vec::new();
        File::open(place)?.take(HEAD).read_to_end(&mut head)?;
        let name = replayed.core_mut().encoding().to_owned();
        let is_wide = Decoder::named(&name).encoding().unit() > 1;
        let zeros = head.iter().filter(|byte| **byte == 0).count();
        if !is_wide
            && (head.starts_with(b"\xff\xfe")
                || head.starts_with(b"\xfe\xff")
                || zeros * 3 > head.len())
        {
            let text =
                format!("{path} is UTF-16, and the jail reads {name}: set logencoding = utf-16");
            self.add(
                jail,
                Severity::Warning,
                "log-encoding",
                ("logpath", path),
                text,
            );
            return Ok(true);
        }
        if head.starts_with(b"\xef\xbb\xbf") {
            let text = format!(
                "{path} begins with a byte order mark, so its first line does not begin with its date: have the \
                 service write none"
            );
            self.add(
                jail,
                Severity::Note,
                "log-encoding",
                ("logpath", path),
                text,
            );
        }
        let whole = head
            .rsplitn(2, |byte| *byte == b'\n')
            .last()
            .unwrap_or_default();
        let is_text = ["utf-8", "utf8", "auto", "ascii"].contains(&name.to_lowercase().as_str());
        if let Some(error) = std::str::from_utf8(whole).err().filter(|_| is_text) {
            let before = &whole[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let text = format!(
                "line {line} of {path} is not UTF-8: set logencoding = latin-1 or what the service writes"
            );
            self.add(
                jail,
                Severity::Note,
                "log-encoding",
                ("logpath", path),
                text,
            );
        }
        Ok(is_wide)
    }

    /// What the filter makes of the lines.
    fn of_lines(
        &mut self,
        jail: &SetupJail,
        replayed: &ReplayJail,
        path: &str,
        lines: &SampledLines,
    ) {
        let (all, name) = (lines.all, &jail.name);
        let looks = matches!(replayed.filter().dates(), Dates::Detector(_))
            && !replayed.filter().accepts_undated(self.look.present);
        let mut add = |severity, kind, text| {
            self.add(jail, severity, kind, ("logpath", path), text);
        };
        if lines.coloured * 2 > all {
            let severity = match lines.failures {
                0 => Severity::Warning,
                _ => Severity::Note,
            };
            let text = format!(
                "{} of the last {all} lines of {path} have colour codes of a terminal, which no ^ and no date \
                 pattern expects: have the service log without colours",
                lines.coloured
            );
            add(severity, "log-colours", text);
        } else if looks && lines.dated == 0 && lines.failures == 0 && all >= FEW {
            let line: String = lines
                .undated
                .iter()
                .flat_map(|line| line.chars())
                .take(60)
                .collect();
            let text = format!(
                "none of the last {all} lines of {path} has a date that the jail finds, as {}: set \
                 datepattern (ferroban explain {name} proposes one)",
                quote(&line)
            );
            add(Severity::Warning, "no-date", text);
        }
        let dates = match looks {
            true => format!("{} have a date and ", lines.dated),
            false => String::new(),
        };
        let text = format!(
            "of the last {all} lines of {path} {dates}{} are failures for the jail {name}",
            lines.failures
        );
        add(Severity::Note, "log-share", text);
    }

    /// The journal of a jail: whether it has anything that the jail looks for.
    fn of_journal(&mut self, jail: &SetupJail, options: &JournalOptions, matches: &JournalMatches) {
        let at = ("journalmatch", "");
        if let JournalUse::Refused(path, why) = self.look.machine.journal() {
            let text = format!("the journal cannot be read: {path}: {why}");
            return self.add(jail, Severity::Note, "journal", at, text);
        }
        let open = || JournalReader::open(options, matches, Encoding::utf_8())?.next_entry();
        match open() {
            Ok(Some(_)) => {}
            Ok(None) if matches.text().is_empty() => {
                let text = "the journal that the jail reads has no entry: start systemd-journald, or name a log and \
                            set backend = auto";
                self.add(
                    jail,
                    Severity::Warning,
                    "journal",
                    ("backend", ""),
                    text.to_owned(),
                );
            }
            Ok(None) => {
                let text = format!(
                    "no entry of the journal has {}, which the jail {} looks for: set journalmatch to fields of the \
                     service (journalctl -o verbose shows them)",
                    matches.text(),
                    jail.name
                );
                self.add(jail, Severity::Warning, "journal", at, text);
            }
            Err(error) => {
                let text = format!(
                    "the journal cannot be read ({error}): name a log in logpath and set backend = auto, or start \
                     systemd-journald"
                );
                self.add(jail, Severity::Note, "journal", ("backend", ""), text);
            }
        }
    }
}

/// Puts lines through the filter of a jail.
fn read(replayed: &mut ReplayJail, lines: &[&str], present: Timestamp) -> SampledLines {
    let mut found = SampledLines::default();
    let mut events = Vec::new();
    let undated = replayed.filter().accepts_undated(present);
    for line in lines {
        found.all += 1;
        found.coloured += usize::from(line.contains(COLOUR));
        let date = replayed.filter_mut().date_of(line, present);
        found.dated += usize::from(date.is_some());
        // a jail that wants no dates takes the beginning of the day
        found.last = date.filter(|_| !undated);
        if date.is_none() && found.undated.is_none() {
            found.undated = Some((*line).to_owned());
        }
        replayed.line(line, present, &mut events);
        found.failures += usize::from(!replayed.judged().is_empty());
    }
    found
}
