//! The jails of a replay, made from the same commands the daemon would get.

use std::collections::HashMap;
use std::fmt::Display;

use anyhow::{Context as _, bail};

use super::arguments::ReplayArguments;
use crate::action::preview::ActionPreview;
use crate::address::Family;
use crate::config::files::Overlay;
use crate::config::glob;
use crate::config::layers::Layers;
use crate::config::shipped::Shipped;
use crate::config::{Cause, ReadOptions, stream};
use crate::control::{Command, JailCommand, JailSetting, Value};
use crate::datetime::Templates;
use crate::jail::Backend;
use crate::jail::replay::ReplayJail;
use crate::jail::validator::Validator;
use crate::lint;
use crate::source::journal::{JournalMatches, JournalOptions};
use crate::sys::hosts::HostNames;

/// The jails, and what is missing.
#[derive(Default)]
pub struct ReplayJails {
    /// Those that can be run.
    pub jails: Vec<Replayed>,
    /// What could not be read so far.
    pub left_out: Vec<LeftOut>,
    templates: Templates,
}

/// Something that was not read.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// The jail it was for.
    pub jail: String,
    /// A log or a list; `None`: the jail as a whole.
    pub what: Option<String>,
    /// Why.
    pub why: String,
}

impl Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LeftOut { jail, what, why } = self;
        match what {
            Some(what) => write!(f, "jail '{jail}': {what}: {why}"),
            None => write!(f, "jail '{jail}' left out: {why}"),
        }
    }
}

/// A jail and what surrounds it.
pub struct Replayed {
    /// Its name.
    pub name: String,
    /// The jail.
    pub jail: ReplayJail,
    /// What it reads.
    pub source: ReplaySource,
    /// Its actions in order.
    pub actions: Vec<ActionPreview>,
    /// Families whose `actionstart` has been told.
    pub started: Vec<Option<Family>>,
}

/// Where a jail has its lines from.
pub enum ReplaySource {
    /// Log files, `-` being standard input.
    Files(Vec<String>),
    /// The journal.
    Journal(JournalOptions, JournalMatches),
    /// A program or the network, by this name: nobody can read it again.
    Feed(String),
}

/// Reads the configuration.
///
/// # Errors
/// Nothing of it can be used.
pub fn read(arguments: &ReplayArguments) -> anyhow::Result<ReplayJails> {
    let trials = Validator::default();
    let options = ReadOptions {
        // logs come from the command line, or a missing one is told below
        allow_no_files: true,
        patterns: true,
        check: Some(&trials),
        ..ReadOptions::default()
    };
    let path = format!("{}/jail.d/zzzz-replay.local", arguments.config);
    let files = Overlay::new(&Shipped, vec![(path, enabling(arguments))]);
    for wanted in &arguments.jails {
        must_have(&arguments.config, wanted)?;
    }
    let stream = stream::all(&files, &arguments.config, &options)
        .with_context(|| format!("cannot read {}", arguments.config))?;
    // only commands show the machine's names, and asking for them may take a while
    let names = match arguments.commands {
        true => HostNames::of_this_machine(),
        false => HostNames::default(),
    };
    let mut jails = ReplayJails::default();
    jails
        .left_out
        .extend((stream.skipped.into_iter()).map(|(jail, why)| LeftOut {
            jail,
            what: None,
            why,
        }));
    jails.carry_out(&stream.commands, &names, &arguments.logs)?;
    if !arguments.jails.is_empty() {
        let is_wanted = |name: &String| arguments.jails.contains(name);
        jails.jails.retain(|jail| is_wanted(&jail.name));
        jails.left_out.retain(|left_out| is_wanted(&left_out.jail));
    }
    for jail in &mut jails.jails {
        if !arguments.logs.is_empty() {
            jail.source = ReplaySource::Files(arguments.logs.clone());
        }
        know_surroundings(jail, &mut jails.left_out);
    }
    Ok(jails)
}

/// The jails that these commands make.
///
/// # Errors
/// Something that is no command.
pub fn made_by(commands: &[Vec<Value>]) -> anyhow::Result<ReplayJails> {
    let mut jails = ReplayJails::default();
    jails.carry_out(commands, &HostNames::default(), &[])?;
    for jail in &mut jails.jails {
        know_surroundings(jail, &mut jails.left_out);
    }
    Ok(jails)
}

/// Makes sure that a configuration has this jail, enabled or not.
///
/// # Errors
/// It has not, or cannot be read; what the error says may name the jail that was meant.
pub fn must_have(config: &str, name: &str) -> anyhow::Result<()> {
    let known = names_of_jails(config).with_context(|| format!("cannot read {config}"))?;
    if !known.iter().any(|jail| jail == name) {
        let meant = lint::nearest(name, known.iter().map(String::as_str), 2);
        bail!("there is no jail '{name}' in {config}{}", lint::hint(meant));
    }
    Ok(())
}

/// The jails of a configuration, enabled or not.
pub fn names_of_jails(config: &str) -> Result<Vec<String>, Cause> {
    let settings = Layers::new(&Shipped, config)?.read("jail")?;
    let names = settings.iter().flat_map(|settings| settings.names());
    Ok(names.map(|name| name.to_string()).collect())
}

