//! The jails of a replay, made from the same commands the daemon would get.

use std::collections::HashMap;
use std::io;

use anyhow::{Context as _, bail};

use super::arguments::Arguments;
use crate::action::dry::DryAction;
use crate::action::tags::HostNames;
use crate::address::Family;
use crate::config::files::{Files, split};
use crate::config::shipped::Shipped;
use crate::config::{ReadOptions, stream};
use crate::control::{Command, JailCommand, JailSetting, Value};
use crate::jail::replay::ReplayJail;

/// A jail and what surrounds it.
pub struct Replayed {
    /// Its name.
    pub name: String,
    /// Its place in the list.
    pub index: usize,
    /// The jail.
    pub jail: ReplayJail,
    /// The logs it reads.
    pub logs: Vec<String>,
    /// Its actions in order.
    pub actions: Vec<DryAction>,
    /// Families whose `actionstart` has been told.
    pub started: Vec<Option<Family>>,
}

/// Reads the configuration; warnings go to standard error.
pub fn read(arguments: &Arguments) -> anyhow::Result<Vec<Replayed>> {
    let options = ReadOptions {
        // logs come from the command line, or a missing one is told below
        allow_no_files: true,
        ..ReadOptions::default()
    };
    let files = Enabling {
        inner: Shipped,
        path: format!("{}/jail.d/zzzz-replay.local", arguments.config),
        text: arguments
            .jails
            .iter()
            .map(|jail| format!("[{jail}]\nenabled = true\n"))
            .collect(),
    };
    let commands = stream::all(&files, &arguments.config, &options)
        .with_context(|| format!("cannot read {}", arguments.config))?;
    for (jail, reason) in &commands.skipped {
        if arguments.jails.is_empty() || arguments.jails.contains(jail) {
            eprintln!("ferroban replay: jail '{jail}' left out: {reason}");
        }
    }
    // only commands show the machine's names, and asking for them may take a while
    let names = match arguments.commands {
        true => HostNames::of_this_machine(),
        false => HostNames::default(),
    };
    let mut jails = from_commands(&commands.commands, &names)?;
    if !arguments.jails.is_empty() {
        for wanted in &arguments.jails {
            if !jails.iter().any(|jail| jail.name == *wanted) {
                bail!("there is no usable jail '{wanted}' in {}", arguments.config);
            }
        }
        jails.retain(|jail| arguments.jails.contains(&jail.name));
    }
    for (index, jail) in jails.iter_mut().enumerate() {
        jail.index = index;
        if !arguments.logs.is_empty() {
            jail.logs.clone_from(&arguments.logs);
        } else if jail.logs.is_empty() {
            eprintln!("ferroban replay: jail '{}' has no log to read", jail.name);
        }
        know_surroundings(jail);
    }
    Ok(jails)
}

fn from_commands(commands: &[Vec<Value>], names: &HostNames) -> anyhow::Result<Vec<Replayed>> {
    let mut jails: Vec<Replayed> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for words in commands {
        match Command::parse(words).with_context(|| format!("in command {words:?}"))? {
            Command::Add { jail, .. } => {
                let index = jails.len();
                places.insert(jail.clone(), index);
                jails.push(Replayed {
                    jail: ReplayJail::new(&jail),
                    name: jail,
                    index,
                    logs: Vec::new(),
                    actions: Vec::new(),
                    started: Vec::new(),
                });
            }
            Command::Jail {
                name,
                command: JailCommand::Set(setting),
            } => {
                if let Some(jail) = places.get(&name).and_then(|&place| jails.get_mut(place)) {
                    set(jail, setting, names).with_context(|| format!("jail '{name}'"))?;
                }
            }
            _ => {}
        }
    }
    Ok(jails)
}

fn set(jail: &mut Replayed, setting: JailSetting, names: &HostNames) -> anyhow::Result<()> {
    match setting {
        JailSetting::AddLogPath { path, .. } => jail.logs.push(path),
        JailSetting::AddAction { name, python: None } => {
            jail.actions.push(DryAction::new(&name, names.clone()));
        }
        JailSetting::Action { name, properties } => {
            let action = jail.actions.iter_mut().find(|action| action.name == name);
            if let Some(action) = action {
                for (property, value) in &properties {
                    action.set(property, value)?;
                }
            }
        }
        setting => jail.jail.apply(&setting)?,
    }
    Ok(())
}

/// Hands in what only the outside knows: the contents of `file:` lists in `ignoreip`.
fn know_surroundings(jail: &mut Replayed) {
    let core = jail.jail.core_mut();
    for path in core.ignored_files() {
        match std::fs::read_to_string(&path) {
            Ok(text) => core.know_file(&path, &text),
            Err(error) => eprintln!("ferroban replay: {path}: {error}"),
        }
    }
}

/// A file system with one more file, that switches jails on.
struct Enabling<F> {
    inner: F,
    path: String,
    text: String,
}

impl<F: Files> Files for Enabling<F> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        if path == self.path {
            return Ok(self.text.clone().into_bytes());
        }
        self.inner.read(path)
    }

    fn exists(&self, path: &str) -> bool {
        path == self.path || self.inner.exists(path)
    }

    fn is_present(&self, path: &str) -> bool {
        path == self.path || self.inner.is_present(path)
    }

    fn is_file(&self, path: &str) -> bool {
        path == self.path || self.inner.is_file(path)
    }

    fn is_dir(&self, path: &str) -> bool {
        self.inner.is_dir(path)
            || self
                .path
                .rsplit_once('/')
                .is_some_and(|(dir, _)| dir == path)
    }

    fn names(&self, directory: &str) -> (Vec<String>, Vec<String>) {
        let (mut names, odd) = self.inner.names(directory);
        // the file, and its directory, which need not be there otherwise
        let (dir, file) = split(&self.path);
        for (place, name) in [(dir, file), split(dir)] {
            if place == directory.trim_end_matches('/') && !names.iter().any(|one| one == name) {
                names.push(name.to_owned());
            }
        }
        (names, odd)
    }
}
