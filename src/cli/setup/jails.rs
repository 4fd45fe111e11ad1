//! The jails of a configuration with what a proposal asks about them.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;

use super::services::unit_name;
use crate::cli::machine::HostMachine;
use crate::config::layers::Layers;
use crate::config::settings::{MergedSettings, Vars};
use crate::config::{Cause, Check, ReadOptions, jail, options, shipped, stream};
use crate::control::Value;
use crate::jail::validator::Validator;
use crate::python::text::is_on;

/// A jail, enabled or not.
#[derive(Debug, Default)]
pub struct SetupJail {
    /// Its name.
    pub name: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Where the administrator has switched it off.
    pub switched_off: Option<String>,
    /// The name of its filter.
    pub filter: String,
    /// The filter's `mode`, if the jail names one.
    pub mode: String,
    /// `port` and `protocol`
    pub ports: String,
    pub protocol: String,
    /// `maxretry`, if it is a number.
    pub maxretry: i64,
    /// The commands that make it.
    pub commands: Vec<Vec<Value>>,
    /// Lines of `logpath` that lead to no file.
    pub patterns: Vec<String>,
    /// Why it cannot be made.
    pub fault: Option<String>,
}

/// Reads all jails of the configuration in a directory of a machine, enabled or not.
///
/// # Errors
/// Nothing of it can be used.
pub fn read(machine: &HostMachine, base: &str) -> anyhow::Result<Vec<SetupJail>> {
    Ok(read_some(machine, base, |_| true, None)?.0)
}

/// Reads the enabled jails, and whether a server would start with them; those that it would leave out
/// have a fault.
///
/// # Errors
/// As [`read`].
pub fn enabled(machine: &HostMachine, base: &str) -> anyhow::Result<(Vec<SetupJail>, bool)> {
    let trials = Validator::default();
    read_some(machine, base, |jail| jail.enabled, Some(&trials))
}

fn read_some(
    machine: &HostMachine,
    base: &str,
    wanted: impl Fn(&SetupJail) -> bool,
    check: Option<&dyn Check>,
) -> anyhow::Result<(Vec<SetupJail>, bool)> {
    let cannot = || format!("cannot read {base}");
    let settings = settings(machine, base).with_context(cannot)?;
    let names = settings.names().filter(|name| ***name != *"INCLUDES");
    let jails = names.map(|name| described(&settings, name));
    let mut jails: Vec<SetupJail> = jails.filter(wanted).collect();
    let options = ReadOptions {
        also: jails.iter().map(|jail| jail.name.clone()).collect(),
        // a missing log is told by who asked
        allow_no_files: true,
        patterns: true,
        check,
        ..ReadOptions::default()
    };
    let stream = stream::all(machine, base, &options).with_context(cannot)?;
    let places: HashMap<String, usize> = jails
        .iter()
        .enumerate()
        .map(|(place, jail)| (jail.name.clone(), place))
        .collect();
    for words in stream.commands {
        let text = |at: usize| words.get(at).and_then(Value::as_str).unwrap_or_default();
        let jail = places.get(text(1)).and_then(|&place| jails.get_mut(place));
        let Some(jail) = jail else { continue };
        if text(0) == "start" {
            let patterns = words.iter().skip(2).filter_map(Value::as_str);
            jail.patterns = patterns.map(str::to_owned).collect();
        }
        jail.commands.push(words);
    }
    for (name, reason) in stream.skipped {
        if let Some(jail) = places.get(&name).and_then(|&place| jails.get_mut(place)) {
            jail.fault = Some(reason);
        }
    }
    Ok((jails, stream.accepted))
}

fn settings(machine: &HostMachine, base: &str) -> Result<MergedSettings, Cause> {
    let mut layers = Layers::new(machine, base)?;
    let settings = layers.read_jails()?;
    let settings =
        settings.ok_or_else(|| Cause::Unreadable("Read jails configuration failed.".to_owned()))?;
    let mut settings = (*settings).clone();
    jail::add_defaults(&mut settings, layers.base());
    Ok(settings)
}

fn described(settings: &MergedSettings, name: &str) -> SetupJail {
    // a mistake in an option is told with the commands
    let text = |option: &str| -> Option<Arc<str>> {
        let found = settings.find(name, option, &Vars::default());
        found.ok().flatten().flatten()
    };
    let filter = options::parse(&text("filter").unwrap_or_default());
    let (filter, arguments) = filter
        .map(|filter| (filter.name, filter.arguments))
        .unwrap_or_default();
    let mode = arguments.into_iter().find(|(name, _)| name == "mode");
    let enabled = text("enabled").is_some_and(|text| is_on(&text));
    SetupJail {
        name: name.to_owned(),
        enabled,
        switched_off: written_off(settings, name).filter(|_| !enabled),
        filter,
        mode: mode.map(|(_, mode)| mode).unwrap_or_default(),
        ports: text("port").unwrap_or_default().to_string(),
        protocol: text("protocol").unwrap_or_default().to_string(),
        maxretry: text("maxretry")
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
        ..SetupJail::default()
    }
}

