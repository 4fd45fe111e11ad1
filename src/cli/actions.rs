//! `ferroban actions [-c DIR] [JAIL …]`: for every command of a jail's actions, which way it goes
//! (netlink, a program, a mail, a shell) and why. Nothing is run and no server is asked.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction};

use super::{directory, ended, refused, say};
use crate::action::JailFigures;
use crate::action::dry::DryAction;
use crate::action::mail::python::SmtpAction;
use crate::action::python;
use crate::action::tags::HostNames;
use crate::action::way::Way;
use crate::address::Address;
use crate::config::shipped::Shipped;
use crate::config::{ReadOptions, stream};
use crate::control::{Command, JailCommand, JailSetting};
use crate::ticket::{BanTime, Ticket};

/// Commands about a ticket, and those about a family.
const OF_TICKETS: [&str; 4] = ["actionban", "actionunban", "actionreban", "actionprolong"];
const OF_FAMILIES: [&str; 6] = [
    "actionstart",
    "actionstop",
    "actionflush",
    "actioncheck",
    "actionrepair",
    "actionreload",
];

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
    ended(
        "actions",
        run(directory, &jails, matches.get_flag("commands")),
    )
}

fn command() -> clap::Command {
    clap::Command::new("ferroban actions")
        .about("Tells which way each command of a jail's actions goes, and why")
        .arg(directory::option())
        .arg(
            Arg::new("commands")
                .long("commands")
                .action(ArgAction::SetTrue)
                .help("show the commands too, for an address as an example"),
        )
        .arg(
            Arg::new("jail")
                .value_name("JAIL")
                .action(ArgAction::Append)
                .help("these jails only; they have to be enabled"),
        )
}

fn run(directory: &str, wanted: &[String], commands: bool) -> anyhow::Result<()> {
    let jails = read(directory)?;
    if jails.is_empty() {
        bail!("no jail is enabled in {directory}");
    }
    for name in wanted {
        if !jails.iter().any(|(jail, _)| jail == name) {
            bail!("there is no enabled jail '{name}' in {directory}");
        }
    }
    for (jail, mut actions) in jails {
        if !wanted.is_empty() && !wanted.contains(&jail) {
            continue;
        }
        for action in &mut actions {
            describe(&jail, action, commands)?;
        }
    }
    Ok(())
}

/// Jails with their actions, from the same commands the server would get.
fn read(directory: &str) -> anyhow::Result<Vec<(String, Vec<DryAction>)>> {
    let options = ReadOptions {
        allow_no_files: true,
        ..ReadOptions::default()
    };
    let stream = stream::all(&Shipped, directory, &options)
        .with_context(|| format!("cannot read {directory}"))?;
    for (jail, reason) in &stream.skipped {
        eprintln!("ferroban actions: jail '{jail}' left out: {reason}");
    }
    let names = HostNames::default();
    let mut jails: Vec<(String, Vec<DryAction>)> = Vec::new();
    for words in &stream.commands {
        match Command::parse(words).with_context(|| format!("in command {words:?}"))? {
            Command::Add { jail, .. } => jails.push((jail, Vec::new())),
            Command::Jail {
                name,
                command: JailCommand::Set(setting),
            } => {
                if let Some((_, actions)) = jails.iter_mut().find(|(jail, _)| *jail == name) {
                    set(&name, actions, setting, &names)?;
                }
            }
            _ => {}
        }
    }
    Ok(jails)
}

fn set(
    jail: &str,
    actions: &mut Vec<DryAction>,
    setting: JailSetting,
    names: &HostNames,
) -> anyhow::Result<()> {
    match setting {
        JailSetting::AddAction { name, python: None } => {
            actions.push(DryAction::new(&name, names.clone()));
        }
        JailSetting::AddAction {
            name,
            python: Some((path, _)),
        } => say(&format!("{jail}: {name}\n  {}", way_of_python(&path))),
        JailSetting::Action { name, properties } => {
            if let Some(action) = actions.iter_mut().find(|action| action.name == name) {
                for (property, value) in &properties {
                    action.set(property, value)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
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

/// Tells of one action; families whose commands go the same way are told of once.
fn describe(jail: &str, action: &mut DryAction, commands: bool) -> anyhow::Result<()> {
    let (families, on_demand) = action.families();
    let when = match on_demand {
        true => "started before the first ban of a family",
        false => "started with the jail",
    };
    say(&format!("{jail}: {} ({when})", action.name));
    let figures = JailFigures {
        bantime: 600.0,
        ..JailFigures::default()
    };
    for operation in OF_FAMILIES.into_iter().chain(OF_TICKETS) {
        let mut told: Vec<String> = Vec::new();
        for family in &families {
            let script = match OF_TICKETS.contains(&operation) {
                true => action.script(operation, jail, &example(family), &figures)?,
                false => action.operation_script(operation, family, jail, 0.0, &figures)?,
            };
            let way = Way::of(&script);
            // a command that nobody has set is its own tag
            if way == Way::Nothing || script.text == format!("<{operation}>") {
                continue;
            }
            let mut line = way.to_string();
            if commands {
                for text in script.spelled_out().lines() {
                    line.push_str("\n      ");
                    line.push_str(text);
                }
            }
            if !told.contains(&line) {
                say(&format!("  {operation:<13} {line}"));
                told.push(line);
            }
        }
    }
    Ok(())
}

/// A ban of an address of this family.
fn example(family: &str) -> Ticket {
    let address = match family {
        "inet6" => "2001:db8::1",
        _ => "192.0.2.1",
    };
    let mut ticket = Ticket::new(Address::parse(address), 0.0);
    ticket.bantime = Some(BanTime::Seconds(600.0));
    ticket
}
