//! Which jails fit a machine, and why.

use std::time::{Duration, SystemTime};

use super::dry::{self, Dry};
use super::jails::SetupJail;
use super::services::{HostServices, UnitState, also};
use crate::cli::machine::{HostMachine, JournalUse};
use crate::cli::replay::jails::made_by;
use crate::config::Check as _;
use crate::config::glob;
use crate::jail::validator::Validator;
use crate::pattern::{FailRegex, UseDns};
use crate::ticket::Timestamp;

/// How far back logs are looked at.
pub const PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// A jail that waits for so many lines counts what is ordinary. How much of it is too much, only the
/// administrator knows.
const VOLUME: i64 = 50;

/// The mode of filters that counts failed logins alone.
const LOGINS: &str = "auth";

/// What is thought of a jail.
#[derive(Debug)]
pub enum JailFit {
    /// It fits.
    Fits(Grounds),
    /// It is enabled already.
    Enabled,
    /// It is left out, for this reason.
    LeftOut(String),
}

/// Why a jail fits.
#[derive(Debug, Default)]
pub struct Grounds {
    /// Units and scripts, with what they do.
    pub units: Vec<String>,
    /// The package.
    pub package: Option<String>,
    /// Ports of the jail on which something listens.
    pub listening: Vec<u16>,
    /// The log files it would read; none: the journal.
    pub logs: Vec<String>,
    /// What the dry run found.
    pub dry: Dry,
}

/// A look at a machine.
pub struct FitCheck<'m> {
    pub machine: &'m HostMachine,
    pub services: HostServices,
    pub journal: JournalUse,
    pub present: Timestamp,
    /// Whether any log was found.
    pub any_log: bool,
    /// What could not be read, with the reason.
    pub unread: Vec<(String, String)>,
}

