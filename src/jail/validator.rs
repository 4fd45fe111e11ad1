//! Validates the commands of a configuration on a jail that does not run.
//!
//! In: commands as the server would get them. Out: those it would refuse, each with its reason. The daemon
//! uses the same core, so both refuse the same. No file is opened, nothing runs, nothing is logged.
//!
//! Equal regexes are compiled once while they are in use, so [`Validator`] keeps the filters it has seen:
//! the next jail may have the same ones, and so has a server that starts right after.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::HashSet;

use super::Backend;
use super::core::JailCore;
use super::open_ids::open_ids;
use super::options;
use crate::action::confined;
use crate::action::plan::{Plan, Work};
use crate::action::preview::ActionPreview;
use crate::action::properties::Properties;
use crate::exec::script::Script;
use crate::sys::hosts::HostNames;

use crate::config::{Check, Fault};
use crate::control::{Command, CommandError, JailCommand, JailSetting, Value};
use crate::datetime::{Templates, duration};
use crate::evidence::memory;
use crate::filter::Filter;
use crate::log;
use crate::source::journal::JournalMatches;

/// What the server would refuse of these commands: those of one jail, or settings of its own.
pub fn faults(commands: &[Vec<Value>]) -> Vec<Fault> {
    Validator::default().faults(commands)
}

/// One trial after the other.
#[derive(Debug, Default)]
pub struct Validator {
    tried: RefCell<Vec<Filter>>,
    templates: Templates,
}

impl Check for Validator {
    fn faults(&self, commands: &[Vec<Value>]) -> Vec<Fault> {
        log::quietly(|| {
            let mut trial = ValidationRun {
                templates: self.templates.clone(),
                ..ValidationRun::default()
            };
            for (index, words) in commands.iter().enumerate() {
                trial.command(index, words);
            }
            let filter = trial.core.map(|core| core.filter);
            self.tried.borrow_mut().extend(filter);
            trial.faults
        })
    }

    fn warnings(&self, commands: &[Vec<Value>]) -> Vec<Fault> {
        let mut faults = open_ids(commands);
        faults.extend(unsendable(commands));
        faults
    }

    fn confined(&self, commands: &[Vec<Value>]) -> Vec<Fault> {
        confined(commands)
    }

    fn unserved(&self, commands: &[Vec<Value>]) -> Vec<(Fault, Vec<Value>)> {
        let needs = |words: &[Value]| options::unserved(words.get(2)?.as_str()?);
        if !commands.iter().any(|words| needs(words).is_some()) {
            return Vec::new();
        }
        let mut actions = actions(commands);
        let mut found = Vec::new();
        for (command, words) in commands.iter().enumerate() {
            if let Some(unserved) = needs(words)
                && let Some(value) = words.get(3)
                && let Some((text, instead)) = unserved(value, &mut actions)
            {
                let item = 0;
                let mut words = words.get(..3).unwrap_or_default().to_vec();
                words.push(instead);
                found.push((
                    Fault {
                        command,
                        item,
                        text,
                    },
                    words,
                ));
            }
        }
        found
    }
}

/// Commands of a jail that set an option which its actions cannot serve, each with the reason and with
/// the command that takes its place.
pub fn unserved(commands: &[Vec<Value>]) -> Vec<(Fault, Vec<Value>)> {
    Validator::default().unserved(commands)
}