/// Where `enabled` stands in the section of the jail itself. In a `jail.conf` that is no decision of
/// the administrator: old ones have it in every section.
fn written_off(settings: &MergedSettings, name: &str) -> Option<String> {
    let own = settings.section(name)?.get("enabled")?;
    let origin = own.origin.as_ref()?;
    let stock = shipped::below(&origin.file).is_some() || origin.file.ends_with("/jail.conf");
    (!stock).then(|| origin.to_string())
}

impl SetupJail {
    /// The backend it would have.
    pub fn backend(&self) -> &str {
        let add = self.commands.iter().find(|words| said(words, 0) == "add");
        add.map_or("", |words| said(words, 2))
    }

    /// The log files it would read.
    pub fn logs(&self) -> Vec<String> {
        let set = self
            .commands
            .iter()
            .filter(|words| said(words, 2) == "addlogpath");
        set.map(|words| said(words, 3).to_owned()).collect()
    }

    /// The value of an option that has one, as it is sent to the server.
    pub fn value(&self, option: &str) -> Option<String> {
        let mut set = self.commands.iter();
        let words = set.find(|words| said(words, 2) == option)?;
        words.get(3).map(|value| value.str().into_owned())
    }

    /// Whom it never bans.
    pub fn ignored(&self) -> Vec<&str> {
        let set = self.commands.iter();
        let set = set.filter(|words| said(words, 2) == "addignoreip");
        set.flat_map(|words| words.iter().skip(3).filter_map(Value::as_str))
            .collect()
    }

    /// A property of one of its actions.
    pub fn property(&self, action: &str, property: &str) -> Option<Value> {
        let mut set = self.commands.iter();
        let words = set.find(|words| said(words, 2) == "action" && said(words, 3) == action)?;
        let properties = words.get(4)?.as_slice()?;
        let pair = properties.iter().find_map(|pair| {
            let pair = pair.as_slice()?;
            (said(pair, 0) == property).then(|| pair.get(1)).flatten()
        });
        pair.cloned()
    }

    /// What it counts: jails of equal expressions count the same.
    pub fn expressions(&self) -> Vec<&[Value]> {
        let counts = |words: &&Vec<Value>| {
            matches!(
                said(words, 2),
                "prefregex" | "addfailregex" | "addignoreregex" | "jsonmatch"
            )
        };
        let counting = self.commands.iter().filter(counts);
        counting.filter_map(|words| words.get(2..)).collect()
    }

    /// The regexes that find failures.
    pub fn regexes(&self) -> impl Iterator<Item = &str> {
        let finding = |words: &&Vec<Value>| matches!(said(words, 2), "prefregex" | "addfailregex");
        let values = self.commands.iter().filter(finding);
        let values = values.filter_map(|words| words.get(3));
        let texts = values.flat_map(|value| match value {
            Value::List(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        });
        texts.filter_map(Value::as_str)
    }

    /// Units that its journal matches name.
    pub fn units(&self) -> Vec<String> {
        let units = self.matched("_SYSTEMD_UNIT");
        units
            .iter()
            .map(|unit| unit_name(unit).to_owned())
            .collect()
    }

    /// Words that a service of it may be called by, the closest first.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![self.filter.clone()];
        let dashes = self.filter.rmatch_indices('-');
        words.extend(dashes.map(|(at, _)| self.filter[..at].to_owned()));
        words.extend(self.matched("_COMM"));
        words.extend(self.matched("SYSLOG_IDENTIFIER"));
        words
    }

    fn matched(&self, field: &str) -> Vec<String> {
        let set = self.commands.iter();
        let set = set.filter(|words| said(words, 2) == "addjournalmatch");
        let words = set.flat_map(|words| words.iter().skip(3).filter_map(Value::as_str));
        let pairs = words.filter_map(|word| word.split_once('='));
        let values = pairs.filter(|(name, _)| *name == field);
        values.map(|(_, value)| value.to_owned()).collect()
    }
}

/// A word of a command, empty where there is no text.
fn said(words: &[Value], at: usize) -> &str {
    words.get(at).and_then(Value::as_str).unwrap_or_default()
}
