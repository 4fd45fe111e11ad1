//! `ferroban actions [-c DIR] [--json] [JAIL …]`: for every command of a jail's actions, which way it goes
//! (netlink, a program, a mail, a shell) and why; with `--sandbox` the drop-in of systemd that leaves the
//! server what they need. Nothing is run and no server is asked.

mod needs;
mod sandbox;
mod unit;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction};
use serde_json::json;

use self::needs::Needs;
use self::unit::UnitSettings;
use super::replay::jails;
use super::{directory, ended, help, refused, say};
use crate::action::preview::{ActionPreview, Example};
use crate::action::python;
use crate::action::smtp::SmtpAction;
use crate::config::shipped::Shipped;
use crate::config::{self, ReadOptions, stream};
use crate::control::{Command, JailCommand, JailSetting, Value};
use crate::sys::hosts::HostNames;

/// An action of a jail.
pub(super) enum ListedAction {
    /// Its commands.
    Commands(Box<ActionPreview>),
    /// Its name and file.
    Python { name: String, path: String },
}

impl ListedAction {
    pub(super) fn name(&self) -> &str {
        match self {
            ListedAction::Commands(action) => &action.name,
            ListedAction::Python { name, .. } => name,
        }
    }
}

/// A jail as the commands for the server say it.
#[derive(Default)]
pub(super) struct ListedJail {
    pub(super) name: String,
    backend: String,
    pub(super) actions: Vec<ListedAction>,
    /// What is set besides actions.
    settings: Vec<JailSetting>,
    /// Lines of `logpath` that may lead to more files than are there now.
    patterns: Vec<String>,
}

impl ListedJail {
    fn set(&mut self, setting: JailSetting, names: &HostNames) -> anyhow::Result<()> {
        match setting {
            JailSetting::AddAction { name, python } => self.actions.push(match python {
                None => ListedAction::Commands(Box::new(ActionPreview::new(&name, names.clone()))),
                Some((path, _)) => ListedAction::Python { name, path },
            }),
            JailSetting::Action { name, properties } => {
                let mut actions = self.actions.iter_mut();
                if let Some(ListedAction::Commands(action)) =
                    actions.find(|action| action.name() == name)
                {
                    for (property, value) in &properties {
                        action.set(property, value)?;
                    }
                }
            }
            setting => self.settings.push(setting),
        }
        Ok(())
    }
}

/// What the server would be told.
#[derive(Default)]
pub(super) struct Configuration {
    /// Options of the server itself.
    server: Vec<(&'static str, String)>,
    pub(super) jails: Vec<ListedJail>,
}

impl Configuration {
    fn jail(&mut self, name: &str) -> Option<&mut ListedJail> {
        self.jails.iter_mut().find(|jail| jail.name == name)
    }