/// Switches the wanted jails on; when logs are given it does not matter that their own are missing.
fn enabling(arguments: &ReplayArguments) -> String {
    let own_logs = match arguments.logs.is_empty() {
        true => "",
        false => "skip_if_nologs = false\n",
    };
    let sections = (arguments.jails.iter())
        .map(|jail| format!("[{jail}]\nenabled = true\n{own_logs}"))
        .collect::<String>();
    format!("[DEFAULT]\n{own_logs}{sections}")
}

impl ReplayJails {
    /// Makes the jails; one that cannot be made is left out.
    fn carry_out(
        &mut self,
        commands: &[Vec<Value>],
        names: &HostNames,
        logs: &[String],
    ) -> anyhow::Result<()> {
        let mut places: HashMap<String, usize> = HashMap::new();
        for words in commands {
            match Command::parse(words).with_context(|| format!("in command {words:?}"))? {
                Command::Add { jail, backend } => {
                    match Replayed::new(&jail, &backend, &self.templates) {
                        Ok(replayed) => {
                            places.insert(jail, self.jails.len());
                            self.jails.push(replayed);
                        }
                        Err(error) => self.leave_out(&jail, None, &error),
                    }
                }
                Command::Jail {
                    name,
                    command: JailCommand::Set(setting),
                } => {
                    let jail = places.get(&name).and_then(|&at| self.jails.get_mut(at));
                    if let Some(Err(error)) = jail.map(|jail| jail.set(setting, names)) {
                        self.leave_out(&name, None, &format!("{error:#}"));
                        // the settings that follow are nobody's
                        places.remove(&name);
                    }
                }
                Command::StartJail { name, patterns } if logs.is_empty() => {
                    if let Some(jail) = places.get(&name).and_then(|&at| self.jails.get(at)) {
                        self.left_out.extend(jail.missing(&patterns));
                    }
                }
                _ => {}
            }
        }
        self.jails.retain(|jail| places.contains_key(&jail.name));
        Ok(())
    }

    fn leave_out(&mut self, jail: &str, what: Option<String>, why: &dyn Display) {
        self.left_out.push(LeftOut {
            jail: jail.to_owned(),
            what,
            why: why.to_string(),
        });
    }
}

impl Replayed {
    fn new(name: &str, backend: &str, templates: &Templates) -> anyhow::Result<Replayed> {
        let mut jail = ReplayJail::new(name);
        jail.filter_mut().share_templates(templates);
        let source = match Backend::read(backend, name)? {
            Backend::Inotify | Backend::Polling => ReplaySource::Files(Vec::new()),
            Backend::Feed(source) => ReplaySource::Feed(source.name()),
            Backend::Journal(options) => {
                jail.read_journal();
                ReplaySource::Journal(options, JournalMatches::default())
            }
        };
        Ok(Replayed {
            name: name.to_owned(),
            jail,
            source,
            actions: Vec::new(),
            started: Vec::new(),
        })
    }

    fn set(&mut self, setting: JailSetting, names: &HostNames) -> anyhow::Result<()> {
        match (setting, &mut self.source) {
            (JailSetting::AddLogPath { path, .. }, ReplaySource::Files(logs)) => logs.push(path),
            (JailSetting::AddJournalMatch(words), ReplaySource::Journal(_, matches)) => {
                matches.add(&words)?;
            }
            (JailSetting::AddAction { name, python: None }, _) => {
                self.actions.push(ActionPreview::new(&name, names.clone()));
            }
            (JailSetting::Action { name, properties }, _) => {
                let action = self.actions.iter_mut().find(|action| action.name == name);
                if let Some(action) = action {
                    for (property, value) in &properties {
                        action.set(property, value)?;
                    }
                }
            }
            (setting, _) => self.jail.apply(&setting)?,
        }
        Ok(())
    }

    /// The lines of `logpath` that lead to no file now: all of them where nothing else is read, else
    /// those that name a certain file.
    fn missing(&self, patterns: &[String]) -> Vec<LeftOut> {
        let ReplaySource::Files(logs) = &self.source else {
            return Vec::new();
        };
        let path = |line: &'_ String| {
            line.rsplit_once(' ')
                .map_or(line.clone(), |(path, _)| path.to_owned())
        };
        let lines = patterns.iter().map(path);
        let missing = lines.filter(|path| logs.is_empty() || !glob::has_wildcard(path));
        let mut left_out: Vec<_> = missing
            .map(|path| LeftOut {
                jail: self.name.clone(),
                what: Some(path),
                why: "there is no such log".to_owned(),
            })
            .collect();
        if logs.is_empty() && left_out.is_empty() {
            left_out.push(LeftOut {
                jail: self.name.clone(),
                what: None,
                why: "it has no log to read".to_owned(),
            });
        }
        left_out
    }
}

/// Hands in what only the outside knows: the contents of `file:` lists in `ignoreip`.
fn know_surroundings(jail: &mut Replayed, left_out: &mut Vec<LeftOut>) {
    let core = jail.jail.core_mut();
    for path in core.ignored_files() {
        match std::fs::read_to_string(&path) {
            Ok(text) => core.know_file(&path, &text),
            Err(error) => left_out.push(LeftOut {
                jail: jail.name.clone(),
                what: Some(path),
                why: error.to_string(),
            }),
        }
    }
}