impl<'m> FitCheck<'m> {
    /// A look at a machine at a time.
    pub fn at(machine: &'m HostMachine, present: Timestamp) -> FitCheck<'m> {
        let journal = machine.journal();
        let mut look = FitCheck {
            machine,
            services: HostServices::of(machine),
            any_log: journal != JournalUse::None,
            journal,
            present,
            unread: Vec::new(),
        };
        if let JournalUse::Refused(path, why) = &look.journal {
            let (path, why) = (path.clone(), why.clone());
            look.note_unread(path, why);
        }
        look
    }

    /// What is thought of each of these jails.
    ///
    /// # Errors
    /// The configuration came to something that is no command.
    pub fn judge(&mut self, jails: &[SetupJail]) -> anyhow::Result<Vec<(String, JailFit)>> {
        // what the administrator has decided about a jail holds for others that count the same
        let decided = |jail: &&SetupJail| jail.enabled || jail.switched_off.is_some();
        let mut kept: Vec<&SetupJail> = jails.iter().filter(decided).collect();
        for jail in &kept {
            self.any_log |= !jail.logs().is_empty();
        }
        let mut verdicts = Vec::new();
        for jail in jails {
            let verdict = match jail.enabled {
                true => JailFit::Enabled,
                false => self.judge_one(jail, &kept)?,
            };
            if let JailFit::Fits(_) = verdict {
                kept.push(jail);
            }
            verdicts.push((jail.name.clone(), verdict));
        }
        Ok(verdicts)
    }

    /// What is thought of a jail beside those that are decided upon or fit.
    fn judge_one(&mut self, jail: &SetupJail, kept: &[&SetupJail]) -> anyhow::Result<JailFit> {
        let logs = jail.logs();
        self.any_log |= !logs.is_empty();
        let out = |why: String| Ok(JailFit::LeftOut(why));
        if let Some(place) = &jail.switched_off {
            return out(format!("switched off in {place}"));
        }
        if let Some(fault) = &jail.fault {
            return out(fault.clone());
        }
        let expressions = jail.expressions();
        if expressions.is_empty() {
            return out("its filter has no expressions".to_owned());
        }
        let beside = kept.iter().filter(|other| reads_same(&logs, &other.logs()));
        for other in beside {
            let name = &other.name;
            if other.expressions() == expressions {
                return out(format!("the jail {name} counts the same"));
            }
            if other.filter == jail.filter && jail.mode != LOGINS {
                return out(format!(
                    "the jail {name} has this filter; its mode is yours to choose"
                ));
            }
        }
        if jail.maxretry >= VOLUME {
            return out(
                "it counts what is ordinary; how much is too much is yours to say".to_owned(),
            );
        }
        if let Err(why) = self.source(jail, &logs) {
            return out(why);
        }
        let mut grounds = Grounds {
            logs,
            ..Grounds::default()
        };
        let is_its_own = match self.service(jail, &mut grounds) {
            Ok(is_its_own) => is_its_own,
            Err(why) => return out(why),
        };
        let validator = Validator::default();
        let mut faults = validator.faults(&jail.commands);
        faults.extend(validator.warnings(&jail.commands));
        if let Some(fault) = faults.into_iter().next() {
            return out(fault.text);
        }
        if !names_addresses(jail) {
            return out(
                "its filter finds no addresses; choose an action for what it finds".to_owned(),
            );
        }
        let dry = match self.dry_run(jail)? {
            Ok(dry) => dry,
            Err(why) => return out(why),
        };
        if grounds.logs.is_empty() && !dry.has_entries && dry.unread.is_empty() {
            return out("the journal holds no entry of it".to_owned());
        }
        // a guard of logins fits before anybody has tried
        if dry.bans == 0 && !is_its_own && jail.mode != LOGINS {
            return out("it would have banned nobody in the last day".to_owned());
        }
        grounds.dry = dry;
        Ok(JailFit::Fits(grounds))
    }

    /// The jail over the last day, or why it cannot be made.
    fn dry_run(&mut self, jail: &SetupJail) -> anyhow::Result<Result<Dry, String>> {
        let mut made = made_by(&jail.commands)?;
        let Some(replayed) = made.jails.first_mut() else {
            let why = made.left_out.first().map(|left_out| left_out.why.clone());
            return Ok(Err(why.unwrap_or_default()));
        };
        let since = self.present - PERIOD.as_secs_f64();
        let dry = dry::run(replayed, self.machine, since, self.present);
        for (path, why) in &dry.unread {
            self.note_unread(path.clone(), why.clone());
        }
        Ok(Ok(dry))
    }

    /// Whether there is something that the jail would read.
    fn source(&mut self, jail: &SetupJail, logs: &[String]) -> Result<(), String> {
        let backend = jail.backend();
        if backend.starts_with("systemd") {
            return match &self.journal {
                JournalUse::None => Err("there is no journal".to_owned()),
                JournalUse::Refused(..) => Err("the journal cannot be read".to_owned()),
                JournalUse::There => Ok(()),
            };
        }
        if backend.starts_with("syslog") || backend.starts_with("command") {
            return Err(format!("cannot read the lines of {backend}"));
        }
        if !logs.is_empty() {
            return Ok(());
        }
        let lines = jail.patterns.iter();
        let paths: Vec<&str> = lines
            .map(|line| {
                line.rsplit_once(' ')
                    .map_or(line.as_str(), |(path, _)| path)
            })
            .collect();
        for path in &paths {
            for refused in glob::find(self.machine, path).refused {
                let (path, why) = refused.rsplit_once(": ").unwrap_or((&refused, ""));
                self.note_unread(path.to_owned(), why.to_owned());
                self.any_log = true;
            }
        }
        match paths.is_empty() {
            true => Err("it has no log".to_owned()),
            false => Err(format!("no such log: {}", paths.join(", "))),
        }
    }

    fn note_unread(&mut self, path: String, why: String) {
        if !self.unread.iter().any(|(known, _)| *known == path) {
            self.unread.push((path, why));
        }
    }

    /// Whether the service of a jail is there; if so, whether its filter is that of the service as
    /// such, or of its logins, and not of a special nuisance.
    fn service(&self, jail: &SetupJail, grounds: &mut Grounds) -> Result<bool, String> {
        let mut units: Vec<(&str, UnitState)> = Vec::new();
        let mut add = |name: &str| {
            let unit = self.services.unit(name);
            if let Some(unit) = unit
                && !units.contains(&unit)
            {
                units.push(unit);
            }
            unit.is_some()
        };
        for unit in jail.units() {
            add(&unit);
        }
        let mut whole_name = false;
        let mut own_log = false;
        for word in jail.words() {
            let mut found = add(&word);
            for other in also(&word) {
                found |= add(other);
            }
            let names = [word.as_str()]
                .into_iter()
                .chain(also(&word).iter().copied());
            for name in names {
                let package = self.services.package(name).map(str::to_owned);
                found |= package.is_some();
                grounds.package = grounds.package.take().or(package);
            }
            whole_name |= found && word == jail.filter;
            own_log |= grounds.logs.iter().any(|log| self.is_written(log, &word));
        }
        let listening = self.services.listening(&jail.ports, &jail.protocol);
        grounds.listening = listening.unwrap_or_default();
        let most = units.iter().map(|(_, state)| *state).max();
        if most == Some(UnitState::There) && !own_log {
            return Err(format!("{} is there, but switched off", units[0].0));
        }
        if units.is_empty() && grounds.package.is_none() && !own_log {
            return Err("no such service was found".to_owned());
        }
        // others of its names are links to it, or rest
        units.retain(|(_, state)| Some(*state) == most);
        grounds.units = units
            .iter()
            .map(|(name, state)| described(name, *state))
            .collect();
        let filter = &jail.filter;
        Ok(whole_name || !filter.contains('-') || filter.ends_with("auth"))
    }

    /// Whether a log is the service's own, by its path, and was written to within the last day.
    fn is_written(&self, log: &str, service: &str) -> bool {
        let since = SystemTime::now() - PERIOD;
        let place = self.machine.place(log);
        let written = place.metadata().and_then(|metadata| metadata.modified());
        log.split(['/', '.']).any(|part| part == service) && written.is_ok_and(|time| time >= since)
    }
}

/// Whether jails of these logs read the same: a log, or without logs the journal.
fn reads_same(logs: &[String], others: &[String]) -> bool {
    let journal = logs.is_empty() && others.is_empty();
    journal || logs.iter().any(|log| others.contains(log))
}

/// Whether an expression of a jail has a group for addresses or host names.
fn names_addresses(jail: &SetupJail) -> bool {
    jail.regexes().any(|text| {
        let regex = FailRegex::new(text, UseDns::Warn, false);
        regex.is_ok_and(|regex| {
            let groups = regex.groups();
            let groups = [groups.ip4, groups.ip6, groups.dns, groups.host];
            groups.iter().any(Option::is_some)
        })
    })
}

fn described(unit: &str, state: UnitState) -> String {
    let does = match state {
        UnitState::There => "is there",
        UnitState::Enabled => "is enabled",
        UnitState::Running => "runs",
    };
    format!("{unit} {does}")
}