/// What of a jail's actions, and of its `ignorecommand`, does not work with `sandbox = strict`: of each
/// the first command with its reason.
pub fn confined(commands: &[Vec<Value>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (command, words) in commands.iter().enumerate() {
        let Ok(Command::Jail {
            name: jail,
            command: JailCommand::Set(setting),
        }) = Command::parse(words)
        else {
            continue;
        };
        let found = match &setting {
            JailSetting::Set { option, value } if option == "ignorecommand" => {
                let plan = Plan::of(Script::plain(value.as_str().unwrap_or_default()));
                confined::hindrance(&plan).map(|why| (0, format!("ignorecommand {why}")))
            }
            JailSetting::Action { name, properties } => hindered(&jail, name, properties),
            _ => None,
        };
        if let Some((item, text)) = found {
            faults.push(Fault {
                command,
                item,
                text: format!("jail {jail}, {text}"),
            });
        }
    }
    faults
}

/// Which of an action's properties is a command that does not work confined, and why.
fn hindered(jail: &str, name: &str, properties: &[(String, Value)]) -> Option<(usize, String)> {
    let mut action = dry(name, properties);
    // what is wrong with its properties is told when it is used
    let examples = action.examples(jail).ok()?.into_iter();
    let mut hindered = examples.filter_map(|example| {
        let why = confined::hindrance(&example.plan)?;
        Some((example.operation, why))
    });
    let (operation, why) = hindered.next()?;
    let is_it = |(property, _): &(String, Value)| property.split('?').next() == Some(operation);
    let item = properties.iter().position(is_it).unwrap_or_default();
    Some((item, format!("action {name}: {operation} {why}")))
}

/// The messages of a jail's actions that cannot be sent, for a setting that cannot be understood: of each
/// action the first command that has one.
pub fn unsendable(commands: &[Vec<Value>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (command, words) in commands.iter().enumerate() {
        let Ok(Command::Jail {
            name: jail,
            command: JailCommand::Set(JailSetting::Action { name, properties }),
        }) = Command::parse(words)
        else {
            continue;
        };
        let examples = dry(&name, &properties).examples(&jail);
        let mut refused =
            examples
                .into_iter()
                .flatten()
                .filter_map(|example| match example.plan.work {
                    Work::Notice(notice) => notice.err(),
                    _ => None,
                });
        if let Some(error) = refused.next() {
            let is_it = |(name, _): &(String, Value)| name == error.option();
            faults.push(Fault {
                command,
                item: properties.iter().position(is_it).unwrap_or_default(),
                text: format!("action {name}: a message cannot be sent: {error}"),
            });
        }
    }
    faults
}

/// An action of these properties.
fn dry(name: &str, properties: &[(String, Value)]) -> ActionPreview {
    let mut action = ActionPreview::new(name, HostNames::default());
    for (name, value) in properties {
        // what is refused is told by the validator
        let _ = action.set(name, value);
    }
    action
}

/// The actions of a jail as they would run, in their order, those of commands only.
fn actions(commands: &[Vec<Value>]) -> Vec<ActionPreview> {
    let mut actions: Vec<ActionPreview> = Vec::new();
    for words in commands {
        let Ok(Command::Jail {
            command: JailCommand::Set(JailSetting::Action { name, properties }),
            ..
        }) = Command::parse(words)
        else {
            continue;
        };
        actions.push(dry(&name, &properties));
    }
    actions
}

#[derive(Default)]
struct ValidationRun {
    core: Option<JailCore>,
    templates: Templates,
    actions: HashSet<String>,
    /// Without a usable prefregex nobody can tell whether a failregex lacks an id.
    without_prefregex: bool,
    faults: Vec<Fault>,
}

impl ValidationRun {
    fn command(&mut self, index: usize, words: &[Value]) {
        match Command::parse(words) {
            Err(error) => self.refuse(index, 0, &error),
            Ok(Command::Add { jail, backend }) => {
                // A system without a journal is no mistake of the configuration.
                if let Err(error) = Backend::read(&backend, &jail)
                    && error.class.1 != "RuntimeError"
                {
                    self.refuse(index, 0, &error);
                }
                let mut core = JailCore::new(&jail, true);
                core.filter.share_templates(&self.templates);
                self.core = Some(core);
            }
            Ok(Command::Set { option, value }) => {
                if let Err(error) = of_server(option, &value) {
                    self.refuse(index, 0, &error);
                }
            }
            Ok(Command::Jail {
                command: JailCommand::Set(setting),
                ..
            }) => self.setting(index, setting),
            Ok(_) => {}
        }
    }

    fn setting(&mut self, index: usize, setting: JailSetting) {
        match setting {
            JailSetting::AddFailRegex(regexes) => {
                for (item, regex) in regexes.into_iter().enumerate() {
                    self.apply(index, item, &JailSetting::AddFailRegex(vec![regex]));
                }
            }
            JailSetting::AddIgnoreRegex(regexes) => {
                for (item, regex) in regexes.into_iter().enumerate() {
                    self.apply(index, item, &JailSetting::AddIgnoreRegex(vec![regex]));
                }
            }
            JailSetting::AddAction { name, .. } => {
                if !self.actions.insert(name.clone()) {
                    let text = format!("Action {name} already exists");
                    self.refuse(index, 0, &CommandError::builtin("ValueError", text));
                }
            }
            JailSetting::Action { properties, .. } => {
                for (item, (name, value)) in properties.iter().enumerate() {
                    if let Err(error) = Properties::kept(name, value) {
                        self.refuse(index, item, &error);
                    }
                }
            }
            JailSetting::AddJournalMatch(words) => {
                if let Err(error) = JournalMatches::default().add(&words) {
                    let error = CommandError::builtin("ValueError", error.to_string());
                    self.refuse(index, 0, &error);
                }
            }
            setting => self.apply(index, 0, &setting),
        }
    }

    fn apply(&mut self, index: usize, item: usize, setting: &JailSetting) {
        let done = self.core.as_mut().and_then(|core| core.carry_out(setting));
        let Some(Err(error)) = done else { return };
        if matches!(setting, JailSetting::Set { option, .. } if option == "prefregex") {
            self.without_prefregex = true;
        } else if self.without_prefregex && error.to_string().starts_with("No failure-id group") {
            return;
        }
        self.refuse(index, item, &error);
    }

    fn refuse(&mut self, command: usize, item: usize, error: &CommandError) {
        self.faults.push(Fault {
            command,
            item,
            text: error.to_string(),
        });
    }
}

/// What can be said of an option of the server without a server.
fn of_server(option: &str, value: &Value) -> Result<(), CommandError> {
    match (option, value) {
        ("dbmaxmatches", count) => Ok(count.to_int().map(drop)?),
        ("memory", size) => memory::size(size).map(drop),
        ("dbpurgeage", Value::Str(age)) => Ok(duration::parse(age).map(drop)?),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<Value> {
        words.iter().map(|word| Value::from(*word)).collect()
    }

    #[test]
    fn what_a_jail_would_refuse() {
        let list = |words: &[&str]| Value::List(words.iter().map(|w| Value::from(*w)).collect());
        let commands = [
            words(&["add", "j", "auto"]),
            words(&["set", "j", "usedns", "nonsense"]),
            vec![
                "multi-set".into(),
                "j".into(),
                "addfailregex".into(),
                list(&["^a <HOST>", "^b (<HOST>", "^c"]),
            ],
            vec!["set".into(), "j".into(), "maxretry".into(), Value::None],
            words(&["set", "j", "bantime", "1q"]),
            words(&["set", "j", "bantime.formula", "__import__('os')"]),
            words(&["set", "j", "addlogpath", "/x", "middle"]),
            words(&["set", "j", "addaction", "a"]),
            vec![
                "multi-set".into(),
                "j".into(),
                "action".into(),
                "a".into(),
                Value::List(vec![list(&["x", "1"]), list(&["timeout", "soon"])]),
            ],
            words(&["set", "j", "addaction", "a"]),
            words(&["start", "j"]),
        ];
        let faults: Vec<(usize, usize)> = faults(&commands)
            .iter()
            .map(|fault| (fault.command, fault.item))
            .collect();
        let expected = [
            (2, 1),
            (2, 2),
            (3, 0),
            (4, 0),
            (5, 0),
            (6, 0),
            (8, 1),
            (9, 0),
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn journals_are_no_mistake_unknown_backends_are() {
        assert_eq!(faults(&[words(&["add", "j", "systemd"])]), []);
        let unknown = faults(&[words(&["add", "j", "foo"])]);
        assert!(
            unknown[0].text.starts_with("Unknown backend foo."),
            "{unknown:?}"
        );
    }

    #[test]
    fn settings_of_the_server() {
        let commands = [
            words(&["set", "dbpurgeage", "1d"]),
            words(&["set", "dbpurgeage", "1x"]),
            words(&["set", "dbmaxmatches", "many"]),
            words(&["set", "memory", "64m"]),
            words(&["set", "memory", "64 lines"]),
        ];
        let refused: Vec<usize> = faults(&commands).iter().map(|f| f.command).collect();
        assert_eq!(refused, [1, 2, 4]);
    }
}