    fn take(&mut self, command: Command, names: &HostNames) -> anyhow::Result<()> {
        match command {
            Command::Set { option, value } => self.server.push((option, value.str().into_owned())),
            Command::Add { jail, backend } => self.jails.push(ListedJail {
                name: jail,
                backend,
                ..ListedJail::default()
            }),
            Command::StartJail { name, patterns } => {
                if let Some(jail) = self.jail(&name) {
                    jail.patterns = patterns;
                }
            }
            Command::Jail {
                name,
                command: JailCommand::Set(setting),
            } => {
                if let Some(jail) = self.jail(&name) {
                    jail.set(setting, names)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What is told of an action.
struct ActionListing {
    jail: String,
    action: String,
    /// Started before the first ban of a family, not with the jail; `None` for Python.
    on_demand: Option<bool>,
    /// How a Python action is carried out.
    python: Option<String>,
    commands: Vec<ListedStep>,
}

/// A command of an action, for one family or several alike.
struct ListedStep {
    operation: &'static str,
    /// None: the command does not depend on the family.
    families: Vec<String>,
    way: String,
    script: String,
}

/// Runs the program; the first word is the name it was called under.
pub fn main(words: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    let jails: Vec<String> = matches
        .get_many("jail")
        .map(|names| names.cloned().collect())
        .unwrap_or_default();
    let directory = directory::chosen(&matches);
    if matches.get_flag("sandbox") {
        let unit = matches.get_one::<String>("unit");
        let text = unit
            .and_then(|name| UnitSettings::named(name))
            .map_or_else(|| bail!("no such unit"), |unit| drop_in(&unit, directory));
        return ended("actions", text.map(|text| say(&text)));
    }
    let told = run(directory, &jails).map(|told| match matches.get_flag("json") {
        true => say(&json_of(&told)),
        false => {
            for action in &told {
                say(&text(action, matches.get_flag("commands")));
            }
        }
    });
    ended("actions", told)
}

/// The options, for clap.
pub(super) fn command() -> clap::Command {
    let command = clap::Command::new("ferroban actions")
        .about("Shows how each command of a jail's actions is run, and why.")
        .arg(directory::option())
        .arg(
            Arg::new("commands")
                .long("commands")
                .action(ArgAction::SetTrue)
                .help("show the commands too, for an address as an example"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("print one JSON array of actions, with their commands"),
        )
        .arg(
            Arg::new("sandbox")
                .long("sandbox")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["commands", "json", "jail"])
                .help("print a systemd drop-in with the least privileges that the enabled jails and their actions need"),
        )
        .arg(
            Arg::new("unit")
                .long("unit")
                .value_name("UNIT")
                .requires("sandbox")
                .value_parser(unit::NAMES)
                .default_value(unit::NAMES[0])
                .help("for --sandbox: the unit that the drop-in is for, ferroban or fail2ban"),
        )
        .arg(
            Arg::new("jail")
                .value_name("JAIL")
                .action(ArgAction::Append)
                .help("these jails, enabled or not [default: all enabled jails]"),
        );
    help::formed(
        command,
        &[
            ("the actions of all enabled jails", "ferroban actions"),
            (
                "those of one jail, with their commands",
                "ferroban actions --commands sshd",
            ),
            (
                "a drop-in for the unit, with the least privileges that they need",
                "ferroban actions --sandbox",
            ),
        ],
    )
}

fn run(directory: &str, wanted: &[String]) -> anyhow::Result<Vec<ActionListing>> {
    let Configuration { jails, .. } = read("actions", directory, wanted)?;
    if jails.is_empty() && wanted.is_empty() {
        bail!("no jail is enabled in {directory}");
    }
    let mut told = Vec::new();
    for jail in jails {
        if wanted.is_empty() || wanted.contains(&jail.name) {
            for action in jail.actions {
                told.push(describe(&jail.name, action)?);
            }
        }
    }
    Ok(told)
}

/// What `--sandbox` prints.
fn drop_in(unit: &UnitSettings, directory: &str) -> anyhow::Result<String> {
    let mut configuration = read("actions", directory, &[])?;
    let unreadable = || format!("cannot read {directory}");
    let early = config::read_early(directory.as_ref()).with_context(unreadable)?;
    let level = config::read_sandbox(directory.as_ref()).with_context(unreadable)?;
    let needs = Needs::of(&mut configuration, &early, level)?;
    Ok(sandbox::drop_in(unit, &needs, directory))
}

/// Jails with their actions, from the same commands the server would get. Those of `wanted` are read
/// even when they are not enabled. `program` is who says what is left out.
pub(super) fn read(
    program: &str,
    directory: &str,
    wanted: &[String],
) -> anyhow::Result<Configuration> {
    let options = ReadOptions {
        allow_no_files: true,
        patterns: true,
        also: wanted.to_vec(),
        ..ReadOptions::default()
    };
    let stream = stream::all(&Shipped, directory, &options)
        .with_context(|| format!("cannot read {directory}"))?;
    for (jail, reason) in &stream.skipped {
        eprintln!("ferroban {program}: jail '{jail}' left out: {reason}");
    }
    let mut configuration = of_commands(&stream.commands)?;
    for name in wanted {
        let skipped = stream.skipped.iter().any(|(jail, _)| jail == name);
        if !skipped && configuration.jail(name).is_none() {
            jails::must_have(directory, name)?;
            bail!("jail '{name}' cannot be used");
        }
    }
    Ok(configuration)
}

/// What these commands make.
///
/// # Errors
/// Something that is no command.
pub(super) fn of_commands(commands: &[Vec<Value>]) -> anyhow::Result<Configuration> {
    let names = HostNames::default();
    let mut configuration = Configuration::default();
    for words in commands {
        let command = Command::parse(words).with_context(|| format!("in command {words:?}"))?;
        configuration.take(command, &names)?;
    }
    Ok(configuration)
}

/// How a Python action is carried out.
fn way_of_python(path: &str) -> String {
    if SmtpAction::is_meant(path) {
        return "mail, built and sent without Python".to_owned();
    }
    match python::interpreter() {
        Some(interpreter) => format!("a process of {interpreter} of its own: {path}"),
        None => format!("left out, python3 is not installed: {path}"),
    }
}

/// What there is to tell of one action; families whose commands go the same way are told of once.
fn describe(jail: &str, action: ListedAction) -> anyhow::Result<ActionListing> {
    let mut told = ActionListing {
        jail: jail.to_owned(),
        action: action.name().to_owned(),
        on_demand: None,
        python: None,
        commands: Vec::new(),
    };
    let mut action = match action {
        ListedAction::Commands(action) => action,
        ListedAction::Python { path, .. } => {
            told.python = Some(way_of_python(&path));
            return Ok(told);
        }
    };
    told.on_demand = Some(action.families().1);
    for example in action.examples(jail)? {
        let Example {
            operation,
            family,
            plan,
        } = example;
        let step = ListedStep {
            operation,
            families: Vec::from_iter((!family.is_empty()).then(|| family.clone())),
            way: plan.work.to_string(),
            script: plan.script.spelled_out(),
        };
        let alike = |other: &&mut ListedStep| {
            (other.operation, &other.way, &other.script)
                == (step.operation, &step.way, &step.script)
        };
        match told.commands.iter_mut().find(alike) {
            Some(other) => other.families.push(family),
            None => told.commands.push(step),
        }
    }
    Ok(told)
}

/// An action for reading.
fn text(told: &ActionListing, commands: bool) -> String {
    let when = match told.on_demand {
        Some(true) => " (started before the first ban of a family)",
        Some(false) => " (started with the jail)",
        None => "",
    };
    let mut lines = vec![format!("{}: {}{when}", told.jail, told.action)];
    lines.extend(told.python.iter().map(|way| format!("  {way}")));
    for step in &told.commands {
        let line = format!("  {:<13} {}", step.operation, step.way);
        // without the commands families differ by their ways alone
        if commands || !lines.contains(&line) {
            lines.push(line);
        }
        if commands {
            lines.extend(step.script.lines().map(|line| format!("      {line}")));
        }
    }
    lines.join("\n")
}

fn json_of(told: &[ActionListing]) -> String {
    let step = |step: &ListedStep| {
        json!({
            "command": step.operation,
            "families": step.families,
            "way": step.way,
            "script": step.script,
        })
    };
    let action = |told: &ActionListing| {
        json!({
            "jail": told.jail,
            "action": told.action,
            "started_on_demand": told.on_demand,
            "python": told.python,
            "commands": told.commands.iter().map(step).collect::<Vec<_>>(),
        })
    };
    told.iter()
        .map(action)
        .collect::<serde_json::Value>()
        .to_string()
}
